//! Ranked lists as choices from sets of items: what the likelihood of Plackett and Luce sees of them.

use std::collections::BTreeMap;

use accordant_ops::host::log_sum_exp;

use crate::{
    Result,
    rankings::{RankedList, Stage, TiedPlaces},
};

/// Lists as choices from sets that they share, so that weights can change without taking lists apart again.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Choices {
    num_items: usize,
    /// The sets, each of items with the coefficients of their strengths.
    sets: Vec<Vec<(usize, f64)>>,
    lists: Vec<Taken>,
}

/// One list.
#[derive(Debug, Clone, PartialEq)]
struct Taken {
    /// Who was chosen.
    winners: Vec<usize>,
    /// The sets from which, each with how often.
    from: Vec<(usize, f64)>,
}

impl Choices {
    /// # Errors
    /// [`crate::Error::Combination`] for a place of more than [`crate::rankings::MOST_TIED`] items to be split.
    pub fn of<'a>(num_items: usize, lists: impl IntoIterator<Item = &'a RankedList>, ties: TiedPlaces) -> Result<Self> {
        let mut known = BTreeMap::<Vec<(usize, u64)>, usize>::new();
        let mut choices = Self { num_items, sets: Vec::new(), lists: Vec::new() };
        for list in lists {
            let mut taken = Taken { winners: Vec::new(), from: Vec::new() };
            for Stage { winners, risk, times } in list.stages(ties)? {
                taken.winners.extend(winners);
                let key = risk.iter().map(|(item, coefficient)| (*item, coefficient.to_bits())).collect();
                let set = *known.entry(key).or_insert_with(|| {
                    choices.sets.push(risk);
                    choices.sets.len() - 1
                });
                taken.from.push((set, times));
            }
            choices.lists.push(taken);
        }
        Ok(choices)
    }

    /// What the likelihood depends on when each list counts this much.
    pub fn totals(&self, weights: &[f64]) -> Totals {
        let mut chosen = vec![0.0; self.num_items];
        let mut times = vec![0.0; self.sets.len()];
        for (Taken { winners, from }, weight) in self.lists.iter().zip(weights) {
            winners.iter().for_each(|&winner| chosen[winner] += weight);
            from.iter().for_each(|&(set, often)| times[set] += weight * often);
        }
        let counted = self.sets.iter().cloned().zip(times).filter(|(_, times)| *times > 0.0);
        Totals { chosen, sets: counted.collect() }
    }

    /// The log-probability of each list, without its weight; there is a score for each item.
    pub fn log_probs(&self, scores: &[f64]) -> Vec<f64> {
        let totals: Vec<f64> = self.sets.iter().map(|risk| log_strength(risk, |item| scores[item])).collect();
        let of = |Taken { winners, from }: &Taken| {
            let won: f64 = winners.iter().map(|&winner| scores[winner]).sum();
            won - from.iter().map(|&(set, often)| often * totals[set]).sum::<f64>()
        };
        self.lists.iter().map(of).collect()
    }
}

/// `ln Σ coefficient · exp(score)`.
pub(super) fn log_strength(risk: &[(usize, f64)], score: impl Fn(usize) -> f64) -> f64 {
    let logits: Vec<f64> = risk.iter().map(|&(item, coefficient)| score(item) + coefficient.ln()).collect();
    log_sum_exp(&logits)
}

/// What the likelihood of lists depends on.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Totals {
    /// How often each item was chosen.
    pub chosen: Vec<f64>,
    /// Items with coefficients, and how often one was chosen from them.
    pub sets: Vec<(Vec<(usize, f64)>, f64)>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Rankings, rankings::Unlisted};

    #[test]
    fn choices_are_those_of_the_lists_whatever_they_weigh() {
        let mut lists = Rankings::new(4);
        lists.push(&[2, 0], Unlisted::Below).unwrap();
        lists.push_groups(&[vec![3], vec![0, 2]], Unlisted::Below, 1.0).unwrap();
        lists.push(&[1], Unlisted::Absent).unwrap();
        let choices = Choices::of(4, lists.lists(), TiedPlaces::Efron).unwrap();
        // From all four of both lists, {0, 1, 3} of the first, {0, 1, 2} twice of the second.
        let totals = choices.totals(&[2.0, 3.0, 5.0]);
        assert_eq!(totals.chosen, [5.0, 0.0, 5.0, 3.0]);
        assert_eq!(totals.sets.iter().map(|(_, times)| *times).collect::<Vec<_>>(), [5.0, 2.0, 3.0, 3.0]);
        assert_eq!(choices.totals(&[0.0, 1.0, 0.0]).sets.len(), 3, "a set of no weight is none");
        let scores = [0.0, 0.0, 2f64.ln(), 0.0];
        // Strengths 1, 1, 2, 1: 2/5 · 1/3; 1/5 · 2 / (4 (4 − ½ − 1)).
        let log_probs = choices.log_probs(&scores);
        assert!((log_probs[0].exp() - 2.0 / 15.0).abs() < 1e-15);
        assert!((log_probs[1].exp() - 0.2 * 2.0 / 10.0).abs() < 1e-15);
        assert_eq!(log_probs[2], 0.0);
    }
}
