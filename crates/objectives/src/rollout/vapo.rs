//! Value-based Augmented Proximal Policy Optimization (VAPO).
//!
//! **Paper:** VAPO: Efficient and Reliable Reinforcement Learning for Advanced Reasoning Tasks (2025), 2504.05118.
//! **Use when:** responses are long and of very different lengths, rewards are verified, and a critic can be trained
//! first on the returns of the initial policy.
//! **Checked by:** hand-worked values, laws, finite differences, a world with a known optimum.
//! **Deviations:** the critic's first training, on Monte-Carlo returns of a fixed policy, is the caller's: the returns of
//! this estimator are just that, whatever the values.

use accordant_ops::{check_domain, reduce::Aggregation};
use burn::config::Config;

use super::{Method, PolicyGradient, PolicyGradientConfig, RatioLevel, surrogate::clip::ClipConfig};
use crate::{
    Result,
    advantage::{
        gae::{GaeConfig, Lambda},
        gae_estimator::GaeEstimatorConfig,
    },
    value::clipped_value::ClippedValueConfig,
};

/// Configuration of VAPO, a point of the [grid](PolicyGradient) with a critic.
///
/// ```text
/// λ_policy = 1 − 1 / (α n), not below 0;   λ_critic = 1;   n: tokens of the response
/// mean over tokens of the clipped losses, ε_low < ε_high,  +  μ · mean of −log π over the tokens of successes
/// ```
///
/// With λ_critic = 1 returns are rewards to go, which no value can bias. A batch without a success has no likelihood
/// term.
#[doc(alias = "2504.05118")]
#[derive(Config, Debug, PartialEq)]
pub struct VapoConfig {
    /// ε below 1, in `[0, 1]`. 0.2: the paper's.
    #[config(default = 0.2)]
    pub clip_low: f64,
    /// ε above 1, finite and ≥ 0. 0.28: the paper's.
    #[config(default = 0.28)]
    pub clip_high: f64,
    /// α: how fast λ of the policy rises with the length, finite and > 0. 0.05: the paper's.
    #[config(default = 0.05)]
    pub alpha: f64,
    /// μ: weight of the likelihood of successes, finite and ≥ 0. 0.1: the paper's.
    #[config(default = 0.1)]
    pub sft_weight: f64,
    /// Weight of the value loss, finite and > 0. 0.1: PPO's; with parameters of its own, it only scales the critic's step.
    #[config(default = 0.1)]
    pub value_coef: f64,
}

impl VapoConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<PolicyGradient> {
        check_domain(self.alpha.is_finite() && self.alpha > 0.0, "alpha", "finite and > 0", self.alpha)?;
        let gae = GaeConfig::vapo().with_gae_lambda(Lambda::LengthAdaptive { alpha: self.alpha });
        PolicyGradientConfig::new(RatioLevel::Token, Aggregation::TokenMean)
            .with_sft_weight(self.sft_weight)
            .init(
                "vapo",
                GaeEstimatorConfig::new().with_gae(gae).init()?,
                ClipConfig::new().with_clip_low(self.clip_low).with_clip_high(self.clip_high).init()?,
            )?
            .with_critic(self.value_coef, ClippedValueConfig::new().with_cliprange(None).init()?)
    }
}

/// `vapo` by name.
pub const METHOD: Method = Method {
    name: "vapo",
    title: "Value-based Augmented Proximal Policy Optimization",
    build: |options| Ok(Box::new(options.apply("vapo", VapoConfig::new())?.init()?)),
};

#[cfg(test)]
mod tests {
    use accordant_ops::{TokenLogps, groups::Groups};
    use burn::tensor::{DType, Tensor, TensorData};

    use super::*;
    use crate::{
        advantage::RewardBatch,
        rollout::{
            RolloutBatch, RolloutObjective,
            policy_gradient::SUCCESS,
            tests::{close, host, mask, matrix},
        },
        value::ValueBatch,
    };

    fn vector(values: [f64; 2]) -> Tensor<1> {
        let kept = mask([[true]]);
        Tensor::from_data(TensorData::from(values), (&kept.device(), DType::F64))
    }

    #[test]
    fn returns_are_rewards_to_go_whatever_the_values() {
        let vapo = VapoConfig::new().init().unwrap();
        assert!(vapo.needs_values() && !vapo.needs_reference());
        assert_eq!(vapo.columns(), [SUCCESS]);
        let returns = |values| {
            let kept = mask([[true, true], [true, false]]);
            let batch = RewardBatch::new(vector([1.0, -2.0]), Groups::new(&[0, 1]), kept).unwrap();
            host(vapo.advantages(&batch.with_values(values).unwrap()).unwrap().returns.unwrap().returns)
        };
        let expected = [1.0, 1.0, -2.0, 0.0];
        close(&returns(matrix([[0.0; 2]; 2])), &expected, 1e-15);
        close(&returns(matrix([[5.0, -3.0], [0.7, f64::NAN]])), &expected, 1e-14);
    }

    #[test]
    fn successes_are_imitated_too() {
        let vapo = VapoConfig::new().init().unwrap();
        let loss = |success: [f64; 2]| {
            let kept = mask([[true, true], [true, false]]);
            let values = ValueBatch::new(matrix([[0.0; 2]; 2]), matrix([[0.0; 2]; 2]), kept.clone()).unwrap();
            let policy = TokenLogps::new(matrix([[-1.0, -2.0], [-4.0, f64::NAN]]), kept).unwrap();
            let batch = RolloutBatch::new(policy, matrix([[0.0; 2]; 2])).unwrap().with_critic(values).unwrap();
            let batch = batch.with_column(SUCCESS, vector(success)).unwrap();
            host(vapo.forward(&batch).unwrap().reduced.loss)[0]
        };
        // 0.1 times the mean over the tokens of successes alone.
        close(&[loss([1.0, 0.0]), loss([0.0, 1.0]), loss([1.0, 1.0])], &[0.15, 0.4, 0.7 / 3.0], 1e-15);
        assert_eq!(loss([0.0, 0.0]), 0.0);
    }

    #[test]
    fn defaults_and_domains() {
        let config = VapoConfig::new();
        assert_eq!((config.clip_low, config.clip_high, config.alpha), (0.2, 0.28, 0.05));
        assert_eq!((config.sft_weight, config.value_coef), (0.1, 0.1));
        for (bad, name) in [
            (config.clone().with_clip_low(-0.1), "clip_low"),
            (config.clone().with_clip_high(f64::NAN), "clip_high"),
            (config.clone().with_alpha(0.0), "alpha"),
            (config.clone().with_alpha(f64::INFINITY), "alpha"),
            (config.clone().with_sft_weight(-0.1), "sft_weight"),
            (config.with_value_coef(0.0), "value_coef"),
        ] {
            let error = bad.init().unwrap_err().to_string();
            assert!(error.starts_with(&format!("`{name}`")), "{name}: {error}");
        }
    }
}
