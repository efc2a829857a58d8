//! Risk measures: one number from a distribution of rewards.
//!
//! **Papers:** Coherent Measures of Risk (P. Artzner and others, 1999); A Class of Distortion Operators for Pricing Financial
//! and Insurance Risks (S. S. Wang, 2000); Advances in Prospect Theory (A. Tversky and D. Kahneman, 1992); Asymmetric Least
//! Squares Estimation and Testing (W. K. Newey and J. L. Powell, 1987); as policies over quantiles: Implicit Quantile
//! Networks for Distributional Reinforcement Learning (2018), 1806.06923.
//! **Use when:** a best-of-N, a policy or a report needs one score and the mean hides what can go wrong.
//! **Checked by:** published figures, hand-worked values, laws (monotone, equivariant under shifts, homogeneous where it is,
//! limits), Gaussians against fine atoms, quantiles on tensors against atoms.
//! **Deviations:** none. All of them are of rewards, more is better: a conditional value at risk is the mean of the *lower*
//! tail, and a distortion that is averse to risk lies above the diagonal.

use accordant_ops::{
    check_domain,
    distribution::risk::{distorted_shares, tail_shares},
};
use burn::tensor::{Tensor, TensorData};
use serde::{Deserialize, Serialize};

use crate::Result;

mod atoms;
mod gaussian;

pub use atoms::Atoms;
pub use gaussian::{Gaussian, normal_cdf, normal_quantile};

/// A measure of risk and its parameter.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Risk {
    /// `E[X]`: no attitude to risk.
    Mean,
    /// `E[X] − aversion · sd(X)`, `aversion` finite. Not monotone: more can be worse.
    MeanStd(f64),
    /// The lower quantile of level α in (0, 1]: the smallest `v` with `P(X ≤ v) ≥ α`.
    ValueAtRisk(f64),
    /// The mean of the worst share α in (0, 1]: 1 is the mean, α → 0 the worst case.
    Cvar(f64),
    /// The certainty equivalent of exponential utility, `(1/β) log E[e^{βX}]`, `β` finite in units of 1/reward: averse below
    /// 0, the mean at 0, seeking above.
    Entropic(f64),
    /// `−(1/λ) log E[e^{−λX}]`, λ finite: [`Risk::Entropic`] of −λ.
    SoftMin(f64),
    /// Wang's transform, `g(p) = Φ(Φ⁻¹(p) + λ)`, λ finite and averse above 0.
    Wang(f64),
    /// Proportional hazards, `g(p) = 1 − (1 − p)^k`, `k` finite and > 0: the mean of the least of `k` draws.
    ProportionalHazard(f64),
    /// Tversky and Kahneman's weighting, `g(p) = p^γ/(p^γ + (1 − p)^γ)^{1/γ}`, γ in [0.3, 1]: both extremes count more than
    /// their chance. Below, `g` does not ascend.
    Prospect(f64),
    /// The expectile of level τ in (0, 1): ½ is the mean, less is averse.
    Expectile(f64),
    /// The smallest value that has a probability.
    WorstCase,
}

impl Risk {
    /// Checks the parameter.
    ///
    /// # Errors
    /// A domain error naming it.
    pub fn check(&self) -> Result<()> {
        match *self {
            Self::Mean | Self::WorstCase => {}
            Self::MeanStd(aversion) => check_domain(aversion.is_finite(), "aversion", "finite", aversion)?,
            Self::ValueAtRisk(alpha) | Self::Cvar(alpha) => {
                check_domain(alpha > 0.0 && alpha <= 1.0, "alpha", "in (0, 1]", alpha)?;
            }
            Self::Entropic(beta) => check_domain(beta.is_finite(), "beta", "finite", beta)?,
            Self::SoftMin(lambda) | Self::Wang(lambda) => {
                check_domain(lambda.is_finite(), "lambda", "finite", lambda)?;
            }
            Self::ProportionalHazard(power) => {
                check_domain(power.is_finite() && power > 0.0, "power", "finite and > 0", power)?;
            }
            Self::Prospect(gamma) => check_domain((0.3..=1.0).contains(&gamma), "gamma", "in [0.3, 1]", gamma)?,
            Self::Expectile(level) => check_domain(level > 0.0 && level < 1.0, "level", "in (0, 1)", level)?,
        }
        Ok(())
    }

    /// The distorted distribution function `g(p)`, for measures that are means under one.
    ///
    /// # Example
    /// ```
    /// use accordant_preference::distributional::risk::Risk;
    /// assert_eq!(Risk::Cvar(0.5).distortion(0.25), Some(0.5));
    /// assert_eq!(Risk::Entropic(-1.0).distortion(0.25), None);
    /// ```
    pub fn distortion(&self, p: f64) -> Option<f64> {
        let p = p.clamp(0.0, 1.0);
        Some(match *self {
            Self::Mean => p,
            Self::Cvar(alpha) => (p / alpha).min(1.0),
            Self::Wang(lambda) => normal_cdf(normal_quantile(p) + lambda),
            Self::ProportionalHazard(power) => -(power * (-p).ln_1p()).exp_m1(),
            Self::Prospect(gamma) => {
                let (win, lose) = (p.powf(gamma), (1.0 - p).powf(gamma));
                win / (win + lose).powf(1.0 / gamma)
            }
            _ => return None,
        })
    }

    /// The level whose quantile is drawn for a uniform number `u`, `g⁻¹(u)`: the mean of quantiles at such levels is the
    /// measure. For measures that are means under a distorted distribution function.
    ///
    /// # Example
    /// ```
    /// use accordant_preference::distributional::risk::Risk;
    /// assert_eq!(Risk::Cvar(0.5).level(0.5), Some(0.25));
    /// ```
    pub fn level(&self, u: f64) -> Option<f64> {
        let u = u.clamp(0.0, 1.0);
        Some(match *self {
            Self::Mean => u,
            Self::Cvar(alpha) => u * alpha,
            Self::Wang(lambda) => normal_cdf(normal_quantile(u) - lambda),
            Self::ProportionalHazard(power) => -((-u).ln_1p() / power).exp_m1(),
            Self::Prospect(_) => {
                // No closed form; `g` ascends.
                bisect(0.0, 1.0, |p| self.distortion(p).expect("it has one") - u)
            }
            _ => return None,
        })
    }

    /// The measure of each row of quantiles that stand for equal masses, with a gradient; rows are sorted first.
    ///
    /// # Shapes
    /// `quantiles`: `[n, q]`; the result: `[n]`, in their dtype.
    ///
    /// # Errors
    /// As [`Risk::check`]; a domain error naming `quantiles` when there is none.
    ///
    /// # Example
    /// ```
    /// use accordant_preference::distributional::risk::Risk;
    /// use burn::tensor::{Device, Tensor};
    /// let quantiles = Tensor::from_floats([[2.0, -4.0, 0.0, 6.0]], &Device::flex());
    /// assert_eq!(Risk::Cvar(0.5).of_quantiles(quantiles)?.into_scalar::<f32>(), -2.0);
    /// # Ok::<(), accordant_preference::Error>(())
    /// ```
    pub fn of_quantiles(&self, quantiles: Tensor<2>) -> Result<Tensor<1>> {
        self.check()?;
        let [n, num] = quantiles.dims();
        check_domain(num > 0, "quantiles", "at least one for each row", num as f64)?;
        if n == 0 {
            return Ok(quantiles.sum_dim(1).squeeze_dim(1));
        }
        let sorted = quantiles.sort(1);
        let mean = sorted.clone().mean_dim(1);
        let gaps = sorted.clone() - mean.clone();
        let row = match *self {
            Self::Mean => mean,
            Self::MeanStd(aversion) => {
                let variance = gaps.square().mean_dim(1);
                // The square root has no slope at 0.
                let none = variance.clone().equal_scalar(0.0);
                let spread = variance.mask_fill(none.clone(), 1.0).sqrt().mask_fill(none, 0.0);
                mean - spread * aversion
            }
            Self::ValueAtRisk(alpha) => {
                let masses = vec![1.0; num];
                sorted.narrow(1, value_at_risk(&masses, alpha), 1)
            }
            Self::Entropic(beta) => entropic_rows(sorted, mean, gaps, beta),
            Self::SoftMin(lambda) => entropic_rows(sorted, mean, gaps, -lambda),
            Self::Expectile(level) => expectile_rows(sorted, level),
            Self::WorstCase => sorted.narrow(1, 0, 1),
            Self::Cvar(_) | Self::Wang(_) | Self::ProportionalHazard(_) | Self::Prospect(_) => {
                let shares = self.shares(&vec![1.0; num])?;
                let like = (&sorted.device(), sorted.dtype());
                (sorted * Tensor::from_data(TensorData::new(shares, [1, num]), like)).sum_dim(1)
            }
        };
        Ok(row.squeeze_dim(1))
    }

    /// How much each mass counts, for measures that are means under a distorted distribution function.
    fn shares(&self, masses: &[f64]) -> Result<Vec<f64>> {
        Ok(match *self {
            Self::Cvar(alpha) => tail_shares(masses, alpha)?,
            _ => distorted_shares(masses, |p| self.distortion(p).expect("the caller knows that it has one"))?,
        })
    }
}

/// Below this `|β| · range` the entropic measure is its series; the exponentials would round it away.
const SERIES: f64 = 1e-4;

fn entropic_rows(sorted: Tensor<2>, mean: Tensor<2>, gaps: Tensor<2>, beta: f64) -> Tensor<2> {
    let num = sorted.dims()[1];
    let series = mean + gaps.square().mean_dim(1) * (beta / 2.0);
    if beta == 0.0 {
        return series;
    }
    let range = (sorted.clone().narrow(1, num - 1, 1) - sorted.clone().narrow(1, 0, 1)).detach();
    let flat = (range * beta.abs()).lower_scalar(SERIES);
    let exact = (accordant_ops::stable::log_sum_exp(sorted * beta, 1) - (num as f64).ln()) * beta.recip();
    exact.mask_where(flat, series)
}

/// Newton's method on a piecewise linear function ends exactly; 40 steps are far more than it takes. The last step carries
/// the gradient, which is right: at the expectile the weights do not matter to first order.
fn expectile_rows(sorted: Tensor<2>, level: f64) -> Tensor<2> {
    let values = sorted.clone().detach();
    let weights = |at: Tensor<2>| {
        let below = values.clone().lower(at.expand(values.dims()));
        (values.ones_like() * level).mask_fill(below, 1.0 - level)
    };
    let step = |weights: Tensor<2>, values: Tensor<2>| (values * weights.clone()).sum_dim(1) / weights.sum_dim(1);
    let at = (0..40).fold(values.clone().mean_dim(1), |at, _| step(weights(at), values.clone()));
    step(weights(at), sorted)
}

/// The first place where the masses below and at it reach the share `alpha`, whatever rounding took from their sum.
fn value_at_risk(masses: &[f64], alpha: f64) -> usize {
    let total: f64 = masses.iter().sum();
    let mut reached = 0.0;
    let found = masses.iter().position(|mass| {
        reached += mass / total;
        *mass > 0.0 && reached >= alpha - 1e-12
    });
    found.expect("the masses reach 1")
}

/// Where an ascending function changes its sign.
fn bisect(mut low: f64, mut high: f64, f: impl Fn(f64) -> f64) -> f64 {
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if f(middle) < 0.0 { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}

#[cfg(test)]
mod tests;
