//! Numbers of a row: what is stored, what sums run in, its exponential, and sums side by side.

use std::ops::{Add, Mul, Sub};

use burn::tensor::{Element, bf16, f16};

/// Columns that are scaled, searched and summed together; they stay in the first-level cache.
pub(super) const BLOCK: usize = 1024;

/// Partial sums kept side by side, so that the compiler can use vectors of any width up to this.
pub(super) const LANES: usize = 16;

/// Precision of the sums of a block; the sums of a row are f64.
pub(super) trait Real:
    Element + bytemuck::Pod + PartialOrd + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self>
{
    const ZERO: Self;
    const ONE: Self;
    const LOWEST: Self;
    const NEG_INFINITY: Self;
    fn from_f64(x: f64) -> Self;
    fn to_f64(self) -> f64;
    /// `exp(x)` for `x` up to about 80, NaN for NaN.
    fn exp(self) -> Self;
}

impl Real for f64 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
    const LOWEST: Self = f64::MIN;
    const NEG_INFINITY: Self = f64::NEG_INFINITY;
    fn from_f64(x: f64) -> Self {
        x
    }
    fn to_f64(self) -> f64 {
        self
    }
    fn exp(self) -> Self {
        self.exp()
    }
}

impl Real for f32 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
    const LOWEST: Self = f32::MIN;
    const NEG_INFINITY: Self = f32::NEG_INFINITY;
    fn from_f64(x: f64) -> Self {
        x as f32
    }
    fn to_f64(self) -> f64 {
        f64::from(self)
    }

    /// `2^n exp(r)` with `x = n ln 2 + r`: Cody and Waite's reduction, then a polynomial; within 2 units in the last
    /// place of the standard library's, which the compiler cannot vectorize. Below -87.33 it is 0, not subnormal.
    #[inline(always)]
    fn exp(self) -> Self {
        const SHIFT: f32 = 12_582_912.0; // 1.5 · 2²³: adding it rounds to an integer, which its low bits then hold.
        const LN_2_HIGH: f32 = 0.693_359_4;
        const LN_2_LOW: f32 = -2.121_944_4e-4;
        let shifted = self * std::f32::consts::LOG2_E + SHIFT;
        let n = shifted - SHIFT;
        let r = (self - n * LN_2_HIGH) - n * LN_2_LOW;
        // The Taylor series, whose first missing term is 3e-9 relative at |r| = ln 2 / 2.
        let p = 1.0 / 5040.0;
        let p = p * r + 1.0 / 720.0;
        let p = p * r + 1.0 / 120.0;
        let p = p * r + 1.0 / 24.0;
        let p = p * r + 1.0 / 6.0;
        let p = p * r + 0.5;
        let p = (p * r) * r + r + 1.0;
        let power = f32::from_bits(shifted.to_bits().wrapping_sub(SHIFT.to_bits()).wrapping_add(127) << 23);
        if self < -87.33 { 0.0 } else { p * power }
    }
}

/// A logit as it is stored, and the precision its sums run in.
pub(super) trait Logit: Element + bytemuck::Pod {
    type Wide: Real;
    fn widen(self) -> Self::Wide;
    fn narrow(wide: Self::Wide) -> Self;
}

macro_rules! logit {
    ($stored:ty, $wide:ty, $widen:expr, $narrow:expr) => {
        impl Logit for $stored {
            type Wide = $wide;
            #[inline(always)]
            fn widen(self) -> $wide {
                $widen(self)
            }
            #[inline(always)]
            fn narrow(wide: $wide) -> Self {
                $narrow(wide)
            }
        }
    };
}

logit!(f64, f64, |x| x, |x| x);
logit!(f32, f32, |x| x, |x| x);
logit!(bf16, f32, bf16::to_f32, bf16::from_f32);
logit!(f16, f32, f16::to_f32, f16::from_f32);

#[inline(always)]
pub(super) fn sum<T: Real>(lanes: [T; LANES]) -> f64 {
    lanes.iter().map(|x| x.to_f64()).sum()
}
