//! CSV and TSV: the records of a table with a header, in bounded memory.
//!
//! The crate `csv` reads a record into cells. Where a record ends is found before, by its rules: a newline outside of
//! quotes, and quotes count only around a whole cell. That bounds a record, and a quote that is never closed costs one
//! line: reading goes on behind that line, not at the end of the file.

use std::{
    io::{self, BufRead},
    path::{Path, PathBuf},
};

use super::{
    RowSource,
    bytes::{Bytes, is_damage},
};
use crate::{
    error::{Error, Result},
    lines::{Line, LineEnd, extend_within},
    read::LoadOptions,
    report::{Code, Reason},
};

/// Reads the records of a table. A record becomes an object of its cells by the names in the header; an empty cell
/// becomes null, since a table has nothing else for it.
pub(super) struct Table {
    path: PathBuf,
    records: Records,
    delimiter: u8,
    packed: bool,
    header: Option<Vec<Vec<u8>>>,
    skip: usize,
    json: Vec<u8>,
    done: bool,
}

impl Table {
    pub fn new(path: &Path, bytes: Bytes, delimiter: u8, options: &LoadOptions) -> Self {
        let source = Rewind { pending: Vec::new(), at: 0, source: bytes.source };
        let (max_bytes, number) = (options.max_line_bytes, 1);
        let records = Records { source, delimiter, max_bytes, buffer: Vec::new(), number, offset: 0 };
        let (path, packed, skip) = (path.to_path_buf(), bytes.packed, options.skip_after_header);
        Self { path, records, delimiter, packed, header: None, skip, json: Vec::new(), done: false }
    }

    fn step(&mut self) -> io::Result<Option<(usize, u64, LineEnd)>> {
        loop {
            let Some(found) = self.records.next()? else { return Ok(None) };
            let (number, offset) = (found.number, found.offset);
            self.json.clear();
            let bytes = match found.end {
                RecordEnd::TooLong(len) => {
                    self.json.extend_from_slice(&self.records.buffer);
                    return Ok(Some((number, offset, LineEnd::TooLong(len))));
                }
                RecordEnd::OpenQuote { at_end } => {
                    self.json.extend_from_slice(first_line(&self.records.buffer));
                    let (code, within) = match at_end {
                        true => (Code::Truncated, "the file".to_owned()),
                        false => (Code::LineTooLong, format!("{} bytes", self.records.max_bytes)),
                    };
                    let message = format!("a quote at the beginning of a cell is not closed within {within}");
                    return Ok(Some((number, offset, LineEnd::Bad(Reason::new(code, message)))));
                }
                RecordEnd::Whole => &self.records.buffer[..],
            };
            // Lines above the header are none of the table's; tabs alone are a record of empty cells.
            match (&self.header, bytes.iter().all(|&byte| byte == b' ')) {
                (None, true) => continue,
                (Some(_), true) => return Ok(Some((number, offset, LineEnd::Newline))),
                _ => {}
            }
            let cells = cells(bytes, self.delimiter)?;
            let Some(header) = &self.header else {
                self.header = Some(cells.iter().map(<[u8]>::to_vec).collect());
                continue;
            };
            if self.skip > 0 {
                self.skip -= 1;
                continue;
            }
            if cells.len() != header.len() {
                let message = format!("expected {} cells as in the header, found {}", header.len(), cells.len());
                self.json.extend_from_slice(bytes);
                return Ok(Some((number, offset, LineEnd::Bad(Reason::new(Code::LenMismatch, message)))));
            }
            self.json.push(b'{');
            for (i, (name, cell)) in header.iter().zip(&cells).enumerate() {
                if i > 0 {
                    self.json.push(b',');
                }
                push_string(&mut self.json, name);
                self.json.push(b':');
                match cell {
                    [] => self.json.extend_from_slice(b"null"),
                    cell => push_string(&mut self.json, cell),
                }
            }
            self.json.push(b'}');
            return Ok(Some((number, offset, LineEnd::Newline)));
        }
    }
}

impl RowSource for Table {
    fn next_line(&mut self) -> Result<Option<Line<'_>>> {
        if self.done {
            return Ok(None);
        }
        let start = (self.records.number, self.records.offset);
        match self.step() {
            Ok(None) => {
                self.done = true;
                Ok(None)
            }
            Ok(Some((number, offset, end))) => Ok(Some(Line { number, offset, bytes: &self.json, end })),
            Err(error) if self.packed && is_damage(&error) => {
                self.done = true;
                let bytes = &self.records.buffer;
                Ok(Some(Line { number: start.0, offset: start.1, bytes, end: LineEnd::Broken(error) }))
            }
            Err(source) => {
                self.done = true;
                Err(Error::Read { path: self.path.clone(), line: self.records.number, source })
            }
        }
    }

    fn has_cells(&self) -> bool {
        true
    }
}

/// The cells of one record.
fn cells(record: &[u8], delimiter: u8) -> io::Result<csv::ByteRecord> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .delimiter(delimiter)
        .terminator(csv::Terminator::Any(b'\n'))
        .buffer_capacity(record.len().clamp(1, 8 << 10))
        .from_reader(record);
    let mut cells = csv::ByteRecord::with_capacity(record.len(), 16);
    reader.read_byte_record(&mut cells)?;
    Ok(cells)
}

/// Writes bytes as a JSON string. What is no UTF-8 stays what it is, for the reader of the JSON to find.
fn push_string(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    for &byte in bytes {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            0..0x20 => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

fn first_line(bytes: &[u8]) -> &[u8] {
    &bytes[..memchr::memchr(b'\n', bytes).unwrap_or(bytes.len())]
}

/// Bytes of which some are read again.
struct Rewind {
    pending: Vec<u8>,
    at: usize,
    source: Box<dyn BufRead + Send>,
}

impl Rewind {
    fn fill(&mut self) -> io::Result<&[u8]> {
        if self.at < self.pending.len() {
            return Ok(&self.pending[self.at..]);
        }
        // What has been read again is let go.
        (self.pending, self.at) = (Vec::new(), 0);
        loop {
            match self.source.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
                Ok(_) => break,
            }
        }
        self.source.fill_buf()
    }

    fn consume(&mut self, len: usize) {
        if self.at < self.pending.len() { self.at += len } else { self.source.consume(len) }
    }

    /// Reads these bytes again, then what was left.
    fn put_back(&mut self, bytes: &[u8]) {
        self.pending.splice(..self.at, bytes.iter().copied());
        self.at = 0;
    }
}

/// How a record ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RecordEnd {
    Whole,
    /// It has this many bytes, more than the limit.
    TooLong(u64),
    /// A quote is open where the file ends, or the limit on a record.
    OpenQuote {
        at_end: bool,
    },
}

struct Found {
    number: usize,
    offset: u64,
    end: RecordEnd,
}

/// Where in a cell the reader is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    CellStart,
    Plain,
    Quoted,
    QuoteInQuoted,
}

/// Finds where records end.
struct Records {
    source: Rewind,
    delimiter: u8,
    max_bytes: usize,
    buffer: Vec<u8>,
    /// The line, from 1, and the byte at which the next record starts.
    number: usize,
    offset: u64,
}

impl Records {
    fn next(&mut self) -> io::Result<Option<Found>> {
        self.buffer.clear();
        let (mut at, mut len, mut lines) = (At::CellStart, 0u64, 0usize);
        let end = loop {
            let chunk = self.source.fill()?;
            let room = self.max_bytes.saturating_sub(self.buffer.len());
            let open = at == At::Quoted && memchr::memchr(b'\n', &self.buffer).is_some();
            if chunk.is_empty() {
                match (at, len) {
                    (At::CellStart, 0) => return Ok(None),
                    (At::Quoted, _) if len <= self.max_bytes as u64 => break RecordEnd::OpenQuote { at_end: true },
                    _ => break RecordEnd::of(len, self.max_bytes),
                }
            }
            let seen = match room {
                0 if open => break RecordEnd::OpenQuote { at_end: false },
                // It is too long, or ends here: no quote matters any more.
                0 => {
                    at = At::Plain;
                    chunk
                }
                _ => &chunk[..chunk.len().min(room)],
            };
            let end = scan(seen, self.delimiter, &mut at);
            let part = &seen[..end.unwrap_or(seen.len())];
            extend_within(&mut self.buffer, &part[..part.len().min(room)], self.max_bytes);
            lines += memchr::memchr_iter(b'\n', part).count();
            len += part.len() as u64;
            let taken = part.len() + usize::from(end.is_some());
            self.source.consume(taken);
            if end.is_some() {
                break RecordEnd::of(len, self.max_bytes);
            }
        };
        let (number, offset) = (self.number, self.offset);
        let first = first_line(&self.buffer).len();
        if matches!(end, RecordEnd::OpenQuote { .. }) && first < self.buffer.len() {
            // The lines behind the first are records of their own.
            self.source.put_back(&self.buffer[first + 1..]);
            (lines, len) = (0, first as u64);
        }
        self.number += lines + 1;
        self.offset += len + 1;
        let mut found = Found { number, offset, end };
        if number == 1 && self.buffer.starts_with(b"\xEF\xBB\xBF") {
            self.buffer.drain(..3);
            found.offset += 3;
        }
        if end == RecordEnd::Whole && self.buffer.ends_with(b"\r") {
            self.buffer.pop();
        }
        Ok(Some(found))
    }
}

impl RecordEnd {
    fn of(len: u64, max_bytes: usize) -> Self {
        if len > max_bytes as u64 { Self::TooLong(len) } else { Self::Whole }
    }
}

/// Goes on through a record; where its newline is, if that is here.
fn scan(chunk: &[u8], delimiter: u8, at: &mut At) -> Option<usize> {
    let mut i = 0;
    while let Some(&byte) = chunk.get(i) {
        if *at == At::Quoted {
            i += memchr::memchr(b'"', &chunk[i..])? + 1;
            *at = At::QuoteInQuoted;
            continue;
        }
        *at = match byte {
            b'\n' => return Some(i),
            _ if byte == delimiter => At::CellStart,
            b'"' if *at != At::Plain => At::Quoted,
            _ => At::Plain,
        };
        i += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use encoding_rs::UTF_8;
    use proptest::prelude::*;

    use super::*;

    fn table(text: &[u8], options: &LoadOptions) -> Vec<(usize, u64, Vec<u8>, String)> {
        let bytes = Bytes::over(Cursor::new(text.to_vec()), UTF_8);
        let mut table = Table::new(Path::new("x"), bytes, b',', options);
        let mut rows = Vec::new();
        while let Some(line) = table.next_line().unwrap() {
            rows.push((line.number, line.offset, line.bytes.to_vec(), format!("{:?}", line.end)));
        }
        rows
    }

    #[test]
    fn bytes_that_json_escapes_are_escaped_and_no_others() {
        let mut out = Vec::new();
        push_string(&mut out, b"a\"\\\n\x1F \xFF\xC3\xA9");
        assert_eq!(out, b"\"a\\\"\\\\\\u000a\\u001f \xFF\xC3\xA9\"");
    }

    #[test]
    fn places_are_those_of_the_text() {
        let rows = table(b"\xEF\xBB\xBFa,b\n\"x\ny\",1\r\n\n2,3", &LoadOptions::default());
        let places: Vec<_> = rows.iter().map(|row| (row.0, row.1)).collect();
        // 3 bytes of mark, 4 of header; 8 and a return and a newline; one empty line.
        assert_eq!(places, [(2, 7), (4, 16), (5, 17)]);
        assert_eq!(rows[0].2, br#"{"a":"x\u000ay","b":"1"}"#);
        assert_eq!(rows[1].2, b"");
    }

    #[test]
    fn lines_above_the_header_that_are_empty_are_none_of_the_tables() {
        assert_eq!(table(b"\n \na\n1\n", &LoadOptions::default()).len(), 1);
        assert!(table(b"", &LoadOptions::default()).is_empty());
        assert!(table(b"a,b\n", &LoadOptions::default()).is_empty());
    }

    proptest! {
        #[test]
        fn records_end_where_the_crate_csv_ends_them(
            // A return in front of a newline is none of the cell's; the crate has no such terminator inside of quotes.
            parts in prop_oneof![
                prop::collection::vec(prop::sample::select(vec!["a", "\"", "\"\"", ",", "\n", "é", " "]), 0..40),
                prop::collection::vec(prop::sample::select(vec!["a", ",", "\n", "\r\n", "é", " "]), 0..40),
            ],
            whole in any::<bool>(),
        ) {
            let mut text = parts.concat();
            if whole {
                text.push('\n');
            }
            let ours = {
                let source = Rewind { pending: Vec::new(), at: 0, source: Box::new(Cursor::new(text.clone())) };
                let (delimiter, max_bytes) = (b',', 1 << 20);
                let mut records = Records { source, delimiter, max_bytes, buffer: Vec::new(), number: 1, offset: 0 };
                let mut all = Vec::new();
                let mut open = false;
                while let Some(found) = records.next().unwrap() {
                    open |= found.end != RecordEnd::Whole;
                    if !records.buffer.is_empty() {
                        let cells = cells(&records.buffer, b',').unwrap();
                        all.push(cells.iter().map(<[u8]>::to_vec).collect::<Vec<_>>());
                    }
                }
                // Behind a quote that is never closed the crate reads on, to the end of the file.
                prop_assume!(!open);
                all
            };
            let text = text.replace("\r\n", "\n");
            let mut reader = csv::ReaderBuilder::new()
                .has_headers(false)
                .flexible(true)
                .terminator(csv::Terminator::Any(b'\n'))
                .from_reader(text.as_bytes());
            let theirs: Vec<Vec<Vec<u8>>> = reader
                .byte_records()
                .map(|record| record.unwrap().iter().map(<[u8]>::to_vec).collect())
                .collect();
            prop_assert_eq!(ours, theirs);
        }
    }
}
