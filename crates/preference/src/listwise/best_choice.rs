//! N-way cross-entropy: the best of several responses, as one choice.
//!
//! **Paper:** You Only Judge Once: Multi-response Reward Modeling in a Single Forward Pass.
//! **Use when:** only the best of a list is known, or only it matters.
//! **Checked by:** hand-worked values, Bradley-Terry at two candidates, Plackett-Luce's first place, laws.
//! **Deviations:** responses that share the best label share the choice; the authors draw one of them, whose expectation
//! this is.

use accordant_ops::lists::choice_cross_entropy;
use burn::tensor::Tensor;

use super::{ListScores, ListwiseLoss, list_net::plural};
use crate::{Nll, Result};

/// Cross-entropies of the softmax over the candidates with the best one, one per list.
///
/// ```text
/// loss = −log softmax(s)_best
/// ```
///
/// # Shapes
/// The result is `[n]`. Candidates that share the best label share the target. Equal scores of K candidates lose ln K.
///
/// # Errors
/// [`crate::Error::Empty`] when the lists are not ranked.
///
/// # Example
/// ```
/// use accordant_preference::listwise::{ListScores, best_choice::best_choice_losses};
/// use burn::tensor::{Device, Tensor};
/// let row = |values: [f32; 3]| Tensor::<2>::from_floats([values], &Device::flex());
/// let lists = ListScores::new(row([2f32.ln(), 0.0, 0.0])).with_labels(row([5.0, 1.0, 3.0]))?;
/// assert!((best_choice_losses(&lists)?.into_scalar::<f32>() - 2f32.ln()).abs() < 1e-6); // 2 of 4
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[doc(alias = "YOJO")]
pub fn best_choice_losses(lists: &ListScores) -> Result<Tensor<1>> {
    let scores = lists.scores();
    let best = lists.comparisons()?.best(scores.dtype());
    Ok(choice_cross_entropy(scores, best, lists.present())?)
}

/// The N-way cross-entropy; see [`best_choice_losses`]. A list without a comparison says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BestChoice;

impl ListwiseLoss for BestChoice {
    fn forward(&self, lists: &ListScores) -> Result<Nll> {
        let counts = plural(lists).bool_and(lists.comparisons()?.exist());
        lists.nll(best_choice_losses(lists)?, counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        link::{Link, Logit},
        listwise::testing::{list, loss},
        pairwise::testing::{close, values},
    };

    #[test]
    fn choices_by_hand() {
        close(&[loss(&BestChoice, &[0.7, 0.0], &[1.0, 0.0])], &[-Logit.first(0.7, 0.0).value], 1e-15);
        // Strengths 2, 3 and 5; the first two share the best label.
        let scores = [2f64, 3.0, 5.0].map(f64::ln);
        close(&[loss(&BestChoice, &scores, &[1.0, 0.0, 0.0])], &[5f64.ln()], 1e-14);
        close(&[loss(&BestChoice, &scores, &[1.0, 1.0, 0.0])], &[(5f64.ln() + (10f64 / 3.0).ln()) / 2.0], 1e-14);
    }

    #[test]
    fn lists_without_a_better_one_do_not_count() {
        assert_eq!(values(BestChoice.forward(&list(&[1.0, 2.0], &[0.0, 0.0])).unwrap().weights), [0.0]);
        assert_eq!(values(BestChoice.forward(&list(&[1.0], &[0.0])).unwrap().weights), [0.0]);
        assert_eq!(values(BestChoice.forward(&list(&[1.0, 2.0], &[1.0, 0.0])).unwrap().weights), [1.0]);
    }
}
