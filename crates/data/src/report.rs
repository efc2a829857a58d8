//! What a load did with every line of its input.

use std::{collections::BTreeMap, fmt, path::PathBuf};

use serde::Serialize;

pub use crate::code::{Code, Warning};

/// Longest excerpt, in characters.
const EXCERPT_LEN: usize = 200;
/// Record numbers that a report's table shows for a code.
const SHOWN_RECORDS: usize = 8;

/// Why one row cannot be used, before it is known where the row stands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Reason {
    /// The code under which it is counted.
    pub code: Code,
    /// The field, as a JSON path such as `chosen[2].role`; none where the whole row is meant.
    pub field: Option<String>,
    /// What was found and what was expected.
    pub message: String,
    /// The offending value; none to show the beginning of the line.
    pub excerpt: Option<String>,
}

impl Reason {
    /// A reason about a whole row.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, field: None, message: message.into(), excerpt: None }
    }

    /// A reason about one field, whose name goes in front of the message.
    ///
    /// # Example
    /// ```
    /// use accordant_data::{Code, report::Reason};
    /// let reason = Reason::field(Code::Null, "rejected", "expected a string, found null");
    /// assert_eq!(reason.to_string(), "E_NULL: field `rejected`: expected a string, found null");
    /// ```
    pub fn field(code: Code, field: impl Into<String>, message: impl fmt::Display) -> Self {
        let field = field.into();
        Self { message: format!("field `{field}`: {message}"), field: Some(field), code, excerpt: None }
    }

    /// Shows this value in place of the beginning of the line.
    #[must_use]
    pub fn with_excerpt(mut self, value: &str) -> Self {
        self.excerpt = Some(excerpt(value));
        self
    }
}

/// A row that was not used: where it stands and why. Displays as `path:line: CODE: message`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reject {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1, in the decompressed text.
    pub line: usize,
    /// The line's first byte, from 0, in the decompressed text.
    pub byte_offset: u64,
    /// The row's number, from 0; blank lines have none.
    pub record_index: usize,
    /// The field, as a JSON path; none where the whole row is meant.
    pub field: Option<String>,
    /// The code under which it is counted.
    pub code: Code,
    /// What was found and what was expected.
    pub message: String,
    /// At most 200 characters of the offending value, control characters escaped.
    pub excerpt: String,
}

impl fmt::Display for Reject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}: {}", self.file.display(), self.line, self.code, self.message)
    }
}

/// What a load did: every line is blank, used, filtered or rejected. Displays as a small table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct LoadReport {
    /// Lines read. A gzip stream that breaks off counts the line it broke off in, even if no byte of it came through.
    pub lines: usize,
    /// Lines that hold nothing but white space.
    pub blank: usize,
    /// Rows that were used.
    pub used: usize,
    /// Records made of them; equal to `used` where a row is a record.
    pub records: usize,
    /// Rows rejected, by code.
    pub rejected: BTreeMap<Code, usize>,
    /// Well-formed rows that an option left out, by its name.
    pub filtered: BTreeMap<&'static str, usize>,
    /// Used rows in which something was mended, by what was wrong.
    pub repaired: BTreeMap<Code, usize>,
    /// Used rows that are odd, by warning.
    pub warnings: BTreeMap<Warning, usize>,
    /// The first rejects of each code, as many as the options say, in the order of the file.
    pub samples: Vec<Reject>,
}

impl LoadReport {
    /// Rows rejected, all codes together.
    pub fn total_rejected(&self) -> usize {
        self.rejected.values().sum()
    }

    /// Rows rejected under one code.
    pub fn count(&self, code: Code) -> usize {
        self.rejected.get(&code).copied().unwrap_or(0)
    }

    /// Used rows under one warning.
    pub fn warned(&self, warning: Warning) -> usize {
        self.warnings.get(&warning).copied().unwrap_or(0)
    }

    /// Rows that an option left out, all names together.
    pub fn total_filtered(&self) -> usize {
        self.filtered.values().sum()
    }

    /// Whether no line was lost: `used + rejected + filtered + blank = lines`. True of every report that a reader
    /// returns.
    pub fn is_conserved(&self) -> bool {
        self.used + self.total_rejected() + self.total_filtered() + self.blank == self.lines
    }

    /// Adds the report of another file. Counts add up; the samples of both are kept.
    ///
    /// # Example
    /// ```
    /// use accordant_data::LoadReport;
    /// let mut all = LoadReport { lines: 3, blank: 1, used: 2, records: 2, ..LoadReport::default() };
    /// all.merge(LoadReport { lines: 2, used: 2, records: 2, ..LoadReport::default() });
    /// assert_eq!((all.lines, all.blank, all.used), (5, 1, 4));
    /// assert!(all.is_conserved());
    /// ```
    pub fn merge(&mut self, other: Self) {
        self.lines += other.lines;
        self.blank += other.blank;
        self.used += other.used;
        self.records += other.records;
        other.filtered.into_iter().for_each(|(name, n)| *self.filtered.entry(name).or_default() += n);
        other.repaired.into_iter().for_each(|(code, n)| *self.repaired.entry(code).or_default() += n);
        other.rejected.into_iter().for_each(|(code, n)| *self.rejected.entry(code).or_default() += n);
        other.warnings.into_iter().for_each(|(warning, n)| *self.warnings.entry(warning).or_default() += n);
        self.samples.extend(other.samples);
    }

    /// Counts a reject, and keeps it if fewer than `max_samples` of its code were seen.
    pub(crate) fn add_reject(&mut self, reject: Reject, max_samples: usize) {
        let count = self.rejected.entry(reject.code).or_default();
        *count += 1;
        if *count <= max_samples {
            self.samples.push(reject);
        }
    }
}

impl fmt::Display for LoadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let several = self.samples.windows(2).any(|two| two[0].file != two[1].file);
        let record = |reject: &Reject| match reject.file.file_name() {
            Some(name) if several => format!("{}:{}", name.to_string_lossy(), reject.record_index),
            _ => reject.record_index.to_string(),
        };
        let mut rows = vec![("rows read", self.lines - self.blank.min(self.lines), String::new())];
        if self.blank > 0 {
            rows.push(("blank lines", self.blank, String::new()));
        }
        rows.push(("accepted", self.used, String::new()));
        for (code, &count) in &self.rejected {
            let samples = self.samples.iter().filter(|reject| reject.code == *code);
            let mut shown: Vec<_> = samples.take(SHOWN_RECORDS).map(record).collect();
            let note = match shown.len() {
                0 => String::new(),
                n => {
                    shown.extend((n < count).then(|| "...".to_string()));
                    format!("  record{} {}", if count == 1 { "" } else { "s" }, shown.join(", "))
                }
            };
            rows.push((code.as_str(), count, note));
        }
        rows.extend(self.filtered.iter().map(|(&name, &count)| (name, count, "  left out".to_owned())));
        rows.extend(self.repaired.iter().map(|(code, &count)| (code.as_str(), count, "  mended".to_owned())));
        rows.extend(self.warnings.iter().map(|(warning, &count)| (warning.as_str(), count, String::new())));
        let name_len = rows.iter().map(|row| row.0.len()).max().unwrap_or(0);
        let count_len = rows.iter().map(|row| row.1.to_string().len()).max().unwrap_or(0);
        for (i, (name, count, note)) in rows.iter().enumerate() {
            let end = if i + 1 < rows.len() { "\n" } else { "" };
            write!(f, "{name:name_len$}  {count:>count_len$}{note}{end}")?;
        }
        Ok(())
    }
}

/// The first characters of a text, at most 200 after its control characters were escaped.
pub(crate) fn excerpt(text: &str) -> String {
    let mut out = String::new();
    let mut len = 0;
    for c in text.chars() {
        let escaped = if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
        len += escaped.chars().count();
        if len > EXCERPT_LEN {
            break;
        }
        out.push_str(&escaped);
    }
    out
}

/// [`excerpt`] of bytes that may be no text.
pub(crate) fn excerpt_bytes(bytes: &[u8]) -> String {
    // Enough bytes for the longest excerpt, each character of which takes at most four.
    excerpt(&String::from_utf8_lossy(&bytes[..bytes.len().min(800)]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reject(file: &str, record_index: usize, code: Code) -> Reject {
        let (file, message, excerpt) = (file.into(), "why".into(), String::new());
        Reject { file, line: record_index + 1, byte_offset: 0, record_index, field: None, code, message, excerpt }
    }

    #[test]
    fn an_excerpt_is_short_and_has_no_control_characters() {
        assert_eq!(excerpt("a\nb\u{1b}[1mé"), "a\\nb\\u{1b}[1mé");
        assert_eq!(excerpt(&"é".repeat(500)).chars().count(), 200);
        // 199 characters, then an escape of two: it does not fit, and half of it would mislead.
        assert_eq!(excerpt(&("x".repeat(199) + "\n")).len(), 199);
    }

    #[test]
    fn samples_are_kept_per_code_and_counts_go_on() {
        let mut report = LoadReport { lines: 3, ..LoadReport::default() };
        for (i, code) in [Code::Empty, Code::Empty, Code::Json].into_iter().enumerate() {
            report.add_reject(reject("a", i, code), 1);
        }
        assert_eq!((report.count(Code::Empty), report.count(Code::Json), report.samples.len()), (2, 1, 2));
        assert!(report.is_conserved());
        report.lines += 1;
        assert!(!report.is_conserved());
    }

    #[test]
    fn a_report_is_an_aligned_table() {
        let mut report = LoadReport { lines: 1512, used: 1507, records: 1507, ..LoadReport::default() };
        [86, 516, 925, 1103].into_iter().for_each(|i| report.add_reject(reject("a.jsonl", i, Code::Empty), 100));
        report.add_reject(reject("a.jsonl", 1254, Code::DivergentTurns), 100);
        report.warnings.insert(Warning::Alternation, 3);
        let table = "\
rows read          1512
accepted           1507
E_EMPTY               4  records 86, 516, 925, 1103
E_DIVERGENT_TURNS     1  record 1254
W_ALTERNATION         3";
        assert_eq!(report.to_string(), table);
        let other = LoadReport { lines: 12, blank: 2, ..LoadReport::default() };
        let other = (0..10).fold(other, |mut report, i| {
            report.add_reject(reject("b.jsonl", i, Code::Identical), 100);
            report
        });
        report.merge(other);
        let merged = report.to_string();
        assert!(merged.contains("blank lines           2\n"), "{merged}");
        assert!(merged.contains("E_DIVERGENT_TURNS     1  record a.jsonl:1254\n"), "{merged}");
        assert!(merged.contains("b.jsonl:6, b.jsonl:7, ...\n"), "{merged}");
    }

    #[test]
    fn a_report_is_written_with_the_codes_as_keys() {
        let mut report = LoadReport { lines: 1, ..LoadReport::default() };
        report.add_reject(reject("a", 0, Code::Prefix), 0);
        let json = serde_json::to_string(&report).unwrap();
        assert!(json.contains(r#""rejected":{"E_PREFIX":1}"#), "{json}");
    }
}
