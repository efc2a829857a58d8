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
    /// They become the nearer bound.
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
    /// The smallest weight, ≥ 0 and below `max`. 0: none is too small, as in verl and TRL.
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
        Ok(check_domain(self.min >= 0.0 && self.min < self.max, "min", "in [0, max)", self.min)?)
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
            OutOfBounds::Truncate => weights.clamp(self.min, self.max),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TokenLogps;
    use crate::rollout::{
        Sampling,
        tests::{close, host, mask, matrix},
    };

    /// Rows of log-ratios to the sampler: (0.5, −1, behind) and (1.5, behind, behind).
    fn batch() -> RolloutBatch {
        let policy = TokenLogps::new(
            matrix([[-7.0, -7.0, -7.0], [-7.0, -7.0, -7.0]]),
            mask([[true, true, false], [true, false, false]]),
        );
        let old = matrix([[-1.0, -2.0, f64::NAN], [-3.0, f64::NAN, 1.0]]);
        let behavior = matrix([[-1.5, -1.0, 4.0], [-4.5, 4.0, f64::NAN]]);
        let advantages = matrix([[-1.0, -1.0, 0.0], [1.0, 0.0, 0.0]]);
        let same = Sampling::new();
        RolloutBatch::new(policy.unwrap(), advantages)
            .unwrap()
            .with_old(old)
            .unwrap()
            .with_behavior(behavior, &same, &same)
            .unwrap()
    }

    /// The weights of the three scored tokens.
    fn weights(correction: Correction) -> Vec<f64> {
        correction.validate().unwrap();
        let all = host(correction.weights(&batch()).unwrap());
        vec![all[0], all[1], all[3]]
    }

    #[test]
    fn weights_of_tokens_responses_and_means_are_truncated_or_dropped() {
        use MismatchLevel::*;
        use OutOfBounds::*;
        let e = f64::exp;
        for (level, free) in [
            (Token, [e(0.5), e(-1.0), e(1.5)]),
            (Sequence, [e(-0.5), e(-0.5), e(1.5)]),
            (Geometric, [e(-0.25), e(-0.25), e(1.5)]),
        ] {
            close(&weights(Correction::new(level, Truncate).with_max(f64::INFINITY)), &free, 1e-14);
            close(&weights(Correction::new(level, Truncate).with_max(1.2)), &free.map(|weight| weight.min(1.2)), 1e-14);
            let between = Correction::new(level, Truncate).with_max(1.2).with_min(0.7);
            close(&weights(between), &free.map(|weight| weight.clamp(0.7, 1.2)), 1e-14);
            let dropped = free.map(|weight| if (0.5..=1.2).contains(&weight) { weight } else { 0.0 });
            close(&weights(Correction::new(level, Drop).with_max(1.2).with_min(0.5)), &dropped, 1e-14);
            let low = free.map(|weight| if weight <= 1.2 { weight } else { 0.0 });
            close(&weights(Correction::new(level, Drop).with_max(1.2)), &low, 1e-14);
        }
        let defaults = Correction::new(Token, Drop);
        assert_eq!((defaults.max, defaults.min), (2.0, 0.0));
    }

    #[test]
    fn a_token_that_the_sampler_did_not_score_counts_as_the_old_policys() {
        let same = Sampling::new();
        // Log-ratios to the sampler: 0.5 and not known.
        let behavior = matrix([[-1.5, f64::NAN, f64::NAN], [f64::NAN, 0.0, 0.0]]);
        let partly = batch().with_behavior(behavior, &same, &same).unwrap();
        let weights = |level| {
            let all = host(Correction::new(level, OutOfBounds::Drop).weights(&partly).unwrap());
            [all[0], all[1], all[3]]
        };
        close(&weights(MismatchLevel::Token), &[0.5f64.exp(), 1.0, 1.0], 1e-15);
        close(&weights(MismatchLevel::Sequence), &[0.5f64.exp(), 0.5f64.exp(), 1.0], 1e-15);
        close(&weights(MismatchLevel::Geometric), &[0.25f64.exp(), 0.25f64.exp(), 1.0], 1e-15);
        // Mean of log π_sampler − log π, with the old policy's −2 in place of what is not known: (5.5 + 5) / 2.
        let far = |threshold| host(off_policy_rows(&partly, threshold).unwrap().float())[0];
        assert_eq!([far(5.24), far(5.26)], [1.0, 0.0]);
    }

    #[test]
    fn weights_are_finite_however_far_the_sampler_is() {
        let mut batch = batch();
        let same = Sampling::new();
        batch = batch.with_behavior(matrix([[-1e4, 1e4, 0.0], [-1e4, 0.0, 0.0]]), &same, &same).unwrap();
        for level in [MismatchLevel::Token, MismatchLevel::Sequence, MismatchLevel::Geometric] {
            let correction = Correction::new(level, OutOfBounds::Truncate).with_max(f64::INFINITY);
            assert!(host(correction.weights(&batch).unwrap()).iter().all(|weight| weight.is_finite()));
        }
    }

    #[test]
    fn a_batch_without_the_samplers_word_and_settings_out_of_bounds_are_refused() {
        let policy = TokenLogps::new(matrix([[-1.0]]), mask([[true]])).unwrap();
        let bare = RolloutBatch::new(policy, matrix([[1.0]])).unwrap();
        let correction = Correction::new(MismatchLevel::Token, OutOfBounds::Drop);
        let error = correction.weights(&bare).unwrap_err().to_string();
        assert_eq!(
            error,
            "`correction` needs `behavior` (log-probabilities that the sampler reported), and the batch has none"
        );
        for (max, min, expected) in [
            (0.0, 0.0, "`max`: expected > 0, got 0"),
            (f64::NAN, 0.0, "`max`: expected > 0, got NaN"),
            (2.0, -1.0, "`min`: expected in [0, max), got -1"),
            (2.0, 2.0, "`min`: expected in [0, max), got 2"),
            (2.0, f64::NAN, "`min`: expected in [0, max), got NaN"),
        ] {
            assert_eq!(correction.with_max(max).with_min(min).validate().unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn rows_far_from_the_sampler_are_told_where_the_advantage_is_negative() {
        // Mean of log π_sampler − log π: (5.5 + 6) / 2 and 2.5, and only the first row has a negative advantage.
        let far = |threshold| host(off_policy_rows(&batch(), threshold).unwrap().float());
        assert_eq!(far(5.74), [1.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
        assert_eq!(far(5.76), [0.0; 6]);
    }
}
