//! What a file holds its rows in: lines, an array, a table, columns; told by content, and each row given as JSON.
//!
//! | container | told by | row | line of a row |
//! |---|---|---|---|
//! | JSON Lines | nothing else fits | a line | the line |
//! | JSON array | `[` first, and a name other than `.jsonl` and `.ndjson` | an element | the line on which it starts |
//! | CSV, TSV | the name, and no `{"` first | a record | the line on which it starts |
//! | Parquet, Arrow (feature `arrow`) | the first bytes | a row | the row's number, from 1 |
//!
//! All but the last may be packed with gzip or Zstandard, told by their first bytes, and be in another encoding than
//! UTF-8. Memory is bounded by the longest row, the batch of rows or the row group, never by the file.

mod array;
pub(crate) mod bytes;
#[cfg(feature = "arrow")]
mod columns;
mod files;
mod table;

use std::{
    fs::File,
    io::{Read, Seek},
    path::Path,
};

pub use files::files;
pub(crate) use files::{ending, stem};

use crate::{
    error::{Error, Result},
    lines::{Line, LineEnd, Lines},
    read::LoadOptions,
    report::Reason,
};
use bytes::Bytes;

/// What a file holds its rows in. Parquet and Arrow are always told by their first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Container {
    /// Told by content and name.
    #[default]
    Auto,
    /// One object a line.
    JsonLines,
    /// One array of objects.
    JsonArray,
    /// A table with a header, its cells parted by commas.
    Csv,
    /// A table with a header, its cells parted by tabs.
    Tsv,
}

/// Gives rows one by one, each as JSON.
pub(crate) trait RowSource: Send {
    /// The next row; none at the end, and after a row that is broken.
    fn next_line(&mut self) -> Result<Option<Line<'_>>>;

    /// Whether all values are text, numbers and lists too.
    fn has_cells(&self) -> bool {
        false
    }
}

impl RowSource for Lines {
    fn next_line(&mut self) -> Result<Option<Line<'_>>> {
        Lines::next_line(self)
    }
}

/// A row whose bytes stand in the buffer of its source.
struct Body {
    number: usize,
    offset: u64,
    end: LineEnd,
}

impl Body {
    fn bad(number: usize, offset: u64, reason: Reason) -> Self {
        Self { number, offset, end: LineEnd::Bad(reason) }
    }
}

/// Opens a file.
pub(crate) fn open(path: &Path, options: &LoadOptions) -> Result<Box<dyn RowSource>> {
    let cannot_open = |source| Error::Open { path: path.to_path_buf(), source };
    let mut file = File::open(path).map_err(cannot_open)?;
    let mut magic = Vec::new();
    // What cannot be read, such as a folder, says so when it is read again.
    if (&file).take(8).read_to_end(&mut magic).is_ok() && columns_magic(&magic) {
        file.rewind().map_err(cannot_open)?;
        return open_columns(path, file, &magic);
    }
    let is_file = file.metadata().is_ok_and(|data| data.is_file());
    let reader: Box<dyn Read + Send> = match is_file {
        true => {
            file.rewind().map_err(cannot_open)?;
            Box::new(file)
        }
        // A pipe gives its bytes once.
        false => Box::new(std::io::Cursor::new(magic).chain(file)),
    };
    let bytes = Bytes::over(reader, options.encoding);
    if let Some(error) = not_data(path, &bytes.head) {
        return Err(error);
    }
    let limit = options.max_line_bytes;
    Ok(match tell(path, &bytes.head, options.container) {
        Container::JsonArray => Box::new(array::JsonArray::new(path, bytes, limit)),
        Container::Csv => Box::new(table::Table::new(path, bytes, b',', options)),
        Container::Tsv => Box::new(table::Table::new(path, bytes, b'\t', options)),
        Container::Auto | Container::JsonLines => Box::new(Lines::over(path, bytes, limit)),
    })
}

/// Tells a container by its first bytes and its name.
fn tell(path: &Path, head: &[u8], container: Container) -> Container {
    if container != Container::Auto {
        return container;
    }
    let text = head.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(head).trim_ascii_start();
    let ending = files::ending(path);
    let is_object = text.strip_prefix(b"{").is_some_and(|rest| rest.trim_ascii_start().starts_with(b"\""));
    match &ending[..] {
        "jsonl" | "ndjson" => Container::JsonLines,
        "csv" if !is_object => Container::Csv,
        "tsv" if !is_object => Container::Tsv,
        _ if text.starts_with(b"[") => Container::JsonArray,
        _ => Container::JsonLines,
    }
}

/// Tells a Git LFS pointer and a saved web page by the first text in the file.
fn not_data(path: &Path, head: &[u8]) -> Option<Error> {
    let path = path.to_path_buf();
    match head.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(head).trim_ascii_start() {
        [b'<', b'a'..=b'z' | b'A'..=b'Z' | b'!' | b'?', ..] => Some(Error::Html { path }),
        text if text.starts_with(b"version https://git-lfs.github.com/spec/") => Some(Error::LfsPointer { path }),
        _ => None,
    }
}

/// Parquet, an Arrow file, or an Arrow stream.
fn columns_magic(magic: &[u8]) -> bool {
    magic.starts_with(b"PAR1") || magic.starts_with(b"ARROW1") || magic.starts_with(&[0xFF; 4])
}

#[cfg(feature = "arrow")]
fn open_columns(path: &Path, file: File, magic: &[u8]) -> Result<Box<dyn RowSource>> {
    Ok(Box::new(columns::Columns::open(path, file, magic)))
}

#[cfg(not(feature = "arrow"))]
fn open_columns(path: &Path, _: File, _: &[u8]) -> Result<Box<dyn RowSource>> {
    Err(Error::NeedsFeature { path: path.to_path_buf(), feature: "arrow" })
}
