//! Any objective on pairs.

use std::hash::{DefaultHasher, Hash, Hasher};

use accordant_data::{
    collate::{Padding, TokenBatch},
    tokens::TokenPair,
};
use accordant_lm::CausalLm;
use accordant_objectives::pairwise::{PairBatch, PairLogps, PairOutput, PairwiseObjective};
use accordant_ops::{SequenceLogps, check_domain};
use burn::{
    module::Module,
    tensor::{Device, Tensor},
};

use crate::{
    Error, Observer, Result, TrainConfig,
    score::score,
    step::{Micro, Records, run_steps},
};

/// Summed log-probabilities and token counts of pairs under one model, on the host: what evaluation reads, and what
/// training reads of the reference.
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
    fingerprint: u64,
}

impl PairLogpsCache {
    /// Refuses to serve other pairs than those it was computed for.
    fn check(&self, name: &'static str, pairs: &[TokenPair]) -> Result<()> {
        let expected = fingerprint(pairs);
        if self.fingerprint == expected {
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

fn fingerprint(pairs: &[TokenPair]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for pair in pairs {
        (&pair.prompt, &pair.chosen, &pair.rejected).hash(&mut hasher);
    }
    hasher.finish()
}

fn vector(values: impl Iterator<Item = f64>, device: &Device) -> Tensor<1> {
    let values: Vec<f32> = values.map(|value| value as f32).collect();
    Tensor::from_floats(values.as_slice(), device)
}

/// Log-probabilities of every pair under `model`, `batch_size` pairs at a time.
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
    check_domain(batch_size > 0, "batch_size", "at least 1", 0.0)?;
    let vocab_size = model.head().dims()[0];
    let mut cache = PairLogpsCache {
        chosen: vec![0.0; pairs.len()],
        rejected: vec![0.0; pairs.len()],
        chosen_counts: vec![0.0; pairs.len()],
        rejected_counts: vec![0.0; pairs.len()],
        fingerprint: fingerprint(pairs),
    };
    let mut order: Vec<usize> = (0..pairs.len()).collect();
    order.sort_by_key(|index| row_len(&pairs[*index]));
    for rows in order.chunks(batch_size) {
        let batch = TokenBatch::of_pairs(rows.iter().map(|row| &pairs[*row]), vocab_size, Padding::default(), device)?;
        let logps = score(model, &batch)?.sequence();
        let host =
            |tensor: Tensor<1>| tensor.try_into_vec_as::<f64>().expect("the device returns what it has computed");
        let (sums, counts) = (host(logps.sum), host(logps.count));
        for (place, &row) in rows.iter().enumerate() {
            (cache.chosen[row], cache.rejected[row]) = (sums[place], sums[rows.len() + place]);
            (cache.chosen_counts[row], cache.rejected_counts[row]) = (counts[place], counts[rows.len() + place]);
        }
    }
    Ok(cache)
}

/// Either all pairs have a margin or none has.
fn check_margins<'a>(mut pairs: impl Iterator<Item = &'a TokenPair>) -> Result<()> {
    let Some(first) = pairs.next() else { return Ok(()) };
    match pairs.find(|pair| pair.margin.is_some() != first.margin.is_some()) {
        Some(pair) => Err(Error::MarginMixed { id: pair.id.clone(), has: pair.margin.is_some() }),
        None => Ok(()),
    }
}

fn row_len(pair: &TokenPair) -> usize {
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

impl PairTask<'_> {
    /// The objective's output on the pairs numbered `rows`, and the number of real tokens read.
    ///
    /// # Errors
    /// Token ids outside the vocabulary; side information or a reference that the objective needs and does not get.
    pub fn forward<M: CausalLm>(&self, model: &M, rows: &[usize], padding: Padding) -> Result<(PairOutput, usize)> {
        let Self { pairs, device, .. } = *self;
        if let Some(row) = rows.iter().find(|row| **row >= pairs.len()) {
            check_domain(false, "rows", "numbers of the task's pairs", *row as f64)?;
        }
        if let Some(reference) = self.reference
            && reference.chosen.len() != pairs.len()
        {
            reference.check("reference", pairs)?;
        }
        let picked = || rows.iter().map(|row| &pairs[*row]);
        let tokens = TokenBatch::of_pairs(picked(), model.head().dims()[0], padding, device)?;
        let policy = PairLogps::from_stacked_tokens(&score(model, &tokens)?)?;
        let mut batch = PairBatch::new(policy).with_weights(vector(picked().map(|pair| pair.weight), device))?;
        if let Some(reference) = self.reference.filter(|_| self.objective.needs_reference()) {
            batch = batch.with_reference(reference.select(rows, device)?)?;
        }
        if picked().any(|pair| pair.label_prob.is_some()) {
            batch = batch.with_label_probs(vector(picked().map(|pair| pair.label_prob.unwrap_or(1.0)), device))?;
        }
        if picked().any(|pair| pair.margin.is_some()) {
            check_margins(picked())?;
            batch = batch.with_margins(vector(picked().filter_map(|pair| pair.margin), device))?;
        }
        Ok((self.objective.forward(&batch)?, tokens.num_tokens))
    }

    fn check(&self) -> Result<()> {
        if self.pairs.is_empty() {
            return Err(Error::NoRecords { name: "pairs" });
        }
        check_margins(self.pairs.iter())?;
        for pair in self.pairs {
            let (weight, margin, p) = (pair.weight, pair.margin.unwrap_or(0.0), pair.label_prob.unwrap_or(1.0));
            check_domain(weight.is_finite() && weight >= 0.0, "weight", "finite and >= 0", weight)?;
            check_domain(margin.is_finite(), "margin", "finite", margin)?;
            check_domain((0.0..=1.0).contains(&p), "label_prob", "in [0, 1]", p)?;
        }
        match self.reference {
            _ if !self.objective.needs_reference() => Ok(()),
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
/// [`Error::MarginMixed`], [`Error::NotAutodiff`], domain errors of `config` and of the pairs' weights, margins and label
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
    run_steps(model, &records, config, task.phase, observer, |model, rows| {
        let (output, tokens) = task.forward(model, rows, Padding::default())?;
        Ok(Micro { reduced: output.reduce()?, means: output.means(), tokens })
    })
}
