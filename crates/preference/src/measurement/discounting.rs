//! Temporal discounting: exponential or hyperbolic.
//!
//! **Paper:** Utility Engineering: Analyzing and Controlling Emergent Value Systems in AIs (2025), 2502.08640.
//! **Use when:** the value of something later is known relative to now, and its law is asked for.
//! **Checked by:** exact curves of both kinds, finite differences, a grid.
//! **Deviations:** none.

use serde::{Deserialize, Serialize};

use crate::{
    Error, Report, Result,
    error::{check_length, check_record},
    optimize::{Stop, lbfgs},
};

/// How value falls with a delay `t` at rate `k > 0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Discount {
    /// `e^{−kt}`: the same share is lost in every unit of time.
    Exponential,
    /// `1 / (1 + kt)`: much is lost soon and little later.
    Hyperbolic,
}

impl Discount {
    /// The value after a delay, relative to now.
    ///
    /// # Example
    /// ```
    /// use accordant_preference::measurement::discounting::Discount;
    /// assert_eq!((Discount::Hyperbolic.value(1.0, 3.0), Discount::Exponential.value(0.5, 2.0)), (0.25, (-1f64).exp()));
    /// ```
    pub fn value(self, rate: f64, delay: f64) -> f64 {
        match self {
            Self::Exponential => (-rate * delay).exp(),
            Self::Hyperbolic => 1.0 / (1.0 + rate * delay),
        }
    }

    /// The derivative of the value by `ln k`.
    fn slope(self, rate: f64, delay: f64) -> f64 {
        let value = self.value(rate, delay);
        match self {
            Self::Exponential => -rate * delay * value,
            Self::Hyperbolic => -rate * delay * value * value,
        }
    }
}

/// A fitted curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct DiscountFit {
    /// The rate, per unit of delay.
    pub rate: f64,
    /// The mean squared difference from the values.
    pub mean_squared_error: f64,
    /// How the fit ended.
    pub report: Report,
}

/// The rate at which a curve comes closest to values `[0, 1]` after delays, by least squares.
///
/// The kind with the smaller error is the better law.
///
/// # Errors
/// [`Error::Length`] naming `values`, [`Error::Record`] for a delay that is not finite and ≥ 0 or a value that is not finite,
/// [`Error::Empty`] without a delay > 0.
///
/// # Example
/// ```
/// use accordant_preference::measurement::discounting::{Discount, fit_discount};
/// let (delays, values) = ([0.0, 1.0, 3.0], [1.0, 0.5, 0.25]); // 1 / (1 + t)
/// let hyperbolic = fit_discount(Discount::Hyperbolic, &delays, &values)?;
/// let exponential = fit_discount(Discount::Exponential, &delays, &values)?;
/// assert!((hyperbolic.rate - 1.0).abs() < 1e-6);
/// assert!(hyperbolic.mean_squared_error < 1e-12 && exponential.mean_squared_error > 1e-3);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[doc(alias = "2502.08640")]
pub fn fit_discount(kind: Discount, delays: &[f64], values: &[f64]) -> Result<DiscountFit> {
    check_length("values", delays.len(), values.len())?;
    for (row, (delay, value)) in delays.iter().zip(values).enumerate() {
        check_record(delay.is_finite() && *delay >= 0.0, row, "delays", "finite and >= 0", *delay)?;
        check_record(value.is_finite(), row, "values", "a finite number", *value)?;
    }
    let longest = delays.iter().copied().fold(0.0, f64::max);
    if longest == 0.0 {
        return Err(Error::Empty { name: "delays", reason: "none is > 0" });
    }
    let n = delays.len() as f64;
    let error = |log_rate: f64| {
        let squares = delays.iter().zip(values).map(|(t, value)| (kind.value(log_rate.exp(), *t) - value).powi(2));
        squares.sum::<f64>() / n
    };
    // The error may have several valleys: the best of a grid of rates is where to start, from a thousandth of the longest
    // delay to a thousand of them.
    let grid = (-40..=40).map(|at| f64::from(at) * 0.2 - longest.ln());
    let start = grid.min_by(|&a, &b| error(a).total_cmp(&error(b))).expect("the grid has points");
    let f = |x: &[f64], gradient: &mut [f64]| {
        let rate = x[0].exp();
        let slopes = delays.iter().zip(values).map(|(t, v)| 2.0 * (kind.value(rate, *t) - v) * kind.slope(rate, *t));
        gradient[0] = slopes.sum::<f64>() / n;
        error(x[0])
    };
    let (at, report) = lbfgs(f, vec![start], Stop { gradient: 1e-10, max_iterations: 200 });
    Ok(DiscountFit { rate: at[0].exp(), mean_squared_error: report.objective, report })
}

#[cfg(test)]
mod tests {
    use accordant_laws::gradient::check_gradient;

    use super::*;

    const DELAYS: [f64; 6] = [0.0, 0.5, 1.0, 2.0, 5.0, 12.0];
    const BOTH: [Discount; 2] = [Discount::Exponential, Discount::Hyperbolic];

    #[test]
    fn curves_of_their_own_kind_are_found_at_every_rate() {
        for kind in BOTH {
            for rate in [0.01, 0.3, 4.0] {
                let values = DELAYS.map(|t| kind.value(rate, t));
                let found = fit_discount(kind, &DELAYS, &values).unwrap();
                assert!(found.report.converged, "{found:?}");
                assert!((found.rate / rate - 1.0).abs() < 1e-4 && found.mean_squared_error < 1e-12, "{found:?}");
                let other = if kind == Discount::Hyperbolic { Discount::Exponential } else { Discount::Hyperbolic };
                let other = fit_discount(other, &DELAYS, &values).unwrap();
                assert!(other.mean_squared_error > 100.0 * found.mean_squared_error, "{other:?}");
            }
        }
    }

    #[test]
    fn slopes_are_derivatives_by_the_logarithm_of_the_rate() {
        for kind in BOTH {
            for delay in [0.5, 3.0] {
                let value = |x: &[f64]| kind.value(x[0].exp(), delay);
                check_gradient(value, &[0.3], &[kind.slope(0.3f64.exp(), delay)]).unwrap();
            }
        }
    }

    #[test]
    fn no_other_rate_is_closer_to_noisy_values() {
        let values = [1.1, 0.7, 0.65, 0.3, 0.25, 0.05];
        for kind in BOTH {
            let found = fit_discount(kind, &DELAYS, &values).unwrap();
            let error = |rate: f64| {
                DELAYS.iter().zip(values).map(|(t, v)| (kind.value(rate, *t) - v).powi(2)).sum::<f64>() / 6.0
            };
            assert!((error(found.rate) - found.mean_squared_error).abs() < 1e-15);
            for step in 1..400 {
                assert!(error(0.01 * f64::from(step)) >= found.mean_squared_error - 1e-12);
            }
        }
    }

    #[test]
    fn what_is_no_delay_is_an_error() {
        let text = |delays: &[f64], values: &[f64]| {
            fit_discount(Discount::Hyperbolic, delays, values).unwrap_err().to_string()
        };
        assert!(text(&[1.0], &[]).starts_with("`values`: expected 1"));
        for delay in [-1.0, f64::NAN, f64::INFINITY] {
            assert!(text(&[1.0, delay], &[1.0, 0.5]).starts_with("record 1: `delays`"));
        }
        assert!(text(&[1.0], &[f64::NAN]).starts_with("record 0: `values`"));
        assert!(text(&[0.0], &[1.0]).starts_with("`delays`: nothing"));
        assert!(text(&[], &[]).starts_with("`delays`: nothing"));
    }
}
