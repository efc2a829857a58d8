//! Calibration of quantiles: do they hold what they promise?
//!
//! **Paper:** the band is that of empirical distribution functions (A. Kolmogorov, 1933), cut to a few levels.
//! **Use when:** quantiles were predicted for data that the model has not seen.
//! **Checked by:** hand-worked counts, a simulation of exact models.
//! **Deviations:** none.
//!
//! Of nineteen levels that are each tested at 95 %, an exact model fails at least one in a third of all test sets, and a
//! fitted one carries the sampling error of its training data, too. So the band is simultaneous over the levels, and its
//! standard errors count both data sets.

use accordant_ops::check_domain;
use rand::Rng;
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};

use crate::{
    Error, Result,
    error::{check_length, check_record},
    random::{Purpose, stream},
};

/// How often samples fell at or below the quantiles that were predicted for them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// The promised shares, τ.
    pub levels: Vec<f64>,
    /// The share of samples at or below each quantile.
    pub coverage: Vec<f64>,
    /// `√(τ(1 − τ)(1/n_test + 1/n_train))`.
    pub standard_errors: Vec<f64>,
}

impl Calibration {
    /// Counts, for quantiles `[n][levels]` of samples `[n]`; `num_train` is how many samples the quantiles were fitted to,
    /// or none when they are exact.
    ///
    /// # Errors
    /// [`Error::Empty`] without a sample or a level, [`Error::Length`] for other numbers of rows or quantiles,
    /// [`Error::Record`] for a level outside of (0, 1) or a NaN, a domain error naming `num_train` when it is 0.
    ///
    /// # Example
    /// ```
    /// use accordant_preference::distributional::calibration::Calibration;
    /// let quantiles = vec![vec![-1.0, 1.0]; 4];
    /// let calibration = Calibration::of(&quantiles, &[-2.0, 0.0, 0.5, 3.0], &[0.25, 0.75], None)?;
    /// assert_eq!(calibration.coverage, [0.25, 0.75]);
    /// assert_eq!(calibration.largest_deviation(), 0.0);
    /// # Ok::<(), accordant_preference::Error>(())
    /// ```
    pub fn of(quantiles: &[Vec<f64>], samples: &[f64], levels: &[f64], num_train: Option<usize>) -> Result<Self> {
        check_levels(levels)?;
        if samples.is_empty() {
            return Err(Error::Empty { name: "samples", reason: "there is none" });
        }
        check_length("quantiles", samples.len(), quantiles.len())?;
        let mut counts = vec![0.0; levels.len()];
        for (row, (quantiles, &sample)) in quantiles.iter().zip(samples).enumerate() {
            check_length("quantiles", levels.len(), quantiles.len())?;
            check_record(!sample.is_nan(), row, "samples", "a number", sample)?;
            for (count, &quantile) in counts.iter_mut().zip(quantiles) {
                check_record(!quantile.is_nan(), row, "quantiles", "a number", quantile)?;
                *count += f64::from(sample <= quantile);
            }
        }
        let n = samples.len() as f64;
        let mut spread = n.recip();
        if let Some(num_train) = num_train {
            check_domain(num_train > 0, "num_train", "> 0", num_train as f64)?;
            spread += (num_train as f64).recip();
        }
        Ok(Self {
            levels: levels.to_vec(),
            coverage: counts.into_iter().map(|count| count / n).collect(),
            standard_errors: levels.iter().map(|level| (level * (1.0 - level) * spread).sqrt()).collect(),
        })
    }

    /// The same for each of `num_groups` groups of about equal size, by ascending `keys`, one for each sample: by how noisy
    /// the samples are, say. What is right on the whole can be wrong in every part.
    ///
    /// # Errors
    /// As [`Calibration::of`]; [`Error::Length`] for other numbers of keys, [`Error::Record`] for a key that is NaN, a domain
    /// error naming `num_groups` unless it lies between 1 and the number of samples.
    pub fn by_group(
        quantiles: &[Vec<f64>],
        samples: &[f64],
        levels: &[f64],
        num_train: Option<usize>,
        keys: &[f64],
        num_groups: usize,
    ) -> Result<Vec<Self>> {
        let n = samples.len();
        check_length("quantiles", n, quantiles.len())?;
        check_length("keys", n, keys.len())?;
        for (row, &key) in keys.iter().enumerate() {
            check_record(!key.is_nan(), row, "keys", "a number", key)?;
        }
        check_domain((1..=n).contains(&num_groups), "num_groups", "between 1 and the samples", num_groups as f64)?;
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_by(|&a, &b| keys[a].total_cmp(&keys[b]));
        let groups = (0..num_groups).map(|group| &order[group * n / num_groups..(group + 1) * n / num_groups]);
        let group = |rows: &[usize]| {
            let quantiles: Vec<Vec<f64>> = rows.iter().map(|&row| quantiles[row].clone()).collect();
            let samples: Vec<f64> = rows.iter().map(|&row| samples[row]).collect();
            // A part of the training data, too.
            Self::of(&quantiles, &samples, levels, num_train.map(|num| num.div_ceil(num_groups)))
        };
        groups.map(group).collect()
    }

    /// The largest `|coverage − τ|`, a share.
    pub fn largest_deviation(&self) -> f64 {
        self.deviations().fold(0.0, f64::max)
    }

    /// The largest `|coverage − τ|` in standard errors, to be held against [`simultaneous_limit`].
    pub fn largest_z(&self) -> f64 {
        self.deviations().zip(&self.standard_errors).map(|(deviation, error)| deviation / error).fold(0.0, f64::max)
    }

    /// The share of levels within `z` of their own standard errors; 1.96 gives each its own 95 % interval.
    pub fn share_within(&self, z: f64) -> f64 {
        let within =
            self.deviations().zip(&self.standard_errors).filter(|(deviation, error)| *deviation <= z * **error);
        within.count() as f64 / self.levels.len() as f64
    }

    fn deviations(&self) -> impl Iterator<Item = f64> {
        self.coverage.iter().zip(&self.levels).map(|(coverage, level)| (coverage - level).abs())
    }
}

fn check_levels(levels: &[f64]) -> Result<()> {
    if levels.is_empty() {
        return Err(Error::Empty { name: "levels", reason: "there is none" });
    }
    for (row, &level) in levels.iter().enumerate() {
        check_record(level > 0.0 && level < 1.0, row, "levels", "in (0, 1)", level)?;
    }
    Ok(())
}

/// The simultaneous limit for the levels 0.05, 0.10, ..., 0.95 at 95 %.
pub const LIMIT_OF_19: f64 = 2.83;

/// How many standard errors the largest deviation of an exact model stays within with the given chance, by simulation of
/// `draws` Brownian bridges.
///
/// # Errors
/// As [`Calibration::of`] for the levels, which must ascend; a domain error naming `confidence`, in (0, 1), or `draws`, > 0.
///
/// # Example
/// ```
/// use accordant_preference::distributional::calibration::simultaneous_limit;
/// // One level alone has its own interval.
/// assert!((simultaneous_limit(&[0.5], 0.95, 20_000, 7)? - 1.96).abs() < 0.03);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
pub fn simultaneous_limit(levels: &[f64], confidence: f64, draws: usize, seed: u64) -> Result<f64> {
    check_levels(levels)?;
    for (row, pair) in levels.windows(2).enumerate() {
        check_record(pair[0] < pair[1], row + 1, "levels", "above the one before", pair[1])?;
    }
    check_domain(confidence > 0.0 && confidence < 1.0, "confidence", "in (0, 1)", confidence)?;
    check_domain(draws > 0, "draws", "> 0", draws as f64)?;
    let mut rng = stream(seed, Purpose::Sample, 0);
    let mut largest: Vec<f64> = (0..draws)
        .map(|_| {
            // A bridge: from its value at one level to the next, towards 0 at 1.
            let (mut at, mut value, mut largest) = (0.0, 0.0, 0.0f64);
            for &level in levels {
                let left = (1.0 - level) / (1.0 - at);
                let noise: f64 = rng.sample(StandardNormal);
                value = value * left + noise * ((level - at) * left).sqrt();
                at = level;
                largest = largest.max(value.abs() / (level * (1.0 - level)).sqrt());
            }
            largest
        })
        .collect();
    largest.sort_by(f64::total_cmp);
    Ok(largest[((confidence * draws as f64).ceil() as usize).clamp(1, draws) - 1])
}

/// The share of neighboring quantiles that are in the wrong order; 0 of fewer than two.
///
/// # Example
/// ```
/// use accordant_preference::distributional::calibration::crossing_rate;
/// assert_eq!(crossing_rate(&[vec![0.0, 2.0, 1.0], vec![0.0, 0.0, 1.0]]), 0.25); // equal ones do not cross
/// ```
pub fn crossing_rate(quantiles: &[Vec<f64>]) -> f64 {
    let neighbors = || quantiles.iter().flat_map(|row| row.windows(2));
    let crossed = neighbors().filter(|pair| pair[1] < pair[0]).count();
    crossed as f64 / neighbors().count().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::distributional::testing::{near, starts};

    #[test]
    fn counts_by_hand() {
        let quantiles: Vec<Vec<f64>> = (0..10).map(|_| vec![1.0, 5.0]).collect();
        let samples: Vec<f64> = (0..10).map(f64::from).collect();
        // 0 and 1 are at or below 1; 0 to 5 are at or below 5.
        let calibration = Calibration::of(&quantiles, &samples, &[0.1, 0.8], Some(40)).unwrap();
        near(&calibration.coverage, &[0.2, 0.6], 1e-15);
        near(&calibration.standard_errors, &[(0.09f64 * 0.125).sqrt(), (0.16f64 * 0.125).sqrt()], 1e-15);
        near(&[calibration.largest_deviation(), calibration.largest_z()], &[0.2, 0.2 / (0.02f64).sqrt()], 1e-12);
        assert_eq!(calibration.share_within(1.0), 0.5);
        assert_eq!(calibration.share_within(2.0), 1.0);
        let exact = Calibration::of(&quantiles, &samples, &[0.1, 0.8], None).unwrap();
        near(&exact.standard_errors, &[(0.009f64).sqrt(), (0.016f64).sqrt()], 1e-15);
    }

    #[test]
    fn one_level_alone_has_its_own_interval_wherever_it_is() {
        for level in [0.05, 0.3, 0.9] {
            let limit = simultaneous_limit(&[level], 0.95, 20_000, 7).unwrap();
            assert!((limit - 1.96).abs() < 0.05, "{level}: {limit}");
        }
    }

    #[test]
    fn crossings_by_hand() {
        assert_eq!(crossing_rate(&[vec![0.0, 2.0, 1.0], vec![0.0, 0.0, 1.0]]), 0.25);
        assert_eq!(crossing_rate(&[vec![3.0, 2.0, 1.0]]), 1.0);
        assert_eq!(crossing_rate(&[vec![3.0]]), 0.0);
    }

    #[test]
    fn the_limit_of_nineteen_levels_is_that_of_exact_models() {
        let levels = super::super::quantile_reward::Levels::Interior(19).probs().unwrap();
        // The standard error of the simulated 95 % point is about 0.02.
        let limit = simultaneous_limit(&levels, 0.95, 20_000, 1).unwrap();
        assert!((limit - LIMIT_OF_19).abs() < 0.06, "{limit}");
        // Exact quantiles of uniform samples stay within in about 95 of 100 sets, and each within its own in far fewer.
        let (mut together, mut apart) = (0, 0);
        for seed in 0..300 {
            let mut rng = stream(seed, Purpose::World, 0);
            let samples: Vec<f64> = (0..1000).map(|_| rng.random_range(0.0..1.0)).collect();
            let calibration = Calibration::of(&vec![levels.clone(); 1000], &samples, &levels, None).unwrap();
            together += usize::from(calibration.largest_z() <= LIMIT_OF_19);
            apart += usize::from(calibration.share_within(1.96) == 1.0);
        }
        // Binomial: 285 ± 3.8 and about 192 ± 8.3.
        assert!((270..=297).contains(&together) && (155..=230).contains(&apart), "{together} {apart}");
    }

    #[test]
    fn groups_go_by_ascending_keys() {
        let quantiles: Vec<Vec<f64>> = (0..5).map(|_| vec![2.5]).collect();
        // By key: 4, 1 and 0, 3, 2.
        let (samples, keys) = ([0.0, 1.0, 2.0, 3.0, 4.0], [2.0, 1.0, 9.0, 3.0, -1.0]);
        let groups = Calibration::by_group(&quantiles, &samples, &[0.5], Some(9), &keys, 2).unwrap();
        assert_eq!(groups.iter().map(|group| group.coverage[0]).collect::<Vec<_>>(), [0.5, 2.0 / 3.0]);
        // 9 for training are 5 for each group.
        near(&groups[0].standard_errors, &[(0.25f64 * (0.5 + 0.2)).sqrt()], 1e-15);
        let by =
            |samples: &[f64], keys: &[f64], num| Calibration::by_group(&quantiles, samples, &[0.5], None, keys, num);
        starts(by(&samples[..4], &keys, 2), "`quantiles`");
        starts(by(&samples, &keys[..4], 2), "`keys`");
        starts(by(&samples, &[0.0, f64::NAN, 0.0, 0.0, 0.0], 2), "record 1: `keys`");
        starts(by(&samples, &keys, 0), "`num_groups`");
        starts(by(&samples, &keys, 6), "`num_groups`");
        assert_eq!(by(&samples, &keys, 5).unwrap().len(), 5);
    }

    #[test]
    fn senseless_input_is_refused_by_name() {
        let of = |quantiles: &[Vec<f64>], samples: &[f64], levels: &[f64], train| {
            Calibration::of(quantiles, samples, levels, train)
        };
        starts(of(&[], &[], &[0.5], None), "`samples`");
        starts(of(&[], &[1.0], &[0.5], None), "`quantiles`: expected 1 entries, got 0");
        starts(of(&[vec![1.0, 2.0]], &[1.0], &[0.5], None), "`quantiles`: expected 1 entries, got 2");
        starts(of(&[vec![1.0]], &[1.0], &[], None), "`levels`");
        for level in [0.0, 1.0, f64::NAN] {
            starts(of(&[vec![1.0]], &[1.0], &[level], None), "record 0: `levels`");
        }
        starts(of(&[vec![1.0]], &[f64::NAN], &[0.5], None), "record 0: `samples`");
        starts(of(&[vec![f64::NAN]], &[1.0], &[0.5], None), "record 0: `quantiles`");
        starts(of(&[vec![1.0]], &[1.0], &[0.5], Some(0)), "`num_train`");
        starts(simultaneous_limit(&[0.5, 0.5], 0.95, 10, 0), "record 1: `levels`");
        for confidence in [0.0, 1.0, f64::NAN] {
            starts(simultaneous_limit(&[0.5], confidence, 10, 0), "`confidence`");
        }
        starts(simultaneous_limit(&[0.5], 0.9, 0, 0), "`draws`");
        assert_eq!(crossing_rate(&[vec![3.0], vec![]]), 0.0);
    }
}
