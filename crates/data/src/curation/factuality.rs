//! Factuality flips: what is not factual is not preferred over what is.
//!
//! **Paper:** Reducing Hallucinations in LLMs via Factuality-Aware Preference Learning (2026), 2601.03027 (F-DPO).
//! **Use when:** both sides carry a flag that tells whether they are factual, and labels sometimes prefer the other
//! one.
//! **Deviations:** none. The objective adds λ times `meta.factual_delta` as a margin.

use serde::Serialize;
use serde_json::Value;

use super::{
    access::{Preference, flip},
    operator::{Curated, Operator, OperatorReport, RecordOperator, Verdict, apply_each, options_of},
};
use crate::Result;

/// What becomes of a pair with these flags, true for factual: whether the sides are exchanged, and afterwards
/// `Δ = (chosen factual ? 1 : 0) − (rejected factual ? 1 : 0)`.
///
/// # Example
/// ```
/// use accordant_data::curation::factuality::factual_decision;
/// assert_eq!(factual_decision(false, true), (true, 1));
/// assert_eq!(factual_decision(true, true), (false, 0));
/// ```
pub const fn factual_decision(chosen: bool, rejected: bool) -> (bool, u8) {
    (!chosen && rejected, (chosen != rejected) as u8)
}

/// Exchanges the sides where only the rejected one is factual, and writes Δ into `meta.factual_delta`.
///
/// A flip is noted in `meta.relabelled` and counted under `flipped`. Records without both flags go under `unflagged`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[doc(alias = "F-DPO")]
#[doc(alias = "2601.03027")]
pub struct FactualityFlip {
    /// Whether pairs of which neither side is factual go, under `both_false`. Default: false.
    pub drop_both_false: bool,
}

impl<T: Preference> Operator<T> for FactualityFlip {
    type Out = T;

    fn name(&self) -> &'static str {
        "factuality_flip"
    }

    fn options(&self) -> Value {
        options_of(self)
    }

    fn apply(&self, records: Vec<T>, seed: u64) -> Result<Curated<T>> {
        apply_each(self, records, seed)
    }
}

impl<T: Preference> RecordOperator<T> for FactualityFlip {
    fn judge(&self, mut record: T, _seed: u64, report: &mut OperatorReport) -> Verdict<T> {
        let Some((chosen, rejected)) = record.factual() else { return Verdict::Drop(record, "unflagged") };
        if self.drop_both_false && !chosen && !rejected {
            return Verdict::Drop(record, "both_false");
        }
        let (flipped, delta) = factual_decision(chosen, rejected);
        if flipped {
            flip(&mut record, "factuality_flip");
            report.add("flipped");
        }
        record.meta_mut().insert("factual_delta".to_owned(), delta.into());
        Verdict::Keep(record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Pair, curation::testing::pair};

    fn flagged(chosen: bool, rejected: bool) -> Pair {
        Pair { chosen_factual: Some(chosen), rejected_factual: Some(rejected), ..pair("q") }
    }

    #[test]
    fn the_four_cases_of_the_specification() {
        let cases = [(true, true), (true, false), (false, true), (false, false)];
        let decisions = cases.map(|(chosen, rejected)| factual_decision(chosen, rejected));
        assert_eq!(decisions, [(false, 0), (false, 1), (true, 1), (false, 0)]);
        let records = cases.map(|(chosen, rejected)| flagged(chosen, rejected)).to_vec();
        let curated = FactualityFlip::default().apply(records.clone(), 0).unwrap();
        let deltas: Vec<_> = curated.records.iter().map(|pair| pair.envelope.meta["factual_delta"].as_u64()).collect();
        assert_eq!(deltas, [Some(0), Some(1), Some(1), Some(0)]);
        let chosen: Vec<_> = curated.records.iter().map(|pair| pair.chosen.as_plain().unwrap()).collect();
        assert_eq!(chosen, ["good", "good", "bad", "good"]);
        assert_eq!(curated.records[2].factual(), Some((true, false)), "flags go with their sides");
        assert_eq!(curated.records[2].envelope.meta["relabelled"]["operator"], "factuality_flip");
        assert_eq!(curated.report.count("flipped"), 1);
        let strict = FactualityFlip { drop_both_false: true }.apply(records, 0).unwrap();
        assert_eq!((strict.dropped[0].index, strict.report.dropped["both_false"]), (3, 1));
        assert_eq!(strict.records.len(), 3);
    }

    #[test]
    fn records_without_both_flags_are_named() {
        let half = Pair { chosen_factual: Some(true), ..pair("q") };
        let report = FactualityFlip::default().apply(vec![half, pair("q")], 0).unwrap().report;
        assert_eq!((report.dropped["unflagged"], report.outputs), (2, 0));
    }
}
