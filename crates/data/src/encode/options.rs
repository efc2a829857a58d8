//! How records become tokens.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{Result, tokens::Truncation};

/// Which turns are learned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrainTurns {
    /// Every turn of the assistant in the completion; of a conversation without a prompt, every turn of the assistant.
    #[default]
    Completion,
    /// The assistant's last turn.
    Last,
    /// Every turn of the assistant, the prompt's too.
    All,
    /// The turns that [`crate::Message::train`] says; without it the assistant's, the prompt's too.
    Flags,
    /// Every token after the prompt that the sides share, whoever speaks; of a conversation without a prompt every
    /// token. As TRL does.
    Everything,
}

/// How records become tokens. Reading options with an unknown name is an error.
///
/// # Example
/// ```
/// use accordant_data::encode::EncodeOptions;
/// let options: EncodeOptions = serde_json::from_str(r#"{"train_turns": "last"}"#)?;
/// assert_eq!(options.max_boundary_shift, 4);
/// assert!(serde_json::from_str::<EncodeOptions>(r#"{"truncation_mode": "keep_end"}"#).is_err());
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EncodeOptions {
    /// Limits on lengths. Default: none.
    pub truncation: Truncation,
    /// Which turns are learned. Default: those of the completion.
    pub train_turns: TrainTurns,
    /// Whether the text of a special token in a message is that token. Default: no, so that nobody ends a turn by writing
    /// so. Plain texts are laid out by whoever wrote them: special tokens in them are always parsed.
    pub allow_special_in_user_text: bool,
    /// Whether tokens after the last one that ends a turn are dropped, so that all completions end alike. Default: no.
    pub trim_after_eos: bool,
    /// How many tokens of a prompt may be others once it is answered. Default: 4, the specification's.
    pub max_boundary_shift: usize,
    /// Whether a system message is put before the first user's message, for templates without a place for it. Default:
    /// no.
    pub fold_system_into_user: bool,
    /// Whether the oldest turns of a prompt are dropped, whole, until the record fits. Default: no.
    pub drop_turns: bool,
    /// Variables for the template, such as `enable_thinking`; a record's own count before these.
    pub chat_template_kwargs: Map<String, Value>,
}

impl Default for EncodeOptions {
    fn default() -> Self {
        Self {
            truncation: Truncation::none(),
            train_turns: TrainTurns::default(),
            allow_special_in_user_text: false,
            trim_after_eos: false,
            max_boundary_shift: 4,
            fold_system_into_user: false,
            drop_turns: false,
            chat_template_kwargs: Map::new(),
        }
    }
}

impl EncodeOptions {
    /// Checks the options together.
    ///
    /// # Errors
    /// As [`Truncation::validate`]; [`crate::Error::Inapplicable`] for `drop_turns` without a limit on lengths.
    pub fn validate(&self) -> Result<()> {
        self.truncation.validate()?;
        if self.drop_turns && self.truncation.max_length == usize::MAX {
            return Err(crate::Error::Inapplicable { name: "drop_turns", needs: "`max_length`" });
        }
        Ok(())
    }
}
