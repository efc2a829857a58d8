//! Active edges: which pairs of a table of items to compare next, so that close items are compared and none is left alone.
//!
//! **Paper:** Utility Engineering: Analyzing and Controlling Emergent Value Systems in AIs (2025), 2502.08640.
//! **Use when:** answers are bought, and all pairs are too many.
//! **Checked by:** hand-worked thresholds, counts and degrees, no pair twice.
//! **Deviations:** the start is one circle through all items in random order, a regular graph of degree 2 in which, unlike in
//! others, all items can be compared; a round that comes short after the last widening is filled from all pairs.

use std::collections::HashSet;

use accordant_ops::check_domain;
use burn::config::Config;
use rand::seq::SliceRandom;

use crate::{
    Error, Result,
    error::{check_index, check_record},
    random::{Purpose, stream},
};

/// Configuration of the choice of edges; its defaults are those of the paper's code.
#[derive(Config, Debug, PartialEq)]
pub struct ActiveEdgesConfig {
    /// Edges in all, as a multiple of `M log₂ M` for M items, finite and > 0. 2: the code's.
    #[config(default = 2.0)]
    pub edge_multiplier: f64,
    /// Edges in a round at most, ≥ 1. 200: the code's; its configuration file has 500.
    #[config(default = 200)]
    pub per_round: usize,
    /// The share P of pairs, the closest by score, that are eligible, in (0, 1]. 0.1: the code's.
    #[config(default = 0.1)]
    pub closest: f64,
    /// The share Q of pairs, those with the smallest sum of degrees, that are eligible, in (0, 1]. 0.2: the code's.
    #[config(default = 0.2)]
    pub least_asked: f64,
    /// What both shares are multiplied by when too few pairs are eligible, up to 1; finite and > 1. 1.5: the code's.
    #[config(default = 1.5)]
    pub widening: f64,
    /// How often they are at most. 5: the code's.
    #[config(default = 5)]
    pub max_widenings: usize,
}

/// Two items, the lower one first.
pub type Edge = (usize, usize);

/// The edges to start with: a circle through all items in random order; of two items the only one.
///
/// # Errors
/// A domain error naming `num_items`, ≥ 2.
///
/// # Example
/// ```
/// use accordant_preference::uncertainty::active_edges::first_edges;
/// let mut edges = first_edges(3, 0)?;
/// edges.sort();
/// assert_eq!(edges, [(0, 1), (0, 2), (1, 2)]);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
pub fn first_edges(num_items: usize, seed: u64) -> Result<Vec<Edge>> {
    check_domain(num_items > 1, "num_items", ">= 2", num_items as f64)?;
    let mut order: Vec<usize> = (0..num_items).collect();
    order.shuffle(&mut stream(seed, Purpose::Start, 0));
    let ends = if num_items == 2 { 1 } else { num_items };
    Ok((0..ends).map(|at| sorted(order[at], order[(at + 1) % num_items])).collect())
}

fn sorted(a: usize, b: usize) -> Edge {
    (a.min(b), a.max(b))
}

/// Labels for pairs that were not asked about and of which a model is sure: places and labels, 1 where the chance that the
/// first side is preferred is at least `threshold`, and 0 where it is at most `1 − threshold`.
///
/// # Errors
/// A domain error naming `threshold`, in (½, 1]; 0.95: the paper's code. [`Error::Record`] for a chance outside of [0, 1].
///
/// # Example
/// ```
/// use accordant_preference::uncertainty::active_edges::sure_labels;
/// assert_eq!(sure_labels(&[0.97, 0.5, 0.25], 0.75)?, [(0, 1.0), (2, 0.0)]);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[doc(alias = "pseudo-labels")]
pub fn sure_labels(chances: &[f64], threshold: f64) -> Result<Vec<(usize, f64)>> {
    check_domain(threshold > 0.5 && threshold <= 1.0, "threshold", "in (1/2, 1]", threshold)?;
    let mut labels = Vec::new();
    for (row, &chance) in chances.iter().enumerate() {
        check_record((0.0..=1.0).contains(&chance), row, "chances", "in [0, 1]", chance)?;
        if chance >= threshold {
            labels.push((row, 1.0));
        } else if 1.0 - chance >= threshold {
            labels.push((row, 0.0));
        }
    }
    Ok(labels)
}

impl ActiveEdgesConfig {
    /// How many edges there are to be in all: `⌊edge_multiplier · M log₂ M⌋`, and no more than there are pairs.
    ///
    /// # Errors
    /// A domain error naming a field or `num_items`, ≥ 2.
    ///
    /// # Example
    /// ```
    /// use accordant_preference::uncertainty::active_edges::ActiveEdgesConfig;
    /// assert_eq!(ActiveEdgesConfig::new().total(64)?, 768); // 2 · 64 · 6
    /// # Ok::<(), accordant_preference::Error>(())
    /// ```
    pub fn total(&self, num_items: usize) -> Result<usize> {
        self.check()?;
        check_domain(num_items > 1, "num_items", ">= 2", num_items as f64)?;
        let items = num_items as f64;
        let wanted = (self.edge_multiplier * items * items.log2()).floor() as usize;
        Ok(wanted.min(num_items * (num_items - 1) / 2))
    }

    /// The edges of the next round, drawn uniformly from the pairs that are among both the closest by `scores` and the least
    /// asked about; none when `asked` has as many as there are to be.
    ///
    /// The shares are of the pairs that were not asked about. `round` tells the rounds of a seed apart.
    ///
    /// # Errors
    /// As [`ActiveEdgesConfig::total`]; [`Error::Record`] for a score that is not finite; [`Error::Index`] or
    /// [`Error::Repeated`] for an edge that is none.
    pub fn next_edges(&self, scores: &[f64], asked: &[Edge], seed: u64, round: u32) -> Result<Vec<Edge>> {
        let total = self.total(scores.len())?;
        for (row, &score) in scores.iter().enumerate() {
            check_record(score.is_finite(), row, "scores", "finite", score)?;
        }
        let mut degrees = vec![0usize; scores.len()];
        let mut known = HashSet::new();
        for (row, &(first, second)) in asked.iter().enumerate() {
            check_index(row, "first", first, scores.len())?;
            check_index(row, "second", second, scores.len())?;
            if first == second {
                return Err(Error::Repeated { row, item: first });
            }
            if known.insert(sorted(first, second)) {
                degrees[first] += 1;
                degrees[second] += 1;
            }
        }
        let wanted = total.saturating_sub(known.len()).min(self.per_round);
        let pairs = (0..scores.len()).flat_map(|second| (0..second).map(move |first| (first, second)));
        let open: Vec<Edge> = pairs.filter(|edge| !known.contains(edge)).collect();
        let gaps: Vec<f64> = open.iter().map(|&(a, b)| (scores[a] - scores[b]).abs()).collect();
        let sums: Vec<f64> = open.iter().map(|&(a, b)| (degrees[a] + degrees[b]) as f64).collect();
        let mut rng = stream(seed, Purpose::Order, round);
        let (mut closest, mut least_asked) = (self.closest, self.least_asked);
        let mut eligible = both_lowest(&gaps, closest, &sums, least_asked);
        for _ in 0..self.max_widenings {
            if eligible.len() >= wanted {
                break;
            }
            (closest, least_asked) = ((closest * self.widening).min(1.0), (least_asked * self.widening).min(1.0));
            eligible = both_lowest(&gaps, closest, &sums, least_asked);
        }
        eligible.shuffle(&mut rng);
        if eligible.len() < wanted {
            let taken: HashSet<usize> = eligible.iter().copied().collect();
            let mut others: Vec<usize> = (0..open.len()).filter(|at| !taken.contains(at)).collect();
            others.shuffle(&mut rng);
            eligible.extend(others);
        }
        Ok(eligible.into_iter().take(wanted).map(|at| open[at]).collect())
    }

    fn check(&self) -> Result<()> {
        let above = |value: f64, least: f64| value.is_finite() && value > least;
        check_domain(above(self.edge_multiplier, 0.0), "edge_multiplier", "finite and > 0", self.edge_multiplier)?;
        check_domain(self.per_round > 0, "per_round", ">= 1", self.per_round as f64)?;
        for (name, share) in [("closest", self.closest), ("least_asked", self.least_asked)] {
            check_domain(share > 0.0 && share <= 1.0, name, "in (0, 1]", share)?;
        }
        check_domain(above(self.widening, 1.0), "widening", "finite and > 1", self.widening)?;
        Ok(())
    }
}

/// The places whose gap and sum are both no larger than the value at their share of the sorted ones.
fn both_lowest(gaps: &[f64], gap_share: f64, sums: &[f64], sum_share: f64) -> Vec<usize> {
    let (Some(gap), Some(sum)) = (bound(gaps, gap_share), bound(sums, sum_share)) else { return Vec::new() };
    (0..gaps.len()).filter(|&at| gaps[at] <= gap && sums[at] <= sum).collect()
}

/// The `⌈share · n⌉`-th smallest; none of none.
fn bound(values: &[f64], share: f64) -> Option<f64> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let count = (share * values.len() as f64).ceil() as usize;
    values.get(count.max(1) - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::distributional::testing::starts;

    #[test]
    fn the_first_edges_are_one_circle_through_all_items() {
        let edges = first_edges(9, 4).unwrap();
        assert_eq!(edges.len(), 9);
        assert!(edges.iter().all(|(a, b)| a < b));
        let mut at = edges[0].0;
        let mut left = edges.clone();
        let mut seen = Vec::new();
        while let Some(next) = left.iter().position(|&(a, b)| a == at || b == at) {
            let (a, b) = left.remove(next);
            at = if a == at { b } else { a };
            seen.push(at);
        }
        seen.sort_unstable();
        assert_eq!(seen, (0..9).collect::<Vec<_>>(), "one circle, not two");
        assert_eq!(first_edges(2, 0).unwrap(), [(0, 1)]);
        assert_eq!(edges, first_edges(9, 4).unwrap());
        assert_ne!(edges, first_edges(9, 5).unwrap());
        starts(first_edges(1, 0), "`num_items`");
    }

    #[test]
    fn bounds_and_eligible_pairs_by_hand() {
        let values = [3.0, 1.0, 2.0, 5.0, 4.0];
        for (share, expected) in [(0.01, 1.0), (0.2, 1.0), (0.21, 2.0), (0.4, 2.0), (0.99, 5.0), (1.0, 5.0)] {
            assert_eq!(bound(&values, share), Some(expected), "{share}");
        }
        assert_eq!(bound(&[], 0.5), None);
        assert_eq!(both_lowest(&values, 0.6, &[0.0, 9.0, 0.0, 0.0, 0.0], 0.2), [0, 2], "equal sums are all in");
    }

    #[test]
    fn close_pairs_of_items_that_were_hardly_asked_about_come_first() {
        // Scores 0, 1, 2, 10, 11, 12 with 3 and 4 asked about often: of the close pairs (0, 1), (1, 2), (3, 4), (4, 5) the last
        // two have larger sums of degrees.
        let scores = [0.0, 1.0, 2.0, 10.0, 11.0, 12.0];
        let asked = [(3, 0), (4, 0), (3, 1), (4, 1), (2, 3), (4, 2)];
        let config = ActiveEdgesConfig::new().with_per_round(2).with_closest(0.5).with_least_asked(0.5);
        // Nine are open: (0,1) (0,2) (1,2) with sums 4; (0,5) (1,5) (2,5) 2; (3,4) 6; (3,5) (4,5) 3. Of gaps 1 2 1 12 11 10 1 2
        // 1 the fifth is 2, of sums 4 4 4 2 2 2 6 3 3 the fifth is 3: (3, 5) and (4, 5) have both.
        // A pair that was asked about again and again counts once.
        let again = [&asked[..], &[(2, 4); 9]].concat();
        for seed in 0..20 {
            for asked in [&asked[..], &again] {
                let mut edges = config.next_edges(&scores, asked, seed, 0).unwrap();
                edges.sort_unstable();
                assert_eq!(edges, [(3, 5), (4, 5)]);
            }
        }
        // Widened once to three quarters: the seventh gap is 10 and the seventh sum 4, of all but (3, 4), (0, 5) and (1, 5).
        let mut some = HashSet::new();
        for seed in 0..100 {
            let edges = config.clone().with_per_round(3).next_edges(&scores, &asked, seed, 0).unwrap();
            assert_eq!(edges.len(), 3);
            some.extend(edges);
        }
        assert_eq!(some, HashSet::from([(0, 1), (0, 2), (1, 2), (2, 5), (3, 5), (4, 5)]));
        // Not widened, the round is filled from all.
        let rigid = config.clone().with_per_round(3).with_max_widenings(0);
        let mut filled = HashSet::new();
        for seed in 0..200 {
            let edges = rigid.next_edges(&scores, &asked, seed, 0).unwrap();
            assert!(edges.len() == 3 && edges[..2].iter().all(|edge| [(3, 5), (4, 5)].contains(edge)));
            filled.insert(edges[2]);
        }
        assert_eq!(filled.len(), 7);
        let draw = |seed, round| rigid.next_edges(&scores, &asked, seed, round).unwrap();
        assert_eq!(draw(3, 1), draw(3, 1));
        assert!((0..20).any(|round| draw(3, round) != draw(3, 0)));
    }

    #[test]
    fn labels_of_which_a_model_is_sure() {
        assert_eq!(sure_labels(&[0.75, 0.74, 0.26, 0.25, 0.5], 0.75).unwrap(), [(0, 1.0), (3, 0.0)]);
        assert_eq!(sure_labels(&[1.0, 0.0, 0.999], 1.0).unwrap(), [(0, 1.0), (1, 0.0)]);
        for threshold in [0.5, 1.1, f64::NAN] {
            starts(sure_labels(&[], threshold), "`threshold`");
        }
        starts(sure_labels(&[0.5, -0.1], 0.9), "record 1: `chances`");
        starts(sure_labels(&[1.1], 0.9), "record 0: `chances`");
    }

    #[test]
    fn rounds_end_with_the_budget_and_ask_no_pair_twice() {
        let scores: Vec<f64> = (0..12).map(|i| f64::from(i * i % 7)).collect();
        let config = ActiveEdgesConfig::new().with_edge_multiplier(1.0).with_per_round(10);
        // ⌊12 log₂ 12⌋ = ⌊43.02⌋.
        assert_eq!(config.total(12).unwrap(), 43);
        assert_eq!(ActiveEdgesConfig::new().total(12).unwrap(), 66, "there are no more pairs");
        let mut asked = first_edges(12, 0).unwrap();
        let mut sizes = Vec::new();
        for round in 0..6 {
            let edges = config.next_edges(&scores, &asked, 0, round).unwrap();
            sizes.push(edges.len());
            asked.extend(edges);
        }
        assert_eq!(sizes, [10, 10, 10, 1, 0, 0]);
        assert_eq!(asked.iter().collect::<HashSet<_>>().len(), 43);
        // The other way around, and twice, is the same pair.
        let [all, again] = [&asked[..12], &[asked.as_slice(), &asked[..12]].concat()[..]].map(|asked| asked.to_vec());
        let swapped: Vec<Edge> = all.iter().chain(&all).map(|&(a, b)| (b, a)).collect();
        let first = |asked: &[Edge]| config.next_edges(&scores, asked, 0, 9).unwrap();
        assert_eq!(first(&all), first(&swapped));
        assert!(first(&again).is_empty());
    }

    #[test]
    fn senseless_input_is_refused_by_name() {
        let config = ActiveEdgesConfig::new();
        let defaults = (config.edge_multiplier, config.per_round, config.closest, config.least_asked);
        assert_eq!(defaults, (2.0, 200, 0.1, 0.2));
        assert_eq!((config.widening, config.max_widenings), (1.5, 5));
        let run = |config: ActiveEdgesConfig| config.next_edges(&[0.0, 1.0, 2.0], &[], 0, 0);
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            starts(run(config.clone().with_edge_multiplier(bad)), "`edge_multiplier`");
            starts(run(config.clone().with_closest(bad)), "`closest`");
            starts(run(config.clone().with_least_asked(bad)), "`least_asked`");
            starts(run(config.clone().with_widening(bad)), "`widening`");
        }
        starts(run(config.clone().with_closest(1.1)), "`closest`");
        run(config.clone().with_closest(1.0).with_least_asked(1.0)).unwrap();
        starts(run(config.clone().with_widening(1.0)), "`widening`");
        starts(run(config.clone().with_per_round(0)), "`per_round`");
        starts(config.next_edges(&[0.0], &[], 0, 0), "`num_items`");
        starts(config.next_edges(&[0.0, f64::NAN], &[], 0, 0), "record 1: `scores`");
        starts(config.next_edges(&[0.0, 1.0], &[(0, 2)], 0, 0), "record 0: `second`");
        starts(config.next_edges(&[0.0, 1.0], &[(2, 0)], 0, 0), "record 0: `first`");
        starts(config.next_edges(&[0.0, 1.0], &[(1, 1)], 0, 0), "record 0: item 1 twice");
    }

    #[test]
    fn degrees_add_up() {
        // Item 0 was asked about twice, with 1 and 2; these thrice; and 3 to 7 four times. So (1, 2) has a sum of 6, as (0, 3)
        // and the like have, though its product is larger.
        let asked = [
            (0, 1),
            (0, 2),
            (1, 3),
            (1, 4),
            (2, 5),
            (2, 6),
            (3, 5),
            (3, 6),
            (3, 7),
            (4, 5),
            (4, 6),
            (4, 7),
            (5, 7),
            (6, 7),
        ];
        let config = ActiveEdgesConfig::new().with_per_round(1).with_closest(1.0).with_least_asked(0.01);
        let drawn: HashSet<Edge> =
            (0..200).flat_map(|seed| config.next_edges(&[0.0; 8], &asked, seed, 0).unwrap()).collect();
        assert_eq!(drawn, HashSet::from([(1, 2), (0, 3), (0, 4), (0, 5), (0, 6), (0, 7)]));
    }
}
