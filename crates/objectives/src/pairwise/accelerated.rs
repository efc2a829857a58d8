//! Accelerated preference optimization (APO): Nesterov's momentum between rounds of training.
//!
//! **Paper:** Accelerated Preference Optimization for Large Language Model Alignment (2024), 2410.06293.
//! **Use when:** training goes in rounds, each with the policy of the last one as reference (iterative DPO, SPPO). Not to be
//! confused with anchored preference optimization, which has the same initials.
//! **Checked by:** hand-worked values, the fixed point, the limit `alpha = 0`.
//! **Deviations:** none.
//!
//! A round `t` fits `π̂_{t+1}` with any pairwise method against the reference `π_t`, then goes on in the direction in which
//! the fits moved:
//!
//! ```text
//! π_{t+1} ∝ π̂_{t+1} (π̂_{t+1} / π̂_t)^α,   π̂_0 = π_0, so that the first round has no momentum
//! ```
//!
//! [`extrapolate_logps`] is this exactly, over the tokens of a vocabulary or a finite set of candidates;
//! [`extrapolate_params`] does it to a model's parameters, which is how a language model is stepped.

use accordant_ops::{check_domain, check_dtype, check_shape, stable::log_sum_exp};
use burn::tensor::Tensor;

use crate::Result;

/// The log-probabilities of the extrapolated policy over the last dimension, normalized.
///
/// ```text
/// log π_{t+1} = log softmax(ℓ_{t+1} + α (ℓ_{t+1} − ℓ_t)),   ℓ = log π̂
/// ```
///
/// What `current` gives no probability (−∞) gets none. What `previous` gives none and `current` some would get it all:
/// such a row is NaN; policies with a softmax have none.
///
/// # Shapes
/// `current` (ℓ_{t+1}), `previous` (ℓ_t) and the result: `[.., choices]`. `alpha` in `[0, 1)`, about 0.3; with 0, or where
/// both are equal, the result is `current`, normalized.
///
/// # Errors
/// A shape or dtype error naming `previous`; a domain error naming `alpha`.
///
/// # Example
/// ```
/// use accordant_objectives::pairwise::accelerated::extrapolate_logps;
/// use burn::tensor::{Device, Tensor};
/// let logs = |probs: [f32; 2]| Tensor::<1>::from_floats(probs, &Device::flex()).log();
/// // (1/2, 1/2) times ((1/2)/(1/5), (1/2)/(4/5))^½ is as √(1/5) to √(4/5) turned over: 2 to 1.
/// let next = extrapolate_logps(logs([0.5, 0.5]), logs([0.2, 0.8]), 0.5)?.exp();
/// assert!((next.try_to_vec_as::<f32>().unwrap()[0] - 2.0 / 3.0).abs() < 1e-6);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2410.06293")]
#[doc(alias = "Accelerated Preference Optimization for Large Language Model Alignment")]
#[doc(alias = "Nesterov")]
pub fn extrapolate_logps<const D: usize>(current: Tensor<D>, previous: Tensor<D>, alpha: f64) -> Result<Tensor<D>> {
    let impossible = current.clone().equal_scalar(f64::NEG_INFINITY);
    // −∞ − (−∞) is NaN.
    let safe = |logps: Tensor<D>| logps.mask_fill(impossible.clone(), 0.0);
    check_shape("previous", &current.dims(), &previous.dims())?;
    let logits = extrapolate_params(safe(current), safe(previous), alpha)?.mask_fill(impossible, f64::NEG_INFINITY);
    Ok(logits.clone() - log_sum_exp(logits, D - 1))
}

/// Extrapolated parameters, elementwise: `θ_{t+1} = θ̂_{t+1} + α (θ̂_{t+1} − θ̂_t)`.
///
/// # Shapes
/// `current` (θ̂_{t+1}), `previous` (θ̂_t) and the result have one shape. `alpha` in `[0, 1)`, about 0.3; with 0, or where
/// both are equal, the result is `current`.
///
/// # Errors
/// A shape or dtype error naming `previous`; a domain error naming `alpha`.
///
/// # Example
/// ```
/// use accordant_objectives::pairwise::accelerated::extrapolate_params;
/// use burn::tensor::{Device, Tensor};
/// let one = |x: f32| Tensor::<1>::from_floats([x], &Device::flex());
/// assert_eq!(extrapolate_params(one(3.0), one(1.0), 0.5)?.into_scalar::<f32>(), 4.0);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
pub fn extrapolate_params<const D: usize>(current: Tensor<D>, previous: Tensor<D>, alpha: f64) -> Result<Tensor<D>> {
    check_shape("previous", &current.dims(), &previous.dims())?;
    check_dtype("previous", current.dtype(), previous.dtype())?;
    check_domain((0.0..1.0).contains(&alpha), "alpha", "in [0, 1)", alpha)?;
    Ok(current.clone() + (current - previous) * alpha)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pairwise::tests::{column, tensor};

    fn logs(probs: &[f64]) -> Tensor<1> {
        tensor(&probs.iter().map(|p| p.ln()).collect::<Vec<_>>())
    }

    fn assert_close(got: &Tensor<1>, expected: &[f64]) {
        for (got, expected) in column(got).iter().zip(expected) {
            assert!((got - expected).abs() < 1e-14 || got == expected, "{got} {expected}");
        }
    }

    #[test]
    fn policies_by_hand() {
        // p (p/q)^½ = 0.6 √3 and 0.4 √½ over their sum.
        let next = extrapolate_logps(logs(&[0.6, 0.4]), logs(&[0.2, 0.8]), 0.5).unwrap();
        let (a, b) = (0.6 * 3f64.sqrt(), 0.4 * 0.5f64.sqrt());
        assert_close(&next, &[(a / (a + b)).ln(), (b / (a + b)).ln()]);
    }

    #[test]
    fn each_row_is_normalized_on_its_own() {
        let rows = |values: &[f64]| logs(values).reshape([2, 2]);
        let current = rows(&[0.6, 0.4, 0.5, 0.5]);
        let next = extrapolate_logps(current, rows(&[0.2, 0.8, 0.2, 0.8]), 0.5).unwrap();
        let sums = column(&next.clone().exp().sum_dim(1).squeeze_dim::<1>(1));
        assert!(sums.iter().all(|sum| (sum - 1.0).abs() < 1e-14), "{sums:?}");
        assert!((next.slice([1..2, 0..1]).exp().into_scalar::<f64>() - 2.0 / 3.0).abs() < 1e-14);
    }

    #[test]
    fn without_momentum_or_movement_nothing_changes() {
        let (current, previous) = (logs(&[0.6, 0.4]), logs(&[0.2, 0.8]));
        assert_close(&extrapolate_logps(current.clone(), previous.clone(), 0.0).unwrap(), &column(&current));
        assert_close(&extrapolate_logps(current.clone(), current.clone(), 0.9).unwrap(), &column(&current));
        assert_eq!(column(&extrapolate_params(current.clone(), previous, 0.0).unwrap()), column(&current));
        assert_eq!(column(&extrapolate_params(current.clone(), current.clone(), 0.9).unwrap()), column(&current));
    }

    #[test]
    fn what_has_no_probability_gets_none() {
        let next = extrapolate_logps(logs(&[0.6, 0.4, 0.0, 0.0]), logs(&[0.6, 0.3, 0.1, 0.0]), 0.5).unwrap();
        let (a, b) = (0.6, 0.4 * (4f64 / 3.0).sqrt());
        let none = f64::NEG_INFINITY;
        assert_close(&next, &[(a / (a + b)).ln(), (b / (a + b)).ln(), none, none]);
    }

    #[test]
    fn no_rows_and_no_choices_are_taken() {
        for dims in [[0, 3], [2, 0]] {
            let none = || Tensor::<2>::zeros(dims, &burn::tensor::Device::flex());
            assert_eq!(extrapolate_logps(none(), none(), 0.5).unwrap().dims(), dims);
        }
    }

    #[test]
    fn parameters_by_hand() {
        assert_close(&extrapolate_params(tensor(&[1.0, -2.0]), tensor(&[0.0, 2.0]), 0.25).unwrap(), &[1.25, -3.0]);
    }

    #[test]
    fn what_does_not_fit_is_an_error_that_names_it() {
        for alpha in [-0.1, 1.0, f64::NAN] {
            let expected = format!("`alpha`: expected in [0, 1), got {alpha}");
            assert_eq!(extrapolate_params(tensor(&[1.0]), tensor(&[1.0]), alpha).unwrap_err().to_string(), expected);
            assert_eq!(extrapolate_logps(tensor(&[1.0]), tensor(&[1.0]), alpha).unwrap_err().to_string(), expected);
        }
        let expected = "`previous`: expected shape [2], got [1]";
        let (two, one) = (|| tensor(&[0.0, 0.0]), || tensor(&[0.0]));
        assert_eq!(extrapolate_params(two(), one(), 0.1).unwrap_err().to_string(), expected);
        assert_eq!(extrapolate_logps(two(), one(), 0.1).unwrap_err().to_string(), expected);
        let narrow = || one().cast(burn::tensor::FloatDType::F32);
        let expected = "`previous`: expected dtype F64, got F32";
        assert_eq!(extrapolate_params(one(), narrow(), 0.1).unwrap_err().to_string(), expected);
        assert_eq!(extrapolate_logps(one(), narrow(), 0.1).unwrap_err().to_string(), expected);
    }
}
