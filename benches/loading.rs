//! What loading costs: half a gigabyte of generated HH-RLHF, read and checked into pairs, on one core and on two.
//! `cargo bench --bench loading`
//!
//! `-- --python python3` starts `benches/peers/loading.py` as the peer: `json.loads` and the same checks for each line,
//! on one core. Both sides must count the same pairs and rejects. The run fails if one core is less than three times as
//! fast as the peer, or two are less than 1.5 times as fast as one.
//!
//! `-- --stream` writes 2 GiB instead, streams them through `load::Records` and prints the most memory the process ever
//! held (`VmHWM` of Linux), which must stay under 100 MiB.

mod beside;

use std::{
    fs::{self, File},
    hint::black_box,
    io::{BufWriter, Write},
    path::Path,
    time::Instant,
};

use accordant::data::{
    LoadOptions, Pair,
    load::Records,
    order::{Purpose, stream},
    read_hh_rlhf,
};
use anyhow::{Context, Result, ensure};
use clap::Parser;
use rand::Rng;
use serde_json::json;

use beside::{Peer, PeerTimes, median};

/// The cost of loading.
#[derive(Parser)]
struct Arguments {
    /// An interpreter, to measure beside.
    #[arg(long)]
    python: Option<String>,
    /// Megabytes of the file, in units of 10^6 bytes.
    #[arg(long, default_value_t = 500)]
    megabytes: u64,
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Stream 2 GiB and show how much memory that takes.
    #[arg(long)]
    stream: bool,
    /// What `cargo bench` says to every bench.
    #[arg(long, hide = true)]
    bench: bool,
}

/// Writes transcripts of one to four exchanges, some 1.3 kB a row as in HH-RLHF: words of two to nine letters, a quoted
/// word and a curly apostrophe now and then, and one row in fifty whose answers are the same.
fn generate(path: &Path, bytes: u64) -> Result<()> {
    let mut rng = stream(7, Purpose::TrainRecords, 0);
    let mut words: Vec<String> = (0..2000)
        .map(|_| (0..rng.random_range(2..10)).map(|_| char::from(b'a' + rng.random_range(0..26u8))).collect())
        .collect();
    words.extend(["\"quoted\"".to_owned(), "it\u{2019}s".to_owned(), "caf\u{e9}".to_owned()]);
    let mut text = |out: &mut String, len: usize| {
        for _ in 0..len {
            out.push(' ');
            out.push_str(&words[rng.random_range(0..words.len())]);
        }
        rng.random_range(0..200usize)
    };
    let mut file = BufWriter::new(File::create(path)?);
    let (mut written, mut draw) = (0, 0);
    while written < bytes {
        let mut prompt = String::new();
        for turn in 0..=draw % 4 {
            prompt += "\n\nHuman:";
            let len = text(&mut prompt, 6 + draw % 30);
            prompt += "\n\nAssistant:";
            if turn < draw % 4 {
                text(&mut prompt, 10 + len % 60);
            }
        }
        let [mut chosen, mut rejected] = [prompt.clone(), prompt];
        draw = text(&mut chosen, 10 + draw % 90);
        match draw % 50 {
            0 => rejected.clone_from(&chosen),
            _ => draw = text(&mut rejected, 10 + draw % 90),
        }
        let row = json!({"chosen": chosen, "rejected": rejected}).to_string();
        writeln!(file, "{row}")?;
        written += row.len() as u64 + 1;
    }
    Ok(file.flush()?)
}

/// Seconds of one load with so many threads; the pairs and the rejects.
fn load(path: &Path, threads: usize) -> Result<(f64, [usize; 2])> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
    let options = LoadOptions { parallel: threads > 1, ..LoadOptions::default() };
    let start = Instant::now();
    let (pairs, report) = match threads {
        1 => read_hh_rlhf(path, &options),
        _ => pool.install(|| read_hh_rlhf(path, &options)),
    }?;
    let seconds = start.elapsed().as_secs_f64();
    Ok((seconds, [black_box(pairs).len(), report.total_rejected()]))
}

/// The most memory that the process ever held, in MiB, where the system says.
fn peak_mebibytes() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.split_whitespace().next()?.parse::<f64>().ok()? / 1024.0)
}

fn streaming(path: &Path) -> Result<()> {
    generate(path, 2 << 30)?;
    let start = Instant::now();
    let mut records = Records::<Pair>::open(path, &LoadOptions::default())?;
    let count = records.by_ref().try_fold(0, |count, pair| pair.map(|_| count + 1))?;
    let (seconds, report) = (start.elapsed().as_secs_f64(), records.into_report());
    println!("2 GiB streamed in {seconds:.1} s: {count} pairs of {} lines", report.lines);
    let peak = peak_mebibytes().context("this system does not say how much memory a process held")?;
    println!("peak memory {peak:.1} MiB, bar 100");
    ensure!(peak < 100.0, "a bar is missed: {peak} MiB");
    Ok(())
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("pairs.jsonl");
    if arguments.stream {
        return streaming(&path);
    }
    generate(&path, arguments.megabytes * 1_000_000)?;
    let start = |python: &str| Peer::start(python, "loading.py");
    let mut peer = arguments.python.as_deref().map(start).transpose()?;
    let (mut seconds, mut theirs) = ([const { Vec::new() }; 2], PeerTimes::default());
    let mut counts = [0; 2];
    for _ in 0..arguments.rounds {
        for (threads, seconds) in (1..).zip(&mut seconds) {
            let (time, counted) = load(&path, threads)?;
            seconds.push(time);
            counts = counted;
        }
        if let Some(peer) = &mut peer {
            theirs.add(peer.ask(&json!({"path": path}))?);
        }
    }
    let [one, two] = seconds.map(median);
    let rate = |seconds: f64| arguments.megabytes as f64 / seconds;
    println!("{} MB, {} pairs and {} rejects\n", arguments.megabytes, counts[0], counts[1]);
    println!("{:<12} {:>8} {:>8} {:>8}", "", "seconds", "MB/s", "ratio");
    println!("{:<12} {one:>8.2} {:>8.0}", "one core", rate(one));
    println!("{:<12} {two:>8.2} {:>8.0} {:>8.2} to one core, bar 1.5", "two cores", rate(two), one / two);
    let mut missed = Vec::new();
    if one < 1.5 * two {
        missed.push("two cores");
    }
    if let Some(python) = theirs.median("load").map(|micros| micros / 1e6) {
        println!(
            "{:<12} {python:>8.2} {:>8.0} {:>8.2} times one core, bar 3",
            "json.loads",
            rate(python),
            python / one
        );
        for (name, ours) in ["pairs", "rejected"].into_iter().zip(counts) {
            ensure!(theirs.median(name) == Some(ours as f64), "{name}: {ours}, the peer {:?}", theirs.median(name));
        }
        if python < 3.0 * one {
            missed.push("one core");
        }
    }
    ensure!(missed.is_empty(), "a bar is missed: {}", missed.join(", "));
    Ok(())
}
