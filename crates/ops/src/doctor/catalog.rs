//! Every check, what it is for, and its bound.

use burn::tensor::DType;

use super::{indices, likelihoods, pointwise, probe::Probe, products, storage, sums};

/// A check before it runs.
pub struct Spec {
    pub name: &'static str,
    pub purpose: &'static str,
    pub dtype: DType,
    pub bound: f64,
    pub run: fn(&mut Probe),
}

const fn spec(name: &'static str, purpose: &'static str, dtype: DType, bound: f64, run: fn(&mut Probe)) -> Spec {
    Spec { name, purpose, dtype, bound, run }
}

/// Nothing is rounded: small whole numbers, copies, comparisons.
const EXACT: f64 = 0.0;

// The other bounds in f32, and in brackets the largest errors measured on flex, ndarray and wgpu with Mesa's llvmpipe.

/// A function of one number [8.5e-8, 8.5e-8, 4.6e-7]. WGSL grants `exp` 3 + 2|x| units in the last place: 3e-6 at 10.
const ROUNDED: f64 = 5e-6;
/// The same in the tails [2.3e-7, 2.3e-7, 1.8e-6]; the grant is 2e-5 at -80.
const TAILS: f64 = 2e-5;
/// Sums of products [2.2e-6, 1.1e-6, 2.0e-6], of rows and columns [4.3e-6, 4.3e-6, 4.3e-6]. TF32 is beyond it: 2⁻¹¹.
const SUMMED: f64 = 2e-5;
/// Softmax over a vocabulary, and gradients that cancel behind it [5.1e-6, 6.3e-6, 4.9e-6].
const LIKELIHOOD: f64 = 5e-5;

/// One rounding to the 8 bits of bf16 [3.9e-3 for the cast].
const BF16: f64 = 1.0 / 256.0;
/// Two roundings, one of them of an argument or of a partial sum, and what f32 adds [5.1e-3 on flex].
const BF16_TWICE: f64 = 3.0 / 256.0;
use DType::{BF16 as B, F32 as F};

pub const CHECKS: &[Spec] = &[
    spec("exp, log, sqrt, 1/x", "every loss", F, ROUNDED, pointwise::functions),
    spec("softplus in both tails", "DPO, Bradley-Terry", F, TAILS, pointwise::softplus_tails),
    spec("broadcast add", "biases, baselines", F, EXACT, pointwise::broadcast),
    spec("mask_fill, mask_where with NaN", "padding", F, EXACT, pointwise::masks),
    spec("clone, then change", "everything", F, EXACT, storage::clones),
    spec("reshape, narrow, cat, flip", "batches", F, EXACT, storage::layouts),
    spec("autodiff on and off, to_device", "policy and reference", F, EXACT, storage::autodiff_flow),
    spec("matmul", "every layer", F, SUMMED, products::square),
    spec("matmul of transposed batches", "attention", F, SUMMED, products::batched),
    spec("[n, k] x [k, 1] and [1, k] x [k, n]", "reward heads", F, SUMMED, products::vectors),
    spec("linear to [n, 1]", "reward heads", F, SUMMED, products::head_of_one),
    spec("linear to [n, 1], gradients", "reward heads", F, SUMMED, products::head_of_one_gradients),
    spec("linear to [n, 2]", "reward heads", F, SUMMED, products::head_of_two),
    spec("linear to [n, 2], gradients", "reward heads", F, SUMMED, products::head_of_two_gradients),
    spec("RMS norm with gradients", "every block", F, SUMMED, sums::rms_norm),
    spec("sum, mean of long rows", "losses, log-sum-exp", F, SUMMED, sums::rows),
    spec("sum, mean of long columns", "gradients of biases", F, SUMMED, sums::columns),
    spec("max, argmax of long rows and columns", "log-sum-exp, greedy decoding", F, EXACT, sums::maxima),
    spec("rows and columns beyond 65535", "entropies, log-sum-exp", F, SUMMED, sums::beyond_65535),
    spec("cumsum with gradients", "discounts, GAE", F, SUMMED, sums::cumulative),
    spec("masked mean with gradients", "losses", F, SUMMED, sums::masked),
    spec("sort, argsort", "sorted losses, quantiles", F, EXACT, sums::sorted),
    spec("select, equal ids, gradients", "embeddings", F, EXACT, indices::select_rows),
    spec("gather, equal ids, gradients", "log-probabilities", F, EXACT, indices::gather_columns),
    spec("integers: gather, sum, compare", "token ids", DType::I32, EXACT, indices::integers),
    spec("integers: gather, sum, compare", "token ids", DType::I64, EXACT, indices::integers),
    spec("any, all, counts of booleans", "masks", F, EXACT, indices::booleans),
    spec("log_softmax, gather, gradients", "log-probabilities", F, LIKELIHOOD, likelihoods::log_softmax_gather),
    spec("selected_logps", "every objective", F, LIKELIHOOD, likelihoods::selected),
    spec("selected_logps, gradients", "every objective", F, LIKELIHOOD, likelihoods::selected_gradients),
    spec("cast from f32 and back", "bf16 weights", B, BF16, pointwise::round_trip),
    spec("exp, log, sqrt, 1/x", "bf16 weights", B, BF16_TWICE, pointwise::functions),
    spec("matmul", "bf16 weights", B, BF16_TWICE, products::square),
    spec("sum, mean of long rows", "bf16 weights", B, BF16_TWICE, sums::rows),
    spec("selected_logps", "bf16 weights", B, LIKELIHOOD, likelihoods::selected),
    spec("selected_logps, gradients", "bf16 weights", B, BF16, likelihoods::selected_gradients),
];
