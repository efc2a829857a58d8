//! Relative-absolute policy optimization (RAPO): rewards of predicted scores, by their error and by their order.
//!
//! **Paper:** Unlocking the Essence of Beauty: Advanced Aesthetic Reasoning with Relative-Absolute Policy Optimization
//! (2025), 2509.21871.
//! **Use when:** a model reasons and then predicts a human score: of an image's beauty, of quality.
//! **Checked by:** hand-worked values, properties under proptest.
//! **Deviations:** rewards are not rounded to four decimals, and 1e-5 is not added to the absolute one, as in the
//! authors' code. There, a batch with one prompt divides by 0, and a prediction that cannot be read is drawn at random:
//! here the relative reward is 0, and the prediction is missing.

use core::f64::consts::PI;

use accordant_ops::groups::Groups;
use burn::config::Config;

use super::values::{check_each, check_len, check_positive, check_rewards, mean, members, present_of};
use crate::{Moments, Result};

/// Added under every root of the authors' code.
const EPS: f64 = 1e-6;

/// Absolute rewards: 1 for an exact prediction, falling like a normal density.
///
/// ```text
/// r_ij = exp(−½ ((pred_ij − target_i) / scale)²)
/// ```
///
/// `predictions`: one for each item of `groups`, or NaN where it could not be read, which stays NaN. `targets`: the
/// human score of each group, by its number, in the unit of the predictions. `scale`: finite and > 0, in that unit.
///
/// # Errors
/// A shape error naming `predictions` or `targets`; a domain error naming `predictions` for infinite ones, `targets`
/// for what is not finite, or `scale`.
///
/// # Example
/// ```
/// use accordant_objectives::reward_shaping::rapo::absolute_rewards;
/// use accordant_ops::groups::Groups;
/// let rewards = absolute_rewards(&Groups::new(&["image", "image"]), &[0.5, 0.75], &[0.5], 0.25)?;
/// assert_eq!(rewards, [1.0, (-0.5f64).exp()]);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2509.21871")]
pub fn absolute_rewards(groups: &Groups, predictions: &[f64], targets: &[f64], scale: f64) -> Result<Vec<f64>> {
    check_predictions(groups, predictions, targets)?;
    check_positive("scale", scale)?;
    let reward =
        |(&number, prediction): (&usize, &f64)| (-0.5 * ((prediction - targets[number]) / scale).powi(2)).exp();
    Ok(groups.numbers().iter().zip(predictions).map(reward).collect())
}

/// Relative rewards: how surely a prediction is in the right order with the mean predictions of the other prompts.
///
/// ```text
/// r_ij = mean_{z ≠ i} √(p g + 10⁻⁶) + √((1 − p)(1 − g) + 10⁻⁶)
/// p = Φ((pred_ij − mean_z) / √(var_i + var_z + 10⁻⁶)),   g = 1[target_i ≥ target_z]
/// ```
///
/// The mean and the unbiased variance are over the present predictions of a prompt's group, the variance of one alone
/// 0; a prompt without any is left out. Arguments are those of [`absolute_rewards`]. 0 where there is no other prompt.
/// A missing prediction has a missing reward.
///
/// # Errors
/// A shape error naming `predictions` or `targets`; a domain error naming `predictions` for infinite ones or `targets`
/// for what is not finite.
///
/// # Example
/// ```
/// use accordant_objectives::reward_shaping::rapo::relative_rewards;
/// use accordant_ops::groups::Groups;
/// let groups = Groups::new(&["dull", "fine"]);
/// // Equal predictions are a coin toss for both, surely ordered ones are worth about 1, or 0.
/// let toss = relative_rewards(&groups, &[0.5, 0.5], &[0.2, 0.8])?;
/// assert!((toss[0] - (0.5f64 + 1e-6).sqrt() - 1e-3).abs() < 1e-12 && (toss[1] - toss[0]).abs() < 1e-12);
/// let ordered = relative_rewards(&groups, &[0.2, 0.8], &[0.2, 0.8])?;
/// assert!((ordered[0] - 1.001).abs() < 1e-6);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2509.21871")]
pub fn relative_rewards(groups: &Groups, predictions: &[f64], targets: &[f64]) -> Result<Vec<f64>> {
    check_predictions(groups, predictions, targets)?;
    let statistics: Vec<Moments> = members(groups)
        .iter()
        .map(|items| {
            let mut moments = Moments::default();
            moments.add(&present_of(predictions, items));
            moments
        })
        .collect();
    let reward = |(&own, &prediction): (&usize, &f64)| {
        if prediction.is_nan() {
            return f64::NAN;
        }
        let others = (0..statistics.len()).filter(|&other| other != own && statistics[other].count > 0.0);
        let fidelities = others.map(|other| {
            let variance = statistics[own].std().powi(2) + statistics[other].std().powi(2);
            let prob = normal_cdf((prediction - statistics[other].mean) / (variance + EPS).sqrt());
            fidelity(prob, targets[own] >= targets[other])
        });
        let fidelities: Vec<f64> = fidelities.collect();
        if fidelities.is_empty() { 0.0 } else { mean(&fidelities) }
    };
    Ok(groups.numbers().iter().zip(predictions).map(reward).collect())
}

fn fidelity(prob: f64, higher: bool) -> f64 {
    let right = if higher { prob } else { 1.0 - prob };
    (right + EPS).sqrt() + EPS.sqrt()
}

/// The standard normal distribution function, to about 1e-15.
fn normal_cdf(x: f64) -> f64 {
    // Beyond, it is 0 or 1 to f64's accuracy, and the series grows too large for it.
    if x.abs() > 8.0 {
        return f64::from(x > 0.0);
    }
    // Φ(x) = ½ + φ(x) (x + x³/3 + x⁵/(3·5) + …), all of one sign. 150 terms reach 1e-17 of the sum at 8.
    let mut term = x;
    let mut sum = x;
    for k in 1..150 {
        term *= x * x / f64::from(2 * k + 1);
        sum += term;
    }
    (0.5 + sum * (-0.5 * x * x).exp() / (2.0 * PI).sqrt()).clamp(0.0, 1.0)
}

fn check_predictions(groups: &Groups, predictions: &[f64], targets: &[f64]) -> Result<()> {
    check_len("predictions", groups.len(), predictions.len())?;
    check_len("targets", groups.sizes().len(), targets.len())?;
    check_rewards("predictions", predictions)?;
    check_each("targets", "finite", targets, f64::is_finite)
}

/// Configuration of [`Rapo`].
#[derive(Config, Debug, PartialEq)]
pub struct RapoConfig {
    /// The error at which the absolute reward is e^−½, finite and > 0, in the predictions' unit. 0.1: the paper's, for
    /// scores in `[0, 1]`.
    #[config(default = 0.1)]
    pub scale: f64,
}

impl RapoConfig {
    /// Checks the field.
    ///
    /// # Errors
    /// A domain error naming `scale`.
    pub fn init(&self) -> Result<Rapo> {
        check_positive("scale", self.scale)?;
        Ok(Rapo { config: self.clone() })
    }
}

/// Relative-absolute rewards; see [`absolute_rewards`] and [`relative_rewards`].
#[derive(Debug, Clone, PartialEq)]
pub struct Rapo {
    config: RapoConfig,
}

impl Rapo {
    /// The sum of the format reward, the absolute one and the relative one.
    ///
    /// `format_rewards`: one for each prediction. Where any of the three is missing, so is the sum: give a response
    /// whose score cannot be read the reward it deserves, 0 say, in its place.
    ///
    /// # Errors
    /// A shape error naming `format_rewards`, `predictions` or `targets`; a domain error naming `format_rewards` or
    /// `predictions` for infinite ones, or `targets` for what is not finite.
    pub fn rewards(
        &self,
        groups: &Groups,
        format_rewards: &[f64],
        predictions: &[f64],
        targets: &[f64],
    ) -> Result<Vec<f64>> {
        check_len("format_rewards", groups.len(), format_rewards.len())?;
        check_rewards("format_rewards", format_rewards)?;
        let absolute = absolute_rewards(groups, predictions, targets, self.config.scale)?;
        let relative = relative_rewards(groups, predictions, targets)?;
        Ok(format_rewards.iter().zip(absolute).zip(relative).map(|((f, absolute), r)| f + absolute + r).collect())
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;
    use crate::reward_shaping::values::tests::{assert_close, message};

    #[test]
    fn the_normal_distribution_has_its_known_values() {
        // Φ(1), Φ(−1.96), Φ(2.5758293035489004) = 0.995 and what lies far out.
        let known = [
            (0.0, 0.5),
            (1.0, 0.841_344_746_068_542_9),
            (-1.96, 0.024_997_895_148_220_43),
            (2.575_829_303_548_900_4, 0.995),
            (-6.0, 9.865_876_450_376_98e-10),
        ];
        for (x, expected) in known {
            assert!((normal_cdf(x) - expected).abs() < 2e-15, "{x}");
            assert!((normal_cdf(-x) - (1.0 - expected)).abs() < 2e-15, "{x}");
        }
        assert_eq!([-1e300, -8.5, 8.5, 1e300].map(normal_cdf), [0.0, 0.0, 1.0, 1.0]);
        for x in [-8.0, 8.0] {
            assert!((normal_cdf(x) - f64::from(x > 0.0)).abs() < 2e-15);
        }
    }

    #[test]
    fn absolute_rewards_by_hand() {
        let nan = f64::NAN;
        let groups = Groups::new(&['b', 'a', 'b']);
        let rewards = absolute_rewards(&groups, &[0.3, nan, 0.6], &[0.5, 0.9], 0.1).unwrap();
        assert_close(&rewards, &[(-2f64).exp(), nan, (-0.5f64).exp()], 1e-14);
    }

    #[test]
    fn relative_rewards_by_hand() {
        // Prompt a: 1 and 3, mean 2, variance 2; prompt b: 2, 4 and 6, mean 4, variance 4; the spread is √6.
        let groups = Groups::new(&['a', 'b', 'a', 'b', 'b', 'b']);
        let predictions = [1.0, 2.0, 3.0, f64::NAN, 4.0, 6.0];
        let deviation = (6.0 + 1e-6f64).sqrt();
        let right = |prob: f64| (prob + 1e-6).sqrt() + 1e-3;
        let phi = |gap: f64| normal_cdf(gap / deviation);
        // Prompt a truly lies below: its members are right as far as they lie below 4, b's as far as they lie above 2.
        let expected = [right(phi(3.0)), right(0.5), right(phi(1.0)), f64::NAN, right(phi(2.0)), right(phi(4.0))];
        assert_close(&relative_rewards(&groups, &predictions, &[1.0, 9.0]).unwrap(), &expected, 1e-13);
        // With equal targets each is to be the higher one.
        let expected = [right(phi(-3.0)), right(0.5), right(phi(-1.0)), f64::NAN, right(phi(2.0)), right(phi(4.0))];
        assert_close(&relative_rewards(&groups, &predictions, &[9.0, 9.0]).unwrap(), &expected, 1e-13);
    }

    #[test]
    fn the_other_prompts_count_equally_and_those_without_a_prediction_not_at_all() {
        let groups = Groups::new(&[0, 1, 2, 3]);
        // Sure against 1, a toss against 2.
        let rewards = relative_rewards(&groups, &[5.0, 1.0, 5.0, f64::NAN], &[9.0, 0.0, 0.0, 0.0]).unwrap();
        let toss = (0.5f64 + 1e-6).sqrt() + 1e-3;
        let sure = (1.0f64 + 1e-6).sqrt() + 1e-3;
        assert!((rewards[0] - (toss + sure) / 2.0).abs() < 1e-14);
        assert!(rewards[3].is_nan());
        for (ids, predictions) in [([0, 0], [1.0, 2.0]), ([0, 1], [1.0, f64::NAN])] {
            let groups = Groups::new(&ids);
            let targets = vec![0.0; groups.sizes().len()];
            assert_eq!(relative_rewards(&groups, &predictions, &targets).unwrap()[0], 0.0, "no other prompt");
        }
    }

    #[test]
    fn the_three_parts_add_up() {
        let (groups, predictions, targets) = (Groups::new(&[0, 1, 0]), [0.25, 0.5, f64::NAN], [0.5, 0.0]);
        let rapo = RapoConfig::new().with_scale(0.25).init().unwrap();
        let absolute = absolute_rewards(&groups, &predictions, &targets, 0.25).unwrap();
        let relative = relative_rewards(&groups, &predictions, &targets).unwrap();
        let expected: Vec<f64> = (0..3).map(|item| 1.0 + absolute[item] + relative[item]).collect();
        assert_close(&rapo.rewards(&groups, &[1.0; 3], &predictions, &targets).unwrap(), &expected, 1e-15);
        assert!(expected[2].is_nan() && expected[0] > 1.5);
        assert_eq!(RapoConfig::new().scale, 0.1);
    }

    #[test]
    fn what_does_not_fit_is_refused_by_name() {
        let groups = Groups::new(&[0, 1]);
        let rapo = RapoConfig::new().init().unwrap();
        let of = |predictions: &[f64], targets: &[f64]| {
            let error = message(relative_rewards(&groups, predictions, targets));
            assert_eq!(message(absolute_rewards(&groups, predictions, targets, 1.0)), error);
            assert_eq!(message(rapo.rewards(&groups, &[0.0; 2], predictions, targets)), error);
            error
        };
        assert_eq!(of(&[0.0], &[0.0; 2]), "`predictions`: expected shape [2], got [1]");
        assert_eq!(of(&[0.0; 2], &[0.0]), "`targets`: expected shape [2], got [1]");
        assert!(of(&[f64::INFINITY, 0.0], &[0.0; 2]).starts_with("`predictions`"));
        assert_eq!(of(&[0.0; 2], &[0.0, f64::NAN]), "`targets`: expected finite, got NaN");
        for bad in [0.0, f64::NAN] {
            assert!(message(RapoConfig::new().with_scale(bad).init()).starts_with("`scale`"));
            assert!(message(absolute_rewards(&groups, &[0.0; 2], &[0.0; 2], bad)).starts_with("`scale`"));
        }
        let error = message(rapo.rewards(&groups, &[0.0], &[0.0; 2], &[0.0; 2]));
        assert_eq!(error, "`format_rewards`: expected shape [2], got [1]");
        let error = message(rapo.rewards(&groups, &[0.0, f64::INFINITY], &[0.0; 2], &[0.0; 2]));
        assert!(error.starts_with("`format_rewards`"));
    }

    proptest! {
        #[test]
        fn bounded_and_rising_towards_the_right_side(
            predictions in vec(0.0..1.0, 6), step in 0.0..0.5, targets in vec(0.0..1.0, 2),
        ) {
            let groups = Groups::new(&[0, 0, 0, 1, 1, 1]);
            let rewards = relative_rewards(&groups, &predictions, &targets).unwrap();
            prop_assert!(rewards.iter().all(|reward| (0.002 - 1e-12..1.0011).contains(reward)));
            // A step of the whole group keeps its variance.
            let moved: Vec<f64> = (0..6).map(|i| predictions[i] + if i < 3 { step } else { 0.0 }).collect();
            let after = relative_rewards(&groups, &moved, &targets).unwrap();
            let gain = if targets[0] >= targets[1] { after[0] - rewards[0] } else { rewards[0] - after[0] };
            prop_assert!(gain >= -1e-9);
        }
    }
}
