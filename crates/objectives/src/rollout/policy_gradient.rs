//! The grid: estimator × ratio × surrogate × aggregation × place of the divergence.

use std::sync::Arc;

use accordant_ops::{
    EmptyRows, Reduced, check_domain,
    groups::Groups,
    item_metrics::numbers,
    kl::{KlEstimator, KlGradient, KlOptions, importance_corrected, kl_per_token},
    masked::row_counts,
    reduce::{Aggregation, reduce_rows, reduce_tokens},
    stable::LOG_RATIO_CLAMP,
};
use burn::{
    config::Config,
    tensor::{Bool, DType, Device, Tensor},
};

use super::{
    RatioLevel, RolloutBatch, RolloutObjective, RolloutOutput,
    correction::{Correction, off_policy_rows},
    surrogate::{Surrogate, Tokens},
};
use crate::{
    Error, Result,
    advantage::{Advantages, Estimator, RewardBatch},
    side::Column,
    value::ValueObjective,
};

/// Where the divergence from the reference is applied. The two are different algorithms, and there is no third variant
/// that does both.
#[derive(Config, Debug, Copy, PartialEq)]
pub enum KlPlacement {
    /// Nowhere: no reference is read.
    None,
    /// In the rewards, before advantages are made of them: `R_t −= kl_coef · k_t`, a constant.
    Reward {
        /// Strength, finite and > 0.
        kl_coef: f64,
        /// How it is estimated; K1 is unbiased for the gradient of KL(π ‖ π_ref).
        options: KlOptions,
    },
    /// In the loss of each token: `+ kl_coef · k_t`.
    Loss {
        /// Strength, finite and > 0.
        kl_coef: f64,
        /// How it is estimated; K1 has gradient 0 on average and is refused with its natural gradient.
        options: KlOptions,
        /// Multiply it by the importance ratio, so that off-policy its gradient is that of KL(π ‖ π_ref).
        corrected: bool,
    },
}

impl KlPlacement {
    /// In the rewards, by K1; nowhere for `kl_coef` = 0.
    pub fn in_reward(kl_coef: f64) -> Self {
        if kl_coef == 0.0 { Self::None } else { Self::Reward { kl_coef, options: KlOptions::new(KlEstimator::K1) } }
    }

    /// In the loss, by K3; nowhere for `kl_coef` = 0.
    pub fn in_loss(kl_coef: f64) -> Self {
        let options = KlOptions::new(KlEstimator::K3);
        if kl_coef == 0.0 { Self::None } else { Self::Loss { kl_coef, options, corrected: false } }
    }

    fn validate(&self) -> Result<()> {
        let (Self::Reward { kl_coef, options } | Self::Loss { kl_coef, options, .. }) = self else { return Ok(()) };
        check_domain(kl_coef.is_finite() && *kl_coef > 0.0, "kl_coef", "finite and > 0", *kl_coef)?;
        options.validate()?;
        if let Self::Loss {
            options: KlOptions { estimator: KlEstimator::K1, gradient: KlGradient::Natural, .. },
            corrected: false,
            ..
        } = self
        {
            return Err(Error::Combination {
                what: "K1 in the loss",
                reason: "its expected gradient is 0; take K2, K3, K2StraightThrough, or K1 in the reward",
            });
        }
        Ok(())
    }
}

/// The entropy of the policy in the loss.
#[derive(Config, Debug, Copy, PartialEq)]
pub struct EntropyConfig {
    /// Weight of the mean entropy, which is maximized; finite. 0: none.
    #[config(default = 0.0)]
    pub entropy_coef: f64,
    /// Learn only from tokens of at least this entropy, in nats: see
    /// [`entropy_threshold`](super::entropy_threshold), to be taken over the tokens of the whole step. None: from all.
    #[config(default = "None")]
    pub min_entropy: Option<f64>,
}

/// Configuration of [`PolicyGradient`]: one point of the grid, but for the estimator and the surrogate.
#[derive(Config, Debug)]
pub struct PolicyGradientConfig {
    /// What the importance ratio is taken of.
    pub ratio: RatioLevel,
    /// How token losses become one number. It has no default: it decides what long responses count.
    pub aggregation: Aggregation,
    /// Where the divergence from the reference is applied. None: no reference is needed.
    #[config(default = "KlPlacement::None")]
    pub kl: KlPlacement,
    /// Bound of the log-ratio before it is exponentiated, in nats; None: TRL's. 20: verl's.
    #[config(default = "Some(LOG_RATIO_CLAMP)")]
    pub log_ratio_clamp: Option<f64>,
    /// Whether a response without a scored token counts in a mean over responses. Skip: ours; TRL counts it.
    #[config(default = "EmptyRows::Skip")]
    pub empty_rows: EmptyRows,
    /// Entropy bonus and mask. None of either: as in all papers whose presets do not say otherwise.
    #[config(default = "EntropyConfig::new()")]
    pub entropy: EntropyConfig,
    /// Weights for what the sampler's distribution differs from the old policy's. None: off.
    #[config(default = "None")]
    pub correction: Option<Correction>,
    /// Leave out rows of negative advantage whose mean `log π_sampler − log π` exceeds this. None: off.
    #[config(default = "None")]
    pub off_policy_threshold: Option<f64>,
    /// Weight of the negative log-likelihood of successful responses (column `success`), a mean over their tokens; ≥ 0.
    /// 0: none; VAPO takes 0.1.
    #[config(default = 0.0)]
    pub sft_weight: f64,
}

/// Which responses have succeeded.
pub const SUCCESS: Column =
    Column { name: "success", domain: crate::Domain::Binary, meaning: "whether the response is correct" };

impl PolicyGradientConfig {
    /// Puts the parts together.
    ///
    /// # Errors
    /// A domain error naming the field; [`Error::Combination`] for parts that make no sense together.
    pub fn init(
        &self,
        name: &'static str,
        estimator: impl Estimator + 'static,
        surrogate: impl Surrogate + 'static,
    ) -> Result<PolicyGradient> {
        self.init_boxed(name, Box::new(estimator), Box::new(surrogate))
    }

    /// [`PolicyGradientConfig::init`] of parts chosen by name.
    ///
    /// # Errors
    /// As there.
    pub fn init_boxed(
        &self,
        name: &'static str,
        estimator: Box<dyn Estimator>,
        surrogate: Box<dyn Surrogate>,
    ) -> Result<PolicyGradient> {
        self.kl.validate()?;
        if let Some(clamp) = self.log_ratio_clamp {
            check_domain(clamp.is_finite() && clamp > 0.0, "log_ratio_clamp", "finite and > 0", clamp)?;
        }
        let EntropyConfig { entropy_coef, min_entropy } = self.entropy;
        check_domain(entropy_coef.is_finite(), "entropy_coef", "finite", entropy_coef)?;
        if let Some(min) = min_entropy {
            check_domain(!min.is_nan(), "min_entropy", "a number", min)?;
        }
        if let Some(threshold) = self.off_policy_threshold {
            check_domain(!threshold.is_nan(), "off_policy_threshold", "a number", threshold)?;
        }
        check_domain(
            self.sft_weight.is_finite() && self.sft_weight >= 0.0,
            "sft_weight",
            "finite and >= 0",
            self.sft_weight,
        )?;
        if let Some(correction) = &self.correction {
            correction.validate()?;
            if surrogate.corrects_mismatch() {
                let reason = "the surrogate corrects for the sampler itself";
                return Err(Error::Combination { what: "a correction", reason });
            }
        }
        surrogate.check(self.ratio, self.aggregation)?;
        Ok(PolicyGradient { name, config: self.clone(), estimator, surrogate: surrogate.into(), critic: None })
    }
}

/// A policy gradient method as a point of the grid.
///
/// ```text
/// loss = aggregate( f(ρ, A) · keep · w + kl_coef k ) − entropy_coef H + value_coef V + sft_weight NLL
/// ```
///
/// with `f` of the surrogate, `ρ` at the level of the ratio, `A` of the estimator, `keep` the masks of uncertain tokens
/// and of rows too far from the sampler, and `w` the correction for the sampler. Masks and weights never touch the
/// divergence.
///
/// **The value of the loss is no measure of progress.** On-policy with advantages that sum to 0 it is 0 while its
/// gradient is not; it may be negative. Watch rewards and the metrics.
#[derive(Debug)]
pub struct PolicyGradient {
    name: &'static str,
    config: PolicyGradientConfig,
    estimator: Box<dyn Estimator>,
    surrogate: Arc<dyn Surrogate>,
    critic: Option<(f64, Box<dyn ValueObjective>)>,
}

impl PolicyGradient {
    /// With `value_coef` times the mean of a value loss beside the policy's: the critic is trained by the same sum, in
    /// parameters of its own or in those of the policy.
    ///
    /// # Errors
    /// A domain error unless `value_coef` is finite and > 0; [`Error::Combination`] for an estimator without returns.
    pub fn with_critic(mut self, value_coef: f64, value: impl ValueObjective + 'static) -> Result<Self> {
        check_domain(value_coef.is_finite() && value_coef > 0.0, "value_coef", "finite and > 0", value_coef)?;
        if !self.estimator.makes_returns() {
            let reason = "the estimator makes no returns to train it on";
            return Err(Error::Combination { what: "a critic", reason });
        }
        self.critic = Some((value_coef, Box::new(value)));
        Ok(self)
    }

    /// The point of the grid that this is.
    pub fn config(&self) -> &PolicyGradientConfig {
        &self.config
    }

    /// The estimator of its advantages.
    pub fn estimator(&self) -> &dyn Estimator {
        self.estimator.as_ref()
    }

    /// Its surrogate.
    pub fn surrogate(&self) -> &dyn Surrogate {
        self.surrogate.as_ref()
    }

    /// What is odd about this point of the grid without being wrong, to be printed.
    pub fn warnings(&self) -> Vec<&'static str> {
        let mut warnings = Vec::new();
        let by_tokens = !matches!(self.config.aggregation, Aggregation::SequenceMean);
        if matches!(self.config.ratio, RatioLevel::Sequence | RatioLevel::SequenceSum) && by_tokens {
            warnings.push("a ratio of whole responses, aggregated by tokens, weighs responses by their length");
        }
        if self.surrogate.is_of_rows() && by_tokens {
            warnings.push("a loss of whole responses, aggregated by tokens, weighs responses by their length");
        }
        warnings
    }

    /// Refuses rewards that are multiplied by what their prompt is worth ([`rlev`](crate::reward_shaping::rlev), weights of
    /// a curriculum) where the estimator divides by the deviation of each group: whatever a prompt's factor is, it cancels.
    /// To be asked before training on such rewards, which nobody can tell from others.
    ///
    /// It makes advantages of two prompts, on `device`, of which one has rewards four times the other's.
    ///
    /// # Errors
    /// [`Error::Combination`] where the factor is lost.
    ///
    /// # Example
    /// ```
    /// use accordant_objectives::rollout::{dr_grpo::DrGrpoConfig, grpo::GrpoConfig};
    /// use burn::tensor::Device;
    /// assert!(GrpoConfig::new().init()?.check_prompt_weights(&Device::flex()).is_err());
    /// assert!(DrGrpoConfig::new(512).init()?.check_prompt_weights(&Device::flex()).is_ok());
    /// # Ok::<(), accordant_objectives::Error>(())
    /// ```
    pub fn check_prompt_weights(&self, device: &Device) -> Result<()> {
        let rows = |values: [f32; 4]| Tensor::<1>::from_floats(values, device);
        let tokens = |value: f32| Tensor::<2>::full([4, 1], value, (device, DType::F32));
        let mask = Tensor::full([4, 1], true, device);
        let mut batch = RewardBatch::new(rows([1.0, 0.0, 4.0, 0.0]), Groups::new(&[0, 0, 1, 1]), mask)?
            .with_logps(tokens(0.0), tokens(0.0))?
            .with_values(tokens(0.0))?
            .with_sum_sq_probs(tokens(1.0))?;
        for column in self.estimator.columns() {
            batch = batch.with_column(column, rows([0.0; 4]))?;
        }
        let advantages = numbers(self.estimator.estimate(&batch)?.advantages.into_data());
        let spread = |first: usize| (advantages[first] - advantages[first + 1]).abs();
        if spread(2) > 2.0 * spread(0) {
            return Ok(());
        }
        let reason = "the estimator divides by the deviation of each group, and a factor of all its rewards cancels; \
                      take one that divides by the batch's, or by none";
        Err(Error::Combination { what: "rewards weighed by prompt", reason })
    }

    /// Tokens that are learned from: those of enough entropy, if so configured.
    fn learned(&self, batch: &RolloutBatch) -> Result<Tensor<2, Bool>> {
        let Some(min) = self.config.entropy.min_entropy else { return Ok(batch.mask()) };
        Ok(batch.mask().bool_and(batch.entropies(self.name)?.detach().greater_equal_scalar(min)))
    }

    /// The loss of each token, `[rows, seq]`, 0 behind the mask, and the log-ratios it is made of.
    fn token_losses(&self, batch: &RolloutBatch, learned: Tensor<2, Bool>) -> Result<(Tensor<2>, Tensor<2>)> {
        let log_ratios = self.config.ratio.log_ratios(batch, self.config.log_ratio_clamp, self.name)?;
        let tokens = Tokens::new(batch, log_ratios.clone(), learned.clone());
        let mut losses = self.surrogate.losses(&tokens)?;
        if let Some(threshold) = self.config.off_policy_threshold {
            losses = losses.mask_fill(off_policy_rows(batch, threshold)?, 0.0);
        }
        if self.config.entropy.min_entropy.is_some() && !self.surrogate.is_of_rows() {
            losses = losses.mask_fill(learned.bool_not(), 0.0);
        }
        if let Some(correction) = &self.config.correction {
            losses = losses * correction.weights(batch)?;
        }
        if let KlPlacement::Loss { kl_coef, options, corrected } = self.config.kl {
            let mut kl = kl_per_token(batch.policy(), batch.reference(self.name)?, &options)?;
            if corrected {
                kl = importance_corrected(kl, log_ratios.clone(), self.config.log_ratio_clamp)?;
            }
            losses = losses + kl * kl_coef;
        }
        Ok((losses.mask_fill(batch.mask().bool_not(), 0.0), log_ratios))
    }

    /// All losses by name, with their weights, of token losses that are 0 behind the mask.
    fn terms(
        &self,
        batch: &RolloutBatch,
        losses: Tensor<2>,
        learned: Tensor<2, Bool>,
    ) -> Result<Vec<(&'static str, f64, Reduced)>> {
        let counts = row_counts(batch.mask(), losses.dtype());
        let sums = losses.sum_dim(1).squeeze_dim(1);
        let policy = reduce_rows(sums, counts, self.config.aggregation, self.config.empty_rows)?;
        let mut terms = vec![("policy", 1.0, policy)];
        let mean = |values, mask| reduce_tokens(values, mask, Aggregation::TokenMean, EmptyRows::Skip);
        if self.config.entropy.entropy_coef != 0.0 {
            let entropies = batch.entropies(self.name)?;
            terms.push(("entropy", -self.config.entropy.entropy_coef, mean(entropies, learned)?));
        }
        if self.config.sft_weight > 0.0 {
            let success = batch.column(SUCCESS, self.name)?;
            let success = RolloutBatch::per_token(success, batch.mask())?.greater_scalar(0.5);
            terms.push(("sft", self.config.sft_weight, mean(-batch.policy(), success)?));
        }
        if let Some((value_coef, value)) = &self.critic {
            let output = value.forward(batch.critic(self.name)?)?;
            terms.push(("value", *value_coef, output.reduce(Aggregation::TokenMean)?));
        }
        Ok(terms)
    }
}

impl RolloutObjective for PolicyGradient {
    fn name(&self) -> &'static str {
        self.name
    }

    fn needs_reference(&self) -> bool {
        self.config.kl != KlPlacement::None
    }

    fn needs_values(&self) -> bool {
        self.estimator.needs_values() || self.critic.is_some()
    }

    fn needs_sum_sq_probs(&self) -> bool {
        self.estimator.needs_sum_sq_probs()
    }

    fn needs_entropies(&self) -> bool {
        self.config.entropy != EntropyConfig::new()
    }

    fn needs_groups(&self) -> bool {
        self.config.ratio == RatioLevel::Group
    }

    fn columns(&self) -> Vec<Column> {
        if self.config.sft_weight > 0.0 { vec![SUCCESS] } else { Vec::new() }
    }

    fn reward_columns(&self) -> Vec<Column> {
        self.estimator.columns()
    }

    fn advantages(&self, batch: &RewardBatch) -> Result<Advantages> {
        match self.config.kl {
            KlPlacement::Reward { kl_coef, options } => {
                self.estimator.estimate(&batch.clone().penalized(self.name, kl_coef, &options)?)
            }
            _ => self.estimator.estimate(batch),
        }
    }

    fn forward(&self, batch: &RolloutBatch) -> Result<RolloutOutput> {
        let learned = self.learned(batch)?;
        let (losses, log_ratios) = self.token_losses(batch, learned.clone())?;
        let terms = self.terms(batch, losses.clone(), learned)?;
        let PolicyGradientConfig { ratio, log_ratio_clamp, .. } = self.config;
        let output = RolloutOutput::new(batch, losses, terms)?;
        output.with_ratios(log_ratios, ratio, log_ratio_clamp, self.surrogate.clone())
    }
}

#[cfg(test)]
mod tests;
