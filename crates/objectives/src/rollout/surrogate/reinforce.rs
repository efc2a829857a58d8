//! Policy gradient without a ratio (REINFORCE, GPG), or with the ratio as a weight.
//!
//! **Paper:** Simple Statistical Gradient-Following Algorithms for Connectionist Reinforcement Learning (1992);
//! GPG: A Simple and Strong Reinforcement Learning Baseline for Model Reasoning (2025), 2504.02546.
//! **Use when:** each rollout is learned from once; there is nothing to clip then.
//! **Checked by:** hand-worked values and gradients, laws of surrogates.
//! **Deviations:** none; the weight is for rollouts that are learned from more than once.

use burn::{config::Config, tensor::Tensor};

use super::{Method, Surrogate, Tokens, check_like};
use crate::Result;

/// Losses whose gradient is that of the expected reward, one for each token.
///
/// ```text
/// f = −A log π            gradient −A ∇log π
/// f = −sg(w) A log π      with weights
/// ```
///
/// # Shapes
/// `logps`, `advantages` (a constant), `weights` (constants) and the result: `[rows, seq]`.
///
/// # Errors
/// A shape or dtype error naming the argument.
///
/// # Example
/// ```
/// use accordant_objectives::rollout::surrogate::reinforce::reinforce_losses;
/// use burn::tensor::{Device, Tensor};
/// let row = |values: [f32; 2]| Tensor::<2>::from_floats([values], &Device::flex());
/// let losses = reinforce_losses(row([-2.0, -3.0]), row([1.0, -1.0]), None)?;
/// assert_eq!(losses.into_data().try_to_vec::<f32>().unwrap(), [2.0, -3.0]);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2504.02546")]
#[doc(alias = "REINFORCE")]
#[doc(alias = "GPG")]
pub fn reinforce_losses(logps: Tensor<2>, advantages: Tensor<2>, weights: Option<Tensor<2>>) -> Result<Tensor<2>> {
    check_like("advantages", &logps, &advantages)?;
    let costs = -advantages.detach();
    let Some(weights) = weights else { return Ok(costs * logps) };
    check_like("weights", &logps, &weights)?;
    Ok(weights.detach() * costs * logps)
}

/// Configuration of [`Reinforce`].
#[derive(Config, Debug, PartialEq)]
pub struct ReinforceConfig {
    /// Whether a token counts its ratio to the old policy, as a constant without bounds; [`super::cispo`] has bounds.
    /// No: the papers', where the two policies are one.
    #[config(default = false)]
    pub weighted: bool,
}

impl ReinforceConfig {
    /// Every configuration is valid.
    pub fn init(&self) -> Reinforce {
        Reinforce { config: self.clone() }
    }
}

/// The surrogate without a ratio; see [`reinforce_losses`].
#[derive(Debug, Clone, PartialEq)]
pub struct Reinforce {
    config: ReinforceConfig,
}

/// `reinforce` by name.
pub const METHOD: Method = Method {
    name: "reinforce",
    title: "Policy Gradient without a Ratio",
    build: |options| Ok(Box::new(options.apply("reinforce", ReinforceConfig::new())?.init())),
};

impl Surrogate for Reinforce {
    fn name(&self) -> &'static str {
        "reinforce"
    }

    fn losses(&self, tokens: &Tokens) -> Result<Tensor<2>> {
        let weights = self.config.weighted.then(|| tokens.log_ratios.clone().exp());
        reinforce_losses(tokens.logps.clone(), tokens.advantages.clone(), weights)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollout::surrogate::tests::{close, token};

    #[test]
    fn the_ratio_counts_only_as_a_weight() {
        // The policy gives e^−2, the old one e^(−2 − log 3).
        let (loss, slope) = token(&ReinforceConfig::new().init(), -2.0, 3f64.ln(), 0.5);
        close(&[loss, slope], &[1.0, -0.5], 1e-15);
        let (loss, slope) = token(&ReinforceConfig::new().with_weighted(true).init(), -2.0, 3f64.ln(), 0.5);
        close(&[loss, slope], &[3.0, -1.5], 1e-14);
        assert!(!ReinforceConfig::new().weighted);
    }
}
