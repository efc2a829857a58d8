//! Operators: the seam of all curation.
//!
//! An operator takes records and gives back other records, those it left out with the reason for each, and a report.
//! One that looks at a record at a time is a [`RecordOperator`] too: it also works as an iterator adaptor, [`Stream`],
//! over data that does not fit into memory, and on all cores at once. Operators whose decisions need all records
//! (quantiles, duplicates) are not.
//!
//! Nothing is lost: `inputs = converted + dropped` holds in every report.

use std::{collections::BTreeMap, fmt};

use rayon::prelude::*;
use serde::Serialize;
use serde_json::Value;

use crate::{Result, code::Warning};

/// What an operator did. Displays as a small table.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OperatorReport {
    /// The operator's name.
    pub operator: &'static str,
    /// The values of its options.
    pub options: Value,
    /// The seed it was given.
    pub seed: u64,
    /// Records it was given.
    pub inputs: usize,
    /// Records of these that something came of.
    pub converted: usize,
    /// Records it gave back: more than `converted` where one record makes several.
    pub outputs: usize,
    /// Records of which nothing came, by reason.
    pub dropped: BTreeMap<&'static str, usize>,
    /// Other decisions, by name: labels that were changed, pairs of a list that were not made.
    pub counts: BTreeMap<String, usize>,
    /// Numbers about the data, by name; none where the number is not defined.
    pub figures: BTreeMap<String, Option<f64>>,
    /// What is odd about the data.
    pub warnings: BTreeMap<Warning, usize>,
}

impl OperatorReport {
    /// A report in which nothing has happened yet.
    pub fn new(operator: &'static str, options: Value, seed: u64) -> Self {
        Self {
            operator,
            options,
            seed,
            inputs: 0,
            converted: 0,
            outputs: 0,
            dropped: BTreeMap::new(),
            counts: BTreeMap::new(),
            figures: BTreeMap::new(),
            warnings: BTreeMap::new(),
        }
    }

    /// Records of which nothing came, all reasons together.
    pub fn total_dropped(&self) -> usize {
        self.dropped.values().sum()
    }

    /// Whether no record was lost: `inputs = converted + dropped`. True of every report of this library.
    pub fn is_conserved(&self) -> bool {
        self.inputs == self.converted + self.total_dropped()
    }

    /// How many decisions of this name were made.
    pub fn count(&self, name: &str) -> usize {
        self.counts.get(name).copied().unwrap_or(0)
    }

    /// Counts one decision more.
    pub fn add(&mut self, name: &str) {
        self.add_many(name, 1);
    }

    /// Counts several decisions more; none leaves the report as it is.
    pub fn add_many(&mut self, name: &str, count: usize) {
        if count > 0 {
            *self.counts.entry(name.to_owned()).or_default() += count;
        }
    }

    /// A number about the data, if it is known and defined.
    pub fn figure(&self, name: &str) -> Option<f64> {
        self.figures.get(name).copied().flatten()
    }

    /// Notes a number about the data; one that is not finite counts as undefined.
    pub fn set_figure(&mut self, name: impl Into<String>, value: Option<f64>) {
        self.figures.insert(name.into(), value.filter(|value| value.is_finite()));
    }

    fn dropped_in_words(&self) -> String {
        let words: Vec<_> = self.dropped.iter().map(|(reason, count)| format!("{reason} {count}")).collect();
        words.join(", ")
    }

    /// The cells of a table of operators.
    pub(super) fn cells(&self) -> [String; 4] {
        [self.operator.to_owned(), self.inputs.to_string(), self.outputs.to_string(), self.dropped_in_words()]
    }
}

impl fmt::Display for OperatorReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rows = vec![("inputs".to_owned(), self.inputs.to_string())];
        rows.extend(self.dropped.iter().map(|(reason, count)| (format!("dropped: {reason}"), count.to_string())));
        rows.push(("outputs".to_owned(), self.outputs.to_string()));
        rows.extend(self.counts.iter().map(|(name, count)| (name.clone(), count.to_string())));
        let number = |value: &Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.4}"));
        rows.extend(self.figures.iter().map(|(name, value)| (name.clone(), number(value))));
        rows.extend(self.warnings.iter().map(|(warning, count)| (warning.to_string(), count.to_string())));
        let name_len = rows.iter().map(|row| row.0.chars().count()).max().unwrap_or(0);
        let value_len = rows.iter().map(|row| row.1.len()).max().unwrap_or(0);
        write!(f, "{}", self.operator)?;
        rows.iter().try_for_each(|(name, value)| write!(f, "\n  {name:name_len$}  {value:>value_len$}"))
    }
}

/// A record of which nothing came.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Dropped<T> {
    /// Its place among the operator's inputs, from 0.
    pub index: usize,
    /// Why.
    pub reason: &'static str,
    /// The record as it was.
    pub record: T,
}

/// What an operator gives back.
#[derive(Debug, Clone, PartialEq)]
pub struct Curated<T, Out = T> {
    /// The records that go on.
    pub records: Vec<Out>,
    /// Those of which nothing came, in the order of the input.
    pub dropped: Vec<Dropped<T>>,
    /// Counts, options and numbers.
    pub report: OperatorReport,
}

impl<T, Out> Curated<T, Out> {
    /// Nothing yet, for an operator that fills it.
    pub fn new<O: Operator<T, Out = Out> + ?Sized>(operator: &O, seed: u64) -> Self {
        let report = OperatorReport::new(operator.name(), operator.options(), seed);
        Self { records: Vec::new(), dropped: Vec::new(), report }
    }

    /// Takes what came of further inputs, by the same operator on each record by itself.
    fn append(&mut self, other: Self) {
        let before = self.report.inputs;
        let moved = |dropped: Dropped<T>| Dropped { index: before + dropped.index, ..dropped };
        self.records.extend(other.records);
        self.dropped.extend(other.dropped.into_iter().map(moved));
        self.report.inputs += other.report.inputs;
        self.report.converted += other.report.converted;
        self.report.outputs += other.report.outputs;
        other.report.dropped.into_iter().for_each(|(why, count)| *self.report.dropped.entry(why).or_default() += count);
        other.report.counts.into_iter().for_each(|(name, count)| self.report.add_many(&name, count));
    }

    /// Takes what an input became; its place among the inputs is counted along.
    pub fn push(&mut self, verdict: Verdict<T, Out>) {
        let index = self.report.inputs;
        self.report.inputs += 1;
        match verdict {
            Verdict::Keep(record) => {
                self.report.converted += 1;
                self.report.outputs += 1;
                self.records.push(record);
            }
            Verdict::Many(records) => {
                self.report.converted += 1;
                self.report.outputs += records.len();
                self.records.extend(records);
            }
            Verdict::Drop(record, reason) => {
                *self.report.dropped.entry(reason).or_default() += 1;
                self.dropped.push(Dropped { index, reason, record });
            }
        }
    }
}

/// Records that one core takes at a time.
const CHUNK_LEN: usize = 256;

/// What becomes of one record.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict<T, Out = T> {
    /// One record goes on.
    Keep(Out),
    /// Several do.
    Many(Vec<Out>),
    /// Nothing does, for this reason.
    Drop(T, &'static str),
}

impl<T, Out> Verdict<T, Out> {
    /// Several records; dropped for `reason` if there is none.
    pub fn many_or(records: Vec<Out>, origin: T, reason: &'static str) -> Self {
        if records.is_empty() { Self::Drop(origin, reason) } else { Self::Many(records) }
    }
}

/// A step of curation.
pub trait Operator<T> {
    /// What its records become.
    type Out;

    /// Its name in reports, in snake case.
    fn name(&self) -> &'static str;

    /// The values of its options.
    fn options(&self) -> Value;

    /// Whether its options lie in their domains.
    ///
    /// # Errors
    /// [`crate::Error::Domain`] naming the option.
    fn check(&self) -> Result<()> {
        Ok(())
    }

    /// Does it. The same records, options and seed give the same result.
    ///
    /// # Errors
    /// Those of [`Self::check`] and what the operator says.
    fn apply(&self, records: Vec<T>, seed: u64) -> Result<Curated<T, Self::Out>>;
}

/// An operator that decides about each record by itself: permuting or sharding the input changes nothing but the order.
pub trait RecordOperator<T>: Operator<T> {
    /// What becomes of a record; `report` takes counts besides.
    fn judge(&self, record: T, seed: u64, report: &mut OperatorReport) -> Verdict<T, Self::Out>;

    /// The operator as an iterator adaptor; what is dropped is counted and not kept.
    ///
    /// # Errors
    /// Those of [`Operator::check`].
    fn stream<I: IntoIterator<Item = T>>(&self, records: I, seed: u64) -> Result<Stream<'_, Self, I::IntoIter, T>>
    where
        Self: Sized,
    {
        self.check()?;
        let report = OperatorReport::new(self.name(), self.options(), seed);
        Ok(Stream { operator: self, records: records.into_iter(), made: Vec::new().into_iter(), report })
    }

    /// [`Operator::apply`] on all cores: the same records in the same order, and the same report.
    ///
    /// # Errors
    /// Those of [`Operator::check`].
    fn apply_parallel(&self, records: Vec<T>, seed: u64) -> Result<Curated<T, Self::Out>>
    where
        Self: Sized + Sync,
        Self::Out: Send,
        T: Send,
    {
        self.check()?;
        let part = |chunk| {
            let mut part = Curated::new(self, seed);
            judge_all(self, chunk, &mut part);
            part
        };
        let parts: Vec<Curated<T, Self::Out>> = records.into_par_iter().chunks(CHUNK_LEN).map(part).collect();
        Ok(parts.into_iter().fold(Curated::new(self, seed), |mut all, part| {
            all.append(part);
            all
        }))
    }
}

/// [`Operator::apply`] of an operator that looks at each record by itself.
pub(super) fn apply_each<T, O: RecordOperator<T> + ?Sized>(
    operator: &O,
    records: Vec<T>,
    seed: u64,
) -> Result<Curated<T, O::Out>> {
    operator.check()?;
    let mut curated = Curated::new(operator, seed);
    judge_all(operator, records, &mut curated);
    Ok(curated)
}

fn judge_all<T, O: RecordOperator<T> + ?Sized>(operator: &O, records: Vec<T>, curated: &mut Curated<T, O::Out>) {
    for record in records {
        let verdict = operator.judge(record, curated.report.seed, &mut curated.report);
        curated.push(verdict);
    }
}

/// [`Operator::apply`] of a filter that has decided: a reason for each record that is to go.
pub(super) fn sift<T, O: Operator<T, Out = T> + ?Sized>(
    operator: &O,
    records: Vec<T>,
    seed: u64,
    reasons: Vec<Option<&'static str>>,
) -> Curated<T> {
    let mut curated = Curated::new(operator, seed);
    for (record, reason) in records.into_iter().zip(reasons) {
        curated.push(match reason {
            Some(reason) => Verdict::Drop(record, reason),
            None => Verdict::Keep(record),
        });
    }
    curated
}

/// The options of an operator that serializes as them.
pub(super) fn options_of(operator: &impl Serialize) -> Value {
    serde_json::to_value(operator).expect("options are plain numbers, strings and lists")
}

/// A [`RecordOperator`] over an iterator: records come out one by one, in constant memory.
///
/// # Example
/// ```
/// use accordant_data::{Pair, curation::{RecordOperator, Column, margin_filter::MarginFilter}};
/// let pair = |margin| Pair { margin: Some(margin), ..Pair::new("q", "good", "bad").unwrap() };
/// let filter = MarginFilter { min_margin: Some(0.5), ..MarginFilter::new(Column::margin()) };
/// let mut stream = filter.stream([0.2, 0.7, 0.9].map(pair), 0)?;
/// assert_eq!(stream.by_ref().count(), 2);
/// assert_eq!(stream.report().dropped["small_margin"], 1);
/// # Ok::<(), accordant_data::Error>(())
/// ```
#[derive(Debug)]
pub struct Stream<'a, O: RecordOperator<T>, I, T> {
    operator: &'a O,
    records: I,
    made: std::vec::IntoIter<O::Out>,
    report: OperatorReport,
}

impl<O: RecordOperator<T>, I, T> Stream<'_, O, I, T> {
    /// The counts so far.
    pub fn report(&self) -> &OperatorReport {
        &self.report
    }
}

impl<O: RecordOperator<T>, I: Iterator<Item = T>, T> Iterator for Stream<'_, O, I, T> {
    type Item = O::Out;

    fn next(&mut self) -> Option<O::Out> {
        loop {
            if let Some(record) = self.made.next() {
                self.report.outputs += 1;
                return Some(record);
            }
            let record = self.records.next()?;
            let verdict = self.operator.judge(record, self.report.seed, &mut self.report);
            self.report.inputs += 1;
            match verdict {
                Verdict::Keep(record) => {
                    self.report.converted += 1;
                    self.report.outputs += 1;
                    return Some(record);
                }
                Verdict::Many(records) => {
                    self.report.converted += 1;
                    self.made = records.into_iter();
                }
                Verdict::Drop(_, reason) => *self.report.dropped.entry(reason).or_default() += 1,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Repeats a number as often as it says; drops 0.
    struct Repeat;

    impl Operator<usize> for Repeat {
        type Out = usize;

        fn name(&self) -> &'static str {
            "repeat"
        }

        fn options(&self) -> Value {
            Value::Null
        }

        fn apply(&self, records: Vec<usize>, seed: u64) -> Result<Curated<usize>> {
            apply_each(self, records, seed)
        }
    }

    impl RecordOperator<usize> for Repeat {
        fn judge(&self, record: usize, _: u64, report: &mut OperatorReport) -> Verdict<usize> {
            report.add_many("large", usize::from(record > 2));
            match record {
                1 => Verdict::Keep(1),
                n => Verdict::many_or(vec![n; n], n, "zero"),
            }
        }
    }

    #[test]
    fn what_is_dropped_comes_back_with_its_place_and_reason() {
        let curated = Repeat.apply(vec![2, 0, 1, 0, 3], 9).unwrap();
        assert_eq!(curated.records, [2, 2, 1, 3, 3, 3]);
        let zero = |index| Dropped { index, reason: "zero", record: 0 };
        assert_eq!(curated.dropped, [zero(1), zero(3)]);
        let report = curated.report;
        assert_eq!((report.inputs, report.converted, report.outputs, report.seed), (5, 3, 6, 9));
        assert_eq!((report.total_dropped(), report.count("large"), report.count("small")), (2, 1, 0));
        assert!(report.is_conserved());
        assert!(!OperatorReport { inputs: 6, ..report }.is_conserved());
    }

    #[test]
    fn a_stream_gives_what_apply_gives_and_the_same_report() {
        let input = vec![2, 0, 1, 0, 3];
        let mut stream = Repeat.stream(input.clone(), 9).unwrap();
        assert_eq!(stream.next(), Some(2));
        assert_eq!((stream.report().inputs, stream.report().outputs), (1, 1));
        let rest: Vec<_> = stream.by_ref().collect();
        let curated = Repeat.apply(input, 9).unwrap();
        assert_eq!(rest, curated.records[1..]);
        assert_eq!(stream.report(), &curated.report);
    }

    #[test]
    fn all_cores_give_the_same_records_in_the_same_order_and_the_same_report() {
        let input: Vec<usize> = (0..5 * CHUNK_LEN / 2).map(|i| i % 4).collect();
        assert_eq!(Repeat.apply_parallel(input.clone(), 3).unwrap(), Repeat.apply(input, 3).unwrap());
        assert_eq!(Repeat.apply_parallel(vec![], 3).unwrap(), Repeat.apply(vec![], 3).unwrap());
    }

    #[test]
    fn a_report_is_a_table() {
        let mut report = Repeat.apply(vec![0, 12], 0).unwrap().report;
        report.set_figure("mean", Some(6.0));
        report.set_figure("spread", Some(f64::NAN));
        report.warnings.insert(Warning::Delta, 1);
        let table = "\
repeat
  inputs              2
  dropped: zero       1
  outputs            12
  large               1
  mean           6.0000
  spread              -
  W_DELTA             1";
        assert_eq!(report.to_string(), table);
        assert_eq!((report.figure("mean"), report.figure("spread"), report.figure("none")), (Some(6.0), None, None));
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["dropped"]["zero"], 1);
        assert_eq!(json["figures"]["spread"], Value::Null);
    }
}
