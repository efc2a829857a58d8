//! The table of users: what is known of the people whose preferences a data set holds.

use std::{collections::HashMap, path::Path};

use serde::Serialize;
use serde_json::{Map, Value};

use crate::{
    error::Result,
    read::{LoadOptions, read_jsonl},
    record::{Envelope, Fields, as_f64},
    report::{Code, LoadReport, Reason},
    row::Row,
};

/// What is known of one user.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct User {
    /// The id that records name, opaque.
    pub user_id: String,
    /// A description.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// What else is known, such as demographics.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub attributes: Map<String, Value>,
    /// How much each attribute of a response matters to the user, as they say themselves; finite.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "as_object")]
    pub stated_preferences: Vec<(String, f64)>,
    /// What the user wants a model to be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system_string: Option<String>,
}

fn as_object<S: serde::Serializer>(pairs: &[(String, f64)], serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().map(|(name, value)| (name, value)))
}

impl User {
    /// Makes a user of a row. What the row has beyond a user's fields goes to `attributes`.
    ///
    /// # Errors
    /// What is missing or of another type, and [`Code::Empty`] for an empty id.
    pub fn from_fields(mut fields: Fields<'_>) -> std::result::Result<Self, Reason> {
        let user_id = match fields.need("user_id", "a string or a whole number")? {
            Value::String(id) if id.is_empty() => return Err(Reason::field(Code::Empty, "user_id", "empty")),
            Value::String(id) => id,
            Value::Number(id) => id.to_string(),
            other => return Err(crate::record::wrong_type("user_id", "a string or a whole number", &other)),
        };
        let (profile, system_string) = (fields.string("profile")?, fields.string("system_string")?);
        let stated = fields.object("stated_preferences")?.unwrap_or_default();
        let number = |(name, value): (String, Value)| {
            let number = as_f64(&value, &format!("stated_preferences.{name}"), fields.reading())?;
            Ok((name, number))
        };
        let stated_preferences = stated.into_iter().map(number).collect::<std::result::Result<_, Reason>>()?;
        let mut attributes = fields.object("attributes")?.unwrap_or_default();
        for (name, value) in fields.into_rest() {
            attributes.entry(name).or_insert(value);
        }
        Ok(Self { user_id, profile, attributes, stated_preferences, system_string })
    }
}

/// Users by their id.
///
/// # Example
/// ```
/// use std::sync::Arc;
/// use accordant_data::{LoadOptions, Warning, load::load, users::Users};
/// let folder = tempfile::tempdir()?;
/// let (users, pairs) = (folder.path().join("users.jsonl"), folder.path().join("pairs.jsonl"));
/// std::fs::write(&users, r#"{"user_id": "u1", "age": "18-29"}"#)?;
/// std::fs::write(&pairs, r#"
///     {"prompt": "q", "chosen": "a", "rejected": "b", "user_id": "u1"}
///     {"prompt": "q", "chosen": "b", "rejected": "a", "user_id": "u2"}
/// "#)?;
/// let users = Arc::new(Users::read(&users, &LoadOptions::default())?.0);
/// let options = LoadOptions { users: Some(users.clone()), ..LoadOptions::default() };
/// let (records, report) = load(&pairs, &options)?;
/// assert_eq!(users.of(records[0].envelope()).unwrap().attributes["age"], "18-29");
/// assert_eq!((records.len(), report.warned(Warning::UserMissing)), (2, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Users {
    by_id: HashMap<String, User>,
}

impl Users {
    /// Reads a table of users, one a row, in any container.
    ///
    /// # Errors
    /// Those of [`read_jsonl`]. A row that names a user again is rejected with [`Code::DupId`].
    pub fn read(path: impl AsRef<Path>, options: &LoadOptions) -> Result<(Self, LoadReport)> {
        let mut by_id = HashMap::new();
        let (_, report) = read_jsonl(path, options, |row: Row<'_>| {
            let user = User::from_fields(row.fields)?;
            match by_id.entry(user.user_id.clone()) {
                std::collections::hash_map::Entry::Occupied(_) => {
                    Err(Reason::field(Code::DupId, "user_id", "expected a user that has no row yet"))
                }
                std::collections::hash_map::Entry::Vacant(place) => {
                    place.insert(user);
                    Ok(())
                }
            }
        })?;
        Ok((Self { by_id }, report))
    }

    /// A user by id.
    pub fn get(&self, user_id: &str) -> Option<&User> {
        self.by_id.get(user_id)
    }

    /// The user whose preference a record is.
    pub fn of(&self, envelope: &Envelope) -> Option<&User> {
        self.get(envelope.user_id.as_deref()?)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }
}

impl FromIterator<User> for Users {
    /// Of users with the same id the last counts.
    fn from_iter<I: IntoIterator<Item = User>>(users: I) -> Self {
        Self { by_id: users.into_iter().map(|user| (user.user_id.clone(), user)).collect() }
    }
}
