//! Exchange rates between goods.
//!
//! **Paper:** Utility Engineering: Analyzing and Controlling Emergent Value Systems in AIs (2025), 2502.08640.
//! **Use when:** utilities of several amounts of several goods are known, and it is asked what they are worth in each other.
//! **Checked by:** exact logarithms, hand-worked lines, reciprocal rates.
//! **Deviations:** none.

use serde::{Deserialize, Serialize};

use crate::{
    Error, Result,
    error::{check_finite, check_length, check_record},
};

/// The utility of `n` units of a good, `slope · ln n + intercept`, by least squares.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LogUtility {
    /// What a factor of e in the amount is worth.
    pub slope: f64,
    /// What one unit is worth.
    pub intercept: f64,
    /// The share of the utilities' variance that the line explains; 1 of utilities that are all equal.
    pub r_squared: f64,
}

impl LogUtility {
    /// The line through amounts and their utilities.
    ///
    /// # Errors
    /// [`Error::Length`] naming `utilities`, [`Error::Record`] for an amount that is not finite and > 0 or a utility that is not
    /// finite, [`Error::Empty`] without two different amounts, [`Error::NotFinite`] when squares of utilities overflow.
    ///
    /// # Example
    /// ```
    /// use accordant_preference::measurement::exchange::LogUtility;
    /// let e = 1f64.exp();
    /// let line = LogUtility::fit(&[1.0, e, e * e], &[2.0, 5.0, 8.0])?;
    /// assert!((line.slope - 3.0).abs() < 1e-12 && (line.intercept - 2.0).abs() < 1e-12);
    /// # Ok::<(), accordant_preference::Error>(())
    /// ```
    pub fn fit(amounts: &[f64], utilities: &[f64]) -> Result<Self> {
        check_length("utilities", amounts.len(), utilities.len())?;
        for (row, (amount, utility)) in amounts.iter().zip(utilities).enumerate() {
            check_record(amount.is_finite() && *amount > 0.0, row, "amounts", "finite and > 0", *amount)?;
            check_record(utility.is_finite(), row, "utilities", "a finite number", *utility)?;
        }
        if amounts.windows(2).all(|pair| pair[0] == pair[1]) {
            return Err(Error::Empty { name: "amounts", reason: "no two of them differ" });
        }
        let n = amounts.len() as f64;
        let logs: Vec<f64> = amounts.iter().map(|amount| amount.ln()).collect();
        let mean = |values: &[f64]| values.iter().sum::<f64>() / n;
        let (x, y) = (mean(&logs), mean(utilities));
        let squares: f64 = logs.iter().map(|log| (log - x).powi(2)).sum();
        let slope = logs.iter().zip(utilities).map(|(log, utility)| (log - x) * (utility - y)).sum::<f64>() / squares;
        let intercept = y - slope * x;
        let left: f64 =
            logs.iter().zip(utilities).map(|(log, utility)| (utility - slope * log - intercept).powi(2)).sum();
        let total: f64 = utilities.iter().map(|utility| (utility - y).powi(2)).sum();
        check_finite("utilities", &[slope, intercept, left, total])?;
        Ok(Self { slope, intercept, r_squared: if total > 0.0 { 1.0 - left / total } else { 1.0 } })
    }

    /// How many units of `other` are worth one unit of this good: the `n` with `other.slope ln n + other.intercept` =
    /// `self.intercept`. None unless both slopes have one sign: more of one good is not worse while more of the other is.
    ///
    /// # Example
    /// ```
    /// use accordant_preference::measurement::exchange::LogUtility;
    /// let line = |slope, intercept| LogUtility { slope, intercept, r_squared: 1.0 };
    /// // A unit of the first is worth 3; the second is worth that at ln n = 1.
    /// assert_eq!(line(1.0, 3.0).in_units_of(&line(2.0, 1.0)), Some(1f64.exp()));
    /// ```
    #[doc(alias = "exchange rate")]
    #[doc(alias = "2502.08640")]
    pub fn in_units_of(&self, other: &Self) -> Option<f64> {
        let comparable = self.slope * other.slope > 0.0;
        comparable.then(|| ((self.intercept - other.intercept) / other.slope).exp())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_by_hand() {
        // ln n of 0, 1, 2 and utilities 0, 2, 1: slope ½, mean 1; residuals −½, 1, −½ of a variance of 2.
        let amounts = [0.0f64, 1.0, 2.0].map(f64::exp);
        let line = LogUtility::fit(&amounts, &[0.0, 2.0, 1.0]).unwrap();
        assert!((line.slope - 0.5).abs() < 1e-12 && (line.intercept - 0.5).abs() < 1e-12);
        assert!((line.r_squared - 0.25).abs() < 1e-12);
        assert_eq!(LogUtility::fit(&amounts, &[3.0; 3]).unwrap().r_squared, 1.0);
    }

    #[test]
    fn rates_of_equal_slopes_are_reciprocal_and_of_itself_one() {
        let line = |slope, intercept| LogUtility { slope, intercept, r_squared: 1.0 };
        let (a, b) = (line(0.7, 2.0), line(0.7, -1.0));
        assert!((a.in_units_of(&b).unwrap() * b.in_units_of(&a).unwrap() - 1.0).abs() < 1e-12);
        assert_eq!(a.in_units_of(&a), Some(1.0));
        assert!(a.in_units_of(&b).unwrap() > 1.0, "the better good buys more");
        let bads = (line(-0.5, 1.0), line(-2.0, 0.0));
        assert_eq!(bads.0.in_units_of(&bads.1), Some((-0.5f64).exp()));
        for other in [line(-1.0, 0.0), line(0.0, 0.0)] {
            assert_eq!((a.in_units_of(&other), other.in_units_of(&a)), (None, None));
        }
    }

    #[test]
    fn what_is_no_good_is_an_error() {
        let text = |amounts: &[f64], utilities: &[f64]| LogUtility::fit(amounts, utilities).unwrap_err().to_string();
        assert!(text(&[1.0], &[]).starts_with("`utilities`: expected 1"));
        for amount in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(text(&[1.0, amount], &[1.0, 2.0]).starts_with("record 1: `amounts`"));
        }
        assert!(text(&[1.0, 2.0], &[1.0, f64::NAN]).starts_with("record 1: `utilities`"));
        assert!(text(&[2.0, 2.0], &[1.0, 2.0]).starts_with("`amounts`: nothing"));
        assert!(text(&[], &[]).starts_with("`amounts`: nothing"));
    }
}
