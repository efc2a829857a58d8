//! Decoupled Clip and Dynamic Sampling Policy Optimization (DAPO).
//!
//! **Paper:** DAPO: An Open-Source LLM Reinforcement Learning System at Scale (2025), 2503.14476.
//! **Use when:** GRPO loses its entropy early: unlikely tokens need more room to rise.
//! **Checked by:** hand-worked values and gradients, its parts, laws of methods.
//! **Deviations:** dynamic sampling and overlong shaping act on rollouts and rewards, not on the loss: drop groups
//! whose rewards are all equal ([`super::RolloutBatch::keep_rows`], [`crate::advantage::Advantages::is_constant`]).

use accordant_ops::reduce::Aggregation;
use burn::config::Config;

use super::{Method, PolicyGradient, PolicyGradientConfig, RatioLevel, surrogate::clip::ClipConfig};
use crate::{Result, advantage::group_normalized::GroupNormalizedConfig};

/// Configuration of DAPO, a point of the [grid](PolicyGradient).
///
/// ```text
/// mean over the tokens of the step of  max(−A ρ, −A clip(ρ, 1 − ε_low, 1 + ε_high))
/// ```
///
/// The denominator is that of the step with its [totals](super::Totals), and that of the batch without.
///
/// # Example
/// One response of two tokens, of which the first has become e^0.5 times as likely:
/// ```
/// use accordant_objectives::{TokenLogps, rollout::{RolloutBatch, RolloutObjective, dapo::DapoConfig}};
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let row = |values: [f32; 2]| Tensor::<2>::from_floats([values], &device);
/// let logps = TokenLogps::new(row([-1.0, -2.0]), Tensor::full([1, 2], true, &device))?;
/// let batch = RolloutBatch::new(logps, row([1.0, 1.0]))?.with_old(row([-1.5, -2.0]))?;
/// let loss = DapoConfig::new().init()?.forward(&batch)?.reduced.loss.into_scalar::<f32>();
/// assert!((loss - -(1.28 + 1.0) / 2.0).abs() < 1e-6); // e^0.5 is clipped
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2503.14476")]
#[doc(alias = "clip-higher")]
#[derive(Config, Debug, PartialEq)]
pub struct DapoConfig {
    /// ε below 1, in `[0, 1]`. 0.2: the paper's.
    #[config(default = 0.2)]
    pub clip_low: f64,
    /// ε above 1, finite and ≥ 0. 0.28: the paper's.
    #[config(default = 0.28)]
    pub clip_high: f64,
}

impl DapoConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<PolicyGradient> {
        PolicyGradientConfig::new(RatioLevel::Token, Aggregation::TokenMean).init(
            "dapo",
            GroupNormalizedConfig::new().init()?,
            ClipConfig::new().with_clip_low(self.clip_low).with_clip_high(self.clip_high).init()?,
        )
    }
}

/// `dapo` by name.
pub const METHOD: Method = Method {
    name: "dapo",
    title: "Decoupled Clip and Dynamic Sampling Policy Optimization (DAPO)",
    build: |options| Ok(Box::new(options.apply("dapo", DapoConfig::new())?.init()?)),
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollout::tests::{assert_parts, close, two_rows};

    #[test]
    fn it_is_this_point_of_the_grid() {
        assert_parts(
            &DapoConfig::new().init().unwrap(),
            PolicyGradientConfig::new(RatioLevel::Token, Aggregation::TokenMean),
            GroupNormalizedConfig::new().init().unwrap(),
            ClipConfig::new().with_clip_high(0.28).init().unwrap(),
        );
    }

    #[test]
    fn two_responses_by_hand() {
        // The first and the last of the three tokens are clipped.
        close(&[two_rows(&DapoConfig::new().init().unwrap())], &[(-1.28 - (-0.1f64).exp() + 1.6) / 3.0], 1e-14);
    }

    #[test]
    fn settings_reach_their_parts() {
        let objective = DapoConfig::new().with_clip_low(0.1).with_clip_high(0.3).init().unwrap();
        let surrogate = ClipConfig::new().with_clip_low(0.1).with_clip_high(0.3).init().unwrap();
        assert_eq!(format!("{:?}", objective.surrogate()), format!("{surrogate:?}"));
        let error = DapoConfig::new().with_clip_low(-1.0).init().unwrap_err().to_string();
        assert!(error.starts_with("`clip_low`"), "{error}");
    }
}
