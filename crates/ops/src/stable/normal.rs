//! The normal distribution function.

use burn::tensor::Tensor;

use super::{in_f32, log1p};

const HALF_LN_2_PI: f64 = 0.918_938_533_204_672_8;
/// Beyond, the tail's continued fraction; `1 − erf` would lose digits there.
const TAIL: f64 = 2.0;
/// At [`TAIL`] this many terms reach 1e-14.
const TERMS: usize = 80;

/// `log Φ(z)` of the standard normal distribution function, accurate in both tails.
///
/// The gradient is `φ(z)/Φ(z)`, about `−z` far below: it does not vanish where `Φ` underflows. ±∞ give 0 and −∞ with
/// gradient 0.
///
/// # Example
/// ```
/// use accordant_ops::stable::log_normal_cdf;
/// use burn::tensor::{Device, Tensor};
/// let y = log_normal_cdf(Tensor::<1>::from_floats([0.0, -40.0], &Device::flex()));
/// let y = y.into_data().try_to_vec::<f32>().unwrap();
/// assert!((y[0] + 2f32.ln()).abs() < 1e-7 && (y[1] + 804.608_4).abs() < 1e-3); // Φ(−40) is 0 in f32
/// ```
#[doc(alias = "probit")]
pub fn log_normal_cdf<const D: usize>(z: Tensor<D>) -> Tensor<D> {
    in_f32(z, |z| {
        // The derivative is known: none of this needs a graph.
        let x = z.clone().detach();
        let size = x.clone().abs();
        let in_tail = size.clone().greater_scalar(TAIL);
        let far = size.clone().clamp_min(TAIL);
        // Φ(−x)/φ(x) = 1/(x + 1/(x + 2/(x + 3/(x + …))))
        let denominator = (1..=TERMS).rev().fold(far.clone(), |below, k| far.clone() + below.recip() * k as f64);
        let log_tail = -(far.square() * 0.5) - HALF_LN_2_PI - denominator.clone().log();
        let near = (size.clamp_max(TAIL) * std::f64::consts::FRAC_1_SQRT_2).erf();
        let beyond = (near.clone().neg() + 1.0) * 0.5;
        let below = beyond.clone().log().mask_where(in_tail.clone(), log_tail.clone());
        let above = log1p(-beyond.mask_where(in_tail.clone(), log_tail.exp()));
        let negative = x.clone().lower_scalar(0.0);
        let value = above.mask_where(negative.clone(), below);
        let ratio = (-(x.clone().square() * 0.5) - HALF_LN_2_PI - value.clone()).exp();
        let slope = ratio.mask_where(negative.bool_and(in_tail), denominator);
        let infinite = x.clone().is_inf();
        value + slope.mask_fill(infinite.clone(), 0.0) * (z - x).mask_fill(infinite, 0.0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stable::testing::*;

    #[test]
    fn the_logarithm_of_the_normal_distribution_is_right_in_both_tails() {
        // Values of scipy 1.17's `log_ndtr`.
        let known = [
            (-100.0, -5005.524208694205),
            (-37.5, -707.6689893175072),
            (-20.0, -203.9171553710973),
            (-5.0, -15.064998393988727),
            (-1.0, -1.8410216450092636),
            (0.5, -0.3689464152886566),
            (6.0, -9.86587645524372e-10),
        ];
        let (values, grads) = value_and_grad(&known.map(|(z, _)| z), log_normal_cdf);
        assert_close(&values, &known.map(|(_, value)| value), 1e-13);
        // φ(z)/Φ(z), by logarithms.
        let slopes = known.map(|(z, value): (f64, f64)| (-0.5 * z * z - HALF_LN_2_PI - value).exp());
        assert_close(&grads, &slopes, 1e-10);
        assert_gradient(&[-7.0, -2.5, -1.9, -0.3, 0.0, 0.8, 2.2, 3.0], log_normal_cdf);
    }

    #[test]
    fn both_forms_meet_and_infinities_have_no_gradient() {
        let (values, _) = value_and_grad(&[-2.0, -2.0 - 1e-12, 2.0, 2.0 + 1e-12], log_normal_cdf);
        assert_close(&values[1..2], &values[..1], 1e-11);
        assert_close(&values[3..], &values[2..3], 1e-11);
        let (values, grads) = value_and_grad(&[f64::NEG_INFINITY, f64::INFINITY, -1e4, f64::NAN], log_normal_cdf);
        assert_eq!((&values[..2], &grads[..2]), (&[f64::NEG_INFINITY, 0.0][..], &[0.0, 0.0][..]));
        assert!((grads[2] / 1e4 - 1.0).abs() < 1e-7 && values[3].is_nan());
    }
}
