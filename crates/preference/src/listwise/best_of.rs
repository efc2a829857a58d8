//! Best of mini-N: draw candidates in small rounds until one is acceptable, with a threshold that keeps its promise.
//!
//! **Paper:** A Contextual Quality Reward Model for Reliable and Efficient Best-of-N Sampling (2025), 2510.04087.
//! **Use when:** a reward above a threshold is to mean "good enough to return", and the best of many noisy scores is too good
//! to be true.
//! **Checked by:** hand-worked rounds and bounds, monotonicity in the level.
//! **Deviations:** the threshold is the smallest observed maximum with an upper confidence bound within the level; the paper
//! has no bound.

use accordant_ops::check_domain;
use statrs::distribution::{Beta, ContinuousCDF};

use crate::{Error, Result, error::check_length};

/// What happens when no round had an acceptable candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LastResort {
    /// Nothing is returned: a guardrail.
    Abstain,
    /// The best of all is: an accelerator.
    ReturnBest,
}

/// What came of [`best_of_rounds`].
#[derive(Debug, Clone, PartialEq)]
pub struct BestOf<T> {
    /// The candidate and its score, if one is returned.
    pub best: Option<(T, f64)>,
    /// Rounds that were drawn.
    pub rounds: usize,
    /// Candidates that were drawn.
    pub drawn: usize,
    /// Whether the returned candidate is above its threshold.
    pub accepted: bool,
}

/// Draws rounds of candidates with their scores, as many as there are thresholds, and stops after the first round whose best
/// so far is above its threshold.
///
/// `draw` gets the round, from 0. The threshold of a round is that of the number of candidates drawn by then: the maximum of
/// many noisy scores is large by chance.
///
/// # Errors
/// A domain error for thresholds or scores that are NaN; [`Error::Empty`] without a threshold or without a candidate.
///
/// # Example
/// ```
/// use accordant_preference::listwise::best_of::{LastResort, best_of_rounds};
/// let rounds = [vec![("a", -1.0), ("b", 0.2)], vec![("c", 0.9)], vec![("d", 5.0)]];
/// let best = best_of_rounds(&[0.5, 0.5, 0.5], LastResort::Abstain, |round| rounds[round].clone())?;
/// assert_eq!((best.best, best.rounds, best.drawn), (Some(("c", 0.9)), 2, 3));
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[doc(alias = "2510.04087")]
#[doc(alias = "best of mini-N in loop")]
pub fn best_of_rounds<T>(
    thresholds: &[f64],
    last_resort: LastResort,
    mut draw: impl FnMut(usize) -> Vec<(T, f64)>,
) -> Result<BestOf<T>> {
    if thresholds.is_empty() {
        return Err(Error::Empty { name: "thresholds", reason: "there is no round" });
    }
    let bad = thresholds.iter().copied().find(|threshold| threshold.is_nan());
    check_domain(bad.is_none(), "thresholds", "numbers", bad.unwrap_or(0.0))?;
    let (mut best, mut drawn): (Option<(T, f64)>, usize) = (None, 0);
    for (round, threshold) in thresholds.iter().enumerate() {
        for (candidate, score) in draw(round) {
            check_domain(!score.is_nan(), "scores", "numbers", score)?;
            drawn += 1;
            if best.as_ref().is_none_or(|(_, highest)| score > *highest) {
                best = Some((candidate, score));
            }
        }
        if best.as_ref().is_some_and(|(_, score)| score > threshold) {
            return Ok(BestOf { best, rounds: round + 1, drawn, accepted: true });
        }
    }
    if best.is_none() {
        return Err(Error::Empty { name: "candidates", reason: "no round had one" });
    }
    let best = best.filter(|_| last_resort == LastResort::ReturnBest);
    Ok(BestOf { best, rounds: thresholds.len(), drawn, accepted: false })
}

/// Which rate a calibration keeps within its level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FalseAcceptance {
    /// Of what is accepted, the share that is not acceptable.
    OfAccepted,
    /// Of all prompts, the share at which something unacceptable is accepted.
    OfAll,
}

/// A calibrated threshold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Calibration {
    /// Scores at or above are accepted; +∞ where no threshold keeps the level, so that nothing is.
    pub threshold: f64,
    /// Prompts of the calibration whose best candidate is accepted.
    pub accepted: usize,
    /// Those of them whose best candidate is not acceptable.
    pub false_accepted: usize,
    /// The upper confidence bound of the rate.
    pub bound: f64,
}

/// The upper end of Clopper and Pearson's one-sided interval: the largest rate under which `hits` of `total` or fewer have
/// probability `delta`; 1 of nothing.
///
/// # Errors
/// A domain error naming `hits` when there are more than `total`, or `delta` outside of (0, 1).
///
/// # Example
/// ```
/// use accordant_preference::listwise::best_of::upper_bound;
/// // None of 10: (1 − p)^10 = 0.1.
/// assert!((upper_bound(0, 10, 0.1)? - (1.0 - 0.1f64.powf(0.1))).abs() < 1e-9);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[doc(alias = "Clopper-Pearson")]
pub fn upper_bound(hits: usize, total: usize, delta: f64) -> Result<f64> {
    check_domain(hits <= total, "hits", "at most total", hits as f64)?;
    check_domain(delta > 0.0 && delta < 1.0, "delta", "in (0, 1)", delta)?;
    if hits == total {
        return Ok(1.0);
    }
    let beta = Beta::new(hits as f64 + 1.0, (total - hits) as f64).expect("positive shapes");
    Ok(beta.inverse_cdf(1.0 - delta))
}

/// How a threshold is chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CalibrationConfig {
    /// The rate that is kept within the level.
    pub rate: FalseAcceptance,
    /// The level, in (0, 1); α.
    pub level: f64,
    /// The chance that the bound of a threshold is too low, in (0, 1); δ.
    pub delta: f64,
}

impl CalibrationConfig {
    /// A level for the share of what is accepted, with δ = 0.1.
    pub fn new(level: f64) -> Self {
        Self { rate: FalseAcceptance::OfAccepted, level, delta: 0.1 }
    }

    /// The threshold for the best of the first `num_candidates` of each prompt: the smallest of the observed maxima with a
    /// bound within the level.
    ///
    /// `prompts` holds the scores of each prompt's candidates and whether they are acceptable, in the order in which they
    /// were drawn. Calibrate for each number of candidates that is used: the more of them, the higher the threshold must be.
    ///
    /// # Errors
    /// A domain error naming `level`, `delta` or `scores`; [`Error::Empty`] without a prompt; [`Error::Length`] for a prompt
    /// with too few candidates.
    pub fn threshold(&self, prompts: &[Vec<(f64, bool)>], num_candidates: usize) -> Result<Calibration> {
        check_domain(self.level > 0.0 && self.level < 1.0, "level", "in (0, 1)", self.level)?;
        check_domain(num_candidates > 0, "num_candidates", "at least 1", 0.0)?;
        if prompts.is_empty() {
            return Err(Error::Empty { name: "prompts", reason: "there is none to calibrate on" });
        }
        let mut maxima = Vec::with_capacity(prompts.len());
        for candidates in prompts {
            if candidates.len() < num_candidates {
                check_length("candidates", num_candidates, candidates.len())?;
            }
            let drawn = &candidates[..num_candidates];
            let bad = drawn.iter().find(|(score, _)| score.is_nan());
            check_domain(bad.is_none(), "scores", "numbers", f64::NAN)?;
            maxima.push(*drawn.iter().max_by(|a, b| a.0.total_cmp(&b.0)).expect("at least one"));
        }
        maxima.sort_by(|a, b| b.0.total_cmp(&a.0));
        let mut chosen = Calibration { threshold: f64::INFINITY, accepted: 0, false_accepted: 0, bound: 1.0 };
        let mut false_accepted = 0;
        for (place, (threshold, acceptable)) in maxima.iter().enumerate() {
            false_accepted += usize::from(!acceptable);
            // Equal maxima are accepted together.
            if maxima.get(place + 1).is_some_and(|next| next.0 == *threshold) {
                continue;
            }
            let accepted = place + 1;
            let total = if self.rate == FalseAcceptance::OfAll { maxima.len() } else { accepted };
            let bound = upper_bound(false_accepted, total, self.delta)?;
            if bound <= self.level {
                chosen = Calibration { threshold: *threshold, accepted, false_accepted, bound };
            }
        }
        Ok(chosen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_stop_at_the_first_acceptable_best_so_far() {
        let scores = [[0.4, 0.1], [0.3, 0.6], [0.2, 0.9]];
        let run = |thresholds: &[f64], last| {
            let got = best_of_rounds(thresholds, last, |round| scores[round].map(|score| (score, score)).to_vec());
            let BestOf { best, rounds, drawn, accepted } = got.unwrap();
            (best.map(|best| best.1), rounds, drawn, accepted)
        };
        assert_eq!(run(&[0.3; 3], LastResort::Abstain), (Some(0.4), 1, 2, true));
        assert_eq!(run(&[0.4; 3], LastResort::Abstain), (Some(0.6), 2, 4, true), "above, not at, the threshold");
        // A later round may accept what an earlier one found.
        assert_eq!(run(&[0.8, 0.5, 0.5], LastResort::Abstain), (Some(0.6), 2, 4, true));
        assert_eq!(run(&[1.0; 3], LastResort::Abstain), (None, 3, 6, false));
        assert_eq!(run(&[1.0; 3], LastResort::ReturnBest), (Some(0.9), 3, 6, false));
    }

    #[test]
    fn of_equal_candidates_the_first_is_the_best() {
        let draw = |_| vec![("a", 0.1), ("b", 0.5), ("c", 0.5)];
        assert_eq!(best_of_rounds(&[0.2, 0.2], LastResort::Abstain, draw).unwrap().best, Some(("b", 0.5)));
        assert_eq!(best_of_rounds(&[0.9, 0.9], LastResort::ReturnBest, draw).unwrap().best, Some(("b", 0.5)));
    }

    #[test]
    fn what_makes_no_sense_is_an_error() {
        let draw = |_| vec![((), 0.0)];
        let text = |result: Result<BestOf<()>>| result.unwrap_err().to_string();
        assert!(text(best_of_rounds(&[], LastResort::Abstain, draw)).starts_with("`thresholds`: nothing"));
        assert!(text(best_of_rounds(&[f64::NAN], LastResort::Abstain, draw)).starts_with("`thresholds`: expected"));
        assert!(text(best_of_rounds(&[0.0], LastResort::Abstain, |_| vec![])).starts_with("`candidates`"));
        assert!(text(best_of_rounds(&[0.0], LastResort::Abstain, |_| vec![((), f64::NAN)])).starts_with("`scores`"));
    }

    #[test]
    fn bounds_by_hand() {
        // The chance of at most one hit of two is 1 − p²: 0.19 at p = 0.9.
        assert!((upper_bound(1, 2, 0.19).unwrap() - 0.9).abs() < 1e-9);
        assert_eq!((upper_bound(0, 0, 0.1).unwrap(), upper_bound(3, 3, 0.1).unwrap()), (1.0, 1.0));
        assert!(upper_bound(4, 3, 0.1).unwrap_err().to_string().starts_with("`hits`"));
        for delta in [0.0, 1.0, f64::NAN] {
            assert!(upper_bound(0, 3, delta).unwrap_err().to_string().starts_with("`delta`"));
        }
    }

    /// A hundred prompts whose scores say everything: acceptable from 0.3 on.
    fn prompts() -> Vec<Vec<(f64, bool)>> {
        (0..100).map(|i| f64::from(i) / 100.0).map(|score| vec![(score, score >= 0.3), (score - 1.0, false)]).collect()
    }

    #[test]
    fn the_threshold_is_the_smallest_that_keeps_the_level() {
        let config = CalibrationConfig::new(0.1);
        let got = config.threshold(&prompts(), 1).unwrap();
        // With m false of 70 + m: 7 of 77 is bound too high; the search stops earlier.
        assert!(got.bound <= 0.1 && got.threshold < 0.3, "{got:?}");
        assert_eq!((got.accepted, got.accepted - got.false_accepted), (70 + got.false_accepted, 70));
        assert!(upper_bound(got.false_accepted + 1, got.accepted + 1, 0.1).unwrap() > 0.1);
        assert_eq!(config.threshold(&prompts(), 2).unwrap(), got, "the second candidates are never the best");
        let of_all = CalibrationConfig { rate: FalseAcceptance::OfAll, ..config }.threshold(&prompts(), 1).unwrap();
        assert!(of_all.threshold < got.threshold, "a share of all is smaller");
        let stricter = CalibrationConfig::new(0.05).threshold(&prompts(), 1).unwrap();
        assert!(stricter.threshold >= got.threshold);
    }

    #[test]
    fn without_a_feasible_threshold_nothing_is_accepted() {
        let hopeless = vec![vec![(1.0, false)]; 50];
        let got = CalibrationConfig::new(0.1).threshold(&hopeless, 1).unwrap();
        assert_eq!(got, Calibration { threshold: f64::INFINITY, accepted: 0, false_accepted: 0, bound: 1.0 });
        // Too few prompts to know anything: none of 5 false has a bound of 0.37.
        let few = vec![vec![(1.0, true)]; 5];
        assert!(CalibrationConfig::new(0.3).threshold(&few, 1).unwrap().threshold.is_infinite());
        assert_eq!(CalibrationConfig::new(0.4).threshold(&few, 1).unwrap().accepted, 5, "equal maxima together");
    }

    #[test]
    fn the_more_candidates_the_higher_the_threshold() {
        // Half of the prompts have no acceptable candidate: the best of more of them scores higher and is no better.
        let mut rng = crate::random::stream(5, crate::random::Purpose::World, 0);
        let prompt = |hopeless: bool| {
            let score = |noise: f64| if hopeless { 1.5 * noise } else { 1.0 + 1.5 * noise };
            (0..8).map(|_| (score(rand::Rng::random(&mut rng)), !hopeless)).collect()
        };
        let prompts: Vec<Vec<(f64, bool)>> = (0..400).map(|i| i % 2 == 0).map(prompt).collect();
        let threshold = |n| CalibrationConfig::new(0.15).threshold(&prompts, n).unwrap().threshold;
        assert!(threshold(8) > threshold(1), "{} {}", threshold(8), threshold(1));
    }

    #[test]
    fn settings_are_checked() {
        let text = |config: CalibrationConfig, n| config.threshold(&prompts(), n).unwrap_err().to_string();
        for level in [0.0, 1.0, f64::NAN] {
            assert!(text(CalibrationConfig::new(level), 1).starts_with("`level`"));
        }
        assert!(text(CalibrationConfig { delta: 0.0, ..CalibrationConfig::new(0.1) }, 1).starts_with("`delta`"));
        assert!(text(CalibrationConfig::new(0.1), 0).starts_with("`num_candidates`"));
        assert_eq!(text(CalibrationConfig::new(0.1), 3), "`candidates`: expected 3 entries, got 2");
        let error = CalibrationConfig::new(0.1).threshold(&[], 1).unwrap_err().to_string();
        assert!(error.starts_with("`prompts`: nothing to learn from"));
        let nan = CalibrationConfig::new(0.1).threshold(&[vec![(f64::NAN, true)]], 1).unwrap_err().to_string();
        assert!(nan.starts_with("`scores`"));
        let config = CalibrationConfig::new(0.2);
        assert_eq!((config.rate, config.delta), (FalseAcceptance::OfAccepted, 0.1));
    }
}
