//! Advantages over time, from rewards and values.

use super::{advantages, plain};
use crate::{
    batch::Response,
    compare::{ROUNDING, same, same_column},
    report::Disagreement,
    runner::{Law, Need, Verdict},
    tensors::Layout,
};

/// `Σ_k decay^k (R + discount · V(next) − V)` from each position on, each written out; the reward is the last one's.
fn sums(values: &[f64], reward: f64, discount: f64, gae_lambda: f64) -> Vec<f64> {
    let last = values.len().wrapping_sub(1);
    let difference = |(at, value): (usize, &f64)| {
        let next = values.get(at + 1).copied().unwrap_or(0.0);
        let reward = if at == last { reward } else { 0.0 };
        reward + discount * next - value
    };
    let differences: Vec<f64> = values.iter().enumerate().map(difference).collect();
    let sum = |from: usize| -> f64 {
        let terms = differences[from..].iter().enumerate();
        terms.map(|(step, difference)| (discount * gae_lambda).powi(step as i32) * difference).sum()
    };
    (0..differences.len()).map(sum).collect()
}

/// Sums of differences.
pub(super) fn temporal_differences<'a>(discount: f64, gae_lambda: f64) -> Law<'a> {
    plain("temporal differences", move |subject, case| {
        let found = advantages(subject, &case.batch)?;
        for (index, item) in case.batch.items.iter().enumerate() {
            for (number, response) in item.responses.iter().enumerate() {
                let (values, reward) = (&response.tokens["values"], response.columns["rewards"]);
                let expected = sums(values, reward, discount, gae_lambda);
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

/// Sums of differences where the position behind the last token has the reward, and a value.
pub(super) fn past_the_end<'a>(discount: f64, gae_lambda: f64) -> Law<'a> {
    let law = plain("score past the end", move |subject, case| {
        let mut random = case.random();
        let slot = (random.below(17) as f64 - 8.0) / 8.0;
        let responses = || case.batch.items.iter().flat_map(|item| &item.responses);
        let longest = responses().map(Response::len).max().unwrap_or(0);
        let (mut with, mut without) = (false, false);
        for after in [0, 1] {
            let layout = Layout { after, reference_filler: slot, ..Layout::default() };
            let found = subject.values(&case.batch, &layout)?.advantages;
            for (response, found) in responses().zip(found.iter().flatten()) {
                let has_slot = response.len() < longest + after;
                let mut values = response.tokens["values"].clone();
                values.extend(has_slot.then_some(slot));
                let mut expected = sums(&values, response.columns["rewards"], discount, gae_lambda);
                expected.truncate(response.len());
                let what = format!("with the values {values:?} and the reward at the last of them, advantages");
                same_column(&what, &expected, found, ROUNDING)?;
                with |= has_slot && !response.is_empty();
                without |= !has_slot && !response.is_empty();
            }
        }
        Ok(if with && without { Verdict::Holds } else { Verdict::PutAside })
    });
    law.needs(Need::Half, "batches with a token")
}
