//! Bounds for what is exponentiated.

use burn::tensor::{DType, Tensor};

use crate::{Result, check_domain};

/// The usual bound of a log-ratio that is exponentiated, in nats: verl's. TRL has none, and f32 overflows at 88.
pub const LOG_RATIO_CLAMP: f64 = 20.0;

/// Clamps a log-ratio to `[-bound, bound]` before it is exponentiated; `None` leaves it as it is.
///
/// Policy ratios use [`LOG_RATIO_CLAMP`] unless they reproduce TRL. The gradient beyond the bound is 0, at it 1.
/// `bound` is in nats, finite and > 0.
///
/// # Errors
/// [`crate::Error::Domain`] when `bound` is outside its domain.
///
/// # Example
/// ```
/// use accordant_ops::stable::clamp_exponent;
/// use burn::tensor::{Device, Tensor};
/// let y = clamp_exponent(Tensor::<1>::from_floats([-1e4, 3.0, 1e4], &Device::flex()), Some(20.0))?;
/// assert_eq!(y.into_data().try_to_vec::<f32>().unwrap(), [-20.0, 3.0, 20.0]);
/// # Ok::<(), accordant_ops::Error>(())
/// ```
pub fn clamp_exponent<const D: usize>(log_ratio: Tensor<D>, bound: Option<f64>) -> Result<Tensor<D>> {
    let Some(bound) = bound else { return Ok(log_ratio) };
    check_domain(bound.is_finite() && bound > 0.0, "bound", "finite and > 0", bound)?;
    Ok(log_ratio.clamp(-bound, bound))
}

/// Clamps an exponent from above only; `None` leaves it as it is. [`exponent_max`] is the usual bound.
///
/// For scores that exponentiate a log-probability, where the lower tail is harmless. The gradient beyond the bound is
/// 0.
///
/// # Errors
/// [`crate::Error::Domain`] when `max` is not finite and > 0.
pub fn cap_exponent<const D: usize>(exponent: Tensor<D>, max: Option<f64>) -> Result<Tensor<D>> {
    let Some(max) = max else { return Ok(exponent) };
    check_domain(max.is_finite() && max > 0.0, "max", "finite and > 0", max)?;
    Ok(exponent.clamp_max(max))
}

/// An exponent that every dtype can take: 11 in f16, 700 in f64, 80 in bf16, f32 and anything else.
pub fn exponent_max(dtype: DType) -> f64 {
    match dtype {
        DType::F16 => 11.0,
        DType::F64 => 700.0,
        _ => 80.0,
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;
    use crate::Error;
    use crate::stable::testing::*;

    #[test]
    fn exponents_are_clamped_on_the_sides_that_are_asked_for() {
        let at = [-1e4, -20.0, 0.1, 20.0, 1e4];
        let (values, grads) = value_and_grad(&at, |x| clamp_exponent(x, Some(20.0)).unwrap());
        assert_eq!((values, grads), (vec![-20.0, -20.0, 0.1, 20.0, 20.0], vec![0.0, 1.0, 1.0, 1.0, 0.0]));
        assert_eq!(host(clamp_exponent(tracked(&at), None).unwrap()), at);
        assert_eq!(host(cap_exponent(tracked(&at), None).unwrap()), at);
        let capped = cap_exponent(tracked(&at), Some(exponent_max(DType::F32))).unwrap();
        assert_eq!(host(capped), [-1e4, -20.0, 0.1, 20.0, 80.0]);
        for bound in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let error = clamp_exponent(tracked(&at), Some(bound)).unwrap_err();
            assert!(matches!(error, Error::Domain { name: "bound", .. }));
            let error = cap_exponent(tracked(&at), Some(bound)).unwrap_err();
            assert!(matches!(error, Error::Domain { name: "max", .. }));
        }
        for dtype in [DType::F16, DType::BF16, DType::F32, DType::F64] {
            let top = Tensor::<1>::from_data(TensorData::from([exponent_max(dtype)]), (&Device::flex(), dtype));
            assert!(host(top.exp())[0].is_finite());
        }
    }
}
