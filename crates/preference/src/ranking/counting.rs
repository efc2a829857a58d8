//! Counting wins: sums, average win rates, Borda's and Copeland's scores.
//!
//! **Use when:** a baseline is wanted that assumes nothing; who met whom then decides as much as who is better.
//! **Checked by:** published figures of five items, golden numbers (evalica), values by hand.
//! **Deviations:** a tie is half a win for each.

use crate::WinMatrix;

/// Wins of item `i` over `j` with half of their ties, and the same the other way round.
fn halves(matrix: &WinMatrix, i: usize, j: usize) -> (f64, f64) {
    let tied = matrix.ties(i, j) / 2.0;
    (matrix.wins(i, j) + tied, matrix.wins(j, i) + tied)
}

/// How often each item has won: 1 for a win, ½ for a tie.
///
/// # Example
/// ```
/// use accordant_preference::{Comparisons, Outcome, ranking::counting::counts};
/// let mut judged = Comparisons::new(2);
/// judged.push_win(0, 1, 2.0)?;
/// judged.push(0, 1, Outcome::Tie)?;
/// assert_eq!(counts(&judged.wins()), [2.5, 0.5]);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
pub fn counts(matrix: &WinMatrix) -> Vec<f64> {
    let n = matrix.num_items();
    (0..n).map(|i| (0..n).map(|j| halves(matrix, i, j).0).sum()).collect()
}

/// The mean over the opponents that an item has met of its share of wins against them; none for an item that met nobody.
///
/// # Example
/// ```
/// use accordant_preference::{Comparisons, ranking::counting::average_win_rates};
/// let mut judged = Comparisons::new(4);
/// judged.push_win(0, 1, 3.0)?;
/// judged.push_win(1, 0, 1.0)?;
/// judged.push_win(2, 0, 9.0)?;
/// assert_eq!(average_win_rates(&judged.wins()), [Some(0.375), Some(0.25), Some(1.0), None]); // (3/4 + 0) / 2
/// # Ok::<(), accordant_preference::Error>(())
/// ```
pub fn average_win_rates(matrix: &WinMatrix) -> Vec<Option<f64>> {
    let n = matrix.num_items();
    let rate = |i: usize| {
        let met = (0..n).map(|j| halves(matrix, i, j)).filter(|(won, lost)| won + lost > 0.0);
        let (total, opponents) = met.fold((0.0, 0), |(total, n), (won, lost)| (total + won / (won + lost), n + 1));
        (opponents > 0).then(|| total / f64::from(opponents))
    };
    (0..n).map(rate).collect()
}

/// Borda's scores: the sum over all other items of the chance to be preferred to them, ½ for one that was never met.
///
/// # Example
/// ```
/// use accordant_preference::{Comparisons, ranking::counting::borda};
/// let mut judged = Comparisons::new(3);
/// judged.push_win(0, 1, 3.0)?;
/// judged.push_win(1, 0, 1.0)?;
/// assert_eq!(borda(&judged.wins()), [1.25, 0.75, 1.0]); // 3/4 + 1/2, 1/4 + 1/2, 1/2 + 1/2
/// # Ok::<(), accordant_preference::Error>(())
/// ```
pub fn borda(matrix: &WinMatrix) -> Vec<f64> {
    over_others(matrix, |won, lost| if won + lost > 0.0 { won / (won + lost) } else { 0.5 })
}

/// Copeland's scores: how many other items each has beaten more often than it was beaten, ½ where it is even.
///
/// # Example
/// ```
/// use accordant_preference::{Comparisons, ranking::counting::copeland};
/// let mut judged = Comparisons::new(3);
/// judged.push_win(0, 1, 3.0)?;
/// judged.push_win(1, 0, 1.0)?;
/// assert_eq!(copeland(&judged.wins()), [1.5, 0.5, 1.0]);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
pub fn copeland(matrix: &WinMatrix) -> Vec<f64> {
    over_others(matrix, |won, lost| match won.total_cmp(&lost) {
        std::cmp::Ordering::Greater => 1.0,
        std::cmp::Ordering::Equal => 0.5,
        std::cmp::Ordering::Less => 0.0,
    })
}

/// The sum over all other items of what `score` makes of wins and losses.
fn over_others(matrix: &WinMatrix, score: impl Fn(f64, f64) -> f64) -> Vec<f64> {
    let n = matrix.num_items();
    let others = |i: usize| (0..n).filter(move |&j| j != i).map(move |j| halves(matrix, i, j));
    (0..n).map(|i| others(i).map(|(won, lost)| score(won, lost)).sum()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ranking::fixtures::{close, five};

    #[test]
    fn five_items_as_published() {
        let matrix = five().wins();
        assert_eq!(counts(&matrix), [1.5, 3.0, 3.0, 4.5, 4.0]);
        let rates: Vec<f64> = average_win_rates(&matrix).into_iter().map(|rate| rate.unwrap()).collect();
        close(&rates, &[0.1875, 0.5, 0.4375, 37.0 / 48.0, 23.0 / 36.0], 1e-15);
    }

    #[test]
    fn opponents_that_were_never_met_do_not_count() {
        let mut judged = crate::Comparisons::new(4);
        judged.push_win(0, 1, 3.0).unwrap();
        judged.push_win(1, 0, 1.0).unwrap();
        judged.push_win(2, 0, 9.0).unwrap();
        assert_eq!(average_win_rates(&judged.wins()), [Some(0.375), Some(0.25), Some(1.0), None]);
    }

    #[test]
    fn scores_over_all_others_add_up_to_the_number_of_pairs() {
        let matrix = five().wins();
        for scores in [borda(&matrix), copeland(&matrix)] {
            assert!((scores.iter().sum::<f64>() - 10.0).abs() < 1e-12);
        }
        // Item 0: a loss and a tie with 1, a loss and a tie with 2, a loss to 3, a tie and a loss with 4.
        assert_eq!(copeland(&matrix), [0.0, 2.0, 2.0, 3.0, 3.0]);
        assert!((borda(&matrix)[0] - (0.25 + 0.25 + 0.0 + 0.25)).abs() < 1e-15);
    }
}
