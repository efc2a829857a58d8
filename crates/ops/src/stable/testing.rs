//! What the tests of this crate share: f64 tensors that record gradients, and finite differences.

use burn::tensor::{DType, Device, Tensor, TensorData};

/// A tracked f64 vector on the CPU.
pub fn tracked(values: &[f64]) -> Tensor<1> {
    let device = Device::flex().autodiff();
    Tensor::from_data(TensorData::new(values.to_vec(), [values.len()]), (&device, DType::F64)).require_grad()
}

/// A tracked f64 tensor without elements.
pub fn none(shape: [usize; 2]) -> Tensor<2> {
    Tensor::zeros(shape, (&Device::flex().autodiff(), DType::F64)).require_grad()
}

pub fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().convert::<f64>().try_to_vec().unwrap()
}

/// Values of `f`, and the gradient of their sum.
pub fn value_and_grad<const D: usize>(at: &[f64], f: impl Fn(Tensor<1>) -> Tensor<D>) -> (Vec<f64>, Vec<f64>) {
    let x = tracked(at);
    let y = f(x.clone());
    assert_eq!(y.dtype(), DType::F64);
    let grad = x.grad(&y.clone().sum().backward()).unwrap();
    (host(y), host(grad))
}

#[track_caller]
pub fn assert_close(got: &[f64], expected: &[f64], relative: f64) {
    assert_eq!(got.len(), expected.len());
    for (g, e) in got.iter().zip(expected) {
        assert!(g == e || (g - e).abs() <= relative * e.abs(), "got {got:?}, expected {expected:?}");
    }
}

/// The gradient of `sum f` equals central differences with step 1e-5 to 1e-8 (+ 1e-8 relative).
#[track_caller]
pub fn assert_gradient<const D: usize>(at: &[f64], f: impl Fn(Tensor<1>) -> Tensor<D>) {
    let (_, grad) = value_and_grad(at, &f);
    for i in 0..at.len() {
        let moved = |step: f64| {
            let mut at = at.to_vec();
            at[i] += step;
            host(f(tracked(&at)).sum())[0]
        };
        let difference = (moved(1e-5) - moved(-1e-5)) / 2e-5;
        assert!((grad[i] - difference).abs() <= 1e-8 * (1.0 + difference.abs()), "{i}: {} {difference}", grad[i]);
    }
}

/// Both sides of every branch, both tails, and zero.
pub const POINTS: [f64; 23] = [
    -1e4, -700.0, -41.0, -37.0, -20.0, -5.0, -1.0, -0.6, -0.5, -0.1, -1e-3, 0.0, 1e-12, 1e-4, 0.0039, 0.0041, 0.3, 0.5,
    0.51, 2.0, 39.9, 40.1, 80.0,
];

pub fn sigmoid(x: f64) -> f64 {
    if x < 0.0 { x.exp() / (1.0 + x.exp()) } else { 1.0 / (1.0 + (-x).exp()) }
}

/// Values and gradients against the host, at f64's relative accuracy.
#[track_caller]
pub fn check(at: &[f64], f: impl Fn(Tensor<1>) -> Tensor<1>, value: fn(f64) -> f64, slope: fn(f64) -> f64) {
    let (values, grads) = value_and_grad(at, f);
    assert_close(&values, &at.iter().map(|&x| value(x)).collect::<Vec<_>>(), 4e-15);
    assert_close(&grads, &at.iter().map(|&x| slope(x)).collect::<Vec<_>>(), 4e-15);
}
