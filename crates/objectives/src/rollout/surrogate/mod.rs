//! Surrogates: how much each token's probability shall change, given its ratio and its advantage.
//!
//! A surrogate is one of the axes of [`PolicyGradient`](super::PolicyGradient): it sees the log-ratios that
//! [`RatioLevel`] has made of tokens, rows or groups and returns a loss for each token. On-policy, where
//! every ratio is 1, all of them have the gradient of `−A log π`, but for a constant factor that their files state.
//!
//! | surrogate | far from the old policy |
//! |---|---|
//! | [`cispo`] | the gradient is that of `−A log π` times a clipped ratio, and never ends |
//! | [`clip`] | the gradient ends where the ratio has moved far enough in the advantage's direction |
//! | [`clip_cov`] | as [`clip`], and some tokens that would cost the most entropy are left out |
//! | [`gmpo`] | the same for each token's part in the geometric mean of the response's ratios |
//! | [`importance`] | the ratio grows without a bound, or with a penalty for leaving the old policy |
//! | [`joint`] | the gradient is that of `−A log π` times the clipped ratio of all responses of the group |
//! | [`kl_cov`] | nothing, but for the tokens that would cost the most entropy, which are held back |
//! | [`reinforce`] | there is no ratio, or it is a weight |
//! | [`sapo`] | the gradient fades smoothly |
//! | [`vespo`] | the gradient fades smoothly with the ratio of the whole response |

use accordant_ops::{check_dtype, check_shape, reduce::Aggregation};
use burn::tensor::{Bool, Tensor};

use super::{RatioLevel, RolloutBatch};
use crate::{Domain, Options, Result, method, side::Column};

pub mod cispo;
pub mod clip;
pub mod clip_cov;
mod covariance;
pub mod gmpo;
pub mod importance;
pub mod joint;
pub mod kl_cov;
pub mod reinforce;
pub mod sapo;
pub mod vespo;

/// The sum over a response of the log-ratios of the old policy to the sampler, for a surrogate that reads it, when it is
/// not that of the batch's own log-probabilities.
pub const MISMATCH: Column = Column {
    name: "mismatch",
    domain: Domain::Real,
    meaning: "sum over the response of the old policy's log-probabilities less the sampler's",
};

/// What a surrogate reads. All `[rows, seq]`, 0 behind the mask.
#[derive(Debug, Clone)]
pub struct Tokens {
    /// Log-probabilities under the policy; with gradient.
    pub logps: Tensor<2>,
    /// Log-ratios at the chosen level, clamped; with gradient.
    pub log_ratios: Tensor<2>,
    /// Log-probabilities under the old policy; constants.
    pub old: Tensor<2>,
    /// Log-ratios of the old policy to the sampler, where that has log-probabilities of its own; constants.
    pub mismatch: Option<Tensor<2>>,
    /// [`MISMATCH`], `[rows]`, where the batch has it.
    pub row_mismatch: Option<Tensor<1>>,
    /// Advantages; constants.
    pub advantages: Tensor<2>,
    /// True where a token counts.
    pub mask: Tensor<2, Bool>,
    /// True where a token is learned from: the mask, or less of it where only uncertain tokens are.
    pub learned: Tensor<2, Bool>,
}

impl Tokens {
    /// Tokens of a batch with their `log_ratios`, of which those that are `learned` are learned from.
    pub(super) fn new(batch: &RolloutBatch, log_ratios: Tensor<2>, learned: Tensor<2, Bool>) -> Self {
        Self {
            logps: batch.policy(),
            log_ratios,
            old: batch.old(),
            mismatch: batch.has_behavior().then(|| batch.old() - batch.behavior()),
            row_mismatch: batch.known_column(MISMATCH),
            advantages: batch.advantages(),
            mask: batch.mask(),
            learned,
        }
    }
}

/// Which bound has taken a token's gradient away or changed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clipped {
    /// The lower one: a ratio that is small enough already, with a negative advantage.
    Low,
    /// The upper one: a ratio that is large enough already, with a positive advantage.
    High,
    /// The one on the loss of a negative advantage.
    Dual,
}

impl Clipped {
    /// Under what its share is logged.
    pub fn name(self) -> &'static str {
        match self {
            Self::Low => "policy/clip_low",
            Self::High => "policy/clip_high",
            Self::Dual => "policy/clip_dual",
        }
    }
}

/// A loss of tokens. A surrogate is a value: built from its configuration, it holds valid settings and no state.
pub trait Surrogate: std::fmt::Debug + Send + Sync {
    /// The name in errors: the file's.
    fn name(&self) -> &'static str;

    /// The loss of each token, `[rows, seq]`; anything behind the mask. A loss of a row stands at each of its tokens.
    ///
    /// # Errors
    /// Whatever the batch lacks.
    fn losses(&self, tokens: &Tokens) -> Result<Tensor<2>>;

    /// What its bounds do to a token, for metrics.
    fn clipped(&self, _log_ratio: f64, _advantage: f64) -> Option<Clipped> {
        None
    }

    /// How many of these tokens each of its bounds has changed, in the order of [`Clipped`]: a loop for all of them, since
    /// one call for each token through a trait object takes longer than what is called.
    fn count_clipped(&self, log_ratios: &[f64], advantages: &[f64]) -> [usize; 3] {
        let mut counts = [0; 3];
        for (log_ratio, advantage) in log_ratios.iter().zip(advantages) {
            if let Some(clipped) = self.clipped(*log_ratio, *advantage) {
                counts[clipped as usize] += 1;
            }
        }
        counts
    }

    /// Whether the loss is one of whole rows that has used [`Tokens::learned`] itself.
    fn is_of_rows(&self) -> bool {
        false
    }

    /// Whether it has used [`Tokens::mismatch`] itself, so that nothing else may correct for it.
    fn corrects_mismatch(&self) -> bool {
        false
    }

    /// Refuses what makes no sense with it.
    ///
    /// # Errors
    /// [`crate::Error::Combination`] with the reason.
    fn check(&self, _ratio: RatioLevel, _aggregation: Aggregation) -> Result<()> {
        Ok(())
    }
}

/// Refuses what has not the shape or the dtype of `expected`.
fn check_like(name: &'static str, expected: &Tensor<2>, got: &Tensor<2>) -> Result<()> {
    check_shape(name, &expected.dims(), &got.dims())?;
    Ok(check_dtype(name, expected.dtype(), got.dtype())?)
}

/// A surrogate that can be chosen by name.
pub type Method = method::Method<dyn Surrogate>;

/// Every surrogate, in the order of their names.
pub fn methods() -> &'static [Method] {
    include!(concat!(env!("OUT_DIR"), "/rollout_surrogate_methods.rs"))
}

/// The surrogate called `name`, with `options` in place of its defaults.
///
/// # Errors
/// [`crate::Error::UnknownMethod`] lists the surrogates there are; errors of the options and of the configuration.
///
/// # Example
/// ```
/// use accordant_objectives::{Options, rollout::surrogate::build};
/// assert_eq!(build("clip", &Options::new().with("clip_high", 0.28))?.name(), "clip");
/// assert!(build("clip", &Options::new().with("clip_low", -1)).is_err());
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
pub fn build(name: &str, options: &Options) -> Result<Box<dyn Surrogate>> {
    method::build(methods(), name, options)
}

#[cfg(test)]
mod laws;
#[cfg(test)]
mod tests;
