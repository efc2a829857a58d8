//! What the user did after a response: the next utterances, and whether they show that the response helped.

use serde::{Deserialize, Serialize};

use super::{Fields, check_number};
use crate::report::Reason;

/// How the user took the response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Valence {
    /// Well.
    Positive,
    /// Badly.
    Negative,
    /// Neither.
    Neutral,
}

/// One of the user's next utterances.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FollowUp {
    /// What the user said.
    pub text: String,
    /// How the user took the response; none where nobody judged that.
    pub valence: Option<Valence>,
}

/// Log-probabilities that a model gives to follow-ups of either sort, in nats, at most 0.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FollowUpLogps {
    /// Of those that show content.
    pub positive: f64,
    /// Of those that show the opposite.
    pub negative: f64,
}

/// Whether a user was satisfied, as judged from the conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Satisfaction {
    /// Satisfied.
    Sat,
    /// Dissatisfied.
    Dsat,
}

/// What the user did after a completion. In JSON its fields stand in the record itself.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Reaction {
    /// The user's next utterances.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub follow_ups: Vec<FollowUp>,
    /// What a model makes of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub follow_up_logps: Option<FollowUpLogps>,
    /// Whether the user was satisfied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub satisfaction: Option<Satisfaction>,
}

impl Reaction {
    pub(super) fn take(fields: &mut Fields<'_>) -> Result<Self, Reason> {
        let follow_up = |fields: &mut Fields<'_>| {
            let valence = fields.word("valence", "positive, negative or neutral")?;
            Ok(FollowUp { text: fields.need_string("text")?, valence })
        };
        let logps = |fields: &mut Fields<'_>| {
            Ok(FollowUpLogps { positive: fields.need_f64("positive")?, negative: fields.need_f64("negative")? })
        };
        Ok(Self {
            follow_ups: fields.objects("follow_ups", follow_up)?.unwrap_or_default(),
            follow_up_logps: fields.nested("follow_up_logps", logps)?,
            satisfaction: fields.word("satisfaction", "sat or dsat")?,
        })
    }

    pub(super) fn check(&self) -> Result<(), Reason> {
        let logp = |pick: fn(FollowUpLogps) -> f64| self.follow_up_logps.map(pick);
        check_number("follow_up_logps.positive", logp(|logps| logps.positive), f64::NEG_INFINITY, 0.0)?;
        check_number("follow_up_logps.negative", logp(|logps| logps.negative), f64::NEG_INFINITY, 0.0)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        record::{RecordType, Sft},
        report::Code,
    };

    fn read(more: Value) -> Result<Sft, Reason> {
        let mut map = json!({"kind": "sft", "prompt": "Q", "completion": " x"}).as_object().unwrap().clone();
        map.extend(more.as_object().unwrap().clone());
        Sft::from_object(map)
    }

    #[test]
    fn what_the_user_did_next_is_kept_beside_the_completion() {
        let more = json!({
            "follow_ups": [{"text": "thanks", "valence": "positive"}, {"text": "and?", "valence": null}],
            "follow_up_logps": {"positive": -1.5, "negative": -3.0},
            "satisfaction": "sat",
        });
        let sft = read(more.clone()).unwrap();
        let written = serde_json::to_value(&sft).unwrap();
        for (key, value) in more.as_object().unwrap() {
            assert_eq!(&written[key], value);
        }
        assert_eq!(serde_json::from_value::<Sft>(written).unwrap(), sft);
    }

    #[test]
    fn reactions_outside_their_words_and_scales_are_refused() {
        let code = |more| read(more).unwrap_err().code;
        assert_eq!(code(json!({"satisfaction": "SAT"})), Code::LabelValue);
        assert_eq!(code(json!({"follow_ups": [{"text": "x", "valence": "good"}]})), Code::LabelValue);
        assert_eq!(code(json!({"follow_ups": [{"valence": "neutral"}]})), Code::MissingField);
        assert_eq!(code(json!({"follow_up_logps": {"positive": 0.5, "negative": -1}})), Code::Range);
        assert_eq!(code(json!({"follow_up_logps": {"positive": -1, "negative": 0.5}})), Code::Range);
        assert!(read(json!({"follow_up_logps": {"positive": 0, "negative": 0}})).is_ok());
        let reason = read(json!({"follow_ups": [{"text": "a"}, {"text": 1}]})).unwrap_err();
        assert_eq!(reason.to_string(), "E_TYPE: field `follow_ups[1].text`: expected a string, found number 1");
    }
}
