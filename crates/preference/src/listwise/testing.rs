//! What the tests of this family share.

use accordant_laws::models::{ListLosses, Lists};
use burn::tensor::{Bool, DType, Device, Tensor, TensorData};

use super::{ListScores, ListwiseLoss};
use crate::{
    ItemReduction, Nll,
    pairwise::testing::{tensor, values},
};

/// An f64 matrix of equally long rows.
pub(crate) fn matrix(rows: &[&[f64]], device: &Device) -> Tensor<2> {
    let shape = [rows.len(), rows.first().map_or(0, |row| row.len())];
    Tensor::from_data(TensorData::new(rows.concat(), shape), (device, DType::F64))
}

pub(crate) fn bools(values: &[bool]) -> Tensor<1, Bool> {
    Tensor::from_data(TensorData::new(values.to_vec(), [values.len()]), &Device::flex())
}

/// One list with these scores and labels.
pub(crate) fn list(scores: &[f64], labels: &[f64]) -> ListScores {
    let device = Device::flex();
    ListScores::new(matrix(&[scores], &device)).with_labels(matrix(&[labels], &device)).unwrap()
}

pub(crate) fn loss(method: &dyn ListwiseLoss, scores: &[f64], labels: &[f64]) -> f64 {
    values(method.forward(&list(scores, labels)).unwrap().losses)[0]
}

/// A loss on tensors as the laws see it.
pub(crate) fn evaluate(method: &dyn ListwiseLoss) -> impl Fn(&Lists) -> ListLosses {
    move |lists| {
        let device = Device::flex().autodiff();
        let (n, k) = (lists.scores.len(), lists.scores[0].len());
        let of =
            |rows: &[Vec<f64>]| Tensor::<2>::from_data(TensorData::new(rows.concat(), [n, k]), (&device, DType::F64));
        let scores = of(&lists.scores).require_grad();
        let present = Tensor::<2, Bool>::from_data(TensorData::new(lists.present.concat(), [n, k]), &device);
        let batch = ListScores::new(scores.clone()).with_present(present).unwrap();
        let batch = batch.with_labels(of(&lists.labels)).unwrap();
        let batch = batch.with_weights(tensor(&lists.weights, &device)).unwrap();
        list_losses(method.forward(&batch).unwrap(), &scores)
    }
}

/// What the laws read of losses of lists, and of what `scores` these are.
pub(crate) fn list_losses(nll: Nll, scores: &Tensor<2>) -> ListLosses {
    let grads = nll.losses.clone().sum().backward();
    let gradient = values(scores.grad(&grads).unwrap()).chunks(scores.dims()[1]).map(<[f64]>::to_vec).collect();
    let mean = values(nll.reduce(ItemReduction::Mean).unwrap().loss)[0];
    ListLosses { losses: values(nll.losses), mean, gradient }
}
