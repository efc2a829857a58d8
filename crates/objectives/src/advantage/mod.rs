//! Advantages: how much better each token of a rollout was than expected.
//!
//! An [`Estimator`] turns the rewards of a whole batch ([`RewardBatch`]) into [`Advantages`], once, before the first
//! update; from then on they are constants. Choose one at run time with [`build`].
//!
//! | advantages come from | estimators |
//! |---|---|
//! | the rewards of the other responses to the prompt | [`group_normalized`] |
//! | a critic | [`gae_estimator`] |
//!
//! Pure functions that estimators are made of:
//!
//! | module | what it computes |
//! |---|---|
//! | [`token_rewards`](mod@token_rewards) | the reward of each token: the response's score, less a divergence from the reference |
//! | [`gae`](mod@gae) | advantages and returns from token rewards and values; rewards to go |
//! | [`dvpo`] | advantages from a frozen value model alone |
//!
//! A scan over time would be a chain of tiny kernels, one for each token, so that these read their input from the device
//! at once, compute in f64 on the host and write the result back: in f64 for f64 input and in f32 otherwise, on the
//! input's device, without a gradient.
//!
//! A scan runs over **scored** tokens alone, those that the mask keeps. The others, padding on either side or what a tool
//! wrote into the response, neither decay what is carried past them nor add to it; whatever stands there, NaN included,
//! reaches nothing, and the result there is 0. A row without a scored token is 0 throughout.

pub mod batch;
pub mod dvpo;
pub mod estimator;
pub mod gae;
pub mod gae_estimator;
pub mod group_normalized;
pub(crate) mod scan;
pub mod token_rewards;

pub use batch::RewardBatch;
pub use estimator::{Advantages, Estimator, Method, Returns, Scaling, Shift, build, methods};

#[cfg(test)]
mod laws;
#[cfg(test)]
mod tests;
