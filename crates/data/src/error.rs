//! Why a data set could not be loaded.

use std::{io, path::PathBuf};

use crate::report::Reject;

/// What stopped a load. A row that cannot be used is a [`Reject`]; it stops a load only where the options say so.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file cannot be opened.
    #[error("cannot open `{}`", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The system failed while the file was read.
    #[error("cannot read `{}` at line {line}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The line that was being read, from 1.
        line: usize,
        /// What the system said.
        source: io::Error,
    },
    /// The file holds no record: no byte, or blank lines only.
    #[error("`{}` holds no record", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The file is the pointer that Git LFS leaves in place of a file it did not fetch.
    #[error("`{}` is a Git LFS pointer, not the data: fetch the file with `git lfs pull`", path.display())]
    LfsPointer {
        /// The file.
        path: PathBuf,
    },
    /// The file is a web page, most often a saved error message.
    #[error("`{}` is an HTML or XML page, not data: was an error page saved in its place?", path.display())]
    Html {
        /// The file.
        path: PathBuf,
    },
    /// A folder or a pattern means no file that holds rows.
    #[error("`{}` holds or matches no file with rows", path.display())]
    NoFiles {
        /// The folder or the pattern.
        path: PathBuf,
    },
    /// The file can be read only with a feature of this crate.
    #[error("`{}` can be read with the feature `{feature}` only", path.display())]
    NeedsFeature {
        /// The file.
        path: PathBuf,
        /// The feature.
        feature: &'static str,
    },
    /// The file cannot be written. What stood there before is still there.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A record cannot be written, since it does not hold together. The file is as it was.
    #[error("`{}`: record {record_index} cannot be written: {reason}", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// The record's number, from 0.
        record_index: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// An index of rows cannot be made or used.
    #[error("`{}`: expected {expected}", path.display())]
    Index {
        /// The file, or its index.
        path: PathBuf,
        /// What it should be.
        expected: &'static str,
    },
    /// A row was rejected, and the options say to stop there.
    #[error("{0}")]
    Rejected(Box<Reject>),
    /// More rows were rejected than the options allow, or all of them.
    #[error("`{}`: {rejected} of {rows} rows rejected, the first is {first}", path.display())]
    TooManyRejects {
        /// The file.
        path: PathBuf,
        /// Rows that were rejected.
        rejected: usize,
        /// Rows that were read: all lines but the blank ones.
        rows: usize,
        /// The first reject of the file.
        first: Box<Reject>,
    },
    /// An option lies outside its domain (NaN always does).
    #[error("`{name}`: expected {expected}, got {got}")]
    Domain {
        /// The option.
        name: &'static str,
        /// Its domain, in words.
        expected: &'static str,
        /// The value it has.
        got: f64,
    },
    /// A token id lies outside the vocabulary.
    #[error("row {row}, position {position}: token id {id} is not below the vocabulary size {vocab_size}")]
    TokenId {
        /// The row, from 0.
        row: usize,
        /// The position in the row, from 0.
        position: usize,
        /// The id.
        id: u32,
        /// The size of the vocabulary.
        vocab_size: usize,
    },
    /// A tensor has another shape than it must have.
    #[cfg(feature = "tensors")]
    #[error(transparent)]
    Ops(#[from] accordant_ops::Error),
    /// The tokenizer library cannot train, encode or decode.
    #[cfg(feature = "tokenizers")]
    #[error("the tokenizer failed")]
    Tokenizer(#[source] tokenizers::Error),
    /// A tokenizer cannot be read from a file or written to it.
    #[cfg(feature = "tokenizers")]
    #[error("`{}`: expected a tokenizer", path.display())]
    TokenizerFile {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        source: tokenizers::Error,
    },
}

/// A result whose error is [`enum@Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;
