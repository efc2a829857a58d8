//! Sums, means, variances and whitening over kept positions, and log-probabilities of sequences.

use accordant_ops::{SequenceLogps, TokenLogps, masked};
use burn::tensor::{Bool, Device, Tensor};

use super::{Numbers, mask, noise};

/// Rows of 13 that keep every third position, all or none.
pub const SHAPE: [usize; 2] = [9, 13];

pub fn keep(i: usize) -> bool {
    [i.is_multiple_of(3), true, false][i / 13 % 3]
}

/// Numbers for these rows, with NaN where nothing is kept.
pub fn values(seed: usize) -> Vec<f32> {
    let hidden = |(i, x): (usize, f32)| if keep(i) { x } else { f32::NAN };
    noise(seed, SHAPE.iter().product(), -2.0, 3.0).into_iter().enumerate().map(hidden).collect()
}

type Masked<const D: usize> = fn(Tensor<D>, Tensor<D, Bool>) -> accordant_ops::Result<Tensor<1>>;

const BY_ROW: [(&str, Masked<2>); 3] =
    [("masked_sum", masked::masked_sum), ("masked_mean", masked::masked_mean), ("masked_var", masked::masked_var)];

fn over_all<const D: usize>() -> [(&'static str, Masked<D>); 5] {
    [
        ("masked_sum_all", masked::masked_sum_all),
        ("masked_mean_all", masked::masked_mean_all),
        ("masked_var_all", masked::masked_var_all),
        ("masked_whiten", |x, mask| Ok(masked::masked_whiten(x, mask, true)?.flatten(0, D - 1))),
        ("masked_whiten without shift", |x, mask| Ok(masked::masked_whiten(x, mask, false)?.flatten(0, D - 1))),
    ]
}

pub fn add(numbers: &mut Numbers, device: &Device) {
    let inputs = [values(21)];
    for (name, f) in BY_ROW.into_iter().chain(over_all()) {
        numbers.add_with_gradients(name, device, &inputs, |leaves| {
            f(leaves[0].clone().reshape(SHAPE), mask(device, SHAPE, keep)).unwrap()
        });
        numbers.add_with_gradients(&format!("{name} of a view"), device, &inputs, |leaves| {
            let values = leaves[0].clone().reshape([13, 9]).transpose();
            f(values, mask(device, [13, 9], keep).transpose()).unwrap()
        });
    }
    for (name, f) in over_all::<3>() {
        let shape = [3, 3, 13];
        numbers.add_with_gradients(&format!("{name} of rank 3"), device, &inputs, |leaves| {
            f(leaves[0].clone().reshape(shape), mask(device, shape, keep)).unwrap()
        });
    }
    // Nothing kept, one kept, equal values whose f32 mean is rounded.
    let nothing = [vec![f32::NAN; 6]];
    let one = [vec![f32::NAN, 2.5, f32::NAN, f32::NAN, f32::NAN, f32::NAN]];
    let equal = [vec![1234.567; 49]];
    for (name, f) in over_all::<1>() {
        let mut case = |case: &str, inputs: &[Vec<f32>], keep: fn(usize) -> bool| {
            numbers.add_with_gradients(&format!("{name} of {case}"), device, inputs, |leaves| {
                f(leaves[0].clone(), mask(device, leaves[0].dims(), keep)).unwrap()
            });
        };
        case("nothing", &nothing, |_| false);
        case("one", &one, |i| i == 1);
        case("equal values", &equal, |_| true);
    }
    sequences(numbers, device);
}

fn sequences(numbers: &mut Numbers, device: &Device) {
    let parts = |sequence: SequenceLogps| vec![("sum", sequence.sum), ("mean", sequence.mean)];
    let tokens =
        |leaves: &[Tensor<1>]| TokenLogps::new(leaves[0].clone().reshape(SHAPE), mask(device, SHAPE, keep)).unwrap();
    let inputs = [values(22)];
    numbers.add_outputs("TokenLogps::sequence", device, &inputs, |leaves| parts(tokens(leaves).sequence()));
    let narrowed = |leaves: &[Tensor<1>]| tokens(leaves).sequence().narrow(2, 5).unwrap();
    numbers.add_outputs("SequenceLogps::narrow", device, &inputs, |leaves| parts(narrowed(leaves)));
    let sequence = tokens(&numbers.leaves(&inputs, device)).detach().sequence();
    numbers.add("TokenLogps::sequence, count", &sequence.count);
    numbers.add("SequenceLogps::num_empty_rows", &sequence.num_empty_rows());
    let counts = super::vector(&[0.0, 1.0, 7.0, 3000.0], device);
    let cached = [vec![0.0, -2.5, -11.0, -2048.0]];
    numbers.add_outputs("SequenceLogps::new", device, &cached, |leaves| {
        parts(SequenceLogps::new(leaves[0].clone(), counts.clone()).unwrap())
    });
}
