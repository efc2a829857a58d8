//! Objectives on lists: several candidates for one prompt, ranked or scored.
//!
//! A method reads a [`ListBatch`] and returns a [`ListOutput`], one loss per list. The batch carries the candidates'
//! log-probabilities under the policy, under the reference where there is one, their scores and side information. Start
//! with [`plackett_luce`]; choose a method at run time with [`build`].
//!
//! | the scores say | methods |
//! |---|---|
//! | who is better than whom | [`plackett_luce`], [`lipo`], [`rank_list`] |
//! | by how much, too | [`pro`], [`lipo`] with lambda weights, [`pearson`], [`grao`] |
//! | how probable each candidate should be | [`adpo`], [`infonca`], [`nca`], [`steerlm`] |
//!
//! [`tree`] weighs the steps of reasoning before any of these methods sees the sums.
//!
//! # What all methods have in common
//! **Lists of different lengths.** A candidate that is not valid, or has no scored token (unless
//! [`EmptyRows::Count`](accordant_ops::EmptyRows::Count) asks for it), is removed: the list is as if it were shorter,
//! in value and in gradient, whatever stands in its place.
//!
//! **Ties.** Candidates with equal scores are not compared with each other. Where a method needs one best candidate,
//! those that share the best score share its place. Methods that turn scores into a distribution give equal scores equal
//! mass. No result depends on the order of the candidates.
//!
//! **Weights.** `weights` scale a list's loss and its share of the denominator. A list that says nothing has loss 0 and
//! weight 0: one with fewer than two candidates, or, for the methods that compare, one whose candidates are all tied.
//!
//! **Memory.** Comparisons of all pairs take a few times `n · k · k` numbers, for `n` lists of up to `k` candidates.

use std::collections::BTreeMap;

pub use accordant_ops::lists::Comparisons;
use accordant_ops::{TokenLogps, check_domain, check_shape, lists};
use burn::tensor::{Bool, Tensor};

use crate::{Options, Result, TokensOutput, method, side::Column};

pub mod adpo;
pub mod batch;
pub mod grao;
pub mod infonca;
pub mod lipo;
pub mod nca;
pub mod output;
pub mod pearson;
pub mod plackett_luce;
pub mod pro;
pub mod rank_list;
pub mod steerlm;
pub mod tree;

pub use batch::{Answer, ListBatch, ListLogps};
pub use output::ListOutput;

/// A loss on lists. A method is a value: built from its configuration, it holds valid settings and no state.
pub trait ListwiseObjective: std::fmt::Debug + Send + Sync {
    /// Whether [`ListwiseObjective::forward`] reads the reference's log-probabilities, so that no trainer computes them
    /// in vain.
    fn needs_reference(&self) -> bool {
        true
    }

    /// The side information of lists that it reads, all of it required.
    fn columns(&self) -> Vec<Column> {
        Vec::new()
    }

    /// The side information of candidates that it reads, all of it required. Scores are not among it.
    fn candidate_columns(&self) -> Vec<Column> {
        Vec::new()
    }

    /// Whether it reads a reference answer to each prompt beside the candidates.
    fn needs_answer(&self) -> bool {
        false
    }

    /// Whether the loss of a list depends on the other lists of the batch. Then the micro-batch is the batch: another
    /// split gives another update.
    fn uses_batch_statistics(&self) -> bool {
        false
    }

    /// The loss of each list, with what is logged.
    ///
    /// # Errors
    /// Scores or side information that the method needs and the batch does not have, named.
    fn forward(&self, batch: &ListBatch) -> Result<ListOutput>;
}

/// A listwise method that can be chosen by name.
pub type Method = method::Method<dyn ListwiseObjective>;

/// Every method of this family, in the order of their names.
pub fn methods() -> &'static [Method] {
    include!(concat!(env!("OUT_DIR"), "/listwise_methods.rs"))
}

/// The method called `name`, with `options` in place of its defaults.
///
/// # Errors
/// [`crate::Error::UnknownMethod`] lists the methods there are; errors of the options and of the method's
/// configuration.
///
/// # Example
/// ```
/// use accordant_objectives::{Options, listwise::build};
/// let pro = build("pro", &Options::new().with("sft_weight", 0))?;
/// assert!(!pro.needs_reference());
/// assert!(build("plackett_luce", &Options::new().with("beta", -1)).is_err());
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
pub fn build(name: &str, options: &Options) -> Result<Box<dyn ListwiseObjective>> {
    method::build(methods(), name, options)
}

/// Log-probabilities of a softmax over the candidates of each list, `[n, k]`; 0 where there is none.
///
/// Each is `−log(1 + Σ_{j≠k} exp(x_j − x_k))`: next to a probability of 1, a logarithm of the sum over all candidates
/// would leave nothing but its rounding (2e-4 to three digits in f32).
fn choice_logps(batch: &ListBatch, logits: Tensor<2>) -> Tensor<2> {
    lists::choice_logps(logits, batch.present()).expect("a batch's candidates")
}

/// Sums over the candidates, `[n, k]` to `[n]`.
fn over_candidates(values: Tensor<2>) -> Tensor<1> {
    values.sum_dim(1).squeeze_dim(1)
}

/// The domain of a strength, a temperature or a bandwidth.
fn check_positive(name: &'static str, value: f64) -> Result<()> {
    Ok(check_domain(value.is_finite() && value > 0.0, name, "finite and > 0", value)?)
}

/// The domain of a coefficient of an added term.
fn check_coefficient(name: &'static str, value: f64) -> Result<()> {
    Ok(check_domain(value.is_finite() && value >= 0.0, name, "finite and >= 0", value)?)
}

/// Evaluates an objective on plain tensors, as property tests and benches want it.
///
/// Rows are responses: all first ones, all second ones, and so on. Where the objective reads a reference answer
/// ([`ListwiseObjective::needs_answer`]) the first ones are these answers, and the candidates follow. Of `columns`,
/// `weights` is the batch's hook, and of `response_columns`, `scores` are the scores; the objective's own columns go by
/// their names, and others are left out.
///
/// # Shapes
/// `policy`, `reference`, `mask`: `[rows, seq]` with `rows = n · num_responses`; `valid` and response columns: `[rows]`;
/// columns: `[n]`.
///
/// # Errors
/// A shape error naming the argument; a domain error for too few responses; the objective's own errors.
#[expect(clippy::too_many_arguments, reason = "these are the plain tensors")]
pub fn evaluate_tokens(
    objective: &dyn ListwiseObjective,
    policy: Tensor<2>,
    reference: Tensor<2>,
    mask: Tensor<2, Bool>,
    valid: Tensor<1, Bool>,
    num_responses: usize,
    columns: &BTreeMap<&'static str, Tensor<1>>,
    response_columns: &BTreeMap<&'static str, Tensor<1>>,
) -> Result<TokensOutput> {
    let answers = usize::from(objective.needs_answer());
    check_domain(num_responses > answers, "num_responses", "at least one candidate", num_responses as f64)?;
    let (rows, candidates) = (policy.dims()[0], num_responses - answers);
    let lists = rows / num_responses;
    check_shape("policy", &[lists * num_responses], &[rows])?;
    check_shape("reference", &policy.dims(), &reference.dims())?;
    check_shape("mask", &policy.dims(), &mask.dims())?;
    check_shape("valid", &[rows], &valid.dims())?;
    // Tokens of a response that is not there are no tokens.
    let mask = mask.bool_and(valid.clone().unsqueeze_dim::<2>(1).repeat_dim(1, policy.dims()[1]));
    let policy = TokenLogps::new(policy, mask.clone())?.sequence();
    let reference = TokenLogps::new(reference, mask)?.sequence();
    let (first, len) = (answers * lists, candidates * lists);
    let by_list = |values: &Tensor<1>| -> Result<Tensor<2>> {
        check_shape("response_columns", &[rows], &values.dims())?;
        Ok(batch::by_list(values.clone().slice(first..rows), candidates))
    };
    let valid = by_list(&valid.float())?.greater_scalar(0.5);
    let mut batch =
        ListBatch::new(ListLogps::from_stacked(&policy.narrow(first, len)?, candidates)?)?.with_valid(valid)?;
    if objective.needs_reference() {
        batch = batch.with_reference(ListLogps::from_stacked(&reference.narrow(first, len)?, candidates)?)?;
    }
    for (name, values) in response_columns {
        let own = objective.candidate_columns().into_iter().find(|column| column.name == *name);
        batch = match (*name, own) {
            (_, Some(column)) => batch.with_candidate_column(column, by_list(values)?)?,
            ("scores", _) => batch.with_scores(by_list(values)?)?,
            _ => batch,
        };
    }
    for (name, values) in columns {
        let own = objective.columns().into_iter().find(|column| column.name == *name);
        batch = match (*name, own) {
            (_, Some(column)) => batch.with_column(column, values.clone())?,
            ("weights", _) => batch.with_weights(values.clone())?,
            _ => batch,
        };
    }
    if let (1, Some(scores)) = (answers, response_columns.get("scores")) {
        batch =
            batch.with_answer(Answer { logps: policy.narrow(0, lists)?, scores: scores.clone().slice(0..lists) })?;
    }
    let output = objective.forward(&batch)?;
    let reduced = output.reduce()?;
    let logged = output.logged();
    Ok(TokensOutput::new(output.losses, output.weights, reduced, logged))
}

#[cfg(test)]
mod tests;
