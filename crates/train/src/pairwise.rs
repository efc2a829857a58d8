//! Any objective on pairs.

use std::collections::BTreeMap;

use accordant_data::{
    collate::{Padding, Sequence, TokenBatch},
    tokens::TokenPair,
};
use accordant_lm::CausalLm;
use accordant_objectives::{
    Column, State,
    pairwise::{Extra, PairBatch, PairLogps, PairOutput, PairwiseObjective, Term, columns::LABEL_PROBS},
};
use accordant_ops::{SequenceLogps, check_domain};
use burn::{module::Module, tensor::Device};

use crate::{
    Error, Observer, Result, TrainConfig,
    columns::{
        LogpsColumn, check_column, check_weight, fingerprint, num_scored, pick, sequence_logps, vector, weighted_mean,
    },
    score::score,
    step::{Loop, Micro, Records, run_steps},
};

/// Log-probabilities of pairs under one model, on the host: what evaluation reads, and what training reads of the
/// reference.
#[derive(Debug, Clone, PartialEq)]
pub struct PairLogpsCache {
    /// Sums of the chosen completions, in nats.
    pub chosen: Vec<f64>,
    /// Sums of the rejected completions, in nats.
    pub rejected: Vec<f64>,
    /// Scored tokens of the chosen completions.
    pub chosen_counts: Vec<f64>,
    /// Scored tokens of the rejected completions.
    pub rejected_counts: Vec<f64>,
    /// Third responses that every pair has, by name.
    pub extras: BTreeMap<String, LogpsColumn>,
    fingerprint: u64,
}

impl PairLogpsCache {
    /// Whether there is a number for each pair, and one for as many tokens as each of `rows` has.
    fn serves(&self, pairs: &[TokenPair], mut rows: impl Iterator<Item = usize>) -> bool {
        let columns = [&self.chosen, &self.rejected, &self.chosen_counts, &self.rejected_counts];
        let mut columns =
            columns.into_iter().chain(self.extras.values().flat_map(|extra| [&extra.sums, &extra.counts]));
        let counts = |row: usize| [self.chosen_counts[row], self.rejected_counts[row]];
        let scored =
            |pair: &TokenPair| [&pair.chosen, &pair.rejected].map(|ids| num_scored(&pair.prompt, ids.len()) as f64);
        columns.all(|column| column.len() == pairs.len()) && rows.all(|row| counts(row) == scored(&pairs[row]))
    }

    /// Refuses to serve other pairs than those it was computed for.
    fn check(&self, name: &'static str, pairs: &[TokenPair]) -> Result<()> {
        let expected = of_records(pairs);
        if self.fingerprint == expected && self.serves(pairs, 0..pairs.len()) {
            return Ok(());
        }
        Err(Error::Stale { name, expected, got: self.fingerprint })
    }

    fn select(&self, rows: &[usize], device: &Device) -> Result<PairLogps> {
        let pick = |column: &[f64]| vector(rows.iter().map(|row| column[*row]), device);
        let side = |sums, counts| SequenceLogps::new(pick(sums), pick(counts));
        let chosen = side(&self.chosen, &self.chosen_counts)?;
        Ok(PairLogps::new(chosen, side(&self.rejected, &self.rejected_counts)?)?)
    }
}

fn of_records(pairs: &[TokenPair]) -> u64 {
    fingerprint(pairs.iter().map(|pair| (&pair.prompt, &pair.chosen, &pair.rejected, &pair.extras)))
}

/// The rows of a batch: the chosen responses, the rejected ones, then each third response.
fn sequences<'a>(pairs: &[&'a TokenPair], extras: &[&str]) -> Vec<Sequence<'a>> {
    let mut rows: Vec<_> =
        pairs.iter().map(|pair| Sequence { prompt: &pair.prompt, completion: &pair.chosen }).collect();
    rows.extend(pairs.iter().map(|pair| Sequence { prompt: &pair.prompt, completion: &pair.rejected }));
    for name in extras {
        rows.extend(pairs.iter().map(|pair| Sequence { prompt: &pair.prompt, completion: &pair.extras[*name] }));
    }
    rows
}

/// Log-probabilities of every pair under `model`, and of the third responses that every pair has, `batch_size` pairs at
/// a time.
///
/// Pass `model.valid()` of a model in training and a plain device, so that no graph is kept.
///
/// # Errors
/// Token ids outside the vocabulary; a domain error when `batch_size` is 0.
pub fn pair_logps<M: CausalLm>(
    model: &M,
    pairs: &[TokenPair],
    batch_size: usize,
    device: &Device,
) -> Result<PairLogpsCache> {
    let common = |name: &&String| pairs.iter().all(|pair| pair.extras.contains_key(*name));
    let extras: Vec<&String> = pairs.first().into_iter().flat_map(|pair| pair.extras.keys()).filter(common).collect();
    let names: Vec<&str> = extras.iter().map(|name| name.as_str()).collect();
    let all: Vec<_> = pairs.iter().collect();
    let logps = sequence_logps(model, &sequences(&all, &names), batch_size.saturating_mul(2), device)?;
    let mut columns = (0..2 + names.len()).map(|kind| {
        let rows = kind * pairs.len()..(kind + 1) * pairs.len();
        LogpsColumn { sums: logps.sums[rows.clone()].to_vec(), counts: logps.counts[rows].to_vec() }
    });
    let mut next = || columns.next().expect("a column for each kind of response");
    let (chosen, rejected) = (next(), next());
    Ok(PairLogpsCache {
        chosen: chosen.sums,
        rejected: rejected.sums,
        chosen_counts: chosen.counts,
        rejected_counts: rejected.counts,
        extras: extras.into_iter().map(|name| (name.clone(), next())).collect(),
        fingerprint: of_records(pairs),
    })
}

/// A pair's number of a column; its label probability has a field of its own, which serves where the column is absent.
fn side(pair: &TokenPair, column: Column) -> Option<f64> {
    let named = pair.columns.get(column.name).copied();
    named.or_else(|| pair.label_prob.filter(|_| column.name == LABEL_PROBS.name))
}

/// Either all pairs have a margin or none has.
pub(crate) fn check_margins<'a>(mut pairs: impl Iterator<Item = &'a TokenPair>) -> Result<()> {
    let Some(first) = pairs.next() else { return Ok(()) };
    match pairs.find(|pair| pair.margin.is_some() != first.margin.is_some()) {
        Some(pair) => Err(Error::MarginMixed { id: pair.id.clone(), has: pair.margin.is_some() }),
        None => Ok(()),
    }
}

pub(crate) fn row_len(pair: &TokenPair) -> usize {
    pair.prompt.len() + pair.chosen.len().max(pair.rejected.len())
}

/// Pairs to train on, and what to train on them.
#[derive(Debug, Clone, Copy)]
pub struct PairTask<'a> {
    /// The pairs.
    pub pairs: &'a [TokenPair],
    /// Their log-probabilities under the frozen reference, computed once by [`pair_logps`]; an objective that compares
    /// with none leaves them unread.
    pub reference: Option<&'a PairLogpsCache>,
    /// The loss.
    pub objective: &'a dyn PairwiseObjective,
    /// What the reports call this run: the objective's name, say.
    pub phase: &'a str,
    /// An autodiff device, where the model lives.
    pub device: &'a Device,
}

/// What the micro-batches of an optimizer step have in common, and what goes on to the next step.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StepContext {
    mean_tokens: Vec<(&'static str, f64)>,
    /// What the objective carries from batch to batch.
    pub state: State,
}

impl PairTask<'_> {
    /// What the micro-batches of the step over the pairs numbered `rows` have in common: mean lengths, so that any split
    /// gives the same update.
    ///
    /// # Errors
    /// A domain error when a pair does not exist.
    pub fn context(&self, rows: &[usize], state: State) -> Result<StepContext> {
        let picked = pick(self.pairs, rows)?;
        // As the batch weighs them: a pair with an empty side counts nothing.
        let scored = |pair: &TokenPair, ids: usize| num_scored(&pair.prompt, ids);
        let counted: Vec<_> = picked
            .into_iter()
            .filter(|pair| scored(pair, pair.chosen.len()) > 0 && scored(pair, pair.rejected.len()) > 0)
            .collect();
        let extras = self.objective.extras();
        let mut mean_tokens = Vec::new();
        for extra in [None].into_iter().chain(extras.iter().map(|extra| Some(extra.name))) {
            // A third response that is missing is for the forward pass to name.
            let ids =
                |pair: &TokenPair| extra.map_or(pair.chosen.len(), |name| pair.extras.get(name).map_or(0, Vec::len));
            let mean = weighted_mean(counted.iter().map(|pair| (pair.weight, scored(pair, ids(pair)))));
            mean_tokens.extend(mean.map(|mean| (extra.unwrap_or("chosen"), mean)));
        }
        Ok(StepContext { mean_tokens, state })
    }

    /// The objective's output on the pairs numbered `rows`, and the number of real tokens read. The context's state is
    /// brought up to date with them first.
    ///
    /// # Errors
    /// Token ids outside the vocabulary; side information or a reference that the objective needs and does not get.
    pub fn forward<M: CausalLm>(
        &self,
        model: &M,
        rows: &[usize],
        padding: Padding,
        context: &mut StepContext,
    ) -> Result<(PairOutput, usize)> {
        let Self { pairs, device, objective, .. } = *self;
        let picked = pick(self.pairs, rows)?;
        let reference = self.reference.filter(|_| self.reads_reference());
        // All records are compared once, before training; here what keeps rows from being looked up in vain.
        if let Some(reference) = reference.filter(|reference| !reference.serves(pairs, rows.iter().copied())) {
            reference.check("reference", pairs)?;
        }
        let (columns, extras) = (objective.columns(), objective.extras());
        for (pair, column) in picked.iter().flat_map(|pair| columns.iter().map(move |column| (pair, column))) {
            check_column(&pair.id, *column, side(pair, *column))?;
        }
        self.check_extras(&picked, &extras)?;
        let names: Vec<_> = extras.iter().map(|extra| extra.name).collect();
        let tokens = TokenBatch::new(&sequences(&picked, &names), model.head().dims()[0], padding, device)?;
        let logps = score(model, &tokens)?.sequence();
        let count = rows.len();
        let mut batch = PairBatch::new(PairLogps::from_stacked(&logps.narrow(0, 2 * count)?)?);
        if let Some(reference) = reference.filter(|_| objective.needs_reference()) {
            batch = batch.with_reference(reference.select(rows, device)?)?;
        }
        for (number, extra) in extras.iter().enumerate() {
            let cached = reference.and_then(|reference| reference.extras.get(extra.name));
            let reference = match cached.filter(|_| extra.needs_reference) {
                Some(column) => Some(column.select(rows, device)?),
                None => None,
            };
            batch = batch.with_extra(*extra, logps.narrow((2 + number) * count, count)?, reference)?;
        }
        let column = |value: &dyn Fn(&TokenPair) -> f64| vector(picked.iter().map(|pair| value(pair)), device);
        if picked.iter().any(|pair| pair.weight != 1.0) {
            batch = batch.with_weights(column(&|pair| pair.weight))?;
        }
        if picked.iter().any(|pair| pair.label_prob.is_some()) {
            batch = batch.with_label_probs(column(&|pair| pair.label_prob.unwrap_or(1.0)))?;
        }
        if picked.iter().any(|pair| pair.margin.is_some()) {
            check_margins(picked.iter().copied())?;
            batch = batch.with_margins(column(&|pair| pair.margin.unwrap_or_default()))?;
        }
        for declared in columns {
            batch = batch.with_column(declared, column(&|pair| side(pair, declared).unwrap_or(f64::NAN)))?;
        }
        for (name, mean_tokens) in &context.mean_tokens {
            batch = batch.with_mean_tokens(name, *mean_tokens)?;
        }
        objective.observe(&mut context.state, &batch)?;
        Ok((objective.forward(&batch.with_state(context.state.clone()))?, tokens.num_tokens))
    }

    /// Whether the objective reads the reference, of the pairs or of a third response.
    fn reads_reference(&self) -> bool {
        self.objective.needs_reference() || self.objective.extras().iter().any(|extra| extra.needs_reference)
    }

    /// Every pair has the third responses that the objective reads.
    fn check_extras(&self, pairs: &[&TokenPair], extras: &[Extra]) -> Result<()> {
        for pair in pairs {
            if let Some(Extra { name, meaning, .. }) = extras.iter().find(|extra| !pair.extras.contains_key(extra.name))
            {
                return Err(Error::NoSide { id: pair.id.clone(), name, meaning });
            }
        }
        Ok(())
    }

    fn check(&self) -> Result<()> {
        if self.pairs.is_empty() {
            return Err(Error::NoRecords { name: "pairs" });
        }
        if let Some(Term { name, meaning }) = self.objective.terms().pop() {
            return Err(Error::NoTerm { name, meaning });
        }
        check_margins(self.pairs.iter())?;
        let (columns, extras) = (self.objective.columns(), self.objective.extras());
        for pair in self.pairs {
            check_weight(pair.weight, pair.label_prob)?;
            let margin = pair.margin.unwrap_or(0.0);
            check_domain(margin.is_finite(), "margin", "finite", margin)?;
            for column in &columns {
                check_column(&pair.id, *column, side(pair, *column))?;
            }
        }
        self.check_extras(&self.pairs.iter().collect::<Vec<_>>(), &extras)?;
        match self.reference {
            _ if !self.reads_reference() => Ok(()),
            None => Err(Error::NoReference),
            Some(reference) => reference.check("reference", self.pairs),
        }
    }
}

/// Trains a policy on pairs by any objective of the family.
///
/// Reports the means of [`PairOutput::means`] under the task's phase, each step's before its update.
///
/// # Errors
/// [`Error::NoRecords`], [`Error::NoReference`], [`Error::Stale`] when the reference belongs to other pairs,
/// [`Error::MarginMixed`], [`Error::NoSide`], [`Error::NoTerm`],
/// [`Error::NotAutodiff`], domain errors of `config` and of the pairs' weights, margins and label
/// probabilities, token ids outside the vocabulary, and [`Error::NotFinite`] before a
/// step that would spoil the parameters.
pub fn train_pairs<M: Module + CausalLm>(
    model: M,
    task: &PairTask<'_>,
    config: &TrainConfig,
    observer: &mut dyn Observer,
) -> Result<M> {
    task.check()?;
    let lens = task.pairs.iter().map(row_len).collect();
    let records = Records { lens, id: &|index| task.pairs[index].id.clone() };
    let context = StepContext::default();
    run_steps(model, &records, config, task.phase, observer, PairLoop { task, context })
}

struct PairLoop<'a> {
    task: &'a PairTask<'a>,
    context: StepContext,
}

impl<M: CausalLm> Loop<M> for PairLoop<'_> {
    fn begin(&mut self, _model: &M, rows: &[usize]) -> Result<()> {
        self.context = self.task.context(rows, std::mem::take(&mut self.context.state))?;
        Ok(())
    }

    fn forward(&mut self, model: &M, rows: &[usize]) -> Result<Micro> {
        let (output, tokens) = self.task.forward(model, rows, Padding::default(), &mut self.context)?;
        Ok(Micro { reduced: output.reduce()?, means: output.means(), tokens })
    }
}
