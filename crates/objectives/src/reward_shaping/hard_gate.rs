//! A gate of hard constraints before a soft reward.
//!
//! **Papers:** Open Rubric System: Scaling Reinforcement Learning with Pairwise Adaptive Rubric (2026), 2602.14069;
//! OpenRubrics: Towards Scalable Synthetic Rubric Generation for Reward Modeling and LLM Alignment (2025), 2510.07743;
//! Aligning Large Language Models with Searcher Preferences (2026), 2603.10473.
//! **Status:** our reading of the abstracts: a gate that all hard constraints must pass. How each paper derives its
//! constraints, and what failing costs there, is not covered.
//! **Use when:** some criteria must not be bought with others: a wrong format, an unsafe answer.
//! **Checked by:** hand-worked values.
//! **Deviations:** see the status.

use accordant_ops::check_domain;

use super::values::check_rewards;
use crate::Result;

/// The reward of one response behind a gate.
///
/// ```text
/// r = soft    where every constraint holds
///     fail    otherwise
/// ```
///
/// `constraints`: whether each of them holds; none is passed by everything. `reward` (soft): finite, or NaN where
/// missing, which stays NaN behind an open gate. `fail_reward`: finite; 0 or −1, and not above the soft reward's
/// smallest value, else failing pays.
///
/// # Errors
/// A domain error naming `reward` or `fail_reward`.
///
/// # Example
/// ```
/// use accordant_objectives::reward_shaping::hard_gate::hard_gated_reward;
/// assert_eq!(hard_gated_reward(&[true, true], 0.7, -1.0)?, 0.7);
/// assert_eq!(hard_gated_reward(&[true, false], 0.7, -1.0)?, -1.0);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2602.14069")]
#[doc(alias = "2510.07743")]
#[doc(alias = "2603.10473")]
pub fn hard_gated_reward(constraints: &[bool], reward: f64, fail_reward: f64) -> Result<f64> {
    check_rewards("reward", &[reward])?;
    check_domain(fail_reward.is_finite(), "fail_reward", "finite", fail_reward)?;
    Ok(if constraints.iter().all(|holds| *holds) { reward } else { fail_reward })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reward_shaping::values::tests::message;

    #[test]
    fn one_failure_closes_the_gate() {
        assert_eq!(hard_gated_reward(&[], 0.5, -1.0).unwrap(), 0.5);
        assert_eq!(hard_gated_reward(&[false, true, true], 0.5, 0.0).unwrap(), 0.0);
        assert_eq!(hard_gated_reward(&[false], f64::NAN, -1.0).unwrap(), -1.0);
        assert!(hard_gated_reward(&[true], f64::NAN, -1.0).unwrap().is_nan());
    }

    #[test]
    fn senseless_arguments_are_refused_by_name() {
        assert!(message(hard_gated_reward(&[true], f64::INFINITY, 0.0)).starts_with("`reward`"));
        for bad in [f64::NAN, f64::INFINITY] {
            assert_eq!(
                message(hard_gated_reward(&[true], 0.0, bad)),
                format!("`fail_reward`: expected finite, got {bad}")
            );
        }
    }
}
