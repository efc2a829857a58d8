//! Likelihoods and losses of judged pairs, given the scores that any model gave to the two.
//!
//! | module | what it models |
//! |---|---|
//! | [`bradley_terry`] | a winner by the logistic function of the difference of scores: **start here** |
//!
//! A [`PairwiseLoss`] maps [`PairScores`] to one loss per pair; a [`PairwiseModel`] also gives the chances of the outcomes.
//! Both are pure functions of the scores `[n]`, so that any network trains with any of them. A network's score head should
//! give `[n]` (or `[n, 2]`), never `[n, 1]`: some GPU kernels have been wrong on that shape.

pub mod bradley_terry;

mod scores;

pub use scores::{Outcomes, PairScores, PairwiseLoss, PairwiseModel};
