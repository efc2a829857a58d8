//! Many choosers: mixtures, low-rank tastes, ideal points, latent users, and what makes one number of several views.
//!
//! | module | what it models |
//! |---|---|
//! | [`mixture`] | a few kinds of users with Bradley-Terry scores each, by EM: **start here** |
//! | [`ranking_mixture`] | the same of users who rank: Plackett-Luce scores |
//! | [`private`] | a table of one's own for each user: the baseline that shares nothing |
//! | [`logistic`] | one user by themselves, shrunk to anything |
//!
//! and what they share:
//!
//! | module | what is there |
//! |---|---|
//! | [`em`] | expectation-maximization over users, whatever a component is |
//! | [`agreement`] | how well two groupings of users agree |
//!
//! On the host, [`UserPairs`] holds who judged what, [`Items`] what a score reads of an item (a row of features, or
//! nothing but which it is); fits run in `f64` and give a [`Plural`] model, which says how each of its users, the
//! population, or a new user with a few pairs sees the items: a [`Chooser`]. On tensors, each model has its differentiable
//! likelihood, for networks.

pub mod agreement;
pub mod em;
pub mod logistic;
pub mod mixture;
pub mod private;
pub mod ranking_mixture;

mod pairs;

pub use logistic::LogisticConfig;
pub use mixture::MixtureConfig;
pub use pairs::{Chooser, Hits, Items, Plural, UserPairs, pairs_of_ratings};
