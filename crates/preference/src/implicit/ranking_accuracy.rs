//! Ranking accuracy, and that of an ideal policy: how much of what a preference loss asks for a policy can give.
//!
//! **Paper:** Preference Learning Algorithms Do Not Learn Preference Rankings (2024), 2405.19534.
//! **Use when:** a policy trained on pairs still prefers the worse response of many: to see whether its reference, or its
//! training, is to blame.
//! **Checked by:** hand-worked counts, limits of β and of the shares.
//! **Deviations:** equal likelihoods count as half right.

use accordant_ops::check_domain;
use serde::{Deserialize, Serialize};

use crate::{
    Error, Result,
    error::{check_length, check_record},
};

/// Shares of pairs that a policy, and an ideal one, rank right.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RankingAccuracy {
    /// The share of pairs whose chosen response the policy finds likelier.
    pub policy: f64,
    /// The share of the policy that minimizes the loss exactly.
    pub ideal: f64,
    /// `ideal − policy`: what training leaves undone.
    pub gap: f64,
}

/// Ranking accuracy of a policy and of the one that is optimal for a reference-anchored loss (DPO's).
///
/// ```text
/// policy:  mean 1[ log π(y_w) > log π(y_l) ]
/// ideal:   mean 1[ β⁻¹ logit(t) + log π_ref(y_w) − log π_ref(y_l) > 0 ]
/// ```
///
/// `policy` and `reference` hold the log-likelihood of the chosen response less that of the rejected one; `shares` (t) the
/// share of annotators who agree with the choice, in [0, 1], where 1 and 0 make an ideal policy that is sure; `beta` (β) is
/// finite and > 0.
///
/// # Errors
/// [`Error::Empty`] without a pair, [`Error::Length`] naming `reference` or `shares`, [`Error::Record`] for a number that is
/// NaN or a share outside its domain; a domain error naming `beta`.
///
/// # Example
/// ```
/// use accordant_preference::implicit::ranking_accuracy::ranking_accuracy;
/// // With β = 0.1 a share of ¾ makes up for 10 ln 3, about 11 nats of the reference's preference.
/// let accuracy = ranking_accuracy(&[1.0, -2.0], &[-10.0, -12.0], &[0.75, 0.75], 0.1)?;
/// assert_eq!((accuracy.policy, accuracy.ideal, accuracy.gap), (0.5, 0.5, 0.0));
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[doc(alias = "2405.19534")]
#[doc(alias = "idealized ranking accuracy")]
pub fn ranking_accuracy(policy: &[f64], reference: &[f64], shares: &[f64], beta: f64) -> Result<RankingAccuracy> {
    check_domain(beta.is_finite() && beta > 0.0, "beta", "finite and > 0", beta)?;
    if policy.is_empty() {
        return Err(Error::Empty { name: "policy", reason: "no pair" });
    }
    check_length("reference", policy.len(), reference.len())?;
    check_length("shares", policy.len(), shares.len())?;
    let right = |lead: f64| if lead == 0.0 { 0.5 } else { f64::from(u8::from(lead > 0.0)) };
    let (mut trained, mut ideal) = (0.0, 0.0);
    for (row, ((&policy, &reference), &share)) in policy.iter().zip(reference).zip(shares).enumerate() {
        check_record(!policy.is_nan(), row, "policy", "a number", policy)?;
        check_record(reference.is_finite(), row, "reference", "a finite number", reference)?;
        check_record((0.0..=1.0).contains(&share), row, "shares", "in [0, 1]", share)?;
        trained += right(policy);
        // ±∞ of a unanimous share.
        ideal += right((share.ln() - (-share).ln_1p()) / beta + reference);
    }
    let count = policy.len() as f64;
    Ok(RankingAccuracy { policy: trained / count, ideal: ideal / count, gap: (ideal - trained) / count })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::distributional::testing::starts;

    #[test]
    fn four_pairs_by_hand() {
        // Log-odds ln 3 over ½ are 2 ln 3 = 2.197.
        let (policy, reference) = ([0.1, -0.1, 0.0, 3.0], [-2.1, -2.3, 2.3, 2.1]);
        let shares = [0.75, 0.75, 0.25, 0.25];
        let RankingAccuracy { policy, ideal, gap } = ranking_accuracy(&policy, &reference, &shares, 0.5).unwrap();
        // Policy: right, wrong, even, right. Ideal: right, wrong, right, wrong.
        assert_eq!((policy, ideal, gap), (0.625, 0.5, -0.125));
    }

    #[test]
    fn unanimous_shares_are_right_whatever_the_reference_and_even_ones_follow_it() {
        let ideal = |reference: f64, share: f64, beta: f64| {
            ranking_accuracy(&[0.0], &[reference], &[share], beta).unwrap().ideal
        };
        assert_eq!([ideal(-1e6, 1.0, 10.0), ideal(1e6, 0.0, 10.0)], [1.0, 0.0]);
        assert_eq!([ideal(-0.1, 0.5, 1e-3), ideal(0.1, 0.5, 1e-3), ideal(0.0, 0.5, 1.0)], [0.0, 1.0, 0.5]);
        // A small β lets the labels win, a large one the reference.
        assert_eq!([ideal(-5.0, 0.6, 0.01), ideal(-5.0, 0.6, 1.0)], [1.0, 0.0]);
    }

    #[test]
    fn senseless_input_is_refused_by_name() {
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            starts(ranking_accuracy(&[0.0], &[0.0], &[0.5], bad), "`beta`: expected finite and > 0");
        }
        starts(ranking_accuracy(&[], &[], &[], 1.0), "`policy`");
        starts(ranking_accuracy(&[0.0], &[], &[0.5], 1.0), "`reference`");
        starts(ranking_accuracy(&[0.0], &[0.0], &[], 1.0), "`shares`");
        starts(ranking_accuracy(&[f64::NAN], &[0.0], &[0.5], 1.0), "record 0: `policy`");
        starts(ranking_accuracy(&[0.0], &[f64::INFINITY], &[0.5], 1.0), "record 0: `reference`");
        for bad in [-0.1, 1.1, f64::NAN] {
            starts(ranking_accuracy(&[0.0, 0.0], &[0.0, 0.0], &[0.5, bad], 1.0), "record 1: `shares`");
        }
    }
}
