//! Comparing numbers, and saying where they differ.

use crate::{
    loss::{Gradient, Values},
    report::Disagreement,
};

/// What two ways to the same f64 number may differ by, relative to it and to 1: sums in another order.
pub(crate) const ROUNDING: f64 = 1e-10;

/// Whether two numbers agree. NaN agrees with NaN: that there is one is for the law of finiteness to say.
pub(crate) fn close(a: f64, b: f64, tolerance: f64) -> bool {
    a == b || a.is_nan() && b.is_nan() || (a - b).abs() <= tolerance * a.abs().max(b.abs()).max(1.0)
}

/// That two numbers agree.
pub(crate) fn same(what: &str, expected: f64, got: f64, tolerance: f64) -> Result<(), Disagreement> {
    match close(expected, got, tolerance) {
        true => Ok(()),
        false => Err(Disagreement::new(format!("{what} {expected}"), format!("{got}"))),
    }
}

/// That two columns agree, entry by entry.
pub(crate) fn same_column(what: &str, expected: &[f64], got: &[f64], tolerance: f64) -> Result<(), Disagreement> {
    let agree = |(a, b): (&f64, &f64)| close(*a, *b, tolerance);
    match expected.len() == got.len() && expected.iter().zip(got).all(agree) {
        true => Ok(()),
        false => Err(Disagreement::new(format!("{what} {expected:?}"), format!("{got:?}"))),
    }
}

/// That everything a loss returns agrees.
pub(crate) fn same_values(expected: &Values, got: &Values) -> Result<(), Disagreement> {
    same_column("losses", &expected.losses, &got.losses, ROUNDING)?;
    same_column("weights", &expected.weights, &got.weights, ROUNDING)?;
    same_advantages(&expected.advantages, &got.advantages)?;
    same_reduced(expected, got)
}

/// That advantages agree, item by item.
pub(crate) fn same_advantages(expected: &[Vec<Vec<f64>>], got: &[Vec<Vec<f64>>]) -> Result<(), Disagreement> {
    for (index, (expected, got)) in expected.iter().zip(got).enumerate() {
        let what = format!("advantages of the tokens of item {index}");
        same_column(&what, &expected.concat(), &got.concat(), ROUNDING)?;
    }
    Ok(())
}

/// That what a loss returns for the whole batch agrees.
pub(crate) fn same_reduced(expected: &Values, got: &Values) -> Result<(), Disagreement> {
    same("numerator", expected.numerator, got.numerator, ROUNDING)?;
    same("denominator", expected.denominator, got.denominator, ROUNDING)?;
    same("loss", expected.loss, got.loss, ROUNDING)
}

/// That values and gradients agree.
pub(crate) fn same_gradient(expected: &Gradient, got: &Gradient) -> Result<(), Disagreement> {
    same_values(&expected.values, &got.values)?;
    same_column("gradient", &expected.flat(), &got.flat(), ROUNDING)
}
