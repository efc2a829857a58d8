//! Proximal Policy Optimization (PPO) for language models.
//!
//! **Paper:** Training language models to follow instructions with human feedback (2022), 2203.02155, after Proximal
//! Policy Optimization Algorithms (2017), 1707.06347.
//! **Use when:** a critic can be trained beside the policy, and single responses are all that can be sampled.
//! **Checked by:** golden numbers (TRL), hand-worked values, laws, finite differences, a world with a known optimum.
//! **Deviations:** the score is the reward of the last scored token as in OpenRLHF and verl, where TRL gives it to the
//! position behind it.

use accordant_ops::{check_domain, reduce::Aggregation};
use burn::config::Config;

use super::{KlPlacement, Method, PolicyGradient, PolicyGradientConfig, RatioLevel, surrogate::clip::ClipConfig};
use crate::{
    Result,
    advantage::{gae::Lambda, gae_estimator::GaeEstimatorConfig},
    value::clipped_value::ClippedValueConfig,
};

/// Configuration of PPO, a point of the [grid](PolicyGradient) with a critic.
///
/// ```text
/// mean over tokens of  max(−A ρ, −A clip(ρ, 1 − ε, 1 + ε))  +  value_coef · mean of ½ max((V − R)², (V_clipped − R)²)
/// A by GAE(λ) from  R_t = −kl_coef k1_t + score at the last token,  whitened over the batch
/// ```
///
/// One iteration: sample, and keep log-probabilities, reference, values and scores as they are; advantages and returns of
/// the **whole** batch; then for each epoch and mini-batch one update with new log-probabilities and values. Steer
/// `kl_coef` by [`AdaptiveKl`](accordant_ops::adaptive_kl::AdaptiveKl) if it shall hold a target.
#[doc(alias = "1707.06347")]
#[doc(alias = "2203.02155")]
#[doc(alias = "InstructGPT")]
#[doc(alias = "RLHF")]
#[derive(Config, Debug, PartialEq)]
pub struct PpoConfig {
    /// ε below 1, in `[0, 1]`. 0.2: the paper's.
    #[config(default = 0.2)]
    pub clip_low: f64,
    /// ε above 1, finite and ≥ 0. 0.2: the paper's.
    #[config(default = 0.2)]
    pub clip_high: f64,
    /// The most that a negative advantage costs, in units of itself, finite and > 1. None: TRL's; verl takes 3.
    #[config(default = "None")]
    pub dual_clip: Option<f64>,
    /// Weight of the divergence in the rewards, by K1, finite and ≥ 0. 0.05: TRL's; verl takes 0.001.
    #[config(default = 0.05)]
    pub kl_coef: f64,
    /// γ, in `[0, 1]`. 1: everyone's.
    #[config(default = 1.0)]
    pub discount: f64,
    /// λ of advantages and returns, in `[0, 1]`. 0.95: TRL's.
    #[config(default = 0.95)]
    pub gae_lambda: f64,
    /// Weight of the value loss, finite and > 0. 0.1: TRL's.
    #[config(default = 0.1)]
    pub value_coef: f64,
    /// How far a value may move from the old one, finite and > 0; None: any way. 0.2: TRL's; verl takes 0.5.
    #[config(default = "Some(0.2)")]
    pub value_clip: Option<f64>,
    /// Weight of the mean entropy, which is maximized, finite. 0: TRL's.
    #[config(default = 0.0)]
    pub entropy_coef: f64,
}

impl PpoConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<PolicyGradient> {
        let coef = self.kl_coef;
        check_domain(coef.is_finite() && coef >= 0.0, "kl_coef", "finite and >= 0", coef)?;
        let clip = ClipConfig::new().with_clip_low(self.clip_low).with_clip_high(self.clip_high);
        let gae =
            GaeEstimatorConfig::new().with_discount(self.discount).with_gae_lambda(Lambda::Constant(self.gae_lambda));
        PolicyGradientConfig::new(RatioLevel::Token, Aggregation::TokenMean)
            .with_kl(KlPlacement::in_reward(coef))
            .with_entropy(super::EntropyConfig::new().with_entropy_coef(self.entropy_coef))
            .init("ppo", gae.init()?, clip.with_dual_clip(self.dual_clip).init()?)?
            .with_critic(self.value_coef, ClippedValueConfig::new().with_cliprange(self.value_clip).init()?)
    }
}

/// `ppo` by name.
pub const METHOD: Method = Method {
    name: "ppo",
    title: "Proximal Policy Optimization",
    build: |options| Ok(Box::new(options.apply("ppo", PpoConfig::new())?.init()?)),
};

#[cfg(test)]
mod tests {
    use accordant_ops::{TokenLogps, groups::Groups};
    use burn::tensor::{Tensor, TensorData};

    use super::*;
    use crate::{
        advantage::RewardBatch,
        rollout::{
            RolloutBatch, RolloutObjective,
            tests::{close, host, mask, matrix},
        },
        value::ValueBatch,
    };

    /// Two responses of two and one tokens: rewards, and what a critic said.
    fn rewards() -> RewardBatch {
        let kept = mask([[true, true], [true, false]]);
        let scores = Tensor::from_data(TensorData::from([1.0, -1.0]), (&kept.device(), burn::tensor::DType::F64));
        RewardBatch::new(scores, Groups::new(&[0, 1]), kept)
            .unwrap()
            .with_values(matrix([[0.5, 0.25], [0.0, f64::NAN]]))
            .unwrap()
            .with_logps(matrix([[-1.0, -2.0], [-3.0, 0.0]]), matrix([[-1.5, -2.0], [-1.0, 0.0]]))
            .unwrap()
    }

    #[test]
    fn an_iteration_by_hand() {
        let ppo = PpoConfig::new().with_kl_coef(0.2).with_gae_lambda(0.5).with_value_coef(0.5).init().unwrap();
        assert!(ppo.needs_reference() && ppo.needs_values() && !ppo.needs_entropies());
        let made = ppo.advantages(&rewards()).unwrap();
        // Rewards: −0.2 · 0.5, 1 and −1 − 0.2 · (−2). δ: −0.1 + 0.25 − 0.5, 1 − 0.25, −0.6.
        let plain = [-0.35 + 0.5 * 0.75, 0.75, -0.6];
        let returns = made.returns.unwrap();
        close(&host(returns.returns.clone()), &[plain[0] + 0.5, plain[1] + 0.25, plain[2], 0.0], 1e-15);
        let mean: f64 = plain.iter().sum::<f64>() / 3.0;
        let std = (plain.iter().map(|a| (a - mean).powi(2)).sum::<f64>() / 2.0 + 1e-8).sqrt();
        let whitened = plain.map(|a| (a - mean) / std);
        close(&host(made.advantages.clone()), &[whitened[0], whitened[1], whitened[2], 0.0], 1e-14);

        let policy = matrix([[-1.1, -1.5], [-3.0, f64::NAN]]);
        let values = ValueBatch::new(matrix([[0.6, 1.0], [-0.1, 9.0]]), returns.returns, returns.mask).unwrap();
        let batch = RolloutBatch::new(TokenLogps::new(policy, rewards().mask()).unwrap(), made.advantages).unwrap();
        let batch = batch.with_old(matrix([[-1.0, -2.0], [-3.0, 0.0]])).unwrap();
        let batch = batch.with_critic(values.with_old_values(matrix([[0.5, 0.25], [0.0, 0.0]])).unwrap()).unwrap();
        let [a, b, c] = whitened;
        // The first ratio is within the bounds or has a negative advantage; the second one's gain ends at 1.2.
        let policy_loss = (-a * (-0.1f64).exp() - b * 1.2 - c) / 3.0;
        // The second value has moved by 0.75 and counts as 0.25 + 0.2.
        let errors = [0.6 - plain[0] - 0.5, 0.45 - plain[1] - 0.25, -0.1 - plain[2]];
        let value_loss = errors.iter().map(|error| error * error / 2.0).sum::<f64>() / 3.0;
        close(&host(ppo.forward(&batch).unwrap().reduced.loss), &[policy_loss + 0.5 * value_loss], 1e-14);
    }

    #[test]
    fn defaults_and_domains() {
        let config = PpoConfig::new();
        assert_eq!((config.clip_low, config.clip_high, config.dual_clip), (0.2, 0.2, None));
        assert_eq!((config.kl_coef, config.discount, config.gae_lambda), (0.05, 1.0, 0.95));
        assert_eq!((config.value_coef, config.value_clip, config.entropy_coef), (0.1, Some(0.2), 0.0));
        assert!(!PpoConfig::new().with_kl_coef(0.0).init().unwrap().needs_reference());
        assert!(PpoConfig::new().with_entropy_coef(0.1).init().unwrap().needs_entropies());
        for (bad, name) in [
            (config.clone().with_clip_low(1.5), "clip_low"),
            (config.clone().with_clip_high(-0.1), "clip_high"),
            (config.clone().with_dual_clip(Some(1.0)), "dual_clip"),
            (config.clone().with_kl_coef(-1.0), "kl_coef"),
            (config.clone().with_kl_coef(f64::NAN), "kl_coef"),
            (config.clone().with_discount(1.1), "discount"),
            (config.clone().with_gae_lambda(-0.1), "gae_lambda"),
            (config.clone().with_value_coef(0.0), "value_coef"),
            (config.clone().with_value_clip(Some(0.0)), "cliprange"),
            (config.with_entropy_coef(f64::NAN), "entropy_coef"),
        ] {
            let error = bad.init().unwrap_err().to_string();
            assert!(error.starts_with(&format!("`{name}`")), "{name}: {error}");
        }
    }
}
