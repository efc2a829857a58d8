//! One line of output for each loss that obeys its laws, with a running total.

use std::{
    io::{self, Write},
    sync::Mutex,
};

use crate::{
    check::check,
    report::{Report, Violation},
    subject::Subject,
};

/// Losses, laws and cases so far in this process.
static TOTAL: Mutex<[usize; 3]> = Mutex::new([0; 3]);

/// [`check`], as the macros call it: panics with the violation, or writes the report and the running total.
///
/// # Panics
/// When a law does not hold, with all that is known about it.
#[track_caller]
pub fn assert_laws(subject: &Subject) {
    match check(subject) {
        Ok(report) => announce(&report),
        Err(violation) => fail(&violation),
    }
}

#[track_caller]
fn fail(violation: &Violation) {
    panic!("{violation}");
}

/// Writes a report, even where the test harness captures what tests print.
fn announce(report: &Report) {
    let mut total = TOTAL.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let new = [1, report.laws.len(), report.cases() as usize];
    total.iter_mut().zip(new).for_each(|(total, new)| *total += new);
    let [losses, laws, cases] = *total;
    // Nobody reads a closed standard output.
    let _ = writeln!(io::stdout(), "{report} (so far: {losses} methods, {laws} laws, {cases} cases)");
}
