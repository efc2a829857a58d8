//! Curation: what is kept of a data set, in what order, and with which labels.
pub mod access;
pub mod column;
pub mod keep_quantiles;
pub mod label_noise;
pub mod margin_filter;
mod numbers;
pub mod operator;
pub mod pipeline;
#[cfg(test)]
mod testing;

pub use access::{Candidates, HasId, HasMeta, HasPrompt, HasTexts, HasWeight, Preference};
pub use column::Column;
pub use operator::{Curated, Dropped, Operator, OperatorReport, RecordOperator, Verdict};
pub use pipeline::{Pipeline, PipelineReport};
