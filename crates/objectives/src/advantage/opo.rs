//! On-Policy RL with Optimal Reward Baseline (OPO): the baseline is the group's mean reward, weighted by length.
//!
//! **Paper:** On-Policy RL with Optimal Reward Baseline (2025), 2505.23585.
//! **Use when:** responses to a prompt differ much in length and each batch is learned from once.
//! **Checked by:** a golden number, hand-worked values, [`group_normalized`](super::group_normalized) at equal lengths, laws
//! of estimators.
//! **Deviations:** none.

use burn::config::Config;

use super::{Advantages, Estimator, Method, RewardBatch, Scaling, Shift};
use crate::Result;

/// Configuration of [`Opo`], which has nothing to configure.
#[derive(Config, Debug, PartialEq)]
pub struct OpoConfig {}

impl OpoConfig {
    /// The estimator.
    ///
    /// # Errors
    /// None.
    pub fn init(&self) -> Result<Opo> {
        Ok(Opo {})
    }
}

/// Rewards less the mean of their group, each response as often as it has tokens.
///
/// ```text
/// A_i = r_i − Σ_j n_j r_j / Σ_j n_j
/// ```
///
/// That baseline makes the variance of the gradient smallest if each token's part of it has the same size and those of
/// different tokens are orthogonal. Advantages times lengths sum to 0 over a group. Equal lengths give Dr. GRPO.
///
/// # Example
/// ```
/// use accordant_objectives::advantage::{Estimator, RewardBatch, opo::OpoConfig};
/// use accordant_ops::groups::Groups;
/// use burn::tensor::{Device, Tensor, TensorData};
/// let device = Device::flex();
/// let mask = Tensor::from_bool(TensorData::from([[true, true, true], [true, false, false]]), &device);
/// let batch = RewardBatch::new(Tensor::from_floats([1.0, 0.0], &device), Groups::new(&[0, 0]), mask)?;
/// let output = OpoConfig::new().init()?.estimate(&batch)?; // the mean is 3/4
/// assert_eq!(output.advantages.try_to_vec_as::<f32>().unwrap(), [0.25, 0.25, 0.25, -0.75, 0.0, 0.0]);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2505.23585")]
#[doc(alias = "On-Policy RL with Optimal Reward Baseline")]
#[derive(Debug, Clone, PartialEq)]
pub struct Opo {}

/// `opo` by name.
pub const METHOD: Method = Method {
    name: "opo",
    title: "On-Policy RL with Optimal Reward Baseline",
    build: |options| Ok(Box::new(options.apply("opo", OpoConfig::new())?.init()?)),
};

impl Estimator for Opo {
    fn name(&self) -> &'static str {
        "opo"
    }

    fn shift(&self) -> Shift {
        Shift::IgnoredByGroup
    }

    fn scaling(&self) -> Scaling {
        Scaling::Kept
    }

    fn estimate(&self, batch: &RewardBatch) -> Result<Advantages> {
        let rewards = batch.rewards()?;
        let baseline = batch.stats(rewards.clone())?.weighted_mean(batch.lengths())?;
        Advantages::of_rows(batch, rewards - baseline)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advantage::{
        group_normalized::{GroupNormalizedConfig, Scale},
        scan::tests::near,
        tests::{advantages, batch, responses},
    };

    fn opo() -> Opo {
        OpoConfig::new().init().unwrap()
    }

    #[test]
    fn the_golden_number_and_values_by_hand() {
        // Lengths of 30 and 10, as 3 and 1.
        let golden = batch(&[1.0, 0.0], &[1, 1], &[[1, 1, 1], [0, 1, 0]]);
        near(&advantages(&opo(), &golden), &[0.25, 0.25, 0.25, 0.0, -0.75, 0.0], 1e-15);
        // (2 · 4 + 1 · −2) / 3 = 2; alone; a row without a reward weighs nothing.
        let mixed = batch(&[4.0, 9.0, -2.0, f64::NAN], &[1, 2, 1, 1], &[[1, 1], [1, 0], [1, 0], [1, 1]]);
        near(&advantages(&opo(), &mixed), &[2.0, 2.0, 0.0, 0.0, -4.0, 0.0, 0.0, 0.0], 1e-15);
    }

    #[test]
    fn equal_lengths_give_the_centered_reward() {
        let rewards = responses(&[0.3, -1.7, 2.9, 4.0, 0.5], &[1, 1, 1, 2, 2]);
        let centered = advantages(&GroupNormalizedConfig::new().with_scale(Scale::None).init().unwrap(), &rewards);
        near(&advantages(&opo(), &rewards), &centered, 1e-15);
    }
}
