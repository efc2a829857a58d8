//! Soft overlong punishment (DAPO): a penalty that grows over the last tokens before the length limit.
//!
//! **Paper:** DAPO: An Open-Source LLM Reinforcement Learning System at Scale (2025), 2503.14476, section 3.4.
//! **Use when:** responses are cut off at a limit: a sudden penalty for those would punish sound reasoning as noise.
//! **Checked by:** hand-worked values, properties under proptest.
//! **Deviations:** none; `penalty` scales it, as in verl.

use accordant_ops::check_domain;
use burn::config::Config;

use super::values::{check_len, check_non_negative, check_rewards};
use crate::Result;

/// Overlong penalties, ≤ 0, one for each response; to be added to its reward.
///
/// ```text
/// p_i = − f · min(max(n_i − (L_max − L_buf), 0), L_buf) / L_buf        (eq. 13)
/// ```
///
/// `lengths` (n): generated tokens. `max_len` (L_max): the limit at which responses are cut off. `buffer_len` (L_buf):
/// in how many tokens before it the penalty rises from 0 to `penalty` (f), in `1..=max_len`. `penalty`: finite and ≥ 0.
///
/// # Errors
/// A domain error naming `buffer_len` or `penalty`.
///
/// # Example
/// ```
/// use accordant_objectives::reward_shaping::overlong::overlong_penalties;
/// // Free up to 6 tokens, then a quarter for each.
/// assert_eq!(overlong_penalties(&[6, 7, 10, 12], 10, 4, 1.0)?, [0.0, -0.25, -1.0, -1.0]);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2503.14476")]
#[doc(alias = "DAPO: An Open-Source LLM Reinforcement Learning System at Scale")]
#[doc(alias = "soft overlong punishment")]
pub fn overlong_penalties(lengths: &[usize], max_len: usize, buffer_len: usize, penalty: f64) -> Result<Vec<f64>> {
    check_domain((1..=max_len).contains(&buffer_len), "buffer_len", "in 1..=max_len", buffer_len as f64)?;
    check_non_negative("penalty", penalty)?;
    let excess = |length: usize| length.saturating_sub(max_len - buffer_len).min(buffer_len);
    // From 0, lest a response within the limit has −0.
    Ok(lengths.iter().map(|&length| 0.0 - penalty * (excess(length) as f64 / buffer_len as f64)).collect())
}

/// Configuration of [`Overlong`].
#[derive(Config, Debug, PartialEq)]
pub struct OverlongConfig {
    /// The limit at which responses are cut off, in tokens; L_max in the paper, 20480 there.
    pub max_len: usize,
    /// In how many tokens before the limit the penalty rises, in `1..=max_len`; L_cache in the paper. 4096: the
    /// paper's.
    #[config(default = 4096)]
    pub buffer_len: usize,
    /// The largest penalty, finite and ≥ 0, in the reward's unit. 1: the paper's, whose rewards are ±1.
    #[config(default = 1.0)]
    pub penalty: f64,
}

impl OverlongConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<Overlong> {
        overlong_penalties(&[], self.max_len, self.buffer_len, self.penalty)?;
        Ok(Overlong { config: self.clone() })
    }
}

/// Soft overlong punishment; see [`overlong_penalties`].
#[derive(Debug, Clone, PartialEq)]
pub struct Overlong {
    config: OverlongConfig,
}

impl Overlong {
    /// Rewards with their penalties. A missing reward stays NaN.
    ///
    /// # Errors
    /// A shape error naming `lengths`; a domain error naming `rewards` for infinite ones.
    pub fn rewards(&self, rewards: &[f64], lengths: &[usize]) -> Result<Vec<f64>> {
        check_rewards("rewards", rewards)?;
        check_len("lengths", rewards.len(), lengths.len())?;
        let OverlongConfig { max_len, buffer_len, penalty } = self.config;
        let penalties = overlong_penalties(lengths, max_len, buffer_len, penalty)?;
        Ok(rewards.iter().zip(penalties).map(|(reward, penalty)| reward + penalty).collect())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::reward_shaping::values::tests::{assert_close, message};

    #[test]
    fn values_by_hand() {
        // The paper's lengths: free up to 16384, then 1/4096 a token, at most 1.
        let lengths = [0, 16_384, 16_385, 18_432, 20_480, 30_000];
        let expected = [0.0, 0.0, -1.0 / 4096.0, -0.5, -1.0, -1.0];
        assert_eq!(overlong_penalties(&lengths, 20_480, 4096, 1.0).unwrap(), expected);
        assert!(overlong_penalties(&[1], 20, 4, 1.0).unwrap()[0].is_sign_positive());
        let overlong = OverlongConfig::new(20_480).with_penalty(2.0).init().unwrap();
        let shaped = overlong.rewards(&[1.0, f64::NAN, -1.0], &[18_432, 18_432, 1]).unwrap();
        assert_close(&shaped, &[0.0, f64::NAN, -1.0], 0.0);
        let all = OverlongConfig::new(4).with_buffer_len(4).init().unwrap();
        assert_eq!(all.rewards(&[0.0, 0.0], &[1, 3]).unwrap(), [-0.25, -0.75]);
    }

    #[test]
    fn senseless_settings_and_inputs_are_refused_by_name() {
        let config = OverlongConfig::new(20_480);
        assert_eq!((config.buffer_len, config.penalty), (4096, 1.0));
        for (max_len, buffer_len) in [(10, 0), (10, 11), (0, 0)] {
            let error = message(OverlongConfig::new(max_len).with_buffer_len(buffer_len).init());
            assert_eq!(error, format!("`buffer_len`: expected in 1..=max_len, got {buffer_len}"));
        }
        for bad in [-1.0, f64::NAN, f64::INFINITY] {
            assert!(message(config.clone().with_penalty(bad).init()).starts_with("`penalty`"));
        }
        let overlong = config.init().unwrap();
        assert_eq!(message(overlong.rewards(&[0.0], &[1, 2])), "`lengths`: expected shape [1], got [2]");
        assert!(message(overlong.rewards(&[f64::INFINITY], &[1])).starts_with("`rewards`"));
    }

    proptest! {
        #[test]
        fn between_minus_the_penalty_and_zero_and_never_rising(
            length in 0_usize..100, max_len in 1_usize..80, share in 0.0..1.0, penalty in 0.0..3.0,
        ) {
            let buffer_len = 1 + (share * max_len as f64) as usize;
            let [short, long] = overlong_penalties(&[length, length + 1], max_len, buffer_len, penalty).unwrap()[..]
                else { unreachable!("two lengths") };
            prop_assert!((-penalty..=0.0).contains(&short) && long <= short);
            prop_assert_eq!(length <= max_len - buffer_len || penalty == 0.0, short == 0.0);
            prop_assert!((short - long) * buffer_len as f64 <= penalty * (1.0 + 1e-9));
        }
    }
}
