//! Logarithms and exponentials next to 0 and 1, where the plain forms cancel.

use burn::tensor::{Bool, DType, Tensor};

use super::in_f32;

/// Taylor coefficients of `(x coth(x/2) - 2) / x²` in `x²`: `2 B₂ₖ / (2k)!`. The first one left out is below 2e-17 at
/// the |x| = 1/2 where the series is used.
const COTH_SERIES: [f64; 7] = [
    1.0 / 6.0,
    -1.0 / 360.0,
    1.0 / 15_120.0,
    -1.0 / 604_800.0,
    1.0 / 23_950_080.0,
    -691.0 / 653_837_184_000.0,
    1.0 / 37_362_124_800.0,
];

/// `log(1 + x)` for `x` ≥ -1, to relative accuracy around 0 on every device.
///
/// burn's own is exact on `flex`, but every CubeCL runtime (CUDA, wgpu, …) compiles it to `ln(x + 1)`, which is 0 for
/// an f32 below 6e-8. Near 0 this takes `2 atanh(x / (2 + x))` instead, three terms of it. At -1 value and gradient are
/// infinite; below, NaN.
///
/// # Example
/// ```
/// use accordant_ops::stable::log1p;
/// use burn::tensor::{Device, Tensor};
/// let y = log1p(Tensor::<1>::from_floats([1e-9, 0.0], &Device::flex()));
/// assert_eq!(y.into_data().try_to_vec::<f32>().unwrap(), [1e-9, 0.0]);
/// ```
pub fn log1p<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    in_f32(x, |x| {
        // The sixth power of s = x / (2 + x), relative, is what the gradient leaves out: 1e-8 and 7e-17 at the bounds.
        let bound = if x.dtype() == DType::F64 { 0.004 } else { 0.1 };
        let near = x.clone().abs().lower_scalar(bound);
        let small = x.clone().mask_fill(near.clone().bool_not(), 0.0);
        let s = small.clone() / (small + 2.0);
        let s2 = s.clone().square();
        let series = s * (s2.clone() * (s2 * 0.4 + 2.0 / 3.0) + 2.0);
        x.mask_fill(near.clone(), 1.0).log1p().mask_where(near, series)
    })
}

/// `x coth(x/2) = 2 + x² c(x²)` on |x| ≤ 1/2: returns where that is, `x` with 0 elsewhere, and `c`.
fn coth_series<const D: usize>(x: &Tensor<D>) -> (Tensor<D, Bool>, Tensor<D>, Tensor<D>) {
    let near = x.clone().abs().lower_equal_scalar(0.5);
    let small = x.clone().mask_fill(near.clone().bool_not(), 0.0);
    let x2 = small.clone().square();
    let last = COTH_SERIES[COTH_SERIES.len() - 1];
    let c = COTH_SERIES.iter().rev().skip(1).fold(x2.zeros_like() + last, |sum, &k| sum * x2.clone() + k);
    (near, small, c)
}

/// `exp(x) - 1`, accurate around 0. burn has none.
///
/// On |x| ≤ 1/2 it is `2x / (x coth(x/2) - x)` with the series of `coth`, elsewhere `exp(x) - 1`. The gradient is
/// `exp(x)` itself and keeps all its digits far below 0, where `expm1(x) + 1` has none left. Overflows, value and
/// gradient, where `exp` does (x > 88 in f32, 709 in f64): [`cap_exponent`](super::cap_exponent) first.
///
/// # Example
/// ```
/// use accordant_ops::stable::expm1;
/// use burn::tensor::{Device, Tensor};
/// let y = expm1(Tensor::<1>::from_floats([1e-9, -1e4], &Device::flex()));
/// assert_eq!(y.into_data().try_to_vec::<f32>().unwrap(), [1e-9, -1.0]);
/// ```
pub fn expm1<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    in_f32(x, |x| {
        let (near, small, c) = coth_series(&x);
        let series = small.clone() * 2.0 / (small.clone().square() * c - small + 2.0);
        x.mask_fill(near.clone(), 1.0).exp().sub_scalar(1.0).mask_where(near, series)
    })
}

/// `exp(x) - 1 - x` ≥ 0: the k3 estimator of a divergence and the Itakura–Saito loss.
///
/// On |x| ≤ 1/2 it is `x² (1 - x c) / (2 - x + x² c)` with `x coth(x/2) = 2 + x² c`, which subtracts no equals; `x²/2`
/// to first order. The gradient is `expm1(x)`. Overflows where `exp` does: [`clamp_exponent`](super::clamp_exponent) or
/// [`cap_exponent`](super::cap_exponent)
/// first.
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
    in_f32(x, |x| {
        let (near, small, c) = coth_series(&x);
        let x2 = small.clone().square();
        let denominator = x2.clone() * c.clone() - small.clone() + 2.0;
        let series = x2 * (small * c).neg().add_scalar(1.0) / denominator;
        let far = x.mask_fill(near.clone(), 1.0);
        (far.clone().exp() - far - 1.0).mask_where(near, series)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stable::testing::*;

    #[test]
    fn expm1_and_log1p_are_accurate_around_zero() {
        check(&POINTS, expm1, f64::exp_m1, f64::exp);
        // Fails if the gradient is formed as expm1(x) + 1.
        check(&[-50.0], expm1, |_| -1.0, |_| 1.928_749_847_963_918e-22);
        let points = [-0.999, -0.5, -0.0041, -0.0039, -1e-3, -1e-14, 0.0, 1e-300, 1e-9, 0.0039, 0.0041, 0.1, 1.0, 1e17];
        check(&points, log1p, f64::ln_1p, |x| 1.0 / (1.0 + x));
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
        check(&POINTS, expm1_minus_x, reference, f64::exp_m1);
        check(&[1e-3], expm1_minus_x, |_| 5.001_667_083_416_681e-7, f64::exp_m1);
        assert_gradient(&[-3.0, -0.4, 1e-3, 0.7, 2.0], expm1_minus_x);
    }
}
