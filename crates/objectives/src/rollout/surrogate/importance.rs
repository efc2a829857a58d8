//! Importance ratio without a clip, with a penalty for leaving the old policy (TRPO's surrogate, PPO-penalty).
//!
//! **Paper:** Trust Region Policy Optimization (2015), 1502.05477, eq. 14; the penalty: Proximal Policy Optimization
//! Algorithms (2017), 1707.06347, eq. 8.
//! **Use when:** something else bounds the step, or the penalty does: [`crate::rollout::trust_region`] adapts it.
//! **Checked by:** hand-worked values and gradients, finite differences, laws of surrogates.
//! **Deviations:** the divergence is that of the sampled tokens and not of whole distributions, by `ρ − 1 − log ρ`,
//! which has its value and its gradient on average.

use accordant_ops::{
    check_domain,
    stable::{exp, expm1_minus_x},
};
use burn::{config::Config, tensor::Tensor};

use super::{Method, Surrogate, Tokens, check_like};
use crate::Result;

/// Importance-weighted losses, one for each token.
///
/// ```text
/// f = −A ρ + c (ρ − 1 − log ρ),   ρ = exp(log_ratio)
/// ```
///
/// On average over tokens of the old policy, `ρ − 1 − log ρ` is KL(π_old ‖ π), with its gradient `(ρ − 1) ∇log π`; both
/// are 0 at ρ = 1 and the penalty is never negative.
///
/// # Shapes
/// `log_ratios`, `advantages` (a constant) and the result: `[rows, seq]`. Finite as long as `exp(log_ratio)` is.
///
/// # Errors
/// A shape or dtype error naming the argument.
///
/// # Example
/// ```
/// use accordant_objectives::rollout::surrogate::importance::importance_losses;
/// use burn::tensor::{Device, Tensor};
/// let one = |value: f32| Tensor::<2>::from_floats([[value]], &Device::flex());
/// let loss = |kl_coef| importance_losses(one(2f32.ln()), one(3.0), kl_coef);
/// assert_eq!(loss(0.0)?.into_scalar::<f32>(), -6.0);
/// assert!((loss(10.0)?.into_scalar::<f32>() - (-6.0 + 10.0 * (1.0 - 2f32.ln()))).abs() < 1e-5);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "1502.05477")]
#[doc(alias = "TRPO")]
#[doc(alias = "PPO-penalty")]
#[doc(alias = "1707.06347")]
pub fn importance_losses(log_ratios: Tensor<2>, advantages: Tensor<2>, kl_coef: f64) -> Result<Tensor<2>> {
    check_like("advantages", &log_ratios, &advantages)?;
    let losses = -advantages.detach() * exp(log_ratios.clone());
    Ok(if kl_coef == 0.0 { losses } else { losses + expm1_minus_x(log_ratios) * kl_coef })
}

/// Configuration of [`Importance`].
#[derive(Config, Debug, PartialEq)]
pub struct ImportanceConfig {
    /// Weight of the divergence of the policy from the old one, finite and ≥ 0. 0: none.
    #[config(default = 0.0)]
    pub kl_coef: f64,
}

impl ImportanceConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<Importance> {
        check_domain(self.kl_coef.is_finite() && self.kl_coef >= 0.0, "kl_coef", "finite and >= 0", self.kl_coef)?;
        Ok(Importance { config: self.clone() })
    }
}

/// The surrogate without a clip; see [`importance_losses`].
#[derive(Debug, Clone, PartialEq)]
pub struct Importance {
    config: ImportanceConfig,
}

/// `importance` by name.
pub const METHOD: Method = Method {
    name: "importance",
    title: "Importance Ratio",
    build: |options| Ok(Box::new(options.apply("importance", ImportanceConfig::new())?.init()?)),
};

impl Surrogate for Importance {
    fn name(&self) -> &'static str {
        "importance"
    }

    fn losses(&self, tokens: &Tokens) -> Result<Tensor<2>> {
        importance_losses(tokens.log_ratios.clone(), tokens.advantages.clone(), self.config.kl_coef)
    }
}

#[cfg(test)]
mod tests {
    use accordant_laws::gradient::check_gradient;

    use super::*;
    use crate::rollout::surrogate::tests::{close, token};

    #[test]
    fn the_ratio_has_no_bound_and_the_penalty_a_slope_of_its_excess() {
        let free = ImportanceConfig::new().init().unwrap();
        let held = ImportanceConfig::new().with_kl_coef(2.0).init().unwrap();
        for (ratio, advantage) in [(3.0f64, 0.5), (0.25, 0.5), (3.0, -2.0), (1.0, 1.0)] {
            let (loss, slope) = token(&free, -2.0, ratio.ln(), advantage);
            close(&[loss, slope], &[-advantage * ratio, -advantage * ratio], 1e-14);
            let (loss, slope) = token(&held, -2.0, ratio.ln(), advantage);
            let penalty = 2.0 * (ratio - 1.0 - ratio.ln());
            close(&[loss, slope], &[-advantage * ratio + penalty, -advantage * ratio + 2.0 * (ratio - 1.0)], 1e-14);
        }
    }

    #[test]
    fn gradients_are_those_of_finite_differences() {
        let held = ImportanceConfig::new().with_kl_coef(0.7).init().unwrap();
        for at in [-1.5, -0.2, 0.0, 0.4, 2.0] {
            let (_, slope) = token(&held, -2.0, at, 0.3);
            check_gradient(|x| token(&held, -2.0, x[0], 0.3).0, &[at], &[slope]).unwrap();
        }
    }

    #[test]
    fn defaults_and_refused_values() {
        assert_eq!(ImportanceConfig::new().kl_coef, 0.0);
        for kl_coef in [-1.0, f64::NAN, f64::INFINITY] {
            let error = ImportanceConfig::new().with_kl_coef(kl_coef).init().unwrap_err().to_string();
            assert_eq!(error, format!("`kl_coef`: expected finite and >= 0, got {kl_coef}"));
        }
    }
}
