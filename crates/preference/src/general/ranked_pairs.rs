//! Ranked pairs (Tideman).
//!
//! **Paper:** Independence of Clones as a Criterion for Voting Rules (T. N. Tideman, 1987); it merges the rankings of OpenAssistant
//! Conversations - Democratizing Large Language Model Alignment (2023), 2304.07327.
//! **Use when:** rankings of several people are to become one, and large majorities matter more than small ones.
//! **Checked by:** hand-worked cycles, Condorcet's order where there is one, clones, permutations.
//! **Deviations:** none; equal margins are locked in the order of their items.

use super::PreferenceMatrix;

/// An order of all items, best first: majorities are locked in, the largest margin first, unless they close a circle.
///
/// Equal margins are taken in the order of the winner's index, then of the loser's; what no lock decides comes in the order of
/// the indices.
///
/// # Example
/// ```
/// use accordant_preference::general::{PreferenceMatrix, ranked_pairs::ranked_pairs};
/// // A circle: 0 over 1 by 0.3, 1 over 2 by 0.2, 2 over 0 by 0.1. The weakest gives way.
/// let circle = [vec![0.0, 0.3, -0.1], vec![-0.3, 0.0, 0.2], vec![0.1, -0.2, 0.0]];
/// assert_eq!(ranked_pairs(&PreferenceMatrix::from_margins(&circle)?), [0, 1, 2]);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[doc(alias = "Tideman")]
#[doc(alias = "2304.07327")]
pub fn ranked_pairs(matrix: &PreferenceMatrix) -> Vec<usize> {
    let n = matrix.num_items();
    let pairs = (0..n).flat_map(|i| (0..n).map(move |j| (i, j)));
    let mut majorities: Vec<(usize, usize)> = pairs.filter(|&(i, j)| matrix.beats(i, j)).collect();
    // Stable: equal margins stay in the order of their items.
    majorities.sort_by(|&(a, b), &(c, d)| matrix.margin(c, d).total_cmp(&matrix.margin(a, b)));
    // `above[i * n + j]`: i is locked above j, directly or through others.
    let mut above = vec![false; n * n];
    for (winner, loser) in majorities {
        if above[loser * n + winner] || above[winner * n + loser] {
            continue;
        }
        let higher: Vec<usize> = (0..n).filter(|&i| i == winner || above[i * n + winner]).collect();
        let lower: Vec<usize> = (0..n).filter(|&j| j == loser || above[loser * n + j]).collect();
        for i in higher {
            lower.iter().for_each(|j| above[i * n + j] = true);
        }
    }
    let mut order = Vec::with_capacity(n);
    let mut left: Vec<usize> = (0..n).collect();
    while !left.is_empty() {
        let free = |&item: &usize| left.iter().all(|&other| !above[other * n + item]);
        let next = left.iter().position(free).expect("what is locked has no circle");
        order.push(left.remove(next));
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::general::testing::{names_do_not_matter, order_rule_laws, skew};

    #[test]
    fn a_circle_is_broken_at_its_weakest_majority() {
        // 0 → 1 by 0.1, 1 → 2 by 0.3, 2 → 0 by 0.2: the first gives way.
        assert_eq!(ranked_pairs(&skew(3, &[(0, 1, 0.1), (1, 2, 0.3), (2, 0, 0.2)])), [1, 2, 0]);
        // 3 below all of them changes nothing; two circles that share a majority.
        let margins = [(0, 1, 0.1), (1, 2, 0.3), (2, 0, 0.2), (0, 3, 0.4), (1, 3, 0.4), (2, 3, 0.4)];
        assert_eq!(ranked_pairs(&skew(4, &margins)), [1, 2, 0, 3]);
        // Locked: 1 → 2 (0.4), 2 → 3 (0.35), 3 → 0 (0.3); then 0 → 1 and 0 → 2 would close circles, and 1 → 3 agrees.
        let margins = [(1, 2, 0.4), (2, 3, 0.35), (3, 0, 0.3), (0, 1, 0.2), (0, 2, 0.15), (1, 3, 0.1)];
        assert_eq!(ranked_pairs(&skew(4, &margins)), [1, 2, 3, 0]);
    }

    #[test]
    fn equal_margins_are_taken_in_the_order_of_the_items() {
        assert_eq!(ranked_pairs(&skew(3, &[(0, 1, 0.2), (1, 2, 0.2), (2, 0, 0.2)])), [0, 1, 2]);
        // 0 over 2 and 1 over 0 come before 2 over 1.
        assert_eq!(ranked_pairs(&skew(3, &[(1, 0, 0.2), (2, 1, 0.2), (0, 2, 0.2)])), [1, 0, 2]);
        assert_eq!(ranked_pairs(&skew(3, &[(2, 0, 0.2)])), [1, 2, 0], "nothing decides where 1 is");
    }

    #[test]
    fn it_is_a_rule_for_orders() {
        order_rule_laws(ranked_pairs);
        names_do_not_matter(ranked_pairs);
    }

    #[test]
    fn clones_of_the_winner_are_no_harm() {
        // Clones of 1 in the circle of the first test: 1 and 3, 1 ahead.
        let margins = [(0, 1, 0.1), (1, 2, 0.3), (2, 0, 0.2), (0, 3, 0.1), (3, 2, 0.3), (1, 3, 0.05)];
        assert_eq!(ranked_pairs(&skew(4, &margins)), [1, 3, 2, 0]);
    }
}
