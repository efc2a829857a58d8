//! The loop that every reader of rows shares.
//!
//! A reader hands [`read_jsonl`] a path, options and a closure that makes a record of a [`Row`] or gives the [`Reason`]
//! why it cannot; one whose rows are not one record each implements [`RowReader`]. The loop owns everything else:
//! containers, line limits, encodings, repairs, what to do with a reject, and the [`LoadReport`] in which no line is lost.
//! [`crate::parallel`] is the same loop on all cores.

use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    sync::Arc,
};

use encoding_rs::{Encoding, UTF_8};

use crate::{
    container::{self, Container, RowSource},
    error::{Error, Result},
    lines::LineEnd,
    record::{Fields, Reading},
    report::{Code, LoadReport, Reason, Reject, Warning, excerpt_bytes},
    row::{Place, Row, parse_fields},
    rules::Rules,
    users::Users,
};

/// What to do with a row that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnReject {
    /// Stop with [`Error::Rejected`] at the first one.
    Stop,
    /// Stop where the file is broken ([`crate::Code::is_malformed`]); count the well-formed rows that cannot be used.
    StopIfMalformed,
    /// Count it and go on.
    #[default]
    Skip,
}

/// How to load.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadOptions {
    /// What to do with a row that cannot be used. Default: [`OnReject::Skip`].
    pub on_reject: OnReject,
    /// Mend what can be mended and count it: `NaN` and infinities become null, bytes and escapes that are no text become
    /// the replacement character. Default: no, they are rejects.
    pub repair: bool,
    /// Rows with one of these warnings are rejects. Default: none.
    pub deny_warnings: Vec<Warning>,
    /// The longest line, in bytes, at least 1; a longer one is a reject. Default: 64 MiB, above any known data set.
    pub max_line_bytes: usize,
    /// The share of rows, in `[0, 1]`, above which rejects are an error instead of a tiny data set. Default: 0.5. A
    /// file of which no row at all is accepted is an error whatever the share. Unused with [`OnReject::Stop`].
    pub max_reject_fraction: f64,
    /// How many rejects of each code the report keeps in full. Default: 100.
    pub max_reject_samples: usize,
    /// How rows become records, where there is a choice.
    pub rules: Rules,
    /// What the file holds its rows in. Default: told by content and name.
    pub container: Container,
    /// The encoding of the text, such as `encoding_rs::MACINTOSH`; byte offsets then count bytes of the same text in
    /// UTF-8. Default: UTF-8.
    pub encoding: &'static Encoding,
    /// Records of a table to leave out behind its header, where that has several lines; they are no rows. Default: 0.
    pub skip_after_header: usize,
    /// Use all threads of rayon's pool where a reader can. Records and report are the same. Default: yes.
    pub parallel: bool,
    /// [`crate::load()`] takes records of several kinds from one file. Default: no, those of another kind than the first
    /// are rejects.
    pub mixed: bool,
    /// The split that [`crate::load()`] puts into records that name none. Default: none.
    pub split: Option<String>,
    /// The table of users; [`crate::load()`] counts records whose user is not in it. Default: none, nobody is counted.
    pub users: Option<Arc<Users>>,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self {
            on_reject: OnReject::Skip,
            repair: false,
            deny_warnings: Vec::new(),
            max_line_bytes: 64 << 20,
            max_reject_fraction: 0.5,
            max_reject_samples: 100,
            rules: Rules::default(),
            container: Container::Auto,
            encoding: UTF_8,
            skip_after_header: 0,
            parallel: true,
            mixed: false,
            split: None,
            users: None,
        }
    }
}

impl LoadOptions {
    pub(crate) fn validate(&self) -> Result<()> {
        let fraction = self.max_reject_fraction;
        if !(0.0..=1.0).contains(&fraction) {
            return Err(Error::Domain { name: "max_reject_fraction", expected: "a number in [0, 1]", got: fraction });
        }
        if self.max_line_bytes == 0 {
            return Err(Error::Domain { name: "max_line_bytes", expected: "at least 1", got: 0.0 });
        }
        Ok(())
    }
}

/// What a row gives.
#[derive(Debug, Clone, PartialEq)]
pub enum Given<T> {
    /// One record.
    Record(T),
    /// Any number of records, of this row and of rows before it; none where the row waits for others.
    Records(Vec<T>),
    /// Nothing: the row is well formed, and an option with this name leaves it out.
    Filtered(&'static str),
}

/// Rows that were held back and turned out to be of no use.
pub type Late = Vec<(Place, Reason)>;

/// Makes records of rows. A closure that makes a record of each row is one.
pub trait RowReader {
    /// What it makes.
    type Record;

    /// Takes one row.
    ///
    /// # Errors
    /// Why the row cannot be used.
    fn row(&mut self, row: Row<'_>) -> std::result::Result<Given<Self::Record>, Reason>;

    /// Gives what was held back, at the end of the file or where the reader says so, and the rows among them that cannot
    /// be used after all. Called after every row, so that a group can be given as soon as it is complete.
    fn late(&mut self, _end: bool) -> (Vec<Self::Record>, Late) {
        (Vec::new(), Vec::new())
    }
}

impl<F, T> RowReader for F
where
    F: FnMut(Row<'_>) -> std::result::Result<T, Reason>,
{
    type Record = T;

    fn row(&mut self, row: Row<'_>) -> std::result::Result<Given<T>, Reason> {
        self(row).map(Given::Record)
    }
}

/// Reads a whole file in any [`container`], JSON Lines most often, through `parse`.
///
/// The records come in the order of the file. Of a key that a row has twice the last value counts, and the row is
/// counted under [`crate::Warning::DupKey`] (keys inside nested objects are not looked at).
///
/// # Errors
/// [`Error::Open`] and [`Error::Read`] from the system; [`Error::LfsPointer`], [`Error::Html`] and [`Error::Empty`] for
/// a file that is no data; [`Error::Rejected`] and [`Error::TooManyRejects`] as the options say; [`Error::Domain`] for
/// the options themselves.
///
/// # Example
/// ```
/// use accordant_data::{Code, LoadOptions, read::read_jsonl};
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("texts.jsonl");
/// std::fs::write(&path, "{\"text\": \"a\"}\n\n{\"text\": 7}\n{\"text\": \"b\"}")?;
/// let (texts, report) = read_jsonl(&path, &LoadOptions::default(), |mut row| row.take_text("text"))?;
/// assert_eq!(texts, ["a", "b"]);
/// assert_eq!((report.lines, report.used, report.blank, report.count(Code::Type)), (4, 2, 1, 1));
/// assert_eq!(report.samples[0].message, "field `text`: expected a string, found number 7");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn read_jsonl<T>(
    path: impl AsRef<Path>,
    options: &LoadOptions,
    parse: impl FnMut(Row<'_>) -> std::result::Result<T, Reason>,
) -> Result<(Vec<T>, LoadReport)> {
    read_rows(path, options, parse)
}

/// [`read_jsonl`] through a reader whose rows are not one record each.
///
/// # Errors
/// Those of [`read_jsonl`].
pub fn read_rows<R: RowReader>(
    path: impl AsRef<Path>,
    options: &LoadOptions,
    reader: R,
) -> Result<(Vec<R::Record>, LoadReport)> {
    let mut rows = JsonLines::with(path, options, reader)?;
    let records = rows.by_ref().collect::<Result<Vec<_>>>()?;
    Ok((records, rows.into_report()))
}

/// [`read_jsonl`] one record at a time, for files larger than memory.
///
/// Ends after the first error. Whether the file holds any record, and whether too many rows were rejected, is known
/// only at its end: the last item may be that error.
pub struct JsonLines<R: RowReader> {
    source: Box<dyn RowSource>,
    reader: R,
    ready: VecDeque<R::Record>,
    tally: Tally,
    notes: Reading,
    done: bool,
}

impl<F, T> JsonLines<F>
where
    F: FnMut(Row<'_>) -> std::result::Result<T, Reason>,
{
    /// Opens a file whose rows are one record each.
    ///
    /// # Errors
    /// Those of [`Self::with`].
    pub fn open(path: impl AsRef<Path>, options: &LoadOptions, parse: F) -> Result<Self> {
        Self::with(path, options, parse)
    }
}

impl<R: RowReader> JsonLines<R> {
    /// Opens a file.
    ///
    /// # Errors
    /// [`Error::Domain`], [`Error::Open`] and [`Error::Read`].
    pub fn with(path: impl AsRef<Path>, options: &LoadOptions, reader: R) -> Result<Self> {
        Self::over(open(path.as_ref(), options)?, path.as_ref(), options, reader)
    }

    /// Reads rows that another part of the crate takes out of a file.
    pub(crate) fn over(source: Box<dyn RowSource>, path: &Path, options: &LoadOptions, reader: R) -> Result<Self> {
        options.validate()?;
        let (tally, notes) = (Tally::new(path, options), Reading::new(options.rules.clone()));
        Ok(Self { source, reader, ready: VecDeque::new(), tally, notes, done: false })
    }

    /// The counts so far.
    pub fn report(&self) -> &LoadReport {
        &self.tally.report
    }

    /// The counts so far, by value.
    pub fn into_report(self) -> LoadReport {
        self.tally.report
    }

    /// Takes one line; false at the end of the file.
    fn step(&mut self) -> Result<bool> {
        let cells = self.source.has_cells();
        let Some(line) = self.source.next_line()? else { return Ok(false) };
        let Some(place) = self.tally.place(line.number, line.offset, line.is_blank()) else { return Ok(true) };
        let (path, options) = (&self.tally.path, &self.tally.options);
        let made =
            digest((line.bytes, &line.end), path, place, cells, options, &mut self.notes, |row| self.reader.row(row));
        self.tally.count(place, line.bytes, made, &mut self.ready)?;
        Ok(true)
    }

    /// Takes what the reader has held back.
    fn late(&mut self, end: bool) -> Result<()> {
        let (records, rejected) = self.reader.late(end);
        self.ready.extend(records);
        rejected.into_iter().try_for_each(|(place, reason)| {
            self.tally.report.used -= 1;
            self.tally.reject(place, reason, String::new())
        })
    }
}

/// Checks the options and opens a file.
pub(crate) fn open(path: &Path, options: &LoadOptions) -> Result<Box<dyn RowSource>> {
    options.validate()?;
    container::open(path, options)
}

/// What one row gives, before anything that depends on other rows.
pub(crate) struct Made<T> {
    pub given: std::result::Result<Given<T>, Reason>,
    pub warnings: Vec<Warning>,
    pub repaired: Vec<Code>,
}

/// Parses a row and makes of it what `make` makes.
pub(crate) fn digest<T>(
    (bytes, end): (&[u8], &LineEnd),
    file: &Path,
    place: Place,
    cells: bool,
    options: &LoadOptions,
    notes: &mut Reading,
    make: impl FnOnce(Row<'_>) -> std::result::Result<Given<T>, Reason>,
) -> Made<T> {
    notes.cells = cells;
    let given = parse_fields(bytes, end, options.repair, notes).and_then(|map| {
        let fields = Fields::new(map, notes);
        let Place { line, byte_offset, record_index } = place;
        make(Row { file, line, byte_offset, record_index, fields })
    });
    let (warnings, repaired) = (std::mem::take(&mut notes.warnings), std::mem::take(&mut notes.repaired));
    Made { given, warnings, repaired }
}

/// The report of a file as it grows, and what the options say about its rejects.
pub(crate) struct Tally {
    pub path: PathBuf,
    pub options: LoadOptions,
    pub report: LoadReport,
    first: Option<Box<Reject>>,
}

impl Tally {
    pub fn new(path: &Path, options: &LoadOptions) -> Self {
        let (path, options) = (path.to_path_buf(), options.clone());
        Self { path, options, report: LoadReport::default(), first: None }
    }

    /// Counts a line; where its row stands, or none if it is blank.
    pub fn place(&mut self, line: usize, byte_offset: u64, is_blank: bool) -> Option<Place> {
        let record_index = self.report.lines - self.report.blank;
        self.report.lines += 1;
        self.report.blank += usize::from(is_blank);
        (!is_blank).then_some(Place { line, byte_offset, record_index })
    }

    /// Counts what came of a row, and keeps its records.
    pub fn count<T>(&mut self, place: Place, bytes: &[u8], made: Made<T>, ready: &mut VecDeque<T>) -> Result<()> {
        let denied = made.warnings.iter().find(|warning| self.options.deny_warnings.contains(warning));
        let given = match denied {
            Some(warning) if made.given.is_ok() => {
                Err(Reason::new(Code::Denied, format!("{warning}, which the options deny")))
            }
            _ => made.given,
        };
        match given {
            Ok(Given::Filtered(name)) => *self.report.filtered.entry(name).or_default() += 1,
            Ok(given) => {
                self.report.used += 1;
                made.warnings.iter().for_each(|&warning| *self.report.warnings.entry(warning).or_default() += 1);
                made.repaired.iter().for_each(|&code| *self.report.repaired.entry(code).or_default() += 1);
                match given {
                    Given::Record(record) => ready.push_back(record),
                    Given::Records(records) => ready.extend(records),
                    Given::Filtered(_) => {}
                }
            }
            Err(reason) => self.reject(place, reason, excerpt_bytes(bytes))?,
        }
        Ok(())
    }

    fn reject(&mut self, place: Place, reason: Reason, excerpt: String) -> Result<()> {
        let reject = Reject {
            file: self.path.clone(),
            line: place.line,
            byte_offset: place.byte_offset,
            record_index: place.record_index,
            field: reason.field,
            code: reason.code,
            message: reason.message,
            excerpt: reason.excerpt.unwrap_or(excerpt),
        };
        let stop = match self.options.on_reject {
            OnReject::Stop => true,
            OnReject::StopIfMalformed => reject.code.is_malformed(),
            OnReject::Skip => false,
        };
        self.first.get_or_insert_with(|| Box::new(reject.clone()));
        self.report.add_reject(reject.clone(), self.options.max_reject_samples);
        if stop { Err(Error::Rejected(Box::new(reject))) } else { Ok(()) }
    }

    /// What can be said only at the end of the file.
    pub fn finish(&mut self) -> Result<()> {
        debug_assert!(self.report.is_conserved(), "every line is blank, used, filtered or rejected");
        let path = self.path.clone();
        let (rejected, rows) = (self.report.total_rejected(), self.report.lines - self.report.blank);
        match self.first.take() {
            None if rows == 0 => Err(Error::Empty { path }),
            // All rows rejected is an error even at a limit of 1: an empty data set helps nobody.
            Some(first) if rejected == rows || rejected as f64 > self.options.max_reject_fraction * rows as f64 => {
                Err(Error::TooManyRejects { path, rejected, rows, first })
            }
            _ => Ok(()),
        }
    }
}

impl<R: RowReader> Iterator for JsonLines<R> {
    type Item = Result<R::Record>;

    fn next(&mut self) -> Option<Result<R::Record>> {
        loop {
            if let Some(record) = self.ready.pop_front() {
                self.tally.report.records += 1;
                return Some(Ok(record));
            }
            if self.done {
                return None;
            }
            let stepped = self.step().and_then(|more| self.late(!more).map(|()| more));
            match stepped {
                Ok(true) => {}
                Ok(false) => {
                    self.done = true;
                    if let Err(error) = self.tally.finish() {
                        self.ready.clear();
                        return Some(Err(error));
                    }
                }
                Err(error) => {
                    self.done = true;
                    self.ready.clear();
                    return Some(Err(error));
                }
            }
        }
    }
}
