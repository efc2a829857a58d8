//! Bounds for what is exponentiated.

use burn::backend::Dispatch;
use burn::tensor::{DType, Tensor};

use super::{in_f32, naive};
use crate::backend::{has_pointwise, pointwise::PointwiseOps};
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
    if !has_pointwise(&log_ratio.device()) {
        return Ok(naive::clamp_exponent(log_ratio, bound));
    }
    Ok(in_f32(log_ratio, |x| Tensor::from_dispatch(Dispatch::clamp_exponent(x.into_dispatch(), bound))))
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
    fn one_pass_clamps_as_burn_does() {
        let (direct, naive) = (|x| clamp_exponent(x, Some(0.1)).unwrap(), |x| naive::clamp_exponent(x, 0.1));
        let forms: [fn(Tensor<1>) -> Tensor<1>; 2] = [direct, naive];
        let inf = f64::INFINITY;
        for clamp in forms {
            let (values, grads) = value_and_grad(&[-inf, f64::NAN, 0.05, 0.1, inf], clamp);
            assert!(values[1].is_nan());
            assert_eq!([values[0], values[2], values[3], values[4]], [-0.1, 0.05, 0.1, 0.1]);
            assert_eq!(grads, [0.0, 1.0, 1.0, 1.0, 0.0]);
            // Nothing that comes back, not even an infinite gradient, passes a bound.
            let (_, grads) = value_and_grad(&[-1.0, 0.0, 1.0], |x| clamp(x) * inf);
            assert_eq!(grads, [0.0, inf, 0.0]);
            // The bound is rounded as the numbers are: 0.1 in f32 is above 0.1 in f64, and none of it is beyond.
            for dtype in [DType::F32, DType::F16] {
                let edge = Tensor::<1>::from_data(TensorData::from([0.1]), (&Device::flex().autodiff(), dtype));
                let edge = edge.require_grad();
                let clamped = clamp(edge.clone());
                assert_eq!((clamped.dtype(), host(clamped.clone())), (dtype, host(edge.clone())));
                assert_eq!(host(edge.grad(&clamped.sum().backward()).unwrap()), [1.0]);
            }
            // The second column of a matrix, and nothing at all.
            let (_, grads) =
                value_and_grad(&[0.0, 3.0, 3.0, 0.0], |x| clamp(x.reshape([2, 2]).slice([0..2, 1..2]).reshape([2])));
            assert_eq!(grads, [0.0, 0.0, 0.0, 1.0]);
            assert_eq!(clamp(tracked(&[])).dims(), [0]);
        }
    }

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
