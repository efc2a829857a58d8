//! What a pairwise objective reads: log-probabilities of pairs, and what goes with them.

use std::collections::BTreeMap;

use accordant_ops::{EmptyRows, SequenceLogps, TokenLogps, check_domain, check_dtype, check_shape};
use burn::tensor::Tensor;

use super::columns::LABEL_PROBS;
use crate::{
    Error, Result, State,
    side::{Column, Columns, mixed, per_mean_token},
};

/// Log-probabilities of both members of each pair under one model.
#[derive(Debug, Clone)]
pub struct PairLogps {
    /// The preferred responses.
    pub chosen: SequenceLogps,
    /// The others.
    pub rejected: SequenceLogps,
}

impl PairLogps {
    /// Pairs two batches of equal size.
    ///
    /// # Errors
    /// A shape error naming `rejected.sum` when the sizes differ, a dtype error when the dtypes do.
    pub fn new(chosen: SequenceLogps, rejected: SequenceLogps) -> Result<Self> {
        check_shape("rejected.sum", &chosen.sum.dims(), &rejected.sum.dims())?;
        check_dtype("rejected.sum", chosen.sum.dtype(), rejected.sum.dtype())?;
        Ok(Self { chosen, rejected })
    }

    /// From one batch of `2n` rows, the chosen ones first, as one forward pass gives them.
    ///
    /// # Errors
    /// A shape error naming `logps` when the number of rows is odd.
    pub fn from_stacked(logps: &SequenceLogps) -> Result<Self> {
        let rows = logps.len();
        check_shape("logps", &[2 * (rows / 2)], &[rows])?;
        Self::new(logps.narrow(0, rows / 2)?, logps.narrow(rows / 2, rows / 2)?)
    }

    /// [`PairLogps::from_stacked`] of per-token log-probabilities.
    ///
    /// # Errors
    /// As there.
    pub fn from_stacked_tokens(logps: &TokenLogps) -> Result<Self> {
        Self::from_stacked(&logps.sequence())
    }

    /// The number of pairs.
    pub fn len(&self) -> usize {
        self.chosen.len()
    }

    /// Whether there is no pair.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The same numbers as constants.
    pub fn detach(self) -> Self {
        Self { chosen: self.chosen.detach(), rejected: self.rejected.detach() }
    }

    /// Pairs `start..start + len`.
    ///
    /// # Errors
    /// A shape error when these pairs do not exist.
    pub fn narrow(&self, start: usize, len: usize) -> Result<Self> {
        Self::new(self.chosen.narrow(start, len)?, self.rejected.narrow(start, len)?)
    }

    /// Summed log-probabilities.
    pub fn sums(&self) -> PairValues {
        PairValues { chosen: self.chosen.sum.clone(), rejected: self.rejected.sum.clone() }
    }

    /// Log-probabilities per token.
    pub fn means(&self) -> PairValues {
        PairValues { chosen: self.chosen.mean.clone(), rejected: self.rejected.mean.clone() }
    }
}

/// One number for both members of each pair, `[n]` each: log-ratios, scores, rewards.
#[derive(Debug, Clone)]
pub struct PairValues {
    /// Of the chosen responses.
    pub chosen: Tensor<1>,
    /// Of the rejected responses.
    pub rejected: Tensor<1>,
}

impl PairValues {
    /// Chosen less rejected.
    pub fn difference(self) -> Tensor<1> {
        self.chosen - self.rejected
    }

    /// Both through `f`.
    pub fn map(self, f: impl Fn(Tensor<1>) -> Tensor<1>) -> Self {
        Self { chosen: f(self.chosen), rejected: f(self.rejected) }
    }

    /// The two members in the other order.
    pub fn swapped(self) -> Self {
        Self { chosen: self.rejected, rejected: self.chosen }
    }

    /// Each number over its response's count of scored tokens, at least 1.
    pub fn per_token(self, lengths: &PairLogps) -> Self {
        let over = |value: Tensor<1>, side: &SequenceLogps| value / side.count.clone().clamp_min(1.0);
        Self { chosen: over(self.chosen, &lengths.chosen), rejected: over(self.rejected, &lengths.rejected) }
    }
}

/// A third response to each prompt that some methods read: a gold answer, a rationale, a sample of a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extra {
    /// Its name, in batches, records and error messages.
    pub name: &'static str,
    /// One line on what it is.
    pub meaning: &'static str,
    /// Whether its log-probability under the reference is read too.
    pub needs_reference: bool,
}

/// A loss of each pair that is computed elsewhere and carries gradients: that of a head beside the policy's, say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Term {
    /// Its name, in batches and error messages.
    pub name: &'static str,
    /// One line on what it is.
    pub meaning: &'static str,
}

/// A third response's log-probabilities, `[n]`.
#[derive(Debug, Clone)]
pub(super) struct ExtraLogps {
    pub(super) policy: SequenceLogps,
    pub(super) reference: Option<SequenceLogps>,
}

/// What a pairwise objective reads. Everything but log-probabilities under the policy and [`Term`]s is a constant.
#[derive(Debug, Clone)]
pub struct PairBatch {
    pub(super) policy: PairLogps,
    pub(super) reference: Option<PairLogps>,
    pub(super) extras: BTreeMap<&'static str, ExtraLogps>,
    pub(super) terms: BTreeMap<&'static str, Tensor<1>>,
    pub(super) weights: Option<Tensor<1>>,
    pub(super) scales: Option<Tensor<1>>,
    pub(super) label_probs: Option<Tensor<1>>,
    pub(super) margins: Option<Tensor<1>>,
    pub(super) betas: Option<Tensor<1>>,
    pub(super) columns: Columns,
    pub(super) mean_tokens: BTreeMap<&'static str, f64>,
    pub(super) state: State,
    pub(super) empty_rows: EmptyRows,
}

impl PairBatch {
    /// A batch without a reference and without side information.
    pub fn new(policy: PairLogps) -> Self {
        Self {
            policy,
            reference: None,
            extras: BTreeMap::new(),
            terms: BTreeMap::new(),
            weights: None,
            scales: None,
            label_probs: None,
            margins: None,
            betas: None,
            columns: Columns::default(),
            mean_tokens: BTreeMap::new(),
            state: State::default(),
            empty_rows: EmptyRows::Skip,
        }
    }

    fn check(&self, name: &'static str, tensor: &Tensor<1>) -> Result<()> {
        Ok(check_shape(name, &[self.len()], &tensor.dims())?)
    }

    /// A constant in the dtype of the policy's log-probabilities: burn's arithmetic takes one dtype for granted.
    fn constant(&self, tensor: Tensor<1>) -> Tensor<1> {
        tensor.detach().cast(self.policy.chosen.sum.dtype())
    }

    fn constant_logps(&self, side: SequenceLogps) -> SequenceLogps {
        SequenceLogps { sum: self.constant(side.sum), mean: self.constant(side.mean), count: self.constant(side.count) }
    }

    /// Adds the log-probabilities under the frozen reference; they are detached.
    ///
    /// # Errors
    /// A shape error naming `reference.chosen` when it has another number of pairs.
    pub fn with_reference(mut self, reference: PairLogps) -> Result<Self> {
        self.check("reference.chosen", &reference.chosen.sum)?;
        self.check("reference.rejected", &reference.rejected.sum)?;
        self.reference = Some(PairLogps {
            chosen: self.constant_logps(reference.chosen),
            rejected: self.constant_logps(reference.rejected),
        });
        Ok(self)
    }

    /// Adds a third response to each prompt: its log-probabilities under the policy, which carry gradients, and under
    /// the reference, which are detached.
    ///
    /// # Errors
    /// A shape error naming the response; a dtype error when the policy's log-probabilities have another dtype than
    /// those of the pairs.
    pub fn with_extra(mut self, extra: Extra, policy: SequenceLogps, reference: Option<SequenceLogps>) -> Result<Self> {
        self.check(extra.name, &policy.sum)?;
        check_dtype(extra.name, self.policy.chosen.sum.dtype(), policy.sum.dtype())?;
        if let Some(reference) = &reference {
            self.check(extra.name, &reference.sum)?;
        }
        let reference = reference.map(|side| self.constant_logps(side));
        self.extras.insert(extra.name, ExtraLogps { policy, reference });
        Ok(self)
    }

    /// Adds a loss of each pair that was computed elsewhere, `[n]`; it carries its gradients.
    ///
    /// # Errors
    /// A shape error naming the term; a dtype error when the policy's log-probabilities have another dtype.
    pub fn with_term(mut self, term: Term, values: Tensor<1>) -> Result<Self> {
        self.check(term.name, &values)?;
        check_dtype(term.name, self.policy.chosen.sum.dtype(), values.dtype())?;
        self.terms.insert(term.name, values);
        Ok(self)
    }

    /// Adds a weight ≥ 0 for each pair, `[n]`: it scales the pair's loss and its share of the denominator.
    ///
    /// # Errors
    /// A shape error naming `weights`.
    pub fn with_weights(mut self, weights: Tensor<1>) -> Result<Self> {
        self.check("weights", &weights)?;
        self.weights = Some(self.constant(weights));
        Ok(self)
    }

    /// Adds a factor for each pair's loss, `[n]`, which leaves the denominator of the mean alone: WPO's weights, say.
    ///
    /// # Errors
    /// A shape error naming `scales`.
    pub fn with_scales(mut self, scales: Tensor<1>) -> Result<Self> {
        self.check("scales", &scales)?;
        self.scales = Some(self.constant(scales));
        Ok(self)
    }

    /// Adds the probability in `[0, 1]` that `chosen` is really the better response, `[n]`; 1 without it.
    ///
    /// # Errors
    /// A shape error naming `label_probs`.
    pub fn with_label_probs(mut self, label_probs: Tensor<1>) -> Result<Self> {
        self.check("label_probs", &label_probs)?;
        self.label_probs = Some(self.constant(label_probs));
        Ok(self)
    }

    /// Adds a margin that is subtracted from each pair's `h`, `[n]`, in the units of the reward; 0 without it.
    ///
    /// # Errors
    /// A shape error naming `margins`.
    pub fn with_margins(mut self, margins: Tensor<1>) -> Result<Self> {
        self.check("margins", &margins)?;
        self.margins = Some(self.constant(margins));
        Ok(self)
    }

    /// Adds a `beta` > 0 for each pair, `[n]`, in place of the method's own.
    ///
    /// # Errors
    /// A shape error naming `betas`.
    pub fn with_betas(mut self, betas: Tensor<1>) -> Result<Self> {
        self.check("betas", &betas)?;
        self.betas = Some(self.constant(betas));
        Ok(self)
    }

    /// Adds side information, `[n]`; label probabilities go where [`PairBatch::with_label_probs`] puts them.
    ///
    /// # Errors
    /// A shape error naming the column.
    pub fn with_column(mut self, column: Column, values: Tensor<1>) -> Result<Self> {
        if column.name == LABEL_PROBS.name {
            return self.with_label_probs(values);
        }
        self.check(column.name, &values)?;
        self.columns.insert(column, self.constant(values));
        Ok(self)
    }

    /// Says how many scored tokens a response of the kind `of` (`"chosen"`, or the name of an [`Extra`]) has on
    /// average over **all** pairs of an optimizer step, weighted like them. A term that is a mean over tokens then is
    /// the same however the step is split into micro-batches; without it, this batch is taken for the whole.
    ///
    /// # Errors
    /// A domain error unless it is finite and > 0.
    pub fn with_mean_tokens(mut self, of: &'static str, mean_tokens: f64) -> Result<Self> {
        check_domain(mean_tokens.is_finite() && mean_tokens > 0.0, "mean_tokens", "finite and > 0", mean_tokens)?;
        self.mean_tokens.insert(of, mean_tokens);
        Ok(self)
    }

    /// Adds what a method carries from batch to batch; see [`super::PairwiseObjective::observe`].
    pub fn with_state(mut self, state: State) -> Self {
        self.state = state;
        self
    }

    /// Says whether a pair with an empty side counts in the mean.
    pub fn with_empty_rows(mut self, empty_rows: EmptyRows) -> Self {
        self.empty_rows = empty_rows;
        self
    }

    /// The number of pairs.
    pub fn len(&self) -> usize {
        self.policy.len()
    }

    /// Whether there is no pair.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Log-probabilities under the policy.
    pub fn policy(&self) -> &PairLogps {
        &self.policy
    }

    /// Log-probabilities under the reference, detached, when the batch has them.
    pub fn reference(&self) -> Option<&PairLogps> {
        self.reference.as_ref()
    }

    /// Log-probabilities of a third response under the policy.
    ///
    /// # Errors
    /// [`Error::MissingColumn`] naming `method` and the response.
    pub fn extra(&self, extra: Extra, method: &'static str) -> Result<&SequenceLogps> {
        Ok(&self.extra_logps(extra, method)?.policy)
    }

    pub(super) fn extra_logps(&self, extra: Extra, method: &'static str) -> Result<&ExtraLogps> {
        let missing = Error::MissingColumn { method, name: extra.name, meaning: extra.meaning };
        self.extras.get(extra.name).ok_or(missing)
    }

    /// A third response's summed log-ratios to the reference, `[n]`.
    ///
    /// # Errors
    /// [`Error::MissingColumn`] naming `method` and the response; [`Error::MissingReference`].
    pub fn extra_log_ratios(&self, extra: Extra, method: &'static str) -> Result<Tensor<1>> {
        let logps = self.extra_logps(extra, method)?;
        let reference = logps.reference.as_ref().ok_or(Error::MissingReference { method })?;
        Ok(logps.policy.sum.clone() - reference.sum.clone())
    }

    /// A loss that was computed elsewhere, `[n]`.
    ///
    /// # Errors
    /// [`Error::MissingColumn`] naming `method` and the term.
    pub fn term(&self, term: Term, method: &'static str) -> Result<&Tensor<1>> {
        self.terms.get(term.name).ok_or(Error::MissingColumn { method, name: term.name, meaning: term.meaning })
    }

    /// Side information, detached.
    ///
    /// # Errors
    /// [`Error::MissingColumn`] naming `method` and the column.
    pub fn column(&self, column: Column, method: &'static str) -> Result<Tensor<1>> {
        if column.name == LABEL_PROBS.name {
            return self.label_probs(method);
        }
        self.columns.require(column, method)
    }

    /// The label probabilities, for a method that is about them.
    ///
    /// # Errors
    /// [`Error::MissingColumn`] naming `method` and `label_probs`.
    pub fn label_probs(&self, method: &'static str) -> Result<Tensor<1>> {
        let Column { name, meaning, .. } = LABEL_PROBS;
        self.label_probs.clone().ok_or(Error::MissingColumn { method, name, meaning })
    }

    /// What the method carries from batch to batch.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Refuses hooks that a method has no use for. `hooks`: some of `weights`, `scales`, `label_probs`, `margins`,
    /// `betas`.
    ///
    /// # Errors
    /// [`Error::NotTaken`] naming the first that the batch has.
    pub fn refuse(&self, method: &'static str, hooks: &[&'static str], reason: &'static str) -> Result<()> {
        let given = [
            ("weights", &self.weights),
            ("scales", &self.scales),
            ("label_probs", &self.label_probs),
            ("margins", &self.margins),
            ("betas", &self.betas),
        ];
        match given.into_iter().find(|(name, values)| hooks.contains(name) && values.is_some()) {
            Some((name, _)) => Err(Error::NotTaken { method, name, reason }),
            None => Ok(()),
        }
    }

    /// Log-ratios to the reference.
    ///
    /// # Errors
    /// [`Error::MissingReference`] naming `method`.
    pub fn log_ratios(&self, method: &'static str) -> Result<PairValues> {
        self.known_log_ratios().ok_or(Error::MissingReference { method })
    }

    pub(super) fn known_log_ratios(&self) -> Option<PairValues> {
        self.less_reference(self.policy.sums())
    }

    /// Summed log-probabilities less the reference's.
    pub(super) fn less_reference(&self, sums: PairValues) -> Option<PairValues> {
        let reference = self.reference.as_ref()?.sums();
        Some(PairValues { chosen: sums.chosen - reference.chosen, rejected: sums.rejected - reference.rejected })
    }

    /// Checks that there is one number for each response, in the dtype of the policy's log-probabilities.
    ///
    /// # Errors
    /// A shape or dtype error naming `values.chosen` or `values.rejected`.
    pub fn check_values(&self, values: &PairValues) -> Result<()> {
        self.check_numbers("values.chosen", &values.chosen)?;
        self.check_numbers("values.rejected", &values.rejected)
    }

    /// Checks that there is one number for each pair, in the dtype of the policy's log-probabilities.
    pub(super) fn check_numbers(&self, name: &'static str, numbers: &Tensor<1>) -> Result<()> {
        self.check(name, numbers)?;
        Ok(check_dtype(name, self.policy.chosen.sum.dtype(), numbers.dtype())?)
    }

    /// `values` times `beta`, or times each pair's own.
    pub fn times_beta(&self, values: Tensor<1>, beta: f64) -> Tensor<1> {
        match &self.betas {
            Some(betas) => values * betas.clone(),
            None => values * beta,
        }
    }

    /// `beta` of each pair, `[n]`.
    pub fn betas(&self, beta: f64) -> Tensor<1> {
        self.times_beta(self.policy.chosen.sum.ones_like().detach(), beta)
    }

    /// `h` less the pair's margin.
    pub fn less_margin(&self, h: Tensor<1>) -> Tensor<1> {
        match &self.margins {
            Some(margins) => h - margins.clone(),
            None => h,
        }
    }

    /// The probability that a pair's label is wrong, from its label probability and a smoothing `eps` shared by all:
    /// `1 - p + eps (2p - 1)`. None when no label is in doubt.
    pub fn flip_probs(&self, label_smoothing: f64) -> Option<Tensor<1>> {
        match &self.label_probs {
            Some(p) => Some(p.clone().mul_scalar(2.0 * label_smoothing - 1.0).add_scalar(1.0 - label_smoothing)),
            None if label_smoothing != 0.0 => Some(self.policy.chosen.sum.ones_like() * label_smoothing),
            None => None,
        }
    }

    /// A loss `f` of the margin `h` under the batch's hooks: `h` first loses the pair's margin, and with a probability
    /// `q` that the label is wrong the loss is `(1 − q) f(h) + q f(−h)`.
    ///
    /// # Shapes
    /// `h` and the result: `[n]`.
    pub fn margin_losses(&self, h: Tensor<1>, f: impl Fn(Tensor<1>) -> Tensor<1>) -> Tensor<1> {
        let h = self.less_margin(h);
        match self.flip_probs(0.0) {
            Some(q) => mixed(q, f(h.clone()), f(-h)),
            None => f(h),
        }
    }

    /// A loss `f` of both rewards under the batch's hooks, for methods that are about more than their difference: half
    /// the pair's margin is taken from the chosen reward and half is given to the rejected one, so that the difference
    /// loses the margin; with a probability `q` that the label is wrong the loss is `(1 − q) f(a, b) + q f(b, a)`.
    ///
    /// # Shapes
    /// `rewards` and the result: `[n]`.
    pub fn reward_losses(&self, rewards: PairValues, f: impl Fn(PairValues) -> Tensor<1>) -> Tensor<1> {
        let rewards = match &self.margins {
            Some(margins) => {
                let half = margins.clone() * 0.5;
                PairValues { chosen: rewards.chosen - half.clone(), rejected: rewards.rejected + half }
            }
            None => rewards,
        };
        match self.flip_probs(0.0) {
            Some(q) => mixed(q, f(rewards.clone()), f(rewards.swapped())),
            None => f(rewards),
        }
    }

    /// The weight of each pair in the mean, `[n]`: the given weight, and 0 for a pair with an empty side unless such
    /// pairs count.
    pub fn weights(&self) -> Tensor<1> {
        // Without autodiff: a constant, of which nothing is recorded.
        let like = self.policy.chosen.sum.clone().inner();
        let weights = self.weights.clone().map_or_else(|| like.ones_like(), Tensor::inner);
        match self.empty_rows {
            EmptyRows::Count => weights,
            EmptyRows::Skip => {
                let is_empty = |side: &SequenceLogps| side.count.clone().inner().equal_scalar(0.0);
                let empty = is_empty(&self.policy.chosen).bool_or(is_empty(&self.policy.rejected));
                weights.mask_fill(empty, 0.0)
            }
        }
    }

    /// The factor of each pair's loss.
    pub(super) fn scales(&self) -> Option<&Tensor<1>> {
        self.scales.as_ref()
    }

    /// What a sum over a response's tokens is multiplied by to make the weighted mean over **pairs** the mean over
    /// **tokens** of all these responses: one over their mean number of tokens, `[1]`. 0 when there is no token.
    pub(super) fn per_mean_token(&self, of: &'static str, logps: &SequenceLogps) -> Tensor<1> {
        per_mean_token(self.mean_tokens.get(of).copied(), &logps.count, self.weights())
    }
}

/// 1 where a response has a scored token and 0 where it has none, `[n]`.
pub(super) fn has_tokens(logps: &SequenceLogps) -> Tensor<1> {
    logps.count.ones_like().mask_fill(logps.count.clone().equal_scalar(0.0), 0.0)
}
