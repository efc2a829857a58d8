//! Implicit quantile networks (IQN): a head that gives whatever quantile it is asked for.
//!
//! **Paper:** Implicit Quantile Networks for Distributional Reinforcement Learning (2018), 1806.06923.
//! **Use when:** the levels of interest are not known in training, or a risk measure is to be read off by sampling levels.
//! **Checked by:** hand-worked embeddings and losses, the closed form of constants, distorted levels against
//! [`risk`](super::risk).
//! **Deviations:** ratings take the place of returns. The output layer is a product and a sum: no `[n, 1]` tensor.

use accordant_ops::{check_domain, check_shape, distribution::quantile::quantile_huber};
use burn::{
    config::Config,
    module::{Module, Param},
    nn::Linear,
    tensor::{Device, Tensor, TensorData, activation::relu},
};
use rand::Rng;

use super::{
    layers::{linear, uniform},
    risk::Risk,
};
use crate::{
    Result,
    random::{Purpose, stream},
};

/// The embedding of levels: `cos(π i τ)` for `i` = 0, ..., `num_cosines` − 1.
///
/// # Shapes
/// `levels` (τ): `[n, q]`; the result: `[n, q, num_cosines]`.
///
/// # Example
/// ```
/// use accordant_preference::distributional::implicit_quantiles::cosines;
/// use burn::tensor::{Device, Tensor};
/// let embedded = cosines(Tensor::from_floats([[0.5]], &Device::flex()), 3).try_to_vec_as::<f32>().unwrap();
/// assert!(embedded[0] == 1.0 && embedded[1].abs() < 1e-6 && embedded[2] == -1.0);
/// ```
pub fn cosines(levels: Tensor<2>, num_cosines: usize) -> Tensor<3> {
    let numbers = (0..num_cosines).map(|i| std::f64::consts::PI * i as f64).collect::<Vec<_>>();
    let like = (&levels.device(), levels.dtype());
    let numbers = Tensor::<3>::from_data(TensorData::new(numbers, [1, 1, num_cosines]), like);
    (levels.unsqueeze_dim::<3>(2) * numbers).cos()
}

/// Levels for each of `n` responses, drawn uniformly, or so that the mean of the quantiles there is a risk measure.
///
/// # Errors
/// As [`Risk::check`]; [`crate::Error::Combination`] for a measure that is no mean under a distorted distribution function.
///
/// # Example
/// ```
/// use accordant_preference::distributional::{implicit_quantiles::sample_levels, risk::Risk};
/// use burn::tensor::Device;
/// let levels = sample_levels(2, 32, &Risk::Cvar(0.1), 7, &Device::flex())?.try_to_vec_as::<f32>().unwrap();
/// assert!(levels.len() == 64 && levels.iter().all(|level| *level <= 0.1));
/// # Ok::<(), accordant_preference::Error>(())
/// ```
pub fn sample_levels(n: usize, num: usize, risk: &Risk, seed: u64, device: &Device) -> Result<Tensor<2>> {
    risk.check()?;
    let mut rng = stream(seed, Purpose::Sample, 0);
    let levels: Option<Vec<f64>> = (0..n * num).map(|_| risk.level(rng.random_range(0.0..1.0))).collect();
    let Some(levels) = levels.filter(|_| risk.level(0.5).is_some()) else {
        return Err(crate::Error::Combination {
            what: "sampling levels by a risk measure",
            reason: "it is no mean under a distorted distribution function",
        });
    };
    Ok(Tensor::from_data(TensorData::new(levels, [n, num]), device))
}

/// Losses of quantiles at given levels against ratings.
///
/// ```text
/// Σ_q mean_j |τ_q − 1[u < 0]| Huber_κ(u)/κ,   u = y_j − ŷ(τ_q)
/// ```
///
/// # Shapes
/// `quantiles` and `levels`: `[n, q]`; `ratings`: `[n, m]`; the result: `[n]`. Levels and ratings are constants. `kappa` (κ)
/// is finite and ≥ 0.
///
/// # Errors
/// A shape error naming `levels` or `ratings`; a domain error naming `kappa`, or `ratings` when a response has none.
#[doc(alias = "1806.06923")]
#[doc(alias = "Implicit Quantile Networks for Distributional Reinforcement Learning")]
pub fn implicit_quantile_losses(
    quantiles: Tensor<2>,
    levels: Tensor<2>,
    ratings: Tensor<2>,
    kappa: f64,
) -> Result<Tensor<1>> {
    let ([n, _], [_, m]) = (quantiles.dims(), ratings.dims());
    check_shape("levels", &quantiles.dims(), &levels.dims())?;
    check_shape("ratings", &[n, m], &ratings.dims())?;
    check_domain(m > 0, "ratings", "at least one of each response", m as f64)?;
    let errors = ratings.detach().unsqueeze_dim::<3>(1) - quantiles.unsqueeze_dim::<3>(2);
    let losses = quantile_huber(errors, levels.unsqueeze_dim::<3>(2), kappa)?;
    Ok(losses.mean_dim(2).sum_dim(1).squeeze_dim::<2>(2).squeeze_dim(1))
}

/// Configuration of [`ImplicitQuantiles`].
#[derive(Config, Debug, PartialEq)]
pub struct ImplicitQuantilesConfig {
    /// The length of the features, ≥ 1.
    pub num_features: usize,
    /// How many cosines embed a level, ≥ 1. 64: the paper's.
    #[config(default = 64)]
    pub num_cosines: usize,
}

impl ImplicitQuantilesConfig {
    /// A head with random weights: the same seed gives the same ones on every device.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self, seed: u64, device: &Device) -> Result<ImplicitQuantiles> {
        let Self { num_features, num_cosines } = *self;
        check_domain(num_features > 0, "num_features", ">= 1", num_features as f64)?;
        check_domain(num_cosines > 0, "num_cosines", ">= 1", num_cosines as f64)?;
        let mut rng = stream(seed, Purpose::Start, 0);
        let weight = uniform(&mut rng, num_features, num_features);
        Ok(ImplicitQuantiles {
            embedding: linear(&mut rng, num_cosines, num_features, true, device),
            weight: Param::from_tensor(Tensor::from_data(weight.as_slice(), device)),
            bias: Param::from_tensor(Tensor::zeros([1], device)),
            num_cosines,
        })
    }
}

/// A head over features that gives quantiles at any levels: `w · (features ∘ relu(W cos(π i τ) + b)) + c`.
#[derive(Module, Debug)]
pub struct ImplicitQuantiles {
    embedding: Linear,
    weight: Param<Tensor<1>>,
    bias: Param<Tensor<1>>,
    num_cosines: usize,
}

impl ImplicitQuantiles {
    /// Quantiles of each response at its levels.
    ///
    /// # Shapes
    /// `features`: `[n, num_features]`; `levels`: `[n, q]`; the result: `[n, q]`.
    ///
    /// # Errors
    /// A shape error naming `features` or `levels`.
    ///
    /// # Example
    /// ```
    /// use accordant_preference::distributional::implicit_quantiles::ImplicitQuantilesConfig;
    /// use burn::tensor::{Device, Tensor};
    /// let device = Device::flex();
    /// let head = ImplicitQuantilesConfig::new(8).init(0, &device)?;
    /// let quantiles = head.forward(Tensor::ones([2, 8], &device), Tensor::from_floats([[0.1, 0.9], [0.5, 0.5]], &device))?;
    /// assert_eq!(quantiles.dims(), [2, 2]);
    /// # Ok::<(), accordant_preference::Error>(())
    /// ```
    pub fn forward(&self, features: Tensor<2>, levels: Tensor<2>) -> Result<Tensor<2>> {
        let ([n, _], [_, num]) = (features.dims(), levels.dims());
        let [num_features] = self.weight.dims();
        check_shape("features", &[n, num_features], &features.dims())?;
        check_shape("levels", &[n, num], &levels.dims())?;
        if n * num == 0 {
            return Ok(levels);
        }
        let embedded = relu(self.embedding.forward(cosines(levels, self.num_cosines)));
        let mixed = embedded * features.unsqueeze_dim::<3>(1);
        let weighed = mixed * self.weight.val().unsqueeze_dim::<2>(0).unsqueeze_dim::<3>(0);
        Ok(weighed.sum_dim(2).squeeze_dim::<2>(2) + self.bias.val().unsqueeze_dim::<2>(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::distributional::{
        quantile_reward::{QuantileReduction, quantile_reward_losses},
        risk::Atoms,
        testing::{check_gradients, host, like, matrix, near, starts},
    };

    #[test]
    fn embeddings_by_hand() {
        let got = host(&cosines(matrix(&[0.0, 0.25, 1.0], 3), 3));
        let half = 0.5f64.sqrt();
        near(&got, &[1.0, 1.0, 1.0, 1.0, half, 0.0, 1.0, -1.0, 1.0], 1e-15);
    }

    #[test]
    fn losses_are_those_of_quantiles_at_their_levels() {
        let (q, y) = (|| matrix(&[1.0, 3.0], 2), || matrix(&[2.0, 0.5], 2));
        for kappa in [0.0, 1.0] {
            let got = implicit_quantile_losses(q(), matrix(&[0.25, 0.75], 2), y(), kappa).unwrap();
            let fixed = quantile_reward_losses(q(), y(), &[0.25, 0.75], kappa, QuantileReduction::Sum).unwrap();
            assert_eq!(host(&got), host(&fixed));
        }
        // Rows have levels of their own.
        let rows = matrix(&[1.0, 1.0], 1);
        let got = implicit_quantile_losses(rows, matrix(&[0.25, 0.75], 1), matrix(&[2.0, 2.0], 1), 0.0).unwrap();
        assert_eq!(host(&got), [0.25, 0.75]);
        check_gradients(&[0.3, 1.4, 0.9, 2.2], |x| {
            let levels = like(&x, &[0.2, 0.7, 0.4, 0.9]).reshape([2, 2]);
            let ratings = like(&x, &[0.5, -1.0, 2.0, 4.0]).reshape([2, 2]);
            implicit_quantile_losses(x.reshape([2, 2]), levels, ratings, 0.8).unwrap()
        });
    }

    #[test]
    fn quantiles_at_distorted_levels_average_to_the_risk_measure() {
        // Quantiles of the uniform distribution on [0, 1] are the levels.
        let uniform = Atoms::equal(&accordant_ops::distribution::quantile::midpoints(5000)).unwrap();
        for risk in
            [Risk::Mean, Risk::Cvar(0.25), Risk::Wang(0.75), Risk::ProportionalHazard(3.0), Risk::Prospect(0.71)]
        {
            let levels = host(&sample_levels(100, 400, &risk, 3, &Device::flex()).unwrap());
            let mean = levels.iter().sum::<f64>() / 40_000.0;
            // Standard deviation at most 0.3 over 200.
            assert!((mean - uniform.risk(&risk).unwrap()).abs() < 6e-3, "{risk:?}: {mean}");
        }
        let again = |seed| host(&sample_levels(1, 4, &Risk::Mean, seed, &Device::flex()).unwrap());
        assert_eq!(again(1), again(1));
        assert_ne!(again(1), again(2));
        starts(sample_levels(1, 4, &Risk::Entropic(1.0), 0, &Device::flex()), "sampling levels by a risk measure");
        starts(sample_levels(1, 0, &Risk::WorstCase, 0, &Device::flex()), "sampling levels by a risk measure");
        starts(sample_levels(1, 4, &Risk::Cvar(0.0), 0, &Device::flex()), "`alpha`");
    }

    #[test]
    fn the_head_is_the_product_of_features_and_embedded_levels() {
        let device = Device::flex();
        let mut head = ImplicitQuantilesConfig::new(2).with_num_cosines(3).init(0, &device).unwrap();
        assert_eq!(host(&head.bias.val()), [0.0]);
        head.bias = Param::from_tensor(Tensor::from_floats([0.7], &device));
        let features = Tensor::<2>::from_floats([[1.0, -2.0], [0.5, 0.0]], &device);
        let levels = Tensor::<2>::from_floats([[0.2, 0.7, 0.2], [0.9, 0.1, 0.5]], &device);
        let got = host(&head.forward(features.clone(), levels.clone()).unwrap());
        let embedded = host(&relu(head.embedding.forward(cosines(levels, 3))));
        let (weight, bias) = (host(&head.weight.val()), host(&head.bias.val())[0]);
        let features = host(&features);
        for row in 0..2 {
            for q in 0..3 {
                let term = |f: usize| weight[f] * features[2 * row + f] * embedded[(3 * row + q) * 2 + f];
                assert!((got[3 * row + q] - term(0) - term(1) - bias).abs() < 1e-6);
            }
        }
        assert_eq!(got[0], got[2], "equal levels, equal quantiles");
        starts(head.forward(Tensor::zeros([2, 3], &device), Tensor::zeros([2, 1], &device)), "`features`");
        starts(head.forward(Tensor::zeros([2, 2], &device), Tensor::zeros([1, 1], &device)), "`levels`");
        assert_eq!(
            head.forward(Tensor::zeros([0, 2], &device), Tensor::zeros([0, 4], &device)).unwrap().dims(),
            [0, 4]
        );
    }

    #[test]
    fn settings_and_shapes_are_checked() {
        assert_eq!(ImplicitQuantilesConfig::new(4).num_cosines, 64);
        starts(ImplicitQuantilesConfig::new(0).init(0, &Device::flex()), "`num_features`");
        starts(ImplicitQuantilesConfig::new(4).with_num_cosines(0).init(0, &Device::flex()), "`num_cosines`");
        let one = || matrix(&[1.0], 1);
        starts(implicit_quantile_losses(one(), matrix(&[0.5, 0.5], 2), one(), 0.0), "`levels`");
        starts(implicit_quantile_losses(one(), one(), matrix(&[1.0, 1.0], 1), 0.0), "`ratings`");
        starts(implicit_quantile_losses(one(), one(), one(), -1.0), "`kappa`");
        let none = Tensor::zeros([1, 0], (&Device::flex(), burn::tensor::DType::F64));
        starts(implicit_quantile_losses(one(), one(), none, 0.0), "`ratings`");
    }
}
