//! Chi-squared Preference Optimization (χPO).
//!
//! **Paper:** Correcting the Mythos of KL-Regularization: Direct Alignment without Overoptimization via Chi-Squared
//! Preference Optimization (2024), 2407.13399.
//! **Use when:** the pairs cover little of what the policy could write, and DPO overoptimizes.
//! **Checked by:** the laws, hand-worked values and gradients, DPO where the log-ratios are far below 0.
//! **Deviations:** the exponent of the χ² term is capped by dtype, so that every finite input has a finite loss.

use accordant_ops::{check_domain, stable};
use burn::{config::Config, tensor::Tensor};

use super::{Method, PairBatch, PairOutput, PairValues, PairwiseObjective, check_beta, check_smoothing, logistic_loss};
use crate::Result;

/// χPO losses, one per pair: DPO's with `φ(z) = z + log z` of the ratio `z` in place of its logarithm.
///
/// ```text
/// h = clip(β (g(d_w) − g(d_l)), ±2 R_max) − margin,   g(d) = e^d + d        (algorithm 1)
/// loss = softplus(−h) + ε h
/// ```
///
/// # Shapes
/// `ratios`: two `[n]` of **summed** log-ratios in nats; the result is `[n]`.
///
/// `beta` > 0 and `max_reward` > 0 (`R_max`, in units of the reward) are checked by [`ChiPoConfig::init`]. Policy =
/// reference gives ln 2. A difference beyond `±2 R_max` carries no gradient.
///
/// # Errors
/// A shape error when there is not one log-ratio for each response of `batch`.
///
/// # Example
/// ```
/// use accordant_objectives::pairwise::{PairBatch, PairLogps, PairValues, chi_po::chi_po_loss};
/// use accordant_ops::SequenceLogps;
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let one = |x: f32| Tensor::<1>::from_floats([x], &device);
/// let logps = |x| SequenceLogps::new(one(x), one(1.0));
/// let batch = PairBatch::new(PairLogps::new(logps(-1.0)?, logps(-2.0)?)?);
/// // g(ln 2) − g(0) = 2 + ln 2 − 1
/// let ratios = PairValues { chosen: one(2f32.ln()), rejected: one(0.0) };
/// let loss = chi_po_loss(&batch, ratios, 1.0, 10.0, 0.0)?.into_scalar::<f32>();
/// assert!((loss - (-1.0 - 2f32.ln()).exp().ln_1p()).abs() < 1e-6);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2407.13399")]
#[doc(
    alias = "Correcting the Mythos of KL-Regularization: Direct Alignment without Overoptimization via Chi-Squared Preference Optimization"
)]
#[doc(alias = "chiPO")]
pub fn chi_po_loss(
    batch: &PairBatch,
    ratios: PairValues,
    beta: f64,
    max_reward: f64,
    label_smoothing: f64,
) -> Result<Tensor<1>> {
    batch.check_values(&ratios)?;
    let score = |d: Tensor<1>| -> Result<Tensor<1>> {
        let max = stable::exponent_max(d.dtype());
        Ok(stable::cap_exponent(d.clone(), Some(max))?.exp() + d)
    };
    let scores = PairValues { chosen: score(ratios.chosen)?, rejected: score(ratios.rejected)? };
    let h = batch.times_beta(scores.difference(), beta).clamp(-2.0 * max_reward, 2.0 * max_reward);
    Ok(logistic_loss(batch, h, label_smoothing))
}

/// Configuration of [`ChiPo`].
#[derive(Config, Debug, PartialEq)]
pub struct ChiPoConfig {
    /// Strength of the pull towards the reference, finite and > 0. 0.1: DPO's; the paper scans 0.01 to 1.
    #[config(default = 0.1)]
    pub beta: f64,
    /// `R_max`, the largest reward, finite and > 0. 10: ours, where the logistic loss is flat.
    #[config(default = 10.0)]
    pub max_reward: f64,
    /// Probability ε that a label is wrong, in `[0, 0.5)`. 0: the paper's loss.
    #[config(default = 0.0)]
    pub label_smoothing: f64,
}

impl ChiPoConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<ChiPo> {
        check_beta(self.beta)?;
        check_smoothing(self.label_smoothing)?;
        let max = self.max_reward;
        check_domain(max.is_finite() && max > 0.0, "max_reward", "finite and > 0", max)?;
        Ok(ChiPo { config: self.clone() })
    }
}

/// The χPO objective; see [`chi_po_loss`]. Rewards are `beta` times the log-ratio, comparable with DPO's.
#[derive(Debug, Clone, PartialEq)]
pub struct ChiPo {
    config: ChiPoConfig,
}

/// `chi_po` by name.
pub const METHOD: Method = Method {
    name: "chi_po",
    title: "Chi-squared Preference Optimization",
    build: |options| Ok(Box::new(options.apply("chi_po", ChiPoConfig::new())?.init()?)),
};

impl PairwiseObjective for ChiPo {
    fn forward(&self, batch: &PairBatch) -> Result<PairOutput> {
        let ChiPoConfig { beta, max_reward, label_smoothing } = self.config;
        let losses = chi_po_loss(batch, batch.log_ratios("chi_po")?, beta, max_reward, label_smoothing)?;
        Ok(PairOutput::new(losses, batch, beta))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pairwise::tests::{column, grad_of_policy, spec_batch, tensor};

    fn chi_po() -> ChiPo {
        ChiPoConfig::new().init().unwrap()
    }

    fn at(w: f64, l: f64, max_reward: f64) -> f64 {
        let ratios = PairValues { chosen: tensor(&[w]), rejected: tensor(&[l]) };
        column(&chi_po_loss(&spec_batch(), ratios, 0.1, max_reward, 0.0).unwrap())[0]
    }

    #[test]
    fn value_and_gradient_by_hand() {
        // d_w = 1, d_l = −0.5: h = 0.1 (e + 1 − e^−0.5 + 0.5).
        let h = 0.1 * (1f64.exp() + 1.0 - (-0.5f64).exp() + 0.5);
        let output = chi_po().forward(&spec_batch()).unwrap();
        assert!((column(&output.losses)[0] - (-h).exp().ln_1p()).abs() < 1e-14);
        assert_eq!((column(&output.chosen_rewards), column(&output.rejected_rewards)), (vec![0.1], vec![-0.05]));
        let (chosen, rejected) = grad_of_policy(&spec_batch(), &chi_po());
        let slope = 0.1 / (1.0 + h.exp());
        assert!((chosen[0] + slope * (1f64.exp() + 1.0)).abs() < 1e-14, "{chosen:?}");
        assert!((rejected[0] - slope * ((-0.5f64).exp() + 1.0)).abs() < 1e-14, "{rejected:?}");
    }

    #[test]
    fn far_below_the_reference_it_is_dpo() {
        let dpo = |h: f64| (-h).exp().ln_1p();
        assert!((at(-50.0, -52.0, 10.0) - dpo(0.2)).abs() < 1e-15);
    }

    #[test]
    fn the_difference_is_clipped_at_twice_the_largest_reward() {
        let dpo = |h: f64| (-h).exp().ln_1p();
        assert!((at(5.0, -5.0, 0.5) - dpo(1.0)).abs() < 1e-15);
        assert!((at(-5.0, 5.0, 0.5) - dpo(-1.0)).abs() < 1e-15);
        let clipped = ChiPoConfig::new().with_max_reward(0.1).init().unwrap();
        assert_eq!(grad_of_policy(&spec_batch(), &clipped), (vec![0.0], vec![0.0]));
    }

    #[test]
    fn the_hooks_reach_the_loss() {
        let h = 0.1 * (1f64.exp() + 1.0 - (-0.5f64).exp() + 0.5);
        let loss =
            |config: ChiPoConfig, batch: &PairBatch| column(&config.init().unwrap().forward(batch).unwrap().losses)[0];
        let plain = |h: f64, q: f64| (-h).exp().ln_1p() + q * h;
        let config = ChiPoConfig::new();
        let smoothed = loss(config.clone().with_label_smoothing(0.2), &spec_batch());
        assert!((smoothed - plain(h, 0.2)).abs() < 1e-14);
        let batch = spec_batch().with_margins(tensor(&[0.25])).unwrap();
        assert!((loss(config.clone(), &batch) - plain(h - 0.25, 0.0)).abs() < 1e-14);
        let batch = spec_batch().with_betas(tensor(&[0.2])).unwrap();
        assert!((loss(config, &batch) - plain(2.0 * h, 0.0)).abs() < 1e-14);
    }

    #[test]
    fn senseless_settings_and_inputs_are_refused_by_name() {
        let config = ChiPoConfig::new();
        assert_eq!((config.beta, config.max_reward, config.label_smoothing), (0.1, 10.0, 0.0));
        let refused = |config: ChiPoConfig, field: &str| {
            let error = config.init().unwrap_err().to_string();
            assert!(error.starts_with(&format!("`{field}`")), "{error}");
        };
        refused(config.clone().with_beta(0.0), "beta");
        refused(config.clone().with_label_smoothing(0.5), "label_smoothing");
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            refused(config.clone().with_max_reward(bad), "max_reward");
        }
        let ratios = PairValues { chosen: tensor(&[1.0, 2.0]), rejected: tensor(&[0.0]) };
        assert!(chi_po_loss(&spec_batch(), ratios, 1.0, 1.0, 0.0).is_err());
        let error = chi_po().forward(&PairBatch::new(spec_batch().policy().clone())).unwrap_err().to_string();
        assert!(error.starts_with("`chi_po` needs the reference"), "{error}");
    }

    accordant_laws::pairwise_laws!(
        chi_po_obeys_the_laws,
        "chi_po",
        chi_po(),
        [],
        [
            ShiftSensitive,
            AtReference(2f64.ln()),
            LowerBound(0.0),
            DecreasingInChosen,
            IncreasingInRejected,
            LabelProbMixes,
        ]
    );
}
