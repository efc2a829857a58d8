//! Maximum likelihood of scores by Newton's method.
//!
//! **Paper:** Rank Analysis of Incomplete Block Designs: I. The Method of Paired Comparisons (R. A. Bradley and M. E. Terry,
//! 1952); for the other links see [`crate::link`].
//! **Use when:** there are up to a few thousand items; exact to rounding in about ten steps, whatever the number of
//! comparisons.
//! **Checked by:** published fits of four and five items, golden numbers (choix), closed forms of two items, the likelihood
//! on tensors.
//! **Deviations:** none.

use accordant_ops::check_domain;
use burn::config::Config;
use nalgebra::{DMatrix, DVector};

use super::{Gauge, Ranking};
use crate::{
    Comparisons, Error, Outcome, Result, WinMatrix,
    comparisons::Ties,
    error::check_length,
    graph::check_connected,
    link::{Link, LogProb, Logit},
    optimize::{Quadratic, Stop, newton},
};

/// Configuration of a fit by Newton's method.
///
/// ```text
/// minimize  −Σ_{i≠j} [ W_ij log P(first; s_i − s_j) + ½ T_ij log P(tie; s_i − s_j) ] + ½ prior Σ_i s_i²
/// ```
#[derive(Config, Debug, PartialEq)]
pub struct NewtonConfig {
    /// The precision of a normal prior on each score, finite and ≥ 0; choix writes it `2α`. 0: maximum likelihood.
    #[config(default = 0.0)]
    pub prior: f64,
    /// What becomes of ties under a link that has none. Half a win each way: the arenas'.
    #[config(default = "Ties::Half")]
    pub ties: Ties,
    /// The level of the scores. With a prior it is the prior's that scores have sum 0, and any other is only a shift.
    #[config(default = "Gauge::SumZero")]
    pub gauge: Gauge,
    /// Converged when no derivative of the objective exceeds this much for each comparison (of weight 1), > 0. 1e-10:
    /// ours, close to rounding.
    #[config(default = 1e-10)]
    pub tolerance: f64,
    /// Steps at most. 100: ours; fewer than 15 are usual.
    #[config(default = 100)]
    pub max_iterations: usize,
}

impl NewtonConfig {
    /// Bradley-Terry scores of the items.
    ///
    /// # Errors
    /// As [`NewtonConfig::fit_link`].
    ///
    /// # Example
    /// ```
    /// use accordant_preference::{Comparisons, ranking::NewtonConfig};
    /// let mut judged = Comparisons::new(2);
    /// judged.push_win(0, 1, 3.0)?;
    /// judged.push_win(1, 0, 1.0)?;
    /// let ranking = NewtonConfig::new().fit(&judged)?;
    /// assert!((ranking.scores[0] - ranking.scores[1] - 3f64.ln()).abs() < 1e-9); // odds of 3 : 1
    /// # Ok::<(), accordant_preference::Error>(())
    /// ```
    #[doc(alias = "Bradley-Terry")]
    pub fn fit(&self, judged: &Comparisons) -> Result<Ranking> {
        self.fit_link(&judged.wins(), &Logit)
    }

    /// Scores of the items under any link, from counts.
    ///
    /// Under a link with ties, their parameter is fitted too; data without a tie have it at −∞, and the scores are those
    /// of the link without ties.
    ///
    /// # Errors
    /// A domain error naming a field; [`Error::NotIdentifiable`] without a prior when the comparisons do not connect all
    /// items; [`Error::Empty`] without a comparison; [`Error::AllTies`] when a link with ties sees nothing else;
    /// [`Error::Ties`] when there are ties and they are refused.
    pub fn fit_link(&self, matrix: &WinMatrix, link: &dyn Link) -> Result<Ranking> {
        check_domain(self.prior.is_finite() && self.prior >= 0.0, "prior", "finite and >= 0", self.prior)?;
        check_domain(self.tolerance > 0.0, "tolerance", "> 0", self.tolerance)?;
        let decided = match link.has_ties() {
            true => matrix.clone(),
            false => matrix.decided(self.ties, link.name())?,
        };
        let problem = Problem::new(&decided, link, self.prior)?;
        if self.prior == 0.0 {
            check_connected(&decided)?;
        }
        let start = DVector::zeros(problem.len());
        let stop = Stop { gradient: self.tolerance * problem.total, max_iterations: self.max_iterations };
        let (at, report) = newton(|at| problem.evaluate(at), start, stop);
        let n = decided.num_items();
        let mut scores = at.as_slice()[..n].to_vec();
        let ties = link.has_ties().then(|| at.get(n).copied().unwrap_or(f64::NEG_INFINITY));
        let log_likelihood = log_likelihood_of(&problem.cells, link, &scores, ties.unwrap_or(0.0));
        self.gauge.fix(&mut scores)?;
        let halved_ties = if link.has_ties() { 0.0 } else { self.ties.halved(matrix) };
        let unobserved = decided.unobserved();
        Ok(Ranking { scores, ties, log_likelihood, report, order_dependent: false, unobserved, halved_ties })
    }
}

/// The log-likelihood of counts at given scores, in nats; `ties` is the parameter of ties of a link that has one.
///
/// # Errors
/// [`Error::Length`] naming `scores`; [`Error::Ties`] when there are ties and the link has none; [`Error::Empty`] without a
/// comparison.
///
/// # Example
/// ```
/// use accordant_preference::{Comparisons, link::Logit, ranking::newton::log_likelihood};
/// let mut judged = Comparisons::new(2);
/// judged.push_win(0, 1, 3.0)?;
/// let value = log_likelihood(&judged.wins(), &Logit, &[3f64.ln(), 0.0], 0.0)?;
/// assert!((value - 3.0 * 0.75f64.ln()).abs() < 1e-15);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
pub fn log_likelihood(matrix: &WinMatrix, link: &dyn Link, scores: &[f64], ties: f64) -> Result<f64> {
    check_length("scores", matrix.num_items(), scores.len())?;
    if !link.has_ties() {
        matrix.decided(Ties::Refuse, link.name())?;
    }
    let cells = cells(matrix);
    if cells.is_empty() {
        return Err(Error::Empty { name: "comparisons", reason: "none has a weight" });
    }
    Ok(log_likelihood_of(&cells, link, scores, ties))
}

fn log_likelihood_of(cells: &[Cell], link: &dyn Link, scores: &[f64], rho: f64) -> f64 {
    let log_prob = |c: &Cell| c.weight * link.log_prob(c.outcome, scores[c.i] - scores[c.j], rho).value;
    cells.iter().map(log_prob).sum()
}

/// The cells that have a weight.
fn cells(matrix: &WinMatrix) -> Vec<Cell> {
    let num_items = matrix.num_items();
    let mut cells = Vec::new();
    for i in 0..num_items {
        for (j, (&wins, &ties)) in matrix.win_row(i).iter().zip(matrix.tie_row(i)).enumerate() {
            if wins > 0.0 {
                cells.push(Cell { i, j, outcome: Outcome::First, weight: wins });
            }
            if i < j && ties > 0.0 {
                cells.push(Cell { i, j, outcome: Outcome::Tie, weight: ties });
            }
        }
    }
    cells
}

/// One cell of the counts: two items, an outcome and its weight.
pub(super) struct Cell {
    i: usize,
    j: usize,
    outcome: Outcome,
    weight: f64,
}

/// What is minimized.
pub(super) struct Problem<'a> {
    num_items: usize,
    cells: Vec<Cell>,
    link: &'a dyn Link,
    prior: f64,
    total: f64,
    /// Whether the parameter of ties is fitted; it stands behind the scores.
    fits_ties: bool,
}

impl<'a> Problem<'a> {
    pub(super) fn new(matrix: &WinMatrix, link: &'a dyn Link, prior: f64) -> Result<Self> {
        let num_items = matrix.num_items();
        let cells = cells(matrix);
        let of = |tie: bool| cells.iter().filter(move |cell| (cell.outcome == Outcome::Tie) == tie);
        let (wins, ties): (f64, f64) = (of(false).map(|c| c.weight).sum(), of(true).map(|c| c.weight).sum());
        if wins + ties == 0.0 {
            return Err(Error::Empty { name: "comparisons", reason: "none has a weight" });
        }
        if wins == 0.0 {
            return Err(Error::AllTies);
        }
        Ok(Self { num_items, cells, link, prior, total: wins + ties, fits_ties: link.has_ties() && ties > 0.0 })
    }

    pub(super) fn len(&self) -> usize {
        self.num_items + usize::from(self.fits_ties)
    }

    /// The parameter of ties at a point; without a tie in the data its estimate is −∞.
    fn rho(&self, at: &[f64]) -> f64 {
        if self.fits_ties { at[self.num_items] } else { f64::NEG_INFINITY }
    }

    pub(super) fn evaluate(&self, at: &DVector<f64>) -> Quadratic {
        let (n, len) = (self.num_items, self.len());
        let rho = self.rho(at.as_slice());
        let mut value = 0.0;
        let mut gradient = DVector::zeros(len);
        let mut hessian = DMatrix::zeros(len, len);
        for &Cell { i, j, outcome, weight } in &self.cells {
            let LogProb { value: log_prob, d, rho, d_d, d_rho, rho_rho } =
                self.link.log_prob(outcome, at[i] - at[j], rho);
            value -= weight * log_prob;
            gradient[i] -= weight * d;
            gradient[j] += weight * d;
            for (a, b, sign) in [(i, i, -1.0), (j, j, -1.0), (i, j, 1.0), (j, i, 1.0)] {
                hessian[(a, b)] += sign * weight * d_d;
            }
            if self.fits_ties {
                gradient[n] -= weight * rho;
                hessian[(n, n)] -= weight * rho_rho;
                for (a, sign) in [(i, -1.0), (j, 1.0)] {
                    hessian[(a, n)] += sign * weight * d_rho;
                    hessian[(n, a)] += sign * weight * d_rho;
                }
            }
        }
        for i in 0..n {
            value += 0.5 * self.prior * at[i] * at[i];
            gradient[i] += self.prior * at[i];
            hessian[(i, i)] += self.prior;
        }
        if self.prior == 0.0 {
            // The level of the scores, which nothing else sees: the gradient has no part in it, so that this changes no
            // step and only makes the Hessian regular.
            let level = self.total / (n * n) as f64;
            (0..n).for_each(|a| (0..n).for_each(|b| hessian[(a, b)] += level));
        }
        Quadratic { value, gradient, hessian }
    }
}

#[cfg(test)]
mod tests {
    use accordant_laws::gradient::check_gradient;

    use super::*;
    use crate::link::{Davidson, Probit, RaoKupper};
    use crate::ranking::fixtures::{close, five, four};

    #[test]
    fn four_items_as_published() {
        // Printed to eight digits, computed to about 1e-7.
        let ranking = NewtonConfig::new().fit(&four()).unwrap();
        assert!(ranking.report.converged && ranking.report.iterations < 15, "{:?}", ranking.report);
        close(&ranking.scores, &[-0.44654524, 0.04240257, -0.41580307, 0.81994573], 1e-8);
        assert!((ranking.log_likelihood + 13.42845008).abs() < 1e-8);
        close(&ranking.ratings(Default::default()), &[922.4271, 1007.3661, 927.7676, 1142.4392], 1e-4);
        let probit = NewtonConfig::new().fit_link(&four().wins(), &Probit).unwrap();
        close(&probit.scores, &[-0.27594264, 0.03101251, -0.25385330, 0.49878343], 1e-6);
        assert!((probit.log_likelihood + 13.42823282).abs() < 1e-8);
        let prior = NewtonConfig::new().with_prior(1.0).fit(&four()).unwrap();
        close(&prior.scores, &[-0.35447295, 0.10225531, -0.32228627, 0.57450391], 1e-8);
        assert!(prior.log_likelihood < ranking.log_likelihood);
    }

    #[test]
    fn the_unit_of_the_weights_does_not_decide_when_it_has_converged() {
        for unit in [1e-9, 1e9] {
            let mut judged = Comparisons::new(4);
            for record in four().records() {
                judged.push_weighted(record.first, record.second, record.outcome, unit).unwrap();
            }
            let fit = NewtonConfig::new().fit(&judged).unwrap();
            assert!(fit.report.converged, "{unit}: {:?}", fit.report);
            close(&fit.scores, &[-0.44654524, 0.04240257, -0.41580307, 0.81994573], 1e-8);
        }
    }

    #[test]
    fn five_items_with_ties_as_published() {
        let half = NewtonConfig::new().fit(&five()).unwrap();
        close(&half.scores, &[-1.14427812, -0.19582105, -0.19175015, 0.74758452, 0.78426479], 1e-8);
        // Made with 30 digits.
        let davidson = NewtonConfig::new().fit_link(&five().wins(), &Davidson).unwrap();
        close(&davidson.scores, &[-3.94571759, -0.66033517, -0.65788314, 2.62302994, 2.64090596], 1e-8);
        assert!((davidson.ties.unwrap().exp() - 6.92199823).abs() < 1e-8);
        assert!((davidson.log_likelihood + 11.00599312).abs() < 1e-8);
        let rao_kupper = NewtonConfig::new().fit_link(&five().wins(), &RaoKupper).unwrap();
        close(&rao_kupper.scores, &[-2.11214271, -0.33351631, -0.35120635, 1.45849368, 1.33837168], 1e-6);
        assert!((rao_kupper.ties.unwrap().exp() + 1.0 - 8.33938349).abs() < 1e-6);
        assert!((rao_kupper.log_likelihood + 11.08570333).abs() < 1e-8);
        // They order the two best, and the second and third, the other way round.
        assert_eq!(davidson.order()[..2], [4, 3]);
        assert_eq!(rao_kupper.order()[..2], [3, 4]);
    }

    #[test]
    fn eight_items_with_a_prior_as_published() {
        let wins = [(7, 3), (2, 0), (5, 2), (4, 2), (2, 1), (4, 5), (6, 3), (5, 4), (7, 0), (2, 3)];
        let more = [(4, 0), (0, 4), (6, 5), (3, 2), (3, 4), (3, 4), (5, 2), (7, 3), (7, 6), (6, 5)];
        let mut judged = Comparisons::new(8);
        wins.into_iter().chain(more).for_each(|(winner, loser)| judged.push_win(winner, loser, 1.0).unwrap());
        let ranking = NewtonConfig::new().with_prior(1.0).fit(&judged).unwrap();
        let low = [-0.51974039, -0.46280878, -0.31376862, -0.06854694];
        close(&ranking.scores[..4], &low, 1e-8);
        close(&ranking.scores[4..], &[-0.31851460, -0.00346107, 0.63032783, 1.05651257], 1e-8);
    }

    #[test]
    fn two_items_have_closed_forms() {
        let mut judged = Comparisons::new(2);
        judged.push_win(0, 1, 6.0).unwrap();
        judged.push_win(1, 0, 2.0).unwrap();
        judged.push_weighted(0, 1, Outcome::Tie, 4.0).unwrap();
        let fit = |link: &dyn Link| {
            let ranking = NewtonConfig::new().fit_link(&judged.wins(), link).unwrap();
            (ranking.scores[0] - ranking.scores[1], ranking.ties.unwrap())
        };
        let (d, rho) = fit(&Davidson);
        assert!((d - 3f64.ln()).abs() < 1e-9 && (rho - (4.0 / 12f64.sqrt()).ln()).abs() < 1e-9);
        let (d, rho) = fit(&RaoKupper);
        assert!((d - 0.5 * 5f64.ln()).abs() < 1e-9 && (rho - (5f64.sqrt() - 1.0).ln()).abs() < 1e-9);
    }

    #[test]
    fn the_objective_has_the_derivatives_that_newton_uses() {
        for (link, prior) in [(&Logit as &dyn Link, 0.3), (&Davidson, 0.0), (&RaoKupper, 0.0), (&Probit, 1.0)] {
            let matrix = if link.has_ties() { five().wins() } else { five().wins().decided(Ties::Half, "").unwrap() };
            let problem = Problem::new(&matrix, link, prior).unwrap();
            let at: Vec<f64> = [0.3, -0.2, 0.5, 0.1, -0.7, 0.4][..problem.len()].to_vec();
            let evaluate = |x: &[f64]| problem.evaluate(&DVector::from_column_slice(x));
            let here = evaluate(&at);
            check_gradient(|x| evaluate(x).value, &at, here.gradient.as_slice()).unwrap();
            // The level's term is no part of the second derivatives.
            let level = if prior == 0.0 { problem.total / 25.0 } else { 0.0 };
            for row in 0..problem.len() {
                let row_of =
                    |column: usize| here.hessian[(row, column)] - if row.max(column) < 5 { level } else { 0.0 };
                let expected: Vec<f64> = (0..problem.len()).map(row_of).collect();
                check_gradient(|x| evaluate(x).gradient[row], &at, &expected).unwrap();
            }
        }
    }

    #[test]
    fn without_a_tie_models_of_ties_are_at_their_boundary() {
        for link in [&Davidson as &dyn Link, &RaoKupper] {
            let ranking = NewtonConfig::new().fit_link(&four().wins(), link).unwrap();
            assert_eq!(ranking.ties, Some(f64::NEG_INFINITY));
            close(&ranking.scores, &NewtonConfig::new().fit(&four()).unwrap().scores, 1e-9);
            assert!((ranking.log_likelihood + 13.42845008).abs() < 1e-8);
        }
    }

    #[test]
    fn nothing_but_ties_is_an_error() {
        let mut judged = Comparisons::new(2);
        judged.push(0, 1, Outcome::Tie).unwrap();
        for link in [&Davidson as &dyn Link, &RaoKupper] {
            assert!(matches!(NewtonConfig::new().fit_link(&judged.wins(), link), Err(Error::AllTies)));
        }
        let ranking = NewtonConfig::new().fit(&judged).unwrap();
        assert_eq!(ranking.scores, [0.0, 0.0], "half a win each way");
    }

    #[test]
    fn a_table_that_is_not_connected_needs_a_prior() {
        let mut judged = Comparisons::new(3);
        judged.push_win(0, 1, 1.0).unwrap();
        judged.push_win(1, 0, 2.0).unwrap();
        let error = NewtonConfig::new().fit(&judged).unwrap_err();
        assert!(matches!(&error, Error::NotIdentifiable { components } if components.len() == 2), "{error}");
        let ranking = NewtonConfig::new().with_prior(0.1).fit(&judged).unwrap();
        assert!(ranking.report.converged);
        assert!(ranking.scores[1] > 0.0 && ranking.scores[2].abs() < 1e-9, "{:?}", ranking.scores);
        assert!(matches!(NewtonConfig::new().fit(&Comparisons::new(3)), Err(Error::Empty { .. })));
    }

    #[test]
    fn gauges_and_ties_do_as_they_say() {
        let fit = |config: NewtonConfig| config.fit(&five());
        let mean = fit(NewtonConfig::new().with_gauge(Gauge::Mean(2.0))).unwrap();
        assert!((mean.scores.iter().sum::<f64>() - 10.0).abs() < 1e-9);
        assert!(matches!(fit(NewtonConfig::new().with_ties(Ties::Refuse)), Err(Error::Ties { count: 9, .. })));
        let dropped = fit(NewtonConfig::new().with_ties(Ties::Drop));
        assert!(matches!(dropped, Err(Error::NotIdentifiable { .. })), "ties held the table together");
    }

    #[test]
    fn the_likelihood_at_given_scores_is_the_fits() {
        let fit = NewtonConfig::new().fit_link(&five().wins(), &RaoKupper).unwrap();
        let value = log_likelihood(&five().wins(), &RaoKupper, &fit.scores, fit.ties.unwrap()).unwrap();
        assert!((value - fit.log_likelihood).abs() < 1e-12);
        assert!(matches!(log_likelihood(&five().wins(), &Logit, &[0.0; 5], 0.0), Err(Error::Ties { count: 9, .. })));
        assert!(matches!(log_likelihood(&four().wins(), &Logit, &[0.0; 3], 0.0), Err(Error::Length { .. })));
        assert!(matches!(log_likelihood(&WinMatrix::new(2), &Logit, &[0.0; 2], 0.0), Err(Error::Empty { .. })));
    }

    #[test]
    fn settings_out_of_their_domains_are_refused_by_name() {
        for prior in [-1.0, f64::NAN, f64::INFINITY] {
            let error = NewtonConfig::new().with_prior(prior).fit(&four()).unwrap_err();
            assert!(error.to_string().starts_with("`prior`: expected finite and >= 0"), "{error}");
        }
        for tolerance in [0.0, f64::NAN] {
            let error = NewtonConfig::new().with_tolerance(tolerance).fit(&four()).unwrap_err();
            assert!(error.to_string().starts_with("`tolerance`"), "{error}");
        }
        let ranking = NewtonConfig::new().with_max_iterations(1).fit(&four()).unwrap();
        assert!(!ranking.report.converged, "one step is not enough, and it says so");
        let defaults = NewtonConfig::new();
        assert_eq!((defaults.prior, defaults.tolerance, defaults.max_iterations), (0.0, 1e-10, 100));
        assert_eq!((defaults.ties, defaults.gauge), (Ties::Half, Gauge::SumZero));
    }
}
