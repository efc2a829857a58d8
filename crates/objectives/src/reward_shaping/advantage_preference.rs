//! Advantage preference shaping (AP-GRPO): advantages of a rollout that also found where to look.
//!
//! **Paper:** Annotation-Free Visual Reasoning for High-Resolution Large Multimodal Models via Reinforcement Learning
//! (2026), 2602.23615.
//! **Status:** our reading of the abstract, which gives no formula; 0.5 is our suggestion for the weight. Not to be
//! taken for the authors'.
//! **Use when:** a rollout locates a region before it answers, and the policy itself can check whether the region
//! suffices.
//! **Checked by:** hand-worked values.
//! **Deviations:** see the status.

use super::values::{check_each, check_len, check_non_negative, check_rewards, check_verdicts};
use crate::Result;

/// Whether each rollout's region was a good one: 1, 0 or −1.
///
/// ```text
/// pref_i =  1   the region alone suffices for the answer, and the rollout is correct
///          −1   the region alone does not suffice
///           0   otherwise
/// ```
///
/// `region_verdicts`: 1 where the model answers correctly from the region alone, 0 where it does not. `verdicts`: 1
/// where the rollout is correct. NaN where either is missing; what is not known gives neither 1 nor −1.
///
/// # Errors
/// A shape error naming `verdicts`; a domain error naming `region_verdicts` or `verdicts`.
///
/// # Example
/// ```
/// use accordant_objectives::reward_shaping::advantage_preference::advantage_preferences;
/// assert_eq!(advantage_preferences(&[1.0, 1.0, 0.0], &[1.0, 0.0, 1.0])?, [1.0, 0.0, -1.0]);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2602.23615")]
pub fn advantage_preferences(region_verdicts: &[f64], verdicts: &[f64]) -> Result<Vec<f64>> {
    check_verdicts("region_verdicts", region_verdicts)?;
    check_len("verdicts", region_verdicts.len(), verdicts.len())?;
    check_verdicts("verdicts", verdicts)?;
    let preference = |(&region, &verdict): (&f64, &f64)| match (region, verdict) {
        (1.0, 1.0) => 1.0,
        (0.0, _) => -1.0,
        _ => 0.0,
    };
    Ok(region_verdicts.iter().zip(verdicts).map(preference).collect())
}

/// Advantages plus weighted preferences.
///
/// ```text
/// A_i ← A_i + λ pref_i
/// ```
///
/// `advantages`: GRPO's; NaN stays NaN. `preferences`: in `[−1, 1]`, of [`advantage_preferences`]. `preference_coef`
/// (λ): finite and ≥ 0. With 0, or where nothing is preferred, the advantages are as before.
///
/// # Errors
/// A shape error naming `preferences`; a domain error naming `advantages` for infinite ones, `preferences` or
/// `preference_coef`.
///
/// # Example
/// ```
/// use accordant_objectives::reward_shaping::advantage_preference::advantage_preference_shaping;
/// assert_eq!(advantage_preference_shaping(&[0.25, 0.25, -0.5], &[1.0, -1.0, 0.0], 0.5)?, [0.75, -0.25, -0.5]);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "AdvantagePreferenceShaping")]
#[doc(alias = "AP-GRPO")]
#[doc(alias = "2602.23615")]
pub fn advantage_preference_shaping(advantages: &[f64], preferences: &[f64], preference_coef: f64) -> Result<Vec<f64>> {
    check_rewards("advantages", advantages)?;
    check_len("preferences", advantages.len(), preferences.len())?;
    check_each("preferences", "in [-1, 1]", preferences, |preference| preference.abs() <= 1.0)?;
    check_non_negative("preference_coef", preference_coef)?;
    Ok(advantages.iter().zip(preferences).map(|(advantage, pref)| advantage + preference_coef * pref).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reward_shaping::values::tests::{assert_close, message};

    #[test]
    fn preferences_by_hand() {
        let nan = f64::NAN;
        let preferences =
            advantage_preferences(&[0.0, 1.0, nan, 1.0, 0.0, nan], &[0.0, 0.0, 1.0, nan, nan, 0.0]).unwrap();
        assert_eq!(preferences, [-1.0, 0.0, 0.0, 0.0, -1.0, 0.0]);
        assert_eq!(advantage_preferences(&[1.0, 0.0], &[1.0, 1.0]).unwrap(), [1.0, -1.0]);
    }

    #[test]
    fn shaping_by_hand() {
        let nan = f64::NAN;
        let shaped = advantage_preference_shaping(&[1.0, -1.0, nan], &[-0.5, 1.0, 1.0], 2.0).unwrap();
        assert_close(&shaped, &[0.0, 1.0, nan], 1e-15);
        assert_eq!(advantage_preference_shaping(&[1.0], &[1.0], 0.0).unwrap(), [1.0]);
    }

    #[test]
    fn what_does_not_fit_is_refused_by_name() {
        assert_eq!(message(advantage_preferences(&[1.0], &[])), "`verdicts`: expected shape [1], got [0]");
        assert!(message(advantage_preferences(&[0.5], &[1.0])).starts_with("`region_verdicts`"));
        assert!(message(advantage_preferences(&[1.0], &[0.5])).starts_with("`verdicts`"));
        let error = message(advantage_preference_shaping(&[1.0], &[], 1.0));
        assert_eq!(error, "`preferences`: expected shape [1], got [0]");
        for bad in [1.5, -1.5, f64::NAN] {
            let error = message(advantage_preference_shaping(&[1.0], &[bad], 1.0));
            assert_eq!(error, format!("`preferences`: expected in [-1, 1], got {bad}"));
        }
        assert!(message(advantage_preference_shaping(&[f64::INFINITY], &[1.0], 1.0)).starts_with("`advantages`"));
        assert!(message(advantage_preference_shaping(&[1.0], &[1.0], -1.0)).starts_with("`preference_coef`"));
    }
}
