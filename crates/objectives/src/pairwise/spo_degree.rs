//! Self-supervised preference optimization (SPO): awareness of degrees, a wrapper of any pairwise method.
//!
//! **Paper:** Self-supervised Preference Optimization: Enhance Your Language Model with Preference Degree Awareness
//! (2024), 2409.17791.
//! **Status:** our reading of the abstract; the authors' code is not public. Not to be taken for their loss.
//! **Use when:** the policy should tell how much of a response's key content is missing, not only which of two is better.
//! **Checked by:** the laws, hand-worked values and gradients, the limits `gamma = 0` and a head of zeros (ln C).
//! **Deviations:** defaults are ours.

use accordant_ops::{Error, check_domain, check_shape, stable};
use burn::{
    config::Config,
    tensor::{DType, FloatDType, Int, Tensor, TensorData},
};

use super::{
    Extra, Method, PairBatch, PairOutput, PairwiseObjective, Term,
    wrapped::{from_options, merged},
};
use crate::{Result, State, side::Column};

/// What [`degree_losses`] gives.
pub const DEGREE_LOSSES: Term =
    Term { name: "degree_losses", meaning: "cross entropies of the degree head, summed over both responses" };

/// Cross entropies of a head that names the degree `k` to which both responses of a pair were stripped, summed over the
/// two, one per pair.
///
/// ```text
/// loss = CE(g(e_w^k), k) + CE(g(e_l^k), k),   CE(z, k) = log Σ_c exp(z_c) − z_k
/// ```
///
/// `e^k` is a hidden state (mean or last) of a copy of the response with `k` of its key pieces of content removed, and
/// `g` a linear head on it with one output for each degree; `k` is drawn for each pair. Computed by the caller, who has
/// the hidden states and the head, and handed over as [`DEGREE_LOSSES`]; gradients reach both.
///
/// # Shapes
/// `chosen_logits` and `rejected_logits`: `[n, C]`; `degrees`: `n` numbers below `C`; the result: `[n]`, in nats, in f32
/// (f64 for f64 `chosen_logits`). A head of zeros gives `2 ln C`.
///
/// # Errors
/// A shape error naming the argument; a domain error naming `degrees` for one that the head does not have.
///
/// # Example
/// ```
/// use accordant_objectives::pairwise::spo_degree::degree_losses;
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let chosen = Tensor::from_floats([[0.0, 3f32.ln()]], &device);
/// let losses = degree_losses(chosen, Tensor::zeros([1, 2], &device), &[1])?;
/// // −ln 3/4 and −ln 1/2.
/// assert!((losses.into_scalar::<f32>() - (8f32 / 3.0).ln()).abs() < 1e-6);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2409.17791")]
#[doc(alias = "Preference Degree Awareness")]
pub fn degree_losses(chosen_logits: Tensor<2>, rejected_logits: Tensor<2>, degrees: &[usize]) -> Result<Tensor<1>> {
    let [pairs, classes] = chosen_logits.dims();
    check_shape("rejected_logits", &[pairs, classes], &rejected_logits.dims())?;
    check_shape("degrees", &[pairs], &[degrees.len()])?;
    if let Some(&degree) = degrees.iter().find(|&&degree| degree >= classes) {
        let expected = "below the number of the head's outputs";
        return Err(Error::Domain { name: "degrees", expected, got: degree as f64 }.into());
    }
    let ids: Vec<i64> = degrees.iter().map(|&degree| degree as i64).collect();
    let ids = Tensor::<2, Int>::from_data(TensorData::new(ids, [pairs, 1]), &chosen_logits.device());
    // The losses join sequence log-probabilities, which are f32 or f64.
    let dtype = if chosen_logits.dtype() == DType::F64 { FloatDType::F64 } else { FloatDType::F32 };
    let cross_entropy = |logits: Tensor<2>| {
        (stable::log_sum_exp(logits.clone(), 1) - logits.gather(1, ids.clone())).squeeze_dim::<1>(1)
    };
    Ok(cross_entropy(chosen_logits.cast(dtype)) + cross_entropy(rejected_logits.cast(dtype)))
}

/// Configuration of [`SpoDegree`].
#[derive(Config, Debug, PartialEq)]
pub struct SpoDegreeConfig {
    /// Weight γ of the cross entropies, finite and ≥ 0; with 0 none are read. 0.1: ours.
    #[config(default = 0.1)]
    pub gamma: f64,
}

impl SpoDegreeConfig {
    /// Checks the fields and wraps `base`.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self, base: Box<dyn PairwiseObjective>) -> Result<SpoDegree> {
        check_domain(self.gamma.is_finite() && self.gamma >= 0.0, "gamma", "finite and >= 0", self.gamma)?;
        Ok(SpoDegree { config: self.clone(), base })
    }
}

/// A pairwise method with [`degree_losses`] beside it: `L_pair + γ · degree_losses`.
///
/// Label probabilities, margins and betas concern the wrapped method only, whose rewards and metrics are reported; the
/// mean of the cross entropies is logged as `degree_loss`.
#[derive(Debug)]
pub struct SpoDegree {
    config: SpoDegreeConfig,
    base: Box<dyn PairwiseObjective>,
}

/// `spo_degree` by name. The option `base` names the wrapped method, `dpo` without it; `base.x` is its option `x`.
pub const METHOD: Method = Method {
    name: "spo_degree",
    title: "Self-supervised preference optimization (awareness of degrees)",
    build: |options| {
        let (base, config) = from_options("spo_degree", options, SpoDegreeConfig::new())?;
        Ok(Box::new(config.init(base)?))
    },
};

impl PairwiseObjective for SpoDegree {
    fn needs_reference(&self) -> bool {
        self.base.needs_reference()
    }

    fn columns(&self) -> Vec<Column> {
        self.base.columns()
    }

    fn extras(&self) -> Vec<Extra> {
        self.base.extras()
    }

    fn terms(&self) -> Vec<Term> {
        merged(self.base.terms(), (self.config.gamma > 0.0).then_some(DEGREE_LOSSES))
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
        let losses = batch.term(DEGREE_LOSSES, "spo_degree")?.clone();
        output.with_added(batch, losses.clone() * self.config.gamma)?.with_metric("degree_loss", losses)
    }
}

#[cfg(test)]
mod tests {
    use accordant_laws::{Property, Range, Subject, Tensors, laws};
    use burn::tensor::Device;

    use super::*;
    use crate::{
        Options,
        pairwise::{
            build,
            dpo::DpoConfig,
            tests::{STUB_TERM, Stub, column, evaluated, spec_batch, tensor},
        },
    };

    fn spo(gamma: f64) -> SpoDegree {
        SpoDegreeConfig::new().with_gamma(gamma).init(Box::new(DpoConfig::new().init().unwrap())).unwrap()
    }

    fn logits(values: &[f64], classes: usize) -> Tensor<2> {
        let data = TensorData::new(values.to_vec(), [values.len() / classes, classes]);
        Tensor::from_data(data, (&Device::flex(), DType::F64))
    }

    #[test]
    fn cross_entropies_and_their_gradients_by_hand() {
        // Softmax of (0, ln 3) is (1/4, 3/4), of (ln 4, 0) it is (4/5, 1/5).
        let chosen = logits(&[0.0, 3f64.ln(), 4f64.ln(), 0.0], 2).autodiff().require_grad();
        let rejected = logits(&[4f64.ln(), 0.0, 0.0, 3f64.ln()], 2).autodiff().require_grad();
        let losses = degree_losses(chosen.clone(), rejected.clone(), &[1, 0]).unwrap();
        let values = column(&losses);
        assert!((values[0] + (0.75f64 * 0.2).ln()).abs() < 1e-14 && (values[1] + (0.8f64 * 0.25).ln()).abs() < 1e-14);
        let grads = losses.sum().backward();
        let grad = |leaf: &Tensor<2>| leaf.grad(&grads).unwrap().try_to_vec_as::<f64>().unwrap();
        for (got, expected) in [(grad(&chosen), [0.25, -0.25, -0.2, 0.2]), (grad(&rejected), [0.8, -0.8, -0.75, 0.75])]
        {
            for (got, expected) in got.iter().zip(expected) {
                assert!((got - expected).abs() < 1e-14, "{got} {expected}");
            }
        }
    }

    #[test]
    fn a_head_of_zeros_gives_twice_ln_c_and_extremes_stay_finite() {
        let zeros = logits(&[0.0; 6], 3);
        for value in column(&degree_losses(zeros.clone(), zeros, &[0, 2]).unwrap()) {
            assert!((value - 2.0 * 3f64.ln()).abs() < 1e-14);
        }
        let far = logits(&[1e4, -1e4], 2);
        assert_eq!(column(&degree_losses(far.clone(), far, &[1]).unwrap()), [4e4]);
    }

    #[test]
    fn a_head_in_half_precision_and_a_batch_of_nothing() {
        let half = logits(&[0.0, 0.0], 2).cast(FloatDType::BF16);
        let losses = degree_losses(half.clone(), half, &[0]).unwrap();
        assert_eq!(losses.dtype(), DType::F32);
        assert!((column(&losses)[0] - 2.0 * std::f64::consts::LN_2).abs() < 1e-6);
        let none = Tensor::<2>::zeros([0, 3], (&Device::flex(), DType::F64));
        assert_eq!(degree_losses(none.clone(), none, &[]).unwrap().dims(), [0]);
    }

    #[test]
    fn what_does_not_fit_is_an_error_that_names_it() {
        let one = || logits(&[0.0, 0.0], 2);
        let fail = |rejected, degrees: &[usize]| degree_losses(one(), rejected, degrees).unwrap_err().to_string();
        assert_eq!(fail(logits(&[0.0; 3], 3), &[0]), "`rejected_logits`: expected shape [1, 2], got [1, 3]");
        assert_eq!(fail(one(), &[0, 1]), "`degrees`: expected shape [1], got [2]");
        assert_eq!(fail(one(), &[2]), "`degrees`: expected below the number of the head's outputs, got 2");
    }

    #[test]
    fn the_term_is_added_and_carries_its_gradient() {
        let leaf = tensor(&[2.0]).autodiff().require_grad();
        let batch = spec_batch().lifted().with_term(DEGREE_LOSSES, leaf.clone()).unwrap();
        let batch = batch.with_scales(tensor(&[0.5])).unwrap();
        let output = SpoDegreeConfig::new().init(Box::new(DpoConfig::new().init().unwrap())).unwrap();
        let output = output.forward(&batch).unwrap();
        // 0.1 by default: half of DPO's 0.6209570478 and 0.1 · 2.
        assert!((column(&output.losses)[0] - 0.5 * 0.8209570478).abs() < 1e-10);
        assert_eq!(output.means().mean("degree_loss"), Some(2.0));
        let grads = output.losses.sum().backward();
        assert_eq!(column(&leaf.grad(&grads).unwrap()), [0.05]);
    }

    #[test]
    fn gamma_0_is_the_base_and_reads_no_term() {
        let base = DpoConfig::new().init().unwrap().forward(&spec_batch()).unwrap();
        assert_eq!(column(&spo(0.0).forward(&spec_batch()).unwrap().losses), column(&base.losses));
        assert_eq!((spo(0.0).terms(), spo(0.1).terms()), (vec![], vec![DEGREE_LOSSES]));
        let error = spo(0.1).forward(&spec_batch()).unwrap_err().to_string();
        assert!(error.starts_with("`spo_degree` needs `degree_losses` (cross entropies"), "{error}");
    }

    #[test]
    fn what_the_base_declares_is_declared() {
        let wrapped = SpoDegreeConfig::new().init(Box::new(Stub)).unwrap();
        assert_eq!(wrapped.terms(), [STUB_TERM, DEGREE_LOSSES]);
        assert_eq!((wrapped.columns(), wrapped.extras()), (Stub.columns(), Stub.extras()));
        assert!(wrapped.uses_batch_statistics() && !wrapped.needs_reference());
        assert!(!spo(1.0).uses_batch_statistics() && spo(1.0).needs_reference());
        let mut state = State::default();
        wrapped.observe(&mut state, &spec_batch()).unwrap();
        assert_eq!(state.get("batches"), Some(1.0));
    }

    #[test]
    fn by_name_the_base_is_dpo_unless_it_is_named() {
        let batch = spec_batch().with_term(DEGREE_LOSSES, tensor(&[2.0])).unwrap();
        let loss =
            |options: &Options| column(&build("spo_degree", options).unwrap().forward(&batch).unwrap().losses)[0];
        assert!((loss(&Options::new()) - 0.8209570478).abs() < 1e-10);
        assert!((loss(&Options::new().with("base", "hinge").with("gamma", 1)) - 2.85).abs() < 1e-12);
    }

    #[test]
    fn senseless_settings_are_refused_by_name() {
        for gamma in [-0.1, f64::NAN, f64::INFINITY] {
            let error = SpoDegreeConfig::new().with_gamma(gamma).init(Box::new(Stub)).unwrap_err().to_string();
            assert_eq!(error, format!("`gamma`: expected finite and >= 0, got {gamma}"));
        }
    }

    #[test]
    fn no_pairs_have_no_losses() {
        for classes in [0, 3] {
            let none = || Tensor::<2>::zeros([0, classes], &Device::flex());
            assert_eq!(degree_losses(none(), none(), &[]).unwrap().dims(), [0]);
        }
    }

    laws!(
        laws_hold,
        Subject::pairwise("spo_degree", &|t: &Tensors| evaluated(&spo(0.1), t, &[]))
            .on(Device::flex())
            .column("degree_losses", Range::NonNegative(3.0))
            .except("constants", "the term carries a gradient")
            .declare(Property::LabelProbMixes)
            .declare(Property::ShiftInvariant)
            .declare(Property::DecreasingInChosen)
            .declare(Property::IncreasingInRejected)
            .declare(Property::ConvexInMargin)
            .declare(Property::SwapDifference(0.1))
            .declare(Property::LowerBound(0.0))
    );
}
