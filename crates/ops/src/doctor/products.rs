//! Matrix products, and heads as narrow as a reward model's.

use burn::tensor::{Tensor, module::linear};

use super::probe::Probe;

/// `[m, k] · [k, n]`, row by row.
pub fn matmul(a: &[f64], b: &[f64], [m, k, n]: [usize; 3]) -> Vec<f64> {
    let mut out = vec![0.0; m * n];
    for (row, sums) in a.chunks(k).zip(out.chunks_mut(n)) {
        for (a, b) in row.iter().zip(b.chunks(n)) {
            sums.iter_mut().zip(b).for_each(|(sum, b)| *sum += a * b);
        }
    }
    out
}

/// `[m, n]` to `[n, m]`.
pub fn transposed(a: &[f64], n: usize) -> Vec<f64> {
    (0..n).flat_map(|column| a.iter().skip(column).step_by(n).copied()).collect()
}

pub fn square(probe: &mut Probe) {
    for n in [17, 64, 129] {
        let (a, b) = (probe.noise(1, n * n, -1.0, 1.0), probe.noise(2, n * n, -1.0, 1.0));
        let got = probe.tensor(&a, [n, n]).matmul(probe.tensor(&b, [n, n]));
        probe.compare(got, &matmul(&a, &b, [n; 3]));
    }
}

/// `a · bᵀ` for each of six matrices, as attention scores are made.
pub fn batched(probe: &mut Probe) {
    let (m, k, n) = (33, 16, 35);
    let (a, b) = (probe.noise(3, 6 * m * k, -1.0, 1.0), probe.noise(4, 6 * n * k, -1.0, 1.0));
    let got = probe.tensor(&a, [2, 3, m, k]).matmul(probe.tensor(&b, [2, 3, n, k]).swap_dims(2, 3));
    let each = a.chunks(m * k).zip(b.chunks(n * k)).flat_map(|(a, b)| matmul(a, &transposed(b, k), [m, k, n]));
    probe.compare(got, &each.collect::<Vec<_>>());
}

/// Rows and widths of heads; burn's issue 5122 needs few rows and `[4, 3]` is its own example.
const HEADS: [(usize, usize); 8] = [(1, 64), (2, 3), (3, 65), (4, 3), (7, 64), (64, 256), (129, 65), (1_000, 64)];

/// A product that is a vector, followed by an addition so that fusion takes both.
pub fn vectors(probe: &mut Probe) {
    let twice = |x: Tensor<2>| x.clone() + x;
    for (n, k) in HEADS {
        let (a, v) = (probe.noise(5, n * k, -1.0, 1.0), probe.noise(6, k, -1.0, 1.0));
        let expected: Vec<_> = matmul(&a, &v, [n, k, 1]).iter().map(|x| 2.0 * x).collect();
        let matrix = probe.tensor(&a, [n, k]);
        probe.compare(twice(matrix.clone().matmul(probe.tensor(&v, [k, 1]))), &expected);
        probe.compare(twice(matrix.clone().matmul(probe.tensor(&v, [1, k]).transpose())), &expected);
        probe.compare(twice(probe.tensor(&v, [1, k]).matmul(matrix.transpose())), &expected);
    }
}

pub fn head_of_one(probe: &mut Probe) {
    head(probe, 1, false);
}

pub fn head_of_one_gradients(probe: &mut Probe) {
    head(probe, 1, true);
}

pub fn head_of_two(probe: &mut Probe) {
    head(probe, 2, false);
}

pub fn head_of_two_gradients(probe: &mut Probe) {
    head(probe, 2, true);
}

/// `3 (x · w + b)` or its gradients by `x`, `w` and `b`.
fn head(probe: &mut Probe, width: usize, gradients: bool) {
    for (n, k) in HEADS {
        let (x, w) = (probe.noise(7, n * k, -1.0, 1.0), probe.noise(8, k * width, -1.0, 1.0));
        let b = probe.noise(9, width, 1.0, 2.0);
        if !gradients {
            let (input, weight) = (probe.tensor(&x, [n, k]), probe.tensor(&w, [k, width]));
            let got = linear(input, weight, Some(probe.tensor(&b, [width]))) * 3.0;
            let product = matmul(&x, &w, [n, k, width]);
            let expected: Vec<_> = product.iter().enumerate().map(|(i, xw)| 3.0 * (xw + b[i % width])).collect();
            probe.compare(got, &expected);
            continue;
        }
        let (input, weight) = (probe.leaf(&x, [n, k]), probe.leaf(&w, [k, width]));
        let bias = probe.leaf(&b, [width]);
        let out = linear(input.clone(), weight.clone(), Some(bias.clone())) * 3.0;
        let seeds = probe.noise(10, n * width, 0.5, 1.5);
        let grads = probe.backward(out, &seeds);
        let upstream: Vec<_> = seeds.iter().map(|seed| 3.0 * seed).collect();
        probe.compare_grad(&input, &grads, &matmul(&upstream, &transposed(&w, width), [n, width, k]));
        probe.compare_grad(&weight, &grads, &matmul(&transposed(&x, k), &upstream, [k, n, width]));
        probe.compare_grad(&bias, &grads, &matmul(&vec![1.0; n], &upstream, [1, n, width]));
    }
}
