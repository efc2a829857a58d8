//! Rewards clipped to one standard deviation about the mean of all that came before.
//!
//! **Paper:** Reward Shaping to Mitigate Reward Hacking in RLHF (2025), 2502.18770, where it is compared with PAR.
//! **Use when:** single rewards are far out, and the others shall stay as they are.
//! **Checked by:** hand-worked values, properties under proptest.
//! **Deviations:** none; the biased variance and its floor of 1e-8 are the authors' code's.

use super::{
    mean_std::{seen, take_in},
    values::check_rewards,
};
use crate::{Moments, Result};

/// Rewards clipped by the moments of those seen before.
///
/// ```text
/// r'_i = min(max(r_i, mean − std), mean + std)
/// ```
///
/// The standard deviation is the biased one, at least 1e-4. Moments that have seen nothing leave rewards as they are. A
/// missing reward stays NaN.
///
/// # Errors
/// A domain error naming `rewards` for infinite ones.
///
/// # Example
/// ```
/// use accordant_objectives::{Moments, reward_shaping::clip::clipped_rewards};
/// let mut moments = Moments::default();
/// moments.add(&[1.0, 5.0]); // mean 3, standard deviation 2
/// assert_eq!(clipped_rewards(&[0.0, 4.0, 9.0], &moments)?, [1.0, 4.0, 5.0]);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2502.18770")]
pub fn clipped_rewards(rewards: &[f64], moments: &Moments) -> Result<Vec<f64>> {
    check_rewards("rewards", rewards)?;
    let Some((mean, std)) = seen(moments) else { return Ok(rewards.to_vec()) };
    // `max` and `min` would make a number of a missing reward, and `clamp` panics where a state of NaN gives the
    // bounds.
    let clipped = |&reward: &f64| match reward {
        low if low < mean - std => mean - std,
        high if high > mean + std => mean + std,
        _ => reward,
    };
    Ok(rewards.iter().map(clipped).collect())
}

/// [`clipped_rewards`] by moments that take these rewards in first: the present ones, once each.
///
/// # Errors
/// A domain error naming `rewards` for infinite ones; `moments` are then as before.
///
/// # Example
/// ```
/// use accordant_objectives::{Moments, reward_shaping::clip::running_clipped_rewards};
/// let mut moments = Moments::default();
/// // Mean 1 and standard deviation √((4 · 1 + 16) / 5) = 2.
/// let clipped = running_clipped_rewards(&[0.0, 0.0, 0.0, 0.0, 5.0], &mut moments)?;
/// assert_eq!(clipped, [0.0, 0.0, 0.0, 0.0, 3.0]);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2502.18770")]
pub fn running_clipped_rewards(rewards: &[f64], moments: &mut Moments) -> Result<Vec<f64>> {
    take_in(rewards, moments)?;
    clipped_rewards(rewards, moments)
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
        // Mean 1 and standard deviation 2, below 0 as above.
        let rewards = [2.0, 2.0, nan, 2.0, 2.0, -3.0];
        let clipped = running_clipped_rewards(&rewards, &mut moments).unwrap();
        assert_close(&clipped, &[2.0, 2.0, nan, 2.0, 2.0, -1.0], 1e-15);
        assert_eq!(moments.count, 5.0);
        let before = moments;
        assert_close(&clipped_rewards(&[9.0, nan, -9.0], &moments).unwrap(), &[3.0, nan, -1.0], 1e-15);
        assert!(message(running_clipped_rewards(&[f64::INFINITY], &mut moments)).starts_with("`rewards`"));
        assert!(message(clipped_rewards(&[f64::NEG_INFINITY], &moments)).starts_with("`rewards`"));
        assert_eq!(moments, before);
    }

    #[test]
    fn an_empty_history_and_one_of_nan_clip_nothing() {
        assert_eq!(clipped_rewards(&[9.0, -9.0], &Moments::default()).unwrap(), [9.0, -9.0]);
        let lost = Moments { count: 2.0, mean: f64::NAN, variance: 1.0 };
        assert_eq!(clipped_rewards(&[9.0, -9.0], &lost).unwrap(), [9.0, -9.0]);
    }

    proptest! {
        #[test]
        fn clipped_rewards_lie_within_one_deviation_and_the_others_are_kept(rewards in vec(-100.0..100.0, 1..20)) {
            let mut moments = Moments::default();
            let clipped = running_clipped_rewards(&rewards, &mut moments).unwrap();
            let std = moments.variance.sqrt().max(1e-4);
            for (reward, clipped) in rewards.iter().zip(clipped) {
                prop_assert!((clipped - moments.mean).abs() <= std * (1.0 + 1e-12));
                prop_assert!((clipped - reward).abs() < 1e-12 || (reward - moments.mean).abs() > std);
            }
        }
    }
}
