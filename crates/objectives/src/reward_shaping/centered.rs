//! Rewards less those of reference responses, plain or bounded by tanh or arctan.
//!
//! **Paper:** Reward Shaping to Mitigate Reward Hacking in RLHF (2025), 2502.18770, where these are compared with PAR.
//! **Use when:** the reward of a reference response is at hand; see [`super::par`] for the form that the paper
//! recommends.
//! **Checked by:** hand-worked values, properties under proptest.
//! **Deviations:** none: with several references, the mean of the function over them, as in the authors' code.

use super::values::{check_positive, check_rewards, mean, present};
use crate::Result;
use accordant_ops::check_domain;

/// Rewards less the mean of the references.
///
/// ```text
/// r'_i = r_i − (1/M) Σ_j r_ref_j
/// ```
///
/// `rewards`: of responses to one prompt. `references`: the rewards of M reference responses to it, at least one of
/// them present; missing ones are left out. A missing reward stays NaN.
///
/// # Errors
/// A domain error naming `rewards` or `references` for infinite ones, or `references` when none is present.
///
/// # Example
/// ```
/// use accordant_objectives::reward_shaping::centered::centered_rewards;
/// assert_eq!(centered_rewards(&[5.0, 2.0], &[1.0, 3.0])?, [3.0, 0.0]);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2502.18770")]
pub fn centered_rewards(rewards: &[f64], references: &[f64]) -> Result<Vec<f64>> {
    mean_over_references(rewards, references, |gap| gap)
}

/// Hyperbolic tangents of the differences from the references, in `[−1, 1]`: PAR of twice the slope, from −1 to 1.
///
/// ```text
/// r'_i = (1/M) Σ_j tanh(k (r_i − r_ref_j))
/// ```
///
/// `slope` (k): finite and > 0; 1 in the paper. Otherwise like [`centered_rewards`].
///
/// # Errors
/// Those of [`centered_rewards`], and a domain error naming `slope`.
///
/// # Example
/// ```
/// use accordant_objectives::reward_shaping::centered::tanh_centered_rewards;
/// let shaped = tanh_centered_rewards(&[3f64.ln() / 2.0], &[0.0], 1.0)?;
/// assert!((shaped[0] - 0.5).abs() < 1e-15); // (√3 − 1/√3) / (√3 + 1/√3)
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2502.18770")]
pub fn tanh_centered_rewards(rewards: &[f64], references: &[f64], slope: f64) -> Result<Vec<f64>> {
    check_positive("slope", slope)?;
    mean_over_references(rewards, references, |gap| (slope * gap).tanh())
}

/// Arctangents of the differences from the references, in `[−π/2, π/2]`, with a heavier tail than tanh.
///
/// ```text
/// r'_i = (1/M) Σ_j arctan(k (r_i − r_ref_j))
/// ```
///
/// `slope` (k): finite and > 0. Otherwise like [`centered_rewards`].
///
/// # Errors
/// Those of [`centered_rewards`], and a domain error naming `slope`.
///
/// # Example
/// ```
/// use accordant_objectives::reward_shaping::centered::arctan_centered_rewards;
/// use core::f64::consts::FRAC_PI_4;
/// assert_eq!(arctan_centered_rewards(&[3.0, 2.0], &[2.0], 1.0)?, [FRAC_PI_4, 0.0]);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2502.18770")]
pub fn arctan_centered_rewards(rewards: &[f64], references: &[f64], slope: f64) -> Result<Vec<f64>> {
    check_positive("slope", slope)?;
    mean_over_references(rewards, references, |gap| (slope * gap).atan())
}

/// The mean over the present references of a function of each reward's distance from them.
pub(super) fn mean_over_references(
    rewards: &[f64],
    references: &[f64],
    shape: impl Fn(f64) -> f64,
) -> Result<Vec<f64>> {
    check_rewards("rewards", rewards)?;
    let references = present_references(references)?;
    let shaped = |reward: &f64| mean(&references.iter().map(|reference| shape(reward - reference)).collect::<Vec<_>>());
    Ok(rewards.iter().map(shaped).collect())
}

/// The references that are there, at least one.
pub(super) fn present_references(references: &[f64]) -> Result<Vec<f64>> {
    check_rewards("references", references)?;
    let references = present(references);
    check_domain(!references.is_empty(), "references", "at least one that is not missing", 0.0)?;
    Ok(references)
}

#[cfg(test)]
mod tests {
    use core::f64::consts::{FRAC_PI_2, FRAC_PI_4};

    use proptest::{collection::vec, prelude::*};

    use super::*;
    use crate::reward_shaping::{
        par::par_rewards,
        values::tests::{assert_close, message},
    };

    #[test]
    fn values_by_hand() {
        let nan = f64::NAN;
        assert_close(&centered_rewards(&[4.0, nan, -1.0], &[1.0, nan, 2.0]).unwrap(), &[2.5, nan, -2.5], 1e-15);
        // tanh of ½ ln 3 is ½, of ½ ln 9 it is 0.8.
        let unit = 3f64.ln() / 2.0;
        assert_close(&tanh_centered_rewards(&[unit, nan], &[0.0, unit], 1.0).unwrap(), &[0.25, nan], 1e-15);
        assert_close(&tanh_centered_rewards(&[unit], &[0.0], 2.0).unwrap(), &[0.8], 1e-15);
        assert_close(&arctan_centered_rewards(&[1.0, nan], &[0.0, 1.0], 1.0).unwrap(), &[FRAC_PI_4 / 2.0, nan], 1e-15);
        assert_close(&arctan_centered_rewards(&[0.5, 1e300], &[0.0], 2.0).unwrap(), &[FRAC_PI_4, FRAC_PI_2], 1e-15);
    }

    #[test]
    fn what_cannot_be_compared_is_refused_by_name() {
        for shape in [tanh_centered_rewards, arctan_centered_rewards] {
            for bad in [0.0, f64::NAN, f64::INFINITY] {
                assert!(message(shape(&[1.0], &[0.0], bad)).starts_with("`slope`"));
            }
            assert!(message(shape(&[1.0], &[], 1.0)).starts_with("`references`"));
        }
        assert!(message(centered_rewards(&[f64::INFINITY], &[0.0])).starts_with("`rewards`"));
        assert!(message(centered_rewards(&[1.0], &[f64::NAN])).starts_with("`references`"));
    }

    proptest! {
        #[test]
        fn tanh_is_par_of_twice_the_slope_from_minus_one_to_one(
            rewards in vec(-5.0..5.0, 0..5), references in vec(-5.0..5.0, 1..5), slope in 0.1..3.0,
        ) {
            let par = par_rewards(&rewards, &references, 2.0 * slope).unwrap();
            let expected: Vec<f64> = par.iter().map(|reward| 2.0 * reward - 1.0).collect();
            assert_close(&tanh_centered_rewards(&rewards, &references, slope).unwrap(), &expected, 1e-14);
        }

        #[test]
        fn free_of_the_gauge_and_odd(
            rewards in vec(-5.0..5.0, 0..5), references in vec(-5.0..5.0, 1..5), shift in -9.0..9.0,
        ) {
            let map = |values: &[f64], f: &dyn Fn(f64) -> f64| values.iter().map(|v| f(*v)).collect::<Vec<_>>();
            let plain = |rewards: &[f64], references: &[f64], _| centered_rewards(rewards, references);
            for shape in [plain, tanh_centered_rewards, arctan_centered_rewards] {
                let shaped = shape(&rewards, &references, 0.7).unwrap();
                let moved = shape(&map(&rewards, &|r| r + shift), &map(&references, &|r| r + shift), 0.7).unwrap();
                assert_close(&moved, &shaped, 1e-12);
                let turned = shape(&map(&rewards, &|r| -r), &map(&references, &|r| -r), 0.7).unwrap();
                assert_close(&turned, &map(&shaped, &|r| -r), 1e-12);
            }
        }
    }
}
