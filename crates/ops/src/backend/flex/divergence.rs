//! The divergence of two rows of logits, and its gradient.

use burn::backend::{Flex, TensorMetadata, tensor::FloatTensor};
use rayon::prelude::*;

use super::real::{BLOCK, LANES, Logit, Real, sum};
use super::stats::{largest, load};
use super::{map_rows, numbers, tensor, vectorized};
use crate::backend::DIVERGENCE;

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

pub(super) fn kl_rows<S: Logit>(
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

pub(super) fn kl_row_grads<S: Logit>(
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
                // A row that nobody asks for has gradient 0, infinite as its divergence may be.
                if grad == zero {
                    row.fill(S::narrow(zero));
                    return;
                }
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
