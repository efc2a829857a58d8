//! Simple Preference Optimization (SimPO).
//!
//! **Paper:** SimPO: Simple Preference Optimization with a Reference-Free Reward (2024), 2405.14734.
//! **Use when:** no reference policy can be kept, or DPO's answers grow too long.
//! **Checked by:** golden numbers (TRL), hand-worked values, finite differences, the laws of the family.
//! **Deviations:** none. TRL's class adds an NLL term by default; the paper's loss has none, nor has this unless
//! `sft_weight` says so (CPO-SimPO). The hinge is an option of ours. [`super::alphapo`] is this method with AlphaPO's
//! transform.

use accordant_ops::check_domain;
use burn::{config::Config, tensor::Tensor};

use super::{
    Extra, Length, MarginLoss, Method, PairBatch, PairOutput, PairValues, PairwiseObjective, Score, check_beta,
    check_smoothing,
    dpo::LogisticLoss,
    f_dpo::check_exponent_max,
    hinge::HingeLoss,
    sft::{NllScope, NllTerm},
};
use crate::Result;

/// SimPO losses, one per pair, from mean log-probabilities.
///
/// ```text
/// h = β (log π(y_w|x)/|y_w| − log π(y_l|x)/|y_l|) − γ − margin        (eq. 6)
/// loss = softplus(−h) + ε h      or      max(0, 1 − h)
/// ```
///
/// # Shapes
/// `scores`: two `[n]` of mean log-probabilities in nats per token, or of AlphaPO's transform of them; the result is
/// `[n]`. `beta` > 0, `gamma` ≥ 0 (in units of the reward). Equal scores give `softplus(γ)`, or `1 + γ` with the hinge; an
/// empty response has mean 0. Finite for every finite input.
///
/// # Errors
/// A shape error when there is not one score for each response of `batch`.
///
/// # Example
/// ```
/// use accordant_objectives::pairwise::{PairBatch, PairLogps, dpo::LogisticLoss, simpo::simpo_loss};
/// use accordant_ops::SequenceLogps;
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let one = |x: f32| Tensor::<1>::from_floats([x], &device);
/// let logps = |sum, count| SequenceLogps::new(one(sum), one(count));
/// // Both responses cost one nat a token: h = -γ = 0.
/// let batch = PairBatch::new(PairLogps::new(logps(-2.0, 2.0)?, logps(-5.0, 5.0)?)?);
/// let logistic = LogisticLoss { label_smoothing: 0.0 };
/// let loss = simpo_loss(&batch, batch.policy().means(), 2.0, 0.0, &logistic)?.into_scalar::<f32>();
/// assert!((loss - 2f32.ln()).abs() < 1e-6);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2405.14734")]
#[doc(alias = "SimPO: Simple Preference Optimization with a Reference-Free Reward")]
pub fn simpo_loss(
    batch: &PairBatch,
    scores: PairValues,
    beta: f64,
    gamma: f64,
    loss: &dyn MarginLoss,
) -> Result<Tensor<1>> {
    batch.check_values(&scores)?;
    Ok(loss.losses(batch, batch.times_beta(scores.difference(), beta) - gamma))
}

/// The loss of SimPO's margin.
#[derive(Config, Debug, Copy, PartialEq, Eq)]
pub enum SimPoShape {
    /// `softplus(−h)`: the paper's.
    Sigmoid,
    /// `max(0, 1 − h)`; takes no label smoothing.
    Hinge,
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
    /// Probability ε that a label is wrong, in `[0, 0.5)`, and 0 with the hinge. 0: the paper's loss.
    #[config(default = 0.0)]
    pub label_smoothing: f64,
    /// The loss of the margin. `Sigmoid`: the paper's.
    #[config(default = "SimPoShape::Sigmoid")]
    pub shape: SimPoShape,
    /// AlphaPO's α, finite and not 0: mean log-probabilities `a` become `(1 − e^{−αa})/α` first. Absent: the paper's loss.
    pub alpha: Option<f64>,
    /// Largest exponent of AlphaPO's transform, finite and > 0; by dtype when absent (see
    /// [`super::f_dpo::Divergence::score`]).
    pub exponent_max: Option<f64>,
    /// Weight of the negative log-likelihood of the chosen response, a mean over tokens; finite and ≥ 0. 0: the paper's
    /// loss; TRL's default is 1, called `cpo_alpha`.
    #[config(default = 0.0)]
    pub sft_weight: f64,
    /// Which tokens that term scores. `ChosenCompletion`: the policy does not write prompts.
    #[config(default = "NllScope::ChosenCompletion")]
    pub nll_scope: NllScope,
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
        let smooth = self.shape == SimPoShape::Sigmoid || self.label_smoothing == 0.0;
        check_domain(smooth, "label_smoothing", "0 with the hinge", self.label_smoothing)?;
        self.score().check()?;
        check_exponent_max(self.exponent_max)?;
        self.nll().check()?;
        Ok(SimPo { config: self.clone() })
    }

    fn score(&self) -> Score {
        Score::of_logps(self.alpha, Length::TokenMean)
    }

    fn nll(&self) -> NllTerm {
        NllTerm { weight: self.sft_weight, scope: self.nll_scope }
    }
}

/// The SimPO objective; see [`simpo_loss`]. Rewards are `beta` times the score: the mean log-probability, or its
/// transform. Logs `nll` when it has a weight, and `n_score_clamped` under AlphaPO's transform: how many of a pair's two
/// exponents were clamped, on average.
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

    fn extras(&self) -> Vec<Extra> {
        self.config.nll().extras()
    }

    fn forward(&self, batch: &PairBatch) -> Result<PairOutput> {
        let SimPoConfig { beta, gamma_beta_ratio, label_smoothing, shape, exponent_max, .. } = self.config;
        let (score, nll) = (self.config.score(), self.config.nll());
        let scores = score.of(batch, exponent_max, "simpo")?;
        let loss: &dyn MarginLoss = match shape {
            SimPoShape::Sigmoid => &LogisticLoss { label_smoothing },
            SimPoShape::Hinge => &HingeLoss,
        };
        let losses = simpo_loss(batch, scores.clone(), beta, gamma_beta_ratio * beta, loss)?;
        let rewards = scores.map(|score| batch.times_beta(score, beta));
        let output = PairOutput::with_rewards(nll.add(losses, batch, "simpo")?, batch, rewards);
        nll.log(score.log_clamped(output, batch, exponent_max, "simpo")?, batch, "simpo")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pairwise::{
        sft::PROMPT_AND_CHOSEN,
        tests::{column, grad_of_policy, spec_batch, tensor},
    };

    fn loss_of(config: SimPoConfig, batch: &PairBatch) -> f64 {
        column(&config.init().unwrap().forward(batch).unwrap().losses)[0]
    }

    #[test]
    fn defaults_are_the_papers_loss() {
        let expected = SimPoConfig {
            beta: 2.0,
            gamma_beta_ratio: 0.5,
            label_smoothing: 0.0,
            shape: SimPoShape::Sigmoid,
            alpha: None,
            exponent_max: None,
            sft_weight: 0.0,
            nll_scope: NllScope::ChosenCompletion,
        };
        assert_eq!(SimPoConfig::new(), expected);
    }

    #[test]
    fn smoothing_counts_gamma_and_the_hinge_is_linear() {
        // h = −0.9: softplus(0.9) + 0.1 · (−0.9), and max(0, 1 + 0.9).
        let smoothed = SimPoConfig::new().with_label_smoothing(0.1);
        assert!((loss_of(smoothed, &spec_batch()) - 1.151153875).abs() < 1e-9);
        let hinge = SimPoConfig::new().with_shape(SimPoShape::Hinge);
        assert!((loss_of(hinge.clone(), &spec_batch()) - 1.9).abs() < 1e-12);
        let doubtful = spec_batch().with_label_probs(tensor(&[0.75])).unwrap();
        assert!((loss_of(hinge.clone(), &doubtful) - 0.75 * 1.9 - 0.25 * 0.1).abs() < 1e-12);
        let wide = spec_batch().with_margins(tensor(&[-0.5])).unwrap();
        assert!((loss_of(hinge.clone(), &wide) - 1.4).abs() < 1e-12);
        // γ is 0.5 times the configured β, whatever the pair's own: h = 1 · 0.05 − 1.
        let own = spec_batch().with_betas(tensor(&[1.0])).unwrap();
        assert!((loss_of(hinge, &own) - 1.95).abs() < 1e-12);
    }

    #[test]
    fn a_weighted_likelihood_is_added_and_logged() {
        // NLL of the chosen response: 12 nats over 10 tokens.
        let config = SimPoConfig::new().with_sft_weight(0.5);
        assert!((loss_of(config.clone(), &spec_batch()) - 1.241153875 - 0.6).abs() < 1e-9);
        let nll =
            |config: SimPoConfig, batch: &PairBatch| config.init().unwrap().forward(batch).unwrap().means().mean("nll");
        assert_eq!(nll(config.clone(), &spec_batch()), Some(1.2));
        assert_eq!(nll(SimPoConfig::new(), &spec_batch()), None);

        let whole = config.with_nll_scope(NllScope::PromptAndCompletion);
        assert_eq!(whole.init().unwrap().extras(), [PROMPT_AND_CHOSEN]);
        assert!(whole.init().unwrap().forward(&spec_batch()).unwrap_err().to_string().starts_with("`simpo` needs"));
        let logps = spec_batch().policy().rejected.clone();
        let batch = spec_batch().with_extra(PROMPT_AND_CHOSEN, logps, None).unwrap();
        // 15 nats over 12 tokens.
        assert!((loss_of(whole.clone(), &batch) - 1.241153875 - 0.625).abs() < 1e-9);
        assert_eq!(nll(whole.clone(), &batch), Some(1.25));
        assert_eq!(whole.with_sft_weight(0.0).init().unwrap().extras(), [], "what has no weight is not read");
    }

    #[test]
    fn one_score_for_many_pairs_is_an_error_not_a_broadcast() {
        let scores = PairValues { chosen: tensor(&[1.0, 2.0]), rejected: tensor(&[0.0]) };
        let error = simpo_loss(&spec_batch(), scores, 1.0, 0.0, &HingeLoss).unwrap_err().to_string();
        assert_eq!(error, "`values.chosen`: expected shape [1], got [2]");
    }

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
        let hinge = SimPoConfig::new().with_shape(SimPoShape::Hinge).with_label_smoothing(0.1);
        let error = hinge.init().unwrap_err().to_string();
        assert_eq!(error, "`label_smoothing`: expected 0 with the hinge, got 0.1");
        for bad in [0.0, f64::NAN, f64::INFINITY] {
            let error = SimPoConfig::new().with_alpha(Some(bad)).init().unwrap_err().to_string();
            assert_eq!(error, format!("`alpha`: expected finite and not 0, got {bad}"));
        }
        for bad in [-0.1, f64::NAN, f64::INFINITY] {
            let error = SimPoConfig::new().with_sft_weight(bad).init().unwrap_err().to_string();
            assert_eq!(error, format!("`sft_weight`: expected finite and >= 0, got {bad}"));
        }
        for bad in [0.0, -1.0, f64::NAN] {
            let error = SimPoConfig::new().with_exponent_max(Some(bad)).init().unwrap_err().to_string();
            assert_eq!(error, format!("`exponent_max`: expected finite and > 0, got {bad}"));
        }
    }

    accordant_laws::pairwise_laws!(
        hinge_and_likelihood_obey_the_laws,
        "simpo",
        SimPoConfig::new().with_shape(SimPoShape::Hinge).with_sft_weight(0.5).init().unwrap(),
        [],
        [ReferenceFree, DecreasingInChosen, IncreasingInRejected, ConvexInMargin, LowerBound(0.0)],
    );

    accordant_laws::pairwise_laws!(
        obeys_the_laws,
        "simpo",
        SimPoConfig::new().init().unwrap(),
        [],
        [
            ReferenceFree,
            ShiftInvariantPerToken,
            DecreasingInChosen,
            IncreasingInRejected,
            ConvexInMargin,
            LowerBound(0.0),
            MarginShiftsPerToken { beta: 2.0 },
        ],
    );
}
