//! What can be known about pairs before training: which ones a model ranks right already, and which ones DPO can turn.
//!
//! **Paper:** Preference Learning Algorithms Do Not Learn Preference Rankings (2024), 2405.19534.
//! **Use when:** rewards/accuracies rise and the policy still prefers the rejected responses.
//! **Checked by:** hand-worked values.
//! **Deviations:** a tie counts one half, as in `rewards/accuracies`.

use burn::tensor::Tensor;

use super::{Length, PairBatch, PairLogps};
use crate::Result;

/// The share of pairs whose chosen response is the likelier one, `L_w > L_l`, of those of weight > 0; a tie counts one
/// half. None without such a pair. No reference is read: this is what greedy generation feels, which `rewards/accuracies`
/// is not.
///
/// Reads the device.
///
/// # Example
/// ```
/// use accordant_objectives::pairwise::{Length, PairBatch, PairLogps, diagnostics::ranking_accuracy};
/// use accordant_objectives::SequenceLogps;
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let logps = |sums: [f32; 2], counts: [f32; 2]| {
///     SequenceLogps::new(Tensor::from_floats(sums, &device), Tensor::from_floats(counts, &device))
/// };
/// let batch = PairBatch::new(PairLogps::new(logps([-1.0, -3.0], [1.0, 3.0])?, logps([-2.0, -2.0], [1.0, 1.0])?)?);
/// assert_eq!(ranking_accuracy(&batch, Length::Sum), Some(0.5));
/// assert_eq!(ranking_accuracy(&batch, Length::TokenMean), Some(1.0)); // −1 per token in the second pair, too
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2405.19534")]
#[doc(alias = "Preference Learning Algorithms Do Not Learn Preference Rankings")]
pub fn ranking_accuracy(batch: &PairBatch, length: Length) -> Option<f64> {
    let values = match length {
        Length::Sum => batch.policy().sums(),
        Length::TokenMean => batch.policy().means(),
    };
    let host = |tensor: Tensor<1>| tensor.try_to_vec_as::<f64>().expect("any number converts to f64");
    let (mut right, mut pairs) = (0.0, 0.0);
    for (difference, weight) in host(values.difference()).into_iter().zip(host(batch.weights())) {
        if weight > 0.0 {
            pairs += 1.0;
            right += if difference > 0.0 { 1.0 } else { 0.5 * f64::from(difference == 0.0) };
        }
    }
    (pairs > 0.0).then(|| right / pairs)
}

/// `L_ref_w − L_ref_l` in nats, `[n]`: by how much the reference prefers the chosen responses. Where it is very negative,
/// DPO ranks the pair right only once its margin `(d_w − d_l)` is larger than that: `L_w − L_l` is the sum of both.
///
/// # Errors
/// [`crate::Error::MissingReference`].
///
/// # Example
/// ```
/// use accordant_objectives::pairwise::{PairBatch, PairLogps, diagnostics::reference_gap};
/// use accordant_objectives::SequenceLogps;
/// use burn::tensor::{Device, Tensor};
/// let one = |x: f32| Tensor::<1>::from_floats([x], &Device::flex());
/// let pairs = PairLogps::new(SequenceLogps::new(one(-9.0), one(1.0))?, SequenceLogps::new(one(-4.0), one(1.0))?)?;
/// let batch = PairBatch::new(pairs.clone()).with_reference(pairs)?;
/// assert_eq!(reference_gap(&batch)?.into_scalar::<f32>(), -5.0);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
pub fn reference_gap(batch: &PairBatch) -> Result<Tensor<1>> {
    let reference = batch.reference().ok_or(crate::Error::MissingReference { method: "reference_gap" });
    Ok(reference.map(PairLogps::sums)?.difference())
}

#[cfg(test)]
mod tests {
    use accordant_ops::SequenceLogps;

    use super::*;
    use crate::pairwise::tests::{column, spec_batch, tensor};

    /// Right, wrong, tied, and an empty side.
    fn four() -> PairBatch {
        let side = |sums: &[f64], counts: &[f64]| SequenceLogps::new(tensor(sums), tensor(counts)).unwrap();
        let chosen = side(&[-1.0, -4.0, -3.0, -1.0], &[1.0, 4.0, 2.0, 1.0]);
        let rejected = side(&[-2.0, -2.0, -3.0, 0.0], &[1.0, 1.0, 2.0, 0.0]);
        PairBatch::new(PairLogps::new(chosen, rejected).unwrap())
    }

    #[test]
    fn accuracies_by_hand() {
        assert_eq!(ranking_accuracy(&four(), Length::Sum), Some(0.5));
        // Per token the second pair is right, too: −1 and −2.
        assert_eq!(ranking_accuracy(&four(), Length::TokenMean), Some(2.5 / 3.0));
        let weighted = four().with_weights(tensor(&[5.0, 0.0, 0.0, 1.0])).unwrap();
        assert_eq!(ranking_accuracy(&weighted, Length::Sum), Some(1.0));
        let none = four().with_weights(tensor(&[0.0; 4])).unwrap();
        assert_eq!(ranking_accuracy(&none, Length::Sum), None);
    }

    #[test]
    fn the_policys_gap_is_the_references_and_the_margin() {
        let gap = column(&reference_gap(&spec_batch()).unwrap());
        assert_eq!(gap, [1.5]);
        let margin = column(&spec_batch().log_ratios("test").unwrap().difference());
        assert_eq!(column(&spec_batch().policy().sums().difference()), [gap[0] + margin[0]]);
        let error = reference_gap(&four()).unwrap_err().to_string();
        assert!(error.starts_with("`reference_gap` needs the reference"), "{error}");
    }
}
