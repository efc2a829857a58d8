//! What a constant added to log-ratios does.

use super::{ROUNDING, plain, same_losses};
use crate::{
    batch::{Batch, Response},
    compare::close,
    property::Property,
    runner::{Case, Law, Need, Random, Verdict},
    strategy::{Hooks, Inputs},
    subject::Subject,
    tensors::Layout,
};

/// Lowers the policy's or the reference's log-probabilities by `total` in all, at the first token or spread over all.
/// Only downward: they stay log-probabilities.
pub(super) fn lower(response: &mut Response, policy: bool, total: f64, spread: bool) {
    let tokens = if policy { &mut response.policy } else { &mut response.reference };
    let len = tokens.len();
    match spread {
        true => tokens.iter_mut().for_each(|token| *token -= total / len as f64),
        false => tokens.iter_mut().take(1).for_each(|token| *token -= total),
    }
}

/// A shift for each item, or one for all where items depend on each other.
fn amounts(subject: &Subject, case: &Case, random: &mut Random) -> Vec<f64> {
    let one = random.uniform(0.1, 3.0);
    let shared = subject.declares(Property::BatchStatistics);
    case.batch.items.iter().map(|_| if shared { one } else { random.uniform(0.1, 3.0) }).collect()
}

/// Items in which every response can be shifted; of the others the loss must stay as it is, too, so they stay.
fn shifted(batch: &Batch, policy: bool, spread: bool, amounts: &[f64]) -> Batch {
    batch.map(|index, item| {
        if !item.has_empty_response() {
            item.responses.iter_mut().for_each(|response| lower(response, policy, amounts[index], spread));
        }
    })
}

/// Whether a shift of some items says anything.
fn shiftable(subject: &Subject, batch: &Batch) -> bool {
    let empty = batch.items.iter().filter(|item| item.has_empty_response()).count();
    match subject.declares(Property::BatchStatistics) {
        true => empty == 0,
        false => empty < batch.items.len(),
    }
}

/// Batches without hooks; where items depend on each other, without empty responses, which cannot be shifted.
fn inputs(subject: &Subject) -> Inputs {
    let empty_responses = !subject.declares(Property::BatchStatistics);
    Inputs { hooks: Hooks::None, empty_responses, ..Inputs::default() }
}

pub(super) fn shift_invariant<'a>(subject: &Subject) -> Law<'a> {
    let law = Law::new("shift invariance", inputs(subject), |subject, case| {
        if !shiftable(subject, &case.batch) {
            return Ok(Verdict::PutAside);
        }
        let mut random = case.random();
        let amounts = amounts(subject, case, &mut random);
        let spread = random.below(2) == 0;
        let before = subject.values(&case.batch, &Layout::default())?;
        for (policy, who) in [(true, "the policy's"), (false, "the reference's")] {
            let shifted = shifted(&case.batch, policy, spread, &amounts);
            let after = subject.values(&shifted, &Layout::default())?;
            same_losses(&format!("{who} log-probabilities of all responses fell by {amounts:?}"), &before, &after)?;
        }
        Ok(Verdict::Holds)
    });
    law.needs(Need::Half, "batches with responses that can be shifted")
}

pub(super) fn shift_invariant_per_token<'a>(subject: &Subject) -> Law<'a> {
    let law = Law::new("shift invariance per token", inputs(subject), |subject, case| {
        if !shiftable(subject, &case.batch) {
            return Ok(Verdict::PutAside);
        }
        let amounts = amounts(subject, case, &mut case.random());
        let before = subject.values(&case.batch, &Layout::default())?;
        for (policy, who) in [(true, "the policy's"), (false, "the reference's")] {
            let shifted = case.batch.map(|index, item| {
                if !item.has_empty_response() {
                    for response in &mut item.responses {
                        lower(response, policy, amounts[index] * response.len() as f64, true);
                    }
                }
            });
            let after = subject.values(&shifted, &Layout::default())?;
            same_losses(&format!("{who} log-probabilities of all tokens fell by {amounts:?}"), &before, &after)?;
        }
        Ok(Verdict::Holds)
    });
    law.needs(Need::Half, "batches with responses that can be shifted")
}

pub(super) fn shift_sensitive<'a>() -> Law<'a> {
    let law = plain("shift sensitivity", |subject, case| {
        let amounts = amounts(subject, case, &mut case.random());
        let before = subject.values(&case.batch, &Layout::default())?;
        let after = subject.values(&shifted(&case.batch, true, true, &amounts), &Layout::default())?;
        let mut pairs = before.losses.iter().zip(&after.losses);
        let changed = pairs.any(|(before, after)| !close(*before, *after, 1e3 * ROUNDING));
        Ok(if changed { Verdict::Holds } else { Verdict::PutAside })
    });
    law.needs(Need::One, "a batch whose losses change with all log-ratios")
}
