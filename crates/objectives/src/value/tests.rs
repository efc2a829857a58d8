//! What every value objective must do, and helpers for their own tests.

use accordant_laws::gradient::central;
use burn::tensor::{DType, Device, TensorData};

use super::*;
use crate::{
    advantage::scan::tests::{grid, keep, near},
    pairwise::tests::column,
};

/// One prediction and one return in each row.
pub(crate) fn batch(values: &[f64], returns: &[f64]) -> ValueBatch {
    let rows = |numbers: &[f64]| grid(&numbers.iter().map(|number| [*number]).collect::<Vec<_>>());
    ValueBatch::new(rows(values), rows(returns), keep(&vec![[1]; values.len()])).unwrap()
}

/// The numbers of a tensor, row by row.
pub(crate) fn flat<const D: usize>(tensor: &Tensor<D>) -> Vec<f64> {
    column(&tensor.clone().flatten::<1>(0, D - 1))
}

/// Losses, and the gradient of their sum with respect to the values. Nothing else has a gradient.
pub(crate) fn values_and_gradients(batch: ValueBatch, objective: &dyn ValueObjective) -> (Vec<f64>, Vec<f64>) {
    let lift = |tensor: Tensor<2>| tensor.autodiff().require_grad();
    let mask = Tensor::from_bool(batch.mask.to_data(), &Device::flex().autodiff());
    let (values, returns) = (lift(batch.values), lift(batch.returns));
    let old_values = batch.old_values.map(lift);
    let lifted = ValueBatch { values: values.clone(), returns: returns.clone(), mask, old_values: old_values.clone() };
    let output = objective.forward(&lifted).unwrap();
    let grads = output.losses.clone().sum().backward();
    assert!(returns.grad(&grads).is_none(), "returns are constants");
    assert!(old_values.is_none_or(|old| old.grad(&grads).is_none()), "earlier predictions are constants");
    assert!(!output.values.is_require_grad() && !output.returns.is_require_grad());
    (flat(&output.losses), flat(&values.grad(&grads).unwrap()))
}

/// Predictions on both sides of their returns, with gaps; what stands in them is `junk`.
fn ragged(junk: f64) -> ValueBatch {
    let values = grid(&[[0.3, junk, -1.2, 0.8], [junk, 2.0, 0.1, junk], [junk; 4]]);
    let returns = grid(&[[0.9, junk, -2.0, 0.2], [junk, 1.1, 1.3, junk], [junk; 4]]);
    let old = grid(&[[0.25, junk, -0.4, 1.6], [junk, 2.1, -0.7, junk], [junk; 4]]);
    let mask = keep(&[[1, 0, 1, 1], [0, 1, 1, 0], [0; 4]]);
    ValueBatch::new(values, returns, mask).unwrap().with_old_values(old).unwrap()
}

/// Gradients are those of finite differences, targets are constants, nothing leaks from behind the mask, extremes are
/// finite, losses are not negative, half precision is computed in f32, and nothing gives nothing.
#[track_caller]
pub(crate) fn check_objective(objective: &dyn ValueObjective) {
    let (losses, grads) = values_and_gradients(ragged(0.0), objective);
    for junk in [f64::NAN, f64::INFINITY, 1e300] {
        assert_eq!(values_and_gradients(ragged(junk), objective), (losses.clone(), grads.clone()));
    }
    for (at, grad) in grads.iter().enumerate() {
        let loss = |value: f64| {
            let mut batch = ragged(0.0);
            let mut values = flat(&batch.values);
            values[at] = value;
            batch.values = Tensor::from_data(TensorData::new(values, [3, 4]), (&Device::flex(), DType::F64));
            flat(&objective.forward(&batch).unwrap().losses).iter().sum::<f64>()
        };
        let expected = central(loss, flat(&ragged(0.0).values)[at], 1e-5);
        assert!((grad - expected).abs() < 1e-8, "{at}: {grad} {expected}");
    }
    let masked = flat(&ragged(0.0).mask.cast(FloatDType::F64));
    for ((loss, grad), kept) in losses.iter().zip(&grads).zip(masked) {
        assert!(if kept == 1.0 { *loss > 0.0 } else { (*loss, *grad) == (0.0, 0.0) });
    }

    for dtype in [DType::F32, DType::F64] {
        let cast = |tensor: Tensor<2>| tensor.cast(dtype);
        let (values, returns) = (grid(&[[1e4, -1e4, 0.0, 0.0]]), grid(&[[-1e4, 1e4, 1e4, -1e4]]));
        let extreme = ValueBatch::new(cast(values), cast(returns.clone()), keep(&[[1; 4]])).unwrap();
        let (losses, grads) = values_and_gradients(extreme.with_old_values(cast(returns)).unwrap(), objective);
        assert!(losses.iter().chain(&grads).all(|number| number.is_finite()), "{losses:?} {grads:?}");
    }

    let mut half = ragged(f64::NAN);
    half.values = half.values.cast(DType::BF16);
    let output = objective.forward(&half).unwrap();
    assert_eq!(output.losses.dtype(), DType::F32, "returns in f64 with predictions in bf16");
    near(&flat(&output.losses), &losses, 0.05);

    for shape in [[0, 3], [2, 0]] {
        let none = || Tensor::<2>::zeros(shape, (&Device::flex(), DType::F64));
        let empty = ValueBatch::new(none(), none(), none().equal_scalar(1.0)).unwrap();
        let output = objective.forward(&empty.with_old_values(none()).unwrap()).unwrap();
        assert_eq!(output.losses.dims(), shape);
        assert_eq!(flat(&output.reduce(accordant_ops::Aggregation::TokenMean).unwrap().loss), [0.0]);
    }
}
