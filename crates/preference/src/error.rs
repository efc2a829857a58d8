//! What can be wrong with data, settings or a fit.

/// Why a model cannot be built, evaluated or fitted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A shape or a scalar is wrong.
    #[error(transparent)]
    Ops(#[from] accordant_ops::Error),
    /// A record names something that does not exist.
    #[error("record {row}: `{name}` {index} is not in 0..{len}")]
    Index {
        /// The record, counted from 0.
        row: usize,
        /// Which of its fields.
        name: &'static str,
        /// The index it has.
        index: usize,
        /// How many there are.
        len: usize,
    },
    /// A number of a record lies outside its domain (NaN always does).
    #[error("record {row}: `{name}`: expected {expected}, got {got}")]
    Record {
        /// The record, counted from 0.
        row: usize,
        /// Which of its fields.
        name: &'static str,
        /// Its domain, in words.
        expected: &'static str,
        /// The value it has.
        got: f64,
    },
    /// An item occurs twice where it may occur once: it is compared with itself, or ranked twice.
    #[error("record {row}: item {item} twice")]
    Repeated {
        /// The record, counted from 0.
        row: usize,
        /// The item.
        item: usize,
    },
    /// The sides of a pair answer different prompts, and the model reads the prompt of a pair.
    #[error("record {row}: its sides answer prompts {first} and {second}, and the model reads one prompt for both")]
    Contexts {
        /// The record, counted from 0.
        row: usize,
        /// The first side's prompt.
        first: usize,
        /// The second side's prompt.
        second: usize,
    },
    /// Something has another length than what it goes with.
    #[error("`{name}`: expected {expected} entries, got {got}")]
    Length {
        /// What it is.
        name: &'static str,
        /// The length it must have.
        expected: usize,
        /// The length it has.
        got: usize,
    },
    /// There is nothing to learn from.
    #[error("`{name}`: nothing to learn from: {reason}")]
    Empty {
        /// The data.
        name: &'static str,
        /// Why it says nothing.
        reason: &'static str,
    },
    /// Without a prior the maximum of the likelihood does not exist: some items never lost to some others, directly or
    /// through others.
    #[error(
        "the comparisons do not connect all items: components {components:?}, weakest first; give a prior, or fit each \
         component by itself"
    )]
    NotIdentifiable {
        /// Strongly connected components of the graph of who beat whom: nobody in a component has ever beaten anybody in
        /// a later one.
        components: Vec<Vec<usize>>,
    },
    /// Without a prior the maximum of the likelihood does not exist: a direction in the parameters separates the data.
    #[error("`{name}`: the data are separable, so that the likelihood has no maximum; give a prior")]
    Separable {
        /// What is fitted.
        name: &'static str,
    },
    /// Every observation is a tie: scores are equal, and the strength of ties has no finite estimate.
    #[error("every comparison is a tie: the parameter of ties has no finite estimate")]
    AllTies,
    /// There are ties, and the model gives them no probability.
    #[error(
        "{count} ties, to which `{model}` gives no probability; count them as halves, leave them out, or model them"
    )]
    Ties {
        /// The model.
        model: &'static str,
        /// How many there are.
        count: usize,
    },
    /// Too many refits of a bootstrap failed, so that its intervals would be too narrow.
    #[error("{failed} of {replicates} refits failed, most likely since a draw did not connect all items; give a prior")]
    FailedRefits {
        /// How many failed.
        failed: usize,
        /// Of how many.
        replicates: usize,
    },
    /// A user, an annotator or a domain that was not there in training.
    #[error("`{name}` {index} was not there in training; ask for the population's answer, or fit it first")]
    Unknown {
        /// What it is.
        name: &'static str,
        /// Its index.
        index: usize,
    },
    /// A linear program that has a solution was not solved.
    #[error("the linear program of the {what} was not solved")]
    LinearProgram {
        /// What it is for.
        what: &'static str,
        /// What the solver says.
        source: microlp::Error,
    },
    /// A result is beyond what a float can hold, or was lost on the way.
    #[error("`{name}`: no finite result; bring features, weights and times to ordinary sizes")]
    NotFinite {
        /// The result.
        name: &'static str,
    },
    /// Settings make no sense together, or not for this data.
    #[error("{what}: {reason}")]
    Combination {
        /// What does not fit.
        what: &'static str,
        /// Why.
        reason: &'static str,
    },
}

/// A result whose error is [`Error`] unless it says otherwise (burn's `Config` derive does).
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Checks one number of a record; write the condition so that NaN fails it.
///
/// # Errors
/// [`Error::Record`] unless `holds`.
pub fn check_record(holds: bool, row: usize, name: &'static str, expected: &'static str, got: f64) -> Result<()> {
    if holds { Ok(()) } else { Err(Error::Record { row, name, expected, got }) }
}

/// The largest weight of a record. Beyond it sums of weights, and squares of them, would leave what a float can hold.
pub const MAX_WEIGHT: f64 = 1e100;

/// Checks the weight of a record: at most [`MAX_WEIGHT`], and not below 0.
///
/// # Errors
/// [`Error::Record`].
pub fn check_weight(row: usize, name: &'static str, weight: f64) -> Result<()> {
    check_record((0.0..=MAX_WEIGHT).contains(&weight), row, name, "a weight in [0, 1e100]", weight)
}

/// Checks that a result is there.
///
/// # Errors
/// [`Error::NotFinite`] if a number is not finite.
pub fn check_finite<'a>(name: &'static str, results: impl IntoIterator<Item = &'a f64>) -> Result<()> {
    if results.into_iter().all(|number| number.is_finite()) { Ok(()) } else { Err(Error::NotFinite { name }) }
}

/// Checks an index of a record.
///
/// # Errors
/// [`Error::Index`] unless `index < len`.
pub fn check_index(row: usize, name: &'static str, index: usize, len: usize) -> Result<()> {
    if index < len { Ok(()) } else { Err(Error::Index { row, name, index, len }) }
}

/// Checks a length.
///
/// # Errors
/// [`Error::Length`] unless `got` equals `expected`.
pub fn check_length(name: &'static str, expected: usize, got: usize) -> Result<()> {
    if expected == got { Ok(()) } else { Err(Error::Length { name, expected, got }) }
}
