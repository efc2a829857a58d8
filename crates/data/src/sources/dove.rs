//! DOVE: joint preferences between two instructions with their responses.
//!
//! **Paper:** Comparing Bad Apples to Good Oranges: Aligning Large Language Models via Joint Preference Optimization
//! (2024), 2404.00530; repository `Hritikbansal/dove`.
//! **Format:** JSON Lines; `i_chosen`, `r_chosen` are instruction and response of the better side, `i_reject`,
//! `r_reject` of the worse.
//! **Records:** pairs with `prompt_rejected` where the two instructions differ, ordinary pairs where they are the same.

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

/// DOVE.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Dove;

fn draft(row: &mut Fields<'_>) -> Result<Drafts, Reason> {
    let joint = row.get("i_chosen") != row.get("i_reject");
    let draft = Draft::new(Kind::Pair).says("prompt", "user", row, "i_chosen")?;
    let draft = draft.says("chosen", "assistant", row, "r_chosen")?.says("rejected", "assistant", row, "r_reject")?;
    if joint {
        return Ok(draft.says("prompt_rejected", "user", row, "i_reject")?.into());
    }
    row.take("i_reject");
    Ok(draft.into())
}

impl Source for Dove {
    fn name(&self) -> &str {
        "dove"
    }

    fn about(&self) -> &str {
        "DOVE: joint preferences between two instructions with their responses"
    }

    fn sniff(&self, row: &Map<String, Value>) -> bool {
        has_all(row, &["i_chosen", "r_chosen", "i_reject", "r_reject"])
    }

    fn reader(&self) -> Reader {
        Reader::new(Rows::new(self.name(), |row: &mut Fields<'_>, _: &Path| draft(row)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::sources::testing::{one, reason};

    #[test]
    fn two_instructions_make_a_joint_pair_and_one_an_ordinary_pair() {
        let row = |other: &str| json!({"i_chosen": "p", "r_chosen": "yes", "i_reject": other, "r_reject": "no"});
        let record = one(&Dove, row("q"));
        assert_eq!(
            (&record["prompt"][0]["content"], &record["prompt_rejected"][0]["content"]),
            (&json!("p"), &json!("q"))
        );
        assert_eq!((&record["chosen"][0]["content"], &record["rejected"][0]["content"]), (&json!("yes"), &json!("no")));
        let record = one(&Dove, row("p"));
        assert_eq!((record.get("prompt_rejected"), record.get("meta")), (None, None));
        let told = reason(&Dove, json!({"i_chosen": "p", "r_chosen": "", "i_reject": "q", "r_reject": "no"}));
        assert_eq!(told, "E_EMPTY: field `r_chosen`: empty after trimming");
    }
}
