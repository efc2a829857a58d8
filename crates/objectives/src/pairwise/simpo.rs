//! Simple Preference Optimization (SimPO).
//!
//! **Paper:** SimPO: Simple Preference Optimization with a Reference-Free Reward (2024), 2405.14734.
//! **Use when:** no reference policy can be kept, or DPO's answers grow too long.
//! **Checked by:** golden numbers (TRL), hand-worked values, finite differences, the laws of the family.
//! **Deviations:** none. TRL's class adds an NLL term by default; the paper's loss has none, nor has this.

use accordant_ops::check_domain;
use burn::{config::Config, tensor::Tensor};

use super::{Method, PairBatch, PairOutput, PairwiseObjective, check_beta, check_smoothing, logistic_loss};
use crate::Result;

/// SimPO losses, one per pair, from mean log-probabilities.
///
/// ```text
/// h = β (log π(y_w|x)/|y_w| − log π(y_l|x)/|y_l|) − γ − margin        (eq. 6)
/// loss = softplus(−h) + ε h
/// ```
///
/// # Shapes
/// The result is `[n]`. `beta` > 0, `gamma` ≥ 0 (in units of the reward). Equal mean log-probabilities give
/// `softplus(γ)`; an empty response has mean 0. Finite for every finite input.
///
/// # Example
/// ```
/// use accordant_objectives::pairwise::{PairBatch, PairLogps, simpo::simpo_loss};
/// use accordant_ops::SequenceLogps;
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let one = |x: f32| Tensor::<1>::from_floats([x], &device);
/// let logps = |sum, count| SequenceLogps::new(one(sum), one(count));
/// // Both responses cost one nat a token: h = -γ = 0.
/// let batch = PairBatch::new(PairLogps::new(logps(-2.0, 2.0)?, logps(-5.0, 5.0)?)?);
/// let loss = simpo_loss(&batch, 2.0, 0.0, 0.0).into_scalar::<f32>();
/// assert!((loss - 2f32.ln()).abs() < 1e-6);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2405.14734")]
#[doc(alias = "SimPO: Simple Preference Optimization with a Reference-Free Reward")]
pub fn simpo_loss(batch: &PairBatch, beta: f64, gamma: f64, label_smoothing: f64) -> Tensor<1> {
    let h = batch.times_beta(batch.policy().means().difference(), beta) - gamma;
    logistic_loss(batch, h, label_smoothing)
}

/// Configuration of [`SimPo`].
#[derive(Config, Debug, PartialEq)]
pub struct SimPoConfig {
    /// Scale of the reward, finite and > 0. 2.0: the lower end of the authors' released settings (2 to 10).
    #[config(default = 2.0)]
    pub beta: f64,
    /// Target margin γ as a share of `beta`, finite and ≥ 0. 0.5: where the authors' guide starts.
    #[config(default = 0.5)]
    pub gamma_beta_ratio: f64,
    /// Probability ε that a label is wrong, in `[0, 0.5)`. 0: the paper's loss.
    #[config(default = 0.0)]
    pub label_smoothing: f64,
}

impl SimPoConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<SimPo> {
        check_beta(self.beta)?;
        check_smoothing(self.label_smoothing)?;
        let ratio = self.gamma_beta_ratio;
        check_domain(ratio.is_finite() && ratio >= 0.0, "gamma_beta_ratio", "finite and >= 0", ratio)?;
        Ok(SimPo { config: self.clone() })
    }
}

/// The SimPO objective; see [`simpo_loss`]. Rewards are `beta` times the mean log-probability.
#[derive(Debug, Clone, PartialEq)]
pub struct SimPo {
    config: SimPoConfig,
}

/// `simpo` by name.
pub const METHOD: Method = Method {
    name: "simpo",
    title: "Simple Preference Optimization",
    build: |options| Ok(Box::new(options.apply("simpo", SimPoConfig::new())?.init()?)),
};

impl PairwiseObjective for SimPo {
    fn needs_reference(&self) -> bool {
        false
    }

    fn forward(&self, batch: &PairBatch) -> Result<PairOutput> {
        let SimPoConfig { beta, gamma_beta_ratio, label_smoothing } = self.config;
        let losses = simpo_loss(batch, beta, gamma_beta_ratio * beta, label_smoothing);
        let rewards = batch.policy().means().map(|mean| batch.times_beta(mean, beta));
        Ok(PairOutput::with_rewards(losses, batch, rewards))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pairwise::tests::{column, grad_of_policy, spec_batch};

    #[test]
    fn value_and_gradient_by_hand() {
        // L_w/n_w − L_l/n_l = −1.2 + 1.25 = 0.05; h = 2·0.05 − 1 = −0.9; ln(1 + e^0.9) = 1.241153875.
        let simpo = SimPoConfig::new().init().unwrap();
        let loss = column(&simpo.forward(&spec_batch()).unwrap().losses);
        assert!((loss[0] - 1.241153875).abs() < 1e-9, "{loss:?}");
        // dL/dL_w = −β σ(0.9) / n_w
        let (chosen, _) = grad_of_policy(&spec_batch(), &simpo);
        let expected = -2.0 / (1.0 + (-0.9f64).exp()) / 10.0;
        assert!((chosen[0] - expected).abs() < 1e-12, "{chosen:?}");
    }

    #[test]
    fn the_reference_is_not_read() {
        let simpo = SimPoConfig::new().init().unwrap();
        let free = PairBatch::new(spec_batch().policy().clone());
        let (with, without) = (simpo.forward(&spec_batch()).unwrap(), simpo.forward(&free).unwrap());
        assert_eq!(column(&with.losses), column(&without.losses));
        assert_eq!(column(&with.chosen_rewards), column(&without.chosen_rewards));
        // L_w = −12 is above L_ref = −13, whatever the reward is made of.
        assert_eq!(with.means().mean("frac_chosen_logp_down"), Some(0.0));
        assert_eq!(without.means().mean("frac_chosen_logp_down"), None);
    }

    #[test]
    fn senseless_settings_are_refused_by_name() {
        assert!(SimPoConfig::new().with_beta(0.0).init().unwrap_err().to_string().starts_with("`beta`"));
        for bad in [-0.1, f64::NAN, f64::INFINITY] {
            let error = SimPoConfig::new().with_gamma_beta_ratio(bad).init().unwrap_err().to_string();
            assert!(error.starts_with("`gamma_beta_ratio`"), "{error}");
        }
        assert!(SimPoConfig::new().with_label_smoothing(0.5).init().is_err());
    }
}
