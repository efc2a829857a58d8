//! Element-wise forms that survive the extremes.
//!
//! | write | instead of | which breaks at |
//! |---|---|---|
//! | [`softplus`]`(-h)` | `-log(sigmoid(h))` | h = -104 in f32: infinite |
//! | [`log_sigmoid`]`(h)` | `log(sigmoid(h))` | the same |
//! | [`log1p`]`(x)` | `(1 + x).log()`, and burn's own on a GPU | x = 1e-8 in f32: 0 |
//! | [`expm1`]`(x)` | `x.exp() - 1` | x = 1e-8 in f32: 0 |
//! | [`expm1_minus_x`]`(x)` | `x.exp() - 1 - x` | x = 1e-4 in f32: noise |
//! | [`log1mexp`]`(a)`, [`log_odds`]`(a)` | `(1 - a.exp()).log()` | a = -1e-8 in f32: infinite |
//! | [`log_add_exp`], [`log_sum_exp`] | `(a.exp() + b.exp()).log()` | a = 89 in f32: infinite |
//! | [`huber`]`(u, k)` | two branches and a square | u = 1e20 in f32: the square is infinite |
//! | [`x_log_x`]`(p)` | `p * p.log()` | p = 0: NaN |
//!
//! **Dtype:** f32 and f64 are kept; f16 and bf16 are computed in f32 and rounded at the end. **Shapes:** every function
//! maps `[..]` to the same `[..]`, but for [`log_sum_exp`]; empty tensors stay empty. **NaN** gives NaN, and only in
//! its own place. Branches that are not taken are fed a constant, because the backward pass multiplies their derivative
//! by 0 and 0 · ∞ is NaN. Fill masked positions *before* calling anything here, for the same reason.

use core::f64::consts::LN_2;

use burn::tensor::{DType, FloatDType, Tensor};

use crate::{Result, check_domain, check_shape};

/// Beyond this argument `log(1 + exp(x))` equals `x` in f64.
const SOFTPLUS_LINEAR: f64 = 40.0;

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

/// Runs `f` in f32 when `x` is f16 or bf16, and rounds what comes back.
fn in_f32<const D: usize>(x: Tensor<D>, f: impl FnOnce(Tensor<D>) -> Tensor<D>) -> Tensor<D> {
    match x.dtype() {
        DType::F32 | DType::F64 => f(x),
        narrow => f(x.cast(FloatDType::F32)).cast(narrow),
    }
}

/// `log(1 + exp(x))`: the loss of a logistic margin `h` is `softplus(-h)`.
///
/// Relative accuracy holds in both tails: `x` for large `x`, `exp(x)` for very negative `x`. The gradient is the
/// logistic function, 0.5 at 0. At -∞ the value is 0 and at +∞ it is +∞.
///
/// # Example
/// ```
/// use accordant_ops::stable::softplus;
/// use burn::tensor::{Device, Tensor};
/// let x = Tensor::<1>::from_floats([-100.0, 0.0, 1e4], &Device::flex());
/// let y = softplus(x).into_data().try_to_vec::<f32>().unwrap();
/// assert!((y[0] / 3.72e-44 - 1.0).abs() < 0.1); // exp(-100), a subnormal number
/// assert_eq!(y[1], 2f32.ln());
/// assert_eq!(y[2], 1e4);
/// ```
pub fn softplus<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    in_f32(x, |x| {
        let linear = x.clone().greater_scalar(SOFTPLUS_LINEAR);
        log1p(x.clone().mask_fill(linear.clone(), 0.0).exp()).mask_where(linear, x)
    })
}

/// `log(1 / (1 + exp(-x)))`, written `-softplus(-x)`; never the logarithm of a sigmoid.
///
/// The gradient is `sigmoid(-x)`, 0.5 at 0. burn's own `log_sigmoid` is as good on `flex`, but elsewhere it takes the
/// logarithm of `1 + exp(-x)`, which is 0 in f32 from x = 17 on.
///
/// # Example
/// ```
/// use accordant_ops::stable::log_sigmoid;
/// use burn::tensor::{Device, Tensor};
/// let y = log_sigmoid(Tensor::<1>::from_floats([-1e4, 0.0], &Device::flex()));
/// assert_eq!(y.into_data().try_to_vec::<f32>().unwrap(), [-1e4, -(2f32.ln())]);
/// ```
pub fn log_sigmoid<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    softplus(x.neg()).neg()
}

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
fn coth_series<const D: usize>(x: &Tensor<D>) -> (Tensor<D, burn::tensor::Bool>, Tensor<D>, Tensor<D>) {
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
/// gradient, where `exp` does (x > 88 in f32, 709 in f64): [`cap_exponent`] first.
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
/// to first order. The gradient is `expm1(x)`. Overflows where `exp` does: [`clamp_exponent`] or [`cap_exponent`]
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

/// `log(1 - exp(a))` for a log-probability `a` ≤ 0: the log-probability of anything else.
///
/// ```text
/// log(-expm1(a))     for a > -ln 2
/// log1p(-exp(a))     else
/// ```
///
/// `a` is clamped to at most -1e-7 (-1e-12 in f64): from there on, `a` ≥ 0 included, the value is log(1e-7) = -16.1
/// (-27.6) and the gradient 0. Below the clamp the gradient is `-1 / expm1(-a)`, finite. `a` = -∞ gives 0.
///
/// # Example
/// ```
/// use accordant_ops::stable::log1mexp;
/// use burn::tensor::{Device, Tensor};
/// // Of two outcomes with probability 1/4 and 3/4, each is the complement of the other.
/// let y = log1mexp(Tensor::<1>::from_floats([0.25, 0.75], &Device::flex()).log());
/// let y = y.exp().into_data().try_to_vec::<f32>().unwrap();
/// assert!((y[0] - 0.75).abs() < 1e-6 && (y[1] - 0.25).abs() < 1e-6);
/// ```
pub fn log1mexp<const D: usize>(a: Tensor<D>) -> Tensor<D> {
    in_f32(a, |a| {
        let a = a.clone().clamp_max(if a.dtype() == DType::F64 { -1e-12 } else { -1e-7 });
        let near = a.clone().greater_scalar(-LN_2);
        let likely = expm1(a.clone().mask_fill(near.clone().bool_not(), -LN_2)).neg().log();
        log1p(a.mask_fill(near.clone(), -LN_2).exp().neg()).mask_where(near, likely)
    })
}

/// `log(p / (1 - p))` for a log-probability `a` = log p: `a - log1mexp(a)`.
///
/// The gradient is `1 / (1 - p)`. Where [`log1mexp`] is clamped (p within 1e-7 of 1, 1e-12 in f64) the value grows on
/// as `a + 16.1` (27.6) with gradient 1. `a` = -∞ gives -∞.
///
/// # Example
/// ```
/// use accordant_ops::stable::log_odds;
/// use burn::tensor::{Device, Tensor};
/// let y = log_odds(Tensor::<1>::from_floats([0.75], &Device::flex()).log());
/// assert!((y.into_scalar::<f32>() - 3f32.ln()).abs() < 1e-6); // 0.75 : 0.25
/// ```
pub fn log_odds<const D: usize>(a: Tensor<D>) -> Tensor<D> {
    in_f32(a, |a| a.clone() - log1mexp(a))
}

/// `log(exp(a) + exp(b))`, element by element.
///
/// The gradients are the two softmax weights, 0.5 each at a tie. -∞ on one side gives the other side; on both it gives
/// -∞ with gradient 0. +∞ gives +∞, its gradient going to the infinite side (to `a` if both are).
///
/// # Shapes
/// `a` and `b`: the same `[..]`, in the same dtype.
///
/// # Errors
/// [`crate::Error::ShapeMismatch`] when the shapes differ.
///
/// # Example
/// ```
/// use accordant_ops::stable::log_add_exp;
/// use burn::tensor::{Device, Tensor};
/// let a = Tensor::<1>::from_floats([1000.0, f32::NEG_INFINITY], &Device::flex());
/// let y = log_add_exp(a.clone(), a)?.into_data().try_to_vec::<f32>().unwrap();
/// assert_eq!(y, [1000.0 + 2f32.ln(), f32::NEG_INFINITY]);
/// # Ok::<(), accordant_ops::Error>(())
/// ```
pub fn log_add_exp<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> Result<Tensor<D>> {
    check_shape("b", &a.dims(), &b.dims())?;
    let swap = a.clone().lower(b.clone());
    let high = a.clone().mask_where(swap.clone(), b.clone());
    let low = b.mask_where(swap, a);
    let empty = high.clone().equal_scalar(f32::NEG_INFINITY);
    let full = high.clone().equal_scalar(f32::INFINITY);
    // ∞ - ∞ is NaN: say what the gap is there.
    let gap = (low - high.clone()).mask_fill(empty.clone().bool_or(full), f32::NEG_INFINITY);
    Ok((high + softplus(gap)).mask_fill(empty, f32::NEG_INFINITY))
}

/// `log Σ exp(x)` along `dim`, the largest element subtracted first.
///
/// The gradient is the softmax. A row of -∞ (or of no elements) gives -∞ with gradient 0. A row that holds +∞ gives +∞
/// with a NaN gradient.
///
/// # Shapes
/// `[.., n, ..]` to `[.., 1, ..]`, as burn's `sum_dim`.
///
/// # Panics
/// When `dim` is not below `D`, as burn does.
///
/// # Example
/// ```
/// use accordant_ops::stable::log_sum_exp;
/// use burn::tensor::{Device, Tensor};
/// let x = Tensor::<2>::from_floats([[1e4, 1e4], [f32::NEG_INFINITY, f32::NEG_INFINITY]], &Device::flex());
/// let y = log_sum_exp(x, 1).into_data().try_to_vec::<f32>().unwrap();
/// assert_eq!(y, [1e4 + 2f32.ln(), f32::NEG_INFINITY]);
/// ```
pub fn log_sum_exp<const D: usize>(x: Tensor<D>, dim: usize) -> Tensor<D> {
    assert!(dim < D, "log_sum_exp: dimension {dim} of a tensor of rank {D}");
    if x.dims()[dim] == 0 {
        // burn has no maximum of nothing; its empty sum is 0, of the right shape.
        return x.sum_dim(dim) + f32::NEG_INFINITY;
    }
    in_f32(x, |x| {
        let max = x.clone().detach().max_dim(dim);
        let max = max.clone().mask_fill(max.is_inf(), 0.0);
        let sum = (x - max.clone()).exp().sum_dim(dim);
        let empty = sum.clone().equal_scalar(0.0);
        (sum.mask_fill(empty.clone(), 1.0).log() + max).mask_fill(empty, f32::NEG_INFINITY)
    })
}

/// Huber's loss: `u²/2` where |u| ≤ `k`, `k (|u| - k/2)` beyond.
///
/// Written `c (u - c/2)` with `c` = u clamped to ±k, so that no square overflows. The gradient is `c`; `u` = ±∞ gives
/// +∞ with gradient ±k. `k` is finite and > 0, in the unit of `u`.
///
/// # Errors
/// [`crate::Error::Domain`] when `k` is outside its domain.
///
/// # Example
/// ```
/// use accordant_ops::stable::huber;
/// use burn::tensor::{Device, Tensor};
/// let y = huber(Tensor::<1>::from_floats([0.5, -3.0], &Device::flex()), 1.0)?;
/// assert_eq!(y.into_data().try_to_vec::<f32>().unwrap(), [0.125, 2.5]);
/// # Ok::<(), accordant_ops::Error>(())
/// ```
pub fn huber<const D: usize>(u: Tensor<D>, k: f64) -> Result<Tensor<D>> {
    check_domain(k.is_finite() && k > 0.0, "k", "finite and > 0", k)?;
    let c = u.clone().clamp(-k, k);
    Ok(c.clone() * (u - c * 0.5))
}

/// `x log x` with `0 log 0 = 0`, in nats.
///
/// The gradient is `1 + log x`, and 0 at 0 where the true one is -∞. Negative `x` gives NaN.
///
/// # Example
/// ```
/// use accordant_ops::stable::x_log_x;
/// use burn::tensor::{Device, Tensor};
/// let y = x_log_x(Tensor::<1>::from_floats([0.0, 1.0, 0.5], &Device::flex()));
/// assert_eq!(y.into_data().try_to_vec::<f32>().unwrap(), [0.0, 0.0, -0.5 * 2f32.ln()]);
/// ```
pub fn x_log_x<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let zero = x.clone().equal_scalar(0.0);
    let safe = x.mask_fill(zero, 1.0);
    safe.clone() * safe.log()
}

/// Clamps a log-ratio to `[-bound, bound]` before it is exponentiated; `None` leaves it as it is.
///
/// Policy ratios use `Some(20.0)` (verl; TRL clamps nothing). The gradient beyond the bound is 0, at it 1. `bound` is
/// in nats, finite and > 0.
///
/// # Errors
/// [`crate::Error::Domain`] when `bound` is outside its domain.
///
/// # Example
/// ```
/// use accordant_ops::stable::clamp_exponent;
/// use burn::tensor::{Device, Tensor};
/// let y = clamp_exponent(Tensor::<1>::from_floats([-1e4, 3.0, 1e4], &Device::flex()), Some(20.0))?;
/// assert_eq!(y.into_data().try_to_vec::<f32>().unwrap(), [-20.0, 3.0, 20.0]);
/// # Ok::<(), accordant_ops::Error>(())
/// ```
pub fn clamp_exponent<const D: usize>(log_ratio: Tensor<D>, bound: Option<f64>) -> Result<Tensor<D>> {
    let Some(bound) = bound else { return Ok(log_ratio) };
    check_domain(bound.is_finite() && bound > 0.0, "exponent_clamp", "finite and > 0", bound)?;
    Ok(log_ratio.clamp(-bound, bound))
}

/// Clamps an exponent from above only; `None` leaves it as it is. [`exponent_max`] is the usual bound.
///
/// For scores that exponentiate a log-probability, where the lower tail is harmless. The gradient beyond the bound is
/// 0.
///
/// # Errors
/// [`crate::Error::Domain`] when `max` is not finite and > 0.
pub fn cap_exponent<const D: usize>(exponent: Tensor<D>, max: Option<f64>) -> Result<Tensor<D>> {
    let Some(max) = max else { return Ok(exponent) };
    check_domain(max.is_finite() && max > 0.0, "exponent_max", "finite and > 0", max)?;
    Ok(exponent.clamp_max(max))
}

/// An exponent that every dtype can take: 11 in f16, 700 in f64, 80 in bf16, f32 and anything else.
pub fn exponent_max(dtype: DType) -> f64 {
    match dtype {
        DType::F16 => 11.0,
        DType::F64 => 700.0,
        _ => 80.0,
    }
}

/// What the tests of this crate share: f64 tensors that record gradients, and finite differences.
#[cfg(test)]
pub(crate) mod testing {
    use burn::tensor::{DType, Device, Tensor, TensorData};

    /// A tracked f64 vector on the CPU.
    pub fn tracked(values: &[f64]) -> Tensor<1> {
        let device = Device::flex().autodiff();
        Tensor::from_data(TensorData::new(values.to_vec(), [values.len()]), (&device, DType::F64)).require_grad()
    }

    /// A tracked f64 tensor without elements.
    pub fn none(shape: [usize; 2]) -> Tensor<2> {
        Tensor::zeros(shape, (&Device::flex().autodiff(), DType::F64)).require_grad()
    }

    pub fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
        tensor.into_data().convert::<f64>().try_to_vec().unwrap()
    }

    /// Values of `f`, and the gradient of their sum.
    pub fn value_and_grad<const D: usize>(at: &[f64], f: impl Fn(Tensor<1>) -> Tensor<D>) -> (Vec<f64>, Vec<f64>) {
        let x = tracked(at);
        let y = f(x.clone());
        assert_eq!(y.dtype(), DType::F64);
        let grad = x.grad(&y.clone().sum().backward()).unwrap();
        (host(y), host(grad))
    }

    #[track_caller]
    pub fn assert_close(got: &[f64], expected: &[f64], relative: f64) {
        assert_eq!(got.len(), expected.len());
        for (g, e) in got.iter().zip(expected) {
            assert!(g == e || (g - e).abs() <= relative * e.abs(), "got {got:?}, expected {expected:?}");
        }
    }

    /// The gradient of `sum f` equals central differences with step 1e-5 to 1e-8 (+ 1e-8 relative).
    #[track_caller]
    pub fn assert_gradient<const D: usize>(at: &[f64], f: impl Fn(Tensor<1>) -> Tensor<D>) {
        let (_, grad) = value_and_grad(at, &f);
        for i in 0..at.len() {
            let moved = |step: f64| {
                let mut at = at.to_vec();
                at[i] += step;
                host(f(tracked(&at)).sum())[0]
            };
            let difference = (moved(1e-5) - moved(-1e-5)) / 2e-5;
            assert!((grad[i] - difference).abs() <= 1e-8 * (1.0 + difference.abs()), "{i}: {} {difference}", grad[i]);
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::testing::*;
    use super::*;
    use crate::Error;

    /// Both sides of every branch, both tails, and zero.
    const POINTS: [f64; 23] = [
        -1e4, -700.0, -41.0, -37.0, -20.0, -5.0, -1.0, -0.6, -0.5, -0.1, -1e-3, 0.0, 1e-12, 1e-4, 0.0039, 0.0041, 0.3,
        0.5, 0.51, 2.0, 39.9, 40.1, 80.0,
    ];

    fn sigmoid(x: f64) -> f64 {
        if x < 0.0 { x.exp() / (1.0 + x.exp()) } else { 1.0 / (1.0 + (-x).exp()) }
    }

    /// Values and gradients against the host, at f64's relative accuracy.
    #[track_caller]
    fn check(at: &[f64], f: impl Fn(Tensor<1>) -> Tensor<1>, value: fn(f64) -> f64, slope: fn(f64) -> f64) {
        let (values, grads) = value_and_grad(at, f);
        assert_close(&values, &at.iter().map(|&x| value(x)).collect::<Vec<_>>(), 4e-15);
        assert_close(&grads, &at.iter().map(|&x| slope(x)).collect::<Vec<_>>(), 4e-15);
    }

    #[test]
    fn softplus_and_log_sigmoid_are_accurate_in_both_tails() {
        check(&POINTS, softplus, |x| x.max(0.0) + (-x.abs()).exp().ln_1p(), sigmoid);
        check(&POINTS, log_sigmoid, |x| x.min(0.0) - (-x.abs()).exp().ln_1p(), |x| sigmoid(-x));
        check(&[0.0], softplus, |_| LN_2, |_| 0.5);
        check(&[1e4, f64::NEG_INFINITY], softplus, |x| x.max(0.0), |x| f64::from(x > 0.0));
    }

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

    #[test]
    fn log1mexp_and_log_odds_take_both_branches() {
        // Complements: p and 1 - p are exact here, so log1mexp(log p) = log(1 - p).
        let (p, complement) = ([0.5, 0.25, 0.75, 0.875, 0.125], [0.5, 0.75, 0.25, 0.125, 0.875]);
        let logs = |p: &[f64]| p.iter().map(|p| p.ln()).collect::<Vec<_>>();
        let (values, grads) = value_and_grad(&logs(&p), log1mexp);
        assert_close(&values, &logs(&complement), 1e-15);
        assert_close(&grads, &[-1.0, -1.0 / 3.0, -3.0, -7.0, -1.0 / 7.0], 1e-14);
        let (values, grads) = value_and_grad(&logs(&p[1..]), log_odds);
        assert_close(&values, &logs(&[1.0 / 3.0, 3.0, 7.0, 1.0 / 7.0]), 1e-14);
        assert_close(&grads, &[4.0 / 3.0, 4.0, 8.0, 8.0 / 7.0], 1e-14);
        let points = [-1e4, -50.0, -1.0, -LN_2, -0.69, -0.1, -1e-6, -1e-9, -1e-11];
        check(
            &points,
            log1mexp,
            |a| (-a.exp_m1()).ln() * f64::from(a > -1.0) + (-a.exp()).ln_1p() * f64::from(a <= -1.0),
            |a| -1.0 / (-a).exp_m1(),
        );
    }

    #[test]
    fn log_odds_of_near_certainty_is_clamped_and_finite() {
        let (values, grads) = value_and_grad(&[-1e-12, -1e-13, 0.0, 1e-3, f64::NEG_INFINITY, -1e4], log_odds);
        let edge = -(1e-12f64.ln()); // log(p / (1 - p)) with 1 - p = 1e-12
        assert_close(&values, &[edge, edge, edge, edge + 1e-3, f64::NEG_INFINITY, -1e4], 1e-12);
        assert_close(&grads, &[1e12, 1.0, 1.0, 1.0, 1.0, 1.0], 1e-11);
        let f32s = Tensor::<1>::from_floats([-1e-9, -1e-6], &Device::flex().autodiff()).require_grad();
        let odds = log_odds(f32s.clone());
        let grad = host(f32s.grad(&odds.clone().sum().backward()).unwrap());
        assert_close(&host(odds), &[-(1e-7f64.ln()), -(1e-6f64.ln())], 1e-6);
        assert_close(&grad, &[1.0, 1e6], 1e-6);
    }

    #[test]
    fn log_add_exp_ties_share_the_gradient_and_infinities_stay_clean() {
        let inf = f64::INFINITY;
        let (a, b) = ([0.0, 1e4, -1e4, -inf, 3.0, -inf, inf, inf], [0.0, -1e4, -1e4, 2.0, 3.0, -inf, 0.0, inf]);
        let (x, y) = (tracked(&a), tracked(&b));
        let sum = log_add_exp(x.clone(), y.clone()).unwrap();
        let grads = sum.clone().sum().backward();
        assert_close(&host(sum), &[LN_2, 1e4, -1e4 + LN_2, 2.0, 3.0 + LN_2, -inf, inf, inf], 1e-15);
        assert_eq!(host(x.grad(&grads).unwrap()), [0.5, 1.0, 0.5, 0.0, 0.5, 0.0, 1.0, 1.0]);
        assert_eq!(host(y.grad(&grads).unwrap()), [0.5, 0.0, 0.5, 1.0, 0.5, 0.0, 0.0, 0.0]);
        let error = log_add_exp(tracked(&a), tracked(&[0.0])).unwrap_err();
        assert_eq!(error, Error::ShapeMismatch { name: "b", expected: vec![8], got: vec![1] });
    }

    #[test]
    fn log_sum_exp_of_nothing_is_minus_infinity_without_gradient() {
        let inf = f64::INFINITY;
        let at = [1e4, 1e4, -inf, -inf, 0.0, -inf, 2f64.ln(), 0.0];
        let (values, grads) = value_and_grad(&at, |x| log_sum_exp(x.reshape([4, 2]), 1));
        assert_close(&values, &[1e4 + LN_2, -inf, 0.0, 3f64.ln()], 1e-15);
        assert_close(&grads, &[0.5, 0.5, 0.0, 0.0, 1.0, 0.0, 2.0 / 3.0, 1.0 / 3.0], 1e-15);
        assert_eq!(host(log_sum_exp(none([3, 0]), 1)), [-inf; 3]);
        assert_eq!(log_sum_exp(none([0, 2]), 1).dims(), [0, 1]);
        assert_eq!(host(log_sum_exp(tracked(&[0.0, inf]), 0)), [inf]);
        assert_gradient(&[1.0, -2.0, 0.5, 3.0], |x| log_sum_exp(x.reshape([2, 2]), 0).square());
    }

    #[test]
    fn huber_is_quadratic_then_linear() {
        let (values, grads) = value_and_grad(&[0.0, 1.0, -2.0, 3.0, -1e200, f64::INFINITY], |u| huber(u, 2.0).unwrap());
        assert_close(&values, &[0.0, 0.5, 2.0, 4.0, 2e200, f64::INFINITY], 1e-15);
        assert_close(&grads, &[0.0, 1.0, -2.0, 2.0, -2.0, 2.0], 1e-15);
        for k in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(matches!(huber(tracked(&[1.0]), k), Err(Error::Domain { name: "k", .. })));
        }
    }

    #[test]
    fn x_log_x_of_zero_is_zero_with_a_finite_gradient() {
        let (values, grads) = value_and_grad(&[0.0, 1.0, 0.5, 1e-300], x_log_x);
        assert_close(&values, &[0.0, 0.0, -0.5 * LN_2, 1e-300 * 1e-300f64.ln()], 1e-15);
        assert_close(&grads, &[0.0, 1.0, 1.0 - LN_2, 1.0 + 1e-300f64.ln()], 1e-15);
    }

    #[test]
    fn exponents_are_clamped_on_the_sides_that_are_asked_for() {
        let at = [-1e4, -20.0, 0.1, 20.0, 1e4];
        let (values, grads) = value_and_grad(&at, |x| clamp_exponent(x, Some(20.0)).unwrap());
        assert_eq!((values, grads), (vec![-20.0, -20.0, 0.1, 20.0, 20.0], vec![0.0, 1.0, 1.0, 1.0, 0.0]));
        assert_eq!(host(clamp_exponent(tracked(&at), None).unwrap()), at);
        assert_eq!(host(cap_exponent(tracked(&at), None).unwrap()), at);
        let capped = cap_exponent(tracked(&at), Some(exponent_max(DType::F32))).unwrap();
        assert_eq!(host(capped), [-1e4, -20.0, 0.1, 20.0, 80.0]);
        for bound in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(clamp_exponent(tracked(&at), Some(bound)).is_err());
            assert!(cap_exponent(tracked(&at), Some(bound)).is_err());
        }
        for dtype in [DType::F16, DType::BF16, DType::F32, DType::F64] {
            let top = Tensor::<1>::from_data(TensorData::from([exponent_max(dtype)]), (&Device::flex(), dtype));
            assert!(host(top.exp())[0].is_finite());
        }
    }

    #[test]
    fn nan_stays_in_its_place_and_empty_stays_empty() {
        let all: [fn(Tensor<1>) -> Tensor<1>; 8] =
            [softplus, log_sigmoid, log1p, expm1, expm1_minus_x, log1mexp, log_odds, x_log_x];
        for f in all {
            let (values, grads) = value_and_grad(&[f64::NAN, 0.3], f);
            assert!(values[0].is_nan() && values[1] == host(f(tracked(&[0.3])))[0] && !grads[1].is_nan());
            assert_eq!(f(tracked(&[])).dims(), [0]);
        }
    }

    #[test]
    fn half_precision_is_computed_in_f32() {
        for dtype in [DType::F16, DType::BF16] {
            let x = Tensor::<1>::from_data(TensorData::from([-1e-3, -12.0]), (&Device::flex(), dtype));
            let y = softplus(x.clone().neg());
            assert_eq!(y.dtype(), dtype);
            assert_close(&host(y), &[LN_2 + 5e-4, 12.0], 5e-3);
            assert_close(&host(log_odds(x)), &[6.907, -12.0], 5e-3); // log(0.999 / 0.001)
        }
    }

    #[test]
    fn f64_scalars_keep_their_digits_in_f64_tensors() {
        let third = 1.0 / 3.0;
        let x = tracked(&[0.0]);
        assert_eq!(host(x.clone() + third), [third]);
        assert_eq!(host((x.clone() + 1.0) * third), [third]);
        assert_eq!(host(x.clone().clamp_min(third)), [third]);
        let mask = x.clone().equal_scalar(0.0);
        assert_eq!(host(x.mask_fill(mask, third)), [third]);
    }
}
