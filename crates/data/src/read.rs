//! JSON Lines, the loop that every line-based reader shares.
//!
//! A reader hands [`read_jsonl`] a path, options and a closure that makes a record of a [`Row`] or gives the [`Reason`]
//! why it cannot. The loop owns everything else: containers, line limits, encodings, what to do with a reject, and the
//! [`LoadReport`] in which no line is lost.

use std::path::{Path, PathBuf};

use crate::{
    error::{Error, Result},
    lines::Lines,
    report::{LoadReport, Reason, Reject, excerpt_bytes},
    row::{Row, parse_fields},
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
    /// The longest line, in bytes, at least 1; a longer one is a reject. Default: 64 MiB, above any known data set.
    pub max_line_bytes: usize,
    /// The share of rows, in `[0, 1]`, above which rejects are an error instead of a tiny data set. Default: 0.5. A
    /// file of which no row at all is accepted is an error whatever the share. Unused with [`OnReject::Stop`].
    pub max_reject_fraction: f64,
    /// How many rejects of each code the report keeps in full. Default: 100.
    pub max_reject_samples: usize,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self { on_reject: OnReject::Skip, max_line_bytes: 64 << 20, max_reject_fraction: 0.5, max_reject_samples: 100 }
    }
}

/// Reads a whole JSON Lines file, plain or gzip, through `parse`.
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
    let mut rows = JsonLines::open(path, options, parse)?;
    let records = rows.by_ref().collect::<Result<Vec<T>>>()?;
    Ok((records, rows.into_report()))
}

/// [`read_jsonl`] one record at a time, for files larger than memory.
///
/// Ends after the first error. Whether the file holds any record, and whether too many rows were rejected, is known
/// only at its end: the last item may be that error.
pub struct JsonLines<P> {
    path: PathBuf,
    lines: Lines,
    options: LoadOptions,
    parse: P,
    report: LoadReport,
    first: Option<Box<Reject>>,
    done: bool,
}

impl<T, P> JsonLines<P>
where
    P: FnMut(Row<'_>) -> std::result::Result<T, Reason>,
{
    /// Opens a file.
    ///
    /// # Errors
    /// [`Error::Domain`], [`Error::Open`] and [`Error::Read`].
    pub fn open(path: impl AsRef<Path>, options: &LoadOptions, parse: P) -> Result<Self> {
        let fraction = options.max_reject_fraction;
        if !(0.0..=1.0).contains(&fraction) {
            return Err(Error::Domain { name: "max_reject_fraction", expected: "a number in [0, 1]", got: fraction });
        }
        if options.max_line_bytes == 0 {
            return Err(Error::Domain { name: "max_line_bytes", expected: "at least 1", got: 0.0 });
        }
        let lines = Lines::open(path, options.max_line_bytes)?;
        let (path, options) = (lines.path().to_path_buf(), options.clone());
        Ok(Self { path, lines, options, parse, report: LoadReport::default(), first: None, done: false })
    }
}

impl<P> JsonLines<P> {
    /// The counts so far.
    pub fn report(&self) -> &LoadReport {
        &self.report
    }

    /// The counts so far, by value.
    pub fn into_report(self) -> LoadReport {
        self.report
    }

    /// What can be said only at the end of the file.
    fn finish(&mut self) -> Result<()> {
        debug_assert!(self.report.is_conserved(), "every line is blank, used or rejected");
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

impl<T, P> Iterator for JsonLines<P>
where
    P: FnMut(Row<'_>) -> std::result::Result<T, Reason>,
{
    type Item = Result<T>;

    fn next(&mut self) -> Option<Result<T>> {
        while !self.done {
            let line = match self.lines.next_line() {
                Ok(Some(line)) => line,
                Ok(None) => {
                    self.done = true;
                    return self.finish().err().map(Err);
                }
                Err(error) => {
                    self.done = true;
                    return Some(Err(error));
                }
            };
            let record_index = self.report.lines - self.report.blank;
            self.report.lines += 1;
            if line.is_blank() {
                self.report.blank += 1;
                continue;
            }
            if record_index == 0
                && let Some(error) = not_data(&self.path, line.bytes)
            {
                self.done = true;
                return Some(Err(error));
            }
            let mut warnings = Vec::new();
            let accepted = parse_fields(&line, &mut warnings).and_then(|fields| {
                let (file, warnings) = (self.path.as_path(), &mut warnings);
                (self.parse)(Row { file, line: line.number, record_index, fields, warnings })
            });
            match accepted {
                Ok(record) => {
                    self.report.used += 1;
                    self.report.records += 1;
                    warnings.iter().for_each(|&warning| *self.report.warnings.entry(warning).or_default() += 1);
                    return Some(Ok(record));
                }
                Err(reason) => {
                    let reject = Reject {
                        file: self.path.clone(),
                        line: line.number,
                        byte_offset: line.offset,
                        record_index,
                        field: reason.field,
                        code: reason.code,
                        message: reason.message,
                        excerpt: reason.excerpt.unwrap_or_else(|| excerpt_bytes(line.bytes)),
                    };
                    let stop = match self.options.on_reject {
                        OnReject::Stop => true,
                        OnReject::StopIfMalformed => reject.code.is_malformed(),
                        OnReject::Skip => false,
                    };
                    self.done = stop;
                    self.first.get_or_insert_with(|| Box::new(reject.clone()));
                    self.report.add_reject(reject.clone(), self.options.max_reject_samples);
                    if stop {
                        return Some(Err(Error::Rejected(Box::new(reject))));
                    }
                }
            }
        }
        None
    }
}

/// Tells a Git LFS pointer and a saved web page by the first line that is not blank.
fn not_data(path: &Path, bytes: &[u8]) -> Option<Error> {
    let path = path.to_path_buf();
    match bytes.trim_ascii_start() {
        [b'<', b'a'..=b'z' | b'A'..=b'Z' | b'!' | b'?', ..] => Some(Error::Html { path }),
        text if text.starts_with(b"version https://git-lfs.github.com/spec/") => Some(Error::LfsPointer { path }),
        _ => None,
    }
}
