//! The exact divergence of two tensors of logits.

use burn::backend::Dispatch;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::linear::{check_companion, check_divisor, check_float};
use super::naive;
use crate::backend::{self, LogSoftmaxOps};
use crate::{Result, check_shape};

/// Which of the two is averaged over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum KlDirection {
    /// KL(policy ‖ reference): seeks modes; what on-policy estimators estimate.
    #[default]
    Reverse,
    /// KL(reference ‖ policy): covers; the loss of distillation on a teacher's text.
    Forward,
}

/// The divergence of each row of logits, in nats; the reference is a constant.
///
/// ```text
/// Reverse: Σ_v p_v (log p_v - log q_v)      p = softmax(policy / temperature)
/// Forward: Σ_v q_v (log q_v - log p_v)      q = softmax(reference / temperature)
/// ```
///
/// Nothing of the size of the logits is made but their gradient. Tokens of probability 0 in the outer distribution add
/// nothing (0 log 0 = 0); where only the other one has none, the divergence is +∞ and its gradient infinite or NaN
/// (`Reverse`) or `p - q` (`Forward`). A row of −∞ to average over gives 0 and no gradient. Equal logits give exactly 0;
/// otherwise the result can be negative by rounding, to about 5e-7 in f32. Callers who have
/// log-probabilities instead use [`crate::kl::kl_full`].
///
/// # Shapes
/// Both: `[n, v]`, of one dtype; to `[n]`, in f32 (f64 for f64).
///
/// # Errors
/// [`crate::Error::ShapeMismatch`] when the shapes differ, [`crate::Error::DType`] and [`crate::Error::Device`] when
/// dtypes or devices do (the former also for what is no float of 16, 32 or 64 bits), [`crate::Error::Domain`] when `temperature` is no number between 1e-37 and 1e37.
///
/// # Example
/// ```
/// use accordant_ops::selected::{KlDirection, kl_logits};
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let policy = Tensor::from_floats([[0.0, f32::NEG_INFINITY]], &device); // certain of the first token
/// let reference = Tensor::from_floats([[0.0, 0.0]], &device);
/// let kl = kl_logits(policy, reference, 1.0, KlDirection::Reverse)?;
/// assert!((kl.into_scalar::<f32>() - 2f32.ln()).abs() < 1e-6); // 1 · (log 1 - log 1/2)
/// # Ok::<(), accordant_ops::Error>(())
/// ```
pub fn kl_logits(
    policy: Tensor<2>,
    reference: Tensor<2>,
    temperature: f64,
    direction: KlDirection,
) -> Result<Tensor<1>> {
    check(&policy, &reference, temperature)?;
    let device = policy.device();
    if !backend::is_extended(&device) || policy.shape().num_elements() == 0 {
        return naive::kl_logits(policy, reference, temperature, direction);
    }
    let rows = Dispatch::logits_kl(
        policy.into_dispatch(),
        reference.detach().into_dispatch(),
        temperature.recip(),
        direction == KlDirection::Forward,
    );
    Ok(Tensor::<2>::from_dispatch(rows).narrow(0, 0, 1).squeeze_dim(0))
}

/// What both forms ask of their arguments.
pub(super) fn check(policy: &Tensor<2>, reference: &Tensor<2>, temperature: f64) -> Result<()> {
    check_shape("reference", &policy.dims(), &reference.dims())?;
    check_float("policy", policy.dtype())?;
    check_companion("reference", policy, reference)?;
    check_divisor("temperature", temperature)
}
