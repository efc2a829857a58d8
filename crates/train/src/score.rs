//! Log-probabilities of token batches under a model.

use accordant_data::collate::TokenBatch;
use accordant_lm::CausalLm;
use accordant_ops::{
    TokenLogps,
    selected::{SelectedLogps, SelectedOptions, selected_logps},
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
    Ok(batch.token_logps(score_selected(model, batch, &SelectedOptions::new())?.logps)?)
}

/// What is known of the prediction of each scored token, of which there is at least one; `[num_scored]`, row by row.
pub(crate) fn score_selected<M: CausalLm>(
    model: &M,
    batch: &TokenBatch,
    options: &SelectedOptions,
) -> Result<SelectedLogps> {
    let hidden = model.hidden(batch.ids.clone(), batch.attention_mask.clone())?;
    let [rows, seq, width] = hidden.dims();
    let predicting = hidden.reshape([rows * seq, width]).select(0, batch.sources.clone());
    Ok(selected_logps(predicting, model.head(), None, &batch.targets, options)?)
}
