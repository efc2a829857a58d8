//! Odds Ratio Preference Optimization (ORPO).
//!
//! **Paper:** ORPO: Monolithic Preference Optimization without Reference Model (2024), 2403.07691.
//! **Use when:** fine-tuning and alignment shall be one run, without a reference policy.
//! **Checked by:** values and gradients by hand, golden numbers (TRL), the laws of the family.
//! **Deviations:** the likelihood is a mean over the tokens of the response; the authors' code and TRL average over prompt
//! and response ([`NllScope::PromptAndCompletion`]). Responses certain to the last digit have finite odds, as large as
//! the dtype can tell from certainty. λ multiplies the loss and not the margin.

use burn::{config::Config, tensor::Tensor};

use super::{
    Extra, Method, PairBatch, PairOutput, PairwiseObjective, Score, check_beta, logistic_loss,
    sft::{NllScope, NllTerm},
};
use crate::Result;
use accordant_ops::stable::log_sigmoid;

/// ORPO's odds-ratio losses, one per pair, before λ.
///
/// ```text
/// loss = −log σ(log odds(y_w|x) − log odds(y_l|x) − margin),   odds(y|x) = p/(1−p),   log p = log π(y|x)/|y|   (eq. 7)
/// ```
///
/// The objective is λ times this and the negative log-likelihood of the chosen response (eq. 6).
///
/// # Shapes
/// The result is `[n]`. Equal mean log-probabilities give ln 2; where both probabilities are small, the log-odds are the
/// mean log-probabilities. Finite for mean log-probabilities in `[−1e4, 0]`; an empty response has mean 0, certainty.
///
/// # Errors
/// None.
///
/// # Example
/// ```
/// use accordant_objectives::pairwise::{PairBatch, PairLogps, orpo::odds_ratio_loss};
/// use accordant_objectives::SequenceLogps;
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let one = |x: f32| Tensor::<1>::from_floats([x], &device);
/// // Probabilities 3/4 and 1/2 a token: odds 3 and 1, so the loss is −log 3/4.
/// let logps = |p: f32, count: f32| SequenceLogps::new(one(count * p.ln()), one(count));
/// let batch = PairBatch::new(PairLogps::new(logps(0.75, 2.0)?, logps(0.5, 5.0)?)?);
/// let loss = odds_ratio_loss(&batch)?.into_scalar::<f32>();
/// assert!((loss + 0.75f32.ln()).abs() < 1e-6);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2403.07691")]
#[doc(alias = "ORPO: Monolithic Preference Optimization without Reference Model")]
pub fn odds_ratio_loss(batch: &PairBatch) -> Result<Tensor<1>> {
    Ok(logistic_loss(batch, log_odds_ratio(batch)?, 0.0))
}

/// The difference of the log-odds.
fn log_odds_ratio(batch: &PairBatch) -> Result<Tensor<1>> {
    Ok(Score::LogOdds.of(batch, None, "orpo")?.difference())
}

/// Configuration of [`Orpo`].
#[derive(Config, Debug, PartialEq)]
pub struct OrpoConfig {
    /// Weight of the odds-ratio term, finite and > 0; λ in the paper. 0.1: the paper's and TRL's.
    #[config(default = 0.1)]
    pub beta: f64,
    /// Which tokens the likelihood scores. `ChosenCompletion`: the policy does not write prompts.
    #[config(default = "NllScope::ChosenCompletion")]
    pub nll_scope: NllScope,
}

impl OrpoConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<Orpo> {
        check_beta(self.beta)?;
        Ok(Orpo { config: self.clone() })
    }
}

/// The ORPO objective; see [`odds_ratio_loss`]. Rewards are `beta` times the mean log-probability. A pair's own `beta`
/// weighs its odds-ratio term; label probabilities act on that term, the chosen response stays the one imitated. Logs
/// `nll`, `log_odds_chosen` (the difference of the log-odds) and `log_odds_ratio` (its log-sigmoid), in TRL's words.
#[derive(Debug, Clone, PartialEq)]
pub struct Orpo {
    config: OrpoConfig,
}

/// `orpo` by name.
pub const METHOD: Method = Method {
    name: "orpo",
    title: "Odds Ratio Preference Optimization",
    build: |options| Ok(Box::new(options.apply("orpo", OrpoConfig::new())?.init()?)),
};

impl Orpo {
    fn nll(&self) -> NllTerm {
        NllTerm { weight: 1.0, scope: self.config.nll_scope }
    }
}

impl PairwiseObjective for Orpo {
    fn needs_reference(&self) -> bool {
        false
    }

    fn extras(&self) -> Vec<Extra> {
        self.nll().extras()
    }

    fn forward(&self, batch: &PairBatch) -> Result<PairOutput> {
        let beta = self.config.beta;
        let losses = self.nll().add(batch.times_beta(odds_ratio_loss(batch)?, beta), batch, "orpo")?;
        let rewards = batch.policy().means().map(|mean| batch.times_beta(mean, beta));
        let log_odds = log_odds_ratio(batch)?.detach();
        let output = PairOutput::with_rewards(losses, batch, rewards)
            .with_metric("log_odds_chosen", log_odds.clone())?
            .with_metric("log_odds_ratio", log_sigmoid(log_odds))?;
        self.nll().log(output, batch, "orpo")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        SequenceLogps,
        pairwise::{
            PairLogps,
            sft::PROMPT_AND_CHOSEN,
            tests::{column, grad_of_policy, spec_batch, tensor},
        },
    };

    fn orpo() -> Orpo {
        OrpoConfig::new().init().expect("the defaults are valid")
    }

    fn means(chosen: f64, rejected: f64) -> PairBatch {
        let side = |mean: f64| SequenceLogps::new(tensor(&[mean]), tensor(&[1.0])).unwrap();
        PairBatch::new(PairLogps::new(side(chosen), side(rejected)).unwrap())
    }

    #[test]
    fn value_gradient_and_metrics_by_hand() {
        let output = orpo().forward(&spec_batch()).unwrap();
        assert!((column(&output.losses)[0] - 1.265837225).abs() < 1e-9);
        assert!((column(&output.chosen_rewards)[0] + 0.12).abs() < 1e-15);
        assert!((column(&output.rejected_rewards)[0] + 0.125).abs() < 1e-15);
        let logged = output.means();
        assert!((logged.mean("log_odds_chosen").unwrap() - 0.07080285277).abs() < 1e-10);
        // 1.2658… = 1.2 + 0.1 · 0.6583…
        assert!((logged.mean("log_odds_ratio").unwrap() + 0.65837225).abs() < 1e-8);
        assert_eq!(logged.mean("nll"), Some(1.2));
        // d log odds / d log p = 1/(1 − p), and d log p = dL/n.
        let pull = 0.1 / (1.0 + 0.07080285277f64.exp());
        let (chosen, rejected) = grad_of_policy(&spec_batch(), &orpo());
        assert!((chosen[0] + pull / (1.0 - (-1.2f64).exp()) / 10.0 + 0.1).abs() < 1e-11, "{chosen:?}");
        assert!((rejected[0] - pull / (1.0 - (-1.25f64).exp()) / 12.0).abs() < 1e-11, "{rejected:?}");
    }

    #[test]
    fn equal_probabilities_lose_ln_2_and_small_ones_have_no_odds() {
        assert!((column(&odds_ratio_loss(&means(-0.7, -0.7)).unwrap())[0] - 2f64.ln()).abs() < 1e-15);
        let small = column(&log_odds_ratio(&means(-40.0, -41.5)).unwrap())[0];
        assert!((small - 1.5).abs() < 1e-14);
    }

    #[test]
    fn certain_and_impossible_responses_are_finite() {
        for chosen in [-1e4, -1e-9, 0.0] {
            for rejected in [-1e4, -1e-9, 0.0] {
                let batch = means(chosen, rejected);
                assert!(column(&orpo().forward(&batch).unwrap().losses)[0].is_finite(), "{chosen} {rejected}");
                let (w, l) = grad_of_policy(&batch, &orpo());
                assert!(w[0].is_finite() && l[0].is_finite(), "{chosen} {rejected}: {w:?} {l:?}");
            }
        }
    }

    #[test]
    fn hooks_reach_the_odds_ratio_term() {
        let term = |batch: PairBatch| column(&orpo().forward(&batch).unwrap().losses)[0] - 1.2;
        let h = 0.07080285277f64;
        let softplus = |x: f64| (1.0 + x.exp()).ln();
        assert!((term(spec_batch().with_margins(tensor(&[1.0])).unwrap()) - 0.1 * softplus(1.0 - h)).abs() < 1e-10);
        assert!((term(spec_batch().with_betas(tensor(&[0.5])).unwrap()) - 0.5 * softplus(-h)).abs() < 1e-10);
        let doubtful = spec_batch().with_label_probs(tensor(&[0.75])).unwrap();
        let mixed = 0.1 * (0.75 * softplus(-h) + 0.25 * softplus(h));
        assert!((term(doubtful) - mixed).abs() < 1e-10);
    }

    #[test]
    fn the_likelihood_may_cover_the_prompt() {
        let config = OrpoConfig::new().with_nll_scope(NllScope::PromptAndCompletion);
        let orpo = config.init().unwrap();
        assert_eq!(orpo.extras(), [PROMPT_AND_CHOSEN]);
        assert!(orpo.forward(&spec_batch()).unwrap_err().to_string().starts_with("`orpo` needs `prompt_and_chosen`"));
        let logps = spec_batch().policy().rejected.clone();
        let batch = spec_batch().with_extra(PROMPT_AND_CHOSEN, logps, None).unwrap();
        // 15 nats over 12 tokens in place of 12 over 10.
        assert!((column(&orpo.forward(&batch).unwrap().losses)[0] - 1.265837225 - 0.05).abs() < 1e-9);
    }

    #[test]
    fn the_reference_is_not_read() {
        assert!(!orpo().needs_reference() && orpo().extras().is_empty());
        let free = PairBatch::new(spec_batch().policy().clone());
        assert_eq!(
            column(&orpo().forward(&free).unwrap().losses),
            column(&orpo().forward(&spec_batch()).unwrap().losses)
        );
    }

    #[test]
    fn senseless_settings_are_refused_by_name() {
        assert_eq!(OrpoConfig::new(), OrpoConfig { beta: 0.1, nll_scope: NllScope::ChosenCompletion });
        for beta in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(OrpoConfig::new().with_beta(beta).init().unwrap_err().to_string().starts_with("`beta`"));
        }
    }

    accordant_laws::pairwise_laws!(
        obeys_the_laws,
        "orpo",
        OrpoConfig::new().init().unwrap(),
        [],
        [ReferenceFree, DecreasingInChosen, IncreasingInRejected, LowerBound(0.0)],
        except "f32" because "the odds of a response that is certain are bounded by the dtype",
    );
}
