//! What an unpaired objective reads: log-probabilities of single responses, their labels, and what goes with them.

use accordant_ops::{EmptyRows, SequenceLogps, TokenLogps, check_domain, check_dtype, check_shape};
use burn::tensor::{Bool, Tensor};

use super::mismatch::mismatch_kl;
use crate::{
    Error, Result, State,
    side::{Column, Columns, mixed, per_mean_token, share},
};

/// Where the KL baseline comes from.
#[derive(Debug, Clone)]
pub(super) enum KlBaseline {
    Given(f64),
    Mismatched { policy: Box<SequenceLogps>, reference: Box<SequenceLogps> },
}

/// One number for each response, apart for the two kinds: how much it counts as a desirable one and as an undesirable
/// one. Constants, `[n]` each.
#[derive(Debug, Clone)]
pub struct ClassValues {
    /// As a desirable response; 0 for one that is surely undesirable.
    pub desirable: Tensor<1>,
    /// As an undesirable response; 0 for one that is surely desirable.
    pub undesirable: Tensor<1>,
}

impl ClassValues {
    fn map(self, f: impl Fn(Tensor<1>) -> Tensor<1>) -> Self {
        Self { desirable: f(self.desirable), undesirable: f(self.undesirable) }
    }
}

/// What an unpaired objective reads. Everything but log-probabilities under the policy is a constant.
#[derive(Debug, Clone)]
pub struct SingleBatch {
    pub(super) policy: SequenceLogps,
    pub(super) reference: Option<SequenceLogps>,
    pub(super) desirable: Tensor<1, Bool>,
    pub(super) tokens: Option<TokenLogps>,
    pub(super) reference_tokens: Option<Tensor<2>>,
    pub(super) reference_kl: Option<Tensor<1>>,
    pub(super) kl_baseline: Option<KlBaseline>,
    pub(super) weights: Option<Tensor<1>>,
    pub(super) scales: Option<Tensor<1>>,
    pub(super) label_probs: Option<Tensor<1>>,
    pub(super) columns: Columns,
    pub(super) mean_tokens: Option<f64>,
    pub(super) state: State,
    pub(super) empty_rows: EmptyRows,
}

impl SingleBatch {
    /// A batch without a reference and without side information. `desirable`: the label of each response, `[n]`.
    ///
    /// # Errors
    /// A shape error naming `desirable`.
    pub fn new(policy: SequenceLogps, desirable: Tensor<1, Bool>) -> Result<Self> {
        check_shape("desirable", &[policy.len()], &desirable.dims())?;
        Ok(Self {
            policy,
            reference: None,
            desirable,
            tokens: None,
            reference_tokens: None,
            reference_kl: None,
            kl_baseline: None,
            weights: None,
            scales: None,
            label_probs: None,
            columns: Columns::default(),
            mean_tokens: None,
            state: State::default(),
            empty_rows: EmptyRows::Skip,
        })
    }

    /// [`SingleBatch::new`] for methods that read log-probabilities of tokens too.
    ///
    /// # Errors
    /// As there.
    pub fn from_tokens(policy: TokenLogps, desirable: Tensor<1, Bool>) -> Result<Self> {
        let batch = Self::new(policy.sequence(), desirable)?;
        Ok(Self { tokens: Some(policy), ..batch })
    }

    fn check(&self, name: &'static str, tensor: &Tensor<1>) -> Result<()> {
        Ok(check_shape(name, &[self.len()], &tensor.dims())?)
    }

    /// A constant in the dtype of the policy's log-probabilities: burn's arithmetic takes one dtype for granted.
    fn constant<const D: usize>(&self, tensor: Tensor<D>) -> Tensor<D> {
        tensor.detach().cast(self.policy.sum.dtype())
    }

    fn constant_logps(&self, side: SequenceLogps) -> SequenceLogps {
        SequenceLogps { sum: self.constant(side.sum), mean: self.constant(side.mean), count: self.constant(side.count) }
    }

    /// Adds the log-probabilities under the frozen reference; they are detached.
    ///
    /// # Errors
    /// A shape error naming `reference` when it has another number of responses.
    pub fn with_reference(mut self, reference: SequenceLogps) -> Result<Self> {
        self.check("reference", &reference.sum)?;
        self.reference = Some(self.constant_logps(reference));
        Ok(self)
    }

    /// [`SingleBatch::with_reference`] for methods that read log-probabilities of tokens too.
    ///
    /// # Errors
    /// A shape error naming `reference` when it has other rows or, where the batch was made of tokens, other positions.
    pub fn with_reference_tokens(self, reference: TokenLogps) -> Result<Self> {
        if let Some(tokens) = &self.tokens {
            check_shape("reference", &tokens.logps.dims(), &reference.logps.dims())?;
        }
        let mut batch = self.with_reference(reference.sequence())?;
        batch.reference_tokens = Some(batch.constant(reference.logps));
        Ok(batch)
    }

    /// Adds each response's exact divergence KL(reference ‖ policy), summed over its scored tokens, `[n]`; it carries
    /// gradients. [`kl_logits`](accordant_ops::selected::kl_logits) gives the terms.
    ///
    /// # Errors
    /// A shape or dtype error naming `reference_kl`.
    pub fn with_reference_kl(mut self, reference_kl: Tensor<1>) -> Result<Self> {
        self.check_values("reference_kl", &reference_kl)?;
        self.reference_kl = Some(reference_kl);
        Ok(self)
    }

    /// Adds log-probabilities of completions of **other** prompts given these ones (see [`super::mismatch`]), from which
    /// the KL baseline is estimated; all detached. Any number of rows. Replaces [`SingleBatch::with_kl_baseline`].
    ///
    /// # Errors
    /// A shape error naming `mismatched.reference` when it has another number of rows.
    pub fn with_mismatched(mut self, policy: SequenceLogps, reference: SequenceLogps) -> Result<Self> {
        check_shape("mismatched.reference", &[policy.len()], &[reference.len()])?;
        let [policy, reference] = [policy, reference].map(|side| Box::new(self.constant_logps(side)));
        self.kl_baseline = Some(KlBaseline::Mismatched { policy, reference });
        Ok(self)
    }

    /// Says how far the policy is from the reference, in nats per completion, of either sign: the mean log-ratio over the
    /// mismatched completions of the **global** batch, every micro-batch and every device of it
    /// ([`super::mismatch::mismatch_kl`] has the sums that add up). Replaces [`SingleBatch::with_mismatched`].
    ///
    /// # Errors
    /// A domain error unless it is finite.
    pub fn with_kl_baseline(mut self, kl_baseline: f64) -> Result<Self> {
        check_domain(kl_baseline.is_finite(), "kl_baseline", "finite", kl_baseline)?;
        self.kl_baseline = Some(KlBaseline::Given(kl_baseline));
        Ok(self)
    }

    /// Adds a weight ≥ 0 for each response, `[n]`: it scales the response's loss and its share of the denominator.
    ///
    /// # Errors
    /// A shape error naming `weights`.
    pub fn with_weights(mut self, weights: Tensor<1>) -> Result<Self> {
        self.check("weights", &weights)?;
        self.weights = Some(self.constant(weights));
        Ok(self)
    }

    /// Adds a factor for each response's loss, `[n]`, which leaves the denominator of the mean alone.
    ///
    /// # Errors
    /// A shape error naming `scales`.
    pub fn with_scales(mut self, scales: Tensor<1>) -> Result<Self> {
        self.check("scales", &scales)?;
        self.scales = Some(self.constant(scales));
        Ok(self)
    }

    /// Adds the probability in `[0, 1]` that a response's label is right, `[n]`; 1 without it.
    ///
    /// # Errors
    /// A shape error naming `label_probs`.
    pub fn with_label_probs(mut self, label_probs: Tensor<1>) -> Result<Self> {
        self.check("label_probs", &label_probs)?;
        self.label_probs = Some(self.constant(label_probs));
        Ok(self)
    }

    /// Adds side information, `[n]`.
    ///
    /// # Errors
    /// A shape error naming the column.
    pub fn with_column(mut self, column: Column, values: Tensor<1>) -> Result<Self> {
        self.check(column.name, &values)?;
        self.columns.insert(column, self.constant(values));
        Ok(self)
    }

    /// Says how many scored tokens a response has on average over **all** responses of an optimizer step, weighted like
    /// them. A term that is a mean over tokens then is the same however the step is split into micro-batches; without it,
    /// this batch is taken for the whole.
    ///
    /// # Errors
    /// A domain error unless it is finite and > 0.
    pub fn with_mean_tokens(mut self, mean_tokens: f64) -> Result<Self> {
        check_domain(mean_tokens.is_finite() && mean_tokens > 0.0, "mean_tokens", "finite and > 0", mean_tokens)?;
        self.mean_tokens = Some(mean_tokens);
        Ok(self)
    }

    /// Adds what a method carries from batch to batch; see [`super::UnpairedObjective::observe`].
    pub fn with_state(mut self, state: State) -> Self {
        self.state = state;
        self
    }

    /// Says whether a response without a scored token counts in the mean.
    pub fn with_empty_rows(mut self, empty_rows: EmptyRows) -> Self {
        self.empty_rows = empty_rows;
        self
    }

    /// The number of responses.
    pub fn len(&self) -> usize {
        self.policy.len()
    }

    /// Whether there is no response.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Log-probabilities under the policy.
    pub fn policy(&self) -> &SequenceLogps {
        &self.policy
    }

    /// Log-probabilities under the reference, detached, when the batch has them.
    pub fn reference(&self) -> Option<&SequenceLogps> {
        self.reference.as_ref()
    }

    /// Which responses are labeled desirable, `[n]`.
    pub fn desirable(&self) -> &Tensor<1, Bool> {
        &self.desirable
    }

    /// Log-probabilities of tokens under the policy.
    ///
    /// # Errors
    /// [`Error::MissingColumn`] naming `method` and `tokens`.
    pub fn tokens(&self, method: &'static str) -> Result<&TokenLogps> {
        let meaning = "log-probabilities of tokens, see `SingleBatch::from_tokens`";
        self.tokens.as_ref().ok_or(Error::MissingColumn { method, name: "tokens", meaning })
    }

    /// Log-probabilities of tokens under the reference, at the positions that the policy's mask keeps; detached.
    ///
    /// # Errors
    /// As [`SingleBatch::tokens`]; [`Error::MissingColumn`] naming `reference_tokens`.
    pub fn reference_tokens(&self, method: &'static str) -> Result<TokenLogps> {
        let mask = self.tokens(method)?.mask.clone();
        let meaning = "the reference's log-probabilities of tokens, see `SingleBatch::with_reference_tokens`";
        let missing = Error::MissingColumn { method, name: "reference_tokens", meaning };
        Ok(TokenLogps::new(self.reference_tokens.clone().ok_or(missing)?, mask)?)
    }

    /// The exact divergences KL(reference ‖ policy).
    ///
    /// # Errors
    /// [`Error::MissingColumn`] naming `method` and `reference_kl`.
    pub fn reference_kl(&self, method: &'static str) -> Result<Tensor<1>> {
        let meaning = "exact divergences from the reference";
        self.reference_kl.clone().ok_or(Error::MissingColumn { method, name: "reference_kl", meaning })
    }

    /// The KL baseline as given, or as estimated on the mismatched completions, of which `rows` says whether empty ones
    /// count: `[1]`, of either sign, detached.
    ///
    /// # Errors
    /// [`Error::MissingColumn`] naming `method` and `kl_baseline`.
    pub fn kl_baseline(&self, rows: EmptyRows, method: &'static str) -> Result<Tensor<1>> {
        let meaning = "log-probabilities of mismatched completions, or their mean log-ratio";
        match &self.kl_baseline {
            None => Err(Error::MissingColumn { method, name: "kl_baseline", meaning }),
            Some(KlBaseline::Given(kl)) => {
                Ok(Tensor::full([1], *kl, (&self.policy.sum.device(), self.policy.sum.dtype())))
            }
            Some(KlBaseline::Mismatched { policy, reference }) => Ok(mismatch_kl(policy, reference, rows)?.loss),
        }
    }

    /// Side information, detached.
    ///
    /// # Errors
    /// [`Error::MissingColumn`] naming `method` and the column.
    pub fn column(&self, column: Column, method: &'static str) -> Result<Tensor<1>> {
        self.columns.require(column, method)
    }

    /// What the method carries from batch to batch.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Summed log-ratios to the reference, `[n]`.
    ///
    /// # Errors
    /// [`Error::MissingReference`] naming `method`.
    pub fn log_ratios(&self, method: &'static str) -> Result<Tensor<1>> {
        self.known_log_ratios().ok_or(Error::MissingReference { method })
    }

    pub(super) fn known_log_ratios(&self) -> Option<Tensor<1>> {
        Some(self.policy.sum.clone() - self.reference.as_ref()?.sum.clone())
    }

    /// Checks that there is one number for each response, in the dtype of the policy's log-probabilities.
    ///
    /// # Errors
    /// A shape or dtype error naming `name`.
    pub fn check_values(&self, name: &'static str, values: &Tensor<1>) -> Result<()> {
        self.check(name, values)?;
        Ok(check_dtype(name, self.policy.sum.dtype(), values.dtype())?)
    }

    /// The loss of each response under its label, from what each would lose as a desirable and as an undesirable one;
    /// with a probability `p` that the label is right, `p` times that plus `1 − p` times the other.
    ///
    /// # Shapes
    /// All `[n]`.
    pub fn label_losses(&self, desirable: Tensor<1>, undesirable: Tensor<1>) -> Tensor<1> {
        let given = undesirable.clone().mask_where(self.desirable.clone(), desirable.clone());
        match &self.label_probs {
            None => given,
            Some(p) => mixed(-p.clone() + 1.0, given, desirable.mask_where(self.desirable.clone(), undesirable)),
        }
    }

    /// The probability that a response is of a kind: 1 for that of its label and 0 for the other, or as its label
    /// probability says.
    pub fn class_probs(&self) -> ClassValues {
        let (one, zero) = (self.policy.sum.ones_like().detach(), self.policy.sum.zeros_like().detach());
        let desirable = self.label_losses(one.clone(), zero);
        ClassValues { undesirable: one - desirable.clone(), desirable }
    }

    /// The part of each response's weight that each kind has; see [`SingleBatch::class_probs`].
    pub fn class_weights(&self) -> ClassValues {
        let weights = self.weights();
        self.class_probs().map(|probs| probs * weights.clone())
    }

    /// What a response's number is multiplied by to make the weighted mean over all responses the mean over those of a
    /// kind: `Σ w / Σ_kind w` for one of the kind. 0 for a kind that the batch does not have.
    pub fn class_shares(&self) -> ClassValues {
        let (weights, parts) = (self.weights().sum(), self.class_weights());
        let ClassValues { desirable, undesirable } = self.class_probs();
        ClassValues {
            desirable: desirable * share(weights.clone(), parts.desirable.sum()),
            undesirable: undesirable * share(weights, parts.undesirable.sum()),
        }
    }

    /// The weight of each response in the mean, `[n]`: the given weight, and 0 for one without a scored token unless such
    /// responses count.
    pub fn weights(&self) -> Tensor<1> {
        let weights = self.weights.clone().unwrap_or_else(|| self.policy.sum.ones_like().detach());
        match self.empty_rows {
            EmptyRows::Count => weights,
            EmptyRows::Skip => weights.mask_fill(self.policy.count.clone().equal_scalar(0.0), 0.0),
        }
    }

    /// What a sum over a response's tokens is multiplied by to make the weighted mean over responses the mean over
    /// **tokens**, `[1]`; see [`per_mean_token`].
    pub(super) fn per_mean_token(&self) -> Tensor<1> {
        per_mean_token(self.mean_tokens, &self.policy.count, self.weights())
    }

    /// The factor of each response's loss.
    pub(super) fn scales(&self) -> Option<&Tensor<1>> {
        self.scales.as_ref()
    }
}
