//! A penalty for every token beyond a length.
//!
//! **Paper:** Reward Shaping to Mitigate Reward Hacking in RLHF (2025), 2502.18770 (its code's `penalty_per_token`).
//! **Use when:** the reward model likes long responses; [`super::overlong`] has the bounded form for a length limit.
//! **Checked by:** hand-worked values.
//! **Deviations:** none.

use super::values::{check_len, check_non_negative, check_rewards};
use crate::Result;

/// Rewards less a penalty for each token beyond `valid_len`.
///
/// ```text
/// r'_i = r_i − c max(n_i − n_valid, 0)
/// ```
///
/// `lengths` (n): scored tokens of each response. `penalty_per_token` (c): finite and ≥ 0. A missing reward stays NaN.
///
/// # Errors
/// A shape error naming `lengths`; a domain error naming `rewards` for infinite ones, or `penalty_per_token`.
///
/// # Example
/// ```
/// use accordant_objectives::reward_shaping::length_penalty::length_penalized_rewards;
/// assert_eq!(length_penalized_rewards(&[1.0, 1.0], &[80, 104], 100, 0.25)?, [1.0, 0.0]);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2502.18770")]
pub fn length_penalized_rewards(
    rewards: &[f64],
    lengths: &[usize],
    valid_len: usize,
    penalty_per_token: f64,
) -> Result<Vec<f64>> {
    check_rewards("rewards", rewards)?;
    check_len("lengths", rewards.len(), lengths.len())?;
    check_non_negative("penalty_per_token", penalty_per_token)?;
    let excess = |length: usize| length.saturating_sub(valid_len) as f64;
    Ok(rewards.iter().zip(lengths).map(|(reward, &length)| reward - penalty_per_token * excess(length)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reward_shaping::values::tests::{assert_close, message};

    #[test]
    fn only_the_excess_counts() {
        let nan = f64::NAN;
        let shaped = length_penalized_rewards(&[2.0, 2.0, -1.0, nan], &[0, 10, 14, 14], 10, 0.5).unwrap();
        assert_close(&shaped, &[2.0, 2.0, -3.0, nan], 1e-15);
        assert_eq!(length_penalized_rewards(&[2.0], &[9], 0, 0.0).unwrap(), [2.0]);
    }

    #[test]
    fn senseless_arguments_are_refused_by_name() {
        assert_eq!(message(length_penalized_rewards(&[0.0], &[], 1, 1.0)), "`lengths`: expected shape [1], got [0]");
        assert!(message(length_penalized_rewards(&[f64::INFINITY], &[1], 1, 1.0)).starts_with("`rewards`"));
        for bad in [-1.0, f64::NAN, f64::INFINITY] {
            assert!(message(length_penalized_rewards(&[0.0], &[1], 1, bad)).starts_with("`penalty_per_token`"));
        }
    }
}
