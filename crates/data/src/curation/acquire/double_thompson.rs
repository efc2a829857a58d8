//! Double Thompson sampling: the best responses of two draws of the rewards meet.
//!
//! **Paper:** Double Thompson Sampling for Dueling Bandits (2016), 1604.07101; for language models Sample-Efficient
//! Alignment for LLMs (2024), 2411.01493.
//! **Use when:** a posterior can be sampled and the label should also serve the best response.
//! **Deviations:** prompts are ranked by the deviation of the difference of the two responses.

use serde::Serialize;

use super::{
    Acquisition, Pick,
    arms::{Arms, argmax},
    best,
};
use crate::{
    Result,
    order::{Purpose, stream},
};

/// The duel of each prompt: the best responses of two draws. The second draw is repeated up to `max_resamples` times
/// while its best is the first one's; then the best of the others in the last draw is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[doc(alias = "1604.07101")]
pub struct DoubleThompson {
    /// Repetitions of the second draw. Default: 10, ours.
    pub max_resamples: usize,
}

impl Default for DoubleThompson {
    fn default() -> Self {
        Self { max_resamples: 10 }
    }
}

impl Acquisition for DoubleThompson {
    type Pool = [Arms];

    fn acquire(&self, pool: &[Arms], count: usize, seed: u64) -> Result<Vec<Pick>> {
        let mut rng = stream(seed, Purpose::Curation, 4);
        let mut picks = Vec::with_capacity(pool.len());
        for (index, arms) in pool.iter().enumerate() {
            let first = argmax(&arms.sample(&mut rng));
            let mut draw = arms.sample(&mut rng);
            for _ in 0..self.max_resamples {
                if argmax(&draw) != first {
                    break;
                }
                draw = arms.sample(&mut rng);
            }
            draw[first] = f64::NEG_INFINITY;
            let second = argmax(&draw);
            picks.push(Pick { index, score: arms.difference_deviation(first, second), duel: Some((first, second)) });
        }
        Ok(best(picks, count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certain_best_meets_the_best_of_the_others() {
        let arms = Arms::independent(vec![1.0, 5.0, 3.0], &[0.0; 3]).unwrap();
        let pick = DoubleThompson::default().acquire(&[arms], 1, 0).unwrap()[0];
        assert_eq!((pick.duel, pick.score), (Some((1, 2)), 0.0));
    }

    #[test]
    fn uncertain_prompts_come_first_and_duels_follow_the_posterior() {
        let open = Arms::independent(vec![0.0, 0.0, -50.0], &[1.0, 1.0, 1.0]).unwrap();
        let sure = Arms::independent(vec![0.0, 1.0, 2.0], &[0.1; 3]).unwrap();
        let pool: Vec<Arms> = (0..200).map(|i| if i % 2 == 0 { sure.clone() } else { open.clone() }).collect();
        let picks = DoubleThompson::default().acquire(&pool, 100, 3).unwrap();
        assert!(picks.iter().all(|pick| pick.index % 2 == 1 && pick.score == 2f64.sqrt()));
        let first = picks.iter().filter(|pick| pick.duel == Some((0, 1))).count();
        // Either order is as likely: 50 ± 5; 30 are 6 standard deviations.
        assert!(
            first.abs_diff(50) < 30 && picks.iter().all(|pick| pick.duel.is_some_and(|duel| duel.0.max(duel.1) == 1))
        );
        assert_eq!(picks, DoubleThompson::default().acquire(&pool, 100, 3).unwrap());
    }

    #[test]
    fn without_resampling_the_second_is_the_best_other_of_its_draw() {
        // The first is far ahead; the second place is drawn between 1 and 2.
        let arms = Arms::independent(vec![100.0, 0.0, 0.0], &[1.0; 3]).unwrap();
        let picks = DoubleThompson { max_resamples: 0 }.acquire(&vec![arms; 100], 100, 1).unwrap();
        let seconds = picks.iter().filter(|pick| pick.duel == Some((0, 1))).count();
        assert!(seconds.abs_diff(50) < 30 && picks.iter().all(|pick| pick.duel.is_some_and(|duel| duel.0 == 0)));
    }
}
