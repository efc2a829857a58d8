//! Weighted Preference Optimization (WPO), a weighting of any pairwise method.
//!
//! **Paper:** WPO: Enhancing RLHF with Weighted Preference Optimization (2024), 2406.11827.
//! **Use when:** the pairs were sampled from another policy: likelier pairs count more, as if they were on-policy.
//! **Deviations:** none; the weight scales the loss and not the denominator, as in the authors' code.

use accordant_ops::{TokenLogps, check_shape};
use burn::tensor::Tensor;

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
/// A shape error naming the argument.
#[doc(alias = "2406.11827")]
#[doc(alias = "WPO: Enhancing RLHF with Weighted Preference Optimization")]
pub fn wpo_weights(policy: &TokenLogps, log_sum_sq_probs: Tensor<2>) -> Result<Tensor<1>> {
    let [rows, seq] = policy.logps.dims();
    check_shape("policy", &[2 * (rows / 2), seq], &[rows, seq])?;
    check_shape("log_sum_sq_probs", &[rows, seq], &log_sum_sq_probs.dims())?;
    let relative = TokenLogps::new(policy.logps.clone().detach() - log_sum_sq_probs.detach(), policy.mask.clone())?;
    let typical = relative.sequence().mean.exp();
    Ok(typical.clone().narrow(0, 0, rows / 2) * typical.narrow(0, rows / 2, rows / 2))
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;
    use crate::pairwise::tests::column;

    #[test]
    fn weights_by_hand() {
        let device = Device::flex();
        // Chosen: mean of (−1+0.5, −2+1) = −0.75. Rejected: no scored token, weight 1.
        let logps = Tensor::from_floats([[-1.0, -2.0], [f32::NAN, f32::NAN]], &device);
        let mask = Tensor::from_bool(TensorData::from([[true, true], [false, false]]), &device);
        let log_sum_sq = Tensor::from_floats([[-0.5, -1.0], [0.0, 0.0]], &device);
        let weights = column(&wpo_weights(&TokenLogps::new(logps, mask).unwrap(), log_sum_sq).unwrap());
        assert!((weights[0] - (-0.75f64).exp()).abs() < 1e-6, "{weights:?}");
    }
}
