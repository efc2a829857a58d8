//! Advantages: how much better each token of a rollout was than expected.

pub mod batch;
pub mod estimator;
pub mod group_normalized;

pub use batch::RewardBatch;
pub use estimator::{Advantages, Estimator, Method, build, methods};
