//! Geometric mean of clipped ratios (GMPO).
//!
//! **Paper:** Geometric-Mean Policy Optimization (2025), 2507.20673.
//! **Use when:** single tokens with extreme ratios unsettle GRPO: a geometric mean is less moved by them than a mean.
//! **Checked by:** golden numbers (TRL), hand-worked values and gradients, finite differences, laws of surrogates.
//! **Deviations:** none. A response without a token adds 0 to a mean that counts it, where TRL's adds −A, a constant.

use accordant_ops::{check_domain, masked::masked_mean, reduce::Aggregation};
use burn::{
    config::Config,
    tensor::{Bool, Tensor},
};

use super::{Clipped, Method, Surrogate, Tokens, check_like};
use crate::{Error, Result, rollout::RatioLevel};

/// Losses of responses, at each of their tokens.
///
/// ```text
/// c_t = min(log ρ_t, ε_high)   where A > 0
///       max(log ρ_t, −ε_low)   elsewhere
/// f   = −A exp(mean_t c_t)
/// ```
///
/// A token has no gradient beyond its bound; the mean is one of the tokens that are `learned`, and a response without any
/// has ratio 1. At ρ = 1 the loss is −A. Average the result over the tokens of a row and over rows.
///
/// # Shapes
/// `log_ratios` of tokens, `advantages` (constants), `learned` and the result: `[rows, seq]`. Finite as long as
/// `exp(log_ratio)` is.
///
/// # Errors
/// A shape or dtype error naming `advantages`; a shape error naming `mask`.
///
/// # Example
/// ```
/// use accordant_objectives::rollout::surrogate::gmpo::{GmpoConfig, gmpo_losses};
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let row = |values: [f32; 2]| Tensor::<2>::from_floats([values], &device);
/// let learned = Tensor::full([1, 2], true, &device);
/// let losses = gmpo_losses(row([1.0, -0.2]), row([1.0, 1.0]), learned, &GmpoConfig::new())?;
/// let losses = losses.into_data().try_to_vec::<f32>().unwrap();
/// assert!(losses.iter().all(|loss| (loss + 0.1f32.exp()).abs() < 1e-6)); // (0.4 − 0.2) / 2
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2507.20673")]
pub fn gmpo_losses(
    log_ratios: Tensor<2>,
    advantages: Tensor<2>,
    learned: Tensor<2, Bool>,
    config: &GmpoConfig,
) -> Result<Tensor<2>> {
    check_like("advantages", &log_ratios, &advantages)?;
    let advantages = advantages.detach();
    let gains = advantages.clone().greater_scalar(0.0);
    let low = log_ratios.clone().clamp_min(-config.clip_low);
    let clipped = low.mask_where(gains, log_ratios.clamp_max(config.clip_high));
    let ratios = masked_mean(clipped, learned)?.exp();
    Ok(-advantages * ratios.unsqueeze_dim::<2>(1))
}

/// Configuration of [`Gmpo`].
#[derive(Config, Debug, PartialEq)]
pub struct GmpoConfig {
    /// How far a log-ratio may fall, in nats, finite and ≥ 0. 0.4: the paper's.
    #[config(default = 0.4)]
    pub clip_low: f64,
    /// How far a log-ratio may rise, in nats, finite and ≥ 0. 0.4: the paper's.
    #[config(default = 0.4)]
    pub clip_high: f64,
}

impl GmpoConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<Gmpo> {
        for (name, clip) in [("clip_low", self.clip_low), ("clip_high", self.clip_high)] {
            check_domain(clip.is_finite() && clip >= 0.0, name, "finite and >= 0", clip)?;
        }
        Ok(Gmpo { config: self.clone() })
    }
}

/// The surrogate of geometric means; see [`gmpo_losses`].
#[derive(Debug, Clone, PartialEq)]
pub struct Gmpo {
    config: GmpoConfig,
}

/// `gmpo` by name.
pub const METHOD: Method = Method {
    name: "gmpo",
    title: "Geometric Mean of Clipped Ratios",
    build: |options| Ok(Box::new(options.apply("gmpo", GmpoConfig::new())?.init()?)),
};

impl Surrogate for Gmpo {
    fn name(&self) -> &'static str {
        "gmpo"
    }

    fn losses(&self, tokens: &Tokens) -> Result<Tensor<2>> {
        let (log_ratios, learned) = (tokens.log_ratios.clone(), tokens.learned.clone());
        gmpo_losses(log_ratios, tokens.advantages.clone(), learned, &self.config)
    }

    fn clipped(&self, log_ratio: f64, advantage: f64) -> Option<Clipped> {
        match self.config {
            GmpoConfig { clip_low, .. } if advantage < 0.0 && log_ratio < -clip_low => Some(Clipped::Low),
            GmpoConfig { clip_high, .. } if advantage > 0.0 && log_ratio > clip_high => Some(Clipped::High),
            _ => None,
        }
    }

    fn is_of_rows(&self) -> bool {
        true
    }

    fn check(&self, ratio: RatioLevel, _aggregation: Aggregation) -> Result<()> {
        if ratio != RatioLevel::Token {
            return Err(Error::Combination {
                what: "a geometric mean of ratios of responses",
                reason: "it is one of the ratios of tokens, which it clips; take `RatioLevel::Token`",
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use accordant_laws::gradient::check_gradient;

    use super::*;
    use crate::rollout::{
        surrogate::tests::{close, row},
        tests::{host, mask, matrix},
    };

    fn gmpo() -> Gmpo {
        GmpoConfig::new().with_clip_low(0.3).init().unwrap()
    }

    #[test]
    fn each_token_is_clipped_on_its_advantages_side_before_the_mean() {
        // A gain: 0.9 counts 0.4 and −0.7 itself; a cost: −0.7 counts −0.3 and 0.9 itself.
        let (losses, slopes) = row(&gmpo(), [0.9, -0.7, 0.1], 2.0);
        let ratio = ((0.4f64 - 0.7 + 0.1) / 3.0).exp();
        close(&losses, &[-2.0 * ratio; 3], 1e-15);
        close(&slopes, &[0.0, -2.0 * ratio, -2.0 * ratio], 1e-14);
        let (losses, slopes) = row(&gmpo(), [0.9, -0.7, 0.1], -0.5);
        let ratio = ((0.9f64 - 0.3 + 0.1) / 3.0).exp();
        close(&losses, &[0.5 * ratio; 3], 1e-15);
        close(&slopes, &[0.5 * ratio, 0.0, 0.5 * ratio], 1e-14);
    }

    #[test]
    fn gradients_are_those_of_finite_differences() {
        for advantage in [1.5, -0.5] {
            let at = [0.2, -0.1, 0.9];
            let (_, slopes) = row(&gmpo(), at, advantage);
            let sum = |x: &[f64]| row(&gmpo(), [x[0], x[1], x[2]], advantage).0.iter().sum::<f64>();
            check_gradient(sum, &at, &slopes).unwrap();
        }
    }

    #[test]
    fn the_mean_is_one_of_the_tokens_that_are_learned() {
        let (ratios, ones) = (matrix([[0.1, 0.3], [0.1, 0.3]]), matrix([[1.0, 1.0], [1.0, 1.0]]));
        let learned = mask([[true, false], [false, false]]);
        let losses = gmpo_losses(ratios, ones, learned, &GmpoConfig::new()).unwrap();
        close(&host(losses), &[-0.1f64.exp(), -0.1f64.exp(), -1.0, -1.0], 1e-15);
    }

    #[test]
    fn clipped_tokens_are_told_by_their_log_ratio() {
        assert_eq!(gmpo().clipped(0.41, 1.0), Some(Clipped::High));
        assert_eq!(gmpo().clipped(0.39, 1.0), None);
        assert_eq!(gmpo().clipped(0.41, -1.0), None);
        assert_eq!(gmpo().clipped(-0.31, -1.0), Some(Clipped::Low));
        assert_eq!(gmpo().clipped(-0.29, -1.0), None);
        assert_eq!(gmpo().clipped(-0.31, 1.0), None);
        assert_eq!((gmpo().clipped(-9.0, 0.0), gmpo().clipped(9.0, 0.0)), (None, None));
    }

    #[test]
    fn defaults_and_refused_values() {
        assert_eq!(GmpoConfig::new(), GmpoConfig { clip_low: 0.4, clip_high: 0.4 });
        for clip in [-0.1, f64::NAN, f64::INFINITY] {
            let error = GmpoConfig::new().with_clip_low(clip).init().unwrap_err().to_string();
            assert_eq!(error, format!("`clip_low`: expected finite and >= 0, got {clip}"));
            assert!(GmpoConfig::new().with_clip_high(clip).init().unwrap_err().to_string().starts_with("`clip_high`"));
        }
        let refused = |ratio| gmpo().check(ratio, Aggregation::SequenceMean).is_err();
        assert!(refused(RatioLevel::Sequence) && refused(RatioLevel::Group) && !refused(RatioLevel::Token));
    }
}
