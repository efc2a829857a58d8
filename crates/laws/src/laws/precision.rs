//! What f32 may cost.

use burn::tensor::{DType, Device};

use crate::{
    batch::Batch,
    loss::{Target, Values},
    report::Disagreement,
    runner::{Law, Verdict},
    strategy::Inputs,
    subject::Subject,
    tensors::Layout,
};

/// Roundings in a loss, each of which may cost half an ulp of its result.
const ROUNDINGS: f64 = 32.0;

/// In f32 a loss is as near to that in f64 as its inputs allow.
pub(super) fn precision<'a>() -> Law<'a> {
    Law::new("f32", Inputs::default(), |subject, case| {
        near_f64(subject, &case.batch.rounded(), &subject.device())?;
        Ok(Verdict::Holds)
    })
}

/// That every item's loss in f32 on `device` is within `c · eps · (|loss| + Σ (1 + |input|) · |gradient|)` of the loss in
/// f64 on the subject's own device; the inputs are numbers of f32.
pub(crate) fn near_f64(subject: &Subject, batch: &Batch, device: &Device) -> Result<Values, Disagreement> {
    let ones = vec![1.0; batch.items.len()];
    let exact = subject.gradient(batch, &Layout::default(), Target::Items(&ones))?;
    let layout = Layout { dtype: DType::F32, ..Layout::default() };
    let (tensors, _) = subject.tensors(batch, &layout, &device.clone().without_autodiff());
    let (_, single) = subject.evaluate(&tensors)?;
    for (index, (item, gradients)) in batch.items.iter().zip(&exact.scored).enumerate() {
        let mut conditioning = exact.values.losses[index].abs();
        for (response, gradients) in item.responses.iter().zip(gradients) {
            let inputs = response.policy.iter().zip(&response.reference);
            let terms = inputs.zip(gradients).map(|((p, r), gradient)| (1.0 + p.abs() + r.abs()) * gradient.abs());
            // A log-ratio is a sum: each of its terms feels the roundings of all.
            conditioning += terms.sum::<f64>();
        }
        let bound = ROUNDINGS * f64::from(f32::EPSILON) * conditioning;
        let (expected, got) = (exact.values.losses[index], single.losses[index]);
        let near = (expected - got).abs() <= bound || expected.is_nan();
        if !near {
            let expected = format!("in f32 the loss {expected} of item {index}, to {bound:e}");
            return Err(Disagreement::new(expected, format!("{got}")));
        }
    }
    Ok(single)
}
