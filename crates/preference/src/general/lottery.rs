//! Maximal lottery (von Neumann winner, minimax winner).
//!
//! **Paper:** A Minimaximalist Approach to Reinforcement Learning from Human Feedback (2024), 2401.04056; the lottery is
//! Lotteries as Social Choices: An Analysis of a Voting Scheme's (P. C. Fishburn, 1984).
//! **Use when:** preferences go in circles and a fair answer is wanted: no item is preferred to a draw from it.
//! **Checked by:** closed forms of three items, the uniform lottery of rock, paper and scissors, random matrices with up to
//! 300 items, clones, permutations, self-play.
//! **Deviations:** none.

use microlp::{ComparisonOp, OptimizationDirection, Problem};
use nalgebra::{DMatrix, DVector};
use serde::{Deserialize, Serialize};

use super::{PreferenceMatrix, winners::copeland_scores};
use crate::{Error, Result};

/// A lottery over items to which no item is preferred.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MaximalLottery {
    /// The chance of each item.
    pub chances: Vec<f64>,
    /// By how much the best answer to the lottery beats ½, ≥ 0: 0 up to rounding.
    pub exploitability: f64,
    /// Whether it is the only one. Where pairs are even, or margins are equal, there may be others.
    pub unique: bool,
}

/// A chance or a gain of at most this much counts as none where it is asked whether a lottery is unique.
const NOTHING: f64 = 1e-9;
/// How many items a game starts with, and how many it gets in a round.
const FIRST: usize = 64;
const MORE: usize = 32;

/// By how much the best answer to a lottery beats ½.
///
/// # Errors
/// [`Error::Length`] naming `chances`.
pub fn exploitability(matrix: &PreferenceMatrix, chances: &[f64]) -> Result<f64> {
    Ok(matrix.gains(chances)?.into_iter().fold(0.0, f64::max))
}

/// The maximal lottery: of all lotteries the one whose worst opponent is the least bad.
///
/// ```text
/// p ∈ argmax_p min_j Σ_i p_i P_ij,   of value ½
/// ```
///
/// By a linear program over a growing set of items, which the best answers of the others join until there is none. The
/// solution is then solved for once more, exactly, from the items that it plays. Of several such lotteries it is any one;
/// then `unique` is false, and [`most_even_lottery`](super::most_even_lottery::most_even_lottery) says which one to take.
///
/// # Errors
/// [`Error::LinearProgram`] when the solver gives up.
///
/// # Example
/// ```
/// use accordant_preference::general::{PreferenceMatrix, lottery::maximal_lottery};
/// // Rock, paper, scissors.
/// let game = [vec![0.5, 0.0, 1.0], vec![1.0, 0.5, 0.0], vec![0.0, 1.0, 0.5]];
/// let lottery = maximal_lottery(&PreferenceMatrix::from_rows(&game)?)?;
/// assert!(lottery.unique && lottery.exploitability < 1e-9);
/// assert!(lottery.chances.iter().all(|chance| (chance - 1.0 / 3.0).abs() < 1e-9));
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[doc(alias = "von Neumann winner")]
#[doc(alias = "minimax winner")]
#[doc(alias = "Nash equilibrium")]
#[doc(alias = "2401.04056")]
pub fn maximal_lottery(matrix: &PreferenceMatrix) -> Result<MaximalLottery> {
    let n = matrix.num_items();
    let Some(game) = in_largest_margins(matrix) else {
        return Ok(MaximalLottery { chances: vec![1.0 / n as f64; n], exploitability: 0.0, unique: n == 1 });
    };
    let scores = copeland_scores(&game);
    let mut playing: Vec<usize> = (0..n).collect();
    playing.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
    playing.truncate(FIRST);
    loop {
        let part = solve(&game.select(&playing)?)?;
        let mut chances = vec![0.0; n];
        playing.iter().zip(part).for_each(|(&item, chance)| chances[item] = chance);
        let gains = game.gains(&chances)?;
        let answers = best_answers(&gains, &playing);
        if answers.is_empty() {
            let exploitability = exploitability(matrix, &chances)?;
            return Ok(MaximalLottery { unique: is_unique(&game, &chances, &gains), chances, exploitability });
        }
        playing.extend(answers);
    }
}

/// The items that gain most of those that gain anything and do not play yet.
fn best_answers(gains: &[f64], playing: &[usize]) -> Vec<usize> {
    let others = (0..gains.len()).filter(|item| !playing.contains(item));
    let mut answers: Vec<usize> = others.filter(|item| gains[*item] > 1e-12).collect();
    answers.sort_by(|&a, &b| gains[b].total_cmp(&gains[a]));
    answers.truncate(MORE);
    answers
}

/// The same game in units of the largest margin, so that tolerances mean the same for all; none when all items are even.
pub(super) fn in_largest_margins(matrix: &PreferenceMatrix) -> Option<PreferenceMatrix> {
    let margins = (0..matrix.num_items()).flat_map(|i| matrix.row(i));
    let largest = margins.fold(0.0, |largest, margin| f64::max(largest, margin.abs()));
    (largest > 0.0).then(|| matrix.scaled(0.5 / largest))
}

/// A maximal lottery of all of these items.
fn solve(matrix: &PreferenceMatrix) -> Result<Vec<f64>> {
    let n = matrix.num_items();
    let mut problem = Problem::new(OptimizationDirection::Maximize);
    let chances: Vec<_> = (0..n).map(|_| problem.add_var(0.0, (0.0, 1.0))).collect();
    let value = problem.add_var(1.0, (-1.0, 1.0));
    for j in 0..n {
        // Σ_i p_i m_ij ≥ v
        let row = chances.iter().enumerate().map(|(i, &p)| (p, matrix.margin(i, j)));
        problem.add_constraint(row.chain([(value, -1.0)]).collect::<Vec<_>>(), ComparisonOp::Ge, 0.0);
    }
    problem.add_constraint(chances.iter().map(|&p| (p, 1.0)).collect::<Vec<_>>(), ComparisonOp::Eq, 1.0);
    let failed = |source| Error::LinearProgram { what: "maximal lottery", source };
    let solution = problem.solve().map_err(failed)?;
    let solution = solution.into_solution().expect("without a limit of time, a solver ends with a solution");
    let found: Vec<f64> = chances.iter().map(|&p| solution.var_value(p)).collect();
    refined(matrix, &found)
}

/// A lottery that is found up to the solver's tolerance of 1e-7, solved for once more from the items that it plays: they are
/// known, up to where small chances end. What it was, where that is no better.
fn refined(matrix: &PreferenceMatrix, found: &[f64]) -> Result<Vec<f64>> {
    let mut best = to_simplex(found).expect("the solver's chances add up to 1");
    let mut error = exploitability(matrix, &best)?;
    for floor in [1e-9, 1e-7, 1e-5, 1e-3] {
        let played: Vec<usize> = (0..found.len()).filter(|&i| found[i] > floor).collect();
        if let Some(polished) = equalize(matrix, &played, &best).as_deref().and_then(to_simplex) {
            let polished_error = exploitability(matrix, &polished)?;
            if polished_error < error {
                (best, error) = (polished, polished_error);
            }
        }
    }
    Ok(best)
}

/// Chances without what rounding puts below 0; none when more than that lies below.
fn to_simplex(chances: &[f64]) -> Option<Vec<f64>> {
    let total: f64 = chances.iter().map(|chance| chance.max(0.0)).sum();
    let holds = total.is_finite() && total > 0.0 && chances.iter().all(|&chance| chance > -1e-6);
    holds.then(|| chances.iter().map(|chance| chance.max(0.0) / total).collect())
}

/// The system that says that every played item gains nothing and that chances add up to 1: `Σ_i p_i m_ij + w = 0` for
/// played j, `Σ_i p_i = 1`. At a solution w = 0, and it is regular exactly when the played items have no other one.
fn played_system(matrix: &PreferenceMatrix, played: &[usize]) -> DMatrix<f64> {
    let k = played.len();
    DMatrix::from_fn(k + 1, k + 1, |row, column| match (row < k, column < k) {
        (true, true) => matrix.margin(played[column], played[row]),
        (false, false) => 0.0,
        _ => 1.0,
    })
}

/// The lottery over these items that leaves none of them a gain, the nearest to `near`; none when there is none.
fn equalize(matrix: &PreferenceMatrix, played: &[usize], near: &[f64]) -> Option<Vec<f64>> {
    let (k, system) = (played.len(), played_system(matrix, played));
    let start = DVector::from_fn(k + 1, |at, _| if at < k { near[played[at]] } else { 0.0 });
    let target = DVector::from_fn(k + 1, |at, _| if at < k { 0.0 } else { 1.0 });
    let mut at = start;
    // Twice: the second round takes out what rounding has left of the first.
    for _ in 0..2 {
        let residual = &target - &system * &at;
        at += match is_regular(&system) {
            true => system.clone().full_piv_lu().solve(&residual)?,
            false => system.clone().svd(true, true).solve(&residual, 1e-10).ok()?,
        };
    }
    let mut chances = vec![0.0; near.len()];
    played.iter().enumerate().for_each(|(at_k, &item)| chances[item] = at[at_k]);
    Some(chances)
}

fn is_regular(system: &DMatrix<f64>) -> bool {
    let pivots = system.clone().full_piv_lu().u().diagonal().abs();
    pivots.min() > 1e-10 * pivots.max()
}

/// By strict complementarity: of a game with one solution, every item that is not played loses to it, and the played items
/// have no other solution.
fn is_unique(game: &PreferenceMatrix, chances: &[f64], gains: &[f64]) -> bool {
    let (played, others): (Vec<usize>, Vec<usize>) = (0..chances.len()).partition(|&i| chances[i] > NOTHING);
    others.into_iter().all(|i| gains[i] < -NOTHING) && is_regular(&played_system(game, &played))
}

impl MaximalLottery {
    /// The items that are played, the most likely first.
    pub fn played(&self) -> Vec<usize> {
        let mut played: Vec<usize> = (0..self.chances.len()).filter(|&i| self.chances[i] > NOTHING).collect();
        played.sort_by(|&a, &b| self.chances[b].total_cmp(&self.chances[a]));
        played
    }
}

#[cfg(test)]
mod tests {
    use rand::Rng;

    use super::*;
    use crate::random::{Purpose, stream};

    fn matrix(rows: &[&[f64]]) -> PreferenceMatrix {
        PreferenceMatrix::from_margins(&rows.iter().map(|row| row.to_vec()).collect::<Vec<_>>()).unwrap()
    }

    /// Three items with margins of the first over the second, the second over the third and the third over the first.
    fn cycle(a: f64, b: f64, c: f64) -> PreferenceMatrix {
        matrix(&[&[0.0, a, -c], &[-a, 0.0, b], &[c, -b, 0.0]])
    }

    fn random(n: usize, index: u32, value: impl Fn(&mut rand_chacha::ChaCha8Rng) -> f64) -> PreferenceMatrix {
        let mut rng = stream(11, Purpose::World, index);
        let mut rows = vec![vec![0.0; n]; n];
        for (i, j) in (0..n).flat_map(|i| (i + 1..n).map(move |j| (i, j))) {
            rows[i][j] = value(&mut rng);
            rows[j][i] = -rows[i][j];
        }
        PreferenceMatrix::from_margins(&rows).unwrap()
    }

    #[track_caller]
    fn close(got: &[f64], expected: &[f64], tolerance: f64) {
        let same = got.len() == expected.len() && got.iter().zip(expected).all(|(a, b)| (a - b).abs() < tolerance);
        assert!(same, "{got:?} is not {expected:?}");
    }

    #[test]
    fn rock_paper_scissors_is_uniform() {
        let lottery = maximal_lottery(&cycle(0.5, 0.5, 0.5)).unwrap();
        close(&lottery.chances, &[1.0 / 3.0; 3], 1e-14);
        assert!(lottery.unique && lottery.exploitability < 1e-14);
    }

    #[test]
    fn a_cycle_of_three_has_a_closed_form() {
        // p ∝ (b, c, a)
        let lottery = maximal_lottery(&cycle(0.2, 0.1, 0.3)).unwrap();
        close(&lottery.chances, &[1.0 / 6.0, 1.0 / 2.0, 1.0 / 3.0], 1e-14);
        assert_eq!(lottery.played(), [1, 2, 0]);
        let tiny = maximal_lottery(&cycle(2e-9, 1e-9, 3e-9)).unwrap();
        close(&tiny.chances, &[1.0 / 6.0, 1.0 / 2.0, 1.0 / 3.0], 1e-9);
        assert!(tiny.unique && lottery.unique);
    }

    #[test]
    fn a_condorcet_winner_is_drawn_for_certain() {
        let lottery = maximal_lottery(&matrix(&[&[0.0, -0.1, 0.2], &[0.1, 0.0, 0.01], &[-0.2, -0.01, 0.0]])).unwrap();
        assert_eq!((lottery.chances, lottery.unique, lottery.exploitability), (vec![0.0, 1.0, 0.0], true, 0.0));
        let one = maximal_lottery(&matrix(&[&[0.0]])).unwrap();
        assert_eq!((one.chances, one.unique), (vec![1.0], true));
    }

    #[test]
    fn even_items_have_many_lotteries_and_it_says_so() {
        let even = maximal_lottery(&matrix(&[&[0.0, 0.0], &[0.0, 0.0]])).unwrap();
        assert_eq!((even.chances, even.unique, even.exploitability), (vec![0.5, 0.5], false, 0.0));
        // Two even winners.
        let two = matrix(&[&[0.0, 0.0, 0.2], &[0.0, 0.0, 0.2], &[-0.2, -0.2, 0.0]]);
        let lottery = maximal_lottery(&two).unwrap();
        assert!(!lottery.unique && lottery.exploitability < 1e-12 && lottery.chances[2] < 1e-12);
        // Certain of 0, but 1 is even with it and beats 2 as it does: either will do.
        let weak = matrix(&[&[0.0, 0.0, 0.1], &[0.0, 0.0, 0.3], &[-0.1, -0.3, 0.0]]);
        assert!(!maximal_lottery(&weak).unwrap().unique);
    }

    #[test]
    fn random_games_are_solved_to_rounding() {
        for (index, n) in [4, 5, 10, 33, 100, 300].into_iter().enumerate() {
            let real = random(n, index as u32, |rng| rng.random_range(-0.5..0.5));
            let lottery = maximal_lottery(&real).unwrap();
            assert!(lottery.exploitability < 1e-12, "{n}: {}", lottery.exploitability);
            assert!(lottery.unique && (lottery.chances.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            // A tournament has one lottery, over an odd number of items (Fisher and Ryan; Laffond, Laslier and Le Breton).
            let majority = random(n, 100 + index as u32, |rng| if rng.random_bool(0.5) { 0.5 } else { -0.5 });
            let lottery = maximal_lottery(&majority).unwrap();
            assert!(lottery.exploitability < 1e-12 && lottery.unique, "{n}: {}", lottery.exploitability);
            assert_eq!(lottery.played().len() % 2, 1);
            // With even pairs there may be several: still solved.
            let ties = random(n, 200 + index as u32, |rng| [-0.5, 0.0, 0.5][rng.random_range(0..3)]);
            assert!(maximal_lottery(&ties).unwrap().exploitability < 1e-9);
        }
    }

    #[test]
    fn permuted_items_have_permuted_chances() {
        let matrix = random(9, 7, |rng| rng.random_range(-0.5..0.5));
        let order = [4, 2, 8, 0, 1, 7, 3, 6, 5];
        let (plain, permuted) = (maximal_lottery(&matrix).unwrap(), maximal_lottery(&matrix.select(&order).unwrap()));
        close(&permuted.unwrap().chances, &order.map(|item| plain.chances[item]), 1e-12);
    }

    #[test]
    fn a_clone_takes_nothing_from_others() {
        let matrix = cycle(0.2, 0.1, 0.3);
        let cloned = maximal_lottery(&matrix.select(&[0, 1, 2, 1]).unwrap()).unwrap();
        let chances = [cloned.chances[0], cloned.chances[1] + cloned.chances[3], cloned.chances[2]];
        close(&chances, &[1.0 / 6.0, 1.0 / 2.0, 1.0 / 3.0], 1e-12);
        assert!(!cloned.unique);
    }

    #[test]
    fn whoever_gains_most_and_does_not_play_joins() {
        assert_eq!(best_answers(&[0.1, 0.3, 1e-12, 2e-12, -0.2, 0.2, 0.25], &[5, 4]), [1, 6, 0, 3]);
        let gains: Vec<f64> = (0..100).map(f64::from).collect();
        assert_eq!(best_answers(&gains, &[99]), (67..99).rev().collect::<Vec<_>>());
    }

    #[test]
    fn a_lottery_that_is_nearly_right_is_made_exact() {
        let exact = [1.0 / 6.0, 1.0 / 2.0, 1.0 / 3.0];
        let near = [exact[0] + 1e-7, exact[1] - 2e-7, exact[2] + 1e-7];
        close(&refined(&cycle(0.2, 0.1, 0.3), &near).unwrap(), &exact, 1e-15);
        // A fourth item that loses to all, with what a solver leaves it: more than the first floors.
        let rows: [&[f64]; 4] =
            [&[0.0, 0.2, -0.3, 0.4], &[-0.2, 0.0, 0.1, 0.4], &[0.3, -0.1, 0.0, 0.4], &[-0.4, -0.4, -0.4, 0.0]];
        for little in [5e-9, 5e-8, 5e-6, 5e-4] {
            let got = refined(&matrix(&rows), &[near[0], near[1], near[2] - little, little]).unwrap();
            close(&got, &[exact[0], exact[1], exact[2], 0.0], 1e-15);
        }
        // Nothing is better than a lottery that is exact.
        assert_eq!(refined(&matrix(&[&[0.0, 0.25], &[-0.25, 0.0]]), &[1.0, 0.0]).unwrap(), [1.0, 0.0]);
    }

    #[test]
    fn played_items_are_left_without_a_gain() {
        let game = cycle(0.2, 0.1, 0.3);
        // Gains of 0 and of 2 over the played ones, and the sum.
        let system = played_system(&game, &[0, 2]);
        assert_eq!(system, DMatrix::from_row_slice(3, 3, &[0.0, 0.3, 1.0, -0.3, 0.0, 1.0, 1.0, 1.0, 0.0]));
        close(&equalize(&game, &[0, 1, 2], &[0.0; 3]).unwrap(), &[1.0 / 6.0, 1.0 / 2.0, 1.0 / 3.0], 1e-15);
        assert_eq!(equalize(&game, &[1], &[0.0; 3]), Some(vec![0.0, 1.0, 0.0]));
        // Two even items, of which the mix may be any: the nearest one.
        let even = matrix(&[&[0.0, 0.0, 0.2], &[0.0, 0.0, 0.2], &[-0.2, -0.2, 0.0]]);
        close(&equalize(&even, &[0, 1], &[0.3, 0.7, 0.0]).unwrap(), &[0.3, 0.7, 0.0], 1e-14);
        close(&equalize(&even, &[0, 1], &[0.3, 0.5, 0.0]).unwrap(), &[0.4, 0.6, 0.0], 1e-14);
    }

    #[test]
    fn regular_is_by_the_least_pivot_in_units_of_the_largest() {
        let regular = |pivots: &[f64]| is_regular(&DMatrix::from_diagonal(&DVector::from_column_slice(pivots)));
        assert!(regular(&[1.0, 1e-9]) && regular(&[-2.0, 1.0]) && regular(&[100.0, 2e-8]));
        assert!(!regular(&[1.0, 1e-11]) && !regular(&[1.0, 1e-10]) && !regular(&[100.0, 5e-9]) && !regular(&[0.0]));
    }

    #[test]
    fn a_lottery_is_the_only_one_where_what_is_not_played_loses() {
        let two = matrix(&[&[0.0, 0.5], &[-0.5, 0.0]]);
        assert!(is_unique(&two, &[1.0, 0.0], &[0.0, -1.0]));
        // A gain and a chance of 1e-9 are none.
        assert!(!is_unique(&two, &[1.0, 0.0], &[0.0, -1e-9]) && is_unique(&two, &[1.0, 0.0], &[0.0, -2e-9]));
        assert!(is_unique(&two, &[1.0, 1e-9], &[0.0, -1.0]) && !is_unique(&two, &[1.0, 2e-9], &[0.0, -1.0]));
        let lottery = MaximalLottery { chances: vec![1e-9, 0.4, 2e-9, 0.6], exploitability: 0.0, unique: true };
        assert_eq!(lottery.played(), [3, 1, 2]);
    }

    #[test]
    fn chances_add_up_to_1_and_are_not_far_below_0() {
        assert_eq!(to_simplex(&[2.0, 6.0]), Some(vec![0.25, 0.75]));
        assert_eq!((to_simplex(&[1.0, -1e-6]), to_simplex(&[1.0, -9e-7])), (None, Some(vec![1.0, 0.0])));
    }

    #[test]
    fn what_the_best_answer_gains() {
        // Against the second item of the cycle the first gains 0.2; against the lottery nobody gains anything.
        assert_eq!(exploitability(&cycle(0.2, 0.1, 0.3), &[0.0, 1.0, 0.0]).unwrap(), 0.2);
        assert!(exploitability(&cycle(0.2, 0.1, 0.3), &[1.0]).is_err());
        assert_eq!(to_simplex(&[0.5, -1e-9, 0.5]), Some(vec![0.5, 0.0, 0.5]));
        assert_eq!((to_simplex(&[1.1, -0.1]), to_simplex(&[f64::NAN]), to_simplex(&[0.0])), (None, None, None));
    }
}
