//! What Jinja2 in `transformers` has and the engine has not.
//!
//! | here | there |
//! |---|---|
//! | `tojson` | `json.dumps(ensure_ascii=False)`: nothing escaped for HTML, `, ` and `: ` between, numbers as Python writes them |
//! | `raise_exception(message)` | the error that a record is rejected with |
//! | `strftime_now(format)` | the clock, which a program can stop |
//! | `{% generation %}` | spans that are learned |
//! | `trim`, `strip()` and their like | what Python calls white space |
//! | `is sequence` | true of strings and mappings as well |
//! | `title`, `rsplit`, `partition`, `rpartition`, `removeprefix`, `removesuffix` | methods of strings |
//!
//! White space of blocks is trimmed and stripped as there (`trim_blocks`, `lstrip_blocks`).

use std::{fmt, io};

use jiff::{Timestamp, Zoned, tz::TimeZone};
use minijinja::{
    Environment, Error, ErrorKind, State, Value,
    syntax::SyntaxConfig,
    value::{Kwargs, ValueKind, from_args},
};
use serde::{Deserialize, Serialize};

use super::source;

/// The name of the one template of an environment.
pub(super) const NAME: &str = "chat_template";
/// The variable that holds the marks of generation blocks.
pub(super) const MARKS_VARIABLE: &str = "__accordant_marks";
/// The filter that stands for a generation block.
const GENERATION: &str = "__accordant_generation";
/// The longest rendered text, in bytes. Ours: above any context.
pub(super) const MAX_OUTPUT: usize = 64 << 20;
/// How many steps a template may take: a template of 100 lines takes some hundreds for each message. Ours.
const MAX_STEPS: u64 = 20_000_000;
/// How deep macros and loops may call themselves. Ours, so that a thread's stack of 2 MiB is enough.
const MAX_DEPTH: usize = 120;

/// What `strftime_now` tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Clock {
    /// The time here and now: what a template renders depends on when.
    #[default]
    Local,
    /// Always this time, in seconds since 1970, in UTC.
    Fixed(i64),
}

impl Clock {
    fn now(self) -> Result<Zoned, Error> {
        match self {
            Self::Local => Ok(Zoned::now()),
            Self::Fixed(seconds) => {
                let time = Timestamp::from_second(seconds).map_err(|error| invalid(error.to_string()))?;
                Ok(time.to_zoned(TimeZone::UTC))
            }
        }
    }
}

/// An environment that holds the template.
pub(super) fn compile(source: &str, clock: Clock) -> Result<Environment<'static>, Error> {
    let mut environment = Environment::new();
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?;
    environment.set_syntax(syntax);
    environment.set_fuel(Some(MAX_STEPS));
    environment.set_recursion_limit(MAX_DEPTH);
    environment.set_unknown_method_callback(method);
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    environment.add_filter("tojson", to_json);
    environment.add_filter("trim", trim_filter);
    environment.add_filter(GENERATION, mark_generation);
    environment.add_test("sequence", |value: &Value| {
        matches!(value.kind(), ValueKind::String | ValueKind::Seq | ValueKind::Map | ValueKind::Undefined)
    });
    environment.add_test("iterable", |value: &Value| value.kind() == ValueKind::String || value.try_iter().is_ok());
    environment.add_function("raise_exception", |message: String| -> Result<Value, Error> {
        Err(Error::new(ErrorKind::InvalidOperation, message.clone()).with_source(Raised(message)))
    });
    environment.add_function("strftime_now", move |format: String| -> Result<String, Error> {
        let now = clock.now()?;
        jiff::fmt::strtime::format(&format, &now).map_err(|error| invalid(error.to_string()))
    });
    environment.add_template_owned(NAME, source::with_generation_as_filter(source, GENERATION))?;
    Ok(environment)
}

/// What a template said when it raised an exception.
#[derive(Debug)]
struct Raised(String);

impl fmt::Display for Raised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Raised {}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, message.into())
}

/// What went wrong: the template's own words where it raised an exception, else what and in which line.
pub(super) fn describe(error: &Error) -> String {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(this) = cause {
        if let Some(raised) = this.downcast_ref::<Raised>() {
            return raised.0.clone();
        }
        cause = this.source();
    }
    let what = error.detail().map_or_else(|| error.kind().to_string(), |detail| format!("{}: {detail}", error.kind()));
    match error.line() {
        Some(line) => format!("line {line}: {what}"),
        None => what,
    }
}

/// Whether a template has generation blocks.
pub(super) fn has_generation(source: &str) -> bool {
    source::with_generation_as_filter(source, GENERATION) != source
}

fn mark_generation(state: &State, value: &str) -> Result<String, Error> {
    let marks = state.lookup(MARKS_VARIABLE).map(|marks| marks.to_string()).unwrap_or_default();
    let mut marks = marks.chars();
    match (marks.next(), marks.next()) {
        (Some(start), Some(end)) => Ok(format!("{start}{value}{end}")),
        _ => Err(invalid("the template hides the marks of its `generation` blocks")),
    }
}

/// What Python's `str.isspace` is true of: the white space of Unicode and four separators.
fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

pub(super) fn trim_end(text: &str) -> &str {
    text.trim_end_matches(is_space)
}

fn strip<'a>(text: &'a str, chars: Option<&str>, start: bool, end: bool) -> &'a str {
    let strips = |c: char| chars.map_or_else(|| is_space(c), |chars| chars.contains(c));
    let text = if start { text.trim_start_matches(strips) } else { text };
    if end { text.trim_end_matches(strips) } else { text }
}

fn trim_filter(value: &Value, chars: Option<&str>) -> String {
    match value.as_str() {
        Some(text) => strip(text, chars, true, true).to_owned(),
        None => strip(&value.to_string(), chars, true, true).to_owned(),
    }
}

/// Methods of strings that differ from Rust's or are missing; then those of [`minijinja_contrib::pycompat`].
fn method(state: &mut State, value: &Value, name: &str, args: &[Value]) -> Result<Value, Error> {
    let Some(text) = value.as_str() else {
        return minijinja_contrib::pycompat::unknown_method_callback(state, value, name, args);
    };
    let three = |parts: Option<(&str, &str)>, separator: &str, else_last: bool| -> Value {
        let parts = match parts {
            Some((before, after)) => [before, separator, after],
            None if else_last => ["", "", text],
            None => [text, "", ""],
        };
        parts.into_iter().map(Value::from).collect()
    };
    Ok(match name {
        "strip" | "lstrip" | "rstrip" => {
            let (chars,): (Option<&str>,) = from_args(args)?;
            Value::from(strip(text, chars, name != "rstrip", name != "lstrip"))
        }
        "title" => {
            let () = from_args(args)?;
            let mut inside = false;
            let titled = text.chars().flat_map(|c| {
                let was_inside = std::mem::replace(&mut inside, c.is_alphabetic());
                let mapped: String = if was_inside { c.to_lowercase().collect() } else { c.to_uppercase().collect() };
                mapped.chars().collect::<Vec<_>>()
            });
            Value::from(titled.collect::<String>())
        }
        "removeprefix" => {
            let (prefix,): (&str,) = from_args(args)?;
            Value::from(text.strip_prefix(prefix).unwrap_or(text))
        }
        "removesuffix" => {
            let (suffix,): (&str,) = from_args(args)?;
            Value::from(text.strip_suffix(suffix).unwrap_or(text))
        }
        "partition" | "rpartition" => {
            let (separator,): (&str,) = from_args(args)?;
            if separator.is_empty() {
                return Err(invalid("empty separator"));
            }
            let from_end = name == "rpartition";
            let parts = if from_end { text.rsplit_once(separator) } else { text.split_once(separator) };
            three(parts, separator, from_end)
        }
        "rsplit" => {
            let (separator, limit): (Option<&str>, Option<i64>) = from_args(args)?;
            let Some(separator) = separator.filter(|separator| !separator.is_empty()) else {
                return Err(invalid("rsplit takes a separator here"));
            };
            let parts = limit.and_then(|limit| usize::try_from(limit).ok()).map_or(usize::MAX, |n| n.saturating_add(1));
            let mut parts: Vec<_> = text.rsplitn(parts, separator).collect();
            parts.reverse();
            parts.into_iter().map(Value::from).collect()
        }
        _ => return minijinja_contrib::pycompat::unknown_method_callback(state, value, name, args),
    })
}

/// `json.dumps` as `transformers` calls it: `ensure_ascii`, `indent`, `separators` and `sort_keys` are its arguments.
fn to_json(value: &Value, args: Kwargs) -> Result<String, Error> {
    let ascii = args.get::<Option<bool>>("ensure_ascii")?.unwrap_or(false);
    let indent = match args.get::<Option<Value>>("indent")? {
        Some(indent) if !indent.is_none() => Some(match indent.as_str() {
            Some(text) => text.to_owned(),
            None => " ".repeat(indent.as_usize().filter(|n| *n <= 64).ok_or_else(|| invalid("`indent`: 0 to 64"))?),
        }),
        _ => None,
    };
    let separators = match args.get::<Option<Vec<String>>>("separators")? {
        None => [if indent.is_some() { "," } else { ", " }.to_owned(), ": ".to_owned()],
        Some(two) => two.try_into().map_err(|_| invalid("`separators`: two texts"))?,
    };
    let sort_keys = args.get::<Option<bool>>("sort_keys")?.unwrap_or(false);
    args.assert_all_used()?;
    let style = Style { ascii, indent, separators, sort_keys };
    let json = serde_json::to_value(value).map_err(|error| invalid(format!("cannot be written as JSON: {error}")))?;
    let mut out = String::new();
    style.write(&json, 0, &mut out);
    Ok(out)
}

struct Style {
    ascii: bool,
    indent: Option<String>,
    separators: [String; 2],
    sort_keys: bool,
}

impl Style {
    fn write(&self, value: &serde_json::Value, depth: usize, out: &mut String) {
        match value {
            serde_json::Value::Null => out.push_str("null"),
            serde_json::Value::Bool(true) => out.push_str("true"),
            serde_json::Value::Bool(false) => out.push_str("false"),
            serde_json::Value::Number(number) => out.push_str(&python_number(number)),
            serde_json::Value::String(text) => self.write_text(text, out),
            serde_json::Value::Array(values) => {
                self.write_list('[', ']', values.iter(), depth, out, |value, out| self.write(value, depth + 1, out));
            }
            serde_json::Value::Object(keys) => {
                let mut keys: Vec<_> = keys.iter().collect();
                if self.sort_keys {
                    keys.sort_by_key(|(key, _)| *key);
                }
                self.write_list('{', '}', keys.into_iter(), depth, out, |(key, value), out| {
                    self.write_text(key, out);
                    out.push_str(&self.separators[1]);
                    self.write(value, depth + 1, out);
                });
            }
        }
    }

    fn write_list<T>(
        &self,
        open: char,
        close: char,
        items: impl ExactSizeIterator<Item = T>,
        depth: usize,
        out: &mut String,
        mut write: impl FnMut(T, &mut String),
    ) {
        out.push(open);
        let empty = items.len() == 0;
        for (index, item) in items.enumerate() {
            if index > 0 {
                out.push_str(&self.separators[0]);
            }
            self.new_line(depth + 1, out);
            write(item, out);
        }
        if !empty {
            self.new_line(depth, out);
        }
        out.push(close);
    }

    fn new_line(&self, depth: usize, out: &mut String) {
        if let Some(indent) = &self.indent {
            out.push('\n');
            out.extend(std::iter::repeat_n(&indent[..], depth));
        }
    }

    fn write_text(&self, text: &str, out: &mut String) {
        let json = serde_json::Value::from(text).to_string();
        if !self.ascii {
            return out.push_str(&json);
        }
        for c in json.chars() {
            if c.is_ascii() {
                out.push(c);
            } else {
                let mut units = [0; 2];
                out.extend(c.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")));
            }
        }
    }
}

/// A number as Python's `repr` writes it: `1e+16`, `1e-05`, `0.1`.
fn python_number(number: &serde_json::Number) -> String {
    match number.as_f64() {
        Some(value) if number.is_f64() => {
            let exponent = format!("{value:e}");
            let (digits, power) = exponent.split_once('e').unwrap_or((&exponent, "0"));
            match power.parse::<i32>() {
                Ok(power @ (..-4 | 16..)) => {
                    format!("{digits}e{}{:02}", if power < 0 { '-' } else { '+' }, power.unsigned_abs())
                }
                _ => format!("{value:?}"),
            }
        }
        _ => number.to_string(),
    }
}

/// Collects the output, up to [`MAX_OUTPUT`].
#[derive(Default)]
pub(super) struct Output {
    bytes: Vec<u8>,
    full: bool,
}

impl Output {
    pub(super) fn is_full(&self) -> bool {
        self.full
    }

    pub(super) fn into_text(self) -> Option<String> {
        String::from_utf8(self.bytes).ok()
    }
}

impl io::Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > MAX_OUTPUT {
            self.full = true;
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
