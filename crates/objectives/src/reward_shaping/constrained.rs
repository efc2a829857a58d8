//! Constrained RLHF: several rewards, each held at the point up to which it means something.
//!
//! **Paper:** Confronting Reward Model Overoptimization with Constrained RLHF (2023), 2310.04373.
//! **Use when:** a reward is composed of several models, and beyond a known value of each ("proxy point") more of it is
//! worse.
//! **Checked by:** hand-worked values, properties under proptest.
//! **Deviations:** the paper mixes with weights `N − Σ μ` and `μ_i`; [`AdvantageMixing::Normalized`] divides them by
//! `N`, so that they sum to 1. Multipliers follow the plain distance from the threshold, without the slope of the
//! squashing function, and their logits are clipped.
//!
//! One round: estimate the advantages `A_0` of the KL reward and `A_i` of each reward, every one from its own value
//! head and whitened on its own; mix them ([`Constrained::mix`]); update the policy with the mixture and the
//! multipliers with the mean rewards ([`Constrained::update`]).

use accordant_ops::{check_domain, host};
use burn::config::Config;
use serde::{Deserialize, Serialize};

use super::values::{check_each, check_len, check_positive, check_rewards, mean};
use crate::Result;

/// What is asked of the mean of a reward; the number is the threshold θ.
#[derive(Config, Debug, Copy, PartialEq)]
pub enum RewardConstraint {
    /// Reach it: the multiplier is `σ(m)`, in `[0, 1]`.
    AtLeast(f64),
    /// Reach it and stay: the multiplier is `tanh(m)`, in `[−1, 1]`, and below 0 the reward is worked against.
    Equal(f64),
}

impl RewardConstraint {
    /// The threshold.
    pub fn threshold(self) -> f64 {
        match self {
            Self::AtLeast(threshold) | Self::Equal(threshold) => threshold,
        }
    }

    /// The multiplier μ of a logit m.
    pub fn multiplier(self, logit: f64) -> f64 {
        match self {
            Self::AtLeast(_) => host::logistic(logit),
            Self::Equal(_) => logit.tanh(),
        }
    }
}

/// How the advantages of the rewards join those of the KL reward; N is the number of rewards.
#[derive(Config, Debug, Copy, PartialEq, Eq)]
pub enum AdvantageMixing {
    /// `(1 − mean_i μ_i) A_0 + (1/N) Σ_i μ_i A_i`: weights that sum to 1, the paper's divided by N.
    Normalized,
    /// `A_0 + Σ_i μ_i A_i`: the plain Lagrangian.
    Sum,
}

/// Mixed advantages.
///
/// ```text
/// A = (1 − mean_i μ_i) A_0 + (1/N) Σ_i μ_i A_i        or        A_0 + Σ_i μ_i A_i
/// ```
///
/// `base` (A_0): of the KL reward, one for each item. `advantages` (A_i): of each of the N rewards, one for each item.
/// `multipliers` (μ): one for each reward, in `[−1, 1]`. Without rewards the result is `base`. An item with a missing
/// advantage has a missing one.
///
/// # Errors
/// A shape error naming `multipliers` or `advantages`; a domain error naming `base` or `advantages` for infinite ones,
/// or `multipliers`.
///
/// # Example
/// ```
/// use accordant_objectives::reward_shaping::constrained::{AdvantageMixing, mixed_advantages};
/// let (base, rewards) = ([2.0, 0.0], [[1.0, 4.0], [0.0, 2.0]]);
/// // ½ · 2 + ½ (½ · 1 + ½ · 0), then ½ (½ · 4 + ½ · 2).
/// assert_eq!(mixed_advantages(&base, &rewards, &[0.5, 0.5], AdvantageMixing::Normalized)?, [1.25, 1.5]);
/// assert_eq!(mixed_advantages(&base, &rewards, &[0.5, 0.5], AdvantageMixing::Sum)?, [2.5, 3.0]);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2310.04373")]
pub fn mixed_advantages(
    base: &[f64],
    advantages: &[impl AsRef<[f64]>],
    multipliers: &[f64],
    mixing: AdvantageMixing,
) -> Result<Vec<f64>> {
    check_rewards("base", base)?;
    check_len("multipliers", advantages.len(), multipliers.len())?;
    check_each("multipliers", "in [-1, 1]", multipliers, |multiplier| multiplier.abs() <= 1.0)?;
    for advantages in advantages {
        check_len("advantages", base.len(), advantages.as_ref().len())?;
        check_rewards("advantages", advantages.as_ref())?;
    }
    if advantages.is_empty() {
        return Ok(base.to_vec());
    }
    let (of_base, of_each) = match mixing {
        AdvantageMixing::Normalized => (1.0 - mean(multipliers), 1.0 / multipliers.len() as f64),
        AdvantageMixing::Sum => (1.0, 1.0),
    };
    let mut mixed: Vec<f64> = base.iter().map(|advantage| of_base * advantage).collect();
    for (advantages, multiplier) in advantages.iter().zip(multipliers) {
        for (mixed, advantage) in mixed.iter_mut().zip(advantages.as_ref()) {
            *mixed += of_each * multiplier * advantage;
        }
    }
    Ok(mixed)
}

/// Configuration of [`Constrained`].
#[derive(Config, Debug, PartialEq)]
pub struct ConstrainedConfig {
    /// What is asked of each reward, at least one; thresholds are finite.
    pub constraints: Vec<RewardConstraint>,
    /// How fast logits move, finite and > 0, in one over the rewards' unit. 0.01: ours.
    #[config(default = 0.01)]
    pub lr: f64,
    /// The largest logit in absolute value, finite and > 0. 5: ours; beyond it multipliers hardly change, and a logit
    /// that went on would take as long to come back.
    #[config(default = 5.0)]
    pub max_logit: f64,
    /// How advantages are mixed. `Normalized`: the paper's, to a factor of N.
    #[config(default = "AdvantageMixing::Normalized")]
    pub mixing: AdvantageMixing,
}

impl ConstrainedConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<Constrained> {
        check_domain(!self.constraints.is_empty(), "constraints", "at least one", 0.0)?;
        let thresholds: Vec<f64> = self.constraints.iter().map(|constraint| constraint.threshold()).collect();
        check_each("constraints", "finite thresholds", &thresholds, f64::is_finite)?;
        check_positive("lr", self.lr)?;
        check_positive("max_logit", self.max_logit)?;
        Ok(Constrained { config: self.clone() })
    }
}

/// What [`Constrained`] carries from round to round; to be saved with the model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Multipliers {
    /// The logit m of each reward's multiplier.
    pub logits: Vec<f64>,
}

/// Constrained RLHF's multipliers and mixtures.
///
/// # Example
/// ```
/// use accordant_objectives::reward_shaping::constrained::{ConstrainedConfig, RewardConstraint};
/// let constrained = ConstrainedConfig::new(vec![RewardConstraint::AtLeast(0.8)]).init()?;
/// let mut state = constrained.start();
/// assert_eq!(constrained.multipliers(&state)?, [0.5]);
/// // Half of each: ½ · 1 + ½ · 3.
/// assert_eq!(constrained.mix(&state, &[1.0], &[[3.0]])?, [2.0]);
/// constrained.update(&mut state, &[0.3])?; // short of it by ½: more weight
/// assert_eq!(state.logits, [0.005]);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2310.04373")]
#[doc(alias = "Confronting Reward Model Overoptimization with Constrained RLHF")]
#[derive(Debug, Clone, PartialEq)]
pub struct Constrained {
    config: ConstrainedConfig,
}

impl Constrained {
    /// Logits of 0: multipliers of ½ for [`RewardConstraint::AtLeast`], of 0 for [`RewardConstraint::Equal`].
    pub fn start(&self) -> Multipliers {
        Multipliers { logits: vec![0.0; self.config.constraints.len()] }
    }

    /// The multipliers, one for each reward.
    ///
    /// # Errors
    /// A shape error naming `logits` for a state of another number of rewards; a domain error naming it for NaN.
    pub fn multipliers(&self, state: &Multipliers) -> Result<Vec<f64>> {
        self.check_state(state)?;
        Ok(self.config.constraints.iter().zip(&state.logits).map(|(kind, &logit)| kind.multiplier(logit)).collect())
    }

    /// [`mixed_advantages`] with the current multipliers.
    ///
    /// # Errors
    /// Those of [`mixed_advantages`], and those of [`Constrained::multipliers`].
    pub fn mix(&self, state: &Multipliers, base: &[f64], advantages: &[impl AsRef<[f64]>]) -> Result<Vec<f64>> {
        mixed_advantages(base, advantages, &self.multipliers(state)?, self.config.mixing)
    }

    /// Moves the multipliers: up where a reward falls short, down where it exceeds its threshold.
    ///
    /// ```text
    /// m_i ← clip(m_i + lr (θ_i − V_i), −max, max)
    /// ```
    ///
    /// `mean_rewards` (V): the mean of each reward over the round's episodes; NaN where there was none, which leaves
    /// its multiplier as it is. On target nothing changes.
    ///
    /// # Errors
    /// A shape error naming `mean_rewards` or `logits`; a domain error naming `mean_rewards` for infinite ones, or
    /// `logits` for NaN. The state is then as before.
    pub fn update(&self, state: &mut Multipliers, mean_rewards: &[f64]) -> Result<()> {
        let ConstrainedConfig { constraints, lr, max_logit, .. } = &self.config;
        self.check_state(state)?;
        check_len("mean_rewards", constraints.len(), mean_rewards.len())?;
        check_rewards("mean_rewards", mean_rewards)?;
        for ((logit, constraint), mean_reward) in state.logits.iter_mut().zip(constraints).zip(mean_rewards) {
            if !mean_reward.is_nan() {
                *logit = (*logit + lr * (constraint.threshold() - mean_reward)).clamp(-max_logit, *max_logit);
            }
        }
        Ok(())
    }

    fn check_state(&self, state: &Multipliers) -> Result<()> {
        check_len("logits", self.config.constraints.len(), state.logits.len())?;
        check_each("logits", "numbers", &state.logits, |logit| !logit.is_nan())
    }
}

#[cfg(test)]
mod tests {
    use RewardConstraint::{AtLeast, Equal};
    use proptest::prelude::*;

    use super::*;
    use crate::reward_shaping::values::tests::{assert_close, message};

    fn constrained(constraints: &[RewardConstraint]) -> Constrained {
        ConstrainedConfig::new(constraints.to_vec()).init().unwrap()
    }

    #[test]
    fn multipliers_by_hand() {
        let constrained = constrained(&[AtLeast(1.0), Equal(2.0)]);
        let mut state = constrained.start();
        assert_eq!(constrained.multipliers(&state).unwrap(), [0.5, 0.0]);
        state.logits = vec![3f64.ln(), 3f64.ln() / 2.0];
        assert_close(&constrained.multipliers(&state).unwrap(), &[0.75, 0.5], 1e-15);
        state.logits = vec![f64::NEG_INFINITY; 2];
        assert_eq!(constrained.multipliers(&state).unwrap(), [0.0, -1.0]);
    }

    #[test]
    fn updates_by_hand() {
        let config =
            ConstrainedConfig::new(vec![AtLeast(1.0), Equal(2.0), Equal(-1.0)]).with_lr(0.5).with_max_logit(2.0);
        let constrained = config.init().unwrap();
        let mut state = Multipliers { logits: vec![0.25, 0.5, 0.75] };
        constrained.update(&mut state, &[0.0, 3.0, f64::NAN]).unwrap();
        assert_eq!(state.logits, [0.75, 0.0, 0.75]);
        constrained.update(&mut state, &[-100.0, 100.0, -1.0]).unwrap();
        assert_eq!(state.logits, [2.0, -2.0, 0.75]);
    }

    #[test]
    fn mixtures_by_hand() {
        let constrained = constrained(&[AtLeast(1.0), Equal(2.0)]);
        // Multipliers ¾ and −½: 1 − ⅛ of the base, then ⅜ and −¼.
        let state = Multipliers { logits: vec![3f64.ln(), -(3f64.ln()) / 2.0] };
        let (base, rewards) = ([8.0, 0.0, f64::NAN], [[8.0, 8.0, 0.0], [0.0, 4.0, 0.0]]);
        assert_close(&constrained.mix(&state, &base, &rewards).unwrap(), &[10.0, 2.0, f64::NAN], 1e-14);
        let sum = ConstrainedConfig::new(vec![AtLeast(1.0), Equal(2.0)]).with_mixing(AdvantageMixing::Sum);
        let mixed = sum.init().unwrap().mix(&state, &base, &rewards).unwrap();
        assert_close(&mixed, &[14.0, 4.0, f64::NAN], 1e-14);
        let none = mixed_advantages(&[3.0], &[[0.0]; 0], &[], AdvantageMixing::Normalized).unwrap();
        assert_eq!(none, [3.0]);
    }

    #[test]
    fn a_state_survives_json() {
        let state = Multipliers { logits: vec![0.1, -0.7] };
        let saved = serde_json::to_string(&state).unwrap();
        assert_eq!(serde_json::from_str::<Multipliers>(&saved).unwrap(), state);
    }

    #[test]
    fn senseless_settings_are_refused_by_name() {
        let config = ConstrainedConfig::new(vec![AtLeast(0.0)]);
        assert_eq!((config.lr, config.max_logit, config.mixing), (0.01, 5.0, AdvantageMixing::Normalized));
        assert_eq!(message(ConstrainedConfig::new(vec![]).init()), "`constraints`: expected at least one, got 0");
        for bad in [f64::NAN, f64::INFINITY] {
            for constraint in [AtLeast(bad), Equal(bad)] {
                let error = message(ConstrainedConfig::new(vec![Equal(0.0), constraint]).init());
                assert_eq!(error, format!("`constraints`: expected finite thresholds, got {bad}"));
            }
            assert!(message(config.clone().with_lr(bad).init()).starts_with("`lr`"));
            assert!(message(config.clone().with_max_logit(bad).init()).starts_with("`max_logit`"));
        }
        assert!(message(config.clone().with_lr(0.0).init()).starts_with("`lr`"));
    }

    #[test]
    fn what_does_not_fit_is_refused_by_name_and_changes_nothing() {
        let constrained = constrained(&[AtLeast(1.0)]);
        let mut state = constrained.start();
        assert_eq!(message(constrained.update(&mut state, &[])), "`mean_rewards`: expected shape [1], got [0]");
        assert!(message(constrained.update(&mut state, &[f64::INFINITY])).starts_with("`mean_rewards`"));
        assert_eq!(state, constrained.start());
        let mut other = Multipliers { logits: vec![] };
        assert_eq!(message(constrained.multipliers(&other)), "`logits`: expected shape [1], got [0]");
        assert!(message(constrained.update(&mut other, &[1.0])).starts_with("`logits`"));
        other.logits = vec![f64::NAN];
        assert!(message(constrained.mix(&other, &[1.0], &[[1.0]])).starts_with("`logits`"));
        let mix = |base: &[f64], advantages: &[Vec<f64>], multipliers: &[f64]| {
            message(mixed_advantages(base, advantages, multipliers, AdvantageMixing::Sum))
        };
        assert_eq!(mix(&[1.0], &[vec![1.0]], &[]), "`multipliers`: expected shape [1], got [0]");
        assert_eq!(mix(&[1.0], &[vec![]], &[0.5]), "`advantages`: expected shape [1], got [0]");
        assert!(mix(&[f64::INFINITY], &[vec![1.0]], &[0.5]).starts_with("`base`"));
        assert!(mix(&[1.0], &[vec![f64::INFINITY]], &[0.5]).starts_with("`advantages`"));
        for bad in [1.5, -1.5, f64::NAN] {
            assert_eq!(mix(&[1.0], &[vec![1.0]], &[bad]), format!("`multipliers`: expected in [-1, 1], got {bad}"));
        }
    }

    proptest! {
        #[test]
        fn slack_lowers_a_multiplier_and_a_shortfall_raises_it(
            threshold in -5.0..5.0, gap in 0.01..5.0, logit in -3.0..3.0,
        ) {
            for constraint in [AtLeast(threshold), Equal(threshold)] {
                let constrained = constrained(&[constraint]);
                let after = |mean_reward: f64| {
                    let mut state = Multipliers { logits: vec![logit] };
                    constrained.update(&mut state, &[mean_reward]).unwrap();
                    constrained.multipliers(&state).unwrap()[0]
                };
                let before = constraint.multiplier(logit);
                prop_assert!(after(threshold + gap) < before && before < after(threshold - gap));
                prop_assert_eq!(after(threshold), before);
            }
        }

        #[test]
        fn a_normalized_mixture_of_equal_advantages_is_that_advantage(
            advantage in -5.0..5.0, multipliers in proptest::collection::vec(-1.0..1.0, 1..5),
        ) {
            let rewards = vec![[advantage]; multipliers.len()];
            let mixed = mixed_advantages(&[advantage], &rewards, &multipliers, AdvantageMixing::Normalized).unwrap();
            prop_assert!((mixed[0] - advantage).abs() < 1e-12);
        }
    }
}
