//! Numbers and log-probabilities of records on the host, and their way to tensors: what all families' loops share.

use std::hash::{DefaultHasher, Hash, Hasher};

use accordant_data::collate::{Padding, Sequence, TokenBatch};
use accordant_lm::CausalLm;
use accordant_objectives::{Column, Domain};
use accordant_ops::{SequenceLogps, TokenLogps, check_domain};
use burn::tensor::{Device, Tensor};

use crate::{Error, Result, score::score};

/// Summed log-probabilities and token counts of responses under one model, on the host.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LogpsColumn {
    /// Sums over the scored tokens, in nats.
    pub sums: Vec<f64>,
    /// Scored tokens.
    pub counts: Vec<f64>,
}

impl LogpsColumn {
    pub(crate) fn select(&self, rows: &[usize], device: &Device) -> Result<SequenceLogps> {
        let pick = |column: &[f64]| vector(rows.iter().map(|row| column[*row]), device);
        Ok(SequenceLogps::new(pick(&self.sums), pick(&self.counts))?)
    }
}

pub(crate) fn vector(values: impl Iterator<Item = f64>, device: &Device) -> Tensor<1> {
    let values: Vec<f32> = values.map(|value| value as f32).collect();
    Tensor::from_floats(values.as_slice(), device)
}

/// Log-probabilities of the scored tokens of each sequence under `model`, `batch_size` at a time, those of like length
/// together.
///
/// # Errors
/// Token ids outside the vocabulary; a domain error when `batch_size` is 0.
pub(crate) fn token_logps<M: CausalLm>(
    model: &M,
    sequences: &[Sequence<'_>],
    batch_size: usize,
    device: &Device,
) -> Result<Vec<Vec<f64>>> {
    check_domain(batch_size > 0, "batch_size", "at least 1", 0.0)?;
    let vocab_size = model.head().dims()[0];
    let mut all = vec![Vec::new(); sequences.len()];
    let mut order: Vec<usize> = (0..sequences.len()).collect();
    order.sort_by_key(|row| sequences[*row].prompt.len() + sequences[*row].completion.len());
    for rows in order.chunks(batch_size) {
        let picked: Vec<_> = rows.iter().map(|row| sequences[*row]).collect();
        let batch = TokenBatch::new(&picked, vocab_size, Padding::default(), device)?;
        let TokenLogps { logps, mask } = score(model, &batch)?;
        let seq = logps.dims()[1];
        let logps = logps.try_into_vec_as::<f64>().expect("the device returns what it has computed");
        let mask = mask.int().try_into_vec_as::<i64>().expect("the device returns what it was given");
        for (place, &row) in rows.iter().enumerate() {
            let scored = place * seq..(place + 1) * seq;
            all[row] = scored.filter(|at| mask[*at] != 0).map(|at| logps[at]).collect();
        }
    }
    Ok(all)
}

/// [`token_logps`], summed.
pub(crate) fn sequence_logps<M: CausalLm>(
    model: &M,
    sequences: &[Sequence<'_>],
    batch_size: usize,
    device: &Device,
) -> Result<LogpsColumn> {
    let tokens = token_logps(model, sequences, batch_size, device)?;
    Ok(LogpsColumn {
        sums: tokens.iter().map(|row| row.iter().sum()).collect(),
        counts: tokens.iter().map(|row| row.len() as f64).collect(),
    })
}

/// A hash of what log-probabilities were computed for.
pub(crate) fn fingerprint<T: Hash>(records: impl Iterator<Item = T>) -> u64 {
    let mut hasher = DefaultHasher::new();
    records.for_each(|record| record.hash(&mut hasher));
    hasher.finish()
}

/// The number of tokens of a completion that are scored: one that nothing precedes is not.
pub(crate) fn num_scored(prompt: &[u32], completion_len: usize) -> usize {
    completion_len.saturating_sub(usize::from(prompt.is_empty()))
}

/// A record's number of a column.
///
/// # Errors
/// [`Error::NoSide`] naming the record; a domain error naming the column.
pub(crate) fn check_column(id: &str, column: Column, value: Option<f64>) -> Result<()> {
    let Column { name, meaning, domain } = column;
    let Some(value) = value else {
        return Err(Error::NoSide { id: id.to_owned(), name, meaning });
    };
    let holds = match domain {
        Domain::Real => value.is_finite(),
        Domain::Unit => (0.0..=1.0).contains(&value),
        Domain::Binary => value == 0.0 || value == 1.0,
        Domain::Id => value >= 0.0 && value.fract() == 0.0,
    };
    Ok(check_domain(holds, name, domain.expected(), value)?)
}

/// A record's weight and label probability.
///
/// # Errors
/// A domain error naming which.
pub(crate) fn check_weight(weight: f64, label_prob: Option<f64>) -> Result<()> {
    check_domain(weight.is_finite() && weight >= 0.0, "weight", "finite and >= 0", weight)?;
    let p = label_prob.unwrap_or(1.0);
    Ok(check_domain((0.0..=1.0).contains(&p), "label_prob", "in [0, 1]", p)?)
}

/// The records numbered `rows`, at least one.
///
/// # Errors
/// A domain error naming `rows`.
pub(crate) fn pick<'a, T>(records: &'a [T], rows: &[usize]) -> Result<Vec<&'a T>> {
    check_domain(!rows.is_empty(), "rows", "at least one", 0.0)?;
    if let Some(row) = rows.iter().find(|row| **row >= records.len()) {
        check_domain(false, "rows", "numbers of the task's records", *row as f64)?;
    }
    Ok(rows.iter().map(|row| &records[*row]).collect())
}

/// The weighted mean of `tokens` over records of weight > 0; none when nothing counts.
pub(crate) fn weighted_mean(records: impl Iterator<Item = (f64, usize)>) -> Option<f64> {
    let (mut sum, mut weights) = (0.0, 0.0);
    for (weight, tokens) in records.filter(|(weight, _)| *weight > 0.0) {
        sum += weight * tokens as f64;
        weights += weight;
    }
    (sum > 0.0).then(|| sum / weights)
}
