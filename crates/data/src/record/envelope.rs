//! What records of every kind carry beside their texts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::fields::{Fields, as_id, as_list, as_string, describe};
use crate::{
    message::ContentForm,
    report::{Code, Reason, Warning},
    text::{Message, Role, Text},
};

/// Where a record comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Provenance {
    /// The data set.
    pub source: String,
    /// The file, as it was named when it was read.
    pub file: String,
    /// The line, from 1, in the decompressed text.
    pub line: usize,
    /// The row's number in the file, from 0; blank lines have none.
    pub record_index: usize,
}

/// Who judged: a person or a model.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Annotator {
    /// Opaque, unique within a data set.
    pub id: String,
    /// The one group that matters most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Groups by attribute, such as `age: "18-29"`. Who does not say is `undisclosed`, a category of its own.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub groups: BTreeMap<String, String>,
    /// What else is known.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub attributes: Map<String, Value>,
    /// Whether it is a model; none where that is not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_model: Option<bool>,
}

/// The group of those who do not say.
pub const UNDISCLOSED: &str = "undisclosed";

impl Annotator {
    /// An annotator of whom nothing but the id is known.
    pub fn new(id: impl Into<String>) -> Self {
        Self { id: id.into(), ..Self::default() }
    }

    pub(super) fn take(fields: &mut Fields<'_>) -> Result<Self, Reason> {
        let id = as_id(fields.need("id", "a string or a whole number")?, &fields.path("id"))?;
        let path = fields.path("groups");
        let group = |(name, value): (String, Value)| match value {
            Value::Null => Ok((name, UNDISCLOSED.to_owned())),
            value => {
                let value = as_string(value, &format!("{path}.{name}"))?;
                let hidden = value.eq_ignore_ascii_case("prefer not to say");
                Ok((name, if hidden { UNDISCLOSED.to_owned() } else { value }))
            }
        };
        let groups = fields.object("groups")?.unwrap_or_default().into_iter().map(group);
        Ok(Self {
            groups: groups.collect::<Result<_, Reason>>()?,
            id,
            group: fields.string("group")?,
            attributes: fields.object("attributes")?.unwrap_or_default(),
            is_model: fields.bool("is_model")?,
        })
    }
}

/// The fields that records of every kind share. In JSON they stand beside the record's own fields.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Envelope {
    /// Unique within a data set; empty until a reader names the record.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// The tools that the model may call, as the chat template wants them; empty where there is none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<Value>,
    /// Arguments for the chat template, of this record.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub chat_template_kwargs: Map<String, Value>,
    /// Who judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub annotator: Option<Annotator>,
    /// Whose preference it is, where that is not the annotator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// The group that the judgment belongs to: an annotator group or the name of the source, such as `helpful-base`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Sample weight, finite and at least 0; none means 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<f64>,
    /// `train`, `validation`, `test` or any other.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub split: Option<String>,
    /// Why the label is what it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rationale: Option<String>,
    /// Who gave the rationale.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rationale_source: Option<String>,
    /// Where the record comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provenance: Option<Provenance>,
    /// Everything else that the source says.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub meta: Map<String, Value>,
}

impl Envelope {
    pub(super) fn take(fields: &mut Fields<'_>) -> Result<Self, Reason> {
        let id = fields.take("id").map_or(Ok(String::new()), |id| as_id(id, "id"))?;
        let provenance = fields.take("provenance").map(|value| {
            let message = |error| format!("expected where the record comes from: {error}");
            serde_json::from_value(value).map_err(|error| Reason::field(Code::Type, "provenance", message(error)))
        });
        Ok(Self {
            id,
            tools: take_tools(fields)?,
            chat_template_kwargs: fields.object("chat_template_kwargs")?.unwrap_or_default(),
            annotator: fields.nested("annotator", Annotator::take)?,
            user_id: fields.string("user_id")?,
            group: fields.string("group")?,
            weight: fields.f64("weight")?,
            split: fields.string("split")?,
            rationale: fields.string("rationale")?,
            rationale_source: fields.string("rationale_source")?,
            provenance: provenance.transpose()?,
            meta: fields.object("meta")?.unwrap_or_default(),
        })
    }

    /// Moves what is left of a row to `meta`.
    pub(super) fn keep_rest(&mut self, rest: Map<String, Value>) -> Result<(), Reason> {
        for (key, value) in rest {
            if self.meta.contains_key(&key) {
                return Err(Reason::field(Code::Type, key, "stands in the record and in its `meta`"));
            }
            self.meta.insert(key, value);
        }
        Ok(())
    }

    pub(super) fn validate(&self) -> Result<(), Reason> {
        check_number("weight", self.weight, 0.0, f64::INFINITY)
    }
}

/// The tools: a list of objects, or a string that holds one. An empty list is none, since templates would announce it.
fn take_tools(fields: &mut Fields<'_>) -> Result<Vec<Value>, Reason> {
    let path = fields.path("tools");
    let tools = match fields.take("tools") {
        Some(Value::String(text)) => serde_json::from_str(&text).map_err(|error| {
            Reason::field(Code::ToolsJson, &path, format!("expected a JSON list, found {error}")).with_excerpt(&text)
        })?,
        Some(value) => value,
        None => return Ok(Vec::new()),
    };
    let tools = as_list(tools, &path).map_err(|reason| Reason { code: Code::ToolsJson, ..reason })?;
    match tools.iter().position(|tool| !tool.is_object()) {
        None => Ok(tools),
        Some(i) => {
            let message = format!("expected an object, found {}", describe(&tools[i]));
            Err(Reason::field(Code::ToolsJson, format!("{path}[{i}]"), message))
        }
    }
}

/// Takes the field `prompt`, which must be there, with the field `system` in front.
///
/// # Errors
/// Those of [`Fields::need_text`] and [`take_system`].
pub(super) fn take_prompt(fields: &mut Fields<'_>) -> Result<Text, Reason> {
    let mut prompt = fields.need_text("prompt")?;
    take_system(fields, &mut prompt)?;
    Ok(prompt)
}

/// Takes the field `system` and puts it in front of a conversation. Beside a plain prompt it stays where it is.
///
/// Where the rules fold system messages into the user's, the first of the conversation is; that is counted.
///
/// # Errors
/// [`Code::TwoSystem`] if the conversation has a system message.
pub(super) fn take_system(fields: &mut Fields<'_>, prompt: &mut Text) -> Result<(), Reason> {
    let Text::Messages(messages) = prompt else { return Ok(()) };
    if let Some(system) = fields.string("system")? {
        if messages.iter().any(|message| message.role == Role::System) {
            let message = "the conversation has a system message, and the record another";
            return Err(Reason::field(Code::TwoSystem, "system", message).with_excerpt(&system));
        }
        messages.insert(0, Message::new(Role::System, system));
    }
    if fields.rules().fold_system_into_user && fold_system_into_user(messages) {
        fields.reading().warn(Warning::SystemFolded);
    }
    Ok(())
}

/// Puts the system message that opens a conversation in front of the user's first message, with an empty line between;
/// whether it did. The user's must follow and both must be text.
///
/// # Example
/// ```
/// use accordant_data::{Message, Role, record::fold_system_into_user};
/// let mut messages = vec![Message::new(Role::System, "Be brief."), Message::new(Role::User, "Why?")];
/// assert!(fold_system_into_user(&mut messages));
/// assert_eq!(messages, [Message::new(Role::User, "Be brief.\n\nWhy?")]);
/// assert!(!fold_system_into_user(&mut messages));
/// ```
pub fn fold_system_into_user(messages: &mut Vec<Message>) -> bool {
    let is_text = |message: &Message| message.form == ContentForm::Text;
    let [system, user, ..] = &mut messages[..] else { return false };
    if (system.role, user.role) != (Role::System, Role::User) || !is_text(system) || !is_text(user) {
        return false;
    }
    user.content = format!("{}\n\n{}", system.content, user.content);
    messages.remove(0);
    true
}

/// Checks that a number, where it is there, is finite and within bounds.
///
/// # Errors
/// [`Code::Nonfinite`], [`Code::Range`].
pub(crate) fn check_number(path: &str, value: impl Into<Option<f64>>, low: f64, high: f64) -> Result<(), Reason> {
    match value.into() {
        Some(value) if !value.is_finite() => {
            Err(Reason::field(Code::Nonfinite, path, format!("expected a finite number, found {value}")))
        }
        Some(value) if value < low || value > high => {
            Err(Reason::field(Code::Range, path, format!("expected a number in [{low}, {high}], found {value}")))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::record::{Reading, RecordType};

    fn take(value: Value) -> Result<(Envelope, Map<String, Value>), Reason> {
        let mut reading = Reading::default();
        let mut fields = Fields::of(value, "", &mut reading)?;
        let envelope = Envelope::take(&mut fields)?;
        Ok((envelope, fields.into_rest()))
    }

    #[test]
    fn d20_tools_may_be_a_string_and_an_empty_list_is_none() {
        let tools = json!([{"type": "function", "function": {"name": "f"}}]);
        for value in [tools.clone(), json!(tools.to_string())] {
            assert_eq!(take(json!({"tools": value})).unwrap().0.tools, *tools.as_array().unwrap());
        }
        for none in [json!([]), json!("[]"), json!(null)] {
            assert!(take(json!({"tools": none})).unwrap().0.tools.is_empty());
        }
        for wrong in [json!("{"), json!({}), json!([1]), json!("{}")] {
            assert_eq!(take(json!({"tools": wrong})).unwrap_err().code, Code::ToolsJson);
        }
    }

    #[test]
    fn who_does_not_say_is_a_group_of_its_own() {
        let annotator = json!({"id": 7, "groups": {"age": null, "sex": "Prefer not to say", "home": "north"}});
        let annotator = take(json!({"annotator": annotator})).unwrap().0.annotator.unwrap();
        let groups: Vec<_> = annotator.groups.values().map(String::as_str).collect();
        assert_eq!((&annotator.id[..], groups), ("7", vec![UNDISCLOSED, "north", UNDISCLOSED]));
    }

    #[test]
    fn what_an_annotator_has_beyond_its_fields_is_left_in_the_row() {
        let (envelope, rest) = take(json!({"annotator": {"id": "a", "mood": "good"}, "id": 3})).unwrap();
        assert_eq!(envelope.id, "3");
        assert_eq!(Value::Object(rest), json!({"annotator": {"mood": "good"}}));
        let reason = take(json!({"annotator": {"is_model": true}})).unwrap_err();
        assert_eq!(reason.to_string(), "E_MISSING_FIELD: field `annotator.id`: missing; there is `is_model`");
    }

    #[test]
    fn d22_two_system_messages_are_refused_and_one_is_folded_and_counted() {
        let row = |system: Option<&str>| json!({"system": system, "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "q"}]});
        let read = |row: Value, fold_system_into_user| {
            let mut reading = Reading::new(crate::rules::Rules { fold_system_into_user, ..Default::default() });
            let read = crate::record::Lm::from_fields(Fields::of(row, "", &mut reading).unwrap());
            let texts = |text: &Text| text.as_messages().unwrap().iter().map(|m| m.content.clone()).collect::<Vec<_>>();
            (read.map(|lm| texts(&lm.text)).map_err(|reason| reason.to_string()), reading.warnings().to_vec())
        };
        let two = "E_TWO_SYSTEM: field `system`: the conversation has a system message, and the record another";
        assert_eq!(read(row(Some("t")), true), (Err(two.to_owned()), vec![]));
        assert_eq!(read(row(None), false), (Ok(vec!["s".into(), "q".into()]), vec![]));
        assert_eq!(read(row(None), true), (Ok(vec!["s\n\nq".into()]), vec![Warning::SystemFolded]));
        let alone = json!({"system": "s", "messages": [{"role": "user", "content": "q"}]});
        assert_eq!(read(alone.clone(), false), (Ok(vec!["s".into(), "q".into()]), vec![]));
        assert_eq!(read(alone, true), (Ok(vec!["s\n\nq".into()]), vec![Warning::SystemFolded]));
        let none = json!({"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]});
        assert_eq!(read(none, true), (Ok(vec!["q".into(), "a".into()]), vec![]));
    }

    #[test]
    fn d21_conversations_of_from_and_value_are_read_under_their_other_names() {
        let row = json!({"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]});
        let mut reading = Reading::default();
        let record = crate::record::Record::from_fields(Fields::of(row, "", &mut reading).unwrap()).unwrap();
        let messages = vec![Message::new(Role::User, "q"), Message::new(Role::Assistant, "a")];
        assert_eq!(record, crate::record::Lm::new(messages).unwrap().into());
    }

    #[test]
    fn a_number_is_checked_for_both_ends_and_for_being_one() {
        assert!(check_number("x", None, 0.0, 1.0).is_ok());
        assert!(check_number("x", 0.0, 0.0, 1.0).is_ok() && check_number("x", 1.0, 0.0, 1.0).is_ok());
        assert_eq!(check_number("x", 1.1, 0.0, 1.0).unwrap_err().code, Code::Range);
        assert_eq!(check_number("x", -0.1, 0.0, 1.0).unwrap_err().code, Code::Range);
        assert_eq!(check_number("x", f64::NAN, 0.0, 1.0).unwrap_err().code, Code::Nonfinite);
    }
}
