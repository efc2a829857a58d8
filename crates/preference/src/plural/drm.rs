//! Decomposed reward models (DRM): the principal components of what was preferred, weighed for each user.
//!
//! **Paper:** Rethinking Diverse Human Preference Learning through Principal Component Analysis (2025), 2502.13131.
//! **Use when:** embeddings of the two sides of many pairs are there, nobody knows whose pairs they are, and a new user or
//! task gives a handful of pairs: nothing but a decomposition of one matrix is trained.
//! **Checked by:** hand-worked components, orthonormality and the trace, one direction being Bradley-Terry's, the missing mean
//! of a centered decomposition, tastes of a seeded world recovered, both faces tied.
//! **Deviations:** a share of votes counts as so many pairs each way, and a weight as so many pairs. Components are turned so
//! that their mean margin is ≥ 0.

use accordant_ops::{check_domain, check_dtype, check_shape};
use burn::{config::Config, tensor::Tensor};
use serde::{Deserialize, Serialize};

use super::{
    hedge::{head_losses, reweighted},
    logistic::{Linear, Logistic, LogisticConfig},
    pairs::{Chooser, Items, Plural, Term, UserPairs, check_user, terms},
};
use crate::{Comparisons, Result, error::check_length};

/// Scores of each component and of its opposite.
///
/// ```text
/// r_i = ⟨c_i, e⟩,   r_{i+m} = −r_i
/// ```
///
/// # Shapes
/// `features` (e): `[n, h]`; `components` (c): `[m, h]`; the result: `[n, 2m]`.
///
/// # Errors
/// A shape or dtype error naming `components`.
///
/// # Example
/// ```
/// use accordant_preference::plural::drm::head_scores;
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let features = Tensor::<2>::from_floats([[2.0, 5.0]], &device);
/// let scores = head_scores(features, Tensor::from_floats([[1.0, 0.0]], &device))?;
/// assert_eq!(scores.try_to_vec_as::<f32>().unwrap(), [2.0, -2.0]);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[doc(alias = "2502.13131")]
#[doc(alias = "Rethinking Diverse Human Preference Learning through Principal Component Analysis")]
pub fn head_scores(features: Tensor<2>, components: Tensor<2>) -> Result<Tensor<2>> {
    let ([_, h], [m, _]) = (features.dims(), components.dims());
    check_shape("components", &[m, h], &components.dims())?;
    check_dtype("components", features.dtype(), components.dtype())?;
    // Both signs before the product, so that it is never `[n, 1]`.
    let heads = Tensor::cat(vec![components.clone(), -components], 0);
    Ok(features.matmul(heads.transpose()))
}

/// One score from those of several heads in units of their spread.
///
/// ```text
/// r = Σ_k w_k (r_k − mean_k)/deviation_k
/// ```
///
/// # Shapes
/// `scores`: `[n, K]`; `weights`, `means` and `deviations` (> 0): `[K]`; the result: `[n]`.
///
/// # Errors
/// A shape or dtype error naming `weights`, `means` or `deviations`.
pub fn weighed_scores(
    scores: Tensor<2>,
    weights: Tensor<1>,
    means: Tensor<1>,
    deviations: Tensor<1>,
) -> Result<Tensor<1>> {
    let [_, k] = scores.dims();
    for (name, values) in [("weights", &weights), ("means", &means), ("deviations", &deviations)] {
        check_shape(name, &[k], &values.dims())?;
        check_dtype(name, scores.dtype(), values.dtype())?;
    }
    let scale = weights * deviations.recip();
    Ok(((scores - means.unsqueeze_dim::<2>(0)) * scale.unsqueeze_dim::<2>(0)).sum_dim(1).squeeze_dim(1))
}

/// Configuration of a decomposition on the host.
///
/// ```text
/// z_n = e_preferred − e_other,   C = (1/W) Σ w_n (z_n − z̄)(z_n − z̄)ᵀ = Σ_i λ_i c_i c_iᵀ      [z̄ = 0 unless centered]
/// w_k = softmax_k( −ℓ_k/T ),     ℓ_k = Σ softplus(−margin of the standardized head k)
/// ```
#[derive(Config, Debug, PartialEq)]
pub struct DrmConfig {
    /// How many components are kept, those with the largest variance; in 1..=dim. All by default: the released code's.
    #[config(default = "None")]
    pub num_components: Option<usize>,
    /// Whether the mean difference is taken off first. It is in the released code, and then the direction that most people
    /// agree on is in no component of large variance; without it that is usually the first.
    #[config(default = true)]
    pub center: bool,
    /// Whether a Bradley-Terry scorer of everybody's pairs is the first head, and how it is fitted. None: the released
    /// code's default.
    #[config(default = "None")]
    pub trained_head: Option<LogisticConfig>,
    /// T, finite and > 0, in nats: larger mixes more heads. 1: the released code's, the posterior of the heads.
    #[config(default = 1.0)]
    pub temperature: f64,
}

impl DrmConfig {
    /// Decomposes everybody's pairs, and weighs the heads for each user by their own.
    ///
    /// Takes time of the order of `dim³`.
    ///
    /// # Errors
    /// A domain error naming a field, [`crate::Error::Length`] naming `items`, [`crate::Error::Empty`] without a pair; of a
    /// trained head what [`LogisticConfig::fit`] says.
    ///
    /// # Example
    /// ```
    /// use accordant_preference::{Comparisons, Outcome, plural::{Items, Plural, UserPairs, drm::DrmConfig}};
    /// let items = Items::features(&[vec![0.0, 0.0], vec![2.0, 0.0], vec![0.0, 1.0]])?;
    /// let mut judged = Comparisons::new(3);
    /// judged.push(1, 0, Outcome::First)?; // a difference of (2, 0)
    /// judged.push(2, 0, Outcome::First)?; // and of (0, 1)
    /// let mut pairs = UserPairs::new(3);
    /// pairs.push(judged)?;
    /// let drm = DrmConfig::new().with_center(false).fit(&items, &pairs)?;
    /// assert_eq!((&drm.components[0][..], &drm.variances[..]), (&[1.0, 0.0][..], &[2.0, 0.5][..]));
    /// # Ok::<(), accordant_preference::Error>(())
    /// ```
    pub fn fit(&self, items: &Items, pairs: &UserPairs) -> Result<Drm> {
        items.check(pairs.num_items())?;
        let (dim, kept) = (items.dim(), self.num_components.unwrap_or(items.dim()));
        check_domain((1..=dim).contains(&kept), "num_components", "in 1..=dim", kept as f64)?;
        let temperature = self.temperature;
        check_domain(temperature.is_finite() && temperature > 0.0, "temperature", "finite and > 0", temperature)?;
        pairs.check_not_empty()?;
        let terms = pairs.terms();
        let total: f64 = terms.iter().map(|term| term.weight).sum();
        let mean = mean_difference(items, &terms, total);
        let problem = Logistic { items, terms: &terms, mean: &[], base: &[], prior: 0.0 };
        // A pair seen from its other side has the same square.
        let mut moments = problem.spread(&|_| 4.0 / total);
        if self.center {
            for (row, column) in (0..dim).flat_map(|row| (0..dim).map(move |column| (row, column))) {
                moments[(row, column)] -= mean[row] * mean[column];
            }
        }
        let total_variance = moments.trace();
        let eigen = moments.symmetric_eigen();
        let mut order: Vec<usize> = (0..dim).collect();
        order.sort_by(|&a, &b| eigen.eigenvalues[b].total_cmp(&eigen.eigenvalues[a]));
        order.truncate(kept);
        let variances = order.iter().map(|&at| eigen.eigenvalues[at].max(0.0)).collect();
        let components: Vec<Vec<f64>> =
            order.iter().map(|&at| turned(eigen.eigenvectors.column(at).as_slice(), &mean)).collect();
        let trained = self.trained_head.as_ref().map(|head| head.fit(items, &pairs.pooled())).transpose()?;
        let mut drm = Drm {
            scores: trained
                .iter()
                .map(|head| &head.coefficients)
                .chain(&components)
                .map(|head| items.scores_of(head))
                .collect(),
            components,
            variances,
            total_variance,
            trained,
            temperature,
            users: Vec::new(),
        };
        drm.users = pairs.users().iter().map(|judged| drm.adapt(judged)).collect::<Result<_>>()?;
        Ok(drm)
    }
}

/// The mean of `e_preferred − e_other`.
fn mean_difference(items: &Items, terms: &[Term], total: f64) -> Vec<f64> {
    let mut by_score = vec![0.0; items.len()];
    for term in terms {
        let lead = term.weight * (2.0 * term.share - 1.0) / total;
        by_score[term.first] += lead;
        by_score[term.second] -= lead;
    }
    let mut mean = vec![0.0; items.dim()];
    items.pull_back(&by_score, &mut mean);
    mean
}

/// A component in the direction in which its mean margin is ≥ 0; one whose margin is 0, with its largest entry > 0.
fn turned(component: &[f64], mean: &[f64]) -> Vec<f64> {
    let margin: f64 = component.iter().zip(mean).map(|(c, z)| c * z).sum();
    let largest = component.iter().copied().fold(0.0, |best: f64, c| if c.abs() > best.abs() { c } else { best });
    let sign = if margin.abs() > 1e-12 * norm(mean) { margin.signum() } else { largest.signum() };
    component.iter().map(|c| sign * c).collect()
}

fn norm(vector: &[f64]) -> f64 {
    vector.iter().map(|x| x * x).sum::<f64>().sqrt()
}

/// A decomposition, and its users.
///
/// Heads are, in order: the trained one if there is one, the components, and their opposites.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Drm {
    /// The components, orthonormal, the one of the largest variance first, `[m, dim]`.
    pub components: Vec<Vec<f64>>,
    /// The variance (uncentered: the mean square) of the differences along each component, `[m]`.
    pub variances: Vec<f64>,
    /// The sum of the variances of all components, kept or not.
    pub total_variance: f64,
    /// The trained head, if there is one.
    pub trained: Option<Linear>,
    temperature: f64,
    /// Of the trained head and of the components, `[.., items]`.
    scores: Vec<Vec<f64>>,
    users: Vec<Chooser>,
}

/// Weights of heads, and what their scores are measured in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HeadWeights {
    /// A weight for each head, with sum 1.
    pub weights: Vec<f64>,
    /// The mean score of each head over both sides of the pairs.
    pub means: Vec<f64>,
    /// Their standard deviation, unbiased; 1 where that is 0.
    pub deviations: Vec<f64>,
}

impl Drm {
    /// The share of all variance that the components explain one by one, in [0, 1]; 1 when there is none at all.
    pub fn explained(&self) -> Vec<f64> {
        let share = |variance: &f64| if self.total_variance > 0.0 { variance / self.total_variance } else { 1.0 };
        self.variances.iter().map(share).collect()
    }

    /// The scores of the items under each head, `[heads, items]`.
    pub fn head_scores(&self) -> Vec<Vec<f64>> {
        let components = &self.scores[usize::from(self.trained.is_some())..];
        let opposites = components.iter().map(|scores| scores.iter().map(|score| -score).collect());
        self.scores.iter().cloned().chain(opposites).collect()
    }

    /// The weight of each head for somebody who judged these pairs. No pair gives each the same.
    ///
    /// # Errors
    /// [`crate::Error::Length`] naming `items`.
    pub fn weigh(&self, judged: &Comparisons) -> Result<HeadWeights> {
        check_length("items", self.scores[0].len(), judged.num_items())?;
        let heads = self.head_scores();
        let units: Vec<(f64, f64)> = heads.iter().map(|scores| unit(scores, judged)).collect();
        let standard: Vec<Vec<f64>> =
            heads.iter().zip(&units).map(|(scores, &unit)| standardized(scores, unit)).collect();
        let even = vec![(heads.len() as f64).recip(); heads.len()];
        let weights = reweighted(&even, &head_losses(&standard, judged)?, self.temperature.recip())?;
        let (means, deviations) = units.into_iter().unzip();
        Ok(HeadWeights { weights, means, deviations })
    }

    /// How somebody sees the items who judged these pairs, by a logistic regression on the standardized heads in place of
    /// [`Drm::weigh`]: any combination of heads, for more pairs.
    ///
    /// Each component comes with its opposite, so that weights ≥ 0 of both are a weight of either sign of one.
    ///
    /// # Errors
    /// [`crate::Error::Length`] naming `items`, and what [`LogisticConfig::fit`] says.
    pub fn regress(&self, judged: &Comparisons, config: &LogisticConfig) -> Result<Chooser> {
        check_length("items", self.scores[0].len(), judged.num_items())?;
        let columns: Vec<Vec<f64>> =
            self.scores.iter().map(|scores| standardized(scores, unit(scores, judged))).collect();
        let rows: Vec<Vec<f64>> =
            (0..judged.num_items()).map(|item| columns.iter().map(|column| column[item]).collect()).collect();
        let items = Items::features(&rows)?;
        Ok(Chooser::one(items.scores_of(&config.fit(&items, judged)?.coefficients)))
    }
}

/// Mean and unbiased standard deviation of a head's scores over both sides of judged pairs; 1 for a deviation of nothing but
/// rounding.
fn unit(scores: &[f64], judged: &Comparisons) -> (f64, f64) {
    let sides =
        || terms(judged, 0).flat_map(|term| [(scores[term.first], term.weight), (scores[term.second], term.weight)]);
    let count: f64 = sides().map(|(_, weight)| weight).sum();
    if count == 0.0 {
        return (0.0, 1.0);
    }
    let mean = sides().map(|(score, weight)| weight * score).sum::<f64>() / count;
    let squares: f64 = sides().map(|(score, weight)| weight * (score - mean).powi(2)).sum();
    let deviation = if count > 1.0 { (squares / (count - 1.0)).sqrt() } else { 0.0 };
    let size = scores.iter().fold(0.0, |size: f64, score| size.max(score.abs()));
    (mean, if deviation > 1e-10 * size { deviation } else { 1.0 })
}

fn standardized(scores: &[f64], (mean, deviation): (f64, f64)) -> Vec<f64> {
    scores.iter().map(|score| (score - mean) / deviation).collect()
}

impl Plural for Drm {
    fn num_users(&self) -> usize {
        self.users.len()
    }

    fn user(&self, user: usize) -> Result<Chooser> {
        check_user(user, self.users.len())?;
        Ok(self.users[user].clone())
    }

    /// Each head weighs the same: components and their opposites cancel, and only a trained head says anything.
    fn population(&self) -> Chooser {
        self.adapt(&Comparisons::new(self.scores[0].len())).expect("no pair is of every table")
    }

    fn adapt(&self, judged: &Comparisons) -> Result<Chooser> {
        let HeadWeights { weights, means, deviations } = self.weigh(judged)?;
        let mut mixed = vec![0.0; judged.num_items()];
        for (scores, ((weight, mean), deviation)) in
            self.head_scores().iter().zip(weights.iter().zip(means).zip(deviations))
        {
            let standard = standardized(scores, (mean, deviation));
            mixed.iter_mut().zip(standard).for_each(|(score, head)| *score += weight * head);
        }
        Ok(Chooser::one(mixed))
    }
}

#[cfg(test)]
mod tests;
