//! Rubrics as Rewards (RaR): a checklist's verdicts as one reward.
//!
//! **Paper:** Rubrics as Rewards: Reinforcement Learning Beyond Verifiable Domains (2025), 2507.17746.
//! **Use when:** an answer has no single right form, but a judge can say which of a list of criteria it meets.
//! **Checked by:** hand-worked values, properties under proptest.
//! **Deviations:** negative weights are allowed, for pitfalls that are worded as something to fall into; they are no
//! part of the divisor, and the result is clipped to `[0, 1]`.

use accordant_ops::check_domain;
use serde::{Deserialize, Serialize};

use super::values::{check_each, check_len, check_units};
use crate::Result;

/// What kind of criterion an item of a rubric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RubricCategory {
    /// Without it the answer is wrong.
    Essential,
    /// It matters.
    Important,
    /// Good to have.
    Optional,
    /// A common mistake; met by an answer that **avoids** it.
    Pitfall,
}

impl RubricCategory {
    /// The paper's weight: 1, 0.7, 0.3 and 0.9.
    ///
    /// # Example
    /// ```
    /// use accordant_objectives::reward_shaping::rubric::RubricCategory;
    /// assert_eq!(RubricCategory::Essential.weight(), 1.0);
    /// ```
    pub fn weight(self) -> f64 {
        match self {
            Self::Essential => 1.0,
            Self::Important => 0.7,
            Self::Optional => 0.3,
            Self::Pitfall => 0.9,
        }
    }
}

/// The explicit reward of one answer: the weighted share of the criteria that it meets.
///
/// ```text
/// r = clip(Σ_j w_j c_j / Σ_{w_j > 0} w_j, 0, 1)
/// ```
///
/// `weights` (w): finite, at least one of them > 0. `met` (c): for each criterion 1 where the answer meets it and 0
/// where it does not, or a degree between; NaN where the judge's verdict is missing, which leaves the criterion out.
/// With positive weights, meeting all gives exactly 1, and one more never lowers the reward. A criterion of negative
/// weight is met by falling into the pitfall. The scale of the weights is irrelevant. NaN when no positive criterion
/// has a verdict.
///
/// # Errors
/// A shape error naming `met`; a domain error naming `weights` or `met`.
///
/// # Example
/// ```
/// use accordant_objectives::reward_shaping::rubric::explicit_rubric_reward;
/// // 2 of 2 + 1, then half a point off.
/// assert_eq!(explicit_rubric_reward(&[2.0, 1.0, -0.5], &[1.0, 0.0, 0.0])?, 2.0 / 3.0);
/// assert_eq!(explicit_rubric_reward(&[2.0, 1.0, -0.5], &[1.0, 0.0, 1.0])?, 0.5);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2507.17746")]
#[doc(alias = "Rubrics as Rewards: Reinforcement Learning Beyond Verifiable Domains")]
pub fn explicit_rubric_reward(weights: &[f64], met: &[f64]) -> Result<f64> {
    check_len("met", weights.len(), met.len())?;
    check_each("weights", "finite", weights, f64::is_finite)?;
    let most = weights.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    check_domain(most > 0.0, "weights", "at least one > 0", most)?;
    check_units("met", met)?;
    let judged = weights.iter().zip(met).filter(|(_, met)| !met.is_nan());
    let (mut points, mut possible) = (0.0, 0.0);
    for (weight, met) in judged {
        // Shares of the largest weight: no sum of huge ones overflows.
        let weight = weight / most;
        points += weight * met;
        possible += weight.max(0.0);
    }
    // 0/0 where nothing positive was judged; `clamp` keeps NaN.
    Ok(if possible > 0.0 { (points / possible).clamp(0.0, 1.0) } else { f64::NAN })
}

/// Implicit rewards: a judge's overall scores from 1 to 10, as numbers from 0 to 1.
///
/// ```text
/// r_i = (s_i − 1) / 9
/// ```
///
/// `scores` (s): in `[1, 10]`, or NaN where missing, which stays NaN.
///
/// # Errors
/// A domain error naming `scores`.
///
/// # Example
/// ```
/// use accordant_objectives::reward_shaping::rubric::implicit_rubric_rewards;
/// assert_eq!(implicit_rubric_rewards(&[1.0, 5.5, 10.0])?, [0.0, 0.5, 1.0]);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2507.17746")]
pub fn implicit_rubric_rewards(scores: &[f64]) -> Result<Vec<f64>> {
    let in_range = |score: f64| score.is_nan() || (1.0..=10.0).contains(&score);
    check_each("scores", "in [1, 10], or NaN where missing", scores, in_range)?;
    Ok(scores.iter().map(|score| (score - 1.0) / 9.0).collect())
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;
    use crate::reward_shaping::values::tests::{assert_close, message};

    #[test]
    fn values_by_hand() {
        use RubricCategory::{Essential, Important, Optional, Pitfall};
        let weights = [Essential, Important, Optional, Pitfall].map(RubricCategory::weight);
        assert_eq!(weights, [1.0, 0.7, 0.3, 0.9]);
        let reward = |met: &[f64]| explicit_rubric_reward(&weights, met).unwrap();
        // 1 + 0.15 of 2.9; without the verdict on the pitfall, of 2.
        assert!((reward(&[1.0, 0.0, 0.5, 0.0]) - 1.15 / 2.9).abs() < 1e-15);
        assert!((reward(&[1.0, 0.0, 0.5, f64::NAN]) - 1.15 / 2.0).abs() < 1e-15);
        assert_eq!((reward(&[1.0; 4]), reward(&[0.0; 4])), (1.0, 0.0));
        assert!(reward(&[f64::NAN; 4]).is_nan());
    }

    #[test]
    fn pitfalls_of_negative_weight_cost_points_and_are_no_part_of_the_divisor() {
        let reward = |met: [f64; 3]| explicit_rubric_reward(&[1.0, 1.0, -0.5], &met).unwrap();
        assert_eq!((reward([1.0, 1.0, 0.0]), reward([1.0, 1.0, 1.0])), (1.0, 0.75));
        assert_eq!((reward([0.0, 0.0, 1.0]), reward([1.0, 0.0, 0.5])), (0.0, 0.375));
        assert!(reward([f64::NAN, f64::NAN, 1.0]).is_nan());
        assert_eq!(explicit_rubric_reward(&[1e308, 1e308], &[1.0, 0.0]).unwrap(), 0.5);
    }

    #[test]
    fn scores_by_hand() {
        let nan = f64::NAN;
        assert_close(&implicit_rubric_rewards(&[4.0, nan, 7.0]).unwrap(), &[1.0 / 3.0, nan, 2.0 / 3.0], 1e-15);
        for bad in [0.5, 10.5, f64::INFINITY] {
            let expected = format!("`scores`: expected in [1, 10], or NaN where missing, got {bad}");
            assert_eq!(message(implicit_rubric_rewards(&[bad])), expected);
        }
    }

    #[test]
    fn senseless_rubrics_are_refused_by_name() {
        assert_eq!(message(explicit_rubric_reward(&[1.0], &[])), "`met`: expected shape [1], got [0]");
        assert!(message(explicit_rubric_reward(&[1.0], &[1.5])).starts_with("`met`"));
        for bad in [f64::NAN, f64::INFINITY] {
            assert_eq!(
                message(explicit_rubric_reward(&[bad], &[1.0])),
                format!("`weights`: expected finite, got {bad}")
            );
        }
        assert_eq!(
            message(explicit_rubric_reward(&[-1.0, 0.0], &[1.0, 1.0])),
            "`weights`: expected at least one > 0, got 0"
        );
        assert!(message(explicit_rubric_reward(&[], &[])).starts_with("`weights`"));
    }

    proptest! {
        #[test]
        fn all_met_gives_one_and_one_more_never_lowers(
            items in vec((0.01..5.0, 0.0..1.0), 1..8), which in 0_usize..8, more in 0.0..1.0, scale in 0.01..100.0,
        ) {
            let (weights, mut met): (Vec<f64>, Vec<f64>) = items.into_iter().unzip();
            prop_assert_eq!(explicit_rubric_reward(&weights, &vec![1.0; met.len()]).unwrap(), 1.0);
            let before = explicit_rubric_reward(&weights, &met).unwrap();
            prop_assert!((0.0..=1.0).contains(&before));
            let scaled: Vec<f64> = weights.iter().map(|weight| weight * scale).collect();
            prop_assert!((explicit_rubric_reward(&scaled, &met).unwrap() - before).abs() < 1e-12);
            let which = which % met.len();
            met[which] = f64::min(met[which] + more, 1.0);
            prop_assert!(explicit_rubric_reward(&weights, &met).unwrap() >= before - 1e-15);
        }
    }
}
