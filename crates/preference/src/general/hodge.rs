//! Hodge decomposition of leads.
//!
//! **Paper:** Statistical Ranking and Combinatorial Hodge Theory (X. Jiang, L.-H. Lim, Y. Yao and Y. Ye, 2011), 0811.1067.
//! **Use when:** the part of the preferences that scores explain is to be told from the part that goes in circles.
//! **Checked by:** hand-worked matrices, orthogonality of the parts, row means as the closed form of equal weights.
//! **Deviations:** what goes in circles is one part, not split into circles of three and longer ones: with all pairs compared
//! there are none of these.

use accordant_ops::check_domain;
use nalgebra::{DMatrix, DVector};
use serde::{Deserialize, Serialize};

use super::matrix::{check_skew, check_square};
use crate::{
    Error, Result, WinMatrix,
    error::{check_finite, check_record},
    graph::components,
};

/// Scores and what they leave over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hodge {
    /// The score of each item; their sum is 0 in each group of items that are connected.
    pub scores: Vec<f64>,
    /// What goes in circles, a row for each item: leads minus differences of scores.
    pub circles: Vec<Vec<f64>>,
    /// The weighted share of the squares of the leads that goes in circles, in [0, 1]; 0 of leads that are all 0.
    pub cyclic_share: f64,
}

/// Splits leads into differences of scores and circles, by weighted least squares.
///
/// ```text
/// minimize  Σ_{i<j} w_ij (Y_ij − (s_i − s_j))²
/// ```
///
/// `weights` says how much each pair counts, ≥ 0 and symmetric: 0 for pairs that never met; all alike by default. With equal
/// weights a score is the mean of its row.
///
/// # Errors
/// [`Error::Empty`] without an item, [`Error::Length`] for a row of another length, [`Error::Record`] for leads that are not
/// finite or not opposite, and for weights that are not finite, ≥ 0 and symmetric; a domain error when no pair has a weight;
/// [`Error::NotFinite`] for leads beyond about 1e150.
///
/// # Example
/// ```
/// use accordant_preference::general::hodge::hodge;
/// let circle = [vec![0.0, 1.0, -1.0], vec![-1.0, 0.0, 1.0], vec![1.0, -1.0, 0.0]];
/// assert_eq!(hodge(&circle, None)?.cyclic_share, 1.0);
/// let order = [vec![0.0, 1.0, 3.0], vec![-1.0, 0.0, 2.0], vec![-3.0, -2.0, 0.0]];
/// assert!(hodge(&order, None)?.cyclic_share < 1e-15);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[doc(alias = "HodgeRank")]
#[doc(alias = "0811.1067")]
pub fn hodge(leads: &[Vec<f64>], weights: Option<&[Vec<f64>]>) -> Result<Hodge> {
    check_skew("leads", leads)?;
    let n = leads.len();
    let weight = |i: usize, j: usize| if i == j { 0.0 } else { weights.map_or(1.0, |weights| weights[i][j]) };
    if let Some(weights) = weights {
        check_square("weights", weights)?;
        crate::error::check_length("weights", n, weights.len())?;
        for (i, row) in weights.iter().enumerate() {
            for (j, w) in row.iter().enumerate() {
                check_record(w.is_finite() && *w >= 0.0, i, "weights", "finite and >= 0", *w)?;
                check_record(*w == weights[j][i], i, "weights", "a symmetric matrix", *w)?;
            }
        }
        let total: f64 = (0..n).flat_map(|i| (0..n).map(move |j| weight(i, j))).sum();
        check_domain(n == 1 || total > 0.0, "weights", "a pair of weight > 0", total)?;
    }
    // The graph's Laplacian; in each group of connected items the level is fixed by adding the mean's square.
    let mut laplacian = DMatrix::zeros(n, n);
    let mut divergence = DVector::zeros(n);
    for (i, j) in (0..n).flat_map(|i| (0..n).map(move |j| (i, j))) {
        laplacian[(i, i)] += weight(i, j);
        laplacian[(i, j)] -= weight(i, j);
        divergence[i] += weight(i, j) * (leads[i][j] - leads[j][i]) / 2.0;
    }
    let met: Vec<Vec<f64>> = (0..n).map(|i| (0..n).map(|j| f64::from(weight(i, j) > 0.0)).collect()).collect();
    let never = vec![vec![0.0; n]; n];
    for group in components(&WinMatrix::from_rows(&never, &met)?) {
        let typical = group.iter().map(|&i| laplacian[(i, i)]).fold(0.0, f64::max);
        let level = if typical > 0.0 { typical / group.len() as f64 } else { 1.0 };
        for (&i, &j) in group.iter().flat_map(|i| group.iter().map(move |j| (i, j))) {
            laplacian[(i, j)] += level;
        }
    }
    let factor = laplacian.cholesky().ok_or(Error::Combination {
        what: "hodge",
        reason: "weights differ by so much that the least-squares problem is singular",
    })?;
    let scores: Vec<f64> = factor.solve(&divergence).iter().copied().collect();
    let circle = |i: usize, j: usize| (leads[i][j] - leads[j][i]) / 2.0 - (scores[i] - scores[j]);
    let circles: Vec<Vec<f64>> = (0..n).map(|i| (0..n).map(|j| circle(i, j)).collect()).collect();
    let energy = |rows: &[Vec<f64>]| -> f64 {
        (0..n).flat_map(|i| (0..n).map(move |j| (i, j))).map(|(i, j)| weight(i, j) * rows[i][j].powi(2)).sum()
    };
    let (left, all) = (energy(&circles), energy(leads));
    check_finite("hodge", scores.iter().chain([&left, &all]))?;
    let cyclic_share = if all == 0.0 { 0.0 } else { (left / all).min(1.0) };
    Ok(Hodge { scores, circles, cyclic_share })
}

#[cfg(test)]
mod tests {
    use rand::Rng;

    use super::*;
    use crate::random::{Purpose, stream};

    #[track_caller]
    fn close(got: &[f64], expected: &[f64], tolerance: f64) {
        let same = got.len() == expected.len() && got.iter().zip(expected).all(|(a, b)| (a - b).abs() < tolerance);
        assert!(same, "{got:?} is not {expected:?}");
    }

    fn random(n: usize) -> (Vec<Vec<f64>>, Vec<Vec<f64>>) {
        let mut rng = stream(8, Purpose::World, n as u32);
        let (mut leads, mut weights) = (vec![vec![0.0; n]; n], vec![vec![0.0; n]; n]);
        for (i, j) in (0..n).flat_map(|i| (i + 1..n).map(move |j| (i, j))) {
            leads[i][j] = rng.random_range(-2.0..2.0);
            leads[j][i] = -leads[i][j];
            weights[i][j] = if rng.random_bool(0.3) { 0.0 } else { rng.random_range(0.1..3.0) };
            weights[j][i] = weights[i][j];
        }
        (leads, weights)
    }

    #[test]
    fn scores_plus_a_circle_come_apart() {
        // Scores 1, 0, −1 and a circle of 0.5: leads 1.5, 1.5 and 2 − 0.5.
        let leads = [vec![0.0, 1.5, 1.5], vec![-1.5, 0.0, 1.5], vec![-1.5, -1.5, 0.0]];
        let found = hodge(&leads, None).unwrap();
        close(&found.scores, &[1.0, 0.0, -1.0], 1e-12);
        close(&found.circles[0], &[0.0, 0.5, -0.5], 1e-12);
        assert!((found.cyclic_share - 3.0 * 0.25 / (3.0 * 2.25)).abs() < 1e-12);
    }

    #[test]
    fn equal_weights_are_row_means() {
        let (leads, _) = random(9);
        let found = hodge(&leads, None).unwrap();
        let means: Vec<f64> = leads.iter().map(|row| row.iter().sum::<f64>() / 9.0).collect();
        close(&found.scores, &means, 1e-12);
        let equal = vec![vec![2.0; 9]; 9];
        close(&hodge(&leads, Some(&equal)).unwrap().scores, &means, 1e-12);
    }

    #[test]
    fn circles_have_no_source_and_the_parts_are_orthogonal() {
        for n in [2, 5, 12] {
            let (leads, weights) = random(n);
            let found = hodge(&leads, Some(&weights)).unwrap();
            let (mut across, mut left, mut all) = (0.0, 0.0, 0.0);
            for i in 0..n {
                let source: f64 = (0..n).map(|j| weights[i][j] * found.circles[i][j]).sum();
                assert!(source.abs() < 1e-10, "{source}");
                for j in 0..n {
                    let difference = found.scores[i] - found.scores[j];
                    across += weights[i][j] * found.circles[i][j] * difference;
                    left += weights[i][j] * found.circles[i][j].powi(2);
                    all += weights[i][j] * leads[i][j].powi(2);
                }
            }
            assert!(across.abs() < 1e-10 && (found.cyclic_share - left / all).abs() < 1e-10);
        }
    }

    #[test]
    fn groups_that_never_met_have_a_level_each() {
        // 0 over 1 by 2, 2 over 3 by 4; nobody else met, and what is said of them does not count.
        let leads = [
            vec![0.0, 2.0, 9.0, 9.0],
            vec![-2.0, 0.0, 9.0, 9.0],
            vec![-9.0, -9.0, 0.0, 4.0],
            vec![-9.0, -9.0, -4.0, 0.0],
        ];
        let mut weights = vec![vec![0.0; 4]; 4];
        for (i, j, w) in [(0, 1, 1.0), (2, 3, 5.0)] {
            (weights[i][j], weights[j][i]) = (w, w);
        }
        let found = hodge(&leads, Some(&weights)).unwrap();
        close(&found.scores, &[1.0, -1.0, 2.0, -2.0], 1e-12);
        assert!(found.cyclic_share < 1e-15);
    }

    #[test]
    fn nothing_to_split_and_what_is_refused() {
        let even = hodge(&[vec![0.0; 2], vec![0.0; 2]], None).unwrap();
        assert_eq!((even.scores, even.cyclic_share), (vec![0.0, 0.0], 0.0));
        assert_eq!(hodge(&[vec![0.0]], None).unwrap().scores, [0.0]);
        let leads = [vec![0.0, 1.0], vec![-1.0, 0.0]];
        let text = |weights: &[Vec<f64>]| hodge(&leads, Some(weights)).unwrap_err().to_string();
        assert!(text(&[vec![0.0]]).starts_with("`weights`: expected 2 entries, got 1"));
        assert!(text(&[vec![0.0, 1.0], vec![1.0]]).starts_with("`weights`"));
        assert!(text(&[vec![0.0, -1.0], vec![-1.0, 0.0]]).contains("finite and >= 0"));
        assert!(text(&[vec![0.0, f64::NAN], vec![1.0, 0.0]]).contains("finite and >= 0"));
        assert!(text(&[vec![0.0, 1.0], vec![2.0, 0.0]]).contains("a symmetric matrix"));
        assert!(text(&[vec![1.0, 0.0], vec![0.0, 1.0]]).contains("a pair of weight > 0"));
        assert!(
            hodge(&[vec![0.0, 1.0], vec![1.0, 0.0]], None).unwrap_err().to_string().starts_with("record 0: `leads`")
        );
    }
}
