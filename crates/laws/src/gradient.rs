//! Finite differences in f64: central, with Richardson extrapolation, and kinks kept at a distance.

use crate::report::Disagreement;

/// The step for arguments of about 1. Halved once; the truncation error of the extrapolation is then about 1e-16 times
/// the fifth derivative, and rounding costs about 1e-12 times the value.
pub const STEP: f64 = 2e-4;

/// A derivative and how far it may be off.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The extrapolated derivative.
    pub value: f64,
    /// How much two step sizes differ: small for a smooth function, of the order of the jump near a kink.
    pub error: f64,
}

/// How a claimed derivative compares with an estimate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Agreement {
    /// Equal within the estimate's error.
    Agrees,
    /// The estimate is no good here: a kink is near, or the function is flat down to rounding.
    Unsure,
    /// Wrong.
    Differs,
}

/// `(f(at + step) - f(at - step)) / (2 step)`.
///
/// # Example
/// ```
/// use accordant_laws::gradient::central;
/// assert!((central(|x| x * x, 3.0, 1e-3) - 6.0).abs() < 1e-9);
/// ```
pub fn central(mut f: impl FnMut(f64) -> f64, at: f64, step: f64) -> f64 {
    (f(at + step) - f(at - step)) / (2.0 * step)
}

/// The derivative of `f` from central differences of `step` and `step / 2`.
///
/// # Example
/// ```
/// use accordant_laws::gradient::richardson;
/// let estimate = richardson(f64::exp, 1.0, 1e-2);
/// assert!((estimate.value - 1f64.exp()).abs() < 1e-9 && estimate.error < 1e-4);
/// // A kink at a quarter of the step: the two steps disagree.
/// assert!(richardson(f64::abs, 0.75e-2, 1e-2).error > 0.1);
/// ```
pub fn richardson(mut f: impl FnMut(f64) -> f64, at: f64, step: f64) -> Estimate {
    extrapolate(central(&mut f, at, step), central(&mut f, at, step / 2.0))
}

/// Extrapolates central differences of a step and of half of it.
pub fn extrapolate(coarse: f64, fine: f64) -> Estimate {
    Estimate { value: (4.0 * fine - coarse) / 3.0, error: (fine - coarse).abs() }
}

impl Estimate {
    /// Compares with a claimed derivative. `scale` is the sum of the absolute terms that the derivative is made of,
    /// `magnitude` that of the values that were subtracted.
    pub fn judge(&self, claimed: f64, scale: f64, magnitude: f64) -> Agreement {
        let scale = scale.max(self.value.abs());
        // What rounding the values costs a difference of the fine step.
        let noise = 8.0 * f64::EPSILON * magnitude / STEP;
        if self.error.is_nan() || self.error > 1e-4 * scale + noise {
            return Agreement::Unsure;
        }
        match (claimed - self.value).abs() <= 1e-9 * scale + self.error + noise {
            true => Agreement::Agrees,
            false => Agreement::Differs,
        }
    }
}

/// Checks the gradient of a scalar function, coordinate by coordinate.
///
/// # Errors
/// The coordinate that is wrong, or that fewer than half of the coordinates could be judged.
///
/// # Example
/// ```
/// use accordant_laws::gradient::check_gradient;
/// let f = |x: &[f64]| x[0] * x[1] + x[1].sin();
/// check_gradient(f, &[2.0, 0.5], &[0.5, 2.0 + 0.5f64.cos()])?;
/// let wrong = check_gradient(f, &[2.0, 0.5], &[0.5, 2.0 - 0.5f64.cos()]).unwrap_err();
/// assert!(wrong.expected.starts_with("derivative 2.87758256"));
/// # Ok::<(), accordant_laws::report::Disagreement>(())
/// ```
pub fn check_gradient(f: impl Fn(&[f64]) -> f64, at: &[f64], gradient: &[f64]) -> Result<(), Disagreement> {
    if at.len() != gradient.len() {
        return Err(Disagreement::new(format!("{} derivatives", at.len()), format!("{}", gradient.len())));
    }
    let magnitude = f(at).abs();
    let mut unsure = 0;
    for (index, (&center, &claimed)) in at.iter().zip(gradient).enumerate() {
        let along = |value| {
            let mut point = at.to_vec();
            point[index] = value;
            f(&point)
        };
        let estimate = richardson(along, center, STEP);
        match estimate.judge(claimed, claimed.abs(), magnitude) {
            Agreement::Agrees => {}
            Agreement::Unsure => unsure += 1,
            Agreement::Differs => return Err(wrong(&format!("in coordinate {index}"), estimate, claimed)),
        }
    }
    match 2 * unsure <= at.len() {
        true => Ok(()),
        false => Err(Disagreement::new("a smooth function", format!("kinks in {unsure} of {} coordinates", at.len()))),
    }
}

pub(crate) fn wrong(what: &str, estimate: Estimate, claimed: f64) -> Disagreement {
    let expected = format!("derivative {} {what} by finite differences (±{:.0e})", estimate.value, estimate.error);
    Disagreement::new(expected, format!("{claimed}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kink_at_a_distance_is_no_trouble_and_one_nearby_is_put_aside() {
        check_gradient(|x| x[0].abs(), &[0.1], &[1.0]).unwrap();
        let near = richardson(f64::abs, STEP / 4.0, STEP);
        assert_eq!(near.judge(1.0, 1.0, 1.0), Agreement::Unsure);
        let error = check_gradient(|x| x[0].abs(), &[STEP / 4.0], &[1.0]).unwrap_err();
        assert_eq!(error.got, "kinks in 1 of 1 coordinates");
    }

    #[test]
    fn an_error_of_single_precision_is_found() {
        let beta = 0.1;
        let f = |x: &[f64]| (-beta * x[0]).exp().ln_1p();
        let right = -beta / (1.0 + (beta * 1.5f64).exp());
        check_gradient(f, &[1.5], &[right]).unwrap();
        check_gradient(f, &[1.5], &[right * f64::from(0.1f32) / 0.1]).unwrap_err();
    }

    #[test]
    fn a_gradient_of_the_wrong_length_is_an_error() {
        assert_eq!(check_gradient(|_| 0.0, &[1.0], &[]).unwrap_err().expected, "1 derivatives");
    }
}
