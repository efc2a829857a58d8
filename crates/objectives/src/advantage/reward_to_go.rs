//! REINFORCE: each token's advantage is the reward from it on, without a baseline.
//!
//! **Paper:** Simple statistical gradient-following algorithms for connectionist reinforcement learning (1992).
//! **Use when:** one response to each prompt is sampled and there is no critic; as what all others are compared with.
//! **Checked by:** hand-worked values, [`gae`](mod@super::gae) with λ = 1 and values of 0, laws of estimators.
//! **Deviations:** steps run from one scored token to the next.

use burn::config::Config;

use super::{
    Advantages, Estimator, Method, RewardBatch, Scaling, Shift,
    gae::{Whiten, check_discount, reward_to_go},
    token_rewards::{ENDED, TokenRewardConfig},
};
use crate::{Result, side::Column};

/// Configuration of [`RewardToGo`].
#[derive(Config, Debug, PartialEq)]
pub struct RewardToGoConfig {
    /// What a reward is worth one token earlier, in `[0, 1]`. 1: verl's.
    #[config(default = 1.0)]
    pub discount: f64,
    /// Whether advantages are whitened over the scored tokens. None: the paper's.
    #[config(default = "Whiten::None")]
    pub whiten: Whiten,
    /// Bounds of the score, low ≤ high. None: ours.
    pub reward_clip: Option<(f64, f64)>,
    /// Subtracted from the score of a response that did not end (column [`ENDED`]), finite and ≥ 0. None: ours.
    pub missing_eos_penalty: Option<f64>,
}

impl RewardToGoConfig {
    fn token_rewards(&self) -> TokenRewardConfig {
        TokenRewardConfig::new().with_reward_clip(self.reward_clip).with_missing_eos_penalty(self.missing_eos_penalty)
    }

    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<RewardToGo> {
        check_discount(self.discount)?;
        self.whiten.check()?;
        self.token_rewards().validate()?;
        Ok(RewardToGo { config: self.clone() })
    }
}

/// Rewards from each token on; see [`reward_to_go`]. A divergence in the reward reaches the tokens before it, too.
///
/// ```text
/// A_t = R_t + γ A_{t+}
/// ```
///
/// # Example
/// ```
/// use accordant_objectives::advantage::{Estimator, RewardBatch, reward_to_go::RewardToGoConfig};
/// use accordant_ops::groups::Groups;
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let mask = Tensor::full([1, 3], true, &device);
/// let batch = RewardBatch::new(Tensor::from_floats([8.0], &device), Groups::new(&[0]), mask)?;
/// let output = RewardToGoConfig::new().with_discount(0.5).init()?.estimate(&batch)?;
/// assert_eq!(output.advantages.try_to_vec_as::<f32>().unwrap(), [2.0, 4.0, 8.0]);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "REINFORCE")]
#[doc(alias = "Simple statistical gradient-following algorithms for connectionist reinforcement learning")]
#[derive(Debug, Clone, PartialEq)]
pub struct RewardToGo {
    config: RewardToGoConfig,
}

/// `reward_to_go` by name.
pub const METHOD: Method = Method {
    name: "reward_to_go",
    title: "Rewards to Go (REINFORCE)",
    build: |options| Ok(Box::new(options.apply("reward_to_go", RewardToGoConfig::new())?.init()?)),
};

impl RewardToGo {
    /// [`Estimator::estimate`] for the method called `name`.
    pub(super) fn estimate_for(&self, batch: &RewardBatch, name: &'static str) -> Result<Advantages> {
        let RewardToGoConfig { discount, whiten, .. } = self.config;
        let rewards = batch.token_rewards(&self.config.token_rewards(), name)?;
        let to_go = reward_to_go(rewards.rewards, rewards.mask.clone(), discount)?;
        Advantages::of_tokens(batch, whiten.apply(to_go, rewards.mask)?)
    }
}

impl Estimator for RewardToGo {
    fn name(&self) -> &'static str {
        "reward_to_go"
    }

    fn shift(&self) -> Shift {
        let is_plain = self.config.reward_clip.is_none() && self.config.discount == 1.0;
        if is_plain && self.config.whiten == Whiten::Batch { Shift::Ignored } else { Shift::Counts }
    }

    fn scaling(&self) -> Scaling {
        match self.config.whiten {
            _ if self.config.reward_clip.is_some() || self.config.missing_eos_penalty.is_some() => Scaling::Other,
            Whiten::None => Scaling::Kept,
            Whiten::Batch => Scaling::Ignored,
            Whiten::GlobalStats { .. } => Scaling::Other,
        }
    }

    fn columns(&self) -> Vec<Column> {
        if self.config.missing_eos_penalty.is_some() { vec![ENDED] } else { Vec::new() }
    }

    fn estimate(&self, batch: &RewardBatch) -> Result<Advantages> {
        self.estimate_for(batch, self.name())
    }
}

#[cfg(test)]
mod tests {
    use accordant_ops::kl::{KlEstimator, KlOptions};

    use super::*;
    use crate::advantage::{
        gae::Lambda,
        gae_estimator::GaeEstimatorConfig,
        scan::tests::{grid, near},
        tests::{advantages, batch, vector},
    };

    /// Two rows, the second with a tool's output between its tokens, and a divergence of 2, 0 and of 0, 4.
    fn rows() -> RewardBatch {
        let rows = batch(&[3.0, -2.0], &[1, 2], &[[1, 1, 0], [1, 0, 1]]);
        let reference = grid(&[[-3.0, -1.0, 0.0], [-1.0, 0.0, -5.0]]);
        rows.with_logps(grid(&[[-1.0; 3]; 2]), reference).unwrap()
    }

    fn penalized() -> RewardBatch {
        rows().penalized("test", 0.25, &KlOptions::new(KlEstimator::K1)).unwrap()
    }

    #[test]
    fn values_by_hand() {
        let with = |config: RewardToGoConfig, batch: &RewardBatch| advantages(&config.init().unwrap(), batch);
        let plain = RewardToGoConfig::new();
        assert_eq!(with(plain.clone(), &rows()), [3.0, 3.0, 0.0, -2.0, 0.0, -2.0]);
        // Rewards −0.5, 3 and 0, −3.
        assert_eq!(with(plain.clone(), &penalized()), [2.5, 3.0, 0.0, -3.0, 0.0, -3.0]);
        assert_eq!(with(plain.clone().with_discount(0.5), &penalized()), [1.0, 3.0, 0.0, -1.5, 0.0, -3.0]);
        let clipped = plain.clone().with_reward_clip(Some((-1.0, 1.0)));
        assert_eq!(with(clipped.clone(), &rows()), [1.0, 1.0, 0.0, -1.0, 0.0, -1.0]);
        let ended = rows().with_column(ENDED, vector(&[1.0, 0.0])).unwrap();
        let late = clipped.with_missing_eos_penalty(Some(0.5));
        assert_eq!(with(late, &ended), [1.0, 1.0, 0.0, -1.5, 0.0, -1.5]);
        // 3, 3, −2, −2: mean 0.5, variance 4 · 6.25 / 3.
        let unit = 2.5 / (25.0f64 / 3.0 + 1e-8).sqrt();
        let whitened = with(plain.clone().with_whiten(Whiten::Batch), &rows());
        near(&whitened, &[unit, unit, 0.0, -unit, 0.0, -unit], 1e-14);
        let by = with(plain.with_whiten(Whiten::GlobalStats { mean: 1.0, std: 2.0 }), &rows());
        near(&by, &[1.0, 1.0, 0.0, -1.5, 0.0, -1.5], 1e-8);
    }

    #[test]
    fn it_is_gae_without_a_critic() {
        let config = GaeEstimatorConfig::new().with_whiten(Whiten::None).with_gae_lambda(Lambda::Constant(1.0));
        let free = penalized().with_values(grid(&[[0.0; 3]; 2])).unwrap();
        let expected = advantages(&config.with_discount(0.5).init().unwrap(), &free);
        let got = advantages(&RewardToGoConfig::new().with_discount(0.5).init().unwrap(), &penalized());
        near(&got, &expected, 1e-15);
    }

    #[test]
    fn defaults_and_refused_values() {
        let config = RewardToGoConfig::new();
        let expected =
            RewardToGoConfig { discount: 1.0, whiten: Whiten::None, reward_clip: None, missing_eos_penalty: None };
        assert_eq!(config, expected);
        for (config, start) in [
            (config.clone().with_discount(-0.1), "`discount`"),
            (config.clone().with_whiten(Whiten::GlobalStats { mean: f64::NAN, std: 1.0 }), "`whiten.mean`"),
            (config.clone().with_reward_clip(Some((1.0, 0.0))), "`reward_clip.1`"),
            (config.clone().with_missing_eos_penalty(Some(-1.0)), "`missing_eos_penalty`"),
        ] {
            let error = config.init().unwrap_err().to_string();
            assert!(error.starts_with(start), "{error}");
        }
        let missing = config.with_missing_eos_penalty(Some(1.0)).init().unwrap().estimate(&rows()).unwrap_err();
        assert!(missing.to_string().starts_with("`reward_to_go` needs `ended`"), "{missing}");
    }
}
