//! Pre-Estimated Value-Based Policy Optimization (PVPO): the baseline is what the reference achieves on the prompt.
//!
//! **Paper:** PVPO: Pre-Estimated Value-Based Policy Optimization for Agentic Reasoning (2025), 2508.21104.
//! **Use when:** responses are expensive and few are sampled to each prompt: one is enough. The prompts are known before,
//! and the reference can be sampled for each.
//! **Checked by:** hand-worked values, [`group_normalized`](super::group_normalized) where the baseline is the group's mean,
//! laws of estimators.
//! **Deviations:** none; the deviation of the group, which other methods divide by, is an option.

use accordant_ops::{check_domain, groups::Ddof};
use burn::config::Config;

use super::{Advantages, Estimator, Method, RewardBatch};
use crate::{
    Result,
    side::{Column, Domain},
};

/// What the reference achieves on the prompt of a row.
pub const REFERENCE_VALUE: Column = Column {
    name: "reference_value",
    domain: Domain::Real,
    meaning: "mean reward of the reference's responses to the prompt",
};

/// Configuration of [`Pvpo`].
#[derive(Config, Debug, PartialEq)]
pub struct PvpoConfig {
    /// Whether advantages are divided by the group's unbiased deviation, 1 for a group of one. False: the paper's.
    #[config(default = false)]
    pub scale_by_std: bool,
    /// Added to the deviation if so, finite and ≥ 0. 1e-6: ours, as in groups.
    #[config(default = 1e-6)]
    pub eps: f64,
}

impl PvpoConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<Pvpo> {
        check_domain(self.eps.is_finite() && self.eps >= 0.0, "eps", "finite and >= 0", self.eps)?;
        Ok(Pvpo { config: self.clone() })
    }
}

/// Rewards less the reference's value of the prompt ([`REFERENCE_VALUE`]).
///
/// ```text
/// A = r − V_ref(x),      V_ref(x) = mean reward of some responses of the reference
/// ```
///
/// Where that value is missing (NaN), the advantage is 0. Equal rewards have one advantage, which need not be 0; scaled,
/// they are left unscaled.
///
/// # Example
/// ```
/// use accordant_objectives::advantage::{Estimator, RewardBatch, pvpo::{PvpoConfig, REFERENCE_VALUE}};
/// use accordant_ops::groups::Groups;
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let batch = RewardBatch::new(Tensor::from_floats([1.0], &device), Groups::new(&[0]), Tensor::full([1, 1], true, &device))?
///     .with_column(REFERENCE_VALUE, Tensor::from_floats([0.25], &device))?;
/// let output = PvpoConfig::new().init()?.estimate(&batch)?;
/// assert_eq!(output.advantages.try_to_vec_as::<f32>().unwrap(), [0.75]);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2508.21104")]
#[doc(alias = "PVPO: Pre-Estimated Value-Based Policy Optimization for Agentic Reasoning")]
#[derive(Debug, Clone, PartialEq)]
pub struct Pvpo {
    config: PvpoConfig,
}

/// `pvpo` by name.
pub const METHOD: Method = Method {
    name: "pvpo",
    title: "Pre-Estimated Value-Based Policy Optimization",
    build: |options| Ok(Box::new(options.apply("pvpo", PvpoConfig::new())?.init()?)),
};

impl Estimator for Pvpo {
    fn name(&self) -> &'static str {
        "pvpo"
    }

    fn columns(&self) -> Vec<Column> {
        vec![REFERENCE_VALUE]
    }

    fn estimate(&self, batch: &RewardBatch) -> Result<Advantages> {
        let (rewards, baseline) = (batch.rewards()?, batch.column(REFERENCE_VALUE, self.name())?);
        let missing = baseline.clone().is_nan();
        let advantages = rewards.clone() - baseline;
        let advantages = if self.config.scale_by_std {
            let stats = batch.stats(rewards)?;
            let std = (stats.std(Ddof::One) + self.config.eps).mask_fill(stats.is_constant(), 1.0);
            advantages / std
        } else {
            advantages
        };
        Advantages::of_rows(batch, advantages.mask_fill(missing, 0.0))
    }
}

/// What to do with a prompt, by what the reference achieves on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// The reference always succeeds: there is nothing to learn.
    Drop,
    /// It succeeds sometimes.
    Keep,
    /// It never succeeds: let a verified response stand for one of the group's.
    Inject,
}

/// Sorts prompts by the reference's value of each, the share of its responses that are correct.
///
/// # Errors
/// A domain error naming `reference_values` for one that is not in `[0, 1]`.
///
/// # Example
/// ```
/// use accordant_objectives::advantage::pvpo::{Use, presample};
/// assert_eq!(presample(&[1.0, 0.25, 0.0])?, [Use::Drop, Use::Keep, Use::Inject]);
/// assert!(presample(&[1.5]).is_err());
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
pub fn presample(reference_values: &[f64]) -> Result<Vec<Use>> {
    let one = |value: &f64| {
        check_domain((0.0..=1.0).contains(value), "reference_values", "in [0, 1]", *value)?;
        Ok(match *value {
            1.0 => Use::Drop,
            0.0 => Use::Inject,
            _ => Use::Keep,
        })
    };
    reference_values.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advantage::{
        group_normalized::{GroupNormalizedConfig, Scale},
        scan::tests::near,
        tests::{advantages, responses, vector},
    };

    fn rows(values: &[f64]) -> RewardBatch {
        responses(&[1.0, 0.0, 5.0, 2.0, 2.0], &[1, 1, 2, 3, 3]).with_column(REFERENCE_VALUE, vector(values)).unwrap()
    }

    #[test]
    fn values_by_hand() {
        let rows = rows(&[0.25, 0.25, 3.0, f64::NAN, 1.0]);
        assert_eq!(advantages(&PvpoConfig::new().init().unwrap(), &rows), [0.75, -0.25, 2.0, 0.0, 1.0]);
        let scaled = PvpoConfig::new().with_scale_by_std(true).with_eps(0.5);
        // The deviation of 1 and 0 is √½; one response alone, and equal ones, are not scaled.
        let std = 0.5f64.sqrt() + 0.5;
        let got = advantages(&scaled.init().unwrap(), &rows);
        near(&got, &[0.75 / std, -0.25 / std, 2.0, 0.0, 1.0], 1e-15);
    }

    #[test]
    fn where_the_value_is_the_groups_mean_it_is_the_centered_reward() {
        let rows = rows(&[0.5, 0.5, 5.0, 2.0, 2.0]);
        for (scale, scale_by_std) in [(Scale::None, false), (Scale::Group, true)] {
            let centered = GroupNormalizedConfig::new().with_scale(scale).init().unwrap();
            let pvpo = PvpoConfig::new().with_scale_by_std(scale_by_std).init().unwrap();
            near(&advantages(&pvpo, &rows), &advantages(&centered, &rows), 1e-15);
        }
    }

    #[test]
    fn prompts_are_sorted_by_what_the_reference_achieves() {
        let uses = presample(&[0.0, 1e-9, 0.5, 1.0 - 1e-9, 1.0, -0.0]).unwrap();
        assert_eq!(uses, [Use::Inject, Use::Keep, Use::Keep, Use::Keep, Use::Drop, Use::Inject]);
        for value in [-0.1, 1.1, f64::NAN] {
            let error = presample(&[0.5, value]).unwrap_err().to_string();
            assert!(error.starts_with("`reference_values`"), "{error}");
        }
        assert!(presample(&[]).unwrap().is_empty());
    }

    #[test]
    fn defaults_and_refused_values() {
        assert_eq!(PvpoConfig::new(), PvpoConfig { scale_by_std: false, eps: 1e-6 });
        for eps in [-1e-9, f64::INFINITY, f64::NAN] {
            let error = PvpoConfig::new().with_eps(eps).init().unwrap_err().to_string();
            assert!(error.starts_with("`eps`"), "{error}");
        }
        let error = PvpoConfig::new().init().unwrap().estimate(&responses(&[1.0], &[1])).unwrap_err().to_string();
        assert!(error.starts_with("`pvpo` needs `reference_value`"), "{error}");
    }
}
