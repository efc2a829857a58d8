//! Pairs whose sides answer different prompts.
//!
//! Scores of single responses may be compared across prompts, as joint preferences over prompts and responses are. A model
//! that reads the prompt of a pair may not: eigenvalues by prompt ([`crate::general::gpm::eigenvalue_gate`]), prototypes by
//! prompt ([`crate::plural::pal::prompt_points`]), gates and routers over heads.

use crate::{Error, Result, error::check_length};

/// The pairs whose sides answer different prompts, by the prompts of their sides.
///
/// # Errors
/// [`Error::Length`] naming `second`.
///
/// # Example
/// ```
/// use accordant_preference::contexts::across_prompts;
/// assert_eq!(across_prompts(&[7, 7, 3], &[7, 8, 3])?, [1]);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
pub fn across_prompts(first: &[usize], second: &[usize]) -> Result<Vec<usize>> {
    check_length("second", first.len(), second.len())?;
    Ok((0..first.len()).filter(|&row| first[row] != second[row]).collect())
}

/// Checks that the sides of every pair answer one prompt, before a model that reads it sees the pairs.
///
/// # Errors
/// As [`across_prompts`]; [`Error::Contexts`] for the first pair whose sides do not.
///
/// # Example
/// ```
/// use accordant_preference::contexts::check_same_prompts;
/// let error = check_same_prompts(&[7, 7], &[7, 8]).unwrap_err().to_string();
/// assert_eq!(error, "record 1: its sides answer prompts 7 and 8, and the model reads one prompt for both");
/// ```
pub fn check_same_prompts(first: &[usize], second: &[usize]) -> Result<()> {
    match across_prompts(first, second)?.first() {
        Some(&row) => Err(Error::Contexts { row, first: first[row], second: second[row] }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sides_that_answer_different_prompts_are_flagged_and_refused_where_the_prompt_is_read() {
        let (first, second) = ([4, 5, 6, 6], [4, 6, 6, 4]);
        assert_eq!(across_prompts(&first, &second).unwrap(), [1, 3]);
        let error = check_same_prompts(&first, &second).unwrap_err();
        assert!(matches!(error, Error::Contexts { row: 1, first: 5, second: 6 }), "{error}");
        check_same_prompts(&first, &first).unwrap();
        check_same_prompts(&[], &[]).unwrap();
        assert!(across_prompts(&[], &[]).unwrap().is_empty());
        for result in [across_prompts(&first, &[4]).map(|_| ()), check_same_prompts(&first, &[4])] {
            assert!(result.unwrap_err().to_string().starts_with("`second`: expected 4 entries"));
        }
    }
}
