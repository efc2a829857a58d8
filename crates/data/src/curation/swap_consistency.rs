//! Position-swap consistency: judgments of both orders that agree, or their mean.
//!
//! **Paper:** Judging LLM-as-a-Judge with MT-Bench and Chatbot Arena (2023), 2306.05685: a win counts in both orders
//! only.
//! **Use when:** a model judged each comparison twice, with the responses exchanged the second time.
//! **Deviations:** none.

use serde::Serialize;
use serde_json::Value;

use super::{
    numbers::mean,
    operator::{Curated, Operator, OperatorReport, Verdict, options_of},
};
use crate::{
    Result,
    record::{
        Comparison,
        comparison::{Judge, JudgeCall, Verdict as Said},
    },
};

/// What a judge said in both orders: the probability that the response shown first wins.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct BothOrders {
    /// With `a` shown first.
    pub ab: f64,
    /// With `b` shown first.
    pub ba: f64,
}

impl BothOrders {
    /// Of a judge who saw both orders; a verdict without a probability is 1, 0 or ½. None where a call is missing or
    /// could not be read.
    pub fn of(judge: &Judge) -> Option<Self> {
        let p = |call: &JudgeCall| match (call.p_first, call.outcome) {
            (Some(p), _) => Some(p).filter(|p| (0.0..=1.0).contains(p)),
            (None, Some(Said::First)) => Some(1.0),
            (None, Some(Said::Second)) => Some(0.0),
            (None, Some(Said::Tie)) => Some(0.5),
            (None, Some(Said::Error) | None) => None,
        };
        Some(Self { ab: p(judge.first.as_ref()?)?, ba: p(judge.second.as_ref()?)? })
    }

    /// Whether both orders prefer the same response, or both neither.
    pub fn agree(self) -> bool {
        side(self.ab) == -side(self.ba)
    }
}

/// 1 above ½, −1 below, 0 at ½.
fn side(p: f64) -> i8 {
    i8::from(p > 0.5) - i8::from(p < 0.5)
}

/// What becomes of comparisons whose orders do not agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SwapAction {
    /// They go, under `inconsistent`.
    #[default]
    Drop,
    /// They stay; all get the mean of both orders as `p_a`.
    Combine,
}

/// Keeps comparisons whose judgments in both orders agree, or takes the mean of both.
///
/// Where the judge gave probabilities, `p_a` becomes their mean over both orders ([`Judge::p_a`]); where it gave
/// verdicts, `outcome` becomes the one that both orders agree on, or a tie ([`Judge::outcome`]). Comparisons without a
/// judge go under `no_judge`, those of which a call is missing or could not be read under `judge_error`. Figures:
/// `consistency_rate`, `first_position_rate` (a judgment at ½ counts ½), `position_bias`, the mean of `(ab + ba) / 2 −
/// ½`, positive for the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct SwapConsistency {
    /// What becomes of inconsistent ones. Default: dropped.
    pub action: SwapAction,
}

/// The figures of judgments in both orders, as [`SwapConsistency`] reports them.
pub fn note_position_bias(report: &mut OperatorReport, orders: &[BothOrders]) {
    let rate = |of: &dyn Fn(&BothOrders) -> f64| mean(&orders.iter().map(of).collect::<Vec<_>>());
    let first = |p: f64| 0.5 * (1.0 + f64::from(side(p)));
    report.set_figure("consistency_rate", rate(&|both| f64::from(u8::from(both.agree()))));
    report.set_figure("first_position_rate", rate(&|both| 0.5 * (first(both.ab) + first(both.ba))));
    report.set_figure("position_bias", rate(&|both| 0.5 * (both.ab + both.ba) - 0.5));
}

impl Operator<Comparison> for SwapConsistency {
    type Out = Comparison;

    fn name(&self) -> &'static str {
        "swap_consistency"
    }

    fn options(&self) -> Value {
        options_of(self)
    }

    fn apply(&self, records: Vec<Comparison>, seed: u64) -> Result<Curated<Comparison>> {
        let mut curated = Curated::new(self, seed);
        let mut known = Vec::new();
        for mut record in records {
            let Some(judge) = &record.judge else {
                curated.push(Verdict::Drop(record, "no_judge"));
                continue;
            };
            let Some(both) = BothOrders::of(judge) else {
                curated.push(Verdict::Drop(record, "judge_error"));
                continue;
            };
            known.push(both);
            if self.action == SwapAction::Drop && !both.agree() {
                curated.push(Verdict::Drop(record, "inconsistent"));
                continue;
            }
            match judge.p_a() {
                Some(p) => record.p_a = Some(p),
                None => record.outcome = judge.outcome(),
            }
            curated.push(Verdict::Keep(record));
        }
        note_position_bias(&mut curated.report, &known);
        Ok(curated)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::comparison::{Order, Outcome};

    fn judged(ab: f64, ba: f64) -> Comparison {
        let call = |p_first| Some(JudgeCall { p_first: Some(p_first), ..JudgeCall::default() });
        let judge = Judge { model: "j".into(), prompt_id: None, order: Order::Both, first: call(ab), second: call(ba) };
        let mut record = Comparison::new("q", "x", "y", Outcome::Tie).unwrap();
        (record.outcome, record.judge) = (None, Some(judge));
        record
    }

    #[test]
    fn inconsistent_judgments_go_and_the_rest_have_the_mean_of_both_orders() {
        // consistent for a; always the first; consistent ties; consistent for b
        let records = vec![judged(0.8, 0.3), judged(0.8, 0.6), judged(0.5, 0.5), judged(0.1, 0.9)];
        let unjudged = Comparison::new("q", "x", "y", Outcome::A).unwrap();
        let all = [records, vec![unjudged]].concat();
        let curated = SwapConsistency::default().apply(all.clone(), 0).unwrap();
        let means: Vec<_> = curated.records.iter().map(|record| record.p_a.unwrap()).collect();
        assert_eq!(means.len(), 3);
        for (mean, expected) in means.iter().zip([0.75, 0.5, 0.1]) {
            assert!((mean - expected).abs() < 1e-15);
        }
        let report = &curated.report;
        assert_eq!((report.dropped["inconsistent"], report.dropped["no_judge"]), (1, 1));
        assert_eq!(
            (report.figure("consistency_rate"), report.figure("first_position_rate")),
            (Some(0.75), Some(0.625))
        );
        // (0.55 + 0.7 + 0.5 + 0.5) / 4 − 0.5
        assert!((report.figure("position_bias").unwrap() - 0.0625).abs() < 1e-15);
        let combined = SwapConsistency { action: SwapAction::Combine }.apply(all, 0).unwrap();
        assert_eq!(combined.records.len(), 4);
        assert!((combined.records[1].p_a.unwrap() - 0.6).abs() < 1e-15);
    }

    #[test]
    fn verdicts_without_probabilities_are_combined_by_their_words() {
        let said = |first, second| {
            let call = |outcome| Some(JudgeCall { outcome: Some(outcome), ..JudgeCall::default() });
            let mut record = judged(0.0, 0.0);
            let judge = record.judge.as_mut().unwrap();
            (judge.first, judge.second) = (call(first), call(second));
            record
        };
        let records = vec![
            said(Said::First, Said::Second),
            said(Said::Tie, Said::Tie),
            said(Said::First, Said::First),
            said(Said::Error, Said::First),
            judged(1.5, 0.0),
        ];
        let curated = SwapConsistency { action: SwapAction::Combine }.apply(records.clone(), 0).unwrap();
        let outcomes: Vec<_> = curated.records.iter().map(|record| (record.outcome, record.p_a)).collect();
        assert_eq!(outcomes, [(Some(Outcome::A), None), (Some(Outcome::Tie), None), (Some(Outcome::Tie), None)]);
        assert_eq!(
            (curated.report.dropped["judge_error"], curated.report.figure("consistency_rate")),
            (2, Some(2.0 / 3.0))
        );
        assert_eq!(SwapConsistency::default().apply(records, 0).unwrap().report.dropped["inconsistent"], 1);
        assert!(!BothOrders { ab: 0.5, ba: 0.4 }.agree() && BothOrders { ab: 0.6, ba: 0.4 }.agree());
        assert_eq!(SwapConsistency::default().apply(vec![], 0).unwrap().report.figure("position_bias"), None);
    }
}
