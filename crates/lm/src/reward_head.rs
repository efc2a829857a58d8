//! Rewards of whole responses: a linear head on the last hidden state, and a model that has one.
//!
//! The head multiplies and sums instead of multiplying matrices, and gives `[n]`: burn's kernels for `[n, 1]` products have
//! been wrong under fusion (burn issue 5122). It has no bias: preferences do not tell the level of a reward.

use accordant_ops::{check_domain, check_dtype, check_shape};
use burn::{
    config::Config,
    module::{Module, Param},
    tensor::{Bool, Device, Int, Tensor},
};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Normal};

use crate::{CausalLm, REWARD_STREAM, Result};

/// What says how good a whole response is, as a trainer sees it.
pub trait RewardModel {
    /// The reward of each row, `[batch]`.
    ///
    /// `ids` and `attention_mask` are `[batch, seq]` as for [`CausalLm::hidden`]: a prompt and its response. What is
    /// returned for a row without a token is finite and means nothing.
    ///
    /// # Errors
    /// A shape error when the two differ in shape.
    fn rewards(&self, ids: Tensor<2, Int>, attention_mask: Tensor<2, Bool>) -> Result<Tensor<1>>;

    /// The number of token ids.
    fn vocab_size(&self) -> usize;
}

/// Configuration of [`RewardHead`].
#[derive(Config, Debug, PartialEq)]
pub struct RewardHeadConfig {
    /// Width of the hidden states, at least 1.
    pub hidden_size: usize,
    /// Standard deviation of the initial weights, finite and ≥ 0. 0: ours, as a value head's; every reward starts at 0 and
    /// every pair at even odds, and the trunk's first gradient is 0. TRL's heads start at 0.02, Transformers' usual value.
    #[config(default = 0.0)]
    pub init_std: f64,
}

impl RewardHeadConfig {
    /// A head on `device`: the same seed gives the same weights on every device.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self, seed: u64, device: &Device) -> Result<RewardHead> {
        let Self { hidden_size, init_std } = *self;
        check_domain(hidden_size > 0, "hidden_size", "at least 1", hidden_size as f64)?;
        check_domain(init_std.is_finite() && init_std >= 0.0, "init_std", "finite and >= 0", init_std)?;
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(REWARD_STREAM);
        let normal = Normal::new(0.0, init_std).expect("a standard deviation");
        let weight: Vec<f32> = (0..hidden_size).map(|_| normal.sample(&mut rng) as f32).collect();
        Ok(RewardHead { weight: Param::from_tensor(Tensor::from_floats(weight.as_slice(), device)) })
    }
}

/// One number for each state: `w · h`.
#[derive(Module, Debug)]
pub struct RewardHead {
    weight: Param<Tensor<1>>,
}

impl RewardHead {
    /// Rewards of states.
    ///
    /// # Shapes
    /// `states`: `[n, hidden]` to `[n]`.
    ///
    /// # Errors
    /// A shape or dtype error naming `states`.
    ///
    /// # Example
    /// ```
    /// use accordant_lm::reward_head::RewardHeadConfig;
    /// use burn::tensor::{Device, Tensor};
    /// let device = Device::flex();
    /// let head = RewardHeadConfig::new(3).init(7, &device)?;
    /// let rewards = head.forward(Tensor::ones([2, 3], &device))?;
    /// assert_eq!(rewards.try_to_vec_as::<f32>().unwrap(), [0.0, 0.0]); // zero at the start
    /// # Ok::<(), accordant_lm::Error>(())
    /// ```
    pub fn forward(&self, states: Tensor<2>) -> Result<Tensor<1>> {
        let [n, width] = states.dims();
        check_shape("states", &[n, self.weight.dims()[0]], &[n, width])?;
        check_dtype("states", self.weight.dtype(), states.dtype())?;
        Ok((states * self.weight.val().reshape([1, width])).sum_dim(1).reshape([n]))
    }
}

/// The hidden state of the last real token of each row; the first position's of a row without one.
///
/// # Shapes
/// `hidden`: `[batch, seq, hidden]`, `attention_mask`: `[batch, seq]`, to `[batch, hidden]`.
///
/// # Errors
/// A shape error naming `attention_mask`.
///
/// # Example
/// ```
/// use accordant_lm::reward_head::last_states;
/// use burn::tensor::{Device, Tensor, TensorData};
/// let device = Device::flex();
/// let hidden = Tensor::<3>::from_floats([[[1.0], [2.0], [3.0]], [[4.0], [5.0], [6.0]]], &device);
/// let mask = Tensor::from_bool(TensorData::from([[true, true, false], [false, true, true]]), &device);
/// assert_eq!(last_states(hidden, mask)?.try_to_vec_as::<f32>().unwrap(), [2.0, 6.0]);
/// # Ok::<(), accordant_lm::Error>(())
/// ```
pub fn last_states(hidden: Tensor<3>, attention_mask: Tensor<2, Bool>) -> Result<Tensor<2>> {
    let [batch, seq, width] = hidden.dims();
    check_shape("attention_mask", &[batch, seq], &attention_mask.dims())?;
    let device = hidden.device();
    let places = Tensor::<1, Int>::arange(1..seq as i64 + 1, &device).reshape([1, seq]).repeat_dim(0, batch);
    let last = places.mask_fill(attention_mask.bool_not(), 1).max_dim(1).sub_scalar(1).reshape([batch]);
    let rows = Tensor::<1, Int>::arange(0..batch as i64, &device) * seq as i64;
    Ok(hidden.reshape([batch * seq, width]).select(0, rows + last))
}

/// A model with a reward head on the last hidden state.
#[derive(Module, Debug)]
pub struct RewardNet<M: Module> {
    trunk: M,
    head: RewardHead,
}

impl<M: Module> RewardNet<M> {
    /// A reward model on `trunk`, usually a language model that was fine-tuned on the chosen responses.
    pub fn new(trunk: M, head: RewardHead) -> Self {
        Self { trunk, head }
    }
}

impl<M: Module + CausalLm> RewardModel for RewardNet<M> {
    fn rewards(&self, ids: Tensor<2, Int>, attention_mask: Tensor<2, Bool>) -> Result<Tensor<1>> {
        let hidden = self.trunk.hidden(ids, attention_mask.clone())?;
        self.head.forward(last_states(hidden, attention_mask)?)
    }

    fn vocab_size(&self) -> usize {
        self.trunk.head().dims()[0]
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::TensorData;

    use super::*;
    use crate::decoder::DecoderConfig;

    fn head(std: f64, seed: u64) -> RewardHead {
        RewardHeadConfig::new(2).with_init_std(std).init(seed, &Device::flex()).unwrap()
    }

    #[test]
    fn a_reward_is_the_weighted_sum_of_its_state_alone() {
        let mut head = head(0.0, 0);
        head.weight = Param::from_tensor(Tensor::from_floats([2.0, -1.0], &Device::flex()));
        let states = Tensor::from_floats([[1.0, 0.0], [0.0, 3.0], [4.0, 4.0]], &Device::flex());
        assert_eq!(head.forward(states).unwrap().try_to_vec_as::<f32>().unwrap(), [2.0, -3.0, 4.0]);
    }

    #[test]
    fn the_seed_decides_the_weights_and_a_deviation_of_0_makes_none() {
        let weights = |std, seed| head(std, seed).weight.val().try_to_vec_as::<f32>().unwrap();
        assert_eq!(weights(0.5, 3), weights(0.5, 3));
        assert_ne!(weights(0.5, 3), weights(0.5, 4));
        assert_eq!(weights(0.0, 3), [0.0, 0.0]);
    }

    #[test]
    fn weights_spread_as_said() {
        let weights = RewardHeadConfig::new(4000).with_init_std(0.02).init(5, &Device::flex()).unwrap().weight.val();
        let weights = weights.try_to_vec_as::<f64>().unwrap();
        let square = weights.iter().map(|w| w * w).sum::<f64>() / 4000.0;
        // Five standard errors of the deviation: 0.02 / √8000 each.
        assert!((square.sqrt() - 0.02).abs() < 5.0 * 0.02 / 8000f64.sqrt(), "{square}");
    }

    /// A row of one batch, by the ids and where they are real.
    fn rewards<M: RewardModel>(model: &M, ids: &[&[i32]], mask: &[&[bool]], device: &Device) -> Tensor<1> {
        let shape = [ids.len(), ids[0].len()];
        let ids = Tensor::<2, Int>::from_data(TensorData::new(ids.concat(), shape), device);
        model.rewards(ids, Tensor::from_data(TensorData::new(mask.concat(), shape), device)).unwrap()
    }

    #[test]
    fn padding_on_either_side_changes_no_reward() {
        let device = Device::flex();
        let trunk = DecoderConfig::new(5).init(1, &device).unwrap();
        let model = RewardNet::new(trunk, RewardHeadConfig::new(64).with_init_std(0.1).init(2, &device).unwrap());
        assert_eq!(model.vocab_size(), 5);
        let short = rewards(&model, &[&[1, 2, 3]], &[&[true; 3]], &device).try_to_vec_as::<f64>().unwrap()[0];
        let (on, off) = (true, false);
        let padded = rewards(
            &model,
            &[&[1, 2, 3, 4, 4], &[4, 0, 1, 2, 3], &[0, 1, 2, 3, 0], &[4, 4, 1, 2, 4]],
            &[&[on, on, on, off, off], &[off, off, on, on, on], &[off, on, on, on, off], &[off, off, on, on, off]],
            &device,
        );
        let padded = padded.try_to_vec_as::<f64>().unwrap();
        assert!(padded[..3].iter().all(|reward| (reward - short).abs() < 1e-5), "{short} {padded:?}");
        assert!((padded[3] - short).abs() > 1e-3, "another response has another reward: {short} {padded:?}");
    }

    #[test]
    fn the_gradient_is_the_state_and_reaches_the_trunk() {
        let device = Device::flex().autodiff();
        let trunk = DecoderConfig::new(5).init(1, &device).unwrap();
        let model = RewardNet::new(trunk, RewardHeadConfig::new(64).with_init_std(0.1).init(2, &device).unwrap());
        let (ids, mask): (&[i32], &[bool]) = (&[1, 2, 3, 4], &[true, true, true, false]);
        let grads = rewards(&model, &[ids], &[mask], &device).sum().backward();
        let ids = Tensor::<2, Int>::from_data(TensorData::new(ids.to_vec(), [1, 4]), &device);
        let hidden =
            model.trunk.hidden(ids, Tensor::from_data(TensorData::new(mask.to_vec(), [1, 4]), &device)).unwrap();
        let state = hidden.slice([0..1, 2..3]).reshape([64]).try_to_vec_as::<f32>().unwrap();
        assert_eq!(model.head.weight.val().grad(&grads).unwrap().try_to_vec_as::<f32>().unwrap(), state);
        assert!(model.trunk.head().grad(&grads).unwrap().abs().sum().into_scalar::<f32>() > 0.0);
    }

    #[test]
    fn a_row_ends_at_its_last_real_token_wherever_it_begins() {
        let device = Device::flex();
        // The state of place p of row r is [10 r + p, −p].
        let states: Vec<f32> =
            (0..4).flat_map(|r| (0..3).flat_map(move |p| [(10 * r + p) as f32, -p as f32])).collect();
        let mask = [true, true, true, false, true, false, true, false, false, false, false, true];
        let last = last_states(
            Tensor::from_data(TensorData::new(states, [4, 3, 2]), &device),
            Tensor::from_data(TensorData::new(mask.to_vec(), [4, 3]), &device),
        );
        let expected = [2.0, -2.0, 11.0, -1.0, 20.0, 0.0, 32.0, -2.0];
        assert_eq!(last.unwrap().try_to_vec_as::<f32>().unwrap(), expected);
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let device = Device::flex();
        let error = head(0.0, 0).forward(Tensor::zeros([1, 3], &device)).unwrap_err().to_string();
        assert_eq!(error, "`states`: expected shape [1, 2], got [1, 3]");
        let mask = Tensor::<2, Bool>::full([2, 2], true, &device);
        let error = last_states(Tensor::zeros([2, 3, 1], &device), mask).unwrap_err().to_string();
        assert_eq!(error, "`attention_mask`: expected shape [2, 3], got [2, 2]");
        let empty = Tensor::<2, Bool>::full([1, 2], false, &device);
        let hidden = Tensor::<3>::from_floats([[[7.0], [8.0]]], &device);
        assert_eq!(last_states(hidden, empty).unwrap().try_to_vec_as::<f32>().unwrap(), [7.0]);
        let bad = |config: RewardHeadConfig| config.init(0, &device).unwrap_err().to_string();
        assert!(bad(RewardHeadConfig::new(0)).starts_with("`hidden_size`"));
        assert!(bad(RewardHeadConfig::new(2).with_init_std(f64::NAN)).starts_with("`init_std`"));
        assert!(bad(RewardHeadConfig::new(2).with_init_std(-1.0)).starts_with("`init_std`"));
        assert_eq!(RewardHeadConfig::new(2).init_std, 0.0);
    }

    #[test]
    fn states_of_another_dtype_are_refused() {
        let head = RewardHeadConfig::new(2).init(0, &Device::flex()).unwrap();
        let states = Tensor::<2>::ones([1, 2], (&Device::flex(), burn::tensor::DType::F64));
        assert!(head.forward(states).unwrap_err().to_string().starts_with("`states`"));
    }
}
