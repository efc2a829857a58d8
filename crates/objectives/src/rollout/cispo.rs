//! Clipped Importance Sampling Policy Optimization (CISPO).
//!
//! **Paper:** MiniMax-M1: Scaling Test-Time Compute Efficiently with Lightning Attention (2025), 2506.13585, eq. 4
//! and 5.
//! **Use when:** rollouts are learned from several times, and rare tokens must keep their gradient.
//! **Checked by:** hand-worked values and gradients, its parts, laws of methods.
//! **Deviations:** bounds are ratios; [`crate::rollout::surrogate::cispo::CispoConfig::around_one`] converts.

use accordant_ops::reduce::Aggregation;
use burn::config::Config;

use super::{Method, PolicyGradient, PolicyGradientConfig, RatioLevel, surrogate};
use crate::{Result, advantage::group_normalized::GroupNormalizedConfig};

/// Configuration of CISPO, a point of the [grid](PolicyGradient).
///
/// ```text
/// mean over the tokens of the step of  −sg(clip(ρ, low, high)) A log π        (eq. 4, 5)
/// ```
///
/// # Example
/// One response of two tokens, of which the first has become e^0.5 times as likely:
/// ```
/// use accordant_objectives::{TokenLogps, rollout::{RolloutBatch, RolloutObjective, cispo::CispoConfig}};
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let row = |values: [f32; 2]| Tensor::<2>::from_floats([values], &device);
/// let logps = TokenLogps::new(row([-1.0, -2.0]), Tensor::full([1, 2], true, &device))?;
/// let batch = RolloutBatch::new(logps, row([1.0, 1.0]))?.with_old(row([-1.5, -2.0]))?;
/// let loss = CispoConfig::new().init()?.forward(&batch)?.reduced.loss.into_scalar::<f32>();
/// assert!((loss - (0.5f32.exp() + 2.0) / 2.0).abs() < 1e-6); // log π = −1 and −2
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "Clipped Importance Sampling Policy Optimization")]
#[doc(alias = "2506.13585")]
#[derive(Config, Debug, PartialEq)]
pub struct CispoConfig {
    /// The smallest weight, in `[0, 1]`. None: the paper's and TRL's.
    #[config(default = "None")]
    pub low: Option<f64>,
    /// The largest weight, finite and ≥ 1. 5: the value TRL recommends, after ScaleRL.
    #[config(default = 5.0)]
    pub high: f64,
}

impl CispoConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<PolicyGradient> {
        PolicyGradientConfig::new(RatioLevel::Token, Aggregation::TokenMean).init(
            "cispo",
            GroupNormalizedConfig::new().init()?,
            surrogate::cispo::CispoConfig::new().with_low(self.low).with_high(self.high).init()?,
        )
    }
}

/// `cispo` by name.
pub const METHOD: Method = Method {
    name: "cispo",
    title: "Clipped Importance Sampling Policy Optimization (CISPO)",
    build: |options| Ok(Box::new(options.apply("cispo", CispoConfig::new())?.init()?)),
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollout::tests::{assert_parts, close, two_rows};

    #[test]
    fn it_is_this_point_of_the_grid() {
        assert_parts(
            &CispoConfig::new().init().unwrap(),
            PolicyGradientConfig::new(RatioLevel::Token, Aggregation::TokenMean),
            GroupNormalizedConfig::new().init().unwrap(),
            surrogate::cispo::CispoConfig::new().init().unwrap(),
        );
    }

    #[test]
    fn two_responses_by_hand() {
        // log π = −1, −2 and −3 with A = 1, 1 and −2.
        close(
            &[two_rows(&CispoConfig::new().init().unwrap())],
            &[(0.5f64.exp() + 2.0 * (-0.1f64).exp() - 6.0 * (-0.3f64).exp()) / 3.0],
            1e-14,
        );
    }

    #[test]
    fn settings_reach_their_parts() {
        let objective = CispoConfig::new().with_low(Some(0.5)).with_high(2.0).init().unwrap();
        let surrogate = surrogate::cispo::CispoConfig::new().with_low(Some(0.5)).with_high(2.0).init().unwrap();
        assert_eq!(format!("{:?}", objective.surrogate()), format!("{surrogate:?}"));
        assert!(CispoConfig::new().with_high(0.5).init().unwrap_err().to_string().starts_with("`high`"));
    }
}
