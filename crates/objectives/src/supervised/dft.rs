//! Dynamic fine-tuning (DFT).
//!
//! **Paper:** On the Generalization of SFT: A Reinforcement Learning Perspective with Reward Rectification (2025),
//! 2508.05629.
//! **Use when:** supervised fine-tuning overfits to tokens that the policy finds unlikely.
//! **Checked by:** golden numbers (TRL 1.16), values and gradients by hand.
//! **Deviations:** none.

use accordant_ops::{EmptyRows, Reduced, TokenLogps, reduce::reduce_tokens};
use burn::tensor::Tensor;

use super::{Aggregation, nll::kept};
use crate::Result;

/// DFT losses, one per token: the negative log-likelihood times the token's own probability, a constant.
///
/// ```text
/// −sg(π(y_t)) log π(y_t)
/// ```
///
/// 0 where the mask is false, whatever stands there. The gradient is `π(y_t)` times that of the negative log-likelihood,
/// so that value and gradient vanish for impossible tokens (−∞ included); for certain ones the value does.
///
/// # Shapes
/// `[batch, seq]`, to the same.
///
/// # Example
/// ```
/// use accordant_objectives::{TokenLogps, supervised::dft::dft_losses};
/// use burn::tensor::{Device, Tensor, TensorData};
/// let device = Device::flex();
/// let mask = Tensor::from_bool(TensorData::from([[true]]), &device);
/// let loss = dft_losses(&TokenLogps::new(Tensor::from_floats([[0.5f32.ln()]], &device), mask)?);
/// assert!((loss.into_scalar::<f32>() - 0.5 * 2f32.ln()).abs() < 1e-6);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2508.05629")]
#[doc(alias = "On the Generalization of SFT: A Reinforcement Learning Perspective with Reward Rectification")]
pub fn dft_losses(logps: &TokenLogps) -> Tensor<2> {
    let logps = kept(logps);
    let probs = logps.clone().detach().exp();
    // 0 · −∞ is NaN.
    let impossible = probs.clone().equal_scalar(0.0);
    -probs * logps.mask_fill(impossible, 0.0)
}

/// [`dft_losses`] as one number. Empty rows are left out of means over sequences.
///
/// # Errors
/// A domain error of the aggregation's constant.
pub fn dft_loss(logps: &TokenLogps, aggregation: Aggregation) -> Result<Reduced> {
    Ok(reduce_tokens(dft_losses(logps), logps.mask.clone(), aggregation, EmptyRows::Skip)?)
}

#[cfg(test)]
mod tests {
    use burn::tensor::{DType, Device, TensorData};

    use super::*;
    use crate::unpaired::tests::{column, tokens};

    #[test]
    fn values_by_hand() {
        let logps = tokens(&[[-1.0, 0.0], [-2.0, f64::NAN]], &[2, 1]);
        let expected = ((-1f64).exp() + 2.0 * (-2f64).exp()) / 3.0;
        assert!((column(&dft_loss(&logps, Aggregation::TokenMean).unwrap().loss)[0] - expected).abs() < 1e-15);
        let empty = tokens(&[[-1.0, 0.0], [f64::NAN; 2]], &[2, 0]);
        let mean = column(&dft_loss(&empty, Aggregation::SequenceMean).unwrap().loss)[0];
        assert!((mean - 0.5 * (-1f64).exp()).abs() < 1e-15);
        assert!(dft_loss(&logps, Aggregation::ConstantLength(0)).is_err());
    }

    #[test]
    fn the_gradient_is_the_probability() {
        let device = Device::flex().autodiff();
        let values = [[-1.0, -1e4, f64::NEG_INFINITY], [0.0, f64::NAN, f64::NEG_INFINITY]];
        let leaf = Tensor::<2>::from_data(values, (&device, DType::F64)).require_grad();
        let mask = TensorData::from([[true, true, true], [true, false, false]]);
        let losses = dft_losses(&TokenLogps::new(leaf.clone(), Tensor::from_bool(mask, &device)).unwrap());
        assert!(losses.try_to_vec_as::<f64>().unwrap().iter().all(|loss| loss.is_finite()));
        let grad = leaf.grad(&losses.sum().backward()).unwrap().try_to_vec_as::<f64>().unwrap();
        let expected = [-(-1f64).exp(), 0.0, 0.0, -1.0, 0.0, 0.0];
        assert!(grad.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 1e-15), "{grad:?}");
    }
}
