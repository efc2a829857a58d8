//! Low-rank reward modeling (LoRe): a few bases of scores, and each user's weights of them on the simplex.
//!
//! **Paper:** LoRe: Personalizing LLMs via Low-Rank Reward Modeling (2025), 2504.14439.
//! **Use when:** tastes are mixtures of a few, and a new user gives five to twenty pairs.
//! **Checked by:** a seeded world of rank 3, one basis being Bradley-Terry, the convex fit of new users, both faces tied.
//! **Deviations:** tables of items too; all parameters are fitted at once; a normal prior on the basis stands for the pull
//! to a reference head; losses are sums unless each user is to weigh the same.

use accordant_ops::{check_domain, check_shape};
use burn::{config::Config, tensor::Tensor};
use serde::{Deserialize, Serialize};

use super::{
    factors::{self, Design, Factors, Fit, Form, Users},
    pairs::{Chooser, Items, Plural, UserPairs, check_user},
    simplex::{SimplexConfig, SimplexFit},
};
use crate::{Comparisons, Report, Result, error::check_index, optimize::Solver};

/// Scores of items for users with weights on the simplex.
///
/// ```text
/// s_n = ⟨V w_n, e_n⟩ / τ
/// ```
///
/// # Shapes
/// `features`: `[n, h]`, what is known of each item; `basis`: `[h, B]`; `weights`: `[n, B]`, the row of the item's user, a
/// softmax of that user's logits (`user_logits.select(0, users)`). `[n]` results. `temperature`, τ, is finite and > 0: 100
/// in the released code. One basis gives the same scores to all users, whatever the logits.
///
/// # Errors
/// A shape error naming `basis` or `weights`, a domain error naming `temperature`.
///
/// # Example
/// ```
/// use accordant_preference::plural::lore::lore_scores;
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let features = Tensor::from_floats([[1.0, 2.0]], &device);
/// let basis = Tensor::from_floats([[4.0, 0.0], [0.0, 4.0]], &device);
/// let scores = lore_scores(features, basis, Tensor::from_floats([[0.75, 0.25]], &device), 1.0)?;
/// assert_eq!(scores.into_scalar::<f32>(), 5.0); // 0.75 · 4 · 1 + 0.25 · 4 · 2
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[doc(alias = "2504.14439")]
pub fn lore_scores(features: Tensor<2>, basis: Tensor<2>, weights: Tensor<2>, temperature: f64) -> Result<Tensor<1>> {
    let ([n, h], [_, b]) = (features.dims(), basis.dims());
    check_shape("basis", &[h, b], &basis.dims())?;
    check_shape("weights", &[n, b], &weights.dims())?;
    check_domain(temperature.is_finite() && temperature > 0.0, "temperature", "finite and > 0", temperature)?;
    let scores = (features.matmul(basis) * weights).sum_dim(1).squeeze_dim(1);
    Ok(scores * temperature.recip())
}

/// How far the columns of a basis point away from a reference head: `mean_b (1 − cos(v_b, v_ref))`, in [0, 2]; added to the
/// loss with a weight.
///
/// A column or a reference of zeros counts as orthogonal: 1, with gradient 0.
///
/// # Shapes
/// `basis`: `[h, B]`, `reference`: `[h]`, a constant. `[1]` result.
///
/// # Errors
/// A shape error naming `reference`.
pub fn basis_penalty(basis: Tensor<2>, reference: Tensor<1>) -> Result<Tensor<1>> {
    let [h, _] = basis.dims();
    check_shape("reference", &[h], &reference.dims())?;
    let reference = reference.detach().unsqueeze_dim::<2>(1);
    let products = (basis.clone() * reference.clone()).sum_dim(0);
    let squares = basis.square().sum_dim(0) * reference.square().sum_dim(0);
    let none = squares.clone().equal_scalar(0.0);
    let cosines = products.mask_fill(none.clone(), 0.0) / squares.mask_fill(none, 1.0).sqrt();
    Ok((cosines.neg() + 1.0).mean())
}

/// Configuration of LoRe on the host.
///
/// ```text
/// minimize  Σ_u [Σ or mean]_{n ∈ u} bce(s_first − s_second) + ½ basis_prior Σ_b ‖v_b‖² + ½ logits_prior Σ_u ‖ω_u‖²
/// ```
#[derive(Config, Debug, PartialEq)]
pub struct LoreConfig {
    /// How many bases, B ≥ 1.
    pub num_bases: usize,
    /// What scores are divided by, finite and > 0. 1: ours; the released code divides by 100.
    #[config(default = 1.0)]
    pub temperature: f64,
    /// The precision of a normal prior on each coefficient of each basis, finite and ≥ 0. 1: ours.
    #[config(default = 1.0)]
    pub basis_prior: f64,
    /// The precision of a normal prior on each logit of each user, finite and ≥ 0. 1: ours. New users' logits are pulled to
    /// those of the mean weights.
    #[config(default = 1.0)]
    pub logits_prior: f64,
    /// Whether each user weighs the same, as published; otherwise each pair.
    #[config(default = false)]
    pub per_user: bool,
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

impl LoreConfig {
    /// Fits the bases and the users' weights.
    ///
    /// # Errors
    /// A domain error naming a field, [`crate::Error::Length`] naming `items`, [`crate::Error::Empty`] without a pair.
    ///
    /// # Example
    /// ```
    /// use accordant_preference::{Comparisons, Outcome, plural::{Items, Plural, UserPairs, lore::LoreConfig}};
    /// let mut pairs = UserPairs::new(2);
    /// for outcome in [Outcome::First, Outcome::First, Outcome::Second, Outcome::Second] {
    ///     let mut judged = Comparisons::new(2);
    ///     judged.push_weighted(0, 1, outcome, 10.0)?;
    ///     pairs.push(judged)?;
    /// }
    /// let lore = LoreConfig::new(2).with_basis_prior(0.1).with_logits_prior(0.1).fit(&Items::table(2), &pairs)?;
    /// assert!(lore.user(0)?.first_wins(0, 1)? > 0.9 && lore.user(3)?.first_wins(0, 1)? < 0.1);
    /// # Ok::<(), accordant_preference::Error>(())
    /// ```
    pub fn fit(&self, items: &Items, pairs: &UserPairs) -> Result<Lore> {
        let Self { num_bases, temperature, basis_prior, logits_prior, per_user, solver, restarts, seed } = *self;
        check_domain(num_bases >= 1, "num_bases", ">= 1", num_bases as f64)?;
        check_domain(temperature.is_finite() && temperature > 0.0, "temperature", "finite and > 0", temperature)?;
        for (name, prior) in [("basis_prior", basis_prior), ("logits_prior", logits_prior)] {
            check_domain(prior.is_finite() && prior >= 0.0, name, "finite and >= 0", prior)?;
        }
        let design = Design {
            form: Form::Dot { scale: temperature.recip() },
            users: Users::Simplex,
            dim: num_bases,
            common: None,
            items: basis_prior,
            prototypes: 0.0,
            own: logits_prior,
            private: None,
            per_user,
        };
        let factors = Factors::fit(design, items, pairs, Fit { solver, restarts, seed })?;
        Ok(Lore { report: factors.report, factors, solver })
    }
}

/// Fitted bases and weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Lore {
    /// How the fit ended.
    pub report: Report,
    factors: Factors,
    solver: Solver,
}

impl Lore {
    /// The coefficients of each basis, `[B, dim]`, before the temperature.
    pub fn bases(&self) -> Vec<Vec<f64>> {
        self.factors.shared.chunks_exact(self.factors.items.dim()).map(<[f64]>::to_vec).collect()
    }

    /// The scores of the items under each basis, `[B, items]`, after the temperature.
    pub fn basis_scores(&self) -> Vec<Vec<f64>> {
        let corner = |b: usize| (0..self.factors.design.dim).map(|l| f64::from(u8::from(l == b))).collect::<Vec<f64>>();
        let layout = self.factors.layout();
        (0..self.factors.design.dim).map(|b| layout.scores_at(&self.factors.shared, &corner(b))).collect()
    }

    /// A user's weights of the bases.
    ///
    /// # Errors
    /// [`crate::Error::Unknown`] naming `user`.
    pub fn weights(&self, user: usize) -> Result<Vec<f64>> {
        check_user(user, self.num_users())?;
        Ok(factors::weights(&self.factors.own[user]))
    }

    /// The bases that some user gives at least this much weight; 0.01 is the released code's.
    pub fn kept(&self, threshold: f64) -> Vec<usize> {
        let weights: Vec<Vec<f64>> = self.factors.own.iter().map(|own| factors::weights(own)).collect();
        (0..self.factors.design.dim).filter(|&b| weights.iter().any(|of| of[b] >= threshold)).collect()
    }

    /// A user's effective number of bases, `exp(H(w))` in [1, B]; 1 when one has all the weight.
    ///
    /// # Errors
    /// [`crate::Error::Unknown`] naming `user`.
    pub fn effective_bases(&self, user: usize) -> Result<f64> {
        Ok(super::effective_number(&self.weights(user)?))
    }

    /// The best weights of a new user on the simplex, without any prior: the optimum that fits by logits aim at.
    ///
    /// # Errors
    /// [`crate::Error::Length`] naming `items`, a domain error naming a field of `config`.
    pub fn adapt_on_simplex(&self, judged: &Comparisons, config: &SimplexConfig) -> Result<SimplexFit> {
        config.fit(&self.basis_scores(), judged, &factors::weights(&self.factors.center))
    }

    /// How a user with these weights of the bases sees the items.
    ///
    /// # Errors
    /// [`crate::Error::Index`] when there are more weights than bases, or a domain error when they are not on the simplex.
    pub fn with_weights(&self, weights: &[f64]) -> Result<Chooser> {
        check_index(0, "weights", weights.len().saturating_sub(1), self.factors.design.dim)?;
        crate::error::check_length("weights", self.factors.design.dim, weights.len())?;
        let scores = self.basis_scores();
        // On the simplex or not is checked there.
        let mixed = Chooser::new(weights.to_vec(), scores)?.mean_scores();
        Ok(Chooser::one(mixed))
    }
}

impl Plural for Lore {
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
