//! Integers that say where to look, and what flows back when several say the same.

use burn::tensor::Tensor;

use super::probe::Probe;

/// Small whole numbers: their sums are exact in any order, so that a lost addition shows and rounding does not.
fn whole(n: usize, modulus: usize) -> Vec<f64> {
    (0..n).map(|i| (i * 37 % modulus) as f64).collect()
}

/// 2001 lookups in 53 rows, all but one of them in six rows: the gradient adds hundreds of numbers in each place.
pub fn select_rows(probe: &mut Probe) {
    let (rows, width, n) = (53, 9, 2_001);
    let ids: Vec<usize> = (0..n).map(|i| if i + 1 == n { 52 } else { i * i % 11 }).collect();
    let (table, weights) = (whole(rows * width, 101), whole(n * width, 5));
    let leaf = probe.leaf(&table, [rows, width]);
    let looked_up = leaf.clone().select(0, probe.ids(&ids, [n]));
    let grads = probe.backward(looked_up.clone(), &weights);
    let (mut values, mut slopes) = (Vec::new(), vec![0.0; rows * width]);
    for (&id, weights) in ids.iter().zip(weights.chunks(width)) {
        values.extend(&table[id * width..(id + 1) * width]);
        slopes[id * width..].iter_mut().zip(weights).for_each(|(slope, weight)| *slope += weight);
    }
    probe.compare_each(looked_up, &values);
    probe.compare_each(leaf.grad(&grads).expect("a gradient"), &slopes);
}

/// Each row looks up its columns twenty times.
pub fn gather_columns(probe: &mut Probe) {
    let (rows, width, n) = (65, 11, 220);
    let ids: Vec<usize> = (0..rows * n).map(|i| i * 7 / 5 % width).collect();
    let (x, weights) = (whole(rows * width, 101), whole(rows * n, 5));
    let leaf = probe.leaf(&x, [rows, width]);
    let gathered = leaf.clone().gather(1, probe.ids(&ids, [rows, n]));
    let grads = probe.backward(gathered.clone(), &weights);
    let place = |i: usize| i / n * width + ids[i];
    let mut slopes = vec![0.0; rows * width];
    (0..rows * n).for_each(|i| slopes[place(i)] += weights[i]);
    probe.compare_each(gathered, &(0..rows * n).map(|i| x[place(i)]).collect::<Vec<_>>());
    probe.compare_each(leaf.grad(&grads).expect("a gradient"), &slopes);
}

/// Odd numbers above 2²⁴, which f32 cannot hold.
pub fn integers(probe: &mut Probe) {
    let (rows, width) = (5, 33);
    let x: Vec<i64> = (0..rows * width).map(|i| 16_777_217 + 2 * i as i64).collect();
    let ids: Vec<i64> = (0..rows * width).map(|i| (i * 7 % width) as i64).collect();
    let (tensor, index) = (probe.ints(&x, [rows, width]), probe.ints(&ids, [rows, width]));
    let expected: Vec<i64> = ids.iter().enumerate().map(|(i, id)| x[i / width * width + *id as usize]).collect();
    let gathered = tensor.clone().gather(1, index.clone());
    probe.compare_ints(gathered.clone(), &expected);
    let same: Vec<bool> = expected.iter().zip(&x).map(|(a, b)| a == b).collect();
    probe.compare_bools(gathered.equal(tensor.clone()), &same);
    probe.compare_ints((tensor + index.clone() * 3 - 1).sum_dim(0), &{
        let at = |i: usize| x[i] + 3 * ids[i] - 1;
        (0..width).map(|column| (0..rows).map(|row| at(row * width + column)).sum()).collect::<Vec<_>>()
    });
    // The same ids choose floats.
    let floats: Vec<f64> = (0..width).map(|i| i as f64).collect();
    let f32s = Probe::new(probe.tracked(), burn::tensor::DType::F32);
    let picked = f32s.tensor(&floats, [1, width]).expand([rows, width]).gather(1, index);
    probe.compare_each(picked, &ids.iter().map(|&id| id as f64).collect::<Vec<_>>());
}

pub fn booleans(probe: &mut Probe) {
    let (rows, width) = (129, 35);
    // Rows of nothing, of everything, and of one true value at the end.
    let bits: Vec<bool> = (0..rows * width).map(|i| [false, true, i % width + 1 == width][i / width % 3]).collect();
    let line = |row: usize| &bits[row * width..(row + 1) * width];
    let count = |row: usize| line(row).iter().filter(|&&bit| bit).count();
    let each = |f: &dyn Fn(usize) -> bool| (0..rows).map(f).collect::<Vec<_>>();
    let mask = || probe.mask(&bits, [rows, width]);
    let (any, all, inverse) = (mask().any_dim(1), mask().all_dim(1), mask().bool_not());
    let (some, every, none) = (mask().any(), mask().all(), mask().bool_and(mask().bool_not()).any());
    let ints = mask().int().sum_dim(1);
    let floats = mask().cast(burn::tensor::FloatDType::F32).sum_dim(1);
    let where_one = Tensor::<2>::ones_like(&floats).greater(floats.clone());
    probe.compare_bools(any, &each(&|row| count(row) > 0));
    probe.compare_bools(all, &each(&|row| count(row) == width));
    probe.compare_bools(inverse, &bits.iter().map(|bit| !bit).collect::<Vec<_>>());
    probe.compare_bools(some, &[true]);
    probe.compare_bools(every, &[false]);
    probe.compare_bools(none, &[false]);
    probe.compare_ints(ints, &(0..rows).map(|row| count(row) as i64).collect::<Vec<_>>());
    probe.compare_each(floats, &(0..rows).map(|row| count(row) as f64).collect::<Vec<_>>());
    probe.compare_bools(where_one, &each(&|row| count(row) == 0));
}
