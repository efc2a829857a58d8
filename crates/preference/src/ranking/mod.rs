//! Scores of the items of a table, from who beat whom.
//!
//! Everything runs on the host in `f64`. Scores are log-strengths in nats with sum 0 unless a [`Gauge`] says otherwise.
//!
//! | module | what it does |
//! |---|---|
//! | [`newton`](mod@newton) | maximum likelihood or posterior by Newton's method, for any [`Link`](crate::link::Link): **start here** |
//!
//! A [`Ranking`] says what came out: scores, chances, and how the fit ended.

pub mod newton;

mod table;

pub use newton::NewtonConfig;
pub use table::{Gauge, Ranking, Scale};
