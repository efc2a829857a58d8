//! The rules by which a row becomes a record, where there is a choice.

use serde::{Deserialize, Serialize};

/// What to do with two sides that part before the last answer of either, so that several messages are left of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Divergence {
    /// Reject the row.
    Reject,
    /// Keep the first answer of each side; counted as repaired.
    FirstReply,
    /// Keep all messages: completions of several turns.
    #[default]
    KeepTail,
}

/// Where the prompt of two strings ends, once their common beginning is known.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PromptEnd {
    /// Never inside a word; a space before the completion belongs to the completion.
    #[default]
    Word,
    /// Anywhere; a space before the completion belongs to the completion. As TRL does.
    Char,
    /// After the last of these texts in the common beginning.
    Marker(Vec<String>),
}

/// The rules. The defaults are those of the specification of each kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rules {
    /// Two consecutive turns of one speaker reject the row; otherwise they are counted. Default: no.
    pub require_alternation: bool,
    /// A prompt may end with an assistant message, which the completion goes on with. Default: yes.
    pub allow_prefill: bool,
    /// Two sides that share nothing have an empty prompt; otherwise they are rejected. Default: no.
    pub allow_empty_prompt: bool,
    /// A prompt that does not match the conversation beside it rejects the row; otherwise that is counted. Default: no.
    pub strict_prompt: bool,
    /// Put a prompt's system message in front of what the user says first, for templates without system messages; counted
    /// as a warning. Default: no.
    pub fold_system_into_user: bool,
    /// Rows of one file may be of different kinds; otherwise those of another kind than the first are rejected.
    /// Default: no.
    pub mixed: bool,
    /// What to do with two sides that part before the last answer.
    pub divergence: Divergence,
    /// Where the shared prompt of two strings ends.
    pub prompt_end: PromptEnd,
    /// Take words such as `true`, `good`, `1`, `no` for labels. Default: no.
    pub coerce_labels: bool,
    /// Response times above this are counted as slow, in milliseconds. Default: 10 minutes.
    pub max_response_time_ms: f64,
    /// What the middle one of three step labels, 0, means; none leaves the step out. Default: false, as PRM800K's
    /// users count only +1 as right.
    pub neutral_as: Option<bool>,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            require_alternation: false,
            allow_prefill: true,
            allow_empty_prompt: false,
            strict_prompt: false,
            fold_system_into_user: false,
            mixed: false,
            divergence: Divergence::KeepTail,
            prompt_end: PromptEnd::Word,
            coerce_labels: false,
            max_response_time_ms: 600_000.0,
            neutral_as: Some(false),
        }
    }
}
