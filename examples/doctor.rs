//! Can this device be trusted with alignment training?
//!
//! Runs the operations that every method here relies on, on the device you name, and compares each with plain `f64`
//! loops on the host. Expect yes: every check `ok` (or `unsupported`, where the device does not compute in `bf16` or
//! in 64-bit integers) and "healthy" on the last line; the run fails otherwise. Takes a second on a CPU. On a GPU it
//! takes as long as compiling and tuning the kernels: about a minute on Mesa's software driver, on two cores.
//!
//! `cargo run --release --example doctor --features wgpu -- --device wgpu`. On that driver one check fails, and
//! rightly so: it ends loops after 65535 rounds. `--allow 'rows and columns beyond 65535'` accepts that.

use std::{panic::catch_unwind, process::ExitCode};

use accordant::ops::doctor::examine;
use burn::tensor::{Device, Tensor};
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

/// Backends, and whether each was compiled in.
const BACKENDS: [(&str, bool); 8] = [
    ("flex", cfg!(feature = "flex")),
    ("ndarray", cfg!(feature = "ndarray")),
    ("wgpu", cfg!(feature = "wgpu")),
    ("vulkan", cfg!(feature = "vulkan")),
    ("metal", cfg!(feature = "metal")),
    ("webgpu", cfg!(feature = "webgpu")),
    ("cuda", cfg!(feature = "cuda")),
    ("rocm", cfg!(feature = "rocm")),
];

fn device(name: &str) -> Option<Device> {
    match name {
        #[cfg(feature = "flex")]
        "flex" => Some(Device::flex()),
        #[cfg(feature = "ndarray")]
        #[expect(deprecated, reason = "a second opinion on the CPU while burn ships it")]
        "ndarray" => Some(Device::ndarray()),
        #[cfg(feature = "wgpu")]
        "wgpu" => Some(Device::wgpu(Default::default())),
        #[cfg(feature = "vulkan")]
        "vulkan" => Some(Device::vulkan(Default::default())),
        #[cfg(feature = "metal")]
        "metal" => Some(Device::metal(Default::default())),
        #[cfg(feature = "webgpu")]
        "webgpu" => Some(Device::webgpu(Default::default())),
        #[cfg(feature = "cuda")]
        "cuda" => Some(Device::cuda(0usize)),
        #[cfg(feature = "rocm")]
        "rocm" => Some(Device::rocm(0usize)),
        _ => None,
    }
}

/// The device, after a first tensor was made on it: burn panics there when the machine has no such device.
fn open(name: &str) -> Result<Device, String> {
    if !BACKENDS.iter().any(|(backend, _)| *backend == name) {
        let names: Vec<_> = BACKENDS.iter().map(|(backend, _)| *backend).collect();
        return Err(format!("no backend is called `{name}`; there are {}", names.join(", ")));
    }
    let opened = catch_unwind(|| {
        let device = device(name)?;
        Tensor::<1>::ones([1], &device).into_data();
        Some(device)
    });
    match opened {
        Ok(Some(device)) => Ok(device),
        Ok(None) => Err(format!("`{name}` was not compiled in; run again with `--features {name}`")),
        Err(_) => Err(format!("`{name}` cannot be opened: no adapter or no driver for it on this machine (see above)")),
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    let device = match open(&args.device) {
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
