//! The row kernels on the CPU: rows in parallel, columns in the widest vectors the machine has, each logit read once.

mod divergence;
mod elementary;
mod gemm;
mod grads;
mod pointwise;
mod product;
mod real;
mod stats;

use burn::backend::{
    Flex, TensorMetadata,
    ops::FloatTensorOps,
    tensor::{FloatTensor, IntTensor},
};
use burn::tensor::{DType, Element, Shape, TensorData, bf16, f16};
use rayon::prelude::*;

use self::divergence::{kl_row_grads, kl_rows};
use self::grads::row_grads;
use self::product::product;
use self::real::{Logit, Real};
use self::stats::row_stats;
use super::{Products, RowKernels};

/// A tensor's numbers in order; copies only what is not contiguous.
fn numbers<E: Element + bytemuck::Pod, R>(tensor: &FloatTensor<Flex>, read: impl FnOnce(&[E]) -> R) -> R {
    match tensor.as_slice::<E>() {
        Some(numbers) => read(numbers),
        None => read(tensor.to_contiguous().as_slice::<E>().expect("a contiguous tensor of this dtype")),
    }
}

fn host_ids(ids: IntTensor<Flex>) -> Vec<i64> {
    match ids.dtype() {
        DType::I32 => numbers::<i32, _>(&ids, |ids| ids.iter().map(|&id| i64::from(id)).collect()),
        _ => numbers::<i64, _>(&ids, <[i64]>::to_vec),
    }
}

fn tensor<T: Element>(numbers: Vec<T>, shape: impl Into<Shape>) -> FloatTensor<Flex> {
    Flex::float_from_data(TensorData::new(numbers, shape), &Default::default())
}

/// Runs a loop over columns with the widest vectors that this processor has.
fn vectorized<R>(arch: pulp::Arch, run: impl FnOnce() -> R) -> R {
    arch.dispatch(run)
}

/// Turns logits into gradients, row by row: in their own memory when nobody else holds it.
fn map_rows<S: Logit>(mut logits: FloatTensor<Flex>, map: impl Fn(usize, &mut [S]) + Sync) -> FloatTensor<Flex> {
    let shape = logits.shape();
    let columns = shape[1];
    if logits.is_contiguous()
        && logits.layout().start_offset() == 0
        && let Some(own) = logits.try_storage_mut::<S>()
        && own.len() == shape.num_elements()
    {
        own.par_chunks_mut(columns).enumerate().for_each(|(r, row)| map(r, row));
        return logits;
    }
    let mut grads = vec![S::narrow(S::Wide::ZERO); shape.num_elements()];
    numbers::<S, _>(&logits, |logits| {
        grads.par_chunks_mut(columns).zip(logits.par_chunks(columns)).enumerate().for_each(|(r, (row, logits))| {
            row.copy_from_slice(logits);
            map(r, row);
        });
    });
    tensor(grads, shape)
}

/// Calls a function for the dtype of the logits.
macro_rules! by_dtype {
    ($dtype:expr, $function:ident($($argument:expr),*)) => {
        match $dtype {
            DType::F64 => $function::<f64>($($argument),*),
            DType::F32 => $function::<f32>($($argument),*),
            DType::BF16 => $function::<bf16>($($argument),*),
            DType::F16 => $function::<f16>($($argument),*),
            other => unreachable!("logits are floats, not {other:?}"),
        }
    };
}

impl RowKernels for Flex {
    fn row_stats(
        logits: FloatTensor<Self>,
        ids: IntTensor<Self>,
        state: FloatTensor<Self>,
        offset: usize,
        scale: f64,
    ) -> FloatTensor<Self> {
        let ids = host_ids(ids);
        by_dtype!(logits.dtype(), row_stats(&logits, &ids, &state, offset, scale))
    }

    fn row_grads(
        logits: FloatTensor<Self>,
        ids: IntTensor<Self>,
        coefs: FloatTensor<Self>,
        offset: usize,
        scale: f64,
        inverse_cap: f64,
    ) -> FloatTensor<Self> {
        let ids = host_ids(ids);
        by_dtype!(logits.dtype(), row_grads(logits, &ids, &coefs, offset, [scale, inverse_cap]))
    }

    fn kl_rows(
        policy: FloatTensor<Self>,
        reference: FloatTensor<Self>,
        scale: f64,
        forward: bool,
    ) -> FloatTensor<Self> {
        by_dtype!(policy.dtype(), kl_rows(&policy, &reference, scale, forward))
    }

    fn kl_row_grads(
        policy: FloatTensor<Self>,
        reference: FloatTensor<Self>,
        rows: FloatTensor<Self>,
        scale: f64,
        forward: bool,
    ) -> FloatTensor<Self> {
        by_dtype!(policy.dtype(), kl_row_grads(policy, &reference, &rows, scale, forward))
    }
}

impl Products for Flex {
    fn product(
        lhs: FloatTensor<Self>,
        rhs: FloatTensor<Self>,
        into: Option<FloatTensor<Self>>,
        add: bool,
    ) -> FloatTensor<Self> {
        // A flipped view has strides below 0.
        let [lhs, rhs] = [lhs, rhs].map(|tensor| {
            let forward = tensor.layout().strides().iter().all(|stride| *stride >= 0);
            if forward { tensor } else { tensor.to_contiguous() }
        });
        match lhs.dtype() {
            DType::F64 => product::<f64>(lhs, rhs, into, add),
            _ => product::<f32>(lhs, rhs, into, add),
        }
    }
}
