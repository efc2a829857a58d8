//! Listener shaping: a frozen model must be able to follow the reasoning.
//!
//! **Paper:** Listener-Rewarded Thinking in VLMs for Image Preferences (2025), 2506.22832.
//! **Status:** our reading of the abstract; the paper's weight of the listener is not known to us, 0.5 is our
//! suggestion.
//! **Use when:** answers are right for reasons that convince nobody else.
//! **Checked by:** hand-worked values.
//! **Deviations:** see the status.

use super::values::{check_len, check_non_negative, check_units, check_verdicts};
use crate::Result;

/// Correctness plus the confidence of a listener who reads the reasoning.
///
/// ```text
/// r_i = 1[correct_i] + λ p_listener(answer | chain_i)
/// ```
///
/// `verdicts`: 1 for a right answer, 0 for another. `listener_probs`: the probability that a frozen copy of the model
/// gives to the right answer after the chain of thought, in `[0, 1]`. `listener_coef` (λ): finite and ≥ 0. NaN in
/// either makes the reward missing.
///
/// # Errors
/// A shape error naming `listener_probs`; a domain error naming `verdicts`, `listener_probs` or `listener_coef`.
///
/// # Example
/// ```
/// use accordant_objectives::reward_shaping::listener::listener_shaped_rewards;
/// assert_eq!(listener_shaped_rewards(&[1.0, 0.0], &[0.5, 0.25], 0.5)?, [1.25, 0.125]);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2506.22832")]
#[doc(alias = "Listener-Rewarded Thinking in VLMs for Image Preferences")]
pub fn listener_shaped_rewards(verdicts: &[f64], listener_probs: &[f64], listener_coef: f64) -> Result<Vec<f64>> {
    check_verdicts("verdicts", verdicts)?;
    check_len("listener_probs", verdicts.len(), listener_probs.len())?;
    check_units("listener_probs", listener_probs)?;
    check_non_negative("listener_coef", listener_coef)?;
    Ok(verdicts.iter().zip(listener_probs).map(|(verdict, prob)| verdict + listener_coef * prob).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reward_shaping::values::tests::{assert_close, message};

    #[test]
    fn values_by_hand() {
        let nan = f64::NAN;
        let shaped = listener_shaped_rewards(&[1.0, 0.0, nan, 1.0], &[1.0, 0.5, 0.5, nan], 2.0).unwrap();
        assert_close(&shaped, &[3.0, 1.0, nan, nan], 1e-15);
    }

    #[test]
    fn senseless_arguments_are_refused_by_name() {
        let error = message(listener_shaped_rewards(&[1.0], &[], 1.0));
        assert_eq!(error, "`listener_probs`: expected shape [1], got [0]");
        assert!(message(listener_shaped_rewards(&[0.5], &[1.0], 1.0)).starts_with("`verdicts`"));
        assert!(message(listener_shaped_rewards(&[1.0], &[1.5], 1.0)).starts_with("`listener_probs`"));
        assert!(message(listener_shaped_rewards(&[1.0], &[0.5], -1.0)).starts_with("`listener_coef`"));
    }
}
