//! REINFORCE Leave-One-Out (RLOO).
//!
//! **Paper:** Back to Basics: Revisiting REINFORCE Style Optimization for Learning from Human Feedback in LLMs
//! (2024), 2402.14740.
//! **Use when:** several responses to each prompt are sampled, and the baseline shall add no bias.
//! **Checked by:** hand-worked values and gradients, its parts, laws of methods.
//! **Deviations:** with a ratio and a clip, for several updates with the same rollouts, as in TRL; on-policy they
//! change nothing.

use accordant_ops::reduce::Aggregation;
use burn::config::Config;
use serde::{Deserialize, Serialize};

use super::{KlPlacement, Method, PolicyGradient, PolicyGradientConfig, RatioLevel, surrogate::clip::ClipConfig};
use crate::{Result, advantage::leave_one_out::LeaveOneOutConfig};

/// What RLOO's ratio is taken of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RlooRatio {
    /// Each token.
    Token,
    /// The response as a whole, by its sum: clipped as one.
    Sequence,
}

/// Configuration of RLOO, a point of the [grid](PolicyGradient).
///
/// ```text
/// mean over responses of the sum over tokens of  max(−A ρ, −A clip(ρ, 1 − ε, 1 + ε))
/// A = r − mean of the other responses' r,   r = reward − kl_coef Σ k1
/// ```
///
/// # Example
/// One response of two tokens, of which the first has become e^0.5 times as likely:
/// ```
/// use accordant_objectives::{TokenLogps, rollout::{RolloutBatch, RolloutObjective, rloo::RlooConfig}};
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let row = |values: [f32; 2]| Tensor::<2>::from_floats([values], &device);
/// let logps = TokenLogps::new(row([-1.0, -2.0]), Tensor::full([1, 2], true, &device))?;
/// let batch = RolloutBatch::new(logps, row([1.0, 1.0]))?.with_old(row([-1.5, -2.0]))?;
/// let loss = RlooConfig::new().init()?.forward(&batch)?.reduced.loss.into_scalar::<f32>();
/// assert!((loss - -(1.2 + 1.0)).abs() < 1e-6); // e^0.5 is clipped
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2402.14740")]
#[doc(alias = "REINFORCE Leave-One-Out")]
#[derive(Config, Debug, PartialEq)]
pub struct RlooConfig {
    /// What the ratio is taken of. Token: OpenRLHF's and verl's; TRL has that of the response.
    #[config(default = "RlooRatio::Token")]
    pub ratio: RlooRatio,
    /// ε below 1, in `[0, 1]`. 0.2: PPO's.
    #[config(default = 0.2)]
    pub clip_low: f64,
    /// ε above 1, finite and ≥ 0. 0.2: PPO's.
    #[config(default = 0.2)]
    pub clip_high: f64,
    /// Weight of the divergence in the reward, by K1, finite and ≥ 0. 0.05: TRL's.
    #[config(default = 0.05)]
    pub kl_coef: f64,
}

impl RlooConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<PolicyGradient> {
        let (ratio, aggregation) = match self.ratio {
            RlooRatio::Token => (RatioLevel::Token, Aggregation::SequenceSum),
            // A loss of the row at each of its tokens: their mean is it.
            RlooRatio::Sequence => (RatioLevel::SequenceSum, Aggregation::SequenceMean),
        };
        PolicyGradientConfig::new(ratio, aggregation).with_kl(KlPlacement::in_reward(self.kl_coef)).init(
            "rloo",
            LeaveOneOutConfig::new().init()?,
            ClipConfig::new().with_clip_low(self.clip_low).with_clip_high(self.clip_high).init()?,
        )
    }
}

/// `rloo` by name.
pub const METHOD: Method = Method {
    name: "rloo",
    title: "REINFORCE Leave-One-Out (RLOO)",
    build: |options| Ok(Box::new(options.apply("rloo", RlooConfig::new())?.init()?)),
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollout::tests::{assert_parts, close, two_rows};

    #[test]
    fn it_is_this_point_of_the_grid() {
        assert_parts(
            &RlooConfig::new().init().unwrap(),
            PolicyGradientConfig::new(RatioLevel::Token, Aggregation::SequenceSum)
                .with_kl(KlPlacement::in_reward(0.05)),
            LeaveOneOutConfig::new().init().unwrap(),
            ClipConfig::new().init().unwrap(),
        );
    }

    #[test]
    fn two_responses_by_hand() {
        // The first and the last of the three tokens are clipped.
        close(&[two_rows(&RlooConfig::new().init().unwrap())], &[(-1.2 - (-0.1f64).exp() + 1.6) / 2.0], 1e-14);
    }

    #[test]
    fn a_ratio_of_responses_is_clipped_as_one() {
        let objective = RlooConfig::new().with_ratio(RlooRatio::Sequence).init().unwrap();
        // Ratios e^0.4 and e^−0.3, both clipped.
        close(&[two_rows(&objective)], &[(-1.2 + 1.6) / 2.0], 1e-14);
        assert!(objective.warnings().is_empty() && RlooConfig::new().init().unwrap().warnings().is_empty());
    }

    #[test]
    fn settings_reach_their_parts() {
        let objective = RlooConfig::new().with_clip_low(0.1).with_clip_high(0.3).init().unwrap();
        let surrogate = ClipConfig::new().with_clip_low(0.1).with_clip_high(0.3).init().unwrap();
        assert_eq!(format!("{:?}", objective.surrogate()), format!("{surrogate:?}"));
        let error = RlooConfig::new().with_clip_low(-1.0).init().unwrap_err().to_string();
        assert!(error.starts_with("`clip_low`"), "{error}");
        let objective = RlooConfig::new().with_kl_coef(0.04).init().unwrap();
        assert_eq!(objective.config().kl, KlPlacement::in_reward(0.04));
        let error = RlooConfig::new().with_kl_coef(-1.0).init().unwrap_err().to_string();
        assert!(error.starts_with("`kl_coef`"), "{error}");
    }
}
