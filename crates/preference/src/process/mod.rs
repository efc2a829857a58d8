//! Rewards of the steps of a solution, for process reward models.
//!
//! | module | what is there |
//! |---|---|
//! | [`labels`] | how good a step is, from rollouts behind it |
//! | [`step_loss`] | losses of scores of steps with such labels: **start here** |
//! | [`tree`] | trees of steps, best first, and the pairs of siblings to learn from (Tree-PLV) |
//! | [`aggregate`] | one score for a solution from those of its steps |
//! | [`potential`] | rewards for tokens from values |

pub mod aggregate;
pub mod labels;
pub mod potential;
pub mod step_loss;
pub mod tree;
