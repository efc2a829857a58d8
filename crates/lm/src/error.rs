//! What can be wrong with a model's configuration or input.

/// Why a model cannot be built or run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A shape or a scalar is wrong.
    #[error(transparent)]
    Ops(#[from] accordant_ops::Error),
    /// Two fields of a configuration do not fit each other.
    #[error("`{field}` = {got}: expected {expected}")]
    Config {
        /// The field.
        field: &'static str,
        /// Its value.
        got: usize,
        /// What it must be.
        expected: String,
    },
    /// A token id lies outside the vocabulary.
    #[error("row {row}: token id {id} is not below the vocabulary size {vocab}")]
    TokenId {
        /// The row, from 0.
        row: usize,
        /// The id.
        id: u32,
        /// The size of the vocabulary.
        vocab: usize,
    },
    /// There is nothing to continue.
    #[error("row {row}: expected a prompt of at least one token, got none")]
    EmptyPrompt {
        /// The row, from 0.
        row: usize,
    },
    /// The model's logits are not finite: its weights hold NaN, or overflow.
    #[error("the logits at step {step} of row {row} are not finite")]
    NotFinite {
        /// The row, from 0.
        row: usize,
        /// The generation step, from 0.
        step: usize,
    },
}

/// A result whose error is [`Error`] unless it says otherwise (burn's `Config` derive does).
pub type Result<T, E = Error> = std::result::Result<T, E>;
