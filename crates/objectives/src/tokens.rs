//! What an objective makes of plain tensors, as property tests and benches want it.

use std::borrow::Cow;

use accordant_ops::Reduced;
use burn::tensor::Tensor;

/// What a family's `evaluate_tokens` returns.
#[derive(Debug, Clone)]
pub struct TokensOutput {
    /// The loss of each item, `[n]`.
    pub losses: Tensor<1>,
    /// The weight of each item, `[n]`.
    pub weights: Tensor<1>,
    /// The reduced loss, `[1]`, and the two sums it was made of.
    pub loss: Tensor<1>,
    /// Its numerator.
    pub numerator: Tensor<1>,
    /// Its denominator.
    pub denominator: Tensor<1>,
    /// Everything that is logged, by name.
    pub logged: Vec<(Cow<'static, str>, Tensor<1>)>,
}

impl TokensOutput {
    pub(crate) fn new(
        losses: Tensor<1>,
        weights: Tensor<1>,
        reduced: Reduced,
        logged: Vec<(Cow<'static, str>, Tensor<1>)>,
    ) -> Self {
        let Reduced { loss, numerator, denominator, .. } = reduced;
        Self { losses, weights, loss, numerator, denominator, logged }
    }
}
