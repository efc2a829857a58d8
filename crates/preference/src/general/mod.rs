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
//! | [`winners`] | Condorcet, Copeland, Borda and minimax winners: **start here** |
//! | [`lottery`] | the maximal lottery, to which no item is preferred |
//! | [`most_even_lottery`] | of several such lotteries the one with the largest entropy |
//! | [`self_play`] | nearly the same lottery by multiplicative weights |
//! | [`kl_nash`] | the equilibrium that stays close to a reference |
//! | [`majority_sets`] | top cycle and uncovered set |
//! | [`ranked_pairs`], [`schulze`], [`kemeny`] | orders of all items |
//! | [`transitivity`] | how far preferences are from an order |
//! | [`hodge`] | the part of the leads that scores explain, and the part that goes in circles |
//! | [`linear_choice`] | orders by a linear reward that respect what all voters agree on |
//! | [`blotto`] | a game whose strategies beat each other in circles: a world to test on |
//! | [`cyclic_split`] | pairs and circles of three to train on and to hold out |
//! | [`pigeonhole`] | intervals of means over pairs that share items |

pub mod blotto;
pub mod cyclic_split;
pub mod embedding;
pub mod gpm;
pub mod gpm_regression;
pub mod hodge;
pub mod kemeny;
pub mod kl_nash;
pub mod linear_choice;
pub mod lottery;
pub mod majority_sets;
pub mod matrix;
pub mod most_even_lottery;
pub mod pair_model;
pub mod pigeonhole;
pub mod ranked_pairs;
pub mod schulze;
pub mod self_play;
pub mod transitivity;
pub mod winners;

#[cfg(test)]
mod laws;
#[cfg(test)]
pub(crate) mod testing;

pub use matrix::PreferenceMatrix;
