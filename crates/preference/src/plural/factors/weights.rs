//! Weights on the simplex by their logits.

use accordant_ops::host;

use super::form::dot;

/// How far logits of weights may be below the largest; beyond, weights would no longer move.
const LOGIT_RANGE: f64 = 20.0;

/// Weights on the simplex of logits.
pub(crate) fn weights(logits: &[f64]) -> Vec<f64> {
    let max = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let floor: Vec<f64> = logits.iter().map(|logit| logit.max(max - LOGIT_RANGE)).collect();
    host::softmax(&floor)
}

/// Adds the derivatives by logits that derivatives by weights make.
pub(super) fn pull_back_weights(logits: &[f64], weights: &[f64], by_weight: &[f64], by_logit: &mut [f64]) {
    let best = super::super::em::first_largest(logits);
    let mean = dot(weights, by_weight);
    for k in 0..logits.len() {
        let slope = weights[k] * (by_weight[k] - mean);
        // Logits at the floor move with the largest.
        by_logit[if logits[k] < logits[best] - LOGIT_RANGE { best } else { k }] += slope;
    }
}

#[cfg(test)]
mod tests {
    use accordant_laws::gradient::check_gradient;

    use super::*;

    #[test]
    fn weights_that_are_nearly_zero_still_move() {
        let w = weights(&[0.0, -1000.0]);
        assert!((w[1] / (-20f64).exp() - 1.0).abs() < 1e-6, "{w:?}");
        let mut by_logit = [0.0; 3];
        let logits = [0.0, -1000.0, -1.0];
        pull_back_weights(&logits, &weights(&logits), &[1.0, 2.0, 3.0], &mut by_logit);
        let of = |x: &[f64]| dot(&weights(x), &[1.0, 2.0, 3.0]);
        check_gradient(of, &logits, &by_logit).unwrap();
    }
}
