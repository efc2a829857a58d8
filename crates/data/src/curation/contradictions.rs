//! Contradictions: the same two responses to the same prompt, preferred one way here and the other way there.
//!
//! **Use when:** several annotators labeled the same pairs, and each label became a record.
//! **Deviations:** none; duplicates that agree are for [`dedup`](super::dedup), which comes after this.

use std::collections::HashMap;

use serde::Serialize;
use serde_json::Value;

use super::{
    keys::Key,
    operator::{Curated, Operator, Verdict, options_of},
};
use crate::{
    Pair, Result,
    record::{Comparison, Record, comparison::Votes},
};

/// What becomes of pairs that contradict each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OnContradiction {
    /// They become one comparison with their votes, in place of the first of them.
    #[default]
    Merge,
    /// They go, under `contradiction`.
    Drop,
    /// They stay, and are counted.
    Keep,
}

/// Finds pairs with the same prompt and the same two texts of which some prefer one and some the other.
///
/// Pairs of one orientation only are left alone. Texts are compared in NFC and with white space collapsed. Counts:
/// `contradictions`, the groups, and `contradicting_pairs`. Under [`OnContradiction::Merge`] the comparison's `a` is
/// the first pair's chosen side; id, prompt and the rest are the first pair's, and all pairs of a group count as
/// converted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Contradictions {
    /// What becomes of them. Default: merged.
    pub action: OnContradiction,
}

impl Operator<Pair> for Contradictions {
    type Out = Record;

    fn name(&self) -> &'static str {
        "contradictions"
    }

    fn options(&self) -> Value {
        options_of(self)
    }

    fn apply(&self, records: Vec<Pair>, seed: u64) -> Result<Curated<Pair, Record>> {
        let mut groups: HashMap<[u8; 32], Vec<usize>> = HashMap::new();
        let mut sides: Vec<[u8; 32]> = Vec::with_capacity(records.len());
        for (place, pair) in records.iter().enumerate() {
            groups.entry(Key::Unordered.hash(pair)).or_default().push(place);
            sides.push(Key::Record.hash(pair));
        }
        // For each pair that contradicts another: the first of its group, and whether it agrees with that one.
        let mut contradicts: Vec<Option<(usize, bool)>> = vec![None; records.len()];
        let mut votes: HashMap<usize, (u64, u64)> = HashMap::new();
        for group in groups.values() {
            let first = group[0];
            let agree = group.iter().filter(|&&place| sides[place] == sides[first]).count();
            if agree < group.len() {
                group.iter().for_each(|&place| contradicts[place] = Some((first, sides[place] == sides[first])));
                votes.insert(first, (agree as u64, (group.len() - agree) as u64));
            }
        }
        let mut curated = Curated::new(self, seed);
        curated.report.add_many("contradictions", votes.len());
        curated.report.add_many("contradicting_pairs", contradicts.iter().flatten().count());
        for (place, (pair, contradiction)) in records.into_iter().zip(contradicts).enumerate() {
            curated.push(match (contradiction, self.action) {
                (None, _) | (_, OnContradiction::Keep) => Verdict::Keep(pair.into()),
                (Some(_), OnContradiction::Drop) => Verdict::Drop(pair, "contradiction"),
                (Some((first, _)), OnContradiction::Merge) if first == place => {
                    let (n_a, n_b) = votes.get(&first).copied().unwrap_or_default();
                    Verdict::Keep(merged(pair, n_a, n_b).into())
                }
                (Some(_), OnContradiction::Merge) => Verdict::Many(Vec::new()),
            });
        }
        Ok(curated)
    }
}

fn merged(pair: Pair, n_a: u64, n_b: u64) -> Comparison {
    let votes = Votes { n_a, n_b, ..Votes::default() };
    Comparison {
        votes: Some(votes),
        a_source: pair.chosen_source,
        b_source: pair.rejected_source,
        criteria: pair.criteria,
        envelope: pair.envelope,
        ..Comparison::unchecked(pair.prompt, pair.chosen, pair.rejected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::curation::{HasId, HasTexts, Preference};

    fn pairs() -> Vec<Pair> {
        let pair = |prompt: &str, chosen: &str, rejected: &str| Pair::new(prompt, chosen, rejected).unwrap();
        let mut pairs = vec![
            pair("q", "x", "y"),
            pair("p", "x", "y"),
            pair("q ", "y", "x"),
            pair("q", "x", "y "),
            pair("p", "x", "y"),
        ];
        pairs[0].set_id("first".into());
        pairs
    }

    fn apply(action: OnContradiction) -> Curated<Pair, Record> {
        let curated = Contradictions { action }.apply(pairs(), 0).unwrap();
        assert!(curated.report.is_conserved());
        assert_eq!((curated.report.count("contradictions"), curated.report.count("contradicting_pairs")), (1, 3));
        curated
    }

    #[test]
    fn d34_contradicting_pairs_become_one_comparison_with_votes() {
        let curated = apply(OnContradiction::Merge);
        let [Record::Comparison(merged), Record::Pair(one), Record::Pair(_)] = &curated.records[..] else {
            panic!("a comparison and two pairs, found {:?}", curated.records)
        };
        let votes = merged.votes.as_ref().unwrap();
        assert_eq!((votes.n_a, votes.n_b, merged.a.as_plain(), merged.id()), (2, 1, Some("x"), "first"));
        assert!((merged.p_a().unwrap().unwrap() - 2.0 / 3.0).abs() < 1e-15);
        assert_eq!(one.prompt.as_plain(), Some("p"), "agreeing duplicates are no contradiction");
        assert_eq!((curated.report.inputs, curated.report.converted, curated.report.outputs), (5, 5, 3));
        assert_eq!(merged.responses().len(), 2);
    }

    #[test]
    fn contradicting_pairs_can_go_or_stay() {
        let curated = apply(OnContradiction::Drop);
        assert_eq!((curated.records.len(), curated.report.dropped["contradiction"]), (2, 3));
        assert_eq!(apply(OnContradiction::Keep).records.len(), 5);
    }
}
