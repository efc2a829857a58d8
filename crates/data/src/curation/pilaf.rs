//! PILAF sampling: responses for labeling, drawn from interpolations of policy and reference.
//!
//! **Paper:** PILAF: Optimal Human Preference Sampling for Reward Modeling (2025), 2502.04270.
//! **Use when:** preferences are collected while a policy is trained on them, as in online DPO.
//! **Deviations:** none.

use rand::Rng;
use serde::Serialize;

use super::numbers::{check_domain, check_length, keyed_stream};
use crate::{Error, Result};

/// The logits that the two responses of a prompt are sampled from.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PilafLogits {
    /// `(1 + β) h_π − β h_ref`: more of what the policy has learned.
    pub plus: Vec<f64>,
    /// `(1 − β) h_π + β h_ref`: less of it.
    pub minus: Vec<f64>,
}

/// The logits of one position, of those of policy and reference and the `beta` of the implicit reward, finite and ≥ 0.
/// With `beta` 0 both are the policy's.
///
/// A token that the policy excludes (−∞) stays excluded.
///
/// # Errors
/// [`Error::Domain`] naming `beta`; [`Error::Length`]; [`Error::Item`] for a logit that is NaN or +∞, or that the
/// reference excludes and the policy does not.
///
/// # Example
/// ```
/// use accordant_data::curation::pilaf::pilaf_logits;
/// let logits = pilaf_logits(&[2.0, 0.0], &[1.0, 1.0], 0.5)?;
/// assert_eq!((logits.plus, logits.minus), (vec![2.5, -0.5], vec![1.5, 0.5]));
/// # Ok::<(), accordant_data::Error>(())
/// ```
#[doc(alias = "2502.04270")]
pub fn pilaf_logits(policy: &[f64], reference: &[f64], beta: f64) -> Result<PilafLogits> {
    check_domain(beta.is_finite() && beta >= 0.0, "beta", "finite and >= 0", beta)?;
    check_length("reference", policy.len(), reference.len())?;
    let (mut plus, mut minus) = (Vec::with_capacity(policy.len()), Vec::with_capacity(policy.len()));
    for (index, (&h, &base)) in policy.iter().zip(reference).enumerate() {
        if h.is_nan() || h == f64::INFINITY {
            return Err(Error::Item { name: "policy", index, expected: "a number below infinity", got: h });
        }
        if h == f64::NEG_INFINITY {
            plus.push(h);
            minus.push(h);
            continue;
        }
        if !base.is_finite() {
            return Err(Error::Item { name: "reference", index, expected: "finite as the policy's", got: base });
        }
        plus.push((1.0 + beta) * h - beta * base);
        minus.push((1.0 - beta) * h + beta * base);
    }
    Ok(PilafLogits { plus, minus })
}

/// What the two responses of a prompt are sampled from. An estimator can weigh by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Sampler {
    /// Both from the policy.
    PiPi,
    /// The first from [`PilafLogits::plus`], the second from [`PilafLogits::minus`].
    PlusMinus,
    /// The first from [`PilafLogits::minus`], the second from [`PilafLogits::plus`].
    MinusPlus,
}

impl Sampler {
    /// The name for the record's `sampler` field: `pi_pi` or `plus_minus`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PiPi => "pi_pi",
            Self::PlusMinus | Self::MinusPlus => "plus_minus",
        }
    }
}

/// The sampler of a prompt, drawn from the seed and the prompt: with probability ½ the policy, else one response from
/// each of the two interpolations, in either order.
pub fn sampler(seed: u64, prompt: &str) -> Sampler {
    let mut rng = keyed_stream(seed, "pilaf", prompt);
    match (rng.random::<bool>(), rng.random::<bool>()) {
        (true, _) => Sampler::PiPi,
        (false, true) => Sampler::PlusMinus,
        (false, false) => Sampler::MinusPlus,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beta_0_is_plain_sampling() {
        let policy = [0.3, -1.0, f64::NEG_INFINITY];
        let logits = pilaf_logits(&policy, &[5.0, 2.0, 1.0], 0.0).unwrap();
        assert_eq!((&logits.plus[..], &logits.minus[..]), (&policy[..], &policy[..]));
    }

    #[test]
    fn excluded_tokens_stay_so_and_odd_logits_are_named() {
        let logits = pilaf_logits(&[f64::NEG_INFINITY, 1.0], &[f64::NEG_INFINITY, 3.0], 1.0).unwrap();
        assert_eq!((logits.plus, logits.minus), (vec![f64::NEG_INFINITY, -1.0], vec![f64::NEG_INFINITY, 3.0]));
        let message =
            |policy: f64, reference: f64, beta| pilaf_logits(&[policy], &[reference], beta).unwrap_err().to_string();
        assert!(message(f64::INFINITY, 0.0, 1.0).starts_with("`policy`, entry 0"));
        assert!(message(f64::NAN, 0.0, 1.0).starts_with("`policy`"));
        assert!(message(0.0, f64::NEG_INFINITY, 1.0).starts_with("`reference`"));
        assert!(message(0.0, 0.0, -1.0).starts_with("`beta`"));
        assert!(pilaf_logits(&[0.0], &[], 1.0).is_err());
    }

    #[test]
    fn half_of_the_prompts_sample_the_policy_and_the_others_either_order() {
        let count = |wanted| (0..1000).filter(|i| sampler(3, &format!("prompt {i}")) == wanted).count();
        // 500 ± 15.8 and 250 ± 13.7; 80 are 5 standard deviations
        assert!(count(Sampler::PiPi).abs_diff(500) < 80);
        assert!(count(Sampler::PlusMinus).abs_diff(250) < 70 && count(Sampler::MinusPlus).abs_diff(250) < 70);
        assert_eq!(sampler(3, "q"), sampler(3, "q"));
        let names = [Sampler::PiPi, Sampler::PlusMinus, Sampler::MinusPlus].map(Sampler::as_str);
        assert_eq!(names, ["pi_pi", "plus_minus", "plus_minus"]);
    }
}
