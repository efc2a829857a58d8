//! Luce spectral ranking (LSR), once and iterated (I-LSR).
//!
//! **Paper:** Fast and Accurate Inference of Plackett-Luce Models (L. Maystre, M. Grossglauser, 2015).
//! **Use when:** rankings and pairs are many and items are at most some thousands: each step solves a chain exactly.
//! **Checked by:** published chain of four items; golden numbers (choix), with and without pseudo-rates; Newton.
//! **Deviations:** the chain is always solved directly, by elimination without subtractions; large tables take `n³` steps.

use accordant_ops::check_domain;
use burn::config::Config;

use super::{Gauge, Ranking, chain::stationary, plackett_luce, strengths::Dense};
use crate::{
    Comparisons, Error, Rankings, Report, Result, WinMatrix,
    comparisons::Ties,
    graph::check_connected,
    rankings::{Stage, TiedPlaces},
};

/// Configuration of Luce spectral ranking.
///
/// ```text
/// rate from i to j:  α + Σ over contests among R that j won and i did not  1 / Σ_{k∈R} w_k
/// w ← M π,  π the stationary distribution, from w = 1 on
/// ```
#[derive(Config, Debug, PartialEq)]
pub struct LsrConfig {
    /// A rate between all items, finite and ≥ 0, which takes the place of a prior.
    #[config(default = 0.0)]
    pub alpha: f64,
    /// What becomes of ties of pairs.
    #[config(default = "Ties::Half")]
    pub ties: Ties,
    /// The level of the scores.
    #[config(default = "Gauge::SumZero")]
    pub gauge: Gauge,
    /// Converged when the scores move by this much in a step, all together, > 0. choix has 1e-8.
    #[config(default = 1e-8)]
    pub tolerance: f64,
    /// Steps at most. 100: choix.
    #[config(default = 100)]
    pub max_iterations: usize,
}

impl LsrConfig {
    /// Bradley-Terry scores of the items: maximum likelihood when `alpha` is 0.
    ///
    /// # Errors
    /// As [`LsrConfig::fit_matrix`].
    ///
    /// # Example
    /// ```
    /// use accordant_preference::{Comparisons, ranking::LsrConfig};
    /// let mut judged = Comparisons::new(2);
    /// judged.push_win(0, 1, 3.0)?;
    /// judged.push_win(1, 0, 1.0)?;
    /// let ranking = LsrConfig::new().fit(&judged)?;
    /// assert!((ranking.scores[0] - ranking.scores[1] - 3f64.ln()).abs() < 1e-8); // odds of 3 : 1
    /// # Ok::<(), accordant_preference::Error>(())
    /// ```
    #[doc(alias = "I-LSR")]
    pub fn fit(&self, judged: &Comparisons) -> Result<Ranking> {
        self.fit_matrix(&judged.wins())
    }

    /// The same from counts.
    ///
    /// # Errors
    /// A domain error naming a field; without `alpha`, [`Error::NotIdentifiable`] when the comparisons do not connect all
    /// items; [`Error::Ties`] when there are ties and they are refused.
    pub fn fit_matrix(&self, matrix: &WinMatrix) -> Result<Ranking> {
        self.check()?;
        let table = Dense::new(matrix, self.ties, "lsr", self.alpha == 0.0)?;
        let n = table.n;
        let (strengths, converged, steps) = self.iterate(n, |strengths| {
            let mut rates = vec![self.alpha; n * n];
            for i in 0..n {
                let (_, lost) = table.rows(i);
                for j in (0..n).filter(|&j| lost[j] > 0.0) {
                    rates[i * n + j] += lost[j] / (strengths[i] + strengths[j]);
                }
            }
            rates
        })?;
        table.ranking(&strengths, self.gauge, converged, steps)
    }

    /// One step from equal strengths: consistent, and no maximum of the likelihood. The report tells the likelihood's
    /// gradient at it.
    ///
    /// # Errors
    /// As [`LsrConfig::fit_matrix`].
    pub fn fit_once(&self, matrix: &WinMatrix) -> Result<Ranking> {
        let once = self.clone().with_max_iterations(1).with_tolerance(f64::INFINITY);
        once.fit_matrix(matrix)
    }

    /// Plackett-Luce scores from ranked lists: maximum likelihood when `alpha` is 0.
    ///
    /// # Errors
    /// As [`LsrConfig::fit_matrix`]; [`Error::Combination`] when places are tied.
    pub fn fit_rankings(&self, rankings: &Rankings) -> Result<Ranking> {
        self.check()?;
        let n = rankings.num_items();
        if self.alpha == 0.0 {
            check_connected(&rankings.pairs()?.wins().decided(Ties::Half, "lsr")?)?;
        }
        let mut stages: Vec<Stage> = Vec::new();
        for list in rankings.lists() {
            if list.groups().iter().any(|group| group.len() > 1) {
                return Err(Error::Combination {
                    what: "ranked lists",
                    reason: "spectral ranking knows no tied places; fit by Newton's method",
                });
            }
            for stage in list.stages(TiedPlaces::Breslow)? {
                stages.push(Stage { times: stage.times * list.weight(), ..stage });
            }
        }
        let (strengths, converged, steps) = self.iterate(n, |strengths| {
            let mut rates = vec![self.alpha; n * n];
            for stage in &stages {
                let total: f64 = stage.risk.iter().map(|(item, _)| strengths[*item]).sum();
                for winner in &stage.winners {
                    for (loser, _) in stage.risk.iter().filter(|(loser, _)| loser != winner) {
                        rates[loser * n + winner] += stage.times / total;
                    }
                }
            }
            rates
        })?;
        let mut scores: Vec<f64> = strengths.iter().map(|p| p.ln()).collect();
        Gauge::SumZero.fix(&mut scores)?;
        let (log_likelihood, gradient_norm) = plackett_luce::likelihood(rankings, TiedPlaces::Breslow, &scores)?;
        self.gauge.fix(&mut scores)?;
        let report = Report { converged, iterations: steps, objective: -log_likelihood, gradient_norm };
        Ok(Ranking {
            scores,
            ties: None,
            log_likelihood,
            report,
            order_dependent: false,
            unobserved: rankings.unobserved(),
            halved_ties: 0.0,
        })
    }

    fn check(&self) -> Result<()> {
        check_domain(self.alpha.is_finite() && self.alpha >= 0.0, "alpha", "finite and >= 0", self.alpha)?;
        Ok(check_domain(self.tolerance > 0.0, "tolerance", "> 0", self.tolerance)?)
    }

    fn iterate(&self, n: usize, rates: impl Fn(&[f64]) -> Vec<f64>) -> Result<(Vec<f64>, bool, usize)> {
        if n < 2 {
            return Err(Error::Empty { name: "items", reason: "there are fewer than two" });
        }
        let mut strengths = vec![1.0; n];
        let mut scores = vec![0.0; n];
        for iteration in 1..=self.max_iterations {
            // Connected counts whose rates underflow.
            let Some(chances) = stationary(rates(&strengths), n) else { return Err(Error::Separable { name: "lsr" }) };
            strengths = chances.iter().map(|chance| chance * n as f64).collect();
            let mut new: Vec<f64> = chances.iter().map(|chance| chance.ln()).collect();
            Gauge::SumZero.fix(&mut new)?;
            let change: f64 = new.iter().zip(&scores).map(|(new, old)| (new - old).abs()).sum();
            scores = new;
            if change < self.tolerance {
                return Ok((strengths, true, iteration));
            }
        }
        Ok((strengths, false, self.max_iterations))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ranking::fixtures::{FOUR_SCORES, close, five, four, random, unconnected};
    use crate::rankings::Unlisted;
    use crate::{ranking::NewtonConfig, ranking::PlackettLuceConfig};

    #[test]
    fn one_chain_and_its_fixed_point_as_published() {
        let once = LsrConfig::new().fit_once(&four().wins()).unwrap();
        let total: f64 = once.scores.iter().map(|s| s.exp()).sum();
        let chances: Vec<f64> = once.scores.iter().map(|s| s.exp() / total).collect();
        close(&chances, &[0.13513514, 0.22779923, 0.14671815, 0.49034749], 1e-8);
        assert!(once.report.converged && once.report.iterations == 1 && once.report.gradient_norm > 1e-3);
        let fit = LsrConfig::new().with_tolerance(1e-12).fit(&four()).unwrap();
        close(&fit.scores, &FOUR_SCORES, 1e-8);
        assert!(fit.report.converged && fit.report.gradient_norm < 1e-10);
    }

    #[test]
    fn the_fits_are_those_of_newtons_method() {
        for seed in 0..4 {
            let judged = random(8, seed);
            let fit = LsrConfig::new().with_tolerance(1e-11).fit(&judged).unwrap();
            close(&fit.scores, &NewtonConfig::new().fit(&judged).unwrap().scores, 1e-9);
            assert!(fit.halved_ties > 0.0);
        }
        let mut lists = Rankings::new(4);
        for list in [&[0, 1, 2, 3][..], &[1, 0, 3, 2], &[0, 2, 1], &[3, 0], &[2, 3, 1, 0], &[1, 2]] {
            lists.push(list, Unlisted::Absent).unwrap();
        }
        let fit = LsrConfig::new().with_tolerance(1e-11).fit_rankings(&lists).unwrap();
        close(&fit.scores, &PlackettLuceConfig::new().fit(&lists).unwrap().scores, 1e-9);
        assert!(fit.report.gradient_norm < 1e-9);
        assert!((fit.log_likelihood + 12.476044612764271).abs() < 1e-10);
    }

    #[test]
    fn rates_between_all_are_in_units_of_a_win_between_equals() {
        // Strengths start as 1, so that 3 wins are a rate of 3/2, and 1 of 1/2.
        let mut judged = Comparisons::new(2);
        judged.push_win(0, 1, 3.0).unwrap();
        judged.push_win(1, 0, 1.0).unwrap();
        let once = LsrConfig::new().with_alpha(0.5).fit_once(&judged.wins()).unwrap();
        close(&[once.scores[0] - once.scores[1]], &[2f64.ln()], 1e-14);
        // The fixed point: (½ + 3/2) / (½ + ½) again, since the strengths keep their mean of 1.
        let fit = LsrConfig::new().with_alpha(0.5).with_tolerance(1e-13).fit(&judged).unwrap();
        close(&[fit.scores[0] - fit.scores[1]], &[2f64.ln()], 1e-12);
    }

    #[test]
    fn a_list_counts_as_often_as_its_weight_says() {
        let mut lists = Rankings::new(3);
        lists.push_groups(&[vec![0], vec![1], vec![2]], Unlisted::Absent, 2.0).unwrap();
        lists.push(&[2, 1, 0], Unlisted::Absent).unwrap();
        lists.push_groups(&[vec![1], vec![0]], Unlisted::Absent, 0.0).unwrap();
        let fit = LsrConfig::new().with_tolerance(1e-12).fit_rankings(&lists).unwrap();
        close(&fit.scores, &PlackettLuceConfig::new().fit(&lists).unwrap().scores, 1e-9);
        assert!(fit.report.converged && fit.report.gradient_norm < 1e-9, "{:?}", fit.report);
        assert_eq!(fit.report.objective, -fit.log_likelihood);
        assert!((fit.log_likelihood - PlackettLuceConfig::new().fit(&lists).unwrap().log_likelihood).abs() < 1e-9);
    }

    #[test]
    fn a_table_that_is_not_connected_is_an_error_without_rates_between_all() {
        assert!(matches!(LsrConfig::new().fit(&unconnected()), Err(Error::NotIdentifiable { .. })));
        let fit = LsrConfig::new().with_alpha(0.1).fit(&unconnected()).unwrap();
        assert!(fit.report.converged && fit.scores[1] > fit.scores[2] && fit.scores[2] > fit.scores[0]);
        assert_eq!(fit.unobserved, [2]);
        let mut lists = Rankings::new(3);
        lists.push(&[0, 1, 2], Unlisted::Absent).unwrap();
        assert!(matches!(LsrConfig::new().fit_rankings(&lists), Err(Error::NotIdentifiable { .. })));
        assert!(LsrConfig::new().with_alpha(0.1).fit_rankings(&lists).unwrap().scores[0] > 0.0);
        lists.push_groups(&[vec![0, 1], vec![2]], Unlisted::Absent, 1.0).unwrap();
        assert!(matches!(LsrConfig::new().with_alpha(0.1).fit_rankings(&lists), Err(Error::Combination { .. })));
        assert!(matches!(LsrConfig::new().with_alpha(0.1).fit(&Comparisons::new(1)), Err(Error::Empty { .. })));
    }

    #[test]
    fn settings_out_of_their_domains_are_refused_by_name() {
        for alpha in [-1.0, f64::NAN, f64::INFINITY] {
            let error = LsrConfig::new().with_alpha(alpha).fit(&four()).unwrap_err();
            assert!(error.to_string().starts_with("`alpha`: expected finite and >= 0"), "{error}");
        }
        for tolerance in [0.0, f64::NAN] {
            let error = LsrConfig::new().with_tolerance(tolerance).fit(&four()).unwrap_err();
            assert!(error.to_string().starts_with("`tolerance`"), "{error}");
        }
        let few = LsrConfig::new().with_max_iterations(2).fit(&five()).unwrap();
        assert_eq!((few.report.converged, few.report.iterations), (false, 2));
        let moved = LsrConfig::new().with_gauge(Gauge::Mean(2.0)).fit(&five()).unwrap();
        assert!((moved.scores.iter().sum::<f64>() - 10.0).abs() < 1e-12);
        assert!(matches!(LsrConfig::new().with_ties(Ties::Refuse).fit(&five()), Err(Error::Ties { model: "lsr", .. })));
        let defaults = LsrConfig::new();
        assert_eq!((defaults.alpha, defaults.tolerance, defaults.max_iterations), (0.0, 1e-8, 100));
        assert_eq!((defaults.ties, defaults.gauge), (Ties::Half, Gauge::SumZero));
    }
}
