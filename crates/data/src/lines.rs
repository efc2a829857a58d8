//! The lines of a file, plain or packed, in bounded memory.

use std::{
    fs::File,
    io::{self, BufRead},
    path::{Path, PathBuf},
};

use encoding_rs::UTF_8;

use crate::{
    container::bytes::{Bytes, is_damage},
    error::{Error, Result},
    report::Reason,
};

const BYTE_ORDER_MARK: &[u8] = &[0xEF, 0xBB, 0xBF];

/// Reads a file line by line. Gzip and Zstandard are told by their first bytes, whatever the file's name; members and
/// frames are joined.
///
/// A line ends at the byte 0x0A and nowhere else (U+2028 and form feeds occur inside real conversations); one 0x0D
/// before it is dropped, and so is a byte-order mark at the start of the file. A last line needs no newline.
pub struct Lines {
    path: PathBuf,
    source: Box<dyn BufRead + Send>,
    packed: bool,
    max_line_bytes: usize,
    buffer: Vec<u8>,
    number: usize,
    offset: u64,
    done: bool,
}

/// One line.
#[derive(Debug)]
pub struct Line<'a> {
    /// Its number, from 1.
    pub number: usize,
    /// Its first byte, from 0, in the decompressed text.
    pub offset: u64,
    /// Its bytes without the line's end, and at most the limit of them.
    pub bytes: &'a [u8],
    /// How it ended.
    pub end: LineEnd,
}

/// How a line ended.
#[derive(Debug)]
#[non_exhaustive]
pub enum LineEnd {
    /// With a newline.
    Newline,
    /// With the file.
    File,
    /// It has this many bytes, more than the limit; the rest was skipped.
    TooLong(u64),
    /// Its container says that it is no row.
    Bad(Reason),
    /// The packed stream broke off or is damaged; nothing after it can be read. The line may have no byte at all.
    Broken(io::Error),
}

impl Line<'_> {
    /// Whether the line is there in full and holds nothing but white space.
    pub fn is_blank(&self) -> bool {
        matches!(self.end, LineEnd::Newline | LineEnd::File) && self.bytes.trim_ascii().is_empty()
    }
}

impl Lines {
    /// Opens a file. No line longer than `max_line_bytes` is ever held in memory.
    ///
    /// # Errors
    /// [`Error::Open`] if the file cannot be opened.
    pub fn open(path: impl AsRef<Path>, max_line_bytes: usize) -> Result<Self> {
        let path = path.as_ref().to_path_buf();
        let file = File::open(&path).map_err(|source| Error::Open { path: path.clone(), source })?;
        Ok(Self::over(&path, Bytes::over(file, UTF_8), max_line_bytes))
    }

    pub(crate) fn over(path: &Path, bytes: Bytes, max_line_bytes: usize) -> Self {
        let (path, source, packed) = (path.to_path_buf(), bytes.source, bytes.packed);
        Self { path, source, packed, max_line_bytes, buffer: Vec::new(), number: 0, offset: 0, done: false }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the bytes were packed.
    pub fn is_packed(&self) -> bool {
        self.packed
    }

    /// The next line, or none at the end of the file and after a line that is [`LineEnd::Broken`].
    ///
    /// # Errors
    /// [`Error::Read`] if the system fails; there is no line after it.
    pub fn next_line(&mut self) -> Result<Option<Line<'_>>> {
        if self.done {
            return Ok(None);
        }
        self.buffer.clear();
        let (mut offset, mut len) = (self.offset, 0u64);
        let end = loop {
            let chunk = match self.source.fill_buf() {
                Ok(chunk) => chunk,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if self.packed && is_damage(&error) => break LineEnd::Broken(error),
                Err(source) => {
                    self.done = true;
                    return Err(Error::Read { path: self.path.clone(), line: self.number + 1, source });
                }
            };
            if chunk.is_empty() {
                break LineEnd::File;
            }
            let newline = memchr::memchr(b'\n', chunk);
            let part = &chunk[..newline.unwrap_or(chunk.len())];
            len += part.len() as u64;
            let consumed = part.len() + usize::from(newline.is_some());
            let room = self.max_line_bytes - self.buffer.len();
            extend_within(&mut self.buffer, &part[..part.len().min(room)], self.max_line_bytes);
            self.source.consume(consumed);
            self.offset += consumed as u64;
            if newline.is_some() {
                break LineEnd::Newline;
            }
        };
        self.done = !matches!(end, LineEnd::Newline);
        if len == 0 && matches!(end, LineEnd::File) {
            return Ok(None);
        }
        self.number += 1;
        let mut bytes = &self.buffer[..];
        if self.number == 1 && bytes.starts_with(BYTE_ORDER_MARK) {
            bytes = &bytes[BYTE_ORDER_MARK.len()..];
            offset += BYTE_ORDER_MARK.len() as u64;
        }
        let end = match end {
            LineEnd::Newline | LineEnd::File if len > self.max_line_bytes as u64 => LineEnd::TooLong(len),
            end => {
                bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
                end
            }
        };
        Ok(Some(Line { number: self.number, offset, bytes, end }))
    }
}

/// Appends as `Vec` does, doubling, but never reserves more than `limit` bytes.
pub(crate) fn extend_within(buffer: &mut Vec<u8>, part: &[u8], limit: usize) {
    let needed = buffer.len() + part.len();
    if needed > buffer.capacity() {
        let capacity = needed.max((2 * buffer.capacity()).min(limit));
        buffer.reserve_exact(capacity - buffer.len());
    }
    buffer.extend_from_slice(part);
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Read};

    use super::*;

    fn over(reader: impl Read + Send + 'static, limit: usize) -> Lines {
        Lines::over(Path::new("x"), Bytes::over(reader, UTF_8), limit)
    }

    fn lines(bytes: impl AsRef<[u8]>, limit: usize) -> Vec<(usize, u64, Vec<u8>, String)> {
        let mut lines = over(Cursor::new(bytes.as_ref().to_vec()), limit);
        let mut out = Vec::new();
        while let Some(line) = lines.next_line().unwrap() {
            out.push((line.number, line.offset, line.bytes.to_vec(), format!("{:?}", line.end)));
        }
        out
    }

    #[test]
    fn only_newlines_split_and_one_return_is_dropped() {
        let got = lines("\u{feff}a\u{2028}b\r\n\x0c\r\r\n\nlast", 100);
        let texts: Vec<_> = got.iter().map(|line| std::str::from_utf8(&line.2).unwrap()).collect();
        assert_eq!(texts, ["a\u{2028}b", "\x0c\r", "", "last"]);
        // 3 bytes of mark, 5 of text (U+2028 has three), return and newline; then 4; then 1.
        assert_eq!(got.iter().map(|line| line.1).collect::<Vec<_>>(), [3, 10, 14, 15]);
        assert_eq!(got.iter().map(|line| &line.3[..]).collect::<Vec<_>>(), ["Newline", "Newline", "Newline", "File"]);
        assert!(lines("", 100).is_empty());
        assert_eq!(lines("\n", 100).len(), 1);
    }

    #[test]
    fn a_line_of_exactly_the_limit_is_read_and_one_more_byte_is_too_long() {
        let got = lines("12345\n123456\nab", 5);
        assert_eq!((&got[0].2[..], &got[0].3[..]), (&b"12345"[..], "Newline"));
        assert_eq!((&got[1].2[..], &got[1].3[..]), (&b"12345"[..], "TooLong(6)"));
        assert_eq!((got[2].0, got[2].1, &got[2].2[..]), (3, 13, &b"ab"[..]));
    }

    #[test]
    fn a_long_line_is_never_held_in_full() {
        let long = io::repeat(b'a').take(50_000_000).chain(Cursor::new("\nnext\n"));
        let mut lines = over(long, 1 << 20);
        let line = lines.next_line().unwrap().unwrap();
        assert!(matches!(line.end, LineEnd::TooLong(50_000_000)));
        assert_eq!(line.bytes.len(), 1 << 20);
        assert_eq!(lines.next_line().unwrap().unwrap().bytes, b"next");
        assert!(lines.buffer.capacity() <= 1 << 20, "{}", lines.buffer.capacity());
    }

    #[test]
    fn a_failing_system_is_an_error_that_names_file_and_line() {
        struct Failing;
        impl Read for Failing {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("the disk is gone"))
            }
        }
        let mut lines = over(Cursor::new("one\ntwo").chain(Failing), 100);
        assert_eq!(lines.next_line().unwrap().unwrap().bytes, b"one");
        let error = lines.next_line().unwrap_err();
        assert_eq!(error.to_string(), "cannot read `x` at line 2");
        assert!(lines.next_line().unwrap().is_none());
    }
}
