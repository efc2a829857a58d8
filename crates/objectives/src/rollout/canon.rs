//! Conditional Advantage Estimation (CANON).
//!
//! **Paper:** Conditional Advantage Estimation for Reinforcement Learning in Large Reasoning Models (2025),
//! 2509.23962.
//! **Use when:** a metric of responses, entropy or length, matters for rewards, and it is not known which way.
//! **Checked by:** hand-worked values and gradients, its parts, laws of methods.
//! **Deviations:** see [`advantage::canon`].

use accordant_ops::{check_domain, reduce::Aggregation};
use burn::config::Config;

use super::{KlPlacement, Method, PolicyGradient, PolicyGradientConfig, RatioLevel, surrogate::clip::ClipConfig};
use crate::{
    Result,
    advantage::{self, canon::SplitBy},
};

/// Configuration of CANON, a point of the [grid](PolicyGradient).
///
/// ```text
/// Σ over tokens of max(−A ρ, −A clip(ρ, 1 − ε, 1 + ε)) + β k3, over rows × max_len
/// A = μ (r − mean of the other half) + (1 − μ) (r − mean of the own half)
/// ```
///
/// By name, `max_len` is 512 unless it is given, TRL's default length of a completion.
///
/// # Example
/// One response of two tokens, of which the first has become e^0.5 times as likely:
/// ```
/// use accordant_objectives::{TokenLogps, rollout::{RolloutBatch, RolloutObjective, canon::CanonConfig}};
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let row = |values: [f32; 2]| Tensor::<2>::from_floats([values], &device);
/// let logps = TokenLogps::new(row([-1.0, -2.0]), Tensor::full([1, 2], true, &device))?;
/// let batch = RolloutBatch::new(logps, row([1.0, 1.0]))?.with_old(row([-1.5, -2.0]))?;
/// let loss = CanonConfig::new(4).init()?.forward(&batch)?.reduced.loss.into_scalar::<f32>();
/// assert!((loss - -(1.2 + 1.0) / 4.0).abs() < 1e-6); // e^0.5 is clipped
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2509.23962")]
#[derive(Config, Debug, PartialEq)]
pub struct CanonConfig {
    /// The largest number of tokens that a response may have, at least 1.
    pub max_len: usize,
    /// What groups are split by. Metric: a column.
    #[config(default = "SplitBy::Metric")]
    pub split_by: SplitBy,
    /// μ, how much the other half counts, in `[0, 1]`. 0.5: ours; the authors' code has 1.
    #[config(default = 0.5)]
    pub inter_weight: f64,
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

impl CanonConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<PolicyGradient> {
        check_domain(self.max_len > 0, "max_len", "at least 1", self.max_len as f64)?;
        PolicyGradientConfig::new(RatioLevel::Token, Aggregation::ConstantLength(self.max_len))
            .with_kl(KlPlacement::in_loss(self.kl_coef))
            .init(
                "canon",
                advantage::canon::CanonConfig::new()
                    .with_split_by(self.split_by)
                    .with_inter_weight(self.inter_weight)
                    .init()?,
                ClipConfig::new().with_clip_low(self.clip_low).with_clip_high(self.clip_high).init()?,
            )
    }
}

/// `canon` by name.
pub const METHOD: Method = Method {
    name: "canon",
    title: "Conditional Advantage Estimation (CANON)",
    build: |options| Ok(Box::new(options.apply("canon", CanonConfig::new(512))?.init()?)),
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollout::tests::{assert_parts, close, two_rows};

    #[test]
    fn it_is_this_point_of_the_grid() {
        assert_parts(
            &CanonConfig::new(4).init().unwrap(),
            PolicyGradientConfig::new(RatioLevel::Token, Aggregation::ConstantLength(4)),
            advantage::canon::CanonConfig::new().init().unwrap(),
            ClipConfig::new().init().unwrap(),
        );
    }

    #[test]
    fn two_responses_by_hand() {
        // The first and the last of the three tokens are clipped; two rows of at most four.
        close(&[two_rows(&CanonConfig::new(4).init().unwrap())], &[(-1.2 - (-0.1f64).exp() + 1.6) / 8.0], 1e-14);
    }

    #[test]
    fn settings_reach_their_parts() {
        let objective = CanonConfig::new(4).with_clip_low(0.1).with_clip_high(0.3).init().unwrap();
        let surrogate = ClipConfig::new().with_clip_low(0.1).with_clip_high(0.3).init().unwrap();
        assert_eq!(format!("{:?}", objective.surrogate()), format!("{surrogate:?}"));
        let error = CanonConfig::new(4).with_clip_low(-1.0).init().unwrap_err().to_string();
        assert!(error.starts_with("`clip_low`"), "{error}");
        let objective = CanonConfig::new(4).with_kl_coef(0.04).init().unwrap();
        assert_eq!(objective.config().kl, KlPlacement::in_loss(0.04));
        let error = CanonConfig::new(4).with_kl_coef(-1.0).init().unwrap_err().to_string();
        assert!(error.starts_with("`kl_coef`"), "{error}");
        let objective = CanonConfig::new(4).with_inter_weight(0.25).with_split_by(SplitBy::Length).init().unwrap();
        let estimator =
            advantage::canon::CanonConfig::new().with_inter_weight(0.25).with_split_by(SplitBy::Length).init().unwrap();
        assert_eq!(format!("{:?}", objective.estimator()), format!("{estimator:?}"));
        let error = CanonConfig::new(4).with_inter_weight(2.0).init().unwrap_err().to_string();
        assert!(error.starts_with("`inter_weight`"), "{error}");
        let error = CanonConfig::new(0).init().unwrap_err().to_string();
        assert_eq!(error, "`max_len`: expected at least 1, got 0");
    }
}
