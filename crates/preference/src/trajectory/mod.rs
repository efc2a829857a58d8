//! Preferences between segments of behavior, and what they say about rewards, advantages and values.
//!
//! | module | what it models |
//! |---|---|
//! | [`partial_return`] | a segment is judged by the rewards within it: **start here** |
//! | [`regret`] | a segment is judged by how far its decisions fall short of the best |
//! | [`contrastive`] | a segment is judged by regret, its policy learned directly (CPL) |
//! | [`inverse`] | rewards that a Q-function implies (IPL), scores by distance from a policy |
//! | [`hindsight`] | returns redistributed to the steps that matter (PRIOR) |
//! | [`dynamics`] | an encoder that knows what comes next (REED) |
//! | [`reward_fit`] | both, fitted exactly in a finite world |
//! | [`linear`] | rewards linear in features, with confidence sets, and which pair to ask about |
//! | [`drift_diffusion`] | choices with their response times |
//! | [`response_times`] | linear utilities from timed choices: moments and full likelihood |
//! | [`mdp`] | finite worlds: values, best policies, successor features |
//!
//! Functions on tensors give one score for each segment, `[n]`: put the scores of two into a
//! [`PairScores`](crate::pairwise::PairScores) and train with any [`PairwiseLoss`](crate::pairwise::PairwiseLoss).

pub mod contrastive;
pub mod drift_diffusion;
pub mod dynamics;
pub mod hindsight;
pub mod inverse;
pub mod linear;
pub mod mdp;
pub mod partial_return;
pub mod regret;
pub mod response_times;
pub mod reward_fit;

mod steps;

#[cfg(test)]
mod laws;
#[cfg(test)]
pub(crate) mod testing;

pub use steps::Steps;
