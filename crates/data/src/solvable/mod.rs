//! Worlds that are solved exactly: every value, gradient and best policy in closed form or to 1e-12.
//!
//! | module | what it holds |
//! |---|---|
//! | [`policy`] | [`Policy`]: a table of log-probabilities, one row per context or state |
//! | [`bandit`] | [`Bandit`]: one action per episode; expected reward, KL, gradients, the KL-regularized optimum |
//! | [`stationary`] | where the updates that train language models come to rest on a bandit, which is not always that optimum |
//! | [`tree`] | [`Tree`]: all states and sequences of an episode of a few tokens |
//! | [`mdp`] | [`Mdp`]: episodes of a few tokens; values, gradients, and the optimum by backward induction |
//!
//! Start with [`Bandit::seeded`] or [`Mdp::seeded`]: train a policy on it by any objective, and compare with
//! [`Bandit::optimum`], [`Bandit::stationary`] or [`Mdp::optimum`]. All of it is plain `f64` on the host.
//!
//! Rewards, logits and coefficients are limited to ±1e100, so that no sum or square of them overflows.

pub mod bandit;
pub mod mdp;
pub mod policy;
pub mod stationary;
pub mod tree;

pub use bandit::Bandit;
pub use mdp::Mdp;
pub use policy::Policy;
pub use stationary::Stationary;
pub use tree::Tree;

use crate::{Error, Result};

/// Largest magnitude of a number that a caller passes: its square is finite.
const LARGEST: f64 = 1e100;

/// Most entries of a table, so that sizes a caller mistypes are errors and do not exhaust the memory.
const MOST_ENTRIES: usize = 1_000_000;

fn check(holds: bool, name: &'static str, expected: &'static str, got: f64) -> Result<()> {
    if holds { Ok(()) } else { Err(Error::Domain { name, expected, got }) }
}

/// Checks one number of a table.
fn check_number(name: &'static str, value: f64) -> Result<()> {
    check(value.abs() <= LARGEST, name, "finite numbers of magnitude at most 1e100", value)
}

fn check_beta(beta: f64) -> Result<()> {
    check((0.0..=LARGEST).contains(&beta), "beta", "in [0, 1e100]", beta)
}

/// Checks a table: rows of one length, at least one of each, of numbers.
fn check_table(name: &'static str, table: &[Vec<f64>]) -> Result<()> {
    check(!table.is_empty(), name, "at least one row", 0.0)?;
    let width = table[0].len();
    check(width > 0, name, "at least one action", 0.0)?;
    for row in table {
        check(row.len() == width, name, "rows of one length", row.len() as f64)?;
        row.iter().try_for_each(|value| check_number(name, *value))?;
    }
    Ok(())
}

/// Checks the size of a table that is yet to be made.
fn check_size(name: &'static str, size: usize, others: usize) -> Result<()> {
    check(size > 0, name, "at least 1", size as f64)?;
    check(size.saturating_mul(others.max(1)) <= MOST_ENTRIES, name, "a table of at most 1e6 entries", size as f64)
}
