//! The fields of one object on their way to a record: taken out one by one, by type, with what is wrong named.
//!
//! What is taken is gone; what is left when a record is made goes to its `meta`, so that no field is lost. A field that
//! is null counts as absent where it may be absent, since tables of columns write null for what a row does not have.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::{Map, Number, Value};

use crate::{
    message::at,
    report::{Code, Reason, Warning, excerpt},
    rules::Rules,
    text::Text,
};

/// What is noted while a row becomes a record, and the rules that hold.
#[derive(Debug, Default)]
pub struct Reading {
    /// The rules.
    pub rules: Rules,
    pub(crate) warnings: Vec<Warning>,
    pub(crate) repaired: Vec<Code>,
    /// Whether the values are cells of a table, in which numbers, booleans, lists and objects are text as well.
    pub(crate) cells: bool,
}

impl Reading {
    /// Under these rules, with nothing noted.
    pub fn new(rules: Rules) -> Self {
        Self { rules, ..Self::default() }
    }

    /// Notes that the row is odd. It counts once, and only if the row becomes a record.
    pub fn warn(&mut self, warning: Warning) {
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    /// Notes that this was wrong with the row and has been mended. It counts once.
    pub fn repair(&mut self, code: Code) {
        if !self.repaired.contains(&code) {
            self.repaired.push(code);
        }
    }

    /// What is odd so far.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// What has been mended so far.
    pub fn repaired(&self) -> &[Code] {
        &self.repaired
    }
}

/// The fields of an object.
///
/// # Example
/// ```
/// use accordant_data::{Code, record::{Fields, Reading}};
/// let mut reading = Reading::default();
/// let object = serde_json::json!({"label": "True", "score": 2});
/// let mut fields = Fields::new(object.as_object().unwrap().clone(), &mut reading);
/// assert_eq!(fields.f64("score")?, Some(2.0));
/// let reason = fields.bool("label").unwrap_err();
/// assert_eq!(reason.to_string(), "E_TYPE: field `label`: expected a boolean, found string \"True\"");
/// # Ok::<(), accordant_data::report::Reason>(())
/// ```
#[derive(Debug)]
pub struct Fields<'a> {
    map: Map<String, Value>,
    path: String,
    reading: &'a mut Reading,
}

type Taken<T> = std::result::Result<T, Reason>;

impl<'a> Fields<'a> {
    /// The fields of a whole row.
    pub fn new(map: Map<String, Value>, reading: &'a mut Reading) -> Self {
        Self { map, path: String::new(), reading }
    }

    /// The fields of an object at a path, such as `nodes[3]`.
    ///
    /// # Errors
    /// [`Code::Type`] if the value is no object.
    pub fn of(value: Value, path: impl Into<String>, reading: &'a mut Reading) -> Taken<Self> {
        let path = path.into();
        match value {
            Value::Object(map) => Ok(Self { map, path, reading }),
            other => Err(wrong_type(&path, "an object", &other)),
        }
    }

    /// The path of a field, such as `chosen[2].role`.
    pub fn path(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// Notes and rules.
    pub fn reading(&mut self) -> &mut Reading {
        self.reading
    }

    /// The rules.
    pub fn rules(&self) -> &Rules {
        &self.reading.rules
    }

    /// Whether a field is there and not null.
    pub fn has(&self, name: &str) -> bool {
        self.map.get(name).is_some_and(|value| !value.is_null())
    }

    /// The value of a field, left where it is.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.map.get(name).filter(|value| !value.is_null())
    }

    /// The names of the fields that are left.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.map.keys().map(String::as_str)
    }

    /// Gives a field a new name, unless the new one is there; whether it did.
    pub fn rename(&mut self, from: &str, to: &str) -> bool {
        if self.has(to) || !self.map.contains_key(from) {
            return false;
        }
        let value = self.map.shift_remove(from).unwrap_or_default();
        self.map.insert(to.to_owned(), value);
        true
    }

    /// Puts a field in place.
    pub fn insert(&mut self, name: impl Into<String>, value: impl Into<Value>) {
        self.map.insert(name.into(), value.into());
    }

    /// What is left.
    pub fn into_rest(self) -> Map<String, Value> {
        self.map
    }

    /// What is left, and the notes.
    pub(crate) fn into_parts(self) -> (Map<String, Value>, &'a mut Reading) {
        (self.map, self.reading)
    }

    /// Takes a field out; none if it is absent or null.
    pub fn take(&mut self, name: &str) -> Option<Value> {
        self.map.shift_remove(name).filter(|value| !value.is_null())
    }

    /// Takes a field out that is no text: in a cell of a table it is written as JSON, or as Python writes booleans.
    fn take_typed(&mut self, name: &str) -> Option<Value> {
        self.take(name).map(|value| self.typed(value))
    }

    fn typed(&self, value: Value) -> Value {
        match value {
            Value::String(text) if self.reading.cells => match &text[..] {
                "True" => Value::Bool(true),
                "False" => Value::Bool(false),
                _ => match serde_json::from_str(&text) {
                    Ok(Value::String(_)) | Err(_) => Value::String(text),
                    Ok(value) => value,
                },
            },
            value => value,
        }
    }

    /// Takes a field out.
    ///
    /// # Errors
    /// [`Code::MissingField`] with the names that are there; [`Code::Null`].
    pub fn need(&mut self, name: &str, expected: &str) -> Taken<Value> {
        match self.map.shift_remove(name) {
            Some(Value::Null) => {
                Err(Reason::field(Code::Null, self.path(name), format!("expected {expected}, found null")))
            }
            Some(value) => Ok(value),
            None => {
                let names: Vec<_> = self.map.keys().map(|key| format!("`{key}`")).collect();
                let message = match names.is_empty() {
                    true => "missing".to_owned(),
                    false => format!("missing; there is {}", excerpt(&names.join(", "))),
                };
                Err(Reason::field(Code::MissingField, self.path(name), message))
            }
        }
    }

    /// Takes a string.
    ///
    /// # Errors
    /// [`Code::Type`] for anything else.
    pub fn string(&mut self, name: &str) -> Taken<Option<String>> {
        let path = self.path(name);
        self.take(name).map(|value| as_string(value, &path)).transpose()
    }

    /// [`Self::string`] of a field that must be there.
    ///
    /// # Errors
    /// Those of [`Self::need`] and [`Self::string`].
    pub fn need_string(&mut self, name: &str) -> Taken<String> {
        let value = self.need(name, "a string")?;
        as_string(value, &self.path(name))
    }

    /// Takes a text: a string or a list of messages.
    ///
    /// # Errors
    /// [`Code::Type`] for anything else, and what is wrong with a message.
    pub fn text(&mut self, name: &str) -> Taken<Option<Text>> {
        let path = self.path(name);
        self.take(name).map(|value| as_text(value, &path)).transpose()
    }

    /// [`Self::text`] of a field that must be there.
    ///
    /// # Errors
    /// Those of [`Self::need`] and [`Self::text`].
    pub fn need_text(&mut self, name: &str) -> Taken<Text> {
        let value = self.need(name, "a string or a list of messages")?;
        as_text(value, &self.path(name))
    }

    /// Takes a number, finite as every number in JSON.
    ///
    /// # Errors
    /// [`Code::Type`] for anything else.
    pub fn f64(&mut self, name: &str) -> Taken<Option<f64>> {
        let path = self.path(name);
        self.take_typed(name).map(|value| as_f64(&value, &path, self.reading)).transpose()
    }

    /// [`Self::f64`] of a field that must be there.
    ///
    /// # Errors
    /// Those of [`Self::need`] and [`Self::f64`].
    pub fn need_f64(&mut self, name: &str) -> Taken<f64> {
        let value = self.need(name, "a number")?;
        let value = self.typed(value);
        as_f64(&value, &self.path(name), self.reading)
    }

    /// Takes a whole number; `2.0` is one.
    ///
    /// # Errors
    /// [`Code::Type`] for anything else.
    pub fn i64(&mut self, name: &str) -> Taken<Option<i64>> {
        let path = self.path(name);
        self.take_typed(name).map(|value| as_i64(&value, &path)).transpose()
    }

    /// Takes a whole number that is not negative.
    ///
    /// # Errors
    /// [`Code::Type`] if it is no whole number, [`Code::Range`] if it is negative.
    pub fn count(&mut self, name: &str) -> Taken<Option<u64>> {
        let path = self.path(name);
        let Some(number) = self.i64(name)? else { return Ok(None) };
        let message = || format!("expected a whole number of at least 0, found {number}");
        u64::try_from(number).map(Some).map_err(|_| Reason::field(Code::Range, path, message()))
    }

    /// Takes a boolean.
    ///
    /// # Errors
    /// [`Code::Type`] for anything else.
    pub fn bool(&mut self, name: &str) -> Taken<Option<bool>> {
        let path = self.path(name);
        match self.take_typed(name) {
            None => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(value)),
            Some(other) => Err(wrong_type(&path, "a boolean", &other)),
        }
    }

    /// Takes a list.
    ///
    /// # Errors
    /// [`Code::Type`] for anything else.
    pub fn list(&mut self, name: &str) -> Taken<Option<Vec<Value>>> {
        let path = self.path(name);
        self.take_typed(name).map(|value| as_list(value, &path)).transpose()
    }

    /// Takes a list whose elements `each` makes, from the element and its path, such as `labels[2]`.
    ///
    /// # Errors
    /// [`Code::Type`] for what is no list, and what `each` says.
    pub fn list_of<T>(
        &mut self,
        name: &str,
        mut each: impl FnMut(Value, &str, &mut Reading) -> Taken<T>,
    ) -> Taken<Option<Vec<T>>> {
        let path = self.path(name);
        let Some(list) = self.list(name)? else { return Ok(None) };
        let made = list.into_iter().enumerate().map(|(i, value)| each(value, &format!("{path}[{i}]"), self.reading));
        made.collect::<Taken<Vec<T>>>().map(Some)
    }

    /// [`Self::list_of`] of a field that must be there.
    ///
    /// # Errors
    /// Those of [`Self::need`] and [`Self::list_of`].
    pub fn need_list_of<T>(
        &mut self,
        name: &str,
        each: impl FnMut(Value, &str, &mut Reading) -> Taken<T>,
    ) -> Taken<Vec<T>> {
        let value = self.need(name, "a list")?;
        self.map.insert(name.to_owned(), value);
        Ok(self.list_of(name, each)?.unwrap_or_default())
    }

    /// Takes a list of objects that `make` makes something of. What `make` leaves of them stays here under the list's
    /// name, one object for each.
    ///
    /// # Errors
    /// [`Code::Type`] for what is no list or not of objects, and what `make` says.
    pub fn objects<T>(
        &mut self,
        name: &str,
        mut make: impl FnMut(&mut Fields<'_>) -> Taken<T>,
    ) -> Taken<Option<Vec<T>>> {
        let mut rests = Vec::new();
        let made = self.list_of(name, |value, path, reading| {
            let mut inner = Fields::of(value, path, reading)?;
            let made = make(&mut inner)?;
            rests.push(inner.into_rest());
            Ok(made)
        })?;
        if rests.iter().any(|rest| !rest.is_empty()) {
            self.map.insert(name.to_owned(), rests.into_iter().map(Value::Object).collect());
        }
        Ok(made)
    }

    /// Takes one of the words that `T` has, which `expected` lists.
    ///
    /// # Errors
    /// [`Code::Type`] for what is no string, [`Code::LabelValue`] for another word.
    pub fn word<T: DeserializeOwned>(&mut self, name: &str, expected: &str) -> Taken<Option<T>> {
        let path = self.path(name);
        let Some(word) = self.string(name)? else { return Ok(None) };
        let message = |word: &Value| format!("expected {expected}, found {}", describe(word));
        let word = Value::String(word);
        T::deserialize(&word).map(Some).map_err(|_| Reason::field(Code::LabelValue, path, message(&word)))
    }

    /// Takes an object whose values `each` makes, from the value and its path, such as `scale.honesty`.
    ///
    /// # Errors
    /// [`Code::Type`] for what is no object, and what `each` says.
    pub fn map_of<T>(
        &mut self,
        name: &str,
        each: impl FnMut(Value, &str, &mut Reading) -> Taken<T>,
    ) -> Taken<BTreeMap<String, T>> {
        let path = self.path(name);
        self.take(name).map_or(Ok(BTreeMap::new()), |value| as_map(value, &path, self.reading, each))
    }

    /// Takes a list of numbers.
    ///
    /// # Errors
    /// [`Code::Type`] for anything else.
    pub fn numbers(&mut self, name: &str) -> Taken<Vec<f64>> {
        Ok(self.list_of(name, |value, path, reading| as_f64(&value, path, reading))?.unwrap_or_default())
    }

    /// Takes a string or a list of strings, as a list.
    ///
    /// # Errors
    /// [`Code::Type`] for anything else.
    pub fn strings(&mut self, name: &str) -> Taken<Vec<String>> {
        match self.get(name) {
            None => Ok(Vec::new()),
            Some(Value::String(_)) => Ok(self.string(name)?.into_iter().collect()),
            Some(_) => Ok(self.list_of(name, |value, path, _| as_string(value, path))?.unwrap_or_default()),
        }
    }

    /// Takes an object as it is.
    ///
    /// # Errors
    /// [`Code::Type`] for anything else.
    pub fn object(&mut self, name: &str) -> Taken<Option<Map<String, Value>>> {
        let path = self.path(name);
        match self.take_typed(name) {
            None => Ok(None),
            Some(Value::Object(map)) => Ok(Some(map)),
            Some(other) => Err(wrong_type(&path, "an object", &other)),
        }
    }

    /// Takes an object that `make` makes something of. What `make` leaves of it stays here under the object's name.
    ///
    /// # Errors
    /// [`Code::Type`] for what is no object, and what `make` says.
    pub fn nested<T>(&mut self, name: &str, make: impl FnOnce(&mut Fields<'_>) -> Taken<T>) -> Taken<Option<T>> {
        let path = self.path(name);
        let Some(map) = self.object(name)? else { return Ok(None) };
        let mut inner = Fields { map, path, reading: self.reading };
        let made = make(&mut inner)?;
        let rest = inner.into_rest();
        if !rest.is_empty() {
            self.map.insert(name.to_owned(), Value::Object(rest));
        }
        Ok(Some(made))
    }
}

/// A string.
///
/// # Errors
/// [`Code::Type`] for anything else.
pub fn as_string(value: Value, path: &str) -> Taken<String> {
    match value {
        Value::String(text) => Ok(text),
        other => Err(wrong_type(path, "a string", &other)),
    }
}

/// An opaque name: a string, or a whole number in digits.
///
/// # Errors
/// [`Code::Type`] for anything else.
pub fn as_id(value: Value, path: &str) -> Taken<String> {
    match value {
        Value::String(id) => Ok(id),
        Value::Number(id) => Ok(id.to_string()),
        other => Err(wrong_type(path, "a string or a whole number", &other)),
    }
}

/// An object whose values `each` makes, from the value and its path.
///
/// # Errors
/// [`Code::Type`] for anything else, and what `each` says.
pub fn as_map<T>(
    value: Value,
    path: &str,
    reading: &mut Reading,
    mut each: impl FnMut(Value, &str, &mut Reading) -> Taken<T>,
) -> Taken<BTreeMap<String, T>> {
    let Value::Object(map) = value else { return Err(wrong_type(path, "an object", &value)) };
    let made = map.into_iter().map(|(name, value)| {
        let made = each(value, &format!("{path}.{name}"), reading)?;
        Ok((name, made))
    });
    made.collect()
}

/// A text: a string or a list of messages.
///
/// # Errors
/// [`Code::Type`] for anything else, and what is wrong with a message.
pub fn as_text(value: Value, path: &str) -> Taken<Text> {
    Text::from_json(value).map_err(|reason| at(path, reason))
}

/// A list.
///
/// # Errors
/// [`Code::Type`] for anything else.
pub fn as_list(value: Value, path: &str) -> Taken<Vec<Value>> {
    match value {
        Value::Array(list) => Ok(list),
        other => Err(wrong_type(path, "a list", &other)),
    }
}

/// A number. A whole number beyond 2^53, which `f64` may round, is noted.
///
/// # Errors
/// [`Code::Type`] for anything else.
pub fn as_f64(value: &Value, path: &str, reading: &mut Reading) -> Taken<f64> {
    const EXACT: u64 = 1 << 53;
    let Value::Number(number) = value else { return Err(wrong_type(path, "a number", value)) };
    if number.as_u64().is_some_and(|n| n > EXACT) || number.as_i64().is_some_and(|n| n.unsigned_abs() > EXACT) {
        reading.warn(Warning::Precision);
    }
    number.as_f64().ok_or_else(|| wrong_type(path, "a number", value))
}

/// A whole number; `2.0` is one.
///
/// # Errors
/// [`Code::Type`] for anything else.
pub fn as_i64(value: &Value, path: &str) -> Taken<i64> {
    let whole = |number: &Number| {
        let float = number.as_f64().filter(|x| x.fract() == 0.0 && x.abs() <= (1_i64 << 53) as f64);
        number.as_i64().or(float.map(|x| x as i64))
    };
    let number = if let Value::Number(number) = value { whole(number) } else { None };
    number.ok_or_else(|| wrong_type(path, "a whole number", value))
}

/// Says what was expected at a path and what is there.
pub fn wrong_type(path: &str, expected: &str, found: &Value) -> Reason {
    let message = format!("expected {expected}, found {}", describe(found));
    Reason::field(Code::Type, path, message).with_excerpt(&found.to_string())
}

/// A value in words for a message: its type, and the value itself where that is short.
pub fn describe(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(value) => format!("boolean {value}"),
        Value::Number(value) => format!("number {value}"),
        Value::String(value) => format!("string \"{}\"", excerpt(value)),
        Value::Array(values) => format!("an array of {}", values.len()),
        Value::Object(_) => "an object".into(),
    }
}
