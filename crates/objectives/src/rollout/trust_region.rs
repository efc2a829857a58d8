//! Trust region by an adaptive penalty (TRPO-style, PPO-penalty).
//!
//! **Paper:** Trust Region Policy Optimization (2015), 1502.05477; the penalty and its adaptation: Proximal Policy
//! Optimization Algorithms (2017), 1707.06347, eq. 8 and section 4.
//! **Use when:** the step shall be bounded by a divergence rather than by a clip.
//! **Checked by:** hand-worked values and gradients, its parts, laws of methods.
//! **Deviations:** a penalty with an adapted weight stands for TRPO's constraint and its natural gradient, as in the second
//! paper; the divergence is estimated from the sampled tokens.

use accordant_ops::{check_domain, reduce::Aggregation};
use burn::config::Config;

use super::{Method, PolicyGradient, PolicyGradientConfig, RatioLevel, surrogate::importance::ImportanceConfig};
use crate::{Result, advantage::group_normalized::GroupNormalizedConfig};

/// Configuration of the trust region method, a point of the [grid](PolicyGradient).
///
/// ```text
/// mean over tokens of  −A ρ + β (ρ − 1 − log ρ)        (PPO, eq. 8)
/// ```
///
/// where the second term is KL(π_old ‖ π) on average. Between updates a [`TrustRegion`] adapts β to what the metric
/// `policy/approx_kl_k3` says, which is the same estimate.
///
/// # Example
/// ```
/// use accordant_objectives::rollout::trust_region::{TrustRegion, TrustRegionConfig};
/// let mut region = TrustRegion::new(1.0, 0.01)?;
/// // After an update that moved the policy by 0.02 nats, twice the target:
/// let kl_coef = region.update(0.02)?;
/// assert_eq!(kl_coef, 2.0);
/// let next = TrustRegionConfig::new().with_kl_coef(kl_coef).init()?;
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "1502.05477")]
#[doc(alias = "TRPO")]
#[doc(alias = "PPO-penalty")]
#[doc(alias = "1707.06347")]
#[derive(Config, Debug, PartialEq)]
pub struct TrustRegionConfig {
    /// Weight of the divergence from the old policy, finite and ≥ 0. 1: where the second paper starts.
    #[config(default = 1.0)]
    pub kl_coef: f64,
}

impl TrustRegionConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<PolicyGradient> {
        PolicyGradientConfig::new(RatioLevel::Token, Aggregation::TokenMean).init(
            "trust_region",
            GroupNormalizedConfig::new().init()?,
            ImportanceConfig::new().with_kl_coef(self.kl_coef).init()?,
        )
    }
}

/// `trust_region` by name.
pub const METHOD: Method = Method {
    name: "trust_region",
    title: "Trust Region by an Adaptive Penalty",
    build: |options| Ok(Box::new(options.apply("trust_region", TrustRegionConfig::new())?.init()?)),
};

/// The weight of a divergence, doubled when the policy moves too far and halved when it hardly moves.
///
/// ```text
/// β ← 2 β   if kl > 1.5 target
/// β ← β/2   if kl < target / 1.5
/// ```
///
/// To checkpoint it, keep [`TrustRegion::kl_coef`] and construct it anew.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrustRegion {
    kl_coef: f64,
    target: f64,
}

impl TrustRegion {
    /// How far from its target, as a factor, the divergence may be (the second paper's 1.5).
    const TOLERANCE: f64 = 1.5;

    /// Starts at `kl_coef`; `target` is a divergence in nats for each token. Both finite and > 0. The second paper has 1
    /// and 0.003, 0.01 or 0.03.
    ///
    /// # Errors
    /// A domain error naming the argument.
    pub fn new(kl_coef: f64, target: f64) -> Result<Self> {
        for (name, value) in [("kl_coef", kl_coef), ("target", target)] {
            check_domain(value.is_finite() && value > 0.0, name, "finite and > 0", value)?;
        }
        Ok(Self { kl_coef, target })
    }

    /// The current weight, > 0.
    pub fn kl_coef(&self) -> f64 {
        self.kl_coef
    }

    /// Adapts the weight to the divergence that an update has made, and returns it.
    ///
    /// # Errors
    /// A domain error when `observed_kl` is NaN; the weight is then as before.
    pub fn update(&mut self, observed_kl: f64) -> Result<f64> {
        check_domain(!observed_kl.is_nan(), "observed_kl", "a number", observed_kl)?;
        let factor = match observed_kl / self.target {
            ratio if ratio > Self::TOLERANCE => 2.0,
            ratio if ratio < 1.0 / Self::TOLERANCE => 0.5,
            _ => 1.0,
        };
        // However long it goes on: `new` would refuse the weight of a checkpoint.
        self.kl_coef = (self.kl_coef * factor).clamp(f64::MIN_POSITIVE, f64::MAX);
        Ok(self.kl_coef)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollout::tests::{assert_parts, close, two_rows};

    #[test]
    fn it_is_this_point_of_the_grid() {
        assert_parts(
            &TrustRegionConfig::new().init().unwrap(),
            PolicyGradientConfig::new(RatioLevel::Token, Aggregation::TokenMean),
            GroupNormalizedConfig::new().init().unwrap(),
            ImportanceConfig::new().with_kl_coef(1.0).init().unwrap(),
        );
        let error = TrustRegionConfig::new().with_kl_coef(-1.0).init().unwrap_err().to_string();
        assert!(error.starts_with("`kl_coef`"), "{error}");
    }

    #[test]
    fn two_responses_by_hand() {
        let loss = |x: f64, advantage: f64| -advantage * x.exp() + 3.0 * (x.exp() - 1.0 - x);
        let objective = TrustRegionConfig::new().with_kl_coef(3.0).init().unwrap();
        let expected = (loss(0.5, 1.0) + loss(-0.1, 1.0) + loss(-0.3, -2.0)) / 3.0;
        close(&[two_rows(&objective)], &[expected], 1e-14);
    }

    #[test]
    fn the_weight_doubles_beyond_the_target_and_halves_below_it() {
        let mut region = TrustRegion::new(3.0, 0.02).unwrap();
        for (observed, expected) in
            [(0.02, 3.0), (0.029, 3.0), (0.0135, 3.0), (0.031, 6.0), (0.0132, 3.0), (-1.0, 1.5), (f64::INFINITY, 3.0)]
        {
            assert_eq!((region.update(observed).unwrap(), region.kl_coef()), (expected, expected), "{observed}");
        }
        // At the tolerance itself nothing changes: 3 is 1.5 times 2.
        assert_eq!(TrustRegion::new(3.0, 2.0).unwrap().update(3.0).unwrap(), 3.0);
        assert_eq!(region.update(f64::NAN).unwrap_err().to_string(), "`observed_kl`: expected a number, got NaN");
        assert_eq!(region.kl_coef(), 3.0);
        for observed in [0.0, 1.0] {
            for _ in 0..5000 {
                region.update(observed).unwrap();
            }
            assert!(TrustRegion::new(region.kl_coef(), 1.0).is_ok(), "{observed}");
        }
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(TrustRegion::new(bad, 1.0).unwrap_err().to_string().starts_with("`kl_coef`"));
            assert!(TrustRegion::new(1.0, bad).unwrap_err().to_string().starts_with("`target`"));
        }
    }
}
