//! The row kernels in a backend's own operations: what the direct ones are compared with, and what runs where there is
//! none. It takes a few buffers the size of its tile.

use burn::backend::{
    Backend, TensorMetadata, get_or_init_device_settings,
    tensor::{FloatTensor, IntTensor},
};

use super::prim::{Matrix, floats, wide};
use super::{COEFS, DIVERGENCE, STATE, lowest};

/// Where each id lies in these columns, `[rows, 1]` within them, and whether it lies outside.
fn local<B: Backend>(
    ids: IntTensor<B>,
    offset: usize,
    columns: usize,
) -> (IntTensor<B>, burn::backend::tensor::BoolTensor<B>) {
    let bools = get_or_init_device_settings::<B>(&ids.device()).bool_dtype;
    let rows = ids.shape()[0];
    let index = B::int_sub_scalar(B::int_reshape(ids, [rows, 1].into()), (offset as i64).into());
    let before = B::int_lower_elem(index.clone(), 0i64.into(), bools);
    let behind = B::int_greater_equal_elem(index.clone(), (columns as i64).into(), bools);
    (B::int_clamp(index, 0i64.into(), (columns as i64 - 1).into()), B::bool_or(before, behind))
}

/// Columns that are added up at a time: some backends take a row one by one, and 70 000 exponentials in f32 then are off
/// by 5e-5.
const BLOCK: usize = 1024;

/// The sum of each row, `[rows, 1]`.
fn total<B: Backend>(x: Matrix<B>) -> Matrix<B> {
    let columns = x.dims()[1];
    if columns <= BLOCK {
        return x.sum(1);
    }
    let blocks = (0..columns).step_by(BLOCK).map(|start| x.columns(start..columns.min(start + BLOCK)).sum(1));
    Matrix::stack(blocks, 1).sum(1)
}

pub(crate) fn row_stats<B: Backend>(
    logits: FloatTensor<B>,
    ids: IntTensor<B>,
    state: FloatTensor<B>,
    offset: usize,
    scale: f64,
) -> FloatTensor<B> {
    let before = Matrix::<B>(state);
    let dtype = before.dtype();
    let x = Matrix::<B>(logits).cast(dtype).scale(scale);
    let [rows, columns] = x.dims();
    let first = x.argmax();
    let max = x.clone().gather(first.clone()).at_least(lowest(dtype));
    let gap = x.clone() - max.clone();
    let exp = gap.clone().exp();
    let gap = gap.fill(exp.equals(0.0), 0.0);
    let (index, outside) = local::<B>(ids, offset, columns);
    let here = [
        max,
        total(exp.clone()),
        total(gap * exp.clone()),
        total(exp.clone() * exp),
        x.clone().gather(index).fill(outside, 0.0),
        floats::<B>(first, dtype).plus(offset as f64),
        total(x),
    ]
    .map(|column| column.reshape([1, rows]));
    merge(std::array::from_fn(|i| before.row(i)), here).0
}

/// The state of two sets of columns together.
fn merge<B: Backend>(a: [Matrix<B>; STATE], b: [Matrix<B>; STATE]) -> Matrix<B> {
    let higher = b[0].above(&a[0]);
    let max = a[0].clone().or(higher.clone(), b[0].clone());
    // How each side looks from the common maximum.
    let moved = |side: &[Matrix<B>; STATE]| {
        let gap = side[0].clone() - max.clone();
        let factor = gap.clone().exp();
        // Masked logits can be as low as numbers go: their gap times their count overflows, and weighs nothing.
        let gap = gap.fill(factor.equals(0.0), 0.0);
        let sum = side[1].clone() * factor.clone();
        let dot = (side[2].clone() + gap * side[1].clone()) * factor.clone();
        [sum, dot, side[3].clone() * factor.clone() * factor]
    };
    let ([sum_a, dot_a, squares_a], [sum_b, dot_b, squares_b]) = (moved(&a), moved(&b));
    let [_, _, _, _, picked_a, first_a, total_a] = a;
    let [_, _, _, _, picked_b, first_b, total_b] = b;
    Matrix::stack(
        [
            max,
            sum_a + sum_b,
            dot_a + dot_b,
            squares_a + squares_b,
            picked_a + picked_b,
            first_a.or(higher, first_b),
            total_a + total_b,
        ],
        0,
    )
}

/// `log p` of scaled logits from two rows of `source`: the maximum and the log-sum.
fn log_probs<B: Backend>(x: Matrix<B>, source: &Matrix<B>, first: usize) -> Matrix<B> {
    let rows = x.dims()[0];
    let column = |index: usize| source.row(index).reshape([rows, 1]);
    x - column(first) - column(first + 1)
}

pub(crate) fn row_grads<B: Backend>(
    logits: FloatTensor<B>,
    ids: IntTensor<B>,
    coefs: FloatTensor<B>,
    offset: usize,
    scale: f64,
    inverse_cap: f64,
) -> FloatTensor<B> {
    let coefs = Matrix::<B>(coefs);
    let narrow = logits.dtype();
    let raw = Matrix::<B>(logits).cast(coefs.dtype());
    let [rows, columns] = raw.dims();
    let column = |index: usize| coefs.row(index).reshape([rows, 1]);
    let idle = (2..COEFS).map(|index| column(index).abs()).reduce(|a, b| a + b).expect("four of them").equals(0.0);
    let raw = raw.fill(B::bool_expand(idle, [rows, columns].into()), 0.0);
    let log_p = log_probs(raw.clone().scale(scale), &coefs, 0);
    let p = log_p.clone().exp();
    let absent = p.equals(0.0);
    let log_p = log_p.fill(absent, 0.0);
    let grads = p.clone() * (column(2) + column(3) * log_p + column(4) * p);
    let (index, outside) = local::<B>(ids, offset, columns);
    let picked = column(5).fill(outside, 0.0);
    let grads = Matrix::<B>(B::float_scatter(1, grads.0, index, picked.0, burn::tensor::IndexingUpdateOp::Add));
    let grads = match inverse_cap {
        0.0 => grads,
        _ => grads * (raw.clone() * raw).scale(-1.0).plus(1.0).scale(inverse_cap),
    };
    grads.scale(scale).cast(narrow).0
}

pub(crate) fn kl_rows<B: Backend>(
    policy: FloatTensor<B>,
    reference: FloatTensor<B>,
    scale: f64,
    forward: bool,
) -> FloatTensor<B> {
    let dtype = wide(policy.dtype());
    let rows = policy.shape()[0];
    let normalizer = |logits: FloatTensor<B>| {
        let x = Matrix::<B>(logits).cast(dtype).scale(scale);
        let max = x.clone().gather(x.argmax()).at_least(lowest(dtype));
        let sum = total((x.clone() - max.clone()).exp());
        let dead = sum.equals(0.0);
        // Where there is no probability, 0 leaves `log p` at −∞.
        let log_sum = sum.log().fill(dead.clone(), 0.0);
        let factor = Matrix::full([rows, 1], 1.0, dtype, &x.0.device()).fill(dead, 0.0);
        (x - max.clone() - log_sum.clone(), max, log_sum, factor)
    };
    let (log_p, max_p, sum_p, factor_p) = normalizer(policy);
    let (log_q, max_q, sum_q, factor_q) = normalizer(reference);
    let (weight, other, factor) = if forward { (log_q, log_p, factor_q) } else { (log_p, log_q, factor_p) };
    let p = weight.clone().exp();
    let absent = p.equals(0.0);
    let kl = total((p * (weight - other)).fill(absent, 0.0));
    let columns: [Matrix<B>; DIVERGENCE] = [kl, max_p, sum_p, max_q, sum_q, factor];
    Matrix::stack(columns.map(|column| column.reshape([1, rows])), 0).0
}

pub(crate) fn kl_row_grads<B: Backend>(
    policy: FloatTensor<B>,
    reference: FloatTensor<B>,
    rows: FloatTensor<B>,
    scale: f64,
    forward: bool,
) -> FloatTensor<B> {
    let rows = Matrix::<B>(rows);
    let narrow = policy.dtype();
    let x = Matrix::<B>(policy).cast(rows.dtype()).scale(scale);
    let y = Matrix::<B>(reference).cast(rows.dtype()).scale(scale);
    let n = x.dims()[0];
    let column = |index: usize| rows.row(index).reshape([n, 1]);
    let (log_p, log_q) = (log_probs(x, &rows, 1), log_probs(y, &rows, 3));
    let p = log_p.clone().exp();
    let grads = if forward {
        p - log_q.exp()
    } else {
        let absent = p.equals(0.0);
        (p * (log_p - log_q - column(0))).fill(absent, 0.0)
    };
    // A row that nobody asks for has gradient 0, infinite as its divergence may be.
    let idle = B::bool_expand(column(5).equals(0.0), grads.0.shape());
    (grads * column(5)).fill(idle, 0.0).scale(scale).cast(narrow).0
}
