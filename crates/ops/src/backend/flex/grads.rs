//! The gradient by the logits of each row.

use burn::backend::{Flex, TensorMetadata, tensor::FloatTensor};

use super::real::{Logit, Real};
use super::{map_rows, numbers, vectorized};
use crate::backend::COEFS;

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

pub(super) fn row_grads<S: Logit>(
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
