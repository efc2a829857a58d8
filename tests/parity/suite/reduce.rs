//! From many losses to one number.

use accordant_ops::{
    Aggregation, EmptyRows, ItemReduction, Reduced,
    reduce::{num_empty_rows, reduce_items, reduce_tokens},
};
use burn::tensor::{Device, Tensor};

use super::{
    Numbers, mask,
    masked::{SHAPE, keep, values},
    noise, vector,
};

fn add_reduced(
    numbers: &mut Numbers,
    name: &str,
    device: &Device,
    inputs: &[Vec<f32>],
    f: impl Fn(&[Tensor<1>]) -> Reduced,
) {
    let sums = |leaves: &[Tensor<1>]| {
        let reduced = f(leaves);
        vec![("loss", reduced.loss), ("numerator", reduced.numerator)]
    };
    numbers.add_outputs(name, device, inputs, sums);
    numbers.add_gradients_apart(name, device, inputs, sums);
    numbers.add(format!("{name}, denominator"), &f(&numbers.leaves(inputs, device)).denominator);
}

pub fn add(numbers: &mut Numbers, device: &Device) {
    let mut losses = noise(31, 64, 0.0, 4.0);
    let mut weights = noise(32, 64, 0.0, 2.0);
    (losses[5], weights[5]) = (f32::NAN, 0.0);
    let weights = vector(&weights, device);
    for (name, reduction) in [("mean", ItemReduction::Mean), ("sum", ItemReduction::Sum)] {
        let reduced = |leaves: &[Tensor<1>]| reduce_items(leaves[0].clone(), weights.clone(), reduction).unwrap();
        add_reduced(numbers, &format!("reduce_items, {name}"), device, &[losses.clone()], reduced);
        let weightless =
            |leaves: &[Tensor<1>]| reduce_items(leaves[0].clone(), weights.zeros_like(), reduction).unwrap();
        add_reduced(numbers, &format!("reduce_items without weight, {name}"), device, &[losses.clone()], weightless);
    }
    let aggregations = [
        ("token mean", Aggregation::TokenMean),
        ("sequence mean", Aggregation::SequenceMean),
        ("sequence sum", Aggregation::SequenceSum),
        ("constant length", Aggregation::ConstantLength(20)),
        ("global tokens", Aggregation::GlobalTokens(1234.5)),
        ("sum", Aggregation::Sum),
    ];
    for (name, aggregation) in aggregations {
        for (rows, empty_rows) in [("empty rows left out", EmptyRows::Skip), ("empty rows counted", EmptyRows::Count)] {
            let reduced = |leaves: &[Tensor<1>]| {
                let values = leaves[0].clone().reshape(SHAPE);
                reduce_tokens(values, mask(device, SHAPE, keep), aggregation, empty_rows).unwrap()
            };
            add_reduced(numbers, &format!("reduce_tokens, {name}, {rows}"), device, &[values(33)], reduced);
        }
        let nothing = |leaves: &[Tensor<1>]| {
            let values = leaves[0].clone().reshape(SHAPE);
            reduce_tokens(values, mask(device, SHAPE, |_| false), aggregation, EmptyRows::Skip).unwrap()
        };
        add_reduced(numbers, &format!("reduce_tokens of nothing, {name}"), device, &[values(33)], nothing);
    }
    // In f32 whatever the device computes in.
    let empty = num_empty_rows(mask(device, SHAPE, keep));
    numbers.add_values("num_empty_rows", empty.try_to_vec_as::<f64>().expect("float numbers"));
}
