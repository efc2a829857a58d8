//! Finitely many values and their probabilities.

use accordant_ops::{check_domain, distribution::risk::tail_shares, host::log_sum_exp};
use serde::{Deserialize, Serialize};

use super::{Risk, SERIES, value_at_risk};
use crate::{
    Error, Result,
    error::{check_finite, check_length, check_record, check_weight},
};

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
    /// [`Error::Length`] naming `weights`, [`Error::Record`] for a value that is not finite or a weight outside of
    /// [0, 1e100], [`Error::Empty`] when no value has a weight.
    pub fn new(values: &[f64], weights: &[f64]) -> Result<Self> {
        check_length("weights", values.len(), weights.len())?;
        for (row, (&value, &weight)) in values.iter().zip(weights).enumerate() {
            check_record(value.is_finite(), row, "values", "finite", value)?;
            check_weight(row, "weights", weight)?;
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
    /// With β = 1/η it is what a prompt is worth to the best policy that pays η times its divergence from the one whose rewards
    /// these are (the value of Q♯: Provably Optimal Distributional RL for LLM Post-Training).
    ///
    /// By its series `E X + β Var X / 2` where `|β| · range` is below 1e-4, and by a shifted log-sum-exp elsewhere.
    ///
    /// # Errors
    /// A domain error naming `beta` unless it is finite, or when `β X` is not.
    #[doc(alias = "entropic risk measure")]
    #[doc(alias = "certainty equivalent")]
    #[doc(alias = "soft-min")]
    #[doc(alias = "Q sharp")]
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
    /// As [`Risk::check`], and as [`Atoms::entropic`]; [`Error::NotFinite`] when a measure of values near the largest float
    /// overflows.
    pub fn risk(&self, risk: &Risk) -> Result<f64> {
        risk.check()?;
        let measure = match *risk {
            Risk::Mean => self.mean(),
            Risk::MeanStd(aversion) => self.mean() - aversion * self.variance().sqrt(),
            Risk::ValueAtRisk(alpha) => self.value_at_risk(alpha)?,
            Risk::Entropic(beta) => self.entropic(beta)?,
            Risk::SoftMin(lambda) => self.entropic(-lambda)?,
            Risk::Expectile(level) => self.expectile(level)?,
            Risk::WorstCase => self.worst_case(),
            Risk::Cvar(_) | Risk::Wang(_) | Risk::ProportionalHazard(_) | Risk::Prospect(_) => {
                self.weighed(&risk.shares(&self.probs)?)?
            }
        };
        check_finite("risk", &[measure])?;
        Ok(measure)
    }
}
