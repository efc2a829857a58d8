//! compar:IA: battles of two models in French, run by the French ministry of culture.
//!
//! **Origin:** data card `ministere-culture/comparia-votes`; comparia.beta.gouv.fr.
//! **Format:** `conversation_a`, `conversation_b`, `model_a_name`, `model_b_name`, `chosen_model_name`, which is one of
//! the two names or null, and `both_equal`.
//! **Records:** comparisons with `a` = `model_a_name`; a row without a choice is a tie if `both_equal`, else it is left
//! out (`no_choice`).
//! **Quirks:** a model may meet itself; then the name does not say who won, and the row is left out (`same_model`).

use std::path::Path;

use serde_json::{Map, Value};

use super::{
    Reader, Source,
    arena::turns_of,
    draft::{Drafts, Rows},
    has_all,
};
use crate::{
    record::{Fields, describe},
    report::{Code, Reason},
};

/// compar:IA.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ComparIa;

fn drafts(row: &mut Fields<'_>) -> Result<Drafts, Reason> {
    let (a, b) = (row.need_string("model_a_name")?, row.need_string("model_b_name")?);
    let (chosen, equal) = (row.string("chosen_model_name")?, row.bool("both_equal")?.unwrap_or(false));
    let outcome = match chosen.filter(|chosen| !chosen.is_empty()) {
        Some(_) if a == b => return Ok(Drafts::Filtered("same_model")),
        Some(chosen) if chosen == a => "a",
        Some(chosen) if chosen == b => "b",
        Some(other) => {
            let message = format!("expected `{a}` or `{b}`, found {}", describe(&other.into()));
            return Err(Reason::field(Code::LabelValue, "chosen_model_name", message));
        }
        None if equal => "tie",
        None => return Ok(Drafts::Filtered("no_choice")),
    };
    let draft = turns_of(row, None)?.with("outcome", outcome).with("a_source", a).with("b_source", b);
    let draft = draft.take("id", row, "id").take("annotator.id", row, "visitor_id");
    Ok(draft.with("language", "fr").into())
}

impl Source for ComparIa {
    fn name(&self) -> &str {
        "compar_ia"
    }

    fn about(&self) -> &str {
        "compar:IA: battles of two models in French"
    }

    fn sniff(&self, row: &Map<String, Value>) -> bool {
        has_all(row, &["model_a_name", "model_b_name", "chosen_model_name", "conversation_a"])
    }

    fn reader(&self) -> Reader {
        Reader::new(Rows::new(self.name(), |row: &mut Fields<'_>, _: &Path| drafts(row)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::sources::testing::{but, load, one, reason};

    fn row(chosen: Value, equal: bool) -> Value {
        let says = |text: &str| json!([{"role": "user", "content": "q"}, {"role": "assistant", "content": text}]);
        json!({"id": 1, "model_a_name": "m", "model_b_name": "n", "chosen_model_name": chosen, "both_equal": equal,
            "conversation_a": says("oui"), "conversation_b": says("non"), "visitor_id": "v"})
    }

    #[test]
    fn the_chosen_name_wins_and_none_is_a_tie_or_no_choice() {
        let record = one(&ComparIa, row(json!("m"), false));
        assert_eq!(
            (&record["outcome"], &record["a_source"], &record["a"][0]["content"]),
            (&json!("a"), &json!("m"), &json!("oui"))
        );
        assert_eq!((&record["annotator"]["id"], &record["language"]), (&json!("v"), &json!("fr")));
        assert_eq!(one(&ComparIa, row(json!("n"), false))["outcome"], "b");
        assert_eq!(one(&ComparIa, row(Value::Null, true))["outcome"], "tie");
        let itself = but(&row(json!("m"), false), json!({"model_b_name": "m"}));
        let report = load(&ComparIa, &[row(json!("m"), false), row(Value::Null, false), itself]).1;
        assert_eq!((report.filtered["no_choice"], report.filtered["same_model"]), (1, 1));
        assert!(reason(&ComparIa, row(json!("x"), false)).starts_with("E_LABEL_VALUE: field `chosen_model_name`"));
    }
}
