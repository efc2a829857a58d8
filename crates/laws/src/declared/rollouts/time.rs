//! Advantages over time, from rewards and values.

use super::{advantages, plain};
use crate::{
    batch::Response,
    compare::{ROUNDING, same, same_column},
    report::Disagreement,
    runner::{Law, Need, Verdict},
};

/// `R + discount · V(next) − V` of each token; the reward is the last one's.
fn differences(response: &Response, discount: f64) -> Vec<f64> {
    let values = &response.tokens["values"];
    let last = values.len().wrapping_sub(1);
    let difference = |(at, value): (usize, &f64)| {
        let next = values.get(at + 1).copied().unwrap_or(0.0);
        let reward = if at == last { response.columns["rewards"] } else { 0.0 };
        reward + discount * next - value
    };
    values.iter().enumerate().map(difference).collect()
}

/// Sums of differences, each written out.
pub(super) fn temporal_differences<'a>(discount: f64, gae_lambda: f64) -> Law<'a> {
    plain("temporal differences", move |subject, case| {
        let found = advantages(subject, &case.batch)?;
        for (index, item) in case.batch.items.iter().enumerate() {
            for (number, response) in item.responses.iter().enumerate() {
                let differences = differences(response, discount);
                let sum = |from: usize| -> f64 {
                    let terms = differences[from..].iter().enumerate();
                    terms.map(|(step, difference)| (discount * gae_lambda).powi(step as i32) * difference).sum()
                };
                let expected: Vec<f64> = (0..differences.len()).map(sum).collect();
                let what = format!("of response {number} of item {index} the advantages");
                same_column(&what, &expected, &found[index][number], ROUNDING)?;
            }
        }
        Ok(Verdict::Holds)
    })
}

/// Whatever stands between, the sum is the reward less the first value.
pub(super) fn telescopes<'a>() -> Law<'a> {
    let law = plain("telescoping", |subject, case| {
        let found = advantages(subject, &case.batch)?;
        let mut verdict = Verdict::PutAside;
        for (index, item) in case.batch.items.iter().enumerate() {
            for (number, response) in item.responses.iter().enumerate() {
                let Some(first) = response.tokens["values"].first() else { continue };
                let what = format!("of response {number} of item {index} the sum of advantages");
                same(&what, response.columns["rewards"] - first, found[index][number].iter().sum(), ROUNDING)?;
                verdict = Verdict::Holds;
            }
        }
        Ok::<_, Disagreement>(verdict)
    });
    law.needs(Need::Half, "batches with a token")
}
