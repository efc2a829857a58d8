//! DPO whose `beta` grows with a reward model's margin (MM-RLHF's dynamic reward scaling).
//!
//! **Paper:** MM-RLHF: The Next Step Forward in Multimodal LLM Alignment (2025), 2502.10391.
//! **Use when:** a reward model is at hand and the clearest pairs shall count most. See [`super::madpo`] for the opposite
//! emphasis.
//! **Checked by:** hand-worked values and gradients, DPO at `beta_gain` 0.
//! **Deviations:** a margin below 0, where the reward model contradicts the label, counts as 0.

use accordant_ops::{check_domain, stable};
use burn::{config::Config, tensor::Tensor};

use super::{
    Method, PairBatch, PairOutput, PairwiseObjective, check_beta, check_smoothing, columns::REWARD_GAPS, dpo::dpo_loss,
};
use crate::{Result, side::Column};

/// The `beta` of each pair.
///
/// ```text
/// β_i = β (1 + w (1 − e^{−k m_i})),   m_i = max(0, r(y_w) − r(y_l))
/// ```
///
/// To be given to the batch, [`PairBatch::with_betas`], whatever the objective.
///
/// # Shapes
/// `reward_gaps` and the result: `[n]`; detached.
///
/// `beta` > 0 (or the batch's own), `beta_gain` (w) ≥ 0, `gap_rate` (k) ≥ 0. In `[β, β (1 + w)]`.
///
/// # Errors
/// A shape error naming `reward_gaps` when there is not one for each pair of `batch`, a dtype error for another dtype.
///
/// # Example
/// ```
/// use accordant_objectives::pairwise::{PairBatch, PairLogps, dynamic_beta::dynamic_betas};
/// use accordant_ops::SequenceLogps;
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let one = |x: f32| Tensor::<1>::from_floats([x], &device);
/// let logps = |x| SequenceLogps::new(one(x), one(1.0));
/// let batch = PairBatch::new(PairLogps::new(logps(-1.0)?, logps(-2.0)?)?);
/// // 1 − e^{−ln 2} is one half: 0.1 (1 + 0.5 · 0.5).
/// let betas = dynamic_betas(&batch, one(2f32.ln()), 0.1, 0.5, 1.0)?;
/// assert!((betas.into_scalar::<f32>() - 0.125).abs() < 1e-7);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2502.10391")]
#[doc(alias = "MM-RLHF: The Next Step Forward in Multimodal LLM Alignment")]
#[doc(alias = "dynamic reward scaling")]
pub fn dynamic_betas(
    batch: &PairBatch,
    reward_gaps: Tensor<1>,
    beta: f64,
    beta_gain: f64,
    gap_rate: f64,
) -> Result<Tensor<1>> {
    batch.check_numbers("reward_gaps", &reward_gaps)?;
    let gain = stable::expm1(reward_gaps.detach().clamp_min(0.0) * -gap_rate) * -beta_gain + 1.0;
    Ok(batch.times_beta(gain, beta))
}

/// Configuration of [`DynamicBeta`].
#[derive(Config, Debug, PartialEq)]
pub struct DynamicBetaConfig {
    /// `beta` of a pair without a margin, finite and > 0. 0.1: the paper's.
    #[config(default = 0.1)]
    pub beta: f64,
    /// How much larger the largest `beta` is, as a share, finite and ≥ 0; w in the paper. 0.5: the paper's.
    #[config(default = 0.5)]
    pub beta_gain: f64,
    /// How fast it is reached, finite and ≥ 0, one over the reward's unit; k in the paper. 0.5: the paper's.
    #[config(default = 0.5)]
    pub gap_rate: f64,
    /// Probability ε that a label is wrong, in `[0, 0.5)`. 0: DPO's.
    #[config(default = 0.0)]
    pub label_smoothing: f64,
}

impl DynamicBetaConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<DynamicBeta> {
        check_beta(self.beta)?;
        for (name, value) in [("beta_gain", self.beta_gain), ("gap_rate", self.gap_rate)] {
            check_domain(value.is_finite() && value >= 0.0, name, "finite and >= 0", value)?;
        }
        check_smoothing(self.label_smoothing)?;
        Ok(DynamicBeta { config: self.clone() })
    }
}

/// DPO with [`dynamic_betas`]. A `beta` of the batch takes the place of the configured one and is scaled like it. Rewards
/// are each pair's own `beta` times the log-ratio; logs `beta`.
#[derive(Debug, Clone, PartialEq)]
pub struct DynamicBeta {
    config: DynamicBetaConfig,
}

/// `dynamic_beta` by name.
pub const METHOD: Method = Method {
    name: "dynamic_beta",
    title: "Direct Preference Optimization with dynamic reward scaling",
    build: |options| Ok(Box::new(options.apply("dynamic_beta", DynamicBetaConfig::new())?.init()?)),
};

impl PairwiseObjective for DynamicBeta {
    fn columns(&self) -> Vec<Column> {
        vec![REWARD_GAPS]
    }

    fn forward(&self, batch: &PairBatch) -> Result<PairOutput> {
        let DynamicBetaConfig { beta, beta_gain, gap_rate, label_smoothing } = self.config;
        let gaps = batch.column(REWARD_GAPS, "dynamic_beta")?;
        let betas = dynamic_betas(batch, gaps, beta, beta_gain, gap_rate)?;
        let batch = &batch.clone().with_betas(betas.clone())?;
        let losses = dpo_loss(batch, batch.log_ratios("dynamic_beta")?, beta, label_smoothing)?;
        PairOutput::new(losses, batch, beta).with_metric("beta", betas)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pairwise::tests::{column, grad_of_policy, spec_batch, tensor};

    fn gap(gap: f64) -> PairBatch {
        spec_batch().with_column(REWARD_GAPS, tensor(&[gap])).unwrap()
    }

    fn loss(config: DynamicBetaConfig, batch: &PairBatch) -> f64 {
        column(&config.init().unwrap().forward(batch).unwrap().losses)[0]
    }

    fn plain(h: f64) -> f64 {
        (-h).exp().ln_1p()
    }

    #[test]
    fn value_and_gradient_by_hand() {
        // k m = ln 4: 1 − 1/4, so β = 0.1 (1 + 0.5 · 0.75) = 0.1375 and h = 1.5 β.
        let batch = gap(2.0 * 4f64.ln());
        assert!((loss(DynamicBetaConfig::new(), &batch) - plain(1.5 * 0.1375)).abs() < 1e-12);
        let output = DynamicBetaConfig::new().init().unwrap().forward(&batch).unwrap();
        assert!((column(&output.chosen_rewards)[0] - 0.1375).abs() < 1e-12);
        assert!((column(&output.rejected_rewards)[0] + 0.5 * 0.1375).abs() < 1e-12);
        assert!((output.means().mean("beta").unwrap() - 0.1375).abs() < 1e-12);
        let (chosen, _) = grad_of_policy(&batch, &DynamicBetaConfig::new().init().unwrap());
        assert!((chosen[0] + 0.1375 / (1.0 + (1.5f64 * 0.1375).exp())).abs() < 1e-12, "{chosen:?}");
        // Twice the rate: 1 − 1/16; a gain of 1.
        let config = DynamicBetaConfig::new().with_gap_rate(1.0).with_beta_gain(1.0);
        assert!((loss(config, &batch) - plain(1.5 * 0.1 * (2.0 - 1.0 / 16.0))).abs() < 1e-12);
    }

    #[test]
    fn beta_stays_in_its_range() {
        for (gap_, beta) in [(-1e4, 0.1), (-1.0, 0.1), (0.0, 0.1), (1e4, 0.15)] {
            assert!((loss(DynamicBetaConfig::new(), &gap(gap_)) - plain(1.5 * beta)).abs() < 1e-12, "{gap_}");
        }
        assert!((loss(DynamicBetaConfig::new().with_beta_gain(0.0), &gap(3.0)) - plain(0.15)).abs() < 1e-12);
    }

    #[test]
    fn the_hooks_reach_the_loss() {
        let batch = gap(1e4).with_betas(tensor(&[1.0])).unwrap();
        assert!((loss(DynamicBetaConfig::new(), &batch) - plain(1.5 * 1.5)).abs() < 1e-12, "scaled, too");
        let batch = gap(0.0).with_margins(tensor(&[0.05])).unwrap();
        assert!((loss(DynamicBetaConfig::new(), &batch) - plain(0.1)).abs() < 1e-12);
        let batch = gap(0.0).with_label_probs(tensor(&[0.9])).unwrap();
        assert!((loss(DynamicBetaConfig::new(), &batch) - plain(0.15) - 0.015).abs() < 1e-12);
        let smoothed = DynamicBetaConfig::new().with_label_smoothing(0.1);
        assert!((loss(smoothed, &gap(0.0)) - plain(0.15) - 0.015).abs() < 1e-12);
    }

    #[test]
    fn senseless_settings_and_inputs_are_refused_by_name() {
        let config = DynamicBetaConfig::new();
        assert_eq!((config.beta, config.beta_gain, config.gap_rate, config.label_smoothing), (0.1, 0.5, 0.5, 0.0));
        let refused = |config: DynamicBetaConfig, field: &str| {
            let error = config.init().unwrap_err().to_string();
            assert!(error.starts_with(&format!("`{field}`")), "{error}");
        };
        refused(DynamicBetaConfig::new().with_beta(0.0), "beta");
        refused(DynamicBetaConfig::new().with_label_smoothing(0.5), "label_smoothing");
        for bad in [-0.1, f64::NAN, f64::INFINITY] {
            refused(DynamicBetaConfig::new().with_beta_gain(bad), "beta_gain");
            refused(DynamicBetaConfig::new().with_gap_rate(bad), "gap_rate");
        }
        let dynamic = config.with_gap_rate(0.0).init().unwrap();
        assert_eq!(dynamic.columns(), [REWARD_GAPS]);
        let error = dynamic.forward(&spec_batch()).unwrap_err().to_string();
        assert!(error.starts_with("`dynamic_beta` needs `reward_gaps`"), "{error}");
        let error = dynamic_betas(&spec_batch(), tensor(&[1.0, 2.0]), 0.1, 0.5, 0.5).unwrap_err().to_string();
        assert_eq!(error, "`reward_gaps`: expected shape [1], got [2]");
    }

    accordant_laws::pairwise_laws!(
        dynamic_beta_obeys_the_laws,
        "dynamic_beta",
        DynamicBetaConfig::new().init().unwrap(),
        ["reward_gaps" => Real(-2.0, 2.0)],
        [ShiftInvariant, AtReference(2f64.ln()), LowerBound(0.0), DecreasingInChosen, IncreasingInRejected,
         ConvexInMargin]
    );
}
