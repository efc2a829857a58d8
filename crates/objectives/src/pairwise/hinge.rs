//! Hinge loss on log-ratios (SLiC on normalized likelihood, RSO's hinge-norm).
//!
//! **Paper:** Statistical Rejection Sampling Improves Preference Optimization (2023), 2309.06657.
//! **Use when:** pairs that are far enough apart should stop pulling.
//! **Checked by:** golden numbers (TRL), hand-worked values, finite differences, the laws of the family.
//! **Deviations:** none; the subgradient at the kink `h = 1` is 0.

use burn::{config::Config, tensor::Tensor};

use super::{MarginLoss, Method, PairBatch, PairOutput, PairValues, PairwiseObjective, check_beta};
use crate::Result;

/// Hinge losses, one per pair.
///
/// ```text
/// loss = max(0, 1 − h),   h = β (d_w − d_l) − margin        (table 1, hinge-norm; β is γ there)
/// ```
///
/// With a probability `q` that the label is wrong, the loss is `(1−q)` times this plus `q` times the same at `−h`.
///
/// # Shapes
/// `ratios`: two `[n]` of summed log-ratios in nats; the result is `[n]`.
///
/// `beta` > 0. Policy = reference gives 1; from `h = 1` on, loss and gradient are 0. Finite for every finite input.
///
/// # Errors
/// A shape error when there is not one log-ratio for each response of `batch`.
///
/// # Example
/// ```
/// use accordant_objectives::pairwise::{PairBatch, PairLogps, PairValues, hinge::hinge_loss};
/// use accordant_ops::SequenceLogps;
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let one = |x: f32| Tensor::<1>::from_floats([x], &device);
/// let logps = |x| SequenceLogps::new(one(x), one(1.0));
/// let batch = PairBatch::new(PairLogps::new(logps(-1.0)?, logps(-2.0)?)?);
/// let loss = hinge_loss(&batch, PairValues { chosen: one(1.0), rejected: one(-0.5) }, 0.5)?;
/// assert_eq!(loss.into_scalar::<f32>(), 0.25); // 1 − 0.5 (1 + 0.5)
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2309.06657")]
#[doc(alias = "Statistical Rejection Sampling Improves Preference Optimization")]
#[doc(alias = "SLiC")]
#[doc(alias = "RSO")]
pub fn hinge_loss(batch: &PairBatch, ratios: PairValues, beta: f64) -> Result<Tensor<1>> {
    batch.check_values(&ratios)?;
    Ok(HingeLoss.losses(batch, batch.times_beta(ratios.difference(), beta)))
}

/// `max(0, 1 − h)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HingeLoss;

impl MarginLoss for HingeLoss {
    fn loss(&self, h: Tensor<1>) -> Tensor<1> {
        shortfall(h, 1.0)
    }
}

/// `max(0, target − h)`; the gradient at the kink is 0.
pub(super) fn shortfall(h: Tensor<1>, target: f64) -> Tensor<1> {
    // Selected, not clamped: what a clamp's gradient is at the bound is the backend's choice.
    let gap = -h + target;
    let satisfied = gap.clone().lower_equal_scalar(0.0);
    gap.mask_fill(satisfied, 0.0)
}

/// Configuration of [`Hinge`].
#[derive(Config, Debug, PartialEq)]
pub struct HingeConfig {
    /// Strength of the KL pull, finite and > 0; γ in the paper. 0.1: TRL's default.
    #[config(default = 0.1)]
    pub beta: f64,
}

impl HingeConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<Hinge> {
        check_beta(self.beta)?;
        Ok(Hinge { config: self.clone() })
    }
}

/// The hinge objective; see [`hinge_loss`].
#[derive(Debug, Clone, PartialEq)]
pub struct Hinge {
    config: HingeConfig,
}

/// `hinge` by name.
pub const METHOD: Method = Method {
    name: "hinge",
    title: "Hinge loss on log-ratios (SLiC, RSO)",
    build: |options| Ok(Box::new(options.apply("hinge", HingeConfig::new())?.init()?)),
};

impl PairwiseObjective for Hinge {
    fn forward(&self, batch: &PairBatch) -> Result<PairOutput> {
        let losses = hinge_loss(batch, batch.log_ratios("hinge")?, self.config.beta)?;
        Ok(PairOutput::new(losses, batch, self.config.beta))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pairwise::tests::{column, grad_of_policy, spec_batch, tensor};

    #[test]
    fn value_and_gradient_by_hand() {
        let hinge = HingeConfig::new().init().unwrap();
        // h = 0.1 · 1.5
        assert!((column(&hinge.forward(&spec_batch()).unwrap().losses)[0] - 0.85).abs() < 1e-12);
        let (chosen, rejected) = grad_of_policy(&spec_batch(), &hinge);
        assert!((chosen[0] + 0.1).abs() < 1e-12 && (rejected[0] - 0.1).abs() < 1e-12, "{chosen:?} {rejected:?}");
    }

    #[test]
    fn at_the_kink_and_beyond_nothing_pulls() {
        // h = 0.1 D with D = 10 exactly at the kink of a β of 1/10 in binary: take β = 0.5 and D = 2, then D = 4.
        for d in [2.0, 4.0] {
            let h = tensor(&[0.5 * d]).autodiff().require_grad();
            let loss = HingeLoss.loss(h.clone());
            let grads = loss.clone().sum().backward();
            assert_eq!((column(&loss), column(&h.grad(&grads).unwrap())), (vec![0.0], vec![0.0]));
        }
    }

    #[test]
    fn senseless_settings_are_refused_by_name() {
        for beta in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(HingeConfig::new().with_beta(beta).init().unwrap_err().to_string().starts_with("`beta`"));
        }
    }

    accordant_laws::pairwise_laws!(
        obeys_the_laws,
        "hinge",
        HingeConfig::new().init().unwrap(),
        [],
        [
            ShiftInvariant,
            DecreasingInChosen,
            IncreasingInRejected,
            ConvexInMargin,
            AtReference(1.0),
            LowerBound(0.0),
            LabelProbMixes,
            MarginShifts { beta: 0.1 },
        ],
    );
}
