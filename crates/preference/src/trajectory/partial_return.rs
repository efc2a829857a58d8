//! Partial returns: a segment is preferred for the rewards that it collects.
//!
//! **Paper:** Deep Reinforcement Learning from Human Preferences (2017), 1706.03741.
//! **Use when:** rewards are learned from judged segments, and judges look at what happens within them.
//! **Checked by:** hand-worked values, gradients, what the likelihood cannot see, the fit on the host
//! ([`super::reward_fit`]).
//! **Deviations:** none.

use accordant_ops::check_shape;
use burn::tensor::{Bool, Tensor};

use super::Steps;
use crate::Result;

/// The returns of segments, to be compared by any [`crate::pairwise::PairwiseLoss`].
///
/// ```text
/// P(σ¹ ≻ σ²) = σ(β [Σ_t γ^t r(s¹_t, a¹_t) − Σ_t γ^t r(s²_t, a²_t)])
/// ```
///
/// β is the reciprocal of Bradley-Terry's temperature. A constant added to every reward is not seen between segments of
/// one length; shaping by potentials is (unlike by [`super::regret`]).
///
/// # Shapes
/// `rewards`: `[n, time]`, to `[n]`. `discount`: in (0, 1]; within segments 1 is usual. A segment without a step has 0.
///
/// # Errors
/// A domain error naming `discount`.
///
/// # Example
/// ```
/// use accordant_preference::pairwise::{PairScores, PairwiseLoss, bradley_terry::BradleyTerryConfig};
/// use accordant_preference::trajectory::{Steps, partial_return::partial_returns};
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let returns = |rewards| partial_returns(&Steps::full(Tensor::from_floats([rewards], &device)), 1.0);
/// let pairs = PairScores::new(returns([1.0, 3f32.ln()])?, returns([0.5, 0.5])?)?;
/// let loss = BradleyTerryConfig::new().init()?.forward(&pairs)?.losses.into_scalar::<f32>();
/// assert!((loss + 0.75f32.ln()).abs() < 1e-6); // returns differ by ln 3: odds of 3 : 1
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[doc(alias = "1706.03741")]
#[doc(alias = "PEBBLE")]
pub fn partial_returns(rewards: &Steps, discount: f64) -> Result<Tensor<1>> {
    rewards.sums(discount)
}

/// Steps in an absorbing state behind the end of each segment: features of 0 that count.
///
/// Segments that end early then have the length of the others, so that a network learns what an absorbing state is worth.
/// Without them whatever it gives there is arbitrary (2310.02456).
///
/// # Shapes
/// `features`: `[n, time, features]`, `mask`: `[n, time]`; the mask of the result is true throughout.
///
/// # Errors
/// A shape error naming `mask`.
#[doc(alias = "Learning Optimal Advantage from Preferences and Mistaking it for Reward")]
pub fn include_absorbing_steps(features: Tensor<3>, mask: Tensor<2, Bool>) -> Result<(Tensor<3>, Tensor<2, Bool>)> {
    let [n, time, width] = features.dims();
    check_shape("mask", &[n, time], &mask.dims())?;
    let absent = mask.clone().bool_not();
    let padded = features.mask_fill(absent.clone().unsqueeze_dim::<3>(2).expand([n, time, width]), 0.0);
    Ok((padded, mask.bool_or(absent)))
}

#[cfg(test)]
mod tests {
    use burn::tensor::{DType, Device, TensorData};

    use super::*;
    use crate::{
        pairwise::{PairScores, PairwiseLoss, bradley_terry::BradleyTerryConfig},
        trajectory::testing::{check, close, mask, rows, values},
    };

    fn loss(first: Tensor<2>, second: Tensor<2>, discount: f64) -> Tensor<1> {
        let returns = |rewards| partial_returns(&Steps::full(rewards), discount).unwrap();
        let pairs = PairScores::new(returns(first), returns(second)).unwrap();
        BradleyTerryConfig::new().with_temperature(0.5).init().unwrap().forward(&pairs).unwrap().losses
    }

    #[test]
    fn a_pair_by_hand_and_what_the_likelihood_cannot_see() {
        // 1 + 0.5·2 against 1.5: a lead of 1/2, of β = 2 odds of e.
        let (first, second) = (rows([[1.0, 2.0]]), rows([[1.5, 0.0]]));
        let expected = [(1.0 + (-1f64).exp()).ln()];
        close(&values(loss(first.clone(), second.clone(), 0.5)), &expected, 1e-12);
        close(&values(loss(first + 3.0, second + 3.0, 0.5)), &expected, 1e-12);
    }

    #[test]
    fn shaping_by_potentials_changes_partial_returns() {
        // Potentials 0, 1, 3 along the first segment and 0, 1, 1 along the second.
        let plain = values(loss(rows([[1.0, 2.0]]), rows([[1.5, 0.0]]), 1.0));
        let shaped = values(loss(rows([[2.0, 4.0]]), rows([[2.5, 0.0]]), 1.0));
        assert!((plain[0] - shaped[0]).abs() > 0.01);
    }

    #[test]
    fn gradients_are_derivatives() {
        check(&[0.4, -1.0, 0.1, 0.3], |x| {
            loss(x.clone().narrow(0, 0, 2).reshape([1, 2]), x.narrow(0, 2, 2).reshape([1, 2]), 0.8)
        });
    }

    #[test]
    fn an_early_end_is_padded_with_steps_that_count() {
        let features = TensorData::from([[[1.0, 2.0], [f64::NAN, 7.0]], [[3.0, 4.0], [5.0, 6.0]]]);
        let features = Tensor::<3>::from_data(features, (&Device::flex(), DType::F64));
        let (padded, all) = include_absorbing_steps(features.clone(), mask([[1, 0], [1, 1]])).unwrap();
        assert_eq!(values(padded), [1.0, 2.0, 0.0, 0.0, 3.0, 4.0, 5.0, 6.0]);
        assert!(all.all().into_scalar::<bool>());
        assert!(include_absorbing_steps(features, mask([[1], [1]])).unwrap_err().to_string().starts_with("`mask`"));
    }
}
