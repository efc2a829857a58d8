//! A ceiling on rewards.
//!
//! **Paper:** Reward Shaping to Mitigate Reward Hacking in RLHF (2025), 2502.18770, where it is compared with PAR.
//! **Use when:** rewards above a known value mean nothing but that the reward model is wrong.
//! **Checked by:** hand-worked values.
//! **Deviations:** none.

use accordant_ops::check_domain;

use super::values::check_rewards;
use crate::Result;

/// Rewards of at most `ceiling`.
///
/// ```text
/// r'_i = min(r_i, c)
/// ```
///
/// `ceiling` (c): finite. A missing reward stays NaN.
///
/// # Errors
/// A domain error naming `rewards` for infinite ones, or `ceiling`.
///
/// # Example
/// ```
/// use accordant_objectives::reward_shaping::ceiling::rewards_below;
/// assert_eq!(rewards_below(&[-7.0, 2.0, 3.5], 2.5)?, [-7.0, 2.0, 2.5]);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2502.18770")]
pub fn rewards_below(rewards: &[f64], ceiling: f64) -> Result<Vec<f64>> {
    check_rewards("rewards", rewards)?;
    check_domain(ceiling.is_finite(), "ceiling", "finite", ceiling)?;
    // Not `min`, which would make a number of a missing reward.
    Ok(rewards.iter().map(|&reward| if reward > ceiling { ceiling } else { reward }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reward_shaping::values::tests::{assert_close, message};

    #[test]
    fn only_what_is_above_changes_and_missing_rewards_stay_missing() {
        let nan = f64::NAN;
        assert_close(&rewards_below(&[3.0, nan, -3.0, 1.0], 1.0).unwrap(), &[1.0, nan, -3.0, 1.0], 0.0);
    }

    #[test]
    fn senseless_arguments_are_refused_by_name() {
        for bad in [f64::NAN, f64::INFINITY] {
            assert_eq!(message(rewards_below(&[0.0], bad)), format!("`ceiling`: expected finite, got {bad}"));
        }
        assert!(message(rewards_below(&[f64::INFINITY], 1.0)).starts_with("`rewards`"));
    }
}
