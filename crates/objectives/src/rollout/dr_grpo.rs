//! Group Relative Policy Optimization Done Right (Dr. GRPO).
//!
//! **Paper:** Understanding R1-Zero-Like Training: A Critical Perspective (2025), 2503.20783.
//! **Use when:** GRPO's responses grow longer while they are wrong: its mean over a response's tokens costs long
//! failures less.
//! **Checked by:** hand-worked values and gradients, its parts, laws of methods.
//! **Deviations:** none.

use accordant_ops::{check_domain, reduce::Aggregation};
use burn::config::Config;

use super::{KlPlacement, Method, PolicyGradient, PolicyGradientConfig, RatioLevel, surrogate::clip::ClipConfig};
use crate::{
    Result,
    advantage::group_normalized::{GroupNormalizedConfig, Scale},
};

/// Configuration of Dr. GRPO, a point of the [grid](PolicyGradient).
///
/// ```text
/// Σ over tokens of max(−A ρ, −A clip(ρ, 1 − ε, 1 + ε)), over rows × max_len;   A = r − mean of the group
/// ```
///
/// By name, `max_len` is 512 unless it is given, TRL's default length of a completion.
///
/// # Example
/// One response of two tokens, of which the first has become e^0.5 times as likely:
/// ```
/// use accordant_objectives::{TokenLogps, rollout::{RolloutBatch, RolloutObjective, dr_grpo::DrGrpoConfig}};
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let row = |values: [f32; 2]| Tensor::<2>::from_floats([values], &device);
/// let logps = TokenLogps::new(row([-1.0, -2.0]), Tensor::full([1, 2], true, &device))?;
/// let batch = RolloutBatch::new(logps, row([1.0, 1.0]))?.with_old(row([-1.5, -2.0]))?;
/// let loss = DrGrpoConfig::new(4).init()?.forward(&batch)?.reduced.loss.into_scalar::<f32>();
/// assert!((loss - -(1.2 + 1.0) / 4.0).abs() < 1e-6); // e^0.5 is clipped
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2503.20783")]
#[doc(alias = "Dr. GRPO")]
#[derive(Config, Debug, PartialEq)]
pub struct DrGrpoConfig {
    /// The largest number of tokens that a response may have, at least 1: a constant, so that the step does not depend on
    /// the longest response of the batch.
    pub max_len: usize,
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

impl DrGrpoConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<PolicyGradient> {
        check_domain(self.max_len > 0, "max_len", "at least 1", self.max_len as f64)?;
        PolicyGradientConfig::new(RatioLevel::Token, Aggregation::ConstantLength(self.max_len))
            .with_kl(KlPlacement::in_loss(self.kl_coef))
            .init(
                "dr_grpo",
                GroupNormalizedConfig::new().with_scale(Scale::None).init()?,
                ClipConfig::new().with_clip_low(self.clip_low).with_clip_high(self.clip_high).init()?,
            )
    }
}

/// `dr_grpo` by name.
pub const METHOD: Method = Method {
    name: "dr_grpo",
    title: "Group Relative Policy Optimization Done Right (Dr. GRPO)",
    build: |options| Ok(Box::new(options.apply("dr_grpo", DrGrpoConfig::new(512))?.init()?)),
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollout::tests::{assert_parts, close, two_rows};

    #[test]
    fn it_is_this_point_of_the_grid() {
        assert_parts(
            &DrGrpoConfig::new(4).init().unwrap(),
            PolicyGradientConfig::new(RatioLevel::Token, Aggregation::ConstantLength(4)),
            GroupNormalizedConfig::new().with_scale(Scale::None).init().unwrap(),
            ClipConfig::new().init().unwrap(),
        );
    }

    #[test]
    fn two_responses_by_hand() {
        // The first and the last of the three tokens are clipped; two rows of at most four.
        close(&[two_rows(&DrGrpoConfig::new(4).init().unwrap())], &[(-1.2 - (-0.1f64).exp() + 1.6) / 8.0], 1e-14);
    }

    #[test]
    fn settings_reach_their_parts() {
        let objective = DrGrpoConfig::new(4).with_clip_low(0.1).with_clip_high(0.3).init().unwrap();
        let surrogate = ClipConfig::new().with_clip_low(0.1).with_clip_high(0.3).init().unwrap();
        assert_eq!(format!("{:?}", objective.surrogate()), format!("{surrogate:?}"));
        let error = DrGrpoConfig::new(4).with_clip_low(-1.0).init().unwrap_err().to_string();
        assert!(error.starts_with("`clip_low`"), "{error}");
        let objective = DrGrpoConfig::new(4).with_kl_coef(0.04).init().unwrap();
        assert_eq!(objective.config().kl, KlPlacement::in_loss(0.04));
        let error = DrGrpoConfig::new(4).with_kl_coef(-1.0).init().unwrap_err().to_string();
        assert!(error.starts_with("`kl_coef`"), "{error}");
    }

    #[test]
    fn a_length_of_0_is_refused() {
        let error = DrGrpoConfig::new(0).init().unwrap_err().to_string();
        assert_eq!(error, "`max_len`: expected at least 1, got 0");
    }
}
