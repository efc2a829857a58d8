//! How sure the scores of a fit are: refits of data drawn with replacement.
//!
//! **Paper:** Bootstrap Methods: Another Look at the Jackknife (B. Efron, 1979).
//! **Use when:** the model may be wrong, records go together by judge, or intervals of ranks are wanted. A fit of
//! [`super::NewmanConfig`] takes microseconds for each draw.
//! **Checked by:** standard errors from the curvature; the same draws whatever the number of threads; draws that do not
//! connect all items.
//! **Deviations:** draws that have no maximum of the likelihood are left out and counted, and too many of them are an error.

use std::sync::atomic::{AtomicUsize, Ordering};

use accordant_ops::check_domain;
use burn::config::Config;
use rand::Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{Ranking, covariance::rank_intervals};
use crate::{
    Comparison, Comparisons, Error, Result, WinMatrix,
    error::check_index,
    random::{Purpose, stream},
    resample::{Interval, draw_units, numbered},
};

/// What is drawn with replacement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Unit {
    /// Records, which keep their weights.
    #[default]
    Records,
    /// Judgements, of which a record is as many as its weight, a whole number.
    Counts,
    /// Judges with all their records: for judgements of one judge that go together.
    Judges,
}

/// Configuration of a bootstrap.
#[derive(Config, Debug, PartialEq)]
pub struct BootstrapConfig {
    /// How many draws, ≥ 1. 100: the arenas'; 1000 for intervals to be published.
    #[config(default = 100)]
    pub replicates: u32,
    /// The seed of the draws.
    #[config(default = 0)]
    pub seed: u64,
    /// What is drawn.
    #[config(default = "Unit::Records")]
    pub unit: Unit,
    /// The share of refits that may fail, in [0, 1]. 0.05: ours.
    #[config(default = 0.05)]
    pub max_failures: f64,
}

impl BootstrapConfig {
    /// Refits of drawn comparisons.
    ///
    /// `fit` gives the ranking of a table; `progress` is told after each refit how many are done, from any thread.
    ///
    /// # Errors
    /// A domain error naming a field; [`Error::Empty`] without a comparison; [`Error::Combination`] when judges are drawn
    /// and not known; [`Error::Record`] when judgements are drawn and a weight is no whole number; [`Error::FailedRefits`]
    /// when too many draws have no maximum or a fit did not converge; whatever else `fit` says.
    ///
    /// # Example
    /// ```
    /// use accordant_preference::{Comparisons, ranking::{BootstrapConfig, NewmanConfig, Unit}};
    /// let mut judged = Comparisons::new(2);
    /// judged.push_win(0, 1, 300.0)?;
    /// judged.push_win(1, 0, 100.0)?;
    /// let config = BootstrapConfig::new().with_replicates(200).with_unit(Unit::Counts);
    /// let draws = config.run(&judged, |table| NewmanConfig::new().fit_matrix(table), |_done| {})?;
    /// let interval = draws.difference(0, 1, 0.95)?; // ln 3 with standard error √(1/300 + 1/100) = 0.115
    /// assert!((interval.low - 0.87).abs() < 0.08 && (interval.high - 1.32).abs() < 0.08);
    /// # Ok::<(), accordant_preference::Error>(())
    /// ```
    pub fn run(
        &self,
        judged: &Comparisons,
        fit: impl Fn(&WinMatrix) -> Result<Ranking> + Sync,
        progress: impl Fn(usize) + Sync,
    ) -> Result<Bootstrap> {
        if judged.is_empty() {
            return Err(Error::Empty { name: "comparisons", reason: "there is none" });
        }
        let records = judged.records();
        let table = |weight_of: &dyn Fn(usize) -> f64| {
            let mut table = WinMatrix::new(judged.num_items());
            for (row, record) in records.iter().enumerate() {
                let weight = weight_of(row);
                if weight > 0.0 {
                    table.add(record.first, record.second, record.outcome, weight);
                }
            }
            fit(&table)
        };
        match self.unit {
            Unit::Records => {
                // Equal records are counted together, so that a draw touches each kind once.
                let (kinds, kind_of) = kinds(records);
                let units = number_of_units(records.len())?;
                self.run_draws(
                    |replicate| {
                        let mut rng = stream(self.seed, Purpose::Bootstrap, replicate);
                        let mut drawn = vec![0u32; kinds.len()];
                        (0..units).for_each(|_| drawn[kind_of[rng.random_range(0..units) as usize] as usize] += 1);
                        let mut table = WinMatrix::new(judged.num_items());
                        for (record, &times) in kinds.iter().zip(&drawn) {
                            if times > 0 {
                                let weight = f64::from(times) * record.weight;
                                table.add(record.first, record.second, record.outcome, weight);
                            }
                        }
                        fit(&table)
                    },
                    progress,
                )
            }
            Unit::Judges => {
                let judges = judged.judges().ok_or(Error::Combination {
                    what: "bootstrap over judges",
                    reason: "nobody said who judged these comparisons",
                })?;
                let (of, count) = numbered(judges);
                self.run_units(count, |drawn| table(&|row| f64::from(drawn[of[row]]) * records[row].weight), progress)
            }
            Unit::Counts => {
                // Where the judgements of each record end.
                let mut ends = Vec::with_capacity(records.len());
                let mut total: u64 = 0;
                for (row, record) in records.iter().enumerate() {
                    let whole = record.weight.fract() == 0.0 && record.weight < f64::from(u32::MAX);
                    crate::error::check_record(whole, row, "weight", "a whole number to be drawn", record.weight)?;
                    total += record.weight as u64;
                    ends.push(total);
                }
                if total == 0 {
                    return Err(Error::Empty { name: "comparisons", reason: "none has a weight" });
                }
                self.run_draws(
                    |replicate| {
                        let mut rng = stream(self.seed, Purpose::Bootstrap, replicate);
                        let mut drawn = vec![0u32; records.len()];
                        for _ in 0..total {
                            let at = rng.random_range(0..total);
                            drawn[ends.partition_point(|&end| end <= at)] += 1;
                        }
                        table(&|row| f64::from(drawn[row]))
                    },
                    progress,
                )
            }
        }
    }

    /// The same for any data of `units` units: `fit` is told how often each was drawn.
    ///
    /// # Errors
    /// As [`BootstrapConfig::run`].
    ///
    /// # Example
    /// ```
    /// use accordant_preference::{Rankings, ranking::{BootstrapConfig, PlackettLuceConfig}, rankings::Unlisted};
    /// let mut lists = Rankings::new(3);
    /// for order in [[0, 1, 2], [1, 2, 0], [2, 0, 1], [0, 1, 2], [1, 0, 2]].iter().cycle().take(50) {
    ///     lists.push(order, Unlisted::Absent)?;
    /// }
    /// let fit = |drawn: &[u32]| {
    ///     let factors: Vec<f64> = drawn.iter().copied().map(f64::from).collect();
    ///     PlackettLuceConfig::new().fit(&lists.reweighted(&factors)?)
    /// };
    /// let draws = BootstrapConfig::new().run_units(lists.len(), fit, |_done| {})?;
    /// assert_eq!(draws.scores().len(), 100);
    /// # Ok::<(), accordant_preference::Error>(())
    /// ```
    pub fn run_units(
        &self,
        units: usize,
        fit: impl Fn(&[u32]) -> Result<Ranking> + Sync,
        progress: impl Fn(usize) + Sync,
    ) -> Result<Bootstrap> {
        number_of_units(units)?;
        let refit = |replicate| {
            let mut drawn = vec![0; units];
            draw_units(&mut stream(self.seed, Purpose::Bootstrap, replicate), &mut drawn);
            fit(&drawn)
        };
        self.run_draws(refit, progress)
    }

    fn run_draws(
        &self,
        refit: impl Fn(u32) -> Result<Ranking> + Sync,
        progress: impl Fn(usize) + Sync,
    ) -> Result<Bootstrap> {
        let share = self.max_failures;
        check_domain((0.0..=1.0).contains(&share), "max_failures", "in [0, 1]", share)?;
        if self.replicates == 0 {
            return Err(Error::Empty { name: "replicates", reason: "there is none" });
        }
        let done = AtomicUsize::new(0);
        let refits: Vec<Result<Option<Vec<f64>>>> = (0..self.replicates)
            .into_par_iter()
            .map(|replicate| {
                let fitted = match refit(replicate) {
                    Ok(ranking) => Ok(ranking.report.converged.then_some(ranking.scores)),
                    // A draw that has no maximum is one of the things that happen.
                    Err(Error::NotIdentifiable { .. } | Error::Separable { .. } | Error::AllTies) => Ok(None),
                    Err(error) => Err(error),
                };
                progress(done.fetch_add(1, Ordering::Relaxed) + 1);
                fitted
            })
            .collect();
        let replicates = refits.len();
        let mut scores = Vec::with_capacity(replicates);
        for refit in refits {
            scores.extend(refit?);
        }
        let failed = replicates - scores.len();
        if failed as f64 > share * replicates as f64 || scores.is_empty() {
            return Err(Error::FailedRefits { failed, replicates });
        }
        Ok(Bootstrap { scores, failed })
    }
}

fn number_of_units(units: usize) -> Result<u32> {
    let none = Error::Empty { name: "units", reason: "there is none, or there are too many to be numbered" };
    u32::try_from(units).ok().filter(|units| *units > 0).ok_or(none)
}

/// One of each kind of records, in the order of their first one, and the kind of each record.
fn kinds(records: &[Comparison]) -> (Vec<Comparison>, Vec<u32>) {
    let mut known = std::collections::HashMap::new();
    let mut kinds = Vec::new();
    let of = |record: &Comparison| {
        let outcome = (std::mem::discriminant(&record.outcome), record.outcome.share().to_bits());
        let key = (record.first, record.second, outcome, record.weight.to_bits());
        *known.entry(key).or_insert_with(|| {
            kinds.push(*record);
            kinds.len() as u32 - 1
        })
    };
    let kind_of = records.iter().map(of).collect();
    (kinds, kind_of)
}

/// Scores of refits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Bootstrap {
    scores: Vec<Vec<f64>>,
    failed: usize,
}

impl Bootstrap {
    /// The scores of each refit.
    pub fn scores(&self) -> &[Vec<f64>] {
        &self.scores
    }

    /// How many refits failed and were left out.
    pub fn failed(&self) -> usize {
        self.failed
    }

    fn num_items(&self) -> usize {
        self.scores.first().map_or(0, Vec::len)
    }

    /// Quantiles of each score.
    ///
    /// # Errors
    /// A domain error for a level outside of (0, 1).
    pub fn intervals(&self, level: f64) -> Result<Vec<Interval>> {
        check_domain(level > 0.0 && level < 1.0, "level", "in (0, 1)", level)?;
        Ok((0..self.num_items()).map(|item| self.quantiles(level, |scores| scores[item])).collect())
    }

    /// Quantiles of the difference of two scores.
    ///
    /// # Errors
    /// A domain error for a level outside of (0, 1), [`Error::Index`] for an item that is not in the table.
    pub fn difference(&self, first: usize, second: usize, level: f64) -> Result<Interval> {
        check_domain(level > 0.0 && level < 1.0, "level", "in (0, 1)", level)?;
        check_index(0, "first", first, self.num_items())?;
        check_index(0, "second", second, self.num_items())?;
        Ok(self.quantiles(level, |scores| scores[first] - scores[second]))
    }

    fn quantiles(&self, level: f64, of: impl Fn(&[f64]) -> f64) -> Interval {
        let mut draws: Vec<f64> = self.scores.iter().map(|scores| of(scores)).collect();
        draws.sort_by(f64::total_cmp);
        Interval::of_sorted(&draws, level)
    }

    /// The standard deviation of each score over the refits; 0 for one refit.
    pub fn standard_errors(&self) -> Vec<f64> {
        let count = self.scores.len() as f64;
        let of = |item: usize| {
            let mean = self.scores.iter().map(|scores| scores[item]).sum::<f64>() / count;
            let squares: f64 = self.scores.iter().map(|scores| (scores[item] - mean).powi(2)).sum();
            (squares / (count - 1.0).max(1.0)).sqrt()
        };
        (0..self.num_items()).map(of).collect()
    }

    /// Best and worst rank, from 1 on, that the intervals of the scores allow.
    ///
    /// # Errors
    /// A domain error for a level outside of (0, 1).
    pub fn rank_intervals(&self, level: f64) -> Result<Vec<(usize, usize)>> {
        Ok(rank_intervals(&self.intervals(level)?))
    }

    /// The share of refits in which each item was first; equal first ones share it.
    pub fn chances_to_be_first(&self) -> Vec<f64> {
        let mut chances = vec![0.0; self.num_items()];
        for scores in &self.scores {
            let best = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let first: Vec<usize> = (0..scores.len()).filter(|&item| scores[item] == best).collect();
            first.iter().for_each(|&item| chances[item] += 1.0 / (first.len() * self.scores.len()) as f64);
        }
        chances
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::Logit;
    use crate::ranking::{
        CovarianceConfig, NewmanConfig, NewtonConfig, Spread,
        fixtures::{four, random, unconnected},
    };

    fn newman(table: &WinMatrix) -> Result<Ranking> {
        NewmanConfig::new().fit_matrix(table)
    }

    /// A table large enough that no draw falls apart.
    fn table() -> Comparisons {
        let small = random(6, 1);
        let mut judged = Comparisons::new(6);
        for _ in 0..20 {
            small.records().iter().for_each(|r| judged.push(r.first, r.second, r.outcome).unwrap());
        }
        judged
    }

    #[test]
    fn standard_errors_are_those_of_the_sandwich() {
        let judged = table();
        let ranking = NewtonConfig::new().fit(&judged).unwrap();
        let covariance = |spread, judged: &Comparisons| {
            CovarianceConfig::new().with_spread(spread).of(judged, &ranking, &Logit).unwrap().standard_errors()
        };
        let config = BootstrapConfig::new().with_replicates(1000);
        // The relative standard error of a standard deviation of 1000 draws is 2.2 %; ten figures within five of it.
        let check = |draws: Bootstrap, expected: Vec<f64>| {
            for (got, expected) in draws.standard_errors().iter().zip(expected) {
                assert!((got / expected - 1.0).abs() < 0.12, "{got} is not {expected}");
            }
        };
        check(config.run(&judged, newman, |_| {}).unwrap(), covariance(Spread::Records, &judged));
        let counts = config.clone().with_unit(Unit::Counts);
        check(counts.run(&judged, newman, |_| {}).unwrap(), covariance(Spread::Records, &judged));
        let judges = (0..judged.len()).map(|at| 3 * (at % 40)).collect();
        let judged = judged.with_judges(judges).unwrap();
        let by_judge = config.with_unit(Unit::Judges).run(&judged, newman, |_| {}).unwrap();
        let by_judge: Vec<f64> = by_judge.standard_errors();
        for (got, expected) in by_judge.iter().zip(covariance(Spread::Judges, &judged)) {
            assert!((got / expected - 1.0).abs() < 0.2, "{got} is not {expected}");
        }
    }

    #[test]
    fn intervals_hold_the_estimate_and_ranks_go_with_them() {
        let judged = table();
        let ranking = newman(&judged.wins()).unwrap();
        let draws = BootstrapConfig::new().with_replicates(300).run(&judged, newman, |_| {}).unwrap();
        let intervals = draws.intervals(0.95).unwrap();
        for (ends, score) in intervals.iter().zip(&ranking.scores) {
            assert!(ends.low < *score && *score < ends.high);
        }
        assert_eq!(draws.rank_intervals(0.95).unwrap(), rank_intervals(&intervals));
        let best = ranking.order()[0];
        assert_eq!(draws.rank_intervals(0.95).unwrap()[best].0, 1);
        let firsts = draws.chances_to_be_first();
        assert!((firsts.iter().sum::<f64>() - 1.0).abs() < 1e-12 && firsts[best] > 0.3);
        let (wide, narrow) = (draws.difference(0, 1, 0.99).unwrap(), draws.difference(0, 1, 0.5).unwrap());
        assert!(wide.low < narrow.low && narrow.high < wide.high);
        assert!((draws.difference(1, 0, 0.99).unwrap().high + wide.low).abs() < 1e-12);
        assert_eq!(draws.failed(), 0);
    }

    #[test]
    fn draws_go_by_the_seed_and_not_by_the_number_of_threads() {
        let judged = table();
        let run = |seed, threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let config = BootstrapConfig::new().with_replicates(20).with_seed(seed);
            pool.install(|| config.run(&judged, newman, |_| {}).unwrap())
        };
        assert_eq!(run(1, 1), run(1, 3));
        assert_ne!(run(1, 2), run(2, 2));
        let first = BootstrapConfig::new().with_replicates(5).with_seed(1).run(&judged, newman, |_| {}).unwrap();
        assert_eq!(first.scores(), &run(1, 2).scores()[..5], "more draws go on where fewer ended");
    }

    #[test]
    fn the_records_of_a_judge_keep_their_weights() {
        let mut judged = Comparisons::new(2);
        judged.push_win(0, 1, 3.0).unwrap();
        judged.push_win(1, 0, 1.0).unwrap();
        let judged = judged.with_judges(vec![4, 4]).unwrap();
        let config = BootstrapConfig::new().with_replicates(3).with_unit(Unit::Judges);
        for scores in config.run(&judged, newman, |_| {}).unwrap().scores() {
            assert!((scores[0] - scores[1] - 3f64.ln()).abs() < 1e-8, "the only judge is drawn every time");
        }
    }

    #[test]
    fn as_many_refits_may_fail_as_is_said() {
        let judged = table();
        let run = |max_failures| {
            let calls = AtomicUsize::new(0);
            let every_other = |table: &WinMatrix| match calls.fetch_add(1, Ordering::Relaxed) % 2 {
                0 => Err(Error::Separable { name: "test" }),
                _ => newman(table),
            };
            BootstrapConfig::new().with_replicates(4).with_max_failures(max_failures).run(&judged, every_other, |_| {})
        };
        assert_eq!(run(0.5).unwrap().failed(), 2);
        assert!(matches!(run(0.49), Err(Error::FailedRefits { failed: 2, replicates: 4 })));
    }

    #[test]
    fn standard_errors_by_hand() {
        let of = |scores: Vec<Vec<f64>>| Bootstrap { scores, failed: 0 }.standard_errors();
        assert_eq!(of(vec![vec![1.0, 2.0], vec![3.0, 8.0], vec![5.0, 2.0]]), [2.0, 12f64.sqrt()]);
        assert_eq!(of(vec![vec![1.0, 2.0]]), [0.0, 0.0]);
    }

    #[test]
    fn a_count_too_large_to_be_drawn_is_an_error() {
        let mut judged = Comparisons::new(2);
        judged.push_win(0, 1, f64::from(u32::MAX)).unwrap();
        let config = BootstrapConfig::new().with_replicates(1).with_unit(Unit::Counts);
        let error = config.run(&judged, newman, |_| {}).unwrap_err();
        assert!(matches!(error, Error::Record { row: 0, name: "weight", .. }), "{error}");
    }

    #[test]
    fn records_of_a_kind_are_drawn_together() {
        let mut judged = Comparisons::new(3);
        let (x, d, half) = (crate::Outcome::First, crate::Outcome::Tie, crate::Outcome::Share(0.5));
        for (first, second, outcome, weight) in [
            (0, 1, x, 1.0),
            (0, 1, d, 1.0),
            (0, 1, x, 1.0),
            (1, 0, x, 1.0),
            (0, 1, half, 1.0),
            (0, 1, x, 2.0),
            (0, 2, x, 1.0),
        ] {
            judged.push_weighted(first, second, outcome, weight).unwrap();
        }
        let (kinds, kind_of) = kinds(judged.records());
        assert_eq!(kind_of, [0, 1, 0, 2, 3, 4, 5]);
        assert_eq!(kinds[4], judged.records()[5]);
        // The same draws as of units one by one.
        let judged = table();
        let one_by_one = |drawn: &[u32]| {
            let mut table = WinMatrix::new(6);
            let records = judged.records().iter().zip(drawn).filter(|(_, times)| **times > 0);
            records.for_each(|(r, times)| table.add(r.first, r.second, r.outcome, r.weight * f64::from(*times)));
            newman(&table)
        };
        let config = BootstrapConfig::new().with_replicates(5);
        let (all, single) = (config.run(&judged, newman, |_| {}), config.run_units(judged.len(), one_by_one, |_| {}));
        for (a, b) in all.unwrap().scores().iter().flatten().zip(single.unwrap().scores().iter().flatten()) {
            assert!((a - b).abs() < 1e-9);
        }
    }

    #[test]
    fn progress_is_told_after_each_refit() {
        let seen = std::sync::Mutex::new(Vec::new());
        let config = BootstrapConfig::new().with_replicates(30);
        config.run(&table(), newman, |done| seen.lock().unwrap().push(done)).unwrap();
        let mut seen = seen.into_inner().unwrap();
        seen.sort_unstable();
        assert_eq!(seen, (1..=30).collect::<Vec<_>>());
    }

    #[test]
    fn draws_that_do_not_connect_all_items_are_counted_and_too_many_are_an_error() {
        // Of 22 games, many draws miss a cell that holds the table together.
        let error = BootstrapConfig::new().run(&four(), newman, |_| {}).unwrap_err();
        let Error::FailedRefits { failed, replicates: 100 } = error else { panic!("{error}") };
        assert!((10..90).contains(&failed), "{failed}");
        let lenient = BootstrapConfig::new().with_max_failures(0.9).run(&four(), newman, |_| {}).unwrap();
        assert_eq!((lenient.failed(), lenient.scores().len()), (failed, 100 - failed));
        let prior = |table: &WinMatrix| NewtonConfig::new().with_prior(0.1).fit_link(table, &Logit);
        assert_eq!(BootstrapConfig::new().run(&four(), prior, |_| {}).unwrap().failed(), 0);
        // None is left.
        let all = BootstrapConfig::new().with_max_failures(1.0).run(&unconnected(), newman, |_| {});
        assert!(matches!(all, Err(Error::FailedRefits { failed: 100, .. })));
        // A fit that stopped early is none.
        let hasty = |table: &WinMatrix| NewmanConfig::new().with_max_iterations(1).fit_matrix(table);
        let all = BootstrapConfig::new().run(&table(), hasty, |_| {});
        assert!(matches!(all, Err(Error::FailedRefits { failed: 100, .. })));
        // Any other error is told.
        let wrong = |table: &WinMatrix| NewmanConfig::new().with_tolerance(0.0).fit_matrix(table);
        let error = BootstrapConfig::new().run(&table(), wrong, |_| {}).unwrap_err().to_string();
        assert!(error.starts_with("`tolerance`"), "{error}");
    }

    #[test]
    fn weights_are_kept_or_drawn() {
        let mut judged = Comparisons::new(2);
        judged.push_win(0, 1, 3.0).unwrap();
        judged.push_win(1, 0, 1.0).unwrap();
        let totals = |unit| {
            let totals = std::sync::Mutex::new(Vec::new());
            let fit = |table: &WinMatrix| {
                totals.lock().unwrap().push(table.wins(0, 1) + table.wins(1, 0));
                NewtonConfig::new().with_prior(1.0).fit_link(table, &Logit)
            };
            BootstrapConfig::new().with_unit(unit).run(&judged, fit, |_| {}).unwrap();
            let mut totals = totals.into_inner().unwrap();
            totals.sort_by(f64::total_cmp);
            totals.dedup();
            totals
        };
        assert_eq!(totals(Unit::Counts), [4.0]);
        assert_eq!(totals(Unit::Records), [2.0, 4.0, 6.0], "the light one twice, each once, the heavy one twice");
        judged.push_win(0, 1, 0.5).unwrap();
        let error = BootstrapConfig::new().with_unit(Unit::Counts).run(&judged, newman, |_| {}).unwrap_err();
        assert!(matches!(error, Error::Record { row: 2, name: "weight", .. }), "{error}");
    }

    #[test]
    fn what_makes_no_sense_is_an_error() {
        for share in [-0.1, 1.1, f64::NAN] {
            let error = BootstrapConfig::new().with_max_failures(share).run(&four(), newman, |_| {}).unwrap_err();
            assert!(error.to_string().starts_with("`max_failures`: expected in [0, 1]"), "{error}");
        }
        let none = BootstrapConfig::new().with_replicates(0).run(&four(), newman, |_| {});
        assert!(matches!(none, Err(Error::Empty { name: "replicates", .. })));
        let none = BootstrapConfig::new().run(&Comparisons::new(2), newman, |_| {});
        assert!(matches!(none, Err(Error::Empty { name: "comparisons", .. })));
        let mut light = Comparisons::new(2);
        light.push_win(0, 1, 0.0).unwrap();
        let none = BootstrapConfig::new().with_unit(Unit::Counts).run(&light, newman, |_| {});
        assert!(matches!(none, Err(Error::Empty { name: "comparisons", .. })));
        let none = BootstrapConfig::new().run_units(0, |_| newman(&four().wins()), |_| {});
        assert!(matches!(none, Err(Error::Empty { name: "units", .. })));
        let unknown = BootstrapConfig::new().with_unit(Unit::Judges).run(&four(), newman, |_| {});
        assert!(matches!(unknown, Err(Error::Combination { what: "bootstrap over judges", .. })));
        let draws = BootstrapConfig::new().run(&table(), newman, |_| {}).unwrap();
        for level in [0.0, 1.0, f64::NAN] {
            assert!(draws.intervals(level).is_err() && draws.difference(0, 1, level).is_err());
            assert!(draws.rank_intervals(level).is_err());
        }
        assert!(draws.difference(6, 0, 0.9).is_err() && draws.difference(0, 6, 0.9).is_err());
        let BootstrapConfig { replicates, seed, unit, max_failures } = BootstrapConfig::new();
        assert_eq!((replicates, seed, unit, max_failures), (100, 0, Unit::Records, 0.05));
    }
}
