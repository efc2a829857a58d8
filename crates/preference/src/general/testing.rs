//! What the tests of this family share.

use rand::Rng;

use super::{PreferenceMatrix, winners::condorcet_winner};
use crate::random::{Purpose, stream};

/// A matrix of these margins `(winner, loser, margin)`; the other pairs are even.
pub fn skew(num_items: usize, margins: &[(usize, usize, f64)]) -> PreferenceMatrix {
    let mut rows = vec![vec![0.0; num_items]; num_items];
    for &(winner, loser, margin) in margins {
        (rows[winner][loser], rows[loser][winner]) = (margin, -margin);
    }
    PreferenceMatrix::from_margins(&rows).unwrap()
}

/// Random margins of up to `largest`.
pub fn random(num_items: usize, index: u32, largest: f64) -> PreferenceMatrix {
    let mut rng = stream(17, Purpose::World, index);
    let pairs = (0..num_items).flat_map(|i| (i + 1..num_items).map(move |j| (i, j)));
    let margins: Vec<_> = pairs.map(|(i, j)| (i, j, rng.random_range(-largest..largest))).collect();
    skew(num_items, &margins)
}

/// What every rule for orders does: it orders all items, follows an order of majorities where there is one, and puts a
/// Condorcet winner first.
pub fn order_rule_laws(rule: impl Fn(&PreferenceMatrix) -> Vec<usize>) {
    assert_eq!(rule(&skew(1, &[])), [0]);
    let true_order = [3, 0, 4, 1, 2];
    let pairs = (0..5).flat_map(|i| (i + 1..5).map(move |j| (i, j)));
    let margins: Vec<_> = pairs.map(|(i, j)| (true_order[i], true_order[j], 0.03 * (1 + (i * j) % 7) as f64)).collect();
    assert_eq!(rule(&skew(5, &margins)), true_order);
    for index in 0..20 {
        let n = 3 + index as usize % 4;
        let matrix = random(n, index, 0.5);
        let order = rule(&matrix);
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..n).collect::<Vec<_>>());
        if let Some(winner) = condorcet_winner(&matrix) {
            assert_eq!(order[0], winner);
        }
    }
}

/// A rule without ties does not care about the names of the items.
pub fn names_do_not_matter(rule: impl Fn(&PreferenceMatrix) -> Vec<usize>) {
    for index in 0..20 {
        let n = 3 + index as usize % 4;
        let matrix = random(n, index, 0.5);
        let names: Vec<usize> = (0..n).rev().collect();
        let permuted = rule(&matrix.select(&names).unwrap());
        assert_eq!(permuted.into_iter().map(|item| names[item]).collect::<Vec<_>>(), rule(&matrix));
    }
}
