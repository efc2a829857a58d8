//! Rewards whitened by the mean and the standard deviation of all that came before.
//!
//! **Paper:** Reward Shaping to Mitigate Reward Hacking in RLHF (2025), 2502.18770, where it is compared with PAR.
//! **Use when:** the scale of rewards drifts or differs between runs, and the estimator does not normalize by itself.
//! **Checked by:** hand-worked values, splits of a stream under proptest.
//! **Deviations:** none; the biased variance and its floor of 1e-8 are the authors' code's.

use super::values::{check_rewards, present};
use crate::{Moments, Result};

/// Variances below this count as this: equal rewards are 0, not rounding over rounding.
const MIN_VARIANCE: f64 = 1e-8;

/// Rewards whitened by the moments of those seen before.
///
/// ```text
/// r'_i = (r_i − mean) / max(std, 1e-4)
/// ```
///
/// The standard deviation is the biased one. Moments that have seen nothing leave rewards as they are. A missing reward
/// stays NaN.
///
/// # Errors
/// A domain error naming `rewards` for infinite ones.
///
/// # Example
/// ```
/// use accordant_objectives::{Moments, reward_shaping::mean_std::mean_std_rewards};
/// let mut moments = Moments::default();
/// moments.add(&[1.0, 5.0]); // mean 3, standard deviation 2
/// assert_eq!(mean_std_rewards(&[3.0, 7.0], &moments)?, [0.0, 2.0]);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2502.18770")]
pub fn mean_std_rewards(rewards: &[f64], moments: &Moments) -> Result<Vec<f64>> {
    check_rewards("rewards", rewards)?;
    let (mean, std) = seen(moments).unwrap_or((0.0, 1.0));
    Ok(rewards.iter().map(|reward| (reward - mean) / std).collect())
}

/// [`mean_std_rewards`] by moments that take these rewards in first: the present ones, once each.
///
/// # Errors
/// A domain error naming `rewards` for infinite ones; `moments` are then as before.
///
/// # Example
/// ```
/// use accordant_objectives::{Moments, reward_shaping::mean_std::running_mean_std_rewards};
/// let mut moments = Moments::default();
/// assert_eq!(running_mean_std_rewards(&[1.0, 5.0], &mut moments)?, [-1.0, 1.0]);
/// assert_eq!(moments.count, 2.0);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2502.18770")]
pub fn running_mean_std_rewards(rewards: &[f64], moments: &mut Moments) -> Result<Vec<f64>> {
    take_in(rewards, moments)?;
    mean_std_rewards(rewards, moments)
}

/// The present rewards into the moments.
pub(super) fn take_in(rewards: &[f64], moments: &mut Moments) -> Result<()> {
    check_rewards("rewards", rewards)?;
    moments.add(&present(rewards));
    Ok(())
}

/// The mean and the standard deviation of what was seen, if anything was.
pub(super) fn seen(moments: &Moments) -> Option<(f64, f64)> {
    (moments.count > 0.0).then(|| (moments.mean, moments.variance.max(MIN_VARIANCE).sqrt()))
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;
    use crate::reward_shaping::values::tests::{assert_close, message};

    #[test]
    fn values_by_hand() {
        let mut moments = Moments::default();
        let nan = f64::NAN;
        assert_close(&running_mean_std_rewards(&[1.0, nan, 5.0], &mut moments).unwrap(), &[-1.0, nan, 1.0], 1e-15);
        // Mean 4 and variance 14/3 of 1, 5 and 6.
        let expected = 2.0 / (14f64 / 3.0).sqrt();
        assert_close(&running_mean_std_rewards(&[6.0], &mut moments).unwrap(), &[expected], 1e-14);
        let before = moments;
        assert_close(&mean_std_rewards(&[4.0, nan], &moments).unwrap(), &[0.0, nan], 1e-14);
        assert_eq!(moments, before);
        assert!(message(running_mean_std_rewards(&[0.0, f64::INFINITY], &mut moments)).starts_with("`rewards`"));
        assert!(message(mean_std_rewards(&[f64::INFINITY], &moments)).starts_with("`rewards`"));
        assert_eq!(moments, before);
    }

    #[test]
    fn equal_rewards_are_zero_and_an_empty_history_changes_nothing() {
        let mut moments = Moments::default();
        assert_eq!(mean_std_rewards(&[3.5, -2.0], &moments).unwrap(), [3.5, -2.0]);
        assert_close(&running_mean_std_rewards(&[f64::NAN], &mut moments).unwrap(), &[f64::NAN], 0.0);
        assert_eq!(moments, Moments::default());
        // The mean of 49 times 0.1 is not 0.1.
        assert_close(&running_mean_std_rewards(&[0.1; 49], &mut moments).unwrap(), &[0.0; 49], 1e-11);
        // A variance below the floor: 1e-6 off, in units of 1e-4.
        assert_close(&mean_std_rewards(&[0.1 + 1e-6], &moments).unwrap(), &[0.01], 1e-11);
    }

    #[test]
    fn moments_survive_json() {
        let mut moments = Moments::default();
        moments.add(&[0.1, 0.7, -3.0]);
        let saved = serde_json::to_string(&moments).unwrap();
        assert_eq!(serde_json::from_str::<Moments>(&saved).unwrap(), moments);
    }

    proptest! {
        #[test]
        fn a_whitened_batch_has_mean_zero_and_variance_one(rewards in vec(-100.0..100.0, 2..20)) {
            let mut moments = Moments::default();
            let shaped = running_mean_std_rewards(&rewards, &mut moments).unwrap();
            let mut after = Moments::default();
            after.add(&shaped);
            prop_assert!(after.mean.abs() < 1e-9);
            prop_assert!((after.variance - 1.0).abs() < 1e-9 || moments.variance < MIN_VARIANCE);
        }

        #[test]
        fn batches_in_turn_end_like_one(rewards in vec(-100.0..100.0, 1..20), cut in 0_usize..20) {
            let (mut whole, mut parts) = (Moments::default(), Moments::default());
            let cut = cut.min(rewards.len());
            running_mean_std_rewards(&rewards, &mut whole).unwrap();
            running_mean_std_rewards(&rewards[..cut], &mut parts).unwrap();
            running_mean_std_rewards(&rewards[cut..], &mut parts).unwrap();
            prop_assert!((whole.mean - parts.mean).abs() < 1e-9 && (whole.variance - parts.variance).abs() < 1e-8);
        }
    }
}
