//! Completions of other prompts, on which KTO measures how far the policy is from its reference.
//!
//! A mismatched completion is scored like any other, under policy and reference, without gradients. Score as many as
//! there are responses, average over the whole optimizer step and all devices, and hand the mean to every micro-batch
//! ([`SingleBatch::with_kl_baseline`](super::SingleBatch::with_kl_baseline)); or hand a micro-batch its own
//! ([`SingleBatch::with_mismatched`](super::SingleBatch::with_mismatched)).

use accordant_ops::{
    EmptyRows, ItemReduction, Reduced, SequenceLogps, check_domain, check_shape, reduce::reduce_items,
};

use crate::Result;

/// Which completion each prompt gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotation {
    /// The index of prompt `i`'s mismatched completion.
    pub rows: Vec<usize>,
    /// How many prompts got a completion equal to their own, which tells nothing of a mismatch. To be logged as
    /// `n_matched_kl`; one that is not 0 comes from duplicates in the batch.
    pub n_matched_kl: usize,
}

/// Gives each prompt the completion of the one before it, and the first prompt that of the last.
///
/// Not the reversed order, which leaves the middle one of an odd batch its own.
///
/// # Errors
/// A domain error for fewer than two completions, which cannot be mismatched: give KTO a baseline instead.
///
/// # Example
/// ```
/// use accordant_objectives::unpaired::mismatch::rotate_by_one;
/// let rotation = rotate_by_one(&["yes", "no", "no"])?;
/// assert_eq!((rotation.rows, rotation.n_matched_kl), (vec![2, 0, 1], 1));
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
pub fn rotate_by_one<T: PartialEq>(completions: &[T]) -> Result<Rotation> {
    let n = completions.len();
    check_domain(n >= 2, "completions", "at least 2", n as f64)?;
    let rows: Vec<usize> = (0..n).map(|row| (row + n - 1) % n).collect();
    let n_matched_kl = rows.iter().enumerate().filter(|(row, other)| completions[*row] == completions[**other]).count();
    Ok(Rotation { rows, n_matched_kl })
}

/// The mean log-ratio of mismatched completions, of either sign, detached; add numerators and denominators up over
/// micro-batches and devices and divide once.
///
/// `rows`: whether an empty completion counts, as in TRL, or not, as in HALOs. No completion gives 0.
///
/// # Shapes
/// `policy` and `reference`: any number of rows, as many in both.
///
/// # Errors
/// A shape error naming `reference`.
///
/// # Example
/// ```
/// use accordant_objectives::unpaired::mismatch::mismatch_kl;
/// use accordant_objectives::{EmptyRows, SequenceLogps};
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let two = |values: [f32; 2]| Tensor::from_floats(values, &device);
/// let logps = |sums| SequenceLogps::new(two(sums), two([3.0, 0.0]));
/// let kl = |rows| mismatch_kl(&logps([-1.0, 0.0])?, &logps([-2.0, 0.0])?, rows);
/// assert_eq!(kl(EmptyRows::Skip)?.loss.into_scalar::<f32>(), 1.0);
/// assert_eq!(kl(EmptyRows::Count)?.loss.into_scalar::<f32>(), 0.5);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
pub fn mismatch_kl(policy: &SequenceLogps, reference: &SequenceLogps, rows: EmptyRows) -> Result<Reduced> {
    check_shape("reference", &policy.sum.dims(), &reference.sum.dims())?;
    let log_ratios = (policy.sum.clone() - reference.sum.clone().cast(policy.sum.dtype())).detach();
    let weights = match rows {
        EmptyRows::Count => log_ratios.ones_like(),
        EmptyRows::Skip => policy.count.clone().detach().clamp_max(1.0),
    };
    Ok(reduce_items(log_ratios, weights, ItemReduction::Mean)?)
}
