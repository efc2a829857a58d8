//! Anchored Preference Optimization towards a better response (APO-zero).
//!
//! **Paper:** Anchored Preference Optimization and Contrastive Revisions: Addressing Underspecification in Alignment
//! (2024), 2408.06266.
//! **Use when:** the chosen responses are better than what the policy writes: their likelihood shall rise, that of the
//! rejected ones fall. Where they are worse, take [`super::apo_down`].
//! **Checked by:** golden numbers (TRL), hand-worked values and gradients.
//! **Deviations:** none.

use burn::{config::Config, tensor::Tensor};

use super::{Method, PairBatch, PairOutput, PairValues, PairwiseObjective, check_beta, sigmoid};
use crate::Result;

/// APO-zero losses, one per pair.
///
/// ```text
/// loss = σ(−β d_w) + σ(β d_l) = 1 − σ(β d_w) + σ(β d_l)
/// ```
///
/// A margin takes half of itself from the chosen reward and gives half to the rejected one.
///
/// # Shapes
/// `ratios`: two `[n]` of summed log-ratios in nats; the result is `[n]`.
///
/// `beta` > 0. Policy = reference, and a pair without tokens, give 1. Between 0 and 2; not convex: where a reward is far
/// from 0 its gradient vanishes.
///
/// # Errors
/// A shape error when there is not one log-ratio for each response of `batch`.
///
/// # Example
/// ```
/// use accordant_objectives::pairwise::{PairBatch, PairLogps, PairValues, apo_zero::apo_zero_loss};
/// use accordant_ops::SequenceLogps;
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let one = |x: f32| Tensor::<1>::from_floats([x], &device);
/// let logps = |x| SequenceLogps::new(one(x), one(1.0));
/// let batch = PairBatch::new(PairLogps::new(logps(-1.0)?, logps(-2.0)?)?);
/// let ratios = PairValues { chosen: one(3f32.ln()), rejected: one(-(3f32.ln())) };
/// // σ(−ln 3) = 1/4 on both sides.
/// let loss = apo_zero_loss(&batch, ratios, 1.0)?.into_scalar::<f32>();
/// assert!((loss - 0.5).abs() < 1e-6);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2408.06266")]
#[doc(alias = "Anchored Preference Optimization and Contrastive Revisions: Addressing Underspecification in Alignment")]
#[doc(alias = "APO")]
pub fn apo_zero_loss(batch: &PairBatch, ratios: PairValues, beta: f64) -> Result<Tensor<1>> {
    batch.check_values(&ratios)?;
    let rewards = ratios.map(|ratio| batch.times_beta(ratio, beta));
    Ok(batch.reward_losses(rewards, |rewards| sigmoid(-rewards.chosen) + sigmoid(rewards.rejected)))
}

/// Configuration of [`ApoZero`].
#[derive(Config, Debug, PartialEq)]
pub struct ApoZeroConfig {
    /// Strength of the KL pull, finite and > 0. 0.1: TRL's default.
    #[config(default = 0.1)]
    pub beta: f64,
}

impl ApoZeroConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<ApoZero> {
        check_beta(self.beta)?;
        Ok(ApoZero { config: self.clone() })
    }
}

/// The APO-zero objective; see [`apo_zero_loss`].
#[derive(Debug, Clone, PartialEq)]
pub struct ApoZero {
    config: ApoZeroConfig,
}

/// `apo_zero` by name.
pub const METHOD: Method = Method {
    name: "apo_zero",
    title: "Anchored Preference Optimization, zero",
    build: |options| Ok(Box::new(options.apply("apo_zero", ApoZeroConfig::new())?.init()?)),
};

impl PairwiseObjective for ApoZero {
    fn forward(&self, batch: &PairBatch) -> Result<PairOutput> {
        let beta = self.config.beta;
        Ok(PairOutput::new(apo_zero_loss(batch, batch.log_ratios("apo_zero")?, beta)?, batch, beta))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pairwise::tests::{column, grad_of_policy, spec_batch, tensor};

    fn apo() -> ApoZero {
        ApoZeroConfig::new().init().unwrap()
    }

    fn loss(batch: &PairBatch) -> f64 {
        column(&apo().forward(batch).unwrap().losses)[0]
    }

    fn s(x: f64) -> f64 {
        1.0 / (1.0 + (-x).exp())
    }

    #[test]
    fn value_and_gradient_by_hand() {
        // β d_w = 0.1 and β d_l = −0.05: σ(−0.1) + σ(−0.05) = 0.4750208 + 0.4875026.
        let output = apo().forward(&spec_batch()).unwrap();
        assert!((column(&output.losses)[0] - 0.962523416).abs() < 1e-9);
        assert!((column(&output.chosen_rewards)[0] - 0.1).abs() < 1e-15);
        assert!((column(&output.rejected_rewards)[0] + 0.05).abs() < 1e-15);
        // dL/dd_w = −β σ(a) σ(−a), dL/dd_l = +β σ(b) σ(−b).
        let (chosen, rejected) = grad_of_policy(&spec_batch(), &apo());
        assert!((chosen[0] + 0.1 * s(0.1) * s(-0.1)).abs() < 1e-12, "{chosen:?}");
        assert!((rejected[0] - 0.1 * s(-0.05) * s(0.05)).abs() < 1e-12, "{rejected:?}");
    }

    #[test]
    fn a_policy_equal_to_its_reference_loses_one() {
        let policy = spec_batch().policy().clone();
        let batch = PairBatch::new(policy.clone()).with_reference(policy).unwrap();
        assert!((loss(&batch) - 1.0).abs() < 1e-15);
    }

    #[test]
    fn it_falls_in_the_chosen_reward_rises_in_the_rejected_one_and_is_bounded() {
        let at = |chosen, rejected| {
            let ratios = PairValues { chosen: tensor(&[chosen]), rejected: tensor(&[rejected]) };
            column(&apo_zero_loss(&spec_batch(), ratios, 1.0).unwrap())[0]
        };
        assert!(at(1.0, 0.0) < at(0.5, 0.0) && at(0.0, 1.0) > at(0.0, 0.5));
        assert!(at(1e4, -1e4) == 0.0 && at(-1e4, 1e4) == 2.0);
        // A common shift is seen: σ(0) + σ(0.5) = 1.122, σ(−1) + σ(1.5) = 1.087.
        assert!(at(0.0, 0.5) - at(1.0, 1.5) > 0.03);
    }

    #[test]
    fn the_hooks_reach_the_loss() {
        // Half of 0.2 from each side: σ(−0.0) + σ(0.05).
        let batch = spec_batch().with_margins(tensor(&[0.2])).unwrap();
        assert!((loss(&batch) - (0.5 + s(0.05))).abs() < 1e-12);
        // Three quarters of the loss, and a quarter of the swapped one: σ(0.05) + σ(0.1).
        let batch = spec_batch().with_label_probs(tensor(&[0.75])).unwrap();
        let expected = 0.75 * (s(-0.1) + s(-0.05)) + 0.25 * (s(0.05) + s(0.1));
        assert!((loss(&batch) - expected).abs() < 1e-12);
        let batch = spec_batch().with_betas(tensor(&[2.0])).unwrap();
        assert!((loss(&batch) - (s(-2.0) + s(-1.0))).abs() < 1e-12);
    }

    #[test]
    fn senseless_settings_and_inputs_are_refused_by_name() {
        assert_eq!(ApoZeroConfig::new().beta, 0.1);
        for beta in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(ApoZeroConfig::new().with_beta(beta).init().unwrap_err().to_string().starts_with("`beta`"));
        }
        let ratios = PairValues { chosen: tensor(&[1.0, 2.0]), rejected: tensor(&[0.0]) };
        let error = apo_zero_loss(&spec_batch(), ratios, 1.0).unwrap_err().to_string();
        assert_eq!(error, "`values.chosen`: expected shape [1], got [2]");
        let error = apo().forward(&PairBatch::new(spec_batch().policy().clone())).unwrap_err().to_string();
        assert!(apo().needs_reference() && error.starts_with("`apo_zero` needs the reference"), "{error}");
    }

    accordant_laws::pairwise_laws!(
        apo_zero_obeys_the_laws,
        "apo_zero (pairs)",
        apo(),
        [],
        [
            AtReference(1.0),
            LowerBound(0.0),
            UpperBound(2.0),
            ShiftSensitive,
            DecreasingInChosen,
            IncreasingInRejected,
            LabelProbMixes
        ]
    );
}
