//! The kernel for the state of each row after a block of columns.

use cubecl::prelude::*;

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
    let mut top = max[a];
    let mut column = first[a];
    if max[b] > top {
        top = max[b];
        column = first[b];
    } else if max[b] == top && first[b] < column {
        column = first[b];
    }
    let gap_a = max[a] - top;
    let factor_a = gap_a.exp();
    let gap_b = max[b] - top;
    let factor_b = gap_b.exp();
    let dots = rescaled::<F>(dot[a], sum[a], gap_a, factor_a) + rescaled::<F>(dot[b], sum[b], gap_b, factor_b);
    let sums = sum[a] * factor_a + sum[b] * factor_b;
    let square = squares[a] * factor_a * factor_a + squares[b] * factor_b * factor_b;
    max[a] = top;
    first[a] = column;
    sum[a] = sums;
    dot[a] = dots;
    squares[a] = square;
}

/// `Σ (x - m) exp(x - m)` seen from a maximum that is higher by `-gap`. Masked logits can be as low as numbers go: their
/// gap times their count overflows, and weighs nothing.
#[cube]
fn rescaled<F: Float>(dot: F, sum: F, gap: F, factor: F) -> F {
    let zero = F::from_int(0);
    select(factor == zero, zero, (dot + gap * sum) * factor)
}

#[cube(launch, address_type = "dynamic")]
#[allow(clippy::too_many_arguments, reason = "what a kernel reads are its arguments")]
pub(super) fn row_stats_kernel<E: Float, F: Float, I: Numeric>(
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
            dot = rescaled::<F>(dot, sum, gap, factor);
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
