//! Bradley-Terry with a reward that is linear in features, of which there may be more than pairs.
//!
//! **Paper:** Rank Analysis of Incomplete Block Designs: I. The Method of Paired Comparisons (R. A. Bradley and M. E. Terry,
//! 1952); absolute values as in Regression Shrinkage and Selection via the Lasso (R. Tibshirani, 1996).
//! **Use when:** features say why: words, attributes, scores of other models; and as a baseline of any reward model.
//! **Checked by:** fits by hand, finite differences, [`crate::plural::logistic`] on few features, the conditions of the
//! lasso.
//! **Deviations:** no intercept, so that a pair and its mirror image say the same; a penalty is required.

use accordant_ops::check_domain;
use burn::config::Config;
use serde::{Deserialize, Serialize};

use super::{differences::Differences, proximal::fista};
use crate::{
    Error, Report, Result,
    optimize::{Stop, lbfgs},
    plural::logistic::cross_entropy,
};

/// How coefficients are kept small.
#[derive(Config, Debug, Copy, PartialEq, Eq)]
pub enum Penalty {
    /// By `λ Σ |θ|`: many are exactly 0.
    L1,
    /// By `½ λ Σ θ²`: a normal prior of precision λ.
    L2,
}

/// Configuration of a fit.
///
/// ```text
/// minimize  Σ_n w_n [ softplus(z_n) − t_n z_n ] + penalty(θ),   z_n = θ · (features of the first − of the second)
/// ```
#[derive(Config, Debug, PartialEq)]
pub struct LinearRewardConfig {
    /// How coefficients are kept small. By squares: ours, the usual one.
    #[config(default = "Penalty::L2")]
    pub penalty: Penalty,
    /// λ, finite and > 0: with more features than pairs, or with any that explains all pairs, there is no fit without. 1:
    /// ours.
    #[config(default = 1.0)]
    pub strength: f64,
    /// Converged when no derivative of the objective exceeds this much for each pair (of weight 1), > 0. 1e-9: ours.
    #[config(default = 1e-9)]
    pub tolerance: f64,
    /// Steps at most. 2000: ours; some tens are usual with squares, some hundreds with absolute values.
    #[config(default = 2000)]
    pub max_iterations: usize,
}

impl LinearRewardConfig {
    /// Fits the coefficients.
    ///
    /// # Errors
    /// A domain error naming a field; [`Error::Empty`] naming `pairs` when there is none of weight > 0.
    ///
    /// # Example
    /// ```
    /// use accordant_preference::multi_objective::{Differences, LinearRewardConfig, Penalty};
    /// let mut pairs = Differences::new(1);
    /// pairs.push(&[(0, 1.0)], 0.75, 4.0)?; // three of four votes for the side with one more
    /// // 4 (σ(θ) − ¾) + λ = 0 at odds of 2 : 1 when λ is a third, and at 0 from λ = 1 on.
    /// let config = LinearRewardConfig::new().with_penalty(Penalty::L1);
    /// let reward = config.clone().with_strength(1.0 / 3.0).fit(&pairs)?;
    /// assert!(reward.report.converged && (reward.coefficients[0] - 2f64.ln()).abs() < 1e-8);
    /// assert_eq!(config.with_strength(1.0).fit(&pairs)?.coefficients, [0.0]);
    /// # Ok::<(), accordant_preference::Error>(())
    /// ```
    pub fn fit(&self, pairs: &Differences) -> Result<LinearReward> {
        check_domain(self.strength.is_finite() && self.strength > 0.0, "strength", "finite and > 0", self.strength)?;
        let problem = Problem { pairs, domains: None };
        let (coefficients, report) =
            problem.minimize(self.penalty, vec![self.strength; pairs.dim()], self.tolerance, self.max_iterations)?;
        Ok(LinearReward { coefficients, report })
    }
}

/// A fitted reward.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LinearReward {
    /// What one unit of each feature is worth, in log-odds.
    pub coefficients: Vec<f64>,
    /// How the fit ended.
    pub report: Report,
}

/// What is minimized: with domains, pair `n` has the sum of the shared coefficients and of those of its domain, which follow.
pub(super) struct Problem<'a> {
    pub pairs: &'a Differences,
    pub domains: Option<&'a [usize]>,
}

impl Problem<'_> {
    /// Minimizes the loss plus the penalty with a strength for each coefficient.
    pub(super) fn minimize(
        &self,
        penalty: Penalty,
        strengths: Vec<f64>,
        tolerance: f64,
        max_iterations: usize,
    ) -> Result<(Vec<f64>, Report)> {
        check_domain(tolerance > 0.0, "tolerance", "> 0", tolerance)?;
        let total: f64 = self.pairs.weights().iter().sum();
        if total <= 0.0 {
            return Err(Error::Empty { name: "pairs", reason: "there is none, or none has a weight" });
        }
        let stop = Stop { gradient: tolerance * total.max(1.0), max_iterations };
        let start = vec![0.0; strengths.len()];
        match penalty {
            Penalty::L1 => fista(|at, gradient| self.loss(at, gradient), start, &strengths, stop),
            Penalty::L2 => Ok(lbfgs(
                |at, gradient| {
                    let loss = self.loss(at, gradient);
                    gradient.iter_mut().zip(at).zip(&strengths).for_each(|((g, x), strength)| *g += strength * x);
                    loss + 0.5 * at.iter().zip(&strengths).map(|(x, strength)| strength * x * x).sum::<f64>()
                },
                start,
                stop,
            )),
        }
    }

    /// The summed loss, without the penalty; writes its gradient.
    pub(super) fn loss(&self, at: &[f64], gradient: &mut [f64]) -> f64 {
        gradient.fill(0.0);
        let mut total = 0.0;
        for row in 0..self.pairs.len() {
            let weight = self.pairs.weights()[row];
            let own = self.domains.map(|domains| (1 + domains[row]) * self.pairs.dim());
            let entries = self.pairs.row(row);
            let coefficient = |feature: usize| at[feature] + own.map_or(0.0, |own| at[own + feature]);
            let lead = entries.iter().map(|&(feature, difference)| difference * coefficient(feature)).sum();
            let [loss, slope, _] = cross_entropy(lead, self.pairs.shares()[row]);
            total += weight * loss;
            for &(feature, difference) in entries {
                let change = weight * slope * difference;
                gradient[feature] += change;
                if let Some(own) = own {
                    gradient[own + feature] += change;
                }
            }
        }
        total
    }
}

#[cfg(test)]
pub(super) mod tests {
    use accordant_laws::gradient::check_gradient;

    use super::*;
    use crate::{
        Comparisons, Outcome,
        plural::{Items, LogisticConfig},
    };

    /// Pairs of three items with two features each.
    const ITEMS: [[f64; 2]; 3] = [[1.0, 0.5], [-0.3, 2.0], [0.0, -1.0]];
    const JUDGED: [(usize, usize, f64, f64); 5] =
        [(0, 1, 1.0, 2.0), (1, 0, 0.7, 1.0), (1, 2, 1.0, 1.5), (2, 0, 0.4, 3.0), (2, 1, 0.5, 1.0)];

    pub(in crate::multi_objective) fn pairs() -> Differences {
        let mut pairs = Differences::new(2);
        for (first, second, share, weight) in JUDGED {
            pairs.push_sides(&ITEMS[first], &ITEMS[second], share, weight).unwrap();
        }
        pairs
    }

    #[test]
    fn one_feature_by_hand() {
        let mut pairs = Differences::new(1);
        pairs.push(&[(0, 1.0)], 0.75, 4.0).unwrap();
        // 4 (2/3 − 3/4) + λ ln 2 = 0.
        let config = LinearRewardConfig::new().with_strength((3.0 * 2f64.ln()).recip());
        let reward = config.fit(&pairs).unwrap();
        assert!(reward.report.converged && (reward.coefficients[0] - 2f64.ln()).abs() < 1e-9);
        let objective = 4.0 * (0.75 * 1.5f64.ln() + 0.25 * 3f64.ln()) + 2f64.ln() / 6.0;
        assert!((reward.report.objective - objective).abs() < 1e-12);
    }

    #[test]
    fn derivatives_are_those_of_the_loss_with_and_without_domains() {
        let pairs = pairs();
        let domains = [0, 1, 1, 0, 2];
        for (domains, at) in
            [(None, vec![0.4, -1.0]), (Some(&domains[..]), vec![0.4, -1.0, 0.2, 0.3, -0.7, 0.1, 0.5, 0.6])]
        {
            let problem = Problem { pairs: &pairs, domains };
            let mut gradient = vec![9.0; at.len()];
            problem.loss(&at, &mut gradient);
            let value = |x: &[f64]| problem.loss(x, &mut vec![0.0; x.len()]);
            check_gradient(value, &at, &gradient).unwrap();
        }
    }

    #[test]
    fn squares_are_the_prior_of_the_fit_by_newton() {
        let items = Items::features(&ITEMS.map(|row| row.to_vec())).unwrap();
        let mut judged = Comparisons::new(3);
        for (first, second, share, weight) in JUDGED {
            judged.push_weighted(first, second, Outcome::Share(share), weight).unwrap();
        }
        let expected = LogisticConfig::new().with_prior(0.7).fit(&items, &judged).unwrap();
        let reward = LinearRewardConfig::new().with_strength(0.7).fit(&pairs()).unwrap();
        assert!(reward.report.converged);
        for (got, expected) in reward.coefficients.iter().zip(&expected.coefficients) {
            assert!((got - expected).abs() < 1e-7, "{got} is not {expected}");
        }
        assert!((reward.report.objective - expected.report.objective).abs() < 1e-12);
    }

    #[test]
    fn absolute_values_leave_a_slope_of_their_strength() {
        let config = LinearRewardConfig::new().with_penalty(Penalty::L1).with_strength(1.3);
        let reward = config.fit(&pairs()).unwrap();
        assert!(reward.report.converged, "{:?}", reward.report);
        let mut slope = [0.0; 2];
        let pairs = pairs();
        Problem { pairs: &pairs, domains: None }.loss(&reward.coefficients, &mut slope);
        for (x, g) in reward.coefficients.iter().zip(slope) {
            let held = if *x == 0.0 { g.abs() <= 1.3 } else { (g + 1.3 * x.signum()).abs() < 1e-7 };
            assert!(held, "{x} {g}");
        }
        assert!(reward.coefficients.contains(&0.0) && reward.coefficients != [0.0; 2], "{reward:?}");
    }

    #[test]
    fn a_pair_and_its_mirror_image_say_the_same_and_a_pair_twice_is_weight_2() {
        let fit = |pairs: &Differences| LinearRewardConfig::new().fit(pairs).unwrap().coefficients;
        let (mut mirrored, mut twice, mut heavy) = (Differences::new(2), Differences::new(2), Differences::new(2));
        for (first, second, share, weight) in JUDGED {
            mirrored.push_sides(&ITEMS[second], &ITEMS[first], 1.0 - share, weight).unwrap();
            for _ in 0..2 {
                twice.push_sides(&ITEMS[first], &ITEMS[second], share, weight).unwrap();
            }
            heavy.push_sides(&ITEMS[first], &ITEMS[second], share, 2.0 * weight).unwrap();
        }
        let close = |a: Vec<f64>, b: Vec<f64>| a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-7);
        assert!(close(fit(&pairs()), fit(&mirrored)) && close(fit(&twice), fit(&heavy)));
        assert!(!close(fit(&pairs()), fit(&heavy)));
    }

    #[test]
    fn a_feature_that_explains_every_pair_has_a_finite_coefficient() {
        let mut pairs = Differences::new(3);
        pairs.push(&[(0, 1.0)], 1.0, 1.0).unwrap();
        pairs.push(&[(0, 2.0), (1, 1.0)], 1.0, 1.0).unwrap();
        for penalty in [Penalty::L1, Penalty::L2] {
            let reward = LinearRewardConfig::new().with_penalty(penalty).with_strength(0.1).fit(&pairs).unwrap();
            assert!(reward.report.converged && reward.coefficients[0] > 1.0 && reward.coefficients[0] < 5.0);
            assert_eq!(reward.coefficients[2], 0.0, "nothing is said of the third");
        }
    }

    #[test]
    fn every_field_has_a_domain_and_a_default_and_nothing_teaches_nothing() {
        let text = |config: LinearRewardConfig| config.fit(&pairs()).unwrap_err().to_string();
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(
                text(LinearRewardConfig::new().with_strength(bad)).starts_with("`strength`: expected finite and > 0")
            );
        }
        for bad in [0.0, f64::NAN] {
            assert!(text(LinearRewardConfig::new().with_tolerance(bad)).starts_with("`tolerance`: expected > 0"));
        }
        let defaults = LinearRewardConfig::new();
        assert_eq!((defaults.penalty, defaults.strength), (Penalty::L2, 1.0));
        assert_eq!((defaults.tolerance, defaults.max_iterations), (1e-9, 2000));
        let stopped = LinearRewardConfig::new().with_max_iterations(1).fit(&pairs()).unwrap();
        assert_eq!((stopped.report.converged, stopped.report.iterations), (false, 1));
        let mut weightless = Differences::new(1);
        weightless.push(&[(0, 1.0)], 1.0, 0.0).unwrap();
        for nothing in [Differences::new(1), weightless] {
            let error = LinearRewardConfig::new().fit(&nothing).unwrap_err();
            assert!(matches!(error, Error::Empty { name: "pairs", .. }));
        }
    }

    #[test]
    fn a_pair_has_the_shared_coefficients_and_those_of_its_domain() {
        let mut pairs = Differences::new(2);
        pairs.push(&[(0, 1.0), (1, -1.0)], 0.75, 3.0).unwrap();
        // Shared 0.1 and 0.2; 0.4 and 0.8 of the first domain, 1.6 and 3.2 of the second.
        let at = [0.1, 0.2, 0.4, 0.8, 1.6, 3.2];
        for (domain, lead) in [(0, -0.1 - 0.4), (1, -0.1 - 1.6)] {
            let mut gradient = [9.0; 6];
            let loss = Problem { pairs: &pairs, domains: Some(&[domain]) }.loss(&at, &mut gradient);
            let [expected, slope, _] = cross_entropy(lead, 0.75);
            assert!((loss - 3.0 * expected).abs() < 1e-12, "{domain}: {loss}");
            let mut by = [3.0 * slope, -3.0 * slope, 0.0, 0.0, 0.0, 0.0];
            (by[2 + 2 * domain], by[3 + 2 * domain]) = (by[0], by[1]);
            assert!(gradient.iter().zip(by).all(|(got, expected)| (got - expected).abs() < 1e-12), "{gradient:?}");
        }
    }

    #[test]
    fn the_tolerance_is_for_each_pair() {
        // Four pairs that all say the same: a slope of 2 at the start.
        let mut pairs = Differences::new(1);
        pairs.push(&[(0, 1.0)], 1.0, 4.0).unwrap();
        let iterations =
            |tolerance: f64| LinearRewardConfig::new().with_tolerance(tolerance).fit(&pairs).unwrap().report.iterations;
        assert_eq!((iterations(0.501), iterations(0.499) > 0), (0, true));
        // A tenth of a pair has a slope of a twentieth, and counts as one.
        let mut little = Differences::new(1);
        little.push(&[(0, 1.0)], 1.0, 0.1).unwrap();
        let fit = LinearRewardConfig::new().with_tolerance(0.051).fit(&little).unwrap();
        assert_eq!(fit.report.iterations, 0);
    }
}
