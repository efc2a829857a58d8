//! REINFORCE++.
//!
//! **Paper:** REINFORCE++: Stabilizing Critic-Free Policy Optimization with Global Advantage Normalization (2025),
//! 2501.03262.
//! **Use when:** there is no critic, and responses to each prompt are few or one.
//! **Checked by:** hand-worked values and gradients, its parts, laws of methods.
//! **Deviations:** none.

use accordant_ops::reduce::Aggregation;
use burn::config::Config;

use super::{KlPlacement, Method, PolicyGradient, PolicyGradientConfig, RatioLevel, surrogate::clip::ClipConfig};
use crate::{
    Result,
    advantage::{self, reinforce_pp::Form},
};

/// Configuration of REINFORCE++, a point of the [grid](PolicyGradient).
///
/// ```text
/// mean over tokens of  max(−A ρ, −A clip(ρ, 1 − ε, 1 + ε))
/// A = whiten(Σ_{s ≥ t} γ^{s−t} R_s),   R_t = −kl_coef k1_t + score at the last token
/// ```
///
/// # Example
/// One response of two tokens, of which the first has become e^0.5 times as likely:
/// ```
/// use accordant_objectives::{TokenLogps, rollout::{RolloutBatch, RolloutObjective, reinforce_pp::ReinforcePpConfig}};
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let row = |values: [f32; 2]| Tensor::<2>::from_floats([values], &device);
/// let logps = TokenLogps::new(row([-1.0, -2.0]), Tensor::full([1, 2], true, &device))?;
/// let batch = RolloutBatch::new(logps, row([1.0, 1.0]))?.with_old(row([-1.5, -2.0]))?;
/// let loss = ReinforcePpConfig::new().init()?.forward(&batch)?.reduced.loss.into_scalar::<f32>();
/// assert!((loss - -(1.2 + 1.0) / 2.0).abs() < 1e-6); // e^0.5 is clipped
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2501.03262")]
#[derive(Config, Debug, PartialEq)]
pub struct ReinforcePpConfig {
    /// What is whitened: rewards to go, or rewards less the mean of their group. Plain: the method without an addition to
    /// its name.
    #[config(default = "Form::Plain")]
    pub form: Form,
    /// What a reward is worth one token earlier, in `[0, 1]`. 1: the paper's.
    #[config(default = 1.0)]
    pub discount: f64,
    /// ε below 1, in `[0, 1]`. 0.2: PPO's.
    #[config(default = 0.2)]
    pub clip_low: f64,
    /// ε above 1, finite and ≥ 0. 0.2: PPO's.
    #[config(default = 0.2)]
    pub clip_high: f64,
    /// Weight of the divergence in the reward, by K1, finite and ≥ 0. 0.01: OpenRLHF's.
    #[config(default = 0.01)]
    pub kl_coef: f64,
}

impl ReinforcePpConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<PolicyGradient> {
        PolicyGradientConfig::new(RatioLevel::Token, Aggregation::TokenMean)
            .with_kl(KlPlacement::in_reward(self.kl_coef))
            .init(
                "reinforce_pp",
                advantage::reinforce_pp::ReinforcePpConfig::new()
                    .with_form(self.form)
                    .with_discount(self.discount)
                    .init()?,
                ClipConfig::new().with_clip_low(self.clip_low).with_clip_high(self.clip_high).init()?,
            )
    }
}

/// `reinforce_pp` by name.
pub const METHOD: Method = Method {
    name: "reinforce_pp",
    title: "REINFORCE++",
    build: |options| Ok(Box::new(options.apply("reinforce_pp", ReinforcePpConfig::new())?.init()?)),
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollout::tests::{assert_parts, close, two_rows};

    #[test]
    fn it_is_this_point_of_the_grid() {
        assert_parts(
            &ReinforcePpConfig::new().init().unwrap(),
            PolicyGradientConfig::new(RatioLevel::Token, Aggregation::TokenMean).with_kl(KlPlacement::in_reward(0.01)),
            advantage::reinforce_pp::ReinforcePpConfig::new().init().unwrap(),
            ClipConfig::new().init().unwrap(),
        );
    }

    #[test]
    fn two_responses_by_hand() {
        // The first and the last of the three tokens are clipped.
        close(&[two_rows(&ReinforcePpConfig::new().init().unwrap())], &[(-1.2 - (-0.1f64).exp() + 1.6) / 3.0], 1e-14);
    }

    #[test]
    fn settings_reach_their_parts() {
        let objective = ReinforcePpConfig::new().with_clip_low(0.1).with_clip_high(0.3).init().unwrap();
        let surrogate = ClipConfig::new().with_clip_low(0.1).with_clip_high(0.3).init().unwrap();
        assert_eq!(format!("{:?}", objective.surrogate()), format!("{surrogate:?}"));
        let error = ReinforcePpConfig::new().with_clip_low(-1.0).init().unwrap_err().to_string();
        assert!(error.starts_with("`clip_low`"), "{error}");
        let objective = ReinforcePpConfig::new().with_kl_coef(0.04).init().unwrap();
        assert_eq!(objective.config().kl, KlPlacement::in_reward(0.04));
        let error = ReinforcePpConfig::new().with_kl_coef(-1.0).init().unwrap_err().to_string();
        assert!(error.starts_with("`kl_coef`"), "{error}");
        let objective = ReinforcePpConfig::new().with_discount(0.5).init().unwrap();
        let estimator = advantage::reinforce_pp::ReinforcePpConfig::new().with_discount(0.5).init().unwrap();
        assert_eq!(format!("{:?}", objective.estimator()), format!("{estimator:?}"));
        let error = ReinforcePpConfig::new().with_discount(2.0).init().unwrap_err().to_string();
        assert!(error.starts_with("`discount`"), "{error}");
        let objective = ReinforcePpConfig::new().with_form(Form::Baseline).init().unwrap();
        assert!(format!("{:?}", objective.estimator()).contains("Baseline"));
    }
}
