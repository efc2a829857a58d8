//! Binary Classifier Optimization (BCO) on single responses, with a running mean of the rewards.
//!
//! **Paper:** Binary Classifier Optimization for Large Language Model Alignment (2024), 2404.04656.
//! **Use when:** responses are labeled good or bad one by one, and the two kinds may come from different prompts.
//! **Checked by:** golden numbers (TRL 1.13, whose running mean is f32), values and gradients by hand, finite
//! differences, the laws.
//! **Deviations:** the running moments start empty; TRL's variance starts at 1 with a count of 1e-24, which is the same.

use accordant_ops::{check_domain, item_metrics::counted, stable::softplus};
use burn::{config::Config, tensor::Tensor};

use super::{Method, SingleBatch, SingleOutput, UnpairedObjective};
use crate::{Moments, Result, State, pairwise::check_beta, side::Column, side::Domain};

/// The probability that a response's prompt comes from the prompts of desirable responses, by a classifier.
pub const DESIRABLE_PROMPT_PROBS: Column = Column {
    name: "desirable_prompt_probs",
    domain: Domain::Unit,
    meaning: "the probability that the prompt is one of a desirable response",
};

/// BCO losses, one per response: the binary cross-entropy of a classifier with the logit `β d − δ`.
///
/// ```text
/// desirable:    −log σ(β d − δ) = softplus(−(β d − δ))
/// undesirable:  −log σ(−(β d − δ)) = softplus(β d − δ)
/// ```
///
/// With a probability `p` that the label is right, the loss is `p` times its loss plus `1 − p` times the other's.
///
/// # Shapes
/// `log_ratios`, summed: `[n]`; the result: `[n]`.
///
/// `beta` > 0; `delta`, a running mean of the rewards `β d` of all responses, finite. At `β d = δ` the loss is ln 2.
/// Finite for every finite input.
///
/// # Errors
/// A shape or dtype error naming `log_ratios`.
///
/// # Example
/// ```
/// use accordant_objectives::SequenceLogps;
/// use accordant_objectives::unpaired::{SingleBatch, bco::bco_loss};
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let one = |x: f32| Tensor::<1>::from_floats([x], &device);
/// let batch = SingleBatch::new(SequenceLogps::new(one(-1.0), one(1.0))?, Tensor::from_bool([true], &device))?;
/// let loss = bco_loss(&batch, one(3f32.ln() + 0.5), 1.0, 0.5)?.into_scalar::<f32>();
/// assert!((loss - (4f32 / 3.0).ln()).abs() < 1e-6); // σ(ln 3) = 3/4
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2404.04656")]
#[doc(alias = "Binary Classifier Optimization for Large Language Model Alignment")]
pub fn bco_loss(batch: &SingleBatch, log_ratios: Tensor<1>, beta: f64, delta: f64) -> Result<Tensor<1>> {
    let (desirable, undesirable) = class_losses(batch, log_ratios, beta, delta)?;
    Ok(batch.label_losses(desirable, undesirable))
}

/// What each response would lose as a desirable and as an undesirable one.
fn class_losses(batch: &SingleBatch, log_ratios: Tensor<1>, beta: f64, delta: f64) -> Result<(Tensor<1>, Tensor<1>)> {
    batch.check_values("log_ratios", &log_ratios)?;
    let logits = log_ratios * beta - delta;
    Ok((softplus(-logits.clone()), softplus(logits)))
}

/// How much more often a prompt is met among desirable responses than among others, from the probability `p` that it is
/// one of them: `p / (1 − p + 1e-8)` within `[min, max]`. It makes undesirable responses look as if they came from the
/// prompts of desirable ones.
///
/// # Shapes
/// `probs` in `[0, 1]` and the result: `[n]`.
///
/// # Example
/// ```
/// use accordant_objectives::unpaired::bco::density_ratios;
/// use burn::tensor::{Device, Tensor};
/// let probs = Tensor::from_floats([0.1, 0.75, 1.0], &Device::flex());
/// let ratios = density_ratios(probs, 0.5, 10.0).try_to_vec_as::<f32>().unwrap();
/// assert!(ratios[0] == 0.5 && (ratios[1] - 3.0).abs() < 1e-5 && ratios[2] == 10.0);
/// ```
pub fn density_ratios(probs: Tensor<1>, min: f64, max: f64) -> Tensor<1> {
    (probs.clone() / (-probs + 1.0 + 1e-8)).clamp(min, max)
}

/// Configuration of [`Bco`].
#[derive(Config, Debug, PartialEq)]
pub struct BcoConfig {
    /// Strength of the KL pull, finite and > 0. 0.1: TRL's.
    #[config(default = 0.1)]
    pub beta: f64,
    /// Weight undesirable responses by [`density_ratios`] of [`DESIRABLE_PROMPT_PROBS`] (the paper's underlying
    /// distribution matching). Off: both kinds have the same prompts.
    #[config(default = false)]
    pub match_prompts: bool,
    /// Least density ratio, finite and ≥ 0. 0.5: TRL's.
    #[config(default = 0.5)]
    pub min_density_ratio: f64,
    /// Greatest density ratio, finite and at least the least one. 10: TRL's.
    #[config(default = 10.0)]
    pub max_density_ratio: f64,
}

impl BcoConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<Bco> {
        check_beta(self.beta)?;
        let (min, max) = (self.min_density_ratio, self.max_density_ratio);
        check_domain(min.is_finite() && min >= 0.0, "min_density_ratio", "finite and >= 0", min)?;
        check_domain(max.is_finite() && max >= min, "max_density_ratio", "finite and >= min_density_ratio", max)?;
        Ok(Bco { config: self.clone() })
    }
}

/// The BCO objective; see [`bco_loss`]. Rewards are `beta` times the log-ratio.
///
/// Its state holds the [`Moments`] of all rewards that it has observed, those of the batch to be trained on included;
/// their mean is δ, logged as `delta`. A batch without a state has δ = 0. Observing reads the device.
#[derive(Debug, Clone, PartialEq)]
pub struct Bco {
    config: BcoConfig,
}

/// `bco` by name.
pub const METHOD: Method = Method {
    name: "bco",
    title: "Binary Classifier Optimization",
    build: |options| Ok(Box::new(options.apply("bco", BcoConfig::new())?.init()?)),
};

impl UnpairedObjective for Bco {
    fn columns(&self) -> Vec<Column> {
        if self.config.match_prompts { vec![DESIRABLE_PROMPT_PROBS] } else { Vec::new() }
    }

    /// By way of the running mean.
    fn uses_batch_statistics(&self) -> bool {
        true
    }

    fn observe(&self, state: &mut State, batch: &SingleBatch) -> Result<()> {
        let rewards = batch.log_ratios("bco")?.detach() * self.config.beta;
        let counts = counted(&batch.weights());
        let rows = Tensor::stack::<2>(vec![rewards, counts], 1).into_data().convert::<f64>();
        let rows = rows.as_slice::<f64>().expect("converted to f64").chunks_exact(2);
        let rewards: Vec<f64> = rows.filter(|row| row[1] > 0.0).map(|row| row[0]).collect();
        let mut moments = Moments::of(state);
        moments.add(&rewards);
        moments.store(state);
        Ok(())
    }

    fn forward(&self, batch: &SingleBatch) -> Result<SingleOutput> {
        let BcoConfig { beta, match_prompts, min_density_ratio, max_density_ratio } = self.config;
        let delta = Moments::of(batch.state()).mean;
        let (desirable, mut undesirable) = class_losses(batch, batch.log_ratios("bco")?, beta, delta)?;
        if match_prompts {
            let probs = batch.column(DESIRABLE_PROMPT_PROBS, "bco")?;
            undesirable = undesirable * density_ratios(probs, min_density_ratio, max_density_ratio);
        }
        let losses = batch.label_losses(desirable, undesirable);
        let delta = losses.zeros_like().detach() + delta;
        SingleOutput::new(losses, batch, beta).with_metric("delta", delta)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unpaired::tests::{column, grad_of_policy, labels, logps, spec_batch, tensor};

    accordant_laws::unpaired_laws!(
        bco_obeys_the_laws,
        "bco",
        BcoConfig::new().init().unwrap(),
        [],
        [BatchStatistics, OwnGradient, ShiftInvariant, AtReference(2f64.ln()), LowerBound(0.0), ConvexInMargin],
        except "finite differences" because "the running mean is a constant of the gradient",
        except "finite differences, token by token" because "the same",
    );
    accordant_laws::unpaired_laws!(
        bco_with_matched_prompts_obeys_the_laws,
        "bco with matched prompts",
        BcoConfig::new().with_match_prompts(true).init().unwrap(),
        ["desirable_prompt_probs" => Unit, "label_probs" => Unit],
        [BatchStatistics, OwnGradient, ShiftInvariant, LowerBound(0.0)],
        except "finite differences" because "the running mean is a constant of the gradient",
        except "finite differences, token by token" because "the same",
    );

    fn with_delta(delta: f64) -> SingleBatch {
        let mut state = State::default();
        Moments { count: 4.0, mean: delta, variance: 1.0 }.store(&mut state);
        spec_batch().with_state(state)
    }

    fn bco(config: BcoConfig) -> Bco {
        config.init().expect("valid in this test")
    }

    #[test]
    fn values_and_gradients_by_hand() {
        let output = bco(BcoConfig::new()).forward(&with_delta(0.02)).unwrap();
        let losses = column(&output.losses);
        // softplus(−(0.1 − 0.02)) and softplus(−0.05 − 0.02)
        assert!((losses[0] - 0.6539469673).abs() < 1e-10, "{losses:?}");
        assert!((losses[1] - (-0.07f64).exp().ln_1p()).abs() < 1e-15, "{losses:?}");
        assert_eq!(output.means().mean("delta"), Some(0.02));
        let grad = grad_of_policy(&with_delta(0.02), &bco(BcoConfig::new()));
        assert!((grad[0] + 0.1 / (1.0 + 0.08f64.exp())).abs() < 1e-15, "{grad:?}");
        assert!((grad[1] - 0.1 / (1.0 + 0.07f64.exp())).abs() < 1e-15, "{grad:?}");
        let pure = bco_loss(&spec_batch(), tensor(&[1.0, -0.5]), 0.1, 0.02).unwrap();
        assert_eq!(column(&pure), losses);
    }

    #[test]
    fn the_state_is_the_mean_of_all_rewards_observed() {
        let objective = bco(BcoConfig::new());
        let mut state = State::default();
        objective.observe(&mut state, &spec_batch()).unwrap();
        // Rewards 0.1 and −0.05.
        let moments = Moments::of(&state);
        assert!(moments.count == 2.0 && (moments.mean - 0.025).abs() < 1e-16, "{moments:?}");
        objective
            .observe(&mut state, &spec_batch().with_reference(logps(&[-12.0, -15.0], &[1.0, 1.0])).unwrap())
            .unwrap();
        assert!((Moments::of(&state).mean - 0.0125).abs() < 1e-16);
        // A response that does not count says nothing about the mean.
        let silent = spec_batch().with_weights(tensor(&[0.0, 3.0])).unwrap();
        let mut state = State::default();
        objective.observe(&mut state, &silent).unwrap();
        assert_eq!(Moments::of(&state), Moments { count: 1.0, mean: -0.5 * 0.1, variance: 0.0 });
    }

    #[test]
    fn a_shift_of_all_rewards_is_a_shift_of_the_mean() {
        let objective = bco(BcoConfig::new().with_beta(1.0));
        let losses = |shift: f64| {
            let reference = logps(&[-13.0 - shift, -14.5 - shift], &[10.0, 12.0]);
            let batch = spec_batch().with_reference(reference).unwrap();
            let mut state = State::default();
            objective.observe(&mut state, &batch).unwrap();
            column(&objective.forward(&batch.with_state(state)).unwrap().losses)
        };
        let (plain, shifted) = (losses(0.0), losses(2.0));
        assert!((plain[0] - shifted[0]).abs() < 1e-14 && (plain[1] - shifted[1]).abs() < 1e-14);
    }

    #[test]
    fn prompts_are_matched_by_weighting_undesirable_responses() {
        let objective = bco(BcoConfig::new().with_match_prompts(true));
        assert_eq!(objective.columns(), [DESIRABLE_PROMPT_PROBS]);
        let error = objective.forward(&spec_batch()).unwrap_err().to_string();
        assert!(error.starts_with("`bco` needs `desirable_prompt_probs`"), "{error}");
        let batch = spec_batch().with_column(DESIRABLE_PROMPT_PROBS, tensor(&[0.75, 0.75])).unwrap();
        let plain = column(&bco(BcoConfig::new()).forward(&batch).unwrap().losses);
        let matched = column(&objective.forward(&batch).unwrap().losses);
        let ratio = 0.75 / (0.25 + 1e-8);
        assert!(matched[0] == plain[0] && (matched[1] - ratio * plain[1]).abs() < 1e-15, "{matched:?} {plain:?}");
        // The bounds, and a doubtful label, which shares the weight.
        let bounds = BcoConfig::new().with_match_prompts(true).with_min_density_ratio(4.0).with_max_density_ratio(5.0);
        let bounded = column(&bco(bounds).forward(&batch).unwrap().losses);
        assert!((bounded[1] - 4.0 * plain[1]).abs() < 1e-15);
        let doubtful = batch.with_label_probs(tensor(&[0.75, 1.0])).unwrap();
        let mixed = column(&objective.forward(&doubtful).unwrap().losses);
        let other = plain[0] + 0.1; // softplus(x) = softplus(−x) + x
        assert!((mixed[0] - (0.75 * plain[0] + 0.25 * ratio * other)).abs() < 1e-14, "{mixed:?}");
    }

    #[test]
    fn at_delta_zero_two_responses_are_a_pair_of_bco() {
        // softplus(−a) + softplus(b) of β d = 0.1 and −0.05: 1.312856308.
        let losses = column(&bco(BcoConfig::new()).forward(&spec_batch()).unwrap().losses);
        assert!((losses[0] + losses[1] - 1.312856308).abs() < 1e-9, "{losses:?}");
    }

    #[test]
    fn one_class_alone_is_legal() {
        let batch = SingleBatch::new(logps(&[-1.0, -2.0], &[1.0, 1.0]), labels(&[false, false])).unwrap();
        let batch = batch.with_reference(logps(&[-1.0, -2.0], &[1.0, 1.0])).unwrap();
        let losses = column(&bco(BcoConfig::new()).forward(&batch).unwrap().losses);
        assert!(losses.iter().all(|loss| (loss - 2f64.ln()).abs() < 1e-15));
    }

    #[test]
    fn defaults_and_senseless_settings() {
        let BcoConfig { beta, match_prompts, min_density_ratio, max_density_ratio } = BcoConfig::new();
        assert_eq!((beta, match_prompts, min_density_ratio, max_density_ratio), (0.1, false, 0.5, 10.0));
        for (config, name) in [
            (BcoConfig::new().with_beta(-1.0), "`beta`"),
            (BcoConfig::new().with_min_density_ratio(-0.1), "`min_density_ratio`"),
            (BcoConfig::new().with_min_density_ratio(f64::NAN), "`min_density_ratio`"),
            (BcoConfig::new().with_max_density_ratio(0.4), "`max_density_ratio`"),
            (BcoConfig::new().with_max_density_ratio(f64::INFINITY), "`max_density_ratio`"),
        ] {
            assert!(config.init().unwrap_err().to_string().starts_with(name));
        }
        bco(BcoConfig::new().with_min_density_ratio(0.0).with_max_density_ratio(0.0));
        let objective = bco(BcoConfig::new());
        assert!(objective.columns().is_empty() && objective.uses_batch_statistics());
    }
}
