//! Log-sigmoid-centered rewards (LSC): losses below a high reference, nothing to gain above it.
//!
//! **Paper:** Transforming and Combining Rewards for Aligning Large Language Models (2024), 2402.00742; here as in the
//! code of Reward Shaping to Mitigate Reward Hacking in RLHF (2025), 2502.18770.
//! **Use when:** poor responses shall improve first, and those that are good already shall not be pushed into the
//! region where the reward model is wrong.
//! **Checked by:** hand-worked values, properties under proptest.
//! **Deviations:** none; the standard deviation of the references is the biased one, as in the code.

use accordant_ops::host;

use super::{centered::present_references, values::check_rewards};
use crate::{Moments, Result};

/// The 85th percentile of a standard normal distribution, the code's choice.
const PERCENTILE_85: f64 = 1.036_433_389_493_789_8;

/// Log-sigmoids about the 85th percentile of a normal distribution fitted to the references.
///
/// ```text
/// r'_i = log σ(r_i − q),   q = mean(r_ref) + 1.0364 std(r_ref)
/// ```
///
/// `rewards`: of responses to one prompt. `references`: the rewards of reference responses to it, at least one of them
/// present; the standard deviation divides by their number, and one alone is itself the percentile. Below 0, rising
/// with the reward, like `r − q` far below `q`, and −ln 2 at `q`. A missing reward stays NaN.
///
/// # Errors
/// A domain error naming `rewards` or `references` for infinite ones, or `references` when none is present.
///
/// # Example
/// ```
/// use accordant_objectives::reward_shaping::lsc::lsc_rewards;
/// let shaped = lsc_rewards(&[2.0, -1000.0], &[2.0])?;
/// assert_eq!(shaped, [-(2f64.ln()), -1002.0]);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2402.00742")]
#[doc(alias = "Transforming and Combining Rewards for Aligning Large Language Models")]
#[doc(alias = "2502.18770")]
#[doc(alias = "log-sigmoid-centered")]
pub fn lsc_rewards(rewards: &[f64], references: &[f64]) -> Result<Vec<f64>> {
    check_rewards("rewards", rewards)?;
    let mut moments = Moments::default();
    moments.add(&present_references(references)?);
    let high = moments.mean + PERCENTILE_85 * moments.variance.sqrt();
    Ok(rewards.iter().map(|reward| host::log_sigmoid(reward - high)).collect())
}

#[cfg(test)]
mod tests {
    use core::f64::consts::LN_2;

    use proptest::{collection::vec, prelude::*};

    use super::*;
    use crate::reward_shaping::values::tests::{assert_close, message};

    #[test]
    fn values_by_hand() {
        // Mean 1 and biased std 1: the percentile is 2.0364…; σ(ln 3) = 3/4, σ(−ln 3) = 1/4.
        let high = 2.036_433_389_493_79;
        let rewards = [high, high + 3f64.ln(), high - 3f64.ln(), f64::NAN, high - 1e4];
        let expected = [-LN_2, 0.75f64.ln(), 0.25f64.ln(), f64::NAN, -1e4];
        assert_close(&lsc_rewards(&rewards, &[0.0, f64::NAN, 2.0]).unwrap(), &expected, 1e-12);
    }

    #[test]
    fn senseless_arguments_are_refused_by_name() {
        assert!(message(lsc_rewards(&[f64::INFINITY], &[0.0])).starts_with("`rewards`"));
        assert!(message(lsc_rewards(&[0.0], &[f64::INFINITY])).starts_with("`references`"));
        assert!(message(lsc_rewards(&[0.0], &[f64::NAN])).starts_with("`references`"));
    }

    proptest! {
        #[test]
        fn below_zero_rising_and_free_of_the_gauge(
            rewards in vec(-30.0..30.0, 2), references in vec(-30.0..30.0, 1..6), shift in -9.0..9.0,
        ) {
            let moved = |values: &[f64]| values.iter().map(|value| value + shift).collect::<Vec<_>>();
            let shaped = lsc_rewards(&rewards, &references).unwrap();
            prop_assert!(shaped.iter().all(|reward| *reward <= 0.0));
            prop_assert!(rewards[0] <= rewards[1] || shaped[0] >= shaped[1]);
            let again = lsc_rewards(&moved(&rewards), &moved(&references)).unwrap();
            assert_close(&again, &shaped, 1e-9);
        }
    }
}
