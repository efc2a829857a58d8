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

use burn::tensor::{DType, FloatDType, Tensor};

mod clamps;
mod log_space;
mod logistic;
mod near_zero;
mod pointwise;
#[cfg(test)]
pub(crate) mod testing;

pub use clamps::{LOG_RATIO_CLAMP, cap_exponent, clamp_exponent, exponent_max};
pub use log_space::{log_add_exp, log_odds, log_sum_exp, log1mexp};
pub use logistic::{log_sigmoid, softplus};
pub use near_zero::{expm1, expm1_minus_x, log1p};
pub use pointwise::{huber, x_log_x};

/// What sums and counts run in: f64 for f64 and f32 for the rest, since f16 counts to 2048 and bf16 to 256.
pub(crate) fn wide(dtype: DType) -> FloatDType {
    if dtype == DType::F64 { FloatDType::F64 } else { FloatDType::F32 }
}

/// Runs `f` in f32 when `x` is f16 or bf16, and rounds what comes back.
fn in_f32<const D: usize>(x: Tensor<D>, f: impl FnOnce(Tensor<D>) -> Tensor<D>) -> Tensor<D> {
    match x.dtype() {
        DType::F32 | DType::F64 => f(x),
        narrow => f(x.cast(FloatDType::F32)).cast(narrow),
    }
}

#[cfg(test)]
mod tests {
    use core::f64::consts::LN_2;

    use burn::tensor::{Device, TensorData};

    use super::testing::*;
    use super::*;

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
            assert_close(&host(log_odds(x.clone())), &[6.907, -12.0], 5e-3); // log(0.999 / 0.001)
            // 200 · (300 - 200/2), and log(e⁻¹ + e⁻¹²).
            let u = Tensor::<1>::from_data(TensorData::from([300.0, -1.0]), (&Device::flex(), dtype));
            assert_close(&host(huber(u.clone(), 200.0).unwrap()), &[40_000.0, 0.5], 5e-3);
            assert_close(&host(log_add_exp(u, x).unwrap()), &[300.0, -0.999_983], 5e-3);
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
