//! Rewards for tokens from a value for each prefix: potential-based redistribution.
//!
//! **Paper:** Policy Invariance Under Reward Transformations: Theory and Application to Reward Shaping (A. Y. Ng and others,
//! 1999).
//! **Use when:** a reward at the end is to be spread over the steps that earned it, without a change of the best policy.
//! **Checked by:** hand-worked values, the telescoping sum, gradients.
//! **Deviations:** none.

use accordant_ops::{check_domain, check_shape};
use burn::tensor::Tensor;

use crate::Result;

/// `r_t = γ V(s_{t+1}) − V(s_t)`: at γ = 1 the rewards of a row sum to `V_T − V_0`.
///
/// # Shapes
/// `values`: `[n, time + 1]`, one for each prefix, of which there is at least one; to `[n, time]`. `discount`: in [0, 1].
///
/// # Errors
/// A shape error naming `values`, a domain error naming `discount`.
///
/// # Example
/// ```
/// use accordant_preference::process::potential::potential_rewards;
/// use burn::tensor::{Device, Tensor};
/// let values = Tensor::from_floats([[0.5, 0.75, 0.25]], &Device::flex());
/// let rewards = potential_rewards(values, 1.0)?;
/// assert_eq!(rewards.into_data().to_vec::<f32>().unwrap(), [0.25, -0.5]);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
pub fn potential_rewards(values: Tensor<2>, discount: f64) -> Result<Tensor<2>> {
    check_domain((0.0..=1.0).contains(&discount), "discount", "in [0, 1]", discount)?;
    let [n, prefixes] = values.dims();
    check_shape("values", &[n, prefixes.max(1)], &[n, prefixes])?;
    let time = prefixes - 1;
    Ok(values.clone().narrow(1, 1, time) * discount - values.narrow(1, 0, time))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trajectory::testing::{check, close, rows, values};

    #[test]
    fn rewards_telescope_and_their_gradients_are_derivatives() {
        let prefixes = rows([[1.0, 4.0, 2.0], [0.0, -1.0, 3.0]]);
        close(&values(potential_rewards(prefixes.clone(), 0.5).unwrap()), &[1.0, -3.0, -0.5, 2.5], 1e-12);
        let sums = potential_rewards(prefixes, 1.0).unwrap().sum_dim(1);
        close(&values(sums), &[1.0, 3.0], 1e-12);
        check(&[1.0, 2.0, 3.0], |x| potential_rewards(x.reshape([1, 3]), 0.9).unwrap());
    }

    #[test]
    fn rows_without_a_prefix_and_discounts_are_checked() {
        let error = |prefixes, discount| {
            potential_rewards(Tensor::zeros([1, prefixes], &burn::tensor::Device::flex()), discount)
                .unwrap_err()
                .to_string()
        };
        assert!(error(0, 1.0).starts_with("`values`"));
        for bad in [-0.1, 1.1, f64::NAN] {
            assert!(error(2, bad).starts_with("`discount`"));
        }
    }
}
