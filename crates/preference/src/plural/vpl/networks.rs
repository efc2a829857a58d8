//! The networks of VPL: an encoder of judged pairs, and a scorer that reads the latent.

use accordant_ops::{check_domain, check_dtype, check_shape, distribution::categorical::log_probs, masked::row_counts};
use burn::{
    config::Config,
    module::{Module, Param},
    nn::Linear,
    tensor::{
        Bool, Device, Tensor,
        activation::{leaky_relu, relu},
    },
};

use super::LatentGaussian;
use crate::{
    Result,
    distributional::layers::{linear, uniform},
    random::{Purpose, stream},
};

/// Configuration of [`VplEncoder`].
#[derive(Config, Debug, PartialEq)]
pub struct VplEncoderConfig {
    /// The length of a response's features, ≥ 1.
    pub num_features: usize,
    /// The length of latents, d ≥ 2. 512: the released language code's; 8 to 32 in control.
    #[config(default = 512)]
    pub latent_dim: usize,
    /// The width of the pairs' encodings, ≥ 2. 512: the released language code's.
    #[config(default = 512)]
    pub hidden: usize,
    /// How far means and log-variances may go from 0, finite and > 0; none without one. 1: the released language code's.
    #[config(default = "Some(1.0)")]
    pub clamp: Option<f64>,
}

impl VplEncoderConfig {
    /// An encoder with random weights: the same seed gives the same ones on every device.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self, seed: u64, device: &Device) -> Result<VplEncoder> {
        let Self { num_features, latent_dim, hidden, clamp } = *self;
        check_domain(num_features >= 1, "num_features", ">= 1", num_features as f64)?;
        check_domain(latent_dim >= 2, "latent_dim", ">= 2", latent_dim as f64)?;
        check_domain(hidden >= 2, "hidden", ">= 2", hidden as f64)?;
        let bound = clamp.unwrap_or(1.0);
        check_domain(bound.is_finite() && bound > 0.0, "clamp", "finite and > 0", bound)?;
        let mut rng = stream(seed, Purpose::Start, 0);
        let mut layer = |input, output| linear(&mut rng, input, output, true, device);
        Ok(VplEncoder {
            first: layer(2 * num_features, hidden),
            second: layer(hidden, hidden),
            query: layer(hidden, hidden),
            key: layer(hidden, hidden),
            value: layer(hidden, hidden),
            mean: layer(hidden, latent_dim),
            log_var: layer(hidden, latent_dim),
            clamp,
        })
    }
}

/// Pairs through a small network, attention among the pairs of a user, and their mean: the order of pairs does not matter.
#[derive(Module, Debug)]
pub struct VplEncoder {
    first: Linear,
    second: Linear,
    query: Linear,
    key: Linear,
    value: Linear,
    mean: Linear,
    log_var: Linear,
    clamp: Option<f64>,
}

impl VplEncoder {
    #[cfg(test)]
    pub(super) fn layers(&self) -> [&Linear; 7] {
        [&self.first, &self.second, &self.query, &self.key, &self.value, &self.mean, &self.log_var]
    }

    /// The posterior of each user's latent, from pairs that they judged; `prior` for a user without any.
    ///
    /// # Shapes
    /// `chosen` and `rejected`: `[users, pairs, num_features]`; `mask`: `[users, pairs]`, true where there is a pair: what
    /// lies elsewhere has no influence. The result: `[users, latent_dim]` each, as `prior`.
    ///
    /// # Errors
    /// A shape error naming `chosen`, `rejected`, `mask` or `prior`.
    ///
    /// # Example
    /// ```
    /// use accordant_preference::plural::vpl::{LatentGaussian, VplEncoderConfig};
    /// use burn::tensor::{Device, Tensor};
    /// let device = Device::flex();
    /// let encoder = VplEncoderConfig::new(3).with_latent_dim(4).with_hidden(8).init(0, &device)?;
    /// let (chosen, rejected) = (Tensor::ones([1, 2, 3], &device), Tensor::zeros([1, 2, 3], &device));
    /// let nobody = Tensor::from_bool([[false, false]], &device);
    /// let prior = LatentGaussian::standard(1, 4, &device);
    /// let posterior = encoder.forward(chosen, rejected, nobody, &prior)?;
    /// assert_eq!(posterior.kl(&prior)?.into_scalar::<f32>(), 0.0); // nothing is known
    /// # Ok::<(), accordant_preference::Error>(())
    /// ```
    pub fn forward(
        &self,
        chosen: Tensor<3>,
        rejected: Tensor<3>,
        mask: Tensor<2, Bool>,
        prior: &LatentGaussian,
    ) -> Result<LatentGaussian> {
        let [users, pairs, _] = chosen.dims();
        let [[inputs, _], [_, latent]] = [&self.first, &self.mean].map(|layer| layer.weight.dims());
        check_shape("chosen", &[users, pairs, inputs / 2], &chosen.dims())?;
        check_shape("rejected", &chosen.dims(), &rejected.dims())?;
        check_dtype("rejected", chosen.dtype(), rejected.dtype())?;
        check_shape("mask", &[users, pairs], &mask.dims())?;
        check_dtype("chosen", self.first.weight.dtype(), chosen.dtype())?;
        for values in [&prior.mean, &prior.log_var] {
            check_shape("prior", &[users, latent], &values.dims())?;
            check_dtype("prior", chosen.dtype(), values.dtype())?;
        }
        if users * pairs == 0 {
            return Ok(prior.clone());
        }
        let absent = mask.clone().bool_not();
        let inputs = Tensor::cat(vec![chosen, rejected], 2);
        let inputs = inputs.clone().mask_fill(absent.clone().unsqueeze_dim::<3>(2).expand(inputs.dims()), 0.0);
        let encoded = relu(self.second.forward(relu(self.first.forward(inputs))));
        let [_, _, width] = encoded.dims();
        let keys = self.key.forward(encoded.clone()).swap_dims(1, 2);
        let logits = self.query.forward(encoded.clone()).matmul(keys) * (width as f64).sqrt().recip();
        // Finite, so that a row of nothing else has weights; it is left out below.
        let hidden = absent.clone().unsqueeze_dim::<3>(1).expand([users, pairs, pairs]);
        let wide = row_counts(mask.clone(), logits.dtype()).dtype();
        let weights = log_probs(logits.cast(wide).mask_fill(hidden, -1e9)).exp().cast(encoded.dtype());
        let attended = weights.matmul(self.value.forward(encoded));
        let kept = absent.unsqueeze_dim::<3>(2).expand([users, pairs, width]);
        let count = row_counts(mask, attended.dtype()).cast(attended.dtype()).unsqueeze_dim::<2>(1);
        let nobody = count.clone().equal_scalar(0.0).expand([users, latent]);
        let pooled = attended.mask_fill(kept, 0.0).sum_dim(1).squeeze_dim::<2>(1) / count.clamp_min(1.0);
        let head = |layer: &Linear, prior: &Tensor<2>| {
            let values = layer.forward(pooled.clone());
            let values = self.clamp.map_or(values.clone(), |bound| values.clamp(-bound, bound));
            values.mask_where(nobody.clone(), prior.clone())
        };
        LatentGaussian::new(head(&self.mean, &prior.mean), head(&self.log_var, &prior.log_var))
    }
}

/// Configuration of [`VplDecoder`].
#[derive(Config, Debug, PartialEq)]
pub struct VplDecoderConfig {
    /// The length of a response's features, ≥ 1.
    pub num_features: usize,
    /// The length of latents, ≥ 1. 512: the released language code's.
    #[config(default = 512)]
    pub latent_dim: usize,
    /// Widths of the hidden layers, at least one, ≥ 1 each. Twice 512: the released language code's; three in control.
    #[config(default = "vec![512, 512]")]
    pub hidden: Vec<usize>,
}

impl VplDecoderConfig {
    /// A scorer with random weights: the same seed gives the same ones on every device.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self, seed: u64, device: &Device) -> Result<VplDecoder> {
        check_domain(self.num_features >= 1, "num_features", ">= 1", self.num_features as f64)?;
        check_domain(self.latent_dim >= 1, "latent_dim", ">= 1", self.latent_dim as f64)?;
        check_domain(!self.hidden.is_empty(), "hidden", "at least one layer", 0.0)?;
        // Of the encoder's seed other weights.
        let mut rng = stream(seed, Purpose::Start, 1);
        let mut width = self.num_features + self.latent_dim;
        let mut layers = Vec::with_capacity(self.hidden.len());
        for &next in &self.hidden {
            check_domain(next >= 1, "hidden", ">= 1", next as f64)?;
            layers.push(linear(&mut rng, width, next, true, device));
            width = next;
        }
        let head = uniform(&mut rng, width, width);
        Ok(VplDecoder {
            layers,
            head: Param::from_tensor(Tensor::from_data(head.as_slice(), device)),
            num_features: self.num_features,
        })
    }
}

/// A score of a response for a latent: layers with leaky rectifiers (slope 0.2) over both, and a sum without a bias, which no
/// pair could see.
#[derive(Module, Debug)]
pub struct VplDecoder {
    layers: Vec<Linear>,
    head: Param<Tensor<1>>,
    num_features: usize,
}

impl VplDecoder {
    /// Scores of responses.
    ///
    /// # Shapes
    /// `features`: `[n, num_features]`; `latents`: `[n, latent_dim]`, that of each response's user; the result: `[n]`.
    ///
    /// # Errors
    /// A shape error naming `features` or `latents`.
    ///
    /// # Example
    /// ```
    /// use accordant_preference::plural::vpl::VplDecoderConfig;
    /// use burn::tensor::{Device, Tensor};
    /// let device = Device::flex();
    /// let decoder = VplDecoderConfig::new(3).with_latent_dim(2).with_hidden(vec![8]).init(0, &device)?;
    /// let scores = decoder.forward(Tensor::ones([5, 3], &device), Tensor::zeros([5, 2], &device))?;
    /// assert_eq!(scores.dims(), [5]);
    /// # Ok::<(), accordant_preference::Error>(())
    /// ```
    pub fn forward(&self, features: Tensor<2>, latents: Tensor<2>) -> Result<Tensor<1>> {
        let [n, _] = features.dims();
        let [inputs, _] = self.layers[0].weight.dims();
        check_shape("features", &[n, self.num_features], &features.dims())?;
        check_shape("latents", &[n, inputs - self.num_features], &latents.dims())?;
        check_dtype("latents", features.dtype(), latents.dtype())?;
        let inputs = Tensor::cat(vec![features, latents], 1);
        let hidden = self.layers.iter().fold(inputs, |x, layer| leaky_relu(layer.forward(x), 0.2));
        Ok((hidden * self.head.val().unsqueeze_dim::<2>(0)).sum_dim(1).squeeze_dim(1))
    }
}
