//! Chat templates: from messages to the text that a model was trained to read.
//!
//! A template is Jinja2, as Hugging Face's `chat_template.jinja` and `tokenizer_config.json` hold it. [`ChatTemplate`]
//! renders it the way `transformers` does, and remembers two things about the text that the text alone does not say:
//! which of it the template marks as the assistant's ([`Rendered::generation`]), and where a conversation spells a
//! special token that must stay text ([`Rendered::literals`]).
//!
//! | module | what it holds |
//! |---|---|
//! | [`engine`] | what Jinja2 in `transformers` has and the engine has not |
//! | [`builtin`] | six templates by name |
//! | [`marks`] | characters that mark places in a rendered text and that no user can write |
//! | [`source`] | which template counts, and its name in reports |
//!
//! Rendering is bounded: a template that does not end, or that calls itself, is [`Code::Template`] like any other that
//! fails. What it may hold in memory is not bounded: take templates from people you would take a model from.

pub mod builtin;
pub mod engine;
pub mod marks;
pub mod source;

use std::{borrow::Cow, collections::BTreeMap, ops::Range};

use minijinja::Environment;
use serde::Serialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::{
    Error, Message, Result,
    code::Code,
    message::{ContentForm, THINKING_KEYS},
    report::Reason,
};
pub use builtin::Builtin;
pub use engine::Clock;
use engine::Output;
use marks::{Marks, SpecialText};
pub use source::TemplateSource;

/// A compiled chat template.
///
/// # Example
/// ```
/// use accordant_data::{Message, Role, template::{ChatTemplate, Conversation}};
/// let source = "{% for m in messages %}<{{ m.role }}>{% generation %}{{ m.content }}{% endgeneration %}{% endfor %}";
/// let template = ChatTemplate::new(source, "inline")?;
/// let rendered = template.render(&Conversation::of(&[Message::new(Role::User, "hi")]))?;
/// assert_eq!(rendered.text, "<user>hi");
/// assert_eq!(&rendered.text[rendered.generation[0].clone()], "hi");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ChatTemplate {
    environment: Environment<'static>,
    source: String,
    origin: TemplateSource,
    clock: Clock,
}

/// What a template is rendered with.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Conversation {
    /// The messages, as objects.
    pub messages: Vec<Value>,
    /// The tools that may be called; an empty list is the same as none, which templates tell apart.
    pub tools: Option<Value>,
    /// Documents to answer from.
    pub documents: Option<Value>,
    /// Further variables, such as `enable_thinking`.
    pub kwargs: Map<String, Value>,
    /// Whether the text ends where the assistant's answer begins.
    pub add_generation_prompt: bool,
    /// Whether the text ends with the last message's content, without what closes it.
    pub continue_final_message: bool,
    /// Texts of special tokens by their names, such as `bos_token`.
    #[serde(skip)]
    pub tokens: Map<String, Value>,
}

impl Conversation {
    /// Messages and nothing else.
    pub fn of(messages: &[Message]) -> Self {
        Self { messages: messages.iter().map(template_view).collect(), ..Self::default() }
    }
}

/// A rendered conversation. All places are byte offsets in `text`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rendered {
    /// The text.
    pub text: String,
    /// What stands in `{% generation %}` blocks, in order; none overlap.
    pub generation: Vec<Range<usize>>,
    /// Where the text of a special token begins that somebody wrote in a message.
    pub literals: Vec<usize>,
}

impl ChatTemplate {
    /// Compiles a template. `origin` is its name in messages and reports.
    ///
    /// # Errors
    /// [`Error::Template`] for a template that is no Jinja2.
    pub fn new(source: impl Into<String>, origin: impl Into<TemplateSource>) -> Result<Self> {
        let (source, origin) = (source.into(), origin.into());
        let environment = engine::compile(&source, Clock::default())
            .map_err(|error| Error::Template { origin: origin.to_string(), message: engine::describe(&error) })?;
        Ok(Self { environment, source, origin, clock: Clock::default() })
    }

    /// The same template with another clock for `strftime_now`.
    ///
    /// # Errors
    /// As [`ChatTemplate::new`].
    pub fn with_clock(self, clock: Clock) -> Result<Self> {
        let environment = engine::compile(&self.source, clock)
            .map_err(|error| Error::Template { origin: self.origin.to_string(), message: engine::describe(&error) })?;
        Ok(Self { environment, clock, ..self })
    }

    /// The template as it was written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Where it comes from.
    pub fn origin(&self) -> &TemplateSource {
        &self.origin
    }

    /// SHA-256 of the source, in hexadecimal.
    pub fn hash(&self) -> String {
        hex(&Sha256::digest(self.source.as_bytes()))
    }

    /// Whether it has `{% generation %}` blocks.
    pub fn has_generation(&self) -> bool {
        source::has_generation(&self.source)
    }

    /// Whether what it renders depends on when: it asks for the time, and the clock runs.
    pub fn is_clock_dependent(&self) -> bool {
        self.clock == Clock::Local && self.source.contains("strftime_now")
    }

    /// Renders a conversation; texts of special tokens in it count as the template's.
    ///
    /// # Errors
    /// [`Code::Template`] with what the template raised, or where and why it failed.
    pub fn render(&self, conversation: &Conversation) -> Result<Rendered, Reason> {
        self.render_with(conversation, &SpecialText::default())
    }

    /// Renders a conversation and finds the texts of special tokens that stand in its messages, tools and documents.
    ///
    /// # Errors
    /// As [`ChatTemplate::render`], and [`Code::Template`] for a template that does something else because a message
    /// spells a special token: what it rendered is then neither the one nor the other.
    pub fn render_with(&self, conversation: &Conversation, special: &SpecialText) -> Result<Rendered, Reason> {
        let marks = Marks::unused_in(conversation, &self.source);
        let marked = special.mark(conversation, marks.literal);
        let rendered = self.render_marked(marked.as_ref().unwrap_or(conversation), &marks)?;
        if marked.is_some() {
            let plain = self.render_marked(conversation, &marks)?;
            if plain.text != rendered.text {
                let message = "the template treats a special token that a message spells in a way of its own";
                return Err(Reason::new(Code::Template, message).with_excerpt(&plain.text));
            }
        }
        Ok(rendered)
    }

    fn render_marked(&self, conversation: &Conversation, marks: &Marks) -> Result<Rendered, Reason> {
        let mut conversation = Cow::Borrowed(conversation);
        let continued = conversation.continue_final_message;
        if continued {
            append_to_final(&mut conversation.to_mut().messages, marks.end_of_message)?;
        }
        let mut text = self.run(&conversation, marks)?;
        if continued {
            cut_at(&mut text, marks.end_of_message)?;
            if text.matches(marks.start).count() > text.matches(marks.end).count() {
                // The block that the final message stands in ends with it.
                text.push(marks.end);
            }
        }
        marks.take_out(&text)
    }

    fn run(&self, conversation: &Conversation, marks: &Marks) -> Result<String, Reason> {
        let fail = |error: &minijinja::Error| Reason::new(Code::Template, engine::describe(error));
        let variable = |value: &Value| minijinja::Value::from(minijinja::value::Serde(value));
        let given = conversation.tokens.iter().chain(&conversation.kwargs);
        let mut context: BTreeMap<&str, minijinja::Value> =
            given.map(|(key, value)| (&key[..], variable(value))).collect();
        let tools = conversation.tools.as_ref();
        let tools = tools.filter(|tools| tools.as_array().is_none_or(|tools| !tools.is_empty()));
        let named = [("tools", tools), ("documents", conversation.documents.as_ref())];
        context.extend(named.map(|(key, value)| (key, variable(value.unwrap_or(&Value::Null)))));
        context.insert("messages", minijinja::Value::from(minijinja::value::Serde(&conversation.messages)));
        context.insert("add_generation_prompt", conversation.add_generation_prompt.into());
        context.insert(engine::MARKS_VARIABLE, marks.as_variable().into());
        let template = self.environment.get_template(engine::NAME).map_err(|error| fail(&error))?;
        let mut output = Output::default();
        match template.render_captured_to(minijinja::Value::from(context), &mut output) {
            Ok(_) => output.into_text().ok_or_else(|| Reason::new(Code::Template, "the output is no text")),
            Err(_) if output.is_full() => {
                let message = format!("the output is longer than {} bytes", engine::MAX_OUTPUT);
                Err(Reason::new(Code::Template, message))
            }
            Err(error) => Err(fail(&error)),
        }
    }

    /// Whether a conversation that goes on keeps the text it had: what was rendered of a question, of it with an answer,
    /// and of both with a further question each begin the next.
    ///
    /// Where this is false the prompt's text is not the beginning of the whole text, and boundaries move. A template that
    /// drops or inserts reasoning often has a variable such as `enable_thinking` that keeps it from doing so.
    ///
    /// # Errors
    /// [`Code::Template`] where it does not render the three.
    pub fn prefix_preserving(&self, tokens: &Map<String, Value>) -> Result<bool, Reason> {
        use crate::Role;
        let messages = [
            Message::new(Role::User, "What is it?"),
            Message::new(Role::Assistant, "It is this."),
            Message::new(Role::User, "And then?"),
        ];
        let text = |len: usize, add_generation_prompt| {
            let conversation = Conversation::of(messages.get(..len).unwrap_or(&messages));
            let conversation = Conversation { add_generation_prompt, tokens: tokens.clone(), ..conversation };
            self.render(&conversation).map(|rendered| rendered.text)
        };
        let (asked, prompted, answered, went_on) = (text(1, false)?, text(1, true)?, text(2, false)?, text(3, false)?);
        Ok(answered.starts_with(&asked) && answered.starts_with(&prompted) && went_on.starts_with(&answered))
    }
}

/// A message as templates know it: reasoning under every name in use, parts as one text where all are text.
pub fn template_view(message: &Message) -> Value {
    let mut keys = Map::new();
    keys.insert("role".into(), message.role.as_str().into());
    let content = match &message.form {
        ContentForm::Null => Value::Null,
        ContentForm::Parts(parts) if message.non_text_part().is_some() => Value::Array(parts.clone()),
        ContentForm::Parts(_) | ContentForm::Text => message.content.clone().into(),
    };
    keys.insert("content".into(), content);
    if let Some(thinking) = &message.thinking {
        keys.extend(THINKING_KEYS.map(|key| (key.to_owned(), Value::from(thinking.clone()))));
    }
    if !message.tool_calls.is_empty() {
        let calls = message.tool_calls.iter().map(|call| Value::Object(call.as_json().clone())).collect();
        keys.insert("tool_calls".into(), Value::Array(calls));
    }
    let named = [("tool_call_id", &message.tool_call_id), ("name", &message.name)];
    keys.extend(named.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value.clone()?.into()))));
    keys.extend(message.extra.clone());
    Value::Object(keys)
}

/// Marks the end of the last message's content; the space tells whether the template trims.
fn append_to_final(messages: &mut [Value], mark: char) -> Result<(), Reason> {
    let last = messages.last_mut().and_then(|last| last.get_mut("content"));
    let text = match last {
        Some(Value::String(text)) => Some(text),
        Some(Value::Array(parts)) => match parts.iter_mut().rev().find_map(|part| part.get_mut("text")) {
            Some(Value::String(text)) => Some(text),
            _ => None,
        },
        _ => None,
    };
    let no_text = || Reason::new(Code::Template, "there is no final message with text to go on with");
    text.ok_or_else(no_text)?.extend([mark, ' ']);
    Ok(())
}

fn cut_at(text: &mut String, mark: char) -> Result<(), Reason> {
    let Some(place) = text.rfind(mark) else {
        return Err(Reason::new(Code::Template, "the template leaves out the final message, which is to go on"));
    };
    let kept_space = text[place + mark.len_utf8()..].starts_with(' ');
    text.truncate(place);
    if !kept_space {
        text.truncate(engine::trim_end(text).len());
    }
    Ok(())
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
