//! Gradients against finite differences.

use crate::{
    batch::Batch,
    gradient::{Agreement, Estimate, STEP, extrapolate, wrong},
    loss::{Target, Values, tokens},
    report::Disagreement,
    runner::{Case, Law, Need, Random, Verdict},
    strategy::Inputs,
    subject::Subject,
    tensors::Layout,
};

/// Along a direction over all tokens: the weighted mean, and a sum of the items' losses with coefficients of chance.
pub(super) fn by_direction<'a>() -> Law<'a> {
    let law = Law::new("finite differences", Inputs::default(), |subject, case| {
        let mut random = case.random();
        let point = off_the_grid(&case.batch, &mut random);
        let direction: Vec<f64> =
            tokens(&point).map(|token| random.uniform(-1.0, 1.0) * token.abs().min(1.0)).collect();
        if direction.is_empty() {
            return Ok(Verdict::PutAside);
        }
        let losses = point.units(subject.family).last().map_or(0, |unit| unit.end);
        let coefficients: Vec<f64> = (0..losses).map(|_| random.uniform(0.5, 1.5)).collect();
        let samples = samples(subject, &point, &direction)?;
        let mut sure = false;
        for target in [Target::Items(&coefficients), Target::Loss] {
            let gradient = subject.gradient(&point, &Layout::default(), target)?.flat();
            let terms = || gradient.iter().zip(&direction).map(|(gradient, along)| gradient * along);
            let (claimed, scale) = (terms().sum::<f64>(), terms().map(f64::abs).sum());
            let (estimate, magnitude) = estimate(&samples, target);
            match estimate.judge(claimed, scale, magnitude) {
                Agreement::Agrees => sure = true,
                Agreement::Unsure => {}
                Agreement::Differs => {
                    let what = match target {
                        Target::Loss => "of the loss along a direction",
                        _ => "of the sum of losses, times coefficients of chance, along a direction",
                    };
                    return Err(wrong(what, estimate, claimed));
                }
            }
        }
        Ok(if sure { Verdict::Holds } else { Verdict::PutAside })
    });
    law.needs(Need::Half, "at least half of the batches far enough from any kink")
}

/// Token by token, on one batch a run.
pub(super) fn by_coordinate<'a>() -> Law<'a> {
    let inputs = Inputs { items: 2..=3, tokens: 3, ..Inputs::default() };
    let law = Law::new("finite differences, token by token", inputs, |subject, case: &Case| {
        let point = off_the_grid(&case.batch, &mut case.random());
        let ones = vec![1.0; point.units(subject.family).last().map_or(0, |unit| unit.end)];
        let target = Target::Items(&ones);
        let gradient = subject.gradient(&point, &Layout::default(), target)?.flat();
        let mut unsure = 0;
        for (index, &claimed) in gradient.iter().enumerate() {
            let mut direction = vec![0.0; gradient.len()];
            direction[index] = 0.1;
            let (estimate, magnitude) = estimate(&samples(subject, &point, &direction)?, target);
            match estimate.judge(0.1 * claimed, 0.1 * claimed.abs(), magnitude) {
                Agreement::Agrees => {}
                Agreement::Unsure => unsure += 1,
                Agreement::Differs => {
                    let estimate = Estimate { value: 10.0 * estimate.value, error: 10.0 * estimate.error };
                    return Err(wrong(&format!("for the scored token {index}"), estimate, claimed));
                }
            }
        }
        Ok(if 2 * unsure <= gradient.len() { Verdict::Holds } else { Verdict::PutAside })
    });
    law.needs(Need::Half, "at least half of the tokens far enough from any kink").at_most(1)
}

/// Log-probabilities a little further from 0, by chance: batches are made of round numbers, on which kinks like to sit.
pub(super) fn off_the_grid(batch: &Batch, random: &mut Random) -> Batch {
    batch.map(|_, item| {
        for policy in item.responses.iter_mut().flat_map(|response| &mut response.policy) {
            *policy = *policy * random.uniform(1.0, 1.1) - random.uniform(0.01, 0.02);
        }
    })
}

/// Values at ± a step and at ± half of it along a direction.
fn samples(subject: &Subject, point: &Batch, direction: &[f64]) -> Result<[Values; 4], Disagreement> {
    let at = |step: f64| {
        let mut along = direction.iter();
        let moved = point.map(|_, item| {
            for policy in item.responses.iter_mut().flat_map(|response| &mut response.policy) {
                *policy += step * along.next().expect("one number for each token");
            }
        });
        subject.values(&moved, &Layout::default())
    };
    Ok([at(STEP)?, at(-STEP)?, at(STEP / 2.0)?, at(-STEP / 2.0)?])
}

/// The derivative of a target from its samples, and the size of the values.
fn estimate(samples: &[Values; 4], target: Target) -> (Estimate, f64) {
    // Each item's difference apart: one huge loss must not drown the others' changes.
    let difference = |plus: &Values, minus: &Values| match target {
        Target::Loss => plus.loss - minus.loss,
        Target::Numerator => plus.numerator - minus.numerator,
        Target::Items(coefficients) => {
            let items = plus.losses.iter().zip(&minus.losses).zip(coefficients);
            items.map(|((plus, minus), coefficient)| coefficient * (plus - minus)).sum()
        }
    };
    let magnitude = match target {
        Target::Loss => samples[0].loss.abs(),
        Target::Numerator => samples[0].numerator.abs(),
        Target::Items(_) => samples[0].losses.iter().map(|loss| loss.abs()).sum(),
    };
    let coarse = difference(&samples[0], &samples[1]) / (2.0 * STEP);
    let fine = difference(&samples[2], &samples[3]) / STEP;
    (extrapolate(coarse, fine), magnitude)
}
