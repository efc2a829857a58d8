//! Policy drift: the divergence of a policy from its reference, estimated from samples.

use crate::error::Result;
use crate::estimate::Estimate;
use crate::interval::mean_of;

/// The KL divergence of the policy from its reference, KL(π ‖ π_ref), in **nats per sequence**.
///
/// ```text
/// (1/n) Σᵢ Σₜ (log π(yᵢₜ) − log π_ref(yᵢₜ))
/// ```
///
/// Item *i* of `log_ratios` is the inner sum: over the completion tokens of one sequence **sampled from the policy** at
/// temperature 1. This is the plain estimator, k1: unbiased, with Student's interval of a mean. The divergence is never
/// negative but this estimate can be, by chance, when it is small next to its interval; it is reported as it comes,
/// because clipping at 0 would bias it. Sequences sampled from anything else estimate another quantity.
///
/// One sequence gives an infinite interval. A policy equal to its reference gives 0 with an interval of width 0.
///
/// # Errors
/// [`Empty`](crate::Error::Empty) without sequences, [`NonFinite`](crate::Error::NonFinite) at the first NaN or infinity
/// (a log-ratio is infinite where one of the two models rules the sampled token out).
///
/// # Example
/// ```
/// use accordant_metrics::kl_from_samples;
/// // Two sequences that the policy finds e² and e⁴ times as likely as the reference does: 3 nats.
/// assert_eq!(kl_from_samples(&[2.0, 4.0])?.value, 3.0);
/// # Ok::<(), accordant_metrics::Error>(())
/// ```
#[doc(alias = "k1")]
#[doc(alias = "reverse KL")]
#[doc(alias = "Kullback-Leibler")]
pub fn kl_from_samples(log_ratios: &[f64]) -> Result<Estimate> {
    mean_of("log_ratios", log_ratios)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::error::Error;

    /// π = (.5, .3, .2) against (.4, .4, .2): ten samples in exactly these proportions give the exact divergence.
    #[test]
    fn golden_kl_of_three_outcomes() {
        let (a, b, c) = ((0.5_f64 / 0.4).ln(), (0.3_f64 / 0.4).ln(), 0.0);
        let kl = kl_from_samples(&[a, a, a, a, a, b, b, b, c, c]).unwrap();
        assert!((kl.value - 0.0252671539).abs() < 5e-11, "{}", kl.value);
        assert_eq!(kl.n, 10);
    }

    #[test]
    fn a_small_divergence_may_come_out_negative() {
        let kl = kl_from_samples(&[0.1, -0.3]).unwrap();
        assert!((kl.value + 0.1).abs() < 1e-15);
        assert!(kl.low < 0.0 && kl.high > 0.0);
    }

    #[test]
    fn a_policy_equal_to_its_reference_has_not_moved() {
        assert_eq!(kl_from_samples(&[0.0; 4]).unwrap(), Estimate { value: 0.0, low: 0.0, high: 0.0, n: 4 });
    }

    #[test]
    fn one_sequence_has_an_infinite_interval() {
        let kl = kl_from_samples(&[1.5]).unwrap();
        assert_eq!(kl, Estimate { value: 1.5, low: f64::NEG_INFINITY, high: f64::INFINITY, n: 1 });
    }

    #[test]
    fn no_sequences_are_an_error() {
        assert_eq!(kl_from_samples(&[]), Err(Error::Empty { name: "log_ratios" }));
    }

    #[test]
    fn a_log_ratio_that_is_not_finite_is_named_by_its_index() {
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let error = kl_from_samples(&[0.0, bad]).unwrap_err();
            assert!(matches!(error, Error::NonFinite { name: "log_ratios", index: 1, .. }), "{error}");
        }
    }

    proptest! {
        #[test]
        fn order_does_not_change_the_estimate(
            (original, shuffled) in prop::collection::vec(-1e4..1e4, 2..40)
                .prop_flat_map(|ratios| (Just(ratios.clone()), Just(ratios).prop_shuffle())),
        ) {
            let (kl, other) = (kl_from_samples(&original).unwrap(), kl_from_samples(&shuffled).unwrap());
            // Sums of up to 4e5 in another order: 1e-8 leaves two digits.
            prop_assert!((kl.value - other.value).abs() < 1e-8);
            prop_assert!((kl.low - other.low).abs() < 1e-8);
            prop_assert!((kl.high - other.high).abs() < 1e-8);
        }
    }
}
