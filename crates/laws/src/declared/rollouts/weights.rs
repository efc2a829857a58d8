//! What is learned less from, or not at all: tokens and rows that are weighed or left out.

use super::{each, plain};
use crate::{
    batch::{Batch, Response},
    compare::{ROUNDING, same_column},
    loss::Target,
    property::Ratio,
    runner::{Law, Need, Verdict},
    tensors::Layout,
};

/// What a token counts, and whether it is one that a bound has changed.
type Share = (f64, bool);

/// With the shares of a response's tokens, the gradient of the loss without any is that of the surrogate times the share,
/// and that of the divergence from the reference is untouched. `neutral` takes the shares away; `shares` gets the
/// advantages of the response's tokens, and returns none for a response of which it cannot be told.
fn shared<'a>(
    name: &str,
    neutral: impl Fn(&mut Response) + 'a,
    shares: impl Fn(&Response, &[f64]) -> Option<Vec<Share>> + 'a,
) -> Law<'a> {
    let law = plain(name, move |subject, case| {
        let gradient = |batch: &Batch| subject.gradient(batch, &Layout::default(), Target::Loss);
        let plain = each(&case.batch, |_, response| neutral(response));
        // Where the policy is the reference, there is no divergence.
        let (surrogate, whole) = (gradient(&plain.at_reference())?, gradient(&plain)?);
        let found = gradient(&case.batch)?;
        let (mut changed, mut kept) = (false, false);
        for (index, item) in case.batch.items.iter().enumerate() {
            for (number, response) in item.responses.iter().enumerate() {
                let Some(shares) = shares(response, &found.values.advantages[index][number]) else { continue };
                let (surrogate, whole) = (&surrogate.scored[index][number], &whole.scored[index][number]);
                let terms = shares.iter().zip(surrogate).zip(whole);
                let expected: Vec<f64> =
                    terms.map(|(((share, _), surrogate), whole)| share * surrogate + (whole - surrogate)).collect();
                let what = format!("of response {number} of item {index}, whose tokens count {shares:?}, the gradient");
                same_column(&what, &expected, &found.scored[index][number], ROUNDING)?;
                let some = |bound| shares.iter().zip(surrogate).any(|(share, slope)| share.1 == bound && *slope != 0.0);
                changed |= some(true);
                kept |= some(false);
            }
        }
        Ok(if changed && kept { Verdict::Holds } else { Verdict::PutAside })
    });
    law.needs(Need::One, "a batch with tokens on both sides of the bound")
}

/// No nearer to a bound can a number say on which side it is.
const NEAR: f64 = 1e-9;

/// `first − second` of each token.
fn differences(first: &[f64], second: &[f64]) -> Vec<f64> {
    first.iter().zip(second).map(|(first, second)| first - second).collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// Weights of the old policy over the sampler, between bounds.
pub(super) fn corrects<'a>(ratio: Ratio, min: f64, max: f64, drops: bool) -> Law<'a> {
    let neutral = |response: &mut Response| {
        let old = response.tokens["old"].clone();
        response.tokens.insert("behavior", old);
    };
    shared("weights for the sampler", neutral, move |response, _| {
        let tokens = differences(&response.tokens["old"], &response.tokens["behavior"]);
        let logs = match ratio {
            Ratio::Token => tokens,
            Ratio::Mean => vec![mean(&tokens); tokens.len()],
            Ratio::Sum => vec![tokens.iter().sum(); tokens.len()],
        };
        let weights = logs.iter().map(|log| log.exp());
        let share = |weight: f64| {
            let is_out = weight > max || weight < min;
            let bounded = if drops { 0.0 } else { weight.clamp(min, max) };
            let near = (weight - max).abs() < NEAR || (weight - min).abs() < NEAR;
            (!near).then_some(if is_out { (bounded, true) } else { (weight, false) })
        };
        weights.map(share).collect()
    })
}

/// Rows of negative advantage that are too far from the sampler.
pub(super) fn drops_rows<'a>(threshold: f64) -> Law<'a> {
    let neutral = |response: &mut Response| {
        let policy = response.policy.clone();
        response.tokens.insert("behavior", policy);
    };
    shared("rows far from the sampler", neutral, move |response, advantages| {
        let drift = mean(&differences(&response.tokens["behavior"], &response.policy));
        let far = drift > threshold;
        let share = |advantage: &f64| if far && *advantage < 0.0 { (0.0, true) } else { (1.0, false) };
        ((drift - threshold).abs() > NEAR).then(|| advantages.iter().map(share).collect())
    })
}

/// Tokens of too little entropy.
pub(super) fn drops_tokens<'a>(min_entropy: f64) -> Law<'a> {
    let neutral = move |response: &mut Response| {
        let entropies = response.tokens.entry("entropies");
        entropies.and_modify(|entropies| entropies.iter_mut().for_each(|entropy| *entropy = entropy.max(min_entropy)));
    };
    shared("tokens of little entropy", neutral, move |response, _| {
        let share = |entropy: &f64| if *entropy < min_entropy { (0.0, true) } else { (1.0, false) };
        Some(response.tokens["entropies"].iter().map(share).collect())
    })
}
