//! What was predicted of each rated response, and what it was given.

use accordant_ops::{check_dtype, check_shape};
use burn::tensor::Tensor;

use crate::{Nll, Result};

/// Predictions of `n` ratings and their targets.
///
/// What the `k` numbers of a prediction are (quantiles, logits, one score) and the `m` numbers of a target (samples of the
/// rating, or a distribution over grades) is the model's to say. Targets and weights are constants: they are detached.
///
/// # Example
/// ```
/// use accordant_preference::distributional::Ratings;
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let quantiles = Tensor::from_floats([[1.0, 3.0], [2.0, 4.0]], &device);
/// let ratings = Ratings::new(quantiles, Tensor::from_floats([[2.0], [5.0]], &device))?;
/// assert_eq!(ratings.len(), 2);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Ratings {
    predictions: Tensor<2>,
    targets: Tensor<2>,
    weights: Option<Tensor<1>>,
}

impl Ratings {
    /// Predictions `[n, k]` and targets `[n, m]`, all of weight 1.
    ///
    /// # Errors
    /// A shape or dtype error naming `targets`.
    pub fn new(predictions: Tensor<2>, targets: Tensor<2>) -> Result<Self> {
        let ([n, _], [_, m]) = (predictions.dims(), targets.dims());
        check_shape("targets", &[n, m], &targets.dims())?;
        check_dtype("targets", predictions.dtype(), targets.dtype())?;
        Ok(Self { predictions, targets: targets.detach(), weights: None })
    }

    /// How much each rating counts in a mean, `[n]`, ≥ 0.
    ///
    /// # Errors
    /// A shape or dtype error naming `weights`.
    pub fn with_weights(mut self, weights: Tensor<1>) -> Result<Self> {
        check_shape("weights", &[self.len()], &weights.dims())?;
        check_dtype("weights", self.predictions.dtype(), weights.dtype())?;
        self.weights = Some(weights.detach());
        Ok(self)
    }

    /// How many ratings there are.
    pub fn len(&self) -> usize {
        self.predictions.dims()[0]
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What was predicted, `[n, k]`.
    pub fn predictions(&self) -> Tensor<2> {
        self.predictions.clone()
    }

    /// What it should have been, `[n, m]`.
    pub fn targets(&self) -> Tensor<2> {
        self.targets.clone()
    }

    /// Losses `[n]` with the weights of the ratings.
    ///
    /// # Errors
    /// A shape error naming `weights` when there is another number of losses.
    pub fn nll(&self, losses: Tensor<1>) -> Result<Nll> {
        let weights = self.weights.clone().unwrap_or_else(|| losses.ones_like().detach());
        Nll::new(losses, weights)
    }
}

/// A loss of predicted ratings.
pub trait RatingModel {
    /// One loss per rating.
    ///
    /// # Errors
    /// A shape error naming `predictions` or `targets` when they are not what the model is about.
    fn forward(&self, ratings: &Ratings) -> Result<Nll>;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::distributional::testing::{host, matrix, starts, vector};

    #[test]
    fn other_lengths_and_dtypes_are_errors_that_name_the_column() {
        let two = || matrix(&[1.0, 2.0], 1);
        starts(Ratings::new(two(), matrix(&[1.0], 1)), "`targets`: expected shape [2, 1]");
        starts(Ratings::new(two(), two().cast(burn::tensor::FloatDType::F32)), "`targets`: expected dtype");
        let ratings = Ratings::new(two(), matrix(&[1.0; 6], 3)).unwrap();
        assert_eq!((ratings.len(), ratings.is_empty()), (2, false));
        starts(ratings.clone().with_weights(vector(&[1.0])), "`weights`");
        starts(ratings.clone().with_weights(vector(&[1.0; 2]).cast(burn::tensor::FloatDType::F32)), "`weights`");
        starts(
            ratings.nll(vector(&[1.0])).map(|_| ()).and(ratings.clone().with_weights(vector(&[1.0; 3]))),
            "`weights`",
        );
    }

    #[test]
    fn losses_carry_the_weights() {
        let ratings = Ratings::new(matrix(&[0.0; 2], 1), matrix(&[0.0; 2], 1)).unwrap();
        assert_eq!(host(&ratings.nll(vector(&[1.0, 2.0])).unwrap().weights), [1.0, 1.0]);
        let ratings = ratings.with_weights(vector(&[3.0, 0.5])).unwrap();
        assert_eq!(host(&ratings.nll(vector(&[1.0, 2.0])).unwrap().weights), [3.0, 0.5]);
    }
}
