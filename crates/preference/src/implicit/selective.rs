//! Selective judging (SCOPE): verdicts are accepted only where both orders make them certain enough.
//!
//! **Paper:** SCOPE: Selective Conformal Optimized Pairwise LLM Judging (2026), 2602.13110.
//! **Use when:** verdicts of a judge are to be wrong at about a given rate at most, it may abstain, and there are hundreds of
//! calibration verdicts.
//! **Checked by:** reference figures, brute force over all thresholds, monotonicity, the realized rate in a seeded world.
//! **Deviations:** the published constant −1 is the default; −(1 − α) is a little
//! sharper ([`Bound`]).

use accordant_ops::check_domain;
use burn::config::Config;
use serde::{Deserialize, Serialize};

use super::judge::debiased;
use crate::{
    Result,
    error::{check_length, check_record},
    uncertainty::ensemble::binary_entropy,
};

/// Bidirectional preference entropy: that of the chance averaged over both orders, in nats; 0 if certain, ln 2 at ½.
///
/// # Errors
/// As [`debiased`].
///
/// # Example
/// ```
/// use accordant_preference::implicit::selective::preference_entropy;
/// assert!((preference_entropy(0.9, 0.4)? - 0.56233514).abs() < 1e-8); // of 0.75
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[doc(alias = "BPE")]
pub fn preference_entropy(forward: f64, backward: f64) -> Result<f64> {
    Ok(binary_entropy(debiased(forward, backward)?))
}

/// What the sum over the calibration data must not exceed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Bound {
    /// −1: the paper's.
    #[default]
    Published,
    /// −(1 − α): the most that one more verdict can add.
    Sharp,
}

/// Configuration of a threshold.
#[derive(Config, Debug, PartialEq)]
pub struct SelectiveConfig {
    /// The rate of errors among accepted verdicts, α, in (0, 1).
    pub error_rate: f64,
    /// What the sum over the calibration data must not exceed. −1: the paper's.
    #[config(default = "Bound::Published")]
    pub bound: Bound,
}

/// Which verdicts to accept.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Selection {
    /// Those whose uncertainty does not exceed this number.
    UpTo(f64),
    /// None: no threshold is feasible. With fewer than about 1/α calibration verdicts there is never one.
    NoFeasibleThreshold,
}

impl Selection {
    /// Whether a verdict of this uncertainty is accepted; never one of NaN.
    pub fn accepts(self, uncertainty: f64) -> bool {
        match self {
            Self::UpTo(threshold) => uncertainty <= threshold,
            Self::NoFeasibleThreshold => false,
        }
    }
}

impl SelectiveConfig {
    /// The largest threshold that the calibration data allow.
    ///
    /// ```text
    /// λ̂ = max {λ : Σ_i 1[s_i ≤ λ] (E_i − α) ≤ −1}
    /// ```
    ///
    /// The sum is not monotone in λ: all of them are looked at, equal uncertainties together.
    ///
    /// The paper claims `E[1[accept] (E − α)] ≤ 0` for a verdict exchangeable with the calibration data. That would follow
    /// if the sum were monotone; the largest of several feasible thresholds is a lucky one, and with little data the rate
    /// is exceeded. Where verdicts err with chance s / 2, s uniform, and α = 0.1, the realized rate is 0.123 after
    /// calibration on 50 verdicts, 0.104 on 200 and 0.101 on 1000.
    ///
    /// # Errors
    /// A domain error naming `error_rate`; [`crate::Error::Length`] naming `errors`; [`crate::Error::Record`] for an
    /// uncertainty that is not finite.
    ///
    /// # Example
    /// ```
    /// use accordant_preference::implicit::selective::{Selection, SelectiveConfig};
    /// let selection = SelectiveConfig::new(0.5).calibrate(&[0.1, 0.2, 0.3, 0.6], &[false, false, true, true])?;
    /// assert_eq!(selection, Selection::UpTo(0.2)); // −½ − ½ ≤ −1; with the third −½
    /// # Ok::<(), accordant_preference::Error>(())
    /// ```
    #[doc(alias = "SCOPE")]
    #[doc(alias = "conformal risk control")]
    pub fn calibrate(&self, uncertainties: &[f64], errors: &[bool]) -> Result<Selection> {
        let alpha = self.error_rate;
        check_domain(alpha > 0.0 && alpha < 1.0, "error_rate", "in (0, 1)", alpha)?;
        check_length("errors", uncertainties.len(), errors.len())?;
        for (row, &uncertainty) in uncertainties.iter().enumerate() {
            check_record(uncertainty.is_finite(), row, "uncertainty", "a finite number", uncertainty)?;
        }
        let mut order: Vec<usize> = (0..errors.len()).collect();
        order.sort_by(|a, b| uncertainties[*a].total_cmp(&uncertainties[*b]));
        let bound = match self.bound {
            Bound::Published => -1.0,
            Bound::Sharp => -(1.0 - alpha),
        };
        let (mut wrong, mut best) = (0usize, Selection::NoFeasibleThreshold);
        for (at, &row) in order.iter().enumerate() {
            wrong += usize::from(errors[row]);
            let next = order.get(at + 1).map(|next| uncertainties[*next]);
            if next == Some(uncertainties[row]) {
                continue;
            }
            // By counts: a running sum of −0.2 five times over is not −1.
            let sum = wrong as f64 - alpha * (at + 1) as f64;
            if sum <= bound + 1e-12 * (at + 1) as f64 {
                best = Selection::UpTo(uncertainties[row]);
            }
        }
        Ok(best)
    }
}

#[cfg(test)]
mod tests {
    use rand::Rng;

    use super::*;
    use crate::random::{Purpose, stream};

    const S: [f64; 12] = [0.05, 0.1, 0.2, 0.3, 0.35, 0.4, 0.5, 0.55, 0.6, 0.65, 0.68, 0.69];
    const E: [bool; 12] = [false, false, false, false, false, false, false, true, false, false, true, true];

    fn calibrate(alpha: f64) -> Selection {
        SelectiveConfig::new(alpha).calibrate(&S, &E).unwrap()
    }

    #[test]
    fn thresholds_are_the_reference_figures() {
        assert_eq!(calibrate(0.3), Selection::UpTo(0.68));
        assert_eq!(calibrate(0.2), Selection::UpTo(0.65), "the sum is −1 but for rounding");
        assert_eq!(calibrate(0.1), Selection::NoFeasibleThreshold);
    }

    #[test]
    fn too_few_calibration_verdicts_abstain_always_and_say_so() {
        let few = SelectiveConfig::new(0.1).calibrate(&[0.1; 9], &[false; 9]).unwrap();
        assert_eq!(few, Selection::NoFeasibleThreshold);
        assert!(!few.accepts(0.0));
        assert_eq!(SelectiveConfig::new(0.1).calibrate(&[0.1; 10], &[false; 10]).unwrap(), Selection::UpTo(0.1));
        let sharp = SelectiveConfig::new(0.1).with_bound(Bound::Sharp);
        assert_eq!(sharp.calibrate(&[0.1; 9], &[false; 9]).unwrap(), Selection::UpTo(0.1));
        assert_eq!(sharp.calibrate(&[0.1; 8], &[false; 8]).unwrap(), Selection::NoFeasibleThreshold);
        assert_eq!(SelectiveConfig::new(0.1).calibrate(&[], &[]).unwrap(), Selection::NoFeasibleThreshold);
    }

    #[test]
    fn the_threshold_is_the_largest_feasible_by_brute_force_and_grows_with_the_rate() {
        let mut rng = stream(1, Purpose::World, 0);
        for _ in 0..200 {
            // Few distinct values, so that there are ties; shuffled.
            let s: Vec<f64> = (0..40).map(|_| f64::from(rng.random_range(0..15))).collect();
            let e: Vec<bool> = s.iter().map(|s| rng.random::<f64>() < s / 25.0).collect();
            let mut last = f64::NEG_INFINITY;
            for percent in [5, 10, 15, 20, 30, 50] {
                let feasible = |threshold: &f64| {
                    // In hundredths, exactly.
                    let sum: i64 = s
                        .iter()
                        .zip(&e)
                        .filter(|(s, _)| *s <= threshold)
                        .map(|(_, e)| 100 * i64::from(*e) - percent)
                        .sum();
                    sum <= -100
                };
                let expected = s.iter().copied().filter(feasible).fold(f64::NEG_INFINITY, f64::max);
                let got = match SelectiveConfig::new(percent as f64 / 100.0).calibrate(&s, &e).unwrap() {
                    Selection::UpTo(threshold) => threshold,
                    Selection::NoFeasibleThreshold => f64::NEG_INFINITY,
                };
                assert_eq!(got, expected);
                assert!(got >= last);
                last = got;
            }
        }
    }

    /// The rate of errors among accepted verdicts at α = 0.1, over calibrations on `n` verdicts that err with chance s / 2.
    fn realized(n: usize, calibrations: usize) -> f64 {
        let mut rng = stream(2, Purpose::World, n as u32);
        let (mut accepted, mut wrong) = (0.0, 0.0);
        for _ in 0..calibrations {
            let s: Vec<f64> = (0..n).map(|_| rng.random()).collect();
            let e: Vec<bool> = s.iter().map(|s| rng.random::<f64>() < s / 2.0).collect();
            if let Selection::UpTo(threshold) = SelectiveConfig::new(0.1).calibrate(&s, &e).unwrap() {
                // Of all further verdicts: ∫ ds and ∫ s / 2 ds up to the threshold.
                accepted += threshold;
                wrong += threshold * threshold / 4.0;
            }
        }
        wrong / accepted
    }

    #[test]
    fn the_rate_is_kept_with_many_calibration_verdicts_and_exceeded_with_few() {
        // Separate simulations of 20 000 calibrations: 0.1226 ± 0.0006 of 50 verdicts, 0.1007 ± 0.0002 of 1000.
        let (few, many) = (realized(50, 4000), realized(1000, 1000));
        assert!((few - 0.1226).abs() < 0.006, "{few}");
        assert!((many - 0.1007).abs() < 0.003, "{many}");
    }

    #[test]
    fn entropy_is_symmetric_and_between_0_and_ln_2() {
        assert_eq!([preference_entropy(1.0, 0.0).unwrap(), preference_entropy(0.0, 1.0).unwrap()], [0.0, 0.0]);
        assert!((preference_entropy(0.8, 0.8).unwrap() - 2f64.ln()).abs() < 1e-15, "a biased judge knows nothing");
        let (there, back) = (preference_entropy(0.9, 0.4).unwrap(), preference_entropy(0.4, 0.9).unwrap());
        assert!((there - back).abs() < 1e-15 && (there - 0.56233514).abs() < 1e-8);
        assert!(preference_entropy(1.1, 0.0).is_err());
    }

    #[test]
    fn acceptance_and_checks() {
        let selection = Selection::UpTo(0.5);
        assert_eq!([0.5, 0.500001, f64::NAN].map(|s| selection.accepts(s)), [true, false, false]);
        for bad in [0.0, 1.0, f64::NAN] {
            assert!(SelectiveConfig::new(bad).calibrate(&S, &E).unwrap_err().to_string().starts_with("`error_rate`"));
        }
        assert!(SelectiveConfig::new(0.1).calibrate(&S, &[true]).unwrap_err().to_string().starts_with("`errors`"));
        let error = SelectiveConfig::new(0.1).calibrate(&[f64::NAN], &[true]).unwrap_err();
        assert!(error.to_string().starts_with("record 0: `uncertainty`"));
        assert_eq!(SelectiveConfig::new(0.1).bound, Bound::Published);
    }
}
