//! Contrast of inputs: one response under two prompts, and pairs that differ by how much.
//!
//! **Paper:** Multi-Level Aware Preference Learning: Enhancing RLHF for Complex Multi-Instruction Tasks (2025).
//! **Status:** our reading of the abstract; not to be taken for the authors' loss.
//! **Use when:** it is known which prompt a response fits better (more of its instructions are met, the right image
//! belongs to it), or which of two pairs has the larger gap.
//! **Checked by:** hand-worked values and gradients, equality with DPO against a pair of no margin.
//! **Deviations:** none known.
//!
//! Inside a sample there is no loss of its own: the pair is the same response `y` under the preferred input `x⁺` and under
//! the other, `x⁻`, scored over the response's tokens, and the loss is DPO's
//! ([`dpo_loss`](super::dpo::dpo_loss)): `−log σ(β (d(y|x⁺) − d(y|x⁻)))`. Between samples it is [`inter_sample_losses`].

use accordant_ops::{check_dtype, check_shape, stable::softplus};
use burn::tensor::Tensor;

use crate::Result;

/// Losses of two pairs of which the first should have the larger margin, one for each such couple.
///
/// ```text
/// loss = −log σ(h_a − h_b),   h = β (d_w − d_l)
/// ```
///
/// # Shapes
/// `larger` (h_a), `smaller` (h_b) and the result: `[n]`. Equal margins give ln 2; a smaller margin of 0 leaves DPO's loss.
/// Gradients reach both. Finite for every finite input.
///
/// # Errors
/// A shape or dtype error naming `smaller`.
///
/// # Example
/// ```
/// use accordant_objectives::pairwise::input_contrast::inter_sample_losses;
/// use burn::tensor::{Device, Tensor};
/// let one = |x: f32| Tensor::<1>::from_floats([x], &Device::flex());
/// // h_a − h_b = ln 3, so the loss is −ln 3/4.
/// let loss = inter_sample_losses(one(3f32.ln() + 1.0), one(1.0))?.into_scalar::<f32>();
/// assert!((loss - (4f32 / 3.0).ln()).abs() < 1e-6);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "Multi-Level Aware Preference Learning")]
pub fn inter_sample_losses(larger: Tensor<1>, smaller: Tensor<1>) -> Result<Tensor<1>> {
    check_shape("smaller", &larger.dims(), &smaller.dims())?;
    check_dtype("smaller", larger.dtype(), smaller.dtype())?;
    Ok(softplus(smaller - larger))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pairwise::tests::{column, spec_batch, tensor};
    use crate::pairwise::{PairwiseObjective, dpo::DpoConfig};

    #[test]
    fn value_and_gradients_by_hand() {
        let leaf = |values: &[f64]| tensor(values).autodiff().require_grad();
        let (larger, smaller) = (leaf(&[3f64.ln(), 0.0, 1e4]), leaf(&[0.0, 3f64.ln(), -1e4]));
        let losses = inter_sample_losses(larger.clone(), smaller.clone()).unwrap();
        for (got, expected) in column(&losses).iter().zip([(4.0f64 / 3.0).ln(), 4f64.ln(), 0.0]) {
            assert!((got - expected).abs() < 1e-14, "{got} {expected}");
        }
        let grads = losses.sum().backward();
        for (leaf, sign) in [(&larger, -1.0), (&smaller, 1.0)] {
            for (got, expected) in column(&leaf.grad(&grads).unwrap()).iter().zip([0.25, 0.75, 0.0]) {
                assert!((got - sign * expected).abs() < 1e-14, "{got} {expected}");
            }
        }
    }

    #[test]
    fn against_a_pair_of_no_margin_it_is_dpo() {
        let h = spec_batch().log_ratios("test").unwrap().difference() * 0.1;
        let dpo = DpoConfig::new().init().unwrap().forward(&spec_batch()).unwrap();
        let losses = inter_sample_losses(h.clone(), h.zeros_like()).unwrap();
        assert!((column(&losses)[0] - column(&dpo.losses)[0]).abs() < 1e-15);
        assert!((column(&inter_sample_losses(h.clone(), h).unwrap())[0] - std::f64::consts::LN_2).abs() < 1e-15);
    }

    #[test]
    fn what_does_not_fit_is_an_error_that_names_it() {
        let error = inter_sample_losses(tensor(&[1.0, 2.0]), tensor(&[1.0])).unwrap_err().to_string();
        assert_eq!(error, "`smaller`: expected shape [2], got [1]");
        let narrow = tensor(&[1.0]).cast(burn::tensor::FloatDType::F32);
        let error = inter_sample_losses(tensor(&[1.0]), narrow).unwrap_err().to_string();
        assert_eq!(error, "`smaller`: expected dtype F64, got F32");
    }
}
