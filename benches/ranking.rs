//! What a ranking costs: Bradley-Terry scores from the raw list of 1 000 000 comparisons of 200 players, and 1000 bootstrap
//! refits of 8931 judgements of 59 models (LLMFAO, or a seeded crowd of that size), beside evalica and choix.
//! `cargo bench --bench ranking`
//!
//! Every round measures everything once, so that a noisy machine is noisy for all; the table has medians over the rounds.
//! `-- --python python3` starts `benches/peers/ranking.py` as the peer: an interpreter with evalica 0.4.2 and choix 0.4.1; the
//! run then fails above the bars. Peers get their lists ready-made, as Python objects, and a bootstrap of evalica's is counted
//! as as many bare fits of the data as they are, without a draw.

mod beside;
#[path = "../examples/rank_models/protocol.rs"]
#[allow(dead_code)] // The example calls the rest.
mod protocol;

use std::{
    fmt::Write as _,
    fs,
    hint::black_box,
    path::{Path, PathBuf},
    time::Instant,
};

use accordant::preference::{
    Comparisons, NamedComparisons, Outcome,
    ranking::{BootstrapConfig, NewmanConfig, NewtonConfig, Ranking, world::CrowdConfig},
};
use anyhow::{Result, ensure};
use clap::Parser;
use serde_json::json;

use beside::{Peer, PeerTimes, median};
use protocol::Judgements;

/// Refits of a bootstrap.
const REFITS: u32 = 1000;

/// The cost of rankings.
#[derive(Parser)]
struct Arguments {
    /// An interpreter with evalica and choix, to measure beside.
    #[arg(long)]
    python: Option<String>,
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// What `cargo bench` says to every bench.
    #[arg(long, hide = true)]
    bench: bool,
}

/// A raw list: who met whom, and the outcome from the first one's side.
struct Raw {
    num_items: usize,
    matches: Vec<(usize, usize, Outcome)>,
    /// The same with names.
    named: Vec<(String, String, Outcome)>,
}

impl Raw {
    fn new(judged: &Comparisons) -> Self {
        let records = judged.records().iter();
        let matches: Vec<_> = records.map(|record| (record.first, record.second, record.outcome)).collect();
        let name = |item: usize| format!("m{item}");
        let named = matches.iter().map(|&(first, second, outcome)| (name(first), name(second), outcome)).collect();
        Self { num_items: judged.num_items(), matches, named }
    }

    fn comparisons(&self) -> Result<Comparisons> {
        let mut judged = Comparisons::new(self.num_items);
        for &(first, second, outcome) in &self.matches {
            judged.push(first, second, outcome)?;
        }
        Ok(judged)
    }

    fn by_name(&self) -> Result<Comparisons> {
        let mut judged = NamedComparisons::default();
        for (first, second, outcome) in &self.named {
            judged.push(first, second, *outcome)?;
        }
        Ok(judged.comparisons()?)
    }

    /// For the peer: a match a line.
    fn write(&self, path: &Path) -> Result<()> {
        let mut text = String::new();
        for (first, second, outcome) in &self.matches {
            let winner = match outcome {
                Outcome::First => 'x',
                Outcome::Second => 'y',
                _ => 'd',
            };
            writeln!(text, "{first},{second},{winner}")?;
        }
        Ok(fs::write(path, text)?)
    }
}

/// The judgements of LLMFAO, if they are there.
fn judgements() -> Result<Comparisons> {
    let shared = std::env::var_os("ACCORDANT_SHARED").map_or_else(|| PathBuf::from("../shared"), PathBuf::from);
    let path = shared.join("data/llmfao/llmfao.csv");
    if path.exists() {
        return Ok(Judgements::read(&path).map_err(anyhow::Error::from_boxed)?.all);
    }
    println!("SKIPPED: {} is not there; a seeded crowd of its size instead", path.display());
    Ok(CrowdConfig::new(59, 8931).with_ties(Some(0.4)).draw()?.judged)
}

/// Adds the milliseconds of one fit, which has converged.
fn measure(times: &mut Vec<f64>, fit: impl FnOnce() -> Result<Ranking>) -> Result<()> {
    let start = Instant::now();
    let ranking = fit()?;
    times.push(1e3 * start.elapsed().as_secs_f64());
    ensure!(black_box(ranking).report.converged, "a fit did not converge");
    Ok(())
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let games = Raw::new(&CrowdConfig::new(200, 1_000_000).draw()?.judged);
    let judged = Raw::new(&judgements()?);
    let folder = tempfile::tempdir()?;
    let paths = ["games.csv", "judged.csv"].map(|name| folder.path().join(name));
    games.write(&paths[0])?;
    judged.write(&paths[1])?;
    let jobs = [
        json!({"job": "fit", "players": games.num_items, "path": paths[0]}),
        json!({"job": "refits", "players": judged.num_items, "path": paths[1]}),
    ];
    let start = |python: &str| Peer::start(python, "ranking.py");
    let mut peer = arguments.python.as_deref().map(start).transpose()?;
    let (newman, newton) = (NewmanConfig::new(), NewtonConfig::new());
    let (mut by_index, mut by_newton, mut by_name, mut refits) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut theirs = PeerTimes::default();
    for _ in 0..arguments.rounds {
        measure(&mut by_index, || Ok(newman.fit(&games.comparisons()?)?))?;
        measure(&mut by_newton, || Ok(newton.fit(&games.comparisons()?)?))?;
        measure(&mut by_name, || Ok(newman.fit(&games.by_name()?)?))?;
        let start = Instant::now();
        let config = BootstrapConfig::new().with_replicates(REFITS);
        let draws = config.run(&judged.comparisons()?, |table| newman.fit_matrix(table), |_| ())?;
        black_box(draws.intervals(0.95)?);
        refits.push(1e3 * start.elapsed().as_secs_f64());
        ensure!(draws.failed() == 0, "{} refits failed", draws.failed());
        for job in &jobs {
            if let Some(peer) = &mut peer {
                theirs.add(peer.ask(job)?);
            }
        }
    }

    // The peers' times come in microseconds.
    let peer = |name: &str| theirs.median(name).map(|micros| micros / 1e3);
    let mut missed = Vec::new();
    println!("{} comparisons of {} players, from the raw list to scores, ms\n", games.matches.len(), games.num_items);
    let evalica = ("evalica", 0.25);
    let choix = [("choix I-LSR", 0.5), ("choix LSR, one step", 0.5)];
    for (what, times, peers) in [
        ("indices, Newman", by_index, &[evalica, choix[0], choix[1]][..]),
        ("indices, Newton", by_newton, &[evalica, choix[0], choix[1]]),
        ("names, Newman", by_name, &[("evalica, names", 0.25)]),
    ] {
        let ours = median(times);
        println!("{what:<22} {ours:>8.1}");
        for &(name, most) in peers {
            let Some(theirs) = peer(name) else { continue };
            println!("  {name:<20} {theirs:>8.1}  ratio {:.3}, bar {most}", ours / theirs);
            if ours > most * theirs {
                missed.push(format!("{what} to {name}"));
            }
        }
    }
    let ours = median(refits);
    println!("\n{REFITS} bootstrap refits of {} judgements of {} models, ms\n", judged.matches.len(), judged.num_items);
    println!("{:<22} {ours:>8.1}", "Newman");
    for name in ["evalica, indices", "evalica, names"] {
        let Some(one) = peer(&format!("refit: {name}")) else { continue };
        let times = one * f64::from(REFITS) / ours;
        println!("  {name:<20} {:>8.1}  {times:.1} times as long, bar 20", one * f64::from(REFITS));
        if times < 20.0 {
            missed.push(format!("refits to {name}"));
        }
    }
    ensure!(missed.is_empty(), "above the bar: {}", missed.join("; "));
    Ok(())
}
