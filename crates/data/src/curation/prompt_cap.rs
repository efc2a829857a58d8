//! A cap on the records of one prompt.
//!
//! **Use when:** a few prompts of a set have so many records that training is about them.

use std::collections::HashMap;

use serde::Serialize;
use serde_json::Value;

use super::{
    access::{HasPrompt, HasTexts},
    column::Column,
    dedup::first_by_priority,
    keys::Key,
    numbers::check_domain,
    operator::{Curated, Operator, options_of, sift},
};
use crate::Result;

/// Keeps at most so many records of a prompt; the others go under `prompt_cap`.
///
/// Which ones stay: those with the largest priorities, of equal ones the first. Prompts are compared in NFC and with
/// each run of white space as one space. Counts: `capped_prompts`.
#[derive(Debug, Clone, Serialize)]
#[serde(bound = "")]
pub struct PromptCap<T> {
    /// The most records of a prompt, at least 1.
    pub max_per_prompt: usize,
    /// Records of larger numbers stay; a record without one comes last. Default: none, the first ones stay.
    pub priority: Option<Column<T>>,
}

impl<T> PromptCap<T> {
    /// The first `max_per_prompt` stay.
    pub fn new(max_per_prompt: usize) -> Self {
        Self { max_per_prompt, priority: None }
    }
}

impl<T: HasPrompt + HasTexts> Operator<T> for PromptCap<T> {
    type Out = T;

    fn name(&self) -> &'static str {
        "prompt_cap"
    }

    fn options(&self) -> Value {
        options_of(self)
    }

    fn check(&self) -> Result<()> {
        check_domain(self.max_per_prompt > 0, "max_per_prompt", "at least 1", self.max_per_prompt as f64)
    }

    fn apply(&self, records: Vec<T>, seed: u64) -> Result<Curated<T>> {
        self.check()?;
        let mut prompts: HashMap<[u8; 32], Vec<usize>> = HashMap::new();
        for (place, record) in records.iter().enumerate() {
            prompts.entry(Key::Prompt.hash(record)).or_default().push(place);
        }
        let mut reasons = vec![None; records.len()];
        let mut capped = 0;
        for group in prompts.values() {
            let order = first_by_priority(group, &records, self.priority.as_ref());
            let over = order.get(self.max_per_prompt..).unwrap_or_default();
            over.iter().for_each(|&place| reasons[place] = Some("prompt_cap"));
            capped += usize::from(!over.is_empty());
        }
        let mut curated = sift(self, records, seed, reasons);
        curated.report.add_many("capped_prompts", capped);
        Ok(curated)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::curation::testing::{pair, prompts, scored};

    #[test]
    fn prompts_keep_their_first_records_or_their_best() {
        let records = vec![pair("a"), pair("b"), pair("a"), pair(" a"), pair("b")];
        let curated = PromptCap::new(2).apply(records, 0).unwrap();
        assert_eq!(prompts(&curated.records), ["a", "b", "a", "b"]);
        assert_eq!((curated.report.dropped["prompt_cap"], curated.report.count("capped_prompts")), (1, 1));
        let records = vec![scored("a", 1.0, 0.0), scored("a", 3.0, 0.0), scored("a", 2.0, 0.0)];
        let best = PromptCap { priority: Some(Column::score_chosen()), ..PromptCap::new(1) };
        assert_eq!(best.apply(records, 0).unwrap().records, [scored("a", 3.0, 0.0)]);
        let error = PromptCap::<crate::Pair>::new(0).apply(vec![], 0).unwrap_err();
        assert_eq!(error.to_string(), "`max_per_prompt`: expected at least 1, got 0");
    }
}
