//! Rewards between the smallest and the largest of all that came before.
//!
//! **Paper:** Reward Shaping to Mitigate Reward Hacking in RLHF (2025), 2502.18770, where it is compared with PAR.
//! **Use when:** rewards are bounded in ways that are not known beforehand.
//! **Checked by:** hand-worked values, properties under proptest.
//! **Deviations:** where all rewards so far were equal they are ½; the authors' code makes them 0.

use serde::{Deserialize, Serialize};

use super::values::check_rewards;
use crate::Result;

/// The smallest and the largest number of a stream.
///
/// # Example
/// ```
/// use accordant_objectives::reward_shaping::min_max::Extremes;
/// let mut extremes = Extremes::default();
/// extremes.add(&[2.0, f64::NAN, -1.0]);
/// assert_eq!(extremes.bounds, Some([-1.0, 2.0]));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Extremes {
    /// The smallest and the largest; none before the first.
    pub bounds: Option<[f64; 2]>,
}

impl Extremes {
    /// Takes numbers in; NaN is left out.
    pub fn add(&mut self, values: &[f64]) {
        for &value in values.iter().filter(|value| !value.is_nan()) {
            let [low, high] = self.bounds.unwrap_or([value; 2]);
            self.bounds = Some([low.min(value), high.max(value)]);
        }
    }

    /// Where a number lies between the two: 0 at the smallest, 1 at the largest, ½ while they are equal or unknown.
    pub(super) fn place(&self, value: f64) -> f64 {
        match self.bounds {
            Some([low, high]) if low < high => (value - low) / (high - low),
            _ if value.is_nan() => value,
            _ => 0.5,
        }
    }
}

/// Rewards by the extremes of those seen before.
///
/// ```text
/// r'_i = (r_i − min) / (max − min),   ½ where max = min
/// ```
///
/// In `[0, 1]` for rewards within the extremes. ½ when nothing was seen. A missing reward stays NaN.
///
/// # Errors
/// A domain error naming `rewards` for infinite ones.
///
/// # Example
/// ```
/// use accordant_objectives::reward_shaping::min_max::{Extremes, min_max_rewards};
/// let seen = Extremes { bounds: Some([1.0, 5.0]) };
/// assert_eq!(min_max_rewards(&[1.0, 2.0, 5.0], &seen)?, [0.0, 0.25, 1.0]);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2502.18770")]
pub fn min_max_rewards(rewards: &[f64], extremes: &Extremes) -> Result<Vec<f64>> {
    check_rewards("rewards", rewards)?;
    Ok(rewards.iter().map(|reward| extremes.place(*reward)).collect())
}

/// [`min_max_rewards`] by extremes that take these rewards in first: always in `[0, 1]`.
///
/// # Errors
/// A domain error naming `rewards` for infinite ones; `extremes` are then as before.
///
/// # Example
/// ```
/// use accordant_objectives::reward_shaping::min_max::{Extremes, running_min_max_rewards};
/// let mut extremes = Extremes::default();
/// assert_eq!(running_min_max_rewards(&[3.0], &mut extremes)?, [0.5]);
/// assert_eq!(running_min_max_rewards(&[2.0, 4.0, 6.0], &mut extremes)?, [0.0, 0.5, 1.0]);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2502.18770")]
pub fn running_min_max_rewards(rewards: &[f64], extremes: &mut Extremes) -> Result<Vec<f64>> {
    check_rewards("rewards", rewards)?;
    extremes.add(rewards);
    min_max_rewards(rewards, extremes)
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;
    use crate::reward_shaping::values::tests::{assert_close, message};

    #[test]
    fn values_by_hand() {
        let mut extremes = Extremes::default();
        let nan = f64::NAN;
        assert_close(&min_max_rewards(&[7.0, nan], &extremes).unwrap(), &[0.5, nan], 0.0);
        assert_close(&running_min_max_rewards(&[3.0, nan, 3.0], &mut extremes).unwrap(), &[0.5, nan, 0.5], 0.0);
        assert_close(&running_min_max_rewards(&[-1.0, nan, 1.0], &mut extremes).unwrap(), &[0.0, nan, 0.5], 0.0);
        assert_eq!(extremes.bounds, Some([-1.0, 3.0]));
        // What only reads may leave [0, 1].
        assert_eq!(min_max_rewards(&[5.0, -3.0], &extremes).unwrap(), [1.5, -0.5]);
        assert!(message(running_min_max_rewards(&[f64::INFINITY], &mut extremes)).starts_with("`rewards`"));
        assert!(message(min_max_rewards(&[f64::INFINITY], &extremes)).starts_with("`rewards`"));
        assert_eq!(extremes.bounds, Some([-1.0, 3.0]));
    }

    #[test]
    fn extremes_survive_json() {
        for extremes in [Extremes::default(), Extremes { bounds: Some([-0.1, 0.7]) }] {
            let saved = serde_json::to_string(&extremes).unwrap();
            assert_eq!(serde_json::from_str::<Extremes>(&saved).unwrap(), extremes);
        }
    }

    proptest! {
        #[test]
        fn in_the_unit_interval_and_in_order(rewards in vec(-100.0..100.0, 2..20), before in vec(-100.0..100.0, 0..3)) {
            let mut extremes = Extremes::default();
            extremes.add(&before);
            let shaped = running_min_max_rewards(&rewards, &mut extremes).unwrap();
            prop_assert!(shaped.iter().all(|reward| (0.0..=1.0).contains(reward)));
            prop_assert_eq!(rewards[0] < rewards[1], shaped[0] < shaped[1]);
        }
    }
}
