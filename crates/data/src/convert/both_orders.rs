//! A judge's two calls, one in each order of the responses, to one judgment.
//!
//! **Source:** MT-bench's rule for verdicts; the mean for probabilities.

use super::{ConversionReport, Drop, each};
use crate::record::{
    Comparison,
    comparison::{Order, Verdict},
};

/// Settles comparisons that a judge saw in both orders: with probabilities `p_a` becomes their mean, with verdicts
/// `outcome` the winner of both orders or else a tie. What the judge said stays beside it.
///
/// Dropped are comparisons without a judge (`no_judge`), those judged in one order (`one_order`), and those with a call
/// that could not be read (`judge_error`).
///
/// # Example
/// ```
/// use accordant_data::{convert::both_orders, record::Comparison};
/// let judge = serde_json::json!({"model": "j", "order": "both", "first": {"p_first": 0.8}, "second": {"p_first": 0.3}});
/// let row = serde_json::json!({"prompt": "Q", "a": " x", "b": " y", "judge": judge});
/// let (settled, _) = both_orders([serde_json::from_value::<Comparison>(row)?]);
/// assert_eq!(settled[0].p_a, Some(0.75));
/// # Ok::<(), serde_json::Error>(())
/// ```
pub fn both_orders(comparisons: impl IntoIterator<Item = Comparison>) -> (Vec<Comparison>, ConversionReport) {
    each(ConversionReport::new("both_orders", false), comparisons, |comparison, _| {
        let Some(judge) = &comparison.judge else { return Err(Drop("no_judge")) };
        if judge.order != Order::Both {
            return Err(Drop("one_order"));
        }
        let calls = [&judge.first, &judge.second];
        if calls.iter().any(|call| call.as_ref().is_some_and(|call| call.outcome == Some(Verdict::Error))) {
            return Err(Drop("judge_error"));
        }
        let (p_a, outcome) = (judge.p_a(), judge.outcome());
        match (p_a, outcome) {
            (None, None) => Err(Drop("judge_error")),
            (Some(p_a), _) => Ok(vec![Comparison { p_a: Some(p_a), ..comparison }]),
            (None, outcome) => Ok(vec![Comparison { outcome, ..comparison }]),
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::record::comparison::Outcome;

    fn settle(judge: Value) -> Result<(Option<f64>, Option<Outcome>), &'static str> {
        let row = json!({"prompt": "Q", "a": " x", "b": " y", "p_a": 0.125, "judge": judge});
        let mut comparison: Comparison = serde_json::from_value(row).unwrap();
        comparison.p_a = None;
        let (settled, report) = both_orders([comparison]);
        assert!(report.is_conserved());
        settled.first().map(|one| (one.p_a, one.outcome)).ok_or_else(|| report.dropped.into_keys().next().unwrap())
    }

    #[test]
    fn both_orders_are_one_judgment() {
        let judge = |order: &str, first: Value, second: Value| json!({"model": "j", "order": order, "first": first, "second": second});
        let said = |first: &str, second: &str| judge("both", json!({"outcome": first}), json!({"outcome": second}));
        assert_eq!(settle(said("first", "second")), Ok((None, Some(Outcome::A))));
        assert_eq!(settle(said("first", "first")), Ok((None, Some(Outcome::Tie))));
        assert_eq!(settle(said("first", "error")), Err("judge_error"));
        assert_eq!(settle(judge("both", json!({"p_first": 0.5}), json!({}))), Err("judge_error"));
        assert_eq!(
            settle(judge("both", json!({"p_first": 0.5}), json!({"p_first": 0.25, "outcome": "error"}))),
            Err("judge_error")
        );
        assert_eq!(settle(judge("both", json!({"p_first": 0.5}), json!({"p_first": 0.25}))), Ok((Some(0.625), None)));
        assert_eq!(settle(judge("ab", json!({"p_first": 0.5}), json!({}))), Err("one_order"));
        assert_eq!(settle(json!(null)), Err("no_judge"));
    }
}
