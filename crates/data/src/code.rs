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
    /// A message has a role that is not known, or none.
    Role,
    /// A message has no content and calls no tool.
    ContentNull,
    /// Two consecutive turns of one speaker, where the options forbid that.
    Alternation,
    /// The tools are a string that holds no JSON list.
    ToolsJson,
    /// A prompt ends with an assistant message, where the options forbid that.
    PromptEndsAssistant,
    /// Two lists that belong together differ in length.
    LenMismatch,
    /// An order that does not name each completion once.
    NotPermutation,
    /// Ranks and scores put the completions into different orders.
    RankScoreDisagree,
    /// The votes do not add up to their total.
    VoteTotal,
    /// No vote was cast.
    NoVotes,
    /// A label is of another type than a boolean, 0 or 1.
    LabelType,
    /// A label or a winner is not one of those that are known.
    LabelValue,
    /// A tie, where the options want a winner.
    Tie,
    /// A node whose parent is not there.
    Orphan,
    /// A node that is its own ancestor.
    Cycle,
    /// Two nodes of one tree have the same id.
    DupNode,
    /// A tree without one root.
    TreeState,
    /// An id that was seen with other content.
    DupId,
    /// An image, video or sound where text is needed.
    Modality,
    /// A record of another kind than the file's first.
    KindMixed,
    /// The end of the prompt cannot be found in the tokens.
    Boundary,
    /// No token of the record is the assistant's.
    NoAssistantMask,
    /// The chat template fails on the record.
    Template,
    /// The row has a warning that the options deny.
    Denied,
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
            Self::Alternation => "E_ALTERNATION",
            Self::ToolsJson => "E_TOOLS_JSON",
            Self::PromptEndsAssistant => "E_PROMPT_ENDS_ASSISTANT",
            Self::LenMismatch => "E_LEN_MISMATCH",
            Self::NotPermutation => "E_NOT_PERMUTATION",
            Self::RankScoreDisagree => "E_RANK_SCORE_DISAGREE",
            Self::VoteTotal => "E_VOTE_TOTAL",
            Self::NoVotes => "E_NO_VOTES",
            Self::LabelType => "E_LABEL_TYPE",
            Self::LabelValue => "E_LABEL_VALUE",
            Self::Tie => "E_TIE",
            Self::Orphan => "E_ORPHAN",
            Self::Cycle => "E_CYCLE",
            Self::DupNode => "E_DUP_NODE",
            Self::TreeState => "E_TREE_STATE",
            Self::DupId => "E_DUP_ID",
            Self::Modality => "E_MODALITY",
            Self::KindMixed => "E_KIND_MIXED",
            Self::Boundary => "E_BOUNDARY",
            Self::NoAssistantMask => "E_NO_ASSISTANT_MASK",
            Self::Template => "E_TEMPLATE",
            Self::Denied => "E_DENIED",
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
                | Self::ToolsJson
                | Self::LenMismatch
                | Self::NotPermutation
                | Self::LabelType
                | Self::LabelValue
                | Self::KindMixed
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
    /// The prompt stands in the completions as well; it was taken out there.
    RedundantPrompt,
    /// The arguments of a tool call are a string that is no JSON; it was kept.
    ToolArgs,
    /// A part of a message is no text; it was kept as it is.
    NonTextPart,
    /// A margin below 0.
    NegativeMargin,
    /// Cached log-probabilities of a reference that is not named; they were left out.
    RefCache,
    /// A user who is not in the table of users.
    UserMissing,
    /// Two segments of different lengths.
    SegmentLen,
    /// Ranks of siblings outside 0 to their number less one.
    RankGap,
    /// A response time above the limit; it was kept.
    Slow,
    /// Pairs were turned into single labels: a chosen response may be bad, a rejected one good.
    Unpair,
    /// A record that was seen before, with the same content.
    Dup,
    /// An integer beyond 2^53 was rounded.
    Precision,
    /// A split made for generation is used for preferences.
    SplitGen,
    /// An overall score of 10 that the fine-grained ratings do not explain.
    Overall10,
    /// The label says the opposite of the scores.
    LabelScore,
    /// The preferred comment is older than the other.
    Time,
    /// The confidence points to the other side than the choice; the choice counts.
    ConfidenceSign,
    /// A user who gave every response the same score.
    ConstantRater,
    /// The chat template reads the clock: its text changes from day to day.
    TemplateClock,
    /// A token covers the end of the prompt and the beginning of the completion.
    BoundaryMerge,
    /// Two tokens that begin the text; one was dropped.
    DoubleBos,
    /// A completion without a token that ends it: a policy would not learn to stop.
    NoEos,
    /// A batch of one has no other completion for the KL baseline.
    KlBatch1,
    /// The stronger model's responses are hardly better than the weaker one's.
    Delta,
    /// The position bias grows with the difficulty.
    DifficultyPosition,
    /// A system message was put in front of what the user says.
    SystemFolded,
}

impl Warning {
    /// The name in reports, such as `W_ALTERNATION`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Alternation => "W_ALTERNATION",
            Self::DupKey => "W_DUP_KEY",
            Self::RedundantPrompt => "W_REDUNDANT_PROMPT",
            Self::ToolArgs => "W_TOOL_ARGS",
            Self::NonTextPart => "W_NON_TEXT_PART",
            Self::NegativeMargin => "W_NEGATIVE_MARGIN",
            Self::RefCache => "W_REF_CACHE",
            Self::UserMissing => "W_USER_MISSING",
            Self::SegmentLen => "W_SEGMENT_LEN",
            Self::RankGap => "W_RANK_GAP",
            Self::Slow => "W_SLOW",
            Self::Unpair => "W_UNPAIR",
            Self::Dup => "W_DUP",
            Self::Precision => "W_PRECISION",
            Self::SplitGen => "W_SPLIT_GEN",
            Self::Overall10 => "W_OVERALL_10",
            Self::LabelScore => "W_LABEL_SCORE",
            Self::Time => "W_TIME",
            Self::ConfidenceSign => "W_CONFIDENCE_SIGN",
            Self::ConstantRater => "W_CONSTANT_RATER",
            Self::TemplateClock => "W_TEMPLATE_CLOCK",
            Self::BoundaryMerge => "W_BOUNDARY_MERGE",
            Self::DoubleBos => "W_DOUBLE_BOS",
            Self::NoEos => "W_NO_EOS",
            Self::KlBatch1 => "W_KL_BATCH1",
            Self::Delta => "W_DELTA",
            Self::DifficultyPosition => "W_DIFFICULTY_POSITION",
            Self::SystemFolded => "W_SYSTEM_FOLDED",
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
