//! Pass@k: only the best response of a group is learned from.
//!
//! **Paper:** Optimizing Language Models for Inference Time Objectives using Reinforcement Learning (2025), 2503.19595, with
//! k the size of the group.
//! **Use when:** the best of several samples will be used, so that a good one is worth more than a good average.
//! **Checked by:** hand-worked values, laws of estimators.
//! **Deviations:** none of verl's, whose advantages these are; a group of one gives 0, where verl fails.

use accordant_ops::{check_domain, groups::Ddof};
use burn::config::Config;

use super::{Advantages, Estimator, Method, RewardBatch, Scaling, Shift};
use crate::Result;

/// Configuration of [`PassAtK`].
#[derive(Config, Debug, PartialEq)]
pub struct PassAtKConfig {
    /// Whether advantages are divided by the group's unbiased deviation. False: the paper's; verl has both.
    #[config(default = false)]
    pub scale_by_std: bool,
    /// Added to the deviation if so, finite and ≥ 0. 1e-6: verl's.
    #[config(default = 1e-6)]
    pub eps: f64,
}

impl PassAtKConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<PassAtK> {
        check_domain(self.eps.is_finite() && self.eps >= 0.0, "eps", "finite and >= 0", self.eps)?;
        Ok(PassAtK { config: self.clone() })
    }
}

/// By how much a response is better than all others to the prompt.
///
/// ```text
/// A_i = max(r_i − max_{j ≠ i} r_j, 0)
/// ```
///
/// That is what the largest reward of the group would lose without it. Best responses that tie all get 0. Advantages do
/// not sum to 0: nothing is ever learned to be avoided.
///
/// # Example
/// ```
/// use accordant_objectives::advantage::{Estimator, RewardBatch, pass_at_k::PassAtKConfig};
/// use accordant_ops::groups::Groups;
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let rewards = Tensor::from_floats([1.0, 5.0, 3.0], &device);
/// let batch = RewardBatch::new(rewards, Groups::new(&[0, 0, 0]), Tensor::full([3, 1], true, &device))?;
/// let output = PassAtKConfig::new().init()?.estimate(&batch)?;
/// assert_eq!(output.advantages.try_to_vec_as::<f32>().unwrap(), [0.0, 2.0, 0.0]);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2503.19595")]
#[doc(alias = "Optimizing Language Models for Inference Time Objectives using Reinforcement Learning")]
#[derive(Debug, Clone, PartialEq)]
pub struct PassAtK {
    config: PassAtKConfig,
}

/// `pass_at_k` by name.
pub const METHOD: Method = Method {
    name: "pass_at_k",
    title: "Pass@k (Best of the Group)",
    build: |options| Ok(Box::new(options.apply("pass_at_k", PassAtKConfig::new())?.init()?)),
};

impl Estimator for PassAtK {
    fn name(&self) -> &'static str {
        "pass_at_k"
    }

    fn shift(&self) -> Shift {
        Shift::IgnoredByGroup
    }

    fn scaling(&self) -> Scaling {
        if self.config.scale_by_std { Scaling::Ignored } else { Scaling::Kept }
    }

    fn estimate(&self, batch: &RewardBatch) -> Result<Advantages> {
        let rewards = batch.rewards()?;
        let stats = batch.stats(rewards.clone())?;
        let lead = (rewards - stats.max_of_others()).clamp_min(0.0);
        let lead = if self.config.scale_by_std { lead / (stats.std(Ddof::One) + self.config.eps) } else { lead };
        // Alone, it leads nobody; and 0/0 for rewards that are all equal.
        Advantages::of_rows(batch, lead.mask_fill(stats.is_constant(), 0.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advantage::{
        scan::tests::near,
        tests::{advantages, responses},
    };

    #[test]
    fn only_the_best_leads_and_ties_do_not() {
        let rewards = responses(&[1.0, 4.0, 3.0, 2.0, 2.0, -1.0, 7.0, f64::NAN, 6.0], &[1, 1, 1, 2, 2, 2, 3, 4, 4]);
        let expected = [0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
        assert_eq!(advantages(&PassAtKConfig::new().init().unwrap(), &rewards), expected);
        // −3, −1: the best leads by 2 though it is negative.
        let negative = responses(&[-3.0, -1.0], &[1, 1]);
        assert_eq!(advantages(&PassAtKConfig::new().init().unwrap(), &negative), [0.0, 2.0]);
    }

    #[test]
    fn scaled_by_the_deviation_of_the_group() {
        let config = PassAtKConfig::new().with_scale_by_std(true);
        // 1, 4, 3: mean 8/3, variance (25 + 16 + 1) / 9 / 2.
        let rewards = responses(&[1.0, 4.0, 3.0, 5.0, 5.0], &[1, 1, 1, 2, 2]);
        let std = (42.0f64 / 18.0).sqrt();
        for eps in [0.0, 0.5] {
            let got = advantages(&config.clone().with_eps(eps).init().unwrap(), &rewards);
            near(&got, &[0.0, 1.0 / (std + eps), 0.0, 0.0, 0.0], 1e-15);
        }
    }

    #[test]
    fn defaults_and_refused_values() {
        assert_eq!(PassAtKConfig::new(), PassAtKConfig { scale_by_std: false, eps: 1e-6 });
        for eps in [-1e-9, f64::INFINITY, f64::NAN] {
            let error = PassAtKConfig::new().with_eps(eps).init().unwrap_err().to_string();
            assert!(error.starts_with("`eps`"), "{error}");
        }
    }
}
