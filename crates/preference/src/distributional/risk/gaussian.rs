//! Normal distributions.

use accordant_ops::check_domain;
use libm::erfc;
use serde::{Deserialize, Serialize};
use statrs::function::erf::erfc_inv;

use super::{Risk, bisect};
use crate::{Result, error::check_finite};

/// A normal distribution.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Gaussian {
    /// Its mean, finite.
    pub mean: f64,
    /// Its standard deviation, finite and ≥ 0.
    pub spread: f64,
}

impl Gaussian {
    /// The measure of this distribution, in closed form where there is one:
    ///
    /// ```text
    /// value at risk  μ + ς Φ⁻¹(α)          CVaR      μ − ς φ(Φ⁻¹(α))/α
    /// entropic       μ + β ς²/2            Wang      μ − λ ς
    /// mean − sd      μ − λ ς               worst     −∞ (μ if ς = 0)
    /// ```
    ///
    /// Proportional hazards and prospect weights by quadrature and expectiles by bisection, to about 1e-9 ς.
    ///
    /// # Errors
    /// As [`Risk::check`]; a domain error naming `mean` or `spread`; [`crate::Error::NotFinite`] when the result overflows. The
    /// worst case is −∞ and the value at risk of level 1 is ∞, without an error.
    ///
    /// # Example
    /// ```
    /// use accordant_preference::distributional::risk::{Gaussian, Risk};
    /// let reward = Gaussian { mean: 1.0, spread: 2.0 };
    /// assert_eq!(reward.risk(&Risk::Entropic(-0.5))?, 0.0); // 1 − ½ · 4/2
    /// # Ok::<(), accordant_preference::Error>(())
    /// ```
    pub fn risk(&self, risk: &Risk) -> Result<f64> {
        risk.check()?;
        let Self { mean, spread } = *self;
        check_domain(mean.is_finite(), "mean", "finite", mean)?;
        check_domain(spread.is_finite() && spread >= 0.0, "spread", "finite and >= 0", spread)?;
        if spread == 0.0 {
            return Ok(mean);
        }
        let standard = match *risk {
            Risk::Mean => 0.0,
            Risk::MeanStd(aversion) => -aversion,
            Risk::ValueAtRisk(alpha) => normal_quantile(alpha),
            Risk::Cvar(alpha) => -normal_density(normal_quantile(alpha)) / alpha,
            Risk::Entropic(beta) => beta * spread / 2.0,
            Risk::SoftMin(lambda) => -lambda * spread / 2.0,
            Risk::Wang(lambda) => -lambda,
            Risk::WorstCase => f64::NEG_INFINITY,
            Risk::Expectile(level) => {
                // E[(X − e)₊] = φ(e) − e (1 − Φ(e))
                let above = |e: f64| normal_density(e) - e * normal_cdf(-e);
                bisect(-40.0, 40.0, |e| (1.0 - level) * (above(e) + e) - level * above(e))
            }
            Risk::ProportionalHazard(_) | Risk::Prospect(_) => {
                let g = |z: f64| risk.distortion(normal_cdf(z)).expect("it has one");
                // ∫₀^∞ 1 − g(Φ(z)) dz − ∫₋∞^0 g(Φ(z)) dz, by Simpson's rule on either side.
                simpson(|z| 1.0 - g(z) - g(-z))
            }
        };
        let measure = mean + spread * standard;
        // These two are at the ends of the line.
        if !matches!(risk, Risk::WorstCase | Risk::ValueAtRisk(1.0)) {
            check_finite("risk", &[measure])?;
        }
        Ok(measure)
    }
}

/// The integral from 0 to 40.
fn simpson(f: impl Fn(f64) -> f64) -> f64 {
    const STEPS: usize = 8000;
    let step = 40.0 / STEPS as f64;
    let weight = |i: usize| match i {
        0 | STEPS => 1.0,
        i if i % 2 == 1 => 4.0,
        _ => 2.0,
    };
    (0..=STEPS).map(|i| weight(i) * f(i as f64 * step)).sum::<f64>() * step / 3.0
}

/// The standard normal distribution function.
///
/// # Example
/// ```
/// assert_eq!(accordant_preference::distributional::risk::normal_cdf(0.0), 0.5);
/// ```
pub fn normal_cdf(z: f64) -> f64 {
    0.5 * erfc(-z * std::f64::consts::FRAC_1_SQRT_2)
}

/// Its inverse; −∞ at 0 and ∞ at 1.
///
/// # Example
/// ```
/// use accordant_preference::distributional::risk::normal_quantile;
/// assert!((normal_quantile(0.975) - 1.959963984540054).abs() < 1e-12);
/// ```
pub fn normal_quantile(p: f64) -> f64 {
    -std::f64::consts::SQRT_2 * erfc_inv(2.0 * p)
}

pub(super) fn normal_density(z: f64) -> f64 {
    (-0.5 * z * z).exp() / (2.0 * std::f64::consts::PI).sqrt()
}
