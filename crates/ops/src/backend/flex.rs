//! The row kernels on the CPU: rows in parallel, columns in the widest vectors the machine has, each logit read once.

use std::ops::{Add, Mul, Sub};

use burn::backend::{
    Flex, TensorMetadata,
    ops::FloatTensorOps,
    tensor::{FloatTensor, IntTensor},
};
use burn::tensor::{DType, Element, Shape, TensorData, bf16, f16};
use rayon::prelude::*;

use super::gemm::{View, gemm};
use super::{COEFS, DIVERGENCE, Products, RowKernels, STATE};

/// Columns that are scaled, searched and summed together; they stay in the first-level cache.
const BLOCK: usize = 1024;

/// Partial sums kept side by side, so that the compiler can use vectors of any width up to this.
const LANES: usize = 16;

/// Precision of the sums of a block; the sums of a row are f64.
pub(super) trait Real:
    Element + bytemuck::Pod + PartialOrd + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self>
{
    const ZERO: Self;
    const ONE: Self;
    const LOWEST: Self;
    const NEG_INFINITY: Self;
    fn from_f64(x: f64) -> Self;
    fn to_f64(self) -> f64;
    /// `exp(x)` for `x` up to about 80, NaN for NaN.
    fn exp(self) -> Self;
}

impl Real for f64 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
    const LOWEST: Self = f64::MIN;
    const NEG_INFINITY: Self = f64::NEG_INFINITY;
    fn from_f64(x: f64) -> Self {
        x
    }
    fn to_f64(self) -> f64 {
        self
    }
    fn exp(self) -> Self {
        self.exp()
    }
}

impl Real for f32 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
    const LOWEST: Self = f32::MIN;
    const NEG_INFINITY: Self = f32::NEG_INFINITY;
    fn from_f64(x: f64) -> Self {
        x as f32
    }
    fn to_f64(self) -> f64 {
        f64::from(self)
    }

    /// `2^n exp(r)` with `x = n ln 2 + r`: Cody and Waite's reduction, then a polynomial; within 2 units in the last
    /// place of the standard library's, which the compiler cannot vectorize. Below -87.33 it is 0, not subnormal.
    #[inline(always)]
    fn exp(self) -> Self {
        const SHIFT: f32 = 12_582_912.0; // 1.5 · 2²³: adding it rounds to an integer, which its low bits then hold.
        const LN_2_HIGH: f32 = 0.693_359_4;
        const LN_2_LOW: f32 = -2.121_944_4e-4;
        let shifted = self * std::f32::consts::LOG2_E + SHIFT;
        let n = shifted - SHIFT;
        let r = (self - n * LN_2_HIGH) - n * LN_2_LOW;
        // The Taylor series, whose first missing term is 3e-9 relative at |r| = ln 2 / 2.
        let p = 1.0 / 5040.0;
        let p = p * r + 1.0 / 720.0;
        let p = p * r + 1.0 / 120.0;
        let p = p * r + 1.0 / 24.0;
        let p = p * r + 1.0 / 6.0;
        let p = p * r + 0.5;
        let p = (p * r) * r + r + 1.0;
        let power = f32::from_bits(shifted.to_bits().wrapping_sub(SHIFT.to_bits()).wrapping_add(127) << 23);
        if self < -87.33 { 0.0 } else { p * power }
    }
}

/// A logit as it is stored, and the precision its sums run in.
trait Logit: Element + bytemuck::Pod {
    type Wide: Real;
    fn widen(self) -> Self::Wide;
    fn narrow(wide: Self::Wide) -> Self;
}

macro_rules! logit {
    ($stored:ty, $wide:ty, $widen:expr, $narrow:expr) => {
        impl Logit for $stored {
            type Wide = $wide;
            #[inline(always)]
            fn widen(self) -> $wide {
                $widen(self)
            }
            #[inline(always)]
            fn narrow(wide: $wide) -> Self {
                $narrow(wide)
            }
        }
    };
}

logit!(f64, f64, |x| x, |x| x);
logit!(f32, f32, |x| x, |x| x);
logit!(bf16, f32, bf16::to_f32, bf16::from_f32);
logit!(f16, f32, f16::to_f32, f16::from_f32);

/// The state of one row; see [`STATE`].
#[derive(Clone, Copy)]
struct Row<T> {
    max: T,
    sum: f64,
    dot: f64,
    squares: f64,
    picked: f64,
    first: f64,
    total: f64,
}

impl<T: Real> Row<T> {
    /// Makes room for a larger maximum.
    fn raise(&mut self, max: T, column: usize) {
        let gap = self.max.to_f64() - max.to_f64();
        let factor = gap.exp();
        if self.sum > 0.0 {
            self.dot = (self.dot + gap * self.sum) * factor;
        }
        self.sum *= factor;
        self.squares *= factor * factor;
        (self.max, self.first) = (max, column as f64);
    }
}

#[inline(always)]
fn sum<T: Real>(lanes: [T; LANES]) -> f64 {
    lanes.iter().map(|x| x.to_f64()).sum()
}

/// Scaled logits of a block, in lanes; what is missing in the last is −∞, which counts for nothing.
#[inline(always)]
fn load<S: Logit>(block: &[S], scale: S::Wide, x: &mut [S::Wide; BLOCK]) -> usize {
    for (x, logit) in x.iter_mut().zip(block) {
        *x = logit.widen() * scale;
    }
    let padded = block.len().next_multiple_of(LANES);
    x[block.len()..padded].fill(S::Wide::NEG_INFINITY);
    padded
}

/// The largest of some lanes, the lowest finite number if there is none; NaN is passed over.
#[inline(always)]
fn largest<T: Real>(x: &[[T; LANES]]) -> T {
    let mut lanes = [T::LOWEST; LANES];
    for x in x {
        for l in 0..LANES {
            lanes[l] = if x[l] > lanes[l] { x[l] } else { lanes[l] };
        }
    }
    lanes.into_iter().fold(T::LOWEST, |max, x| if x > max { x } else { max })
}

#[inline(always)]
fn stats<S: Logit>(logits: &[S], id: i64, row: &mut Row<S::Wide>, offset: usize, scale: S::Wide) {
    let zero = S::Wide::ZERO;
    let mut x = [zero; BLOCK];
    for (i, block) in logits.chunks(BLOCK).enumerate() {
        let padded = load(block, scale, &mut x);
        let lanes = x[..padded].as_chunks::<LANES>().0;
        let max = largest(lanes);
        if max > row.max {
            let column = x.iter().position(|&x| x == max).unwrap_or(0);
            row.raise(max, offset + i * BLOCK + column);
        }
        let max = row.max;
        let (mut sums, mut dots, mut squares) = ([zero; LANES], [zero; LANES], [zero; LANES]);
        for x in lanes {
            for l in 0..LANES {
                let gap = x[l] - max;
                let exp = gap.exp();
                sums[l] = sums[l] + exp;
                dots[l] = dots[l] + if exp == zero { zero } else { gap * exp };
                squares[l] = squares[l] + exp * exp;
            }
        }
        row.sum += sum(sums);
        row.dot += sum(dots);
        row.squares += sum(squares);
        let (lanes, rest) = x[..block.len()].as_chunks::<LANES>();
        let mut totals = [zero; LANES];
        for x in lanes {
            for l in 0..LANES {
                totals[l] = totals[l] + x[l];
            }
        }
        row.total += sum(totals) + rest.iter().map(|x| x.to_f64()).sum::<f64>();
    }
    if let Some(logit) = usize::try_from(id - offset as i64).ok().and_then(|id| logits.get(id)) {
        row.picked += (logit.widen() * scale).to_f64();
    }
}

/// `max` and `Σ exp(x - max)` of a row, for a divergence.
#[inline(always)]
fn normalizer<S: Logit>(logits: &[S], scale: S::Wide) -> (S::Wide, f64) {
    let zero = S::Wide::ZERO;
    let (mut x, mut total, mut top) = ([zero; BLOCK], 0.0, S::Wide::LOWEST);
    for block in logits.chunks(BLOCK) {
        let padded = load(block, scale, &mut x);
        let lanes = x[..padded].as_chunks::<LANES>().0;
        let max = largest(lanes);
        if max > top {
            total *= (top.to_f64() - max.to_f64()).exp();
            top = max;
        }
        let mut sums = [zero; LANES];
        for x in lanes {
            for l in 0..LANES {
                sums[l] = sums[l] + (x[l] - top).exp();
            }
        }
        total += sum(sums);
    }
    (top, total)
}

/// `Σ p (log p - log q)` of two rows whose normalizers are known.
#[inline(always)]
fn divergence<S: Logit>(p: &[S], q: &[S], p_at: (S::Wide, S::Wide), q_at: (S::Wide, S::Wide), scale: S::Wide) -> f64 {
    let zero = S::Wide::ZERO;
    let term = |p: S, q: S| {
        let log_p = (p.widen() * scale - p_at.0) - p_at.1;
        let p = log_p.exp();
        let term = p * (log_p - ((q.widen() * scale - q_at.0) - q_at.1));
        if p == zero { zero } else { term }
    };
    let mut total = 0.0;
    for (p, q) in p.chunks(BLOCK).zip(q.chunks(BLOCK)) {
        let ((p, p_rest), (q, q_rest)) = (p.as_chunks::<LANES>(), q.as_chunks::<LANES>());
        let mut sums = [zero; LANES];
        for (p, q) in p.iter().zip(q) {
            for l in 0..LANES {
                sums[l] = sums[l] + term(p[l], q[l]);
            }
        }
        total += sum(sums) + p_rest.iter().zip(q_rest).map(|(p, q)| term(*p, *q).to_f64()).sum::<f64>();
    }
    total
}

/// A tensor's numbers in order; copies only what is not contiguous.
fn numbers<E: Element + bytemuck::Pod, R>(tensor: &FloatTensor<Flex>, read: impl FnOnce(&[E]) -> R) -> R {
    match tensor.as_slice::<E>() {
        Some(numbers) => read(numbers),
        None => read(tensor.to_contiguous().as_slice::<E>().expect("a contiguous tensor of this dtype")),
    }
}

fn host_ids(ids: IntTensor<Flex>) -> Vec<i64> {
    match ids.dtype() {
        DType::I32 => numbers::<i32, _>(&ids, |ids| ids.iter().map(|&id| i64::from(id)).collect()),
        _ => numbers::<i64, _>(&ids, <[i64]>::to_vec),
    }
}

fn tensor<T: Element>(numbers: Vec<T>, shape: impl Into<Shape>) -> FloatTensor<Flex> {
    Flex::float_from_data(TensorData::new(numbers, shape), &Default::default())
}

/// Runs a loop over columns with the widest vectors that this processor has.
fn vectorized<R>(arch: pulp::Arch, run: impl FnOnce() -> R) -> R {
    arch.dispatch(run)
}

fn row_stats<S: Logit>(
    logits: &FloatTensor<Flex>,
    ids: &[i64],
    state: &FloatTensor<Flex>,
    offset: usize,
    scale: f64,
) -> FloatTensor<Flex> {
    let (rows, columns) = (logits.shape()[0], logits.shape()[1]);
    let (arch, scale) = (pulp::Arch::new(), S::Wide::from_f64(scale));
    let mut state = numbers::<S::Wide, _>(state, <[S::Wide]>::to_vec);
    let known = |r: usize, i: usize| state[i * rows + r].to_f64();
    let found: Vec<Row<S::Wide>> = numbers::<S, _>(logits, |logits| {
        (0..rows)
            .into_par_iter()
            .map(|r| {
                let mut row = Row {
                    max: state[r],
                    sum: known(r, 1),
                    dot: known(r, 2),
                    squares: known(r, 3),
                    picked: known(r, 4),
                    first: known(r, 5),
                    total: known(r, 6),
                };
                let logits = &logits[r * columns..][..columns];
                vectorized(
                    arch,
                    #[inline(always)]
                    || stats(logits, ids[r], &mut row, offset, scale),
                );
                row
            })
            .collect()
    });
    for (r, row) in found.into_iter().enumerate() {
        let numbers = [row.max.to_f64(), row.sum, row.dot, row.squares, row.picked, row.first, row.total];
        for (i, number) in numbers.into_iter().enumerate() {
            state[i * rows + r] = S::Wide::from_f64(number);
        }
    }
    tensor(state, [STATE, rows])
}

/// Turns logits into gradients, row by row: in their own memory when nobody else holds it.
fn map_rows<S: Logit>(mut logits: FloatTensor<Flex>, map: impl Fn(usize, &mut [S]) + Sync) -> FloatTensor<Flex> {
    let shape = logits.shape();
    let columns = shape[1];
    if logits.is_contiguous()
        && logits.layout().start_offset() == 0
        && let Some(own) = logits.try_storage_mut::<S>()
        && own.len() == shape.num_elements()
    {
        own.par_chunks_mut(columns).enumerate().for_each(|(r, row)| map(r, row));
        return logits;
    }
    let mut grads = vec![S::narrow(S::Wide::ZERO); shape.num_elements()];
    numbers::<S, _>(&logits, |logits| {
        grads.par_chunks_mut(columns).zip(logits.par_chunks(columns)).enumerate().for_each(|(r, (row, logits))| {
            row.copy_from_slice(logits);
            map(r, row);
        });
    });
    tensor(grads, shape)
}

/// What turns the slope of a scaled logit into that of the stored one: the scale, and the derivative of a cap.
#[derive(Clone, Copy)]
struct Chain<T> {
    scale: T,
    inverse_cap: T,
}

impl<T: Real> Chain<T> {
    #[inline(always)]
    fn factor(self, stored: T) -> T {
        if self.inverse_cap == T::ZERO {
            self.scale
        } else {
            (T::ONE - stored * stored) * self.inverse_cap * self.scale
        }
    }
}

/// `p (a + b log p + c p)` of one logit, through the chain.
#[inline(always)]
fn slope<S: Logit>(x: S, [max, log_sum, a, b, c, _]: [S::Wide; COEFS], chain: Chain<S::Wide>) -> S::Wide {
    let x = x.widen();
    let log_p = (x * chain.scale - max) - log_sum;
    let p = log_p.exp();
    let slope = p * (a + b * log_p + c * p) * chain.factor(x);
    if p == S::Wide::ZERO { S::Wide::ZERO } else { slope }
}

fn row_grads<S: Logit>(
    logits: FloatTensor<Flex>,
    ids: &[i64],
    coefs: &FloatTensor<Flex>,
    offset: usize,
    [scale, inverse_cap]: [f64; 2],
) -> FloatTensor<Flex> {
    let (rows, zero) = (logits.shape()[0], S::Wide::ZERO);
    let arch = pulp::Arch::new();
    let chain = Chain { scale: S::Wide::from_f64(scale), inverse_cap: S::Wide::from_f64(inverse_cap) };
    numbers::<S::Wide, _>(coefs, |coefs| {
        map_rows::<S>(logits, |r, row| {
            let coefs: [S::Wide; COEFS] = std::array::from_fn(|i| coefs[i * rows + r]);
            if coefs[2..].iter().all(|coef| *coef == zero) {
                row.fill(S::narrow(zero));
                return;
            }
            // Before its logit is overwritten: 1 - p of a confident token is lost where p is rounded to bf16 first.
            let id = usize::try_from(ids[r] - offset as i64).ok().filter(|id| *id < row.len());
            let picked = id.map(|id| slope(row[id], coefs, chain) + coefs[COEFS - 1] * chain.factor(row[id].widen()));
            vectorized(
                arch,
                #[inline(always)]
                || {
                    for x in row.iter_mut() {
                        *x = S::narrow(slope(*x, coefs, chain));
                    }
                },
            );
            if let Some((id, picked)) = id.zip(picked) {
                row[id] = S::narrow(picked);
            }
        })
    })
}

fn kl_rows<S: Logit>(
    policy: &FloatTensor<Flex>,
    reference: &FloatTensor<Flex>,
    scale: f64,
    forward: bool,
) -> FloatTensor<Flex> {
    let (rows, columns) = (policy.shape()[0], policy.shape()[1]);
    let (arch, scale) = (pulp::Arch::new(), S::Wide::from_f64(scale));
    let found: Vec<[S::Wide; DIVERGENCE]> = numbers::<S, _>(policy, |policy| {
        numbers::<S, _>(reference, |reference| {
            let row = |r: usize| {
                let (p, q) = (&policy[r * columns..][..columns], &reference[r * columns..][..columns]);
                vectorized(
                    arch,
                    #[inline(always)]
                    || {
                        let ((p_max, p_sum), (q_max, q_sum)) = (normalizer(p, scale), normalizer(q, scale));
                        // Where there is no probability, 0 leaves `log p` at −∞.
                        let log = |sum: f64| S::Wide::from_f64(if sum == 0.0 { 0.0 } else { sum.ln() });
                        let (p_at, q_at) = ((p_max, log(p_sum)), (q_max, log(q_sum)));
                        let kl = if forward {
                            divergence(q, p, q_at, p_at, scale)
                        } else {
                            divergence(p, q, p_at, q_at, scale)
                        };
                        let outer = if forward { q_sum } else { p_sum };
                        let factor = if outer == 0.0 { S::Wide::ZERO } else { S::Wide::ONE };
                        [S::Wide::from_f64(kl), p_at.0, p_at.1, q_at.0, q_at.1, factor]
                    },
                )
            };
            (0..rows).into_par_iter().map(row).collect()
        })
    });
    let numbers = (0..DIVERGENCE).flat_map(|i| found.iter().map(move |row| row[i])).collect();
    tensor::<S::Wide>(numbers, [DIVERGENCE, rows])
}

fn kl_row_grads<S: Logit>(
    policy: FloatTensor<Flex>,
    reference: &FloatTensor<Flex>,
    rows: &FloatTensor<Flex>,
    scale: f64,
    forward: bool,
) -> FloatTensor<Flex> {
    let (n, columns, zero) = (policy.shape()[0], policy.shape()[1], S::Wide::ZERO);
    let (arch, scale) = (pulp::Arch::new(), S::Wide::from_f64(scale));
    numbers::<S::Wide, _>(rows, |rows| {
        numbers::<S, _>(reference, |reference| {
            map_rows::<S>(policy, |r, row| {
                let [kl, max_p, sum_p, max_q, sum_q, grad]: [S::Wide; DIVERGENCE] =
                    std::array::from_fn(|i| rows[i * n + r]);
                let factor = grad * scale;
                vectorized(
                    arch,
                    #[inline(always)]
                    || {
                        for (x, q) in row.iter_mut().zip(&reference[r * columns..]) {
                            let log_p = (x.widen() * scale - max_p) - sum_p;
                            let log_q = (q.widen() * scale - max_q) - sum_q;
                            let p = log_p.exp();
                            let reverse = p * ((log_p - log_q) - kl);
                            let reverse = if p == zero { zero } else { reverse };
                            *x = S::narrow(if forward { p - log_q.exp() } else { reverse } * factor);
                        }
                    },
                );
            })
        })
    })
}

/// Calls a function for the dtype of the logits.
macro_rules! by_dtype {
    ($dtype:expr, $function:ident($($argument:expr),*)) => {
        match $dtype {
            DType::F64 => $function::<f64>($($argument),*),
            DType::F32 => $function::<f32>($($argument),*),
            DType::BF16 => $function::<bf16>($($argument),*),
            DType::F16 => $function::<f16>($($argument),*),
            other => unreachable!("logits are floats, not {other:?}"),
        }
    };
}

impl RowKernels for Flex {
    fn row_stats(
        logits: FloatTensor<Self>,
        ids: IntTensor<Self>,
        state: FloatTensor<Self>,
        offset: usize,
        scale: f64,
    ) -> FloatTensor<Self> {
        let ids = host_ids(ids);
        by_dtype!(logits.dtype(), row_stats(&logits, &ids, &state, offset, scale))
    }

    fn row_grads(
        logits: FloatTensor<Self>,
        ids: IntTensor<Self>,
        coefs: FloatTensor<Self>,
        offset: usize,
        scale: f64,
        inverse_cap: f64,
    ) -> FloatTensor<Self> {
        let ids = host_ids(ids);
        by_dtype!(logits.dtype(), row_grads(logits, &ids, &coefs, offset, [scale, inverse_cap]))
    }

    fn kl_rows(
        policy: FloatTensor<Self>,
        reference: FloatTensor<Self>,
        scale: f64,
        forward: bool,
    ) -> FloatTensor<Self> {
        by_dtype!(policy.dtype(), kl_rows(&policy, &reference, scale, forward))
    }

    fn kl_row_grads(
        policy: FloatTensor<Self>,
        reference: FloatTensor<Self>,
        rows: FloatTensor<Self>,
        scale: f64,
        forward: bool,
    ) -> FloatTensor<Self> {
        by_dtype!(policy.dtype(), kl_row_grads(policy, &reference, &rows, scale, forward))
    }
}

fn product<T: Real>(
    lhs: FloatTensor<Flex>,
    rhs: FloatTensor<Flex>,
    into: Option<FloatTensor<Flex>>,
    add: bool,
) -> FloatTensor<Flex> {
    let (m, k, n) = (lhs.shape()[0], lhs.shape()[1], rhs.shape()[1]);
    let multiply = |out: &mut [T], add| {
        let [lhs, rhs] = [&lhs, &rhs].map(view_of::<T>);
        gemm([m, k, n], out, add, lhs, rhs);
    };
    if let Some(mut into) = into {
        let fits = into.is_contiguous() && into.layout().start_offset() == 0 && into.shape() == [m, n].into();
        // A copy is written only where its numbers are needed.
        if fits && (add || into.is_unique()) {
            let out = into.storage_mut::<T>();
            if out.len() == m * n {
                multiply(out, add);
                return into;
            }
        }
        assert!(!add, "a sum is a tensor of its own");
    }
    let mut out = vec![T::ZERO; m * n];
    multiply(&mut out, false);
    tensor(out, [m, n])
}

/// A tensor's memory and strides, none of which is negative in what `product` makes of its operands.
fn view_of<T: Real>(tensor: &FloatTensor<Flex>) -> View<'_, T> {
    let layout = tensor.layout();
    let [row_stride, column_stride] = [0, 1].map(|i| usize::try_from(layout.strides()[i]).expect("checked"));
    View { numbers: tensor.storage::<T>(), start: layout.start_offset(), row_stride, column_stride }
}

impl Products for Flex {
    fn product(
        lhs: FloatTensor<Self>,
        rhs: FloatTensor<Self>,
        into: Option<FloatTensor<Self>>,
        add: bool,
    ) -> FloatTensor<Self> {
        // A flipped view has strides below 0.
        let [lhs, rhs] = [lhs, rhs].map(|tensor| {
            let forward = tensor.layout().strides().iter().all(|stride| *stride >= 0);
            if forward { tensor } else { tensor.to_contiguous() }
        });
        match lhs.dtype() {
            DType::F64 => product::<f64>(lhs, rhs, into, add),
            _ => product::<f32>(lhs, rhs, into, add),
        }
    }
}
