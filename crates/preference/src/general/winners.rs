//! Winners of a preference matrix: Condorcet, Copeland, Borda and minimax.
//!
//! **Paper:** Preference-based Online Learning with Dueling Bandits: A Survey (2018), 1807.11398, section 3.
//! **Use when:** one item has to be picked, and the rule that picks it is to be named.
//! **Checked by:** hand-worked matrices, agreement with a Condorcet winner where there is one, permutations.
//! **Deviations:** none.

use super::PreferenceMatrix;

/// The item that a majority prefers to every other; none where there is no such item.
///
/// # Example
/// ```
/// use accordant_preference::general::{PreferenceMatrix, winners::condorcet_winner};
/// let orders = [vec![1, 0, 2], vec![0, 1, 2], vec![1, 2, 0]];
/// let matrix = PreferenceMatrix::from_rankings(3, &orders)?;
/// assert_eq!(condorcet_winner(&matrix), Some(1));
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[doc(alias = "1807.11398")]
pub fn condorcet_winner(matrix: &PreferenceMatrix) -> Option<usize> {
    let n = matrix.num_items();
    (0..n).find(|&i| (0..n).all(|j| i == j || matrix.beats(i, j)))
}

/// The items that no majority prefers any other to; several of them are even.
pub fn weak_condorcet_winners(matrix: &PreferenceMatrix) -> Vec<usize> {
    let n = matrix.num_items();
    (0..n).filter(|&i| (0..n).all(|j| !matrix.beats(j, i))).collect()
}

/// The share of the others that each item beats, an even pair counting one half; ½ of an only item.
///
/// ```text
/// ζ_i = (#{j : P_ij > ½} + ½ #{j : P_ij = ½}) / (n − 1)
/// ```
///
/// # Example
/// ```
/// use accordant_preference::general::{PreferenceMatrix, winners::copeland_scores};
/// let orders = [vec![1, 0, 2], vec![0, 1, 2], vec![1, 2, 0]];
/// let matrix = PreferenceMatrix::from_rankings(3, &orders)?;
/// assert_eq!(copeland_scores(&matrix), [0.5, 1.0, 0.0]);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
pub fn copeland_scores(matrix: &PreferenceMatrix) -> Vec<f64> {
    mean_over_others(matrix, |margin| match margin {
        0.0 => 0.5,
        margin if margin > 0.0 => 1.0,
        _ => 0.0,
    })
}

/// The chance of each item against another one drawn at random; ½ of an only item.
///
/// ```text
/// β_i = Σ_{j ≠ i} P_ij / (n − 1)
/// ```
///
/// # Example
/// ```
/// use accordant_preference::general::{PreferenceMatrix, winners::borda_scores};
/// let matrix = PreferenceMatrix::from_rows(&[vec![0.5, 0.75], vec![0.25, 0.5]])?;
/// assert_eq!(borda_scores(&matrix), [0.75, 0.25]);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
pub fn borda_scores(matrix: &PreferenceMatrix) -> Vec<f64> {
    mean_over_others(matrix, |margin| 0.5 + margin)
}

fn mean_over_others(matrix: &PreferenceMatrix, value: impl Fn(f64) -> f64) -> Vec<f64> {
    let n = matrix.num_items();
    let mean = |i: usize| {
        let others = (0..n).filter(|&j| j != i).map(|j| value(matrix.margin(i, j)));
        others.sum::<f64>() / (n - 1) as f64
    };
    if n == 1 { vec![0.5] } else { (0..n).map(mean).collect() }
}

/// The chance of each item against its worst opponent (Simpson's rule); ½ of an only item.
///
/// # Example
/// ```
/// use accordant_preference::general::{PreferenceMatrix, winners::minimax_scores};
/// let matrix = PreferenceMatrix::from_rows(&[vec![0.5, 0.75], vec![0.25, 0.5]])?;
/// assert_eq!(minimax_scores(&matrix), [0.75, 0.25]);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[doc(alias = "Simpson-Kramer")]
pub fn minimax_scores(matrix: &PreferenceMatrix) -> Vec<f64> {
    let n = matrix.num_items();
    let worst = |i: usize| (0..n).filter(|&j| j != i).map(|j| matrix.chance(i, j)).reduce(f64::min);
    (0..n).map(|i| worst(i).unwrap_or(0.5)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(margins: &[&[f64]]) -> PreferenceMatrix {
        PreferenceMatrix::from_margins(&margins.iter().map(|row| row.to_vec()).collect::<Vec<_>>()).unwrap()
    }

    /// 0 beats 1 and 2, 1 beats 2, 3 is even with 0 and loses to 1 and 2 by a hair.
    fn four() -> PreferenceMatrix {
        matrix(&[&[0.0, 0.1, 0.4, 0.0], &[-0.1, 0.0, 0.3, 0.01], &[-0.4, -0.3, 0.0, 0.02], &[0.0, -0.01, -0.02, 0.0]])
    }

    #[track_caller]
    fn close(got: &[f64], expected: &[f64]) {
        assert!(got.len() == expected.len() && got.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{got:?}");
    }

    #[test]
    fn four_items_by_hand() {
        let matrix = four();
        assert_eq!(condorcet_winner(&matrix), None, "0 does not beat 3");
        assert_eq!(weak_condorcet_winners(&matrix), [0]);
        close(&copeland_scores(&matrix), &[2.5 / 3.0, 2.0 / 3.0, 1.0 / 3.0, 0.5 / 3.0]);
        close(&borda_scores(&matrix), &[2.0 / 3.0, 0.57, 0.5 - 0.68 / 3.0, 0.49]);
        close(&minimax_scores(&matrix), &[0.5, 0.4, 0.1, 0.48]);
    }

    #[test]
    fn copeland_and_borda_need_not_agree_and_a_cycle_has_no_winner() {
        // 0 beats both narrowly, 1 crushes 2.
        let matrix = matrix(&[&[0.0, 0.01, 0.01], &[-0.01, 0.0, 0.5], &[-0.01, -0.5, 0.0]]);
        assert_eq!(condorcet_winner(&matrix), Some(0));
        assert_eq!(copeland_scores(&matrix), [1.0, 0.5, 0.0]);
        let borda = borda_scores(&matrix);
        assert!(borda[1] > borda[0]);
        let cycle = super::tests::matrix(&[&[0.0, 0.2, -0.3], &[-0.2, 0.0, 0.1], &[0.3, -0.1, 0.0]]);
        assert_eq!((condorcet_winner(&cycle), weak_condorcet_winners(&cycle).len()), (None, 0));
        assert_eq!(copeland_scores(&cycle), [0.5; 3]);
        close(&minimax_scores(&cycle), &[0.2, 0.3, 0.4]);
    }

    #[test]
    fn an_only_item_is_a_winner_and_even_with_itself() {
        let one = matrix(&[&[0.0]]);
        assert_eq!((condorcet_winner(&one), weak_condorcet_winners(&one)), (Some(0), vec![0]));
        assert_eq!(
            (copeland_scores(&one), borda_scores(&one), minimax_scores(&one)),
            (vec![0.5], vec![0.5], vec![0.5])
        );
    }

    #[test]
    fn permuted_items_have_permuted_scores() {
        let (matrix, order) = (four(), [2, 0, 3, 1]);
        let permuted = matrix.select(&order).unwrap();
        for rule in [copeland_scores, borda_scores, minimax_scores] {
            let scores = rule(&matrix);
            close(&rule(&permuted), &order.map(|item| scores[item]));
        }
    }
}
