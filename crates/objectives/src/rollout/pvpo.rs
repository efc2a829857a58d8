//! Pre-Estimated Value-Based Policy Optimization (PVPO).
//!
//! **Paper:** PVPO: Pre-Estimated Value-Based Policy Optimization for Agentic Reasoning (2025), 2508.21104.
//! **Use when:** responses are expensive and few are sampled to each prompt; the reference can be sampled before.
//! **Checked by:** hand-worked values and gradients, its parts, laws of methods.
//! **Deviations:** none. Its baseline does not come from the responses themselves, so that with a mean over the tokens of
//! each response it learns to maximize `(r − V_ref)` per token: short successes, long failures.

use accordant_ops::reduce::Aggregation;
use burn::config::Config;

use super::{KlPlacement, Method, PolicyGradient, PolicyGradientConfig, RatioLevel, surrogate::clip::ClipConfig};
use crate::{Result, advantage};

/// Configuration of PVPO, a point of the [grid](PolicyGradient).
///
/// ```text
/// mean over responses of mean over tokens of  max(−A ρ, −A clip(ρ, 1 − ε, 1 + ε)) + β k3
/// A = r − what the reference achieves on the prompt
/// ```
///
/// # Example
/// One response of two tokens, of which the first has become e^0.5 times as likely:
/// ```
/// use accordant_objectives::{TokenLogps, rollout::{RolloutBatch, RolloutObjective, pvpo::PvpoConfig}};
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let row = |values: [f32; 2]| Tensor::<2>::from_floats([values], &device);
/// let logps = TokenLogps::new(row([-1.0, -2.0]), Tensor::full([1, 2], true, &device))?;
/// let batch = RolloutBatch::new(logps, row([1.0, 1.0]))?.with_old(row([-1.5, -2.0]))?;
/// let loss = PvpoConfig::new().init()?.forward(&batch)?.reduced.loss.into_scalar::<f32>();
/// assert!((loss - -(1.2 + 1.0) / 2.0).abs() < 1e-6); // e^0.5 is clipped
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2508.21104")]
#[derive(Config, Debug, PartialEq)]
pub struct PvpoConfig {
    /// Whether advantages are divided by the deviation of their group. False: the paper's.
    #[config(default = false)]
    pub scale_by_std: bool,
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

impl PvpoConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<PolicyGradient> {
        PolicyGradientConfig::new(RatioLevel::Token, Aggregation::SequenceMean)
            .with_kl(KlPlacement::in_loss(self.kl_coef))
            .init(
                "pvpo",
                advantage::pvpo::PvpoConfig::new().with_scale_by_std(self.scale_by_std).init()?,
                ClipConfig::new().with_clip_low(self.clip_low).with_clip_high(self.clip_high).init()?,
            )
    }
}

/// `pvpo` by name.
pub const METHOD: Method = Method {
    name: "pvpo",
    title: "Pre-Estimated Value-Based Policy Optimization (PVPO)",
    build: |options| Ok(Box::new(options.apply("pvpo", PvpoConfig::new())?.init()?)),
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollout::tests::{assert_parts, close, two_rows};

    #[test]
    fn it_is_this_point_of_the_grid() {
        assert_parts(
            &PvpoConfig::new().init().unwrap(),
            PolicyGradientConfig::new(RatioLevel::Token, Aggregation::SequenceMean),
            advantage::pvpo::PvpoConfig::new().init().unwrap(),
            ClipConfig::new().init().unwrap(),
        );
    }

    #[test]
    fn two_responses_by_hand() {
        // The first and the last of the three tokens are clipped.
        close(&[two_rows(&PvpoConfig::new().init().unwrap())], &[((-1.2 - (-0.1f64).exp()) / 2.0 + 1.6) / 2.0], 1e-14);
    }

    #[test]
    fn settings_reach_their_parts() {
        let objective = PvpoConfig::new().with_clip_low(0.1).with_clip_high(0.3).init().unwrap();
        let surrogate = ClipConfig::new().with_clip_low(0.1).with_clip_high(0.3).init().unwrap();
        assert_eq!(format!("{:?}", objective.surrogate()), format!("{surrogate:?}"));
        let error = PvpoConfig::new().with_clip_low(-1.0).init().unwrap_err().to_string();
        assert!(error.starts_with("`clip_low`"), "{error}");
        let objective = PvpoConfig::new().with_kl_coef(0.04).init().unwrap();
        assert_eq!(objective.config().kl, KlPlacement::in_loss(0.04));
        let error = PvpoConfig::new().with_kl_coef(-1.0).init().unwrap_err().to_string();
        assert!(error.starts_with("`kl_coef`"), "{error}");
        let objective = PvpoConfig::new().with_scale_by_std(true).init().unwrap();
        assert!(format!("{:?}", objective.estimator()).contains("scale_by_std: true"));
    }
}
