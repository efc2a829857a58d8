//! Tree-OPO.
//!
//! **Paper:** Tree-OPO: Off-policy Monte Carlo Tree-Guided Advantage Optimization for Multistep Reasoning (2025),
//! 2509.09284.
//! **Use when:** a tree search has left prefixes of answers to a prompt, and each response continues one of them.
//! **Checked by:** hand-worked values and gradients, its parts, laws of methods.
//! **Deviations:** the paper's projection of advantages onto the order of the tree is left out; see
//! [`advantage::tree_opo`].

use accordant_ops::reduce::Aggregation;
use burn::config::Config;

use super::{KlPlacement, Method, PolicyGradient, PolicyGradientConfig, RatioLevel, surrogate::clip::ClipConfig};
use crate::{
    Result,
    advantage::{self, tree_opo::PrefixValue},
};

/// Configuration of Tree-OPO, a point of the [grid](PolicyGradient).
///
/// ```text
/// mean over responses of mean over tokens of  max(−A ρ, −A clip(ρ, 1 − ε, 1 + ε)) + β k3
/// A = r − α V(prefix), centered and scaled over the group
/// ```
///
/// The mask has the tokens of the response alone, not those of the prefix that it continues.
///
/// # Example
/// One response of two tokens, of which the first has become e^0.5 times as likely:
/// ```
/// use accordant_objectives::{TokenLogps, rollout::{RolloutBatch, RolloutObjective, tree_opo::TreeOpoConfig}};
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let row = |values: [f32; 2]| Tensor::<2>::from_floats([values], &device);
/// let logps = TokenLogps::new(row([-1.0, -2.0]), Tensor::full([1, 2], true, &device))?;
/// let batch = RolloutBatch::new(logps, row([1.0, 1.0]))?.with_old(row([-1.5, -2.0]))?;
/// let loss = TreeOpoConfig::new().init()?.forward(&batch)?.reduced.loss.into_scalar::<f32>();
/// assert!((loss - -(1.2 + 1.0) / 2.0).abs() < 1e-6); // e^0.5 is clipped
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2509.09284")]
#[derive(Config, Debug, PartialEq)]
pub struct TreeOpoConfig {
    /// What a prefix is worth. Expectation: the mean reward of what goes on from it.
    #[config(default = "PrefixValue::Expectation")]
    pub prefix_value: PrefixValue,
    /// α, how much of that is subtracted, as the estimator has it. 1: the estimator's.
    #[config(default = 1.0)]
    pub baseline_weight: f64,
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

impl TreeOpoConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<PolicyGradient> {
        PolicyGradientConfig::new(RatioLevel::Token, Aggregation::SequenceMean)
            .with_kl(KlPlacement::in_loss(self.kl_coef))
            .init(
                "tree_opo",
                advantage::tree_opo::TreeOpoConfig::new()
                    .with_prefix_value(self.prefix_value)
                    .with_baseline_weight(self.baseline_weight)
                    .init()?,
                ClipConfig::new().with_clip_low(self.clip_low).with_clip_high(self.clip_high).init()?,
            )
    }
}

/// `tree_opo` by name.
pub const METHOD: Method = Method {
    name: "tree_opo",
    title: "Tree-OPO",
    build: |options| Ok(Box::new(options.apply("tree_opo", TreeOpoConfig::new())?.init()?)),
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollout::tests::{assert_parts, close, two_rows};

    #[test]
    fn it_is_this_point_of_the_grid() {
        assert_parts(
            &TreeOpoConfig::new().init().unwrap(),
            PolicyGradientConfig::new(RatioLevel::Token, Aggregation::SequenceMean),
            advantage::tree_opo::TreeOpoConfig::new().init().unwrap(),
            ClipConfig::new().init().unwrap(),
        );
    }

    #[test]
    fn two_responses_by_hand() {
        // The first and the last of the three tokens are clipped.
        close(
            &[two_rows(&TreeOpoConfig::new().init().unwrap())],
            &[((-1.2 - (-0.1f64).exp()) / 2.0 + 1.6) / 2.0],
            1e-14,
        );
    }

    #[test]
    fn settings_reach_their_parts() {
        let objective = TreeOpoConfig::new().with_clip_low(0.1).with_clip_high(0.3).init().unwrap();
        let surrogate = ClipConfig::new().with_clip_low(0.1).with_clip_high(0.3).init().unwrap();
        assert_eq!(format!("{:?}", objective.surrogate()), format!("{surrogate:?}"));
        let error = TreeOpoConfig::new().with_clip_low(-1.0).init().unwrap_err().to_string();
        assert!(error.starts_with("`clip_low`"), "{error}");
        let objective = TreeOpoConfig::new().with_kl_coef(0.04).init().unwrap();
        assert_eq!(objective.config().kl, KlPlacement::in_loss(0.04));
        let error = TreeOpoConfig::new().with_kl_coef(-1.0).init().unwrap_err().to_string();
        assert!(error.starts_with("`kl_coef`"), "{error}");
        let objective =
            TreeOpoConfig::new().with_baseline_weight(0.5).with_prefix_value(PrefixValue::Optimistic).init().unwrap();
        let estimator = advantage::tree_opo::TreeOpoConfig::new()
            .with_baseline_weight(0.5)
            .with_prefix_value(PrefixValue::Optimistic)
            .init()
            .unwrap();
        assert_eq!(format!("{:?}", objective.estimator()), format!("{estimator:?}"));
        let error = TreeOpoConfig::new().with_baseline_weight(f64::NAN).init().unwrap_err().to_string();
        assert!(error.starts_with("`baseline_weight`"), "{error}");
    }
}
