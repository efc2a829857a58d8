//! A file that holds one JSON array: its elements, one by one, in bounded memory.

use std::{
    io::{self, BufRead},
    path::{Path, PathBuf},
};

use super::{
    Body, RowSource,
    bytes::{Bytes, is_damage},
};
use crate::{
    error::{Error, Result},
    lines::{Line, LineEnd, extend_within},
    report::{Code, Reason},
};

/// Where the reader is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// In front of the opening bracket.
    Before,
    /// In front of an element; whether a comma was in front of it.
    Between {
        comma: bool,
    },
    /// The last element is given, and the array is not closed.
    Open,
    /// Behind the closing bracket.
    After,
    Done,
}

/// Reads an array element by element. The line of an element is the one on which it starts.
pub(super) struct JsonArray {
    path: PathBuf,
    source: Box<dyn BufRead + Send>,
    packed: bool,
    max_bytes: usize,
    buffer: Vec<u8>,
    /// The current line, from 1.
    number: usize,
    /// The current byte.
    offset: u64,
    state: State,
}

/// How far into an element the reader is.
#[derive(Default)]
struct Depth {
    open: usize,
    in_string: bool,
    escaped: bool,
}

impl JsonArray {
    pub fn new(path: &Path, bytes: Bytes, max_bytes: usize) -> Self {
        let (source, packed) = (bytes.source, bytes.packed);
        let (path, buffer) = (path.to_path_buf(), Vec::new());
        Self { path, source, packed, max_bytes, buffer, number: 1, offset: 0, state: State::Before }
    }

    /// The next byte that is no white space, left where it is; none at the end of the file.
    fn skip_space(&mut self) -> io::Result<Option<u8>> {
        const MARK: &[u8] = &[0xEF, 0xBB, 0xBF];
        loop {
            let chunk = match self.source.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                chunk => chunk?,
            };
            if chunk.is_empty() {
                return Ok(None);
            }
            let is_space =
                |&byte: &u8| byte.is_ascii_whitespace() || self.state == State::Before && MARK.contains(&byte);
            let len = chunk.iter().position(|byte| !is_space(byte)).unwrap_or(chunk.len());
            let (newlines, found) = (memchr::memchr_iter(b'\n', &chunk[..len]).count(), chunk.get(len).copied());
            self.number += newlines;
            self.offset += len as u64;
            self.source.consume(len);
            if found.is_some() {
                return Ok(found);
            }
        }
    }

    fn skip_byte(&mut self) {
        self.source.consume(1);
        self.offset += 1;
    }

    /// Takes an element up to the comma or bracket behind it, which stays; how many bytes it has, and whether it is whole.
    fn take_element(&mut self) -> io::Result<(u64, bool)> {
        let (mut depth, mut len) = (Depth::default(), 0u64);
        loop {
            let chunk = match self.source.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                chunk => chunk?,
            };
            if chunk.is_empty() {
                return Ok((len, depth.open == 0 && !depth.in_string));
            }
            let end = depth.end_of_element(chunk);
            let part = &chunk[..end.unwrap_or(chunk.len())];
            let room = self.max_bytes.saturating_sub(self.buffer.len());
            extend_within(&mut self.buffer, &part[..part.len().min(room)], self.max_bytes);
            self.number += memchr::memchr_iter(b'\n', part).count();
            let taken = part.len();
            len += taken as u64;
            self.offset += taken as u64;
            self.source.consume(taken);
            if end.is_some() {
                return Ok((len, true));
            }
        }
    }

    fn step(&mut self) -> io::Result<Option<Body>> {
        loop {
            let next = self.skip_space()?;
            let (number, offset) = (self.number, self.offset);
            let bad = |code, message: &str| Body::bad(number, offset, Reason::new(code, message));
            match (self.state, next) {
                (State::Done, _) | (State::After, None) => {
                    self.state = State::Done;
                    return Ok(None);
                }
                (State::Before, Some(b'[')) => {
                    self.skip_byte();
                    self.state = State::Between { comma: false };
                }
                (State::Before, None) => {
                    self.state = State::Done;
                    return Ok(None);
                }
                (State::Before, Some(_)) => {
                    self.state = State::Done;
                    return Ok(Some(bad(Code::Json, "expected `[`, which begins an array")));
                }
                (State::After, Some(_)) => {
                    self.state = State::Done;
                    return Ok(Some(bad(Code::Json, "expected the end of the file behind the array")));
                }
                (State::Between { .. } | State::Open, None) => {
                    self.state = State::Done;
                    return Ok(Some(bad(Code::Truncated, "the array breaks off with the file: expected `]`")));
                }
                (State::Open, Some(byte)) => {
                    self.skip_byte();
                    self.state = if byte == b']' { State::After } else { State::Between { comma: true } };
                }
                (State::Between { comma }, Some(b']')) => {
                    self.skip_byte();
                    self.state = State::After;
                    if comma {
                        return Ok(Some(bad(Code::Json, "expected an element, found `]`")));
                    }
                }
                (State::Between { .. }, Some(b',')) => {
                    self.skip_byte();
                    self.state = State::Between { comma: true };
                    return Ok(Some(bad(Code::Json, "expected an element, found `,`")));
                }
                (State::Between { .. }, Some(_)) => {
                    // Left so if an error comes: what follows a broken stream is nothing.
                    self.state = State::Done;
                    let (len, whole) = self.take_element()?;
                    self.state = if whole { State::Open } else { State::Done };
                    let end = match whole {
                        _ if len > self.max_bytes as u64 => LineEnd::TooLong(len),
                        true => LineEnd::Newline,
                        false => LineEnd::File,
                    };
                    return Ok(Some(Body { number, offset, end }));
                }
            }
        }
    }
}

impl RowSource for JsonArray {
    fn next_line(&mut self) -> Result<Option<Line<'_>>> {
        if self.state == State::Done {
            return Ok(None);
        }
        self.buffer.clear();
        let start = (self.number, self.offset);
        match self.step() {
            Ok(None) => Ok(None),
            Ok(Some(Body { number, offset, end })) => {
                Ok(Some(Line { number, offset, bytes: self.buffer.trim_ascii_end(), end }))
            }
            Err(error) if self.packed && is_damage(&error) => {
                self.state = State::Done;
                Ok(Some(Line { number: start.0, offset: start.1, bytes: &self.buffer, end: LineEnd::Broken(error) }))
            }
            Err(source) => {
                self.state = State::Done;
                Err(Error::Read { path: self.path.clone(), line: self.number, source })
            }
        }
    }
}

impl Depth {
    /// Goes on through an element; where it ends, if it ends here.
    fn end_of_element(&mut self, chunk: &[u8]) -> Option<usize> {
        let mut at = 0;
        while let Some(&byte) = chunk.get(at) {
            if self.in_string {
                if self.escaped {
                    self.escaped = false;
                    at += 1;
                    continue;
                }
                at += memchr::memchr2(b'"', b'\\', &chunk[at..])?;
                if chunk[at] == b'"' {
                    self.in_string = false;
                } else {
                    self.escaped = true;
                }
                at += 1;
                continue;
            }
            match byte {
                b'"' => self.in_string = true,
                b'{' | b'[' => self.open += 1,
                b']' | b',' if self.open == 0 => return Some(at),
                b'}' | b']' => self.open = self.open.saturating_sub(1),
                _ => {}
            }
            at += 1;
        }
        None
    }
}
