//! Length-Unbiased Sequence Policy Optimization (LUSPO).
//!
//! **Paper:** Length-Unbiased Sequence Policy Optimization: Revealing and Controlling Response Length Variation in
//! RLVR (2026), 2602.05261.
//! **Use when:** GSPO's responses become shorter and shorter: its mean over a response's tokens gives each token of a
//! long one less.
//! **Checked by:** hand-worked values and gradients, its parts, laws of methods.
//! **Deviations:** none.

use accordant_ops::reduce::Aggregation;
use burn::config::Config;

use super::{KlPlacement, Method, PolicyGradient, PolicyGradientConfig, RatioLevel, surrogate::clip::ClipConfig};
use crate::{Result, advantage::group_normalized::GroupNormalizedConfig};

/// Configuration of LUSPO, a point of the [grid](PolicyGradient).
///
/// ```text
/// mean over responses of  n · max(−A s, −A clip(s, 1 − ε_low, 1 + ε_high)),   s = exp(mean over tokens of log ρ)
/// ```
///
/// `n` is the number of the response's tokens. On-policy the gradient is −A at each token, and that responses weigh by
/// their length, of which [`PolicyGradient::warnings`] tells, is the method.
///
/// # Example
/// One response of two tokens, of which the first has become e^0.5 times as likely:
/// ```
/// use accordant_objectives::{TokenLogps, rollout::{RolloutBatch, RolloutObjective, luspo::LuspoConfig}};
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let row = |values: [f32; 2]| Tensor::<2>::from_floats([values], &device);
/// let logps = TokenLogps::new(row([-1.0, -2.0]), Tensor::full([1, 2], true, &device))?;
/// let batch = RolloutBatch::new(logps, row([1.0, 1.0]))?.with_old(row([-1.5, -2.0]))?;
/// let loss = LuspoConfig::new().init()?.forward(&batch)?.reduced.loss.into_scalar::<f32>();
/// assert!((loss - -2.0 * 1.0004).abs() < 1e-6); // e^0.25 is clipped
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "Length-Unbiased Sequence Policy Optimization")]
#[doc(alias = "2602.05261")]
#[derive(Config, Debug, PartialEq)]
pub struct LuspoConfig {
    /// ε below 1, in `[0, 1]`. 3e-4: GSPO's.
    #[config(default = 3e-4)]
    pub clip_low: f64,
    /// ε above 1, finite and ≥ 0. 4e-4: GSPO's.
    #[config(default = 4e-4)]
    pub clip_high: f64,
    /// Weight of the divergence in the loss, by K3, finite and ≥ 0. 0: the paper's.
    #[config(default = 0.0)]
    pub kl_coef: f64,
}

impl LuspoConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<PolicyGradient> {
        PolicyGradientConfig::new(RatioLevel::Sequence, Aggregation::SequenceSum)
            .with_kl(KlPlacement::in_loss(self.kl_coef))
            .init(
                "luspo",
                GroupNormalizedConfig::new().init()?,
                ClipConfig::new().with_clip_low(self.clip_low).with_clip_high(self.clip_high).init()?,
            )
    }
}

/// `luspo` by name.
pub const METHOD: Method = Method {
    name: "luspo",
    title: "Length-Unbiased Sequence Policy Optimization (LUSPO)",
    build: |options| Ok(Box::new(options.apply("luspo", LuspoConfig::new())?.init()?)),
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollout::tests::{assert_parts, close, two_rows};

    #[test]
    fn it_is_this_point_of_the_grid() {
        assert_parts(
            &LuspoConfig::new().init().unwrap(),
            PolicyGradientConfig::new(RatioLevel::Sequence, Aggregation::SequenceSum),
            GroupNormalizedConfig::new().init().unwrap(),
            ClipConfig::new().with_clip_low(3e-4).with_clip_high(4e-4).init().unwrap(),
        );
    }

    #[test]
    fn two_responses_by_hand() {
        // Ratios e^0.2 and e^−0.3, both clipped.
        close(&[two_rows(&LuspoConfig::new().init().unwrap())], &[(-2.0 * 1.0004 + 1.9994) / 2.0], 1e-14);
    }

    #[test]
    fn settings_reach_their_parts() {
        let objective = LuspoConfig::new().with_clip_low(0.1).with_clip_high(0.3).init().unwrap();
        let surrogate = ClipConfig::new().with_clip_low(0.1).with_clip_high(0.3).init().unwrap();
        assert_eq!(format!("{:?}", objective.surrogate()), format!("{surrogate:?}"));
        let error = LuspoConfig::new().with_clip_low(-1.0).init().unwrap_err().to_string();
        assert!(error.starts_with("`clip_low`"), "{error}");
        let objective = LuspoConfig::new().with_kl_coef(0.04).init().unwrap();
        assert_eq!(objective.config().kl, KlPlacement::in_loss(0.04));
        let error = LuspoConfig::new().with_kl_coef(-1.0).init().unwrap_err().to_string();
        assert!(error.starts_with("`kl_coef`"), "{error}");
    }
}
