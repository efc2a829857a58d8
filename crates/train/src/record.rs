//! What people see of a run: a progress bar, a metrics log, curves.

use std::path::Path;

use accordant_ops::Means;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use crate::{Result, files::JsonLines};

/// What a loop says after each step; the numbers are those before the step's update.
#[derive(Debug, Clone)]
pub struct StepReport<'a> {
    /// The loop: `sft`, or the name of an objective.
    pub phase: &'a str,
    /// The step, from 0.
    pub step: usize,
    /// The number of steps.
    pub steps: usize,
    /// Passes over the records so far, a fraction.
    pub epoch: f64,
    /// The learning rate.
    pub learning_rate: f64,
    /// Global norm of the gradient, before clipping.
    pub grad_norm: f64,
    /// Real tokens that the step read.
    pub tokens: usize,
    /// Seconds that the step took.
    pub seconds: f64,
    /// Means over the step's records.
    pub means: &'a Means,
}

/// Follows a run.
pub trait Observer {
    /// Called after each step.
    ///
    /// # Errors
    /// Whatever the observer cannot do; the run stops.
    fn step(&mut self, report: &StepReport<'_>) -> Result<()>;
}

/// An observer that looks away.
impl Observer for () {
    fn step(&mut self, _: &StepReport<'_>) -> Result<()> {
        Ok(())
    }
}

/// Draws a progress bar on standard error (ten plain lines where that is no terminal), writes one JSON line a step, and
/// keeps the curves.
#[derive(Debug)]
pub struct Recorder {
    bar: ProgressBar,
    phase: String,
    seconds: f64,
    tokens: usize,
    log: Option<JsonLines>,
    curves: Vec<(String, Vec<(f64, f64)>)>,
}

impl Recorder {
    /// Follows a run; with a path, writes its metrics there when [`Recorder::finish`] is called.
    ///
    /// # Errors
    /// [`crate::Error::Write`] when the log cannot be started.
    pub fn new(log: Option<&Path>) -> Result<Self> {
        let log = log.map(JsonLines::create).transpose()?;
        let (phase, bar) = (String::new(), ProgressBar::hidden());
        Ok(Self { bar, phase, seconds: 0.0, tokens: 0, log, curves: Vec::new() })
    }

    /// The points `(step, value)` of a mean such as `dpo/loss`, in the order of the steps; empty when there are none.
    pub fn curve(&self, name: &str) -> &[(f64, f64)] {
        self.curves.iter().find(|(known, _)| known == name).map_or(&[], |(_, points)| points)
    }

    /// Adds a point to a curve and a line to the log, for what is measured between steps.
    ///
    /// # Errors
    /// [`crate::Error::Write`] when the log cannot be written.
    pub fn point(&mut self, name: &str, step: usize, value: f64) -> Result<()> {
        self.keep(name, step, value);
        self.write(&json!({ "step": step, name: value }))
    }

    fn keep(&mut self, name: &str, step: usize, value: f64) {
        let point = (step as f64, value);
        match self.curves.iter_mut().find(|(known, _)| known == name) {
            Some((_, points)) => points.push(point),
            None => self.curves.push((name.to_owned(), vec![point])),
        }
    }

    fn write(&mut self, line: &Value) -> Result<()> {
        self.log.as_mut().map_or(Ok(()), |log| log.push(line))
    }

    /// Ends the bar and completes the log.
    ///
    /// # Errors
    /// [`crate::Error::Write`] when the log cannot be completed.
    pub fn finish(&mut self) -> Result<()> {
        self.bar.finish_and_clear();
        self.log.take().map_or(Ok(()), JsonLines::finish)
    }

    fn begin(&mut self, report: &StepReport<'_>) {
        self.bar.finish_and_clear();
        self.bar = ProgressBar::new(report.steps as u64);
        let style = ProgressStyle::with_template("{prefix:>8} {bar:30} {pos}/{len} [{elapsed}<{eta}] {msg}");
        self.bar.set_style(style.expect("the template is valid"));
        self.bar.set_prefix(report.phase.to_owned());
        (self.phase, self.seconds, self.tokens) = (report.phase.to_owned(), 0.0, 0);
    }
}

impl Observer for Recorder {
    fn step(&mut self, report: &StepReport<'_>) -> Result<()> {
        if self.phase != report.phase {
            self.begin(report);
        }
        self.tokens += report.tokens;
        self.seconds += report.seconds;
        let speed = self.tokens as f64 / self.seconds.max(1e-9);
        let loss = report.means.mean("loss").unwrap_or(0.0);
        let shown = [("acc", "rewards/accuracies"), ("reward", "reward"), ("success", "success")];
        let known = shown.into_iter().filter_map(|(name, mean)| Some((name, report.means.mean(mean)?)));
        let progress: String = known.map(|(name, value)| format!(" {name} {value:.3}")).collect();
        self.bar.set_message(format!("loss {loss:.4}{progress} {speed:.0} tok/s"));
        self.bar.set_position(report.step as u64 + 1);
        let tenth = report.steps.div_ceil(10);
        if self.bar.is_hidden() && (report.step + 1).is_multiple_of(tenth) {
            let done = report.step + 1;
            eprintln!("{:>8} {done}/{} loss {loss:.4}{progress} {speed:.0} tok/s", report.phase, report.steps);
        }
        if report.step + 1 == report.steps {
            self.bar.finish_and_clear();
        }
        let mut line = json!({
            "phase": report.phase,
            "step": report.step,
            "epoch": report.epoch,
            "learning_rate": report.learning_rate,
            "grad_norm": report.grad_norm,
            "tokens": report.tokens,
            "tokens_per_second": speed,
        });
        for (name, mean) in report.means.iter() {
            line[name] = json!(mean);
            self.keep(&format!("{}/{name}", report.phase), report.step, mean);
        }
        self.write(&line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_become_curves_and_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        let mut recorder = Recorder::new(Some(&path)).unwrap();
        for step in 0..3 {
            let mut means = Means::default();
            means.add("loss", 2.0 * step as f64, 2.0);
            let report = StepReport {
                phase: "dpo",
                step,
                steps: 3,
                epoch: 0.5,
                learning_rate: 1e-3,
                grad_norm: 1.0,
                tokens: 10,
                seconds: 0.5,
                means: &means,
            };
            recorder.step(&report).unwrap();
        }
        recorder.point("held-out", 2, 0.75).unwrap();
        recorder.finish().unwrap();
        assert_eq!(recorder.curve("dpo/loss"), [(0.0, 0.0), (1.0, 1.0), (2.0, 2.0)]);
        assert_eq!(recorder.curve("held-out"), [(2.0, 0.75)]);
        assert!(recorder.curve("unknown").is_empty());
        let lines: Vec<Value> =
            std::fs::read_to_string(&path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 4);
        assert_eq!(lines[2]["tokens_per_second"], json!(20.0));
        assert_eq!((&lines[2]["loss"], &lines[3]["held-out"]), (&json!(2.0), &json!(0.75)));
    }
}
