//! Rewards that nobody trained as such: implied by policies, read from judges, told by what people say next.
//!
//! | module | where the reward comes from |
//! |---|---|
//! | [`policy_reward`] | a policy against its reference (DPO): **start here** |
//! | [`density_ratio`] | a strong model against a weak one (CDR) |
//! | [`follow_up`] | how likely a pleased or a displeased reply is (FLR) |
//! | [`judge`] | a language model's verdict, in both orders |
//! | [`selective`] | whether to trust such a verdict (SCOPE) |
//! | [`discriminator`] | likeness to a reference response (POLAR) |
//!
//! [`ranking_accuracy`] tells how many pairs a policy ranks right, and how many an ideal one would.
//!
//! Functions on tensors give one score for each response, `[n]`, to be compared by any
//! [`PairwiseLoss`](crate::pairwise::PairwiseLoss).

pub mod density_ratio;
pub mod discriminator;
pub mod follow_up;
pub mod judge;
pub mod policy_reward;
pub mod ranking_accuracy;
pub mod selective;
