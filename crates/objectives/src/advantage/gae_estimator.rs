//! Generalized Advantage Estimation (GAE) from rewards and values, the estimator of PPO and its kin.
//!
//! **Papers:** High-Dimensional Continuous Control Using Generalized Advantage Estimation (2015), 1506.02438; Training
//! language models to follow instructions with human feedback (2022), 2203.02155.
//! **Use when:** there is a critic. Without one, start with [`group_normalized`](super::group_normalized).
//! **Checked by:** [`gae`](mod@super::gae) and [`token_rewards`](mod@super::token_rewards), of which it is made; values by
//! hand; laws of estimators.
//! **Deviations:** those of its parts. A row without a reward has neither advantages nor returns.

use burn::config::Config;

use super::{
    Advantages, Estimator, Method, RewardBatch,
    gae::{GaeConfig, GaeInput, Lambda, Whiten, gae},
    token_rewards::{ENDED, ScoreAt, TokenRewardConfig},
};
use crate::{
    Error, Result,
    side::{Column, Domain},
};

/// What the critic says of the state in which a response was cut off.
pub const NEXT_VALUE: Column = Column {
    name: "next_value",
    domain: Domain::Real,
    meaning: "what the critic says of the state after the last token, read where the response was cut off",
};

/// Configuration of [`GaeEstimator`]: that of [`token_rewards`](mod@super::token_rewards), but for the divergence, which is
/// the objective's, and that of [`gae`](mod@super::gae).
#[derive(Config, Debug, PartialEq)]
pub struct GaeEstimatorConfig {
    /// What a reward is worth one token earlier, in `[0, 1]`. 1: TRL's and verl's.
    #[config(default = 1.0)]
    pub discount: f64,
    /// λ of the advantages. 0.95: TRL's; verl takes 1.
    #[config(default = "Lambda::Constant(0.95)")]
    pub gae_lambda: Lambda,
    /// λ of the returns. None: that of the advantages, as in TRL and verl.
    pub critic_lambda: Option<Lambda>,
    /// Whether advantages are whitened. `Batch`: TRL's and verl's.
    #[config(default = "Whiten::Batch")]
    pub whiten: Whiten,
    /// Which position gets the score. `LastScored`: OpenRLHF's and verl's.
    #[config(default = "ScoreAt::LastScored")]
    pub score_at: ScoreAt,
    /// Bounds of the score, low ≤ high. None: TRL's.
    pub reward_clip: Option<(f64, f64)>,
    /// Subtracted from the score of a response that did not end (column [`ENDED`]), finite and ≥ 0. None: TRL's.
    pub missing_eos_penalty: Option<f64>,
    /// Whether rewards are scaled to variance 1 over the batch, their mean kept, with the divergence in them. False: TRL's.
    #[config(default = false)]
    pub whiten_rewards: bool,
    /// Whether a response that did not end (column [`ENDED`]) goes on with the value of the state in which it was cut off
    /// (column [`NEXT_VALUE`]). False: it counts as ended, as in TRL and verl.
    #[config(default = false)]
    pub bootstrap_truncated: bool,
}

impl GaeEstimatorConfig {
    /// With all that `gae` says: `GaeEstimatorConfig::new().with_gae(GaeConfig::vapo())`.
    pub fn with_gae(self, gae: GaeConfig) -> Self {
        let GaeConfig { discount, gae_lambda, critic_lambda, whiten } = gae;
        Self { discount, gae_lambda, critic_lambda, whiten, ..self }
    }

    fn gae(&self) -> GaeConfig {
        GaeConfig::new()
            .with_discount(self.discount)
            .with_gae_lambda(self.gae_lambda)
            .with_critic_lambda(self.critic_lambda)
            .with_whiten(self.whiten)
    }

    fn token_rewards(&self) -> TokenRewardConfig {
        TokenRewardConfig::new()
            .with_score_at(self.score_at)
            .with_reward_clip(self.reward_clip)
            .with_missing_eos_penalty(self.missing_eos_penalty)
            .with_whiten_rewards(self.whiten_rewards)
    }

    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field; [`Error::Combination`] for a bootstrap with [`ScoreAt::OnePast`].
    pub fn init(&self) -> Result<GaeEstimator> {
        self.gae().validate()?;
        self.token_rewards().validate()?;
        if self.bootstrap_truncated && self.score_at == ScoreAt::OnePast {
            let reason = "with a score one past the end, the state after the last token has a value already";
            return Err(Error::Combination { what: "bootstrap_truncated", reason });
        }
        Ok(GaeEstimator { config: self.clone() })
    }
}

/// Advantages and returns by GAE; see [`gae`](mod@super::gae). A divergence in the reward comes before rewards are whitened.
///
/// # Example
/// ```
/// use accordant_objectives::advantage::{Estimator, RewardBatch, gae::Whiten, gae_estimator::GaeEstimatorConfig};
/// use accordant_ops::groups::Groups;
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let mask = Tensor::full([1, 2], true, &device);
/// let batch = RewardBatch::new(Tensor::from_floats([1.0], &device), Groups::new(&[0]), mask)?
///     .with_values(Tensor::from_floats([[0.25, 0.5]], &device))?;
/// let output = GaeEstimatorConfig::new().with_whiten(Whiten::None).init()?.estimate(&batch)?;
/// // δ = (0.5 − 0.25, 1 − 0.5); A_0 = 0.25 + 0.95 · 0.5
/// assert_eq!(output.advantages.try_to_vec_as::<f32>().unwrap(), [0.725, 0.5]);
/// assert_eq!(output.returns.unwrap().returns.try_to_vec_as::<f32>().unwrap(), [0.975, 1.0]);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "1506.02438")]
#[doc(alias = "High-Dimensional Continuous Control Using Generalized Advantage Estimation")]
#[doc(alias = "2203.02155")]
#[derive(Debug, Clone, PartialEq)]
pub struct GaeEstimator {
    config: GaeEstimatorConfig,
}

/// `gae` by name.
pub const METHOD: Method = Method {
    name: "gae",
    title: "Generalized Advantage Estimation",
    build: |options| Ok(Box::new(options.apply("gae", GaeEstimatorConfig::new())?.init()?)),
};

impl Estimator for GaeEstimator {
    fn name(&self) -> &'static str {
        "gae"
    }

    fn needs_values(&self) -> bool {
        true
    }

    fn makes_returns(&self) -> bool {
        true
    }

    fn columns(&self) -> Vec<Column> {
        let bootstrap = self.config.bootstrap_truncated;
        let mut columns = Vec::new();
        if bootstrap || self.config.missing_eos_penalty.is_some() {
            columns.push(ENDED);
        }
        if bootstrap {
            columns.push(NEXT_VALUE);
        }
        columns
    }

    fn estimate(&self, batch: &RewardBatch) -> Result<Advantages> {
        let rewards = batch.token_rewards(&self.config.token_rewards(), self.name())?;
        let input = GaeInput::new(rewards.rewards, batch.values(self.name())?, rewards.mask.clone())?;
        let mut input = input.with_actions(batch.mask())?;
        if self.config.bootstrap_truncated {
            let truncated = batch.column(ENDED, self.name())?.greater_scalar(0.5).bool_not();
            input = input.with_truncated(truncated, batch.column(NEXT_VALUE, self.name())?)?;
        }
        let output = gae(&input, &self.config.gae())?;
        Ok(Advantages::of_tokens(batch, output.advantages)?.with_returns(output.returns, rewards.mask))
    }
}

#[cfg(test)]
mod tests {
    use accordant_ops::kl::{KlEstimator, KlOptions};

    use super::*;
    use crate::advantage::{
        scan::tests::{grid, near},
        tests::{advantages, batch, flat, vector},
    };

    const JUNK: f64 = f64::NAN;

    fn plain() -> GaeEstimatorConfig {
        GaeEstimatorConfig::new().with_whiten(Whiten::None)
    }

    /// Two rows of two tokens, one padded, and one without a reward.
    fn rows() -> RewardBatch {
        batch(&[1.0, -2.0, JUNK], &[0, 0, 0], &[[1, 1, 0], [0, 1, 1], [1, 1, 1]])
            .with_values(grid(&[[0.25, 0.5, JUNK], [JUNK, 1.0, -1.0], [5.0; 3]]))
            .unwrap()
    }

    #[test]
    fn values_by_hand_and_a_row_without_a_reward_has_nothing() {
        let output = plain().init().unwrap().estimate(&rows()).unwrap();
        // δ = (0.25, 0.5); (−2, −1): −1 − 1 and −2 + 1; A = δ_0 + 0.95 δ_1.
        near(&flat(&output.advantages), &[0.725, 0.5, 0.0, 0.0, -2.95, -1.0, 0.0, 0.0, 0.0], 1e-15);
        let returns = output.returns.unwrap();
        near(&flat(&returns.returns), &[0.975, 1.0, 0.0, 0.0, -1.95, -2.0, 0.0, 0.0, 0.0], 1e-15);
        let mask: Vec<bool> = returns.mask.to_data().iter::<bool>().collect();
        assert_eq!(mask, [true, true, false, false, true, true, false, false, false]);
        // The mean over the four scored tokens is 0: the row without a reward is no part of it.
        let whitened = flat(&GaeEstimatorConfig::new().init().unwrap().estimate(&rows()).unwrap().advantages);
        near(&[whitened.iter().sum()], &[0.0], 1e-14);
        near(&[whitened.iter().map(|a| a * a).sum::<f64>() / 3.0], &[1.0], 1e-8);
        assert_eq!(whitened[6..], [0.0; 3]);
    }

    #[test]
    fn lambdas_are_those_of_the_configuration() {
        let config = plain().with_gae_lambda(Lambda::Constant(0.0)).with_discount(0.5);
        near(&advantages(&config.init().unwrap(), &rows())[..2], &[0.0, 0.5], 1e-15);
        let config = plain().with_critic_lambda(Some(Lambda::Constant(1.0)));
        let output = config.init().unwrap().estimate(&rows()).unwrap();
        near(&flat(&output.advantages)[..2], &[0.725, 0.5], 1e-15);
        near(&flat(&output.returns.unwrap().returns)[..2], &[1.0, 1.0], 1e-15);
        let vapo = GaeEstimatorConfig::new().with_reward_clip(Some((0.0, 1.0))).with_gae(GaeConfig::vapo());
        assert_eq!(vapo.gae(), GaeConfig::vapo());
        assert_eq!(vapo.reward_clip, Some((0.0, 1.0)));
    }

    #[test]
    fn scores_are_clipped_placed_and_penalized_as_configured() {
        let zero = Lambda::Constant(0.0);
        let rows = rows().with_values(grid(&[[0.0; 3]; 3])).unwrap();
        let with = |config: GaeEstimatorConfig, rows: &RewardBatch| {
            let output = config.with_gae_lambda(zero).init().unwrap().estimate(rows).unwrap();
            (flat(&output.advantages), flat(&output.returns.unwrap().returns))
        };
        let clipped = plain().with_reward_clip(Some((-0.5, 0.75)));
        near(&with(clipped.clone(), &rows).0[..6], &[0.0, 0.75, 0.0, 0.0, 0.0, -0.5], 1e-15);
        // A slot for the score where there is room: it is no action, but it has a return.
        let (actions, returns) = with(plain().with_score_at(ScoreAt::OnePast), &rows);
        near(&actions[..6], &[0.0, 0.0, 0.0, 0.0, 0.0, -2.0], 1e-15);
        near(&returns[..6], &[0.0, 0.0, 1.0, 0.0, 0.0, -2.0], 1e-15);
        // The critic is asked for the state in the slot, too.
        let critic = rows.clone().with_values(grid(&[[0.0, 0.0, 0.5]; 3])).unwrap();
        let (actions, returns) = with(plain().with_score_at(ScoreAt::OnePast), &critic);
        near(&actions[..3], &[0.0, 0.5, 0.0], 1e-15);
        near(&returns[..3], &[0.0, 0.5, 1.0], 1e-15);
        let ended = rows.clone().with_column(ENDED, vector(&[1.0, 0.0, 0.0])).unwrap();
        let penalized = clipped.with_missing_eos_penalty(Some(0.25));
        near(&with(penalized.clone(), &ended).0[..6], &[0.0, 0.75, 0.0, 0.0, 0.0, -0.75], 1e-15);
        let error = penalized.init().unwrap().estimate(&rows).unwrap_err().to_string();
        assert!(error.starts_with("`gae` needs `ended`"), "{error}");
    }

    #[test]
    fn a_response_that_was_cut_off_goes_on_with_the_next_value() {
        let config = plain().with_bootstrap_truncated(true).with_gae_lambda(Lambda::Constant(0.0)).with_discount(0.5);
        let rows = rows().with_column(ENDED, vector(&[1.0, 0.0, 0.0])).unwrap();
        let error = config.init().unwrap().estimate(&rows).unwrap_err().to_string();
        assert!(error.starts_with("`gae` needs `next_value`"), "{error}");
        let rows = rows.with_column(NEXT_VALUE, vector(&[JUNK, 4.0, JUNK])).unwrap();
        // 0 + 0.5 · 0.5 − 0.25, 1 − 0.5; 0 + 0.5 · −1 − 1, −2 + 0.5 · 4 + 1.
        near(&advantages(&config.init().unwrap(), &rows)[..6], &[0.0, 0.5, 0.0, 0.0, -1.5, 1.0], 1e-15);
    }

    #[test]
    fn a_divergence_in_the_reward_is_whitened_with_it() {
        let rows = rows().with_values(grid(&[[0.0; 3]; 3])).unwrap();
        let old = grid(&[[-1.0, -1.0, JUNK], [JUNK, -1.0, -1.0], [-1.0; 3]]);
        let reference = grid(&[[-3.0, -1.0, JUNK], [JUNK, -1.0, -2.0], [-9.0; 3]]);
        let rows = rows.with_logps(old, reference).unwrap();
        let rows = rows.penalized("test", 0.5, &KlOptions::new(KlEstimator::K1)).unwrap();
        let config = plain().with_gae_lambda(Lambda::Constant(0.0));
        // K1 is 2, 0; 0, 1: rewards −1, 1; 0, −2.5, with mean −0.625.
        near(&advantages(&config.init().unwrap(), &rows)[..6], &[-1.0, 1.0, 0.0, 0.0, 0.0, -2.5], 1e-15);
        let deviations = [-0.375, 1.625, 0.625, -1.875];
        let scale = (deviations.iter().map(|d| d * d).sum::<f64>() / 3.0 + 1e-8).sqrt().recip();
        let [a, b, c, d] = deviations.map(|deviation| deviation * scale - 0.625);
        let whitened = advantages(&config.with_whiten_rewards(true).init().unwrap(), &rows);
        near(&whitened[..6], &[a, b, 0.0, 0.0, c, d], 1e-14);
        // What sequences see is the same, summed.
        let sums = flat(&rows.rewards().unwrap().unsqueeze_dim::<2>(0));
        near(&sums[..2], &[0.0, -2.5], 1e-15);
        assert!(sums[2].is_nan());
    }

    #[test]
    fn defaults_and_refused_values() {
        let expected = GaeEstimatorConfig {
            discount: 1.0,
            gae_lambda: Lambda::Constant(0.95),
            critic_lambda: None,
            whiten: Whiten::Batch,
            score_at: ScoreAt::LastScored,
            reward_clip: None,
            missing_eos_penalty: None,
            whiten_rewards: false,
            bootstrap_truncated: false,
        };
        assert_eq!(GaeEstimatorConfig::new(), expected);
        assert!(expected.init().unwrap().columns().is_empty());
        let names = |config: GaeEstimatorConfig| -> Vec<_> {
            config.init().unwrap().columns().iter().map(|column| column.name).collect()
        };
        assert_eq!(names(plain().with_bootstrap_truncated(true)), ["ended", "next_value"]);
        assert_eq!(names(plain().with_missing_eos_penalty(Some(1.0))), ["ended"]);
        for (config, start) in [
            (plain().with_discount(1.5), "`discount`"),
            (plain().with_reward_clip(Some((1.0, 0.0))), "`reward_clip.1`"),
            (
                plain().with_bootstrap_truncated(true).with_score_at(ScoreAt::OnePast),
                "bootstrap_truncated: with a score",
            ),
        ] {
            let error = config.init().unwrap_err().to_string();
            assert!(error.starts_with(start), "{error}");
        }
        let without = batch(&[1.0], &[0], &[[1, 1]]);
        let error = plain().init().unwrap().estimate(&without).unwrap_err().to_string();
        assert!(error.starts_with("`gae` needs `values`"), "{error}");
    }
}
