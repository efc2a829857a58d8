//! Sums and complements of probabilities that are known by their logarithms.

use burn::tensor::{DType, Tensor};

use super::{Function, in_f32, naive, pointwise, softplus, wide};
use crate::{Result, check_shape};

/// Log-probabilities count as at most this, so that there is a complement.
pub(super) fn likeliest(dtype: DType) -> f64 {
    if dtype == DType::F64 { -1e-12 } else { -1e-7 }
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
    pointwise(a, |dtype| Function::Log1mExp { max: likeliest(dtype) }, naive::log1mexp)
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
    pointwise(a, |dtype| Function::LogOdds { max: likeliest(dtype) }, naive::log_odds)
}

/// `log(exp(a) + exp(b))`, element by element.
///
/// The gradients are the two softmax weights, 0.5 each at a tie. -∞ on one side gives the other side; on both it gives
/// -∞ with gradient 0. +∞ gives +∞, its gradient going to the infinite side (to `a` if both are).
///
/// # Shapes
/// `a` and `b`: the same `[..]`; `b` is cast to the dtype of `a`.
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
    let dtype = a.dtype();
    let (a, b) = (a.cast(wide(dtype)), b.cast(wide(dtype)));
    let swap = a.clone().lower(b.clone());
    let high = a.clone().mask_where(swap.clone(), b.clone());
    let low = b.mask_where(swap, a);
    let empty = high.clone().equal_scalar(f32::NEG_INFINITY);
    let full = high.clone().equal_scalar(f32::INFINITY);
    // ∞ - ∞ is NaN: say what the gap is there.
    let gap = (low - high.clone()).mask_fill(empty.clone().bool_or(full), f32::NEG_INFINITY);
    Ok((high + softplus(gap)).mask_fill(empty, f32::NEG_INFINITY).cast(dtype))
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

#[cfg(test)]
mod tests {
    use core::f64::consts::LN_2;

    use burn::tensor::Device;

    use super::*;
    use crate::Error;
    use crate::stable::testing::*;

    #[test]
    fn log1mexp_and_log_odds_take_both_branches() {
        assert_branches(log1mexp, log_odds);
        assert_branches(naive::log1mexp, naive::log_odds);
    }

    fn assert_branches(log1mexp: fn(Tensor<1>) -> Tensor<1>, log_odds: fn(Tensor<1>) -> Tensor<1>) {
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
        assert_clamped(log_odds);
        assert_clamped(naive::log_odds);
    }

    fn assert_clamped(log_odds: fn(Tensor<1>) -> Tensor<1>) {
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
        let f32s = Tensor::<1>::from_floats([0.0], &Device::flex().autodiff());
        assert_eq!(log_add_exp(f32s, tracked(&[0.0])).unwrap().dtype(), DType::F32);
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
}
