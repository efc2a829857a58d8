//! Can this device be trusted with alignment training?
//!
//! Runs the operations that every method here relies on, on the device you name, and compares each with plain `f64`
//! loops on the host. Expect yes: every check `ok` (or `unsupported`, where the device does not compute in `bf16` or
//! in 64-bit integers) and "healthy" on the last line; the run fails otherwise. Takes a second on a CPU. On a GPU it
//! takes as long as compiling and tuning the kernels: about a minute on Mesa's software driver, on two cores.
//!
//! `cargo run --release --example doctor --features wgpu -- --device wgpu`. On that driver one check fails, and
//! rightly so: it ends loops after 65535 rounds. `--allow 'rows and columns beyond 65535'` accepts that.

use std::process::ExitCode;

use accordant::{device, ops::doctor::examine};
use clap::Parser;

/// A self-check of one device.
#[derive(Parser, Debug)]
#[command(version)]
struct Args {
    /// What to check: flex, or another backend that was compiled in
    #[arg(long, value_name = "DEVICE", default_value = "flex")]
    device: String,
    /// A check that may fail, by its name in the table
    #[arg(long, value_name = "CHECK")]
    allow: Vec<String>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let device = match device::open(&args.device) {
        Ok(device) => device,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    let report = examine(&device);
    println!("{report}");
    if let Some(unknown) = args.allow.iter().find(|name| !report.checks.iter().any(|check| check.name == **name)) {
        eprintln!("error: no check is called `{unknown}`");
        return ExitCode::FAILURE;
    }
    let unexpected = report.failures().filter(|check| !args.allow.iter().any(|name| name == check.name)).count();
    if unexpected == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
