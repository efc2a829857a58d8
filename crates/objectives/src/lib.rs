//! Policy objectives for preference alignment.
//!
//! One module for each kind of data a method learns from, one file for each method:
//!
//! | module | data | start with |
//! |---|---|---|
//! | [`advantage`] | rollouts of a policy: their rewards, values and masks | [`advantage::gae`](mod@advantage::gae) |
//! | [`listwise`] | several responses to one prompt, ranked or scored | [`listwise::plackett_luce`] |
//! | [`pairwise`] | a preferred and another response to one prompt | [`pairwise::dpo`] |
//! | [`reward_shaping`] | rewards, of verifiers and judges, on their way to any policy gradient | [`reward_shaping::par`] |
//! | [`rollout`] | responses that the policy has sampled, with advantages | [`rollout::grpo`] |
//! | [`supervised`] | demonstrations, or the distributions of a teacher | [`supervised::nll`] |
//! | [`unpaired`] | single responses, each of them desirable or not | [`unpaired::kto`] |
//! | [`value`] | a critic's predictions and the returns they are to match | [`value::clipped_value`] |
//!
//! Every method is a pure function of log-probabilities with a contract: one loss per item, shapes checked, finite for
//! every finite input, constants detached. Log-probabilities come from `accordant-ops` ([`accordant_ops::TokenLogps`]),
//! loops that train on them live in `accordant-train`. Only [`reward_shaping`] is about plain numbers on the host.
//!
//! # Example
//! A policy that still equals its reference loses ln 2 on every pair:
//! ```
//! use accordant_objectives::pairwise::{PairBatch, PairLogps, PairwiseObjective, dpo::DpoConfig};
//! use accordant_objectives::SequenceLogps;
//! use burn::tensor::{Device, Tensor};
//!
//! let device = Device::flex();
//! let logps = |sums: [f32; 2]| SequenceLogps::new(Tensor::from_floats(sums, &device), Tensor::ones([2], &device));
//! let policy = PairLogps::new(logps([-3.0, -5.0])?, logps([-4.0, -1.0])?)?;
//! let batch = PairBatch::new(policy.clone()).with_reference(policy)?;
//! let output = DpoConfig::new().init()?.forward(&batch)?;
//! assert_eq!(output.reduce()?.loss.into_scalar::<f32>(), 2f32.ln());
//! # Ok::<(), accordant_objectives::Error>(())
//! ```

// The laws' macros name this crate as its users do.
#[cfg(test)]
extern crate self as accordant_objectives;

pub mod advantage;
pub mod error;
pub mod listwise;
pub mod method;
pub mod moments;
pub mod options;
pub mod pairwise;
pub mod reward_shaping;
pub mod rollout;
pub mod side;
pub mod state;
pub mod supervised;
pub mod tokens;
pub mod unpaired;
pub mod value;

/// What a caller needs of `accordant-ops`, so that this crate is enough.
pub use accordant_ops::{EmptyRows, Means, Reduced, SequenceLogps, TokenLogps};
pub use error::{Error, Result};
pub use method::Method;
pub use moments::Moments;
pub use options::Options;
pub use side::{Column, Domain};
pub use state::State;
pub use tokens::TokensOutput;
