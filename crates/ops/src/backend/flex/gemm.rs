//! Matrix products into given memory, through the `gemm` crate that `flex` itself multiplies with.

use super::real::Real;

/// A matrix in a slice: where it begins, and the distance between its rows and between its columns.
#[derive(Debug, Clone, Copy)]
pub(super) struct View<'a, T> {
    pub numbers: &'a [T],
    pub start: usize,
    pub row_stride: usize,
    pub column_stride: usize,
}

impl<T> View<'_, T> {
    /// Panics unless every element of a matrix of this size lies in the slice.
    fn check(&self, rows: usize, columns: usize) {
        let row = self.row_stride.checked_mul(rows - 1);
        let column = self.column_stride.checked_mul(columns - 1);
        let last = row.zip(column).and_then(|(row, column)| row.checked_add(column)?.checked_add(self.start));
        assert!(last.is_some_and(|last| last < self.numbers.len()), "a matrix lies within its memory");
        assert!(self.row_stride.max(self.column_stride) <= isize::MAX as usize, "strides are signed");
    }
}

/// `out = lhs · rhs`, or `out += lhs · rhs` if `add`; `out` is `[m, n]` row by row, the inner size is `k`. None may be 0.
#[allow(
    unsafe_code,
    reason = "`gemm` takes pointers; every element it reads and writes was checked to be in its slice"
)]
pub(super) fn gemm<T: Real>([m, k, n]: [usize; 3], out: &mut [T], add: bool, lhs: View<'_, T>, rhs: View<'_, T>) {
    assert!(m > 0 && k > 0 && n > 0 && m.checked_mul(n) == Some(out.len()), "the output has its size");
    lhs.check(m, k);
    rhs.check(k, n);
    let parallelism = if m.saturating_mul(n).saturating_mul(k) < 1 << 21 {
        gemm::Parallelism::None
    } else {
        gemm::Parallelism::Rayon(0)
    };
    // SAFETY: `out` is exclusive and holds `m · n` elements, `check` has bounded every offset into the other two, and
    // `T` is f32 or f64, which `gemm` knows by their type.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            n as isize,
            add,
            lhs.numbers.as_ptr().add(lhs.start),
            lhs.column_stride as isize,
            lhs.row_stride as isize,
            rhs.numbers.as_ptr().add(rhs.start),
            rhs.column_stride as isize,
            rhs.row_stride as isize,
            T::ONE,
            T::ONE,
            false,
            false,
            false,
            parallelism,
        );
    }
}
