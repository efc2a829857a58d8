//! Soft Adaptive Policy Optimization (SAPO).
//!
//! **Paper:** Soft Adaptive Policy Optimization (2025), 2511.20347.
//! **Use when:** the clip's hard end wastes tokens that are only a little off-policy.
//! **Checked by:** hand-worked values and gradients, its parts, laws of methods.
//! **Deviations:** none.

use accordant_ops::reduce::Aggregation;
use burn::config::Config;

use super::{KlPlacement, Method, PolicyGradient, PolicyGradientConfig, RatioLevel, surrogate};
use crate::{Result, advantage::group_normalized::GroupNormalizedConfig};

/// Configuration of SAPO, a point of the [grid](PolicyGradient).
///
/// ```text
/// mean over responses of mean over tokens of  −A (4/τ) σ(τ (ρ − 1)) + β k3
/// τ = τ_positive where A > 0, else τ_negative
/// ```
///
/// # Example
/// One response of two tokens, of which the first has become e^0.5 times as likely:
/// ```
/// use accordant_objectives::{TokenLogps, rollout::{RolloutBatch, RolloutObjective, sapo::SapoConfig}};
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let row = |values: [f32; 2]| Tensor::<2>::from_floats([values], &device);
/// let logps = TokenLogps::new(row([-1.0, -2.0]), Tensor::full([1, 2], true, &device))?;
/// let batch = RolloutBatch::new(logps, row([1.0, 1.0]))?.with_old(row([-1.5, -2.0]))?;
/// let loss = SapoConfig::new().init()?.forward(&batch)?.reduced.loss.into_scalar::<f32>();
/// assert!((loss - -(4.0 / (1.0 + (1.0 - 0.5f32.exp()).exp()) + 2.0) / 2.0).abs() < 1e-6);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "Soft Adaptive Policy Optimization")]
#[doc(alias = "2511.20347")]
#[derive(Config, Debug, PartialEq)]
pub struct SapoConfig {
    /// How fast gains fade, finite and > 0. 1: the paper's.
    #[config(default = 1.0)]
    pub tau_positive: f64,
    /// How fast costs fade, finite and > 0. 1.05: the paper's.
    #[config(default = 1.05)]
    pub tau_negative: f64,
    /// Weight of the divergence in the loss, by K3, finite and ≥ 0. 0: the paper's.
    #[config(default = 0.0)]
    pub kl_coef: f64,
}

impl SapoConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<PolicyGradient> {
        PolicyGradientConfig::new(RatioLevel::Token, Aggregation::SequenceMean)
            .with_kl(KlPlacement::in_loss(self.kl_coef))
            .init(
                "sapo",
                GroupNormalizedConfig::new().init()?,
                surrogate::sapo::SapoConfig::new()
                    .with_tau_positive(self.tau_positive)
                    .with_tau_negative(self.tau_negative)
                    .init()?,
            )
    }
}

/// `sapo` by name.
pub const METHOD: Method = Method {
    name: "sapo",
    title: "Soft Adaptive Policy Optimization (SAPO)",
    build: |options| Ok(Box::new(options.apply("sapo", SapoConfig::new())?.init()?)),
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollout::tests::{assert_parts, close, two_rows};

    #[test]
    fn it_is_this_point_of_the_grid() {
        assert_parts(
            &SapoConfig::new().init().unwrap(),
            PolicyGradientConfig::new(RatioLevel::Token, Aggregation::SequenceMean),
            GroupNormalizedConfig::new().init().unwrap(),
            surrogate::sapo::SapoConfig::new().init().unwrap(),
        );
    }

    #[test]
    fn two_responses_by_hand() {
        // One temperature for each sign of the advantage.
        let gate = |tau: f64, x: f64| 4.0 / tau / (1.0 + (-tau * (x.exp() - 1.0)).exp());
        close(
            &[two_rows(&SapoConfig::new().init().unwrap())],
            &[(-(gate(1.0, 0.5) + gate(1.0, -0.1)) / 2.0 + 2.0 * gate(1.05, -0.3)) / 2.0],
            1e-14,
        );
    }

    #[test]
    fn settings_reach_their_parts() {
        let objective =
            SapoConfig::new().with_tau_positive(2.0).with_tau_negative(3.0).with_kl_coef(0.04).init().unwrap();
        let surrogate =
            surrogate::sapo::SapoConfig::new().with_tau_positive(2.0).with_tau_negative(3.0).init().unwrap();
        assert_eq!(format!("{:?}", objective.surrogate()), format!("{surrogate:?}"));
        assert_eq!(objective.config().kl, KlPlacement::in_loss(0.04));
        assert!(SapoConfig::new().with_tau_negative(0.0).init().unwrap_err().to_string().starts_with("`tau_negative`"));
        assert!(SapoConfig::new().with_kl_coef(-1.0).init().unwrap_err().to_string().starts_with("`kl_coef`"));
    }
}
