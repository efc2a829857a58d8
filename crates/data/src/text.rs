//! Roles, messages, and texts that are a string or a list of messages.

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, value::SeqAccessDeserializer},
};

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Instructions that stand over the conversation.
    System,
    /// The same, from the developer of an application.
    Developer,
    /// The person.
    #[serde(alias = "human", alias = "prompter", alias = "User")]
    User,
    /// The model.
    #[serde(alias = "gpt", alias = "bot", alias = "model", alias = "Assistant", alias = "chatbot")]
    Assistant,
    /// What a tool gave back.
    #[serde(alias = "function", alias = "observation", alias = "toolResult")]
    Tool,
}

/// One turn of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said.
    pub content: String,
}

impl Message {
    /// A message.
    pub fn new(role: Role, content: impl Into<String>) -> Self {
        Self { role, content: content.into() }
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
            Self::Messages(messages) => messages.iter().all(|message| message.content.trim().is_empty()),
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

            fn visit_seq<A: de::SeqAccess<'de>>(self, seq: A) -> Result<Text, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(seq)).map(Text::Messages)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}
