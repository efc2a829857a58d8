//! Quantile head: a small network from features, or a language model's hidden states, to quantiles.
//!
//! **Paper:** Quantile Regression for Distributional Reward Models in RLHF (2024), 2409.10164, whose heads are linear.
//! **Use when:** features are there and [`quantile_reward`](super::quantile_reward) needs something to train.
//! **Checked by:** hand-worked layers, a law (monotone heads never cross), calibration on a seeded world (the example
//! `quantile_reward`).
//! **Deviations:** a bias, where it starts, hidden layers and quantiles that cannot cross are options.

use accordant_ops::{check_domain, check_shape};
use burn::{
    config::Config,
    module::{Module, Param},
    nn::Linear,
    tensor::{Device, Tensor, activation::relu},
};

use super::{layers::linear, quantile_reward::monotone};
use crate::{
    Error, Result,
    error::{check_length, check_record},
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
    /// The quantiles that the last layer's bias stands for at first, ascending and finite: those of all ratings there are
    /// ([`QuantileReward::fit_constants`](super::quantile_reward::QuantileReward::fit_constants)). None: a random bias, around 0. Then
    /// quantiles that cannot cross start `(num_quantiles − 1) ln 2` wide, whatever the unit of the ratings, and a short
    /// training does not get all of them where they belong.
    #[config(default = "None")]
    pub start: Option<Vec<f64>>,
}

/// Steps between quantiles start at this share of their mean at least, as equal ratings leave none between some.
const LEAST_STEP: f64 = 1e-2;

impl QuantileHeadConfig {
    /// A head with random weights: the same seed gives the same ones on every device.
    ///
    /// # Errors
    /// A domain error naming the field; [`Error::Length`] or [`Error::Record`] naming `start`; [`Error::Combination`] for a
    /// start without a bias, or without any distance between its ends when quantiles cannot cross.
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
        if let Some(bias) = self.first_bias()? {
            let last = layers.last_mut().expect("there is a last layer");
            last.bias = Some(Param::from_tensor(Tensor::from_data(bias.as_slice(), device)));
        }
        Ok(QuantileHead { layers, num_features: self.num_features, monotone: self.crossing == Crossing::Never })
    }

    /// What the last layer's bias must be for quantiles to start where they are to.
    fn first_bias(&self) -> Result<Option<Vec<f64>>> {
        let Some(start) = &self.start else { return Ok(None) };
        check_length("start", self.num_quantiles, start.len())?;
        for (row, &quantile) in start.iter().enumerate() {
            check_record(quantile.is_finite(), row, "start", "finite", quantile)?;
            check_record(row == 0 || quantile >= start[row - 1], row, "start", "ascending", quantile)?;
        }
        let refuse = |reason| Err(Error::Combination { what: "start", reason });
        if !self.bias {
            return refuse("the head has no bias");
        }
        if self.crossing == Crossing::Possible {
            return Ok(Some(start.clone()));
        }
        let width = start[start.len() - 1] - start[0];
        if width <= 0.0 {
            return refuse("all quantiles are equal");
        }
        let least = LEAST_STEP * width / (start.len() - 1) as f64;
        // The inverse of softplus: log(e^s − 1).
        let raw = |step: f64| step + (-(-step).exp_m1()).ln();
        let steps = start.windows(2).map(|pair| raw((pair[1] - pair[0]).max(least)));
        Ok(Some([start[0]].into_iter().chain(steps).collect()))
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
    fn a_head_starts_at_the_quantiles_that_it_is_given() {
        let device = Device::flex();
        let start = vec![-3.0, -1.0, -1.0, 97.0];
        for (crossing, expected) in [
            (Crossing::Possible, start.clone()),
            // The step of 0 becomes a hundredth of 100/3.
            (Crossing::Never, vec![-3.0, -1.0, -1.0 + 1.0 / 3.0, 97.0 + 1.0 / 3.0]),
        ] {
            for hidden in [vec![], vec![5]] {
                let config = QuantileHeadConfig::new(2, 4).with_crossing(crossing).with_hidden(hidden);
                let config = config.with_start(Some(start.clone()));
                let bias = config.init(0, &device).unwrap().layers.last().unwrap().bias.clone().unwrap();
                let raw = bias.val().unsqueeze_dim::<2>(0);
                let quantiles = if crossing == Crossing::Never { monotone(raw) } else { raw };
                near(&host(&quantiles), &expected, 1e-4);
                let other = config.with_start(None).init(0, &device).unwrap();
                assert!(host(&other.layers.last().unwrap().bias.clone().unwrap().val()).iter().all(|b| b.abs() < 1.0));
            }
        }
        // Small steps keep their digits: log(e^s − 1) at 1e-6.
        let small = QuantileHeadConfig::new(1, 2).with_crossing(Crossing::Never).with_start(Some(vec![0.0, 1e-6]));
        near(&small.first_bias().unwrap().unwrap(), &[0.0, -13.815510057964], 1e-9);
        let refused = |config: QuantileHeadConfig, start: &[f64], what| {
            starts(config.with_start(Some(start.to_vec())).init(0, &device), what);
        };
        let config = QuantileHeadConfig::new(1, 2);
        refused(config.clone(), &[0.0], "`start`: expected 2 entries");
        refused(config.clone(), &[0.0, f64::NAN], "record 1: `start`: expected finite");
        refused(config.clone(), &[1.0, 0.0], "record 1: `start`: expected ascending");
        refused(config.clone().with_bias(false), &[0.0, 1.0], "start: the head has no bias");
        refused(config.clone().with_crossing(Crossing::Never), &[1.0, 1.0], "start: all quantiles are equal");
        config.with_start(Some(vec![1.0, 1.0])).init(0, &device).unwrap();
    }

    #[test]
    fn settings_and_shapes_are_checked() {
        let device = Device::flex();
        let config = QuantileHeadConfig::new(2, 19);
        assert_eq!(config.start, None);
        assert_eq!((config.hidden.len(), config.crossing, config.bias), (0, Crossing::Possible, true));
        starts(QuantileHeadConfig::new(0, 2).init(0, &device), "`num_features`");
        starts(QuantileHeadConfig::new(1, 1).init(0, &device), "`num_quantiles`");
        starts(QuantileHeadConfig::new(1, 2).with_hidden(vec![4, 0]).init(0, &device), "`hidden`");
        starts(config.init(0, &device).unwrap().forward(Tensor::zeros([1, 3], &device)), "`features`");
    }
}
