//! Likelihoods and losses of ranked lists and choices, given the scores that any model gave to the candidates.
//!
//! | module | what it models |
//! |---|---|
//! | [`plackett_luce`] | an order, as choices of the best of what is left; also ListMLE: **start here** |
//! | [`rank_net`] | an order, as pairs |
//! | [`list_net`] | relevances, as a distribution over the first place |
//! | [`rank_list`] | an order, as comparisons of neighbors that reach further and further |
//! | [`best_choice`] | the best of several, as one choice |
//! | [`outside_option`] | the best of several, or none of them |
//! | [`slate`] | clicks on lists that are shown, and which list to show next |
//! | [`best_of`] | how many candidates to draw, and from which score on to accept one |
//!
//! A [`ListwiseLoss`] maps [`ListScores`] to one loss per list, with what they have in common in
//! [`accordant_ops::lists`]. Two candidates reduce each of the first four to Bradley-Terry.

pub mod best_choice;
pub mod best_of;
pub mod list_net;
pub mod outside_option;
pub mod plackett_luce;
pub mod rank_list;
pub mod rank_net;
pub mod slate;

#[cfg(test)]
mod laws;
mod scores;
#[cfg(test)]
pub(crate) mod testing;

pub use scores::{ListScores, ListwiseLoss, Unlisted};
