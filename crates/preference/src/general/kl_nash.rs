//! Nash equilibrium close to a reference, by extragradient (EGPO).
//!
//! **Paper:** Extragradient Preference Optimization (EGPO): Beyond Last-Iterate Convergence for Nash Learning from Human Feedback
//! (2025), 2503.08942; the game is that of Nash Learning from Human Feedback (2023), 2312.00886.
//! **Use when:** a policy should hold its own against every other, and stay close to a reference.
//! **Checked by:** a published fixed point, the fixed-point equation on random games, both limits of the penalty.
//! **Deviations:** on a table instead of by gradients; the two are the same there.

use accordant_ops::{check_domain, host};
use burn::config::Config;
use serde::{Deserialize, Serialize};

use super::{PreferenceMatrix, lottery::exploitability};
use crate::{
    Error, Result,
    error::{check_length, check_record},
};

/// Configuration of the regularized game.
///
/// ```text
/// max_p min_q  pᵀ P q − β KL(p ‖ μ) + β KL(q ‖ μ),   solved by   p ∝ μ exp(P p / β)
/// half step   h ∝ p^{1−ηβ} μ^{ηβ} exp(η P p)
/// full step   p ∝ p^{1−ηβ} μ^{ηβ} exp(η P h)
/// ```
#[derive(Config, Debug, PartialEq)]
pub struct KlNashConfig {
    /// The strength of the pull towards the reference, finite and > 0.
    pub beta: f64,
    /// The size of a step, η > 0 with ηβ ≤ 1. 1: ours; the last iterate converges where it is at most 1/(β + ½).
    #[config(default = 1.0)]
    pub learning_rate: f64,
    /// The largest difference between a chance and the right-hand side of the equation at which it counts as solved, > 0.
    /// 1e-12: ours, close to rounding.
    #[config(default = 1e-12)]
    pub tolerance: f64,
    /// Steps at most. 10 000: ours.
    #[config(default = 10_000)]
    pub max_iterations: usize,
}

/// The equilibrium of the regularized game.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KlNash {
    /// The chance of each item.
    pub chances: Vec<f64>,
    /// By how much the best answer beats ½, without any penalty.
    pub exploitability: f64,
    /// Whether the equation was solved to the tolerance.
    pub converged: bool,
    /// Steps that were taken.
    pub iterations: usize,
    /// The largest difference between a chance and the right-hand side of the equation.
    pub residual: f64,
}

impl KlNashConfig {
    /// The equilibrium for a reference `μ` that adds up to 1. Items of chance 0 in it have none.
    ///
    /// # Errors
    /// A domain error naming a field; [`Error::Length`] or [`Error::Record`] naming `reference`.
    ///
    /// # Example
    /// ```
    /// use accordant_preference::general::{PreferenceMatrix, kl_nash::KlNashConfig};
    /// let matrix = PreferenceMatrix::from_rows(&[vec![0.5, 0.75], vec![0.25, 0.5]])?;
    /// let found = KlNashConfig::new(0.25).fit(&matrix, &[0.5, 0.5])?;
    /// // Of two items the odds are exp(margin / β), whatever the opponent.
    /// assert!(found.converged && (found.chances[0] / found.chances[1] - 1f64.exp()).abs() < 1e-9);
    /// # Ok::<(), accordant_preference::Error>(())
    /// ```
    #[doc(alias = "2503.08942")]
    #[doc(alias = "2312.00886")]
    #[doc(alias = "NLHF")]
    #[doc(alias = "quantal response equilibrium")]
    pub fn fit(&self, matrix: &PreferenceMatrix, reference: &[f64]) -> Result<KlNash> {
        let Self { beta, learning_rate, tolerance, max_iterations } = *self;
        check_domain(beta.is_finite() && beta > 0.0, "beta", "finite and > 0", beta)?;
        let holds = learning_rate > 0.0 && learning_rate * beta <= 1.0;
        check_domain(holds, "learning_rate", "> 0 and at most 1 / beta", learning_rate)?;
        check_domain(tolerance > 0.0, "tolerance", "> 0", tolerance)?;
        check_simplex("reference", matrix.num_items(), reference)?;
        // What the reference never gives stays out, and no logarithm is infinite.
        let items: Vec<usize> = (0..reference.len()).filter(|&item| reference[item] > 0.0).collect();
        let game = matrix.select(&items)?;
        let log_reference: Vec<f64> = items.iter().map(|&item| reference[item].ln()).collect();
        let pull = learning_rate * beta;
        let step = |from: &[f64], opponent: &[f64]| -> Result<Vec<f64>> {
            let gains = game.gains(opponent)?;
            let mix = |i: usize| (1.0 - pull) * from[i].ln() + pull * log_reference[i] + learning_rate * gains[i];
            Ok(host::softmax(&(0..from.len()).map(mix).collect::<Vec<_>>()))
        };
        let residual = |at: &[f64]| -> Result<f64> {
            let gains = game.gains(at)?;
            let solved =
                host::softmax(&log_reference.iter().zip(gains).map(|(mu, gain)| mu + gain / beta).collect::<Vec<_>>());
            Ok(at.iter().zip(solved).fold(0.0, |largest, (a, b)| f64::max(largest, (a - b).abs())))
        };
        let mut at = host::softmax(&log_reference);
        let (mut iterations, mut error) = (0, residual(&at)?);
        while error > tolerance && iterations < max_iterations {
            let half = step(&at, &at)?;
            // A chance that underflows could never come back.
            at = step(&at, &half)?.into_iter().map(|chance| chance.max(f64::MIN_POSITIVE)).collect();
            error = residual(&at)?;
            iterations += 1;
        }
        let mut chances = vec![0.0; reference.len()];
        items.into_iter().zip(at).for_each(|(item, chance)| chances[item] = chance);
        let exploitability = exploitability(matrix, &chances)?;
        Ok(KlNash { chances, exploitability, converged: error <= tolerance, iterations, residual: error })
    }
}

/// Checks that there is a chance for each item, and that they add up to 1 within 1e-6.
fn check_simplex(name: &'static str, len: usize, chances: &[f64]) -> Result<(), Error> {
    check_length(name, len, chances.len())?;
    for (row, chance) in chances.iter().enumerate() {
        check_record((0.0..=1.0).contains(chance), row, name, "a chance in [0, 1]", *chance)?;
    }
    let total: f64 = chances.iter().sum();
    Ok(check_domain((total - 1.0).abs() <= 1e-6, name, "chances that add up to 1", total)?)
}

#[cfg(test)]
mod tests {
    use rand::Rng;

    use super::*;
    use crate::{
        general::lottery::maximal_lottery,
        random::{Purpose, stream},
    };

    fn cycle() -> PreferenceMatrix {
        let margins = [vec![0.0, 0.2, -0.3], vec![-0.2, 0.0, 0.1], vec![0.3, -0.1, 0.0]];
        PreferenceMatrix::from_margins(&margins).unwrap()
    }

    #[track_caller]
    fn close(got: &[f64], expected: &[f64], tolerance: f64) {
        let same = got.len() == expected.len() && got.iter().zip(expected).all(|(a, b)| (a - b).abs() < tolerance);
        assert!(same, "{got:?} is not {expected:?}");
    }

    const UNIFORM: [f64; 3] = [1.0 / 3.0; 3];

    #[test]
    fn a_cycle_of_three_as_published() {
        let found = KlNashConfig::new(0.1).with_tolerance(1e-14).fit(&cycle(), &UNIFORM).unwrap();
        close(&found.chances, &[0.196204, 0.366378, 0.437418], 1e-6);
        assert!(found.converged && found.residual <= 1e-14 && found.iterations < 300, "{found:?}");
        // Every step size ends there.
        for learning_rate in [0.1, 0.5] {
            let slow = KlNashConfig::new(0.1).with_learning_rate(learning_rate).fit(&cycle(), &UNIFORM).unwrap();
            close(&slow.chances, &found.chances, 1e-10);
        }
    }

    #[test]
    fn the_penalty_leads_from_the_reference_to_the_maximal_lottery() {
        let reference = [0.5, 0.3, 0.2];
        let far = KlNashConfig::new(1e4).with_learning_rate(1e-4).fit(&cycle(), &reference).unwrap();
        close(&far.chances, &reference, 1e-4);
        let near = KlNashConfig::new(1e-3).with_max_iterations(200_000).fit(&cycle(), &reference).unwrap();
        assert!(near.converged, "{near:?}");
        close(&near.chances, &maximal_lottery(&cycle()).unwrap().chances, 0.01);
        assert!(near.exploitability < 2e-3 && far.exploitability > 0.01);
    }

    #[test]
    fn random_games_are_solved_and_what_the_reference_never_gives_stays_out() {
        for index in 0..10 {
            let mut rng = stream(4, Purpose::World, index);
            let n = rng.random_range(2..12);
            let mut rows = vec![vec![0.0; n]; n];
            for (i, j) in (0..n).flat_map(|i| (i + 1..n).map(move |j| (i, j))) {
                rows[i][j] = rng.random_range(-0.5..0.5);
                rows[j][i] = -rows[i][j];
            }
            let matrix = PreferenceMatrix::from_margins(&rows).unwrap();
            let mut reference: Vec<f64> = (0..n).map(|_| rng.random_range(0.1..1.0)).collect();
            reference[0] = 0.0;
            let total: f64 = reference.iter().sum();
            reference.iter_mut().for_each(|chance| *chance /= total);
            let found = KlNashConfig::new(0.2).fit(&matrix, &reference).unwrap();
            assert!(found.converged && found.chances[0] == 0.0);
            // p ∝ μ exp(P p / β)
            let gains = matrix.gains(&found.chances).unwrap();
            let weights: Vec<f64> = reference.iter().zip(gains).map(|(mu, gain)| mu * f64::exp(gain / 0.2)).collect();
            let total: f64 = weights.iter().sum();
            close(&found.chances, &weights.iter().map(|weight| weight / total).collect::<Vec<_>>(), 1e-10);
        }
    }

    #[test]
    fn too_few_steps_are_no_convergence() {
        let found = KlNashConfig::new(0.1).with_max_iterations(3).fit(&cycle(), &UNIFORM).unwrap();
        assert_eq!((found.converged, found.iterations), (false, 3));
        assert!(found.residual > 1e-12);
    }

    #[test]
    fn every_field_has_a_domain_and_a_default() {
        let defaults = KlNashConfig::new(0.5);
        assert_eq!((defaults.learning_rate, defaults.tolerance, defaults.max_iterations), (1.0, 1e-12, 10_000));
        let text = |config: KlNashConfig, reference: &[f64]| config.fit(&cycle(), reference).unwrap_err().to_string();
        for beta in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(text(KlNashConfig::new(beta), &UNIFORM).starts_with("`beta`"));
        }
        for learning_rate in [0.0, 2.1, f64::NAN] {
            let config = KlNashConfig::new(0.5).with_learning_rate(learning_rate);
            assert!(text(config, &UNIFORM).starts_with("`learning_rate`"));
        }
        assert!(
            KlNashConfig::new(0.5).with_learning_rate(2.0).fit(&cycle(), &UNIFORM).is_ok(),
            "straight to the answer"
        );
        for tolerance in [0.0, f64::NAN] {
            assert!(text(KlNashConfig::new(0.5).with_tolerance(tolerance), &UNIFORM).starts_with("`tolerance`"));
        }
        assert!(text(KlNashConfig::new(0.5), &[1.0]).starts_with("`reference`: expected 3 entries"));
        assert!(text(KlNashConfig::new(0.5), &[1.5, -0.5, 0.0]).contains("`reference`: expected a chance"));
        assert!(text(KlNashConfig::new(0.5), &[0.5, 0.4, 0.0]).contains("add up to 1, got 0.9"));
    }
}
