//! Reinforcement learning with explicit human values (RLEV): a right answer counts as much as its question.
//!
//! **Paper:** Every Question Has Its Own Value: Reinforcement Learning with Explicit Human Values (2025), 2510.20187.
//! **Use when:** questions have known shares of the total marks.
//! **Checked by:** hand-worked values, properties under proptest.
//! **Deviations:** none known; the formula is the published one, not read in code. Estimators that divide by the
//! standard deviation of a prompt's group (GRPO) take the factor out again: use RLOO, Dr. GRPO or REINFORCE++.

use burn::config::Config;

use super::values::{check_len, check_non_negative, check_units, check_verdicts};
use crate::Result;

/// Correctness scaled by the value of the question.
///
/// ```text
/// r = s(x) 1[correct],   s(x) = 1 + min(α v(x), 1)
/// ```
///
/// `verdicts`: 1 for a correct answer, 0 for another, NaN for a missing verdict, which stays NaN. `values` (v): the
/// share of the total marks that the question of each answer has, in `[0, 1]`; NaN makes the reward missing. `gain`
/// (α): finite and ≥ 0. A right answer gets 1 to 2, never falling in its question's value; with value 0 this is plain
/// correctness.
///
/// # Errors
/// A shape error naming `values`; a domain error naming `verdicts`, `values` or `gain`.
///
/// # Example
/// ```
/// use accordant_objectives::reward_shaping::rlev::rlev_rewards;
/// assert_eq!(rlev_rewards(&[1.0, 1.0, 0.0], &[0.05, 0.3, 0.3], 10.0)?, [1.5, 2.0, 0.0]);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2510.20187")]
#[doc(alias = "Every Question Has Its Own Value: Reinforcement Learning with Explicit Human Values")]
pub fn rlev_rewards(verdicts: &[f64], values: &[f64], gain: f64) -> Result<Vec<f64>> {
    check_non_negative("gain", gain)?;
    check_verdicts("verdicts", verdicts)?;
    check_len("values", verdicts.len(), values.len())?;
    check_units("values", values)?;
    // `min` would take 1 over NaN.
    let scale = |value: f64| 1.0 + if gain * value > 1.0 { 1.0 } else { gain * value };
    Ok(verdicts.iter().zip(values).map(|(verdict, &value)| verdict * scale(value)).collect())
}

/// Configuration of [`Rlev`].
#[derive(Config, Debug, PartialEq)]
pub struct RlevConfig {
    /// How much a value counts, finite and ≥ 0; α in the paper. 10: the paper's, which doubles the reward from a tenth
    /// of the total marks on.
    #[config(default = 10.0)]
    pub gain: f64,
}

impl RlevConfig {
    /// Checks the field.
    ///
    /// # Errors
    /// A domain error naming `gain`.
    pub fn init(&self) -> Result<Rlev> {
        check_non_negative("gain", self.gain)?;
        Ok(Rlev { config: self.clone() })
    }
}

/// Value-weighted correctness; see [`rlev_rewards`].
#[derive(Debug, Clone, PartialEq)]
pub struct Rlev {
    config: RlevConfig,
}

impl Rlev {
    /// Rewards of answers to questions of given values.
    ///
    /// # Errors
    /// A shape or domain error naming `verdicts` or `values`; see [`rlev_rewards`].
    pub fn rewards(&self, verdicts: &[f64], values: &[f64]) -> Result<Vec<f64>> {
        rlev_rewards(verdicts, values, self.config.gain)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::reward_shaping::values::tests::{assert_close, message};

    #[test]
    fn values_by_hand() {
        let nan = f64::NAN;
        let verdicts = [1.0, 1.0, 1.0, 0.0, nan, 1.0];
        let shaped = RlevConfig::new().init().unwrap().rewards(&verdicts, &[0.0, 0.025, 0.1, 1.0, 0.5, nan]);
        assert_close(&shaped.unwrap(), &[1.0, 1.25, 2.0, 0.0, nan, nan], 1e-15);
        let mild = RlevConfig::new().with_gain(0.5).init().unwrap();
        assert_eq!(mild.rewards(&[1.0], &[0.5]).unwrap(), [1.25]);
    }

    #[test]
    fn senseless_arguments_are_refused_by_name() {
        assert_eq!(RlevConfig::new().gain, 10.0);
        for bad in [-1.0, f64::NAN, f64::INFINITY] {
            assert!(message(RlevConfig::new().with_gain(bad).init()).starts_with("`gain`"));
            assert!(message(rlev_rewards(&[1.0], &[0.5], bad)).starts_with("`gain`"));
        }
        assert!(message(rlev_rewards(&[0.5], &[0.5], 1.0)).starts_with("`verdicts`"));
        assert!(message(rlev_rewards(&[1.0], &[1.5], 1.0)).starts_with("`values`"));
        assert_eq!(message(rlev_rewards(&[1.0], &[], 1.0)), "`values`: expected shape [1], got [0]");
    }

    proptest! {
        #[test]
        fn zero_or_between_one_and_two_and_never_falling_in_the_value(
            value in 0.0..1.0, step in 0.0..1.0, gain in 0.0..20.0, correct: bool,
        ) {
            let higher = f64::min(value + step, 1.0);
            let verdict = f64::from(correct);
            let shaped = rlev_rewards(&[verdict; 3], &[value, higher, 0.0], gain).unwrap();
            prop_assert!(shaped.iter().all(|reward| (verdict..=2.0 * verdict).contains(reward)));
            prop_assert!(shaped[1] >= shaped[0]);
            prop_assert_eq!(shaped[2], verdict);
        }
    }
}
