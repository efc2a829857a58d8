//! Minorization-maximization (MM), Zermelo's iteration.
//!
//! **Paper:** MM Algorithms for Generalized Bradley-Terry Models (D. R. Hunter, 2004).
//! **Use when:** every step has to increase the likelihood, or the numbers of other libraries are to be met; otherwise
//! [`super::newman`] takes a fraction of the steps.
//! **Checked by:** published first step, fit and number of steps of four items; golden numbers (choix, evalica); Newton.
//! **Deviations:** strengths are not clamped: the table is connected, so that they are finite.

use accordant_ops::check_domain;
use burn::config::Config;

use super::{
    Gauge, Ranking,
    strengths::{Dense, iterate},
};
use crate::{Comparisons, Result, WinMatrix, comparisons::Ties};

/// Configuration of a fit of Bradley-Terry strengths by MM.
///
/// ```text
/// p_i ← (α + Σ_j H_ij) / (α + Σ_{j≠i} (H_ij + H_ji) / (p_i + p_j)),   then divided by the geometric mean
/// ```
/// with `H` the wins and half of the ties. All items move at once.
#[derive(Config, Debug, PartialEq)]
pub struct MmConfig {
    /// Wins that every item is given, α in choix: finite and ≥ 0. A prior `Gamma(α + 1, α)` on each strength, which is not
    /// free of scale: prefer [`super::NewtonConfig::prior`].
    #[config(default = 0.0)]
    pub alpha: f64,
    /// What becomes of ties.
    #[config(default = "Ties::Half")]
    pub ties: Ties,
    /// The level of the scores.
    #[config(default = "Gauge::SumZero")]
    pub gauge: Gauge,
    /// Converged when no score moves by this much in a step, > 0. 1e-9: ours.
    #[config(default = 1e-9)]
    pub tolerance: f64,
    /// Steps at most. 10 000: ours.
    #[config(default = 10_000)]
    pub max_iterations: usize,
}

impl MmConfig {
    /// Bradley-Terry scores of the items.
    ///
    /// # Errors
    /// As [`MmConfig::fit_matrix`].
    ///
    /// # Example
    /// ```
    /// use accordant_preference::{Comparisons, ranking::MmConfig};
    /// let mut judged = Comparisons::new(2);
    /// judged.push_win(0, 1, 3.0)?;
    /// judged.push_win(1, 0, 1.0)?;
    /// let ranking = MmConfig::new().fit(&judged)?;
    /// assert!((ranking.scores[0] - ranking.scores[1] - 3f64.ln()).abs() < 1e-8); // odds of 3 : 1
    /// # Ok::<(), accordant_preference::Error>(())
    /// ```
    #[doc(alias = "Zermelo")]
    pub fn fit(&self, judged: &Comparisons) -> Result<Ranking> {
        self.fit_matrix(&judged.wins())
    }

    /// The same from counts.
    ///
    /// # Errors
    /// A domain error naming a field; without `alpha`, [`crate::Error::NotIdentifiable`] when the comparisons do not
    /// connect all items; [`crate::Error::Ties`] when there are ties and they are refused.
    pub fn fit_matrix(&self, matrix: &WinMatrix) -> Result<Ranking> {
        check_domain(self.alpha.is_finite() && self.alpha >= 0.0, "alpha", "finite and >= 0", self.alpha)?;
        check_domain(self.tolerance > 0.0, "tolerance", "> 0", self.tolerance)?;
        let table = Dense::new(matrix, self.ties, "mm", self.alpha == 0.0)?;
        let wins: Vec<f64> = (0..table.n).map(|i| table.total_wins(i)).collect();
        let mut old = vec![0.0; table.n];
        let step = |strengths: &mut [f64]| {
            old.copy_from_slice(strengths);
            for (i, new) in strengths.iter_mut().enumerate() {
                let (won, lost) = table.rows(i);
                let terms = old.iter().zip(won).zip(lost).map(|((q, w), l)| (w + l) / (old[i] + q));
                *new = (wins[i] + self.alpha) / (terms.sum::<f64>() + self.alpha);
            }
        };
        let (strengths, converged, steps) = iterate(table.n, self.tolerance, self.max_iterations, step);
        table.ranking(&strengths, self.gauge, converged, steps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ranking::fixtures::{FOUR_SCORES, close, five, four, unconnected};
    use crate::{Error, ranking::NewtonConfig};

    #[test]
    fn first_step_and_number_of_steps_as_published() {
        let first = MmConfig::new().with_max_iterations(1).fit(&four()).unwrap();
        let expected = [0.64138783f64, 1.31566734, 0.71265314, 1.66285733].map(f64::ln);
        close(&first.scores, &expected, 2e-8);
        assert!(!first.report.converged, "one step is not enough, and it says so");
        let fit = MmConfig::new().with_tolerance(1e-12).fit(&four()).unwrap();
        assert!(fit.report.converged);
        assert_eq!(fit.report.iterations, 87);
        close(&fit.scores, &FOUR_SCORES, 1e-8);
        assert!((fit.log_likelihood + 13.42845008).abs() < 1e-8);
        assert_eq!(fit.report.objective, -fit.log_likelihood);
        assert!(fit.report.gradient_norm < 1e-10 && first.report.gradient_norm > 0.1);
    }

    #[test]
    fn no_step_decreases_the_likelihood() {
        let mut last = f64::NEG_INFINITY;
        for steps in 1..40 {
            let fit = MmConfig::new().with_max_iterations(steps).with_tolerance(1e-300).fit(&five()).unwrap();
            assert!(fit.log_likelihood >= last, "step {steps}");
            last = fit.log_likelihood;
        }
    }

    #[test]
    fn a_table_that_is_not_connected_is_an_error_without_pseudo_wins() {
        let error = MmConfig::new().fit(&unconnected()).unwrap_err();
        assert!(matches!(error, Error::NotIdentifiable { .. }), "{error}");
        let fit = MmConfig::new().with_alpha(0.1).fit(&unconnected()).unwrap();
        assert!(fit.report.converged && fit.scores.iter().all(|s| s.is_finite()));
        assert_eq!(fit.unobserved, [2]);
    }

    #[test]
    fn lopsided_records_overflow_nothing_and_are_no_false_convergence() {
        let chain = |wins: f64, losses: f64| {
            let mut judged = Comparisons::new(3);
            for (winner, loser) in [(0, 1), (1, 2)] {
                judged.push_win(winner, loser, wins).unwrap();
                judged.push_win(loser, winner, losses).unwrap();
            }
            judged
        };
        // The first item gains the strength of the second in each step, of 1e12 that it is to have.
        let slow = MmConfig::new().fit(&chain(1e6, 1e-6)).unwrap();
        assert!(!slow.report.converged && slow.scores.iter().all(|score| score.is_finite()));
        // Strengths of more than 1e308 to 1.
        let error = MmConfig::new().with_max_iterations(5).fit(&chain(1e100, 1e-300)).unwrap_err();
        assert!(matches!(error, Error::Separable { name: "strengths" }), "{error}");
        // Two items are exact in one step, at odds of 1e24 : 1.
        let mut two = Comparisons::new(2);
        two.push_win(0, 1, 1e12).unwrap();
        two.push_win(1, 0, 1e-12).unwrap();
        let fit = MmConfig::new().fit(&two).unwrap();
        assert!(fit.report.converged);
        close(&fit.scores, &[12.0 * 10f64.ln(), -12.0 * 10f64.ln()], 1e-9);
    }

    #[test]
    fn pseudo_wins_pull_strengths_together() {
        // Two items, 3 : 1, α = 1, at the fixed point: p₁ = 1 / p₂ = p and p = (3 + 1) / (4 / (p + 1/p) + 1).
        let mut judged = Comparisons::new(2);
        judged.push_win(0, 1, 3.0).unwrap();
        judged.push_win(1, 0, 1.0).unwrap();
        let fit = MmConfig::new().with_alpha(1.0).with_tolerance(1e-14).fit(&judged).unwrap();
        let d = fit.scores[0] - fit.scores[1];
        let p = |sign: f64| (sign * d / 2.0).exp();
        let met = 4.0 / (p(1.0) + p(-1.0));
        // Only the ratio is kept: the rest is the level.
        let ratio = p(1.0) / p(-1.0);
        assert!(((4.0 / (met + 1.0)) / (2.0 / (met + 1.0)) - ratio).abs() < 1e-12);
        assert!((ratio - 2.0).abs() < 1e-12, "(3 + 1) : (1 + 1)");
    }

    #[test]
    fn ties_are_counted_as_the_setting_says() {
        let half = MmConfig::new().fit(&five()).unwrap();
        assert_eq!(half.halved_ties, 9.0);
        close(&half.scores, &NewtonConfig::new().fit(&five()).unwrap().scores, 1e-7);
        assert!(matches!(MmConfig::new().with_ties(Ties::Refuse).fit(&five()), Err(Error::Ties { model: "mm", .. })));
    }

    #[test]
    fn settings_out_of_their_domains_are_refused_by_name() {
        for alpha in [-1.0, f64::NAN, f64::INFINITY] {
            let error = MmConfig::new().with_alpha(alpha).fit(&four()).unwrap_err();
            assert!(error.to_string().starts_with("`alpha`: expected finite and >= 0"), "{error}");
        }
        for tolerance in [0.0, f64::NAN] {
            let error = MmConfig::new().with_tolerance(tolerance).fit(&four()).unwrap_err();
            assert!(error.to_string().starts_with("`tolerance`"), "{error}");
        }
        let fit = MmConfig::new().with_gauge(Gauge::Item(3, 1.0)).fit(&four()).unwrap();
        assert_eq!(fit.scores[3], 1.0);
        let defaults = MmConfig::new();
        assert_eq!((defaults.alpha, defaults.tolerance, defaults.max_iterations), (0.0, 1e-9, 10_000));
        assert_eq!((defaults.ties, defaults.gauge), (Ties::Half, Gauge::SumZero));
    }
}
