//! Kemeny's order, exactly.
//!
//! **Paper:** Mathematics without Numbers (J. G. Kemeny, 1959); the dynamic program is that of the linear ordering problem.
//! **Use when:** up to 16 items are to be put in the order that disagrees with the fewest votes.
//! **Checked by:** all orders of small random matrices, Condorcet's order where there is one, permutations.
//! **Deviations:** none.

use super::PreferenceMatrix;
use crate::{Error, Result};

/// The most items that are ordered: 2^n sums take half a megabyte.
pub const MAX_ITEMS: usize = 16;

/// How much an order disagrees with the preferences: the chances that go against it, `Σ P_ji` over all `i` above `j`.
///
/// # Errors
/// [`Error::Index`] for an item that is not in the table.
///
/// # Example
/// ```
/// use accordant_preference::general::{PreferenceMatrix, kemeny::disagreement};
/// let matrix = PreferenceMatrix::from_rows(&[vec![0.5, 0.75], vec![0.25, 0.5]])?;
/// assert_eq!((disagreement(&matrix, &[0, 1])?, disagreement(&matrix, &[1, 0])?), (0.25, 0.75));
/// # Ok::<(), accordant_preference::Error>(())
/// ```
pub fn disagreement(matrix: &PreferenceMatrix, order: &[usize]) -> Result<f64> {
    let n = matrix.num_items();
    order.iter().enumerate().try_for_each(|(row, &item)| crate::error::check_index(row, "order", item, n))?;
    let against = |(place, &above): (usize, &usize)| -> f64 {
        order[place + 1..].iter().map(|&below| matrix.chance(below, above)).sum()
    };
    Ok(order.iter().enumerate().map(against).sum())
}

/// The order, best first, with the smallest [`disagreement`]; of several, the first by the items' indices.
///
/// By a dynamic program over all sets of items, `O(2^n n²)`.
///
/// # Errors
/// [`Error::Combination`] for more than [`MAX_ITEMS`] items.
///
/// # Example
/// ```
/// use accordant_preference::general::{PreferenceMatrix, kemeny::kemeny};
/// // A circle: 0 over 1 by 0.3, 1 over 2 by 0.2, 2 over 0 by 0.1.
/// let circle = [vec![0.0, 0.3, -0.1], vec![-0.3, 0.0, 0.2], vec![0.1, -0.2, 0.0]];
/// assert_eq!(kemeny(&PreferenceMatrix::from_margins(&circle)?)?, [0, 1, 2]);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[doc(alias = "Kemeny-Young")]
#[doc(alias = "linear ordering problem")]
pub fn kemeny(matrix: &PreferenceMatrix) -> Result<Vec<usize>> {
    let n = matrix.num_items();
    if n > MAX_ITEMS {
        return Err(Error::Combination { what: "kemeny", reason: "more than 16 items take too long" });
    }
    let members = |set: usize| (0..n).filter(move |item| set >> item & 1 == 1);
    // What putting `first` in front of the rest of a set is worth: the margins that agree.
    let in_front = |first: usize, set: usize| members(set).map(|item| matrix.margin(first, item)).sum::<f64>();
    let mut best = vec![0.0; 1 << n];
    for set in 1..1usize << n {
        let value = |first: usize| in_front(first, set) + best[set & !(1 << first)];
        best[set] = members(set).map(value).fold(f64::NEG_INFINITY, f64::max);
    }
    let (mut order, mut set) = (Vec::with_capacity(n), (1 << n) - 1);
    while set != 0 {
        // Sums in another order differ in their last digits.
        let first = members(set)
            .find(|&first| in_front(first, set) + best[set & !(1 << first)] > best[set] - 1e-12)
            .expect("the best value has a first item");
        order.push(first);
        set &= !(1 << first);
    }
    Ok(order)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::general::testing::{names_do_not_matter, order_rule_laws, random, skew};

    fn orders(n: usize) -> Vec<Vec<usize>> {
        if n == 0 {
            return vec![Vec::new()];
        }
        let shorter = orders(n - 1);
        let put = |order: &Vec<usize>, at: usize| [&order[..at], &[n - 1], &order[at..]].concat();
        shorter.iter().flat_map(|order| (0..n).map(move |at| put(order, at))).collect()
    }

    #[test]
    fn disagreement_by_hand() {
        let matrix = PreferenceMatrix::from_rows(&[vec![0.5, 0.75], vec![0.25, 0.5]]).unwrap();
        assert_eq!([[0, 1], [1, 0]].map(|order| disagreement(&matrix, &order).unwrap()), [0.25, 0.75]);
        assert_eq!(disagreement(&matrix, &[1]).unwrap(), 0.0);
    }

    #[test]
    fn no_other_order_of_small_matrices_disagrees_less() {
        for index in 0..12 {
            let n = 2 + index as usize % 5;
            let matrix = random(n, index, 0.5);
            let found = kemeny(&matrix).unwrap();
            let all = orders(n);
            let least = all.iter().map(|order| disagreement(&matrix, order).unwrap()).fold(f64::INFINITY, f64::min);
            assert!((disagreement(&matrix, &found).unwrap() - least).abs() < 1e-12, "{found:?}");
        }
    }

    #[test]
    fn of_equal_orders_it_is_the_first() {
        assert_eq!(kemeny(&skew(3, &[])).unwrap(), [0, 1, 2]);
        assert_eq!(kemeny(&skew(3, &[(0, 1, 0.2), (1, 2, 0.2), (2, 0, 0.2)])).unwrap(), [0, 1, 2]);
        assert_eq!(kemeny(&skew(3, &[(2, 1, 0.2)])).unwrap(), [0, 2, 1]);
    }

    #[test]
    fn it_is_a_rule_for_orders() {
        order_rule_laws(|matrix| kemeny(matrix).unwrap());
        names_do_not_matter(|matrix| kemeny(matrix).unwrap());
    }

    #[test]
    fn sixteen_items_are_ordered_and_seventeen_are_refused() {
        let chain = |n: usize| {
            let pairs: Vec<_> = (0..n).flat_map(|i| (i + 1..n).map(move |j| (n - 1 - i, n - 1 - j, 0.1))).collect();
            skew(n, &pairs)
        };
        assert_eq!(kemeny(&chain(16)).unwrap(), (0..16).rev().collect::<Vec<_>>());
        assert!(matches!(kemeny(&chain(17)), Err(Error::Combination { what: "kemeny", .. })));
        assert!(matches!(disagreement(&chain(2), &[0, 2]), Err(Error::Index { row: 1, name: "order", .. })));
    }
}
