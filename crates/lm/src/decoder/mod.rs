//! A small decoder: RMSNorm, rotary positions, grouped-query attention, SwiGLU, tied head.
//!
//! The architecture is Llama's with the head tied to the embedding. Linear layers, embedding and norms are burn's own;
//! attention and rotary positions are ours, because burn's take one range of positions for the whole batch and no cache.

use burn::{
    config::Config,
    module::{Module, Param},
    nn::{Embedding, Linear, RmsNorm},
    tensor::{Bool, Device, Int, Tensor, TensorData, activation::silu},
};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Normal};

use crate::{CachedLm, CausalLm, Error, INIT_STREAM, Result, check_mask, positions};

pub mod attention;

use attention::{Attention, KeyValues, Rotation};

/// Size and shape of a [`Decoder`].
#[derive(Config, Debug, PartialEq)]
pub struct DecoderConfig {
    /// Number of token ids.
    pub vocab_size: usize,
    /// Width of the hidden states. 64: ours, enough for the examples' synthetic world.
    #[config(default = 64)]
    pub hidden_size: usize,
    /// Number of blocks. 2: ours, as above.
    #[config(default = 2)]
    pub num_layers: usize,
    /// Number of query heads; divides `hidden_size` into heads of even width. 4: ours, as above.
    #[config(default = 4)]
    pub num_heads: usize,
    /// Number of key and value heads; divides `num_heads`. 2: ours, so that grouped queries are exercised.
    #[config(default = 2)]
    pub num_kv_heads: usize,
    /// Width of the feed-forward layer. 176: 8/3 of the hidden size, rounded up to 16, as in Llama.
    #[config(default = 176)]
    pub mlp_size: usize,
    /// Base of the rotary frequencies. 10000: RoFormer (2104.09864).
    #[config(default = 10000.0)]
    pub rope_theta: f64,
    /// Added to the mean square in each norm. 1e-5: Llama's.
    #[config(default = 1e-5)]
    pub norm_eps: f64,
    /// Standard deviation of the initial weights; those that write to the residual stream have it divided by
    /// `sqrt(2 · num_layers)`. 0.02: GPT-2's.
    #[config(default = 0.02)]
    pub init_std: f64,
}

impl DecoderConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// [`Error::Config`] or a domain error naming the field.
    pub fn validate(&self) -> Result<()> {
        for (field, got) in [
            ("vocab_size", self.vocab_size),
            ("hidden_size", self.hidden_size),
            ("num_layers", self.num_layers),
            ("num_heads", self.num_heads),
            ("num_kv_heads", self.num_kv_heads),
            ("mlp_size", self.mlp_size),
        ] {
            if got == 0 {
                return Err(Error::Config { field, got, expected: "at least 1".into() });
            }
        }
        if !self.hidden_size.is_multiple_of(2 * self.num_heads) {
            let expected = format!("a multiple of 2 · `num_heads` = {}", 2 * self.num_heads);
            return Err(Error::Config { field: "hidden_size", got: self.hidden_size, expected });
        }
        if !self.num_heads.is_multiple_of(self.num_kv_heads) {
            let expected = format!("a multiple of `num_kv_heads` = {}", self.num_kv_heads);
            return Err(Error::Config { field: "num_heads", got: self.num_heads, expected });
        }
        let positive = |name, value: f64| {
            accordant_ops::check_domain(value.is_finite() && value > 0.0, name, "finite and > 0", value)
        };
        positive("rope_theta", self.rope_theta)?;
        positive("norm_eps", self.norm_eps)?;
        Ok(positive("init_std", self.init_std)?)
    }

    /// A decoder with random weights on `device`: the same seed gives the same weights on every device.
    ///
    /// # Errors
    /// [`Error::Config`] or a domain error naming the field.
    ///
    /// # Example
    /// ```
    /// use accordant_lm::{CausalLm, decoder::DecoderConfig};
    /// use burn::tensor::{Device, Tensor, TensorData};
    /// let device = Device::flex();
    /// let model = DecoderConfig::new(10).init(7, &device)?;
    /// let ids = Tensor::from_ints([[1, 2, 3]], &device);
    /// let mask = Tensor::from_bool(TensorData::from([[true; 3]]), &device);
    /// assert_eq!(model.hidden(ids, mask)?.dims(), [1, 3, 64]);
    /// assert_eq!(model.head().dims(), [10, 64]);
    /// # Ok::<(), accordant_lm::Error>(())
    /// ```
    pub fn init(&self, seed: u64, device: &Device) -> Result<Decoder> {
        self.validate()?;
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(INIT_STREAM);
        let mut init = Init { rng, device: device.clone() };
        let (hidden, mlp) = (self.hidden_size, self.mlp_size);
        let residual_std = self.init_std / (2.0 * self.num_layers as f64).sqrt();
        let head_dim = hidden / self.num_heads;
        let kv_width = head_dim * self.num_kv_heads;
        let embedding = Embedding { weight: init.matrix([self.vocab_size, hidden], self.init_std) };
        let layers = (0..self.num_layers)
            .map(|_| Block {
                attention_norm: init.norm(hidden, self.norm_eps),
                attention: Attention {
                    query: init.linear(hidden, hidden, self.init_std),
                    key: init.linear(hidden, kv_width, self.init_std),
                    value: init.linear(hidden, kv_width, self.init_std),
                    output: init.linear(hidden, hidden, residual_std),
                    num_heads: self.num_heads,
                    num_kv_heads: self.num_kv_heads,
                },
                mlp_norm: init.norm(hidden, self.norm_eps),
                mlp: SwiGlu {
                    gate: init.linear(hidden, mlp, self.init_std),
                    up: init.linear(hidden, mlp, self.init_std),
                    down: init.linear(mlp, hidden, residual_std),
                },
            })
            .collect();
        let norm = init.norm(hidden, self.norm_eps);
        Ok(Decoder { embedding, layers, norm, head_dim, rope_theta: self.rope_theta })
    }
}

/// Draws initial weights on the host, so that no device's generator has a say in them.
struct Init {
    rng: ChaCha8Rng,
    device: Device,
}

impl Init {
    fn matrix(&mut self, shape: [usize; 2], std: f64) -> Param<Tensor<2>> {
        let normal = Normal::new(0.0, std).expect("a positive standard deviation");
        let values: Vec<f32> = (0..shape[0] * shape[1]).map(|_| normal.sample(&mut self.rng) as f32).collect();
        Param::from_tensor(Tensor::from_data(TensorData::new(values, shape), &self.device))
    }

    fn linear(&mut self, input: usize, output: usize, std: f64) -> Linear {
        Linear { weight: self.matrix([input, output], std), bias: None }
    }

    fn norm(&mut self, width: usize, epsilon: f64) -> RmsNorm {
        RmsNorm { gamma: Param::from_tensor(Tensor::ones([width], &self.device)), epsilon }
    }
}

/// SwiGLU feed-forward layer: `down(silu(gate x) · up x)` (2002.05202).
#[derive(Module, Debug)]
pub struct SwiGlu {
    gate: Linear,
    up: Linear,
    down: Linear,
}

impl SwiGlu {
    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        self.down.forward(silu(self.gate.forward(x.clone())) * self.up.forward(x))
    }
}

/// One pre-norm transformer block.
#[derive(Module, Debug)]
pub struct Block {
    attention_norm: RmsNorm,
    attention: Attention,
    mlp_norm: RmsNorm,
    mlp: SwiGlu,
}

/// The decoder; built by [`DecoderConfig::init`].
#[derive(Module, Debug)]
pub struct Decoder {
    embedding: Embedding,
    layers: Vec<Block>,
    norm: RmsNorm,
    head_dim: usize,
    rope_theta: f64,
}

impl Decoder {
    fn forward(&self, ids: Tensor<2, Int>, mask: Tensor<2, Bool>, cache: &mut [KeyValues]) -> Result<Tensor<3>> {
        if cache.len() != self.layers.len() {
            let expected = format!("one entry for each of {} layers", self.layers.len());
            return Err(Error::Config { field: "cache", got: cache.len(), expected });
        }
        let old = cache.first().map_or(0, KeyValues::len);
        check_mask(&ids, &mask, old)?;
        let new = ids.dims()[1];
        let rotation = Rotation::new(positions(mask.clone()).narrow(1, old, new), self.head_dim, self.rope_theta);
        let hidden_keys = attention::hidden_keys(mask, old, new);
        let mut x = self.embedding.forward(ids);
        for (layer, seen) in self.layers.iter().zip(cache) {
            x = x.clone() + layer.attention.forward(layer.attention_norm.forward(x), &rotation, &hidden_keys, seen);
            x = x.clone() + layer.mlp.forward(layer.mlp_norm.forward(x));
        }
        Ok(self.norm.forward(x))
    }
}

impl CausalLm for Decoder {
    fn hidden(&self, ids: Tensor<2, Int>, attention_mask: Tensor<2, Bool>) -> Result<Tensor<3>> {
        self.hidden_cached(ids, attention_mask, &mut self.empty_cache())
    }

    fn head(&self) -> Tensor<2> {
        self.embedding.weight.val()
    }
}

impl CachedLm for Decoder {
    type Cache = Vec<KeyValues>;

    fn empty_cache(&self) -> Self::Cache {
        self.layers.iter().map(|_| KeyValues::default()).collect()
    }

    fn hidden_cached(
        &self,
        ids: Tensor<2, Int>,
        attention_mask: Tensor<2, Bool>,
        cache: &mut Self::Cache,
    ) -> Result<Tensor<3>> {
        self.forward(ids, attention_mask, cache)
    }

    fn keep_rows(&self, cache: &mut Self::Cache, rows: &Tensor<1, Int>) {
        cache.iter_mut().for_each(|layer| layer.keep_rows(rows));
    }
}

#[cfg(test)]
mod tests;
