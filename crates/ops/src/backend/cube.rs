//! The row kernels on every GPU runtime: one cube of threads a row. Each thread goes over its columns once, with a
//! maximum and sums of its own; the threads then merge theirs in shared memory.
//!
//! WGSL promises nothing of infinities, so "nothing yet" is the lowest finite number here too, and no kernel writes an
//! infinity of its own. What must not swallow a NaN asks `== 0`: in WGSL's compilers `!= 0` is false for a NaN.

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

/// Merges the states of two sets of columns, in the arrays at `a` and `b`, into those at `a`.
#[cube]
#[allow(clippy::too_many_arguments, reason = "a state is seven numbers")]
fn merge<F: Float>(
    max: &mut Shared<[F]>,
    sum: &mut Shared<[F]>,
    dot: &mut Shared<[F]>,
    squares: &mut Shared<[F]>,
    first: &mut Shared<[u32]>,
    a: usize,
    b: usize,
) {
    let zero = F::from_int(0);
    let mut top = max[a];
    let mut column = first[a];
    if max[b] > top {
        top = max[b];
        column = first[b];
    } else if max[b] == top && first[b] < column {
        column = first[b];
    }
    let mut sums = F::from_int(0);
    let mut dots = F::from_int(0);
    let mut square = F::from_int(0);
    if sum[a] == zero {
        // Nothing yet. Not `!=`: a comparison with NaN is false to some drivers, whichever it is.
    } else {
        let gap = max[a] - top;
        let factor = gap.exp();
        sums += sum[a] * factor;
        dots += (dot[a] + gap * sum[a]) * factor;
        square += squares[a] * factor * factor;
    }
    if sum[b] == zero {
        // Nothing yet. Not `!=`: a comparison with NaN is false to some drivers, whichever it is.
    } else {
        let gap = max[b] - top;
        let factor = gap.exp();
        sums += sum[b] * factor;
        dots += (dot[b] + gap * sum[b]) * factor;
        square += squares[b] * factor * factor;
    }
    max[a] = top;
    first[a] = column;
    sum[a] = sums;
    dot[a] = dots;
    squares[a] = square;
}

#[cube(launch, address_type = "dynamic")]
#[allow(clippy::too_many_arguments, reason = "what a kernel reads are its arguments")]
fn row_stats_kernel<E: Float, F: Float, I: Numeric>(
    logits: &Tensor<E>,
    ids: &Tensor<I>,
    before: &Tensor<F>,
    after: &mut Tensor<F>,
    scale: InputScalar,
    lowest: InputScalar,
    offset: u32,
    base: u32,
    #[comptime] units: u32,
    #[define(E, F, I)] _dtypes: [ElemType; 3],
) {
    let row = (base + CUBE_POS_X) as usize;
    let unit = UNIT_POS_X as usize;
    let columns = logits.shape(1);
    let scale = scale.get::<F>();
    let zero = F::from_int(0);
    let from = row * logits.stride(0);
    // The last place is for the columns before these.
    let last = comptime![units as usize];
    let places = comptime![units as usize + 1];
    let mut maxes = Shared::<[F]>::new_slice(places);
    let mut sums = Shared::<[F]>::new_slice(places);
    let mut dots = Shared::<[F]>::new_slice(places);
    let mut squares = Shared::<[F]>::new_slice(places);
    let mut firsts = Shared::<[u32]>::new_slice(places);
    let mut totals = Shared::<[F]>::new_slice(places);

    let mut max = lowest.get::<F>();
    let mut sum = F::from_int(0);
    let mut dot = F::from_int(0);
    let mut square = F::from_int(0);
    let mut total = F::from_int(0);
    let mut first = 0u32;
    let mut column = UNIT_POS_X as usize;
    while column < columns {
        let x = F::cast_from(logits[from + column]) * scale;
        if x > max {
            let gap = max - x;
            let factor = gap.exp();
            if sum != zero {
                dot = (dot + gap * sum) * factor;
            }
            sum *= factor;
            square *= factor * factor;
            max = x;
            first = offset + column as u32;
        }
        let gap = x - max;
        let exp = gap.exp();
        sum += exp;
        if exp != zero {
            dot += gap * exp;
        }
        square += exp * exp;
        total += x;
        column += units as usize;
    }
    maxes[unit] = max;
    sums[unit] = sum;
    dots[unit] = dot;
    squares[unit] = square;
    totals[unit] = total;
    firsts[unit] = first;
    sync_cube();

    let mut stride = CUBE_DIM_X as usize / 2;
    while stride > 0 {
        if unit < stride {
            merge::<F>(&mut maxes, &mut sums, &mut dots, &mut squares, &mut firsts, unit, unit + stride);
            let other = totals[unit + stride];
            totals[unit] += other;
        }
        sync_cube();
        stride /= 2;
    }

    if unit == 0 {
        let here = row * before.stride(1);
        let step = before.stride(0);
        maxes[last] = before[here];
        sums[last] = before[here + step];
        dots[last] = before[here + 2 * step];
        squares[last] = before[here + 3 * step];
        firsts[last] = u32::cast_from(before[here + 5 * step]);
        merge::<F>(&mut maxes, &mut sums, &mut dots, &mut squares, &mut firsts, 0, last);
        let mut picked = before[here + 4 * step];
        let id = u32::cast_from(ids[row * ids.stride(0)]);
        if id >= offset && id < offset + columns as u32 {
            picked += F::cast_from(logits[from + (id - offset) as usize]) * scale;
        }
        let there = row * after.stride(1);
        let stride = after.stride(0);
        after[there] = maxes[0];
        after[there + stride] = sums[0];
        after[there + 2 * stride] = dots[0];
        after[there + 3 * stride] = squares[0];
        after[there + 4 * stride] = picked;
        after[there + 5 * stride] = F::cast_from(firsts[0]);
        after[there + 6 * stride] = before[here + 6 * step] + totals[0];
    }
}

#[cube(launch, address_type = "dynamic")]
#[allow(clippy::too_many_arguments, reason = "what a kernel reads are its arguments")]
fn row_grads_kernel<E: Float, F: Float, I: Numeric>(
    logits: &Tensor<E>,
    ids: &Tensor<I>,
    coefs: &Tensor<F>,
    grads: &mut Tensor<E>,
    scale: InputScalar,
    inverse_cap: InputScalar,
    offset: u32,
    base: u32,
    #[comptime] units: u32,
    #[define(E, F, I)] _dtypes: [ElemType; 3],
) {
    let row = (base + CUBE_POS_X) as usize;
    let columns = logits.shape(1);
    let from = row * logits.stride(0);
    let to = row * grads.stride(0);
    let here = row * coefs.stride(1);
    let step = coefs.stride(0);
    let scale = scale.get::<F>();
    let inverse_cap = inverse_cap.get::<F>();
    let one = F::from_int(1);
    let zero = F::from_int(0);
    let max = coefs[here];
    let log_sum = coefs[here + step];
    let a = coefs[here + 2 * step];
    let b = coefs[here + 3 * step];
    let c = coefs[here + 4 * step];
    let picked = coefs[here + 5 * step];
    let id = u32::cast_from(ids[row * ids.stride(0)]);
    let mut column = UNIT_POS_X as usize;
    while column < columns {
        let mut grad = F::from_int(0);
        let idle = a == zero && b == zero && c == zero && picked == zero;
        if !idle {
            let x = F::cast_from(logits[from + column]);
            let log_p = (x * scale - max) - log_sum;
            let p = log_p.exp();
            grad = select(p == zero, zero, p * (a + b * log_p + c * p));
            if offset + column as u32 == id {
                grad += picked;
            }
            if inverse_cap != zero {
                grad *= (one - x * x) * inverse_cap;
            }
        }
        grads[to + column] = E::cast_from(grad * scale);
        column += units as usize;
    }
}

/// Merges maxima and sums of exponentials at `b` into those at `a`.
#[cube]
fn merge_sums<F: Float>(max: &mut Shared<[F]>, sum: &mut Shared<[F]>, a: usize, b: usize) {
    let mut top = max[a];
    if max[b] > top {
        top = max[b];
    }
    let sums = sum[a] * (max[a] - top).exp() + sum[b] * (max[b] - top).exp();
    max[a] = top;
    sum[a] = sums;
}

#[cube(launch, address_type = "dynamic")]
#[allow(clippy::too_many_arguments, reason = "what a kernel reads are its arguments")]
fn kl_rows_kernel<E: Float, F: Float>(
    policy: &Tensor<E>,
    reference: &Tensor<E>,
    output: &mut Tensor<F>,
    scale: InputScalar,
    lowest: InputScalar,
    base: u32,
    #[comptime] units: u32,
    #[comptime] forward: bool,
    #[define(E, F)] _dtypes: [ElemType; 2],
) {
    let row = (base + CUBE_POS_X) as usize;
    let unit = UNIT_POS_X as usize;
    let columns = policy.shape(1);
    let from_p = row * policy.stride(0);
    let from_q = row * reference.stride(0);
    let scale = scale.get::<F>();
    let zero = F::from_int(0);
    let mut max_p = Shared::<[F]>::new_slice(units as usize);
    let mut sum_p = Shared::<[F]>::new_slice(units as usize);
    let mut max_q = Shared::<[F]>::new_slice(units as usize);
    let mut sum_q = Shared::<[F]>::new_slice(units as usize);
    let mut terms = Shared::<[F]>::new_slice(units as usize);

    let mut top_p = lowest.get::<F>();
    let mut top_q = lowest.get::<F>();
    let mut total_p = F::from_int(0);
    let mut total_q = F::from_int(0);
    let mut column = UNIT_POS_X as usize;
    while column < columns {
        let x = F::cast_from(policy[from_p + column]) * scale;
        if x > top_p {
            total_p *= (top_p - x).exp();
            top_p = x;
        }
        total_p += (x - top_p).exp();
        let y = F::cast_from(reference[from_q + column]) * scale;
        if y > top_q {
            total_q *= (top_q - y).exp();
            top_q = y;
        }
        total_q += (y - top_q).exp();
        column += units as usize;
    }
    max_p[unit] = top_p;
    sum_p[unit] = total_p;
    max_q[unit] = top_q;
    sum_q[unit] = total_q;
    sync_cube();
    let mut stride = CUBE_DIM_X as usize / 2;
    while stride > 0 {
        if unit < stride {
            merge_sums::<F>(&mut max_p, &mut sum_p, unit, unit + stride);
            merge_sums::<F>(&mut max_q, &mut sum_q, unit, unit + stride);
        }
        sync_cube();
        stride /= 2;
    }

    let at_p = max_p[0];
    let at_q = max_q[0];
    // Where there is no probability, 0 leaves its logarithm at −∞.
    let mut log_p_sum = F::from_int(0);
    let mut log_q_sum = F::from_int(0);
    if sum_p[0] != zero {
        log_p_sum = sum_p[0].ln();
    }
    if sum_q[0] != zero {
        log_q_sum = sum_q[0].ln();
    }
    let mut term = F::from_int(0);
    let mut column = UNIT_POS_X as usize;
    while column < columns {
        let log_p = (F::cast_from(policy[from_p + column]) * scale - at_p) - log_p_sum;
        let log_q = (F::cast_from(reference[from_q + column]) * scale - at_q) - log_q_sum;
        if comptime![forward] {
            let q = log_q.exp();
            term += select(q == zero, zero, q * (log_q - log_p));
        } else {
            let p = log_p.exp();
            term += select(p == zero, zero, p * (log_p - log_q));
        }
        column += units as usize;
    }
    terms[unit] = term;
    sync_cube();
    let mut stride = CUBE_DIM_X as usize / 2;
    while stride > 0 {
        if unit < stride {
            let other = terms[unit + stride];
            terms[unit] += other;
        }
        sync_cube();
        stride /= 2;
    }
    if unit == 0 {
        let there = row * output.stride(1);
        let stride = output.stride(0);
        output[there] = terms[0];
        output[there + stride] = at_p;
        output[there + 2 * stride] = log_p_sum;
        output[there + 3 * stride] = at_q;
        output[there + 4 * stride] = log_q_sum;
        let mut factor = F::from_int(1);
        if comptime![forward] {
            if sum_q[0] == zero {
                factor = F::from_int(0);
            }
        } else if sum_p[0] == zero {
            factor = F::from_int(0);
        }
        output[there + 5 * stride] = factor;
    }
}

#[cube(launch, address_type = "dynamic")]
#[allow(clippy::too_many_arguments, reason = "what a kernel reads are its arguments")]
fn kl_row_grads_kernel<E: Float, F: Float>(
    policy: &Tensor<E>,
    reference: &Tensor<E>,
    known: &Tensor<F>,
    grads: &mut Tensor<E>,
    scale: InputScalar,
    base: u32,
    #[comptime] units: u32,
    #[comptime] forward: bool,
    #[define(E, F)] _dtypes: [ElemType; 2],
) {
    let row = (base + CUBE_POS_X) as usize;
    let columns = policy.shape(1);
    let here = row * known.stride(1);
    let step = known.stride(0);
    let from_p = row * policy.stride(0);
    let from_q = row * reference.stride(0);
    let to = row * grads.stride(0);
    let scale = scale.get::<F>();
    let zero = F::from_int(0);
    let kl = known[here];
    let at_p = known[here + step];
    let log_p_sum = known[here + 2 * step];
    let at_q = known[here + 3 * step];
    let log_q_sum = known[here + 4 * step];
    let factor = known[here + 5 * step] * scale;
    let mut column = UNIT_POS_X as usize;
    while column < columns {
        let log_p = (F::cast_from(policy[from_p + column]) * scale - at_p) - log_p_sum;
        let log_q = (F::cast_from(reference[from_q + column]) * scale - at_q) - log_q_sum;
        let p = log_p.exp();
        let mut grad = p - log_q.exp();
        if comptime![!forward] {
            grad = select(p == zero, zero, p * ((log_p - log_q) - kl));
        }
        grads[to + column] = E::cast_from(grad * factor);
        column += units as usize;
    }
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
