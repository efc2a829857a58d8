//! A record on its way: canonical fields, each of which remembers what the source calls it.
//!
//! A family of data sets says which of its fields are which of a record's; the record itself is made and checked by
//! [`Record::from_fields`]. What is wrong with it is told in the source's own names.

use std::path::Path;

use serde_json::{Map, Value, json};

use crate::{
    read::{Given, RowReader},
    record::{Fields, Kind, Reading, Record},
    report::Reason,
    row::{Place, Row},
};

/// The fields of a record to be, by their canonical names.
///
/// # Example
/// ```
/// use accordant_data::{record::{Fields, Kind, Reading}, sources::draft::{Draft, Rows}};
/// // A source that calls the two sides `good` and `bad`.
/// let reader = Rows::new("mine", |row, _| {
///     let draft = Draft::new(Kind::Pair).need("prompt", row, "q")?;
///     Ok(draft.need("chosen", row, "good")?.need("rejected", row, "bad")?.into())
/// });
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("rows.jsonl");
/// std::fs::write(&path, r#"{"q": "?", "good": "a", "bad": "b", "year": 2024}"#).unwrap();
/// let (records, _) = accordant_data::read::read_rows(&path, &Default::default(), reader).unwrap();
/// assert_eq!(records[0].envelope().id, "mine/rows:0");
/// assert_eq!(records[0].envelope().meta["year"], 2024);
/// ```
#[derive(Debug, Clone, Default)]
pub struct Draft {
    fields: Map<String, Value>,
    origins: Vec<(String, String)>,
}

type Made<T> = Result<T, Reason>;

impl Draft {
    /// A record of this kind, without fields.
    pub fn new(kind: Kind) -> Self {
        Self::default().with("kind", kind.as_str())
    }

    /// Sets a field, which may lie inside another, such as `annotator.id`. Null leaves it as it is.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.set(name, value);
        self
    }

    /// [`Self::with`] in place.
    pub fn set(&mut self, name: &str, value: impl Into<Value>) {
        let value = value.into();
        if value.is_null() {
            return;
        }
        let (outer, last) = name.rsplit_once('.').map_or((None, name), |(outer, last)| (Some(outer), last));
        let mut map = &mut self.fields;
        for part in outer.into_iter().flat_map(|outer| outer.split('.')) {
            let slot = map.entry(part).or_insert_with(|| json!({}));
            if !slot.is_object() {
                *slot = json!({});
            }
            let Value::Object(inner) = slot else { return };
            map = inner;
        }
        map.insert(last.to_owned(), value);
    }

    /// Says what the source calls a field, so that errors do.
    #[must_use]
    pub fn named(mut self, name: &str, origin: impl Into<String>) -> Self {
        self.origins.push((name.to_owned(), origin.into()));
        self
    }

    /// Moves a field out of the row, if it is there and not null.
    #[must_use]
    pub fn take(self, name: &str, row: &mut Fields<'_>, from: &str) -> Self {
        let value = row.take(from).unwrap_or_default();
        let origin = row.path(from);
        self.with(name, value).named(name, origin)
    }

    /// Moves a field out of the row that must be there.
    ///
    /// # Errors
    /// Those of [`Fields::need`].
    pub fn need(self, name: &str, row: &mut Fields<'_>, from: &str) -> Made<Self> {
        let value = row.need(from, "a value")?;
        let origin = row.path(from);
        Ok(self.with(name, value).named(name, origin))
    }

    /// Moves a string out of the row that must be there, and makes one message of it.
    ///
    /// # Errors
    /// Those of [`Fields::need_string`].
    pub fn says(self, name: &str, role: &str, row: &mut Fields<'_>, from: &str) -> Made<Self> {
        let text = row.need_string(from)?;
        let origin = row.path(from);
        Ok(self.with(name, message(role, text)).named(name, origin))
    }

    /// A field as it stands.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.fields.get(name)
    }

    /// The first element of a list.
    pub(crate) fn first_of(&self, name: &str) -> Option<Value> {
        self.get(name)?.get(0).cloned()
    }

    /// Makes the record. `rest` is what the row has left, and goes to `meta`, but for a `split` and what is null.
    pub(crate) fn complete(
        mut self,
        origin: &Origin,
        index: Option<usize>,
        mut rest: Map<String, Value>,
        reading: &mut Reading,
    ) -> Made<Record> {
        if !self.fields.contains_key("split") && rest.get("split").is_some_and(Value::is_string) {
            self.set("split", rest.shift_remove("split").unwrap_or_default());
        }
        rest.retain(|_, value| !value.is_null());
        let part = index.map(|index| format!(".{index}")).unwrap_or_default();
        let id = format!("{}:{}{part}", origin.source, origin.place.record_index);
        self.fields.entry("id").or_insert(Value::String(id));
        self.set("provenance", origin.to_json());
        if !rest.is_empty() {
            let meta = self.fields.entry("meta").or_insert_with(|| json!({}));
            if let Value::Object(meta) = meta {
                for (key, value) in rest {
                    meta.entry(key).or_insert(value);
                }
            }
        }
        let origins = self.origins;
        Record::from_fields(Fields::new(self.fields, reading)).map_err(|reason| in_own_names(reason, &origins))
    }
}

/// Tells a reason in the names of the source: the longest canonical path that begins the reason's field is replaced.
fn in_own_names(reason: Reason, origins: &[(String, String)]) -> Reason {
    let Some(field) = &reason.field else { return reason };
    let rest = |name: &str| {
        let rest = field.strip_prefix(name)?;
        (rest.is_empty() || rest.starts_with(['.', '['])).then_some(rest)
    };
    let best = origins.iter().filter_map(|(name, origin)| Some((name.len(), origin, rest(name)?)));
    let Some((_, origin, rest)) = best.max_by_key(|&(len, ..)| len) else { return reason };
    let message = reason.message.strip_prefix(&format!("field `{field}`: ")).unwrap_or(&reason.message);
    Reason { excerpt: reason.excerpt.clone(), ..Reason::field(reason.code, format!("{origin}{rest}"), message) }
}

/// One message, as the JSON of a list of messages.
pub(crate) fn message(role: &str, text: impl Into<String>) -> Value {
    json!([{"role": role, "content": text.into()}])
}

/// What the user asks, as the JSON of a list of messages.
pub(crate) fn user(text: impl Into<String>) -> Value {
    message("user", text)
}

/// What the assistant answers, as the JSON of a list of messages.
pub(crate) fn assistant(text: impl Into<String>) -> Value {
    message("assistant", text)
}

/// What a row makes.
#[derive(Debug, Clone)]
pub enum Drafts {
    /// One record.
    One(Draft),
    /// Any number of records. Each gets all that is left of the row.
    Many(Vec<Draft>),
    /// None: an option with this name leaves the row out.
    Filtered(&'static str),
}

impl From<Draft> for Drafts {
    fn from(draft: Draft) -> Self {
        Self::One(draft)
    }
}

/// Where a row stands, kept while it waits for others.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    source: String,
    file: String,
    pub(crate) place: Place,
}

impl Origin {
    pub(crate) fn of(row: &Row<'_>, family: &str) -> Self {
        let (_, stem) = crate::hh_rlhf::names(row.file);
        let file = row.file.to_string_lossy().into_owned();
        Self { source: format!("{family}/{stem}"), file, place: row.place() }
    }

    fn to_json(&self) -> Value {
        let Place { line, record_index, .. } = self.place;
        json!({"source": self.source, "file": self.file, "line": line, "record_index": record_index})
    }
}

/// The reader of a source of whose rows each makes its records without the others.
pub struct Rows<F> {
    family: String,
    convert: F,
}

impl<F> Rows<F>
where
    F: FnMut(&mut Fields<'_>, &Path) -> Made<Drafts>,
{
    /// Names records after `family`; `convert` takes what it knows out of a row of a file.
    pub fn new(family: impl Into<String>, convert: F) -> Self {
        Self { family: family.into(), convert }
    }
}

impl<F> RowReader for Rows<F>
where
    F: FnMut(&mut Fields<'_>, &Path) -> Made<Drafts>,
{
    type Record = Record;

    fn row(&mut self, row: Row<'_>) -> Made<Given<Record>> {
        let origin = Origin::of(&row, &self.family);
        let mut fields = row.fields;
        let drafts = (self.convert)(&mut fields, row.file)?;
        let (rest, reading) = fields.into_parts();
        match drafts {
            Drafts::One(draft) => draft.complete(&origin, None, rest, reading).map(Given::Record),
            Drafts::Many(drafts) => {
                let numbered = drafts.into_iter().enumerate();
                let made = numbered.map(|(i, draft)| draft.complete(&origin, Some(i), rest.clone(), reading));
                made.collect::<Made<_>>().map(Given::Records)
            }
            Drafts::Filtered(name) => Ok(Given::Filtered(name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Code;

    #[test]
    fn a_field_inside_another_makes_the_other_and_null_makes_nothing() {
        let draft =
            Draft::default().with("annotator.id", "u").with("annotator.groups.age", "18-29").with("x", Value::Null);
        assert_eq!(Value::Object(draft.fields), json!({"annotator": {"id": "u", "groups": {"age": "18-29"}}}));
        let draft = Draft::default().with("a", 1).with("a.b", 2);
        assert_eq!(Value::Object(draft.fields), json!({"a": {"b": 2}}));
    }

    #[test]
    fn errors_name_the_field_as_the_source_does() {
        let origins = [("a".to_owned(), "response_1".to_owned()), ("a[1]".to_owned(), "second".to_owned())];
        let told = |field: &str| in_own_names(Reason::field(Code::Empty, field, "empty"), &origins).to_string();
        assert_eq!(told("a"), "E_EMPTY: field `response_1`: empty");
        assert_eq!(told("a[0].role"), "E_EMPTY: field `response_1[0].role`: empty");
        assert_eq!(told("a[1].role"), "E_EMPTY: field `second.role`: empty");
        assert_eq!(told("about"), "E_EMPTY: field `about`: empty");
        let whole = Reason::new(Code::Identical, "same");
        assert_eq!(in_own_names(whole.clone(), &origins), whole);
    }
}
