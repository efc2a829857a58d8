//! Ideal points: each user likes what is near a point of their own (unfolding).
//!
//! **Paper:** Psychological Scaling without a Unit of Measurement (C. H. Coombs, 1950); the model of
//! [`pal`](super::pal) without prototypes.
//! **Use when:** more is not always better: sweetness, formality, length.
//! **Checked by:** two kinds of users on a line, whom one score misses; the derivatives of its form.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Error, Outcome,
        plural::{Hits, MixtureConfig, em::EmConfig},
    };

    /// Thirteen items on a line; half of the users like the left third best, the others the right one.
    fn line() -> (UserPairs, UserPairs) {
        let (mut train, mut test) = (UserPairs::new(13), UserPairs::new(13));
        for user in 0..20 {
            let ideal = if user % 2 == 0 { 3 } else { 9 };
            let (mut some, mut rest) = (Comparisons::new(13), Comparisons::new(13));
            for a in 0..13usize {
                for b in 0..a {
                    let away = |item: usize| item.abs_diff(ideal);
                    if away(a) == away(b) {
                        continue;
                    }
                    let outcome = if away(a) < away(b) { Outcome::First } else { Outcome::Second };
                    let part = if (3 * a + 5 * b + user) % 3 == 0 { &mut rest } else { &mut some };
                    part.push(a, b, outcome).unwrap();
                }
            }
            train.push(some).unwrap();
            test.push(rest).unwrap();
        }
        (train, test)
    }

    fn accuracy(model: &dyn Plural, test: &UserPairs) -> f64 {
        let hits =
            test.users().iter().enumerate().map(|(user, judged)| model.user(user).unwrap().foretell(judged).unwrap());
        hits.fold(Hits::default(), Hits::plus).accuracy().unwrap()
    }

    #[test]
    fn who_likes_what_is_near_is_found_on_a_line_and_one_score_misses_them() {
        let (train, test) = line();
        let config = IdealPointConfig::new(1).with_items_prior(0.1).with_points_prior(0.1).with_restarts(3);
        let points = config.fit(&Items::table(13), &train).unwrap();
        let one = MixtureConfig::new(EmConfig::new(1)).fit(&Items::table(13), &train).unwrap();
        let (many, one) = (accuracy(&points, &test), accuracy(&one, &test));
        assert!(many > 0.97 && one < 0.75, "{many} and {one}");
        // The two kinds of users stand on two sides.
        let side = |user: usize| points.user_point(user).unwrap()[0].signum();
        assert!((0..20).all(|user| side(user) == side(user % 2)) && side(0) != side(1));
        assert_eq!(points.item_points().len(), 13);
        // Pairs of all items: those of the first items say only on which side the point is.
        let few = train.users()[1].select((0..train.users()[1].len()).step_by(4)).unwrap();
        let hits = points.adapt(&few).unwrap().foretell(&test.users()[1]).unwrap();
        assert!(hits.accuracy().unwrap() > 0.9, "{hits:?}");
        assert_eq!(points.adapt(&Comparisons::new(13)).unwrap(), points.population());
    }

    #[test]
    fn settings_and_ids_are_checked() {
        let (train, _) = line();
        let table = Items::table(13);
        let text = |config: IdealPointConfig| config.fit(&table, &train).unwrap_err().to_string();
        let config = || IdealPointConfig::new(1);
        assert!(text(IdealPointConfig::new(0)).starts_with("`dim`: expected >= 1"));
        for bad in [0.0, f64::NAN, f64::INFINITY] {
            assert!(text(config().with_common_prior(Some(bad))).starts_with("`common_prior`: expected finite and > 0"));
        }
        for bad in [-1.0, f64::NAN, f64::INFINITY] {
            assert!(text(config().with_items_prior(bad)).starts_with("`items_prior`: expected finite and >= 0"));
            assert!(text(config().with_points_prior(bad)).starts_with("`points_prior`: expected finite and >= 0"));
        }
        let quick = Solver::Lbfgs { gradient: 1e-3, max_iterations: 3 };
        let model = config().with_common_prior(None).with_solver(quick).fit(&table, &train).unwrap();
        assert!(!model.report.converged, "three steps are not enough, and it says so");
        assert!(matches!(model.user(20), Err(Error::Unknown { name: "user", index: 20 })));
        assert!(model.user_point(20).is_err() && model.num_users() == 20);
        let IdealPointConfig { common_prior, items_prior, points_prior, restarts, seed, .. } = config();
        assert_eq!((common_prior, items_prior, points_prior, restarts, seed), (Some(1.0), 1.0, 1.0, 1, 0));
    }
}
