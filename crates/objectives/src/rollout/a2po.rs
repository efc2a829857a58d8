//! Optimal Advantage Regression (A*-PO).
//!
//! **Paper:** Accelerating RL for LLM Reasoning with Optimal Advantage Regression (2025), 2505.20686.
//! **Use when:** one response to each prompt is all that an update can afford, and the reference has been sampled before.
//! **Checked by:** a golden number, golden numbers (TRL), hand-worked values and gradients, the optimum of a world of two
//! responses.
//! **Deviations:** none.

use accordant_ops::{
    EmptyRows, TokenLogps, check_domain, check_dtype, check_shape,
    reduce::{Aggregation, reduce_tokens},
    stable::log_sum_exp,
};
use burn::{config::Config, tensor::Tensor};

use super::{Method, RolloutBatch, RolloutObjective, RolloutOutput};
use crate::{
    Domain, Result,
    advantage::{Advantages, RewardBatch},
    side::Column,
};

/// What the best policy near the reference is worth at each row's prompt: see [`optimal_values`].
pub const OPTIMAL_VALUE: Column =
    Column { name: "optimal_value", domain: Domain::Real, meaning: "V* of the row's prompt, of `optimal_values`" };

/// What the best policy is worth at each prompt, from rewards of the reference's responses.
///
/// ```text
/// V* = β_1 log mean_j exp(r_j / β_1)
/// ```
///
/// Between the mean of the rewards (β_1 → ∞) and the largest (β_1 → 0). A reward that is NaN is missing; a prompt without
/// any has NaN.
///
/// # Shapes
/// `rewards`: `[prompts, samples]`; the result is `[prompts]`. `beta`: β_1 in units of the reward, finite and > 0; the paper
/// has 0.5.
///
/// # Errors
/// A domain error naming `beta`.
///
/// # Example
/// ```
/// use accordant_objectives::rollout::a2po::optimal_values;
/// use burn::tensor::{Device, Tensor};
/// let rewards = Tensor::<2>::from_floats([[1.0, 0.0], [3.0, 3.0]], &Device::flex());
/// let values = optimal_values(rewards, 0.5)?.into_data().try_to_vec::<f32>().unwrap();
/// assert!((values[0] - 0.5 * ((2f32.exp() + 1.0) / 2.0).ln()).abs() < 1e-6);
/// assert_eq!(values[1], 3.0);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
pub fn optimal_values(rewards: Tensor<2>, beta: f64) -> Result<Tensor<1>> {
    check_domain(beta.is_finite() && beta > 0.0, "beta", "finite and > 0", beta)?;
    let [prompts, samples] = rewards.dims();
    if samples == 0 {
        return Ok(Tensor::full([prompts], f32::NAN, (&rewards.device(), rewards.dtype())));
    }
    let missing = rewards.clone().is_nan();
    let count = rewards.zeros_like().add_scalar(1.0).mask_fill(missing.clone(), 0.0).sum_dim(1).squeeze_dim::<1>(1);
    // Scaled by the largest reward's distance, so that equal rewards have exactly themselves.
    let largest = rewards.clone().mask_fill(missing.clone(), f32::NEG_INFINITY).max_dim(1);
    let none = count.clone().equal_scalar(0.0);
    let largest = largest.mask_fill(none.clone().unsqueeze_dim(1), 0.0);
    let excess = ((rewards - largest.clone()) * (1.0 / beta)).mask_fill(missing, f32::NEG_INFINITY);
    let excess = log_sum_exp(excess, 1).squeeze_dim::<1>(1) - count.log();
    Ok((largest.squeeze_dim::<1>(1) + excess * beta).mask_fill(none, f32::NAN))
}

/// Squared errors of the implicit advantages, one for each response.
///
/// ```text
/// loss = (β_2 log(π/π_ref) − A)²,   A = r − V*
/// ```
///
/// # Shapes
/// `log_ratios`, summed over tokens, `advantages` (constants) and the result: `[rows]`.
///
/// # Errors
/// A shape or dtype error naming `advantages`.
///
/// # Example
/// ```
/// use accordant_objectives::rollout::a2po::a2po_losses;
/// use burn::tensor::{Device, Tensor};
/// let row = |values: [f32; 2]| Tensor::<1>::from_floats(values, &Device::flex());
/// let losses = a2po_losses(row([2.0, 0.0]), row([1.0, -0.5]), 0.25)?;
/// assert_eq!(losses.into_data().try_to_vec::<f32>().unwrap(), [0.25, 0.25]);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2505.20686")]
#[doc(alias = "A*-PO")]
pub fn a2po_losses(log_ratios: Tensor<1>, advantages: Tensor<1>, beta: f64) -> Result<Tensor<1>> {
    check_shape("advantages", &log_ratios.dims(), &advantages.dims())?;
    check_dtype("advantages", log_ratios.dtype(), advantages.dtype())?;
    Ok((log_ratios * beta - advantages.detach()).square())
}

/// Configuration of [`A2po`].
#[derive(Config, Debug, PartialEq)]
pub struct A2poConfig {
    /// β_2, strength of the KL pull in units of the reward, finite and > 0. 1e-3: the paper's.
    #[config(default = 1e-3)]
    pub beta: f64,
}

impl A2poConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<A2po> {
        check_domain(self.beta.is_finite() && self.beta > 0.0, "beta", "finite and > 0", self.beta)?;
        Ok(A2po { config: self.clone() })
    }
}

/// Regression on optimal advantages; see [`a2po_losses`]. Its mean is one over responses.
///
/// Advantages are rewards less [`OPTIMAL_VALUE`], and NaN where either is missing: such a row, as one without a token,
/// counts in nothing. There is no ratio to the old policy.
#[derive(Debug, Clone, PartialEq)]
pub struct A2po {
    config: A2poConfig,
}

/// `a2po` by name.
pub const METHOD: Method = Method {
    name: "a2po",
    title: "Optimal Advantage Regression",
    build: |options| Ok(Box::new(options.apply("a2po", A2poConfig::new())?.init()?)),
};

impl RolloutObjective for A2po {
    fn name(&self) -> &'static str {
        "a2po"
    }

    fn needs_reference(&self) -> bool {
        true
    }

    fn reward_columns(&self) -> Vec<Column> {
        vec![OPTIMAL_VALUE]
    }

    fn advantages(&self, batch: &RewardBatch) -> Result<Advantages> {
        Advantages::or_nan(batch, batch.rewards()? - batch.column(OPTIMAL_VALUE, "a2po")?)
    }

    fn forward(&self, batch: &RolloutBatch) -> Result<RolloutOutput> {
        let batch = batch.with_known_advantages()?;
        let ratios = TokenLogps::new(batch.policy() - batch.reference("a2po")?, batch.mask())?.sequence().sum;
        let losses = a2po_losses(ratios, batch.row_advantages(), self.config.beta)?;
        let losses = RolloutBatch::per_token(losses, batch.mask())?;
        let reduced = reduce_tokens(losses.clone(), batch.mask(), Aggregation::SequenceMean, EmptyRows::Skip)?;
        RolloutOutput::new(&batch, losses, vec![("policy", 1.0, reduced)])
    }
}

#[cfg(test)]
mod tests {
    use accordant_ops::groups::Groups;
    use burn::tensor::DType;

    use super::*;
    use crate::rollout::tests::{close, device, host, loss_and_grad, mask, matrix};

    fn row(values: &[f64]) -> Tensor<1> {
        Tensor::from_data(values, (&device(), DType::F64))
    }

    #[test]
    fn the_golden_value_and_what_values_lie_between() {
        let values = |beta| host(optimal_values(matrix([[1.0, 0.0]]), beta).unwrap())[0];
        close(&[values(0.5)], &[0.7168904152], 1e-9);
        close(&[values(1e-6), values(1e6)], &[1.0, 0.5], 1e-5);
        // No overflow, and rewards that are missing count for nothing.
        let none = f64::NAN;
        let missing = optimal_values(matrix([[none, 1.0, 0.0], [1e4, -1e4, none], [none; 3], [0.3; 3]]), 0.5).unwrap();
        let missing = host(missing);
        close(&missing[..2], &[0.7168904152, 1e4 - 0.5 * 2f64.ln()], 1e-9);
        assert!(missing[2].is_nan());
        assert_eq!(missing[3], 0.3);
        let empty = Tensor::<2>::zeros([2, 0], (&device(), DType::F64));
        assert!(host(optimal_values(empty, 0.5).unwrap()).iter().all(|value| value.is_nan()));
        for beta in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let error = optimal_values(matrix([[0.0]]), beta).unwrap_err().to_string();
            assert_eq!(error, format!("`beta`: expected finite and > 0, got {beta}"));
            assert!(A2poConfig::new().with_beta(beta).init().is_err());
        }
        assert_eq!(A2poConfig::new().beta, 1e-3);
    }

    /// Rows of two, one and two tokens and one without; the third has no advantage.
    fn batch(policy: Tensor<2>) -> RolloutBatch {
        let none = f64::NAN;
        let kept = mask([[true, true], [true, false], [true, true], [false, false]]);
        let advantages = matrix([[0.5, 0.5], [-1.0, none], [none, none], [9.0, 9.0]]);
        let reference = matrix([[-2.0, -2.0], [-1.0, none], [0.0, 0.0], [none, none]]);
        let batch = RolloutBatch::new(TokenLogps::new(policy, kept).unwrap(), advantages).unwrap();
        batch.with_reference(reference).unwrap()
    }

    #[test]
    fn the_loss_is_the_squared_error_of_the_rows_that_have_an_advantage() {
        let a2po = A2poConfig::new().with_beta(0.5).init().unwrap();
        let policy = matrix([[-1.0, -2.0], [-3.0, f64::NAN], [-1.0, -1.0], [-1.0, f64::NAN]]);
        let (loss, grad) = loss_and_grad(&a2po, batch, policy.clone());
        // Errors 0.5 · 1 − 0.5 = 0 and 0.5 · (−2) + 1 = 0; move the first by 1.
        close(&[loss], &[0.0], 1e-15);
        assert_eq!(grad, [0.0; 8]);
        let moved = matrix([[-0.5, -1.5], [-3.5, f64::NAN], [-1.0, -1.0], [-1.0, f64::NAN]]);
        let (loss, grad) = loss_and_grad(&a2po, batch, moved.clone());
        close(&[loss], &[(0.25 + 0.0625) / 2.0], 1e-15);
        close(&grad, &[0.25, 0.25, -0.125, 0.0, 0.0, 0.0, 0.0, 0.0], 1e-15);
        let output = a2po.forward(&batch(moved)).unwrap();
        let means = output.diagnostics().means;
        assert_eq!(means.mean("policy/advantage"), Some(0.0));
        assert_eq!(a2po.totals(&batch(policy)).unwrap().get("policy"), Some(2.0));
    }

    #[test]
    fn advantages_are_rewards_less_what_the_best_policy_is_worth() {
        let a2po = A2poConfig::new().init().unwrap();
        let rewards = row(&[1.0, f64::NAN, 0.25]);
        let mask = mask([[true, false], [true, true], [true, true]]);
        let bare = RewardBatch::new(rewards, Groups::new(&[1, 2, 3]), mask).unwrap();
        let full = bare.clone().with_column(OPTIMAL_VALUE, row(&[0.5, 0.5, f64::NAN])).unwrap();
        let advantages = host(a2po.advantages(&full).unwrap().advantages);
        assert_eq!(advantages[..2], [0.5, 0.0]);
        assert!(advantages[2..].iter().all(|advantage| advantage.is_nan()));
        let error = a2po.advantages(&bare).unwrap_err().to_string();
        assert!(error.starts_with("`a2po` needs `optimal_value`"), "{error}");
        assert_eq!(a2po.reward_columns(), [OPTIMAL_VALUE]);
        assert!(a2po.needs_reference() && !a2po.needs_groups());
    }

    #[test]
    fn the_best_policy_near_the_reference_loses_nothing() {
        // Two responses, as likely under the reference; β_1 = β_2 = 0.5 and rewards 1 and 0.
        let rewards = [1.0f64, 0.0];
        let value = host(optimal_values(matrix([rewards]), 0.5).unwrap())[0];
        let norm: f64 = rewards.iter().map(|reward| 0.5 * (reward / 0.5).exp()).sum();
        let ratios = rewards.map(|reward| reward / 0.5 - norm.ln());
        let losses = a2po_losses(row(&ratios), row(&rewards.map(|reward| reward - value)), 0.5).unwrap();
        close(&host(losses), &[0.0, 0.0], 1e-30);
        let error = a2po_losses(row(&[0.0]), row(&[0.0, 1.0]), 0.5).unwrap_err().to_string();
        assert_eq!(error, "`advantages`: expected shape [1], got [2]");
    }
}
