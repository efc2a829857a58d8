//! Predicted distributions: as probabilities of fixed numbers, and as numbers of fixed probability.
//!
//! | module | what is there |
//! |---|---|
//! | [`categorical`] | [`Support`](categorical::Support): atoms, projections onto them, means; cross-entropies |
//! | [`quantile`] | the pinball and the quantile Huber loss, probabilities of quantiles, the mean of the lower tail |
//! | [`risk`] | shares of masses under a distorted distribution function, the Itakura-Saito loss |
//!
//! What critics learn from returns (`accordant-objectives`) and reward models from ratings (`accordant-preference`) is built
//! on these. Functions along the last dimension keep it with length 1, as burn's `sum_dim` does, and take any rank.

use burn::tensor::Tensor;

use crate::stable::wide;

pub mod categorical;
pub mod quantile;
pub mod risk;

/// `tensor` in the dtype that its losses are computed in: f64 for f64 and f32 otherwise.
fn widened<const D: usize>(tensor: Tensor<D>) -> Tensor<D> {
    let dtype = wide(tensor.dtype());
    tensor.cast(dtype)
}

/// `values` along the last dimension of a tensor of rank `D`, the others of length 1.
fn along_last<const D: usize>(values: Vec<f64>, like: &Tensor<D>) -> Tensor<D> {
    let mut shape = [1; D];
    shape[D - 1] = values.len();
    Tensor::from_data(burn::tensor::TensorData::new(values, shape), (&like.device(), like.dtype()))
}

/// The shape of `tensor` with another length of its last dimension.
fn with_last<const D: usize>(tensor: &Tensor<D>, last: usize) -> [usize; D] {
    let mut shape = tensor.dims();
    shape[D - 1] = last;
    shape
}
