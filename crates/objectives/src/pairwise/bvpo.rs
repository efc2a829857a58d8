//! Bias-Variance Optimized Preference Optimization (BVPO), a mixture of any pairwise method with itself.
//!
//! **Paper:** From Noisy Traces to Stable Gradients: Bias-Variance Optimized Preference Optimization for Aligning Large
//! Reasoning Models (2025), 2510.05095.
//! **Use when:** aligning a model that reasons before it answers: sampled reasoning traces make the gradient noisy.
//! **Checked by:** the laws, hand-worked values and gradients, the limits `trace_weight = 0` and 1, the least mean
//! squared error.
//! **Deviations:** none.

use accordant_ops::{check_domain, check_dtype, check_shape};
use burn::{config::Config, tensor::Tensor};

use super::{
    Extra, Method, PairBatch, PairLogps, PairOutput, PairwiseObjective,
    wrapped::{from_options, merged},
};
use crate::{Error, Result, State};

/// The better of two answers given without reasoning.
pub const DIRECT_CHOSEN: Extra = Extra {
    name: "direct_chosen",
    meaning: "the better of two answers generated with an empty reasoning trace",
    needs_reference: true,
};

/// The other of two answers given without reasoning.
pub const DIRECT_REJECTED: Extra = Extra {
    name: "direct_rejected",
    meaning: "the other of two answers generated with an empty reasoning trace",
    needs_reference: true,
};

/// BVPO losses from those of both kinds of pairs, one for each prompt.
///
/// ```text
/// loss = c · L(traces and answers) + (1 − c) · L(answers after an empty trace)
/// ```
///
/// # Shapes
/// Both inputs and the result: `[n]`. `trace_weight` (c) in `[0, 1]`.
///
/// # Errors
/// A shape or dtype error naming `direct`; a domain error naming `trace_weight`.
///
/// # Example
/// ```
/// use accordant_objectives::pairwise::bvpo::bvpo_loss;
/// use burn::tensor::{Device, Tensor};
/// let one = |x: f32| Tensor::<1>::from_floats([x], &Device::flex());
/// assert_eq!(bvpo_loss(one(4.0), one(8.0), 0.25)?.into_scalar::<f32>(), 7.0);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2510.05095")]
#[doc(alias = "From Noisy Traces to Stable Gradients")]
pub fn bvpo_loss(traced: Tensor<1>, direct: Tensor<1>, trace_weight: f64) -> Result<Tensor<1>> {
    check_shape("direct", &traced.dims(), &direct.dims())?;
    check_dtype("direct", traced.dtype(), direct.dtype())?;
    check_weight(trace_weight)?;
    Ok(traced * trace_weight + direct * (1.0 - trace_weight))
}

fn check_weight(trace_weight: f64) -> Result<()> {
    Ok(check_domain((0.0..=1.0).contains(&trace_weight), "trace_weight", "in [0, 1]", trace_weight)?)
}

/// The `trace_weight` at which the mixture of both gradients is nearest to the true one, in mean squared error.
///
/// ```text
/// c* = (M_e − C) / (M_t + M_e − 2C), clamped to [0, 1]
/// M_t = E|g_t − g*|², M_e = E|g_e − g*|², C = E⟨g_t − g*, g_e − g*⟩
/// ```
///
/// `g_t` is the gradient on traces and answers (unbiased, noisy), `g_e` that on empty traces, `g*` the true one. When
/// both err alike, whatever the weight, it is one half.
///
/// # Errors
/// A domain error unless `trace_error` (M_t) and `direct_error` (M_e) are finite and ≥ 0, and `cross` (C) is finite and
/// not above their geometric mean, as no covariance is.
///
/// # Example
/// ```
/// use accordant_objectives::pairwise::bvpo::optimal_trace_weight;
/// assert_eq!(optimal_trace_weight(3.0, 1.0, 0.0)?, 0.25); // inversely to the errors
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
pub fn optimal_trace_weight(trace_error: f64, direct_error: f64, cross: f64) -> Result<f64> {
    let nonnegative = |value: f64| value.is_finite() && value >= 0.0;
    check_domain(nonnegative(trace_error), "trace_error", "finite and >= 0", trace_error)?;
    check_domain(nonnegative(direct_error), "direct_error", "finite and >= 0", direct_error)?;
    // A little room: all three are estimates in floating point.
    let bound = (trace_error.sqrt() * direct_error.sqrt()) * (1.0 + 1e-9);
    let expected = "at most the geometric mean of both errors in absolute value";
    check_domain(cross.abs() <= bound, "cross", expected, cross)?;
    let curvature = trace_error + direct_error - 2.0 * cross;
    if curvature <= 0.0 {
        return Ok(0.5);
    }
    Ok(((direct_error - cross) / curvature).clamp(0.0, 1.0))
}

/// Configuration of [`Bvpo`].
#[derive(Config, Debug, PartialEq)]
pub struct BvpoConfig {
    /// Weight c of the pairs with traces, in `[0, 1]`; with 1 no others are read. 0.5: ours; see
    /// [`optimal_trace_weight`].
    #[config(default = 0.5)]
    pub trace_weight: f64,
}

impl BvpoConfig {
    /// Checks the fields and wraps `base`.
    ///
    /// # Errors
    /// A domain error naming the field; [`Error::NotTaken`] naming side information of `base`, which would have to be
    /// given for each kind of pair.
    pub fn init(&self, base: Box<dyn PairwiseObjective>) -> Result<Bvpo> {
        check_weight(self.trace_weight)?;
        let columns = base.columns().into_iter().map(|column| column.name);
        let extras = base.extras().into_iter().map(|extra| extra.name);
        let terms = base.terms().into_iter().map(|term| term.name);
        if let Some(name) = columns.chain(extras).chain(terms).next() {
            let reason = "the two kinds of pairs would each need their own";
            return Err(Error::NotTaken { method: "bvpo", name, reason });
        }
        Ok(Bvpo { config: self.clone(), base })
    }
}

/// A pairwise method on two pairs for each prompt; see [`bvpo_loss`].
///
/// The batch's own pairs are traces with their answers, all of it scored; [`DIRECT_CHOSEN`] and [`DIRECT_REJECTED`] are a
/// pair of answers after an empty trace. Where that pair has an empty side, it adds nothing. Weights, scales and betas
/// belong to the prompt and act on both; label probabilities and margins belong to one pair and are refused. Rewards and
/// metrics are those of the pairs with traces; `loss/traced` and `loss/direct` are logged too.
///
/// When the two kinds of pairs come from different prompts, evaluate the wrapped method on two batches and mix the
/// reduced losses.
#[derive(Debug)]
pub struct Bvpo {
    config: BvpoConfig,
    base: Box<dyn PairwiseObjective>,
}

/// `bvpo` by name. The option `base` names the wrapped method, `dpo` without it; `base.x` is its option `x`.
pub const METHOD: Method = Method {
    name: "bvpo",
    title: "Bias-Variance Optimized Preference Optimization",
    build: |options| {
        let (base, config) = from_options("bvpo", options, BvpoConfig::new())?;
        Ok(Box::new(config.init(base)?))
    },
};

impl Bvpo {
    /// The pairs of answers after an empty trace, with the prompts' weights, scales and betas.
    fn direct(&self, batch: &PairBatch) -> Result<PairBatch> {
        let [chosen, rejected] = [DIRECT_CHOSEN, DIRECT_REJECTED].map(|extra| batch.extra_logps(extra, "bvpo"));
        let (chosen, rejected) = (chosen?, rejected?);
        let policy = PairLogps::new(chosen.policy.clone(), rejected.policy.clone())?;
        let mut direct = PairBatch {
            weights: batch.weights.clone(),
            scales: batch.scales.clone(),
            betas: batch.betas.clone(),
            state: batch.state.clone(),
            empty_rows: batch.empty_rows,
            ..PairBatch::new(policy)
        };
        if self.base.needs_reference() {
            let missing = || Error::MissingReference { method: "bvpo" };
            let reference = |side: &Option<_>| side.clone().ok_or_else(missing);
            direct.reference = Some(PairLogps::new(reference(&chosen.reference)?, reference(&rejected.reference)?)?);
        }
        if let Some(mean_tokens) = batch.mean_tokens.get(DIRECT_CHOSEN.name) {
            direct.mean_tokens.insert("chosen", *mean_tokens);
        }
        Ok(direct)
    }
}

impl PairwiseObjective for Bvpo {
    fn needs_reference(&self) -> bool {
        self.base.needs_reference()
    }

    fn extras(&self) -> Vec<Extra> {
        let needs_reference = self.base.needs_reference();
        let direct = [DIRECT_CHOSEN, DIRECT_REJECTED].map(|extra| Extra { needs_reference, ..extra });
        merged(self.base.extras(), direct.into_iter().filter(|_| self.config.trace_weight < 1.0))
    }

    fn uses_batch_statistics(&self) -> bool {
        self.base.uses_batch_statistics()
    }

    fn observe(&self, state: &mut State, batch: &PairBatch) -> Result<()> {
        self.base.observe(state, batch)?;
        if self.config.trace_weight < 1.0 {
            self.base.observe(state, &self.direct(batch)?)?;
        }
        Ok(())
    }

    fn forward(&self, batch: &PairBatch) -> Result<PairOutput> {
        batch.refuse("bvpo", &["label_probs", "margins"], "the two pairs of a prompt have labels of their own")?;
        let mut output = self.base.forward(batch)?;
        if self.config.trace_weight == 1.0 {
            return Ok(output);
        }
        let direct = self.direct(batch)?;
        // Absent is a pair with an empty side, not one that the caller gave weight 0.
        let present = PairBatch { weights: None, ..direct.clone() }.weights();
        let absent = present.clone().equal_scalar(0.0);
        let direct = self.base.forward(&direct)?;
        let (traced, direct) = (output.losses.clone(), direct.losses.mask_fill(absent, 0.0));
        output.losses = bvpo_loss(traced.clone(), direct.clone(), self.config.trace_weight)?;
        output.with_metric("loss/traced", traced)?.with_weighted_metric("loss/direct", direct, present)
    }
}

#[cfg(test)]
mod tests {
    use accordant_laws::{Property, Subject, Tensors, laws};
    use burn::tensor::Device;

    use super::*;
    use crate::{
        Options, SequenceLogps,
        pairwise::{
            build,
            dpo::DpoConfig,
            hinge::HingeConfig,
            sft::SftConfig,
            simpo::SimPoConfig,
            tests::{Stub, column, evaluated, grad_of_policy, logps, spec_batch, tensor},
        },
    };

    fn bvpo(trace_weight: f64) -> Bvpo {
        let base = HingeConfig::new().init().unwrap();
        BvpoConfig::new().with_trace_weight(trace_weight).init(Box::new(base)).unwrap()
    }

    /// d_w = 2 and d_l = −3 in the direct pair.
    fn batch() -> PairBatch {
        let side = |x: f64, n: f64| logps(&[x], &[n]);
        let chosen = (side(-4.0, 2.0), Some(side(-6.0, 2.0)));
        let rejected = (side(-9.0, 3.0), Some(side(-6.0, 3.0)));
        let batch = spec_batch().with_extra(DIRECT_CHOSEN, chosen.0, chosen.1).unwrap();
        batch.with_extra(DIRECT_REJECTED, rejected.0, rejected.1).unwrap()
    }

    fn loss(trace_weight: f64, batch: &PairBatch) -> f64 {
        column(&bvpo(trace_weight).forward(batch).unwrap().losses)[0]
    }

    #[test]
    fn values_by_hand() {
        // Hinges at h = 0.15 and h = 0.5: 0.85 and 0.5.
        assert!((loss(0.25, &batch()) - (0.25 * 0.85 + 0.75 * 0.5)).abs() < 1e-14);
        assert!((loss(0.0, &batch()) - 0.5).abs() < 1e-14);
        assert!((loss(1.0, &batch()) - 0.85).abs() < 1e-14);
        let output = bvpo(0.25).forward(&batch()).unwrap();
        let means = output.means();
        assert!((means.mean("loss/traced").unwrap() - 0.85).abs() < 1e-14);
        assert!((means.mean("loss/direct").unwrap() - 0.5).abs() < 1e-14);
        assert!((column(&output.chosen_rewards)[0] - 0.1).abs() < 1e-15, "rewards of the pair with traces");
    }

    #[test]
    fn gradients_by_hand() {
        let (chosen, rejected) = grad_of_policy(&batch(), &bvpo(0.25));
        assert!((chosen[0] + 0.025).abs() < 1e-15 && (rejected[0] - 0.025).abs() < 1e-15);
        let leaf = |x: f64| tensor(&[x]).autodiff().require_grad();
        let (chosen, rejected) = (leaf(-4.0), leaf(-9.0));
        let side = |x: &Tensor<1>| SequenceLogps::new(x.clone(), tensor(&[2.0]).autodiff()).unwrap();
        let reference = || Some(logps(&[-6.0], &[2.0]));
        let batch = spec_batch().lifted().with_extra(DIRECT_CHOSEN, side(&chosen), reference()).unwrap();
        let batch = batch.with_extra(DIRECT_REJECTED, side(&rejected), reference()).unwrap();
        let grads = bvpo(0.25).forward(&batch).unwrap().losses.sum().backward();
        let grad = |leaf: &Tensor<1>| column(&leaf.grad(&grads).unwrap())[0];
        assert!((grad(&chosen) + 0.075).abs() < 1e-15 && (grad(&rejected) - 0.075).abs() < 1e-15);
    }

    #[test]
    fn what_belongs_to_the_prompt_acts_on_both_pairs() {
        let with = batch().with_betas(tensor(&[0.2])).unwrap().with_scales(tensor(&[0.5])).unwrap();
        // h = 0.3 and h = 1: half of 0.7 and of 0.
        assert!((loss(0.5, &with) - 0.5 * 0.5 * 0.7).abs() < 1e-14);
        let weighted = batch().with_weights(tensor(&[3.0])).unwrap();
        let output = bvpo(0.5).forward(&weighted).unwrap();
        assert_eq!(column(&output.weights), [3.0]);
        assert!((column(&output.losses)[0] - 0.675).abs() < 1e-14);
    }

    #[test]
    fn what_belongs_to_one_pair_is_refused() {
        let soft = batch().with_label_probs(tensor(&[0.9])).unwrap();
        let error = bvpo(0.5).forward(&soft).unwrap_err().to_string();
        assert_eq!(error, "`bvpo` cannot take `label_probs`: the two pairs of a prompt have labels of their own");
        let margins = batch().with_margins(tensor(&[0.9])).unwrap();
        assert!(bvpo(1.0).forward(&margins).unwrap_err().to_string().starts_with("`bvpo` cannot take `margins`"));
        let error = BvpoConfig::new().init(Box::new(Stub)).unwrap_err().to_string();
        assert_eq!(error, "`bvpo` cannot take `stub`: the two kinds of pairs would each need their own");
    }

    #[test]
    fn a_direct_pair_with_an_empty_side_adds_nothing() {
        let side = |x: f64, n: f64| logps(&[x], &[n]);
        let batch = batch().with_extra(DIRECT_REJECTED, side(0.0, 0.0), Some(side(0.0, 0.0))).unwrap();
        let output = bvpo(0.5).forward(&batch).unwrap();
        assert!((column(&output.losses)[0] - 0.5 * 0.85).abs() < 1e-14);
        assert_eq!(output.means().mean("loss/direct"), None);
        let counted = batch.with_empty_rows(accordant_ops::EmptyRows::Count);
        // Counted, its log-ratio is 0: the hinge at h = 0.2.
        assert!((loss(0.5, &counted) - 0.5 * (0.85 + 0.8)).abs() < 1e-14);
    }

    #[test]
    fn the_direct_pairs_need_what_the_base_needs() {
        assert_eq!(bvpo(0.5).extras(), [DIRECT_CHOSEN, DIRECT_REJECTED]);
        assert_eq!(bvpo(1.0).extras(), []);
        assert!(bvpo(0.5).needs_reference() && !bvpo(0.5).uses_batch_statistics());
        assert!(bvpo(0.5).columns().is_empty() && bvpo(0.5).terms().is_empty());
        assert!((loss(1.0, &spec_batch()) - 0.85).abs() < 1e-14);
        let error = bvpo(0.5).forward(&spec_batch()).unwrap_err().to_string();
        assert!(error.starts_with("`bvpo` needs `direct_chosen` (the better"), "{error}");
        let unreferenced = batch().with_extra(DIRECT_REJECTED, logps(&[-9.0], &[3.0]), None).unwrap();
        let error = bvpo(0.5).forward(&unreferenced).unwrap_err().to_string();
        assert_eq!(error, "`bvpo` needs the reference's log-probabilities, and the batch has none");

        let free = BvpoConfig::new().init(Box::new(SimPoConfig::new().init().unwrap())).unwrap();
        assert!(!free.needs_reference() && free.extras().iter().all(|extra| !extra.needs_reference));
        free.forward(&unreferenced).expect("no reference is needed");
    }

    #[test]
    fn a_mean_over_tokens_is_one_over_each_kind_of_pair() {
        let base = SftConfig::new().init().unwrap();
        let nll = BvpoConfig::new().init(Box::new(base)).unwrap();
        // 12 nats over 10 tokens and 4 nats over 2.
        assert!((column(&nll.forward(&batch()).unwrap().losses)[0] - 0.5 * (1.2 + 2.0)).abs() < 1e-14);
        let known = batch().with_mean_tokens("chosen", 5.0).unwrap().with_mean_tokens("direct_chosen", 8.0).unwrap();
        assert!((column(&nll.forward(&known).unwrap().losses)[0] - 0.5 * (2.4 + 0.5)).abs() < 1e-14);
    }

    /// Carries the number of batches that it has seen.
    #[derive(Debug)]
    struct Counting;

    impl PairwiseObjective for Counting {
        fn observe(&self, state: &mut State, batch: &PairBatch) -> Result<()> {
            Stub.observe(state, batch)
        }

        fn uses_batch_statistics(&self) -> bool {
            true
        }

        fn forward(&self, batch: &PairBatch) -> Result<PairOutput> {
            let seen = batch.state().get("batches").unwrap_or_default();
            Ok(PairOutput::new(batch.policy().chosen.sum.zeros_like() + seen, batch, 1.0))
        }
    }

    #[test]
    fn the_base_observes_both_kinds_and_its_state_reaches_both() {
        let seen = |trace_weight: f64| {
            let bvpo = BvpoConfig::new().with_trace_weight(trace_weight).init(Box::new(Counting)).unwrap();
            assert!(bvpo.uses_batch_statistics());
            let mut state = State::default();
            bvpo.observe(&mut state, &batch()).unwrap();
            column(&bvpo.forward(&batch().with_state(state)).unwrap().losses)[0]
        };
        assert_eq!((seen(0.5), seen(1.0)), (2.0, 1.0));
    }

    #[test]
    fn the_optimal_weight_has_the_least_error() {
        let (trace, direct, cross) = (3.0, 2.0, 0.5);
        let error = |c: f64| c * c * trace + (1.0 - c) * (1.0 - c) * direct + 2.0 * c * (1.0 - c) * cross;
        let best = optimal_trace_weight(trace, direct, cross).unwrap();
        assert!((best - 1.5 / 4.0).abs() < 1e-15);
        assert!(error(best) < error(best - 0.01) && error(best) < error(best + 0.01));
        // A covariance above the smaller error: the better estimator alone.
        assert_eq!(optimal_trace_weight(9.0, 1.0, 2.0).unwrap(), 0.0);
        assert_eq!(optimal_trace_weight(1.0, 9.0, 2.0).unwrap(), 1.0);
        assert_eq!(optimal_trace_weight(2.0, 2.0, 2.0).unwrap(), 0.5, "both err alike");
        assert_eq!(optimal_trace_weight(0.0, 0.0, 0.0).unwrap(), 0.5);
        assert_eq!(optimal_trace_weight(1.0, 1.0, -1.0).unwrap(), 0.5);
    }

    #[test]
    fn by_name_the_base_is_dpo_unless_it_is_named() {
        let loss = |options: &Options| column(&build("bvpo", options).unwrap().forward(&batch()).unwrap().losses)[0];
        let dpo = |h: f64| (1.0 + (-h).exp()).ln();
        assert!((loss(&Options::new()) - 0.5 * (dpo(0.15) + dpo(0.5))).abs() < 1e-14);
        assert!((loss(&Options::new().with("base", "hinge").with("trace_weight", 0)) - 0.5).abs() < 1e-14);
    }

    #[test]
    fn senseless_settings_are_refused_by_name() {
        for weight in [-0.1, 1.1, f64::NAN] {
            let base = Box::new(DpoConfig::new().init().unwrap());
            let error = BvpoConfig::new().with_trace_weight(weight).init(base).unwrap_err().to_string();
            assert_eq!(error, format!("`trace_weight`: expected in [0, 1], got {weight}"));
            assert!(bvpo_loss(tensor(&[0.0]), tensor(&[0.0]), weight).is_err());
        }
        let error = bvpo_loss(tensor(&[0.0]), tensor(&[0.0, 1.0]), 0.5).unwrap_err().to_string();
        assert_eq!(error, "`direct`: expected shape [1], got [2]");
        for bad in [-1.0, f64::NAN, f64::INFINITY] {
            assert!(optimal_trace_weight(bad, 1.0, 0.0).unwrap_err().to_string().starts_with("`trace_error`"));
            assert!(optimal_trace_weight(1.0, bad, 0.0).unwrap_err().to_string().starts_with("`direct_error`"));
        }
        for bad in [1.1, -1.1, f64::NAN] {
            assert!(optimal_trace_weight(1.0, 1.0, bad).unwrap_err().to_string().starts_with("`cross`"));
        }
    }

    laws!(
        laws_hold,
        Subject::pairwise("bvpo", &|t: &Tensors| evaluated(&bvpo(0.25), t, &[0, 1]))
            .on(Device::flex())
            .declare(Property::NoHook("label_probs"))
            .declare(Property::NoHook("margins"))
            .declare(Property::ShiftInvariant)
            .declare(Property::DecreasingInChosen)
            .declare(Property::IncreasingInRejected)
            .declare(Property::ConvexInMargin)
            .declare(Property::LowerBound(0.0))
    );

    laws!(
        laws_hold_with_another_pair,
        Subject::pairwise("bvpo with the pair swapped", &|t: &Tensors| evaluated(&bvpo(0.25), t, &[1, 0]))
            .on(Device::flex())
            .declare(Property::NoHook("label_probs"))
            .declare(Property::NoHook("margins"))
            .declare(Property::ShiftInvariant)
            .declare(Property::ConvexInMargin)
    );
}
