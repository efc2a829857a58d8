//! Math-Shepherd: solutions step by step, each step labeled by how often it was completed to the right answer.
//!
//! **Paper:** Math-Shepherd: Verify and Reinforce LLMs Step-by-step without Human Annotations (2023), 2312.08935; data
//! card `peiyi9979/Math-Shepherd`.
//! **Format:** `input` is question and steps in one string with a tag of two Cyrillic letters after each step; `label`
//! is the same string with `+` or `-` in place of the tags.
//! **Records:** stepwise. The question ends where `Step 1:` begins.
//! **Quirks:** the tag is longer than what replaces it, so labels are found by walking through both strings together. A
//! few questions hold a tag themselves: there the strings do not match, and the row is a reject.

use std::path::Path;

use serde_json::{Map, Value};

use super::{
    Reader, Source,
    draft::{Draft, Drafts, Rows},
    has_all,
};
use crate::{
    record::{Fields, Kind},
    report::{Code, Reason},
};

/// What stands after each step: the letters ka and i.
const TAG: &str = "\u{43a}\u{438}";
const FIRST: &str = "Step 1:";

/// Math-Shepherd.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MathShepherd;

fn draft(row: &mut Fields<'_>) -> Result<Drafts, Reason> {
    let (input, label) = (row.need_string("input")?, row.need_string("label")?);
    let wrong = |message: &str| Reason::field(Code::LenMismatch, "label", message).with_excerpt(&label);
    let mut parts: Vec<&str> = input.split(TAG).collect();
    let end = parts.pop().unwrap_or_default();
    if parts.is_empty() {
        return Err(Reason::field(Code::EmptyList, "input", "no step with its tag").with_excerpt(&input));
    }
    if !end.trim().is_empty() {
        return Err(Reason::field(Code::LenMismatch, "input", "a step without its tag").with_excerpt(end));
    }
    let (mut labels, mut rest) = (Vec::new(), label.as_str());
    for part in &parts {
        rest = rest.strip_prefix(part).ok_or_else(|| wrong("its text is not that of `input`"))?;
        let right = match rest.chars().next() {
            Some('+') => true,
            Some('-') => false,
            _ => return Err(wrong("expected `+` or `-` in place of a tag")),
        };
        labels.push(right);
        rest = &rest[1..];
    }
    if !rest.trim().is_empty() {
        return Err(wrong("it goes on after the last tag"));
    }
    let Some((question, first)) = parts[0].rfind(FIRST).map(|at| parts[0].split_at(at)) else {
        return Err(Reason::field(Code::LenMismatch, "input", "`Step 1:` does not stand before the first tag"));
    };
    let steps = std::iter::once(first).chain(parts.iter().skip(1).copied()).map(str::trim);
    let draft = Draft::new(Kind::Stepwise).with("prompt", question.trim()).named("prompt", "input");
    let draft =
        draft.with("completions", steps.collect::<Vec<_>>()).with("labels", labels).with("step_separator", "\n");
    Ok(draft.named("completions", "input").take("group", row, "task").into())
}

impl Source for MathShepherd {
    fn name(&self) -> &str {
        "math_shepherd"
    }

    fn about(&self) -> &str {
        "Math-Shepherd: solutions step by step, each labeled by how it was completed"
    }

    fn sniff(&self, row: &Map<String, Value>) -> bool {
        has_all(row, &["input", "label"]) && row["input"].as_str().is_some_and(|input| input.contains(TAG))
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

    fn row(input: &str, label: &str) -> Value {
        json!({"input": input.replace("TAG", TAG), "label": label, "task": "GSM8K"})
    }

    #[test]
    fn plus_is_right_and_minus_is_wrong_in_the_order_of_the_tags() {
        let row = row("2+2-1? Step 1: 2+2 = 4 TAG\nStep 2: 4-1 = 2 TAG", "2+2-1? Step 1: 2+2 = 4 +\nStep 2: 4-1 = 2 -");
        let record = one(&MathShepherd, row);
        assert_eq!(record["completions"], json!(["Step 1: 2+2 = 4", "Step 2: 4-1 = 2"]));
        assert_eq!((&record["labels"], &record["prompt"]), (&json!([true, false]), &json!("2+2-1?")));
        assert_eq!(record["group"], "GSM8K");
    }

    #[test]
    fn a_tag_inside_the_question_is_a_reject() {
        let told = reason(&MathShepherd, row("What TAG? Step 1: a TAG", "What TAG? Step 1: a +"));
        assert_eq!(told, "E_LEN_MISMATCH: field `label`: expected `+` or `-` in place of a tag");
        let told = reason(&MathShepherd, row("What TAG? Step 1: a TAG", "What +? Step 1: a +"));
        assert_eq!(told, "E_LEN_MISMATCH: field `input`: `Step 1:` does not stand before the first tag");
    }

    #[test]
    fn strings_that_do_not_match_are_rejects() {
        let told = |input: &str, label: &str| reason(&MathShepherd, row(input, label));
        assert!(told("q Step 1: a TAG", "q Step 1: b +").ends_with("its text is not that of `input`"));
        assert!(told("q Step 1: a TAG", "q Step 1: a +\nStep 2: b -").ends_with("it goes on after the last tag"));
        assert!(told("q Step 1: a TAG b", "q Step 1: a +").ends_with("a step without its tag"));
        assert!(told("q Step 1: a", "q Step 1: a").starts_with("E_EMPTY_LIST"));
    }
}
