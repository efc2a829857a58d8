//! The state of each row after a block of columns.

use burn::backend::{Flex, TensorMetadata, tensor::FloatTensor};
use rayon::prelude::*;

use super::real::{BLOCK, LANES, Logit, Real, sum};
use super::{numbers, tensor, vectorized};
use crate::backend::STATE;

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
        // Masked logits can be as low as numbers go: their gap times their count overflows, and weighs nothing.
        self.dot = if factor == 0.0 { 0.0 } else { (self.dot + gap * self.sum) * factor };
        self.sum *= factor;
        self.squares *= factor * factor;
        (self.max, self.first) = (max, column as f64);
    }
}

/// Scaled logits of a block, in lanes; what is missing in the last is −∞, which counts for nothing.
#[inline(always)]
pub(super) fn load<S: Logit>(block: &[S], scale: S::Wide, x: &mut [S::Wide; BLOCK]) -> usize {
    for (x, logit) in x.iter_mut().zip(block) {
        *x = logit.widen() * scale;
    }
    let padded = block.len().next_multiple_of(LANES);
    x[block.len()..padded].fill(S::Wide::NEG_INFINITY);
    padded
}

/// The largest of some lanes, the lowest finite number if there is none; NaN is passed over.
#[inline(always)]
pub(super) fn largest<T: Real>(x: &[[T; LANES]]) -> T {
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

pub(super) fn row_stats<S: Logit>(
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
