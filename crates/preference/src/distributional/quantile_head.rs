//! Quantile head: a small network from features, or a language model's hidden states, to quantiles.
//!
//! **Paper:** Quantile Regression for Distributional Reward Models in RLHF (2024), 2409.10164, whose heads are linear.
//! **Use when:** features are there and [`quantile_reward`](super::quantile_reward) needs something to train.
//! **Checked by:** hand-worked layers, a law (monotone heads never cross), calibration on a seeded world (the example
//! `quantile_reward`).
//! **Deviations:** a bias, hidden layers and quantiles that cannot cross are options.

use accordant_ops::{check_domain, check_shape};
use burn::{
    config::Config,
    module::Module,
    nn::Linear,
    tensor::{Device, Tensor, activation::relu},
};

use super::{layers::linear, quantile_reward::monotone};
use crate::{
    Result,
    random::{Purpose, stream},
};

/// Whether quantiles may cross.
#[derive(Config, Debug, Copy, PartialEq, Eq)]
pub enum Crossing {
    /// Each is what the last layer gives; sort them at inference.
    Possible,
    /// The first is, and each next one adds a softplus: [`monotone`].
    Never,
}

/// Configuration of [`QuantileHead`].
#[derive(Config, Debug, PartialEq)]
pub struct QuantileHeadConfig {
    /// The length of the features, ≥ 1.
    pub num_features: usize,
    /// How many quantiles there are, ≥ 2: a result `[n, 1]` would be a product that some kernels get wrong.
    pub num_quantiles: usize,
    /// Widths of the hidden layers, ≥ 1 each. None: a linear head, the paper's.
    #[config(default = "Vec::new()")]
    pub hidden: Vec<usize>,
    /// Whether quantiles may cross. They may: the paper's.
    #[config(default = "Crossing::Possible")]
    pub crossing: Crossing,
    /// Whether layers have a bias. True: ours; the paper's linear heads have none.
    #[config(default = true)]
    pub bias: bool,
}

impl QuantileHeadConfig {
    /// A head with random weights: the same seed gives the same ones on every device.
    ///
    /// # Errors
    /// A domain error naming the field.
    ///
    /// # Example
    /// ```
    /// use accordant_preference::distributional::quantile_head::{Crossing, QuantileHeadConfig};
    /// use burn::tensor::{Device, Tensor};
    /// let device = Device::flex();
    /// let head = QuantileHeadConfig::new(3, 19).with_hidden(vec![8]).with_crossing(Crossing::Never).init(0, &device)?;
    /// let quantiles = head.forward(Tensor::ones([2, 3], &device))?.try_to_vec_as::<f32>().unwrap();
    /// assert!(quantiles.chunks(19).all(|row| row.windows(2).all(|pair| pair[0] <= pair[1])));
    /// # Ok::<(), accordant_preference::Error>(())
    /// ```
    pub fn init(&self, seed: u64, device: &Device) -> Result<QuantileHead> {
        check_domain(self.num_features > 0, "num_features", ">= 1", self.num_features as f64)?;
        check_domain(self.num_quantiles > 1, "num_quantiles", ">= 2", self.num_quantiles as f64)?;
        let mut rng = stream(seed, Purpose::Start, 0);
        let mut width = self.num_features;
        let mut layers = Vec::with_capacity(self.hidden.len() + 1);
        for &next in self.hidden.iter().chain([&self.num_quantiles]) {
            check_domain(next > 0, "hidden", ">= 1", next as f64)?;
            layers.push(linear(&mut rng, width, next, self.bias, device));
            width = next;
        }
        Ok(QuantileHead { layers, num_features: self.num_features, monotone: self.crossing == Crossing::Never })
    }
}

/// Linear layers with rectifiers between them.
#[derive(Module, Debug)]
pub struct QuantileHead {
    layers: Vec<Linear>,
    num_features: usize,
    monotone: bool,
}

impl QuantileHead {
    /// Quantiles of each response.
    ///
    /// # Shapes
    /// `features`: `[n, num_features]`; the result: `[n, num_quantiles]`.
    ///
    /// # Errors
    /// A shape error naming `features`.
    pub fn forward(&self, features: Tensor<2>) -> Result<Tensor<2>> {
        let [n, _] = features.dims();
        check_shape("features", &[n, self.num_features], &features.dims())?;
        let (last, hidden) = self.layers.split_last().expect("there is a last layer");
        let features = hidden.iter().fold(features, |features, layer| relu(layer.forward(features)));
        let raw = last.forward(features);
        Ok(if self.monotone { monotone(raw) } else { raw })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::distributional::testing::{host, near, starts};

    #[test]
    fn layers_by_hand() {
        let device = Device::flex();
        let config = QuantileHeadConfig::new(2, 2).with_hidden(vec![3]);
        let head = config.init(0, &device).unwrap();
        let features = Tensor::<2>::from_floats([[0.5, -1.0]], &device);
        let hidden = relu(head.layers[0].forward(features.clone()));
        let raw = head.layers[1].forward(hidden);
        assert_eq!(host(&head.forward(features.clone()).unwrap()), host(&raw));
        let never = QuantileHead { monotone: true, ..head };
        near(&host(&never.forward(features).unwrap()), &host(&monotone(raw)), 0.0);
        let plain = QuantileHeadConfig::new(2, 2).with_bias(false).init(0, &device).unwrap();
        assert_eq!(plain.layers.len(), 1);
        let weights = |seed| host(&config.init(seed, &device).unwrap().layers[1].weight.val());
        assert_eq!(weights(3), weights(3));
        assert_ne!(weights(3), weights(4));
        assert!(weights(3).iter().all(|w| w.abs() <= 3f64.sqrt().recip()) && weights(3).iter().any(|w| w.abs() > 0.3));
        assert_eq!(host(&plain.forward(Tensor::zeros([1, 2], &device)).unwrap()), [0.0, 0.0]);
        assert_eq!(plain.forward(Tensor::zeros([3, 2], &device)).unwrap().dims(), [3, 2]);
    }

    #[test]
    fn settings_and_shapes_are_checked() {
        let device = Device::flex();
        let config = QuantileHeadConfig::new(2, 19);
        assert_eq!((config.hidden.len(), config.crossing, config.bias), (0, Crossing::Possible, true));
        starts(QuantileHeadConfig::new(0, 2).init(0, &device), "`num_features`");
        starts(QuantileHeadConfig::new(1, 1).init(0, &device), "`num_quantiles`");
        starts(QuantileHeadConfig::new(1, 2).with_hidden(vec![4, 0]).init(0, &device), "`hidden`");
        starts(config.init(0, &device).unwrap().forward(Tensor::zeros([1, 3], &device)), "`features`");
    }
}
