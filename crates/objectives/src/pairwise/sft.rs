//! Negative log-likelihood of the chosen response, a method and a regularizer of the others.
//!
//! **Paper:** Training language models to follow instructions with human feedback (2022), 2203.02155.
//! **Use when:** as a term beside a contrastive loss that lets the likelihood of chosen responses fall; alone it is
//! supervised fine-tuning.
//! **Checked by:** golden numbers (TRL), hand-worked values, finite differences, the laws of the family.
//! **Deviations:** none. A mean over tokens is one over **all** tokens of the step, not a mean of means over pairs.

use accordant_ops::{SequenceLogps, check_domain};
use burn::{config::Config, tensor::Tensor};

use super::{Extra, Length, Method, PairBatch, PairOutput, PairwiseObjective, Regularizer};
use crate::Result;

/// The prompt followed by the chosen response, both scored: what some implementations of ORPO and CPO average over.
pub const PROMPT_AND_CHOSEN: Extra =
    Extra { name: "prompt_and_chosen", meaning: "prompt and chosen response, both scored", needs_reference: false };

/// Which tokens a likelihood term of the chosen response scores.
#[derive(Config, Debug, Copy, PartialEq)]
pub enum NllScope {
    /// Those of the response.
    ChosenCompletion,
    /// Those of the prompt too; reads [`PROMPT_AND_CHOSEN`].
    PromptAndCompletion,
}

/// Negative log-likelihoods, one per pair.
///
/// ```text
/// TokenMean:  −L · (Σ_i w_i / Σ_i w_i n_i)      so that the mean over pairs is Σ w_i (−L_i) / Σ w_i n_i
/// Sum:        −L
/// ```
///
/// The mean over tokens divides by the mean length of the responses called `of`, of the whole step when the batch knows
/// it ([`PairBatch::with_mean_tokens`]); a batch without a token gives 0.
///
/// # Shapes
/// `logps` and the result: `[n]`.
///
/// # Example
/// ```
/// use accordant_objectives::pairwise::{Length, PairBatch, PairLogps, sft::nll_losses};
/// use accordant_objectives::SequenceLogps;
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let logps = |sums: [f32; 2], counts: [f32; 2]| {
///     SequenceLogps::new(Tensor::from_floats(sums, &device), Tensor::from_floats(counts, &device))
/// };
/// let pairs = PairLogps::new(logps([-2.0, -6.0], [1.0, 3.0])?, logps([-1.0, -1.0], [1.0, 1.0])?)?;
/// let batch = PairBatch::new(pairs.clone());
/// // Eight nats over four tokens are 2 nats a token.
/// let losses = nll_losses(&batch, "chosen", &pairs.chosen, Length::TokenMean);
/// assert_eq!(losses.mean().into_scalar::<f32>(), 2.0);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2203.02155")]
#[doc(alias = "Training language models to follow instructions with human feedback")]
pub fn nll_losses(batch: &PairBatch, of: &'static str, logps: &SequenceLogps, reduction: Length) -> Tensor<1> {
    match reduction {
        Length::TokenMean => -logps.sum.clone() * batch.per_mean_token(of, logps),
        Length::Sum => -logps.sum.clone(),
    }
}

/// The response that a scope scores, with its name.
pub(super) fn scored<'a>(
    batch: &'a PairBatch,
    scope: NllScope,
    method: &'static str,
) -> Result<(&'static str, &'a SequenceLogps)> {
    Ok(match scope {
        NllScope::ChosenCompletion => ("chosen", &batch.policy().chosen),
        NllScope::PromptAndCompletion => (PROMPT_AND_CHOSEN.name, batch.extra(PROMPT_AND_CHOSEN, method)?),
    })
}

impl NllScope {
    /// The third response that it reads.
    pub(super) fn extras(self) -> Vec<Extra> {
        match self {
            Self::ChosenCompletion => Vec::new(),
            Self::PromptAndCompletion => vec![PROMPT_AND_CHOSEN],
        }
    }
}

/// A likelihood term in another method's loss: `weight` times [`nll_losses`], a mean over tokens. Logged as `nll`.
#[derive(Debug, Clone, Copy)]
pub(super) struct NllTerm {
    pub(super) weight: f64,
    pub(super) scope: NllScope,
}

impl NllTerm {
    /// The domain of its weight, called `sft_weight` in configurations.
    pub(super) fn check(self) -> Result<()> {
        let holds = self.weight.is_finite() && self.weight >= 0.0;
        Ok(check_domain(holds, "sft_weight", "finite and >= 0", self.weight)?)
    }

    /// The third response that it reads; none without a weight.
    pub(super) fn extras(self) -> Vec<Extra> {
        if self.weight == 0.0 { Vec::new() } else { self.scope.extras() }
    }

    /// `losses` with the term.
    pub(super) fn add(self, losses: Tensor<1>, batch: &PairBatch, method: &'static str) -> Result<Tensor<1>> {
        if self.weight == 0.0 {
            return Ok(losses);
        }
        let (of, logps) = scored(batch, self.scope, method)?;
        Ok(losses + nll_losses(batch, of, logps, Length::TokenMean) * self.weight)
    }

    /// `output` with the metric `nll`, the mean over all tokens; none without a weight.
    pub(super) fn log(self, output: PairOutput, batch: &PairBatch, method: &'static str) -> Result<PairOutput> {
        if self.weight == 0.0 {
            return Ok(output);
        }
        let (_, logps) = scored(batch, self.scope, method)?;
        output.with_weighted_metric("nll", -logps.mean.clone(), logps.count.clone())
    }
}

/// Adds the negative log-likelihood of a third response, a mean over tokens, to a method's losses, and logs it.
pub(super) fn with_extra_nll(
    output: PairOutput,
    batch: &PairBatch,
    extra: Extra,
    coefficient: f64,
    method: &'static str,
    metric: &'static str,
) -> Result<PairOutput> {
    let logps = batch.extra(extra, method)?;
    let nll = nll_losses(batch, extra.name, logps, Length::TokenMean);
    output.with_added(batch, nll * coefficient)?.with_weighted_metric(metric, -logps.mean.clone(), logps.count.clone())
}

/// Configuration of [`Sft`].
#[derive(Config, Debug, PartialEq)]
pub struct SftConfig {
    /// Mean over tokens or sum over each response. `TokenMean`: TRL's and Llama 3's.
    #[config(default = "Length::TokenMean")]
    pub reduction: Length,
    /// Which tokens are scored. `ChosenCompletion`: the policy does not write prompts.
    #[config(default = "NllScope::ChosenCompletion")]
    pub scope: NllScope,
}

impl SftConfig {
    /// Every configuration is valid.
    ///
    /// # Errors
    /// None.
    pub fn init(&self) -> Result<Sft> {
        Ok(Sft { config: self.clone() })
    }
}

/// The likelihood objective; see [`nll_losses`]. Rewards are the summed log-probabilities.
#[derive(Debug, Clone, PartialEq)]
pub struct Sft {
    config: SftConfig,
}

/// `sft` by name.
pub const METHOD: Method = Method {
    name: "sft",
    title: "Negative log-likelihood of the chosen response",
    build: |options| Ok(Box::new(options.apply("sft", SftConfig::new())?.init()?)),
};

impl Regularizer for Sft {
    fn penalties(&self, batch: &PairBatch) -> Result<Tensor<1>> {
        let (of, logps) = scored(batch, self.config.scope, "sft")?;
        Ok(nll_losses(batch, of, logps, self.config.reduction))
    }

    fn extras(&self) -> Vec<Extra> {
        self.config.scope.extras()
    }
}

impl PairwiseObjective for Sft {
    fn needs_reference(&self) -> bool {
        false
    }

    fn extras(&self) -> Vec<Extra> {
        self.config.scope.extras()
    }

    fn forward(&self, batch: &PairBatch) -> Result<PairOutput> {
        let hooks = ["label_probs", "margins", "betas"];
        batch.refuse("sft", &hooks, "it does not compare the pair")?;
        Ok(PairOutput::with_rewards(self.penalties(batch)?, batch, batch.policy().sums()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pairwise::tests::{column, grad_of_policy, spec_batch};

    #[test]
    fn value_and_gradient_by_hand() {
        let (mean, sum) = (SftConfig::new(), SftConfig::new().with_reduction(Length::Sum));
        let loss = |config: &SftConfig| column(&config.init().unwrap().forward(&spec_batch()).unwrap().losses);
        // L_w = −12 over 10 tokens.
        assert!((loss(&mean)[0] - 1.2).abs() < 1e-15 && loss(&sum) == [12.0]);
        let (chosen, _) = grad_of_policy(&spec_batch(), &mean.init().unwrap());
        assert!((chosen[0] + 0.1).abs() < 1e-15, "{chosen:?}");
    }

    #[test]
    fn a_known_mean_length_takes_the_place_of_the_batchs_own() {
        let batch = spec_batch().with_mean_tokens("chosen", 5.0).unwrap();
        let loss = column(&SftConfig::new().init().unwrap().forward(&batch).unwrap().losses);
        assert!((loss[0] - 2.4).abs() < 1e-15, "{loss:?}");
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(spec_batch().with_mean_tokens("chosen", bad).is_err());
        }
    }

    #[test]
    fn prompt_and_completion_must_be_given() {
        let sft = SftConfig::new().with_scope(NllScope::PromptAndCompletion).init().unwrap();
        let error = sft.forward(&spec_batch()).unwrap_err().to_string();
        let expected =
            "`sft` needs `prompt_and_chosen` (prompt and chosen response, both scored), and the batch has none";
        assert_eq!(error, expected);
        let logps = spec_batch().policy().rejected.clone();
        let batch = spec_batch().with_extra(PROMPT_AND_CHOSEN, logps, None).unwrap();
        // 15 nats over 12 tokens.
        assert!((column(&sft.forward(&batch).unwrap().losses)[0] - 1.25).abs() < 1e-15);
    }
}
