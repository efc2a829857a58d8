//! Ideal points: each user likes what is near a point of their own (unfolding).
//!
//! **Paper:** Psychological Scaling without a Unit of Measurement (C. H. Coombs, 1950); the model of
//! [`pal`](super::pal) without prototypes.
//! **Use when:** more is not always better: sweetness, formality, length.
//! **Checked by:** the derivatives of its form.
//! **Deviations:** a linear term (an item's popularity) beside the squared distance, which else has to spend a dimension on
//! it.

use accordant_ops::check_domain;
use burn::config::Config;
use serde::{Deserialize, Serialize};

use super::{
    factors::{Design, Factors, Fit, Form, Users},
    pairs::{Chooser, Items, Plural, UserPairs, check_user},
};
use crate::{Comparisons, Report, Result, optimize::Solver};

/// Configuration of ideal points on the host.
///
/// ```text
/// s_ui = c · e_i − ‖F e_i − z_u‖²
/// minimize  Σ_n bce + ½ common_prior ‖c‖² + ½ items_prior ‖F‖² + ½ points_prior Σ_u ‖z_u‖²
/// ```
#[derive(Config, Debug, PartialEq)]
pub struct IdealPointConfig {
    /// The dimension of the points, ≥ 1.
    pub dim: usize,
    /// The precision of a normal prior on the items' popularity, finite and > 0; none without one. 1: ours.
    #[config(default = "Some(1.0)")]
    pub common_prior: Option<f64>,
    /// The precision of a normal prior on the map from items to points, finite and ≥ 0. 1: ours.
    #[config(default = 1.0)]
    pub items_prior: f64,
    /// The precision of a normal prior on each user's point, finite and ≥ 0. 1: ours.
    #[config(default = 1.0)]
    pub points_prior: f64,
    /// How fits run, of everybody and of a new user. L-BFGS: ours.
    #[config(default = "Solver::Lbfgs { gradient: 1e-5, max_iterations: 1000 }")]
    pub solver: Solver,
    /// From how many starts, ≥ 1; the best is kept. 1: ours.
    #[config(default = 1)]
    pub restarts: usize,
    /// The seed of the starts.
    #[config(default = 0)]
    pub seed: u64,
}

impl IdealPointConfig {
    /// Fits the items' and the users' points.
    ///
    /// # Errors
    /// A domain error naming a field, [`crate::Error::Length`] naming `items`, [`crate::Error::Empty`] without a pair.
    pub fn fit(&self, items: &Items, pairs: &UserPairs) -> Result<IdealPoints> {
        let Self { dim, common_prior, items_prior, points_prior, solver, restarts, seed } = *self;
        check_domain(dim >= 1, "dim", ">= 1", dim as f64)?;
        let common = common_prior.unwrap_or(1.0);
        check_domain(common.is_finite() && common > 0.0, "common_prior", "finite and > 0", common)?;
        for (name, prior) in [("items_prior", items_prior), ("points_prior", points_prior)] {
            check_domain(prior.is_finite() && prior >= 0.0, name, "finite and >= 0", prior)?;
        }
        let design = Design {
            form: Form::SquaredDistance,
            users: Users::Free,
            dim,
            common: common_prior,
            items: items_prior,
            prototypes: 0.0,
            own: points_prior,
            private: None,
            per_user: false,
        };
        let factors = Factors::fit(design, items, pairs, Fit { solver, restarts, seed })?;
        Ok(IdealPoints { report: factors.report, factors, solver })
    }
}

/// Fitted points.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IdealPoints {
    /// How the fit ended.
    pub report: Report,
    factors: Factors,
    solver: Solver,
}

impl IdealPoints {
    /// The points of the items, `[items, dim]`.
    pub fn item_points(&self) -> Vec<Vec<f64>> {
        let d = self.factors.design.dim;
        self.factors.layout().points(&self.factors.shared).chunks_exact(d).map(<[f64]>::to_vec).collect()
    }

    /// The point of a user.
    ///
    /// # Errors
    /// [`crate::Error::Unknown`] naming `user`.
    pub fn user_point(&self, user: usize) -> Result<Vec<f64>> {
        check_user(user, self.num_users())?;
        Ok(self.factors.own[user].clone())
    }
}

impl Plural for IdealPoints {
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
        let (own, _) = self.factors.adapt(judged, self.solver)?;
        Ok(Chooser::one(self.factors.scores(&own)))
    }
}
