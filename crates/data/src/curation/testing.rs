//! Records for the tests of operators.

use super::access::Preference;
use crate::Pair;

/// A pair of `good` and `bad` answers to a prompt.
pub(super) fn pair(prompt: &str) -> Pair {
    Pair::new(prompt, "good", "bad").unwrap()
}

/// The same with scores.
pub(super) fn scored(prompt: &str, chosen: f64, rejected: f64) -> Pair {
    let mut pair = pair(prompt);
    pair.meta.insert("score_chosen".into(), chosen.into());
    pair.meta.insert("score_rejected".into(), rejected.into());
    assert_eq!(pair.scores(), Some((chosen, rejected)));
    pair
}

/// The prompts of pairs.
pub(super) fn prompts(pairs: &[Pair]) -> Vec<&str> {
    pairs.iter().map(|pair| pair.prompt.as_plain().unwrap()).collect()
}
