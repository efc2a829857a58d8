//! Reward-feature model (RFM): features that all users share, and each user's own weights of them.
//!
//! **Paper:** Capturing Individual Human Preferences with Reward Features (2025), 2503.17338.
//! **Use when:** tastes differ around a common one; the strongest form on ratings of foods.
//! **Checked by:** one user being Bradley-Terry, Newton's few-shot fit, limits of the priors, both faces tied.
//! **Deviations:** a common score with deviations from it is the default, and linear maps of features or tables on the
//! host; new users are shrunk to the population, the paper's to 0.

use accordant_ops::{check_domain, check_shape};
use burn::{config::Config, tensor::Tensor};
use nalgebra::{DMatrix, DVector};
use serde::{Deserialize, Serialize};

use super::{
    factors::{Design, Factors, Fit, Form, Users},
    logistic::{Linear, Logistic, LogisticConfig},
    pairs::{Chooser, Items, Plural, Term, UserPairs, check_user, terms},
};
use crate::{
    Comparisons, Report, Result,
    error::{check_index, check_length},
    optimize::Solver,
};

/// Scores of items for users: `⟨φ_n, w_n⟩`.
///
/// # Shapes
/// `features`: `[n, d]`, what a network makes of each item; `weights`: `[n, d]`, the row of the item's user
/// (`user_weights.select(0, users)`). `[n]` result; add a common score `[n]` for deviations from it.
///
/// # Errors
/// A shape error naming `weights`.
///
/// # Example
/// ```
/// use accordant_preference::plural::reward_features::feature_scores;
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let features = Tensor::from_floats([[1.0, 2.0], [3.0, 0.0]], &device);
/// let weights = Tensor::from_floats([[0.5, 0.25], [-1.0, 9.0]], &device);
/// let scores = feature_scores(features, weights)?.into_data().try_to_vec::<f32>().unwrap();
/// assert_eq!(scores, [1.0, -3.0]);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[doc(alias = "2503.17338")]
pub fn feature_scores(features: Tensor<2>, weights: Tensor<2>) -> Result<Tensor<1>> {
    check_shape("weights", &features.dims(), &weights.dims())?;
    Ok((features * weights).sum_dim(1).squeeze_dim(1))
}

/// Configuration of reward features on the host.
///
/// ```text
/// s_ui = c · e_i + ⟨F e_i, w_u⟩ + q_ui
/// minimize  Σ_n bce + ½ common_prior ‖c‖² + ½ features_prior ‖F‖² + ½ weights_prior Σ_u ‖w_u‖² + ½ private_prior ‖q‖²
/// ```
#[derive(Config, Debug, PartialEq)]
pub struct RewardFeaturesConfig {
    /// How many features, d ≥ 1.
    pub dim: usize,
    /// The precision of a normal prior on the coefficients of the common score, finite and > 0; none without a common
    /// score, as published. 1: ours.
    #[config(default = "Some(1.0)")]
    pub common_prior: Option<f64>,
    /// The precision of a normal prior on the map from items to features, finite and ≥ 0. 1: ours.
    #[config(default = 1.0)]
    pub features_prior: f64,
    /// The precision of a normal prior on each user's weights, finite and > 0. 1: ours.
    #[config(default = 1.0)]
    pub weights_prior: f64,
    /// The precision of a normal prior on a table of each user's own, finite and > 0; none without such tables.
    #[config(default = "None")]
    pub private_prior: Option<f64>,
    /// How the joint fit runs. L-BFGS: ours.
    #[config(default = "Solver::Lbfgs { gradient: 1e-5, max_iterations: 1000 }")]
    pub solver: Solver,
    /// From how many starts, ≥ 1; the best is kept. 1: ours.
    #[config(default = 1)]
    pub restarts: usize,
    /// The seed of the starts.
    #[config(default = 0)]
    pub seed: u64,
}

impl RewardFeaturesConfig {
    /// Fits the common score, the features and the users' weights.
    ///
    /// # Errors
    /// A domain error naming a field, [`crate::Error::Length`] naming `items`, [`crate::Error::Empty`] without a pair.
    ///
    /// # Example
    /// ```
    /// use accordant_preference::{Comparisons, Outcome, plural::{Items, Plural, RewardFeaturesConfig, UserPairs}};
    /// let mut pairs = UserPairs::new(2);
    /// for outcome in [Outcome::First, Outcome::First, Outcome::Second, Outcome::Second] {
    ///     let mut judged = Comparisons::new(2);
    ///     judged.push_weighted(0, 1, outcome, 10.0)?;
    ///     pairs.push(judged)?;
    /// }
    /// let model = RewardFeaturesConfig::new(1).fit(&Items::table(2), &pairs)?;
    /// assert!(model.user(0)?.first_wins(0, 1)? > 0.8 && model.user(3)?.first_wins(0, 1)? < 0.2);
    /// # Ok::<(), accordant_preference::Error>(())
    /// ```
    pub fn fit(&self, items: &Items, pairs: &UserPairs) -> Result<RewardFeatures> {
        let Self { dim, common_prior, features_prior, weights_prior, private_prior, solver, restarts, seed } = *self;
        check_domain(dim >= 1, "dim", ">= 1", dim as f64)?;
        check_domain(
            features_prior.is_finite() && features_prior >= 0.0,
            "features_prior",
            "finite and >= 0",
            features_prior,
        )?;
        let positive =
            [("common_prior", common_prior), ("weights_prior", Some(weights_prior)), ("private_prior", private_prior)];
        for (name, prior) in positive {
            let prior = prior.unwrap_or(1.0);
            check_domain(prior.is_finite() && prior > 0.0, name, "finite and > 0", prior)?;
        }
        let design = Design {
            form: Form::Dot { scale: 1.0 },
            users: Users::Free,
            dim,
            common: common_prior,
            items: features_prior,
            prototypes: 0.0,
            own: weights_prior,
            private: private_prior,
            per_user: false,
        };
        let factors = Factors::fit(design, items, pairs, Fit { solver, restarts, seed })?;
        Ok(RewardFeatures { report: factors.report, factors })
    }
}

/// Fitted features and weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RewardFeatures {
    /// How the fit ended.
    pub report: Report,
    factors: Factors,
}

impl RewardFeatures {
    /// The features of each item, `[items, d]`.
    pub fn features(&self) -> Vec<Vec<f64>> {
        let d = self.factors.design.dim;
        self.factors.layout().points(&self.factors.shared).chunks_exact(d).map(<[f64]>::to_vec).collect()
    }

    /// The common score of each item; zeros in a model without.
    pub fn common_scores(&self) -> Vec<f64> {
        self.factors.layout().scores_at(&self.factors.shared, &vec![0.0; self.factors.design.dim])
    }

    /// A user's weights of the features, `[d]`.
    ///
    /// # Errors
    /// [`crate::Error::Unknown`] naming `user`.
    pub fn weights(&self, user: usize) -> Result<Vec<f64>> {
        check_user(user, self.num_users())?;
        Ok(self.factors.own[user][..self.factors.design.dim].to_vec())
    }

    /// The weights of somebody of whom nothing is known: zeros around a common score, or the users' mean.
    pub fn mean_weights(&self) -> Vec<f64> {
        self.factors.center[..self.factors.design.dim].to_vec()
    }

    /// What is a user's own, as a linear problem whose prior has precision 1: the features, and a column for each item
    /// where users have tables, in units of their priors' standard deviations.
    fn own_items(&self) -> Result<Items> {
        let Design { own, private, .. } = self.factors.design;
        let n = self.factors.items.len();
        let rows: Vec<Vec<f64>> = self
            .features()
            .into_iter()
            .enumerate()
            .map(|(item, features)| {
                let mut row: Vec<f64> = features.iter().map(|f| f / own.sqrt()).collect();
                if let Some(private) = private {
                    row.extend((0..n).map(|other| if other == item { private.sqrt().recip() } else { 0.0 }));
                }
                row
            })
            .collect();
        Items::features(&rows)
    }

    /// The mean of a new user's numbers, in these units.
    fn own_mean(&self) -> Vec<f64> {
        self.factors.center.iter().map(|x| x * self.factors.design.own.sqrt()).collect()
    }

    /// The exact fit of a new user by Newton's method, in units of the priors' standard deviations: first the weights, then
    /// the entries of a table of their own.
    ///
    /// # Errors
    /// [`crate::Error::Length`] naming `items`.
    pub fn adapt_by_newton(&self, judged: &Comparisons) -> Result<Linear> {
        check_length("items", self.factors.items.len(), judged.num_items())?;
        LogisticConfig::new().fit_around(&self.own_items()?, judged, &self.own_mean(), &self.common_scores())
    }

    /// Of candidate pairs the one whose answer would tell most about a user: the largest `p (1 − p) xᵀ H⁻¹ x`, where `x` is
    /// the difference of features and `H` the curvature that the user's pairs so far and the prior leave. Of equal ones the
    /// first; none of no candidates.
    ///
    /// # Errors
    /// [`crate::Error::Index`] with the candidate for an item that is not there; as [`RewardFeatures::adapt_by_newton`].
    pub fn most_telling_pair(&self, judged: &Comparisons, candidates: &[(usize, usize)]) -> Result<Option<usize>> {
        let n = self.factors.items.len();
        for (row, &(first, second)) in candidates.iter().enumerate() {
            check_index(row, "first", first, n)?;
            check_index(row, "second", second, n)?;
        }
        let fitted = self.adapt_by_newton(judged)?;
        let (items, mean, base) = (self.own_items()?, self.own_mean(), self.common_scores());
        let terms: Vec<Term> = terms(judged, 0).collect();
        let problem = Logistic { items: &items, terms: &terms, mean: &mean, base: &base, prior: 1.0 };
        let curvature: DMatrix<f64> = problem.evaluate(&fitted.coefficients, &|_| 1.0).hessian;
        let factor = curvature.cholesky().expect("a prior makes it positive definite");
        let own = items.scores_of(&fitted.coefficients);
        let tells = |&(first, second): &(usize, usize)| {
            let row = |item| DVector::from_column_slice(items.row(item).expect("features"));
            let x = row(first) - row(second);
            let chance = accordant_ops::host::logistic(base[first] + own[first] - base[second] - own[second]);
            chance * (1.0 - chance) * x.dot(&factor.solve(&x))
        };
        let telling: Vec<f64> = candidates.iter().map(tells).collect();
        Ok((!telling.is_empty()).then(|| super::em::first_largest(&telling)))
    }
}

impl Plural for RewardFeatures {
    fn num_users(&self) -> usize {
        self.factors.own.len()
    }

    fn user(&self, user: usize) -> Result<Chooser> {
        check_user(user, self.num_users())?;
        Ok(Chooser::one(self.factors.scores(&self.factors.own[user])))
    }

    fn population(&self) -> Chooser {
        Chooser::one(self.factors.scores(&self.factors.center))
    }

    fn adapt(&self, judged: &Comparisons) -> Result<Chooser> {
        let fitted = self.adapt_by_newton(judged)?;
        let own = self.own_items()?.scores_of(&fitted.coefficients);
        Ok(Chooser::one(self.common_scores().iter().zip(own).map(|(common, own)| common + own).collect()))
    }
}
