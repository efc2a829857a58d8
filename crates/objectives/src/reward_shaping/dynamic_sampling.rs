//! Dynamic sampling (DAPO): groups whose rewards are all equal are sampled anew.
//!
//! **Paper:** DAPO: An Open-Source LLM Reinforcement Learning System at Scale (2025), 2503.14476, section 3.2.
//! **Use when:** many prompts are solved always or never: their advantages are 0, and batches shrink silently.
//! **Checked by:** hand-worked groups, [`GroupStats::is_constant`](accordant_ops::groups::GroupStats::is_constant)
//! under proptest.
//! **Deviations:** equality is that of the advantages of this library, to 1e-8 of the mean; the paper's is an accuracy
//! of exactly 0 or 1.

use accordant_ops::groups::{CONSTANT_SPREAD, Groups};

use super::values::{check_len, check_rewards, mean, members, present_of};
use crate::Result;

/// Which groups say something, made by [`dynamic_sampling`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DynamicSample {
    /// For each item, whether its group is kept.
    pub keep: Vec<bool>,
    /// The numbers of the other groups, ascending: their prompts are to be replaced or sampled anew.
    pub dropped_groups: Vec<usize>,
}

/// Drops the groups whose present rewards are all equal: the largest is less than `1e-8 · max(1, |mean|)` above the
/// smallest.
///
/// `rewards`: one for each item of `groups`, as the verifier gave them: shaped by length ([`super::overlong`]), a group
/// that always succeeds looks uneven. Missing rewards are left out; a group with one present reward or none is dropped.
/// An item whose own reward is missing stays with its group: its advantage is 0.
///
/// `dropped_groups.len()` over the number of groups is what is logged as `frac_zero_std_groups`.
///
/// # Errors
/// A shape error naming `rewards`; a domain error naming it for infinite ones.
///
/// # Example
/// ```
/// use accordant_objectives::reward_shaping::dynamic_sampling::dynamic_sampling;
/// use accordant_ops::groups::Groups;
/// let groups = Groups::new(&["a", "b", "a", "b"]);
/// let sample = dynamic_sampling(&groups, &[1.0, 0.0, 1.0, 1.0])?;
/// assert_eq!(sample.keep, [false, true, false, true]);
/// assert_eq!(sample.dropped_groups, [0]);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2503.14476")]
#[doc(alias = "DAPO: An Open-Source LLM Reinforcement Learning System at Scale")]
#[doc(alias = "frac_zero_std_groups")]
pub fn dynamic_sampling(groups: &Groups, rewards: &[f64]) -> Result<DynamicSample> {
    check_len("rewards", groups.len(), rewards.len())?;
    check_rewards("rewards", rewards)?;
    let kept: Vec<bool> = members(groups).iter().map(|items| !is_constant(&present_of(rewards, items))).collect();
    Ok(DynamicSample {
        keep: groups.numbers().iter().map(|&number| kept[number]).collect(),
        dropped_groups: (0..kept.len()).filter(|&number| !kept[number]).collect(),
    })
}

/// Whether there is nothing to tell apart.
fn is_constant(rewards: &[f64]) -> bool {
    let low = rewards.iter().copied().fold(f64::INFINITY, f64::min);
    let high = rewards.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    rewards.is_empty() || high - low < CONSTANT_SPREAD * mean(rewards).abs().max(1.0)
}

#[cfg(test)]
mod tests {
    use burn::tensor::{DType, Device, Tensor, TensorData};
    use proptest::{collection::vec, prelude::*, sample::select};

    use super::*;
    use crate::reward_shaping::values::tests::message;

    #[test]
    fn groups_by_hand() {
        let nan = f64::NAN;
        // Uneven; even but for a missing reward; one present; none present; alone.
        let groups = Groups::new(&[4, 7, 4, 7, 7, 1, 1, 9, 2]);
        let sample = dynamic_sampling(&groups, &[0.0, 0.5, 1.0, nan, 0.5, nan, 3.0, nan, 1.0]).unwrap();
        assert_eq!(sample.keep, [true, false, true, false, false, false, false, false, false]);
        assert_eq!(sample.dropped_groups, [1, 2, 3, 4]);
        // A missing reward in an uneven group.
        let sample = dynamic_sampling(&Groups::new(&[0, 0, 0]), &[1.0, nan, 0.0]).unwrap();
        assert_eq!((sample.keep, sample.dropped_groups), (vec![true; 3], vec![]));
        let sample = dynamic_sampling(&Groups::new::<u8>(&[]), &[]).unwrap();
        assert_eq!((sample.keep, sample.dropped_groups), (vec![], vec![]));
    }

    #[test]
    fn rounding_is_not_a_difference() {
        let keeps = |rewards: [f64; 2]| dynamic_sampling(&Groups::new(&[0, 0]), &rewards).unwrap().keep[0];
        assert!(!keeps([0.1 + 0.2, 0.3]) && !keeps([1e9, 1e9 + 1.0]) && !keeps([-1e9, -1e9 + 1.0]));
        assert!(keeps([0.0, 1e-8]) && keeps([1e9, 1e9 + 100.0]) && keeps([-1e9, -1e9 + 100.0]));
    }

    #[test]
    fn what_does_not_fit_is_refused_by_name() {
        let groups = Groups::new(&[0, 0]);
        assert_eq!(message(dynamic_sampling(&groups, &[1.0])), "`rewards`: expected shape [2], got [1]");
        assert!(message(dynamic_sampling(&groups, &[1.0, f64::INFINITY])).starts_with("`rewards`"));
    }

    proptest! {
        #[test]
        fn it_drops_the_groups_that_have_no_advantage(
            items in vec((0_u8..4, select(vec![0.0, 1.0, 1.0 + 1e-9, 1e9, f64::NAN])), 1..12),
        ) {
            let (ids, rewards): (Vec<u8>, Vec<f64>) = items.into_iter().unzip();
            let groups = Groups::new(&ids);
            let data = TensorData::new(rewards.clone(), [rewards.len()]);
            let tensor = Tensor::<1>::from_data(data, (&Device::flex(), DType::F64));
            let present = tensor.clone().is_nan().bool_not();
            let constant = groups.masked_stats(tensor, present).unwrap().is_constant();
            let keep: Vec<bool> = constant.bool_not().into_data().iter::<bool>().collect();
            prop_assert_eq!(dynamic_sampling(&groups, &rewards).unwrap().keep, keep);
        }
    }
}
