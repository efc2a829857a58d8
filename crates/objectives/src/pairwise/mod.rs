//! Objectives on pairs: a chosen and a rejected response to one prompt.
//!
//! A method reads a [`PairBatch`] and returns a [`PairOutput`], one loss per pair. The batch carries the policy's
//! log-probabilities, the reference's where there is one, and side information. Start with [`dpo`]; choose a method at
//! run time with [`build`]; put one together from a score, a loss of its margin, a weighting and a regularizer with
//! [`compose`].
//!
//! Some modules hold no loss but what goes with one: [`online_dpo`] ranks fresh responses, [`curry`] orders pairs,
//! [`ches`] filters them, [`reward_augment`] relabels them, [`accelerated`] steps between rounds.
//!
//! # What every method honors
//! | in the batch | meaning |
//! |---|---|
//! | `weights` | scale a pair's loss and its share of the denominator |
//! | `scales` | scale a pair's loss alone (WPO) |
//! | `label_probs` | with `p`, the loss is `p · loss(w, l) + (1 − p) · loss(l, w)`; a margin, SimPO's γ too, changes its sign |
//! | `margins` | subtracted from the difference of the rewards |
//! | `betas` | in place of the method's own `beta` |
//!
//! A method that has no use for one of these refuses it by name. What else a method reads it declares
//! ([`PairwiseObjective::columns`], [`PairwiseObjective::extras`], [`PairwiseObjective::terms`]).
//!
//! A pair whose chosen or rejected side has no scored token says nothing about the policy: it gets weight 0, unless
//! [`EmptyRows::Count`](accordant_ops::EmptyRows::Count) asks for TRL's convention.

use std::collections::BTreeMap;

use accordant_ops::{TokenLogps, check_domain, check_shape, stable::softplus};
use burn::tensor::{Bool, Tensor};

use crate::{Options, Result, State, TokensOutput, method, side::Column};

pub mod accelerated;
pub mod alphapo;
pub mod aot;
pub mod aot_unpaired;
pub mod apo_down;
pub mod apo_zero;
pub mod asymmetric_dpo;
pub mod batch;
pub mod bco_pair;
pub mod bvpo;
pub mod c_dpo;
pub mod ches;
pub mod chi_po;
pub mod columns;
pub mod compose;
pub mod cpo;
pub mod curry;
pub mod diagnostics;
pub mod discopop;
pub mod dove;
pub mod dpo;
pub mod dynamic_beta;
pub mod em_robust;
pub mod exo;
pub mod f_dpo;
pub mod factual_dpo;
pub mod hinge;
pub mod hypo;
pub mod input_contrast;
pub mod ipo;
pub mod irepo;
pub mod length;
pub mod ln_dpo;
pub mod madpo;
pub mod mappo;
pub mod multi_loss;
pub mod nca_pair;
pub mod online_dpo;
pub mod orpo;
pub mod osp;
pub mod output;
pub mod plad;
pub mod rationale;
pub mod rebel;
pub mod reward_augment;
pub mod robust;
pub mod rpo;
pub mod score;
pub mod sft;
pub mod simpo;
pub mod slic;
pub mod spo_degree;
pub mod sppo;
pub mod tpo;
pub mod vpo;
pub mod wpo;
mod wrapped;
pub mod xpo;

pub use batch::{Extra, PairBatch, PairLogps, PairValues, Term};
pub use compose::{Composed, MarginLoss, Regularizer, Weighting};
pub use output::PairOutput;
pub use score::{Length, Score};

/// A loss on pairs. A method is a value: built from its configuration, it holds valid settings and no state.
pub trait PairwiseObjective: std::fmt::Debug + Send + Sync {
    /// Whether [`PairwiseObjective::forward`] reads the reference's log-probabilities, so that no trainer computes them
    /// in vain.
    fn needs_reference(&self) -> bool {
        true
    }

    /// The side information that it reads, all of it required.
    fn columns(&self) -> Vec<Column> {
        Vec::new()
    }

    /// The third responses that it reads, all of them required.
    fn extras(&self) -> Vec<Extra> {
        Vec::new()
    }

    /// The losses computed elsewhere that it adds, all of them required.
    fn terms(&self) -> Vec<Term> {
        Vec::new()
    }

    /// Whether the loss of a pair depends on the other pairs of the batch. Then the micro-batch is the batch: another
    /// split gives another update.
    fn uses_batch_statistics(&self) -> bool {
        false
    }

    /// Brings what the method carries from batch to batch up to date with a batch that it is about to be trained on,
    /// detached; then hand the state to the batch ([`PairBatch::with_state`]). Not to be called in evaluation. Most
    /// methods carry nothing.
    ///
    /// # Errors
    /// As [`PairwiseObjective::forward`].
    fn observe(&self, _state: &mut State, _batch: &PairBatch) -> Result<()> {
        Ok(())
    }

    /// The loss of each pair, with what is logged.
    ///
    /// # Errors
    /// Side information that the method needs and the batch does not have, named.
    fn forward(&self, batch: &PairBatch) -> Result<PairOutput>;
}

/// A pairwise method that can be chosen by name.
pub type Method = method::Method<dyn PairwiseObjective>;

/// Every method of this family, in the order of their names.
pub fn methods() -> &'static [Method] {
    include!(concat!(env!("OUT_DIR"), "/pairwise_methods.rs"))
}

/// The method called `name`, with `options` in place of its defaults.
///
/// # Errors
/// [`crate::Error::UnknownMethod`] lists the methods there are; errors of the options and of the method's
/// configuration.
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
    method::build(methods(), name, options)
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

/// `σ(x)`, with every digit of its tails.
fn sigmoid(x: Tensor<1>) -> Tensor<1> {
    accordant_ops::stable::log_sigmoid(x).exp()
}

/// The domain of a `beta` shared by the family.
pub(crate) fn check_beta(beta: f64) -> Result<()> {
    Ok(check_domain(beta.is_finite() && beta > 0.0, "beta", "finite and > 0", beta)?)
}

/// The domain of a label smoothing shared by the family.
fn check_smoothing(label_smoothing: f64) -> Result<()> {
    let holds = (0.0..0.5).contains(&label_smoothing);
    Ok(check_domain(holds, "label_smoothing", "in [0, 0.5)", label_smoothing)?)
}

/// Evaluates an objective on plain tensors, as property tests and benches want it.
///
/// Rows are responses: all chosen ones, all rejected ones, then all of each third response that the objective reads
/// ([`PairwiseObjective::extras`]). Of `columns`, `weights`, `label_probs`, `margins` and `betas` are the batch's hooks;
/// the objective's own columns and terms go by their names, and others are left out. `mean_tokens`: see
/// [`PairBatch::with_mean_tokens`], for the chosen responses and then the third ones.
///
/// # Shapes
/// `policy`, `reference`, `mask`: `[rows, seq]` with `rows = n · (2 + extras)`; columns: `[n]`.
///
/// # Errors
/// A shape error naming the argument; the objective's own errors.
pub fn evaluate_tokens(
    objective: &dyn PairwiseObjective,
    policy: Tensor<2>,
    reference: Tensor<2>,
    mask: Tensor<2, Bool>,
    columns: &BTreeMap<&'static str, Tensor<1>>,
    mean_tokens: Option<&[f64]>,
) -> Result<TokensOutput> {
    let extras = objective.extras();
    let rows = policy.dims()[0];
    let pairs = rows / (2 + extras.len());
    check_shape("policy", &[pairs * (2 + extras.len())], &[rows])?;
    check_shape("reference", &policy.dims(), &reference.dims())?;
    let policy = TokenLogps::new(policy, mask.clone())?.sequence();
    let reference = TokenLogps::new(reference, mask)?.sequence();
    let mut batch = PairBatch::new(PairLogps::from_stacked(&policy.narrow(0, 2 * pairs)?)?);
    if objective.needs_reference() {
        batch = batch.with_reference(PairLogps::from_stacked(&reference.narrow(0, 2 * pairs)?)?)?;
    }
    for (number, extra) in extras.iter().enumerate() {
        let side = |logps: &accordant_ops::SequenceLogps| logps.narrow((2 + number) * pairs, pairs);
        let reference = if extra.needs_reference { Some(side(&reference)?) } else { None };
        batch = batch.with_extra(*extra, side(&policy)?, reference)?;
    }
    for (name, values) in columns {
        let own = objective.columns().into_iter().find(|column| column.name == *name);
        let term = objective.terms().into_iter().find(|term| term.name == *name);
        if let Some(term) = term {
            batch = batch.with_term(term, values.clone())?;
            continue;
        }
        batch = match (*name, own) {
            (_, Some(column)) => batch.with_column(column, values.clone())?,
            ("weights", _) => batch.with_weights(values.clone())?,
            ("label_probs", _) => batch.with_label_probs(values.clone())?,
            ("margins", _) => batch.with_margins(values.clone())?,
            ("betas", _) => batch.with_betas(values.clone())?,
            _ => batch,
        };
    }
    let kinds = ["chosen"].into_iter().chain(extras.iter().map(|extra| extra.name));
    for (kind, mean_tokens) in kinds.zip(mean_tokens.unwrap_or_default()) {
        batch = batch.with_mean_tokens(kind, *mean_tokens)?;
    }
    let mut state = State::default();
    objective.observe(&mut state, &batch)?;
    let output = objective.forward(&batch.with_state(state))?;
    let reduced = output.reduce()?;
    let logged = output.logged();
    Ok(TokensOutput::new(output.losses, output.weights, reduced, logged))
}

#[cfg(test)]
pub(crate) mod tests;
