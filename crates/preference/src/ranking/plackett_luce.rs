//! Plackett-Luce scores of ranked lists.
//!
//! **Paper:** The Analysis of Permutations (R. L. Plackett, 1975); MM Algorithms for Generalized Bradley-Terry Models
//! (D. R. Hunter, 2004) for [`PlackettLuceConfig::fit_mm`].
//! **Use when:** judges rank several items at once, or name the best few, or the best one.
//! **Checked by:** a published fit of four items and chances of its rankings; golden numbers (choix); MM, spectral and
//! Newton's fits of each other's data; two items are Bradley-Terry.
//! **Deviations:** none.

use accordant_ops::check_domain;
use burn::config::Config;
use nalgebra::{DMatrix, DVector};

use super::{
    Gauge, Ranking,
    choices::{Choices, Totals, log_strength},
    strengths::iterate,
};
use crate::{
    Error, Rankings, Report, Result,
    comparisons::Ties,
    error::{check_index, check_length},
    graph::check_connected,
    optimize::{Quadratic, Stop, newton},
    rankings::{RankedList, TiedPlaces},
};

/// The log-probability of one list, in nats, without its weight.
///
/// ```text
/// log P = Σ_i [ s_π(i) − log Σ_{j≥i} exp s_π(j) ]
/// ```
/// over the places of the list; the sums also run over what is below it. A list of one item has 0.
///
/// # Errors
/// [`Error::Index`] for an item without a score; [`Error::Combination`] for a place of too many items to be split.
///
/// # Example
/// ```
/// use accordant_preference::{Rankings, ranking::plackett_luce::log_prob, rankings::{TiedPlaces, Unlisted}};
/// let mut lists = Rankings::new(3);
/// lists.push(&[2, 0, 1], Unlisted::Absent)?;
/// let scores = [0.0, 0.0, 2f64.ln()]; // strengths 1, 1, 2: first 2/4, then 1/2
/// assert!((log_prob(&lists.lists()[0], &scores, TiedPlaces::Breslow)? - 0.25f64.ln()).abs() < 1e-15);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
pub fn log_prob(list: &RankedList, scores: &[f64], ties: TiedPlaces) -> Result<f64> {
    let items = list.groups().iter().flatten().chain(list.below());
    for &item in items {
        check_index(0, "item", item, scores.len())?;
    }
    Ok(Choices::of(scores.len(), [list], ties)?.log_probs(scores)[0])
}

/// The weighted log-likelihood of lists and its largest absolute derivative by a score.
pub(super) fn likelihood(rankings: &Rankings, ties: TiedPlaces, scores: &[f64]) -> Result<(f64, f64)> {
    check_length("scores", rankings.num_items(), scores.len())?;
    let at = Problem { totals: rankings.totals(ties)?, prior: 0.0 }.evaluate(&DVector::from_column_slice(scores));
    Ok((-at.value, at.gradient.amax()))
}

/// Configuration of a fit of Plackett-Luce scores.
///
/// ```text
/// minimize  −Σ_lists weight · log P(list) + ½ prior Σ_i s_i²
/// ```
#[derive(Config, Debug, PartialEq)]
pub struct PlackettLuceConfig {
    /// The precision of a normal prior on each score, finite and ≥ 0; choix writes it `2α`. 0: maximum likelihood.
    #[config(default = 0.0)]
    pub prior: f64,
    /// What items at the same place mean. Breslow's: ours, the cheapest.
    #[config(default = "TiedPlaces::Breslow")]
    pub ties: TiedPlaces,
    /// The level of the scores.
    #[config(default = "Gauge::SumZero")]
    pub gauge: Gauge,
    /// By Newton's method, converged when no derivative of the objective exceeds this much for each choice; by MM, when no
    /// score moves by this much; > 0. 1e-10: ours, close to rounding.
    #[config(default = 1e-10)]
    pub tolerance: f64,
    /// Steps at most, by Newton's method. 100: ours; fewer than 15 are usual.
    #[config(default = 100)]
    pub max_iterations: usize,
    /// Steps at most, by MM. 10 000: ours.
    #[config(default = 10_000)]
    pub max_mm_iterations: usize,
}

impl PlackettLuceConfig {
    /// Scores by Newton's method.
    ///
    /// # Errors
    /// A domain error naming a field; [`Error::Empty`] without a list that compares; without a prior,
    /// [`Error::NotIdentifiable`] when the lists do not connect all items.
    ///
    /// # Example
    /// ```
    /// use accordant_preference::{Rankings, ranking::PlackettLuceConfig, rankings::Unlisted};
    /// let mut lists = Rankings::new(3);
    /// for order in [[0, 1, 2], [1, 2, 0], [2, 0, 1]] {
    ///     lists.push(&order, Unlisted::Absent)?;
    /// }
    /// let ranking = PlackettLuceConfig::new().fit(&lists)?;
    /// assert!(ranking.scores.iter().all(|score| score.abs() < 1e-12)); // nobody is ahead
    /// # Ok::<(), accordant_preference::Error>(())
    /// ```
    #[doc(alias = "Luce")]
    pub fn fit(&self, rankings: &Rankings) -> Result<Ranking> {
        let problem = self.problem(rankings)?;
        let total = problem.totals.sets.iter().map(|(_, times)| times).sum::<f64>();
        let stop = Stop { gradient: self.tolerance * total, max_iterations: self.max_iterations };
        let (at, report) = newton(|at| problem.evaluate(at), DVector::zeros(rankings.num_items()), stop);
        self.ranking(rankings, &problem, at.as_slice().to_vec(), report)
    }

    /// Scores by minorization-maximization: every step increases the likelihood.
    ///
    /// ```text
    /// p_i ← (how often i was chosen) / Σ_{stages with i among R} 1 / Σ_{k∈R} p_k
    /// ```
    ///
    /// # Errors
    /// As [`PlackettLuceConfig::fit`]; [`Error::Combination`] with a prior, which it has no place for.
    pub fn fit_mm(&self, rankings: &Rankings) -> Result<Ranking> {
        if self.prior != 0.0 {
            return Err(Error::Combination {
                what: "prior",
                reason: "MM has no place for one; fit by Newton's method",
            });
        }
        let problem = self.problem(rankings)?;
        let Totals { chosen, sets } = &problem.totals;
        let n = rankings.num_items();
        let step = |strengths: &mut [f64]| {
            let mut rates = vec![0.0; n];
            for (risk, times) in sets {
                let total: f64 = risk.iter().map(|(item, coefficient)| coefficient * strengths[*item]).sum();
                risk.iter().for_each(|(item, coefficient)| rates[*item] += times * coefficient / total);
            }
            strengths.iter_mut().zip(chosen).zip(&rates).for_each(|((p, chosen), rate)| *p = chosen / rate);
        };
        let (strengths, converged, iterations) = iterate(n, self.tolerance, self.max_mm_iterations, step);
        let scores: Vec<f64> = strengths.iter().map(|p| p.ln()).collect();
        let end = problem.evaluate(&DVector::from_column_slice(&scores));
        let report = Report { converged, iterations, objective: end.value, gradient_norm: end.gradient.amax() };
        self.ranking(rankings, &problem, scores, report)
    }

    fn problem(&self, rankings: &Rankings) -> Result<Problem> {
        check_domain(self.prior.is_finite() && self.prior >= 0.0, "prior", "finite and >= 0", self.prior)?;
        check_domain(self.tolerance > 0.0, "tolerance", "> 0", self.tolerance)?;
        let totals = rankings.totals(self.ties)?;
        if totals.sets.is_empty() {
            return Err(Error::Empty { name: "ranked lists", reason: "none with a weight compares items" });
        }
        if self.prior == 0.0 {
            check_connected(&rankings.pairs()?.wins().decided(Ties::Half, "plackett_luce")?)?;
        }
        Ok(Problem { totals, prior: self.prior })
    }

    fn ranking(&self, rankings: &Rankings, problem: &Problem, scores: Vec<f64>, report: Report) -> Result<Ranking> {
        let penalty = 0.5 * self.prior * scores.iter().map(|s| s * s).sum::<f64>();
        let log_likelihood = penalty - problem.evaluate(&DVector::from_column_slice(&scores)).value;
        let mut scores = scores;
        self.gauge.fix(&mut scores)?;
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
}

/// What is minimized.
pub(crate) struct Problem {
    pub totals: Totals,
    pub prior: f64,
}

impl Problem {
    pub fn evaluate(&self, at: &DVector<f64>) -> Quadratic {
        let n = at.len();
        let Totals { chosen, sets } = &self.totals;
        let mut value = -chosen.iter().zip(at).map(|(chosen, score)| chosen * score).sum::<f64>();
        let mut gradient = DVector::from_iterator(n, chosen.iter().map(|chosen| -chosen));
        let mut hessian = DMatrix::zeros(n, n);
        let mut choices = 0.0;
        let mut chances = Vec::new();
        for (risk, times) in sets {
            let total = log_strength(risk, |item| at[item]);
            value += times * total;
            choices += times;
            chances.clear();
            chances.extend(risk.iter().map(|(item, coefficient)| coefficient * (at[*item] - total).exp()));
            for ((i, _), p) in risk.iter().zip(&chances) {
                gradient[*i] += times * p;
                hessian[(*i, *i)] += times * p;
                for ((j, _), q) in risk.iter().zip(&chances) {
                    hessian[(*i, *j)] -= times * p * q;
                }
            }
        }
        for i in 0..n {
            value += 0.5 * self.prior * at[i] * at[i];
            gradient[i] += self.prior * at[i];
            hessian[(i, i)] += self.prior;
        }
        if self.prior == 0.0 {
            // The level of the scores: changes no step, and makes the Hessian regular.
            hessian.add_scalar_mut(choices / (n * n) as f64);
        }
        Quadratic { value, gradient, hessian }
    }
}

#[cfg(test)]
mod tests {
    use accordant_laws::gradient::check_gradient;

    use super::*;
    use crate::ranking::{
        NewtonConfig,
        fixtures::{close, four},
    };
    use crate::rankings::Unlisted;

    /// Published: six lists of four items.
    fn lists() -> Rankings {
        let mut lists = Rankings::new(4);
        for list in [&[0, 1, 2, 3][..], &[1, 0, 3, 2], &[0, 2, 1], &[3, 0], &[2, 3, 1, 0], &[1, 2]] {
            lists.push(list, Unlisted::Absent).unwrap();
        }
        lists
    }

    const TIED: [TiedPlaces; 3] = [TiedPlaces::Breslow, TiedPlaces::Efron, TiedPlaces::Split];

    #[test]
    fn four_items_as_published() {
        let fit = PlackettLuceConfig::new().fit(&lists()).unwrap();
        assert!(fit.report.converged);
        close(&fit.scores, &[0.1417887, 0.2696498, -0.2708318, -0.1406067], 1e-7);
        assert!((fit.log_likelihood + 12.476044612764271).abs() < 1e-10);
        let mm = PlackettLuceConfig::new().with_tolerance(1e-13).fit_mm(&lists()).unwrap();
        assert!(mm.report.converged && mm.report.gradient_norm < 1e-10);
        close(&mm.scores, &fit.scores, 1e-9);
        assert!((mm.log_likelihood - fit.log_likelihood).abs() < 1e-10);
        // Broken into pairs it is another optimum.
        let pairs = NewtonConfig::new().fit(&lists().pairs().unwrap()).unwrap();
        close(&pairs.scores, &[0.25557737, 0.26011504, -0.22029113, -0.29540128], 1e-7);
    }

    #[test]
    fn the_unit_of_the_weights_does_not_decide_when_it_has_converged() {
        for unit in [1e-9, 1e9] {
            let fit = PlackettLuceConfig::new().fit(&lists().reweighted(&[unit; 6]).unwrap()).unwrap();
            assert!(fit.report.converged, "{unit}: {:?}", fit.report);
            close(&fit.scores, &[0.1417887, 0.2696498, -0.2708318, -0.1406067], 1e-7);
        }
    }

    #[test]
    fn chances_of_a_ranking_as_published() {
        let scores = [0.3, -0.2, 1.0, 0.1];
        let mut lists = Rankings::new(4);
        lists.push(&[2, 0, 3, 1], Unlisted::Absent).unwrap();
        lists.push(&[2, 0], Unlisted::Below).unwrap();
        lists.push(&[2], Unlisted::Absent).unwrap();
        let of = |at: usize| log_prob(&lists.lists()[at], &scores, TiedPlaces::Breslow).unwrap();
        assert!((of(0) + 2.23072687).abs() < 1e-8);
        assert!((of(1) + 1.67637162).abs() < 1e-8);
        assert_eq!(of(2), 0.0, "one item is no choice");
        let error = log_prob(&lists.lists()[0], &scores[..3], TiedPlaces::Breslow).unwrap_err();
        assert!(matches!(error, Error::Index { index: 3, len: 3, .. }), "{error}");
    }

    #[test]
    fn the_chances_of_all_rankings_add_up_to_one_and_do_not_see_the_level() {
        let (mut total, mut moved) = (0.0, 0.0);
        let scores = [0.3, -1.2, 0.8];
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let mut lists = Rankings::new(3);
            lists.push(&order, Unlisted::Absent).unwrap();
            let of = |scores: &[f64]| log_prob(&lists.lists()[0], scores, TiedPlaces::Breslow).unwrap().exp();
            total += of(&scores);
            moved += of(&scores.map(|s| s + 700.0));
        }
        assert!((total - 1.0).abs() < 1e-14 && (moved - 1.0).abs() < 1e-12);
    }

    #[test]
    fn the_likelihood_of_given_scores_by_hand() {
        // Twice 0 before 1 before 2, and once 2 before 0, at strengths 1, 2 and 1.
        let mut lists = Rankings::new(3);
        lists.push_groups(&[vec![0], vec![1], vec![2]], Unlisted::Absent, 2.0).unwrap();
        lists.push_groups(&[vec![2], vec![0]], Unlisted::Absent, 1.0).unwrap();
        let (value, gradient) = likelihood(&lists, TiedPlaces::Breslow, &[0.0, 2f64.ln(), 0.0]).unwrap();
        assert!((value - (2.0 * (0.25f64 * 2.0 / 3.0).ln() + 0.5f64.ln())).abs() < 1e-14);
        // 0: 2 (1 − 1/4) − 1/2 = 1. 1: 2 (−1/2 + 1/3) = −1/3. 2: the rest.
        assert!((gradient - 1.0).abs() < 1e-14, "{gradient}");
    }

    #[test]
    fn two_items_are_bradley_terry() {
        let mut lists = Rankings::new(4);
        for pair in four().records() {
            lists.push(&[pair.first, pair.second], Unlisted::Absent).unwrap();
        }
        let (lists, pairs) =
            (PlackettLuceConfig::new().fit(&lists).unwrap(), NewtonConfig::new().fit(&four()).unwrap());
        close(&lists.scores, &pairs.scores, 1e-9);
        assert!((lists.log_likelihood - pairs.log_likelihood).abs() < 1e-10);
    }

    #[test]
    fn tied_places_by_hand() {
        let scores = [0.0, 2f64.ln(), 3f64.ln()];
        let mut lists = Rankings::new(3);
        lists.push_groups(&[vec![0, 2]], Unlisted::Below, 1.0).unwrap();
        let of = |ties| log_prob(&lists.lists()[0], &scores, ties).unwrap().exp();
        // Strengths 1, 2, 3; 0 and 2 before 1. 1·3 / 6², 1·3 / (6 · (6 − 2)), √(1/6·3/5 · 3/6·1/3).
        assert!((of(TiedPlaces::Breslow) - 3.0 / 36.0).abs() < 1e-15);
        assert!((of(TiedPlaces::Efron) - 3.0 / 24.0).abs() < 1e-15);
        assert!((of(TiedPlaces::Split) - (0.1f64 * (1.0 / 6.0)).sqrt()).abs() < 1e-15);
    }

    #[test]
    fn newtons_method_and_mm_agree_on_tied_places_and_the_best_few() {
        let mut mixed = Rankings::new(5);
        mixed.push_groups(&[vec![0, 2], vec![1]], Unlisted::Below, 1.5).unwrap();
        mixed.push_groups(&[vec![4], vec![3, 1, 0], vec![2]], Unlisted::Absent, 1.0).unwrap();
        mixed.push(&[3, 0], Unlisted::Below).unwrap();
        mixed.push_choice(2, &[3, 4], 2.0).unwrap();
        for ties in TIED {
            let config = PlackettLuceConfig::new().with_ties(ties).with_tolerance(1e-13);
            let (newton, mm) =
                (config.clone().with_tolerance(1e-11).fit(&mixed).unwrap(), config.fit_mm(&mixed).unwrap());
            assert!(newton.report.converged && mm.report.converged, "{ties:?}");
            close(&newton.scores, &mm.scores, 1e-9);
            let weighted = mixed.lists().iter().map(|l| l.weight() * log_prob(l, &newton.scores, ties).unwrap());
            assert!((weighted.sum::<f64>() - newton.log_likelihood).abs() < 1e-10);
        }
    }

    #[test]
    fn the_objective_has_the_derivatives_that_newton_uses() {
        let mut tied = lists();
        tied.push_groups(&[vec![0, 2], vec![1]], Unlisted::Below, 1.5).unwrap();
        for (ties, prior) in [(TiedPlaces::Breslow, 0.0), (TiedPlaces::Efron, 0.7), (TiedPlaces::Split, 0.0)] {
            let problem = Problem { totals: tied.totals(ties).unwrap(), prior };
            let at = [0.3, -0.2, 0.5, 0.1];
            let evaluate = |x: &[f64]| problem.evaluate(&DVector::from_column_slice(x));
            let here = evaluate(&at);
            check_gradient(|x| evaluate(x).value, &at, here.gradient.as_slice()).unwrap();
            let choices: f64 = problem.totals.sets.iter().map(|(_, times)| times).sum();
            let level = if prior == 0.0 { choices / 16.0 } else { 0.0 };
            for row in 0..4 {
                let expected: Vec<f64> = (0..4).map(|column| here.hessian[(row, column)] - level).collect();
                check_gradient(|x| evaluate(x).gradient[row], &at, &expected).unwrap();
            }
        }
    }

    #[test]
    fn no_step_of_mm_decreases_the_likelihood() {
        let mut last = f64::NEG_INFINITY;
        for steps in 1..30 {
            let config = PlackettLuceConfig::new().with_max_mm_iterations(steps).with_tolerance(1e-300);
            let fit = config.fit_mm(&lists()).unwrap();
            assert!(fit.log_likelihood >= last - 1e-12 && !fit.report.converged && fit.report.iterations == steps);
            last = fit.log_likelihood;
        }
    }

    #[test]
    fn lists_that_do_not_connect_all_items_need_a_prior() {
        let mut lists = Rankings::new(3);
        lists.push(&[0, 1], Unlisted::Absent).unwrap();
        for result in [PlackettLuceConfig::new().fit(&lists), PlackettLuceConfig::new().fit_mm(&lists)] {
            assert!(matches!(result, Err(Error::NotIdentifiable { .. })));
        }
        let fit = PlackettLuceConfig::new().with_prior(1.0).fit(&lists).unwrap();
        assert_eq!(fit.unobserved, [2]);
        // σ(−d) = s₀ and d = 2 s₀.
        let d = fit.scores[0] - fit.scores[1];
        assert!((accordant_ops::host::logistic(-d) - d / 2.0).abs() < 1e-9 && fit.scores[2].abs() < 1e-9);
        assert!((fit.log_likelihood - accordant_ops::host::log_sigmoid(d)).abs() < 1e-12, "without the prior's term");
        let nothing = PlackettLuceConfig::new().with_prior(1.0).fit(&Rankings::new(3));
        assert!(matches!(nothing, Err(Error::Empty { name: "ranked lists", .. })));
        assert!(PlackettLuceConfig::new().with_prior(1.0).fit(&Rankings::default()).is_err());
    }

    #[test]
    fn settings_out_of_their_domains_are_refused_by_name() {
        for prior in [-1.0, f64::NAN, f64::INFINITY] {
            let error = PlackettLuceConfig::new().with_prior(prior).fit(&lists()).unwrap_err();
            assert!(error.to_string().starts_with("`prior`: expected finite and >= 0"), "{error}");
        }
        for tolerance in [0.0, f64::NAN] {
            let error = PlackettLuceConfig::new().with_tolerance(tolerance).fit(&lists()).unwrap_err();
            assert!(error.to_string().starts_with("`tolerance`"), "{error}");
        }
        let with_prior = PlackettLuceConfig::new().with_prior(1.0).fit_mm(&lists());
        assert!(matches!(with_prior, Err(Error::Combination { what: "prior", .. })));
        let few = PlackettLuceConfig::new().with_max_iterations(1).fit(&lists()).unwrap();
        assert!(!few.report.converged);
        let moved = PlackettLuceConfig::new().with_gauge(Gauge::Item(1, 3.0)).fit(&lists()).unwrap();
        assert_eq!(moved.scores[1], 3.0);
        let defaults = PlackettLuceConfig::new();
        assert_eq!((defaults.prior, defaults.tolerance, defaults.max_iterations), (0.0, 1e-10, 100));
        assert_eq!((defaults.ties, defaults.gauge), (TiedPlaces::Breslow, Gauge::SumZero));
        assert_eq!(defaults.max_mm_iterations, 10_000);
    }
}
