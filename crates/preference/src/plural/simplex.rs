//! Weights on the simplex of scores that are fixed, fitted to a few pairs by pairwise Frank-Wolfe steps.
//!
//! **Paper:** On the Global Linear Convergence of Frank-Wolfe Optimization Variants (2015), 1511.05932, for the user's fit of
//! LoRe: Personalizing LLMs via Low-Rank Reward Modeling (2025), 2504.14439.
//! **Use when:** a new user of a low-rank model is to be fitted to the optimum: the problem is convex in the weights, though
//! not in their logits.
//! **Checked by:** a closed form of two rows, the gap of Frank and Wolfe, the fit by logits.
//! **Deviations:** none. Exponentiated gradient, the other method that is known for it, nearly stands still at a weight whose
//! best value is 0 or close to it: its steps are proportional to the weight.

use accordant_ops::check_domain;
use burn::config::Config;
use serde::{Deserialize, Serialize};

use super::{em::first_largest, logistic::cross_entropy, pairs::terms};
use crate::{
    Comparisons, Error, Result,
    error::{check_length, check_record},
};

/// Configuration of a fit on the simplex.
///
/// ```text
/// minimize  (1/W) Σ_n w_n bce( Σ_b λ_b (s_b,first − s_b,second) )   over λ ≥ 0, Σ λ = 1
/// λ ← λ + γ (e_to − e_from),   to the smallest of ∇, from its largest where λ > 0, the best γ ≤ λ_from,
/// until max_b (λ − e_b) · ∇ < tolerance
/// ```
#[derive(Config, Debug, PartialEq)]
pub struct SimplexConfig {
    /// How far the mean loss may be above its minimum, by the gap of Frank and Wolfe, > 0. 1e-8: the specification's.
    #[config(default = 1e-8)]
    pub tolerance: f64,
    /// Steps at most. 10 000: ours; the gap falls geometrically, and steps are cheap.
    #[config(default = 10_000)]
    pub max_iterations: usize,
}

/// Fitted weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SimplexFit {
    /// The weights, ≥ 0 with sum 1.
    pub weights: Vec<f64>,
    /// The mean loss of the pairs, in nats.
    pub loss: f64,
    /// How far that may be above the minimum.
    pub gap: f64,
    /// Whether the gap is below the tolerance.
    pub converged: bool,
    /// Steps that were taken.
    pub iterations: usize,
}

impl SimplexConfig {
    /// Fits weights of the rows of scores `[B, items]`, starting from `start` `[B]`. Without a pair that is the result.
    ///
    /// # Errors
    /// A domain error naming `tolerance`, or `start` unless it is ≥ 0 with sum 1 within 1e-6; [`Error::Length`] naming
    /// `start` or `items`; [`Error::Empty`] without a row.
    ///
    /// # Example
    /// ```
    /// use accordant_preference::{Comparisons, Outcome, plural::simplex::SimplexConfig};
    /// let mut judged = Comparisons::new(2);
    /// judged.push(0, 1, Outcome::Share(0.75))?;
    /// // Rows that lead by 2 ln 3 and by 0: half of each makes odds of 3 : 1.
    /// let scores = [vec![2.0 * 3f64.ln(), 0.0], vec![0.0, 0.0]];
    /// let fit = SimplexConfig::new().fit(&scores, &judged, &[0.9, 0.1])?;
    /// assert!(fit.converged && (fit.weights[0] - 0.5).abs() < 1e-3);
    /// # Ok::<(), accordant_preference::Error>(())
    /// ```
    pub fn fit(&self, scores: &[Vec<f64>], judged: &Comparisons, start: &[f64]) -> Result<SimplexFit> {
        check_domain(self.tolerance > 0.0, "tolerance", "> 0", self.tolerance)?;
        if scores.is_empty() {
            return Err(Error::Empty { name: "scores", reason: "no row" });
        }
        check_length("start", scores.len(), start.len())?;
        for (at, row) in scores.iter().enumerate() {
            check_length("items", judged.num_items(), row.len())?;
            row.iter()
                .try_for_each(|&score| check_record(score.is_finite(), at, "scores", "a finite number", score))?;
        }
        let bad = start.iter().copied().find(|&weight| weight < 0.0 || weight.is_nan());
        check_domain(bad.is_none(), "start", ">= 0", bad.unwrap_or_default())?;
        let total: f64 = start.iter().sum();
        check_domain((total - 1.0).abs() <= 1e-6, "start", "a sum of 1", total)?;
        let mut problem = Problem { pairs: Vec::new(), rows: scores.len() };
        let all: f64 = terms(judged, 0).map(|term| term.weight).sum();
        problem.pairs.extend(terms(judged, 0).map(|term| {
            let leads = scores.iter().map(|row| row[term.first] - row[term.second]).collect();
            (leads, term.share, term.weight / all)
        }));
        let mut weights: Vec<f64> = start.iter().map(|weight| weight / total).collect();
        let mut iterations = 0;
        loop {
            let (loss, gradient) = problem.evaluate(&weights);
            let to = first_largest(&gradient.iter().map(|slope| -slope).collect::<Vec<f64>>());
            let mean: f64 = weights.iter().zip(&gradient).map(|(weight, slope)| weight * slope).sum();
            let gap = mean - gradient[to];
            let converged = gap < self.tolerance;
            let held = gradient.iter().zip(&weights);
            let held = held.map(|(slope, &weight)| if weight > 0.0 { *slope } else { f64::NEG_INFINITY });
            let from = first_largest(&held.collect::<Vec<f64>>());
            let is_last = converged || iterations == self.max_iterations;
            let step = if is_last { 0.0 } else { problem.best_step(&weights, from, to) };
            if step == 0.0 {
                return Ok(SimplexFit { weights, loss, gap, converged, iterations });
            }
            iterations += 1;
            weights[to] += step;
            // Exactly 0 after a full step.
            weights[from] -= step;
        }
    }
}

struct Problem {
    /// The leads of the first item by row, its share, and the pair's part of all weight.
    pairs: Vec<(Vec<f64>, f64, f64)>,
    rows: usize,
}

impl Problem {
    fn lead(leads: &[f64], weights: &[f64]) -> f64 {
        leads.iter().zip(weights).map(|(lead, weight)| lead * weight).sum()
    }

    /// The mean loss and its gradient.
    fn evaluate(&self, weights: &[f64]) -> (f64, Vec<f64>) {
        let (mut loss, mut gradient) = (0.0, vec![0.0; self.rows]);
        for (leads, share, part) in &self.pairs {
            let [value, slope, _] = cross_entropy(Self::lead(leads, weights), *share);
            loss += part * value;
            gradient.iter_mut().zip(leads).for_each(|(g, lead)| *g += part * slope * lead);
        }
        (loss, gradient)
    }

    /// How much weight goes best from one row to another, at most all that is there.
    fn best_step(&self, weights: &[f64], from: usize, to: usize) -> f64 {
        let leads: Vec<f64> = self.pairs.iter().map(|(leads, ..)| Self::lead(leads, weights)).collect();
        rising_root(|step| self.along(&leads, from, to, step), weights[from])
    }

    /// The first two derivatives of the mean loss by a step from one row to another, from these leads on.
    fn along(&self, leads: &[f64], from: usize, to: usize, step: f64) -> [f64; 2] {
        let (mut slope, mut curvature) = (0.0, 0.0);
        for ((rows, share, part), lead) in self.pairs.iter().zip(leads) {
            let change = rows[to] - rows[from];
            let [_, d, d_d] = cross_entropy(lead + step * change, *share);
            slope += part * d * change;
            curvature += part * d_d * change * change;
        }
        [slope, curvature]
    }
}

/// Where a function that only rises is 0, in [0, most]; the end that is closest when that is nowhere. `f` says its value and
/// slope.
///
/// Newton's method inside of an interval that holds the root, and halving it where that would leave it.
fn rising_root(mut f: impl FnMut(f64) -> [f64; 2], most: f64) -> f64 {
    if f(most)[0] <= 0.0 {
        return most;
    }
    let (mut low, mut high, mut at) = (0.0, most, 0.0);
    for _ in 0..100 {
        let [value, slope] = f(at);
        if value > 0.0 {
            high = at;
        } else {
            low = at;
        }
        let step = value / slope;
        if step.abs().min(high - low) <= 1e-14 * most {
            break;
        }
        let newton = at - step;
        at = if (low..high).contains(&newton) { newton } else { 0.5 * (low + high) };
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Outcome,
        random::{Purpose, stream},
    };
    use accordant_laws::gradient::check_gradient;
    use rand::Rng;

    #[test]
    fn corners_and_insides_are_found() {
        let lead = 2.0 * 3f64.ln();
        let scores = [vec![lead, 0.0], vec![0.0, 0.0]];
        for (share, expected) in [(0.75, 0.5), (0.95, 1.0), (0.2, 0.0)] {
            let mut judged = Comparisons::new(2);
            judged.push_weighted(0, 1, Outcome::Share(share), 7.0).unwrap();
            let fit = SimplexConfig::new().fit(&scores, &judged, &[0.3, 0.7]).unwrap();
            assert!(fit.converged && fit.gap < 1e-8, "{fit:?}");
            assert!((fit.weights[0] - expected).abs() < 1e-3, "{fit:?}");
            let best = cross_entropy(expected * lead, share)[0];
            assert!(fit.loss >= best - 1e-12 && fit.loss - best < 1e-8, "the gap bounds it");
        }
    }

    #[test]
    fn roots_take_few_steps() {
        // A line is done at once, wherever its root is: at the end, at 0, at the first step and to see that it stays.
        let count = |f: &dyn Fn(f64) -> [f64; 2], most: f64| {
            let mut calls = 0;
            let counted = |x: f64| {
                calls += 1;
                f(x)
            };
            (rising_root(counted, most), calls)
        };
        assert_eq!(count(&|x| [x - 0.25, 1.0], 1.0), (0.25, 3));
        assert_eq!(count(&|x| [4.0 * x - 3.0, 4.0], 1.0), (0.75, 3));
        assert_eq!(count(&|x| [x - 2.0, 1.0], 1.0), (1.0, 1), "below 0 everywhere");
        assert_eq!(count(&|x| [x - 1.0, 1.0], 1.0), (1.0, 1));
        assert_eq!(count(&|x| [x, 1.0], 1.0), (0.0, 2));
        // However short the way is.
        let cube = |x: f64| [(1e6 * x).powi(3) - 0.027, 3e6 * (1e6 * x).powi(2)];
        let (tiny, calls) = count(&cube, 1e-6);
        assert!((tiny - 3e-7).abs() < 1e-19 && calls < 12, "{tiny} after {calls}");
        // Flat at both ends: Newton's steps leave the interval, which is halved until they do not.
        let steep = |x: f64| [(50.0 * (x - 0.7)).tanh(), 50.0 / (50.0 * (x - 0.7)).cosh().powi(2)];
        let (root, calls) = count(&steep, 1.0);
        assert!((root - 0.7).abs() < 1e-14 && calls < 12, "{root} after {calls}");
        // No slope at all says nothing of where to go.
        let (root, calls) = count(&|x| [if x < 0.3 { -1.0 } else { 1.0 }, 0.0], 1.0);
        assert!((root - 0.3).abs() < 1e-13 && calls < 52, "{root} after {calls}");
    }

    #[test]
    fn the_best_step_ends_where_the_slope_does() {
        let (share, part) = ([0.9, 0.35, 0.6], [0.5, 0.3, 0.2]);
        let leads = [vec![1.0, 3.0, 0.2], vec![0.3, -1.0, 0.7], vec![-0.5, 1.5, 2.0]];
        let pairs = leads.iter().zip(share).zip(part).map(|((leads, share), part)| (leads.clone(), share, part));
        let problem = Problem { pairs: pairs.collect(), rows: 3 };
        let weights = [0.7, 0.1, 0.2];
        let moved = |step: f64| [0.7 - step, 0.1 + step, 0.2];
        let step = problem.best_step(&weights, 0, 1);
        assert!(step > 0.05 && step < 0.65, "inside: {step}");
        let (_, gradient) = problem.evaluate(&moved(step));
        assert!((gradient[1] - gradient[0]).abs() < 1e-14, "{gradient:?}");
        // One pair's step has a closed form: from 1 to 3 by halves of odds 9 : 1.
        let one = Problem { pairs: vec![(vec![1.0, 3.0], 0.9, 1.0)], rows: 2 };
        assert!((one.best_step(&[1.0, 0.0], 0, 1) - (9f64.ln() - 1.0) / 2.0).abs() < 1e-14);
        assert_eq!(one.best_step(&[0.25, 0.75], 0, 1), 0.0, "already too far");
        // The slopes are derivatives of the loss, and of themselves.
        let from: Vec<f64> = leads.iter().map(|leads| Problem::lead(leads, &weights)).collect();
        let [slope, curvature] = problem.along(&from, 0, 1, 0.2);
        check_gradient(|x| problem.evaluate(&moved(x[0])).0, &[0.2], &[slope]).unwrap();
        check_gradient(|x| problem.along(&from, 0, 1, x[0])[0], &[0.2], &[curvature]).unwrap();
    }

    #[test]
    fn no_corner_and_no_neighbor_is_better() {
        let mut rng = stream(3, Purpose::World, 0);
        for _ in 0..20 {
            let scores: Vec<Vec<f64>> = (0..4).map(|_| (0..6).map(|_| rng.random_range(-2.0..2.0)).collect()).collect();
            let mut judged = Comparisons::new(6);
            for _ in 0..10 {
                let first = rng.random_range(0..6);
                judged.push(first, (first + rng.random_range(1..6)) % 6, Outcome::First).unwrap();
            }
            let fit = SimplexConfig::new().fit(&scores, &judged, &[0.25; 4]).unwrap();
            assert!(fit.converged, "{fit:?}");
            let loss = |weights: &[f64]| {
                let mixed: Vec<f64> =
                    (0..6).map(|item| scores.iter().zip(weights).map(|(row, w)| row[item] * w).sum()).collect();
                -super::super::Chooser::one(mixed).foretell(&judged).unwrap().log_likelihood / 10.0
            };
            assert!((loss(&fit.weights) - fit.loss).abs() < 1e-12);
            for corner in 0..4 {
                for step in [1e-3, 0.1, 1.0] {
                    let mut weights: Vec<f64> = fit.weights.iter().map(|w| (1.0 - step) * w).collect();
                    weights[corner] += step;
                    assert!(loss(&weights) >= fit.loss - 1e-8);
                }
            }
        }
    }

    #[test]
    fn nothing_changes_nothing_and_bad_starts_are_refused() {
        let scores = [vec![1.0, 0.0], vec![0.0, 1.0]];
        let nothing = SimplexConfig::new().fit(&scores, &Comparisons::new(2), &[0.3, 0.7]).unwrap();
        assert_eq!((nothing.weights, nothing.converged, nothing.iterations), (vec![0.3, 0.7], true, 0));
        // A sum that is off by rounding, or a little more, is made 1.
        let near = SimplexConfig::new().fit(&scores, &Comparisons::new(2), &[0.3 * (1.0 + 8e-7), 0.7 * (1.0 + 8e-7)]);
        assert!((near.unwrap().weights[0] - 0.3).abs() < 1e-12);
        let text = |config: SimplexConfig, scores: &[Vec<f64>], start: &[f64]| {
            config.fit(scores, &Comparisons::new(2), start).unwrap_err().to_string()
        };
        let config = SimplexConfig::new();
        assert!(text(config.clone(), &scores, &[-0.5, 1.5]).starts_with("`start`: expected >= 0, got -0.5"));
        assert!(text(config.clone(), &scores, &[f64::NAN, 1.0]).starts_with("`start`: expected >= 0, got NaN"));
        assert!(text(config.clone(), &scores, &[0.3, 0.3]).starts_with("`start`: expected a sum of 1, got 0.6"));
        assert!(text(config.clone(), &scores, &[1.0]).starts_with("`start`: expected 2 entries"));
        assert!(text(config.clone(), &[vec![1.0]], &[1.0]).starts_with("`items`: expected 2 entries"));
        assert!(text(config.clone(), &[], &[]).contains("no row"));
        for bad in [0.0, f64::NAN] {
            assert!(text(config.clone().with_tolerance(bad), &scores, &[0.5; 2]).starts_with("`tolerance`"));
        }
        assert_eq!((config.tolerance, config.max_iterations), (1e-8, 10_000));
        let mut judged = Comparisons::new(2);
        judged.push(0, 1, Outcome::First).unwrap();
        // One step empties the worst row, another one the second.
        let rows = [vec![1.0, 0.0], vec![0.0, 1.0], vec![0.5, 0.0]];
        let short = config.with_max_iterations(1).fit(&rows, &judged, &[0.2, 0.4, 0.4]).unwrap();
        assert!(!short.converged && short.iterations == 1, "{short:?}");
        assert_eq!((short.weights[1], short.weights[2]), (0.0, 0.4));
        let full = SimplexConfig::new().fit(&rows, &judged, &[0.2, 0.4, 0.4]).unwrap();
        assert_eq!((full.converged, full.iterations, full.weights[2]), (true, 2, 0.0));
    }

    #[test]
    fn a_weight_whose_best_value_is_0_and_pulls_neither_way_does_not_hold_up_the_others() {
        // The first two rows foretell ¾ and ¼; the third is their mean, so that any weight of it does no harm at all, and
        // the fourth is off by itself. Exponentiated gradient took more than 10 000 steps for less.
        let lead = 3f64.ln();
        let scores = [vec![lead, 0.0, 0.0], vec![-lead, 0.0, 0.0], vec![0.0, 0.0, 0.0], vec![0.0, 4.0, 0.0]];
        let mut judged = Comparisons::new(3);
        judged.push(0, 2, Outcome::Tie).unwrap();
        judged.push(1, 2, Outcome::Tie).unwrap();
        // From a corner, where everything else has no weight.
        let fit = SimplexConfig::new().with_tolerance(1e-12).fit(&scores, &judged, &[0.0, 1.0, 0.0, 0.0]).unwrap();
        assert!(fit.converged && fit.iterations < 50, "{fit:?}");
        assert!((fit.loss - 2f64.ln()).abs() < 1e-12 && (fit.weights.iter().sum::<f64>() - 1.0).abs() < 1e-15);
        assert!(fit.weights[3] == 0.0 && (fit.weights[0] - fit.weights[1]).abs() < 1e-5);
    }

    #[test]
    fn scores_that_are_no_numbers_are_refused() {
        let mut judged = Comparisons::new(2);
        judged.push(0, 1, Outcome::First).unwrap();
        let fit = SimplexConfig::new().fit(&[vec![0.0, 1.0], vec![f64::NAN, 0.0]], &judged, &[0.5, 0.5]);
        assert!(fit.unwrap_err().to_string().starts_with("record 1: `scores`"));
    }
}
