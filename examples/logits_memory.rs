//! What do log-probabilities cost when the logits never exist, in memory and in time?
//!
//! Expected: a few percent of the memory of `log_softmax` + `gather`, at less than its time; with room for one buffer of
//! logits, less time still. `cargo run --release --example logits_memory`, about a minute on two cores; `--python` with
//! an interpreter that has PyTorch puts it beside them in the same run.

use std::{
    alloc::System,
    io::{BufRead, BufReader, Write},
    process::{Child, Command, Stdio},
    time::Instant,
};

use accordant::ops::selected::{Memory, SelectedOptions, TokenIds, selected_log_softmax, selected_logps};
use anyhow::{Context, ensure};
use burn::tensor::{Device, Distribution, Tensor, activation::log_softmax};
use clap::Parser;
use peakmem_alloc::{INSTRUMENTED_SYSTEM, PeakMemAlloc, PeakMemAllocTrait};

#[global_allocator]
static ALLOCATOR: &PeakMemAlloc<System> = &INSTRUMENTED_SYSTEM;

#[derive(Parser)]
struct Args {
    /// Rows of hidden states, as many as there are scored tokens.
    #[arg(long, default_value_t = 2048)]
    rows: usize,
    /// Width of the hidden states.
    #[arg(long, default_value_t = 512)]
    width: usize,
    /// Sizes of the vocabulary.
    #[arg(long, value_delimiter = ',', default_value = "32000")]
    vocab: Vec<usize>,
    /// Repetitions of each, whose median is shown.
    #[arg(long, default_value_t = 5)]
    repeats: usize,
    /// A Python interpreter with PyTorch, to compare with.
    #[arg(long)]
    python: Option<String>,
}

const NAIVE: &str = "burn, log_softmax + gather";

/// Median seconds, and the peak of memory above what was there before, less the outputs.
struct Cost {
    seconds: f64,
    bytes: Option<f64>,
}

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

/// `run` gives back the bytes of its outputs.
fn measure(repeats: usize, mut run: impl FnMut() -> usize) -> Cost {
    let (mut seconds, mut bytes) = (Vec::new(), 0.0f64);
    for i in 0..=repeats {
        ALLOCATOR.reset_peak_memory();
        let start = Instant::now();
        let outputs = run();
        // The first one also warms up.
        if i > 0 {
            seconds.push(start.elapsed().as_secs_f64());
            bytes = bytes.max(ALLOCATOR.get_peak_memory() as f64 - outputs as f64);
        }
    }
    Cost { seconds: median(seconds), bytes: Some(bytes) }
}

/// PyTorch, one job a line.
struct Peer(Child);

impl Peer {
    fn start(python: &str) -> anyhow::Result<Self> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/peers/logprobs.py");
        let child = Command::new(python).arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        Ok(Self(child.with_context(|| format!("{python} {script}"))?))
    }

    fn measure(&mut self, work: &str, [n, h, v]: [usize; 3], repeats: usize) -> anyhow::Result<Cost> {
        let job = serde_json::json!({ "work": work, "n": n, "h": h, "v": v, "repeats": repeats });
        writeln!(self.0.stdin.as_mut().context("the peer's input")?, "{job}")?;
        let mut line = String::new();
        BufReader::new(self.0.stdout.as_mut().context("the peer's output")?).read_line(&mut line)?;
        let answer: serde_json::Value = serde_json::from_str(&line).context("the peer's answer")?;
        let seconds = answer["seconds"].as_array().context("seconds")?;
        Ok(Cost { seconds: median(seconds.iter().filter_map(serde_json::Value::as_f64).collect()), bytes: None })
    }
}

/// Time and memory of each form, and both relative to the naive one.
fn print(title: &str, costs: &[(&str, Cost)]) {
    println!("\n{title}\n  {:28} {:>9} {:>8} {:>10} {:>8}", "", "time", "ratio", "memory", "ratio");
    let Cost { seconds, bytes } = &costs[0].1;
    for (name, cost) in costs {
        let (mib, share) = match (cost.bytes, bytes) {
            (Some(own), Some(naive)) => (format!("{:.0} MiB", own / 1048576.0), format!("{:.3}", own / naive)),
            _ => ("-".into(), "-".into()),
        };
        let (time, ratio) = (cost.seconds * 1e3, cost.seconds / seconds);
        println!("  {name:28} {time:6.0} ms {ratio:8.2} {mib:>10} {share:>8}");
    }
}

fn normal<const D: usize>(shape: [usize; D], std: f64, device: &Device) -> Tensor<D> {
    Tensor::random(shape, Distribution::Normal(0.0, std), device)
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let (n, h, device) = (args.rows, args.width, Device::flex().autodiff());
    let mut peer = args.python.as_deref().map(Peer::start).transpose()?;
    let mut holds = true;
    for &v in &args.vocab {
        let ids: Vec<i64> = (0..n).map(|row| (row * 7919 % v) as i64).collect();
        let ids = TokenIds::new(&ids, None, &device);
        let weights = normal([n], 1.0, &device);
        let hidden = normal([n, h], 0.1, &device).require_grad();
        let weight = normal([v, h], 0.5, &device).require_grad();
        let plain = |logits: Tensor<2>| -> Tensor<1> {
            log_softmax(logits, 1).gather(1, ids.counted().unsqueeze_dim(1)).squeeze_dim(1)
        };
        let ours = |hidden: &Tensor<2>, weight: &Tensor<2>, memory| {
            let options = SelectedOptions::new().with_memory(memory);
            selected_logps(hidden.clone(), weight.clone(), None, &ids, &options).expect("the shapes fit").logps
        };
        let head = |run: &dyn Fn(&Tensor<2>, &Tensor<2>, Memory) -> Tensor<1>, memory| {
            measure(args.repeats, || {
                let logps = run(&hidden, &weight, memory);
                let grads = (logps * weights.clone()).sum().backward();
                let outputs = [hidden.grad(&grads), weight.grad(&grads)];
                outputs.into_iter().flatten().map(|grad| 4 * grad.shape().num_elements()).sum()
            })
        };
        let mut costs = vec![
            (NAIVE, head(&|hidden, weight, _| plain(hidden.clone().matmul(weight.clone().transpose())), Memory::Auto)),
            ("streamed", head(&ours, Memory::Auto)),
            ("one buffer of logits", head(&ours, Memory::Budget(4 * n * v))),
        ];
        if let Some(peer) = &mut peer {
            costs.push(("PyTorch", peer.measure("head", [n, h, v], args.repeats)?));
        }
        let (naive, streamed) = (&costs[0].1, &costs[1].1);
        holds &= streamed.seconds < naive.seconds && streamed.bytes < naive.bytes.map(|bytes| 0.15 * bytes);
        print(&format!("hidden [{n}, {h}] and head [{v}, {h}], forward and backward"), &costs);

        let logits = normal([n, v], 1.0, &device).require_grad();
        let softmax = |run: &dyn Fn(Tensor<2>) -> Tensor<1>| {
            measure(args.repeats, || {
                let grads = (run(logits.clone()) * weights.clone()).sum().backward();
                logits.grad(&grads).map_or(0, |grad| 4 * grad.shape().num_elements())
            })
        };
        let direct = |logits| selected_log_softmax(logits, &ids, 1.0).expect("the shapes fit").logps;
        let mut costs = vec![(NAIVE, softmax(&plain)), ("direct", softmax(&direct))];
        if let Some(peer) = &mut peer {
            costs.push(("PyTorch", peer.measure("log_softmax", [n, h, v], args.repeats)?));
        }
        holds &= costs[1].1.seconds < costs[0].1.seconds;
        print(&format!("logits [{n}, {v}], forward and backward"), &costs);

        let constant = logits.inner();
        let mut costs = vec![(
            "direct",
            measure(args.repeats, || {
                let selected = selected_log_softmax(constant.clone(), &ids, 1.0).expect("the shapes fit");
                8 * selected.entropy.dims()[0]
            }),
        )];
        if let Some(peer) = &mut peer {
            costs.push(("PyTorch", peer.measure("entropy", [n, h, v], args.repeats)?));
        }
        print(&format!("logits [{n}, {v}], forward with entropy"), &costs);
    }
    ensure!(holds, "the claim does not hold: streaming should take less time, and less than 0.15 of the memory");
    Ok(())
}
