//! Every pairwise method.

use accordant_objectives::{
    Options,
    pairwise::{PairBatch, PairLogps, PairOutput, methods},
};
use accordant_ops::SequenceLogps;
use burn::tensor::{Device, Tensor};

use super::{Numbers, noise, vector};

/// Every method on 64 pairs: a tie, a pair at its reference, an empty side, weights, margins, doubtful labels. Then on
/// log-ratios near ±1e4.
pub fn add(numbers: &mut Numbers, device: &Device) {
    let (n, counts) = (64, |seed| noise(seed, 64, 1.0, 60.0).iter().map(|x| x.floor()).collect::<Vec<_>>());
    let mut chosen_counts = counts(1);
    let (mut chosen, mut rejected) = (noise(2, n, -90.0, -1.0), noise(3, n, -90.0, -1.0));
    let near = |sums: &[f32], seed| sums.iter().zip(noise(seed, n, -6.0, 6.0)).map(|(a, b)| a + b).collect::<Vec<_>>();
    let (mut chosen_ref, mut rejected_ref) = (near(&chosen, 4), near(&rejected, 5));
    (rejected[0], rejected_ref[0]) = (chosen[0], chosen_ref[0]);
    (chosen_ref[1], rejected_ref[1]) = (chosen[1], rejected[1]);
    (chosen_counts[2], chosen[2], chosen_ref[2]) = (0.0, 0.0, 0.0);
    let far = [-1e4f32, -300.0, 0.0, 1e4];
    let far_rejected = [0.0f32, 1e4, -1e4, 300.0];
    let ones = vec![1.0; 4];

    let pairs = |chosen: &Tensor<1>, rejected: &Tensor<1>, counts: [&[f32]; 2]| {
        let side = |sums: &Tensor<1>, counts| SequenceLogps::new(sums.clone(), vector(counts, device)).unwrap();
        PairLogps::new(side(chosen, counts[0]), side(rejected, counts[1])).unwrap()
    };
    let batch = |leaves: &[Tensor<1>]| {
        let counts: [&[f32]; 2] = [&chosen_counts, &counts(6)];
        PairBatch::new(pairs(&leaves[0], &leaves[1], counts))
            .with_reference(pairs(&vector(&chosen_ref, device), &vector(&rejected_ref, device), counts))
            .and_then(|batch| batch.with_weights(vector(&noise(7, n, 0.0, 2.0), device)))
            .and_then(|batch| batch.with_margins(vector(&noise(8, n, -0.5, 0.5), device)))
            .and_then(|batch| batch.with_label_probs(vector(&noise(9, n, 0.5, 1.0), device)))
            .unwrap()
    };
    let far_batch = |leaves: &[Tensor<1>]| {
        let (counts, zeros) = ([ones.as_slice(); 2], vector(&[0.0; 4], device));
        PairBatch::new(pairs(&leaves[0], &leaves[1], counts)).with_reference(pairs(&zeros, &zeros, counts)).unwrap()
    };
    for method in methods() {
        let objective = (method.build)(&Options::new()).expect("defaults are valid");
        let forward = |batch: PairBatch| objective.forward(&batch).unwrap();
        let name = |part: &str| format!("{}, {part}", method.name);
        let inputs = [chosen.clone(), rejected.clone()];
        numbers.add_with_gradients(&name("losses"), device, &inputs, |leaves| forward(batch(leaves)).losses);
        let reduced = |output: PairOutput| output.reduce().unwrap().loss;
        numbers.add_with_gradients(&name("loss"), device, &inputs, |leaves| reduced(forward(batch(leaves))));
        let output = forward(batch(&inputs.map(|values| vector(&values, device))));
        numbers.add(name("chosen rewards"), &output.chosen_rewards);
        numbers.add(name("rejected rewards"), &output.rejected_rewards);
        let inputs = [far.to_vec(), far_rejected.to_vec()];
        numbers.add_with_gradients(&name("far losses"), device, &inputs, |leaves| forward(far_batch(leaves)).losses);
    }
}
