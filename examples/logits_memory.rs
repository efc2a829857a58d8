//! What do log-probabilities cost when the logits never exist, in memory and in time?
//!
//! Expected on a CPU: a few percent of the memory of `log_softmax` + `gather` in half its time; the run fails at more
//! than 0.15 of the memory or 0.8 of the time. About a minute on two cores. `--python` with an interpreter that has
//! PyTorch puts it beside them in the same run.
//!
//! `cargo run --release --example logits_memory -- --python python3`. On a GPU, add the backend's feature and
//! `--device cuda --dtype bf16 --rows 8192 --width 4096 --vocab 131072`.

use std::{
    alloc::System,
    io::{BufRead, BufReader, Write},
    process::{Child, Command, Stdio},
    time::Instant,
};

use accordant::ops::selected::{Memory, Plan, SelectedOptions, TokenIds, selected_log_softmax, selected_logps};
use anyhow::{Context, ensure};
use burn::tensor::{DType, Device, Distribution, Tensor, activation::log_softmax};
use clap::{Parser, ValueEnum};
use peakmem_alloc::{INSTRUMENTED_SYSTEM, PeakMemAlloc, PeakMemAllocTrait};
use serde_json::json;

#[global_allocator]
static ALLOCATOR: &PeakMemAlloc<System> = &INSTRUMENTED_SYSTEM;

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
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "32000", value_parser = at_least_one)]
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

/// Median seconds, and the peak of memory above what was there before and what came out.
struct Cost {
    seconds: f64,
    bytes: Option<f64>,
}

struct Bench<'a> {
    args: &'a Args,
    device: Device,
    dtype: DType,
    peer: Option<Child>,
}

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

impl Bench<'_> {
    fn normal<const D: usize>(&self, shape: [usize; D], std: f64) -> Tensor<D> {
        Tensor::random(shape, Distribution::Normal(0.0, std), (&self.device, self.dtype))
    }

    /// `run` gives back the bytes of its outputs. On a GPU, memory is what its pools reserve.
    fn measure(&self, run: impl Fn() -> usize) -> Cost {
        let (mut seconds, mut bytes) = (Vec::new(), 0.0f64);
        let reserved = || self.device.memory_pool_usage().map(|usage| usage.bytes_reserved as f64);
        for i in 0..=self.args.repeats {
            self.device.memory_cleanup();
            let before = reserved();
            ALLOCATOR.reset_peak_memory();
            let start = Instant::now();
            let outputs = run() as f64;
            self.device.sync().expect("the device works");
            // The first one also warms up.
            if i > 0 {
                seconds.push(start.elapsed().as_secs_f64());
                let host = || ALLOCATOR.get_peak_memory() as f64;
                let peak = reserved().zip(before).map_or_else(host, |(after, before)| after - before);
                bytes = bytes.max(peak - outputs);
            }
        }
        Cost { seconds: median(seconds), bytes: Some(bytes) }
    }

    /// The same work in PyTorch; the forms that it has.
    fn peer(&mut self, work: &str, vocab: usize) -> anyhow::Result<Vec<(String, Cost)>> {
        let Some(peer) = &mut self.peer else { return Ok(Vec::new()) };
        let (n, h, repeats) = (self.args.rows, self.args.width, self.args.repeats);
        let device = if self.device.memory_pool_usage().is_some() { "cuda" } else { "cpu" };
        let dtype = if self.dtype == DType::BF16 { "bfloat16" } else { "float32" };
        let job =
            json!({ "work": work, "n": n, "h": h, "v": vocab, "repeats": repeats, "device": device, "dtype": dtype });
        writeln!(peer.stdin.as_mut().context("the peer's input")?, "{job}")?;
        let mut line = String::new();
        BufReader::new(peer.stdout.as_mut().context("the peer's output")?).read_line(&mut line)?;
        let answer: serde_json::Value = serde_json::from_str(&line).context("the peer's answer")?;
        let forms = answer.as_object().context("forms")?.iter();
        let cost = |form: &serde_json::Value| -> anyhow::Result<Cost> {
            let seconds = form["seconds"].as_array().context("seconds")?.iter().filter_map(|second| second.as_f64());
            Ok(Cost { seconds: median(seconds.collect()), bytes: form["bytes"].as_f64() })
        };
        forms.map(|(name, form)| Ok((format!("PyTorch, {name}"), cost(form)?))).collect()
    }

    /// Operations a second of a square product, which nothing here can exceed.
    fn matrix_peak(&self) -> f64 {
        let size = if self.device.memory_pool_usage().is_some() { 8192 } else { 4096 };
        let matrix = self.normal([size, size], 1.0);
        let cost = self.measure(|| matrix.clone().matmul(matrix.clone()).dims()[0]);
        2.0 * (size as f64).powi(3) / cost.seconds
    }

    fn plain(&self, logits: Tensor<2>, ids: &TokenIds) -> Tensor<1> {
        log_softmax(logits, 1).gather(1, ids.counted().unsqueeze_dim(1)).squeeze_dim(1)
    }
}

/// Time and memory of each form, and both relative to the first.
fn print(title: &str, costs: &[(String, Cost)], share: impl Fn(&str, f64) -> Option<f64>) {
    println!(
        "\n{title}\n  {:28} {:>9} {:>6} {:>11} {:>6} {:>12}",
        "", "time", "ratio", "memory", "ratio", "matrix peak"
    );
    let first = &costs[0].1;
    for (name, cost) in costs {
        let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".into());
        let mib = or_none(cost.bytes.map(|bytes| format!("{:.0} MiB", bytes / 1_048_576.0)));
        let less = or_none(cost.bytes.zip(first.bytes).map(|(own, first)| format!("{:.3}", own / first)));
        let share = or_none(share(name, cost.seconds).map(|share| format!("{:.0} %", 100.0 * share)));
        let (time, ratio) = (cost.seconds * 1e3, cost.seconds / first.seconds);
        println!("  {name:28} {time:6.1} ms {ratio:6.2} {mib:>11} {less:>6} {share:>12}");
    }
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/peers/logprobs.py");
    let start = |python: &String| {
        let child = Command::new(python).arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        child.with_context(|| format!("{python} {script}"))
    };
    let dtype = match args.dtype {
        Precision::F32 => DType::F32,
        Precision::Bf16 => DType::BF16,
    };
    let device = args.device.clone().autodiff();
    let mut bench = Bench { args: &args, device, dtype, peer: args.python.as_ref().map(start).transpose()? };
    let (n, h) = (args.rows, args.width);
    let peak = bench.matrix_peak();
    println!("matrix products: {:.2} TFLOP/s", peak / 1e12);
    let mut holds = true;
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
            (NAIVE.into(), head(&|hidden, weight| bench.plain(hidden.matmul(weight.transpose()), &ids))),
            ("streamed".into(), head(&streamed(budget))),
            (KEPT.into(), head(&streamed(whole))),
        ];
        let plan = |memory| Plan::new(n, h, v, dtype, memory, &bench.device).backward_bytes >> 20;
        let planned = format!("planned: {} and {} MiB", plan(budget), plan(whole));
        costs.extend(bench.peer("head", v)?);
        // Three products, and a fourth where the logits are made twice.
        let flops = |name: &str| (if name == "streamed" { 8.0 } else { 6.0 }) * (n * h * v) as f64;
        let title = format!("hidden [{n}, {h}] and head [{v}, {h}], forward and backward ({planned})");
        print(&title, &costs, |name, seconds| Some(flops(name) / seconds / peak));
        let (naive, ours) = (&costs[0].1, &costs[1].1);
        let less = ours.bytes.zip(naive.bytes).is_some_and(|(ours, naive)| ours <= 0.15 * naive);
        holds &= less && ours.seconds <= 0.8 * naive.seconds;
        drop((hidden, weight));

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
            (NAIVE.into(), softmax(&|logits| bench.plain(logits, &ids))),
            ("direct".into(), softmax(&|logits| direct(logits).logps)),
        ];
        let constant = logits.clone().inner();
        let mut with_entropy =
            vec![("direct".into(), bench.measure(|| 8 * direct(constant.clone()).entropy.dims()[0]))];
        costs.extend(bench.peer("log_softmax", v)?);
        with_entropy.extend(bench.peer("entropy", v)?);
        holds &= costs[1].1.seconds < costs[0].1.seconds;
        print(&format!("logits [{n}, {v}], forward and backward"), &costs, |_, _| None);
        print(&format!("logits [{n}, {v}], forward with entropy"), &with_entropy, |_, _| None);
    }
    ensure!(holds, "the claim does not hold: at most 0.15 of the naive memory, in at most 0.8 of its time");
    Ok(())
}

const NAIVE: &str = "burn, log_softmax + gather";
const KEPT: &str = "one buffer of logits";
