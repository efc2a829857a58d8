//! One suite on every backend that is compiled in, in f32, against the same suite in f64 on the CPU.
//!
//! `ACCORDANT_REQUIRE=flex,wgpu` makes a backend that cannot be opened (no adapter, no driver) or is not compiled in a
//! failure; without it, such a backend prints `SKIPPED`. Software Vulkan drivers run `wgpu`; Mesa's crashes on the
//! SPIR-V of `vulkan`. `--nocapture` shows the largest error of each backend.
//!
//! The inputs are f32 numbers everywhere. A device's dtype can be set only once in a process, so the f64 numbers come
//! from a second process, which runs [`reference_in_f64`].

#![cfg(feature = "flex")]

mod suite;

use std::{collections::BTreeMap, io::Write, panic::catch_unwind, process::Command, sync::OnceLock};

use burn::tensor::{Device, FloatDType, Tensor};

use suite::suite;

/// Largest error of f32 numbers whose names begin like this, relative to the number, or (but for `stable::`) to the mean
/// size of its vector where that is larger. In this order, 5e-7, 1.4e-5 and 2.4e-6 were measured on `flex`, 5e-7, 2.9e-5
/// and 2.2e-6 on `ndarray`, 8e-7, 2.4e-5 and 1.8e-6 on `wgpu` with Mesa's software driver.
const BOUNDS: [(&str, f64); 3] = [("stable::", 5e-6), ("decoder", 5e-5), ("", 5e-6)];

/// Where the process that computes in f64 writes.
const REFERENCE_FILE: &str = "ACCORDANT_PARITY_REFERENCE";

#[test]
#[ignore = "run by the other tests, in a process of its own"]
fn reference_in_f64() {
    let Some(path) = std::env::var_os(REFERENCE_FILE) else { return };
    let mut device = Device::flex();
    device.configure(FloatDType::F64).expect("nothing was computed yet");
    let numbers = suite(&device).0;
    assert!(numbers.values().flatten().all(|x| x.is_finite()));
    std::fs::write(path, serde_json::to_string(&numbers).unwrap()).unwrap();
}

fn reference() -> &'static BTreeMap<String, Vec<f64>> {
    static REFERENCE: OnceLock<BTreeMap<String, Vec<f64>>> = OnceLock::new();
    REFERENCE.get_or_init(|| {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "reference_in_f64", "--ignored"]).env(REFERENCE_FILE, file.path());
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        serde_json::from_reader(file).unwrap()
    })
}

/// Backends that must be there, from `$ACCORDANT_REQUIRE`.
fn required() -> Vec<String> {
    let names = std::env::var("ACCORDANT_REQUIRE").unwrap_or_default();
    names.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect()
}

fn check(name: &str, open: fn() -> Device) {
    let opened = catch_unwind(|| {
        let device = open();
        Tensor::<1>::ones([1], &device).into_data();
        device
    });
    let Ok(device) = opened else {
        assert!(!required().iter().any(|required| required == name), "`{name}` is required and cannot be opened");
        // Not `eprintln`: the test harness would swallow it.
        writeln!(std::io::stderr(), "SKIPPED: parity on `{name}`, which cannot be opened")
            .expect("standard error is open");
        return;
    };
    let got = suite(&device).0;
    assert!(got.keys().eq(reference().keys()));
    let mut wrong = Vec::new();
    for (i, (group, bound)) in BOUNDS.into_iter().enumerate() {
        let here = |key: &str| BOUNDS.iter().position(|(group, _)| key.starts_with(group)) == Some(i);
        let numbers = got.iter().filter(|(key, _)| here(key));
        let mut errors: Vec<_> = numbers.map(|(key, got)| (error(key, got), key)).collect();
        errors.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        let worst: Vec<_> = errors.iter().take(3).map(|(error, key)| format!("{error:.1e} in {key}")).collect();
        println!("{name}, {group}*: {} vectors, worst {}", errors.len(), worst.join("; "));
        wrong.extend(errors.into_iter().filter(|(error, _)| error.is_nan() || *error > bound));
    }
    assert!(wrong.is_empty(), "{name}: beyond the bound: {wrong:#?}");
}

/// The largest error, as [`BOUNDS`] has it; NaN when a number is.
fn error(key: &str, got: &[f64]) -> f64 {
    let expected = &reference()[key];
    assert_eq!(got.len(), expected.len());
    let mean = expected.iter().map(|x| x.abs()).sum::<f64>() / expected.len() as f64;
    let floor = if key.starts_with(BOUNDS[0].0) { 0.0 } else { mean };
    let errors = got.iter().zip(expected).map(|(got, expected)| match (got - expected).abs() {
        0.0 => 0.0,
        difference => difference / floor.max(expected.abs()),
    });
    errors.fold(0.0, |a, b| if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) })
}

/// The test of one backend, where its feature is on.
macro_rules! parity {
    ($(#[$attribute:meta])* $test:ident, $feature:literal, $open:expr) => {
        $(#[$attribute])*
        #[cfg(feature = $feature)]
        #[test]
        fn $test() {
            check($feature, $open);
        }
    };
}

parity!(flex_agrees_with_f64, "flex", Device::flex);
parity!(
    #[expect(deprecated, reason = "a second opinion on the CPU while burn ships it")]
    ndarray_agrees_with_f64,
    "ndarray",
    Device::ndarray
);
parity!(wgpu_agrees_with_f64, "wgpu", || Device::wgpu(Default::default()));
parity!(vulkan_agrees_with_f64, "vulkan", || Device::vulkan(Default::default()));
parity!(metal_agrees_with_f64, "metal", || Device::metal(Default::default()));
parity!(webgpu_agrees_with_f64, "webgpu", || Device::webgpu(Default::default()));
parity!(cuda_agrees_with_f64, "cuda", || Device::cuda(0));
parity!(rocm_agrees_with_f64, "rocm", || Device::rocm(0));

#[test]
fn every_required_backend_is_compiled_in() {
    let compiled = [
        ("flex", cfg!(feature = "flex")),
        ("ndarray", cfg!(feature = "ndarray")),
        ("wgpu", cfg!(feature = "wgpu")),
        ("vulkan", cfg!(feature = "vulkan")),
        ("metal", cfg!(feature = "metal")),
        ("webgpu", cfg!(feature = "webgpu")),
        ("cuda", cfg!(feature = "cuda")),
        ("rocm", cfg!(feature = "rocm")),
    ];
    for name in required() {
        assert!(compiled.contains(&(name.as_str(), true)), "`{name}` is required and not compiled in");
    }
}
