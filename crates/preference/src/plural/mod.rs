//! Many choosers: mixtures, low-rank tastes, ideal points, latent users, and what makes one number of several views.
//!
//! | module | what it models |
//! |---|---|
//! | [`mixture`] | a few kinds of users with Bradley-Terry scores each, by EM: **start here** |
//! | [`reward_features`] | a common score, shared features, and each user's own weights of them |
//! | [`random_effects`] | tastes that are normal around a common one, with any covariance |
//! | [`lore`] | each user's weights on the simplex of a few bases of scores |
//! | [`pal`] | users between a few prototypes, by distance, angle or direction |
//! | [`ideal_point`] | users who like what is near a point of their own |
//! | [`learning_classes`] | classes of people who learn from what their choices brought |
//! | [`recommendation`] | what users took up against what they did not |
//! | [`drm`] | principal components of what was preferred, weighed by a few pairs |
//! | [`ranking_mixture`] | a few kinds of users who rank, with Plackett-Luce scores each, by EM |
//! | [`micro`] | heads for kinds of preferences, weighed by the context of a pair |
//! | [`vpl`] | a latent vector for each user, inferred from a few pairs |
//! | [`pref_palette`] | attributes of a response, weighed by attention |
//! | [`contexts`] | pairs that contexts reverse, and what an uncertain context costs |
//! | [`private`] | a table of one's own for each user: the baseline that shares nothing |
//! | [`logistic`] | one user by themselves, shrunk to anything |
//!
//! what describes a population and what is good for it:
//!
//! | module | what is there |
//! |---|---|
//! | [`canonical_basis`] | the few categories of reasons that explain most of how users differ |
//! | [`welfare`] | one number from what each group has of something, and how far groups disagree |
//!
//! and what they share:
//!
//! | module | what is there |
//! |---|---|
//! | [`hedge`] | weights of heads that stay as they are, from a few pairs |
//! | [`em`] | expectation-maximization over users, whatever a component is |
//! | [`routed`] | heads with weights of each pair: the likelihood of [`micro`] and of uncertain contexts |
//! | [`simplex`] | weights on the simplex of fixed scores, fitted to a few pairs |
//! | [`world`] | seeded users of known kinds |
//! | [`split`] | which of a user's pairs are held out |
//! | [`evaluation`] | cross-validation over users, and intervals over them |
//! | [`agreement`] | how well two groupings of users agree |
//!
//! On the host, [`UserPairs`] holds who judged what, [`Items`] what a score reads of an item (a row of features, or
//! nothing but which it is); fits run in `f64` and give a [`Plural`] model, which says how each of its users, the
//! population, or a new user with a few pairs sees the items: a [`Chooser`]. On tensors, each model has its differentiable
//! likelihood, for networks.

pub mod agreement;
pub mod canonical_basis;
pub mod contexts;
pub mod drm;
pub mod em;
pub mod evaluation;
pub mod hedge;
pub mod ideal_point;
pub mod learning_classes;
pub mod logistic;
pub mod lore;
pub mod micro;
pub mod mixture;
pub mod pal;
pub mod pref_palette;
pub mod private;
pub mod random_effects;
pub mod ranking_mixture;
pub mod recommendation;
pub mod reward_features;
pub mod routed;
pub mod simplex;
pub mod split;
pub mod vpl;
pub mod welfare;
pub mod world;

mod factors;
#[cfg(test)]
mod laws;
pub(crate) mod pairs;
#[cfg(test)]
mod testing;

pub use canonical_basis::CanonicalBasisConfig;
pub use drm::DrmConfig;
pub use logistic::LogisticConfig;
pub use lore::LoreConfig;
pub use micro::MicroConfig;
pub use mixture::MixtureConfig;
pub use pairs::{Chooser, Hits, Items, Plural, UserPairs, pairs_of_ratings};
pub use pal::PalConfig;
pub use random_effects::RandomEffectsConfig;
pub use reward_features::RewardFeaturesConfig;

/// The effective number of a simplex point's entries: `exp(−Σ w log w)`, from 1 at a corner to as many as there are.
///
/// # Example
/// ```
/// use accordant_preference::plural::effective_number;
/// assert!((effective_number(&[0.5, 0.5, 0.0]) - 2.0).abs() < 1e-15);
/// ```
pub fn effective_number(weights: &[f64]) -> f64 {
    let terms = weights.iter().filter(|weight| **weight > 0.0).map(|weight| weight * weight.ln());
    (-terms.sum::<f64>()).exp()
}
