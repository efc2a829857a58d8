//! Pairwise RL: policy gradients from a judge that compares two responses.
//!
//! **Paper:** A Unified Pairwise Framework for RLHF: Bridging Generative Reward Modeling and Policy Optimization (2025),
//! 2504.04950.
//! **Status:** abstract; the form of the loss is ours.
//! **Use when:** a judge says which of two responses is better and no score of one is worth anything.
//! **Checked by:** hand-worked values, its parts, laws of methods.
//! **Deviations:** what the abstract does not say is PPO's: a clip of tokens and a divergence in the reward.

use accordant_ops::{check_domain, reduce::Aggregation};
use burn::config::Config;

use super::{KlPlacement, Method, PolicyGradient, PolicyGradientConfig, RatioLevel, surrogate::clip::ClipConfig};
use crate::{Result, advantage::leave_one_out::LeaveOneOutConfig};

/// Rewards of two responses whose difference is `2 P − 1`, from a judge that was asked in both orders.
///
/// ```text
/// P = (p(1 ≻ 2 | 1 shown first) + p(1 ≻ 2 | 2 shown first)) / 2,   rewards P and 1 − P
/// ```
///
/// A judge that always prefers what it is shown first says ½. Both in `[0, 1]`: `shown_first` and `shown_second` are the
/// probabilities that the **first** response wins, where it is shown first and where it is shown second.
///
/// # Errors
/// A domain error naming the argument.
///
/// # Example
/// ```
/// use accordant_objectives::rollout::pairwise_rl::pair_rewards;
/// assert_eq!(pair_rewards(1.0, 0.5)?, [0.75, 0.25]);
/// assert_eq!(pair_rewards(1.0, 0.0)?, [0.5, 0.5]); // whatever comes first
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
pub fn pair_rewards(shown_first: f64, shown_second: f64) -> Result<[f64; 2]> {
    for (name, value) in [("shown_first", shown_first), ("shown_second", shown_second)] {
        check_domain((0.0..=1.0).contains(&value), name, "in [0, 1]", value)?;
    }
    let wins = (shown_first + shown_second) / 2.0;
    Ok([wins, 1.0 - wins])
}

/// Configuration of Pairwise RL, a point of the [grid](PolicyGradient).
///
/// ```text
/// mean over tokens of  max(−A ρ, −A clip(ρ, 1 − ε, 1 + ε)),   A = ±(2 P − 1 − kl_coef (k_1 − k_2))
/// ```
///
/// with k the divergence of a response from the reference. Groups are pairs and rewards those of [`pair_rewards`]; with more
/// responses to a prompt, the share of the others that each beats is a reward.
///
/// # Example
/// ```
/// use accordant_objectives::{TokenLogps, rollout::{RolloutBatch, RolloutObjective, pairwise_rl::PairwiseRlConfig}};
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let pair = |values: [f32; 2]| Tensor::<2>::from_floats(values.map(|value| [value]), &device);
/// let logps = TokenLogps::new(pair([-1.0, -2.0]), Tensor::full([2, 1], true, &device))?;
/// // P = 3/4; the first response is e^0.5 times as likely as before.
/// let batch = RolloutBatch::new(logps, pair([0.5, -0.5]))?.with_old(pair([-1.5, -2.0]))?;
/// let loss = PairwiseRlConfig::new().init()?.forward(&batch)?.reduced.loss;
/// assert!((loss.into_scalar::<f32>() - 0.5 * (-1.2 + 1.0) / 2.0).abs() < 1e-6);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "A Unified Pairwise Framework for RLHF")]
#[doc(alias = "2504.04950")]
#[derive(Config, Debug, PartialEq)]
pub struct PairwiseRlConfig {
    /// ε below 1, in `[0, 1]`. 0.2: PPO's.
    #[config(default = 0.2)]
    pub clip_low: f64,
    /// ε above 1, finite and ≥ 0. 0.2: PPO's.
    #[config(default = 0.2)]
    pub clip_high: f64,
    /// Weight of the divergence in the reward of a response, by K1, finite and ≥ 0. 0.05: TRL's PPO's.
    #[config(default = 0.05)]
    pub kl_coef: f64,
}

impl PairwiseRlConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<PolicyGradient> {
        PolicyGradientConfig::new(RatioLevel::Token, Aggregation::TokenMean)
            .with_kl(KlPlacement::in_reward(self.kl_coef))
            .init(
                "pairwise_rl",
                LeaveOneOutConfig::new().init()?,
                ClipConfig::new().with_clip_low(self.clip_low).with_clip_high(self.clip_high).init()?,
            )
    }
}

/// `pairwise_rl` by name.
pub const METHOD: Method = Method {
    name: "pairwise_rl",
    title: "Pairwise RL",
    build: |options| Ok(Box::new(options.apply("pairwise_rl", PairwiseRlConfig::new())?.init()?)),
};

#[cfg(test)]
mod tests {
    use accordant_ops::groups::Groups;
    use burn::tensor::{DType, Tensor};

    use super::*;
    use crate::{
        advantage::RewardBatch,
        rollout::{
            RolloutObjective,
            tests::{assert_parts, close, device, host, mask, matrix, two_rows},
        },
    };

    #[test]
    fn the_difference_of_the_rewards_is_that_of_the_judges_odds() {
        for (first, second) in [(0.9, 0.6), (0.0, 1.0), (1.0, 1.0), (0.2, 0.1)] {
            let [a, b] = pair_rewards(first, second).unwrap();
            close(&[a - b, a + b], &[first + second - 1.0, 1.0], 1e-15);
            // Asked about the other response, the judge says the opposite.
            let [c, d] = pair_rewards(1.0 - second, 1.0 - first).unwrap();
            close(&[c, d], &[b, a], 1e-15);
        }
        for bad in [-0.1, 1.1, f64::NAN] {
            assert!(pair_rewards(bad, 0.5).unwrap_err().to_string().starts_with("`shown_first`"));
            assert!(pair_rewards(0.5, bad).unwrap_err().to_string().starts_with("`shown_second`"));
        }
    }

    #[test]
    fn advantages_are_the_judges_and_the_divergences() {
        let objective = PairwiseRlConfig::new().with_kl_coef(0.1).init().unwrap();
        let rewards = Tensor::<1>::from_data(pair_rewards(1.0, 0.5).unwrap(), (&device(), DType::F64));
        let batch = RewardBatch::new(rewards, Groups::new(&[1, 1]), mask([[true, true], [true, false]])).unwrap();
        // Divergences 0.5 and −1.
        let batch =
            batch.with_logps(matrix([[-1.0, -1.0], [-2.0, 0.0]]), matrix([[-1.25, -1.25], [-1.0, 0.0]])).unwrap();
        let advantages = host(objective.advantages(&batch).unwrap().advantages);
        close(&advantages, &[0.35, 0.35, -0.35, 0.0], 1e-15);
    }

    #[test]
    fn it_is_this_point_of_the_grid() {
        assert_parts(
            &PairwiseRlConfig::new().init().unwrap(),
            PolicyGradientConfig::new(RatioLevel::Token, Aggregation::TokenMean).with_kl(KlPlacement::in_reward(0.05)),
            LeaveOneOutConfig::new().init().unwrap(),
            ClipConfig::new().init().unwrap(),
        );
        // The first and the last of the three tokens are clipped.
        let loss = two_rows(&PairwiseRlConfig::new().init().unwrap());
        close(&[loss], &[(-1.2 - (-0.1f64).exp() + 1.6) / 3.0], 1e-14);
        let config = PairwiseRlConfig::new().with_clip_low(0.1).with_clip_high(0.3);
        let surrogate = format!("{:?}", config.init().unwrap().surrogate());
        assert!(surrogate.contains("clip_low: 0.1, clip_high: 0.3"), "{surrogate}");
        assert!(config.clone().with_clip_low(-1.0).init().unwrap_err().to_string().starts_with("`clip_low`"));
        assert!(config.with_kl_coef(-1.0).init().unwrap_err().to_string().starts_with("`kl_coef`"));
    }
}
