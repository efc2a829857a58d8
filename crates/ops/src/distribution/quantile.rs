//! Quantiles: distributions as numbers of fixed probability.
//!
//! **Papers:** Distributional Reinforcement Learning with Quantile Regression (2017), 1710.10044; Implicit Quantile Networks
//! for Distributional Reinforcement Learning (2018), 1806.06923.

use burn::tensor::Tensor;

use super::{along_last, risk::tail_shares, widened};
use crate::{
    Error, Result, check_domain,
    stable::{huber, wide},
};

/// The probabilities that `num` quantiles stand for when each has the mass 1/num: the midpoints `τ_i = (i + ½)/num`.
///
/// # Example
/// ```
/// assert_eq!(accordant_ops::distribution::quantile::midpoints(2), [0.25, 0.75]);
/// ```
pub fn midpoints(num: usize) -> Vec<f64> {
    (0..num).map(|i| (i as f64 + 0.5) / num as f64).collect()
}

/// Losses of errors `u = sample − quantile`, one by one.
///
/// ```text
/// |τ − 1[u < 0]| Huber_κ(u)/κ
/// κ = 0: u (τ − 1[u < 0]), the pinball loss
/// ```
///
/// The mean over samples of the pinball loss is least at a `τ`-quantile of theirs. Huber's loss is divided by κ so that
/// κ → 0 is the pinball loss. Linear beyond κ: errors of 1e4 are harmless. Lower errors weigh `1 − τ`, the others `τ`.
///
/// # Shapes
/// `errors`: `[..]`, as is the result, in f64 for f64 and f32 otherwise; `levels` (τ, in (0, 1), constants): the same, or of
/// length 1 where they are to be repeated. `kappa` (κ) is finite and ≥ 0, in the unit of the errors.
///
/// # Errors
/// A shape error naming `levels`; a domain error naming `kappa`.
///
/// # Example
/// ```
/// use accordant_ops::distribution::quantile::quantile_huber;
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let errors = Tensor::<1>::from_floats([4.0, -4.0], &device);
/// let losses = quantile_huber(errors, Tensor::from_floats([0.25], &device), 0.0)?;
/// assert_eq!(losses.try_to_vec_as::<f32>().unwrap(), [1.0, 3.0]);
/// # Ok::<(), accordant_ops::Error>(())
/// ```
#[doc(alias = "pinball loss")]
#[doc(alias = "quantile loss")]
pub fn quantile_huber<const D: usize>(errors: Tensor<D>, levels: Tensor<D>, kappa: f64) -> Result<Tensor<D>> {
    if !errors.dims().iter().zip(levels.dims()).all(|(errors, levels)| levels == 1 || levels == *errors) {
        let (expected, got) = (errors.dims().to_vec(), levels.dims().to_vec());
        return Err(Error::ShapeMismatch { name: "levels", expected, got });
    }
    check_kappa(kappa)?;
    let errors = widened(errors);
    let levels = levels.detach().cast(errors.dtype());
    let below = errors.clone().lower_scalar(0.0).cast(wide(errors.dtype()));
    let sizes = if kappa == 0.0 { errors.abs() } else { huber(errors, kappa)? * kappa.recip() };
    Ok((levels - below).abs() * sizes)
}

/// Checks κ.
///
/// # Errors
/// A domain error naming `kappa`.
pub fn check_kappa(kappa: f64) -> Result<()> {
    check_domain(kappa.is_finite() && kappa >= 0.0, "kappa", "finite and >= 0", kappa)
}

/// Conditional value at risk: the mean of the worst share `alpha` of the distribution, with a gradient.
///
/// ```text
/// Σ_i w_i q_i,   w_i = |[i/n, (i+1)/n] ∩ [0, α]|/α
/// ```
///
/// Each quantile stands for the mass 1/n around its probability. Where `alpha` is a multiple of 1/n this is the mean of the
/// quantiles below it; otherwise, the next one counts in part. 1 gives the mean of the distribution. Quantiles are taken
/// in the order of their probabilities, also where they cross.
///
/// # Shapes
/// `quantiles`: `[.., n]`; the result: `[.., 1]`, in f64 for f64 and f32 otherwise. `alpha` lies in `(0, 1]`.
///
/// # Errors
/// A domain error naming `alpha`, or `quantiles` when there is none.
///
/// # Example
/// ```
/// use accordant_ops::distribution::quantile::cvar;
/// use burn::tensor::{Device, Tensor};
/// let quantiles = Tensor::<1>::from_floats([-4.0, 0.0, 2.0, 6.0], &Device::flex());
/// assert_eq!(cvar(quantiles.clone(), 0.5)?.into_scalar::<f32>(), -2.0);
/// assert_eq!(cvar(quantiles, 1.0)?.into_scalar::<f32>(), 1.0);
/// # Ok::<(), accordant_ops::Error>(())
/// ```
#[doc(alias = "expected shortfall")]
pub fn cvar<const D: usize>(quantiles: Tensor<D>, alpha: f64) -> Result<Tensor<D>> {
    let n = quantiles.dims()[D - 1];
    check_domain(n > 0, "quantiles", "at least one", n as f64)?;
    let shares = tail_shares(&vec![1.0; n], alpha)?;
    let quantiles = widened(quantiles);
    let shares = along_last(shares, &quantiles);
    Ok((quantiles * shares).sum_dim(D - 1))
}

#[cfg(test)]
mod tests {
    use burn::tensor::{DType, Device};

    use super::*;
    use crate::stable::testing::{assert_close, assert_gradient, host, tracked, value_and_grad};

    fn losses(errors: &[f64], level: f64, kappa: f64) -> Vec<f64> {
        host(quantile_huber(tracked(errors), tracked(&[level]), kappa).unwrap())
    }

    #[test]
    fn values_by_hand() {
        assert_eq!(midpoints(4), [0.125, 0.375, 0.625, 0.875]);
        assert_eq!(losses(&[-1.0, 0.0, 3.0], 0.25, 0.0), [0.75, 0.0, 0.75]);
        // κ = 2: (2 (3 − 1))/2 and ½/2.
        assert_eq!(losses(&[3.0, -1.0], 0.5, 2.0), [1.0, 0.125]);
        // κ = 1 at three quarters: ½ and 2.5 below.
        assert_eq!(losses(&[-1.0, -3.0, 1.0], 0.75, 1.0), [0.125, 0.625, 0.375]);
        assert_close(&losses(&[1.0, -1.5], 0.25, 1e-9), &losses(&[1.0, -1.5], 0.25, 0.0), 1e-8);
        // A level for each error.
        let each = quantile_huber(tracked(&[2.0, -2.0]), tracked(&[0.25, 0.75]), 0.0).unwrap();
        assert_eq!(host(each), [0.5, 0.5]);
    }

    #[test]
    fn minimizers_are_quantiles() {
        let samples = [5.0, 1.0, 4.0, 2.0, 3.0];
        let at = |quantile: f64, level| losses(&samples.map(|s| s - quantile), level, 0.0).iter().sum::<f64>();
        for (level, best) in [(0.25, 2.0), (0.5, 3.0), (0.75, 4.0)] {
            for step in [-0.5, -1e-3, 1e-3, 0.5] {
                assert!(at(best + step, level) > at(best, level), "{level}");
            }
        }
        // The whole interval between two samples where the share below is the level.
        assert!((at(1.2, 0.2) - at(1.9, 0.2)).abs() < 1e-15);
    }

    #[test]
    fn gradients_equal_finite_differences_and_levels_are_constants() {
        for kappa in [0.0, 0.6, 1.0] {
            assert_gradient(&[0.5, -0.3, 2.0, -1.7, 1e4], |u| quantile_huber(u, tracked(&[0.3]), kappa).unwrap());
        }
        let (errors, levels) = (tracked(&[0.5]), tracked(&[0.3]));
        let grads = quantile_huber(errors, levels.clone(), 1.0).unwrap().backward();
        assert!(levels.grad(&grads).is_none());
    }

    #[test]
    fn the_lower_tail_by_hand() {
        let quantiles = [-4.0, 0.0, 2.0, 6.0];
        for (alpha, expected) in
            [(0.25, -4.0), (0.1, -4.0), (0.5, -2.0), (0.3, -4.0 * 0.25 / 0.3), (0.75, -2.0 / 3.0), (1.0, 1.0)]
        {
            assert_close(&host(cvar(tracked(&quantiles), alpha).unwrap()), &[expected], 1e-14);
        }
        let (_, grad) = value_and_grad(&quantiles, |q| cvar(q, 0.375).unwrap());
        assert!(grad.iter().zip([2.0 / 3.0, 1.0 / 3.0, 0.0, 0.0]).all(|(a, b)| (a - b).abs() < 1e-15), "{grad:?}");
    }

    #[test]
    fn half_precision_is_computed_in_f32_and_nothing_gives_nothing() {
        let half = |numbers: &[f64]| tracked(numbers).cast(DType::BF16);
        let loss = quantile_huber(half(&[1.0]), half(&[0.25]), 0.0).unwrap();
        assert_eq!((loss.dtype(), host(loss)), (DType::F32, vec![0.25]));
        let tail = cvar(half(&[1.0, 3.0]), 0.5).unwrap();
        assert_eq!((tail.dtype(), host(tail)), (DType::F32, vec![1.0]));
        let none = Tensor::<2>::zeros([0, 3], (&Device::flex(), DType::F64));
        assert_eq!(cvar(none.clone(), 0.5).unwrap().dims(), [0, 1]);
        let levels = Tensor::<2>::zeros([1, 3], (&Device::flex(), DType::F64));
        assert_eq!(quantile_huber(none, levels, 1.0).unwrap().dims(), [0, 3]);
    }

    #[test]
    fn senseless_input_is_refused_by_name() {
        let starts = |error: Error, name| assert!(error.to_string().starts_with(name), "{error}");
        for kappa in [-1.0, f64::NAN, f64::INFINITY] {
            starts(quantile_huber(tracked(&[1.0]), tracked(&[0.5]), kappa).unwrap_err(), "`kappa`");
        }
        starts(quantile_huber(tracked(&[1.0]), tracked(&[0.5; 2]), 1.0).unwrap_err(), "`levels`: expected shape [1]");
        starts(cvar(tracked(&[]), 0.5).unwrap_err(), "`quantiles`");
        for alpha in [0.0, -0.5, 1.1, f64::NAN] {
            starts(cvar(tracked(&[1.0]), alpha).unwrap_err(), "`alpha`");
        }
    }
}
