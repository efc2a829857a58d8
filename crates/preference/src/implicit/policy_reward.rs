//! Implicit rewards of a policy (DPO): how much likelier it finds a response than its reference does.
//!
//! **Paper:** Direct Preference Optimization: Your Language Model is Secretly a Reward Model (2023), 2305.18290.
//! **Use when:** a policy trained by preferences is to score responses.
//! **Checked by:** hand-worked values, gradients, limits.
//! **Deviations:** none; the reward's part `β log Z(x)` is the same for all responses to a prompt and is left out.

use accordant_ops::{TokenLogps, check_domain, check_shape};
use burn::{config::Config, tensor::Tensor};
use serde::{Deserialize, Serialize};

use crate::Result;

/// What becomes of the log-probabilities of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Length {
    /// Their sum: the log-probability of the response.
    #[default]
    Total,
    /// Their mean, in nats per token.
    PerToken,
}

impl Length {
    /// One number per response, `[n]`; 0 without a token.
    pub(crate) fn of(self, tokens: &TokenLogps) -> Tensor<1> {
        let sequence = tokens.sequence();
        match self {
            Self::Total => sequence.sum,
            Self::PerToken => sequence.mean,
        }
    }
}

/// Configuration of [`PolicyReward`].
#[derive(Config, Debug, PartialEq)]
pub struct PolicyRewardConfig {
    /// What a nat is worth, β, finite and > 0. 0.1: the paper's.
    #[config(default = 0.1)]
    pub beta: f64,
    /// What becomes of the log-probabilities of tokens. Their sum: the paper's.
    #[config(default = "Length::Total")]
    pub length: Length,
}

impl PolicyRewardConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming `beta`.
    pub fn init(&self) -> Result<PolicyReward> {
        check_domain(self.beta.is_finite() && self.beta > 0.0, "beta", "finite and > 0", self.beta)?;
        Ok(PolicyReward { beta: self.beta, length: self.length })
    }
}

/// `r(x, y) = β [log π(y|x) − log π_ref(y|x)]`.
///
/// # Example
/// ```
/// use accordant_ops::TokenLogps;
/// use accordant_preference::implicit::policy_reward::PolicyRewardConfig;
/// use burn::tensor::{Device, Tensor, TensorData};
/// let device = Device::flex();
/// let mask = Tensor::from_bool(TensorData::from([[true, true]]), &device);
/// let tokens = |logps: [f32; 2]| TokenLogps::new(Tensor::from_floats([logps], &device), mask.clone());
/// let reward = PolicyRewardConfig::new().with_beta(0.5).init()?;
/// let rewards = reward.forward(&tokens([-1.0, -2.0])?, Some(&tokens([-2.0, -5.0])?))?;
/// assert_eq!(rewards.into_scalar::<f32>(), 2.0); // ½ (−3 + 7)
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[doc(alias = "2305.18290")]
#[doc(alias = "DPO")]
#[doc(alias = "Direct Preference Optimization: Your Language Model is Secretly a Reward Model")]
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PolicyReward {
    beta: f64,
    length: Length,
}

impl PolicyReward {
    /// Rewards of responses, `[n]`, from the log-probabilities of their tokens `[n, seq]` under the policy and under its
    /// reference, a constant; without one, under the policy alone. Only tokens of the response are to be kept.
    ///
    /// # Errors
    /// A shape error naming `reference`.
    pub fn forward(&self, policy: &TokenLogps, reference: Option<&TokenLogps>) -> Result<Tensor<1>> {
        let own = self.length.of(policy);
        let ratio = match reference {
            Some(reference) => {
                check_shape("reference", &policy.logps.dims(), &reference.logps.dims())?;
                own - self.length.of(reference).detach()
            }
            None => own,
        };
        Ok(ratio * self.beta)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::trajectory::testing::{check, close, mask, rows, values};

    pub(crate) fn tokens(rows_of: [[f64; 3]; 2]) -> TokenLogps {
        TokenLogps::new(rows(rows_of), mask([[1, 1, 1], [0, 1, 0]])).unwrap()
    }

    #[test]
    fn rewards_by_hand_with_prompts_left_out() {
        let policy = tokens([[-1.0, -2.0, -3.0], [f64::NAN, -1.0, f64::INFINITY]]);
        let reference = tokens([[-2.0, -2.0, -5.0], [-9.0, -0.5, -9.0]]);
        let rewards = |config: PolicyRewardConfig, reference: Option<&TokenLogps>| {
            values(config.init().unwrap().forward(&policy, reference).unwrap())
        };
        let new = PolicyRewardConfig::new;
        close(&rewards(new().with_beta(2.0), Some(&reference)), &[6.0, -1.0], 1e-12);
        close(&rewards(new().with_beta(2.0).with_length(Length::PerToken), Some(&reference)), &[2.0, -1.0], 1e-12);
        close(&rewards(new(), None), &[-0.6, -0.1], 1e-12);
        close(&rewards(new(), Some(&policy)), &[0.0, 0.0], 0.0);
    }

    #[test]
    fn the_reference_is_a_constant() {
        let gradient = check(&[-1.0, -2.0, -3.0, -1.0, -2.0, -3.0], |x| {
            let policy = TokenLogps::new(x.reshape([2, 3]), mask([[1, 1, 1], [0, 1, 0]])).unwrap();
            PolicyRewardConfig::new().with_beta(0.5).init().unwrap().forward(&policy, None).unwrap()
        });
        close(&gradient, &[0.5, 0.5, 0.5, 0.0, 0.5, 0.0], 1e-12);
        let device = burn::tensor::Device::flex().autodiff();
        let tracked = || Tensor::<2>::from_data([[-1.0f32, -2.0]], &device).require_grad();
        let (policy, reference) = (tracked(), tracked());
        let side = |logps: &Tensor<2>| TokenLogps::new(logps.clone(), logps.clone().lower_elem(0.0)).unwrap();
        let reward = PolicyRewardConfig::new().init().unwrap();
        let gradients = reward.forward(&side(&policy), Some(&side(&reference))).unwrap().sum().backward();
        assert!(policy.grad(&gradients).is_some() && reference.grad(&gradients).is_none());
    }

    #[test]
    fn fields_and_shapes_are_checked() {
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let error = PolicyRewardConfig::new().with_beta(bad).init().unwrap_err();
            assert!(error.to_string().starts_with("`beta`"));
        }
        let policy = tokens([[-1.0; 3]; 2]);
        let other = TokenLogps::new(rows([[-1.0]]), mask([[1]])).unwrap();
        let error = PolicyRewardConfig::new().init().unwrap().forward(&policy, Some(&other)).unwrap_err();
        assert!(error.to_string().starts_with("`reference`"));
        let defaults = PolicyRewardConfig::new();
        assert_eq!((defaults.beta, defaults.length), (0.1, Length::Total));
    }
}
