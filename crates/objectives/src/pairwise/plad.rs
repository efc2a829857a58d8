//! Preference-based distillation with pseudo-preference pairs (PLaD).
//!
//! **Paper:** PLaD: Preference-based Large Language Model Distillation with Pseudo-Preference Pairs (2024), 2406.02886.
//! **Use when:** a student shall prefer its teacher's responses to its own; `chosen` is the teacher's response.
//! **Checked by:** values and gradients by hand, the laws of the family.
//! **Deviations:** none known; the likelihood of the teacher's response is an option and off.

use accordant_ops::check_domain;
use burn::{config::Config, tensor::Tensor};

use super::{
    Extra, MarginLoss, Method, PairBatch, PairOutput, PairValues, PairwiseObjective,
    sft::{NllScope, NllTerm},
    slic::{SlicLoss, slic_loss},
};
use crate::{
    Result,
    side::{Column, Domain},
};

/// How much better the teacher's response is.
pub const SCORE_GAP: Column = Column {
    name: "score_gap",
    domain: Domain::Real,
    meaning: "an external score of the chosen response less that of the rejected one",
};

/// The calibration loss of [`Plad`].
#[derive(Config, Debug, Copy, PartialEq, Eq)]
pub enum PladForm {
    /// One margin for all pairs: [`slic_loss`] of mean log-probabilities.
    Rank,
    /// The pair's own margin, its [`SCORE_GAP`]: [`plad_margin_loss`].
    Margin,
}

/// PLaD's margin losses, one per pair.
///
/// ```text
/// loss = max(0, (s_T − s_S) − log π(y_T|x)/|y_T| + log π(y_S|x)/|y_S| + margin)
/// ```
///
/// The student's mean log-probabilities shall be at least as far apart as the scores. Exchanging the responses exchanges
/// the scores: with a probability `q` that the label is wrong the loss is `(1−q)` times this plus `q` times that.
///
/// # Shapes
/// `means`: two `[n]` of mean log-probabilities in nats per token; `score_gaps`: `[n]`, of any sign; the result is `[n]`.
///
/// # Errors
/// A shape error when there is not one value for each response, or one gap for each pair, of `batch`.
///
/// # Example
/// ```
/// use accordant_objectives::pairwise::{PairBatch, PairLogps, plad::plad_margin_loss};
/// use accordant_objectives::SequenceLogps;
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let one = |x: f32| Tensor::<1>::from_floats([x], &device);
/// let logps = |sum, count| SequenceLogps::new(one(sum), one(count));
/// let batch = PairBatch::new(PairLogps::new(logps(-2.0, 2.0)?, logps(-5.0, 4.0)?)?);
/// let loss = plad_margin_loss(&batch, batch.policy().means(), one(0.75))?;
/// assert_eq!(loss.into_scalar::<f32>(), 0.5); // 0.75 + 1 − 1.25
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2406.02886")]
#[doc(alias = "PLaD: Preference-based Large Language Model Distillation with Pseudo-Preference Pairs")]
pub fn plad_margin_loss(batch: &PairBatch, means: PairValues, score_gaps: Tensor<1>) -> Result<Tensor<1>> {
    batch.check_values(&means)?;
    batch.check_numbers("score_gaps", &score_gaps)?;
    Ok(SlicLoss { margin: 0.0 }.losses(batch, means.difference() - score_gaps.detach()))
}

/// Configuration of [`Plad`].
#[derive(Config, Debug, PartialEq)]
pub struct PladConfig {
    /// The calibration loss. `Rank`: it needs no scores.
    #[config(default = "PladForm::Rank")]
    pub form: PladForm,
    /// Difference of mean log-probabilities from where on a pair says nothing, finite and ≥ 0; δ of the rank form. 1:
    /// SLiC's.
    #[config(default = 1.0)]
    pub margin: f64,
    /// Weight of the negative log-likelihood of the teacher's response, a mean over tokens; finite and ≥ 0. 0: the
    /// paper's calibration alone.
    #[config(default = 0.0)]
    pub sft_weight: f64,
}

impl PladConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<Plad> {
        check_domain(self.margin.is_finite() && self.margin >= 0.0, "margin", "finite and >= 0", self.margin)?;
        self.nll().check()?;
        Ok(Plad { config: self.clone() })
    }

    fn nll(&self) -> NllTerm {
        NllTerm { weight: self.sft_weight, scope: NllScope::ChosenCompletion }
    }
}

/// The PLaD objective; see [`PladForm`]. Rewards are mean log-probabilities; logs `nll` when it has a weight.
#[derive(Debug, Clone, PartialEq)]
pub struct Plad {
    config: PladConfig,
}

/// `plad` by name.
pub const METHOD: Method = Method {
    name: "plad",
    title: "Distillation with pseudo-preference pairs",
    build: |options| Ok(Box::new(options.apply("plad", PladConfig::new())?.init()?)),
};

impl PairwiseObjective for Plad {
    fn needs_reference(&self) -> bool {
        false
    }

    fn columns(&self) -> Vec<Column> {
        match self.config.form {
            PladForm::Rank => Vec::new(),
            PladForm::Margin => vec![SCORE_GAP],
        }
    }

    fn extras(&self) -> Vec<Extra> {
        self.config.nll().extras()
    }

    fn forward(&self, batch: &PairBatch) -> Result<PairOutput> {
        batch.refuse("plad", &["betas"], "its rewards are log-probabilities without a factor")?;
        let means = batch.policy().means();
        let losses = match self.config.form {
            PladForm::Rank => slic_loss(batch, means.clone(), self.config.margin)?,
            PladForm::Margin => plad_margin_loss(batch, means.clone(), batch.column(SCORE_GAP, "plad")?)?,
        };
        let nll = self.config.nll();
        let output = PairOutput::with_rewards(nll.add(losses, batch, "plad")?, batch, means);
        nll.log(output, batch, "plad")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pairwise::tests::{column, grad_of_policy, spec_batch, tensor};

    fn loss(config: &PladConfig, batch: &PairBatch) -> f64 {
        column(&config.init().expect("valid in this test").forward(batch).unwrap().losses)[0]
    }

    fn with_gap(gap: f64) -> PairBatch {
        spec_batch().with_column(SCORE_GAP, tensor(&[gap])).unwrap()
    }

    #[test]
    fn values_and_gradients_by_hand() {
        // Means −1.2 and −1.25: 1 − 0.05.
        let config = PladConfig::new();
        assert!((loss(&config, &spec_batch()) - 0.95).abs() < 1e-12);
        assert!((loss(&config.clone().with_margin(0.25), &spec_batch()) - 0.2).abs() < 1e-12);
        let (chosen, rejected) = grad_of_policy(&spec_batch(), &config.init().unwrap());
        assert!((chosen[0] + 0.1).abs() < 1e-15 && (rejected[0] - 1.0 / 12.0).abs() < 1e-15);

        let margin = config.with_form(PladForm::Margin);
        assert!((loss(&margin, &with_gap(0.4)) - 0.35).abs() < 1e-12);
        assert_eq!(loss(&margin, &with_gap(0.02)), 0.0);
        assert_eq!(loss(&margin, &with_gap(-3.0)), 0.0, "a student that scores higher is left alone");
    }

    #[test]
    fn the_margin_form_needs_its_scores_and_the_rank_form_none() {
        assert!(PladConfig::new().init().unwrap().columns().is_empty());
        let margin = PladConfig::new().with_form(PladForm::Margin).init().unwrap();
        assert_eq!(margin.columns(), [SCORE_GAP]);
        assert!(margin.forward(&spec_batch()).unwrap_err().to_string().starts_with("`plad` needs `score_gap`"));
        assert!(!margin.needs_reference() && margin.extras().is_empty());
        let error = plad_margin_loss(&spec_batch(), spec_batch().policy().means(), tensor(&[0.1, 0.2])).unwrap_err();
        assert_eq!(error.to_string(), "`score_gaps`: expected shape [1], got [2]");
    }

    #[test]
    fn a_weighted_likelihood_is_added_and_logged() {
        let config = PladConfig::new().with_sft_weight(0.5);
        assert!((loss(&config, &spec_batch()) - 0.95 - 0.6).abs() < 1e-12);
        let output = config.init().unwrap().forward(&spec_batch()).unwrap();
        assert_eq!(output.means().mean("nll"), Some(1.2));
        assert_eq!((column(&output.chosen_rewards), column(&output.rejected_rewards)), (vec![-1.2], vec![-1.25]));
    }

    #[test]
    fn hooks_reach_the_loss_and_betas_are_refused() {
        let margin = PladConfig::new().with_form(PladForm::Margin);
        assert!((loss(&margin, &with_gap(0.4).with_margins(tensor(&[0.1])).unwrap()) - 0.45).abs() < 1e-12);
        // Exchanged: −0.4 + 0.05 < 0.
        let doubtful = with_gap(0.4).with_label_probs(tensor(&[0.75])).unwrap();
        assert!((loss(&margin, &doubtful) - 0.75 * 0.35).abs() < 1e-12);
        let exchanged = with_gap(-0.4).with_label_probs(tensor(&[0.75])).unwrap();
        assert!((loss(&margin, &exchanged) - 0.25 * 0.45).abs() < 1e-12);
        let error = margin.init().unwrap().forward(&with_gap(0.4).with_betas(tensor(&[1.0])).unwrap()).unwrap_err();
        assert!(error.to_string().starts_with("`plad` cannot take `betas`"), "{error}");
    }

    #[test]
    fn senseless_settings_are_refused_by_name() {
        assert_eq!(PladConfig::new(), PladConfig { form: PladForm::Rank, margin: 1.0, sft_weight: 0.0 });
        for bad in [-0.1, f64::NAN, f64::INFINITY] {
            assert!(PladConfig::new().with_margin(bad).init().unwrap_err().to_string().starts_with("`margin`"));
            assert!(PladConfig::new().with_sft_weight(bad).init().unwrap_err().to_string().starts_with("`sft_weight`"));
        }
    }

    accordant_laws::pairwise_laws!(
        the_rank_form_obeys_the_laws,
        "plad",
        PladConfig::new().init().unwrap(),
        [],
        [
            ReferenceFree,
            ShiftInvariantPerToken,
            DecreasingInChosen,
            IncreasingInRejected,
            ConvexInMargin,
            LowerBound(0.0),
            LabelProbMixes,
            MarginShiftsPerToken { beta: 1.0 },
            NoHook("betas"),
        ],
    );

    accordant_laws::pairwise_laws!(
        the_margin_form_obeys_the_laws,
        "plad",
        PladConfig::new().with_form(PladForm::Margin).init().unwrap(),
        ["score_gap" => Real(-2.0, 2.0)],
        [ReferenceFree, ShiftInvariantPerToken, DecreasingInChosen, IncreasingInRejected, LowerBound(0.0)],
    );
}
