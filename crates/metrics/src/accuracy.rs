//! Pairwise accuracy: how often the chosen response outscores the rejected one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::compare::{Counts, compare};
use crate::error::{Error, Result, check_len};
use crate::estimate::Estimate;
use crate::interval::wilson;

/// What a pair of equal scores counts as. Serialized in lower case: `"wrong"`, `"half"`, `"exclude"`, `"right"`.
///
/// [`Wrong`](Self::Wrong) is the default, as in reward-model benchmarks: a model that scores everything alike gets 0.
/// Training logs (`rewards/accuracies`) use [`Half`](Self::Half): before the first update a policy equals its reference,
/// every implicit reward is 0, and the accuracy that says so is 0.5.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TiePolicy {
    /// A tie counts 0.
    #[default]
    Wrong,
    /// A tie counts 0.5.
    Half,
    /// A tie counts nowhere: the accuracy is that of the other pairs, and `n` their number.
    Exclude,
    /// A tie counts 1.
    Right,
}

/// The share of pairs ranked right, and how many of the pairs were ties.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PairAccuracy {
    /// The share, from 0 to 1, with its Wilson interval; its `n` leaves ties out under [`TiePolicy::Exclude`] only.
    pub accuracy: Estimate,
    /// The number of pairs whose scores are equal, whatever they counted as.
    pub ties: usize,
}

/// The share of pairs whose chosen response has the higher score.
///
/// ```text
/// (#{chosen > rejected} + credit · #{chosen = rejected}) / n
/// ```
///
/// Item *i* of both slices is one pair; scores may have any unit and offset, because only their order within a pair
/// counts. A tie is exact equality, and `ties` says what credit it gets.
///
/// # Errors
/// [`Error::LengthMismatch`] if `rejected` is not as long as `chosen`, [`Error::Empty`] without pairs,
/// [`Error::NonFinite`] at the first NaN or infinity, [`Error::AllTied`] if [`TiePolicy::Exclude`] leaves no pair.
///
/// # Example
/// ```
/// use accordant_metrics::{TiePolicy, pair_accuracy};
/// // Right, tied, wrong, right.
/// let (chosen, rejected) = ([1.0, 0.5, 0.2, 0.7], [0.3, 0.5, 0.6, 0.1]);
/// let result = pair_accuracy(&chosen, &rejected, TiePolicy::Half)?;
/// assert_eq!((result.accuracy.value, result.ties), (2.5 / 4.0, 1));
/// # Ok::<(), accordant_metrics::Error>(())
/// ```
#[doc(alias = "reward accuracy")]
#[doc(alias = "ranking accuracy")]
#[doc(alias = "RewardBench")]
pub fn pair_accuracy(chosen: &[f64], rejected: &[f64], ties: TiePolicy) -> Result<PairAccuracy> {
    let counts: Counts = compare(("chosen", chosen), ("rejected", rejected))?.collect();
    accuracy_of(counts, ties)?.ok_or(Error::AllTied { ties: counts.ties })
}

/// [`pair_accuracy`] of each group apart: by subset, language, annotator or anything else with a name.
///
/// Item *i* of `groups` names the group of pair *i*. The result holds the groups that occur, sorted by name.
///
/// # Errors
/// As [`pair_accuracy`], and [`Error::LengthMismatch`] if `groups` is not as long as `chosen`; a group that
/// [`TiePolicy::Exclude`] leaves without a pair is [`Error::GroupAllTied`].
///
/// # Example
/// ```
/// use accordant_metrics::{TiePolicy, group_accuracy};
/// let groups = ["chat", "math", "chat"];
/// let by_group = group_accuracy(&[1.0, 1.0, 0.0], &[0.0, 0.0, 1.0], &groups, TiePolicy::Wrong)?;
/// assert_eq!(by_group["chat"].accuracy.value, 0.5);
/// assert_eq!(by_group["math"].accuracy.value, 1.0);
/// # Ok::<(), accordant_metrics::Error>(())
/// ```
pub fn group_accuracy<G: AsRef<str>>(
    chosen: &[f64],
    rejected: &[f64],
    groups: &[G],
    ties: TiePolicy,
) -> Result<BTreeMap<String, PairAccuracy>> {
    let outcomes = compare(("chosen", chosen), ("rejected", rejected))?;
    check_len("groups", groups.len(), "chosen", chosen.len())?;
    let mut counts = BTreeMap::<&str, Counts>::new();
    for (group, outcome) in groups.iter().zip(outcomes) {
        counts.entry(group.as_ref()).or_default().add(outcome);
    }
    let accuracy = |(group, counts): (&str, Counts)| match accuracy_of(counts, ties)? {
        Some(accuracy) => Ok((group.to_string(), accuracy)),
        None => Err(Error::GroupAllTied { group: group.to_string(), ties: counts.ties }),
    };
    counts.into_iter().map(accuracy).collect()
}

/// `None` if the policy leaves no pair.
fn accuracy_of(counts: Counts, policy: TiePolicy) -> Result<Option<PairAccuracy>> {
    let Counts { wins, ties, losses } = counts;
    let (credit, n) = match policy {
        TiePolicy::Wrong => (0.0, counts.total()),
        TiePolicy::Half => (0.5, counts.total()),
        TiePolicy::Exclude => (0.0, wins + losses),
        TiePolicy::Right => (1.0, counts.total()),
    };
    if n == 0 {
        return Ok(None);
    }
    Ok(Some(PairAccuracy { accuracy: wilson(wins as f64 + credit * ties as f64, n)?, ties }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const POLICIES: [TiePolicy; 4] = [TiePolicy::Wrong, TiePolicy::Half, TiePolicy::Exclude, TiePolicy::Right];

    #[test]
    fn golden_tie_policies() {
        let (chosen, rejected) = ([1.0, 0.5, 0.2, 0.7], [0.3, 0.5, 0.6, 0.1]);
        for (policy, value, n) in [
            (TiePolicy::Wrong, 0.5, 4),
            (TiePolicy::Half, 0.625, 4),
            (TiePolicy::Exclude, 2.0 / 3.0, 3),
            (TiePolicy::Right, 0.75, 4),
        ] {
            let result = pair_accuracy(&chosen, &rejected, policy).unwrap();
            assert_eq!((result.accuracy.value, result.accuracy.n, result.ties), (value, n, 1), "{policy:?}");
        }
    }

    /// The Wilson interval of 60 in 100.
    #[test]
    fn golden_interval_of_an_accuracy() {
        let chosen: Vec<f64> = (0..100).map(|i| if i < 60 { 1.0 } else { -1.0 }).collect();
        let accuracy = pair_accuracy(&chosen, &[0.0; 100], TiePolicy::Wrong).unwrap().accuracy;
        assert!((accuracy.low - 0.5020025868).abs() < 5e-11);
        assert!((accuracy.high - 0.6905987136).abs() < 5e-11);
    }

    #[test]
    fn ties_are_wrong_unless_said_otherwise() {
        assert_eq!(TiePolicy::default(), TiePolicy::Wrong);
    }

    #[test]
    fn constant_scores_are_all_ties() {
        let scores = [2.0; 3];
        for (policy, value) in [(TiePolicy::Wrong, 0.0), (TiePolicy::Half, 0.5), (TiePolicy::Right, 1.0)] {
            let result = pair_accuracy(&scores, &scores, policy).unwrap();
            assert_eq!((result.accuracy.value, result.ties), (value, 3));
        }
        assert_eq!(pair_accuracy(&scores, &scores, TiePolicy::Exclude), Err(Error::AllTied { ties: 3 }));
    }

    #[test]
    fn one_pair_has_an_interval_of_finite_width() {
        let accuracy = pair_accuracy(&[1.0], &[0.0], TiePolicy::Wrong).unwrap().accuracy;
        assert_eq!((accuracy.value, accuracy.high, accuracy.n), (1.0, 1.0, 1));
        // 1 / (1 + z²) = 1 / 4.8415.
        assert!((accuracy.low - 0.20655).abs() < 1e-5);
    }

    #[test]
    fn zero_and_minus_zero_are_a_tie() {
        assert_eq!(pair_accuracy(&[0.0], &[-0.0], TiePolicy::Half).unwrap().ties, 1);
    }

    #[test]
    fn no_pairs_are_an_error() {
        for policy in POLICIES {
            assert_eq!(pair_accuracy(&[], &[], policy), Err(Error::Empty { name: "chosen" }));
            assert_eq!(group_accuracy::<&str>(&[], &[], &[], policy), Err(Error::Empty { name: "chosen" }));
        }
    }

    #[test]
    fn unequal_lengths_are_an_error() {
        let error = pair_accuracy(&[1.0, 2.0], &[1.0], TiePolicy::Wrong).unwrap_err();
        assert_eq!(error, Error::LengthMismatch { name: "rejected", other: "chosen", expected: 2, got: 1 });
        let error = group_accuracy(&[1.0, 2.0], &[1.0, 0.0], &["chat"], TiePolicy::Wrong).unwrap_err();
        assert_eq!(error, Error::LengthMismatch { name: "groups", other: "chosen", expected: 2, got: 1 });
    }

    #[test]
    fn a_score_that_is_not_finite_is_named_by_its_index() {
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let error = pair_accuracy(&[0.0, bad], &[0.0, 0.0], TiePolicy::Wrong).unwrap_err();
            assert!(matches!(error, Error::NonFinite { name: "chosen", index: 1, .. }), "{error}");
            // Counted over all pairs, not within the group.
            let error = group_accuracy(&[0.0; 2], &[0.0, bad], &["a", "b"], TiePolicy::Wrong).unwrap_err();
            assert!(matches!(error, Error::NonFinite { name: "rejected", index: 1, .. }), "{error}");
        }
    }

    #[test]
    fn a_group_of_ties_alone_is_named_when_ties_are_excluded() {
        let groups = ["chat".to_string(), "math".to_string(), "math".to_string()];
        let error = group_accuracy(&[1.0, 2.0, 3.0], &[0.0, 2.0, 3.0], &groups, TiePolicy::Exclude).unwrap_err();
        assert_eq!(error, Error::GroupAllTied { group: "math".to_string(), ties: 2 });
    }

    #[test]
    fn policies_and_results_survive_json() {
        let names = serde_json::to_string(&POLICIES).unwrap();
        assert_eq!(names, r#"["wrong","half","exclude","right"]"#);
        assert_eq!(serde_json::from_str::<[TiePolicy; 4]>(&names).unwrap(), POLICIES);
        // Binary fractions: serde_json reads others back one unit off in the last place, unless its feature says not to.
        let result = PairAccuracy { accuracy: Estimate { value: 0.75, low: 0.25, high: 0.875, n: 2 }, ties: 1 };
        let json = serde_json::to_string(&result).unwrap();
        assert_eq!(serde_json::from_str::<PairAccuracy>(&json).unwrap(), result);
    }

    /// Whole scores, so that ties occur and a whole shift is exact.
    fn pairs() -> impl Strategy<Value = Vec<(i32, i32)>> {
        prop::collection::vec((-3..=3, -3..=3), 1..40)
    }

    fn scores(pairs: &[(i32, i32)], shift: i32) -> (Vec<f64>, Vec<f64>) {
        pairs.iter().map(|(chosen, rejected)| (f64::from(chosen + shift), f64::from(rejected + shift))).unzip()
    }

    proptest! {
        #[test]
        fn neither_order_nor_a_shift_changes_the_accuracy(
            (original, shuffled) in pairs().prop_flat_map(|pairs| (Just(pairs.clone()), Just(pairs).prop_shuffle())),
            shift in -100..100,
        ) {
            let (chosen, rejected) = scores(&original, 0);
            for (other_chosen, other_rejected) in [scores(&shuffled, 0), scores(&original, shift)] {
                for policy in POLICIES {
                    prop_assert_eq!(
                        pair_accuracy(&chosen, &rejected, policy),
                        pair_accuracy(&other_chosen, &other_rejected, policy)
                    );
                }
            }
        }

        #[test]
        fn one_group_of_all_pairs_has_their_accuracy(pairs in pairs()) {
            let (chosen, rejected) = scores(&pairs, 0);
            let groups = vec!["all"; pairs.len()];
            let by_group = group_accuracy(&chosen, &rejected, &groups, TiePolicy::Half).unwrap();
            prop_assert_eq!(by_group.len(), 1);
            prop_assert_eq!(by_group["all"], pair_accuracy(&chosen, &rejected, TiePolicy::Half).unwrap());
        }

        #[test]
        fn groups_weighted_by_their_size_give_the_whole(pairs in pairs()) {
            let (chosen, rejected) = scores(&pairs, 0);
            let groups: Vec<String> = (0..pairs.len()).map(|i| (i % 3).to_string()).collect();
            let whole = pair_accuracy(&chosen, &rejected, TiePolicy::Half).unwrap();
            let by_group = group_accuracy(&chosen, &rejected, &groups, TiePolicy::Half).unwrap();
            let right: f64 = by_group.values().map(|group| group.accuracy.value * group.accuracy.n as f64).sum();
            prop_assert!((right / pairs.len() as f64 - whole.accuracy.value).abs() < 1e-12);
            prop_assert_eq!(by_group.values().map(|group| group.ties).sum::<usize>(), whole.ties);
        }
    }
}
