//! What a response is scored by: the first factor of every loss of a margin.

use burn::{config::Config, tensor::Tensor};

use super::{
    PairBatch, PairOutput, PairValues,
    f_dpo::{Divergence, check_alpha},
};
use crate::Result;

/// Per sequence or per token.
#[derive(Config, Debug, Copy, PartialEq)]
pub enum Length {
    /// Summed over the scored tokens.
    Sum,
    /// Divided by the number of scored tokens.
    TokenMean,
}

/// A score of a response under the policy, of which pairs are compared.
///
/// With `d` the summed log-ratio to the reference, `L` the summed log-probability and `n` the number of scored tokens.
#[derive(Config, Debug, Copy, PartialEq)]
pub enum Score {
    /// `d` or `d/n`: DPO, IPO, LN-DPO.
    LogRatio(Length),
    /// `g(d)` or `g(d)/n`: f-DPO. Scored first, then divided.
    Divergence {
        /// What scores a log-ratio.
        divergence: Divergence,
        /// Per sequence or per token.
        length: Length,
    },
    /// `L` or `L/n`: CPO, SimPO. No reference.
    LogProb(Length),
    /// `(1 − e^{−αa})/α` of `a = L` or `L/n`: AlphaPO's transform, which is the α divergence's score. No reference.
    AlphaLogProb {
        /// α, finite and not 0.
        alpha: f64,
        /// Per sequence or per token.
        length: Length,
    },
    /// `log(p/(1 − p))` of the mean probability `p = e^{L/n}`: ORPO. No reference.
    LogOdds,
}

impl Score {
    /// Log-probabilities, through AlphaPO's transform when there is an `alpha`.
    pub(super) fn of_logps(alpha: Option<f64>, length: Length) -> Self {
        match alpha {
            Some(alpha) => Self::AlphaLogProb { alpha, length },
            None => Self::LogProb(length),
        }
    }

    /// Whether the score compares with the reference.
    pub fn needs_reference(&self) -> bool {
        matches!(self, Self::LogRatio(_) | Self::Divergence { .. })
    }

    /// The scores of both members of each pair. Exponents of divergences are capped at `exponent_max`, by dtype when
    /// absent.
    ///
    /// # Errors
    /// [`crate::Error::MissingReference`] naming `method`; a domain error of `exponent_max`.
    pub fn of(&self, batch: &PairBatch, exponent_max: Option<f64>, method: &'static str) -> Result<PairValues> {
        let raw = self.raw(batch, method)?;
        let per = |values: PairValues, length: Length| match length {
            Length::Sum => values,
            Length::TokenMean => values.per_token(batch.policy()),
        };
        let scored = |values: PairValues, divergence: Divergence| -> Result<PairValues> {
            let score = |value: Tensor<1>| divergence.score(value, exponent_max);
            Ok(PairValues { chosen: score(values.chosen)?, rejected: score(values.rejected)? })
        };
        Ok(match *self {
            Self::LogRatio(length) => per(raw, length),
            Self::Divergence { divergence, length } => per(scored(raw, divergence)?, length),
            Self::LogProb(_) => raw,
            Self::AlphaLogProb { alpha, .. } => scored(raw, Divergence::Alpha(alpha))?,
            Self::LogOdds => raw.map(accordant_ops::stable::log_odds),
        })
    }

    /// What is transformed: log-ratios, log-probabilities.
    fn raw(&self, batch: &PairBatch, method: &'static str) -> Result<PairValues> {
        Ok(match self {
            Self::LogRatio(_) | Self::Divergence { .. } => batch.log_ratios(method)?,
            Self::LogProb(Length::Sum) | Self::AlphaLogProb { length: Length::Sum, .. } => batch.policy().sums(),
            Self::LogProb(_) | Self::AlphaLogProb { .. } | Self::LogOdds => batch.policy().means(),
        })
    }

    /// Adds the metric `n_score_clamped` to the output of a method with this score: how many of a pair's two scores had
    /// their exponent clamped, on average. A score without exponents adds none.
    pub(super) fn log_clamped(
        &self,
        output: PairOutput,
        batch: &PairBatch,
        exponent_max: Option<f64>,
        method: &'static str,
    ) -> Result<PairOutput> {
        let divergence = match *self {
            Self::Divergence { divergence, .. } => divergence,
            Self::AlphaLogProb { alpha, .. } => Divergence::Alpha(alpha),
            _ => return Ok(output),
        };
        let PairValues { chosen, rejected } = self.raw(batch, method)?;
        let clamped = |values| divergence.clamped(values, exponent_max);
        match clamped(&chosen)?.zip(clamped(&rejected)?) {
            Some((chosen, rejected)) => output.with_metric("n_score_clamped", chosen + rejected),
            None => Ok(output),
        }
    }

    /// What is reported as the score: a log-ratio is reported summed, comparable with DPO's; the others as used.
    pub(super) fn reported(&self, batch: &PairBatch, used: &PairValues) -> PairValues {
        match batch.known_log_ratios() {
            Some(ratios) if self.needs_reference() => ratios,
            _ => match self {
                Self::LogOdds => batch.policy().means(),
                _ => used.clone(),
            },
        }
    }

    pub(super) fn check(&self) -> Result<()> {
        match self {
            Self::Divergence { divergence, .. } => divergence.check(),
            Self::AlphaLogProb { alpha, .. } => check_alpha("alpha", *alpha),
            _ => Ok(()),
        }
    }
}
