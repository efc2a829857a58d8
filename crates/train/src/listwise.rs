//! Any objective on lists.

use accordant_data::{
    collate::{Padding, Sequence, TokenBatch},
    tokens::TokenList,
};
use accordant_lm::CausalLm;
use accordant_objectives::{
    Column,
    listwise::{Answer, ListBatch, ListLogps, ListOutput, ListwiseObjective},
};
use accordant_ops::check_domain;
use burn::{
    module::Module,
    tensor::{Bool, Device, Tensor, TensorData},
};

use crate::{
    Error, Observer, Result, TrainConfig,
    columns::{LogpsColumn, check_column, check_weight, fingerprint, pick, sequence_logps, vector},
    score::score,
    step::{Loop, Micro, Records, run_steps},
};

/// Summed log-probabilities and token counts of every candidate under the reference, on the host.
#[derive(Debug, Clone, PartialEq)]
pub struct ListLogpsCache {
    /// Of each list, its candidates.
    pub lists: Vec<LogpsColumn>,
    fingerprint: u64,
}

impl ListLogpsCache {
    /// Refuses to serve other lists than those it was computed for.
    fn check(&self, lists: &[TokenList]) -> Result<()> {
        let expected = of_records(lists);
        if self.fingerprint == expected && self.serves(lists, 0..lists.len()) {
            return Ok(());
        }
        Err(Error::Stale { name: "reference", expected, got: self.fingerprint })
    }

    /// Whether there is a number for each list and each candidate of `rows`.
    fn serves(&self, lists: &[TokenList], mut rows: impl Iterator<Item = usize>) -> bool {
        let lens = |column: &LogpsColumn| [column.sums.len(), column.counts.len()];
        self.lists.len() == lists.len() && rows.all(|row| lens(&self.lists[row]) == [lists[row].candidates.len(); 2])
    }
}

fn of_records(lists: &[TokenList]) -> u64 {
    fingerprint(lists.iter().map(|list| (&list.prompt, &list.candidates)))
}

/// Log-probabilities of every candidate under `model`, `batch_size` rows at a time.
///
/// Pass `model.valid()` of a model in training and a plain device, so that no graph is kept.
///
/// # Errors
/// Token ids outside the vocabulary; a domain error when `batch_size` is 0.
pub fn list_logps<M: CausalLm>(
    model: &M,
    lists: &[TokenList],
    batch_size: usize,
    device: &Device,
) -> Result<ListLogpsCache> {
    let rows: Vec<_> = lists
        .iter()
        .flat_map(|list| list.candidates.iter().map(|completion| Sequence { prompt: &list.prompt, completion }))
        .collect();
    let mut all = sequence_logps(model, &rows, batch_size, device)?;
    let mut take = |count: usize| LogpsColumn {
        sums: all.sums.drain(..count).collect(),
        counts: all.counts.drain(..count).collect(),
    };
    let lists_logps = lists.iter().map(|list| take(list.candidates.len())).collect();
    Ok(ListLogpsCache { lists: lists_logps, fingerprint: of_records(lists) })
}

/// Lists to train on, and what to train on them.
#[derive(Debug, Clone, Copy)]
pub struct ListTask<'a> {
    /// The lists.
    pub lists: &'a [TokenList],
    /// Their log-probabilities under the frozen reference, computed once by [`list_logps`].
    pub reference: Option<&'a ListLogpsCache>,
    /// The loss.
    pub objective: &'a dyn ListwiseObjective,
    /// What the reports call this run: the objective's name, say.
    pub phase: &'a str,
    /// An autodiff device, where the model lives.
    pub device: &'a Device,
}

impl ListTask<'_> {
    /// The objective's output on the lists numbered `rows`, and the number of real tokens read. Shorter lists are filled
    /// with candidates that are not there.
    ///
    /// # Errors
    /// Token ids outside the vocabulary; side information or a reference that the objective needs and does not get.
    pub fn forward<M: CausalLm>(&self, model: &M, rows: &[usize], padding: Padding) -> Result<(ListOutput, usize)> {
        let Self { lists, objective, device, .. } = *self;
        let picked = pick(lists, rows)?;
        for list in &picked {
            self.check_list(list)?;
        }
        let reference = self.reference.filter(|_| objective.needs_reference());
        // All records are compared once, before training; here what keeps rows from being looked up in vain.
        if let Some(reference) = reference.filter(|reference| !reference.serves(lists, rows.iter().copied())) {
            reference.check(lists)?;
        }
        let candidates = picked.iter().map(|list| list.candidates.len()).max().unwrap_or(0).max(1);
        let nothing: &[u32] = &[];
        // All first candidates, all second ones, and so on, then the answers.
        let mut sequences = Vec::with_capacity(rows.len() * (candidates + 1));
        for place in 0..candidates {
            sequences.extend(picked.iter().map(|list| match list.candidates.get(place) {
                Some(completion) => Sequence { prompt: &list.prompt, completion },
                None => Sequence { prompt: nothing, completion: nothing },
            }));
        }
        let answers = picked.iter().filter_map(|list| list.answer.as_ref()).filter(|_| objective.needs_answer());
        let answers: Vec<_> = answers.collect();
        sequences.extend(
            picked.iter().zip(&answers).map(|(list, answer)| Sequence { prompt: &list.prompt, completion: &answer.0 }),
        );
        let tokens = TokenBatch::new(&sequences, model.head().dims()[0], padding, device)?;
        let logps = score(model, &tokens)?.sequence();
        let count = rows.len();
        let table = |value: &dyn Fn(usize, usize) -> f64| -> Tensor<2> {
            let cells = (0..count).flat_map(|row| (0..candidates).map(move |place| (row, place)));
            vector(cells.map(|(row, place)| value(row, place)), device).reshape([count as i32, candidates as i32])
        };
        let there = |row: usize, place: usize| place < picked[row].candidates.len();
        let valid: Vec<bool> = (0..count)
            .flat_map(|row| (0..candidates).map(move |place| (row, place)))
            .map(|(r, p)| there(r, p))
            .collect();
        let valid = Tensor::<2, Bool>::from_data(TensorData::new(valid, [count, candidates]), device);
        let policy = ListLogps::from_stacked(&logps.narrow(0, count * candidates)?, candidates)?;
        let mut batch = ListBatch::new(policy)?
            .with_valid(valid)?
            .with_scores(table(&|row, place| picked[row].scores.get(place).copied().unwrap_or(0.0)))?;
        if let Some(reference) = reference {
            let column = |row: usize| &reference.lists[rows[row]];
            let at = |values: &[f64], place: usize| values.get(place).copied().unwrap_or(0.0);
            batch = batch.with_reference(ListLogps {
                sum: table(&|row, place| at(&column(row).sums, place)),
                count: table(&|row, place| at(&column(row).counts, place)),
            })?;
        }
        if objective.needs_answer() {
            let scores = vector(answers.iter().map(|answer| answer.1), device);
            batch = batch.with_answer(Answer { logps: logps.narrow(count * candidates, count)?, scores })?;
        }
        if picked.iter().any(|list| list.weight != 1.0) {
            batch = batch.with_weights(vector(picked.iter().map(|list| list.weight), device))?;
        }
        for side in objective.columns() {
            batch = batch.with_column(side, vector(picked.iter().map(|list| list.columns[side.name]), device))?;
        }
        for side in objective.candidate_columns() {
            let value = |row: usize, place: usize| picked[row].candidate_columns[side.name].get(place).copied();
            batch = batch.with_candidate_column(side, table(&|row, place| value(row, place).unwrap_or(0.0)))?;
        }
        Ok((objective.forward(&batch)?, tokens.num_tokens))
    }

    /// One number for each candidate, and all that the objective reads.
    fn check_list(&self, list: &TokenList) -> Result<()> {
        check_weight(list.weight, None)?;
        let missing = |name, meaning| Err(Error::NoSide { id: list.id.clone(), name, meaning });
        if list.scores.len() != list.candidates.len() {
            return missing("scores", "one for each candidate");
        }
        for score in &list.scores {
            check_domain(score.is_finite(), "scores", "finite", *score)?;
        }
        for column in self.objective.columns() {
            check_column(&list.id, column, list.columns.get(column.name).copied())?;
        }
        for column @ Column { name, meaning, .. } in self.objective.candidate_columns() {
            match list.candidate_columns.get(name) {
                Some(values) if values.len() == list.candidates.len() => {
                    values.iter().try_for_each(|value| check_column(&list.id, column, Some(*value)))?;
                }
                _ => return missing(name, meaning),
            }
        }
        match &list.answer {
            _ if !self.objective.needs_answer() => Ok(()),
            None => missing("answer", "a reference answer and its score"),
            Some((_, score)) => Ok(check_domain(score.is_finite(), "answer", "finite", *score)?),
        }
    }

    fn check(&self) -> Result<()> {
        if self.lists.is_empty() {
            return Err(Error::NoRecords { name: "lists" });
        }
        self.lists.iter().try_for_each(|list| self.check_list(list))?;
        match self.reference {
            _ if !self.objective.needs_reference() => Ok(()),
            None => Err(Error::NoReference),
            Some(reference) => reference.check(self.lists),
        }
    }
}

/// Trains a policy on lists by any objective of the family.
///
/// Reports the means of [`ListOutput::means`] under the task's phase, each step's before its update.
///
/// # Errors
/// [`Error::NoRecords`], [`Error::NoReference`], [`Error::Stale`] when the reference belongs to other lists,
/// [`Error::NoSide`], [`Error::NotAutodiff`], domain errors of `config` and of the records' numbers, token ids outside the
/// vocabulary, and [`Error::NotFinite`] before a step that would spoil the parameters.
pub fn train_lists<M: Module + CausalLm>(
    model: M,
    task: &ListTask<'_>,
    config: &TrainConfig,
    observer: &mut dyn Observer,
) -> Result<M> {
    task.check()?;
    let len = |list: &TokenList| list.prompt.len() + list.candidates.iter().map(Vec::len).max().unwrap_or(0);
    let records = Records { lens: task.lists.iter().map(len).collect(), id: &|index| task.lists[index].id.clone() };
    run_steps(model, &records, config, task.phase, observer, ListLoop { task })
}

struct ListLoop<'a> {
    task: &'a ListTask<'a>,
}

impl<M: CausalLm> Loop<M> for ListLoop<'_> {
    fn forward(&mut self, model: &M, rows: &[usize]) -> Result<Micro> {
        let (output, tokens) = self.task.forward(model, rows, Padding::default())?;
        Ok(Micro { reduced: output.reduce()?, means: output.means(), tokens })
    }
}
