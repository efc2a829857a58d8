//! MT-bench: what people and models said of answers to questions of two turns.
//!
//! **Paper:** Judging LLM-as-a-Judge with MT-Bench and Chatbot Arena (2023), 2306.05685; data card
//! `lmsys/mt_bench_human_judgments`, files of FastChat's `llm_judge`.
//! **Records:** human judgments are comparisons with `a` = `model_a`. On turn 1 both conversations end with the first
//! answer; on turn 2 the answers are conversations, since the first answers differ, and `criteria` is `turn2`. Of a
//! model's judgments, a pair is a comparison with a judge who saw both orders, a single grade is rated.
//! **Quirks:** the files of a model's judgments hold no answers: the prompt is the number of the question, and each
//! answer is named by its model. In the first game `model_1` is shown first, in the second `model_2`. Where a game is in
//! `error` the row is left out (`judge_error`); equal winners of both games win, all else is a tie. A grade of -1 could
//! not be read and is no rating.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::{
    Reader, Source,
    arena::{turns_of, winner},
    draft::{Draft, Drafts, Rows},
    has_all, has_none,
};
use crate::{
    record::{Fields, Kind, describe},
    report::{Code, Reason},
};

/// Two scores that differ by less are a tie, in FastChat's `common.py`.
pub const TIE_DELTA: f64 = 0.1;

/// MT-bench.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MtBench;

/// The grade in a judgment: the number in double brackets or, without those, in single ones.
///
/// # Example
/// ```
/// use accordant_data::sources::mt_bench::grade;
/// assert_eq!(grade("Good [1]. Rating: [[7.5]]"), Some(7.5));
/// assert_eq!(grade("Rating: [8]"), Some(8.0));
/// assert_eq!(grade("Rating: 8"), None);
/// ```
pub fn grade(judgment: &str) -> Option<f64> {
    let between = |open: &str, close: &str| {
        let starts = judgment.match_indices(open).map(|(at, _)| &judgment[at + open.len()..]);
        let mut numbers = starts.filter_map(|rest| rest.split_once(close)?.0.parse::<f64>().ok());
        numbers.find(|number| number.is_finite())
    };
    between("[[", "]]").or_else(|| between("[", "]"))
}

/// Who wins by two scores: `a`, `b`, or `tie` where they differ by less than [`TIE_DELTA`].
///
/// # Example
/// ```
/// use accordant_data::{record::comparison::Outcome, sources::mt_bench::by_scores};
/// assert_eq!(by_scores(7.05, 7.0), Outcome::Tie);
/// assert_eq!(by_scores(7.5, 7.0), Outcome::A);
/// assert_eq!(by_scores(7.0, 7.5), Outcome::B);
/// ```
pub fn by_scores(a: f64, b: f64) -> crate::record::comparison::Outcome {
    use crate::record::comparison::Outcome;
    match a - b {
        difference if difference.abs() < TIE_DELTA => Outcome::Tie,
        difference if difference > 0.0 => Outcome::A,
        _ => Outcome::B,
    }
}

fn drafts(row: &mut Fields<'_>) -> Result<Drafts, Reason> {
    match (row.has("conversation_a"), row.has("g1_winner")) {
        (true, _) => human(row).map(Drafts::One),
        (false, true) => pair(row),
        (false, false) => single(row).map(Drafts::One),
    }
}

fn human(row: &mut Fields<'_>) -> Result<Draft, Reason> {
    let turn = row.count("turn")?;
    let outcome = winner(row)?;
    let draft = turns_of(row, turn)?.with("outcome", outcome);
    let draft = draft.take("a_source", row, "model_a").take("b_source", row, "model_b");
    Ok(with_judge(draft, row))
}

/// The annotator: a person such as `expert_12`, or a model and its prompt as a list.
fn with_judge(draft: Draft, row: &mut Fields<'_>) -> Draft {
    match row.take("judge") {
        Some(Value::Array(parts)) => {
            let draft = draft.with("annotator.id", parts.first().cloned().unwrap_or_default());
            let prompt = parts.get(1).cloned().unwrap_or_default();
            draft.with("annotator.is_model", true).with("annotator.attributes.prompt", prompt)
        }
        Some(Value::String(id)) => {
            let kind = id.split('_').next().filter(|kind| matches!(*kind, "expert" | "author")).map(str::to_owned);
            let is_model = kind.is_none();
            draft.with("annotator.group", kind).with("annotator.id", id).with("annotator.is_model", is_model)
        }
        other => draft.with("annotator.id", other.unwrap_or_default()).named("annotator.id", "judge"),
    }
}

/// The number of the question, as a text.
fn question(row: &mut Fields<'_>) -> Result<String, Reason> {
    let id = row.need("question_id", "a whole number")?;
    match id {
        Value::String(id) => Ok(id),
        Value::Number(id) => Ok(id.to_string()),
        other => Err(crate::record::wrong_type("question_id", "a whole number", &other)),
    }
}

fn pair(row: &mut Fields<'_>) -> Result<Drafts, Reason> {
    let (first, second) = (game(row, "g1_winner", "model_1")?, game(row, "g2_winner", "model_2")?);
    if first == "error" || second == "error" {
        return Ok(Drafts::Filtered("judge_error"));
    }
    let (model_1, model_2) = (row.need_string("model_1")?, row.need_string("model_2")?);
    let judge = row.take("judge").unwrap_or_default();
    let of_judge = |i: usize| match &judge {
        Value::Array(parts) => parts.get(i).cloned().unwrap_or_default(),
        other if i == 0 => other.clone(),
        _ => Value::Null,
    };
    let draft = Draft::new(Kind::Comparison)
        .with("prompt", question(row)?)
        .with("a", model_1.clone())
        .with("b", model_2.clone())
        .with("a_source", model_1)
        .with("b_source", model_2)
        .with("judge.model", of_judge(0))
        .with("judge.prompt_id", of_judge(1))
        .with("judge.order", "both")
        .with("judge.first.outcome", first)
        .with("judge.second.outcome", second)
        .take("judge.first.text", row, "g1_judgment")
        .take("judge.second.text", row, "g2_judgment")
        .take("timestamp", row, "tstamp")
        .take("turn", row, "turn");
    Ok(draft.named("a", "model_1").named("b", "model_2").into())
}

/// Who won a game, by the place in which the answers were shown; `shown_first` is the model of the first place.
fn game(row: &mut Fields<'_>, name: &str, shown_first: &str) -> Result<&'static str, Reason> {
    match row.need_string(name)?.as_str() {
        model @ ("model_1" | "model_2") => Ok(if model == shown_first { "first" } else { "second" }),
        "tie" => Ok("tie"),
        "error" => Ok("error"),
        other => {
            let message = format!("expected model_1, model_2, tie or error, found {}", describe(&other.into()));
            Err(Reason::field(Code::LabelValue, name, message))
        }
    }
}

fn single(row: &mut Fields<'_>) -> Result<Draft, Reason> {
    let model = row.need_string("model")?;
    let read = row.get("judgment").and_then(Value::as_str).and_then(grade);
    let score = row.f64("score")?.or(read).filter(|&score| score != -1.0);
    let draft = Draft::new(Kind::Rated).with("prompt", question(row)?).with("completions", json!([model]));
    let draft = draft.with("sources", json!([model])).with("ratings", json!([{"score": score}]));
    let draft = draft.with("scale.score", json!({"min": 1, "max": 10, "direction": "higher"})).with("overall", "score");
    Ok(with_judge(draft.named("ratings[0].score", "score").named("completions[0]", "model"), row))
}

impl Source for MtBench {
    fn name(&self) -> &str {
        "mt_bench"
    }

    fn about(&self) -> &str {
        "MT-bench: what people and models said of answers to questions of two turns"
    }

    fn sniff(&self, row: &Map<String, Value>) -> bool {
        let human = has_all(row, &["question_id", "conversation_a", "conversation_b", "winner", "judge"]);
        human && has_none(row, &["tstamp", "language", "anony"])
            || has_all(row, &["question_id", "g1_winner", "g2_winner"])
            || has_all(row, &["question_id", "judgment", "score", "user_prompt"])
    }

    fn reader(&self) -> Reader {
        Reader::new(Rows::new(self.name(), |row: &mut Fields<'_>, _: &Path| drafts(row)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::testing::{but, load, one, reason};

    fn talk(first: &str, second: &str) -> Value {
        json!([{"role": "user", "content": "q"}, {"role": "assistant", "content": first},
            {"role": "user", "content": "r"}, {"role": "assistant", "content": second}])
    }

    fn row(winner: &str, turn: u64) -> Value {
        json!({"question_id": 81, "model_a": "m", "model_b": "n", "winner": winner, "judge": "expert_12", "turn": turn,
            "conversation_a": talk("a1", "a2"), "conversation_b": talk("b1", "b2")})
    }

    #[test]
    fn the_winner_is_by_the_side() {
        let record = one(&MtBench, row("model_a", 1));
        assert_eq!((&record["outcome"], &record["a_source"]), (&json!("a"), &json!("m")));
        assert_eq!(one(&MtBench, row("model_b", 1))["outcome"], "b");
        assert_eq!(one(&MtBench, row("tie", 1))["outcome"], "tie");
        assert!(reason(&MtBench, row("m", 1)).starts_with("E_LABEL_VALUE: field `winner`"));
    }

    #[test]
    fn turn_1_is_cut_after_the_first_answer_and_turn_2_is_not() {
        let record = one(&MtBench, row("tie", 1));
        assert_eq!((&record["a"], &record["turn"]), (&json!([{"role": "assistant", "content": "a1"}]), &json!(1)));
        assert_eq!((&record["prompt"], record.get("criteria")), (&json!([{"role": "user", "content": "q"}]), None));
        let record = one(&MtBench, row("tie", 2));
        assert_eq!((record["b"].as_array().unwrap().len(), &record["criteria"]), (3, &json!(["turn2"])));
        assert_eq!(record["prompt"].as_array().unwrap().len(), 1);
    }

    #[test]
    fn people_have_groups_and_models_are_models() {
        let annotator = |judge: Value| one(&MtBench, but(&row("tie", 1), json!({"judge": judge})))["annotator"].clone();
        assert_eq!(annotator(json!("expert_12")), json!({"id": "expert_12", "group": "expert", "is_model": false}));
        assert_eq!(annotator(json!("gpt4_pair")), json!({"id": "gpt4_pair", "is_model": true}));
        let listed = json!({"id": "gpt-4", "attributes": {"prompt": "pair-v2"}, "is_model": true});
        assert_eq!(annotator(json!(["gpt-4", "pair-v2"])), listed);
    }

    fn games(first: &str, second: &str) -> Value {
        json!({"question_id": 81, "model_1": "m", "model_2": "n", "g1_winner": first, "g2_winner": second,
            "judge": ["gpt-4", "pair-v2"], "g1_user_prompt": "u", "g1_judgment": "j1", "g2_user_prompt": "v",
            "g2_judgment": "j2", "turn": 1, "tstamp": 5.5})
    }

    #[test]
    fn the_second_game_is_shown_the_other_way_around() {
        let (records, report) = load(
            &MtBench,
            &[
                games("model_1", "model_1"),
                games("model_2", "model_2"),
                games("model_1", "tie"),
                games("error", "model_1"),
                games("model_1", "error"),
            ],
        );
        let judged = |i: usize| (&records[i]["judge"]["first"]["outcome"], &records[i]["judge"]["second"]["outcome"]);
        assert_eq!(judged(0), (&json!("first"), &json!("second")));
        assert_eq!(judged(1), (&json!("second"), &json!("first")));
        assert_eq!(judged(2), (&json!("first"), &json!("tie")));
        assert_eq!((records.len(), report.filtered["judge_error"]), (3, 2));
        let outcome = |i: usize| {
            let comparison: crate::Comparison = serde_json::from_value(records[i].clone()).unwrap();
            comparison.judge.unwrap().outcome().unwrap().as_str()
        };
        assert_eq!([outcome(0), outcome(1), outcome(2)], ["a", "b", "tie"]);
        assert_eq!(
            (&records[0]["prompt"], &records[0]["a"], &records[0]["timestamp"]),
            (&json!("81"), &json!("m"), &json!(5.5))
        );
        assert_eq!(records[0]["judge"]["second"]["text"], "j2");
        assert!(reason(&MtBench, games("m", "tie")).starts_with("E_LABEL_VALUE: field `g1_winner`"));
    }

    #[test]
    fn a_grade_of_minus_1_is_no_rating() {
        let row = |score: Value| {
            json!({"question_id": 81, "model": "m", "judge": ["gpt-4", "single-v1"], "user_prompt": "u",
                "judgment": "Rating: [[6]]", "score": score, "turn": 1, "tstamp": 5.5})
        };
        let rating = |score: Value| one(&MtBench, row(score))["ratings"][0]["score"].clone();
        assert_eq!((rating(json!(9)), rating(json!(-1)), rating(Value::Null)), (json!(9.0), Value::Null, json!(6.0)));
        assert!(reason(&MtBench, row(json!(11))).starts_with("E_RANGE: field `score`"));
    }
}
