//! Log-probabilities of token batches under a model.

use accordant_data::collate::TokenBatch;
use accordant_lm::CausalLm;
use accordant_ops::{
    TokenLogps,
    selected::{SelectedOptions, selected_logps},
};
use burn::tensor::Tensor;

use crate::Result;

/// Per-token log-probabilities of the scored tokens, in nats; `[rows, seq]`.
///
/// Only the hidden states that predict a scored token meet the output head, so prompts and padding cost no logits.
/// Without a scored token the model is not run, and what comes back carries no gradient.
///
/// # Errors
/// Those of the model.
pub fn score<M: CausalLm>(model: &M, batch: &TokenBatch) -> Result<TokenLogps> {
    if batch.num_scored == 0 {
        // Nothing to run a model for, and perhaps no token to run it on.
        let head = model.head();
        return Ok(batch.token_logps(Tensor::zeros([0], (&head.device(), head.dtype())))?);
    }
    let hidden = model.hidden(batch.ids.clone(), batch.attention_mask.clone())?;
    let [rows, seq, width] = hidden.dims();
    let predicting = hidden.reshape([rows * seq, width]).select(0, batch.sources.clone());
    let logps = selected_logps(predicting, model.head(), None, &batch.targets, &SelectedOptions::new())?.logps;
    Ok(batch.token_logps(logps)?)
}
