//! Pairwise rubrics: two responses compared criterion by criterion.
//!
//! **Paper:** Open Rubric System: Scaling Reinforcement Learning with Pairwise Adaptive Rubric (2026), 2602.14069.
//! **Status:** our reading of the abstract: a weighted mean of the criteria's preferences, read as a probability of
//! winning.
//! **Use when:** a judge compares better than it grades; [`super::spo`] makes rewards of the probabilities.
//! **Checked by:** hand-worked values, properties under proptest.
//! **Deviations:** see the status.

use super::values::{check_each, check_len, present};
use crate::Result;

/// The probability that the first of two responses wins, from its criterion-wise preferences.
///
/// ```text
/// P = ½ (1 + Σ_j w_j p_j / Σ_j w_j)
/// ```
///
/// `weights` (w): of each criterion, finite and > 0. `preferences` (p): 1 where the first response is better, −1 where
/// the second is, 0 for a tie; NaN where the judge's verdict is missing, which leaves the criterion out. The scale of
/// the weights is irrelevant; exchanging the responses (`−p`) gives `1 − P`. NaN without any verdict.
///
/// # Errors
/// A shape error naming `preferences`; a domain error naming `weights` or `preferences`.
///
/// # Example
/// ```
/// use accordant_objectives::reward_shaping::pairwise_rubric::pairwise_rubric_win_prob;
/// // (2 − 1) of 4.
/// assert_eq!(pairwise_rubric_win_prob(&[2.0, 1.0, 1.0], &[1.0, -1.0, 0.0])?, 0.625);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2602.14069")]
#[doc(alias = "Open Rubric System: Scaling Reinforcement Learning with Pairwise Adaptive Rubric")]
pub fn pairwise_rubric_win_prob(weights: &[f64], preferences: &[f64]) -> Result<f64> {
    check_len("preferences", weights.len(), preferences.len())?;
    check_each("weights", "finite and > 0", weights, |weight| weight.is_finite() && weight > 0.0)?;
    let known = |preference: f64| preference.is_nan() || [-1.0, 0.0, 1.0].contains(&preference);
    check_each("preferences", "-1, 0, 1, or NaN where missing", preferences, known)?;
    let most = weights.iter().copied().fold(0.0, f64::max);
    // Shares of the largest weight: no sum of huge ones overflows.
    let judged = weights.iter().zip(preferences).filter(|(_, preference)| !preference.is_nan());
    let (total, wins) = judged.fold((0.0, 0.0), |(total, wins), (weight, preference)| {
        let weight = weight / most;
        (total + weight, wins + weight * (1.0 + preference) / 2.0)
    });
    Ok(if present(preferences).is_empty() { f64::NAN } else { wins / total })
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*, sample::select};

    use super::*;
    use crate::reward_shaping::values::tests::message;

    #[test]
    fn values_by_hand() {
        let prob = |preferences: &[f64]| pairwise_rubric_win_prob(&[3.0, 1.0], preferences).unwrap();
        assert_eq!((prob(&[1.0, 1.0]), prob(&[-1.0, -1.0]), prob(&[0.0, 0.0])), (1.0, 0.0, 0.5));
        assert_eq!((prob(&[1.0, -1.0]), prob(&[-1.0, 0.0])), (0.75, 0.125));
        // A missing verdict is no tie.
        assert_eq!((prob(&[1.0, f64::NAN]), prob(&[f64::NAN, -1.0])), (1.0, 0.0));
        assert!(prob(&[f64::NAN, f64::NAN]).is_nan());
        assert!(pairwise_rubric_win_prob(&[], &[]).unwrap().is_nan());
        assert_eq!(pairwise_rubric_win_prob(&[1e308, 1e308], &[1.0, 0.0]).unwrap(), 0.75);
    }

    #[test]
    fn senseless_arguments_are_refused_by_name() {
        assert_eq!(message(pairwise_rubric_win_prob(&[1.0], &[])), "`preferences`: expected shape [1], got [0]");
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let expected = format!("`weights`: expected finite and > 0, got {bad}");
            assert_eq!(message(pairwise_rubric_win_prob(&[bad], &[1.0])), expected);
        }
        assert!(message(pairwise_rubric_win_prob(&[1.0], &[0.5])).starts_with("`preferences`"));
    }

    proptest! {
        #[test]
        fn exchanged_responses_have_the_complement_and_the_scale_is_irrelevant(
            items in vec((0.01..5.0, select(vec![-1.0, 0.0, 1.0])), 1..8), scale in 0.01..100.0,
        ) {
            let (weights, preferences): (Vec<f64>, Vec<f64>) = items.into_iter().unzip();
            let prob = pairwise_rubric_win_prob(&weights, &preferences).unwrap();
            let turned: Vec<f64> = preferences.iter().map(|preference| -preference).collect();
            prop_assert!((pairwise_rubric_win_prob(&weights, &turned).unwrap() - (1.0 - prob)).abs() < 1e-12);
            let scaled: Vec<f64> = weights.iter().map(|weight| weight * scale).collect();
            prop_assert!((pairwise_rubric_win_prob(&scaled, &preferences).unwrap() - prob).abs() < 1e-12);
        }
    }
}
