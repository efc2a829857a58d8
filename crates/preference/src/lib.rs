//! Preference and reward models: who prefers what to what, how strongly, and how sure that is.
//!
//! Each model has up to two faces, tied by tests. On tensors, a differentiable likelihood of the feedback given scores: it
//! trains any network that gives scores. On the host, in `f64`, an exact fit of the small and classical problems: tables of
//! items, users and components.
//!
//! | module | what is there | start with |
//! |---|---|---|
//! | [`distributional`] | predicted distributions of ratings and scores, and their risk | [`distributional::quantile_reward`] |
//! | [`general`] | preferences that may go in circles: models of pairs, winners and orders of a preference matrix | [`general::gpm`] |
//! | [`implicit`] | rewards implied by policies, judges and replies | [`implicit::policy_reward`] |
//! | [`listwise`] | likelihoods and losses of ranked lists and choices, given scores | [`listwise::plackett_luce`] |
//! | [`measurement`] | what preferences and utilities say about whoever has them | [`measurement::coherence`] |
//! | [`multi_objective`] | rewards of several attributes or features | [`multi_objective::linear_reward`] |
//! | [`pairwise`] | likelihoods and losses of judged pairs, given scores | [`pairwise::bradley_terry`] |
//! | [`plural`] | many choosers: mixtures, low-rank tastes, ideal points, latent users | [`plural::mixture`] |
//! | [`process`] | scores of the steps of a solution | [`process::step_loss`] |
//! | [`ranking`] | scores of the items of a table, from who beat whom | [`ranking::newton`](mod@ranking::newton) |
//! | [`robust`] | labels that may be wrong | [`robust::forward`] |
//! | [`trajectory`] | scores of segments of behavior, and response times | [`trajectory::partial_return`] |
//! | [`uncertainty`] | how sure a model is, and which pairs to ask about next | [`uncertainty::ensemble`] |
//!
//! and what they share:
//!
//! | module | what is there |
//! |---|---|
//! | [`comparisons`] | judged pairs of the items of a table, and matrices of who beat whom |
//! | [`contexts`] | pairs whose sides answer different prompts |
//! | [`graph`] | which items can be compared with which at all |
//! | [`link`] | chances of outcomes as functions of a difference of scores, in `f64` with derivatives |
//! | [`names`] | names of items and judges, and their indices |
//! | [`nll`] | what a likelihood on tensors returns |
//! | [`optimize`] | minimizers for fits, and their report |
//! | [`random`] | seeded random streams |
//! | [`rankings`] | ranked lists of the items of a table |
//! | [`resample`] | intervals by resampling |
//!
//! # Example
//! Three items, one of which was beaten by both others, twice each, and won once against each:
//! ```
//! use accordant_preference::{Comparisons, ranking::NewtonConfig};
//! let mut judged = Comparisons::new(3);
//! for (winner, loser, times) in [(0, 2, 2.0), (2, 0, 1.0), (1, 2, 2.0), (2, 1, 1.0)] {
//!     judged.push_win(winner, loser, times)?;
//! }
//! let ranking = NewtonConfig::new().fit(&judged)?;
//! assert!(ranking.report.converged);
//! // Odds of 2 : 1, that is ln 2 between the winners and the loser, and the sum is 0.
//! let ln2 = 2f64.ln();
//! for (score, expected) in ranking.scores.iter().zip([ln2 / 3.0, ln2 / 3.0, -2.0 * ln2 / 3.0]) {
//!     assert!((score - expected).abs() < 1e-9);
//! }
//! # Ok::<(), accordant_preference::Error>(())
//! ```

// The laws' macros name this crate as its users do.
#[cfg(test)]
extern crate self as accordant_preference;

pub mod comparisons;
pub mod contexts;
pub mod distributional;
pub mod error;
pub mod general;
pub mod graph;
pub mod implicit;
pub mod link;
pub mod listwise;
pub mod measurement;
pub mod multi_objective;
pub mod names;
pub mod nll;
pub mod optimize;
pub mod pairwise;
pub mod plural;
pub mod process;
pub mod random;
pub mod ranking;
pub mod rankings;
pub mod resample;
pub mod robust;
pub mod trajectory;
pub mod uncertainty;

pub use accordant_ops::{ItemReduction, Means, Reduced};
pub use comparisons::{Comparison, Comparisons, Outcome, WinMatrix};
pub use error::{Error, Result};
pub use names::{NamedComparisons, Names};
pub use nll::Nll;
pub use optimize::Report;
pub use rankings::Rankings;
