//! Anchored Preference Optimization on single responses (APO-zero).
//!
//! **Paper:** Anchored Preference Optimization and Contrastive Revisions: Addressing Underspecification in Alignment
//! (2024), 2408.06266.
//! **Use when:** desirable responses are better than what the policy writes: their likelihood is to rise, that of the
//! others to fall; no mismatched completions to score.
//! **Checked by:** golden numbers (TRL 1.16, `apo_zero_unpaired`), KTO with a baseline of 0, finite
//! differences, the laws.
//! **Deviations:** none. The paper's form for pairs is another file of another family; the class weights are TRL's.

use burn::{config::Config, tensor::Tensor};

use super::{
    Method, SingleBatch, SingleOutput, UnpairedObjective,
    kto::{check_class_weights, kto_loss},
};
use crate::{Result, pairwise::check_beta};

/// APO-zero losses, one per response: KTO's with a baseline of 0.
///
/// ```text
/// desirable:    λ_D σ(−β d)
/// undesirable:  λ_U σ(β d)
/// ```
///
/// # Shapes
/// `log_ratios`, summed: `[n]`; the result: `[n]`.
///
/// `beta` > 0, weights ≥ 0. Policy = reference gives half the class's weight. Finite for every finite input.
///
/// # Errors
/// A shape or dtype error naming `log_ratios`.
///
/// # Example
/// ```
/// use accordant_objectives::SequenceLogps;
/// use accordant_objectives::unpaired::{SingleBatch, apo_zero_unpaired::apo_zero_loss};
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let one = |x: f32| Tensor::<1>::from_floats([x], &device);
/// let batch = SingleBatch::new(SequenceLogps::new(one(-1.0), one(1.0))?, Tensor::from_bool([true], &device))?;
/// let loss = apo_zero_loss(&batch, one(3f32.ln()), 1.0, 2.0, 1.0)?.into_scalar::<f32>();
/// assert!((loss - 0.5).abs() < 1e-6); // 2 σ(−ln 3) = 2/4
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2408.06266")]
#[doc(alias = "apo_zero_unpaired")]
pub fn apo_zero_loss(
    batch: &SingleBatch,
    log_ratios: Tensor<1>,
    beta: f64,
    desirable_weight: f64,
    undesirable_weight: f64,
) -> Result<Tensor<1>> {
    let z0 = Tensor::zeros([1], (&log_ratios.device(), log_ratios.dtype()));
    kto_loss(batch, log_ratios, z0, beta, desirable_weight, undesirable_weight)
}

/// Configuration of [`ApoZero`].
#[derive(Config, Debug, PartialEq)]
pub struct ApoZeroConfig {
    /// How fast the value of a response saturates, finite and > 0. 0.1: TRL's.
    #[config(default = 0.1)]
    pub beta: f64,
    /// λ_D, finite and ≥ 0. 1: TRL's; see [`lambda_ratio`](super::kto::lambda_ratio).
    #[config(default = 1.0)]
    pub desirable_weight: f64,
    /// λ_U, finite and ≥ 0. 1: TRL's.
    #[config(default = 1.0)]
    pub undesirable_weight: f64,
}

impl ApoZeroConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<ApoZero> {
        check_beta(self.beta)?;
        check_class_weights(self.desirable_weight, self.undesirable_weight)?;
        Ok(ApoZero { config: self.clone() })
    }
}

/// The APO-zero objective; see [`apo_zero_loss`]. Rewards are `beta` times the log-ratio.
#[derive(Debug, Clone, PartialEq)]
pub struct ApoZero {
    config: ApoZeroConfig,
}

/// `apo_zero_unpaired` by name.
pub const METHOD: Method = Method {
    name: "apo_zero_unpaired",
    title: "Anchored Preference Optimization on single responses",
    build: |options| Ok(Box::new(options.apply("apo_zero_unpaired", ApoZeroConfig::new())?.init()?)),
};

impl UnpairedObjective for ApoZero {
    fn forward(&self, batch: &SingleBatch) -> Result<SingleOutput> {
        let ApoZeroConfig { beta, desirable_weight, undesirable_weight } = self.config;
        let log_ratios = batch.log_ratios("apo_zero_unpaired")?;
        let losses = apo_zero_loss(batch, log_ratios, beta, desirable_weight, undesirable_weight)?;
        Ok(SingleOutput::new(losses, batch, beta))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unpaired::{
        kto::KtoConfig,
        tests::{column, grad_of_policy, spec_batch},
    };

    accordant_laws::unpaired_laws!(
        apo_zero_obeys_the_laws,
        "apo_zero_unpaired",
        ApoZeroConfig::new().init().unwrap(),
        [],
        [
            ShiftSensitive,
            DecreasingInDesirable,
            IncreasingInUndesirable,
            AtReference(0.5),
            LowerBound(0.0),
            UpperBound(1.0),
        ],
    );
    accordant_laws::unpaired_laws!(
        apo_zero_with_doubtful_labels_obeys_the_laws,
        "apo_zero with doubtful labels",
        ApoZeroConfig::new().with_beta(0.5).init().unwrap(),
        ["label_probs" => Unit],
        [AtReference(0.5), LowerBound(0.0), UpperBound(1.0)],
    );

    #[test]
    fn values_and_gradients_by_hand() {
        let apo = ApoZeroConfig::new().with_desirable_weight(1.5).with_undesirable_weight(0.7).init().unwrap();
        let losses = column(&apo.forward(&spec_batch()).unwrap().losses);
        // 1.5 σ(−0.1) and 0.7 σ(−0.05)
        let (w, l) = (1.0 / (1.0 + 0.1f64.exp()), 1.0 / (1.0 + 0.05f64.exp()));
        assert!((losses[0] - 1.5 * w).abs() < 1e-15 && (losses[1] - 0.7 * l).abs() < 1e-15, "{losses:?}");
        let grad = grad_of_policy(&spec_batch(), &apo);
        assert!((grad[0] + 0.15 * w * (1.0 - w)).abs() < 1e-15, "{grad:?}");
        assert!((grad[1] - 0.07 * l * (1.0 - l)).abs() < 1e-15, "{grad:?}");
    }

    #[test]
    fn it_is_kto_with_a_baseline_of_zero() {
        let apo = ApoZeroConfig::new().with_beta(0.3).init().unwrap().forward(&spec_batch()).unwrap();
        let batch = spec_batch().with_kl_baseline(0.0).unwrap();
        let kto = KtoConfig::new().with_beta(0.3).init().unwrap().forward(&batch).unwrap();
        assert_eq!(column(&apo.losses), column(&kto.losses));
        assert_eq!(column(&apo.rewards), [0.3, -0.15]);
    }

    #[test]
    fn a_policy_equal_to_its_reference_loses_half() {
        let policy = spec_batch().policy().clone();
        let batch = spec_batch().with_reference(policy).unwrap();
        assert_eq!(column(&ApoZeroConfig::new().init().unwrap().forward(&batch).unwrap().losses), [0.5, 0.5]);
    }

    #[test]
    fn defaults_and_senseless_settings() {
        let ApoZeroConfig { beta, desirable_weight, undesirable_weight } = ApoZeroConfig::new();
        assert_eq!((beta, desirable_weight, undesirable_weight), (0.1, 1.0, 1.0));
        for (config, name) in [
            (ApoZeroConfig::new().with_beta(f64::NAN), "`beta`"),
            (ApoZeroConfig::new().with_desirable_weight(-1.0), "`desirable_weight`"),
            (ApoZeroConfig::new().with_undesirable_weight(f64::NAN), "`undesirable_weight`"),
        ] {
            assert!(config.init().unwrap_err().to_string().starts_with(name));
        }
        let objective = ApoZeroConfig::new().init().unwrap();
        assert!(objective.needs_reference() && !objective.needs_kl_baseline() && !objective.uses_batch_statistics());
    }
}
