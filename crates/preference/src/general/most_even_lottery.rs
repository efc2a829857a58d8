//! Of several maximal lotteries the one with the largest entropy.
//!
//! **Status:** library definition.
//! **Use when:** pairs are even, so that there are several maximal lotteries, and which one is drawn from must not depend on
//! the order of the items or on a solver.
//! **Checked by:** hand-worked games, permutations, no mixture of other maximal lotteries has a larger entropy.
//! **Deviations:** none.

use microlp::{ComparisonOp, OptimizationDirection, Problem};
use nalgebra::{DMatrix, DVector};

use super::{
    PreferenceMatrix,
    lottery::{MaximalLottery, exploitability, in_largest_margins, maximal_lottery},
};
use crate::{
    Error, Result,
    optimize::{Quadratic, Stop, newton},
};

/// A gain of more than this share of the largest margin is one.
const NOTHING: f64 = 1e-11;
/// Each round adds or drops a condition; far fewer than two for each item are usual.
const ROUNDS: usize = 10_000;

/// The maximal lottery of the largest entropy, which is the only one of its entropy.
///
/// ```text
/// max −Σ_i p_i log p_i   over the maximal lotteries p
/// ```
///
/// First by a linear program, which items any maximal lottery plays: none of them gains anything against one. Then by Newton's
/// method on the dual, `p_i ∝ exp(Σ_j λ_j m_ij)`, with the other items' gains added one by one where they are positive.
///
/// # Errors
/// As [`maximal_lottery`]; [`Error::Combination`] when rounding leaves no lottery that satisfies all conditions.
///
/// # Example
/// ```
/// use accordant_preference::general::{PreferenceMatrix, most_even_lottery::most_even_lottery};
/// // The first two are even, and both beat the third.
/// let game = [vec![0.5, 0.5, 0.6], vec![0.5, 0.5, 0.8], vec![0.4, 0.2, 0.5]];
/// let lottery = most_even_lottery(&PreferenceMatrix::from_rows(&game)?)?;
/// for (chance, expected) in lottery.chances.iter().zip([0.5, 0.5, 0.0]) {
///     assert!((chance - expected).abs() < 1e-9);
/// }
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[doc(alias = "maximum entropy")]
pub fn most_even_lottery(matrix: &PreferenceMatrix) -> Result<MaximalLottery> {
    let found = maximal_lottery(matrix)?;
    let (false, Some(game)) = (found.unique, in_largest_margins(matrix)) else { return Ok(found) };
    let played = playable(&game)?;
    let mut problem = Entropy { game: &game, basis: row_space(&game, &played), binding: Vec::new(), played: &played };
    for _ in 0..ROUNDS {
        let (chances, multipliers) = problem.solve()?;
        if let Some(place) = most_negative(&multipliers) {
            problem.binding.remove(place);
            continue;
        }
        match most_gaining(&game.gains(&chances)?, &played, &problem.binding) {
            Some(item) => problem.binding.push(item),
            None => {
                return Ok(MaximalLottery {
                    exploitability: exploitability(matrix, &chances)?,
                    chances,
                    unique: found.unique,
                });
            }
        }
    }
    Err(Error::Combination { what: "the most even lottery", reason: "its conditions do not settle" })
}

/// The place of the multiplier that is furthest below 0, if one is.
fn most_negative(multipliers: &[f64]) -> Option<usize> {
    let least = (0..multipliers.len()).min_by(|&a, &b| multipliers[a].total_cmp(&multipliers[b]));
    least.filter(|&place| multipliers[place] < -NOTHING)
}

/// The item that gains most of those that are not played and not bound, if one gains anything.
fn most_gaining(gains: &[f64], played: &[usize], binding: &[usize]) -> Option<usize> {
    let others = (0..gains.len()).filter(|item| !played.contains(item)).filter(|item| !binding.contains(item));
    others.max_by(|&a, &b| gains[a].total_cmp(&gains[b])).filter(|&item| gains[item] > NOTHING)
}

/// The items that some maximal lottery plays.
///
/// Multiples of maximal lotteries can be added up: one sum plays each of these items at least once, and no other item.
fn playable(game: &PreferenceMatrix) -> Result<Vec<usize>> {
    let n = game.num_items();
    let mut problem = Problem::new(OptimizationDirection::Maximize);
    let times: Vec<_> = (0..n).map(|_| problem.add_var(0.0, (0.0, f64::INFINITY))).collect();
    let once: Vec<_> = (0..n).map(|_| problem.add_var(1.0, (0.0, 1.0))).collect();
    for j in 0..n {
        problem.add_constraint([(times[j], 1.0), (once[j], -1.0)], ComparisonOp::Ge, 0.0);
        let row: Vec<_> = times.iter().enumerate().map(|(i, &t)| (t, game.margin(i, j))).collect();
        problem.add_constraint(row, ComparisonOp::Ge, 0.0);
    }
    let failed = |source| Error::LinearProgram { what: "items of maximal lotteries", source };
    let solution = problem.solve().map_err(failed)?;
    let solution = solution.into_solution().expect("without a limit of time, a solver ends with a solution");
    Ok((0..n).filter(|&i| solution.var_value(once[i]) > 0.5).collect())
}

/// An orthonormal basis, in rows, of the conditions that the played items' gains against each other are 0.
fn row_space(game: &PreferenceMatrix, played: &[usize]) -> DMatrix<f64> {
    let k = played.len();
    let svd = DMatrix::from_fn(k, k, |j, i| game.margin(played[i], played[j])).svd(false, true);
    let rows = svd.v_t.expect("it was asked for");
    let kept: Vec<usize> = (0..k).filter(|&at| svd.singular_values[at] > 1e-10).collect();
    rows.select_rows(&kept)
}

/// The largest entropy of lotteries over played items that satisfy linear conditions with equality.
struct Entropy<'a> {
    game: &'a PreferenceMatrix,
    played: &'a [usize],
    basis: DMatrix<f64>,
    /// Items that are not played, and whose gain is to be 0, too.
    binding: Vec<usize>,
}

impl Entropy<'_> {
    /// The lottery, and the multipliers of the binding items.
    fn solve(&self) -> Result<(Vec<f64>, Vec<f64>)> {
        let (first, k) = (self.basis.nrows(), self.played.len());
        let conditions = DMatrix::from_fn(first + self.binding.len(), k, |row, at| match row < first {
            true => self.basis[(row, at)],
            false => self.game.margin(self.played[at], self.binding[row - first]),
        });
        let stop = Stop { gradient: 1e-13, max_iterations: 500 };
        let (multipliers, report) = newton(|at| dual(&conditions, at).0, DVector::zeros(conditions.nrows()), stop);
        // Where rounding stops the last step, what is left is still far below what counts as a gain.
        if report.gradient_norm > NOTHING {
            return Err(Error::Combination {
                what: "the most even lottery",
                reason: "no lottery satisfies its conditions",
            });
        }
        let mut chances = vec![0.0; self.game.num_items()];
        let lottery = dual(&conditions, &multipliers).1;
        self.played.iter().zip(&lottery).for_each(|(&item, chance)| chances[item] = *chance);
        Ok((chances, multipliers.as_slice()[first..].to_vec()))
    }
}

/// `log Σ_i exp(Σ_j λ_j c_ji)` for conditions c, and the lottery whose gains its gradient is.
fn dual(conditions: &DMatrix<f64>, multipliers: &DVector<f64>) -> (Quadratic, DVector<f64>) {
    let logits = conditions.tr_mul(multipliers);
    let value = accordant_ops::host::log_sum_exp(logits.as_slice());
    let chances = DVector::from_vec(accordant_ops::host::softmax(logits.as_slice()));
    let gradient = conditions * &chances;
    let weighed = DMatrix::from_fn(conditions.nrows(), chances.len(), |row, at| conditions[(row, at)] * chances[at]);
    let hessian = weighed * conditions.transpose() - &gradient * gradient.transpose();
    (Quadratic { value, gradient, hessian }, chances)
}

#[cfg(test)]
mod tests {
    use accordant_laws::gradient::check_gradient;
    use rand::Rng;

    use super::*;
    use crate::random::{Purpose, stream};

    fn matrix(rows: &[&[f64]]) -> PreferenceMatrix {
        PreferenceMatrix::from_margins(&rows.iter().map(|row| row.to_vec()).collect::<Vec<_>>()).unwrap()
    }

    #[track_caller]
    fn is(matrix: &PreferenceMatrix, expected: &[f64]) {
        let lottery = most_even_lottery(matrix).unwrap();
        let same = lottery.chances.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-9);
        assert!(same && lottery.exploitability < 1e-11 && !lottery.unique, "{lottery:?}");
    }

    fn entropy(chances: &[f64]) -> f64 {
        chances.iter().filter(|p| **p > 0.0).map(|p| -p * p.ln()).sum()
    }

    #[test]
    fn even_items_are_drawn_evenly() {
        is(&matrix(&[&[0.0; 3], &[0.0; 3], &[0.0; 3]]), &[1.0 / 3.0; 3]);
        is(&matrix(&[&[0.0, 0.0, 0.2], &[0.0, 0.0, 0.2], &[-0.2, -0.2, 0.0]]), &[0.5, 0.5, 0.0]);
        // Margins of 1e-9: units do not matter.
        is(&matrix(&[&[0.0, 0.0, 1e-9], &[0.0, 0.0, 3e-9], &[-1e-9, -3e-9, 0.0]]), &[0.5, 0.5, 0.0]);
        // A circle of margins 0.2, 0.1, 0.3 with its second item twice: the closed form, that item's half shared.
        let circle = matrix(&[&[0.0, 0.2, -0.3], &[-0.2, 0.0, 0.1], &[0.3, -0.1, 0.0]]);
        is(&circle.select(&[0, 1, 2, 1]).unwrap(), &[1.0 / 6.0, 1.0 / 4.0, 1.0 / 3.0, 1.0 / 4.0]);
    }

    #[test]
    fn two_circles_that_are_even_with_each_other_share_by_their_entropies() {
        // Lotteries (1/6, 1/2, 1/3) within one and the uniform one within the other; mixed in proportion to e^H.
        let margins = [[0.0, 0.2, -0.3], [-0.2, 0.0, 0.1], [0.3, -0.1, 0.0]];
        let mut rows = vec![vec![0.0; 6]; 6];
        for (i, j) in (0..3).flat_map(|i| (0..3).map(move |j| (i, j))) {
            rows[i][j] = margins[i][j];
            rows[3 + i][3 + j] = [0.0, 0.5, -0.5][(3 + j - i) % 3];
        }
        let one = [1.0 / 6.0, 1.0 / 2.0, 1.0 / 3.0];
        let (a, b) = (entropy(&one).exp(), 3.0);
        let expected: Vec<f64> = one.iter().map(|p| p * a / (a + b)).chain([b / (a + b) / 3.0; 3]).collect();
        is(&PreferenceMatrix::from_margins(&rows).unwrap(), &expected);
    }

    #[test]
    fn an_item_that_is_not_played_limits_those_that_are() {
        // The third beats the first by 0.4 and loses to the second by 0.1: it gains unless p₁ ≤ 0.2.
        let game = matrix(&[&[0.0, 0.0, -0.4], &[0.0, 0.0, 0.1], &[0.4, -0.1, 0.0]]);
        is(&game, &[0.2, 0.8, 0.0]);
        // A fourth that asks for p₁ ≤ 0.1 is the one that limits, whichever comes first.
        let rows: [&[f64]; 4] =
            [&[0.0, 0.0, -0.4, -0.45], &[0.0, 0.0, 0.1, 0.05], &[0.4, -0.1, 0.0, 0.0], &[0.45, -0.05, 0.0, 0.0]];
        is(&matrix(&rows), &[0.1, 0.9, 0.0, 0.0]);
        is(&matrix(&rows).select(&[3, 1, 2, 0]).unwrap(), &[0.0, 0.9, 0.0, 0.1]);
        // The entropy of (½, ½) is not limited by one that asks for p₁ ≤ 0.9.
        let loose = matrix(&[&[0.0, 0.0, -0.05], &[0.0, 0.0, 0.45], &[0.05, -0.45, 0.0]]);
        is(&loose, &[0.5, 0.5, 0.0]);
    }

    #[test]
    fn no_mixture_of_maximal_lotteries_is_more_even_and_the_order_of_items_does_not_matter() {
        let mut several = 0;
        for index in 0..60 {
            let mut rng = stream(5, Purpose::World, index);
            let n = rng.random_range(3..9);
            let mut rows = vec![vec![0.0; n]; n];
            for (i, j) in (0..n).flat_map(|i| (i + 1..n).map(move |j| (i, j))) {
                rows[i][j] = [-0.5, -0.2, 0.0, 0.0, 0.2, 0.5][rng.random_range(0..6)];
                rows[j][i] = -rows[i][j];
            }
            let matrix = PreferenceMatrix::from_margins(&rows).unwrap();
            let even = most_even_lottery(&matrix).unwrap();
            assert!(even.exploitability < 1e-9);
            several += usize::from(!even.unique);
            for turn in 0..n {
                let order: Vec<usize> = (0..n).map(|i| (i + turn) % n).collect();
                let turned = matrix.select(&order).unwrap();
                let same = most_even_lottery(&turned).unwrap();
                assert!(order.iter().zip(&same.chances).all(|(&item, p)| (even.chances[item] - p).abs() < 1e-6));
                let other = maximal_lottery(&turned).unwrap();
                for share in [0.1, 0.5, 1.0] {
                    let mixed: Vec<f64> =
                        (0..n).map(|i| (1.0 - share) * same.chances[i] + share * other.chances[i]).collect();
                    assert!(entropy(&mixed) <= entropy(&even.chances) + 1e-9, "{index}");
                }
            }
        }
        assert!(several > 10, "{several}");
    }

    #[test]
    fn conditions_are_dropped_and_added_one_by_one() {
        assert_eq!(most_negative(&[0.5, -2e-11, -3.0, -1.0]), Some(2));
        assert_eq!((most_negative(&[1e-12, -1e-11]), most_negative(&[0.0]), most_negative(&[])), (None, None, None));
        let gains = [0.3, 0.5, 1e-11, 0.4, -1.0];
        assert_eq!(most_gaining(&gains, &[1], &[]), Some(3));
        assert_eq!(most_gaining(&gains, &[1], &[3]), Some(0));
        assert_eq!(most_gaining(&gains, &[1, 0], &[3]), None);
        assert_eq!(most_gaining(&[2e-11], &[], &[]), Some(0));
    }

    #[test]
    fn the_dual_has_the_derivatives_that_newton_uses() {
        let conditions = DMatrix::from_row_slice(2, 3, &[0.5, -0.2, 1.0, -0.7, 0.3, 0.4]);
        let of = |at: &[f64]| dual(&conditions, &DVector::from_column_slice(at)).0;
        let (at, here) = ([0.4, -1.1], of(&[0.4, -1.1]));
        check_gradient(|x| of(x).value, &at, here.gradient.as_slice()).unwrap();
        for row in 0..2 {
            let expected: Vec<f64> = here.hessian.row(row).iter().copied().collect();
            check_gradient(|x| of(x).gradient[row], &at, &expected).unwrap();
        }
    }

    #[test]
    fn conditions_that_no_lottery_satisfies_are_an_error() {
        let game = matrix(&[&[0.0, 0.0], &[0.0, 0.0]]);
        let of = |basis: [f64; 2]| {
            let basis = DMatrix::from_row_slice(1, 2, &basis);
            Entropy { game: &game, basis, binding: Vec::new(), played: &[0, 1] }.solve()
        };
        // One gains whatever is drawn.
        assert!(matches!(of([0.6, 0.8]), Err(Error::Combination { what: "the most even lottery", .. })));
        let (chances, multipliers) = of([0.25, -0.75]).unwrap();
        assert!((chances[0] - 0.75).abs() < 1e-12 && multipliers.is_empty());
    }

    #[test]
    fn a_lottery_that_is_the_only_one_stays_as_it_is() {
        let circle = matrix(&[&[0.0, 0.2, -0.3], &[-0.2, 0.0, 0.1], &[0.3, -0.1, 0.0]]);
        assert_eq!(most_even_lottery(&circle).unwrap(), maximal_lottery(&circle).unwrap());
        let one = most_even_lottery(&matrix(&[&[0.0]])).unwrap();
        assert_eq!((one.chances, one.unique), (vec![1.0], true));
    }

    #[test]
    fn items_that_any_maximal_lottery_plays() {
        let game = |rows| in_largest_margins(&matrix(rows)).unwrap();
        assert_eq!(playable(&game(&[&[0.0, 0.0, 0.2], &[0.0, 0.0, 0.2], &[-0.2, -0.2, 0.0]])).unwrap(), [0, 1]);
        assert_eq!(playable(&game(&[&[0.0, 0.1], &[-0.1, 0.0]])).unwrap(), [0]);
        // The limited one of 0.2 at most is played, too.
        assert_eq!(playable(&game(&[&[0.0, 0.0, -0.4], &[0.0, 0.0, 0.1], &[0.4, -0.1, 0.0]])).unwrap(), [0, 1]);
    }
}
