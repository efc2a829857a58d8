//! Sums, means, variances and whitening over kept positions.
//!
//! | over each row, `[batch, seq]` to `[batch]` | over the whole tensor, `[..]` to `[1]` |
//! |---|---|
//! | [`masked_sum`] | [`masked_sum_all`] |
//! | [`masked_mean`] | [`masked_mean_all`] |
//! | [`masked_var`] | [`masked_var_all`] |
//! | | [`masked_whiten`], [`masked_whiten_by`], `[..]` to `[..]` |
//!
//! `mask` is true where a position counts. What it drops is selected away first, so that a NaN or infinity there
//! reaches neither a value nor a gradient; where nothing is kept the result is exactly 0. NaN that is kept gives NaN.
//! **Dtype:** sums, counts and results are f32, and f64 for f64 values (a sum of 3001 ones is 3008 in bf16);
//! whitening alone gives back the dtype of `values`.

use burn::tensor::{Bool, DType, Shape, Tensor};

use crate::stable::wide;
use crate::{Result, check_domain, check_shape};

/// Added to a variance before its square root, as TRL and verl do.
const WHITEN_EPS: f64 = 1e-8;

/// Rows with 0 behind the mask, and how many positions each keeps.
struct Kept {
    /// `[batch, seq]`
    values: Tensor<2>,
    /// True where a value was dropped, `[batch, seq]`.
    dropped: Tensor<2, Bool>,
    /// `[batch, 1]`
    count: Tensor<2>,
}

impl Kept {
    fn new(values: Tensor<2>, mask: Tensor<2, Bool>) -> Result<Self> {
        check_shape("mask", &values.dims(), &mask.dims())?;
        let dtype = wide(values.dtype());
        let count = row_counts(mask.clone(), values.dtype()).unsqueeze_dim(1);
        let dropped = mask.bool_not();
        Ok(Self { values: values.cast(dtype).mask_fill(dropped.clone(), 0.0), dropped, count })
    }

    /// `[batch, 1]`
    fn mean(&self) -> Tensor<2> {
        self.values.clone().sum_dim(1) / self.count.clone().clamp_min(1.0)
    }

    fn minus(&self, mean: Tensor<2>) -> Self {
        let values = (self.values.clone() - mean).mask_fill(self.dropped.clone(), 0.0);
        Self { values, dropped: self.dropped.clone(), count: self.count.clone() }
    }

    /// Deviations from the mean, and the mean. Deviations from a member come first: they are exactly 0 in a row of
    /// equal values, where a rounded mean would leave some (1000 f32 rewards of 10.1 whitened to 0.18, 49 of 1234.567
    /// to 0.96). The second pass removes the rounding of a mean over many values far from that member.
    fn center(&self) -> (Self, Tensor<2>) {
        let pivot = self.pivot();
        let shifted = self.minus(pivot.clone());
        let mean = shifted.mean();
        let once = shifted.minus(mean.clone());
        let rest = once.mean();
        (once.minus(rest.clone()), pivot + mean + rest)
    }

    /// The largest kept value of each row, a constant; 0 where there is none or it is infinite. `[batch, 1]`.
    fn pivot(&self) -> Tensor<2> {
        if self.values.dims().contains(&0) {
            return self.count.zeros_like(); // burn has no maximum of nothing
        }
        let max = self.values.clone().detach().mask_fill(self.dropped.clone(), f32::NEG_INFINITY).max_dim(1);
        max.clone().mask_fill(max.is_inf(), 0.0)
    }

    /// The variance of centered rows, `[batch, 1]`.
    fn var(&self) -> Tensor<2> {
        self.values.clone().square().sum_dim(1) / (self.count.clone() - 1.0).clamp_min(1.0)
    }
}

/// The whole tensor as one row.
fn one_row<const D: usize>(values: Tensor<D>, mask: Tensor<D, Bool>) -> Result<(Tensor<2>, Tensor<2, Bool>)> {
    check_shape("mask", &values.dims(), &mask.dims())?;
    let row = Shape::new([1, values.dims().iter().product()]);
    // Not `reshape(row)`: burn takes a 0 in the new shape for "the size it had" and panics on empty tensors.
    Ok((values.flatten::<1>(0, D - 1).expand(row.clone()), mask.flatten::<1>(0, D - 1).expand(row)))
}

/// How many positions each row keeps, in f32, or in f64 when `dtype`, that of the values that are kept, is.
///
/// # Shapes
/// `mask`: `[batch, seq]`, to `[batch]`.
///
/// # Example
/// ```
/// use accordant_ops::masked::row_counts;
/// use burn::tensor::{DType, Device, Tensor, TensorData};
/// let mask = TensorData::from([[true, true, false], [false, false, false]]);
/// let counts = row_counts(Tensor::from_bool(mask, &Device::flex()), DType::BF16);
/// assert_eq!(counts.into_data().try_to_vec::<f32>().unwrap(), [2.0, 0.0]);
/// ```
pub fn row_counts(mask: Tensor<2, Bool>, dtype: DType) -> Tensor<1> {
    mask.cast(wide(dtype)).sum_dim(1).squeeze_dim(1)
}

/// Sum over the kept positions of each row; 0 for a row that keeps none.
///
/// # Shapes
/// `values` and `mask`: `[batch, seq]`, to `[batch]`.
///
/// # Errors
/// [`crate::Error::ShapeMismatch`] when `mask` and `values` differ in shape.
///
/// # Example
/// ```
/// use accordant_ops::masked::masked_sum;
/// use burn::tensor::{Device, Tensor, TensorData};
/// let device = Device::flex();
/// let values = Tensor::from_floats([[1.0, 2.0, f32::NAN]], &device);
/// let mask = Tensor::from_bool(TensorData::from([[true, true, false]]), &device);
/// assert_eq!(masked_sum(values, mask)?.into_scalar::<f32>(), 3.0);
/// # Ok::<(), accordant_ops::Error>(())
/// ```
pub fn masked_sum(values: Tensor<2>, mask: Tensor<2, Bool>) -> Result<Tensor<1>> {
    Ok(Kept::new(values, mask)?.values.sum_dim(1).squeeze_dim(1))
}

/// Mean over the kept positions of each row, `Σ kept / max(count, 1)`; 0 for a row that keeps none.
///
/// # Shapes
/// `values` and `mask`: `[batch, seq]`, to `[batch]`.
///
/// # Errors
/// [`crate::Error::ShapeMismatch`] when `mask` and `values` differ in shape.
///
/// # Example
/// ```
/// use accordant_ops::masked::masked_mean;
/// use burn::tensor::{Device, Tensor, TensorData};
/// let device = Device::flex();
/// let values = Tensor::from_floats([[1.0, 2.0, f32::NAN]], &device);
/// let mask = Tensor::from_bool(TensorData::from([[true, true, false]]), &device);
/// assert_eq!(masked_mean(values, mask)?.into_scalar::<f32>(), 1.5);
/// # Ok::<(), accordant_ops::Error>(())
/// ```
pub fn masked_mean(values: Tensor<2>, mask: Tensor<2, Bool>) -> Result<Tensor<1>> {
    Ok(Kept::new(values, mask)?.mean().squeeze_dim(1))
}

/// Unbiased variance over the kept positions of each row; 0 for a row that keeps none or one.
///
/// The biased variance times `N / (N - 1)` (Bessel), in two passes.
///
/// # Shapes
/// `values` and `mask`: `[batch, seq]`, to `[batch]`.
///
/// # Errors
/// [`crate::Error::ShapeMismatch`] when `mask` and `values` differ in shape.
///
/// # Example
/// ```
/// use accordant_ops::masked::masked_var;
/// use burn::tensor::{Device, Tensor, TensorData};
/// let device = Device::flex();
/// let values = Tensor::from_floats([[1.0, 4.0, 9.0]], &device);
/// let mask = Tensor::from_bool(TensorData::from([[true, true, false]]), &device);
/// assert_eq!(masked_var(values, mask)?.into_scalar::<f32>(), 4.5); // (1.5² + 1.5²) / 1
/// # Ok::<(), accordant_ops::Error>(())
/// ```
pub fn masked_var(values: Tensor<2>, mask: Tensor<2, Bool>) -> Result<Tensor<1>> {
    Ok(Kept::new(values, mask)?.center().0.var().squeeze_dim(1))
}

/// [`masked_sum`] over every kept position of the tensor, `[..]` to `[1]`.
///
/// # Errors
/// [`crate::Error::ShapeMismatch`] when `mask` and `values` differ in shape.
pub fn masked_sum_all<const D: usize>(values: Tensor<D>, mask: Tensor<D, Bool>) -> Result<Tensor<1>> {
    let (row, mask) = one_row(values, mask)?;
    masked_sum(row, mask)
}

/// [`masked_mean`] over every kept position of the tensor, `[..]` to `[1]`: each position counts the same, whatever the
/// length of its row.
///
/// # Errors
/// [`crate::Error::ShapeMismatch`] when `mask` and `values` differ in shape.
pub fn masked_mean_all<const D: usize>(values: Tensor<D>, mask: Tensor<D, Bool>) -> Result<Tensor<1>> {
    let (row, mask) = one_row(values, mask)?;
    masked_mean(row, mask)
}

/// [`masked_var`] over every kept position of the tensor, `[..]` to `[1]`.
///
/// # Errors
/// [`crate::Error::ShapeMismatch`] when `mask` and `values` differ in shape.
pub fn masked_var_all<const D: usize>(values: Tensor<D>, mask: Tensor<D, Bool>) -> Result<Tensor<1>> {
    let (row, mask) = one_row(values, mask)?;
    masked_var(row, mask)
}

/// Scales the kept positions of the whole tensor to mean 0 and variance 1.
///
/// ```text
/// (values - mean) / sqrt(var + 1e-8),   var unbiased
/// ```
///
/// With `shift_mean` false the mean is added back, as for rewards whose sign matters. Masked positions become 0. A
/// single kept position becomes 0 (stays as it is without the shift), and so do equal ones. The gradient flows through
/// mean and variance; detach advantages.
///
/// # Shapes
/// `values`, `mask` and the result: the same `[..]`. These are statistics of the batch: hand over the whole of it.
///
/// # Errors
/// [`crate::Error::ShapeMismatch`] when `mask` and `values` differ in shape.
///
/// # Example
/// ```
/// use accordant_ops::masked::masked_whiten;
/// use burn::tensor::{Device, Tensor, TensorData};
/// let device = Device::flex();
/// let values = Tensor::<1>::from_floats([1.0, 2.0, 3.0, f32::NAN], &device);
/// let mask = Tensor::from_bool(TensorData::from([true, true, true, false]), &device);
/// let whitened = masked_whiten(values, mask, true)?; // mean 2, variance (1 + 0 + 1) / 2
/// assert_eq!(whitened.into_data().try_to_vec::<f32>().unwrap(), [-1.0, 0.0, 1.0, 0.0]);
/// # Ok::<(), accordant_ops::Error>(())
/// ```
pub fn masked_whiten<const D: usize>(values: Tensor<D>, mask: Tensor<D, Bool>, shift_mean: bool) -> Result<Tensor<D>> {
    let (dtype, shape) = (values.dtype(), values.shape());
    let (row, mask) = one_row(values.clone(), mask)?;
    if shape.num_elements() == 0 {
        return Ok(values);
    }
    let (centered, mean) = Kept::new(row, mask)?.center();
    let scaled = centered.values.clone() / (centered.var() + WHITEN_EPS).sqrt();
    let whitened = if shift_mean { scaled } else { (scaled + mean).mask_fill(centered.dropped, 0.0) };
    Ok(whitened.reshape(shape).cast(dtype))
}

/// [`masked_whiten`] by moments that are known: those of more than these values, gathered from other devices or batches.
///
/// ```text
/// (values - mean) / sqrt(std² + 1e-8)
/// ```
///
/// Masked positions become 0. `mean` is finite, `std` finite and ≥ 0, both in the unit of `values`.
///
/// # Shapes
/// `values`, `mask` and the result: the same `[..]`.
///
/// # Errors
/// [`crate::Error::ShapeMismatch`] when `mask` and `values` differ in shape; [`crate::Error::Domain`] naming `mean` or
/// `std`.
///
/// # Example
/// ```
/// use accordant_ops::masked::masked_whiten_by;
/// use burn::tensor::{Device, Tensor, TensorData};
/// let device = Device::flex();
/// let values = Tensor::<1>::from_floats([1.0, 7.0, f32::NAN], &device);
/// let mask = Tensor::from_bool(TensorData::from([true, true, false]), &device);
/// let whitened = masked_whiten_by(values, mask, 3.0, 2.0)?;
/// assert_eq!(whitened.into_data().try_to_vec::<f32>().unwrap(), [-1.0, 2.0, 0.0]);
/// # Ok::<(), accordant_ops::Error>(())
/// ```
pub fn masked_whiten_by<const D: usize>(
    values: Tensor<D>,
    mask: Tensor<D, Bool>,
    mean: f64,
    std: f64,
) -> Result<Tensor<D>> {
    check_shape("mask", &values.dims(), &mask.dims())?;
    check_domain(mean.is_finite(), "mean", "finite", mean)?;
    check_domain(std.is_finite() && std >= 0.0, "std", "finite and >= 0", std)?;
    let dtype = values.dtype();
    let kept = values.cast(wide(dtype)).mask_fill(mask.clone().bool_not(), 0.0);
    let whitened = (kept - mean) * (std * std + WHITEN_EPS).sqrt().recip();
    Ok(whitened.mask_fill(mask.bool_not(), 0.0).cast(dtype))
}

#[cfg(test)]
mod tests {
    use burn::tensor::{DType, Device, TensorData};

    use super::*;
    use crate::Error;
    use crate::stable::testing::*;

    /// Rows that keep 2, 1 and 0 of three positions, with NaN and infinities where nothing is kept.
    const ROWS: [f64; 9] = [1.0, 4.0, f64::NAN, f64::INFINITY, 5.0, f64::NAN, f64::NAN, f64::NEG_INFINITY, 7.0];
    const KEEP: [bool; 9] = [true, true, false, false, true, false, false, false, false];

    fn keep<const D: usize>(mask: &[bool], shape: [usize; D]) -> Tensor<D, Bool> {
        Tensor::from_bool(TensorData::new(mask.to_vec(), shape), &Device::flex().autodiff())
    }

    fn rows(f: fn(Tensor<2>, Tensor<2, Bool>) -> Result<Tensor<1>>) -> (Vec<f64>, Vec<f64>) {
        value_and_grad(&ROWS, |x| f(x.reshape([3, 3]), keep(&KEEP, [3, 3])).unwrap())
    }

    #[test]
    fn nothing_leaks_from_behind_the_mask() {
        let sum = rows(masked_sum);
        assert_eq!(sum, (vec![5.0, 5.0, 0.0], vec![1.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0]));
        let mean = rows(masked_mean);
        assert_eq!(mean, (vec![2.5, 5.0, 0.0], vec![0.5, 0.5, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0]));
        // Deviations ∓1.5, N - 1 = 1: variance 4.5, gradient 2 · deviation / (N - 1). One value has none.
        let var = rows(masked_var);
        assert_eq!(var, (vec![4.5, 0.0, 0.0], vec![-3.0, 3.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]));
    }

    #[test]
    fn the_whole_tensor_counts_positions_not_rows() {
        let all = |f: fn(Tensor<2>, Tensor<2, Bool>) -> Result<Tensor<1>>| {
            let (values, grads) = value_and_grad(&ROWS, |x| f(x.reshape([3, 3]), keep(&KEEP, [3, 3])).unwrap());
            assert!(grads.iter().all(|grad| grad.is_finite()));
            values[0]
        };
        assert_eq!(all(masked_sum_all), 10.0);
        assert_close(&[all(masked_mean_all)], &[10.0 / 3.0], 1e-15);
        // 1, 4, 5 around 10/3: (49 + 4 + 25) / 9 / 2 = 13/3.
        assert_close(&[all(masked_var_all)], &[13.0 / 3.0], 1e-15);
    }

    #[test]
    fn whitening_gives_mean_zero_and_unit_variance() {
        let mask = || keep(&KEEP, [3, 3]);
        let (values, grads) = value_and_grad(&ROWS, |x| masked_whiten(x.reshape([3, 3]), mask(), true).unwrap());
        let scale = (13.0 / 3.0 + 1e-8f64).sqrt();
        let expected = [-7.0, 2.0, 0.0, 0.0, 5.0, 0.0, 0.0, 0.0, 0.0].map(|thirds| thirds / 3.0 / scale);
        assert_close(&values, &expected, 1e-14);
        assert!(grads.iter().all(|grad| grad.abs() < 1e-15)); // the sum is 0 whatever the values
        let (unshifted, _) = value_and_grad(&ROWS, |x| masked_whiten(x.reshape([3, 3]), mask(), false).unwrap());
        for i in 0..9 {
            let mean = if KEEP[i] { 10.0 / 3.0 } else { 0.0 };
            assert!((unshifted[i] - expected[i] - mean).abs() < 1e-14);
        }
        let weights = tracked(&[1.0, -2.0, 0.5, 3.0]).detach();
        let mask = || keep(&[true, true, false, true], [4]);
        assert_gradient(&[0.3, -1.0, 2.0, 0.7], |x| masked_whiten(x, mask(), true).unwrap() * weights.clone());
        assert_gradient(&[0.3, -1.0, 2.0, 0.7], |x| masked_var_all(x, mask()).unwrap());
    }

    #[test]
    fn one_value_or_none_whitens_to_zero() {
        for (at, mask, shifted, unshifted) in
            [(vec![3.0, f64::NAN], vec![true, false], 0.0, 3.0), (vec![f64::NAN; 2], vec![false; 2], 0.0, 0.0)]
        {
            let whiten = |shift| value_and_grad(&at, |x| masked_whiten(x, keep(&mask, [2]), shift).unwrap());
            assert_eq!(whiten(true).0, [shifted, 0.0]);
            assert_eq!(whiten(false).0, [unshifted, 0.0]);
            assert!(whiten(true).1.iter().all(|grad| grad.is_finite()));
        }
    }

    #[test]
    fn equal_f32_values_have_no_variance() {
        for (count, value) in [(49, 12_345.678), (1000, 10.1), (49, 1234.567)] {
            let values = Tensor::<1>::full([count], value, &Device::flex());
            let mask = Tensor::<1, Bool>::full([count], true, &Device::flex());
            assert_eq!(host(masked_var_all(values.clone(), mask.clone()).unwrap()), [0.0]);
            assert_eq!(host(masked_whiten(values, mask, true).unwrap()), vec![0.0; count]);
        }
    }

    #[test]
    fn half_precision_counts_beyond_2048() {
        for dtype in [DType::F16, DType::BF16] {
            let values = Tensor::<1>::from_data(TensorData::from([1.0; 3001]), (&Device::flex(), dtype));
            let mask = Tensor::<1, Bool>::full([3001], true, &Device::flex());
            for (f, expected) in
                [(masked_mean_all as fn(_, _) -> _, 1.0), (masked_sum_all, 3001.0), (masked_var_all, 0.0)]
            {
                let got: Tensor<1> = Result::unwrap(f(values.clone(), mask.clone()));
                assert_eq!((got.dtype(), host(got)), (DType::F32, vec![expected]));
            }
            assert_eq!(masked_whiten(values, mask, true).unwrap().dtype(), dtype);
        }
    }

    #[test]
    fn no_columns_and_no_rows_are_legal() {
        let empty = |shape: [usize; 2]| (none(shape), keep(&[], shape));
        for f in [masked_sum, masked_mean, masked_var] {
            let (values, mask) = empty([2, 0]);
            assert_eq!(host(f(values, mask).unwrap()), [0.0, 0.0]);
            let (values, mask) = empty([0, 3]);
            assert_eq!(f(values, mask).unwrap().dims(), [0]);
        }
        let (values, mask) = empty([0, 3]);
        assert_eq!(host(masked_mean_all(values.clone(), mask.clone()).unwrap()), [0.0]);
        assert_eq!(masked_whiten(values, mask, true).unwrap().dims(), [0, 3]);
    }

    #[test]
    fn a_mask_of_one_row_is_an_error_not_a_broadcast() {
        let expected = Error::ShapeMismatch { name: "mask", expected: vec![3, 3], got: vec![1, 3] };
        let values = || tracked(&ROWS).reshape([3, 3]);
        let mask = || keep(&[true; 3], [1, 3]);
        for f in [masked_sum, masked_mean, masked_var, masked_sum_all, masked_mean_all, masked_var_all] {
            assert_eq!(f(values(), mask()).unwrap_err(), expected);
        }
        assert_eq!(masked_whiten(values(), mask(), true).unwrap_err(), expected);
    }

    #[test]
    fn whitening_by_known_moments_is_whitening_when_they_are_the_batch_s_own() {
        let values = || tracked(&[1.0, 2.0, 6.0, f64::NAN]);
        let mask = || keep(&[true, true, true, false], [4]);
        // Mean 3; deviations −2, −1, 3: variance 14/2.
        let by = host(masked_whiten_by(values(), mask(), 3.0, 7f64.sqrt()).unwrap());
        assert_close(&by, &host(masked_whiten(values(), mask(), true).unwrap()), 1e-14);
        assert_close(&by[..1], &[-2.0 / (7.0 + 1e-8f64).sqrt()], 1e-15);
        let flat = host(masked_whiten_by(values(), mask(), 1.0, 0.0).unwrap());
        assert_close(&flat, &[0.0, 1e4, 5e4, 0.0], 1e-14);
        let (_, grads) =
            value_and_grad(&[1.0, f64::NAN], |x| masked_whiten_by(x, keep(&[true, false], [2]), 0.0, 2.0).unwrap());
        assert_close(&grads, &[1.0 / (4.0 + 1e-8f64).sqrt(), 0.0], 1e-15);
        for (mean, std, name) in
            [(f64::NAN, 1.0, "mean"), (f64::INFINITY, 1.0, "mean"), (0.0, -1.0, "std"), (0.0, f64::INFINITY, "std")]
        {
            let error = masked_whiten_by(values(), mask(), mean, std).unwrap_err().to_string();
            assert!(error.starts_with(&format!("`{name}`")), "{error}");
        }
        assert!(masked_whiten_by(values(), keep(&[true], [1]), 0.0, 1.0).is_err());
        assert!(masked_whiten_by(values(), mask(), 0.0, f64::NAN).is_err());
        let half = Tensor::<1>::from_data([2.0], (&Device::flex(), DType::F16));
        let mask = Tensor::from_bool(TensorData::from([true]), &Device::flex());
        assert_eq!(masked_whiten_by(half, mask, 1.0, 1.0).unwrap().dtype(), DType::F16);
    }
}
