//! Acquisition: what to have labeled next.
//!
//! | module | what it takes first | what it knows of each |
//! |---|---|---|
//! | [`ucb_duel`] | prompts whose optimistic duel is promising | posterior of the responses' rewards |
//! | [`double_thompson`] | duels of two draws of the best response | the same |
//! | [`information_directed`] | duels that tell most about the best response, per regret | the same |
//! | [`d_optimal`] | comparisons in directions that are known least | feature differences, covariance of a linear head |
//! | [`diverse_batch`] | large scores, not alike | any score, features |
//! | [`cold_start`] | pairs that differ least along the first principal component | features, before any label |
//!
//! Scores from an ensemble (entropy, disagreement, variance, margins) and BAL-PM are in
//! `accordant_preference::uncertainty`: they need its models. Their numbers go into [`diverse_batch`]; orders by margin
//! alone are [`annotation_order`](super::keep_quantiles::annotation_order). Each rule is an [`Acquisition`]: ties go to
//! the first, and the same pool and seed give the same picks.

pub mod arms;
pub mod cold_start;
pub mod d_optimal;
pub mod diverse_batch;
pub mod double_thompson;
pub mod information_directed;
pub mod ucb_duel;

use serde::Serialize;

use super::numbers::descending;
use crate::Result;

/// Something of the pool that is to be labeled.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Pick {
    /// Its place in the pool.
    pub index: usize,
    /// How much it was worth when it was picked; larger is better.
    pub score: f64,
    /// Which two responses are to be compared, where the rule says that.
    pub duel: Option<(usize, usize)>,
}

/// A rule that says what to have labeled next.
pub trait Acquisition {
    /// What is chosen from, with all that is known of it.
    type Pool: ?Sized;

    /// Up to `count` picks, best first; all there is where that is less.
    ///
    /// # Errors
    /// What is wrong with the options or the pool, by name and place.
    fn acquire(&self, pool: &Self::Pool, count: usize, seed: u64) -> Result<Vec<Pick>>;
}

/// The best of picks that do not depend on each other.
fn best(picks: Vec<Pick>, count: usize) -> Vec<Pick> {
    let order = descending(&picks.iter().map(|pick| pick.score).collect::<Vec<_>>());
    order.into_iter().take(count).map(|place| picks[place]).collect()
}
