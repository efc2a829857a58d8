//! What Jinja2 in `transformers` has and the engine has not.
//!
//! | here | there |
//! |---|---|
//! | `tojson` | `json.dumps(ensure_ascii=False)`: nothing escaped for HTML, `, ` and `: ` between, numbers as Python writes them |
//! | `raise_exception(message)` | the error that a record is rejected with |
//! | `strftime_now(format)` | the clock, which a program can stop |
//! | `{% generation %}` | spans that are learned |
//! | `trim`, `strip()` and their like | what Python calls white space |
//! | `is sequence`, `is iterable` | true of strings and mappings as well, and not of none |
//! | numbers, `string` | as Python shows them: `1e+20` |
//! | `indent`, `join`, `replace`, `format` | the same, with an end to what they make |
//! | `title`, `rsplit`, `partition`, `rpartition`, `removeprefix`, `removesuffix` | methods of strings |
//!
//! White space of blocks is trimmed and stripped as there (`trim_blocks`, `lstrip_blocks`).

use std::{fmt, io};

use jiff::{Timestamp, Zoned, tz::TimeZone};
use minijinja::{
    Environment, Error, ErrorKind, State, Value,
    formatting::{FormatStyle, format},
    syntax::SyntaxConfig,
    value::{Kwargs, Rest, ValueKind, from_args},
};
use serde::{Deserialize, Serialize};

use super::source;

/// The name of the one template of an environment.
pub(super) const NAME: &str = "chat_template";
/// The variable that holds the marks of generation blocks.
pub(super) const MARKS_VARIABLE: &str = "__accordant_marks";
/// The filter that stands for a generation block.
const GENERATION: &str = "__accordant_generation";
/// The filter that everything passes that a template sets.
const KEPT: &str = "__accordant_kept";
/// How deep lists and mappings may lie in each other where a template sets them: JSON is at most 128 deep. Ours.
const MAX_NESTING: usize = 200;
/// How many elements what a template sets may have, those of its elements included. Ours.
const MAX_ELEMENTS: usize = 5_000_000;
/// The widest field and indentation. Ours.
const MAX_WIDTH: usize = 9_999;
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
    environment.add_filter(KEPT, kept);
    environment.add_filter("format", |text: &str, args: Rest<Value>| -> Result<String, Error> {
        check_widths(text)?;
        format(FormatStyle::Printf, text, &args)
    });
    environment.add_filter("indent", indent);
    environment.add_filter("replace", |text: String, from: &str, to: String, count: Option<usize>| {
        replace(&text, from, &to, count)
    });
    environment.add_filter("join", join);
    environment.add_test("sequence", |value: &Value| {
        matches!(value.kind(), ValueKind::String | ValueKind::Seq | ValueKind::Map | ValueKind::Undefined)
    });
    environment.add_test("iterable", |value: &Value| {
        value.kind() == ValueKind::String || (!value.is_none() && value.try_iter().is_ok())
    });
    environment.add_filter("string", |value: &Value| shown(value));
    environment.set_formatter(|out, _, value| match value.as_str() {
        Some(text) => out.write_str(text).map_err(Error::from),
        None => out.write_str(&shown(value)).map_err(Error::from),
    });
    environment.add_function("raise_exception", |message: String| -> Result<Value, Error> {
        Err(Error::new(ErrorKind::InvalidOperation, message.clone()).with_source(Raised(message)))
    });
    environment.add_function("strftime_now", move |format: String| -> Result<String, Error> {
        let now = clock.now()?;
        jiff::fmt::strtime::format(&format, &now).map_err(|error| invalid(error.to_string()))
    });
    // Jinja2 ends every line alike, whatever the file's lines end with.
    let source = source.replace("\r\n", "\n").replace('\r', "\n");
    environment.add_template_owned(NAME, source::rewrite(&source, GENERATION, KEPT))?;
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

/// A value as Python's `str` shows it; numbers inside lists are left to the engine.
fn shown(value: &Value) -> String {
    let number = (value.kind() == ValueKind::Number).then(|| serde_json::to_value(value).ok()).flatten();
    match number {
        Some(serde_json::Value::Number(number)) if number.is_f64() => python_number(&number),
        _ => value.to_string(),
    }
}

/// Passes a value on, unless it is too large: a loop could go on to make it larger, and the stack has an end. A namespace
/// cannot be set in a namespace, which could then lie in itself.
fn kept(value: Value, in_namespace: Option<bool>) -> Result<Value, Error> {
    let mut left = MAX_ELEMENTS;
    check_size(&value, MAX_NESTING, &mut left, in_namespace.unwrap_or(false))?;
    Ok(value)
}

fn check_size(value: &Value, depth: usize, left: &mut usize, in_namespace: bool) -> Result<(), Error> {
    if in_namespace && value.as_object().is_some_and(|object| object.type_name().ends_with("Namespace")) {
        return Err(invalid("a namespace cannot be set in a namespace"));
    }
    if let Some(text) = value.as_str() {
        return if text.len() <= MAX_OUTPUT { Ok(()) } else { Err(invalid("a text that is set is too long")) };
    }
    if !matches!(value.kind(), ValueKind::Seq | ValueKind::Map | ValueKind::Iterable | ValueKind::Plain) {
        return Ok(());
    }
    if depth == 0 {
        return Err(invalid("what is set lies too deep in itself"));
    }
    let Ok(elements) = value.try_iter() else { return Ok(()) };
    for element in elements {
        *left = left.checked_sub(1).ok_or_else(|| invalid("what is set has too many elements"))?;
        if value.kind() == ValueKind::Map {
            check_size(&value.get_item(&element)?, depth - 1, left, in_namespace)?;
        } else {
            check_size(&element, depth - 1, left, in_namespace)?;
        }
    }
    Ok(())
}

/// Refuses numbers in a format that a field's width could be.
fn check_widths(text: &str) -> Result<(), Error> {
    let mut digits = 0;
    for c in text.chars() {
        digits = if c.is_ascii_digit() { digits + 1 } else { 0 };
        if digits > 4 || (c == '*' && text.contains('%')) {
            return Err(invalid(format!("a field is wider than {MAX_WIDTH}")));
        }
    }
    Ok(())
}

/// Jinja2's `indent`: `width` spaces, or a text, before every line but the first and empty ones.
fn indent(
    text: &str,
    width: Option<Value>,
    first: Option<bool>,
    blank: Option<bool>,
    args: Kwargs,
) -> Result<String, Error> {
    let width = match width {
        Some(width) => Some(width),
        None => args.get::<Option<Value>>("width")?,
    };
    let first = first.or(args.get::<Option<bool>>("first")?).unwrap_or(false);
    let blank = blank.or(args.get::<Option<bool>>("blank")?).unwrap_or(false);
    args.assert_all_used()?;
    let by = match width {
        None => "    ".to_owned(),
        Some(width) => match width.as_str() {
            Some(text) => text.to_owned(),
            None => {
                let width = width.as_usize().filter(|width| *width <= MAX_WIDTH);
                " ".repeat(width.ok_or_else(|| invalid(format!("`width`: 0 to {MAX_WIDTH}")))?)
            }
        },
    };
    let mut out = Vec::new();
    for (number, line) in text.split('\n').enumerate() {
        let indented = if number == 0 { first } else { blank || !line.is_empty() };
        out.push(if indented { format!("{by}{line}") } else { line.to_owned() });
    }
    checked(out.join("\n"))
}

fn checked(text: String) -> Result<String, Error> {
    if text.len() <= MAX_OUTPUT { Ok(text) } else { Err(invalid("a text is too long")) }
}

fn replace(text: &str, from: &str, to: &str, count: Option<usize>) -> Result<String, Error> {
    let times = text.matches(from).count().min(count.unwrap_or(usize::MAX));
    if times.saturating_mul(to.len()).saturating_add(text.len()) > 2 * MAX_OUTPUT {
        return Err(invalid("a text is too long"));
    }
    Ok(text.replacen(from, to, times))
}

fn join(value: &Value, joiner: Option<String>, attribute: Option<String>, args: Kwargs) -> Result<String, Error> {
    let joiner = joiner.or(args.get::<Option<String>>("d")?).unwrap_or_default();
    let attribute = attribute.or(args.get::<Option<String>>("attribute")?);
    args.assert_all_used()?;
    join_items(value, &joiner, attribute.as_deref())
}

fn join_items(value: &Value, joiner: &str, attribute: Option<&str>) -> Result<String, Error> {
    let mut out = String::new();
    for (number, item) in value.try_iter()?.enumerate() {
        let item = match attribute {
            Some(path) => path.split('.').try_fold(item, |item, key| item.get_attr(key))?,
            None => item,
        };
        if number > 0 {
            out.push_str(joiner);
        }
        match item.as_str() {
            Some(text) => out.push_str(text),
            None => out.push_str(&item.to_string()),
        }
        if out.len() > MAX_OUTPUT {
            return Err(invalid("a text is too long"));
        }
    }
    Ok(out)
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
        "format" => {
            check_widths(text)?;
            return minijinja_contrib::pycompat::unknown_method_callback(state, value, name, args);
        }
        "replace" => {
            let (from, to, count): (&str, &str, Option<i64>) = from_args(args)?;
            Value::from(replace(text, from, to, count.and_then(|count| usize::try_from(count).ok()))?)
        }
        "join" => {
            let (items,): (&Value,) = from_args(args)?;
            Value::from(join_items(items, text, None)?)
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
