//! What f32 may cost.

use burn::tensor::{DType, Device};

use super::differences::off_the_grid;
use crate::{
    loss::Target,
    report::Disagreement,
    runner::{Case, Law, Verdict},
    strategy::Inputs,
    subject::Subject,
    tensors::Layout,
};

/// Roundings in a loss, each of which may cost half an ulp of its result.
const ROUNDINGS: f64 = 32.0;

/// What a gradient may be off, relative to the largest of its item. How far it may be depends on second derivatives,
/// which nobody knows here; what is wrong is usually wrong by more.
const GRADIENT: f64 = 1e-2;

/// In f32 a loss is as near to that in f64 as its inputs allow.
pub(super) fn precision<'a>() -> Law<'a> {
    Law::new("f32", Inputs::default(), |subject, case| {
        near_f64(subject, case, &subject.device())?;
        Ok(Verdict::Holds)
    })
}

/// That every item's loss in f32 on `device` is within `c · eps · (|loss| + Σ (1 + |input|) · |gradient|)` of the loss in
/// f64 on the subject's own device, and its gradient within [`GRADIENT`]; the inputs are numbers of f32, off the grid on
/// which kinks like to sit. Losses below f32's normal numbers have fewer digits, or none where a device takes them for 0.
pub(crate) fn near_f64(subject: &Subject, case: &Case, device: &Device) -> Result<(), Disagreement> {
    let batch = &off_the_grid(&case.batch, &mut case.random()).rounded();
    let units = batch.units(subject.family);
    let ones = vec![1.0; units.last().map_or(0, |unit| unit.end)];
    let exact = subject.gradient(batch, &Layout::default(), Target::Items(&ones))?;
    let layout = Layout { dtype: DType::F32, ..Layout::default() };
    let single = subject.gradient_on(batch, &layout, Target::Items(&ones), device)?;
    let advantages = exact.values.advantages.iter().flatten().flatten();
    let largest_advantage = advantages.fold(0f64, |largest, advantage| largest.max(advantage.abs()));
    for (index, (item, gradients)) in batch.items.iter().zip(&exact.scored).enumerate() {
        let unit = &units[index];
        let mut conditioning: f64 = exact.values.losses[unit.clone()].iter().map(|loss| loss.abs()).sum();
        for (response, gradients) in item.responses.iter().zip(gradients) {
            let others = |token: usize| response.tokens.values().map(move |column| column[token].abs()).sum::<f64>();
            let inputs = response.policy.iter().zip(&response.reference).enumerate();
            let inputs = inputs.map(|(token, (p, r))| 1.0 + p.abs() + r.abs() + others(token));
            // A log-ratio is a sum: each of its terms feels the roundings of all.
            conditioning += inputs.zip(gradients).map(|(input, gradient)| input * gradient.abs()).sum::<f64>();
            // So is an advantage, of terms as large as the largest: one near 0 has no digits of its own.
            conditioning += largest_advantage * response.policy.iter().map(|p| 1.0 + p.abs()).sum::<f64>();
        }
        let bound = ROUNDINGS * f64::from(f32::EPSILON) * conditioning + f64::from(f32::MIN_POSITIVE);
        let total = |values: &[f64]| values[unit.clone()].iter().sum::<f64>();
        let (expected, got) = (total(&exact.values.losses), total(&single.values.losses));
        let near = (expected - got).abs() <= bound || expected.is_nan();
        if !near {
            let expected = format!("in f32 the loss {expected} of item {index}, to {bound:e}");
            return Err(Disagreement::new(expected, format!("{got}")));
        }
        let (exact, single) = (gradients.concat(), single.scored[index].concat());
        let largest = exact.iter().fold(0f64, |largest, gradient| largest.max(gradient.abs()));
        // Where a sigmoid saturates, its derivative y (1 − y) has no more digits than 1 has.
        let saturated = ROUNDINGS * f64::from(f32::EPSILON) * (1.0 + expected.abs());
        let bound = GRADIENT * largest + saturated;
        if exact.iter().zip(&single).any(|(exact, single)| (exact - single).abs() > bound || single.is_nan()) {
            let expected = format!("in f32 the gradient {exact:?} of item {index}, to {bound:e}");
            return Err(Disagreement::new(expected, format!("{single:?}")));
        }
    }
    Ok(())
}
