//! Objectives on pairs: a chosen and a rejected response to one prompt.
//!
//! A method reads a [`PairBatch`] and returns a [`PairOutput`], one loss per pair. The batch carries the policy's
//! log-probabilities, the reference's where there is one, and side information that any method honors: weights, margins
//! and label probabilities. Start with [`dpo`]; choose a method at run time with [`build`].
//!
//! A pair whose chosen or rejected side has no scored token says nothing about the policy: it gets weight 0, unless
//! [`EmptyRows::Count`] asks for TRL's convention.

use accordant_ops::{
    EmptyRows, ItemReduction, Means, Reduced, SequenceLogps, TokenLogps, check_domain, check_dtype, check_shape,
    reduce::reduce_items, stable::softplus,
};
use burn::tensor::{Tensor, TensorData};

use crate::{Error, Options, Result};

pub mod dpo;
pub mod f_dpo;
pub mod ipo;
pub mod length;
pub mod simpo;
pub mod wpo;

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
}

/// Summed log-ratios to the reference, `d = L - L_ref`, of both members of each pair, `[n]`.
#[derive(Debug, Clone)]
pub struct LogRatios {
    /// Of the chosen responses.
    pub chosen: Tensor<1>,
    /// Of the rejected responses.
    pub rejected: Tensor<1>,
}

impl LogRatios {
    /// Each log-ratio over its response's number of scored tokens, at least 1.
    pub fn per_token(self, lengths: &PairLogps) -> Self {
        let over = |ratio: Tensor<1>, side: &SequenceLogps| ratio / side.count.clone().clamp_min(1.0);
        Self { chosen: over(self.chosen, &lengths.chosen), rejected: over(self.rejected, &lengths.rejected) }
    }
}

/// What a pairwise objective reads. Everything but the policy's log-probabilities is a constant.
#[derive(Debug, Clone)]
pub struct PairBatch {
    policy: PairLogps,
    reference: Option<PairLogps>,
    weights: Option<Tensor<1>>,
    label_probs: Option<Tensor<1>>,
    margins: Option<Tensor<1>>,
    empty_rows: EmptyRows,
}

impl PairBatch {
    /// A batch without a reference and without side information.
    pub fn new(policy: PairLogps) -> Self {
        Self { policy, reference: None, weights: None, label_probs: None, margins: None, empty_rows: EmptyRows::Skip }
    }

    fn check(&self, name: &'static str, tensor: &Tensor<1>) -> Result<()> {
        Ok(check_shape(name, &[self.len()], &tensor.dims())?)
    }

    /// A constant in the dtype of the policy's log-probabilities: burn's arithmetic takes one dtype for granted.
    fn constant(&self, tensor: Tensor<1>) -> Tensor<1> {
        tensor.detach().cast(self.policy.chosen.sum.dtype())
    }

    /// Adds the log-probabilities under the frozen reference; they are detached.
    ///
    /// # Errors
    /// A shape error naming `reference.chosen` when it has another number of pairs.
    pub fn with_reference(mut self, reference: PairLogps) -> Result<Self> {
        self.check("reference.chosen", &reference.chosen.sum)?;
        self.check("reference.rejected", &reference.rejected.sum)?;
        let constant = |side: SequenceLogps| SequenceLogps {
            sum: self.constant(side.sum),
            mean: self.constant(side.mean),
            count: self.constant(side.count),
        };
        self.reference = Some(PairLogps { chosen: constant(reference.chosen), rejected: constant(reference.rejected) });
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

    /// Log-ratios to the reference.
    ///
    /// # Errors
    /// [`Error::MissingReference`] naming `method`.
    pub fn log_ratios(&self, method: &'static str) -> Result<LogRatios> {
        self.known_log_ratios().ok_or(Error::MissingReference { method })
    }

    fn known_log_ratios(&self) -> Option<LogRatios> {
        let reference = self.reference.as_ref()?;
        let ratio = |policy: &SequenceLogps, reference: &SequenceLogps| policy.sum.clone() - reference.sum.clone();
        Some(LogRatios {
            chosen: ratio(&self.policy.chosen, &reference.chosen),
            rejected: ratio(&self.policy.rejected, &reference.rejected),
        })
    }

    /// Checks that there is one log-ratio for each response.
    ///
    /// # Errors
    /// A shape error naming `ratios.chosen` or `ratios.rejected`.
    pub fn check_ratios(&self, ratios: &LogRatios) -> Result<()> {
        self.check("ratios.chosen", &ratios.chosen)?;
        self.check("ratios.rejected", &ratios.rejected)
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

    /// The weight of each pair in the mean, `[n]`: the given weight, and 0 for a pair with an empty side unless such
    /// pairs count.
    pub fn weights(&self) -> Tensor<1> {
        let weights = self.weights.clone().unwrap_or_else(|| self.policy.chosen.sum.ones_like().detach());
        match self.empty_rows {
            EmptyRows::Count => weights,
            EmptyRows::Skip => {
                let counts = self.policy.chosen.count.clone().min_pair(self.policy.rejected.count.clone());
                weights.mask_fill(counts.equal_scalar(0.0), 0.0)
            }
        }
    }
}

/// What a pairwise objective returns, one entry per pair, all `[n]`; everything but `losses` is detached.
#[derive(Debug, Clone)]
pub struct PairOutput {
    /// The loss of each pair; carries the gradient.
    pub losses: Tensor<1>,
    /// The weight of each pair in the mean.
    pub weights: Tensor<1>,
    /// Implicit rewards of the chosen responses: `beta` times the log-ratio, or times the log-probability that a
    /// reference-free method uses.
    pub chosen_rewards: Tensor<1>,
    /// Implicit rewards of the rejected responses.
    pub rejected_rewards: Tensor<1>,
    /// Summed log-probabilities of the chosen responses under the policy.
    pub chosen_logps: Tensor<1>,
    /// Summed log-probabilities of the rejected responses under the policy.
    pub rejected_logps: Tensor<1>,
    chosen_log_ratios: Option<Tensor<1>>,
}

impl PairOutput {
    /// Losses with the rewards `beta · d` of a batch, or `beta · L` where it has no reference.
    pub fn new(losses: Tensor<1>, batch: &PairBatch, beta: f64) -> Self {
        let scores = batch.known_log_ratios().unwrap_or_else(|| LogRatios {
            chosen: batch.policy.chosen.sum.clone(),
            rejected: batch.policy.rejected.sum.clone(),
        });
        Self::with_rewards(losses, batch, scores.chosen * beta, scores.rejected * beta)
    }

    /// Losses with rewards of the method's own.
    pub fn with_rewards(losses: Tensor<1>, batch: &PairBatch, chosen: Tensor<1>, rejected: Tensor<1>) -> Self {
        Self {
            losses,
            weights: batch.weights(),
            chosen_rewards: chosen.detach(),
            rejected_rewards: rejected.detach(),
            chosen_logps: batch.policy.chosen.sum.clone().detach(),
            rejected_logps: batch.policy.rejected.sum.clone().detach(),
            chosen_log_ratios: batch.known_log_ratios().map(|ratios| ratios.chosen.detach()),
        }
    }

    /// The weighted mean of the losses, with its numerator and denominator.
    ///
    /// # Errors
    /// None for an output made by a method of this crate; a shape error for one put together by hand.
    pub fn reduce(&self) -> Result<Reduced> {
        Ok(reduce_items(self.losses.clone(), self.weights.clone(), ItemReduction::Mean)?)
    }

    /// What is logged, over pairs of weight > 0: `loss`, `rewards/chosen`, `rewards/rejected`, `rewards/margins`,
    /// `rewards/accuracies` (a tie counts one half, and `rewards/ties` says how many there are), `logps/chosen`,
    /// `logps/rejected`, and `frac_chosen_logp_down`, the share of pairs whose chosen response has become less likely
    /// than under the reference. Only the loss is weighted. `frac_skipped` is the share of all pairs that has weight 0:
    /// an empty side, or none given. Reads the device once; sums run in f64.
    pub fn means(&self) -> Means {
        // A method without a reference has no log-ratio; a zero is no displacement.
        let log_ratios = self.chosen_log_ratios.clone().unwrap_or_else(|| self.losses.zeros_like());
        let columns = [
            &log_ratios,
            &self.losses,
            &self.weights,
            &self.chosen_rewards,
            &self.rejected_rewards,
            &self.chosen_logps,
            &self.rejected_logps,
        ];
        let stacked = Tensor::stack::<2>(columns.map(|column| column.clone().detach()).to_vec(), 1);
        let rows: TensorData = stacked.into_data().convert::<f64>();
        // Summed here and named once: names cost more than numbers.
        let (mut pairs, mut kept, mut sums) = (0.0, 0.0, [0.0; 9]);
        for row in rows.as_slice::<f64>().expect("converted to f64").chunks_exact(columns.len()) {
            let &[log_ratio, loss, weight, chosen, rejected, chosen_logp, rejected_logp] = row else { continue };
            pairs += 1.0;
            if weight <= 0.0 {
                continue;
            }
            kept += 1.0;
            let tie = f64::from(chosen == rejected);
            let accuracy = f64::from(chosen > rejected) + 0.5 * tie;
            let down = f64::from(log_ratio < 0.0);
            let items = [loss * weight, weight, chosen, rejected, accuracy, tie, chosen_logp, rejected_logp, down];
            sums.iter_mut().zip(items).for_each(|(sum, item)| *sum += item);
        }
        let [loss, weight, chosen, rejected, accuracy, ties, chosen_logp, rejected_logp, down] = sums;
        let mut means = Means::default();
        means.add("frac_skipped", pairs - kept, pairs);
        means.add("loss", loss, weight);
        means.add("rewards/chosen", chosen, kept);
        means.add("rewards/rejected", rejected, kept);
        means.add("rewards/margins", chosen - rejected, kept);
        means.add("rewards/accuracies", accuracy, kept);
        means.add("rewards/ties", ties, kept);
        means.add("logps/chosen", chosen_logp, kept);
        means.add("logps/rejected", rejected_logp, kept);
        if self.chosen_log_ratios.is_some() {
            means.add("frac_chosen_logp_down", down, kept);
        }
        means
    }
}

/// A loss on pairs. A method is a value: built from its configuration, it holds valid settings and no state.
pub trait PairwiseObjective: std::fmt::Debug + Send + Sync {
    /// Whether [`PairwiseObjective::forward`] reads the reference's log-probabilities, so that no trainer computes them
    /// in vain.
    fn needs_reference(&self) -> bool {
        true
    }

    /// The loss of each pair, with what is logged.
    ///
    /// # Errors
    /// Side information that the method needs and the batch does not have, named.
    fn forward(&self, batch: &PairBatch) -> Result<PairOutput>;
}

/// A method that can be chosen by name.
#[derive(Debug, Clone, Copy)]
pub struct Method {
    /// Its name: the file's.
    pub name: &'static str,
    /// Its full name.
    pub title: &'static str,
    /// Builds it from its default configuration with some options replaced.
    pub build: fn(&Options) -> Result<Box<dyn PairwiseObjective>>,
}

/// Every method of this family, in the order of their names.
pub fn methods() -> &'static [Method] {
    include!(concat!(env!("OUT_DIR"), "/pairwise_methods.rs"))
}

/// The method called `name`, with `options` in place of its defaults.
///
/// # Errors
/// [`Error::UnknownMethod`] lists the methods there are; errors of the options and of the method's configuration.
///
/// # Example
/// ```
/// use accordant_objectives::{Options, pairwise::build};
/// let ipo = build("ipo", &Options::new().with("beta", 0.5))?;
/// assert!(ipo.needs_reference());
/// assert!(build("dpo", &Options::new().with("beta", -1)).is_err());
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
pub fn build(name: &str, options: &Options) -> Result<Box<dyn PairwiseObjective>> {
    match methods().iter().find(|method| method.name == name) {
        Some(method) => (method.build)(options),
        None => Err(Error::UnknownMethod {
            got: name.to_owned(),
            known: methods().iter().map(|method| method.name).collect(),
        }),
    }
}

/// The logistic loss of margins: `softplus(−h) + q h`, after `h` has lost the pair's margin, where `q` is the probability
/// that the pair's label is wrong.
///
/// # Shapes
/// `h` and the result: `[n]`.
pub fn logistic_loss(batch: &PairBatch, h: Tensor<1>, label_smoothing: f64) -> Tensor<1> {
    let h = batch.less_margin(h);
    let loss = softplus(-h.clone());
    match batch.flip_probs(label_smoothing) {
        Some(flip_probs) => loss + flip_probs * h,
        None => loss,
    }
}

/// The domain of a `beta` shared by the family.
fn check_beta(beta: f64) -> Result<()> {
    Ok(check_domain(beta.is_finite() && beta > 0.0, "beta", "finite and > 0", beta)?)
}

#[cfg(test)]
mod tests;
