//! The logistic function, the logistic loss and its mirror image.

use burn::tensor::Tensor;

use super::{Function, naive, pointwise};

/// `log(1 + exp(x))`: the loss of a logistic margin `h` is `softplus(-h)`.
///
/// Relative accuracy holds in both tails: `x` for large `x`, `exp(x)` for very negative `x`. The gradient is the
/// logistic function, 0.5 at 0. At -∞ the value is 0 and at +∞ it is +∞.
///
/// # Example
/// ```
/// use accordant_ops::stable::softplus;
/// use burn::tensor::{Device, Tensor};
/// let x = Tensor::<1>::from_floats([-100.0, 0.0, 1e4], &Device::flex());
/// let y = softplus(x).into_data().try_to_vec::<f32>().unwrap();
/// assert!((y[0] / 3.72e-44 - 1.0).abs() < 0.1); // exp(-100), a subnormal number
/// assert_eq!(y[1], 2f32.ln());
/// assert_eq!(y[2], 1e4);
/// ```
pub fn softplus<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    pointwise(x, |_| Function::Softplus, naive::softplus)
}

/// `log(1 / (1 + exp(-x)))`, written `-softplus(-x)`; never the logarithm of a sigmoid.
///
/// The gradient is `sigmoid(-x)`, 0.5 at 0. burn's own `log_sigmoid` is as good on `flex`, but elsewhere it takes the
/// logarithm of `1 + exp(-x)`, which is 0 in f32 from x = 17 on.
///
/// # Example
/// ```
/// use accordant_ops::stable::log_sigmoid;
/// use burn::tensor::{Device, Tensor};
/// let y = log_sigmoid(Tensor::<1>::from_floats([-1e4, 0.0], &Device::flex()));
/// assert_eq!(y.into_data().try_to_vec::<f32>().unwrap(), [-1e4, -(2f32.ln())]);
/// ```
pub fn log_sigmoid<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    pointwise(x, |_| Function::LogSigmoid, naive::log_sigmoid)
}

/// `1 / (1 + exp(-x))`.
///
/// Relative accuracy holds in both tails, for the gradient `y (1 - y)` too, which is not formed by that subtraction: it
/// would be 0 in f32 from x = 17 on. At -∞ the value is 0 and at +∞ it is 1.
///
/// # Example
/// ```
/// use accordant_ops::stable::logistic;
/// use burn::tensor::{Device, Tensor};
/// let y = logistic(Tensor::<1>::from_floats([-1e4, 0.0, 3f32.ln()], &Device::flex()));
/// let y = y.into_data().try_to_vec::<f32>().unwrap();
/// assert_eq!(y[..2], [0.0, 0.5]);
/// assert!((y[2] - 0.75).abs() < 1e-6); // odds of 3 to 1
/// ```
#[doc(alias = "sigmoid")]
pub fn logistic<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    pointwise(x, |_| Function::Logistic, naive::logistic)
}

#[cfg(test)]
mod tests {
    use core::f64::consts::LN_2;

    use super::*;
    use crate::stable::testing::*;

    #[test]
    fn softplus_and_log_sigmoid_are_accurate_in_both_tails() {
        assert_accurate(softplus, log_sigmoid);
        assert_accurate(naive::softplus, naive::log_sigmoid);
    }

    #[test]
    fn the_logistic_function_is_accurate_in_both_tails() {
        for logistic in [logistic, naive::logistic] {
            // Fails at 39.9 if the gradient is formed as y - y².
            check(&POINTS, logistic, sigmoid, |x| sigmoid(x) * sigmoid(-x));
            let (values, grads) = value_and_grad(&[f64::NEG_INFINITY, f64::INFINITY], logistic);
            assert_eq!((values, grads), (vec![0.0, 1.0], vec![0.0; 2]));
        }
    }

    fn assert_accurate(softplus: fn(Tensor<1>) -> Tensor<1>, log_sigmoid: fn(Tensor<1>) -> Tensor<1>) {
        check(&POINTS, softplus, |x| x.max(0.0) + (-x.abs()).exp().ln_1p(), sigmoid);
        check(&POINTS, log_sigmoid, |x| x.min(0.0) - (-x.abs()).exp().ln_1p(), |x| sigmoid(-x));
        // sp(x) = sp(-x) + x, where the right side does not cancel.
        check(&POINTS[11..], |x: Tensor<1>| softplus(-x.clone()) + x, |x| x + (-x).exp().ln_1p(), sigmoid);
        check(&[0.0], softplus, |_| LN_2, |_| 0.5);
        check(&[1e4, f64::NEG_INFINITY], softplus, |x| x.max(0.0), |x| f64::from(x > 0.0));
    }
}
