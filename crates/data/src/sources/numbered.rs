//! Rows of a table by the numbers of their columns, for tables with several lines of headers or none.

use std::{
    fs::File,
    io::BufRead,
    path::{Path, PathBuf},
};

use encoding_rs::Encoding;
use serde_json::{Map, Value};

use crate::{
    container::{RowSource, bytes::Bytes},
    error::{Error, Result},
    lines::{Line, LineEnd},
};

/// Gives each record of a CSV file as an object whose keys count columns from 1; an empty cell is null.
pub(crate) struct Numbered {
    path: PathBuf,
    reader: csv::Reader<Box<dyn BufRead + Send>>,
    record: csv::ByteRecord,
    skip: usize,
    json: Vec<u8>,
}

impl Numbered {
    /// Opens a file in an encoding, whose first `skip` records are headers.
    pub fn open(path: &Path, encoding: &'static Encoding, skip: usize) -> Result<Self> {
        let file = File::open(path).map_err(|source| Error::Open { path: path.to_path_buf(), source })?;
        let bytes = Bytes::over(file, encoding);
        let reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(bytes.source);
        Ok(Self { path: path.to_path_buf(), reader, record: csv::ByteRecord::new(), skip, json: Vec::new() })
    }
}

impl RowSource for Numbered {
    fn next_line(&mut self) -> Result<Option<Line<'_>>> {
        loop {
            let more = self.reader.read_byte_record(&mut self.record).map_err(|error| Error::Read {
                path: self.path.clone(),
                line: usize::try_from(self.reader.position().line()).unwrap_or(usize::MAX),
                source: std::io::Error::other(error),
            })?;
            if !more {
                return Ok(None);
            }
            if self.skip == 0 {
                break;
            }
            self.skip -= 1;
        }
        let cell = |cell: &[u8]| if cell.is_empty() { Value::Null } else { String::from_utf8_lossy(cell).into() };
        let row: Map<_, _> =
            self.record.iter().enumerate().map(|(i, text)| ((i + 1).to_string(), cell(text))).collect();
        self.json = Value::Object(row).to_string().into_bytes();
        let (line, byte) = self.record.position().map_or((0, 0), |position| (position.line(), position.byte()));
        let number = usize::try_from(line).unwrap_or(usize::MAX);
        Ok(Some(Line { number, offset: byte, bytes: &self.json, end: LineEnd::Newline }))
    }

    fn has_cells(&self) -> bool {
        true
    }
}
