//! Preferences over runtimes: how good it is to be done after a while.
//!
//! **Paper:** Formalizing Preferences Over Runtime Distributions (2022), 2205.13028.
//! **Status:** the families and the estimate are this library's reading of the paper's theory.
//! **Use when:** algorithms, or models with a budget, are compared by how long they take, and runs are cut off.
//! **Checked by:** hand-worked values, domains, a coverage experiment.
//! **Deviations:** none.

use accordant_ops::check_domain;
use serde::{Deserialize, Serialize};

use crate::{Error, Result, error::check_record};

/// The chance that somebody still cares after time `t`: `u(t) = 1 − F(t)` for the time `κ ~ F` at which the answer is
/// needed. It descends from 1 at `t` = 0; all times in one unit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Utility {
    /// `max(0, 1 − t/cap)`: any time up to `cap`, finite and > 0, is as likely.
    Uniform {
        /// The latest time.
        cap: f64,
    },
    /// `e^{−t/scale}`, `scale` finite and > 0: who still waits may leave at any moment.
    Exponential {
        /// The mean time.
        scale: f64,
    },
    /// `min(1, (start/t)^power)`, both finite and > 0: nobody leaves before `start`, and some wait very long.
    Pareto {
        /// Until when everybody waits.
        start: f64,
        /// How fast they leave.
        power: f64,
    },
    /// `1 − ½ (t/median)^power` up to the median and `½ (median/t)^power` beyond, both finite and > 0: of all with that
    /// median and that spread of log-times, the one that assumes least.
    LogLaplace {
        /// When half of them have left.
        median: f64,
        /// How sure that is.
        power: f64,
    },
}

impl Utility {
    /// Checks the parameters.
    ///
    /// # Errors
    /// A domain error naming one.
    pub fn check(&self) -> Result<()> {
        let positive = |name, value: f64| check_domain(value.is_finite() && value > 0.0, name, "finite and > 0", value);
        match *self {
            Self::Uniform { cap } => positive("cap", cap)?,
            Self::Exponential { scale } => positive("scale", scale)?,
            Self::Pareto { start, power } => {
                positive("start", start)?;
                positive("power", power)?;
            }
            Self::LogLaplace { median, power } => {
                positive("median", median)?;
                positive("power", power)?;
            }
        }
        Ok(())
    }

    /// The utility, in [0, 1], of being done at time `t` ≥ 0; 0 at ∞, NaN of NaN.
    ///
    /// # Example
    /// ```
    /// use accordant_preference::distributional::runtime::Utility;
    /// let utility = Utility::LogLaplace { median: 10.0, power: 1.0 };
    /// assert_eq!([0.0, 5.0, 10.0, 20.0].map(|t| utility.of(t)), [1.0, 0.75, 0.5, 0.25]);
    /// ```
    pub fn of(&self, t: f64) -> f64 {
        match *self {
            Self::Uniform { cap } if t < cap => 1.0 - t / cap,
            Self::Uniform { .. } => 0.0 * t.signum(),
            Self::Exponential { scale } => (-t / scale).exp(),
            Self::Pareto { start, .. } if t <= start => 1.0,
            Self::Pareto { start, power } => (start / t).powf(power),
            Self::LogLaplace { median, power } if t <= median => 1.0 - 0.5 * (t / median).powf(power),
            Self::LogLaplace { median, power } => 0.5 * (median / t).powf(power),
        }
    }

    /// The mean utility of runs, each cut off at `cap`, and how far it can be off.
    ///
    /// # Errors
    /// A domain error naming a parameter, `cap` (> 0) or `delta` (in (0, 1)); [`Error::Record`] for a runtime that is NaN or
    /// negative; [`Error::Empty`] without a run.
    ///
    /// # Example
    /// ```
    /// use accordant_preference::distributional::runtime::Utility;
    /// let utility = Utility::Uniform { cap: 10.0 };
    /// let estimate = utility.estimate(&[2.0, 4.0, f64::INFINITY], 5.0, 0.05)?;
    /// assert!((estimate.mean - (0.8 + 0.6 + 0.5) / 3.0).abs() < 1e-12); // the third was cut off after 5
    /// assert_eq!(estimate.cut_off_bias, 0.5); // it may have been worth anything from 0 on
    /// # Ok::<(), accordant_preference::Error>(())
    /// ```
    pub fn estimate(&self, runtimes: &[f64], cap: f64, delta: f64) -> Result<Estimate> {
        self.check()?;
        check_domain(cap > 0.0, "cap", "> 0", cap)?;
        check_domain(delta > 0.0 && delta < 1.0, "delta", "in (0, 1)", delta)?;
        for (row, &runtime) in runtimes.iter().enumerate() {
            check_record(runtime >= 0.0, row, "runtimes", ">= 0", runtime)?;
        }
        if runtimes.is_empty() {
            return Err(Error::Empty { name: "runtimes", reason: "there is none" });
        }
        let n = runtimes.len() as f64;
        let mean = runtimes.iter().map(|runtime| self.of(runtime.min(cap))).sum::<f64>() / n;
        Ok(Estimate { mean, cut_off_bias: self.of(cap), half_width: ((2.0 / delta).ln() / (2.0 * n)).sqrt() })
    }
}

/// A mean utility and its errors.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The mean of the runs as far as they went.
    pub mean: f64,
    /// By how much cutting off can have raised it: the utility at the cap.
    pub cut_off_bias: f64,
    /// Half the width of Hoeffding's interval of confidence `1 − δ`, `√(ln(2/δ)/2n)`.
    pub half_width: f64,
}

#[cfg(test)]
mod tests {
    use rand::Rng;

    use super::*;
    use crate::{
        distributional::testing::{near, starts},
        random::{Purpose, stream},
    };

    const ALL: [Utility; 4] = [
        Utility::Uniform { cap: 8.0 },
        Utility::Exponential { scale: 3.0 },
        Utility::Pareto { start: 2.0, power: 1.5 },
        Utility::LogLaplace { median: 4.0, power: 2.0 },
    ];

    #[test]
    fn utilities_by_hand() {
        let of = |utility: Utility| [0.0, 1.0, 4.0, 16.0, f64::INFINITY].map(|t| utility.of(t));
        near(&of(ALL[0]), &[1.0, 0.875, 0.5, 0.0, 0.0], 1e-15);
        near(&of(ALL[1]), &[1.0, (-1f64 / 3.0).exp(), (-4f64 / 3.0).exp(), (-16f64 / 3.0).exp(), 0.0], 1e-15);
        near(&of(ALL[2]), &[1.0, 1.0, 0.5f64.powf(1.5), 0.125f64.powf(1.5), 0.0], 1e-15);
        near(&of(ALL[3]), &[1.0, 1.0 - 0.5 / 16.0, 0.5, 0.5 / 16.0, 0.0], 1e-15);
        for utility in ALL {
            assert!(utility.of(f64::NAN).is_nan());
            let values: Vec<f64> = (0..200).map(|i| utility.of(f64::from(i) * 0.1)).collect();
            assert!(values.windows(2).all(|pair| pair[1] <= pair[0] && (0.0..=1.0).contains(&pair[1])));
        }
    }

    #[test]
    fn intervals_hold_the_expected_utility() {
        // Runtimes uniform on [0, 10]; E[u] of the exponential utility is (3/10)(1 − e^{−10/3}).
        let truth = 0.3 * (1.0 - (-10f64 / 3.0).exp());
        let mut missed = 0;
        for seed in 0..200 {
            let mut rng = stream(seed, Purpose::Sample, 0);
            let runs: Vec<f64> = (0..100).map(|_| rng.random_range(0.0..10.0)).collect();
            let Estimate { mean, cut_off_bias, half_width } = ALL[1].estimate(&runs, 6.0, 0.1).unwrap();
            near(&[half_width, cut_off_bias], &[(20f64.ln() / 200.0).sqrt(), (-2f64).exp()], 1e-15);
            missed += usize::from(truth > mean + half_width || truth < mean - cut_off_bias - half_width);
        }
        assert!(missed <= 20, "{missed} of 200 at a level of 0.1");
    }

    #[test]
    fn senseless_input_is_refused_by_name() {
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            starts(Utility::Uniform { cap: bad }.check(), "`cap`");
            starts(Utility::Exponential { scale: bad }.check(), "`scale`");
            starts(Utility::Pareto { start: bad, power: 1.0 }.check(), "`start`");
            starts(Utility::Pareto { start: 1.0, power: bad }.check(), "`power`");
            starts(Utility::LogLaplace { median: bad, power: 1.0 }.check(), "`median`");
            starts(Utility::LogLaplace { median: 1.0, power: bad }.check(), "`power`");
        }
        let estimate = |runs: &[f64], cap, delta| ALL[0].estimate(runs, cap, delta);
        starts(Utility::Uniform { cap: 0.0 }.estimate(&[1.0], 1.0, 0.1), "`cap`");
        starts(estimate(&[1.0, f64::NAN], 1.0, 0.1), "record 1: `runtimes`");
        starts(estimate(&[-1.0], 1.0, 0.1), "record 0: `runtimes`");
        starts(estimate(&[], 1.0, 0.1), "`runtimes`: nothing");
        for cap in [0.0, f64::NAN] {
            starts(estimate(&[1.0], cap, 0.1), "`cap`");
        }
        for delta in [0.0, 1.0, f64::NAN] {
            starts(estimate(&[1.0], 1.0, delta), "`delta`");
        }
    }
}
