//! Records for the tests of operators.

use std::collections::BTreeMap;

use super::access::{Candidates, HasId, HasPrompt, HasRatings, HasTexts};
use crate::{Pair, report::Reason, text::Text};

/// A pair of `good` and `bad` answers to a prompt.
pub(super) fn pair(prompt: &str) -> Pair {
    Pair::new(prompt, "good", "bad").unwrap()
}

/// The same with scores.
pub(super) fn scored(prompt: &str, chosen: f64, rejected: f64) -> Pair {
    let mut pair = pair(prompt);
    (pair.score_chosen, pair.score_rejected) = (Some(chosen), Some(rejected));
    pair
}

/// The prompts of pairs.
pub(super) fn prompts(pairs: &[Pair]) -> Vec<&str> {
    pairs.iter().map(|pair| pair.prompt.as_plain().unwrap()).collect()
}

/// A prompt with answers `answer 0`, `answer 1` and so on.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct List {
    pub id: String,
    pub prompt: Text,
    pub completions: Vec<Text>,
    pub ranks: Option<Vec<u32>>,
    pub scores: Option<Vec<f64>>,
    pub ratings: Vec<BTreeMap<String, f64>>,
}

impl List {
    pub(super) fn scored(prompt: &str, scores: &[f64]) -> Self {
        let completions = (0..scores.len()).map(|i| Text::from(format!("answer {i}"))).collect();
        let (id, scores) = (prompt.to_owned(), Some(scores.to_vec()));
        Self { id, prompt: prompt.into(), completions, ranks: None, scores, ratings: Vec::new() }
    }
}

impl HasId for List {
    fn id(&self) -> &str {
        &self.id
    }
}

impl HasPrompt for List {
    fn prompt(&self) -> &Text {
        &self.prompt
    }
}

impl HasTexts for List {
    fn responses(&self) -> Vec<&Text> {
        self.completions.iter().collect()
    }
}

impl Candidates for List {
    fn ranks(&self) -> Option<Vec<u32>> {
        self.ranks.clone()
    }

    fn scores(&self) -> Option<Vec<f64>> {
        self.scores.clone()
    }

    fn pair(&self, chosen: usize, rejected: usize) -> Result<Pair, Reason> {
        Pair::new(self.prompt.clone(), self.completions[chosen].clone(), self.completions[rejected].clone())
    }
}

impl HasRatings for List {
    fn ratings(&self) -> Vec<BTreeMap<String, f64>> {
        self.ratings.clone()
    }

    fn overall(&self) -> Vec<Option<f64>> {
        self.scores.iter().flatten().map(|score| Some(*score)).collect()
    }
}
