//! Negative log-likelihood of demonstrations (supervised fine-tuning).
//!
//! **Paper:** Training language models to follow instructions with human feedback (2022), 2203.02155.
//! **Use when:** there are responses to imitate; the usual first step before preferences.
//! **Checked by:** golden numbers (TRL 1.16), values by hand.
//! **Deviations:** none. [`Aggregation::GlobalTokens`] is TRL's mean under gradient accumulation.

use accordant_ops::{EmptyRows, Reduced, TokenLogps, reduce::reduce_tokens};
use burn::tensor::Tensor;

use super::Aggregation;
use crate::Result;

/// Negative log-likelihoods `−log π(y_t)`, one per token; 0 where the mask is false, whatever stands there.
///
/// # Shapes
/// `[batch, seq]`, to the same.
///
/// # Example
/// ```
/// use accordant_objectives::{TokenLogps, supervised::nll::nll_losses};
/// use burn::tensor::{Device, Tensor, TensorData};
/// let device = Device::flex();
/// let mask = Tensor::from_bool(TensorData::from([[true, false]]), &device);
/// let losses = nll_losses(&TokenLogps::new(Tensor::from_floats([[-2.0, f32::NAN]], &device), mask)?);
/// assert_eq!(losses.try_to_vec_as::<f32>().unwrap(), [2.0, 0.0]);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2203.02155")]
#[doc(alias = "SFT")]
#[doc(alias = "cross entropy")]
pub fn nll_losses(logps: &TokenLogps) -> Tensor<2> {
    -kept(logps)
}

/// [`nll_losses`] as one number. Empty rows are left out of means over sequences.
///
/// # Errors
/// A domain error of the aggregation's constant.
pub fn nll_loss(logps: &TokenLogps, aggregation: Aggregation) -> Result<Reduced> {
    Ok(reduce_tokens(nll_losses(logps), logps.mask.clone(), aggregation, EmptyRows::Skip)?)
}

/// Log-probabilities of scored tokens, 0 for the others.
pub(super) fn kept(logps: &TokenLogps) -> Tensor<2> {
    logps.logps.clone().mask_fill(logps.mask.clone().bool_not(), 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unpaired::tests::{column, tokens};

    #[test]
    fn values_by_hand() {
        let logps = tokens(&[[-1.0, -3.0], [-2.0, f64::NAN]], &[2, 1]);
        assert_eq!(nll_losses(&logps).try_to_vec_as::<f64>().unwrap(), [1.0, 3.0, 2.0, 0.0]);
        for (aggregation, expected) in [
            (Aggregation::TokenMean, 2.0),
            (Aggregation::SequenceSum, 3.0),
            (Aggregation::GlobalTokens(12.0), 0.5),
            (Aggregation::Sum, 6.0),
        ] {
            assert_eq!(column(&nll_loss(&logps, aggregation).unwrap().loss), [expected]);
        }
        assert!(nll_loss(&logps, Aggregation::GlobalTokens(0.0)).is_err());
    }

    #[test]
    fn an_empty_row_is_left_out() {
        let logps = tokens(&[[-1.0, -3.0], [f64::NAN, f64::NAN]], &[2, 0]);
        assert_eq!(column(&nll_loss(&logps, Aggregation::SequenceMean).unwrap().loss), [2.0]);
        assert_eq!(column(&nll_loss(&tokens(&[], &[]), Aggregation::TokenMean).unwrap().loss), [0.0]);
    }
}
