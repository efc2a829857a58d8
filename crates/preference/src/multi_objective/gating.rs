//! Gated attribute rewards (ArmoRM): the prompt decides how much each attribute counts.
//!
//! **Paper:** Interpretable Preferences via Multi-Objective Reward Modeling and Mixture-of-Experts (2024), 2406.12845.
//! **Use when:** what matters depends on what is asked: safety here, correctness there. Attribute rewards are fixed, of
//! [`super::attribute_regression`], on one scale ([`super::attribute_ranges`]), adjusted by [`super::verbosity`]; the gate
//! alone is trained, on pairs.
//! **Checked by:** values by hand, finite differences, its limits (one attribute, an even gate).
//! **Deviations:** initial weights are drawn on the host; units are dropped by the generator of the device, which its seed
//! alone repeats. Its authors train with AdamW at 1e-3 without weight decay, cosine over 2000 steps of 1024 pairs.

use accordant_ops::{check_domain, check_dtype, check_shape, stable::log_sum_exp};
use burn::{
    config::Config,
    module::{Module, Param},
    nn::{Dropout, DropoutConfig, Linear},
    tensor::{Device, Tensor, activation::relu},
};

use crate::{
    Result,
    distributional::layers::linear,
    random::{Purpose, stream},
};

/// How much each attribute counts, `s · softmax(logits / T)`: not negative, `s` in sum.
///
/// # Shapes
/// `logits`: `[n, attributes]`, `scale` (s): `[1]`, to `[n, attributes]`. `temperature` (T) is > 0.
///
/// # Errors
/// A shape or dtype error naming `scale`.
///
/// # Example
/// ```
/// use accordant_preference::multi_objective::gating::gate_weights;
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let logits = Tensor::from_floats([[10.0 * 3f32.ln(), 0.0]], &device); // odds of 3 : 1 at T = 10
/// let weights = gate_weights(logits, Tensor::from_floats([2.0], &device), 10.0)?.try_to_vec_as::<f32>().unwrap();
/// assert!((weights[0] - 1.5).abs() < 1e-6 && (weights[1] - 0.5).abs() < 1e-6);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
pub fn gate_weights(logits: Tensor<2>, scale: Tensor<1>, temperature: f64) -> Result<Tensor<2>> {
    check_shape("scale", &[1], &scale.dims())?;
    check_dtype("scale", logits.dtype(), scale.dtype())?;
    let logits = logits * temperature.recip();
    let shares = (logits.clone() - log_sum_exp(logits, 1)).exp();
    Ok(shares * scale.reshape([1, 1]))
}

/// The reward of each response, `Σ_k weights_k rewards_k`.
///
/// # Shapes
/// `weights` and `rewards`: `[n, attributes]`, to `[n]`.
///
/// # Errors
/// A shape or dtype error naming `rewards`.
///
/// # Example
/// ```
/// use accordant_preference::multi_objective::gating::gated_rewards;
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let rewards = gated_rewards(
///     Tensor::from_floats([[0.75, 0.25]], &device),
///     Tensor::from_floats([[4.0, -2.0]], &device),
/// )?;
/// assert_eq!(rewards.into_scalar::<f32>(), 2.5);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
pub fn gated_rewards(weights: Tensor<2>, rewards: Tensor<2>) -> Result<Tensor<1>> {
    let [n, attributes] = weights.dims();
    check_shape("rewards", &[n, attributes], &rewards.dims())?;
    check_dtype("rewards", weights.dtype(), rewards.dtype())?;
    Ok((weights * rewards).sum_dim(1).reshape([n]))
}

/// Configuration of [`Gate`].
#[derive(Config, Debug, PartialEq)]
pub struct GateConfig {
    /// The length of a prompt's features, ≥ 1.
    pub num_features: usize,
    /// How many attributes there are, ≥ 2: one needs no gate, and `[n, 1]` would be a product that some kernels get wrong.
    pub num_attributes: usize,
    /// Widths of the hidden layers, ≥ 1 each. Three of 1024: the authors' code.
    #[config(default = "vec![1024; 3]")]
    pub hidden: Vec<usize>,
    /// The chance that a hidden unit is dropped in training, in [0, 1). 0.2: the authors' training script; the published
    /// model has 0, which makes no difference to what it scores.
    #[config(default = 0.2)]
    pub dropout: f64,
    /// What logits are divided by, finite and > 0. 10: the authors' code.
    #[config(default = 10.0)]
    pub temperature: f64,
}

impl GateConfig {
    /// A gate with random weights and scale 1: the same seed gives the same weights on every device.
    ///
    /// # Errors
    /// A domain error naming the field.
    ///
    /// # Example
    /// ```
    /// use accordant_preference::multi_objective::gating::GateConfig;
    /// use burn::tensor::{Device, Tensor};
    /// let device = Device::flex();
    /// let gate = GateConfig::new(3, 2).with_hidden(vec![8]).init(7, &device)?;
    /// let weights = gate.weights(Tensor::ones([5, 3], &device))?;
    /// assert_eq!(weights.dims(), [5, 2]);
    /// assert!((weights.sum().into_scalar::<f32>() - 5.0).abs() < 1e-5); // 1 in each row
    /// # Ok::<(), accordant_preference::Error>(())
    /// ```
    pub fn init(&self, seed: u64, device: &Device) -> Result<Gate> {
        let Self { num_features, num_attributes, hidden, dropout, temperature } = self;
        check_domain(*num_features > 0, "num_features", "at least 1", *num_features as f64)?;
        check_domain(*num_attributes > 1, "num_attributes", "at least 2", *num_attributes as f64)?;
        check_domain(hidden.iter().all(|width| *width > 0), "hidden", "at least 1 each", 0.0)?;
        check_domain((0.0..1.0).contains(dropout), "dropout", "in [0, 1)", *dropout)?;
        check_domain(temperature.is_finite() && *temperature > 0.0, "temperature", "finite and > 0", *temperature)?;
        let mut rng = stream(seed, Purpose::Start, 0);
        let widths: Vec<usize> = [*num_features].iter().chain(hidden).chain([num_attributes]).copied().collect();
        let layers = widths.windows(2).map(|pair| linear(&mut rng, pair[0], pair[1], true, device)).collect();
        Ok(Gate {
            layers,
            dropout: DropoutConfig::new(*dropout).init(),
            scale: Param::from_tensor(Tensor::ones([1], device)),
            temperature: *temperature,
        })
    }
}

/// A network from a prompt's features to how much each attribute counts.
#[derive(Module, Debug)]
pub struct Gate {
    layers: Vec<Linear>,
    dropout: Dropout,
    scale: Param<Tensor<1>>,
    #[module(skip)]
    temperature: f64,
}

impl Gate {
    /// How much each attribute counts; units are dropped on an autodiff device alone.
    ///
    /// # Shapes
    /// `prompts`: `[n, features]` to `[n, attributes]`.
    ///
    /// # Errors
    /// A shape or dtype error naming `prompts`.
    pub fn weights(&self, prompts: Tensor<2>) -> Result<Tensor<2>> {
        let (last, hidden) = self.layers.split_last().expect("a network has a layer");
        let [n, width] = prompts.dims();
        let first = self.layers[0].weight.dims()[0];
        check_shape("prompts", &[n, first], &[n, width])?;
        check_dtype("prompts", self.layers[0].weight.dtype(), prompts.dtype())?;
        let state = hidden.iter().fold(prompts, |state, layer| self.dropout.forward(relu(layer.forward(state))));
        gate_weights(last.forward(state), self.scale.val(), self.temperature)
    }

    /// The reward of each response with fixed attribute rewards.
    ///
    /// # Shapes
    /// `prompts`: `[n, features]`, `rewards`: `[n, attributes]`, to `[n]`: what a [`PairScores`] is made of.
    ///
    /// # Errors
    /// A shape or dtype error naming `prompts` or `rewards`.
    ///
    /// [`PairScores`]: crate::pairwise::PairScores
    pub fn forward(&self, prompts: Tensor<2>, rewards: Tensor<2>) -> Result<Tensor<1>> {
        gated_rewards(self.weights(prompts)?, rewards.detach())
    }
}

#[cfg(test)]
mod tests {
    use accordant_laws::gradient::check_gradient;
    use burn::tensor::{DType, TensorData};

    use super::*;
    use crate::{
        ItemReduction,
        pairwise::{PairScores, PairwiseLoss, bradley_terry::BradleyTerryConfig, testing::values},
    };

    fn matrix(values: &[f64], rows: usize, device: &Device) -> Tensor<2> {
        Tensor::from_data(TensorData::new(values.to_vec(), [rows, values.len() / rows]), (device, DType::F64))
    }

    fn vector(values: &[f64], device: &Device) -> Tensor<1> {
        Tensor::from_data(TensorData::from(values), (device, DType::F64))
    }

    #[test]
    fn the_scale_comes_after_the_softmax_and_the_temperature_before_it() {
        let device = Device::flex();
        let logits = matrix(&[2.0 * 4f64.ln(), 0.0, -1e6, 7.0], 2, &device);
        let weights = gate_weights(logits.clone(), vector(&[5.0], &device), 2.0).unwrap();
        let got = values(weights);
        for (got, expected) in got.iter().zip([4.0, 1.0, 0.0, 5.0]) {
            assert!((got - expected).abs() < 1e-12, "{got} is not {expected}");
        }
        // An even gate is the mean; one attribute has all the weight.
        let rewards = matrix(&[1.0, 2.0, 6.0], 1, &device);
        let even = gate_weights(matrix(&[0.3; 3], 1, &device), vector(&[1.0], &device), 10.0).unwrap();
        assert!((values(gated_rewards(even, rewards).unwrap())[0] - 3.0).abs() < 1e-12);
        let alone = gate_weights(matrix(&[0.3], 1, &device), vector(&[1.7], &device), 10.0).unwrap();
        assert!((values(gated_rewards(alone, matrix(&[2.0], 1, &device)).unwrap())[0] - 3.4).abs() < 1e-12);
    }

    #[test]
    fn gradients_are_derivatives() {
        let device = Device::flex().autodiff();
        let run = |x: &[f64]| {
            let (logits, scale) = (matrix(&x[..4], 2, &device).require_grad(), vector(&x[4..], &device).require_grad());
            let weights = gate_weights(logits.clone(), scale.clone(), 1.5).unwrap();
            let rewards = gated_rewards(weights, matrix(&[1.0, -2.0, 0.5, 3.0], 2, &device)).unwrap();
            (rewards.square().sum(), logits, scale)
        };
        let at = [0.4, -1.0, 0.1, 0.3, 1.2];
        let (loss, logits, scale) = run(&at);
        let grads = loss.backward();
        let gradient = [values(logits.grad(&grads).unwrap()), values(scale.grad(&grads).unwrap())].concat();
        check_gradient(|x| values(run(x).0)[0], &at, &gradient).unwrap();
    }

    #[test]
    fn a_gate_runs_its_layers_in_order() {
        let device = Device::flex();
        let mut gate = GateConfig::new(1, 2).with_hidden(vec![2]).with_temperature(1.0).init(0, &device).unwrap();
        let layer = |weight: [[f32; 2]; 2], rows: usize, bias: [f32; 2]| Linear {
            weight: Param::from_tensor(Tensor::<2>::from_floats(weight, &device).slice([0..rows, 0..2])),
            bias: Some(Param::from_tensor(Tensor::from_floats(bias, &device))),
        };
        // Hidden: relu(x), relu(−x); logits: ln 3 of the first, and 0.
        gate.layers =
            vec![layer([[1.0, -1.0], [0.0; 2]], 1, [0.0; 2]), layer([[3f32.ln(), 0.0], [0.0, 0.0]], 2, [0.0; 2])];
        let weights = gate.weights(Tensor::from_floats([[1.0], [-2.0]], &device)).unwrap();
        let got = weights.try_to_vec_as::<f64>().unwrap();
        for (got, expected) in got.iter().zip([0.75, 0.25, 0.5, 0.5]) {
            assert!((got - expected).abs() < 1e-6, "{got} is not {expected}");
        }
        let rewards = Tensor::from_floats([[4.0, 0.0], [4.0, 0.0]], &device);
        let rewards = gate.forward(Tensor::from_floats([[1.0], [-2.0]], &device), rewards).unwrap();
        let got = rewards.try_to_vec_as::<f64>().unwrap();
        assert!((got[0] - 3.0).abs() < 1e-5 && (got[1] - 2.0).abs() < 1e-5, "{got:?}");
    }

    #[test]
    fn units_are_dropped_in_training_alone_and_attribute_rewards_are_fixed() {
        let device = Device::flex().autodiff();
        let gate = GateConfig::new(4, 3).with_hidden(vec![64]).with_dropout(0.5).init(3, &device).unwrap();
        let prompts = |device: &Device| Tensor::<2>::ones([2, 4], device);
        let trained: Vec<Vec<f32>> =
            (0..2).map(|_| gate.weights(prompts(&device)).unwrap().try_to_vec_as::<f32>().unwrap()).collect();
        assert_ne!(trained[0], trained[1]);
        let plain = gate.valid();
        let scored: Vec<Vec<f32>> =
            (0..2).map(|_| plain.weights(prompts(&Device::flex())).unwrap().try_to_vec_as::<f32>().unwrap()).collect();
        assert_eq!(scored[0], scored[1]);
        let rewards = Tensor::<2>::from_floats([[1.0, 2.0, 3.0], [0.0, 1.0, -1.0]], &device).require_grad();
        let sides = gate.forward(prompts(&device), rewards.clone()).unwrap();
        let pairs = PairScores::new(sides.clone().narrow(0, 0, 1), sides.narrow(0, 1, 1)).unwrap();
        let nll = BradleyTerryConfig::new().init().unwrap().forward(&pairs).unwrap();
        let grads = nll.reduce(ItemReduction::Mean).unwrap().loss.backward();
        assert!(rewards.grad(&grads).is_none());
        assert!(gate.scale.val().grad(&grads).is_some() && gate.layers[0].weight.val().grad(&grads).is_some());
    }

    #[test]
    fn every_field_has_a_domain_and_a_default_and_shapes_are_checked() {
        let device = Device::flex();
        let text = |config: GateConfig| config.init(0, &device).unwrap_err().to_string();
        assert!(text(GateConfig::new(0, 2)).starts_with("`num_features`: expected at least 1"));
        assert!(text(GateConfig::new(1, 1)).starts_with("`num_attributes`: expected at least 2"));
        assert!(text(GateConfig::new(1, 2).with_hidden(vec![3, 0])).starts_with("`hidden`: expected at least 1 each"));
        for bad in [-0.1, 1.0, f64::NAN] {
            assert!(text(GateConfig::new(1, 2).with_dropout(bad)).starts_with("`dropout`: expected in [0, 1)"));
        }
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(
                text(GateConfig::new(1, 2).with_temperature(bad)).starts_with("`temperature`: expected finite and > 0")
            );
        }
        let defaults = GateConfig::new(1, 2);
        assert_eq!((defaults.hidden.clone(), defaults.dropout, defaults.temperature), (vec![1024; 3], 0.2, 10.0));
        let gate = defaults.with_hidden(vec![4]).init(0, &device).unwrap();
        assert_eq!(gate.scale.val().into_scalar::<f32>(), 1.0);
        let again = GateConfig::new(1, 2).with_hidden(vec![4]).init(1, &device).unwrap();
        let weights = |gate: &Gate| gate.layers[1].weight.val().try_to_vec_as::<f32>().unwrap();
        assert_ne!(weights(&gate), weights(&again));
        let text = |error: crate::Error| error.to_string();
        let two = || Tensor::<2>::zeros([1, 2], &device);
        assert!(text(gate.weights(two()).unwrap_err()).starts_with("`prompts`: expected shape [1, 1], got [1, 2]"));
        assert!(text(gated_rewards(two(), Tensor::zeros([1, 3], &device)).unwrap_err()).starts_with("`rewards`"));
        assert!(text(gated_rewards(two(), two().cast(DType::F64)).unwrap_err()).starts_with("`rewards`"));
        assert!(text(gate_weights(two(), Tensor::zeros([2], &device), 1.0).unwrap_err()).starts_with("`scale`"));
        assert!(text(gate_weights(two(), vector(&[1.0], &device), 1.0).unwrap_err()).starts_with("`scale`"));
    }

    #[test]
    fn prompts_of_another_dtype_are_refused() {
        let gate = GateConfig::new(2, 3).init(0, &Device::flex()).unwrap();
        let prompts = matrix(&[1.0, 1.0], 1, &Device::flex());
        assert!(gate.weights(prompts).unwrap_err().to_string().starts_with("`prompts`"));
    }
}
