//! Log-probabilities of given tokens, as every objective reads them.

use burn::tensor::activation::log_softmax;

use super::{
    probe::Probe,
    products::{matmul, transposed},
};
use crate::selected::{SelectedOptions, TokenIds, selected_logps};

/// Log-probabilities of `ids`, log-sum-exps, and the derivative of `Σ weights · logps` by each logit.
fn softmax(logits: &[f64], vocab: usize, ids: &[usize], weights: &[f64]) -> [Vec<f64>; 3] {
    let (mut logps, mut lses, mut slopes) = (Vec::new(), Vec::new(), Vec::new());
    for ((row, &id), weight) in logits.chunks(vocab).zip(ids).zip(weights) {
        let max = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let lse = max + row.iter().map(|x| (x - max).exp()).sum::<f64>().ln();
        logps.push(row[id] - lse);
        lses.push(lse);
        let start = slopes.len();
        slopes.extend(row.iter().map(|x| -weight * (x - lse).exp()));
        slopes[start + id] += weight;
    }
    [logps, lses, slopes]
}

/// On a vocabulary of odd size, and on one row as long as a real one.
pub fn log_softmax_gather(probe: &mut Probe) {
    for (n, vocab) in [(37, 1_001), (1, 50_257)] {
        let (logits, weights) = (probe.noise(1, n * vocab, -10.0, 10.0), probe.noise(2, n, 0.5, 1.5));
        let ids: Vec<usize> = (0..n).map(|i| (i * 17 + 3) % vocab).collect();
        let leaf = probe.leaf(&logits, [n, vocab]);
        let logps = log_softmax(leaf.clone(), 1).gather(1, probe.ids(&ids, [n, 1]));
        let grads = probe.backward(logps.clone(), &weights);
        let [expected, _, slopes] = softmax(&logits, vocab, &ids, &weights);
        probe.compare(logps, &expected);
        probe.compare_grad(&leaf, &grads, &slopes);
    }
}

pub fn selected(probe: &mut Probe) {
    head(probe, false);
}

pub fn selected_gradients(probe: &mut Probe) {
    head(probe, true);
}

/// Hidden states times a vocabulary, at two temperatures.
fn head(probe: &mut Probe, gradients: bool) {
    let (n, width, vocab) = (37, 33, 1_001);
    let (hidden, weight) = (probe.noise(3, n * width, -1.0, 1.0), probe.noise(4, vocab * width, -1.0, 1.0));
    let weights = probe.noise(5, n, 0.5, 1.5);
    let ids: Vec<usize> = (0..n).map(|i| (i * 170 + 3) % vocab).collect();
    let logits = matmul(&hidden, &transposed(&weight, width), [n, width, vocab]);
    for temperature in [1.0, 0.7] {
        let scaled: Vec<_> = logits.iter().map(|logit| logit / temperature).collect();
        let [logps, lses, slopes] = softmax(&scaled, vocab, &ids, &weights);
        let index = TokenIds::read(&probe.ids(&ids, [n]), None);
        let options = SelectedOptions::new().with_temperature(temperature);
        let run = |states, head| selected_logps(states, head, None, &index, &options).expect("shapes fit");
        if gradients {
            let (states, head) = (probe.leaf(&hidden, [n, width]), probe.leaf(&weight, [vocab, width]));
            let got = run(states.clone(), head.clone()).logps;
            let grads = probe.backward(got, &weights);
            let slopes: Vec<_> = slopes.iter().map(|slope| slope / temperature).collect();
            probe.compare_grad(&states, &grads, &matmul(&slopes, &weight, [n, vocab, width]));
            probe.compare_grad(&head, &grads, &matmul(&transposed(&slopes, vocab), &hidden, [vocab, n, width]));
        } else {
            let (states, head) = (probe.tensor(&hidden, [n, width]), probe.tensor(&weight, [vocab, width]));
            let got = run(states, head);
            probe.compare(got.logps, &logps);
            probe.compare(got.lse, &lses);
        }
    }
}
