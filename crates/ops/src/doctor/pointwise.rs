//! Element by element: functions, broadcasts, masks, casts.

use burn::tensor::{DType, FloatDType, Tensor};

use super::probe::Probe;
use crate::stable::softplus;

pub fn functions(probe: &mut Probe) {
    type Pair = (fn(Tensor<1>) -> Tensor<1>, fn(f64) -> f64);
    let functions: [Pair; 4] = [
        (|x| x.exp(), f64::exp),
        (|x| x.exp().log(), |x| x),
        (|x| x.exp().sqrt(), |x| (x / 2.0).exp()),
        (|x| x.exp().recip(), |x| (-x).exp()),
    ];
    let x = probe.noise(1, 1_001, -10.0, 10.0);
    for (on_device, on_host) in functions {
        let got = on_device(probe.tensor(&x, [x.len()]));
        probe.compare(got, &x.iter().map(|&x| on_host(x)).collect::<Vec<_>>());
    }
}

/// The small ones are whole losses of well-ranked pairs; `log(1 + exp(x))` would give 0 for them.
pub fn softplus_tails(probe: &mut Probe) {
    let mut x = probe.round(vec![-1e4, -80.0, -40.0, -17.0, -1e-3, 0.0, 1e-8, 0.1, 17.0, 41.0, 300.0, 1e4]);
    x.extend(probe.noise(2, 301, -30.0, 30.0));
    let leaf = probe.leaf(&x, [x.len()]);
    let y = softplus(leaf.clone());
    let grads = probe.backward(y.clone(), &vec![1.0; x.len()]);
    probe.compare_each(y, &x.iter().map(|x| x.max(0.0) + (-x.abs()).exp().ln_1p()).collect::<Vec<_>>());
    let slope = |x: &f64| x.min(0.0).exp() / (1.0 + (-x.abs()).exp());
    probe.compare_each(leaf.grad(&grads).expect("a gradient"), &x.iter().map(slope).collect::<Vec<_>>());
}

/// Small integers, whose sums are exact. `[n, 1] + [1, m]`, and through three dimensions.
pub fn broadcast(probe: &mut Probe) {
    let whole = |n: usize, step: usize| (0..n).map(|i| (i * step % 101) as f64).collect::<Vec<_>>();
    for (n, m) in [(1, 7), (5, 1), (5, 7), (257, 129)] {
        let (a, b) = (whole(n, 7), whole(m, 13));
        let expected: Vec<_> = a.iter().flat_map(|a| b.iter().map(move |b| a + b)).collect();
        let (column, row) = (probe.tensor(&a, [n, 1]), probe.tensor(&b, [1, m]));
        probe.compare_each(column.clone() + row.clone(), &expected);
        let deep = column.unsqueeze_dim::<3>(0).expand([2, n, 1]) + row.unsqueeze_dim::<3>(0);
        probe.compare_each(deep, &[expected.clone(), expected].concat());
    }
}

/// NaN behind a mask must reach neither a value nor a gradient.
pub fn masks(probe: &mut Probe) {
    let shape = [7, 33];
    let keep: Vec<bool> = (0..7 * 33).map(|i| i % 3 != 1).collect();
    let x: Vec<f64> = keep.iter().enumerate().map(|(i, &keep)| if keep { (i % 50) as f64 } else { f64::NAN }).collect();
    let other: Vec<f64> = (0..x.len()).map(|i| (i % 11) as f64).collect();
    let pick = |kept: &dyn Fn(usize) -> f64, dropped: &dyn Fn(usize) -> f64| {
        keep.iter().enumerate().map(|(i, &keep)| if keep { kept(i) } else { dropped(i) }).collect::<Vec<_>>()
    };
    let weights: Vec<f64> = (0..x.len()).map(|i| (i % 5) as f64).collect();
    let drop = probe.mask(&keep, shape).bool_not();

    let leaf = probe.leaf(&x, shape);
    let filled = (leaf.clone() * 3.0).mask_fill(drop.clone(), 0.0);
    let grads = probe.backward(filled.clone(), &weights);
    probe.compare_each(filled, &pick(&|i| 3.0 * x[i], &|_| 0.0));
    probe.compare_each(leaf.grad(&grads).expect("a gradient"), &pick(&|i| 3.0 * weights[i], &|_| 0.0));

    let (leaf, second) = (probe.leaf(&x, shape), probe.leaf(&other, shape));
    let chosen = (leaf.clone() * 3.0).mask_where(drop, second.clone() * 2.0);
    let grads = probe.backward(chosen.clone(), &weights);
    probe.compare_each(chosen, &pick(&|i| 3.0 * x[i], &|i| 2.0 * other[i]));
    probe.compare_each(leaf.grad(&grads).expect("a gradient"), &pick(&|i| 3.0 * weights[i], &|_| 0.0));
    probe.compare_each(second.grad(&grads).expect("a gradient"), &pick(&|_| 0.0, &|i| 2.0 * weights[i]));
}

/// From f32 to the dtype and back, relative to each number.
pub fn round_trip(probe: &mut Probe) {
    let wide = Probe::new(probe.tracked(), DType::F32);
    let x = [wide.noise(3, 1_001, -3.0, 3.0), wide.noise(4, 100, 1e9, 1e10), wide.noise(5, 100, 1e-10, 1e-9)].concat();
    let there = wide.tensor(&x, [x.len()]).cast(probe.dtype());
    probe.compare_each(there.cast(FloatDType::F32), &x);
}
