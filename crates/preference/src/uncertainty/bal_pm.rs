//! Bayesian active learning for preference modeling (BAL-PM): uncertain pairs, of prompts unlike those already asked about.
//!
//! **Paper:** Deep Bayesian Active Learning for Preference Modeling in Large Language Models (2024), 2406.10023.
//! **Use when:** labels are bought in batches: by uncertainty alone a batch is full of the same.
//! **Checked by:** a hand-worked pool, diversity against uncertainty alone, duplicates.
//! **Deviations:** a point is not its own neighbor unless asked for; the released code counts it, so that its `k` means `k − 1`
//! others. It divides ψ by a dimension, which it sets to 1; there is none here.

use accordant_ops::check_domain;
use burn::config::Config;
use statrs::function::gamma::digamma;

use crate::{
    Error, Result,
    error::{check_length, check_record},
};

/// How much a prompt would add to the entropy of those asked about: what it is estimated by.
#[derive(Config, Debug, Copy, PartialEq, Eq)]
pub enum EntropyEstimate {
    /// `log(2 D_k + 1e-4) − ψ(n + 1)`: `D_k` is the distance to the `k`-th nearest neighbor in the pool, and `n` how many
    /// prompts within it were asked about already, those of this batch included.
    Counts,
    /// `log(2 D_k + 1e-4)`: with the neighbors in the pool and among all that was asked about, where each prompt of this batch
    /// is a neighbor twice (the code's second version).
    Distances,
}

/// Configuration of a batch.
///
/// ```text
/// U(x) + β Ĥ(x),   Ĥ standardized over what is left of the pool
/// ```
///
/// `U` is what the members disagree about, `Ĥ` the [`EntropyEstimate`].
#[derive(Config, Debug, PartialEq)]
pub struct BalPmConfig {
    /// Pairs in the batch, ≥ 1. 64: the code's active default.
    #[config(default = 64)]
    pub batch_size: usize,
    /// What the entropy is estimated by. Counts: the paper's.
    #[config(default = "EntropyEstimate::Counts")]
    pub estimate: EntropyEstimate,
    /// Which neighbor's distance counts, `k` ≥ 1; the farthest one's when there are fewer. 30: the code's default; its scripts
    /// have 13.
    #[config(default = 30)]
    pub neighbors: usize,
    /// Weight β of the entropy, finite and ≥ 0. 5e-4: the code's default; its scripts have 1e-2.
    #[config(default = 5e-4)]
    pub beta: f64,
    /// Whether a point counts as its own nearest neighbor, as in the released code. False: ours.
    #[config(default = false)]
    pub include_self: bool,
}

/// What keeps the logarithm of a distance of 0 finite.
const FLOOR: f64 = 1e-4;

impl BalPmConfig {
    /// The places in the pool of the batch's pairs, in the order in which they were picked; all when there are no more.
    ///
    /// `pool` and `acquired`: features of the prompts of what can be, and of what has been, asked about; `epistemic`: what
    /// members disagree about, one for each of the pool. Ties go to the first.
    ///
    /// # Errors
    /// A domain error naming a field; [`Error::Length`], [`Error::Record`] for what is not finite; [`Error::Empty`] naming
    /// `pool` when there is none.
    ///
    /// # Example
    /// ```
    /// use accordant_preference::uncertainty::bal_pm::BalPmConfig;
    /// // Two prompts that are nearly one, and a far one; all as uncertain.
    /// let pool = [vec![0.0], vec![0.1], vec![9.0]];
    /// let config = BalPmConfig::new().with_batch_size(2).with_neighbors(1).with_beta(1.0);
    /// let batch = config.select(&pool, &[], &[0.5; 3])?;
    /// assert_eq!(batch, [2, 0]);
    /// # Ok::<(), accordant_preference::Error>(())
    /// ```
    pub fn select(&self, pool: &[Vec<f64>], acquired: &[Vec<f64>], epistemic: &[f64]) -> Result<Vec<usize>> {
        check_domain(self.batch_size > 0, "batch_size", ">= 1", self.batch_size as f64)?;
        check_domain(self.neighbors > 0, "neighbors", ">= 1", self.neighbors as f64)?;
        check_domain(self.beta.is_finite() && self.beta >= 0.0, "beta", "finite and >= 0", self.beta)?;
        let Some(first) = pool.first() else {
            return Err(Error::Empty { name: "pool", reason: "there is no pair to ask about" });
        };
        check_length("epistemic", pool.len(), epistemic.len())?;
        for (name, points) in [("pool", pool), ("acquired", acquired)] {
            for (row, point) in points.iter().enumerate() {
                check_length(name, first.len(), point.len())?;
                for &value in point {
                    check_record(value.is_finite(), row, name, "finite", value)?;
                }
            }
        }
        for (row, &value) in epistemic.iter().enumerate() {
            check_record(value.is_finite(), row, "epistemic", "finite", value)?;
        }
        let distances = self.estimate == EntropyEstimate::Distances;
        let further = if distances { acquired } else { &[] };
        let mut nearest: Vec<Nearest> = (0..pool.len()).map(|at| self.nearest(pool, further, at)).collect();
        for (row, nearest) in nearest.iter().enumerate() {
            let reach = nearest.reach();
            check_record(reach.is_finite(), row, "pool", "distances that do not overflow", reach)?;
        }
        let within = |at: usize, reach: f64, point: &[f64]| distance(&pool[at], point) <= reach;
        let mut known = vec![0.0; pool.len()];
        if !distances {
            for (at, known) in known.iter_mut().enumerate() {
                let reach = nearest[at].reach();
                *known = acquired.iter().filter(|point| within(at, reach, point)).count() as f64;
            }
        }
        let mut left: Vec<usize> = (0..pool.len()).collect();
        let mut batch = Vec::new();
        while batch.len() < self.batch_size && !left.is_empty() {
            let entropy = |&at: &usize| match self.estimate {
                EntropyEstimate::Counts => log_width(nearest[at].reach()) - digamma(known[at] + 1.0),
                EntropyEstimate::Distances => log_width(nearest[at].reach()),
            };
            let entropies = standardized(left.iter().map(entropy).collect());
            let score = |place: usize| epistemic[left[place]] + self.beta * entropies[place];
            let best = (1..left.len()).fold(0, |best, place| if score(place) > score(best) { place } else { best });
            let picked = left.remove(best);
            for &at in &left {
                if distances {
                    nearest[at].add(distance(&pool[at], &pool[picked]));
                } else {
                    known[at] += f64::from(within(at, nearest[at].reach(), &pool[picked]));
                }
            }
            batch.push(picked);
        }
        Ok(batch)
    }

    /// The neighbors of a point of the pool there and among further ones.
    fn nearest(&self, pool: &[Vec<f64>], further: &[Vec<f64>], at: usize) -> Nearest {
        let mut nearest = Nearest { num: self.neighbors, distances: Vec::new() };
        let others = (0..pool.len()).filter(|&other| self.include_self || other != at).map(|other| &pool[other]);
        others.chain(further).for_each(|other| nearest.add(distance(&pool[at], other)));
        nearest
    }
}

/// The distances to the `num` nearest neighbors, ascending.
struct Nearest {
    num: usize,
    distances: Vec<f64>,
}

impl Nearest {
    fn add(&mut self, distance: f64) {
        let place = self.distances.partition_point(|other| *other <= distance);
        self.distances.insert(place, distance);
        self.distances.truncate(self.num);
    }

    /// The farthest one's; 0 when there is none.
    fn reach(&self) -> f64 {
        self.distances.last().copied().unwrap_or(0.0)
    }
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
}

fn log_width(reach: f64) -> f64 {
    (2.0 * reach + FLOOR).ln()
}

/// In units of the spread, about the mean; zeros where there is none.
fn standardized(values: Vec<f64>) -> Vec<f64> {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let spread = (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / n).sqrt();
    values.into_iter().map(|value| if spread > 0.0 { (value - mean) / spread } else { 0.0 }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::distributional::testing::{near, starts};

    fn config(batch_size: usize, beta: f64) -> BalPmConfig {
        BalPmConfig::new().with_batch_size(batch_size).with_neighbors(1).with_beta(beta)
    }

    #[test]
    fn a_pool_by_hand() {
        near(&[log_width(0.5), log_width(0.0)], &[1.0001f64.ln(), 1e-4f64.ln()], 1e-15);
        near(&standardized(vec![1.0, 3.0]), &[-1.0, 1.0], 1e-15);
        assert_eq!(standardized(vec![2.0, 2.0]), [0.0, 0.0]);
        // Nearest distances 1, 1, 3, 3: ln 2 and ln 6. Of the last two the first; it is within reach of the other, whose
        // ln 6 falls by ψ(2) − ψ(1) = 1 to 0.79, still above ln 2 = 0.69.
        let pool: Vec<Vec<f64>> = [0.0, 1.0, 5.0, 8.0].iter().map(|x| vec![*x]).collect();
        let batch = config(4, 1.0).select(&pool, &[], &[0.0; 4]).unwrap();
        assert_eq!(batch, [2, 3, 0, 1]);
        // Both of these are within reach of 8, which falls by ψ(3) − ψ(1) = 1.5, and one is of 5, which falls by 1. Then 5
        // takes 8 down to ln 6 − 11/6 = −0.04, and 0 takes 1 down to ln 2 − 1 = −0.31.
        let asked = [vec![8.5], vec![7.0]];
        assert_eq!(config(4, 1.0).select(&pool, &asked, &[0.0; 4]).unwrap(), [2, 0, 3, 1]);
    }

    #[test]
    fn distances_to_what_was_asked_about_count_without_the_counts() {
        // Nearest distances 1, 1, 3, 3: 5 comes first. It is a neighbor of 8 once more, at 3 still; then 8, and 0 before 1.
        let pool: Vec<Vec<f64>> = [0.0, 1.0, 5.0, 8.0].iter().map(|x| vec![*x]).collect();
        let config = config(4, 1.0).with_estimate(EntropyEstimate::Distances);
        assert_eq!(config.select(&pool, &[], &[0.0; 4]).unwrap(), [2, 3, 0, 1]);
        // What was asked about at 8.5 and 5.5 brings 8 and 5 down to 0.5, below 1 and 1.
        let asked = [vec![8.5], vec![5.5]];
        assert_eq!(config.select(&pool, &asked, &[0.0; 4]).unwrap(), [0, 1, 2, 3]);
        // By the second neighbor: 5, 4, 4, 7 (8 from 1). After 8 it is there twice for 5: 3 and 3; then 0 (5), which is there
        // twice for 1: 1 and 1, so 5 is before 1.
        let second = config.with_neighbors(2);
        assert_eq!(second.select(&pool, &[], &[0.0; 4]).unwrap(), [3, 0, 2, 1]);
        let asked = [vec![0.5]];
        // 0 has 0.5 and 1, 1 has 0.5 and 1, 5 has 3 and 4, 8 has 3 and 7.
        assert_eq!(second.with_batch_size(2).select(&pool, &asked, &[0.0; 4]).unwrap(), [3, 2]);
    }

    #[test]
    fn uncertainty_alone_takes_a_cluster_and_entropy_spreads_the_batch() {
        // Ten nearly equal prompts, a little more uncertain than ten that are spread out.
        let cluster = (0..10).map(|i| vec![f64::from(i) * 1e-3, 0.0]);
        let spread = (0..10).map(|i| vec![5.0 + 2.0 * f64::from(i), f64::from(i % 3)]);
        let pool: Vec<Vec<f64>> = cluster.chain(spread).collect();
        let epistemic: Vec<f64> = (0..20).map(|i| if i < 10 { 0.32 } else { 0.30 }).collect();
        let alone = config(5, 0.0).select(&pool, &[], &epistemic).unwrap();
        assert_eq!(alone, [0, 1, 2, 3, 4]);
        let batch = config(5, 0.05).select(&pool, &[], &epistemic).unwrap();
        assert!(batch.iter().all(|at| *at >= 10), "{batch:?}");
    }

    #[test]
    fn a_batch_has_no_duplicates_and_equal_prompts_no_infinity() {
        let pool = vec![vec![1.0]; 6];
        let mut batch = config(10, 1.0).select(&pool, &[vec![1.0]], &[0.1; 6]).unwrap();
        assert_eq!(batch[0], 0, "ties go to the first");
        batch.sort_unstable();
        assert_eq!(batch, [0, 1, 2, 3, 4, 5]);
        assert_eq!(config(1, 1.0).select(&pool[..1], &[], &[0.1]).unwrap(), [0]);
    }

    #[test]
    fn a_point_counts_as_its_own_neighbor_only_when_asked() {
        let pool = [vec![0.0], vec![1.0], vec![5.0]];
        let reach = |include_self, neighbors| {
            config(1, 1.0).with_include_self(include_self).with_neighbors(neighbors).nearest(&pool, &[], 2).reach()
        };
        assert_eq!([reach(false, 1), reach(false, 2), reach(false, 9)], [4.0, 5.0, 5.0]);
        assert_eq!([reach(true, 1), reach(true, 2), reach(true, 3)], [0.0, 4.0, 5.0]);
    }

    #[test]
    fn senseless_input_is_refused_by_name() {
        let defaults = BalPmConfig::new();
        assert_eq!((defaults.batch_size, defaults.neighbors, defaults.beta), (64, 30, 5e-4));
        assert!(!defaults.include_self && defaults.estimate == EntropyEstimate::Counts);
        let one = [vec![1.0]];
        starts(config(0, 1.0).select(&one, &[], &[0.1]), "`batch_size`");
        starts(config(1, 1.0).with_neighbors(0).select(&one, &[], &[0.1]), "`neighbors`");
        for beta in [-1.0, f64::NAN, f64::INFINITY] {
            starts(config(1, beta).select(&one, &[], &[0.1]), "`beta`");
        }
        starts(config(1, 1.0).select(&[], &[], &[]), "`pool`: nothing");
        starts(config(1, 1.0).select(&one, &[], &[]), "`epistemic`");
        starts(config(1, 1.0).select(&one, &[], &[f64::NAN]), "record 0: `epistemic`");
        starts(config(1, 1.0).select(&one, &[vec![]], &[0.1]), "`acquired`");
        let far = [vec![1e200], vec![-1e200]];
        starts(
            config(1, 1.0).select(&far, &[], &[0.1; 2]),
            "record 0: `pool`: expected distances that do not overflow",
        );
        starts(config(1, 1.0).select(&[vec![f64::NAN]], &[], &[0.1]), "record 0: `pool`");
    }

    #[test]
    fn what_was_picked_counts_for_its_neighbors() {
        near(&standardized(vec![1.0, 5.0]), &[-1.0, 1.0], 1e-15);
        // Reaches 1.9, 1.9 and three times 3: ln 3.8 = 1.34 and ln 6 = 1.79. 5 takes 8 down by ψ(2) − ψ(1) = 1 to 0.79; then 11
        // does by ½ more, to 0.29; and 0 takes 1.9 down to 0.34.
        let pool: Vec<Vec<f64>> = [0.0, 1.9, 5.0, 8.0, 11.0].iter().map(|x| vec![*x]).collect();
        assert_eq!(config(5, 1.0).select(&pool, &[], &[0.0; 5]).unwrap(), [2, 4, 0, 1, 3]);
    }
}
