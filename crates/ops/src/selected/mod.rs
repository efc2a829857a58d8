//! Log-probabilities of given token ids, from hidden states and an output head or from logits.
//!
//! This is the one place in the workspace where hidden states become log-probabilities, so that the memory-hungry step
//! exists once.
//!
//! | function | from | keeps |
//! |---|---|---|
//! | [`selected_logps`] | hidden states and an output head | one tile of logits at a time, recomputed in the backward pass |
//! | [`selected_log_softmax`] | logits that are there anyway | the logits, and their gradient in the backward pass |
//! | [`kl_logits`] | two tensors of logits | the same |
//! | [`naive`] | either, in burn's own operations | everything: the specification of the other two |
//!
//! **Where it runs.** These are custom operations of `flex`, `ndarray` and the GPU runtimes, compiled in with the
//! feature of that name. On any other device the naive form runs: the same numbers with more memory, and [`Plan`] says
//! so.
//!
//! **Precision.** Sums run in f32, and in f64 for f64 input. Bounds of the errors against f64, relative to a number or
//! to the mean size of its vector where that is larger, which `tests/parity` holds `flex`, `ndarray` and `wgpu` to, with
//! vocabularies of 1 to 70 001 tokens:
//!
//! | dtype of the input | results (f32; f64 of f64) | gradients (in the input's dtype) |
//! |---|---|---|
//! | f64 | 1e-11 | 1e-11 |
//! | f32 | 5e-6 | 5e-5 |
//! | f16 | 5e-6 | 2e-3 |
//! | bf16 | 5e-6 | 1.2e-2 |
//!
//! The inputs count as exact. f64 was compared on `flex`, f16 on `flex` and `wgpu`, bf16 on `flex`. Logits of bf16
//! hidden states are computed in f32, since bf16 logits would be off by 0.03 nat a token; the products then run at the
//! speed of f32 (or TF32, which holds bf16 exactly), not of bf16.
//!
//! **Degenerate rows**, where no soft cap makes all logits finite. −∞ logits are tokens of probability 0: they add nothing to sums or gradients, and selecting
//! one gives −∞. A row of −∞ throughout has no probability anywhere: log-probability, log-sum-exp and `log Σ p²` are
//! −∞, the entropy is 0, its gradient 0. A vocabulary of one token has log-probability, entropy and `log Σ p²` 0. NaN
//! or +∞ in a row of logits gives NaN in that row and its gradients, and so in all of the gradients of weight and
//! bias, in which every row has a part. An ignored row gives 0 everywhere and no gradient, whatever stands in it;
//! where no row counts, all gradients are 0.

pub mod ids;
pub mod kl;
pub mod linear;
pub mod logits;
pub mod naive;
pub mod plan;

#[cfg(test)]
mod tests;

use burn::tensor::{Bool, Tensor};

use crate::backend::streamed;

pub use ids::{IGNORE_ID, TokenIds};
pub use kl::{KlDirection, kl_logits};
pub use linear::{SelectedOptions, selected_logps};
pub use logits::selected_log_softmax;
pub use plan::{Memory, Plan};

/// What is known of each row of logits; every field is `[n]`, in f32 (f64 for f64 input).
///
/// [`Self::logps`], [`Self::lse`], [`Self::entropy`] and [`Self::log_sum_sq_probs`] carry gradients. Detach what is only
/// logged.
#[derive(Debug, Clone)]
pub struct SelectedLogps {
    /// `log p[id]`, natural logarithm.
    pub logps: Tensor<1>,
    /// `log Σ_v exp(x_v)` of the logits `x` under cap and temperature.
    pub lse: Tensor<1>,
    /// `-Σ_v p_v log p_v`, in nats.
    pub entropy: Tensor<1>,
    /// `log Σ_v p_v²`, what WPO normalizes its weights with.
    pub log_sum_sq_probs: Tensor<1>,
    /// Whether the id has the largest logit (the first of them at a tie).
    pub is_top1: Tensor<1, Bool>,
    /// `Σ_v x_v / v`, for logs; a constant.
    pub mean_logits: Tensor<1>,
}

impl SelectedLogps {
    /// From `[OUTPUT, n]`.
    fn unpack(packed: Tensor<2>) -> Self {
        let row = |index: usize| packed.clone().narrow(0, index, 1).squeeze_dim::<1>(0);
        Self {
            logps: row(streamed::LOGPS),
            lse: row(streamed::LSE),
            entropy: row(streamed::ENTROPY),
            log_sum_sq_probs: row(streamed::LOG_SUM_SQ),
            is_top1: row(streamed::IS_TOP1).equal_scalar(1.0),
            mean_logits: row(streamed::MEAN_LOGIT).detach(),
        }
    }
}
