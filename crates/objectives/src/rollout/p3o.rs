//! Pairwise Proximal Policy Optimization (P3O).
//!
//! **Paper:** Pairwise Proximal Policy Optimization: Harnessing Relative Feedback for LLM Alignment (2023), 2310.00212.
//! **Use when:** rewards come from a model of preferences, whose value at a prompt as a whole means nothing: only
//! differences between responses to it are learned from.
//! **Checked by:** hand-worked values and gradients, RLOO on-policy, shifts, ties and swaps of responses, laws of methods.
//! **Deviations:** more than two responses to a prompt are as many pairs, whose sum is clipped and not each pair; the joint
//! clip acts on the coefficient of the gradient ([`super::surrogate::joint`]) and is experimental.

use accordant_ops::reduce::Aggregation;
use burn::config::Config;
use serde::{Deserialize, Serialize};

use super::{
    KlPlacement, Method, PolicyGradient, PolicyGradientConfig, RatioLevel,
    surrogate::{clip::ClipConfig, joint::JointConfig},
};
use crate::{Result, advantage::leave_one_out::LeaveOneOutConfig};

/// What is clipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum P3oClip {
    /// The ratio of each response (the paper's first form).
    Separate,
    /// The ratio of each token, with the advantage of its response (the first form, token by token).
    SeparateTokens,
    /// The ratio of all responses to a prompt together (the second form). The value of the loss is 0. Experimental.
    Joint,
}

/// Configuration of P3O, a point of the [grid](PolicyGradient).
///
/// ```text
/// separate:  mean over responses of  max(−A ρ, −A clip(ρ, 1 − ε, 1 + ε)),          ρ = π(y)/π_old(y)
/// joint:     mean over responses of  −sg(clip(ω, 1 − ε, 1 + ε)) A (log π − sg(log π)),  ω = Π ρ of the group
/// A = r − mean of the other responses' r,   r = reward − kl_coef log(π_old/π_ref)
/// ```
///
/// With two responses that is the paper's `±(r_1 − r_2)/2`, summed over the two. A shift of all rewards of a prompt changes
/// nothing, and equal rewards have no gradient.
///
/// # Example
/// ```
/// use accordant_objectives::{TokenLogps, rollout::{RolloutBatch, RolloutObjective, p3o::P3oConfig}};
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let pair = |values: [f32; 2]| Tensor::<2>::from_floats(values.map(|value| [value]), &device);
/// let logps = TokenLogps::new(pair([-1.0, -2.0]), Tensor::full([2, 1], true, &device))?;
/// // Rewards 1 and 0; the first response is e^0.5 times as likely as before.
/// let batch = RolloutBatch::new(logps, pair([1.0, -1.0]))?.with_old(pair([-1.5, -2.0]))?;
/// let loss = P3oConfig::new().init()?.forward(&batch)?.reduced.loss;
/// assert!((loss.into_scalar::<f32>() - (-1.2 + 1.0) / 2.0).abs() < 1e-6);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2310.00212")]
#[doc(alias = "Pairwise Proximal Policy Optimization")]
#[derive(Config, Debug, PartialEq)]
pub struct P3oConfig {
    /// What is clipped. Separate: the paper's first form.
    #[config(default = "P3oClip::Separate")]
    pub clip: P3oClip,
    /// ε below 1, in `[0, 1]`. 0.2: the paper's.
    #[config(default = 0.2)]
    pub clip_low: f64,
    /// ε above 1, finite and ≥ 0. 0.2: the paper's.
    #[config(default = 0.2)]
    pub clip_high: f64,
    /// Weight of the divergence in the reward of a response, by K1, finite and ≥ 0. 0.1: ours, that of DPO.
    #[config(default = 0.1)]
    pub kl_coef: f64,
}

impl P3oConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<PolicyGradient> {
        let (ratio, aggregation) = match self.clip {
            // A loss of the row at each of its tokens: their mean is it.
            P3oClip::Separate => (RatioLevel::SequenceSum, Aggregation::SequenceMean),
            P3oClip::SeparateTokens => (RatioLevel::Token, Aggregation::SequenceSum),
            P3oClip::Joint => (RatioLevel::Group, Aggregation::SequenceSum),
        };
        let config = PolicyGradientConfig::new(ratio, aggregation).with_kl(KlPlacement::in_reward(self.kl_coef));
        let estimator = LeaveOneOutConfig::new().init()?;
        let Self { clip_low, clip_high, .. } = *self;
        match self.clip {
            P3oClip::Joint => {
                let joint = JointConfig::new().with_clip_low(clip_low).with_clip_high(clip_high).init()?;
                config.init("p3o", estimator, joint)
            }
            _ => {
                let clip = ClipConfig::new().with_clip_low(clip_low).with_clip_high(clip_high).init()?;
                config.init("p3o", estimator, clip)
            }
        }
    }
}

/// `p3o` by name.
pub const METHOD: Method = Method {
    name: "p3o",
    title: "Pairwise Proximal Policy Optimization",
    build: |options| Ok(Box::new(options.apply("p3o", P3oConfig::new())?.init()?)),
};

#[cfg(test)]
mod tests {
    use accordant_ops::groups::Groups;
    use burn::tensor::{DType, Tensor};

    use super::*;
    use crate::{
        TokenLogps,
        advantage::RewardBatch,
        rollout::{
            RolloutBatch, RolloutObjective,
            rloo::RlooConfig,
            tests::{assert_parts, close, device, host, loss_and_grad, mask, matrix, two_rows},
        },
    };

    const FORMS: [P3oClip; 3] = [P3oClip::Separate, P3oClip::SeparateTokens, P3oClip::Joint];

    fn p3o(clip: P3oClip) -> PolicyGradient {
        P3oConfig::new().with_clip(clip).init().unwrap()
    }

    /// Advantages of two responses, of two and one tokens, with these rewards and no divergence.
    fn advantages(objective: &PolicyGradient, rewards: [f64; 2]) -> Vec<f64> {
        let rewards = Tensor::<1>::from_data(rewards, (&device(), DType::F64));
        let batch = RewardBatch::new(rewards, Groups::new(&[4, 4]), mask([[true, true], [true, false]])).unwrap();
        let same = matrix([[-1.0; 2]; 2]);
        host(objective.advantages(&batch.with_logps(same.clone(), same).unwrap()).unwrap().advantages)
    }

    /// A pair with log-ratios (0.3, 0.1) and (−0.5), A = ±1.5.
    fn pair(policy: Tensor<2>) -> RolloutBatch {
        let logps = TokenLogps::new(policy, mask([[true, true], [true, false]])).unwrap();
        RolloutBatch::new(logps, matrix([[1.5, 1.5], [-1.5, f64::NAN]]))
            .unwrap()
            .with_old(matrix([[-1.3, -2.1], [-2.5, f64::NAN]]))
            .unwrap()
            .with_groups(Groups::new(&[4, 4]))
            .unwrap()
    }

    fn policy() -> Tensor<2> {
        matrix([[-1.0, -2.0], [-3.0, f64::NAN]])
    }

    #[test]
    fn only_the_difference_of_the_rewards_counts() {
        for clip in FORMS {
            assert_eq!(advantages(&p3o(clip), [0.75, -0.5]), [1.25, 1.25, -1.25, 0.0]);
            assert_eq!(advantages(&p3o(clip), [8.75, 7.5]), [1.25, 1.25, -1.25, 0.0]);
            assert_eq!(advantages(&p3o(clip), [3.0, 3.0]), [0.0; 4]);
        }
    }

    #[test]
    fn each_form_clips_what_it_says() {
        // Both responses are clipped, e^0.4 with a gain and e^−0.5 with a cost.
        let (loss, grad) = loss_and_grad(&p3o(P3oClip::Separate), pair, policy());
        close(&[loss], &[1.5 * (-1.2 + 0.8) / 2.0], 1e-15);
        assert_eq!(grad, [0.0; 4]);
        // The second token, e^0.1, is not.
        let (loss, grad) = loss_and_grad(&p3o(P3oClip::SeparateTokens), pair, policy());
        close(&[loss], &[1.5 * (-1.2 - 0.1f64.exp() + 0.8) / 2.0], 1e-15);
        close(&grad, &[0.0, -0.75 * 0.1f64.exp(), 0.0, 0.0], 1e-15);
        // Together they are e^−0.1.
        let (loss, grad) = loss_and_grad(&p3o(P3oClip::Joint), pair, policy());
        assert_eq!(loss, 0.0);
        let weight = 0.75 * (-0.1f64).exp();
        close(&grad, &[-weight, -weight, weight, 0.0], 1e-15);
        let tight = P3oConfig::new().with_clip(P3oClip::Joint).with_clip_low(0.05).init().unwrap();
        close(&loss_and_grad(&tight, pair, policy()).1, &[-0.75 * 0.95, -0.75 * 0.95, 0.75 * 0.95, 0.0], 1e-15);
        assert!(p3o(P3oClip::Joint).needs_groups() && !p3o(P3oClip::Separate).needs_groups());
    }

    #[test]
    fn on_policy_every_form_has_the_gradient_of_rloo() {
        let on_policy = |policy: Tensor<2>| pair(policy.clone()).with_old(policy.detach()).unwrap();
        let (_, expected) = loss_and_grad(&RlooConfig::new().init().unwrap(), on_policy, policy());
        close(&expected, &[-0.75, -0.75, 0.75, 0.0], 1e-15);
        for clip in FORMS {
            close(&loss_and_grad(&p3o(clip), on_policy, policy()).1, &expected, 1e-15);
        }
    }

    #[test]
    fn swapping_the_responses_changes_nothing() {
        for clip in FORMS {
            let swapped = |policy: Tensor<2>| {
                let logps = TokenLogps::new(policy, mask([[true, false], [true, true]])).unwrap();
                RolloutBatch::new(logps, matrix([[-1.5, f64::NAN], [1.5, 1.5]]))
                    .unwrap()
                    .with_old(matrix([[-2.5, f64::NAN], [-1.3, -2.1]]))
                    .unwrap()
                    .with_groups(Groups::new(&[4, 4]))
                    .unwrap()
            };
            let (loss, grad) = loss_and_grad(&p3o(clip), pair, policy());
            let (other, other_grad) = loss_and_grad(&p3o(clip), swapped, policy().flip([0]));
            assert_eq!(loss, other);
            assert_eq!(grad, [&other_grad[2..], &other_grad[..2]].concat());
        }
    }

    #[test]
    fn it_is_these_points_of_the_grid() {
        let kl = KlPlacement::in_reward(0.1);
        let estimator = || LeaveOneOutConfig::new().init().unwrap();
        let clip = || ClipConfig::new().init().unwrap();
        let point = |ratio, aggregation| PolicyGradientConfig::new(ratio, aggregation).with_kl(kl);
        let separate = point(RatioLevel::SequenceSum, Aggregation::SequenceMean);
        assert_parts(&P3oConfig::new().init().unwrap(), separate, estimator(), clip());
        let tokens = point(RatioLevel::Token, Aggregation::SequenceSum);
        assert_parts(&p3o(P3oClip::SeparateTokens), tokens, estimator(), clip());
        let joint = point(RatioLevel::Group, Aggregation::SequenceSum);
        assert_parts(&p3o(P3oClip::Joint), joint, estimator(), JointConfig::new().init().unwrap());
        close(&[two_rows(&P3oConfig::new().init().unwrap())], &[(-1.2 + 1.6) / 2.0], 1e-15);
        for clip in FORMS {
            let config = P3oConfig::new().with_clip(clip).with_clip_low(0.1).with_clip_high(0.3);
            let surrogate = format!("{:?}", config.init().unwrap().surrogate());
            assert!(surrogate.contains("clip_low: 0.1, clip_high: 0.3"), "{surrogate}");
            assert!(config.clone().with_clip_high(-1.0).init().unwrap_err().to_string().starts_with("`clip_high`"));
            assert!(config.with_kl_coef(-1.0).init().unwrap_err().to_string().starts_with("`kl_coef`"));
        }
    }
}
