//! Objectives on rollouts: responses that the policy has sampled, and their rewards.
//!
//! A method has two halves. Once per batch of rollouts, [`RolloutObjective::advantages`] turns rewards into the advantage
//! of each token ([`crate::advantage`]). Then, for each update, [`RolloutObjective::forward`] turns the policy's
//! log-probabilities and those advantages into a loss. Start with [`grpo`]; choose a method at run time with [`build`].
//!
//! # A grid, not a list
//! Most methods are points of one grid, [`PolicyGradient`]:
//!
//! | axis | type | values |
//! |---|---|---|
//! | advantage | [`Estimator`](crate::advantage::Estimator) | one file each in [`crate::advantage`] |
//! | ratio | [`RatioLevel`] | token, sequence, sequence with the token's gradient, sum, group |
//! | surrogate | [`Surrogate`](surrogate::Surrogate) | one file each in [`surrogate`] |
//! | aggregation | [`Aggregation`](accordant_ops::reduce::Aggregation) | over tokens, over responses, over a constant |
//! | divergence | [`KlPlacement`] | nowhere, in the reward, in the loss |
//!
//! A preset is a file that names a point; what makes no sense is refused by `init` with the reason, what is odd is in
//! [`PolicyGradient::warnings`].
//!
//! | preset | differs from GRPO in |
//! |---|---|
//! | [`bnpo`] | the mean over tokens of the batch |
//! | [`cispo`] | weights that are clipped and gradients that never end |
//! | [`dapo`] | a higher upper bound, and the mean over tokens of the step |
//! | [`dr_grpo`] | no division by deviations and lengths |
//! | [`gmpo`] | the geometric mean of a response's ratios |
//! | [`gspo`], [`gspo_token`] | the ratio of a response |
//! | [`lite_ppo`] | the deviation of the batch, and the mean over tokens |
//! | [`luspo`] | the ratio of a response, and the sum over its tokens |
//! | [`sapo`] | a soft gate in place of the clip |
//! | [`trust_region`] | a penalty for leaving the old policy in place of the clip |
//! | [`vespo`] | smooth weights of responses, for stale rollouts |
//!
//! And without a group to normalize rewards in, or with another baseline:
//!
//! | preset | baseline |
//! |---|---|
//! | [`reinforce`] | none |
//! | [`reinforce_pp`] | the batch |
//! | [`remax`] | the greedy response |
//! | [`rloo`], [`p3o`], [`pairwise_rl`] | the other responses to the prompt |
//! | [`gpg`] | their mean, for rewards that are 0 or 1 |
//! | [`opo`] | their mean, weighted by length |
//! | [`canon`] | the halves of the group, split by a metric |
//! | [`tree_opo`] | the prefix that the response goes on from |
//! | [`pvpo`] | what the reference achieves on the prompt |
//! | [`ppo`], [`vapo`] | a critic |
//!
//! Three methods are no points of it: [`a2po`], a regression of log-ratios on advantages, [`nash_md`], whose rewards are
//! wins against an opponent, and [`trpa`], which compares the responses to a prompt with each other.
//!
//! # What a prompt is worth
//! Rewards that are multiplied by what their prompt is worth lose that factor wherever advantages are divided by the
//! deviation of their group: in GRPO and all in the first table but [`dr_grpo`] and [`lite_ppo`], and in [`tree_opo`].
//! [`PolicyGradient::check_prompt_weights`] says so before a run does.
//!
//! # Micro-batches and devices
//! Advantages are those of the whole batch, whatever part of it an update sees. A mean over a step has the denominators
//! of the step: sum [`RolloutObjective::totals`] over its parts, hand them to each with [`RolloutBatch::with_totals`],
//! and add the losses up. Without totals a loss is the mean over what it sees. No loss knows about accumulation: do not
//! divide by the number of micro-batches.

use crate::{
    Options, Result,
    advantage::{Advantages, RewardBatch},
    method,
    side::Column,
};

pub mod a2po;
pub mod batch;
pub mod bnpo;
pub mod canon;
pub mod cispo;
pub mod correction;
pub mod dapo;
pub mod dr_grpo;
pub mod gmpo;
pub mod gpg;
pub mod grpo;
pub mod gspo;
pub mod gspo_token;
pub mod lite_ppo;
pub mod luspo;
pub mod nash_md;
pub mod opo;
pub mod output;
pub mod p3o;
pub mod pairwise_rl;
pub mod policy_gradient;
pub mod ppo;
pub mod pvpo;
pub mod ratio;
pub mod reinforce;
pub mod reinforce_pp;
pub mod remax;
pub mod rloo;
pub mod sapo;
pub mod surrogate;
pub mod tokens;
pub mod tree_opo;
pub mod trpa;
pub mod trust_region;
pub mod vapo;
pub mod vespo;

pub use batch::{RolloutBatch, Sampling, Totals};
pub use correction::{Correction, MismatchLevel, OutOfBounds};
pub use output::{Diagnostics, RolloutOutput};
pub use policy_gradient::{EntropyConfig, KlPlacement, PolicyGradient, PolicyGradientConfig};
pub use ratio::RatioLevel;
pub use tokens::{RolloutTokens, evaluate_estimator, evaluate_tokens};

/// A loss on rollouts. A method is a value: built from its configuration, it holds valid settings and no state.
pub trait RolloutObjective: std::fmt::Debug + Send + Sync {
    /// The name in errors: the file's.
    fn name(&self) -> &'static str;

    /// Whether it reads the reference's log-probabilities, in its advantages or in its loss.
    fn needs_reference(&self) -> bool {
        false
    }

    /// Whether it reads values of the states, so that there must be a critic.
    fn needs_values(&self) -> bool {
        false
    }

    /// Whether its advantages read [`RewardBatch::with_sum_sq_probs`].
    fn needs_sum_sq_probs(&self) -> bool {
        false
    }

    /// Whether it reads the entropies of the policy's distributions.
    fn needs_entropies(&self) -> bool {
        false
    }

    /// Whether [`RolloutObjective::forward`] compares the rows of a group, so that they must stay together.
    fn needs_groups(&self) -> bool {
        false
    }

    /// Side information of rows that [`RolloutObjective::forward`] reads, all of it required.
    fn columns(&self) -> Vec<Column> {
        Vec::new()
    }

    /// Side information of rows that [`RolloutObjective::advantages`] reads, all of it required.
    fn reward_columns(&self) -> Vec<Column> {
        Vec::new()
    }

    /// Advantages of a whole batch of rollouts.
    ///
    /// # Errors
    /// What the method needs and the batch does not have, named.
    fn advantages(&self, batch: &RewardBatch) -> Result<Advantages>;

    /// The loss of a batch of rollouts or of a part of it.
    ///
    /// # Errors
    /// What the method needs and the batch does not have, named.
    fn forward(&self, batch: &RolloutBatch) -> Result<RolloutOutput>;

    /// What the means of the loss are divided by in this part of a step. It depends on masks and constants alone: any
    /// numbers will do for the policy's log-probabilities.
    ///
    /// # Errors
    /// As [`RolloutObjective::forward`].
    fn totals(&self, batch: &RolloutBatch) -> Result<Totals> {
        Ok(self.forward(&batch.clone().without_totals())?.totals())
    }
}

/// A method on rollouts that can be chosen by name.
pub type Method = method::Method<dyn RolloutObjective>;

/// Every method of this family, in the order of their names.
pub fn methods() -> &'static [Method] {
    include!(concat!(env!("OUT_DIR"), "/rollout_methods.rs"))
}

/// The method called `name`, with `options` in place of its defaults.
///
/// # Errors
/// [`crate::Error::UnknownMethod`] lists the methods there are; errors of the options and of the method's
/// configuration.
///
/// # Example
/// ```
/// use accordant_objectives::{Options, rollout::build};
/// assert!(!build("grpo", &Options::new())?.needs_reference());
/// assert!(build("grpo", &Options::new().with("kl_coef", 0.04))?.needs_reference());
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
pub fn build(name: &str, options: &Options) -> Result<Box<dyn RolloutObjective>> {
    method::build(methods(), name, options)
}

/// The entropy that a share of the tokens reaches, for [`EntropyConfig::min_entropy`]: the quantile `1 − share` of
/// `entropies`, interpolated linearly as NumPy does. Hand over the entropies of all scored tokens of the step. NaN
/// without any.
///
/// # Errors
/// A domain error unless `share` is in `(0, 1]`.
///
/// # Example
/// ```
/// use accordant_objectives::rollout::entropy_threshold;
/// assert_eq!(entropy_threshold(&[3.0, 1.0, 2.0, 0.0, 4.0], 0.25)?, 3.0);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
pub fn entropy_threshold(entropies: &[f64], share: f64) -> Result<f64> {
    accordant_ops::check_domain(share > 0.0 && share <= 1.0, "share", "in (0, 1]", share)?;
    let mut sorted = entropies.to_vec();
    sorted.sort_by(f64::total_cmp);
    let Some(last) = sorted.len().checked_sub(1) else { return Ok(f64::NAN) };
    let at = (1.0 - share) * last as f64;
    let (low, rest) = (at.floor(), at - at.floor());
    let (low, high) = (sorted[low as usize], sorted[(low as usize + 1).min(last)]);
    Ok(low + rest * (high - low))
}

#[cfg(test)]
mod laws;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod traps;
