//! Estimators: from the rewards of a batch of rollouts to the advantage of each token.

use accordant_ops::{Means, groups::GroupStats, item_metrics::numbers};
use burn::tensor::{Bool, Tensor, Transaction};

use super::RewardBatch;
use crate::{Options, Result, method, rollout::RolloutBatch, side::Column};

/// How rewards become advantages. An estimator is a value: built from its configuration, it holds valid settings and no
/// state.
pub trait Estimator: std::fmt::Debug + Send + Sync {
    /// The name in errors: the file's.
    fn name(&self) -> &'static str;

    /// Whether it reads values of the states.
    fn needs_values(&self) -> bool {
        false
    }

    /// Whether it reads the policy's log-probabilities and sums of squared probabilities
    /// ([`RewardBatch::with_sum_sq_probs`]).
    fn needs_sum_sq_probs(&self) -> bool {
        false
    }

    /// Whether it makes returns that a critic can be trained on.
    fn makes_returns(&self) -> bool {
        false
    }

    /// What a constant added to rewards does to its advantages.
    fn shift(&self) -> Shift {
        Shift::Counts
    }

    /// What multiplying all rewards does to its advantages.
    fn scaling(&self) -> Scaling {
        Scaling::Other
    }

    /// Side information of rows that it reads, all of it required.
    fn columns(&self) -> Vec<Column> {
        Vec::new()
    }

    /// Advantages of a whole batch of rollouts, constants.
    ///
    /// # Errors
    /// What it needs and the batch does not have, named.
    fn estimate(&self, batch: &RewardBatch) -> Result<Advantages>;
}

/// What a constant added to rewards does to advantages, but for rounding. A reward model that was fitted to preferences
/// is known up to a constant for each prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shift {
    /// Nothing, even if each group has a constant of its own.
    IgnoredByGroup,
    /// Nothing, if all rewards of the batch have the same.
    Ignored,
    /// It changes them.
    Counts,
}

/// What a factor > 0 on all rewards, without a divergence among them, does to advantages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scaling {
    /// Nothing, but for the `eps` in a denominator: what a reward is worth is lost.
    Ignored,
    /// Advantages have the factor, too.
    Kept,
    /// Neither.
    Other,
}

/// What an estimator makes. All constants.
#[derive(Debug, Clone)]
pub struct Advantages {
    /// Advantages of the tokens, `[rows, seq]`, 0 behind the mask and in rows without a reward.
    pub advantages: Tensor<2>,
    /// What a critic is to be trained on.
    pub returns: Option<Returns>,
    /// Whether the rewards of a row's group are all equal, so that it teaches nothing, `[rows]`.
    pub is_constant: Tensor<1, Bool>,
    groups: GroupStats,
}

/// What a critic is to be trained on.
#[derive(Debug, Clone)]
pub struct Returns {
    /// Returns, `[rows, seq]`.
    pub returns: Tensor<2>,
    /// True where there is one, `[rows, seq]`.
    pub mask: Tensor<2, Bool>,
}

impl Advantages {
    /// One advantage for each row, `[rows]`, at each of its tokens; 0 for rows without a reward.
    ///
    /// # Errors
    /// A shape error naming `advantages`.
    pub fn of_rows(batch: &RewardBatch, advantages: Tensor<1>) -> Result<Self> {
        accordant_ops::check_shape("advantages", &[batch.len()], &advantages.dims())?;
        Self::of_tokens(batch, RolloutBatch::per_token(advantages, batch.mask())?)
    }

    /// An advantage for each token, `[rows, seq]`; 0 for rows without a reward.
    ///
    /// # Errors
    /// A shape error naming `advantages`.
    pub fn of_tokens(batch: &RewardBatch, advantages: Tensor<2>) -> Result<Self> {
        accordant_ops::check_shape("advantages", &batch.mask().dims(), &advantages.dims())?;
        let groups = batch.raw_stats()?;
        let off = batch.scored_mask()?.bool_not();
        Ok(Self {
            advantages: advantages.detach().mask_fill(off, 0.0),
            returns: None,
            is_constant: groups.is_constant(),
            groups,
        })
    }

    /// One number for each row, `[rows]`, at each of its tokens, for an objective that tells a row without a number from
    /// one with 0: it stays NaN.
    ///
    /// # Errors
    /// A shape error naming `values`.
    pub(crate) fn or_nan(batch: &RewardBatch, values: Tensor<1>) -> Result<Self> {
        let advantages = RolloutBatch::per_token(values.detach(), batch.mask())?;
        Ok(Self { advantages: advantages.clone(), ..Self::of_tokens(batch, advantages)? })
    }

    /// With what a critic is to be trained on.
    pub fn with_returns(mut self, returns: Tensor<2>, mask: Tensor<2, Bool>) -> Self {
        self.returns = Some(Returns { returns: returns.detach(), mask });
        self
    }

    /// What is logged: `frac_zero_std_groups`, the share of groups whose rewards are all equal, by the rewards as they
    /// came and however advantages are scaled. Reads the device once.
    pub fn means(&self) -> Means {
        let counts = [self.groups.num_constant_groups(), self.groups.num_groups()];
        let read = counts.into_iter().fold(Transaction::default(), |read, count| read.register(count.inner()));
        let counts: Vec<f64> = read.execute().into_iter().map(|data| numbers(data)[0]).collect();
        let mut means = Means::default();
        means.add("frac_zero_std_groups", counts[0], counts[1]);
        means
    }
}

/// An estimator that can be chosen by name.
pub type Method = method::Method<dyn Estimator>;

/// Every estimator, in the order of their names.
pub fn methods() -> &'static [Method] {
    use super::*;
    include!(concat!(env!("OUT_DIR"), "/advantage_methods.rs"))
}

/// The estimator called `name`, with `options` in place of its defaults.
///
/// # Errors
/// [`crate::Error::UnknownMethod`] lists the estimators there are; errors of the options and of the configuration.
///
/// # Example
/// ```
/// use accordant_objectives::{Options, advantage::build};
/// assert_eq!(build("group_normalized", &Options::new().with("eps", 1e-4))?.name(), "group_normalized");
/// assert!(build("group_normalized", &Options::new().with("eps", -1)).is_err());
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
pub fn build(name: &str, options: &Options) -> Result<Box<dyn Estimator>> {
    method::build(methods(), name, options)
}
