//! What an objective on rollouts reads.

use std::collections::BTreeMap;

use accordant_ops::{TokenLogps, check_domain, check_dtype, check_shape, groups::Groups};
use burn::{
    config::Config,
    tensor::{Bool, FloatDType, Shape, Tensor},
};
use serde::{Deserialize, Serialize};

use crate::{
    Error, Result,
    side::{Column, Columns},
};

/// How tokens were drawn from the logits, hence what the log-probabilities of a sampler mean.
#[derive(Config, Debug, Copy, PartialEq)]
pub struct Sampling {
    /// Divides the logits. 1: the model's own distribution.
    #[config(default = 1.0)]
    pub temperature: f64,
    /// Mass of the most probable tokens that are kept. None: all of it.
    #[config(default = "None")]
    pub top_p: Option<f64>,
    /// Number of the most probable tokens that are kept. None: all of them.
    #[config(default = "None")]
    pub top_k: Option<usize>,
}

/// What the means of a step are divided by, by the name of the term: sums over all its micro-batches and devices.
///
/// [`RolloutObjective::totals`](super::RolloutObjective::totals) makes those of a micro-batch, without the policy.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Totals(BTreeMap<String, f64>);

impl Totals {
    /// Adds `denominator` to that of the term called `name`.
    pub fn add(&mut self, name: &str, denominator: f64) {
        *self.0.entry(name.to_owned()).or_default() += denominator;
    }

    /// Adds everything in `other`, of another micro-batch or device.
    pub fn merge(&mut self, other: &Self) {
        other.0.iter().for_each(|(name, denominator)| self.add(name, *denominator));
    }

    /// The denominator of the term called `name`.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.0.get(name).copied()
    }
}

/// Values of the states, for a critic that is trained beside the policy. All `[rows, seq]`.
#[derive(Debug, Clone)]
pub struct CriticValues {
    /// What the critic says now; carries the gradient.
    pub values: Tensor<2>,
    /// What it said when the rollouts were made; a constant.
    pub old_values: Tensor<2>,
    /// What it shall say; constants.
    pub returns: Tensor<2>,
    /// True where a value counts: the scored tokens, or one more per row with a score past the end.
    pub mask: Tensor<2, Bool>,
}

/// Sampled responses with the advantages of their tokens, or some of their rows.
///
/// Everything but the policy's log-probabilities, the entropies and the critic's values is a constant, and everything is
/// 0 behind the mask whatever was handed over. Rows may be in any order and of any group; a part of the rows with the
/// [`Totals`] of all of them is a part of the same update.
#[derive(Debug, Clone)]
pub struct RolloutBatch {
    policy: Tensor<2>,
    mask: Tensor<2, Bool>,
    advantages: Tensor<2>,
    old: Option<Tensor<2>>,
    reference: Option<Tensor<2>>,
    behavior: Option<Tensor<2>>,
    entropies: Option<Tensor<2>>,
    critic: Option<CriticValues>,
    groups: Option<Groups>,
    columns: Columns,
    totals: Option<Totals>,
}

impl RolloutBatch {
    /// Responses sampled once and learned from once: until [`RolloutBatch::with_old`] says otherwise, the policy that
    /// sampled them is this one.
    ///
    /// # Shapes
    /// `policy` and `advantages`: `[rows, seq]`. [`RolloutBatch::per_token`] spreads one advantage for each row.
    ///
    /// # Errors
    /// A shape or dtype error naming `advantages`.
    pub fn new(policy: TokenLogps, advantages: Tensor<2>) -> Result<Self> {
        let TokenLogps { logps, mask } = policy;
        let wide = if logps.dtype() == burn::tensor::DType::F64 { FloatDType::F64 } else { FloatDType::F32 };
        let mut batch = Self {
            policy: logps.cast(wide).mask_fill(mask.clone().bool_not(), 0.0),
            advantages: advantages.clone(),
            mask,
            old: None,
            reference: None,
            behavior: None,
            entropies: None,
            critic: None,
            groups: None,
            columns: Columns::default(),
            totals: None,
        };
        batch.advantages = batch.constants("advantages", advantages)?;
        Ok(batch)
    }

    /// One number for each row, at each of its scored tokens; 0 elsewhere.
    ///
    /// # Shapes
    /// `values`: `[rows]`; `mask` and the result: `[rows, seq]`.
    ///
    /// # Errors
    /// A shape error naming `values`.
    pub fn per_token(values: Tensor<1>, mask: Tensor<2, Bool>) -> Result<Tensor<2>> {
        let [rows, seq] = mask.dims();
        check_shape("values", &[rows], &values.dims())?;
        // A `Shape`: burn takes a 0 in an array for a mistake and panics.
        Ok(values.unsqueeze_dim::<2>(1).expand(Shape::new([rows, seq])).mask_fill(mask.bool_not(), 0.0))
    }

    /// Log-probabilities under the policy as it was when the update began, `[rows, seq]`.
    ///
    /// # Errors
    /// A shape or dtype error naming `old_logps`.
    pub fn with_old(mut self, old_logps: Tensor<2>) -> Result<Self> {
        self.old = Some(self.constants("old_logps", old_logps)?);
        Ok(self)
    }

    /// Log-probabilities under the frozen reference, `[rows, seq]`.
    ///
    /// # Errors
    /// A shape or dtype error naming `reference`.
    pub fn with_reference(mut self, reference: Tensor<2>) -> Result<Self> {
        self.reference = Some(self.constants("reference", reference)?);
        Ok(self)
    }

    /// Log-probabilities that the sampler reported, `[rows, seq]`: of other kernels, another precision or an older
    /// policy than `old_logps`. `sampled` is how it sampled, `scored` how the policy's log-probabilities were made.
    ///
    /// # Errors
    /// [`Error::Sampling`] when the two are not the same distribution: another temperature, or a sampler that cut the
    /// distribution and reports what is left, renormalized. A shape or dtype error naming `behavior`.
    pub fn with_behavior(mut self, behavior: Tensor<2>, sampled: &Sampling, scored: &Sampling) -> Result<Self> {
        if sampled != scored {
            return Err(Error::Sampling { sampled: *sampled, scored: *scored });
        }
        self.behavior = Some(self.constants("behavior", behavior)?);
        Ok(self)
    }

    /// Entropies of the policy's distributions, `[rows, seq]` in nats; with a gradient for an entropy bonus.
    ///
    /// # Errors
    /// A shape or dtype error naming `entropies`.
    pub fn with_entropies(mut self, entropies: Tensor<2>) -> Result<Self> {
        self.entropies = Some(self.tokens("entropies", entropies)?);
        Ok(self)
    }

    /// The critic's values, for objectives with a value loss.
    ///
    /// # Errors
    /// A shape or dtype error naming the field.
    pub fn with_critic(mut self, critic: CriticValues) -> Result<Self> {
        let CriticValues { values, old_values, returns, mask } = critic;
        check_shape("mask", &self.policy.dims(), &mask.dims())?;
        let off = mask.clone().bool_not();
        let check = |name, tensor: Tensor<2>| -> Result<Tensor<2>> {
            check_shape(name, &self.policy.dims(), &tensor.dims())?;
            check_dtype(name, self.policy.dtype(), tensor.dtype())?;
            Ok(tensor.mask_fill(off.clone(), 0.0))
        };
        self.critic = Some(CriticValues {
            values: check("values", values)?,
            old_values: check("old_values", old_values)?.detach(),
            returns: check("returns", returns)?.detach(),
            mask,
        });
        Ok(self)
    }

    /// Which rows answer the same prompt, for objectives that compare them: those of a group must be together in one
    /// micro-batch. Estimators of advantages have groups of their own.
    ///
    /// # Errors
    /// A shape error naming `groups` when there is not one id for each row.
    pub fn with_groups(mut self, groups: Groups) -> Result<Self> {
        check_shape("groups", &[self.len()], &[groups.len()])?;
        self.groups = Some(groups);
        Ok(self)
    }

    /// Side information of each row, `[rows]`; constants.
    ///
    /// # Errors
    /// A shape or dtype error naming the column.
    pub fn with_column(mut self, column: Column, values: Tensor<1>) -> Result<Self> {
        check_shape(column.name, &[self.len()], &values.dims())?;
        check_dtype(column.name, self.policy.dtype(), values.dtype())?;
        self.columns.insert(column, values.detach());
        Ok(self)
    }

    /// What the means of the whole step are divided by: its losses then add up over micro-batches and devices.
    ///
    /// # Errors
    /// [`accordant_ops::Error::Domain`] naming `totals` for one that is not finite and ≥ 0.
    pub fn with_totals(mut self, totals: Totals) -> Result<Self> {
        for total in totals.0.values() {
            check_domain(total.is_finite() && *total >= 0.0, "totals", "finite and >= 0", *total)?;
        }
        self.totals = Some(totals);
        Ok(self)
    }

    /// The same rows as a batch of their own.
    pub(super) fn without_totals(self) -> Self {
        Self { totals: None, ..self }
    }

    /// Without the rows that `keep` does not name: none of their tokens counts in anything. For truncated responses
    /// (overlong filtering), or for groups whose rewards are all equal, which otherwise still pay for their divergence
    /// and count in denominators.
    ///
    /// # Shapes
    /// `keep`: `[rows]`.
    ///
    /// # Errors
    /// A shape error naming `keep`.
    pub fn keep_rows(mut self, keep: Tensor<1, Bool>) -> Result<Self> {
        let [rows, seq] = self.policy.dims();
        check_shape("keep", &[rows], &keep.dims())?;
        let keep = keep.unsqueeze_dim::<2>(1).expand(Shape::new([rows, seq]));
        let off = keep.clone().bool_not();
        let fill = |tensor: &mut Tensor<2>| *tensor = tensor.clone().mask_fill(off.clone(), 0.0);
        [&mut self.policy, &mut self.advantages].into_iter().for_each(fill);
        [&mut self.old, &mut self.reference, &mut self.behavior, &mut self.entropies]
            .into_iter()
            .flatten()
            .for_each(fill);
        if let Some(critic) = &mut self.critic {
            [&mut critic.values, &mut critic.old_values, &mut critic.returns].into_iter().for_each(fill);
            critic.mask = critic.mask.clone().bool_and(keep.clone());
        }
        self.mask = self.mask.bool_and(keep);
        Ok(self)
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.policy.dims()[0]
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Log-probabilities under the policy, `[rows, seq]`, in f32 or f64; 0 behind the mask.
    pub fn policy(&self) -> Tensor<2> {
        self.policy.clone()
    }

    /// True where a token counts, `[rows, seq]`.
    pub fn mask(&self) -> Tensor<2, Bool> {
        self.mask.clone()
    }

    /// Advantages of the tokens, `[rows, seq]`; 0 behind the mask.
    pub fn advantages(&self) -> Tensor<2> {
        self.advantages.clone()
    }

    /// Log-probabilities under the policy that sampled, `[rows, seq]`, a constant: this one's without `old_logps`.
    pub fn old(&self) -> Tensor<2> {
        self.old.clone().unwrap_or_else(|| self.policy.clone().detach())
    }

    /// Log-probabilities under the reference, `[rows, seq]`.
    ///
    /// # Errors
    /// [`Error::MissingReference`] naming `method`.
    pub fn reference(&self, method: &'static str) -> Result<Tensor<2>> {
        self.known_reference().ok_or(Error::MissingReference { method })
    }

    pub(super) fn known_reference(&self) -> Option<Tensor<2>> {
        self.reference.clone()
    }

    /// Log-probabilities that the sampler reported, `[rows, seq]`; the old policy's without any.
    pub fn behavior(&self) -> Tensor<2> {
        self.behavior.clone().unwrap_or_else(|| self.old())
    }

    /// Whether the sampler has reported log-probabilities.
    pub fn has_behavior(&self) -> bool {
        self.behavior.is_some()
    }

    /// Entropies, `[rows, seq]`.
    ///
    /// # Errors
    /// [`Error::MissingColumn`] naming `method`.
    pub fn entropies(&self, method: &'static str) -> Result<Tensor<2>> {
        self.known_entropies().ok_or(Error::MissingColumn {
            method,
            name: "entropies",
            meaning: "entropy of the policy's distribution at each token",
        })
    }

    pub(super) fn known_entropies(&self) -> Option<Tensor<2>> {
        self.entropies.clone()
    }

    /// The critic's values.
    ///
    /// # Errors
    /// [`Error::MissingColumn`] naming `method`.
    pub fn critic(&self, method: &'static str) -> Result<&CriticValues> {
        let meaning = "values of the states, with the old ones and the returns";
        self.critic.as_ref().ok_or(Error::MissingColumn { method, name: "critic", meaning })
    }

    /// Which rows answer the same prompt.
    ///
    /// # Errors
    /// [`Error::MissingColumn`] naming `method`.
    pub fn groups(&self, method: &'static str) -> Result<&Groups> {
        let meaning = "which rows answer the same prompt";
        self.groups.as_ref().ok_or(Error::MissingColumn { method, name: "groups", meaning })
    }

    /// Side information of each row, `[rows]`, for a method that needs it.
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

    /// What the means of the step are divided by, where this is a part of it.
    pub fn totals(&self) -> Option<&Totals> {
        self.totals.as_ref()
    }

    fn constants(&self, name: &'static str, tensor: Tensor<2>) -> Result<Tensor<2>> {
        Ok(self.tokens(name, tensor)?.detach())
    }

    fn tokens(&self, name: &'static str, tensor: Tensor<2>) -> Result<Tensor<2>> {
        check_shape(name, &self.policy.dims(), &tensor.dims())?;
        check_dtype(name, self.policy.dtype(), tensor.dtype())?;
        Ok(tensor.mask_fill(self.mask.clone().bool_not(), 0.0))
    }
}
