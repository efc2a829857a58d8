//! Messages: what one speaker says in a conversation, with its tool calls and reasoning.
//!
//! A message is read from the spellings that are in use and written in one. What it does not know it keeps:
//!
//! | read | becomes |
//! |---|---|
//! | `role` or `from` | [`Message::role`] |
//! | `content` or `value`: a string, a list of parts, or null beside tool calls | [`Message::content`], [`Message::form`] |
//! | `thinking`, `reasoning_content` or `reasoning` | [`Message::thinking`] |
//! | `tool_calls`, their `arguments` as an object or as a string that holds one | [`Message::tool_calls`] |
//! | `tool_call_id`, `name`, `train` | the fields of these names |
//! | a key whose value is null | nothing: columnar files write them where a key is absent |
//! | any other key | [`Message::extra`] |

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _, ser::SerializeMap};
use serde_json::{Map, Value};

use crate::{
    code::{Code, Warning},
    record::describe,
    report::Reason,
    text::Role,
};

/// The keys under which reasoning is found, the first one that is there counts.
pub(crate) const THINKING_KEYS: [&str; 3] = ["thinking", "reasoning_content", "reasoning"];

/// One turn of a conversation.
///
/// # Example
/// ```
/// use accordant_data::{Message, Role};
/// let json = r#"{"from": "gpt", "value": "hi", "reasoning": "greet", "name": null, "stars": 5}"#;
/// let message: Message = serde_json::from_str(json)?;
/// assert_eq!((message.role, &message.content[..]), (Role::Assistant, "hi"));
/// assert_eq!(message.thinking.as_deref(), Some("greet"));
/// assert_eq!(message.extra["stars"], 5);
/// let written = r#"{"role":"assistant","content":"hi","thinking":"greet","stars":5}"#;
/// assert_eq!(serde_json::to_string(&message)?, written);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said. Of a list of parts the text parts, one after the other.
    pub content: String,
    /// How the content was written; a template sees it that way.
    pub form: ContentForm,
    /// The reasoning before what is said.
    pub thinking: Option<String>,
    /// The tools that the assistant calls.
    pub tool_calls: Vec<ToolCall>,
    /// The call that a tool's message answers.
    pub tool_call_id: Option<String>,
    /// The speaker's or the tool's name.
    pub name: Option<String>,
    /// Whether the turn is learned, where turns are chosen by this flag; none means that the assistant's are.
    pub train: Option<bool>,
    /// Keys that have no field here, as they came.
    pub extra: Map<String, Value>,
}

/// How the content of a message was written.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum ContentForm {
    /// As a string.
    #[default]
    Text,
    /// As null or not at all, beside tool calls.
    Null,
    /// As a list of parts, kept as they came.
    Parts(Vec<Value>),
}

impl Message {
    /// A message of text.
    pub fn new(role: Role, content: impl Into<String>) -> Self {
        Self {
            role,
            content: content.into(),
            form: ContentForm::Text,
            thinking: None,
            tool_calls: Vec::new(),
            tool_call_id: None,
            name: None,
            train: None,
            extra: Map::new(),
        }
    }

    /// A message of the assistant that calls tools and says nothing.
    pub fn calling(tool_calls: Vec<ToolCall>) -> Self {
        Self { form: ContentForm::Null, tool_calls, ..Self::new(Role::Assistant, "") }
    }

    /// A message from its JSON object.
    ///
    /// # Errors
    /// Of the field, without the message's own place: [`Code::Role`] for a role that is absent or unknown,
    /// [`Code::ContentNull`] for content that is absent without tool calls, [`Code::Type`] for a value of another JSON
    /// type.
    ///
    /// # Example
    /// ```
    /// use accordant_data::{Code, Message};
    /// let reason = |json: &str| Message::from_json(serde_json::from_str(json).unwrap()).unwrap_err();
    /// assert_eq!(reason(r#"{"role": "critic", "content": ""}"#).code, Code::Role);
    /// assert_eq!(reason(r#"{"role": "user", "content": null}"#).code, Code::ContentNull);
    /// assert_eq!(reason(r#"{"role": "user", "content": 7}"#).to_string(),
    ///     "E_TYPE: field `content`: expected a string or a list of parts, found number 7");
    /// ```
    pub fn from_json(value: Value) -> Result<Self, Reason> {
        let Value::Object(mut keys) = value else {
            return Err(Reason::new(Code::Type, format!("expected a message, found {}", describe(&value))));
        };
        keys.retain(|_, value| !value.is_null());
        let role = take_role(&mut keys)?;
        let tool_calls = take_tool_calls(&mut keys)?;
        let (content, form) = take_content(&mut keys, !tool_calls.is_empty())?;
        let thinking = take_thinking(&mut keys)?;
        Ok(Self {
            role,
            content,
            form,
            thinking,
            tool_calls,
            tool_call_id: take_string(&mut keys, "tool_call_id")?,
            name: take_string(&mut keys, "name")?,
            train: match keys.shift_remove("train") {
                None => None,
                Some(Value::Bool(train)) => Some(train),
                Some(other) => return Err(wrong_type("train", "a boolean", &other)),
            },
            extra: keys,
        })
    }

    /// Whether nothing is said and no tool is called: white space only.
    pub fn is_blank(&self) -> bool {
        self.content.trim().is_empty() && self.tool_calls.is_empty() && self.non_text_part().is_none()
    }

    /// Whether the turn is learned, where turns are chosen by their flags: [`Message::train`], or else the assistant's.
    pub fn is_trained(&self) -> bool {
        self.train.unwrap_or(self.role == Role::Assistant)
    }

    /// The first part that is not text, and its type: `(1, "image")`.
    pub fn non_text_part(&self) -> Option<(usize, &str)> {
        let ContentForm::Parts(parts) = &self.form else { return None };
        let kinds = parts.iter().map(|part| part.get("type").and_then(Value::as_str).unwrap_or("unknown"));
        kinds.enumerate().find(|(_, kind)| *kind != "text")
    }

    /// What is odd about the message.
    pub fn warnings(&self) -> Vec<Warning> {
        let odd_arguments = self.tool_calls.iter().any(|call| call.arguments().is_string());
        let odd = [(odd_arguments, Warning::ToolArgs), (self.non_text_part().is_some(), Warning::NonTextPart)];
        odd.into_iter().filter_map(|(is, warning)| is.then_some(warning)).collect()
    }

    /// Whether two messages differ in no more than white space at the end of what they say.
    pub(crate) fn same_but_for_trailing_space(&self, other: &Self) -> bool {
        self.role == other.role
            && self.content.trim_end() == other.content.trim_end()
            && (&self.tool_calls, &self.thinking) == (&other.tool_calls, &other.thinking)
            && self.non_text_part().is_some() == other.non_text_part().is_some()
            && (self.non_text_part().is_none() || self.form == other.form)
    }
}

/// A call of a tool by the assistant: `{"id": .., "type": "function", "function": {"name": .., "arguments": ..}}`.
///
/// `arguments` is an object. A string that holds none is kept as a string, which is [`Warning::ToolArgs`]. Other keys
/// and their order are kept, and so is every null inside the arguments.
///
/// # Example
/// ```
/// use accordant_data::message::ToolCall;
/// let json = r#"{"function": {"name": "weather", "arguments": "{\"city\": null}"}, "id": "c1"}"#;
/// let call: ToolCall = serde_json::from_str(json)?;
/// assert_eq!((call.id(), call.name()), (Some("c1"), "weather"));
/// let written = r#"{"function":{"name":"weather","arguments":{"city":null}},"id":"c1","type":"function"}"#;
/// assert_eq!(serde_json::to_string(&call)?, written);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct ToolCall(Map<String, Value>);

impl ToolCall {
    /// A call of a function.
    pub fn new(name: impl Into<String>, arguments: Map<String, Value>) -> Self {
        let function = [("name", Value::String(name.into())), ("arguments", Value::Object(arguments))];
        let call = [("type", Value::from("function")), ("function", Value::Object(owned(function)))];
        Self(owned(call))
    }

    /// A call from its JSON object; a function that stands for itself (`{"name": .., "arguments": ..}`) is wrapped.
    ///
    /// # Errors
    /// [`Code::Type`] naming the field.
    pub fn from_json(value: Value) -> Result<Self, Reason> {
        let Value::Object(mut call) = value else {
            return Err(Reason::new(Code::Type, format!("expected a tool call, found {}", describe(&value))));
        };
        call.retain(|_, value| !value.is_null());
        if !call.contains_key("function") && call.contains_key("name") {
            call = owned([("type", Value::from("function")), ("function", Value::Object(call))]);
        }
        match call.get_mut("function") {
            Some(Value::Object(function)) => normalize_function(function)?,
            Some(other) => return Err(wrong_type("function", "an object", other)),
            None => return Err(Reason::field(Code::Type, "function", "expected an object, found nothing")),
        }
        match call.get("type") {
            None => drop(call.insert("type".into(), "function".into())),
            Some(Value::String(kind)) if kind == "function" => {}
            Some(other) => return Err(wrong_type("type", "\"function\"", other)),
        }
        Ok(Self(call))
    }

    /// The call's id.
    pub fn id(&self) -> Option<&str> {
        self.0.get("id").and_then(Value::as_str)
    }

    /// The name of the function.
    pub fn name(&self) -> &str {
        self.function().and_then(|function| function.get("name")).and_then(Value::as_str).unwrap_or_default()
    }

    /// The arguments: an object, or a string that holds none.
    pub fn arguments(&self) -> &Value {
        self.function().and_then(|function| function.get("arguments")).unwrap_or(&Value::Null)
    }

    /// The whole call as JSON.
    pub fn as_json(&self) -> &Map<String, Value> {
        &self.0
    }

    fn function(&self) -> Option<&Map<String, Value>> {
        self.0.get("function").and_then(Value::as_object)
    }
}

fn normalize_function(function: &mut Map<String, Value>) -> Result<(), Reason> {
    function.retain(|_, value| !value.is_null());
    match function.get("name") {
        Some(Value::String(_)) => {}
        Some(other) => return Err(wrong_type("function.name", "a string", other)),
        None => return Err(Reason::field(Code::Type, "function.name", "expected a string, found nothing")),
    }
    let parsed = match function.get("arguments") {
        // A function without arguments is called without them.
        None => Some(Map::new()),
        Some(Value::Object(_)) => None,
        Some(Value::String(text)) => serde_json::from_str(text).ok(),
        Some(other) => return Err(wrong_type("function.arguments", "an object or a string that holds one", other)),
    };
    if let Some(parsed) = parsed {
        function.insert("arguments".into(), Value::Object(parsed));
    }
    Ok(())
}

fn owned<const N: usize>(keys: [(&str, Value); N]) -> Map<String, Value> {
    keys.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

fn wrong_type(field: &str, expected: &str, found: &Value) -> Reason {
    Reason::field(Code::Type, field, format!("expected {expected}, found {}", describe(found)))
}

/// Puts the place of a list's element in front of the field that a reason names.
pub(crate) fn at(place: impl std::fmt::Display, reason: Reason) -> Reason {
    let message = match &reason.field {
        Some(field) => reason.message.strip_prefix(&format!("field `{field}`: ")).unwrap_or(&reason.message),
        None => &reason.message,
    };
    let field = match &reason.field {
        Some(field) if field.starts_with('[') => format!("{place}{field}"),
        Some(field) => format!("{place}.{field}"),
        None => place.to_string(),
    };
    Reason { excerpt: reason.excerpt.clone(), ..Reason::field(reason.code, field, message) }
}

fn take_role(keys: &mut Map<String, Value>) -> Result<Role, Reason> {
    let (key, value) = match (keys.shift_remove("role"), keys.contains_key("from")) {
        (Some(value), _) => ("role", value),
        (None, true) => ("from", keys.shift_remove("from").unwrap_or_default()),
        (None, false) => return Err(Reason::field(Code::Role, "role", "expected a role, found nothing")),
    };
    let role = value.as_str().and_then(Role::from_name);
    let expected = "expected `system`, `developer`, `user`, `assistant` or `tool`";
    role.ok_or_else(|| Reason::field(Code::Role, key, format!("{expected}, found {}", describe(&value))))
}

fn take_content(keys: &mut Map<String, Value>, calls: bool) -> Result<(String, ContentForm), Reason> {
    let (key, value) = match keys.shift_remove("content") {
        Some(value) => ("content", Some(value)),
        None => ("value", keys.shift_remove("value")),
    };
    match value {
        Some(Value::String(text)) => Ok((text, ContentForm::Text)),
        Some(Value::Array(parts)) => {
            let mut content = String::new();
            for (index, part) in parts.iter().enumerate() {
                let field = |reason| at(key, at(format_args!("[{index}]"), reason));
                content.push_str(part_text(part).map_err(field)?);
            }
            Ok((content, ContentForm::Parts(parts)))
        }
        Some(other) => Err(wrong_type(key, "a string or a list of parts", &other)),
        None if calls => Ok((String::new(), ContentForm::Null)),
        None => {
            let message = "expected a string or a list of parts, found nothing, and no tool is called";
            Err(Reason::field(Code::ContentNull, "content", message))
        }
    }
}

/// The text of a content part; empty for one of another type, which is kept but not looked at.
fn part_text(part: &Value) -> Result<&str, Reason> {
    let Some(kind) = part.get("type").and_then(Value::as_str) else {
        let message = format!("expected a content part, which has a `type`, found {}", describe(part));
        return Err(Reason::new(Code::Type, message));
    };
    match part.get("text") {
        _ if kind != "text" => Ok(""),
        Some(Value::String(text)) => Ok(text),
        other => Err(wrong_type("text", "a string", other.unwrap_or(&Value::Null))),
    }
}

fn take_thinking(keys: &mut Map<String, Value>) -> Result<Option<String>, Reason> {
    let Some(key) = THINKING_KEYS.into_iter().find(|key| keys.contains_key(*key)) else { return Ok(None) };
    let thinking = take_string(keys, key)?;
    // Some servers write the same text under two names.
    keys.retain(|key, value| !THINKING_KEYS.contains(&&key[..]) || value.as_str() != thinking.as_deref());
    Ok(thinking)
}

fn take_tool_calls(keys: &mut Map<String, Value>) -> Result<Vec<ToolCall>, Reason> {
    let calls = match keys.shift_remove("tool_calls") {
        None => return Ok(Vec::new()),
        Some(Value::Array(calls)) => calls,
        Some(other) => return Err(wrong_type("tool_calls", "a list of tool calls", &other)),
    };
    let call =
        |(index, call)| ToolCall::from_json(call).map_err(|reason| at(format_args!("tool_calls[{index}]"), reason));
    calls.into_iter().enumerate().map(call).collect()
}

fn take_string(keys: &mut Map<String, Value>, key: &str) -> Result<Option<String>, Reason> {
    match keys.shift_remove(key) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => Err(wrong_type(key, "a string", &other)),
    }
}

impl Serialize for Message {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("role", &self.role)?;
        match &self.form {
            ContentForm::Text => map.serialize_entry("content", &self.content)?,
            ContentForm::Null => map.serialize_entry("content", &())?,
            ContentForm::Parts(parts) => map.serialize_entry("content", parts)?,
        }
        let strings = [("thinking", &self.thinking), ("tool_call_id", &self.tool_call_id), ("name", &self.name)];
        for (key, value) in strings {
            if let Some(value) = value {
                map.serialize_entry(key, value)?;
            }
        }
        if !self.tool_calls.is_empty() {
            map.serialize_entry("tool_calls", &self.tool_calls)?;
        }
        if let Some(train) = self.train {
            map.serialize_entry("train", &train)?;
        }
        for (key, value) in &self.extra {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Message {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_json(Value::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

impl<'de> Deserialize<'de> for ToolCall {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_json(Value::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

#[cfg(feature = "schema")]
mod schema {
    use std::borrow::Cow;

    use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

    use super::{Message, ToolCall};
    use crate::text::Role;

    impl JsonSchema for Message {
        fn schema_name() -> Cow<'static, str> {
            "Message".into()
        }

        fn json_schema(generator: &mut SchemaGenerator) -> Schema {
            json_schema!({
                "description": "One turn of a conversation.",
                "type": "object",
                "required": ["role"],
                "properties": {
                    "role": generator.subschema_for::<Role>(),
                    "content": {
                        "description": "A string, a list of parts, or null beside tool calls.",
                        "type": ["string", "array", "null"],
                        "items": {
                            "type": "object",
                            "required": ["type"],
                            "properties": {"type": {"type": "string"}, "text": {"type": "string"}}
                        }
                    },
                    "thinking": {"type": "string"},
                    "tool_calls": {"type": "array", "items": generator.subschema_for::<ToolCall>()},
                    "tool_call_id": {"type": "string"},
                    "name": {"type": "string"},
                    "train": {"type": "boolean"}
                }
            })
        }
    }

    impl JsonSchema for ToolCall {
        fn schema_name() -> Cow<'static, str> {
            "ToolCall".into()
        }

        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            json_schema!({
                "description": "A call of a tool by the assistant.",
                "type": "object",
                "required": ["type", "function"],
                "properties": {
                    "id": {"type": "string"},
                    "type": {"const": "function"},
                    "function": {
                        "type": "object",
                        "required": ["name", "arguments"],
                        "properties": {"name": {"type": "string"}, "arguments": {"type": ["object", "string"]}}
                    }
                }
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn message(value: Value) -> Message {
        Message::from_json(value).unwrap()
    }

    fn reason(value: Value) -> String {
        Message::from_json(value).unwrap_err().to_string()
    }

    #[test]
    fn every_spelling_of_a_message_reads_the_same() {
        let plain = Message::new(Role::User, "q");
        assert_eq!(message(json!({"role": "user", "content": "q"})), plain);
        assert_eq!(message(json!({"from": "human", "value": "q"})), plain);
        assert_eq!(message(json!({"role": "prompter", "value": "q", "name": null})), plain);
        let thinks = Message { thinking: Some("t".into()), ..Message::new(Role::Assistant, "a") };
        for key in THINKING_KEYS {
            assert_eq!(message(json!({"role": "gpt", "content": "a", key: "t"})), thinks);
        }
    }

    #[test]
    fn of_two_spellings_the_first_counts_and_the_other_is_kept() {
        let both = message(json!({"role": "user", "from": "x", "content": "q", "value": 3}));
        assert_eq!((both.role, &both.content[..]), (Role::User, "q"));
        assert_eq!(Value::Object(both.extra), json!({"from": "x", "value": 3}));
        let thoughts = json!({"role": "assistant", "content": "", "reasoning": "b", "reasoning_content": "a"});
        let thinks = message(thoughts);
        assert_eq!((thinks.thinking.as_deref(), thinks.extra["reasoning"].as_str()), (Some("a"), Some("b")));
        let twice = json!({"role": "assistant", "content": "", "reasoning": "a", "reasoning_content": "a"});
        assert!(message(twice).extra.is_empty());
    }

    #[test]
    fn d19_null_keys_of_columnar_files_are_no_keys_but_nulls_in_arguments_are_payload() {
        let call = json!({"id": null, "type": "function", "function": {"name": "f", "arguments": {"city": null}}});
        let row = json!({"role": "assistant", "content": null, "tool_calls": [call], "tool_call_id": null, "x": null});
        let message = message(row);
        assert!(message.extra.is_empty() && message.tool_call_id.is_none() && message.tool_calls[0].id().is_none());
        assert_eq!(message.tool_calls[0].arguments(), &json!({"city": null}));
        let plain =
            super::Message::from_json(json!({"role": "assistant", "content": "a", "tool_calls": null})).unwrap();
        assert_eq!(plain, Message::new(Role::Assistant, "a"));
    }

    #[test]
    fn d20_tool_arguments_are_objects_however_they_were_written() {
        let call = |arguments: Value| {
            let call = json!({"function": {"name": "f", "arguments": arguments}});
            message(json!({"role": "assistant", "content": null, "tool_calls": [call]}))
        };
        assert_eq!(call(json!({"a": 1})), call(json!("{\"a\": 1}")));
        assert_eq!(call(json!({"a": 1})).warnings(), []);
        for text in ["{oops", "[1]", "7"] {
            let odd = call(json!(text));
            assert_eq!(odd.tool_calls[0].arguments(), text);
            assert_eq!(odd.warnings(), [Warning::ToolArgs]);
        }
        let none = message(json!({"role": "assistant", "tool_calls": [{"name": "f"}]}));
        assert_eq!(none, Message::calling(vec![ToolCall::new("f", Map::new())]));
        assert_eq!(none.tool_calls[0].name(), "f");
    }

    #[test]
    fn parts_become_text_and_are_kept() {
        let parts =
            json!([{"type": "text", "text": "a"}, {"type": "image", "url": "u"}, {"type": "text", "text": "b"}]);
        let row = json!({"role": "user", "content": parts});
        let read = message(row.clone());
        assert_eq!((&read.content[..], read.non_text_part()), ("ab", Some((1, "image"))));
        assert_eq!(read.warnings(), [Warning::NonTextPart]);
        assert_eq!(serde_json::to_value(&read).unwrap(), row);
        let text = message(json!({"role": "user", "content": [{"type": "text", "text": "a"}]}));
        assert_eq!((text.non_text_part(), text.warnings()), (None, vec![]));
    }

    #[test]
    fn what_is_wrong_is_named_down_to_the_field() {
        let cases = [
            (json!(7), "E_TYPE: expected a message, found number 7"),
            (json!({"content": "a"}), "E_ROLE: field `role`: expected a role, found nothing"),
            (
                json!({"from": "critic", "value": "a"}),
                "E_ROLE: field `from`: expected `system`, `developer`, `user`, `assistant` or `tool`, found string \"critic\"",
            ),
            (
                json!({"role": "user", "content": [{"type": "text"}]}),
                "E_TYPE: field `content[0].text`: expected a string, found null",
            ),
            (
                json!({"role": "user", "content": ["a"]}),
                "E_TYPE: field `content[0]`: expected a content part, which has a `type`, found string \"a\"",
            ),
            (
                json!({"role": "user", "content": "a", "tool_calls": {}}),
                "E_TYPE: field `tool_calls`: expected a list of tool calls, found an object",
            ),
            (
                json!({"role": "user", "tool_calls": [{"function": {"name": 1}}]}),
                "E_TYPE: field `tool_calls[0].function.name`: expected a string, found number 1",
            ),
            (
                json!({"role": "user", "tool_calls": [{"function": {}}]}),
                "E_TYPE: field `tool_calls[0].function.name`: expected a string, found nothing",
            ),
            (
                json!({"role": "user", "tool_calls": [{"function": {"name": "f", "arguments": 1}}]}),
                "E_TYPE: field `tool_calls[0].function.arguments`: expected an object or a string that holds one, found number 1",
            ),
            (
                json!({"role": "user", "tool_calls": [{"function": 1}]}),
                "E_TYPE: field `tool_calls[0].function`: expected an object, found number 1",
            ),
            (
                json!({"role": "user", "tool_calls": [{}]}),
                "E_TYPE: field `tool_calls[0].function`: expected an object, found nothing",
            ),
            (
                json!({"role": "user", "tool_calls": [{"type": "code", "name": "f", "function": {"name": "f"}}]}),
                "E_TYPE: field `tool_calls[0].type`: expected \"function\", found string \"code\"",
            ),
            (
                json!({"role": "user", "tool_calls": [1]}),
                "E_TYPE: field `tool_calls[0]`: expected a tool call, found number 1",
            ),
            (
                json!({"role": "user", "content": "a", "name": 1}),
                "E_TYPE: field `name`: expected a string, found number 1",
            ),
            (
                json!({"role": "user", "content": "a", "train": 1}),
                "E_TYPE: field `train`: expected a boolean, found number 1",
            ),
            (
                json!({"role": "user", "content": null, "tool_calls": []}),
                "E_CONTENT_NULL: field `content`: expected a string or a list of parts, found nothing, and no tool is called",
            ),
        ];
        for (row, expected) in cases {
            assert_eq!(reason(row), expected);
        }
    }

    #[test]
    fn a_message_comes_back_as_it_was_written() {
        let full = Message {
            thinking: Some("t".into()),
            tool_call_id: Some("c".into()),
            name: Some("n".into()),
            train: Some(false),
            extra: owned([("z", json!([null])), ("a", json!(1.5))]),
            ..Message::calling(vec![ToolCall::new("f", owned([("x", json!(null))]))])
        };
        let json = serde_json::to_string(&full).unwrap();
        assert!(
            json.starts_with(r#"{"role":"assistant","content":null,"thinking":"t","tool_call_id":"c","name":"n","#)
        );
        assert!(json.ends_with(r#""train":false,"z":[null],"a":1.5}"#), "{json}");
        assert_eq!(serde_json::from_str::<Message>(&json).unwrap(), full);
        assert!(!full.is_trained() && Message::new(Role::Assistant, "").is_trained());
        assert!(!Message::new(Role::Tool, "").is_trained());
    }

    #[test]
    fn blank_is_what_says_and_calls_nothing() {
        assert!(Message::new(Role::User, " \n").is_blank());
        assert!(!Message::calling(vec![ToolCall::new("f", Map::new())]).is_blank());
        assert!(!message(json!({"role": "user", "content": [{"type": "image"}]})).is_blank());
        assert!(message(json!({"role": "user", "content": [{"type": "text", "text": ""}]})).is_blank());
    }

    #[test]
    fn equal_texts_differ_by_what_else_a_message_carries() {
        let same = |a: &Message, b: &Message| a.same_but_for_trailing_space(b);
        let plain = Message::new(Role::Assistant, "a");
        assert!(same(&plain, &Message::new(Role::Assistant, "a\n")));
        assert!(!same(&plain, &Message::new(Role::User, "a")));
        assert!(!same(&plain, &Message::new(Role::Assistant, "b")));
        assert!(!same(&plain, &Message { thinking: Some("t".into()), ..plain.clone() }));
        let call = |name| Message::calling(vec![ToolCall::new(name, Map::new())]);
        assert!(!same(&call("f"), &call("g")) && same(&call("f"), &call("f")));
        let image = |url: &str| message(json!({"role": "user", "content": [{"type": "image", "url": url}]}));
        assert!(!same(&image("u"), &image("v")) && same(&image("u"), &image("u")));
        assert!(!same(&image("u"), &Message::new(Role::User, "")));
    }
}
