//! Rank centrality.
//!
//! **Paper:** Rank Centrality: Ranking from Pairwise Comparisons (2012), 1209.1688.
//! **Use when:** scores are wanted in one solve; consistent, and no maximum of the likelihood.
//! **Checked by:** published chain of four items; golden numbers (choix), plain and regularized.
//! **Deviations:** the chain runs in continuous time, which leaves out the paper's division by the largest number of
//! opponents and has the same stationary distribution.

use accordant_ops::check_domain;
use burn::config::Config;

use super::{Gauge, Ranking, chain::stationary, strengths::Dense};
use crate::{Comparisons, Error, Result, WinMatrix, comparisons::Ties};

/// Configuration of rank centrality.
///
/// ```text
/// rate from i to j:  (H_ji + α) / (H_ij + H_ji + 2 α)   where they met, or α > 0
/// score of i:        ln π_i
/// ```
#[derive(Config, Debug, PartialEq)]
pub struct RankCentralityConfig {
    /// Wins that each of two items is given against the other, finite and ≥ 0; items that never met then have one half.
    #[config(default = 0.0)]
    pub alpha: f64,
    /// What becomes of ties.
    #[config(default = "Ties::Half")]
    pub ties: Ties,
    /// The level of the scores.
    #[config(default = "Gauge::SumZero")]
    pub gauge: Gauge,
}

impl RankCentralityConfig {
    /// Scores of the items. The report has one step, and the gradient of the likelihood at the scores, which is not 0.
    ///
    /// # Errors
    /// As [`RankCentralityConfig::fit_matrix`].
    ///
    /// # Example
    /// ```
    /// use accordant_preference::{Comparisons, ranking::RankCentralityConfig};
    /// let mut judged = Comparisons::new(2);
    /// judged.push_win(0, 1, 3.0)?;
    /// judged.push_win(1, 0, 1.0)?;
    /// let ranking = RankCentralityConfig::new().fit(&judged)?;
    /// assert!((ranking.scores[0] - ranking.scores[1] - 3f64.ln()).abs() < 1e-12); // odds of 3 : 1
    /// # Ok::<(), accordant_preference::Error>(())
    /// ```
    #[doc(alias = "1209.1688")]
    pub fn fit(&self, judged: &Comparisons) -> Result<Ranking> {
        self.fit_matrix(&judged.wins())
    }

    /// The same from counts.
    ///
    /// # Errors
    /// A domain error naming a field; without `alpha`, [`Error::NotIdentifiable`] when the comparisons do not connect all
    /// items; [`Error::Ties`] when there are ties and they are refused.
    pub fn fit_matrix(&self, matrix: &WinMatrix) -> Result<Ranking> {
        check_domain(self.alpha.is_finite() && self.alpha >= 0.0, "alpha", "finite and >= 0", self.alpha)?;
        let table = Dense::new(matrix, self.ties, "rank_centrality", self.alpha == 0.0)?;
        let n = table.n;
        if n < 2 {
            return Err(Error::Empty { name: "items", reason: "there are fewer than two" });
        }
        let mut rates = vec![0.0; n * n];
        for i in 0..n {
            let (won, lost) = table.rows(i);
            for j in (0..n).filter(|&j| lost[j] + self.alpha > 0.0) {
                rates[i * n + j] = (lost[j] + self.alpha) / (won[j] + lost[j] + 2.0 * self.alpha);
            }
        }
        let chances = stationary(rates, n).ok_or(Error::Separable { name: "rank_centrality" })?;
        table.ranking(&chances, self.gauge, true, 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ranking::fixtures::{close, five, four, unconnected};

    #[test]
    fn four_items_as_published() {
        let fit = RankCentralityConfig::new().fit(&four()).unwrap();
        let chances = [0.13436123f64, 0.22540382, 0.15051395, 0.48972100];
        let mut expected = chances.map(f64::ln);
        Gauge::SumZero.fix(&mut expected).unwrap();
        close(&fit.scores, &expected, 1e-7);
        assert_eq!((fit.report.converged, fit.report.iterations), (true, 1));
        assert!(fit.report.gradient_norm > 1e-2, "it is no maximum of the likelihood");
    }

    #[test]
    fn two_items_have_their_odds() {
        let mut judged = Comparisons::new(2);
        judged.push_win(0, 1, 3.0).unwrap();
        judged.push_win(1, 0, 1.0).unwrap();
        let fit = RankCentralityConfig::new().fit(&judged).unwrap();
        close(&[fit.scores[0] - fit.scores[1]], &[3f64.ln()], 1e-12);
        // Two wins for each: odds of 5 : 3.
        let fit = RankCentralityConfig::new().with_alpha(2.0).fit(&judged).unwrap();
        close(&[fit.scores[0] - fit.scores[1]], &[(5f64 / 3.0).ln()], 1e-12);
    }

    #[test]
    fn pseudo_wins_connect_and_pull_together() {
        assert!(matches!(RankCentralityConfig::new().fit(&unconnected()), Err(Error::NotIdentifiable { .. })));
        let fit = RankCentralityConfig::new().with_alpha(1.0).fit(&unconnected()).unwrap();
        assert_eq!(fit.unobserved, [2]);
        // Of 0 and 1, 2 : 3 wins; one half otherwise. Balance by symmetry of the third.
        assert!(fit.scores[1] > fit.scores[2] && fit.scores[2] > fit.scores[0]);
        let strong = RankCentralityConfig::new().with_alpha(1e6).fit(&four()).unwrap();
        assert!(strong.scores.iter().all(|score| score.abs() < 1e-5));
        let alone = RankCentralityConfig::new().with_alpha(1.0).fit(&Comparisons::new(1));
        assert!(matches!(alone, Err(Error::Empty { name: "items", .. })));
    }

    #[test]
    fn settings_out_of_their_domains_are_refused_by_name() {
        for alpha in [-1.0, f64::NAN, f64::INFINITY] {
            let error = RankCentralityConfig::new().with_alpha(alpha).fit(&four()).unwrap_err();
            assert!(error.to_string().starts_with("`alpha`: expected finite and >= 0"), "{error}");
        }
        let refused = RankCentralityConfig::new().with_ties(Ties::Refuse).fit(&five());
        assert!(matches!(refused, Err(Error::Ties { model: "rank_centrality", .. })));
        let fit = RankCentralityConfig::new().with_gauge(Gauge::Item(0, 0.0)).fit(&five()).unwrap();
        assert_eq!((fit.scores[0], fit.halved_ties), (0.0, 9.0));
        let defaults = RankCentralityConfig::new();
        assert_eq!((defaults.alpha, defaults.ties, defaults.gauge), (0.0, Ties::Half, Gauge::SumZero));
    }
}
