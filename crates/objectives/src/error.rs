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
    /// A method needs side information that the batch does not have.
    #[error("`{method}` needs `{name}` ({meaning}), and the batch has none")]
    MissingColumn {
        /// The method.
        method: &'static str,
        /// What it needs.
        name: &'static str,
        /// What that is.
        meaning: &'static str,
    },
    /// A method was given what it has no use for, and ignoring it would train something else than was asked for.
    #[error("`{method}` cannot take `{name}`: {reason}")]
    NotTaken {
        /// The method.
        method: &'static str,
        /// What it was given.
        name: &'static str,
        /// Why there is no use for it.
        reason: &'static str,
    },
    /// The sampler's distribution is not the one that log-probabilities were scored under.
    #[error("`behavior`: sampled with {sampled:?}, scored with {scored:?}; their ratio is no importance weight")]
    Sampling {
        /// How tokens were sampled.
        sampled: crate::rollout::Sampling,
        /// How they were scored.
        scored: crate::rollout::Sampling,
    },
    /// Parts of a method make no sense together.
    #[error("{what}: {reason}")]
    Combination {
        /// The part that does not fit.
        what: &'static str,
        /// Why.
        reason: &'static str,
    },
    /// The totals of a step lack a term of the loss.
    #[error("`totals`: nothing for the term `{name}` of the loss")]
    MissingTotal {
        /// The term.
        name: &'static str,
    },
    /// Fresh rollouts are not as likely as when they were sampled.
    #[error(
        "ratios of fresh rollouts lie in [{min}, {max}], not within {tolerance} of 1; is the sampling temperature applied \
         when scoring, are top-p and top-k off, is dropout off, are positions of padded rows right?"
    )]
    OffPolicy {
        /// The smallest ratio.
        min: f64,
        /// The largest ratio.
        max: f64,
        /// How far from 1 they may be.
        tolerance: f64,
    },
    /// No method has this name.
    #[error("no method is called `{got}`; there are: {}", known.join(", "))]
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
