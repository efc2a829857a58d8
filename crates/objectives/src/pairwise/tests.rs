//! What every pairwise method must do, and helpers for the methods' own tests.

use accordant_ops::{EmptyRows, SequenceLogps};
use burn::tensor::{DType, Device, Tensor, TensorData};

use super::*;
use crate::{Domain, Error};

/// An f64 vector.
pub(crate) fn tensor(values: &[f64]) -> Tensor<1> {
    Tensor::from_data(TensorData::from(values), (&Device::flex(), DType::F64))
}

/// The values of a vector, in f64.
pub(crate) fn column(tensor: &Tensor<1>) -> Vec<f64> {
    tensor.try_to_vec_as::<f64>().expect("converted to f64")
}

/// Summed log-probabilities and token counts, in f64.
pub(crate) fn logps(sums: &[f64], counts: &[f64]) -> SequenceLogps {
    SequenceLogps::new(tensor(sums), tensor(counts)).expect("equal lengths")
}

/// The specification's pair: L_w = −12, L_l = −15, L_ref = −13 and −14.5, 10 and 12 tokens.
pub(crate) fn spec_batch() -> PairBatch {
    let policy = PairLogps::new(logps(&[-12.0], &[10.0]), logps(&[-15.0], &[12.0])).unwrap();
    let reference = PairLogps::new(logps(&[-13.0], &[10.0]), logps(&[-14.5], &[12.0])).unwrap();
    PairBatch::new(policy).with_reference(reference).unwrap()
}

impl PairBatch {
    /// The same batch on an autodiff device.
    pub(crate) fn lifted(&self) -> Self {
        mapped(self, |tensor| tensor.clone().autodiff())
    }
}

/// One pair with a reference of 0, so that the log-probabilities `w` and `l` are log-ratios, too.
pub(crate) fn extreme_batch(w: f64, l: f64, dtype: DType) -> PairBatch {
    let side = |sum: f64| {
        let of = |value: f64| Tensor::from_data(TensorData::from([value]), (&Device::flex(), dtype));
        SequenceLogps::new(of(sum), of(1.0)).unwrap()
    };
    let pair = |w, l| PairLogps::new(side(w), side(l)).unwrap();
    PairBatch::new(pair(w, l)).with_reference(pair(0.0, 0.0)).unwrap()
}

/// Asserts finite losses, rewards and gradients for log-ratios up to ±1e4, in f64 and in f32.
pub(crate) fn finite_at_extremes(objective: &dyn PairwiseObjective) {
    let extremes = [-1e4, -360.0, -50.0, 0.0, 50.0, 360.0, 1e4];
    for dtype in [DType::F64, DType::F32] {
        for (w, l) in extremes.into_iter().flat_map(|w| extremes.map(|l| (w, l))) {
            let batch = complete(&extreme_batch(w, l, dtype), objective);
            let output = objective.forward(&batch).unwrap();
            let (chosen, rejected) = grad_of_policy(&batch, objective);
            let values = [column(&output.losses), column(&output.chosen_rewards), chosen, rejected].concat();
            assert!(values.iter().all(|value| value.is_finite()), "{objective:?} at {w}, {l}, {dtype:?}: {values:?}");
        }
    }
}

/// An objective as the laws see it. Its third responses are the pair's own, each by its place: the laws make no others,
/// and gradients of both add up at one row.
pub(crate) fn evaluated(
    objective: &dyn PairwiseObjective,
    t: &accordant_laws::Tensors,
    thirds: &[usize],
) -> std::result::Result<accordant_laws::Evaluated, String> {
    let (n, rows) = (t.num_items, t.policy.dims()[0]);
    if rows != 2 * n || t.mask.dims() != t.policy.dims() || t.reference.dims() != t.policy.dims() {
        return Err(format!("{rows} rows for {n} pairs, or rows of unequal lengths"));
    }
    let places: Vec<usize> = [0, 1].iter().chain(thirds).copied().collect();
    let (mut policy, mut reference, mut mask) = (t.policy.clone(), t.reference.clone(), t.mask.clone());
    // burn has no rows 0..0.
    if n > 0 {
        policy = Tensor::cat(places.iter().map(|place| t.policy.clone().narrow(0, place * n, n)).collect(), 0);
        reference = Tensor::cat(places.iter().map(|place| t.reference.clone().narrow(0, place * n, n)).collect(), 0);
        mask = Tensor::cat(places.iter().map(|place| t.mask.clone().narrow(0, place * n, n)).collect(), 0);
    }
    // Third responses with a mean over tokens are copies of the chosen ones in these tests.
    let mean_tokens = t.tokens_per_item.map(|mean| vec![mean; 1 + thirds.len()]);
    let output = evaluate_tokens(objective, policy, reference, mask, &t.columns, mean_tokens.as_deref());
    let output = output.map_err(|error| error.to_string())?;
    Ok(accordant_laws::Evaluated {
        losses: output.losses,
        weights: output.weights,
        loss: output.loss,
        numerator: output.numerator,
        denominator: output.denominator,
        logged: output.logged,
        advantages: None,
    })
}

/// The term that [`Stub`] declares.
pub(crate) const STUB_TERM: Term = Term { name: "stub", meaning: "a loss" };

/// A method that declares one of everything, for the tests of those that wrap another. It loses 3 on every pair.
#[derive(Debug)]
pub(crate) struct Stub;

impl PairwiseObjective for Stub {
    fn needs_reference(&self) -> bool {
        false
    }

    fn columns(&self) -> Vec<Column> {
        vec![Column { name: "stub", domain: Domain::Real, meaning: "a number" }]
    }

    fn extras(&self) -> Vec<Extra> {
        vec![sft::PROMPT_AND_CHOSEN]
    }

    fn terms(&self) -> Vec<Term> {
        vec![STUB_TERM]
    }

    fn uses_batch_statistics(&self) -> bool {
        true
    }

    fn observe(&self, state: &mut State, _batch: &PairBatch) -> Result<()> {
        state.set("batches", state.get("batches").unwrap_or(0.0) + 1.0);
        Ok(())
    }

    fn forward(&self, batch: &PairBatch) -> Result<PairOutput> {
        Ok(PairOutput::new(batch.policy.chosen.sum.ones_like() * 3.0, batch, 1.0))
    }
}

/// Gradients of the summed losses with respect to the policy's summed log-probabilities, chosen and rejected.
pub(crate) fn grad_of_policy(batch: &PairBatch, objective: &dyn PairwiseObjective) -> (Vec<f64>, Vec<f64>) {
    let leaf = |side: &SequenceLogps| side.sum.clone().autodiff().require_grad();
    let (chosen, rejected) = (leaf(&batch.policy.chosen), leaf(&batch.policy.rejected));
    let loss = objective.forward(&with_policy(batch, chosen.clone(), rejected.clone())).unwrap().losses.sum();
    let grads = loss.backward();
    // A side that the method does not read has no gradient.
    let grad = |leaf: &Tensor<1>| leaf.grad(&grads).map_or_else(|| vec![0.0; batch.len()], |grad| column(&grad));
    (grad(&chosen), grad(&rejected))
}

/// `batch`, all of it on an autodiff device, with other summed log-probabilities of the policy.
fn with_policy(batch: &PairBatch, chosen: Tensor<1>, rejected: Tensor<1>) -> PairBatch {
    let lifted = batch.lifted();
    let counts = [lifted.policy.chosen.count.clone(), lifted.policy.rejected.count.clone()];
    let [w, l] = counts;
    let policy =
        PairLogps::new(SequenceLogps::new(chosen, w).unwrap(), SequenceLogps::new(rejected, l).unwrap()).unwrap();
    PairBatch { policy, ..lifted }
}

/// Every tensor of a batch through `f`.
fn mapped(batch: &PairBatch, f: impl Fn(&Tensor<1>) -> Tensor<1>) -> PairBatch {
    let side = |s: &SequenceLogps| SequenceLogps::new(f(&s.sum), f(&s.count)).unwrap();
    let pairs = |p: &PairLogps| PairLogps::new(side(&p.chosen), side(&p.rejected)).unwrap();
    let extra = |logps: &batch::ExtraLogps| batch::ExtraLogps {
        policy: side(&logps.policy),
        reference: logps.reference.as_ref().map(side),
    };
    PairBatch {
        policy: pairs(&batch.policy),
        reference: batch.reference.as_ref().map(pairs),
        extras: batch.extras.iter().map(|(name, logps)| (*name, extra(logps))).collect(),
        terms: batch.terms.iter().map(|(name, values)| (*name, f(values))).collect(),
        weights: batch.weights.as_ref().map(&f),
        scales: batch.scales.as_ref().map(&f),
        label_probs: batch.label_probs.as_ref().map(&f),
        margins: batch.margins.as_ref().map(&f),
        betas: batch.betas.as_ref().map(&f),
        columns: batch.columns.map(&f),
        mean_tokens: batch.mean_tokens.clone(),
        state: batch.state.clone(),
        empty_rows: batch.empty_rows,
    }
}

/// `batch` with all that the objective declares, and without what it refuses.
fn complete(batch: &PairBatch, objective: &dyn PairwiseObjective) -> PairBatch {
    let mut batch = batch.clone();
    let take = |values: [f64; 4]| tensor(&values[..batch.len().min(4)]);
    let (mut with, policy, dtype) = (batch.clone(), batch.policy.clone(), batch.policy.chosen.sum.dtype());
    for column in objective.columns() {
        let values = match column.domain {
            Domain::Real => [0.3, -0.2, 0.5, 1.5],
            Domain::Unit => [0.7, 0.4, 1.0, 0.0],
            Domain::Binary => [1.0, 0.0, 1.0, 0.0],
            Domain::Id => [0.0, 2.0, 0.0, 1.0],
        };
        with = with.with_column(column, take(values)).unwrap();
    }
    for term in objective.terms() {
        with = with.with_term(term, take([0.3, 0.2, 0.5, 1.5]).cast(dtype)).unwrap();
    }
    for extra in objective.extras() {
        let reference = extra.needs_reference.then(|| policy.rejected.clone().detach());
        with = with.with_extra(extra, policy.chosen.clone().detach(), reference).unwrap();
    }
    batch = with;
    while let Err(Error::NotTaken { name, .. }) = objective.forward(&batch) {
        match name {
            "weights" => batch.weights = None,
            "scales" => batch.scales = None,
            "label_probs" => batch.label_probs = None,
            "margins" => batch.margins = None,
            "betas" => batch.betas = None,
            other => panic!("`{other}` is no hook"),
        }
    }
    batch
}

/// Four pairs with everything a batch can carry: an empty side, a tie, unequal lengths.
fn rich_batch() -> PairBatch {
    let policy = PairLogps::new(
        logps(&[-12.0, -3.0, 0.0, -20.0], &[10.0, 2.0, 0.0, 7.0]),
        logps(&[-15.0, -3.0, -4.0, -2.0], &[12.0, 2.0, 3.0, 1.0]),
    );
    let reference = PairLogps::new(
        logps(&[-13.0, -3.0, 0.0, -25.0], &[10.0, 2.0, 0.0, 7.0]),
        logps(&[-14.5, -3.0, -5.0, -1.0], &[12.0, 2.0, 3.0, 1.0]),
    );
    PairBatch::new(policy.unwrap())
        .with_reference(reference.unwrap())
        .unwrap()
        .with_weights(tensor(&[1.0, 2.0, 1.0, 0.5]))
        .unwrap()
        .with_margins(tensor(&[0.0, 0.1, 0.2, -0.3]))
        .unwrap()
        .with_label_probs(tensor(&[1.0, 0.9, 0.5, 0.7]))
        .unwrap()
}

fn pick(batch: &PairBatch, rows: &[i64]) -> PairBatch {
    mapped(batch, |t| t.clone().select(0, Tensor::from_ints(TensorData::from(rows), &Device::flex())))
}

fn all() -> impl Iterator<Item = (&'static str, Box<dyn PairwiseObjective>)> {
    methods().iter().map(|method| (method.name, (method.build)(&Options::new()).expect("defaults are valid")))
}

#[test]
fn every_method_is_found_by_its_name() {
    let names: Vec<_> = methods().iter().map(|method| method.name).collect();
    assert!(names.is_sorted() && names.contains(&"dpo") && names.contains(&"simpo"), "{names:?}");
    for name in &names {
        build(name, &Options::new()).expect("defaults are valid");
    }
    let error = build("nonesuch", &Options::new()).unwrap_err().to_string();
    assert_eq!(error, format!("no method is called `nonesuch`; there are: {}", names.join(", ")));
}

#[test]
fn permuting_and_splitting_a_batch_changes_no_pair() {
    for (name, objective) in all().filter(|(_, objective)| !objective.uses_batch_statistics()) {
        // What a term averages over all tokens of the step is known to the parts.
        let kinds = ["chosen"].into_iter().chain(objective.extras().into_iter().map(|extra| extra.name));
        let batch = kinds.fold(rich_batch(), |batch, kind| batch.with_mean_tokens(kind, 4.0).unwrap());
        let batch = complete(&batch, &*objective);
        let whole = objective.forward(&batch).unwrap();
        let order = [2, 0, 3, 1];
        let permuted = objective.forward(&pick(&batch, &order)).unwrap();
        for (place, row) in order.iter().enumerate() {
            let alone = objective.forward(&pick(&batch, &[*row])).unwrap();
            let row = *row as usize;
            for (all, some, one) in [
                (&whole.losses, &permuted.losses, &alone.losses),
                (&whole.weights, &permuted.weights, &alone.weights),
                (&whole.chosen_rewards, &permuted.chosen_rewards, &alone.chosen_rewards),
            ] {
                assert_eq!(column(all)[row], column(some)[place], "{name}: permuted");
                assert_eq!(column(all)[row], column(one)[0], "{name}: alone");
            }
        }
    }
}

#[test]
fn gradients_equal_finite_differences() {
    // What em_robust weighs by is a constant that moves with the policy; its own tests know the right gradient.
    for (name, objective) in all().filter(|(name, _)| *name != "em_robust") {
        let batch = complete(&rich_batch(), &*objective);
        let (chosen_grad, rejected_grad) = grad_of_policy(&batch, &*objective);
        let step = 1e-5;
        for row in 0..batch.len() {
            for (grad, chosen_side) in [(chosen_grad[row], true), (rejected_grad[row], false)] {
                let side = if chosen_side { &batch.policy.chosen } else { &batch.policy.rejected };
                if column(&side.count)[row] == 0.0 {
                    // A response without tokens has log-probability 0 by definition: moved above, it is no probability.
                    continue;
                }
                let loss = |shift: f64| {
                    let moved = |side: &SequenceLogps, here: bool| {
                        let mut sums = column(&side.sum);
                        sums[row] += if here { shift } else { 0.0 };
                        tensor(&sums).autodiff()
                    };
                    let chosen = moved(&batch.policy.chosen, chosen_side);
                    let rejected = moved(&batch.policy.rejected, !chosen_side);
                    column(&objective.forward(&with_policy(&batch, chosen, rejected)).unwrap().losses)
                        .iter()
                        .sum::<f64>()
                };
                let numeric = (loss(step) - loss(-step)) / (2.0 * step);
                assert!((grad - numeric).abs() < 1e-7 * (1.0 + grad.abs()), "{name}, pair {row}: {grad} vs {numeric}");
            }
        }
    }
}

#[test]
fn extreme_log_ratios_have_finite_losses_and_gradients() {
    for (_, objective) in all() {
        finite_at_extremes(&*objective);
    }
}

#[test]
fn no_gradient_reaches_reference_or_side_information() {
    let device = Device::flex().autodiff();
    for (name, objective) in all() {
        let leaf = |tensor: &Tensor<1>| Tensor::from_data(tensor.to_data(), (&device, DType::F64)).require_grad();
        let given = complete(&rich_batch(), &*objective);
        // Leaves first, then what the batch makes of them.
        let side = |from: &SequenceLogps| SequenceLogps::new(leaf(&from.sum), leaf(&from.count)).unwrap();
        let pairs = |from: &PairLogps| PairLogps { chosen: side(&from.chosen), rejected: side(&from.rejected) };
        let policy = pairs(&given.policy);
        let mut constants = Vec::new();
        let mut batch = PairBatch::new(policy.clone());
        if let Some(reference) = given.reference.as_ref().map(pairs) {
            constants.extend([reference.chosen.sum.clone(), reference.rejected.sum.clone()]);
            batch = batch.with_reference(reference).unwrap();
        }
        let mut keep = |tensor: &Option<Tensor<1>>| {
            let leaf = tensor.as_ref().map(leaf);
            constants.extend(leaf.clone());
            leaf
        };
        for (values, with) in [
            (keep(&given.weights), PairBatch::with_weights as fn(PairBatch, Tensor<1>) -> Result<PairBatch>),
            (keep(&given.margins), PairBatch::with_margins),
            (keep(&given.label_probs), PairBatch::with_label_probs),
        ] {
            batch = values.map_or(Ok(batch.clone()), |values| with(batch, values)).unwrap();
        }
        for declared in objective.columns() {
            let values = keep(&Some(given.column(declared, name).unwrap())).expect("it was given");
            batch = batch.with_column(declared, values).unwrap();
        }
        for term in objective.terms() {
            batch = batch.with_term(term, leaf(&given.terms[term.name])).unwrap();
        }
        for extra in objective.extras() {
            let logps = &given.extras[extra.name];
            let reference = logps.reference.as_ref().map(side);
            constants.extend(reference.clone().map(|reference| reference.sum));
            batch = batch.with_extra(extra, side(&logps.policy), reference).unwrap();
        }
        let grads = objective.forward(&batch).unwrap().reduce().unwrap().loss.backward();
        assert!(policy.chosen.sum.grad(&grads).is_some(), "{name}: the policy learns");
        for constant in constants {
            assert!(constant.grad(&grads).is_none(), "{name}");
        }
    }
}

#[test]
fn a_batch_of_one_is_an_error_not_a_broadcast() {
    let policy = rich_batch().policy;
    let error = PairBatch::new(policy.clone()).with_reference(spec_batch().policy).unwrap_err().to_string();
    assert_eq!(error, "`reference.chosen`: expected shape [4], got [1]");
    for (name, result) in [
        ("weights", PairBatch::new(policy.clone()).with_weights(tensor(&[1.0]))),
        ("margins", PairBatch::new(policy.clone()).with_margins(tensor(&[1.0]))),
        ("label_probs", PairBatch::new(policy.clone()).with_label_probs(tensor(&[1.0]))),
    ] {
        assert_eq!(result.unwrap_err().to_string(), format!("`{name}`: expected shape [4], got [1]"));
    }
    let term = Term { name: "auxiliary", meaning: "a loss" };
    let error = PairBatch::new(policy.clone()).with_term(term, tensor(&[1.0])).unwrap_err().to_string();
    assert_eq!(error, "`auxiliary`: expected shape [4], got [1]");
    assert!(PairLogps::new(policy.chosen.clone(), spec_batch().policy.rejected).is_err());
    assert!(PairLogps::from_stacked(&logps(&[-1.0, -2.0, -3.0], &[1.0; 3])).is_err(), "an odd number of rows");
}

#[test]
fn two_sides_of_different_dtypes_are_an_error() {
    let narrow = SequenceLogps::new(tensor(&[-1.0]).cast(burn::tensor::FloatDType::F32), tensor(&[1.0])).unwrap();
    let error = PairLogps::new(logps(&[-1.0], &[1.0]), narrow).unwrap_err();
    assert_eq!(error.to_string(), "`rejected.sum`: expected dtype F64, got F32");
    let term = Term { name: "auxiliary", meaning: "a loss" };
    let narrow = tensor(&[1.0]).cast(burn::tensor::FloatDType::F32);
    let error = spec_batch().with_term(term, narrow).unwrap_err();
    assert_eq!(error.to_string(), "`auxiliary`: expected dtype F64, got F32");
}

#[test]
fn numbers_of_another_dtype_are_errors_of_the_pure_functions() {
    let (wide, narrow) = (|| tensor(&[1.0]), || tensor(&[1.0]).cast(burn::tensor::FloatDType::F32));
    let values = |chosen, rejected| PairValues { chosen, rejected };
    let ratios = || values(wide(), wide());
    let batch = spec_batch();
    for (name, error) in [
        ("values.chosen", dpo::dpo_loss(&batch, values(narrow(), wide()), 0.1, 0.0).unwrap_err()),
        ("values.rejected", dpo::dpo_loss(&batch, values(wide(), narrow()), 0.1, 0.0).unwrap_err()),
        ("reward_gaps", rebel::rebel_loss(&batch, ratios(), narrow(), 0.1).unwrap_err()),
        ("reward_gaps", dynamic_beta::dynamic_betas(&batch, narrow(), 0.1, 0.5, 0.5).unwrap_err()),
        ("prior_gaps", mappo::mappo_loss(&batch, ratios(), narrow(), 0.1).unwrap_err()),
        ("calibration", vpo::vpo_loss(&batch, narrow(), vpo::Setting::Offline, 0.1, 0.1).unwrap_err()),
        ("term", PairOutput::new(wide(), &batch, 0.1).with_added(&batch, narrow()).unwrap_err()),
        ("direct", bvpo::bvpo_loss(wide(), narrow(), 0.5).unwrap_err()),
        ("previous", osp::denoised_margins(wide(), narrow(), 0.5).unwrap_err()),
        ("log_ratios", hypo::online_kl_penalties(narrow(), &batch.policy.chosen).unwrap_err()),
    ] {
        assert_eq!(error.to_string(), format!("`{name}`: expected dtype F64, got F32"));
    }
}

#[test]
fn reference_and_side_information_of_another_dtype_are_taken() {
    let narrow = |values: &Tensor<1>| values.clone().cast(burn::tensor::FloatDType::F32);
    let side = |side: &SequenceLogps| SequenceLogps::new(narrow(&side.sum), narrow(&side.count)).unwrap();
    let batch = rich_batch();
    let reference = batch.reference.as_ref().expect("a reference");
    let mixed = PairBatch::new(batch.policy.clone())
        .with_reference(PairLogps::new(side(&reference.chosen), side(&reference.rejected)).unwrap())
        .and_then(|mixed| mixed.with_weights(narrow(batch.weights.as_ref().expect("weights"))))
        .and_then(|mixed| mixed.with_margins(narrow(batch.margins.as_ref().expect("margins"))))
        .and_then(|mixed| mixed.with_label_probs(narrow(batch.label_probs.as_ref().expect("label probabilities"))))
        .unwrap();
    for (name, objective) in all() {
        let [mixed, own] = [&mixed, &batch].map(|batch| objective.forward(&complete(batch, &*objective)).unwrap());
        for (mixed, own) in column(&mixed.losses).iter().zip(column(&own.losses)) {
            assert!((mixed - own).abs() <= 1e-5 * own.abs().max(1.0), "{name}: {mixed} {own}");
        }
    }
}

#[test]
fn an_empty_side_is_skipped_or_counted_as_asked() {
    for (name, objective) in all().filter(|(_, objective)| !objective.uses_batch_statistics()) {
        let batch = complete(&rich_batch(), &*objective);
        let skipped = objective.forward(&batch).unwrap();
        assert_eq!(column(&skipped.weights), [1.0, 2.0, 0.0, 0.5], "{name}");
        let counted = objective.forward(&batch.with_empty_rows(EmptyRows::Count)).unwrap();
        assert_eq!(column(&counted.weights), [1.0, 2.0, 1.0, 0.5], "{name}");
        assert_eq!(column(&skipped.reduce().unwrap().denominator), [3.5]);
    }
}

#[test]
fn a_batch_of_nothing_has_loss_zero() {
    let none = PairLogps::new(logps(&[], &[]), logps(&[], &[])).unwrap();
    for (name, objective) in all() {
        let batch = PairBatch::new(none.clone()).with_reference(none.clone()).unwrap();
        let output = objective.forward(&complete(&batch, &*objective)).unwrap();
        assert_eq!(column(&output.reduce().unwrap().loss), [0.0], "{name}");
        assert_eq!(output.means().iter().count(), 0, "{name}");
    }
}

#[test]
fn means_by_hand() {
    let objective = build("dpo", &Options::new().with("beta", 1)).unwrap();
    let batch = PairBatch { margins: None, label_probs: None, ..rich_batch() };
    let output = objective.forward(&batch).unwrap();
    let means = output.means();
    // d_w = 1, 0, -, 5 and d_l = −0.5, 0, -, −1; the third pair has an empty side.
    assert_eq!(means.mean("rewards/chosen"), Some(2.0));
    assert_eq!(means.mean("rewards/rejected"), Some(-0.5));
    assert_eq!(means.mean("rewards/margins"), Some(2.5));
    assert_eq!(means.mean("rewards/accuracies"), Some(2.5 / 3.0), "a tie counts one half");
    assert_eq!(means.mean("rewards/ties"), Some(1.0 / 3.0));
    assert_eq!(means.mean("logps/chosen"), Some(-35.0 / 3.0));
    assert_eq!(means.mean("frac_chosen_logp_down"), Some(0.0));
    assert_eq!(means.mean("frac_skipped"), Some(0.25));
    let loss = column(&output.reduce().unwrap().loss)[0];
    assert!((means.mean("loss").unwrap() - loss).abs() < 1e-15);
}
