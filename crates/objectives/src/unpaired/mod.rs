//! Objectives on single responses, each of them desirable or not.
//!
//! A method reads a [`SingleBatch`] and returns a [`SingleOutput`], one loss per response. Start with [`kto`]; choose a
//! method at run time with [`build`]. A batch of one kind alone is legal: what the other kind would add is 0.
//!
//! # What every method honors
//! | in the batch | meaning |
//! |---|---|
//! | `weights` | scale a response's loss and its share of the denominator |
//! | `scales` | scale a response's loss alone |
//! | `label_probs` | with `p`, the loss is `p` times that of the given label plus `1 − p` times that of the other |
//!
//! `label_probs` alone makes a likelihood for noisy implicit feedback of [`bco`]'s loss: `p softplus(−a) + (1 − p)
//! softplus(a)`.
//!
//! What else a method reads it declares ([`UnpairedObjective::columns`], [`UnpairedObjective::needs_kl_baseline`], ...).
//! A response without a scored token says nothing about the policy: it gets weight 0, unless
//! [`EmptyRows::Count`](accordant_ops::EmptyRows::Count) asks for TRL's convention.

use std::collections::BTreeMap;

use accordant_ops::{SequenceLogps, TokenLogps, check_shape};
use burn::tensor::{Bool, Tensor};

use crate::{Options, Result, State, TokensOutput, method, side::Column};

pub mod apo_zero_unpaired;
pub mod batch;
pub mod bco;
pub mod kldo;
pub mod kto;
pub mod mismatch;
pub mod output;
pub mod pmpo;

pub use batch::SingleBatch;
pub use output::SingleOutput;

/// A loss on single responses. A method is a value: built from its configuration, it holds valid settings and no state.
pub trait UnpairedObjective: std::fmt::Debug + Send + Sync {
    /// Whether [`UnpairedObjective::forward`] reads the reference's log-probabilities, so that no trainer computes them
    /// in vain.
    fn needs_reference(&self) -> bool {
        true
    }

    /// Whether it reads how far the policy is from the reference on completions of other prompts; see
    /// [`SingleBatch::with_mismatched`] and [`SingleBatch::with_kl_baseline`].
    fn needs_kl_baseline(&self) -> bool {
        false
    }

    /// Whether it reads log-probabilities of tokens, so that the batch must be made by [`SingleBatch::from_tokens`] and
    /// get its reference, where it needs one, by [`SingleBatch::with_reference_tokens`].
    fn needs_tokens(&self) -> bool {
        false
    }

    /// Whether it reads exact divergences from the reference; see [`SingleBatch::with_reference_kl`].
    fn needs_reference_kl(&self) -> bool {
        false
    }

    /// The side information that it reads, all of it required.
    fn columns(&self) -> Vec<Column> {
        Vec::new()
    }

    /// Whether the loss of a response depends on the other responses of the batch. Then the micro-batch is the batch:
    /// another split gives another update.
    fn uses_batch_statistics(&self) -> bool {
        false
    }

    /// Brings what the method carries from batch to batch up to date with a batch that it is about to be trained on,
    /// detached; then hand the state to the batch ([`SingleBatch::with_state`]). Not to be called in evaluation. Most
    /// methods carry nothing.
    ///
    /// # Errors
    /// As [`UnpairedObjective::forward`].
    fn observe(&self, _state: &mut State, _batch: &SingleBatch) -> Result<()> {
        Ok(())
    }

    /// The loss of each response, with what is logged.
    ///
    /// # Errors
    /// Side information that the method needs and the batch does not have, named.
    fn forward(&self, batch: &SingleBatch) -> Result<SingleOutput>;
}

/// An unpaired method that can be chosen by name.
pub type Method = method::Method<dyn UnpairedObjective>;

/// Every method of this family, in the order of their names.
pub fn methods() -> &'static [Method] {
    include!(concat!(env!("OUT_DIR"), "/unpaired_methods.rs"))
}

/// The method called `name`, with `options` in place of its defaults.
///
/// # Errors
/// [`crate::Error::UnknownMethod`] lists the methods there are; errors of the options and of the method's
/// configuration.
///
/// # Example
/// ```
/// use accordant_objectives::{Options, unpaired::build};
/// let kto = build("kto", &Options::new().with("desirable_weight", 1.33))?;
/// assert!(kto.needs_reference() && kto.needs_kl_baseline());
/// assert!(build("kto", &Options::new().with("beta", -1)).is_err());
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
pub fn build(name: &str, options: &Options) -> Result<Box<dyn UnpairedObjective>> {
    method::build(methods(), name, options)
}

/// Evaluates an objective on plain tensors, as property tests and benches want it.
///
/// Rows are responses. Of `columns`, `weights` and `label_probs` are the batch's hooks, `kl` the log-ratio of each
/// response's mismatched completion ([`SingleBatch::with_mismatched`]) and `reference_kl` its divergence
/// ([`SingleBatch::with_reference_kl`]); the objective's own columns go by their names, and others are left out.
/// `mean_tokens`: see [`SingleBatch::with_mean_tokens`].
///
/// # Shapes
/// `policy`, `reference`, `mask`: `[n, seq]`; `desirable` and columns: `[n]`.
///
/// # Errors
/// A shape error naming the argument; the objective's own errors.
pub fn evaluate_tokens(
    objective: &dyn UnpairedObjective,
    policy: Tensor<2>,
    reference: Tensor<2>,
    mask: Tensor<2, Bool>,
    desirable: Tensor<1, Bool>,
    columns: &BTreeMap<&'static str, Tensor<1>>,
    mean_tokens: Option<f64>,
) -> Result<TokensOutput> {
    let policy = TokenLogps::new(policy, mask.clone())?;
    check_shape("reference", &policy.logps.dims(), &reference.dims())?;
    let mut batch = SingleBatch::from_tokens(policy, desirable)?;
    if objective.needs_reference() {
        batch = batch.with_reference_tokens(TokenLogps::new(reference, mask)?)?;
    }
    if let Some(mean_tokens) = mean_tokens {
        batch = batch.with_mean_tokens(mean_tokens)?;
    }
    for (name, values) in columns {
        let own = objective.columns().into_iter().find(|column| column.name == *name);
        batch = match (*name, own) {
            (_, Some(column)) => batch.with_column(column, values.clone())?,
            ("weights", _) => batch.with_weights(values.clone())?,
            ("label_probs", _) => batch.with_label_probs(values.clone())?,
            ("kl", _) => {
                check_shape("kl", &[batch.len()], &values.dims())?;
                let logps = |sum| SequenceLogps::new(sum, values.ones_like());
                batch.with_mismatched(logps(values.clone())?, logps(values.zeros_like())?)?
            }
            ("reference_kl", _) => batch.with_reference_kl(values.clone())?,
            _ => batch,
        };
    }
    let mut state = State::default();
    objective.observe(&mut state, &batch)?;
    let output = objective.forward(&batch.with_state(state))?;
    let (reduced, logged) = (output.reduce()?, output.logged());
    Ok(TokensOutput::new(output.losses, output.weights, reduced, logged))
}

#[cfg(test)]
pub(crate) mod tests;
