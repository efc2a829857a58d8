//! What do log-probabilities cost when the logits never exist, in memory and in time?
//!
//! Expected on a CPU: a few percent of the memory of `log_softmax` + `gather` in half its time; the run fails at more
//! than 0.15 of the memory or 0.8 of the time. About a minute on two cores. `--python` with an interpreter that has
//! PyTorch puts it beside them in the same run. Writes `target/plots/logits_memory.svg`: the naive memory grows with the
//! vocabulary, the streamed one does not.
//!
//! `cargo run --release --example logits_memory -- --python python3`. On a GPU, add the backend's feature and
//! `--device cuda --dtype bf16 --rows 8192 --width 4096 --vocab 131072`.

mod bench;
mod figure;
mod peer;
mod table;

use std::{env, num::NonZero, path::Path, thread};

use accordant::ops::selected::{Memory, Plan, SelectedOptions, TokenIds, selected_log_softmax, selected_logps};
use anyhow::ensure;
use burn::tensor::{DType, Device, Distribution, Tensor, activation::log_softmax};
use clap::{Parser, ValueEnum};
use serde_json::json;

use crate::{
    bench::{Bench, Cost},
    peer::Peer,
};

const NAIVE: &str = "burn, log_softmax + gather";
const KEPT: &str = "one buffer of logits";

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Precision {
    F32,
    Bf16,
}

/// Time and memory of log-probabilities, naive and streamed.
#[derive(Parser, Debug)]
#[command(version)]
struct Args {
    /// Rows of hidden states: as many as there are scored tokens
    #[arg(long, value_name = "N", default_value_t = 2048, value_parser = at_least_one)]
    rows: usize,
    /// Width of the hidden states
    #[arg(long, value_name = "N", default_value_t = 512, value_parser = at_least_one)]
    width: usize,
    /// Sizes of the vocabulary
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "16000,32000", value_parser = at_least_one)]
    vocab: Vec<usize>,
    /// MiB of logits that the streamed form may hold; the library's default without it
    #[arg(long, value_name = "MIB", value_parser = at_least_one)]
    budget: Option<usize>,
    /// Repetitions, whose median is shown
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = at_least_one)]
    repeats: usize,
    /// Where to run: flex, or another backend that was compiled in
    #[arg(long, value_name = "DEVICE", default_value = "flex", value_parser = accordant::device::open)]
    device: Device,
    /// Precision of hidden states and head
    #[arg(long, default_value = "f32")]
    dtype: Precision,
    /// A Python interpreter with PyTorch, to compare with
    #[arg(long, value_name = "PATH")]
    python: Option<String>,
}

fn at_least_one(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|n| *n > 0).ok_or_else(|| "expected a whole number > 0".into())
}

/// Threads of both sides: as many as rayon takes.
fn threads() -> usize {
    let wanted = env::var("RAYON_NUM_THREADS").ok().and_then(|text| text.parse().ok()).filter(|n| *n > 0);
    wanted.unwrap_or_else(|| thread::available_parallelism().map_or(1, NonZero::get))
}

fn plain(logits: Tensor<2>, ids: &TokenIds) -> Tensor<1> {
    log_softmax(logits, 1).gather(1, ids.counted().unsqueeze_dim(1)).squeeze_dim(1)
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let dtype = match args.dtype {
        Precision::F32 => DType::F32,
        Precision::Bf16 => DType::BF16,
    };
    let device = args.device.clone().autodiff();
    let bench = Bench { device, dtype, repeats: args.repeats };
    let threads = threads();
    let mut peer = args.python.as_deref().map(|python| Peer::start(python, threads)).transpose()?;
    let (n, h) = (args.rows, args.width);
    let mut ask = |work: &str, v: usize| {
        let Some(peer) = &mut peer else { return Ok(Vec::new()) };
        let device = if bench.on_gpu() { "cuda" } else { "cpu" };
        let dtype = if dtype == DType::BF16 { "bfloat16" } else { "float32" };
        let repeats = args.repeats;
        peer.ask(&json!({ "work": work, "n": n, "h": h, "v": v, "repeats": repeats, "device": device, "dtype": dtype }))
    };
    let peak = bench.matrix_peak();
    println!("matrix products: {:.2} TFLOP/s, {threads} threads", peak / 1e12);
    let (mut holds, mut shown) = (true, Vec::new());
    for &v in &args.vocab {
        let ids = TokenIds::new(&(0..n).map(|row| (row * 7919 % v) as i64).collect::<Vec<_>>(), None, &bench.device);
        let weights = Tensor::<1>::random([n], Distribution::Normal(0.0, 1.0), (&bench.device, DType::F32));
        let hidden = bench.normal([n, h], 0.1).require_grad();
        let weight = bench.normal([v, h], 0.5).require_grad();
        let head = |run: &dyn Fn(Tensor<2>, Tensor<2>) -> Tensor<1>| {
            bench.measure(|| {
                let logps = run(hidden.clone(), weight.clone());
                let grads = (logps.clone() * weights.clone().cast(logps.dtype())).sum().backward();
                let sizes =
                    [&hidden, &weight].map(|leaf| leaf.grad(&grads).map_or(0, |grad| grad.shape().num_elements()));
                sizes.iter().sum::<usize>() * dtype.size()
            })
        };
        let streamed = |memory| {
            let (ids, options) = (&ids, SelectedOptions::new().with_memory(memory));
            move |hidden, weight| selected_logps(hidden, weight, None, ids, &options).expect("the shapes fit").logps
        };
        let whole = Memory::Budget(4 * n * v);
        let budget = args.budget.map_or(Memory::Auto, |mib| Memory::Budget(mib << 20));
        let mut costs = vec![
            (NAIVE.into(), head(&|hidden, weight| plain(hidden.matmul(weight.transpose()), &ids))),
            ("streamed".into(), head(&streamed(budget))),
            (KEPT.into(), head(&streamed(whole))),
        ];
        let plan = |memory| Plan::new(n, h, v, dtype, memory, &bench.device).backward_bytes >> 20;
        let planned = format!("planned: {} and {} MiB", plan(budget), plan(whole));
        costs.extend(ask("head", v)?);
        // Three products, and a fourth where the logits are made twice.
        let flops = |name: &str| (if name == "streamed" { 8.0 } else { 6.0 }) * (n * h * v) as f64;
        let title = format!("hidden [{n}, {h}] and head [{v}, {h}], forward and backward ({planned})");
        table::print(&title, &costs, |name, seconds| Some(flops(name) / seconds / peak));
        let (naive, ours) = (&costs[0].1, &costs[1].1);
        let less = ours.bytes.zip(naive.bytes).is_some_and(|(ours, naive)| ours <= 0.15 * naive);
        holds &= less && ours.seconds <= 0.8 * naive.seconds;
        drop((hidden, weight));
        shown.push((v, costs));

        let logits = bench.normal([n, v], 1.0).require_grad();
        let softmax = |run: &dyn Fn(Tensor<2>) -> Tensor<1>| {
            bench.measure(|| {
                let logps = run(logits.clone());
                let grads = (logps.clone() * weights.clone().cast(logps.dtype())).sum().backward();
                logits.grad(&grads).map_or(0, |grad| dtype.size() * grad.shape().num_elements())
            })
        };
        let direct = |logits| selected_log_softmax(logits, &ids, 1.0).expect("the shapes fit");
        let mut costs: Vec<(String, Cost)> = vec![
            (NAIVE.into(), softmax(&|logits| plain(logits, &ids))),
            ("direct".into(), softmax(&|logits| direct(logits).logps)),
        ];
        let constant = logits.clone().inner();
        let mut with_entropy =
            vec![("direct".into(), bench.measure(|| 8 * direct(constant.clone()).entropy.dims()[0]))];
        costs.extend(ask("log_softmax", v)?);
        with_entropy.extend(ask("entropy", v)?);
        holds &= costs[1].1.seconds < costs[0].1.seconds;
        table::print(&format!("logits [{n}, {v}], forward and backward"), &costs, |_, _| None);
        table::print(&format!("logits [{n}, {v}], forward with entropy"), &with_entropy, |_, _| None);
    }
    figure::write(Path::new("target/plots"), &shown)?;
    ensure!(holds, "the claim does not hold: at most 0.15 of the naive memory, in at most 0.8 of its time");
    Ok(())
}
