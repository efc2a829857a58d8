//! Pluralistic alignment (PAL): users between a few prototypes, whose ideal items are theirs in part.
//!
//! **Paper:** PAL: Pluralistic Alignment Framework for Learning from Heterogeneous Preferences (2024), 2406.08469.
//! **Use when:** users share a few points of view; each user needs K numbers, and a new one about ten pairs.
//! **Checked by:** known groups (accuracy and adjusted Rand index of `tests/known_groups.rs`), two kinds of ideal points and
//! new users with ten pairs, both faces tied, rotations and translations, one prototype being Bradley-Terry, derivatives.
//! **Deviations:** the host face maps items linearly (or has a point for each), puts prototypes into the space of points,
//! and fits the logistic loss; new users start at the logits of the mean weights. `dist_logistic` has the sign of a score,
//! which the released code turns. Networks, hinge losses and prompts (model B) are on the tensor face.

use accordant_ops::{check_domain, check_dtype, check_shape, host::log_sigmoid};
use burn::{
    config::Config,
    tensor::{Tensor, activation::relu},
};
use serde::{Deserialize, Serialize};

use super::{
    em::first_largest,
    factors::{self, Design, Factors, Fit, Form, Users},
    pairs::{Chooser, Items, Plural, UserPairs, check_user, terms},
};
use crate::{
    Comparisons, Nll, Report, Result,
    error::{check_index, check_length},
    optimize::Solver,
    pairwise::{PairScores, PairwiseLoss, bradley_terry::binary_cross_entropy},
};

/// The point of each row's user: `Σ_k w_k p_k`.
///
/// # Shapes
/// `weights`: `[n, K]`, the row of the item's user, a softmax of their logits; `prototypes`: `[K, d]`, in the space of the
/// points (map them first for `f(P) w`, map the result for `f(P w)`; both are the same for a linear map). `[n, d]` result.
/// Where prototypes depend on the prompt (model B) they are `[n, K, d]`: [`prompt_points`].
///
/// # Errors
/// A shape error naming `prototypes`.
pub fn user_points(weights: Tensor<2>, prototypes: Tensor<2>) -> Result<Tensor<2>> {
    let ([_, k], [_, d]) = (weights.dims(), prototypes.dims());
    check_shape("prototypes", &[k, d], &prototypes.dims())?;
    Ok(weights.matmul(prototypes))
}

/// The point of each row's user where every prototype is a function of the prompt (model B): `Σ_k w_k g_k(x)`.
///
/// # Shapes
/// `weights`: `[n, K]`; `prototypes`: `[n, K, d]`, what the K maps make of the row's prompt. `[n, d]` result.
///
/// # Errors
/// A shape error naming `prototypes`.
pub fn prompt_points(weights: Tensor<2>, prototypes: Tensor<3>) -> Result<Tensor<2>> {
    let ([n, k], [_, _, d]) = (weights.dims(), prototypes.dims());
    check_shape("prototypes", &[n, k, d], &prototypes.dims())?;
    Ok((weights.unsqueeze_dim::<3>(2) * prototypes).sum_dim(1).squeeze_dim(1))
}

/// How an item's point is scored for a user's.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum PalScore {
    /// `−‖f − z‖`, the released code's.
    Distance,
    /// `−‖f − z‖²`, the paper's.
    SquaredDistance,
    /// `−‖f/‖f‖ − z/‖z‖‖`
    NormalizedDistance,
    /// `cos(f, z)`; 0 where either is 0.
    Cosine,
    /// `⟨f, z⟩`, where `f` is what is known of an item: prototypes are directions of scores.
    Linear,
}

/// Scores of items for users, one per row.
///
/// # Shapes
/// `items` and `points`: `[n, d]`; `[n]` result, to be multiplied by a learned `κ ≤ 100` for [`PalScore::Cosine`] (its log
/// starts at `ln(1/0.07)`). An item at a user's point has distance 0 with gradient 0; vectors of zeros have gradient 0 too.
///
/// # Errors
/// A shape or dtype error naming `points`.
///
/// # Example
/// ```
/// use accordant_preference::plural::pal::{PalScore, pal_scores};
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let (items, points) = (Tensor::from_floats([[3.0, 4.0]], &device), Tensor::from_floats([[0.0, 8.0]], &device));
/// let score = |kind| pal_scores(items.clone(), points.clone(), kind).unwrap().into_scalar::<f32>();
/// assert_eq!(score(PalScore::Distance), -5.0); // 3² + 4²
/// assert_eq!(score(PalScore::SquaredDistance), -25.0);
/// assert!((score(PalScore::Cosine) - 0.8).abs() < 1e-6);
/// ```
#[doc(alias = "2406.08469")]
#[doc(alias = "ideal point")]
pub fn pal_scores(items: Tensor<2>, points: Tensor<2>, kind: PalScore) -> Result<Tensor<1>> {
    check_shape("points", &items.dims(), &points.dims())?;
    check_dtype("points", items.dtype(), points.dtype())?;
    Ok(match kind {
        PalScore::Linear => products(items, points),
        PalScore::Cosine => products(unit(items), unit(points)),
        PalScore::SquaredDistance => -products_of_self(items - points),
        PalScore::Distance => -norm(items - points),
        PalScore::NormalizedDistance => -norm(unit(items) - unit(points)),
    })
}

fn products(a: Tensor<2>, b: Tensor<2>) -> Tensor<1> {
    (a * b).sum_dim(1).squeeze_dim(1)
}

fn products_of_self(a: Tensor<2>) -> Tensor<1> {
    a.square().sum_dim(1).squeeze_dim(1)
}

/// The length of each row, whose slope at 0 is 0 and not infinite.
fn norm(a: Tensor<2>) -> Tensor<1> {
    let squares = products_of_self(a);
    let none = squares.clone().equal_scalar(0.0);
    squares.mask_fill(none.clone(), 1.0).sqrt().mask_fill(none, 0.0)
}

/// Each row with length 1, or 0 of zeros.
fn unit(a: Tensor<2>) -> Tensor<2> {
    let norm = norm(a.clone());
    let norm = norm.clone().mask_fill(norm.equal_scalar(0.0), 1.0);
    a / norm.unsqueeze_dim(1)
}

/// How far points lie outside of a ball, `max(0, ‖z‖ − bound)`, one per row: summed, a regularizer of weight 1 in model A
/// (bound 23). The released model B computes it and leaves it out.
///
/// # Shapes
/// `points`: `[n, d]`; `[n]` result. `bound` is finite and ≥ 0.
///
/// # Errors
/// A domain error naming `bound`.
pub fn norm_excess(points: Tensor<2>, bound: f64) -> Result<Tensor<1>> {
    check_domain(bound.is_finite() && bound >= 0.0, "bound", "finite and >= 0", bound)?;
    Ok(relu(norm(points) - bound))
}

/// What is lost when a pair of scores is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PalLossKind {
    /// `softplus(z) − t z`: Bradley-Terry.
    Logistic,
    /// `t max(0, 1 − z) + (1 − t) max(0, 1 + z)`: for distances, as released.
    Hinge,
}

/// Configuration of [`PalLoss`].
#[derive(Config, Debug, PartialEq)]
pub struct PalLossConfig {
    /// What is lost. Logistic: scores are log-odds.
    #[config(default = "PalLossKind::Logistic")]
    pub kind: PalLossKind,
    /// What scores are multiplied by, κ, finite and > 0. 1: none.
    #[config(default = 1.0)]
    pub scale: f64,
}

impl PalLossConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming `scale`.
    pub fn init(&self) -> Result<PalLoss> {
        check_domain(self.scale.is_finite() && self.scale > 0.0, "scale", "finite and > 0", self.scale)?;
        Ok(PalLoss { config: self.clone() })
    }
}

/// The loss of pairs of [`pal_scores`].
#[derive(Debug, Clone, PartialEq)]
pub struct PalLoss {
    config: PalLossConfig,
}

impl PairwiseLoss for PalLoss {
    fn forward(&self, pairs: &PairScores) -> Result<Nll> {
        let (leads, targets) = (pairs.leads() * self.config.scale, pairs.targets());
        let losses = match self.config.kind {
            PalLossKind::Logistic => binary_cross_entropy(leads, targets)?,
            PalLossKind::Hinge => {
                relu(leads.clone().neg() + 1.0) * targets.clone() + relu(leads + 1.0) * (targets.neg() + 1.0)
            }
        };
        pairs.nll(losses)
    }
}

/// The form of a model on the host.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum PalForm {
    /// `⟨e_i, Σ_k w_k p_k⟩`: prototypes are coefficients of scores.
    Linear,
    /// `−‖F e_i − Σ_k w_k p_k‖`, which has a kink where an item is at a user's point: a fit that ends there says that it has
    /// not converged.
    Distance {
        /// The dimension of points, ≥ 1.
        dim: usize,
    },
    /// `−‖F e_i − Σ_k w_k p_k‖²`
    SquaredDistance {
        /// The dimension of points, ≥ 1.
        dim: usize,
    },
    /// `κ cos(F e_i, Σ_k w_k p_k)`, which jumps where one of both is 0: as with distances.
    Angle {
        /// The dimension of points, ≥ 1.
        dim: usize,
        /// κ, finite and > 0; 1/0.07 is where the released code starts.
        kappa: f64,
    },
}

/// Configuration of PAL on the host.
///
/// ```text
/// minimize  Σ_n bce + ½ items_prior ‖F‖² + ½ prototypes_prior ‖P‖² + ½ logits_prior Σ_u ‖ω_u‖² [ + ½ common_prior ‖c‖² ]
/// ```
#[derive(Config, Debug, PartialEq)]
pub struct PalConfig {
    /// How many prototypes, K ≥ 1.
    pub num_prototypes: usize,
    /// How items are scored. Squared distances in two dimensions: the paper's form.
    #[config(default = "PalForm::SquaredDistance { dim: 2 }")]
    pub form: PalForm,
    /// The precision of a normal prior on the popularity of items, added to all scores, finite and > 0; none without one.
    /// Free points of items need it, or dimensions to spare.
    #[config(default = "None")]
    pub common_prior: Option<f64>,
    /// The precision of a normal prior on the map of items, finite and ≥ 0; unused by the linear form and by
    /// angles, which lengths do not change. 1: ours.
    #[config(default = 1.0)]
    pub items_prior: f64,
    /// The precision of a normal prior on prototypes, finite and ≥ 0; unused by angles. 1: ours.
    #[config(default = 1.0)]
    pub prototypes_prior: f64,
    /// The precision of a normal prior on each logit of each user, finite and ≥ 0. 0.05: ours, from a world of known groups.
    #[config(default = 0.05)]
    pub logits_prior: f64,
    /// How fits run, of everybody and of a new user. L-BFGS: ours.
    #[config(default = "Solver::Lbfgs { gradient: 1e-5, max_iterations: 1000 }")]
    pub solver: Solver,
    /// From how many starts, ≥ 1; the best is kept. 3: ours.
    #[config(default = 3)]
    pub restarts: usize,
    /// The seed of the starts.
    #[config(default = 0)]
    pub seed: u64,
}

impl PalConfig {
    /// Fits prototypes, the map of items and the users' weights.
    ///
    /// # Errors
    /// A domain error naming a field, [`crate::Error::Length`] naming `items`, [`crate::Error::Empty`] without a pair.
    ///
    /// # Example
    /// ```
    /// use accordant_preference::{Comparisons, Outcome, plural::{Items, Plural, UserPairs, pal::{PalConfig, PalForm}}};
    /// let mut pairs = UserPairs::new(2);
    /// for outcome in [Outcome::First, Outcome::First, Outcome::Second, Outcome::Second] {
    ///     let mut judged = Comparisons::new(2);
    ///     judged.push_weighted(0, 1, outcome, 10.0)?;
    ///     pairs.push(judged)?;
    /// }
    /// let pal = PalConfig::new(2).with_form(PalForm::Linear).fit(&Items::table(2), &pairs)?;
    /// assert!(pal.user(0)?.first_wins(0, 1)? > 0.9 && pal.user(3)?.first_wins(0, 1)? < 0.1);
    /// # Ok::<(), accordant_preference::Error>(())
    /// ```
    pub fn fit(&self, items: &Items, pairs: &UserPairs) -> Result<Pal> {
        let Self { num_prototypes, form, common_prior, solver, restarts, seed, .. } = *self;
        check_domain(num_prototypes >= 1, "num_prototypes", ">= 1", num_prototypes as f64)?;
        for (name, prior) in [
            ("items_prior", self.items_prior),
            ("prototypes_prior", self.prototypes_prior),
            ("logits_prior", self.logits_prior),
        ] {
            check_domain(prior.is_finite() && prior >= 0.0, name, "finite and >= 0", prior)?;
        }
        let common = common_prior.unwrap_or(1.0);
        check_domain(common.is_finite() && common > 0.0, "common_prior", "finite and > 0", common)?;
        let (form, dim) = match form {
            PalForm::Linear => (Form::Dot { scale: 1.0 }, num_prototypes),
            PalForm::Distance { dim } => (Form::Distance, dim),
            PalForm::SquaredDistance { dim } => (Form::SquaredDistance, dim),
            PalForm::Angle { dim, kappa } => {
                check_domain(kappa.is_finite() && kappa > 0.0, "kappa", "finite and > 0", kappa)?;
                (Form::Angle { kappa }, dim)
            }
        };
        check_domain(dim >= 1, "dim", ">= 1", dim as f64)?;
        let (linear, angle) = (self.form == PalForm::Linear, matches!(self.form, PalForm::Angle { .. }));
        // Lengths change no angle: a prior would pull them to 0, where directions jump.
        let (items_prior, prototypes_prior) =
            if angle { (0.0, 0.0) } else { (self.items_prior, self.prototypes_prior) };
        let design = Design {
            form,
            users: if linear { Users::Simplex } else { Users::Prototypes(num_prototypes) },
            dim,
            common: common_prior,
            // The map of the linear form is made of the prototypes.
            items: if linear { prototypes_prior } else { items_prior },
            prototypes: prototypes_prior,
            own: self.logits_prior,
            private: None,
            per_user: false,
        };
        let factors = Factors::fit(design, items, pairs, Fit { solver, restarts, seed })?;
        Ok(Pal { report: factors.report, factors, num_prototypes, solver })
    }
}

/// A fitted model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pal {
    /// How the fit ended.
    pub report: Report,
    factors: Factors,
    num_prototypes: usize,
    solver: Solver,
}

impl Pal {
    /// A user's weights of the prototypes.
    ///
    /// # Errors
    /// [`crate::Error::Unknown`] naming `user`.
    pub fn weights(&self, user: usize) -> Result<Vec<f64>> {
        check_user(user, self.num_users())?;
        Ok(factors::weights(&self.factors.own[user]))
    }

    /// The mean weights: those of somebody of whom nothing is known.
    pub fn mean_weights(&self) -> Vec<f64> {
        factors::weights(&self.factors.center)
    }

    /// A user's effective number of prototypes, `exp(H(w))` in [1, K]; 1 when one has all the weight.
    ///
    /// # Errors
    /// [`crate::Error::Unknown`] naming `user`.
    pub fn effective_prototypes(&self, user: usize) -> Result<f64> {
        Ok(super::effective_number(&self.weights(user)?))
    }

    /// The prototype with the largest weight, of each user; of equal ones the first.
    pub fn assignments(&self) -> Vec<usize> {
        self.factors.own.iter().map(|own| first_largest(own)).collect()
    }

    /// The point of a prototype: where all the weight is its.
    fn prototype(&self, prototype: usize) -> Vec<f64> {
        let d = self.factors.design.dim;
        match self.factors.design.users {
            Users::Prototypes(_) => {
                self.factors.layout().prototypes(&self.factors.shared)[prototype * d..][..d].to_vec()
            }
            _ => (0..d).map(|l| f64::from(u8::from(l == prototype))).collect(),
        }
    }

    /// The scores of the items at a prototype: for a user who has all the weight there.
    ///
    /// # Errors
    /// [`crate::Error::Index`] naming `prototype`.
    pub fn prototype_scores(&self, prototype: usize) -> Result<Vec<f64>> {
        check_index(0, "prototype", prototype, self.num_prototypes)?;
        Ok(self.factors.layout().scores_at(&self.factors.shared, &self.prototype(prototype)))
    }

    /// A new user's weights of the prototypes, with everything shared as it is.
    ///
    /// # Errors
    /// [`crate::Error::Length`] naming `items`.
    pub fn adapted_weights(&self, judged: &Comparisons) -> Result<Vec<f64>> {
        Ok(factors::weights(&self.factors.adapt(judged, self.solver)?.0))
    }

    /// Users of pure kinds: assigns each to the prototype with the largest weight, refits every prototype to its users,
    /// assigns users to the prototype that explains them best, and so on, `rounds` times (3 in the experiments).
    ///
    /// Weights within the simplex cost a user of a pure kind variance, whatever the amount of noise. `pairs` are those of
    /// the fit. A prototype without users stays as it is.
    ///
    /// # Errors
    /// [`crate::Error::Length`] naming `items` or `users`.
    pub fn hard_refit(&self, pairs: &UserPairs, rounds: usize) -> Result<Partition> {
        check_length("items", self.factors.items.len(), pairs.num_items())?;
        check_length("users", self.num_users(), pairs.num_users())?;
        let mut assignments = self.assignments();
        let mut points: Vec<Vec<f64>> = (0..self.num_prototypes).map(|k| self.prototype(k)).collect();
        let mut scores: Vec<Vec<f64>> =
            points.iter().map(|point| self.factors.layout().scores_at(&self.factors.shared, point)).collect();
        let mut converged = true;
        for _ in 0..rounds {
            for k in 0..self.num_prototypes {
                let mine: Vec<&Comparisons> = pairs
                    .users()
                    .iter()
                    .zip(&assignments)
                    .filter(|(_, own)| **own == k)
                    .map(|(user, _)| user)
                    .collect();
                if mine.iter().all(|user| terms(user, 0).next().is_none()) {
                    continue;
                }
                let report = match self.factors.design.users {
                    Users::Prototypes(_) => {
                        let prior = self.factors.design.prototypes;
                        let (point, report) = self.factors.shared_point(&mine, &points[k], prior, self.solver);
                        points[k] = point;
                        scores[k] = self.factors.layout().scores_at(&self.factors.shared, &points[k]);
                        report
                    }
                    _ => {
                        let (linear, report) = self.refit_linear(&mine)?;
                        scores[k] = linear;
                        report
                    }
                };
                converged &= report.converged;
            }
            for (own, judged) in assignments.iter_mut().zip(pairs.users()) {
                *own = nearest(&scores, judged);
            }
        }
        let mut shares = vec![0.0; self.num_prototypes];
        assignments.iter().for_each(|&k| shares[k] += 1.0 / assignments.len() as f64);
        Ok(Partition { assignments, shares, scores, converged })
    }

    /// A prototype of the linear form is a scorer of its own.
    fn refit_linear(&self, users: &[&Comparisons]) -> Result<(Vec<f64>, Report)> {
        let mut mine = UserPairs::new(self.factors.items.len());
        users.iter().try_for_each(|user| mine.push((*user).clone()))?;
        let base = self.factors.layout().scores_at(&self.factors.shared, &vec![0.0; self.num_prototypes]);
        let prior = self.factors.design.items.max(1e-6);
        let items = &self.factors.items;
        let fit = super::LogisticConfig::new().with_prior(prior);
        let linear = fit.fit_around(items, &mine.pooled(), &vec![0.0; items.dim()], &base)?;
        let scores = items.scores_of(&linear.coefficients);
        Ok((base.iter().zip(scores).map(|(base, own)| base + own).collect(), linear.report))
    }
}

/// The row of scores under which pairs are likeliest; of equal ones the first.
fn nearest(scores: &[Vec<f64>], judged: &Comparisons) -> usize {
    let likelihood = |scores: &Vec<f64>| -> f64 {
        terms(judged, 0)
            .map(|term| {
                let d = scores[term.first] - scores[term.second];
                term.weight * (term.share * log_sigmoid(d) + (1.0 - term.share) * log_sigmoid(-d))
            })
            .sum()
    };
    first_largest(&scores.iter().map(likelihood).collect::<Vec<f64>>())
}

impl Plural for Pal {
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

/// Users of pure kinds: each has one prototype.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Partition {
    /// The prototype of each user.
    pub assignments: Vec<usize>,
    /// The share of users of each prototype.
    pub shares: Vec<f64>,
    /// The scores of the items at each prototype, `[K, items]`.
    pub scores: Vec<Vec<f64>>,
    /// Whether all fits of prototypes have converged.
    pub converged: bool,
}

impl Plural for Partition {
    fn num_users(&self) -> usize {
        self.assignments.len()
    }

    fn user(&self, user: usize) -> Result<Chooser> {
        check_user(user, self.num_users())?;
        Ok(Chooser::one(self.scores[self.assignments[user]].clone()))
    }

    /// A user drawn at random.
    fn population(&self) -> Chooser {
        Chooser::new(self.shares.clone(), self.scores.clone()).expect("shares of users")
    }

    /// The prototype that explains the pairs best.
    fn adapt(&self, judged: &Comparisons) -> Result<Chooser> {
        check_length("items", self.scores[0].len(), judged.num_items())?;
        match terms(judged, 0).next() {
            None => Ok(self.population()),
            Some(_) => Ok(Chooser::one(self.scores[nearest(&self.scores, judged)].clone())),
        }
    }
}

#[cfg(test)]
mod tests;
