//! Dynamics-aware rewards (REED): the encoder below a reward head learns to predict what comes next.
//!
//! **Paper:** Sample-Efficient Preference-based Reinforcement Learning with Dynamics Aware Rewards (2024), 2402.17975.
//! **Use when:** judged segments are few and unjudged ones many: this loss needs no judgment and takes turns with that of
//! the reward head.
//! **Checked by:** hand-worked values, gradients and where they stop, scales.
//! **Deviations:** none for the SimSiam form; the contrastive form is not here.

use accordant_ops::check_shape;
use burn::tensor::Tensor;

use crate::Result;

/// `−cos(g(z(s, a)), f(s'))`, one per transition, in [−1, 1]; the encoding of the next state is a constant.
///
/// Only directions count. 0 where either vector is 0, and so is the gradient there.
///
/// # Shapes
/// `predicted` and `next`: `[n, dim]`, to `[n]`.
///
/// # Errors
/// A shape error naming `next`.
///
/// # Example
/// ```
/// use accordant_preference::trajectory::dynamics::dynamics_losses;
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let loss = dynamics_losses(Tensor::from_floats([[3.0, 4.0]], &device), Tensor::from_floats([[2.0, 0.0]], &device))?;
/// assert!((loss.into_scalar::<f32>() + 0.6).abs() < 1e-6);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[doc(alias = "2402.17975")]
#[doc(alias = "REED")]
#[doc(alias = "SimSiam")]
pub fn dynamics_losses(predicted: Tensor<2>, next: Tensor<2>) -> Result<Tensor<1>> {
    check_shape("next", &predicted.dims(), &next.dims())?;
    Ok(-(unit(predicted) * unit(next.detach())).sum_dim(1).squeeze_dim(1))
}

/// Rows of length 1; 0 stays 0.
fn unit(rows: Tensor<2>) -> Tensor<2> {
    // By the largest entry first: squares overflow and underflow.
    let largest = rows.clone().detach().abs().max_dim(1);
    let none = largest.clone().equal_scalar(0.0);
    let scaled = rows / largest.mask_fill(none.clone(), 1.0);
    let square = scaled.clone().square().sum_dim(1).mask_fill(none.clone(), 1.0);
    let [n, dim] = scaled.dims();
    (scaled / square.sqrt()).mask_fill(none.expand([n, dim]), 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trajectory::testing::{check, close, rows, values};

    #[test]
    fn cosines_by_hand_whatever_the_scale() {
        let next = rows([[2.0, 0.0], [-1e-200, 0.0], [0.0, 0.0], [1e200, 1e200]]);
        let predicted = rows([[3.0, 4.0], [5.0, 0.0], [1.0, 1.0], [1e-200, 1e-200]]);
        close(&values(dynamics_losses(predicted.clone(), next.clone()).unwrap()), &[-0.6, 1.0, 0.0, -1.0], 1e-12);
        close(&values(dynamics_losses(next, predicted).unwrap()), &[-0.6, 1.0, 0.0, -1.0], 1e-12);
    }

    #[test]
    fn gradients_are_derivatives_and_the_next_state_is_a_constant() {
        let gradient = check(&[3.0, 4.0, 0.2, -0.7], |x| {
            dynamics_losses(x.reshape([2, 2]), rows([[2.0, 0.0], [0.3, 0.4]])).unwrap()
        });
        // Across the prediction: −(0.8, −0.6) · 0.8 / 5.
        close(&gradient[..2], &[-0.128, 0.096], 1e-12);
        let device = burn::tensor::Device::flex().autodiff();
        let tracked = || Tensor::<2>::from_data([[1.0f32, 0.0], [0.0, 0.0]], &device).require_grad();
        let (predicted, next) = (tracked(), tracked());
        let gradients = dynamics_losses(predicted.clone(), next.clone()).unwrap().sum().backward();
        assert!(next.grad(&gradients).is_none());
        assert!(values(predicted.grad(&gradients).unwrap()).iter().all(|g| *g == 0.0), "finite at 0");
        let error = dynamics_losses(rows([[1.0]]), rows([[1.0, 2.0]])).unwrap_err();
        assert!(error.to_string().starts_with("`next`"));
    }
}
