//! Group-normalized rewards (GRPO), with their kin: unscaled (Dr. GRPO) and scaled by the batch (Lite-PPO).
//!
//! **Paper:** DeepSeekMath: Pushing the Limits of Mathematical Reasoning in Open Language Models (2024), 2402.03300,
//! section 4.1; unscaled: Understanding R1-Zero-Like Training: A Critical Perspective (2025), 2503.20783.
//! **Use when:** several responses to each prompt are sampled. Unscaled where rewards differ in what they are worth:
//! dividing by the group's deviation takes every scale away, and weighs prompts by how hard they are.
//! **Checked by:** golden numbers (TRL), hand-worked values, laws of groups.
//! **Deviations:** equal rewards give exactly 0; a group of one gives 0 as in TRL, where verl gives its reward.

use accordant_ops::{
    check_domain,
    groups::{Ddof, GroupStats, Groups},
    masked::masked_var_all,
};
use burn::{
    config::Config,
    tensor::{Bool, Tensor},
};
use serde::{Deserialize, Serialize};

use super::{Advantages, Estimator, Method, RewardBatch, Scaling, Shift};
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
/// the others, with a `b` for each group unless scaled by the batch. Equal rewards give exactly 0.
#[doc(alias = "2503.20783")]
#[doc(alias = "Dr. GRPO")]
#[doc(alias = "Lite-PPO")]
#[doc(alias = "2402.03300")]
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

/// `(value − mean) / (std + eps)`, `[n]`; 0 for equal values.
pub(super) fn standardized(stats: &GroupStats, ddof: Ddof, eps: f64) -> Tensor<1> {
    over_std(stats.centered(), stats, ddof, eps)
}

/// `centered / (std + eps)`, `[n]`; 0 for equal values: a spread of nothing but rounding is none, and 0/0 is none either.
/// For values whose mean is 0 by construction: taking off the rounding of it would leave no 0 as it is.
pub(super) fn over_std(centered: Tensor<1>, stats: &GroupStats, ddof: Ddof, eps: f64) -> Tensor<1> {
    (centered / (stats.std(ddof) + eps)).mask_fill(stats.is_constant(), 0.0)
}

impl GroupNormalized {
    /// Advantages of the `rewards` that `kept` has, `[rows]`.
    pub(super) fn rows(&self, groups: &Groups, rewards: Tensor<1>, kept: Tensor<1, Bool>) -> Result<Tensor<1>> {
        let stats = groups.masked_stats(rewards.clone(), kept.clone())?;
        let ddof = if self.config.unbiased { Ddof::One } else { Ddof::Zero };
        let centered = stats.centered();
        let scaled = match self.config.scale {
            Scale::Group => standardized(&stats, ddof, self.config.eps),
            Scale::Batch => centered / (masked_var_all(rewards.clone(), kept)?.sqrt() + self.config.eps),
            Scale::None => centered,
        };
        // 0/0 for rewards that are all equal.
        let scaled = scaled.mask_fill(stats.is_constant(), 0.0);
        let advantages = match self.config.singleton {
            Singleton::Zero => scaled,
            Singleton::Raw => scaled.mask_where(stats.count().equal_scalar(1.0), rewards),
        };
        Ok(match self.config.clip {
            Some(clip) => advantages.clamp(-clip, clip),
            None => advantages,
        })
    }
}

impl Estimator for GroupNormalized {
    fn name(&self) -> &'static str {
        "group_normalized"
    }

    fn shift(&self) -> Shift {
        match self.config.scale {
            _ if self.config.singleton == Singleton::Raw => Shift::Counts,
            // The deviation of all rewards sees how far groups are apart.
            Scale::Batch => Shift::Ignored,
            Scale::Group | Scale::None => Shift::IgnoredByGroup,
        }
    }

    fn scaling(&self) -> Scaling {
        match self.config.scale {
            _ if self.config.singleton == Singleton::Raw => Scaling::Other,
            Scale::Group | Scale::Batch => Scaling::Ignored,
            Scale::None if self.config.clip.is_none() => Scaling::Kept,
            Scale::None => Scaling::Other,
        }
    }

    fn estimate(&self, batch: &RewardBatch) -> Result<Advantages> {
        Advantages::of_rows(batch, self.rows(batch.groups(), batch.rewards()?, batch.is_scored())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advantage::{
        scan::tests::near,
        tests::{advantages, responses},
    };

    fn with(config: GroupNormalizedConfig, batch: &RewardBatch) -> Vec<f64> {
        advantages(&config.init().unwrap(), batch)
    }

    #[test]
    fn the_golden_number_and_both_deviations() {
        let exact = GroupNormalizedConfig::new().with_eps(0.0);
        let golden = responses(&[1.0, 0.0, 0.0, 1.0], &[1; 4]);
        let unit = 0.8660254038;
        near(&with(exact.clone(), &golden), &[unit, -unit, -unit, unit], 1e-10);
        near(&with(exact.with_unbiased(false), &golden), &[1.0, -1.0, -1.0, 1.0], 1e-15);
        let near_one = with(GroupNormalizedConfig::new().with_eps(0.25), &golden);
        near(&near_one[..1], &[0.5 / ((1.0f64 / 3.0).sqrt() + 0.25)], 1e-15);
        // Success rate p = 1/4 of four: √((1 − p)/p) √((4 − 1)/4).
        let rare = with(GroupNormalizedConfig::new().with_eps(0.0), &responses(&[0.0, 1.0, 0.0, 0.0], &[1; 4]));
        near(&rare[1..2], &[3.0f64.sqrt() * 0.75f64.sqrt()], 1e-15);
    }

    #[test]
    fn scaled_by_group_by_batch_and_not_at_all() {
        let rewards = responses(&[4.0, 0.0, 7.0, 6.0, 3.0, f64::NAN], &[1, 1, 2, 2, 3, 3]);
        let plain = GroupNormalizedConfig::new().with_eps(0.0);
        let half = 0.5f64.sqrt();
        near(&with(plain.clone(), &rewards), &[half, -half, half, -half, 0.0, 0.0], 1e-15);
        let centered = [2.0, -2.0, 0.5, -0.5, 0.0, 0.0];
        near(&with(plain.clone().with_scale(Scale::None), &rewards), &centered, 1e-15);
        // 4, 0, 7, 6, 3: mean 4, Σ deviations² = 16 + 9 + 4 + 1.
        let std = 7.5f64.sqrt();
        near(&with(plain.clone().with_scale(Scale::Batch), &rewards), &centered.map(|a| a / std), 1e-15);
        let shifted = plain.clone().with_scale(Scale::Batch).with_eps(0.5);
        near(&with(shifted, &rewards), &centered.map(|a| a / (std + 0.5)), 1e-15);
        near(
            &with(plain.clone().with_scale(Scale::None).with_clip(Some(0.75)), &rewards)[..3],
            &[0.75, -0.75, 0.5],
            1e-15,
        );
        let raw = plain.with_scale(Scale::None).with_singleton(Singleton::Raw);
        near(&with(raw.clone(), &rewards), &[2.0, -2.0, 0.5, -0.5, 3.0, 0.0], 1e-15);
        // The bounds are those of all advantages.
        near(&with(raw.with_clip(Some(0.75)), &rewards), &[0.75, -0.75, 0.5, -0.5, 0.75, 0.0], 1e-15);
    }

    #[test]
    fn equal_rewards_give_0_whatever_they_are_divided_by() {
        let equal = responses(&[0.1 + 0.2, 0.3, 0.3, 1e9, 1e9], &[1, 1, 1, 2, 2]);
        for scale in [Scale::Group, Scale::Batch, Scale::None] {
            let got = with(GroupNormalizedConfig::new().with_scale(scale).with_eps(0.0), &equal);
            assert_eq!(got, [0.0; 5], "{scale:?}");
        }
        let all = responses(&[2.0; 3], &[1, 1, 2]);
        assert_eq!(with(GroupNormalizedConfig::new().with_scale(Scale::Batch).with_eps(0.0), &all), [0.0; 3]);
    }

    #[test]
    fn defaults_and_refused_values() {
        let config = GroupNormalizedConfig::new();
        let expected = GroupNormalizedConfig {
            scale: Scale::Group,
            eps: 1e-6,
            unbiased: true,
            clip: None,
            singleton: Singleton::Zero,
        };
        assert_eq!(config, expected);
        for (config, start) in [
            (config.clone().with_eps(-1e-9), "`eps`"),
            (config.clone().with_eps(f64::INFINITY), "`eps`"),
            (config.clone().with_clip(Some(0.0)), "`clip`"),
            (config.with_clip(Some(f64::NAN)), "`clip`"),
        ] {
            let error = config.init().unwrap_err().to_string();
            assert!(error.starts_with(start), "{error}");
        }
    }

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
