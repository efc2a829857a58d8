//! Length desensitization (LD-DPO), an option of every pairwise method.
//!
//! **Paper:** Length Desensitization in Direct Preference Optimization (2024), 2409.06411.
//! **Use when:** the policy learns that longer is better; the tail beyond the shorter response is discounted.
//! **Deviations:** none. Tokens are counted over scored positions only.

use accordant_ops::{TokenLogps, check_domain, check_shape};
use burn::tensor::{Int, Tensor};

use super::PairLogps;
use crate::Result;

/// Log-probabilities of pairs in which tokens beyond the shorter response's length count `alpha`.
///
/// ```text
/// L = Σ_{t ≤ n} log π(y_t) + α Σ_{t > n} log π(y_t),   n = min(n_w, n_l)        (eq. 9)
/// ```
///
/// Use the same `alpha` for policy and reference. Counts stay the true lengths, for methods that divide by them; `mean`
/// is this sum over the true count.
///
/// # Shapes
/// `logps`: `[2n, seq]`, the chosen rows first, as a stacked forward pass gives them.
///
/// # Errors
/// A domain error unless `alpha` lies in `[0, 1]`; a shape error for an odd number of rows.
///
/// # Example
/// ```
/// use accordant_objectives::pairwise::length::desensitize;
/// use accordant_ops::TokenLogps;
/// use burn::tensor::{Device, Tensor, TensorData};
/// let device = Device::flex();
/// let logps = Tensor::from_floats([[-1.0, -1.0, -1.0], [-2.0, 0.0, 0.0]], &device);
/// let mask = Tensor::from_bool(TensorData::from([[true, true, true], [true, false, false]]), &device);
/// let pairs = desensitize(&TokenLogps::new(logps, mask)?, 0.5)?;
/// assert_eq!(pairs.chosen.sum.into_scalar::<f32>(), -2.0); // one shared token, and half of the other two
/// assert_eq!(pairs.rejected.sum.into_scalar::<f32>(), -2.0);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2409.06411")]
#[doc(alias = "LD-DPO")]
pub fn desensitize(logps: &TokenLogps, alpha: f64) -> Result<PairLogps> {
    check_domain((0.0..=1.0).contains(&alpha), "ld_alpha", "in [0, 1]", alpha)?;
    let [rows, seq] = logps.logps.dims();
    check_shape("logps", &[2 * (rows / 2), seq], &[rows, seq])?;
    if rows == 0 || seq == 0 {
        // No tail to discount, and burn has no rows 0..0.
        return PairLogps::from_stacked_tokens(logps);
    }
    // Scored tokens up to and including each position, and the length of the shorter side of each row's pair.
    let kept = logps.mask.clone().int();
    let position = kept.clone().cumsum(1);
    let counts: Tensor<2, Int> = kept.sum_dim(1);
    let (chosen, rejected) = (counts.clone().narrow(0, 0, rows / 2), counts.clone().narrow(0, rows / 2, rows / 2));
    let shorter = chosen.min_pair(rejected);
    let tail = position.greater(Tensor::cat(vec![shorter.clone(), shorter], 0).expand([rows, seq]));
    let discounted = logps.logps.clone().mask_where(tail, logps.logps.clone() * alpha);
    PairLogps::from_stacked(&TokenLogps::new(discounted, logps.mask.clone())?.sequence())
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;
    use crate::pairwise::tests::column;

    fn tokens() -> TokenLogps {
        let device = Device::flex();
        // Scored positions do not start at 0, and what is not scored is NaN.
        let logps = Tensor::from_floats([[f32::NAN, -1.0, -2.0, -4.0], [f32::NAN, -8.0, f32::NAN, f32::NAN]], &device);
        let mask = TensorData::from([[false, true, true, true], [false, true, false, false]]);
        TokenLogps::new(logps, Tensor::from_bool(mask, &device)).unwrap()
    }

    #[test]
    fn alpha_one_is_the_sum_and_alpha_zero_drops_the_tail() {
        let whole = desensitize(&tokens(), 1.0).unwrap();
        assert_eq!((column(&whole.chosen.sum), column(&whole.rejected.sum)), (vec![-7.0], vec![-8.0]));
        let head = desensitize(&tokens(), 0.0).unwrap();
        assert_eq!((column(&head.chosen.sum), column(&head.rejected.sum)), (vec![-1.0], vec![-8.0]));
        assert_eq!(column(&head.chosen.count), [3.0], "lengths stay true");
    }

    #[test]
    fn half_precision_counts_beyond_256_tokens() {
        let logps = Tensor::<2>::full([2, 300], -1.0, (&Device::flex(), burn::tensor::DType::BF16));
        let mask = Tensor::<2, burn::tensor::Bool>::full([2, 300], true, &Device::flex());
        let pairs = desensitize(&TokenLogps::new(logps, mask).unwrap(), 0.5).unwrap();
        assert_eq!((column(&pairs.chosen.sum), column(&pairs.chosen.count)), (vec![-300.0], vec![300.0]));
    }

    #[test]
    fn no_pairs_and_no_tokens_are_taken() {
        for dims in [[0, 3], [2, 0], [0, 0]] {
            let logps = Tensor::<2>::zeros(dims, &Device::flex());
            let mask = Tensor::<2, burn::tensor::Bool>::full(dims, true, &Device::flex());
            let pairs = desensitize(&TokenLogps::new(logps, mask).unwrap(), 0.5).unwrap();
            assert_eq!(column(&pairs.chosen.sum), vec![0.0; dims[0] / 2]);
        }
    }

    #[test]
    fn alpha_outside_its_domain_is_an_error() {
        for alpha in [-0.1, 1.1, f64::NAN] {
            assert!(desensitize(&tokens(), alpha).unwrap_err().to_string().starts_with("`ld_alpha`"));
        }
    }
}
