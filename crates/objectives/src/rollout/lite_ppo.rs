//! Group Mean and Batch Deviation with a Token Loss (Lite PPO).
//!
//! **Paper:** Part I: Tricks or Traps? A Deep Dive into RL for LLM Reasoning (2025), 2508.08221.
//! **Use when:** rewards have a fixed scale, so that one deviation for the batch suits every prompt: an easy prompt
//! then weighs no more for being easy.
//! **Checked by:** hand-worked values and gradients, its parts, laws of methods.
//! **Deviations:** none.

use accordant_ops::reduce::Aggregation;
use burn::config::Config;

use super::{KlPlacement, Method, PolicyGradient, PolicyGradientConfig, RatioLevel, surrogate::clip::ClipConfig};
use crate::{
    Result,
    advantage::group_normalized::{GroupNormalizedConfig, Scale},
};

/// Configuration of Lite PPO, a point of the [grid](PolicyGradient).
///
/// ```text
/// mean over tokens of  max(−A ρ, −A clip(ρ, 1 − ε, 1 + ε)) + β k3
/// A = (r − mean of the group) / (std of the batch + eps)
/// ```
///
/// # Example
/// One response of two tokens, of which the first has become e^0.5 times as likely:
/// ```
/// use accordant_objectives::{TokenLogps, rollout::{RolloutBatch, RolloutObjective, lite_ppo::LitePpoConfig}};
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let row = |values: [f32; 2]| Tensor::<2>::from_floats([values], &device);
/// let logps = TokenLogps::new(row([-1.0, -2.0]), Tensor::full([1, 2], true, &device))?;
/// let batch = RolloutBatch::new(logps, row([1.0, 1.0]))?.with_old(row([-1.5, -2.0]))?;
/// let loss = LitePpoConfig::new().init()?.forward(&batch)?.reduced.loss.into_scalar::<f32>();
/// assert!((loss - -(1.2 + 1.0) / 2.0).abs() < 1e-6); // e^0.5 is clipped
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2508.08221")]
#[doc(alias = "Tricks or Traps")]
#[derive(Config, Debug, PartialEq)]
pub struct LitePpoConfig {
    /// ε below 1, in `[0, 1]`. 0.2: PPO's.
    #[config(default = 0.2)]
    pub clip_low: f64,
    /// ε above 1, finite and ≥ 0. 0.2: PPO's.
    #[config(default = 0.2)]
    pub clip_high: f64,
    /// Weight of the divergence in the loss, by K3, finite and ≥ 0. 0: the paper's.
    #[config(default = 0.0)]
    pub kl_coef: f64,
}

impl LitePpoConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<PolicyGradient> {
        PolicyGradientConfig::new(RatioLevel::Token, Aggregation::TokenMean)
            .with_kl(KlPlacement::in_loss(self.kl_coef))
            .init(
                "lite_ppo",
                GroupNormalizedConfig::new().with_scale(Scale::Batch).init()?,
                ClipConfig::new().with_clip_low(self.clip_low).with_clip_high(self.clip_high).init()?,
            )
    }
}

/// `lite_ppo` by name.
pub const METHOD: Method = Method {
    name: "lite_ppo",
    title: "Group Mean and Batch Deviation with a Token Loss (Lite PPO)",
    build: |options| Ok(Box::new(options.apply("lite_ppo", LitePpoConfig::new())?.init()?)),
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollout::tests::{assert_parts, close, two_rows};

    #[test]
    fn it_is_this_point_of_the_grid() {
        assert_parts(
            &LitePpoConfig::new().init().unwrap(),
            PolicyGradientConfig::new(RatioLevel::Token, Aggregation::TokenMean),
            GroupNormalizedConfig::new().with_scale(Scale::Batch).init().unwrap(),
            ClipConfig::new().init().unwrap(),
        );
    }

    #[test]
    fn two_responses_by_hand() {
        // The first and the last of the three tokens are clipped.
        close(&[two_rows(&LitePpoConfig::new().init().unwrap())], &[(-1.2 - (-0.1f64).exp() + 1.6) / 3.0], 1e-14);
    }

    #[test]
    fn settings_reach_their_parts() {
        let objective = LitePpoConfig::new().with_clip_low(0.1).with_clip_high(0.3).init().unwrap();
        let surrogate = ClipConfig::new().with_clip_low(0.1).with_clip_high(0.3).init().unwrap();
        assert_eq!(format!("{:?}", objective.surrogate()), format!("{surrogate:?}"));
        let error = LitePpoConfig::new().with_clip_low(-1.0).init().unwrap_err().to_string();
        assert!(error.starts_with("`clip_low`"), "{error}");
        let objective = LitePpoConfig::new().with_kl_coef(0.04).init().unwrap();
        assert_eq!(objective.config().kl, KlPlacement::in_loss(0.04));
        let error = LitePpoConfig::new().with_kl_coef(-1.0).init().unwrap_err().to_string();
        assert!(error.starts_with("`kl_coef`"), "{error}");
    }
}
