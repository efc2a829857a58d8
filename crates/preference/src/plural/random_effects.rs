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
    /// The scale of the prior of Σ, finite and > 0: its mode is ν/(ν + dim + 1) of this variance for each coefficient. 1: the
    /// book's.
    #[config(default = 1.0)]
    pub prior_variance: f64,
    /// How many users, beyond one for each coefficient, the prior counts as, finite and > 0. 3: the book's.
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
    /// A domain error naming a field, [`Error::Length`] naming `items`, [`Error::Empty`] without a pair;
    /// [`Error::NotFinite`] when squares of features overflow.
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
        // The identity and squares, unless squares overflow.
        let factor = Cholesky::new(here.hessian).ok_or(Error::NotFinite { name: "curvature" })?;
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
mod tests;
