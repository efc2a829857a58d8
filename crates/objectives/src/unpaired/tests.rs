//! What every unpaired method must do, and helpers for the methods' own tests.

use accordant_ops::{EmptyRows, SequenceLogps};
use burn::tensor::{DType, Device, FloatDType, TensorData};

use super::{
    batch::KlBaseline,
    mismatch::{mismatch_kl, rotate_by_one},
    *,
};
pub(crate) use crate::pairwise::tests::{column, tensor};
use crate::{Domain, Moments};

/// Summed log-probabilities and counts.
pub(crate) fn logps(sums: &[f64], counts: &[f64]) -> SequenceLogps {
    SequenceLogps::new(tensor(sums), tensor(counts)).expect("equal lengths")
}

/// Labels of responses.
pub(crate) fn labels(desirable: &[bool]) -> Tensor<1, Bool> {
    Tensor::from_bool(TensorData::from(desirable), &Device::flex())
}

/// Log-probabilities of two tokens a row, of which the first `counts` are scored.
pub(crate) fn tokens(rows: &[[f64; 2]], counts: &[usize]) -> TokenLogps {
    let flat: Vec<f64> = rows.iter().flatten().copied().collect();
    let mask: Vec<bool> = counts.iter().flat_map(|count| [*count > 0, *count > 1]).collect();
    let shape = [rows.len(), 2];
    let logps = Tensor::from_data(TensorData::new(flat, shape), (&Device::flex(), DType::F64));
    TokenLogps::new(logps, Tensor::from_bool(TensorData::new(mask, shape), &Device::flex())).expect("equal shapes")
}

/// The specification's two responses: a desirable one of log-ratio 1 and an undesirable one of −0.5.
pub(crate) fn spec_batch() -> SingleBatch {
    let batch = SingleBatch::new(logps(&[-12.0, -15.0], &[10.0, 12.0]), labels(&[true, false])).unwrap();
    batch.with_reference(logps(&[-13.0, -14.5], &[10.0, 12.0])).unwrap()
}

/// Five responses with tokens: an undesirable one at its reference, a desirable one without a scored token.
pub(crate) fn token_batch() -> SingleBatch {
    let counts = [2, 1, 0, 2, 2];
    let junk = f64::NAN;
    let policy = [[-1.0, -2.5], [-3.0, junk], [junk, junk], [-0.2, -0.7], [-2.0, -1.0]];
    let reference = [[-1.5, -2.0], [-3.0, junk], [junk, junk], [-0.9, -1.1], [-1.0, -0.5]];
    let batch = SingleBatch::from_tokens(tokens(&policy, &counts), labels(&[true, false, true, false, true])).unwrap();
    batch.with_reference_tokens(tokens(&reference, &counts)).unwrap()
}

/// [`token_batch`] with all that a method may read.
fn rich_batch() -> SingleBatch {
    token_batch()
        .with_kl_baseline(0.3)
        .and_then(|batch| batch.with_reference_kl(tensor(&[0.3, 0.1, 0.0, 0.7, 0.2])))
        .and_then(|batch| batch.with_weights(tensor(&[1.0, 2.0, 1.0, 0.5, 0.25])))
        .and_then(|batch| batch.with_label_probs(tensor(&[1.0, 0.9, 0.5, 0.7, 0.6])))
        .unwrap()
}

/// What is done to every tensor of a batch.
enum Change<'a> {
    /// On an autodiff device.
    Lift,
    /// These rows.
    Pick(&'a [i64]),
}

impl Change<'_> {
    fn float<const D: usize>(&self, tensor: &Tensor<D>) -> Tensor<D> {
        match self {
            Self::Lift => tensor.clone().autodiff(),
            Self::Pick(rows) => tensor.clone().select(0, Tensor::from_ints(TensorData::from(*rows), &Device::flex())),
        }
    }

    fn bool<const D: usize>(&self, tensor: &Tensor<D, Bool>) -> Tensor<D, Bool> {
        match self {
            Self::Lift => Tensor::from_bool(tensor.to_data(), &Device::flex().autodiff()),
            // burn 0.22.1 selects rows of a `Bool` as bytes, which its other operations do not take.
            Self::Pick(_) => self.float(&tensor.clone().float()).greater_scalar(0.5),
        }
    }

    fn side(&self, side: &SequenceLogps) -> SequenceLogps {
        SequenceLogps::new(self.float(&side.sum), self.float(&side.count)).unwrap()
    }

    fn batch(&self, batch: &SingleBatch) -> SingleBatch {
        let tokens =
            |tokens: &TokenLogps| TokenLogps { logps: self.float(&tokens.logps), mask: self.bool(&tokens.mask) };
        SingleBatch {
            policy: self.side(&batch.policy),
            reference: batch.reference.as_ref().map(|side| self.side(side)),
            desirable: self.bool(&batch.desirable),
            tokens: batch.tokens.as_ref().map(tokens),
            reference_tokens: batch.reference_tokens.as_ref().map(|tokens| self.float(tokens)),
            reference_kl: batch.reference_kl.as_ref().map(|kl| self.float(kl)),
            kl_baseline: batch.kl_baseline.as_ref().map(|baseline| match (self, baseline) {
                (Self::Lift, KlBaseline::Mismatched { policy, reference }) => {
                    let [policy, reference] = [policy, reference].map(|side| Box::new(self.side(side)));
                    KlBaseline::Mismatched { policy, reference }
                }
                _ => baseline.clone(),
            }),
            weights: batch.weights.as_ref().map(|values| self.float(values)),
            scales: batch.scales.as_ref().map(|values| self.float(values)),
            label_probs: batch.label_probs.as_ref().map(|values| self.float(values)),
            columns: batch.columns.map(|values| self.float(values)),
            mean_tokens: batch.mean_tokens,
            state: batch.state.clone(),
            empty_rows: batch.empty_rows,
        }
    }
}

/// The gradient of `total` of a method's output with respect to the policy's summed log-probabilities.
fn grad_of(batch: &SingleBatch, objective: &dyn UnpairedObjective, total: fn(SingleOutput) -> Tensor<1>) -> Vec<f64> {
    let lifted = Change::Lift.batch(batch);
    let sum = lifted.policy.sum.clone().require_grad();
    let policy = SequenceLogps::new(sum.clone(), lifted.policy.count.clone()).unwrap();
    let output = objective.forward(&SingleBatch { policy, ..lifted }).unwrap();
    column(&sum.grad(&total(output).backward()).expect("the policy learns"))
}

/// Gradients of the summed losses.
pub(crate) fn grad_of_policy(batch: &SingleBatch, objective: &dyn UnpairedObjective) -> Vec<f64> {
    grad_of(batch, objective, |output| output.losses.sum())
}

/// Gradients of the weighted mean.
pub(crate) fn grad_of_mean(batch: &SingleBatch, objective: &dyn UnpairedObjective) -> Vec<f64> {
    grad_of(batch, objective, |output| output.reduce().unwrap().loss)
}

/// `batch` with other log-probabilities of the policy's tokens.
fn with_tokens(batch: &SingleBatch, logps: Tensor<2>) -> SingleBatch {
    let mask = batch.tokens.as_ref().expect("made of tokens").mask.clone();
    let tokens = TokenLogps::new(logps, mask).unwrap();
    SingleBatch { policy: tokens.sequence(), tokens: Some(tokens), ..batch.clone() }
}

/// `batch` with what the method declares, as it is about to be trained on.
fn complete(batch: &SingleBatch, objective: &dyn UnpairedObjective) -> SingleBatch {
    let mut batch = batch.clone();
    for column in objective.columns() {
        let values = match column.domain {
            Domain::Real => [0.3, -0.2, 0.5, 1.5, 0.0],
            Domain::Unit => [0.7, 0.4, 1.0, 0.0, 0.9],
            Domain::Binary => [1.0, 0.0, 1.0, 0.0, 1.0],
            Domain::Id => [0.0, 2.0, 0.0, 1.0, 1.0],
        };
        let values = tensor(&values[..batch.len()]);
        batch = batch.with_column(column, values).unwrap();
    }
    let mut state = State::default();
    objective.observe(&mut state, &batch).unwrap();
    batch.with_state(state)
}

/// Every method with its defaults, and those whose options change what they read.
fn all() -> Vec<(&'static str, Box<dyn UnpairedObjective>)> {
    let options = [
        ("bco", Options::new().with("match_prompts", true)),
        ("kldo", Options::new().with("ema", 0.5)),
        ("pmpo", Options::new().with("kl", "Exact")),
        ("pmpo", Options::new().with("min_logp", -2.2)),
    ];
    let defaults = methods().iter().map(|method| (method.name, Options::new()));
    defaults.chain(options).map(|(name, options)| (name, build(name, &options).unwrap())).collect()
}

/// Whether no response's loss depends on another once baseline and state are given.
fn is_itemwise(name: &str) -> bool {
    !["kldo", "pmpo"].contains(&name)
}

fn close(name: &str, found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len(), "{name}");
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() <= 1e-13 * expected.abs().max(1.0), "{name}: {found} {expected}");
    }
}

#[test]
fn every_method_is_found_by_its_name() {
    let names: Vec<_> = methods().iter().map(|method| method.name).collect();
    assert!(names.is_sorted() && names.contains(&"kto") && names.contains(&"pmpo"), "{names:?}");
    for name in &names {
        build(name, &Options::new()).expect("defaults are valid");
    }
    let error = build("nonesuch", &Options::new()).unwrap_err().to_string();
    assert_eq!(error, format!("no method is called `nonesuch`; there are: {}", names.join(", ")));
}

#[test]
fn permuting_a_batch_permutes_the_losses_and_parts_have_those_of_the_whole() {
    let order = [2, 0, 4, 3, 1];
    for (name, objective) in all() {
        let batch = complete(&rich_batch(), &*objective);
        let whole = objective.forward(&batch).unwrap();
        let permuted = objective.forward(&Change::Pick(&order).batch(&batch)).unwrap();
        let pick = |values: &Tensor<1>| order.map(|row| column(values)[row as usize]);
        close(name, &column(&permuted.losses), &pick(&whole.losses));
        close(name, &column(&permuted.weights), &pick(&whole.weights));
        close(name, &column(&permuted.rewards), &pick(&whole.rewards));
        for row in (0..5).filter(|_| is_itemwise(name)) {
            let alone = objective.forward(&Change::Pick(&[row]).batch(&batch)).unwrap();
            assert_eq!(column(&alone.losses)[0], column(&whole.losses)[row as usize], "{name}: alone");
        }
        assert!(is_itemwise(name) || objective.uses_batch_statistics(), "{name}");
    }
}

#[test]
fn gradients_equal_finite_differences() {
    for (name, objective) in all() {
        let batch = complete(&rich_batch(), &*objective);
        // A running mean is there to change a gradient that differences of values do not know of.
        let batch = if name == "kldo" { batch.with_state(State::default()) } else { batch };
        let coefficients = || tensor(&[1.0, -0.5, 2.0, 0.25, 1.5]);
        let lifted = Change::Lift.batch(&batch);
        let leaf = lifted.tokens.as_ref().unwrap().logps.clone().require_grad();
        let losses = objective.forward(&with_tokens(&lifted, leaf.clone())).unwrap().losses;
        let grads = (losses * coefficients().autodiff()).sum().backward();
        let grad = leaf.grad(&grads).expect("the policy learns").try_to_vec_as::<f64>().unwrap();
        let tokens = batch.tokens.as_ref().unwrap();
        let mask = tokens.mask.clone().into_data().try_to_vec::<bool>().unwrap();
        let values = tokens.logps.try_to_vec_as::<f64>().unwrap();
        for (at, grad) in grad.into_iter().enumerate() {
            if !mask[at] {
                assert_eq!(grad, 0.0, "{name}: behind the mask");
                continue;
            }
            let step = 1e-5;
            let loss = |shift: f64| {
                let mut moved = values.clone();
                moved[at] += shift;
                let moved = Tensor::from_data(TensorData::new(moved, [5, 2]), (&Device::flex(), DType::F64));
                let losses = objective.forward(&with_tokens(&batch, moved)).unwrap().losses;
                column(&(losses * coefficients()).sum())[0]
            };
            let numeric = (loss(step) - loss(-step)) / (2.0 * step);
            assert!((grad - numeric).abs() < 1e-8 * (1.0 + grad.abs()), "{name}, token {at}: {grad} {numeric}");
        }
    }
}

#[test]
fn extreme_log_ratios_have_finite_losses_and_gradients() {
    let extremes = [-1e4, -50.0, 0.0, 50.0, 1e4];
    for (name, objective) in all() {
        for (a, b) in extremes.iter().flat_map(|a| extremes.iter().map(move |b| (*a, *b))) {
            for kinds in [[true, false], [true, true], [false, false]] {
                let rows = |a, b| tokens(&[[a, f64::NAN], [b, f64::NAN]], &[1, 1]);
                let batch = SingleBatch::from_tokens(rows(a, b), labels(&kinds)).unwrap();
                let batch = batch.with_reference_tokens(rows(0.0, 0.0)).unwrap().with_kl_baseline(0.5).unwrap();
                let batch = batch.with_reference_kl(tensor(&[1e4, 0.0])).unwrap();
                let batch = complete(&batch, &*objective);
                let lifted = Change::Lift.batch(&batch);
                let leaf = lifted.tokens.as_ref().unwrap().logps.clone().require_grad();
                let loss = objective.forward(&with_tokens(&lifted, leaf.clone())).unwrap().reduce().unwrap().loss;
                let value = column(&loss)[0];
                let anchor = (leaf.clone().narrow(1, 0, 1) * 0.0).sum();
                let grad = leaf.grad(&(loss + anchor).backward()).unwrap().try_to_vec_as::<f64>().unwrap();
                let finite = value.is_finite() && grad.iter().all(|grad| grad.is_finite());
                assert!(finite, "{name} at {a}, {b}, {kinds:?}: {value} {grad:?}");
            }
        }
    }
}

#[test]
fn no_gradient_reaches_reference_or_side_information() {
    let device = Device::flex().autodiff();
    fn leaf<const D: usize>(tensor: &Tensor<D>, device: &Device) -> Tensor<D> {
        Tensor::from_data(tensor.to_data(), (device, DType::F64)).require_grad()
    }
    for (name, objective) in all() {
        let given = complete(&rich_batch(), &*objective);
        let from = |tokens: &TokenLogps| TokenLogps {
            logps: leaf(&tokens.logps, &device),
            mask: Tensor::from_bool(tokens.mask.to_data(), &device),
        };
        let policy = from(given.tokens.as_ref().unwrap());
        let reference =
            from(&TokenLogps { logps: given.reference_tokens.clone().unwrap(), ..given.tokens.clone().unwrap() });
        let side =
            |sums: &[f64]| SequenceLogps::new(leaf(&tensor(sums), &device), tensor(&[1.0, 2.0]).autodiff()).unwrap();
        let mismatched = [side(&[-2.0, -3.0]), side(&[-3.0, -3.5])];
        let [weights, label_probs, scales] =
            [&given.weights, &given.label_probs, &given.weights].map(|values| leaf(values.as_ref().unwrap(), &device));
        let mut constants = vec![weights.clone(), label_probs.clone(), scales.clone()];
        constants.extend(mismatched.iter().map(|side| side.sum.clone()));
        let [a, b] = mismatched;
        let mut batch = SingleBatch::from_tokens(policy.clone(), Tensor::from_bool(given.desirable.to_data(), &device))
            .and_then(|batch| batch.with_reference_tokens(reference.clone()))
            .and_then(|batch| batch.with_mismatched(a, b))
            .and_then(|batch| batch.with_weights(weights))
            .and_then(|batch| batch.with_scales(scales))
            .and_then(|batch| batch.with_label_probs(label_probs))
            .and_then(|batch| batch.with_reference_kl(given.reference_kl.clone().unwrap().autodiff()))
            .unwrap();
        for declared in objective.columns() {
            let values = leaf(&given.column(declared, name).unwrap(), &device);
            constants.push(values.clone());
            batch = batch.with_column(declared, values).unwrap();
        }
        let output = objective.forward(&batch).unwrap();
        assert!(!output.rewards.is_require_grad() && !output.logps.is_require_grad());
        let grads = output.reduce().unwrap().loss.backward();
        assert!(policy.logps.grad(&grads).is_some(), "{name}: the policy learns");
        assert!(reference.logps.grad(&grads).is_none(), "{name}: reference");
        for constant in constants {
            assert!(constant.grad(&grads).is_none(), "{name}");
        }
        // Nor does one reach the policy by what is logged.
        for (logged, values) in output.logged() {
            let anchored = (values + leaf(&tensor(&[0.0; 5]), &device)).sum().backward();
            assert!(policy.logps.grad(&anchored).is_none(), "{name}: {logged}");
        }
    }
}

#[test]
fn doubtful_labels_mix_both_losses() {
    for (name, objective) in all().into_iter().filter(|(name, _)| is_itemwise(name)) {
        let batch = complete(&SingleBatch { label_probs: None, ..rich_batch() }, &*objective);
        let flipped = SingleBatch { desirable: batch.desirable.clone().bool_not(), ..batch.clone() };
        let [right, wrong] = [&batch, &flipped].map(|batch| column(&objective.forward(batch).unwrap().losses));
        let probs = [1.0, 0.0, 0.5, 0.75, 0.1];
        let mixed = objective.forward(&batch.with_label_probs(tensor(&probs)).unwrap()).unwrap();
        let expected: Vec<f64> = (0..5).map(|row| probs[row] * right[row] + (1.0 - probs[row]) * wrong[row]).collect();
        close(name, &column(&mixed.losses), &expected);
    }
}

#[test]
fn scales_multiply_losses_and_leave_the_weights_alone() {
    for (name, objective) in all() {
        let batch = complete(&rich_batch(), &*objective);
        let plain = objective.forward(&batch).unwrap();
        let scales = [2.0, 0.5, 1.0, 0.0, 3.0];
        let scaled = objective.forward(&batch.with_scales(tensor(&scales)).unwrap()).unwrap();
        let expected: Vec<f64> = column(&plain.losses).iter().zip(scales).map(|(loss, scale)| loss * scale).collect();
        close(name, &column(&scaled.losses), &expected);
        assert_eq!(column(&scaled.weights), column(&plain.weights));
    }
}

#[test]
fn a_response_without_a_scored_token_is_skipped_or_counted_as_asked() {
    for (name, objective) in all() {
        let batch = complete(&rich_batch(), &*objective);
        let skipped = objective.forward(&batch).unwrap();
        assert_eq!(column(&skipped.weights), [1.0, 2.0, 0.0, 0.5, 0.25], "{name}");
        assert_eq!(column(&skipped.reduce().unwrap().denominator), [3.75], "{name}");
        let counted = objective.forward(&batch.with_empty_rows(EmptyRows::Count)).unwrap();
        assert_eq!(column(&counted.weights), [1.0, 2.0, 1.0, 0.5, 0.25], "{name}");
    }
}

#[test]
fn a_response_of_weight_zero_changes_neither_loss_nor_gradient() {
    for (name, objective) in all() {
        let silent = rich_batch().with_weights(tensor(&[1.0, 2.0, 1.0, 0.0, 0.25])).unwrap();
        let batch = complete(&silent, &*objective);
        let (whole, part) = (batch.clone(), Change::Pick(&[0, 1, 4]).batch(&batch));
        let [whole, part] =
            [whole, part].map(|batch| column(&objective.forward(&batch).unwrap().reduce().unwrap().loss));
        close(name, &whole, &part);
        let without_tokens = ["bco", "kldo", "kto", "apo_zero_unpaired"].contains(&name);
        assert!(!without_tokens || grad_of_mean(&batch, &*objective)[3] == 0.0, "{name}");
    }
}

#[test]
fn a_batch_of_nothing_has_loss_zero() {
    for (name, objective) in all() {
        let none = || tokens(&[], &[]);
        let batch = SingleBatch::from_tokens(none(), labels(&[])).unwrap().with_reference_tokens(none()).unwrap();
        let batch = batch.with_kl_baseline(0.0).unwrap().with_reference_kl(tensor(&[])).unwrap();
        let output = objective.forward(&complete(&batch, &*objective)).unwrap();
        assert_eq!(column(&output.reduce().unwrap().loss), [0.0], "{name}");
        assert_eq!(output.means().iter().count(), 0, "{name}");
        assert!(batch.is_empty() && !rich_batch().is_empty());
    }
}

#[test]
fn reference_and_side_information_of_another_dtype_are_taken() {
    fn narrow<const D: usize>(values: &Tensor<D>) -> Tensor<D> {
        values.clone().cast(FloatDType::F32)
    }
    let batch = rich_batch();
    let reference = TokenLogps {
        logps: narrow(batch.reference_tokens.as_ref().unwrap()),
        mask: batch.tokens.as_ref().unwrap().mask.clone(),
    };
    let mixed = batch
        .clone()
        .with_reference_tokens(reference)
        .and_then(|mixed| mixed.with_weights(narrow(batch.weights.as_ref().unwrap())))
        .and_then(|mixed| mixed.with_scales(narrow(&tensor(&[1.0; 5]))))
        .and_then(|mixed| mixed.with_label_probs(narrow(batch.label_probs.as_ref().unwrap())))
        .unwrap();
    for (name, objective) in all() {
        let [mixed, own] = [&mixed, &batch].map(|batch| objective.forward(&complete(batch, &*objective)).unwrap());
        for (mixed, own) in column(&mixed.losses).iter().zip(column(&own.losses)) {
            assert!((mixed - own).abs() <= 1e-5 * own.abs().max(1.0), "{name}: {mixed} {own}");
        }
    }
    let error = spec_batch().with_reference_kl(narrow(&tensor(&[1.0, 2.0]))).unwrap_err().to_string();
    assert_eq!(error, "`reference_kl`: expected dtype F64, got F32");
}

#[test]
fn one_row_for_many_is_an_error_not_a_broadcast() {
    let (batch, one) = (spec_batch(), || tensor(&[1.0]));
    let column = Column { name: "mine", domain: Domain::Real, meaning: "a test" };
    for (name, result) in [
        ("desirable", SingleBatch::new(batch.policy.clone(), labels(&[true]))),
        ("reference", batch.clone().with_reference(logps(&[-1.0], &[1.0]))),
        ("weights", batch.clone().with_weights(one())),
        ("scales", batch.clone().with_scales(one())),
        ("label_probs", batch.clone().with_label_probs(one())),
        ("reference_kl", batch.clone().with_reference_kl(one())),
        ("mine", batch.clone().with_column(column, one())),
    ] {
        assert_eq!(result.unwrap_err().to_string(), format!("`{name}`: expected shape [2], got [1]"));
    }
    let error = batch.clone().with_mismatched(logps(&[-1.0], &[1.0]), logps(&[], &[])).unwrap_err().to_string();
    assert_eq!(error, "`mismatched.reference`: expected shape [1], got [0]");
    let error = token_batch().with_reference_tokens(tokens(&[[0.0; 2]; 4], &[1; 4])).unwrap_err().to_string();
    assert_eq!(error, "`reference`: expected shape [5, 2], got [4, 2]");
    for bad in [f64::NAN, f64::INFINITY] {
        assert!(batch.clone().with_kl_baseline(bad).unwrap_err().to_string().starts_with("`kl_baseline`"));
    }
    assert!(SingleOutput::new(one(), &batch, 1.0).with_metric("mine", batch.policy.sum.clone()).is_err());
}

#[test]
fn values_of_another_dtype_are_an_error_not_a_panic() {
    let (batch, own) = (spec_batch(), || tensor(&[1.0, -0.5]));
    let other = || own().cast(FloatDType::F32);
    let one = || tensor(&[0.0]).cast(FloatDType::F32);
    for (name, result) in [
        ("log_ratios", kto::kto_loss(&batch, other(), tensor(&[0.0]), 0.1, 1.0, 1.0)),
        ("z0", kto::kto_loss(&batch, own(), one(), 0.1, 1.0, 1.0)),
        ("log_ratios", bco::bco_loss(&batch, other(), 0.1, 0.0)),
        ("log_ratios", apo_zero_unpaired::apo_zero_loss(&batch, other(), 0.1, 1.0, 1.0)),
        ("rewards", kldo::kldo_loss(&batch, other(), None)),
        ("log_mean", kldo::kldo_loss(&batch, own(), Some(one()))),
        ("logps", pmpo::pmpo_loss(&batch, other(), own(), 0.5)),
        ("floored", pmpo::pmpo_loss(&batch, own(), other(), 0.5)),
    ] {
        assert_eq!(result.unwrap_err().to_string(), format!("`{name}`: expected dtype F64, got F32"));
    }
}

#[test]
fn nothing_is_observed_of_a_batch_of_nothing() {
    for (name, option) in [("bco", ("beta", "1")), ("kldo", ("ema", "0.5"))] {
        let objective = build(name, &Options::new().with(option.0, option.1)).unwrap();
        let none = || logps(&[], &[]);
        let batch = SingleBatch::new(none(), labels(&[])).unwrap().with_reference(none()).unwrap();
        let mut state = State::default();
        objective.observe(&mut state, &batch).unwrap();
        assert!(state.get("mean").is_none_or(|mean| mean == 0.0), "{name}: {state:?}");
        assert_eq!(state.get("log_mean_exp"), None, "{name}");
    }
}

#[test]
fn without_a_reference_the_error_says_so() {
    let batch = SingleBatch { reference: None, reference_tokens: None, ..rich_batch() };
    for (name, objective) in all().into_iter().filter(|(_, objective)| objective.needs_reference()) {
        let error = objective.forward(&batch).unwrap_err().to_string();
        assert!(error.starts_with(&format!("`{name}` needs")) && error.contains("reference"), "{error}");
    }
}

#[test]
fn means_by_hand() {
    let objective = build("apo_zero_unpaired", &Options::new().with("beta", 1)).unwrap();
    let output = objective.forward(&SingleBatch { label_probs: None, ..rich_batch() }).unwrap();
    let means = output.means();
    // d = 0, −1.5 desirable, 0, 1.1 undesirable; the third response is empty.
    close("rewards", &[means.mean("rewards/chosen").unwrap()], &[-0.75]);
    close("rewards", &[means.mean("rewards/rejected").unwrap()], &[0.55]);
    close("margins", &[means.mean("rewards/margins").unwrap()], &[-1.3]);
    close("logps", &[means.mean("logps/chosen").unwrap(), means.mean("logps/rejected").unwrap()], &[-3.25, -1.95]);
    assert_eq!(means.mean("frac_skipped"), Some(0.2));
    assert_eq!(means.mean("frac_desirable"), Some(0.5));
    assert_eq!(means.mean("frac_chosen_logp_down"), Some(0.5));
    // A response that shall become less likely, and has, is no alarm.
    let desirable = rich_batch().desirable.bool_not();
    let turned = SingleBatch { label_probs: None, desirable, ..rich_batch() };
    assert_eq!(objective.forward(&turned).unwrap().means().mean("frac_chosen_logp_down"), Some(0.0));
    close("loss", &[means.mean("loss").unwrap()], &column(&output.reduce().unwrap().loss));
    let names: Vec<_> = output.logged().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["rewards", "logps"]);
}

#[test]
fn one_kind_alone_has_the_means_of_that_kind() {
    let objective = build("apo_zero_unpaired", &Options::new()).unwrap();
    for (kind, there, absent) in
        [(true, "rewards/chosen", "rewards/rejected"), (false, "rewards/rejected", "rewards/chosen")]
    {
        let batch = SingleBatch { desirable: labels(&[kind; 2]), ..spec_batch() };
        let means = objective.forward(&batch).unwrap().means();
        close(there, &[means.mean(there).unwrap()], &[0.025]);
        assert_eq!((means.mean(absent), means.mean("rewards/margins")), (None, None));
        assert!(means.iter().all(|(_, mean)| mean.is_finite()));
    }
    // Without a reference nothing is known of a displacement, and rewards are log-probabilities.
    let free = build("pmpo", &Options::new().with("beta", 0)).unwrap();
    let batch = SingleBatch::new(spec_batch().policy.clone(), labels(&[true, false])).unwrap();
    let output = SingleOutput::new(free.forward(&batch).unwrap().losses, &batch, 2.0);
    assert_eq!(column(&output.rewards), [-24.0, -30.0]);
    assert_eq!(output.means().mean("frac_chosen_logp_down"), None);
}

#[test]
fn metrics_are_averaged_over_what_counts() {
    let batch = rich_batch();
    let output = SingleOutput::new(tensor(&[0.0; 5]), &batch, 1.0);
    let output = output.with_metric("plain", tensor(&[1.0, 2.0, 100.0, 3.0, 6.0])).unwrap();
    let output =
        output.with_weighted_metric("weighted", tensor(&[1.0, 3.0, 9.0, 0.0, 0.0]), tensor(&[1.0, 3.0, 9.0, 0.0, 0.0]));
    let output = output.unwrap();
    assert_eq!(output.means().mean("plain"), Some(3.0));
    assert_eq!(output.means().mean("weighted"), Some(2.5));
    assert_eq!(column(output.metric("plain").unwrap().1), [1.0, 1.0, 0.0, 1.0, 1.0]);
    assert_eq!(column(output.metric("weighted").unwrap().0), [1.0, 3.0, 9.0, 0.0, 0.0]);
    assert!(output.metric("nonesuch").is_none());
    // What has no weight in a metric may be anything.
    let nan = tensor(&[1.0, f64::NAN, 9.0, f64::INFINITY, 3.0]);
    let output = output.with_weighted_metric("holes", nan, tensor(&[1.0, 0.0, 9.0, 0.0, 1.0])).unwrap();
    assert_eq!(output.means().mean("holes"), Some(2.0));
}

#[test]
fn a_rotation_leaves_nobody_its_own() {
    for n in 2..6usize {
        let completions: Vec<usize> = (0..n).collect();
        let rotation = rotate_by_one(&completions).unwrap();
        assert_eq!(rotation.n_matched_kl, 0);
        assert!(rotation.rows.iter().enumerate().all(|(row, other)| row != *other));
        assert_eq!((rotation.rows[0], rotation.rows[1]), (n - 1, 0));
    }
    assert_eq!(rotate_by_one(&["a", "a", "b", "b"]).unwrap().n_matched_kl, 2);
    for few in [&[][..], &["a"]] {
        let error = rotate_by_one(few).unwrap_err().to_string();
        assert!(error.starts_with("`completions`: expected at least 2"), "{error}");
    }
}

#[test]
fn the_kl_of_mismatched_completions_adds_up_over_micro_batches() {
    let policy = logps(&[-1.0, -2.0, 0.0, -4.0], &[2.0, 3.0, 0.0, 1.0]);
    let reference = logps(&[-2.0, -1.0, 0.0, -10.0], &[2.0, 3.0, 0.0, 1.0]);
    for (rows, expected) in [(EmptyRows::Skip, 2.0), (EmptyRows::Count, 1.5)] {
        let whole = mismatch_kl(&policy, &reference, rows).unwrap();
        assert_eq!(column(&whole.loss), [expected]);
        let part = |start, len| {
            mismatch_kl(&policy.narrow(start, len).unwrap(), &reference.narrow(start, len).unwrap(), rows).unwrap()
        };
        let (a, b) = (part(0, 1), part(1, 3));
        assert_eq!(column(&((a.numerator + b.numerator) / (a.denominator + b.denominator))), [expected]);
    }
    let error = mismatch_kl(&policy, &logps(&[-1.0], &[1.0]), EmptyRows::Skip).unwrap_err().to_string();
    assert_eq!(error, "`reference`: expected shape [4], got [1]");
}

#[test]
fn plain_tensors_are_evaluated_like_a_batch() {
    let given =
        || rich_batch().with_mismatched(logps(&[0.5, 0.1, 0.3, 0.0, 0.6], &[1.0; 5]), logps(&[0.0; 5], &[1.0; 5]));
    let given = given().and_then(|batch| batch.with_mean_tokens(2.5)).unwrap();
    let (tokens, reference) = (given.tokens.clone().unwrap(), given.reference_tokens.clone().unwrap());
    for (name, objective) in all() {
        let mut columns = BTreeMap::from([
            ("weights", given.weights.clone().unwrap()),
            ("label_probs", given.label_probs.clone().unwrap()),
            ("reference_kl", given.reference_kl.clone().unwrap()),
            ("kl", tensor(&[0.5, 0.1, 0.3, 0.0, 0.6])),
            ("nobody_reads_this", tensor(&[f64::NAN])),
        ]);
        let batch = complete(&given, &*objective);
        for column in objective.columns() {
            columns.insert(column.name, batch.column(column, name).unwrap());
        }
        let expected = objective.forward(&batch).unwrap();
        let run = |logps: &Tensor<2>, reference: &Tensor<2>, columns| {
            let (logps, reference, mask) = (logps.clone(), reference.clone(), tokens.mask.clone());
            evaluate_tokens(&*objective, logps, reference, mask, given.desirable.clone(), columns, Some(2.5))
        };
        let found = run(&tokens.logps, &reference, &columns).unwrap();
        assert_eq!(column(&found.losses), column(&expected.losses), "{name}");
        assert_eq!(column(&found.weights), column(&expected.weights), "{name}");
        let reduced = expected.reduce().unwrap();
        assert_eq!(column(&found.loss), column(&reduced.loss), "{name}");
        assert_eq!(column(&found.numerator), column(&reduced.numerator), "{name}");
        assert_eq!(column(&found.denominator), column(&reduced.denominator), "{name}");
        assert_eq!(found.logged.len(), expected.logged().len());
        let row = |logps: &Tensor<2>| logps.clone().narrow(0, 0, 1);
        let error = run(&tokens.logps, &row(&reference), &columns).unwrap_err().to_string();
        assert_eq!(error, "`reference`: expected shape [5, 2], got [1, 2]", "{name}");
        assert!(run(&row(&tokens.logps), &reference, &columns).unwrap_err().to_string().starts_with("`mask`"));
        let short = BTreeMap::from([("kl", tensor(&[0.5]))]);
        let error = run(&tokens.logps, &reference, &short).unwrap_err().to_string();
        assert_eq!(error, "`kl`: expected shape [5], got [1]", "{name}");
    }
}

#[test]
fn a_mean_over_tokens_knows_the_whole_step() {
    let pmpo = build("pmpo", &Options::new().with("alpha", 0.5).with("kl", "Exact").with("beta", 1)).unwrap();
    let linear = build("pmpo", &Options::new().with("alpha", 0.5).with("beta", 0)).unwrap();
    let term = |batch: &SingleBatch| {
        let [with, without] = [&pmpo, &linear].map(|objective| objective.forward(batch).unwrap().losses);
        column(&(with - without))
    };
    let batch = spec_batch().with_reference_kl(tensor(&[22.0, 11.0])).unwrap();
    // 22 tokens, 11 a response; then 5.5.
    close("own", &term(&batch), &[2.0, 1.0]);
    close("known", &term(&batch.clone().with_mean_tokens(5.5).unwrap()), &[4.0, 2.0]);
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(batch.clone().with_mean_tokens(bad).unwrap_err().to_string().starts_with("`mean_tokens`"));
    }
}

#[test]
fn the_state_of_a_method_is_saved_and_read_again() {
    let bco = build("bco", &Options::new()).unwrap();
    let mut state = State::default();
    bco.observe(&mut state, &spec_batch()).unwrap();
    let saved = serde_json::to_string(&state).unwrap();
    let read: State = serde_json::from_str(&saved).unwrap();
    assert_eq!(Moments::of(&read), Moments::of(&state));
    assert_eq!(spec_batch().with_state(read).state(), &state);
}

#[test]
fn a_method_that_says_nothing_of_itself_needs_a_reference_and_no_more() {
    #[derive(Debug)]
    struct Plain;
    impl UnpairedObjective for Plain {
        fn forward(&self, batch: &SingleBatch) -> Result<SingleOutput> {
            kto::KtoConfig::new().init()?.forward(batch)
        }
    }
    assert!(Plain.needs_reference() && Plain.columns().is_empty() && !Plain.uses_batch_statistics());
    assert!(!Plain.needs_kl_baseline() && !Plain.needs_tokens() && !Plain.needs_reference_kl());
}
