//! One line of JSON Lines as an object, and what can be wrong with it.

use std::path::Path;

use serde::{Deserialize, Deserializer, de};
use serde_json::{Map, Value, error::Category};

use crate::{
    lines::{Line, LineEnd},
    report::{Code, Reason, Warning, excerpt, excerpt_bytes},
};

/// One row on its way to a record.
#[derive(Debug)]
pub struct Row<'a> {
    /// The file.
    pub file: &'a Path,
    /// The line, from 1, in the decompressed text.
    pub line: usize,
    /// The row's number, from 0; blank lines have none.
    pub record_index: usize,
    /// Its fields. What a parser leaves here belongs into the record's `meta`.
    pub fields: Map<String, Value>,
    pub(crate) warnings: &'a mut Vec<Warning>,
}

impl Row<'_> {
    /// Takes a text field out of the row.
    ///
    /// # Errors
    /// [`Code::MissingField`], [`Code::Null`] or [`Code::Type`], with a message that says what is there instead.
    pub fn take_text(&mut self, field: &str) -> std::result::Result<String, Reason> {
        match self.fields.remove(field) {
            Some(Value::String(text)) => Ok(text),
            Some(Value::Null) => Err(Reason::field(Code::Null, field, "expected a string, found null")),
            Some(other) => {
                let message = format!("expected a string, found {}", describe(&other));
                Err(Reason::field(Code::Type, field, message).with_excerpt(&other.to_string()))
            }
            None => {
                let keys: Vec<_> = self.fields.keys().map(|key| format!("`{key}`")).collect();
                let message = match keys.is_empty() {
                    true => "missing".to_owned(),
                    false => format!("missing; there is {}", excerpt(&keys.join(", "))),
                };
                Err(Reason::field(Code::MissingField, field, message))
            }
        }
    }

    /// Notes that the row is odd. It counts once, and only if the row becomes a record.
    pub fn warn(&mut self, warning: Warning) {
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }
}

/// The object on a line.
pub(crate) fn parse_fields(
    line: &Line<'_>,
    warnings: &mut Vec<Warning>,
) -> std::result::Result<Map<String, Value>, Reason> {
    let last = match &line.end {
        LineEnd::Newline => false,
        LineEnd::File => true,
        LineEnd::TooLong(len) => {
            let message = format!("expected a line of at most {} bytes, found {len}", line.bytes.len());
            return Err(Reason::new(Code::LineTooLong, message));
        }
        LineEnd::Broken(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            return Err(Reason::new(Code::Truncated, "the gzip stream breaks off here"));
        }
        LineEnd::Broken(error) => {
            return Err(Reason::new(Code::Truncated, format!("the gzip stream is damaged here: {error}")));
        }
    };
    let text = std::str::from_utf8(line.bytes).map_err(|error| {
        let start = error.valid_up_to();
        let message = format!("invalid UTF-8 at column {}", start + 1);
        Reason::new(Code::Utf8, message).with_excerpt(&excerpt_bytes(&line.bytes[start.saturating_sub(60)..]))
    })?;
    let row: Fields = serde_json::from_str(text).map_err(|error| json_reason(text, &error, last))?;
    if row.duplicate_key {
        warnings.push(Warning::DupKey);
    }
    Ok(row.fields)
}

fn json_reason(text: &str, error: &serde_json::Error, last: bool) -> Reason {
    let (column, message) = (error.column(), error.to_string());
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
struct Fields {
    fields: Map<String, Value>,
    duplicate_key: bool,
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Fields;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> std::result::Result<Fields, A::Error> {
                let mut row = Fields { fields: Map::new(), duplicate_key: false };
                while let Some((key, value)) = map.next_entry::<String, Value>()? {
                    row.duplicate_key |= row.fields.insert(key, value).is_some();
                }
                Ok(row)
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}

pub(crate) fn describe(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(value) => format!("boolean {value}"),
        Value::Number(value) => format!("number {value}"),
        Value::String(value) => format!("string \"{}\"", excerpt(value)),
        Value::Array(values) => format!("an array of {}", values.len()),
        Value::Object(_) => "an object".into(),
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
        let mut warnings = Vec::new();
        let line = Line { number: 1, offset: 0, bytes: text.as_bytes(), end };
        parse_fields(&line, &mut warnings).map(|fields| (fields, warnings.len()))
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
