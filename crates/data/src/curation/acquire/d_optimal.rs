//! D-optimal comparisons: those in the directions that a linear reward head knows least.
//!
//! **Paper:** Optimal Design for Human Preference Elicitation (2024), 2404.13895, and the classic D-optimal design.
//! **Use when:** rewards are linear in features of a frozen model.
//! **Deviations:** none; the curvature of the link is left out, so that no label changes the order.

use serde::Serialize;

use super::{Acquisition, Pick};
use crate::{
    Result,
    curation::{
        linear::dot,
        numbers::{check_all_finite, check_length},
    },
};

/// What is known of comparisons.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Directions {
    /// The difference of the features of the two responses, for each comparison.
    pub differences: Vec<Vec<f64>>,
    /// The posterior covariance of the head's weights, symmetric.
    pub covariance: Vec<Vec<f64>>,
}

/// Takes the largest `ln(1 + φᵀΣφ)`, one comparison after the other; each pick shrinks `Σ` as its label would:
/// `Σ ← Σ − Σφφᵀ Σ / (1 + φᵀΣφ)`.
///
/// # Example
/// ```
/// use accordant_data::curation::acquire::{Acquisition, d_optimal::{DOptimal, Directions}};
/// let differences = vec![vec![3.0, 0.0], vec![2.9, 0.0], vec![0.0, 1.0]];
/// let pool = Directions { differences, covariance: vec![vec![1.0, 0.0], vec![0.0, 1.0]] };
/// let picks = DOptimal.acquire(&pool, 2, 0)?;
/// // After the first, 2.9 in its direction is worth ln(1 + 0.841).
/// assert_eq!((picks[0].index, picks[1].index), (0, 2));
/// assert!((picks[0].score - 10f64.ln()).abs() < 1e-12 && (picks[1].score - 2f64.ln()).abs() < 1e-12);
/// # Ok::<(), accordant_data::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[doc(alias = "2404.13895")]
pub struct DOptimal;

impl Acquisition for DOptimal {
    type Pool = Directions;

    /// # Errors
    /// [`crate::Error::Length`] and [`crate::Error::Item`] naming `covariance` or `differences`.
    fn acquire(&self, pool: &Directions, count: usize, _seed: u64) -> Result<Vec<Pick>> {
        let width = pool.covariance.len();
        for (name, rows) in [("covariance", &pool.covariance), ("differences", &pool.differences)] {
            for row in rows {
                check_length(name, width, row.len())?;
                check_all_finite(name, row)?;
            }
        }
        let mut covariance = pool.covariance.clone();
        let mut left: Vec<usize> = (0..pool.differences.len()).collect();
        let mut picks = Vec::new();
        while picks.len() < count && !left.is_empty() {
            let reach = |direction: &[f64], covariance: &[Vec<f64>]| -> Vec<f64> {
                covariance.iter().map(|row| dot(row, direction)).collect()
            };
            let variance = |place: usize| {
                let direction = &pool.differences[place];
                dot(direction, &reach(direction, &covariance)).max(0.0)
            };
            let variances: Vec<f64> = left.iter().map(|&place| variance(place)).collect();
            let at = super::arms::argmax(&variances);
            let index = left.remove(at);
            let reached = reach(&pool.differences[index], &covariance);
            let scale = 1.0 + variances[at];
            for (row, own) in covariance.iter_mut().zip(&reached) {
                row.iter_mut().zip(&reached).for_each(|(cell, other)| *cell -= own * other / scale);
            }
            picks.push(Pick { index, score: variances[at].ln_1p(), duel: None });
        }
        Ok(picks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_pick_shrinks_the_covariance() {
        // φ = (1, 1) under the identity: φᵀΣφ = 2, then 2 − 4/3 = 2/3, then 2/3 / (1 + 2/3) = 0.4
        let pool =
            Directions { differences: vec![vec![1.0, 1.0]; 3], covariance: vec![vec![1.0, 0.0], vec![0.0, 1.0]] };
        let picks = DOptimal.acquire(&pool, 9, 0).unwrap();
        assert_eq!(
            picks.iter().map(|pick| pick.index).collect::<Vec<_>>(),
            [0, 1, 2],
            "ties by place, and no more than there are"
        );
        for (pick, variance) in picks.iter().zip([2.0f64, 2.0 / 3.0, 0.4]) {
            assert!((pick.score - variance.ln_1p()).abs() < 1e-12);
        }
    }

    #[test]
    fn rows_of_other_widths_are_named() {
        let acquire = |differences, covariance| DOptimal.acquire(&Directions { differences, covariance }, 1, 0);
        assert!(acquire(vec![vec![1.0]], vec![vec![1.0, 0.0]]).unwrap_err().to_string().starts_with("`covariance`"));
        assert!(acquire(vec![vec![1.0, 2.0]], vec![vec![1.0]]).unwrap_err().to_string().starts_with("`differences`"));
        assert!(acquire(vec![vec![f64::NAN]], vec![vec![1.0]]).is_err());
    }
}
