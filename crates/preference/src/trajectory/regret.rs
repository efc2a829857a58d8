//! Regret: a segment is preferred for how little its decisions fall short of the best.
//!
//! **Paper:** Models of human preference for learning reward functions (2022), 2206.02231; advantages as in Learning Optimal
//! Advantage from Preferences and Mistaking it for Reward (2023), 2310.02456.
//! **Use when:** judges know the task and look at where segments start and lead to, not only at what they collect.
//! **Checked by:** hand-worked values, gradients, limits, the finite worlds of [`super::mdp`].
//! **Deviations:** the paper's sums do not discount within a segment; ours do by `discount`, and 1 gives the paper's.

use accordant_ops::{check_domain, check_shape, stable::log_sum_exp};
use burn::tensor::Tensor;

use super::{Steps, steps::check_discount};
use crate::Result;

/// What regret is made of, for each segment.
///
/// ```text
/// regret(σ) = V*(s_0) − [Σ_t γ^t r_t + γ^T V*(s_T)]          P(σ¹ ≻ σ²) = σ(β [regret(σ²) − regret(σ¹)])
/// ```
///
/// # Example
/// ```
/// use accordant_preference::trajectory::{Steps, regret::Regret};
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let one = |x: f32| Tensor::<1>::from_floats([x], &device);
/// let rewards = Steps::full(Tensor::from_floats([[-1.0, -1.0]], &device));
/// // From a state worth 5 to one worth 6, at a cost of 2: 5 − (6 − 2) = 1 was lost.
/// let regret = Regret::new(&rewards, one(5.0), one(6.0), 1.0)?.regrets();
/// assert_eq!(regret.into_scalar::<f32>(), 1.0);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[doc(alias = "2206.02231")]
#[derive(Debug, Clone)]
pub struct Regret {
    /// Discounted sums of the rewards, `[n]`.
    pub partial_returns: Tensor<1>,
    /// Discounted values of the states that the segments lead to, `γ^T V*(s_T)`, `[n]`.
    pub end_values: Tensor<1>,
    /// Values of the states that they start from, `[n]`.
    pub start_values: Tensor<1>,
}

impl Regret {
    /// From the rewards of the steps `[n, time]` and the values `[n]` of the first and of the last state. The gradient
    /// flows through all three.
    ///
    /// # Errors
    /// A shape error naming `start_values` or `end_values`, a domain error naming `discount`, in (0, 1].
    pub fn new(rewards: &Steps, start_values: Tensor<1>, end_values: Tensor<1>, discount: f64) -> Result<Self> {
        let n = rewards.mask().dims()[0];
        check_shape("start_values", &[n], &start_values.dims())?;
        check_shape("end_values", &[n], &end_values.dims())?;
        let partial_returns = rewards.sums(discount)?;
        let end_values = match discount {
            1.0 => end_values,
            discount => end_values * (rewards.lengths() * discount.ln()).exp(),
        };
        Ok(Self { partial_returns, end_values, start_values })
    }

    /// The regrets, `[n]`: ≥ 0 when the values are those of the best policy and transitions are deterministic, 0 for a
    /// segment of best actions.
    pub fn regrets(&self) -> Tensor<1> {
        -self.scores()
    }

    /// Minus the regrets: what is compared.
    pub fn scores(&self) -> Tensor<1> {
        self.partial_returns.clone() + self.end_values.clone() - self.start_values.clone()
    }

    /// Scores with a weight each for partial return, end value and start value, `[3]`, which may be learned from what
    /// people say: ones give [`Regret::scores`], (1, 0, 0) the partial return.
    ///
    /// # Errors
    /// A shape error naming `weights`.
    pub fn weighted_scores(&self, weights: Tensor<1>) -> Result<Tensor<1>> {
        check_shape("weights", &[3], &weights.dims())?;
        // One number against `[n]`: the broadcast is meant.
        let weight = |at: usize| weights.clone().narrow(0, at, 1);
        Ok(self.partial_returns.clone() * weight(0) + self.end_values.clone() * weight(1)
            - self.start_values.clone() * weight(2))
    }
}

/// The scores of segments by advantages, `Σ_t A*(s_t, a_t)`: minus the regret, whatever the transitions.
///
/// What is learned this way is an advantage and no reward: act by its largest value and discount nothing. Only differences
/// between the actions of a state are of use.
///
/// # Shapes
/// `advantages`: `[n, time]`, to `[n]`.
#[doc(alias = "2310.02456")]
pub fn advantage_scores(advantages: &Steps) -> Result<Tensor<1>> {
    advantages.sums(1.0)
}

/// The value of states by the best of some policies, softly, from the policies' successor features, so that the gradient
/// by the reward's weights is at hand.
///
/// ```text
/// V(s) ≈ Σ_π softmax_π(⟨Ψ_π(s), w⟩ / T) ⟨Ψ_π(s), w⟩
/// ```
///
/// Never above the best policy's value, and close to it for a small T. [`super::mdp::Mdp::successor_features`] gives the
/// features of a policy.
///
/// # Shapes
/// `successor_features`: `[n, policies, features]`, a constant; `reward_weights`: `[features]`; to `[n]`.
/// `temperature`, T > 0, in units of values: 0.001 in the paper's code.
///
/// # Errors
/// A shape error naming `reward_weights`, or `successor_features` without a policy; a domain error naming `temperature`.
///
/// # Example
/// ```
/// use accordant_preference::trajectory::regret::softmax_values;
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// // One policy collects the first feature twice, the other the second thrice.
/// let features = Tensor::<3>::from_floats([[[2.0, 0.0], [0.0, 3.0]]], &device);
/// let value = softmax_values(features, Tensor::from_floats([1.0, 1.0], &device), 0.001)?;
/// assert_eq!(value.into_scalar::<f32>(), 3.0);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
pub fn softmax_values(successor_features: Tensor<3>, reward_weights: Tensor<1>, temperature: f64) -> Result<Tensor<1>> {
    let [n, policies, features] = successor_features.dims();
    check_shape("reward_weights", &[features], &reward_weights.dims())?;
    check_shape("successor_features", &[n, policies.max(1), features], &[n, policies, features])?;
    check_domain(temperature.is_finite() && temperature > 0.0, "temperature", "finite and > 0", temperature)?;
    // Products and sums: a product with `[features, 1]` is a shape that kernels have been wrong on.
    let weights = reward_weights.reshape([1, 1, features]);
    let values = (successor_features.detach() * weights).sum_dim(2).squeeze_dim::<2>(2);
    let logits = values.clone() * temperature.recip();
    let chances = (logits.clone() - log_sum_exp(logits, 1)).exp();
    Ok((chances * values).sum_dim(1).squeeze_dim(1))
}

/// Checks a discount of an infinite horizon.
pub(crate) fn check_horizon(discount: f64) -> Result<()> {
    match discount {
        0.0 => Ok(()),
        discount => {
            check_discount(discount)?;
            Ok(check_domain(discount < 1.0, "discount", "in [0, 1)", discount)?)
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{DType, Device, TensorData};

    use super::*;
    use crate::trajectory::testing::{check, close, mask, rows, tensor, values};

    fn parts(discount: f64) -> Regret {
        let rewards = Steps::new(rows([[-1.0, -2.0], [4.0, 9.0]]), mask([[1, 1], [1, 0]])).unwrap();
        Regret::new(&rewards, tensor(&[5.0, 3.0]), tensor(&[8.0, 2.0]), discount).unwrap()
    }

    #[test]
    fn two_segments_by_hand() {
        // 5 − (−1 − 2 + 8) = 0 and 3 − (4 + 2) = −3.
        close(&values(parts(1.0).regrets()), &[0.0, -3.0], 0.0);
        // 5 − (−1 − 1 + 8/4) = 5 and 3 − (4 + 2/2) = −2.
        close(&values(parts(0.5).regrets()), &[5.0, -2.0], 1e-12);
        close(&values(parts(0.5).scores()), &[-5.0, 2.0], 1e-12);
    }

    #[test]
    fn weights_of_one_are_regret_and_without_values_it_is_the_partial_return() {
        close(&values(parts(1.0).weighted_scores(tensor(&[1.0; 3])).unwrap()), &[0.0, 3.0], 0.0);
        close(&values(parts(1.0).weighted_scores(tensor(&[1.0, 0.0, 0.0])).unwrap()), &[-3.0, 4.0], 0.0);
        close(&values(parts(1.0).weighted_scores(tensor(&[2.0, 3.0, 4.0])).unwrap()), &[-2.0, 2.0], 0.0);
        let gradient = check(&[2.0, 3.0, 4.0], |w| parts(1.0).weighted_scores(w).unwrap().narrow(0, 0, 1));
        close(&gradient, &[-3.0, 8.0, -5.0], 1e-9);
    }

    #[test]
    fn equal_start_and_end_values_reduce_regret_to_the_partial_return() {
        let rewards = Steps::full(rows([[1.0, 2.0], [0.5, 0.0]]));
        let regret = Regret::new(&rewards, tensor(&[4.0, 7.0]), tensor(&[4.0, 7.0]), 1.0).unwrap();
        close(&values(regret.scores()), &values(rewards.sums(1.0).unwrap()), 1e-12);
    }

    #[test]
    fn advantages_add_up_without_a_discount() {
        let advantages = Steps::new(rows([[0.0, -2.0, -1.0], [-0.5, 7.0, 7.0]]), mask([[1, 1, 1], [1, 0, 0]])).unwrap();
        close(&values(advantage_scores(&advantages).unwrap()), &[-3.0, -0.5], 0.0);
    }

    fn features() -> Tensor<3> {
        let data = TensorData::from([[[2.0, 0.0], [0.0, 3.0]], [[1.0, 1.0], [-4.0, 0.0]]]);
        Tensor::from_data(data, (&Device::flex(), DType::F64))
    }

    #[test]
    fn soft_values_are_means_by_softmax_and_the_best_in_the_limit() {
        let at = |w: &[f64], temperature| values(softmax_values(features(), tensor(w), temperature).unwrap());
        // Values 2 and 3; 2 and −4, at a temperature of 1 / ln 2: odds 2 : 1 and 64 : 1.
        close(&at(&[1.0, 1.0], 1.0 / 2f64.ln()), &[8.0 / 3.0, (2.0 * 64.0 - 4.0) / 65.0], 1e-12);
        close(&at(&[1.0, 1.0], 1e-3), &[3.0, 2.0], 1e-12);
        close(&at(&[-1.0, 1.0], 1e-3), &[3.0, 4.0], 1e-12);
        check(&[0.4, 0.3], |w| softmax_values(features(), w, 0.5).unwrap());
        // Close to the maximum the gradient is the best policy's features.
        close(&check(&[1.0, 1.0], |w| softmax_values(features(), w, 1e-3).unwrap()), &[1.0, 4.0], 1e-9);
    }

    #[test]
    fn shapes_and_domains_are_errors_by_name() {
        let rewards = Steps::full(rows([[1.0]]));
        let text = |result: Result<Regret>| result.unwrap_err().to_string();
        assert!(text(Regret::new(&rewards, tensor(&[1.0, 2.0]), tensor(&[1.0]), 1.0)).starts_with("`start_values`"));
        assert!(text(Regret::new(&rewards, tensor(&[1.0]), tensor(&[1.0, 2.0]), 1.0)).starts_with("`end_values`"));
        assert!(text(Regret::new(&rewards, tensor(&[1.0]), tensor(&[1.0]), 0.0)).starts_with("`discount`"));
        assert!(parts(1.0).weighted_scores(tensor(&[1.0])).unwrap_err().to_string().starts_with("`weights`"));
        let text = |w: &[f64], temperature| softmax_values(features(), tensor(w), temperature).unwrap_err().to_string();
        assert!(text(&[1.0], 1.0).starts_with("`reward_weights`"));
        for temperature in [0.0, f64::NAN, f64::INFINITY] {
            assert!(text(&[1.0, 1.0], temperature).starts_with("`temperature`"));
        }
        let none = softmax_values(Tensor::zeros([1, 0, 2], &Device::flex()), Tensor::zeros([2], &Device::flex()), 1.0);
        assert!(none.unwrap_err().to_string().starts_with("`successor_features`"));
        check_horizon(0.0).unwrap();
        check_horizon(0.999).unwrap();
        for discount in [1.0, -0.1, f64::NAN] {
            check_horizon(discount).unwrap_err();
        }
    }
}
