//! Selective conformal judging (SCOPE).
//!
//! **Paper:** SCOPE: Selective Conformal Optimized Pairwise LLM Judging (2026), 2602.13110.
//! **Use when:** a judge may abstain, and at most a given share of the verdicts that it stands by may be wrong.
//! **Checked by:** published thresholds, all thresholds one by one on random data, the promise itself on new data.
//! **Deviations:** the sharper of the two valid constants is a choice.

use accordant_ops::check_domain;
use burn::config::Config;
use serde::{Deserialize, Serialize};

use crate::{
    Error, Result,
    error::{check_length, check_record},
};

/// What a new verdict is counted as in the calibration, which makes the promise hold for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Reserve {
    /// One: the paper's.
    #[default]
    One,
    /// `1 − α`, the most that one verdict can contribute: as valid, and it accepts more.
    WorstVerdict,
}

/// Configuration of a calibration.
///
/// ```text
/// λ̂ = the largest λ with  Σ_i 1[s_i ≤ λ] (E_i − α) ≤ −reserve;   a verdict is accepted when its s ≤ λ̂
/// ```
///
/// Then `E[1[accepted] (E − α)] ≤ 0` for a new verdict exchangeable with the calibration's: of all accepted verdicts, taken
/// over many calibrations, at most a share α is wrong.
#[derive(Config, Debug, PartialEq)]
pub struct SelectiveConfig {
    /// The share of accepted verdicts that may be wrong, α in (0, 1).
    pub alpha: f64,
    /// What a new verdict is counted as. One: the paper's.
    #[config(default = "Reserve::One")]
    pub reserve: Reserve,
}

/// Which verdicts to accept.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Selective {
    /// The largest uncertainty that is accepted; none when no threshold keeps the promise, and every verdict is refused.
    pub threshold: Option<f64>,
    /// The share of the calibration's verdicts that it accepts.
    pub coverage: f64,
    /// The share of these that are wrong; none when there is none.
    pub error_rate: Option<f64>,
}

impl Selective {
    /// Whether a verdict of this uncertainty is accepted; NaN never is.
    pub fn accepts(&self, uncertainty: f64) -> bool {
        self.threshold.is_some_and(|threshold| uncertainty <= threshold)
    }
}

impl SelectiveConfig {
    /// The largest threshold that keeps the promise, from verdicts with their uncertainties and whether they were wrong.
    ///
    /// The sum does not fall or rise with the threshold, so all are tried; equal uncertainties go together.
    ///
    /// # Errors
    /// A domain error naming `alpha`; [`Error::Empty`] without a verdict, [`Error::Length`] naming `wrong`,
    /// [`Error::Record`] for an uncertainty that is NaN.
    ///
    /// # Example
    /// ```
    /// use accordant_preference::implicit::selective::SelectiveConfig;
    /// // Ten right verdicts, then a wrong one: −10 · 0.2 = −2, and −1.2 with it.
    /// let uncertainties: Vec<f64> = (0..11).map(f64::from).collect();
    /// let wrong: Vec<bool> = (0..11).map(|at| at == 10).collect();
    /// let found = SelectiveConfig::new(0.2).calibrate(&uncertainties, &wrong)?;
    /// assert_eq!(found.threshold, Some(10.0));
    /// assert!(found.accepts(9.5) && !found.accepts(10.5));
    /// # Ok::<(), accordant_preference::Error>(())
    /// ```
    #[doc(alias = "SCOPE")]
    #[doc(alias = "2602.13110")]
    #[doc(alias = "conformal risk control")]
    pub fn calibrate(&self, uncertainties: &[f64], wrong: &[bool]) -> Result<Selective> {
        // −1 exactly is enough, whatever the rounding of the sum.
        const ROUNDING: f64 = 1e-12;
        let alpha = self.alpha;
        check_domain(alpha > 0.0 && alpha < 1.0, "alpha", "in (0, 1)", alpha)?;
        check_length("wrong", uncertainties.len(), wrong.len())?;
        if wrong.is_empty() {
            return Err(Error::Empty { name: "uncertainties", reason: "there is no verdict" });
        }
        for (row, uncertainty) in uncertainties.iter().enumerate() {
            check_record(!uncertainty.is_nan(), row, "uncertainties", "a number", *uncertainty)?;
        }
        let reserve = match self.reserve {
            Reserve::One => 1.0,
            Reserve::WorstVerdict => 1.0 - alpha,
        };
        let mut order: Vec<usize> = (0..wrong.len()).collect();
        order.sort_by(|&a, &b| uncertainties[a].total_cmp(&uncertainties[b]));
        let (mut errors, mut found) = (0, Selective { threshold: None, coverage: 0.0, error_rate: None });
        for (at, &verdict) in order.iter().enumerate() {
            errors += usize::from(wrong[verdict]);
            let last_of_equals = order.get(at + 1).is_none_or(|&next| uncertainties[next] > uncertainties[verdict]);
            // From counts, not by adding up: the sum of many α drifts.
            let accepted = (at + 1) as f64;
            if last_of_equals && errors as f64 - alpha * accepted <= -reserve + ROUNDING * accepted {
                found = Selective {
                    threshold: Some(uncertainties[verdict]),
                    coverage: accepted / wrong.len() as f64,
                    error_rate: Some(errors as f64 / accepted),
                };
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use rand::Rng;

    use super::*;
    use crate::random::{Purpose, stream};

    const UNCERTAINTIES: [f64; 12] = [0.05, 0.1, 0.2, 0.3, 0.35, 0.4, 0.5, 0.55, 0.6, 0.65, 0.68, 0.69];
    const WRONG: [usize; 3] = [7, 10, 11];

    fn threshold(alpha: f64) -> Option<f64> {
        let wrong: Vec<bool> = (0..12).map(|at| WRONG.contains(&at)).collect();
        SelectiveConfig::new(alpha).calibrate(&UNCERTAINTIES, &wrong).unwrap().threshold
    }

    #[test]
    fn thresholds_as_published() {
        assert_eq!(threshold(0.3), Some(0.68));
        assert_eq!(threshold(0.2), Some(0.65), "the sum is −1 but for rounding");
        assert_eq!(threshold(0.1), None);
    }

    #[test]
    fn too_little_calibration_data_is_no_threshold() {
        // n α < 1: even without a single error.
        let found = SelectiveConfig::new(0.1).calibrate(&[0.1; 9], &[false; 9]).unwrap();
        assert_eq!((found.threshold, found.coverage, found.error_rate), (None, 0.0, None));
        assert!(!found.accepts(0.0) && !found.accepts(f64::NEG_INFINITY));
        let ten = SelectiveConfig::new(0.1).calibrate(&[0.1; 10], &[false; 10]).unwrap();
        assert_eq!((ten.threshold, ten.coverage, ten.error_rate), (Some(0.1), 1.0, Some(0.0)));
        assert!(!ten.accepts(f64::NAN));
        // The worst verdict contributes 0.9.
        let sharper = SelectiveConfig::new(0.1).with_reserve(Reserve::WorstVerdict);
        assert_eq!(sharper.calibrate(&[0.1; 9], &[false; 9]).unwrap().threshold, Some(0.1));
        assert_eq!(sharper.calibrate(&[0.1; 8], &[false; 8]).unwrap().threshold, None);
    }

    #[test]
    fn equal_uncertainties_go_together() {
        // Five right ones at 0.1 with a wrong one, five right ones at 0.2.
        let uncertainties = [[0.1; 6].as_slice(), &[0.2; 5]].concat();
        let wrong: Vec<bool> = (0..11).map(|at| at == 5).collect();
        let of = |alpha| SelectiveConfig::new(alpha).calibrate(&uncertainties, &wrong).unwrap();
        // 1 − 6 α ≤ −1 from a third on; 1 − 11 α ≤ −1 from 2/11 on.
        assert_eq!((of(0.2).threshold, of(0.18).threshold), (Some(0.2), None));
        assert_eq!((of(0.2).coverage, of(0.2).error_rate), (1.0, Some(1.0 / 11.0)));
    }

    #[test]
    fn it_is_the_largest_of_all_feasible_thresholds_and_grows_with_alpha() {
        for index in 0..40 {
            let mut rng = stream(9, Purpose::World, index);
            let n = rng.random_range(5..60);
            let uncertainties: Vec<f64> = (0..n).map(|_| f64::from(rng.random_range(0..20)) / 20.0).collect();
            let wrong: Vec<bool> = uncertainties.iter().map(|s| rng.random_bool(0.5 * s)).collect();
            let mut last = f64::NEG_INFINITY;
            for alpha in [0.05, 0.1, 0.2, 0.3, 0.5, 0.8] {
                let config = SelectiveConfig::new(alpha).with_reserve(Reserve::WorstVerdict);
                let found = config.calibrate(&uncertainties, &wrong).unwrap().threshold;
                let feasible = |lambda: f64| {
                    let within = (0..n).filter(|&i| uncertainties[i] <= lambda);
                    within.map(|i| f64::from(wrong[i]) - alpha).sum::<f64>() <= alpha - 1.0 + 1e-9
                };
                let best = uncertainties.iter().copied().filter(|&s| feasible(s)).fold(f64::NEG_INFINITY, f64::max);
                assert_eq!(found.unwrap_or(f64::NEG_INFINITY), best);
                assert!(best >= last, "a larger share of errors is no reason to accept less");
                last = best;
            }
        }
    }

    /// The promise, over many calibrations: the mean of 1[accepted] (E − α) is at most 0. With 4000 of them its standard error
    /// is below 0.006; ours is about −0.01 below 0.
    #[test]
    fn of_accepted_verdicts_few_enough_are_wrong() {
        let alpha = 0.2;
        let (mut excess, mut accepted) = (0.0, 0);
        for index in 0..4000 {
            let mut rng = stream(10, Purpose::World, index);
            let mut verdict = || {
                let s: f64 = rng.random();
                (s, rng.random_bool(0.6 * s))
            };
            let calibration: Vec<(f64, bool)> = (0..50).map(|_| verdict()).collect();
            let (uncertainties, wrong): (Vec<f64>, Vec<bool>) = calibration.into_iter().unzip();
            let found = SelectiveConfig::new(alpha).calibrate(&uncertainties, &wrong).unwrap();
            let (s, error) = verdict();
            if found.accepts(s) {
                excess += f64::from(error) - alpha;
                accepted += 1;
            }
        }
        assert!(excess / 4000.0 < 0.006, "{excess}");
        assert!(accepted > 1500, "{accepted}");
    }

    #[test]
    fn fields_have_domains_and_defaults_and_data_are_checked() {
        assert_eq!(SelectiveConfig::new(0.1).reserve, Reserve::One);
        let text = |alpha: f64, s: &[f64], wrong: &[bool]| {
            SelectiveConfig::new(alpha).calibrate(s, wrong).unwrap_err().to_string()
        };
        for alpha in [0.0, 1.0, -0.1, f64::NAN] {
            assert!(text(alpha, &[0.1], &[false]).starts_with("`alpha`"));
        }
        assert!(text(0.1, &[], &[]).starts_with("`uncertainties`: nothing"));
        assert!(text(0.1, &[0.1], &[]).starts_with("`wrong`"));
        assert!(text(0.1, &[0.1, f64::NAN], &[true, false]).starts_with("record 1: `uncertainties`"));
    }
}
