//! Sequence Likelihood Calibration with Human Feedback (SLiC-HF).
//!
//! **Paper:** SLiC-HF: Sequence Likelihood Calibration with Human Feedback (2023), 2305.10425.
//! **Use when:** no reference policy can be kept and pairs that are far enough apart should stop pulling.
//! **Checked by:** values and gradients by hand, the laws of the family.
//! **Deviations:** the regularizer is one number for each pair; HALOs adds a vector over tokens to the vector over pairs.
//! Its target is the chosen response unless another is asked for.

use accordant_ops::check_domain;
use burn::{config::Config, tensor::Tensor};

use super::{
    Extra, Length, MarginLoss, Method, PairBatch, PairOutput, PairValues, PairwiseObjective, Score, hinge::shortfall,
    sft::nll_losses,
};
use crate::Result;

/// The response that a supervised term imitates in place of the chosen one.
pub const SFT_TARGET: Extra =
    Extra { name: "sft_target", meaning: "the response that supervised fine-tuning imitates", needs_reference: false };

/// SLiC's calibration losses, one per pair.
///
/// ```text
/// loss = max(0, δ − log π(y_w|x) + log π(y_l|x) + margin)
/// ```
///
/// The objective adds `sft_weight` (λ) times the negative log-likelihood of the target. With a probability `q` that the
/// label is wrong, the loss is `(1−q)` times this plus `q` times the same with the responses exchanged.
///
/// # Shapes
/// `scores`: two `[n]` of log-probabilities in nats, summed or per token; the result is `[n]`.
///
/// `margin` (δ) ≥ 0. Equal scores give δ; from a difference of δ on, loss and gradient are 0. Finite for every finite
/// input.
///
/// # Errors
/// A shape error when there is not one score for each response of `batch`.
///
/// # Example
/// ```
/// use accordant_objectives::pairwise::{PairBatch, PairLogps, slic::slic_loss};
/// use accordant_objectives::SequenceLogps;
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let one = |x: f32| Tensor::<1>::from_floats([x], &device);
/// let logps = |x| SequenceLogps::new(one(x), one(1.0));
/// let batch = PairBatch::new(PairLogps::new(logps(-2.0)?, logps(-2.25)?)?);
/// let loss = slic_loss(&batch, batch.policy().sums(), 1.0)?;
/// assert_eq!(loss.into_scalar::<f32>(), 0.75); // 1 + 2 − 2.25
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2305.10425")]
#[doc(alias = "SLiC-HF: Sequence Likelihood Calibration with Human Feedback")]
pub fn slic_loss(batch: &PairBatch, scores: PairValues, margin: f64) -> Result<Tensor<1>> {
    batch.check_values(&scores)?;
    Ok(SlicLoss { margin }.losses(batch, scores.difference()))
}

/// `max(0, δ − h)`; the subgradient at the kink is 0. At δ = 1 it is [`super::hinge::HingeLoss`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SlicLoss {
    /// δ, from where on a pair says nothing; finite.
    pub margin: f64,
}

impl MarginLoss for SlicLoss {
    fn loss(&self, h: Tensor<1>) -> Tensor<1> {
        shortfall(h, self.margin)
    }
}

/// What SLiC's supervised term imitates.
#[derive(Config, Debug, Copy, PartialEq, Eq)]
pub enum SftTarget {
    /// The chosen response.
    Chosen,
    /// [`SFT_TARGET`], a response of its own.
    Separate,
}

/// Configuration of [`Slic`].
#[derive(Config, Debug, PartialEq)]
pub struct SlicConfig {
    /// Difference of scores from where on a pair says nothing, finite and ≥ 0; δ in the paper. 1: HALOs' default.
    #[config(default = 1.0)]
    pub margin: f64,
    /// Weight of the negative log-likelihood of the target, finite and ≥ 0; λ in the paper. 0.1: HALOs' default.
    #[config(default = 0.1)]
    pub sft_weight: f64,
    /// Log-probabilities of whole responses or per token, in both terms. `Sum`: the paper's.
    #[config(default = "Length::Sum")]
    pub length: Length,
    /// What the supervised term imitates. `Chosen`: it needs no further data.
    #[config(default = "SftTarget::Chosen")]
    pub target: SftTarget,
}

impl SlicConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<Slic> {
        for (name, value) in [("margin", self.margin), ("sft_weight", self.sft_weight)] {
            check_domain(value.is_finite() && value >= 0.0, name, "finite and >= 0", value)?;
        }
        Ok(Slic { config: self.clone() })
    }
}

/// The SLiC-HF objective; see [`slic_loss`]. Rewards are the log-probabilities that it compares. Logs
/// `nll`, the target's in nats a token, when it has a weight.
#[derive(Debug, Clone, PartialEq)]
pub struct Slic {
    config: SlicConfig,
}

/// `slic` by name.
pub const METHOD: Method = Method {
    name: "slic",
    title: "Sequence Likelihood Calibration with Human Feedback",
    build: |options| Ok(Box::new(options.apply("slic", SlicConfig::new())?.init()?)),
};

impl PairwiseObjective for Slic {
    fn needs_reference(&self) -> bool {
        false
    }

    fn extras(&self) -> Vec<Extra> {
        match self.config.target {
            SftTarget::Separate if self.config.sft_weight > 0.0 => vec![SFT_TARGET],
            _ => Vec::new(),
        }
    }

    fn forward(&self, batch: &PairBatch) -> Result<PairOutput> {
        let SlicConfig { margin, sft_weight, length, target } = self.config;
        batch.refuse("slic", &["betas"], "its rewards are log-probabilities without a factor")?;
        let scores = Score::LogProb(length).of(batch, None, "slic")?;
        let output = PairOutput::with_rewards(slic_loss(batch, scores.clone(), margin)?, batch, scores);
        if sft_weight == 0.0 {
            return Ok(output);
        }
        let (of, logps) = match target {
            SftTarget::Chosen => ("chosen", &batch.policy().chosen),
            SftTarget::Separate => (SFT_TARGET.name, batch.extra(SFT_TARGET, "slic")?),
        };
        let nll = nll_losses(batch, of, logps, length) * sft_weight;
        output.with_added(batch, nll)?.with_weighted_metric("nll", -logps.mean.clone(), logps.count.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pairwise::{
        Composed,
        tests::{column, grad_of_policy, spec_batch, tensor},
    };

    fn loss(config: &SlicConfig, batch: &PairBatch) -> f64 {
        column(&config.init().expect("valid in this test").forward(batch).unwrap().losses)[0]
    }

    #[test]
    fn values_and_gradients_by_hand() {
        // L_w − L_l = 3 is beyond δ = 1: only 0.1 · 12 is left.
        let config = SlicConfig::new();
        assert!((loss(&config, &spec_batch()) - 1.2).abs() < 1e-12);
        let (chosen, rejected) = grad_of_policy(&spec_batch(), &config.init().unwrap());
        assert_eq!((chosen, rejected), (vec![-0.1], vec![0.0]));
        // δ = 5: 2 more.
        let wide = config.clone().with_margin(5.0);
        assert!((loss(&wide, &spec_batch()) - 3.2).abs() < 1e-12);
        let (chosen, rejected) = grad_of_policy(&spec_batch(), &wide.init().unwrap());
        assert_eq!((chosen, rejected), (vec![-1.1], vec![1.0]));
        // Per token: 1 + 1.2 − 1.25 + 0.1 · 1.2.
        assert!((loss(&config.with_length(Length::TokenMean), &spec_batch()) - 1.07).abs() < 1e-12);
    }

    #[test]
    fn rewards_are_the_log_probabilities_compared() {
        let rewards =
            |config: SlicConfig| column(&config.init().unwrap().forward(&spec_batch()).unwrap().chosen_rewards);
        assert_eq!(rewards(SlicConfig::new()), [-12.0]);
        assert_eq!(rewards(SlicConfig::new().with_length(Length::TokenMean)), [-1.2]);
        let slic = SlicConfig::new().init().unwrap();
        assert!(!slic.needs_reference() && slic.extras().is_empty());
        slic.forward(&PairBatch::new(spec_batch().policy().clone())).expect("no reference is read");
    }

    #[test]
    fn another_target_may_be_imitated() {
        let config = SlicConfig::new().with_target(SftTarget::Separate);
        let slic = config.init().unwrap();
        assert_eq!(slic.extras(), [SFT_TARGET]);
        assert!(slic.forward(&spec_batch()).unwrap_err().to_string().starts_with("`slic` needs `sft_target`"));
        let batch = spec_batch().with_extra(SFT_TARGET, spec_batch().policy().rejected.clone(), None).unwrap();
        assert!((loss(&config, &batch) - 1.5).abs() < 1e-12);
        let unweighted = config.with_sft_weight(0.0);
        assert!(unweighted.init().unwrap().extras().is_empty());
        assert_eq!(loss(&unweighted, &spec_batch()), 0.0);
    }

    #[test]
    fn hooks_reach_the_loss_and_betas_are_refused() {
        let config = SlicConfig::new().with_sft_weight(0.0).with_margin(2.0);
        // h = 3 less a margin of 1.5, and the mean of both orders.
        assert!((loss(&config, &spec_batch().with_margins(tensor(&[1.5])).unwrap()) - 0.5).abs() < 1e-12);
        assert!((loss(&config, &spec_batch().with_label_probs(tensor(&[0.75])).unwrap()) - 0.25 * 5.0).abs() < 1e-12);
        let error = config.init().unwrap().forward(&spec_batch().with_betas(tensor(&[1.0])).unwrap()).unwrap_err();
        assert!(error.to_string().starts_with("`slic` cannot take `betas`"), "{error}");
    }

    #[test]
    fn it_composes_and_its_kink_is_at_the_margin() {
        // 3 − 0.1 (1 + 0.5)
        let composed = Composed::new(Score::LogRatio(Length::Sum), 0.1, SlicLoss { margin: 3.0 }).unwrap();
        assert!((column(&composed.forward(&spec_batch()).unwrap().losses)[0] - 2.85).abs() < 1e-12);
        let h = tensor(&[2.0, 1.5]).autodiff().require_grad();
        let loss = SlicLoss { margin: 2.0 }.loss(h.clone());
        let grads = loss.clone().sum().backward();
        assert_eq!((column(&loss), column(&h.grad(&grads).unwrap())), (vec![0.0, 0.5], vec![0.0, -1.0]));
    }

    #[test]
    fn senseless_settings_are_refused_by_name() {
        let expected = SlicConfig { margin: 1.0, sft_weight: 0.1, length: Length::Sum, target: SftTarget::Chosen };
        assert_eq!(SlicConfig::new(), expected);
        for bad in [-0.1, f64::NAN, f64::INFINITY] {
            let error = SlicConfig::new().with_margin(bad).init().unwrap_err().to_string();
            assert_eq!(error, format!("`margin`: expected finite and >= 0, got {bad}"));
            let error = SlicConfig::new().with_sft_weight(bad).init().unwrap_err().to_string();
            assert_eq!(error, format!("`sft_weight`: expected finite and >= 0, got {bad}"));
        }
        SlicConfig::new().with_margin(0.0).init().expect("a plain ranking loss");
        let scores = PairValues { chosen: tensor(&[1.0, 2.0]), rejected: tensor(&[0.0]) };
        assert!(slic_loss(&spec_batch(), scores, 1.0).unwrap_err().to_string().starts_with("`values.chosen`"));
    }

    #[test]
    fn the_likelihood_of_the_target_is_logged() {
        let nll = |config: SlicConfig| config.init().unwrap().forward(&spec_batch()).unwrap().means().mean("nll");
        // 12 nats over ten tokens.
        assert_eq!((nll(SlicConfig::new()), nll(SlicConfig::new().with_sft_weight(0.0))), (Some(1.2), None));
    }

    accordant_laws::pairwise_laws!(
        obeys_the_laws,
        "slic",
        SlicConfig::new().init().unwrap(),
        [],
        [ReferenceFree, DecreasingInChosen, IncreasingInRejected, ConvexInMargin, LowerBound(0.0), NoHook("betas")],
    );

    accordant_laws::pairwise_laws!(
        per_token_and_alone_it_obeys_the_laws,
        "slic",
        SlicConfig::new().with_length(Length::TokenMean).with_sft_weight(0.0).init().unwrap(),
        [],
        [ReferenceFree, ShiftInvariantPerToken, LabelProbMixes, MarginShiftsPerToken { beta: 1.0 }],
    );
}
