//! Who owns which numbers: clones, views, the autodiff graph.

use burn::tensor::Tensor;

use super::probe::Probe;

/// Operations that may write into their argument must not when a clone of it lives.
pub fn clones(probe: &mut Probe) {
    let shape = [17, 33];
    let x: Vec<f64> = (0..17 * 33).map(|i| (i % 61) as f64).collect();
    let drop: Vec<bool> = (0..x.len()).map(|i| i % 4 == 0).collect();
    let map = |f: &dyn Fn(usize) -> f64| (0..x.len()).map(f).collect::<Vec<_>>();

    let (mask, zeros) = (probe.mask(&drop, shape), probe.tensor(&[0.0; 33], [1, 33]));
    let case = |change: &dyn Fn(Tensor<2>) -> Tensor<2>, expected: &dyn Fn(usize) -> f64| {
        let kept = probe.tensor(&x, shape);
        (kept.clone(), change(kept), map(expected))
    };
    let cases = [
        case(&|x| x * 2.0, &|i| 2.0 * x[i]),
        case(&|x| x.clone() + x, &|i| 2.0 * x[i]),
        case(&|x| x.neg(), &|i| -x[i]),
        case(&|x| x.mask_fill(mask.clone(), -1.0), &|i| if drop[i] { -1.0 } else { x[i] }),
        case(&|x| x.slice_assign([0..1, 0..33], zeros.clone()), &|i| if i < 33 { 0.0 } else { x[i] }),
        case(&|x| x.transpose().mul_scalar(3.0).transpose(), &|i| 3.0 * x[i]),
    ];
    for (kept, changed, expected) in cases {
        probe.compare_each(changed, &expected);
        probe.compare_each(kept, &x);
    }
    // A view of rows 2 and 3, after the whole has changed.
    let whole = probe.tensor(&x, shape);
    let rows = whole.clone().narrow(0, 2, 2);
    let changed = whole.mul_scalar(5.0);
    probe.compare_each(rows, &x[66..132]);
    probe.compare_each(changed, &map(&|i| 5.0 * x[i]));
}

/// Copies in another order; every number tells where it came from.
pub fn layouts(probe: &mut Probe) {
    let (shape, at) = ([4, 5, 6], |i: usize, j: usize, k: usize| ((i * 5 + j) * 6 + k) as f64);
    let every = |f: &dyn Fn(usize, usize, usize) -> f64| {
        let indices = (0..120).map(|flat| (flat / 30, flat / 6 % 5, flat % 6));
        indices.map(|(i, j, k)| f(i, j, k)).collect::<Vec<_>>()
    };
    let x = probe.tensor(&every(&at), shape);
    let swapped = x.clone().swap_dims(0, 2).reshape([6, 20]);
    probe.compare_each(swapped, &(0..120).map(|flat| at(flat % 4, flat / 4 % 5, flat / 20)).collect::<Vec<_>>());
    let turned = Tensor::cat(vec![x.clone().narrow(1, 3, 2), x.clone().narrow(1, 0, 3)], 1);
    probe.compare_each(turned, &every(&|i, j, k| at(i, (j + 3) % 5, k)));
    probe.compare_each(x.clone().flip([0, 2]), &every(&|i, j, k| at(3 - i, j, 5 - k)));
    let hole = x.clone().slice_assign([1..3, 0..5, 2..4], x.zeros_like().narrow(0, 0, 2).narrow(2, 0, 2));
    let inside = |i: usize, k: usize| (1..3).contains(&i) && (2..4).contains(&k);
    probe.compare_each(hole, &every(&|i, j, k| if inside(i, k) { 0.0 } else { at(i, j, k) }));
}

/// A plain tensor put on autodiff, moved, mixed with a plain constant and with a detached copy of itself.
pub fn autodiff_flow(probe: &mut Probe) {
    let (n, whole) = (101, |i: usize, m: usize| (i % m) as f64 - 2.0);
    let x: Vec<f64> = (0..n).map(|i| whole(i, 7)).collect();
    let c: Vec<f64> = (0..n).map(|i| whole(i, 5)).collect();
    let leaf = probe.tensor(&x, [n]).autodiff().require_grad();
    let moved = (leaf.clone() * probe.tensor(&c, [n])).to_device(probe.tracked());
    // y = cx · stop(cx) + x, so that dy/dx = c²x + 1.
    let y = moved.clone() * moved.detach() + leaf.clone();
    let both = || x.iter().zip(&c);
    let grads = probe.backward(y.clone(), &vec![1.0; n]);
    probe.compare_each(y.inner(), &both().map(|(x, c)| c * x * c * x + x).collect::<Vec<_>>());
    let grad = leaf.grad(&grads).expect("a gradient");
    probe.compare_each(grad, &both().map(|(x, c)| c * c * x + 1.0).collect::<Vec<_>>());
}
