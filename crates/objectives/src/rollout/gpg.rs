//! Group Policy Gradient (GPG).
//!
//! **Paper:** GPG: A Simple and Strong Reinforcement Learning Baseline for Model Reasoning (2025), 2504.02546.
//! **Use when:** each batch is learned from once: no ratio, no clip, no reference.
//! **Checked by:** hand-worked values and gradients, its parts, laws of methods.
//! **Deviations:** see [`advantage::gpg`] on which responses count.

use accordant_ops::reduce::Aggregation;
use burn::config::Config;

use super::{Method, PolicyGradient, PolicyGradientConfig, RatioLevel, surrogate};
use crate::{Result, advantage};

/// Configuration of GPG, a point of the [grid](PolicyGradient).
///
/// ```text
/// mean over tokens of  −A log π,   A = α (r − mean of the group) / f_norm
/// ```
///
/// # Example
/// One response of two tokens, of which the first has become e^0.5 times as likely:
/// ```
/// use accordant_objectives::{TokenLogps, rollout::{RolloutBatch, RolloutObjective, gpg::GpgConfig}};
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let row = |values: [f32; 2]| Tensor::<2>::from_floats([values], &device);
/// let logps = TokenLogps::new(row([-1.0, -2.0]), Tensor::full([1, 2], true, &device))?;
/// let batch = RolloutBatch::new(logps, row([1.0, 1.0]))?.with_old(row([-1.5, -2.0]))?;
/// let loss = GpgConfig::new().init()?.forward(&batch)?.reduced.loss.into_scalar::<f32>();
/// assert!((loss - 1.5).abs() < 1e-6); // (1 + 2) / 2: the ratio does not count
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "Group Policy Gradient")]
#[doc(alias = "2504.02546")]
#[derive(Config, Debug, PartialEq)]
pub struct GpgConfig {
    /// Which responses count in α. Nonzero: verl's.
    #[config(default = "advantage::gpg::Counted::Nonzero")]
    pub counted: advantage::gpg::Counted,
    /// What advantages are divided by, as the estimator has it. 1: the paper's.
    #[config(default = 1.0)]
    pub f_norm: f64,
}

impl GpgConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<PolicyGradient> {
        PolicyGradientConfig::new(RatioLevel::Token, Aggregation::TokenMean).init(
            "gpg",
            advantage::gpg::GpgConfig::new().with_counted(self.counted).with_f_norm(self.f_norm).init()?,
            surrogate::reinforce::ReinforceConfig::new().init(),
        )
    }
}

/// `gpg` by name.
pub const METHOD: Method = Method {
    name: "gpg",
    title: "Group Policy Gradient (GPG)",
    build: |options| Ok(Box::new(options.apply("gpg", GpgConfig::new())?.init()?)),
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollout::tests::{assert_parts, close, two_rows};

    #[test]
    fn it_is_this_point_of_the_grid() {
        assert_parts(
            &GpgConfig::new().init().unwrap(),
            PolicyGradientConfig::new(RatioLevel::Token, Aggregation::TokenMean),
            advantage::gpg::GpgConfig::new().init().unwrap(),
            surrogate::reinforce::ReinforceConfig::new().init(),
        );
    }

    #[test]
    fn two_responses_by_hand() {
        // log π = −1, −2 and −3 with A = 1, 1 and −2.
        close(&[two_rows(&GpgConfig::new().init().unwrap())], &[(1.0 + 2.0 - 6.0) / 3.0], 1e-14);
    }

    #[test]
    fn settings_reach_their_parts() {
        let objective =
            GpgConfig::new().with_f_norm(2.0).with_counted(advantage::gpg::Counted::Telling).init().unwrap();
        let estimator = advantage::gpg::GpgConfig::new()
            .with_f_norm(2.0)
            .with_counted(advantage::gpg::Counted::Telling)
            .init()
            .unwrap();
        assert_eq!(format!("{:?}", objective.estimator()), format!("{estimator:?}"));
        let error = GpgConfig::new().with_f_norm(0.0).init().unwrap_err().to_string();
        assert!(error.starts_with("`f_norm`"), "{error}");
    }
}
