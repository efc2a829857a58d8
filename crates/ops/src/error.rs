//! What can be wrong with an argument, and the checks that say so.

use burn::tensor::{DType, Device};

/// An argument that an operation cannot take: which one, what came and what was expected.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A tensor has another shape than the operation needs.
    #[error("`{name}`: expected shape {expected:?}, got {got:?}")]
    ShapeMismatch {
        /// The argument.
        name: &'static str,
        /// The shape it must have.
        expected: Vec<usize>,
        /// The shape it has.
        got: Vec<usize>,
    },
    /// A scalar lies outside its domain (NaN always does).
    #[error("`{name}`: expected {expected}, got {got}")]
    Domain {
        /// The argument or field.
        name: &'static str,
        /// Its domain, in words.
        expected: &'static str,
        /// The value it has.
        got: f64,
    },
    /// A token id that the vocabulary does not have.
    #[error("row {row}: token id {id} is not in 0..{vocab_size}")]
    TokenId {
        /// The row it stands in.
        row: usize,
        /// The id.
        id: i64,
        /// The size of the vocabulary.
        vocab_size: usize,
    },
    /// A tensor lies on another device than the one it must go with.
    #[error("`{name}`: expected a tensor on {expected}, got one on {got}")]
    Device {
        /// The argument.
        name: &'static str,
        /// The device of the first argument, as burn prints it.
        expected: String,
        /// The device it is on.
        got: String,
    },
    /// A tensor has another dtype than the one it must go with, or one that holds no floats of 16, 32 or 64 bits.
    #[error("`{name}`: expected dtype {expected:?}, got {got:?}")]
    DType {
        /// The argument.
        name: &'static str,
        /// The dtype of what it goes with; f32 for one that would do.
        expected: DType,
        /// The dtype it has.
        got: DType,
    },
}

/// A result whose error is [`Error`] unless it says otherwise (burn's `Config` derive does).
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Checks a shape by hand, because burn broadcasts `[1]` against `[n]` without a word.
///
/// # Errors
/// [`Error::ShapeMismatch`] naming `name` unless `got` equals `expected`.
pub fn check_shape(name: &'static str, expected: &[usize], got: &[usize]) -> Result<()> {
    if expected == got {
        return Ok(());
    }
    Err(Error::ShapeMismatch { name, expected: expected.to_vec(), got: got.to_vec() })
}

/// Checks that two tensors have one dtype, which burn's operations take for granted.
///
/// # Errors
/// [`Error::DType`] naming `name` unless `got` equals `expected`.
pub fn check_dtype(name: &'static str, expected: DType, got: DType) -> Result<()> {
    if expected == got { Ok(()) } else { Err(Error::DType { name, expected, got }) }
}

/// Checks that two tensors lie on one device, autodiff or not, and have one way of gradient checkpointing if both are
/// on autodiff: burn panics at two.
pub(crate) fn check_device(name: &'static str, expected: &Device, got: &Device) -> Result<()> {
    let strategies = expected.gradient_checkpointing_strategy().zip(got.gradient_checkpointing_strategy());
    if expected == got && strategies.is_none_or(|(expected, got)| expected == got) {
        return Ok(());
    }
    Err(Error::Device { name, expected: format!("{expected:?}"), got: format!("{got:?}") })
}

/// Checks the domain of a scalar; write the condition so that NaN fails it.
///
/// # Errors
/// [`Error::Domain`] naming `name` unless `holds`.
///
/// # Example
/// ```
/// use accordant_ops::check_domain;
/// let beta = f64::NAN;
/// let error = check_domain(beta > 0.0, "beta", "a finite number > 0", beta).unwrap_err();
/// assert_eq!(error.to_string(), "`beta`: expected a finite number > 0, got NaN");
/// ```
pub fn check_domain(holds: bool, name: &'static str, expected: &'static str, got: f64) -> Result<()> {
    if holds { Ok(()) } else { Err(Error::Domain { name, expected, got }) }
}
