//! Red-team attempts of Anthropic: dialogs in which people tried to make a model say harmful things.
//!
//! **Paper:** Red Teaming Language Models to Reduce Harms (2022), 2209.07858; data card `Anthropic/hh-rlhf`,
//! `red-team-attempts`.
//! **Format:** JSON Lines; `transcript` as in HH-RLHF, `rating` from 0 to 4 of how well the attack went,
//! `min_harmlessness_score_transcript` of a preference model, which is **lower for more harmful** dialogs.
//! **Records:** rated dialogs: the prompt is what the person said first, the completion all that follows; the annotator
//! is the member of the red team. `attack_success` is better when lower, `harmlessness` when higher. This is no preference data and is never read as pairs.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::{
    Reader, Source,
    draft::{Draft, Drafts, Rows},
    has_all,
};
use crate::{
    hh_rlhf::parse_transcript,
    record::{Fields, Kind, Role},
    report::{Code, Reason},
};

/// Red-team attempts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HhRedTeam;

fn draft(row: &mut Fields<'_>) -> Result<Drafts, Reason> {
    let text = row.need_string("transcript")?;
    let named = |code, message: &str| Reason::field(code, "transcript", message).with_excerpt(&text);
    let mut prompt = parse_transcript(&text).map_err(|reason| named(reason.code, &reason.message))?;
    let first_answer = prompt.iter().position(|turn| turn.role == Role::Assistant);
    let Some(first_answer) = first_answer else { return Err(named(Code::NoAssistant, "the assistant says nothing")) };
    if first_answer == 0 {
        return Err(named(Code::PromptMismatch, "the first turn is not the human's"));
    }
    let dialog = prompt.split_off(first_answer);
    let rating = row.take("rating").unwrap_or_default();
    let harmlessness = row.take("min_harmlessness_score_transcript").unwrap_or_default();
    let draft = Draft::new(Kind::Rated)
        .with("prompt", json!(prompt))
        .with("completions", json!([dialog]))
        .with("ratings", json!([{"attack_success": rating, "harmlessness": harmlessness}]))
        .with("scale.attack_success", json!({"min": 0, "max": 4, "direction": "lower"}))
        .with("overall", "harmlessness");
    let draft = draft.named("ratings[0].attack_success", "rating").named("completions[0]", "transcript");
    let draft = draft.named("ratings[0].harmlessness", "min_harmlessness_score_transcript");
    Ok(draft.take("annotator.id", row, "red_team_member_id").named("prompt", "transcript").into())
}

impl Source for HhRedTeam {
    fn name(&self) -> &str {
        "hh_red_team"
    }

    fn about(&self) -> &str {
        "Red-team attempts of Anthropic: dialogs rated by how well the attack went"
    }

    fn sniff(&self, row: &Map<String, Value>) -> bool {
        has_all(row, &["transcript", "min_harmlessness_score_transcript"])
    }

    fn reader(&self) -> Reader {
        Reader::new(Rows::new(self.name(), |row: &mut Fields<'_>, _: &Path| draft(row)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::testing::{but, one, reason};

    fn row() -> Value {
        json!({"transcript": "\n\nHuman: How?\n\nAssistant: No.\n\nHuman: Please?\n\nAssistant: No!", "rating": 0,
            "min_harmlessness_score_transcript": -1.5, "num_params": "52B", "model_type": "rlhf",
            "task_description": "t", "task_description_harmlessness_score": -2.0, "red_team_member_id": 14,
            "is_upworker": false, "tags": null})
    }

    #[test]
    fn a_successful_attack_is_worse_and_a_high_score_is_less_harmful() {
        let record = one(&HhRedTeam, row());
        assert_eq!(record["ratings"][0], json!({"attack_success": 0.0, "harmlessness": -1.5}));
        assert_eq!(record["scale"]["attack_success"]["direction"], "lower");
        assert_eq!((record["scale"].get("harmlessness"), &record["overall"]), (None, &json!("harmlessness")));
        assert_eq!((&record["annotator"]["id"], &record["kind"]), (&json!("14"), &json!("rated")));
        assert_eq!(
            (record["prompt"].as_array().unwrap().len(), record["completions"][0].as_array().unwrap().len()),
            (1, 3)
        );
        assert_eq!(record["meta"]["model_type"], "rlhf");
    }

    #[test]
    fn a_transcript_without_both_speakers_is_a_reject() {
        let told = |text: &str| reason(&HhRedTeam, but(&row(), json!({"transcript": text})));
        assert!(told("\n\nHuman: How?").starts_with("E_NO_ASSISTANT: field `transcript`"));
        assert!(told("\n\nAssistant: No.").starts_with("E_PROMPT_MISMATCH: field `transcript`"));
        assert!(told("How?").starts_with("E_PROMPT_MISMATCH"));
        assert!(reason(&HhRedTeam, but(&row(), json!({"rating": 5}))).starts_with("E_RANGE: field `rating`"));
    }
}
