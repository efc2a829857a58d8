//! Hierarchical weak preferences (HERON): the most important factor that differs enough decides.
//!
//! **Paper:** Deep Reinforcement Learning from Hierarchical Weak Preference Feedback (2023), 2309.02632.
//! **Use when:** nobody judges, but factors can be measured (success first, then speed, then smoothness) and people agree on
//! their order rather than on their weights.
//! **Checked by:** labels by hand, ordinary comparison without margins, the circle that margins make.
//! **Deviations:** the margin of the first factor is like the others'; the released control tasks have 0 there.

use accordant_ops::check_domain;
use burn::config::Config;
use serde::{Deserialize, Serialize};

use crate::{
    Comparisons, Error, Outcome, Result,
    error::{check_length, check_record},
};

/// Which side a factor prefers, and at which level it was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Whether the first side is better.
    pub first: bool,
    /// The factor that decided, from 0, the most important.
    pub level: usize,
}

/// Decides between two rows of factors, the most important factor first: the first one that differs by more than its margin.
/// None where none does: such a pair says nothing.
///
/// With margins above 0 decisions may go in circles.
///
/// # Errors
/// [`Error::Length`] naming `first`, `second` or `margins`; [`Error::Record`] with the level for a factor that is not finite
/// on both sides, or a margin that is negative or NaN.
///
/// # Example
/// ```
/// use accordant_preference::multi_objective::hierarchy::{Decision, decide};
/// // Success, then cost, of which less is better.
/// let (rising, margins) = ([true, false], [0.5, 0.1]);
/// let by = |a: [f64; 2], b: [f64; 2]| decide(&a, &b, &rising, &margins);
/// assert_eq!(by([1.0, 9.0], [0.0, 1.0])?, Some(Decision { first: true, level: 0 }));
/// assert_eq!(by([1.0, 9.0], [0.75, 1.0])?, Some(Decision { first: false, level: 1 }));
/// assert_eq!(by([1.0, 1.0], [0.75, 1.05])?, None);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
pub fn decide(first: &[f64], second: &[f64], rising: &[bool], margins: &[f64]) -> Result<Option<Decision>> {
    check_length("first", rising.len(), first.len())?;
    check_length("second", rising.len(), second.len())?;
    check_length("margins", rising.len(), margins.len())?;
    for level in 0..rising.len() {
        let difference = first[level] - second[level];
        check_record(difference.is_finite(), level, "factor", "finite on both sides", difference)?;
        check_record(margins[level] >= 0.0, level, "margin", ">= 0", margins[level])?;
        if difference.abs() > margins[level] {
            return Ok(Some(Decision { first: (difference > 0.0) == rising[level], level }));
        }
    }
    Ok(None)
}

/// Configuration of labels.
#[derive(Config, Debug, PartialEq)]
pub struct HierarchyConfig {
    /// Of each factor, the most important first: whether more of it is better.
    pub rising: Vec<bool>,
    /// A factor decides when it differs by more than this many of its standard deviations, finite and ≥ 0. 1: the paper.
    #[config(default = 1.0)]
    pub multiplier: f64,
}

impl HierarchyConfig {
    /// The margin of each factor, from its standard deviation over rows of factors.
    ///
    /// # Errors
    /// A domain error naming `multiplier` or `rising`; [`Error::Empty`] without a row; [`Error::Length`] naming `factors`;
    /// [`Error::Record`] for a factor that is not finite.
    pub fn margins(&self, factors: &[Vec<f64>]) -> Result<Vec<f64>> {
        let multiplier = self.multiplier;
        check_domain(multiplier.is_finite() && multiplier >= 0.0, "multiplier", "finite and >= 0", multiplier)?;
        check_domain(!self.rising.is_empty(), "rising", "at least one factor", 0.0)?;
        if factors.is_empty() {
            return Err(Error::Empty { name: "factors", reason: "there is no row" });
        }
        for (row, values) in factors.iter().enumerate() {
            check_length("factors", self.rising.len(), values.len())?;
            for &value in values {
                check_record(value.is_finite(), row, "factor", "finite", value)?;
            }
        }
        let mean = |of: &dyn Fn(&Vec<f64>) -> f64| factors.iter().map(of).sum::<f64>() / factors.len() as f64;
        let margin = |level: usize| {
            let center = mean(&|row| row[level]);
            multiplier * mean(&|row| (row[level] - center).powi(2)).sqrt()
        };
        Ok((0..self.rising.len()).map(margin).collect())
    }

    /// All pairs of the rows that a factor decides, as comparisons of these, and the level of each.
    ///
    /// # Errors
    /// As [`HierarchyConfig::margins`].
    ///
    /// # Example
    /// ```
    /// use accordant_preference::multi_objective::hierarchy::HierarchyConfig;
    /// let runs = [vec![1.0, 3.0], vec![1.0, 9.0], vec![0.0, 1.0]];
    /// let (judged, levels) = HierarchyConfig::new(vec![true, false]).with_multiplier(0.5).judge(&runs)?;
    /// assert_eq!((judged.len(), levels), (3, vec![1, 0, 0])); // 0 over 1 by the second factor, both over 2 by the first
    /// # Ok::<(), accordant_preference::Error>(())
    /// ```
    pub fn judge(&self, factors: &[Vec<f64>]) -> Result<(Comparisons, Vec<usize>)> {
        let margins = self.margins(factors)?;
        let (mut judged, mut levels) = (Comparisons::new(factors.len()), Vec::new());
        for second in 1..factors.len() {
            for first in 0..second {
                if let Some(decision) = decide(&factors[first], &factors[second], &self.rising, &margins)? {
                    judged.push(first, second, if decision.first { Outcome::First } else { Outcome::Second })?;
                    levels.push(decision.level);
                }
            }
        }
        Ok((judged, levels))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_factor_that_differs_by_more_than_its_margin_decides() {
        let by = |a: &[f64], b: &[f64]| decide(a, b, &[true, false, true], &[1.0, 0.0, 0.5]).unwrap();
        assert_eq!(by(&[3.0, 0.0, 0.0], &[1.0, 0.0, 9.0]), Some(Decision { first: true, level: 0 }));
        assert_eq!(by(&[1.0, 0.0, 0.0], &[3.0, 0.0, 0.0]), Some(Decision { first: false, level: 0 }));
        // A difference of the margin itself does not decide.
        assert_eq!(by(&[2.0, 4.0, 0.0], &[1.0, 5.0, 9.0]), Some(Decision { first: true, level: 1 }));
        assert_eq!(by(&[2.0, 5.0, 0.0], &[1.0, 4.0, 9.0]), Some(Decision { first: false, level: 1 }));
        assert_eq!(by(&[2.0, 5.0, 0.0], &[1.0, 5.0, 9.0]), Some(Decision { first: false, level: 2 }));
        assert_eq!(by(&[2.0, 5.0, 0.0], &[1.0, 5.0, 0.5]), None);
    }

    #[test]
    fn one_factor_without_a_margin_is_ordinary_comparison() {
        let rows: Vec<Vec<f64>> = [4.0, 1.0, 3.0, 3.0].map(|x| vec![x]).to_vec();
        let (judged, levels) = HierarchyConfig::new(vec![true]).with_multiplier(0.0).judge(&rows).unwrap();
        assert_eq!((judged.len(), levels), (5, vec![0; 5]), "all pairs but the tie");
        for record in judged.records() {
            let expected = if rows[record.first] > rows[record.second] { Outcome::First } else { Outcome::Second };
            assert_eq!(record.outcome, expected);
        }
    }

    #[test]
    fn margins_make_circles() {
        // Each leads the next by 1 of the first factor, which does not decide, and trails it in the second; the ends differ
        // by 2 of the first.
        let rows = [[2.0, 0.0], [1.0, 1.0], [0.0, 2.0]];
        let better = |a: usize, b: usize| decide(&rows[a], &rows[b], &[true; 2], &[1.5, 0.0]).unwrap().unwrap().first;
        assert!(better(1, 0) && better(2, 1) && better(0, 2));
    }

    #[test]
    fn margins_are_standard_deviations() {
        let rows = [vec![1.0, 5.0], vec![3.0, 5.0], vec![1.0, 5.0], vec![7.0, 5.0]];
        let config = HierarchyConfig::new(vec![true, false]);
        let margins = config.margins(&rows).unwrap();
        assert!((margins[0] - 6f64.sqrt()).abs() < 1e-15 && margins[1] == 0.0);
        let half = config.clone().with_multiplier(0.5).margins(&rows).unwrap();
        assert!((half[0] - 1.5f64.sqrt()).abs() < 1e-15);
        // 7 is beyond √6 of every other.
        let (judged, levels) = config.judge(&rows).unwrap();
        assert_eq!((judged.len(), levels), (3, vec![0; 3]));
        assert!(judged.records().iter().all(|record| record.second == 3 && record.outcome == Outcome::Second));
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        let rows = [vec![1.0], vec![2.0]];
        let text = |config: HierarchyConfig, rows: &[Vec<f64>]| config.judge(rows).unwrap_err().to_string();
        for bad in [-1.0, f64::NAN, f64::INFINITY] {
            let config = HierarchyConfig::new(vec![true]).with_multiplier(bad);
            assert!(text(config, &rows).starts_with("`multiplier`: expected finite and >= 0"));
        }
        assert!(text(HierarchyConfig::new(vec![]), &rows).starts_with("`rising`: expected at least one factor"));
        let one = HierarchyConfig::new(vec![true]);
        assert!(text(one.clone(), &[]).starts_with("`factors`: nothing to learn from"));
        assert_eq!(text(one.clone(), &[vec![1.0], vec![]]), "`factors`: expected 1 entries, got 0");
        assert!(text(one.clone(), &[vec![1.0], vec![f64::NAN]]).starts_with("record 1: `factor`"));
        assert_eq!(one.multiplier, 1.0);
        for (first, second, margins, name) in [
            (vec![], vec![1.0], vec![1.0], "first"),
            (vec![1.0], vec![], vec![1.0], "second"),
            (vec![1.0], vec![1.0], vec![], "margins"),
        ] {
            let error = decide(&first, &second, &[true], &margins).unwrap_err().to_string();
            assert_eq!(error, format!("`{name}`: expected 1 entries, got 0"));
        }
    }

    #[test]
    fn a_factor_that_is_no_number_does_not_pass_the_decision_on() {
        for bad in [f64::NAN, f64::INFINITY] {
            let error = decide(&[0.0, bad], &[0.0, bad], &[true, true], &[0.5, 0.5]).unwrap_err();
            assert!(error.to_string().starts_with("record 1: `factor`"), "{error}");
        }
    }

    #[test]
    fn equal_factors_decide_nothing_whatever_the_margin() {
        assert_eq!(decide(&[1.0], &[1.0], &[true], &[0.0]).unwrap(), None);
        for bad in [-1.0, f64::NAN] {
            let error = decide(&[2.0, 1.0], &[2.0, 1.0], &[true, true], &[0.5, bad]).unwrap_err();
            assert!(error.to_string().starts_with("record 1: `margin`: expected >= 0"), "{error}");
        }
        assert_eq!(decide(&[1.0], &[9.0], &[true], &[f64::INFINITY]).unwrap(), None, "a factor that never decides");
    }
}
