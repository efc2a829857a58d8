//! Weights on the simplex of scores that are fixed, fitted to a few pairs by exponentiated gradient.
//!
//! **Paper:** Exponentiated Gradient versus Gradient Descent for Linear Predictors (J. Kivinen and M. K. Warmuth, 1997), for
//! the user's fit of LoRe: Personalizing LLMs via Low-Rank Reward Modeling (2025), 2504.14439.
//! **Use when:** a new user of a low-rank model is to be fitted to the optimum: the problem is convex in the weights, though
//! not in their logits.
//! **Checked by:** a closed form of two rows, the gap of Frank and Wolfe, the fit by logits.
//! **Deviations:** none.

use accordant_ops::check_domain;
use burn::config::Config;
use serde::{Deserialize, Serialize};

use super::{logistic::cross_entropy, pairs::terms};
use crate::{Comparisons, Error, Result, error::check_length};

/// Configuration of a fit on the simplex.
///
/// ```text
/// minimize  (1/W) Σ_n w_n bce( Σ_b λ_b (s_b,first − s_b,second) )   over λ ≥ 0, Σ λ = 1
/// λ ← λ exp(−η ∇) / Σ,   η by backtracking, until max_b (λ − e_b) · ∇ < tolerance
/// ```
#[derive(Config, Debug, PartialEq)]
pub struct SimplexConfig {
    /// How far the mean loss may be above its minimum, by the gap of Frank and Wolfe, > 0. 1e-8: the specification's.
    #[config(default = 1e-8)]
    pub tolerance: f64,
    /// Steps at most. 10 000: ours; at corners of the simplex steps are many and cheap.
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
    /// A domain error naming `tolerance`, or `start` unless it is > 0 with sum 1 within 1e-6; [`Error::Length`] naming
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
        scores.iter().try_for_each(|row| check_length("items", judged.num_items(), row.len()))?;
        // A comparison that NaN fails.
        let bad = start
            .iter()
            .copied()
            .find(|&weight| !matches!(weight.partial_cmp(&0.0), Some(std::cmp::Ordering::Greater)));
        check_domain(bad.is_none(), "start", "> 0", bad.unwrap_or_default())?;
        let total: f64 = start.iter().sum();
        check_domain((total - 1.0).abs() <= 1e-6, "start", "a sum of 1", total)?;
        let pairs: Vec<(Vec<f64>, f64, f64)> = terms(judged, 0)
            .map(|term| {
                let leads = scores.iter().map(|row| row[term.first] - row[term.second]).collect();
                (leads, term.share, term.weight)
            })
            .collect();
        let total: f64 = pairs.iter().map(|pair| pair.2).sum();
        let evaluate = |weights: &[f64]| {
            let (mut loss, mut gradient) = (0.0, vec![0.0; weights.len()]);
            for (leads, share, weight) in &pairs {
                let lead: f64 = leads.iter().zip(weights).map(|(lead, weight)| lead * weight).sum();
                let [value, slope, _] = cross_entropy(lead, *share);
                loss += weight / total * value;
                gradient.iter_mut().zip(leads).for_each(|(g, lead)| *g += weight / total * slope * lead);
            }
            (loss, gradient)
        };
        let gap = |weights: &[f64], gradient: &[f64]| {
            let mean: f64 = weights.iter().zip(gradient).map(|(weight, g)| weight * g).sum();
            gradient.iter().map(|g| mean - g).fold(0.0, f64::max)
        };
        let mut weights = start.to_vec();
        let (mut loss, mut gradient) = evaluate(&weights);
        let (mut rate, mut iterations) = (1.0, 0);
        while gap(&weights, &gradient) >= self.tolerance && iterations < self.max_iterations {
            iterations += 1;
            rate *= 2.0;
            let moved = loop {
                let logits: Vec<f64> = weights.iter().zip(&gradient).map(|(w, g)| w.ln() - rate * g).collect();
                let there = accordant_ops::host::softmax(&logits);
                let (new, slopes) = evaluate(&there);
                let slope: f64 = there.iter().zip(&weights).zip(&gradient).map(|((new, old), g)| (new - old) * g).sum();
                // Enough is half of what the tangent promises; the distance pays for the rest.
                if new <= loss + 0.5 * slope {
                    break Some((there, new, slopes));
                }
                rate /= 2.0;
                if rate < 1e-12 {
                    break None;
                }
            };
            let Some((there, new, slopes)) = moved else { break };
            (weights, loss, gradient) = (there, new, slopes);
        }
        let gap = gap(&weights, &gradient);
        Ok(SimplexFit { weights, loss, gap, converged: gap < self.tolerance, iterations })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Outcome,
        random::{Purpose, stream},
    };
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
        let text = |config: SimplexConfig, scores: &[Vec<f64>], start: &[f64]| {
            config.fit(scores, &Comparisons::new(2), start).unwrap_err().to_string()
        };
        let config = SimplexConfig::new();
        assert!(text(config.clone(), &scores, &[0.0, 1.0]).starts_with("`start`: expected > 0"));
        assert!(text(config.clone(), &scores, &[f64::NAN, 1.0]).starts_with("`start`: expected > 0"));
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
        let short = config.with_max_iterations(1).fit(&scores, &judged, &[0.5; 2]).unwrap();
        assert!(!short.converged && short.iterations == 1);
    }
}
