//! Side information: numbers beside log-probabilities that some methods need, one for each item.
//!
//! A method declares what it reads as [`Column`]s and asks the batch for them by that declaration. A column that it
//! needs and does not get is an error that names both; one that nobody reads is harmless.

use std::collections::BTreeMap;

use burn::tensor::Tensor;

use crate::{Error, Result};

/// What the values of a column mean, so that data, laws and documentation can be made for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Domain {
    /// Any finite number.
    Real,
    /// In `[0, 1]`.
    Unit,
    /// 0 or 1.
    Binary,
    /// A whole number ≥ 0 that names something: an annotator, a prompt.
    Id,
}

impl Domain {
    /// The domain in words, for errors.
    pub fn expected(self) -> &'static str {
        match self {
            Self::Real => "finite",
            Self::Unit => "in [0, 1]",
            Self::Binary => "0 or 1",
            Self::Id => "a whole number >= 0",
        }
    }
}

/// One number for each item of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Its name, in batches, records and error messages.
    pub name: &'static str,
    /// What its values mean.
    pub domain: Domain,
    /// One line on what it holds.
    pub meaning: &'static str,
}

/// The side information of a batch, by name; constants, `[n]` each, or `[n, k]` where an item has several responses.
#[derive(Debug, Clone, Default)]
pub(crate) struct Columns<const D: usize = 1>(BTreeMap<&'static str, Tensor<D>>);

impl<const D: usize> Columns<D> {
    pub(crate) fn insert(&mut self, column: Column, values: Tensor<D>) {
        self.0.insert(column.name, values);
    }

    pub(crate) fn get(&self, column: Column) -> Option<Tensor<D>> {
        self.0.get(column.name).cloned()
    }

    pub(crate) fn require(&self, column: Column, method: &'static str) -> Result<Tensor<D>> {
        self.get(column).ok_or(Error::MissingColumn { method, name: column.name, meaning: column.meaning })
    }

    /// Every column through `f`: to pick rows, or to move them to another device.
    #[cfg(test)]
    pub(crate) fn map(&self, f: impl Fn(&Tensor<D>) -> Tensor<D>) -> Self {
        Self(self.0.iter().map(|(name, values)| (*name, f(values))).collect())
    }
}

/// `(1 − q) right + q wrong`: the loss of an item whose label is wrong with probability `q`.
pub(crate) fn mixed(q: Tensor<1>, right: Tensor<1>, wrong: Tensor<1>) -> Tensor<1> {
    (-q.clone() + 1.0) * right + q * wrong
}

/// `total / part`, and 0 where `part` is 0: what an item of a part counts in a mean over the whole to make that the mean
/// over the part. `[1]` each.
pub(crate) fn share(total: Tensor<1>, part: Tensor<1>) -> Tensor<1> {
    let none = part.clone().equal_scalar(0.0);
    (total / part.mask_fill(none.clone(), 1.0)).mask_fill(none, 0.0)
}

/// One over the mean number of tokens of an item, `[1]`: `mean_tokens` where it is known of the whole step, and otherwise
/// that of this batch, weighted. 0 when there is no token. `counts` and `weights`: `[n]`.
pub(crate) fn per_mean_token(mean_tokens: Option<f64>, counts: &Tensor<1>, weights: Tensor<1>) -> Tensor<1> {
    if let Some(mean_tokens) = mean_tokens {
        return Tensor::full([1], 1.0 / mean_tokens, (&counts.device(), counts.dtype()));
    }
    let tokens = (counts.clone().detach() * weights.clone()).sum();
    share(weights.sum(), tokens)
}
