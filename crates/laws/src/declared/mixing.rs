//! Pairs the other way around: swaps, doubtful labels, margins.

use super::{ROUNDING, plain, shifts::lower};
use crate::{
    batch::{Batch, Item, Response},
    compare::close,
    property::Property,
    report::Disagreement,
    runner::{Law, Verdict},
    strategy::{Hooks, Inputs},
    subject::Subject,
    tensors::Layout,
};

fn swapped(batch: &Batch) -> Batch {
    batch.map(|_, item| item.responses.reverse())
}

/// The difference of the two responses' log-ratios, or log-probabilities without a reference, as the property says.
fn difference(subject: &Subject, item: &Item, per_token: bool) -> f64 {
    let score = |response: &Response| {
        let sum = match subject.declares(Property::ReferenceFree) {
            true => response.policy.iter().sum(),
            false => response.log_ratio(),
        };
        if per_token { sum / response.len().max(1) as f64 } else { sum }
    };
    score(&item.responses[0]) - score(&item.responses[1])
}

fn same_item(index: usize, what: &str, expected: f64, got: f64) -> Result<(), Disagreement> {
    match close(expected, got, ROUNDING) {
        true => Ok(()),
        false => Err(Disagreement::new(format!("{what} {expected} for item {index}"), format!("{got}"))),
    }
}

/// `loss(w, l) - loss(l, w) = -slope D`.
pub(super) fn swap_difference<'a>(slope: f64, per_token: bool) -> Law<'a> {
    plain("swap difference", move |subject, case| {
        let loss = subject.values(&case.batch, &Layout::default())?.losses;
        let other = subject.values(&swapped(&case.batch), &Layout::default())?.losses;
        for (index, item) in case.batch.items.iter().enumerate() {
            let expected = -slope * difference(subject, item, per_token);
            same_item(index, "loss less that of the swapped pair", expected, loss[index] - other[index])?;
        }
        Ok(Verdict::Holds)
    })
}

/// `loss(p) = p loss(w, l) + (1 - p) loss(l, w)`.
pub(super) fn label_prob_mixes<'a>() -> Law<'a> {
    let inputs = Inputs { hooks: Hooks::Only(&["label_probs"]), ..Inputs::default() };
    Law::new("label probability mixes", inputs, |subject, case| {
        let sure = case.batch.without_column("label_probs");
        let loss = subject.values(&sure, &Layout::default())?.losses;
        let other = subject.values(&swapped(&sure), &Layout::default())?.losses;
        let mixed = subject.values(&case.batch, &Layout::default())?.losses;
        for (index, item) in case.batch.items.iter().enumerate() {
            let p = item.columns.get("label_probs").copied().unwrap_or(1.0);
            let expected = p * loss[index] + (1.0 - p) * other[index];
            let what = format!("at label probability {p} between {} and {} the loss", loss[index], other[index]);
            same_item(index, &what, expected, mixed[index])?;
        }
        Ok(Verdict::Holds)
    })
}

/// A margin `m` is `D - m / beta`; for `m < 0` the rejected response is lowered instead of the chosen one.
pub(super) fn margin_shifts<'a>(beta: f64, per_token: bool) -> Law<'a> {
    let inputs = Inputs { hooks: Hooks::Only(&["margins"]), empty_responses: false, ..Inputs::default() };
    Law::new("margin shifts", inputs, move |subject, case| {
        let shifted = case.batch.without_column("margins").map(|index, item| {
            let margin = case.batch.items[index].columns.get("margins").copied().unwrap_or(0.0);
            let response = &mut item.responses[usize::from(margin < 0.0)];
            let tokens = if per_token { response.len() as f64 } else { 1.0 };
            lower(response, true, tokens * margin.abs() / beta, true);
        });
        let with = subject.values(&case.batch, &Layout::default())?.losses;
        let without = subject.values(&shifted, &Layout::default())?.losses;
        for (index, item) in case.batch.items.iter().enumerate() {
            let margin = item.columns.get("margins").copied().unwrap_or(0.0);
            let what = format!("with margin {margin} the loss as at a difference smaller by {}:", margin / beta);
            same_item(index, &what, without[index], with[index])?;
        }
        Ok(Verdict::Holds)
    })
}
