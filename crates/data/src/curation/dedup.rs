//! Exact duplicates.
//!
//! **Use when:** always, first: a record that occurs ten times is trained on ten times, and leaks into every split.
//! **Deviations:** none; what is nearly the same is for [`near_duplicates`](super::near_duplicates), and the same pair
//! with the other label for [`contradictions`](super::contradictions).

use std::collections::HashMap;

use serde::Serialize;
use serde_json::Value;

use super::{
    access::{HasPrompt, HasTexts},
    column::Column,
    keys::Key,
    operator::{Curated, Operator, options_of, sift},
};
use crate::Result;

/// Keeps one record of each key; the others go under `duplicate`.
///
/// Which one stays: the one with the largest priority, of equal ones the first. Figures: `duplicate_share` and
/// `largest_group`.
#[derive(Debug, Clone, Serialize)]
#[serde(bound = "")]
pub struct Dedup<T> {
    /// What is compared. Default: prompt and responses.
    pub key: Key,
    /// Records of larger numbers stay; a record without one comes last. Default: none, the first stays.
    pub priority: Option<Column<T>>,
}

impl<T> Default for Dedup<T> {
    fn default() -> Self {
        Self { key: Key::Record, priority: None }
    }
}

impl<T: HasPrompt + HasTexts> Operator<T> for Dedup<T> {
    type Out = T;

    fn name(&self) -> &'static str {
        "dedup"
    }

    fn options(&self) -> Value {
        options_of(self)
    }

    fn apply(&self, records: Vec<T>, seed: u64) -> Result<Curated<T>> {
        let mut groups: HashMap<[u8; 32], Vec<usize>> = HashMap::new();
        for (place, record) in records.iter().enumerate() {
            groups.entry(self.key.hash(record)).or_default().push(place);
        }
        let mut reasons = vec![Some("duplicate"); records.len()];
        for group in groups.values() {
            for kept in first_by_priority(group, &records, self.priority.as_ref()).into_iter().take(1) {
                reasons[kept] = None;
            }
        }
        let count = records.len() as f64;
        let mut curated = sift(self, records, seed, reasons);
        curated.report.set_figure("duplicate_share", Some(curated.dropped.len() as f64 / count));
        let largest = groups.values().map(Vec::len).max();
        curated.report.set_figure("largest_group", largest.map(|len| len as f64));
        Ok(curated)
    }
}

/// The places of a group, largest priority first, then the order of the input; without a priority, last.
pub(super) fn first_by_priority<T>(group: &[usize], records: &[T], priority: Option<&Column<T>>) -> Vec<usize> {
    let number = |place: usize| priority.and_then(|column| column.number(&records[place])).unwrap_or(f64::NEG_INFINITY);
    let mut keyed: Vec<(f64, usize)> = group.iter().map(|&place| (number(place), place)).collect();
    keyed.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    keyed.into_iter().map(|(_, place)| place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::curation::testing::{pair, prompts, scored};

    #[test]
    fn d34_duplicates_go_and_are_counted() {
        let records = vec![pair("a"), pair("b"), pair("a "), pair("a")];
        let curated = Dedup::default().apply(records, 0).unwrap();
        assert_eq!(prompts(&curated.records), ["a", "b"]);
        assert_eq!((curated.report.dropped["duplicate"], curated.dropped[0].index), (2, 2));
        assert_eq!(curated.report.figure("duplicate_share"), Some(0.5));
        assert_eq!(curated.report.figure("largest_group"), Some(3.0));
        let nothing = Dedup::<crate::Pair>::default().apply(vec![], 0).unwrap().report;
        assert_eq!((nothing.figure("duplicate_share"), nothing.figure("largest_group")), (None, None));
    }

    #[test]
    fn the_record_of_the_largest_priority_stays_and_of_equal_ones_the_first() {
        let records = vec![pair("a"), scored("a", 1.0, 0.0), scored("a", 2.0, 0.0), scored("a", 2.0, 1.0)];
        let dedup = Dedup { key: Key::Prompt, priority: Some(Column::score_chosen()) };
        let curated = dedup.apply(records, 0).unwrap();
        let kept: Vec<_> = curated.dropped.iter().map(|dropped| dropped.index).collect();
        assert_eq!(kept, [0, 1, 3]);
        assert_eq!(curated.report.options["key"], "prompt");
    }
}
