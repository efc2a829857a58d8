//! What every listwise method must do, and helpers for the methods' own tests.

use accordant_ops::{EmptyRows, SequenceLogps};
use burn::tensor::{DType, Device, FloatDType, Tensor, TensorData};

use super::*;
use crate::{
    Domain,
    pairwise::{PairBatch, PairLogps, PairValues, dpo},
};

/// An f64 vector.
pub(crate) fn vector(values: &[f64]) -> Tensor<1> {
    Tensor::from_data(TensorData::from(values), (&Device::flex(), DType::F64))
}

/// An f64 matrix of equally long rows.
pub(crate) fn matrix(rows: &[&[f64]]) -> Tensor<2> {
    let shape = [rows.len(), rows.first().map_or(0, |row| row.len())];
    Tensor::from_data(TensorData::new(rows.concat(), shape), (&Device::flex(), DType::F64))
}

/// A matrix of truth values.
pub(crate) fn bools(rows: &[&[bool]]) -> Tensor<2, Bool> {
    let shape = [rows.len(), rows.first().map_or(0, |row| row.len())];
    Tensor::from_bool(TensorData::new(rows.concat(), shape), &Device::flex())
}

/// The values of a tensor, in f64.
pub(crate) fn values<const D: usize>(tensor: &Tensor<D>) -> Vec<f64> {
    tensor.try_to_vec_as::<f64>().expect("converted to f64")
}

/// That two numbers are within `tolerance`, relative above 1.
#[track_caller]
pub(crate) fn close(got: f64, expected: f64, tolerance: f64) {
    assert!((got - expected).abs() <= tolerance * expected.abs().max(1.0), "{got} for {expected}");
}

fn logps(sum: Tensor<2>, count: Tensor<2>) -> ListLogps {
    ListLogps { sum, count }
}

/// One list of these summed log-probabilities, token counts and scores, and a reference with log-probabilities 0.
pub(crate) fn list_of_tokens(sums: &[f64], counts: &[f64], scores: &[f64]) -> ListBatch {
    let (sums, counts) = (matrix(&[sums]), matrix(&[counts]));
    let batch = ListBatch::new(logps(sums.clone(), counts.clone())).unwrap();
    batch.with_reference(logps(sums.zeros_like(), counts)).unwrap().with_scores(matrix(&[scores])).unwrap()
}

/// [`list_of_tokens`] of one token each: the sums are log-ratios.
pub(crate) fn list(ratios: &[f64], scores: &[f64]) -> ListBatch {
    list_of_tokens(ratios, &vec![1.0; ratios.len()], scores)
}

/// The losses of a batch.
pub(crate) fn losses(objective: &dyn ListwiseObjective, batch: &ListBatch) -> Vec<f64> {
    values(&objective.forward(batch).unwrap().losses)
}

/// The gradient of the summed losses with respect to the policy's summed log-probabilities.
pub(crate) fn grad_of_losses(objective: &dyn ListwiseObjective, batch: &ListBatch) -> Vec<f64> {
    let sums = batch.policy().sum.autodiff().require_grad();
    let losses = objective.forward(&batch.with_policy_sums(sums.clone())).unwrap().losses;
    // Where all is masked there may be no path back.
    let grads = (losses.sum() + sums.clone().sum() * 0.0).backward();
    values(&sums.grad(&grads).expect("the sums are tracked"))
}

/// DPO's loss of one pair, by the pairwise family.
pub(crate) fn dpo_loss(chosen: f64, rejected: f64, beta: f64) -> f64 {
    let one = || SequenceLogps::new(vector(&[0.0]), vector(&[1.0])).unwrap();
    let batch = PairBatch::new(PairLogps::new(one(), one()).unwrap());
    let ratios = PairValues { chosen: vector(&[chosen]), rejected: vector(&[rejected]) };
    values(&dpo::dpo_loss(&batch, ratios, beta, 0.0).unwrap())[0]
}

fn all() -> impl Iterator<Item = (&'static str, Box<dyn ListwiseObjective>)> {
    methods().iter().map(|method| (method.name, (method.build)(&Options::new()).expect("defaults are valid")))
}

/// A list before it is a tensor: log-probabilities, lengths, scores, and what else a candidate has.
#[derive(Debug, Clone)]
struct Host {
    /// Policy, reference, count, score, other column.
    candidates: Vec<[f64; 5]>,
    weight: f64,
}

/// Four lists: full, one with a tie, two candidates, long log-ratios.
fn hosts() -> Vec<Host> {
    let list = |weight, candidates: &[[f64; 5]]| Host { candidates: candidates.to_vec(), weight };
    vec![
        list(
            1.0,
            &[
                [-12.0, -13.0, 10.0, 0.9, -11.0],
                [-15.0, -14.5, 12.0, 0.1, -14.0],
                [-7.0, -7.5, 5.0, 0.5, -8.0],
                [-9.0, -8.0, 6.0, 0.3, -9.5],
            ],
        ),
        list(2.0, &[[-3.0, -3.5, 2.0, 0.4, -3.0], [-4.0, -3.0, 3.0, 0.4, -3.5], [-2.0, -2.75, 1.0, 0.8, -2.0]]),
        list(0.5, &[[-20.0, -25.0, 7.0, 0.2, -21.0], [-2.0, -1.0, 1.0, 0.7, -1.5]]),
        list(1.0, &[[-30.0, -1.0, 9.0, 0.6, -20.0], [-8.0, -6.0, 4.0, 0.0, -9.0], [-5.0, -5.5, 3.0, 1.0, -5.0]]),
    ]
}

/// Lists as a batch of `k` candidates that has all that the objective declares; `filler` stands for candidates that
/// there are not, `dtype` is that of everything but the policy.
fn batch_of(objective: &dyn ListwiseObjective, lists: &[Host], k: usize, filler: f64, dtype: FloatDType) -> ListBatch {
    let field = |number: usize| {
        let row = |list: &Host| -> Vec<f64> {
            (0..k).map(|at| list.candidates.get(at).map_or(filler, |candidate| candidate[number])).collect()
        };
        let rows: Vec<f64> = lists.iter().flat_map(row).collect();
        Tensor::<2>::from_data(TensorData::new(rows, [lists.len(), k]), (&Device::flex(), DType::F64))
    };
    let of_lists = |f: fn(&Host) -> f64| vector(&lists.iter().map(f).collect::<Vec<_>>());
    let valid: Vec<bool> = lists.iter().flat_map(|list| (0..k).map(|at| at < list.candidates.len())).collect();
    let valid = Tensor::from_bool(TensorData::new(valid, [lists.len(), k]), &Device::flex());
    let reference = logps(field(1).cast(dtype), field(2).cast(dtype));
    let mut batch = ListBatch::new(logps(field(0), field(2)))
        .and_then(|batch| batch.with_reference(reference))
        .and_then(|batch| batch.with_scores(field(3).cast(dtype)))
        .and_then(|batch| batch.with_valid(valid))
        .and_then(|batch| batch.with_weights(of_lists(|list| list.weight).cast(dtype)))
        .unwrap();
    for column in objective.candidate_columns() {
        batch = batch.with_candidate_column(column, field(4).cast(dtype)).unwrap();
    }
    if objective.needs_answer() {
        let logps = SequenceLogps::new(of_lists(|list| list.weight - 4.0), of_lists(|_| 2.0)).unwrap();
        let scores = of_lists(|list| list.weight - 0.75).cast(dtype);
        batch = batch.with_answer(Answer { logps, scores }).unwrap();
    }
    batch
}

fn batch(objective: &dyn ListwiseObjective, lists: &[Host]) -> ListBatch {
    batch_of(objective, lists, 4, 0.0, FloatDType::F64)
}

#[test]
fn every_method_is_found_by_its_name() {
    let names: Vec<_> = methods().iter().map(|method| method.name).collect();
    let expected =
        ["adpo", "grao", "infonca", "lipo", "nca", "pearson", "plackett_luce", "pro", "rank_list", "steerlm"];
    assert_eq!(names, expected);
    for name in &names {
        build(name, &Options::new()).expect("defaults are valid");
    }
    let error = build("nonesuch", &Options::new()).unwrap_err().to_string();
    assert_eq!(error, format!("no method is called `nonesuch`; there are: {}", names.join(", ")));
    for status in ["grao", "rank_list"] {
        let title = methods().iter().find(|method| method.name == status).unwrap().title;
        assert!(title.ends_with("(our reading of the abstract)"), "{title}");
    }
}

#[test]
fn options_reach_the_methods() {
    for (name, option, value) in [
        ("adpo", "temperature", "2"),
        ("grao", "imitation", "2"),
        ("infonca", "beta", "0.5"),
        ("lipo", "beta", "0.5"),
        ("nca", "beta", "0.5"),
        ("pearson", "length", "TokenMean"),
        ("plackett_luce", "top_n", "1"),
        ("pro", "sft_weight", "2"),
        ("rank_list", "form", r#"{"Skips":[1.0]}"#),
    ] {
        let changed = build(name, &Options::new().with(option, value)).unwrap();
        let default = build(name, &Options::new()).unwrap();
        let batch = batch(&*default, &hosts());
        assert_ne!(losses(&*changed, &batch), losses(&*default, &batch), "{name}");
    }
}

#[test]
fn permuting_and_splitting_a_batch_changes_no_list() {
    for (name, objective) in all() {
        assert!(!objective.uses_batch_statistics(), "{name}");
        let lists = hosts();
        let whole = objective.forward(&batch(&*objective, &lists)).unwrap();
        let order = [2, 0, 3, 1];
        let permuted: Vec<Host> = order.iter().map(|&at| lists[at].clone()).collect();
        let permuted = objective.forward(&batch(&*objective, &permuted)).unwrap();
        for (place, &at) in order.iter().enumerate() {
            let alone = objective.forward(&batch(&*objective, &lists[at..at + 1])).unwrap();
            for (all, some, one) in
                [(&whole.losses, &permuted.losses, &alone.losses), (&whole.weights, &permuted.weights, &alone.weights)]
            {
                close(values(some)[place], values(all)[at], 1e-14);
                close(values(one)[0], values(all)[at], 1e-14);
            }
        }
    }
}

#[test]
fn the_order_of_the_candidates_changes_nothing() {
    for (name, objective) in all() {
        let lists = hosts();
        let turned: Vec<Host> = lists
            .iter()
            .map(|list| {
                let mut list = list.clone();
                list.candidates.reverse();
                list
            })
            .collect();
        let (before, after) = (batch(&*objective, &lists), batch(&*objective, &turned));
        let (grads, turned_grads) = (grad_of_losses(&*objective, &before), grad_of_losses(&*objective, &after));
        for (at, list) in lists.iter().enumerate() {
            let k = list.candidates.len();
            close(losses(&*objective, &after)[at], losses(&*objective, &before)[at], 1e-13);
            for place in 0..k {
                close(turned_grads[4 * at + k - 1 - place], grads[4 * at + place], 1e-12);
            }
        }
        assert!(grads.iter().any(|grad| *grad != 0.0), "{name}");
    }
}

#[test]
fn a_candidate_that_is_not_there_is_removed() {
    for (name, objective) in all() {
        for list in hosts() {
            let k = list.candidates.len();
            let lists = [list];
            let exact = batch_of(&*objective, &lists, k, 0.0, FloatDType::F64);
            let (loss, grad) = (losses(&*objective, &exact)[0], grad_of_losses(&*objective, &exact));
            for filler in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300, 0.0, 1.0] {
                let padded = batch_of(&*objective, &lists, k + 2, filler, FloatDType::F64);
                let output = objective.forward(&padded).unwrap();
                close(values(&output.losses)[0], loss, 1e-14);
                assert_eq!(values(&output.rewards)[k..], [0.0; 2], "{name} with {filler}");
                assert!(output.means().iter().all(|(_, mean)| mean.is_finite()), "{name} with {filler}");
                let padded = grad_of_losses(&*objective, &padded);
                assert_eq!(padded[k..], [0.0; 2], "{name} with {filler}");
                padded.iter().zip(&grad).for_each(|(got, expected)| close(*got, *expected, 1e-13));
            }
        }
    }
}

#[test]
fn a_candidate_without_a_token_is_removed_or_counted_as_asked() {
    for (name, objective) in all() {
        let mut with = hosts()[0].clone();
        with.candidates[1] = [0.0, 0.0, 0.0, 0.1, 0.0];
        let mut without = with.clone();
        without.candidates.remove(1);
        let with = batch(&*objective, &[with]);
        close(losses(&*objective, &with)[0], losses(&*objective, &batch(&*objective, &[without]))[0], 1e-14);
        let counted = with.with_empty_rows(EmptyRows::Count);
        assert_eq!(values(&counted.num_present()), [4.0]);
        assert!((losses(&*objective, &counted)[0]).is_finite(), "{name}");
    }
}

#[test]
fn gradients_equal_finite_differences() {
    for (name, objective) in all() {
        let batch = batch(&*objective, &hosts());
        let (grads, sums) = (grad_of_losses(&*objective, &batch), values(&batch.policy().sum));
        let step = 1e-5;
        for at in 0..sums.len() {
            let loss = |shift: f64| {
                let mut sums = sums.clone();
                sums[at] += shift;
                let sums = Tensor::from_data(TensorData::new(sums, [4, 4]), (&Device::flex(), DType::F64));
                losses(&*objective, &batch.with_policy_sums(sums.autodiff())).iter().sum::<f64>()
            };
            let numeric = (loss(step) - loss(-step)) / (2.0 * step);
            assert!(
                (grads[at] - numeric).abs() < 1e-7 * (1.0 + numeric.abs()),
                "{name}, {at}: {} {numeric}",
                grads[at]
            );
        }
    }
}

#[test]
fn extreme_log_ratios_have_finite_losses_and_gradients() {
    let extremes = [-1e4, -50.0, 0.0, 50.0, 1e4];
    for (name, objective) in all() {
        for a in extremes {
            for b in extremes {
                let list = Host { candidates: vec![[a, 0.0, 1.0, 1.0, 0.0], [b, 0.0, 1.0, 0.0, 0.0]], weight: 1.0 };
                let batch = batch(&*objective, &[list]);
                let (loss, grad) = (losses(&*objective, &batch), grad_of_losses(&*objective, &batch));
                assert!(
                    loss.iter().chain(&grad).all(|value| value.is_finite()),
                    "{name} at {a}, {b}: {loss:?} {grad:?}"
                );
            }
        }
    }
}

#[test]
fn no_gradient_reaches_reference_scores_or_side_information() {
    for (name, objective) in all() {
        let leaf = |tensor: Tensor<2>| tensor.autodiff().require_grad();
        let field = |number: usize| {
            let rows: Vec<f64> = hosts()[0].candidates.iter().map(|candidate| candidate[number]).collect();
            leaf(matrix(&[&rows]))
        };
        let (sum, reference, scores, other) = (field(0), field(1), field(3), field(4));
        let weights = vector(&[2.0]).autodiff().require_grad();
        let count = field(2).detach();
        let mut batch = ListBatch::new(logps(sum.clone(), count.clone()))
            .and_then(|batch| batch.with_reference(logps(reference.clone(), count)))
            .and_then(|batch| batch.with_scores(scores.clone()))
            .and_then(|batch| batch.with_weights(weights.clone()))
            .unwrap();
        for column in objective.candidate_columns() {
            batch = batch.with_candidate_column(column, other.clone()).unwrap();
        }
        let answer_scores = vector(&[0.2]).autodiff().require_grad();
        if objective.needs_answer() {
            let logps = SequenceLogps::new(vector(&[-4.0]).autodiff(), vector(&[2.0]).autodiff()).unwrap();
            batch = batch.with_answer(Answer { logps, scores: answer_scores.clone() }).unwrap();
        }
        let output = objective.forward(&batch).unwrap();
        let grads = output.reduce().unwrap().loss.backward();
        assert!(sum.grad(&grads).is_some(), "{name}: the policy learns");
        for constant in [reference, scores, other] {
            assert!(constant.grad(&grads).is_none(), "{name}");
        }
        assert!(weights.grad(&grads).is_none() && answer_scores.grad(&grads).is_none(), "{name}");
        let logged = output.logged();
        assert!(logged.iter().all(|(_, values)| !values.is_require_grad()), "{name}");
        // What is detached cannot be differentiated at all; rewards are.
        assert!(!output.rewards.is_require_grad());
    }
}

#[test]
fn lists_that_say_nothing_have_no_weight() {
    for (name, objective) in all() {
        let mut single = hosts()[2].clone();
        single.candidates.truncate(1);
        let none = Host { candidates: Vec::new(), weight: 1.0 };
        let batch = batch(&*objective, &[hosts()[0].clone(), single, none]);
        let output = objective.forward(&batch).unwrap();
        // A rollout and an answer are a group.
        let of_one = if objective.needs_answer() { 0.5 } else { 0.0 };
        assert_eq!(values(&output.weights), [1.0, of_one, 0.0], "{name}");
        assert_eq!(values(&output.losses)[2], 0.0, "{name}");
        assert!(values(&output.losses).iter().all(|loss| loss.is_finite()), "{name}");
        assert_eq!(output.means().mean("frac_skipped"), Some(if of_one > 0.0 { 1.0 / 3.0 } else { 2.0 / 3.0 }));
        assert!(grad_of_losses(&*objective, &batch).iter().all(|grad| grad.is_finite()), "{name}");
    }
}

#[test]
fn tied_lists_are_not_compared() {
    for (name, objective) in all() {
        let mut tied = hosts()[0].clone();
        tied.candidates.iter_mut().for_each(|candidate| candidate[3] = 0.25);
        let batch = batch(&*objective, &[tied]);
        let output = objective.forward(&batch).unwrap();
        if ["adpo", "grao", "infonca", "nca", "steerlm"].contains(&name) {
            assert_eq!(values(&output.weights), [1.0], "{name}: equal scores are a statement");
            continue;
        }
        assert_eq!((values(&output.losses), values(&output.weights)), (vec![0.0], vec![0.0]), "{name}");
        assert!(grad_of_losses(&*objective, &batch).iter().all(|grad| *grad == 0.0), "{name}");
    }
}

#[test]
fn a_batch_of_nothing_has_loss_zero() {
    for (name, objective) in all() {
        let output = objective.forward(&batch(&*objective, &[])).unwrap();
        assert_eq!(values(&output.reduce().unwrap().loss), [0.0], "{name}");
        assert_eq!(output.means().iter().count(), 0, "{name}");
    }
}

#[test]
fn side_information_of_another_dtype_is_taken() {
    for (name, objective) in all() {
        let narrow = batch_of(&*objective, &hosts(), 4, 0.0, FloatDType::F32);
        let (narrow, own) = (losses(&*objective, &narrow), losses(&*objective, &batch(&*objective, &hosts())));
        for (narrow, own) in narrow.iter().zip(&own) {
            assert!((narrow - own).abs() <= 1e-5 * own.abs().max(1.0), "{name}: {narrow} {own}");
        }
    }
}

#[test]
fn weights_scale_losses_and_denominators() {
    for (name, objective) in all() {
        let output = objective.forward(&batch(&*objective, &hosts())).unwrap();
        assert_eq!(values(&output.weights), [1.0, 2.0, 0.5, 1.0], "{name}");
        let reduced = output.reduce().unwrap();
        assert_eq!(values(&reduced.denominator), [4.5]);
        let expected: f64 = values(&output.losses).iter().zip([1.0, 2.0, 0.5, 1.0]).map(|(loss, w)| loss * w).sum();
        close(values(&reduced.numerator)[0], expected, 1e-13);
    }
}

#[test]
fn what_is_missing_is_named() {
    let sums = matrix(&[&[-1.0, -2.0]]);
    let bare = ListBatch::new(logps(sums.clone(), sums.ones_like())).unwrap();
    for (name, objective) in all() {
        let error = objective.forward(&bare).unwrap_err().to_string();
        let reference = format!("`{name}` needs the reference's log-probabilities, and the batch has none");
        let scores = format!(
            "`{name}` needs `scores` (the quality of each candidate, larger is better), and the batch has none"
        );
        assert!(error == reference || error == scores, "{name}: {error}");
        assert!(bare.log_ratios(name).is_err());
        let scored = bare.clone().with_scores(sums.clone()).unwrap();
        let error = objective.forward(&scored).err().map(|error| error.to_string());
        assert_eq!(error == Some(reference), objective.needs_reference(), "{name}: {error:?}");
    }
}

#[test]
fn shapes_of_a_batch_are_checked() {
    let ones = |lists: usize, k: usize| Tensor::<2>::ones([lists, k], (&Device::flex(), DType::F64));
    let batch = || ListBatch::new(logps(ones(2, 3), ones(2, 3))).unwrap();
    let message = |result: Result<ListBatch>| result.unwrap_err().to_string();
    let column = Column { name: "difficulty", domain: Domain::Unit, meaning: "of the prompt" };
    let short = || logps(ones(2, 1), ones(2, 1));
    assert_eq!(message(batch().with_reference(short())), "`reference`: expected shape [2, 3], got [2, 1]");
    assert_eq!(message(batch().with_scores(ones(1, 3))), "`scores`: expected shape [2, 3], got [1, 3]");
    assert_eq!(message(batch().with_ranks(ones(1, 3))), "`ranks`: expected shape [2, 3], got [1, 3]");
    assert_eq!(message(batch().with_valid(bools(&[&[true]]))), "`valid`: expected shape [2, 3], got [1, 1]");
    assert_eq!(message(batch().with_weights(vector(&[1.0]))), "`weights`: expected shape [2], got [1]");
    assert_eq!(message(batch().with_column(column, vector(&[1.0]))), "`difficulty`: expected shape [2], got [1]");
    let candidates = batch().with_candidate_column(column, ones(2, 1));
    assert_eq!(message(candidates), "`difficulty`: expected shape [2, 3], got [2, 1]");
    let answer = |sums: &[f64], scores: &[f64]| {
        let counts = vec![1.0; sums.len()];
        Answer { logps: SequenceLogps::new(vector(sums), vector(&counts)).unwrap(), scores: vector(scores) }
    };
    assert_eq!(message(batch().with_answer(answer(&[1.0], &[1.0]))), "`answer`: expected shape [2], got [1]");
    let scores = batch().with_answer(answer(&[1.0, 1.0], &[1.0]));
    assert_eq!(message(scores), "`answer.scores`: expected shape [2], got [1]");
    let narrow = SequenceLogps::new(vector(&[1.0, 1.0]).cast(FloatDType::F32), vector(&[1.0, 1.0])).unwrap();
    let narrow = batch().with_answer(Answer { logps: narrow, scores: vector(&[0.0, 0.0]) });
    assert_eq!(message(narrow), "`answer`: expected dtype F64, got F32");
    let uneven = ListBatch::new(logps(ones(2, 3), ones(1, 3)));
    assert_eq!(message(uneven), "`policy.count`: expected shape [2, 3], got [1, 3]");
    let stacked = SequenceLogps::new(vector(&[1.0; 5]), vector(&[1.0; 5])).unwrap();
    let error = |k| ListLogps::from_stacked(&stacked, k).unwrap_err().to_string();
    assert_eq!(error(2), "`logps`: expected shape [4], got [5]");
    assert_eq!(error(0), "`num_candidates`: expected at least 1, got 0");
}

#[test]
fn token_counts_may_have_another_dtype() {
    let counts = matrix(&[&[2.0, 4.0]]).cast(FloatDType::F32);
    let mixed = logps(matrix(&[&[-1.0, -2.0]]), counts.clone());
    assert_eq!(values(&mixed.mean()), [-0.5, -0.5]);
    let batch = ListBatch::new(mixed).unwrap().with_scores(matrix(&[&[1.0, 0.0]])).unwrap();
    for name in ["pro", "pearson", "rank_list"] {
        assert!(losses(&*build(name, &Options::new()).unwrap(), &batch)[0].is_finite(), "{name}");
    }
}

#[test]
fn lists_have_at_least_one_candidate() {
    let none = || Tensor::<2>::from_data(TensorData::new(Vec::<f64>::new(), [2, 0]), (&Device::flex(), DType::F64));
    let error = ListBatch::new(logps(none(), none())).unwrap_err().to_string();
    assert_eq!(error, "`num_candidates`: expected at least 1, got 0");
}

#[test]
fn values_of_another_dtype_are_an_error_not_a_panic() {
    let (batch, own) = (list(&[0.5, -0.5], &[1.0, 0.0]), || matrix(&[&[0.5, -0.5]]));
    let other = || own().cast(FloatDType::F32);
    let weighting = (lipo::PairWeighting::Uniform, lipo::PairReduction::Mean);
    for (name, result) in [
        ("ratios", plackett_luce::plackett_luce_loss(&batch, other(), 1.0, None, false)),
        ("ratios", lipo::lipo_loss(&batch, other(), 1.0, weighting.0, weighting.1)),
        ("weights", lipo::weighted_pairs_loss(own(), lists::columns(other())).map_err(crate::Error::from)),
        ("means", pro::pro_loss(&batch, other())),
        ("logps", pro::best_nll(&batch, other(), "pro")),
        ("rewards", infonca::infonca_loss(&batch, other(), own())),
        ("targets", infonca::infonca_loss(&batch, own(), other())),
        ("targets", nca::nca_loss(&batch, own(), other())),
        ("logps", pearson::pearson_loss(&batch, other())),
        ("proposal", steerlm::steerlm_loss(&batch, own(), other())),
    ] {
        assert_eq!(result.unwrap_err().to_string(), format!("`{name}`: expected dtype F64, got F32"));
    }
}

#[test]
fn a_batch_gives_back_what_it_was_given() {
    let column = Column { name: "difficulty", domain: Domain::Unit, meaning: "of the prompt" };
    let batch = list_of_tokens(&[-4.0, -6.0], &[2.0, 3.0], &[1.0, 0.0]);
    assert_eq!((batch.len(), batch.num_candidates(), batch.is_empty()), (1, 2, false));
    assert_eq!((batch.policy().len(), batch.policy().is_empty()), (1, false));
    assert_eq!(values(&batch.logps(crate::pairwise::Length::Sum)), [-4.0, -6.0]);
    assert_eq!(values(&batch.logps(crate::pairwise::Length::TokenMean)), [-2.0, -2.0]);
    let error = batch.column(column, "mine").unwrap_err().to_string();
    assert_eq!(error, "`mine` needs `difficulty` (of the prompt), and the batch has none");
    let batch = batch.with_column(column, vector(&[0.25])).unwrap();
    assert_eq!(values(&batch.column(column, "mine").unwrap()), [0.25]);
    let ranked = batch.with_ranks(matrix(&[&[2.0, 1.0]])).unwrap();
    assert_eq!(values(&ranked.scores("mine").unwrap()), [-2.0, -1.0]);
    let none = || matrix(&[&[0.0]]).slice(0..0);
    let none = ListBatch::new(logps(none(), none())).unwrap();
    assert!(none.is_empty() && none.policy().is_empty());
}

#[test]
fn means_by_hand() {
    let objective = build("plackett_luce", &Options::new().with("beta", 1)).unwrap();
    let list = |weight, candidates: &[[f64; 5]]| Host { candidates: candidates.to_vec(), weight };
    let batch = batch(
        &*objective,
        &[
            // Rewards 1, 3, 1: the largest has the best score; one comparison right, two wrong or tied.
            list(1.0, &[[-2.0, -3.0, 1.0, 0.5, 0.0], [-1.0, -4.0, 1.0, 0.9, 0.0], [-5.0, -6.0, 1.0, 0.1, 0.0]]),
            // Rewards −1 and 2 the wrong way round.
            list(3.0, &[[-3.0, -2.0, 1.0, 1.0, 0.0], [-2.0, -4.0, 1.0, 0.0, 0.0]]),
            // All tied: not compared.
            list(1.0, &[[-3.0, -2.0, 1.0, 0.5, 0.0], [-2.0, -4.0, 1.0, 0.5, 0.0]]),
            // Two best, with rewards 0 and −2; the larger ties with the worst.
            list(1.0, &[[-1.0, -1.0, 1.0, 0.5, 0.0], [-4.0, -2.0, 1.0, 0.5, 0.0], [-7.0, -7.0, 1.0, 0.0, 0.0]]),
        ],
    );
    let output = objective.forward(&batch).unwrap();
    let means = output.means();
    let mean = |name: &str| means.mean(name).unwrap_or_else(|| panic!("{name}"));
    close(mean("rewards/chosen"), (3.0 - 1.0 - 1.0) / 3.0, 1e-14);
    close(mean("rewards/rejected"), (1.0 + 2.0 + 0.0) / 3.0, 1e-14);
    close(mean("rewards/margins"), (2.0 - 3.0 - 1.0) / 3.0, 1e-14);
    // 2½ of 3, 0 of 1, ½ of 2.
    close(mean("rewards/accuracies"), (2.5 / 3.0 + 0.0 + 0.25) / 3.0, 1e-14);
    close(mean("rewards/ties"), (1.0 / 3.0 + 0.0 + 0.5) / 3.0, 1e-14);
    close(mean("rewards/top1"), (1.0 + 0.0 + 0.5) / 3.0, 1e-14);
    close(mean("logps/chosen"), (-1.0 - 3.0 - 2.5) / 3.0, 1e-14);
    close(mean("logps/rejected"), (-5.0 - 2.0 - 7.0) / 3.0, 1e-14);
    close(mean("frac_chosen_logp_down"), (0.0 + 1.0 + 0.5) / 3.0, 1e-14);
    close(mean("frac_skipped"), 0.25, 1e-14);
    close(mean("loss"), values(&output.reduce().unwrap().loss)[0], 1e-14);
    let without = build("pro", &Options::new()).unwrap();
    let bare = ListBatch::new(batch.policy()).unwrap().with_scores(batch.scores("pro").unwrap()).unwrap();
    assert_eq!(without.forward(&bare).unwrap().means().mean("frac_chosen_logp_down"), None);
}

#[test]
fn metrics_of_a_method_are_means_over_lists_that_count() {
    let objective = build("plackett_luce", &Options::new()).unwrap();
    let mut lists = hosts();
    lists[1].weight = 0.0;
    let output = objective.forward(&batch(&*objective, &lists)).unwrap();
    let output = output.with_metric("mine", vector(&[1.0, f64::NAN, 4.0, 7.0])).unwrap();
    let output =
        output.with_weighted_metric("ours", vector(&[1.0, 9.0, 4.0, 7.0]), vector(&[1.0, 1.0, 0.0, 3.0])).unwrap();
    assert_eq!(values(output.metric("mine").unwrap().1), [1.0, 0.0, 1.0, 1.0]);
    assert!(output.metric("theirs").is_none());
    assert_eq!((output.means().mean("mine"), output.means().mean("ours")), (Some(4.0), Some(5.5)));
    let names: Vec<_> = output.logged().into_iter().map(|(name, _)| name).collect();
    assert!(["mine", "rewards/top1"].iter().all(|name| names.iter().any(|known| known == name)), "{names:?}");
    let error = output.with_metric("bad", vector(&[1.0])).unwrap_err().to_string();
    assert_eq!(error, "`bad`: expected shape [4], got [1]");
}

#[test]
fn an_output_checks_its_shapes() {
    let batch = list(&[0.0, 1.0], &[1.0, 0.0]);
    let (one, two) = (vector(&[1.0]), vector(&[1.0, 1.0]));
    let rewards = || matrix(&[&[0.0, 1.0]]);
    let message = |result: Result<ListOutput>| result.unwrap_err().to_string();
    let counts = batch.plural();
    let losses = ListOutput::new(two.clone(), &batch, rewards(), counts.clone());
    assert_eq!(message(losses), "`losses`: expected shape [1], got [2]");
    let counted = ListOutput::new(one.clone(), &batch, rewards(), two.greater_scalar(0.0));
    assert_eq!(message(counted), "`counts`: expected shape [1], got [2]");
    let rewards = ListOutput::new(one, &batch, matrix(&[&[0.0]]), counts);
    assert_eq!(message(rewards), "`rewards`: expected shape [1, 2], got [1, 1]");
}

/// The tokens of two lists of two and three responses, response-major, as [`evaluate_tokens`] reads them.
struct Rows {
    policy: Tensor<2>,
    reference: Tensor<2>,
    mask: Tensor<2, Bool>,
    valid: Tensor<1, Bool>,
    columns: BTreeMap<&'static str, Tensor<1>>,
    response_columns: BTreeMap<&'static str, Tensor<1>>,
}

fn token_rows() -> Rows {
    let nan = f64::NAN;
    Rows {
        policy: matrix(&[&[-1.0, -2.0], &[-3.0, nan], &[-0.5, -0.5], &[-4.0, -1.0], &[nan, nan], &[-2.0, nan]]),
        reference: matrix(&[&[-1.5, -2.0], &[-2.0, nan], &[-1.0, -0.5], &[-3.0, -1.0], &[nan, nan], &[-1.0, nan]]),
        mask: bools(&[&[true, true], &[true, false], &[true, true], &[true, true], &[true, true], &[true, false]]),
        valid: vector(&[1.0, 1.0, 1.0, 1.0, 0.0, 1.0]).greater_scalar(0.5),
        columns: BTreeMap::from([("weights", vector(&[1.0, 3.0])), ("unknown", vector(&[0.0, 0.0]))]),
        response_columns: BTreeMap::from([
            ("scores", vector(&[0.5, 0.1, 0.9, 0.7, nan, 0.4])),
            ("proposal_logps", vector(&[-3.0, -3.0, -1.5, -5.0, nan, -2.5])),
        ]),
    }
}

fn evaluate(objective: &dyn ListwiseObjective, rows: &Rows, num_responses: usize) -> Result<TokensOutput> {
    evaluate_tokens(
        objective,
        rows.policy.clone(),
        rows.reference.clone(),
        rows.mask.clone(),
        rows.valid.clone(),
        num_responses,
        &rows.columns,
        &rows.response_columns,
    )
}

#[test]
fn plain_tensors_give_the_losses_of_their_batch() {
    for (name, objective) in all().filter(|(_, objective)| !objective.needs_answer()) {
        let output = evaluate(&*objective, &token_rows(), 3).unwrap();
        let list = |weight, candidates: &[[f64; 5]]| Host { candidates: candidates.to_vec(), weight };
        let lists = [
            list(1.0, &[[-3.0, -3.5, 2.0, 0.5, -3.0], [-1.0, -1.5, 2.0, 0.9, -1.5]]),
            list(3.0, &[[-3.0, -2.0, 1.0, 0.1, -3.0], [-5.0, -4.0, 2.0, 0.7, -5.0], [-2.0, -1.0, 1.0, 0.4, -2.5]]),
        ];
        let expected = losses(&*objective, &batch(&*objective, &lists));
        values(&output.losses).iter().zip(&expected).for_each(|(got, expected)| close(*got, *expected, 1e-14));
        assert_eq!(values(&output.weights), [1.0, 3.0], "{name}");
        assert_eq!(values(&output.denominator), [4.0], "{name}");
        close(values(&output.loss)[0], (expected[0] + 3.0 * expected[1]) / 4.0, 1e-14);
        close(values(&output.numerator)[0], expected[0] + 3.0 * expected[1], 1e-14);
        assert!(output.logged.iter().any(|(logged, _)| *logged == "rewards/top1"), "{name}");
    }
}

#[test]
fn first_responses_are_the_answers_where_they_are_read() {
    let objective = build("grao", &Options::new()).unwrap();
    let output = evaluate(&*objective, &token_rows(), 3).unwrap();
    // The second list: an answer of mean −3 and reward 0.1; means −2.5 and −2 with rewards 0.7 and 0.4.
    let answer = SequenceLogps::new(vector(&[-3.0]), vector(&[1.0])).unwrap();
    let by_hand = list_of_tokens(&[-5.0, -2.0], &[2.0, 1.0], &[0.7, 0.4]);
    let by_hand = by_hand.with_answer(Answer { logps: answer, scores: vector(&[0.1]) }).unwrap();
    close(values(&output.losses)[1], losses(&*objective, &by_hand)[0], 1e-14);
    let error = evaluate(&*objective, &token_rows(), 1).unwrap_err().to_string();
    assert_eq!(error, "`num_responses`: expected at least one candidate, got 1");
}

#[test]
fn no_rows_have_loss_zero() {
    let none = |seq: usize| Tensor::<2>::zeros([0, seq], (&Device::flex(), DType::F64));
    let rows = Rows {
        policy: none(2),
        reference: none(2),
        mask: none(2).greater_scalar(0.0),
        valid: vector(&[]).greater_scalar(0.0),
        columns: BTreeMap::new(),
        response_columns: BTreeMap::from([("scores", vector(&[])), ("proposal_logps", vector(&[]))]),
    };
    for (name, objective) in all() {
        assert_eq!(values(&evaluate(&*objective, &rows, 3).unwrap().loss), [0.0], "{name}");
    }
}

#[test]
fn plain_tensors_are_checked() {
    let objective = build("plackett_luce", &Options::new()).unwrap();
    let message = |change: &dyn Fn(&mut Rows), responses: usize| {
        let mut rows = token_rows();
        change(&mut rows);
        evaluate(&*objective, &rows, responses).unwrap_err().to_string()
    };
    assert_eq!(message(&|_| (), 4), "`policy`: expected shape [4], got [6]");
    assert_eq!(message(&|_| (), 0), "`num_responses`: expected at least one candidate, got 0");
    let narrow = |rows: &mut Rows| rows.reference = rows.reference.clone().narrow(0, 0, 5);
    assert_eq!(message(&narrow, 3), "`reference`: expected shape [6, 2], got [5, 2]");
    let narrow = |rows: &mut Rows| rows.mask = rows.mask.clone().narrow(1, 0, 1);
    assert_eq!(message(&narrow, 3), "`mask`: expected shape [6, 2], got [6, 1]");
    let narrow = |rows: &mut Rows| rows.valid = rows.valid.clone().narrow(0, 0, 5);
    assert_eq!(message(&narrow, 3), "`valid`: expected shape [6], got [5]");
    let narrow = |rows: &mut Rows| drop(rows.response_columns.insert("scores", vector(&[1.0])));
    assert_eq!(message(&narrow, 3), "`response_columns`: expected shape [6], got [1]");
    let narrow = |rows: &mut Rows| drop(rows.columns.insert("weights", vector(&[1.0])));
    assert_eq!(message(&narrow, 3), "`weights`: expected shape [2], got [1]");
}

/// A method that reads a column of the lists, as none of this crate's does.
#[derive(Debug)]
struct Scaled;

const FACTOR: Column = Column { name: "factor", domain: Domain::Real, meaning: "what losses are multiplied by" };

impl ListwiseObjective for Scaled {
    fn columns(&self) -> Vec<Column> {
        vec![FACTOR]
    }

    fn forward(&self, batch: &ListBatch) -> Result<ListOutput> {
        let ratios = batch.log_ratios("scaled")?;
        let losses = over_candidates(ratios.clone()) * batch.column(FACTOR, "scaled")?;
        ListOutput::new(losses, batch, ratios, batch.plural())
    }
}

#[test]
fn a_methods_own_columns_are_handed_over_by_name() {
    let mut rows = token_rows();
    rows.columns.insert("factor", vector(&[2.0, -1.0]));
    let output = evaluate(&Scaled, &rows, 3).unwrap();
    // Log-ratios 0.5 and 0.5; −1, −1 and −1.
    values(&output.losses).iter().zip([2.0, 3.0]).for_each(|(got, expected)| close(*got, expected, 1e-14));
    assert!(Scaled.needs_reference() && !Scaled.needs_answer() && !Scaled.uses_batch_statistics());
    assert!(Scaled.candidate_columns().is_empty());
}
