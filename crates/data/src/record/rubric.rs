//! Rubrics: criteria that a checker scores one by one, and their total.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Fields, check_number};
use crate::report::{Code, Reason};

/// How much a criterion matters, in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum CriterionKind {
    /// Without it the response fails.
    Essential,
    /// It matters.
    Important,
    /// It would be good to have.
    Optional,
    /// A fault: meeting it costs.
    Pitfall,
}

/// One criterion of a rubric.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Criterion {
    /// Unique within the rubric.
    pub id: String,
    /// What is asked.
    pub text: String,
    /// Points for meeting it, finite; negative for a fault.
    pub weight: f64,
    /// How much it matters; none where only the weight says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<CriterionKind>,
    /// Whether failing it makes the whole score 0.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub hard: bool,
}

impl Criterion {
    /// The weight as it counts: that of a pitfall is never positive.
    pub fn signed_weight(&self) -> f64 {
        if self.kind == Some(CriterionKind::Pitfall) { -self.weight.abs() } else { self.weight }
    }

    /// Whether a score fails the criterion: below a half or, for a fault, at least a half. The half is ours.
    fn is_failed(&self, score: f64) -> bool {
        if self.signed_weight() < 0.0 { score >= 0.5 } else { score < 0.5 }
    }

    fn take(fields: &mut Fields<'_>) -> Result<Self, Reason> {
        Ok(Self {
            id: super::as_id(fields.need("id", "a string")?, &fields.path("id"))?,
            text: fields.need_string("text")?,
            weight: fields.need_f64("weight")?,
            kind: fields.word("kind", "essential, important, optional or pitfall")?,
            hard: fields.bool("hard")?.unwrap_or(false),
        })
    }
}

/// A rubric's total for one response.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct RubricTotal {
    /// In `[0, 1]`; none where no criterion that adds points was scored.
    pub value: Option<f64>,
    /// Criteria that were not scored.
    pub unrated: usize,
}

/// The total of a rubric: points earned over points to earn, of the criteria that were scored, clipped to `[0, 1]`.
///
/// ```text
/// Σ w s / Σ max(w, 0)    over the criteria with a score s in [0, 1]
/// ```
///
/// A hard criterion that was failed makes it 0. A criterion that `scores` leaves out or has as none is in neither sum.
///
/// # Example
/// ```
/// use accordant_data::record::rubric::{Criterion, rubric_total};
/// let criterion = |id: &str, weight| Criterion { id: id.into(), text: "t".into(), weight, kind: None, hard: false };
/// let rubric = [criterion("sources", 3.0), criterion("short", 1.0), criterion("rude", -1.0), criterion("new", 5.0)];
/// let scores = [("sources", Some(1.0)), ("short", Some(0.5)), ("rude", Some(1.0)), ("new", None)];
/// let total = rubric_total(&rubric, &scores.map(|(id, score)| (id.to_string(), score)).into());
/// assert_eq!((total.value, total.unrated), (Some((3.0 + 0.5 - 1.0) / 4.0), 1));
/// ```
pub fn rubric_total(rubric: &[Criterion], scores: &BTreeMap<String, Option<f64>>) -> RubricTotal {
    let score = |criterion: &Criterion| scores.get(&criterion.id).copied().flatten();
    let rated: Vec<_> = rubric.iter().filter_map(|criterion| Some((criterion, score(criterion)?))).collect();
    let unrated = rubric.len() - rated.len();
    if rated.iter().any(|(criterion, score)| criterion.hard && criterion.is_failed(*score)) {
        return RubricTotal { value: Some(0.0), unrated };
    }
    let earned: f64 = rated.iter().map(|(criterion, score)| criterion.signed_weight() * score).sum();
    let most: f64 = rated.iter().map(|(criterion, _)| criterion.signed_weight().max(0.0)).sum();
    RubricTotal { value: (most > 0.0).then(|| (earned / most).clamp(0.0, 1.0)), unrated }
}

/// Takes the field `rubric`.
pub(super) fn take_rubric(fields: &mut Fields<'_>) -> Result<Vec<Criterion>, Reason> {
    Ok(fields.objects("rubric", Criterion::take)?.unwrap_or_default())
}

/// Checks that weights are numbers and ids unique.
pub(super) fn check_rubric(rubric: &[Criterion]) -> Result<(), Reason> {
    let mut seen = BTreeSet::new();
    for (i, criterion) in rubric.iter().enumerate() {
        check_number(&format!("rubric[{i}].weight"), criterion.weight, f64::NEG_INFINITY, f64::INFINITY)?;
        if !seen.insert(&criterion.id) {
            let message = format!("`{}` stands in the rubric twice", criterion.id);
            return Err(Reason::field(Code::DupId, format!("rubric[{i}].id"), message));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn criterion(id: &str, weight: f64) -> Criterion {
        Criterion { id: id.into(), text: "t".into(), weight, kind: None, hard: false }
    }

    fn total(rubric: &[Criterion], scores: &[(&str, Option<f64>)]) -> Option<f64> {
        rubric_total(rubric, &scores.iter().map(|&(id, score)| (id.to_owned(), score)).collect()).value
    }

    #[test]
    fn the_total_is_points_earned_over_points_to_earn_of_what_was_scored() {
        let rubric = [criterion("a", 2.0), criterion("b", 1.0), criterion("c", -1.0)];
        assert_eq!(total(&rubric, &[("a", Some(1.0)), ("b", Some(0.0)), ("c", Some(0.0))]), Some(2.0 / 3.0));
        assert_eq!(total(&rubric, &[("a", Some(1.0)), ("b", None), ("c", Some(1.0))]), Some(0.5));
        assert_eq!(total(&rubric, &[("b", Some(0.5)), ("c", Some(1.0))]), Some(0.0));
        assert_eq!(total(&rubric, &[("c", Some(0.0))]), None);
        assert_eq!(total(&rubric, &[]), None);
        assert_eq!(rubric_total(&rubric, &BTreeMap::new()).unrated, 3);
    }

    #[test]
    fn a_pitfall_costs_whatever_the_sign_of_its_weight() {
        for weight in [1.0, -1.0] {
            let pitfall = Criterion { kind: Some(CriterionKind::Pitfall), ..criterion("p", weight) };
            assert_eq!(total(&[criterion("a", 4.0), pitfall], &[("a", Some(1.0)), ("p", Some(1.0))]), Some(0.75));
        }
        let essential = Criterion { kind: Some(CriterionKind::Essential), ..criterion("p", 1.0) };
        assert_eq!(essential.signed_weight(), 1.0);
    }

    #[test]
    fn failing_a_hard_criterion_makes_the_total_zero() {
        let hard = |weight| Criterion { hard: true, ..criterion("h", weight) };
        let of = |weight, score| total(&[criterion("a", 1.0), hard(weight)], &[("a", Some(1.0)), ("h", score)]);
        assert_eq!(of(1.0, Some(0.0)), Some(0.0));
        assert_eq!(of(1.0, Some(0.5)), Some(0.75));
        assert_eq!(of(1.0, None), Some(1.0));
        assert_eq!(of(-0.5, Some(0.5)), Some(0.0));
        assert_eq!(of(-0.5, Some(0.25)), Some(0.875));
        assert_eq!(of(0.0, Some(0.25)), Some(0.0));
    }

    #[test]
    fn weights_are_numbers_and_ids_unique() {
        assert_eq!(check_rubric(&[criterion("a", f64::NAN)]).unwrap_err().code, Code::Nonfinite);
        let twice = check_rubric(&[criterion("a", 1.0), criterion("a", 2.0)]).unwrap_err();
        assert_eq!(twice.to_string(), "E_DUP_ID: field `rubric[1].id`: `a` stands in the rubric twice");
        assert!(check_rubric(&[criterion("a", 1.0), criterion("b", -2.0)]).is_ok());
    }
}
