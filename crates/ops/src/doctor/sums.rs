//! What shortens a tensor: sums, means, maxima; and what runs along it: cumulative sums, sorting.

use burn::tensor::Tensor;

use super::probe::Probe;
use crate::masked::masked_mean;

/// Long, and not a multiple of anything a kernel likes.
const LONG: [[usize; 2]; 2] = [[1, 50_257], [3, 32_771]];

/// Longer than some drivers can count: Mesa's llvmpipe silently ends the loops of a shader after 65535 rounds, and
/// sums, means and maxima of longer rows leave out the rest.
const BEYOND_65535: [[usize; 2]; 2] = [[1, 100_003], [3, 65_537]];

pub fn rows(probe: &mut Probe) {
    sums_of_rows(probe, LONG);
}

pub fn columns(probe: &mut Probe) {
    sums_of_columns(probe, LONG);
}

pub fn maxima(probe: &mut Probe) {
    maxima_of(probe, LONG);
}

pub fn beyond_65535(probe: &mut Probe) {
    sums_of_rows(probe, BEYOND_65535);
    sums_of_columns(probe, BEYOND_65535);
    maxima_of(probe, BEYOND_65535);
}

fn sums_of_rows(probe: &mut Probe, shapes: [[usize; 2]; 2]) {
    for [n, long] in shapes {
        let x = probe.noise(1, n * long, 0.0, 2.0);
        let sums: Vec<f64> = x.chunks(long).map(|row| row.iter().sum()).collect();
        totals(probe, probe.tensor(&x, [n, long]), 1, long, &sums);
    }
}

fn sums_of_columns(probe: &mut Probe, shapes: [[usize; 2]; 2]) {
    for [n, long] in shapes {
        let x = probe.noise(2, long * n, 0.0, 2.0);
        let sums: Vec<f64> = (0..n).map(|column| x.iter().skip(column).step_by(n).sum()).collect();
        totals(probe, probe.tensor(&x, [long, n]), 0, long, &sums);
    }
}

fn totals(probe: &mut Probe, x: Tensor<2>, dim: usize, long: usize, sums: &[f64]) {
    probe.compare(x.clone().sum_dim(dim), sums);
    probe.compare(x.clone().mean_dim(dim), &sums.iter().map(|sum| sum / long as f64).collect::<Vec<_>>());
    probe.compare(x.sum(), &[sums.iter().sum()]);
}

/// The maximum at the very end, at the start and in the middle.
fn maxima_of(probe: &mut Probe, shapes: [[usize; 2]; 2]) {
    for [n, long] in shapes {
        let at = |row: usize| [long - 1, 0, long / 2][row % 3];
        let mut x = probe.noise(3, n * long, -2.0, 1.0);
        (0..n).for_each(|row| x[row * long + at(row)] = 1.5 + row as f64);
        let (values, places): (Vec<f64>, Vec<i64>) = (0..n).map(|row| (1.5 + row as f64, at(row) as i64)).unzip();
        let rows = probe.tensor(&x, [n, long]);
        let columns = rows.clone().transpose();
        for (x, dim) in [(rows, 1), (columns.clone(), 0), (columns * 1.0, 0)] {
            probe.compare_each(x.clone().max_dim(dim), &values);
            probe.compare_ints(x.argmax(dim), &places);
        }
    }
}

/// Along rows and along columns; the gradient is a cumulative sum from the other end.
pub fn cumulative(probe: &mut Probe) {
    let [n, m] = [3, 1_001];
    let (x, weights) = (probe.noise(4, n * m, 0.0, 2.0), probe.noise(5, n * m, 0.5, 1.5));
    for (shape, dim) in [([n, m], 1), ([m, n], 0)] {
        let leaf = probe.leaf(&x, shape);
        let y = leaf.clone().cumsum(dim);
        let grads = probe.backward(y.clone(), &weights);
        // Distance in memory between neighbors along `dim`.
        let step = if dim == 1 { 1 } else { n };
        let starts = || (0..n).map(|line| if dim == 1 { line * m } else { line });
        let (mut sums, mut rest) = (x.clone(), weights.clone());
        for start in starts() {
            for i in 1..m {
                sums[start + i * step] += sums[start + (i - 1) * step];
                rest[start + (m - 1 - i) * step] += rest[start + (m - i) * step];
            }
        }
        probe.compare(y, &sums);
        probe.compare_grad(&leaf, &grads, &rest);
    }
}

/// Rows that keep some, all and nothing, with NaN where nothing is kept.
pub fn masked(probe: &mut Probe) {
    let [n, m] = [9, 130];
    let keep: Vec<bool> = (0..n * m).map(|i| [i % 3 == 0, true, false][i / m % 3]).collect();
    let mut x = probe.noise(6, n * m, -1.0, 3.0);
    x.iter_mut().zip(&keep).filter(|(_, keep)| !**keep).for_each(|(x, _)| *x = f64::NAN);
    let weights = probe.noise(7, n, 0.5, 1.5);
    let leaf = probe.leaf(&x, [n, m]);
    let mean = masked_mean(leaf.clone(), probe.mask(&keep, [n, m])).expect("equal shapes");
    let grads = probe.backward(mean.clone(), &weights);
    let (mut means, mut slopes) = (vec![0.0; n], vec![0.0; n * m]);
    for row in 0..n {
        let kept = (row * m..(row + 1) * m).filter(|&i| keep[i]);
        let count = kept.clone().count().max(1) as f64;
        means[row] = kept.clone().map(|i| x[i]).sum::<f64>() / count;
        kept.for_each(|i| slopes[i] = weights[row] / count);
    }
    probe.compare(mean, &means);
    probe.compare_grad(&leaf, &grads, &slopes);
}

pub fn sorted(probe: &mut Probe) {
    for [n, m] in [[1, 5_003], [3, 1_001]] {
        // Distinct: whole numbers, shuffled by a stride.
        let x: Vec<f64> = (0..n * m).map(|i| (i % m * 389 % m) as f64 - 100.0).collect();
        let rising: Vec<f64> = (0..n * m).map(|i| (i % m) as f64 - 100.0).collect();
        let falling: Vec<f64> = (0..n * m).map(|i| (m - 1 - i % m) as f64 - 100.0).collect();
        let mut places = vec![0; n * m];
        (0..n * m).for_each(|i| places[i / m * m + i % m * 389 % m] = (i % m) as i64);
        let tensor = probe.tensor(&x, [n, m]);
        let (values, ids) = tensor.clone().sort_with_indices(1);
        probe.compare_each(values, &rising);
        probe.compare_ints(ids, &places);
        probe.compare_ints(tensor.clone().argsort(1), &places);
        probe.compare_each(tensor.clone().sort_descending(1), &falling);
        let sorted = tensor.clone().gather(1, tensor.argsort(1));
        probe.compare_each(sorted, &rising);
    }
}

/// `x g / √(mean x² + ε)`: a reduction whose result is broadcast back, which fusion takes whole.
pub fn rms_norm(probe: &mut Probe) {
    const EPS: f64 = 1e-5;
    for [n, m] in [[9, 67], [64, 256]] {
        let (x, g) = (probe.noise(8, n * m, -2.0, 2.0), probe.noise(9, m, 0.5, 1.5));
        let weights = probe.noise(10, n * m, 0.5, 1.5);
        let (input, gain) = (probe.leaf(&x, [n, m]), probe.leaf(&g, [1, m]));
        let scale = (input.clone().square().mean_dim(1) + EPS).sqrt().recip();
        let y = input.clone() * scale * gain.clone();
        let grads = probe.backward(y.clone(), &weights);
        let (mut values, mut by_x, mut by_g) = (vec![0.0; n * m], vec![0.0; n * m], vec![0.0; m]);
        for row in 0..n {
            let at = |j: usize| row * m + j;
            let r = 1.0 / ((0..m).map(|j| x[at(j)].powi(2)).sum::<f64>() / m as f64 + EPS).sqrt();
            let pull = (0..m).map(|j| weights[at(j)] * g[j] * x[at(j)]).sum::<f64>() * r.powi(3) / m as f64;
            for j in 0..m {
                values[at(j)] = x[at(j)] * r * g[j];
                by_x[at(j)] = r * weights[at(j)] * g[j] - pull * x[at(j)];
                by_g[j] += weights[at(j)] * x[at(j)] * r;
            }
        }
        probe.compare(y, &values);
        probe.compare_grad(&input, &grads, &by_x);
        probe.compare_grad(&gain, &grads, &by_g);
    }
}
