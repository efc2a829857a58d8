//! Schulze's method (beat paths).
//!
//! **Paper:** A New Monotonic, Clone-Independent, Reversal Symmetric, and Condorcet-Consistent Single-Winner Election Method (M.
//! Schulze, 2011).
//! **Use when:** an order is wanted that clones cannot disturb, and ties are to be shown instead of broken.
//! **Checked by:** the example of its paper, hand-worked cycles, Condorcet's order where there is one, permutations.
//! **Deviations:** none; the strength of a majority is its margin.

use super::PreferenceMatrix;

/// The strength of the strongest path from each item to each other, a row for each item: a path is as strong as its smallest
/// majority, and 0 where there is none.
///
/// `O(n³)`.
pub fn path_strengths(matrix: &PreferenceMatrix) -> Vec<Vec<f64>> {
    let n = matrix.num_items();
    let mut strengths: Vec<Vec<f64>> =
        (0..n).map(|i| matrix.row(i).iter().map(|margin| margin.max(0.0)).collect()).collect();
    for through in 0..n {
        let onward = strengths[through].clone();
        for row in &mut strengths {
            let first = row[through];
            row.iter_mut().zip(&onward).for_each(|(strength, second)| *strength = strength.max(first.min(*second)));
        }
    }
    strengths
}

/// An order of all items, best first: one is above another when its strongest path to it is stronger than the one back.
///
/// Items that are level stay in the order of their indices.
///
/// # Example
/// ```
/// use accordant_preference::general::{PreferenceMatrix, schulze::schulze};
/// // A circle: 0 over 1 by 0.3, 1 over 2 by 0.2, 2 over 0 by 0.1. 0 reaches 2 by 0.2, 2 reaches 0 by 0.1.
/// let circle = [vec![0.0, 0.3, -0.1], vec![-0.3, 0.0, 0.2], vec![0.1, -0.2, 0.0]];
/// assert_eq!(schulze(&PreferenceMatrix::from_margins(&circle)?), [0, 1, 2]);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[doc(alias = "beatpath")]
pub fn schulze(matrix: &PreferenceMatrix) -> Vec<usize> {
    let n = matrix.num_items();
    let strengths = path_strengths(matrix);
    let beaten = |i: usize| (0..n).filter(|&j| strengths[i][j] > strengths[j][i]).count();
    let beaten: Vec<usize> = (0..n).map(beaten).collect();
    let mut order: Vec<usize> = (0..n).collect();
    // The relation is transitive, so that who beats more is above; the sort is stable.
    order.sort_by_key(|&i| std::cmp::Reverse(beaten[i]));
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::general::testing::{order_rule_laws, random, skew};

    #[test]
    fn the_example_of_its_paper() {
        // 45 voters on A to E: 5 ACBED, 5 ADECB, 8 BEDAC, 3 CABED, 7 CAEBD, 2 CBADE, 7 DCEBA, 8 EBADC.
        let ballots = [(5, "ACBED"), (5, "ADECB"), (8, "BEDAC"), (3, "CABED"), (7, "CAEBD"), (2, "CBADE")];
        let ballots = ballots.into_iter().chain([(7, "DCEBA"), (8, "EBADC")]);
        let rank = |ballot: &str| -> Vec<usize> { ballot.bytes().map(|letter| usize::from(letter - b'A')).collect() };
        let rankings: Vec<Vec<usize>> =
            ballots.flat_map(|(count, ballot)| std::iter::repeat_n(rank(ballot), count)).collect();
        let matrix = PreferenceMatrix::from_rankings(5, &rankings).unwrap();
        assert_eq!(schulze(&matrix), [4, 0, 2, 1, 3], "E, A, C, B, D");
        // Strongest paths of the paper, in votes of 45: A to B 28, B to A 25, E to A 25.
        let strengths = path_strengths(&matrix);
        let votes = |i: usize, j: usize| ((strengths[i][j] + 0.5) * 45.0).round();
        assert_eq!((votes(0, 1), votes(1, 0), votes(4, 0), votes(0, 4)), (28.0, 25.0, 25.0, 24.0));
    }

    #[test]
    fn paths_are_as_strong_as_their_weakest_majority() {
        let strengths = path_strengths(&skew(3, &[(0, 1, 0.1), (1, 2, 0.3), (2, 0, 0.2)]));
        assert_eq!((strengths[0][2], strengths[2][1], strengths[1][0]), (0.1, 0.1, 0.2));
        assert_eq!(schulze(&skew(3, &[(0, 1, 0.1), (1, 2, 0.3), (2, 0, 0.2)])), [1, 2, 0]);
    }

    #[test]
    fn level_items_keep_their_order() {
        assert_eq!(schulze(&skew(3, &[(0, 1, 0.2), (1, 2, 0.2), (2, 0, 0.2)])), [0, 1, 2]);
        assert_eq!(schulze(&skew(3, &[(2, 1, 0.2)])), [2, 0, 1]);
    }

    #[test]
    fn it_is_a_rule_for_orders() {
        order_rule_laws(schulze);
        // Many paths share their weakest majority and are level: what does not care about names is their strength.
        let (matrix, names) = (random(6, 3, 0.5), [5, 2, 0, 1, 4, 3]);
        let (plain, permuted) = (path_strengths(&matrix), path_strengths(&matrix.select(&names).unwrap()));
        for (i, j) in (0..6).flat_map(|i| (0..6).map(move |j| (i, j))) {
            assert_eq!(permuted[i][j], plain[names[i]][names[j]]);
        }
    }
}
