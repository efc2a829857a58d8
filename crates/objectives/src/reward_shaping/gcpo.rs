//! Group contrastive preference optimization (GCPO): how often a scorer's samples put a pair in the right order.
//!
//! **Paper:** Leveraging Verifier-Based Reinforcement Learning in Image Editing (2026), 2604.27505.
//! **Status:** our reading of the abstract: win ratios of sampled scores across a pair; the paper's weighting of
//! advantages is not covered.
//! **Use when:** a scorer that reasons is trained on preferences: it is sampled several times on the preferred response
//! and several times on the other, and each sample needs a reward.
//! **Checked by:** hand-worked values, properties under proptest.
//! **Deviations:** see the status.

use super::{
    spo::{preference_by_score, win_rates_against},
    values::check_rewards,
};
use crate::Result;

/// Rewards of the scores sampled for a pair, made by [`gcpo_rewards`]. Each side is a group of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct GcpoRewards {
    /// One for each score of the preferred response.
    pub winners: Vec<f64>,
    /// One for each score of the other.
    pub losers: Vec<f64>,
}

/// The share of the other side's scores with which each score is in the right order.
///
/// ```text
/// r^w_i = mean_j 1[s^w_i > s^l_j]
/// r^l_j = mean_i 1[s^l_j < s^w_i]         ties ½
/// ```
///
/// `winner_scores`, `loser_scores`: finite, or NaN where the scorer's answer could not be read: such a score has a
/// missing reward and is nobody's opponent. Rewards without an opponent are missing. The mean is the same on both
/// sides: how often the pair is put in order.
///
/// # Errors
/// A domain error naming `winner_scores` or `loser_scores` for infinite ones.
///
/// # Example
/// ```
/// use accordant_objectives::reward_shaping::gcpo::gcpo_rewards;
/// let rewards = gcpo_rewards(&[5.0, 3.0], &[3.0, 2.0])?;
/// assert_eq!(rewards.winners, [1.0, 0.75]); // the 3 ties with one and beats the other
/// assert_eq!(rewards.losers, [0.75, 1.0]);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2604.27505")]
#[doc(alias = "Leveraging Verifier-Based Reinforcement Learning in Image Editing")]
pub fn gcpo_rewards(winner_scores: &[f64], loser_scores: &[f64]) -> Result<GcpoRewards> {
    check_rewards("winner_scores", winner_scores)?;
    check_rewards("loser_scores", loser_scores)?;
    let ordered = |winner: &f64, loser: &f64| preference_by_score(*winner, *loser);
    let of_winner = |winner| loser_scores.iter().map(|loser| ordered(winner, loser)).collect::<Vec<_>>();
    let of_loser = |loser| winner_scores.iter().map(|winner| ordered(winner, loser)).collect::<Vec<_>>();
    Ok(GcpoRewards {
        winners: win_rates_against(&winner_scores.iter().map(of_winner).collect::<Vec<_>>())?,
        losers: win_rates_against(&loser_scores.iter().map(of_loser).collect::<Vec<_>>())?,
    })
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;
    use crate::reward_shaping::values::tests::{assert_close, message};

    #[test]
    fn values_by_hand() {
        let nan = f64::NAN;
        let rewards = gcpo_rewards(&[1.0, nan, 4.0], &[2.0, 0.0, nan, 4.0]).unwrap();
        assert_close(&rewards.winners, &[1.0 / 3.0, nan, 2.5 / 3.0], 1e-15);
        assert_close(&rewards.losers, &[0.5, 1.0, nan, 0.25], 1e-15);
        let alone = gcpo_rewards(&[1.0], &[]).unwrap();
        assert!(alone.winners[0].is_nan() && alone.losers.is_empty());
    }

    #[test]
    fn infinite_scores_are_refused_by_name() {
        assert!(message(gcpo_rewards(&[f64::INFINITY], &[0.0])).starts_with("`winner_scores`"));
        assert!(message(gcpo_rewards(&[0.0], &[f64::INFINITY])).starts_with("`loser_scores`"));
    }

    proptest! {
        #[test]
        fn both_sides_have_the_mean_of_the_win_rate(winners in vec(0_u8..5, 1..6), losers in vec(0_u8..5, 1..6)) {
            let scores = |side: &[u8]| side.iter().map(|score| f64::from(*score)).collect::<Vec<_>>();
            let rewards = gcpo_rewards(&scores(&winners), &scores(&losers)).unwrap();
            let mean = |side: &[f64]| side.iter().sum::<f64>() / side.len() as f64;
            prop_assert!((mean(&rewards.winners) - mean(&rewards.losers)).abs() < 1e-12);
            // Exchanged, the pair is in order as often as it was not.
            let turned = gcpo_rewards(&scores(&losers), &scores(&winners)).unwrap();
            prop_assert!((mean(&turned.winners) - (1.0 - mean(&rewards.winners))).abs() < 1e-12);
        }
    }
}
