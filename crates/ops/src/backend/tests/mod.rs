//! What lies below the differentiable operations, on the primitives of `flex`.

mod kernels;
mod pieces;

use burn::backend::{
    Flex, TensorMetadata,
    ops::{FloatTensorOps, IntTensorOps},
    tensor::{FloatTensor, IntTensor},
};
use burn::tensor::{DType, Element, TensorData, bf16, f16};

use super::*;

/// Standard uniform numbers in -1..1, the same at every run.
fn noise(seed: u64, count: usize) -> Vec<f64> {
    let number = |i: u64| {
        let mut z = (seed << 32 | i).wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    };
    (0..count as u64).map(number).collect()
}

fn floats(values: &[f64], shape: [usize; 2], dtype: DType) -> FloatTensor<Flex> {
    let data = TensorData::new(values.to_vec(), shape).convert_dtype(dtype);
    Flex::float_from_data(data, &Default::default())
}

fn ints(values: &[i32]) -> IntTensor<Flex> {
    Flex::int_from_data(TensorData::new(values.to_vec(), [values.len()]), &Default::default())
}

fn host(tensor: &FloatTensor<Flex>) -> Vec<f64> {
    fn read<E: Element + bytemuck::Pod>(tensor: &FloatTensor<Flex>) -> Vec<f64> {
        tensor.to_contiguous().as_slice::<E>().unwrap().iter().map(|x| x.elem::<f64>()).collect()
    }
    match tensor.dtype() {
        DType::F64 => read::<f64>(tensor),
        DType::F32 => read::<f32>(tensor),
        DType::BF16 => read::<bf16>(tensor),
        _ => read::<f16>(tensor),
    }
}

#[track_caller]
fn assert_near(got: &FloatTensor<Flex>, expected: &FloatTensor<Flex>, context: &str) {
    let bound = match got.dtype() {
        DType::F64 => 1e-12,
        DType::F32 => 3e-6,
        DType::BF16 => 2f64.powi(-7),
        _ => 2f64.powi(-10),
    };
    assert_within(bound, got, expected, context);
}

/// A bound relative to the larger of 1 and the number.
#[track_caller]
fn assert_within(bound: f64, got: &FloatTensor<Flex>, expected: &FloatTensor<Flex>, context: &str) {
    assert_eq!((got.shape(), got.dtype()), (expected.shape(), expected.dtype()), "{context}");
    let (got, expected) = (host(got), host(expected));
    for (i, (got, expected)) in got.iter().zip(&expected).enumerate() {
        let near = (got - expected).abs() <= bound * expected.abs().max(1.0);
        assert!(near || got == expected || got.is_nan() && expected.is_nan(), "{context} [{i}]: {got} {expected}");
    }
}
