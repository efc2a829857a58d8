//! On-Policy RL with Optimal Reward Baseline (OPO).
//!
//! **Paper:** On-Policy RL with Optimal Reward Baseline (2025), 2505.23585.
//! **Use when:** each batch is learned from once, and responses to a prompt differ much in length.
//! **Checked by:** hand-worked values and gradients, its parts, laws of methods.
//! **Deviations:** the sum over tokens is ours: its gradient is the one that the baseline is best for.

use accordant_ops::reduce::Aggregation;
use burn::config::Config;

use super::{Method, PolicyGradient, PolicyGradientConfig, RatioLevel, surrogate};
use crate::{Result, advantage};

/// Configuration of OPO, a point of the [grid](PolicyGradient).
///
/// ```text
/// mean over responses of the sum over tokens of  −A log π,   A = r − Σ_j n_j r_j / Σ_j n_j
/// ```
///
/// # Example
/// One response of two tokens, of which the first has become e^0.5 times as likely:
/// ```
/// use accordant_objectives::{TokenLogps, rollout::{RolloutBatch, RolloutObjective, opo::OpoConfig}};
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let row = |values: [f32; 2]| Tensor::<2>::from_floats([values], &device);
/// let logps = TokenLogps::new(row([-1.0, -2.0]), Tensor::full([1, 2], true, &device))?;
/// let batch = RolloutBatch::new(logps, row([1.0, 1.0]))?.with_old(row([-1.5, -2.0]))?;
/// let loss = OpoConfig::new().init()?.forward(&batch)?.reduced.loss.into_scalar::<f32>();
/// assert!((loss - 3.0).abs() < 1e-6); // 1 + 2: the ratio does not count
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2505.23585")]
#[derive(Config, Debug, PartialEq)]
pub struct OpoConfig {}

impl OpoConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<PolicyGradient> {
        PolicyGradientConfig::new(RatioLevel::Token, Aggregation::SequenceSum).init(
            "opo",
            advantage::opo::OpoConfig::new().init()?,
            surrogate::reinforce::ReinforceConfig::new().init(),
        )
    }
}

/// `opo` by name.
pub const METHOD: Method = Method {
    name: "opo",
    title: "On-Policy RL with Optimal Reward Baseline (OPO)",
    build: |options| Ok(Box::new(options.apply("opo", OpoConfig::new())?.init()?)),
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollout::tests::{assert_parts, close, two_rows};

    #[test]
    fn it_is_this_point_of_the_grid() {
        assert_parts(
            &OpoConfig::new().init().unwrap(),
            PolicyGradientConfig::new(RatioLevel::Token, Aggregation::SequenceSum),
            advantage::opo::OpoConfig::new().init().unwrap(),
            surrogate::reinforce::ReinforceConfig::new().init(),
        );
    }

    #[test]
    fn two_responses_by_hand() {
        // log π = −1, −2 and −3 with A = 1, 1 and −2.
        close(&[two_rows(&OpoConfig::new().init().unwrap())], &[(1.0 + 2.0 - 6.0) / 2.0], 1e-14);
    }
}
