//! RankList: RankNet over the neighbors, or over all, of a ranked list.
//!
//! **Paper:** RankList -- A Listwise Preference Learning Framework for Predicting Subjective Preferences (2025),
//! 2508.09826.
//! **Status:** our reading of the abstract; the weights of the skips and the use as a policy objective are ours.
//! **Use when:** rankings come from subjective judgments: begin with comparisons of neighbors and let them reach further.
//! **Checked by:** hand-worked values, RankNet at two candidates, all skips = all pairs, the log-sum-exp form below them.
//! **Deviations:** the status says it. Candidates with equal scores are one position of the list.

use accordant_ops::{check_domain, lists};
use burn::{config::Config, tensor::Tensor};

use super::{
    ListBatch, ListOutput, ListwiseObjective, Method, check_positive,
    lipo::{PairReduction, PairWeighting, lipo_loss, weighted_pairs_loss},
    over_candidates,
    plackett_luce::plackett_luce_loss,
};
use crate::{Result, pairwise::Length};

/// Which candidates of a ranked list are compared.
#[derive(Config, Debug, PartialEq)]
pub enum RankListForm {
    /// Every one with every worse one.
    AllPairs,
    /// Each with those one position below, two positions below, and so on: the weight of each distance, finite and ≥ 0,
    /// one of them > 0. `[1.0]` is local. To progress from local to global comparisons, train with `[1.0]` first, then
    /// `[1.0, 1.0]`, ….
    Skips(Vec<f64>),
    /// Every one with all worse ones at once, `log(1 + Σ exp)` in place of `Σ log(1 + exp)`.
    LogSumExp,
}

/// RankList losses, one per list.
///
/// ```text
/// Skips:      Σ_k λ_k Σ_i softplus(−(s_(i) − s_(i+k))/τ)
/// AllPairs:   the same with every λ_k = 1
/// LogSumExp:  Σ_i log(1 + Σ_{j>i} exp(−(s_(i) − s_(j))/τ))
/// ```
///
/// `s_(i)` are the rewards in the order of the scores. Tied candidates share a position: they are not compared with each
/// other, and each of them is with every one of a position further down.
///
/// # Shapes
/// `rewards` (s): `[n, k]`; the result is `[n]`.
///
/// `temperature` (τ) > 0. Never negative; `LogSumExp` is at most `AllPairs`. The same constant on all rewards of a list
/// changes nothing. A list without a comparison gives 0. Finite for every finite input.
///
/// # Errors
/// A shape or dtype error naming `rewards`; [`crate::Error::MissingColumn`] when the batch has no scores.
///
/// # Example
/// ```
/// use accordant_objectives::listwise::{ListBatch, ListLogps, rank_list::{RankListForm, rank_list_loss}};
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let row = |values: [f32; 3]| Tensor::<2>::from_floats([values], &device);
/// let logps = ListLogps { sum: row([-1.0; 3]), count: row([1.0; 3]) };
/// let batch = ListBatch::new(logps)?.with_scores(row([3.0, 2.0, 1.0]))?;
/// // Two pairs of neighbors, with differences ln 3 and 0.
/// let form = RankListForm::Skips(vec![1.0]);
/// let loss = rank_list_loss(&batch, row([3f32.ln(), 0.0, 0.0]), 1.0, &form)?;
/// assert!((loss.into_scalar::<f32>() - (8f32 / 3.0).ln()).abs() < 1e-6);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2508.09826")]
#[doc(alias = "RankList -- A Listwise Preference Learning Framework for Predicting Subjective Preferences")]
#[doc(alias = "RankNet")]
pub fn rank_list_loss(
    batch: &ListBatch,
    rewards: Tensor<2>,
    temperature: f64,
    form: &RankListForm,
) -> Result<Tensor<1>> {
    batch.check_values("rewards", &rewards)?;
    // Here, so that an error names this method and not the one whose loss it is.
    batch.scores("rank_list")?;
    let sharpness = temperature.recip();
    match form {
        RankListForm::LogSumExp => plackett_luce_loss(batch, rewards, sharpness, None, false),
        RankListForm::AllPairs => lipo_loss(batch, rewards, sharpness, PairWeighting::Uniform, PairReduction::Sum),
        RankListForm::Skips(skips) => {
            let weights = skip_weights(batch, skips)?;
            Ok(weighted_pairs_loss(batch.select(rewards) * sharpness, weights)?)
        }
    }
}

/// [`lists::skip_weights`] of a batch, 0 where nothing is compared.
fn skip_weights(batch: &ListBatch, skips: &[f64]) -> Result<Tensor<3>> {
    Ok(lists::skip_weights(&batch.comparisons("rank_list")?, skips, batch.policy().sum.dtype()))
}

/// Configuration of [`RankList`].
#[derive(Config, Debug, PartialEq)]
pub struct RankListConfig {
    /// What differences of rewards are divided by, finite and > 0; τ. 1: ours.
    #[config(default = 1.0)]
    pub temperature: f64,
    /// Which candidates are compared. `AllPairs`: ours.
    #[config(default = "RankListForm::AllPairs")]
    pub form: RankListForm,
    /// Log-probabilities per sequence or per token are the rewards. `TokenMean`: ours, as candidates differ in length.
    #[config(default = "Length::TokenMean")]
    pub length: Length,
}

impl RankListConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<RankList> {
        check_positive("temperature", self.temperature)?;
        if let RankListForm::Skips(skips) = &self.form {
            let bad = skips.iter().find(|weight| !(weight.is_finite() && **weight >= 0.0));
            check_domain(bad.is_none(), "form", "skips with weights finite and >= 0", *bad.unwrap_or(&0.0))?;
            let largest = skips.iter().copied().fold(0.0, f64::max);
            check_domain(largest > 0.0, "form", "a skip with a weight > 0", largest)?;
        }
        Ok(RankList { config: self.clone() })
    }
}

/// The RankList objective; see [`rank_list_loss`]. Rewards are log-probabilities under the policy, as `length` says.
#[derive(Debug, Clone, PartialEq)]
pub struct RankList {
    config: RankListConfig,
}

/// `rank_list` by name.
pub const METHOD: Method = Method {
    name: "rank_list",
    title: "RankList (our reading of the abstract)",
    build: |options| Ok(Box::new(options.apply("rank_list", RankListConfig::new())?.init()?)),
};

impl ListwiseObjective for RankList {
    fn needs_reference(&self) -> bool {
        false
    }

    fn forward(&self, batch: &ListBatch) -> Result<ListOutput> {
        let rewards = batch.logps(self.config.length);
        let losses = rank_list_loss(batch, rewards.clone(), self.config.temperature, &self.config.form)?;
        let counts = match &self.config.form {
            // A list may be too short for every skip.
            RankListForm::Skips(skips) => {
                over_candidates(skip_weights(batch, skips)?.sum_dim(2).squeeze_dim(2)).greater_scalar(0.0)
            }
            _ => batch.comparisons("rank_list")?.exist(),
        };
        ListOutput::new(losses, batch, rewards, counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listwise::tests::{close, list, list_of_tokens, losses, matrix, values};

    const REWARDS: [f64; 4] = [0.5, 2.0, -1.0, 0.7];

    fn loss(rewards: &[f64], scores: &[f64], temperature: f64, form: &RankListForm) -> f64 {
        values(&rank_list_loss(&list(rewards, scores), matrix(&[rewards]), temperature, form).unwrap())[0]
    }

    fn skips(weights: &[f64]) -> RankListForm {
        RankListForm::Skips(weights.to_vec())
    }

    fn pair(h: f64) -> f64 {
        (1.0 + (-h).exp()).ln()
    }

    #[test]
    fn skips_by_hand() {
        let scores = [3.0, 4.0, 1.0, 2.0]; // the order is 2.0, 0.5, 0.7, −1.0
        let (one, two, three) = (pair(1.5) + pair(-0.2) + pair(1.7), pair(1.3) + pair(1.5), pair(3.0));
        close(loss(&REWARDS, &scores, 1.0, &skips(&[1.0])), one, 1e-14);
        close(loss(&REWARDS, &scores, 1.0, &skips(&[0.0, 1.0])), two, 1e-14);
        close(loss(&REWARDS, &scores, 1.0, &skips(&[0.5, 2.0, 3.0])), 0.5 * one + 2.0 * two + 3.0 * three, 1e-13);
        let all = one + two + three;
        close(loss(&REWARDS, &scores, 1.0, &skips(&[1.0; 9])), all, 1e-14);
        close(loss(&REWARDS, &scores, 1.0, &RankListForm::AllPairs), all, 1e-14);
        assert_eq!(loss(&REWARDS, &scores, 1.0, &skips(&[])), 0.0);
    }

    #[test]
    fn the_temperature_divides_differences() {
        for form in [skips(&[1.0]), RankListForm::AllPairs, RankListForm::LogSumExp] {
            close(loss(&[1.0, 0.0], &[1.0, 0.0], 4.0, &form), pair(0.25), 1e-14);
            close(loss(&[1.0, 0.0], &[1.0, 0.0], 1.0, &form), pair(1.0), 1e-14);
        }
    }

    #[test]
    fn the_log_sum_exp_form_is_at_most_all_pairs() {
        for scores in [[3.0, 4.0, 1.0, 2.0], [1.0, 2.0, 3.0, 4.0], [1.0, 1.0, 2.0, 0.0]] {
            let lse = loss(&REWARDS, &scores, 1.0, &RankListForm::LogSumExp);
            assert!(lse < loss(&REWARDS, &scores, 1.0, &RankListForm::AllPairs), "{scores:?}");
        }
        let by_hand = (1.0 + (-1.5f64).exp() + (-3.0f64).exp()).ln() + pair(1.5);
        close(loss(&[2.0, 0.5, -1.0], &[3.0, 2.0, 1.0], 1.0, &RankListForm::LogSumExp), by_hand, 1e-14);
    }

    #[test]
    fn tied_candidates_share_a_position() {
        // 2.0 and 0.5 tie above −1.0: both are its neighbors.
        close(loss(&[2.0, 0.5, -1.0], &[1.0, 1.0, 0.0], 1.0, &skips(&[1.0])), pair(3.0) + pair(1.5), 1e-14);
    }

    #[test]
    fn rewards_are_log_probabilities_as_the_length_says() {
        let batch = list_of_tokens(&[-10.0, -6.0], &[10.0, 5.0], &[1.0, 0.0]);
        let method = |length| RankListConfig::new().with_length(length).init().unwrap();
        close(losses(&method(Length::TokenMean), &batch)[0], pair(0.2), 1e-14);
        close(losses(&method(Length::Sum), &batch)[0], pair(-4.0), 1e-14);
        assert!(!method(Length::Sum).needs_reference());
        let by_skips = RankListConfig::new().with_form(skips(&[2.0])).init().unwrap();
        close(losses(&by_skips, &batch)[0], 2.0 * pair(0.2), 1e-14);
    }

    #[test]
    fn a_list_too_short_for_every_skip_does_not_count() {
        let second = RankListConfig::new().with_form(skips(&[0.0, 1.0])).init().unwrap();
        let weights = |batch: &ListBatch| values(&second.forward(batch).unwrap().weights);
        assert_eq!(weights(&list(&[0.5, 0.0], &[1.0, 0.0])), [0.0]);
        assert_eq!(weights(&list(&[0.5, 0.0, 0.2], &[1.0, 0.0, 0.0])), [0.0], "two positions");
        assert_eq!(weights(&list(&[0.5, 0.0, 0.2], &[1.0, 0.0, 0.5])), [1.0]);
    }

    #[test]
    fn skips_that_compare_nothing_are_refused() {
        for skips in [vec![], vec![0.0, 0.0]] {
            let error = RankListConfig::new().with_form(RankListForm::Skips(skips)).init().unwrap_err().to_string();
            assert_eq!(error, "`form`: expected a skip with a weight > 0, got 0");
        }
    }

    #[test]
    fn settings_and_shapes_are_checked() {
        let config = RankListConfig::new();
        assert_eq!(config.temperature, 1.0);
        assert_eq!((&config.form, config.length), (&RankListForm::AllPairs, Length::TokenMean));
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let error = config.clone().with_temperature(bad).init().unwrap_err().to_string();
            assert_eq!(error, format!("`temperature`: expected finite and > 0, got {bad}"));
        }
        for bad in [-1.0, f64::NAN, f64::INFINITY] {
            let error = config.clone().with_form(skips(&[1.0, bad])).init().unwrap_err().to_string();
            assert_eq!(error, format!("`form`: expected skips with weights finite and >= 0, got {bad}"));
        }
        config.with_form(skips(&[0.0, 1.0])).init().expect("a weight of 0 leaves a distance out");
        let error = rank_list_loss(&list(&[0.0], &[0.0]), matrix(&[&[0.0, 1.0]]), 1.0, &RankListForm::AllPairs);
        assert_eq!(error.unwrap_err().to_string(), "`rewards`: expected shape [1, 1], got [1, 2]");
    }

    accordant_laws::listwise_laws!(
        rank_list_obeys_the_laws,
        "rank_list",
        RankListConfig::new().init().unwrap(),
        [],
        [
            ReferenceFree,
            ShiftInvariantPerToken,
            PermutationOfCandidates,
            TiesSayNothing,
            DecreasingInChosen,
            IncreasingInRejected,
            ConvexInMargin,
            LowerBound(0.0),
        ]
    );

    accordant_laws::listwise_laws!(
        skips_obey_the_laws,
        "rank_list of neighbors",
        RankListConfig::new().with_form(skips(&[1.0, 0.5])).with_length(Length::Sum).init().unwrap(),
        [],
        [
            ReferenceFree,
            ShiftInvariant,
            PermutationOfCandidates,
            TiesSayNothing,
            DecreasingInChosen,
            IncreasingInRejected,
            LowerBound(0.0),
        ]
    );
}
