//! Regularized Preference Optimization (RPO): DPO with the likelihood of the chosen response.
//!
//! **Paper:** Provably Mitigating Overoptimization in RLHF: Your SFT Loss is Implicitly an Adversarial Regularizer (2024),
//! 2405.16436.
//! **Use when:** DPO lets the likelihood of the chosen responses fall (`frac_chosen_logp_down`), as in Llama 3's recipe.
//! **Checked by:** hand-worked values and gradients, DPO at coefficient 0, golden numbers (TRL) of its two terms.
//! **Deviations:** none. The coefficient and the reduction go together: TRL's `rpo_alpha` and the authors' released 0.2
//! are of the mean over tokens, the 0.005 of the paper's appendix is of the sum.

use burn::{config::Config, tensor::Tensor};

use super::{
    Length, Method, PairBatch, PairOutput, PairValues, PairwiseObjective, check_beta, check_smoothing,
    dpo::dpo_loss,
    sft::{NllScope, NllTerm, nll_losses},
};
use crate::Result;

/// RPO losses, one per pair.
///
/// ```text
/// loss = dpo(β, d_w, d_l) + η NLL_w
/// ```
///
/// `NLL_w` is the chosen response's negative log-likelihood, over the tokens of the whole step or summed: see
/// [`nll_losses`]. Label probabilities and margins are of the first term alone: a likelihood compares nothing.
///
/// # Shapes
/// `ratios`: two `[n]` of summed log-ratios in nats; the result is `[n]`.
///
/// `beta` > 0, `label_smoothing` in `[0, 0.5)`, `sft_weight` (η) ≥ 0. Policy = reference gives ln 2 and the likelihood.
///
/// # Errors
/// A shape error when there is not one log-ratio for each response of `batch`.
///
/// # Example
/// ```
/// use accordant_objectives::pairwise::{Length, PairBatch, PairLogps, PairValues, rpo::rpo_loss};
/// use accordant_ops::SequenceLogps;
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let one = |x: f32| Tensor::<1>::from_floats([x], &device);
/// let logps = |x, count| SequenceLogps::new(one(x), one(count));
/// let batch = PairBatch::new(PairLogps::new(logps(-6.0, 3.0)?, logps(-2.0, 1.0)?)?);
/// let ratios = PairValues { chosen: one(0.0), rejected: one(0.0) };
/// // ln 2, and half of two nats a token.
/// let loss = rpo_loss(&batch, ratios, 0.1, 0.0, 0.5, Length::TokenMean)?.into_scalar::<f32>();
/// assert!((loss - (2f32.ln() + 1.0)).abs() < 1e-6);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2405.16436")]
#[doc(alias = "Provably Mitigating Overoptimization in RLHF: Your SFT Loss is Implicitly an Adversarial Regularizer")]
#[doc(alias = "rpo_alpha")]
#[doc(alias = "DPO with SFT regularizer")]
pub fn rpo_loss(
    batch: &PairBatch,
    ratios: PairValues,
    beta: f64,
    label_smoothing: f64,
    sft_weight: f64,
    reduction: Length,
) -> Result<Tensor<1>> {
    let nll = nll_losses(batch, "chosen", &batch.policy().chosen, reduction);
    Ok(dpo_loss(batch, ratios, beta, label_smoothing)? + nll * sft_weight)
}

/// Configuration of [`Rpo`].
#[derive(Config, Debug, PartialEq)]
pub struct RpoConfig {
    /// Strength of the KL pull, finite and > 0. 0.1: DPO's.
    #[config(default = 0.1)]
    pub beta: f64,
    /// Weight η of the likelihood, finite and ≥ 0. 0.2: the authors' released script, for the mean over tokens.
    #[config(default = 0.2)]
    pub sft_weight: f64,
    /// Mean over tokens or sum over each response. `TokenMean`: the authors' released script, TRL and Llama 3.
    #[config(default = "Length::TokenMean")]
    pub reduction: Length,
    /// Probability ε that a label is wrong, in `[0, 0.5)`. 0: the paper's loss.
    #[config(default = 0.0)]
    pub label_smoothing: f64,
}

impl RpoConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<Rpo> {
        check_beta(self.beta)?;
        self.nll().check()?;
        check_smoothing(self.label_smoothing)?;
        Ok(Rpo { config: self.clone() })
    }

    fn nll(&self) -> NllTerm {
        NllTerm { weight: self.sft_weight, scope: NllScope::ChosenCompletion }
    }
}

/// The RPO objective; see [`rpo_loss`]. Logs `nll`, in nats a token, unless its
/// weight is 0.
#[derive(Debug, Clone, PartialEq)]
pub struct Rpo {
    config: RpoConfig,
}

/// `rpo` by name.
pub const METHOD: Method = Method {
    name: "rpo",
    title: "Regularized Preference Optimization",
    build: |options| Ok(Box::new(options.apply("rpo", RpoConfig::new())?.init()?)),
};

impl PairwiseObjective for Rpo {
    fn forward(&self, batch: &PairBatch) -> Result<PairOutput> {
        let RpoConfig { beta, sft_weight, reduction, label_smoothing } = self.config;
        let losses = rpo_loss(batch, batch.log_ratios("rpo")?, beta, label_smoothing, sft_weight, reduction)?;
        self.config.nll().log(PairOutput::new(losses, batch, beta), batch, "rpo")
    }
}

#[cfg(test)]
mod tests {
    use accordant_ops::SequenceLogps;

    use super::*;
    use crate::pairwise::{
        PairLogps,
        dpo::DpoConfig,
        tests::{column, grad_of_policy, spec_batch, tensor},
    };

    fn loss(config: RpoConfig, batch: &PairBatch) -> f64 {
        column(&config.init().unwrap().forward(batch).unwrap().losses)[0]
    }

    const DPO: f64 = 0.6209570478;

    #[test]
    fn values_by_hand() {
        // 12 nats over 10 tokens: 0.2 · 1.2 more than DPO.
        assert!((loss(RpoConfig::new(), &spec_batch()) - 0.8609570478).abs() < 1e-10);
        let sum = RpoConfig::new().with_reduction(Length::Sum).with_sft_weight(0.005);
        assert!((loss(sum, &spec_batch()) - (DPO + 0.06)).abs() < 1e-10);
        assert!((loss(RpoConfig::new().with_label_smoothing(0.1), &spec_batch()) - 0.8759570478).abs() < 1e-10);
        let output = RpoConfig::new().init().unwrap().forward(&spec_batch()).unwrap();
        assert!((column(&output.chosen_rewards)[0] - 0.1).abs() < 1e-15, "β d");
    }

    #[test]
    fn the_likelihood_adds_its_gradient_to_the_chosen_response_alone() {
        let dpo = grad_of_policy(&spec_batch(), &DpoConfig::new().init().unwrap());
        let rpo = grad_of_policy(&spec_batch(), &RpoConfig::new().init().unwrap());
        assert!((rpo.0[0] - (dpo.0[0] - 0.2 / 10.0)).abs() < 1e-14, "{rpo:?}");
        assert_eq!(rpo.1, dpo.1);
    }

    #[test]
    fn coefficient_zero_is_dpo() {
        let dpo = column(&DpoConfig::new().init().unwrap().forward(&spec_batch()).unwrap().losses);
        assert_eq!(loss(RpoConfig::new().with_sft_weight(0.0), &spec_batch()), dpo[0]);
    }

    #[test]
    fn the_hooks_reach_the_contrastive_term() {
        let batch = spec_batch().with_margins(tensor(&[0.15])).unwrap();
        assert!((loss(RpoConfig::new(), &batch) - (2f64.ln() + 0.24)).abs() < 1e-12);
        let batch = spec_batch().with_label_probs(tensor(&[0.9])).unwrap();
        assert!((loss(RpoConfig::new(), &batch) - 0.8759570478).abs() < 1e-10);
        let batch = spec_batch().with_betas(tensor(&[1.0])).unwrap();
        assert!((loss(RpoConfig::new(), &batch) - ((-1.5f64).exp().ln_1p() + 0.24)).abs() < 1e-12);
    }

    #[test]
    fn the_likelihood_is_a_mean_over_all_tokens() {
        let side = |sums: &[f64], counts: &[f64]| SequenceLogps::new(tensor(sums), tensor(counts)).unwrap();
        let pairs = PairLogps::new(side(&[-2.0, -6.0], &[1.0, 3.0]), side(&[-1.0, -1.0], &[1.0, 1.0])).unwrap();
        let batch = PairBatch::new(pairs.clone()).with_reference(pairs).unwrap();
        let batch = batch.with_weights(tensor(&[1.0, 3.0])).unwrap();
        let output = RpoConfig::new().with_sft_weight(1.0).init().unwrap().forward(&batch).unwrap();
        // (2 + 3·6) nats over (1 + 3·3) tokens.
        let loss = column(&output.reduce().unwrap().loss)[0];
        assert!((loss - (2f64.ln() + 2.0)).abs() < 1e-12, "{loss}");
        assert_eq!(output.means().mean("nll"), Some(2.0));
        let (values, weights) = output.metric("nll").unwrap();
        assert_eq!((column(values), column(weights)), (vec![2.0, 2.0], vec![1.0, 3.0]));
        let silent = RpoConfig::new().with_sft_weight(0.0).init().unwrap();
        assert_eq!(silent.forward(&batch).unwrap().means().mean("nll"), None);
    }

    #[test]
    fn senseless_settings_are_refused_by_name() {
        let config = RpoConfig::new();
        assert_eq!((config.beta, config.sft_weight, config.label_smoothing), (0.1, 0.2, 0.0));
        assert_eq!(config.reduction, Length::TokenMean);
        let refused = |config: RpoConfig, field: &str| {
            let error = config.init().unwrap_err().to_string();
            assert!(error.starts_with(&format!("`{field}`")), "{error}");
        };
        refused(RpoConfig::new().with_beta(0.0), "beta");
        refused(RpoConfig::new().with_label_smoothing(0.5), "label_smoothing");
        for bad in [-0.1, f64::NAN, f64::INFINITY] {
            refused(RpoConfig::new().with_sft_weight(bad), "sft_weight");
        }
        let error = config.init().unwrap().forward(&PairBatch::new(spec_batch().policy().clone())).unwrap_err();
        assert!(error.to_string().starts_with("`rpo` needs the reference"), "{error}");
    }

    accordant_laws::pairwise_laws!(
        rpo_obeys_the_laws,
        "rpo",
        RpoConfig::new().init().unwrap(),
        [],
        [LowerBound(0.0), DecreasingInChosen, IncreasingInRejected, ConvexInMargin]
    );

    accordant_laws::pairwise_laws!(
        the_preference_term_obeys_the_laws,
        "rpo",
        RpoConfig::new().with_sft_weight(0.0).init().unwrap(),
        [],
        [ShiftInvariant, SwapDifference(0.1), AtReference(2f64.ln()), LabelProbMixes, MarginShifts { beta: 0.1 }]
    );
}
