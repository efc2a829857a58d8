//! What the tests of this family share.

use accordant_laws::models::{PairLosses, Pairs};
use burn::tensor::{Bool, DType, Device, Tensor, TensorData};

use super::{PairScores, PairwiseLoss, PairwiseModel};
use crate::ItemReduction;

/// An f64 vector.
pub(crate) fn tensor(values: &[f64], device: &Device) -> Tensor<1> {
    Tensor::from_data(TensorData::new(values.to_vec(), [values.len()]), (device, DType::F64))
}

/// Truth values.
pub(crate) fn bools(values: &[bool]) -> Tensor<1, Bool> {
    Tensor::from_data(TensorData::new(values.to_vec(), [values.len()]), &Device::flex())
}

pub(crate) fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.try_to_vec_as::<f64>().unwrap()
}

#[track_caller]
pub(crate) fn close(got: &[f64], expected: &[f64], tolerance: f64) {
    let near = |(a, b): (&f64, &f64)| a == b || (a - b).abs() <= tolerance;
    assert!(got.len() == expected.len() && got.iter().zip(expected).all(near), "{got:?}, expected {expected:?}");
}

/// Pairs with these differences and targets.
pub(crate) fn leads(differences: &[f64], targets: &[f64]) -> PairScores {
    let device = Device::flex();
    let zeros = vec![0.0; differences.len()];
    let pairs = PairScores::new(tensor(differences, &device), tensor(&zeros, &device)).unwrap();
    pairs.with_targets(tensor(targets, &device)).unwrap()
}

pub(crate) fn losses(model: &dyn PairwiseLoss, pairs: &PairScores) -> Vec<f64> {
    values(model.forward(pairs).unwrap().losses)
}

/// A loss on tensors as the laws see it; `read_ties`: whether ties are handed over.
pub(crate) fn evaluate(model: &dyn PairwiseLoss, read_ties: bool) -> impl Fn(&Pairs) -> PairLosses {
    move |pairs| {
        let device = Device::flex().autodiff();
        let leaf = |column: &[f64]| tensor(column, &device).require_grad();
        let (first, second) = (leaf(&pairs.first), leaf(&pairs.second));
        let mut scores = PairScores::new(first.clone(), second.clone()).unwrap();
        scores = scores.with_targets(tensor(&pairs.targets, &device)).unwrap();
        scores = scores.with_weights(tensor(&pairs.weights, &device)).unwrap();
        if read_ties {
            scores = scores.with_ties(bools(&pairs.ties).autodiff_bool(&device)).unwrap();
        }
        let nll = model.forward(&scores).unwrap();
        let mean = values(nll.reduce(ItemReduction::Mean).unwrap().loss)[0];
        let grads = nll.losses.clone().sum().backward();
        let of = |leaf: Tensor<1>| values(leaf.grad(&grads).unwrap());
        PairLosses { losses: values(nll.losses), mean, by_first: of(first), by_second: of(second) }
    }
}

trait OnDevice {
    fn autodiff_bool(self, device: &Device) -> Self;
}

impl OnDevice for Tensor<1, Bool> {
    fn autodiff_bool(self, device: &Device) -> Self {
        self.to_device(device)
    }
}

/// Log-probabilities of the outcomes of one pair, as the laws see them.
pub(crate) fn outcomes(model: &dyn PairwiseModel) -> impl Fn(f64, f64) -> [f64; 3] {
    move |a, b| {
        let device = Device::flex();
        let pairs = PairScores::new(tensor(&[a], &device), tensor(&[b], &device)).unwrap();
        let outcomes = model.outcomes(&pairs).unwrap();
        let number = |tensor: Tensor<1>| values(tensor)[0];
        [number(outcomes.first), outcomes.tie.map_or(f64::NEG_INFINITY, number), number(outcomes.second)]
    }
}
