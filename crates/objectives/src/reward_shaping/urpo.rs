//! Unified reward and policy optimization (URPO): rewards of a model that answers and judges.
//!
//! **Paper:** URPO: A Unified Reward & Policy Optimization Framework for Large Language Models (2025), 2507.17515.
//! **Status:** our reading of the abstract and of summaries. Ours are the treatment of ties and the scale of
//! self-rewards.
//! **Use when:** one model is trained on verifiable tasks (its reward is their correctness), on preferences (it scores
//! the candidates: [`order_reward`], [`kendall_tau`]) and on open-ended prompts (it scores its own answers:
//! [`self_rewards`]).
//! **Checked by:** hand-worked values, properties under proptest.
//! **Deviations:** see the status.

use accordant_ops::groups::Groups;

use super::{
    min_max::Extremes,
    spo::preference_by_score,
    values::{check_len, check_rewards, mean, members, present},
};
use crate::Result;

/// Kendall's rank correlation of the model's scores of candidates with their true order, as the reward of the scoring.
///
/// ```text
/// τ = mean over pairs with truth_i > truth_j of sign(score_i − score_j)
/// ```
///
/// `scores`, `truth`: one number for each candidate of a prompt, larger is better; NaN where missing, which leaves the
/// candidate out. In `[−1, 1]`: 1 for the true order, −1 for its reverse. Candidates that are truly equal say nothing;
/// equal scores of unequal ones count 0. NaN when nothing can be compared.
///
/// # Errors
/// A shape error naming `truth`; a domain error naming `scores` or `truth` for infinite ones.
///
/// # Example
/// ```
/// use accordant_objectives::reward_shaping::urpo::kendall_tau;
/// // Two pairs in order, one not.
/// let tau = kendall_tau(&[7.0, 9.0, 2.0], &[3.0, 2.0, 1.0])?;
/// assert!((tau - 1.0 / 3.0).abs() < 1e-15);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2507.17515")]
#[doc(alias = "URPO: A Unified Reward & Policy Optimization Framework for Large Language Models")]
pub fn kendall_tau(scores: &[f64], truth: &[f64]) -> Result<f64> {
    check_rewards("scores", scores)?;
    check_len("truth", scores.len(), truth.len())?;
    check_rewards("truth", truth)?;
    let mut signs = Vec::new();
    for (better, &score) in truth.iter().zip(scores) {
        for (worse, &other) in truth.iter().zip(scores) {
            if better > worse {
                signs.push(2.0 * preference_by_score(score, other) - 1.0);
            }
        }
    }
    Ok(mean(&present(&signs)))
}

/// Whether the scores of a pair are in the right order, 1 or 0; a tie is not. NaN where one is missing.
///
/// # Errors
/// A domain error naming `chosen_score` or `rejected_score` for an infinite one.
///
/// # Example
/// ```
/// use accordant_objectives::reward_shaping::urpo::order_reward;
/// assert_eq!((order_reward(8.0, 5.0)?, order_reward(5.0, 5.0)?), (1.0, 0.0));
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2507.17515")]
pub fn order_reward(chosen_score: f64, rejected_score: f64) -> Result<f64> {
    check_rewards("chosen_score", &[chosen_score])?;
    check_rewards("rejected_score", &[rejected_score])?;
    // A half, for a tie, down to 0; NaN stays.
    Ok(preference_by_score(chosen_score, rejected_score).floor())
}

/// Rewards that the model gives to its own responses, from 0 for the lowest score of a group to 1 for the highest.
///
/// ```text
/// r_i = (s_i − min_g) / (max_g − min_g),   ½ where max_g = min_g
/// ```
///
/// `scores` (s): the model's own score of each item of `groups`, the mean of several where it was asked several times;
/// NaN where missing, which stays NaN.
///
/// # Errors
/// A shape error naming `scores`; a domain error naming it for infinite ones.
///
/// # Example
/// ```
/// use accordant_objectives::reward_shaping::urpo::self_rewards;
/// use accordant_ops::groups::Groups;
/// let rewards = self_rewards(&Groups::new(&[0, 1, 0, 0]), &[2.0, 9.0, 6.0, 3.0])?;
/// assert_eq!(rewards, [0.0, 0.5, 1.0, 0.25]);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2507.17515")]
pub fn self_rewards(groups: &Groups, scores: &[f64]) -> Result<Vec<f64>> {
    check_len("scores", groups.len(), scores.len())?;
    check_rewards("scores", scores)?;
    let mut rewards = vec![f64::NAN; scores.len()];
    for items in members(groups) {
        let mut extremes = Extremes::default();
        items.iter().for_each(|&item| extremes.add(&[scores[item]]));
        items.iter().for_each(|&item| rewards[item] = extremes.place(scores[item]));
    }
    Ok(rewards)
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;
    use crate::reward_shaping::values::tests::{assert_close, message};

    #[test]
    fn rank_correlations_by_hand() {
        let nan = f64::NAN;
        let tau = |scores: &[f64]| kendall_tau(scores, &[4.0, 3.0, 3.0, 1.0]).unwrap();
        // Five pairs: the middle two are truly equal.
        assert_eq!((tau(&[9.0, 2.0, 5.0, 1.0]), tau(&[1.0, 2.0, 5.0, 9.0])), (1.0, -1.0));
        assert_eq!(tau(&[5.0; 4]), 0.0);
        assert!((tau(&[9.0, 9.0, 2.0, 3.0]) - 0.4).abs() < 1e-15); // 0, 1, 1, 1, −1
        assert_eq!(tau(&[nan, 2.0, 5.0, 3.0]), 0.0); // −1 and 1
        assert!(tau(&[nan, 2.0, 5.0, nan]).is_nan() && kendall_tau(&[], &[]).unwrap().is_nan());
        assert_eq!(kendall_tau(&[1.0, 2.0, 3.0], &[1.0, nan, 0.0]).unwrap(), -1.0);
    }

    #[test]
    fn orders_of_pairs_by_hand() {
        assert_eq!((order_reward(1.0, 2.0).unwrap(), order_reward(2.0, 1.0).unwrap()), (0.0, 1.0));
        assert!(order_reward(f64::NAN, 1.0).unwrap().is_nan());
    }

    #[test]
    fn self_rewards_by_hand() {
        let nan = f64::NAN;
        let groups = Groups::new(&['b', 'a', 'b', 'a', 'b', 'a', 'c']);
        let rewards = self_rewards(&groups, &[1.0, 4.0, nan, 4.0, 3.0, nan, nan]).unwrap();
        assert_close(&rewards, &[0.0, 0.5, nan, 0.5, 1.0, nan, nan], 0.0);
    }

    #[test]
    fn what_does_not_fit_is_refused_by_name() {
        let infinite = f64::INFINITY;
        assert_eq!(message(kendall_tau(&[1.0], &[])), "`truth`: expected shape [1], got [0]");
        assert!(message(kendall_tau(&[infinite], &[1.0])).starts_with("`scores`"));
        assert!(message(kendall_tau(&[1.0], &[infinite])).starts_with("`truth`"));
        assert!(message(order_reward(infinite, 1.0)).starts_with("`chosen_score`"));
        assert!(message(order_reward(1.0, infinite)).starts_with("`rejected_score`"));
        assert_eq!(message(self_rewards(&Groups::new(&[0]), &[])), "`scores`: expected shape [1], got [0]");
        assert!(message(self_rewards(&Groups::new(&[0]), &[infinite])).starts_with("`scores`"));
    }

    proptest! {
        #[test]
        fn reversed_scores_reverse_the_correlation_and_pairs_agree(
            items in vec((-5_i8..5, -5_i8..5), 2..7),
        ) {
            let numbers = items.into_iter().map(|(score, truth)| (f64::from(score), f64::from(truth)));
            let (scores, truth): (Vec<f64>, Vec<f64>) = numbers.unzip();
            let reversed: Vec<f64> = scores.iter().map(|score| -score).collect();
            let tau = kendall_tau(&scores, &truth).unwrap();
            assert_close(&[kendall_tau(&reversed, &truth).unwrap()], &[-tau], 1e-12);
            if truth[0] > truth[1] {
                let pair = kendall_tau(&scores[..2], &truth[..2]).unwrap();
                prop_assert_eq!(order_reward(scores[0], scores[1]).unwrap(), f64::from(pair == 1.0));
            }
        }
    }
}
