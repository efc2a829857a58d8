//! What loading costs: half a gigabyte of generated HH-RLHF, read and checked into pairs, on one core and on two.
//! `cargo bench --bench loading`
//!
//! `-- --python python3` starts `benches/peers/loading.py` as the peer: `json.loads` and the same checks for each line,
//! on one core. Both sides must count the same pairs and rejects. Seconds of the processor are shown beside those of the
//! clock, since a busy machine stretches the latter. The run fails if the peer takes less than three times the processor's
//! time of one core, or if two cores are less than 1.5 times as fast as one by the clock.
//!
//! `-- --stream` writes 2 GiB instead, streams them through `load::Records` and prints the most memory the process ever
//! held (`VmHWM` of Linux), which must stay under 100 MiB.

#[allow(dead_code)] // Cases of microseconds are for other benches.
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

/// Seconds of the clock and of the processor.
type Seconds = [f64; 2];

/// Seconds that the processor has worked for this process, where the system says; Linux counts hundredths.
fn processor_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: Vec<f64> = fields.skip(11).take(2).filter_map(|field| field.parse().ok()).collect();
    if ticks.len() == 2 { (ticks[0] + ticks[1]) / 100.0 } else { f64::NAN }
}

/// One load with so many threads: what it took, and the pairs and the rejects.
fn load(path: &Path, threads: usize) -> Result<(Seconds, [usize; 2])> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
    let options = LoadOptions { parallel: threads > 1, ..LoadOptions::default() };
    let (start, worked) = (Instant::now(), processor_seconds());
    let (pairs, report) = match threads {
        1 => read_hh_rlhf(path, &options),
        _ => pool.install(|| read_hh_rlhf(path, &options)),
    }?;
    let seconds = [start.elapsed().as_secs_f64(), processor_seconds() - worked];
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
    let medians = |seconds: Vec<Seconds>| [0, 1].map(|i| median(seconds.iter().map(|both| both[i]).collect()));
    let [one, two] = seconds.map(medians);
    println!("{} MB, {} pairs and {} rejects\n", arguments.megabytes, counts[0], counts[1]);
    println!("{:<12} {:>9} {:>9} {:>9}", "", "clock, s", "work, s", "MB/s work");
    let show = |name: &str, [clock, work]: Seconds| {
        println!("{name:<12} {clock:>9.2} {work:>9.2} {:>9.0}", arguments.megabytes as f64 / work);
    };
    show("one core", one);
    show("two cores", two);
    let mut missed = Vec::new();
    println!("two cores are {:.2} times as fast by the clock, bar 1.5", one[0] / two[0]);
    if one[0] < 1.5 * two[0] {
        missed.push("two cores");
    }
    let peer_seconds = |name| theirs.median(name).map(|micros| micros / 1e6);
    if let (Some(clock), Some(work)) = (peer_seconds("load"), peer_seconds("work")) {
        show("json.loads", [clock, work]);
        println!("the peer works {:.2} times as long, bar 3; by the clock {:.2}", work / one[1], clock / one[0]);
        for (name, ours) in ["pairs", "rejected"].into_iter().zip(counts) {
            ensure!(theirs.median(name) == Some(ours as f64), "{name}: {ours}, the peer {:?}", theirs.median(name));
        }
        // Written so that a time that is not known misses the bar.
        if work.is_nan() || work < 3.0 * one[1] {
            missed.push("one core");
        }
    }
    ensure!(missed.is_empty(), "a bar is missed: {}", missed.join(", "));
    Ok(())
}
