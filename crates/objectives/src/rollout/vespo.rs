//! Variational Sequence-Level Soft Policy Optimization (VESPO).
//!
//! **Paper:** VESPO: Variational Sequence-Level Soft Policy Optimization for Stable Off-Policy LLM Training (2026),
//! 2602.10693.
//! **Use when:** rollouts are stale or come from a sampler that differs from the trainer.
//! **Checked by:** hand-worked values and gradients, its parts, laws of methods.
//! **Deviations:** none.

use accordant_ops::reduce::Aggregation;
use burn::config::Config;

use super::{Method, PolicyGradient, PolicyGradientConfig, RatioLevel, surrogate};
use crate::{Result, advantage::group_normalized::GroupNormalizedConfig};

/// Configuration of VESPO, a point of the [grid](PolicyGradient).
///
/// ```text
/// mean over the tokens of the step of  −sg(φ) A log π,   φ = exp(λ + k log w − λ w)
/// log w = Σ_t log ρ_t + c,   c the response's log-ratio of the old policy to its sampler
/// ```
///
/// # Example
/// One response of two tokens, of which the first has become e^0.5 times as likely:
/// ```
/// use accordant_objectives::{TokenLogps, rollout::{RolloutBatch, RolloutObjective, vespo::VespoConfig}};
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let row = |values: [f32; 2]| Tensor::<2>::from_floats([values], &device);
/// let logps = TokenLogps::new(row([-1.0, -2.0]), Tensor::full([1, 2], true, &device))?;
/// let batch = RolloutBatch::new(logps, row([1.0, 1.0]))?.with_old(row([-1.5, -2.0]))?;
/// let loss = VespoConfig::new().init()?.forward(&batch)?.reduced.loss.into_scalar::<f32>();
/// assert!((loss - (4.0 - 3.0 * 0.5f32.exp()).exp() * 3.0 / 2.0).abs() < 1e-6); // log w = 0.5; log π = −1 and −2
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "Variational Sequence-Level Soft Policy Optimization")]
#[doc(alias = "2602.10693")]
#[derive(Config, Debug, PartialEq)]
pub struct VespoConfig {
    /// How fast gains fade for small weights, finite and ≥ 0. 2: the authors' and TRL's.
    #[config(default = 2.0)]
    pub k_positive: f64,
    /// How fast gains fade for large weights, finite and ≥ 0. 3: the authors' and TRL's.
    #[config(default = 3.0)]
    pub lambda_positive: f64,
    /// How fast costs fade for small weights, finite and ≥ 0. 3: the authors' and TRL's.
    #[config(default = 3.0)]
    pub k_negative: f64,
    /// How fast costs fade for large weights, finite and ≥ 0. 2: the authors' and TRL's.
    #[config(default = 2.0)]
    pub lambda_negative: f64,
}

impl VespoConfig {
    fn surrogate(&self) -> surrogate::vespo::VespoConfig {
        surrogate::vespo::VespoConfig::new()
            .with_k_positive(self.k_positive)
            .with_lambda_positive(self.lambda_positive)
            .with_k_negative(self.k_negative)
            .with_lambda_negative(self.lambda_negative)
    }

    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<PolicyGradient> {
        PolicyGradientConfig::new(RatioLevel::Token, Aggregation::TokenMean).init(
            "vespo",
            GroupNormalizedConfig::new().init()?,
            self.surrogate().init()?,
        )
    }
}

/// `vespo` by name.
pub const METHOD: Method = Method {
    name: "vespo",
    title: "Variational Sequence-Level Soft Policy Optimization (VESPO)",
    build: |options| Ok(Box::new(options.apply("vespo", VespoConfig::new())?.init()?)),
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollout::tests::{assert_parts, close, two_rows};

    #[test]
    fn it_is_this_point_of_the_grid() {
        assert_parts(
            &VespoConfig::new().init().unwrap(),
            PolicyGradientConfig::new(RatioLevel::Token, Aggregation::TokenMean),
            GroupNormalizedConfig::new().init().unwrap(),
            surrogate::vespo::VespoConfig::new().init().unwrap(),
        );
    }

    #[test]
    fn two_responses_by_hand() {
        // Weights e^0.4 and e^−0.3; log π = −1, −2 and −3.
        let gain = (3.0 + 2.0 * 0.4 - 3.0 * 0.4f64.exp()).exp();
        let cost = (2.0 - 3.0 * 0.3 - 2.0 * (-0.3f64).exp()).exp();
        close(&[two_rows(&VespoConfig::new().init().unwrap())], &[(3.0 * gain - 6.0 * cost) / 3.0], 1e-14);
    }

    #[test]
    fn settings_reach_their_parts() {
        let config = VespoConfig::new().with_k_positive(0.1).with_lambda_positive(0.2).with_k_negative(0.3);
        let objective = config.with_lambda_negative(0.4).init().unwrap();
        let surrogate = surrogate::vespo::VespoConfig::new().with_k_positive(0.1).with_lambda_positive(0.2);
        let surrogate = surrogate.with_k_negative(0.3).with_lambda_negative(0.4).init().unwrap();
        assert_eq!(format!("{:?}", objective.surrogate()), format!("{surrogate:?}"));
        assert!(VespoConfig::new().with_k_negative(-1.0).init().unwrap_err().to_string().starts_with("`k_negative`"));
    }
}
