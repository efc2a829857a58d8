//! Exponential and logarithm in f64, without the branches and tables of the standard library's, so that the compiler can
//! make vectors of them. Errors stay within 3 units in the last place; NaN gives NaN.

use std::f64::consts::LOG2_E;

/// 1.5 · 2⁵²: adding it rounds to a whole number, which the low bits then hold.
const SHIFT: f64 = 6_755_399_441_055_744.0;

/// ln 2 in two parts, the first of so few bits that its products with exponents are exact.
const LN_2_HIGH: f64 = 0.693_147_180_369_123_8;
const LN_2_LOW: f64 = 1.908_214_929_270_587_7e-10;

/// Coefficients of `(exp(r) - 1 - r) / r²`. The first one left out is below 2e-17 of `exp(r) - 1` at |r| = ln 2 / 2.
const EXP: [f64; 12] = [
    1.0 / 2.0,
    1.0 / 6.0,
    1.0 / 24.0,
    1.0 / 120.0,
    1.0 / 720.0,
    1.0 / 5_040.0,
    1.0 / 40_320.0,
    1.0 / 362_880.0,
    1.0 / 3_628_800.0,
    1.0 / 39_916_800.0,
    1.0 / 479_001_600.0,
    1.0 / 6_227_020_800.0,
];

/// Coefficients of `(2 atanh(s) - 2 s) / s³` in `s²`. The first one left out is below 2e-18 at s = 3 - √8.
const ATANH: [f64; 10] = [
    2.0 / 3.0,
    2.0 / 5.0,
    2.0 / 7.0,
    2.0 / 9.0,
    2.0 / 11.0,
    2.0 / 13.0,
    2.0 / 15.0,
    2.0 / 17.0,
    2.0 / 19.0,
    2.0 / 21.0,
];

#[inline(always)]
pub(super) fn polynomial(coefficients: &[f64], x: f64) -> f64 {
    coefficients.iter().rev().fold(0.0, |sum, coefficient| sum * x + coefficient)
}

/// `2^n` of a whole |n| ≤ 1022.
#[inline(always)]
fn power_of_two(n: f64) -> f64 {
    f64::from_bits((n + (SHIFT + 1023.0)).to_bits() << 52)
}

/// `exp(x)` in the parts that its relatives are made of: `x = n ln 2 + r` by Cody and Waite.
#[derive(Clone, Copy)]
pub(super) struct Exp {
    r: f64,
    /// `exp(r) - 1 - r`.
    rest: f64,
    n: f64,
}

impl Exp {
    #[inline(always)]
    pub(super) fn of(x: f64) -> Self {
        // Beyond, results are 0 and infinite anyway.
        let x = x.clamp(-1000.0, 1000.0);
        let n = (x * LOG2_E + SHIFT) - SHIFT;
        let r = (x - n * LN_2_HIGH) - n * LN_2_LOW;
        Self { r, rest: r * r * polynomial(&EXP, r), n }
    }

    /// `2^n` in two factors, since `n` exceeds what one can have, and the inverse of the second.
    #[inline(always)]
    fn powers(self) -> [f64; 3] {
        let half = (self.n * 0.5 + SHIFT) - SHIFT;
        [power_of_two(half), power_of_two(self.n - half), power_of_two(half - self.n)]
    }

    /// `exp(x)`.
    #[inline(always)]
    pub(super) fn exp(self) -> f64 {
        let [low, high, _] = self.powers();
        (1.0 + (self.r + self.rest)) * low * high
    }

    /// `exp(x) - 1`, to relative accuracy around 0: there `n` is 0 and nothing is subtracted.
    #[inline(always)]
    pub(super) fn expm1(self) -> f64 {
        let [low, high, inverse] = self.powers();
        ((self.r + self.rest) * low + (low - inverse)) * high
    }

    /// `exp(x) - 1 - x`, to relative accuracy around 0.
    #[inline(always)]
    pub(super) fn expm1_minus(self, x: f64) -> f64 {
        if self.n == 0.0 { self.rest } else { self.expm1() - x }
    }
}

/// `log(x)`, where `less_one` is `x - 1` before it was rounded. For 0 and normal numbers.
#[inline(always)]
fn log(x: f64, less_one: f64) -> f64 {
    const SQRT_HALF: u64 = 0x3fe6_a09e_667f_3bcd;
    const MANTISSA: u64 = (1 << 52) - 1;
    // x = 2^k m with m between √½ and √2.
    let shifted = x.to_bits().wrapping_sub(SQRT_HALF).wrapping_add(1023 << 52);
    let k = f64::from_bits(SHIFT.to_bits() + (shifted >> 52)) - (SHIFT + 1023.0);
    let m = f64::from_bits((shifted & MANTISSA) + SQRT_HALF);
    let f = if k == 0.0 { less_one } else { m - 1.0 };
    let s = f / (2.0 + f);
    let s2 = s * s;
    let log = k * LN_2_HIGH + (k * LN_2_LOW + (2.0 * s + s * s2 * polynomial(&ATANH, s2)));
    if x > 0.0 && x < f64::INFINITY {
        log
    } else if x == f64::INFINITY {
        x
    } else if x == 0.0 {
        f64::NEG_INFINITY
    } else {
        f64::NAN
    }
}

/// `log(1 + x)`, to relative accuracy around 0; -∞ at -1 and NaN below.
#[inline(always)]
pub(super) fn log1p(x: f64) -> f64 {
    log(1.0 + x, x)
}

/// `log(x)` of 0 and normal numbers.
#[inline(always)]
pub(super) fn ln(x: f64) -> f64 {
    log(x, x - 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers of every size: 2001 steps between `low` and `high`.
    fn steps(low: f64, high: f64) -> impl Iterator<Item = f64> {
        (0..=2000).map(move |i| low + (high - low) * f64::from(i) / 2000.0)
    }

    #[track_caller]
    fn assert_near(got: f64, expected: f64, x: f64) {
        let near = got == expected || (got - expected).abs() <= 7e-16 * expected.abs();
        assert!(near, "at {x:e}: {got:e}, expected {expected:e}");
    }

    #[test]
    fn exponentials_are_those_of_the_standard_library() {
        for x in steps(-708.0, 709.7).chain(steps(-2.0, 2.0)).chain(steps(-1e-3, 1e-3)).chain([1e-300, 0.0, -1e-17]) {
            assert_near(Exp::of(x).exp(), x.exp(), x);
            assert_near(Exp::of(x).expm1(), x.exp_m1(), x);
        }
        for (x, exp) in [(-1e300, 0.0), (-746.0, 0.0), (710.0, f64::INFINITY), (f64::INFINITY, f64::INFINITY)] {
            assert_eq!((Exp::of(x).exp(), Exp::of(x).expm1()), (exp, exp - 1.0));
        }
        // Subnormal numbers have few digits.
        assert!((Exp::of(-740.0).exp() - (-740f64).exp()).abs() <= 5e-324);
        assert!(Exp::of(f64::NAN).exp().is_nan() && Exp::of(f64::NAN).expm1().is_nan());
    }

    #[test]
    fn logarithms_are_those_of_the_standard_library() {
        for x in steps(-0.9999, 5.0).chain(steps(-1e-3, 1e-3)).chain([1e-300, 0.0, -1e-17, 1e17, 1e300]) {
            assert_near(log1p(x), x.ln_1p(), x);
        }
        for x in steps(1e-12, 4.0).chain([1e-300, 1.0, 1e300]) {
            assert_near(ln(x), x.ln(), x);
        }
        assert_eq!([log1p(-1.0), ln(0.0), ln(f64::INFINITY)], [-f64::INFINITY, -f64::INFINITY, f64::INFINITY]);
        assert!([log1p(-1.1), log1p(f64::NAN), ln(-1.0), ln(f64::NAN), ln(-f64::INFINITY)].iter().all(|x| x.is_nan()));
    }
}
