//! Self-play by multiplicative weights.
//!
//! **Paper:** A Minimaximalist Approach to Reinforcement Learning from Human Feedback (2024), 2401.04056: self-play preference
//! optimization (SPO) on a table.
//! **Use when:** there are too many items for [`super::lottery`], or the path to its lottery is of interest.
//! **Checked by:** its bound on random games, the maximal lottery, hand-worked first rounds.
//! **Deviations:** none.

use accordant_ops::{check_domain, host};
use burn::config::Config;
use serde::{Deserialize, Serialize};

use super::{PreferenceMatrix, lottery::exploitability};
use crate::Result;

/// Configuration of self-play.
///
/// ```text
/// p_t ∝ exp(η Σ_{s<t} P p_s),   η = √(ln M / T),   T = ⌈4 ln M / ε²⌉;   the mean of all p_t is returned
/// ```
#[derive(Config, Debug, PartialEq)]
pub struct SelfPlayConfig {
    /// By how much the best answer may beat ½ in the end, ε in (0, ½]; it takes 4 ln M / ε² rounds.
    pub tolerance: f64,
}

/// The mean lottery of self-play.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SelfPlay {
    /// The chance of each item.
    pub chances: Vec<f64>,
    /// By how much the best answer to the lottery beats ½; at most 9/16 of the tolerance.
    pub exploitability: f64,
    /// How many rounds were played.
    pub rounds: usize,
}

impl SelfPlayConfig {
    /// Plays.
    ///
    /// The reward of an item in a round is its chance against the lottery of that round, `(P p)_i`.
    ///
    /// # Errors
    /// A domain error naming `tolerance`.
    ///
    /// # Example
    /// ```
    /// use accordant_preference::general::{PreferenceMatrix, self_play::SelfPlayConfig};
    /// let matrix = PreferenceMatrix::from_rows(&[vec![0.5, 0.9], vec![0.1, 0.5]])?;
    /// let played = SelfPlayConfig::new(0.05).fit(&matrix)?;
    /// assert!(played.exploitability < 0.05 && played.chances[0] > 0.9);
    /// # Ok::<(), accordant_preference::Error>(())
    /// ```
    #[doc(alias = "2401.04056")]
    #[doc(alias = "Hedge")]
    pub fn fit(&self, matrix: &PreferenceMatrix) -> Result<SelfPlay> {
        let tolerance = self.tolerance;
        check_domain(tolerance > 0.0 && tolerance <= 0.5, "tolerance", "in (0, 0.5]", tolerance)?;
        let n = matrix.num_items();
        let log_n = (n as f64).ln();
        let rounds = (4.0 * log_n / (tolerance * tolerance)).ceil().max(1.0);
        let rate = (log_n / rounds).sqrt();
        let (mut totals, mut mean) = (vec![0.0; n], vec![0.0; n]);
        for _ in 0..rounds as usize {
            let chances = host::softmax(&totals);
            // Gains over ½ instead of chances: a constant makes no difference.
            let gains = matrix.gains(&chances)?;
            totals.iter_mut().zip(gains).for_each(|(total, gain)| *total += rate * gain);
            mean.iter_mut().zip(chances).for_each(|(mean, chance)| *mean += chance / rounds);
        }
        Ok(SelfPlay { exploitability: exploitability(matrix, &mean)?, chances: mean, rounds: rounds as usize })
    }
}

#[cfg(test)]
mod tests {
    use rand::Rng;

    use super::*;
    use crate::random::{Purpose, stream};

    fn cycle() -> PreferenceMatrix {
        let margins = [vec![0.0, 0.2, -0.3], vec![-0.2, 0.0, 0.1], vec![0.3, -0.1, 0.0]];
        PreferenceMatrix::from_margins(&margins).unwrap()
    }

    #[test]
    fn it_comes_close_to_the_maximal_lottery() {
        let played = SelfPlayConfig::new(0.005).fit(&cycle()).unwrap();
        assert_eq!(played.rounds, (4.0 * 3f64.ln() / 0.005f64.powi(2)).ceil() as usize);
        let expected = [1.0 / 6.0, 1.0 / 2.0, 1.0 / 3.0];
        assert!(played.chances.iter().zip(expected).all(|(a, b)| (a - b).abs() < 0.02), "{:?}", played.chances);
        assert!((played.chances.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn the_first_rounds_by_hand() {
        // ε = ½ and three items: T = ⌈16 ln 3⌉ = 18 rounds at η = √(ln 3 / 18). The first is uniform; gains of the second are
        // the rows' means −1/30, −1/30 and 1/15.
        let eta = (3f64.ln() / 18.0).sqrt();
        let second = host::softmax(&[-eta / 30.0, -eta / 30.0, eta / 15.0]);
        let matrix = cycle();
        let (mut totals, mut mean) = (vec![0.0; 3], vec![0.0; 3]);
        for round in 0..18 {
            let chances = host::softmax(&totals);
            if round == 1 {
                assert!(chances.iter().zip(&second).all(|(a, b)| (a - b).abs() < 1e-15));
            }
            for (i, gain) in matrix.gains(&chances).unwrap().into_iter().enumerate() {
                totals[i] += eta * gain;
                mean[i] += chances[i] / 18.0;
            }
        }
        let played = SelfPlayConfig::new(0.5).fit(&matrix).unwrap();
        assert_eq!(played.rounds, 18);
        assert!(played.chances.iter().zip(&mean).all(|(a, b)| (a - b).abs() < 1e-12));
    }

    #[test]
    fn the_bound_holds_on_random_games() {
        for index in 0..10 {
            let mut rng = stream(2, Purpose::World, index);
            let n = rng.random_range(2..30);
            let mut rows = vec![vec![0.0; n]; n];
            for (i, j) in (0..n).flat_map(|i| (i + 1..n).map(move |j| (i, j))) {
                rows[i][j] = rng.random_range(-0.5..0.5);
                rows[j][i] = -rows[i][j];
            }
            let played = SelfPlayConfig::new(0.05).fit(&PreferenceMatrix::from_margins(&rows).unwrap()).unwrap();
            assert!(played.exploitability <= 0.05 * 9.0 / 16.0, "{}", played.exploitability);
        }
    }

    #[test]
    fn an_only_item_and_what_is_refused() {
        let one = PreferenceMatrix::from_margins(&[vec![0.0]]).unwrap();
        let played = SelfPlayConfig::new(0.1).fit(&one).unwrap();
        assert_eq!((played.chances, played.rounds, played.exploitability), (vec![1.0], 1, 0.0));
        for tolerance in [0.0, -0.1, 0.6, f64::NAN] {
            let error = SelfPlayConfig::new(tolerance).fit(&one).unwrap_err();
            assert!(error.to_string().starts_with("`tolerance`"));
        }
    }
}
