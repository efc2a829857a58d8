//! Preference As Reward (PAR): how likely a response beats reference responses.
//!
//! **Paper:** Reward Shaping to Mitigate Reward Hacking in RLHF (2025), 2502.18770.
//! **Use when:** rewards are scores of a Bradley–Terry reward model: shaped, they are bounded, grow fast at first and
//! slowly then, and say the same whatever constant the model adds to all responses of a prompt.
//! **Checked by:** hand-worked values, properties under proptest.
//! **Deviations:** a prompt without references is an error; the authors' code passes its rewards on unshaped. The
//! paper's code has slope 1 and, as an ablation, 2 and 3 on a plain sigmoid.

use accordant_ops::host;
use burn::config::Config;

use super::{centered::mean_over_references, values::check_positive};
use crate::Result;

/// PAR of responses to one prompt.
///
/// ```text
/// r'_i = (1/M) Σ_j σ(k (r_i − r_ref_j))
/// ```
///
/// `rewards`: of any number of responses. `references`: the M rewards of reference responses (of the SFT model) to the
/// same prompt; the paper uses up to 10 and finds 1 enough. `slope` (k): finite and > 0. The result is in `[0, 1]`,
/// rises with the reward, is ½ for a reward that equals all references, and stays as it is when a constant is added to
/// all rewards of the prompt, references included. Missing references are left out; a missing reward stays NaN.
///
/// # Errors
/// A domain error naming `rewards` or `references` for infinite ones, `references` when none is present, or `slope`.
///
/// # Example
/// ```
/// use accordant_objectives::reward_shaping::par::par_rewards;
/// let shaped = par_rewards(&[1.0, f64::NAN], &[0.0, 2.0], 1.0)?;
/// assert!((shaped[0] - 0.5).abs() < 1e-15); // σ(1) + σ(−1) = 1
/// assert!(shaped[1].is_nan());
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2502.18770")]
#[doc(alias = "Reward Shaping to Mitigate Reward Hacking in RLHF")]
#[doc(alias = "Preference As Reward")]
pub fn par_rewards(rewards: &[f64], references: &[f64], slope: f64) -> Result<Vec<f64>> {
    check_positive("slope", slope)?;
    mean_over_references(rewards, references, |gap| host::logistic(slope * gap))
}

/// Sigmoids about the mean of the references: one sigmoid where [`par_rewards`] averages M, the same with one
/// reference.
///
/// ```text
/// r'_i = σ(k (r_i − (1/M) Σ_j r_ref_j))
/// ```
///
/// Arguments, missing values and errors are those of [`par_rewards`].
///
/// # Example
/// ```
/// use accordant_objectives::reward_shaping::par::centered_sigmoid_rewards;
/// // The mean of the references is 2, and σ(ln 3) = 3/4.
/// let shaped = centered_sigmoid_rewards(&[2.0, 2.0 + 3f64.ln()], &[0.0, 4.0], 1.0)?;
/// assert_eq!(shaped[0], 0.5);
/// assert!((shaped[1] - 0.75).abs() < 1e-15);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2502.18770")]
pub fn centered_sigmoid_rewards(rewards: &[f64], references: &[f64], slope: f64) -> Result<Vec<f64>> {
    check_positive("slope", slope)?;
    let shaped = mean_over_references(rewards, references, |gap| gap)?;
    Ok(shaped.into_iter().map(|gap| host::logistic(slope * gap)).collect())
}

/// Configuration of [`Par`].
#[derive(Config, Debug, PartialEq)]
pub struct ParConfig {
    /// How steep the sigmoid is, finite and > 0, in one over the reward's unit; k in the paper. 1: the paper's, at
    /// which shaped rewards are the probabilities of a Bradley–Terry model.
    #[config(default = 1.0)]
    pub slope: f64,
}

impl ParConfig {
    /// Checks the field.
    ///
    /// # Errors
    /// A domain error naming `slope`.
    pub fn init(&self) -> Result<Par> {
        check_positive("slope", self.slope)?;
        Ok(Par { config: self.clone() })
    }
}

/// Preference As Reward; see [`par_rewards`].
#[derive(Debug, Clone, PartialEq)]
pub struct Par {
    config: ParConfig,
}

impl Par {
    /// Shaped rewards of responses to one prompt.
    ///
    /// # Errors
    /// A domain error naming `rewards` or `references`; see [`par_rewards`].
    pub fn rewards(&self, rewards: &[f64], references: &[f64]) -> Result<Vec<f64>> {
        par_rewards(rewards, references, self.config.slope)
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;
    use crate::reward_shaping::values::tests::{assert_close, message};

    #[test]
    fn golden() {
        assert_close(&par_rewards(&[1.0], &[0.0, 2.0], 1.0).unwrap(), &[0.5], 1e-15);
    }

    #[test]
    fn values_by_hand() {
        // σ(ln 3) = 3/4 and σ(−ln 3) = 1/4; with slope 2 about 0: 9/10 and 1/10.
        let unit = 3f64.ln();
        assert_close(&par_rewards(&[unit, -unit], &[0.0], 1.0).unwrap(), &[0.75, 0.25], 1e-15);
        assert_close(&par_rewards(&[unit, -unit], &[0.0], 2.0).unwrap(), &[0.9, 0.1], 1e-15);
        // References at 0 and at ln 3: (3/4 + 1/2) / 2.
        assert_close(&par_rewards(&[unit], &[0.0, unit], 1.0).unwrap(), &[0.625], 1e-15);
        // Their mean is ln 3 / 2, of which a slope of 2 makes ln 3 again.
        assert_close(&centered_sigmoid_rewards(&[unit], &[0.0, unit], 2.0).unwrap(), &[0.75], 1e-15);
        // (σ(1.5) + σ(0.5) + σ(−0.5)) / 3, of which the last two add up to 1: (0.81757448 + 1) / 3.
        assert_close(&par_rewards(&[1.5], &[0.0, 1.0, 2.0], 1.0).unwrap(), &[0.605_858_16], 5e-9);
        assert_close(&ParConfig::new().init().unwrap().rewards(&[unit], &[0.0]).unwrap(), &[0.75], 1e-15);
        let steep = ParConfig::new().with_slope(2.0).init().unwrap();
        assert_close(&steep.rewards(&[unit], &[0.0]).unwrap(), &[0.9], 1e-15);
    }

    #[test]
    fn missing_rewards_stay_missing_and_missing_references_are_left_out() {
        let nan = f64::NAN;
        assert_close(&par_rewards(&[nan, 0.0], &[nan, 0.0], 1.0).unwrap(), &[nan, 0.5], 0.0);
        assert_close(&centered_sigmoid_rewards(&[nan, 0.0], &[nan, 0.0], 1.0).unwrap(), &[nan, 0.5], 0.0);
        assert!(par_rewards(&[], &[0.0], 1.0).unwrap().is_empty());
        // Saturated, not NaN.
        assert_eq!(par_rewards(&[1e300, -1e300], &[0.0], 10.0).unwrap(), [1.0, 0.0]);
    }

    #[test]
    fn what_cannot_be_compared_is_refused_by_name() {
        for shape in [par_rewards, centered_sigmoid_rewards] {
            for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
                assert!(message(shape(&[1.0], &[0.0], bad)).starts_with("`slope`"));
                assert!(message(ParConfig::new().with_slope(bad).init()).starts_with("`slope`"));
            }
            assert!(message(shape(&[f64::INFINITY], &[0.0], 1.0)).starts_with("`rewards`"));
            assert!(message(shape(&[0.0], &[f64::INFINITY], 1.0)).starts_with("`references`"));
            for none in [&[][..], &[f64::NAN]] {
                let expected = "`references`: expected at least one that is not missing, got 0";
                assert_eq!(message(shape(&[0.0], none, 1.0)), expected);
            }
        }
        assert_eq!(ParConfig::new().slope, 1.0);
    }

    proptest! {
        #[test]
        fn bounded_rising_and_free_of_the_gauge(
            rewards in vec(-20.0..20.0, 2),
            references in vec(-20.0..20.0, 1..12),
            shift in -100.0..100.0,
            slope in 0.1..0.4,
        ) {
            let moved = |values: &[f64]| values.iter().map(|value| value + shift).collect::<Vec<_>>();
            for shape in [par_rewards, centered_sigmoid_rewards] {
                let shaped = shape(&rewards, &references, slope).unwrap();
                prop_assert!(shaped.iter().all(|reward| 0.0 < *reward && *reward < 1.0));
                prop_assert_eq!(shaped[0] > shaped[1], rewards[0] > rewards[1]);
                assert_close(&shape(&moved(&rewards), &moved(&references), slope).unwrap(), &shaped, 1e-12);
                let equal = vec![rewards[0]; references.len()];
                prop_assert_eq!(shape(&rewards[..1], &equal, slope).unwrap(), vec![0.5]);
                let one = par_rewards(&rewards, &references[..1], slope).unwrap();
                assert_close(&shape(&rewards, &references[..1], slope).unwrap(), &one, 1e-15);
            }
        }

        #[test]
        fn the_slope_saturates(reward in 0.1..10.0, step in 0.1..1.0) {
            let at = |reward: f64| par_rewards(&[reward], &[0.0], 1.0).unwrap()[0];
            prop_assert!(at(reward + 2.0 * step) - at(reward + step) < at(reward + step) - at(reward));
        }
    }
}
