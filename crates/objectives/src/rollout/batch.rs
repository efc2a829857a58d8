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
    value::ValueBatch,
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
    critic: Option<ValueBatch>,
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
    /// policy than `old_logps`. `sampled` is how it sampled, `scored` how the policy's log-probabilities were made. NaN where
    /// it has not reported any: such a token counts as if the old policy had sampled it, as in TRL.
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

    /// What the critic predicts and should, for objectives with a value loss.
    ///
    /// # Errors
    /// A shape or dtype error naming `critic`.
    pub fn with_critic(mut self, critic: ValueBatch) -> Result<Self> {
        check_shape("critic", &self.policy.dims(), &critic.mask().dims())?;
        check_dtype("critic", self.policy.dtype(), critic.values().dtype())?;
        self.critic = Some(critic);
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
        self.critic = self.critic.map(|critic| critic.keep(keep.clone()));
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

    /// The advantage that the tokens of a row have in common, `[rows]`, exactly; the largest where they differ, and 0
    /// without a token.
    pub(super) fn row_advantages(&self) -> Tensor<1> {
        let off = self.mask.clone().bool_not();
        if off.dims()[1] == 0 {
            return self.advantages.clone().sum_dim(1).squeeze_dim(1);
        }
        let largest = self.advantages.clone().mask_fill(off.clone(), f32::NEG_INFINITY).max_dim(1);
        largest.mask_fill(off.all_dim(1), 0.0).squeeze_dim(1)
    }

    /// Without the rows that have an advantage which is not known, NaN: none of their tokens counts in anything.
    pub(super) fn with_known_advantages(&self) -> Result<Self> {
        let [rows, seq] = self.advantages.dims();
        let known = match seq {
            0 => Tensor::full([rows], true, &self.mask.device()),
            _ => self.advantages.clone().is_nan().any_dim(1).bool_not().squeeze_dim(1),
        };
        self.clone().keep_rows(known)
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

    /// Log-probabilities that the sampler reported, `[rows, seq]`; the old policy's where there are none.
    pub fn behavior(&self) -> Tensor<2> {
        let Some(behavior) = self.behavior.clone() else { return self.old() };
        let unknown = behavior.clone().is_nan();
        behavior.mask_where(unknown, self.old())
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

    /// What the critic predicts and should.
    ///
    /// # Errors
    /// [`Error::MissingColumn`] naming `method`.
    pub fn critic(&self, method: &'static str) -> Result<&ValueBatch> {
        let meaning = "what the critic predicts, and the returns";
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollout::tests::{close, host, mask, matrix};

    fn batch() -> RolloutBatch {
        let policy =
            TokenLogps::new(matrix([[-1.0, -2.0], [-3.0, -4.0]]), mask([[true, true], [true, false]])).unwrap();
        RolloutBatch::new(policy, matrix([[1.0, 2.0], [3.0, f64::NAN]])).unwrap()
    }

    #[test]
    fn what_is_behind_the_mask_becomes_0() {
        let same = Sampling::new();
        let dirty = || matrix([[-1.0, -2.0], [-3.0, f64::NAN]]);
        let batch = batch()
            .with_old(dirty())
            .unwrap()
            .with_reference(dirty())
            .unwrap()
            .with_behavior(dirty(), &same, &same)
            .unwrap()
            .with_entropies(dirty())
            .unwrap();
        let clean = [-1.0, -2.0, -3.0, 0.0];
        for tensor in [
            batch.policy(),
            batch.old(),
            batch.reference("test").unwrap(),
            batch.behavior(),
            batch.entropies("test").unwrap(),
        ] {
            assert_eq!(host(tensor), clean);
        }
        assert_eq!(host(batch.advantages()), [1.0, 2.0, 3.0, 0.0]);
        assert_eq!((batch.len(), batch.is_empty(), batch.has_behavior()), (2, false, true));
    }

    #[test]
    fn a_missing_old_policy_is_this_one_and_a_missing_sampler_the_old_one() {
        assert_eq!(host(batch().old()), host(batch().policy()));
        let old = batch().with_old(matrix([[-5.0, -5.0], [-5.0, -5.0]])).unwrap();
        assert_eq!(host(old.behavior()), [-5.0, -5.0, -5.0, 0.0]);
        assert!(!old.has_behavior());
        for (error, name) in [
            (batch().entropies("test").unwrap_err(), "entropies"),
            (batch().groups("test").unwrap_err(), "groups"),
            (batch().critic("test").unwrap_err(), "critic"),
        ] {
            assert!(error.to_string().starts_with(&format!("`test` needs `{name}`")), "{error}");
        }
        assert!(matches!(batch().reference("test"), Err(Error::MissingReference { method: "test" })));
    }

    #[test]
    fn a_sampler_with_another_distribution_is_refused() {
        let scored = Sampling::new();
        assert_eq!((scored.temperature, scored.top_p, scored.top_k), (1.0, None, None));
        for sampled in [scored.with_temperature(0.7), scored.with_top_p(Some(0.9)), scored.with_top_k(Some(50))] {
            let error = batch().with_behavior(matrix([[0.0; 2]; 2]), &sampled, &scored).unwrap_err();
            assert!(matches!(error, Error::Sampling { .. }));
            assert!(error.to_string().ends_with("their ratio is no importance weight"), "{error}");
            assert!(batch().with_behavior(matrix([[0.0; 2]; 2]), &sampled, &sampled).is_ok());
        }
    }

    #[test]
    fn rows_that_are_not_kept_count_in_nothing() {
        let ones = || matrix([[1.0, 1.0], [1.0, 1.0]]);
        let critic = ValueBatch::new(ones(), ones(), mask([[true, true], [true, true]])).unwrap();
        let critic = critic.with_old_values(ones()).unwrap();
        let same = Sampling::new();
        let full = batch()
            .with_old(ones())
            .unwrap()
            .with_reference(ones())
            .unwrap()
            .with_behavior(ones(), &same, &same)
            .unwrap()
            .with_entropies(ones())
            .unwrap()
            .with_critic(critic)
            .unwrap();
        let keep = Tensor::<1, Bool>::from_bool(burn::tensor::TensorData::from([false, true]), &full.policy.device());
        let kept = full.clone().keep_rows(keep.clone()).unwrap();
        assert_eq!(host(kept.mask().float()), [0.0, 0.0, 1.0, 0.0]);
        assert_eq!(host(kept.policy()), [0.0, 0.0, -3.0, 0.0]);
        assert_eq!(host(kept.advantages()), [0.0, 0.0, 3.0, 0.0]);
        for tensor in [kept.old(), kept.reference("test").unwrap(), kept.behavior(), kept.entropies("test").unwrap()] {
            assert_eq!(host(tensor), [0.0, 0.0, 1.0, 0.0]);
        }
        let critic = kept.critic("test").unwrap();
        assert_eq!(host(critic.mask().clone().float()), [0.0, 0.0, 1.0, 1.0]);
        for tensor in [critic.values(), critic.old_values().unwrap(), critic.returns()] {
            assert_eq!(host(tensor), [0.0, 0.0, 1.0, 1.0]);
        }
        let error = full.keep_rows(keep.slice(0..1)).unwrap_err().to_string();
        assert_eq!(error, "`keep`: expected shape [2], got [1]");
    }

    #[test]
    fn shapes_and_dtypes_are_checked_by_name() {
        let (short, same) = (|| matrix([[1.0, 1.0]]), Sampling::new());
        let error = |result: Result<RolloutBatch>, name: &str| {
            let error = result.unwrap_err().to_string();
            assert!(error.starts_with(&format!("`{name}`")), "{error}");
        };
        error(batch().with_old(short()), "old_logps");
        error(batch().with_reference(short()), "reference");
        error(batch().with_behavior(short(), &same, &same), "behavior");
        error(batch().with_entropies(short()), "entropies");
        error(batch().with_groups(Groups::new(&[1])), "groups");
        let narrow = matrix([[1.0; 2]; 2]).cast(FloatDType::F32);
        error(batch().with_old(narrow), "old_logps");
        let totals = |value| {
            let mut totals = Totals::default();
            totals.add("policy", value);
            batch().with_totals(totals)
        };
        for bad in [-1.0, f64::NAN, f64::INFINITY] {
            error(totals(bad), "totals");
        }
        assert!(totals(0.0).is_ok());
        let column = Column { name: "some", domain: crate::Domain::Real, meaning: "numbers" };
        let row = |values: &[f64]| Tensor::<1>::from_data(values, (&batch().policy.device(), batch().policy.dtype()));
        error(batch().with_column(column, row(&[1.0])), "some");
        let with = batch().with_column(column, row(&[1.0, 2.0])).unwrap();
        assert_eq!(host(with.column(column, "test").unwrap()), [1.0, 2.0]);
        assert!(batch().column(column, "test").unwrap_err().to_string().starts_with("`test` needs `some` (numbers)"));
    }

    #[test]
    fn totals_add_up_by_name() {
        let (mut one, mut other) = (Totals::default(), Totals::default());
        one.add("policy", 2.0);
        one.add("policy", 1.0);
        other.add("policy", 4.0);
        other.add("entropy", 5.0);
        one.merge(&other);
        assert_eq!((one.get("policy"), one.get("entropy"), one.get("sft")), (Some(7.0), Some(5.0), None));
    }

    #[test]
    fn one_number_for_each_row_stands_at_its_tokens() {
        let row = Tensor::<1>::from_data([2.0f64, 3.0], (&batch().policy.device(), batch().policy.dtype()));
        close(&host(RolloutBatch::per_token(row.clone(), batch().mask()).unwrap()), &[2.0, 2.0, 3.0, 0.0], 0.0);
        let error = RolloutBatch::per_token(row.slice(0..1), batch().mask()).unwrap_err().to_string();
        assert_eq!(error, "`values`: expected shape [2], got [1]");
    }
}
