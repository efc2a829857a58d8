//! Initial weights, drawn on the host so that no device's generator has a say in them.

use burn::{
    module::Param,
    nn::Linear,
    tensor::{Device, Tensor, TensorData},
};
use rand::Rng;

/// Uniform within ±1/√fan_in.
pub(crate) fn uniform(rng: &mut impl Rng, len: usize, fan_in: usize) -> Vec<f64> {
    let bound = (fan_in as f64).sqrt().recip();
    (0..len).map(|_| rng.random_range(-bound..bound)).collect()
}

/// A layer with weights and biases within ±1/√input, as burn's.
pub(crate) fn linear(rng: &mut impl Rng, input: usize, output: usize, bias: bool, device: &Device) -> Linear {
    let weight = TensorData::new(uniform(rng, input * output, input), [input, output]);
    let bias = bias.then(|| Param::from_tensor(Tensor::from_data(uniform(rng, output, input).as_slice(), device)));
    Linear { weight: Param::from_tensor(Tensor::from_data(weight, device)), bias }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, stream};

    #[test]
    fn weights_fill_the_interval_of_their_input() {
        let mut rng = stream(3, Purpose::Start, 0);
        let draws = uniform(&mut rng, 400, 25);
        let largest = draws.iter().fold(0.0, |largest: f64, x| largest.max(x.abs()));
        assert_eq!(draws.len(), 400);
        assert!(largest <= 0.2 && largest > 0.19, "{largest}");
        let device = Device::flex();
        let layer = linear(&mut rng, 3, 5, true, &device);
        assert_eq!((layer.weight.val().dims(), layer.bias.unwrap().val().dims()), ([3, 5], [5]));
        assert!(linear(&mut rng, 3, 5, false, &device).bias.is_none());
    }
}
