//! Losses of critics: predictions of what a rollout will return, from every token on.
//!
//! | module | what the critic predicts | learned from |
//! |---|---|---|
//! | [`clipped_value`] | the mean return, or one near the last prediction | returns, [`ValueBatch`] |
//! | [`expectile`] | an expectile: an optimistic or a pessimistic mean | returns, [`ValueBatch`] |
//! | [`itakura_saito`] | the certainty equivalent of an agent that dislikes risk | returns, [`ValueBatch`] |
//! | [`c51`] | the distribution of returns, as probabilities of fixed numbers | returns, or the next distribution |
//! | [`quantile`] | the distribution of returns, as numbers of fixed probability | returns, or the next quantiles |
//!
//! Start with [`clipped_value`]. Returns come from [`advantage::gae`](mod@crate::advantage::gae). The first three are
//! [`ValueObjective`]s, read a [`ValueBatch`] and are chosen by the loop; the critics of the last two have several numbers
//! for each token.
//!
//! Losses are per token, `[batch, seq]`, in f64 for f64 predictions and f32 otherwise. Targets are constants. Behind the
//! mask a loss is 0, whatever stands there, NaN included, and has no gradient.

use accordant_ops::check_shape;
use burn::tensor::{Bool, DType, FloatDType, Tensor};

use crate::Result;

pub mod c51;
pub mod clipped_value;
pub mod expectile;
pub mod itakura_saito;
mod output;
pub mod quantile;

pub use output::{ValueMetrics, ValueOutput};

/// A critic's predictions, and what they should have been.
#[derive(Debug, Clone)]
pub struct ValueBatch {
    values: Tensor<2>,
    returns: Tensor<2>,
    mask: Tensor<2, Bool>,
    old_values: Option<Tensor<2>>,
}

impl ValueBatch {
    /// Predictions of the critic that is trained, returns as constants, and true where both count.
    ///
    /// # Shapes
    /// `[batch, seq]` each.
    ///
    /// # Errors
    /// A shape error naming `returns` or `mask`.
    pub fn new(values: Tensor<2>, returns: Tensor<2>, mask: Tensor<2, Bool>) -> Result<Self> {
        check_shape("returns", &values.dims(), &returns.dims())?;
        check_shape("mask", &values.dims(), &mask.dims())?;
        Ok(Self { values, returns, mask, old_values: None })
    }

    /// Adds what the critic predicted when the rollouts were made; constants.
    ///
    /// # Errors
    /// A shape error naming `old_values`.
    pub fn with_old_values(self, old_values: Tensor<2>) -> Result<Self> {
        check_shape("old_values", &self.values.dims(), &old_values.dims())?;
        Ok(Self { old_values: Some(old_values), ..self })
    }

    /// Which predictions count, `[batch, seq]`.
    pub fn mask(&self) -> &Tensor<2, Bool> {
        &self.mask
    }

    /// Only the predictions that `keep` names, too.
    pub(crate) fn keep(self, keep: Tensor<2, Bool>) -> Self {
        Self { mask: self.mask.bool_and(keep), ..self }
    }

    /// Predictions, `[batch, seq]`, in f32 or f64; 0 behind the mask.
    pub fn values(&self) -> Tensor<2> {
        self.kept(self.values.clone())
    }

    /// Returns likewise, constants.
    pub fn returns(&self) -> Tensor<2> {
        self.kept(self.returns.clone().detach())
    }

    /// Earlier predictions likewise, constants; none if they are not known.
    pub fn old_values(&self) -> Option<Tensor<2>> {
        self.old_values.clone().map(|old| self.kept(old.detach()))
    }

    fn kept(&self, tensor: Tensor<2>) -> Tensor<2> {
        tensor.cast(wide(self.values.dtype())).mask_fill(self.mask.clone().bool_not(), 0.0)
    }
}

/// A loss of a critic that predicts one number for each token.
pub trait ValueObjective: std::fmt::Debug + Send + Sync {
    /// The loss of each prediction.
    ///
    /// # Errors
    /// When the batch lacks what the method needs.
    fn forward(&self, batch: &ValueBatch) -> Result<ValueOutput>;
}

/// What losses of predictions of `dtype` are computed in.
fn wide(dtype: DType) -> FloatDType {
    if dtype == DType::F64 { FloatDType::F64 } else { FloatDType::F32 }
}

/// `tensor`, whose positions hold several numbers each, in the dtype and with 0 where `mask` is false.
fn kept_rows(tensor: Tensor<3>, mask: &Tensor<2, Bool>, dtype: FloatDType) -> Tensor<3> {
    let (shape, tensor) = (tensor.shape(), tensor.cast(dtype));
    if shape.num_elements() == 0 {
        return tensor; // burn expands nothing to a length of 0
    }
    tensor.mask_fill(mask.clone().bool_not().unsqueeze_dim::<3>(2).expand(shape), 0.0)
}

#[cfg(test)]
pub(crate) mod tests;
