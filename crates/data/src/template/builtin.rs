//! Six chat templates by name, for models that come without one.
//!
//! Each marks the assistant's turns for learning: what is said and the token that ends the turn. None has a place for
//! tool calls; they are refused, not dropped.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A template that comes with this crate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Builtin {
    /// `<|im_start|>user\nq<|im_end|>\n`, of many models since 2023.
    ChatMl,
    /// `<|start_header_id|>user<|end_header_id|>\n\nq<|eot_id|>`, of Llama 3.
    Llama3,
    /// `[INST] q [/INST] a</s>`, of Mistral 7B Instruct v0.2; no system message.
    Mistral,
    /// `<|user|>\nq</s>\n`, of Zephyr 7B.
    Zephyr,
    /// `<start_of_turn>user\nq<end_of_turn>\n`, of Gemma; no system message.
    Gemma,
    /// `User: q\nAssistant: a</s>\n`, without tokens of its own, for base models.
    Plain,
}

impl Builtin {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::ChatMl, Self::Llama3, Self::Mistral, Self::Zephyr, Self::Gemma, Self::Plain];

    /// The name, such as `chatml`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ChatMl => "chatml",
            Self::Llama3 => "llama3",
            Self::Mistral => "mistral",
            Self::Zephyr => "zephyr",
            Self::Gemma => "gemma",
            Self::Plain => "plain",
        }
    }

    /// The template of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|builtin| builtin.as_str() == name)
    }

    /// The template's source.
    pub const fn source(self) -> &'static str {
        match self {
            Self::ChatMl => include_str!("builtin/chatml.jinja"),
            Self::Llama3 => include_str!("builtin/llama3.jinja"),
            Self::Mistral => include_str!("builtin/mistral.jinja"),
            Self::Zephyr => include_str!("builtin/zephyr.jinja"),
            Self::Gemma => include_str!("builtin/gemma.jinja"),
            Self::Plain => include_str!("builtin/plain.jinja"),
        }
    }
}

impl fmt::Display for Builtin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Message, Role,
        message::ToolCall,
        template::{ChatTemplate, Conversation},
    };

    fn render(
        builtin: Builtin,
        messages: &[Message],
        add_generation_prompt: bool,
    ) -> Result<(String, Vec<String>), String> {
        let template = ChatTemplate::new(builtin.source(), builtin).unwrap();
        let tokens = [("bos_token", "<s>"), ("eos_token", "</s>")].map(|(key, text)| (key.to_owned(), text.into()));
        let tokens = tokens.into_iter().collect();
        let conversation = Conversation { add_generation_prompt, tokens, ..Conversation::of(messages) };
        let rendered = template.render(&conversation).map_err(|reason| reason.message)?;
        let spans = rendered.generation.iter().map(|span| rendered.text[span.clone()].to_owned()).collect();
        Ok((rendered.text, spans))
    }

    #[test]
    fn each_lays_out_a_conversation_as_its_model_knows_it() {
        let messages = [
            Message::new(Role::User, " q "),
            Message::new(Role::Assistant, "a"),
            Message::new(Role::User, "r"),
            Message::new(Role::Assistant, "b"),
        ];
        let cases = [
            (
                Builtin::ChatMl,
                "<|im_start|>user\n q <|im_end|>\n<|im_start|>assistant\na<|im_end|>\n<|im_start|>user\nr<|im_end|>\n<|im_start|>assistant\nb<|im_end|>\n",
                "<|im_end|>",
            ),
            (
                Builtin::Llama3,
                "<s><|start_header_id|>user<|end_header_id|>\n\nq<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\na<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nr<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\nb<|eot_id|>",
                "<|eot_id|>",
            ),
            (Builtin::Mistral, "<s>[INST]  q  [/INST] a</s>[INST] r [/INST] b</s>", "</s>"),
            (
                Builtin::Zephyr,
                "<|user|>\n q </s>\n<|assistant|>\na</s>\n<|user|>\nr</s>\n<|assistant|>\nb</s>\n",
                "</s>",
            ),
            (
                Builtin::Gemma,
                "<s><start_of_turn>user\nq<end_of_turn>\n<start_of_turn>model\na<end_of_turn>\n<start_of_turn>user\nr<end_of_turn>\n<start_of_turn>model\nb<end_of_turn>\n",
                "<end_of_turn>",
            ),
            (Builtin::Plain, "<s>User:  q \nAssistant: a</s>\nUser: r\nAssistant: b</s>\n", "</s>"),
        ];
        for (builtin, expected, end) in cases {
            let (text, spans) = render(builtin, &messages, false).unwrap();
            assert_eq!(text, expected, "{builtin}");
            let said: Vec<_> = spans.iter().map(|span| span.trim_start().to_owned()).collect();
            assert_eq!(said, [format!("a{end}"), format!("b{end}")], "{builtin}");
            // The prompt's text begins the whole text, so that the boundary is exact.
            let (prompt, spans) = render(builtin, &messages[..3], true).unwrap();
            assert!(text.starts_with(&prompt) && text.len() > prompt.len(), "{builtin}: {prompt}");
            assert_eq!(spans.len(), 1);
        }
    }

    #[test]
    fn system_messages_and_tool_calls_are_laid_out_or_refused() {
        let system = [Message::new(Role::System, "s"), Message::new(Role::User, "q")];
        for builtin in Builtin::ALL {
            let refused = [Builtin::Mistral, Builtin::Gemma].contains(&builtin);
            assert_eq!(render(builtin, &system, true).is_err(), refused, "{builtin}");
            let calls = [Message::new(Role::User, "q"), Message::calling(vec![ToolCall::new("f", Default::default())])];
            let error = render(builtin, &calls, false).unwrap_err();
            assert_eq!(error, "this template has no place for tool calls", "{builtin}");
            assert_eq!(Builtin::from_name(builtin.as_str()), Some(builtin));
        }
        assert_eq!(Builtin::from_name("alpaca"), None);
    }
}
