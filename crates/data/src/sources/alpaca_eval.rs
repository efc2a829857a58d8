//! AlpacaEval annotations: a judge's preference between a baseline's output and a model's.
//!
//! **Paper:** Length-Controlled AlpacaEval (2024), 2404.04475; tool `tatsu-lab/alpaca_eval`.
//! **Format:** a JSON array; `preference` from 1, the baseline's `output_1` wins, over 1.5, a tie, to 2, the model's
//! `output_2` wins; 0 is a tie of old files.
//! **Records:** comparisons with `a` = `output_2`, the **model**, and `p_a = preference - 1`. One sentence of the public
//! documentation has it the other way around; the data and the formula of the win rate say this.
//! **Quirks:** null and NaN are annotations that failed (`failed_annotation`); what lies outside is left out as the tool
//! does (`invalid_preference`). `raw_completion` refers to a shuffled order and is no label. Public files of 802 to 804
//! instead of 805 rows have lost their failed ones.

use std::path::Path;

use serde_json::{Map, Value};

use super::{
    Reader, Source,
    draft::{Draft, Drafts, Rows},
    has_all,
};
use crate::{
    record::{Fields, Kind},
    report::Reason,
};

/// AlpacaEval annotations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AlpacaEval;

fn draft(row: &mut Fields<'_>) -> Result<Drafts, Reason> {
    let p_model = match row.f64("preference")? {
        None => return Ok(Drafts::Filtered("failed_annotation")),
        Some(0.0) => 0.5,
        Some(preference) if (1.0..=2.0).contains(&preference) => preference - 1.0,
        Some(_) => return Ok(Drafts::Filtered("invalid_preference")),
    };
    let draft = Draft::new(Kind::Comparison).says("prompt", "user", row, "instruction")?;
    let draft = draft.says("a", "assistant", row, "output_2")?.says("b", "assistant", row, "output_1")?;
    let draft = draft.take("a_source", row, "generator_2").take("b_source", row, "generator_1").with("p_a", p_model);
    let draft = if row.has("annotator") { draft.with("annotator.is_model", true) } else { draft };
    let draft = draft.take("annotator.id", row, "annotator").take("split", row, "datasplit");
    Ok(draft.take("group", row, "dataset").into())
}

impl Source for AlpacaEval {
    fn name(&self) -> &str {
        "alpaca_eval"
    }

    fn about(&self) -> &str {
        "AlpacaEval annotations: a judge's preference between a baseline and a model"
    }

    fn sniff(&self, row: &Map<String, Value>) -> bool {
        has_all(row, &["instruction", "output_1", "output_2", "preference"])
    }

    fn reader(&self) -> Reader {
        Reader::new(Rows::new(self.name(), |row: &mut Fields<'_>, _: &Path| draft(row)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::sources::testing::{but, load, one, reason};

    fn row(preference: Value) -> Value {
        json!({"instruction": "q", "output_1": "base", "generator_1": "gpt4", "dataset": "koala", "output_2": "model",
            "generator_2": "mine", "annotator": "judge", "preference": preference, "raw_completion": "m"})
    }

    #[test]
    fn preference_2_is_for_the_model_and_1_for_the_baseline() {
        let record = one(&AlpacaEval, row(json!(2)));
        assert_eq!(
            (&record["p_a"], &record["a"][0]["content"], &record["a_source"]),
            (&json!(1.0), &json!("model"), &json!("mine"))
        );
        let record = one(&AlpacaEval, row(json!(1)));
        assert_eq!(
            (&record["p_a"], &record["b"][0]["content"], &record["b_source"]),
            (&json!(0.0), &json!("base"), &json!("gpt4"))
        );
        assert_eq!(one(&AlpacaEval, row(json!(1.25)))["p_a"], 0.25);
        assert_eq!(one(&AlpacaEval, row(json!(1.5)))["p_a"], 0.5);
        assert_eq!(one(&AlpacaEval, row(json!(0)))["p_a"], 0.5);
        assert_eq!(record["annotator"], json!({"id": "judge", "is_model": true}));
        assert_eq!((&record["group"], &record["meta"]), (&json!("koala"), &json!({"raw_completion": "m"})));
    }

    #[test]
    fn failed_and_invalid_annotations_are_counted() {
        let missing = but(&row(json!(1)), json!({"preference": null}));
        let rows = [row(json!(2)), row(Value::Null), missing, row(json!(2.1)), row(json!(0.9)), row(json!(-1))];
        let (records, report) = load(&AlpacaEval, &rows);
        assert_eq!(records.len(), 1);
        assert_eq!((report.filtered["failed_annotation"], report.filtered["invalid_preference"]), (2, 3));
        assert!(reason(&AlpacaEval, row(json!("2"))).starts_with("E_TYPE: field `preference`"));
    }
}
