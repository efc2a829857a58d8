//! The rollouts of an iteration, and what an objective reads of them.

use std::collections::{BTreeMap, BTreeSet};

use accordant_data::collate::{Padding, Sequence, TokenBatch};
use accordant_lm::{
    CachedLm,
    generate::{Completion, SampleConfig, greedy, sample},
    value_head::ValueModel,
};
use accordant_objectives::{
    Column,
    advantage::{
        Advantages, RewardBatch, canon::METRIC, gae_estimator::NEXT_VALUE, remax::GREEDY_REWARD, token_rewards::ENDED,
    },
    rollout::{RolloutBatch, RolloutOutput, Sampling, Totals, policy_gradient::SUCCESS},
    value::ValueBatch,
};
use accordant_ops::{Means, TokenLogps, check_domain, groups::Groups, selected::SelectedOptions};
use burn::{
    module::Module,
    tensor::{Bool, Device, IndexingUpdateOp, Int, Tensor, TensorData},
};

use super::{Rollout, RolloutConfig, RolloutTask, Scored};
use crate::{
    Error, Result,
    columns::{check_column, vector},
    score::score_selected,
};

/// Rollouts with their log-probabilities, rewards and advantages, on the host.
#[derive(Debug, Clone)]
pub struct Experience {
    rows: Vec<Row>,
    pub(super) sampling: Sampling,
    means: Means,
}

/// A rollout. Numbers of tokens stand in the order of the response's ids.
#[derive(Debug, Clone)]
struct Row {
    prompt: usize,
    group: usize,
    completion: Completion,
    scored: Scored,
    /// Whether it is learned from.
    is_kept: bool,
    old: Vec<f64>,
    entropies: Vec<f64>,
    /// For objectives that ask.
    sum_sq_probs: Vec<f64>,
    reference: Option<Vec<f64>>,
    /// The reward of the greedy response to the prompt, for objectives that ask.
    greedy_reward: Option<f64>,
    advantages: Vec<f64>,
    critic: Option<Values>,
}

/// Values and returns of the states before each token, and of the one after the last.
#[derive(Debug, Clone, Default)]
struct Values {
    old: Vec<f64>,
    returns: Vec<f64>,
    has_return: Vec<bool>,
}

impl Row {
    fn len(&self) -> usize {
        self.completion.ids.len()
    }
}

impl Experience {
    /// The number of rollouts.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is none: all groups were dropped.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// What is reported of the rollouts.
    pub fn means(&self) -> &Means {
        &self.means
    }

    /// The response of a row, and what it was found to be worth.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn rollout(&self, row: usize) -> (&Completion, &Scored) {
        (&self.rows[row].completion, &self.rows[row].scored)
    }

    /// The number of a row's prompt.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn prompt(&self, row: usize) -> usize {
        self.rows[row].prompt
    }

    /// The rows of each group.
    pub fn groups(&self) -> Vec<Vec<usize>> {
        let mut groups: Vec<Vec<usize>> = Vec::new();
        let numbers = Groups::new(&self.group_ids(&(0..self.len()).collect::<Vec<_>>()));
        groups.resize(numbers.sizes().len(), Vec::new());
        numbers.numbers().iter().enumerate().for_each(|(row, group)| groups[*group].push(row));
        groups
    }

    /// What errors call a row.
    pub(super) fn name(&self, row: usize) -> String {
        format!("prompt {}", self.rows[row].prompt)
    }

    pub(super) fn row_len(&self, prompts: &[Vec<u32>], row: usize) -> usize {
        prompts[self.rows[row].prompt].len() + self.rows[row].len()
    }

    fn group_ids(&self, rows: &[usize]) -> Vec<usize> {
        rows.iter().map(|row| self.rows[*row].group).collect()
    }

    fn sequences<'a>(&'a self, prompts: &'a [Vec<u32>], rows: &[usize]) -> Vec<Sequence<'a>> {
        let sequence = |row: &usize| {
            let row = &self.rows[*row];
            Sequence { prompt: &prompts[row.prompt], completion: &row.completion.ids }
        };
        rows.iter().map(sequence).collect()
    }

    /// Where the tokens of some rows stand, and those after their last ones.
    fn layout(&self, rows: &[usize]) -> Layout {
        Layout { lens: rows.iter().map(|row| self.rows[*row].len()).collect() }
    }

    fn column(&self, rows: &[usize], column: Column, device: &Device) -> Result<Tensor<1>> {
        let mut values = Vec::with_capacity(rows.len());
        for &row in rows {
            let judged = self.rows[row].scored.columns.get(column.name).copied();
            let value = match (judged, self.rows[row].known(column)) {
                // Its own may be missing: a greedy response that has no reward.
                (None, Some(known)) => Some(known),
                _ => {
                    check_column(&self.name(row), column, judged)?;
                    judged
                }
            };
            values.extend(value);
        }
        Ok(vector(values.into_iter(), device))
    }
}

/// Numbers of the tokens of some rows as tensors `[rows, width]`: those of a row at its start, with a column to spare for
/// the state after the last token.
struct Layout {
    lens: Vec<usize>,
}

impl Layout {
    fn shape(&self) -> [usize; 2] {
        [self.lens.len(), self.lens.iter().copied().max().unwrap_or(0) + 1]
    }

    /// Where row by row the first `len + more` columns stand.
    fn places(&self, more: usize) -> Vec<usize> {
        let width = self.shape()[1];
        self.lens.iter().enumerate().flat_map(|(row, len)| row * width..row * width + len + more).collect()
    }

    fn mask(&self, device: &Device) -> Tensor<2, Bool> {
        let [rows, width] = self.shape();
        let mut mask = vec![false; rows * width];
        self.places(0).into_iter().for_each(|place| mask[place] = true);
        Tensor::from_data(TensorData::new(mask, [rows, width]), device)
    }

    /// Numbers of tokens, or of states where there is one more in each row.
    fn tensor<'a>(&self, rows: impl Iterator<Item = &'a [f64]>, device: &Device) -> Tensor<2> {
        let [count, width] = self.shape();
        let mut values = vec![0.0f32; count * width];
        for (number, row) in rows.enumerate() {
            for (place, value) in values[number * width..(number + 1) * width].iter_mut().zip(row) {
                *place = *value as f32;
            }
        }
        Tensor::from_data(TensorData::new(values, [count, width]), device)
    }

    /// Numbers of all tokens in a line, `[tokens]`, or of all states; keeps the gradient.
    fn spread(&self, flat: Tensor<1>, more: usize) -> Tensor<2> {
        let [rows, width] = self.shape();
        let places: Vec<i64> = self.places(more).into_iter().map(|place| place as i64).collect();
        let places = Tensor::<1, Int>::from_data(TensorData::new(places.clone(), [places.len()]), &flat.device());
        let nothing = Tensor::<1>::zeros([rows * width], (&flat.device(), flat.dtype()));
        nothing.select_assign(0, places, flat, IndexingUpdateOp::Add).reshape([rows, width])
    }
}

fn numbers(tensor: Tensor<2>) -> Vec<f64> {
    tensor.try_into_vec_as::<f64>().expect("the device returns what it has computed")
}

fn bits(tensor: Tensor<2, Bool>) -> Vec<bool> {
    let ints = tensor.int().try_into_vec_as::<i64>().expect("the device returns what it has computed");
    ints.into_iter().map(|bit| bit != 0).collect()
}

/// Values of the states before each token of the response and after the last, `[Σ (len + 1)]`.
fn states<C: ValueModel>(critic: &C, batch: &TokenBatch, rows: &[Sequence<'_>], device: &Device) -> Result<Tensor<1>> {
    let values = critic.values(batch.ids.clone(), batch.attention_mask.clone())?;
    let [count, seq] = values.dims();
    let sources: Vec<i64> = rows
        .iter()
        .enumerate()
        .flat_map(|(number, row)| {
            let first = number * seq + row.prompt.len() - 1;
            first..=first + row.completion.len()
        })
        .map(|source| source as i64)
        .collect();
    let sources = Tensor::<1, Int>::from_data(TensorData::new(sources.clone(), [sources.len()]), device);
    Ok(values.reshape([count * seq]).select(0, sources))
}

impl<M: Module + CachedLm> RolloutTask<'_, M> {
    /// What can be said before anything is sampled.
    pub(super) fn check(&self, model: &M) -> Result<()> {
        if self.prompts.is_empty() {
            return Err(Error::NoRecords { name: "prompts" });
        }
        let vocab = model.head().dims()[0];
        for (row, prompt) in self.prompts.iter().enumerate() {
            if prompt.is_empty() {
                return Err(accordant_lm::Error::EmptyPrompt { row }.into());
            }
            if let Some(&id) = prompt.iter().find(|id| **id as usize >= vocab) {
                return Err(accordant_lm::Error::TokenId { row, id, vocab }.into());
            }
        }
        if self.objective.needs_reference() && self.reference.is_none() {
            return Err(Error::NoReference);
        }
        Ok(())
    }

    /// Samples, judges and scores the rollouts of an iteration, and makes their advantages. `take` names the prompts of
    /// each round of sampling.
    ///
    /// Pass `valid()` of models in training.
    ///
    /// # Errors
    /// Those of [`super::train_rollouts`].
    pub fn experience<C: Module + ValueModel>(
        &self,
        policy: &M,
        critic: Option<&C>,
        config: &RolloutConfig,
        iteration: usize,
        take: &mut dyn FnMut(usize) -> Vec<usize>,
    ) -> Result<Experience> {
        self.check(policy)?;
        let device = self.device.clone().without_autodiff();
        let mut experience = self.sampled(policy, config, iteration, take, &device)?;
        if experience.is_empty() {
            return Ok(experience);
        }
        let rows: Vec<usize> = (0..experience.len()).collect();
        self.score(&mut experience, policy, critic, config, &device)?;
        self.greedy_rewards(&mut experience, policy, config, &device)?;
        let batch = self.rewards(&experience, config, &device)?;
        let advantages = self.objective.advantages(&batch)?;
        experience.means.merge(&advantages.means());
        let layout = experience.layout(&rows);
        let [_, width] = layout.shape();
        let Advantages { advantages, returns, .. } = advantages;
        for (row, advantages) in experience.rows.iter_mut().zip(numbers(advantages).chunks_exact(width)) {
            row.advantages = advantages[..row.len()].to_vec();
        }
        if let Some(returns) = returns {
            let (values, mask) = (numbers(returns.returns), bits(returns.mask));
            let values = values.chunks_exact(width).zip(mask.chunks_exact(width));
            for (row, (values, mask)) in experience.rows.iter_mut().zip(values) {
                if let Some(critic) = &mut row.critic {
                    (critic.returns, critic.has_return) = (values.to_vec(), mask.to_vec());
                }
            }
        }
        Ok(experience)
    }

    /// Samples and judges, round by round.
    fn sampled(
        &self,
        policy: &M,
        config: &RolloutConfig,
        iteration: usize,
        take: &mut dyn FnMut(usize) -> Vec<usize>,
        device: &Device,
    ) -> Result<Experience> {
        let wanted = config.train.batch_size;
        let rounds = config.dynamic_sampling.unwrap_or(1);
        let sampling = Sampling::new().with_temperature(config.temperature);
        let mut experience = Experience { rows: Vec::new(), sampling, means: Means::default() };
        let (mut groups, mut dropped, mut used) = (0, 0, 0);
        while groups < wanted && used < rounds {
            let prompts = take(wanted - groups);
            // Streams are numbered by iteration, round, prompt and sample.
            let first = ((iteration * rounds + used) * wanted * config.group_size) as u64;
            let mut rows = self.responses(policy, &prompts, config, first, device)?;
            rows.iter().for_each(|row| report(&mut experience.means, row, config.reward_weights.as_deref()));
            used += 1;
            if config.dynamic_sampling.is_some() {
                let constant = constant_groups(&rows, config, device)?;
                dropped += constant.iter().step_by(config.group_size).filter(|constant| **constant).count();
                let mut constant = constant.iter();
                rows.retain(|_| constant.next() == Some(&false));
            }
            let offset = used * wanted;
            rows.iter_mut().for_each(|row| row.group += offset);
            groups += rows.len() / config.group_size;
            experience.rows.extend(rows);
        }
        experience.means.add("sampling_rounds", used as f64, 1.0);
        experience.means.add("groups/dropped", dropped as f64, 1.0);
        Ok(experience)
    }

    /// A group of responses to each prompt, judged; group numbers are places in `prompts`.
    fn responses(
        &self,
        policy: &M,
        prompts: &[usize],
        config: &RolloutConfig,
        first: u64,
        device: &Device,
    ) -> Result<Vec<Row>> {
        let sampling =
            SampleConfig::new(config.max_new_tokens).with_temperature(config.temperature).with_seed(config.train.seed);
        let asked: Vec<usize> = prompts.iter().flat_map(|prompt| vec![*prompt; config.group_size]).collect();
        let mut rows: Vec<Row> = Vec::with_capacity(asked.len());
        for chunk in asked.chunks(config.sample_batch_size) {
            let texts: Vec<Vec<u32>> = chunk.iter().map(|prompt| self.prompts[*prompt].clone()).collect();
            let stream = first + rows.len() as u64;
            let completions = sample(policy, &texts, self.stop_ids, &sampling, stream, device)?;
            for (&prompt, completion) in chunk.iter().zip(completions) {
                let scored = self.judged(prompt, &completion, config, rows.first())?;
                rows.push(Row {
                    prompt,
                    group: rows.len() / config.group_size,
                    is_kept: completion.stopped || !config.mask_truncated,
                    completion,
                    scored,
                    old: Vec::new(),
                    entropies: Vec::new(),
                    sum_sq_probs: Vec::new(),
                    reference: None,
                    greedy_reward: None,
                    advantages: Vec::new(),
                    critic: None,
                });
            }
        }
        Ok(rows)
    }

    /// What the judge says of a response, with as many rewards as the configuration or `other` has.
    fn judged(
        &self,
        prompt: usize,
        completion: &Completion,
        config: &RolloutConfig,
        other: Option<&Row>,
    ) -> Result<Scored> {
        let scored = (self.judge)(&Rollout { prompt, prompt_ids: &self.prompts[prompt], completion });
        let expected = config.reward_weights.as_ref().map(Vec::len);
        let expected = expected.or(other.map(|row| row.scored.rewards.len())).unwrap_or(1);
        let got = scored.rewards.len();
        if got != expected || got == 0 {
            return Err(Error::Rewards { prompt, expected: expected.max(1), got });
        }
        for reward in &scored.rewards {
            check_domain(!reward.is_infinite(), "rewards", "finite, or NaN where missing", *reward)?;
        }
        Ok(scored)
    }

    /// The greedy response to each prompt, judged, for objectives that ask and prompts of which the judge does not say.
    fn greedy_rewards(
        &self,
        experience: &mut Experience,
        policy: &M,
        config: &RolloutConfig,
        device: &Device,
    ) -> Result<()> {
        if !self.objective.reward_columns().contains(&GREEDY_REWARD) {
            return Ok(());
        }
        let unsaid = experience.rows.iter().filter(|row| !row.scored.columns.contains_key(GREEDY_REWARD.name));
        let prompts: Vec<usize> = unsaid.map(|row| row.prompt).collect::<BTreeSet<_>>().into_iter().collect();
        let mut rewards = BTreeMap::new();
        for chunk in prompts.chunks(config.sample_batch_size) {
            let texts: Vec<Vec<u32>> = chunk.iter().map(|prompt| self.prompts[*prompt].clone()).collect();
            let completions = greedy(policy, &texts, self.stop_ids, config.max_new_tokens, device)?;
            for (&prompt, completion) in chunk.iter().zip(&completions) {
                let scored = self.judged(prompt, completion, config, experience.rows.first())?;
                rewards.insert(prompt, total_reward(&scored, config.reward_weights.as_deref()));
            }
        }
        experience.rows.iter_mut().for_each(|row| row.greedy_reward = rewards.get(&row.prompt).copied());
        Ok(())
    }

    /// Log-probabilities, entropies and values, as they are before the first update.
    fn score<C: Module + ValueModel>(
        &self,
        experience: &mut Experience,
        policy: &M,
        critic: Option<&C>,
        config: &RolloutConfig,
        device: &Device,
    ) -> Result<()> {
        let mut order: Vec<usize> = (0..experience.len()).collect();
        order.sort_by_key(|row| experience.row_len(self.prompts, *row));
        let options = SelectedOptions::new().with_temperature(config.temperature);
        let vocab = policy.head().dims()[0];
        let host = |flat: Tensor<1>| flat.try_into_vec_as::<f64>().expect("the device returns what it has computed");
        for rows in order.chunks(config.train.micro_batch_size) {
            let sequences = experience.sequences(self.prompts, rows);
            let batch = TokenBatch::new(&sequences, vocab, Padding::default(), device)?;
            let selected = score_selected(policy, &batch, &options)?;
            let mut old = host(selected.logps).into_iter();
            let mut entropies = host(selected.entropy).into_iter();
            let squares = self.objective.needs_sum_sq_probs().then(|| host(selected.log_sum_sq_probs.exp()));
            let mut squares = squares.into_iter().flatten();
            let reference = self.reference.map(|model| score_selected(&model.valid(), &batch, &options));
            let mut reference = reference.transpose()?.map(|selected| host(selected.logps).into_iter());
            let values = critic.map(|critic| states(critic, &batch, &sequences, device)).transpose()?;
            let mut values = values.map(|values| host(values).into_iter());
            for &row in rows {
                let row = &mut experience.rows[row];
                let len = row.len();
                row.old = old.by_ref().take(len).collect();
                row.entropies = entropies.by_ref().take(len).collect();
                row.sum_sq_probs = squares.by_ref().take(len).collect();
                row.reference = reference.as_mut().map(|reference| reference.take(len).collect());
                row.critic =
                    values.as_mut().map(|values| Values { old: values.take(len + 1).collect(), ..Values::default() });
                let gap: f64 =
                    row.old.iter().zip(&row.completion.logps).map(|(old, sampled)| (old - sampled).abs()).sum();
                experience.means.add("sampler_gap", gap, len as f64);
                experience.means.add("entropy", row.entropies.iter().sum(), len as f64);
            }
        }
        Ok(())
    }

    /// All that advantages are made of.
    fn rewards(&self, experience: &Experience, config: &RolloutConfig, device: &Device) -> Result<RewardBatch> {
        let rows: Vec<usize> = (0..experience.len()).collect();
        let all = &experience.rows;
        let layout = experience.layout(&rows);
        let (rewards, weights) = reward_table(all, config, device);
        let groups = Groups::new(&experience.group_ids(&rows));
        let batch = RewardBatch::with_rewards(rewards, weights, groups, layout.mask(device))?;
        let old = layout.tensor(all.iter().map(|row| &row.old[..]), device);
        let mut batch = if self.reference.is_some() {
            let reference = layout.tensor(all.iter().map(|row| row.reference.as_deref().unwrap_or(&[])), device);
            batch.with_logps(old, reference)?
        } else {
            batch.with_old_logps(old)?
        };
        if self.objective.needs_sum_sq_probs() {
            let squares = layout.tensor(all.iter().map(|row| &row.sum_sq_probs[..]), device);
            batch = batch.with_sum_sq_probs(squares)?;
        }
        if all.iter().any(|row| row.critic.is_some()) {
            let old = |row: &'_ Row| row.critic.as_ref().map_or(Vec::new(), |critic| critic.old.clone());
            let values: Vec<Vec<f64>> = all.iter().map(old).collect();
            batch = batch.with_values(layout.tensor(values.iter().map(Vec::as_slice), device))?;
        }
        for column in self.objective.reward_columns() {
            batch = batch.with_column(column, experience.column(&rows, column, device)?)?;
        }
        Ok(batch)
    }

    /// The objective's output on the rollouts numbered `rows`, at least one, and the number of real tokens read. With the
    /// [`RolloutTask::totals`] of an optimizer step, its losses add up over the step's parts.
    ///
    /// # Errors
    /// What the objective needs and does not get, named; a domain error naming `rows`.
    pub fn forward<C: Module + ValueModel>(
        &self,
        model: &M,
        critic: Option<&C>,
        experience: &Experience,
        rows: &[usize],
        totals: Option<&Totals>,
    ) -> Result<(RolloutOutput, usize)> {
        check_rows(experience, rows)?;
        let device = self.device;
        let sequences = experience.sequences(self.prompts, rows);
        let tokens = TokenBatch::new(&sequences, model.head().dims()[0], Padding::default(), device)?;
        let options = SelectedOptions::new().with_temperature(experience.sampling.temperature);
        let selected = score_selected(model, &tokens, &options)?;
        let layout = experience.layout(rows);
        let entropies = if self.objective.needs_entropies() { selected.entropy } else { selected.entropy.detach() };
        let values = match critic.filter(|_| self.objective.needs_values()) {
            Some(critic) => Some(layout.spread(states(critic, &tokens, &sequences, device)?, 1)),
            None => None,
        };
        let (policy, entropies) = (layout.spread(selected.logps, 0), layout.spread(entropies, 0));
        let mut batch = self.batch(experience, rows, policy, entropies, values, device)?;
        if let Some(totals) = totals {
            batch = batch.with_totals(totals.clone())?;
        }
        Ok((self.objective.forward(&batch)?, tokens.num_tokens))
    }

    /// What the means of an optimizer step over `micro_batches` are divided by. No model is run: denominators are those
    /// of masks, and where only uncertain tokens count, of the entropies at sampling.
    ///
    /// # Errors
    /// As [`RolloutTask::forward`].
    pub fn totals(&self, experience: &Experience, micro_batches: &[Vec<usize>]) -> Result<Totals> {
        let device = &self.device.clone().without_autodiff();
        let mut totals = Totals::default();
        for rows in micro_batches {
            check_rows(experience, rows)?;
            let layout = experience.layout(rows);
            let known = |column: fn(&Row) -> &[f64]| {
                layout.tensor(rows.iter().map(|row| column(&experience.rows[*row])), device)
            };
            let values = known(|row| row.critic.as_ref().map_or(&[], |critic| &critic.old));
            let (policy, entropies) = (known(|row| &row.old), known(|row| &row.entropies));
            let batch = self.batch(experience, rows, policy, entropies, Some(values), device)?;
            totals.merge(&self.objective.totals(&batch)?);
        }
        Ok(totals)
    }

    /// Some rows as the objective reads them.
    fn batch(
        &self,
        experience: &Experience,
        rows: &[usize],
        policy: Tensor<2>,
        entropies: Tensor<2>,
        values: Option<Tensor<2>>,
        device: &Device,
    ) -> Result<RolloutBatch> {
        let Experience { sampling, .. } = experience;
        let picked: Vec<&Row> = rows.iter().map(|row| &experience.rows[*row]).collect();
        let layout = experience.layout(rows);
        let known = |column: fn(&Row) -> &[f64]| layout.tensor(picked.iter().map(|row| column(row)), device);
        let policy = TokenLogps::new(policy, layout.mask(device))?;
        let mut batch = RolloutBatch::new(policy, known(|row| &row.advantages))?
            .with_old(known(|row| &row.old))?
            .with_behavior(known(|row| &row.completion.logps), sampling, sampling)?
            .with_entropies(entropies)?
            .with_groups(Groups::new(&experience.group_ids(rows)))?;
        if self.reference.is_some() {
            batch = batch.with_reference(known(|row| row.reference.as_deref().unwrap_or(&[])))?;
        }
        if let Some(values) = values.filter(|_| picked.iter().all(|row| row.has_returns())) {
            let [count, width] = layout.shape();
            let has_return = |row: &&Row| (0..width).map(|at| row.returns_at(at)).collect::<Vec<_>>();
            let mask: Vec<bool> = picked.iter().flat_map(has_return).collect();
            let mask = Tensor::from_data(TensorData::new(mask, [count, width]), device);
            let returns = known(|row| row.critic.as_ref().map_or(&[], |critic| &critic.returns));
            let old = known(|row| row.critic.as_ref().map_or(&[], |critic| &critic.old));
            batch = batch.with_critic(ValueBatch::new(values, returns, mask)?.with_old_values(old)?)?;
        }
        for column in self.objective.columns() {
            batch = batch.with_column(column, experience.column(rows, column, device)?)?;
        }
        if picked.iter().any(|row| !row.is_kept) {
            let kept: Vec<bool> = picked.iter().map(|row| row.is_kept).collect();
            batch = batch.keep_rows(Tensor::from_data(TensorData::new(kept, [rows.len()]), device))?;
        }
        Ok(batch)
    }
}

impl Row {
    /// What the loop itself knows of a column, unless the judge says otherwise.
    fn known(&self, column: Column) -> Option<f64> {
        let bit = |bit: bool| f64::from(u8::from(bit));
        match column.name {
            name if name == SUCCESS.name => self.scored.success.map(bit),
            name if name == ENDED.name => Some(bit(self.completion.stopped)),
            name if name == METRIC.name => Some(self.entropies.iter().sum::<f64>() / self.len().max(1) as f64),
            name if name == NEXT_VALUE.name => self.critic.as_ref().and_then(|critic| critic.old.last().copied()),
            name if name == GREEDY_REWARD.name => self.greedy_reward,
            _ => None,
        }
    }

    fn has_returns(&self) -> bool {
        self.critic.as_ref().is_some_and(|critic| !critic.returns.is_empty())
    }

    fn returns_at(&self, at: usize) -> bool {
        self.critic.as_ref().is_some_and(|critic| critic.has_return.get(at) == Some(&true))
    }
}

fn check_rows(experience: &Experience, rows: &[usize]) -> Result<()> {
    check_domain(!rows.is_empty(), "rows", "at least one", 0.0)?;
    let unknown = rows.iter().find(|row| **row >= experience.len());
    let got = unknown.map_or(0.0, |row| *row as f64);
    Ok(check_domain(unknown.is_none(), "rows", "numbers of the rollouts", got)?)
}

/// Rewards of rows, `[rows, rewards]`, and what each counts.
fn reward_table(rows: &[Row], config: &RolloutConfig, device: &Device) -> (Tensor<2>, Vec<f64>) {
    let functions = rows.first().map_or(1, |row| row.scored.rewards.len());
    let rewards: Vec<f32> =
        rows.iter().flat_map(|row| row.scored.rewards.iter().map(|reward| *reward as f32)).collect();
    let weights = config.reward_weights.clone().unwrap_or_else(|| vec![1.0; functions]);
    (Tensor::from_data(TensorData::new(rewards, [rows.len(), functions]), device), weights)
}

/// Whether the rewards of each row's group are all equal.
fn constant_groups(rows: &[Row], config: &RolloutConfig, device: &Device) -> Result<Vec<bool>> {
    let (rewards, weights) = reward_table(rows, config, device);
    let groups: Vec<usize> = rows.iter().map(|row| row.group).collect();
    let mask = Tensor::full([rows.len(), 1], true, device);
    let batch = RewardBatch::with_rewards(rewards, weights, Groups::new(&groups), mask)?;
    let constant = batch.stats(batch.raw_rewards())?.is_constant().int();
    let constant = constant.try_into_vec_as::<i64>().expect("the device returns what it has computed");
    Ok(constant.into_iter().map(|constant| constant != 0).collect())
}

/// The weighted sum of the rewards that are not missing; NaN where all are.
fn total_reward(scored: &Scored, weights: Option<&[f64]>) -> f64 {
    let weight = |number: usize| weights.map_or(1.0, |weights| weights[number]);
    let known = scored.rewards.iter().enumerate().filter(|(_, value)| !value.is_nan());
    known.map(|(number, value)| weight(number) * value).reduce(|a, b| a + b).unwrap_or(f64::NAN)
}

/// Adds a rollout, whether it is learned from or not, to what is reported.
fn report(means: &mut Means, row: &Row, weights: Option<&[f64]>) {
    let mut reward = |name: &str, value: f64| {
        if !value.is_nan() {
            means.add(name, value, 1.0);
        }
    };
    let rewards = &row.scored.rewards;
    if rewards.len() > 1 {
        rewards.iter().enumerate().for_each(|(number, value)| reward(&format!("reward/{number}"), *value));
    }
    reward("reward", total_reward(&row.scored, weights));
    if let Some(success) = row.scored.success {
        means.add("success", f64::from(u8::from(success)), 1.0);
    }
    means.add("response_len", row.len() as f64, 1.0);
    means.add("truncated", f64::from(u8::from(!row.completion.stopped)), 1.0);
}
