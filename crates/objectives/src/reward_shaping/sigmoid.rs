//! Sigmoids of rewards, about 0.
//!
//! **Paper:** Reward Shaping to Mitigate Reward Hacking in RLHF (2025), 2502.18770, where it is compared with PAR.
//! **Use when:** rewards have a meaningful 0 and references are not at hand; otherwise see [`super::par`].
//! **Checked by:** hand-worked values, equality with PAR about a reference of 0.
//! **Deviations:** none.

use accordant_ops::host;

use super::values::{check_positive, check_rewards};
use crate::Result;

/// Uncentered sigmoids.
///
/// ```text
/// r'_i = σ(k r_i)
/// ```
///
/// `slope` (k): finite and > 0; 1, 2 and 3 in the paper's code. In `[0, 1]`, ½ at 0. A missing reward stays NaN.
///
/// # Errors
/// A domain error naming `rewards` for infinite ones, or `slope`.
///
/// # Example
/// ```
/// use accordant_objectives::reward_shaping::sigmoid::sigmoid_rewards;
/// let shaped = sigmoid_rewards(&[0.0, 3f64.ln()], 1.0)?;
/// assert_eq!(shaped[0], 0.5);
/// assert!((shaped[1] - 0.75).abs() < 1e-15);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2502.18770")]
pub fn sigmoid_rewards(rewards: &[f64], slope: f64) -> Result<Vec<f64>> {
    check_positive("slope", slope)?;
    check_rewards("rewards", rewards)?;
    Ok(rewards.iter().map(|reward| host::logistic(slope * reward)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reward_shaping::{
        par::par_rewards,
        values::tests::{assert_close, message},
    };

    #[test]
    fn it_is_par_with_a_reference_of_zero() {
        let rewards = [-2.0, 0.25, f64::NAN, 7.0];
        for slope in [0.5, 1.0, 3.0] {
            let par = par_rewards(&rewards, &[0.0], slope).unwrap();
            assert_close(&sigmoid_rewards(&rewards, slope).unwrap(), &par, 1e-15);
        }
        assert!(sigmoid_rewards(&[], 1.0).unwrap().is_empty());
    }

    #[test]
    fn senseless_arguments_are_refused_by_name() {
        assert!(message(sigmoid_rewards(&[0.0], 0.0)).starts_with("`slope`"));
        assert!(message(sigmoid_rewards(&[f64::NEG_INFINITY], 1.0)).starts_with("`rewards`"));
    }
}
