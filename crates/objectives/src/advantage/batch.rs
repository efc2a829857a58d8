//! What an estimator of advantages reads.

use accordant_ops::{
    check_domain, check_dtype, check_shape,
    groups::{GroupStats, Groups},
    kl::{KlOptions, kl_per_token},
    masked::masked_sum,
};
use burn::tensor::{Bool, DType, FloatDType, Tensor};

use super::token_rewards::{ENDED, TokenRewardConfig, TokenRewardInput, TokenRewards, token_rewards};
use crate::{
    Error, Result,
    rollout::RolloutBatch,
    side::{Column, Columns},
};

/// A divergence in the reward.
#[derive(Debug, Clone)]
struct Pull {
    kl_coef: f64,
    options: KlOptions,
    old: Tensor<2>,
    reference: Tensor<2>,
}

/// A whole batch of rollouts with their rewards. All constants.
///
/// A reward that is NaN is missing: its function did not score the response. A row without any has advantage 0 and
/// enters no statistic.
#[derive(Debug, Clone)]
pub struct RewardBatch {
    /// Each reward of each row, `[rows, rewards]`; NaN where it is missing.
    rewards: Tensor<2>,
    /// What each reward counts.
    weights: Vec<f64>,
    groups: Groups,
    mask: Tensor<2, Bool>,
    old: Option<Tensor<2>>,
    reference: Option<Tensor<2>>,
    pull: Option<Pull>,
    values: Option<Tensor<2>>,
    sum_sq_probs: Option<Tensor<2>>,
    columns: Columns,
}

impl RewardBatch {
    /// One reward for each row. `groups`: which rows answer the same prompt, in any order and of any sizes.
    ///
    /// # Shapes
    /// `rewards`: `[rows]`, in f32 or f64, which becomes the dtype of the advantages; `mask`: `[rows, seq]`, true at the
    /// tokens that the policy produced.
    ///
    /// # Errors
    /// A shape error naming `groups` or `mask`.
    pub fn new(rewards: Tensor<1>, groups: Groups, mask: Tensor<2, Bool>) -> Result<Self> {
        Self::with_rewards(rewards.unsqueeze_dim(1), vec![1.0], groups, mask)
    }

    /// Several rewards for each row, each with a weight.
    ///
    /// # Shapes
    /// `rewards`: `[rows, rewards]`; `weights`: one finite number for each reward.
    ///
    /// # Errors
    /// A shape error naming `weights`, `groups` or `mask`; a domain error naming `weights`.
    pub fn with_rewards(rewards: Tensor<2>, weights: Vec<f64>, groups: Groups, mask: Tensor<2, Bool>) -> Result<Self> {
        let [rows, functions] = rewards.dims();
        check_shape("weights", &[functions], &[weights.len()])?;
        check_shape("groups", &[rows], &[groups.len()])?;
        check_shape("mask", &[rows, mask.dims()[1]], &mask.dims())?;
        for weight in &weights {
            check_domain(weight.is_finite(), "weights", "finite", *weight)?;
        }
        let wide = if rewards.dtype() == DType::F64 { FloatDType::F64 } else { FloatDType::F32 };
        Ok(Self {
            rewards: rewards.detach().cast(wide),
            weights,
            groups,
            mask,
            old: None,
            reference: None,
            pull: None,
            values: None,
            sum_sq_probs: None,
            columns: Columns::default(),
        })
    }

    /// Log-probabilities of the tokens under the policy that sampled and under the reference, `[rows, seq]`: for a
    /// divergence in the reward.
    ///
    /// # Errors
    /// A shape or dtype error naming the argument.
    pub fn with_logps(mut self, old_logps: Tensor<2>, reference: Tensor<2>) -> Result<Self> {
        self = self.with_old_logps(old_logps)?;
        self.reference = Some(self.tokens("reference", reference)?);
        Ok(self)
    }

    /// Log-probabilities of the tokens under the policy that sampled, `[rows, seq]`, where there is no reference.
    ///
    /// # Errors
    /// A shape or dtype error naming `old_logps`.
    pub fn with_old_logps(mut self, old_logps: Tensor<2>) -> Result<Self> {
        self.old = Some(self.tokens("old_logps", old_logps)?);
        Ok(self)
    }

    /// The sum over the vocabulary of the squared probabilities that the policy that sampled gave each token,
    /// `[rows, seq]` in `(0, 1]`: the exponential of `logsumexp(2 logits) − 2 logsumexp(logits)`.
    ///
    /// # Errors
    /// A shape or dtype error naming `sum_sq_probs`.
    pub fn with_sum_sq_probs(mut self, sum_sq_probs: Tensor<2>) -> Result<Self> {
        self.sum_sq_probs = Some(self.tokens("sum_sq_probs", sum_sq_probs)?);
        Ok(self)
    }

    /// What the critic said of the states before each token, `[rows, seq]`, and of the state after the last one where it
    /// has a slot ([`ScoreAt::OnePast`](super::token_rewards::ScoreAt)).
    ///
    /// # Errors
    /// A shape or dtype error naming `values`.
    pub fn with_values(mut self, values: Tensor<2>) -> Result<Self> {
        // Not 0 behind the mask: the slot for a score past the end is there.
        self.values = Some(self.like_tokens("values", values)?);
        Ok(self)
    }

    /// Side information of each row, `[rows]`.
    ///
    /// # Errors
    /// A shape or dtype error naming the column.
    pub fn with_column(mut self, column: Column, values: Tensor<1>) -> Result<Self> {
        check_shape(column.name, &[self.len()], &values.dims())?;
        check_dtype(column.name, self.rewards.dtype(), values.dtype())?;
        self.columns.insert(column, values.detach());
        Ok(self)
    }

    /// With a divergence in the reward: `kl_coef` times its estimate is to be subtracted from the reward of each token, in
    /// place of any divergence that was to be before. `kl_coef` is finite and ≥ 0, and 0 asks for none.
    ///
    /// # Errors
    /// A domain error naming `kl_coef` or a clamp; [`Error::MissingReference`] naming `method`.
    pub fn penalized(mut self, method: &'static str, kl_coef: f64, options: &KlOptions) -> Result<Self> {
        check_domain(kl_coef.is_finite() && kl_coef >= 0.0, "kl_coef", "finite and >= 0", kl_coef)?;
        options.validate()?;
        self.pull = match (&self.old, &self.reference) {
            _ if kl_coef == 0.0 => None,
            (Some(old), Some(reference)) => {
                Some(Pull { kl_coef, options: *options, old: old.clone(), reference: reference.clone() })
            }
            _ => return Err(Error::MissingReference { method }),
        };
        Ok(self)
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.rewards.dims()[0]
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Which rows answer the same prompt.
    pub fn groups(&self) -> &Groups {
        &self.groups
    }

    /// True at the tokens that the policy produced, `[rows, seq]`.
    pub fn mask(&self) -> Tensor<2, Bool> {
        self.mask.clone()
    }

    /// Each reward as it came, `[rows, rewards]`; NaN where it is missing.
    pub fn all_rewards(&self) -> Tensor<2> {
        self.rewards.clone()
    }

    /// What each reward counts.
    pub fn weights(&self) -> &[f64] {
        &self.weights
    }

    /// Whether a row has a reward, `[rows]`.
    pub fn is_scored(&self) -> Tensor<1, Bool> {
        self.raw_rewards().is_nan().bool_not()
    }

    /// The weighted sum of the rewards that a row has, `[rows]`; NaN for one without any.
    pub fn raw_rewards(&self) -> Tensor<1> {
        self.weighted_sum(self.rewards.clone())
    }

    /// The weighted sum of `values`, `[rows, rewards]`, in place of the rewards, of those that are not NaN; NaN for a row
    /// without any.
    ///
    /// # Errors
    /// A shape error naming `values`.
    pub fn weighted(&self, values: Tensor<2>) -> Result<Tensor<1>> {
        check_shape("values", &self.rewards.dims(), &values.dims())?;
        Ok(self.weighted_sum(values))
    }

    fn weighted_sum(&self, values: Tensor<2>) -> Tensor<1> {
        let [rows, functions] = values.dims();
        if functions == 0 {
            return Tensor::full([rows], f32::NAN, (&values.device(), values.dtype()));
        }
        let missing = values.clone().is_nan();
        let weights = Tensor::<1>::from_data(self.weights.as_slice(), (&values.device(), values.dtype()));
        let weighted = values.mask_fill(missing.clone(), 0.0) * weights.unsqueeze_dim(0);
        let none = missing.cast(self.float()).sum_dim(1).equal_scalar(functions as f64).squeeze_dim::<1>(1);
        weighted.sum_dim(1).squeeze_dim::<1>(1).mask_fill(none, f32::NAN)
    }

    /// The reward of each response: [`RewardBatch::raw_rewards`] less the divergence of its tokens, `[rows]`; NaN for one
    /// without a reward.
    ///
    /// # Errors
    /// None for a batch that was built.
    pub fn rewards(&self) -> Result<Tensor<1>> {
        self.less_divergence(self.raw_rewards())
    }

    /// `rewards`, `[rows]`, less the divergence of each row's tokens: for rewards that were changed before it counts.
    ///
    /// # Errors
    /// A shape error naming `rewards`.
    pub fn less_divergence(&self, rewards: Tensor<1>) -> Result<Tensor<1>> {
        check_shape("rewards", &[self.len()], &rewards.dims())?;
        Ok(match self.penalties()? {
            Some(penalties) => rewards - masked_sum(penalties, self.mask.clone())?,
            None => rewards,
        })
    }

    /// What is to be subtracted from the reward of each token, `[rows, seq]`; none without a divergence in the reward.
    ///
    /// # Errors
    /// None for a batch that was built.
    pub fn penalties(&self) -> Result<Option<Tensor<2>>> {
        let Some(Pull { kl_coef, options, old, reference }) = &self.pull else { return Ok(None) };
        Ok(Some(kl_per_token(old.clone(), reference.clone(), options)? * *kl_coef))
    }

    /// Whether there is a divergence in the reward.
    pub fn is_penalized(&self) -> bool {
        self.pull.is_some()
    }

    /// The reward of each token by [`token_rewards`](mod@super::token_rewards), of rows that have one. Strength and kind of
    /// the divergence are the batch's, whatever `config` has; a penalty for a missing end reads the column [`ENDED`].
    ///
    /// # Errors
    /// [`Error::MissingColumn`] naming `method`; a domain error naming the field of `config`.
    pub fn token_rewards(&self, config: &TokenRewardConfig, method: &'static str) -> Result<TokenRewards> {
        let scores = self.raw_rewards().mask_fill(self.is_scored().bool_not(), 0.0);
        let mut input = TokenRewardInput::new(scores, self.scored_mask()?)?;
        let mut config = config.clone().with_kl_coef(0.0);
        if let Some(Pull { kl_coef, options, old, reference }) = &self.pull {
            input = input.with_logps(old.clone(), reference.clone())?;
            config = config.with_kl_coef(*kl_coef).with_kl(*options);
        }
        if config.missing_eos_penalty.is_some() {
            input = input.with_ended(self.column(ENDED, method)?.greater_scalar(0.5))?;
        }
        token_rewards(&input, &config)
    }

    /// True at the tokens that the policy produced in rows that have a reward, `[rows, seq]`.
    pub fn scored_mask(&self) -> Result<Tensor<2, Bool>> {
        let scored = RolloutBatch::per_token(self.is_scored().cast(self.float()), self.mask.clone())?;
        Ok(scored.greater_scalar(0.5))
    }

    /// Statistics of groups of `values`, `[rows]`, over the rows that have a reward.
    ///
    /// # Errors
    /// A shape error naming `values`.
    pub fn stats(&self, values: Tensor<1>) -> Result<GroupStats> {
        Ok(self.groups.masked_stats(values, self.is_scored())?)
    }

    /// Statistics of `values`, `[rows]`, over all rows that have a reward.
    ///
    /// # Errors
    /// A shape error naming `values`.
    pub fn stats_of_all(&self, values: Tensor<1>) -> Result<GroupStats> {
        Ok(Groups::new(&vec![0_u8; self.len()]).masked_stats(values, self.is_scored())?)
    }

    /// Statistics of the rewards as they came.
    pub(super) fn raw_stats(&self) -> Result<GroupStats> {
        self.stats(self.raw_rewards())
    }

    /// Numbers of scored tokens, `[rows]`.
    pub fn lengths(&self) -> Tensor<1> {
        self.mask.clone().cast(self.float()).sum_dim(1).squeeze_dim(1)
    }

    /// Values of the states, `[rows, seq]`; anything behind the mask.
    ///
    /// # Errors
    /// [`Error::MissingColumn`] naming `method`.
    pub fn values(&self, method: &'static str) -> Result<Tensor<2>> {
        let meaning = "what the critic says of the state before each token";
        self.values.clone().ok_or(Error::MissingColumn { method, name: "values", meaning })
    }

    /// Log-probabilities under the policy that sampled, `[rows, seq]`.
    ///
    /// # Errors
    /// [`Error::MissingColumn`] naming `method`.
    pub fn old_logps(&self, method: &'static str) -> Result<Tensor<2>> {
        let meaning = "log-probabilities under the policy that sampled";
        self.old.clone().ok_or(Error::MissingColumn { method, name: "old_logps", meaning })
    }

    /// Sums of squared probabilities, `[rows, seq]`; see [`RewardBatch::with_sum_sq_probs`].
    ///
    /// # Errors
    /// [`Error::MissingColumn`] naming `method`.
    pub fn sum_sq_probs(&self, method: &'static str) -> Result<Tensor<2>> {
        let meaning = "the sum over the vocabulary of squared probabilities at each token";
        self.sum_sq_probs.clone().ok_or(Error::MissingColumn { method, name: "sum_sq_probs", meaning })
    }

    /// Side information of each row, `[rows]`.
    ///
    /// # Errors
    /// [`Error::MissingColumn`] naming both.
    pub fn column(&self, column: Column, method: &'static str) -> Result<Tensor<1>> {
        self.columns.require(column, method)
    }

    /// Side information of each row, `[rows]`, if there is any.
    pub fn known_column(&self, column: Column) -> Option<Tensor<1>> {
        self.columns.get(column)
    }

    fn float(&self) -> FloatDType {
        if self.rewards.dtype() == DType::F64 { FloatDType::F64 } else { FloatDType::F32 }
    }

    /// A number for each token, 0 behind the mask.
    fn tokens(&self, name: &'static str, tensor: Tensor<2>) -> Result<Tensor<2>> {
        Ok(self.like_tokens(name, tensor)?.mask_fill(self.mask.clone().bool_not(), 0.0))
    }

    fn like_tokens(&self, name: &'static str, tensor: Tensor<2>) -> Result<Tensor<2>> {
        check_shape(name, &self.mask.dims(), &tensor.dims())?;
        check_dtype(name, self.rewards.dtype(), tensor.dtype())?;
        Ok(tensor.detach())
    }
}
