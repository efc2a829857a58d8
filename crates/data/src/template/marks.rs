//! Characters that mark places in a rendered text.
//!
//! A template moves text about; to find a place again it is marked by a character that travels along and is taken out
//! afterwards. The characters are from a private plane of Unicode and occur nowhere in the conversation or the template:
//! they are chosen anew for every rendering, so nobody can forge them by writing them in a message.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Conversation, Rendered};
use crate::{code::Code, report::Reason};

/// The plane, U+F0000 to U+FFFFD.
const FIRST: u32 = 0xF_0000;
const LAST: u32 = 0xF_FFFD;

/// Four characters that a conversation and a template do not use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marks {
    /// Where a generation block begins.
    pub start: char,
    /// Where it ends.
    pub end: char,
    /// Before the text of a special token that somebody wrote.
    pub literal: char,
    /// After the content of the final message.
    pub end_of_message: char,
}

impl Marks {
    /// The first four characters of the plane that are free.
    pub fn unused_in(conversation: &Conversation, source: &str) -> Self {
        let mut used = BTreeSet::new();
        note_private(source, &mut used);
        note_escaped(source, &mut used);
        each_text(conversation, &mut |text| note_private(text, &mut used));
        let mut free = (FIRST..=LAST).filter_map(char::from_u32).filter(|c| !used.contains(c));
        // A text that uses all but four of 65534 characters gets what is left: rendering then fails, it does not lie.
        let mut next = || free.next().unwrap_or(char::MAX);
        Self { start: next(), end: next(), literal: next(), end_of_message: next() }
    }

    /// The two characters of a generation block, for the template's context.
    pub(super) fn as_variable(&self) -> String {
        [self.start, self.end].iter().collect()
    }

    /// Takes the marks out of a rendered text and says where they were.
    ///
    /// # Errors
    /// [`Code::Template`] when a block's marks do not pair up: the template cut its text apart.
    pub(super) fn take_out(&self, marked: &str) -> Result<Rendered, Reason> {
        let mut rendered = Rendered { text: String::with_capacity(marked.len()), ..Rendered::default() };
        let mut open: Option<usize> = None;
        let cut = || Reason::new(Code::Template, "the template cuts the text of a `generation` block apart");
        for c in marked.chars() {
            let place = rendered.text.len();
            if c == self.start {
                if open.replace(place).is_some() {
                    return Err(cut());
                }
            } else if c == self.end {
                let start = open.take().ok_or_else(cut)?;
                rendered.generation.push(start..place);
            } else if c == self.literal {
                rendered.literals.push(place);
            } else {
                rendered.text.push(c);
            }
        }
        if open.is_some() { Err(cut()) } else { Ok(rendered) }
    }
}

fn note_private(text: &str, used: &mut BTreeSet<char>) {
    // All characters of the plane begin with this byte, and no character below it does.
    if memchr::memchr(0xF3, text.as_bytes()).is_some() {
        used.extend(text.chars().filter(|c| (FIRST..=LAST).contains(&u32::from(*c))));
    }
}

/// Characters that a template spells as `\uDB80\uDC00` or `\U000F0000`.
fn note_escaped(source: &str, used: &mut BTreeSet<char>) {
    let digits = |at: usize, len: usize| source.get(at..at + len).and_then(|hex| u32::from_str_radix(hex, 16).ok());
    for (at, _) in source.match_indices('\\') {
        let code = match source.as_bytes().get(at + 1) {
            Some(b'U') => digits(at + 2, 8),
            Some(b'u') => match (digits(at + 2, 4), digits(at + 8, 4)) {
                (Some(high @ 0xD800..=0xDBFF), Some(low @ 0xDC00..=0xDFFF)) => {
                    Some(0x1_0000 + ((high - 0xD800) << 10) + (low - 0xDC00))
                }
                _ => None,
            },
            _ => None,
        };
        used.extend(code.and_then(char::from_u32));
    }
}

fn each_text(conversation: &Conversation, see: &mut impl FnMut(&str)) {
    conversation.messages.iter().chain(&conversation.tools).chain(&conversation.documents).for_each(|v| each(v, see));
    conversation.kwargs.iter().chain(&conversation.tokens).for_each(|(key, value)| {
        see(key);
        each(value, see);
    });
}

fn each(value: &Value, see: &mut impl FnMut(&str)) {
    match value {
        Value::String(text) => see(text),
        Value::Array(values) => values.iter().for_each(|value| each(value, see)),
        Value::Object(keys) => keys.iter().for_each(|(key, value)| {
            see(key);
            each(value, see);
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The texts of special tokens, to find in what people wrote.
///
/// # Example
/// ```
/// use accordant_data::template::marks::SpecialText;
/// let special = SpecialText::new(["<|end|>"]);
/// assert_eq!(special.find("a <b> <|end|> <|en"), [6, 14]); // the last one might be completed by what follows
/// ```
#[derive(Debug, Clone, Default)]
pub struct SpecialText {
    by_first: BTreeMap<u8, Vec<String>>,
}

impl SpecialText {
    /// These texts; empty ones are left out.
    pub fn new<T: Into<String>>(texts: impl IntoIterator<Item = T>) -> Self {
        let mut by_first: BTreeMap<u8, Vec<String>> = BTreeMap::new();
        for text in texts.into_iter().map(Into::into) {
            if let Some(first) = text.as_bytes().first() {
                by_first.entry(*first).or_default().push(text);
            }
        }
        Self { by_first }
    }

    /// Where, in bytes, a text holds one of these texts, or ends in the beginning of one.
    pub fn find(&self, text: &str) -> Vec<usize> {
        let mut places = Vec::new();
        for (first, specials) in &self.by_first {
            for at in memchr::memchr_iter(*first, text.as_bytes()) {
                // The first byte of a text is never inside a character.
                let rest = text.get(at..).unwrap_or_default();
                if specials.iter().any(|special| rest.starts_with(&special[..]) || special.starts_with(rest)) {
                    places.push(at);
                }
            }
        }
        places.sort_unstable();
        places
    }

    /// The conversation with a mark before each place of [`SpecialText::find`]; none where there is no such place.
    pub(super) fn mark(&self, conversation: &Conversation, mark: char) -> Option<Conversation> {
        if self.by_first.is_empty() {
            return None;
        }
        let mut any = false;
        each_text(conversation, &mut |text| any |= !self.find(text).is_empty());
        if !any {
            return None;
        }
        let mut marked = conversation.clone();
        let places = marked.messages.iter_mut().chain(&mut marked.tools).chain(&mut marked.documents);
        places.for_each(|value| self.mark_value(value, mark));
        marked.kwargs.values_mut().for_each(|value| self.mark_value(value, mark));
        Some(marked)
    }

    fn mark_text(&self, text: &str, mark: char) -> String {
        let mut marked = String::with_capacity(text.len());
        let mut done = 0;
        for at in self.find(text) {
            marked.push_str(text.get(done..at).unwrap_or_default());
            marked.push(mark);
            done = at;
        }
        marked.push_str(text.get(done..).unwrap_or_default());
        marked
    }

    fn mark_value(&self, value: &mut Value, mark: char) {
        match value {
            Value::String(text) => *text = self.mark_text(text, mark),
            Value::Array(values) => values.iter_mut().for_each(|value| self.mark_value(value, mark)),
            Value::Object(keys) => {
                let marked = std::mem::take(keys).into_iter().map(|(key, mut value)| {
                    self.mark_value(&mut value, mark);
                    (self.mark_text(&key, mark), value)
                });
                *keys = marked.collect();
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{Message, Role};

    fn marks() -> Marks {
        Marks::unused_in(&Conversation::default(), "")
    }

    #[test]
    fn marks_are_characters_that_nobody_used() {
        let free = marks();
        assert_eq!(u32::from(free.start), 0xF_0000);
        assert_eq!(u32::from(free.end_of_message), 0xF_0003);
        let message = Message::new(Role::User, format!("{}", free.start));
        let source = format!("{}\\uDB80\\uDC02\\U000f0003\\u0041\\U00", free.end);
        let tools = Some(json!([{"\u{F0004}": ["\u{F0005}"]}]));
        let conversation = Conversation { tools, ..Conversation::of(&[message]) };
        let chosen = Marks::unused_in(&conversation, &source);
        assert_eq!([chosen.start, chosen.end, chosen.literal].map(u32::from), [0xF_0006, 0xF_0007, 0xF_0008]);
    }

    #[test]
    fn marks_are_taken_out_and_their_places_told() {
        let Marks { start, end, literal, .. } = marks();
        let rendered = marks().take_out(&format!("é{start}ab{end}{literal}<x>{start}{end}")).unwrap();
        assert_eq!((&rendered.text[..], &rendered.generation[..]), ("éab<x>", &[2..4, 7..7][..]));
        assert_eq!(rendered.literals, [4]);
        for bad in [format!("{start}a"), format!("a{end}"), format!("{start}{start}a{end}{end}")] {
            assert_eq!(marks().take_out(&bad).unwrap_err().code, Code::Template);
        }
    }

    #[test]
    fn special_texts_are_found_whole_and_begun() {
        let special = SpecialText::new(["<s>", "[INST]", ""]);
        assert_eq!(special.find("a<s>[INST]<x"), [1, 4]);
        assert_eq!(special.find("a<"), [1]);
        assert_eq!(special.find("<é"), [] as [usize; 0]);
        assert_eq!(SpecialText::default().find("<s>"), [] as [usize; 0]);
    }

    #[test]
    fn every_text_of_a_conversation_is_marked() {
        let special = SpecialText::new(["<s>"]);
        let conversation = Conversation {
            tools: Some(json!([{"<s>": ["x<s>", 1, null]}])),
            documents: Some(json!("<s>")),
            kwargs: [("k".to_owned(), json!("<s>"))].into_iter().collect(),
            tokens: [("bos_token".to_owned(), json!("<s>"))].into_iter().collect(),
            ..Conversation::of(&[Message::new(Role::User, "<s")])
        };
        let marked = special.mark(&conversation, '*').unwrap();
        assert_eq!(marked.messages[0]["content"], "*<s");
        assert_eq!(marked.tools.unwrap(), json!([{"*<s>": ["x*<s>", 1, null]}]));
        assert_eq!((marked.documents.unwrap(), &marked.kwargs["k"]), (json!("*<s>"), &json!("*<s>")));
        assert_eq!(marked.tokens["bos_token"], "<s>", "the template's own");
        assert!(special.mark(&Conversation::of(&[Message::new(Role::User, "s")]), '*').is_none());
    }
}
