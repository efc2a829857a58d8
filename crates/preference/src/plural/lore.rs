//! Low-rank reward modeling (LoRe): a few bases of scores, and each user's weights of them on the simplex.
//!
//! **Paper:** LoRe: Personalizing LLMs via Low-Rank Reward Modeling (2025), 2504.14439.
//! **Use when:** tastes are mixtures of a few, and a new user gives five to twenty pairs.
//! **Checked by:** a seeded world of rank 3, one basis being Bradley-Terry, both faces tied.
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

#[cfg(test)]
mod tests {
    use accordant_laws::gradient::check_gradient;
    use burn::tensor::{DType, Device, TensorData};
    use rand::Rng;
    use rand_distr::{Distribution, StandardNormal};

    use super::*;
    use crate::{
        Error, Outcome,
        plural::{Hits, LogisticConfig},
        random::{Purpose, stream},
    };

    /// Users whose reward is a mixture of three directions in 16 dimensions, 60 pairs each, and as many to test.
    fn mixed_tastes(scale: f64, seed: u64) -> (Items, UserPairs, UserPairs, Vec<Vec<f64>>) {
        const H: usize = 16;
        let mut rng = stream(seed, Purpose::World, 0);
        let bases: Vec<Vec<f64>> = (0..3).map(|_| (0..H).map(|_| StandardNormal.sample(&mut rng)).collect()).collect();
        let rows: Vec<Vec<f64>> = (0..600).map(|_| (0..H).map(|_| StandardNormal.sample(&mut rng)).collect()).collect();
        let items = Items::features(&rows).unwrap();
        let (mut train, mut test, mut truth) = (UserPairs::new(600), UserPairs::new(600), Vec::new());
        for _ in 0..50 {
            // Gamma(0.3) by Ahrens and Dieter's rejection, for Dirichlet(0.3).
            let mut gamma = || loop {
                let (u, v): (f64, f64) = (rng.random(), rng.random());
                let b = 1.0 + 0.3 / std::f64::consts::E;
                let p = b * u;
                let (x, accept) = if p <= 1.0 {
                    let x = p.powf(1.0 / 0.3);
                    (x, (-x).exp())
                } else {
                    let x = -((b - p) / 0.3).ln();
                    (x, x.powf(0.3 - 1.0))
                };
                if v <= accept {
                    break x + 1e-12;
                }
            };
            let draws = [gamma(), gamma(), gamma()];
            let total: f64 = draws.iter().sum();
            let theta: Vec<f64> = (0..H)
                .map(|j| {
                    scale * draws.iter().zip(&bases).map(|(w, v)| w / total * v[j]).sum::<f64>() / (H as f64).sqrt()
                })
                .collect();
            let scores = items.scores_of(&theta);
            for part in [&mut train, &mut test] {
                let mut judged = Comparisons::new(600);
                for _ in 0..60 {
                    let first = rng.random_range(0..600);
                    let second = (first + rng.random_range(1..600)) % 600;
                    let wins = rng.random::<f64>() < accordant_ops::host::logistic(scores[first] - scores[second]);
                    judged.push(first, second, if wins { Outcome::First } else { Outcome::Second }).unwrap();
                }
                part.push(judged).unwrap();
            }
            truth.push(scores);
        }
        (items, train, test, truth)
    }

    fn mean_nll(choosers: impl Iterator<Item = Chooser>, test: &UserPairs) -> f64 {
        let hits = choosers.zip(test.users()).map(|(chooser, judged)| chooser.foretell(judged).unwrap());
        let hits = hits.fold(Hits::default(), Hits::plus);
        -hits.log_likelihood / hits.pairs
    }

    #[test]
    fn three_bases_explain_users_of_rank_three_far_better_than_one() {
        for (scale, bar) in [(2.0, 0.06), (4.0, 0.13)] {
            for seed in 0..3 {
                let (items, train, test, truth) = mixed_tastes(scale, seed);
                let nll = |b: usize| {
                    let lore = LoreConfig::new(b).with_logits_prior(0.1).with_seed(seed).fit(&items, &train).unwrap();
                    mean_nll((0..50).map(|user| lore.user(user).unwrap()), &test)
                };
                let (one, three) = (nll(1), nll(3));
                let oracle = mean_nll(truth.into_iter().map(Chooser::one), &test);
                assert!(one - three >= bar, "scale {scale}, seed {seed}: {one} and {three}");
                assert!(three > oracle - 0.005, "{three} is better than the truth, {oracle}");
            }
        }
    }

    fn small() -> (Items, UserPairs) {
        let items = Items::features(&[vec![1.0, 0.2], vec![0.0, 1.0], vec![-0.5, 0.4], vec![0.3, -1.0]]).unwrap();
        let mut pairs = UserPairs::new(4);
        let mut rng = stream(4, Purpose::World, 0);
        for user in 0..6 {
            let mut judged = Comparisons::new(4);
            for _ in 0..4 * (user % 3 + 1) {
                let first = rng.random_range(0..4);
                let second = (first + rng.random_range(1..4)) % 4;
                judged.push_weighted(first, second, Outcome::Share(rng.random()), rng.random_range(0.5..2.0)).unwrap();
            }
            pairs.push(judged).unwrap();
        }
        (items, pairs)
    }

    fn close(got: &[f64], expected: &[f64], tolerance: f64) {
        assert_eq!(got.len(), expected.len());
        for (got, expected) in got.iter().zip(expected) {
            assert!((got - expected).abs() < tolerance, "{got} is not {expected}");
        }
    }

    const TIGHT: Solver = Solver::Lbfgs { gradient: 1e-10, max_iterations: 5000 };

    #[test]
    fn one_basis_is_bradley_terry_for_everybody() {
        let (items, pairs) = small();
        let lore = LoreConfig::new(1).with_basis_prior(0.4).with_solver(TIGHT).fit(&items, &pairs).unwrap();
        let linear = LogisticConfig::new().with_prior(0.4).fit(&items, &pairs.pooled()).unwrap();
        assert!(lore.report.converged);
        close(&lore.bases()[0], &linear.coefficients, 1e-8);
        for user in 0..6 {
            assert_eq!(lore.user(user).unwrap(), lore.population());
            assert_eq!((lore.weights(user).unwrap(), lore.effective_bases(user).unwrap()), (vec![1.0], 1.0));
        }
        assert_eq!(lore.adapt(&pairs.users()[2]).unwrap(), lore.population());
    }

    #[test]
    fn a_temperature_is_a_unit_of_the_bases() {
        let (items, pairs) = small();
        let config = LoreConfig::new(2).with_solver(TIGHT).with_logits_prior(0.5);
        let one = config.clone().with_basis_prior(1.0).fit(&items, &pairs).unwrap();
        let ten = config.with_basis_prior(0.01).with_temperature(10.0).fit(&items, &pairs).unwrap();
        for user in 0..6 {
            close(&ten.user(user).unwrap().scores()[0], &one.user(user).unwrap().scores()[0], 1e-5);
        }
        let tenth: Vec<f64> = ten.bases().concat().iter().map(|v| v / 10.0).collect();
        close(&tenth, &one.bases().concat(), 1e-5);
        close(&ten.basis_scores().concat(), &one.basis_scores().concat(), 1e-5);
    }

    #[test]
    fn users_with_many_pairs_weigh_more_unless_each_weighs_the_same() {
        let items = Items::table(2);
        let mut pairs = UserPairs::new(2);
        for (first, times) in [(0, 9.0), (1, 1.0)] {
            let mut judged = Comparisons::new(2);
            judged.push_win(first, 1 - first, times).unwrap();
            pairs.push(judged).unwrap();
        }
        let lead = |per_user: bool| {
            let config = LoreConfig::new(1).with_basis_prior(1e-3).with_per_user(per_user).with_solver(TIGHT);
            let scores = config.fit(&items, &pairs).unwrap().population().mean_scores();
            scores[0] - scores[1]
        };
        assert!((lead(false) - 9f64.ln()).abs() < 1e-2);
        assert!(lead(true).abs() < 1e-6);
    }

    #[test]
    fn the_fit_by_logits_reaches_the_optimum_on_the_simplex() {
        let (items, train, ..) = mixed_tastes(2.0, 7);
        let lore = LoreConfig::new(3).with_logits_prior(0.1).fit(&items, &train.select(0..30).unwrap()).unwrap();
        let mut flat = lore.clone();
        flat.factors.design.own = 0.0;
        flat.solver = Solver::Lbfgs { gradient: 1e-9, max_iterations: 3000 };
        for user in 30..40 {
            let judged = &train.users()[user];
            let convex = lore.adapt_on_simplex(judged, &SimplexConfig::new()).unwrap();
            assert!(convex.converged, "{convex:?}");
            let nll = |chooser: Chooser| -chooser.foretell(judged).unwrap().log_likelihood / 60.0;
            let logits = nll(flat.adapt(judged).unwrap());
            let simplex = nll(lore.with_weights(&convex.weights).unwrap());
            assert!((simplex - convex.loss).abs() < 1e-9);
            assert!((logits - simplex).abs() < 1e-4, "{logits} and {simplex}");
            assert!(simplex <= nll(lore.population()) + 1e-9);
        }
    }

    #[test]
    fn nothing_known_of_a_new_user_is_the_population_and_ids_are_checked() {
        let (items, pairs) = small();
        let lore = LoreConfig::new(2).fit(&items, &pairs).unwrap();
        assert_eq!(lore.adapt(&Comparisons::new(4)).unwrap(), lore.population());
        let mean: Vec<f64> =
            (0..2).map(|b| (0..6).map(|user| lore.weights(user).unwrap()[b] / 6.0).sum::<f64>()).collect();
        let expected = lore.with_weights(&mean).unwrap();
        close(&lore.population().scores()[0], &expected.scores()[0], 1e-9);
        assert!(matches!(lore.user(6), Err(Error::Unknown { name: "user", index: 6 })));
        assert!(lore.weights(6).is_err() && lore.effective_bases(6).is_err());
        assert!(matches!(lore.adapt(&Comparisons::new(3)), Err(Error::Length { name: "items", .. })));
        assert!(lore.with_weights(&[0.5]).is_err() && lore.with_weights(&[0.5, 0.4]).is_err());
        assert!(lore.with_weights(&[0.2, 0.3, 0.5]).is_err());
        assert_eq!(lore.num_users(), 6);
        assert_eq!(lore.kept(0.0), [0, 1]);
        assert!(lore.kept(1.1).is_empty());
        let n = lore.effective_bases(0).unwrap();
        assert!((1.0..=2.0).contains(&n));
    }

    #[test]
    fn settings_out_of_their_domains_are_refused_by_name() {
        let (items, pairs) = small();
        let text = |config: LoreConfig| config.fit(&items, &pairs).unwrap_err().to_string();
        assert!(text(LoreConfig::new(0)).starts_with("`num_bases`: expected >= 1"));
        for bad in [0.0, f64::NAN, f64::INFINITY] {
            assert!(
                text(LoreConfig::new(2).with_temperature(bad)).starts_with("`temperature`: expected finite and > 0")
            );
        }
        for bad in [-1.0, f64::NAN, f64::INFINITY] {
            assert!(
                text(LoreConfig::new(2).with_basis_prior(bad)).starts_with("`basis_prior`: expected finite and >= 0")
            );
            assert!(text(LoreConfig::new(2).with_logits_prior(bad)).starts_with("`logits_prior`"));
        }
        let LoreConfig { temperature, basis_prior, logits_prior, per_user, restarts, seed, solver, .. } =
            LoreConfig::new(2);
        assert_eq!((temperature, basis_prior, logits_prior, per_user, restarts, seed), (1.0, 1.0, 1.0, false, 1, 0));
        assert_eq!(solver, Solver::Lbfgs { gradient: 1e-5, max_iterations: 1000 });
    }

    fn tensor<const D: usize>(values: &[f64], shape: [usize; D], device: &Device) -> Tensor<D> {
        Tensor::from_data(TensorData::new(values.to_vec(), shape), (device, DType::F64))
    }

    fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
        tensor.try_to_vec_as::<f64>().unwrap()
    }

    #[test]
    fn the_tensor_face_has_the_scores_of_the_host() {
        let (items, pairs) = small();
        let lore = LoreConfig::new(3).with_temperature(2.0).fit(&items, &pairs).unwrap();
        let device = Device::flex();
        let features = tensor(&[1.0, 0.2, 0.0, 1.0, -0.5, 0.4, 0.3, -1.0], [4, 2], &device);
        // [h, B] by rows is the transpose of the bases by rows.
        let basis = tensor(&lore.bases().concat(), [3, 2], &device).transpose();
        for user in 0..6 {
            let weights = tensor(&lore.weights(user).unwrap().repeat(4), [4, 3], &device);
            let scores = lore_scores(features.clone(), basis.clone(), weights, 2.0).unwrap();
            close(&values(scores), &lore.user(user).unwrap().scores()[0], 1e-12);
        }
    }

    #[test]
    fn gradients_of_the_tensor_face_are_derivatives() {
        let device = Device::flex().autodiff();
        let run = |x: &[f64]| {
            let features = tensor(&x[..4], [2, 2], &device).require_grad();
            let basis = tensor(&x[4..10], [2, 3], &device).require_grad();
            let weights = tensor(&x[10..16], [2, 3], &device).require_grad();
            let penalty = basis_penalty(basis.clone(), tensor(&[0.4, -1.0], [2], &device)).unwrap();
            let scores = lore_scores(features.clone(), basis.clone(), weights.clone(), 3.0).unwrap();
            (scores.square().sum() + penalty, features, basis, weights)
        };
        let at: Vec<f64> = (0..16).map(|i| f64::from(i * 7 % 11) / 5.0 - 1.0).collect();
        let (loss, features, basis, weights) = run(&at);
        let gradients = loss.backward();
        let gradient = [features, basis, weights].map(|x| values(x.grad(&gradients).unwrap())).concat();
        check_gradient(|x| values(run(x).0)[0], &at, &gradient).unwrap();
    }

    #[test]
    fn columns_along_against_and_across_the_reference_by_hand() {
        let device = Device::flex();
        let reference = tensor(&[0.0, 2.0], [2], &device);
        let penalty = |columns: &[f64], b: usize| {
            values(basis_penalty(tensor(columns, [2, b], &device), reference.clone()).unwrap())[0]
        };
        assert_eq!(penalty(&[0.0, 3.0], 1), 0.0);
        assert_eq!(penalty(&[0.0, -3.0], 1), 2.0);
        assert_eq!(penalty(&[5.0, 0.0], 1), 1.0);
        assert_eq!(penalty(&[0.0, 0.0], 1), 1.0, "a column of zeros");
        assert!((penalty(&[0.0, 5.0, 1.0, 0.0], 2) - 0.5).abs() < 1e-15);
        assert!(basis_penalty(tensor(&[1.0; 2], [2, 1], &device), tensor(&[1.0], [1], &device)).is_err());
        let text = |features: [usize; 2], basis: [usize; 2], weights: [usize; 2], temperature: f64| {
            let of = |shape: [usize; 2]| tensor(&vec![1.0; shape[0] * shape[1]], shape, &device);
            lore_scores(of(features), of(basis), of(weights), temperature).unwrap_err().to_string()
        };
        assert!(text([2, 3], [2, 1], [2, 1], 1.0).starts_with("`basis`"));
        assert!(text([2, 3], [3, 1], [1, 1], 1.0).starts_with("`weights`"));
        assert!(text([2, 3], [3, 2], [2, 1], 1.0).starts_with("`weights`"));
        assert!(text([2, 3], [3, 1], [2, 1], 0.0).starts_with("`temperature`"));
    }
}
