//! Preferences that language models imply: verdicts of judges, and when to trust them.
//!
//! On the host, in `f64`; on tensors, a judge that is trained is a [`PairModel`](crate::general::pair_model::PairModel).
//!
//! | module | what it does |
//! |---|---|
//! | [`judge`] | chances from verdict logits, in both orders: **start here** |
//! | [`selective`] | which verdicts to accept, so that few of the accepted ones are wrong |

pub mod judge;
pub mod selective;
