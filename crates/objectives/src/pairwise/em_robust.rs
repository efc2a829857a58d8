//! Preference labels that may be wrong, by expectation maximization around any objective (LCPO).
//!
//! **Paper:** Latent Collective Preference Optimization: A General Framework for Robust LLM Alignment (2025), 2509.24159.
//! **Use when:** labels are noisy, by an unknown share or by annotators of unequal care.
//! **Status:** our derivation of the abstract's algorithm, not checked against the authors' code.
//! **Checked by:** hand-worked values, the gradient of the marginal likelihood, limits in η, a calibrated model.
//! **Deviations:** η moves before a batch is trained on, not after (see
//! [`observe`](PairwiseObjective::observe)).

use std::collections::BTreeMap;

use accordant_ops::check_domain;
use burn::{
    config::Config,
    tensor::{Tensor, TensorData},
};

use super::{
    Extra, Method, PairBatch, PairOutput, PairwiseObjective, Term,
    columns::LABEL_PROBS,
    sigmoid,
    wrapped::{from_options, merged},
};
use crate::{Domain, Error, Result, State, side::Column};

/// Who labeled a pair.
pub const ANNOTATORS: Column =
    Column { name: "annotators", domain: Domain::Id, meaning: "the number of the annotator who labeled the pair" };

/// How far η stays from a coin's and from certainty.
const ETA_MIN: f64 = 0.5 + 1e-3;
const ETA_MAX: f64 = 1.0 - 1e-3;

/// The probability that each pair's label is right, given the losses of both orders: the E-step.
///
/// ```text
/// w = σ(log η/(1 − η) + f(−h) − f(h))
/// ```
///
/// # Shapes
/// `right` (`f(h)`), `wrong` (`f(−h)`), `eta` (the share of right labels, in (0, 1)) and the result: `[n]`; detached.
///
/// # Example
/// ```
/// use accordant_objectives::pairwise::em_robust::right_label_probs;
/// use burn::tensor::{Device, Tensor};
/// let one = |x: f32| Tensor::<1>::from_floats([x], &Device::flex());
/// // Odds of 3 : 1 a priori, and e^{ln 2} as likely as seen from here: 6 : 1.
/// let w = right_label_probs(one(1.0), one(1.0 + 2f32.ln()), one(0.75));
/// assert!((w.into_scalar::<f32>() - 6.0 / 7.0).abs() < 1e-6);
/// ```
#[doc(alias = "2509.24159")]
#[doc(alias = "Latent Collective Preference Optimization: A General Framework for Robust LLM Alignment")]
#[doc(alias = "LCPO")]
pub fn right_label_probs(right: Tensor<1>, wrong: Tensor<1>, eta: Tensor<1>) -> Tensor<1> {
    let prior = eta.clone().log() - (-eta + 1.0).log();
    sigmoid((prior + wrong - right).detach())
}

/// Configuration of [`EmRobust`].
#[derive(Config, Debug, PartialEq)]
pub struct EmRobustConfig {
    /// Share η of right labels at the start, in `[0.501, 0.999]`. 0.9 is ours.
    #[config(default = 0.9)]
    pub eta: f64,
    /// How far η moves towards each batch's mean, κ, in `[0, 1]`; 0 keeps it. 0.1 is ours.
    #[config(default = 0.1)]
    pub eta_rate: f64,
    /// A share for each annotator, by [`ANNOTATORS`]. Off: one for all.
    #[config(default = false)]
    pub per_annotator: bool,
}

impl EmRobustConfig {
    /// Checks the fields and wraps `base`, any objective that takes label probabilities: `dpo`, `ipo`, `simpo` and `cpo`
    /// in the paper.
    ///
    /// # Errors
    /// A domain error naming the field; [`Error::NotTaken`] for a base that needs label probabilities (`irepo`, `osp`),
    /// which are what is estimated here.
    pub fn init(&self, base: Box<dyn PairwiseObjective>) -> Result<EmRobust> {
        if base.columns().contains(&LABEL_PROBS) {
            let reason = "a base that needs them fits what is estimated here";
            return Err(Error::NotTaken { method: "em_robust", name: LABEL_PROBS.name, reason });
        }
        check_domain((ETA_MIN..=ETA_MAX).contains(&self.eta), "eta", "in [0.501, 0.999]", self.eta)?;
        check_domain((0.0..=1.0).contains(&self.eta_rate), "eta_rate", "in [0, 1]", self.eta_rate)?;
        Ok(EmRobust { config: self.clone(), base })
    }
}

/// An objective whose labels are right with an estimated probability.
///
/// ```text
/// E-step:  w = σ(log η/(1 − η) + f(−h) − f(h)),  detached
/// M-step:  loss = w f(h) + (1 − w) f(−h)
/// η ← (1 − κ) η + κ mean(w),  in [0.501, 0.999]
/// ```
///
/// The gradient is that of `−log(η e^{−f(h)} + (1 − η) e^{−f(−h)})`. Rewards are the base's; logs
/// `em_robust/label_probs`, the mean of `w`. Label probabilities of the batch are refused: they are what is estimated.
/// Scales of the batch are no evidence and are left out of the E-step; a weighting of the base's own is part of its `f`.
///
/// # Example
/// ```
/// use accordant_objectives::pairwise::{PairBatch, PairLogps, PairwiseObjective};
/// use accordant_objectives::pairwise::{dpo::DpoConfig, em_robust::EmRobustConfig};
/// use accordant_objectives::SequenceLogps;
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let one = |x: f32| Tensor::<1>::from_floats([x], &device);
/// let pairs = PairLogps::new(SequenceLogps::new(one(-6.0), one(2.0))?, SequenceLogps::new(one(-8.0), one(2.0))?)?;
/// let batch = PairBatch::new(pairs.clone()).with_reference(pairs)?;
/// // h = 0: nothing speaks against a label, so w = η.
/// let output = EmRobustConfig::new().init(Box::new(DpoConfig::new().init()?))?.forward(&batch)?;
/// assert!((output.means().mean("em_robust/label_probs").unwrap() - 0.9).abs() < 1e-6);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[derive(Debug)]
pub struct EmRobust {
    config: EmRobustConfig,
    base: Box<dyn PairwiseObjective>,
}

impl EmRobust {
    /// The outputs under right and under wrong labels, and the probability of the former, `[n]`.
    fn estimate(&self, state: &State, batch: &PairBatch) -> Result<(PairOutput, PairOutput, Tensor<1>)> {
        batch.refuse("em_robust", &["label_probs"], "it estimates them")?;
        // A factor of the loss says nothing about the label.
        let unscaled = PairBatch { scales: None, ..batch.clone().with_state(state.scoped("base")) };
        let under = |label_prob: f64| {
            let label_probs = batch.policy().chosen.sum.ones_like() * label_prob;
            self.base.forward(&unscaled.clone().with_label_probs(label_probs)?)
        };
        let (right, wrong) = (under(1.0)?, under(0.0)?);
        let eta = self.etas(state, batch)?;
        let label_probs = right_label_probs(right.losses.clone(), wrong.losses.clone(), eta);
        Ok((right, wrong, label_probs))
    }

    /// η of each pair, `[n]`.
    fn etas(&self, state: &State, batch: &PairBatch) -> Result<Tensor<1>> {
        let sum = &batch.policy().chosen.sum;
        let known = |name: &str| state.get(name).unwrap_or(self.config.eta);
        let etas: Vec<f64> = self.names(batch)?.iter().map(|name| known(name)).collect();
        let shape = [etas.len()];
        Ok(Tensor::from_data(TensorData::new(etas, shape), (&sum.device(), sum.dtype())))
    }

    /// The name under which each pair's η is carried.
    fn names(&self, batch: &PairBatch) -> Result<Vec<String>> {
        if !self.config.per_annotator {
            return Ok(vec![ETA.to_owned(); batch.len()]);
        }
        let annotators = numbers(batch.column(ANNOTATORS, "em_robust")?);
        Ok(annotators.iter().map(|annotator| format!("{ETA}/{annotator}")).collect())
    }
}

const ETA: &str = "eta";

fn numbers(tensor: Tensor<1>) -> Vec<f64> {
    tensor.try_to_vec_as::<f64>().expect("any number converts to f64")
}

/// `em_robust` by name.
pub const METHOD: Method = Method {
    name: "em_robust",
    title: "Robust preference optimization by expectation maximization",
    build: |options| {
        let (base, config) = from_options("em_robust", options, EmRobustConfig::new())?;
        Ok(Box::new(config.init(base)?))
    },
};

impl PairwiseObjective for EmRobust {
    fn needs_reference(&self) -> bool {
        self.base.needs_reference()
    }

    fn columns(&self) -> Vec<Column> {
        merged(self.base.columns(), self.config.per_annotator.then_some(ANNOTATORS))
    }

    fn extras(&self) -> Vec<Extra> {
        self.base.extras()
    }

    fn terms(&self) -> Vec<Term> {
        self.base.terms()
    }

    fn uses_batch_statistics(&self) -> bool {
        // Through η, which moves with the batch.
        self.config.eta_rate > 0.0 || self.base.uses_batch_statistics()
    }

    fn observe(&self, state: &mut State, batch: &PairBatch) -> Result<()> {
        let mut of_base = state.scoped("base");
        self.base.observe(&mut of_base, batch)?;
        state.set_scoped("base", of_base);
        let (_, _, label_probs) = self.estimate(state, batch)?;
        let mut sums = BTreeMap::<_, (f64, f64)>::new();
        let pairs = numbers(label_probs).into_iter().zip(numbers(batch.weights()));
        for (name, (label_prob, weight)) in self.names(batch)?.into_iter().zip(pairs) {
            if weight > 0.0 {
                let (sum, total) = sums.entry(name).or_default();
                *sum += weight * label_prob;
                *total += weight;
            }
        }
        let EmRobustConfig { eta, eta_rate, .. } = self.config;
        for (name, (sum, total)) in sums {
            let old = state.get(&name).unwrap_or(eta);
            let new = (1.0 - eta_rate) * old + eta_rate * sum / total;
            state.set(&name, new.clamp(ETA_MIN, ETA_MAX));
        }
        Ok(())
    }

    fn forward(&self, batch: &PairBatch) -> Result<PairOutput> {
        let (right, wrong, label_probs) = self.estimate(batch.state(), batch)?;
        let mut output = right;
        let doubt = -label_probs.clone() + 1.0;
        output.losses = label_probs.clone() * output.losses + doubt * wrong.losses;
        if let Some(scales) = batch.scales() {
            output.losses = output.losses * scales.clone();
        }
        output.with_metric("em_robust/label_probs", label_probs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Options;
    use crate::pairwise::{
        Composed, Length, PairLogps, Score, build,
        dpo::DpoConfig,
        hinge::HingeLoss,
        tests::{column, grad_of_policy, spec_batch, tensor},
    };

    fn em(config: EmRobustConfig) -> EmRobust {
        config.init(dpo()).unwrap()
    }

    fn dpo() -> Box<dyn PairwiseObjective> {
        Box::new(DpoConfig::new().init().unwrap())
    }

    fn loss(objective: &dyn PairwiseObjective, batch: &PairBatch) -> f64 {
        column(&objective.forward(batch).unwrap().losses)[0]
    }

    fn s(x: f64) -> f64 {
        1.0 / (1.0 + (-x).exp())
    }

    /// DPO's weight at the specification's pair.
    const W: f64 = 0.9127133692;

    /// Pairs whose log-ratios differ by `ratios`, with 10 and 1 for `beta`; policy = reference otherwise.
    fn pairs(ratios: &[f64]) -> PairBatch {
        let ones = vec![1.0; ratios.len()];
        let side = |sums: &[f64]| accordant_ops::SequenceLogps::new(tensor(sums), tensor(&ones)).unwrap();
        let none = vec![0.0; ratios.len()];
        let policy = PairLogps::new(side(ratios), side(&none)).unwrap();
        let reference = PairLogps::new(side(&none), side(&none)).unwrap();
        PairBatch::new(policy).with_reference(reference).unwrap().with_betas(tensor(&ones)).unwrap()
    }

    #[test]
    fn values_by_hand() {
        let output = em(EmRobustConfig::new()).forward(&spec_batch()).unwrap();
        // w = σ(ln 9 + 0.15), and w · 0.6209570 + (1 − w) · 0.7709570.
        assert!((column(&output.losses)[0] - 0.6340500424).abs() < 1e-10);
        assert!((output.means().mean("em_robust/label_probs").unwrap() - W).abs() < 1e-10);
        assert!((column(&output.chosen_rewards)[0] - 0.1).abs() < 1e-15, "DPO's");
    }

    #[test]
    fn the_gradient_is_that_of_the_marginal_likelihood() {
        // −log(η σ(h) + (1 − η) σ(−h)): derivative by d_w, with p = σ(h).
        let p = s(0.15);
        let expected = -0.1 * (0.9 - 0.1) * p * (1.0 - p) / (0.9 * p + 0.1 * (1.0 - p));
        let (chosen, rejected) = grad_of_policy(&spec_batch(), &em(EmRobustConfig::new()));
        assert!((chosen[0] - expected).abs() < 1e-12, "{chosen:?}");
        assert!((rejected[0] + expected).abs() < 1e-12, "{rejected:?}");
    }

    #[test]
    fn trust_grows_with_the_margin_and_is_eta_at_zero() {
        let w = |h: f64| {
            let output = em(EmRobustConfig::new()).forward(&pairs(&[h])).unwrap();
            column(output.metric("em_robust/label_probs").unwrap().0)[0]
        };
        assert!((w(0.0) - 0.9).abs() < 1e-12 && w(0.1) > 0.9 && w(-0.1) < 0.9);
        assert!((w(-(9f64.ln())) - 0.5).abs() < 1e-12);
    }

    #[test]
    fn a_share_near_one_is_the_base() {
        let sure = em(EmRobustConfig::new().with_eta(0.999));
        let dpo = DpoConfig::new().init().unwrap();
        assert!((loss(&sure, &spec_batch()) - loss(&dpo, &spec_batch())).abs() < 2e-4);
    }

    #[test]
    fn any_base_that_takes_label_probabilities_will_do() {
        // IPO: f(−h) − f(h) = 4 h/(2τ) with h = 0.141667 per token.
        let h = 0.1 + 0.5 / 12.0;
        let ipo = build("em_robust", &Options::new().with("base", "ipo")).unwrap();
        let (right, wrong) = ((h - 5.0f64).powi(2), (-h - 5.0f64).powi(2));
        let w = s(9f64.ln() + wrong - right);
        assert!((loss(&*ipo, &spec_batch()) - (w * right + (1.0 - w) * wrong)).abs() < 1e-10);
        // Settings of the base, and a base without a reference.
        let simpo = Options::new().with("base", "simpo").with("base.gamma_beta_ratio", 0);
        let simpo = build("em_robust", &simpo).unwrap();
        assert!(!simpo.needs_reference() && em(EmRobustConfig::new()).needs_reference());
        // h = 2 · 0.05
        let w = s(9f64.ln() + 0.1);
        let expected = (-0.1f64).exp().ln_1p() + (1.0 - w) * 0.1;
        assert!((loss(&*simpo, &spec_batch()) - expected).abs() < 1e-12);
        // A composed one: hinge, 0.85 and 1.15.
        let hinge = Composed::new(Score::LogRatio(Length::Sum), 0.1, HingeLoss).unwrap();
        let hinge = EmRobustConfig::new().init(Box::new(hinge)).unwrap();
        let w = s(9f64.ln() + 0.3);
        assert!((loss(&hinge, &spec_batch()) - (w * 0.85 + (1.0 - w) * 1.15)).abs() < 1e-12);
        let error =
            build("em_robust", &Options::new().with("base", "sft")).unwrap().forward(&spec_batch()).unwrap_err();
        assert!(error.to_string().starts_with("`sft` cannot take `label_probs`"), "{error}");
    }

    #[test]
    fn margins_count_and_scales_are_no_evidence() {
        // h − 0.15 = 0: w = η, and ln 2 on either side.
        let batch = spec_batch().with_margins(tensor(&[0.15])).unwrap();
        assert!((loss(&em(EmRobustConfig::new()), &batch) - 2f64.ln()).abs() < 1e-12);
        let batch = spec_batch().with_scales(tensor(&[3.0])).unwrap();
        assert!((loss(&em(EmRobustConfig::new()), &batch) - 3.0 * 0.6340500424).abs() < 1e-9);
        let error = em(EmRobustConfig::new()).forward(&spec_batch().with_label_probs(tensor(&[0.9])).unwrap());
        assert_eq!(error.unwrap_err().to_string(), "`em_robust` cannot take `label_probs`: it estimates them");
    }

    #[test]
    fn eta_moves_towards_the_mean_and_is_used_from_then_on() {
        let robust = em(EmRobustConfig::new().with_eta_rate(0.25));
        let mut state = State::default();
        // w = 0.9 and 0.5, with weights 3 and 1: mean 0.8.
        let batch = pairs(&[0.0, -(9f64.ln()), 5.0]).with_weights(tensor(&[3.0, 1.0, 0.0])).unwrap();
        robust.observe(&mut state, &batch).unwrap();
        let eta = 0.75 * 0.9 + 0.25 * 0.8;
        assert!((state.get("eta").unwrap() - eta).abs() < 1e-12);
        let output = robust.forward(&pairs(&[0.0]).with_state(state.clone())).unwrap();
        assert!((column(output.metric("em_robust/label_probs").unwrap().0)[0] - eta).abs() < 1e-12);
        // The next step starts from there: w = η at h = 0.
        robust.observe(&mut state, &pairs(&[0.0])).unwrap();
        assert!((state.get("eta").unwrap() - eta).abs() < 1e-12);
        let before = state.clone();
        robust.observe(&mut state, &pairs(&[1.0]).with_weights(tensor(&[0.0])).unwrap()).unwrap();
        assert_eq!(state, before, "no pair, no change");
    }

    #[test]
    fn eta_stays_in_its_range() {
        for (ratio, bound) in [(-50.0, 0.501), (50.0, 0.999)] {
            let mut state = State::default();
            em(EmRobustConfig::new().with_eta_rate(1.0)).observe(&mut state, &pairs(&[ratio])).unwrap();
            assert_eq!(state.get("eta"), Some(bound));
        }
    }

    #[test]
    fn a_calibrated_model_keeps_eta() {
        // Of pairs with P(chosen is better) = σ(h), seen with labels that are right with probability η, the share
        // η σ(h) + (1 − η) σ(−h) shows h and the rest −h.
        let (eta, h) = (0.9, 1.3);
        let seen = eta * s(h) + (1.0 - eta) * s(-h);
        let batch = pairs(&[h, -h]).with_weights(tensor(&[seen, 1.0 - seen])).unwrap();
        let mut state = State::default();
        em(EmRobustConfig::new().with_eta_rate(1.0)).observe(&mut state, &batch).unwrap();
        assert!((state.get("eta").unwrap() - eta).abs() < 1e-12);
    }

    #[test]
    fn annotators_are_trusted_one_by_one() {
        let robust = em(EmRobustConfig::new().with_per_annotator(true).with_eta_rate(1.0));
        assert_eq!(robust.columns(), [ANNOTATORS]);
        assert_eq!(em(EmRobustConfig::new()).columns(), []);
        let by = |ids: &[f64], ratios: &[f64]| pairs(ratios).with_column(ANNOTATORS, tensor(ids)).unwrap();
        let mut state = State::default();
        robust.observe(&mut state, &by(&[7.0, 2.0, 7.0], &[0.0, -(6f64.ln()), 0.0])).unwrap();
        assert!((state.get("eta/7").unwrap() - 0.9).abs() < 1e-12);
        // Odds of 9 : 6.
        assert!((state.get("eta/2").unwrap() - 0.6).abs() < 1e-12);
        assert_eq!(state.get("eta"), None);
        let output = robust.forward(&by(&[2.0, 7.0, 3.0], &[0.0; 3]).with_state(state)).unwrap();
        let trust = column(output.metric("em_robust/label_probs").unwrap().0);
        for (trust, expected) in trust.iter().zip([0.6, 0.9, 0.9]) {
            assert!((trust - expected).abs() < 1e-12, "{trust}, {expected}; a new one is trusted like all at first");
        }
        let error = robust.forward(&spec_batch()).unwrap_err().to_string();
        assert!(error.starts_with("`em_robust` needs `annotators`"), "{error}");
    }

    #[test]
    fn the_base_carries_its_own_numbers() {
        let madpo = Options::new().with("base", "madpo");
        let robust = build("em_robust", &madpo).unwrap();
        let gaps = crate::pairwise::columns::REWARD_GAPS;
        assert_eq!(robust.columns(), [gaps]);
        let batch = spec_batch().with_column(gaps, tensor(&[0.5])).unwrap();
        let mut state = State::default();
        robust.observe(&mut state, &batch).unwrap();
        assert_eq!(state.get("base/madpo/reward_gap_mean"), Some(0.5));
        let output = robust.forward(&batch.with_state(state)).unwrap();
        assert_eq!(output.means().mean("madpo/weight"), Some(1.0));
        let tpo = build("em_robust", &Options::new().with("base", "tpo")).unwrap();
        assert_eq!(tpo.extras(), build("tpo", &Options::new()).unwrap().extras());
        assert_eq!(robust.extras(), []);
        let degree = build("em_robust", &Options::new().with("base", "spo_degree")).unwrap();
        assert_eq!(degree.terms(), build("spo_degree", &Options::new()).unwrap().terms());
        assert_eq!(degree.terms().len(), 1);
    }

    #[test]
    fn senseless_settings_are_refused_by_name() {
        let config = EmRobustConfig::new();
        assert_eq!((config.eta, config.eta_rate, config.per_annotator), (0.9, 0.1, false));
        for eta in [0.5, 0.5009, 0.9991, 1.0, f64::NAN] {
            let error = EmRobustConfig::new().with_eta(eta).init(dpo()).unwrap_err().to_string();
            assert_eq!(error, format!("`eta`: expected in [0.501, 0.999], got {eta}"));
        }
        for rate in [-0.1, 1.1, f64::NAN] {
            let error = EmRobustConfig::new().with_eta_rate(rate).init(dpo()).unwrap_err().to_string();
            assert_eq!(error, format!("`eta_rate`: expected in [0, 1], got {rate}"));
        }
        assert!(em(config).uses_batch_statistics());
        assert!(!em(EmRobustConfig::new().with_eta_rate(0.0)).uses_batch_statistics());
    }

    #[test]
    fn a_base_that_needs_label_probabilities_is_refused() {
        for base in ["irepo", "osp"] {
            let error = build("em_robust", &Options::new().with("base", base)).unwrap_err().to_string();
            assert!(error.starts_with("`em_robust` cannot take `label_probs`: a base that"), "{error}");
        }
    }

    accordant_laws::pairwise_laws!(
        em_robust_obeys_the_laws,
        "em_robust",
        em(EmRobustConfig::new().with_eta_rate(0.0)),
        [],
        [ShiftInvariant, AtReference(2f64.ln()), LowerBound(0.0), MarginShifts { beta: 0.1 }, NoHook("label_probs")],
        except "finite differences" because "the estimated label probabilities are constants of the gradient",
        except "finite differences, token by token" because "the same"
    );

    accordant_laws::pairwise_laws!(
        em_robust_by_annotator_obeys_the_laws,
        "em_robust by annotator",
        em(EmRobustConfig::new().with_per_annotator(true)),
        ["annotators" => Id(3)],
        [BatchStatistics, LowerBound(0.0), NoHook("label_probs")],
        except "finite differences" because "the estimated label probabilities are constants of the gradient",
        except "finite differences, token by token" because "the same"
    );
}
