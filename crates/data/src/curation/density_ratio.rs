//! Automatic annotation: labels from scores that no person gave.
//!
//! **Papers:** Dr. SoW: Density Ratio of Strong-over-weak LLMs for Reducing the Cost of Human Annotation in Preference
//! Tuning (2024), 2411.02481; other signals (follow-ups, relevance, upvotes, self-reference) enter by their scores and
//! an id.
//! **Use when:** an aligned and an unaligned model, or some other signal, can stand in for annotators.
//! **Deviations:** none. Judgments in both orders are combined by [`swap_consistency`](super::swap_consistency) first.

use serde::Serialize;
use serde_json::{Value, json};

use super::{
    access::{Candidates, HasMeta, Preference},
    column::Column,
    numbers::{check_all_finite, check_length},
    operator::{Curated, Operator, OperatorReport, RecordOperator, Verdict, apply_each, options_of},
    ranked_pairs::{PairScheme, list_pairs},
};
use crate::{Error, Pair, Result, record::Annotator};

/// `log π_strong(y | x) − log π_weak(y | x)` in nats, of the log-probabilities of the response's tokens; divided by
/// their number with `per_token`.
///
/// # Errors
/// [`Error::Length`] naming `weak`; [`Error::NoEntry`] without a token; [`Error::Item`] for what is not finite.
///
/// # Example
/// ```
/// use accordant_data::curation::density_ratio::density_ratio;
/// assert_eq!(density_ratio(&[-1.0, -0.5], &[-2.0, -1.5], false)?, 2.0);
/// assert_eq!(density_ratio(&[-1.0, -0.5], &[-2.0, -1.5], true)?, 1.0);
/// # Ok::<(), accordant_data::Error>(())
/// ```
#[doc(alias = "2411.02481")]
pub fn density_ratio(strong: &[f64], weak: &[f64], per_token: bool) -> Result<f64> {
    check_length("weak", strong.len(), weak.len())?;
    check_all_finite("strong", strong)?;
    check_all_finite("weak", weak)?;
    if strong.is_empty() {
        return Err(Error::NoEntry { name: "strong" });
    }
    let total: f64 = strong.iter().zip(weak).map(|(strong, weak)| strong - weak).sum();
    Ok(if per_token { total / strong.len() as f64 } else { total })
}

/// Makes a pair of the best and the worst response by a signal.
///
/// The difference becomes the margin, the annotator a model of the signal's id. Reasons: `unscored` where scores are
/// missing, not finite or not as many as responses; `tied`; `invalid` where the two make no pair.
#[derive(Debug, Clone, Serialize)]
#[serde(bound = "")]
pub struct AutoAnnotate<T> {
    /// The score of each response, larger for better ones.
    pub scores: Column<T, Vec<f64>>,
    /// The signal's id.
    pub signal: String,
}

impl<T: Candidates> AutoAnnotate<T> {
    fn decide(&self, record: &T) -> std::result::Result<Pair, &'static str> {
        let scores =
            self.scores.of(record).filter(|scores| scores.len() == record.responses().len()).ok_or("unscored")?;
        let pairs = list_pairs(&scores, PairScheme::BestVsWorst, |_| 0).map_err(|_| "unscored")?;
        let two = pairs.first().ok_or("unscored")?;
        if two.tied {
            return Err("tied");
        }
        let mut pair = record.pair(two.chosen, two.rejected).map_err(|_| "invalid")?;
        pair.set_margin(Some(scores[two.chosen] - scores[two.rejected]));
        pair.envelope.annotator = Some(Annotator { is_model: Some(true), ..Annotator::new(&self.signal) });
        pair.meta_mut().insert("signal".to_owned(), json!(self.signal));
        Ok(pair)
    }
}

impl<T: Candidates> Operator<T> for AutoAnnotate<T> {
    type Out = Pair;

    fn name(&self) -> &'static str {
        "auto_annotate"
    }

    fn options(&self) -> Value {
        options_of(self)
    }

    fn apply(&self, records: Vec<T>, seed: u64) -> Result<Curated<T, Pair>> {
        apply_each(self, records, seed)
    }
}

impl<T: Candidates> RecordOperator<T> for AutoAnnotate<T> {
    fn judge(&self, record: T, _seed: u64, _report: &mut OperatorReport) -> Verdict<T, Pair> {
        match self.decide(&record) {
            Ok(pair) => Verdict::Keep(pair),
            Err(reason) => Verdict::Drop(record, reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::curation::testing::List;

    #[test]
    fn ratios_of_odd_input_are_errors() {
        assert!(density_ratio(&[], &[], true).is_err() && density_ratio(&[0.0], &[], true).is_err());
        assert!(density_ratio(&[f64::NAN], &[0.0], true).is_err() && density_ratio(&[0.0], &[f64::NAN], true).is_err());
    }

    #[test]
    fn the_greater_score_is_chosen_by_a_model() {
        let by_scores =
            AutoAnnotate { scores: Column::new("scores", |list: &List| list.scores.clone()), signal: "upvotes".into() };
        let mut same = List::scored("q", &[1.0, 2.0]);
        same.completions[1] = same.completions[0].clone();
        let lists = vec![
            List::scored("q", &[0.5, -1.0]),
            List::scored("q", &[1.0, 1.0]),
            List { scores: Some(vec![1.0]), ..List::scored("q", &[1.0, 2.0]) },
            List::scored("q", &[f64::NAN, 1.0]),
            List { scores: None, ..List::scored("q", &[1.0, 2.0]) },
            same,
            List::scored("q", &[1.0]),
        ];
        let curated = by_scores.apply(lists, 0).unwrap();
        let [pair] = &curated.records[..] else { panic!("one pair") };
        assert_eq!((pair.chosen.as_plain(), pair.margin), (Some("answer 0"), Some(1.5)));
        let annotator = pair.envelope.annotator.as_ref().unwrap();
        assert_eq!((&annotator.id[..], annotator.is_model), ("upvotes", Some(true)));
        assert_eq!(pair.meta()["signal"], "upvotes");
        let dropped = &curated.report.dropped;
        assert_eq!((dropped["tied"], dropped["unscored"], dropped["invalid"]), (1, 4, 1));
    }
}
