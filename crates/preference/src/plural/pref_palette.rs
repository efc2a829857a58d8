//! PrefPalette: attributes of a response, weighed by attention before they are added to what a scorer reads.
//!
//! **Paper:** PrefPalette: Personalized Preference Modeling with Latent Attributes (2025), 2507.13541.
//! **Use when:** predictors of attributes (humor, politeness, values) are there, communities weigh them differently, and the
//! weights are to be read.
//! **Checked by:** hand-worked attention, uniform attention being the mean of the attributes, no attributes being
//! Bradley-Terry, permuted attributes, finite differences, a seeded world of communities.
//! **Deviations:** a scalar attribute shifts all features alike; the released code does so by broadcasting, ours by name
//! ([`Attributes::Scalar`]).

use accordant_ops::{check_domain, check_dtype, check_shape, distribution::categorical::log_probs, groups::Groups};
use burn::{
    config::Config,
    module::{Module, Param},
    nn::Linear,
    tensor::{Device, Tensor, TensorData},
};

use super::mixture::by_user;
use crate::{
    Result,
    distributional::layers::{linear, uniform},
    random::{Purpose, stream},
};

/// Additive attention over attributes: weights with sum 1.
///
/// ```text
/// α = softmax_k( u · tanh(q + k_k) )
/// ```
///
/// # Shapes
/// `keys` (k): `[n, K, d]`; `queries` (q): `[n, d]`, none without a context; `direction` (u): `[d]`; the result: `[n, K]`.
///
/// # Errors
/// A shape error naming `queries` or `direction`, a domain error naming `keys` when there is no attribute.
///
/// # Example
/// ```
/// use accordant_preference::plural::pref_palette::attention;
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// // tanh of half of ln 3 is ½: scores 2 ln 3 · ½ and 0.
/// let keys = Tensor::<3>::from_floats([[[3f32.ln() / 2.0], [0.0]]], &device);
/// let weights = attention(keys, None, Tensor::from_floats([2.0 * 3f32.ln()], &device))?.try_to_vec_as::<f32>().unwrap();
/// assert!((weights[0] - 0.75).abs() < 1e-6);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[doc(alias = "2507.13541")]
#[doc(alias = "additive attention")]
pub fn attention(keys: Tensor<3>, queries: Option<Tensor<2>>, direction: Tensor<1>) -> Result<Tensor<2>> {
    let [n, num, d] = keys.dims();
    check_domain(num >= 1, "keys", "at least one attribute", num as f64)?;
    check_shape("direction", &[d], &direction.dims())?;
    check_dtype("direction", keys.dtype(), direction.dtype())?;
    let summed = match queries {
        Some(queries) => {
            check_shape("queries", &[n, d], &queries.dims())?;
            check_dtype("queries", keys.dtype(), queries.dtype())?;
            keys + queries.unsqueeze_dim::<3>(1)
        }
        None => keys,
    };
    let scores = summed.tanh() * direction.unsqueeze_dim::<2>(0).unsqueeze_dim::<3>(0);
    Ok(log_probs(scores.sum_dim(2).squeeze_dim::<2>(2)).exp())
}

/// Features with the attended attributes added: `h + γ Σ_k α_k a_k`.
///
/// # Shapes
/// `features` (h): `[n, h]`; `attributes` (a): `[n, K, h]`, or `[n, K, 1]` for scalars, whose mean shifts every feature;
/// `weights` (α): `[n, K]`; `gamma` (γ): `[1]`; the result: `[n, h]`.
///
/// # Errors
/// A shape or dtype error naming `attributes`, `weights` or `gamma`.
///
/// # Example
/// ```
/// use accordant_preference::plural::pref_palette::fused;
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let attributes = Tensor::<3>::from_floats([[[4.0, 0.0], [0.0, 8.0]]], &device);
/// let features = fused(
///     Tensor::from_floats([[1.0, 1.0]], &device),
///     attributes,
///     Tensor::from_floats([[0.25, 0.75]], &device),
///     Tensor::from_floats([0.5], &device),
/// )?;
/// assert_eq!(features.try_to_vec_as::<f32>().unwrap(), [1.5, 4.0]);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
pub fn fused(features: Tensor<2>, attributes: Tensor<3>, weights: Tensor<2>, gamma: Tensor<1>) -> Result<Tensor<2>> {
    let ([n, h], [_, num, width]) = (features.dims(), attributes.dims());
    check_shape("attributes", &[n, num, if width == 1 { 1 } else { h }], &attributes.dims())?;
    check_shape("weights", &[n, num], &weights.dims())?;
    check_shape("gamma", &[1], &gamma.dims())?;
    check_dtype("attributes", features.dtype(), attributes.dtype())?;
    check_dtype("weights", features.dtype(), weights.dtype())?;
    check_dtype("gamma", features.dtype(), gamma.dtype())?;
    let mean = (attributes * weights.unsqueeze_dim::<3>(2)).sum_dim(1).squeeze_dim::<2>(1);
    // To the shape of the features, for the shift by a scalar to be meant.
    Ok(features + mean.expand([n, h]) * gamma.unsqueeze_dim::<2>(0))
}

/// What is known of each attribute of a response.
#[derive(Config, Debug, Copy, PartialEq, Eq)]
pub enum Attributes {
    /// The hidden state of its predictor, as long as the features.
    Hidden,
    /// Its score.
    Scalar,
}

/// What attention depends on.
#[derive(Config, Debug, Copy, PartialEq, Eq)]
pub enum Attention {
    /// The response's features: `u · tanh(W_q h + W_a a_k)`.
    Contextual,
    /// The attribute alone: `u · tanh(W_a a_k + b)`.
    ContextFree,
}

/// Configuration of [`PrefPalette`].
#[derive(Config, Debug, PartialEq)]
pub struct PrefPaletteConfig {
    /// The length of the features, H ≥ 2.
    pub num_features: usize,
    /// What is known of each attribute. Hidden states: the paper's.
    #[config(default = "Attributes::Hidden")]
    pub attributes: Attributes,
    /// What attention depends on. The features: the released code's default mode.
    #[config(default = "Attention::Contextual")]
    pub attention: Attention,
    /// The width of attention, ≥ 1; a quarter of the features without one, the released code's.
    #[config(default = "None")]
    pub hidden: Option<usize>,
    /// The first weight of the attributes, γ, finite; it is trained. 0.5: the released code's.
    #[config(default = 0.5)]
    pub gamma: f64,
}

impl PrefPaletteConfig {
    /// A head with random weights: the same seed gives the same ones on every device.
    ///
    /// # Errors
    /// A domain error naming the field.
    ///
    /// # Example
    /// ```
    /// use accordant_preference::plural::pref_palette::PrefPaletteConfig;
    /// use burn::tensor::{Device, Tensor};
    /// let device = Device::flex();
    /// let head = PrefPaletteConfig::new(8).init(0, &device)?;
    /// let (features, attributes) = (Tensor::ones([2, 8], &device), Tensor::ones([2, 19, 8], &device));
    /// let output = head.forward(features, Some(attributes))?;
    /// assert_eq!((output.scores.dims(), output.attention.unwrap().dims()), ([2], [2, 19]));
    /// # Ok::<(), accordant_preference::Error>(())
    /// ```
    pub fn init(&self, seed: u64, device: &Device) -> Result<PrefPalette> {
        let Self { num_features, attributes, attention, hidden, gamma } = *self;
        check_domain(num_features >= 2, "num_features", ">= 2", num_features as f64)?;
        let width = hidden.unwrap_or((num_features / 4).max(1));
        check_domain(width >= 1, "hidden", ">= 1", width as f64)?;
        check_domain(gamma.is_finite(), "gamma", "finite", gamma)?;
        let mut rng = stream(seed, Purpose::Start, 0);
        let input = match attributes {
            Attributes::Hidden => num_features,
            Attributes::Scalar => 1,
        };
        let contextual = attention == Attention::Contextual;
        let mut vector = |len: usize| -> Param<Tensor<1>> {
            Param::from_tensor(Tensor::from_data(uniform(&mut rng, len, len).as_slice(), device))
        };
        let (direction, head) = (vector(width), vector(num_features));
        Ok(PrefPalette {
            query: contextual.then(|| linear(&mut rng, num_features, width, false, device)),
            key: linear(&mut rng, input, width, !contextual, device),
            direction,
            gamma: Param::from_tensor(Tensor::from_data(TensorData::from([gamma]), device)),
            head,
            attribute_len: input,
        })
    }
}

/// A score of features and attributes: `v · (h + γ Σ_k α_k a_k)`.
#[derive(Module, Debug)]
pub struct PrefPalette {
    query: Option<Linear>,
    key: Linear,
    direction: Param<Tensor<1>>,
    gamma: Param<Tensor<1>>,
    head: Param<Tensor<1>>,
    attribute_len: usize,
}

/// Scores, and what they paid attention to.
#[derive(Debug, Clone)]
pub struct PaletteOutput {
    /// `[n]`.
    pub scores: Tensor<1>,
    /// The weights of the attributes, `[n, K]`; none without attributes.
    pub attention: Option<Tensor<2>>,
}

impl PrefPalette {
    /// Scores of responses; without attributes those of the features alone, which is Bradley-Terry's linear score: what
    /// training does in a share of its steps ([`dropout_chance`]) so that inference can go without, too.
    ///
    /// # Shapes
    /// `features`: `[n, H]`; `attributes`: `[n, K, H]` of hidden states, `[n, K, 1]` of scalars.
    ///
    /// # Errors
    /// A shape or dtype error naming `features` or `attributes`, a domain error naming `keys` without an attribute.
    pub fn forward(&self, features: Tensor<2>, attributes: Option<Tensor<3>>) -> Result<PaletteOutput> {
        let ([n, _], [h]) = (features.dims(), self.head.dims());
        check_shape("features", &[n, h], &features.dims())?;
        check_dtype("features", self.head.dtype(), features.dtype())?;
        let score = |features: Tensor<2>| (features * self.head.val().unsqueeze_dim::<2>(0)).sum_dim(1).squeeze_dim(1);
        let Some(attributes) = attributes else {
            return Ok(PaletteOutput { scores: score(features), attention: None });
        };
        let [_, num, _] = attributes.dims();
        check_shape("attributes", &[n, num, self.attribute_len], &attributes.dims())?;
        check_dtype("attributes", features.dtype(), attributes.dtype())?;
        // Their predictors are trained before, and stay.
        let attributes = attributes.detach();
        let queries = self.query.as_ref().map(|query| query.forward(features.clone()));
        let weights =
            attention(self.key.forward(attributes.clone()), queries, self.direction.val())?.cast(features.dtype());
        let fused = fused(features, attributes, weights.clone(), self.gamma.val())?;
        Ok(PaletteOutput { scores: score(fused), attention: Some(weights) })
    }

    /// The weight of the attributes, γ: `[1]`.
    pub fn gamma(&self) -> Tensor<1> {
        self.gamma.val()
    }
}

/// The chance that a step of training goes without attributes: it climbs by the line that would reach 1 after
/// three quarters of training, to `p_max` at most.
///
/// ```text
/// min(p_max, step/(0.75 total))
/// ```
///
/// `p_max` is in [0, 1] (a comment of the released code suggests 0.8), `total` ≥ 1.
///
/// # Errors
/// A domain error naming `p_max` or `total`.
///
/// # Example
/// ```
/// use accordant_preference::plural::pref_palette::dropout_chance;
/// assert_eq!((dropout_chance(0, 100, 0.8)?, dropout_chance(30, 100, 0.8)?), (0.0, 0.4));
/// assert_eq!(dropout_chance(75, 100, 0.8)?, 0.8);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
pub fn dropout_chance(step: usize, total: usize, p_max: f64) -> Result<f64> {
    check_domain((0.0..=1.0).contains(&p_max), "p_max", "in [0, 1]", p_max)?;
    check_domain(total >= 1, "total", ">= 1", total as f64)?;
    Ok((step as f64 / (0.75 * total as f64)).min(p_max))
}

/// What each community pays attention to: the mean of its responses' weights, `[communities, K]`, in the order in which the
/// communities appear.
///
/// # Errors
/// A shape error naming `communities`.
///
/// # Example
/// ```
/// use accordant_ops::groups::Groups;
/// use accordant_preference::plural::pref_palette::attention_by_community;
/// use burn::tensor::{Device, Tensor};
/// let weights = Tensor::<2>::from_floats([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]], &Device::flex());
/// let means = attention_by_community(weights, &Groups::new(&["art", "law", "art"]))?;
/// assert_eq!(means.try_to_vec_as::<f32>().unwrap(), [0.75, 0.25, 0.0, 1.0]);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
pub fn attention_by_community(attention: Tensor<2>, communities: &Groups) -> Result<Tensor<2>> {
    let [n, _] = attention.dims();
    check_shape("communities", &[n], &[communities.len()])?;
    let shares: Vec<f64> = communities.sizes().iter().map(|size| (*size as f64).recip()).collect();
    let like = (&attention.device(), attention.dtype());
    let shares = Tensor::<1>::from_data(TensorData::from(shares.as_slice()), like);
    Ok(by_user(attention, communities)? * shares.unsqueeze_dim::<2>(1))
}

#[cfg(test)]
mod tests;
