//! Element-wise forms that survive the extremes.
//!
//! | write | instead of | which breaks at |
//! |---|---|---|
//! | [`softplus`]`(-h)` | `-log(sigmoid(h))` | h = -104 in f32: infinite |
//! | [`log_sigmoid`]`(h)` | `log(sigmoid(h))` | the same |
//! | [`logistic`]`(x)` | `1 / (1 + exp(-x))` | x = -89 in f32: the gradient is NaN |
//! | [`log1p`]`(x)` | `(1 + x).log()`, and burn's own on a GPU | x = 1e-8 in f32: 0 |
//! | [`exp`]`(x)` | `x.exp()` | nowhere: that is computed again in the backward pass |
//! | [`expm1`]`(x)` | `x.exp() - 1` | x = 1e-8 in f32: 0 |
//! | [`expm1_minus_x`]`(x)` | `x.exp() - 1 - x` | x = 1e-4 in f32: noise |
//! | [`log1mexp`]`(a)`, [`log_odds`]`(a)` | `(1 - a.exp()).log()` | a = -1e-8 in f32: infinite |
//! | [`log_add_exp`], [`log_sum_exp`] | `(a.exp() + b.exp()).log()` | a = 89 in f32: infinite |
//! | [`log_normal_cdf`]`(z)` | `(0.5 * (1 + (z / √2).erf())).log()` | z = -5.5 in f32: infinite |
//! | [`huber`]`(u, k)` | two branches and a square | u = 1e20 in f32: the square is infinite |
//! | [`x_log_x`]`(p)` | `p * p.log()` | p = 0: NaN |
//!
//! **Dtype:** f32 and f64 are kept; f16 and bf16 are computed in f32 and rounded at the end. **Shapes:** every function
//! maps `[..]` to the same `[..]`, but for [`log_sum_exp`]; empty tensors stay empty. **NaN** gives NaN, and only in
//! its own place. Branches that are not taken are fed a constant, because the backward pass multiplies their derivative
//! by 0 and 0 · ∞ is NaN. Fill masked positions *before* calling anything here, for the same reason.
//!
//! **Where it runs.** On `flex`, the functions that [`naive`] has are one pass each over memory, and one step of the
//! backward pass; elsewhere they are chains of burn's operations.

use burn::backend::Dispatch;
use burn::tensor::{DType, FloatDType, Tensor};

use crate::backend::{
    has_pointwise,
    pointwise::{Function, PointwiseOps},
};

mod clamps;
mod log_space;
mod logistic;
pub mod naive;
mod near_zero;
mod normal;
mod pointwise;
#[cfg(test)]
pub(crate) mod testing;

pub use clamps::{LOG_RATIO_CLAMP, cap_exponent, clamp_exponent, exponent_max};
pub use log_space::{log_add_exp, log_odds, log_sum_exp, log1mexp};
pub use logistic::{log_sigmoid, logistic, softplus};
pub use near_zero::{exp, expm1, expm1_minus_x, log1p};
pub use normal::log_normal_cdf;
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

/// A function in one pass where the backend has that, and else in burn's operations.
fn pointwise<const D: usize>(
    x: Tensor<D>,
    function: fn(DType) -> Function,
    naive: fn(Tensor<D>) -> Tensor<D>,
) -> Tensor<D> {
    if !has_pointwise(&x.device()) {
        return naive(x);
    }
    in_f32(x, |x| {
        let function = function(x.dtype());
        Tensor::from_dispatch(Dispatch::pointwise(x.into_dispatch(), function))
    })
}

#[cfg(test)]
mod tests {
    use core::f64::consts::LN_2;

    use burn::tensor::{Device, TensorData};

    use super::testing::*;
    use super::*;

    type Form = fn(Tensor<1>) -> Tensor<1>;

    const BOTH_FORMS: [(Form, Form); 10] = [
        (softplus, naive::softplus),
        (log_sigmoid, naive::log_sigmoid),
        (log1p, naive::log1p),
        (expm1, naive::expm1),
        (expm1_minus_x, naive::expm1_minus_x),
        (log1mexp, naive::log1mexp),
        (log_odds, naive::log_odds),
        (logistic, naive::logistic),
        (exp, naive::exp),
        (log_normal_cdf, naive::log_normal_cdf),
    ];

    /// `n` numbers between -30 and 30, none of them 0, in f32.
    fn many(n: usize) -> Tensor<1> {
        let size = |i: usize| (i as f32 * 0.37) % 30.0 + 0.003;
        let numbers: Vec<f32> = (0..n).map(|i| if i % 2 == 0 { -size(i) } else { size(i) }).collect();
        Tensor::from_floats(numbers.as_slice(), &Device::flex().autodiff())
    }

    #[test]
    fn both_forms_agree_however_many_numbers_lie_anyhow() {
        for (i, (direct, naive)) in BOTH_FORMS.into_iter().enumerate() {
            // Only the logarithm has no number below -1.
            let is_log = i == 2;
            for n in [1, 33, 70_001] {
                let run = |f: Form, leaf: Tensor<1>| {
                    // The second column of a matrix.
                    let view = Tensor::stack::<2>(vec![leaf.clone(); 2], 1).narrow(1, 1, 1).squeeze_dim::<1>(1);
                    let grads = f(view.clone()).sum().backward();
                    let plain = f(leaf.clone().inner());
                    assert_eq!(host(f(view)), host(plain.clone()), "without a graph and with one");
                    (plain, leaf.grad(&grads).unwrap())
                };
                let x = if is_log { many(n).abs() } else { many(n) }.detach();
                let [got, expected] = [direct, naive].map(|f| run(f, x.clone().require_grad()));
                assert_eq!(got.0.dtype(), DType::F32);
                for (got, expected) in [(got.0, expected.0), (got.1, expected.1)] {
                    for (i, (got, expected)) in host(got).into_iter().zip(host(expected)).enumerate() {
                        // The tails are tested elsewhere; log-odds cancel where p is near 1/2.
                        let near = (got - expected).abs() <= 3e-6 * expected.abs() + 1e-7;
                        assert!(near, "{i} of {n}: {got} {expected}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_loops_round_f32_once() {
        let x = many(4001);
        for (f, value, slope) in [
            (
                softplus as Form,
                (|x| x.max(0.0) + (-x.abs()).exp().ln_1p()) as fn(f64) -> f64,
                sigmoid as fn(f64) -> f64,
            ),
            (logistic, sigmoid, |x| sigmoid(x) * sigmoid(-x)),
            (exp, f64::exp, f64::exp),
            (expm1, f64::exp_m1, f64::exp),
            (|x| log1p(x.abs()), |x| x.abs().ln_1p(), |x| x.signum() / (1.0 + x.abs())),
        ] {
            let leaf = x.clone().detach().require_grad();
            let y = f(leaf.clone());
            let grad = leaf.grad(&y.clone().sum().backward()).unwrap();
            for ((x, y), grad) in host(x.clone()).into_iter().zip(host(y)).zip(host(grad)) {
                let near = |got: f64, expected: f64| (got - expected).abs() <= 5.97e-8 * expected.abs();
                assert!(near(y, value(x)) && near(grad, slope(x)), "{x}: {y} {grad}");
            }
        }
    }

    #[test]
    fn nan_stays_in_its_place_and_empty_stays_empty() {
        for f in BOTH_FORMS.into_iter().flat_map(|(direct, naive)| [direct, naive]).chain([x_log_x as Form]) {
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
