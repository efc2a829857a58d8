//! How well two groupings of the same users agree.
//!
//! **Paper:** Comparing Partitions (L. Hubert and P. Arabie, 1985).
//! **Use when:** groups are known and a model found its own, whose labels are arbitrary.
//! **Checked by:** counts of pairs by hand, relabeling, chance level.
//! **Deviations:** none.

use std::collections::HashMap;

use crate::{Error, Result, error::check_length};

/// The adjusted Rand index of two groupings: 1 for the same groups under any labels, 0 in expectation for groups of these
/// sizes drawn at random.
///
/// ```text
/// (Σ_ij C(n_ij, 2) − E) / (½ (Σ_i C(a_i, 2) + Σ_j C(b_j, 2)) − E),   E = Σ_i C(a_i, 2) Σ_j C(b_j, 2) / C(n, 2)
/// ```
///
/// Two groupings that both lump everybody together, or both leave everybody alone, are the same: 1.
///
/// # Errors
/// [`Error::Length`] naming `found`; [`Error::Empty`] for fewer than two users.
///
/// # Example
/// ```
/// use accordant_preference::plural::agreement::adjusted_rand_index;
/// assert_eq!(adjusted_rand_index(&[0, 0, 1, 1], &[7, 7, 3, 3])?, 1.0);
/// // Of six pairs, 2 and 1 are together in either grouping, 1 in both, and by chance it would be 2 · 1 / 6.
/// let index = adjusted_rand_index(&[0, 0, 1, 1], &[0, 0, 1, 2])?;
/// assert!((index - (1.0 - 1.0 / 3.0) / (1.5 - 1.0 / 3.0)).abs() < 1e-15);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[doc(alias = "ARI")]
pub fn adjusted_rand_index(known: &[usize], found: &[usize]) -> Result<f64> {
    check_length("found", known.len(), found.len())?;
    if known.len() < 2 {
        return Err(Error::Empty { name: "known", reason: "fewer than two users" });
    }
    let mut cells = HashMap::new();
    let (mut rows, mut columns) = (HashMap::new(), HashMap::new());
    for (a, b) in known.iter().zip(found) {
        *cells.entry((a, b)).or_insert(0u64) += 1;
        *rows.entry(a).or_insert(0u64) += 1;
        *columns.entry(b).or_insert(0u64) += 1;
    }
    let pairs = |count: u64| (count * (count - 1) / 2) as f64;
    let together: f64 = cells.values().map(|&n| pairs(n)).sum();
    let (in_known, in_found): (f64, f64) =
        (rows.values().map(|&n| pairs(n)).sum(), columns.values().map(|&n| pairs(n)).sum());
    let expected = in_known * in_found / pairs(known.len() as u64);
    let most = 0.5 * (in_known + in_found);
    Ok(if most == expected { 1.0 } else { (together - expected) / (most - expected) })
}

/// For each component of `found` the one of `known` that it stands for, one each, so that they agree as often as possible.
///
/// `agreement[k][j]` says how much found component `k` agrees with known component `j`, say how many users they share; the
/// matrix is square, and any finite numbers will do. Labels of a mixture mean nothing: compare after matching.
///
/// # Errors
/// [`Error::Length`] for a row of another length; [`Error::Record`] for a number that is not finite.
///
/// # Example
/// ```
/// use accordant_preference::plural::agreement::match_components;
/// // Greedily, 0 would take 0 (3 shared), and 1 would be left with 1 (none): 3. Crosswise it is 2 + 2.
/// assert_eq!(match_components(&[vec![3.0, 2.0], vec![2.0, 0.0]])?, [1, 0]);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[doc(alias = "Hungarian algorithm")]
pub fn match_components(agreement: &[Vec<f64>]) -> Result<Vec<usize>> {
    let n = agreement.len();
    for (row, values) in agreement.iter().enumerate() {
        check_length("agreement", n, values.len())?;
        for &value in values {
            crate::error::check_record(value.is_finite(), row, "agreement", "a finite number", value)?;
        }
    }
    // Shortest augmenting paths with potentials, from one row after the other; index 0 stands for "none yet".
    let (mut row_price, mut column_price) = (vec![0.0; n + 1], vec![0.0; n + 1]);
    let mut row_of = vec![0; n + 1];
    for row in 1..=n {
        let mut least = vec![f64::INFINITY; n + 1];
        let mut before = vec![0; n + 1];
        let mut done = vec![false; n + 1];
        let mut column = 0;
        row_of[0] = row;
        while row_of[column] != 0 {
            done[column] = true;
            let from = row_of[column];
            let (mut step, mut next) = (f64::INFINITY, 0);
            for j in (1..=n).filter(|&j| !done[j]) {
                let cost = -agreement[from - 1][j - 1] - row_price[from] - column_price[j];
                if cost < least[j] {
                    (least[j], before[j]) = (cost, column);
                }
                if least[j] < step {
                    (step, next) = (least[j], j);
                }
            }
            for j in 0..=n {
                if done[j] {
                    row_price[row_of[j]] += step;
                    column_price[j] -= step;
                } else {
                    least[j] -= step;
                }
            }
            column = next;
        }
        while column != 0 {
            row_of[column] = row_of[before[column]];
            column = before[column];
        }
    }
    let mut matched = vec![0; n];
    (1..=n).for_each(|column| matched[row_of[column] - 1] = column - 1);
    Ok(matched)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, stream};
    use rand::Rng;

    #[test]
    fn relabeled_groups_agree_fully_and_groups_at_random_not_at_all() {
        let known: Vec<usize> = (0..3000).map(|user| user % 3).collect();
        let relabeled: Vec<usize> = known.iter().map(|group| (group + 2) % 3 + 10).collect();
        assert_eq!(adjusted_rand_index(&known, &relabeled).unwrap(), 1.0);
        let mut rng = stream(1, Purpose::World, 0);
        let random: Vec<usize> = known.iter().map(|_| rng.random_range(0..3)).collect();
        assert!(adjusted_rand_index(&known, &random).unwrap().abs() < 0.01);
    }

    #[test]
    fn by_hand_and_symmetric() {
        // Cells 2, 1 / 0, 2: one and one pair together; 3 + 1 and 1 + 3 in rows and columns; 10 pairs.
        let (known, found) = ([0, 0, 0, 1, 1], [0, 0, 1, 1, 1]);
        let expected = (2.0 - 1.6) / (4.0 - 1.6);
        assert!((adjusted_rand_index(&known, &found).unwrap() - expected).abs() < 1e-15);
        assert!((adjusted_rand_index(&found, &known).unwrap() - expected).abs() < 1e-15);
        // Everybody together says nothing about two groups.
        assert_eq!(adjusted_rand_index(&[0, 0, 1, 1], &[0; 4]).unwrap(), 0.0);
        assert_eq!(adjusted_rand_index(&[5; 4], &[0; 4]).unwrap(), 1.0);
        assert_eq!(adjusted_rand_index(&[1, 2, 3], &[3, 2, 1]).unwrap(), 1.0);
    }

    #[test]
    fn too_few_users_and_other_lengths_are_errors() {
        assert!(matches!(adjusted_rand_index(&[0], &[0]), Err(Error::Empty { name: "known", .. })));
        assert!(matches!(adjusted_rand_index(&[0, 1], &[0]), Err(Error::Length { name: "found", .. })));
        assert_eq!(adjusted_rand_index(&[0, 1], &[1, 0]).unwrap(), 1.0, "two are enough");
    }

    #[test]
    fn matching_is_the_best_of_all_permutations() {
        fn best(agreement: &[Vec<f64>], row: usize, taken: &mut Vec<bool>) -> f64 {
            if row == agreement.len() {
                return 0.0;
            }
            let mut most = f64::NEG_INFINITY;
            for column in 0..agreement.len() {
                if !taken[column] {
                    taken[column] = true;
                    most = most.max(agreement[row][column] + best(agreement, row + 1, taken));
                    taken[column] = false;
                }
            }
            most
        }
        let mut rng = stream(2, Purpose::World, 0);
        for n in 1..6 {
            for _ in 0..20 {
                let agreement: Vec<Vec<f64>> =
                    (0..n).map(|_| (0..n).map(|_| f64::from(rng.random_range(-5..9i32))).collect()).collect();
                let matched = match_components(&agreement).unwrap();
                let mut sorted = matched.clone();
                sorted.sort_unstable();
                assert_eq!(sorted, (0..n).collect::<Vec<_>>(), "each once");
                let total: f64 = matched.iter().enumerate().map(|(row, &column)| agreement[row][column]).sum();
                assert_eq!(total, best(&agreement, 0, &mut vec![false; n]));
            }
        }
        // Where every matching is as good, each stands for itself.
        assert_eq!(match_components(&vec![vec![2.0; 3]; 3]).unwrap(), [0, 1, 2]);
        assert_eq!(match_components(&[]).unwrap(), Vec::<usize>::new());
        assert!(matches!(match_components(&[vec![1.0, 2.0]]), Err(Error::Length { .. })));
        assert!(matches!(match_components(&[vec![f64::NAN]]), Err(Error::Record { .. })));
    }
}
