//! Records: preference pairs, in the form that the rest of the library reads.

use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::report::{Code, Reason};
pub use crate::text::{Message, Role, Text};

/// Where a record comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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

/// A preference: of two completions of one prompt, which one is better.
///
/// The prompt is explicit: `chosen` and `rejected` hold the completion only, and all three texts have the same form.
/// As JSON it is one object with `kind` `pair`; fields that this type does not know are kept in `meta`, and reading
/// checks what [`Pair::new`] and [`Pair::validate`] check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename = "pair", try_from = "RawPair")]
pub struct Pair {
    /// Unique within a data set; empty until a reader names the record.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// What both completions answer.
    pub prompt: Text,
    /// The preferred completion.
    pub chosen: Text,
    /// The other completion.
    pub rejected: Text,
    /// By how much `chosen` is better, on the source's own scale; finite, by convention not negative.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "finite")]
    pub margin: Option<f64>,
    /// Probability, in `[0, 1]`, that `chosen` really is preferred; none where the label is taken as certain.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "finite")]
    pub p_chosen: Option<f64>,
    /// Sample weight, finite and at least 0; none means 1.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "finite")]
    pub weight: Option<f64>,
    /// Who judged: the annotator group or the name of the source, such as `helpful-base`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Where the record comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provenance: Option<Provenance>,
    /// Everything else that the source says.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub meta: Map<String, Value>,
}

impl Pair {
    /// A pair with nothing but its texts.
    ///
    /// # Errors
    /// Checked in this order, and for `prompt`, `chosen`, `rejected` in this order: [`Code::Type`] if the three are not
    /// all strings or all messages; [`Code::EmptyList`] for a list without a message; [`Code::Empty`] for a text that is
    /// empty after trimming (messages: all of them); [`Code::NoAssistant`] for a completion whose first message is not
    /// the assistant's; [`Code::TwoSystem`] for a system message that does not open the conversation;
    /// [`Code::Identical`] if the completions are equal but for trailing white space. Texts are compared as they are:
    /// two Unicode spellings of one character differ.
    ///
    /// # Example
    /// ```
    /// use accordant_data::{Code, Pair};
    /// let pair = Pair::new("The sky is", " blue.", " green.")?;
    /// assert_eq!(pair.chosen.as_plain(), Some(" blue."));
    /// assert_eq!(Pair::new("The sky is", " blue.", " blue. ").unwrap_err().code, Code::Identical);
    /// assert_eq!(Pair::new("The sky is", " ", " blue.").unwrap_err().code, Code::Empty);
    /// # Ok::<(), accordant_data::report::Reason>(())
    /// ```
    pub fn new(prompt: impl Into<Text>, chosen: impl Into<Text>, rejected: impl Into<Text>) -> Result<Self, Reason> {
        let pair = Self {
            id: String::new(),
            prompt: prompt.into(),
            chosen: chosen.into(),
            rejected: rejected.into(),
            margin: None,
            p_chosen: None,
            weight: None,
            group: None,
            provenance: None,
            meta: Map::new(),
        };
        pair.validate()?;
        Ok(pair)
    }

    /// Checks all that [`Pair::new`] checks, and the numbers.
    ///
    /// # Errors
    /// Those of [`Pair::new`]; [`Code::Nonfinite`] for a `margin`, `p_chosen` or `weight` that is infinite or not a
    /// number; [`Code::Range`] for a `p_chosen` outside `[0, 1]` or a negative `weight`.
    pub fn validate(&self) -> Result<(), Reason> {
        let texts = [("prompt", &self.prompt), ("chosen", &self.chosen), ("rejected", &self.rejected)];
        for (field, text) in texts {
            if text.form() != self.prompt.form() {
                let message = format!("expected {} as in `prompt`, found {}", self.prompt.form(), text.form());
                return Err(Reason::field(Code::Type, field, message));
            }
        }
        for (field, text) in texts {
            if text.as_messages().is_some_and(<[_]>::is_empty) {
                return Err(Reason::field(Code::EmptyList, field, "expected at least one message, found none"));
            }
            if text.is_blank() {
                return Err(Reason::field(Code::Empty, field, "empty after trimming"));
            }
        }
        for (field, text) in texts {
            let messages = text.as_messages().unwrap_or_default();
            let completion = field != "prompt";
            if completion && messages.first().is_some_and(|first| first.role != Role::Assistant) {
                return Err(Reason::field(Code::NoAssistant, field, "its first message is not the assistant's"));
            }
            let skipped = usize::from(!completion);
            if let Some(late) = messages.iter().skip(skipped).position(|message| message.role == Role::System) {
                let field = format!("{field}[{}]", late + skipped);
                return Err(Reason::field(Code::TwoSystem, field, "a system message that opens no conversation"));
            }
        }
        if same_but_for_trailing_space(&self.chosen, &self.rejected) {
            return Err(Reason::new(Code::Identical, "`chosen` and `rejected` are the same"));
        }
        let in_range = |field: &str, value: Option<f64>, low: f64, high: f64| match value {
            Some(value) if !value.is_finite() => {
                Err(Reason::field(Code::Nonfinite, field, format!("expected a finite number, found {value}")))
            }
            Some(value) if value < low || value > high => {
                Err(Reason::field(Code::Range, field, format!("expected a number in [{low}, {high}], found {value}")))
            }
            _ => Ok(()),
        };
        in_range("margin", self.margin, f64::NEG_INFINITY, f64::INFINITY)?;
        in_range("p_chosen", self.p_chosen, 0.0, 1.0)?;
        in_range("weight", self.weight, 0.0, f64::INFINITY)
    }
}

fn same_but_for_trailing_space(a: &Text, b: &Text) -> bool {
    match (a, b) {
        (Text::Plain(a), Text::Plain(b)) => a.trim_end() == b.trim_end(),
        (Text::Messages(a), Text::Messages(b)) => {
            let same = |(a, b): (&Message, &Message)| a.same_but_for_trailing_space(b);
            a.len() == b.len() && a.iter().zip(b).all(same)
        }
        _ => false,
    }
}

/// JSON has no NaN; a writer that puts null in its place would lose the number in silence.
fn finite<S: Serializer>(value: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) if !value.is_finite() => Err(serde::ser::Error::custom("expected a finite number")),
        value => value.serialize(serializer),
    }
}

/// A pair as it is read, before it is checked.
#[derive(Deserialize)]
struct RawPair {
    kind: Option<String>,
    #[serde(default)]
    id: String,
    prompt: Text,
    chosen: Text,
    rejected: Text,
    margin: Option<f64>,
    p_chosen: Option<f64>,
    weight: Option<f64>,
    group: Option<String>,
    provenance: Option<Provenance>,
    #[serde(default)]
    meta: Map<String, Value>,
    #[serde(flatten)]
    unknown: Map<String, Value>,
}

impl TryFrom<RawPair> for Pair {
    type Error = Reason;

    fn try_from(raw: RawPair) -> Result<Self, Reason> {
        if let Some(kind) = raw.kind.filter(|kind| kind != "pair") {
            return Err(Reason::field(Code::Kind, "kind", format!("expected `pair`, found `{kind}`")));
        }
        let mut meta = raw.meta;
        for (key, value) in raw.unknown {
            if meta.contains_key(&key) {
                return Err(Reason::field(Code::Type, key, "stands in the record and in its `meta`"));
            }
            meta.insert(key, value);
        }
        let Self { prompt, chosen, rejected, .. } = Self::new(raw.prompt, raw.chosen, raw.rejected)?;
        let (margin, p_chosen, weight) = (raw.margin, raw.p_chosen, raw.weight);
        let (id, group, provenance) = (raw.id, raw.group, raw.provenance);
        let pair = Self { id, prompt, chosen, rejected, margin, p_chosen, weight, group, provenance, meta };
        pair.validate()?;
        Ok(pair)
    }
}

#[cfg(test)]
mod tests {
    use proptest::{option, prelude::*};

    use super::*;

    fn user(content: &str) -> Message {
        Message::new(Role::User, content)
    }

    fn assistant(content: &str) -> Message {
        Message::new(Role::Assistant, content)
    }

    #[test]
    fn texts_that_make_no_pair_are_named_with_field_and_code() {
        let reason = |prompt: Text, chosen: Text, rejected: Text| Pair::new(prompt, chosen, rejected).unwrap_err();
        let (q, yes) = (vec![user("q")], vec![assistant("yes")]);
        let cases = [
            (
                reason("q".into(), yes.clone().into(), "no".into()),
                "E_TYPE: field `chosen`: expected a string as in `prompt`, found a list of messages",
            ),
            (reason("".into(), "yes".into(), "no".into()), "E_EMPTY: field `prompt`: empty after trimming"),
            (reason("q".into(), "yes".into(), " \n".into()), "E_EMPTY: field `rejected`: empty after trimming"),
            (reason("q".into(), "yes".into(), "yes ".into()), "E_IDENTICAL: `chosen` and `rejected` are the same"),
            (
                reason(q.clone().into(), vec![].into(), yes.clone().into()),
                "E_EMPTY_LIST: field `chosen`: expected at least one message, found none",
            ),
            (
                reason(q.clone().into(), vec![assistant(" ")].into(), yes.clone().into()),
                "E_EMPTY: field `chosen`: empty after trimming",
            ),
            (
                reason(q.clone().into(), yes.clone().into(), vec![user("no")].into()),
                "E_NO_ASSISTANT: field `rejected`: its first message is not the assistant's",
            ),
            (
                reason(
                    vec![user("q"), Message::new(Role::System, "s")].into(),
                    yes.clone().into(),
                    vec![assistant("no")].into(),
                ),
                "E_TWO_SYSTEM: field `prompt[1]`: a system message that opens no conversation",
            ),
            (
                reason(q.into(), yes.clone().into(), vec![assistant("yes\n")].into()),
                "E_IDENTICAL: `chosen` and `rejected` are the same",
            ),
        ];
        for (reason, message) in cases {
            assert_eq!(reason.to_string(), message);
        }
    }

    #[test]
    fn numbers_outside_their_scale_are_refused_on_check_read_and_write() {
        let pair = Pair::new("q", "yes", "no").unwrap();
        let code = |pair: &Pair| pair.validate().unwrap_err().code;
        assert_eq!(code(&Pair { p_chosen: Some(1.5), ..pair.clone() }), Code::Range);
        assert_eq!(code(&Pair { weight: Some(-1.0), ..pair.clone() }), Code::Range);
        assert_eq!(code(&Pair { p_chosen: Some(f64::NAN), ..pair.clone() }), Code::Nonfinite);
        assert!(Pair { margin: Some(-3.0), ..pair.clone() }.validate().is_ok());
        let infinite = Pair { margin: Some(f64::INFINITY), ..pair };
        assert!(serde_json::to_string(&infinite).unwrap_err().to_string().contains("finite"));
        let json = r#"{"prompt": "q", "chosen": "yes", "rejected": "no", "p_chosen": 1.5}"#;
        let error = serde_json::from_str::<Pair>(json).unwrap_err().to_string();
        assert!(error.starts_with("E_RANGE: field `p_chosen`: expected a number in [0, 1], found 1.5"), "{error}");
    }

    #[test]
    fn a_pair_is_one_object_and_unknown_fields_move_to_meta() {
        let json = r#"{"prompt": [{"role": "human", "content": "q"}], "chosen": [{"role": "gpt", "content": "yes"}],
            "rejected": [{"role": "assistant", "content": "no"}], "stars": [1, 2.5], "meta": {"a": null}}"#;
        let pair: Pair = serde_json::from_str(json).unwrap();
        assert_eq!(pair.prompt, Text::Messages(vec![user("q")]));
        assert_eq!(pair.meta, serde_json::from_str(r#"{"a": null, "stars": [1, 2.5]}"#).unwrap());
        let written = serde_json::to_string(&pair).unwrap();
        assert!(written.starts_with(r#"{"kind":"pair","prompt":[{"role":"user","content":"q"}],"#), "{written}");
        let twice = json.replace("\"a\"", "\"stars\"");
        let error = serde_json::from_str::<Pair>(&twice).unwrap_err().to_string();
        assert!(error.contains("field `stars`: stands in the record and in its `meta`"), "{error}");
    }

    #[test]
    fn records_of_another_shape_say_what_was_expected() {
        let error = |json: &str| serde_json::from_str::<Pair>(json).unwrap_err().to_string();
        let with = |field: &str| format!(r#"{{"prompt": "q", "chosen": "yes", "rejected": "no", {field}}}"#);
        assert!(error(&with(r#""kind": "ranked""#)).contains("E_KIND: field `kind`: expected `pair`, found `ranked`"));
        assert!(error(r#"{"prompt": "q", "chosen": "yes"}"#).contains("missing field `rejected`"));
        let got = error(r#"{"prompt": 1, "chosen": "yes", "rejected": "no"}"#);
        assert!(got.contains("integer `1`, expected a string or a list of messages"), "{got}");
        let got = error(r#"{"prompt": [{"role": "wizard", "content": "q"}]}"#);
        assert!(got.contains("E_ROLE: field `[0].role`") && got.contains("wizard"), "{got}");
    }

    // Eighths are exact in JSON; the parser may miss the last bit of other numbers.
    fn eighths(range: std::ops::Range<i32>) -> impl Strategy<Value = Option<f64>> {
        option::of(range.prop_map(|n| f64::from(n) / 8.0))
    }

    fn texts() -> impl Strategy<Value = (Text, Text, Text)> {
        let plain =
            (any::<String>(), any::<String>(), any::<String>()).prop_map(|(a, b, c)| (a.into(), b.into(), c.into()));
        let role = prop_oneof![Just(Role::User), Just(Role::Assistant), Just(Role::Developer), Just(Role::Tool)];
        let prompt = prop::collection::vec((role, any::<String>()), 1..4);
        let chat = (prompt, any::<String>(), any::<String>()).prop_map(|(prompt, b, c)| {
            let prompt: Vec<_> = prompt.into_iter().map(|(role, content)| Message::new(role, content)).collect();
            (prompt.into(), vec![assistant(&b)].into(), vec![assistant(&c)].into())
        });
        prop_oneof![plain, chat]
    }

    proptest! {
        #[test]
        fn a_pair_survives_being_written_as_one_line_and_read_back(
            (prompt, chosen, rejected) in texts(),
            (id, group) in (any::<String>(), option::of(any::<String>())),
            (margin, p_chosen, weight) in (eighths(-80..80), eighths(0..9), eighths(0..80)),
            meta in prop::collection::btree_map("[x-z]{1,3}", any::<i64>(), 0..3),
        ) {
            let meta = meta.into_iter().map(|(key, value)| (key, value.into())).collect();
            let provenance = group.clone().map(|source| Provenance { file: "f".into(), source, line: 2, record_index: 1 });
            let pair = Pair { id, prompt, chosen, rejected, margin, p_chosen, weight, group, provenance, meta };
            let json = serde_json::to_string(&pair).unwrap();
            prop_assert!(!json.contains('\n'));
            match (pair.validate(), serde_json::from_str::<Pair>(&json)) {
                (Ok(()), read) => prop_assert_eq!(read.unwrap(), pair),
                (Err(reason), read) => prop_assert!(read.unwrap_err().to_string().starts_with(&reason.to_string())),
            }
        }
    }
}
