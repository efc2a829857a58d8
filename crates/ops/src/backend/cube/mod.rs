//! The row kernels on every GPU runtime: one cube of threads a row. Each thread goes over its columns once, with a
//! maximum and sums of its own; the threads then merge theirs in shared memory.
//!
//! WGSL promises nothing of infinities, so "nothing yet" is the lowest finite number here too, and no kernel writes an
//! infinity of its own. What must not swallow a NaN asks `== 0`: in WGSL's compilers `!= 0` is false for a NaN.

mod divergence;
mod grads;
mod stats;

use std::sync::atomic::{AtomicU64, Ordering};

use burn::backend::cubecl::dtype_to_storage_type;
use burn::backend::{
    TensorMetadata,
    tensor::{FloatTensor, IntTensor},
};
use burn_cubecl::{
    CubeBackend, kernel::into_contiguous, ops::numeric::empty_device_contiguous_dtype, tensor::CubeTensor,
};
use cubecl::prelude::*;

use self::divergence::{kl_row_grads_kernel, kl_rows_kernel};
use self::grads::row_grads_kernel;
use self::stats::row_stats_kernel;
use super::{DIVERGENCE, RowKernels, lowest, wide};

/// Threads of a row, at most; a power of two.
const UNITS: u32 = 256;

/// Rows of one launch: the most cubes that every runtime takes along one axis.
const MAX_ROWS: usize = 65_535;

/// Launches so far, by which tests know that the kernels are really taken.
static LAUNCHES: AtomicU64 = AtomicU64::new(0);

/// How many kernels of this module were launched in this process.
pub(crate) fn launches() -> u64 {
    LAUNCHES.load(Ordering::Relaxed)
}

/// How the rows of `logits` are launched: threads of a row, and the first row and the number of rows of each launch.
fn launch(logits: &CubeTensor, mut run: impl FnMut(CubeCount, CubeDim, u32, u32)) {
    let most = logits.client.properties().hardware.max_cube_dim.0.min(UNITS);
    let units = 1 << most.ilog2();
    let rows = logits.shape()[0];
    for base in (0..rows).step_by(MAX_ROWS) {
        let count = (rows - base).min(MAX_ROWS) as u32;
        LAUNCHES.fetch_add(1, Ordering::Relaxed);
        run(CubeCount::Static(count, 1, 1), CubeDim::new_1d(units), base as u32, units);
    }
}

/// New memory in row order. burn pads the rows of a tensor on CUDA and ROCm otherwise.
fn empty_like(tensor: &CubeTensor, shape: impl Into<burn::tensor::Shape>, dtype: burn::tensor::DType) -> CubeTensor {
    empty_device_contiguous_dtype(tensor.client.clone(), tensor.device.clone(), shape.into(), dtype)
}

/// Logits whose columns lie side by side, wherever the rows begin: a copy only of what is transposed or tiled.
fn by_rows(logits: CubeTensor) -> CubeTensor {
    let aligned = !logits.meta.is_tiled() && (logits.meta.strides()[1] == 1 || logits.shape()[1] == 1);
    if aligned { logits } else { into_contiguous(logits) }
}

/// Addresses wide enough for the largest of some tensors: one of more than 2³² elements needs 64 bits.
fn addresses(tensors: &[&CubeTensor]) -> AddressType {
    tensors.iter().map(|tensor| tensor.required_address_type()).max().unwrap_or_default()
}

fn scalar(value: f64, dtype: burn::tensor::DType) -> InputScalar {
    InputScalar::new(value, dtype_to_storage_type(dtype))
}

impl RowKernels for CubeBackend {
    fn row_stats(
        logits: FloatTensor<Self>,
        ids: IntTensor<Self>,
        state: FloatTensor<Self>,
        offset: usize,
        scale: f64,
    ) -> FloatTensor<Self> {
        let (logits, [ids, state]) = (by_rows(logits), [ids, state].map(into_contiguous));
        let after = empty_like(&state, state.shape(), state.dtype);
        let dtypes = [logits.dtype, state.dtype, ids.dtype].map(dtype_to_storage_type);
        launch(&logits, |count, dim, base, units| {
            row_stats_kernel::launch(
                &logits.client,
                count,
                dim,
                addresses(&[&logits, &state, &after]),
                logits.clone().into_tensor_arg(),
                ids.clone().into_tensor_arg(),
                state.clone().into_tensor_arg(),
                after.clone().into_tensor_arg(),
                scalar(scale, state.dtype),
                scalar(lowest(state.dtype), state.dtype),
                offset as u32,
                base,
                units,
                dtypes,
            );
        });
        after
    }

    fn row_grads(
        logits: FloatTensor<Self>,
        ids: IntTensor<Self>,
        coefs: FloatTensor<Self>,
        offset: usize,
        scale: f64,
        inverse_cap: f64,
    ) -> FloatTensor<Self> {
        let (logits, [ids, coefs]) = (by_rows(logits), [ids, coefs].map(into_contiguous));
        let in_place = logits.can_mut() && logits.is_nonoverlapping();
        let grads = if in_place { logits.clone() } else { empty_like(&logits, logits.shape(), logits.dtype) };
        let dtypes = [logits.dtype, coefs.dtype, ids.dtype].map(dtype_to_storage_type);
        launch(&logits, |count, dim, base, units| {
            let output = if in_place { grads.as_tensor_alias(0) } else { grads.clone().into_tensor_arg() };
            row_grads_kernel::launch(
                &logits.client,
                count,
                dim,
                addresses(&[&logits, &coefs, &grads]),
                logits.clone().into_tensor_arg(),
                ids.clone().into_tensor_arg(),
                coefs.clone().into_tensor_arg(),
                output,
                scalar(scale, coefs.dtype),
                scalar(inverse_cap, coefs.dtype),
                offset as u32,
                base,
                units,
                dtypes,
            );
        });
        grads
    }

    fn kl_rows(
        policy: FloatTensor<Self>,
        reference: FloatTensor<Self>,
        scale: f64,
        forward: bool,
    ) -> FloatTensor<Self> {
        let [policy, reference] = [policy, reference].map(by_rows);
        let dtype = wide(policy.dtype);
        let output = empty_like(&policy, [DIVERGENCE, policy.shape()[0]], dtype);
        let dtypes = [policy.dtype, dtype].map(dtype_to_storage_type);
        launch(&policy, |count, dim, base, units| {
            kl_rows_kernel::launch(
                &policy.client,
                count,
                dim,
                addresses(&[&policy, &reference, &output]),
                policy.clone().into_tensor_arg(),
                reference.clone().into_tensor_arg(),
                output.clone().into_tensor_arg(),
                scalar(scale, dtype),
                scalar(lowest(dtype), dtype),
                base,
                units,
                forward,
                dtypes,
            );
        });
        output
    }

    fn kl_row_grads(
        policy: FloatTensor<Self>,
        reference: FloatTensor<Self>,
        rows: FloatTensor<Self>,
        scale: f64,
        forward: bool,
    ) -> FloatTensor<Self> {
        let ([policy, reference], rows) = ([policy, reference].map(by_rows), into_contiguous(rows));
        let in_place = policy.can_mut() && policy.is_nonoverlapping();
        let grads = if in_place { policy.clone() } else { empty_like(&policy, policy.shape(), policy.dtype) };
        let dtypes = [policy.dtype, rows.dtype].map(dtype_to_storage_type);
        launch(&policy, |count, dim, base, units| {
            let output = if in_place { grads.as_tensor_alias(0) } else { grads.clone().into_tensor_arg() };
            kl_row_grads_kernel::launch(
                &policy.client,
                count,
                dim,
                addresses(&[&policy, &reference, &grads]),
                policy.clone().into_tensor_arg(),
                reference.clone().into_tensor_arg(),
                rows.clone().into_tensor_arg(),
                output,
                scalar(scale, rows.dtype),
                base,
                units,
                forward,
                dtypes,
            );
        });
        grads
    }
}
