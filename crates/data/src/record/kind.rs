//! The kinds of records, and how a record without a `kind` is told.

use std::fmt;

use serde::Serialize;

use super::fields::Fields;
use crate::report::{Code, Reason};

/// The kinds, in the order in which a record's fields are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A tree of messages or steps.
    Tree,
    /// Two segments of trajectories.
    SegmentPair,
    /// Two next steps after the same steps.
    StepPair,
    /// A better and a worse completion.
    Pair,
    /// Steps, each right or wrong.
    Stepwise,
    /// Completions in order.
    Ranked,
    /// Completions with ratings.
    Rated,
    /// Two responses with a judgment.
    Comparison,
    /// A response and its better version.
    Edit,
    /// A completion that is good or bad.
    Unpaired,
    /// A completion to learn.
    Sft,
    /// A text to learn.
    Lm,
    /// A prompt.
    PromptOnly,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Tree,
        Self::SegmentPair,
        Self::StepPair,
        Self::Pair,
        Self::Stepwise,
        Self::Ranked,
        Self::Rated,
        Self::Comparison,
        Self::Edit,
        Self::Unpaired,
        Self::Sft,
        Self::Lm,
        Self::PromptOnly,
    ];

    /// The name, such as `segment_pair`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tree => "tree",
            Self::SegmentPair => "segment_pair",
            Self::StepPair => "step_pair",
            Self::Pair => "pair",
            Self::Stepwise => "stepwise",
            Self::Ranked => "ranked",
            Self::Rated => "rated",
            Self::Comparison => "comparison",
            Self::Edit => "edit",
            Self::Unpaired => "unpaired",
            Self::Sft => "sft",
            Self::Lm => "lm",
            Self::PromptOnly => "prompt_only",
        }
    }

    /// The fields that tell the kind: of each group at least one is there.
    const fn signs(self) -> &'static [&'static [&'static str]] {
        match self {
            Self::Tree => &[&["nodes"]],
            Self::SegmentPair => &[&["segment_a"], &["segment_b"]],
            Self::StepPair => &[&["chosen_step"]],
            Self::Pair => &[&["chosen"], &["rejected"]],
            Self::Stepwise => &[&["completions"], &["labels"]],
            Self::Ranked => &[&["completions"], &["ranks", "scores", "order"]],
            Self::Rated => &[&["completion", "completions"], &["ratings"]],
            Self::Comparison => &[&["a"], &["b"]],
            Self::Edit => &[&["original"], &["edited"]],
            Self::Unpaired => &[&["completion"], &["label"]],
            Self::Sft => &[&["completion"]],
            Self::Lm => &[&["messages", "text"]],
            Self::PromptOnly => &[&["prompt"]],
        }
    }

    /// The kind that a record names or, if it names none, the first whose fields it has.
    ///
    /// # Errors
    /// [`Code::Kind`], with the kind that comes nearest and what it lacks.
    ///
    /// # Example
    /// ```
    /// use accordant_data::record::{Fields, Kind, Reading};
    /// let kind = |json: &str| {
    ///     Kind::of(&Fields::new(serde_json::from_str(json).unwrap(), &mut Reading::default()))
    /// };
    /// assert_eq!(kind(r#"{"prompt": "q", "completion": "a", "label": true}"#)?, Kind::Unpaired);
    /// assert_eq!(kind(r#"{"prompt": "q", "completion": "a"}"#)?, Kind::Sft);
    /// let reason = kind(r#"{"chosen": "a", "reject": "b"}"#).unwrap_err();
    /// assert_eq!(
    ///     reason.to_string(),
    ///     "E_KIND: no kind has the fields `chosen`, `reject`; the nearest is `pair`, which also needs `rejected`"
    /// );
    /// # Ok::<(), accordant_data::report::Reason>(())
    /// ```
    pub fn of(fields: &Fields<'_>) -> Result<Self, Reason> {
        if let Some(name) = fields.get("kind") {
            let known = |kind: &Self| name.as_str() == Some(kind.as_str());
            return Self::ALL.into_iter().find(known).ok_or_else(|| {
                let names: Vec<_> = Self::ALL.iter().map(|kind| kind.as_str()).collect();
                let message = format!("expected one of {}, found {}", names.join(", "), super::describe(name));
                Reason::field(Code::Kind, "kind", message)
            });
        }
        let lacks = |kind: Self| kind.signs().iter().filter(|any| !any.iter().any(|name| fields.has(name)));
        // A prompt beside half a pair is a misspelled pair, not a prompt.
        let alone = !["chosen", "rejected", "a", "b", "completions"].iter().any(|name| fields.has(name));
        let fits = |kind: Self| lacks(kind).next().is_none() && (kind != Self::PromptOnly || alone);
        if let Some(kind) = Self::ALL.into_iter().find(|&kind| fits(kind)) {
            return Ok(kind);
        }
        let names: Vec<_> = fields.names().map(|name| format!("`{name}`")).collect();
        if names.is_empty() {
            return Err(Reason::new(Code::Kind, "the record has no field"));
        }
        let share = |kind: Self| 1.0 - lacks(kind).count() as f64 / kind.signs().len() as f64;
        let others = Self::ALL.into_iter().filter(|&kind| kind != Self::PromptOnly || alone);
        let nearest = others.rev().max_by(|&a, &b| share(a).total_cmp(&share(b)));
        let advice = nearest.filter(|&kind| share(kind) > 0.0).map(|kind| {
            let lacking: Vec<_> = lacks(kind).map(|any| format!("`{}`", any.join("` or `"))).collect();
            format!("; the nearest is `{kind}`, which also needs {}", lacking.join(" and "))
        });
        let names = crate::report::excerpt(&names.join(", "));
        Err(Reason::new(Code::Kind, format!("no kind has the fields {names}{}", advice.unwrap_or_default())))
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::record::Reading;

    fn of(value: Value) -> Result<Kind, Reason> {
        Kind::of(&Fields::of(value, "", &mut Reading::default())?)
    }

    #[test]
    fn every_kind_is_told_by_its_fields_and_by_its_name() {
        for kind in Kind::ALL {
            let fields = kind.signs().iter().map(|any| (any[0].to_owned(), json!(1)));
            assert_eq!(of(Value::Object(fields.collect())).unwrap(), kind);
            assert_eq!(of(json!({"kind": kind.as_str()})).unwrap(), kind);
            assert_eq!(serde_json::to_value(kind).unwrap(), json!(kind.as_str()));
        }
    }

    #[test]
    fn the_first_kind_that_fits_wins() {
        assert_eq!(of(json!({"chosen": 1, "rejected": 1, "completion": 1, "label": 1})).unwrap(), Kind::Pair);
        assert_eq!(of(json!({"completions": 1, "labels": 1, "scores": 1})).unwrap(), Kind::Stepwise);
        assert_eq!(of(json!({"completion": 1, "label": null})).unwrap(), Kind::Sft);
        assert_eq!(of(json!({"kind": "lm", "chosen": 1, "rejected": 1})).unwrap(), Kind::Lm);
    }

    #[test]
    fn a_prompt_beside_half_a_pair_is_no_prompt() {
        let message = of(json!({"prompt": "q", "chosen": "a", "reject": "b"})).unwrap_err().to_string();
        assert!(message.ends_with("the nearest is `pair`, which also needs `rejected`"), "{message}");
        for half in ["rejected", "a", "b", "completions"] {
            assert_eq!(of(json!({"prompt": "q", half: 1})).unwrap_err().code, Code::Kind);
        }
        assert_eq!(of(json!({"prompt": "q", "answer": "42"})).unwrap(), Kind::PromptOnly);
    }

    #[test]
    fn a_record_of_no_kind_is_told_what_it_lacks() {
        let message = |value| of(value).unwrap_err().to_string();
        assert_eq!(message(json!({})), "E_KIND: the record has no field");
        assert_eq!(message(json!({"x": 1})), "E_KIND: no kind has the fields `x`");
        assert_eq!(
            message(json!({"completions": 1})),
            "E_KIND: no kind has the fields `completions`; the nearest is `stepwise`, which also needs `labels`"
        );
        assert!(message(json!({"kind": "pairs"})).ends_with("found string \"pairs\""));
    }
}
