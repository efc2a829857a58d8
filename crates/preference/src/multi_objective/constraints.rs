//! Rewards held within limits: multipliers of constraints, and the tilt of a policy that reaches given values.
//!
//! **Paper:** Confronting Reward Model Overoptimization with Constrained RLHF (2023), 2310.04373, for the multipliers; MAP:
//! Multi-Human-Value Alignment Palette (2024), 2410.19198, for the tilt.
//! **Use when:** more of a reward is good up to a point only, or several values are to reach what was agreed on.
//! **Checked by:** hand-worked steps, the gradient of the dual, tilts with known solutions, targets that cannot be reached.
//! **Deviations:** multipliers are clipped, not squashed by a sigmoid.

use accordant_ops::{check_domain, host};
use burn::config::Config;
use nalgebra::{DMatrix, DVector};
use serde::{Deserialize, Serialize};

use crate::{
    Error, Report, Result,
    error::{check_length, check_record},
    optimize::{Quadratic, Stop, newton},
};

/// Several rewards as one, by a preference among them: `Σ_k preference_k rewards_k`.
///
/// # Errors
/// [`Error::Length`] naming `rewards`; [`Error::Record`] for an entry of `preference` that is negative or NaN; a domain error
/// naming `preference` unless it adds up to 1 within 1e-6.
///
/// # Example
/// ```
/// use accordant_preference::multi_objective::constraints::scalarize;
/// assert_eq!(scalarize(&[0.75, 0.25], &[4.0, -8.0])?, 1.0);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
pub fn scalarize(preference: &[f64], rewards: &[f64]) -> Result<f64> {
    check_length("rewards", preference.len(), rewards.len())?;
    for (row, &share) in preference.iter().enumerate() {
        check_record(share >= 0.0, row, "preference", ">= 0", share)?;
    }
    let total: f64 = preference.iter().sum();
    check_domain((total - 1.0).abs() <= 1e-6, "preference", "1 in sum", total)?;
    Ok(preference.iter().zip(rewards).map(|(share, reward)| share * reward).sum())
}

/// Configuration of multipliers `μ` of constraints `E[r_k] ≤ limit_k`: after each batch,
/// `μ_k ← clip(μ_k + rate (mean r_k − limit_k), 0, max)`.
#[derive(Config, Debug, PartialEq)]
pub struct MultiplierConfig {
    /// By how much a multiplier grows for each unit above its limit, finite and > 0. 0.1: ours.
    #[config(default = 0.1)]
    pub rate: f64,
    /// The largest multiplier, finite and > 0. 1: ours; a constraint then never outweighs a reward of weight 1.
    #[config(default = 1.0)]
    pub max: f64,
}

impl MultiplierConfig {
    /// The multipliers after a batch with these mean rewards.
    ///
    /// # Errors
    /// A domain error naming a field; [`Error::Length`] naming `means` or `limits`; [`Error::Record`] for a multiplier outside
    /// of `[0, max]`, or a mean or a limit that is not finite.
    ///
    /// # Example
    /// ```
    /// use accordant_preference::multi_objective::constraints::MultiplierConfig;
    /// let after = MultiplierConfig::new().update(&[0.5, 0.1], &[3.0, 1.0], &[2.0, 4.0])?;
    /// assert_eq!(after, [0.6, 0.0]); // one above its limit, one three below it
    /// # Ok::<(), accordant_preference::Error>(())
    /// ```
    pub fn update(&self, multipliers: &[f64], means: &[f64], limits: &[f64]) -> Result<Vec<f64>> {
        let Self { rate, max } = *self;
        check_domain(rate.is_finite() && rate > 0.0, "rate", "finite and > 0", rate)?;
        check_domain(max.is_finite() && max > 0.0, "max", "finite and > 0", max)?;
        check_length("means", multipliers.len(), means.len())?;
        check_length("limits", multipliers.len(), limits.len())?;
        let mut after = Vec::with_capacity(multipliers.len());
        for (row, ((&multiplier, &mean), &limit)) in multipliers.iter().zip(means).zip(limits).enumerate() {
            check_record((0.0..=max).contains(&multiplier), row, "multiplier", "in [0, max]", multiplier)?;
            check_record(mean.is_finite(), row, "mean", "finite", mean)?;
            check_record(limit.is_finite(), row, "limit", "finite", limit)?;
            after.push((multiplier + rate * (mean - limit)).clamp(0.0, max));
        }
        Ok(after)
    }
}

/// The tilt `λ` whose policy `π_λ ∝ π_ref exp(λ · r)` has the mean rewards `targets`: the minimum of the convex dual
///
/// ```text
/// log E_ref[ exp(λ · r) ] − λ · targets
/// ```
///
/// over samples of the reference, `rewards` `[n, K]`; its gradient is `E_λ[r] − targets`.
///
/// # Errors
/// [`Error::Empty`] without a sample; [`Error::Length`] naming `rewards`; [`Error::Record`] for a number that is not finite;
/// [`Error::Combination`] when no tilt below 1000 reaches the targets: they are no mean of the samples, or at their edge.
///
/// # Example
/// ```
/// use accordant_preference::multi_objective::constraints::tilt_to;
/// // Of the reference half has reward 1 and half 0; three quarters take odds of 3 : 1.
/// let tilt = tilt_to(&[vec![0.0], vec![1.0]], &[0.75])?;
/// assert!(tilt.report.converged && (tilt.multipliers[0] - 3f64.ln()).abs() < 1e-8);
/// assert!(tilt_to(&[vec![0.0], vec![1.0]], &[1.5]).is_err());
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[doc(alias = "MAP")]
pub fn tilt_to(rewards: &[Vec<f64>], targets: &[f64]) -> Result<Tilt> {
    const LARGEST: f64 = 1e3;
    if rewards.is_empty() {
        return Err(Error::Empty { name: "rewards", reason: "there is no sample" });
    }
    for (row, sample) in rewards.iter().enumerate() {
        check_length("rewards", targets.len(), sample.len())?;
        for &reward in sample {
            check_record(reward.is_finite(), row, "reward", "finite", reward)?;
        }
    }
    for (row, &target) in targets.iter().enumerate() {
        check_record(target.is_finite(), row, "target", "finite", target)?;
    }
    if targets.is_empty() {
        return Err(Error::Empty { name: "targets", reason: "there is no reward" });
    }
    let dual = |at: &DVector<f64>| dual(rewards, targets, at);
    // The gradient is in the units of the rewards.
    let size = rewards.iter().flatten().chain(targets).fold(0.0, |size: f64, reward| size.max(reward.abs()));
    let stop = Stop { gradient: 1e-10 * size.max(f64::MIN_POSITIVE), max_iterations: 200 };
    let start = DVector::zeros(targets.len());
    let (multipliers, report) = newton(dual, start.clone(), stop);
    let left = smallest_share(dual(&start).hessian, &dual(&multipliers).hessian);
    if !report.converged || multipliers.norm() > LARGEST || left < 1e-7 {
        return Err(Error::Combination { what: "targets", reason: "no tilt below 1000 reaches them" });
    }
    Ok(Tilt { multipliers: multipliers.as_slice().to_vec(), report })
}

fn dual(rewards: &[Vec<f64>], targets: &[f64], at: &DVector<f64>) -> Quadratic {
    let logits: Vec<f64> = rewards.iter().map(|row| row.iter().zip(at.iter()).map(|(r, l)| r * l).sum()).collect();
    let count = targets.len();
    let chances = host::softmax(&logits);
    let mean = DVector::from_fn(count, |k, _| rewards.iter().zip(&chances).map(|(row, chance)| chance * row[k]).sum());
    let away: Vec<Vec<f64>> =
        rewards.iter().map(|row| row.iter().zip(mean.iter()).map(|(reward, mean)| reward - mean).collect()).collect();
    let covariance = |j: usize, k: usize| away.iter().zip(&chances).map(|(row, chance)| chance * row[j] * row[k]).sum();
    let hessian = DMatrix::from_fn(count, count, covariance);
    let targets = DVector::from_column_slice(targets);
    let value = host::log_sum_exp(&logits) - (rewards.len() as f64).ln() - at.dot(&targets);
    Quadratic { value, gradient: mean - targets, hessian }
}

/// The least share of the reference's variance that is left in any direction in which there is one: next to nothing where
/// all chance has gone to the edge of the samples.
fn smallest_share(reference: DMatrix<f64>, tilted: &DMatrix<f64>) -> f64 {
    let eigen = reference.symmetric_eigen();
    let least = 1e-12 * eigen.eigenvalues.max();
    let varies = |at: &usize| eigen.eigenvalues[*at] > least;
    let scaled: Vec<DVector<f64>> = (0..eigen.eigenvalues.len())
        .filter(varies)
        .map(|at| eigen.eigenvectors.column(at) * eigen.eigenvalues[at].sqrt().recip())
        .collect();
    if scaled.is_empty() {
        return 1.0;
    }
    let directions = DMatrix::from_columns(&scaled);
    (directions.transpose() * tilted * &directions).symmetric_eigenvalues().min()
}

/// What [`tilt_to`] found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tilt {
    /// λ; an entry below 0 says that the reference has more of this reward than was asked for.
    pub multipliers: Vec<f64>,
    /// How the search ended.
    pub report: Report,
}

#[cfg(test)]
mod tests {
    use accordant_laws::gradient::check_gradient;

    use super::*;

    #[test]
    fn multipliers_follow_their_constraints_and_stay_within_their_range() {
        let config = MultiplierConfig::new().with_rate(0.5).with_max(2.0);
        let after = config.update(&[1.0, 0.25, 1.75, 0.0], &[1.5, 0.0, 9.0, 3.0], &[1.0, 1.0, 1.0, 3.0]).unwrap();
        assert_eq!(after, [1.25, 0.0, 2.0, 0.0]);
    }

    fn samples() -> Vec<Vec<f64>> {
        (0..12).map(|i| vec![f64::from(i * 5 % 7) - 2.0, f64::from(i * i % 5)]).collect()
    }

    #[test]
    fn the_gradient_of_the_dual_is_what_is_missing() {
        let (rewards, at) = (samples(), [0.3, -0.7]);
        let value = |x: &[f64]| dual(&rewards, &[0.4, 1.1], &DVector::from_column_slice(x));
        let here = value(&at);
        check_gradient(|x| value(x).value, &at, here.gradient.as_slice()).unwrap();
        for row in 0..2 {
            let expected: Vec<f64> = here.hessian.row(row).iter().copied().collect();
            check_gradient(|x| value(x).gradient[row], &at, &expected).unwrap();
        }
        // At 0 the value is 0: the mean of ones.
        assert!(value(&[0.0, 0.0]).value.abs() < 1e-15);
    }

    #[test]
    fn a_tilt_reaches_its_targets_and_none_is_needed_for_the_means_of_the_reference() {
        let rewards = samples();
        let mean = |k: usize| rewards.iter().map(|row| row[k]).sum::<f64>() / 12.0;
        let none = tilt_to(&rewards, &[mean(0), mean(1)]).unwrap();
        assert!(none.multipliers.iter().all(|l| l.abs() < 1e-8), "{none:?}");
        let tilt = tilt_to(&rewards, &[2.0, 0.8]).unwrap();
        let weights: Vec<f64> =
            rewards.iter().map(|row| (row[0] * tilt.multipliers[0] + row[1] * tilt.multipliers[1]).exp()).collect();
        for (k, target) in [2.0, 0.8].into_iter().enumerate() {
            let total: f64 = weights.iter().sum();
            let reached: f64 = rewards.iter().zip(&weights).map(|(row, weight)| row[k] * weight).sum();
            assert!((reached / total - target).abs() < 1e-8);
        }
        assert!(tilt.multipliers[0] > 0.0);
        // Rewards 0, 1, 2 alike, to a mean of 1.5: x + 2x² = 1.5 (1 + x + x²) for x = exp(λ), so x = (1 + √13) / 2.
        let tilt = tilt_to(&[vec![0.0], vec![1.0], vec![2.0]], &[1.5]).unwrap();
        assert!((tilt.multipliers[0] - 0.834_115_194).abs() < 1e-9, "{tilt:?}");
        assert!((tilt.multipliers[0].exp() - 0.5 * (1.0 + 13f64.sqrt())).abs() < 1e-9);
        // Less than the reference has: a tilt the other way.
        assert!((tilt_to(&[vec![0.0], vec![1.0]], &[0.25]).unwrap().multipliers[0] + 3f64.ln()).abs() < 1e-8);
    }

    #[test]
    fn targets_that_no_policy_reaches_are_an_error_and_not_a_huge_number() {
        for target in [1.0, 1.5, -0.1, 0.0] {
            let error = tilt_to(&[vec![0.0], vec![1.0]], &[target]).unwrap_err();
            assert!(matches!(error, Error::Combination { what: "targets", .. }), "{target}: {error}");
        }
        // The edge of two rewards together: only samples whose sum is 1 are left.
        let square = [vec![0.0, 0.0], vec![1.0, 0.0], vec![0.0, 1.0], vec![1.0, 1.0]];
        assert!(tilt_to(&square, &[0.5, 0.9]).is_ok());
        let triangle = [vec![0.0, 0.0], vec![1.0, 0.0], vec![0.0, 1.0]];
        assert!(tilt_to(&triangle, &[0.5, 0.5]).is_err() && tilt_to(&triangle, &[0.45, 0.45]).is_ok());
        // A reward that does not vary has its value, and no other.
        let constant = [vec![0.0, 2.0], vec![1.0, 2.0]];
        let tilt = tilt_to(&constant, &[0.75, 2.0]).unwrap();
        assert!((tilt.multipliers[0] - 3f64.ln()).abs() < 1e-8);
        assert!(tilt_to(&constant, &[0.75, 2.1]).is_err());
        // A tilt of 1099 takes a reward in thousandths, which is refused; in hundredths it is 110.
        assert!(tilt_to(&[vec![0.0], vec![1e-3]], &[0.75e-3]).is_err());
        assert!((tilt_to(&[vec![0.0], vec![1e-2]], &[0.75e-2]).unwrap().multipliers[0] - 109.861).abs() < 1e-2);
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        let text = |config: MultiplierConfig| config.update(&[0.0], &[0.0], &[0.0]).unwrap_err().to_string();
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(text(MultiplierConfig::new().with_rate(bad)).starts_with("`rate`: expected finite and > 0"));
            assert!(text(MultiplierConfig::new().with_max(bad)).starts_with("`max`: expected finite and > 0"));
        }
        let config = MultiplierConfig::new();
        assert_eq!((config.rate, config.max), (0.1, 1.0));
        let text = |m: &[f64], means: &[f64], limits: &[f64]| config.update(m, means, limits).unwrap_err().to_string();
        assert!(text(&[0.0], &[], &[0.0]).starts_with("`means`: expected 1 entries"));
        assert!(text(&[0.0], &[0.0], &[]).starts_with("`limits`: expected 1 entries"));
        for bad in [-0.1, 1.1, f64::NAN] {
            assert!(text(&[bad], &[0.0], &[0.0]).starts_with("record 0: `multiplier`: expected in [0, max]"));
        }
        assert!(text(&[0.0], &[f64::NAN], &[0.0]).starts_with("record 0: `mean`"));
        assert!(text(&[0.0], &[0.0], &[f64::INFINITY]).starts_with("record 0: `limit`"));
        assert!(matches!(tilt_to(&[], &[1.0]), Err(Error::Empty { name: "rewards", .. })));
        assert!(matches!(tilt_to(&[vec![1.0]], &[]), Err(Error::Length { name: "rewards", .. })));
        assert!(matches!(tilt_to(&[vec![]], &[]), Err(Error::Empty { name: "targets", .. })));
        assert!(matches!(tilt_to(&[vec![f64::NAN]], &[1.0]), Err(Error::Record { name: "reward", .. })));
        assert!(matches!(tilt_to(&[vec![1.0]], &[f64::NAN]), Err(Error::Record { name: "target", .. })));
        assert!(matches!(scalarize(&[1.0], &[]), Err(Error::Length { name: "rewards", .. })));
        assert!(matches!(scalarize(&[2.0, -1.0], &[1.0; 2]), Err(Error::Record { row: 1, .. })));
        let text = |preference: &[f64]| scalarize(preference, &[1.0; 2]).unwrap_err().to_string();
        assert!(text(&[0.5, 0.4]).starts_with("`preference`: expected 1 in sum"));
        assert!(text(&[0.5, 0.51]).starts_with("`preference`: expected 1 in sum"));
        assert!(scalarize(&[0.5, 0.500_000_5], &[1.0; 2]).is_ok());
    }

    #[test]
    fn a_preference_weighs_rewards() {
        assert_eq!(scalarize(&[0.75, 0.25], &[4.0, -8.0]).unwrap(), 1.0);
        assert_eq!(scalarize(&[0.5, 0.5, 0.0], &[2.0, 4.0, 1e9]).unwrap(), 3.0);
    }

    #[test]
    fn rewards_in_millions_have_tilts_of_millionths() {
        let millions: Vec<Vec<f64>> =
            samples().iter().map(|row| row.iter().map(|reward| 1e6 * reward).collect()).collect();
        for targets in [[1.9, 0.7], [0.3, 2.1], [1.1, 1.3]] {
            let tilt = tilt_to(&millions, &targets.map(|target| 1e6 * target)).unwrap();
            let small = tilt_to(&samples(), &targets).unwrap();
            let close = |(large, small): (&f64, &f64)| (1e6 * large - small).abs() < 1e-8;
            assert!(tilt.multipliers.iter().zip(&small.multipliers).all(close), "{tilt:?} {small:?}");
        }
    }

    #[test]
    fn the_share_of_the_variance_that_is_left_by_hand() {
        let diagonal = |values: [f64; 2]| DMatrix::from_diagonal(&DVector::from_column_slice(&values));
        let share = |reference: [f64; 2], tilted: [f64; 2]| smallest_share(diagonal(reference), &diagonal(tilted));
        assert!((share([4.0, 100.0], [1.0, 80.0]) - 0.25).abs() < 1e-12);
        // Next to 100, 5e-11 is none, and 2e-10 is some.
        assert!((share([5e-11, 100.0], [0.0, 80.0]) - 0.8).abs() < 1e-12);
        assert!(share([2e-10, 100.0], [0.0, 80.0]).abs() < 1e-12);
        assert_eq!(share([0.0; 2], [0.0; 2]), 1.0, "no direction at all");
    }
}
