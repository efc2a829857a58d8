//! What a listwise objective reads: log-probabilities of the candidates of each prompt, and what goes with them.

use accordant_ops::{
    EmptyRows, SequenceLogps, TokenLogps, check_domain, check_dtype, check_shape,
    lists::{Comparisons, ones},
};
use burn::tensor::{Bool, Tensor};

use crate::{
    Error, Result,
    pairwise::Length,
    side::{Column, Columns},
};

/// Log-probabilities of every candidate of every list under one model, `[n, k]` each.
#[derive(Debug, Clone)]
pub struct ListLogps {
    /// Sums over the scored tokens, in nats.
    pub sum: Tensor<2>,
    /// Scored tokens, as a float of any dtype.
    pub count: Tensor<2>,
}

impl ListLogps {
    /// From one batch of `n · num_candidates` rows as one forward pass gives them: every list's first candidate, then
    /// every list's second one, and so on.
    ///
    /// # Errors
    /// A domain error for no candidates; a shape error naming `logps` when the rows are no whole number of lists.
    ///
    /// # Example
    /// ```
    /// use accordant_objectives::{SequenceLogps, listwise::ListLogps};
    /// use burn::tensor::{Device, Tensor};
    /// let device = Device::flex();
    /// // Two lists of two candidates: (-1, -3) and (-2, -4).
    /// let sums = Tensor::from_floats([-1.0, -2.0, -3.0, -4.0], &device);
    /// let logps = ListLogps::from_stacked(&SequenceLogps::new(sums, Tensor::ones([4], &device))?, 2)?;
    /// assert_eq!(logps.sum.try_to_vec_as::<f32>().unwrap(), [-1.0, -3.0, -2.0, -4.0]);
    /// # Ok::<(), accordant_objectives::Error>(())
    /// ```
    pub fn from_stacked(logps: &SequenceLogps, num_candidates: usize) -> Result<Self> {
        check_domain(num_candidates > 0, "num_candidates", "at least 1", num_candidates as f64)?;
        let rows = logps.len() / num_candidates * num_candidates;
        for tensor in [&logps.sum, &logps.count] {
            check_shape("logps", &[rows], &tensor.dims())?;
        }
        let by_list = |tensor: &Tensor<1>| by_list(tensor.clone(), num_candidates);
        Ok(Self { sum: by_list(&logps.sum), count: by_list(&logps.count) })
    }

    /// [`ListLogps::from_stacked`] of per-token log-probabilities.
    ///
    /// # Errors
    /// As there.
    pub fn from_stacked_tokens(logps: &TokenLogps, num_candidates: usize) -> Result<Self> {
        Self::from_stacked(&logps.sequence(), num_candidates)
    }

    /// Means over the scored tokens, `sum / max(count, 1)`, in nats per token.
    pub fn mean(&self) -> Tensor<2> {
        self.sum.clone() / self.count.clone().cast(self.sum.dtype()).clamp_min(1.0)
    }

    /// The number of lists.
    pub fn len(&self) -> usize {
        self.sum.dims()[0]
    }

    /// Whether there is no list.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The same numbers as constants.
    pub fn detach(self) -> Self {
        self.map(Tensor::detach)
    }

    fn map(self, f: impl Fn(Tensor<2>) -> Tensor<2>) -> Self {
        Self { sum: f(self.sum), count: f(self.count) }
    }
}

/// `[k · n]`, candidate by candidate, to `[n, k]`.
pub(super) fn by_list(rows: Tensor<1>, num_candidates: usize) -> Tensor<2> {
    let lists = rows.dims()[0] / num_candidates;
    match lists {
        // burn cannot reshape nothing.
        0 => rows.unsqueeze_dim::<2>(1).repeat_dim(1, num_candidates),
        _ => rows.reshape([num_candidates, lists]).swap_dims(0, 1),
    }
}

/// A reference answer to each prompt, beside its candidates.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Its log-probabilities under the policy, `[n]`.
    pub logps: SequenceLogps,
    /// Its score, on the candidates' scale, `[n]`.
    pub scores: Tensor<1>,
}

/// What a listwise objective reads. Everything but log-probabilities under the policy is a constant.
///
/// A candidate that is not there (see [`ListBatch::present`]) is removed: whatever stands in its place, NaN included,
/// every number read from the batch is 0 there and no gradient passes.
#[derive(Debug, Clone)]
pub struct ListBatch {
    policy: ListLogps,
    reference: Option<ListLogps>,
    valid: Tensor<2, Bool>,
    scores: Option<Tensor<2>>,
    answer: Option<Answer>,
    weights: Option<Tensor<1>>,
    columns: Columns,
    candidate_columns: Columns<2>,
    empty_rows: EmptyRows,
}

impl ListBatch {
    /// A batch of full lists, without a reference and without side information.
    ///
    /// # Errors
    /// A shape error naming `policy.count` unless it has the shape of `policy.sum`; a domain error for no candidates.
    pub fn new(policy: ListLogps) -> Result<Self> {
        let [_, k] = policy.sum.dims();
        check_domain(k > 0, "num_candidates", "at least 1", k as f64)?;
        check_shape("policy.count", &policy.sum.dims(), &policy.count.dims())?;
        let valid = Tensor::full(policy.sum.dims(), true, &policy.sum.device());
        Ok(Self {
            policy,
            reference: None,
            valid,
            scores: None,
            answer: None,
            weights: None,
            columns: Columns::default(),
            candidate_columns: Columns::default(),
            empty_rows: EmptyRows::Skip,
        })
    }

    fn check(&self, name: &'static str, tensor: &Tensor<1>) -> Result<()> {
        Ok(check_shape(name, &[self.len()], &tensor.dims())?)
    }

    fn check_candidates(&self, name: &'static str, tensor: &Tensor<2>) -> Result<()> {
        Ok(check_shape(name, &self.policy.sum.dims(), &tensor.dims())?)
    }

    /// A constant in the dtype of the policy's log-probabilities: burn's arithmetic takes one dtype for granted.
    fn constant<const D: usize>(&self, tensor: Tensor<D>) -> Tensor<D> {
        tensor.detach().cast(self.policy.sum.dtype())
    }

    /// Adds the log-probabilities under the frozen reference; they are detached.
    ///
    /// # Errors
    /// A shape error naming `reference` unless it has the policy's lists and candidates.
    pub fn with_reference(mut self, reference: ListLogps) -> Result<Self> {
        for tensor in [&reference.sum, &reference.count] {
            self.check_candidates("reference", tensor)?;
        }
        self.reference = Some(reference.map(|tensor| self.constant(tensor)));
        Ok(self)
    }

    /// Says which candidates there are, `[n, k]`, for lists of different lengths.
    ///
    /// # Errors
    /// A shape error naming `valid`.
    pub fn with_valid(mut self, valid: Tensor<2, Bool>) -> Result<Self> {
        check_shape("valid", &self.policy.sum.dims(), &valid.dims())?;
        self.valid = valid;
        Ok(self)
    }

    /// Adds the quality of each candidate, `[n, k]`, finite; larger is better.
    ///
    /// # Errors
    /// A shape error naming `scores`.
    pub fn with_scores(mut self, scores: Tensor<2>) -> Result<Self> {
        self.check_candidates("scores", &scores)?;
        self.scores = Some(self.constant(scores));
        Ok(self)
    }

    /// Adds scores from ranks, `[n, k]`: 1 is the best, equal ranks are ties, and the score is minus the rank. For
    /// methods that only compare scores; one that reads their differences takes neighbors in rank to be one apart.
    ///
    /// # Errors
    /// A shape error naming `ranks`.
    pub fn with_ranks(self, ranks: Tensor<2>) -> Result<Self> {
        self.check_candidates("ranks", &ranks)?;
        self.with_scores(-ranks)
    }

    /// Adds a reference answer to each prompt: its log-probabilities under the policy, which carry gradients, and its
    /// scores.
    ///
    /// # Errors
    /// A shape error naming `answer` or `answer.scores`; a dtype error when its log-probabilities have another dtype
    /// than the candidates'.
    pub fn with_answer(mut self, answer: Answer) -> Result<Self> {
        self.check("answer", &answer.logps.sum)?;
        check_dtype("answer", self.policy.sum.dtype(), answer.logps.sum.dtype())?;
        self.check("answer.scores", &answer.scores)?;
        self.answer = Some(Answer { scores: self.constant(answer.scores), logps: answer.logps });
        Ok(self)
    }

    /// Adds a weight ≥ 0 for each list, `[n]`: it scales the list's loss and its share of the denominator.
    ///
    /// # Errors
    /// A shape error naming `weights`.
    pub fn with_weights(mut self, weights: Tensor<1>) -> Result<Self> {
        self.check("weights", &weights)?;
        self.weights = Some(self.constant(weights));
        Ok(self)
    }

    /// Adds side information of each list, `[n]`.
    ///
    /// # Errors
    /// A shape error naming the column.
    pub fn with_column(mut self, column: Column, values: Tensor<1>) -> Result<Self> {
        self.check(column.name, &values)?;
        self.columns.insert(column, self.constant(values));
        Ok(self)
    }

    /// Adds side information of each candidate, `[n, k]`.
    ///
    /// # Errors
    /// A shape error naming the column.
    pub fn with_candidate_column(mut self, column: Column, values: Tensor<2>) -> Result<Self> {
        self.check_candidates(column.name, &values)?;
        self.candidate_columns.insert(column, self.constant(values));
        Ok(self)
    }

    /// Says whether a candidate without a scored token is there, with log-probability 0.
    pub fn with_empty_rows(mut self, empty_rows: EmptyRows) -> Self {
        self.empty_rows = empty_rows;
        self
    }

    /// The number of lists.
    pub fn len(&self) -> usize {
        self.policy.len()
    }

    /// Whether there is no list.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of candidates of the longest list, k.
    pub fn num_candidates(&self) -> usize {
        self.policy.sum.dims()[1]
    }

    /// Which candidates there are, `[n, k]`: the valid ones that have a scored token, or all valid ones where
    /// [`EmptyRows::Count`] asks for it.
    pub fn present(&self) -> Tensor<2, Bool> {
        match self.empty_rows {
            EmptyRows::Count => self.valid.clone(),
            EmptyRows::Skip => self.valid.clone().bool_and(self.policy.count.clone().greater_scalar(0.0)),
        }
    }

    /// How many candidates each list has, `[n, 1]`.
    pub fn num_present(&self) -> Tensor<2> {
        ones(self.present(), self.policy.sum.dtype()).sum_dim(1)
    }

    /// Lists of at least two candidates, `[n]`.
    pub fn plural(&self) -> Tensor<1, Bool> {
        self.num_present().squeeze_dim::<1>(1).greater_scalar(1.5)
    }

    /// `values` with 0 where there is no candidate, `[n, k]`.
    pub(super) fn select(&self, values: Tensor<2>) -> Tensor<2> {
        values.mask_fill(self.present().bool_not(), 0.0)
    }

    /// Log-probabilities under the policy.
    pub fn policy(&self) -> ListLogps {
        self.policy.clone().map(|tensor| self.select(tensor))
    }

    /// Log-probabilities under the policy, per sequence or per token, `[n, k]`.
    pub fn logps(&self, length: Length) -> Tensor<2> {
        match length {
            Length::Sum => self.policy().sum,
            Length::TokenMean => self.policy().mean(),
        }
    }

    /// Log-probabilities under the reference, detached, when the batch has them.
    pub fn reference(&self) -> Option<ListLogps> {
        Some(self.reference.clone()?.map(|tensor| self.select(tensor)))
    }

    /// Summed log-ratios to the reference, `[n, k]`.
    ///
    /// # Errors
    /// [`Error::MissingReference`] naming `method`.
    pub fn log_ratios(&self, method: &'static str) -> Result<Tensor<2>> {
        self.known_log_ratios().ok_or(Error::MissingReference { method })
    }

    pub(super) fn known_log_ratios(&self) -> Option<Tensor<2>> {
        Some(self.policy().sum - self.reference()?.sum)
    }

    /// The quality of each candidate, `[n, k]`.
    ///
    /// # Errors
    /// [`Error::MissingColumn`] naming `method` and `scores`.
    pub fn scores(&self, method: &'static str) -> Result<Tensor<2>> {
        let meaning = "the quality of each candidate, larger is better";
        self.known_scores().ok_or(Error::MissingColumn { method, name: "scores", meaning })
    }

    pub(super) fn known_scores(&self) -> Option<Tensor<2>> {
        Some(self.select(self.scores.clone()?))
    }

    /// Which candidates are better than which.
    ///
    /// # Errors
    /// As [`ListBatch::scores`].
    pub fn comparisons(&self, method: &'static str) -> Result<Comparisons> {
        Ok(Comparisons::new(self.scores(method)?, self.present())?)
    }

    /// The reference answers.
    ///
    /// # Errors
    /// [`Error::MissingColumn`] naming `method` and `answer`.
    pub fn answer(&self, method: &'static str) -> Result<&Answer> {
        let meaning = "a reference answer to each prompt";
        self.answer.as_ref().ok_or(Error::MissingColumn { method, name: "answer", meaning })
    }

    /// Side information of each list, detached.
    ///
    /// # Errors
    /// [`Error::MissingColumn`] naming `method` and the column.
    pub fn column(&self, column: Column, method: &'static str) -> Result<Tensor<1>> {
        self.columns.require(column, method)
    }

    /// Side information of each candidate, detached.
    ///
    /// # Errors
    /// [`Error::MissingColumn`] naming `method` and the column.
    pub fn candidate_column(&self, column: Column, method: &'static str) -> Result<Tensor<2>> {
        Ok(self.select(self.candidate_columns.require(column, method)?))
    }

    /// Checks that there is one number for each candidate, in the dtype of the policy's log-probabilities.
    ///
    /// # Errors
    /// A shape or dtype error naming `name`.
    pub fn check_values(&self, name: &'static str, values: &Tensor<2>) -> Result<()> {
        self.check_candidates(name, values)?;
        Ok(check_dtype(name, self.policy.sum.dtype(), values.dtype())?)
    }

    /// The given weight of each list, `[n]`; 1 without one.
    pub(super) fn weights(&self) -> Tensor<1> {
        let ones = || self.policy.sum.clone().detach().sum_dim(1).squeeze_dim::<1>(1).ones_like();
        self.weights.clone().unwrap_or_else(ones)
    }

    /// All of it on an autodiff device, with other summed log-probabilities of the policy.
    #[cfg(test)]
    pub(super) fn with_policy_sums(&self, sums: Tensor<2>) -> Self {
        let lift = |logps: &ListLogps| logps.clone().map(Tensor::autodiff);
        let count = self.policy.count.clone().autodiff();
        let side = |logps: &SequenceLogps| SequenceLogps {
            sum: logps.sum.clone().autodiff(),
            mean: logps.mean.clone().autodiff(),
            count: logps.count.clone().autodiff(),
        };
        let answer = |answer: &Answer| Answer { logps: side(&answer.logps), scores: answer.scores.clone().autodiff() };
        Self {
            policy: ListLogps { sum: sums, count },
            reference: self.reference.as_ref().map(lift),
            valid: self.valid.clone().autodiff(),
            scores: self.scores.clone().map(Tensor::autodiff),
            answer: self.answer.as_ref().map(answer),
            weights: self.weights.clone().map(Tensor::autodiff),
            columns: self.columns.map(|tensor| tensor.clone().autodiff()),
            candidate_columns: self.candidate_columns.map(|tensor| tensor.clone().autodiff()),
            empty_rows: self.empty_rows,
        }
    }
}
