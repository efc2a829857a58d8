//! What benches beside a peer in Python share.

use std::{
    io::{BufRead, BufReader, Write},
    process::{ChildStdin, ChildStdout, Command, Stdio},
    time::Instant,
};

use anyhow::{Context, Result};
use serde_json::Value;

/// One thing that is measured: microseconds of each repetition.
pub struct Case<'a> {
    pub name: String,
    run: Box<dyn Fn() -> Result<()> + 'a>,
    pub micros: Vec<f64>,
}

impl<'a> Case<'a> {
    pub fn new(name: &str, run: impl Fn() -> Result<()> + 'a) -> Self {
        Self { name: name.to_owned(), run: Box::new(run), micros: Vec::new() }
    }

    pub fn measure(&mut self, repeats: usize) -> Result<()> {
        for i in 0..repeats + 3 {
            let start = Instant::now();
            (self.run)()?;
            // The first ones warm up.
            if i >= 3 {
                self.micros.push(1e6 * start.elapsed().as_secs_f64());
            }
        }
        Ok(())
    }
}

/// The middle one.
pub fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Other people's code in a process of its own.
pub struct Peer {
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Peer {
    /// `script`: a file in `benches/peers`.
    pub fn start(python: &str, script: &str) -> Result<Self> {
        let script = format!("{}/benches/peers/{script}", env!("CARGO_MANIFEST_DIR"));
        let mut command = Command::new(python);
        let child = command.arg(&script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let child = child.with_context(|| format!("{python} {script}"))?;
        let to = child.stdin.context("the peer's input")?;
        Ok(Self { to, from: BufReader::new(child.stdout.context("the peer's output")?) })
    }

    /// Microseconds of each repetition of a job, by what is measured.
    pub fn ask(&mut self, job: &Value) -> Result<Vec<(String, Vec<f64>)>> {
        writeln!(self.to, "{job}")?;
        let mut line = String::new();
        self.from.read_line(&mut line)?;
        let answer: Value = serde_json::from_str(&line).context("the peer's answer")?;
        let losses = answer.as_object().context("losses")?.iter();
        let micros = |seconds: &Value| -> Option<Vec<f64>> {
            seconds.as_array()?.iter().map(|seconds| Some(1e6 * seconds.as_f64()?)).collect()
        };
        losses.map(|(loss, seconds)| Ok((loss.clone(), micros(seconds).context("seconds")?))).collect()
    }
}

/// Medians of what a peer measured, over all rounds.
#[derive(Default)]
pub struct PeerTimes(Vec<(String, Vec<f64>)>);

impl PeerTimes {
    pub fn add(&mut self, answer: Vec<(String, Vec<f64>)>) {
        for (loss, micros) in answer {
            match self.0.iter_mut().find(|(name, _)| *name == loss) {
                Some((_, all)) => all.extend(micros),
                None => self.0.push((loss, micros)),
            }
        }
    }

    pub fn median(&self, loss: &str) -> Option<f64> {
        self.0.iter().find(|(name, _)| name == loss).map(|(_, micros)| median(micros.clone()))
    }
}
