//! Sparse-regularized group policy optimization (SRPO): partial credit, and a bonus for rare successes.
//!
//! **Paper:** Generative Reasoning Recommendation via LLMs (2025), 2510.20815.
//! **Status:** our reading of the abstract, which names both parts and gives no formula. Not to be taken for the
//! authors'.
//! **Use when:** a policy generates item ids token by token and is seldom right as a whole.
//! **Checked by:** hand-worked values, properties under proptest.
//! **Deviations:** see the status.

use accordant_ops::{check_domain, groups::Groups};

use super::values::{check_len, check_non_negative, check_rewards, check_verdicts, mean, members, present_of};
use crate::Result;

/// The share of an item's id that was generated before the first mistake, in `[0, 1]`.
///
/// ```text
/// r = longest common prefix of predicted and target / length of target
/// ```
///
/// 1 where `predicted` starts with the whole of `target`, whatever follows.
///
/// # Errors
/// A domain error naming `target` when it is empty.
///
/// # Example
/// ```
/// use accordant_objectives::reward_shaping::srpo::prefix_credit;
/// assert_eq!(prefix_credit(&["shoes", "red", "44"], &["shoes", "red", "43", "new"])?, 0.5);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2510.20815")]
#[doc(alias = "Generative Reasoning Recommendation via LLMs")]
pub fn prefix_credit<T: PartialEq>(predicted: &[T], target: &[T]) -> Result<f64> {
    check_domain(!target.is_empty(), "target", "at least one token", 0.0)?;
    let right = predicted.iter().zip(target).take_while(|(predicted, target)| predicted == target).count();
    Ok(right as f64 / target.len() as f64)
}

/// Advantages with a bonus for successes, the larger the rarer they are in their group.
///
/// ```text
/// A_i ← A_i + b (1 − p_g) 1[success_i],   p_g = the share of successes in the group
/// ```
///
/// `advantages`: one for each item of `groups`; NaN stays NaN. `successes`: 1 or 0 for each, or NaN where unknown,
/// which is no part of the share and gets no bonus. `bonus` (b): finite and ≥ 0. A group of successes alone gets none.
///
/// # Errors
/// A shape error naming `advantages` or `successes`; a domain error naming `advantages` for infinite ones, `successes`
/// or `bonus`.
///
/// # Example
/// ```
/// use accordant_objectives::reward_shaping::srpo::rare_success_advantages;
/// use accordant_ops::groups::Groups;
/// let groups = Groups::new(&[0; 4]);
/// // One success of four.
/// let advantages = rare_success_advantages(&groups, &[1.5, -0.5, -0.5, -0.5], &[1.0, 0.0, 0.0, 0.0], 2.0)?;
/// assert_eq!(advantages, [3.0, -0.5, -0.5, -0.5]);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2510.20815")]
pub fn rare_success_advantages(groups: &Groups, advantages: &[f64], successes: &[f64], bonus: f64) -> Result<Vec<f64>> {
    check_len("advantages", groups.len(), advantages.len())?;
    check_rewards("advantages", advantages)?;
    check_len("successes", groups.len(), successes.len())?;
    check_verdicts("successes", successes)?;
    check_non_negative("bonus", bonus)?;
    let mut raised = advantages.to_vec();
    for items in members(groups) {
        let share = mean(&present_of(successes, &items));
        for item in items.into_iter().filter(|&item| successes[item] == 1.0) {
            raised[item] += bonus * (1.0 - share);
        }
    }
    Ok(raised)
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*, sample::select};

    use super::*;
    use crate::reward_shaping::values::tests::{assert_close, message};

    #[test]
    fn prefixes_by_hand() {
        let credit = |predicted: &[u8]| prefix_credit(predicted, &[1, 2, 3, 4]).unwrap();
        assert_eq!((credit(&[1, 2, 3, 4]), credit(&[1, 2, 3, 4, 5]), credit(&[])), (1.0, 1.0, 0.0));
        // Nothing after the first mistake counts.
        assert_eq!((credit(&[1, 2, 3]), credit(&[1, 0, 3, 4]), credit(&[0, 2, 3, 4])), (0.75, 0.25, 0.0));
        assert_eq!(message(prefix_credit::<u8>(&[1], &[])), "`target`: expected at least one token, got 0");
    }

    #[test]
    fn bonuses_by_hand() {
        let nan = f64::NAN;
        let groups = Groups::new(&['a', 'b', 'a', 'b', 'a', 'a', 'c']);
        let successes = [1.0, 1.0, 0.0, 1.0, nan, 0.0, 0.0];
        // One of three known in a, all of b.
        let advantages = rare_success_advantages(&groups, &[1.0, 1.0, 0.5, nan, 0.5, -1.0, 2.0], &successes, 3.0);
        assert_close(&advantages.unwrap(), &[3.0, 1.0, 0.5, nan, 0.5, -1.0, 2.0], 1e-15);
    }

    #[test]
    fn what_does_not_fit_is_refused_by_name() {
        let fail = |advantages: &[f64], successes: &[f64], bonus| {
            message(rare_success_advantages(&Groups::new(&[0]), advantages, successes, bonus))
        };
        assert_eq!(fail(&[], &[1.0], 1.0), "`advantages`: expected shape [1], got [0]");
        assert_eq!(fail(&[1.0], &[], 1.0), "`successes`: expected shape [1], got [0]");
        assert!(fail(&[f64::INFINITY], &[1.0], 1.0).starts_with("`advantages`"));
        assert!(fail(&[1.0], &[0.5], 1.0).starts_with("`successes`"));
        assert!(fail(&[1.0], &[1.0], -1.0).starts_with("`bonus`"));
    }

    proptest! {
        #[test]
        fn only_successes_gain_and_the_rarer_the_more(
            successes in vec(select(vec![0.0, 1.0]), 2..8), bonus in 0.1..2.0,
        ) {
            let (groups, advantages) = (Groups::new(&vec![0; successes.len()]), vec![0.0; successes.len()]);
            let gains = rare_success_advantages(&groups, &advantages, &successes, bonus).unwrap();
            let failures = successes.iter().filter(|success| **success == 0.0).count();
            let expected = bonus * failures as f64 / successes.len() as f64;
            for (gain, success) in gains.iter().zip(&successes) {
                prop_assert!((gain - expected * success).abs() < 1e-12);
            }
        }
    }
}
