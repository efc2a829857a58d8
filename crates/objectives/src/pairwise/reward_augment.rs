//! Reward-augmented data: rated pairs under the goal that each member reaches.
//!
//! **Paper:** Reward-Augmented Data Enhances Direct Preference Alignment of LLMs (2024), 2410.08067.
//! **Use when:** responses have scores: a good rejected response is not unlearned, a poor chosen one not imitated.
//! **Checked by:** hand-worked pairs.
//! **Deviations:** a tie is an error: under one goal it would ask for both orders.

use accordant_ops::check_domain;

use crate::Result;

/// A pair whose members have scores. `P` is a prompt and `R` a response: texts, messages, token ids.
#[derive(Debug, Clone, PartialEq)]
pub struct RatedPair<P, R> {
    /// The prompt.
    pub prompt: P,
    /// The preferred response.
    pub chosen: R,
    /// The other.
    pub rejected: R,
    /// The score of the preferred response, finite.
    pub chosen_score: f64,
    /// The score of the other, finite.
    pub rejected_score: f64,
}

/// A pair under a goal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoalPair<P, R> {
    /// The prompt with the goal.
    pub prompt: P,
    /// The response that comes nearer to it.
    pub chosen: R,
    /// The other.
    pub rejected: R,
}

/// The two pairs that a rated one becomes: under the goal of the chosen score the chosen response wins, under that of the
/// rejected score the rejected one does. Any pairwise method trains on them; at inference the goal is the best score.
///
/// `with_goal` writes a score into a prompt: "Give a response of quality 7 out of 10" before it, say.
///
/// # Errors
/// A domain error naming `chosen_score` or `rejected_score` unless both are finite and differ.
///
/// # Example
/// ```
/// use accordant_objectives::pairwise::reward_augment::{RatedPair, reward_augment};
/// let pair = RatedPair { prompt: "Why?", chosen: "Because.", rejected: "No.", chosen_score: 8.0, rejected_score: 3.0 };
/// let [first, second] = reward_augment(&pair, |prompt, score| format!("[quality {score}] {prompt}"))?;
/// assert_eq!((first.prompt.as_str(), first.chosen), ("[quality 8] Why?", "Because."));
/// assert_eq!((second.prompt.as_str(), second.chosen), ("[quality 3] Why?", "No."));
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2410.08067")]
#[doc(alias = "Reward-Augmented Data Enhances Direct Preference Alignment of LLMs")]
pub fn reward_augment<P, Q, R: Clone>(
    pair: &RatedPair<P, R>,
    with_goal: impl Fn(&P, f64) -> Q,
) -> Result<[GoalPair<Q, R>; 2]> {
    let RatedPair { prompt, chosen, rejected, chosen_score, rejected_score } = pair;
    check_domain(chosen_score.is_finite(), "chosen_score", "finite", *chosen_score)?;
    check_domain(rejected_score.is_finite(), "rejected_score", "finite", *rejected_score)?;
    check_domain(chosen_score != rejected_score, "rejected_score", "other than `chosen_score`", *rejected_score)?;
    let goal = |score: f64, chosen: &R, rejected: &R| GoalPair {
        prompt: with_goal(prompt, score),
        chosen: chosen.clone(),
        rejected: rejected.clone(),
    };
    Ok([goal(*chosen_score, chosen, rejected), goal(*rejected_score, rejected, chosen)])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rated(chosen_score: f64, rejected_score: f64) -> RatedPair<u8, char> {
        RatedPair { prompt: 1, chosen: 'w', rejected: 'l', chosen_score, rejected_score }
    }

    #[test]
    fn each_member_wins_under_its_own_score() {
        let pairs = reward_augment(&rated(0.5, -2.0), |prompt, score| (*prompt, score.to_string())).unwrap();
        let of = |score: &str, chosen, rejected| GoalPair { prompt: (1, score.to_owned()), chosen, rejected };
        assert_eq!(pairs, [of("0.5", 'w', 'l'), of("-2", 'l', 'w')]);
    }

    #[test]
    fn scores_that_say_nothing_are_refused_by_name() {
        let fail = |w, l| reward_augment(&rated(w, l), |prompt, _| *prompt).unwrap_err().to_string();
        for bad in [f64::NAN, f64::INFINITY] {
            assert_eq!(fail(bad, 1.0), format!("`chosen_score`: expected finite, got {bad}"));
            assert_eq!(fail(1.0, bad), format!("`rejected_score`: expected finite, got {bad}"));
        }
        assert_eq!(fail(1.0, 1.0), "`rejected_score`: expected other than `chosen_score`, got 1");
    }
}
