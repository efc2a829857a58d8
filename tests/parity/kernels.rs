//! Whether the custom operations are taken at all, and what they must get exactly right.

use accordant_ops::selected::{
    KlDirection, Memory, Plan, SelectedLogps, SelectedOptions, TokenIds, ids::IGNORE_ID, kl_logits, naive,
    plan::gpu_launches, selected_log_softmax, selected_logps,
};
use burn::tensor::{DType, Device, Int, Tensor, TensorData};

use super::backends::{COMPILED, alone};

const TILES: Memory = Memory::Tiles { rows: 7, columns: 37 };

/// Whole numbers below `modulus`, so that no order of summation rounds.
pub fn whole<const D: usize>(shape: [usize; D], modulus: usize, device: &Device) -> Tensor<D> {
    let values: Vec<f32> = (0..shape.iter().product()).map(|i| (i * i * 31 % modulus) as f32).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

#[test]
fn every_tile_is_a_launch_on_a_gpu_and_none_on_a_cpu() {
    let _alone = alone();
    for backend in COMPILED {
        let Some(device) = backend.open() else { continue };
        assert!(Plan::new(48, 32, 101, DType::F32, TILES, &device).is_streamed, "{}", backend.name);
        let device = device.autodiff();
        assert!(Plan::new(48, 32, 101, DType::F32, TILES, &device).is_streamed, "{}", backend.name);
        let (hidden, weight) = (whole([48, 32], 5, &device).require_grad(), whole([101, 32], 7, &device));
        let ids = TokenIds::new(&[3; 48], None, &device);
        let launches = |expected: u64, before: u64, what: &str| {
            let expected = if backend.is_gpu() { expected } else { 0 };
            assert_eq!(gpu_launches() - before, expected, "{what} on {}", backend.name);
        };
        let options = SelectedOptions::new().with_memory(TILES);
        let before = gpu_launches();
        let selected = selected_logps(hidden.clone(), weight, None, &ids, &options).unwrap();
        selected.logps.clone().into_data();
        let tiles = 48u64.div_ceil(7) * 101u64.div_ceil(37);
        launches(tiles, before, "forward");
        let before = gpu_launches();
        let grads = selected.logps.sum().backward();
        hidden.grad(&grads).unwrap().into_data();
        launches(tiles, before, "backward");

        let before = gpu_launches();
        let logits = whole([48, 101], 9, &device).require_grad();
        let logps = selected_log_softmax(logits.clone(), &ids, 1.0).unwrap().logps;
        logits.grad(&logps.sum().backward()).unwrap().into_data();
        let kl = kl_logits(logits.clone(), whole([48, 101], 8, &device), 1.0, Default::default()).unwrap();
        logits.grad(&kl.sum().backward()).unwrap().into_data();
        launches(4, before, "from logits");
    }
}

#[test]
fn the_first_of_equal_logits_is_on_top() {
    let _alone = alone();
    let (rows, width, vocab) = (14, 3, 1000);
    for backend in COMPILED {
        let Some(device) = backend.open() else { continue };
        let (hidden, weight) = (whole([rows, width], 3, &device), whole([vocab, width], 7, &device));
        let logits = hidden.clone().matmul(weight.clone().transpose());
        let host = logits.try_to_vec_as::<f32>().unwrap();
        // For every row the columns of its largest logit, at least two, and another one.
        let tops: Vec<Vec<usize>> = host
            .chunks(vocab)
            .map(|row| {
                let top = row.iter().copied().fold(f32::MIN, f32::max);
                (0..vocab).filter(|i| row[*i] == top).collect()
            })
            .collect();
        assert!(tops.iter().all(|top| top.len() > 1));
        for place in 0..3 {
            let id = |top: &Vec<usize>| if place < 2 { top[place] } else { top[top.len() - 1] };
            let ids = TokenIds::new(&tops.iter().map(|top| id(top) as i64).collect::<Vec<_>>(), None, &device);
            let options = |memory| SelectedOptions::new().with_memory(memory);
            let streamed =
                |memory| selected_logps(hidden.clone(), weight.clone(), None, &ids, &options(memory)).unwrap().is_top1;
            let answers = [
                ("auto", streamed(Memory::Auto)),
                ("tiles", streamed(TILES)),
                ("logits", selected_log_softmax(logits.clone(), &ids, 1.0).unwrap().is_top1),
                ("naive", naive::selected_log_softmax(logits.clone(), &ids, 1.0).unwrap().is_top1),
            ];
            for (what, is_top1) in answers {
                let is_top1 = is_top1.try_to_vec_as::<bool>().unwrap();
                assert_eq!(is_top1, vec![place == 0; rows], "{what} of place {place} on {}", backend.name);
            }
        }
    }
}

/// A kernel that is wrong is taken by lot, once for all sizes between two powers of 8: see `fusion`.
#[test]
fn gradients_of_the_naive_form_do_not_depend_on_what_tuning_takes() {
    let _alone = alone();
    let vocab = 5;
    for backend in COMPILED {
        let Some(device) = backend.open() else { continue };
        let device = device.autodiff();
        for rows in [64, 256, 1024, 4096, 16384] {
            let logits = whole([rows, vocab], 9, &device).require_grad();
            let ids = TokenIds::new(&vec![3; rows], None, &device);
            let grad = |of: SelectedLogps| {
                let outputs = [of.logps, of.lse, of.entropy, of.log_sum_sq_probs].into_iter();
                let grads = outputs.reduce(|a, b| a + b).unwrap().sum().backward();
                logits.grad(&grads).unwrap().flatten::<1>(0, 1).try_to_vec_as::<f32>().unwrap()
            };
            let naive = grad(naive::selected_log_softmax(logits.clone(), &ids, 1.0).unwrap());
            let direct = grad(selected_log_softmax(logits.clone(), &ids, 1.0).unwrap());
            let errors = naive.iter().zip(&direct).map(|(a, b)| (a - b).abs());
            let error = errors.fold(0.0, |a: f32, b| if b.is_nan() { b } else { a.max(b) });
            assert!(error < 1e-5, "{}, {rows} rows: {error:.1e}", backend.name);
        }
    }
}

#[test]
fn ids_come_back_from_every_device() {
    let _alone = alone();
    for backend in COMPILED {
        let Some(device) = backend.open() else { continue };
        let ids = Tensor::<1, Int>::from_data(TensorData::from([7i64, IGNORE_ID, 70_000, 0]), &device);
        let ids = TokenIds::read(&ids, Some(IGNORE_ID));
        assert_eq!(ids.counted().try_to_vec_as::<i64>().unwrap(), [7, 70_000, 0], "{}", backend.name);
        assert!(ids.check(70_001).is_ok() && ids.check(70_000).is_err());
    }
}
#[test]
fn nan_and_plus_infinity_stay_in_their_row() {
    let _alone = alone();
    let (rows, vocab) = (9, 300);
    for backend in COMPILED {
        let Some(device) = backend.open() else { continue };
        let device = device.autodiff();
        let mut values: Vec<f32> = (0..rows * vocab).map(|i| (i * i * 31 % 11) as f32).collect();
        (values[3 * vocab + 17], values[5 * vocab + 299]) = (f32::NAN, f32::INFINITY);
        let logits = Tensor::<2>::from_data(TensorData::new(values, [rows, vocab]), &device).require_grad();
        let ids = TokenIds::new(&(0..rows as i64).collect::<Vec<_>>(), None, &device);
        let selected = selected_log_softmax(logits.clone(), &ids, 1.0).unwrap();
        let other = whole([rows, vocab], 8, &device).require_grad();
        let kl = |policy: &Tensor<2>, reference: &Tensor<2>, direction| {
            kl_logits(policy.clone(), reference.clone(), 1.0, direction).unwrap()
        };
        let grad = |of: Tensor<1>| logits.grad(&of.sum().backward()).unwrap().flatten::<1>(0, 1);
        let all = [
            ("log-probabilities", selected.logps.clone()),
            ("log-sum-exp", selected.lse),
            ("entropy", selected.entropy),
            ("log Σ p²", selected.log_sum_sq_probs),
            ("gradient of log-probabilities", grad(selected.logps)),
            ("reverse divergence, policy", kl(&logits, &other, KlDirection::Reverse)),
            ("forward divergence, policy", kl(&logits, &other, KlDirection::Forward)),
            ("reverse divergence, reference", kl(&other, &logits, KlDirection::Reverse)),
            ("forward divergence, reference", kl(&other, &logits, KlDirection::Forward)),
            ("gradient of the reverse divergence", grad(kl(&logits, &other, KlDirection::Reverse))),
            ("gradient of the forward divergence", grad(kl(&logits, &other, KlDirection::Forward))),
        ];
        for (what, numbers) in all {
            let numbers = numbers.try_to_vec_as::<f32>().unwrap();
            for (row, numbers) in numbers.chunks(numbers.len() / rows).enumerate() {
                let fits = |x: &f32| if [3, 5].contains(&row) { x.is_nan() } else { x.is_finite() };
                assert!(numbers.iter().all(fits), "{what}, row {row} on {}: {numbers:?}", backend.name);
            }
        }
    }
}

#[test]
fn columns_at_the_lowest_number_count_for_nothing() {
    let _alone = alone();
    let (rows, masked, vocab) = (9, 700, 1000);
    for backend in COMPILED {
        let Some(device) = backend.open() else { continue };
        let device = device.autodiff();
        let rest = whole([rows, vocab - masked], 7, &device);
        let lowest = Tensor::<2>::full([rows, masked], f32::MIN, &device);
        let ids = |first: usize| TokenIds::new(&vec![first as i64 + 5; rows], None, &device);
        let run = |logits: Tensor<2>, first: usize| {
            let logits = logits.require_grad();
            let selected = selected_log_softmax(logits.clone(), &ids(first), 1.0).unwrap();
            let outputs = [selected.logps, selected.lse, selected.entropy, selected.log_sum_sq_probs];
            let grads = outputs.iter().cloned().reduce(|a, b| a + b).unwrap().sum().backward();
            let grad = logits.grad(&grads).unwrap().narrow(1, first, vocab - masked).flatten::<1>(0, 1);
            Tensor::cat([outputs.to_vec(), vec![grad]].concat(), 0).try_to_vec_as::<f32>().unwrap()
        };
        let alone = run(rest.clone(), 0);
        let beside = run(Tensor::cat(vec![lowest, rest], 1), masked);
        for (a, b) in alone.iter().zip(&beside) {
            assert!((a - b).abs() < 1e-5, "{}: {a} {b}", backend.name);
        }
    }
}

#[test]
fn an_infinite_divergence_that_nobody_asks_for_has_no_gradient() {
    let _alone = alone();
    for backend in COMPILED {
        let Some(device) = backend.open() else { continue };
        let device = device.autodiff();
        let policy = Tensor::<2>::from_floats([[0.0, 0.0], [0.0, 1.0]], &device).require_grad();
        let reference = Tensor::from_floats([[0.0, f32::NEG_INFINITY], [0.0, 0.0]], &device);
        let kl = kl_logits(policy.clone(), reference, 1.0, KlDirection::Reverse).unwrap();
        let dropped = Tensor::from_data(TensorData::from([true, false]), &device);
        let grads = kl.mask_fill(dropped, 0.0).sum().backward();
        let grad = policy.grad(&grads).unwrap().try_to_vec_as::<f32>().unwrap();
        assert_eq!(grad[..2], [0.0, 0.0], "{}: {grad:?}", backend.name);
        assert!(grad[2] < 0.0 && grad[3] > 0.0, "{}: {grad:?}", backend.name);
    }
}
