//! Exponentials, and logarithms and exponentials next to 0 and 1, where the plain forms cancel.

use burn::tensor::Tensor;

use super::{Function, naive, pointwise};

/// `exp(x)`, whose derivative is kept: burn's own exponentiates a second time in the backward pass.
///
/// Overflows where that does (x > 88 in f32, 709 in f64): [`clamp_exponent`](super::clamp_exponent) first.
///
/// # Example
/// ```
/// use accordant_ops::stable::exp;
/// use burn::tensor::{Device, Tensor};
/// let y = exp(Tensor::<1>::from_floats([-1e4, 0.0, 2f32.ln()], &Device::flex()));
/// assert_eq!(y.into_data().try_to_vec::<f32>().unwrap(), [0.0, 1.0, 2.0]);
/// ```
pub fn exp<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    pointwise(x, |_| Function::Exp, naive::exp)
}

/// `log(1 + x)` for `x` ≥ -1, to relative accuracy around 0 on every device.
///
/// burn's own is exact on `flex`, but not on a GPU; see [`naive`]. At -1 value and gradient are infinite; below, NaN.
///
/// # Example
/// ```
/// use accordant_ops::stable::log1p;
/// use burn::tensor::{Device, Tensor};
/// let y = log1p(Tensor::<1>::from_floats([1e-9, 0.0], &Device::flex()));
/// assert_eq!(y.into_data().try_to_vec::<f32>().unwrap(), [1e-9, 0.0]);
/// ```
pub fn log1p<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    pointwise(x, |_| Function::Log1p, naive::log1p)
}

/// `exp(x) - 1`, accurate around 0. burn has none.
///
/// The gradient is `exp(x)` itself and keeps all its digits far below 0, where `expm1(x) + 1` has none left. Overflows,
/// value and gradient, where `exp` does (x > 88 in f32, 709 in f64): [`cap_exponent`](super::cap_exponent) first.
///
/// # Example
/// ```
/// use accordant_ops::stable::expm1;
/// use burn::tensor::{Device, Tensor};
/// let y = expm1(Tensor::<1>::from_floats([1e-9, -1e4], &Device::flex()));
/// assert_eq!(y.into_data().try_to_vec::<f32>().unwrap(), [1e-9, -1.0]);
/// ```
pub fn expm1<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    pointwise(x, |_| Function::Expm1, naive::expm1)
}

/// `exp(x) - 1 - x` ≥ 0: the k3 estimator of a divergence and the Itakura–Saito loss.
///
/// `x²/2` to first order; no equals are subtracted. The gradient is `expm1(x)`. Overflows where `exp` does:
/// [`clamp_exponent`](super::clamp_exponent) or [`cap_exponent`](super::cap_exponent) first.
///
/// # Example
/// ```
/// use accordant_ops::stable::expm1_minus_x;
/// use burn::tensor::{Device, Tensor};
/// let y = expm1_minus_x(Tensor::<1>::from_floats([-1e4, 0.0, 1.0], &Device::flex()));
/// let y = y.into_data().try_to_vec::<f32>().unwrap();
/// assert_eq!(y[..2], [9999.0, 0.0]);
/// assert!((y[2] - 0.718_281_8).abs() < 1e-6); // e - 2
/// ```
pub fn expm1_minus_x<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    pointwise(x, |_| Function::Expm1MinusX, naive::expm1_minus_x)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stable::testing::*;

    #[test]
    fn expm1_and_log1p_are_accurate_around_zero() {
        for expm1 in [expm1, naive::expm1] {
            check(&POINTS, expm1, f64::exp_m1, f64::exp);
            // Fails if the gradient is formed as expm1(x) + 1.
            check(&[-50.0], expm1, |_| -1.0, |_| 1.928_749_847_963_918e-22);
        }
        let points = [-0.999, -0.5, -0.0041, -0.0039, -1e-3, -1e-14, 0.0, 1e-300, 1e-9, 0.0039, 0.0041, 0.1, 1.0, 1e17];
        for log1p in [log1p, naive::log1p] {
            check(&points, log1p, f64::ln_1p, |x| 1.0 / (1.0 + x));
        }
        check(&[-1.0], log1p, f64::ln_1p, |_| f64::INFINITY);
    }

    #[test]
    fn exp_is_its_own_derivative() {
        for exp in [exp, naive::exp] {
            check(&POINTS, exp, f64::exp, f64::exp);
        }
    }

    #[test]
    fn expm1_minus_x_subtracts_no_equals() {
        // For |x| < 0.1 the reference sums the series x²/2 + x³/6 + …, smallest term first.
        let reference = |x: f64| {
            if x.abs() >= 0.6 {
                return x.exp() - 1.0 - x;
            }
            (2..26).rev().map(|n| (1..=n).fold(1.0, |term, k| term * x / f64::from(k))).sum()
        };
        for expm1_minus_x in [expm1_minus_x, naive::expm1_minus_x] {
            check(&POINTS, expm1_minus_x, reference, f64::exp_m1);
            check(&[1e-3], expm1_minus_x, |_| 5.001_667_083_416_681e-7, f64::exp_m1);
            assert_gradient(&[-3.0, -0.4, 1e-3, 0.7, 2.0], expm1_minus_x);
        }
    }
}
