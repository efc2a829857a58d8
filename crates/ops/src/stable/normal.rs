//! The normal distribution, where a probability itself is 0 or 1.

use burn::tensor::Tensor;

use super::{Function, naive, pointwise};

/// `log Φ(z)`, Φ the distribution function of the standard normal distribution: the log-likelihood of a probit model.
///
/// Accurate in both tails: `−z²/2 − log(−z √(2π))` far below 0, `−Φ(−z)` far above. The gradient is `φ(z) / Φ(z)`, about
/// `−z` far below 0 and `φ(z)` far above. At `z` = −∞ the value is −∞, at +∞ it is 0.
///
/// # Example
/// ```
/// use accordant_ops::stable::log_normal_cdf;
/// use burn::tensor::{Device, Tensor};
/// let y = log_normal_cdf(Tensor::<1>::from_floats([0.0, 1.0, -100.0], &Device::flex()));
/// let y = y.into_data().try_to_vec::<f32>().unwrap();
/// assert_eq!(y[0], -(2f32.ln()));
/// assert!((y[1].exp() - 0.841_344_7).abs() < 1e-6);
/// assert!((y[2] / -5005.524 - 1.0).abs() < 1e-6); // Φ(-100) is 0 even in f64
/// ```
#[doc(alias = "log_ndtr")]
#[doc(alias = "probit")]
pub fn log_normal_cdf<const D: usize>(z: Tensor<D>) -> Tensor<D> {
    pointwise(z, |_| Function::LogNormalCdf, naive::log_normal_cdf)
}

#[cfg(test)]
mod tests {
    use core::f64::consts::LN_2;

    use super::*;
    use crate::stable::testing::*;

    /// Arguments, values and slopes, by mpmath with 60 digits.
    const KNOWN: [(f64, f64, f64); 20] = [
        (-10_000.0, -50_000_010.129_278_91, 10_000.000_099_999_997),
        (-700.0, -245_007.470_020_909_04, 700.001_428_565_597_7),
        (-100.0, -5_005.524_208_694_205, 100.009_998_000_999_26),
        (-41.0, -845.133_104_601_774_7, 41.024_361_311_106_92),
        (-37.5, -707.668_989_317_507_2, 37.526_628_874_883_656),
        (-20.0, -203.917_155_371_097_27, 20.049_753_068_527_853),
        (-5.0, -15.064_998_393_988_725, 5.186_503_967_125_842),
        (-1.0, -1.841_021_645_009_263_6, 1.525_135_276_160_981),
        (-0.6, -1.293_703_811_614_028, 1.215_025_760_237_543_4),
        (-0.001, -0.693_945_383_466_965_2, 0.798_521_289_562_911_4),
        (0.0, -LN_2, 0.797_884_560_802_865_4),
        (1.0e-12, -0.693_147_180_559_147_4, 0.797_884_560_802_228_7),
        (0.004_1, -0.689_881_202_144_203, 0.795_276_253_458_883_1),
        (0.5, -0.368_946_415_288_656_4, 0.509_160_433_837_033_5),
        (1.0, -0.172_753_779_023_449_88, 0.287_599_970_939_178_4),
        (2.0, -0.023_012_909_328_963_486, 0.055_247_862_678_989_956),
        (5.5, -1.898_956_264_618_946_4e-08, 1.076_976_024_705_631_1e-07),
        (6.0, -9.865_876_455_243_758e-10, 6.075_882_855_817_676e-09),
        (20.0, -2.753_624_118_606_233_7e-89, 5.520_948_362_159_764e-88),
        (37.0, -5.725_571_222_524_577e-300, 2.120_006_551_524_605_6e-298),
    ];

    #[test]
    fn value_and_slope_are_accurate_in_both_tails() {
        for log_normal_cdf in [log_normal_cdf, naive::log_normal_cdf] {
            let (values, grads) = value_and_grad(&KNOWN.map(|known| known.0), log_normal_cdf);
            assert_close(&values, &KNOWN.map(|known| known.1), 4e-15);
            assert_close(&grads, &KNOWN.map(|known| known.2), 1e-14);
            assert_gradient(&[-7.3, -0.4, 0.0, 0.2, 3.1], log_normal_cdf);
        }
    }

    #[test]
    fn far_out_it_is_finite_or_what_it_tends_to() {
        for log_normal_cdf in [log_normal_cdf, naive::log_normal_cdf] {
            let (values, grads) = value_and_grad(&[-1e150, 1e150, 80.0], log_normal_cdf);
            assert_close(&[values[0], grads[0]], &[-5e299, 1e150], 1e-15);
            assert_eq!((&values[1..], &grads[1..]), (&[0.0, 0.0][..], &[0.0, 0.0][..]));
            let ends = tracked(&[f64::NEG_INFINITY, f64::INFINITY]);
            assert_eq!(host(log_normal_cdf(ends)), [f64::NEG_INFINITY, 0.0]);
        }
    }
}
