//! PyTorch on the same work, in a process of its own.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, Command, Stdio},
};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::bench::{Cost, median};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/peers/logprobs.py");

pub struct Peer(Child);

impl Peer {
    /// `python` is an interpreter with PyTorch.
    pub fn start(python: &str, threads: usize) -> Result<Self> {
        let mut command = Command::new(python);
        command.arg(SCRIPT).arg(threads.to_string()).stdin(Stdio::piped()).stdout(Stdio::piped());
        command.spawn().map(Self).with_context(|| format!("{python} {SCRIPT}"))
    }

    /// The cost of one job, in the forms that PyTorch has.
    pub fn ask(&mut self, job: &Value) -> Result<Vec<(String, Cost)>> {
        writeln!(self.0.stdin.as_mut().context("the peer's input")?, "{job}")?;
        let mut line = String::new();
        BufReader::new(self.0.stdout.as_mut().context("the peer's output")?).read_line(&mut line)?;
        let answer: Value = serde_json::from_str(&line).context("the peer's answer")?;
        let forms = answer.as_object().context("forms")?.iter();
        forms.map(|(name, form)| Ok((format!("PyTorch, {name}"), cost(form)?))).collect()
    }
}

fn cost(form: &Value) -> Result<Cost> {
    let seconds = form["seconds"].as_array().context("seconds")?.iter().filter_map(|second| second.as_f64());
    Ok(Cost { seconds: median(seconds.collect()), bytes: form["bytes"].as_f64() })
}
