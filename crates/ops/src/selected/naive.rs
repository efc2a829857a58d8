//! The same numbers in burn's own operations, with all logits in memory at once: the specification of the streamed and
//! direct forms, what tests compare them with, and what runs on a device that has none of them.

use burn::tensor::{DType, FloatDType, Tensor, TensorData};

use super::{KlDirection, SelectedLogps, SelectedOptions, TokenIds, kl, linear, logits};
use crate::backend::{lowest, wide};
use crate::{Result, stable};

fn widen<const D: usize>(tensor: Tensor<D>) -> Tensor<D> {
    let dtype = wide(tensor.dtype());
    if tensor.dtype() == dtype { tensor } else { tensor.cast(FloatDType::from(dtype)) }
}

/// Multiplies unless the factor is 1. Not a division: burn 0.22.1 takes its gradient through f32.
fn scaled<const D: usize>(tensor: Tensor<D>, factor: f64) -> Tensor<D> {
    if factor == 1.0 { tensor } else { tensor * factor }
}

/// [`super::selected_logps`] with the logits `[n, v]` in memory.
///
/// # Errors
/// As [`super::selected_logps`].
pub fn selected_logps(
    hidden: Tensor<2>,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
    ids: &TokenIds,
    options: &SelectedOptions,
) -> Result<SelectedLogps> {
    linear::check(&hidden, &weight, bias.as_ref(), ids, options)?;
    if ids.num_counted() == 0 {
        let inputs = [Some(hidden), Some(weight), bias.map(|bias| bias.unsqueeze_dim(0))];
        return Ok(nothing(inputs.into_iter().flatten(), ids));
    }
    let logits = widen(ids.pick(hidden)).matmul(widen(weight).transpose());
    let logits = match bias {
        Some(bias) => logits + widen(bias).unsqueeze_dim::<2>(0),
        None => logits,
    };
    let logits = match options.softcap {
        Some(cap) => (logits * cap.recip()).tanh() * cap,
        None => logits,
    };
    Ok(select(logits, ids, options.temperature))
}

/// [`super::selected_log_softmax`] in a few buffers of the size of the logits.
///
/// # Errors
/// As [`super::selected_log_softmax`].
pub fn selected_log_softmax(logits: Tensor<2>, ids: &TokenIds, temperature: f64) -> Result<SelectedLogps> {
    logits::check(&logits, ids, temperature)?;
    if ids.num_counted() == 0 {
        return Ok(nothing([logits], ids));
    }
    Ok(select(widen(ids.pick(logits)), ids, temperature))
}

/// No row counts: zeros.
fn nothing(inputs: impl IntoIterator<Item = Tensor<2>>, ids: &TokenIds) -> SelectedLogps {
    let zero = inputs.into_iter().map(zero_of).reduce(|a, b| a + b).expect("there are logits or hidden states");
    let zeros = repeated(zero, ids.len());
    SelectedLogps {
        logps: zeros.clone(),
        lse: zeros.clone(),
        entropy: zeros.clone(),
        log_sum_sq_probs: zeros.clone(),
        is_top1: zeros.clone().detach().equal_scalar(1.0),
        mean_logits: zeros.detach(),
    }
}

/// A 0, `[1]`, that depends on `input` for a backward pass: a batch in which nothing counts then has gradients of 0,
/// where burn panics at a loss that depends on nothing.
fn zero_of(input: Tensor<2>) -> Tensor<1> {
    let first = if input.shape().num_elements() == 0 { input } else { input.slice([0..1, 0..1]) };
    let sum = widen(first).sum();
    let everywhere = sum.zeros_like().equal_scalar(0.0);
    sum.mask_fill(everywhere, 0.0)
}

/// `[1]` to `[n]`. burn expands nothing to a length of 0, and an empty slice forgets where it comes from.
fn repeated(zero: Tensor<1>, n: usize) -> Tensor<1> {
    if n > 0 {
        return zero.expand([n]);
    }
    let none = TensorData::new(Vec::<i32>::new(), [0]);
    let device = zero.device();
    zero.select(0, Tensor::from_data(none, (&device, DType::I32)))
}

/// `log softmax` of each row, its maximum and the logarithm of its sum above that (−∞ where nothing has probability).
fn log_softmax(x: Tensor<2>) -> (Tensor<2>, Tensor<2>, Tensor<2>) {
    let max = x.clone().detach().max_dim(1).clamp_min(lowest(x.dtype()));
    let gap = x - max.clone();
    let log_sum = stable::log_sum_exp(gap.clone(), 1);
    let dead = log_sum.clone().detach().equal_scalar(f32::NEG_INFINITY);
    (gap - log_sum.clone().mask_fill(dead, 0.0), max, log_sum)
}

fn select(logits: Tensor<2>, ids: &TokenIds, temperature: f64) -> SelectedLogps {
    let x = scaled(logits, temperature.recip());
    let index = ids.counted_on(&x.device()).unsqueeze_dim::<2>(1);
    let is_top1 = x.clone().detach().argmax(1).equal(index.clone().cast(x.device().settings().int_dtype));
    let mean_logits = x.clone().detach().mean_dim(1);
    let (log_p, max, log_sum) = log_softmax(x);
    let dead = log_sum.clone().detach().equal_scalar(f32::NEG_INFINITY);
    let logps = log_p.clone().gather(1, index).mask_fill(dead.clone(), f32::NEG_INFINITY);
    let entropy = expectation(log_p.clone(), log_p.clone()).neg().mask_fill(dead.clone(), 0.0);
    let log_sum_sq_probs = stable::log_sum_exp(log_p * 2.0, 1);
    let top = is_top1.bool_and(dead.bool_not()).float().cast(FloatDType::from(logps.dtype()));
    let columns = [logps, max + log_sum, entropy, log_sum_sq_probs, top, mean_logits];
    // No transpose: what flows back through one has columns `[n, 1]` with the strides of rows, and burn 0.22.1's fused
    // sums of those are 0 (`tests/parity/fusion.rs`).
    let rows = columns.map(|column| column.squeeze_dim::<1>(1)).to_vec();
    SelectedLogps::unpack(ids.spread(Tensor::stack(rows, 0)))
}

/// `Σ_v p_v value_v` over tokens of positive probability, `[n, 1]`.
fn expectation(log_p: Tensor<2>, value: Tensor<2>) -> Tensor<2> {
    let p = log_p.exp();
    let absent = p.clone().detach().equal_scalar(0.0);
    (p * value.mask_fill(absent.clone(), 0.0)).mask_fill(absent, 0.0).sum_dim(1)
}

/// [`super::kl_logits`] in a few buffers of the size of the logits.
///
/// # Errors
/// As [`super::kl_logits`].
pub fn kl_logits(
    policy: Tensor<2>,
    reference: Tensor<2>,
    temperature: f64,
    direction: KlDirection,
) -> Result<Tensor<1>> {
    kl::check(&policy, &reference, temperature)?;
    if policy.shape().num_elements() == 0 {
        let n = policy.dims()[0];
        return Ok(repeated(zero_of(policy), n));
    }
    let log_p = log_softmax(scaled(widen(policy), temperature.recip())).0;
    let log_q = log_softmax(scaled(widen(reference.detach()), temperature.recip())).0;
    let kl = match direction {
        KlDirection::Reverse => expectation(log_p.clone(), log_p - log_q),
        KlDirection::Forward => expectation(log_q.clone(), log_q - log_p),
    };
    Ok(kl.squeeze_dim(1))
}
