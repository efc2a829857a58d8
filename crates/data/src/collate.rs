//! Batches as burn tensors.
//!
//! A [`TokenBatch`] is what a model reads and what of it is scored. Which tokens are scored is known from where they
//! stand, never from their ids: padding may share its id with anything.

use accordant_ops::{TokenLogps, check_shape, selected::TokenIds};
use burn::tensor::{Bool, Device, Int, Tensor, TensorData};

pub use crate::rows::PadSide;
use crate::{
    Error, Result,
    rows::{Padded, TokenRow},
    tokens::TokenPair,
};

/// One row of a batch: a prompt that is read and a completion that is scored.
#[derive(Debug, Clone, Copy)]
pub struct Sequence<'a> {
    /// Read, not scored.
    pub prompt: &'a [u32],
    /// Read and scored, but for a first token that nothing precedes.
    pub completion: &'a [u32],
}

/// How rows are brought to one length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Padding {
    /// Where the padding goes.
    pub side: PadSide,
    /// Columns beyond the longest row.
    pub extra: usize,
}

/// The id at padding. It is neither attended to nor scored, so any id would do.
pub const PAD_ID: u32 = 0;

/// Token ids of some rows, and which of them count.
#[derive(Debug, Clone)]
pub struct TokenBatch {
    /// Token ids, `[rows, seq]`.
    pub ids: Tensor<2, Int>,
    /// True at real tokens, `[rows, seq]`.
    pub attention_mask: Tensor<2, Bool>,
    /// True at tokens that are scored, `[rows, seq]`.
    pub score_mask: Tensor<2, Bool>,
    /// Where each scored token's prediction is made, as an index into the flattened `[rows · seq]`: the token before it.
    pub sources: Tensor<1, Int>,
    /// Where each scored token stands, as an index into the same.
    pub places: Tensor<1, Int>,
    /// The id of each scored token.
    pub targets: TokenIds,
    /// The number of real tokens.
    pub num_tokens: usize,
    /// The number of scored tokens.
    pub num_scored: usize,
}

impl TokenBatch {
    /// Lays out rows on `device`.
    ///
    /// # Errors
    /// [`Error::TokenId`] naming the row and position of an id that is not below `vocab_size`.
    ///
    /// # Example
    /// ```
    /// use accordant_data::collate::{Padding, Sequence, TokenBatch};
    /// use burn::tensor::Device;
    /// let rows = [Sequence { prompt: &[1, 2, 3], completion: &[4, 5] }, Sequence { prompt: &[7, 8], completion: &[9] }];
    /// let batch = TokenBatch::new(&rows, 12, Padding::default(), &Device::flex())?;
    /// assert_eq!(batch.ids.try_to_vec_as::<i64>().unwrap(), [1, 2, 3, 4, 5, 7, 8, 9, 0, 0]);
    /// assert_eq!(batch.targets.counted().try_to_vec_as::<i64>().unwrap(), [4, 5, 9]);
    /// assert_eq!(batch.sources.try_to_vec_as::<i64>().unwrap(), [2, 3, 6]); // the positions of 3, 4 and 8
    /// # Ok::<(), accordant_data::Error>(())
    /// ```
    pub fn new(rows: &[Sequence<'_>], vocab_size: usize, padding: Padding, device: &Device) -> Result<Self> {
        let rows: Vec<_> = rows.iter().map(|row| TokenRow::of(row.prompt, row.completion)).collect();
        Self::of_rows(&rows, vocab_size, padding, device)
    }

    /// Lays out rows of which any tokens may be scored, such as two answers with a user's words between them.
    ///
    /// # Errors
    /// As [`TokenBatch::new`].
    ///
    /// # Example
    /// ```
    /// use accordant_data::{collate::{Padding, TokenBatch}, rows::TokenRow};
    /// use burn::tensor::Device;
    /// let row = TokenRow { ids: vec![1, 2, 3, 4], mask: vec![true, true, false, true] };
    /// let batch = TokenBatch::of_rows(&[row], 9, Padding::default(), &Device::flex())?;
    /// assert_eq!(batch.targets.counted().try_to_vec_as::<i64>().unwrap(), [2, 4]); // nothing predicts the first token
    /// # Ok::<(), accordant_data::Error>(())
    /// ```
    pub fn of_rows(rows: &[TokenRow], vocab_size: usize, padding: Padding, device: &Device) -> Result<Self> {
        for (number, row) in rows.iter().enumerate() {
            if let Some((position, id)) = row.ids.iter().enumerate().find(|(_, id)| **id as usize >= vocab_size) {
                return Err(Error::TokenId { row: number, position, id: *id, vocab_size });
            }
        }
        // Rows without any token are padding: backends do not take tensors without a column.
        let seq = (rows.iter().map(|row| row.ids.len()).max().unwrap_or(0) + padding.extra).max(1);
        let Padded { ids, attended, mut scored, .. } = Padded::with_len(rows, PAD_ID, padding.side, seq);
        let shape = [rows.len(), seq];
        let (mut sources, mut places, mut targets) = (Vec::new(), Vec::new(), Vec::new());
        for (place, id) in ids.iter().enumerate() {
            // Nothing predicts the first token of a row.
            scored[place] &= place % seq > 0 && attended[place - 1];
            if scored[place] {
                sources.push(place as i64 - 1);
                places.push(place as i64);
                targets.push(*id);
            }
        }
        let ints = |values: Vec<i64>| {
            let len = values.len();
            Tensor::<1, Int>::from_data(TensorData::new(values, [len]), device)
        };
        Ok(Self {
            num_tokens: attended.iter().filter(|real| **real).count(),
            num_scored: targets.len(),
            ids: Tensor::from_data(TensorData::new(ids, shape), device),
            attention_mask: Tensor::from_data(TensorData::new(attended, shape), device),
            score_mask: Tensor::from_data(TensorData::new(scored, shape), device),
            sources: ints(sources),
            places: ints(places),
            targets: TokenIds::new(&targets, None, device),
        })
    }

    /// Both members of each pair: the chosen rows first, then the rejected ones.
    ///
    /// # Errors
    /// As [`TokenBatch::new`].
    pub fn of_pairs<'a>(
        pairs: impl IntoIterator<Item = &'a TokenPair, IntoIter: Clone>,
        vocab_size: usize,
        padding: Padding,
        device: &Device,
    ) -> Result<Self> {
        let pairs = pairs.into_iter();
        let chosen = pairs.clone().map(|pair| Sequence { prompt: &pair.prompt, completion: &pair.chosen });
        let rejected = pairs.map(|pair| Sequence { prompt: &pair.prompt, completion: &pair.rejected });
        Self::new(&chosen.chain(rejected).collect::<Vec<_>>(), vocab_size, padding, device)
    }

    /// Puts the log-probabilities of the scored tokens, `[num_scored]`, where the tokens stand.
    ///
    /// # Errors
    /// A shape error when there is not one for each scored token.
    pub fn token_logps(&self, logps: Tensor<1>) -> Result<TokenLogps> {
        check_shape("logps", &[self.num_scored], &logps.dims())?;
        let [rows, seq] = self.ids.dims();
        let nothing = Tensor::<1>::zeros([rows * seq], (&logps.device(), logps.dtype()));
        if self.num_scored == 0 {
            return Ok(TokenLogps::new(nothing.reshape([rows, seq]), self.score_mask.clone())?);
        }
        let placed = nothing.select_assign(0, self.places.clone(), logps, burn::tensor::IndexingUpdateOp::Add);
        Ok(TokenLogps::new(placed.reshape([rows, seq]), self.score_mask.clone())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(prompt: &[u32], chosen: &[u32], rejected: &[u32]) -> TokenPair {
        TokenPair::new("", prompt.to_vec(), chosen.to_vec(), rejected.to_vec())
    }

    fn ints(tensor: &Tensor<2, Int>) -> Vec<i64> {
        tensor.try_to_vec_as::<i64>().unwrap()
    }

    fn bits(tensor: &Tensor<2, Bool>) -> Vec<i64> {
        ints(&tensor.clone().int())
    }

    #[test]
    fn pairs_by_hand() {
        let pairs = [pair(&[1, 2, 3], &[4, 5], &[6]), pair(&[7, 8], &[9], &[10, 11])];
        let batch = TokenBatch::of_pairs(&pairs, 12, Padding::default(), &Device::flex()).unwrap();
        assert_eq!(ints(&batch.ids), [1, 2, 3, 4, 5, 7, 8, 9, 0, 0, 1, 2, 3, 6, 0, 7, 8, 10, 11, 0]);
        assert_eq!(bits(&batch.attention_mask), [1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 1, 1, 1, 1, 0, 1, 1, 1, 1, 0]);
        assert_eq!(bits(&batch.score_mask), [0, 0, 0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 1, 0]);
        assert_eq!((batch.num_tokens, batch.num_scored), (16, 6));
    }

    #[test]
    fn left_padding_and_extra_columns_move_the_same_tokens() {
        let rows = [Sequence { prompt: &[1, 2], completion: &[3] }, Sequence { prompt: &[4], completion: &[5] }];
        let padding = Padding { side: PadSide::Left, extra: 1 };
        let batch = TokenBatch::new(&rows, 6, padding, &Device::flex()).unwrap();
        assert_eq!(ints(&batch.ids), [0, 1, 2, 3, 0, 0, 4, 5]);
        assert_eq!(bits(&batch.score_mask), [0, 0, 0, 1, 0, 0, 0, 1]);
        assert_eq!(batch.sources.try_to_vec_as::<i64>().unwrap(), [2, 6]);
    }

    #[test]
    fn log_probabilities_land_on_their_tokens() {
        let rows = [Sequence { prompt: &[1, 2], completion: &[3] }, Sequence { prompt: &[4], completion: &[5, 2] }];
        let batch = TokenBatch::new(&rows, 6, Padding::default(), &Device::flex()).unwrap();
        let logps = batch.token_logps(Tensor::from_floats([-1.0, -2.0, -4.0], &Device::flex())).unwrap();
        assert_eq!(logps.logps.try_to_vec_as::<f32>().unwrap(), [0.0, 0.0, -1.0, 0.0, -2.0, -4.0]);
        assert_eq!(logps.sequence().sum.try_to_vec_as::<f32>().unwrap(), [-1.0, -6.0]);
    }

    #[test]
    fn a_first_token_that_nothing_precedes_is_not_scored() {
        let rows = [Sequence { prompt: &[], completion: &[3, 4] }, Sequence { prompt: &[], completion: &[] }];
        let batch = TokenBatch::new(&rows, 6, Padding::default(), &Device::flex()).unwrap();
        assert_eq!(bits(&batch.score_mask), [0, 1, 0, 0]);
    }

    #[test]
    fn an_id_outside_the_vocabulary_names_row_and_position() {
        let rows = [Sequence { prompt: &[1], completion: &[2] }, Sequence { prompt: &[1], completion: &[2, 9] }];
        let error = TokenBatch::new(&rows, 9, Padding::default(), &Device::flex()).unwrap_err().to_string();
        assert_eq!(error, "row 1, position 2: token id 9 is not below the vocabulary size 9");
    }

    #[test]
    fn a_batch_without_a_scored_token_is_empty_not_a_panic() {
        let batch =
            TokenBatch::new(&[Sequence { prompt: &[1], completion: &[] }], 9, Padding::default(), &Device::flex());
        let logps = batch.unwrap().token_logps(Tensor::zeros([0], &Device::flex())).unwrap();
        assert_eq!(logps.sequence().count.try_to_vec_as::<f32>().unwrap(), [0.0]);
    }
}
