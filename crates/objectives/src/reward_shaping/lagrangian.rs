//! A Lagrange multiplier for a constraint on a cost.
//!
//! **Paper:** Safe RLHF: Safe Reinforcement Learning from Human Feedback (2023), 2310.12773, whose λ this is, kept
//! above 0 by projection; see [`super::constrained`] for rewards with thresholds.
//! **Use when:** a cost (harm, tokens, tool calls) must stay below a limit on average.
//! **Checked by:** hand-worked values, properties under proptest.
//! **Deviations:** Safe RLHF moves the logarithm of λ; here λ itself moves, and can be 0.

use accordant_ops::check_domain;
use burn::config::Config;
use serde::{Deserialize, Serialize};

use super::values::{check_len, check_non_negative, check_positive, check_rewards};
use crate::Result;

/// Advantages of a reward less those of a cost.
///
/// ```text
/// A = (A_r − λ A_c) / (1 + λ)
/// ```
///
/// `reward_advantages` (A_r), `cost_advantages` (A_c): one for each item. `multiplier` (λ): finite and ≥ 0. A weighted
/// mean of `A_r` and `−A_c`: with 0 the reward's alone, ever more the cost's as it grows. An item with a missing
/// advantage has a missing one.
///
/// # Errors
/// A shape error naming `cost_advantages`; a domain error naming either for infinite ones, or `multiplier`.
///
/// # Example
/// ```
/// use accordant_objectives::reward_shaping::lagrangian::cost_constrained_advantages;
/// assert_eq!(cost_constrained_advantages(&[3.0, 1.0], &[1.0, 0.0], 1.0)?, [1.0, 0.5]);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2310.12773")]
#[doc(alias = "Safe RLHF: Safe Reinforcement Learning from Human Feedback")]
pub fn cost_constrained_advantages(
    reward_advantages: &[f64],
    cost_advantages: &[f64],
    multiplier: f64,
) -> Result<Vec<f64>> {
    check_rewards("reward_advantages", reward_advantages)?;
    check_len("cost_advantages", reward_advantages.len(), cost_advantages.len())?;
    check_rewards("cost_advantages", cost_advantages)?;
    check_non_negative("multiplier", multiplier)?;
    // A huge multiplier times a cost would overflow before the division.
    let (of_reward, of_cost) = (1.0 / (1.0 + multiplier), multiplier / (1.0 + multiplier));
    Ok(reward_advantages.iter().zip(cost_advantages).map(|(r, c)| of_reward * r - of_cost * c).collect())
}

/// Configuration of [`CostLagrangian`].
#[derive(Config, Debug, PartialEq)]
pub struct CostLagrangianConfig {
    /// What the mean cost must not exceed, finite; d in the equation.
    pub limit: f64,
    /// How fast the multiplier moves, finite and > 0, in one over the cost's unit.
    pub lr: f64,
}

impl CostLagrangianConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<CostLagrangian> {
        check_domain(self.limit.is_finite(), "limit", "finite", self.limit)?;
        check_positive("lr", self.lr)?;
        Ok(CostLagrangian { config: self.clone() })
    }
}

/// What [`CostLagrangian`] carries from round to round; to be saved with the model. Starts at 0.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct CostMultiplier {
    /// The multiplier λ, finite and ≥ 0.
    pub value: f64,
}

/// The multiplier of a constraint on a mean cost.
///
/// # Example
/// ```
/// use accordant_objectives::reward_shaping::lagrangian::{CostLagrangianConfig, CostMultiplier};
/// let lagrangian = CostLagrangianConfig::new(2.0, 0.5).init()?;
/// let mut state = CostMultiplier::default();
/// lagrangian.update(&mut state, 4.0)?; // above the limit by 2
/// assert_eq!(state.value, 1.0);
/// assert_eq!(lagrangian.mix(&state, &[3.0], &[1.0])?, [1.0]);
/// lagrangian.update(&mut state, -9.0)?;
/// assert_eq!(state.value, 0.0);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2310.12773")]
#[derive(Debug, Clone, PartialEq)]
pub struct CostLagrangian {
    config: CostLagrangianConfig,
}

impl CostLagrangian {
    /// Moves the multiplier: up above the limit, down below it, never under 0.
    ///
    /// ```text
    /// λ ← max(0, λ + lr (J_c − d))
    /// ```
    ///
    /// `mean_cost` (J_c): the mean over the round's episodes; NaN when there was none, which leaves the multiplier as
    /// it is.
    ///
    /// # Errors
    /// A domain error naming `mean_cost` when it is infinite, or `multiplier` for a state that is none. The state is
    /// then as before.
    pub fn update(&self, state: &mut CostMultiplier, mean_cost: f64) -> Result<()> {
        check_rewards("mean_cost", &[mean_cost])?;
        check_non_negative("multiplier", state.value)?;
        if !mean_cost.is_nan() {
            // A state that overflows would be refused from then on.
            state.value = (state.value + self.config.lr * (mean_cost - self.config.limit)).clamp(0.0, f64::MAX);
        }
        Ok(())
    }

    /// [`cost_constrained_advantages`] with the current multiplier.
    ///
    /// # Errors
    /// Those of [`cost_constrained_advantages`].
    pub fn mix(&self, state: &CostMultiplier, reward_advantages: &[f64], cost_advantages: &[f64]) -> Result<Vec<f64>> {
        cost_constrained_advantages(reward_advantages, cost_advantages, state.value)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::reward_shaping::values::tests::{assert_close, message};

    fn lagrangian() -> CostLagrangian {
        CostLagrangianConfig::new(2.0, 0.5).init().unwrap()
    }

    #[test]
    fn updates_by_hand() {
        let mut state = CostMultiplier { value: 3.0 };
        for (cost, expected) in [(5.0, 4.5), (2.0, 4.5), (f64::NAN, 4.5), (1.0, 4.0), (-100.0, 0.0), (1e308, f64::MAX)]
        {
            if cost == 1e308 {
                state.value = f64::MAX;
            }
            lagrangian().update(&mut state, cost).unwrap();
            assert_eq!(state.value, expected, "{cost}");
        }
        assert_eq!(CostMultiplier::default().value, 0.0);
    }

    #[test]
    fn mixtures_by_hand() {
        let mixed = lagrangian().mix(&CostMultiplier { value: 3.0 }, &[4.0, f64::NAN, 0.0], &[8.0, 1.0, -4.0]).unwrap();
        assert_close(&mixed, &[-5.0, f64::NAN, 3.0], 1e-15);
        assert_close(&cost_constrained_advantages(&[2.0], &[5.0], f64::MAX).unwrap(), &[-5.0], 1e-15);
    }

    #[test]
    fn a_state_survives_json() {
        let state = CostMultiplier { value: 0.1 };
        let saved = serde_json::to_string(&state).unwrap();
        assert_eq!(serde_json::from_str::<CostMultiplier>(&saved).unwrap(), state);
    }

    #[test]
    fn what_does_not_fit_is_refused_by_name_and_changes_nothing() {
        for bad in [f64::NAN, f64::INFINITY] {
            assert_eq!(
                message(CostLagrangianConfig::new(bad, 1.0).init()),
                format!("`limit`: expected finite, got {bad}")
            );
            assert!(message(CostLagrangianConfig::new(0.0, bad).init()).starts_with("`lr`"));
        }
        assert!(message(CostLagrangianConfig::new(0.0, 0.0).init()).starts_with("`lr`"));
        let mut state = CostMultiplier::default();
        assert!(message(lagrangian().update(&mut state, f64::INFINITY)).starts_with("`mean_cost`"));
        assert_eq!(state.value, 0.0);
        state.value = -1.0;
        assert!(message(lagrangian().update(&mut state, 1.0)).starts_with("`multiplier`"));
        assert!(message(lagrangian().mix(&state, &[1.0], &[1.0])).starts_with("`multiplier`"));
        let error = message(cost_constrained_advantages(&[1.0], &[], 1.0));
        assert_eq!(error, "`cost_advantages`: expected shape [1], got [0]");
        let infinite = [f64::INFINITY];
        assert!(message(cost_constrained_advantages(&infinite, &[1.0], 1.0)).starts_with("`reward_advantages`"));
        assert!(message(cost_constrained_advantages(&[1.0], &infinite, 1.0)).starts_with("`cost_advantages`"));
    }

    proptest! {
        #[test]
        fn never_below_zero_and_still_on_the_limit(value in 0.0..5.0, cost in -20.0..20.0) {
            let after = |cost: f64| {
                let mut state = CostMultiplier { value };
                lagrangian().update(&mut state, cost).unwrap();
                state.value
            };
            prop_assert!(after(cost) >= 0.0);
            prop_assert_eq!(after(2.0), value);
            prop_assert!(cost <= 2.0 || after(cost) > value);
            prop_assert!(cost >= 2.0 || value == 0.0 || after(cost) < value);
        }

        #[test]
        fn a_mixture_lies_between_the_reward_and_minus_the_cost(
            reward in -5.0..5.0, cost in -5.0..5.0, value in 0.0..50.0,
        ) {
            let mixed = cost_constrained_advantages(&[reward], &[cost], value).unwrap()[0];
            prop_assert!(f64::min(reward, -cost) - 1e-12 <= mixed && mixed <= f64::max(reward, -cost) + 1e-12);
        }
    }
}
