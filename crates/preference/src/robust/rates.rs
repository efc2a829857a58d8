//! How likely a label is recorded wrongly.

use accordant_ops::check_domain;
use serde::{Deserialize, Serialize};

use crate::Result;

/// The chances that a label was flipped, by what it should have been; their sum is below 1.
///
/// # Example
/// ```
/// use accordant_preference::robust::FlipRates;
/// assert_eq!(FlipRates::symmetric(0.1), FlipRates { first: 0.1, second: 0.1 });
/// assert!(FlipRates::symmetric(0.5).check().is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct FlipRates {
    /// That a pair whose first side is better was recorded as won by the second, ε₁.
    pub first: f64,
    /// That a pair whose second side is better was recorded as won by the first, ε₀.
    pub second: f64,
}

impl FlipRates {
    /// One rate for both, ε in [0, ½).
    pub fn symmetric(rate: f64) -> Self {
        Self { first: rate, second: rate }
    }

    /// Checks the rates.
    ///
    /// # Errors
    /// A domain error naming `flip_rates`.
    pub fn check(self) -> Result<()> {
        for rate in [self.first, self.second] {
            check_domain((0.0..1.0).contains(&rate), "flip_rates", "in [0, 1)", rate)?;
        }
        let sum = self.first + self.second;
        Ok(check_domain(sum < 1.0, "flip_rates", "a sum below 1", sum)?)
    }
}

/// The domain of a temperature, shared by the family.
pub(crate) fn check_temperature(temperature: f64) -> Result<()> {
    Ok(check_domain(temperature.is_finite() && temperature > 0.0, "temperature", "finite and > 0", temperature)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_have_domains() {
        for good in [FlipRates::symmetric(0.0), FlipRates::symmetric(0.49), FlipRates { first: 0.9, second: 0.05 }] {
            good.check().unwrap();
        }
        let text = |first, second| FlipRates { first, second }.check().unwrap_err().to_string();
        for (first, second) in [(-0.1, 0.0), (0.0, -0.1), (f64::NAN, 0.0), (0.0, f64::NAN), (1.0, 0.0)] {
            assert!(text(first, second).starts_with("`flip_rates`: expected in [0, 1)"));
        }
        assert!(text(0.5, 0.5).starts_with("`flip_rates`: expected a sum below 1"));
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(check_temperature(bad).unwrap_err().to_string().starts_with("`temperature`"));
        }
    }
}
