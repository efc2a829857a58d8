//! The custom operations, as burn backend extensions.
//!
//! Two layers. [`RowKernels`] are four loops over the rows of a tile of logits, written once for any backend
//! (`reference`, their default bodies), directly for `flex` and as CubeCL kernels for the GPU runtimes; a fused stream
//! takes them as they are. [`LogSoftmaxOps`] are the differentiable operations made of them (`streamed`), with one
//! hand-written backward step each (`autodiff`). On top of these, [`crate::selected`] checks arguments and shapes. Apart
//! from them, `pointwise` runs the functions of [`crate::stable`] in one pass.

pub(crate) mod pointwise;
pub(crate) mod prim;
pub(crate) mod reference;
pub(crate) mod streamed;

mod autodiff;
#[cfg(feature = "_cube")]
pub(crate) mod cube;
#[cfg(feature = "flex")]
mod flex;
#[cfg(all(test, feature = "flex"))]
mod tests;

use burn::backend::{
    Backend, backend_extension,
    tensor::{FloatTensor, IntTensor},
};
use burn::tensor::{DType, Device};

pub(crate) use prim::wide;
pub(crate) use streamed::Spec;

/// What is known of a row after some of its columns, `[STATE, rows]`; `x` are the scaled logits.
///
/// | row | | before the first column |
/// |---|---|---|
/// | 0 | `m`, the largest `x` | the lowest finite number |
/// | 1 | `Σ exp(x - m)` | 0 |
/// | 2 | `Σ (x - m) exp(x - m)` | 0 |
/// | 3 | `Σ exp(x - m)²` | 0 |
/// | 4 | the `x` of the row's id | 0 |
/// | 5 | the first column that attains `m` | 0 |
/// | 6 | `Σ x` | 0 |
pub(crate) const STATE: usize = 7;

/// What a row's gradient is made of, `[COEFS, rows]`: `m`, `log Σ exp(x - m)`, then `a`, `b`, `c` and `g` of
/// `∂/∂x_j = p_j (a + b log p_j + c p_j) + g [j = id]`.
pub(crate) const COEFS: usize = 6;

/// What a divergence and its gradient are made of, `[DIVERGENCE, rows]`: the divergence, `m` and `log Σ exp(x - m)` of
/// the policy (0 for the latter in a row of −∞), the same of the reference, and the factor of the gradient: in the
/// forward pass 1, or 0 where the distribution that is averaged over is a row of −∞.
pub(crate) const DIVERGENCE: usize = 6;

/// Loops over the rows of logits `[rows, columns]`, each element times `scale` first. The `columns` are those from
/// `offset` on of a vocabulary. Sums run in [`wide`] precision, which is that of `state` and `coefs`.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    Cube: cfg(feature = "_cube"),
    Fusion: cfg(feature = "_cube"),
)]
pub trait RowKernels: Backend {
    /// The state, `[STATE, rows]`, after these columns too.
    #[fusion(dtype = state, shape = state)]
    fn row_stats(
        logits: FloatTensor<Self>,
        ids: IntTensor<Self>,
        state: FloatTensor<Self>,
        offset: usize,
        scale: f64,
    ) -> FloatTensor<Self> {
        reference::row_stats::<Self>(logits, ids, state, offset, scale)
    }

    /// The gradient by the unscaled logits, in their place where they are not needed elsewhere. Under a cap, whose
    /// inverse is `inverse_cap` (0 without one), the logits are the hyperbolic tangents that the forward pass scaled,
    /// and the gradient is that by what came before the cap. A row whose `a`, `b`, `c` and `g` are 0 has gradient 0,
    /// whatever its logits.
    #[fusion(dtype = logits, shape = logits)]
    fn row_grads(
        logits: FloatTensor<Self>,
        ids: IntTensor<Self>,
        coefs: FloatTensor<Self>,
        offset: usize,
        scale: f64,
        inverse_cap: f64,
    ) -> FloatTensor<Self> {
        reference::row_grads::<Self>(logits, ids, coefs, offset, scale, inverse_cap)
    }

    /// KL(reference ‖ policy) if `forward`, else KL(policy ‖ reference), `[DIVERGENCE, rows]`.
    #[fusion(dtype = wide(policy), shape = divergence_shape(policy))]
    fn kl_rows(
        policy: FloatTensor<Self>,
        reference: FloatTensor<Self>,
        scale: f64,
        forward: bool,
    ) -> FloatTensor<Self> {
        reference::kl_rows::<Self>(policy, reference, scale, forward)
    }

    /// The gradient by the unscaled logits of the policy.
    #[fusion(dtype = policy, shape = policy)]
    fn kl_row_grads(
        policy: FloatTensor<Self>,
        reference: FloatTensor<Self>,
        rows: FloatTensor<Self>,
        scale: f64,
        forward: bool,
    ) -> FloatTensor<Self> {
        reference::kl_row_grads::<Self>(policy, reference, rows, scale, forward)
    }
}

/// Matrix products into memory that is there already: `flex` zeroes and copies the result of each of its own.
pub trait Products: Backend {
    /// `lhs · rhs` of matrices in wide precision, added to what `into` holds if `add`. The memory of `into` is used
    /// again where the backend can; its numbers count for nothing unless `add`.
    fn product(
        lhs: FloatTensor<Self>,
        rhs: FloatTensor<Self>,
        into: Option<FloatTensor<Self>>,
        add: bool,
    ) -> FloatTensor<Self> {
        match into {
            Some(sum) if add => Self::float_add(sum, Self::float_matmul(lhs, rhs)),
            unused => {
                drop(unused);
                Self::float_matmul(lhs, rhs)
            }
        }
    }
}

#[cfg(feature = "ndarray")]
impl Products for burn::backend::NdArray {}
#[cfg(feature = "_cube")]
impl Products for burn_cubecl::CubeBackend {}
#[cfg(feature = "_cube")]
impl<B: burn::backend::fusion::FusionBackend> Products for burn::backend::fusion::Fusion<B> {}

#[cfg(feature = "_cube")]
fn divergence_shape(logits: &burn::tensor::Shape) -> burn::tensor::Shape {
    [DIVERGENCE, logits[0]].into()
}

/// The differentiable operations. Ids lie within the vocabulary; shapes have been checked; nothing is empty.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    Cube: cfg(feature = "_cube"),
    Autodiff,
)]
pub trait LogSoftmaxOps: Backend {
    /// From hidden states and an output head, tile by tile, to `[OUTPUT, n]`; see `streamed` for the rows. Without a bias
    /// in `spec`, any tensor stands in for `bias`: the dispatch knows no absent one.
    fn linear_logps(
        hidden: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        ids: IntTensor<Self>,
        spec: Spec,
    ) -> FloatTensor<Self>;

    /// The same from logits `[n, v]`, each times `scale`.
    fn logits_logps(logits: FloatTensor<Self>, ids: IntTensor<Self>, scale: f64) -> FloatTensor<Self>;

    /// The divergence of whole rows of logits `[n, v]`, to `[DIVERGENCE, n]`; the reference is a constant.
    fn logits_kl(
        policy: FloatTensor<Self>,
        reference: FloatTensor<Self>,
        scale: f64,
        forward: bool,
    ) -> FloatTensor<Self>;
}

/// The operations of a backend that has the kernels.
macro_rules! log_softmax_ops {
    ($backend:ty $(, $parameter:ident: $bound:path)?) => {
        impl$(<$parameter: $bound + RowKernels>)? LogSoftmaxOps for $backend {
            fn linear_logps(
                hidden: FloatTensor<Self>,
                weight: FloatTensor<Self>,
                bias: FloatTensor<Self>,
                ids: IntTensor<Self>,
                spec: Spec,
            ) -> FloatTensor<Self> {
                streamed::forward(&streamed::Linear::<Self>::new(hidden, weight, bias, ids, &spec), &spec, false).0
            }

            fn logits_logps(logits: FloatTensor<Self>, ids: IntTensor<Self>, scale: f64) -> FloatTensor<Self> {
                streamed::logits_forward::<Self>(logits, ids, scale)
            }

            fn logits_kl(
                policy: FloatTensor<Self>,
                reference: FloatTensor<Self>,
                scale: f64,
                forward: bool,
            ) -> FloatTensor<Self> {
                Self::kl_rows(policy, reference, scale, forward)
            }
        }
    };
}

#[cfg(feature = "flex")]
log_softmax_ops!(burn::backend::Flex);
#[cfg(feature = "ndarray")]
log_softmax_ops!(burn::backend::NdArray);
#[cfg(feature = "_cube")]
log_softmax_ops!(burn_cubecl::CubeBackend);
#[cfg(feature = "_cube")]
log_softmax_ops!(burn::backend::fusion::Fusion<B>, B: burn::backend::fusion::FusionBackend);

#[cfg(feature = "ndarray")]
impl RowKernels for burn::backend::NdArray {}

/// Who runs the custom operations on a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(dead_code, reason = "which of them there are depends on the features")]
enum Kernels {
    Direct,
    Generic,
    Gpu,
    /// Nobody: its backend was compiled without them, and calling them would panic.
    Missing,
}

fn kernels(device: &Device) -> Kernels {
    use burn::backend::DispatchDevice;
    fn of(device: &DispatchDevice) -> Kernels {
        match device {
            #[cfg(feature = "flex")]
            DispatchDevice::Flex(_) => Kernels::Direct,
            #[cfg(feature = "ndarray")]
            DispatchDevice::NdArray(_) => Kernels::Generic,
            #[cfg(feature = "_cube")]
            DispatchDevice::Cube(_) => Kernels::Gpu,
            DispatchDevice::Autodiff(inner) => of(inner),
            #[allow(unreachable_patterns, reason = "which variants there are depends on burn's features")]
            _ => Kernels::Missing,
        }
    }
    of(device.as_dispatch())
}

/// Whether `device` runs a backend that was compiled with the operations of this module.
pub(crate) fn is_extended(device: &Device) -> bool {
    kernels(device) != Kernels::Missing
}

/// Whether `device` runs the functions of `pointwise` in one pass.
pub(crate) fn has_pointwise(device: &Device) -> bool {
    kernels(device) == Kernels::Direct
}

/// Whether `device` is one of a GPU runtime.
pub(crate) fn is_gpu(device: &Device) -> bool {
    kernels(device) == Kernels::Gpu
}

/// How many buffers the size of a tile a kernel takes: one where it works in place, six in a backend's own operations.
pub(crate) fn tile_buffers(device: &Device) -> usize {
    if kernels(device) == Kernels::Generic { 6 } else { 1 }
}

/// The lowest finite number of a wide dtype, which stands for "nothing yet" in a maximum.
pub(crate) fn lowest(dtype: DType) -> f64 {
    if dtype == DType::F64 { f64::MIN } else { f64::from(f32::MIN) }
}
