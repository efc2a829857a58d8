//! Running the laws: all of a subject's, two subjects against each other, and devices against f64.

use burn::tensor::{DType, Device};

use crate::{
    batch::Batch,
    compare::{same, same_column},
    declared, laws,
    loss::Target,
    report::{Disagreement, Report, Violation},
    runner::{Law, Verdict},
    strategy::{Hooks, Inputs},
    subject::{Family, Subject},
    tensors::Layout,
};

/// Tests all laws of the subject's family and all that it declares, and stops at the first that does not hold.
///
/// Batches are the same on every run; each law sees 16 of them, or `PROPTEST_CASES`.
///
/// # Errors
/// The law that does not hold.
pub fn check(subject: &Subject) -> Result<Report, Violation> {
    run(subject, laws::of(subject))
}

/// Tests all laws and returns every one that does not hold.
pub fn check_all(subject: &Subject) -> Vec<Violation> {
    if let Err(violation) = ready(subject, &laws::of(subject)) {
        return vec![violation];
    }
    let kept = laws::of(subject).into_iter().filter(|law| exception(subject, law).is_none());
    kept.filter_map(|law| law.run(subject).err()).collect()
}

/// The names of the laws that [`check`] tests, in its order; [`Subject::except`] takes them.
pub fn law_names(subject: &Subject) -> Vec<String> {
    laws::of(subject).into_iter().map(|law| law.name).collect()
}

fn exception<'a>(subject: &Subject<'a>, law: &Law) -> Option<&'static str> {
    subject.exceptions.iter().find(|(name, _)| *name == law.name).map(|(_, reason)| *reason)
}

/// That the laws can run as asked: the device knows f64, what is claimed can be, and every exception is one.
fn ready(subject: &Subject, laws: &[Law]) -> Result<(), Violation> {
    let violation = |law: &str, found: Disagreement| Violation {
        subject: subject.name.clone(),
        law: law.to_owned(),
        input: None,
        expected: found.expected,
        got: found.got,
    };
    let device = subject.device();
    if !device.supports_dtype(DType::F64) {
        let found = Disagreement::new("a device that computes in f64", format!("{device:?}"));
        return Err(violation("device", found));
    }
    if let Some(found) = declared::contradiction(subject) {
        return Err(violation("properties", found));
    }
    let unknown = subject.exceptions.iter().find(|(name, _)| laws.iter().all(|law| law.name != *name));
    match unknown {
        None => Ok(()),
        Some((name, _)) => {
            let known: Vec<_> = laws.iter().map(|law| law.name.as_str()).collect();
            let expected = format!("an exception from one of the laws {}", known.join(", "));
            Err(violation("exceptions", Disagreement::new(expected, *name)))
        }
    }
}

fn run(subject: &Subject, laws: Vec<Law>) -> Result<Report, Violation> {
    ready(subject, &laws)?;
    let mut report = Report { subject: subject.name.clone(), ..Report::default() };
    for law in &laws {
        match exception(subject, law) {
            Some(reason) => report.exceptions.push((law.name.clone(), reason.to_owned())),
            None => report.laws.push(law.run(subject)?),
        }
    }
    Ok(report)
}

/// Tests that two losses are the same on every batch, without hooks: the limit in which one method is another.
/// `tolerance` is relative to the loss and to 1. Of rollouts the mean over all and its gradient are compared.
///
/// # Errors
/// A batch on which they differ.
pub fn reduces_to(one: &Subject, other: &Subject, tolerance: f64) -> Result<Report, Violation> {
    reduces_to_after(one, Batch::clone, other, Batch::clone, tolerance)
}

/// [`reduces_to`], where each loss sees the batch after a change: a list of two as a pair, for instance. Batches are made
/// for `one`; both must return as many losses.
///
/// # Errors
/// A batch, before the changes, on which they differ.
pub fn reduces_to_after(
    one: &Subject,
    change_one: impl Fn(&Batch) -> Batch,
    other: &Subject,
    change_other: impl Fn(&Batch) -> Batch,
    tolerance: f64,
) -> Result<Report, Violation> {
    let inputs = Inputs { hooks: Hooks::None, ..Inputs::default() };
    let law = Law::new(format!("reduces to {}", other.name), inputs, |one, case| {
        let (mine, theirs) = (change_one(&case.batch), change_other(&case.batch));
        if one.family == Family::Rollouts {
            // How tokens become one number is a part of the method, and so is a gradient that is not the value's.
            let mine = one.gradient(&mine, &Layout::default(), Target::Loss)?;
            let theirs = other.gradient(&theirs, &Layout::default(), Target::Loss)?;
            same(&format!("the loss of `{}`,", other.name), theirs.values.loss, mine.values.loss, tolerance)?;
            same_column(&format!("the gradient of `{}`,", other.name), &theirs.flat(), &mine.flat(), tolerance)?;
            return Ok(Verdict::Holds);
        }
        let mine = one.values(&mine, &Layout::default())?.losses;
        let theirs = other.values(&theirs, &Layout::default())?.losses;
        same_column(&format!("losses of `{}`,", other.name), &theirs, &mine, tolerance)?;
        Ok(Verdict::Holds)
    });
    let ran = law.run(one)?;
    Ok(Report { subject: one.name.clone(), laws: vec![ran], exceptions: Vec::new() })
}

/// Tests that a loss in f32 on each of these devices, and its gradient, is within f32's reach of those in f64 on the
/// subject's own.
///
/// # Errors
/// The first device that is not, with the batch.
pub fn check_devices(subject: &Subject, devices: &[Device]) -> Result<Report, Violation> {
    let mut report = Report { subject: subject.name.clone(), ..Report::default() };
    for device in devices {
        let law = Law::new(format!("on {device:?}"), Inputs::default(), |subject, case| {
            laws::near_f64(subject, case, device)?;
            Ok(Verdict::Holds)
        });
        report.laws.push(law.run(subject)?);
    }
    Ok(report)
}
