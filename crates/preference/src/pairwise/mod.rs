//! Likelihoods and losses of judged pairs, given the scores that any model gave to the two.
//!
//! | module | what it models |
//! |---|---|
//! | [`bradley_terry`] | a winner by the logistic function of the difference of scores: **start here** |
//! | [`rao_kupper`], [`davidson`] | ties, too |
//! | [`generalized_linear`] | a winner by another link: probit, Cauchit, uniform |
//! | [`thurstone`] | a winner by normal impressions with deviations of their own |
//! | [`graded`] | how much better a side is |
//! | [`scaled`] | how much better a side is, as a weight of the loss |
//! | [`surrogate`] | losses that are no likelihoods: hinges, exponential, squared and robust ones |
//! | [`two_heads`] | quality apart from length, by two heads |
//!
//! and what their margins, targets and weights may come from: [`strength`].
//!
//! A [`PairwiseLoss`] maps [`PairScores`] to one loss per pair; a [`PairwiseModel`] also gives the chances of the outcomes.
//! Both are pure functions of the scores `[n]`, so that any network trains with any of them. A network's score head should
//! give `[n]` (or `[n, 2]`), never `[n, 1]`: some GPU kernels have been wrong on that shape.

pub mod bradley_terry;
pub mod davidson;
pub mod generalized_linear;
pub mod graded;
pub mod rao_kupper;
pub mod scaled;
pub mod strength;
pub mod surrogate;
pub mod thurstone;
pub mod two_heads;

#[cfg(test)]
mod laws;
mod scores;
#[cfg(test)]
pub(crate) mod testing;

pub use scores::{Outcomes, PairScores, PairwiseLoss, PairwiseModel};
