//! Regularized relevance reward (R³): relevance, and no more length or repetition than serve it.
//!
//! **Paper:** Preference-free Alignment Learning with Regularized Relevance Reward (2024).
//! **Status:** library definition of the parts; the paper leaves their form open.
//! **Use when:** nobody judged: relevance of a response to its query can be measured, by embeddings say.
//! **Checked by:** shares of repeated n-grams by hand, each part by itself.
//! **Deviations:** closed queries lose the length incentive; the paper's branch for irrelevant responses is not there.

use std::collections::BTreeSet;

use accordant_ops::check_domain;
use burn::config::Config;

use crate::Result;

/// The share of a text's runs of `n` tokens that came before: `1 − distinct / all`; 0 of fewer than `n` tokens.
///
/// # Errors
/// A domain error naming `n` when it is 0.
///
/// # Example
/// ```
/// use accordant_preference::multi_objective::relevance::repeat_ratio;
/// assert_eq!(repeat_ratio(&[7, 8, 7, 8, 7], 2)?, 0.5); // 78, 87, 78, 87
/// # Ok::<(), accordant_preference::Error>(())
/// ```
pub fn repeat_ratio(tokens: &[u32], n: usize) -> Result<f64> {
    check_domain(n > 0, "n", "at least 1", 0.0)?;
    let distinct: BTreeSet<&[u32]> = tokens.windows(n).collect();
    let all = tokens.windows(n).len();
    Ok(if all == 0 { 0.0 } else { 1.0 - distinct.len() as f64 / all as f64 })
}

/// Configuration of the reward.
///
/// ```text
/// R = w_rel · relevance + [query is open] · w_len · min(length / max_length, 1) − w_rep · repeat_ratio
/// ```
#[derive(Config, Debug, PartialEq)]
pub struct RelevanceRewardConfig {
    /// From how many tokens on more are no better, at least 1.
    pub max_length: usize,
    /// Weight of relevance, finite and ≥ 0. 1: the specification.
    #[config(default = 1.0)]
    pub relevance: f64,
    /// Weight of the length of answers to open queries, finite and ≥ 0. 1: the specification.
    #[config(default = 1.0)]
    pub length: f64,
    /// Weight of what is repeated, finite and ≥ 0. 1: the specification.
    #[config(default = 1.0)]
    pub repetition: f64,
    /// How many tokens a run has that may not come twice, at least 1. 3: the specification.
    #[config(default = 3)]
    pub ngram: usize,
}

impl RelevanceRewardConfig {
    /// The reward of a response of these tokens; `open`: whether the query asks for a long answer.
    ///
    /// # Errors
    /// A domain error naming the field, or `relevance` of the response unless finite.
    ///
    /// # Example
    /// ```
    /// use accordant_preference::multi_objective::relevance::RelevanceRewardConfig;
    /// let reward = RelevanceRewardConfig::new(8).with_ngram(1);
    /// assert_eq!(reward.reward(0.5, &[1, 2, 3, 4], true)?, 1.0); // half as long as is useful
    /// assert_eq!(reward.reward(0.5, &[1, 2, 3, 3], false)?, 0.25); // a quarter repeated
    /// # Ok::<(), accordant_preference::Error>(())
    /// ```
    pub fn reward(&self, relevance: f64, tokens: &[u32], open: bool) -> Result<f64> {
        check_domain(self.max_length > 0, "max_length", "at least 1", 0.0)?;
        let weights = [("relevance", self.relevance), ("length", self.length), ("repetition", self.repetition)];
        for (name, weight) in weights {
            check_domain(weight.is_finite() && weight >= 0.0, name, "finite and >= 0", weight)?;
        }
        check_domain(self.ngram > 0, "ngram", "at least 1", 0.0)?;
        check_domain(relevance.is_finite(), "relevance", "finite", relevance)?;
        let length = (tokens.len() as f64 / self.max_length as f64).min(1.0);
        let incentive = if open { self.length * length } else { 0.0 };
        Ok(self.relevance * relevance + incentive - self.repetition * repeat_ratio(tokens, self.ngram)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_runs_are_counted() {
        assert_eq!(repeat_ratio(&[1, 1, 1, 1, 1], 3).unwrap(), 1.0 - 1.0 / 3.0);
        assert_eq!(repeat_ratio(&[1, 2, 3, 1, 2, 3], 3).unwrap(), 0.25); // 123 231 312 123
        assert_eq!(repeat_ratio(&[1, 2, 3], 3).unwrap(), 0.0);
        assert_eq!(repeat_ratio(&[1, 1], 3).unwrap(), 0.0);
        assert!(repeat_ratio(&[1], 0).unwrap_err().to_string().starts_with("`n`: expected at least 1"));
    }

    #[test]
    fn each_part_has_its_weight_and_length_counts_for_open_queries_up_to_its_limit() {
        let config =
            RelevanceRewardConfig::new(4).with_relevance(2.0).with_length(3.0).with_repetition(5.0).with_ngram(1);
        let tokens = [1, 1, 2];
        let repeated = 5.0 / 3.0;
        assert!((config.reward(0.5, &tokens, true).unwrap() - (1.0 + 2.25 - repeated)).abs() < 1e-12);
        assert!((config.reward(0.5, &tokens, false).unwrap() - (1.0 - repeated)).abs() < 1e-12);
        let long: Vec<u32> = (0..40).collect();
        assert_eq!(config.reward(-0.5, &long, true).unwrap(), 2.0);
    }

    #[test]
    fn every_field_has_a_domain_and_a_default() {
        let text = |config: RelevanceRewardConfig| config.reward(0.0, &[], true).unwrap_err().to_string();
        let config = || RelevanceRewardConfig::new(1);
        assert!(text(RelevanceRewardConfig::new(0)).starts_with("`max_length`: expected at least 1"));
        assert!(text(config().with_ngram(0)).starts_with("`ngram`: expected at least 1"));
        for bad in [-1.0, f64::NAN, f64::INFINITY] {
            assert!(text(config().with_relevance(bad)).starts_with("`relevance`: expected finite and >= 0"));
            assert!(text(config().with_length(bad)).starts_with("`length`: expected finite and >= 0"));
            assert!(text(config().with_repetition(bad)).starts_with("`repetition`: expected finite and >= 0"));
        }
        assert!(
            config().reward(f64::NAN, &[], true).unwrap_err().to_string().starts_with("`relevance`: expected finite")
        );
        let defaults = config();
        assert_eq!((defaults.relevance, defaults.length, defaults.repetition, defaults.ngram), (1.0, 1.0, 1.0, 3));
    }
}
