//! Self-play preference optimization (SPO): win rates among samples of one policy as their rewards.
//!
//! **Paper:** A Minimaximalist Approach to Reinforcement Learning from Human Feedback (2024), 2401.04056.
//! **Use when:** preferences are intransitive or noisy, so that no score explains them; any policy gradient takes the
//! rewards.
//! **Checked by:** hand-worked values, properties under proptest.
//! **Deviations:** none known; the formula is the published one, not read in code. A judge who is asked in both orders
//! is averaged over them.

use accordant_ops::groups::Groups;

use super::values::{check_len, check_units, mean, members, present};
use crate::Result;

/// How often each response of a group beats another of its group.
///
/// ```text
/// r_i = 1/(G − 1) Σ_{j ≠ i} P(y_i > y_j)
/// ```
///
/// `prefer(i, j)`: the probability that item `i` beats item `j` of the same group, ½ for a tie, NaN where the judgment
/// failed. It is asked once for each pair, with `i < j`, and the other order is taken as the complement: a judge that
/// favors a position should average both orders itself, or see [`win_rates`].
///
/// Failed judgments are left out; an item without a judgment, in a group of one for example, has NaN, a missing reward.
/// Without failed ones the mean over each group is ½.
///
/// # Errors
/// A domain error naming `prefer` for a value outside `[0, 1]`.
///
/// # Example
/// ```
/// use accordant_objectives::reward_shaping::spo::{group_win_rates, preference_by_score};
/// use accordant_ops::groups::Groups;
/// let scores = [3.0, 9.0, 1.0, 3.0];
/// let groups = Groups::new(&["a", "b", "a", "a"]);
/// let rates = group_win_rates(&groups, |i, j| preference_by_score(scores[i], scores[j]))?;
/// assert_eq!((rates[0], rates[2], rates[3]), (0.75, 0.0, 0.75)); // one win and one tie
/// assert!(rates[1].is_nan());
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2401.04056")]
#[doc(alias = "A Minimaximalist Approach to Reinforcement Learning from Human Feedback")]
pub fn group_win_rates(groups: &Groups, mut prefer: impl FnMut(usize, usize) -> f64) -> Result<Vec<f64>> {
    let mut probs = vec![Vec::new(); groups.len()];
    for items in members(groups) {
        for (place, &i) in items.iter().enumerate() {
            for &j in &items[place + 1..] {
                let prob = prefer(i, j);
                check_units("prefer", &[prob])?;
                probs[i].push(prob);
                probs[j].push(1.0 - prob);
            }
        }
    }
    Ok(probs.iter().map(|probs| mean(&present(probs))).collect())
}

/// [`group_win_rates`] of one group from the matrix of its preferences.
///
/// `preferences`: `[G][G]`, the entry `[i][j]` the probability that `i` beats `j`, or NaN where the judgment failed;
/// the diagonal is not read. Of both orders the mean of `P_ij` and `1 − P_ji` counts, or the one that there is.
///
/// # Errors
/// A shape error naming `preferences` unless it is square; a domain error naming it for a value outside `[0, 1]`.
///
/// # Example
/// ```
/// use accordant_objectives::reward_shaping::spo::win_rates;
/// // Rock, paper, scissors: nobody is best.
/// let rates = win_rates(&[[0.5, 0.0, 1.0], [1.0, 0.5, 0.0], [0.0, 1.0, 0.5]])?;
/// assert_eq!(rates, [0.5; 3]);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2401.04056")]
pub fn win_rates(preferences: &[impl AsRef<[f64]>]) -> Result<Vec<f64>> {
    let size = preferences.len();
    for (i, row) in preferences.iter().enumerate() {
        let row = row.as_ref();
        check_len("preferences", size, row.len())?;
        check_units("preferences", &row[..i])?;
        check_units("preferences", &row[i + 1..])?;
    }
    let at = |i: usize, j: usize| preferences[i].as_ref()[j];
    group_win_rates(&Groups::new(&vec![0; size]), |i, j| mean(&present(&[at(i, j), 1.0 - at(j, i)])))
}

/// How often each response beats a queue of other responses: past samples, a reference's.
///
/// `preferences`: one row for each response, its entries the probabilities of beating each response of the queue, or
/// NaN where the judgment failed. The mean of a row; NaN of one without a judgment.
///
/// # Errors
/// A domain error naming `preferences` for a value outside `[0, 1]`.
///
/// # Example
/// ```
/// use accordant_objectives::reward_shaping::spo::win_rates_against;
/// assert_eq!(win_rates_against(&[[1.0, 0.5], [0.0, 0.25]])?, [0.75, 0.125]);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2401.04056")]
pub fn win_rates_against(preferences: &[impl AsRef<[f64]>]) -> Result<Vec<f64>> {
    let rate = |row: &[f64]| {
        check_units("preferences", row)?;
        Ok(mean(&present(row)))
    };
    preferences.iter().map(|row| rate(row.as_ref())).collect()
}

/// The preference that scores imply: 1 for the higher one, ½ for a tie, NaN where one is missing.
///
/// # Example
/// ```
/// use accordant_objectives::reward_shaping::spo::preference_by_score;
/// assert_eq!((preference_by_score(2.0, 1.0), preference_by_score(1.0, 1.0)), (1.0, 0.5));
/// ```
pub fn preference_by_score(score: f64, other: f64) -> f64 {
    use std::cmp::Ordering::{Equal, Greater, Less};
    match score.partial_cmp(&other) {
        Some(Greater) => 1.0,
        Some(Equal) => 0.5,
        Some(Less) => 0.0,
        None => f64::NAN,
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;
    use crate::reward_shaping::values::tests::{assert_close, message};

    #[test]
    fn win_rates_by_hand() {
        let nan = f64::NAN;
        // Both orders: (0.8 + 1 − 0.4)/2 = 0.7 for 0 over 1; 0 over 2 judged in one order, 0.25; 1 over 2 not at all.
        let matrix = [[nan, 0.8, nan], [0.4, 7.0, nan], [0.75, nan, nan]];
        assert_close(&win_rates(&matrix).unwrap(), &[(0.7 + 0.25) / 2.0, 0.3, 0.75], 1e-15);
        assert!(win_rates(&[[0.5]]).unwrap()[0].is_nan());
        assert!(win_rates(&[[0.0; 0]; 0]).unwrap().is_empty());
        assert_close(&win_rates_against(&[vec![1.0, nan, 0.5], vec![nan], vec![]]).unwrap(), &[0.75, nan, nan], 0.0);
    }

    #[test]
    fn each_pair_of_a_group_is_judged_once_and_no_other() {
        let mut asked = Vec::new();
        let rates = group_win_rates(&Groups::new(&[0, 1, 0, 1, 0]), |i, j| {
            asked.push((i, j));
            if (i, j) == (2, 4) { f64::NAN } else { 0.75 }
        });
        assert_eq!(asked, [(0, 2), (0, 4), (2, 4), (1, 3)]);
        assert_close(&rates.unwrap(), &[0.75, 0.75, 0.25, 0.25, 0.25], 0.0);
    }

    #[test]
    fn scores_by_hand() {
        assert_eq!((preference_by_score(0.0, 1.0), preference_by_score(-0.0, 0.0)), (0.0, 0.5));
        assert!(preference_by_score(f64::NAN, 1.0).is_nan() && preference_by_score(1.0, f64::NAN).is_nan());
    }

    #[test]
    fn what_is_no_probability_is_refused_by_name() {
        let expected = "`preferences`: expected in [0, 1], or NaN where missing, got 1.5";
        assert_eq!(message(win_rates(&[[0.5, 1.5], [0.5, 0.5]])), expected);
        assert_eq!(message(win_rates(&[[0.5, 0.5], [1.5, 0.5]])), expected);
        assert_eq!(message(win_rates_against(&[[1.5]])), expected);
        assert_eq!(message(win_rates(&[[0.5, 0.5]])), "`preferences`: expected shape [1], got [2]");
        let error = message(group_win_rates(&Groups::new(&[0, 0]), |_, _| -1.0));
        assert_eq!(error, "`prefer`: expected in [0, 1], or NaN where missing, got -1");
    }

    proptest! {
        #[test]
        fn the_mean_over_a_group_is_one_half(probs in vec(0.0..1.0, 16), size in 2_usize..5) {
            let matrix: Vec<&[f64]> = probs.chunks(4).take(size).map(|row| &row[..size]).collect();
            let rates = win_rates(&matrix).unwrap();
            prop_assert!((rates.iter().sum::<f64>() / size as f64 - 0.5).abs() < 1e-12);
            if size == 2 {
                prop_assert!((rates[0] + rates[1] - 1.0).abs() < 1e-15);
            }
        }

        #[test]
        fn of_scores_only_the_order_matters(scores in vec(-3_i8..3, 2..7)) {
            let rates = |value: &dyn Fn(i8) -> f64| {
                let groups = Groups::new(&vec![(); scores.len()]);
                group_win_rates(&groups, |i, j| preference_by_score(value(scores[i]), value(scores[j]))).unwrap()
            };
            prop_assert_eq!(rates(&|score| f64::from(score)), rates(&|score| f64::from(score).exp()));
        }
    }
}
