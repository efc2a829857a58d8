//! Curry-DPO: a curriculum over pairs of ranked responses.
//!
//! **Paper:** Curry-DPO: Enhancing Alignment using Curriculum Learning & Ranked Preferences (2024), 2403.07230.
//! **Use when:** each prompt has several scored responses: pairs far apart come first, close ones later.
//! **Checked by:** hand-worked pairs and stages.
//! **Deviations:** stages hold equally many pairs of the whole data set. For the paper's stages, the k-th pair of every
//! prompt in the k-th, take the k-th of each prompt's [`pairs_with_best`].
//!
//! The loss is [`dpo`](super::dpo). Train one stage after the other; with each, the reference becomes the model that the
//! stage before made, or stays what it was.

use accordant_ops::check_domain;

use crate::Result;

/// A pair of responses to one prompt.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RankedPair {
    /// The position of the better response.
    pub chosen: usize,
    /// The position of the other.
    pub rejected: usize,
    /// The difference of their scores, > 0.
    pub gap: f64,
}

/// The best of `K` responses against each other one, from the widest gap to the narrowest.
///
/// The first of several best responses is taken, and a response that ties with it makes no pair. Two responses give one
/// pair: plain DPO.
///
/// # Errors
/// A domain error naming `scores` unless all are finite.
///
/// # Example
/// ```
/// use accordant_objectives::pairwise::curry::{RankedPair, pairs_with_best};
/// let pairs = pairs_with_best(&[6.0, 9.0, 2.0])?;
/// let best = |rejected, gap| RankedPair { chosen: 1, rejected, gap };
/// assert_eq!(pairs, [best(2, 7.0), best(0, 3.0)]);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2403.07230")]
#[doc(alias = "Curry-DPO: Enhancing Alignment using Curriculum Learning & Ranked Preferences")]
pub fn pairs_with_best(scores: &[f64]) -> Result<Vec<RankedPair>> {
    for &score in scores {
        check_domain(score.is_finite(), "scores", "finite", score)?;
    }
    let mut best = 0;
    for (place, score) in scores.iter().enumerate() {
        if *score > scores[best] {
            best = place;
        }
    }
    let pair = |(rejected, score): (usize, &f64)| RankedPair { chosen: best, rejected, gap: scores[best] - score };
    let pairs: Vec<_> = scores.iter().enumerate().map(pair).filter(|pair| pair.gap > 0.0).collect();
    by_falling_gap(pairs, |pair| pair.gap)
}

/// Splits pairs into `num_stages` stages from easy to hard: gaps do not increase from stage to stage, nor within one.
///
/// `gap` says how far apart a pair is: the difference of the scores, or of the reference's log-probabilities. Pairs of
/// equal gaps keep their order. The stages partition the pairs and hold equally many, the first ones one more where they
/// do not divide evenly; with fewer pairs than stages the last ones are empty.
///
/// # Errors
/// A domain error for no stage, and naming `gap` for a NaN.
///
/// # Example
/// ```
/// use accordant_objectives::pairwise::curry::stages;
/// let easy_to_hard = stages(vec![1.0, 3.0, 2.0], |gap| *gap, 2)?;
/// assert_eq!(easy_to_hard, [vec![3.0, 2.0], vec![1.0]]);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
pub fn stages<T>(pairs: Vec<T>, gap: impl Fn(&T) -> f64, num_stages: usize) -> Result<Vec<Vec<T>>> {
    check_domain(num_stages > 0, "num_stages", "> 0", num_stages as f64)?;
    let sorted = by_falling_gap(pairs, gap)?;
    let (size, larger) = (sorted.len() / num_stages, sorted.len() % num_stages);
    let mut rest = sorted.into_iter();
    Ok((0..num_stages).map(|stage| rest.by_ref().take(size + usize::from(stage < larger)).collect()).collect())
}

fn by_falling_gap<T>(pairs: Vec<T>, gap: impl Fn(&T) -> f64) -> Result<Vec<T>> {
    let mut keyed = Vec::with_capacity(pairs.len());
    for pair in pairs {
        let gap = gap(&pair);
        check_domain(!gap.is_nan(), "gap", "a number", gap)?;
        keyed.push((gap, pair));
    }
    keyed.sort_by(|a, b| b.0.total_cmp(&a.0));
    Ok(keyed.into_iter().map(|(_, pair)| pair).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_meets_every_other_from_wide_to_narrow() {
        let pairs = pairs_with_best(&[3.0, -1.0, 4.0, 4.0, 3.5, 3.0]).unwrap();
        let places: Vec<_> = pairs.iter().map(|pair| (pair.chosen, pair.rejected, pair.gap)).collect();
        assert_eq!(places, [(2, 1, 5.0), (2, 0, 1.0), (2, 5, 1.0), (2, 4, 0.5)], "ties: first best, given order");
    }

    #[test]
    fn two_responses_are_one_pair_and_fewer_are_none() {
        assert_eq!(pairs_with_best(&[1.0, 2.0]).unwrap(), [RankedPair { chosen: 1, rejected: 0, gap: 1.0 }]);
        for none in [&[][..], &[1.0], &[1.0, 1.0]] {
            assert_eq!(pairs_with_best(none).unwrap(), []);
        }
    }

    #[test]
    fn stages_partition_the_pairs_and_gaps_do_not_increase() {
        let gaps = [0.5, 2.0, 0.25, 2.0, -1.0, 8.0, 1.0];
        let staged = stages(gaps.into_iter().enumerate().collect(), |pair| pair.1, 3).unwrap();
        let places: Vec<Vec<usize>> = staged.iter().map(|stage| stage.iter().map(|pair| pair.0).collect()).collect();
        assert_eq!(places, [vec![5, 1, 3], vec![6, 0], vec![2, 4]]);
        assert_eq!(stages(vec![1.0, 2.0], |gap| *gap, 3).unwrap(), [vec![2.0], vec![1.0], vec![]]);
        assert_eq!(stages(vec![], |gap: &f64| *gap, 1).unwrap(), [Vec::<f64>::new()]);
    }

    #[test]
    fn what_cannot_be_ordered_is_an_error_that_names_it() {
        for bad in [f64::NAN, f64::INFINITY] {
            let error = pairs_with_best(&[1.0, bad]).unwrap_err().to_string();
            assert_eq!(error, format!("`scores`: expected finite, got {bad}"));
        }
        assert_eq!(stages(vec![f64::NAN], |gap| *gap, 1).unwrap_err().to_string(), "`gap`: expected a number, got NaN");
        assert_eq!(stages(vec![1.0], |gap| *gap, 0).unwrap_err().to_string(), "`num_stages`: expected > 0, got 0");
    }
}
