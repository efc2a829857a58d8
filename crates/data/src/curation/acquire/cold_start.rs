//! Cold start: what to ask before there is a single label.
//!
//! **Paper:** Cold-Start Active Preference Learning in Socio-Economic Domains (2025), 2508.05090.
//! **Use when:** there are features and no labels yet; after the first labels, another rule takes over.
//! **Deviations:** the component's sign, which nothing decides, makes its largest weight positive.

use serde::Serialize;

use super::{Acquisition, Pick, best};
use crate::{
    Error, Result,
    curation::{
        linear::dot,
        numbers::{check_all_finite, check_length},
    },
};

/// Rounds of the power iteration at most.
const MAX_ROUNDS: usize = 1000;

/// The projections of items on the first principal component of their features, as if it were their utility; 0 where no
/// feature varies.
///
/// # Errors
/// [`Error::Length`] and [`Error::Item`] naming `features`.
///
/// # Example
/// ```
/// use accordant_data::curation::acquire::cold_start::pseudo_utilities;
/// let utilities = pseudo_utilities(&[vec![0.0, 1.0], vec![2.0, 1.0], vec![4.0, 1.0]])?;
/// assert!(utilities.iter().zip([-2.0, 0.0, 2.0]).all(|(u, x)| (u - x).abs() < 1e-9));
/// # Ok::<(), accordant_data::Error>(())
/// ```
#[doc(alias = "2508.05090")]
pub fn pseudo_utilities(features: &[Vec<f64>]) -> Result<Vec<f64>> {
    let width = features.first().map_or(0, Vec::len);
    for row in features {
        check_length("features", width, row.len())?;
        check_all_finite("features", row)?;
    }
    let count = features.len() as f64;
    let means: Vec<f64> = (0..width).map(|axis| features.iter().map(|row| row[axis]).sum::<f64>() / count).collect();
    let centered: Vec<Vec<f64>> =
        features.iter().map(|row| row.iter().zip(&means).map(|(x, mean)| x - mean).collect()).collect();
    let component = first_component(&centered, width);
    Ok(centered.iter().map(|row| dot(row, &component)).collect())
}

/// The direction of the largest variance, of unit length; zeros where nothing varies.
fn first_component(rows: &[Vec<f64>], width: usize) -> Vec<f64> {
    // The longest row has a part in the first component unless it is orthogonal to it by accident.
    let longest = rows
        .iter()
        .map(|row| dot(row, row))
        .enumerate()
        .fold((0, 0.0), |best, found| if found.1 > best.1 { found } else { best });
    if longest.1 == 0.0 {
        return vec![0.0; width];
    }
    let mut direction = unit(rows[longest.0].clone());
    for _ in 0..MAX_ROUNDS {
        let mut next = vec![0.0; width];
        for row in rows {
            let along = dot(row, &direction);
            next.iter_mut().zip(row).for_each(|(sum, x)| *sum += along * x);
        }
        let next = unit(next);
        let moved: f64 = next.iter().zip(&direction).map(|(a, b)| (a - b).abs()).sum();
        direction = next;
        if moved < 1e-12 {
            break;
        }
    }
    let largest = direction.iter().fold(0.0f64, |largest, x| if x.abs() > largest.abs() + 1e-9 { *x } else { largest });
    direction.iter().map(|x| x * largest.signum()).collect()
}

fn unit(vector: Vec<f64>) -> Vec<f64> {
    let length = dot(&vector, &vector).sqrt();
    if length > 0.0 { vector.iter().map(|x| x / length).collect() } else { vector }
}

/// Items and which two of them each comparison is of.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Unlabeled {
    /// Features of the items.
    pub features: Vec<Vec<f64>>,
    /// Two items, by their places.
    pub pairs: Vec<(usize, usize)>,
}

/// Takes the pairs whose [`pseudo_utilities`] differ least: the score is minus the size of the difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct ColdStart;

impl Acquisition for ColdStart {
    type Pool = Unlabeled;

    /// # Errors
    /// Those of [`pseudo_utilities`]; [`Error::Item`] naming `pairs` for a place beyond the items.
    fn acquire(&self, pool: &Unlabeled, count: usize, _seed: u64) -> Result<Vec<Pick>> {
        let utilities = pseudo_utilities(&pool.features)?;
        let mut picks = Vec::with_capacity(pool.pairs.len());
        for (index, &(a, b)) in pool.pairs.iter().enumerate() {
            let (Some(first), Some(second)) = (utilities.get(a), utilities.get(b)) else {
                return Err(Error::Item { name: "pairs", index, expected: "places of items", got: a.max(b) as f64 });
            };
            picks.push(Pick { index, score: -(first - second).abs(), duel: Some((a, b)) });
        }
        Ok(best(picks, count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_component_is_where_features_vary_most() {
        // Along (3, 4) by ±10, across it by ±1.
        let rows = vec![vec![6.0, 8.0], vec![-6.0, -8.0], vec![0.8, -0.6], vec![-0.8, 0.6]];
        let utilities = pseudo_utilities(&rows).unwrap();
        for (utility, expected) in utilities.iter().zip([10.0, -10.0, 0.0, 0.0]) {
            assert!((utility - expected).abs() < 1e-6, "{utilities:?}");
        }
        let negative: Vec<Vec<f64>> = rows.iter().map(|row| row.iter().map(|x| 5.0 - x).collect()).collect();
        assert!((pseudo_utilities(&negative).unwrap()[0] + 10.0).abs() < 1e-6, "the largest weight is positive");
        assert_eq!(pseudo_utilities(&vec![vec![1.0, 2.0]; 3]).unwrap(), [0.0; 3]);
        assert!(pseudo_utilities(&[]).unwrap().is_empty());
    }

    #[test]
    fn pairs_that_differ_least_come_first() {
        let features = [0.0, 1.0, 3.0, 6.0].map(|x| vec![x]).to_vec();
        let pool = Unlabeled { features: features.clone(), pairs: vec![(0, 3), (2, 1), (0, 1), (3, 2)] };
        let picks = ColdStart.acquire(&pool, 3, 0).unwrap();
        let found: Vec<_> = picks.iter().map(|pick| (pick.index, pick.score.round())).collect();
        assert_eq!(found, [(2, -1.0), (1, -2.0), (3, -3.0)]);
        assert_eq!(picks[1].duel, Some((2, 1)));
        let odd = Unlabeled { features, pairs: vec![(0, 1), (0, 4)] };
        assert!(ColdStart.acquire(&odd, 1, 0).unwrap_err().to_string().starts_with("`pairs`, entry 1"));
        assert!(pseudo_utilities(&[vec![1.0], vec![]]).is_err() && pseudo_utilities(&[vec![f64::NAN]]).is_err());
    }
}
