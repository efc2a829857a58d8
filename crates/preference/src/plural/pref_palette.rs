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
/// A shape error naming `attributes`, `weights` or `gamma`.
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
    /// A shape error naming `features` or `attributes`, a domain error naming `keys` without an attribute.
    pub fn forward(&self, features: Tensor<2>, attributes: Option<Tensor<3>>) -> Result<PaletteOutput> {
        let ([n, _], [h]) = (features.dims(), self.head.dims());
        check_shape("features", &[n, h], &features.dims())?;
        let score = |features: Tensor<2>| (features * self.head.val().unsqueeze_dim::<2>(0)).sum_dim(1).squeeze_dim(1);
        let Some(attributes) = attributes else {
            return Ok(PaletteOutput { scores: score(features), attention: None });
        };
        let [_, num, _] = attributes.dims();
        check_shape("attributes", &[n, num, self.attribute_len], &attributes.dims())?;
        let queries = self.query.as_ref().map(|query| query.forward(features.clone()));
        let weights = attention(self.key.forward(attributes.clone()), queries, self.direction.val())?;
        let fused = fused(features, attributes, weights.clone(), self.gamma.val())?;
        Ok(PaletteOutput { scores: score(fused), attention: Some(weights) })
    }

    /// The weight of the attributes, γ: `[1]`.
    pub fn gamma(&self) -> Tensor<1> {
        self.gamma.val()
    }
}

/// The chance that a step of training goes without attributes: it climbs to `p_max` over the first three quarters of
/// training.
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
mod tests {
    use burn::tensor::DType;
    use rand::Rng;

    use super::*;
    use crate::{
        distributional::testing::{check_gradients, host, like, matrix, near, starts, vector},
        pairwise::{PairScores, PairwiseLoss, bradley_terry::BradleyTerryConfig},
        plural::testing::{check_network, parameters, trained, with_parameters},
    };

    fn cube(values: &[f64], shape: [usize; 3]) -> Tensor<3> {
        Tensor::from_data(TensorData::new(values.to_vec(), shape), (&Device::flex(), DType::F64))
    }

    fn tracked(values: &[f64], shape: [usize; 3]) -> Tensor<3> {
        Tensor::from_data(TensorData::new(values.to_vec(), shape), (&Device::flex().autodiff(), DType::F64))
    }

    fn draws(len: usize, seed: u64) -> Vec<f64> {
        let mut rng = stream(seed, Purpose::World, 0);
        (0..len).map(|_| rng.random_range(-1.0..1.0)).collect()
    }

    /// A head in f64, with the parameters that its seed gives.
    fn head(config: &PrefPaletteConfig) -> PrefPalette {
        let head = config.init(3, &Device::flex()).unwrap();
        let values = parameters(&head);
        with_parameters(head, &values, &Device::flex())
    }

    #[test]
    fn attention_by_hand() {
        let (keys, query, u) = ([0.3, -0.2, 1.0, 0.5, 0.0, -2.0], [0.4, -1.0], [1.5, -0.7]);
        for queries in [None, Some(query)] {
            let q = queries.unwrap_or_default();
            let scores: Vec<f64> =
                keys.chunks(2).map(|key| (0..2).map(|i| u[i] * f64::tanh(q[i] + key[i])).sum::<f64>()).collect();
            let queries = queries.map(|query| matrix(&query, 2));
            let got = attention(cube(&keys, [1, 3, 2]), queries, vector(&u)).unwrap();
            near(&host(&got), &accordant_ops::host::softmax(&scores), 1e-12);
        }
        check_gradients(&draws(14, 1), |x| {
            let keys = x.clone().narrow(0, 0, 8).reshape([2, 2, 2]);
            let queries = x.clone().narrow(0, 8, 4).reshape([2, 2]);
            let weights = attention(keys, Some(queries), x.clone().narrow(0, 12, 2)).unwrap();
            weights * like(&x, &[1.0, 0.0, -2.0, 0.5]).reshape([2, 2])
        });
    }

    #[test]
    fn uniform_attention_is_the_mean_of_the_attributes() {
        let (features, attributes) = (draws(6, 2), draws(24, 3));
        let uniform = attention(cube(&draws(8, 4), [2, 4, 1]), None, vector(&[0.0])).unwrap();
        near(&host(&uniform), &[0.25; 8], 1e-15);
        let got = fused(matrix(&features, 3), cube(&attributes, [2, 4, 3]), uniform, vector(&[0.5])).unwrap();
        let expected: Vec<f64> = (0..6)
            .map(|at| {
                let (row, feature) = (at / 3, at % 3);
                let mean = (0..4).map(|k| attributes[12 * row + 3 * k + feature]).sum::<f64>() / 4.0;
                features[at] + 0.5 * mean
            })
            .collect();
        near(&host(&got), &expected, 1e-12);
    }

    #[test]
    fn scalar_attributes_shift_every_feature_alike() {
        let weights = matrix(&[0.25, 0.75], 2);
        let got = fused(matrix(&[1.0, 2.0, 3.0], 3), cube(&[4.0, 8.0], [1, 2, 1]), weights, vector(&[2.0])).unwrap();
        near(&host(&got), &[15.0, 16.0, 17.0], 1e-12);
        let scalar = head(&PrefPaletteConfig::new(3).with_attributes(Attributes::Scalar));
        starts(scalar.forward(matrix(&[0.0; 3], 3), Some(cube(&[0.0; 6], [1, 2, 3]))), "`attributes`");
        scalar.forward(matrix(&[0.0; 3], 3), Some(cube(&[0.0; 2], [1, 2, 1]))).unwrap();
    }

    #[test]
    fn no_weight_of_the_attributes_or_none_of_them_is_the_linear_score() {
        let (features, attributes) = (matrix(&draws(12, 5), 4), cube(&draws(24, 6), [3, 2, 4]));
        let none = head(&PrefPaletteConfig::new(4).with_gamma(0.0));
        let alone = none.forward(features.clone(), None).unwrap();
        let with = none.forward(features.clone(), Some(attributes.clone())).unwrap();
        near(&host(&with.scores), &host(&alone.scores), 1e-15);
        assert!(alone.attention.is_none());
        let v = host(&none.head.val());
        let expected: Vec<f64> =
            draws(12, 5).chunks(4).map(|row| row.iter().zip(&v).map(|(x, v)| x * v).sum()).collect();
        near(&host(&alone.scores), &expected, 1e-12);
        // γ adds as much of the attended attributes' own score.
        let half = head(&PrefPaletteConfig::new(4));
        assert_eq!(host(&half.gamma()), [0.5]);
        let output = half.forward(features.clone(), Some(attributes.clone())).unwrap();
        let weights = host(&output.attention.unwrap());
        for (row, score) in host(&output.scores).iter().enumerate() {
            let own = |k: usize| (0..4).map(|i| v[i] * draws(24, 6)[8 * row + 4 * k + i]).sum::<f64>();
            let added = 0.5 * (weights[2 * row] * own(0) + weights[2 * row + 1] * own(1));
            assert!((score - expected[row] - added).abs() < 1e-12);
        }
    }

    #[test]
    fn permuted_attributes_permute_the_attention_and_leave_scores_alone() {
        for mode in [Attention::Contextual, Attention::ContextFree] {
            let head = head(&PrefPaletteConfig::new(4).with_attention(mode));
            let values = draws(12, 7);
            let permuted: Vec<f64> = [8..12, 0..4, 4..8].into_iter().flat_map(|range| values[range].to_vec()).collect();
            let run = |values: &[f64]| {
                let output = head.forward(matrix(&draws(4, 8), 4), Some(cube(values, [1, 3, 4]))).unwrap();
                (host(&output.scores), host(&output.attention.unwrap()))
            };
            let ((scores, weights), (same, moved)) = (run(&values), run(&permuted));
            near(&scores, &same, 1e-12);
            near(&[weights[2], weights[0], weights[1]], &moved, 1e-12);
            assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-12 && weights[0] != weights[1]);
        }
    }

    #[test]
    fn a_context_changes_contextual_attention_only() {
        for (mode, changes) in [(Attention::Contextual, true), (Attention::ContextFree, false)] {
            let head = head(&PrefPaletteConfig::new(4).with_attention(mode).with_hidden(Some(3)));
            let weights = |seed| {
                let output = head.forward(matrix(&draws(4, seed), 4), Some(cube(&draws(8, 1), [1, 2, 4]))).unwrap();
                host(&output.attention.unwrap())
            };
            assert_eq!(weights(10) != weights(11), changes);
            // Only without a context there is a bias.
            assert_eq!((head.query.is_some(), head.key.bias.is_some()), (changes, !changes));
            assert_eq!(head.direction.dims(), [3]);
        }
    }

    #[test]
    fn gradients_of_all_parameters_are_derivatives() {
        for (mode, kind, width) in
            [(Attention::Contextual, Attributes::Hidden, 4), (Attention::ContextFree, Attributes::Scalar, 1)]
        {
            let config = PrefPaletteConfig::new(4).with_attention(mode).with_attributes(kind).with_hidden(Some(2));
            check_network(&config.init(1, &Device::flex()).unwrap(), |head| {
                let features = tracked(&draws(8, 2), [1, 2, 4]).squeeze_dim::<2>(0);
                let output = head.forward(features, Some(tracked(&draws(6 * width, 3), [2, 3, width]))).unwrap();
                output.scores.square().sum()
            });
        }
    }

    #[test]
    fn communities_that_weigh_attributes_differently_are_told_apart() {
        // Two communities, shown by the first two features; one goes by the first attribute's score, the other by the
        // second's. Attributes are hidden states whose third and fourth numbers tell which they are, and whose last is the
        // score.
        let n = 400;
        let mut rng = stream(1, Purpose::World, 0);
        let (mut features, mut attributes, mut wins, mut communities) =
            ([vec![], vec![]], [vec![], vec![]], vec![], vec![]);
        for _ in 0..n {
            let community = rng.random_range(0..2);
            communities.push(community);
            let mut scores = [[0.0; 2]; 2];
            for side in 0..2 {
                features[side].extend([[1.0, 0.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0, 0.0]][community]);
                scores[side] = [rng.random_range(-1.0..1.0), rng.random_range(-1.0..1.0)];
                attributes[side].extend([0.0, 0.0, 1.0, 0.0, scores[side][0], 0.0, 0.0, 0.0, 1.0, scores[side][1]]);
            }
            wins.push(f64::from(u8::from(scores[0][community] > scores[1][community])));
        }
        let run = |head: &PrefPalette, side: usize| {
            let rows = tracked(&features[side], [1, n, 5]).squeeze_dim::<2>(0);
            head.forward(rows, Some(tracked(&attributes[side], [n, 2, 5]))).unwrap()
        };
        let pairs = |head: &PrefPalette| {
            let pairs = PairScores::new(run(head, 0).scores, run(head, 1).scores).unwrap();
            let targets = like(&pairs.first(), &wins);
            BradleyTerryConfig::new().init().unwrap().forward(&pairs.with_targets(targets).unwrap()).unwrap()
        };
        let config = PrefPaletteConfig::new(5).with_hidden(Some(16));
        let start = config.init(0, &Device::flex()).unwrap();
        let head = trained(start, 0.1, 300, |head, _| pairs(head).losses.mean());
        let accuracy = pairs(&head).means().mean("accuracy").unwrap();
        let weights = run(&head, 0).attention.unwrap().detach();
        let by = host(&attention_by_community(weights, &Groups::new(&communities)).unwrap());
        // In the order in which communities appear.
        let own = |row: usize, community: usize| by[2 * row + community];
        println!("accuracy {accuracy}, attention {by:?}");
        // Half the attention each would be right in three quarters of the pairs.
        let found = own(0, communities[0]) > 0.7 && own(1, 1 - communities[0]) > 0.7;
        assert!(accuracy > 0.95 && found, "{accuracy}, {by:?}");
    }

    #[test]
    fn settings_shapes_and_schedules_are_checked() {
        let init = |config: PrefPaletteConfig| config.init(0, &Device::flex());
        starts(init(PrefPaletteConfig::new(1)), "`num_features`: expected >= 2");
        starts(init(PrefPaletteConfig::new(4).with_hidden(Some(0))), "`hidden`: expected >= 1");
        for bad in [f64::NAN, f64::INFINITY] {
            starts(init(PrefPaletteConfig::new(4).with_gamma(bad)), "`gamma`: expected finite");
        }
        let PrefPaletteConfig { attributes, attention: mode, hidden, gamma, .. } = PrefPaletteConfig::new(16);
        assert_eq!((attributes, mode, hidden, gamma), (Attributes::Hidden, Attention::Contextual, None, 0.5));
        let head = init(PrefPaletteConfig::new(16)).unwrap();
        assert_eq!(head.direction.dims(), [4], "a quarter of the features");
        assert_eq!(init(PrefPaletteConfig::new(3)).unwrap().direction.dims(), [1]);
        let weights = |seed| parameters(&PrefPaletteConfig::new(4).init(seed, &Device::flex()).unwrap());
        assert_eq!(weights(1), weights(1));
        assert_ne!(weights(1), weights(2));
        let zeros = |n: usize, k: usize, h: usize| Tensor::<3>::zeros([n, k, h], &Device::flex());
        let rows = |n: usize, h: usize| Tensor::<2>::zeros([n, h], &Device::flex());
        starts(head.forward(rows(2, 15), None), "`features`");
        starts(head.forward(rows(2, 16), Some(zeros(1, 3, 16))), "`attributes`");
        starts(head.forward(rows(2, 16), Some(zeros(2, 0, 16))), "`keys`");
        let keys = || cube(&[0.0; 4], [1, 2, 2]);
        starts(attention(keys(), None, vector(&[0.0])), "`direction`");
        starts(attention(keys(), Some(matrix(&[0.0], 1)), vector(&[0.0; 2])), "`queries`");
        let fuse = |weights, gamma| fused(matrix(&[0.0; 2], 2), keys(), weights, gamma);
        starts(fuse(matrix(&[0.0], 1), vector(&[0.0])), "`weights`");
        starts(fuse(matrix(&[0.0; 2], 2), vector(&[0.0; 2])), "`gamma`");
        starts(fused(matrix(&[0.0; 3], 3), keys(), matrix(&[0.0; 2], 2), vector(&[0.0])), "`attributes`");
        for bad in [-0.1, 1.1, f64::NAN] {
            starts(dropout_chance(0, 1, bad), "`p_max`: expected in [0, 1]");
        }
        starts(dropout_chance(0, 0, 0.5), "`total`: expected >= 1");
        assert_eq!(dropout_chance(200, 100, 1.0).unwrap(), 1.0);
        starts(attention_by_community(matrix(&[0.0; 2], 2), &Groups::new(&[1, 2])), "`communities`");
    }
}
