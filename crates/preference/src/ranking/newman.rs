//! Newman's iterations.
//!
//! **Paper:** Efficient Computation of Rankings from Pairwise Comparisons (M. E. J. Newman, 2023), 2207.00076.
//! **Use when:** there are many items or many refits: each step is one pass over the table, and a few dozen are enough.
//! **Checked by:** published first step, fit and number of steps of four items; golden numbers (evalica); Newton, with ties
//! and without.
//! **Deviations:** strengths are divided by their geometric mean after each step, which changes no chance. The published
//! strength of ties of the five items of evalica's tests, 3.46096645, is that of 100 steps of a parallel form; the maximum
//! has 3.46099911.

use accordant_ops::check_domain;
use burn::config::Config;
use nalgebra::DVector;

use super::{
    Gauge, Ranking,
    newton::Problem,
    strengths::{Dense, iterate},
};
use crate::{Comparisons, Report, Result, WinMatrix, comparisons::Ties, graph::check_connected, link::Davidson};

/// Configuration of a fit by Newman's iterations.
///
/// ```text
/// p_i ← [ Σ_j H_ij p_j / (p_i + p_j) ] / [ Σ_j H_ji / (p_i + p_j) ]
/// ```
/// with `H` the wins and half of the ties; items move one after the other, each seeing the moves before it.
#[derive(Config, Debug, PartialEq)]
pub struct NewmanConfig {
    /// What becomes of ties in [`NewmanConfig::fit`].
    #[config(default = "Ties::Half")]
    pub ties: Ties,
    /// The level of the scores.
    #[config(default = "Gauge::SumZero")]
    pub gauge: Gauge,
    /// Converged when no score, nor the logarithm of the strength of ties, moves by this much in a step, > 0. 1e-10: ours.
    #[config(default = 1e-10)]
    pub tolerance: f64,
    /// Steps at most. 10 000: ours.
    #[config(default = 10_000)]
    pub max_iterations: usize,
}

impl NewmanConfig {
    /// Bradley-Terry scores of the items.
    ///
    /// # Errors
    /// As [`NewmanConfig::fit_matrix`].
    ///
    /// # Example
    /// ```
    /// use accordant_preference::{Comparisons, ranking::NewmanConfig};
    /// let mut judged = Comparisons::new(2);
    /// judged.push_win(0, 1, 3.0)?;
    /// judged.push_win(1, 0, 1.0)?;
    /// let ranking = NewmanConfig::new().fit(&judged)?;
    /// assert!((ranking.scores[0] - ranking.scores[1] - 3f64.ln()).abs() < 1e-9); // odds of 3 : 1
    /// # Ok::<(), accordant_preference::Error>(())
    /// ```
    #[doc(alias = "2207.00076")]
    pub fn fit(&self, judged: &Comparisons) -> Result<Ranking> {
        self.fit_matrix(&judged.wins())
    }

    /// The same from counts.
    ///
    /// # Errors
    /// A domain error naming a field; [`crate::Error::NotIdentifiable`] when the comparisons do not connect all items;
    /// [`crate::Error::Ties`] when there are ties and they are refused.
    pub fn fit_matrix(&self, matrix: &WinMatrix) -> Result<Ranking> {
        self.check()?;
        let table = Dense::new(matrix, self.ties, "newman", true)?;
        let step = |strengths: &mut [f64]| {
            for i in 0..table.n {
                let (won, lost) = table.rows(i);
                strengths[i] = moved(strengths, strengths[i], won, lost);
            }
        };
        let (strengths, converged, steps) = iterate(table.n, self.tolerance, self.max_iterations, step);
        table.ranking(&strengths, self.gauge, converged, steps)
    }

    /// Scores and the strength of ties of Davidson's model; `ties` of the ranking is `ln ν`, and evalica's `v = ν / 2`.
    ///
    /// ```text
    /// D_ij = p_i + p_j + 2 v √(p_i p_j)
    /// p_i ← [ Σ_j H_ij (p_j + v √(p_i p_j)) / D_ij ] / [ Σ_j H_ji (1 + v √(p_j / p_i)) / D_ij ]
    /// v   ← [ ½ Σ_ij T_ij (p_i + p_j) / D_ij ] / [ 2 Σ_ij W_ij √(p_i p_j) / D_ij ]
    /// ```
    ///
    /// # Errors
    /// As [`NewmanConfig::fit_matrix`], and [`crate::Error::AllTies`] when there is no win.
    pub fn fit_davidson(&self, matrix: &WinMatrix) -> Result<Ranking> {
        self.check()?;
        check_connected(matrix)?;
        let problem = Problem::new(matrix, &Davidson, 0.0)?;
        let n = matrix.num_items();
        let halves = Dense::new(matrix, Ties::Half, "newman", true)?;
        // The strength of ties is one more strength, behind the items; it moves with them and is not centered.
        let (mut strengths, mut logs) = (vec![1.0_f64; n], vec![0.0; n]);
        let mut v: f64 = 0.5;
        let (mut converged, mut iterations) = (false, 0);
        while !converged && iterations < self.max_iterations {
            iterations += 1;
            for i in 0..n {
                let (won, lost) = halves.rows(i);
                let p = strengths[i];
                let (mut up, mut down) = (0.0, 0.0);
                for ((q, won), lost) in strengths.iter().zip(won).zip(lost) {
                    let root = v * (p * q).sqrt();
                    let all = p + q + 2.0 * root;
                    up += won * (q + root) / all;
                    down += lost * (1.0 + root / p) / all;
                }
                strengths[i] = up / down;
            }
            let (mut tied, mut decided) = (0.0, 0.0);
            for i in 0..n {
                for ((q, tie), win) in strengths.iter().zip(matrix.tie_row(i)).zip(matrix.win_row(i)) {
                    let root = (strengths[i] * q).sqrt();
                    let all = strengths[i] + q + 2.0 * v * root;
                    tied += 0.5 * tie * (strengths[i] + q) / all;
                    decided += 2.0 * win * root / all;
                }
            }
            let new = tied / decided;
            // Without a tie it is 0 from the first step on.
            let tie_change = if new == 0.0 { 0.0 } else { (new / v).ln().abs() };
            v = new;
            let change = super::strengths::center(&mut strengths, &mut logs);
            converged = change < self.tolerance && tie_change < self.tolerance;
        }
        let ties = (2.0 * v).ln();
        let at = logs.iter().copied().chain([ties]).take(problem.len());
        let end = problem.evaluate(&DVector::from_iterator(problem.len(), at));
        let report = Report { converged, iterations, objective: end.value, gradient_norm: end.gradient.amax() };
        let mut scores = logs;
        self.gauge.fix(&mut scores)?;
        Ok(Ranking {
            scores,
            ties: Some(ties),
            log_likelihood: -end.value,
            report,
            order_dependent: false,
            unobserved: Vec::new(),
            halved_ties: 0.0,
        })
    }

    fn check(&self) -> Result<()> {
        Ok(check_domain(self.tolerance > 0.0, "tolerance", "> 0", self.tolerance)?)
    }
}

/// The new strength of an item of strength `p` that `won` and `lost` against items of the others' strengths.
fn moved(strengths: &[f64], p: f64, won: &[f64], lost: &[f64]) -> f64 {
    // Four sums side by side, since a single one could not be vectorized.
    const LANES: usize = 4;
    let (mut up, mut down) = ([0.0; LANES], [0.0; LANES]);
    let (strengths, strengths_rest) = strengths.as_chunks::<LANES>();
    let (won, won_rest) = won.as_chunks::<LANES>();
    let (lost, lost_rest) = lost.as_chunks::<LANES>();
    for ((q, won), lost) in strengths.iter().zip(won).zip(lost) {
        for lane in 0..LANES {
            let share = 1.0 / (p + q[lane]);
            up[lane] += won[lane] * q[lane] * share;
            down[lane] += lost[lane] * share;
        }
    }
    let (mut up, mut down) = (up.iter().sum::<f64>(), down.iter().sum::<f64>());
    for ((q, won), lost) in strengths_rest.iter().zip(won_rest).zip(lost_rest) {
        up += won * q / (p + q);
        down += lost / (p + q);
    }
    up / down
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ranking::fixtures::{FOUR_SCORES, close, five, four, random, unconnected};
    use crate::{Error, Outcome, ranking::NewtonConfig};

    #[test]
    fn first_step_and_number_of_steps_as_published() {
        let first = NewmanConfig::new().with_max_iterations(1).fit(&four()).unwrap();
        let expected = [0.51637379f64, 1.41260876, 0.67160933, 2.04125468].map(f64::ln);
        close(&first.scores, &expected, 2e-8);
        assert!(!first.report.converged, "one step is not enough, and it says so");
        let fit = NewmanConfig::new().with_tolerance(1e-12).fit(&four()).unwrap();
        assert!(fit.report.converged);
        assert_eq!(fit.report.iterations, 21);
        close(&fit.scores, &FOUR_SCORES, 1e-8);
        assert!(fit.report.gradient_norm < 1e-10);
    }

    #[test]
    fn the_fits_are_those_of_newtons_method() {
        for seed in 0..5 {
            let judged = random(9, seed);
            close(
                &NewmanConfig::new().fit(&judged).unwrap().scores,
                &NewtonConfig::new().fit(&judged).unwrap().scores,
                1e-8,
            );
            let davidson = NewmanConfig::new().with_tolerance(1e-12).fit_davidson(&judged.wins()).unwrap();
            let newton = NewtonConfig::new().fit_link(&judged.wins(), &Davidson).unwrap();
            assert!(davidson.report.converged);
            close(&davidson.scores, &newton.scores, 1e-8);
            assert!((davidson.ties.unwrap() - newton.ties.unwrap()).abs() < 1e-8);
            assert!((davidson.log_likelihood - newton.log_likelihood).abs() < 1e-9);
            assert!(davidson.report.gradient_norm < 1e-8);
        }
    }

    #[test]
    fn a_published_strength_of_ties_is_where_the_iteration_was_stopped() {
        let fit = NewmanConfig::new().with_tolerance(1e-13).fit_davidson(&five().wins()).unwrap();
        assert!((fit.ties.unwrap().exp() / 2.0 - 3.46099911).abs() < 1e-8);
        close(&fit.scores, &[-3.94571759, -0.66033517, -0.65788314, 2.62302994, 2.64090596], 1e-8);
    }

    #[test]
    fn without_a_tie_the_strength_of_ties_is_zero_and_nothing_but_ties_is_an_error() {
        let fit = NewmanConfig::new().fit_davidson(&four().wins()).unwrap();
        assert!(fit.report.converged);
        assert_eq!(fit.ties, Some(f64::NEG_INFINITY));
        close(&fit.scores, &FOUR_SCORES, 1e-8);
        let mut ties = Comparisons::new(2);
        ties.push(0, 1, Outcome::Tie).unwrap();
        assert!(matches!(NewmanConfig::new().fit_davidson(&ties.wins()), Err(Error::AllTies)));
        let few = NewmanConfig::new().with_max_iterations(3).fit_davidson(&five().wins()).unwrap();
        assert_eq!((few.report.converged, few.report.iterations), (false, 3));
    }

    #[test]
    fn a_table_that_is_not_connected_is_an_error() {
        for error in [
            NewmanConfig::new().fit(&unconnected()).unwrap_err(),
            NewmanConfig::new().fit_davidson(&unconnected().wins()).unwrap_err(),
        ] {
            assert!(matches!(error, Error::NotIdentifiable { .. }), "{error}");
        }
        let refused = NewmanConfig::new().with_ties(Ties::Refuse).fit(&five());
        assert!(matches!(refused, Err(Error::Ties { model: "newman", .. })));
    }

    #[test]
    fn settings_out_of_their_domains_are_refused_by_name() {
        for tolerance in [0.0, f64::NAN] {
            let config = NewmanConfig::new().with_tolerance(tolerance);
            for error in [config.fit(&four()).unwrap_err(), config.fit_davidson(&four().wins()).unwrap_err()] {
                assert!(error.to_string().starts_with("`tolerance`"), "{error}");
            }
        }
        let config = NewmanConfig::new().with_gauge(Gauge::Mean(1.0));
        for fit in [config.fit(&five()).unwrap(), config.fit_davidson(&five().wins()).unwrap()] {
            assert!((fit.scores.iter().sum::<f64>() - 5.0).abs() < 1e-12);
        }
        let defaults = NewmanConfig::new();
        assert_eq!((defaults.tolerance, defaults.max_iterations), (1e-10, 10_000));
        assert_eq!((defaults.ties, defaults.gauge), (Ties::Half, Gauge::SumZero));
        assert_eq!(NewmanConfig::new().fit(&five()).unwrap().halved_ties, 9.0);
    }
}
