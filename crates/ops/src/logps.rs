//! Log-probabilities of sequences, the input of every objective.
//!
//! **Dtype:** per-token log-probabilities keep theirs; sums, means and counts are f32, and f64 for f64 (bf16 counts to
//! 256 and f16 to 2048, which is less than a response has tokens).

use burn::tensor::{Bool, Tensor};

use crate::masked::row_counts;
use crate::stable::wide;
use crate::{Result, check_shape};

/// Per-token log-probabilities and the positions that count.
///
/// Position `t` scores token `t`: the shift between a model's input and its targets has already been done. Whether a
/// method uses the sum or the mean is part of the method, so no function takes a bare `[batch]` of "logps".
#[derive(Debug, Clone)]
pub struct TokenLogps {
    /// Natural logarithms, `[batch, seq]`; a masked position may hold anything.
    pub logps: Tensor<2>,
    /// True where a token counts, `[batch, seq]`.
    pub mask: Tensor<2, Bool>,
}

impl TokenLogps {
    /// Pairs log-probabilities with their mask.
    ///
    /// # Errors
    /// [`crate::Error::ShapeMismatch`] when `mask` and `logps` differ in shape.
    pub fn new(logps: Tensor<2>, mask: Tensor<2, Bool>) -> Result<Self> {
        check_shape("mask", &logps.dims(), &mask.dims())?;
        Ok(Self { logps, mask })
    }

    /// The same numbers as constants.
    pub fn detach(self) -> Self {
        Self { logps: self.logps.detach(), mask: self.mask }
    }

    /// Sum, mean and count over the kept tokens of each row.
    ///
    /// A row without a kept token has sum, mean and count 0. Sums run in f32 (f64 for f64), and so are the results.
    ///
    /// # Example
    /// ```
    /// use accordant_ops::TokenLogps;
    /// use burn::tensor::{Device, Tensor, TensorData};
    /// let device = Device::flex();
    /// let logps = Tensor::from_floats([[-1.0, -2.0, f32::NAN]], &device);
    /// let mask = Tensor::from_bool(TensorData::from([[true, true, false]]), &device);
    /// let sequence = TokenLogps::new(logps, mask)?.sequence();
    /// assert_eq!(sequence.sum.into_scalar::<f32>(), -3.0);
    /// assert_eq!(sequence.mean.into_scalar::<f32>(), -1.5);
    /// # Ok::<(), accordant_ops::Error>(())
    /// ```
    pub fn sequence(&self) -> SequenceLogps {
        let dtype = wide(self.logps.dtype());
        let count = row_counts(self.mask.clone(), self.logps.dtype());
        let kept = self.logps.clone().cast(dtype).mask_fill(self.mask.clone().bool_not(), 0.0);
        SequenceLogps::from_sum(kept.sum_dim(1).squeeze_dim(1), count)
    }
}

/// The log-probability of each sequence, as a sum and as a mean over its kept tokens. All fields are `[batch]`, in f32
/// or f64.
#[derive(Debug, Clone)]
pub struct SequenceLogps {
    /// Sum over the kept tokens, in nats.
    pub sum: Tensor<1>,
    /// `sum / max(count, 1)`, in nats per token.
    pub mean: Tensor<1>,
    /// Kept tokens, as a float; 0 for an empty sequence.
    pub count: Tensor<1>,
}

impl SequenceLogps {
    /// From summed log-probabilities and token counts, for callers who cached them. Both are cast to f32, or to f64
    /// when `sum` is.
    ///
    /// # Errors
    /// [`crate::Error::ShapeMismatch`] when `count` and `sum` differ in shape.
    pub fn new(sum: Tensor<1>, count: Tensor<1>) -> Result<Self> {
        check_shape("count", &sum.dims(), &count.dims())?;
        Ok(Self::from_sum(sum, count))
    }

    fn from_sum(sum: Tensor<1>, count: Tensor<1>) -> Self {
        let dtype = wide(sum.dtype());
        let (sum, count) = (sum.cast(dtype), count.cast(dtype));
        let mean = sum.clone() / count.clone().clamp_min(1.0);
        Self { sum, mean, count }
    }

    /// The number of sequences.
    pub fn len(&self) -> usize {
        self.sum.dims()[0]
    }

    /// How many sequences have no kept token, `[1]`: their log-probability is 0 and says nothing. To be logged.
    ///
    /// # Example
    /// ```
    /// use accordant_ops::SequenceLogps;
    /// use burn::tensor::{Device, Tensor};
    /// let device = Device::flex();
    /// let (sum, count) = (Tensor::from_floats([-3.0, 0.0], &device), Tensor::from_floats([2.0, 0.0], &device));
    /// assert_eq!(SequenceLogps::new(sum, count)?.num_empty_rows().into_scalar::<f32>(), 1.0);
    /// # Ok::<(), accordant_ops::Error>(())
    /// ```
    pub fn num_empty_rows(&self) -> Tensor<1> {
        self.count.clone().equal_scalar(0.0).cast(wide(self.count.dtype())).sum()
    }

    /// Whether there is no sequence at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The same numbers as constants.
    pub fn detach(self) -> Self {
        Self { sum: self.sum.detach(), mean: self.mean.detach(), count: self.count.detach() }
    }

    /// Rows `start..start + len`.
    ///
    /// # Errors
    /// [`crate::Error::ShapeMismatch`] when the rows do not exist.
    pub fn narrow(&self, start: usize, len: usize) -> Result<Self> {
        let rows = self.len();
        if start.checked_add(len).is_none_or(|end| end > rows) {
            check_shape("rows", &[start, len], &[rows])?;
        }
        // Not `narrow`: burn panics at a length of 0.
        let pick = |tensor: &Tensor<1>| tensor.clone().slice(start..start + len);
        Ok(Self { sum: pick(&self.sum), mean: pick(&self.mean), count: pick(&self.count) })
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{DType, Device, TensorData};

    use super::*;
    use crate::Error;

    fn mask(rows: [[bool; 3]; 2], device: &Device) -> Tensor<2, Bool> {
        Tensor::from_bool(TensorData::from(rows), device)
    }

    #[test]
    fn a_row_without_a_kept_token_is_zero_even_behind_nan() {
        let device = Device::flex();
        let logps = Tensor::from_floats([[f32::NAN, f32::NEG_INFINITY, -1.0], [-1.0, -2.0, -4.0]], &device);
        let kept = mask([[false, false, false], [true, false, true]], &device);
        let sequence = TokenLogps::new(logps, kept).unwrap().sequence();
        assert_eq!(sequence.sum.try_to_vec_as::<f32>().unwrap(), [0.0, -5.0]);
        assert_eq!(sequence.mean.try_to_vec_as::<f32>().unwrap(), [0.0, -2.5]);
        assert_eq!(sequence.count.try_to_vec_as::<f32>().unwrap(), [0.0, 2.0]);
    }

    #[test]
    fn no_gradient_reaches_a_masked_token() {
        let device = Device::flex().autodiff();
        let logps = Tensor::<2>::from_floats([[-1.0, -2.0, f32::NAN], [-1.0, -2.0, -3.0]], &device).require_grad();
        let kept = mask([[true, true, false], [false, false, false]], &device);
        let sequence = TokenLogps::new(logps.clone(), kept).unwrap().sequence();
        let grads = (sequence.sum.sum() + sequence.mean.sum()).backward();
        let grad = logps.grad(&grads).unwrap().try_to_vec_as::<f32>().unwrap();
        // The sum gives 1 per kept token, the mean another 1/2.
        assert_eq!(grad, [1.5, 1.5, 0.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn a_mask_of_another_shape_is_an_error() {
        let device = Device::flex();
        let error =
            TokenLogps::new(Tensor::zeros([2, 4], &device), mask([[true; 3]; 2], &device)).expect_err("shapes differ");
        assert_eq!(error, Error::ShapeMismatch { name: "mask", expected: vec![2, 4], got: vec![2, 3] });
    }

    #[test]
    fn half_precision_is_summed_and_counted_in_f32() {
        for dtype in [DType::F16, DType::BF16] {
            let device = Device::flex();
            let logps = Tensor::<2>::from_data(TensorData::new(vec![-0.25; 3001], [1, 3001]), (&device, dtype));
            let tokens = TokenLogps::new(logps.clone(), Tensor::full([1, 3001], true, &device)).unwrap();
            let sequence = tokens.sequence();
            for (field, expected) in [(&sequence.sum, -750.25), (&sequence.mean, -0.25), (&sequence.count, 3001.0)] {
                assert_eq!((field.dtype(), field.clone().into_scalar::<f64>()), (DType::F32, expected));
            }
            // Cached sums may be narrow and counts not.
            let count = Tensor::from_floats([4.0], &device);
            let cached = SequenceLogps::new(logps.narrow(1, 0, 1).squeeze_dim(1), count).unwrap();
            assert_eq!((cached.sum.dtype(), cached.mean.into_scalar::<f32>()), (DType::F32, -0.0625));
        }
    }

    #[test]
    fn narrow_refuses_rows_that_do_not_exist() {
        let device = Device::flex();
        let sequence = SequenceLogps::new(Tensor::zeros([3], &device), Tensor::ones([3], &device)).unwrap();
        assert_eq!(sequence.narrow(1, 2).unwrap().len(), 2);
        for start in [0, 2, 3] {
            let none = sequence.narrow(start, 0).unwrap();
            assert_eq!((none.sum.dims(), none.mean.dims(), none.count.dims()), ([0], [0], [0]));
        }
        assert!(sequence.narrow(4, 0).is_err());
        assert!(sequence.narrow(2, 2).is_err());
        assert!(sequence.narrow(usize::MAX, 2).is_err());
    }
}
