//! A source told by a table: which of its fields is which of a record's, and what to do with the values.
//!
//! A table is a file in TOML or JSON, so that a data set needs no code:
//!
//! ```toml
//! name = "coig_p"
//! about = "COIG-P: Chinese pairs with scores"
//! kind = "pair"
//! sniff = ["conversations", "chosen", "chosen_score"]
//!
//! [fields]                                   # of the record = of the source
//! prompt = "conversations"
//! chosen = "chosen"
//! rejected = "rejected"
//! score_chosen = ["chosen_score", "score"]   # the first that is there
//! annotator.id = "rater.id"                  # inside an object
//!
//! [transforms]                               # one after the other
//! chosen = ["as_list"]
//! score_chosen = ["float"]
//!
//! [constants]
//! language = "zh"
//!
//! [[filters]]                                # rows that fit none are left out, and counted
//! name = "is_english"
//! field = "lang"
//! keep = { one_of = ["en"] }
//! ```
//!
//! What the table does not name goes to `meta`. A field of the record without a value is left out; whether it is needed,
//! the kind decides.

use std::{collections::BTreeMap, fs, path::Path, sync::Mutex};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{
    Reader, Source,
    draft::{Draft, Drafts, Rows, message},
};
use crate::{
    error::{Error, Result},
    record::{Fields, Kind, as_f64, as_i64, as_string, describe, wrong_type},
    report::{Code, Reason},
};

/// A source told by a table.
///
/// # Example
/// ```
/// use accordant_data::{LoadOptions, sources::{Source, field_map::FieldMap}};
/// let map = FieldMap::from_toml(r#"
///     name = "votes"
///     kind = "comparison"
///     [fields]
///     prompt = "question"
///     a = "left.text"
///     b = "right.text"
///     outcome = "winner"
///     [transforms]
///     outcome = [{ map = { left = "a", right = "b", draw = "tie" } }]
/// "#)?;
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("votes.jsonl");
/// let row = r#"{"question": "q", "left": {"text": "x"}, "right": {"text": "y"}, "winner": "right", "year": 2024}"#;
/// std::fs::write(&path, row)?;
/// let (records, _) = map.load(&path, &LoadOptions::default())?;
/// let json = serde_json::to_value(&records[0])?;
/// assert_eq!((&json["b"], &json["outcome"], &json["meta"]["year"]), (&"y".into(), &"b".into(), &2024.into()));
/// let error = FieldMap::from_toml("name = \"x\"\nkind = \"pear\"\n[fields]\n").unwrap_err().to_string();
/// assert!(error.starts_with("`kind`: expected one of tree, segment_pair,") && error.ends_with("found `pear`"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FieldMap {
    /// The source's name.
    pub name: String,
    /// What it is, in one line.
    #[serde(default)]
    pub about: String,
    /// The kind of its records, such as `pair`.
    pub kind: String,
    /// A row with all of these fields is taken for one of this source; empty: the source is found by its name only.
    #[serde(default)]
    pub sniff: Vec<String>,
    /// Fields of the record, each with the field of the source, or with several of which the first that is there counts.
    /// A dot leads into an object or, with a number, into a list.
    pub fields: BTreeMap<String, Names>,
    /// What happens to the value of a record's field, in this order.
    #[serde(default)]
    pub transforms: BTreeMap<String, Vec<Transform>>,
    /// Fields of the record that are the same in every row.
    #[serde(default)]
    pub constants: BTreeMap<String, Value>,
    /// Which rows are kept.
    #[serde(default)]
    pub filters: Vec<Filter>,
}

/// A field of the source, or several names for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Names {
    /// One name.
    One(String),
    /// Names of which the first counts that is there and not null.
    Any(Vec<String>),
}

impl Names {
    fn list(&self) -> &[String] {
        match self {
            Self::One(name) => std::slice::from_ref(name),
            Self::Any(names) => names,
        }
    }
}

/// What happens to a value. A value that is not there stays so.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transform {
    /// A whole number, from a number or from a string that holds one.
    Int,
    /// A number, from a number or from a string that holds one.
    Float,
    /// The number with the other sign.
    Negate,
    /// One minus the number: the probability of the other side.
    OneMinus,
    /// The number, times this.
    Scale(f64),
    /// The number, plus this.
    Add(f64),
    /// `true` for a boolean that is false, and the other way around.
    Not,
    /// What the string holds as JSON.
    JsonString,
    /// The string without white space at its ends.
    Trim,
    /// The string with characters in place of HTML entities.
    UnescapeHtml,
    /// Nothing, where the value is one of these.
    NullIf(Vec<Value>),
    /// Another value for each of these; a value that is none of them is a reject with [`Code::LabelValue`]. Numbers and
    /// booleans are looked up as they are written.
    Map(BTreeMap<String, Value>),
    /// A list with the value in it.
    AsList,
    /// One message of this role that says the string. A message becomes a list of it, and a list of messages stays.
    Message(String),
    /// One message of the assistant with a part of this type, such as `image`, that refers to the value.
    Media(String),
    /// The strings of a list, each on a line; a string stays.
    Lines,
    /// The messages of a string whose turns each begin with a marker; text before the first marker has the role of
    /// `first`, or is a reject.
    SplitMarkers {
        /// The role of each marker. White space around a turn is no part of it.
        markers: BTreeMap<String, String>,
        /// The role of what stands before the first marker.
        #[serde(default)]
        first: Option<String>,
    },
    /// All elements of a list but the last.
    AllButLast,
    /// The last element of a list, as a list.
    Last,
}

/// Which rows are kept, by one field.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// The name under which rows that were left out are counted.
    pub name: String,
    /// The field of the source.
    pub field: String,
    /// What it must be.
    pub keep: Keep,
}

/// What a field must be for its row to be kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Keep {
    /// There, and not null.
    Present,
    /// One of these.
    OneOf(Vec<Value>),
    /// None of these.
    NoneOf(Vec<Value>),
    /// A number of at least this.
    AtLeast(f64),
    /// A number of at most this.
    AtMost(f64),
}

impl Keep {
    fn keeps(&self, value: Option<&Value>) -> bool {
        let number = || value.and_then(Value::as_f64);
        match self {
            Self::Present => value.is_some(),
            Self::OneOf(values) => value.is_some_and(|value| values.contains(value)),
            Self::NoneOf(values) => value.is_none_or(|value| !values.contains(value)),
            Self::AtLeast(least) => number().is_some_and(|number| number >= *least),
            Self::AtMost(most) => number().is_some_and(|number| number <= *most),
        }
    }
}

impl FieldMap {
    /// A table in TOML.
    ///
    /// # Errors
    /// [`Error::FieldMap`] with the place and what was expected there.
    pub fn from_toml(text: &str) -> Result<Self> {
        let map: Self = toml::from_str(&quoted_paths(text)).map_err(|error| {
            let at = error.span().map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1);
            let name = at.map_or_else(|| "table".to_owned(), |line| format!("line {line}"));
            Error::FieldMap { name, message: error.message().to_owned() }
        })?;
        map.validate()?;
        Ok(map)
    }

    /// A table in JSON.
    ///
    /// # Errors
    /// [`Error::FieldMap`] with the place and what was expected there.
    pub fn from_json(text: &str) -> Result<Self> {
        let map: Self = serde_json::from_str(text)
            .map_err(|error| Error::FieldMap { name: format!("line {}", error.line()), message: error.to_string() })?;
        map.validate()?;
        Ok(map)
    }

    /// A table from a file, in JSON if its name ends with `.json` and else in TOML.
    ///
    /// # Errors
    /// [`Error::Open`] and [`Error::FieldMap`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let text = fs::read_to_string(path).map_err(|source| Error::Open { path: path.to_path_buf(), source })?;
        let is_json = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("json"));
        if is_json { Self::from_json(&text) } else { Self::from_toml(&text) }
    }

    /// Checks what the types do not.
    ///
    /// # Errors
    /// [`Error::FieldMap`] naming the entry.
    pub fn validate(&self) -> Result<()> {
        let wrong = |name: String, message: String| Err(Error::FieldMap { name, message });
        if self.name.trim().is_empty() {
            return wrong("name".into(), "expected a name, found nothing".into());
        }
        if self.known_kind().is_none() {
            let kinds: Vec<_> = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
            return wrong("kind".into(), format!("expected one of {}, found `{}`", kinds.join(", "), self.kind));
        }
        if self.fields.is_empty() {
            return wrong("fields".into(), "expected at least one field of the record".into());
        }
        for (field, names) in &self.fields {
            if names.list().is_empty() || names.list().iter().any(String::is_empty) {
                return wrong(format!("fields.{field}"), "expected a field of the source".into());
            }
            if self.constants.contains_key(field) {
                return wrong(format!("constants.{field}"), "stands in `fields`, too".into());
            }
        }
        for field in self.fields.keys().chain(self.constants.keys()) {
            if matches!(field.as_str(), "kind" | "meta" | "provenance") || field.split('.').any(str::is_empty) {
                return wrong(format!("fields.{field}"), "is no field that a table can set".into());
            }
        }
        for (field, transforms) in &self.transforms {
            if !self.fields.contains_key(field) {
                return wrong(format!("transforms.{field}"), "there is no such entry in `fields`".into());
            }
            for transform in transforms {
                if let Some(message) = transform.fault() {
                    return wrong(format!("transforms.{field}"), message);
                }
            }
        }
        for (i, filter) in self.filters.iter().enumerate() {
            if filter.name.is_empty() || filter.field.is_empty() {
                return wrong(format!("filters[{i}]"), "expected a name and a field".into());
            }
        }
        Ok(())
    }

    fn known_kind(&self) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.as_str() == self.kind)
    }

    fn drafts(&self, row: &mut Fields<'_>) -> std::result::Result<Drafts, Reason> {
        for filter in &self.filters {
            if !filter.keep.keeps(at(row, &filter.field)) {
                return Ok(Drafts::Filtered(lasting(&filter.name)));
            }
        }
        let Some(kind) = self.known_kind() else {
            return Err(Reason::new(Code::Kind, format!("`{}` is no kind", self.kind)));
        };
        let mut draft = Draft::new(kind);
        // All are read before any is taken, since two fields of the record may come from one of the source.
        let mut used = Vec::new();
        for (field, names) in &self.fields {
            let Some(name) = names.list().iter().find(|name| at(row, name).is_some()) else { continue };
            let mut value = at(row, name).cloned().unwrap_or_default();
            for transform in self.transforms.get(field).into_iter().flatten() {
                if !value.is_null() {
                    value = transform.apply(value, name, row)?;
                }
            }
            used.push(name);
            draft = draft.with(field, value).named(field, name);
        }
        for name in used {
            remove(row, name);
        }
        for (field, value) in &self.constants {
            draft.set(field, value.clone());
        }
        Ok(draft.into())
    }
}

/// The tables that the crate holds, each with its origin in its file.
pub fn built_in() -> Vec<FieldMap> {
    const TABLES: [&str; 6] = [
        include_str!("maps/coig_p.toml"),
        include_str!("maps/dilemmas.toml"),
        include_str!("maps/hpd.toml"),
        include_str!("maps/pref_eval.toml"),
        include_str!("maps/value_prism.toml"),
        include_str!("maps/wildfeedback.toml"),
    ];
    TABLES.into_iter().map(|table| FieldMap::from_toml(table).expect("a test reads every table")).collect()
}

/// The value at a path, if it is there and not null. A field whose own name has a dot is found first.
fn at<'a>(row: &'a Fields<'_>, path: &str) -> Option<&'a Value> {
    if let Some(value) = row.get(path) {
        return Some(value);
    }
    let mut parts = path.split('.');
    let mut value = row.get(parts.next()?)?;
    for part in parts {
        value = match value {
            Value::Object(map) => map.get(part)?,
            Value::Array(list) => list.get(part.parse::<usize>().ok()?)?,
            _ => return None,
        };
    }
    (!value.is_null()).then_some(value)
}

/// Takes the value at a path out of the row; elements of lists stay, so that the others keep their places.
fn remove(row: &mut Fields<'_>, path: &str) {
    if row.take(path).is_some() {
        return;
    }
    let Some((first, rest)) = path.split_once('.') else { return };
    let Some(mut outer) = row.take(first) else { return };
    let (inner, last) = rest.rsplit_once('.').map_or((None, rest), |(inner, last)| (Some(inner), last));
    let mut value = Some(&mut outer);
    for part in inner.into_iter().flat_map(|inner| inner.split('.')) {
        value = value.and_then(|value| match value {
            Value::Object(map) => map.get_mut(part),
            Value::Array(list) => list.get_mut(part.parse::<usize>().ok()?),
            _ => None,
        });
    }
    if let Some(Value::Object(map)) = value {
        map.shift_remove(last);
    }
    if outer != json!({}) {
        row.insert(first, outer);
    }
}

/// A name that lasts as long as the program; each is kept once.
fn lasting(name: &str) -> &'static str {
    static NAMES: Mutex<Vec<&'static str>> = Mutex::new(Vec::new());
    let mut names = NAMES.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(known) = names.iter().find(|known| **known == name) {
        return known;
    }
    let kept: &'static str = Box::leak(name.to_owned().into_boxed_str());
    names.push(kept);
    kept
}

/// Puts keys with dots in quotes, which TOML would take for tables: `annotator.id = ..` sets the field `annotator.id`.
fn quoted_paths(text: &str) -> String {
    let quoted = |line: &str| {
        let (key, value) = line.split_once('=')?;
        let bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        let key = key.trim();
        (key.contains('.') && key.chars().all(bare)).then(|| format!("\"{key}\" ={value}"))
    };
    let lines: Vec<_> = text.split('\n').map(|line| quoted(line).unwrap_or_else(|| line.to_owned())).collect();
    lines.join("\n")
}

impl Transform {
    /// What is wrong with it, if anything.
    fn fault(&self) -> Option<String> {
        let known = |role: &String| crate::Role::from_name(role).is_some();
        let role = |role: &String| (!known(role)).then(|| format!("expected a role, found `{role}`"));
        match self {
            Self::Scale(number) | Self::Add(number) if !number.is_finite() => {
                Some(format!("expected a finite number, found {number}"))
            }
            Self::Message(name) => role(name),
            Self::SplitMarkers { markers, first } => {
                let empty = markers.is_empty() || markers.keys().any(|marker| marker.trim().is_empty());
                let fault = empty.then(|| "expected markers that are not empty".to_owned());
                fault.or_else(|| markers.values().chain(first).find_map(role))
            }
            Self::Media(kind) if kind.is_empty() || kind == "type" => Some("expected the type of a part".into()),
            Self::Map(values) if values.is_empty() => Some("expected at least one value".into()),
            _ => None,
        }
    }

    fn apply(&self, value: Value, path: &str, row: &mut Fields<'_>) -> std::result::Result<Value, Reason> {
        let mut number = |change: &dyn Fn(f64) -> f64| {
            let number = numeric(&value, path)?;
            Ok::<_, Reason>(json!(change(as_f64(&number, path, row.reading())?)))
        };
        Ok(match self {
            Self::Int => json!(as_i64(&numeric(&value, path)?, path)?),
            Self::Float => number(&|x| x)?,
            Self::Negate => match numeric(&value, path)? {
                // A whole number stays one.
                Value::Number(whole) if whole.as_i64().is_some_and(|n| n != i64::MIN) => {
                    json!(-whole.as_i64().unwrap_or(0))
                }
                _ => number(&|x| -x)?,
            },
            Self::OneMinus => number(&|x| 1.0 - x)?,
            Self::Scale(by) => number(&|x| x * by)?,
            Self::Add(term) => number(&|x| x + term)?,
            Self::Not => match value {
                Value::Bool(value) => json!(!value),
                other => return Err(wrong_type(path, "a boolean", &other)),
            },
            Self::JsonString => {
                let text = as_string(value, path)?;
                let wrong = |error| Reason::field(Code::Type, path, format!("expected JSON, found {error}"));
                serde_json::from_str(&text).map_err(|error| wrong(error).with_excerpt(&text))?
            }
            Self::Trim => json!(as_string(value, path)?.trim()),
            Self::UnescapeHtml => json!(html_escape::decode_html_entities(&as_string(value, path)?)),
            Self::NullIf(values) => {
                if values.contains(&value) {
                    Value::Null
                } else {
                    value
                }
            }
            Self::Map(values) => {
                let key = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                let Some(mapped) = values.get(&key) else {
                    let known: Vec<_> = values.keys().map(String::as_str).collect();
                    let message = format!("expected one of {}, found {}", known.join(", "), describe(&value));
                    return Err(Reason::field(Code::LabelValue, path, message));
                };
                mapped.clone()
            }
            Self::AsList => json!([value]),
            Self::Message(role) => match value {
                list @ Value::Array(_) => list,
                one @ Value::Object(_) => json!([one]),
                text => message(role, as_string(text, path)?),
            },
            Self::Media(kind) => {
                let part = Map::from_iter([("type".to_owned(), json!(kind)), (kind.clone(), value)]);
                json!([{"role": "assistant", "content": [part]}])
            }
            Self::Lines => match value {
                Value::Array(lines) => {
                    let lines = lines.into_iter().map(|line| as_string(line, path));
                    json!(lines.collect::<std::result::Result<Vec<_>, _>>()?.join("\n"))
                }
                text => text,
            },
            Self::SplitMarkers { markers, first } => split(&as_string(value, path)?, markers, first.as_deref(), path)?,
            Self::AllButLast | Self::Last => match value {
                Value::Array(mut list) => {
                    let last = list.pop();
                    if *self == Self::Last { last.into_iter().collect() } else { Value::Array(list) }
                }
                other => return Err(wrong_type(path, "a list", &other)),
            },
        })
    }
}

/// A number, or what a string holds of one.
fn numeric(value: &Value, path: &str) -> std::result::Result<Value, Reason> {
    let parsed = match value {
        Value::Number(_) => Some(value.clone()),
        Value::String(text) => serde_json::from_str(text.trim()).ok().filter(Value::is_number),
        _ => None,
    };
    parsed.ok_or_else(|| wrong_type(path, "a number or a string that holds one", value))
}

/// The turns of a text, each of which begins with a marker.
fn split(
    text: &str,
    markers: &BTreeMap<String, String>,
    first: Option<&str>,
    path: &str,
) -> std::result::Result<Value, Reason> {
    let mut starts: Vec<(usize, usize, &str)> = Vec::new();
    for (marker, role) in markers {
        starts.extend(text.match_indices(marker.as_str()).map(|(at, _)| (at, marker.len(), role.as_str())));
    }
    // Of two markers at one place the longer one, of which the other is the beginning.
    starts.sort_unstable_by_key(|&(at, len, _)| (at, std::cmp::Reverse(len)));
    starts.dedup_by_key(|&mut (at, ..)| at);
    let before = text[..starts.first().map_or(text.len(), |&(at, ..)| at)].trim();
    let mut turns = Vec::new();
    match (before.is_empty(), first) {
        (true, _) => {}
        (false, Some(role)) => turns.push(json!({"role": role, "content": before})),
        (false, None) => {
            let message = "text before the first marker";
            return Err(Reason::field(Code::PromptMismatch, path, message).with_excerpt(before));
        }
    }
    let ends = starts.iter().skip(1).map(|&(at, ..)| at).chain([text.len()]);
    for (&(at, len, role), end) in starts.iter().zip(ends) {
        // A marker inside the one before it leaves nothing between them.
        let content = text.get(at + len..end).unwrap_or_default().trim();
        turns.push(json!({"role": role, "content": content}));
    }
    Ok(turns.into())
}

impl Source for FieldMap {
    fn name(&self) -> &str {
        &self.name
    }

    fn about(&self) -> &str {
        &self.about
    }

    fn sniff(&self, row: &Map<String, Value>) -> bool {
        !self.sniff.is_empty() && self.sniff.iter().all(|name| row.contains_key(name))
    }

    fn reader(&self) -> Reader {
        let map = self.clone();
        Reader::new(Rows::new(self.name.clone(), move |row: &mut Fields<'_>, _: &Path| map.drafts(row)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::testing::{load, one, reason};

    fn map(fields: &str) -> FieldMap {
        FieldMap::from_toml(&format!(
            "name = \"x\"\nkind = \"comparison\"\n[fields]\nprompt = \"q\"\na = \"a\"\nb = \"b\"\n{fields}"
        ))
        .unwrap()
    }

    fn row(field: Value) -> Value {
        json!({"q": "q", "a": "x", "b": "y", "v": field, "outcome": "a"})
    }

    /// The strength's value after transforms.
    fn after(transforms: &str, value: Value) -> Value {
        let map = map(&format!("meta_v = \"v\"\noutcome = \"outcome\"\n[transforms]\nmeta_v = {transforms}"));
        one(&map, row(value))["meta"]["meta_v"].clone()
    }

    #[test]
    fn every_transform_does_what_it_says() {
        assert_eq!(after("[\"int\"]", json!(" 7 ")), json!(7));
        assert_eq!(after("[\"int\"]", json!(2.0)), json!(2));
        assert_eq!(after("[\"float\"]", json!("7.5")), json!(7.5));
        assert_eq!(after("[\"negate\"]", json!(-2)), json!(2));
        assert_eq!(after("[\"negate\"]", json!("0.5")), json!(-0.5));
        assert_eq!(after("[\"one_minus\"]", json!(0.25)), json!(0.75));
        assert_eq!(after("[{ scale = 0.5 }, { add = 2.0 }]", json!(3)), json!(3.5));
        assert_eq!(after("[\"not\"]", json!(true)), json!(false));
        assert_eq!(after("[\"json_string\"]", json!("[1, 2]")), json!([1, 2]));
        assert_eq!(after("[\"trim\"]", json!(" a ")), json!("a"));
        assert_eq!(after("[\"unescape_html\"]", json!("a &gt; b")), json!("a > b"));
        assert_eq!(after("[{ null_if = [\"N/A\", \"\"] }]", json!("N/A")), Value::Null);
        assert_eq!(after("[{ null_if = [\"N/A\", \"\"] }, \"float\"]", json!("3")), json!(3.0));
        assert_eq!(after("[{ map = { left = 1, true = 2, 3 = \"c\" } }]", json!("left")), json!(1));
        assert_eq!(after("[{ map = { left = 1, true = 2, 3 = \"c\" } }]", json!(true)), json!(2));
        assert_eq!(after("[{ map = { left = 1, true = 2, 3 = \"c\" } }]", json!(3)), json!("c"));
        assert_eq!(after("[\"as_list\"]", json!(1)), json!([1]));
        assert_eq!(after("[{ message = \"user\" }]", json!("hi")), json!([{"role": "user", "content": "hi"}]));
        assert_eq!(after("[\"all_but_last\"]", json!([1, 2, 3])), json!([1, 2]));
        assert_eq!(after("[\"last\"]", json!([1, 2, 3])), json!([3]));
        assert_eq!(after("[\"last\"]", json!([])), json!([]));
    }

    #[test]
    fn markers_open_turns_and_the_longer_one_counts() {
        let split = |text: &str, first: &str| {
            let of = format!(
                "[{{ split_markers = {{ markers = {{ \"U:\" = \"user\", \"U:2\" = \"assistant\", \"A:\" = \"assistant\" }}{first} }} }}]"
            );
            after(&of, json!(text))
        };
        let turn = |role: &str, content: &str| json!({"role": role, "content": content});
        assert_eq!(
            split("U: hi A: ho\nU: he", ""),
            json!([turn("user", "hi"), turn("assistant", "ho"), turn("user", "he")])
        );
        assert_eq!(split("U:2 hi", ""), json!([turn("assistant", "hi")]));
        assert_eq!(
            split("be good U: hi", ", first = \"system\""),
            json!([turn("system", "be good"), turn("user", "hi")])
        );
        let strict = map("w = \"v\"\n[transforms]\nw = [{ split_markers = { markers = { \"U:\" = \"user\" } } }]");
        assert_eq!(
            reason(&strict, row(json!("hi U: ho"))),
            "E_PROMPT_MISMATCH: field `v`: text before the first marker"
        );
    }

    #[test]
    fn values_that_do_not_fit_are_named_as_the_source_names_them() {
        let told = |transform: &str, value: Value| {
            reason(&map(&format!("w = \"v\"\n[transforms]\nw = {transform}")), row(value))
        };
        assert_eq!(
            told("[\"float\"]", json!("x")),
            "E_TYPE: field `v`: expected a number or a string that holds one, found string \"x\""
        );
        assert!(told("[\"int\"]", json!(1.5)).starts_with("E_TYPE: field `v`: expected a whole number"));
        assert!(told("[\"json_string\"]", json!("{")).starts_with("E_TYPE: field `v`: expected JSON"));
        assert!(told("[\"not\"]", json!(1)).starts_with("E_TYPE: field `v`: expected a boolean"));
        assert!(told("[\"last\"]", json!(1)).starts_with("E_TYPE: field `v`: expected a list"));
        let map_told = told("[{ map = { left = \"a\", right = \"b\" } }]", json!("top"));
        assert_eq!(map_told, "E_LABEL_VALUE: field `v`: expected one of left, right, found string \"top\"");
        let outcome = map("outcome = \"v\"");
        assert!(reason(&outcome, row(json!("left"))).starts_with("E_LABEL_VALUE: field `v`"));
    }

    #[test]
    fn messages_parts_and_lines_are_made_of_what_is_there() {
        let says = json!({"role": "user", "content": "hi"});
        assert_eq!(after("[{ message = \"assistant\" }]", says.clone()), json!([says]));
        assert_eq!(after("[{ message = \"assistant\" }]", json!([says])), json!([says]));
        assert_eq!(after("[\"lines\"]", json!(["a", "b"])), json!("a\nb"));
        assert_eq!(after("[\"lines\"]", json!("a")), json!("a"));
        let part = json!([{"role": "assistant", "content": [{"type": "image", "image": "x.png"}]}]);
        assert_eq!(after("[{ media = \"image\" }]", json!("x.png")), part);
    }

    fn named(name: &str) -> FieldMap {
        built_in().into_iter().find(|map| map.name == name).unwrap()
    }

    #[test]
    fn every_built_in_table_has_its_polarity() {
        let row = json!({"conversations": [{"from": "human", "value": "q"}], "chosen": {"from": "gpt", "value": "yes"},
            "rejected": "no", "chosen_score": "8", "rejected_score": 2, "domain": "math"});
        let record = one(&named("coig_p"), row);
        assert_eq!((&record["chosen"][0]["content"], &record["rejected"][0]["content"]), (&json!("yes"), &json!("no")));
        assert_eq!(
            (&record["score_chosen"], &record["score_rejected"], &record["group"]),
            (&json!(8.0), &json!(2.0), &json!("math"))
        );
        let row = json!({"prompt": [{"role": "user", "content": "q"}], "preferred": "yes", "dispreferred": "no",
            "preferences": ["short", "polite"], "conversation_hash": "h"});
        let record = one(&named("wildfeedback"), row);
        assert_eq!((&record["chosen"][0]["content"], &record["rejected"][0]["content"]), (&json!("yes"), &json!("no")));
        assert_eq!((&record["rationale"], &record["id"]), (&json!("short\npolite"), &json!("h")));
        let row =
            json!({"dilemma": "d", "action_1": "go", "action_2": "stay", "values_1": ["care"], "values_2": ["truth"]});
        let record = one(&named("dilemmas"), row);
        assert_eq!((&record["outcome"], &record["a"][0]["content"]), (&json!("skip"), &json!("go")));
        assert_eq!(record["meta"], json!({"a_values": ["care"], "b_values": ["truth"]}));
        let row = |first: u64| json!({"prompt": "q", "image_path": ["1.png", "2.png"], "human_preference": [first, 1 - first]});
        assert_eq!(one(&named("hpd"), row(1))["outcome"], "a");
        let record = one(&named("hpd"), row(0));
        assert_eq!((&record["outcome"], &record["b"][0]["content"][0]["image"]), (&json!("b"), &json!("2.png")));
        let record =
            one(&named("value_prism"), json!({"situation": "s", "vrd": "Duty", "text": "t", "explanation": "e"}));
        assert_eq!(
            (&record["kind"], &record["completion"][0]["content"], &record["group"]),
            (&json!("sft"), &json!("t"), &json!("Duty"))
        );
        let record = one(&named("pref_eval"), json!({"preference": "no meat", "question": "q", "explanation": "e"}));
        assert_eq!((&record["kind"], &record["meta"]["preference"]), (&json!("prompt_only"), &json!("no meat")));
    }

    #[test]
    fn a_path_leads_into_objects_and_lists_and_the_rest_is_kept() {
        let map = map(
            "annotator.id = \"who.id\"\na_source = [\"none\", \"models.0\"]\noutcome = \"outcome\"\n[constants]\nlanguage = \"zh\"",
        );
        let nested =
            json!({"q": "q", "a": "x", "b": "y", "outcome": "a", "who": {"id": "w", "age": 3}, "models": ["m", "n"]});
        let record = one(&map, nested);
        assert_eq!(
            (&record["annotator"]["id"], &record["a_source"], &record["language"]),
            (&json!("w"), &json!("m"), &json!("zh"))
        );
        assert_eq!(record["meta"], json!({"models": ["m", "n"], "who": {"age": 3}}));
    }

    #[test]
    fn two_fields_may_come_from_one() {
        let map = map("outcome = \"outcome\"\na_source = \"v\"\nb_source = \"v\"");
        let record = one(&map, row(json!("m")));
        assert_eq!((&record["a_source"], &record["b_source"], record.get("meta")), (&json!("m"), &json!("m"), None));
    }

    #[test]
    fn rows_that_a_filter_does_not_keep_are_counted_under_its_name() {
        let kept = |keep: &str| {
            let map = map(&format!("outcome = \"outcome\"\n[[filters]]\nname = \"f\"\nfield = \"v\"\nkeep = {keep}"));
            let rows = [row(json!(1)), row(json!(2.5)), row(json!("x")), row(Value::Null)];
            let (records, report) = load(&map, &rows);
            (records.len(), report.filtered.get("f").copied().unwrap_or(0))
        };
        assert_eq!(kept("\"present\""), (3, 1));
        assert_eq!(kept("{ one_of = [1, \"x\"] }"), (2, 2));
        assert_eq!(kept("{ none_of = [1] }"), (3, 1));
        assert_eq!(kept("{ at_least = 2.5 }"), (1, 3));
        assert_eq!(kept("{ at_most = 1.0 }"), (1, 3));
    }

    #[test]
    fn a_table_that_makes_no_sense_says_where_and_why() {
        let told = |text: &str| FieldMap::from_toml(text).unwrap_err().to_string();
        let with = |text: &str| told(&format!("name = \"x\"\nkind = \"pair\"\n{text}"));
        assert_eq!(told("kind = \"pair\"\n[fields]\na = \"b\""), "`line 1`: missing field `name`");
        assert_eq!(
            told("name = \" \"\nkind = \"pair\"\n[fields]\na = \"b\""),
            "`name`: expected a name, found nothing"
        );
        assert_eq!(with("[fields]"), "`fields`: expected at least one field of the record");
        assert_eq!(with("[fields]\nprompt = []"), "`fields.prompt`: expected a field of the source");
        assert_eq!(with("[fields]\nkind = \"k\""), "`fields.kind`: is no field that a table can set");
        assert_eq!(
            with("[fields]\nprompt = \"q\"\n[constants]\nprompt = 1"),
            "`constants.prompt`: stands in `fields`, too"
        );
        assert_eq!(
            with("[fields]\nprompt = \"q\"\n[transforms]\nchosen = [\"int\"]"),
            "`transforms.chosen`: there is no such entry in `fields`"
        );
        assert_eq!(
            with("[fields]\nprompt = \"q\"\n[transforms]\nprompt = [{ message = \"critic\" }]"),
            "`transforms.prompt`: expected a role, found `critic`"
        );
        assert_eq!(
            with("[fields]\nprompt = \"q\"\n[transforms]\nprompt = [{ scale = inf }]"),
            "`transforms.prompt`: expected a finite number, found inf"
        );
        assert_eq!(
            with("[fields]\nprompt = \"q\"\n[transforms]\nprompt = [{ map = {} }]"),
            "`transforms.prompt`: expected at least one value"
        );
        let marker =
            "[fields]\nprompt = \"q\"\n[transforms]\nprompt = [{ split_markers = { markers = { \"\" = \"user\" } } }]";
        assert_eq!(with(marker), "`transforms.prompt`: expected markers that are not empty");
        assert_eq!(
            with("[fields]\nprompt = \"q\"\n[[filters]]\nname = \"\"\nfield = \"f\"\nkeep = \"present\""),
            "`filters[0]`: expected a name and a field"
        );
        let unknown = with("[fields]\nprompt = \"q\"\n[transforms]\nprompt = [\"double\"]");
        assert!(unknown.starts_with("`line 6`: unknown variant `double`"), "{unknown}");
        assert!(with("[feilds]\na = \"b\"").contains("unknown field `feilds`"));
        let json = FieldMap::from_json("{\"name\": \"x\",\n\"kind\": 3}").unwrap_err().to_string();
        assert!(json.starts_with("`line 2`: invalid type: integer `3`"), "{json}");
    }

    #[test]
    fn a_table_is_read_from_a_file_in_either_form_and_survives_being_written() {
        let folder = tempfile::tempdir().unwrap();
        let table = map("annotator.id = [\"who.id\", \"u\"]\n[transforms]\na = [{ scale = 2.0 }, \"trim\"]");
        let path = folder.path().join("table.json");
        fs::write(&path, serde_json::to_string(&table).unwrap()).unwrap();
        assert_eq!(FieldMap::open(&path).unwrap(), table);
        let path = folder.path().join("table.toml");
        fs::write(&path, toml::to_string(&table).unwrap()).unwrap();
        assert_eq!(FieldMap::open(&path).unwrap(), table);
        assert!(matches!(FieldMap::open(folder.path().join("none")).unwrap_err(), Error::Open { .. }));
    }
}
