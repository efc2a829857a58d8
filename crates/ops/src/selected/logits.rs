//! From logits that are there already.

use burn::backend::Dispatch;
use burn::tensor::Tensor;

use super::linear::check_vocabulary;
use super::{SelectedLogps, TokenIds, naive};
use crate::backend::{self, LogSoftmaxOps};
use crate::{Result, check_domain};

/// Log-probabilities, entropy and the rest of rows of logits, each read once; the backward pass makes one buffer of
/// their size, the gradient.
///
/// `log p[id] = x[id] - log Σ_v exp(x_v)` with `x = logits / temperature`. Logits `[batch, seq, v]` are flattened first,
/// which copies nothing: `logits.flatten::<2>(0, 1)`. [`naive::selected_log_softmax`] is its specification.
///
/// # Shapes
/// `logits`: `[n, v]`, `ids`: `n` of them below `v`; to `[n]`.
///
/// # Errors
/// [`crate::Error::ShapeMismatch`] when there are not `n` ids; [`crate::Error::TokenId`] for an id that is not in the
/// vocabulary; [`crate::Error::Domain`] when `temperature` is not finite and > 0.
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
    let counted = ids.counted_on(&device).into_dispatch();
    let packed = Dispatch::logits_logps(ids.pick(logits).into_dispatch(), counted, temperature.recip());
    Ok(SelectedLogps::unpack(Tensor::from_dispatch(packed), ids))
}

/// What both forms ask of their arguments.
pub(super) fn check(logits: &Tensor<2>, ids: &TokenIds, temperature: f64) -> Result<()> {
    let [n, vocab] = logits.dims();
    check_domain(temperature.is_finite() && temperature > 0.0, "temperature", "finite and > 0", temperature)?;
    check_vocabulary(vocab)?;
    ids.fit(n, vocab)
}
