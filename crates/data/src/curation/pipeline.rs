//! Operators one after the other, with the order and all reports on record.

use std::fmt;

use serde::Serialize;

use super::operator::{Dropped, Operator, OperatorReport};
use crate::Result;

/// Records on their way through operators.
///
/// Each operator gets the pipeline's seed; one that is used again gets another seed made of it, so that two random
/// halves are not the same half, while a step that is put in elsewhere changes nobody's draws.
///
/// # Example
/// ```
/// use accordant_data::{Pair, curation::{Column, Pipeline, dedup::Dedup, margin_filter::MarginFilter}};
/// let pair = |prompt: &str, margin| Pair { margin: Some(margin), ..Pair::new(prompt, "good", "bad").unwrap() };
/// let records = vec![pair("p", 0.2), pair("q", 0.7), pair("q", 0.7)];
/// let (kept, report) = Pipeline::new(records, 7)
///     .then(&Dedup::default())?
///     .then(&MarginFilter { min_margin: Some(0.5), ..MarginFilter::new(Column::margin()) })?
///     .finish();
/// assert_eq!(kept.len(), 1);
/// assert_eq!(report.to_string(), "\
/// operator       in  out  dropped
/// dedup           3    2  duplicate 1
/// margin_filter   2    1  small_margin 1");
/// # Ok::<(), accordant_data::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Pipeline<T> {
    records: Vec<T>,
    report: PipelineReport,
}

impl<T> Pipeline<T> {
    /// Starts with these records.
    pub fn new(records: Vec<T>, seed: u64) -> Self {
        Self { records, report: PipelineReport { seed, steps: Vec::new() } }
    }

    /// Applies an operator. What it drops is counted and forgotten.
    ///
    /// # Errors
    /// Those of the operator.
    pub fn then<O: Operator<T> + ?Sized>(self, operator: &O) -> Result<Pipeline<O::Out>> {
        self.then_keeping(operator, &mut Vec::new())
    }

    /// Applies an operator; what it drops is put into `dropped`.
    ///
    /// # Errors
    /// Those of the operator.
    pub fn then_keeping<O: Operator<T> + ?Sized>(
        mut self,
        operator: &O,
        dropped: &mut Vec<Dropped<T>>,
    ) -> Result<Pipeline<O::Out>> {
        let before = self.report.steps.iter().filter(|step| step.operator == operator.name()).count();
        // An odd constant, so that no two uses share a seed.
        let seed = self.report.seed.wrapping_add((before as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let curated = operator.apply(self.records, seed)?;
        debug_assert!(curated.report.is_conserved(), "each input is converted or dropped");
        dropped.extend(curated.dropped);
        self.report.steps.push(curated.report);
        Ok(Pipeline { records: curated.records, report: self.report })
    }

    /// The records as they are now.
    pub fn records(&self) -> &[T] {
        &self.records
    }

    /// The reports so far.
    pub fn report(&self) -> &PipelineReport {
        &self.report
    }

    /// The records and the reports.
    pub fn finish(self) -> (Vec<T>, PipelineReport) {
        (self.records, self.report)
    }
}

/// What each operator of a pipeline did, in order. Displays as one table.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PipelineReport {
    /// The pipeline's seed.
    pub seed: u64,
    /// The operators' reports.
    pub steps: Vec<OperatorReport>,
}

impl PipelineReport {
    /// Whether no operator lost a record, and each got what the one before it gave.
    pub fn is_conserved(&self) -> bool {
        let handed_on = self.steps.windows(2).all(|two| two[0].outputs == two[1].inputs);
        handed_on && self.steps.iter().all(OperatorReport::is_conserved)
    }
}

impl fmt::Display for PipelineReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rows = vec![["operator", "in", "out", "dropped"].map(str::to_owned)];
        rows.extend(self.steps.iter().map(OperatorReport::cells));
        let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
        let (name_len, in_len, out_len) = (width(0), width(1), width(2));
        for (i, [name, inputs, outputs, dropped]) in rows.iter().enumerate() {
            let start = if i > 0 { "\n" } else { "" };
            let line = format!("{name:name_len$}  {inputs:>in_len$}  {outputs:>out_len$}  {dropped}");
            write!(f, "{start}{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::curation::operator::{Curated, sift};

    /// Drops what is below the limit, and remembers its seed.
    struct AtLeast(u64);

    impl Operator<u64> for AtLeast {
        type Out = u64;

        fn name(&self) -> &'static str {
            "at_least"
        }

        fn options(&self) -> Value {
            json!({"limit": self.0})
        }

        fn apply(&self, records: Vec<u64>, seed: u64) -> Result<Curated<u64>> {
            let reasons = records.iter().map(|&x| (x < self.0).then_some("small")).collect();
            Ok(sift(self, records, seed, reasons))
        }
    }

    #[test]
    fn the_order_of_operators_their_options_and_their_seeds_are_on_record() {
        let mut dropped = Vec::new();
        let pipeline = Pipeline::new(vec![1, 5, 9], 3).then_keeping(&AtLeast(4), &mut dropped).unwrap();
        assert_eq!(pipeline.records(), [5, 9]);
        assert_eq!(dropped, [Dropped { index: 0, reason: "small", record: 1 }]);
        assert_eq!(pipeline.report().steps.len(), 1);
        let (records, report) = pipeline.then(&AtLeast(4)).unwrap().then(&AtLeast(6)).unwrap().finish();
        assert_eq!(records, [9]);
        let limits: Vec<_> = report.steps.iter().map(|step| step.options["limit"].clone()).collect();
        assert_eq!(limits, [4, 4, 6]);
        assert_eq!(report.steps[0].seed, 3);
        assert_eq!(report.steps[1].seed, 3 + 0x9E37_79B9_7F4A_7C15);
        assert_eq!(report.steps[2].seed, 3u64.wrapping_add(0x9E37_79B9_7F4A_7C15u64.wrapping_mul(2)));
        assert!(report.is_conserved());
        let table =
            "operator  in  out  dropped\nat_least   3    2  small 1\nat_least   2    2\nat_least   2    1  small 1";
        assert_eq!(report.to_string(), table);
        let mut lost = report.clone();
        lost.steps[1].inputs = 3;
        *lost.steps[1].dropped.entry("small").or_default() += 1;
        assert!(!lost.is_conserved(), "the first step gave two records on");
        let mut lost = report;
        lost.steps[2].dropped.clear();
        assert!(!lost.is_conserved());
    }
}
