//! What an estimator of advantages reads.

use accordant_ops::{
    check_dtype, check_shape,
    groups::{GroupStats, Groups},
    kl::{KlOptions, kl_per_token},
    masked::masked_sum,
};
use burn::tensor::{Bool, DType, FloatDType, Tensor};

use crate::{
    Error, Result,
    side::{Column, Columns},
};

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
    /// What is subtracted from the reward of each token.
    penalties: Option<Tensor<2>>,
    values: Option<Tensor<2>>,
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
            accordant_ops::check_domain(weight.is_finite(), "weights", "finite", *weight)?;
        }
        let wide = if rewards.dtype() == DType::F64 { FloatDType::F64 } else { FloatDType::F32 };
        Ok(Self {
            rewards: rewards.detach().cast(wide),
            weights,
            groups,
            mask,
            old: None,
            reference: None,
            penalties: None,
            values: None,
            columns: Columns::default(),
        })
    }

    /// Log-probabilities of the tokens under the policy that sampled and under the reference, `[rows, seq]`: for a
    /// divergence in the reward.
    ///
    /// # Errors
    /// A shape or dtype error naming the argument.
    pub fn with_logps(mut self, old_logps: Tensor<2>, reference: Tensor<2>) -> Result<Self> {
        self.old = Some(self.tokens("old_logps", old_logps)?);
        self.reference = Some(self.tokens("reference", reference)?);
        Ok(self)
    }

    /// What the critic said of the states before each token, `[rows, seq]`.
    ///
    /// # Errors
    /// A shape or dtype error naming `values`.
    pub fn with_values(mut self, values: Tensor<2>) -> Result<Self> {
        self.values = Some(self.tokens("values", values)?);
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

    /// With `kl_coef` times the divergence of each token subtracted from its reward.
    ///
    /// # Errors
    /// [`Error::MissingReference`] naming `method`.
    pub fn penalized(mut self, method: &'static str, kl_coef: f64, options: &KlOptions) -> Result<Self> {
        let (Some(old), Some(reference)) = (self.old.clone(), self.reference.clone()) else {
            return Err(Error::MissingReference { method });
        };
        let kl = kl_per_token(old, reference, options)? * kl_coef;
        let penalties = kl.mask_fill(self.mask.clone().bool_not(), 0.0);
        self.penalties = Some(match self.penalties {
            Some(before) => before + penalties,
            None => penalties,
        });
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
        let missing = self.rewards.clone().is_nan();
        let [_, functions] = self.rewards.dims();
        let weights = Tensor::<1>::from_data(self.weights.as_slice(), (&self.rewards.device(), self.rewards.dtype()));
        let weighted = self.rewards.clone().mask_fill(missing.clone(), 0.0) * weights.unsqueeze_dim(0);
        let none = missing.cast(self.float()).sum_dim(1).equal_scalar(functions as f64).squeeze_dim::<1>(1);
        weighted.sum_dim(1).squeeze_dim::<1>(1).mask_fill(none, f32::NAN)
    }

    /// The reward of each response: [`RewardBatch::raw_rewards`] less the penalties of its tokens, `[rows]`; NaN for one
    /// without a reward.
    pub fn rewards(&self) -> Result<Tensor<1>> {
        Ok(match &self.penalties {
            Some(penalties) => self.raw_rewards() - masked_sum(penalties.clone(), self.mask.clone())?,
            None => self.raw_rewards(),
        })
    }

    /// What is subtracted from the reward of each token, `[rows, seq]`; none without a divergence in the reward.
    pub fn penalties(&self) -> Option<Tensor<2>> {
        self.penalties.clone()
    }

    /// Statistics of groups of `values`, `[rows]`, over the rows that have a reward.
    ///
    /// # Errors
    /// A shape error naming `values`.
    pub fn stats(&self, values: Tensor<1>) -> Result<GroupStats> {
        Ok(self.groups.masked_stats(values, self.is_scored())?)
    }

    /// Statistics of the rewards as they came.
    pub(super) fn raw_stats(&self) -> Result<GroupStats> {
        self.stats(self.raw_rewards())
    }

    /// Numbers of scored tokens, `[rows]`.
    pub fn lengths(&self) -> Tensor<1> {
        self.mask.clone().cast(self.float()).sum_dim(1).squeeze_dim(1)
    }

    /// Values of the states, `[rows, seq]`.
    ///
    /// # Errors
    /// [`Error::MissingColumn`] naming `method`.
    pub fn values(&self, method: &'static str) -> Result<Tensor<2>> {
        let meaning = "what the critic says of the state before each token";
        self.values.clone().ok_or(Error::MissingColumn { method, name: "values", meaning })
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

    fn tokens(&self, name: &'static str, tensor: Tensor<2>) -> Result<Tensor<2>> {
        check_shape(name, &self.mask.dims(), &tensor.dims())?;
        check_dtype(name, self.rewards.dtype(), tensor.dtype())?;
        Ok(tensor.detach().mask_fill(self.mask.clone().bool_not(), 0.0))
    }
}
