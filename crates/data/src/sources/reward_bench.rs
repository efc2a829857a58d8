//! RewardBench: prompts with a right and a wrong completion, and its second version with one right of four.
//!
//! **Paper:** RewardBench (2024), 2403.13787; RewardBench 2 (2025), 2506.01937; data cards `allenai/reward-bench` and
//! `allenai/reward-bench-2`.
//! **Records:** of version 1 pairs; of version 2 ranked completions, the right ones first with rank 1, the others with 2.
//! `meta.subset` names the subset. Scores are taken on version 1's split `filtered`.
//! **Quirks:** in some sets of version 1 the prompt is a list of messages. Ids of the subset `Ties` are
//! `<type>:<number>` with type `ref` or `tied`; both parts go to `meta`. An id that occurs twice is a reject, since
//! scores are joined by it.

use std::{collections::HashSet, path::Path};

use serde_json::{Map, Value};

use super::{
    Reader, Source,
    draft::{Draft, Drafts, Rows, assistant, user},
    has_all,
};
use crate::{
    record::{Fields, Kind, as_string},
    report::{Code, Reason},
};

/// RewardBench, both versions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RewardBench;

fn draft(row: &mut Fields<'_>, seen: &mut HashSet<String>) -> Result<Drafts, Reason> {
    if let Some(text) = row.get("prompt").and_then(Value::as_str) {
        let prompt = user(text);
        row.insert("prompt", prompt);
    }
    let id = match row.take("id") {
        Some(Value::Number(id)) => id.to_string(),
        Some(other) => as_string(other, "id")?,
        None => String::new(),
    };
    let ties = if row.get("subset").and_then(Value::as_str) == Some("Ties") { Some(ties_id(&id)?) } else { None };
    let draft = match row.get("chosen").is_some_and(Value::is_array) && row.has("num_correct") {
        true => second(row)?,
        false => {
            let draft = Draft::new(Kind::Pair).need("prompt", row, "prompt")?;
            let draft =
                draft.says("chosen", "assistant", row, "chosen")?.says("rejected", "assistant", row, "rejected")?;
            draft.take("chosen_source", row, "chosen_model").take("rejected_source", row, "rejected_model")
        }
    };
    if id.is_empty() {
        return Ok(draft.into());
    }
    if !seen.insert(id.clone()) {
        return Err(Reason::field(Code::DupId, "id", format!("`{id}` stands in the file before")));
    }
    let (kind, number) = ties.unzip();
    Ok(draft.with("id", id).with("meta.ties_type", kind).with("meta.ties_number", number).into())
}

/// Type and number of an id of the subset `Ties`.
fn ties_id(id: &str) -> Result<(String, u64), Reason> {
    let parts = id.split_once(':').filter(|(kind, _)| matches!(*kind, "ref" | "tied"));
    let parsed = parts.and_then(|(kind, number)| Some((kind.to_owned(), number.parse().ok()?)));
    let message = || format!("expected `ref:<number>` or `tied:<number>`, found `{id}`");
    parsed.ok_or_else(|| Reason::field(Code::LabelValue, "id", message()))
}

fn second(row: &mut Fields<'_>) -> Result<Draft, Reason> {
    let prompt = row.need("prompt", "a string or a list of messages")?;
    let (mut texts, mut ranks) = (Vec::new(), Vec::new());
    let mut draft = Draft::new(Kind::Ranked).with("prompt", prompt);
    for (side, rank, count) in [("chosen", 1, "num_correct"), ("rejected", 2, "num_incorrect")] {
        let before = texts.len();
        let said = row.need_list_of(side, |text, path, _| Ok(assistant(as_string(text, path)?)))?;
        for (i, text) in said.into_iter().enumerate() {
            draft = draft.named(&format!("completions[{}]", texts.len()), format!("{side}[{i}]"));
            texts.push(text);
            ranks.push(rank);
        }
        let found = (texts.len() - before) as u64;
        if row.count(count)?.is_some_and(|expected| expected != found) {
            return Err(Reason::field(
                Code::LenMismatch,
                side,
                format!("expected as many as `{count}`, found {found}"),
            ));
        }
    }
    let sources = row.get("models").and_then(Value::as_array).filter(|models| models.len() == texts.len()).cloned();
    let draft = if sources.is_some() { draft.take("sources", row, "models") } else { draft };
    Ok(draft.with("completions", texts).with("ranks", ranks))
}

impl Source for RewardBench {
    fn name(&self) -> &str {
        "reward_bench"
    }

    fn about(&self) -> &str {
        "RewardBench 1 and 2: right and wrong completions, in subsets"
    }

    fn sniff(&self, row: &Map<String, Value>) -> bool {
        has_all(row, &["prompt", "chosen", "rejected", "subset"])
            && (has_all(row, &["chosen_model"]) || has_all(row, &["num_correct"]))
    }

    fn reader(&self) -> Reader {
        let mut seen = HashSet::new();
        Reader::new(Rows::new(self.name(), move |row: &mut Fields<'_>, _: &Path| draft(row, &mut seen)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::sources::testing::{but, load, one, reason};

    fn first() -> Value {
        json!({"prompt": "q", "chosen": "yes", "chosen_model": "m", "rejected": "no", "rejected_model": "n",
            "subset": "alpacaeval-easy", "id": 7})
    }

    fn second() -> Value {
        json!({"id": "12", "prompt": "q", "chosen": ["yes"], "rejected": ["no", "never", "nay"], "num_correct": 1,
            "num_incorrect": 3, "total_completions": 4, "models": ["a", "b", "c", "d"], "subset": "Factuality"})
    }

    #[test]
    fn the_chosen_of_version_1_is_chosen() {
        let record = one(&RewardBench, first());
        assert_eq!((&record["chosen"][0]["content"], &record["chosen_source"]), (&json!("yes"), &json!("m")));
        assert_eq!((&record["rejected"][0]["content"], &record["rejected_source"]), (&json!("no"), &json!("n")));
        assert_eq!((&record["id"], &record["meta"]["subset"]), (&json!("7"), &json!("alpacaeval-easy")));
        let messages = json!([{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}, {"role": "user", "content": "r"}]);
        assert_eq!(
            one(&RewardBench, but(&first(), json!({"prompt": messages})))["prompt"].as_array().unwrap().len(),
            3
        );
    }

    #[test]
    fn the_right_ones_of_version_2_have_rank_1() {
        let record = one(&RewardBench, second());
        assert_eq!(record["ranks"], json!([1, 2, 2, 2]));
        let texts: Vec<_> = record["completions"].as_array().unwrap().iter().map(|text| &text[0]["content"]).collect();
        assert_eq!(texts, ["yes", "no", "never", "nay"]);
        assert_eq!(record["sources"][3], "d");
        let told = reason(&RewardBench, but(&second(), json!({"num_incorrect": 2})));
        assert_eq!(told, "E_LEN_MISMATCH: field `rejected`: expected as many as `num_incorrect`, found 3");
        let few = one(&RewardBench, but(&second(), json!({"models": ["a"]})));
        assert_eq!((few.get("sources"), &few["meta"]["models"]), (None, &json!(["a"])));
    }

    #[test]
    fn ids_of_ties_have_two_parts() {
        let ties = |id: &str| but(&second(), json!({"subset": "Ties", "id": id}));
        let meta = one(&RewardBench, ties("tied:3"))["meta"].clone();
        assert_eq!((&meta["ties_type"], &meta["ties_number"]), (&json!("tied"), &json!(3)));
        assert_eq!(one(&RewardBench, ties("ref:0"))["meta"]["ties_type"], "ref");
        for id in ["3", "other:3", "ref:x"] {
            assert!(reason(&RewardBench, ties(id)).starts_with("E_LABEL_VALUE: field `id`"), "{id}");
        }
    }

    #[test]
    fn an_id_that_stands_twice_is_a_reject_and_not_a_join() {
        let (records, report) = load(&RewardBench, &[second(), second(), but(&second(), json!({"id": "13"}))]);
        assert_eq!((records.len(), report.count(Code::DupId)), (2, 1));
    }
}
