//! Any objective on pairs.

use std::hash::{DefaultHasher, Hash, Hasher};

use accordant_data::{
    collate::{Padding, TokenBatch},
    tokens::TokenPair,
};
use accordant_lm::CausalLm;
use accordant_objectives::pairwise::{PairBatch, PairLogps, PairOutput, PairwiseObjective};
use accordant_ops::{Means, SequenceLogps};
use burn::{
    module::Module,
    tensor::{Device, Tensor},
};

use crate::{
    Error, Observer, Result, StepReport, TrainConfig,
    score::score,
    sft::Visits,
    step::{Accumulation, adamw},
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
    accordant_ops::check_domain(batch_size > 0, "batch_size", "at least 1", 0.0)?;
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

fn row_len(pair: &TokenPair) -> usize {
    pair.prompt.len() + pair.chosen.len().max(pair.rejected.len())
}

/// The objective's output on some pairs, by their indices.
///
/// # Errors
/// As [`train_pairs`].
pub fn forward_pairs<M: CausalLm>(
    model: &M,
    reference: Option<&PairLogpsCache>,
    pairs: &[TokenPair],
    rows: &[usize],
    objective: &dyn PairwiseObjective,
    padding: Padding,
    device: &Device,
) -> Result<(PairOutput, usize)> {
    let picked = || rows.iter().map(|row| &pairs[*row]);
    let tokens = TokenBatch::of_pairs(picked(), model.head().dims()[0], padding, device)?;
    let policy = PairLogps::from_stacked_tokens(&score(model, &tokens)?)?;
    let mut batch = PairBatch::new(policy).with_weights(vector(picked().map(|pair| pair.weight), device))?;
    if let Some(reference) = reference {
        batch = batch.with_reference(reference.select(rows, device)?)?;
    }
    if pairs.iter().any(|pair| pair.label_prob.is_some()) {
        batch = batch.with_label_probs(vector(picked().map(|pair| pair.label_prob.unwrap_or(1.0)), device))?;
    }
    if let Some(margins) = picked().map(|pair| pair.margin).collect::<Option<Vec<f64>>>() {
        batch = batch.with_margins(vector(margins.into_iter(), device))?;
    }
    Ok((objective.forward(&batch)?, tokens.num_tokens))
}

fn check_margins(pairs: &[TokenPair]) -> Result<()> {
    let first = pairs[0].margin.is_some();
    match pairs.iter().find(|pair| pair.margin.is_some() != first) {
        Some(pair) => Err(Error::MarginMixed { id: pair.id.clone(), has: !first }),
        None => Ok(()),
    }
}

/// Trains a policy on pairs by any objective of the family.
///
/// `model` must live on an autodiff device, `device`. `reference` holds the log-probabilities of the same pairs under
/// the frozen reference, computed once by [`pair_logps`]; an objective that compares with none leaves it unread. Reports
/// the means of [`PairOutput::means`] under the phase `phase`, each step's before its update.
///
/// # Errors
/// [`Error::NoRecords`], [`Error::NoReference`], [`Error::Stale`] when the reference belongs to other pairs,
/// [`Error::MarginMixed`], domain errors of `config`, token ids outside the vocabulary, and [`Error::NotFinite`] before a
/// step that would spoil the parameters.
#[expect(clippy::too_many_arguments, reason = "each is one thing a run needs, and none goes with another")]
pub fn train_pairs<M: Module + CausalLm>(
    mut model: M,
    reference: Option<&PairLogpsCache>,
    pairs: &[TokenPair],
    objective: &dyn PairwiseObjective,
    config: &TrainConfig,
    device: &Device,
    phase: &str,
    observer: &mut dyn Observer,
) -> Result<M> {
    config.validate()?;
    if pairs.is_empty() {
        return Err(Error::NoRecords { name: "pairs" });
    }
    check_margins(pairs)?;
    let reference = match (objective.needs_reference(), reference) {
        (false, _) => None,
        (true, None) => return Err(Error::NoReference),
        (true, Some(reference)) => {
            reference.check("reference", pairs)?;
            Some(reference)
        }
    };
    let mut optimizer = adamw(config.weight_decay);
    let mut visits = Visits::new(pairs.len(), config.seed);
    for step in 0..config.steps {
        let mut batch = visits.next(config.batch_size);
        batch.sort_by_key(|index| row_len(&pairs[*index]));
        let mut accumulation = Accumulation::default();
        let mut means = Means::default();
        let mut tokens = 0;
        for micro in batch.chunks(config.micro_batch_size) {
            let (output, read) = forward_pairs(&model, reference, pairs, micro, objective, Padding::default(), device)?;
            accumulation.add(&model, &output.reduce()?);
            means.merge(&output.means());
            tokens += read;
        }
        let gradient = accumulation
            .finish(&model, config.max_grad_norm)
            .check(step, || batch.iter().map(|index| pairs[*index].id.clone()).collect())?;
        model = optimizer.step(config.rate(step), model, gradient.gradients);
        observer.step(&StepReport {
            phase,
            step,
            steps: config.steps,
            epoch: ((step + 1) * config.batch_size) as f64 / pairs.len() as f64,
            learning_rate: config.rate(step),
            grad_norm: gradient.norm,
            tokens,
            means: &means,
        })?;
    }
    Ok(model)
}
