//! Supervised fine-tuning: raise the likelihood of the chosen responses.

use accordant_data::{
    collate::{Padding, Sequence, TokenBatch},
    order::epoch_order,
    tokens::TokenPair,
};
use accordant_lm::CausalLm;
use accordant_ops::{Aggregation, EmptyRows, Means, reduce::reduce_tokens};
use burn::{module::Module, tensor::Device};

use crate::{
    Error, Observer, Result, StepReport, TrainConfig,
    score::score,
    step::{Accumulation, adamw},
};

/// Which records a step visits.
pub(crate) struct Visits {
    len: usize,
    seed: u64,
    order: Vec<usize>,
    epoch: u32,
}

impl Visits {
    pub(crate) fn new(len: usize, seed: u64) -> Self {
        Self { len, seed, order: Vec::new(), epoch: 0 }
    }

    /// The next `count` records; a new epoch begins wherever one ends.
    pub(crate) fn next(&mut self, count: usize) -> Vec<usize> {
        let mut taken = Vec::with_capacity(count);
        while taken.len() < count {
            if self.order.is_empty() {
                self.order = epoch_order(self.len, self.seed, self.epoch);
                self.order.reverse();
                self.epoch += 1;
            }
            let wanted = count - taken.len();
            taken.extend((0..wanted).map_while(|_| self.order.pop()));
        }
        taken
    }
}

/// Trains on the chosen responses of `pairs`, each response's tokens given its prompt; the loss is the mean over tokens.
///
/// `model` must live on an autodiff device, `device`. Reports the means `loss` (nats a token) under the phase `sft`.
///
/// # Errors
/// [`Error::NoRecords`], domain errors of `config`, token ids outside the vocabulary, and [`Error::NotFinite`] before a
/// step that would spoil the parameters.
pub fn train_sft<M: Module + CausalLm>(
    mut model: M,
    pairs: &[TokenPair],
    config: &TrainConfig,
    device: &Device,
    observer: &mut dyn Observer,
) -> Result<M> {
    config.validate()?;
    if pairs.is_empty() {
        return Err(Error::NoRecords { name: "pairs" });
    }
    let vocab_size = model.head().dims()[0];
    let mut optimizer = adamw(config.weight_decay);
    let mut visits = Visits::new(pairs.len(), config.seed);
    for step in 0..config.steps {
        let mut batch = visits.next(config.batch_size);
        // Rows of like length waste little padding, and the order within a step does not matter.
        batch.sort_by_key(|index| pairs[*index].prompt.len() + pairs[*index].chosen.len());
        let mut accumulation = Accumulation::default();
        let mut means = Means::default();
        let mut tokens = 0;
        for micro in batch.chunks(config.micro_batch_size) {
            let rows: Vec<_> = micro
                .iter()
                .map(|index| Sequence { prompt: &pairs[*index].prompt, completion: &pairs[*index].chosen })
                .collect();
            let rows = TokenBatch::new(&rows, vocab_size, Padding::default(), device)?;
            tokens += rows.num_tokens;
            let scored = score(&model, &rows)?;
            let reduced = reduce_tokens(-scored.logps, scored.mask, Aggregation::TokenMean, EmptyRows::Skip)?;
            accumulation.add(&model, &reduced);
            means.add("tokens/scored", rows.num_scored as f64, 1.0);
        }
        let gradient = accumulation
            .finish(&model, config.max_grad_norm)
            .check(step, || batch.iter().map(|index| pairs[*index].id.clone()).collect())?;
        means.add("loss", gradient.loss, 1.0);
        model = optimizer.step(config.rate(step), model, gradient.gradients);
        observer.step(&StepReport {
            phase: "sft",
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_epoch_visits_every_record_once() {
        let mut visits = Visits::new(5, 3);
        let mut seen: Vec<usize> = (0..5).flat_map(|_| visits.next(3)).collect();
        assert_eq!(seen.len(), 15);
        for epoch in seen.chunks_mut(5) {
            epoch.sort_unstable();
            assert_eq!(epoch, [0, 1, 2, 3, 4]);
        }
    }

    #[test]
    fn a_batch_larger_than_the_data_goes_round() {
        assert_eq!(Visits::new(2, 0).next(5).len(), 5);
    }
}
