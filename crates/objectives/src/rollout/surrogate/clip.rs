//! Clipped importance ratio (PPO-clip), with two-sided and dual clipping.
//!
//! **Paper:** Proximal Policy Optimization Algorithms (2017), 1707.06347, eq. 7; dual clip: Mastering Complex Control in
//! MOBA Games with Deep Reinforcement Learning (2019), 1912.09729, eq. 5.
//! **Use when:** several updates are made with the same rollouts; the surrogate to try first.
//! **Checked by:** golden numbers (TRL), hand-worked values and gradients, laws, finite differences.
//! **Deviations:** none. The upper bound may differ from the lower one (DAPO's clip-higher).

use accordant_ops::{check_domain, stable::exp};
use burn::{config::Config, tensor::Tensor};

use super::{Clipped, Method, Surrogate, Tokens, check_like};
use crate::Result;

/// Clipped losses, one for each token.
///
/// ```text
/// f = max(−A ρ, −A clip(ρ, 1 − ε_low, 1 + ε_high)),   ρ = exp(log_ratio)      (PPO, eq. 7)
/// f = min(f, −A c)   where A < 0                                              (dual clip, eq. 5)
/// ```
///
/// `ratio_max` bounds the unclipped ratio alone: a negative advantage then never costs more than `−A ratio_max`.
///
/// No gradient where `A > 0` and `ρ > 1 + ε_high`, or `A < 0` and `ρ < 1 − ε_low`. At ρ = 1 the loss is −A.
///
/// # Shapes
/// `log_ratios`, `advantages` (a constant) and the result: `[rows, seq]`. Finite as long as `exp(log_ratio)` is.
///
/// # Errors
/// A shape or dtype error naming the argument.
///
/// # Example
/// ```
/// use accordant_objectives::rollout::surrogate::clip::{ClipConfig, clip_losses};
/// use burn::tensor::{Device, Tensor};
/// let row = |values: [f32; 2]| Tensor::<2>::from_floats([values], &Device::flex());
/// let ratios = row([1.5f32.ln(), 1.5f32.ln()]);
/// let losses = clip_losses(ratios, row([1.0, -1.0]), &ClipConfig::new())?;
/// let losses = losses.into_data().try_to_vec::<f32>().unwrap();
/// assert_eq!(losses, [-1.2, 1.5]); // the gain is bounded, the cost is not
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "1707.06347")]
#[doc(alias = "1912.09729")]
#[doc(alias = "PPO-clip")]
#[doc(alias = "dual clip")]
pub fn clip_losses(log_ratios: Tensor<2>, advantages: Tensor<2>, config: &ClipConfig) -> Result<Tensor<2>> {
    check_like("advantages", &log_ratios, &advantages)?;
    let (ratios, costs) = (exp(log_ratios), -advantages.detach());
    let clipped = ratios.clone().clamp(1.0 - config.clip_low, 1.0 + config.clip_high) * costs.clone();
    let free = match config.ratio_max {
        Some(max) => ratios.clamp_max(max),
        None => ratios,
    };
    let losses = (free * costs.clone()).max_pair(clipped);
    let Some(dual) = config.dual_clip else { return Ok(losses) };
    let is_cost = costs.clone().greater_scalar(0.0);
    let bounded = losses.clone().min_pair(costs * dual);
    Ok(losses.mask_where(is_cost, bounded))
}

/// Configuration of [`Clip`].
#[derive(Config, Debug, PartialEq)]
pub struct ClipConfig {
    /// ε below 1, in `[0, 1]`. 0.2: the paper's.
    #[config(default = 0.2)]
    pub clip_low: f64,
    /// ε above 1, finite and ≥ 0. 0.2: the paper's; DAPO takes 0.28.
    #[config(default = 0.2)]
    pub clip_high: f64,
    /// Bound of the unclipped ratio, finite and > 1 + `clip_high`; TRL's `delta`. None: the paper's.
    #[config(default = "None")]
    pub ratio_max: Option<f64>,
    /// The most that a negative advantage costs, in units of itself, finite and > 1. None: off as in TRL and OpenRLHF;
    /// verl takes 3.
    #[config(default = "None")]
    pub dual_clip: Option<f64>,
}

impl ClipConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<Clip> {
        let Self { clip_low, clip_high, ratio_max, dual_clip } = *self;
        check_domain((0.0..=1.0).contains(&clip_low), "clip_low", "in [0, 1]", clip_low)?;
        check_domain(clip_high.is_finite() && clip_high >= 0.0, "clip_high", "finite and >= 0", clip_high)?;
        if let Some(max) = ratio_max {
            check_domain(max.is_finite() && max > 1.0 + clip_high, "ratio_max", "finite and > 1 + clip_high", max)?;
        }
        if let Some(dual) = dual_clip {
            check_domain(dual.is_finite() && dual > 1.0, "dual_clip", "finite and > 1", dual)?;
        }
        let dual = dual_clip.map_or(f64::INFINITY, f64::ln);
        let log_bounds = LogBounds { low: (-clip_low).ln_1p(), high: clip_high.ln_1p(), dual };
        Ok(Clip { config: self.clone(), log_bounds })
    }
}

/// The clipped surrogate; see [`clip_losses`].
#[derive(Debug, Clone, PartialEq)]
pub struct Clip {
    config: ClipConfig,
    log_bounds: LogBounds,
}

/// The bounds of the ratio as logarithms, so that counting what is clipped exponentiates nothing.
#[derive(Debug, Clone, Copy, PartialEq)]
struct LogBounds {
    low: f64,
    high: f64,
    dual: f64,
}

/// `clip` by name.
pub const METHOD: Method = Method {
    name: "clip",
    title: "Clipped Importance Ratio",
    build: |options| Ok(Box::new(options.apply("clip", ClipConfig::new())?.init()?)),
};

impl Surrogate for Clip {
    fn name(&self) -> &'static str {
        "clip"
    }

    fn losses(&self, tokens: &Tokens) -> Result<Tensor<2>> {
        clip_losses(tokens.log_ratios.clone(), tokens.advantages.clone(), &self.config)
    }

    fn clipped(&self, log_ratio: f64, advantage: f64) -> Option<Clipped> {
        let LogBounds { low, high, dual } = self.log_bounds;
        match advantage {
            cost if cost < 0.0 && log_ratio > dual => Some(Clipped::Dual),
            cost if cost < 0.0 && log_ratio < low => Some(Clipped::Low),
            gain if gain > 0.0 && log_ratio > high => Some(Clipped::High),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_at_a_bound_is_not_clipped() {
        let clip = ClipConfig::new().with_dual_clip(Some(3.0)).init().unwrap();
        let LogBounds { low, high, dual } = clip.log_bounds;
        assert_eq!([clip.clipped(low, -1.0), clip.clipped(high, 1.0), clip.clipped(dual, -1.0)], [None; 3]);
        assert_eq!(clip.clipped(low - 1e-9, -1.0), Some(Clipped::Low));
    }
}
