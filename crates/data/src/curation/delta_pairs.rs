//! Delta-learning pairs: the response of a stronger model over that of a weaker one, unseen.
//!
//! **Papers:** The Delta Learning Hypothesis: Preference Tuning on Weak Data can Yield Strong Gains (2025), 2507.06187;
//! PLaD: Preference-based Large Language Model Distillation with Pseudo-Preference Pairs (2024), 2406.02886, of teacher
//! and student.
//! **Use when:** there is no judge, and both models may be weak.
//! **Deviations:** none; no pair is filtered, and a warning is given where scores say that the stronger model is not.

use serde::Serialize;
use serde_json::Value;

use super::{
    access::{Candidates, HasMeta},
    column::Column,
    numbers::mean,
    operator::{Curated, Operator, Verdict, options_of},
};
use crate::{Pair, Result, code::Warning};

/// The share of pairs with a positive difference below which [`Warning::Delta`] is given.
const MIN_POSITIVE_SHARE: f64 = 0.55;

/// Makes a pair of each list: the stronger model's response over the weaker one's.
///
/// Reasons: `no_models` where the two places are not known, are one or none of the list's, `invalid` where the
/// responses make no pair. Figures, of the pairs with scores: `mean_delta`, `share_positive`. Where that share is below
/// 0.55, [`Warning::Delta`]. The annotator is noted as a model in `meta.annotator_is_model`.
#[derive(Debug, Clone, Serialize)]
#[serde(bound = "")]
#[doc(alias = "2507.06187")]
#[doc(alias = "PLaD")]
pub struct DeltaPairs<T> {
    /// The places of the stronger and the weaker model's response.
    pub models: Column<T, (usize, usize)>,
}

impl<T: Candidates> Operator<T> for DeltaPairs<T> {
    type Out = Pair;

    fn name(&self) -> &'static str {
        "delta_pairs"
    }

    fn options(&self) -> Value {
        options_of(self)
    }

    fn apply(&self, records: Vec<T>, seed: u64) -> Result<Curated<T, Pair>> {
        let mut curated = Curated::new(self, seed);
        let mut deltas = Vec::new();
        for record in records {
            let places = self.models.of(&record).filter(|(strong, weak)| strong != weak);
            let len = record.responses().len();
            let Some((strong, weak)) = places.filter(|(strong, weak)| *strong.max(weak) < len) else {
                curated.push(Verdict::Drop(record, "no_models"));
                continue;
            };
            let Ok(mut pair) = record.pair(strong, weak) else {
                curated.push(Verdict::Drop(record, "invalid"));
                continue;
            };
            let delta = record.scores().and_then(|scores| Some(scores.get(strong)? - scores.get(weak)?));
            deltas.extend(delta.filter(|delta| delta.is_finite()));
            pair.meta_mut().insert("annotator_is_model".to_owned(), true.into());
            curated.push(Verdict::Keep(pair));
        }
        let positive: Vec<f64> = deltas.iter().map(|delta| f64::from(u8::from(*delta > 0.0))).collect();
        let share = mean(&positive);
        curated.report.set_figure("mean_delta", mean(&deltas));
        curated.report.set_figure("share_positive", share);
        if share.is_some_and(|share| share < MIN_POSITIVE_SHARE) {
            curated.report.warnings.insert(Warning::Delta, 1);
        }
        Ok(curated)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::curation::testing::List;

    fn delta() -> DeltaPairs<List> {
        DeltaPairs { models: Column::new("models", |_: &List| Some((1, 0))) }
    }

    #[test]
    fn the_stronger_model_is_chosen_whatever_the_scores_say() {
        // deltas 2, 1, −1, 4 and no score: 3 of 4 are positive
        let mut lists: Vec<_> = [2.0, 1.0, -1.0, 4.0].map(|d| List::scored("q", &[3.0, 3.0 + d])).to_vec();
        lists.push(List { scores: None, ..List::scored("q", &[0.0, 0.0]) });
        let curated = delta().apply(lists, 0).unwrap();
        assert!(curated.records.iter().all(|pair| pair.chosen.as_plain() == Some("answer 1") && pair.margin.is_none()));
        let report = &curated.report;
        assert_eq!(
            (report.outputs, report.figure("mean_delta"), report.figure("share_positive")),
            (5, Some(1.5), Some(0.75))
        );
        assert!(report.warnings.is_empty());
        assert_eq!(curated.records[0].meta()["annotator_is_model"], true);
    }

    #[test]
    fn a_stronger_model_that_is_not_stronger_is_warned_of() {
        let lists = |positive: usize| -> Vec<List> {
            (0..20).map(|i| List::scored("q", &[0.0, if i < positive { 1.0 } else { 0.0 }])).collect()
        };
        assert!(delta().apply(lists(11), 0).unwrap().report.warnings.is_empty(), "0.55 is enough");
        assert_eq!(delta().apply(lists(10), 0).unwrap().report.warnings[&Warning::Delta], 1);
        assert!(delta().apply(vec![], 0).unwrap().report.warnings.is_empty());
    }

    #[test]
    fn lists_without_both_models_are_named() {
        let odd = |places| DeltaPairs { models: Column::new("models", move |_: &List| places) };
        for places in [None, Some((0, 0)), Some((0, 2)), Some((5, 0))] {
            let report = odd(places).apply(vec![List::scored("q", &[1.0, 2.0])], 0).unwrap().report;
            assert_eq!(report.dropped["no_models"], 1, "{places:?}");
        }
        let mut same = List::scored("q", &[1.0, 2.0]);
        same.completions[1] = same.completions[0].clone();
        assert_eq!(delta().apply(vec![same], 0).unwrap().report.dropped["invalid"], 1);
    }
}
