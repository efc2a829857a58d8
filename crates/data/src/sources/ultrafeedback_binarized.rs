//! UltraFeedback, binarized: for each prompt the best of four completions and one of the others.
//!
//! **Paper:** Zephyr: Direct Distillation of LM Alignment (2023), 2310.16944; data card
//! `HuggingFaceH4/ultrafeedback_binarized`.
//! **Format:** `prompt` (a string), `chosen` and `rejected` (whole conversations that begin with the prompt),
//! `score_chosen`, `score_rejected`, `messages` (the same as `chosen`).
//! **Records:** pairs; the margin is the difference of the scores.
//! **Quirks:** rows whose two scores are equal, which somebody decided by lot; the default leaves them out. The splits
//! `*_gen` hold prompts for generation and are counted as odd when their preferences are read.

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
    report::{Reason, Warning},
};

/// UltraFeedback, binarized.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UltrafeedbackBinarized {
    /// Rows with equal scores are left out, under `equal_scores`. Default: yes.
    pub drop_equal_scores: bool,
}

impl Default for UltrafeedbackBinarized {
    fn default() -> Self {
        Self { drop_equal_scores: true }
    }
}

impl UltrafeedbackBinarized {
    fn draft(self, row: &mut Fields<'_>, file: &Path) -> Result<Drafts, Reason> {
        let (chosen, rejected) = (row.need_f64("score_chosen")?, row.need_f64("score_rejected")?);
        // Scores are short decimals as the file spells them: equal ones are the same number.
        if self.drop_equal_scores && chosen == rejected {
            return Ok(Drafts::Filtered("equal_scores"));
        }
        let (_, split) = names(file);
        if split.contains("_gen") {
            row.reading().warn(Warning::SplitGen);
        }
        if row.get("messages") == row.get("chosen") {
            row.take("messages");
        }
        let draft = Draft::new(Kind::Pair).take("prompt", row, "prompt");
        let draft = draft.need("chosen", row, "chosen")?.need("rejected", row, "rejected")?;
        let draft = draft.with("score_chosen", chosen).with("score_rejected", rejected);
        Ok(draft.with("margin", chosen - rejected).into())
    }
}

impl Source for UltrafeedbackBinarized {
    fn name(&self) -> &str {
        "ultrafeedback_binarized"
    }

    fn about(&self) -> &str {
        "UltraFeedback, binarized: the best of four completions and one of the others"
    }

    fn sniff(&self, row: &Map<String, Value>) -> bool {
        has_all(row, &["prompt_id", "chosen", "rejected", "score_chosen", "score_rejected"])
    }

    fn reader(&self) -> Reader {
        let options = *self;
        Reader::new(Rows::new(self.name(), move |row: &mut Fields<'_>, file: &Path| options.draft(row, file)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::sources::testing::{but, load, load_as, one, reason};

    fn row() -> Value {
        let says = |text: &str| json!([{"role": "user", "content": "q"}, {"role": "assistant", "content": text}]);
        json!({"prompt": "q", "prompt_id": "abc", "chosen": says("yes"), "rejected": says("no"),
            "messages": says("yes"), "score_chosen": 8.5, "score_rejected": 6.0})
    }

    #[test]
    fn the_prompt_is_taken_out_of_both_sides_and_the_margin_is_the_difference() {
        let record = one(&UltrafeedbackBinarized::default(), row());
        assert_eq!(record["prompt"], json!([{"role": "user", "content": "q"}]));
        assert_eq!(record["chosen"], json!([{"role": "assistant", "content": "yes"}]));
        assert_eq!((&record["margin"], &record["score_chosen"]), (&json!(2.5), &json!(8.5)));
        assert_eq!(record["meta"], json!({"prompt_id": "abc"}));
        let other = but(&row(), json!({"messages": [{"role": "user", "content": "q"}]}));
        assert!(one(&UltrafeedbackBinarized::default(), other)["meta"]["messages"].is_array());
    }

    #[test]
    fn equal_scores_are_left_out_unless_asked_for() {
        let rows = [row(), but(&row(), json!({"score_rejected": 8.5}))];
        let (records, report) = load(&UltrafeedbackBinarized::default(), &rows);
        assert_eq!((records.len(), report.filtered["equal_scores"]), (1, 1));
        let all = UltrafeedbackBinarized { drop_equal_scores: false };
        assert_eq!(load(&all, &rows).0[1]["margin"], 0.0);
    }

    #[test]
    fn a_split_for_generation_is_noted() {
        let noted = |file: &str| {
            let report = load_as(&UltrafeedbackBinarized::default(), file, &[row()]).1;
            report.warned(Warning::SplitGen)
        };
        assert_eq!(
            (noted("train_gen.jsonl"), noted("test_gen-00000-of-00001.jsonl"), noted("train_prefs.jsonl")),
            (1, 1, 0)
        );
    }

    #[test]
    fn identical_and_empty_sides_are_rejects() {
        let chosen = row()["chosen"].clone();
        let same = but(&row(), json!({"rejected": chosen}));
        assert!(reason(&UltrafeedbackBinarized::default(), same).starts_with("E_IDENTICAL"));
        let empty = json!([{"role": "user", "content": "q"}, {"role": "assistant", "content": ""}]);
        let told = reason(&UltrafeedbackBinarized::default(), but(&row(), json!({"rejected": empty})));
        assert_eq!(told, "E_EMPTY: field `rejected`: empty after trimming");
    }
}
