//! Group-normalized rewards (GRPO), with their kin: unscaled (Dr. GRPO) and scaled by the batch (Lite-PPO).
//!
//! **Paper:** DeepSeekMath: Pushing the Limits of Mathematical Reasoning in Open Language Models (2024), 2402.03300,
//! section 4.1; unscaled: Understanding R1-Zero-Like Training: A Critical Perspective (2025), 2503.20783.
//! **Use when:** several responses to each prompt are sampled. Unscaled where rewards differ in what they are worth:
//! dividing by the group's deviation takes every scale away, and weighs prompts by how hard they are.
//! **Checked by:** golden numbers (TRL), hand-worked values, laws of groups.
//! **Deviations:** equal rewards give exactly 0; a group of one gives 0 as in TRL, where verl gives its reward.

use accordant_ops::{check_domain, groups::Ddof, masked::masked_var_all};
use burn::{config::Config, tensor::Tensor};
use serde::{Deserialize, Serialize};

use super::{Advantages, Estimator, Method, RewardBatch};
use crate::Result;

/// What centered rewards are divided by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scale {
    /// The deviation of their group (GRPO).
    Group,
    /// The unbiased deviation of all rewards of the batch, as they are before centering (Lite-PPO).
    Batch,
    /// Nothing (Dr. GRPO).
    None,
}

/// What a response without siblings gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Singleton {
    /// 0: there is nothing to compare it with.
    Zero,
    /// Its reward, as in verl.
    Raw,
}

/// Configuration of [`GroupNormalized`].
#[derive(Config, Debug, PartialEq)]
pub struct GroupNormalizedConfig {
    /// What centered rewards are divided by. Group: GRPO's.
    #[config(default = "Scale::Group")]
    pub scale: Scale,
    /// Added to the deviation, finite and ≥ 0. 1e-6: verl's; TRL has 1e-4, OpenRLHF 1e-9.
    #[config(default = 1e-6)]
    pub eps: f64,
    /// Whether the group's deviation is unbiased. Unbiased: TRL's, verl's and OpenRLHF's.
    #[config(default = "true")]
    pub unbiased: bool,
    /// Bounds advantages to ±this, > 0. None: all libraries'.
    #[config(default = "None")]
    pub clip: Option<f64>,
    /// What a response without siblings gets. Zero: TRL's.
    #[config(default = "Singleton::Zero")]
    pub singleton: Singleton,
}

impl GroupNormalizedConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<GroupNormalized> {
        check_domain(self.eps.is_finite() && self.eps >= 0.0, "eps", "finite and >= 0", self.eps)?;
        if let Some(clip) = self.clip {
            check_domain(clip > 0.0, "clip", "> 0", clip)?;
        }
        Ok(GroupNormalized { config: self.clone() })
    }
}

/// Rewards less the mean of their group, scaled.
///
/// ```text
/// A = (r − mean of the group) / (std + eps)
/// ```
///
/// The sum over a group is 0. Invariant to `r → a r + b` with a > 0 for [`Scale::Group`] up to `eps`, to `r + b` for
/// the others. Equal rewards give exactly 0.
#[doc(alias = "2503.20783")]
#[doc(alias = "Dr. GRPO")]
#[doc(alias = "Lite-PPO")]
#[derive(Debug, Clone, PartialEq)]
pub struct GroupNormalized {
    config: GroupNormalizedConfig,
}

/// `group_normalized` by name.
pub const METHOD: Method = Method {
    name: "group_normalized",
    title: "Group-Normalized Rewards",
    build: |options| Ok(Box::new(options.apply("group_normalized", GroupNormalizedConfig::new())?.init()?)),
};

impl GroupNormalized {
    /// Advantages of `rewards`, `[rows]`, in the batch's groups; NaN among them must be rows without a reward.
    pub(super) fn rows(&self, batch: &RewardBatch, rewards: Tensor<1>) -> Result<Tensor<1>> {
        let stats = batch.stats(rewards.clone())?;
        let centered = stats.centered();
        let scaled = match self.config.scale {
            Scale::Group => {
                let ddof = if self.config.unbiased { Ddof::One } else { Ddof::Zero };
                centered / (stats.std(ddof) + self.config.eps)
            }
            Scale::Batch => {
                let var = masked_var_all(rewards.clone(), batch.is_scored())?;
                centered / (var.sqrt() + self.config.eps)
            }
            Scale::None => centered,
        };
        // A spread of nothing but rounding is none, and 0/0 is none either.
        let scaled = scaled.mask_fill(stats.is_constant(), 0.0);
        let scaled = match self.config.clip {
            Some(clip) => scaled.clamp(-clip, clip),
            None => scaled,
        };
        Ok(match self.config.singleton {
            Singleton::Zero => scaled,
            Singleton::Raw => scaled.mask_where(stats.count().equal_scalar(1.0), rewards),
        })
    }
}

impl Estimator for GroupNormalized {
    fn name(&self) -> &'static str {
        "group_normalized"
    }

    fn estimate(&self, batch: &RewardBatch) -> Result<Advantages> {
        Advantages::of_rows(batch, self.rows(batch, batch.rewards()?)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    accordant_laws::advantage_laws!(
        group_normalized_obeys_the_laws,
        "group_normalized",
        GroupNormalizedConfig::new().with_eps(0.0).init().unwrap(),
        [],
        [
            ReferenceFree,
            ZeroSumGroups,
            GroupsApart,
            RewardShiftInvariant,
            RewardScaleInvariant(0.0),
            IncreasingInReward,
        ],
    );

    accordant_laws::advantage_laws!(
        without_a_scale_it_obeys_the_laws,
        "group_normalized, unscaled",
        GroupNormalizedConfig::new().with_scale(Scale::None).init().unwrap(),
        [],
        [ReferenceFree, ZeroSumGroups, GroupsApart, RewardShiftInvariant, RewardScaleEquivariant, IncreasingInReward,],
    );

    accordant_laws::advantage_laws!(
        scaled_by_the_batch_it_obeys_the_laws,
        "group_normalized, scaled by the batch",
        GroupNormalizedConfig::new().with_scale(Scale::Batch).with_eps(0.0).init().unwrap(),
        [],
        [
            ReferenceFree,
            ZeroSumGroups,
            // The deviation is that of rewards before they are centered.
            RewardShiftInvariantGlobally,
            RewardShiftSensitive,
            RewardScaleInvariant(0.0),
        ],
    );
}
