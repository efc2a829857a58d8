//! SHP and SHP-2: comments on one post, of which readers gave one more votes.
//!
//! **Paper:** Understanding Dataset Difficulty with V-Usable Information (2022), 2110.08420; data card
//! `stanfordnlp/SHP`.
//! **Format:** JSON Lines; `history` is the post, `human_ref_A` and `human_ref_B` are the comments, `labels` 1 means that
//! **A** is preferred and 0 that B is.
//! **Records:** comparisons with `a` = A; `meta.margin` is the logarithm of `score_ratio`.
//! **Quirks:** HTML entities in all texts; a post with many comments makes very many comparisons. The card advises to
//! keep a score ratio of at least 2 and at most 5 comparisons of a post ([`Shp::advised`]).

use std::path::Path;

use serde_json::{Map, Value};

use super::{
    Counts, Reader, Source,
    draft::{Draft, Drafts, Rows, assistant, user},
    has_all,
};
use crate::{
    record::{Fields, Kind, check_number},
    report::{Code, Reason, Warning},
};

/// SHP and SHP-2.
#[derive(Debug, Clone, PartialEq)]
pub struct Shp {
    /// Rows below this score ratio are left out, under `min_score_ratio`. Default: none.
    pub min_score_ratio: Option<f64>,
    /// Rows of a post beyond this many are left out, under `max_pairs_per_prompt`. Default: none.
    pub max_pairs_per_prompt: Option<usize>,
    /// HTML entities such as `&gt;` become what they stand for. Default: yes.
    pub unescape_html: bool,
}

impl Default for Shp {
    fn default() -> Self {
        Self { min_score_ratio: None, max_pairs_per_prompt: None, unescape_html: true }
    }
}

impl Shp {
    /// A score ratio of at least 2, and at most 5 comparisons of a post, as the data card advises.
    pub fn advised() -> Self {
        Self { min_score_ratio: Some(2.0), max_pairs_per_prompt: Some(5), ..Self::default() }
    }

    fn draft(&self, row: &mut Fields<'_>, seen: &mut Counts) -> Result<Drafts, Reason> {
        let mut text = |name: &str| {
            let text = row.need_string(name)?;
            Ok::<_, Reason>(if self.unescape_html {
                html_escape::decode_html_entities(&text).into_owned()
            } else {
                text
            })
        };
        let (history, a, b) = (text("history")?, text("human_ref_A")?, text("human_ref_B")?);
        let a_wins = label(row)?;
        let ratio = row.get("score_ratio").cloned();
        let ratio = ratio.map(|value| crate::record::as_f64(&value, "score_ratio", row.reading())).transpose()?;
        check_number("score_ratio", ratio, 1.0, f64::INFINITY)?;
        if self.min_score_ratio.zip(ratio).is_some_and(|(least, ratio)| ratio < least) {
            return Ok(Drafts::Filtered("min_score_ratio"));
        }
        if let Some(most) = self.max_pairs_per_prompt {
            let post = row.get("post_id").and_then(Value::as_str).unwrap_or(&history);
            let count = seen.entry(post.to_owned()).or_default();
            if *count >= most {
                return Ok(Drafts::Filtered("max_pairs_per_prompt"));
            }
            *count += 1;
        }
        note(row, a_wins);
        let domain = row.get("domain").and_then(Value::as_str).and_then(|domain| domain.rsplit_once('_'));
        let (group, split) = domain.map_or((None, None), |(group, split)| (Some(group), Some(split)));
        let draft = Draft::new(Kind::Comparison)
            .with("prompt", user(history))
            .with("a", assistant(a))
            .with("b", assistant(b))
            .with("outcome", if a_wins { "a" } else { "b" })
            .with("group", group)
            .with("split", split)
            .with("meta.margin", ratio.map(f64::ln));
        Ok(draft.named("prompt", "history").named("a", "human_ref_A").named("b", "human_ref_B").into())
    }
}

/// Whether A is preferred.
fn label(row: &mut Fields<'_>) -> Result<bool, Reason> {
    match row.i64("labels")? {
        Some(1) => Ok(true),
        Some(0) => Ok(false),
        found => {
            let found = found.map_or_else(|| "nothing".to_owned(), |found| found.to_string());
            Err(Reason::field(Code::LabelValue, "labels", format!("expected 1 for A or 0 for B, found {found}")))
        }
    }
}

/// Notes a label that contradicts the scores, and a preferred comment that had more time to be seen.
fn note(row: &mut Fields<'_>, a_wins: bool) {
    let number = |name: &str| row.get(name).and_then(Value::as_f64);
    let of_winner = |a: &str, b: &str| {
        let (a, b) = (number(a)?, number(b)?);
        Some(if a_wins { (a, b) } else { (b, a) })
    };
    let against_scores = of_winner("score_A", "score_B").is_some_and(|(winner, other)| winner < other);
    let older = of_winner("created_at_utc_A", "created_at_utc_B").is_some_and(|(winner, other)| winner < other);
    if against_scores {
        row.reading().warn(Warning::LabelScore);
    }
    if older {
        row.reading().warn(Warning::Time);
    }
}

impl Source for Shp {
    fn name(&self) -> &str {
        "shp"
    }

    fn about(&self) -> &str {
        "Stanford Human Preferences: two comments on a post, the one with more votes preferred"
    }

    fn sniff(&self, row: &Map<String, Value>) -> bool {
        has_all(row, &["history", "human_ref_A", "human_ref_B", "labels"])
    }

    fn reader(&self) -> Reader {
        let (options, mut seen) = (self.clone(), Counts::new());
        Reader::new(Rows::new("shp", move |row: &mut Fields<'_>, _: &Path| options.draft(row, &mut seen)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::sources::testing::{but, load, one, reason, warnings};

    fn row() -> Value {
        json!({"post_id": "p", "domain": "ask_science_train", "history": "Is 2 &gt; 1?", "human_ref_A": "Yes.",
            "human_ref_B": "No.", "labels": 1, "score_A": 6, "score_B": 3, "score_ratio": 2.0,
            "created_at_utc_A": 20, "created_at_utc_B": 10})
    }

    #[test]
    fn label_1_prefers_a_and_0_prefers_b() {
        let record = one(&Shp::default(), row());
        assert_eq!((&record["outcome"], &record["a"][0]["content"]), (&json!("a"), &json!("Yes.")));
        let record = one(&Shp::default(), but(&row(), json!({"labels": 0, "score_A": 1, "created_at_utc_A": 5})));
        assert_eq!((&record["outcome"], &record["b"][0]["content"]), (&json!("b"), &json!("No.")));
        let expected = "E_LABEL_VALUE: field `labels`: expected 1 for A or 0 for B, found 2";
        assert_eq!(reason(&Shp::default(), but(&row(), json!({"labels": 2}))), expected);
        assert!(reason(&Shp::default(), but(&row(), json!({"labels": null}))).ends_with("found nothing"));
    }

    #[test]
    fn margin_domain_and_entities_are_read() {
        let record = one(&Shp::default(), row());
        assert_eq!(record["meta"]["margin"], json!(std::f64::consts::LN_2));
        assert_eq!((&record["group"], &record["split"]), (&json!("ask_science"), &json!("train")));
        assert_eq!(record["prompt"][0]["content"], "Is 2 > 1?");
        assert_eq!(record["meta"]["score_A"], 6);
        let raw = one(&Shp { unescape_html: false, ..Shp::default() }, row());
        assert_eq!(raw["prompt"][0]["content"], "Is 2 &gt; 1?");
    }

    #[test]
    fn a_label_against_the_scores_and_an_older_winner_are_noted() {
        let noted = |fields| warnings(&Shp::default(), but(&row(), fields));
        assert!(noted(json!({})).is_empty());
        assert!(noted(json!({"score_A": 3, "created_at_utc_A": 10})).is_empty());
        assert_eq!(noted(json!({"score_A": 2})), ["W_LABEL_SCORE"]);
        assert_eq!(noted(json!({"labels": 0, "score_A": 1})), ["W_TIME"]);
        assert_eq!(noted(json!({"created_at_utc_A": 9})), ["W_TIME"]);
    }

    #[test]
    fn the_advised_preset_keeps_a_ratio_of_2_and_5_rows_of_a_post() {
        let rows = vec![row(); 7];
        assert_eq!(load(&Shp::advised(), &rows).1.filtered["max_pairs_per_prompt"], 2);
        let mixed = [row(), but(&row(), json!({"score_ratio": 1.99}))];
        let (records, report) = load(&Shp::advised(), &mixed);
        assert_eq!((records.len(), report.filtered["min_score_ratio"]), (1, 1));
        assert_eq!(load(&Shp::default(), &rows).0.len(), 7);
        assert!(reason(&Shp::default(), but(&row(), json!({"score_ratio": 0.5}))).starts_with("E_RANGE"));
    }

    #[test]
    fn an_empty_comment_is_named_as_the_source_names_it() {
        let told = reason(&Shp::default(), but(&row(), json!({"human_ref_B": " "})));
        assert_eq!(told, "E_EMPTY: field `human_ref_B`: empty after trimming");
    }
}
