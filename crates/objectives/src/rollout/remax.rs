//! ReMax.
//!
//! **Paper:** ReMax: A Simple, Effective, and Efficient Reinforcement Learning Method for Aligning Large Language
//! Models (2023), 2310.10505.
//! **Use when:** one response to each prompt is sampled, and a greedy one can be: its reward is the baseline.
//! **Checked by:** hand-worked values and gradients, its parts, laws of methods.
//! **Deviations:** none; a divergence in the reward is RLHF's addition.

use accordant_ops::reduce::Aggregation;
use burn::config::Config;

use super::{KlPlacement, Method, PolicyGradient, PolicyGradientConfig, RatioLevel, surrogate};
use crate::{Result, advantage};

/// Configuration of ReMax, a point of the [grid](PolicyGradient).
///
/// ```text
/// mean over responses of the sum over tokens of  −A log π
/// A = Σ_{s ≥ t} R_s − r(greedy response),   R_t = −kl_coef k1_t + score at the last token
/// ```
///
/// # Example
/// One response of two tokens, of which the first has become e^0.5 times as likely:
/// ```
/// use accordant_objectives::{TokenLogps, rollout::{RolloutBatch, RolloutObjective, remax::ReMaxConfig}};
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let row = |values: [f32; 2]| Tensor::<2>::from_floats([values], &device);
/// let logps = TokenLogps::new(row([-1.0, -2.0]), Tensor::full([1, 2], true, &device))?;
/// let batch = RolloutBatch::new(logps, row([1.0, 1.0]))?.with_old(row([-1.5, -2.0]))?;
/// let loss = ReMaxConfig::new().init()?.forward(&batch)?.reduced.loss.into_scalar::<f32>();
/// assert!((loss - 3.0).abs() < 1e-6); // 1 + 2: the ratio does not count
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2310.10505")]
#[derive(Config, Debug, PartialEq)]
pub struct ReMaxConfig {
    /// Weight of the divergence in the reward, by K1, finite and ≥ 0. 0.05: TRL's for RLOO.
    #[config(default = 0.05)]
    pub kl_coef: f64,
}

impl ReMaxConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<PolicyGradient> {
        PolicyGradientConfig::new(RatioLevel::Token, Aggregation::SequenceSum)
            .with_kl(KlPlacement::in_reward(self.kl_coef))
            .init(
                "remax",
                advantage::remax::ReMaxConfig::new().init()?,
                surrogate::reinforce::ReinforceConfig::new().init(),
            )
    }
}

/// `remax` by name.
pub const METHOD: Method = Method {
    name: "remax",
    title: "ReMax",
    build: |options| Ok(Box::new(options.apply("remax", ReMaxConfig::new())?.init()?)),
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollout::tests::{assert_parts, close, two_rows};

    #[test]
    fn it_is_this_point_of_the_grid() {
        assert_parts(
            &ReMaxConfig::new().init().unwrap(),
            PolicyGradientConfig::new(RatioLevel::Token, Aggregation::SequenceSum)
                .with_kl(KlPlacement::in_reward(0.05)),
            advantage::remax::ReMaxConfig::new().init().unwrap(),
            surrogate::reinforce::ReinforceConfig::new().init(),
        );
    }

    #[test]
    fn two_responses_by_hand() {
        // log π = −1, −2 and −3 with A = 1, 1 and −2.
        close(&[two_rows(&ReMaxConfig::new().init().unwrap())], &[(1.0 + 2.0 - 6.0) / 2.0], 1e-14);
    }

    #[test]
    fn settings_reach_their_parts() {
        let objective = ReMaxConfig::new().with_kl_coef(0.04).init().unwrap();
        assert_eq!(objective.config().kl, KlPlacement::in_reward(0.04));
        let error = ReMaxConfig::new().with_kl_coef(-1.0).init().unwrap_err().to_string();
        assert!(error.starts_with("`kl_coef`"), "{error}");
    }
}
