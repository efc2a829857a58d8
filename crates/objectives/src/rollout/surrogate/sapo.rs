//! Soft gates in place of a clip (SAPO).
//!
//! **Paper:** Soft Adaptive Policy Optimization (2025), 2511.20347.
//! **Use when:** the clip's hard end wastes tokens that are only a little off-policy; costs fade faster than gains.
//! **Checked by:** a golden number, golden numbers (TRL), hand-worked values and gradients, finite differences, laws of
//! surrogates.
//! **Deviations:** none.

use accordant_ops::{
    check_domain,
    stable::{expm1, logistic},
};
use burn::{
    config::Config,
    tensor::{FloatDType, Tensor},
};

use super::{Method, Surrogate, Tokens, check_like};
use crate::Result;

/// Softly gated losses, one for each token.
///
/// ```text
/// f = −A (4/τ) σ(τ (ρ − 1)),   τ = τ_positive where A > 0, else τ_negative
/// ```
///
/// The slope in ρ is `−A · 4 σ (1 − σ)`: −A at ρ = 1, where the value is −2A/τ, and fading on both sides.
///
/// # Shapes
/// `log_ratios`, `advantages` (a constant) and the result: `[rows, seq]`. Finite as long as `exp(log_ratio)` is.
///
/// # Errors
/// A shape or dtype error naming the argument.
///
/// # Example
/// ```
/// use accordant_objectives::rollout::surrogate::sapo::{SapoConfig, sapo_losses};
/// use burn::tensor::{Device, Tensor};
/// let one = |value: f32| Tensor::<2>::from_floats([[value]], &Device::flex());
/// let loss = sapo_losses(one(0.0), one(1.0), &SapoConfig::new())?;
/// assert!((loss.into_scalar::<f32>() + 2.0).abs() < 1e-6);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2511.20347")]
pub fn sapo_losses(log_ratios: Tensor<2>, advantages: Tensor<2>, config: &SapoConfig) -> Result<Tensor<2>> {
    check_like("advantages", &log_ratios, &advantages)?;
    let advantages = advantages.detach();
    let gains = advantages.clone().greater_scalar(0.0);
    let SapoConfig { tau_positive, tau_negative } = *config;
    let tau = gains.cast(FloatDType::from(advantages.dtype())) * (tau_positive - tau_negative) + tau_negative;
    let factors = advantages / tau.clone() * -4.0;
    Ok(logistic(expm1(log_ratios) * tau) * factors)
}

/// Configuration of [`Sapo`].
#[derive(Config, Debug, PartialEq)]
pub struct SapoConfig {
    /// How fast gains fade, finite and > 0. 1: the paper's.
    #[config(default = 1.0)]
    pub tau_positive: f64,
    /// How fast costs fade, finite and > 0. 1.05: the paper's.
    #[config(default = 1.05)]
    pub tau_negative: f64,
}

impl SapoConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<Sapo> {
        for (name, tau) in [("tau_positive", self.tau_positive), ("tau_negative", self.tau_negative)] {
            check_domain(tau.is_finite() && tau > 0.0, name, "finite and > 0", tau)?;
        }
        Ok(Sapo { config: self.clone() })
    }
}

/// The softly gated surrogate; see [`sapo_losses`].
#[derive(Debug, Clone, PartialEq)]
pub struct Sapo {
    config: SapoConfig,
}

/// `sapo` by name.
pub const METHOD: Method = Method {
    name: "sapo",
    title: "Soft Adaptive Gate",
    build: |options| Ok(Box::new(options.apply("sapo", SapoConfig::new())?.init()?)),
};

impl Surrogate for Sapo {
    fn name(&self) -> &'static str {
        "sapo"
    }

    fn losses(&self, tokens: &Tokens) -> Result<Tensor<2>> {
        sapo_losses(tokens.log_ratios.clone(), tokens.advantages.clone(), &self.config)
    }
}

#[cfg(test)]
mod tests {
    use accordant_laws::gradient::check_gradient;

    use super::*;
    use crate::rollout::surrogate::tests::{close, token};

    #[test]
    fn the_golden_value() {
        let (loss, _) = token(&SapoConfig::new().init().unwrap(), -1.0, 1.3f64.ln(), 1.0);
        close(&[loss], &[-2.297770067], 1e-9);
    }

    #[test]
    fn gains_and_costs_have_temperatures_of_their_own() {
        let sapo = SapoConfig::new().with_tau_positive(0.5).with_tau_negative(2.0).init().unwrap();
        for (advantage, tau) in [(1.5, 0.5), (-0.5, 2.0)] {
            for ratio in [0.2f64, 1.0, 3.0] {
                let gate = 1.0 / (1.0 + (-tau * (ratio - 1.0)).exp());
                let (loss, slope) = token(&sapo, -1.0, ratio.ln(), advantage);
                let expected = [-advantage * 4.0 / tau * gate, -advantage * 4.0 * gate * (1.0 - gate) * ratio];
                close(&[loss, slope], &expected, 1e-14);
            }
            // On-policy: the value is −2A/τ, the slope that of the plain ratio.
            close(&[token(&sapo, -1.0, 0.0, advantage).0], &[-2.0 * advantage / tau], 1e-15);
            close(&[token(&sapo, -1.0, 0.0, advantage).1], &[-advantage], 1e-15);
        }
        assert_eq!(token(&sapo, -1.0, 0.3, 0.0).1, 0.0);
    }

    #[test]
    fn gradients_are_those_of_finite_differences() {
        let sapo = SapoConfig::new().init().unwrap();
        for (at, advantage) in [(-1.5, 1.0), (0.3, -1.0), (1.2, 0.5)] {
            let (_, slope) = token(&sapo, -1.0, at, advantage);
            check_gradient(|x| token(&sapo, -1.0, x[0], advantage).0, &[at], &[slope]).unwrap();
        }
    }

    #[test]
    fn defaults_and_refused_values() {
        assert_eq!(SapoConfig::new(), SapoConfig { tau_positive: 1.0, tau_negative: 1.05 });
        for tau in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let error = SapoConfig::new().with_tau_positive(tau).init().unwrap_err().to_string();
            assert_eq!(error, format!("`tau_positive`: expected finite and > 0, got {tau}"));
            assert!(SapoConfig::new().with_tau_negative(tau).init().unwrap_err().to_string().starts_with("`tau_neg"));
        }
    }
}
