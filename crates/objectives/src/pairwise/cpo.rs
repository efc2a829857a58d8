//! Contrastive Preference Optimization (CPO).
//!
//! **Paper:** Contrastive Preference Optimization: Pushing the Boundaries of LLM Performance in Machine Translation
//! (2024), 2401.08417.
//! **Use when:** chosen responses are good enough to imitate and no reference policy can be kept.
//! **Checked by:** values by hand, the limit to reference-free DPO, golden numbers (TRL), the laws of the family.
//! **Deviations:** the likelihood is a mean over the response's tokens; TRL averages over the prompt too when its
//! collator keeps prompt labels (`nll_scope`). Label smoothing that would have no effect is an error.

use accordant_ops::check_domain;
use burn::{config::Config, tensor::Tensor};

use super::{
    Extra, Length, Method, PairBatch, PairOutput, PairValues, PairwiseObjective, Score, check_beta, check_smoothing,
    dpo::dpo_loss,
    f_dpo::{check_exponent_max, exponent_max as exponent_max_of},
    hinge::hinge_loss,
    ipo::ipo_loss,
    sft::{NllScope, NllTerm},
};
use crate::Result;

/// The loss of CPO's preference term.
#[derive(Config, Debug, Copy, PartialEq, Eq)]
pub enum CpoShape {
    /// `softplus(−h) + ε h` of summed log-probabilities: the paper's.
    Sigmoid,
    /// `max(0, 1 − h)` of summed log-probabilities.
    Hinge,
    /// `(h/β − 1/(2β))²` of mean log-probabilities.
    Ipo,
}

impl CpoShape {
    /// What this shape compares.
    fn length(self) -> Length {
        match self {
            Self::Sigmoid | Self::Hinge => Length::Sum,
            Self::Ipo => Length::TokenMean,
        }
    }

    /// As [`super::MarginLoss::degree`].
    fn degree(self) -> f64 {
        match self {
            Self::Sigmoid | Self::Hinge => 1.0,
            Self::Ipo => 2.0,
        }
    }
}

/// CPO's preference losses, one per pair: those of DPO, hinge and IPO with scores of the policy alone.
///
/// ```text
/// loss = −log σ(β log π(y_w|x) − β log π(y_l|x))
/// ```
///
/// The objective adds `sft_weight` times the negative log-likelihood of the chosen response.
///
/// # Shapes
/// `scores`: two `[n]` of log-probabilities in nats, summed or per token as the shape wants, or of AlphaPO's transform of
/// them; the result is `[n]`.
///
/// `beta` > 0; `label_smoothing` in `[0, 0.5)` acts on `Sigmoid` alone. Equal scores give ln 2, 1 and `1/(4β²)`; an
/// empty response scores 0.
///
/// # Errors
/// A shape error when there is not one score for each response of `batch`.
///
/// # Example
/// ```
/// use accordant_objectives::pairwise::{PairBatch, PairLogps, cpo::{CpoShape, cpo_loss}};
/// use accordant_objectives::SequenceLogps;
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let one = |x: f32| Tensor::<1>::from_floats([x], &device);
/// let logps = |sum, count| SequenceLogps::new(one(sum), one(count));
/// let batch = PairBatch::new(PairLogps::new(logps(-2.0, 2.0)?, logps(-6.0, 3.0)?)?);
/// let sums = cpo_loss(&batch, batch.policy().sums(), CpoShape::Hinge, 0.125, 0.0)?;
/// assert_eq!(sums.into_scalar::<f32>(), 0.5); // 1 − (−2 + 6)/8
/// let means = cpo_loss(&batch, batch.policy().means(), CpoShape::Ipo, 0.125, 0.0)?;
/// assert_eq!(means.into_scalar::<f32>(), 9.0); // (−1 + 2 − 4)²
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2401.08417")]
#[doc(alias = "Contrastive Preference Optimization: Pushing the Boundaries of LLM Performance in Machine Translation")]
pub fn cpo_loss(
    batch: &PairBatch,
    scores: PairValues,
    shape: CpoShape,
    beta: f64,
    label_smoothing: f64,
) -> Result<Tensor<1>> {
    match shape {
        CpoShape::Sigmoid => dpo_loss(batch, scores, beta, label_smoothing),
        CpoShape::Hinge => hinge_loss(batch, scores, beta),
        CpoShape::Ipo => ipo_loss(batch, scores, beta),
    }
}

/// Configuration of [`Cpo`].
#[derive(Config, Debug, PartialEq)]
pub struct CpoConfig {
    /// Scale of the reward, finite and > 0. 0.1: the paper's experiments and TRL.
    #[config(default = 0.1)]
    pub beta: f64,
    /// Weight of the negative log-likelihood of the chosen response, a mean over tokens; finite and ≥ 0. 1: the paper's;
    /// `cpo_alpha` in TRL.
    #[config(default = 1.0)]
    pub sft_weight: f64,
    /// Probability ε that a label is wrong, in `[0, 0.5)`, and 0 unless the shape is `Sigmoid`. 0: the paper's loss.
    #[config(default = 0.0)]
    pub label_smoothing: f64,
    /// The loss of the preference term. `Sigmoid`: the paper's.
    #[config(default = "CpoShape::Sigmoid")]
    pub shape: CpoShape,
    /// AlphaPO's α, finite and not 0: log-probabilities `a` become `(1 − e^{−αa})/α` first. Absent: the paper's loss.
    pub alpha: Option<f64>,
    /// Largest exponent of AlphaPO's transform, finite and > 0; by dtype when absent (see
    /// [`super::f_dpo::Divergence::score`]), and half of that for `Ipo`, which squares the transform.
    pub exponent_max: Option<f64>,
    /// Which tokens the likelihood scores. `ChosenCompletion`: the policy does not write prompts.
    #[config(default = "NllScope::ChosenCompletion")]
    pub nll_scope: NllScope,
}

impl CpoConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<Cpo> {
        check_beta(self.beta)?;
        check_smoothing(self.label_smoothing)?;
        let acts = self.shape == CpoShape::Sigmoid || self.label_smoothing == 0.0;
        check_domain(acts, "label_smoothing", "0 unless the shape is Sigmoid", self.label_smoothing)?;
        self.score().check()?;
        check_exponent_max(self.exponent_max)?;
        self.nll().check()?;
        Ok(Cpo { config: self.clone() })
    }

    fn score(&self) -> Score {
        Score::of_logps(self.alpha, self.shape.length())
    }

    fn nll(&self) -> NllTerm {
        NllTerm { weight: self.sft_weight, scope: self.nll_scope }
    }
}

/// The CPO objective; see [`cpo_loss`]. Rewards are `beta` times the score: the log-probability that the shape compares,
/// or its transform. Label probabilities act on the preference term; the chosen response stays the one imitated. Logs
/// `nll`, and `n_score_clamped` under AlphaPO's transform.
#[derive(Debug, Clone, PartialEq)]
pub struct Cpo {
    config: CpoConfig,
}

/// `cpo` by name.
pub const METHOD: Method = Method {
    name: "cpo",
    title: "Contrastive Preference Optimization",
    build: |options| Ok(Box::new(options.apply("cpo", CpoConfig::new())?.init()?)),
};

impl PairwiseObjective for Cpo {
    fn needs_reference(&self) -> bool {
        false
    }

    fn extras(&self) -> Vec<Extra> {
        self.config.nll().extras()
    }

    fn forward(&self, batch: &PairBatch) -> Result<PairOutput> {
        let CpoConfig { beta, label_smoothing, shape, exponent_max, .. } = self.config;
        let (score, nll) = (self.config.score(), self.config.nll());
        let exponent_max = Some(exponent_max_of(batch, exponent_max, shape.degree()));
        let scores = score.of(batch, exponent_max, "cpo")?;
        let losses = cpo_loss(batch, scores.clone(), shape, beta, label_smoothing)?;
        let rewards = scores.map(|score| batch.times_beta(score, beta));
        let output = PairOutput::with_rewards(nll.add(losses, batch, "cpo")?, batch, rewards);
        nll.log(score.log_clamped(output, batch, exponent_max, "cpo")?, batch, "cpo")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pairwise::{
        dpo::DpoConfig,
        sft::PROMPT_AND_CHOSEN,
        tests::{column, finite_at_extremes, grad_of_policy, spec_batch, tensor},
    };

    fn output(config: &CpoConfig, batch: &PairBatch) -> PairOutput {
        config.init().expect("valid in this test").forward(batch).unwrap()
    }

    fn loss(config: &CpoConfig) -> f64 {
        column(&output(config, &spec_batch()).losses)[0]
    }

    #[test]
    fn value_and_gradient_by_hand() {
        // h = 0.1 (−12 + 15) = 0.3: ln(1 + e^−0.3) + 12/10.
        let config = CpoConfig::new();
        assert!((loss(&config) - 1.754355244).abs() < 1e-9);
        let out = output(&config, &spec_batch());
        assert!((column(&out.chosen_rewards)[0] + 1.2).abs() < 1e-15);
        assert!((column(&out.rejected_rewards)[0] + 1.5).abs() < 1e-15);
        assert_eq!(out.means().mean("nll"), Some(1.2));
        assert_eq!(out.means().mean("n_score_clamped"), None);
        // dL/dL_w = −β σ(−h) − 1/10.
        let pull = 0.1 / (1.0 + 0.3f64.exp());
        let (chosen, rejected) = grad_of_policy(&spec_batch(), &config.init().unwrap());
        assert!((chosen[0] + pull + 0.1).abs() < 1e-12 && (rejected[0] - pull).abs() < 1e-12);
    }

    #[test]
    fn shapes_by_hand() {
        let config = CpoConfig::new().with_sft_weight(0.0);
        assert!((loss(&config.clone().with_shape(CpoShape::Hinge)) - 0.7).abs() < 1e-12);
        // −1.2 + 1.25 − 5
        let ipo = config.clone().with_shape(CpoShape::Ipo);
        assert!((loss(&ipo) - 4.95f64.powi(2)).abs() < 1e-12);
        assert!((column(&output(&ipo, &spec_batch()).chosen_rewards)[0] + 0.12).abs() < 1e-15, "of the mean");
        assert!((loss(&config.with_label_smoothing(0.25)) - 0.5543552444685 - 0.25 * 0.3).abs() < 1e-9);
    }

    #[test]
    fn without_likelihood_it_is_reference_free_dpo() {
        let free = PairBatch::new(spec_batch().policy().clone());
        let dpo = DpoConfig::new().with_reference_free(true).init().unwrap().forward(&free).unwrap();
        let cpo = output(&CpoConfig::new().with_sft_weight(0.0), &free);
        assert_eq!(column(&cpo.losses), column(&dpo.losses));
        assert_eq!(column(&cpo.chosen_rewards), column(&dpo.chosen_rewards));
        assert_eq!(cpo.means().mean("nll"), None);
        assert!(!CpoConfig::new().init().unwrap().needs_reference());
    }

    #[test]
    fn alphapos_transform_applies_to_every_shape() {
        // Sums −12 and −15, means −1.2 and −1.25; α = 0.1.
        let g = |a: f64| (1.0 - (-0.1 * a).exp()) / 0.1;
        let config = CpoConfig::new().with_sft_weight(0.0).with_alpha(Some(0.1));
        let h = 0.1 * (g(-12.0) - g(-15.0));
        assert!((loss(&config) - (1.0 + (-h).exp()).ln()).abs() < 1e-12);
        assert!((loss(&config.clone().with_shape(CpoShape::Hinge)) - (1.0 - h).max(0.0)).abs() < 1e-12);
        let ipo = config.clone().with_shape(CpoShape::Ipo);
        assert!((loss(&ipo) - (g(-1.2) - g(-1.25) - 5.0).powi(2)).abs() < 1e-12);
        assert!((column(&output(&config, &spec_batch()).chosen_rewards)[0] - 0.1 * g(-12.0)).abs() < 1e-12);
        // Exponents 1.2 and 1.5 against a cap of 1.4.
        let capped = config.with_exponent_max(Some(1.4));
        assert_eq!(output(&capped, &spec_batch()).means().mean("n_score_clamped"), Some(1.0));
    }

    #[test]
    fn alphapos_transform_is_finite_in_every_shape() {
        for shape in [CpoShape::Sigmoid, CpoShape::Hinge, CpoShape::Ipo] {
            for alpha in [0.5, -0.5, 2.0] {
                let config = CpoConfig::new().with_shape(shape).with_alpha(Some(alpha));
                finite_at_extremes(&config.init().unwrap());
            }
        }
    }

    #[test]
    fn hooks_reach_the_preference_term() {
        let config = CpoConfig::new().with_shape(CpoShape::Hinge);
        let loss = |batch: PairBatch| column(&output(&config, &batch).losses)[0] - 1.2;
        assert!((loss(spec_batch().with_margins(tensor(&[0.5])).unwrap()) - 1.2).abs() < 1e-12);
        assert!((loss(spec_batch().with_betas(tensor(&[0.2])).unwrap()) - 0.4).abs() < 1e-12);
        let doubtful = spec_batch().with_label_probs(tensor(&[0.75])).unwrap();
        assert!((loss(doubtful) - 0.75 * 0.7 - 0.25 * 1.3).abs() < 1e-12);
    }

    #[test]
    fn the_likelihood_may_cover_the_prompt() {
        let config = CpoConfig::new().with_nll_scope(NllScope::PromptAndCompletion);
        assert_eq!(config.init().unwrap().extras(), [PROMPT_AND_CHOSEN]);
        let logps = spec_batch().policy().rejected.clone();
        let batch = spec_batch().with_extra(PROMPT_AND_CHOSEN, logps, None).unwrap();
        // 15 nats over 12 tokens.
        assert!((column(&output(&config, &batch).losses)[0] - 0.554355244 - 1.25).abs() < 1e-9);
    }

    #[test]
    fn senseless_settings_are_refused_by_name() {
        let expected = CpoConfig {
            beta: 0.1,
            sft_weight: 1.0,
            label_smoothing: 0.0,
            shape: CpoShape::Sigmoid,
            alpha: None,
            exponent_max: None,
            nll_scope: NllScope::ChosenCompletion,
        };
        assert_eq!(CpoConfig::new(), expected);
        let error = |config: CpoConfig| config.init().unwrap_err().to_string();
        assert!(error(CpoConfig::new().with_beta(0.0)).starts_with("`beta`"));
        assert!(error(CpoConfig::new().with_label_smoothing(0.5)).starts_with("`label_smoothing`: expected in"));
        for shape in [CpoShape::Hinge, CpoShape::Ipo] {
            let got = error(CpoConfig::new().with_shape(shape).with_label_smoothing(0.1));
            assert_eq!(got, "`label_smoothing`: expected 0 unless the shape is Sigmoid, got 0.1");
        }
        assert!(error(CpoConfig::new().with_alpha(Some(0.0))).starts_with("`alpha`"));
        assert!(error(CpoConfig::new().with_exponent_max(Some(0.0))).starts_with("`exponent_max`"));
        for bad in [-1.0, f64::NAN] {
            assert!(error(CpoConfig::new().with_sft_weight(bad)).starts_with("`sft_weight`"));
        }
    }

    accordant_laws::pairwise_laws!(
        obeys_the_laws,
        "cpo",
        CpoConfig::new().init().unwrap(),
        [],
        [ReferenceFree, DecreasingInChosen, IncreasingInRejected, ConvexInMargin, LowerBound(0.0)],
    );

    accordant_laws::pairwise_laws!(
        the_preference_term_obeys_the_laws,
        "cpo",
        CpoConfig::new().with_sft_weight(0.0).init().unwrap(),
        [],
        [ReferenceFree, ShiftInvariant, SwapDifference(0.1), LabelProbMixes, MarginShifts { beta: 0.1 }],
    );

    accordant_laws::pairwise_laws!(
        the_shape_of_ipo_obeys_the_laws,
        "cpo",
        CpoConfig::new().with_shape(CpoShape::Ipo).init().unwrap(),
        [],
        [ReferenceFree, ConvexInMargin, LowerBound(0.0)],
    );
}
