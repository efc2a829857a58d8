//! Preferences with labels that may be wrong.
//!
//! | module | what is known of the wrong labels |
//! |---|---|
//! | [`forward`] | how many there are: the likelihood of the labels as recorded; **start here** |
//! | [`conservative`] | how many there are: targets short of certainty (label smoothing) |
//! | [`backward`] | how many there are: a loss without bias, and without a bound |
//! | [`label_correctness`] | nothing: the share of right labels is estimated along |
//!
//! The first three are losses of pairs ([`PairwiseLoss`](crate::pairwise::PairwiseLoss)), the last wraps any of them.

pub mod backward;
pub mod conservative;
pub mod forward;
pub mod label_correctness;

mod rates;

pub use rates::FlipRates;
