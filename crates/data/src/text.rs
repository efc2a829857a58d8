//! Roles, messages, and texts that are a string or a list of messages.

use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::Value;

pub use crate::message::Message;
use crate::{code::Code, message::at, record::describe, report::Reason};

/// Who speaks.
///
/// # Example
/// ```
/// use accordant_data::Role;
/// assert_eq!(Role::from_name("human"), Some(Role::User));
/// assert_eq!(Role::from_name("critic"), None);
/// assert_eq!(Role::User.as_str(), "user");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Role {
    /// Instructions that stand over the conversation.
    System,
    /// The same, from the developer of an application.
    Developer,
    /// The person.
    User,
    /// The model.
    Assistant,
    /// What a tool gave back.
    Tool,
}

impl Role {
    /// The name that is written, such as `user`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Developer => "developer",
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::Tool => "tool",
        }
    }

    /// The role of a name as it is written, or of another name by which data sets know it.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "system" => Self::System,
            "developer" => Self::Developer,
            "user" | "human" | "prompter" | "User" => Self::User,
            "assistant" | "gpt" | "bot" | "model" | "Assistant" | "chatbot" => Self::Assistant,
            "tool" | "function" | "observation" | "toolResult" => Self::Tool,
            _ => return None,
        })
    }
}

impl<'de> Deserialize<'de> for Role {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        let unknown = || de::Error::unknown_variant(&name, &["system", "developer", "user", "assistant", "tool"]);
        Self::from_name(&name).ok_or_else(unknown)
    }
}

/// A prompt or a completion: a string as it is, or messages for a template to render. In JSON a string or a list.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(untagged)]
pub enum Text {
    /// Used as it is.
    Plain(String),
    /// Rendered by a chat template.
    Messages(Vec<Message>),
}

impl Text {
    /// A text from its JSON: a string, or a list of messages.
    ///
    /// # Errors
    /// Of the field, such as `[2].role`: those of [`Message::from_json`], and [`Code::Type`] for another JSON type.
    pub fn from_json(value: Value) -> Result<Self, Reason> {
        match value {
            Value::String(text) => Ok(Self::Plain(text)),
            Value::Array(messages) => {
                let message = |(index, message)| {
                    Message::from_json(message).map_err(|reason| at(format_args!("[{index}]"), reason))
                };
                messages.into_iter().enumerate().map(message).collect::<Result<_, _>>().map(Self::Messages)
            }
            other => {
                let message = format!("expected a string or a list of messages, found {}", describe(&other));
                Err(Reason::new(Code::Type, message))
            }
        }
    }

    /// The string, if it is one.
    pub fn as_plain(&self) -> Option<&str> {
        match self {
            Self::Plain(text) => Some(text),
            Self::Messages(_) => None,
        }
    }

    /// The messages, if it is a list of them.
    pub fn as_messages(&self) -> Option<&[Message]> {
        match self {
            Self::Plain(_) => None,
            Self::Messages(messages) => Some(messages),
        }
    }

    /// Whether it says nothing: white space only, in every message.
    pub fn is_blank(&self) -> bool {
        match self {
            Self::Plain(text) => text.trim().is_empty(),
            Self::Messages(messages) => messages.iter().all(Message::is_blank),
        }
    }

    /// What it is, in words for a message.
    pub(crate) const fn form(&self) -> &'static str {
        match self {
            Self::Plain(_) => "a string",
            Self::Messages(_) => "a list of messages",
        }
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self::Plain(text.into())
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self::Plain(text)
    }
}

impl From<Vec<Message>> for Text {
    fn from(messages: Vec<Message>) -> Self {
        Self::Messages(messages)
    }
}

// By hand, because the error of a derived untagged enum does not say what is wrong with which message.
impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Text;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a string or a list of messages")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Text, E> {
                Ok(Text::Plain(text.into()))
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Text, A::Error> {
                let mut messages = Vec::new();
                while let Some(value) = seq.next_element()? {
                    let place = |reason| de::Error::custom(at(format_args!("[{}]", messages.len()), reason));
                    let message = Message::from_json(value).map_err(place)?;
                    messages.push(message);
                }
                Ok(Text::Messages(messages))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(feature = "schema")]
mod schema {
    use std::borrow::Cow;

    use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

    use super::{Message, Text};

    impl JsonSchema for Text {
        fn schema_name() -> Cow<'static, str> {
            "Text".into()
        }

        fn json_schema(generator: &mut SchemaGenerator) -> Schema {
            json_schema!({
                "description": "A string as it is, or messages for a chat template.",
                "anyOf": [{"type": "string"}, {"type": "array", "items": generator.subschema_for::<Message>()}]
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_role_is_read_under_its_names_and_written_under_one() {
        let names = [
            (Role::System, &["system"][..]),
            (Role::Developer, &["developer"]),
            (Role::User, &["user", "human", "prompter", "User"]),
            (Role::Assistant, &["assistant", "gpt", "bot", "model", "Assistant", "chatbot"]),
            (Role::Tool, &["tool", "function", "observation", "toolResult"]),
        ];
        for (role, names) in names {
            assert_eq!(serde_json::to_value(role).unwrap(), names[0]);
            assert_eq!(role.as_str(), names[0]);
            for name in names {
                assert_eq!(serde_json::from_value::<Role>((*name).into()).unwrap(), role);
            }
        }
        assert!(serde_json::from_str::<Role>("\"USER\"").is_err());
    }

    #[test]
    fn a_bad_message_is_named_by_its_place_in_the_text() {
        let json = r#"[{"role": "user", "content": "a"}, {"role": "critic", "content": "b"}]"#;
        let expected = "E_ROLE: field `[1].role`: expected `system`, `developer`, `user`, `assistant` or `tool`, \
            found string \"critic\"";
        let error = serde_json::from_str::<Text>(json).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
        let reason = Text::from_json(serde_json::from_str(json).unwrap()).unwrap_err();
        assert_eq!((reason.to_string(), reason.field.as_deref()), (expected.into(), Some("[1].role")));
        let number = Text::from_json(7.into()).unwrap_err().to_string();
        assert_eq!(number, "E_TYPE: expected a string or a list of messages, found number 7");
        assert_eq!(Text::from_json("a".into()).unwrap(), "a".into());
        let list = serde_json::json!([{"role": "user", "content": "a"}]);
        assert_eq!(Text::from_json(list).unwrap(), vec![Message::new(Role::User, "a")].into());
    }
}
