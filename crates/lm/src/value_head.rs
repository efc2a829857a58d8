//! Values of states: a head on hidden states, and a critic with a trunk of its own.
//!
//! A head is one weighted sum per position. It multiplies and sums instead of multiplying matrices: burn's kernels for
//! `[n, 1]` products have been wrong under fusion (burn issue 5122).

use accordant_ops::{check_domain, check_shape};
use burn::{
    config::Config,
    module::{Module, Param},
    tensor::{Bool, Device, Int, Tensor},
};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Normal};

use crate::{CausalLm, HEAD_STREAM, Result};

/// What says how good a state is, as a trainer sees it.
pub trait ValueModel {
    /// The value of the state after each token, `[batch, seq]`.
    ///
    /// `ids` and `attention_mask` are `[batch, seq]` as for [`CausalLm::hidden`]. What is returned at padding is finite
    /// and means nothing.
    ///
    /// # Errors
    /// A shape error when the two differ in shape.
    fn values(&self, ids: Tensor<2, Int>, attention_mask: Tensor<2, Bool>) -> Result<Tensor<2>>;
}

/// Configuration of [`ValueHead`].
#[derive(Config, Debug, PartialEq)]
pub struct ValueHeadConfig {
    /// Width of the hidden states, at least 1.
    pub hidden_size: usize,
    /// Standard deviation of the initial weights, finite and ≥ 0. 0: every value starts at 0, so that the first
    /// advantages are the returns.
    #[config(default = 0.0)]
    pub init_std: f64,
}

impl ValueHeadConfig {
    /// A head on `device`: the same seed gives the same weights on every device.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self, seed: u64, device: &Device) -> Result<ValueHead> {
        let Self { hidden_size, init_std } = *self;
        check_domain(hidden_size > 0, "hidden_size", "at least 1", hidden_size as f64)?;
        check_domain(init_std.is_finite() && init_std >= 0.0, "init_std", "finite and >= 0", init_std)?;
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(HEAD_STREAM);
        let normal = Normal::new(0.0, init_std).expect("a standard deviation");
        let weight: Vec<f32> = (0..hidden_size).map(|_| normal.sample(&mut rng) as f32).collect();
        Ok(ValueHead {
            weight: Param::from_tensor(Tensor::from_floats(weight.as_slice(), device)),
            bias: Param::from_tensor(Tensor::zeros([1], device)),
        })
    }
}

/// One number for each hidden state: `w · h + b`.
#[derive(Module, Debug)]
pub struct ValueHead {
    weight: Param<Tensor<1>>,
    bias: Param<Tensor<1>>,
}

impl ValueHead {
    /// Values of hidden states.
    ///
    /// # Shapes
    /// `hidden`: `[batch, seq, hidden]` to `[batch, seq]`.
    ///
    /// # Errors
    /// A shape error naming `hidden`.
    ///
    /// # Example
    /// ```
    /// use accordant_lm::value_head::ValueHeadConfig;
    /// use burn::tensor::{Device, Tensor};
    /// let device = Device::flex();
    /// let head = ValueHeadConfig::new(3).init(7, &device)?;
    /// let values = head.forward(Tensor::ones([1, 2, 3], &device))?;
    /// assert_eq!(values.try_to_vec_as::<f32>().unwrap(), [0.0, 0.0]); // zero at the start
    /// # Ok::<(), accordant_lm::Error>(())
    /// ```
    pub fn forward(&self, hidden: Tensor<3>) -> Result<Tensor<2>> {
        let [batch, seq, width] = hidden.dims();
        check_shape("hidden", &[batch, seq, self.weight.dims()[0]], &[batch, seq, width])?;
        let weighted = hidden * self.weight.val().reshape([1, 1, width]);
        Ok(weighted.sum_dim(2).reshape([batch, seq]) + self.bias.val().reshape([1, 1]))
    }
}

/// A model with a value head and parameters of its own: the critic of actor-critic methods.
#[derive(Module, Debug)]
pub struct Critic<M: Module> {
    trunk: M,
    head: ValueHead,
}

impl<M: Module> Critic<M> {
    /// A critic on `trunk`, usually a copy of the policy or of a reward model.
    pub fn new(trunk: M, head: ValueHead) -> Self {
        Self { trunk, head }
    }
}

impl<M: Module + CausalLm> ValueModel for Critic<M> {
    fn values(&self, ids: Tensor<2, Int>, attention_mask: Tensor<2, Bool>) -> Result<Tensor<2>> {
        self.head.forward(self.trunk.hidden(ids, attention_mask)?)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::TensorData;

    use super::*;
    use crate::decoder::DecoderConfig;

    fn head(std: f64, seed: u64) -> ValueHead {
        ValueHeadConfig::new(2).with_init_std(std).init(seed, &Device::flex()).unwrap()
    }

    #[test]
    fn a_value_is_the_weighted_sum_of_its_state_alone() {
        let mut head = head(0.0, 0);
        head.weight = Param::from_tensor(Tensor::from_floats([2.0, -1.0], &Device::flex()));
        head.bias = Param::from_tensor(Tensor::from_floats([0.5], &Device::flex()));
        let hidden = Tensor::from_floats([[[1.0, 0.0], [0.0, 3.0]], [[4.0, 4.0], [0.0, 0.0]]], &Device::flex());
        // 2·1 + 0.5, −3 + 0.5, 8 − 4 + 0.5, 0.5
        assert_eq!(head.forward(hidden).unwrap().try_to_vec_as::<f32>().unwrap(), [2.5, -2.5, 4.5, 0.5]);
    }

    #[test]
    fn the_seed_decides_the_weights_and_a_deviation_of_0_makes_none() {
        let weights = |std, seed| head(std, seed).weight.val().try_to_vec_as::<f32>().unwrap();
        assert_eq!(weights(0.5, 3), weights(0.5, 3));
        assert_ne!(weights(0.5, 3), weights(0.5, 4));
        assert_eq!(weights(0.0, 3), [0.0, 0.0]);
    }

    #[test]
    fn a_critic_learns_from_its_own_parameters() {
        let device = Device::flex().autodiff();
        let trunk = DecoderConfig::new(5).init(1, &device).unwrap();
        let critic = Critic::new(trunk, ValueHeadConfig::new(64).with_init_std(0.1).init(2, &device).unwrap());
        let ids = Tensor::<2, Int>::from_ints([[1, 2, 3]], &device);
        let mask = Tensor::from_data(TensorData::from([[true; 3]]), &device);
        let values = critic.values(ids, mask).unwrap();
        assert_eq!(values.dims(), [1, 3]);
        let grads = values.sum().backward();
        let bias = critic.head.bias.val().grad(&grads).unwrap().into_scalar::<f32>();
        assert_eq!(bias, 3.0);
        assert!(critic.trunk.head().grad(&grads).unwrap().abs().sum().into_scalar::<f32>() > 0.0);
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let error = head(0.0, 0).forward(Tensor::zeros([1, 2, 3], &Device::flex())).unwrap_err().to_string();
        assert_eq!(error, "`hidden`: expected shape [1, 2, 2], got [1, 2, 3]");
        let bad = |config: ValueHeadConfig| config.init(0, &Device::flex()).unwrap_err().to_string();
        assert!(bad(ValueHeadConfig::new(0)).starts_with("`hidden_size`"));
        assert!(bad(ValueHeadConfig::new(2).with_init_std(f64::NAN)).starts_with("`init_std`"));
        assert!(bad(ValueHeadConfig::new(2).with_init_std(-1.0)).starts_with("`init_std`"));
    }
}
