//! Weighted Preference Optimization (WPO), a weighting of any pairwise method.
//!
//! **Paper:** WPO: Enhancing RLHF with Weighted Preference Optimization (2024), 2406.11827.
//! **Use when:** the pairs were sampled from another policy: likelier pairs count more, as if they were on-policy.
//! **Checked by:** weights by hand, golden numbers (TRL).
//! **Deviations:** none; the weight scales the loss and not the denominator, as in the authors' code.

use accordant_ops::{TokenLogps, check_dtype, check_shape};
use burn::tensor::Tensor;

use super::PairLogps;
use crate::Result;

/// How typical each pair is of the policy: `w = w_w · w_l`, detached, `[n]`.
///
/// ```text
/// w(y) = exp(1/|y| Σ_t (log π(y_t) − log Σ_v π(v)²))
/// ```
///
/// To be given to the batch, [`PairBatch::with_scales`](super::PairBatch::with_scales), whatever the objective.
///
/// Not bounded by 1 where a response is likelier than the policy's average. An empty response has weight 1.
///
/// # Shapes
/// `policy`: `[2n, seq]`, the chosen rows first; `log_sum_sq_probs`, the `log Σ_v π(v)²` at each position: `[2n, seq]`.
/// [`SelectedLogps`](accordant_ops::selected::SelectedLogps) has both.
///
/// # Errors
/// A shape or dtype error naming the argument.
#[doc(alias = "2406.11827")]
#[doc(alias = "WPO: Enhancing RLHF with Weighted Preference Optimization")]
pub fn wpo_weights(policy: &TokenLogps, log_sum_sq_probs: Tensor<2>) -> Result<Tensor<1>> {
    let [rows, seq] = policy.logps.dims();
    check_shape("policy", &[2 * (rows / 2), seq], &[rows, seq])?;
    check_shape("log_sum_sq_probs", &[rows, seq], &log_sum_sq_probs.dims())?;
    check_dtype("log_sum_sq_probs", policy.logps.dtype(), log_sum_sq_probs.dtype())?;
    let relative = TokenLogps::new(policy.logps.clone().detach() - log_sum_sq_probs.detach(), policy.mask.clone())?;
    let typical = PairLogps::from_stacked_tokens(&relative)?.means().map(Tensor::exp);
    Ok(typical.chosen * typical.rejected)
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Bool, DType, Device, TensorData};

    use super::*;
    use crate::pairwise::tests::column;

    fn rows(values: [[f64; 2]; 2]) -> Tensor<2> {
        Tensor::from_data(TensorData::from(values), (&Device::flex(), DType::F64))
    }

    fn logps(values: Tensor<2>, mask: [[bool; 2]; 2]) -> TokenLogps {
        TokenLogps::new(values, Tensor::from_bool(TensorData::from(mask), &Device::flex())).unwrap()
    }

    #[test]
    fn weights_by_hand() {
        // Two tokens 0.5 and 0.1 below the average, and one 0.2 above it: e^{−0.3} e^{0.2}.
        let policy = logps(rows([[-1.5, -2.1], [-0.8, f64::NAN]]), [[true, true], [true, false]]);
        let weights = column(&wpo_weights(&policy, rows([[-1.0, -2.0], [-1.0, f64::NAN]])).unwrap());
        assert!((weights[0] - (-0.1f64).exp()).abs() < 1e-15, "{weights:?}");
    }

    #[test]
    fn an_empty_response_has_weight_1_and_no_gradient_passes() {
        let values = rows([[-1.5, -1.5], [f64::NAN, f64::NAN]]).autodiff().require_grad();
        let mask = Tensor::<2, Bool>::from_bool(TensorData::from([[true, true], [false, false]]), &Device::flex());
        let policy = TokenLogps::new(values, mask).unwrap();
        let weights = wpo_weights(&policy, rows([[-1.0, -1.0], [0.0, 0.0]]).autodiff()).unwrap();
        assert!((column(&weights)[0] - (-0.5f64).exp()).abs() < 1e-15);
        assert!(!weights.is_require_grad());
    }

    #[test]
    fn no_pairs_have_no_weights() {
        let none = || Tensor::<2>::zeros([0, 3], &Device::flex());
        let mask = Tensor::<2, Bool>::full([0, 3], true, &Device::flex());
        let weights = wpo_weights(&TokenLogps::new(none(), mask).unwrap(), none()).unwrap();
        assert_eq!(weights.dims(), [0]);
    }

    #[test]
    fn what_does_not_fit_is_an_error_that_names_it() {
        let policy = logps(rows([[0.0; 2]; 2]), [[true; 2]; 2]);
        let error = wpo_weights(&policy, Tensor::zeros([2, 3], &Device::flex())).unwrap_err().to_string();
        assert_eq!(error, "`log_sum_sq_probs`: expected shape [2, 2], got [2, 3]");
        let error = wpo_weights(&policy, Tensor::zeros([2, 2], &Device::flex())).unwrap_err().to_string();
        assert_eq!(error, "`log_sum_sq_probs`: expected dtype F64, got F32");
        let odd = Tensor::<2>::zeros([3, 2], &Device::flex());
        let mask = Tensor::<2, Bool>::full([3, 2], true, &Device::flex());
        let error = wpo_weights(&TokenLogps::new(odd.clone(), mask).unwrap(), odd).unwrap_err().to_string();
        assert_eq!(error, "`policy`: expected shape [2, 2], got [3, 2]");
    }
}
