//! Decoder language models on burn.
//!
//! | module | what it holds |
//! |---|---|
//! | [`decoder`] | a small decoder (RMSNorm, RoPE, grouped-query attention, SwiGLU, tied head), seeded |
//! | [`generate`] | batched sampling with a KV cache and one random stream for each row |
//! | [`reward_head`] | rewards of whole responses, for reward models |
//! | [`value_head`] | values of states, for actor-critic methods |
//!
//! [`CausalLm`] is all that a trainer needs of a model: hidden states, and the weight of the output head. Any burn module
//! can implement it. A model never returns logits for a whole batch: `accordant-ops` turns the hidden states that are
//! scored into log-probabilities. [`CachedLm`] is what generation needs on top.
//!
//! Start with [`decoder::DecoderConfig`].

use accordant_ops::check_shape;
use burn::tensor::{Bool, Int, Tensor};

pub mod decoder;
pub mod error;
pub mod generate;
pub mod reward_head;
pub mod value_head;

pub use error::{Error, Result};

/// Random streams of a seed, apart from one another and from those of `accordant-data`, which start at 1 << 32: the
/// initial weights', and the first of as many as there are rows to sample.
const INIT_STREAM: u64 = 1 << 48;
const SAMPLE_STREAM: u64 = 2 << 48;
/// Those of a value head's initial weights.
const HEAD_STREAM: u64 = 3 << 48;
/// Those of a reward head's.
const REWARD_STREAM: u64 = 4 << 48;

/// A causal language model, as a trainer sees it.
pub trait CausalLm {
    /// Final hidden states `[batch, seq, hidden]`; the one at position `t` predicts token `t + 1`.
    ///
    /// `ids` and `attention_mask` are `[batch, seq]`; the mask is true on real tokens, which padding on either side
    /// leaves contiguous. What is returned at padding is finite and means nothing.
    ///
    /// # Errors
    /// A shape error when the two differ in shape.
    fn hidden(&self, ids: Tensor<2, Int>, attention_mask: Tensor<2, Bool>) -> Result<Tensor<3>>;

    /// Weight of the output head, `[vocab, hidden]`.
    fn head(&self) -> Tensor<2>;
}

/// A causal language model that can go on from where it stopped.
pub trait CachedLm: CausalLm {
    /// Keys and values of what was read so far.
    type Cache;

    /// A cache of nothing.
    fn empty_cache(&self) -> Self::Cache;

    /// [`CausalLm::hidden`] of the next `ids`, `[batch, new]`, after what `cache` holds; `attention_mask`,
    /// `[batch, old + new]`, covers both.
    ///
    /// # Errors
    /// A shape error when the mask does not cover cache and ids.
    fn hidden_cached(
        &self,
        ids: Tensor<2, Int>,
        attention_mask: Tensor<2, Bool>,
        cache: &mut Self::Cache,
    ) -> Result<Tensor<3>>;

    /// Forgets all rows of `cache` but those numbered `rows`, in that order: generation goes on without the rows that
    /// have ended. `rows` is not empty.
    fn keep_rows(&self, cache: &mut Self::Cache, rows: &Tensor<1, Int>);
}

/// Position of each token among the real tokens of its row, from 0; 0 on padding before the first. `[batch, seq]`.
///
/// # Example
/// ```
/// use accordant_lm::positions;
/// use burn::tensor::{Device, Tensor, TensorData};
/// let mask = Tensor::from_bool(TensorData::from([[false, true, true]]), &Device::flex());
/// assert_eq!(positions(mask).try_to_vec_as::<i64>().unwrap(), [0, 0, 1]);
/// ```
pub fn positions(attention_mask: Tensor<2, Bool>) -> Tensor<2, Int> {
    attention_mask.int().cumsum(1).sub_scalar(1).clamp_min(0)
}

/// Checks that `mask` covers `old` cached and the new `ids`.
fn check_mask(ids: &Tensor<2, Int>, mask: &Tensor<2, Bool>, old: usize) -> Result<()> {
    let [batch, new] = ids.dims();
    Ok(check_shape("attention_mask", &[batch, old + new], &mask.dims())?)
}
