//! Initial weights, drawn on the host so that no device's generator has a say in them.

use burn::{
    module::Param,
    nn::Linear,
    tensor::{Device, Tensor, TensorData},
};
use rand::Rng;

/// Uniform within ±1/√fan_in.
pub(super) fn uniform(rng: &mut impl Rng, len: usize, fan_in: usize) -> Vec<f64> {
    let bound = (fan_in as f64).sqrt().recip();
    (0..len).map(|_| rng.random_range(-bound..bound)).collect()
}

/// A layer with weights and biases within ±1/√input, as burn's.
pub(crate) fn linear(rng: &mut impl Rng, input: usize, output: usize, bias: bool, device: &Device) -> Linear {
    let weight = TensorData::new(uniform(rng, input * output, input), [input, output]);
    let bias = bias.then(|| Param::from_tensor(Tensor::from_data(uniform(rng, output, input).as_slice(), device)));
    Linear { weight: Param::from_tensor(Tensor::from_data(weight, device)), bias }
}
