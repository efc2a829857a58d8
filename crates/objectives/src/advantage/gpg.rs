//! Group Policy Gradient (GPG): centered rewards, scaled up for what teaches nothing.
//!
//! **Paper:** GPG: A Simple and Strong Reinforcement Learning Baseline for Model Reasoning (2025), 2504.02546.
//! **Use when:** rewards are 0 or 1 and many prompts are too easy or too hard; with the plain policy gradient as surrogate.
//! **Checked by:** hand-worked values, laws of estimators.
//! **Deviations:** which responses count is a choice: the paper leaves out those of groups with equal rewards, verl those
//! whose reward is 0. Rewards count as they came, without a divergence, which would leave none at 0.

use accordant_ops::check_domain;
use burn::{config::Config, tensor::Tensor};
use serde::{Deserialize, Serialize};

use super::{Advantages, Estimator, Method, RewardBatch, Scaling, Shift};
use crate::{Result, side::share};

/// Which responses stand for all of them: advantages are multiplied by how many have a reward over how many of those count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Counted {
    /// Those whose reward is not 0 (verl). A shift of all rewards then changes advantages.
    Nonzero,
    /// Those whose group has rewards that differ (the paper).
    Telling,
    /// All of them: advantages are centered rewards.
    All,
}

/// Configuration of [`Gpg`].
#[derive(Config, Debug, PartialEq)]
pub struct GpgConfig {
    /// Which responses stand for all of them. Nonzero: verl's.
    #[config(default = "Counted::Nonzero")]
    pub counted: Counted,
    /// Divides advantages, finite and > 0; `F_norm` in the paper. 1: the paper's and verl's.
    #[config(default = 1.0)]
    pub f_norm: f64,
}

impl GpgConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<Gpg> {
        check_domain(self.f_norm.is_finite() && self.f_norm > 0.0, "f_norm", "finite and > 0", self.f_norm)?;
        Ok(Gpg { config: self.clone() })
    }
}

/// Rewards less the mean of their group, times a factor for the batch.
///
/// ```text
/// A = α (r − mean of the group) / F_norm,      α = number of responses / number of counted ones
/// ```
///
/// If none is counted, advantages are 0.
///
/// # Example
/// ```
/// use accordant_objectives::advantage::{Estimator, RewardBatch, gpg::GpgConfig};
/// use accordant_ops::groups::Groups;
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let rewards = Tensor::from_floats([1.0, 0.0, 0.0, 0.0], &device);
/// let batch = RewardBatch::new(rewards, Groups::new(&[0, 0, 1, 1]), Tensor::full([4, 1], true, &device))?;
/// let output = GpgConfig::new().init()?.estimate(&batch)?; // one of four is not 0
/// assert_eq!(output.advantages.try_to_vec_as::<f32>().unwrap(), [2.0, -2.0, 0.0, 0.0]);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2504.02546")]
#[doc(alias = "GPG: A Simple and Strong Reinforcement Learning Baseline for Model Reasoning")]
#[derive(Debug, Clone, PartialEq)]
pub struct Gpg {
    config: GpgConfig,
}

/// `gpg` by name.
pub const METHOD: Method = Method {
    name: "gpg",
    title: "Group Policy Gradient",
    build: |options| Ok(Box::new(options.apply("gpg", GpgConfig::new())?.init()?)),
};

impl Estimator for Gpg {
    fn name(&self) -> &'static str {
        "gpg"
    }

    fn shift(&self) -> Shift {
        if self.config.counted == Counted::Nonzero { Shift::Counts } else { Shift::IgnoredByGroup }
    }

    fn scaling(&self) -> Scaling {
        Scaling::Kept
    }

    fn estimate(&self, batch: &RewardBatch) -> Result<Advantages> {
        let rewards = batch.rewards()?;
        let ones = rewards.ones_like().mask_fill(batch.is_scored().bool_not(), 0.0);
        let counted: Tensor<1> = match self.config.counted {
            Counted::Nonzero => ones.clone().mask_fill(batch.raw_rewards().equal_scalar(0.0), 0.0),
            Counted::Telling => ones.clone().mask_fill(batch.raw_stats()?.is_constant(), 0.0),
            Counted::All => ones.clone(),
        };
        let alpha = share(ones.sum(), counted.sum());
        let centered = batch.stats(rewards)?.centered();
        Advantages::of_rows(batch, centered * alpha * self.config.f_norm.recip())
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
    fn each_choice_has_its_own_factor() {
        // Seven with a reward: two of group 1, three of group 2, two of group 3, which are equal.
        let rewards = responses(&[1.0, 0.0, 1.0, 0.0, 0.5, 1.0, 1.0, f64::NAN], &[1, 1, 2, 2, 2, 3, 3, 3]);
        let centered = [0.5, -0.5, 0.5, -0.5, 0.0, 0.0, 0.0, 0.0];
        for (counted, alpha) in [(Counted::Nonzero, 7.0 / 5.0), (Counted::Telling, 7.0 / 5.0), (Counted::All, 1.0)] {
            let config = GpgConfig::new().with_counted(counted);
            let expected = centered.map(|a| alpha * a);
            near(&advantages(&config.init().unwrap(), &rewards), &expected, 1e-15);
            let halves = expected.map(|a| 0.5 * a);
            near(&advantages(&config.with_f_norm(2.0).init().unwrap(), &rewards), &halves, 1e-15);
        }
        // Two of three are not 0, three of three tell.
        let rewards = responses(&[1.0, 0.0, -1.0], &[1; 3]);
        near(&advantages(&GpgConfig::new().init().unwrap(), &rewards), &[1.5, 0.0, -1.5], 1e-15);
        let telling = GpgConfig::new().with_counted(Counted::Telling).init().unwrap();
        near(&advantages(&telling, &rewards), &[1.0, 0.0, -1.0], 1e-15);
    }

    #[test]
    fn if_none_is_counted_nothing_is_learned() {
        for counted in [Counted::Nonzero, Counted::Telling, Counted::All] {
            let gpg = GpgConfig::new().with_counted(counted).init().unwrap();
            assert_eq!(advantages(&gpg, &responses(&[0.0; 3], &[1, 1, 2])), [0.0; 3]);
        }
    }

    #[test]
    fn defaults_and_refused_values() {
        assert_eq!(GpgConfig::new(), GpgConfig { counted: Counted::Nonzero, f_norm: 1.0 });
        for f_norm in [0.0, -1.0, f64::INFINITY, f64::NAN] {
            let error = GpgConfig::new().with_f_norm(f_norm).init().unwrap_err().to_string();
            assert!(error.starts_with("`f_norm`"), "{error}");
        }
    }
}
