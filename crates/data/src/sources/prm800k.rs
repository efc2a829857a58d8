//! PRM800K: solutions of problems step by step, each step labeled by people.
//!
//! **Paper:** Let's Verify Step by Step (2023), 2305.20050; repository `openai/prm800k`.
//! **Format:** JSON Lines; of each step of `label.steps` several completions with a rating of 1, 0, -1 or null, the one
//! that was chosen to go on from, or a person's own.
//! **Records:** stepwise, as TRL expands the set: each completion that was not chosen ends a record after the steps
//! accepted so far; the chosen one, or the person's, which counts as right, goes on; all accepted steps are the last
//! record. A step without either ends the walk.
//! **Quirks:** what the rating 0 means is a rule, [`crate::Rules::neutral_as`]; null is a step without a label, where TRL
//! has a wrong one.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::{
    Reader, Source,
    draft::{Draft, Drafts, Rows},
    has_all,
};
use crate::{
    record::{Fields, Kind, as_i64, as_list, as_string, describe},
    report::{Code, Reason},
};

/// PRM800K.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Prm800k;

/// Steps and their labels.
type Steps = Vec<(String, Value)>;

fn drafts(row: &mut Fields<'_>) -> Result<Drafts, Reason> {
    let question = row.need("question", "an object")?;
    let mut question = Fields::of(question, "question", row.reading())?;
    let problem = question.need_string("problem")?;
    let answer = question.string("ground_truth_answer")?;
    let question = question.into_rest();
    let label = row.need("label", "an object")?;
    let mut label = Fields::of(label, "label", row.reading())?;
    let steps = as_list(label.need("steps", "a list of objects")?, "label.steps")?;
    let label = label.into_rest();
    let (mut accepted, mut walks): (Steps, Vec<Steps>) = (Vec::new(), Vec::new());
    for (i, step) in steps.into_iter().enumerate() {
        let step = Fields::of(step, format!("label.steps[{i}]"), row.reading())?;
        if !walk(step, &mut accepted, &mut walks)? {
            break;
        }
    }
    if !accepted.is_empty() {
        walks.push(accepted);
    }
    if walks.is_empty() {
        return Err(Reason::field(Code::EmptyList, "label.steps", "no step was completed"));
    }
    if !question.is_empty() {
        row.insert("question", question);
    }
    if !label.is_empty() {
        row.insert("label", label);
    }
    let draft = |steps: Steps| {
        let (texts, labels): (Vec<_>, Vec<_>) = steps.into_iter().unzip();
        let draft = Draft::new(Kind::Stepwise).with("prompt", problem.clone()).with("answer", answer.clone());
        draft.with("completions", texts).with("labels", labels).with("step_separator", "\n")
    };
    Ok(Drafts::Many(walks.into_iter().map(draft).collect()))
}

/// Takes one step; whether the walk goes on.
fn walk(mut step: Fields<'_>, accepted: &mut Steps, walks: &mut Vec<Steps>) -> Result<bool, Reason> {
    let neutral = step.rules().neutral_as;
    let chosen = step.count("chosen_completion")?;
    let path = step.path("chosen_completion");
    let completions = step.list_of("completions", |completion, path, reading| {
        let mut completion = Fields::of(completion, path, reading)?;
        let text = completion.need_string("text")?;
        let rating = completion.take("rating");
        Ok((text, rating.map_or(Ok(Value::Null), |rating| right(&rating, neutral, &completion.path("rating")))?))
    })?;
    let mut completions = completions.unwrap_or_default();
    let index = chosen.and_then(|chosen| usize::try_from(chosen).ok());
    if let Some(chosen) = chosen.filter(|_| index.is_none_or(|index| index >= completions.len())) {
        let message = format!("expected the number of one of {} completions, found {chosen}", completions.len());
        return Err(Reason::field(Code::Range, path, message));
    }
    let next = index.map(|index| completions.remove(index));
    for other in completions {
        walks.push(accepted.iter().cloned().chain([other]).collect());
    }
    let next = match (next, step.take("human_completion")) {
        (Some(next), _) => Some(next),
        (None, None) => None,
        (None, Some(Value::String(text))) => Some((text, json!(true))),
        (None, Some(human)) => {
            let text = human.get("text").cloned().unwrap_or_default();
            Some((as_string(text, &step.path("human_completion.text"))?, json!(true)))
        }
    };
    let goes_on = next.is_some();
    accepted.extend(next);
    Ok(goes_on)
}

/// Whether a step of this rating is right; none where it has no label.
fn right(rating: &Value, neutral: Option<bool>, path: &str) -> Result<Value, Reason> {
    match as_i64(rating, path)? {
        1 => Ok(json!(true)),
        0 => Ok(json!(neutral)),
        -1 => Ok(json!(false)),
        _ => Err(Reason::field(Code::LabelValue, path, format!("expected 1, 0 or -1, found {}", describe(rating)))),
    }
}

impl Source for Prm800k {
    fn name(&self) -> &str {
        "prm800k"
    }

    fn about(&self) -> &str {
        "PRM800K: solutions step by step, each step labeled by people"
    }

    fn sniff(&self, row: &Map<String, Value>) -> bool {
        let inner = |name: &str, field: &str| row.get(name).is_some_and(|inner| inner.get(field).is_some());
        has_all(row, &["question", "label"]) && inner("question", "problem") && inner("label", "steps")
    }

    fn reader(&self) -> Reader {
        Reader::new(Rows::new(self.name(), |row: &mut Fields<'_>, _: &Path| drafts(row)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::testing::{load, reason};

    fn step(completions: Value, chosen: Value, human: Value) -> Value {
        json!({"completions": completions, "chosen_completion": chosen, "human_completion": human})
    }

    fn said(text: &str, rating: Value) -> Value {
        json!({"text": text, "rating": rating, "flagged": false})
    }

    fn row(steps: &[Value]) -> Value {
        json!({"labeler": "l", "question": {"problem": "2+2?", "ground_truth_answer": "4"},
            "label": {"steps": steps, "finish_reason": "solution"}})
    }

    #[test]
    fn every_completion_that_was_not_chosen_ends_a_record() {
        let steps = [
            step(json!([said("a", json!(1)), said("b", json!(-1))]), json!(0), Value::Null),
            step(json!([said("c", json!(0)), said("d", Value::Null)]), Value::Null, json!({"text": "h"})),
            step(json!([said("e", json!(-1))]), Value::Null, Value::Null),
            step(json!([said("never", json!(1))]), json!(0), Value::Null),
        ];
        let (records, report) = load(&Prm800k, &[row(&steps)]);
        let told: Vec<_> =
            records.iter().map(|record| (record["completions"].clone(), record["labels"].clone())).collect();
        let expected = [
            (json!(["b"]), json!([false])),
            (json!(["a", "c"]), json!([true, false])),
            (json!(["a", "d"]), json!([true, null])),
            (json!(["a", "h", "e"]), json!([true, true, false])),
            (json!(["a", "h"]), json!([true, true])),
        ];
        assert_eq!(told, expected);
        assert_eq!((report.used, report.records), (1, 5));
        assert_eq!((&records[1]["answer"], &records[1]["step_separator"]), (&json!("4"), &json!("\n")));
        assert_eq!(records[0]["meta"], json!({"labeler": "l", "label": {"finish_reason": "solution"}}));
        assert_eq!(records[4]["id"], "prm800k/rows:0.4");
    }

    #[test]
    fn a_step_without_completions_ends_the_walk() {
        let steps =
            [step(json!([said("a", json!(1))]), json!(0), Value::Null), step(Value::Null, Value::Null, Value::Null)];
        let (records, _) = load(&Prm800k, &[row(&steps)]);
        assert_eq!((records.len(), &records[0]["completions"]), (1, &json!(["a"])));
        assert!(reason(&Prm800k, row(&[])).starts_with("E_EMPTY_LIST: field `label.steps`"));
    }

    #[test]
    fn ratings_and_choices_that_are_none_are_named() {
        let odd = reason(&Prm800k, row(&[step(json!([said("a", json!(2))]), Value::Null, Value::Null)]));
        assert_eq!(
            odd,
            "E_LABEL_VALUE: field `label.steps[0].completions[0].rating`: expected 1, 0 or -1, found number 2"
        );
        let odd = reason(&Prm800k, row(&[step(json!([said("a", json!(1))]), json!(1), Value::Null)]));
        assert_eq!(
            odd,
            "E_RANGE: field `label.steps[0].chosen_completion`: expected the number of one of 1 completions, found 1"
        );
    }

    #[test]
    fn a_neutral_step_is_what_the_rules_say() {
        assert_eq!(right(&json!(0), Some(true), "r").unwrap(), json!(true));
        assert_eq!(right(&json!(0), None, "r").unwrap(), Value::Null);
        assert_eq!(right(&json!(-1), Some(true), "r").unwrap(), json!(false));
    }
}
