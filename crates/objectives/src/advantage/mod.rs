//! Advantages: how much better each token of a rollout was than expected.
//!
//! An [`Estimator`] turns the rewards of a whole batch ([`RewardBatch`]) into [`Advantages`], once, before the first
//! update; from then on they are constants. Choose one at run time with [`build`].
//!
//! | advantages come from | estimators |
//! |---|---|
//! | the rewards of the other responses to the prompt | [`group_normalized`], [`leave_one_out`], [`pass_at_k`] |
//! | these, scaled by what teaches something | [`gpg`] |
//! | these, weighted by how much each can move the gradient | [`opo`], [`optimal_token_baseline`] |
//! | these, compared where they are alike | [`canon`] (halves of a group), [`tree_opo`] (prefixes) |
//! | several rewards of each response | [`multi_reward`] |
//! | rewards from the token on, without a critic | [`reward_to_go`], [`reinforce_pp`] (whitened) |
//! | other responses to the prompt, made for it | [`remax`] (the greedy one), [`pvpo`] (the reference's) |
//! | a critic | [`gae_estimator`] |
//! | a frozen value model | [`dvpo`] |
//!
//! Pure functions that estimators are made of:
//!
//! | module | what it computes |
//! |---|---|
//! | [`token_rewards`](mod@token_rewards) | the reward of each token: the response's score, less a divergence from the reference |
//! | [`gae`](mod@gae) | advantages and returns from token rewards and values; rewards to go |
//! | [`dvpo_advantages`](dvpo::dvpo_advantages) | advantages from a frozen value model alone |
//!
//! A scan over time would be a chain of tiny kernels, one for each token, so that these read their input from the device
//! at once, compute in f64 on the host and write the result back: in f64 for f64 input and in f32 otherwise, on the
//! input's device, without a gradient.
//!
//! A scan runs over **scored** tokens alone, those that the mask keeps. The others, padding on either side or what a tool
//! wrote into the response, neither decay what is carried past them nor add to it; whatever stands there, NaN included,
//! reaches nothing, and the result there is 0. A row without a scored token is 0 throughout.

pub mod batch;
pub mod canon;
pub mod dvpo;
pub mod estimator;
pub mod gae;
pub mod gae_estimator;
pub mod gpg;
pub mod group_normalized;
pub mod leave_one_out;
pub mod multi_reward;
pub mod opo;
pub mod optimal_token_baseline;
pub mod pass_at_k;
pub mod pvpo;
pub mod reinforce_pp;
pub mod remax;
pub mod reward_to_go;
pub(crate) mod scan;
pub mod token_rewards;
pub mod tree_opo;

pub use batch::RewardBatch;
pub use estimator::{Advantages, Estimator, Method, Returns, Scaling, Shift, build, methods};

#[cfg(test)]
mod laws;
#[cfg(test)]
mod tests;
