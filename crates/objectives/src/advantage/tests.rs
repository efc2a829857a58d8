//! What all estimators have in common, checked for each that can be chosen by name.

use std::collections::BTreeMap;

use accordant_ops::{
    groups::Groups,
    kl::{KlEstimator, KlOptions},
};
use burn::tensor::{Bool, DType, Device, Tensor, TensorData};

use super::{Estimator, RewardBatch, Scaling, Shift, methods, scan::tests::keep};
use crate::{
    Error, Options,
    side::{Column, Domain},
};

const JUNK: f64 = f64::NAN;
const MISSING: f64 = f64::NAN;

/// A vector in f64.
pub(super) fn vector(values: &[f64]) -> Tensor<1> {
    Tensor::from_data(TensorData::from(values), (&Device::flex(), DType::F64))
}

/// A batch with one reward for each row.
pub(super) fn batch<const N: usize>(rewards: &[f64], ids: &[u64], mask: &[[u8; N]]) -> RewardBatch {
    RewardBatch::new(vector(rewards), Groups::new(ids), keep(mask)).unwrap()
}

/// A batch of responses of one token.
pub(super) fn responses(rewards: &[f64], ids: &[u64]) -> RewardBatch {
    batch(rewards, ids, &vec![[1]; rewards.len()])
}

pub(super) fn flat(tensor: &Tensor<2>) -> Vec<f64> {
    tensor.try_to_vec_as::<f64>().expect("converted to f64")
}

/// The advantages of all tokens, row after row.
pub(super) fn advantages(estimator: &dyn Estimator, batch: &RewardBatch) -> Vec<f64> {
    flat(&estimator.estimate(batch).unwrap().advantages)
}

/// Everything that an estimator can read of one response. Numbers of tokens are those of its scored tokens.
#[derive(Debug, Clone)]
struct Row {
    reward: f64,
    id: u64,
    old: Vec<f64>,
    reference: Vec<f64>,
    values: Vec<f64>,
    sum_sq_probs: Vec<f64>,
    columns: BTreeMap<&'static str, f64>,
}

/// A column's value for the `at`th row: of its domain, and where an estimator asks for more, as it asks.
fn value(column: Column, at: usize) -> f64 {
    match (column.name, column.domain) {
        ("prefix_parent", _) => 0.0,
        (_, Domain::Binary) => (at % 3 != 1) as u8 as f64,
        (_, Domain::Unit) => 0.125 * (at % 8) as f64,
        (_, Domain::Real) => 0.7 * ((at * 5) % 7) as f64 - 1.3,
        (_, Domain::Id) => (at % 2) as f64,
    }
}

/// Rewards and groups, with numbers for all else; the lengths of responses differ.
fn rows(rewards: &[f64], ids: &[u64]) -> Vec<Row> {
    let columns: Vec<Column> = built().iter().flat_map(|estimator| estimator.columns()).collect();
    let row = |at: usize| {
        let tokens = |scale: f64| -> Vec<f64> {
            (0..1 + at % 3).map(|t| scale * (0.3 + ((at * 7 + t * 3) % 11) as f64 / 11.0)).collect()
        };
        Row {
            reward: rewards[at],
            id: ids[at],
            old: tokens(-1.0),
            reference: tokens(-1.7),
            values: tokens(0.9),
            sum_sq_probs: tokens(0.4),
            columns: columns.iter().map(|column| (column.name, value(*column, at))).collect(),
        }
    };
    (0..rewards.len()).map(row).collect()
}

/// Groups of three, two and one, and one of two equal rewards; one reward is 0.
fn usual() -> Vec<Row> {
    rows(&[0.5, -1.0, 2.0, 0.0, 3.0, 1.5, -0.75, -0.75], &[4, 9, 4, 4, 9, 2, 7, 7])
}

/// `true` at the scored tokens of rows with `left` unscored positions before them, `between` two of them, and more after.
fn masks(rows: &[Row], left: usize, between: usize, right: usize) -> Vec<Vec<bool>> {
    let longest = rows.iter().map(|row| row.old.len()).max().unwrap_or(0);
    let width = left + longest * (between + 1) + right;
    let mask = |row: &Row| {
        let mut mask = vec![false; width];
        (0..row.old.len()).for_each(|t| mask[left + t * (between + 1)] = true);
        mask
    };
    rows.iter().map(mask).collect()
}

fn matrix(masks: &[Vec<bool>], tokens: impl Fn(usize) -> Vec<f64>, device: &Device) -> Tensor<2> {
    let mut data = Vec::new();
    for (row, mask) in masks.iter().enumerate() {
        let mut tokens = tokens(row).into_iter();
        data.extend(mask.iter().map(|kept| if *kept { tokens.next().unwrap() } else { JUNK }));
    }
    let width = masks.first().map_or(2, Vec::len);
    Tensor::from_data(TensorData::new(data, [masks.len(), width]), (device, DType::F64))
}

fn build(rows: &[Row], masks: &[Vec<bool>], device: &Device) -> RewardBatch {
    let width = masks.first().map_or(2, Vec::len);
    let marks: Vec<bool> = masks.concat();
    let mask = Tensor::<2, Bool>::from_bool(TensorData::new(marks, [rows.len(), width]), device);
    let vector = |values: Vec<f64>| {
        Tensor::<1>::from_data(TensorData::new(values.clone(), [values.len()]), (device, DType::F64))
    };
    let rewards = vector(rows.iter().map(|row| row.reward).collect());
    let ids: Vec<u64> = rows.iter().map(|row| row.id).collect();
    let mut batch = RewardBatch::new(rewards, Groups::new(&ids), mask)
        .unwrap()
        .with_logps(
            matrix(masks, |row| rows[row].old.clone(), device),
            matrix(masks, |row| rows[row].reference.clone(), device),
        )
        .unwrap()
        .with_values(matrix(masks, |row| rows[row].values.clone(), device))
        .unwrap()
        .with_sum_sq_probs(matrix(masks, |row| rows[row].sum_sq_probs.clone(), device))
        .unwrap();
    for column in built().iter().flat_map(|estimator| estimator.columns()) {
        batch = batch.with_column(column, vector(rows.iter().map(|row| row.columns[column.name]).collect())).unwrap();
    }
    batch
}

/// The advantages of each row's scored tokens; everything else is 0.
fn estimate(estimator: &dyn Estimator, rows: &[Row], masks: &[Vec<bool>]) -> Vec<Vec<f64>> {
    of_batch(estimator, &build(rows, masks, &Device::flex()), masks)
}

fn of_batch(estimator: &dyn Estimator, batch: &RewardBatch, masks: &[Vec<bool>]) -> Vec<Vec<f64>> {
    let name = estimator.name();
    let output = estimator.estimate(batch).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(output.advantages.dims(), batch.mask().dims(), "{name}");
    assert_eq!(output.returns.is_some(), estimator.makes_returns(), "{name}");
    let mut all = flat(&output.advantages).into_iter();
    let mut tokens = Vec::new();
    for mask in masks {
        let row: Vec<f64> = mask.iter().map(|_| all.next().unwrap()).collect();
        assert!(row.iter().zip(mask).all(|(a, kept)| *kept || *a == 0.0), "{name}: {row:?} behind the mask");
        assert!(row.iter().all(|a| a.is_finite()), "{name}: {row:?}");
        tokens.push(row.into_iter().zip(mask).filter(|(_, kept)| **kept).map(|(a, _)| a).collect());
    }
    tokens
}

fn of_usual(estimator: &dyn Estimator, rows: &[Row]) -> Vec<Vec<f64>> {
    estimate(estimator, rows, &masks(rows, 0, 0, 0))
}

#[track_caller]
fn same(name: &str, got: &[Vec<f64>], expected: &[Vec<f64>], tolerance: f64) {
    assert_eq!(got.len(), expected.len(), "{name}");
    let near = |got: &f64, expected: &f64| (got - expected).abs() <= tolerance;
    for (row, (got, expected)) in got.iter().zip(expected).enumerate() {
        let same = got.len() == expected.len() && got.iter().zip(expected).all(|(got, expected)| near(got, expected));
        assert!(same, "{name}, row {row}: got {got:?}, expected {expected:?}");
    }
}

/// Settings whose laws are others than those of the defaults, or whose code is.
const VARIANTS: &[(&str, &str, &str)] = &[
    ("canon", "high_bonus", "0.5"),
    ("canon", "high_factor", "0.5"),
    ("canon", "inter_weight", "1.0"),
    ("canon", "split_by", "Length"),
    ("dvpo", "whiten", "Batch"),
    ("gae", "bootstrap_truncated", "true"),
    ("gae", "missing_eos_penalty", "0.5"),
    ("gpg", "counted", "All"),
    ("gpg", "counted", "Telling"),
    ("group_normalized", "clip", "0.7"),
    ("group_normalized", "scale", "Batch"),
    ("group_normalized", "scale", "None"),
    ("group_normalized", "singleton", "Raw"),
    ("leave_one_out", "normalize", "true"),
    ("leave_one_out", "reward_clip", "[-0.5, 1.0]"),
    ("multi_reward", "log_tame", r#"{"threshold":0.5,"scale":2.0}"#),
    ("multi_reward", "order", r#"{"SumThenNormalize":"None"}"#),
    ("pass_at_k", "scale_by_std", "true"),
    ("pvpo", "scale_by_std", "true"),
    ("reinforce_pp", "discount", "0.5"),
    ("reinforce_pp", "form", "Baseline"),
    ("reward_to_go", "discount", "0.5"),
    ("reward_to_go", "missing_eos_penalty", "0.5"),
    ("reward_to_go", "reward_clip", "[-0.5, 1.0]"),
    ("reward_to_go", "whiten", r#"{"GlobalStats":{"mean":0.5,"std":2.0}}"#),
    ("reward_to_go", "whiten", "Batch"),
    ("tree_opo", "baseline_weight", "0.5"),
    ("tree_opo", "prefix_value", "Optimistic"),
    ("tree_opo", "prefix_value", "Pessimistic"),
];

/// Every estimator with its defaults, and variants.
pub(super) fn built() -> Vec<Box<dyn Estimator>> {
    let variants = VARIANTS.iter().map(|(name, option, value)| (*name, Options::new().with(*option, value)));
    methods()
        .iter()
        .map(|method| (method.name, Options::new()))
        .chain(variants)
        .map(|(name, options)| super::build(name, &options).unwrap_or_else(|error| panic!("{name}: {error}")))
        .collect()
}

#[test]
fn every_estimator_is_built_by_its_name_and_learns_something() {
    for (method, estimator) in methods().iter().zip(built()) {
        assert_eq!(estimator.name(), method.name);
    }
    for estimator in built() {
        let all = of_usual(estimator.as_ref(), &usual()).concat();
        assert!(all.iter().any(|a| a.abs() > 1e-3), "{}", estimator.name());
    }
    assert!(methods().iter().any(|method| method.name == "gae"));
}

#[test]
fn permuting_the_rows_permutes_the_advantages() {
    let rows = usual();
    let order = [6, 2, 0, 7, 4, 1, 3, 5];
    for estimator in built() {
        let expected = of_usual(estimator.as_ref(), &rows);
        let permuted: Vec<Row> = order.iter().map(|at| rows[*at].clone()).collect();
        let expected: Vec<Vec<f64>> = order.iter().map(|at| expected[*at].clone()).collect();
        same(estimator.name(), &of_usual(estimator.as_ref(), &permuted), &expected, 1e-12);
    }
}

#[test]
fn unscored_positions_may_be_anywhere_and_hold_anything() {
    let rows = usual();
    for estimator in built() {
        let expected = of_usual(estimator.as_ref(), &rows);
        for (left, between, right) in [(2, 0, 0), (0, 0, 3), (1, 2, 1)] {
            let masks = masks(&rows, left, between, right);
            same(estimator.name(), &estimate(estimator.as_ref(), &rows, &masks), &expected, 1e-12);
        }
    }
}

#[test]
fn a_row_without_a_reward_has_no_advantage_and_might_as_well_not_be_there() {
    let mut rows = usual();
    let absent = [1, 3, 5];
    for at in absent {
        rows[at].reward = MISSING;
    }
    let present: Vec<usize> = (0..rows.len()).filter(|at| !absent.contains(at)).collect();
    let fewer: Vec<Row> = present.iter().map(|at| rows[*at].clone()).collect();
    for estimator in built() {
        let all = of_usual(estimator.as_ref(), &rows);
        assert!(absent.iter().all(|at| all[*at].iter().all(|a| *a == 0.0)), "{}", estimator.name());
        let others: Vec<Vec<f64>> = present.iter().map(|at| all[*at].clone()).collect();
        same(estimator.name(), &others, &of_usual(estimator.as_ref(), &fewer), 1e-12);
        let output = estimator.estimate(&build(&rows, &masks(&rows, 0, 0, 0), &Device::flex())).unwrap();
        if let Some(returns) = output.returns {
            let marks: Vec<bool> = returns.mask.to_data().iter::<bool>().collect();
            let width = marks.len() / rows.len();
            assert!(absent.iter().all(|at| marks[at * width..(at + 1) * width].iter().all(|mark| !mark)));
        }
    }
}

#[test]
fn without_any_reward_nothing_is_learned() {
    let none = rows(&[MISSING; 3], &[1, 1, 2]);
    for estimator in built() {
        let all = of_usual(estimator.as_ref(), &none).concat();
        assert!(all.iter().all(|a| *a == 0.0), "{}: {all:?}", estimator.name());
        let batch = build(&none, &masks(&none, 0, 0, 0), &Device::flex());
        let means = estimator.estimate(&batch).unwrap().means();
        assert_eq!(means.mean("frac_zero_std_groups"), None, "{}", estimator.name());
    }
}

#[test]
fn a_batch_tells_what_it_was_made_of() {
    let mask = keep(&[[1, 1, 0], [1, 0, 0]]);
    let rewards = Tensor::from_data(TensorData::from([[1.0, 2.0], [3.0, 4.0]]), (&Device::flex(), DType::F64));
    let batch = RewardBatch::with_rewards(rewards, vec![0.25, 2.0], Groups::new(&[7, 7]), mask).unwrap();
    assert_eq!(batch.weights(), [0.25, 2.0]);
    assert_eq!((batch.len(), batch.is_empty()), (2, false));
    assert_eq!(batch.lengths().dtype(), DType::F64);
    assert_eq!(batch.lengths().try_to_vec_as::<f64>().unwrap(), [2.0, 1.0]);
    let nothing = RewardBatch::new(vector(&[]), Groups::new::<u64>(&[]), keep::<3>(&[])).unwrap();
    assert_eq!((nothing.len(), nothing.is_empty()), (0, true));
}

#[test]
fn an_empty_batch_and_empty_responses_are_none_of_anyones_problems() {
    for estimator in built() {
        assert!(of_usual(estimator.as_ref(), &[]).is_empty());
        let unscored = usual();
        let masks = vec![vec![false; 2]; unscored.len()];
        let all = estimate(estimator.as_ref(), &unscored, &masks);
        assert!(all.iter().all(Vec::is_empty));
        let no_columns = vec![vec![]; unscored.len()];
        estimate(estimator.as_ref(), &unscored, &no_columns);
    }
}

#[test]
fn estimators_that_ignore_shifts_find_nothing_in_a_lone_response_or_in_equal_ones() {
    let alone = rows(&[0.7, -2.0, 5.0], &[1, 2, 3]);
    let equal = rows(&[0.1 + 0.2, 0.3, 0.3], &[1, 1, 1]);
    let mut checked = 0;
    for estimator in built() {
        // A bonus for some rows has no unit, hence neither law of factors.
        if estimator.shift() != Shift::IgnoredByGroup || estimator.scaling() == Scaling::Other {
            continue;
        }
        for rows in [&alone, &equal] {
            let all = of_usual(estimator.as_ref(), rows).concat();
            assert!(all.iter().all(|a| a.abs() < 1e-9), "{}: {all:?}", estimator.name());
        }
        checked += 1;
    }
    assert!(checked > 1);
}

#[test]
fn shifts_are_ignored_as_declared() {
    let rows = usual();
    let shifted = |by: fn(u64) -> f64| -> Vec<Row> {
        rows.iter().map(|row| Row { reward: row.reward + by(row.id), ..row.clone() }).collect()
    };
    for estimator in built() {
        let plain = of_usual(estimator.as_ref(), &rows);
        let by_all = of_usual(estimator.as_ref(), &shifted(|_| 10.0));
        let by_group = of_usual(estimator.as_ref(), &shifted(|id| 3.0 * id as f64));
        let name = estimator.name();
        let differ = |other: &[Vec<f64>]| plain.concat().iter().zip(other.concat()).any(|(a, b)| (a - b).abs() > 1e-6);
        match estimator.shift() {
            Shift::IgnoredByGroup => same(name, &by_group, &plain, 1e-9),
            Shift::Ignored => {
                same(name, &by_all, &plain, 1e-9);
                assert!(differ(&by_group), "{name} ignores shifts of groups, too");
            }
            Shift::Counts => assert!(differ(&by_all), "{name} ignores a shift"),
        }
    }
}

#[test]
fn factors_do_what_is_declared() {
    let rows = usual();
    let scaled: Vec<Row> = rows.iter().map(|row| Row { reward: 4.0 * row.reward, ..row.clone() }).collect();
    for estimator in built() {
        let name = estimator.name();
        let plain = of_usual(estimator.as_ref(), &rows);
        let got = of_usual(estimator.as_ref(), &scaled);
        let four_times: Vec<Vec<f64>> = plain.iter().map(|row| row.iter().map(|a| 4.0 * a).collect()).collect();
        let is = |other: &[Vec<f64>]| got.concat().iter().zip(other.concat()).all(|(a, b)| (a - b).abs() < 1e-5);
        match estimator.scaling() {
            Scaling::Ignored => assert!(is(&plain), "{name}: {plain:?} became {got:?}"),
            Scaling::Kept => same(name, &got, &four_times, 1e-12),
            Scaling::Other => assert!(!is(&plain) && !is(&four_times), "{name} could declare what it does"),
        }
    }
}

#[test]
fn no_divergence_in_the_reward_is_none_and_some_counts() {
    let options = KlOptions::new(KlEstimator::K1);
    let rows = usual();
    let masks = masks(&rows, 0, 1, 0);
    let close: Vec<Row> = rows.iter().map(|row| Row { reference: row.old.clone(), ..row.clone() }).collect();
    for estimator in built() {
        let name = estimator.name();
        let penalized = |rows: &[Row], kl_coef: f64| {
            build(rows, &masks, &Device::flex()).penalized(name, kl_coef, &options).unwrap()
        };
        match estimator.estimate(&penalized(&rows, 0.5)) {
            Err(Error::NotTaken { method, .. }) => assert_eq!(method, name),
            Err(error) => panic!("{name}: {error}"),
            Ok(_) => {
                let plain = estimate(estimator.as_ref(), &rows, &masks);
                same(name, &of_batch(estimator.as_ref(), &penalized(&close, 0.5), &masks), &plain, 0.0);
                same(name, &of_batch(estimator.as_ref(), &penalized(&rows, 0.0), &masks), &plain, 0.0);
                assert!(of_batch(estimator.as_ref(), &penalized(&rows, 0.5), &masks) != plain, "{name}");
            }
        }
    }
}

#[test]
fn advantages_are_constants_in_the_dtype_of_the_rewards() {
    let device = Device::flex().autodiff();
    let rows = usual();
    let masks = masks(&rows, 0, 0, 1);
    for estimator in built() {
        let tracked = |values: Tensor<2>| values.require_grad();
        let rewards = Tensor::<1>::from_data(
            TensorData::from(rows.iter().map(|row| row.reward).collect::<Vec<_>>().as_slice()),
            (&device, DType::F64),
        )
        .require_grad();
        let values = tracked(matrix(&masks, |row| rows[row].values.clone(), &device));
        let plain = build(&rows, &masks, &device);
        let mut batch = RewardBatch::new(rewards.clone(), plain.groups().clone(), plain.mask())
            .unwrap()
            .with_logps(
                tracked(matrix(&masks, |row| rows[row].old.clone(), &device)),
                tracked(matrix(&masks, |row| rows[row].reference.clone(), &device)),
            )
            .unwrap()
            .with_values(values.clone())
            .unwrap()
            .with_sum_sq_probs(tracked(matrix(&masks, |row| rows[row].sum_sq_probs.clone(), &device)))
            .unwrap();
        for column in estimator.columns() {
            let column_values: Vec<f64> = rows.iter().map(|row| row.columns[column.name]).collect();
            let tensor = Tensor::<1>::from_data(TensorData::from(column_values.as_slice()), (&device, DType::F64));
            batch = batch.with_column(column, tensor.require_grad()).unwrap();
        }
        let output = estimator.estimate(&batch).unwrap();
        assert_eq!(output.advantages.dtype(), DType::F64);
        let leaf = Tensor::<2>::ones(output.advantages.dims(), (&device, DType::F64)).require_grad();
        let mut sum = (output.advantages * leaf.clone()).sum();
        if let Some(returns) = output.returns {
            assert_eq!(returns.returns.dtype(), DType::F64);
            sum = sum + (returns.returns * leaf.clone()).sum();
        }
        let grads = sum.backward();
        assert!(rewards.grad(&grads).is_none(), "{}", estimator.name());
        assert!(values.grad(&grads).is_none(), "{}", estimator.name());
        assert!(leaf.grad(&grads).is_some());
    }
}

#[test]
fn a_column_that_is_missing_is_named() {
    let rows = usual();
    for estimator in built() {
        let mask = masks(&rows, 0, 0, 0);
        let bare = build(&rows, &mask, &Device::flex());
        let bare = RewardBatch::new(bare.raw_rewards(), bare.groups().clone(), bare.mask()).unwrap();
        let needs = estimator.needs_values() || estimator.needs_sum_sq_probs() || !estimator.columns().is_empty();
        match estimator.estimate(&bare) {
            Ok(_) => assert!(!needs, "{}", estimator.name()),
            Err(Error::MissingColumn { method, .. }) => assert!(needs && method == estimator.name()),
            Err(error) => panic!("{}: {error}", estimator.name()),
        }
    }
}

#[test]
fn an_option_that_is_not_there_is_named() {
    for method in methods() {
        let error = (method.build)(&Options::new().with("no_such_option", 1)).expect_err(method.name).to_string();
        assert!(error.contains("no_such_option"), "{error}");
    }
}
