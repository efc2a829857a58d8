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
    host::log_sum_exp,
};
use burn::tensor::{Tensor, TensorData};
use libm::erfc;
use serde::{Deserialize, Serialize};
use statrs::function::erf::erfc_inv;

use crate::{Error, Result, error::check_length};

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

fn normal_density(z: f64) -> f64 {
    (-0.5 * z * z).exp() / (2.0 * std::f64::consts::PI).sqrt()
}

/// Where an ascending function changes its sign.
fn bisect(mut low: f64, mut high: f64, f: impl Fn(f64) -> f64) -> f64 {
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if f(middle) < 0.0 { low = middle } else { high = middle }
    }
    0.5 * (low + high)
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

/// A distribution with finitely many values, in ascending order, and their probabilities.
///
/// # Example
/// ```
/// use accordant_preference::distributional::risk::Atoms;
/// let atoms = Atoms::equal(&[3.0, -2.0, 1.0, 8.0, 0.0])?;
/// assert!((atoms.mean() - 2.0).abs() < 1e-12 && (atoms.variance() - 11.6).abs() < 1e-12);
/// assert!((atoms.cvar(0.3)? + 4.0 / 3.0).abs() < 1e-12); // (0.2 · −2 + 0.1 · 0)/0.3
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Atoms {
    values: Vec<f64>,
    probs: Vec<f64>,
}

impl Atoms {
    /// Values in any order and their weights, which are divided by their sum.
    ///
    /// # Errors
    /// [`Error::Length`] naming `weights`, [`Error::Record`] for a value that is not finite or a weight that is not finite
    /// and ≥ 0, [`Error::Empty`] when no value has a weight.
    pub fn new(values: &[f64], weights: &[f64]) -> Result<Self> {
        check_length("weights", values.len(), weights.len())?;
        for (row, (&value, &weight)) in values.iter().zip(weights).enumerate() {
            crate::error::check_record(value.is_finite(), row, "values", "finite", value)?;
            crate::error::check_record(weight.is_finite() && weight >= 0.0, row, "weights", "finite and >= 0", weight)?;
        }
        let total: f64 = weights.iter().sum();
        if total <= 0.0 {
            return Err(Error::Empty { name: "values", reason: "none has a weight" });
        }
        let mut pairs: Vec<(f64, f64)> = values.iter().copied().zip(weights.iter().map(|w| w / total)).collect();
        pairs.retain(|(_, prob)| *prob > 0.0);
        pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (values, probs) = pairs.into_iter().unzip();
        Ok(Self { values, probs })
    }

    /// Equally likely values: samples, or quantiles of equal mass. Crossed quantiles are sorted.
    ///
    /// # Errors
    /// As [`Atoms::new`].
    pub fn equal(values: &[f64]) -> Result<Self> {
        Self::new(values, &vec![1.0; values.len()])
    }

    /// The values that have a probability, in ascending order.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// Their probabilities, > 0 with sum 1.
    pub fn probs(&self) -> &[f64] {
        &self.probs
    }

    /// `E[u(X)]`: the expected utility.
    ///
    /// # Example
    /// ```
    /// use accordant_preference::distributional::risk::Atoms;
    /// let atoms = Atoms::new(&[0.0, 2.0], &[0.75, 0.25])?;
    /// assert_eq!(atoms.expected(|reward| reward * reward), 1.0);
    /// # Ok::<(), accordant_preference::Error>(())
    /// ```
    pub fn expected(&self, utility: impl Fn(f64) -> f64) -> f64 {
        self.values.iter().zip(&self.probs).map(|(value, prob)| prob * utility(*value)).sum()
    }

    /// `E[X]`.
    pub fn mean(&self) -> f64 {
        self.expected(|value| value)
    }

    /// `E[(X − E X)²]`.
    pub fn variance(&self) -> f64 {
        let mean = self.mean();
        self.expected(|value| (value - mean).powi(2))
    }

    /// Sarle's coefficient of bimodality, `(skewness² + 1)/kurtosis` in (0, 1]: 1 of two equal peaks, 5/9 of a uniform
    /// distribution, 1/3 of a normal one. None of a sure value.
    pub fn bimodality(&self) -> Option<f64> {
        let (mean, variance) = (self.mean(), self.variance());
        let moment = |power| self.expected(|value| ((value - mean) / variance.sqrt()).powi(power));
        (variance > 0.0).then(|| (moment(3).powi(2) + 1.0) / moment(4))
    }

    /// `E[−e^{−λX}]`: the mean of exponential utility. Unlike [`Atoms::entropic`] it is no reward, and shifting rewards
    /// scales it.
    ///
    /// # Errors
    /// A domain error naming `lambda` unless it is finite and > 0, or when the result is not finite.
    pub fn exponential_utility(&self, lambda: f64) -> Result<f64> {
        check_domain(lambda.is_finite() && lambda > 0.0, "lambda", "finite and > 0", lambda)?;
        let utility = -self.expected(|value| (-lambda * value).exp());
        check_domain(utility.is_finite(), "lambda", "small enough for a finite utility", lambda)?;
        Ok(utility)
    }

    /// The smallest value that has a probability.
    pub fn worst_case(&self) -> f64 {
        self.values[0]
    }

    /// The smallest value `v` with `P(X ≤ v) ≥ alpha`.
    ///
    /// # Errors
    /// A domain error naming `alpha`, in (0, 1].
    #[doc(alias = "VaR")]
    #[doc(alias = "quantile")]
    pub fn value_at_risk(&self, alpha: f64) -> Result<f64> {
        Risk::ValueAtRisk(alpha).check()?;
        Ok(self.values[value_at_risk(&self.probs, alpha)])
    }

    /// The mean of the worst share `alpha`.
    ///
    /// ```text
    /// (1/α) [Σ_{v_i < VaR} p_i v_i + (α − P(X < VaR)) VaR]
    /// ```
    ///
    /// # Errors
    /// A domain error naming `alpha`, in (0, 1].
    #[doc(alias = "expected shortfall")]
    pub fn cvar(&self, alpha: f64) -> Result<f64> {
        self.weighed(&tail_shares(&self.probs, alpha)?)
    }

    fn weighed(&self, shares: &[f64]) -> Result<f64> {
        Ok(self.values.iter().zip(shares).map(|(value, share)| value * share).sum())
    }

    /// `(1/β) log E[e^{βX}]`, the mean at β = 0.
    ///
    /// By its series `E X + β Var X / 2` where `|β| · range` is below 1e-4, and by a shifted log-sum-exp elsewhere.
    ///
    /// # Errors
    /// A domain error naming `beta` unless it is finite, or when `β X` is not.
    #[doc(alias = "entropic risk measure")]
    #[doc(alias = "certainty equivalent")]
    #[doc(alias = "soft-min")]
    pub fn entropic(&self, beta: f64) -> Result<f64> {
        Risk::Entropic(beta).check()?;
        let range = self.values[self.values.len() - 1] - self.values[0];
        if beta.abs() * range < SERIES {
            return Ok(self.mean() + beta * self.variance() / 2.0);
        }
        let terms: Vec<f64> = self.values.iter().zip(&self.probs).map(|(v, p)| beta * v + p.ln()).collect();
        let result = log_sum_exp(&terms) / beta;
        check_domain(result.is_finite(), "beta", "small enough for a finite result", beta)?;
        Ok(result)
    }

    /// The expectile of level τ in (0, 1): `τ E[(X − e)₊] = (1 − τ) E[(e − X)₊]`.
    ///
    /// # Errors
    /// A domain error naming `level`.
    pub fn expectile(&self, level: f64) -> Result<f64> {
        Risk::Expectile(level).check()?;
        let mut at = self.mean();
        // Newton's steps on a piecewise linear function end on a piece, exactly.
        for _ in 0..=self.values.len() {
            let weight = |value: f64| if value < at { 1.0 - level } else { level };
            let next = self.expected(|value| weight(value) * value) / self.expected(weight);
            if next == at {
                break;
            }
            at = next;
        }
        Ok(at)
    }

    /// The measure of this distribution.
    ///
    /// # Errors
    /// As [`Risk::check`], and as [`Atoms::entropic`].
    pub fn risk(&self, risk: &Risk) -> Result<f64> {
        risk.check()?;
        match *risk {
            Risk::Mean => Ok(self.mean()),
            Risk::MeanStd(aversion) => Ok(self.mean() - aversion * self.variance().sqrt()),
            Risk::ValueAtRisk(alpha) => self.value_at_risk(alpha),
            Risk::Entropic(beta) => self.entropic(beta),
            Risk::SoftMin(lambda) => self.entropic(-lambda),
            Risk::Expectile(level) => self.expectile(level),
            Risk::WorstCase => Ok(self.worst_case()),
            Risk::Cvar(_) | Risk::Wang(_) | Risk::ProportionalHazard(_) | Risk::Prospect(_) => {
                self.weighed(&risk.shares(&self.probs)?)
            }
        }
    }
}

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
    /// As [`Risk::check`]; a domain error naming `mean` or `spread`.
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
        Ok(mean + spread * standard)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::distributional::testing::{check_gradients, gradient, host, matrix, near, starts};

    const ALL: [Risk; 18] = [
        Risk::Mean,
        Risk::MeanStd(0.7),
        Risk::ValueAtRisk(0.3),
        Risk::ValueAtRisk(1.0),
        Risk::Cvar(0.3),
        Risk::Cvar(1.0),
        Risk::Entropic(-0.8),
        Risk::Entropic(0.0),
        Risk::Entropic(1e-7),
        Risk::SoftMin(0.8),
        Risk::Wang(0.6),
        Risk::Wang(-0.4),
        Risk::ProportionalHazard(2.0),
        Risk::ProportionalHazard(0.5),
        Risk::Prospect(0.61),
        Risk::Expectile(0.2),
        Risk::Expectile(0.5),
        Risk::WorstCase,
    ];

    fn five() -> Atoms {
        Atoms::equal(&[-2.0, 0.0, 1.0, 3.0, 8.0]).unwrap()
    }

    fn of(atoms: &Atoms, risk: Risk) -> f64 {
        atoms.risk(&risk).unwrap()
    }

    #[test]
    fn the_reference_figures_of_five_values() {
        let atoms = five();
        assert!((atoms.mean() - 2.0).abs() < 1e-12 && (atoms.variance() - 11.6).abs() < 1e-12);
        for (risk, expected) in [
            (Risk::Cvar(0.2), -2.0),
            (Risk::Cvar(0.3), -4.0 / 3.0),
            (Risk::Entropic(-1.0), -0.56611554),
            (Risk::Entropic(0.5), 5.03850149),
            (Risk::SoftMin(1.0), -0.56611554),
        ] {
            assert!((of(&atoms, risk) - expected).abs() < 5e-9, "{risk:?}: {}", of(&atoms, risk));
        }
    }

    #[test]
    fn measures_by_hand() {
        let atoms = Atoms::new(&[4.0, 0.0, 2.0, 9.0], &[1.0, 2.0, 1.0, 0.0]).unwrap();
        assert_eq!((atoms.values(), atoms.probs()), (&[0.0, 2.0, 4.0][..], &[0.5, 0.25, 0.25][..]));
        near(&[atoms.mean(), atoms.variance()], &[1.5, 2.75], 1e-15);
        for (risk, expected) in [
            (Risk::Mean, 1.5),
            (Risk::MeanStd(2.0), 1.5 - 2.0 * 2.75f64.sqrt()),
            (Risk::ValueAtRisk(0.5), 0.0),
            (Risk::ValueAtRisk(0.51), 2.0),
            (Risk::ValueAtRisk(1.0), 4.0),
            (Risk::Cvar(0.75), (0.25 * 2.0) / 0.75),
            (Risk::Cvar(1.0), 1.5),
            (Risk::Cvar(1e-9), 0.0),
            (Risk::WorstCase, 0.0),
            // The least of two draws: 1 − ½², ¼(2 · ¼ + ¼), 1/16.
            (Risk::ProportionalHazard(2.0), 2.0 * 3.0 / 16.0 + 4.0 / 16.0),
            // ¼ (4 − e) + ... : τ (1.5·½ ...): 0.8·½ e = 0.2 (¼ (2 − e) + ¼ (4 − e)) at e = 0.6.
            (Risk::Expectile(0.2), 0.6),
            (Risk::Expectile(0.5), 1.5),
            // e^{X ln 2} is 1, 4, 16.
            (Risk::Entropic(std::f64::consts::LN_2), 5.5f64.log2()),
            (Risk::SoftMin(std::f64::consts::LN_2), -(0.5f64 + 0.0625 + 0.015625).log2()),
            (Risk::Prospect(1.0), 1.5),
            (Risk::Wang(0.0), 1.5),
        ] {
            assert!((of(&atoms, risk) - expected).abs() < 1e-12, "{risk:?}: {}", of(&atoms, risk));
        }
        // Φ(Φ⁻¹(½) + 1) of a coin.
        let coin = Atoms::equal(&[0.0, 1.0]).unwrap();
        assert!((of(&coin, Risk::Wang(1.0)) - 0.15865525393145707).abs() < 1e-12);
        // ½^γ/(2 · ½^γ)^{1/γ} at γ = ½ is ½^½/4^{...}: 0.70710678/2 = 0.35355339 for the lower.
        assert!((of(&coin, Risk::Prospect(0.5)) - (1.0 - 0.5f64.sqrt() / 2.0)).abs() < 1e-12);
        near(&[atoms.expected(|v| v * v)], &[5.0], 1e-15);
        near(
            &[atoms.exponential_utility(0.5).unwrap()],
            &[-(0.5 + 0.25 * (-1f64).exp() + 0.25 * (-2f64).exp())],
            1e-15,
        );
    }

    #[test]
    fn two_peaks_are_bimodal_and_a_sure_value_is_not_asked() {
        assert!((Atoms::equal(&[-1.0, 1.0]).unwrap().bimodality().unwrap() - 1.0).abs() < 1e-15);
        let uniform: Vec<f64> = (0..2000).map(f64::from).collect();
        assert!((Atoms::equal(&uniform).unwrap().bimodality().unwrap() - 5.0 / 9.0).abs() < 1e-5);
        // Skewed: 3/4 at 0 and 1/4 at 1, skewness 2/√3, kurtosis 7/3.
        let skewed = Atoms::new(&[0.0, 1.0], &[3.0, 1.0]).unwrap().bimodality().unwrap();
        assert!((skewed - (4.0 / 3.0 + 1.0) / (7.0 / 3.0)).abs() < 1e-12);
        assert_eq!(Atoms::equal(&[2.0]).unwrap().bimodality(), None);
    }

    #[test]
    fn gaussians_are_their_own_fine_atoms() {
        let gaussian = Gaussian { mean: 1.5, spread: 2.0 };
        let levels = accordant_ops::distribution::quantile::midpoints(200_000);
        let values: Vec<f64> = levels.iter().map(|p| 1.5 + 2.0 * normal_quantile(*p)).collect();
        let atoms = Atoms::equal(&values).unwrap();
        for risk in ALL {
            let exact = gaussian.risk(&risk).unwrap();
            if matches!(risk, Risk::WorstCase | Risk::ValueAtRisk(1.0)) {
                assert!(exact.is_infinite());
                continue;
            }
            assert!((exact - of(&atoms, risk)).abs() < 2e-3, "{risk:?}: {exact} {}", of(&atoms, risk));
            assert_eq!(Gaussian { mean: 0.7, spread: 0.0 }.risk(&risk).unwrap(), 0.7, "{risk:?}");
        }
    }

    #[test]
    fn closed_forms_of_the_standard_normal_distribution() {
        let standard = Gaussian { mean: 0.0, spread: 1.0 };
        for (risk, expected) in [
            (Risk::ValueAtRisk(0.05), -1.6448536269514722),
            (Risk::Cvar(0.05), -2.0627128075074257),
            (Risk::Cvar(1.0), 0.0),
            (Risk::Wang(0.3), -0.3),
            (Risk::MeanStd(0.3), -0.3),
            (Risk::Entropic(-0.6), -0.3),
            (Risk::SoftMin(0.6), -0.3),
            // The mean of the least of two and of three draws.
            (Risk::ProportionalHazard(2.0), -1.0 / std::f64::consts::PI.sqrt()),
            (Risk::ProportionalHazard(3.0), -1.5 / std::f64::consts::PI.sqrt()),
            (Risk::ProportionalHazard(1.0), 0.0),
            (Risk::Prospect(1.0), 0.0),
            (Risk::Expectile(0.5), 0.0),
        ] {
            let got = standard.risk(&risk).unwrap();
            assert!((got - expected).abs() < 1e-9, "{risk:?}: {got}");
        }
        let low = standard.risk(&Risk::Expectile(0.1)).unwrap();
        let (below, above) =
            (normal_density(low) + low * normal_cdf(low), normal_density(low) - low * normal_cdf(-low));
        assert!((0.9 * below - 0.1 * above).abs() < 1e-12 && low < -0.5);
        starts(Gaussian { mean: f64::NAN, spread: 1.0 }.risk(&Risk::Mean), "`mean`");
        for spread in [-1.0, f64::NAN, f64::INFINITY] {
            starts(Gaussian { mean: 0.0, spread }.risk(&Risk::Mean), "`spread`");
        }
    }

    #[test]
    fn quantiles_on_tensors_have_the_measures_of_atoms() {
        let rows = [[8.0, -2.0, 1.0, 0.0, 3.0], [0.5, 0.5, 0.5, 0.5, 0.5], [-1e3, 4.0, 2.0, 1e3, 2.0]];
        for risk in ALL {
            let got = host(&risk.of_quantiles(matrix(rows.as_flattened(), 5)).unwrap());
            let expected: Vec<f64> = rows.iter().map(|row| of(&Atoms::equal(row).unwrap(), risk)).collect();
            near(&got, &expected, 1e-9);
            check_gradients(&rows[0], |x| risk.of_quantiles(x.unsqueeze_dim::<2>(0)).unwrap());
            let flat = gradient(&rows[1], |x| risk.of_quantiles(x.unsqueeze_dim::<2>(0)).unwrap());
            assert!(flat.iter().all(|g| g.is_finite()), "{risk:?}: {flat:?}");
            assert_eq!(risk.of_quantiles(Tensor::zeros([0, 3], &burn::tensor::Device::flex())).unwrap().dims(), [0]);
        }
        starts(Risk::Mean.of_quantiles(Tensor::zeros([2, 0], &burn::tensor::Device::flex())), "`quantiles`");
        starts(Risk::Cvar(0.0).of_quantiles(matrix(&[1.0], 1)), "`alpha`");
    }

    #[test]
    fn levels_invert_distortions_and_average_to_the_measure() {
        for risk in [
            Risk::Mean,
            Risk::Cvar(0.3),
            Risk::Wang(0.6),
            Risk::ProportionalHazard(2.5),
            Risk::Prospect(0.61),
            Risk::Prospect(0.3),
        ] {
            let mut last = -1.0;
            for u in [0.0, 1e-6, 0.2, 0.5, 0.9, 1.0] {
                let level = risk.level(u).unwrap();
                let back = risk.distortion(level).unwrap();
                assert!((back - u).abs() < 1e-9, "{risk:?} at {u}: {back}");
                assert!(back >= last);
                last = back;
            }
            // Distorted levels of the uniform distribution on [0, 1], whose quantiles are the levels.
            let levels = accordant_ops::distribution::quantile::midpoints(4000);
            let mean = levels.iter().map(|u| risk.level(*u).unwrap()).sum::<f64>() / 4000.0;
            assert!((mean - of(&Atoms::equal(&levels).unwrap(), risk)).abs() < 1e-3, "{risk:?}");
        }
        for risk in [Risk::MeanStd(1.0), Risk::ValueAtRisk(0.5), Risk::Entropic(1.0), Risk::WorstCase] {
            assert_eq!((risk.distortion(0.5), risk.level(0.5)), (None, None));
        }
    }

    #[test]
    fn entropic_risk_neither_overflows_nor_cancels() {
        let atoms = Atoms::equal(&[0.0, 1e4]).unwrap();
        near(
            &[of(&atoms, Risk::Entropic(1e3)), of(&atoms, Risk::Entropic(-1e3))],
            &[1e4 - 2f64.ln() / 1e3, 2f64.ln() / 1e3],
            1e-9,
        );
        // On both sides of the series' edge.
        let five = five();
        for beta in [9.9e-6, 1.01e-5, -9.9e-6, -1.01e-5] {
            assert!((of(&five, Risk::Entropic(beta)) - 2.0 - beta * 5.8).abs() < 1e-8, "{beta}");
        }
        assert_eq!(of(&five, Risk::Entropic(0.0)), five.mean());
        starts(Atoms::equal(&[0.0, 1e300]).unwrap().entropic(1e300), "`beta`: expected small enough");
        starts(atoms.exponential_utility(-1.0), "`lambda`");
        starts(Atoms::equal(&[-1e300]).unwrap().exponential_utility(1e300), "`lambda`: expected small enough");
    }

    #[test]
    fn parameters_have_domains() {
        let nan = f64::NAN;
        for (risks, name) in [
            (vec![Risk::MeanStd(nan), Risk::MeanStd(f64::INFINITY)], "`aversion`"),
            (vec![Risk::ValueAtRisk(0.0), Risk::ValueAtRisk(1.1), Risk::Cvar(-0.1), Risk::Cvar(nan)], "`alpha`"),
            (vec![Risk::Entropic(nan), Risk::Entropic(f64::INFINITY)], "`beta`"),
            (vec![Risk::SoftMin(nan), Risk::Wang(f64::INFINITY)], "`lambda`"),
            (vec![Risk::ProportionalHazard(0.0), Risk::ProportionalHazard(nan)], "`power`"),
            (vec![Risk::Prospect(0.29), Risk::Prospect(1.01), Risk::Prospect(nan)], "`gamma`"),
            (vec![Risk::Expectile(0.0), Risk::Expectile(1.0), Risk::Expectile(nan)], "`level`"),
        ] {
            for risk in risks {
                starts(risk.check(), name);
                starts(five().risk(&risk), name);
            }
        }
        ALL.iter().for_each(|risk| risk.check().unwrap());
        starts(five().value_at_risk(0.0), "`alpha`");
        starts(five().cvar(1.5), "`alpha`");
        starts(five().expectile(1.0), "`level`");
    }

    #[test]
    fn atoms_are_checked() {
        starts(Atoms::new(&[1.0], &[]), "`weights`: expected 1 entries, got 0");
        starts(Atoms::new(&[1.0, f64::NAN], &[1.0, 1.0]), "record 1: `values`");
        starts(Atoms::new(&[1.0, 2.0], &[1.0, -1.0]), "record 1: `weights`");
        starts(Atoms::equal(&[]), "`values`: nothing to learn from");
        starts(Atoms::new(&[1.0], &[0.0]), "`values`: nothing to learn from");
    }

    #[test]
    fn worst_tails_of_sums_are_no_worse_than_the_sums_of_worst_tails() {
        // Coherence on a joint sample; comonotone samples add up exactly.
        let (x, y) = ([3.0, -1.0, 4.0, 1.0, -5.0, 9.0], [2.0, 6.0, -5.0, 3.0, 5.0, -8.0]);
        let sum: Vec<f64> = x.iter().zip(&y).map(|(x, y)| x + y).collect();
        let cvar = |v: &[f64], alpha| Atoms::equal(v).unwrap().cvar(alpha).unwrap();
        for alpha in [0.1, 0.4, 0.77, 1.0] {
            assert!(cvar(&sum, alpha) >= cvar(&x, alpha) + cvar(&y, alpha) - 1e-12);
            let cubes: Vec<f64> = x.iter().map(|x: &f64| x.powi(3)).collect();
            let both: Vec<f64> = x.iter().zip(&cubes).map(|(x, y)| x + y).collect();
            assert!((cvar(&both, alpha) - cvar(&x, alpha) - cvar(&cubes, alpha)).abs() < 1e-9);
        }
        // Entropic risk adds over independent sums.
        let all: Vec<f64> = x.iter().flat_map(|x| y.iter().map(move |y| x + y)).collect();
        let entropic = |v: &[f64]| Atoms::equal(v).unwrap().entropic(-0.3).unwrap();
        assert!((entropic(&all) - entropic(&x) - entropic(&y)).abs() < 1e-12);
    }
}
