//! Win rate: how often one policy's responses are rewarded above another's.

use serde::{Deserialize, Serialize};

use crate::compare::{Counts, compare};
use crate::error::Result;
use crate::estimate::Estimate;
use crate::interval::wilson;

/// A win rate and the counts behind it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct WinRate {
    /// (wins + ties / 2) / n, from 0 to 1, with its Wilson interval.
    pub rate: Estimate,
    /// Items where ours is the higher reward.
    pub wins: usize,
    /// Items where the rewards are equal.
    pub ties: usize,
    /// Items where ours is the lower reward.
    pub losses: usize,
}

/// The share of items that `ours` wins against `theirs`, a tie counting a half.
///
/// ```text
/// (wins + ties / 2) / n
/// ```
///
/// Item *i* of both slices is the reward of one policy's response to the same prompt, from the same judge. Only their
/// order counts, so any unit and any offset per prompt will do. A tie is exact equality; a policy against itself gets
/// 0.5, and swapping the sides gives one minus the rate. Averaged soft preferences are a
/// [`mean`](crate::interval::mean()), not this.
///
/// # Errors
/// [`LengthMismatch`](crate::Error::LengthMismatch) if `theirs` is not as long as `ours`, [`Empty`](crate::Error::Empty)
/// without items, [`NonFinite`](crate::Error::NonFinite) at the first NaN or infinity.
///
/// # Example
/// ```
/// use accordant_metrics::win_rate;
/// // Two wins, a tie, a loss.
/// let result = win_rate(&[2.0, 3.0, 1.0, 0.0], &[1.0, 1.0, 1.0, 1.0])?;
/// assert_eq!((result.wins, result.ties, result.losses), (2, 1, 1));
/// assert_eq!(result.rate.value, 2.5 / 4.0);
/// # Ok::<(), accordant_metrics::Error>(())
/// ```
#[doc(alias = "adjusted win rate")]
#[doc(alias = "discrete win rate")]
#[doc(alias = "AlpacaEval")]
pub fn win_rate(ours: &[f64], theirs: &[f64]) -> Result<WinRate> {
    let counts: Counts = compare(("ours", ours), ("theirs", theirs))?.collect();
    let Counts { wins, ties, losses } = counts;
    Ok(WinRate { rate: wilson(wins as f64 + ties as f64 / 2.0, counts.total())?, wins, ties, losses })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::accuracy::{TiePolicy, pair_accuracy};
    use crate::error::Error;

    /// The discrete win rates of public AlpacaEval annotation files, from their numbers of wins, losses and ties.
    #[test]
    fn golden_discrete_win_rates() {
        for (model, percent, wins, losses, ties) in [
            ("claude-2.1", 14.409938, 115, 688, 2),
            ("NullModel", 83.975155, 676, 129, 0),
            ("alpaca-7b_concise", 1.990050, 15, 787, 2),
            ("gpt4_1106_preview", 50.0, 0, 0, 805),
        ] {
            let ours: Vec<f64> = [vec![1.0; wins], vec![-1.0; losses], vec![0.0; ties]].concat();
            let result = win_rate(&ours, &vec![0.0; ours.len()]).unwrap();
            assert!((100.0 * result.rate.value - percent).abs() < 5e-7, "{model}: {}", result.rate.value);
            assert_eq!((result.wins, result.losses, result.ties), (wins, losses, ties), "{model}");
            assert_eq!(result.rate.n, ours.len(), "{model}");
        }
    }

    #[test]
    fn a_policy_against_itself_ties_everywhere() {
        let rewards = [0.1, -3.0, 7.5];
        let result = win_rate(&rewards, &rewards).unwrap();
        assert_eq!((result.rate.value, result.wins, result.ties, result.losses), (0.5, 0, 3, 0));
    }

    #[test]
    fn one_item_has_an_interval_inside_the_unit_interval() {
        let result = win_rate(&[1.0], &[0.0]).unwrap();
        assert_eq!((result.rate.value, result.rate.high, result.rate.n), (1.0, 1.0, 1));
        assert!(result.rate.low > 0.0);
    }

    #[test]
    fn no_items_are_an_error() {
        assert_eq!(win_rate(&[], &[]), Err(Error::Empty { name: "ours" }));
    }

    #[test]
    fn unequal_lengths_are_an_error() {
        let error = win_rate(&[1.0], &[1.0, 2.0]).unwrap_err();
        assert_eq!(error, Error::LengthMismatch { name: "theirs", other: "ours", expected: 1, got: 2 });
        let error = win_rate(&[1.0], &[]).unwrap_err();
        assert_eq!(error, Error::LengthMismatch { name: "theirs", other: "ours", expected: 1, got: 0 });
    }

    #[test]
    fn a_reward_that_is_not_finite_is_named_by_its_index() {
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let error = win_rate(&[bad, 0.0], &[0.0, 0.0]).unwrap_err();
            assert!(matches!(error, Error::NonFinite { name: "ours", index: 0, .. }), "{error}");
            let error = win_rate(&[0.0, 0.0], &[0.0, bad]).unwrap_err();
            assert!(matches!(error, Error::NonFinite { name: "theirs", index: 1, .. }), "{error}");
        }
    }

    #[test]
    fn a_win_rate_survives_json() {
        let rate = Estimate { value: 0.75, low: 0.25, high: 0.875, n: 2 };
        let result = WinRate { rate, wins: 1, ties: 1, losses: 0 };
        let json = serde_json::to_string(&result).unwrap();
        assert_eq!(serde_json::from_str::<WinRate>(&json).unwrap(), result);
    }

    /// Whole rewards, so that ties occur and a whole shift is exact.
    fn items() -> impl Strategy<Value = Vec<(i32, i32)>> {
        prop::collection::vec((-3..=3, -3..=3), 1..40)
    }

    fn rewards(items: &[(i32, i32)], shift: i32) -> (Vec<f64>, Vec<f64>) {
        items.iter().map(|(ours, theirs)| (f64::from(ours + shift), f64::from(theirs + shift))).unzip()
    }

    proptest! {
        #[test]
        fn swapping_the_sides_gives_one_minus_the_rate(items in items()) {
            let (ours, theirs) = rewards(&items, 0);
            let (result, swapped) = (win_rate(&ours, &theirs).unwrap(), win_rate(&theirs, &ours).unwrap());
            prop_assert!((result.rate.value + swapped.rate.value - 1.0).abs() < 1e-15);
            prop_assert!((result.rate.low + swapped.rate.high - 1.0).abs() < 1e-14);
            prop_assert_eq!((result.wins, result.ties, result.losses), (swapped.losses, swapped.ties, swapped.wins));
        }

        #[test]
        fn neither_order_nor_a_shift_changes_the_rate(
            (original, shuffled) in items().prop_flat_map(|items| (Just(items.clone()), Just(items).prop_shuffle())),
            shift in -100..100,
        ) {
            let (ours, theirs) = rewards(&original, 0);
            for (other_ours, other_theirs) in [rewards(&shuffled, 0), rewards(&original, shift)] {
                prop_assert_eq!(win_rate(&ours, &theirs), win_rate(&other_ours, &other_theirs));
            }
        }

        #[test]
        fn it_is_the_pair_accuracy_that_counts_ties_a_half(items in items()) {
            let (ours, theirs) = rewards(&items, 0);
            let accuracy = pair_accuracy(&ours, &theirs, TiePolicy::Half).unwrap().accuracy;
            prop_assert_eq!(win_rate(&ours, &theirs).unwrap().rate, accuracy);
        }
    }
}
