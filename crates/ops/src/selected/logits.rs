//! From logits that are there already.

use burn::backend::Dispatch;
use burn::tensor::Tensor;

use super::linear::{check_divisor, check_float, check_vocabulary};
use super::{SelectedLogps, TokenIds, naive};
use crate::Result;
use crate::backend::{self, LogSoftmaxOps};

/// Log-probabilities, entropy and the rest of rows of logits, each read once; the backward pass makes one buffer of
/// their size, the gradient.
///
/// `log p[id] = x[id] - log Σ_v exp(x_v)` with `x = logits / temperature`. Logits `[batch, seq, v]` are flattened first,
/// `logits.flatten::<2>(0, 1)`, which copies nothing while they are whole: give the last position of each row, which
/// predicts nothing, the ignored id instead of cutting it off. [`naive::selected_log_softmax`] is its specification.
///
/// # Shapes
/// `logits`: `[n, v]`, `ids`: `n` of them below `v`; to `[n]`.
///
/// # Errors
/// [`crate::Error::ShapeMismatch`] when there are not `n` ids; [`crate::Error::TokenId`] for an id that is not in the
/// vocabulary; [`crate::Error::DType`] for logits that are no floats of 16, 32 or 64 bits; [`crate::Error::Domain`] when
/// `temperature` is no number between 1e-37 and 1e37, and for a vocabulary beyond 2²⁴ tokens.
///
/// # Example
/// ```
/// use accordant_ops::selected::{TokenIds, selected_log_softmax};
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let logits = Tensor::from_floats([[3f32.ln(), 0.0]], &device); // probabilities 3/4 and 1/4
/// let ids = TokenIds::new(&[0], None, &device);
/// let selected = selected_log_softmax(logits, &ids, 1.0)?;
/// assert!((selected.logps.into_scalar::<f32>() - 0.75f32.ln()).abs() < 1e-6);
/// assert!((selected.log_sum_sq_probs.into_scalar::<f32>() - 0.625f32.ln()).abs() < 1e-6);
/// assert!(selected.is_top1.into_scalar::<bool>());
/// # Ok::<(), accordant_ops::Error>(())
/// ```
pub fn selected_log_softmax(logits: Tensor<2>, ids: &TokenIds, temperature: f64) -> Result<SelectedLogps> {
    check(&logits, ids, temperature)?;
    let device = logits.device();
    if !backend::is_extended(&device) || ids.num_counted() == 0 {
        return naive::selected_log_softmax(logits, ids, temperature);
    }
    // Ignored rows go along: leaving them out would copy all others.
    let every = ids.every_on(&device).into_dispatch();
    let packed = Dispatch::logits_logps(logits.into_dispatch(), every, temperature.recip());
    Ok(SelectedLogps::unpack(ids.without_ignored(Tensor::from_dispatch(packed))))
}

/// What both forms ask of their arguments.
pub(super) fn check(logits: &Tensor<2>, ids: &TokenIds, temperature: f64) -> Result<()> {
    let [n, vocab] = logits.dims();
    check_float("logits", logits.dtype())?;
    check_divisor("temperature", temperature)?;
    check_vocabulary("logits", vocab)?;
    ids.fit(n, vocab)
}
