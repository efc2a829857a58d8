//! REINFORCE++: rewards to go, or rewards less the mean of their group, whitened over the whole batch.
//!
//! **Paper:** REINFORCE++: Stabilizing Critic-Free Policy Optimization with Global Advantage Normalization (2025),
//! 2501.03262.
//! **Use when:** there is no critic; prompts are many and responses to each few. Dividing by the spread of the batch keeps
//! what dividing by a group's loses: how much a prompt's rewards differ.
//! **Checked by:** hand-worked values, [`reward_to_go`](super::reward_to_go), laws of estimators.
//! **Deviations:** with the baseline, a response without siblings counts as average, where verl takes its reward.

use accordant_ops::masked::masked_whiten;
use burn::config::Config;
use serde::{Deserialize, Serialize};

use super::{
    Advantages, Estimator, Method, RewardBatch, Scaling, Shift,
    gae::Whiten,
    reward_to_go::{RewardToGo, RewardToGoConfig},
};
use crate::{Error, Result, rollout::RolloutBatch};

/// What is whitened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Form {
    /// The reward from each token on (REINFORCE++): for one response to each prompt.
    Plain,
    /// The reward of a response less the mean of its group, at each of its tokens (REINFORCE++ with baseline).
    Baseline,
}

/// Configuration of [`ReinforcePp`].
#[derive(Config, Debug, PartialEq)]
pub struct ReinforcePpConfig {
    /// What is whitened. Plain: the method without an addition to its name.
    #[config(default = "Form::Plain")]
    pub form: Form,
    /// What a reward is worth one token earlier, in `[0, 1]`, in the plain form; with the baseline it is 1. 1: the
    /// paper's and verl's.
    #[config(default = 1.0)]
    pub discount: f64,
}

impl ReinforcePpConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming `discount`; [`Error::Combination`] for a discount with the baseline.
    pub fn init(&self) -> Result<ReinforcePp> {
        if self.form == Form::Baseline && self.discount != 1.0 {
            let reason = "with the baseline, all tokens of a response have one advantage";
            return Err(Error::Combination { what: "discount", reason });
        }
        let plain = RewardToGoConfig::new().with_discount(self.discount).with_whiten(Whiten::Batch).init()?;
        Ok(ReinforcePp { form: self.form, plain })
    }
}

/// Advantages whitened over all scored tokens of the batch; see [`masked_whiten`]. Long responses count more in the
/// statistics.
///
/// ```text
/// plain:     A = whiten(Σ_{s ≥ t} γ^{s−t} R_s)
/// baseline:  A = whiten(r − mean of the group)
/// ```
///
/// # Example
/// ```
/// use accordant_objectives::advantage::{Estimator, RewardBatch, reinforce_pp::{Form, ReinforcePpConfig}};
/// use accordant_ops::groups::Groups;
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let rewards = Tensor::from_floats([3.0, 1.0, 10.0, 8.0], &device);
/// let batch = RewardBatch::new(rewards, Groups::new(&[0, 0, 1, 1]), Tensor::full([4, 1], true, &device))?;
/// let output = ReinforcePpConfig::new().with_form(Form::Baseline).init()?.estimate(&batch)?;
/// let advantages = output.advantages.try_to_vec_as::<f32>().unwrap();
/// assert!((advantages[0] - 0.75f32.sqrt()).abs() < 1e-6); // 1, −1, 1, −1 have variance 4/3
/// assert_eq!(advantages[0], advantages[2]);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "REINFORCE++")]
#[doc(alias = "2501.03262")]
#[doc(alias = "REINFORCE++: Stabilizing Critic-Free Policy Optimization with Global Advantage Normalization")]
#[derive(Debug, Clone, PartialEq)]
pub struct ReinforcePp {
    form: Form,
    plain: RewardToGo,
}

/// `reinforce_pp` by name.
pub const METHOD: Method = Method {
    name: "reinforce_pp",
    title: "REINFORCE++",
    build: |options| Ok(Box::new(options.apply("reinforce_pp", ReinforcePpConfig::new())?.init()?)),
};

impl Estimator for ReinforcePp {
    fn name(&self) -> &'static str {
        "reinforce_pp"
    }

    fn shift(&self) -> Shift {
        match self.form {
            Form::Plain => self.plain.shift(),
            Form::Baseline => Shift::IgnoredByGroup,
        }
    }

    fn scaling(&self) -> Scaling {
        Scaling::Ignored
    }

    fn estimate(&self, batch: &RewardBatch) -> Result<Advantages> {
        if self.form == Form::Plain {
            return self.plain.estimate_for(batch, self.name());
        }
        let centered = batch.stats(batch.rewards()?)?.centered();
        let tokens = RolloutBatch::per_token(centered, batch.mask())?;
        Advantages::of_tokens(batch, masked_whiten(tokens, batch.scored_mask()?, true)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advantage::{
        scan::tests::near,
        tests::{advantages, batch},
    };

    #[test]
    fn the_plain_form_whitens_rewards_to_go_over_tokens() {
        let rows = batch(&[4.0, 0.0, f64::NAN], &[1, 2, 2], &[[1, 1, 1], [1, 0, 0], [1, 1, 1]]);
        // 4, 4, 4, 0: mean 3, variance (3 + 9) / 3.
        let unit = (4.0f64 + 1e-8).sqrt().recip();
        let got = advantages(&ReinforcePpConfig::new().init().unwrap(), &rows);
        near(&got, &[unit, unit, unit, -3.0 * unit, 0.0, 0.0, 0.0, 0.0, 0.0], 1e-14);
        // 1, 2, 4, 0: mean 1.75.
        let got = advantages(&ReinforcePpConfig::new().with_discount(0.5).init().unwrap(), &rows);
        let unit =
            ((0.75f64.powi(2) + 0.25f64.powi(2) + 2.25f64.powi(2) + 1.75f64.powi(2)) / 3.0 + 1e-8).sqrt().recip();
        near(&got[..4], &[-0.75 * unit, 0.25 * unit, 2.25 * unit, -1.75 * unit], 1e-14);
    }

    #[test]
    fn the_baseline_is_the_groups_mean_and_long_responses_count_more() {
        let config = ReinforcePpConfig::new().with_form(Form::Baseline);
        let rows = batch(&[4.0, 0.0, 7.0, f64::NAN], &[1, 1, 2, 2], &[[1, 1, 1], [0, 1, 0], [0, 0, 1], [1, 1, 1]]);
        // 2, 2, 2, −2 and 0 for the one without siblings: mean 0.8, Σ deviations² = 3 · 1.44 + 7.84 + 0.64.
        let unit = (12.8f64 / 4.0 + 1e-8).sqrt().recip();
        let [a, b, c] = [1.2 * unit, -2.8 * unit, -0.8 * unit];
        let got = advantages(&config.init().unwrap(), &rows);
        near(&got, &[a, a, a, 0.0, b, 0.0, 0.0, 0.0, c, 0.0, 0.0, 0.0], 1e-14);
    }

    #[test]
    fn defaults_and_refused_values() {
        let config = ReinforcePpConfig::new();
        assert_eq!(config, ReinforcePpConfig { form: Form::Plain, discount: 1.0 });
        let error = config.clone().with_discount(2.0).init().unwrap_err().to_string();
        assert!(error.starts_with("`discount`"), "{error}");
        let error = config.with_discount(0.5).with_form(Form::Baseline).init().unwrap_err().to_string();
        assert!(error.starts_with("discount: with the baseline"), "{error}");
    }
}
