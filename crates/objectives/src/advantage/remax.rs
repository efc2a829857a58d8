//! ReMax: the baseline is the reward of the greedy response to the same prompt.
//!
//! **Paper:** ReMax: A Simple, Effective, and Efficient Reinforcement Learning Method for Aligning Large Language Models
//! (2023), 2310.10505.
//! **Use when:** one response to each prompt is sampled and there is no critic; a greedy response costs less than a group.
//! **Checked by:** hand-worked values, rewards to go less a number, laws of estimators.
//! **Deviations:** none; a divergence in the reward is none of the greedy response's, as in verl.

use burn::config::Config;

use super::{
    Advantages, Estimator, Method, RewardBatch, Scaling, Shift,
    gae::reward_to_go,
    token_rewards::{TokenRewardConfig, check_reward_clip, clipped},
};
use crate::{
    Result,
    rollout::RolloutBatch,
    side::{Column, Domain},
};

/// What the greedy response to the same prompt is worth.
pub const GREEDY_REWARD: Column =
    Column { name: "greedy_reward", domain: Domain::Real, meaning: "reward of the greedy response to the prompt" };

/// Configuration of [`ReMax`].
#[derive(Config, Debug, PartialEq)]
pub struct ReMaxConfig {
    /// Bounds of the reward and of the greedy response's, low ≤ high. None: the paper's.
    pub reward_clip: Option<(f64, f64)>,
}

impl ReMaxConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<ReMax> {
        check_reward_clip(self.reward_clip)?;
        Ok(ReMax { config: self.clone() })
    }
}

/// Rewards from each token on, less the reward of the greedy response ([`GREEDY_REWARD`]).
///
/// ```text
/// A_t = Σ_{s ≥ t} R_s − r(greedy response)
/// ```
///
/// Where the reward of the greedy response is missing (NaN), the advantage is 0.
///
/// # Example
/// ```
/// use accordant_objectives::advantage::{Estimator, RewardBatch, remax::{GREEDY_REWARD, ReMaxConfig}};
/// use accordant_ops::groups::Groups;
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let mask = Tensor::full([2, 1], true, &device);
/// let batch = RewardBatch::new(Tensor::from_floats([1.0, 0.0], &device), Groups::new(&[0, 1]), mask)?
///     .with_column(GREEDY_REWARD, Tensor::from_floats([0.75, 0.25], &device))?;
/// let output = ReMaxConfig::new().init()?.estimate(&batch)?;
/// assert_eq!(output.advantages.try_to_vec_as::<f32>().unwrap(), [0.25, -0.25]);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2310.10505")]
#[doc(
    alias = "ReMax: A Simple, Effective, and Efficient Reinforcement Learning Method for Aligning Large Language Models"
)]
#[derive(Debug, Clone, PartialEq)]
pub struct ReMax {
    config: ReMaxConfig,
}

/// `remax` by name.
pub const METHOD: Method = Method {
    name: "remax",
    title: "ReMax",
    build: |options| Ok(Box::new(options.apply("remax", ReMaxConfig::new())?.init()?)),
};

impl Estimator for ReMax {
    fn name(&self) -> &'static str {
        "remax"
    }

    fn columns(&self) -> Vec<Column> {
        vec![GREEDY_REWARD]
    }

    fn scaling(&self) -> Scaling {
        Scaling::Other // The greedy response's reward would have to be scaled, too.
    }

    fn shift(&self) -> Shift {
        Shift::Counts
    }

    fn estimate(&self, batch: &RewardBatch) -> Result<Advantages> {
        let config = TokenRewardConfig::new().with_reward_clip(self.config.reward_clip);
        let rewards = batch.token_rewards(&config, self.name())?;
        let baseline = clipped(batch.column(GREEDY_REWARD, self.name())?, self.config.reward_clip);
        let baseline = RolloutBatch::per_token(baseline, batch.mask())?;
        let missing = baseline.clone().is_nan();
        let advantages = reward_to_go(rewards.rewards, rewards.mask, 1.0)? - baseline;
        Advantages::of_tokens(batch, advantages.mask_fill(missing, 0.0))
    }
}

#[cfg(test)]
mod tests {
    use accordant_ops::kl::{KlEstimator, KlOptions};

    use super::*;
    use crate::advantage::{
        scan::tests::grid,
        tests::{advantages, batch, vector},
    };

    fn rows() -> RewardBatch {
        let rows = batch(&[3.0, -2.0, 1.0], &[1, 1, 2], &[[1, 1], [1, 0], [1, 1]]);
        rows.with_column(GREEDY_REWARD, vector(&[0.5, -4.0, f64::NAN])).unwrap()
    }

    #[test]
    fn values_by_hand() {
        let with = |config: ReMaxConfig, batch: &RewardBatch| advantages(&config.init().unwrap(), batch);
        assert_eq!(with(ReMaxConfig::new(), &rows()), [2.5, 2.5, 2.0, 0.0, 0.0, 0.0]);
        let clip = ReMaxConfig::new().with_reward_clip(Some((-3.0, 2.0)));
        assert_eq!(with(clip, &rows()), [1.5, 1.5, 1.0, 0.0, 0.0, 0.0]);
        // A divergence of 1 and of 2: rewards −0.25 and 2.5, to go 2.25 and 2.5.
        let rows = rows().with_logps(grid(&[[-1.0; 2]; 3]), grid(&[[-2.0, -3.0], [-1.0; 2], [-1.0; 2]])).unwrap();
        let rows = rows.penalized("test", 0.25, &KlOptions::new(KlEstimator::K1)).unwrap();
        assert_eq!(with(ReMaxConfig::new(), &rows)[..3], [1.75, 2.0, 2.0]);
    }

    #[test]
    fn defaults_and_refused_values() {
        assert_eq!(ReMaxConfig::new(), ReMaxConfig { reward_clip: None });
        let error = ReMaxConfig::new().with_reward_clip(Some((1.0, 0.0))).init().unwrap_err().to_string();
        assert!(error.starts_with("`reward_clip.1`"), "{error}");
        let bare = batch(&[3.0], &[1], &[[1]]);
        let error = ReMaxConfig::new().init().unwrap().estimate(&bare).unwrap_err().to_string();
        assert!(error.starts_with("`remax` needs `greedy_reward`"), "{error}");
    }
}
