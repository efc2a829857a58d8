//! What a ranking costs: Bradley-Terry scores from the raw list of 1 000 000 comparisons of 200 players, and 1000
//! bootstrap refits of 8931 judgements of 59 models (LLMFAO, or a seeded crowd of that size), beside evalica and choix.
//! `cargo bench --bench ranking`
//!
//! Every round measures everything once, so that a noisy machine is noisy for all; the table has medians over the
//! rounds. `-- --python python3` starts `benches/peers/ranking.py` as the peer: an interpreter with evalica 0.4.2 and
//! choix 0.4.1; the run then fails above the bars. Peers get their lists ready-made, as Python objects, and a bootstrap
//! of evalica's is counted as as many bare fits of the data as they are, without a draw. Single fits stop at the
//! default tolerances, ours 1e-10 and theirs 1e-6 and 1e-8; refits at evalica's 1e-6, on both sides.

mod beside;
#[path = "../examples/rank_models/protocol.rs"]
#[allow(dead_code)] // The example calls the rest.
mod protocol;

use std::{
    fmt::Write as _,
    fs,
    hint::black_box,
    path::{Path, PathBuf},
};

use accordant::preference::{
    Comparison, Comparisons, NamedComparisons, Outcome,
    ranking::{BootstrapConfig, NewmanConfig, NewtonConfig, Ranking, world::CrowdConfig},
};
use anyhow::{Result, ensure};
use clap::Parser;
use serde_json::json;

use beside::{Case, Peer, PeerTimes, median};
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
    /// The name of each item: as in Python, a list of names is one of references.
    names: Vec<String>,
}

impl Raw {
    fn new(judged: &Comparisons) -> Self {
        let records = judged.records().iter();
        let matches = records.map(|record| (record.first, record.second, record.outcome)).collect();
        let names = (0..judged.num_items()).map(|item| format!("m{item}")).collect();
        Self { num_items: judged.num_items(), matches, names }
    }

    fn comparisons(&self) -> Result<Comparisons> {
        let records = self.matches.iter();
        let records = records.map(|&(first, second, outcome)| Comparison { first, second, outcome, weight: 1.0 });
        Ok(Comparisons::from_records(self.num_items, records)?)
    }

    fn by_name(&self) -> Result<Comparisons> {
        let mut judged = NamedComparisons::default();
        for &(first, second, outcome) in &self.matches {
            judged.push(&self.names[first], &self.names[second], outcome)?;
        }
        Ok(judged.into_comparisons()?.1)
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

fn converged(ranking: Ranking) -> Result<()> {
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
    let refit = newman.clone().with_tolerance(1e-6);
    let bootstrap = || {
        let config = BootstrapConfig::new().with_replicates(REFITS);
        let draws = config.run(&judged.comparisons()?, |table| refit.fit_matrix(table), |_| ())?;
        black_box(draws.intervals(0.95)?);
        ensure!(draws.failed() == 0, "{} refits failed", draws.failed());
        Ok(())
    };
    let mut cases = [
        Case::new("indices, Newman", || converged(newman.fit(&games.comparisons()?)?)),
        Case::new("indices, Newton", || converged(newton.fit(&games.comparisons()?)?)),
        Case::new("names, Newman", || converged(newman.fit(&games.by_name()?)?)),
        Case::new("bootstrap, Newman", bootstrap),
    ];
    let mut theirs = PeerTimes::default();
    for _ in 0..arguments.rounds {
        for case in &mut cases {
            case.measure(1)?;
        }
        if let Some(peer) = &mut peer {
            for job in &jobs {
                theirs.add(peer.ask(job)?);
            }
        }
    }

    let [fits @ .., refits] = cases.map(|case| (case.name, median(case.micros) / 1e3));
    let peer = |name: &str| theirs.median(name).map(|micros| micros / 1e3);
    let mut missed = Vec::new();
    println!("{} comparisons of {} players, from the raw list to scores, ms\n", games.matches.len(), games.num_items);
    let of_indices = [("evalica", 0.25), ("choix I-LSR", 0.5), ("choix LSR, one step", 0.5)];
    for (what, ours) in fits {
        println!("{what:<22} {ours:>8.1}");
        let peers = if what.starts_with("names") { &[("evalica, names", 0.25)][..] } else { &of_indices };
        for &(name, most) in peers {
            let Some(theirs) = peer(name) else { continue };
            println!("  {name:<20} {theirs:>8.1}  ratio {:.3}, bar {most}", ours / theirs);
            if ours > most * theirs {
                missed.push(format!("{what}, to {name}"));
            }
        }
    }
    let (what, ours) = refits;
    println!("\n{REFITS} refits of {} judgements of {} models, ms\n", judged.matches.len(), judged.num_items);
    println!("{what:<22} {ours:>8.1}");
    for name in ["evalica, indices", "evalica, names"] {
        let Some(one) = peer(&format!("refit: {name}")) else { continue };
        let all = one * f64::from(REFITS);
        println!("  {name:<20} {all:>8.1}  {:.1} times as long, bar 20", all / ours);
        if all < 20.0 * ours {
            missed.push(format!("{what}, to {name}"));
        }
    }
    ensure!(missed.is_empty(), "a bar is missed: {}", missed.join("; "));
    Ok(())
}
