//! Conditional Advantage Estimation (CANON): responses are compared across and within halves of their group, split by a
//! metric.
//!
//! **Paper:** Conditional Advantage Estimation for Reinforcement Learning in Large Reasoning Models (2025), 2509.23962.
//! **Use when:** a metric (entropy, length) is thought to matter for rewards, and it is not known which way.
//! **Checked by:** hand-worked values, [`group_normalized`](super::group_normalized) at equal weights and even sizes, laws of
//! estimators.
//! **Deviations:** a response without siblings gets 0, where the authors' code gives its reward. Their division by the
//! largest length is an aggregation of the loss.

use accordant_ops::{check_domain, groups::Groups};
use burn::{
    config::Config,
    tensor::{Int, Tensor, TensorData},
};
use serde::{Deserialize, Serialize};

use super::{Advantages, Estimator, Method, RewardBatch, Scaling, Shift, scan::Reader};
use crate::{
    Result,
    side::{Column, Domain},
};

/// What the responses of a group are split by.
pub const METRIC: Column = Column {
    name: "metric",
    domain: Domain::Real,
    meaning: "what responses to a prompt are split by, such as their mean entropy",
};

/// What the responses of a group are split by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SplitBy {
    /// The column [`METRIC`].
    Metric,
    /// The number of scored tokens.
    Length,
}

/// Configuration of [`Canon`].
#[derive(Config, Debug, PartialEq)]
pub struct CanonConfig {
    /// What the responses of a group are split by. Metric: the paper's main one is the mean entropy of the tokens.
    #[config(default = "SplitBy::Metric")]
    pub split_by: SplitBy,
    /// Weight of the comparison with the other half, in `[0, 1]`, μ in the paper; the rest is that of the comparison with
    /// the own half. 0.5: ours, the centered reward for groups of even size; the authors' code has 1. See [`cosine`] and
    /// [`inter_then_intra`] for schedules.
    #[config(default = 0.5)]
    pub inter_weight: f64,
    /// Multiplies the rewards of the high half where halves are compared, finite and > 0; α in the paper. Below 1 a short
    /// (or certain) response need not be as good. 1: neutral.
    #[config(default = 1.0)]
    pub high_factor: f64,
    /// Added to the rewards of the high half where halves are compared, finite; β in the authors' code. 0: neutral.
    #[config(default = 0.0)]
    pub high_bonus: f64,
}

impl CanonConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<Canon> {
        let Self { inter_weight, high_factor, high_bonus, .. } = *self;
        check_domain((0.0..=1.0).contains(&inter_weight), "inter_weight", "in [0, 1]", inter_weight)?;
        check_domain(high_factor.is_finite() && high_factor > 0.0, "high_factor", "finite and > 0", high_factor)?;
        check_domain(high_bonus.is_finite(), "high_bonus", "finite", high_bonus)?;
        Ok(Canon { config: self.clone() })
    }
}

/// A weighted mean of two advantages: over the other half of the group, and over the own.
///
/// ```text
/// A = μ (r' − mean of r' over the other half) + (1 − μ) (r − mean of r over the own half)
/// r' = α r + β in the half with the larger metric, r in the other
/// ```
///
/// The half with the smaller metric has `⌊N/2⌋` of the group's `N` responses that have a reward; ties are split by the
/// order of the rows, and NaN is larger than any number. Equal rewards give 0 if α = 1 and β = 0.
///
/// # Example
/// ```
/// use accordant_objectives::advantage::{Estimator, RewardBatch, canon::{CanonConfig, METRIC}};
/// use accordant_ops::groups::Groups;
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let rewards = Tensor::from_floats([1.0, 0.0, 4.0, 2.0], &device);
/// let batch = RewardBatch::new(rewards, Groups::new(&[0; 4]), Tensor::full([4, 1], true, &device))?
///     .with_column(METRIC, Tensor::from_floats([0.1, 0.9, 0.8, 0.2], &device))?;
/// // Low: 1 and 2, of mean 1.5; high: 0 and 4, of mean 2.
/// let output = CanonConfig::new().with_inter_weight(1.0).init()?.estimate(&batch)?;
/// assert_eq!(output.advantages.try_to_vec_as::<f32>().unwrap(), [-1.0, -1.5, 2.5, 0.0]);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2509.23962")]
#[doc(alias = "Conditional Advantage Estimation for Reinforcement Learning in Large Reasoning Models")]
#[derive(Debug, Clone, PartialEq)]
pub struct Canon {
    config: CanonConfig,
}

/// `canon` by name.
pub const METHOD: Method = Method {
    name: "canon",
    title: "Conditional Advantage Estimation",
    build: |options| Ok(Box::new(options.apply("canon", CanonConfig::new())?.init()?)),
};

/// Where rows stand in their groups.
struct Halves {
    /// Whether each row is in the half with the larger metric.
    is_high: Vec<bool>,
    /// A row of the other half of the same group; the row itself where there is none.
    across: Vec<usize>,
}

impl Halves {
    /// Splits the rows that `kept` has.
    fn new(groups: &Groups, metric: &[f64], kept: &[bool]) -> Self {
        let mut members = vec![Vec::new(); groups.sizes().len()];
        let numbers = groups.numbers().iter().enumerate().filter(|(row, _)| kept[*row]);
        numbers.for_each(|(row, number)| members[*number].push(row));
        let mut halves = Self { is_high: vec![false; kept.len()], across: (0..kept.len()).collect() };
        for mut group in members {
            // Stable, so that ties keep the order of the rows. NaN of either sign is the largest.
            group.sort_by(|a, b| {
                let (a, b) = (metric[*a], metric[*b]);
                a.is_nan().cmp(&b.is_nan()).then(a.partial_cmp(&b).unwrap_or(std::cmp::Ordering::Equal))
            });
            let (low, high) = group.split_at(group.len() / 2);
            high.iter().for_each(|row| halves.is_high[*row] = true);
            if let (Some(a_low), Some(a_high)) = (low.first(), high.first()) {
                low.iter().for_each(|row| halves.across[*row] = *a_high);
                high.iter().for_each(|row| halves.across[*row] = *a_low);
            }
        }
        halves
    }
}

impl Estimator for Canon {
    fn name(&self) -> &'static str {
        "canon"
    }

    fn shift(&self) -> Shift {
        // A bonus shifts with the rewards that it is added to.
        if self.config.high_factor == 1.0 { Shift::IgnoredByGroup } else { Shift::Counts }
    }

    fn scaling(&self) -> Scaling {
        if self.config.high_bonus == 0.0 { Scaling::Kept } else { Scaling::Other }
    }

    fn columns(&self) -> Vec<Column> {
        if self.config.split_by == SplitBy::Metric { vec![METRIC] } else { Vec::new() }
    }

    fn estimate(&self, batch: &RewardBatch) -> Result<Advantages> {
        let CanonConfig { split_by, inter_weight, high_factor, high_bonus } = self.config;
        let metric = match split_by {
            SplitBy::Metric => batch.column(METRIC, self.name())?,
            SplitBy::Length => batch.lengths(),
        };
        let rewards = batch.rewards()?;
        if batch.is_empty() {
            return Advantages::of_rows(batch, rewards);
        }
        let mut read = Reader::default().floats(&metric).bools(&batch.is_scored()).read();
        let (metric, kept) = (read.floats(), read.bools());
        let Halves { is_high, across } = Halves::new(batch.groups(), &metric, &kept);

        let numbers = batch.groups().numbers().iter();
        let halves = Groups::new(&numbers.zip(&is_high).collect::<Vec<_>>());
        let mean = |rewards: Tensor<1>| Ok::<_, crate::Error>(halves.masked_stats(rewards, batch.is_scored())?.mean());
        let device = rewards.device();
        let rows = is_high.len();
        let across: Vec<i64> = across.into_iter().map(|row| row as i64).collect();
        let across = Tensor::<1, Int>::from_data(TensorData::new(across, [rows]), &device);
        let is_high = Tensor::from_bool(TensorData::new(is_high, [rows]), &device);

        let compared = rewards.clone().mask_where(is_high, rewards.clone() * high_factor + high_bonus);
        let alone = across.clone().equal(Tensor::arange(0..rows as i64, &device));
        let inter = (compared.clone() - mean(compared)?.select(0, across)).mask_fill(alone, 0.0);
        let intra = rewards.clone() - mean(rewards)?;
        Advantages::of_rows(batch, inter * inter_weight + intra * (1.0 - inter_weight))
    }
}

/// A weight of the comparison across halves that falls from 1 to 0 along half a cosine, by the share of training that is
/// done.
///
/// # Errors
/// A domain error naming `progress` unless it lies in `[0, 1]`.
///
/// # Example
/// ```
/// use accordant_objectives::advantage::canon::cosine;
/// assert_eq!((cosine(0.0)?, cosine(1.0)?), (1.0, 0.0));
/// assert!((cosine(0.5)? - 0.5).abs() < 1e-15);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
pub fn cosine(progress: f64) -> Result<f64> {
    check_progress("progress", progress)?;
    Ok(0.5 * (1.0 + (std::f64::consts::PI * progress).cos()))
}

/// A weight of the comparison across halves that is 1 until the share `switch` of training is done, and 0 from then on.
///
/// # Errors
/// A domain error naming `progress` or `switch` unless it lies in `[0, 1]`.
///
/// # Example
/// ```
/// use accordant_objectives::advantage::canon::inter_then_intra;
/// assert_eq!((inter_then_intra(0.25, 0.5)?, inter_then_intra(0.5, 0.5)?), (1.0, 0.0));
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
pub fn inter_then_intra(progress: f64, switch: f64) -> Result<f64> {
    check_progress("progress", progress)?;
    check_progress("switch", switch)?;
    Ok(if progress < switch { 1.0 } else { 0.0 })
}

fn check_progress(name: &'static str, progress: f64) -> Result<()> {
    Ok(check_domain((0.0..=1.0).contains(&progress), name, "in [0, 1]", progress)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advantage::{
        group_normalized::{GroupNormalizedConfig, Scale},
        scan::tests::near,
        tests::{advantages, batch, responses, vector},
    };

    fn with(config: CanonConfig, batch: &RewardBatch) -> Vec<f64> {
        advantages(&config.init().unwrap(), batch)
    }

    /// Low: rewards 2 and 1; high: 6, 0 and 3. Another group of one, and a row without a reward.
    fn rows() -> RewardBatch {
        responses(&[6.0, 2.0, 0.0, 9.0, 1.0, 3.0, f64::NAN], &[1, 1, 1, 2, 1, 1, 1])
            .with_column(METRIC, vector(&[0.7, 0.1, 0.8, 0.0, 0.2, 0.9, 0.15]))
            .unwrap()
    }

    #[test]
    fn across_and_within_halves_by_hand() {
        let inter = [4.5, -1.0, -1.5, 0.0, -2.0, 1.5, 0.0];
        let intra = [3.0, 0.5, -3.0, 0.0, -0.5, 0.0, 0.0];
        near(&with(CanonConfig::new().with_inter_weight(1.0), &rows()), &inter, 1e-14);
        near(&with(CanonConfig::new().with_inter_weight(0.0), &rows()), &intra, 1e-14);
        let mixed: Vec<f64> = inter.iter().zip(intra).map(|(inter, intra)| 0.25 * inter + 0.75 * intra).collect();
        near(&with(CanonConfig::new().with_inter_weight(0.25), &rows()), &mixed, 1e-14);
    }

    #[test]
    fn the_high_half_is_favored_only_where_halves_are_compared() {
        let favored = CanonConfig::new().with_high_factor(0.5).with_high_bonus(1.0);
        // 6, 0, 3 count as 4, 1, 2.5, of mean 2.5; low: mean 1.5.
        let inter = [2.5, -0.5, -0.5, 0.0, -1.5, 1.0, 0.0];
        near(&with(favored.clone().with_inter_weight(1.0), &rows()), &inter, 1e-14);
        let intra = [3.0, 0.5, -3.0, 0.0, -0.5, 0.0, 0.0];
        near(&with(favored.with_inter_weight(0.0), &rows()), &intra, 1e-14);
    }

    #[test]
    fn ties_are_split_by_the_order_of_rows_and_nan_is_the_largest() {
        let inter = CanonConfig::new().with_inter_weight(1.0);
        let rows = responses(&[1.0, 2.0, 4.0, 8.0], &[1; 4]);
        let tied = rows.clone().with_column(METRIC, vector(&[0.5; 4])).unwrap();
        near(&with(inter.clone(), &tied), &[-5.0, -4.0, 2.5, 6.5], 1e-14);
        let nan = rows.clone().with_column(METRIC, vector(&[-f64::NAN, 3.0, f64::NAN, f64::INFINITY])).unwrap();
        // Low: 2 and 8; high: 1 and 4.
        near(&with(inter, &nan), &[-4.0, -0.5, -1.0, 5.5], 1e-14);
    }

    #[test]
    fn equal_weights_and_even_sizes_give_the_centered_reward() {
        let rows = responses(&[6.0, 2.0, 0.0, 9.0, 1.0, 3.0], &[1, 1, 1, 2, 1, 2]);
        let rows = rows.with_column(METRIC, vector(&[0.7, 0.1, 0.8, 0.0, 0.2, 0.9])).unwrap();
        let centered = GroupNormalizedConfig::new().with_scale(Scale::None).init().unwrap();
        near(&with(CanonConfig::new(), &rows), &advantages(&centered, &rows), 1e-14);
    }

    #[test]
    fn a_metric_by_chance_scales_the_centered_reward() {
        let rewards = [6.0, 2.0, 0.0, 1.0];
        let centered = [3.75, -0.25, -2.25, -1.25];
        // All splits of four into halves.
        let splits = [[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]];
        // G/(G − 1) across halves and (G − 2)/(G − 1) within.
        for (inter_weight, factor) in [(1.0, 4.0 / 3.0), (0.0, 2.0 / 3.0)] {
            let config = CanonConfig::new().with_inter_weight(inter_weight);
            let mut mean = [0.0; 4];
            for split in splits {
                let metric: Vec<f64> = (0..4).map(|row| f64::from(u8::from(split.contains(&row)))).collect();
                let batch = responses(&rewards, &[1; 4]).with_column(METRIC, vector(&metric)).unwrap();
                let advantages = with(config.clone(), &batch);
                mean.iter_mut().zip(advantages).for_each(|(mean, advantage)| *mean += advantage / 6.0);
            }
            near(&mean, &centered.map(|advantage| factor * advantage), 1e-14);
        }
    }

    #[test]
    fn the_length_needs_no_column() {
        let rows = batch(&[5.0, 1.0, 2.0], &[1; 3], &[[1, 1], [1, 0], [1, 1]]);
        let by_length = CanonConfig::new().with_split_by(SplitBy::Length).with_inter_weight(1.0);
        assert!(by_length.init().unwrap().columns().is_empty());
        // Low: 1; high: 5 and 2.
        near(&with(by_length, &rows), &[4.0, 4.0, -2.5, 0.0, 1.0, 1.0], 1e-14);
        let error = CanonConfig::new().init().unwrap().estimate(&rows).unwrap_err().to_string();
        assert!(error.starts_with("`canon` needs `metric`"), "{error}");
    }

    #[test]
    fn schedules_end_where_they_should() {
        near(&[cosine(1.0 / 3.0).unwrap()], &[0.75], 1e-15);
        assert_eq!(inter_then_intra(1.0, 1.0).unwrap(), 0.0);
        assert_eq!(inter_then_intra(0.0, 0.0).unwrap(), 0.0);
        for bad in [-0.1, 1.1, f64::NAN] {
            assert!(cosine(bad).unwrap_err().to_string().starts_with("`progress`"));
            assert!(inter_then_intra(bad, 0.5).unwrap_err().to_string().starts_with("`progress`"));
            assert!(inter_then_intra(0.5, bad).unwrap_err().to_string().starts_with("`switch`"));
        }
    }

    #[test]
    fn defaults_and_refused_values() {
        let config = CanonConfig::new();
        let expected = CanonConfig { split_by: SplitBy::Metric, inter_weight: 0.5, high_factor: 1.0, high_bonus: 0.0 };
        assert_eq!(config, expected);
        for (config, start) in [
            (config.clone().with_inter_weight(1.5), "`inter_weight`"),
            (config.clone().with_inter_weight(-0.5), "`inter_weight`"),
            (config.clone().with_high_factor(0.0), "`high_factor`"),
            (config.clone().with_high_factor(f64::INFINITY), "`high_factor`"),
            (config.with_high_bonus(f64::NAN), "`high_bonus`"),
        ] {
            let error = config.init().unwrap_err().to_string();
            assert!(error.starts_with(start), "{error}");
        }
    }
}
