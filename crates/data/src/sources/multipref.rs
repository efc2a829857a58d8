//! MultiPref: judgments of two responses by crowd workers and by experts, two of each.
//!
//! **Paper:** Hybrid Preferences: Learning to Route Instances for Human vs. AI Feedback (2024), 2410.19133; data card
//! `allenai/multipref`.
//! **Format:** `text`, `completion_a`, `completion_b`, `model_a`, `model_b`, `normal_worker_annotations` and
//! `expert_worker_annotations`; other releases have `gpt4_annotations`. Each annotation has `overall_pref` from
//! `A-is-clearly-better` to `B-is-clearly-better`.
//! **Records:** comparisons with one vote for each annotation; its strength has two levels, clearly is 2. The id of a
//! voter begins with the class: `normal:`, `expert:` or `model:`.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::{
    Reader, Source,
    draft::{Draft, Drafts, Rows},
    has_all,
};
use crate::{
    record::{Fields, Kind, as_list, describe},
    report::{Code, Reason},
};

const CLASSES: [(&str, &str); 3] =
    [("normal_worker_annotations", "normal"), ("expert_worker_annotations", "expert"), ("gpt4_annotations", "model")];

/// MultiPref.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MultiPref;

fn draft(row: &mut Fields<'_>) -> Result<Drafts, Reason> {
    let mut votes = Vec::new();
    let mut classes = 0;
    for (column, class) in CLASSES {
        let Some(list) = row.get(column).cloned() else { continue };
        classes += usize::from(class != "model");
        for (i, vote) in as_list(list, column)?.into_iter().enumerate() {
            let mut vote = Fields::of(vote, format!("{column}[{i}]"), row.reading())?;
            let path = vote.path("overall_pref");
            let strength = strength(&vote.need_string("overall_pref")?, &path)?;
            let who = vote.string("evaluator")?.unwrap_or_else(|| i.to_string());
            votes.push(json!({"annotator_id": format!("{class}:{who}"), "strength": {"value": strength, "levels": 2}}));
        }
    }
    let draft = Draft::new(Kind::Comparison).says("prompt", "user", row, "text")?;
    let draft = draft.says("a", "assistant", row, "completion_a")?.says("b", "assistant", row, "completion_b")?;
    let draft = draft.take("a_source", row, "model_a").take("b_source", row, "model_b").take("group", row, "category");
    let draft = draft.with("votes.individual", votes).named("votes", "normal_worker_annotations");
    // Judged by models alone.
    let draft = if classes == 0 { draft.with("annotator", json!({"id": "model", "is_model": true})) } else { draft };
    Ok(draft.take("id", row, "comparison_id").into())
}

/// In favor of A, of two levels.
fn strength(word: &str, path: &str) -> Result<i64, Reason> {
    Ok(match word {
        "A-is-clearly-better" => 2,
        "A-is-slightly-better" => 1,
        "Tie" => 0,
        "B-is-slightly-better" => -1,
        "B-is-clearly-better" => -2,
        other => {
            let expected = "expected A or B with -is-clearly-better or -is-slightly-better, or Tie";
            return Err(Reason::field(
                Code::LabelValue,
                path,
                format!("{expected}, found {}", describe(&other.into())),
            ));
        }
    })
}

impl Source for MultiPref {
    fn name(&self) -> &str {
        "multipref"
    }

    fn about(&self) -> &str {
        "MultiPref: two responses judged by crowd workers and experts"
    }

    fn sniff(&self, row: &Map<String, Value>) -> bool {
        has_all(row, &["text", "completion_a", "completion_b", "model_a"])
    }

    fn reader(&self) -> Reader {
        Reader::new(Rows::new(self.name(), |row: &mut Fields<'_>, _: &Path| draft(row)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::testing::{but, one, reason};

    fn row(normal: &str, expert: &str) -> Value {
        json!({"comparison_id": "c", "text": "q", "completion_a": "x", "completion_b": "y", "model_a": "m", "model_b": "n",
            "category": "qa", "normal_worker_annotations": [{"evaluator": "w1", "overall_pref": normal}],
            "expert_worker_annotations": [{"evaluator": "e1", "overall_pref": expert}]})
    }

    #[test]
    fn a_is_better_is_for_a_and_clearly_is_2() {
        let record = one(&MultiPref, row("A-is-clearly-better", "B-is-slightly-better"));
        let votes = &record["votes"];
        assert_eq!((&votes["n_a"], &votes["n_b"]), (&json!(1), &json!(1)));
        assert_eq!(votes["individual"][0], json!({"annotator_id": "normal:w1", "strength": {"value": 2, "levels": 2}}));
        assert_eq!(votes["individual"][1]["annotator_id"], "expert:e1");
        assert_eq!((&record["a_source"], &record["id"], record.get("annotator")), (&json!("m"), &json!("c"), None));
        let record = one(&MultiPref, row("B-is-clearly-better", "Tie"));
        let strengths: Vec<_> = (0..2).map(|i| &record["votes"]["individual"][i]["strength"]["value"]).collect();
        assert_eq!(strengths, [&json!(-2), &json!(0)]);
        assert_eq!(strength("A-is-slightly-better", "x").unwrap(), 1);
        let told = reason(&MultiPref, row("A", "Tie"));
        assert!(told.starts_with("E_LABEL_VALUE: field `normal_worker_annotations[0].overall_pref`"), "{told}");
    }

    #[test]
    fn votes_of_models_alone_are_a_models() {
        let none = json!({"normal_worker_annotations": null, "expert_worker_annotations": null,
            "gpt4_annotations": [{"overall_pref": "Tie"}]});
        let record = one(&MultiPref, but(&row("Tie", "Tie"), none));
        assert_eq!(
            (&record["annotator"]["is_model"], &record["votes"]["individual"][0]["annotator_id"]),
            (&json!(true), &json!("model:0"))
        );
    }
}
