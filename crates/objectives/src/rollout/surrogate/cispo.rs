//! Clipped importance weights (CISPO).
//!
//! **Paper:** MiniMax-M1: Scaling Test-Time Compute Efficiently with Lightning Attention (2025), 2506.13585, eq. 4 and 5.
//! **Use when:** rare tokens must keep their gradient: clipping the ratio of a token in PPO's way silences it, and tokens
//! that start a new thought have large ratios.
//! **Checked by:** golden numbers (TRL), hand-worked values and gradients, laws of surrogates.
//! **Deviations:** bounds are ratios and not distances from 1, as in TRL; [`CispoConfig::around_one`] converts.

use accordant_ops::{check_domain, stable::exp};
use burn::{config::Config, tensor::Tensor};

use super::{Clipped, Method, Surrogate, Tokens, reinforce::reinforce_losses};
use crate::Result;

/// Losses with clipped weights, one for each token.
///
/// ```text
/// f = −sg(clip(ρ, low, high)) A log π        (eq. 4, 5)
/// ```
///
/// The gradient is `−clip(ρ) A ∇log π`: smaller than without a bound, and never 0 unless the advantage is, or the ratio
/// without a lower bound. The value is no measure of anything.
///
/// # Shapes
/// `logps`, `log_ratios`, `advantages` (the last two constants) and the result: `[rows, seq]`.
///
/// # Errors
/// A shape or dtype error naming the argument.
///
/// # Example
/// ```
/// use accordant_objectives::rollout::surrogate::cispo::{CispoConfig, cispo_losses};
/// use burn::tensor::{Device, Tensor};
/// let row = |values: [f32; 2]| Tensor::<2>::from_floats([values], &Device::flex());
/// let ratios = row([8f32.ln(), 0.5f32.ln()]);
/// let losses = cispo_losses(row([-2.0, -2.0]), ratios, row([1.0, 1.0]), &CispoConfig::new())?;
/// assert_eq!(losses.into_data().try_to_vec::<f32>().unwrap(), [10.0, 1.0]); // weights 5 and 0.5
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2506.13585")]
#[doc(alias = "MiniMax-M1")]
pub fn cispo_losses(
    logps: Tensor<2>,
    log_ratios: Tensor<2>,
    advantages: Tensor<2>,
    config: &CispoConfig,
) -> Result<Tensor<2>> {
    let weights = exp(log_ratios.detach()).clamp_max(config.high);
    let weights = match config.low {
        Some(low) => weights.clamp_min(low),
        None => weights,
    };
    reinforce_losses(logps, advantages, Some(weights))
}

/// Configuration of [`Cispo`].
#[derive(Config, Debug, PartialEq)]
pub struct CispoConfig {
    /// The smallest weight, in `[0, 1]`. None: the paper's and TRL's.
    #[config(default = "None")]
    pub low: Option<f64>,
    /// The largest weight, finite and ≥ 1. 5: the value TRL recommends, after ScaleRL.
    #[config(default = 5.0)]
    pub high: f64,
}

impl CispoConfig {
    /// Bounds given as distances from 1, verl's form: `[1 − clip_low, 1 + clip_high]`.
    ///
    /// # Example
    /// ```
    /// use accordant_objectives::rollout::surrogate::cispo::CispoConfig;
    /// assert_eq!(CispoConfig::around_one(0.25, 0.5), CispoConfig::new().with_low(Some(0.75)).with_high(1.5));
    /// ```
    pub fn around_one(clip_low: f64, clip_high: f64) -> Self {
        Self { low: Some(1.0 - clip_low), high: 1.0 + clip_high }
    }

    /// The upper bound alone, given as a distance from 1, the paper's form: `1 + clip_high`.
    ///
    /// # Example
    /// ```
    /// use accordant_objectives::rollout::surrogate::cispo::CispoConfig;
    /// assert_eq!(CispoConfig::above_one(0.5), CispoConfig::new().with_high(1.5));
    /// ```
    pub fn above_one(clip_high: f64) -> Self {
        Self { low: None, high: 1.0 + clip_high }
    }

    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<Cispo> {
        if let Some(low) = self.low {
            check_domain((0.0..=1.0).contains(&low), "low", "in [0, 1]", low)?;
        }
        check_domain(self.high.is_finite() && self.high >= 1.0, "high", "finite and >= 1", self.high)?;
        let log_bounds = (self.low.map_or(f64::NEG_INFINITY, f64::ln), self.high.ln());
        Ok(Cispo { config: self.clone(), log_bounds })
    }
}

/// The surrogate with clipped weights; see [`cispo_losses`].
#[derive(Debug, Clone, PartialEq)]
pub struct Cispo {
    config: CispoConfig,
    /// The bounds of the ratio as logarithms, so that counting what is clipped exponentiates nothing.
    log_bounds: (f64, f64),
}

/// `cispo` by name.
pub const METHOD: Method = Method {
    name: "cispo",
    title: "Clipped Importance Weights",
    build: |options| Ok(Box::new(options.apply("cispo", CispoConfig::new())?.init()?)),
};

impl Surrogate for Cispo {
    fn name(&self) -> &'static str {
        "cispo"
    }

    fn losses(&self, tokens: &Tokens) -> Result<Tensor<2>> {
        let (logps, log_ratios) = (tokens.logps.clone(), tokens.log_ratios.clone());
        cispo_losses(logps, log_ratios, tokens.advantages.clone(), &self.config)
    }

    fn clipped(&self, log_ratio: f64, advantage: f64) -> Option<Clipped> {
        let (low, high) = self.log_bounds;
        match advantage {
            gain if gain > 0.0 && log_ratio > high => Some(Clipped::High),
            cost if cost < 0.0 && log_ratio < low => Some(Clipped::Low),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollout::surrogate::tests::{close, token};

    #[test]
    fn the_weight_is_clipped_and_the_gradient_never_ends() {
        let both = CispoConfig::around_one(0.25, 0.5).init().unwrap();
        let upper = CispoConfig::new().init().unwrap();
        for (ratio, clipped, bounded) in
            [(0.1f64, 0.75, 0.1), (0.8, 0.8, 0.8), (1.2, 1.2, 1.2), (2.0, 1.5, 2.0), (9.0, 1.5, 5.0)]
        {
            for advantage in [0.5, -2.0] {
                let (loss, slope) = token(&both, -2.0, ratio.ln(), advantage);
                close(&[loss, slope], &[2.0 * clipped * advantage, -clipped * advantage], 1e-14);
                let (_, slope) = token(&upper, -2.0, ratio.ln(), advantage);
                close(&[slope], &[-bounded * advantage], 1e-13);
            }
        }
    }

    #[test]
    fn a_token_counts_as_clipped_where_ppo_would_have_silenced_it() {
        let cispo = CispoConfig::around_one(0.25, 0.5).init().unwrap();
        assert_eq!(cispo.clipped(1.6f64.ln(), 1.0), Some(Clipped::High));
        assert_eq!(cispo.clipped(1.4f64.ln(), 1.0), None);
        assert_eq!(cispo.clipped(1.6f64.ln(), -1.0), None);
        assert_eq!(cispo.clipped(0.7f64.ln(), -1.0), Some(Clipped::Low));
        assert_eq!(cispo.clipped(0.8f64.ln(), -1.0), None);
        assert_eq!(cispo.clipped(0.7f64.ln(), 1.0), None);
        assert_eq!(cispo.clipped(0.7f64.ln(), 0.0), None);
        assert_eq!(cispo.clipped(1.6f64.ln(), 0.0), None);
        assert_eq!(CispoConfig::new().init().unwrap().clipped(-9.0, -1.0), None);
    }

    #[test]
    fn defaults_and_refused_values() {
        assert_eq!(CispoConfig::new(), CispoConfig { low: None, high: 5.0 });
        for low in [-0.1, 1.1, f64::NAN] {
            let error = CispoConfig::new().with_low(Some(low)).init().unwrap_err().to_string();
            assert_eq!(error, format!("`low`: expected in [0, 1], got {low}"));
        }
        for high in [0.9, f64::NAN, f64::INFINITY] {
            let error = CispoConfig::new().with_high(high).init().unwrap_err().to_string();
            assert_eq!(error, format!("`high`: expected finite and >= 1, got {high}"));
        }
        assert!(CispoConfig::new().with_low(Some(0.0)).with_high(1.0).init().is_ok());
        assert!(CispoConfig::new().with_low(Some(1.0)).init().is_ok());
    }
}
