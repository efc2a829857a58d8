//! Customizable density ratios (CDR): what a strong model finds likelier than a weak one.
//!
//! **Paper:** CDR: Customizable Density Ratios of Strong-over-weak LLMs for Preference Annotation (2024), 2411.02481.
//! **Use when:** two models of unequal alignment are at hand, and no reward model: an aligned one and the model that it was
//! tuned from, with an instruction that says what counts.
//! **Checked by:** hand-worked values, identities.
//! **Deviations:** none; instructions and examples are put before the prompt by the caller.

use accordant_ops::{TokenLogps, check_shape};
use burn::tensor::Tensor;

use super::policy_reward::Length;
use crate::Result;

/// `r = log π_strong(y | x, c) − log π_weak(y | x)` of responses, `[n]`.
///
/// 0 for equal models and contexts; its negative with the models exchanged. Both sides carry a gradient, if they have one.
///
/// # Shapes
/// Log-probabilities of the responses' tokens, `[n, seq]` each; only the response is kept, so that the prompts may differ.
///
/// # Errors
/// A shape error naming `weak` for another number of responses.
///
/// # Example
/// ```
/// use accordant_ops::TokenLogps;
/// use accordant_preference::implicit::{density_ratio::density_ratios, policy_reward::Length};
/// use burn::tensor::{Device, Tensor, TensorData};
/// let device = Device::flex();
/// let mask = Tensor::from_bool(TensorData::from([[true, true]]), &device);
/// let tokens = |logps: [f32; 2]| TokenLogps::new(Tensor::from_floats([logps], &device), mask.clone());
/// let ratio = density_ratios(&tokens([-1.0, -1.0])?, &tokens([-2.0, -3.0])?, Length::PerToken)?;
/// assert_eq!(ratio.into_scalar::<f32>(), 1.5);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[doc(alias = "2411.02481")]
#[doc(alias = "CDR")]
#[doc(
    alias = "Dr. SoW: Density Ratio of Strong-over-weak LLMs for Reducing the Cost of Human Annotation in Preference Tuning"
)]
pub fn density_ratios(strong: &TokenLogps, weak: &TokenLogps, length: Length) -> Result<Tensor<1>> {
    let (above, below) = (length.of(strong), length.of(weak));
    check_shape("weak", &above.dims(), &below.dims())?;
    Ok(above - below)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        implicit::policy_reward::tests::tokens,
        trajectory::testing::{close, mask, rows, values},
    };

    #[test]
    fn ratios_by_hand_vanish_for_equal_models_and_change_sign_with_them() {
        let (strong, weak) = (tokens([[-1.0, -2.0, -3.0], [-9.0, -1.0, -9.0]]), tokens([[-2.0; 3], [-3.0; 3]]));
        let ratios = |a: &TokenLogps, b: &TokenLogps, length| values(density_ratios(a, b, length).unwrap());
        close(&ratios(&strong, &weak, Length::Total), &[0.0, 2.0], 1e-12);
        close(&ratios(&weak, &strong, Length::Total), &[0.0, -2.0], 1e-12);
        close(&ratios(&weak, &weak, Length::PerToken), &[0.0; 2], 0.0);
        // A longer prompt behind one of them.
        let padded = TokenLogps::new(rows([[7.0, -1.0, -2.0, -3.0], [7.0; 4]]), mask([[0, 1, 1, 1], [0, 0, 0, 0]]));
        close(&ratios(&padded.unwrap(), &strong, Length::PerToken), &[0.0, 1.0], 1e-12);
        let one = TokenLogps::new(rows([[-1.0]]), mask([[1]])).unwrap();
        assert!(density_ratios(&strong, &one, Length::Total).unwrap_err().to_string().starts_with("`weak`"));
    }
}
