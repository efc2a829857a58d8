//! One suite on every backend that is compiled in, in f32, against the same suite in f64 on the CPU.
//!
//! `ACCORDANT_REQUIRE=flex,wgpu` makes a backend that cannot be opened (no adapter, no driver) or is not compiled in a
//! failure; without it, such a backend prints `SKIPPED`. Software Vulkan drivers run `wgpu`; Mesa's crashes on the
//! SPIR-V of `vulkan`. `--nocapture` shows the largest error of each backend.
//!
//! The inputs are f32 numbers everywhere, or those rounded to bf16 or f16. A device's dtype can be set only once in a
//! process, so the f64 numbers come from a second process, which runs [`reference_in_f64`]. There the naive forms of
//! `selected` take the place of the custom operations.
//!
//! On a GPU tuning chooses between kernels by the clock, in every process anew. Numbers that are right in one run and
//! wrong in the next, whatever the other tests, point to one kernel among several: `fusion.rs` keeps such a fault of
//! burn. `CUBECL_DEBUG_LOG=stdout` prints, among much else, which kernels were taken.

#![cfg(feature = "flex")]

mod backends;
mod fusion;
mod kernels;
mod suite;

use std::{collections::BTreeMap, process::Command, sync::OnceLock};

use burn::tensor::{Device, FloatDType};

use suite::{NARROW, has, suite};

/// Numbers by name.
type Table = BTreeMap<String, Vec<f64>>;

struct Bound {
    group: &'static str,
    has: fn(&str) -> bool,
    /// Largest error, relative to the number, or (but for `stable`) to the mean size of its vector if that is larger.
    bound: f64,
}

/// A name belongs to the first group that has it. Measured, in this order, on `flex`, `ndarray`, and `wgpu` with Mesa's
/// software driver; `ndarray` has neither bf16 nor f16, that driver has no bf16:
///
/// | group | flex | ndarray | wgpu |
/// |---|---|---|---|
/// | stable | 3.6e-7 | 4.6e-7 | 1.4e-6 |
/// | decoder | 2.4e-5 | 2.0e-5 | 1.8e-5 |
/// | bf16 results | 4.6e-3 | | |
/// | f16 results | 8.2e-4 | | 8.2e-4 |
/// | log-softmax gradients | 1.3e-5 | 1.6e-5 | 2.1e-5 |
/// | the rest | 1.2e-6 | 1.2e-6 | 1.5e-6 |
///
/// Rounding a result once costs at most 3.9e-3 in bf16 and 4.9e-4 in f16; burn adds up the gradient of an expanded view
/// in the dtype itself, which is where more was measured. What comes back in f32 from narrow inputs is in the last
/// group: in f64 the inputs are the same numbers. Gradients of a log-softmax subtract what nearly cancels, such as
/// `log p + entropy`, of up to 12 nats.
const BOUNDS: [Bound; 6] = [
    Bound { group: "stable", has: |name| name.starts_with("stable::"), bound: 5e-6 },
    Bound { group: "decoder", has: |name| name.starts_with("decoder"), bound: 5e-5 },
    Bound { group: "bf16 results", has: |name| name.starts_with("bf16") && is_stored(name), bound: 1.2e-2 },
    Bound { group: "f16 results", has: |name| name.starts_with("f16") && is_stored(name), bound: 2e-3 },
    Bound { group: "log-softmax gradients", has: is_log_softmax_gradient, bound: 5e-5 },
    Bound { group: "the rest", has: |_| true, bound: 5e-6 },
];

/// What is given back in the dtype of the inputs.
fn is_stored(name: &str) -> bool {
    name.contains(" gradient ") || name.contains("masked_whiten")
}

fn is_log_softmax_gradient(name: &str) -> bool {
    let functions = ["selected_logps", "selected_log_softmax", "kl_logits"];
    name.contains(" gradient ") && functions.iter().any(|function| name.contains(function))
}

/// Where the process that computes in f64 writes.
const REFERENCE_FILE: &str = "ACCORDANT_PARITY_REFERENCE";

/// The custom operations keep within this of their naive forms in f64.
const F64_BOUND: f64 = 1e-11;

#[test]
#[ignore = "run by the other tests, in a process of its own"]
fn reference_in_f64() {
    let Some(path) = std::env::var_os(REFERENCE_FILE) else { return };
    let mut device = Device::flex();
    device.configure(FloatDType::F64).expect("nothing was computed yet");
    let expected = suite(&device, true);
    assert!(expected.values().flatten().all(|x| !x.is_nan()));
    for (name, got) in suite(&device, false) {
        let error = error(&name, &got, &expected[&name]);
        assert!(error <= F64_BOUND, "{name}: {error:.1e} in f64");
    }
    // JSON has no infinities: the bits.
    let bits = expected.iter().map(|(name, values)| (name, values.iter().map(|x| x.to_bits()).collect()));
    std::fs::write(path, serde_json::to_string(&bits.collect::<BTreeMap<_, Vec<u64>>>()).unwrap()).unwrap();
}

fn reference() -> &'static Table {
    static REFERENCE: OnceLock<Table> = OnceLock::new();
    REFERENCE.get_or_init(|| {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "reference_in_f64", "--ignored"]).env(REFERENCE_FILE, file.path());
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        let bits: BTreeMap<String, Vec<u64>> = serde_json::from_slice(&std::fs::read(file.path()).unwrap()).unwrap();
        bits.into_iter().map(|(name, bits)| (name, bits.into_iter().map(f64::from_bits).collect())).collect()
    })
}

fn check(name: &str) {
    let backend = backends::COMPILED.iter().find(|backend| backend.name == name).expect("a feature of this name");
    let expected = reference();
    let _alone = backends::alone();
    let Some(device) = backend.open() else { return };
    let missing: Vec<_> = NARROW.iter().filter(|(_, dtype)| !has(&device, *dtype)).map(|(prefix, _)| *prefix).collect();
    for prefix in &missing {
        backends::say(&format!("SKIPPED: {prefix}which `{name}` cannot store"));
    }
    let got = suite(&device, false);
    let is_here = |name: &&String| !missing.iter().any(|prefix| name.starts_with(prefix));
    assert!(got.keys().eq(expected.keys().filter(is_here)));
    let mut wrong = Vec::new();
    for (i, Bound { group, bound, .. }) in BOUNDS.iter().enumerate() {
        let here = |key: &str| BOUNDS.iter().position(|group| (group.has)(key)) == Some(i);
        let numbers = got.iter().filter(|(key, _)| here(key));
        let mut errors: Vec<_> = numbers.map(|(key, got)| (error(key, got, &expected[key]), key)).collect();
        errors.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        let worst: Vec<_> = errors.iter().take(3).map(|(error, key)| format!("{error:.1e} in {key}")).collect();
        if errors.is_empty() {
            continue;
        }
        println!("{name}, {group}: {} vectors, worst {}", errors.len(), worst.join("; "));
        wrong.extend(errors.into_iter().filter(|(error, _)| error.is_nan() || error > bound));
    }
    assert!(wrong.is_empty(), "{name}: beyond the bound: {wrong:#?}");
}

/// The largest error, as [`Bound`] has it; NaN when a number is. Infinities and booleans must be equal.
fn error(key: &str, got: &[f64], expected: &[f64]) -> f64 {
    assert_eq!(got.len(), expected.len(), "{key}");
    let finite = || expected.iter().filter(|x| x.is_finite());
    let mean = finite().map(|x| x.abs()).sum::<f64>() / finite().count() as f64;
    let floor = if key.starts_with("stable::") { 0.0 } else { mean };
    let is_exact = key.contains("is_top1") || key.contains("is constant");
    let errors = got.iter().zip(expected).map(|(got, expected)| match got - expected {
        _ if got == expected => 0.0,
        difference if expected.is_infinite() || is_exact => difference.abs() * f64::INFINITY,
        difference => difference.abs() / floor.max(expected.abs()),
    });
    errors.fold(0.0, |a, b| if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) })
}

/// The test of one backend, where its feature is on.
macro_rules! parity {
    ($test:ident, $feature:literal) => {
        #[cfg(feature = $feature)]
        #[test]
        fn $test() {
            check($feature);
        }
    };
}

parity!(flex_agrees_with_f64, "flex");
parity!(ndarray_agrees_with_f64, "ndarray");
parity!(wgpu_agrees_with_f64, "wgpu");
parity!(vulkan_agrees_with_f64, "vulkan");
parity!(metal_agrees_with_f64, "metal");
parity!(webgpu_agrees_with_f64, "webgpu");
parity!(cuda_agrees_with_f64, "cuda");
parity!(rocm_agrees_with_f64, "rocm");
