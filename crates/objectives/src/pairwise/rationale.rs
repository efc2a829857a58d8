//! Rationale-augmented preference optimization, a wrapper of any pairwise method.
//!
//! **Paper:** Data-Centric Human Preference Optimization with Rationales (2024), 2407.14477; later versions are titled
//! Data-Centric Human Preference with Rationales for Direct Preference Alignment.
//! **Use when:** each preference comes with a text that explains it, written by a person or a judge.
//! **Checked by:** the laws, hand-worked values and gradients, the limit `gamma = 0`.
//! **Deviations:** none. The likelihood term is a mean over **all** rationale tokens of the step.

use accordant_ops::check_domain;
use burn::config::Config;

use super::{
    Extra, Method, PairBatch, PairOutput, PairwiseObjective, Term,
    sft::with_extra_nll,
    wrapped::{from_options, merged},
};
use crate::{Result, State, side::Column};

/// The text that explains a preference.
pub const RATIONALE: Extra = Extra {
    name: "rationale",
    meaning: "an explanation of the preference, given the prompt and both responses",
    needs_reference: false,
};

/// Configuration of [`Rationale`].
#[derive(Config, Debug, PartialEq)]
pub struct RationaleConfig {
    /// Weight γ of the rationale's negative log-likelihood, finite and ≥ 0; with 0 no rationale is read. 1.0: the lower
    /// end of the paper's 1 to 2.
    #[config(default = 1.0)]
    pub gamma: f64,
}

impl RationaleConfig {
    /// Checks the fields and wraps `base`.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self, base: Box<dyn PairwiseObjective>) -> Result<Rationale> {
        check_domain(self.gamma.is_finite() && self.gamma >= 0.0, "gamma", "finite and >= 0", self.gamma)?;
        Ok(Rationale { config: self.clone(), base })
    }
}

/// A pairwise method that learns to explain the preference too.
///
/// ```text
/// loss = L_pair + γ · NLL(rationale | x, y_w, y_l)
/// ```
///
/// The likelihood is a mean over tokens; a pair without a rationale adds nothing to it. Label probabilities, margins and
/// betas concern the wrapped method only, whose rewards and metrics are reported; `nll/rationale` is logged beside them.
///
/// # Example
/// ```
/// use accordant_objectives::SequenceLogps;
/// use accordant_objectives::pairwise::{PairBatch, PairLogps, PairwiseObjective, rationale::{RATIONALE, RationaleConfig}};
/// use accordant_objectives::pairwise::hinge::HingeConfig;
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let one = |x: f32| Tensor::<1>::from_floats([x], &device);
/// let logps = |sum, count| SequenceLogps::new(one(sum), one(count));
/// let pair = PairLogps::new(logps(-1.0, 1.0)?, logps(-2.0, 1.0)?)?;
/// let batch = PairBatch::new(pair.clone()).with_reference(pair)?.with_extra(RATIONALE, logps(-6.0, 4.0)?, None)?;
/// let objective = RationaleConfig::new().init(Box::new(HingeConfig::new().init()?))?;
/// // The hinge at h = 0 is 1, and six nats over four tokens are 1.5.
/// assert_eq!(objective.forward(&batch)?.losses.into_scalar::<f32>(), 2.5);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2407.14477")]
#[doc(alias = "Data-Centric Human Preference Optimization with Rationales")]
#[derive(Debug)]
pub struct Rationale {
    config: RationaleConfig,
    base: Box<dyn PairwiseObjective>,
}

/// `rationale` by name. The option `base` names the wrapped method, `dpo` without it; `base.x` is its option `x`.
pub const METHOD: Method = Method {
    name: "rationale",
    title: "Rationale-augmented preference optimization",
    build: |options| {
        let (base, config) = from_options("rationale", options, RationaleConfig::new())?;
        Ok(Box::new(config.init(base)?))
    },
};

impl PairwiseObjective for Rationale {
    fn needs_reference(&self) -> bool {
        self.base.needs_reference()
    }

    fn columns(&self) -> Vec<Column> {
        self.base.columns()
    }

    fn extras(&self) -> Vec<Extra> {
        merged(self.base.extras(), (self.config.gamma > 0.0).then_some(RATIONALE))
    }

    fn terms(&self) -> Vec<Term> {
        self.base.terms()
    }

    fn uses_batch_statistics(&self) -> bool {
        self.base.uses_batch_statistics()
    }

    fn observe(&self, state: &mut State, batch: &PairBatch) -> Result<()> {
        self.base.observe(state, batch)
    }

    fn forward(&self, batch: &PairBatch) -> Result<PairOutput> {
        let output = self.base.forward(batch)?;
        if self.config.gamma == 0.0 {
            return Ok(output);
        }
        with_extra_nll(output, batch, RATIONALE, self.config.gamma, "rationale", "nll/rationale")
    }
}

#[cfg(test)]
mod tests {
    use accordant_laws::{Property, Subject, Tensors, laws};
    use burn::tensor::Device;

    use super::*;
    use crate::{
        Options,
        pairwise::{
            build,
            dpo::DpoConfig,
            sft::PROMPT_AND_CHOSEN,
            tests::{Stub, column, evaluated, grad_of_policy, logps, spec_batch, tensor},
        },
    };

    fn rationale(gamma: f64) -> Rationale {
        RationaleConfig::new().with_gamma(gamma).init(Box::new(DpoConfig::new().init().unwrap())).unwrap()
    }

    fn batch() -> PairBatch {
        spec_batch().with_extra(RATIONALE, logps(&[-6.0], &[4.0]), None).unwrap()
    }

    #[test]
    fn value_and_gradient_by_hand() {
        // DPO's 0.6209570478 and 2 · 6/4.
        let output = rationale(2.0).forward(&batch()).unwrap();
        assert!((column(&output.losses)[0] - 3.6209570478).abs() < 1e-10);
        assert_eq!(output.means().mean("nll/rationale"), Some(1.5));
        let (chosen, rejected) = grad_of_policy(&batch(), &rationale(2.0));
        assert!((chosen[0] + 0.0462570155).abs() < 1e-10 && (rejected[0] - 0.0462570155).abs() < 1e-10);

        let leaf = tensor(&[-6.0]).autodiff().require_grad();
        let explained = accordant_ops::SequenceLogps::new(leaf.clone(), tensor(&[4.0]).autodiff()).unwrap();
        let batch = spec_batch().lifted().with_extra(RATIONALE, explained, None).unwrap();
        let grads = rationale(2.0).forward(&batch).unwrap().losses.sum().backward();
        assert_eq!(column(&leaf.grad(&grads).unwrap()), [-0.5], "-γ/n");
    }

    #[test]
    fn the_mean_runs_over_all_tokens_and_a_missing_rationale_adds_none() {
        let pair = |x: f64| logps(&[x, x], &[1.0, 1.0]);
        let pairs = crate::pairwise::PairLogps::new(pair(-1.0), pair(-2.0)).unwrap();
        let batch = PairBatch::new(pairs.clone()).with_reference(pairs).unwrap();
        let batch = batch.with_extra(RATIONALE, logps(&[-6.0, 0.0], &[4.0, 0.0]), None).unwrap();
        let output = rationale(1.0).forward(&batch).unwrap();
        // Six nats over four tokens, and each of the two pairs loses ln 2 besides.
        let loss = column(&output.reduce().unwrap().loss)[0];
        assert!((loss - 1.5 - std::f64::consts::LN_2).abs() < 1e-12, "{loss}");
        assert_eq!(column(&output.losses)[1], std::f64::consts::LN_2);
        assert_eq!(output.means().mean("nll/rationale"), Some(1.5));
    }

    #[test]
    fn gamma_0_is_the_base_and_reads_no_rationale() {
        let base = DpoConfig::new().init().unwrap().forward(&spec_batch()).unwrap();
        assert_eq!(column(&rationale(0.0).forward(&spec_batch()).unwrap().losses), column(&base.losses));
        assert_eq!((rationale(0.0).extras(), rationale(0.1).extras()), (vec![], vec![RATIONALE]));
        let error = rationale(0.1).forward(&spec_batch()).unwrap_err().to_string();
        assert!(error.starts_with("`rationale` needs `rationale` (an explanation"), "{error}");
    }

    #[test]
    fn scales_act_on_the_term_and_rewards_are_the_bases() {
        let scaled = batch().with_scales(tensor(&[0.5])).unwrap();
        let output = rationale(1.0).forward(&scaled).unwrap();
        assert!((column(&output.losses)[0] - 0.5 * 2.1209570478).abs() < 1e-10);
        assert!((column(&output.chosen_rewards)[0] - 0.1).abs() < 1e-15);
    }

    #[test]
    fn what_the_base_declares_is_declared() {
        let wrapped = RationaleConfig::new().init(Box::new(Stub)).unwrap();
        assert_eq!(wrapped.extras(), [PROMPT_AND_CHOSEN, RATIONALE]);
        assert_eq!((wrapped.columns(), wrapped.terms()), (Stub.columns(), Stub.terms()));
        assert!(wrapped.uses_batch_statistics() && !wrapped.needs_reference());
        assert!(!rationale(1.0).uses_batch_statistics() && rationale(1.0).needs_reference());
        let mut state = State::default();
        wrapped.observe(&mut state, &spec_batch()).unwrap();
        assert_eq!(state.get("batches"), Some(1.0));
    }

    #[test]
    fn by_name_the_base_is_dpo_unless_it_is_named() {
        let loss =
            |options: &Options| column(&build("rationale", options).unwrap().forward(&batch()).unwrap().losses)[0];
        assert!((loss(&Options::new()) - (0.6209570478 + 1.5)).abs() < 1e-10);
        let options = Options::new().with("base", "hinge").with("base.beta", 0.2).with("gamma", 2);
        assert!((loss(&options) - (0.7 + 3.0)).abs() < 1e-12);
    }

    #[test]
    fn senseless_settings_are_refused_by_name() {
        for gamma in [-0.1, f64::NAN, f64::INFINITY] {
            let error = RationaleConfig::new().with_gamma(gamma).init(Box::new(Stub)).unwrap_err().to_string();
            assert_eq!(error, format!("`gamma`: expected finite and >= 0, got {gamma}"));
        }
    }

    laws!(
        laws_hold,
        Subject::pairwise("rationale", &|t: &Tensors| evaluated(&rationale(1.0), t, &[0]))
            .on(Device::flex())
            .declare(Property::ShiftSensitive)
            .declare(Property::DecreasingInChosen)
            .declare(Property::IncreasingInRejected)
            .declare(Property::ConvexInMargin)
            .declare(Property::LowerBound(0.0))
    );
}
