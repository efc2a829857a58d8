//! Any objective on single responses.

use accordant_data::{
    collate::{Padding, Sequence, TokenBatch},
    tokens::TokenSingle,
};
use accordant_lm::CausalLm;
use accordant_objectives::{
    State,
    unpaired::{
        SingleBatch, SingleOutput, UnpairedObjective,
        mismatch::{mismatch_kl, rotate_by_one},
    },
};
use accordant_ops::EmptyRows;
use burn::{
    module::Module,
    tensor::{Bool, Device, Tensor, TensorData},
};

use crate::{
    Error, Observer, Result, TrainConfig,
    columns::{
        LogpsColumn, check_column, check_weight, fingerprint, num_scored, pick, sequence_logps, token_logps, vector,
        weighted_mean,
    },
    score::score,
    step::{Loop, Micro, Records, run_steps},
};

/// Log-probabilities of single responses under the reference, on the host.
#[derive(Debug, Clone, PartialEq)]
pub struct SingleLogpsCache {
    /// Of each scored token of each response, in nats.
    pub tokens: Vec<Vec<f64>>,
    /// Of a completion of another prompt given each prompt: what a KL baseline is estimated from.
    pub mismatched: LogpsColumn,
    fingerprint: u64,
}

/// The completion of another prompt for each record's prompt: of the last record before it whose prompt differs, so that
/// both members of a pair get one that is neither's. Of the record before it where there is but one prompt.
fn mismatched(singles: &[TokenSingle]) -> Result<Vec<Sequence<'_>>> {
    let completions: Vec<_> = singles.iter().map(|single| &single.completion).collect();
    let mut others = rotate_by_one(&completions)?.rows;
    let differs = |row: usize, other: usize| singles[row].prompt != singles[other].prompt;
    if (1..singles.len()).any(|row| differs(row, row - 1)) {
        // Twice around: what the first record needs may only be found at the end.
        for row in (0..singles.len()).chain(0..singles.len()) {
            let before = (row + singles.len() - 1) % singles.len();
            others[row] = if differs(row, before) { before } else { others[before] };
        }
    }
    let sequence = |(single, other)| {
        let (single, completion): (&TokenSingle, &Vec<u32>) = (single, completions[other]);
        Sequence { prompt: &single.prompt, completion }
    };
    Ok(singles.iter().zip(others).map(sequence).collect())
}

fn sequence(single: &TokenSingle) -> Sequence<'_> {
    Sequence { prompt: &single.prompt, completion: &single.completion }
}

impl SingleLogpsCache {
    /// Refuses to serve other responses than those it was computed for.
    fn check(&self, singles: &[TokenSingle]) -> Result<()> {
        let expected = of_records(singles);
        if self.fingerprint == expected && self.serves(singles, 0..singles.len()) {
            return Ok(());
        }
        Err(Error::Stale { name: "reference", expected, got: self.fingerprint })
    }

    /// Whether there is a number for each record and each scored token of `rows`.
    fn serves(&self, singles: &[TokenSingle], mut rows: impl Iterator<Item = usize>) -> bool {
        let lens = [self.tokens.len(), self.mismatched.sums.len(), self.mismatched.counts.len()];
        let scored = |single: &TokenSingle| num_scored(&single.prompt, single.completion.len());
        lens == [singles.len(); 3] && rows.all(|row| self.tokens[row].len() == scored(&singles[row]))
    }
}

fn of_records(singles: &[TokenSingle]) -> u64 {
    fingerprint(singles.iter().map(|single| (&single.prompt, &single.completion)))
}

/// Log-probabilities of every response under `model`, `batch_size` rows at a time, and of one completion of another
/// prompt for each (of another record, where all prompts are the same).
///
/// Pass `model.valid()` of a model in training and a plain device, so that no graph is kept.
///
/// # Errors
/// Token ids outside the vocabulary; a domain error when `batch_size` is 0 or there are fewer than two responses.
pub fn single_logps<M: CausalLm>(
    model: &M,
    singles: &[TokenSingle],
    batch_size: usize,
    device: &Device,
) -> Result<SingleLogpsCache> {
    let rows: Vec<_> = singles.iter().map(sequence).collect();
    Ok(SingleLogpsCache {
        tokens: token_logps(model, &rows, batch_size, device)?,
        mismatched: sequence_logps(model, &mismatched(singles)?, batch_size, device)?,
        fingerprint: of_records(singles),
    })
}

/// Single responses to train on, and what to train on them.
#[derive(Debug, Clone, Copy)]
pub struct SingleTask<'a> {
    /// The responses.
    pub singles: &'a [TokenSingle],
    /// Their log-probabilities under the frozen reference, computed once by [`single_logps`].
    pub reference: Option<&'a SingleLogpsCache>,
    /// The loss.
    pub objective: &'a dyn UnpairedObjective,
    /// What the reports call this run: the objective's name, say.
    pub phase: &'a str,
    /// An autodiff device, where the model lives.
    pub device: &'a Device,
}

/// What the micro-batches of an optimizer step have in common, and what goes on to the next step.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SingleContext {
    mean_tokens: Option<f64>,
    kl_baseline: Option<f64>,
    /// What the objective carries from batch to batch.
    pub state: State,
}

impl SingleTask<'_> {
    /// What the micro-batches of the step over the responses numbered `rows` have in common: the mean length and, where
    /// the objective reads it, the KL baseline of the whole step, so that any split gives the same update.
    ///
    /// # Errors
    /// A domain error when a response does not exist; token ids outside the vocabulary.
    pub fn context<M: CausalLm>(&self, model: &M, rows: &[usize], state: State) -> Result<SingleContext> {
        let picked = pick(self.singles, rows)?;
        self.check_rows(rows)?;
        // As the batch weighs them: a response without a scored token counts nothing.
        let lens = picked.iter().map(|single| (single.weight, num_scored(&single.prompt, single.completion.len())));
        let mean_tokens = weighted_mean(lens.filter(|(_, len)| *len > 0));
        let kl_baseline = match self.reference.filter(|_| self.objective.needs_kl_baseline()) {
            None => None,
            Some(reference) => {
                let all = mismatched(self.singles)?;
                let sequences: Vec<_> = rows.iter().map(|row| all[*row]).collect();
                let tokens = TokenBatch::new(&sequences, model.head().dims()[0], Padding::default(), self.device)?;
                let policy = score(model, &tokens)?.detach().sequence();
                let reference = reference.mismatched.select(rows, self.device)?;
                Some(mismatch_kl(&policy, &reference, EmptyRows::Skip)?.loss.into_scalar::<f64>())
            }
        };
        Ok(SingleContext { mean_tokens, kl_baseline, state })
    }

    /// The objective's output on the responses numbered `rows`, and the number of real tokens read. The context's state
    /// is brought up to date with them first.
    ///
    /// # Errors
    /// Token ids outside the vocabulary; side information or a reference that the objective needs and does not get.
    pub fn forward<M: CausalLm>(
        &self,
        model: &M,
        rows: &[usize],
        padding: Padding,
        context: &mut SingleContext,
    ) -> Result<(SingleOutput, usize)> {
        let Self { singles, objective, device, .. } = *self;
        let picked = pick(singles, rows)?;
        self.check_rows(rows)?;
        let sequences: Vec<_> = picked.iter().map(|single| sequence(single)).collect();
        let tokens = TokenBatch::new(&sequences, model.head().dims()[0], padding, device)?;
        let labels: Vec<bool> = picked.iter().map(|single| single.desirable).collect();
        let labels = Tensor::<1, Bool>::from_data(TensorData::new(labels, [rows.len()]), device);
        let mut batch = SingleBatch::from_tokens(score(model, &tokens)?, labels)?;
        if let Some(reference) = self.reference.filter(|_| objective.needs_reference()) {
            let flat = rows.iter().flat_map(|row| reference.tokens[*row].iter().copied());
            batch = batch.with_reference_tokens(tokens.token_logps(vector(flat, device))?)?;
        }
        let column = |value: &dyn Fn(&TokenSingle) -> f64| vector(picked.iter().map(|single| value(single)), device);
        if picked.iter().any(|single| single.weight != 1.0) {
            batch = batch.with_weights(column(&|single| single.weight))?;
        }
        if picked.iter().any(|single| single.label_prob.is_some()) {
            batch = batch.with_label_probs(column(&|single| single.label_prob.unwrap_or(1.0)))?;
        }
        for side in objective.columns() {
            for single in &picked {
                check_column(&single.id, side, single.columns.get(side.name).copied())?;
            }
            batch = batch.with_column(side, column(&|single| single.columns[side.name]))?;
        }
        if let Some(mean_tokens) = context.mean_tokens {
            batch = batch.with_mean_tokens(mean_tokens)?;
        }
        if let Some(kl_baseline) = context.kl_baseline {
            batch = batch.with_kl_baseline(kl_baseline)?;
        }
        objective.observe(&mut context.state, &batch)?;
        Ok((objective.forward(&batch.with_state(context.state.clone()))?, tokens.num_tokens))
    }

    fn reads_reference(&self) -> bool {
        self.objective.needs_reference() || self.objective.needs_kl_baseline()
    }

    /// All records are compared once, before training; here what keeps `rows` from being looked up in vain.
    fn check_rows(&self, rows: &[usize]) -> Result<()> {
        match self.reference.filter(|_| self.reads_reference()) {
            Some(reference) if !reference.serves(self.singles, rows.iter().copied()) => reference.check(self.singles),
            _ => Ok(()),
        }
    }

    fn check(&self) -> Result<()> {
        if self.singles.is_empty() {
            return Err(Error::NoRecords { name: "singles" });
        }
        for single in self.singles {
            check_weight(single.weight, single.label_prob)?;
            for column in self.objective.columns() {
                check_column(&single.id, column, single.columns.get(column.name).copied())?;
            }
        }
        match self.reference {
            _ if !self.reads_reference() => Ok(()),
            None => Err(Error::NoReference),
            Some(reference) => reference.check(self.singles),
        }
    }
}

/// Trains a policy on single responses by any objective of the family.
///
/// Reports the means of [`SingleOutput::means`] under the task's phase, each step's before its update.
///
/// # Errors
/// [`Error::NoRecords`], [`Error::NoReference`], [`Error::Stale`] when the reference belongs to other responses,
/// [`Error::NoSide`], [`Error::NotAutodiff`], domain errors of `config` and of the records' numbers, token ids outside the
/// vocabulary, and [`Error::NotFinite`] before a step that would spoil the parameters.
pub fn train_singles<M: Module + CausalLm>(
    model: M,
    task: &SingleTask<'_>,
    config: &TrainConfig,
    observer: &mut dyn Observer,
) -> Result<M> {
    task.check()?;
    let lens = task.singles.iter().map(|single| single.prompt.len() + single.completion.len()).collect();
    let records = Records { lens, id: &|index| task.singles[index].id.clone() };
    run_steps(model, &records, config, task.phase, observer, SingleLoop { task, context: SingleContext::default() })
}

struct SingleLoop<'a> {
    task: &'a SingleTask<'a>,
    context: SingleContext,
}

impl<M: CausalLm> Loop<M> for SingleLoop<'_> {
    fn begin(&mut self, model: &M, rows: &[usize]) -> Result<()> {
        self.context = self.task.context(model, rows, std::mem::take(&mut self.context.state))?;
        Ok(())
    }

    fn forward(&mut self, model: &M, rows: &[usize]) -> Result<Micro> {
        let (output, tokens) = self.task.forward(model, rows, Padding::default(), &mut self.context)?;
        Ok(Micro { reduced: output.reduce()?, means: output.means(), tokens })
    }
}
