//! What an objective on rollouts costs: forward and backward on 64 responses of up to 512 tokens, without and with its
//! metrics, beside the clipped loss written out naively, and beside TRL's own losses with theirs.
//! `cargo bench --bench rollout`
//!
//! Every round measures everything once, a few repetitions each, so that a noisy machine is noisy for all; the table has
//! medians over the rounds. `-- --python python3` starts `benches/peers/rollout.py` as the peer: an interpreter with TRL.

mod beside;

use std::hint::black_box;

use accordant::{
    objectives::{
        Options,
        rollout::{RolloutBatch, RolloutObjective, build},
    },
    ops::TokenLogps,
};
use anyhow::{Context, Result};
use burn::tensor::{Bool, Device, Tensor, TensorData};
use clap::Parser;
use serde_json::json;

use beside::{Case, Peer, PeerTimes, median};

const ROWS: usize = 64;
const TOKENS: usize = 512;

/// A method with an option or none, and what TRL calls it.
struct Measured {
    title: &'static str,
    name: &'static str,
    option: Option<(&'static str, f64)>,
    theirs: &'static str,
}

impl Measured {
    const fn new(name: &'static str) -> Self {
        Self { title: name, name, option: None, theirs: name }
    }
}

const METHODS: [Measured; 10] = [
    Measured::new("grpo"),
    Measured {
        title: "grpo, a divergence",
        option: Some(("kl_coef", 0.04)),
        theirs: "grpo_kl",
        ..Measured::new("grpo")
    },
    Measured::new("bnpo"),
    Measured::new("dr_grpo"),
    Measured::new("dapo"),
    Measured::new("gspo"),
    Measured::new("cispo"),
    Measured::new("sapo"),
    Measured::new("luspo"),
    Measured::new("vespo"),
];

/// The cost of objectives on rollouts.
#[derive(Parser)]
struct Arguments {
    /// An interpreter with TRL, to measure beside.
    #[arg(long)]
    python: Option<String>,
    #[arg(long, default_value_t = 15)]
    rounds: usize,
    /// Repetitions of a round.
    #[arg(long, default_value_t = 20)]
    repeats: usize,
    /// One method alone.
    #[arg(long)]
    only: Option<String>,
    /// What `cargo bench` says to every bench.
    #[arg(long, hide = true)]
    bench: bool,
}

/// Numbers between `low` and `high`, from a fixed rule.
fn numbers(seed: usize, low: f32, high: f32, device: &Device) -> Tensor<2> {
    let number = |i: usize| low + (high - low) * ((i * 7919 + seed * 104_729) % 5003) as f32 / 5003.0;
    Tensor::from_data(TensorData::new((0..ROWS * TOKENS).map(number).collect::<Vec<_>>(), [ROWS, TOKENS]), device)
}

/// What a batch is made of; making it is measured too, since a graph serves one backward pass.
struct Inputs {
    policy: Tensor<2>,
    old: Tensor<2>,
    reference: Tensor<2>,
    advantages: Tensor<2>,
    mask: Tensor<2, Bool>,
}

impl Inputs {
    fn new(device: &Device) -> Self {
        let policy = numbers(1, -3.0, 0.0, device);
        // Between a quarter of the tokens and all of them.
        let len = |row: usize| TOKENS / 4 + (row * 7919) % (3 * TOKENS / 4 + 1);
        let mask: Vec<bool> = (0..ROWS * TOKENS).map(|at| at % TOKENS < len(at / TOKENS)).collect();
        let advantage = numbers(4, -2.0, 2.0, device).slice([0..ROWS, 0..1]);
        Self {
            old: policy.clone() + numbers(2, -0.1, 0.1, device),
            reference: policy.clone() + numbers(3, -0.1, 0.1, device),
            advantages: advantage.expand([ROWS, TOKENS]),
            mask: Tensor::from_bool(TensorData::new(mask, [ROWS, TOKENS]), device),
            policy: policy.require_grad(),
        }
    }

    fn batch(&self, objective: &dyn RolloutObjective) -> Result<RolloutBatch> {
        let policy = TokenLogps::new(self.policy.clone(), self.mask.clone())?;
        let batch = RolloutBatch::new(policy, self.advantages.clone())?.with_old(self.old.clone())?;
        Ok(match objective.needs_reference() {
            true => batch.with_reference(self.reference.clone())?,
            false => batch,
        })
    }
}

/// The clipped loss written out, on tensors.
fn naive(inputs: &Inputs) {
    let ratios = (inputs.policy.clone() - inputs.old.clone()).exp();
    let gains = ratios.clone() * inputs.advantages.clone();
    let clipped = ratios.clamp(0.8, 1.2) * inputs.advantages.clone();
    let mask = inputs.mask.clone().float();
    let losses = gains.min_pair(clipped).neg() * mask.clone();
    black_box((losses.sum_dim(1) / mask.sum_dim(1)).mean().backward());
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    // Any training step has freed logits. From then on glibc keeps what small tensors free, where it would else ask the
    // system for the same pages in every repetition; the peer's process, which has loaded PyTorch, does not either.
    drop(black_box(vec![1u8; 16 << 20]));
    let device = Device::flex().autodiff();
    let inputs = Inputs::new(&device);
    let wanted = |name: &str| arguments.only.as_ref().is_none_or(|only| only == name);
    let methods = METHODS.iter().filter(|method| wanted(method.name));
    let built = methods.map(|Measured { title, name, option, theirs }| {
        let options = option.iter().fold(Options::new(), |all, (name, value)| all.with(*name, value));
        Ok((*title, build(name, &options)?, *theirs))
    });
    let built = built.collect::<Result<Vec<_>>>()?;
    let mut cases = vec![Case::new("naive", || {
        naive(&inputs);
        Ok(())
    })];
    for (title, objective, _) in &built {
        for metrics in [false, true] {
            let inputs = &inputs;
            cases.push(Case::new(title, move || {
                let output = objective.forward(&inputs.batch(&**objective)?)?;
                let read = metrics.then(|| output.diagnostics());
                black_box((output.reduced.loss.backward(), read));
                Ok(())
            }));
        }
    }
    let start = |python: &str| Peer::start(python, "rollout.py");
    let mut peer = arguments.python.as_deref().map(start).transpose()?;
    let mut trl = PeerTimes::default();
    for _ in 0..arguments.rounds {
        for case in &mut cases {
            case.measure(arguments.repeats)?;
        }
        if let Some(peer) = &mut peer {
            trl.add(peer.ask(&json!({"rows": ROWS, "tokens": TOKENS, "repeats": arguments.repeats}))?);
        }
    }

    let mut rows = cases.into_iter().map(|case| (case.name, median(case.micros)));
    let (_, naive) = rows.next().context("the naive loss")?;
    println!(
        "{ROWS} x {TOKENS} tokens, forward and backward, in µs\n\nclipped loss written out, no metrics: {naive:.0}\n"
    );
    println!("{:<24} {:>7} {:>9} {:>13} {:>9}  TRL's", "", "loss", "to naive", "with metrics", "to TRL");
    for (_, _, theirs) in &built {
        let (Some((name, loss)), Some((_, whole))) = (rows.next(), rows.next()) else { break };
        let peer = trl.median(theirs);
        let beside = peer.map_or_else(String::new, |peer| format!("{:>9.2}  {theirs} {peer:.0}", whole / peer));
        println!("{name:<24} {loss:>7.0} {:>9.2} {whole:>13.0} {beside}", loss / naive);
    }
    Ok(())
}
