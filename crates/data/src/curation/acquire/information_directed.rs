//! Information-directed duels: what tells most about the best response, per regret.
//!
//! **Paper:** Learning to Optimize via Information-Directed Sampling (D. Russo, B. Van Roy, 2014), 1403.5556.
//! **Use when:** labeling costs more where responses are bad.
//! **Deviations:** gain per regret, not regret² per gain; both are estimated from draws of the rewards.

use serde::Serialize;

use super::{
    Acquisition, Pick,
    arms::{Arms, argmax},
    best,
};
use crate::{
    Result,
    curation::numbers::{check_domain, logistic},
    order::{Purpose, stream},
};

/// The least regret that a gain is divided by: a duel of two certainly best responses is not infinitely good.
const MIN_REGRET: f64 = 1e-6;

/// The duel of each prompt with the largest expected reduction of the entropy of the best response, in nats, per unit
/// of regret: the mean best reward less the mean of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[doc(alias = "1403.5556")]
pub struct InformationDirected {
    /// Draws of the rewards for each prompt, at least 1. Default: 512, ours.
    pub draws: usize,
}

impl Default for InformationDirected {
    fn default() -> Self {
        Self { draws: 512 }
    }
}

impl Acquisition for InformationDirected {
    type Pool = [Arms];

    /// # Errors
    /// [`crate::Error::Domain`] naming `draws`.
    fn acquire(&self, pool: &[Arms], count: usize, seed: u64) -> Result<Vec<Pick>> {
        check_domain(self.draws > 0, "draws", "at least 1", self.draws as f64)?;
        let mut rng = stream(seed, Purpose::Curation, 5);
        let mut picks = Vec::with_capacity(pool.len());
        for (index, arms) in pool.iter().enumerate() {
            let draws: Vec<Vec<f64>> = (0..self.draws).map(|_| arms.sample(&mut rng)).collect();
            let len = arms.means().len();
            let mut found = Pick { index, score: f64::NEG_INFINITY, duel: None };
            for duel in (0..len).flat_map(|i| (i + 1..len).map(move |j| (i, j))) {
                let score = gain(&draws, duel) / regret(&draws, duel).max(MIN_REGRET);
                if score > found.score {
                    (found.score, found.duel) = (score, Some(duel));
                }
            }
            picks.push(found);
        }
        Ok(best(picks, count))
    }
}

/// How much the outcome of a duel tells about which response is best: the entropy of the outcome less its mean entropy
/// where the best is known, of draws of the rewards.
fn gain(draws: &[Vec<f64>], duel: (usize, usize)) -> f64 {
    let mut by_best: std::collections::BTreeMap<usize, (f64, f64)> = std::collections::BTreeMap::new();
    for draw in draws {
        let (count, wins) = by_best.entry(argmax(draw)).or_default();
        *count += 1.0;
        *wins += logistic(draw[duel.0] - draw[duel.1]);
    }
    if by_best.len() < 2 {
        return 0.0;
    }
    let entropy = |p: f64| [p, 1.0 - p].iter().filter(|p| **p > 0.0).map(|p| -p * p.ln()).sum::<f64>();
    let total = draws.len() as f64;
    let wins: f64 = by_best.values().map(|(_, wins)| wins).sum();
    let known: f64 = by_best.values().map(|(count, wins)| count / total * entropy(wins / count)).sum();
    (entropy(wins / total) - known).max(0.0)
}

fn regret(draws: &[Vec<f64>], (i, j): (usize, usize)) -> f64 {
    let of = |draw: &Vec<f64>| draw[argmax(draw)] - 0.5 * (draw[i] + draw[j]);
    draws.iter().map(of).sum::<f64>() / draws.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gains_and_regrets_by_hand() {
        // The first is best in one draw and the second in the other, by so much that the outcome says which.
        let told = gain(&[vec![900.0, 0.0], vec![0.0, 900.0]], (0, 1));
        assert!((told - 2f64.ln()).abs() < 1e-12);
        assert_eq!(gain(&[vec![1.0, 0.0], vec![5.0, 0.0]], (0, 1)), 0.0, "the first is best anyway");
        // best 0, 0, 1, 1; chances of the duel (0, 1): ¾, ¾, ¼, ¼
        let odds = 3f64.ln();
        let draws = vec![vec![odds, 0.0, -9.0], vec![odds, 0.0, -9.0], vec![0.0, odds, -9.0], vec![0.0, odds, -9.0]];
        let entropy = -(0.75 * 0.75f64.ln() + 0.25 * 0.25f64.ln());
        assert!((gain(&draws, (0, 1)) - (2f64.ln() - entropy)).abs() < 1e-12);
        assert!((regret(&draws, (0, 1)) - odds / 2.0).abs() < 1e-12);
        // Against the worst one the outcome is nearly certain either way.
        assert!(gain(&draws, (0, 2)) < 1e-3 && regret(&draws, (0, 2)) > 4.0);
    }

    #[test]
    fn the_two_rivals_meet_and_open_prompts_come_first() {
        let rivals = Arms::independent(vec![-5.0, 1.0, 1.0], &[0.1, 1.0, 1.0]).unwrap();
        let sure = Arms::independent(vec![9.0, 1.0, 1.0], &[0.1, 1.0, 1.0]).unwrap();
        let picks = InformationDirected::default().acquire(&[sure, rivals], 2, 0).unwrap();
        assert_eq!((picks[0].index, picks[0].duel), (1, Some((1, 2))));
        assert_eq!((picks[1].index, picks[1].score), (0, 0.0));
        assert!(picks[0].score > 0.05);
        assert!(InformationDirected { draws: 0 }.acquire(&[], 1, 0).unwrap_err().to_string().starts_with("`draws`"));
    }
}
