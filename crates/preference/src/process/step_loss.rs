//! Losses of process reward models (PRM): a score for every step, against its label.
//!
//! **Paper:** Let's Verify Step by Step (2023), 2305.20050; soft labels as in Math-Shepherd: Verify and Reinforce LLMs
//! Step-by-step without Human Annotations (2023), 2312.08935.
//! **Use when:** steps have labels; for pairs of steps see [`super::tree`].
//! **Checked by:** hand-worked values, gradients, masks.
//! **Deviations:** none.

use accordant_ops::stable::log_sigmoid;
use burn::{
    config::Config,
    tensor::{Bool, Tensor},
};
use serde::{Deserialize, Serialize};

use crate::{Nll, Result, pairwise::bradley_terry::binary_cross_entropy, trajectory::Steps};

/// What is compared with the label of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum StepError {
    /// The cross-entropy of the label with `σ(logit)`.
    #[default]
    CrossEntropy,
    /// `(σ(logit) − label)²`.
    SquaredError,
}

/// Logits from those of two tokens at the separator of a step, "good" and "bad": their softmax is `σ(good − bad)`.
///
/// # Errors
/// A shape error naming `bad`.
pub fn two_token_logits(good: Tensor<2>, bad: Tensor<2>) -> Result<Tensor<2>> {
    accordant_ops::check_shape("bad", &good.dims(), &bad.dims())?;
    Ok(good - bad)
}

/// Configuration of [`StepLoss`].
#[derive(Config, Debug, PartialEq)]
pub struct StepLossConfig {
    /// What is compared. Cross-entropy: both papers'.
    #[config(default = "StepError::CrossEntropy")]
    pub error: StepError,
}

impl StepLossConfig {
    /// The loss; every configuration makes sense.
    pub fn init(&self) -> StepLoss {
        StepLoss { error: self.error }
    }
}

/// A loss for every step.
///
/// # Example
/// ```
/// use accordant_preference::{process::step_loss::StepLossConfig, trajectory::Steps};
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let logits = Steps::full(Tensor::from_floats([[0.0, 3f32.ln()]], &device));
/// let nll = StepLossConfig::new().init().forward(&logits, Tensor::from_floats([[0.3, 1.0]], &device))?;
/// let expected = (2f64.ln() - 0.75f64.ln()) / 2.0;
/// assert!((nll.means().mean("nll").unwrap() - expected).abs() < 1e-6);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[doc(alias = "2305.20050")]
#[doc(alias = "PRM")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepLoss {
    error: StepError,
}

impl StepLoss {
    /// One loss per position, `[n · time]` row by row, of weight 1 at a step and 0 elsewhere, so that every step counts the
    /// same in a mean. Logs `accuracy`: whether a chance and its label lie on the same side of ½ (½ counts half).
    ///
    /// `logits` of the steps and `labels` in [0, 1]: `[n, time]`; what the mask leaves out may hold anything.
    ///
    /// # Errors
    /// A shape error naming `labels`.
    pub fn forward(&self, logits: &Steps, labels: Tensor<2>) -> Result<Nll> {
        logits.like("labels", &labels)?;
        let absent = logits.mask().bool_not();
        let flat = |values: Tensor<2>, absent: Tensor<2, Bool>| values.mask_fill(absent, 0.0).flatten::<1>(0, 1);
        let z = flat(logits.values(), absent.clone());
        let t = flat(labels.detach(), absent.clone());
        let weights = flat(logits.values().ones_like().detach(), absent);
        let losses = match self.error {
            StepError::CrossEntropy => binary_cross_entropy(z.clone(), t.clone())?,
            StepError::SquaredError => (log_sigmoid(z.clone()).exp() - t.clone()).square(),
        };
        let agreement = z.detach().sign() * (t - 0.5).sign();
        Nll::new(losses, weights)?.with_metric("accuracy", agreement * 0.5 + 0.5)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ItemReduction,
        trajectory::testing::{check, close, mask, rows, values},
    };

    fn nll(error: StepError) -> Nll {
        let logits = rows([[3f64.ln(), f64::NAN, -(3f64.ln())], [0.0, f64::INFINITY, f64::NAN]]);
        let steps = Steps::new(logits, mask([[1, 0, 1], [1, 0, 0]])).unwrap();
        let labels = rows([[1.0, f64::NAN, 0.25], [0.5, 7.0, f64::NAN]]);
        StepLossConfig::new().with_error(error).init().forward(&steps, labels).unwrap()
    }

    #[test]
    fn losses_by_hand_with_what_is_no_step_left_out() {
        let (win, loss) = (-(0.75f64.ln()), -(0.25f64.ln()));
        let entropy = nll(StepError::CrossEntropy);
        let expected = [win, 0.0, 0.75 * win + 0.25 * loss, 2f64.ln(), 0.0, 0.0];
        let got = values(entropy.losses.clone());
        close(&[got[0], got[2], got[3]], &[expected[0], expected[2], expected[3]], 1e-12);
        assert_eq!(values(entropy.weights.clone()), [1.0, 0.0, 1.0, 1.0, 0.0, 0.0]);
        let mean = (expected[0] + expected[2] + expected[3]) / 3.0;
        close(&values(entropy.reduce(ItemReduction::Mean).unwrap().loss), &[mean], 1e-12);
        assert_eq!(entropy.means().mean("accuracy"), Some(2.5 / 3.0));
        let squared = values(nll(StepError::SquaredError).losses);
        close(&[squared[0], squared[2], squared[3]], &[0.0625, 0.0, 0.0], 1e-12);
    }

    #[test]
    fn gradients_are_derivatives_and_0_where_there_is_no_step() {
        for error in [StepError::CrossEntropy, StepError::SquaredError] {
            let gradient = check(&[0.4, 2.0, -1.0, 0.7], |x| {
                let steps = Steps::new(x.reshape([2, 2]), mask([[1, 0], [1, 1]])).unwrap();
                let labels = rows([[1.0, 0.0], [0.3, 0.0]]);
                let nll = StepLossConfig::new().with_error(error).init().forward(&steps, labels).unwrap();
                nll.reduce(ItemReduction::Sum).unwrap().loss
            });
            assert_eq!(gradient[1], 0.0);
        }
    }

    #[test]
    fn two_tokens_make_one_logit() {
        let logits = two_token_logits(rows([[2.0, 0.0]]), rows([[0.5, 1.0]])).unwrap();
        assert_eq!(values(logits), [1.5, -1.0]);
        assert!(two_token_logits(rows([[2.0, 0.0]]), rows([[0.5]])).unwrap_err().to_string().starts_with("`bad`"));
        let steps = Steps::full(rows([[1.0]]));
        let error = StepLossConfig::new().init().forward(&steps, rows([[1.0, 0.0]])).unwrap_err();
        assert!(error.to_string().starts_with("`labels`"));
        assert_eq!(StepLossConfig::new().error, StepError::CrossEntropy);
    }
}
