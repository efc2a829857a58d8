//! How sure a reward model is, and which pairs to ask about next.
//!
//! | module | what is there |
//! |---|---|
//! | [`ensemble`] | scores and chances of several members: one score, and what they disagree about: **start here** |
//! | [`mc_dropout`] | passes with units left out as members, and pairs by how reliable their labels are |
//! | [`laplace`] | a normal posterior of the last layer's coefficients |
//! | [`soup`] | one model with the mean of several models' weights |
//! | [`acquisition`] | pairs to ask about, one by one: BALD, entropy, margins, EPIG, also perturbed |
//! | [`active_edges`] | pairs of a table's items: close ones, of items that were hardly asked about |
//! | [`bal_pm`] | a batch of pairs that are uncertain and unlike those already asked |
//!
//! All but passes of dropout and soups runs on the host in `f64`, over scores and chances that any model gave.

pub mod acquisition;
pub mod active_edges;
pub mod bal_pm;
pub mod ensemble;
pub mod laplace;
pub mod mc_dropout;
pub mod soup;

use crate::{
    Error, Result,
    error::{check_length, check_record},
};

/// Members' rows of equal length, at least one.
fn check_members(name: &'static str, members: &[Vec<f64>]) -> Result<usize> {
    let Some(first) = members.first() else {
        return Err(Error::Empty { name, reason: "there is no member" });
    };
    for member in members {
        check_length(name, first.len(), member.len())?;
        for (row, &value) in member.iter().enumerate() {
            check_record(value.is_finite(), row, name, "finite", value)?;
        }
    }
    Ok(first.len())
}
