//! Efficient Exact Optimization (EXO) on pairs.
//!
//! **Paper:** Towards Efficient Exact Optimization of Language Model Alignment (2024), 2402.00856.
//! **Use when:** a mode-seeking fit is wanted: where cDPO spreads over the labels' noise, this concentrates.
//! **Checked by:** values and gradients by hand, its minimum, golden numbers (TRL), the laws of the family.
//! **Deviations:** none. TRL computes the logarithms of ε in f32.

use accordant_ops::{check_domain, stable::log_sigmoid};
use burn::{config::Config, tensor::Tensor};

use super::{MarginLoss, Method, PairBatch, PairOutput, PairValues, PairwiseObjective, check_beta};
use crate::Result;

/// EXO losses of pairs.
///
/// ```text
/// loss = KL(Bern(σ(h)) ‖ Bern(1−ε))        (eq. 16)
///      = σ(h) [log σ(h) − log(1−ε)] + σ(−h) [log σ(−h) − log ε],   h = β (d_w − d_l) − margin
/// ```
///
/// cDPO's loss is the same divergence the other way round, up to a constant. With a probability `q` that the label is
/// wrong, the loss is `(1−q)` times this plus `q` times the same at `−h`.
///
/// # Shapes
/// `ratios`: two `[n]` of summed log-ratios in nats; the result is `[n]`.
///
/// `beta` > 0, `label_smoothing` (ε) in `(0, 0.5)`: 0 would make every loss infinite. The loss is ≥ 0, and 0 at
/// `h = ln((1−ε)/ε)` alone, beyond which pairs are pulled back. Policy = reference gives `−ln 2 − ½ ln(ε(1−ε))`. Finite for
/// every finite input.
///
/// # Errors
/// A shape error when there is not one log-ratio for each response of `batch`.
///
/// # Example
/// ```
/// use accordant_objectives::pairwise::{PairBatch, PairLogps, PairValues, exo::exo_loss};
/// use accordant_ops::SequenceLogps;
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let one = |x: f32| Tensor::<1>::from_floats([x], &device);
/// let logps = |x| SequenceLogps::new(one(x), one(1.0));
/// let batch = PairBatch::new(PairLogps::new(logps(-1.0)?, logps(-2.0)?)?);
/// // σ(ln 3) = 3/4 = 1 − ε: nothing is left to learn.
/// let ratios = PairValues { chosen: one(3f32.ln()), rejected: one(0.0) };
/// assert!(exo_loss(&batch, ratios, 1.0, 0.25)?.into_scalar::<f32>().abs() < 1e-6);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2402.00856")]
#[doc(alias = "Towards Efficient Exact Optimization of Language Model Alignment")]
pub fn exo_loss(batch: &PairBatch, ratios: PairValues, beta: f64, label_smoothing: f64) -> Result<Tensor<1>> {
    batch.check_values(&ratios)?;
    let h = batch.times_beta(ratios.difference(), beta);
    Ok(ExoLoss { label_smoothing }.losses(batch, h))
}

/// `KL(Bern(σ(h)) ‖ Bern(1−ε))`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ExoLoss {
    /// Probability ε that a label is wrong, in `(0, 0.5)`.
    pub label_smoothing: f64,
}

impl MarginLoss for ExoLoss {
    fn loss(&self, h: Tensor<1>) -> Tensor<1> {
        let part = |log_q: Tensor<1>, p: f64| log_q.clone().exp() * (log_q - p.ln());
        part(log_sigmoid(h.clone()), 1.0 - self.label_smoothing) + part(log_sigmoid(-h), self.label_smoothing)
    }
}

/// Configuration of [`Exo`].
#[derive(Config, Debug, PartialEq)]
pub struct ExoConfig {
    /// Strength of the KL pull, finite and > 0. 0.1: TRL's default, equal to DPO's.
    #[config(default = 0.1)]
    pub beta: f64,
    /// Probability ε that a label is wrong, in `(0, 0.5)`. 1e-3: TRL's documentation; its code has 0, which is infinite.
    #[config(default = 1e-3)]
    pub label_smoothing: f64,
}

impl ExoConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<Exo> {
        check_beta(self.beta)?;
        let eps = self.label_smoothing;
        check_domain(eps > 0.0 && eps < 0.5, "label_smoothing", "in (0, 0.5)", eps)?;
        Ok(Exo { config: self.clone() })
    }
}

/// The EXO objective; see [`exo_loss`].
#[derive(Debug, Clone, PartialEq)]
pub struct Exo {
    config: ExoConfig,
}

/// `exo` by name.
pub const METHOD: Method = Method {
    name: "exo",
    title: "Efficient Exact Optimization",
    build: |options| Ok(Box::new(options.apply("exo", ExoConfig::new())?.init()?)),
};

impl PairwiseObjective for Exo {
    fn forward(&self, batch: &PairBatch) -> Result<PairOutput> {
        let ExoConfig { beta, label_smoothing } = self.config;
        let losses = exo_loss(batch, batch.log_ratios("exo")?, beta, label_smoothing)?;
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

    /// The definition, in plain arithmetic.
    fn kl(h: f64, eps: f64) -> f64 {
        let q = 1.0 / (1.0 + (-h).exp());
        q * (q / (1.0 - eps)).ln() + (1.0 - q) * ((1.0 - q) / eps).ln()
    }

    fn loss_of(h: f64, eps: f64) -> f64 {
        column(&ExoLoss { label_smoothing: eps }.loss(tensor(&[h])))[0]
    }

    #[test]
    fn value_and_gradient_by_hand() {
        let exo = ExoConfig::new().init().unwrap();
        let output = exo.forward(&spec_batch()).unwrap();
        assert!((column(&output.losses)[0] - 2.505516555).abs() < 1e-9);
        assert_eq!(column(&output.chosen_rewards), [0.1]);
        // dL/dh = σ(h) σ(−h) (h − ln((1−ε)/ε)) at h = 0.15.
        let q = 1.0 / (1.0 + (-0.15f64).exp());
        let slope = q * (1.0 - q) * (0.15 - 999f64.ln());
        let (chosen, rejected) = grad_of_policy(&spec_batch(), &exo);
        assert!((chosen[0] - 0.1 * slope).abs() < 1e-12 && (rejected[0] + 0.1 * slope).abs() < 1e-12);
    }

    #[test]
    fn it_is_least_where_the_odds_are_the_labels() {
        let best = 4f64.ln();
        assert!(loss_of(best, 0.2).abs() < 1e-15);
        assert!(loss_of(best - 0.01, 0.2) > 0.0 && loss_of(best + 0.01, 0.2) > 0.0);
        let at_zero = -2f64.ln() - 0.5 * (0.2f64 * 0.8).ln();
        assert!((loss_of(0.0, 0.2) - at_zero).abs() < 1e-14);
        // At ±∞ one outcome is certain: the loss is −log of its probability.
        assert!((loss_of(1e4, 0.2) + 0.8f64.ln()).abs() < 1e-14 && (loss_of(-1e4, 0.2) + 0.2f64.ln()).abs() < 1e-14);
    }

    #[test]
    fn hooks_reach_the_loss() {
        let exo = ExoConfig::new().with_label_smoothing(0.2).init().unwrap();
        let loss = |batch: PairBatch| column(&exo.forward(&batch).unwrap().losses)[0];
        assert!((loss(spec_batch().with_margins(tensor(&[1.0])).unwrap()) - kl(-0.85, 0.2)).abs() < 1e-12);
        assert!((loss(spec_batch().with_betas(tensor(&[2.0])).unwrap()) - kl(3.0, 0.2)).abs() < 1e-12);
        let mixed = 0.75 * kl(0.15, 0.2) + 0.25 * kl(-0.15, 0.2);
        assert!((loss(spec_batch().with_label_probs(tensor(&[0.75])).unwrap()) - mixed).abs() < 1e-12);
    }

    #[test]
    fn under_a_divergence_it_is_the_loss_of_the_scored_log_ratios() {
        let score = Score::Divergence { divergence: Divergence::ForwardKl, length: Length::Sum };
        let composed = Composed::new(score, 0.1, ExoLoss { label_smoothing: 0.2 }).unwrap();
        // g(1) − g(−0.5) = (1 − e^−1) − (1 − e^0.5)
        let h = 0.1 * (0.5f64.exp() - (-1f64).exp());
        assert!((column(&composed.forward(&spec_batch()).unwrap().losses)[0] - kl(h, 0.2)).abs() < 1e-12);
    }

    #[test]
    fn senseless_settings_are_refused_by_name() {
        assert_eq!(ExoConfig::new(), ExoConfig { beta: 0.1, label_smoothing: 1e-3 });
        assert!(ExoConfig::new().with_beta(0.0).init().unwrap_err().to_string().starts_with("`beta`"));
        for eps in [-0.1, 0.0, 0.5, 1.0, f64::NAN] {
            let error = ExoConfig::new().with_label_smoothing(eps).init().unwrap_err().to_string();
            assert_eq!(error, format!("`label_smoothing`: expected in (0, 0.5), got {eps}"));
        }
        let error = ExoConfig::new().init().unwrap().forward(&PairBatch::new(spec_batch().policy().clone()));
        assert!(error.unwrap_err().to_string().starts_with("`exo` needs the reference"));
        let ratios = PairValues { chosen: tensor(&[1.0]), rejected: tensor(&[0.0, 1.0]) };
        assert!(exo_loss(&spec_batch(), ratios, 1.0, 0.1).unwrap_err().to_string().starts_with("`values.rejected`"));
    }

    accordant_laws::pairwise_laws!(
        obeys_the_laws,
        "exo",
        ExoConfig::new().with_label_smoothing(0.1).init().unwrap(),
        [],
        [
            ShiftInvariant,
            AtReference(-2f64.ln() - 0.5 * 0.09f64.ln()),
            UpperBound(-0.1f64.ln()),
            LabelProbMixes,
            MarginShifts { beta: 0.1 },
        ],
    );
}
