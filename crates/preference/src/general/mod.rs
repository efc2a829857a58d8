//! General preferences, which may go in circles: A over B, B over C, C over A.
//!
//! On tensors, models of pairs instead of items:
//!
//! | module | what it models |
//! |---|---|
//! | [`gpm`] | a lead as a sum of signed areas between embeddings of the two sides: **start here** |
//! | [`gpm_regression`] | the same leads pulled towards a target by least squares |
//! | [`pair_model`] | a network that reads both sides, asked in both orders |
//!
//! Both give [`PairScores`](crate::pairwise::PairScores), and both are [`PairwiseModel`](crate::pairwise::PairwiseModel)s.
//!
//! On the host, in `f64`, what to make of a matrix of such preferences:
//!
//! | module | what it does |
//! |---|---|
//! | [`matrix`] | the matrix: who is preferred to whom, how often |
//! | [`embedding`] | embeddings that give a matrix back exactly |

pub mod embedding;
pub mod gpm;
pub mod gpm_regression;
pub mod matrix;
pub mod pair_model;

pub use matrix::PreferenceMatrix;
