//! Inverse preference learning (IPL): rewards that a Q-function implies, and scores by distance from a policy (DPPO).
//!
//! **Paper:** Inverse Preference Learning: Preference-based RL without a Reward Function (2023), 2305.15363; distances as in
//! Direct Preference-based Policy Optimization without Reward Modeling (2023), 2301.12842.
//! **Use when:** a value function or a policy is to be learned from judged segments without a reward model between.
//! **Checked by:** hand-worked values, gradients, the partial return at discount 0.
//! **Deviations:** none.

use accordant_ops::{check_domain, masked::masked_mean};
use burn::tensor::{Bool, Tensor};

use super::Steps;
use crate::{Result, error::check_length};

/// The rewards that a Q-function implies, `r_Q(s, a) = Q(s, a) − γ V(s')`, and no value behind a terminal step.
///
/// At γ = 0 the Q-function is the reward. Their sums are the scores of segments
/// ([`super::partial_return::partial_returns`]).
///
/// # Shapes
/// `action_values` and `next_values`: `[n, time]`; `terminal`: true where nothing follows, whatever the value there.
/// `discount`: in [0, 1].
///
/// # Errors
/// A shape error naming `next_values` or `terminal`, a domain error naming `discount`.
///
/// # Example
/// ```
/// use accordant_preference::trajectory::{Steps, inverse::implied_rewards};
/// use burn::tensor::{Device, Tensor, TensorData};
/// let device = Device::flex();
/// let action_values = Steps::full(Tensor::from_floats([[2.0, 3.0]], &device));
/// let terminal = Tensor::from_bool(TensorData::from([[false, true]]), &device);
/// let rewards = implied_rewards(&action_values, Tensor::from_floats([[3.0, 9.0]], &device), terminal, 0.5)?;
/// assert_eq!(rewards.values().into_data().to_vec::<f32>().unwrap(), [0.5, 3.0]);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[doc(alias = "2305.15363")]
#[doc(alias = "IPL")]
pub fn implied_rewards(
    action_values: &Steps,
    next_values: Tensor<2>,
    terminal: Tensor<2, Bool>,
    discount: f64,
) -> Result<Steps> {
    check_domain((0.0..=1.0).contains(&discount), "discount", "in [0, 1]", discount)?;
    action_values.like("next_values", &next_values)?;
    accordant_ops::check_shape("terminal", &next_values.dims(), &terminal.dims())?;
    let next = next_values.mask_fill(terminal, 0.0) * discount;
    Steps::new(action_values.values() - next, action_values.mask())
}

/// `λ mean r²` of each segment's rewards, `[n]`, to be added to the loss of each side: it keeps rewards that nothing else
/// fixes near 0. `weight`, λ: finite and ≥ 0; 0.5 in the paper.
///
/// # Errors
/// A domain error naming `weight`.
pub fn reward_penalty(rewards: &Steps, weight: f64) -> Result<Tensor<1>> {
    check_domain(weight.is_finite() && weight >= 0.0, "weight", "finite and >= 0", weight)?;
    // Squared behind the mask: what is masked may be infinite.
    let kept = rewards.values().mask_fill(rewards.mask().bool_not(), 0.0);
    Ok(masked_mean(kept.square(), rewards.mask())? * weight)
}

/// Scores of segments by how close their actions are to a policy's, `−Σ_t ‖π(s_t) − a_t‖`, `[n]`.
///
/// # Shapes
/// `proposed`, what the policy would do, and `taken`: `[n, time, dim]`; `mask`: `[n, time]`. The gradient at a distance of 0
/// is 0.
///
/// # Errors
/// A shape error naming `taken` or `mask`.
#[doc(alias = "2301.12842")]
#[doc(alias = "DPPO")]
pub fn distance_scores(proposed: Tensor<3>, taken: Tensor<3>, mask: Tensor<2, Bool>) -> Result<Tensor<1>> {
    accordant_ops::check_shape("taken", &proposed.dims(), &taken.dims())?;
    let [n, time, width] = taken.dims();
    accordant_ops::check_shape("mask", &[n, time], &mask.dims())?;
    // Before the square, whose slope at padding that is NaN would be NaN behind any later mask, too.
    let absent = mask.clone().bool_not();
    let padding = absent.clone().unsqueeze_dim::<3>(2).expand([n, time, width]);
    let square = (proposed - taken).mask_fill(padding, 0.0).square().sum_dim(2).squeeze_dim::<2>(2);
    // The root's slope is infinite at 0: selected away before and after.
    let none = square.clone().equal_scalar(0.0).bool_or(absent);
    let distances = square.mask_fill(none.clone(), 1.0).sqrt().mask_fill(none, 0.0);
    Steps::new(-distances, mask)?.sums(1.0)
}

/// Preference labels smoothed over segments close to each other: the mean of the predicted chances of a pair and of its
/// neighbors, on the host.
///
/// # Errors
/// [`crate::Error::Length`] naming `neighbors`, [`crate::Error::Index`] for a pair that is not there, [`crate::Error::Record`]
/// for a chance outside of [0, 1].
pub fn smoothed_labels(chances: &[f64], neighbors: &[Vec<usize>]) -> Result<Vec<f64>> {
    check_length("neighbors", chances.len(), neighbors.len())?;
    for (row, &chance) in chances.iter().enumerate() {
        crate::error::check_record((0.0..=1.0).contains(&chance), row, "chance", "a chance in [0, 1]", chance)?;
    }
    let smooth = |(row, around): (usize, &Vec<usize>)| {
        let mut sum = chances[row];
        for &at in around {
            crate::error::check_index(row, "neighbors", at, chances.len())?;
            sum += chances[at];
        }
        Ok(sum / (around.len() + 1) as f64)
    };
    neighbors.iter().enumerate().map(smooth).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trajectory::{
        partial_return::partial_returns,
        testing::{check, close, mask, rows, tensor, values},
    };

    #[test]
    fn implied_rewards_telescope_and_at_discount_0_values_are_rewards() {
        let nan = f64::NAN;
        let steps = Steps::new(rows([[2.0, 3.0, nan], [1.0, -1.0, 4.0]]), mask([[1, 1, 0], [1, 1, 1]])).unwrap();
        let next = rows([[3.0, nan, nan], [-1.0, 4.0, 7.0]]);
        let terminal = || mask([[0, 1, 0], [0, 0, 0]]);
        let sums = |discount| {
            values(partial_returns(&implied_rewards(&steps, next.clone(), terminal(), discount).unwrap(), 1.0).unwrap())
        };
        close(&sums(1.0), &[2.0, 4.0 - 10.0], 1e-12);
        close(&sums(0.5), &[3.5, 4.0 - 5.0], 1e-12);
        close(&sums(0.0), &[5.0, 4.0], 1e-12);
    }

    #[test]
    fn the_penalty_is_a_mean_of_squares_over_the_steps() {
        let steps =
            Steps::new(rows([[2.0, 3.0, f64::INFINITY], [1.0, -1.0, 4.0]]), mask([[1, 1, 0], [1, 1, 1]])).unwrap();
        close(&values(reward_penalty(&steps, 0.5).unwrap()), &[3.25, 3.0], 1e-12);
        check(&[2.0, 3.0, -1.0, 0.5], |x| {
            reward_penalty(&Steps::new(x.reshape([2, 2]), mask([[1, 1], [0, 1]])).unwrap(), 0.5).unwrap()
        });
    }

    #[test]
    fn distances_by_hand_with_a_finite_gradient_at_0() {
        let taken = || tensor(&[3.0, 4.0, 1.0, 1.0]).reshape([1, 2, 2]);
        let zeros = tensor(&[0.0, 0.0, 1.0, 1.0]).reshape([1, 2, 2]);
        close(&values(distance_scores(zeros, taken(), mask([[1, 1]])).unwrap()), &[-5.0], 1e-12);
        let device = burn::tensor::Device::flex().autodiff();
        let data = burn::tensor::TensorData::from([[[0.0, 0.0], [1.0, 1.0]]]);
        let proposed = Tensor::<3>::from_data(data, (&device, burn::tensor::DType::F64)).require_grad();
        let gradients = distance_scores(proposed.clone(), taken(), mask([[1, 1]])).unwrap().sum().backward();
        close(&values(proposed.grad(&gradients).unwrap()), &[0.6, 0.8, 0.0, 0.0], 1e-12);
        check(&[0.1, 0.2, 0.5, 0.7], |x| distance_scores(x.reshape([1, 2, 2]), taken(), mask([[1, 0]])).unwrap());
    }

    #[test]
    fn padding_that_is_nan_has_no_gradient() {
        let device = burn::tensor::Device::flex().autodiff();
        let data = burn::tensor::TensorData::from([[[0.0, 0.0], [f64::NAN, 1.0]]]);
        let proposed = Tensor::<3>::from_data(data, (&device, burn::tensor::DType::F64)).require_grad();
        let taken = tensor(&[3.0, 4.0, 1.0, f64::NAN]).reshape([1, 2, 2]);
        let scores = distance_scores(proposed.clone(), taken, mask([[1, 0]])).unwrap();
        close(&values(scores.clone()), &[-5.0], 1e-12);
        close(&values(proposed.grad(&scores.sum().backward()).unwrap()), &[0.6, 0.8, 0.0, 0.0], 1e-12);
    }

    #[test]
    fn labels_are_averaged_over_neighbors() {
        let smooth = smoothed_labels(&[1.0, 0.5, 0.0], &[vec![1, 2], vec![], vec![1]]).unwrap();
        close(&smooth, &[0.5, 0.5, 0.25], 1e-12);
        assert!(smoothed_labels(&[1.0], &[]).unwrap_err().to_string().starts_with("`neighbors`"));
        assert!(smoothed_labels(&[1.0], &[vec![1]]).unwrap_err().to_string().contains("`neighbors` 1"));
        assert!(smoothed_labels(&[1.5], &[vec![]]).unwrap_err().to_string().contains("`chance`"));
    }

    #[test]
    fn shapes_and_domains_are_checked() {
        let steps = Steps::full(rows([[1.0, 2.0]]));
        let error =
            |next, terminal, discount| implied_rewards(&steps, next, terminal, discount).unwrap_err().to_string();
        assert!(error(rows([[1.0]]), mask([[0, 0]]), 1.0).starts_with("`next_values`"));
        assert!(error(rows([[1.0, 2.0]]), mask([[0]]), 1.0).starts_with("`terminal`"));
        for bad in [-0.1, 1.1, f64::NAN] {
            assert!(error(rows([[1.0, 2.0]]), mask([[0, 0]]), bad).starts_with("`discount`"));
        }
        for bad in [-0.1, f64::NAN, f64::INFINITY] {
            assert!(reward_penalty(&steps, bad).unwrap_err().to_string().starts_with("`weight`"));
        }
        let one = || tensor(&[1.0]).reshape([1, 1, 1]);
        let two = || tensor(&[1.0, 2.0]).reshape([1, 2, 1]);
        assert!(distance_scores(one(), two(), mask([[1]])).unwrap_err().to_string().starts_with("`taken`"));
        assert!(distance_scores(two(), two(), mask([[1]])).unwrap_err().to_string().starts_with("`mask`"));
    }
}
