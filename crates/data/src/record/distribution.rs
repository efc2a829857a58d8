//! A distribution of ratings of one response over an ordinal scale.

use serde::Serialize;

use super::{Fields, check_len, check_numbers};
use crate::report::{Code, Reason};

/// How far from 1 a sum of probabilities may be by rounding.
const ROUNDING: f64 = 1e-9;

/// The shares of ratings on an ordinal scale.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Distribution {
    /// The share of each value, not negative; they sum to 1.
    pub distribution: Vec<f64>,
    /// The values of the scale, strictly increasing, one for each share.
    pub support: Vec<f64>,
}

impl Distribution {
    /// From counts or shares, which are divided by their sum unless that is 1 but for rounding (1e-9).
    ///
    /// # Errors
    /// [`Code::LenMismatch`] if there are not as many values as counts; [`Code::Nonfinite`] and [`Code::Range`] for a
    /// count that is negative or no number; [`Code::NoVotes`] if all are 0; [`Code::Range`] for values that do not
    /// increase.
    ///
    /// # Example
    /// ```
    /// use accordant_data::record::distribution::Distribution;
    /// let ratings = Distribution::new(vec![1.0, 0.0, 3.0], vec![1.0, 2.0, 3.0])?;
    /// assert_eq!(ratings.distribution, [0.25, 0.0, 0.75]);
    /// assert_eq!((ratings.mean(), ratings.variance()), (2.5, 0.75));
    /// # Ok::<(), accordant_data::report::Reason>(())
    /// ```
    pub fn new(counts: Vec<f64>, support: Vec<f64>) -> Result<Self, Reason> {
        let mut made = Self { distribution: counts, support };
        made.check_values()?;
        let sum = made.distribution.iter().sum::<f64>();
        if sum == 0.0 {
            return Err(Reason::field(Code::NoVotes, "distribution", "expected a sum above 0, found only zeros"));
        }
        if (sum - 1.0).abs() > ROUNDING {
            made.distribution.iter_mut().for_each(|share| *share /= sum);
        }
        made.check()?;
        Ok(made)
    }

    /// The mean of the values, in the scale's units.
    pub fn mean(&self) -> f64 {
        self.distribution.iter().zip(&self.support).map(|(share, value)| share * value).sum()
    }

    /// The variance of the values, in the scale's units squared.
    pub fn variance(&self) -> f64 {
        let mean = self.mean();
        self.distribution.iter().zip(&self.support).map(|(share, value)| share * (value - mean).powi(2)).sum()
    }

    pub(super) fn take(fields: &mut Fields<'_>) -> Result<Option<Self>, Reason> {
        match (fields.has("distribution"), fields.has("support")) {
            (false, false) => Ok(None),
            (true, true) => Self::new(fields.numbers("distribution")?, fields.numbers("support")?).map(Some),
            (has, _) => {
                let (lacking, there) = if has { ("support", "distribution") } else { ("distribution", "support") };
                Err(Reason::field(Code::MissingField, lacking, format!("missing; there is `{there}`")))
            }
        }
    }

    fn check_values(&self) -> Result<(), Reason> {
        check_len("support", self.support.len(), self.distribution.len(), "distribution")?;
        check_numbers("distribution", &self.distribution, 0.0, f64::INFINITY)?;
        check_numbers("support", &self.support, f64::NEG_INFINITY, f64::INFINITY)?;
        match self.support.windows(2).position(|two| two[0] >= two[1]) {
            None => Ok(()),
            Some(i) => {
                let message = format!("expected values that increase, found {:?}", self.support);
                Err(Reason::field(Code::Range, format!("support[{}]", i + 1), message))
            }
        }
    }

    pub(super) fn check(&self) -> Result<(), Reason> {
        self.check_values()?;
        let sum = self.distribution.iter().sum::<f64>();
        match (sum - 1.0).abs() <= ROUNDING {
            true => Ok(()),
            false => Err(Reason::field(Code::Range, "distribution", format!("expected a sum of 1, found {sum}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(counts: &[f64], support: &[f64]) -> Code {
        Distribution::new(counts.to_vec(), support.to_vec()).unwrap_err().code
    }

    #[test]
    fn counts_become_shares_and_shares_stay_what_they_are() {
        let shares = Distribution::new(vec![2.0, 6.0], vec![0.0, 1.0]).unwrap();
        assert_eq!(shares.distribution, [0.25, 0.75]);
        let third = 1.0 / 3.0;
        let thirds = vec![third; 3];
        assert_eq!(Distribution::new(thirds.clone(), vec![0.0, 1.0, 2.0]).unwrap().distribution, thirds);
        let almost = Distribution::new(vec![0.5, 0.5 + 1e-8], vec![0.0, 1.0]).unwrap().distribution;
        assert!(almost[0] < 0.5);
    }

    #[test]
    fn what_is_no_distribution_is_refused() {
        assert_eq!(code(&[0.0, 0.0], &[1.0, 2.0]), Code::NoVotes);
        assert_eq!(code(&[], &[]), Code::NoVotes);
        assert_eq!(code(&[1.0], &[1.0, 2.0]), Code::LenMismatch);
        assert_eq!(code(&[1.0, -1.0], &[1.0, 2.0]), Code::Range);
        assert_eq!(code(&[1.0, f64::NAN], &[1.0, 2.0]), Code::Nonfinite);
        assert_eq!(code(&[1.0, 1.0], &[2.0, 2.0]), Code::Range);
        assert_eq!(code(&[f64::MAX, f64::MAX], &[1.0, 2.0]), Code::Range);
        let unsummed = Distribution { distribution: vec![0.5, 0.4], support: vec![0.0, 1.0] };
        assert_eq!(unsummed.check().unwrap_err().code, Code::Range);
    }
}
