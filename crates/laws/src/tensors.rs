//! A batch as tensors, in a layout: where padding stands, what stands behind the mask, dtype and device.

use std::collections::BTreeMap;

use burn::tensor::{Bool, DType, Device, Tensor, TensorData};

use crate::{
    batch::{Batch, Item, Response},
    runner::Random,
};

/// Where a response stands in its row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Align {
    /// Tokens first, padding behind them.
    Left,
    /// Padding first, as for generation.
    Right,
}

/// What stands in the rows of a candidate that its item does not have.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Ghost {
    /// Nothing is scored.
    Empty,
    /// Every position is scored, with these log-probabilities, and every response column holds this number.
    Filled(f64),
}

/// How a batch becomes tensors.
#[derive(Debug, Clone, PartialEq)]
pub struct Layout {
    /// Padding that every row has at its start.
    pub before: usize,
    /// Padding that every row has at its end.
    pub after: usize,
    /// Positions behind every token that are not scored, as what a tool returned is.
    pub gap: usize,
    /// Where shorter responses stand.
    pub align: Align,
    /// What the policy has at positions that are not scored.
    pub policy_filler: f64,
    /// What the reference has there, and every other column of tokens.
    pub reference_filler: f64,
    /// Candidates that no item has.
    pub extra_candidates: usize,
    /// What stands in their rows and in those of shorter lists.
    pub ghost: Ghost,
    /// Of rollouts: seeds an order of the rows by chance. None: item by item.
    pub shuffle: Option<u64>,
    /// Of rollouts: seeds other ids of the groups. None: the items' indices.
    pub relabel: Option<u64>,
    /// Of rollouts: the rows of each micro-batch; see [`Tensors::parts`].
    pub parts: Vec<Vec<usize>>,
    /// The dtype of all float tensors.
    pub dtype: DType,
    /// The mean number of tokens that [`Tensors::tokens_per_item`] says, where the batch is a part of a whole.
    pub tokens_per_item: Option<f64>,
}

impl Default for Layout {
    fn default() -> Self {
        Self {
            before: 0,
            after: 0,
            gap: 0,
            align: Align::Left,
            policy_filler: 0.0,
            reference_filler: 0.0,
            extra_candidates: 0,
            ghost: Ghost::Empty,
            shuffle: None,
            relabel: None,
            parts: Vec::new(),
            dtype: DType::F64,
            tokens_per_item: None,
        }
    }
}

/// What a loss reads. Rows are response-major: all first responses, then all second ones, and so on. Of rollouts there is
/// a row for each response, in any order.
#[derive(Debug, Clone)]
pub struct Tensors {
    /// Log-probabilities under the policy, `[responses * items, seq]`.
    pub policy: Tensor<2>,
    /// Log-probabilities under the reference, of the same shape.
    pub reference: Tensor<2>,
    /// True where a token is scored, of the same shape.
    pub mask: Tensor<2, Bool>,
    /// Side information and hooks of each item, `[items]`; a hook that is not here is not in use.
    pub columns: BTreeMap<&'static str, Tensor<1>>,
    /// Side information of each response, `[responses * items]`.
    pub response_columns: BTreeMap<&'static str, Tensor<1>>,
    /// What else is known of each token, of the policy's shape; of rollouts alone.
    pub tokens: BTreeMap<&'static str, Tensor<2>>,
    /// The id of each row's group; of rollouts alone.
    pub groups: Vec<u64>,
    /// The rows of each micro-batch of the step, every row in one of them; none: the step is taken at once. Advantages are
    /// those of all rows together, and the loss is the sum of the micro-batches', each divided by what the whole step
    /// has. Of rollouts alone.
    pub parts: Vec<Vec<usize>>,
    /// True where the item has such a response, `[responses * items]`; all true but for lists.
    pub valid: Tensor<1, Bool>,
    /// Number of items.
    pub num_items: usize,
    /// Number of responses that an item has at most.
    pub num_responses: usize,
    /// Mean number of scored tokens of first responses over the counted items of the whole batch, where this one is a
    /// part of it: for losses with a mean over all tokens. None: this is the whole batch.
    pub tokens_per_item: Option<f64>,
}

/// Where the tokens of a batch stand in its tensors.
#[derive(Debug, Clone)]
pub struct Places {
    lengths: Vec<Vec<usize>>,
    /// The item of each row and the number of its response, which the item may not have.
    rows: Vec<(usize, usize)>,
    seq: usize,
    layout: Layout,
}

impl Places {
    fn new(batch: &Batch, rows: Vec<(usize, usize)>, layout: &Layout) -> Self {
        let lengths: Vec<Vec<usize>> =
            batch.items.iter().map(|item| item.responses.iter().map(Response::len).collect()).collect();
        let longest = lengths.iter().flatten().copied().max().unwrap_or(0);
        // A tensor of no column is a special case of its own, and no user's.
        let seq = (layout.before + longest * (1 + layout.gap) + layout.after).max(1);
        Self { lengths, rows, seq, layout: layout.clone() }
    }

    /// The columns of a response of `len` tokens.
    fn positions(&self, len: usize) -> impl Iterator<Item = usize> + use<> {
        let stride = 1 + self.layout.gap;
        let start = match self.layout.align {
            Align::Left => self.layout.before,
            Align::Right => self.seq.saturating_sub(self.layout.after + len * stride),
        };
        (0..len).map(move |token| start + token * stride)
    }

    /// The number of tokens of a row; none where the item has no such response.
    fn len(&self, row: usize) -> Option<usize> {
        let (item, response) = self.rows[row];
        self.lengths[item].get(response).copied()
    }

    /// What `rows` (`[rows, seq]`, flat) holds at the scored positions, by item, response and token.
    pub fn scored(&self, rows: &[f64]) -> Vec<Vec<Vec<f64>>> {
        let mut scored: Vec<Vec<Vec<f64>>> =
            self.lengths.iter().map(|lengths| vec![Vec::new(); lengths.len()]).collect();
        for (row, &(item, response)) in self.rows.iter().enumerate() {
            let Some(len) = self.len(row) else { continue };
            scored[item][response] = self.positions(len).map(|position| rows[row * self.seq + position]).collect();
        }
        scored
    }

    /// The row of each response, item by item.
    pub(crate) fn by_item(&self) -> Vec<i64> {
        let mut rows: Vec<usize> = (0..self.rows.len()).collect();
        rows.sort_by_key(|&row| self.rows[row]);
        rows.into_iter().map(|row| row as i64).collect()
    }

    /// What `rows` holds at all other positions.
    pub fn behind_the_mask(&self, rows: &[f64]) -> Vec<f64> {
        let scored = |index: usize| {
            let (row, column) = (index / self.seq, index % self.seq);
            self.len(row).is_some_and(|len| self.positions(len).any(|position| position == column))
        };
        rows.iter().enumerate().filter(|(index, _)| !scored(*index)).map(|(_, value)| *value).collect()
    }
}

impl Batch {
    /// The batch as tensors on `device`, for items of at most `num_responses` responses, and where its tokens stand.
    pub fn tensors(&self, num_responses: usize, layout: &Layout, device: &Device) -> (Tensors, Places) {
        let longest = self.items.iter().map(|item| item.responses.len()).max().unwrap_or(0);
        let num_responses = num_responses.max(longest) + layout.extra_candidates;
        let rows = |number| (0..self.items.len()).map(move |index| (index, number));
        self.build((0..num_responses).flat_map(rows).collect(), num_responses, layout, device)
    }

    /// The batch as tensors with a row for each response, which belongs to the group that its item is.
    pub fn rollouts(&self, layout: &Layout, device: &Device) -> (Tensors, Places) {
        let rows = |(index, item): (usize, &Item)| (0..item.responses.len()).map(move |number| (index, number));
        let mut rows: Vec<(usize, usize)> = self.items.iter().enumerate().flat_map(rows).collect();
        if let Some(seed) = layout.shuffle {
            rows = Random::new(seed).permutation(rows.len()).into_iter().map(|row| rows[row]).collect();
        }
        let mut ids: Vec<u64> = (0..self.items.len() as u64).collect();
        if let Some(seed) = layout.relabel {
            // No two of a run's first outputs are equal: each is a bijection of a counter.
            let mut random = Random::new(seed);
            ids.iter_mut().for_each(|id| *id = random.next());
        }
        let groups = rows.iter().map(|(item, _)| ids[*item]).collect();
        let longest = self.items.iter().map(|item| item.responses.len()).max().unwrap_or(0);
        let (tensors, places) = self.build(rows, longest, layout, device);
        (Tensors { groups, parts: layout.parts.clone(), ..tensors }, places)
    }

    fn build(
        &self,
        rows: Vec<(usize, usize)>,
        num_responses: usize,
        layout: &Layout,
        device: &Device,
    ) -> (Tensors, Places) {
        let places = Places::new(self, rows, layout);
        let rows = places.rows.len();
        let response_at = |row: usize| self.items[places.rows[row].0].responses.get(places.rows[row].1);
        let names = || self.items.iter().flat_map(|item| &item.responses).next();
        let token_names = names().map(|response| response.tokens.keys().copied()).into_iter().flatten();
        let mut builder = Builder::new(rows, places.seq, token_names, layout);
        (0..rows).for_each(|row| builder.fill(row, response_at(row), &places));
        let options = || (device, layout.dtype);
        let matrix = |values: Vec<f64>| Tensor::from_data(TensorData::new(values, [rows, places.seq]), options());
        let vector = |values: Vec<f64>| {
            let len = values.len();
            Tensor::<1>::from_data(TensorData::new(values, [len]), options())
        };
        let response_columns = names().map(|response| {
            let value = |row, name| match (response_at(row), layout.ghost) {
                (Some(response), _) => response.columns[name],
                (None, Ghost::Filled(value)) => value,
                (None, Ghost::Empty) => 0.0,
            };
            let column = |name| (0..rows).map(|row| value(row, name)).collect();
            response.columns.keys().map(|&name| (name, vector(column(name)))).collect()
        });
        let columns = self.items.first().map(|item| {
            let column = |name| self.items.iter().map(|item: &Item| item.columns[name]).collect();
            item.columns.keys().map(|&name| (name, vector(column(name)))).collect()
        });
        let tensors = Tensors {
            tokens: builder.tokens.into_iter().map(|(name, values)| (name, matrix(values))).collect(),
            groups: Vec::new(),
            parts: Vec::new(),
            policy: matrix(builder.policy),
            reference: matrix(builder.reference),
            mask: Tensor::from_bool(TensorData::new(builder.mask, [rows, places.seq]), device),
            columns: columns.unwrap_or_default(),
            response_columns: response_columns.unwrap_or_default(),
            valid: Tensor::from_bool(TensorData::new(builder.valid, [rows]), device),
            num_items: self.items.len(),
            num_responses,
            tokens_per_item: layout.tokens_per_item,
        };
        (tensors, places)
    }
}

/// The values of the tensors while they are collected, row by row.
struct Builder<'a> {
    policy: Vec<f64>,
    reference: Vec<f64>,
    tokens: BTreeMap<&'static str, Vec<f64>>,
    mask: Vec<bool>,
    valid: Vec<bool>,
    seq: usize,
    layout: &'a Layout,
}

impl<'a> Builder<'a> {
    fn new(rows: usize, seq: usize, tokens: impl Iterator<Item = &'static str>, layout: &'a Layout) -> Self {
        Self {
            tokens: tokens.map(|name| (name, vec![layout.reference_filler; rows * seq])).collect(),
            policy: vec![layout.policy_filler; rows * seq],
            reference: vec![layout.reference_filler; rows * seq],
            mask: vec![false; rows * seq],
            valid: vec![false; rows],
            seq,
            layout,
        }
    }

    fn fill(&mut self, row: usize, response: Option<&Response>, places: &Places) {
        self.valid[row] = response.is_some();
        let from = row * self.seq;
        match (response, self.layout.ghost) {
            (Some(response), _) => {
                for (token, position) in places.positions(response.len()).enumerate() {
                    self.policy[from + position] = response.policy[token];
                    self.reference[from + position] = response.reference[token];
                    self.tokens.iter_mut().for_each(|(name, row)| row[from + position] = response.tokens[name][token]);
                    self.mask[from + position] = true;
                }
            }
            (None, Ghost::Filled(value)) => {
                let range = from..from + self.seq;
                self.policy[range.clone()].fill(value);
                self.reference[range.clone()].fill(value);
                self.mask[range].fill(true);
            }
            (None, Ghost::Empty) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_response_major_and_padding_stands_where_the_layout_says() {
        let response = |policy: &[f64]| Response {
            policy: policy.to_vec(),
            reference: policy.iter().map(|value| value - 1.0).collect(),
            ..Default::default()
        };
        let item = |a: &[f64], b: &[f64]| Item { responses: vec![response(a), response(b)], ..Default::default() };
        let batch = Batch { items: vec![item(&[-1.0, -2.0], &[-3.0]), item(&[], &[-4.0, -5.0])] };
        let layout = Layout { before: 1, align: Align::Right, policy_filler: 9.0, ..Layout::default() };
        let (tensors, places) = batch.tensors(2, &layout, &Device::flex());
        let rows = tensors.policy.try_to_vec_as::<f64>().unwrap();
        assert_eq!(rows, [9.0, -1.0, -2.0, 9.0, 9.0, 9.0, 9.0, 9.0, -3.0, 9.0, -4.0, -5.0]);
        assert_eq!(places.scored(&rows), [[vec![-1.0, -2.0], vec![-3.0]], [vec![], vec![-4.0, -5.0]]]);
        assert_eq!(places.behind_the_mask(&rows), [9.0; 7]);
        let mask: Vec<bool> = tensors.mask.try_to_vec_as::<bool>().unwrap();
        assert_eq!(mask.iter().filter(|kept| **kept).count(), 5);
        let left = Layout { after: 1, ..Layout::default() };
        let (tensors, places) = batch.tensors(2, &left, &Device::flex());
        let rows = tensors.policy.try_to_vec_as::<f64>().unwrap();
        assert_eq!(rows[..3], [-1.0, -2.0, 0.0]);
        assert_eq!(places.scored(&rows)[1][1], [-4.0, -5.0]);
        let gaps = Layout { gap: 1, ..Layout::default() };
        let (tensors, places) = batch.tensors(2, &gaps, &Device::flex());
        let rows = tensors.policy.try_to_vec_as::<f64>().unwrap();
        assert_eq!(rows[..4], [-1.0, 0.0, -2.0, 0.0]);
        assert_eq!(places.scored(&rows)[0][0], [-1.0, -2.0]);
    }

    #[test]
    fn rollouts_have_a_row_for_each_response_and_an_id_for_each_item() {
        let response = |policy: &[f64]| Response {
            policy: policy.to_vec(),
            reference: policy.to_vec(),
            tokens: BTreeMap::from([("old", policy.iter().map(|value| value - 0.5).collect())]),
            columns: BTreeMap::from([("rewards", policy.iter().sum())]),
        };
        let item =
            |rows: &[&[f64]]| Item { responses: rows.iter().map(|row| response(row)).collect(), ..Item::default() };
        let batch = Batch { items: vec![item(&[&[-1.0, -2.0], &[-3.0], &[-4.0]]), item(&[&[-5.0]])] };
        let host = |tensor: &Tensor<2>| tensor.try_to_vec_as::<f64>().unwrap();
        let (tensors, places) = batch.rollouts(&Layout::default(), &Device::flex());
        assert_eq!((tensors.groups, places.by_item()), (vec![0, 0, 0, 1], vec![0, 1, 2, 3]));
        assert_eq!(host(&tensors.policy), [-1.0, -2.0, -3.0, 0.0, -4.0, 0.0, -5.0, 0.0]);
        assert_eq!(host(&tensors.tokens["old"]), [-1.5, -2.5, -3.5, 0.0, -4.5, 0.0, -5.5, 0.0]);
        // In another order and under other ids, the same responses of the same groups.
        let layout = Layout { shuffle: Some(3), relabel: Some(8), ..Layout::default() };
        let (shuffled, elsewhere) = batch.rollouts(&layout, &Device::flex());
        let rewards = shuffled.response_columns["rewards"].try_to_vec_as::<f64>().unwrap();
        let rows = elsewhere.by_item();
        let by_item: Vec<f64> = rows.iter().map(|row| rewards[*row as usize]).collect();
        assert_ne!(rows, [0, 1, 2, 3]);
        assert_eq!(by_item, [-3.0, -3.0, -4.0, -5.0]);
        assert_eq!(elsewhere.scored(&host(&shuffled.policy)), places.scored(&host(&tensors.policy)));
        let ids: Vec<u64> = rows.iter().map(|row| shuffled.groups[*row as usize]).collect();
        assert!(ids[0] == ids[1] && ids[1] == ids[2] && ids[2] != ids[3], "{ids:?}");
    }
}
