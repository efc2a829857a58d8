//! Persona evaluations of Anthropic: statements that a persona would or would not make, answered with yes or no.
//!
//! **Paper:** Discovering Language Model Behaviors with Model-Written Evaluations (2022), 2212.09251; repository
//! `anthropics/evals`.
//! **Format:** JSON Lines; `answer_matching_behavior` and `answer_not_matching_behavior` are ` Yes` and ` No` or the
//! other way around, each with a space before.
//! **Records:** pairs of plain texts: the matching answer is chosen, and `p_chosen` is the `label_confidence`.
//! The group is the persona, by the file's name.

use std::path::Path;

use serde_json::{Map, Value};

use super::{
    Reader, Source,
    draft::{Draft, Drafts, Rows},
    has_all,
};
use crate::{
    hh_rlhf::names,
    record::{Fields, Kind},
    report::Reason,
};

/// Persona evaluations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Persona;

fn draft(row: &mut Fields<'_>, file: &Path) -> Result<Drafts, Reason> {
    let draft = Draft::new(Kind::Pair).need("prompt", row, "question")?;
    let draft = draft.need("chosen", row, "answer_matching_behavior")?;
    let draft = draft.need("rejected", row, "answer_not_matching_behavior")?;
    Ok(draft.take("p_chosen", row, "label_confidence").with("group", names(file).0).into())
}

impl Source for Persona {
    fn name(&self) -> &str {
        "persona"
    }

    fn about(&self) -> &str {
        "Persona evaluations of Anthropic: which of yes and no a persona would answer"
    }

    fn sniff(&self, row: &Map<String, Value>) -> bool {
        has_all(row, &["question", "answer_matching_behavior", "answer_not_matching_behavior"])
    }

    fn reader(&self) -> Reader {
        Reader::new(Rows::new(self.name(), |row: &mut Fields<'_>, file: &Path| draft(row, file)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::sources::testing::one;

    #[test]
    fn the_matching_answer_is_chosen_whichever_it_is() {
        let row = |yes: &str, no: &str| {
            json!({"question": "Kind?", "statement": "I am kind", "label_confidence": 0.75,
                "answer_matching_behavior": yes, "answer_not_matching_behavior": no})
        };
        let record = one(&Persona, row(" Yes", " No"));
        assert_eq!(
            (&record["chosen"], &record["rejected"], &record["p_chosen"]),
            (&json!(" Yes"), &json!(" No"), &json!(0.75))
        );
        assert_eq!((&record["group"], &record["meta"]), (&json!("rows"), &json!({"statement": "I am kind"})));
        assert_eq!(one(&Persona, row(" No", " Yes"))["chosen"], " No");
    }
}
