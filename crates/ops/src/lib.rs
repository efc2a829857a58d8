//! Numerics of alignment on burn tensors.
//!
//! | module | what it holds |
//! |---|---|
//! | [`logps`] | [`TokenLogps`] and [`SequenceLogps`], the types that every objective reads |
//! | [`selected`] | log-probabilities of given ids from hidden states and a head, or from logits |
//! | [`reduce`] | per-item losses to one number, with the denominator kept apart |
//! | [`masked`] | sums, means, variances and whitening over kept positions |
//! | [`groups`] | means, deviations and leave-one-out baselines of the rollouts of one prompt |
//! | [`lists`] | which candidates of a list are better than which, and losses of ranked lists |
//! | [`kl`] | estimators of the divergence from a reference policy |
//! | [`adaptive_kl`] | a controller of the KL coefficient |
//! | [`means`] | running means that merge, for what is logged |
//! | [`distribution`] | predicted distributions: projections, cross-entropies, quantile losses, tails |
//! | [`stable`] | softplus, `log(1 - exp(a))`, log-odds and other forms that survive the extremes |
//! | [`host`] | a softmax and a sigmoid on the host, for sampling and for rewards |
//! | [`doctor`] | a self-check: can this device be trusted? |
//!
//! Start with [`TokenLogps`]. Objectives built on these live in `accordant-objectives`, models in `accordant-lm`.
//!
//! A `mask` always means *keep*. Masked values are selected away before they are used, never multiplied by zero, so a
//! NaN behind a mask reaches neither a value nor a gradient. Every tensor is made on its input's device. Element-wise
//! functions keep the dtype of their input; sums, counts and means are f32, f64 for f64 input.
//!
//! | feature | what it adds | default |
//! |---|---|---|
//! | `flex`, `ndarray` | the custom operations of [`selected`] on that backend, which it turns on in burn; with `flex`, [`stable`] in one pass | no |
//! | `wgpu`, `cuda`, `rocm` | those of [`selected`] as CubeCL kernels; with `wgpu`, burn's `vulkan`, `metal` and `webgpu` too | no |

#[cfg_attr(feature = "ndarray", allow(deprecated, reason = "burn still ships it as a second opinion on the CPU"))]
#[cfg_attr(
    not(any(feature = "flex", feature = "ndarray", feature = "_cube")),
    allow(
        unused_variables,
        unused_macros,
        reason = "without a backend's feature the naive forms run, and nothing of this"
    )
)]
mod backend;

pub mod adaptive_kl;
pub mod distribution;
pub mod doctor;
pub mod error;
pub mod groups;
pub mod host;
pub mod item_metrics;
pub mod kl;
pub mod lists;
pub mod logps;
pub mod masked;
pub mod means;
pub mod reduce;
pub mod selected;
pub mod stable;

pub use error::{Error, Result, check_domain, check_dtype, check_shape};
pub use item_metrics::ItemMetrics;
pub use logps::{SequenceLogps, TokenLogps};
pub use means::Means;
pub use reduce::{Aggregation, EmptyRows, ItemReduction, Reduced};
