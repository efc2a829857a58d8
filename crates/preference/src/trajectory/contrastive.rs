//! Contrastive preference learning (CPL): segments are scored by the policy that is learned, without a reward.
//!
//! **Paper:** Contrastive Preference Learning: Learning from Human Feedback without RL (2023), 2310.13639.
//! **Use when:** judges see regret, and a policy is wanted rather than a reward.
//! **Checked by:** hand-worked values, gradients, Bradley-Terry at bias 1, the pair mask of the ranking loss.
//! **Deviations:** the released code's mean over ranked pairs counts those of a loss other than 0; ours counts the pairs.

use accordant_ops::{
    check_domain, check_shape,
    stable::{log_sigmoid, softplus},
};
use burn::{config::Config, tensor::Tensor};

use super::Steps;
use crate::{
    Nll, Result,
    pairwise::{Outcomes, PairScores, PairwiseLoss, PairwiseModel},
};

/// Advantages of segments by their policy, `A(σ) = Σ_t γ^t α log π(a_t | s_t)`.
///
/// # Shapes
/// `logps`: `[n, time]`, in nats; to `[n]`. `temperature`, α: finite and > 0, 0.1 in the released configurations; `discount`:
/// in (0, 1].
///
/// # Errors
/// A domain error naming `temperature` or `discount`.
#[doc(alias = "2310.13639")]
pub fn segment_advantages(logps: &Steps, temperature: f64, discount: f64) -> Result<Tensor<1>> {
    check_domain(temperature.is_finite() && temperature > 0.0, "temperature", "finite and > 0", temperature)?;
    Ok(logps.sums(discount)? * temperature)
}

/// Log-densities of actions under a Gaussian policy as the released code has them, `−‖a − μ‖²`: no ½ and no constant.
///
/// # Shapes
/// `actions` and `means`: `[n, time, dim]`, to `[n, time]`.
///
/// # Errors
/// A shape error naming `means`.
pub fn gaussian_logps(actions: Tensor<3>, means: Tensor<3>) -> Result<Tensor<2>> {
    check_shape("means", &actions.dims(), &means.dims())?;
    Ok(-(actions - means).square().sum_dim(2).squeeze_dim(2))
}

/// Configuration of [`Contrastive`].
#[derive(Config, Debug, PartialEq)]
pub struct ContrastiveConfig {
    /// How much the worse segment's advantage counts, λ, in (0, 1]; below 1 it makes up for segments that the policy was
    /// never shown. 0.5: all released configurations.
    #[config(default = 0.5)]
    pub bias: f64,
}

impl ContrastiveConfig {
    /// Checks the field.
    ///
    /// # Errors
    /// A domain error naming `bias`.
    pub fn init(&self) -> Result<Contrastive> {
        check_domain(self.bias > 0.0 && self.bias <= 1.0, "bias", "in (0, 1]", self.bias)?;
        Ok(Contrastive { bias: self.bias })
    }
}

/// The loss of pairs of segments, whose scores are their advantages.
///
/// ```text
/// loss = t softplus(−(A₁ − λ A₂)) + (1 − t) softplus(−(A₂ − λ A₁))
/// ```
///
/// At λ = 1 Bradley-Terry's. Below it is no likelihood: chances would not sum to 1, and [`PairwiseModel::outcomes`] are those
/// at λ = 1. Margins and offsets of the pairs have no place in it.
///
/// # Example
/// ```
/// use accordant_preference::{pairwise::{PairScores, PairwiseLoss}, trajectory::contrastive::ContrastiveConfig};
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// // −1 − ½ · (−2) = 0
/// let pairs = PairScores::new(Tensor::from_floats([-1.0], &device), Tensor::from_floats([-2.0], &device))?;
/// let loss = ContrastiveConfig::new().init()?.forward(&pairs)?.losses.into_scalar::<f32>();
/// assert!((loss - 2f32.ln()).abs() < 1e-6);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[doc(alias = "2310.13639")]
#[doc(alias = "CPL")]
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Contrastive {
    bias: f64,
}

impl PairwiseLoss for Contrastive {
    fn forward(&self, pairs: &PairScores) -> Result<Nll> {
        let (first, second, targets) = (pairs.first(), pairs.second(), pairs.targets());
        let one = |better: &Tensor<1>, worse: &Tensor<1>| softplus(worse.clone() * self.bias - better.clone());
        let losses = one(&first, &second) * targets.clone() + one(&second, &first) * (targets.neg() + 1.0);
        pairs.nll(losses)
    }
}

impl PairwiseModel for Contrastive {
    fn outcomes(&self, pairs: &PairScores) -> Result<Outcomes> {
        let leads = pairs.differences();
        Ok(Outcomes { first: log_sigmoid(leads.clone()), tie: None, second: log_sigmoid(-leads) })
    }
}

/// All ordered pairs of a batch of segments with numbers that say how good each is, the better one first; none of equal
/// numbers. For segments that were rated rather than compared.
///
/// # Shapes
/// `advantages`: `[n]`; `ratings`: one for each. The pairs come row by row.
///
/// # Errors
/// [`crate::Error::Length`] naming `ratings`, [`crate::Error::Record`] for a NaN, [`crate::Error::Empty`] when all are
/// equal.
pub fn ranked_pairs(advantages: &Tensor<1>, ratings: &[f64]) -> Result<PairScores> {
    let [n] = advantages.dims();
    crate::error::check_length("ratings", n, ratings.len())?;
    for (row, &rating) in ratings.iter().enumerate() {
        crate::error::check_record(!rating.is_nan(), row, "rating", "a number", rating)?;
    }
    let all = (0..n).flat_map(|better| (0..n).map(move |worse| (better, worse)));
    let pairs = all.filter(|&(better, worse)| ratings[better] > ratings[worse]);
    let pairs: Vec<_> =
        pairs.map(|(better, worse)| crate::process::tree::StepPair { better, worse, weight: 1.0 }).collect();
    crate::process::tree::sibling_scores(advantages, &pairs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Error,
        pairwise::bradley_terry::BradleyTerryConfig,
        trajectory::testing::{check, close, mask, pairs, rows, tensor, values},
    };

    #[test]
    fn losses_by_hand_and_bradley_and_terrys_without_bias() {
        let scored = pairs(&[-1.0, -1.0, 2.0], &[-2.0, -2.0, 0.5]).with_targets(tensor(&[1.0, 0.0, 0.25])).unwrap();
        let losses =
            |bias| values(ContrastiveConfig::new().with_bias(bias).init().unwrap().forward(&scored).unwrap().losses);
        let plus = |z: f64| z.exp().ln_1p();
        // A₁ − ½ A₂ = 0; A₂ − ½ A₁ = −1.5; 1.75 and −0.5.
        close(&losses(0.5), &[2f64.ln(), plus(1.5), 0.25 * plus(-1.75) + 0.75 * plus(0.5)], 1e-12);
        let plain = BradleyTerryConfig::new().init().unwrap();
        close(&losses(1.0), &values(plain.forward(&scored).unwrap().losses), 1e-12);
    }

    #[test]
    fn chances_sum_to_one_whatever_the_bias() {
        let model = ContrastiveConfig::new().init().unwrap();
        let outcomes = model.outcomes(&pairs(&[3f64.ln(), -2.0], &[0.0, 1.0])).unwrap();
        let (first, second) = (values(outcomes.first.exp()), values(outcomes.second.exp()));
        close(&[first[0], first[0] + second[0], first[1] + second[1]], &[0.75, 1.0, 1.0], 1e-12);
    }

    #[test]
    fn advantages_are_discounted_and_scaled() {
        let logps = Steps::new(rows([[-1.0, -2.0, f64::NAN]]), mask([[1, 1, 0]])).unwrap();
        close(&values(segment_advantages(&logps, 0.1, 0.5).unwrap()), &[-0.2], 1e-12);
        let tensor3 = |x: [f64; 4]| tensor(&x).reshape([1, 2, 2]);
        let logps = gaussian_logps(tensor3([1.0, 2.0, 0.0, 0.0]), tensor3([0.0, 4.0, 0.0, 0.5])).unwrap();
        close(&values(logps), &[-5.0, -0.25], 1e-12);
    }

    #[test]
    fn gradients_are_derivatives() {
        let model = ContrastiveConfig::new().with_bias(0.7).init().unwrap();
        check(&[-1.0, -0.3, -2.0, -0.9], |x| {
            let scored = PairScores::new(x.clone().narrow(0, 0, 2), x.narrow(0, 2, 2)).unwrap();
            model.forward(&scored.with_targets(tensor(&[1.0, 0.3])).unwrap()).unwrap().losses
        });
    }

    #[test]
    fn every_ordered_pair_of_unequal_ratings_counts_even_if_its_loss_is_0() {
        let scored = ranked_pairs(&tensor(&[900.0, 0.0, 5.0, -900.0]), &[3.0, 1.0, 1.0, 0.0]).unwrap();
        assert_eq!(values(scored.first()), [900.0, 900.0, 900.0, 0.0, 5.0]);
        assert_eq!(values(scored.second()), [0.0, 5.0, -900.0, -900.0, -900.0]);
        let nll = ContrastiveConfig::new().with_bias(1.0).init().unwrap().forward(&scored).unwrap();
        assert_eq!(nll.means().mean("num_items"), Some(5.0));
        assert!(matches!(ranked_pairs(&tensor(&[1.0, 2.0]), &[1.0; 2]), Err(Error::Empty { .. })));
        assert!(matches!(ranked_pairs(&tensor(&[1.0]), &[]), Err(Error::Length { name: "ratings", .. })));
        assert!(matches!(ranked_pairs(&tensor(&[1.0]), &[f64::NAN]), Err(Error::Record { name: "rating", .. })));
    }

    #[test]
    fn fields_and_shapes_are_checked() {
        for bad in [0.0, 1.1, f64::NAN] {
            let error = ContrastiveConfig::new().with_bias(bad).init().unwrap_err();
            assert!(error.to_string().starts_with("`bias`"));
        }
        assert_eq!(ContrastiveConfig::new().bias, 0.5);
        let logps = Steps::full(rows([[-1.0]]));
        for bad in [0.0, f64::NAN, f64::INFINITY] {
            assert!(segment_advantages(&logps, bad, 1.0).unwrap_err().to_string().starts_with("`temperature`"));
        }
        assert!(segment_advantages(&logps, 1.0, 0.0).unwrap_err().to_string().starts_with("`discount`"));
        let error =
            gaussian_logps(tensor(&[1.0]).reshape([1, 1, 1]), tensor(&[1.0, 2.0]).reshape([1, 1, 2])).unwrap_err();
        assert!(error.to_string().starts_with("`means`"));
    }
}
