//! Summarize from feedback: two summaries of a post, and summaries rated on several axes.
//!
//! **Paper:** Learning to summarize from human feedback (2020), 2009.01325.
//! **Format:** JSON Lines, though the comparisons' files are called `batchN.json`.
//! **Records:** comparisons with `a` = the first summary, `choice` 0 means **a**; rated summaries, 1 to 7 on each axis.
//! **Quirks:** summaries begin with a space; `note` and each axis may be null; the confidence runs from 1, surely the
//! first, over 5 to 9, surely the second. Where it contradicts the choice, the choice counts.
//! **Presets:** the prompts' templates are those of the paper's code, appendix B.2.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::{
    Reader, Source,
    draft::{Draft, Drafts, Rows},
    has_all,
};
use crate::{
    record::{Fields, Kind, as_list, check_number, wrong_type},
    report::{Code, Reason, Warning},
};

/// How prompts are made of posts and articles; `{name}` stands for a field of `info`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summarize {
    /// For a post of Reddit. Default: subreddit, title, post and the cue `TL;DR:`, a paragraph each.
    pub post: String,
    /// For a news article. Default: the article and the cue `TL;DR:`.
    pub article: String,
}

impl Default for Summarize {
    fn default() -> Self {
        Self {
            post: "SUBREDDIT: r/{subreddit}\n\nTITLE: {title}\n\nPOST: {post}\n\nTL;DR:".into(),
            article: "Article:\n\n{article}\n\nTL;DR:".into(),
        }
    }
}

impl Summarize {
    fn draft(&self, row: &mut Fields<'_>) -> Result<Drafts, Reason> {
        let prompt = self.prompt(row)?;
        let draft = if row.has("summaries") { comparison(row)? } else { rated(row)? };
        let worker = row.string("worker")?;
        Ok(draft.with("prompt", prompt).named("prompt", "info").with("annotator.id", worker).into())
    }

    fn prompt(&self, row: &mut Fields<'_>) -> Result<String, Reason> {
        let info = row.get("info").and_then(Value::as_object);
        let Some(info) = info else { return Err(Reason::field(Code::MissingField, "info", "expected an object")) };
        let template = if info.contains_key("article") { &self.article } else { &self.post };
        let mut prompt = String::new();
        let mut parts = template.split('{');
        prompt.push_str(parts.next().unwrap_or_default());
        for part in parts {
            let Some((name, rest)) = part.split_once('}') else {
                prompt.push('{');
                prompt.push_str(part);
                continue;
            };
            match info.get(name) {
                Some(Value::String(text)) => prompt.push_str(text),
                Some(Value::Null) => {}
                Some(other) => return Err(wrong_type(&format!("info.{name}"), "a string", other)),
                None => return Err(Reason::field(Code::MissingField, format!("info.{name}"), "missing")),
            }
            prompt.push_str(rest);
        }
        Ok(prompt)
    }
}

fn comparison(row: &mut Fields<'_>) -> Result<Draft, Reason> {
    let summaries = as_list(row.need("summaries", "a list of two")?, "summaries")?;
    let Ok([first, second]) = <[Value; 2]>::try_from(summaries) else {
        return Err(Reason::field(Code::LenMismatch, "summaries", "expected two"));
    };
    let first_wins = match row.i64("choice")? {
        Some(0) => true,
        Some(1) => false,
        found => {
            let found = found.map_or_else(|| "nothing".to_owned(), |found| found.to_string());
            return Err(Reason::field(Code::LabelValue, "choice", format!("expected 0 or 1, found {found}")));
        }
    };
    let mut draft = Draft::new(Kind::Comparison).with("outcome", if first_wins { "a" } else { "b" });
    let mut notes = Vec::new();
    for (i, (side, summary)) in [("a", first), ("b", second)].into_iter().enumerate() {
        let path = format!("summaries[{i}]");
        let mut summary = Fields::of(summary, &path, row.reading())?;
        draft = draft.need(side, &mut summary, "text")?.take(&format!("{side}_source"), &mut summary, "policy");
        notes.push(Value::Object(summary.into_rest()));
    }
    Ok(draft.with("strength", strength(row, first_wins)?).with("meta.summaries", notes))
}

/// How strong the choice is, 0 to 4 in favor of the chosen one, by the distance of the confidence from 5.
fn strength(row: &mut Fields<'_>, first_wins: bool) -> Result<Option<Value>, Reason> {
    let confidence = row.get("extra").and_then(|extra| extra.get("confidence")).filter(|value| !value.is_null());
    let Some(confidence) = confidence.cloned() else { return Ok(None) };
    let confidence = crate::record::as_i64(&confidence, "extra.confidence")?;
    check_number("extra.confidence", confidence as f64, 1.0, 9.0)?;
    let for_first = 5 - confidence;
    if for_first != 0 && (for_first > 0) != first_wins {
        row.reading().warn(Warning::ConfidenceSign);
    }
    let value = if first_wins { for_first.abs() } else { -for_first.abs() };
    Ok(Some(json!({"value": value, "levels": 4})))
}

fn rated(row: &mut Fields<'_>) -> Result<Draft, Reason> {
    const AXES: [&str; 4] = ["overall", "accuracy", "coverage", "coherence"];
    let mut draft = Draft::new(Kind::Rated);
    let summary = row.need("summary", "an object")?;
    let mut summary = Fields::of(summary, "summary", row.reading())?;
    let text = summary.need_string("text")?;
    draft = draft.with("completions", [text]).named("completions[0]", "summary.text");
    draft.set("sources", summary.string("policy")?.map(|policy| vec![policy]));
    let mut axes = summary.object("axes")?.unwrap_or_default();
    let ratings: Map<_, _> =
        AXES.iter().map(|&axis| (axis.to_owned(), axes.shift_remove(axis).unwrap_or_default())).collect();
    let scale = AXES.iter().map(|&axis| (axis.to_owned(), json!({"min": 1, "max": 7, "direction": "higher"})));
    draft = draft.with("ratings", vec![ratings]).named("ratings[0]", "summary.axes").with("overall", "overall");
    draft.set("scale", scale.collect::<Map<_, _>>());
    let mut rest = summary.into_rest();
    if !axes.is_empty() {
        rest.insert("axes".into(), axes.into());
    }
    rest.retain(|_, value| !value.is_null());
    Ok(if rest.is_empty() { draft } else { draft.with("meta.summary", rest) })
}

impl Source for Summarize {
    fn name(&self) -> &str {
        "summarize_from_feedback"
    }

    fn about(&self) -> &str {
        "Summarize from feedback: two summaries of a post, and summaries rated on four axes"
    }

    fn sniff(&self, row: &Map<String, Value>) -> bool {
        has_all(row, &["info", "worker"]) && (has_all(row, &["summaries", "choice"]) || has_all(row, &["summary"]))
    }

    fn reader(&self) -> Reader {
        let options = self.clone();
        Reader::new(Rows::new(self.name(), move |row: &mut Fields<'_>, _: &Path| options.draft(row)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::testing::{but, one, reason, warnings};

    fn row() -> Value {
        json!({"info": {"id": "t3_1", "post": "My cat left.", "title": "Cat", "subreddit": "cats"}, "split": "valid1",
            "summaries": [{"text": " Cat gone.", "policy": "sup2", "note": "short"}, {"text": " Sad.", "policy": "ref"}],
            "choice": 0, "worker": "w1", "batch": "b", "extra": {"confidence": 2}})
    }

    fn axes() -> Value {
        json!({"info": {"id": "n", "site": "cnn", "title": "T", "article": "A. B."}, "split": "test", "worker": "w",
            "batch": "b", "summary": {"text": " S.", "policy": "p", "note": "n", "axes": {"overall": 6, "accuracy": null}}})
    }

    #[test]
    fn choice_0_prefers_the_first_and_1_the_second() {
        let record = one(&Summarize::default(), row());
        assert_eq!((&record["outcome"], &record["strength"]), (&json!("a"), &json!({"value": 3, "levels": 4})));
        assert_eq!(
            (&record["a"], &record["a_source"], &record["b"]),
            (&json!(" Cat gone."), &json!("sup2"), &json!(" Sad."))
        );
        assert_eq!((&record["annotator"]["id"], &record["split"]), (&json!("w1"), &json!("valid1")));
        let record = one(&Summarize::default(), but(&row(), json!({"choice": 1, "extra": {"confidence": 9}})));
        assert_eq!((&record["outcome"], &record["strength"]["value"]), (&json!("b"), &json!(-4)));
        assert!(reason(&Summarize::default(), but(&row(), json!({"choice": 2}))).starts_with("E_LABEL_VALUE"));
    }

    #[test]
    fn the_prompt_follows_the_template() {
        let record = one(&Summarize::default(), row());
        assert_eq!(record["prompt"], "SUBREDDIT: r/cats\n\nTITLE: Cat\n\nPOST: My cat left.\n\nTL;DR:");
        let own = Summarize { post: "{title}: {post} {".into(), ..Summarize::default() };
        assert_eq!(one(&own, row())["prompt"], "Cat: My cat left. {");
        let told = reason(&Summarize { post: "{site}".into(), ..Summarize::default() }, row());
        assert_eq!(told, "E_MISSING_FIELD: field `info.site`: missing");
        assert_eq!(one(&Summarize::default(), axes())["prompt"], "Article:\n\nA. B.\n\nTL;DR:");
    }

    #[test]
    fn a_confidence_against_the_choice_is_noted_and_the_choice_counts() {
        let odd = but(&row(), json!({"extra": {"confidence": 6}}));
        assert_eq!(warnings(&Summarize::default(), odd.clone()), ["W_CONFIDENCE_SIGN"]);
        let record = one(&Summarize::default(), odd);
        assert_eq!((&record["outcome"], &record["strength"]["value"]), (&json!("a"), &json!(1)));
        assert!(warnings(&Summarize::default(), row()).is_empty());
        let neutral = but(&row(), json!({"extra": {"confidence": 5}}));
        assert!(warnings(&Summarize::default(), neutral).is_empty());
        let none = one(&Summarize::default(), but(&row(), json!({"extra": {"confidence": null}})));
        assert!(none.get("strength").is_none());
        let told = reason(&Summarize::default(), but(&row(), json!({"extra": {"confidence": 10}})));
        assert_eq!(told, "E_RANGE: field `extra.confidence`: expected a number in [1, 9], found 10");
    }

    #[test]
    fn axes_are_ratings_of_which_some_are_absent() {
        let record = one(&Summarize::default(), axes());
        let ratings = json!({"overall": 6.0, "accuracy": null, "coverage": null, "coherence": null});
        assert_eq!((&record["ratings"][0], &record["overall"]), (&ratings, &json!("overall")));
        assert_eq!((&record["completions"], &record["sources"]), (&json!([" S."]), &json!(["p"])));
        assert_eq!(record["meta"]["summary"], json!({"note": "n"}));
        let high = json!({"text": " S.", "axes": {"overall": 8}});
        let told = reason(&Summarize::default(), but(&axes(), json!({"summary": high})));
        assert_eq!(told, "E_RANGE: field `summary.axes.overall`: expected a number in [1, 7], found 8");
    }
}
