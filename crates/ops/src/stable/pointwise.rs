//! A robust loss and an entropy term.

use burn::tensor::Tensor;

use super::in_f32;
use crate::{Result, check_domain};

/// Huber's loss: `u²/2` where |u| ≤ `k`, `k (|u| - k/2)` beyond.
///
/// Written `c (u - c/2)` with `c` = u clamped to ±k, so that no square overflows. The gradient is `c`; `u` = ±∞ gives
/// +∞ with gradient ±k. `k` is finite and > 0, in the unit of `u`.
///
/// # Errors
/// [`crate::Error::Domain`] when `k` is outside its domain.
///
/// # Example
/// ```
/// use accordant_ops::stable::huber;
/// use burn::tensor::{Device, Tensor};
/// let y = huber(Tensor::<1>::from_floats([0.5, -3.0], &Device::flex()), 1.0)?;
/// assert_eq!(y.into_data().try_to_vec::<f32>().unwrap(), [0.125, 2.5]);
/// # Ok::<(), accordant_ops::Error>(())
/// ```
pub fn huber<const D: usize>(u: Tensor<D>, k: f64) -> Result<Tensor<D>> {
    check_domain(k.is_finite() && k > 0.0, "k", "finite and > 0", k)?;
    Ok(in_f32(u, |u| {
        let c = u.clone().clamp(-k, k);
        c.clone() * (u - c * 0.5)
    }))
}

/// `x log x` with `0 log 0 = 0`, in nats.
///
/// The gradient is `1 + log x`, and 0 at 0 where the true one is -∞. Negative `x` gives NaN.
///
/// # Example
/// ```
/// use accordant_ops::stable::x_log_x;
/// use burn::tensor::{Device, Tensor};
/// let y = x_log_x(Tensor::<1>::from_floats([0.0, 1.0, 0.5], &Device::flex()));
/// assert_eq!(y.into_data().try_to_vec::<f32>().unwrap(), [0.0, 0.0, -0.5 * 2f32.ln()]);
/// ```
pub fn x_log_x<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    in_f32(x, |x| {
        let zero = x.clone().equal_scalar(0.0);
        let safe = x.mask_fill(zero, 1.0);
        safe.clone() * safe.log()
    })
}

#[cfg(test)]
mod tests {
    use core::f64::consts::LN_2;

    use super::*;
    use crate::Error;
    use crate::stable::testing::*;

    #[test]
    fn huber_is_quadratic_then_linear() {
        let (values, grads) = value_and_grad(&[0.0, 1.0, -2.0, 3.0, -1e200, f64::INFINITY], |u| huber(u, 2.0).unwrap());
        assert_close(&values, &[0.0, 0.5, 2.0, 4.0, 2e200, f64::INFINITY], 1e-15);
        assert_close(&grads, &[0.0, 1.0, -2.0, 2.0, -2.0, 2.0], 1e-15);
        for k in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(matches!(huber(tracked(&[1.0]), k), Err(Error::Domain { name: "k", .. })));
        }
    }

    #[test]
    fn x_log_x_of_zero_is_zero_with_a_finite_gradient() {
        let (values, grads) = value_and_grad(&[0.0, 1.0, 0.5, 1e-300], x_log_x);
        assert_close(&values, &[0.0, 0.0, -0.5 * LN_2, 1e-300 * 1e-300f64.ln()], 1e-15);
        assert_close(&grads, &[0.0, 1.0, 1.0 - LN_2, 1.0 + 1e-300f64.ln()], 1e-15);
    }
}
