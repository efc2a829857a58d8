//! Consistency of ratings with rankings of the same responses.
//!
//! **Paper:** Peering Through Preferences: Unraveling Feedback Acquisition for Aligning Large Language Models (2023),
//! 2308.15812.
//! **Use when:** responses were both rated one by one and compared: the two disagree more often than one thinks.
//! **Deviations:** none.

use serde::Serialize;

use super::{annotators::Choice, numbers::check_length};
use crate::{Error, Result};

/// How often choices are those that ratings imply. Shares are none where they are over nothing.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Consistency {
    /// The share of equal labels, a tie being a label.
    pub with_ties: Option<f64>,
    /// The share of equal labels where neither is a tie.
    pub without_ties: Option<f64>,
    /// The mean of 1 for equal labels, ½ where just one is a tie, and 0.
    pub ties_half: Option<f64>,
    /// How often ratings imply (row) and choices say (column) the first, the second and a tie.
    pub confusion: [[usize; 3]; 3],
}

/// Compares choices with the ratings of the first and the second response: the greater rating wins, equal ones tie.
///
/// # Errors
/// [`Error::Length`] naming `choices`; [`Error::Item`] naming `ratings` for a pair with a rating that is not finite.
///
/// # Example
/// ```
/// use accordant_data::curation::{annotators::Choice, consistency::consistency};
/// let ratings = [(5.0, 3.0), (2.0, 4.0), (3.0, 3.0), (4.0, 1.0)];
/// let found = consistency(&ratings, &[Choice::First, Choice::First, Choice::Tie, Choice::Tie])?;
/// assert_eq!((found.with_ties, found.without_ties, found.ties_half), (Some(0.5), Some(0.5), Some(0.625)));
/// # Ok::<(), accordant_data::Error>(())
/// ```
#[doc(alias = "2308.15812")]
pub fn consistency(ratings: &[(f64, f64)], choices: &[Choice]) -> Result<Consistency> {
    check_length("choices", ratings.len(), choices.len())?;
    let mut confusion = [[0usize; 3]; 3];
    for (index, (&(first, second), &choice)) in ratings.iter().zip(choices).enumerate() {
        let implied = match first.partial_cmp(&second).filter(|_| first.is_finite() && second.is_finite()) {
            None => return Err(Error::Item { name: "ratings", index, expected: "finite", got: first - second }),
            Some(std::cmp::Ordering::Greater) => Choice::First,
            Some(std::cmp::Ordering::Less) => Choice::Second,
            Some(std::cmp::Ordering::Equal) => Choice::Tie,
        };
        confusion[implied as usize][choice as usize] += 1;
    }
    let equal: usize = (0..3).map(|label| confusion[label][label]).sum();
    let decided = confusion[0][0] + confusion[0][1] + confusion[1][0] + confusion[1][1];
    let one_tie = confusion[0][2] + confusion[1][2] + confusion[2][0] + confusion[2][1];
    let share = |count: f64, of: usize| (of > 0).then(|| count / of as f64);
    Ok(Consistency {
        with_ties: share(equal as f64, ratings.len()),
        without_ties: share((confusion[0][0] + confusion[1][1]) as f64, decided),
        ties_half: share(equal as f64 + 0.5 * one_tie as f64, ratings.len()),
        confusion,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use Choice::{First, Second, Tie};

    #[test]
    fn each_of_the_nine_cases_stands_in_its_place() {
        let ratings = [(2.0, 1.0), (1.0, 2.0), (1.0, 1.0)].into_iter().flat_map(|two| [two; 3]);
        let (mut all, mut choices) = (ratings.collect::<Vec<_>>(), [First, Second, Tie].repeat(3));
        assert_eq!(consistency(&all, &choices).unwrap().confusion, [[1; 3]; 3]);
        all.push((2.0, 1.0));
        choices.push(Second);
        let found = consistency(&all, &choices).unwrap();
        assert_eq!(found.confusion, [[1, 2, 1], [1, 1, 1], [1, 1, 1]]);
        // 3 equal of 10; 2 of 5 decided; 4 with one tie
        assert_eq!((found.with_ties, found.without_ties, found.ties_half), (Some(0.3), Some(0.4), Some(0.5)));
    }

    #[test]
    fn nothing_has_no_share_and_odd_input_is_named() {
        let nothing = consistency(&[], &[]).unwrap();
        assert_eq!((nothing.with_ties, nothing.without_ties, nothing.ties_half), (None, None, None));
        assert_eq!(consistency(&[(1.0, 1.0)], &[First]).unwrap().without_ties, None);
        assert!(matches!(consistency(&[], &[Tie]), Err(Error::Length { name: "choices", .. })));
        let error = consistency(&[(1.0, 2.0), (f64::NAN, 1.0)], &[Tie, Tie]).unwrap_err();
        assert!(matches!(error, Error::Item { name: "ratings", index: 1, .. }));
        assert!(consistency(&[(f64::INFINITY, 1.0)], &[Tie]).is_err());
    }
}
