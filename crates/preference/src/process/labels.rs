//! Monte Carlo labels of steps: how often rollouts from a step on end well.
//!
//! **Paper:** Math-Shepherd: Verify and Reinforce LLMs Step-by-step without Human Annotations (2023), 2312.08935.
//! **Use when:** final answers can be checked and steps were not judged.
//! **Checked by:** hand-worked values.
//! **Deviations:** none.

use serde::{Deserialize, Serialize};

use crate::{
    Result,
    error::{check_length, check_record},
};

/// What becomes of counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum LabelKind {
    /// The share of rollouts that ended well, `c / n`.
    #[default]
    Soft,
    /// Whether one did, `1[c > 0]`.
    Hard,
}

/// Labels in [0, 1] of steps, from how many of how many rollouts behind each were correct.
///
/// # Errors
/// [`crate::Error::Length`] naming `rollouts`, [`crate::Error::Record`] for a step without a rollout or with more correct
/// ones than there are.
///
/// # Example
/// ```
/// use accordant_preference::process::labels::{LabelKind, monte_carlo_labels};
/// assert_eq!(monte_carlo_labels(&[3, 0, 1], &[4, 4, 4], LabelKind::Soft)?, [0.75, 0.0, 0.25]);
/// assert_eq!(monte_carlo_labels(&[3, 0, 1], &[4, 4, 4], LabelKind::Hard)?, [1.0, 0.0, 1.0]);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[doc(alias = "2312.08935")]
#[doc(alias = "PRM")]
#[doc(alias = "Math-Shepherd")]
pub fn monte_carlo_labels(correct: &[usize], rollouts: &[usize], kind: LabelKind) -> Result<Vec<f64>> {
    check_length("rollouts", correct.len(), rollouts.len())?;
    let label = |(row, (&correct, &rollouts)): (usize, (&usize, &usize))| {
        check_record(rollouts > 0, row, "rollouts", "at least one", rollouts as f64)?;
        check_record(correct <= rollouts, row, "correct", "no more than rollouts", correct as f64)?;
        Ok(match kind {
            LabelKind::Soft => correct as f64 / rollouts as f64,
            LabelKind::Hard => f64::from(u8::from(correct > 0)),
        })
    };
    correct.iter().zip(rollouts).enumerate().map(label).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_that_make_no_sense_are_errors_by_step() {
        let text = |c: &[usize], n: &[usize]| monte_carlo_labels(c, n, LabelKind::Soft).unwrap_err().to_string();
        assert!(text(&[1], &[]).starts_with("`rollouts`"));
        assert!(text(&[1, 0], &[1, 0]).starts_with("record 1: `rollouts`"));
        assert!(text(&[3], &[2]).starts_with("record 0: `correct`"));
        assert_eq!(monte_carlo_labels(&[2], &[2], LabelKind::Soft).unwrap(), [1.0]);
        assert_eq!(LabelKind::default(), LabelKind::Soft);
    }
}
