//! Reason codes: the short, stable names under which reports count what was wrong with a row.

use std::fmt;

use serde::{Serialize, Serializer};

/// Why a row was rejected. `as_str` gives the name that reports and messages carry.
///
/// # Example
/// ```
/// use accordant_data::Code;
/// assert_eq!(Code::MissingField.to_string(), "E_MISSING_FIELD");
/// assert!(Code::MissingField.is_malformed());
/// assert!(!Code::Empty.is_malformed());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Code {
    /// Not valid JSON.
    Json,
    /// A `NaN`, `Infinity` or `-Infinity` token, which some serializers write and JSON does not have.
    JsonNonfinite,
    /// Invalid UTF-8.
    Utf8,
    /// An escaped half of a surrogate pair without its other half.
    Surrogate,
    /// Valid JSON, but not an object.
    NotObject,
    /// The gzip stream broke off or is damaged, or the last line's JSON breaks off with the file.
    Truncated,
    /// Longer than the limit on a line.
    LineTooLong,
    /// A required field is absent.
    MissingField,
    /// A field has another JSON type than it must have.
    Type,
    /// A required field is null.
    Null,
    /// The record says that it is of another kind.
    Kind,
    /// A text is empty after trimming.
    Empty,
    /// A list of messages is empty.
    EmptyList,
    /// A system message that is not the first of its conversation.
    TwoSystem,
    /// A completion does not start, or a transcript does not end, with an assistant message.
    NoAssistant,
    /// The two sides share no prompt.
    PromptMismatch,
    /// The two completions are equal.
    Identical,
    /// One side is all of the other's beginning, so that it has no completion.
    Prefix,
    /// The two sides part at a message that is not the assistant's.
    DivergeAtUser,
    /// The two sides part before the last answer.
    DivergentTurns,
    /// A number lies outside its scale.
    Range,
    /// A number is infinite or not a number.
    Nonfinite,
    /// Prompt and completion do not fit into the limit on their tokens.
    TooLong,
    /// The prompt alone reaches the limit on tokens.
    PromptFills,
    /// A prompt or a completion without a token.
    EmptyAfterTruncation,
    /// A message without a role, or with one that is not known.
    Role,
    /// A message without content that calls no tool.
    ContentNull,
    /// A chat template raised an exception, or failed.
    Template,
    /// Where the prompt ends cannot be told in tokens.
    Boundary,
    /// No token of the record is the assistant's.
    NoAssistantMask,
    /// A message holds a part that is not text.
    Modality,
    /// Two lists that belong together differ in length.
    LenMismatch,
}

impl Code {
    /// The name in reports, such as `E_JSON`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Json => "E_JSON",
            Self::JsonNonfinite => "E_JSON_NONFINITE",
            Self::Utf8 => "E_UTF8",
            Self::Surrogate => "E_SURROGATE",
            Self::NotObject => "E_NOT_OBJECT",
            Self::Truncated => "E_TRUNCATED",
            Self::LineTooLong => "E_LINE_TOO_LONG",
            Self::MissingField => "E_MISSING_FIELD",
            Self::Type => "E_TYPE",
            Self::Null => "E_NULL",
            Self::Kind => "E_KIND",
            Self::Empty => "E_EMPTY",
            Self::EmptyList => "E_EMPTY_LIST",
            Self::TwoSystem => "E_TWO_SYSTEM",
            Self::NoAssistant => "E_NO_ASSISTANT",
            Self::PromptMismatch => "E_PROMPT_MISMATCH",
            Self::Identical => "E_IDENTICAL",
            Self::Prefix => "E_PREFIX",
            Self::DivergeAtUser => "E_DIVERGE_AT_USER",
            Self::DivergentTurns => "E_DIVERGENT_TURNS",
            Self::Range => "E_RANGE",
            Self::Nonfinite => "E_NONFINITE",
            Self::TooLong => "E_TOO_LONG",
            Self::PromptFills => "E_PROMPT_FILLS",
            Self::EmptyAfterTruncation => "E_EMPTY_AFTER_TRUNCATION",
            Self::Role => "E_ROLE",
            Self::ContentNull => "E_CONTENT_NULL",
            Self::Template => "E_TEMPLATE",
            Self::Boundary => "E_BOUNDARY",
            Self::NoAssistantMask => "E_NO_ASSISTANT_MASK",
            Self::Modality => "E_MODALITY",
            Self::LenMismatch => "E_LEN_MISMATCH",
        }
    }

    /// True where the file or the row is broken (bytes, JSON, shape); false where a well-formed row cannot be used.
    pub const fn is_malformed(self) -> bool {
        matches!(
            self,
            Self::Json
                | Self::JsonNonfinite
                | Self::Utf8
                | Self::Surrogate
                | Self::NotObject
                | Self::Truncated
                | Self::LineTooLong
                | Self::MissingField
                | Self::Type
                | Self::Null
                | Self::Kind
                | Self::Role
                | Self::ContentNull
        )
    }
}

/// What is odd about a row that was used all the same. Counted once for a row, and only for rows that were used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Warning {
    /// Two consecutive turns of one speaker.
    Alternation,
    /// A key of the row occurs twice; the last value counts.
    DupKey,
    /// The arguments of a tool call are a string that holds no JSON object.
    ToolArgs,
    /// A message holds a part that is not text.
    NonTextPart,
    /// The chat template asks for the time, so that what it renders depends on when.
    TemplateClock,
    /// A token reaches from the prompt into the completion; it counts as the completion's.
    BoundaryMerge,
    /// The text began with two tokens for its beginning; one was dropped.
    DoubleBos,
    /// No token that ends a turn follows the assistant's answer: the policy would not learn to stop.
    NoEos,
    /// In a batch of one the mismatched completion is the record's own.
    KlBatch1,
}

impl Warning {
    /// The name in reports, such as `W_ALTERNATION`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Alternation => "W_ALTERNATION",
            Self::DupKey => "W_DUP_KEY",
            Self::ToolArgs => "W_TOOL_ARGS",
            Self::NonTextPart => "W_NON_TEXT_PART",
            Self::TemplateClock => "W_TEMPLATE_CLOCK",
            Self::BoundaryMerge => "W_BOUNDARY_MERGE",
            Self::DoubleBos => "W_DOUBLE_BOS",
            Self::NoEos => "W_NO_EOS",
            Self::KlBatch1 => "W_KL_BATCH1",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl Serialize for Warning {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
