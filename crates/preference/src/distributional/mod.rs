//! Predicted distributions of how good a response is, and what to make of them.
//!
//! | module | what is predicted | learned from |
//! |---|---|---|
//! | [`quantile_reward`] | quantiles of a rating: **start here** | ratings, [`Ratings`] |
//! | [`quantile_head`] | quantiles, by a small network from features | what it is trained with |
//! | [`c51`] | probabilities of equidistant atoms | ratings, [`Ratings`] |
//! | [`implicit_quantiles`] | any quantile that is asked for | ratings |
//! | [`dprm`] | the distribution of a crowd's votes over grades | votes, [`Ratings`] |
//! | [`mmd`] | samples of several ratings jointly | samples |
//! | [`itakura_saito`] | a risk-averse, or risk-seeking, equivalent of a rating | ratings, [`Ratings`] |
//! | [`mean_variance`] | a mean and a spread | judged pairs, [`GaussianPairs`] |
//! | [`categorical_dpl`] | probabilities of ordered atoms | judged pairs, [`CategoricalPairs`] |
//! | [`oprm`] | probabilities of grades, some of which may be named | judged pairs, [`CategoricalPairs`] |
//!
//! and what they are read by:
//!
//! | module | what is there |
//! |---|---|
//! | [`risk`] | one number from a distribution: means, tails, certainty equivalents, distortions |
//! | [`runtime`] | utilities of how long something takes |
//! | [`calibration`] | do quantiles hold what they promise? Coverage, bands, crossings |
//! | [`world`] | a seeded world whose noise depends on what is seen, with its exact quantiles |
//!
//! A [`RatingModel`] maps predictions `[n, k]` and targets to one loss per rating, a [`PairDistributionModel`] two predicted
//! distributions of each pair to one loss per pair and to the chances of its outcomes.

pub mod c51;
pub mod calibration;
pub mod categorical_dpl;
pub mod dprm;
pub mod implicit_quantiles;
pub mod itakura_saito;
pub mod mean_variance;
pub mod mmd;
pub mod oprm;
pub mod quantile_head;
pub mod quantile_reward;
pub mod risk;
pub mod runtime;
pub mod world;

#[cfg(test)]
mod laws;
pub(crate) mod layers;
mod pairs;
mod ratings;
#[cfg(test)]
pub(crate) mod testing;

pub use pairs::{CategoricalPairs, GaussianPairs, PairDistributionModel};
pub use ratings::{RatingModel, Ratings};
