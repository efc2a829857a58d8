//! Mixture of Bradley-Terry models by expectation-maximization (MaxMin-RLHF's reward models).
//!
//! **Paper:** MaxMin-RLHF: Towards Equitable Alignment of Large Language Models with Diverse Human Preferences (2024),
//! 2402.08925.
//! **Use when:** users are of a few kinds, nobody knows who is of which, and each gave several pairs.
//! **Checked by:** a published trace of EM, known groups (ARI), one component being Bradley-Terry, both faces tied.
//! **Deviations:** users are assigned by chances; the paper's hard assignment is [`Assignment::Hard`](super::em::Assignment).

use accordant_ops::{check_domain, check_dtype, check_shape, groups::Groups, host, stable};
use burn::{
    config::Config,
    tensor::{IndexingUpdateOp, Int, Tensor, TensorData},
};
use serde::{Deserialize, Serialize};

use super::{
    em::{Components, Em, EmConfig, EmReport},
    logistic::{Logistic, LogisticConfig, cross_entropy},
    pairs::{Chooser, Items, Plural, Term, UserPairs, check_user, terms},
};
use crate::{
    Comparisons, Result,
    error::{check_finite, check_length},
};

/// Log-likelihood of each user under each component: the sums of the log-chances of their pairs, `[users, K]`.
pub(super) fn by_user(log_chances: Tensor<2>, users: &Groups) -> Result<Tensor<2>> {
    let [n, k] = log_chances.dims();
    check_shape("users", &[n], &[users.numbers().len()])?;
    let device = log_chances.device();
    let numbers: Vec<i64> = users.numbers().iter().map(|&number| number as i64).collect();
    let rows = Tensor::<1, Int>::from_data(TensorData::new(numbers, [n]), &device);
    let zeros = Tensor::zeros([users.sizes().len(), k], (&device, log_chances.dtype()));
    Ok(zeros.select_assign(0, rows, log_chances, IndexingUpdateOp::Add))
}

/// `log π_k + Σ_{n ∈ u} log P_k(n)`, `[users, K]`.
fn joint(log_chances: Tensor<2>, log_weights: Tensor<1>, users: &Groups) -> Result<Tensor<2>> {
    let [_, k] = log_chances.dims();
    check_shape("log_weights", &[k], &log_weights.dims())?;
    check_dtype("log_weights", log_chances.dtype(), log_weights.dtype())?;
    Ok(by_user(log_chances, users)? + log_weights.unsqueeze_dim(0))
}

/// Negative log-likelihoods of a mixture, one per user.
///
/// ```text
/// ℓ_u = −log Σ_k π_k Π_{n ∈ u} P_k(n)
/// ```
///
/// # Shapes
/// `log_chances`: `[n, K]`, the log-chance of what was said of each pair under each component (the negated losses of any
/// likelihood of pairs or rankings; times its weight where a pair counts several times). `log_weights`: `[K]`, the log of
/// the components' weights (a log-softmax of logits to train them). `users` says whose each pair is; the result has one
/// loss for each user in the order in which they appear, `[users]`, in nats. One component's loss is the user's own sum.
///
/// # Errors
/// A shape error naming `users` or `log_weights`, a dtype error naming `log_weights`.
///
/// # Example
/// ```
/// use accordant_ops::groups::Groups;
/// use accordant_preference::plural::mixture::mixture_losses;
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// // Two pairs of one user: chances ½ and ½ under the first component, ¼ and 1 under the second.
/// let chances = Tensor::<2>::from_floats([[0.5, 0.25], [0.5, 1.0]], &device);
/// let even = Tensor::<1>::from_floats([0.5, 0.5], &device);
/// let losses = mixture_losses(chances.log(), even.log(), &Groups::new(&["u", "u"]))?;
/// assert!((losses.into_scalar::<f32>() - 4f32.ln()).abs() < 1e-6); // ½ · ¼ + ½ · ¼
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[doc(alias = "MaxMin-RLHF")]
#[doc(alias = "2402.08925")]
pub fn mixture_losses(log_chances: Tensor<2>, log_weights: Tensor<1>, users: &Groups) -> Result<Tensor<1>> {
    Ok(-stable::log_sum_exp(joint(log_chances, log_weights, users)?, 1).squeeze_dim(1))
}

/// The chance of each component for each user, `[users, K]`, a constant: what weighs the pairs in EM's next fit.
///
/// ```text
/// γ_uk = softmax_k( log π_k + Σ_{n ∈ u} log P_k(n) )
/// ```
///
/// # Shapes
/// As [`mixture_losses`].
///
/// # Errors
/// As [`mixture_losses`].
pub fn responsibilities(log_chances: Tensor<2>, log_weights: Tensor<1>, users: &Groups) -> Result<Tensor<2>> {
    let joint = joint(log_chances.detach(), log_weights.detach(), users)?;
    Ok((joint.clone() - stable::log_sum_exp(joint, 1)).exp())
}

/// The weights `[K]` of logits `[K]`, as logarithms: what a trained mixture hands to [`mixture_losses`].
pub fn log_weights(logits: Tensor<1>) -> Tensor<1> {
    logits.clone() - stable::log_sum_exp(logits, 0)
}

/// Configuration of a mixture of linear scorers or tables, fitted by EM.
///
/// ```text
/// maximize  Σ_u log Σ_k π_k Π_{n ∈ u} P_k(n) − ½ prior Σ_k ‖θ_k‖² + (a − 1) Σ_k log π_k
/// ```
#[derive(Config, Debug, PartialEq)]
pub struct MixtureConfig {
    /// How many components, how they are found and when that ends.
    pub em: EmConfig,
    /// The precision of a normal prior on each coefficient of each component, finite and > 0. 1: ours.
    #[config(default = 1.0)]
    pub prior: f64,
}

impl MixtureConfig {
    /// Fits the components and the users' chances of them.
    ///
    /// With one pair per user a mixture cannot be told from one scorer: see [`Mixture::median_pairs`].
    ///
    /// # Errors
    /// A domain error naming a field, [`crate::Error::Length`] naming `items`, [`crate::Error::Empty`] with less than one
    /// user with data per component, and what [`EmConfig::fit`] says.
    ///
    /// # Example
    /// ```
    /// use accordant_preference::{Comparisons, Outcome, plural::{Items, MixtureConfig, Plural, UserPairs, em::EmConfig}};
    /// let mut pairs = UserPairs::new(2);
    /// for user in 0..10 {
    ///     let mut judged = Comparisons::new(2);
    ///     // Six prefer the first item, four the second, six times each.
    ///     let outcome = if user < 6 { Outcome::First } else { Outcome::Second };
    ///     judged.push_weighted(0, 1, outcome, 6.0)?;
    ///     pairs.push(judged)?;
    /// }
    /// let mixture = MixtureConfig::new(EmConfig::new(2)).fit(&Items::table(2), &pairs)?;
    /// assert!((mixture.weights[0] - 0.6).abs() < 1e-3);
    /// assert!(mixture.user(9)?.first_wins(0, 1)? < 0.2);
    /// # Ok::<(), accordant_preference::Error>(())
    /// ```
    pub fn fit(&self, items: &Items, pairs: &UserPairs) -> Result<Mixture> {
        let model = self.model(items, pairs)?;
        Ok(Mixture::new(items, pairs, self.em.fit(&model)?))
    }

    /// Fits from given chances of each component for each user, `[users, K]`.
    ///
    /// # Errors
    /// As [`MixtureConfig::fit`] and [`EmConfig::fit_from`].
    pub fn fit_from(&self, items: &Items, pairs: &UserPairs, first: Vec<Vec<f64>>) -> Result<Mixture> {
        let model = self.model(items, pairs)?;
        Ok(Mixture::new(items, pairs, self.em.fit_from(&model, first)?))
    }

    fn model<'a>(&self, items: &'a Items, pairs: &UserPairs) -> Result<Model<'a>> {
        items.check(pairs.num_items())?;
        let prior = self.prior;
        check_domain(prior.is_finite() && prior > 0.0, "prior", "finite and > 0", prior)?;
        pairs.check_not_empty()?;
        Ok(Model {
            items,
            terms: pairs.terms(),
            num_users: pairs.num_users(),
            zeros: vec![0.0; items.dim()],
            base: vec![0.0; items.len()],
            fit: LogisticConfig::new().with_prior(prior),
        })
    }
}

struct Model<'a> {
    items: &'a Items,
    terms: Vec<Term>,
    num_users: usize,
    zeros: Vec<f64>,
    base: Vec<f64>,
    fit: LogisticConfig,
}

impl Model<'_> {
    fn problem(&self) -> Logistic<'_> {
        Logistic { items: self.items, terms: &self.terms, mean: &self.zeros, base: &self.base, prior: self.fit.prior }
    }
}

impl Components for Model<'_> {
    type Component = Vec<f64>;

    fn num_users(&self) -> usize {
        self.num_users
    }

    fn is_known(&self, user: usize) -> bool {
        // The terms ascend by user.
        self.terms.binary_search_by(|term| term.user.cmp(&user)).is_ok()
    }

    /// The mean of the differences that the user preferred.
    fn embedding(&self, user: usize) -> Vec<f64> {
        let (mut by_score, mut total) = (vec![0.0; self.items.len()], 0.0);
        for term in self.terms.iter().filter(|term| term.user == user) {
            let lead = term.weight * (2.0 * term.share - 1.0);
            by_score[term.first] += lead;
            by_score[term.second] -= lead;
            total += term.weight;
        }
        let mut mean = vec![0.0; self.items.dim()];
        self.items.pull_back(&by_score, &mut mean);
        mean.iter_mut().for_each(|value| *value /= f64::max(total, f64::MIN_POSITIVE));
        mean
    }

    fn fit(&self, weights: &[f64], from: Option<&Vec<f64>>) -> Result<Vec<f64>> {
        let start = from.unwrap_or(&self.zeros).clone();
        Ok(self.fit.fit_problem(&self.problem(), |user| weights[user], start)?.coefficients)
    }

    fn log_likelihoods(&self, component: &Vec<f64>) -> Vec<f64> {
        self.problem().log_likelihoods(component, self.num_users)
    }

    fn log_prior(&self, component: &Vec<f64>) -> f64 {
        -self.problem().penalty(component)
    }

    fn order(&self, component: &Vec<f64>) -> f64 {
        component[0]
    }
}

/// A fitted mixture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mixture {
    /// The chance that somebody is of each kind, largest first.
    pub weights: Vec<f64>,
    /// The coefficients of each component, `[K, dim]`.
    pub coefficients: Vec<Vec<f64>>,
    /// The chance of each component for each user of the training, `[users, K]`.
    pub responsibilities: Vec<Vec<f64>>,
    /// The median number of pairs per user; below 2, components cannot be told from noise.
    pub median_pairs: f64,
    /// How the fit ended.
    pub report: EmReport,
    scores: Vec<Vec<f64>>,
}

impl Mixture {
    fn new(items: &Items, pairs: &UserPairs, em: Em<Vec<f64>>) -> Self {
        let mut counts: Vec<usize> = pairs.users().iter().map(Comparisons::len).collect();
        counts.sort_unstable();
        let middle = |at: usize| counts[at] as f64;
        let median_pairs = 0.5 * (middle((counts.len() - 1) / 2) + middle(counts.len() / 2));
        let scores = em.components.iter().map(|component| items.scores_of(component)).collect();
        Self {
            weights: em.weights,
            coefficients: em.components,
            responsibilities: em.responsibilities,
            median_pairs,
            report: em.report,
            scores,
        }
    }

    /// The scores of the items under each component, `[K, items]`.
    pub fn scores(&self) -> &[Vec<f64>] {
        &self.scores
    }

    /// The likeliest component of each user, of equal ones the first.
    pub fn assignments(&self) -> Vec<usize> {
        self.responsibilities.iter().map(|chances| super::em::first_largest(chances)).collect()
    }

    /// The chance of each component for somebody who judged these pairs: the posterior under the weights.
    ///
    /// # Errors
    /// [`crate::Error::Length`] naming `items`; [`crate::Error::NotFinite`] when the pairs are impossible under every component.
    pub fn posterior(&self, judged: &Comparisons) -> Result<Vec<f64>> {
        check_length("items", self.scores[0].len(), judged.num_items())?;
        let mut logs: Vec<f64> = self.weights.iter().map(|weight| weight.ln()).collect();
        for term in terms(judged, 0) {
            for (log, scores) in logs.iter_mut().zip(&self.scores) {
                *log -= term.weight * cross_entropy(scores[term.first] - scores[term.second], term.share)[0];
            }
        }
        let chances = host::softmax(&logs);
        check_finite("posterior", &chances)?;
        Ok(chances)
    }

    fn chooser(&self, weights: Vec<f64>) -> Chooser {
        Chooser::new(weights, self.scores.clone()).expect("chances of finite scores")
    }
}

impl Plural for Mixture {
    fn num_users(&self) -> usize {
        self.responsibilities.len()
    }

    fn user(&self, user: usize) -> Result<Chooser> {
        check_user(user, self.num_users())?;
        Ok(self.chooser(self.responsibilities[user].clone()))
    }

    fn population(&self) -> Chooser {
        self.chooser(self.weights.clone())
    }

    fn adapt(&self, judged: &Comparisons) -> Result<Chooser> {
        Ok(self.chooser(self.posterior(judged)?))
    }
}

#[cfg(test)]
mod tests {
    use accordant_laws::gradient::check_gradient;
    use burn::tensor::{DType, Device};

    use super::*;
    use crate::{
        Error, Outcome,
        plural::em::{Assignment, Start},
        ranking::NewtonConfig,
    };

    /// Six users, three pairs of three items, four votes each: wins of the first.
    fn six() -> UserPairs {
        let mut pairs = UserPairs::new(3);
        for wins in [[3, 3, 4], [4, 3, 3], [3, 4, 4], [3, 3, 3], [1, 1, 0], [0, 1, 1]] {
            let mut judged = Comparisons::new(3);
            for ((a, b), wins) in [(0, 1), (1, 2), (0, 2)].into_iter().zip(wins) {
                judged.push_win(a, b, f64::from(wins)).unwrap();
                judged.push_win(b, a, f64::from(4 - wins)).unwrap();
            }
            pairs.push(judged).unwrap();
        }
        pairs
    }

    fn close(got: &[f64], expected: &[f64], tolerance: f64) {
        assert_eq!(got.len(), expected.len());
        for (got, expected) in got.iter().zip(expected) {
            assert!((got - expected).abs() < tolerance, "{got} is not {expected}");
        }
    }

    #[test]
    fn six_users_as_published() {
        let first = (0..6).map(|user| if user < 4 { vec![0.6, 0.4] } else { vec![0.4, 0.6] }).collect();
        let em = EmConfig::new(2).with_tolerance(1e-14);
        let mixture = MixtureConfig::new(em).with_prior(0.1).fit_from(&Items::table(3), &six(), first).unwrap();
        close(&mixture.report.trace[..4], &[-46.5108267, -39.1626402, -36.6650655, -36.6542968], 1e-7);
        assert!((mixture.report.objective() + 36.6542967599).abs() < 1e-9);
        close(&mixture.weights, &[0.666662, 0.333338], 1e-6);
        close(&mixture.coefficients[0], &[1.184224, 0.000002, -1.184226], 1e-6);
        close(&mixture.coefficients[1], &[-1.291898, 0.226665, 1.065233], 1e-6);
        assert!((0..6).all(|user| mixture.responsibilities[user][usize::from(user >= 4)] >= 0.99996));
        assert_eq!(mixture.assignments(), [0, 0, 0, 0, 1, 1]);
        assert_eq!(mixture.median_pairs, 6.0, "records, however much they weigh");
    }

    #[test]
    fn one_component_is_bradley_terry() {
        let mixture = MixtureConfig::new(EmConfig::new(1)).with_prior(0.1).fit(&Items::table(3), &six()).unwrap();
        close(&mixture.coefficients[0], &[0.282979, 0.056622, -0.339601], 1e-6);
        assert!((mixture.report.objective() + 48.1732283).abs() < 1e-7);
        let ranking = NewtonConfig::new().with_prior(0.1).fit(&six().pooled()).unwrap();
        close(&mixture.coefficients[0], &ranking.scores, 1e-9);
        // Two components explain more, and every start of EM only goes up.
        for (assignment, start) in [(Assignment::Soft, Start::Dirichlet), (Assignment::Hard, Start::KMeans)] {
            let em = EmConfig::new(2).with_assignment(assignment).with_start(start);
            let two = MixtureConfig::new(em).with_prior(0.1).fit(&Items::table(3), &six()).unwrap();
            assert!(two.report.largest_decrease < 1e-9 && two.report.converged, "{:?}", two.report);
            assert!(two.report.objective() > mixture.report.objective());
        }
    }

    #[test]
    fn permuting_users_permutes_what_is_said_of_them() {
        let config = MixtureConfig::new(EmConfig::new(2)).with_prior(0.1);
        let there = config.fit(&Items::table(3), &six()).unwrap();
        let order = [5, 2, 0, 4, 1, 3];
        let back = config.fit(&Items::table(3), &six().select(order).unwrap()).unwrap();
        close(&back.weights, &there.weights, 1e-3);
        for (at, user) in order.into_iter().enumerate() {
            close(&back.responsibilities[at], &there.responsibilities[user], 1e-3);
        }
    }

    #[test]
    fn a_new_user_has_the_posterior_and_nobody_the_weights() {
        let mixture = MixtureConfig::new(EmConfig::new(2)).with_prior(0.1).fit(&Items::table(3), &six()).unwrap();
        for user in 0..6 {
            close(&mixture.posterior(&six().users()[user]).unwrap(), &mixture.responsibilities[user], 1e-9);
            let adapted = mixture.adapt(&six().users()[user]).unwrap();
            close(adapted.weights(), mixture.user(user).unwrap().weights(), 1e-9);
        }
        let nothing = mixture.adapt(&Comparisons::new(3)).unwrap();
        close(nothing.weights(), &mixture.weights, 1e-12);
        assert_eq!(nothing.scores(), mixture.population().scores());
        assert_eq!(mixture.scores(), mixture.population().scores());
        assert!(matches!(mixture.user(6), Err(Error::Unknown { name: "user", index: 6 })));
        assert!(matches!(mixture.posterior(&Comparisons::new(2)), Err(Error::Length { name: "items", .. })));
        // The chance is between those of the components.
        let chance = mixture.population().first_wins(0, 2).unwrap();
        let of = |k: usize| Chooser::one(mixture.scores[k].clone()).first_wins(0, 2).unwrap();
        assert!(of(1) < chance && chance < of(0));
    }

    #[test]
    fn users_are_told_apart_by_the_mean_of_what_they_preferred() {
        let mut pairs = UserPairs::new(3);
        let mut judged = Comparisons::new(3);
        judged.push_weighted(0, 1, Outcome::First, 2.0).unwrap();
        judged.push_weighted(1, 2, Outcome::Share(0.25), 3.0).unwrap();
        pairs.push(Comparisons::new(3)).unwrap();
        pairs.push(judged).unwrap();
        let mut other = Comparisons::new(3);
        other.push(2, 0, Outcome::First).unwrap();
        pairs.push(other).unwrap();
        // (2 (e_0 − e_1) − 3/2 (e_1 − e_2)) / 5
        let config = MixtureConfig::new(EmConfig::new(1));
        let (table, features) = (Items::table(3), Items::features(&[vec![10.0], vec![0.0], vec![4.0]]).unwrap());
        let model = config.model(&table, &pairs).unwrap();
        close(&model.embedding(1), &[0.4, -0.7, 0.3], 1e-15);
        close(&model.embedding(2), &[-1.0, 0.0, 1.0], 1e-15);
        assert_eq!(model.embedding(0), [0.0; 3], "nothing is known");
        assert_eq!([0, 1, 2].map(|user| model.is_known(user)), [false, true, true]);
        close(&config.model(&features, &pairs).unwrap().embedding(1), &[5.2], 1e-14);
        assert_eq!(model.order(&vec![3.0, -1.0, 2.0]), 3.0);
    }

    #[test]
    fn one_score_misses_a_minority_and_two_find_it() {
        // Two responses; four fifths prefer the first with chance 0.9, one fifth with 0.1.
        let mut pairs = UserPairs::new(2);
        for user in 0..50 {
            let mut judged = Comparisons::new(2);
            judged.push_weighted(0, 1, Outcome::Share(if user < 40 { 0.9 } else { 0.1 }), 20.0).unwrap();
            pairs.push(judged).unwrap();
        }
        let fit = |k| MixtureConfig::new(EmConfig::new(k)).with_prior(1e-7).fit(&Items::table(2), &pairs).unwrap();
        let one = fit(1);
        assert!((one.scores[0][0] - one.scores[0][1] - 1.04596856).abs() < 1e-6, "the log-odds of 0.74");
        let two = fit(2);
        close(&two.weights, &[0.8, 0.2], 1e-6);
        assert!((two.scores[0][0] - two.scores[0][1] - 2.19722458).abs() < 1e-4);
        assert!((two.scores[1][0] - two.scores[1][1] + 2.19722458).abs() < 1e-4);
        let population = two.population();
        assert!((population.first_wins(0, 1).unwrap() - 0.74).abs() < 1e-4);
        let mean = Chooser::one(population.mean_scores());
        assert!((mean.first_wins(0, 1).unwrap() - 0.78890452).abs() < 1e-4, "another marginal");
    }

    #[test]
    fn users_without_weight_change_nothing_and_are_reported() {
        let config = MixtureConfig::new(EmConfig::new(2)).with_prior(0.1);
        let first = |users: usize| (0..users).map(|user| if user < 4 { vec![0.6, 0.4] } else { vec![0.4, 0.6] });
        let there = config.fit_from(&Items::table(3), &six(), first(6).collect()).unwrap();
        let mut more = six();
        more.push(Comparisons::new(3)).unwrap();
        let mut weightless = Comparisons::new(3);
        weightless.push_win(0, 1, 0.0).unwrap();
        more.push(weightless).unwrap();
        let with = config.fit_from(&Items::table(3), &more, first(8).collect()).unwrap();
        assert_eq!(with.coefficients, there.coefficients);
        assert_eq!(with.weights, there.weights);
        assert_eq!(with.report.unknown_users, [6, 7]);
        assert_eq!(with.responsibilities[7], with.weights);
    }

    #[test]
    fn one_pair_per_user_is_flagged() {
        let mut pairs = UserPairs::new(2);
        for first in [0, 1, 0] {
            let mut judged = Comparisons::new(2);
            judged.push(first, 1 - first, Outcome::First).unwrap();
            pairs.push(judged).unwrap();
        }
        let mut more = Comparisons::new(2);
        (0..3).for_each(|_| more.push(0, 1, Outcome::First).unwrap());
        let median =
            |pairs: &UserPairs| MixtureConfig::new(EmConfig::new(1)).fit(&Items::table(2), pairs).unwrap().median_pairs;
        assert_eq!(median(&pairs), 1.0);
        pairs.push(more.clone()).unwrap();
        pairs.push(more.clone()).unwrap();
        pairs.push(more).unwrap();
        assert_eq!(median(&pairs), 2.0, "the mean of the two in the middle");
    }

    #[test]
    fn settings_and_lengths_are_checked() {
        let config = MixtureConfig::new(EmConfig::new(2));
        assert_eq!(config.prior, 1.0);
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let error = config.clone().with_prior(bad).fit(&Items::table(3), &six()).unwrap_err().to_string();
            assert!(error.starts_with("`prior`: expected finite and > 0"), "{error}");
        }
        assert!(matches!(config.fit(&Items::table(2), &six()), Err(Error::Length { name: "items", .. })));
        let nothing = config.fit(&Items::table(3), &UserPairs::new(3));
        assert!(matches!(nothing, Err(Error::Empty { name: "pairs", .. })));
        let error = MixtureConfig::new(EmConfig::new(7)).fit(&Items::table(3), &six()).unwrap_err();
        assert!(error.to_string().contains("fewer users with data than components"));
    }

    fn tensor<const D: usize>(values: &[f64], shape: [usize; D], device: &Device) -> Tensor<D> {
        Tensor::from_data(TensorData::new(values.to_vec(), shape), (device, DType::F64))
    }

    fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
        tensor.try_to_vec_as::<f64>().unwrap()
    }

    #[test]
    fn the_tensor_face_is_the_likelihood_that_em_maximizes() {
        let mixture = MixtureConfig::new(EmConfig::new(2)).with_prior(0.1).fit(&Items::table(3), &six()).unwrap();
        let device = Device::flex();
        let terms = six().terms();
        let log_chance = |term: &Term, scores: &Vec<f64>| {
            -term.weight * cross_entropy(scores[term.first] - scores[term.second], term.share)[0]
        };
        let logs: Vec<f64> =
            terms.iter().flat_map(|term| mixture.scores.iter().map(move |scores| log_chance(term, scores))).collect();
        let users = Groups::new(&terms.iter().map(|term| term.user).collect::<Vec<_>>());
        let log_chances = tensor(&logs, [terms.len(), 2], &device);
        let weights =
            log_weights(tensor(&mixture.weights.iter().map(|w| 3.0 + w.ln()).collect::<Vec<_>>(), [2], &device));
        close(&values(weights.clone()), &mixture.weights.iter().map(|w| w.ln()).collect::<Vec<_>>(), 1e-12);
        let losses = values(mixture_losses(log_chances.clone(), weights.clone(), &users).unwrap());
        let penalty: f64 = 0.05 * mixture.coefficients.concat().iter().map(|c| c * c).sum::<f64>();
        assert!((losses.iter().sum::<f64>() + penalty + mixture.report.objective()).abs() < 1e-9);
        let chances = values(responsibilities(log_chances, weights, &users).unwrap());
        close(&chances, &mixture.responsibilities.concat(), 1e-9);
    }

    #[test]
    fn the_gradient_of_the_tensor_face_is_its_derivative() {
        let device = Device::flex().autodiff();
        let users = Groups::new(&[3, 1, 3]);
        let run = |x: &[f64]| {
            let chances = tensor(&x[..6], [3, 2], &device).require_grad();
            let logits = tensor(&x[6..], [2], &device).require_grad();
            let losses = mixture_losses(chances.clone(), log_weights(logits.clone()), &users).unwrap();
            (losses, chances, logits)
        };
        let at = [-0.5, -1.0, -0.1, -2.0, -0.7, -0.2, 0.3, -0.4];
        let (losses, chances, logits) = run(&at);
        assert_eq!(losses.dims(), [2]);
        let gradients = losses.sum().backward();
        let gradient = [values(chances.grad(&gradients).unwrap()), values(logits.grad(&gradients).unwrap())].concat();
        check_gradient(|x| values(run(x).0).iter().sum(), &at, &gradient).unwrap();
        assert!(responsibilities(run(&at).1, run(&at).2, &users).unwrap().grad(&gradients).is_none());
    }

    #[test]
    fn impossible_components_are_left_out_and_shapes_are_checked() {
        let device = Device::flex();
        let minus = f64::NEG_INFINITY;
        let chances = tensor(&[-1.0, minus, -2.0, minus], [2, 2], &device);
        let even = tensor(&[0.5f64.ln(); 2], [2], &device);
        let users = Groups::new(&[0, 0]);
        close(&values(mixture_losses(chances.clone(), even, &users).unwrap()), &[3.0 + 2f64.ln()], 1e-12);
        let text = |weights: Tensor<1>, users: &Groups| {
            mixture_losses(chances.clone(), weights, users).unwrap_err().to_string()
        };
        assert!(text(tensor(&[0.0], [1], &device), &users).starts_with("`log_weights`"));
        assert!(text(tensor(&[0.0; 2], [2], &device), &Groups::new(&[0])).starts_with("`users`"));
        let single = Tensor::<1>::from_floats([0.0, 0.0], &device);
        assert!(text(single, &users).starts_with("`log_weights`"));
    }
}
