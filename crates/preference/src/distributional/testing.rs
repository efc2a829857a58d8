//! What the tests of this family share: f64 tensors and finite differences.

use accordant_laws::gradient::check_gradient;
use burn::tensor::{DType, Device, Tensor, TensorData};

pub(crate) fn vector(values: &[f64]) -> Tensor<1> {
    Tensor::from_data(TensorData::from(values), (&Device::flex(), DType::F64))
}

pub(crate) fn matrix(values: &[f64], columns: usize) -> Tensor<2> {
    let shape = [values.len() / columns, columns];
    Tensor::from_data(TensorData::new(values.to_vec(), shape), (&Device::flex(), DType::F64))
}

/// Constants that go with `x`.
pub(crate) fn like(x: &Tensor<1>, values: &[f64]) -> Tensor<1> {
    Tensor::from_data(TensorData::from(values), (&x.device(), DType::F64))
}

pub(crate) fn host<const D: usize>(tensor: &Tensor<D>) -> Vec<f64> {
    tensor.clone().try_to_vec_as::<f64>().unwrap()
}

/// A vector whose gradient is recorded.
pub(crate) fn leaf(values: &[f64]) -> Tensor<1> {
    Tensor::from_data(TensorData::from(values), (&Device::flex().autodiff(), DType::F64)).require_grad()
}

/// The gradient of the sum of `f`.
pub(crate) fn gradient<const D: usize>(at: &[f64], f: impl Fn(Tensor<1>) -> Tensor<D>) -> Vec<f64> {
    let x = leaf(at);
    let gradients = f(x.clone()).sum().backward();
    host(&x.grad(&gradients).unwrap())
}

/// The gradient of the sum of `f` is that of finite differences.
#[track_caller]
pub(crate) fn check_gradients<const D: usize>(at: &[f64], f: impl Fn(Tensor<1>) -> Tensor<D>) {
    check_gradient(|x| host(&f(leaf(x)).sum())[0], at, &gradient(at, &f)).unwrap();
}

#[track_caller]
pub(crate) fn near(got: &[f64], expected: &[f64], tolerance: f64) {
    let close = |(a, b): (&f64, &f64)| a == b || (a - b).abs() <= tolerance;
    assert!(got.len() == expected.len() && got.iter().zip(expected).all(close), "got {got:?}, expected {expected:?}");
}

#[track_caller]
pub(crate) fn starts<T: std::fmt::Debug>(result: crate::Result<T>, start: &str) {
    let error = result.unwrap_err().to_string();
    assert!(error.starts_with(start), "{error}");
}
