//! Sets of items that a majority cannot object to: the top cycle (Smith set) and the uncovered set.
//!
//! **Paper:** Preference-based Online Learning with Dueling Bandits: A Survey (2018), 1807.11398, section 3, which names both
//! as what is left of a winner where there is none.
//! **Use when:** there is no Condorcet winner, and the items that stay in the race are wanted.
//! **Checked by:** hand-worked majorities, one within the other and both around the maximal lottery on random matrices.
//! **Deviations:** where pairs are even, covering is by McKelvey's definition: whatever beats the cover beats the covered.

use super::PreferenceMatrix;
use crate::{WinMatrix, graph::components};

/// The items in tiers, best first: every item of a tier beats every item of all later ones, and no tier can be split.
///
/// Even pairs share a tier.
///
/// # Example
/// ```
/// use accordant_preference::general::{PreferenceMatrix, majority_sets::tiers};
/// let orders = [vec![0, 1, 2, 3], vec![1, 2, 0, 3], vec![2, 0, 1, 3]];
/// let matrix = PreferenceMatrix::from_rankings(4, &orders)?;
/// assert_eq!(tiers(&matrix), [vec![0, 1, 2], vec![3]]); // a cycle, and an item that all of them beat
/// # Ok::<(), accordant_preference::Error>(())
/// ```
pub fn tiers(matrix: &PreferenceMatrix) -> Vec<Vec<usize>> {
    let count = |holds: fn(f64) -> bool| -> Vec<Vec<f64>> {
        let row =
            |i: usize| matrix.row(i).iter().enumerate().map(move |(j, margin)| f64::from(i != j && holds(*margin)));
        (0..matrix.num_items()).map(|i| row(i).collect()).collect()
    };
    let judged = WinMatrix::from_rows(&count(|margin| margin > 0.0), &count(|margin| margin == 0.0));
    let mut tiers = components(&judged.expect("zeros and ones, the ties symmetric"));
    tiers.reverse();
    tiers
}

/// The smallest set of which every member beats everybody outside: the first of the [`tiers`].
#[doc(alias = "top cycle")]
#[doc(alias = "GETCHA")]
pub fn smith_set(matrix: &PreferenceMatrix) -> Vec<usize> {
    tiers(matrix).swap_remove(0)
}

/// The items that no other covers.
///
/// One item covers another when it beats it, beats all that the other beats, and loses only to what beats the other.
///
/// # Example
/// ```
/// use accordant_preference::general::{PreferenceMatrix, majority_sets::uncovered_set};
/// let orders = [vec![0, 1, 2, 3], vec![1, 2, 0, 3], vec![2, 0, 1, 3]];
/// let matrix = PreferenceMatrix::from_rankings(4, &orders)?;
/// assert_eq!(uncovered_set(&matrix), [0, 1, 2]);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
pub fn uncovered_set(matrix: &PreferenceMatrix) -> Vec<usize> {
    let n = matrix.num_items();
    let covers = |x: usize, y: usize| {
        let no_worse =
            |z: usize| (!matrix.beats(y, z) || matrix.beats(x, z)) && (!matrix.beats(z, x) || matrix.beats(z, y));
        matrix.beats(x, y) && (0..n).all(no_worse)
    };
    (0..n).filter(|&y| !(0..n).any(|x| covers(x, y))).collect()
}

#[cfg(test)]
mod tests {
    use rand::Rng;

    use super::*;
    use crate::{
        general::{lottery::maximal_lottery, winners::condorcet_winner},
        random::{Purpose, stream},
    };

    /// A majority for each pair `(winner, loser)`; the others are even.
    fn matrix(num_items: usize, wins: &[(usize, usize)]) -> PreferenceMatrix {
        let mut rows = vec![vec![0.0; num_items]; num_items];
        for &(winner, loser) in wins {
            (rows[winner][loser], rows[loser][winner]) = (0.1, -0.1);
        }
        PreferenceMatrix::from_margins(&rows).unwrap()
    }

    #[test]
    fn a_member_of_the_top_cycle_may_be_covered() {
        // 0 → 1 → 2 → 3 → 0, and 0 → 2, 1 → 3: 1 covers 2 (2 beats only 3, which 1 beats, too; 0 beats both).
        let matrix = matrix(4, &[(0, 1), (1, 2), (2, 3), (3, 0), (0, 2), (1, 3)]);
        assert_eq!(smith_set(&matrix), [0, 1, 2, 3]);
        assert_eq!(uncovered_set(&matrix), [0, 1, 3]);
    }

    #[test]
    fn even_pairs_share_a_tier_and_leave_nobody_covered() {
        let none = matrix(3, &[]);
        assert_eq!((tiers(&none), uncovered_set(&none)), (vec![vec![0, 1, 2]], vec![0, 1, 2]));
        // 0 beats 1 and is even with 2; 1 beats 2: covering would have to beat 2.
        let even = matrix(3, &[(0, 1), (1, 2)]);
        assert_eq!((smith_set(&even), uncovered_set(&even)), (vec![0, 1, 2], vec![0, 1, 2]));
        // 1 loses to 0 and is even with 2, which 0 is even with, too: now it is covered.
        assert_eq!(uncovered_set(&matrix(3, &[(0, 1)])), [0, 2]);
        // 2 beats 0 and is even with 1: 0 loses to somebody who does not beat 1.
        assert_eq!(uncovered_set(&matrix(3, &[(0, 1), (2, 0)])), [0, 1, 2]);
    }

    #[test]
    fn an_order_is_as_many_tiers_as_items_and_its_first_is_the_winner() {
        let matrix = matrix(4, &[(2, 0), (2, 1), (2, 3), (0, 1), (0, 3), (3, 1)]);
        assert_eq!(tiers(&matrix), [vec![2], vec![0], vec![3], vec![1]]);
        assert_eq!((smith_set(&matrix), uncovered_set(&matrix)), (vec![2], vec![2]));
        assert_eq!(condorcet_winner(&matrix), Some(2));
    }

    #[test]
    fn the_lottery_lies_in_the_uncovered_set_and_that_in_the_top_cycle() {
        for index in 0..30 {
            let mut rng = stream(5, Purpose::World, index);
            let n = rng.random_range(3..9);
            let mut wins = Vec::new();
            for (i, j) in (0..n).flat_map(|i| (i + 1..n).map(move |j| (i, j))) {
                wins.push(if rng.random_bool(0.5) { (i, j) } else { (j, i) });
            }
            let matrix = matrix(n, &wins);
            let (top, uncovered) = (smith_set(&matrix), uncovered_set(&matrix));
            assert!(uncovered.iter().all(|item| top.contains(item)), "{wins:?}");
            let lottery = maximal_lottery(&matrix).unwrap();
            let outside = (0..n).filter(|item| !uncovered.contains(item)).map(|item| lottery.chances[item]);
            assert!(outside.sum::<f64>() < 1e-12, "{wins:?}");
        }
    }
}
