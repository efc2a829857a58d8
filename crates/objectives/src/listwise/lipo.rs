//! Listwise Preference Optimization (LiPO): all pairs of a list, each with its weight.
//!
//! **Paper:** LiPO: Listwise Preference Optimization through Learning-to-Rank (2024), 2402.01878.
//! **Use when:** candidates have scores, and getting the best ones right matters more than the order of the others.
//! **Checked by:** hand-worked values, DPO at two candidates, independence of input order.
//! **Deviations:** divided by the number of comparisons by default. Candidates of equal reward are ranked as if the worse
//! one were ahead (the paper leaves it to the sort): otherwise a policy that equals its reference would learn nothing, or
//! what the order of the input says.

pub use accordant_ops::lists::weighted_pairs_loss;
use accordant_ops::lists::{self, ones};
use burn::{config::Config, tensor::Tensor};

use super::{ListBatch, ListOutput, ListwiseObjective, Method, check_positive};
use crate::Result;

/// How much each pair of a list counts.
#[derive(Config, Debug, Copy, PartialEq)]
pub enum PairWeighting {
    /// The same: RankNet over all pairs.
    Uniform,
    /// By what exchanging the two would change of the list's discounted gain (LambdaRank); for scores in `[0, 1]`.
    Lambda,
}

/// What the sum over pairs is divided by.
#[derive(Config, Debug, Copy, PartialEq)]
pub enum PairReduction {
    /// The number of comparisons of the list.
    Mean,
    /// Nothing.
    Sum,
}

/// [`accordant_ops::lists::lambda_weights`] of a batch: scores and rewards of the candidates that are there.
///
/// # Shapes
/// `scores` and `rewards`: `[n, k]`.
///
/// # Errors
/// A shape or dtype error naming `scores` or `rewards`.
pub fn lambda_weights(batch: &ListBatch, scores: Tensor<2>, rewards: Tensor<2>) -> Result<Tensor<3>> {
    batch.check_values("scores", &scores)?;
    batch.check_values("rewards", &rewards)?;
    Ok(lists::lambda_weights(batch.select(scores), batch.select(rewards), batch.present())?)
}

/// LiPO losses, one per list: [`weighted_pairs_loss`] of the rewards `s = β d` over the comparisons `v_i > v_j`.
///
/// ```text
/// loss = 1/Z Σ_{v_i > v_j} w_ij softplus(−(s_i − s_j))
/// ```
///
/// `w` is 1 or [`lambda_weights`], `Z` the number of comparisons or 1.
///
/// # Shapes
/// `ratios`: `[n, k]` of summed log-ratios in nats; the result is `[n]`.
///
/// `beta` > 0. Uniform weights, the mean, and equal log-ratios give ln 2. A list without a comparison gives 0. The same
/// constant on all log-ratios of a list changes nothing. Finite for every finite input, but for scores that
/// [`lambda_weights`] cannot take.
///
/// # Errors
/// A shape or dtype error naming `ratios`; [`crate::Error::MissingColumn`] when the batch has no scores.
///
/// # Example
/// ```
/// use accordant_objectives::listwise::{ListBatch, ListLogps, lipo::{PairReduction, PairWeighting, lipo_loss}};
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let row = |values: [f32; 3]| Tensor::<2>::from_floats([values], &device);
/// let logps = ListLogps { sum: row([-1.0; 3]), count: row([1.0; 3]) };
/// let batch = ListBatch::new(logps)?.with_scores(row([1.0, 1.0, 0.0]))?;
/// // Two comparisons, of h = ln 3 and 0; the two ties are not compared.
/// let loss = lipo_loss(&batch, row([3f32.ln(), 0.0, 0.0]), 1.0, PairWeighting::Uniform, PairReduction::Sum)?;
/// assert!((loss.into_scalar::<f32>() - (8f32 / 3.0).ln()).abs() < 1e-6);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2402.01878")]
#[doc(alias = "LiPO: Listwise Preference Optimization through Learning-to-Rank")]
#[doc(alias = "LambdaLoss")]
pub fn lipo_loss(
    batch: &ListBatch,
    ratios: Tensor<2>,
    beta: f64,
    weighting: PairWeighting,
    reduction: PairReduction,
) -> Result<Tensor<1>> {
    batch.check_values("ratios", &ratios)?;
    let comparisons = batch.comparisons("lipo")?;
    let rewards = batch.select(ratios) * beta;
    let dtype = rewards.dtype();
    let weights = match weighting {
        PairWeighting::Uniform => ones(comparisons.better(), dtype),
        PairWeighting::Lambda => lambda_weights(batch, batch.scores("lipo")?, rewards.clone())?,
    };
    let total = weighted_pairs_loss(rewards, weights)?;
    Ok(match reduction {
        PairReduction::Mean => total / comparisons.count(dtype).clamp_min(1.0),
        PairReduction::Sum => total,
    })
}

/// Configuration of [`Lipo`].
#[derive(Config, Debug, PartialEq)]
pub struct LipoConfig {
    /// Strength of the KL pull, finite and > 0. 0.1: DPO's.
    #[config(default = 0.1)]
    pub beta: f64,
    /// How much each pair counts. `Lambda`: the paper's LiPO-λ.
    #[config(default = "PairWeighting::Lambda")]
    pub weighting: PairWeighting,
    /// What the sum over pairs is divided by. `Mean`: ours, so that long lists weigh no more than short ones.
    #[config(default = "PairReduction::Mean")]
    pub reduction: PairReduction,
}

impl LipoConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<Lipo> {
        check_positive("beta", self.beta)?;
        Ok(Lipo { config: self.clone() })
    }
}

/// The LiPO objective; see [`lipo_loss`]. Rewards are `beta` times the log-ratio.
#[derive(Debug, Clone, PartialEq)]
pub struct Lipo {
    config: LipoConfig,
}

/// `lipo` by name.
pub const METHOD: Method = Method {
    name: "lipo",
    title: "Listwise Preference Optimization",
    build: |options| Ok(Box::new(options.apply("lipo", LipoConfig::new())?.init()?)),
};

impl ListwiseObjective for Lipo {
    fn forward(&self, batch: &ListBatch) -> Result<ListOutput> {
        let LipoConfig { beta, weighting, reduction } = self.config;
        let ratios = batch.log_ratios("lipo")?;
        let losses = lipo_loss(batch, ratios.clone(), beta, weighting, reduction)?;
        ListOutput::new(losses, batch, ratios * beta, batch.comparisons("lipo")?.exist())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listwise::tests::{close, dpo_loss, grad_of_losses, list, losses, matrix, values};

    fn lipo(weighting: PairWeighting, reduction: PairReduction) -> Lipo {
        let config = LipoConfig::new().with_beta(1.0).with_weighting(weighting).with_reduction(reduction);
        config.init().expect("valid in this test")
    }

    fn pair(h: f64) -> f64 {
        (1.0 + (-h).exp()).ln()
    }

    /// 1 / log2(1 + place)
    fn discount(place: f64) -> f64 {
        1.0 / (1.0 + place).log2()
    }

    #[test]
    fn uniform_weights_average_the_pairs() {
        let batch = list(&[0.5, 2.0, -1.0], &[0.6, 1.0, 0.2]);
        let sum = pair(1.5) + pair(3.0) + pair(1.5);
        close(losses(&lipo(PairWeighting::Uniform, PairReduction::Sum), &batch)[0], sum, 1e-14);
        close(losses(&lipo(PairWeighting::Uniform, PairReduction::Mean), &batch)[0], sum / 3.0, 1e-14);
    }

    #[test]
    fn two_candidates_are_dpo() {
        for (chosen, rejected) in [(1.0, -0.5), (-40.0, 3.0)] {
            for reduction in [PairReduction::Mean, PairReduction::Sum] {
                let loss = losses(&lipo(PairWeighting::Uniform, reduction), &list(&[rejected, chosen], &[0.1, 0.9]));
                close(loss[0], dpo_loss(chosen, rejected, 1.0), 1e-14);
            }
        }
        let config = LipoConfig::new().with_weighting(PairWeighting::Uniform);
        let loss = losses(&config.init().unwrap(), &list(&[1.0, -0.5], &[1.0, 0.0]));
        close(loss[0], 0.6209570478, 1e-10);
    }

    #[test]
    fn lambda_weights_by_hand() {
        // Rewards put the second first, the first second and the third last.
        let batch = list(&[0.5, 2.0, -1.0], &[1.0, 0.5, 0.0]);
        let gain = |high: f64, low: f64| high.exp2() - low.exp2();
        let drop = |high: f64, low: f64| (discount(high) - discount(low)).abs();
        let expected = [
            [0.0, gain(1.0, 0.5) * drop(2.0, 1.0), gain(1.0, 0.0) * drop(2.0, 3.0)],
            [0.0, 0.0, gain(0.5, 0.0) * drop(1.0, 3.0)],
            [0.0; 3],
        ];
        let scores = matrix(&[&[1.0, 0.5, 0.0]]);
        let weights = lambda_weights(&batch, scores, matrix(&[&[0.5, 2.0, -1.0]])).unwrap();
        for (got, expected) in weights.try_to_vec_as::<f64>().unwrap().iter().zip(expected.as_flattened()) {
            close(*got, *expected, 1e-14);
        }
        let sum = expected[0][1] * pair(-1.5) + expected[0][2] * pair(1.5) + expected[1][2] * pair(3.0);
        close(losses(&lipo(PairWeighting::Lambda, PairReduction::Sum), &batch)[0], sum, 1e-14);
        close(losses(&lipo(PairWeighting::Lambda, PairReduction::Mean), &batch)[0], sum / 3.0, 1e-14);
    }

    #[test]
    fn lambda_weights_carry_no_gradient() {
        // dL/ds_1 = −w σ(−h) for the one pair.
        let grad = grad_of_losses(&lipo(PairWeighting::Lambda, PairReduction::Sum), &list(&[0.5, 0.2], &[1.0, 0.0]));
        let weight = discount(1.0) - discount(2.0);
        close(grad[0], -weight / (1.0 + 0.3f64.exp()), 1e-14);
        close(grad[1], weight / (1.0 + 0.3f64.exp()), 1e-14);
    }

    #[test]
    fn equal_rewards_are_ranked_against_the_scores() {
        // A policy at its reference: the worst candidate counts as the first, so every pair is out of order.
        let places = [3.0, 1.0, 2.0];
        let weights =
            lambda_weights(&list(&[0.0; 3], &[1.0, 0.0, 0.5]), matrix(&[&[1.0, 0.0, 0.5]]), matrix(&[&[0.0; 3]]));
        let weights = weights.unwrap().try_to_vec_as::<f64>().unwrap();
        close(weights[1], discount(places[1]) - discount(places[0]), 1e-14);
        close(weights[2], (2.0 - 0.5f64.exp2()) * (discount(places[2]) - discount(places[0])), 1e-14);
        // Equal in both: the same place, so that no order of the input matters.
        let shared =
            lambda_weights(&list(&[0.0; 3], &[1.0, 0.0, 0.0]), matrix(&[&[1.0, 0.0, 0.0]]), matrix(&[&[0.0; 3]]));
        let shared = shared.unwrap().try_to_vec_as::<f64>().unwrap();
        assert_eq!(shared[1], shared[2]);
        close(shared[1], discount(1.0) - discount(3.0), 1e-14);
    }

    #[test]
    fn ties_have_no_weight() {
        for weighting in [PairWeighting::Uniform, PairWeighting::Lambda] {
            let output = lipo(weighting, PairReduction::Mean).forward(&list(&[1.0, 2.0], &[0.5, 0.5])).unwrap();
            assert_eq!((values(&output.losses), values(&output.weights)), (vec![0.0], vec![0.0]));
        }
    }

    #[test]
    fn a_pair_of_weight_zero_may_hold_anything() {
        let weights = Tensor::cat(vec![matrix(&[&[0.0, 1.0, 0.0]]), matrix(&[&[0.0; 3]]), matrix(&[&[0.0; 3]])], 0);
        let rewards = matrix(&[&[1.0, 0.0, f64::NAN]]);
        let loss = weighted_pairs_loss(rewards.clone(), weights.clone().unsqueeze_dim(0)).unwrap();
        close(values(&loss)[0], pair(1.0), 1e-15);
        let error = weighted_pairs_loss(rewards, weights.unsqueeze_dim(1)).unwrap_err().to_string();
        assert_eq!(error, "`weights`: expected shape [1, 3, 3], got [3, 1, 3]");
    }

    #[test]
    fn settings_and_shapes_are_checked() {
        let config = LipoConfig::new();
        assert_eq!(
            (config.beta, config.weighting, config.reduction),
            (0.1, PairWeighting::Lambda, PairReduction::Mean)
        );
        for beta in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(config.clone().with_beta(beta).init().unwrap_err().to_string().starts_with("`beta`"));
        }
        let (batch, one, two) = (list(&[0.0, 0.0], &[1.0, 0.0]), matrix(&[&[1.0]]), matrix(&[&[1.0, 0.0]]));
        let name = |error: crate::Error| error.to_string().split('`').nth(1).map(str::to_owned);
        assert_eq!(name(lambda_weights(&batch, one.clone(), two.clone()).unwrap_err()).unwrap(), "scores");
        assert_eq!(name(lambda_weights(&batch, two, one.clone()).unwrap_err()).unwrap(), "rewards");
        let loss = lipo_loss(&batch, one, 1.0, PairWeighting::Uniform, PairReduction::Sum);
        assert_eq!(name(loss.unwrap_err()).unwrap(), "ratios");
    }

    accordant_laws::listwise_laws!(
        all_pairs_obey_the_laws,
        "lipo with uniform weights",
        lipo(PairWeighting::Uniform, PairReduction::Mean),
        [],
        [
            ShiftInvariant,
            PermutationOfCandidates,
            TiesSayNothing,
            DecreasingInChosen,
            IncreasingInRejected,
            ConvexInMargin,
            LowerBound(0.0),
        ]
    );

    // Not declared: a shift, which rounds equal rewards to unequal ones.
    accordant_laws::listwise_laws!(
        lambda_weights_obey_the_laws,
        "lipo",
        LipoConfig::new().init().unwrap(),
        [],
        [PermutationOfCandidates, TiesSayNothing, LowerBound(0.0)]
    );
}
