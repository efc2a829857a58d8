//! HelpSteer3: preferences, feedback, edits by that feedback, and edits of two qualities.
//!
//! **Paper:** HelpSteer3-Preference (2025), 2505.11475, and Dedicated Feedback and Edit Models (2025), 2503.04378; data
//! card `nvidia/HelpSteer3`.
//! **Records:** `preference` are comparisons with `a` = `response1`; `feedback` rated responses without numbers, whose
//! feedback is in `meta`; `edit` edits; `edit_quality` pairs about the quality of an edit.
//! **Quirks:** `overall_preference` is **negative where `response1` is better**: it changes its sign here, and the
//! source's is kept in `meta.strength_source`. 0 is a tie; a public converter makes a win of response 2 of it.
//! Both `response1` and `response_1` are in use.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::{
    Reader, Source,
    draft::{Draft, Drafts, Rows, assistant},
    has_all,
    helpsteer2::{favoring_a, with_strength},
};
use crate::{
    record::{Fields, Kind, as_list},
    report::Reason,
};

/// HelpSteer3.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HelpSteer3;

fn draft(row: &mut Fields<'_>) -> Result<Drafts, Reason> {
    for (other, name) in [
        ("response_1", "response1"),
        ("response_2", "response2"),
        ("good_edit", "good_edited_response"),
        ("bad_edit", "bad_edited_response"),
    ] {
        row.rename(other, name);
    }
    if row.has("overall_preference") {
        return preference(row).map(Drafts::One);
    }
    if row.has("good_edited_response") {
        let draft = Draft::new(Kind::Pair).need("prompt", row, "context")?;
        let draft = draft.says("chosen", "assistant", row, "good_edited_response")?;
        let draft = draft.says("rejected", "assistant", row, "bad_edited_response")?;
        return Ok(draft.with("criteria", "edit_quality").into());
    }
    if row.has("edited_response") {
        let draft = Draft::new(Kind::Edit).need("prompt", row, "context")?;
        let draft = draft.says("original", "assistant", row, "original_response")?;
        let draft = draft.says("edited", "assistant", row, "edited_response")?;
        return Ok(draft.take("feedback", row, "feedback").take("change_summary", row, "change_summary").into());
    }
    let draft = Draft::new(Kind::Rated).need("prompt", row, "context")?;
    let draft = draft.with("completions", [assistant(row.need_string("response")?)]);
    Ok(draft.named("completions[0]", "response").with("ratings", json!([{}])).into())
}

fn preference(row: &mut Fields<'_>) -> Result<Draft, Reason> {
    let draft = Draft::new(Kind::Comparison).need("prompt", row, "context")?;
    let draft = draft.says("a", "assistant", row, "response1")?.says("b", "assistant", row, "response2")?;
    let value = row.need("overall_preference", "a whole number from -3 to 3")?;
    let draft = with_strength(draft, &value, "overall_preference")?.take("language", row, "language");
    // The individual feedback on each response has no place in a vote and stays in `meta`.
    let Some(individual) = row.get("individual_preference").cloned() else { return Ok(draft) };
    let mut votes = Vec::new();
    for (i, vote) in as_list(individual, "individual_preference")?.into_iter().enumerate() {
        let mut vote = Fields::of(vote, format!("individual_preference[{i}]"), row.reading())?;
        let score = vote.need("score", "a whole number from -3 to 3")?;
        let strength = favoring_a(&score, &vote.path("score"))?;
        votes.push(json!({"strength": strength, "reason": vote.string("reasoning")?}));
    }
    Ok(if votes.is_empty() { draft } else { draft.with("votes.individual", votes) })
}

impl Source for HelpSteer3 {
    fn name(&self) -> &str {
        "helpsteer3"
    }

    fn about(&self) -> &str {
        "HelpSteer3: preferences, feedback, edits, and edits of two qualities"
    }

    fn sniff(&self, row: &Map<String, Value>) -> bool {
        let shapes: [&[&str]; 4] =
            [&["overall_preference"], &["response", "feedback"], &["edited_response"], &["original_response"]];
        has_all(row, &["context"]) && shapes.iter().any(|shape| has_all(row, shape))
    }

    fn reader(&self) -> Reader {
        Reader::new(Rows::new(self.name(), |row: &mut Fields<'_>, _: &Path| draft(row)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::testing::{but, one, reason};

    fn with(fields: Value) -> Value {
        let common = json!({"domain": "general", "language": "english", "context": [{"role": "user", "content": "q"}]});
        but(&common, fields)
    }

    fn preference(score: i64) -> Value {
        with(json!({"response1": "one", "response2": "two", "overall_preference": score, "individual_preference": [
            {"score": score, "reasoning": "r", "feedback1": "f", "feedback2": "g"}, {"score": 0, "reasoning": null}]}))
    }

    #[test]
    fn negative_preference_prefers_response1_and_positive_response2_and_0_neither() {
        let record = one(&HelpSteer3, preference(-3));
        assert_eq!((&record["outcome"], &record["strength"]["value"]), (&json!("a"), &json!(3)));
        assert_eq!((&record["votes"]["n_a"], &record["votes"]["n_tie"]), (&json!(1), &json!(1)));
        assert_eq!(record["votes"]["individual"][0]["reason"], "r");
        assert_eq!((&record["language"], &record["meta"]["strength_source"]), (&json!("english"), &json!(-3)));
        assert_eq!(record["meta"]["individual_preference"][0]["feedback2"], "g");
        let record = one(&HelpSteer3, preference(1));
        assert_eq!((&record["outcome"], &record["strength"]["value"]), (&json!("b"), &json!(-1)));
        assert_eq!(one(&HelpSteer3, preference(0))["outcome"], "tie");
        assert!(reason(&HelpSteer3, preference(9)).starts_with("E_RANGE: field `overall_preference`"));
    }

    #[test]
    fn both_spellings_of_the_responses_are_read() {
        let other = but(&preference(1), json!({"response1": null, "response_1": "x"}));
        assert_eq!(one(&HelpSteer3, other)["a"][0]["content"], "x");
    }

    #[test]
    fn the_good_edit_is_chosen() {
        let row = with(json!({"original_response": "o", "good_edited_response": "g", "bad_edited_response": "b",
            "feedback": ["f"]}));
        let record = one(&HelpSteer3, row);
        assert_eq!((&record["chosen"][0]["content"], &record["rejected"][0]["content"]), (&json!("g"), &json!("b")));
        assert_eq!(
            (&record["criteria"], &record["meta"]["original_response"]),
            (&json!(["edit_quality"]), &json!("o"))
        );
    }

    #[test]
    fn an_edit_keeps_feedback_and_summary() {
        let row = with(
            json!({"original_response": "o", "edited_response": "e", "change_summary": "s", "feedback": ["f", "g"]}),
        );
        let record = one(&HelpSteer3, row);
        assert_eq!((&record["kind"], &record["edited"][0]["content"]), (&json!("edit"), &json!("e")));
        assert_eq!((&record["feedback"], &record["change_summary"]), (&json!(["f", "g"]), &json!("s")));
    }

    #[test]
    fn feedback_is_a_rated_response_without_numbers() {
        let record = one(&HelpSteer3, with(json!({"response": "r", "feedback": ["f", "g", "h"]})));
        assert_eq!((&record["kind"], &record["completions"][0][0]["content"]), (&json!("rated"), &json!("r")));
        assert_eq!(record["meta"]["feedback"], json!(["f", "g", "h"]));
    }
}
