//! What models of users by a few numbers each have in common: the score of an item for a user, its derivatives, and fits.
//!
//! ```text
//! s_ui = c · e_i + score(F e_i, z_u) + q_ui
//! ```
//! with coefficients `c` that all users share (optional), a map `F` of what is known of an item to `d` numbers, a point
//! `z_u` of the user, and a private table `q_u` (optional). The point is the user's own, or a mean of `K` shared ones with
//! weights `softmax(ω_u)`.

use serde::{Deserialize, Serialize};

mod fit;
mod form;
mod layout;
#[cfg(test)]
mod testing;
mod weights;

pub(crate) use fit::{Factors, Fit};
pub(crate) use form::Form;
pub(crate) use weights::weights;

/// What a user's point is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Users {
    /// Any point.
    Free,
    /// The weights themselves, on the simplex: as many as `dim`.
    Simplex,
    /// The mean of this many prototypes with weights on the simplex.
    Prototypes(usize),
}

/// What is fitted. Every prior is the precision of a normal one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Design {
    pub form: Form,
    pub users: Users,
    /// The dimension of points.
    pub dim: usize,
    /// The prior on `c`; none without `c`.
    pub common: Option<f64>,
    /// The prior on `F`.
    pub items: f64,
    /// The prior on the prototypes.
    pub prototypes: f64,
    /// The prior on a user's own numbers, `z_u` or `ω_u`.
    pub own: f64,
    /// The prior on `q_u`; none without `q_u`.
    pub private: Option<f64>,
    /// Whether each user's pairs count together as one.
    pub per_user: bool,
}
