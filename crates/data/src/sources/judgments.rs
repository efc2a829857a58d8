//! Judgments without texts: which of two named items a person preferred.
//!
//! **Origin:** `llmfao.csv` of LLMFAO (Ustalov, CC BY 4.0) and the small tables of its evaluation library
//! (`dustalov/evalica`, Apache-2.0).
//! **Format:** CSV with `left`, `right` and `winner`, which is `left`, `right` or `tie`; LLMFAO also has the prompt's
//! number, the models' numbers, and `worker`.
//! **Records:** comparisons with `a` = the **left** item. The files hold no texts: the prompt is its number (without one
//! `?`), and each response is named by its item, which is its source, too.

use std::path::Path;

use serde_json::{Map, Value};

use super::{
    Reader, Source,
    draft::{Draft, Drafts, Rows},
    has_all, has_none,
    numbered::Numbered,
};
use crate::{
    error::Result,
    read::{JsonLines, LoadOptions},
    record::{Fields, Kind, describe},
    report::{Code, LoadReport, Reason},
    row::Row,
};

/// LLMFAO.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Llmfao;

/// A table of `left`, `right`, `winner`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Judgments;

fn draft(row: &mut Fields<'_>) -> Result<Draft, Reason> {
    let (left, right) = (row.need_string("left")?, row.need_string("right")?);
    let outcome = match row.need_string("winner")?.as_str() {
        "left" => "a",
        "right" => "b",
        "tie" => "tie",
        other => {
            let message = format!("expected left, right or tie, found {}", describe(&other.into()));
            return Err(Reason::field(Code::LabelValue, "winner", message));
        }
    };
    let draft = Draft::new(Kind::Comparison).with("outcome", outcome).named("a", "left").named("b", "right");
    let draft = draft.with("a", left.clone()).with("a_source", left);
    Ok(draft.with("b", right.clone()).with("b_source", right))
}

/// Reads a matrix of codings without a header: a coder each row, a unit each column; none where a cell is empty.
///
/// # Errors
/// Those of [`crate::read::read_jsonl`]; rows of another length than the first are rejects.
///
/// # Example
/// ```
/// use accordant_data::{LoadOptions, sources::judgments::read_codings};
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("codings.csv");
/// std::fs::write(&path, "1,2,\n,2,3\n")?;
/// let (codings, _) = read_codings(&path, &LoadOptions::default())?;
/// assert_eq!(codings[1], [None, Some("2".to_owned()), Some("3".to_owned())]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn read_codings(path: impl AsRef<Path>, options: &LoadOptions) -> Result<(Vec<Vec<Option<String>>>, LoadReport)> {
    let mut width = None;
    let coder = move |row: Row<'_>| {
        let cells: Vec<_> =
            row.fields.into_rest().into_iter().map(|(_, cell)| cell.as_str().map(str::to_owned)).collect();
        let expected = *width.get_or_insert(cells.len());
        if cells.len() != expected {
            let message = format!("expected {expected} cells as in the first row, found {}", cells.len());
            return Err(Reason::new(Code::LenMismatch, message));
        }
        Ok(cells)
    };
    let source = Box::new(Numbered::open(path.as_ref(), options.encoding, 0)?);
    let mut rows = JsonLines::over(source, path.as_ref(), options, coder)?;
    let codings = rows.by_ref().collect::<Result<_>>()?;
    Ok((codings, rows.into_report()))
}

impl Source for Llmfao {
    fn name(&self) -> &str {
        "llmfao"
    }

    fn about(&self) -> &str {
        "LLMFAO: crowd comparisons of models' answers to 13 prompts"
    }

    fn sniff(&self, row: &Map<String, Value>) -> bool {
        has_all(row, &["left", "right", "winner", "worker", "prompt"])
    }

    fn reader(&self) -> Reader {
        Reader::new(Rows::new(self.name(), |row: &mut Fields<'_>, _: &Path| {
            // `id` is that of the two answers, which several people judged: a record's is the row's.
            let pair = row.take("id").unwrap_or_default();
            let draft = draft(row)?.need("prompt", row, "prompt")?.take("annotator.id", row, "worker");
            Ok(Drafts::from(draft.with("meta.pair", pair)))
        }))
    }
}

impl Source for Judgments {
    fn name(&self) -> &str {
        "judgments"
    }

    fn about(&self) -> &str {
        "A table of left, right and winner, as evalica reads"
    }

    fn sniff(&self, row: &Map<String, Value>) -> bool {
        has_all(row, &["left", "right", "winner"]) && has_none(row, &["worker"])
    }

    fn reader(&self) -> Reader {
        let one = |row: &mut Fields<'_>, _: &Path| Ok(Drafts::from(draft(row)?.with("prompt", "?")));
        Reader::new(Rows::new(self.name(), one))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::sources::testing::{one, reason};

    fn row(winner: &str) -> Value {
        json!({"id": "0", "prompt": "8", "model_x": "97", "model_y": "98", "worker": "58", "winner": winner, "left": "A (7B)",
            "right": "B"})
    }

    #[test]
    fn left_is_a_and_right_is_b() {
        let record = one(&Llmfao, row("left"));
        assert_eq!(
            (&record["outcome"], &record["a_source"], &record["b"]),
            (&json!("a"), &json!("A (7B)"), &json!("B"))
        );
        assert_eq!((&record["prompt"], &record["annotator"]["id"]), (&json!("8"), &json!("58")));
        assert_eq!((&record["id"], &record["meta"]["pair"]), (&json!("llmfao/rows:0"), &json!("0")));
        assert_eq!(one(&Llmfao, row("right"))["outcome"], "b");
        assert_eq!(one(&Llmfao, row("tie"))["outcome"], "tie");
        let told = reason(&Llmfao, row("both"));
        assert_eq!(told, "E_LABEL_VALUE: field `winner`: expected left, right or tie, found string \"both\"");
    }

    #[test]
    fn a_row_of_another_length_is_no_coder() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("codings.csv");
        std::fs::write(&path, "1,2\n1\n2,3\n").unwrap();
        let (codings, report) = read_codings(&path, &LoadOptions::default()).unwrap();
        assert_eq!((codings.len(), report.count(Code::LenMismatch), report.samples[0].line), (2, 1, 2));
    }

    #[test]
    fn a_table_without_prompts_has_the_same_sides() {
        let record = one(&Judgments, json!({"left": "0", "right": "2", "winner": "right"}));
        assert_eq!(
            (&record["outcome"], &record["b_source"], &record["prompt"]),
            (&json!("b"), &json!("2"), &json!("?"))
        );
    }
}
