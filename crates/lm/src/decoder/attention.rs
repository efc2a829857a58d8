//! Grouped-query attention with rotary positions and a key-value cache.

use burn::{
    module::Module,
    nn::Linear,
    tensor::{Bool, Int, Tensor, module::attention, ops::AttentionModuleOptions},
};

/// Keys and values of the tokens read so far, `[batch, kv_heads, len, head_dim]` each, rotated where they stand.
#[derive(Debug, Clone, Default)]
pub struct KeyValues(Option<(Tensor<4>, Tensor<4>)>);

impl KeyValues {
    /// The number of tokens.
    pub fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |(keys, _)| keys.dims()[2])
    }

    /// Whether no token was read yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets all rows but these.
    pub(super) fn keep_rows(&mut self, rows: &Tensor<1, Int>) {
        self.0 = self.0.take().map(|(keys, values)| (keys.select(0, rows.clone()), values.select(0, rows.clone())));
    }

    /// Adds tokens and returns all there are.
    fn push(&mut self, keys: Tensor<4>, values: Tensor<4>) -> (Tensor<4>, Tensor<4>) {
        let all = match self.0.take() {
            Some((old_keys, old_values)) => {
                (Tensor::cat(vec![old_keys, keys], 2), Tensor::cat(vec![old_values, values], 2))
            }
            None => (keys, values),
        };
        self.0.insert(all).clone()
    }
}

/// Rotary position embedding of one batch (RoFormer, 2104.09864), in the half-split layout of Hugging Face checkpoints:
/// coordinate `i` turns with coordinate `i + head_dim/2`. Computed once and shared by all layers.
#[derive(Debug, Clone)]
pub struct Rotation {
    cos: Tensor<4>,
    sin: Tensor<4>,
}

impl Rotation {
    /// For tokens at `positions`, `[batch, seq]`, by angles `position · theta^(-2i/head_dim)`.
    pub fn new(positions: Tensor<2, Int>, head_dim: usize, theta: f64) -> Self {
        let frequencies: Vec<f32> =
            (0..head_dim / 2).map(|i| theta.powf(-2.0 * i as f64 / head_dim as f64) as f32).collect();
        let frequencies = Tensor::<1>::from_floats(frequencies.as_slice(), &positions.device());
        let angles = positions.float().unsqueeze_dim::<3>(2) * frequencies.unsqueeze::<3>();
        let angles = angles.unsqueeze_dim::<4>(1); // [batch, 1, seq, head_dim/2]
        Self { cos: angles.clone().cos(), sin: angles.sin() }
    }

    pub(super) fn apply(&self, x: Tensor<4>) -> Tensor<4> {
        let half = x.dims()[3] / 2;
        let (a, b) = (x.clone().narrow(3, 0, half), x.narrow(3, half, half));
        let turned_a = a.clone() * self.cos.clone() - b.clone() * self.sin.clone();
        let turned_b = b * self.cos.clone() + a * self.sin.clone();
        Tensor::cat(vec![turned_a, turned_b], 3)
    }
}

/// True where a query must not look: at later tokens and at padding. `[batch, 1, new, old + new]`.
pub(super) fn hidden_keys(mask: Tensor<2, Bool>, old: usize, new: usize) -> Tensor<4, Bool> {
    let [batch, total] = mask.dims();
    let device = mask.device();
    let query = Tensor::<1, Int>::arange(old as i64..total as i64, &device).unsqueeze_dim::<2>(1).expand([new, total]);
    let key = Tensor::<1, Int>::arange(0..total as i64, &device).unsqueeze_dim::<2>(0).expand([new, total]);
    let later = key.greater(query).unsqueeze_dim::<3>(0).expand([batch, new, total]);
    let padding = mask.bool_not().unsqueeze_dim::<3>(1).expand([batch, new, total]);
    later.bool_or(padding).unsqueeze_dim(1)
}

/// Attention in which `num_heads / num_kv_heads` query heads share a key and value head (2305.13245).
#[derive(Module, Debug)]
pub struct Attention {
    pub(super) query: Linear,
    pub(super) key: Linear,
    pub(super) value: Linear,
    pub(super) output: Linear,
    pub(super) num_heads: usize,
    pub(super) num_kv_heads: usize,
}

impl Attention {
    pub(super) fn forward(
        &self,
        x: Tensor<3>,
        rotation: &Rotation,
        hidden_keys: &Tensor<4, Bool>,
        seen: &mut KeyValues,
    ) -> Tensor<3> {
        let [batch, seq, width] = x.dims();
        let heads = |x: Tensor<3>, count: usize| {
            let head_dim = x.dims()[2] / count;
            x.reshape([batch, seq, count, head_dim]).swap_dims(1, 2)
        };
        let query = rotation.apply(heads(self.query.forward(x.clone()), self.num_heads));
        let key = rotation.apply(heads(self.key.forward(x.clone()), self.num_kv_heads));
        let value = heads(self.value.forward(x), self.num_kv_heads);
        let (keys, values) = seen.push(key, value);
        let total = keys.dims()[2];
        let mask = hidden_keys.clone().expand([batch, self.num_heads, seq, total]);
        let options = AttentionModuleOptions::default();
        let mixed = attention(query, self.spread(keys), self.spread(values), Some(mask), None, options);
        self.output.forward(mixed.swap_dims(1, 2).reshape([batch, seq, width]))
    }

    /// Repeats each key or value head for the query heads of its group.
    fn spread(&self, x: Tensor<4>) -> Tensor<4> {
        let group = self.num_heads / self.num_kv_heads;
        if group == 1 {
            return x;
        }
        let [batch, kv_heads, len, head_dim] = x.dims();
        x.unsqueeze_dim::<5>(2).expand([batch, kv_heads, group, len, head_dim]).reshape([
            batch,
            kv_heads * group,
            len,
            head_dim,
        ])
    }
}
