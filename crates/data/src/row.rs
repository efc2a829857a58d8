//! One line of JSON Lines as an object, and what can be wrong with it.

use std::{borrow::Cow, path::Path};

use serde::{Deserialize, Deserializer, de};
use serde_json::{Map, Value, error::Category};

use crate::{
    lines::LineEnd,
    record::{Fields, Provenance, Reading},
    report::{Code, Reason, Warning, excerpt_bytes},
};

/// One row on its way to a record.
#[derive(Debug)]
pub struct Row<'a> {
    /// The file.
    pub file: &'a Path,
    /// The line, from 1, in the decompressed text.
    pub line: usize,
    /// Its first byte, from 0, in the decompressed text.
    pub byte_offset: u64,
    /// The row's number, from 0; blank lines have none.
    pub record_index: usize,
    /// Its fields. What a parser leaves here belongs into the record's `meta`.
    pub fields: Fields<'a>,
}

impl Row<'_> {
    /// Where the row is.
    pub fn place(&self) -> Place {
        Place { line: self.line, byte_offset: self.byte_offset, record_index: self.record_index }
    }

    /// Where a record of this row comes from.
    pub fn provenance(&self, source: &str) -> Provenance {
        let file = self.file.to_string_lossy().into_owned();
        Provenance { source: source.to_owned(), file, line: self.line, record_index: self.record_index }
    }

    /// Takes a string out of the row.
    ///
    /// # Errors
    /// [`Code::MissingField`], [`Code::Null`] or [`Code::Type`], with a message that says what is there instead.
    pub fn take_text(&mut self, field: &str) -> std::result::Result<String, Reason> {
        self.fields.need_string(field)
    }

    /// Notes that the row is odd. It counts once, and only if the row becomes a record.
    pub fn warn(&mut self, warning: Warning) {
        self.fields.reading().warn(warning);
    }
}

/// Where a row is in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The line, from 1, in the decompressed text.
    pub line: usize,
    /// Its first byte, from 0, in the decompressed text.
    pub byte_offset: u64,
    /// The row's number, from 0; blank lines have none.
    pub record_index: usize,
}

/// The object on a line. With `repair`, what can be mended is mended and noted.
pub(crate) fn parse_fields(
    bytes: &[u8],
    end: &LineEnd,
    repair: bool,
    reading: &mut Reading,
) -> std::result::Result<Map<String, Value>, Reason> {
    let last = match end {
        LineEnd::Newline => false,
        LineEnd::File => true,
        LineEnd::Bad(reason) => return Err(reason.clone()),
        LineEnd::TooLong(len) => {
            let message = format!("expected a line of at most {} bytes, found {len}", bytes.len());
            return Err(Reason::new(Code::LineTooLong, message));
        }
        LineEnd::Broken(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            return Err(Reason::new(Code::Truncated, "the compressed stream breaks off here"));
        }
        LineEnd::Broken(error) => {
            return Err(Reason::new(Code::Truncated, format!("the compressed stream is damaged here: {error}")));
        }
    };
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) if repair => {
            reading.repair(Code::Utf8);
            String::from_utf8_lossy(bytes)
        }
        Err(error) => {
            let start = error.valid_up_to();
            let message = format!("invalid UTF-8 at column {}", start + 1);
            let excerpt = excerpt_bytes(&bytes[start.saturating_sub(60)..]);
            return Err(Reason::new(Code::Utf8, message).with_excerpt(&excerpt));
        }
    };
    let parsed = serde_json::from_str(&text).map_err(|error| json_reason(&text, &error, last));
    let row: Parsed = match parsed {
        Err(reason) if repair && matches!(reason.code, Code::JsonNonfinite | Code::Surrogate) => {
            let (mended, codes) = mend(&text);
            codes.into_iter().for_each(|code| reading.repair(code));
            serde_json::from_str(&mended).map_err(|error| json_reason(&mended, &error, last))?
        }
        parsed => parsed?,
    };
    if row.duplicate_key {
        reading.warn(Warning::DupKey);
    }
    Ok(row.fields)
}

/// Puts null in place of `NaN` and infinities, and the replacement character in place of halves of surrogate pairs.
fn mend(text: &str) -> (String, Vec<Code>) {
    const WORDS: [&str; 3] = ["-Infinity", "Infinity", "NaN"];
    let (mut out, mut codes) = (String::with_capacity(text.len()), Vec::new());
    let (mut rest, mut in_string) = (text, false);
    let unit = |rest: &str| {
        let digits = rest.strip_prefix("\\u")?.get(..4)?;
        u16::from_str_radix(digits, 16).ok()
    };
    while let Some(c) = rest.chars().next() {
        let len = match (in_string, c) {
            (false, _) if let Some(word) = WORDS.into_iter().find(|word| rest.starts_with(word)) => {
                out.push_str("null");
                codes.push(Code::JsonNonfinite);
                word.len()
            }
            (true, '\\') => match (unit(rest), rest.get(6..).and_then(unit)) {
                (Some(0xD800..0xDC00), Some(0xDC00..0xE000)) => {
                    out.push_str(&rest[..12]);
                    12
                }
                (Some(0xD800..0xE000), _) => {
                    out.push(char::REPLACEMENT_CHARACTER);
                    codes.push(Code::Surrogate);
                    6
                }
                _ => {
                    let escape = 1 + rest[1..].chars().next().map_or(0, char::len_utf8);
                    out.push_str(&rest[..escape]);
                    escape
                }
            },
            _ => {
                in_string ^= c == '"';
                out.push(c);
                c.len_utf8()
            }
        };
        rest = &rest[len..];
    }
    (out, codes)
}

fn json_reason(text: &str, error: &serde_json::Error, last: bool) -> Reason {
    // Where in the row the parser stopped, counted from 1; a row of an array may have several lines.
    let before: usize = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
    let (column, message) = (before + error.column(), error.to_string());
    let what = message.rfind(" at line ").map_or(&message[..], |end| &message[..end]);
    // The parser points at the token or just into it ("-Infinity").
    let nonfinite = (column.saturating_sub(2)..column)
        .filter_map(|at| text.get(at..))
        .any(|rest| rest.starts_with("NaN") || rest.starts_with("Infinity"));
    let (code, message) = match error.classify() {
        Category::Data => (Code::NotObject, format!("expected one object per line, found {}", describe_text(text))),
        Category::Eof if last => {
            (Code::Truncated, format!("the JSON breaks off with the file: {what} at column {column}"))
        }
        _ if nonfinite => (Code::JsonNonfinite, format!("`NaN` and `Infinity` are not JSON: column {column}")),
        _ if what.contains("surrogate") || what.contains("end of hex escape") => {
            (Code::Surrogate, format!("{what} at column {column}"))
        }
        _ => (Code::Json, format!("{what} at column {column}")),
    };
    Reason::new(code, message).with_excerpt(&text[text.floor_char_boundary(column.saturating_sub(60))..])
}

/// The fields of a row, and whether a key came twice.
struct Parsed {
    fields: Map<String, Value>,
    duplicate_key: bool,
}

impl<'de> Deserialize<'de> for Parsed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Parsed;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> std::result::Result<Parsed, A::Error> {
                let mut row = Parsed { fields: Map::new(), duplicate_key: false };
                while let Some((key, value)) = map.next_entry::<String, Value>()? {
                    row.duplicate_key |= row.fields.insert(key, value).is_some();
                }
                Ok(row)
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}

/// What a line of JSON holds, by its first character.
fn describe_text(text: &str) -> &'static str {
    match text.trim_ascii_start().as_bytes().first() {
        Some(b'[') => "an array",
        Some(b'"') => "a string",
        Some(b'n') => "null",
        Some(b't' | b'f') => "a boolean",
        _ => "a number",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str, end: LineEnd) -> Result<(Map<String, Value>, usize), Reason> {
        let mut reading = Reading::default();
        parse_fields(text.as_bytes(), &end, false, &mut reading).map(|fields| (fields, reading.warnings().len()))
    }

    #[test]
    fn d29_what_can_be_mended_is_mended_and_counted() {
        let mend = |bytes: &[u8]| {
            let mut reading = Reading::default();
            let fields = parse_fields(bytes, &LineEnd::Newline, true, &mut reading).unwrap();
            (Value::Object(fields), reading.repaired().to_vec())
        };
        let (fields, codes) = mend(br#"{"a": NaN, "b": [-Infinity, Infinity, "NaN"], "c": "\\"}"#);
        assert_eq!(fields, serde_json::json!({"a": null, "b": [null, null, "NaN"], "c": "\\"}));
        assert_eq!(codes, [Code::JsonNonfinite]);
        let (fields, codes) = mend(br#"{"a": "x\ud83dy\udc00", "b": "\ud83d\ude42", "c": "\\ud83d\" NaN"}"#);
        assert_eq!(fields, serde_json::json!({"a": "x\u{fffd}y\u{fffd}", "b": "\u{1f642}", "c": "\\ud83d\" NaN"}));
        assert_eq!(codes, [Code::Surrogate]);
        let (fields, codes) = mend(b"{\"a\": \"x\xff\"}");
        assert_eq!((fields["a"].as_str(), &codes[..]), (Some("x\u{fffd}"), &[Code::Utf8][..]));
    }

    #[test]
    fn of_a_key_that_comes_twice_the_last_value_counts() {
        let (fields, warnings) = parse(r#"{"a": 1, "b": 2, "a": 3}"#, LineEnd::Newline).unwrap();
        assert_eq!((fields["a"].as_u64(), fields.len(), warnings), (Some(3), 2, 1));
        assert_eq!(parse(r#"{"a": 1, "b": {"a": 3}}"#, LineEnd::Newline).unwrap().1, 0);
    }

    #[test]
    fn json_that_breaks_off_is_truncated_only_at_the_end_of_the_file() {
        assert_eq!(parse(r#"{"a": 1"#, LineEnd::Newline).unwrap_err().code, Code::Json);
        assert_eq!(parse(r#"{"a": 1"#, LineEnd::File).unwrap_err().code, Code::Truncated);
        assert_eq!(parse(r#"{"a": }"#, LineEnd::File).unwrap_err().code, Code::Json);
    }

    #[test]
    fn the_excerpt_of_bad_json_starts_shortly_before_the_fault() {
        let reason = parse(&format!("{{\"a\": \"{}\" oops}}", "é".repeat(500)), LineEnd::Newline).unwrap_err();
        let excerpt = reason.excerpt.unwrap();
        assert!(excerpt.starts_with('é') && excerpt.ends_with("\" oops}"), "{excerpt}");
    }
}
