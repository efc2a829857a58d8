//! RankNet and LambdaRank: an order as pairs.
//!
//! **Paper:** Learning to Rank using Gradient Descent (C. Burges et al., 2005); lambda weights as in The LambdaLoss Framework
//! for Ranking Metric Optimization (X. Wang et al., 2018).
//! **Use when:** pairs are what is trusted of an order, or the first places matter most (lambda weights).
//! **Checked by:** published figures, hand-worked values, Bradley-Terry at two candidates, laws.
//! **Deviations:** lambda weights are not divided by the ideal gain of their list.

use accordant_ops::{
    check_domain,
    lists::{lambda_weights, ones, weighted_pairs_loss},
};
use burn::{config::Config, tensor::Tensor};

use super::{ListScores, ListwiseLoss};
use crate::{Nll, Result};

/// How much each pair of a list counts.
#[derive(Config, Debug, Copy, PartialEq, Eq)]
pub enum PairWeights {
    /// The same.
    Equal,
    /// By what exchanging the two would change of the list's discounted gain, `2^label`; for labels up to about 30.
    Lambda,
}

/// RankNet losses, one per list: the mean over pairs with unequal labels.
///
/// ```text
/// loss = mean_{y_i > y_j} w_ij softplus(−(s_i − s_j)/τ)
/// ```
///
/// # Shapes
/// The result is `[n]`. `temperature` (τ) > 0. Equal scores lose ln 2 with equal weights. A list without a comparison gives
/// 0. Splitting an order into its pairs is consistent, and less efficient than
/// [`plackett_luce`](super::plackett_luce): pairs of one list are not independent.
///
/// # Errors
/// [`crate::Error::Empty`] when the lists are not ranked.
///
/// # Example
/// ```
/// use accordant_preference::listwise::{ListScores, rank_net::{PairWeights, rank_net_losses}};
/// use burn::tensor::{Device, Tensor};
/// let row = |values: [f32; 3]| Tensor::<2>::from_floats([values], &Device::flex());
/// let lists = ListScores::new(row([3f32.ln(), 0.0, 0.0])).with_labels(row([1.0, 0.0, 0.0]))?;
/// // Two comparisons, both with odds of 3 : 1.
/// let loss = rank_net_losses(&lists, 1.0, PairWeights::Equal)?.into_scalar::<f32>();
/// assert!((loss - (4f32 / 3.0).ln()).abs() < 1e-6);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[doc(alias = "LambdaRank")]
pub fn rank_net_losses(lists: &ListScores, temperature: f64, weights: PairWeights) -> Result<Tensor<1>> {
    let (scores, comparisons) = (lists.scores() * temperature.recip(), lists.comparisons()?);
    let dtype = scores.dtype();
    let weights = match weights {
        PairWeights::Equal => ones(comparisons.better(), dtype),
        PairWeights::Lambda => lambda_weights(lists.labels()?, scores.clone(), lists.present())?,
    };
    Ok(weighted_pairs_loss(scores, weights)? / comparisons.count(dtype).clamp_min(1.0))
}

/// Configuration of [`RankNet`].
#[derive(Config, Debug, PartialEq)]
pub struct RankNetConfig {
    /// What differences are divided by, finite and > 0; τ. 1: log-odds.
    #[config(default = 1.0)]
    pub temperature: f64,
    /// How much each pair counts. Equal: RankNet's.
    #[config(default = "PairWeights::Equal")]
    pub weights: PairWeights,
}

impl RankNetConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<RankNet> {
        let temperature = self.temperature;
        check_domain(temperature.is_finite() && temperature > 0.0, "temperature", "finite and > 0", temperature)?;
        Ok(RankNet { config: self.clone() })
    }
}

/// The RankNet loss; see [`rank_net_losses`].
#[derive(Debug, Clone, PartialEq)]
pub struct RankNet {
    config: RankNetConfig,
}

impl ListwiseLoss for RankNet {
    fn forward(&self, lists: &ListScores) -> Result<Nll> {
        let losses = rank_net_losses(lists, self.config.temperature, self.config.weights)?;
        lists.nll(losses, lists.comparisons()?.exist())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        link::{Link, Logit},
        listwise::testing::{list, loss},
        pairwise::testing::{close, values},
    };

    fn method(temperature: f64, weights: PairWeights) -> RankNet {
        RankNetConfig::new().with_temperature(temperature).with_weights(weights).init().unwrap()
    }

    fn pair(d: f64) -> f64 {
        -Logit.first(d, 0.0).value
    }

    #[test]
    fn a_published_figure() {
        // The order 2, 0, 3, 1 of four items, all six pairs.
        let got = loss(&method(1.0, PairWeights::Equal), &[0.3, -0.2, 1.0, 0.1], &[3.0, 1.0, 4.0, 2.0]);
        close(&[got], &[0.43903225], 1e-8);
    }

    #[test]
    fn pairs_by_hand_and_two_candidates_are_bradley_terry() {
        let equal = method(1.0, PairWeights::Equal);
        // a > b and a > c; b and c tie.
        let got = loss(&equal, &[0.5, 2.0, -1.0], &[1.0, 0.0, 0.0]);
        close(&[got], &[(pair(-1.5) + pair(1.5)) / 2.0], 1e-14);
        close(&[loss(&equal, &[0.7, 0.0], &[1.0, 0.0])], &[pair(0.7)], 1e-15);
        close(&[loss(&method(2.0, PairWeights::Equal), &[0.7, 0.0], &[1.0, 0.0])], &[pair(0.35)], 1e-15);
        let lambda = loss(&method(1.0, PairWeights::Lambda), &[0.7, 0.0], &[1.0, 0.0]);
        close(&[lambda], &[pair(0.7) * (1.0 - 1.0 / 3f64.log2())], 1e-14);
    }

    #[test]
    fn a_list_without_a_comparison_does_not_count() {
        let nll = method(1.0, PairWeights::Equal).forward(&list(&[1.0, 2.0], &[3.0, 3.0])).unwrap();
        assert_eq!((values(nll.losses.clone()), values(nll.weights.clone())), (vec![0.0], vec![0.0]));
    }

    #[test]
    fn every_field_has_a_domain_and_a_default() {
        assert_eq!((RankNetConfig::new().temperature, RankNetConfig::new().weights), (1.0, PairWeights::Equal));
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let error = RankNetConfig::new().with_temperature(bad).init().unwrap_err().to_string();
            assert_eq!(error, format!("`temperature`: expected finite and > 0, got {bad}"));
        }
    }
}
