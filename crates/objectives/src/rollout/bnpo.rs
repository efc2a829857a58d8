//! Batch-Normalized Policy Optimization (BNPO).
//!
//! **Paper:** BNPO: Beta Normalization Policy Optimization (2025), 2506.02864; here as TRL's loss type of that name.
//! **Use when:** as [`super::grpo`], where every token shall count the same.
//! **Checked by:** hand-worked values and gradients, its parts, laws of methods.
//! **Deviations:** what TRL calls so: GRPO with a mean over the tokens of the batch. The paper's normalization of
//! rewards is not part of it.

use accordant_ops::reduce::Aggregation;
use burn::config::Config;

use super::{KlPlacement, Method, PolicyGradient, PolicyGradientConfig, RatioLevel, surrogate::clip::ClipConfig};
use crate::{Result, advantage::group_normalized::GroupNormalizedConfig};

/// Configuration of BNPO, a point of the [grid](PolicyGradient).
///
/// ```text
/// mean over tokens of  max(−A ρ, −A clip(ρ, 1 − ε, 1 + ε)) + β k3
/// ```
///
/// The mean is one of the tokens that an update sees; with the [totals](super::Totals) of a step it is [`super::dapo`]'s.
/// Rows of equal lengths, or a batch of one row, give GRPO.
///
/// # Example
/// One response of two tokens, of which the first has become e^0.5 times as likely:
/// ```
/// use accordant_objectives::{TokenLogps, rollout::{RolloutBatch, RolloutObjective, bnpo::BnpoConfig}};
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let row = |values: [f32; 2]| Tensor::<2>::from_floats([values], &device);
/// let logps = TokenLogps::new(row([-1.0, -2.0]), Tensor::full([1, 2], true, &device))?;
/// let batch = RolloutBatch::new(logps, row([1.0, 1.0]))?.with_old(row([-1.5, -2.0]))?;
/// let loss = BnpoConfig::new().init()?.forward(&batch)?.reduced.loss.into_scalar::<f32>();
/// assert!((loss - -(1.2 + 1.0) / 2.0).abs() < 1e-6); // e^0.5 is clipped
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2506.02864")]
#[derive(Config, Debug, PartialEq)]
pub struct BnpoConfig {
    /// ε below 1, in `[0, 1]`. 0.2: PPO's.
    #[config(default = 0.2)]
    pub clip_low: f64,
    /// ε above 1, finite and ≥ 0. 0.2: PPO's.
    #[config(default = 0.2)]
    pub clip_high: f64,
    /// Weight of the divergence in the loss, by K3, finite and ≥ 0. 0: TRL's.
    #[config(default = 0.0)]
    pub kl_coef: f64,
}

impl BnpoConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<PolicyGradient> {
        PolicyGradientConfig::new(RatioLevel::Token, Aggregation::TokenMean)
            .with_kl(KlPlacement::in_loss(self.kl_coef))
            .init(
                "bnpo",
                GroupNormalizedConfig::new().init()?,
                ClipConfig::new().with_clip_low(self.clip_low).with_clip_high(self.clip_high).init()?,
            )
    }
}

/// `bnpo` by name.
pub const METHOD: Method = Method {
    name: "bnpo",
    title: "Batch-Normalized Policy Optimization (BNPO)",
    build: |options| Ok(Box::new(options.apply("bnpo", BnpoConfig::new())?.init()?)),
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollout::tests::{assert_parts, close, two_rows};

    #[test]
    fn it_is_this_point_of_the_grid() {
        assert_parts(
            &BnpoConfig::new().init().unwrap(),
            PolicyGradientConfig::new(RatioLevel::Token, Aggregation::TokenMean),
            GroupNormalizedConfig::new().init().unwrap(),
            ClipConfig::new().init().unwrap(),
        );
    }

    #[test]
    fn two_responses_by_hand() {
        // The first and the last of the three tokens are clipped.
        close(&[two_rows(&BnpoConfig::new().init().unwrap())], &[(-1.2 - (-0.1f64).exp() + 1.6) / 3.0], 1e-14);
    }

    #[test]
    fn settings_reach_their_parts() {
        let objective = BnpoConfig::new().with_clip_low(0.1).with_clip_high(0.3).init().unwrap();
        let surrogate = ClipConfig::new().with_clip_low(0.1).with_clip_high(0.3).init().unwrap();
        assert_eq!(format!("{:?}", objective.surrogate()), format!("{surrogate:?}"));
        let error = BnpoConfig::new().with_clip_low(-1.0).init().unwrap_err().to_string();
        assert!(error.starts_with("`clip_low`"), "{error}");
        let objective = BnpoConfig::new().with_kl_coef(0.04).init().unwrap();
        assert_eq!(objective.config().kl, KlPlacement::in_loss(0.04));
        let error = BnpoConfig::new().with_kl_coef(-1.0).init().unwrap_err().to_string();
        assert!(error.starts_with("`kl_coef`"), "{error}");
    }
}
