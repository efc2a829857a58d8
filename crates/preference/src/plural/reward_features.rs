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
    /// [`crate::Error::Index`] with the candidate for an item that is not there; as [`RewardFeatures::adapt_by_newton`];
    /// [`crate::Error::NotFinite`] when features are so large that the curvature is lost.
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
        let factor = curvature.cholesky();
        let factor = factor.ok_or(crate::Error::NotFinite { name: "curvature" })?;
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

#[cfg(test)]
mod tests {
    use accordant_laws::gradient::check_gradient;
    use burn::tensor::{DType, Device, TensorData};
    use rand::Rng;

    use super::*;
    use crate::{
        Error, Outcome,
        random::{Purpose, stream},
    };

    fn small(users: usize) -> (Items, UserPairs) {
        let items = Items::features(&[vec![1.0, 0.2], vec![0.0, 1.0], vec![-0.5, 0.4], vec![0.3, -1.0]]).unwrap();
        let mut pairs = UserPairs::new(4);
        let mut rng = stream(4, Purpose::World, 0);
        for user in 0..users {
            let mut judged = Comparisons::new(4);
            for _ in 0..5 * (user % 3 + 1) {
                let first = rng.random_range(0..4);
                let second = (first + rng.random_range(1..4)) % 4;
                let share = if rng.random::<bool>() { 1.0 } else { 0.2 };
                judged.push_weighted(first, second, Outcome::Share(share), rng.random_range(0.5..2.0)).unwrap();
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

    fn config() -> RewardFeaturesConfig {
        RewardFeaturesConfig::new(2).with_features_prior(0.1).with_weights_prior(0.3).with_solver(TIGHT)
    }

    #[test]
    fn a_stiff_prior_on_features_or_weights_leaves_one_score_for_all() {
        let (items, pairs) = small(5);
        let linear = LogisticConfig::new().with_prior(0.7).fit(&items, &pairs.pooled()).unwrap();
        let expected = items.scores_of(&linear.coefficients);
        for stiff in [config().with_features_prior(1e9), config().with_weights_prior(1e9)] {
            let model = stiff.with_common_prior(Some(0.7)).fit(&items, &pairs).unwrap();
            for user in 0..5 {
                close(&model.user(user).unwrap().scores()[0], &expected, 1e-4);
            }
            close(&model.adapt(&pairs.users()[0]).unwrap().scores()[0], &expected, 1e-4);
        }
    }

    #[test]
    fn one_user_without_a_common_score_is_one_scorer() {
        // F and w share the work: ½ a ‖F‖² + ½ b w² is least at √(a b) ‖F w‖, so the gradient of the loss at the optimum
        // has that length and points against the scorer.
        let (items, pairs) = small(1);
        let model = RewardFeaturesConfig::new(1)
            .with_common_prior(None)
            .with_features_prior(0.09)
            .with_weights_prior(0.16)
            .with_solver(TIGHT)
            .fit(&items, &pairs)
            .unwrap();
        assert!(model.report.converged, "{:?}", model.report);
        let theta: Vec<f64> = model.factors.shared.iter().map(|f| f * model.factors.own[0][0]).collect();
        let terms: Vec<Term> = terms(&pairs.users()[0], 0).collect();
        let problem = Logistic { items: &items, terms: &terms, mean: &[0.0; 2], base: &[0.0; 4], prior: 0.0 };
        let gradient = problem.evaluate(&theta, &|_| 1.0).gradient;
        let norm = theta.iter().map(|x| x * x).sum::<f64>().sqrt();
        for (slope, x) in gradient.iter().zip(&theta) {
            assert!((slope + 0.12 * x / norm).abs() < 1e-8, "{slope} at {x}");
        }
    }

    #[test]
    fn the_fit_of_a_new_user_is_exact_with_and_without_a_table_and_a_common_score() {
        let (items, pairs) = small(7);
        for (common, private) in [(Some(1.0), None), (None, None), (Some(1.0), Some(0.8))] {
            let model = config()
                .with_common_prior(common)
                .with_private_prior(private)
                .fit(&items, &pairs.select(0..5).unwrap())
                .unwrap();
            for user in 5..7 {
                let judged = &pairs.users()[user];
                let (own, report) = model.factors.adapt(judged, TIGHT).unwrap();
                assert!(report.converged);
                let by_newton = model.adapt(judged).unwrap();
                close(&by_newton.scores()[0], &model.factors.scores(&own), 1e-7);
                let linear = model.adapt_by_newton(judged).unwrap();
                assert!(linear.report.converged);
                // In units of the priors' standard deviations.
                let units = [vec![0.3f64.sqrt(); 2], vec![private.unwrap_or_default().sqrt(); own.len() - 2]].concat();
                let numbers: Vec<f64> = linear.coefficients.iter().zip(units).map(|(x, unit)| x / unit).collect();
                close(&numbers, &own, 1e-6);
                let nll = |chooser: &Chooser| -chooser.foretell(judged).unwrap().log_likelihood;
                assert!(nll(&by_newton) <= nll(&model.population()));
            }
            close(&model.adapt(&Comparisons::new(4)).unwrap().scores()[0], &model.population().scores()[0], 1e-9);
            if common.is_some() {
                assert_eq!(model.mean_weights(), [0.0; 2]);
                close(&model.population().scores()[0], &model.common_scores(), 1e-12);
            } else {
                let mean: Vec<f64> =
                    (0..2).map(|l| (0..5).map(|user| model.weights(user).unwrap()[l] / 5.0).sum::<f64>()).collect();
                close(&model.mean_weights(), &mean, 1e-12);
                assert_eq!(model.common_scores(), [0.0; 4]);
            }
            // Features and weights make the deviation of a user.
            let own = &model.factors.own[1];
            let expected: Vec<f64> = (0..4)
                .map(|item| {
                    let deviation: f64 =
                        model.features()[item].iter().zip(&model.weights(1).unwrap()).map(|(f, w)| f * w).sum();
                    model.common_scores()[item] + deviation + own.get(2 + item).copied().unwrap_or_default()
                })
                .collect();
            close(&model.user(1).unwrap().scores()[0], &expected, 1e-12);
        }
    }

    #[test]
    fn the_most_telling_pair_is_open_and_in_a_direction_that_nobody_has_asked_about() {
        let (items, pairs) = small(6);
        let model = config().fit(&items, &pairs).unwrap();
        let candidates = [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)];
        let mut judged = Comparisons::new(4);
        let first = model.most_telling_pair(&judged, &candidates).unwrap().unwrap();
        // The largest expected fall of the curvature's log-determinant, by brute force: asking it (many times over) leaves
        // less to ask there.
        let (a, b) = candidates[first];
        judged.push_weighted(a, b, Outcome::Share(0.5), 1e4).unwrap();
        assert_ne!(model.most_telling_pair(&judged, &candidates).unwrap(), Some(first));
        assert_eq!(model.most_telling_pair(&judged, &[]).unwrap(), None);
        let error = model.most_telling_pair(&judged, &[(0, 1), (4, 0)]).unwrap_err();
        assert!(matches!(error, Error::Index { row: 1, name: "first", index: 4, len: 4 }));
        assert!(matches!(
            model.most_telling_pair(&judged, &[(0, 4)]),
            Err(Error::Index { row: 0, name: "second", .. })
        ));
    }

    #[test]
    fn what_a_pair_tells_is_its_variance_in_its_direction_by_what_is_known_of_that() {
        let (items, pairs) = small(6);
        let model = config().with_common_prior(Some(0.5)).with_private_prior(Some(0.8)).fit(&items, &pairs).unwrap();
        let candidates = [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3), (3, 0)];
        // By the features and the priors themselves, without the units of the fit: prior precisions on the diagonal.
        let factors = &model.factors;
        let row = |item: usize| {
            let one_hot = (0..4).map(|other| f64::from(u8::from(other == item)));
            DVector::from_iterator(6, model.features()[item].iter().copied().chain(one_hot).collect::<Vec<_>>())
        };
        for judged in pairs.users() {
            let scores = model.adapt(judged).unwrap().scores()[0].clone();
            let chance = |first: usize, second: usize| accordant_ops::host::logistic(scores[first] - scores[second]);
            let priors = [factors.design.own, factors.design.own, 0.8, 0.8, 0.8, 0.8];
            let mut curvature = DMatrix::from_diagonal(&DVector::from_column_slice(&priors));
            for term in terms(judged, 0) {
                let (x, p) = (row(term.first) - row(term.second), chance(term.first, term.second));
                curvature += &x * x.transpose() * (term.weight * p * (1.0 - p));
            }
            let inverse = curvature.try_inverse().unwrap();
            let tells = |&(first, second): &(usize, usize)| {
                let (x, p) = (row(first) - row(second), chance(first, second));
                p * (1.0 - p) * (x.transpose() * &inverse * &x)[0]
            };
            // Of two candidates at a time.
            for one in &candidates {
                for other in &candidates {
                    let (here, there) = (tells(one), tells(other));
                    if (here - there).abs() > 1e-6 * here {
                        let best = model.most_telling_pair(judged, &[*one, *other]).unwrap();
                        assert_eq!(best, Some(usize::from(there > here)), "{one:?}: {here}, {other:?}: {there}");
                    }
                }
            }
        }
    }

    #[test]
    fn settings_and_ids_are_checked() {
        let (items, pairs) = small(3);
        let text = |config: RewardFeaturesConfig| config.fit(&items, &pairs).unwrap_err().to_string();
        assert!(text(RewardFeaturesConfig::new(0)).starts_with("`dim`: expected >= 1"));
        for bad in [0.0, f64::NAN, f64::INFINITY] {
            assert!(text(config().with_weights_prior(bad)).starts_with("`weights_prior`: expected finite and > 0"));
            assert!(text(config().with_common_prior(Some(bad))).starts_with("`common_prior`: expected finite and > 0"));
            assert!(text(config().with_private_prior(Some(bad))).starts_with("`private_prior`"));
        }
        for bad in [-1.0, f64::NAN, f64::INFINITY] {
            assert!(text(config().with_features_prior(bad)).starts_with("`features_prior`: expected finite and >= 0"));
        }
        let model = config().fit(&items, &pairs).unwrap();
        assert!(matches!(model.user(3), Err(Error::Unknown { name: "user", index: 3 })));
        assert!(model.weights(3).is_err() && model.num_users() == 3);
        assert!(matches!(model.adapt(&Comparisons::new(2)), Err(Error::Length { name: "items", .. })));
        let RewardFeaturesConfig { common_prior, features_prior, weights_prior, private_prior, restarts, .. } =
            RewardFeaturesConfig::new(2);
        assert_eq!((common_prior, features_prior, weights_prior, private_prior), (Some(1.0), 1.0, 1.0, None));
        assert_eq!((restarts, RewardFeaturesConfig::new(2).seed), (1, 0));
    }

    #[test]
    fn the_tensor_face_is_the_product_of_the_host_with_its_gradient() {
        let (items, pairs) = small(4);
        let model = config().fit(&items, &pairs).unwrap();
        let device = Device::flex().autodiff();
        let tensor =
            |values: &[f64]| Tensor::<2>::from_data(TensorData::new(values.to_vec(), [4, 2]), (&device, DType::F64));
        let values = |tensor: Tensor<1>| tensor.try_to_vec_as::<f64>().unwrap();
        let features = model.features().concat();
        for user in 0..4 {
            let weights = model.weights(user).unwrap().repeat(4);
            let scores = values(feature_scores(tensor(&features), tensor(&weights)).unwrap());
            let expected: Vec<f64> = model.user(user).unwrap().scores()[0]
                .iter()
                .zip(model.common_scores())
                .map(|(score, common)| score - common)
                .collect();
            close(&scores, &expected, 1e-12);
        }
        let run = |x: &[f64]| {
            let (features, weights) = (tensor(&x[..8]).require_grad(), tensor(&x[8..]).require_grad());
            (feature_scores(features.clone(), weights.clone()).unwrap().square().sum(), features, weights)
        };
        let at: Vec<f64> = (0..16).map(|i| f64::from(i * 5 % 7) / 3.0 - 1.0).collect();
        let (loss, features, weights) = run(&at);
        let gradients = loss.backward();
        let gradient =
            [features, weights].map(|x| x.grad(&gradients).unwrap().try_to_vec_as::<f64>().unwrap()).concat();
        check_gradient(|x| values(run(x).0)[0], &at, &gradient).unwrap();
        let other = Tensor::<2>::zeros([1, 2], (&device, DType::F64));
        assert!(feature_scores(tensor(&at[..8]), other).unwrap_err().to_string().starts_with("`weights`"));
    }
}
