//! What tests of losses of scores share.

use accordant_laws::gradient::check_gradient;
use burn::tensor::{Bool, DType, Device, Tensor, TensorData};

use crate::pairwise::PairScores;

/// A column of f64 on the CPU.
pub fn tensor(values: &[f64]) -> Tensor<1> {
    Tensor::from_data(TensorData::from(values), (&Device::flex(), DType::F64))
}

/// Rows of f64 on the CPU.
pub fn rows<const N: usize, const M: usize>(values: [[f64; M]; N]) -> Tensor<2> {
    Tensor::from_data(TensorData::from(values), (&Device::flex(), DType::F64))
}

/// Rows of a mask, 1 where a position counts.
pub fn mask<const N: usize, const M: usize>(values: [[u8; M]; N]) -> Tensor<2, Bool> {
    Tensor::from_bool(TensorData::from(values.map(|row| row.map(|one| one == 1))), &Device::flex())
}

/// Back to the host.
pub fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.try_to_vec_as::<f64>().unwrap()
}

/// Pairs of these scores, of which the first won.
pub fn pairs(first: &[f64], second: &[f64]) -> PairScores {
    PairScores::new(tensor(first), tensor(second)).unwrap()
}

#[track_caller]
pub fn close(got: &[f64], expected: &[f64], tolerance: f64) {
    let near = |(a, b): (&f64, &f64)| (a - b).abs() <= tolerance || a == b;
    assert!(got.len() == expected.len() && got.iter().zip(expected).all(near), "{got:?} is not {expected:?}");
}

/// Checks the gradient of the summed result of `f` by finite differences; returns it.
#[track_caller]
pub fn check<const D: usize>(at: &[f64], f: impl Fn(Tensor<1>) -> Tensor<D>) -> Vec<f64> {
    let device = Device::flex().autodiff();
    let point = |x: &[f64]| Tensor::<1>::from_data(TensorData::from(x), (&device, DType::F64));
    let input = point(at).require_grad();
    let gradients = f(input.clone()).sum().backward();
    let gradient = values(input.grad(&gradients).unwrap());
    check_gradient(|x| values(f(point(x))).iter().sum(), at, &gradient).unwrap();
    gradient
}
