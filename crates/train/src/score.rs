//! Log-probabilities of token batches under a model.

use accordant_data::collate::TokenBatch;
use accordant_lm::CausalLm;
use accordant_ops::{
    TokenLogps,
    selected::{SelectedOptions, selected_logps},
};

use crate::Result;

/// Per-token log-probabilities of the scored tokens, in nats; `[rows, seq]`.
///
/// Only the hidden states that predict a scored token meet the output head, so prompts and padding cost no logits.
///
/// # Errors
/// Those of the model.
pub fn score<M: CausalLm>(model: &M, batch: &TokenBatch) -> Result<TokenLogps> {
    let hidden = model.hidden(batch.ids.clone(), batch.attention_mask.clone())?;
    let [rows, seq, width] = hidden.dims();
    let predicting = hidden.reshape([rows * seq, width]).select(0, batch.sources.clone());
    let logps = selected_logps(predicting, model.head(), None, &batch.targets, &SelectedOptions::new())?.logps;
    Ok(batch.token_logps(logps)?)
}
