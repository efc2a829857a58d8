//! What can go wrong in a run.

use std::{io, path::PathBuf};

/// Why a run stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A shape or a scalar is wrong.
    #[error(transparent)]
    Ops(#[from] accordant_ops::Error),
    /// A batch cannot be made.
    #[error(transparent)]
    Data(#[from] accordant_data::Error),
    /// The model cannot be run.
    #[error(transparent)]
    Lm(#[from] accordant_lm::Error),
    /// The objective refused its configuration or a batch.
    #[error(transparent)]
    Objective(#[from] accordant_objectives::Error),
    /// The loss of a reward model refused its configuration or a batch.
    #[error(transparent)]
    Preference(#[from] accordant_preference::Error),
    /// There is nothing to train on.
    #[error("`{name}`: expected at least one record, got none")]
    NoRecords {
        /// The argument.
        name: &'static str,
    },
    /// Some records carry a margin and some do not; a missing one is not taken for 0.
    #[error("record `{id}` has {} margin, unlike the first record", if *has { "a" } else { "no" })]
    MarginMixed {
        /// The first record that differs.
        id: String,
        /// Whether it has one.
        has: bool,
    },
    /// A record lacks what the objective reads.
    #[error("record `{id}` has no `{name}` ({meaning}), which the objective needs")]
    NoSide {
        /// The first record without it.
        id: String,
        /// The column or third response.
        name: &'static str,
        /// What that is.
        meaning: &'static str,
    },
    /// The objective adds a loss that this loop does not compute.
    #[error("the objective needs `{name}` ({meaning}) from a loop of its own: see `PairBatch::with_term`")]
    NoTerm {
        /// The term.
        name: &'static str,
        /// What that is.
        meaning: &'static str,
    },
    /// An objective that compares with a reference got no log-probabilities of it.
    #[error("the objective needs the reference's log-probabilities: compute them with `pair_logps` before training")]
    NoReference,
    /// An objective that reads values of the states got no critic.
    #[error("`{method}` needs a critic: train with `train_actor_critic`")]
    NoCritic {
        /// The objective.
        method: &'static str,
    },
    /// Responses have different numbers of rewards, or others than there are weights.
    #[error("prompt {prompt}: expected {expected} rewards, got {got}")]
    Rewards {
        /// The number of the prompt.
        prompt: usize,
        /// As many as there are weights, or as the first response has.
        expected: usize,
        /// How many the judge returned.
        got: usize,
    },
    /// Cached log-probabilities belong to other records.
    #[error("`{name}`: log-probabilities of other records (fingerprint {got:016x}, expected {expected:016x})")]
    Stale {
        /// The argument.
        name: &'static str,
        /// The fingerprint of the records.
        expected: u64,
        /// The fingerprint of the cache.
        got: u64,
    },
    /// The model holds parameters without gradients: it was not made on an autodiff device.
    #[error("the model must live on an autodiff device: make it on `device.autodiff()`")]
    NotAutodiff,
    /// Loss or gradient is NaN or infinite; the step was not taken.
    #[error("step {step}: the {what} is {got} (records {})", records.join(", "))]
    NotFinite {
        /// The step, from 0.
        step: usize,
        /// Loss or gradient norm.
        what: &'static str,
        /// Its value.
        got: f64,
        /// The ids of the batch's records.
        records: Vec<String>,
    },
    /// A file cannot be written.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// A result whose error is [`Error`] unless it says otherwise (burn's `Config` derive does).
pub type Result<T, E = Error> = std::result::Result<T, E>;
