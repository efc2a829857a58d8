//! REINFORCE Leave-One-Out (RLOO): the baseline is the mean reward of the other responses.
//!
//! **Paper:** Back to Basics: Revisiting REINFORCE Style Optimization for Learning from Human Feedback in LLMs (2024),
//! 2402.14740.
//! **Use when:** several responses to each prompt are sampled and the gradient is to be unbiased; rewards keep their unit.
//! **Checked by:** golden numbers (TRL), hand-worked values, [`group_normalized`](super::group_normalized) times
//! `N/(N−1)`, laws of estimators.
//! **Deviations:** a response without siblings gets 0; others are those that have a reward.

use accordant_ops::{check_domain, groups::Ddof};
use burn::config::Config;

use super::{
    Advantages, Estimator, Method, RewardBatch, Scaling, Shift,
    group_normalized::over_std,
    token_rewards::{check_reward_clip, clipped},
};
use crate::Result;

/// Configuration of [`LeaveOneOut`].
#[derive(Config, Debug, PartialEq)]
pub struct LeaveOneOutConfig {
    /// Bounds of the reward, low ≤ high, before a divergence is subtracted. None: TRL's.
    pub reward_clip: Option<(f64, f64)>,
    /// Whether advantages are scaled to mean 0 and unbiased variance 1 over the batch, each response counting the same.
    /// False: the paper's and TRL's.
    #[config(default = false)]
    pub normalize: bool,
    /// Added to the deviation if so, finite and ≥ 0. 1e-6: ours, as in groups; TRL has 1e-4.
    #[config(default = 1e-6)]
    pub eps: f64,
}

impl LeaveOneOutConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<LeaveOneOut> {
        check_reward_clip(self.reward_clip)?;
        check_domain(self.eps.is_finite() && self.eps >= 0.0, "eps", "finite and >= 0", self.eps)?;
        Ok(LeaveOneOut { config: self.clone() })
    }
}

/// Rewards less the mean of the other responses to the prompt.
///
/// ```text
/// A_i = r_i − 1/(N−1) Σ_{j ≠ i} r_j = N/(N−1) (r_i − mean of the group)
/// ```
///
/// As `r_j` does not depend on response `i`, the baseline adds no bias. Equal rewards give 0.
///
/// # Example
/// ```
/// use accordant_objectives::advantage::{Estimator, RewardBatch, leave_one_out::LeaveOneOutConfig};
/// use accordant_ops::groups::Groups;
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let rewards = Tensor::from_floats([4.0, 1.0, 1.0], &device);
/// let batch = RewardBatch::new(rewards, Groups::new(&[1, 1, 1]), Tensor::full([3, 1], true, &device))?;
/// let output = LeaveOneOutConfig::new().init()?.estimate(&batch)?;
/// // 4 − (1 + 1)/2, 1 − (4 + 1)/2, and the same.
/// assert_eq!(output.advantages.try_to_vec_as::<f32>().unwrap(), [3.0, -1.5, -1.5]);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "RLOO")]
#[doc(alias = "2402.14740")]
#[doc(alias = "Back to Basics: Revisiting REINFORCE Style Optimization for Learning from Human Feedback in LLMs")]
#[derive(Debug, Clone, PartialEq)]
pub struct LeaveOneOut {
    config: LeaveOneOutConfig,
}

/// `leave_one_out` by name.
pub const METHOD: Method = Method {
    name: "leave_one_out",
    title: "REINFORCE Leave-One-Out",
    build: |options| Ok(Box::new(options.apply("leave_one_out", LeaveOneOutConfig::new())?.init()?)),
};

impl Estimator for LeaveOneOut {
    fn name(&self) -> &'static str {
        "leave_one_out"
    }

    fn shift(&self) -> Shift {
        if self.config.reward_clip.is_some() { Shift::Counts } else { Shift::IgnoredByGroup }
    }

    fn scaling(&self) -> Scaling {
        match (self.config.reward_clip, self.config.normalize) {
            (Some(_), _) => Scaling::Other,
            (None, true) => Scaling::Ignored,
            (None, false) => Scaling::Kept,
        }
    }

    fn estimate(&self, batch: &RewardBatch) -> Result<Advantages> {
        let rewards = batch.less_divergence(clipped(batch.raw_rewards(), self.config.reward_clip))?;
        let advantages = batch.stats(rewards)?.centered_on_others();
        let advantages = match self.config.normalize {
            // They sum to 0 over each group.
            true => over_std(advantages.clone(), &batch.stats_of_all(advantages)?, Ddof::One, self.config.eps),
            false => advantages,
        };
        Advantages::of_rows(batch, advantages)
    }
}

#[cfg(test)]
mod tests {
    use accordant_ops::kl::{KlEstimator, KlOptions};

    use super::*;
    use crate::advantage::{
        group_normalized::{GroupNormalizedConfig, Scale},
        scan::tests::{grid, near},
        tests::{advantages, batch, responses},
    };

    fn plain() -> LeaveOneOut {
        LeaveOneOutConfig::new().init().unwrap()
    }

    #[test]
    fn the_golden_number_and_values_by_hand() {
        let golden = advantages(&plain(), &responses(&[1.0, 0.0, 0.0, 1.0], &[1; 4]));
        near(&golden, &[0.6666666667, -0.6666666667, -0.6666666667, 0.6666666667], 1e-10);
        // 5 − 1, 1 − 5; alone; 2 − 0, 0 − 2 beside one without a reward.
        let mixed = responses(&[5.0, 9.0, 1.0, 2.0, f64::NAN, 0.0], &[1, 2, 1, 3, 3, 3]);
        near(&advantages(&plain(), &mixed), &[4.0, 0.0, -4.0, 2.0, 0.0, -2.0], 1e-15);
        let lone = responses(&[3.0, f64::NAN], &[1, 1]);
        assert_eq!(advantages(&plain(), &lone), [0.0, 0.0]);
    }

    #[test]
    fn it_is_n_over_n_minus_1_times_the_centered_reward() {
        let rewards = responses(&[0.3, -1.7, 2.9, 4.0, 0.5], &[1, 1, 1, 2, 2]);
        let centered = advantages(&GroupNormalizedConfig::new().with_scale(Scale::None).init().unwrap(), &rewards);
        let expected: Vec<f64> =
            centered.iter().zip([1.5, 1.5, 1.5, 2.0, 2.0]).map(|(centered, factor)| factor * centered).collect();
        near(&advantages(&plain(), &rewards), &expected, 1e-14);
    }

    #[test]
    fn rewards_are_clipped_before_the_divergence_counts() {
        let old = grid(&[[-1.0, -1.0], [-1.0, f64::NAN]]);
        let reference = grid(&[[-2.0, -3.0], [-1.0, f64::NAN]]);
        let batch = batch(&[7.0, 0.5], &[1, 1], &[[1, 1], [1, 0]]).with_logps(old, reference).unwrap();
        let batch = batch.penalized("test", 0.5, &KlOptions::new(KlEstimator::K1)).unwrap();
        let clip = LeaveOneOutConfig::new().with_reward_clip(Some((-1.0, 1.0))).init().unwrap();
        // 1 − 0.5 · (1 + 2) = −0.5 and 0.5; the same at each token.
        near(&advantages(&clip, &batch), &[-1.0, -1.0, 1.0, 0.0], 1e-15);
        near(&advantages(&plain(), &batch), &[5.0, 5.0, -5.0, 0.0], 1e-15);
    }

    #[test]
    fn normalized_advantages_have_mean_0_and_variance_1_over_responses() {
        // 4, −4; 1, −1; alone 0; no reward: variance (16 + 16 + 1 + 1) / 4.
        let rewards = batch(
            &[5.0, 1.0, 2.0, 1.0, 8.0, f64::NAN],
            &[1, 1, 2, 2, 3, 3],
            &[[1, 1], [1, 0], [1, 1], [1, 0], [1, 0], [1, 0]],
        );
        let config = LeaveOneOutConfig::new().with_normalize(true);
        let got = advantages(&config.clone().with_eps(0.0).init().unwrap(), &rewards);
        let unit = 8.5f64.sqrt().recip();
        let expected = [4.0, 4.0, -4.0, 0.0, 1.0, 1.0, -1.0, 0.0, 0.0, 0.0, 0.0, 0.0].map(|a| a * unit);
        near(&got, &expected, 1e-14);
        let near_one = advantages(&config.clone().with_eps(0.5).init().unwrap(), &rewards);
        near(&near_one[..1], &[4.0 / (8.5f64.sqrt() + 0.5)], 1e-14);
        // Equal advantages stay 0, even without an eps.
        let equal = responses(&[1.0, 1.0, 4.0], &[1, 1, 2]);
        assert_eq!(advantages(&config.with_eps(0.0).init().unwrap(), &equal), [0.0; 3]);
    }

    #[test]
    fn defaults_and_refused_values() {
        let config = LeaveOneOutConfig::new();
        assert_eq!(config, LeaveOneOutConfig { reward_clip: None, normalize: false, eps: 1e-6 });
        for (config, start) in [
            (config.clone().with_eps(-1.0), "`eps`"),
            (config.clone().with_eps(f64::INFINITY), "`eps`"),
            (config.clone().with_reward_clip(Some((1.0, -1.0))), "`reward_clip.1`"),
            (config.with_reward_clip(Some((f64::NAN, 1.0))), "`reward_clip.0`"),
        ] {
            let error = config.init().unwrap_err().to_string();
            assert!(error.starts_with(start), "{error}");
        }
    }
}
