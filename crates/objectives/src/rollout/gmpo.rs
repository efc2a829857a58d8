//! Geometric-Mean Policy Optimization (GMPO).
//!
//! **Paper:** Geometric-Mean Policy Optimization (2025), 2507.20673.
//! **Use when:** single tokens with extreme ratios unsettle GRPO.
//! **Checked by:** hand-worked values and gradients, its parts, laws of methods.
//! **Deviations:** none.

use accordant_ops::reduce::Aggregation;
use burn::config::Config;

use super::{KlPlacement, Method, PolicyGradient, PolicyGradientConfig, RatioLevel, surrogate};
use crate::{Result, advantage::group_normalized::GroupNormalizedConfig};

/// Configuration of GMPO, a point of the [grid](PolicyGradient).
///
/// ```text
/// mean over responses of  −A exp(mean over tokens of c_t) + β mean k3
/// c_t = min(log ρ_t, ε_high) where A > 0, else max(log ρ_t, −ε_low)
/// ```
///
/// # Example
/// One response of two tokens, of which the first has become e^0.5 times as likely:
/// ```
/// use accordant_objectives::{TokenLogps, rollout::{RolloutBatch, RolloutObjective, gmpo::GmpoConfig}};
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let row = |values: [f32; 2]| Tensor::<2>::from_floats([values], &device);
/// let logps = TokenLogps::new(row([-1.0, -2.0]), Tensor::full([1, 2], true, &device))?;
/// let batch = RolloutBatch::new(logps, row([1.0, 1.0]))?.with_old(row([-1.5, -2.0]))?;
/// let loss = GmpoConfig::new().init()?.forward(&batch)?.reduced.loss.into_scalar::<f32>();
/// assert!((loss - -0.2f32.exp()).abs() < 1e-6); // 0.4 and 0
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "Geometric-Mean Policy Optimization")]
#[doc(alias = "2507.20673")]
#[derive(Config, Debug, PartialEq)]
pub struct GmpoConfig {
    /// How far a log-ratio may fall, in nats, finite and ≥ 0. 0.4: the paper's.
    #[config(default = 0.4)]
    pub clip_low: f64,
    /// How far a log-ratio may rise, in nats, finite and ≥ 0. 0.4: the paper's.
    #[config(default = 0.4)]
    pub clip_high: f64,
    /// Weight of the divergence in the loss, by K3, finite and ≥ 0. 0: TRL's.
    #[config(default = 0.0)]
    pub kl_coef: f64,
}

impl GmpoConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<PolicyGradient> {
        PolicyGradientConfig::new(RatioLevel::Token, Aggregation::SequenceMean)
            .with_kl(KlPlacement::in_loss(self.kl_coef))
            .init(
                "gmpo",
                GroupNormalizedConfig::new().init()?,
                surrogate::gmpo::GmpoConfig::new()
                    .with_clip_low(self.clip_low)
                    .with_clip_high(self.clip_high)
                    .init()?,
            )
    }
}

/// `gmpo` by name.
pub const METHOD: Method = Method {
    name: "gmpo",
    title: "Geometric-Mean Policy Optimization (GMPO)",
    build: |options| Ok(Box::new(options.apply("gmpo", GmpoConfig::new())?.init()?)),
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollout::tests::{assert_parts, close, two_rows};

    #[test]
    fn it_is_this_point_of_the_grid() {
        assert_parts(
            &GmpoConfig::new().init().unwrap(),
            PolicyGradientConfig::new(RatioLevel::Token, Aggregation::SequenceMean),
            GroupNormalizedConfig::new().init().unwrap(),
            surrogate::gmpo::GmpoConfig::new().init().unwrap(),
        );
    }

    #[test]
    fn two_responses_by_hand() {
        // Of the first row 0.4 and −0.1 are left.
        close(
            &[two_rows(&GmpoConfig::new().init().unwrap())],
            &[(-0.15f64.exp() + 2.0 * (-0.3f64).exp()) / 2.0],
            1e-14,
        );
    }

    #[test]
    fn settings_reach_their_parts() {
        let objective = GmpoConfig::new().with_clip_low(0.1).with_clip_high(0.3).init().unwrap();
        let surrogate = surrogate::gmpo::GmpoConfig::new().with_clip_low(0.1).with_clip_high(0.3).init().unwrap();
        assert_eq!(format!("{:?}", objective.surrogate()), format!("{surrogate:?}"));
        let error = GmpoConfig::new().with_clip_low(-1.0).init().unwrap_err().to_string();
        assert!(error.starts_with("`clip_low`"), "{error}");
        let objective = GmpoConfig::new().with_kl_coef(0.04).init().unwrap();
        assert_eq!(objective.config().kl, KlPlacement::in_loss(0.04));
        let error = GmpoConfig::new().with_kl_coef(-1.0).init().unwrap_err().to_string();
        assert!(error.starts_with("`kl_coef`"), "{error}");
    }
}
