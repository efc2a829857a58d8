//! Robust DPO (rDPO): an unbiased loss for labels that are wrong at a known rate.
//!
//! **Paper:** Provably Robust DPO: Aligning Language Models with Noisy Feedback (2024), 2403.00409.
//! **Use when:** labels were flipped at random and the rate is known; cDPO only hedges, this one corrects.
//! **Checked by:** values and gradients by hand, unbiasedness, golden numbers (TRL), the laws of the family.
//! **Deviations:** none.

use burn::{config::Config, tensor::Tensor};

use super::{
    MarginLoss, Method, PairBatch, PairOutput, PairValues, PairwiseObjective, check_beta, check_smoothing,
    dpo::{LogisticLoss, dpo_loss},
};
use crate::Result;

/// Robust DPO losses, one per pair.
///
/// ```text
/// loss = [(1−ε) L(h) − ε L(−h)] / (1 − 2ε),   L(h) = −log σ(h)
///      = softplus(−h) − ε/(1−2ε) h
/// ```
///
/// The second form shows that this is [`dpo_loss`] with the label smoothing `−ε/(1−2ε)`. Averaged over labels that are
/// wrong with probability ε it is the loss of the right labels: `(1−ε) loss(h) + ε loss(−h) = L(h)`.
///
/// # Shapes
/// `ratios`: two `[n]` of summed log-ratios in nats; the result is `[n]`.
///
/// `beta` > 0, `label_smoothing` (ε) in `[0, 0.5)`. Policy = reference gives ln 2. **Negative** for confident right pairs
/// and unbounded below, with slope `−ε/(1−2ε)`: watch the margins. Finite for every finite input.
///
/// # Errors
/// A shape error when there is not one log-ratio for each response of `batch`.
///
/// # Example
/// ```
/// use accordant_objectives::pairwise::{PairBatch, PairLogps, PairValues, robust::robust_loss};
/// use accordant_ops::SequenceLogps;
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let one = |x: f32| Tensor::<1>::from_floats([x], &device);
/// let logps = |x| SequenceLogps::new(one(x), one(1.0));
/// let batch = PairBatch::new(PairLogps::new(logps(-1.0)?, logps(-2.0)?)?);
/// // h = ln 3 and ε/(1−2ε) = 1/2: ln 4/3 − ln 3 / 2.
/// let ratios = PairValues { chosen: one(3f32.ln()), rejected: one(0.0) };
/// let loss = robust_loss(&batch, ratios, 1.0, 0.25)?.into_scalar::<f32>();
/// assert!((loss - (4f32 / 3.0).ln() + 3f32.ln() / 2.0).abs() < 1e-6);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2403.00409")]
#[doc(alias = "Provably Robust DPO: Aligning Language Models with Noisy Feedback")]
#[doc(alias = "rDPO")]
pub fn robust_loss(batch: &PairBatch, ratios: PairValues, beta: f64, label_smoothing: f64) -> Result<Tensor<1>> {
    dpo_loss(batch, ratios, beta, corrected(label_smoothing))
}

/// The label smoothing of the logistic loss that corrects for flips of probability ε.
fn corrected(label_smoothing: f64) -> f64 {
    -label_smoothing / (1.0 - 2.0 * label_smoothing)
}

/// `softplus(−h) − ε/(1−2ε) h`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RobustLoss {
    /// Probability ε that a label is wrong, in `[0, 0.5)`.
    pub label_smoothing: f64,
}

impl RobustLoss {
    fn logistic(&self) -> LogisticLoss {
        LogisticLoss { label_smoothing: corrected(self.label_smoothing) }
    }
}

impl MarginLoss for RobustLoss {
    fn loss(&self, h: Tensor<1>) -> Tensor<1> {
        self.logistic().loss(h)
    }

    fn losses(&self, batch: &PairBatch, h: Tensor<1>) -> Tensor<1> {
        self.logistic().losses(batch, h)
    }
}

/// Configuration of [`Robust`].
#[derive(Config, Debug, PartialEq)]
pub struct RobustConfig {
    /// Strength of the KL pull, finite and > 0. 0.1: DPO's.
    #[config(default = 0.1)]
    pub beta: f64,
    /// Probability ε that a label is wrong, in `[0, 0.5)`. 0.1: what the authors recommend.
    #[config(default = 0.1)]
    pub label_smoothing: f64,
}

impl RobustConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<Robust> {
        check_beta(self.beta)?;
        check_smoothing(self.label_smoothing)?;
        Ok(Robust { config: self.clone() })
    }
}

/// The robust DPO objective; see [`robust_loss`].
#[derive(Debug, Clone, PartialEq)]
pub struct Robust {
    config: RobustConfig,
}

/// `robust` by name.
pub const METHOD: Method = Method {
    name: "robust",
    title: "Robust Direct Preference Optimization",
    build: |options| Ok(Box::new(options.apply("robust", RobustConfig::new())?.init()?)),
};

impl PairwiseObjective for Robust {
    fn forward(&self, batch: &PairBatch) -> Result<PairOutput> {
        let RobustConfig { beta, label_smoothing } = self.config;
        let losses = robust_loss(batch, batch.log_ratios("robust")?, beta, label_smoothing)?;
        Ok(PairOutput::new(losses, batch, beta))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pairwise::{
        Composed, Length, Score,
        f_dpo::Divergence,
        tests::{column, grad_of_policy, spec_batch, tensor},
    };

    fn robust(eps: f64) -> Robust {
        RobustConfig::new().with_label_smoothing(eps).init().expect("valid in this test")
    }

    fn loss_of(h: f64, eps: f64) -> f64 {
        let ratios = PairValues { chosen: tensor(&[h]), rejected: tensor(&[0.0]) };
        column(&robust_loss(&spec_batch(), ratios, 1.0, eps).unwrap())[0]
    }

    #[test]
    fn value_and_gradient_by_hand() {
        // h = 0.15: 0.6209570478 − 0.125 · 0.15.
        let objective = RobustConfig::new().init().unwrap();
        let output = objective.forward(&spec_batch()).unwrap();
        assert!((column(&output.losses)[0] - 0.6022070478).abs() < 1e-10);
        assert_eq!((column(&output.chosen_rewards), column(&output.rejected_rewards)), (vec![0.1], vec![-0.05]));
        let (chosen, rejected) = grad_of_policy(&spec_batch(), &objective);
        assert!((chosen[0] + 0.0587570155).abs() < 1e-10 && (rejected[0] - 0.0587570155).abs() < 1e-10);
    }

    #[test]
    fn noisy_labels_average_to_the_loss_of_right_ones() {
        for eps in [0.0, 0.1, 0.4] {
            for h in [-3.0, -0.2, 0.0, 1.0, 30.0] {
                let noisy = (1.0 - eps) * loss_of(h, eps) + eps * loss_of(-h, eps);
                assert!((noisy - loss_of(h, 0.0)).abs() < 1e-12, "ε = {eps}, h = {h}");
            }
        }
    }

    #[test]
    fn without_smoothing_it_is_dpo_and_with_it_unbounded_below() {
        let batch = spec_batch();
        let dpo = dpo_loss(&batch, batch.log_ratios("dpo").unwrap(), 0.1, 0.0).unwrap();
        assert_eq!(column(&robust(0.0).forward(&batch).unwrap().losses), column(&dpo));
        // The slope at +∞ is −ε/(1−2ε) = −1/2.
        assert!((loss_of(1000.0, 0.25) + 500.0).abs() < 1e-9);
    }

    #[test]
    fn hooks_reach_the_loss() {
        let loss = |batch: PairBatch| column(&robust(0.25).forward(&batch).unwrap().losses)[0];
        // h = 0.15 less a margin of 0.15.
        assert!((loss(spec_batch().with_margins(tensor(&[0.15])).unwrap()) - 2f64.ln()).abs() < 1e-12);
        // β = 1: h = 1.5.
        assert!((loss(spec_batch().with_betas(tensor(&[1.0])).unwrap()) - loss_of(1.5, 0.25)).abs() < 1e-12);
        let mixed = 0.75 * loss_of(0.15, 0.25) + 0.25 * loss_of(-0.15, 0.25);
        assert!((loss(spec_batch().with_label_probs(tensor(&[0.75])).unwrap()) - mixed).abs() < 1e-12);
    }

    #[test]
    fn under_a_divergence_it_is_the_loss_of_the_scored_log_ratios() {
        let score = Score::Divergence { divergence: Divergence::JensenShannon, length: Length::Sum };
        let composed = Composed::new(score, 0.1, RobustLoss { label_smoothing: 0.1 }).unwrap();
        // g(d) = ln 2 + log σ(d), at d = 1 and −0.5.
        let g = |d: f64| 2f64.ln() - (1.0 + (-d).exp()).ln();
        let h = 0.1 * (g(1.0) - g(-0.5));
        let direct = |h: f64| (1.0 + (-h).exp()).ln() - 0.125 * h;
        let loss = column(&composed.forward(&spec_batch()).unwrap().losses);
        assert!((loss[0] - direct(h)).abs() < 1e-12, "{loss:?}");
        let doubtful = spec_batch().with_label_probs(tensor(&[0.75])).unwrap();
        let loss = column(&composed.forward(&doubtful).unwrap().losses);
        assert!((loss[0] - 0.75 * direct(h) - 0.25 * direct(-h)).abs() < 1e-12, "{loss:?}");
        assert!((column(&RobustLoss { label_smoothing: 0.1 }.loss(tensor(&[h])))[0] - direct(h)).abs() < 1e-12);
    }

    #[test]
    fn senseless_settings_are_refused_by_name() {
        assert_eq!(RobustConfig::new(), RobustConfig { beta: 0.1, label_smoothing: 0.1 });
        for beta in [0.0, f64::NAN] {
            assert!(RobustConfig::new().with_beta(beta).init().unwrap_err().to_string().starts_with("`beta`"));
        }
        for eps in [-0.1, 0.5, f64::NAN] {
            let error = RobustConfig::new().with_label_smoothing(eps).init().unwrap_err().to_string();
            assert!(error.starts_with("`label_smoothing`"), "{error}");
        }
        let error = robust(0.1).forward(&PairBatch::new(spec_batch().policy().clone())).unwrap_err().to_string();
        assert!(error.starts_with("`robust` needs the reference"), "{error}");
    }

    accordant_laws::pairwise_laws!(
        obeys_the_laws,
        "robust",
        RobustConfig::new().init().unwrap(),
        [],
        [
            ShiftInvariant,
            DecreasingInChosen,
            IncreasingInRejected,
            ConvexInMargin,
            // β / (1 − 2ε)
            SwapDifference(0.125),
            AtReference(2f64.ln()),
            LabelProbMixes,
            MarginShifts { beta: 0.1 },
        ],
    );
}
