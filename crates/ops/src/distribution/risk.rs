//! What measures of risk are made of.

use burn::tensor::{Tensor, activation::relu};

use crate::{Error, Result, check_domain, stable::expm1_minus_x};

/// How much each mass counts when the distribution function is distorted: `g(F_i) − g(F_{i−1})`.
///
/// The masses, finite and ≥ 0 with a positive sum, belong to values in ascending order and are divided by their sum; `g`
/// maps [0, 1] to [0, 1] and ascends from 0 to 1. Above the diagonal it makes low values count more. The result has sum 1.
///
/// # Errors
/// [`Error::Domain`] naming `masses`.
///
/// # Example
/// ```
/// use accordant_ops::distribution::risk::distorted_shares;
/// // The mean of the smaller one of two draws: 1 − (1 − F)².
/// let shares = distorted_shares(&[1.0, 1.0], |p| 1.0 - (1.0 - p) * (1.0 - p))?;
/// assert_eq!(shares, [0.75, 0.25]);
/// # Ok::<(), accordant_ops::Error>(())
/// ```
#[doc(alias = "distortion risk measure")]
pub fn distorted_shares(masses: &[f64], g: impl Fn(f64) -> f64) -> Result<Vec<f64>> {
    const EXPECTED: &str = "finite, >= 0 and not all 0";
    if let Some(&bad) = masses.iter().find(|mass| !(mass.is_finite() && **mass >= 0.0)) {
        return Err(Error::Domain { name: "masses", expected: EXPECTED, got: bad });
    }
    let total: f64 = masses.iter().sum();
    check_domain(total > 0.0 && total.is_finite(), "masses", EXPECTED, total)?;
    let last = masses.iter().rposition(|mass| *mass > 0.0);
    let (mut below, mut reached) = (0.0, 0.0);
    let shares = masses.iter().enumerate().map(|(i, mass)| {
        below += mass;
        // Rounding is not to take anything from the last one.
        let now = if Some(i) >= last { 1.0 } else { g((below / total).min(1.0)) };
        let share = now - reached;
        reached = now;
        share
    });
    Ok(shares.collect())
}

/// How much each mass counts in the mean of the worst share `alpha`: `|[F_{i−1}, F_i] ∩ [0, α]|/α`.
///
/// # Errors
/// [`Error::Domain`] naming `alpha`, in (0, 1], or `masses`.
///
/// # Example
/// ```
/// use accordant_ops::distribution::risk::tail_shares;
/// assert_eq!(tail_shares(&[1.0, 1.0, 2.0], 0.5)?, [0.5, 0.5, 0.0]);
/// # Ok::<(), accordant_ops::Error>(())
/// ```
#[doc(alias = "CVaR")]
pub fn tail_shares(masses: &[f64], alpha: f64) -> Result<Vec<f64>> {
    check_domain(alpha > 0.0 && alpha <= 1.0, "alpha", "in (0, 1]", alpha)?;
    distorted_shares(masses, |p| (p / alpha).min(1.0))
}

/// Where the exponential of [`itakura_saito`] is continued by its tangent. In f32, e^20 times an error of 1e4 is far from
/// overflow.
pub const ITAKURA_SAITO_Z_MAX: f64 = 20.0;

/// `e^z − z − 1`, and beyond `z` = 20 its tangent there.
///
/// With `z = β (y − v)` for samples `y`, its mean is least at the entropic risk measure `v = (1/β) log E[e^{βy}]`. 0 at
/// `z` = 0 and positive elsewhere, about `z²/2` nearby; no equals are subtracted. The derivative is `e^z − 1`, at most
/// `e^20 − 1`.
///
/// # Shapes
/// `[..]`, as is the result, in the dtype of `z`.
///
/// # Example
/// ```
/// use accordant_ops::distribution::risk::itakura_saito;
/// use burn::tensor::{Device, Tensor};
/// let losses = itakura_saito(Tensor::<1>::from_floats([0.0, -0.5], &Device::flex()));
/// let losses = losses.try_to_vec_as::<f32>().unwrap();
/// assert!(losses[0] == 0.0 && (losses[1] - 0.106_530_66).abs() < 1e-7); // e^{−½} − ½
/// ```
#[doc(alias = "2505.16925")]
#[doc(alias = "Risk-Averse Reinforcement Learning with Itakura-Saito Loss")]
pub fn itakura_saito<const D: usize>(z: Tensor<D>) -> Tensor<D> {
    // Not `z − capped`: two slopes of e^20 would have to cancel, and leave 1e-7 of them.
    let beyond = relu(z.clone() - ITAKURA_SAITO_Z_MAX) * ITAKURA_SAITO_Z_MAX.exp_m1();
    expm1_minus_x(z.clamp_max(ITAKURA_SAITO_Z_MAX)) + beyond
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stable::testing::{assert_close, assert_gradient, value_and_grad};

    #[test]
    fn shares_by_hand() {
        let close = |got: Vec<f64>, expected: &[f64]| {
            assert!(got.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-15), "{got:?}");
            assert!((got.iter().sum::<f64>() - 1.0).abs() < 1e-15);
        };
        close(distorted_shares(&[1.0, 3.0, 4.0], |p| p).unwrap(), &[0.125, 0.375, 0.5]);
        close(distorted_shares(&[1.0, 1.0, 2.0], f64::sqrt).unwrap(), &[0.5, 0.5f64.sqrt() - 0.5, 1.0 - 0.5f64.sqrt()]);
        close(tail_shares(&[1.0, 3.0, 4.0], 0.25).unwrap(), &[0.5, 0.5, 0.0]);
        close(tail_shares(&[0.0, 1.0, 0.0], 0.1).unwrap(), &[0.0, 1.0, 0.0]);
        // Ten tenths are less than 1.
        close(tail_shares(&[0.1; 10], 1.0).unwrap(), &[0.1; 10]);
    }

    #[test]
    fn senseless_masses_and_shares_are_refused_by_name() {
        for masses in [&[][..], &[0.0, 0.0], &[1.0, -1.0], &[f64::NAN], &[f64::INFINITY]] {
            let error = tail_shares(masses, 0.5).unwrap_err().to_string();
            assert!(error.starts_with("`masses`: expected finite, >= 0 and not all 0"), "{error}");
        }
        for alpha in [0.0, -0.5, 1.1, f64::NAN] {
            assert!(tail_shares(&[1.0], alpha).unwrap_err().to_string().starts_with("`alpha`"));
        }
    }

    #[test]
    fn beyond_20_the_itakura_saito_loss_is_linear() {
        let slope = 20f64.exp_m1();
        let (values, grads) = value_and_grad(&[-1e4, 0.0, 3.0, 20.0, 25.0, 1e4], itakura_saito);
        let expected = [9999.0, 0.0, 3f64.exp() - 4.0, slope - 20.0, slope - 20.0 + 5.0 * slope];
        assert_close(&values[..5], &expected, 1e-14);
        assert_close(&values[5..], &[slope - 20.0 + 9980.0 * slope], 1e-14);
        assert_close(&grads, &[-1.0, 0.0, 3f64.exp_m1(), slope, slope, slope], 1e-14);
        assert_gradient(&[-3.0, -0.4, 1e-3, 0.7, 2.0], itakura_saito);
    }
}
