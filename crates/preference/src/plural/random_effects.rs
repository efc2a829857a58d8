//! Tastes that are normal around a common one, with any covariance (random effects, the mixed logit).
//!
//! **Paper:** Mixed MNL Models for Discrete Response (D. McFadden and K. Train, 2000); the prior of the covariance as in
//! Bayesian Statistics and Marketing (P. E. Rossi, G. M. Allenby and R. McCulloch, 2005).
//! **Status:** library definition: expectation-maximization with Laplace's approximation of each user's posterior.
//! **Use when:** users judge some tens of pairs of some tens of items. Which items are liked together, and how far users
//! differ, is learned from them instead of set by a dimension and penalties. Each round costs the cube of the number of
//! coefficients for each user.
//! **Checked by:** every round and the evidence against one coefficient by hand, planted covariances, limits of the prior.
//! **Deviations:** none; the papers draw samples.

use accordant_ops::check_domain;
use burn::config::Config;
use nalgebra::{Cholesky, DMatrix, DVector};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{
    logistic::{Linear, Logistic, LogisticConfig},
    pairs::{Chooser, Items, Plural, Term, UserPairs, check_user, terms},
};
use crate::{Comparisons, Error, Result};

/// Configuration of random effects.
///
/// ```text
/// θ_u ~ N(μ, Σ),   Σ ~ inverse Wishart(ν, ν · prior_variance · I),   ν = dim + prior_users
/// maximize  Σ_u log ∫ Π_{n ∈ u} P(n | θ) N(θ; μ, Σ) dθ + log p(Σ)   over μ and Σ, each integral by Laplace
/// ```
#[derive(Config, Debug, PartialEq)]
pub struct RandomEffectsConfig {
    /// The variance of each coefficient among users that is expected beforehand, finite and > 0. 1: the book's.
    #[config(default = 1.0)]
    pub prior_variance: f64,
    /// How many users, beyond one for each coefficient, that expectation counts as, finite and > 0. 3: the book's.
    #[config(default = 3.0)]
    pub prior_users: f64,
    /// Converged when the value changes by less than this much, relative to itself, > 0. 1e-5: ours; choices hardly change
    /// below that.
    #[config(default = 1e-5)]
    pub tolerance: f64,
    /// Rounds at most, ≥ 1. 100: ours.
    #[config(default = 100)]
    pub max_iterations: usize,
}

impl RandomEffectsConfig {
    /// Fits the common taste, the covariance and everybody's own taste. Users without a pair have the common one.
    ///
    /// # Errors
    /// A domain error naming a field, [`Error::Length`] naming `items`, [`Error::Empty`] without a pair.
    ///
    /// # Example
    /// ```
    /// use accordant_preference::{Comparisons, Outcome, plural::{Items, Plural, UserPairs, RandomEffectsConfig}};
    /// let mut pairs = UserPairs::new(4);
    /// for user in 0..40 {
    ///     // Who prefers 0 to 1 prefers 2 to 3, too.
    ///     let outcome = if user % 2 == 0 { Outcome::First } else { Outcome::Second };
    ///     let mut judged = Comparisons::new(4);
    ///     judged.push_weighted(0, 1, outcome, 5.0)?;
    ///     judged.push_weighted(2, 3, outcome, 5.0)?;
    ///     pairs.push(judged)?;
    /// }
    /// let effects = RandomEffectsConfig::new().fit(&Items::table(4), &pairs)?;
    /// let mut said = Comparisons::new(4);
    /// said.push_weighted(0, 1, Outcome::First, 5.0)?;
    /// assert!(effects.adapt(&said)?.first_wins(2, 3)? > 0.8);
    /// # Ok::<(), accordant_preference::Error>(())
    /// ```
    #[doc(alias = "mixed logit")]
    #[doc(alias = "hierarchical Bayes")]
    pub fn fit(&self, items: &Items, pairs: &UserPairs) -> Result<RandomEffects> {
        let Self { prior_variance, prior_users, tolerance, max_iterations } = *self;
        for (name, value) in [("prior_variance", prior_variance), ("prior_users", prior_users)] {
            check_domain(value.is_finite() && value > 0.0, name, "finite and > 0", value)?;
        }
        check_domain(tolerance > 0.0, "tolerance", "> 0", tolerance)?;
        check_domain(max_iterations >= 1, "max_iterations", ">= 1", max_iterations as f64)?;
        items.check(pairs.num_items())?;
        pairs.check_not_empty()?;
        let dim = items.dim();
        let prior_users = dim as f64 + prior_users;
        let prior = DMatrix::from_diagonal_element(dim, dim, prior_users * prior_variance);
        let everybody = LogisticConfig::new().fit(items, &pairs.pooled())?.coefficients;
        let (mut mean, mut covariance) =
            (DVector::from_vec(everybody), DMatrix::from_diagonal_element(dim, dim, prior_variance));
        let judged: Vec<Vec<Term>> = pairs.users().iter().map(|user| terms(user, 0).collect()).collect();
        let mut own = vec![vec![0.0; dim]; judged.len()];
        let mut trace: Vec<f64> = Vec::new();
        loop {
            let population = Population::new(items, &mean, &covariance)?;
            let posteriors: Result<Vec<Posterior>> = judged
                .par_iter()
                .zip(&mut own)
                .filter(|(judged, _)| !judged.is_empty())
                .map(|(judged, own)| {
                    let posterior = population.posterior(judged, own.clone())?;
                    own.copy_from_slice(posterior.mean.as_slice());
                    Ok(posterior)
                })
                .collect();
            let posteriors = posteriors?;
            let log_prior = -0.5 * (prior_users + dim as f64 + 1.0) * population.log_determinant()
                - 0.5 * prior_users * prior_variance * population.trace_of_inverse();
            let value = log_prior + posteriors.iter().map(|posterior| posterior.log_evidence).sum::<f64>();
            let converged = trace.last().is_some_and(|before| (value - before).abs() < tolerance * value.abs());
            trace.push(value);
            if converged || trace.len() >= max_iterations {
                let rows = (0..dim).map(|row| covariance.row(row).iter().copied().collect()).collect();
                let report = RandomEffectsReport { converged, trace };
                return Ok(RandomEffects { covariance: rows, report, own, population });
            }
            let n = posteriors.len() as f64;
            let center = posteriors.iter().fold(DVector::zeros(dim), |sum, posterior| sum + &posterior.mean) / n;
            let mut spread = DMatrix::zeros(dim, dim);
            for Posterior { mean, covariance, .. } in &posteriors {
                let away = mean - &center;
                spread.ger(1.0, &away, &away, 1.0);
                spread += covariance;
            }
            let factor = &population.factor;
            mean += factor * center;
            covariance = (factor * spread * factor.transpose() + &prior) / (n + prior_users + dim as f64 + 1.0);
        }
    }
}

/// Users as they are distributed, in coordinates in which their covariance is the identity: `θ = μ + L η`, `Σ = L Lᵀ`.
#[derive(Debug, Clone, PartialEq)]
struct Population {
    mean: Vec<f64>,
    /// The scores of the items under the mean.
    scores: Vec<f64>,
    /// `Lᵀ e_i`
    items: Items,
    factor: DMatrix<f64>,
}

/// What is known of a user's η.
struct Posterior {
    mean: DVector<f64>,
    covariance: DMatrix<f64>,
    log_evidence: f64,
}

impl Population {
    fn new(items: &Items, mean: &DVector<f64>, covariance: &DMatrix<f64>) -> Result<Self> {
        let singular = Error::Combination { what: "the covariance", reason: "it is not positive definite" };
        let factor = Cholesky::new(covariance.clone()).ok_or(singular)?.l();
        let row = |item: usize| match items.row(item) {
            Some(features) => factor.tr_mul(&DVector::from_column_slice(features)),
            None => factor.row(item).transpose(),
        };
        let rows: Vec<Vec<f64>> = (0..items.len()).map(|item| row(item).as_slice().to_vec()).collect();
        let mean = mean.as_slice().to_vec();
        Ok(Self { scores: items.scores_of(&mean), mean, items: Items::features(&rows)?, factor })
    }

    fn posterior(&self, judged: &[Term], start: Vec<f64>) -> Result<Posterior> {
        let zeros = vec![0.0; start.len()];
        let problem = Logistic { items: &self.items, terms: judged, mean: &zeros, base: &self.scores, prior: 1.0 };
        let Linear { coefficients, .. } = LogisticConfig::new().fit_problem(&problem, |_| 1.0, start)?;
        let here = problem.evaluate(&coefficients, &|_| 1.0);
        let factor = Cholesky::new(here.hessian).expect("the identity and squares");
        let log_evidence = -here.value - log_determinant(&factor.l());
        Ok(Posterior { mean: DVector::from_vec(coefficients), covariance: factor.inverse(), log_evidence })
    }

    /// `log |Σ|`
    fn log_determinant(&self) -> f64 {
        2.0 * log_determinant(&self.factor)
    }

    /// `tr Σ⁻¹`
    fn trace_of_inverse(&self) -> f64 {
        let identity = DMatrix::identity(self.mean.len(), self.mean.len());
        self.factor.solve_lower_triangular(&identity).expect("a diagonal > 0").norm_squared()
    }

    fn chooser(&self, own: &[f64]) -> Chooser {
        let away = self.items.scores_of(own);
        Chooser::one(self.scores.iter().zip(away).map(|(score, away)| score + away).collect())
    }
}

/// The log of a triangular matrix's determinant.
fn log_determinant(triangle: &DMatrix<f64>) -> f64 {
    triangle.diagonal().iter().map(|x| x.ln()).sum()
}

/// How a fit ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RandomEffectsReport {
    /// Whether the stopping rule was met.
    pub converged: bool,
    /// The penalized log-evidence by Laplace in each round, in nats up to a constant.
    pub trace: Vec<f64>,
}

/// Fitted random effects.
#[derive(Debug, Clone, PartialEq)]
pub struct RandomEffects {
    /// How coefficients vary together among users, Σ, `[dim, dim]`.
    pub covariance: Vec<Vec<f64>>,
    /// How the fit ended.
    pub report: RandomEffectsReport,
    own: Vec<Vec<f64>>,
    population: Population,
}

impl RandomEffects {
    /// The coefficients of the common taste, μ, `[dim]`.
    pub fn mean(&self) -> &[f64] {
        &self.population.mean
    }
}

impl Plural for RandomEffects {
    fn num_users(&self) -> usize {
        self.own.len()
    }

    fn user(&self, user: usize) -> Result<Chooser> {
        check_user(user, self.own.len())?;
        Ok(self.population.chooser(&self.own[user]))
    }

    /// The common taste.
    fn population(&self) -> Chooser {
        self.population.chooser(&vec![0.0; self.population.mean.len()])
    }

    /// By the likeliest taste, given the pairs and how users are distributed.
    fn adapt(&self, judged: &Comparisons) -> Result<Chooser> {
        self.population.items.check(judged.num_items())?;
        let judged: Vec<Term> = terms(judged, 0).collect();
        let own = self.population.posterior(&judged, vec![0.0; self.population.mean.len()])?.mean;
        Ok(self.population.chooser(own.as_slice()))
    }
}

#[cfg(test)]
mod tests {
    use accordant_ops::host::{log_sigmoid, logistic};
    use rand::Rng;
    use rand_distr::{Distribution, StandardNormal};

    use super::*;
    use crate::{
        Outcome,
        random::{Purpose, stream},
    };

    /// Users who each judge one pair of two items with features 2 and −1 (wins, losses).
    fn votes(counts: &[(f64, f64)]) -> (Items, UserPairs) {
        let mut pairs = UserPairs::new(2);
        for &(wins, losses) in counts {
            let mut judged = Comparisons::new(2);
            judged.push_win(0, 1, wins).unwrap();
            judged.push_win(1, 0, losses).unwrap();
            pairs.push(judged).unwrap();
        }
        (Items::features(&[vec![2.0], vec![-1.0]]).unwrap(), pairs)
    }

    #[test]
    fn rounds_are_those_of_one_coefficient_by_hand() {
        let counts = [(5.0, 1.0), (2.0, 2.0), (0.0, 0.0), (0.0, 4.0), (3.0, 1.0)];
        let (items, pairs) = votes(&counts);
        let known: Vec<(f64, f64)> = counts.iter().copied().filter(|(wins, losses)| wins + losses > 0.0).collect();
        // The difference of features is 3; ν = 1 + 2.5, and its scale 0.7.
        let (nu, scale) = (3.5, 0.7);
        let mut mean = LogisticConfig::new().fit(&items, &pairs.pooled()).unwrap().coefficients[0];
        let mut variance = 0.7;
        let mut expected = Vec::new();
        let mut modes = Vec::new();
        for round in 0..4 {
            modes.clear();
            let (mut spread, mut value) = (0.0, -0.5 * (nu + 2.0) * f64::ln(variance) - 0.5 * nu * scale / variance);
            for &(wins, losses) in &known {
                let slope = |theta: f64| {
                    (theta - mean) / variance - 3.0 * (wins * logistic(-3.0 * theta) - losses * logistic(3.0 * theta))
                };
                let (mut low, mut high) = (-20.0, 20.0);
                for _ in 0..80 {
                    let middle = 0.5 * (low + high);
                    if slope(middle) > 0.0 { high = middle } else { low = middle }
                }
                let information = 1.0 / variance + 9.0 * (wins + losses) * logistic(3.0 * low) * logistic(-3.0 * low);
                value += wins * log_sigmoid(3.0 * low) + losses * log_sigmoid(-3.0 * low)
                    - 0.5 * (low - mean).powi(2) / variance
                    - 0.5 * (information * variance).ln();
                spread += 1.0 / information;
                modes.push(low);
            }
            expected.push(value);
            if round < 3 {
                mean = modes.iter().sum::<f64>() / 4.0;
                spread += modes.iter().map(|mode| (mode - mean).powi(2)).sum::<f64>();
                variance = (spread + nu * scale) / (4.0 + nu + 2.0);
            }
        }
        let config = RandomEffectsConfig::new().with_prior_variance(0.7).with_prior_users(2.5).with_tolerance(1e-12);
        let effects = config.with_max_iterations(4).fit(&items, &pairs).unwrap();
        let close = |got: f64, expected: f64| assert!((got - expected).abs() < 1e-7, "{got} is not {expected}");
        close(effects.mean()[0], mean);
        close(effects.covariance[0][0], variance);
        assert_eq!(effects.report.trace.len(), 4);
        effects.report.trace.iter().zip(expected).for_each(|(&got, expected)| close(got, expected));
        assert!(!effects.report.converged);
        for (user, mode) in [0, 1, 3, 4].into_iter().zip(modes) {
            let scores = &effects.user(user).unwrap().scores()[0].clone();
            close(scores[0], 2.0 * mode);
            close(scores[1], -mode);
        }
        assert_eq!(effects.user(2).unwrap(), effects.population(), "nothing is known of user 2");
    }

    /// Users with normal tastes of ten items, in two blocks: who likes an item likes those of its block more.
    fn blocks(num_users: usize, num_pairs: usize, seed: u64) -> UserPairs {
        let mut rng = stream(seed, Purpose::World, 0);
        let mut pairs = UserPairs::new(10);
        for _ in 0..num_users {
            let taste: f64 = StandardNormal.sample(&mut rng);
            let scores: Vec<f64> = (0..10).map(|item| if item < 5 { taste } else { -taste }).collect();
            let mut judged = Comparisons::new(10);
            for _ in 0..num_pairs {
                let first = rng.random_range(0..10);
                let second = (first + rng.random_range(1..10)) % 10;
                let wins = rng.random::<f64>() < logistic(scores[first] - scores[second]);
                judged.push(first, second, if wins { Outcome::First } else { Outcome::Second }).unwrap();
            }
            pairs.push(judged).unwrap();
        }
        pairs
    }

    #[test]
    fn what_is_liked_together_is_found_and_foretells_items_that_a_user_said_nothing_of() {
        let config = RandomEffectsConfig::new().with_tolerance(1e-6);
        let effects = config.fit(&Items::table(10), &blocks(300, 100, 1)).unwrap();
        assert!(effects.report.converged);
        // The variance of a difference across blocks is 4, within a block 0.
        let difference =
            |a: usize, b: usize| effects.covariance[a][a] + effects.covariance[b][b] - 2.0 * effects.covariance[a][b];
        let mean =
            |pairs: Vec<(usize, usize)>| pairs.iter().map(|&(a, b)| difference(a, b)).sum::<f64>() / pairs.len() as f64;
        let across = mean((0..5).flat_map(|a| (5..10).map(move |b| (a, b))).collect());
        let within = mean((0..5).flat_map(|a| (0..a).map(move |b| (a, b))).collect());
        assert!((3.0..5.0).contains(&across) && within < 0.7, "{across} and {within}");
        let mut said = Comparisons::new(10);
        (0..3).for_each(|item| said.push(item, item + 5, Outcome::First).unwrap());
        let adapted = effects.adapt(&said).unwrap();
        assert!(adapted.first_wins(3, 8).unwrap() > 0.75);
        assert!((adapted.first_wins(3, 4).unwrap() - effects.population().first_wins(3, 4).unwrap()).abs() < 0.1);
    }

    #[test]
    fn nothing_depends_on_the_order_of_users_or_on_how_a_table_is_written() {
        let (pairs, table) = (blocks(12, 15, 2), Items::table(10));
        let config = RandomEffectsConfig::new().with_max_iterations(5);
        let effects = config.fit(&table, &pairs).unwrap();
        let turned = config.fit(&table, &pairs.select((0..12).rev()).unwrap()).unwrap();
        let one_hot: Vec<Vec<f64>> = (0..10).map(|i| (0..10).map(|j| f64::from(u8::from(i == j))).collect()).collect();
        let features = config.fit(&Items::features(&one_hot).unwrap(), &pairs).unwrap();
        for user in 0..12 {
            let scores = |effects: &RandomEffects, user: usize| effects.user(user).unwrap().scores()[0].clone();
            let expected = scores(&effects, user);
            for other in [scores(&turned, 11 - user), scores(&features, user)] {
                assert!(other.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-6));
            }
            // A user's own pairs tell of a new user what they tell of the user.
            let adapted = effects.adapt(&pairs.users()[user]).unwrap();
            assert!(adapted.scores()[0].iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-6));
        }
    }

    #[test]
    fn a_stiff_prior_leaves_one_score_for_all() {
        let (pairs, table) = (blocks(8, 20, 3), Items::table(10));
        let config = RandomEffectsConfig::new().with_prior_variance(1e-9).with_prior_users(1e6);
        let effects = config.fit(&table, &pairs).unwrap();
        let everybody = LogisticConfig::new().fit(&table, &pairs.pooled()).unwrap().coefficients;
        for user in 0..8 {
            let scores = &effects.user(user).unwrap().scores()[0].clone();
            assert!(scores.iter().zip(&everybody).all(|(a, b)| (a - b).abs() < 1e-5), "{scores:?}");
        }
    }

    #[test]
    fn settings_and_ids_are_checked() {
        let (items, pairs) = votes(&[(1.0, 2.0)]);
        let config = RandomEffectsConfig::new();
        let text = |config: RandomEffectsConfig| config.fit(&items, &pairs).unwrap_err().to_string();
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let of = config.clone();
            assert!(text(of.clone().with_prior_variance(bad)).starts_with("`prior_variance`: expected finite and > 0"));
            assert!(text(of.with_prior_users(bad)).starts_with("`prior_users`: expected finite and > 0"));
        }
        assert!(text(config.clone().with_tolerance(0.0)).starts_with("`tolerance`: expected > 0"));
        assert!(text(config.clone().with_max_iterations(0)).starts_with("`max_iterations`: expected >= 1"));
        assert!(matches!(config.fit(&Items::table(3), &pairs), Err(Error::Length { name: "items", .. })));
        assert!(matches!(config.fit(&items, &UserPairs::new(2)), Err(Error::Empty { .. })));
        let RandomEffectsConfig { prior_variance, prior_users, tolerance, max_iterations } = config;
        assert_eq!((prior_variance, prior_users, tolerance, max_iterations), (1.0, 3.0, 1e-5, 100));
        let effects = config.fit(&items, &pairs).unwrap();
        assert_eq!(effects.num_users(), 1);
        assert!(matches!(effects.user(1), Err(Error::Unknown { name: "user", index: 1 })));
        assert!(matches!(effects.adapt(&Comparisons::new(3)), Err(Error::Length { name: "items", .. })));
        assert_eq!(effects.adapt(&Comparisons::new(2)).unwrap(), effects.population());
    }
}
