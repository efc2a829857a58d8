//! Diverse batches: large scores, less what is like something chosen already.
//!
//! **Use when:** a batch is labeled at once, and the best single picks are copies of each other.
//! **Deviations:** the penalty, `λ` times the largest cosine to what has been chosen, is ours.

use serde::Serialize;

use super::{Acquisition, Pick, arms::argmax};
use crate::{
    Result,
    curation::{
        linear::dot,
        numbers::{check_all_finite, check_domain, check_length},
    },
};

/// Scores and features of a pool.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ScoredPool {
    /// How much each is worth by itself: an entropy, a disagreement, a margin's negative size.
    pub scores: Vec<f64>,
    /// What each is like.
    pub features: Vec<Vec<f64>>,
    /// What those are like that were chosen before.
    pub chosen: Vec<Vec<f64>>,
}

/// Takes the largest `score − λ · max cosine to what has been chosen`, one after the other. The cosine with a vector of
/// zeros is 0, and without anything chosen there is no penalty.
///
/// # Example
/// ```
/// use accordant_data::curation::acquire::{Acquisition, diverse_batch::{DiverseBatch, ScoredPool}};
/// let features = vec![vec![1.0, 0.0], vec![2.0, 0.0], vec![0.0, 1.0]];
/// let pool = ScoredPool { scores: vec![0.9, 0.8, 0.5], features, chosen: vec![] };
/// let picks = DiverseBatch { lambda: 0.5 }.acquire(&pool, 2, 0)?;
/// assert_eq!((picks[0].index, picks[1].index), (0, 2)); // 0.8 − 0.5 < 0.5
/// # Ok::<(), accordant_data::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct DiverseBatch {
    /// What likeness costs, finite and ≥ 0. 0 takes the largest scores.
    pub lambda: f64,
}

impl Acquisition for DiverseBatch {
    type Pool = ScoredPool;

    /// # Errors
    /// [`crate::Error::Domain`] naming `lambda`; [`crate::Error::Length`] and [`crate::Error::Item`] naming `scores`,
    /// `features` or `chosen`.
    fn acquire(&self, pool: &ScoredPool, count: usize, _seed: u64) -> Result<Vec<Pick>> {
        check_domain(self.lambda.is_finite() && self.lambda >= 0.0, "lambda", "finite and >= 0", self.lambda)?;
        check_all_finite("scores", &pool.scores)?;
        check_length("features", pool.scores.len(), pool.features.len())?;
        let width = pool.features.iter().chain(&pool.chosen).next().map_or(0, Vec::len);
        for (name, rows) in [("features", &pool.features), ("chosen", &pool.chosen)] {
            for row in rows {
                check_length(name, width, row.len())?;
                check_all_finite(name, row)?;
            }
        }
        let mut nearest: Vec<Option<f64>> = vec![None; pool.scores.len()];
        let come = |nearest: &mut [Option<f64>], chosen: &[f64]| {
            for (nearest, features) in nearest.iter_mut().zip(&pool.features) {
                let cosine = cosine(features, chosen);
                *nearest = Some(nearest.map_or(cosine, |most| most.max(cosine)));
            }
        };
        pool.chosen.iter().for_each(|chosen| come(&mut nearest, chosen));
        let mut left: Vec<usize> = (0..pool.scores.len()).collect();
        let mut picks = Vec::new();
        while picks.len() < count && !left.is_empty() {
            let worth = |place: &usize| pool.scores[*place] - self.lambda * nearest[*place].unwrap_or(0.0);
            let worths: Vec<f64> = left.iter().map(worth).collect();
            let at = argmax(&worths);
            let index = left.remove(at);
            come(&mut nearest, &pool.features[index]);
            picks.push(Pick { index, score: worths[at], duel: None });
        }
        Ok(picks)
    }
}

fn cosine(a: &[f64], b: &[f64]) -> f64 {
    let lengths = (dot(a, a) * dot(b, b)).sqrt();
    if lengths > 0.0 { dot(a, b) / lengths } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool() -> ScoredPool {
        let features = vec![vec![1.0, 0.0], vec![1.0, 1.0], vec![0.0, 0.0], vec![-1.0, 0.0]];
        ScoredPool { scores: vec![1.0, 1.0, 0.9, 0.2], features, chosen: vec![] }
    }

    fn order(lambda: f64, pool: &ScoredPool) -> Vec<(usize, f64)> {
        let picks = DiverseBatch { lambda }.acquire(pool, 9, 0).unwrap();
        picks.iter().map(|pick| (pick.index, (pick.score * 1e6).round() / 1e6)).collect()
    }

    #[test]
    fn likeness_costs_and_opposites_gain() {
        assert_eq!(order(0.0, &pool()), [(0, 1.0), (1, 1.0), (2, 0.9), (3, 0.2)]);
        // After 0: 1 − cos 45° = 0.293, 0.9, 0.2 + 1 = 1.2. After 3: 1 still 0.293, 2 still 0.9.
        assert_eq!(order(1.0, &pool()), [(0, 1.0), (3, 1.2), (2, 0.9), (1, 0.292893)]);
        let seen = ScoredPool { chosen: vec![vec![1.0, 0.0]], ..pool() };
        assert_eq!(order(1.0, &seen)[0], (3, 1.2));
    }

    #[test]
    fn odd_input_is_named() {
        let message = |pool: ScoredPool| DiverseBatch { lambda: 1.0 }.acquire(&pool, 1, 0).unwrap_err().to_string();
        assert!(message(ScoredPool { scores: vec![1.0], ..pool() }).starts_with("`features`"));
        assert!(message(ScoredPool { scores: vec![f64::NAN; 4], ..pool() }).starts_with("`scores`"));
        assert!(message(ScoredPool { chosen: vec![vec![1.0]], ..pool() }).starts_with("`chosen`"));
        assert!(DiverseBatch { lambda: -1.0 }.acquire(&pool(), 1, 0).unwrap_err().to_string().starts_with("`lambda`"));
    }
}
