//! What every pairwise method must do, and helpers for the methods' own tests.

use burn::tensor::{DType, Device, Tensor};

use super::*;

/// An f64 vector.
pub(crate) fn tensor(values: &[f64]) -> Tensor<1> {
    Tensor::from_data(TensorData::from(values), (&Device::flex(), DType::F64))
}

/// The values of a vector, in f64.
pub(crate) fn column(tensor: &Tensor<1>) -> Vec<f64> {
    tensor.try_to_vec_as::<f64>().expect("converted to f64")
}

fn logps(sums: &[f64], counts: &[f64]) -> SequenceLogps {
    SequenceLogps::new(tensor(sums), tensor(counts)).expect("equal lengths")
}

/// The specification's pair: L_w = −12, L_l = −15, L_ref = −13 and −14.5, 10 and 12 tokens.
pub(crate) fn spec_batch() -> PairBatch {
    let policy = PairLogps::new(logps(&[-12.0], &[10.0]), logps(&[-15.0], &[12.0])).unwrap();
    let reference = PairLogps::new(logps(&[-13.0], &[10.0]), logps(&[-14.5], &[12.0])).unwrap();
    PairBatch::new(policy).with_reference(reference).unwrap()
}

/// Gradients of the summed losses with respect to the policy's summed log-probabilities, chosen and rejected.
pub(crate) fn grad_of_policy(batch: &PairBatch, objective: &dyn PairwiseObjective) -> (Vec<f64>, Vec<f64>) {
    let leaf = |side: &SequenceLogps| side.sum.clone().autodiff().require_grad();
    let (chosen, rejected) = (leaf(&batch.policy.chosen), leaf(&batch.policy.rejected));
    let loss = objective.forward(&with_policy(batch, chosen.clone(), rejected.clone())).unwrap().losses.sum();
    let grads = loss.backward();
    (column(&chosen.grad(&grads).unwrap()), column(&rejected.grad(&grads).unwrap()))
}

/// `batch`, all of it on an autodiff device, with other summed log-probabilities of the policy.
fn with_policy(batch: &PairBatch, chosen: Tensor<1>, rejected: Tensor<1>) -> PairBatch {
    let on =
        |side: &SequenceLogps| SequenceLogps::new(side.sum.clone().autodiff(), side.count.clone().autodiff()).unwrap();
    let policy = PairLogps::new(
        SequenceLogps::new(chosen, batch.policy.chosen.count.clone().autodiff()).unwrap(),
        SequenceLogps::new(rejected, batch.policy.rejected.count.clone().autodiff()).unwrap(),
    );
    let lift = |side: &Option<Tensor<1>>| side.as_ref().map(|side| side.clone().autodiff());
    PairBatch {
        policy: policy.unwrap(),
        reference: batch.reference.as_ref().map(|r| PairLogps::new(on(&r.chosen), on(&r.rejected)).unwrap()),
        weights: lift(&batch.weights),
        label_probs: lift(&batch.label_probs),
        margins: lift(&batch.margins),
        empty_rows: batch.empty_rows,
    }
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
    let index = || Tensor::from_ints(TensorData::from(rows), &Device::flex());
    let pick = |t: &Tensor<1>| t.clone().select(0, index());
    let side = |s: &SequenceLogps| SequenceLogps::new(pick(&s.sum), pick(&s.count)).unwrap();
    let pairs = |p: &PairLogps| PairLogps::new(side(&p.chosen), side(&p.rejected)).unwrap();
    PairBatch {
        policy: pairs(&batch.policy),
        reference: batch.reference.as_ref().map(pairs),
        weights: batch.weights.as_ref().map(pick),
        label_probs: batch.label_probs.as_ref().map(pick),
        margins: batch.margins.as_ref().map(pick),
        empty_rows: batch.empty_rows,
    }
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
    assert_eq!(error, format!("no pairwise method is called `nonesuch`; there are: {}", names.join(", ")));
}

#[test]
fn permuting_and_splitting_a_batch_changes_no_pair() {
    for (name, objective) in all() {
        let whole = objective.forward(&rich_batch()).unwrap();
        let order = [2, 0, 3, 1];
        let permuted = objective.forward(&pick(&rich_batch(), &order)).unwrap();
        for (place, row) in order.iter().enumerate() {
            let alone = objective.forward(&pick(&rich_batch(), &[*row])).unwrap();
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
    for (name, objective) in all() {
        let batch = rich_batch();
        let (chosen_grad, rejected_grad) = grad_of_policy(&batch, &*objective);
        let step = 1e-5;
        for row in 0..batch.len() {
            for (grad, chosen_side) in [(chosen_grad[row], true), (rejected_grad[row], false)] {
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
fn a_policy_equal_to_its_reference_has_one_loss_for_every_pair() {
    for (name, objective) in all().filter(|(_, objective)| objective.needs_reference()) {
        let policy = rich_batch().policy;
        let batch = PairBatch::new(policy.clone()).with_reference(policy).unwrap();
        let losses = column(&objective.forward(&batch).unwrap().losses);
        assert!(losses.iter().all(|loss| *loss == losses[0]), "{name}: {losses:?}");
    }
}

#[test]
fn extreme_log_ratios_have_finite_losses_and_gradients() {
    let extremes = [-1e4, -50.0, 0.0, 50.0, 1e4];
    for (name, objective) in all() {
        for w in extremes {
            for l in extremes {
                let ones = [1.0];
                let policy = PairLogps::new(logps(&[w], &ones), logps(&[l], &ones)).unwrap();
                let reference = PairLogps::new(logps(&[0.0], &ones), logps(&[0.0], &ones)).unwrap();
                let batch = PairBatch::new(policy).with_reference(reference).unwrap();
                let loss = column(&objective.forward(&batch).unwrap().losses)[0];
                let (chosen, rejected) = grad_of_policy(&batch, &*objective);
                assert!(
                    loss.is_finite() && chosen[0].is_finite() && rejected[0].is_finite(),
                    "{name} at {w}, {l}: {loss} {chosen:?} {rejected:?}"
                );
            }
        }
    }
}

#[test]
fn no_gradient_reaches_reference_or_side_information() {
    let device = Device::flex().autodiff();
    let leaf = |x: f64| Tensor::<1>::from_data([x], (&device, DType::F64)).require_grad();
    let side = |sum: &Tensor<1>| SequenceLogps::new(sum.clone(), leaf(3.0)).unwrap();
    for (name, objective) in all() {
        let (policy, reference) = ([leaf(-3.0), leaf(-4.0)], [leaf(-3.5), leaf(-3.0)]);
        let (weights, margins, label_probs) = (leaf(2.0), leaf(0.1), leaf(0.8));
        let batch = PairBatch::new(PairLogps::new(side(&policy[0]), side(&policy[1])).unwrap())
            .with_reference(PairLogps::new(side(&reference[0]), side(&reference[1])).unwrap())
            .and_then(|batch| batch.with_weights(weights.clone()))
            .and_then(|batch| batch.with_margins(margins.clone()))
            .and_then(|batch| batch.with_label_probs(label_probs.clone()))
            .unwrap();
        let grads = objective.forward(&batch).unwrap().reduce().unwrap().loss.backward();
        assert!(policy.iter().all(|leaf| leaf.grad(&grads).is_some()), "{name}: the policy learns");
        for constant in reference.iter().chain([&weights, &margins, &label_probs]) {
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
    assert!(PairLogps::new(policy.chosen.clone(), spec_batch().policy.rejected).is_err());
    assert!(PairLogps::from_stacked(&logps(&[-1.0, -2.0, -3.0], &[1.0; 3])).is_err(), "an odd number of rows");
}

#[test]
fn two_sides_of_different_dtypes_are_an_error() {
    let narrow = SequenceLogps::new(tensor(&[-1.0]).cast(burn::tensor::FloatDType::F32), tensor(&[1.0])).unwrap();
    let error = PairLogps::new(logps(&[-1.0], &[1.0]), narrow).unwrap_err();
    assert_eq!(error.to_string(), "`rejected.sum`: expected dtype F64, got F32");
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
        let (mixed, own) = (objective.forward(&mixed).unwrap(), objective.forward(&batch).unwrap());
        for (mixed, own) in column(&mixed.losses).iter().zip(column(&own.losses)) {
            assert!((mixed - own).abs() <= 1e-5 * own.abs().max(1.0), "{name}: {mixed} {own}");
        }
    }
}

#[test]
fn an_empty_side_is_skipped_or_counted_as_asked() {
    for (name, objective) in all() {
        let skipped = objective.forward(&rich_batch()).unwrap();
        assert_eq!(column(&skipped.weights), [1.0, 2.0, 0.0, 0.5], "{name}");
        let counted = objective.forward(&rich_batch().with_empty_rows(EmptyRows::Count)).unwrap();
        assert_eq!(column(&counted.weights), [1.0, 2.0, 1.0, 0.5], "{name}");
        assert_eq!(column(&skipped.reduce().unwrap().denominator), [3.5]);
    }
}

#[test]
fn a_batch_of_nothing_has_loss_zero() {
    let none = PairLogps::new(logps(&[], &[]), logps(&[], &[])).unwrap();
    for (name, objective) in all() {
        let output = objective.forward(&PairBatch::new(none.clone()).with_reference(none.clone()).unwrap()).unwrap();
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
