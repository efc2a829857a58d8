//! From hidden states to log-probabilities and back, tile by tile of logits.
//!
//! The vocabulary is the outer loop: a tile of the head is cast once, and its gradient is finished before the next one
//! begins, so nothing the size of the head is accumulated. The rows are the inner loop; their states are small.

use std::ops::Range;

use burn::backend::{
    Backend, TensorMetadata,
    tensor::{FloatTensor, IntTensor},
};

use super::prim::{Matrix, floats, slice, wide};
use super::{Products, RowKernels, STATE, lowest};

/// The rows of an output, `[OUTPUT, n]`.
pub(crate) const OUTPUT: usize = 8;
pub(crate) const LOGPS: usize = 0;
pub(crate) const LSE: usize = 1;
pub(crate) const ENTROPY: usize = 2;
pub(crate) const LOG_SUM_SQ: usize = 3;
pub(crate) const IS_TOP1: usize = 4;
pub(crate) const MEAN_LOGIT: usize = 5;
const MAX: usize = 6;
const LOG_SUM: usize = 7;

/// How the logits are made and cut.
#[derive(Debug, Clone, Copy)]
pub struct Spec {
    /// 1 / temperature.
    pub inverse_temperature: f64,
    /// `cap · tanh(logits / cap)` before the temperature.
    pub softcap: Option<f64>,
    /// Rows of a tile.
    pub rows: usize,
    /// Columns of a tile.
    pub columns: usize,
    /// Whether the head has a bias.
    pub has_bias: bool,
    /// Whether one `[n, v]` buffer is kept from the forward to the backward pass.
    pub keeps_logits: bool,
}

impl Spec {
    /// What the row kernels multiply with.
    fn scale(&self) -> f64 {
        self.softcap.unwrap_or(1.0) * self.inverse_temperature
    }
}

/// What logits are made of: `[n, h]`, `[v, h]`, `[1, v]` and the ids, `[n]`.
#[derive(Debug, Clone)]
pub(crate) struct Linear<B: Backend> {
    pub hidden: FloatTensor<B>,
    pub weight: FloatTensor<B>,
    pub bias: Option<FloatTensor<B>>,
    pub ids: IntTensor<B>,
}

impl<B: Backend> Linear<B> {
    pub fn new(
        hidden: FloatTensor<B>,
        weight: FloatTensor<B>,
        bias: FloatTensor<B>,
        ids: IntTensor<B>,
        spec: &Spec,
    ) -> Self {
        Self { hidden, weight, bias: spec.has_bias.then_some(bias), ids }
    }

    fn dims(&self) -> [usize; 3] {
        [self.hidden.shape()[0], self.hidden.shape()[1], self.weight.shape()[0]]
    }

    fn dtype(&self) -> burn::tensor::DType {
        wide(self.hidden.dtype())
    }

    fn head(&self, tile: Range<usize>) -> (Matrix<B>, Option<Matrix<B>>) {
        let weight = Matrix::<B>(self.weight.clone()).rows(tile.clone()).cast(self.dtype());
        let bias = self.bias.clone().map(|bias| Matrix::<B>(bias).columns(tile).cast(self.dtype()));
        (weight, bias)
    }

    fn ids(&self, rows: Range<usize>) -> IntTensor<B> {
        if rows == (0..self.dims()[0]) { self.ids.clone() } else { B::int_slice(self.ids.clone(), &[slice(rows)]) }
    }
}

fn ranges(total: usize, step: usize) -> impl Iterator<Item = Range<usize>> + Clone {
    (0..total).step_by(step).map(move |start| start..(start + step).min(total))
}

/// A tile of logits before the temperature, `tanh` of them under a cap (which the scale makes up for); `into` is memory
/// to use again.
fn logits<B: Products>(
    hidden: Matrix<B>,
    (weight, bias): (Matrix<B>, Option<Matrix<B>>),
    spec: &Spec,
    into: Option<Matrix<B>>,
) -> Matrix<B> {
    let logits = Matrix(B::product(hidden.0, weight.t().0, into.map(|into| into.0), false));
    let logits = match bias {
        Some(bias) => logits + bias,
        None => logits,
    };
    match spec.softcap {
        Some(cap) => logits.scale(cap.recip()).tanh(),
        None => logits,
    }
}

fn start<B: Backend>(rows: usize, dtype: burn::tensor::DType, device: &B::Device) -> FloatTensor<B> {
    let max = Matrix::<B>::full([1, rows], lowest(dtype), dtype, device);
    Matrix::stack([max, Matrix::full([STATE - 1, rows], 0.0, dtype, device)], 0).0
}

/// The output, `[OUTPUT, n]`, and the logits if the plan and the caller keep them.
pub(crate) fn forward<B: RowKernels + Products>(
    linear: &Linear<B>,
    spec: &Spec,
    keep: bool,
) -> (FloatTensor<B>, Option<FloatTensor<B>>) {
    let [n, _, vocab] = linear.dims();
    let dtype = linear.dtype();
    let hidden = Matrix::<B>(linear.hidden.clone()).cast(dtype);
    let keep = keep && spec.keeps_logits;
    let (row_step, column_step) = if keep { (n, vocab) } else { (spec.rows, spec.columns) };
    let mut buffer: Option<Matrix<B>> = None;
    let mut states: Vec<_> =
        ranges(n, row_step).map(|rows| start::<B>(rows.len(), dtype, &hidden.0.device())).collect();
    for columns in ranges(vocab, column_step) {
        let head = linear.head(columns.clone());
        for (rows, state) in ranges(n, row_step).zip(&mut states) {
            let tile = logits(hidden.rows(rows.clone()), head.clone(), spec, buffer.take());
            buffer = Some(tile.clone());
            *state = B::row_stats(tile.0, linear.ids(rows), state.clone(), columns.start, spec.scale());
        }
    }
    let state = Matrix::stack(states.into_iter().map(Matrix), 1);
    (finish::<B>(&state, linear.ids.clone(), vocab), buffer.filter(|_| keep).map(|logits| logits.0))
}

/// The output of logits `[n, v]` that are there already.
pub(crate) fn logits_forward<B: RowKernels>(logits: FloatTensor<B>, ids: IntTensor<B>, scale: f64) -> FloatTensor<B> {
    let shape = logits.shape();
    let state = start::<B>(shape[0], wide(logits.dtype()), &logits.device());
    let state = B::row_stats(logits, ids.clone(), state, 0, scale);
    finish::<B>(&Matrix(state), ids, shape[1])
}

fn finish<B: Backend>(state: &Matrix<B>, ids: IntTensor<B>, vocab: usize) -> FloatTensor<B> {
    let [max, sum, dot, squares, picked, first, total] = std::array::from_fn(|i| state.row(i));
    let n = state.dims()[1];
    let log_sum = sum.clone().log();
    // A row of −∞ has no probability anywhere.
    let dead = sum.equals(0.0);
    let ids = floats::<B>(B::int_reshape(ids, [1, n].into()), state.dtype());
    let top = sum.clone().scale(0.0).fill(first.is(&ids), 1.0).fill(dead.clone(), 0.0);
    let rows: [Matrix<B>; OUTPUT] = [
        (picked - max.clone() - log_sum.clone()).fill(dead.clone(), f64::NEG_INFINITY),
        max.clone() + log_sum.clone(),
        (log_sum.clone() - dot.over(sum)).fill(dead.clone(), 0.0),
        (squares.log() - log_sum.clone().scale(2.0)).fill(dead, f64::NEG_INFINITY),
        top,
        total.scale((vocab as f64).recip()),
        max,
        log_sum,
    ];
    Matrix::stack(rows, 0).0
}

/// What the gradient of each row is made of, from the gradient of the output.
fn coefs<B: Backend>(output: &Matrix<B>, grads: &Matrix<B>) -> Matrix<B> {
    let dead = output.row(LSE).equals(f64::NEG_INFINITY);
    let grad = |row: usize| grads.row(row);
    // Nobody asks for the gradient of such a row: NaN in it goes nowhere.
    let asked = [LOGPS, LSE, ENTROPY, LOG_SUM_SQ].map(|row| grad(row).abs());
    let idle = asked.into_iter().reduce(|a, b| a + b).expect("four of them").equals(0.0);
    let entropy = output.row(ENTROPY);
    let squares = output.row(LOG_SUM_SQ).scale(-1.0).exp();
    // log p_id:  [j = id] - p_j              lse:        p_j
    // entropy:  -p_j (log p_j + H)           log Σ p²:   2 p_j (p_j / Σ p² - 1)
    let constant = grad(LSE) - grad(LOGPS) - grad(ENTROPY) * entropy - grad(LOG_SUM_SQ).scale(2.0);
    let rows = [
        output.row(MAX),
        output.row(LOG_SUM),
        constant,
        grad(ENTROPY).scale(-1.0),
        grad(LOG_SUM_SQ).scale(2.0) * squares,
        grad(LOGPS),
    ];
    Matrix::stack(rows.map(|row| row.fill(dead.clone(), 0.0).fill(idle.clone(), 0.0)), 0)
}

/// The gradients of hidden states, weight and bias, those that are `wanted`.
pub(crate) fn backward<B: RowKernels + Products>(
    linear: &Linear<B>,
    spec: &Spec,
    kept: Option<FloatTensor<B>>,
    output: FloatTensor<B>,
    grads: FloatTensor<B>,
    wanted: [bool; 3],
) -> [Option<FloatTensor<B>>; 3] {
    let [n, width, vocab] = linear.dims();
    let (dtype, device) = (linear.dtype(), linear.hidden.device());
    let narrow = linear.weight.dtype();
    let hidden = Matrix::<B>(linear.hidden.clone()).cast(dtype);
    let coefs = coefs(&Matrix::<B>(output), &Matrix(grads));
    // The gradient of a tile of logits, in its place.
    let tile_grads = |tile: Matrix<B>, rows: Range<usize>, column: usize| {
        let coefs = coefs.columns(rows.clone());
        let inverse_cap = spec.softcap.map_or(0.0, f64::recip);
        Matrix::<B>(B::row_grads(tile.0, linear.ids(rows), coefs.0, column, spec.scale(), inverse_cap))
    };
    let all = kept.map(|kept| tile_grads(Matrix(kept), 0..n, 0));
    let [want_hidden, want_weight, want_bias] = wanted;
    let mut for_hidden: Vec<Option<FloatTensor<B>>> = ranges(n, spec.rows).map(|_| None).collect();
    let mut for_weight: Option<Matrix<B>> = None;
    let mut for_bias = Vec::new();
    let (mut buffer, mut weight_buffer) = (None, None);
    for columns in ranges(vocab, spec.columns) {
        let head = linear.head(columns.clone());
        let (mut tile_weight, mut tile_bias) = (None, None);
        for (rows, for_hidden) in ranges(n, spec.rows).zip(&mut for_hidden) {
            let hidden = hidden.rows(rows.clone());
            let grads = match &all {
                Some(all) => all.rows(rows).columns(columns.clone()),
                None => {
                    let tile = logits(hidden.clone(), head.clone(), spec, buffer.take());
                    tile_grads(tile, rows, columns.start)
                }
            };
            if want_bias {
                let sum: Matrix<B> = grads.clone().sum(0);
                tile_bias = Some(match tile_bias {
                    Some(before) => sum + before,
                    None => sum,
                });
            }
            if want_weight {
                let add = tile_weight.is_some();
                let into = tile_weight.or_else(|| weight_buffer.take());
                tile_weight = Some(B::product(grads.clone().t().0, hidden.0, into, add));
            }
            if want_hidden {
                let add = for_hidden.is_some();
                *for_hidden = Some(B::product(grads.0.clone(), head.0.0.clone(), for_hidden.take(), add));
            }
            buffer = Some(grads);
        }
        for_bias.extend(tile_bias);
        if let Some(tile) = tile_weight {
            let part = Matrix::<B>(tile.clone()).cast(narrow);
            for_weight = Some(if columns == (0..vocab) {
                part
            } else {
                let all = for_weight.unwrap_or_else(|| Matrix::<B>::full([vocab, width], 0.0, narrow, &device));
                all.with_rows(columns, part)
            });
            weight_buffer = Some(tile);
        }
    }
    let for_hidden = want_hidden
        .then(|| Matrix::stack(for_hidden.into_iter().flatten().map(Matrix::<B>), 0).cast(linear.hidden.dtype()).0);
    let for_bias = want_bias.then(|| Matrix::stack(for_bias, 1).cast(narrow).0);
    [for_hidden, for_weight.map(|weight| weight.0), for_bias]
}

/// The gradient of logits that were there already.
pub(crate) fn logits_backward<B: RowKernels>(
    logits: FloatTensor<B>,
    ids: IntTensor<B>,
    scale: f64,
    output: FloatTensor<B>,
    grads: FloatTensor<B>,
) -> FloatTensor<B> {
    let coefs = coefs(&Matrix::<B>(output), &Matrix(grads));
    B::row_grads(logits, ids, coefs.0, 0, scale, 0.0)
}

/// The gradient of the policy's logits under a divergence.
pub(crate) fn kl_backward<B: RowKernels>(
    policy: FloatTensor<B>,
    reference: FloatTensor<B>,
    output: FloatTensor<B>,
    grads: FloatTensor<B>,
    scale: f64,
    forward: bool,
) -> FloatTensor<B> {
    let (output, grads) = (Matrix::<B>(output), Matrix::<B>(grads));
    let factor = grads.row(0) * output.row(super::DIVERGENCE - 1);
    let rows = Matrix::stack([output.rows(0..super::DIVERGENCE - 1), factor], 0);
    B::kl_row_grads(policy, reference, rows.0, scale, forward)
}
