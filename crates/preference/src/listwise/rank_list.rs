//! RankList: comparisons of neighbors in an order, reaching further and further.
//!
//! **Paper:** RankList -- A Listwise Preference Learning Framework for Predicting Subjective Preferences (2025),
//! 2508.09826.
//! **Status:** our reading of the abstract; means over distances, their weights and the curriculum are ours.
//! **Use when:** rankings come from subjective judgments: neighbors first, then all.
//! **Checked by:** hand-worked values, RankNet over all pairs, ListMLE from distance 1 on, laws.
//! **Deviations:** the status says it. Candidates with equal labels are one position of the list.

use accordant_ops::{
    check_domain,
    lists::{choice_losses, columns, ones, rows, skip_weights, weighted_pairs_loss},
};
use burn::{
    config::Config,
    tensor::{Bool, Tensor},
};

use super::{ListScores, ListwiseLoss};
use crate::{Nll, Result};

/// Which candidates are compared.
#[derive(Config, Debug, PartialEq)]
pub enum Reach {
    /// Each with those one position below, two positions below, and so on: the weight of each distance, finite and ≥ 0, one
    /// of them > 0. The comparisons of a distance are averaged first.
    Skips(Vec<f64>),
    /// Each with all at this distance, at least 1, or further below, by their log-sum-exp.
    Beyond(usize),
}

/// Curriculum: how many distances are compared at a step (from 0) of `steps`: from 1 on, growing evenly to all `len − 1`
/// over the first half of the training.
///
/// # Example
/// ```
/// use accordant_preference::listwise::rank_list::num_skips;
/// assert_eq!([0, 24, 25, 50, 99].map(|step| num_skips(step, 100, 5)), [1, 2, 3, 4, 4]);
/// ```
pub fn num_skips(step: usize, steps: usize, len: usize) -> usize {
    let all = len.saturating_sub(1).max(1);
    let progress = 2.0 * step as f64 / steps.max(1) as f64;
    (1 + (progress * (all - 1) as f64).round() as usize).min(all)
}

/// RankList losses, one per list, and which lists say anything.
///
/// ```text
/// Skips(ω):   Σ_k ω_k L_k / Σ_k ω_k,   L_k = mean_i softplus(−(s_(i) − s_(i+k))/τ)
/// Beyond(k):  mean_i softplus(−(s_(i) − log Σ_{j ≥ i+k} exp s_(j))),   s in units of τ
/// ```
///
/// Distances that a list is too short for are left out of both sums. Pairs whose labels differ by less than `min_gap` are
/// not compared.
///
/// # Shapes
/// The results are `[n]`. `Skips` of one weight is RankNet on neighbors, and the weights `K − k` make it RankNet on all
/// pairs of K untied candidates; `Beyond(1)` is the mean choice of Plackett and Luce.
///
/// # Errors
/// [`crate::Error::Empty`] when the lists are not ranked.
///
/// # Example
/// ```
/// use accordant_preference::listwise::{ListScores, rank_list::{Reach, rank_list_losses}};
/// use burn::tensor::{Device, Tensor};
/// let row = |values: [f32; 3]| Tensor::<2>::from_floats([values], &Device::flex());
/// let lists = ListScores::new(row([3f32.ln(), 0.0, 0.0])).with_labels(row([3.0, 2.0, 1.0]))?;
/// // Two pairs of neighbors, with differences ln 3 and 0.
/// let (loss, _) = rank_list_losses(&lists, 1.0, &Reach::Skips(vec![1.0]), 0.0)?;
/// assert!((loss.into_scalar::<f32>() - (8f32 / 3.0).ln() / 2.0).abs() < 1e-6);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[doc(alias = "2508.09826")]
pub fn rank_list_losses(
    lists: &ListScores,
    temperature: f64,
    reach: &Reach,
    min_gap: f64,
) -> Result<(Tensor<1>, Tensor<1, Bool>)> {
    let (scores, comparisons) = (lists.scores() * temperature.recip(), lists.comparisons()?);
    let (dtype, [n, k]) = (scores.dtype(), scores.dims());
    let labels = lists.labels()?;
    // −∞ less −∞ is NaN, which is no smaller gap; such pairs are not compared anyway.
    let close = (rows(labels.clone()) - columns(labels)).lower_scalar(min_gap);
    let at = |skips: &[f64]| skip_weights(&comparisons, skips, dtype).mask_fill(close.clone(), 0.0);
    let total = |weights: Tensor<3>| weights.sum_dim(2).squeeze_dim::<2>(2).sum_dim(1).squeeze_dim::<1>(1);
    match reach {
        Reach::Skips(skips) => {
            let zeros = || scores.clone().detach().narrow(1, 0, 1).reshape([n]).zeros_like();
            let (mut sum, mut norm) = (zeros(), zeros());
            for (below, weight) in skips.iter().enumerate().take(k).filter(|(_, weight)| **weight > 0.0) {
                let mut only = vec![0.0; below];
                only.push(1.0);
                let here = at(&only);
                let count = total(here.clone());
                let mean = weighted_pairs_loss(scores.clone(), here)? / count.clone().clamp_min(1.0);
                sum = sum + mean * *weight;
                norm = norm + ones(count.greater_scalar(0.5), dtype) * *weight;
            }
            let counts = norm.clone().greater_scalar(0.0);
            Ok((sum / norm.mask_fill(counts.clone().bool_not(), 1.0), counts))
        }
        Reach::Beyond(first) => {
            let mut skips = vec![0.0; first.saturating_sub(1)];
            skips.resize(k.max(skips.len()), 1.0);
            let among = at(&skips).greater_scalar(0.0);
            let compared = ones(among.clone(), dtype).sum_dim(2).squeeze_dim::<2>(2).greater_scalar(0.5);
            let count = ones(compared, dtype).sum_dim(1).squeeze_dim::<1>(1);
            let losses = choice_losses(scores.clone(), columns(scores), among)?.sum_dim(1).squeeze_dim::<1>(1);
            Ok((losses / count.clone().clamp_min(1.0), count.greater_scalar(0.5)))
        }
    }
}

/// Configuration of [`RankList`].
#[derive(Config, Debug, PartialEq)]
pub struct RankListConfig {
    /// What differences are divided by, finite and > 0; τ. 1: log-odds.
    #[config(default = 1.0)]
    pub temperature: f64,
    /// Which candidates are compared. Neighbors: where the curriculum begins; see [`num_skips`].
    #[config(default = "Reach::Skips(vec![1.0])")]
    pub reach: Reach,
    /// Pairs whose labels differ by less are not compared, finite and ≥ 0. 0: all with unequal labels are.
    #[config(default = 0.0)]
    pub min_gap: f64,
}

impl RankListConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<RankList> {
        let Self { temperature, reach, min_gap } = self;
        check_domain(temperature.is_finite() && *temperature > 0.0, "temperature", "finite and > 0", *temperature)?;
        check_domain(min_gap.is_finite() && *min_gap >= 0.0, "min_gap", "finite and >= 0", *min_gap)?;
        match reach {
            Reach::Skips(skips) => {
                let bad = skips.iter().find(|weight| !(weight.is_finite() && **weight >= 0.0));
                check_domain(bad.is_none(), "reach", "skips with weights finite and >= 0", *bad.unwrap_or(&0.0))?;
                let largest = skips.iter().copied().fold(0.0, f64::max);
                check_domain(largest > 0.0, "reach", "a skip with a weight > 0", largest)?;
            }
            Reach::Beyond(first) => check_domain(*first > 0, "reach", "a distance of at least 1", 0.0)?,
        }
        Ok(RankList { config: self.clone() })
    }
}

/// The RankList loss; see [`rank_list_losses`]. A list too short for its comparisons does not count.
#[derive(Debug, Clone, PartialEq)]
pub struct RankList {
    config: RankListConfig,
}

impl ListwiseLoss for RankList {
    fn forward(&self, lists: &ListScores) -> Result<Nll> {
        let RankListConfig { temperature, reach, min_gap } = &self.config;
        let (losses, counts) = rank_list_losses(lists, *temperature, reach, *min_gap)?;
        lists.nll(losses, counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        link::{Link, Logit},
        listwise::{
            plackett_luce::{PlackettLuceConfig, Stages},
            rank_net::RankNetConfig,
            testing::{list, loss},
        },
        pairwise::testing::{close, values},
    };

    const SCORES: [f64; 4] = [0.3, -0.2, 1.0, 0.1];
    const LABELS: [f64; 4] = [3.0, 1.0, 4.0, 2.0]; // the order 2, 0, 3, 1

    fn method(reach: Reach) -> RankList {
        RankListConfig::new().with_reach(reach).init().unwrap()
    }

    fn skips(weights: &[f64]) -> RankList {
        method(Reach::Skips(weights.to_vec()))
    }

    fn pair(d: f64) -> f64 {
        -Logit.first(d, 0.0).value
    }

    #[test]
    fn a_published_figure_of_neighbors() {
        close(&[loss(&skips(&[1.0]), &SCORES, &LABELS)], &[0.51856005], 1e-8);
    }

    #[test]
    fn skips_by_hand() {
        let one = (pair(0.7) + pair(0.2) + pair(0.3)) / 3.0;
        let (two, three) = ((pair(0.9) + pair(0.5)) / 2.0, pair(1.2));
        close(&[loss(&skips(&[1.0]), &SCORES, &LABELS)], &[one], 1e-15);
        close(&[loss(&skips(&[0.0, 1.0]), &SCORES, &LABELS)], &[two], 1e-15);
        let mixed = (0.5 * one + 2.0 * two + 3.0 * three) / 5.5;
        close(&[loss(&skips(&[0.5, 2.0, 3.0]), &SCORES, &LABELS)], &[mixed], 1e-14);
        // What the list is too short for is in neither sum.
        close(&[loss(&skips(&[0.5, 2.0, 3.0, 9.0, 9.0]), &SCORES, &LABELS)], &[mixed], 1e-14);
        let half = RankListConfig::new().with_temperature(2.0).init().unwrap();
        close(&[loss(&half, &[0.7, 0.0], &[1.0, 0.0])], &[pair(0.35)], 1e-15);
    }

    #[test]
    fn all_skips_by_their_number_of_pairs_are_rank_net() {
        let all = loss(&RankNetConfig::new().init().unwrap(), &SCORES, &LABELS);
        close(&[loss(&skips(&[3.0, 2.0, 1.0]), &SCORES, &LABELS)], &[all], 1e-14);
    }

    #[test]
    fn beyond_one_is_the_mean_choice_of_list_mle() {
        let mle = PlackettLuceConfig::new().with_stages(Stages::Mean).init().unwrap();
        close(&[loss(&method(Reach::Beyond(1)), &SCORES, &LABELS)], &[loss(&mle, &SCORES, &LABELS)], 1e-14);
        // From distance 2 on: 1.0 against {0.1, −0.2}, 0.3 against −0.2.
        let first = (1.0 + ((0.1f64).exp() + (-0.2f64).exp()) / 1f64.exp()).ln();
        close(&[loss(&method(Reach::Beyond(2)), &SCORES, &LABELS)], &[(first + pair(0.5)) / 2.0], 1e-14);
    }

    #[test]
    fn pairs_with_too_small_a_gap_are_not_compared() {
        let config = RankListConfig::new().with_reach(Reach::Skips(vec![1.0, 1.0])).with_min_gap(1.5);
        let got = loss(&config.init().unwrap(), &[0.3, -0.2, 1.0], &[3.0, 1.0, 2.0]);
        close(&[got], &[pair(0.5)], 1e-15); // labels 3 and 1 only
        let nll = config.with_min_gap(5.0).init().unwrap().forward(&list(&[0.3, 0.2], &[1.0, 0.0])).unwrap();
        assert_eq!(values(nll.weights), [0.0]);
    }

    #[test]
    fn a_list_too_short_does_not_count() {
        for method in [skips(&[0.0, 1.0]), method(Reach::Beyond(2))] {
            let weights =
                |scores: &[f64], labels: &[f64]| values(method.forward(&list(scores, labels)).unwrap().weights);
            assert_eq!(weights(&[0.5, 0.0], &[1.0, 0.0]), [0.0]);
            assert_eq!(weights(&[0.5, 0.0, 0.2], &[1.0, 0.0, 0.0]), [0.0], "two positions");
            assert_eq!(weights(&[0.5, 0.0, 0.2], &[1.0, 0.0, 0.5]), [1.0]);
        }
    }

    #[test]
    fn the_curriculum_reaches_all_distances_half_way() {
        assert_eq!((0..=10).map(|step| num_skips(step, 10, 6)).collect::<Vec<_>>(), [1, 2, 3, 3, 4, 5, 5, 5, 5, 5, 5]);
        assert_eq!((num_skips(0, 0, 0), num_skips(3, 4, 1), num_skips(3, 4, 2)), (1, 1, 1));
    }

    #[test]
    fn every_field_has_a_domain_and_a_default() {
        let config = RankListConfig::new();
        assert_eq!((config.temperature, config.min_gap, &config.reach), (1.0, 0.0, &Reach::Skips(vec![1.0])));
        let text = |config: RankListConfig| config.init().unwrap_err().to_string();
        for bad in [-1.0, f64::NAN, f64::INFINITY] {
            assert!(text(config.clone().with_temperature(bad)).starts_with("`temperature`"));
            assert!(text(config.clone().with_min_gap(bad)).starts_with("`min_gap`"));
            let reach = Reach::Skips(vec![1.0, bad]);
            assert!(text(config.clone().with_reach(reach)).starts_with("`reach`: expected skips with weights"));
        }
        assert!(text(config.clone().with_temperature(0.0)).starts_with("`temperature`"));
        for skips in [vec![], vec![0.0]] {
            let error = text(config.clone().with_reach(Reach::Skips(skips)));
            assert_eq!(error, "`reach`: expected a skip with a weight > 0, got 0");
        }
        assert!(text(config.with_reach(Reach::Beyond(0))).starts_with("`reach`: expected a distance of at least 1"));
    }
}
