//! What log-probabilities of given ids cost, naive and streamed, at sizes that take milliseconds: `cargo bench --bench
//! logprobs`. `examples/logits_memory` has the large ones, memory, and PyTorch beside them.

use accordant::ops::selected::{
    KlDirection, Memory, SelectedOptions, TokenIds, kl_logits, naive, selected_log_softmax, selected_logps,
};
use burn::tensor::{Device, Distribution, Tensor};
use criterion::{Criterion, criterion_group, criterion_main};

const ROWS: usize = 256;
const WIDTH: usize = 256;
const VOCAB: usize = 8192;

fn normal<const D: usize>(shape: [usize; D], std: f64, device: &Device) -> Tensor<D> {
    Tensor::random(shape, Distribution::Normal(0.0, std), device)
}

fn ids(device: &Device) -> TokenIds {
    TokenIds::new(&(0..ROWS).map(|row| (row * 31 % VOCAB) as i64).collect::<Vec<_>>(), None, device)
}

fn from_hidden_states(criterion: &mut Criterion) {
    let device = Device::flex().autodiff();
    let ids = ids(&device);
    let hidden = normal([ROWS, WIDTH], 0.1, &device).require_grad();
    let weight = normal([VOCAB, WIDTH], 0.5, &device).require_grad();
    let options = SelectedOptions::new();
    let whole = options.with_memory(Memory::Budget(4 * ROWS * VOCAB));
    let small = options.with_memory(Memory::Budget(1 << 20));
    let mut group = criterion.benchmark_group("hidden [256, 256] and head [8192, 256], forward and backward");
    group.bench_function("naive", |bencher| {
        bencher.iter(|| {
            naive::selected_logps(hidden.clone(), weight.clone(), None, &ids, &options)
                .map(backward)
                .expect("the shapes fit")
        })
    });
    for (name, options) in [("streamed in 1 MiB", small), ("one buffer of logits", whole)] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                selected_logps(hidden.clone(), weight.clone(), None, &ids, &options)
                    .map(backward)
                    .expect("the shapes fit")
            })
        });
    }
}

fn backward(selected: accordant::ops::selected::SelectedLogps) {
    selected.logps.sum().backward();
}

fn from_logits(criterion: &mut Criterion) {
    let device = Device::flex().autodiff();
    let ids = ids(&device);
    let (logits, other) = (normal([ROWS, VOCAB], 1.0, &device).require_grad(), normal([ROWS, VOCAB], 1.0, &device));
    let mut group = criterion.benchmark_group("logits [256, 8192], forward and backward");
    group.bench_function("log-probabilities, naive", |bencher| {
        bencher.iter(|| naive::selected_log_softmax(logits.clone(), &ids, 1.0).map(backward).expect("the shapes fit"))
    });
    group.bench_function("log-probabilities", |bencher| {
        bencher.iter(|| selected_log_softmax(logits.clone(), &ids, 1.0).map(backward).expect("the shapes fit"))
    });
    group.bench_function("divergence, naive", |bencher| {
        bencher.iter(|| {
            let kl = naive::kl_logits(logits.clone(), other.clone(), 1.0, KlDirection::Reverse);
            kl.expect("the shapes fit").sum().backward()
        })
    });
    group.bench_function("divergence", |bencher| {
        bencher.iter(|| {
            let kl = kl_logits(logits.clone(), other.clone(), 1.0, KlDirection::Reverse);
            kl.expect("the shapes fit").sum().backward()
        })
    });
}

criterion_group!(benches, from_hidden_states, from_logits);
criterion_main!(benches);
