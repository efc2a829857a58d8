//! Hindsight priors (PRIOR): predicted returns are redistributed to the steps that a world model attends to.
//!
//! **Paper:** Hindsight PRIORs for Reward Learning from Human Preferences (2024), 2404.08828.
//! **Status:** the mask of symbols is our definition of Symbol Guided Hindsight Priors for Reward Learning from Human
//! Preferences.
//! **Use when:** few judged segments leave open which of their steps earned the judgment.
//! **Checked by:** hand-worked values, gradients and where they stop, limits.
//! **Deviations:** the return that is redistributed is a constant by default, as a target; reproductions let the gradient
//! through (`grad_through_return`).

use accordant_ops::{
    check_domain, check_shape,
    masked::{masked_mean, masked_sum},
};
use burn::{
    config::Config,
    tensor::{Bool, Tensor},
};

use super::Steps;
use crate::Result;

/// How much each step matters, from the attention of a world model's last prediction on its state and on its action:
///
/// ```text
/// α_t ∝ mean over layers of [attention on s_t + attention on a_t],   Σ_t α_t = 1
/// ```
///
/// # Shapes
/// `on_states` and `on_actions`: `[n, layers, time]` (heads averaged), ≥ 0; `mask`: `[n, time]`; `relevant`, if given, keeps the
/// steps that symbols call relevant. To `[n, time]`, detached; 0 throughout where nothing has any weight.
///
/// # Errors
/// A shape error naming `on_actions`, `mask`, `relevant`, or `on_states` without a layer.
#[doc(alias = "2404.08828")]
pub fn step_importance(
    on_states: Tensor<3>,
    on_actions: Tensor<3>,
    mask: Tensor<2, Bool>,
    relevant: Option<Tensor<2, Bool>>,
) -> Result<Tensor<2>> {
    check_shape("on_actions", &on_states.dims(), &on_actions.dims())?;
    let [n, layers, time] = on_states.dims();
    check_shape("on_states", &[n, layers.max(1), time], &[n, layers, time])?;
    check_shape("mask", &[n, time], &mask.dims())?;
    let kept = match relevant {
        Some(relevant) => {
            check_shape("relevant", &[n, time], &relevant.dims())?;
            mask.bool_and(relevant)
        }
        None => mask,
    };
    let sums = (on_states + on_actions).detach().sum_dim(1).squeeze_dim::<2>(1).mask_fill(kept.bool_not(), 0.0);
    let total = sums.clone().sum_dim(1);
    let none = total.clone().equal_scalar(0.0);
    Ok(sums / total.mask_fill(none, 1.0))
}

/// Configuration of [`Hindsight`].
#[derive(Config, Debug, PartialEq)]
pub struct HindsightConfig {
    /// Weight of the redistribution, finite and ≥ 0.
    pub weight: f64,
    /// Whether the gradient flows through the return that is redistributed. Off: a target is a constant.
    #[config(default = false)]
    pub grad_through_return: bool,
}

impl HindsightConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming `weight`.
    pub fn init(&self) -> Result<Hindsight> {
        check_domain(self.weight.is_finite() && self.weight >= 0.0, "weight", "finite and >= 0", self.weight)?;
        Ok(Hindsight { config: self.clone() })
    }
}

/// A penalty on rewards that are not where a world model looks.
///
/// ```text
/// r̃_t = α_t Σ_t r̂_t     penalty = weight · mean_t (r̂_t − r̃_t)²
/// ```
///
/// To be added to the loss of each side of a pair of [`super::partial_return`].
///
/// # Example
/// ```
/// use accordant_preference::trajectory::{Steps, hindsight::HindsightConfig};
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let rewards = Steps::full(Tensor::from_floats([[1.0, 3.0]], &device));
/// let penalty = HindsightConfig::new(1.0).init()?.forward(&rewards, Tensor::from_floats([[0.5, 0.5]], &device))?;
/// assert_eq!(penalty.into_scalar::<f32>(), 1.0); // both are to be 2
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[doc(alias = "2404.08828")]
#[doc(alias = "Hindsight PRIORs for Reward Learning from Human Preferences")]
#[derive(Debug, Clone, PartialEq)]
pub struct Hindsight {
    config: HindsightConfig,
}

impl Hindsight {
    /// One penalty for each segment, `[n]`. `importance`: `[n, time]`, a constant, of sum 1 over the steps.
    ///
    /// # Errors
    /// A shape error naming `importance`.
    pub fn forward(&self, rewards: &Steps, importance: Tensor<2>) -> Result<Tensor<1>> {
        rewards.like("importance", &importance)?;
        let absent = rewards.mask().bool_not();
        let kept = rewards.values().mask_fill(absent.clone(), 0.0);
        let total = masked_sum(kept.clone(), rewards.mask())?.unsqueeze_dim::<2>(1);
        let total = if self.config.grad_through_return { total } else { total.detach() };
        let targets = importance.detach().mask_fill(absent, 0.0) * total;
        Ok(masked_mean((kept - targets).square(), rewards.mask())? * self.config.weight)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trajectory::testing::{check, close, mask, rows, tensor, values};

    fn attention(x: [f64; 6]) -> Tensor<3> {
        tensor(&x).reshape([1, 2, 3])
    }

    fn steps(x: Tensor<1>) -> Steps {
        Steps::new(x.reshape([1, 3]), mask([[1, 1, 0]])).unwrap()
    }

    #[test]
    fn importance_is_averaged_over_layers_and_sums_to_1() {
        let of = |keep, relevant| {
            let (states, actions) =
                (attention([0.1, 0.2, 9.0, 0.3, 0.0, 9.0]), attention([0.2, 0.0, f64::NAN, 0.0, 0.0, 9.0]));
            values(step_importance(states, actions, keep, relevant).unwrap())
        };
        close(&of(mask([[1, 1, 0]]), None), &[0.75, 0.25, 0.0], 1e-12);
        close(&of(mask([[1, 1, 0]]), Some(mask([[0, 1, 1]]))), &[0.0, 1.0, 0.0], 1e-12);
        close(&of(mask([[0, 0, 0]]), None), &[0.0; 3], 0.0);
    }

    #[test]
    fn the_penalty_by_hand() {
        let penalty = |weight, alpha| {
            let model = HindsightConfig::new(weight).init().unwrap();
            values(model.forward(&steps(tensor(&[1.0, 3.0, f64::NAN])), rows([alpha])).unwrap())
        };
        // Targets 4 and 0; then 2 and 2.
        close(&penalty(2.0, [1.0, 0.0, f64::NAN]), &[18.0], 1e-12);
        close(&penalty(2.0, [0.5, 0.5, 0.0]), &[2.0], 1e-12);
        close(&penalty(2.0, [0.25, 0.75, 0.0]), &[0.0], 1e-12);
        close(&penalty(0.0, [1.0, 0.0, 0.0]), &[0.0], 0.0);
    }

    #[test]
    fn the_return_is_a_constant_unless_asked_for() {
        let through = HindsightConfig::new(1.0).with_grad_through_return(true).init().unwrap();
        let at = [1.0, 3.0, 9.0];
        let expected = check(&at, |x| through.forward(&steps(x), rows([[1.0, 0.0, 0.0]])).unwrap());
        // (r₀ − (r₀ + r₁))² + r₁², over 2: 2 r₁ by r₁ and nothing by r₀.
        close(&expected, &[0.0, 6.0, 0.0], 1e-12);
        let device = burn::tensor::Device::flex().autodiff();
        let x = Tensor::<1>::from_data(burn::tensor::TensorData::from(at), (&device, burn::tensor::DType::F64));
        let x = x.require_grad();
        let model = HindsightConfig::new(1.0).init().unwrap();
        let gradients = model.forward(&steps(x.clone()), rows([[1.0, 0.0, 0.0]])).unwrap().sum().backward();
        // r₀ − 4 and r₁.
        close(&values(x.grad(&gradients).unwrap()), &[-3.0, 3.0, 0.0], 1e-12);
    }

    #[test]
    fn fields_and_shapes_are_checked() {
        for bad in [-1.0, f64::NAN, f64::INFINITY] {
            assert!(HindsightConfig::new(bad).init().unwrap_err().to_string().starts_with("`weight`"));
        }
        assert!(!HindsightConfig::new(1.0).grad_through_return);
        let model = HindsightConfig::new(1.0).init().unwrap();
        let error = model.forward(&steps(tensor(&[1.0; 3])), rows([[1.0]])).unwrap_err();
        assert!(error.to_string().starts_with("`importance`"));
        let all = || mask([[1, 1, 1]]);
        let a = || attention([0.1; 6]);
        let text = |result: Result<Tensor<2>>| result.unwrap_err().to_string();
        assert!(text(step_importance(a(), tensor(&[1.0]).reshape([1, 1, 1]), all(), None)).starts_with("`on_actions`"));
        assert!(text(step_importance(a(), a(), mask([[1]]), None)).starts_with("`mask`"));
        assert!(text(step_importance(a(), a(), all(), Some(mask([[1]])))).starts_with("`relevant`"));
        let none = || Tensor::<3>::zeros([1, 0, 3], &burn::tensor::Device::flex());
        assert!(text(step_importance(none(), none(), all(), None)).starts_with("`on_states`"));
    }
}
