//! What a pairwise objective costs: forward and backward on 4096 pairs, without and with its metrics, beside the loss
//! written out naively, and beside TRL's own losses with theirs. `cargo bench --bench pairwise`
//!
//! Every round measures everything once, a few repetitions each, so that a noisy machine is noisy for all; the table has
//! medians over the rounds. `-- --python python3` starts `benches/peers/pairwise.py` as the peer: an interpreter with TRL.

mod beside;

use std::hint::black_box;

use accordant::{
    objectives::{
        Column, Domain, Options, State,
        pairwise::{Extra, PairBatch, PairLogps, PairwiseObjective, Term, build, methods},
    },
    ops::SequenceLogps,
};
use anyhow::{Context, Result};
use burn::tensor::{Device, Tensor, activation::sigmoid};
use clap::Parser;
use serde_json::json;

use beside::{Case, Peer, PeerTimes, median};

const PAIRS: usize = 4096;

/// What TRL calls a method, where its loss function has it; the others are compared with its `sigmoid`, which is DPO.
const IN_TRL: [(&str, &str); 15] = [
    ("aot", "aot"),
    ("aot_unpaired", "aot_unpaired"),
    ("apo_down", "apo_down"),
    ("apo_zero", "apo_zero"),
    ("bco_pair", "bco_pair"),
    ("discopop", "discopop"),
    ("exo", "exo_pair"),
    ("f_dpo", "js_divergence"),
    ("hinge", "hinge"),
    ("ipo", "ipo"),
    ("ln_dpo", "sigmoid_norm"),
    ("nca_pair", "nca_pair"),
    ("robust", "robust"),
    ("sft", "sft"),
    ("sppo", "sppo_hard"),
];

/// The cost of pairwise objectives.
#[derive(Parser)]
struct Arguments {
    /// An interpreter with TRL, to measure beside.
    #[arg(long)]
    python: Option<String>,
    /// Only methods whose name contains this.
    filter: Option<String>,
    #[arg(long, default_value_t = 15)]
    rounds: usize,
    /// Repetitions of a round.
    #[arg(long, default_value_t = 20)]
    repeats: usize,
    /// What `cargo bench` says to every bench.
    #[arg(long, hide = true)]
    bench: bool,
}

/// Numbers between 0 and 1, from a fixed rule.
fn noise(seed: usize) -> impl Iterator<Item = f32> {
    (0..PAIRS).map(move |i| ((i * 7919 + seed * 104_729) % 5000) as f32 / 5000.0)
}

fn column(seed: usize, number: impl Fn(f32) -> f32, device: &Device) -> Tensor<1> {
    Tensor::from_floats(noise(seed).map(number).collect::<Vec<_>>().as_slice(), device)
}

/// Log-probabilities between -50 and 0.
fn logps(seed: usize, device: &Device) -> Tensor<1> {
    column(seed, |x| -50.0 * x, device)
}

/// What a batch is made of; making it is measured too, since a graph serves one backward pass.
struct Inputs {
    policy: [Tensor<1>; 2],
    reference: PairLogps,
    columns: Vec<(Column, Tensor<1>)>,
    terms: Vec<(Term, Tensor<1>)>,
    extras: Vec<(Extra, Tensor<1>, Option<SequenceLogps>)>,
    counts: Tensor<1>,
    state: State,
}

impl Inputs {
    /// All that a method declares.
    fn new(objective: &dyn PairwiseObjective, device: &Device) -> Result<Self> {
        let counts = Tensor::ones([PAIRS], device) * 20.0;
        let leaf = |seed| logps(seed, device).require_grad();
        let constant = |seed| SequenceLogps::new(logps(seed, device), counts.clone());
        let values = |(i, declared): (usize, Column)| {
            let number = |x: f32| match declared.domain {
                Domain::Real => 4.0 * x - 2.0,
                Domain::Unit => x,
                Domain::Binary => x.round(),
                Domain::Id => (8.0 * x).floor(),
            };
            (declared, column(5 + i, number, device))
        };
        let term = |(i, term)| (term, column(70 + i, |x| x, device).require_grad());
        let extra = |(i, extra): (usize, Extra)| {
            let reference = extra.needs_reference.then(|| constant(50 + i)).transpose()?;
            Ok((extra, leaf(90 + i), reference))
        };
        let mut inputs = Self {
            policy: [leaf(1), leaf(2)],
            reference: PairLogps::new(constant(3)?, constant(4)?)?,
            columns: objective.columns().into_iter().enumerate().map(values).collect(),
            terms: objective.terms().into_iter().enumerate().map(term).collect(),
            extras: objective.extras().into_iter().enumerate().map(extra).collect::<Result<_>>()?,
            counts,
            state: State::default(),
        };
        let mut state = State::default();
        objective.observe(&mut state, &inputs.batch()?)?;
        inputs.state = state;
        Ok(inputs)
    }

    fn batch(&self) -> Result<PairBatch> {
        let side = |sum: &Tensor<1>| SequenceLogps::new(sum.clone(), self.counts.clone());
        let [chosen, rejected] = &self.policy;
        let mut batch = PairBatch::new(PairLogps::new(side(chosen)?, side(rejected)?)?);
        batch = batch.with_reference(self.reference.clone())?;
        for (declared, values) in &self.columns {
            batch = batch.with_column(*declared, values.clone())?;
        }
        for (term, values) in &self.terms {
            batch = batch.with_term(*term, values.clone())?;
        }
        for (extra, policy, reference) in &self.extras {
            batch = batch.with_extra(*extra, side(policy)?, reference.clone())?;
        }
        Ok(batch.with_state(self.state.clone()))
    }
}

/// DPO written out, on tensors.
fn naive_dpo(inputs: &Inputs) -> Result<()> {
    let [chosen, rejected] = inputs.policy.clone();
    let h = (chosen - inputs.reference.chosen.sum.clone() - rejected + inputs.reference.rejected.sum.clone()) * 0.1;
    black_box(sigmoid(h).log().neg().mean().backward());
    Ok(())
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let device = Device::flex().autodiff();
    let wanted = |name: &str| arguments.filter.as_ref().is_none_or(|filter| name.contains(filter.as_str()));
    let built = methods().iter().filter(|method| wanted(method.name)).map(|method| {
        let objective = (method.build)(&Options::new())?;
        let inputs = Inputs::new(&*objective, &device)?;
        Ok((method.name, objective, inputs))
    });
    let built = built.collect::<Result<Vec<_>>>()?;
    let plain = Inputs::new(&*build("dpo", &Options::new())?, &device)?;

    let mut cases = vec![Case::new("naive DPO, -log(sigmoid(h))", || naive_dpo(&plain))];
    for (name, objective, inputs) in &built {
        for metrics in [false, true] {
            cases.push(Case::new(name, move || {
                let output = objective.forward(&inputs.batch()?)?;
                let means = metrics.then(|| output.means());
                black_box((output.reduce()?.loss.backward(), means));
                Ok(())
            }));
        }
    }
    let start = |python: &str| Peer::start(python, "pairwise.py");
    let mut peer = arguments.python.as_deref().map(start).transpose()?;
    let mut trl = PeerTimes::default();
    for _ in 0..arguments.rounds {
        for case in &mut cases {
            case.measure(arguments.repeats)?;
        }
        if let Some(peer) = &mut peer {
            trl.add(peer.ask(&json!({"pairs": PAIRS, "repeats": arguments.repeats}))?);
        }
    }

    let mut rows = cases.into_iter().map(|case| (case.name, median(case.micros)));
    let (name, naive) = rows.next().context("the naive loss")?;
    println!("{PAIRS} pairs, forward and backward, in µs\n\n{name}: {naive:.0}\n");
    println!("{:<24} {:>7} {:>9} {:>13} {:>9}  TRL's", "", "loss", "to naive", "with metrics", "to TRL");
    while let (Some((name, loss)), Some((_, whole))) = (rows.next(), rows.next()) {
        let theirs = IN_TRL.iter().find(|(ours, _)| *ours == name).map_or("sigmoid", |(_, theirs)| theirs);
        let beside =
            trl.median(theirs).map_or_else(String::new, |peer| format!("{:>9.2}  {theirs} {peer:.0}", whole / peer));
        println!("{name:<24} {loss:>7.0} {:>9.2} {whole:>13.0} {beside}", loss / naive);
    }
    Ok(())
}
