//! Supervised fine-tuning: raise the likelihood of the chosen responses.

use accordant_data::{
    collate::{Padding, Sequence, TokenBatch},
    tokens::TokenPair,
};
use accordant_lm::CausalLm;
use accordant_ops::{Aggregation, EmptyRows, Means, reduce::reduce_tokens};
use burn::{module::Module, tensor::Device};

use crate::{
    Error, Observer, Result, TrainConfig,
    score::score,
    step::{Loop, Micro, Records, run_steps},
};

/// Trains on the chosen responses of `pairs`, each response's tokens given its prompt; the loss is the mean over tokens.
///
/// Weights are not read: every chosen token counts the same. `model` must live on an autodiff device, `device`. Reports the mean `loss` (nats a token) under the phase `sft`.
///
/// # Errors
/// [`Error::NoRecords`], [`Error::NotAutodiff`], domain errors of `config`, token ids outside the vocabulary, and [`Error::NotFinite`] before a
/// step that would spoil the parameters.
pub fn train_sft<M: Module + CausalLm>(
    model: M,
    pairs: &[TokenPair],
    config: &TrainConfig,
    device: &Device,
    observer: &mut dyn Observer,
) -> Result<M> {
    if pairs.is_empty() {
        return Err(Error::NoRecords { name: "pairs" });
    }
    let lens = pairs.iter().map(|pair| pair.prompt.len() + pair.chosen.len()).collect();
    let records = Records { lens, id: &|index| pairs[index].id.clone() };
    run_steps(model, &records, config, "sft", observer, SftLoop { pairs, device })
}

struct SftLoop<'a> {
    pairs: &'a [TokenPair],
    device: &'a Device,
}

impl<M: CausalLm> Loop<M> for SftLoop<'_> {
    fn forward(&mut self, model: &M, rows: &[usize]) -> Result<Micro> {
        let sequence =
            |row: &usize| Sequence { prompt: &self.pairs[*row].prompt, completion: &self.pairs[*row].chosen };
        let sequences: Vec<_> = rows.iter().map(sequence).collect();
        let batch = TokenBatch::new(&sequences, model.head().dims()[0], Padding::default(), self.device)?;
        let scored = score(model, &batch)?;
        let reduced = reduce_tokens(-scored.logps, scored.mask, Aggregation::TokenMean, EmptyRows::Skip)?;
        let mut means = Means::default();
        means.add("loss", reduced.numerator.clone().into_scalar::<f64>(), batch.num_scored as f64);
        Ok(Micro { reduced, means, tokens: batch.num_tokens })
    }
}
