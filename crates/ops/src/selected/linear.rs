//! From hidden states and an output head.

use burn::backend::Dispatch;
use burn::config::Config;
use burn::tensor::{DType, Tensor};

use super::{Memory, Plan, SelectedLogps, TokenIds, naive};
use crate::backend::{self, LogSoftmaxOps, Spec};
use crate::error::check_device;
use crate::{check_domain, check_dtype, check_shape};

/// How hidden states become log-probabilities.
#[derive(Config, Debug, Copy, PartialEq)]
pub struct SelectedOptions {
    /// Divides the logits, finite and > 0. 1 is the model itself; the temperature that completions were sampled at, where
    /// their log-probabilities under the sampler matter.
    #[config(default = 1.0)]
    pub temperature: f64,
    /// Bounds the logits smoothly to ±this, `cap · tanh(logits / cap)`, before the temperature; finite and > 0. None but
    /// for Gemma 2 (30).
    pub softcap: Option<f64>,
    /// How much of the logits exists at a time.
    #[config(default = "Memory::Auto")]
    pub memory: Memory,
}

impl SelectedOptions {
    /// Checks the domains of the fields.
    ///
    /// # Errors
    /// [`crate::Error::Domain`] naming the field that is no number between 1e-37 and 1e37, and `softcap` when its ratio to
    /// the temperature is none.
    pub fn validate(&self) -> crate::Result<()> {
        check_divisor("temperature", self.temperature)?;
        let Some(cap) = self.softcap else { return Ok(()) };
        check_divisor("softcap", cap)?;
        check_divisor("softcap", cap / self.temperature)
    }
}

/// Log-probabilities of `ids` under the logits `hidden · weightᵀ + bias`, streamed: no buffer of `[n, v]` exists unless
/// the memory budget allows for it.
///
/// ```text
/// x = softcap(hidden · weightᵀ + bias) / temperature
/// log p[id] = x[id] - log Σ_v exp(x_v)
/// ```
///
/// The forward pass keeps eight numbers of each row; the backward pass makes the logits again, tile by tile,
/// and turns each tile into its gradient in place. A `weight` that needs no gradient costs none.
/// [`naive::selected_logps`] is its specification. There is no second derivative.
///
/// # Shapes
/// `hidden`: `[n, h]`, `weight`: `[v, h]`, `bias`: `[v]`, `ids`: `n` of them below `v`. All on one device and of one
/// dtype.
///
/// # Errors
/// [`crate::Error::ShapeMismatch`] when the shapes do not fit; [`crate::Error::TokenId`] for an id that is not in the
/// vocabulary; [`crate::Error::DType`] and [`crate::Error::Device`] when dtypes or devices differ, the former
/// also for what is no float of 16, 32 or 64 bits;
/// [`crate::Error::Domain`] from [`SelectedOptions::validate`], and for a vocabulary beyond 2²⁴ tokens.
///
/// # Example
/// ```
/// use accordant_ops::selected::{SelectedOptions, TokenIds, selected_logps};
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let hidden = Tensor::from_floats([[0.0, 0.0]], &device);
/// let weight = Tensor::ones([4, 2], &device);
/// let ids = TokenIds::new(&[3], None, &device);
/// let selected = selected_logps(hidden, weight, None, &ids, &SelectedOptions::new())?;
/// // Four equal logits: each id has probability 1/4.
/// assert!((selected.logps.into_scalar::<f32>() + 4f32.ln()).abs() < 1e-6);
/// assert!((selected.entropy.into_scalar::<f32>() - 4f32.ln()).abs() < 1e-6);
/// # Ok::<(), accordant_ops::Error>(())
/// ```
pub fn selected_logps(
    hidden: Tensor<2>,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
    ids: &TokenIds,
    options: &SelectedOptions,
) -> crate::Result<SelectedLogps> {
    check(&hidden, &weight, bias.as_ref(), ids, options)?;
    let device = hidden.device();
    let [_, h] = hidden.dims();
    let vocab = weight.dims()[0];
    if !backend::is_extended(&device) || ids.num_counted() == 0 || h == 0 {
        return naive::selected_logps(hidden, weight, bias, ids, options);
    }
    let plan = Plan::new(ids.num_counted(), h, vocab, hidden.dtype(), options.memory, &device);
    let spec = Spec {
        inverse_temperature: options.temperature.recip(),
        softcap: options.softcap,
        rows: plan.rows,
        columns: plan.columns,
        has_bias: bias.is_some(),
        keeps_logits: plan.keeps_logits,
    };
    let bias = match bias {
        Some(bias) => bias.unsqueeze_dim::<2>(0),
        None => Tensor::zeros([1, 1], (&device, hidden.dtype())),
    };
    let packed = Dispatch::linear_logps(
        ids.pick(hidden).into_dispatch(),
        weight.into_dispatch(),
        bias.into_dispatch(),
        ids.counted_on(&device).into_dispatch(),
        spec,
    );
    Ok(SelectedLogps::unpack(ids.spread(Tensor::from_dispatch(packed))))
}

/// What both forms ask of their arguments.
pub(super) fn check(
    hidden: &Tensor<2>,
    weight: &Tensor<2>,
    bias: Option<&Tensor<1>>,
    ids: &TokenIds,
    options: &SelectedOptions,
) -> crate::Result<()> {
    let ([n, h], [vocab, _]) = (hidden.dims(), weight.dims());
    check_shape("weight", &[vocab, h], &weight.dims())?;
    check_float("hidden", hidden.dtype())?;
    check_companion("weight", hidden, weight)?;
    if let Some(bias) = bias {
        check_shape("bias", &[vocab], &bias.dims())?;
        check_companion("bias", hidden, bias)?;
    }
    options.validate()?;
    check_vocabulary("weight", vocab)?;
    ids.fit(n, vocab)
}

/// The kernels know four dtypes.
pub(super) fn check_float(name: &'static str, dtype: DType) -> crate::Result<()> {
    let known = matches!(dtype, DType::F64 | DType::F32 | DType::F16 | DType::BF16);
    if known { Ok(()) } else { check_dtype(name, DType::F32, dtype) }
}

/// `tensor` has the dtype and the device of `first`.
pub(super) fn check_companion<const D: usize, const E: usize>(
    name: &'static str,
    first: &Tensor<D>,
    tensor: &Tensor<E>,
) -> crate::Result<()> {
    check_dtype(name, first.dtype(), tensor.dtype())?;
    check_device(name, &first.device(), &tensor.device())
}

/// The index of the largest logit is kept in f32, which counts to 2²⁴.
pub(super) fn check_vocabulary(name: &'static str, vocab: usize) -> crate::Result<()> {
    check_domain(vocab <= 1 << 24, name, "a vocabulary of at most 2^24 tokens", vocab as f64)
}

/// A scalar that logits are divided by: it and its reciprocal must be normal numbers in f32 too.
pub(super) fn check_divisor(name: &'static str, value: f64) -> crate::Result<()> {
    let holds = value > 0.0 && (value as f32).is_normal() && (value.recip() as f32).is_normal();
    check_domain(holds, name, "a number between 1e-37 and 1e37", value)
}
