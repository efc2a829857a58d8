//! Conversions between kinds of records.
//!
//! | from | to | conversion | loses |
//! |---|---|---|---|
//! | [`Comparison`](crate::record::Comparison) | [`Pair`](crate::record::Pair) | [`orient`](mod@orient) | ties, as the policy says |
//! | `Comparison` with a judge of both orders | `Comparison` | [`both_orders`](mod@both_orders) | which order said what |
//! | `Pair` | `Comparison` | [`pair_to_comparison`](mod@pair_to_comparison) | nothing |
//! | `Pair` | [`Unpaired`](crate::record::Unpaired) | [`pair_to_unpaired`](mod@pair_to_unpaired) | that the label was relative |
//! | `Pair` | [`Sft`](crate::record::Sft) | [`pair_to_sft`](mod@pair_to_sft) | the rejected side |
//! | `Unpaired` | `Pair` | [`unpaired_to_pairs`](mod@unpaired_to_pairs) | nothing without a cap |
//! | [`Stepwise`](crate::record::Stepwise) | `Unpaired`, `Sft` | [`stepwise`](mod@stepwise) | which step was wrong |
//! | [`StepPair`](crate::record::StepPair) | `Pair` | [`step_pair_to_pair`](mod@step_pair_to_pair) | nothing |
//! | [`Edit`](crate::record::Edit) | `Pair`, `Unpaired` | [`edit`](mod@edit) | nothing |
//!
//! Rankings, ratings and trees become pairs by the schemes of curation; implicit prompts are in [`crate::layout`]. What a
//! kind does not have a field for goes to `meta` under its name. Each conversion returns records and a
//! [`ConversionReport`] in which no input is lost.

pub mod both_orders;
pub mod edit;
#[cfg(test)]
mod laws;
pub mod orient;
pub mod pair_to_comparison;
pub mod pair_to_sft;
pub mod pair_to_unpaired;
pub mod step_pair_to_pair;
pub mod stepwise;
pub mod unpaired_to_pairs;

use std::{collections::BTreeMap, fmt};

use serde::Serialize;
use serde_json::{Map, Value};

use crate::{
    code::Warning,
    record::{Envelope, Message, RecordType, Role, Text},
    report::Reason,
};

pub use {
    both_orders::both_orders,
    edit::edit_to_pair,
    orient::{MarginFrom, OrientOptions, TiePolicy, orient},
    pair_to_comparison::{SideRule, pair_to_comparison},
    pair_to_sft::pair_to_sft,
    pair_to_unpaired::{UnpairOptions, pair_to_unpaired},
    step_pair_to_pair::step_pair_to_pair,
    stepwise::{StepRule, stepwise_to_sft, stepwise_to_unpaired},
    unpaired_to_pairs::unpaired_to_pairs,
};

/// What a conversion did with its inputs. Displays as a small table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ConversionReport {
    /// The conversion, such as `orient`.
    pub conversion: &'static str,
    /// Records given.
    pub inputs: usize,
    /// Records that went into an output.
    pub converted: usize,
    /// Records made.
    pub outputs: usize,
    /// Records that went into none, by reason: a word such as `tie`, or a code.
    pub dropped: BTreeMap<&'static str, usize>,
    /// Parts of converted records that went into no output, by reason.
    pub left_out: BTreeMap<&'static str, usize>,
    /// Converted records that are odd, by warning.
    pub warnings: BTreeMap<Warning, usize>,
    /// Whether the converted inputs can be made again of the outputs.
    pub lossless: bool,
}

impl ConversionReport {
    pub(crate) fn new(conversion: &'static str, lossless: bool) -> Self {
        Self { conversion, lossless, ..Self::default() }
    }

    /// Records dropped, all reasons together.
    pub fn total_dropped(&self) -> usize {
        self.dropped.values().sum()
    }

    /// Whether no input was lost: `inputs = converted + dropped`. True of every report that a conversion returns.
    pub fn is_conserved(&self) -> bool {
        self.converted + self.total_dropped() == self.inputs
    }

    pub(crate) fn drop_one(&mut self, reason: &'static str) {
        *self.dropped.entry(reason).or_default() += 1;
    }

    pub(crate) fn leave_out(&mut self, reason: &'static str) {
        *self.left_out.entry(reason).or_default() += 1;
    }
}

impl fmt::Display for ConversionReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} of {} converted", self.conversion, self.converted, self.inputs)?;
        write!(f, " to {}{}", self.outputs, if self.lossless { "" } else { ", lossy" })?;
        let dropped = self.dropped.iter().map(|(name, n)| (*name, n, "  dropped"));
        let left_out = self.left_out.iter().map(|(name, n)| (*name, n, "  left out"));
        let warnings = self.warnings.iter().map(|(warning, n)| (warning.as_str(), n, ""));
        dropped.chain(left_out).chain(warnings).try_for_each(|(name, n, note)| write!(f, "\n{name}  {n}{note}"))
    }
}

/// Why a record goes into no output: a word, or the code of a reason.
pub(crate) struct Drop(pub &'static str);

impl From<Reason> for Drop {
    fn from(reason: Reason) -> Self {
        Self(reason.code.as_str())
    }
}

/// Converts record by record. An output that does not hold together is dropped under its code with its input.
pub(crate) fn each<A, B: RecordType>(
    mut report: ConversionReport,
    inputs: impl IntoIterator<Item = A>,
    mut convert: impl FnMut(A, &mut ConversionReport) -> Result<Vec<B>, Drop>,
) -> (Vec<B>, ConversionReport) {
    let mut records = Vec::new();
    for input in inputs {
        report.inputs += 1;
        let made = convert(input, &mut report).and_then(|made| {
            made.iter().try_for_each(RecordType::check)?;
            Ok(made)
        });
        match made {
            Ok(made) => {
                report.converted += 1;
                report.outputs += made.len();
                records.extend(made);
            }
            Err(Drop(reason)) => report.drop_one(reason),
        }
    }
    (records, report)
}

/// Puts what has no field into `meta`, unless it is empty or the name is taken.
pub(crate) fn keep(meta: &mut Map<String, Value>, name: &str, value: impl Serialize) {
    let value = serde_json::to_value(value).unwrap_or_default();
    let empty = match &value {
        Value::Null => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    };
    if !empty && !meta.contains_key(name) {
        meta.insert(name.to_owned(), value);
    }
}

/// The envelope of one of several records made of one.
pub(crate) fn part_of(envelope: &Envelope, part: &str) -> Envelope {
    let id = if envelope.id.is_empty() { String::new() } else { format!("{}/{part}", envelope.id) };
    Envelope { id, ..envelope.clone() }
}

/// A completion in the form of its prompt: as it is, or as the assistant's message.
pub(crate) fn completion_like(prompt: &Text, completion: String) -> Text {
    match prompt {
        Text::Plain(_) => completion.into(),
        Text::Messages(_) => vec![Message::new(Role::Assistant, completion)].into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_counts_every_input_and_is_a_table() {
        let mut report = ConversionReport::new("orient", false);
        (report.inputs, report.converted, report.outputs) = (4, 2, 3);
        assert!(!report.is_conserved());
        report.drop_one("tie");
        report.drop_one("tie");
        report.leave_out("low");
        report.warnings.insert(Warning::Unpair, 2);
        assert!(report.is_conserved());
        let table = "orient: 2 of 4 converted to 3, lossy\ntie  2  dropped\nlow  1  left out\nW_UNPAIR  2";
        assert_eq!(report.to_string(), table);
    }

    #[test]
    fn what_is_empty_or_taken_is_not_put_into_meta() {
        let mut meta = Map::new();
        keep(&mut meta, "a", 1);
        keep(&mut meta, "a", 2);
        keep(&mut meta, "b", None::<i32>);
        keep(&mut meta, "c", Vec::<i32>::new());
        keep(&mut meta, "d", Map::new());
        assert_eq!(Value::Object(meta), serde_json::json!({"a": 1}));
    }
}
