//! Importance ratios: of tokens, of whole responses, of groups.

use accordant_ops::{SequenceLogps, masked::row_counts, stable::clamp_exponent};
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

    /// Between which log-ratios are exponentiated, of [`RatioLevel::log_ratios`]; infinite without a bound.
    pub(super) fn bounds(self, log_ratio_clamp: Option<f64>) -> [f64; 2] {
        let clamp = log_ratio_clamp.unwrap_or(f64::INFINITY);
        let high = if self == Self::SequenceToken { clamp.min(TOKEN_FORM_CLAMP) } else { clamp };
        [-clamp, high]
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
        // What lies behind the mask is 0 and adds nothing.
        let sequence = || {
            let counts = row_counts(batch.mask(), tokens.dtype());
            SequenceLogps::new(tokens.clone().sum_dim(1).squeeze_dim(1), counts)
        };
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

#[cfg(test)]
mod tests {
    use accordant_ops::{TokenLogps, groups::Groups};

    use super::*;
    use crate::rollout::tests::{close, host, mask, matrix};

    const LEVELS: [RatioLevel; 5] = [
        RatioLevel::Token,
        RatioLevel::Sequence,
        RatioLevel::SequenceToken,
        RatioLevel::SequenceSum,
        RatioLevel::Group,
    ];

    /// Log-ratios (0.1, −0.05, 0.2), (0.6) and none; the first and the last row answer one prompt.
    fn run(level: RatioLevel, clamp: Option<f64>, scale: f64) -> (Vec<f64>, Vec<f64>) {
        let none = f64::NAN;
        let ratios = [[0.1, -0.05, 0.2], [0.6, none, none], [none; 3]];
        let policy = matrix(ratios.map(|row| row.map(|ratio| ratio * scale - 1.0))).require_grad();
        let mask = mask([[true; 3], [true, false, false], [false; 3]]);
        let batch = RolloutBatch::new(TokenLogps::new(policy.clone(), mask).unwrap(), matrix([[0.0; 3]; 3])).unwrap();
        let batch = batch.with_old(matrix([[-1.0; 3]; 3])).unwrap().with_groups(Groups::new(&[5, 6, 5])).unwrap();
        let log_ratios = level.log_ratios(&batch, clamp, "test").unwrap();
        let grads = log_ratios.clone().exp().sum().backward();
        (host(log_ratios), host(policy.grad(&grads).unwrap()))
    }

    #[test]
    fn a_ratio_is_taken_of_tokens_responses_or_groups() {
        let mean = 0.25 / 3.0;
        for (level, first) in [
            (RatioLevel::Token, [0.1, -0.05, 0.2]),
            (RatioLevel::Sequence, [mean; 3]),
            (RatioLevel::SequenceToken, [mean; 3]),
            (RatioLevel::SequenceSum, [0.25; 3]),
            (RatioLevel::Group, [0.25; 3]),
        ] {
            let (log_ratios, _) = run(level, None, 1.0);
            close(&log_ratios, &[first[0], first[1], first[2], 0.6, 0.0, 0.0, 0.0, 0.0, 0.0], 1e-14);
            assert_eq!(level.is_shared(), level != RatioLevel::Token);
        }
        // Section 6's value.
        close(&[run(RatioLevel::Sequence, None, 1.0).0[0].exp()], &[1.08690405], 1e-8);
    }

    #[test]
    fn the_gradient_of_a_response_reaches_each_of_its_tokens() {
        let s = (0.25f64 / 3.0).exp();
        for (level, first, second) in [
            (RatioLevel::Token, [0.1f64.exp(), (-0.05f64).exp(), 0.2f64.exp()], 0.6f64.exp()),
            // The sum over three tokens of the same ratio, a third of it each.
            (RatioLevel::Sequence, [s; 3], 0.6f64.exp()),
            (RatioLevel::SequenceToken, [s; 3], 0.6f64.exp()),
            (RatioLevel::SequenceSum, [3.0 * 0.25f64.exp(); 3], 0.6f64.exp()),
            (RatioLevel::Group, [3.0 * 0.25f64.exp(); 3], 0.6f64.exp()),
        ] {
            let (_, slopes) = run(level, None, 1.0);
            close(&slopes, &[first[0], first[1], first[2], second, 0.0, 0.0, 0.0, 0.0, 0.0], 1e-14);
        }
    }

    #[test]
    fn log_ratios_are_clamped_at_their_own_level() {
        // Tokens at 100, −50 and 200: their mean is 83.3, their sum 250.
        for level in LEVELS {
            let (log_ratios, slopes) = run(level, Some(5.0), 1000.0);
            let second = if level == RatioLevel::Token { -5.0 } else { 5.0 };
            assert_eq!(log_ratios[..4], [5.0, second, 5.0, 5.0], "{level:?}");
            assert!(slopes.iter().all(|slope| slope.is_finite()));
        }
        // The token form has a bound of its own.
        let (log_ratios, slopes) = run(RatioLevel::SequenceToken, None, 1000.0);
        assert_eq!(log_ratios[..4], [10.0; 4]);
        assert_eq!(slopes[..4], [0.0; 4]);
    }

    #[test]
    fn a_ratio_of_groups_needs_groups_and_a_clamp_must_be_positive() {
        let policy = TokenLogps::new(matrix([[-1.0]]), mask([[true]])).unwrap();
        let batch = RolloutBatch::new(policy, matrix([[1.0]])).unwrap();
        let error = RatioLevel::Group.log_ratios(&batch, None, "p3o").unwrap_err().to_string();
        assert_eq!(error, "`p3o` needs `groups` (which rows answer the same prompt), and the batch has none");
        assert!(RatioLevel::Token.log_ratios(&batch, Some(0.0), "test").is_err());
    }
}
