//! Several rewards: each normalized in its group before they are summed (GDPO), or tamed by a logarithm.
//!
//! **Papers:** GDPO: Group reward-Decoupled Normalization Policy Optimization for Multi-reward RL Optimization (2026),
//! 2601.05242; [`LogTame`]: PaCo-RL: Advancing Reinforcement Learning for Consistent Image Generation with Pairwise Reward
//! Modeling (2025), 2512.04784, equations 3 and 4.
//! **Use when:** responses have rewards of different scales. If those are summed first, the largest scale decides, and
//! different rewards with one sum cannot be told apart.
//! **Checked by:** golden numbers (TRL), hand-worked values, [`group_normalized`](super::group_normalized) for one reward,
//! laws of estimators; [`LogTame`] by hand and by [`log_tamed`](crate::reward_shaping::log_tamed), the same on the host.
//! **Deviations:** the logarithm is odd, so that negative rewards have one, and rewards may be measured by another number
//! than 1.

use accordant_ops::{
    check_domain,
    groups::{Ddof, Groups},
    stable::log1p,
};
use burn::{config::Config, tensor::Tensor};

use super::{
    Advantages, Estimator, Method, RewardBatch, Scaling, Shift,
    group_normalized::{GroupNormalized, GroupNormalizedConfig, Scale, over_std},
};
use crate::{Error, Result};

/// What comes first.
#[derive(Config, Debug, Copy, PartialEq)]
pub enum Order {
    /// Each reward is normalized by mean and deviation of its group; their weighted sums by those of the batch (GDPO).
    NormalizeThenSum,
    /// The weighted sum is normalized as in [`group_normalized`](super::group_normalized).
    SumThenNormalize(Scale),
}

/// Rewards that spread too much are replaced by logarithms.
#[derive(Config, Debug, Copy, PartialEq)]
pub struct LogTame {
    /// The deviation over the batch, relative to the absolute value of the mean, above which a reward is tamed; finite
    /// and ≥ 0. 0.2: the paper's, which also has the mean of these ratios over the rewards.
    #[config(default = 0.2)]
    pub threshold: f64,
    /// What rewards are measured by, finite and > 0; `c` below. 1: the paper's.
    #[config(default = 1.0)]
    pub scale: f64,
}

/// Configuration of [`MultiReward`].
#[derive(Config, Debug, PartialEq)]
pub struct MultiRewardConfig {
    /// What comes first. Normalizing: GDPO's.
    #[config(default = "Order::NormalizeThenSum")]
    pub order: Order,
    /// Added to deviations, finite and ≥ 0. 1e-6: ours, as for one reward; TRL has 1e-4.
    #[config(default = 1e-6)]
    pub eps: f64,
    /// Whether rewards that spread too much are replaced by logarithms. None: GDPO's.
    pub log_tame: Option<LogTame>,
}

impl MultiRewardConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<MultiReward> {
        if let Some(LogTame { threshold, scale }) = self.log_tame {
            check_domain(
                threshold.is_finite() && threshold >= 0.0,
                "log_tame.threshold",
                "finite and >= 0",
                threshold,
            )?;
            check_domain(scale.is_finite() && scale > 0.0, "log_tame.scale", "finite and > 0", scale)?;
        }
        let scale = match self.order {
            Order::NormalizeThenSum => Scale::Group,
            Order::SumThenNormalize(scale) => scale,
        };
        let normalized = GroupNormalizedConfig::new().with_scale(scale).with_eps(self.eps).init()?;
        Ok(MultiReward { config: self.clone(), normalized })
    }
}

/// Advantages of several rewards.
///
/// ```text
/// a_ik = (r_ik − mean_k of the group) / (std_k of the group + eps)
/// s_i  = Σ_k w_k a_ik,      A_i = (s_i − mean of the batch) / (std of the batch + eps)
/// ```
///
/// or [`Order::SumThenNormalize`]. Deviations are unbiased, of those responses that have the reward; sums run over the
/// rewards that a response has. A reward that is the same for all responses of a group says nothing there.
///
/// With [`LogTame`], a reward `k` whose deviation over the batch is more than `threshold` times the absolute value of its
/// mean is first replaced by `sign(r) log(1 + |r|/c)`.
///
/// # Example
/// ```
/// use accordant_objectives::advantage::{Estimator, RewardBatch, multi_reward::MultiRewardConfig};
/// use accordant_ops::groups::Groups;
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// // Both rewards prefer one response of two, and the scale of the second one decides nothing.
/// let rewards = Tensor::from_floats([[1.0, 0.0], [0.0, 500.0]], &device);
/// let mask = Tensor::full([2, 1], true, &device);
/// let batch = RewardBatch::with_rewards(rewards, vec![1.0, 1.0], Groups::new(&[0, 0]), mask)?;
/// let output = MultiRewardConfig::new().with_eps(0.0).init()?.estimate(&batch)?;
/// assert_eq!(output.advantages.try_to_vec_as::<f32>().unwrap(), [0.0, 0.0]);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "GDPO")]
#[doc(alias = "2601.05242")]
#[doc(alias = "Group reward-Decoupled Normalization Policy Optimization")]
#[doc(alias = "PaCo-GRPO")]
#[doc(alias = "2512.04784")]
#[derive(Debug, Clone, PartialEq)]
pub struct MultiReward {
    config: MultiRewardConfig,
    normalized: GroupNormalized,
}

/// `multi_reward` by name.
pub const METHOD: Method = Method {
    name: "multi_reward",
    title: "Group Reward-Decoupled Normalization",
    build: |options| Ok(Box::new(options.apply("multi_reward", MultiRewardConfig::new())?.init()?)),
};

impl LogTame {
    /// `rewards`, `[rows]`, of one function, tamed if they spread too much; NaN where missing.
    fn apply(self, rewards: Tensor<1>) -> Result<Tensor<1>> {
        let present = rewards.clone().is_nan().bool_not();
        let stats = Groups::new(&vec![0_u8; rewards.dims()[0]]).masked_stats(rewards.clone(), present)?;
        let bound = stats.mean().abs() * self.threshold;
        // One reward alone has deviation 1 by convention.
        let spreads = stats.std(Ddof::One).greater(bound).bool_and(stats.is_constant().bool_not());
        let logs = log1p(rewards.clone().abs() * self.scale.recip()) * rewards.clone().sign();
        Ok(rewards.mask_where(spreads, logs))
    }
}

impl MultiReward {
    /// Every reward, tamed, `[rows]` each.
    fn rewards(&self, batch: &RewardBatch) -> Result<Vec<Tensor<1>>> {
        let all = batch.all_rewards();
        let [_, functions] = all.dims();
        let one = |at: usize| {
            let rewards = all.clone().slice([0..batch.len(), at..at + 1]).squeeze_dim::<1>(1);
            self.config.log_tame.map_or(Ok(rewards.clone()), |tame| tame.apply(rewards))
        };
        (0..functions).map(one).collect()
    }
}

impl Estimator for MultiReward {
    fn name(&self) -> &'static str {
        "multi_reward"
    }

    fn shift(&self) -> Shift {
        match self.config.order {
            _ if self.config.log_tame.is_some() => Shift::Counts,
            Order::NormalizeThenSum => Shift::IgnoredByGroup,
            Order::SumThenNormalize(_) => self.normalized.shift(),
        }
    }

    fn scaling(&self) -> Scaling {
        match self.config.order {
            _ if self.config.log_tame.is_some() => Scaling::Other,
            Order::NormalizeThenSum => Scaling::Ignored,
            Order::SumThenNormalize(_) => self.normalized.scaling(),
        }
    }

    /// # Errors
    /// [`Error::NotTaken`] for a divergence in the reward if each reward is normalized.
    fn estimate(&self, batch: &RewardBatch) -> Result<Advantages> {
        let mut rewards = self.rewards(batch)?;
        if self.config.order == Order::NormalizeThenSum {
            if batch.is_penalized() {
                let reason = "each reward is normalized, which leaves a divergence no unit; put it in the loss";
                return Err(Error::NotTaken { method: self.name(), name: "kl_coef", reason });
            }
            for rewards in &mut rewards {
                let missing = rewards.clone().is_nan();
                let normalized = self.normalized.rows(batch.groups(), rewards.clone(), missing.clone().bool_not())?;
                *rewards = normalized.mask_fill(missing, f32::NAN);
            }
        }
        if rewards.is_empty() {
            return Advantages::of_rows(batch, batch.raw_rewards());
        }
        let sums = batch.weighted(Tensor::stack(rewards, 1))?;
        Advantages::of_rows(
            batch,
            match self.config.order {
                // Each normalized reward sums to 0 over each group, and so do they.
                Order::NormalizeThenSum => {
                    over_std(sums.clone(), &batch.stats_of_all(sums)?, Ddof::One, self.config.eps)
                }
                Order::SumThenNormalize(_) => {
                    self.normalized.rows(batch.groups(), batch.less_divergence(sums)?, batch.is_scored())?
                }
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use accordant_ops::kl::{KlEstimator, KlOptions};

    use super::*;
    use crate::{
        advantage::{
            scan::tests::{grid, keep, near},
            tests::{advantages, responses},
        },
        reward_shaping::log_tamed::log_tamed_rewards,
    };

    const MISSING: f64 = f64::NAN;

    fn several<const R: usize, const K: usize>(rewards: &[[f64; K]; R], weights: [f64; K], ids: &[u64]) -> RewardBatch {
        RewardBatch::with_rewards(grid(rewards), weights.to_vec(), Groups::new(ids), keep(&[[1]; R])).unwrap()
    }

    fn with(config: MultiRewardConfig, batch: &RewardBatch) -> Vec<f64> {
        advantages(&config.init().unwrap(), batch)
    }

    #[test]
    fn normalized_then_summed_by_hand() {
        let exact = MultiRewardConfig::new().with_eps(0.0);
        // Group 1: ±1/√2 each; group 2: the first reward is the same, the second ±1/√2; alone.
        let rewards = [[1.0, 10.0], [0.0, 11.0], [4.0, 7.0], [4.0, 6.0], [9.0, 9.0]];
        let batch = several(&rewards, [3.0, 1.0], &[1, 1, 2, 2, 3]);
        // Sums (3 − 1, −3 + 1, 1, −1, 0) / √2: mean 0, Σ² = (4 + 4 + 1 + 1) / 2, variance 5/4.
        let unit = 0.5f64.sqrt() / 1.25f64.sqrt();
        near(&with(exact, &batch), &[2.0 * unit, -2.0 * unit, unit, -unit, 0.0], 1e-14);
        // With an eps in both denominators.
        let eps = 0.5;
        let part = 0.5 / (0.5f64.sqrt() + eps);
        let (two, one) = (2.0 * part, part);
        let std = (2.0 * (two * two + one * one) / 4.0).sqrt() + eps;
        let got = with(MultiRewardConfig::new().with_eps(eps), &batch);
        near(&got[..2], &[two / std, -two / std], 1e-14);
        near(&got[2..], &[part / std, -part / std, 0.0], 1e-14);
    }

    #[test]
    fn a_missing_reward_is_left_out_of_statistics_and_sums() {
        let exact = MultiRewardConfig::new().with_eps(0.0);
        // First reward: 1, 0, 2 of three; second: 5 and 3 of two; the fourth row has none.
        let rewards = [[1.0, 5.0], [0.0, MISSING], [2.0, 3.0], [MISSING, MISSING]];
        let got = with(exact, &several(&rewards, [1.0, 2.0], &[1; 4]));
        let half = 0.5f64.sqrt();
        // a_1 = 0, −1, 1; a_2 = √½, −, −√½.
        let sums = [2.0 * half, -1.0, 1.0 - 2.0 * half];
        let mean = sums.iter().sum::<f64>() / 3.0;
        let std = (sums.iter().map(|s| (s - mean) * (s - mean)).sum::<f64>() / 2.0).sqrt();
        near(&got, &[(sums[0] - mean) / std, (sums[1] - mean) / std, (sums[2] - mean) / std, 0.0], 1e-14);
    }

    #[test]
    fn one_reward_summed_first_is_normalized_in_its_group() {
        let rewards = responses(&[0.3, -1.7, 2.9, 4.0, 0.5], &[1, 1, 1, 2, 2]);
        for scale in [Scale::Group, Scale::Batch, Scale::None] {
            let expected = GroupNormalizedConfig::new().with_scale(scale).with_eps(0.25).init().unwrap();
            let config = MultiRewardConfig::new().with_order(Order::SumThenNormalize(scale)).with_eps(0.25);
            near(&with(config, &rewards), &advantages(&expected, &rewards), 1e-15);
        }
        let sums = several(&[[1.0, 2.0], [MISSING, 4.0]], [1.0, 0.5], &[1, 1]);
        let config = MultiRewardConfig::new().with_order(Order::SumThenNormalize(Scale::None));
        assert_eq!(with(config, &sums), [0.0, 0.0]);
    }

    #[test]
    fn rewards_that_spread_are_tamed_and_others_are_not() {
        let e = std::f64::consts::E;
        let centered = MultiRewardConfig::new().with_order(Order::SumThenNormalize(Scale::None));
        let tame = |threshold, scale| centered.clone().with_log_tame(Some(LogTame { threshold, scale }));
        // 2(e − 1) and 0 have mean e − 1 and deviation √2 (e − 1).
        let rewards = responses(&[2.0 * (e - 1.0), 0.0], &[1, 1]);
        near(&with(tame(1.41, 2.0), &rewards), &[0.5, -0.5], 1e-14);
        near(&with(tame(1.42, 2.0), &rewards), &[e - 1.0, 1.0 - e], 1e-14);
        // Negative rewards: the mean of ±(e − 1) is 0, so that any spread is too much.
        let rewards = responses(&[e - 1.0, 1.0 - e], &[1, 1]);
        near(&with(tame(5.0, 1.0), &rewards), &[1.0, -1.0], 1e-14);
        // Each reward for itself: 0 and 2(e − 1) is tamed, 1 and 1.5 is not; missing ones count in neither.
        let rewards = [[0.0, 1.0], [2.0 * (e - 1.0), 1.5], [MISSING, MISSING]];
        let batch = several(&rewards, [1.0, 1.0], &[1; 3]);
        near(&with(tame(1.0, 2.0), &batch), &[-0.75, 0.75, 0.0], 1e-14);
        // Alone, nothing spreads; nor do equal rewards.
        let alone = several(&[[7.0, 0.0], [MISSING, 7.0]], [1.0, 1.0], &[1, 1]);
        near(&with(tame(50.0, 1.0), &alone), &[0.0, 0.0], 1e-14);
        near(&with(tame(0.0, 1.0), &several(&[[7.0], [MISSING]], [1.0], &[1, 1])), &[0.0, 0.0], 1e-14);
        let lone = LogTame::new().with_threshold(0.0).apply(grid(&[[7.0, MISSING]]).flatten(0, 1)).unwrap();
        assert_eq!(crate::pairwise::tests::column(&lone)[0], 7.0);
    }

    #[test]
    fn it_tames_what_the_host_tames() {
        let LogTame { threshold, scale } = LogTame::new();
        // Deviations over means of 0.24 and 0.15, on either side of the threshold.
        for rewards in [[3.0, 4.0, 5.0, 3.25, MISSING], [3.5, 4.0, 5.0, 4.0, MISSING]] {
            let expected = log_tamed_rewards(&rewards, threshold, scale).unwrap();
            let tamed = LogTame::new().apply(grid(&[rewards]).flatten(0, 1)).unwrap();
            near(&crate::pairwise::tests::column(&tamed)[..4], &expected[..4], 1e-15);
            assert_eq!(expected[0] == rewards[0], rewards[0] == 3.5);
        }
    }

    #[test]
    fn a_divergence_needs_a_reward_with_a_unit() {
        let rewards = responses(&[1.0, 0.0], &[1, 1]);
        let rewards = rewards.with_logps(grid(&[[-1.0], [-1.0]]), grid(&[[-3.0], [-1.0]])).unwrap();
        let rewards = rewards.penalized("test", 0.25, &KlOptions::new(KlEstimator::K1)).unwrap();
        let error = MultiRewardConfig::new().init().unwrap().estimate(&rewards).unwrap_err().to_string();
        assert!(error.starts_with("`multi_reward` cannot take `kl_coef`"), "{error}");
        let summed = MultiRewardConfig::new().with_order(Order::SumThenNormalize(Scale::None));
        near(&with(summed, &rewards), &[0.25, -0.25], 1e-15);
    }

    #[test]
    fn defaults_and_refused_values() {
        let config = MultiRewardConfig::new();
        let expected = MultiRewardConfig { order: Order::NormalizeThenSum, eps: 1e-6, log_tame: None };
        assert_eq!(config, expected);
        assert_eq!(LogTame::new(), LogTame { threshold: 0.2, scale: 1.0 });
        let tame = LogTame::new();
        for (config, start) in [
            (config.clone().with_eps(-1.0), "`eps`"),
            (config.clone().with_log_tame(Some(tame.with_threshold(-1.0))), "`log_tame.threshold`"),
            (config.clone().with_log_tame(Some(tame.with_threshold(f64::INFINITY))), "`log_tame.threshold`"),
            (config.clone().with_log_tame(Some(tame.with_scale(0.0))), "`log_tame.scale`"),
            (config.with_log_tame(Some(tame.with_scale(f64::INFINITY))), "`log_tame.scale`"),
        ] {
            let error = config.init().unwrap_err().to_string();
            assert!(error.starts_with(start), "{error}");
        }
        let none = RewardBatch::with_rewards(grid(&[[]; 2]), vec![], Groups::new(&[1, 1]), keep(&[[1]; 2])).unwrap();
        assert_eq!(with(MultiRewardConfig::new(), &none), [0.0, 0.0], "without any reward function");
    }
}
