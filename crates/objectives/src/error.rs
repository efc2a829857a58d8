//! What can be wrong with a batch or a configuration.

/// Why an objective cannot be built or evaluated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A shape or a scalar is wrong.
    #[error(transparent)]
    Ops(#[from] accordant_ops::Error),
    /// A method that compares with a reference policy got none.
    #[error("`{method}` needs the reference's log-probabilities, and the batch has none")]
    MissingReference {
        /// The method.
        method: &'static str,
    },
    /// No method has this name.
    #[error("no pairwise method is called `{got}`; there are: {}", known.join(", "))]
    UnknownMethod {
        /// The name that was asked for.
        got: String,
        /// The names there are.
        known: Vec<&'static str>,
    },
    /// A method has no option of this name.
    #[error("`{method}` has no option `{got}`; it has: {}", known.join(", "))]
    UnknownOption {
        /// The method.
        method: &'static str,
        /// The option that was given.
        got: String,
        /// The options it has.
        known: Vec<String>,
    },
    /// An option's value cannot be read.
    #[error("`{name}`: expected {expected}, got {got}")]
    OptionValue {
        /// The option.
        name: String,
        /// What it takes.
        expected: String,
        /// The text that was given.
        got: String,
    },
}

/// A result whose error is [`Error`] unless it says otherwise (burn's `Config` derive does).
pub type Result<T, E = Error> = std::result::Result<T, E>;
