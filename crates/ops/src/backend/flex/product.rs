//! Matrix products of tensors, into memory that is there already.

use burn::backend::{Flex, TensorMetadata, tensor::FloatTensor};

use super::gemm::{View, gemm};
use super::real::Real;
use super::tensor;

pub(super) fn product<T: Real>(
    lhs: FloatTensor<Flex>,
    rhs: FloatTensor<Flex>,
    into: Option<FloatTensor<Flex>>,
    add: bool,
) -> FloatTensor<Flex> {
    let (m, k, n) = (lhs.shape()[0], lhs.shape()[1], rhs.shape()[1]);
    let multiply = |out: &mut [T], add| {
        let [lhs, rhs] = [&lhs, &rhs].map(view_of::<T>);
        gemm([m, k, n], out, add, lhs, rhs);
    };
    if let Some(mut into) = into {
        let fits = into.is_contiguous() && into.layout().start_offset() == 0 && into.shape() == [m, n].into();
        // A copy is written only where its numbers are needed.
        if fits && (add || into.is_unique()) {
            let out = into.storage_mut::<T>();
            if out.len() == m * n {
                multiply(out, add);
                return into;
            }
        }
        assert!(!add, "a sum is a tensor of its own");
    }
    let mut out = vec![T::ZERO; m * n];
    multiply(&mut out, false);
    tensor(out, [m, n])
}

/// A tensor's memory and strides, none of which is negative in what `product` makes of its operands.
fn view_of<T: Real>(tensor: &FloatTensor<Flex>) -> View<'_, T> {
    let layout = tensor.layout();
    let [row_stride, column_stride] = [0, 1].map(|i| usize::try_from(layout.strides()[i]).expect("checked"));
    View { numbers: tensor.storage::<T>(), start: layout.start_offset(), row_stride, column_stride }
}
