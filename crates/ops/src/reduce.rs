//! From many losses to one number, with the denominator kept apart.
//!
//! Averaging the means of micro-batches is wrong whenever their denominators differ. Everything here therefore returns
//! numerator and denominator beside the loss: whoever accumulates adds numerators (or their gradients) and
//! denominators (unless those are global already) and divides once, and any split of a batch gives the same update.
//! The mean of the micro-batches' `loss` is right only where their denominators are equal: a mean over sequences, and
//! as many that are not empty in each.
//!
//! **Dtype:** sums, counts and results are f32, and f64 for f64 losses (bf16 counts to 256, f16 to 2048).

use burn::tensor::{Bool, FloatDType, Tensor};
use serde::{Deserialize, Serialize};

use crate::masked::{masked_sum, row_counts};
use crate::stable::wide;
use crate::{Result, check_domain, check_shape};

/// A reduced loss and the two sums it was made of. All fields are `[1]`.
#[derive(Debug, Clone)]
pub struct Reduced {
    /// `numerator / denominator`, or exactly 0 when the denominator is 0.
    pub loss: Tensor<1>,
    /// Weighted sum of the losses; carries the gradient.
    pub numerator: Tensor<1>,
    /// What the sum is divided by; a constant.
    pub denominator: Tensor<1>,
    /// Whether `denominator` already is that of the whole batch, so that parts of it have it in common and must not add
    /// theirs up.
    pub is_global: bool,
}

impl Reduced {
    fn new(numerator: Tensor<1>, denominator: Tensor<1>, is_global: bool) -> Self {
        let denominator = denominator.detach();
        let none = denominator.clone().equal_scalar(0.0);
        let divisor = denominator.clone().mask_fill(none.clone(), 1.0);
        Self { loss: (numerator.clone() / divisor).mask_fill(none, 0.0), numerator, denominator, is_global }
    }

    /// The same numerator over `denominator`, that of the whole batch of which this is a part.
    ///
    /// # Errors
    /// [`crate::Error::Domain`] unless `denominator` is finite and ≥ 0.
    ///
    /// # Example
    /// ```
    /// use accordant_ops::reduce::{ItemReduction, reduce_items};
    /// use burn::tensor::{Device, Tensor};
    /// let losses = Tensor::from_floats([1.0, 5.0], &Device::flex());
    /// let part = reduce_items(losses.clone(), losses.ones_like(), ItemReduction::Mean)?;
    /// assert_eq!(part.over(8.0)?.loss.into_scalar::<f32>(), 0.75); // two of eight items
    /// # Ok::<(), accordant_ops::Error>(())
    /// ```
    pub fn over(self, denominator: f64) -> Result<Self> {
        check_domain(denominator.is_finite() && denominator >= 0.0, "denominator", "finite and >= 0", denominator)?;
        Ok(Self::new(self.numerator, self.denominator.zeros_like() + denominator, true))
    }

    /// `factor` times the loss.
    pub fn scaled(self, factor: f64) -> Self {
        Self { loss: self.loss * factor, numerator: self.numerator * factor, ..self }
    }

    /// The sum of two losses, each with a mean of its own.
    ///
    /// Where either denominator is not global, the sum has this one's: then micro-batches with other shares in the two
    /// denominators do not add up to the whole batch, and [`Reduced::over`] with the whole batch's is the cure.
    pub fn plus(self, other: Self) -> Self {
        let loss = self.loss + other.loss;
        let is_global = self.is_global && other.is_global;
        let empty = self.denominator.clone().equal_scalar(0.0);
        let denominator = if is_global { self.denominator.ones_like() } else { self.denominator.mask_fill(empty, 1.0) };
        Self { numerator: loss.clone() * denominator.clone(), loss, denominator, is_global }
    }
}

/// Whether a sequence without a kept token counts in a mean over sequences.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum EmptyRows {
    /// It is left out of numerator and denominator. The default: an empty completion says nothing.
    #[default]
    Skip,
    /// It counts with log-probability 0, as in TRL.
    Count,
}

/// How per-item losses become one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum ItemReduction {
    /// Weighted mean: divided by the sum of the weights.
    #[default]
    Mean,
    /// Weighted sum: divided by 1.
    Sum,
}

/// Reduces per-item losses by their weights.
///
/// An item of weight 0 is left out altogether, whatever its loss (NaN included). No item, or none of positive weight,
/// gives loss 0. The weights are constants, finite and ≥ 0, in any dtype. Sums run in f32 (f64 for f64 losses), and so
/// are the results. Without weights of your own, hand over ones.
///
/// # Shapes
/// `losses` and `weights`: `[n]`.
///
/// # Errors
/// [`crate::Error::ShapeMismatch`] when `weights` and `losses` differ in shape.
///
/// # Example
/// ```
/// use accordant_ops::reduce::{ItemReduction, reduce_items};
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let losses = Tensor::from_floats([1.0, 5.0, f32::NAN], &device);
/// let weights = Tensor::from_floats([3.0, 1.0, 0.0], &device);
/// let reduced = reduce_items(losses, weights, ItemReduction::Mean)?;
/// assert_eq!(reduced.loss.into_scalar::<f32>(), 2.0); // (3·1 + 1·5) / (3 + 1)
/// # Ok::<(), accordant_ops::Error>(())
/// ```
pub fn reduce_items(losses: Tensor<1>, weights: Tensor<1>, reduction: ItemReduction) -> Result<Reduced> {
    check_shape("weights", &losses.dims(), &weights.dims())?;
    let dtype = wide(losses.dtype());
    let weights = weights.detach().cast(dtype);
    let kept = losses.cast(dtype).mask_fill(weights.clone().equal_scalar(0.0), 0.0);
    let numerator = (kept * weights.clone()).sum();
    let denominator = match reduction {
        ItemReduction::Mean => weights.sum(),
        ItemReduction::Sum => numerator.ones_like(),
    };
    Ok(Reduced::new(numerator, denominator, reduction == ItemReduction::Sum))
}

/// How per-token losses become one number. It changes the method, so it is part of a method's configuration.
///
/// With the per-token losses of the tests, `[[1, 2, 3], [6, -, -]]`, these give 3, 4, 6, 2, 1.2 and 12.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Aggregation {
    /// Every token of the batch counts the same: Σ / tokens (BNPO; DAPO over the whole global batch).
    TokenMean,
    /// Every sequence counts the same: mean over sequences of the mean over tokens (GRPO).
    SequenceMean,
    /// Mean over sequences of the sum over tokens (REINFORCE, RLOO).
    SequenceSum,
    /// Σ over `batch × length`, with a constant maximal completion length (Dr. GRPO).
    ConstantLength(usize),
    /// Σ over the number of tokens of the global batch, accumulated or distributed (DAPO, CISPO).
    GlobalTokens(f64),
    /// Σ, for callers who normalize themselves.
    Sum,
}

/// Reduces per-token losses over the kept positions.
///
/// No kept position gives 0. A NaN behind the mask is dropped from the loss, but what made it may have a NaN gradient
/// all the same: mask the inputs of `exp` and `log` too. Sums run in f32 (f64 for f64 values), and so are the results.
/// [`num_empty_rows`] counts the rows that `empty_rows` decides about.
///
/// # Shapes
/// `values` and `mask`: `[batch, seq]`.
///
/// # Errors
/// [`crate::Error::ShapeMismatch`] when `mask` and `values` differ in shape; [`crate::Error::Domain`] for a constant
/// length of 0 or a global token count that is not finite and > 0.
pub fn reduce_tokens(
    values: Tensor<2>,
    mask: Tensor<2, Bool>,
    aggregation: Aggregation,
    empty_rows: EmptyRows,
) -> Result<Reduced> {
    let counts = row_counts(mask.clone(), values.dtype());
    reduce_rows(masked_sum(values, mask)?, counts, aggregation, empty_rows)
}

/// [`reduce_tokens`] of losses that have been summed over the kept positions of each row, of which there are `counts`.
///
/// # Shapes
/// `sums` and `counts`: `[batch]`; of a row that keeps nothing, both are 0.
///
/// # Errors
/// [`crate::Error::ShapeMismatch`] when `counts` and `sums` differ in shape; [`crate::Error::Domain`] as there.
///
/// # Example
/// ```
/// use accordant_ops::reduce::{Aggregation, EmptyRows, reduce_rows};
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let (sums, counts) = (Tensor::from_floats([6.0, 6.0], &device), Tensor::from_floats([3.0, 1.0], &device));
/// let reduced = reduce_rows(sums, counts, Aggregation::SequenceMean, EmptyRows::Skip)?;
/// assert_eq!(reduced.loss.into_scalar::<f32>(), 4.0); // (6/3 + 6/1) / 2
/// # Ok::<(), accordant_ops::Error>(())
/// ```
pub fn reduce_rows(
    sums: Tensor<1>,
    counts: Tensor<1>,
    aggregation: Aggregation,
    empty_rows: EmptyRows,
) -> Result<Reduced> {
    check_shape("counts", &sums.dims(), &counts.dims())?;
    let [batch] = sums.dims();
    let dtype = wide(sums.dtype());
    let (sums, counts) = (sums.cast(dtype), counts.detach().cast(dtype));
    let rows = || match empty_rows {
        EmptyRows::Skip => counts.clone().clamp_max(1.0).sum(),
        EmptyRows::Count => counts.ones_like().sum(),
    };
    let constant = |value: f64| counts.clone().sum().mul_scalar(0.0).add_scalar(value);
    let (numerator, denominator) = match aggregation {
        Aggregation::TokenMean => (sums.sum(), counts.clone().sum()),
        Aggregation::SequenceMean => ((sums / counts.clone().clamp_min(1.0)).sum(), rows()),
        Aggregation::SequenceSum => (sums.sum(), rows()),
        Aggregation::ConstantLength(length) => {
            check_domain(length > 0, "length", "at least 1", length as f64)?;
            (sums.sum(), constant(batch as f64 * length as f64))
        }
        Aggregation::GlobalTokens(tokens) => {
            check_domain(tokens.is_finite() && tokens > 0.0, "tokens", "finite and > 0", tokens)?;
            (sums.sum(), constant(tokens))
        }
        Aggregation::Sum => (sums.sum(), constant(1.0)),
    };
    let is_global = matches!(aggregation, Aggregation::GlobalTokens(_) | Aggregation::Sum);
    Ok(Reduced::new(numerator, denominator, is_global))
}

/// How many rows keep no position, `[1]`, in f32: to be logged, so that no completion is left out in silence.
///
/// # Shapes
/// `mask`: `[batch, seq]`.
///
/// # Example
/// ```
/// use accordant_ops::reduce::num_empty_rows;
/// use burn::tensor::{Device, Tensor, TensorData};
/// let mask = TensorData::from([[true, false], [false, false], [false, true]]);
/// assert_eq!(num_empty_rows(Tensor::from_bool(mask, &Device::flex())).into_scalar::<f32>(), 1.0);
/// ```
pub fn num_empty_rows(mask: Tensor<2, Bool>) -> Tensor<1> {
    mask.cast(FloatDType::F32).sum_dim(1).equal_scalar(0.0).cast(FloatDType::F32).sum()
}

#[cfg(test)]
mod tests {
    use burn::tensor::{DType, Device, TensorData};

    use super::*;

    fn ragged(device: &Device) -> (Tensor<2>, Tensor<2, Bool>) {
        let values = Tensor::from_floats([[1.0, 2.0, 3.0], [6.0, f32::NAN, f32::INFINITY]], device);
        let mask = Tensor::from_bool(TensorData::from([[true, true, true], [true, false, false]]), device);
        (values, mask)
    }

    #[test]
    fn aggregations_of_a_ragged_batch_by_hand() {
        let device = Device::flex();
        let cases = [
            (Aggregation::TokenMean, 3.0),          // (1+2+3+6) / 4
            (Aggregation::SequenceMean, 4.0),       // ((1+2+3)/3 + 6) / 2
            (Aggregation::SequenceSum, 6.0),        // (6 + 6) / 2
            (Aggregation::ConstantLength(3), 2.0),  // 12 / (2·3)
            (Aggregation::GlobalTokens(10.0), 1.2), // 12 / 10
            (Aggregation::Sum, 12.0),
        ];
        for (aggregation, expected) in cases {
            let (values, mask) = ragged(&device);
            let loss = reduce_tokens(values, mask, aggregation, EmptyRows::Skip).unwrap().loss.into_scalar::<f32>();
            assert_eq!(loss, expected, "{aggregation:?}");
        }
    }

    #[test]
    fn an_empty_row_is_skipped_or_counted_as_asked() {
        let device = Device::flex();
        let values = || Tensor::from_floats([[4.0], [9.0]], &device);
        let mask = || Tensor::from_bool(TensorData::from([[true], [false]]), &device);
        let loss =
            |rows| reduce_tokens(values(), mask(), Aggregation::SequenceMean, rows).unwrap().loss.into_scalar::<f32>();
        assert_eq!(num_empty_rows(mask()).into_scalar::<f32>(), 1.0);
        assert_eq!(num_empty_rows(Tensor::full([3, 0], true, &device)).into_scalar::<f32>(), 3.0);
        assert_eq!(num_empty_rows(Tensor::full([0, 3], true, &device)).into_scalar::<f32>(), 0.0);
        assert_eq!(loss(EmptyRows::Skip), 4.0);
        assert_eq!(loss(EmptyRows::Count), 2.0);
    }

    #[test]
    fn nothing_kept_is_zero_with_zero_gradient() {
        let device = Device::flex().autodiff();
        for aggregation in [Aggregation::TokenMean, Aggregation::SequenceMean, Aggregation::Sum] {
            let values = Tensor::<2>::from_floats([[1.0, f32::NAN]], &device).require_grad();
            let mask = Tensor::from_bool(TensorData::from([[false, false]]), &device);
            let reduced = reduce_tokens(values.clone(), mask, aggregation, EmptyRows::Skip).unwrap();
            let grads = reduced.loss.backward();
            assert_eq!(reduced.loss.into_scalar::<f32>(), 0.0);
            assert_eq!(values.grad(&grads).unwrap().try_to_vec_as::<f32>().unwrap(), [0.0, 0.0]);
        }
    }

    #[test]
    fn numerators_and_denominators_add_over_any_split() {
        let device = Device::flex();
        let losses = Tensor::<1>::from_floats([1.0, 2.0, 3.0, 4.0], &device);
        let weights = Tensor::<1>::from_floats([1.0, 0.0, 2.0, 5.0], &device);
        let whole = reduce_items(losses.clone(), weights.clone(), ItemReduction::Mean).unwrap();
        let part = |start, len| {
            reduce_items(
                losses.clone().narrow(0, start, len),
                weights.clone().narrow(0, start, len),
                ItemReduction::Mean,
            )
            .unwrap()
        };
        let (a, b) = (part(0, 1), part(1, 3));
        assert_eq!((a.numerator + b.numerator).into_scalar::<f32>(), whole.numerator.into_scalar::<f32>());
        assert_eq!((a.denominator + b.denominator).into_scalar::<f32>(), whole.denominator.into_scalar::<f32>());
        assert_eq!(whole.loss.into_scalar::<f32>(), 27.0 / 8.0); // (1·1 + 2·3 + 5·4) / (1 + 0 + 2 + 5)
    }

    #[test]
    fn a_weight_of_zero_hides_nan_from_value_and_gradient() {
        let device = Device::flex().autodiff();
        let losses = Tensor::<1>::from_floats([f32::NAN, 3.0], &device).require_grad();
        let weights = Tensor::from_floats([0.0, 2.0], &device);
        let reduced = reduce_items(losses.clone(), weights, ItemReduction::Mean).unwrap();
        let grads = reduced.loss.backward();
        assert_eq!(reduced.loss.into_scalar::<f32>(), 3.0);
        assert_eq!(losses.grad(&grads).unwrap().try_to_vec_as::<f32>().unwrap(), [0.0, 1.0]);
    }

    #[test]
    fn half_precision_is_summed_and_counted_in_f32() {
        let device = Device::flex();
        for dtype in [DType::F16, DType::BF16] {
            let losses = Tensor::<1>::from_data(TensorData::from([0.25; 3001]), (&device, dtype));
            let weights = losses.ones_like();
            let items = reduce_items(losses.clone(), weights, ItemReduction::Mean).unwrap();
            let row = losses.unsqueeze_dim::<2>(0);
            let mask = || Tensor::full([1, 3001], true, &device);
            let tokens = reduce_tokens(row.clone(), mask(), Aggregation::TokenMean, EmptyRows::Skip).unwrap();
            for reduced in [items, tokens] {
                let fields = [reduced.loss, reduced.numerator, reduced.denominator];
                assert!(fields.iter().all(|field| field.dtype() == DType::F32), "{dtype:?}");
                assert_eq!(fields.map(|field| field.into_scalar::<f64>()), [0.25, 750.25, 3001.0]);
            }
            // A denominator of bf16 would be 96_256.
            let global = Aggregation::ConstantLength(96_001);
            let reduced = reduce_tokens(row, mask(), global, EmptyRows::Skip).unwrap();
            assert_eq!(reduced.denominator.into_scalar::<f64>(), 96_001.0);
        }
    }

    #[test]
    fn weights_of_another_dtype_are_cast_to_that_of_the_sums() {
        let device = Device::flex();
        let losses = Tensor::<1>::from_data([1.0, 5.0], (&device, DType::F64));
        let weights = Tensor::from_floats([3.0, 1.0], &device);
        let reduced = reduce_items(losses, weights, ItemReduction::Mean).unwrap();
        assert_eq!((reduced.loss.dtype(), reduced.loss.into_scalar::<f64>()), (DType::F64, 2.0));
    }

    #[test]
    fn losses_with_means_of_their_own_add_up() {
        let device = Device::flex();
        let mean = |losses: &[f32]| {
            let losses = Tensor::<1>::from_floats(losses, &device);
            reduce_items(losses.clone(), losses.ones_like(), ItemReduction::Mean).unwrap()
        };
        let host = |reduced: &Reduced| {
            [&reduced.loss, &reduced.numerator, &reduced.denominator].map(|field| field.clone().into_scalar::<f64>())
        };
        // 2 + 3·5 over two items, and then over those of a whole batch: 4/8 + 3·5/10.
        let local = mean(&[1.0, 3.0]).plus(mean(&[5.0]).scaled(3.0));
        assert_eq!((host(&local), local.is_global), ([17.0, 34.0, 2.0], false));
        let global = mean(&[1.0, 3.0]).over(8.0).unwrap().plus(mean(&[5.0]).over(10.0).unwrap().scaled(3.0));
        assert_eq!((host(&global), global.is_global), ([2.0, 2.0, 1.0], true));
        assert!(!mean(&[1.0]).over(8.0).unwrap().plus(mean(&[1.0])).is_global);
        // Nothing in the first mean does not take the second away.
        assert_eq!(host(&mean(&[]).plus(mean(&[5.0]))), [5.0, 5.0, 1.0]);
        assert_eq!(host(&mean(&[1.0]).over(0.0).unwrap())[0], 0.0);
        for bad in [-1.0, f64::NAN, f64::INFINITY] {
            assert!(mean(&[1.0]).over(bad).is_err());
        }
    }

    #[test]
    fn senseless_constants_are_errors() {
        let device = Device::flex();
        for aggregation in
            [Aggregation::ConstantLength(0), Aggregation::GlobalTokens(f64::NAN), Aggregation::GlobalTokens(0.0)]
        {
            let (values, mask) = ragged(&device);
            assert!(reduce_tokens(values, mask, aggregation, EmptyRows::Skip).is_err(), "{aggregation:?}");
        }
    }
}
