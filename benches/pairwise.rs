//! What a pairwise objective costs: forward and backward on 4096 pairs, with and without the metrics, against the loss
//! written out naively. `cargo bench --bench pairwise`

use accordant::{
    objectives::{
        Options,
        pairwise::{PairBatch, PairLogps, methods},
    },
    ops::SequenceLogps,
};
use burn::tensor::{Device, Tensor};
use criterion::{Criterion, criterion_group, criterion_main};

const PAIRS: usize = 4096;

/// Log-probabilities between -50 and 0, from a fixed rule.
fn logps(shift: usize, device: &Device) -> Tensor<1> {
    let values: Vec<f32> = (0..PAIRS).map(|i| -(((i * 7919 + shift * 104_729) % 5000) as f32) / 100.0).collect();
    Tensor::from_floats(values.as_slice(), device)
}

fn pairwise(criterion: &mut Criterion) {
    let device = Device::flex().autodiff();
    let counts = Tensor::<1>::ones([PAIRS], &device) * 20.0;
    let side = |sum| SequenceLogps::new(sum, counts.clone()).expect("equal lengths");
    let reference = PairLogps::new(side(logps(3, &device)), side(logps(4, &device))).expect("equal lengths");
    let policy = || (logps(1, &device).require_grad(), logps(2, &device).require_grad());

    let mut group = criterion.benchmark_group("4096 pairs, forward and backward");
    group.bench_function("naive DPO: -log(sigmoid(h))", |bencher| {
        bencher.iter(|| {
            let (chosen, rejected) = policy();
            let h = (chosen - reference.chosen.sum.clone() - rejected + reference.rejected.sum.clone()) * 0.1;
            burn::tensor::activation::sigmoid(h).log().neg().mean().backward()
        });
    });
    for method in methods() {
        let objective = (method.build)(&Options::new()).expect("defaults are valid");
        for metrics in [false, true] {
            let name = format!("{}{}", method.name, if metrics { " with metrics" } else { "" });
            group.bench_function(name, |bencher| {
                bencher.iter(|| {
                    let (chosen, rejected) = policy();
                    let batch = PairBatch::new(PairLogps::new(side(chosen), side(rejected)).expect("equal lengths"));
                    let batch = batch.with_reference(reference.clone()).expect("equal lengths");
                    let output = objective.forward(&batch).expect("a complete batch");
                    let means = metrics.then(|| output.means());
                    (output.reduce().expect("a complete output").loss.backward(), means)
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, pairwise);
criterion_main!(benches);
