//! Log-tamed rewards (PaCo-GRPO): what fluctuates most is compressed before several rewards are summed.
//!
//! **Paper:** PaCo-RL: Advancing Reinforcement Learning for Consistent Image Generation with Pairwise Reward Modeling
//! (2025), 2512.04784, equations 3 and 4.
//! **Use when:** several rewards are summed and one of them, by its fluctuations, drowns the others.
//! **Checked by:** hand-worked values, properties under proptest.
//! **Deviations:** `unit` scales a reward before the logarithm; the paper's is 1. The paper does not say which standard
//! deviation it means: ours is the unbiased one, as in every group statistic.

use super::values::{check_each, check_non_negative, check_positive, present};
use crate::{Moments, Result};

/// The standard deviation of a batch of rewards, in units of their mean.
///
/// ```text
/// h = std(r) / mean(r)        (eq. 3)
/// ```
///
/// `rewards`: one reward of the whole batch, finite and ≥ 0; missing ones are left out. Unbiased; 0 for fewer than
/// two, and to rounding for equal ones.
///
/// # Errors
/// A domain error naming `rewards`.
///
/// # Example
/// ```
/// use accordant_objectives::reward_shaping::log_tamed::coefficient_of_variation;
/// assert_eq!(coefficient_of_variation(&[1.0, 3.0])?, 2f64.sqrt() / 2.0);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2512.04784")]
pub fn coefficient_of_variation(rewards: &[f64]) -> Result<f64> {
    check_each("rewards", "finite and >= 0, or NaN where missing", rewards, |reward| {
        reward.is_nan() || (reward.is_finite() && reward >= 0.0)
    })?;
    let mut moments = Moments::default();
    moments.add(&present(rewards));
    // All are 0 where their mean is.
    Ok(if moments.mean > 0.0 { moments.std() / moments.mean } else { 0.0 })
}

/// A batch of rewards, compressed if it fluctuates.
///
/// ```text
/// r'_i = log(1 + r_i / c)    where h > δ        (eq. 4)
///        r_i                 otherwise
/// ```
///
/// `rewards`: one reward of the whole batch, finite and ≥ 0. `threshold` (δ): finite and ≥ 0; the paper's is 0.2, or
/// the mean of [`coefficient_of_variation`] over the rewards that are summed. `unit` (c): finite and > 0; 1 in the
/// paper. Order is kept; a missing reward stays NaN.
///
/// # Errors
/// A domain error naming `rewards`, `threshold` or `unit`.
///
/// # Example
/// ```
/// use accordant_objectives::reward_shaping::log_tamed::log_tamed_rewards;
/// assert_eq!(log_tamed_rewards(&[1.0, 3.0], 0.2, 1.0)?, [2f64.ln(), 4f64.ln()]);
/// assert_eq!(log_tamed_rewards(&[1.0, 1.1], 0.2, 1.0)?, [1.0, 1.1]); // h is 0.067
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2512.04784")]
#[doc(
    alias = "PaCo-RL: Advancing Reinforcement Learning for Consistent Image Generation with Pairwise Reward Modeling"
)]
pub fn log_tamed_rewards(rewards: &[f64], threshold: f64, unit: f64) -> Result<Vec<f64>> {
    check_non_negative("threshold", threshold)?;
    check_positive("unit", unit)?;
    if coefficient_of_variation(rewards)? <= threshold {
        return Ok(rewards.to_vec());
    }
    Ok(rewards.iter().map(|reward| (reward / unit).ln_1p()).collect())
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;
    use crate::reward_shaping::values::tests::{assert_close, message};

    #[test]
    fn values_by_hand() {
        let nan = f64::NAN;
        // Mean 4 and unbiased std 4: h = 1.
        let rewards = [0.0, nan, 4.0, 8.0];
        assert_eq!(coefficient_of_variation(&rewards).unwrap(), 1.0);
        assert_close(&log_tamed_rewards(&rewards, 1.0, 1.0).unwrap(), &rewards, 0.0);
        let tamed = log_tamed_rewards(&rewards, 0.99, 4.0).unwrap();
        assert_close(&tamed, &[0.0, nan, 2f64.ln(), 3f64.ln()], 1e-15);
    }

    #[test]
    fn what_does_not_fluctuate_is_kept() {
        for same in [&[][..], &[3.0], &[3.0, 3.0], &[0.0, 0.0], &[f64::NAN]] {
            assert_eq!(coefficient_of_variation(same).unwrap(), 0.0);
            assert_close(&log_tamed_rewards(same, 0.0, 1.0).unwrap(), same, 0.0);
        }
    }

    #[test]
    fn senseless_arguments_are_refused_by_name() {
        for bad in [-1.0, f64::INFINITY] {
            let expected = format!("`rewards`: expected finite and >= 0, or NaN where missing, got {bad}");
            assert_eq!(message(coefficient_of_variation(&[bad])), expected);
            assert_eq!(message(log_tamed_rewards(&[bad], 0.2, 1.0)), expected);
        }
        assert!(message(log_tamed_rewards(&[1.0], -0.1, 1.0)).starts_with("`threshold`"));
        assert!(message(log_tamed_rewards(&[1.0], 0.2, 0.0)).starts_with("`unit`"));
    }

    proptest! {
        #[test]
        fn order_is_kept_and_scale_is_no_fluctuation(rewards in vec(0.0..10.0, 2..6), scale in 0.1..10.0) {
            let tamed = log_tamed_rewards(&rewards, 0.2, 1.0).unwrap();
            prop_assert_eq!(rewards[0] < rewards[1], tamed[0] < tamed[1]);
            prop_assert!(tamed.iter().zip(&rewards).all(|(tamed, reward)| tamed <= reward));
            let scaled: Vec<f64> = rewards.iter().map(|reward| reward * scale).collect();
            let h = coefficient_of_variation(&rewards).unwrap();
            prop_assert!((coefficient_of_variation(&scaled).unwrap() - h).abs() < 1e-9);
        }
    }
}
