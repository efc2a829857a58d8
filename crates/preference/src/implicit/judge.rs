//! Generative pairwise judges.
//!
//! **Paper:** SCOPE: Selective Conformal Optimized Pairwise LLM Judging (2026), 2602.13110, for both orders and their entropy; a
//! reward against an anchor as in A Unified Pairwise Framework for RLHF: Bridging Generative Reward Modeling and Policy
//! Optimization (2025), 2504.04950.
//! **Use when:** a language model is asked which of two responses is better, and a number is wanted instead of a word.
//! **Checked by:** published figures, hand-worked logits, swaps, the pair model on tensors.
//! **Deviations:** none.

use accordant_ops::{
    check_domain,
    host::{log_sum_exp, logistic},
};

use crate::{Error, Result, error::check_record};

/// The chance of verdict A against B, from the logits of all spellings of both.
///
/// ```text
/// P(A) = σ((log Σ exp l_A − log Σ exp l_B) / τ)
/// ```
///
/// # Errors
/// [`Error::Empty`] for a verdict without a spelling, [`Error::Record`] for a logit that is NaN or +∞, a domain error for a
/// temperature that is not finite and > 0 and when no spelling of either is possible.
///
/// # Example
/// ```
/// use accordant_preference::implicit::judge::verdict_chance;
/// // "A" and " A" with one logit each, "B" with the double weight of one: even.
/// let chance = verdict_chance(&[1.0, 1.0], &[1.0 + 2f64.ln()], 1.0)?;
/// assert!((chance - 0.5).abs() < 1e-15);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
pub fn verdict_chance(a: &[f64], b: &[f64], temperature: f64) -> Result<f64> {
    check_domain(temperature.is_finite() && temperature > 0.0, "temperature", "finite and > 0", temperature)?;
    for (name, logits) in [("a", a), ("b", b)] {
        if logits.is_empty() {
            return Err(Error::Empty { name, reason: "a verdict needs a spelling" });
        }
        for (row, &logit) in logits.iter().enumerate() {
            check_record(logit < f64::INFINITY, row, name, "a logit below infinity", logit)?;
        }
    }
    let difference = log_sum_exp(a) - log_sum_exp(b);
    check_domain(!difference.is_nan(), "logits", "a verdict that is possible", difference)?;
    Ok(logistic(difference / temperature))
}

/// The chance that the first response is better, whatever the order in which a judge reads them.
///
/// ```text
/// p̄ = ½ [P(first wins | first is read first) + 1 − P(second wins | second is read first)]
/// ```
///
/// On tensors this is [`PairModel`](crate::general::pair_model::PairModel).
///
/// # Errors
/// A domain error naming the chance that is none.
///
/// # Example
/// ```
/// use accordant_preference::implicit::judge::both_orders;
/// assert_eq!(both_orders(0.875, 0.5)?, 0.6875);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[doc(alias = "position bias")]
#[doc(alias = "2602.13110")]
pub fn both_orders(first_read_first: f64, second_read_first: f64) -> Result<f64> {
    check_chance("first_read_first", first_read_first)?;
    check_chance("second_read_first", second_read_first)?;
    Ok(f64::midpoint(first_read_first, 1.0 - second_read_first))
}

/// How much the order moves the judge: `|P(first) + P(second) − 1|`, each asked when it is read first.
///
/// # Errors
/// As [`both_orders`].
pub fn position_bias(first_read_first: f64, second_read_first: f64) -> Result<f64> {
    check_chance("first_read_first", first_read_first)?;
    check_chance("second_read_first", second_read_first)?;
    Ok((first_read_first + second_read_first - 1.0).abs())
}

/// How undecided a verdict is: the entropy of its chances, in nats; ln 2 at most.
///
/// # Errors
/// A domain error naming `chance`.
///
/// # Example
/// ```
/// use accordant_preference::implicit::judge::preference_entropy;
/// assert_eq!((preference_entropy(0.5)?, preference_entropy(1.0)?), (2f64.ln(), 0.0));
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[doc(alias = "bidirectional preference entropy")]
#[doc(alias = "BPE")]
pub fn preference_entropy(chance: f64) -> Result<f64> {
    check_chance("chance", chance)?;
    // 0 ln 0 is 0.
    let term = |p: f64| if p > 0.0 { -p * p.ln() } else { 0.0 };
    Ok(term(chance) + term(1.0 - chance))
}

/// A reward from verdicts against an anchor answer: their log-odds. ±∞ of a certain verdict.
///
/// # Errors
/// A domain error naming `chance`.
///
/// # Example
/// ```
/// use accordant_preference::implicit::judge::anchor_reward;
/// assert_eq!(anchor_reward(0.75)?, 3f64.ln());
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[doc(alias = "2504.04950")]
pub fn anchor_reward(chance: f64) -> Result<f64> {
    check_chance("chance", chance)?;
    Ok((chance / (1.0 - chance)).ln())
}

/// The mean of scores that a judge could give, by their chances; the chances add up to 1.
///
/// # Errors
/// [`Error::Length`] naming `chances`, [`Error::Record`] for a score that is not finite or a chance that is none, a domain
/// error unless the chances add up to 1 within 1e-6.
///
/// # Example
/// ```
/// use accordant_preference::implicit::judge::expected_score;
/// assert_eq!(expected_score(&[1.0, 2.0, 5.0], &[0.5, 0.25, 0.25])?, 2.25);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
pub fn expected_score(scores: &[f64], chances: &[f64]) -> Result<f64> {
    crate::error::check_length("chances", scores.len(), chances.len())?;
    for (row, (score, chance)) in scores.iter().zip(chances).enumerate() {
        check_record(score.is_finite(), row, "scores", "a finite number", *score)?;
        check_record((0.0..=1.0).contains(chance), row, "chances", "a chance in [0, 1]", *chance)?;
    }
    let total: f64 = chances.iter().sum();
    check_domain((total - 1.0).abs() <= 1e-6, "chances", "chances that add up to 1", total)?;
    Ok(scores.iter().zip(chances).map(|(score, chance)| score * chance).sum())
}

fn check_chance(name: &'static str, chance: f64) -> Result<()> {
    Ok(check_domain((0.0..=1.0).contains(&chance), name, "a chance in [0, 1]", chance)?)
}

#[cfg(test)]
mod tests {
    use burn::tensor::{DType, Device, Tensor, TensorData};

    use super::*;
    use crate::{
        general::pair_model::PairModelConfig,
        pairwise::{PairScores, PairwiseModel},
    };

    #[test]
    fn both_orders_as_published() {
        // 0.9 for the first when it is read first, 0.4 for the second when that is.
        let chance = both_orders(0.9, 0.4).unwrap();
        assert!((chance - 0.75).abs() < 1e-15);
        assert!((preference_entropy(chance).unwrap() - 0.56233514).abs() < 1e-8);
        assert!((position_bias(0.9, 0.4).unwrap() - 0.3).abs() < 1e-15);
    }

    #[test]
    fn exchanging_the_responses_exchanges_the_chance_and_keeps_the_entropy() {
        for (first, second) in [(0.9, 0.4), (0.0, 1.0), (0.3, 0.3)] {
            let (chance, swapped) = (both_orders(first, second).unwrap(), both_orders(second, first).unwrap());
            assert!((chance + swapped - 1.0).abs() < 1e-15);
            let entropies = [chance, swapped].map(|chance| preference_entropy(chance).unwrap());
            assert!((entropies[0] - entropies[1]).abs() < 1e-15);
            assert_eq!(position_bias(first, second).unwrap(), position_bias(second, first).unwrap());
        }
    }

    #[test]
    fn the_pair_model_on_tensors_says_the_same() {
        let tensor = |x: f64| Tensor::<1>::from_data(TensorData::from([x]), (&Device::flex(), DType::F64));
        let logits = (0.8, -1.7);
        let pairs = PairScores::new(tensor(logits.0), tensor(logits.1)).unwrap();
        let outcomes = PairModelConfig::new().init().unwrap().outcomes(&pairs).unwrap();
        let expected = both_orders(logistic(logits.0), logistic(logits.1)).unwrap();
        assert!((outcomes.first.exp().into_scalar::<f64>() - expected).abs() < 1e-12);
    }

    #[test]
    fn verdicts_by_hand() {
        let odds = |a: &[f64], b: &[f64], temperature| verdict_chance(a, b, temperature).unwrap();
        assert!((odds(&[3f64.ln()], &[0.0], 1.0) - 0.75).abs() < 1e-15);
        assert!((odds(&[3f64.ln()], &[0.0], 0.5) - 0.9).abs() < 1e-15);
        assert!((odds(&[1f64.ln(), 2f64.ln()], &[0.0, f64::NEG_INFINITY], 1.0) - 0.75).abs() < 1e-15);
        assert_eq!(odds(&[f64::NEG_INFINITY], &[0.0], 1.0), 0.0);
        assert_eq!(odds(&[5000.0], &[0.0], 1.0), 1.0);
        assert_eq!((anchor_reward(0.5).unwrap(), anchor_reward(1.0).unwrap()), (0.0, f64::INFINITY));
        assert_eq!(preference_entropy(0.0).unwrap(), 0.0);
    }

    #[test]
    fn what_is_no_verdict_is_an_error() {
        let text = |result: Result<f64>| result.unwrap_err().to_string();
        assert!(text(verdict_chance(&[], &[0.0], 1.0)).starts_with("`a`"));
        assert!(text(verdict_chance(&[0.0], &[], 1.0)).starts_with("`b`"));
        assert!(text(verdict_chance(&[0.0, f64::NAN], &[0.0], 1.0)).starts_with("record 1: `a`"));
        assert!(text(verdict_chance(&[0.0], &[f64::INFINITY], 1.0)).starts_with("record 0: `b`"));
        assert!(text(verdict_chance(&[f64::NEG_INFINITY], &[f64::NEG_INFINITY], 1.0)).starts_with("`logits`"));
        for temperature in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(text(verdict_chance(&[0.0], &[0.0], temperature)).starts_with("`temperature`"));
        }
        for chance in [-0.1, 1.1, f64::NAN] {
            assert!(text(both_orders(chance, 0.5)).starts_with("`first_read_first`"));
            assert!(text(both_orders(0.5, chance)).starts_with("`second_read_first`"));
            assert!(text(position_bias(chance, 0.5)).starts_with("`first_read_first`"));
            assert!(text(position_bias(0.5, chance)).starts_with("`second_read_first`"));
            assert!(text(preference_entropy(chance)).starts_with("`chance`"));
            assert!(text(anchor_reward(chance)).starts_with("`chance`"));
            assert!(text(expected_score(&[1.0], &[chance])).starts_with("record 0: `chances`"));
        }
        assert!(text(expected_score(&[1.0], &[])).starts_with("`chances`: expected 1"));
        assert!(text(expected_score(&[f64::NAN], &[1.0])).starts_with("record 0: `scores`"));
        assert!(text(expected_score(&[1.0, 2.0], &[0.5, 0.4])).contains("add up to 1, got 0.9"));
    }
}
