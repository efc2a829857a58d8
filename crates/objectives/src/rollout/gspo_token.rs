//! GSPO with a Loss of Tokens (GSPO-token).
//!
//! **Paper:** Group Sequence Policy Optimization (2025), 2507.18071, section 4.3.
//! **Use when:** as [`super::gspo`], where advantages differ among the tokens of a response.
//! **Checked by:** hand-worked values and gradients, its parts, laws of methods.
//! **Deviations:** none.

use accordant_ops::reduce::Aggregation;
use burn::config::Config;

use super::{KlPlacement, Method, PolicyGradient, PolicyGradientConfig, RatioLevel, surrogate::clip::ClipConfig};
use crate::{Result, advantage::group_normalized::GroupNormalizedConfig};

/// Configuration of GSPO-token, a point of the [grid](PolicyGradient).
///
/// ```text
/// mean over responses of mean over tokens of max(−A_t s_t, −A_t clip(s_t, 1 − ε_low, 1 + ε_high)) + β k3
/// s_t = sg(s) ρ_t / sg(ρ_t),   s = exp(mean over tokens of log ρ)
/// ```
///
/// With one advantage for each response, values and gradients are those of GSPO, off-policy, too.
///
/// # Example
/// One response of two tokens, of which the first has become e^0.5 times as likely:
/// ```
/// use accordant_objectives::{TokenLogps, rollout::{RolloutBatch, RolloutObjective, gspo_token::GspoTokenConfig}};
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let row = |values: [f32; 2]| Tensor::<2>::from_floats([values], &device);
/// let logps = TokenLogps::new(row([-1.0, -2.0]), Tensor::full([1, 2], true, &device))?;
/// let batch = RolloutBatch::new(logps, row([1.0, 1.0]))?.with_old(row([-1.5, -2.0]))?;
/// let loss = GspoTokenConfig::new().init()?.forward(&batch)?.reduced.loss.into_scalar::<f32>();
/// assert!((loss - -1.0004).abs() < 1e-6); // e^0.25 is clipped
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "GSPO-token")]
#[doc(alias = "2507.18071")]
#[derive(Config, Debug, PartialEq)]
pub struct GspoTokenConfig {
    /// ε below 1, in `[0, 1]`. 3e-4: the paper's; ratios of responses hardly move.
    #[config(default = 3e-4)]
    pub clip_low: f64,
    /// ε above 1, finite and ≥ 0. 4e-4: the paper's.
    #[config(default = 4e-4)]
    pub clip_high: f64,
    /// Weight of the divergence in the loss, by K3, finite and ≥ 0. 0: the paper's.
    #[config(default = 0.0)]
    pub kl_coef: f64,
}

impl GspoTokenConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<PolicyGradient> {
        PolicyGradientConfig::new(RatioLevel::SequenceToken, Aggregation::SequenceMean)
            .with_kl(KlPlacement::in_loss(self.kl_coef))
            .init(
                "gspo_token",
                GroupNormalizedConfig::new().init()?,
                ClipConfig::new().with_clip_low(self.clip_low).with_clip_high(self.clip_high).init()?,
            )
    }
}

/// `gspo_token` by name.
pub const METHOD: Method = Method {
    name: "gspo_token",
    title: "GSPO with a Loss of Tokens (GSPO-token)",
    build: |options| Ok(Box::new(options.apply("gspo_token", GspoTokenConfig::new())?.init()?)),
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollout::tests::{assert_parts, close, two_rows};

    #[test]
    fn it_is_this_point_of_the_grid() {
        assert_parts(
            &GspoTokenConfig::new().init().unwrap(),
            PolicyGradientConfig::new(RatioLevel::SequenceToken, Aggregation::SequenceMean),
            GroupNormalizedConfig::new().init().unwrap(),
            ClipConfig::new().with_clip_low(3e-4).with_clip_high(4e-4).init().unwrap(),
        );
    }

    #[test]
    fn two_responses_by_hand() {
        // Ratios e^0.2 and e^−0.3, both clipped.
        close(&[two_rows(&GspoTokenConfig::new().init().unwrap())], &[(-1.0004 + 1.9994) / 2.0], 1e-14);
    }

    #[test]
    fn settings_reach_their_parts() {
        let objective = GspoTokenConfig::new().with_clip_low(0.1).with_clip_high(0.3).init().unwrap();
        let surrogate = ClipConfig::new().with_clip_low(0.1).with_clip_high(0.3).init().unwrap();
        assert_eq!(format!("{:?}", objective.surrogate()), format!("{surrogate:?}"));
        let error = GspoTokenConfig::new().with_clip_low(-1.0).init().unwrap_err().to_string();
        assert!(error.starts_with("`clip_low`"), "{error}");
        let objective = GspoTokenConfig::new().with_kl_coef(0.04).init().unwrap();
        assert_eq!(objective.config().kl, KlPlacement::in_loss(0.04));
        let error = GspoTokenConfig::new().with_kl_coef(-1.0).init().unwrap_err().to_string();
        assert!(error.starts_with("`kl_coef`"), "{error}");
    }
}
