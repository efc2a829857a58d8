//! Group Relative Policy Optimization (GRPO).
//!
//! **Paper:** DeepSeekMath: Pushing the Limits of Mathematical Reasoning in Open Language Models (2024), 2402.03300.
//! **Use when:** rewards can be computed and several responses to each prompt sampled; no critic is needed.
//! **Checked by:** golden numbers (TRL), hand-worked values, laws, finite differences, a world with a known optimum.
//! **Deviations:** no KL term by default as in TRL, where the paper has 0.04 in the loss.

use accordant_ops::reduce::Aggregation;
use burn::config::Config;

use super::{KlPlacement, Method, PolicyGradient, PolicyGradientConfig, RatioLevel, surrogate::clip::ClipConfig};
use crate::{
    Result,
    advantage::group_normalized::{GroupNormalizedConfig, Scale},
};

/// Configuration of GRPO, a point of the [grid](PolicyGradient).
///
/// ```text
/// mean over responses of mean over tokens of  max(−A ρ, −A clip(ρ, 1 − ε, 1 + ε)) + β k3
/// A = (r − mean of the group) / (std of the group + eps)
/// ```
///
/// # Example
/// On-policy the value is minus the mean advantage, here 0, whatever the gradient:
/// ```
/// use accordant_objectives::{TokenLogps, advantage::RewardBatch, rollout::{RolloutBatch, RolloutObjective, grpo::GrpoConfig}};
/// use accordant_ops::groups::Groups;
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let grpo = GrpoConfig::new().init()?;
/// let mask = Tensor::full([4, 3], true, &device);
/// let rewards = Tensor::<1>::from_floats([1.0, 0.0, 0.0, 1.0], &device);
/// let advantages = grpo.advantages(&RewardBatch::new(rewards, Groups::new(&[7, 7, 7, 7]), mask.clone())?)?;
/// let first = advantages.advantages.clone().slice([0..1, 0..1]).into_scalar::<f32>();
/// assert!((first - 0.8660).abs() < 1e-4); // (1 − 1/2) / √(1/3)
/// let logps = TokenLogps::new(Tensor::full([4, 3], -1.5, &device), mask)?;
/// let output = grpo.forward(&RolloutBatch::new(logps, advantages.advantages)?)?;
/// assert!(output.reduced.loss.into_scalar::<f32>().abs() < 1e-6);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2402.03300")]
#[doc(alias = "DeepSeekMath")]
#[derive(Config, Debug, PartialEq)]
pub struct GrpoConfig {
    /// ε below 1, in `[0, 1]`. 0.2: the paper's.
    #[config(default = 0.2)]
    pub clip_low: f64,
    /// ε above 1, finite and ≥ 0. 0.2: the paper's.
    #[config(default = 0.2)]
    pub clip_high: f64,
    /// Weight of the divergence in the loss, by K3, finite and ≥ 0. 0: TRL's; the paper has 0.04, verl 0.001.
    #[config(default = 0.0)]
    pub kl_coef: f64,
}

impl GrpoConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<PolicyGradient> {
        PolicyGradientConfig::new(RatioLevel::Token, Aggregation::SequenceMean)
            .with_kl(KlPlacement::in_loss(self.kl_coef))
            .init(
                "grpo",
                GroupNormalizedConfig::new().with_scale(Scale::Group).init()?,
                ClipConfig::new().with_clip_low(self.clip_low).with_clip_high(self.clip_high).init()?,
            )
    }
}

/// `grpo` by name.
pub const METHOD: Method = Method {
    name: "grpo",
    title: "Group Relative Policy Optimization",
    build: |options| Ok(Box::new(options.apply("grpo", GrpoConfig::new())?.init()?)),
};

#[cfg(test)]
mod tests {
    use accordant_laws::{Divergence, Mean, Ratio};

    use super::*;

    accordant_laws::rollout_laws!(
        grpo_obeys_the_laws,
        "grpo",
        GrpoConfig::new().init().unwrap(),
        [],
        [
            ReferenceFree,
            Averages(Mean::Responses),
            OnPolicy { factor: 1.0, value: true },
            Clips { low: 0.2, high: 0.2, ratio: Ratio::Token },
            ZeroSumGroups,
            GroupsApart,
            RewardShiftInvariant,
            // What `eps` costs the smallest deviation there is.
            RewardScaleInvariant(2e-5),
            IncreasingInReward,
        ],
    );

    accordant_laws::rollout_laws!(
        grpo_with_a_divergence_obeys_the_laws,
        "grpo with a divergence",
        GrpoConfig::new().with_clip_high(0.28).with_kl_coef(0.04).init().unwrap(),
        [],
        [
            Averages(Mean::Responses),
            OnPolicy { factor: 1.0, value: true },
            Clips { low: 0.2, high: 0.28, ratio: Ratio::Token },
            KlInLoss { kl_coef: 0.04, estimator: Divergence::K3 },
            ZeroSumGroups,
        ],
    );
}
