//! Corrections for a sampler whose distribution is not the old policy's: other kernels, another precision, an older
//! policy.

use accordant_ops::{TokenLogps, check_domain, masked::masked_mean, stable::clamp_exponent};
use burn::{
    config::Config,
    tensor::{Bool, Tensor},
};
use serde::{Deserialize, Serialize};

use super::RolloutBatch;
use crate::{Error, Result};

/// What the log-ratio of the old policy to the sampler is taken of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum MismatchLevel {
    /// Each token.
    Token,
    /// The response as a whole, by its sum: explodes with the length.
    Sequence,
    /// The response, by its mean over tokens.
    Geometric,
}

/// What becomes of weights out of bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum OutOfBounds {
    /// They become the upper bound; small ones stay.
    Truncate,
    /// They become 0.
    Drop,
}

/// Importance weights `exp(log π_old − log π_sampler)` of the token losses, constants.
///
/// A sampler whose log-probabilities serve as the old policy's needs none: do not correct twice.
#[derive(Config, Debug, Copy, PartialEq)]
pub struct Correction {
    /// What the weight is taken of.
    pub level: MismatchLevel,
    /// What becomes of weights out of bounds.
    pub out_of_bounds: OutOfBounds,
    /// The largest weight, > 0, +∞ for none. 2: verl's threshold; TRL takes 3 for sequences.
    #[config(default = 2.0)]
    pub max: f64,
    /// The smallest weight that [`OutOfBounds::Drop`] keeps, ≥ 0 and below `max`. 0: none is too small.
    #[config(default = 0.0)]
    pub min: f64,
}

impl Correction {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn validate(&self) -> Result<()> {
        check_domain(self.max > 0.0, "max", "> 0", self.max)?;
        check_domain(self.min >= 0.0 && self.min < self.max, "min", "in [0, max)", self.min)?;
        if self.out_of_bounds == OutOfBounds::Truncate && self.min > 0.0 {
            return Err(Error::Combination {
                what: "`min` with truncation",
                reason: "only dropping has a lower bound",
            });
        }
        Ok(())
    }

    /// The weights of a batch, `[rows, seq]`, constants; anything behind the mask.
    ///
    /// # Errors
    /// [`Error::MissingColumn`] when the sampler has reported nothing.
    pub fn weights(&self, batch: &RolloutBatch) -> Result<Tensor<2>> {
        if !batch.has_behavior() {
            let meaning = "log-probabilities that the sampler reported";
            return Err(Error::MissingColumn { method: "correction", name: "behavior", meaning });
        }
        let tokens = (batch.old() - batch.behavior()).detach();
        let sequence = || TokenLogps::new(tokens.clone(), batch.mask()).map(|tokens| tokens.sequence());
        let log_weights = match self.level {
            MismatchLevel::Token => tokens,
            MismatchLevel::Sequence => RolloutBatch::per_token(sequence()?.sum, batch.mask())?,
            MismatchLevel::Geometric => RolloutBatch::per_token(sequence()?.mean, batch.mask())?,
        };
        // Beyond every useful bound, and finite in f32.
        let weights = clamp_exponent(log_weights, Some(80.0))?.exp();
        Ok(match self.out_of_bounds {
            OutOfBounds::Truncate => weights.clamp_max(self.max),
            OutOfBounds::Drop => {
                let out = weights.clone().greater_scalar(self.max).bool_or(weights.clone().lower_scalar(self.min));
                weights.mask_fill(out, 0.0)
            }
        })
    }
}

/// True at the tokens of rows with a negative advantage whose mean `log π_sampler − log π` is above `threshold`,
/// `[rows, seq]`: too far from what was sampled to be pushed further away.
pub(super) fn off_policy_rows(batch: &RolloutBatch, threshold: f64) -> Result<Tensor<2, Bool>> {
    let drift = masked_mean(batch.behavior() - batch.policy().detach(), batch.mask())?;
    let far = RolloutBatch::per_token(drift, batch.mask())?.greater_scalar(threshold);
    Ok(far.bool_and(batch.advantages().lower_scalar(0.0)))
}
