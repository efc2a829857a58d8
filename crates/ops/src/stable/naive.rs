//! The functions that have a loop of their own on `flex`, in burn's operations.
//!
//! These are the specification of the others, and what runs on every other backend. GPU runtimes fuse such a chain into
//! one kernel, whose `log1p` is not to be had otherwise: every CubeCL runtime (CUDA, wgpu, …) compiles burn's to
//! `ln(x + 1)`, which is 0 for an f32 below 6e-8.

use core::f64::consts::{FRAC_1_SQRT_2, LN_2};

use burn::tensor::{Bool, DType, Tensor};

use super::{in_f32, log_space::likeliest};

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

/// [`softplus`](super::softplus), by way of [`log1p`].
pub fn softplus<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    in_f32(x, |x| {
        let linear = x.clone().greater_scalar(SOFTPLUS_LINEAR);
        log1p(x.clone().mask_fill(linear.clone(), 0.0).exp()).mask_where(linear, x)
    })
}

/// [`log_sigmoid`](super::log_sigmoid), by way of [`softplus`].
pub fn log_sigmoid<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    softplus(x.neg()).neg()
}

/// [`logistic`](super::logistic): `exp(x) / (1 + exp(x))` below 0 and `1 / (1 + exp(-x))` elsewhere.
pub fn logistic<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    in_f32(x, |x| {
        let below = x.clone().lower_scalar(0.0);
        let tail = x.clone().mask_fill(below.clone().bool_not(), 0.0).exp();
        let rest = x.mask_fill(below.clone(), 0.0).neg().exp();
        (rest + 1.0).recip().mask_where(below, tail.clone() / (tail + 1.0))
    })
}

/// [`exp`](super::exp): burn's own.
pub fn exp<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    in_f32(x, Tensor::exp)
}

/// [`clamp_exponent`](super::clamp_exponent) to ±`bound`: burn's own.
pub fn clamp_exponent<const D: usize>(x: Tensor<D>, bound: f64) -> Tensor<D> {
    x.clamp(-bound, bound)
}

/// [`log1p`](super::log1p): near 0 three terms of `2 atanh(x / (2 + x))`, elsewhere burn's own.
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

/// [`expm1`](super::expm1): on |x| ≤ 1/2 `2x / (x coth(x/2) - x)` with the series of `coth`, elsewhere `exp(x) - 1`.
pub fn expm1<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    in_f32(x, |x| {
        let (near, small, c) = coth_series(&x);
        let series = small.clone() * 2.0 / (small.clone().square() * c - small + 2.0);
        x.mask_fill(near.clone(), 1.0).exp().sub_scalar(1.0).mask_where(near, series)
    })
}

/// [`expm1_minus_x`](super::expm1_minus_x): on |x| ≤ 1/2 `x² (1 - x c) / (2 - x + x² c)` with `x coth(x/2) = 2 + x² c`, which
/// subtracts no equals.
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

/// [`log1mexp`](super::log1mexp), by way of [`expm1`] and [`log1p`].
pub fn log1mexp<const D: usize>(a: Tensor<D>) -> Tensor<D> {
    in_f32(a, |a| {
        let a = a.clone().clamp_max(likeliest(a.dtype()));
        let near = a.clone().greater_scalar(-LN_2);
        let likely = expm1(a.clone().mask_fill(near.clone().bool_not(), -LN_2)).neg().log();
        log1p(a.mask_fill(near.clone(), -LN_2).exp().neg()).mask_where(near, likely)
    })
}

/// [`log_odds`](super::log_odds), by way of [`log1mexp`].
pub fn log_odds<const D: usize>(a: Tensor<D>) -> Tensor<D> {
    in_f32(a, |a| a.clone() - log1mexp(a))
}

/// Where `(1 + 2t) exp(t²) erfc(t)` is expanded: in `y = (t − c) / (t + c)`, after M. M. Shepherd and J. G. Laframboise,
/// Chebyshev approximation of (1 + 2x) exp(x²) erfc x in 0 ≤ x < ∞ (1981).
pub(crate) const ERFCX_CENTER: f64 = 3.75;

/// Coefficients of that function in `y`, from its Chebyshev series; the relative error is below 3e-16 for all t ≥ 0.
pub(crate) const ERFCX: [f64; 23] = [
    1.237_512_630_837_827_5,
    -0.140_240_598_585_545_25,
    0.003_585_415_485_479_025_7,
    0.082_276_738_489_995_06,
    -0.108_803_930_142_444_62,
    0.092_304_321_164_281_25,
    -0.058_693_398_576_649_34,
    0.028_362_277_372_111_14,
    -0.009_746_579_683_265_262,
    0.001_755_626_165_197_065_2,
    0.000_293_714_378_044_958,
    -0.000_290_155_352_460_776_55,
    5.164_652_974_177_416e-05,
    2.238_756_571_491_181_6e-05,
    -1.143_804_803_334_689_4e-05,
    -9.792_625_707_303_523e-07,
    1.741_982_158_622_481_6e-06,
    -5.084_465_378_687_302e-08,
    -2.485_712_624_801_674_5e-07,
    1.879_082_322_370_048e-08,
    3.197_926_671_666_804e-08,
    -1.955_135_886_898_561_6e-09,
    -2.623_107_347_133_476e-09,
];

/// `exp(t²) erfc(t)` of t ≥ 0, which neither overflows nor underflows.
fn scaled_erfc<const D: usize>(t: Tensor<D>) -> Tensor<D> {
    // Written so that t = ∞ gives y = 1.
    let y = (t.clone() + ERFCX_CENTER).recip() * (-2.0 * ERFCX_CENTER) + 1.0;
    let last = ERFCX[ERFCX.len() - 1];
    let p = ERFCX.iter().rev().skip(1).fold(y.zeros_like() + last, |sum, &k| sum * y.clone() + k);
    p / (t * 2.0 + 1.0)
}

/// [`log_normal_cdf`](super::log_normal_cdf): below 0 the exponent `−z²/2` and the logarithm of what is left, above 0 by way
/// of [`log1p`] of the other tail.
pub fn log_normal_cdf<const D: usize>(z: Tensor<D>) -> Tensor<D> {
    in_f32(z, |z| {
        let above = z.clone().greater_scalar(0.0);
        // Not `abs`, which has no slope at 0.
        let size = z.clone().neg().mask_where(above.clone(), z);
        let exponent = size.clone().square() * -0.5;
        let other = scaled_erfc(size * FRAC_1_SQRT_2) * 0.5;
        let below = other.clone().log() + exponent.clone();
        below.mask_where(above, log1p((exponent.exp() * other).neg()))
    })
}
