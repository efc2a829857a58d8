//! The kernels for the divergence of two rows of logits and for its gradient.

use cubecl::prelude::*;

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
pub(super) fn kl_rows_kernel<E: Float, F: Float>(
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
    if sum_p[0] == zero {
        // Not `!=`, which NaN may fail too.
    } else {
        log_p_sum = sum_p[0].ln();
    }
    if sum_q[0] == zero {
        // Not `!=`, which NaN may fail too.
    } else {
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
pub(super) fn kl_row_grads_kernel<E: Float, F: Float>(
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
        // A row that nobody asks for has gradient 0, infinite as its divergence may be.
        grads[to + column] = E::cast_from(select(factor == zero, zero, grad * factor));
        column += units as usize;
    }
}
