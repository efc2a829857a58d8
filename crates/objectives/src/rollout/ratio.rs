//! Importance ratios: of tokens, of whole responses, of groups.

use accordant_ops::{TokenLogps, stable::clamp_exponent};
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::RolloutBatch;
use crate::Result;

/// Largest exponent of a ratio that is 1 in value and a token's in gradient: verl's.
const TOKEN_FORM_CLAMP: f64 = 10.0;

/// What the ratio of the policy to the old policy is taken of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RatioLevel {
    /// Each token: `exp(l − l_old)` (PPO, GRPO).
    Token,
    /// The response, by its geometric mean: `exp(Σ (l − l_old) / n)` (GSPO).
    Sequence,
    /// The value of [`RatioLevel::Sequence`] with the gradient of the token's own ratio (GSPO-token).
    SequenceToken,
    /// The response as a whole: `exp(Σ (l − l_old))` (RLOO in TRL, P3O).
    SequenceSum,
    /// All responses of the group as a whole (P3O's joint clip).
    Group,
}

impl RatioLevel {
    /// Whether all tokens of a row have the same ratio.
    pub fn is_shared(self) -> bool {
        self != Self::Token
    }

    /// Log-ratios of the policy to the old policy, `[rows, seq]`, with gradient; one of a row stands at each of its
    /// tokens. Clamped to ±`log_ratio_clamp`.
    ///
    /// # Errors
    /// [`crate::Error::MissingColumn`] for a ratio of groups without groups; a domain error of the clamp.
    pub fn log_ratios(
        self,
        batch: &RolloutBatch,
        log_ratio_clamp: Option<f64>,
        method: &'static str,
    ) -> Result<Tensor<2>> {
        let tokens = batch.policy() - batch.old();
        let clamp = |ratios: Tensor<1>| -> Result<Tensor<2>> {
            RolloutBatch::per_token(clamp_exponent(ratios, log_ratio_clamp)?, batch.mask())
        };
        let sequence = || -> Result<_> { Ok(TokenLogps::new(tokens.clone(), batch.mask())?.sequence()) };
        Ok(match self {
            Self::Token => clamp_exponent(tokens, log_ratio_clamp)?,
            Self::Sequence => clamp(sequence()?.mean)?,
            Self::SequenceSum => clamp(sequence()?.sum)?,
            Self::SequenceToken => {
                let row = clamp(sequence()?.mean)?.detach();
                // The policy's own gradient and no value: l − sg(l).
                let slope = batch.policy() - batch.policy().detach();
                (row + slope).clamp_max(TOKEN_FORM_CLAMP)
            }
            Self::Group => {
                let stats = batch.groups(method)?.stats(sequence()?.sum)?;
                clamp(stats.mean() * stats.count())?
            }
        })
    }
}
