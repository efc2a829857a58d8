//! Joint clip of the responses to a prompt (P3O's second form).
//!
//! **Paper:** Pairwise Proximal Policy Optimization: Harnessing Relative Feedback for LLM Alignment (2023), 2310.00212.
//! **Status:** experimental.
//! **Use when:** the responses of a group shall be weighed as one sample: all of them or none are too far away.
//! **Checked by:** hand-worked values and gradients, laws of surrogates.
//! **Deviations:** the clip acts on the coefficient of the gradient. The paper's minimum of two expressions that are both
//! 0 compares nothing.

use accordant_ops::{check_domain, reduce::Aggregation};
use burn::{config::Config, tensor::Tensor};

use super::{Clipped, Method, Surrogate, Tokens, reinforce::reinforce_losses};
use crate::{Error, Result, rollout::RatioLevel};

/// Losses of value 0 whose gradient is weighed by a clipped ratio, one for each token.
///
/// ```text
/// f = −sg(clip(ω, 1 − ε_low, 1 + ε_high)) A (log π − sg(log π))
/// ```
///
/// with ω the ratio of all responses of the group. The gradient is `−clip(ω) A ∇log π`.
///
/// # Shapes
/// `logps`, `log_ratios` of groups and `advantages` (the last two constants) and the result: `[rows, seq]`.
///
/// # Errors
/// A shape or dtype error naming the argument.
///
/// # Example
/// ```
/// use accordant_objectives::rollout::surrogate::joint::{JointConfig, joint_losses};
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex().autodiff();
/// let one = |value: f32| Tensor::<2>::from_floats([[value]], &device);
/// let logps = one(-2.0).require_grad();
/// let loss = joint_losses(logps.clone(), one(3f32.ln()), one(1.0), &JointConfig::new())?.sum();
/// assert_eq!(loss.clone().into_scalar::<f32>(), 0.0);
/// assert_eq!(logps.grad(&loss.backward()).unwrap().into_scalar::<f32>(), -1.2);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2310.00212")]
pub fn joint_losses(
    logps: Tensor<2>,
    log_ratios: Tensor<2>,
    advantages: Tensor<2>,
    config: &JointConfig,
) -> Result<Tensor<2>> {
    let weights = log_ratios.exp().clamp(1.0 - config.clip_low, 1.0 + config.clip_high);
    reinforce_losses(logps.clone() - logps.detach(), advantages, Some(weights))
}

/// Configuration of [`Joint`].
#[derive(Config, Debug, PartialEq)]
pub struct JointConfig {
    /// ε below 1, in `[0, 1]`. 0.2: the paper's.
    #[config(default = 0.2)]
    pub clip_low: f64,
    /// ε above 1, finite and ≥ 0. 0.2: the paper's.
    #[config(default = 0.2)]
    pub clip_high: f64,
}

impl JointConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<Joint> {
        let Self { clip_low, clip_high } = *self;
        check_domain((0.0..=1.0).contains(&clip_low), "clip_low", "in [0, 1]", clip_low)?;
        check_domain(clip_high.is_finite() && clip_high >= 0.0, "clip_high", "finite and >= 0", clip_high)?;
        Ok(Joint { config: self.clone() })
    }
}

/// The jointly clipped surrogate; see [`joint_losses`].
#[derive(Debug, Clone, PartialEq)]
pub struct Joint {
    config: JointConfig,
}

/// `joint` by name.
pub const METHOD: Method = Method {
    name: "joint",
    title: "Joint Clip of a Group",
    build: |options| Ok(Box::new(options.apply("joint", JointConfig::new())?.init()?)),
};

impl Surrogate for Joint {
    fn name(&self) -> &'static str {
        "joint"
    }

    fn losses(&self, tokens: &Tokens) -> Result<Tensor<2>> {
        let (logps, log_ratios) = (tokens.logps.clone(), tokens.log_ratios.clone());
        joint_losses(logps, log_ratios, tokens.advantages.clone(), &self.config)
    }

    /// Whatever the advantage, as the group's are of both signs.
    fn clipped(&self, log_ratio: f64, _advantage: f64) -> Option<Clipped> {
        let ratio = log_ratio.exp();
        match self.config {
            JointConfig { clip_low, .. } if ratio < 1.0 - clip_low => Some(Clipped::Low),
            JointConfig { clip_high, .. } if ratio > 1.0 + clip_high => Some(Clipped::High),
            _ => None,
        }
    }

    fn check(&self, ratio: RatioLevel, _aggregation: Aggregation) -> Result<()> {
        if ratio != RatioLevel::Group {
            return Err(Error::Combination {
                what: "a joint clip",
                reason: "its ratio is that of all responses of a group; take `RatioLevel::Group`",
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollout::surrogate::tests::{close, token};

    #[test]
    fn the_value_is_0_and_the_gradient_weighed_by_the_clipped_ratio() {
        let joint = JointConfig::new().with_clip_high(0.5).init().unwrap();
        for (ratio, weight) in [(0.1f64, 0.8), (0.9, 0.9), (1.4, 1.4), (7.0, 1.5)] {
            let (loss, slope) = token(&joint, -3.0, ratio.ln(), -2.0);
            assert_eq!(loss, 0.0);
            close(&[slope], &[2.0 * weight], 1e-14);
        }
    }

    #[test]
    fn clipped_groups_are_counted_on_both_sides() {
        let joint = JointConfig::new().with_clip_high(0.5).init().unwrap();
        for advantage in [-1.0, 0.0, 1.0] {
            assert_eq!(joint.clipped(0.79f64.ln(), advantage), Some(Clipped::Low));
            assert_eq!(joint.clipped(0.81f64.ln(), advantage), None);
            assert_eq!(joint.clipped(1.49f64.ln(), advantage), None);
            assert_eq!(joint.clipped(1.51f64.ln(), advantage), Some(Clipped::High));
        }
    }

    #[test]
    fn defaults_and_refused_values() {
        assert_eq!(JointConfig::new(), JointConfig { clip_low: 0.2, clip_high: 0.2 });
        for clip in [-0.1, f64::NAN, f64::INFINITY] {
            let error = JointConfig::new().with_clip_low(clip).init().unwrap_err().to_string();
            assert_eq!(error, format!("`clip_low`: expected in [0, 1], got {clip}"));
            let error = JointConfig::new().with_clip_high(clip).init().unwrap_err().to_string();
            assert_eq!(error, format!("`clip_high`: expected finite and >= 0, got {clip}"));
        }
        assert!(JointConfig::new().with_clip_low(1.1).init().is_err());
        let error = JointConfig::new().init().unwrap().check(RatioLevel::Token, Aggregation::SequenceSum).unwrap_err();
        assert!(error.to_string().starts_with("a joint clip: its ratio is that of all responses"));
    }
}
