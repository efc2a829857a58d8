//! Which candidates of a list are better than which, without sorting.
//!
//! A sort must put ties and NaN somewhere, and where it puts them is an accident of the input. Here a candidate is better
//! than another exactly when both are there and its score is larger: ties and NaN compare with nothing, and no order of
//! the candidates matters. The price is one truth value for each pair: memory is a few times `n · k · k`.

use accordant_ops::check_shape;
use burn::tensor::{Bool, DType, FloatDType, Tensor};

use crate::Result;

/// Which candidates of each list are better than which.
#[derive(Debug, Clone)]
pub struct Comparisons {
    present: Tensor<2, Bool>,
    /// True at `[list, i, j]` where `i` is better than `j`.
    better: Tensor<3, Bool>,
}

/// 1 where a mask is true, 0 elsewhere.
pub(super) fn ones<const D: usize>(mask: Tensor<D, Bool>, dtype: DType) -> Tensor<D> {
    mask.cast(FloatDType::from(dtype))
}

/// `x[n, i]` at `[n, i, j]`.
pub(super) fn rows(x: Tensor<2>) -> Tensor<3> {
    let [_, k] = x.dims();
    x.unsqueeze_dim::<3>(2).repeat_dim(2, k)
}

/// `x[n, j]` at `[n, i, j]`.
pub(super) fn columns(x: Tensor<2>) -> Tensor<3> {
    let [_, k] = x.dims();
    x.unsqueeze_dim::<3>(1).repeat_dim(1, k)
}

/// True at `[n, i, j]` where both candidates are there.
fn both(present: Tensor<2, Bool>) -> Tensor<3, Bool> {
    let [_, k] = present.dims();
    let own = present.clone().unsqueeze_dim::<3>(2).repeat_dim(2, k);
    own.bool_and(present.unsqueeze_dim::<3>(1).repeat_dim(1, k))
}

/// True at `[n, i, j]` where both candidates are there and are not the same.
pub(super) fn others(present: Tensor<2, Bool>) -> Tensor<3, Bool> {
    let places = ones(present.clone(), DType::F32).ones_like().cumsum(1);
    both(present).bool_and(rows(places.clone()).not_equal(columns(places)))
}

impl Comparisons {
    /// From scores (larger is better) of the candidates that are there; one whose score is NaN counts as absent.
    ///
    /// # Shapes
    /// `scores` and `present`: `[n, k]`.
    ///
    /// # Errors
    /// A shape error naming `present`.
    ///
    /// # Example
    /// ```
    /// use accordant_objectives::listwise::Comparisons;
    /// use burn::tensor::{DType, Device, Tensor};
    /// let scores = Tensor::<2>::from_floats([[0.5, 0.9, 0.5, 0.1]], &Device::flex());
    /// let present = scores.clone().greater_scalar(0.2);
    /// let comparisons = Comparisons::new(scores, present)?;
    /// // The best, and two that share the second place; the last is not there.
    /// assert_eq!(comparisons.ranks(DType::F32).try_to_vec_as::<f32>().unwrap(), [2.0, 1.0, 2.0, 1.0]);
    /// assert_eq!(comparisons.count(DType::F32).into_scalar::<f32>(), 2.0);
    /// # Ok::<(), accordant_objectives::Error>(())
    /// ```
    pub fn new(scores: Tensor<2>, present: Tensor<2, Bool>) -> Result<Self> {
        check_shape("present", &scores.dims(), &present.dims())?;
        Ok(Self::of(scores, present))
    }

    /// [`Comparisons::new`] of tensors that a batch has made.
    pub(super) fn of(scores: Tensor<2>, present: Tensor<2, Bool>) -> Self {
        let scores = scores.detach();
        // What compares with nothing would be both the best and the worst.
        let present = present.bool_and(scores.clone().is_nan().bool_not());
        let better = rows(scores.clone()).greater(columns(scores)).bool_and(both(present.clone()));
        Self { present, better }
    }

    /// The candidates that are there and have a score, `[n, k]`.
    pub(super) fn present(&self) -> Tensor<2, Bool> {
        self.present.clone()
    }

    /// True at `[list, i, j]` where `i` is better than `j`, `[n, k, k]`.
    pub fn better(&self) -> Tensor<3, Bool> {
        self.better.clone()
    }

    /// How many candidates each one is better than, `[n, k]`.
    pub fn num_worse(&self, dtype: DType) -> Tensor<2> {
        ones(self.better.clone(), dtype).sum_dim(2).squeeze_dim(2)
    }

    /// How many candidates are better than each one, `[n, k]`.
    pub fn num_better(&self, dtype: DType) -> Tensor<2> {
        ones(self.better.clone(), dtype).sum_dim(1).squeeze_dim(1)
    }

    /// The place of each candidate, `[n, k]`: 1 and the number of better ones, so that ties share a place.
    pub fn ranks(&self, dtype: DType) -> Tensor<2> {
        self.num_better(dtype) + 1.0
    }

    /// How many different scores are better than each candidate's, `[n, k]`: neighbors are one apart, however many
    /// share a score.
    pub fn tie_blocks_above(&self, dtype: DType) -> Tensor<2> {
        let [_, k] = self.present.dims();
        // Members of a block have the same number of better and of worse ones; each counts 1 / its block's size.
        let (above, below) = (self.num_better(dtype), self.num_worse(dtype));
        let size = -(above + below) + ones(self.present.clone(), dtype).sum_dim(1).repeat_dim(1, k);
        let share = rows(size.clamp_min(1.0).recip()).mask_fill(self.better.clone().bool_not(), 0.0);
        share.sum_dim(1).squeeze_dim::<2>(1).round()
    }

    /// The number of comparisons of each list, `[n]`.
    pub fn count(&self, dtype: DType) -> Tensor<1> {
        self.num_worse(dtype).sum_dim(1).squeeze_dim(1)
    }

    /// Lists in which some candidate is better than another, `[n]`.
    pub fn exist(&self) -> Tensor<1, Bool> {
        self.count(DType::F32).greater_scalar(0.5)
    }

    /// The best candidates, each with its share of 1, `[n, k]`; 0 for a list without a candidate.
    pub fn best(&self, dtype: DType) -> Tensor<2> {
        self.shares(self.num_better(dtype))
    }

    /// The worst candidates, each with its share of 1, `[n, k]`; 0 for a list without a candidate.
    pub fn worst(&self, dtype: DType) -> Tensor<2> {
        self.shares(self.num_worse(dtype))
    }

    /// Equal shares for the candidates that have no `rival`.
    fn shares(&self, rivals: Tensor<2>) -> Tensor<2> {
        let [_, k] = self.present.dims();
        let winners = ones(rivals.clone().equal_scalar(0.0).bool_and(self.present.clone()), rivals.dtype());
        let num_winners = winners.clone().sum_dim(1).clamp_min(1.0).repeat_dim(1, k);
        winners / num_winners
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listwise::tests::{bools, matrix, values};

    /// Scores 2, NaN (absent), 5, 2, 1 and a list of two ties.
    fn comparisons() -> Comparisons {
        let scores = matrix(&[&[2.0, f64::NAN, 5.0, 2.0, 1.0], &[7.0, 7.0, 9.0, 0.0, 0.0]]);
        let present = bools(&[&[true, false, true, true, true], &[true, true, false, false, false]]);
        Comparisons::new(scores, present).unwrap()
    }

    #[test]
    fn counts_ranks_and_blocks_by_hand() {
        let c = comparisons();
        let dtype = DType::F64;
        assert_eq!(values(&c.num_worse(dtype)), [1.0, 0.0, 3.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
        assert_eq!(values(&c.num_better(dtype)), [1.0, 0.0, 0.0, 1.0, 3.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
        assert_eq!(values(&c.ranks(dtype))[..5], [2.0, 1.0, 1.0, 2.0, 4.0]);
        assert_eq!(values(&c.tie_blocks_above(dtype))[..5], [1.0, 0.0, 0.0, 1.0, 2.0]);
        assert_eq!(values(&c.count(dtype)), [5.0, 0.0]);
        assert_eq!(c.exist().try_to_vec_as::<bool>().unwrap(), [true, false]);
        assert_eq!(values(&c.best(dtype)), [0.0, 0.0, 1.0, 0.0, 0.0, 0.5, 0.5, 0.0, 0.0, 0.0]);
        assert_eq!(values(&c.worst(dtype)), [0.0, 0.0, 0.0, 0.0, 1.0, 0.5, 0.5, 0.0, 0.0, 0.0]);
        let better = c.better().try_to_vec_as::<bool>().unwrap();
        let row = |i: usize| better[5 * i..5 * i + 5].to_vec();
        assert_eq!(row(2), [true, false, false, true, true], "the best of the first list");
        assert_eq!(row(3), [false, false, false, false, true], "a tie is not better");
    }

    #[test]
    fn a_nan_score_compares_with_nothing() {
        let scores = matrix(&[&[1.0, f64::NAN, 0.0]]);
        let c = Comparisons::new(scores, bools(&[&[true, true, true]])).unwrap();
        assert_eq!(values(&c.count(DType::F64)), [1.0]);
        assert_eq!(values(&c.best(DType::F64)), [1.0, 0.0, 0.0], "nor is it among the best");
        assert_eq!(values(&c.worst(DType::F64)), [0.0, 0.0, 1.0]);
        assert_eq!(values(&c.tie_blocks_above(DType::F64))[2], 1.0, "nor a position of its own");
    }

    #[test]
    fn shapes_are_checked() {
        let error = Comparisons::new(matrix(&[&[1.0, 2.0]]), bools(&[&[true]])).unwrap_err().to_string();
        assert_eq!(error, "`present`: expected shape [1, 2], got [1, 1]");
    }
}
