//! Finite numbers in, finite numbers out.

use burn::tensor::DType;

use crate::{
    batch::Batch,
    loss::Target,
    report::Disagreement,
    runner::{Law, Verdict},
    strategy::Inputs,
    subject::Subject,
    tensors::Layout,
};

/// Log-ratios up to ±1e4 and empty completions give finite losses and gradients in f64 and in f32.
pub(super) fn finite<'a>() -> Law<'a> {
    Law::new("finite", Inputs { extreme: true, ..Inputs::default() }, |subject, case| {
        for dtype in [DType::F64, DType::F32] {
            check(subject, &case.batch, dtype)?;
        }
        Ok(Verdict::Holds)
    })
}

fn check(subject: &Subject, batch: &Batch, dtype: DType) -> Result<(), Disagreement> {
    let layout = Layout { dtype, ..Layout::default() };
    let found = subject.gradient(batch, &layout, Target::Loss)?;
    let values = &found.values;
    let reduced = [values.loss, values.numerator, values.denominator];
    let finite = |values: &[f64]| values.iter().all(|value| value.is_finite());
    let columns: [(&str, &[f64]); 5] = [
        ("losses", &values.losses),
        ("weights", &values.weights),
        ("loss, numerator and denominator", &reduced),
        ("gradients", &found.flat()),
        ("gradients behind the mask", &found.behind_the_mask),
    ];
    match columns.into_iter().find(|(_, column)| !finite(column)) {
        None => Ok(()),
        Some((name, column)) => Err(Disagreement::new(format!("finite {name} in {dtype:?}"), format!("{column:?}"))),
    }
}
