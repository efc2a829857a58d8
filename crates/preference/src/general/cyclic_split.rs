//! Pairs and circles of three to train on and to hold out.
//!
//! **Use when:** it is asked whether a model of preferences knows more than an order. Pairs alone do not tell: most of them agree
//! with some order. Whole circles do, and only where none of their pairs was seen.
//! **Checked by:** the promises below, on random matrices.

use std::collections::HashSet;

use accordant_ops::check_domain;
use burn::config::Config;
use rand::{Rng, seq::SliceRandom};

use super::PreferenceMatrix;
use crate::{
    Error, Result,
    random::{Purpose, stream},
};

/// Configuration of a split.
#[derive(Config, Debug, PartialEq)]
pub struct CyclicSplitConfig {
    /// The seed of all draws.
    pub seed: u64,
    /// The share of the items that no training pair has, in [0, 1).
    #[config(default = 0.2)]
    pub new_share: f64,
    /// How many pairs to train on, ≥ 1.
    #[config(default = 20_000)]
    pub num_train: usize,
    /// How many other pairs to test on, ≥ 1.
    #[config(default = 50_000)]
    pub num_test: usize,
    /// How many circles of three to test on, of old and of new items each. Fewer where there are not as many.
    #[config(default = 20_000)]
    pub num_circles: usize,
}

/// Pairs `[winner, loser]` and circles `[a, b, c]`, in which a beats b, b beats c and c beats a; all by items of the matrix.
#[derive(Debug, Clone, PartialEq)]
pub struct CyclicSplit {
    /// The items that training pairs are made of, ascending.
    pub old: Vec<usize>,
    /// The others, ascending.
    pub new: Vec<usize>,
    /// Pairs of old items to train on.
    pub train: Vec<[usize; 2]>,
    /// Other pairs of old items.
    pub test: Vec<[usize; 2]>,
    /// All pairs of new items.
    pub new_pairs: Vec<[usize; 2]>,
    /// Different circles of old items, without any training pair.
    pub circles: Vec<[usize; 3]>,
    /// Different circles of new items.
    pub new_circles: Vec<[usize; 3]>,
}

/// How many triples are drawn for each circle that is wanted.
const DRAWS: usize = 200;

impl CyclicSplitConfig {
    /// Draws items, pairs and circles. Even pairs are none.
    ///
    /// # Errors
    /// A domain error naming a field; [`Error::Empty`] when the old items have fewer pairs than are wanted.
    pub fn split(&self, matrix: &PreferenceMatrix) -> Result<CyclicSplit> {
        let Self { seed, new_share, num_train, num_test, num_circles } = *self;
        check_domain((0.0..1.0).contains(&new_share), "new_share", "in [0, 1)", new_share)?;
        check_domain(num_train > 0, "num_train", ">= 1", num_train as f64)?;
        check_domain(num_test > 0, "num_test", ">= 1", num_test as f64)?;
        let mut rng = stream(seed, Purpose::Split, 0);
        let mut items: Vec<usize> = (0..matrix.num_items()).collect();
        items.shuffle(&mut rng);
        let mut old = items.split_off((new_share * items.len() as f64).floor() as usize);
        let mut new = items;
        old.sort_unstable();
        new.sort_unstable();
        let mut pairs = decided(matrix, &old);
        if pairs.len() < num_train + num_test {
            return Err(Error::Empty { name: "matrix", reason: "there are fewer pairs than are to be drawn" });
        }
        pairs.shuffle(&mut rng);
        let test = pairs[num_train..num_train + num_test].to_vec();
        pairs.truncate(num_train);
        let seen: HashSet<[usize; 2]> = pairs.iter().copied().collect();
        let circles = circles(matrix, &old, num_circles, &seen, &mut rng);
        let new_circles = self::circles(matrix, &new, num_circles, &HashSet::new(), &mut rng);
        let new_pairs = decided(matrix, &new);
        Ok(CyclicSplit { old, new, train: pairs, test, new_pairs, circles, new_circles })
    }
}

/// All pairs of these items that are not even, winner first.
fn decided(matrix: &PreferenceMatrix, items: &[usize]) -> Vec<[usize; 2]> {
    let pairs = items.iter().flat_map(|&i| items.iter().map(move |&j| [i, j]));
    pairs.filter(|&[winner, loser]| matrix.beats(winner, loser)).collect()
}

/// Different circles of these items of which no pair is in `seen`, in the order in which they are met.
fn circles(
    matrix: &PreferenceMatrix,
    items: &[usize],
    count: usize,
    seen: &HashSet<[usize; 2]>,
    rng: &mut impl Rng,
) -> Vec<[usize; 3]> {
    let (mut found, mut known) = (Vec::new(), HashSet::new());
    let draws = if items.len() < 3 { 0 } else { DRAWS * count };
    for _ in 0..draws {
        if found.len() == count {
            break;
        }
        let [a, b, c] = std::array::from_fn(|_| items[rng.random_range(0..items.len())]);
        let circle = [a, b, c];
        let fresh = |&[winner, loser]: &[usize; 2]| matrix.beats(winner, loser) && !seen.contains(&[winner, loser]);
        let mut sorted = circle;
        sorted.sort_unstable();
        if [[a, b], [b, c], [c, a]].iter().all(fresh) && known.insert(sorted) {
            found.push(circle);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::general::{
        testing::{random, skew},
        transitivity::num_cyclic_triples,
    };

    fn config() -> CyclicSplitConfig {
        CyclicSplitConfig::new(3).with_num_train(200).with_num_test(300).with_num_circles(150)
    }

    #[test]
    fn three_items_are_enough_for_a_circle() {
        let circle = skew(3, &[(0, 1, 0.2), (1, 2, 0.2), (2, 0, 0.2)]);
        let mut rng = crate::random::stream(1, crate::random::Purpose::Split, 0);
        assert_eq!(circles(&circle, &[0, 1, 2], 1, &HashSet::new(), &mut rng).len(), 1);
        assert!(circles(&circle, &[0, 1], 1, &HashSet::new(), &mut rng).is_empty());
    }

    #[test]
    fn what_is_held_out_was_never_seen() {
        let matrix = random(50, 70, 0.5);
        let split = config().split(&matrix).unwrap();
        assert_eq!((split.old.len(), split.new.len()), (40, 10));
        assert!(split.old.iter().all(|item| !split.new.contains(item)));
        assert_eq!((split.train.len(), split.test.len(), split.new_pairs.len()), (200, 300, 45));
        assert_eq!(split.circles.len(), 150);
        let of = |items: &[usize], pairs: &[[usize; 2]]| pairs.iter().flatten().all(|item| items.contains(item));
        assert!(of(&split.old, &split.train) && of(&split.old, &split.test) && of(&split.new, &split.new_pairs));
        let all = [&split.train[..], &split.test, &split.new_pairs].concat();
        assert!(all.iter().all(|&[winner, loser]| matrix.beats(winner, loser)));
        let distinct: HashSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
        for (circles, items) in [(&split.circles, &split.old), (&split.new_circles, &split.new)] {
            let mut known = HashSet::new();
            for &[a, b, c] in circles {
                assert!(matrix.beats(a, b) && matrix.beats(b, c) && matrix.beats(c, a));
                assert!([a, b, c].iter().all(|item| items.contains(item)));
                assert!([[a, b], [b, c], [c, a]].iter().all(|pair| !split.train.contains(pair)));
                let mut sorted = [a, b, c];
                sorted.sort_unstable();
                assert!(known.insert(sorted), "twice");
            }
        }
        // There are fewer new circles than were wanted, and all were met.
        assert_eq!(split.new_circles.len() as u64, num_cyclic_triples(&matrix.select(&split.new).unwrap()));
    }

    #[test]
    fn a_seed_is_a_split() {
        let matrix = random(50, 70, 0.5);
        assert_eq!(config().split(&matrix).unwrap(), config().split(&matrix).unwrap());
        let other = CyclicSplitConfig { seed: 4, ..config() };
        assert_ne!(other.split(&matrix).unwrap().train, config().split(&matrix).unwrap().train);
    }

    #[test]
    fn an_order_has_no_circles_and_no_new_items_are_fine() {
        let pairs: Vec<_> = (0..30).flat_map(|i| (i + 1..30).map(move |j| (i, j, 0.1))).collect();
        let split = config().with_num_train(100).with_new_share(0.0).split(&skew(30, &pairs)).unwrap();
        assert_eq!(
            (split.circles.len(), split.new.len(), split.new_pairs.len(), split.new_circles.len()),
            (0, 0, 0, 0)
        );
    }

    #[test]
    fn every_field_has_a_domain_and_a_default() {
        let defaults = CyclicSplitConfig::new(1);
        assert_eq!((defaults.seed, defaults.new_share, defaults.num_circles), (1, 0.2, 20_000));
        assert_eq!((defaults.num_train, defaults.num_test), (20_000, 50_000));
        let matrix = random(50, 70, 0.5);
        let text = |config: CyclicSplitConfig| config.split(&matrix).unwrap_err().to_string();
        for share in [-0.1, 1.0, f64::NAN] {
            assert!(text(config().with_new_share(share)).starts_with("`new_share`"));
        }
        assert!(text(config().with_num_train(0)).starts_with("`num_train`"));
        assert!(text(config().with_num_test(0)).starts_with("`num_test`"));
        // 40 items have 780 pairs.
        assert!(config().with_num_train(480).split(&matrix).is_ok());
        assert!(text(config().with_num_train(481)).starts_with("`matrix`: nothing"));
    }
}
