//! The adaptive KL coefficient: a controller that keeps a policy near its reference.

use crate::{Result, check_domain};

/// The adaptive KL coefficient of Ziegler et al. (2019), 1909.08593, section 2.2.
///
/// ```text
/// error = clip(kl / target - 1, -0.2, 0.2)
/// kl_coef ← kl_coef · (1 + error · num_steps / horizon)
/// ```
///
/// This is the form of their code, and of TRL's; the paper writes a constant gain of 0.1 for `num_steps / horizon`.
/// To checkpoint it, keep [`AdaptiveKl::kl_coef`] and construct it anew.
///
/// # Example
/// ```
/// use accordant_ops::adaptive_kl::AdaptiveKl;
/// let mut controller = AdaptiveKl::new(0.2, 6.0, 10_000.0)?;
/// // Twice the target is an error of 1, clipped to 0.2: 0.2 · (1 + 0.2 · 256 / 10000).
/// assert_eq!(controller.update(12.0, 256)?, 0.2 * 1.00512);
/// # Ok::<(), accordant_ops::Error>(())
/// ```
#[doc(alias = "1909.08593")]
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdaptiveKl {
    kl_coef: f64,
    target: f64,
    horizon: f64,
}

impl AdaptiveKl {
    /// The largest relative error that one update acts on (the paper's 0.2).
    const MAX_ERROR: f64 = 0.2;

    /// Starts at `kl_coef`; `target` is a KL in nats, per token or per sequence, as it is observed; `horizon` is a
    /// number of steps, in the unit of `num_steps`. All are finite and > 0. TRL's PPO started at 0.2 with target 6 nats
    /// per sequence and horizon 10000 episodes.
    ///
    /// # Errors
    /// [`crate::Error::Domain`] naming the argument outside its domain.
    pub fn new(kl_coef: f64, target: f64, horizon: f64) -> Result<Self> {
        for (name, value) in [("kl_coef", kl_coef), ("target", target), ("horizon", horizon)] {
            check_domain(value.is_finite() && value > 0.0, name, "finite and > 0", value)?;
        }
        Ok(Self { kl_coef, target, horizon })
    }

    /// The current coefficient, > 0.
    pub fn kl_coef(&self) -> f64 {
        self.kl_coef
    }

    /// Moves the coefficient towards the target after `num_steps` steps with mean divergence `observed_kl`, and returns
    /// it.
    ///
    /// A negative estimate (K1 gives those) counts as far too small.
    ///
    /// # Errors
    /// [`crate::Error::Domain`] when `observed_kl` is NaN, or when `num_steps` reaches 5 horizons, where the rule would
    /// turn the coefficient negative. The coefficient is then as before.
    pub fn update(&mut self, observed_kl: f64, num_steps: usize) -> Result<f64> {
        check_domain(!observed_kl.is_nan(), "observed_kl", "a number", observed_kl)?;
        let share = num_steps as f64 / self.horizon;
        check_domain(share * Self::MAX_ERROR < 1.0, "num_steps", "less than 5 times the horizon", num_steps as f64)?;
        let error = (observed_kl / self.target - 1.0).clamp(-Self::MAX_ERROR, Self::MAX_ERROR);
        // Years of one-sided errors neither reach 0 nor overflow: `new` would refuse the coefficient of a checkpoint.
        self.kl_coef = (self.kl_coef * (1.0 + error * share)).clamp(f64::MIN_POSITIVE, f64::MAX);
        Ok(self.kl_coef)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;
    use crate::stable::testing::*;

    #[test]
    fn a_coefficient_that_only_ever_moves_one_way_stays_finite_and_above_zero() {
        for observed in [0.0, 1e9] {
            let mut controller = AdaptiveKl::new(1.0, 1.0, 1.0).unwrap();
            for _ in 0..10_000 {
                controller.update(observed, 4).unwrap();
            }
            assert!(AdaptiveKl::new(controller.kl_coef(), 1.0, 1.0).is_ok(), "{observed}");
        }
    }

    #[test]
    fn the_controller_moves_towards_its_target() {
        let mut controller = AdaptiveKl::new(0.1, 2.0, 100.0).unwrap();
        assert_close(&[controller.update(2.0, 10).unwrap()], &[0.1], 1e-15); // on target
        assert_close(&[controller.update(2.2, 10).unwrap()], &[0.101], 1e-15); // error 0.1 · 10/100
        assert_close(&[controller.update(-1.0, 10).unwrap()], &[0.101 * 0.98], 1e-15); // clipped to -0.2
        let before = controller;
        assert!(matches!(controller.update(f64::NAN, 10), Err(Error::Domain { name: "observed_kl", .. })));
        assert!(matches!(controller.update(2.0, 500), Err(Error::Domain { name: "num_steps", .. })));
        assert_eq!(controller, before);
        assert!(controller.update(f64::INFINITY, 499).unwrap() > before.kl_coef());
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(AdaptiveKl::new(bad, 1.0, 1.0).is_err());
            assert!(AdaptiveKl::new(1.0, bad, 1.0).is_err());
            assert!(AdaptiveKl::new(1.0, 1.0, bad).is_err());
        }
    }
}
