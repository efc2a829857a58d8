//! Divergences from log-probabilities.

use accordant_ops::kl::{KlEstimator, KlGradient, KlOptions, importance_corrected, kl_full, kl_means, kl_per_token};
use burn::tensor::{Device, Tensor};

use super::{
    Numbers, mask,
    masked::{SHAPE, keep, values},
    noise, vector,
};

pub fn add(numbers: &mut Numbers, device: &Device) {
    per_token(numbers, device);
    let inputs = [noise(53, 64, -1.0, 3.0), noise(54, 64, -8.0, 8.0)];
    for (name, clamp) in [("", None), (", clamped", Some(5.0))] {
        let name = format!("importance_corrected{name}");
        numbers.add_with_gradients(&name, device, &inputs, |leaves| {
            importance_corrected(leaves[0].clone(), leaves[1].clone(), clamp).unwrap()
        });
    }
    let kl = vector(&values(55), device).reshape(SHAPE);
    let means = kl_means(kl, mask(device, SHAPE, keep)).unwrap();
    numbers.add_values("kl_means", means.iter().map(|(_, mean)| mean).collect());
    full(numbers, device);
}

/// Log-ratios of up to 3 nats, none at all, and ±1e4.
fn per_token(numbers: &mut Numbers, device: &Device) {
    let mut policy = noise(51, 64, -8.0, 0.0);
    let mut reference: Vec<f32> = policy.iter().zip(noise(52, 64, -3.0, 3.0)).map(|(a, b)| a + b).collect();
    reference[0] = policy[0];
    (policy[1], reference[1], policy[2], reference[2]) = (-1e4, 0.0, 0.0, -1e4);
    let reference = vector(&reference, device);
    let estimators =
        [("K1", KlEstimator::K1), ("Abs", KlEstimator::Abs), ("K2", KlEstimator::K2), ("K3", KlEstimator::K3)];
    for (name, estimator) in estimators {
        let usual = KlOptions::new(estimator);
        let clamped = usual.with_exponent_clamp(Some(2.0)).with_value_clamp(Some(1.5));
        let options = [
            ("usual", usual),
            ("clamped", clamped),
            ("straight-through", clamped.with_gradient(KlGradient::K2StraightThrough)),
        ];
        for (case, options) in options {
            let name = format!("kl_per_token, {name}, {case}");
            numbers.add_with_gradients(&name, device, &[policy.clone()], |leaves| {
                kl_per_token(leaves[0].clone(), reference.clone(), &options).unwrap()
            });
        }
    }
    let unclamped = KlOptions::new(KlEstimator::K3).with_exponent_clamp(None);
    numbers.add_with_gradients("kl_per_token, K3, no clamp", device, &[policy[3..].to_vec()], |leaves| {
        kl_per_token(leaves[0].clone(), reference.clone().narrow(0, 3, 61), &unclamped).unwrap()
    });
}

/// Normalized distributions, the first and the last with tokens of probability 0.
fn full(numbers: &mut Numbers, device: &Device) {
    let (rows, vocab) = (12, 101);
    let absent = |i: usize| [0, rows - 1].contains(&(i / vocab)) && i.is_multiple_of(4);
    let log_probs = |seed| {
        let mut x = noise(seed, rows * vocab, -4.0, 4.0);
        (0..x.len()).filter(|i| absent(*i)).for_each(|i| x[i] = f32::NEG_INFINITY);
        for row in x.chunks_mut(vocab) {
            let lse = row.iter().map(|x| f64::from(*x).exp()).sum::<f64>().ln();
            row.iter_mut().for_each(|x| *x = (f64::from(*x) - lse) as f32);
        }
        x
    };
    let reference = log_probs(57);
    numbers.add_with_gradients("kl_full", device, &[log_probs(56)], |leaves| -> Tensor<1> {
        kl_full(leaves[0].clone().reshape([rows, vocab]), vector(&reference, device).reshape([rows, vocab])).unwrap()
    });
    numbers.add_with_gradients("kl_full of rank 3", device, &[log_probs(56)], |leaves| -> Tensor<2> {
        let shape = [3, rows / 3, vocab];
        kl_full(leaves[0].clone().reshape(shape), vector(&reference, device).reshape(shape)).unwrap()
    });
}
