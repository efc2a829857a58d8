//! Why a data set could not be loaded.

use std::{io, path::PathBuf};

use crate::report::{Reason, Reject};

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
    /// An option that would do nothing, and would be thought to.
    #[error("`{name}` does nothing without {needs}")]
    Inapplicable {
        /// The option.
        name: &'static str,
        /// What it needs.
        needs: &'static str,
    },
    /// A record cannot be used.
    #[error("{0}")]
    Unusable(Box<Reason>),
    /// Some records of a batch have a margin and others have none.
    #[error("E_MARGIN_MIXED: record `{with}` has a margin and record `{without}` has none")]
    MarginMixed {
        /// A record with a margin.
        with: String,
        /// A record without.
        without: String,
    },
    /// Sequences were to be packed for a backend that cannot keep them apart.
    #[error("E_PACKING_UNSAFE: {what} and the attention cannot keep the sequences of a row apart")]
    PackingUnsafe {
        /// What was asked for.
        what: &'static str,
    },
    /// A cache was made in another way.
    #[error("E_CACHE_STALE: `{}` was made with fingerprint {found}, expected {expected}", path.display())]
    CacheStale {
        /// The cache.
        path: PathBuf,
        /// The fingerprint it has.
        found: String,
        /// The fingerprint it must have.
        expected: String,
    },
    /// A cache cannot be written or is damaged.
    #[error("`{}`: {message}", path.display())]
    Cache {
        /// The cache.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// No family of data sets has this name.
    #[error("`{name}` is no known source; known are {}", known.join(", "))]
    UnknownSource {
        /// The name.
        name: String,
        /// All names.
        known: Vec<String>,
    },
    /// The first row of a file does not tell which family of data sets it is of.
    #[error(
        "`{}`: {}; its fields are {}: name the source", path.display(),
        match &candidates[..] {
            [] => "no known source has such rows".to_owned(),
            several => format!("rows of {}", several.join(" or ")),
        },
        fields.join(", ")
    )]
    NoSource {
        /// The file.
        path: PathBuf,
        /// The fields of its first row.
        fields: Vec<String>,
        /// The families that take the row for one of theirs.
        candidates: Vec<String>,
    },
    /// An archive of arrays is broken, or lacks what it must hold.
    #[cfg(feature = "npz")]
    #[error("`{}`: `{name}`: {message}", path.display())]
    Archive {
        /// The file.
        path: PathBuf,
        /// The array; empty for the archive as a whole.
        name: String,
        /// What was expected and what was found.
        message: String,
    },
    /// A table of fields makes no sense.
    #[error("`{name}`: {message}")]
    FieldMap {
        /// The entry, or the line.
        name: String,
        /// What was expected there and what was found.
        message: String,
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
    /// Two lists that belong together have different lengths.
    #[error("`{name}`: expected {expected} entries, got {got}")]
    Length {
        /// The list.
        name: &'static str,
        /// How many entries it should have.
        expected: usize,
        /// How many it has.
        got: usize,
    },
    /// An entry of a list lies outside its domain (NaN always does).
    #[error("`{name}`, entry {index}: expected {expected}, got {got}")]
    Item {
        /// The list.
        name: &'static str,
        /// The entry, from 0.
        index: usize,
        /// Its domain, in words.
        expected: &'static str,
        /// The value it has.
        got: f64,
    },
    /// A list has no entry where there must be one.
    #[error("`{name}`: expected at least one entry, got none")]
    NoEntry {
        /// The list.
        name: &'static str,
    },
    /// A tensor has another shape than it must have.
    #[cfg(feature = "tensors")]
    #[error(transparent)]
    Ops(#[from] accordant_ops::Error),
    /// A chat template is no Jinja2.
    #[cfg(feature = "tokenizers")]
    #[error("{origin} is no chat template: {message}")]
    Template {
        /// Where the template comes from.
        origin: String,
        /// What is wrong with it, and in which line.
        message: String,
    },
    /// A tokenizer has no chat template, and conversations need one.
    #[cfg(feature = "tokenizers")]
    #[error("E_NO_TEMPLATE: no chat template beside `{}`: give one, or choose a built-in one by name", path.display())]
    NoTemplate {
        /// The tokenizer's file.
        path: PathBuf,
    },
    /// A tokenizer's configuration says something that cannot be used.
    #[cfg(feature = "tokenizers")]
    #[error("`{}`: field `{field}`: expected {expected}, found {got}", path.display())]
    TokenizerConfig {
        /// The file.
        path: PathBuf,
        /// The field.
        field: String,
        /// What it must be, in words.
        expected: &'static str,
        /// What it is.
        got: String,
    },
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

impl From<Reason> for Error {
    fn from(reason: Reason) -> Self {
        Self::Unusable(Box::new(reason))
    }
}
