//! A self-check: can this device be trusted with alignment training?
//!
//! [`examine`] runs the operations that this workspace relies on, on a given device and with fusion and autotune as
//! they are configured there, and compares each with a plain `f64` loop on the host. Call it once when a program
//! starts on a device it has not seen: new hardware, a new driver, a new version of burn. A wrong kernel is silent
//! otherwise: the loss goes down, only not to where it should (burn's issue 5122, a fused `[n, 1]` head, is of that
//! kind).
//!
//! Start with [`examine`]; [`Verdict`] says what each answer means, [`Check::bound`] where the bounds come from.
//!
//! **Cost:** every check runs [`RUNS`] times: the first run tunes and compiles kernels, the second takes what tuning
//! chose and what fusion cached. Half a second on `flex`, even in the dev profile. On a GPU nearly all of it is
//! compiling and tuning: a minute on Mesa's software driver with two cores. Some 10 MB of device memory.
//!
//! **Not checked:** speed, memory, several devices, and random numbers (ours are made on the host). A runtime that
//! hangs makes the check hang too.
//!
//! **Not checked either,** since the clock decides it in every process anew: on a GPU, where tuning takes a fused
//! kernel, burn 0.22.1 takes the sum of a `[n, 1]` that is a transposed row for 0. In losses of your own, make columns
//! by `reshape`, not by `transpose` or `swap_dims`.
//!
//! **Known failure:** Mesa's software driver (llvmpipe) ends the loops of a shader after 65535 rounds without a word,
//! so on it `rows and columns beyond 65535` is wrong, and truly so: there, the sum of 65537 ones along a row is 65532.
//! Reduce such rows in pieces. `log_softmax` and [`selected_logps`](crate::selected::selected_logps) were right.

use std::panic::{AssertUnwindSafe, catch_unwind};

use burn::tensor::{DType, Device};

mod catalog;
mod indices;
mod likelihoods;
mod pointwise;
mod probe;
mod products;
mod storage;
mod sums;
mod table;

use catalog::{CHECKS, Spec};
use probe::Probe;

/// How often each check runs; its largest error counts.
pub const RUNS: usize = 2;

/// Errors beyond this multiple of their bound are no rounding any more.
const WRONG: f64 = 100.0;

/// Nor are errors beyond this, whatever the bound: not one digit is right.
const WRONG_ANYWAY: f64 = 0.5;

/// What a device computed, one entry for each check.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// The device, as burn prints it.
    pub device: String,
    /// In the order they ran.
    pub checks: Vec<Check>,
}

/// One operation, or a few that belong together, in one dtype.
#[derive(Debug, Clone, PartialEq)]
pub struct Check {
    /// What ran.
    pub name: &'static str,
    /// What relies on it.
    pub purpose: &'static str,
    /// The dtype of its inputs.
    pub dtype: DType,
    /// The largest error of all runs, NaN where none was measured or a number was not finite.
    ///
    /// The error of a number is its distance from the host's, divided by the host's number or, where that is larger,
    /// by the mean size of the vector it belongs to (a sum that cancels is judged by its neighbors). `softplus` and
    /// the cast to `bf16` are divided by the number itself, since there the small ones matter.
    pub max_error: f64,
    /// The largest error that is still [`Verdict::Ok`]; 0 where nothing is rounded.
    ///
    /// In `f32`, 5e-6 to 5e-5: at least four times the largest error measured on `flex`, `ndarray` and software
    /// `wgpu`, so that another order of summation passes and a lost digit does not. In `bf16`, from its 8 bits: one
    /// rounding errs by at most 2⁻⁸. `doctor/catalog.rs` has the measured numbers.
    pub bound: f64,
    /// What to make of it.
    pub verdict: Verdict,
}

/// What a check says about the device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The error is within the bound.
    Ok,
    /// The error is beyond the bound, though within 100 times it: a poor approximation, or a narrower type inside (on
    /// CUDA, burn's autotune may choose TF32, of 11 bits, to multiply `f32` matrices). Training may work; small
    /// differences between policy and reference suffer.
    Imprecise,
    /// The error is larger than that or larger than one half, or a number is NaN or infinite where the host's is
    /// finite, or one is missing. Do not train on this device with these settings.
    Wrong,
    /// The device does not compute in this dtype, by its own account. No defect: choose another dtype.
    Unsupported,
    /// The operation panicked, or its result could not be read back; the message says why. A GPU's runtime may be
    /// unusable afterwards, so distrust the checks that follow.
    Panicked(String),
}

/// Runs every check on `device`.
///
/// The device may be plain or on autodiff: values are computed on the plain device, gradients on the one with autodiff
/// (with its gradient checkpointing, if it was asked for). Float tensors have explicit dtypes, so the device's default
/// plays no part; but the first tensor fixes the defaults, so `configure` a device before.
///
/// Opening a device that is not there panics in burn when its first tensor is made. That is the caller's to find out:
/// here it would make [`Verdict::Panicked`] of every check.
///
/// # Panics
/// Never: a panic inside burn becomes [`Verdict::Panicked`]. The panic hook still prints it to standard error.
///
/// # Example
/// ```
/// use accordant_ops::doctor::examine;
/// use burn::tensor::Device;
/// let report = examine(&Device::flex());
/// assert!(report.is_healthy(), "{report}");
/// ```
#[doc(alias = "self-test")]
#[doc(alias = "diagnose")]
pub fn examine(device: &Device) -> Report {
    run(device, CHECKS)
}

fn run(device: &Device, specs: &[Spec]) -> Report {
    let checks = specs.iter().map(|spec| check(device, spec)).collect();
    Report { device: format!("{:?}", device.clone().without_autodiff()), checks }
}

fn check(device: &Device, spec: &Spec) -> Check {
    // A probe that panicked is thrown away; burn's own state is what `Verdict::Panicked` warns of.
    let measured = catch_unwind(AssertUnwindSafe(|| {
        device.supports_dtype(spec.dtype).then(|| {
            let mut probe = Probe::new(device, spec.dtype);
            (0..RUNS).for_each(|_| (spec.run)(&mut probe));
            probe.max_error()
        })
    }));
    let (max_error, verdict) = match measured {
        Ok(Some(error)) => (error, judge(error, spec.bound)),
        Ok(None) => (f64::NAN, Verdict::Unsupported),
        Err(payload) => {
            let text = payload.downcast_ref::<String>().map(String::as_str);
            let message = text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("without a message");
            (f64::NAN, Verdict::Panicked(message.to_owned()))
        }
    };
    Check { name: spec.name, purpose: spec.purpose, dtype: spec.dtype, max_error, bound: spec.bound, verdict }
}

fn judge(error: f64, bound: f64) -> Verdict {
    if error <= bound {
        Verdict::Ok
    } else if error <= (WRONG * bound).min(WRONG_ANYWAY) {
        Verdict::Imprecise
    } else {
        Verdict::Wrong // NaN too
    }
}

impl Report {
    /// Whether no check is [`Verdict::Imprecise`], [`Verdict::Wrong`] or [`Verdict::Panicked`].
    pub fn is_healthy(&self) -> bool {
        self.failures().next().is_none()
    }

    /// The checks that are.
    pub fn failures(&self) -> impl Iterator<Item = &Check> {
        self.checks.iter().filter(|check| !matches!(check.verdict, Verdict::Ok | Verdict::Unsupported))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(bound: f64, run: fn(&mut Probe)) -> Check {
        let spec = Spec { name: "a check", purpose: "tests", dtype: DType::F32, bound, run };
        check(&Device::flex(), &spec)
    }

    #[test]
    fn flex_is_healthy_in_every_dtype() {
        let report = examine(&Device::flex());
        assert!(report.checks.iter().all(|check| check.verdict == Verdict::Ok), "{report}");
        let ok = format!(": healthy ({} checks ok, 0 failed, 0 unsupported)", CHECKS.len());
        assert!(report.to_string().ends_with(&ok), "{report}");
    }

    #[test]
    fn a_device_on_autodiff_is_examined_alike() {
        let (plain, tracked) = (examine(&Device::flex()), examine(&Device::flex().autodiff()));
        assert_eq!(tracked.device, plain.device);
        assert!(tracked.is_healthy(), "{tracked}");
    }

    #[test]
    fn a_damaged_number_fails_every_check() {
        for spec in CHECKS {
            let mut probe = Probe::new(&Device::flex(), spec.dtype);
            probe.damage_results();
            (spec.run)(&mut probe);
            assert_ne!(judge(probe.max_error(), spec.bound), Verdict::Ok, "{} {:?}", spec.name, spec.dtype);
        }
    }

    #[test]
    fn every_check_has_a_name_of_its_own_in_its_dtype() {
        let name = |spec: &Spec| (spec.name, format!("{:?}", spec.dtype));
        for (i, spec) in CHECKS.iter().enumerate() {
            assert!(!CHECKS[..i].iter().any(|other| name(other) == name(spec)), "{:?}", name(spec));
        }
    }

    #[test]
    fn errors_are_judged_by_their_bound() {
        // One half off, 1e-4 off, right.
        let check = one(1e-5, |probe| probe.compare(probe.tensor(&[3.0, 2.0], [2]), &[2.0, 2.0]));
        assert_eq!((check.verdict, check.max_error), (Verdict::Wrong, 0.5));
        let check = one(1e-5, |probe| probe.compare(probe.tensor(&[2.0, 2.0002], [2]), &[2.0, 2.0]));
        assert_eq!(check.verdict, Verdict::Imprecise);
        assert!((check.max_error - 1e-4).abs() < 1e-7, "{}", check.max_error);
        assert_eq!(one(1e-5, |probe| probe.compare(probe.tensor(&[2.0], [1]), &[2.0])).verdict, Verdict::Ok);
    }

    #[test]
    fn where_nothing_is_rounded_the_last_bit_is_wrong() {
        let check = one(0.0, |probe| probe.compare(probe.tensor(&[1.0 + f64::from(f32::EPSILON)], [1]), &[1.0]));
        assert_eq!(check.verdict, Verdict::Wrong);
    }

    #[test]
    fn a_result_without_a_right_digit_is_wrong_under_any_bound() {
        assert_eq!(one(0.1, |probe| probe.compare(probe.tensor(&[0.0], [1]), &[1.0])).verdict, Verdict::Wrong);
    }

    #[test]
    fn nan_infinity_and_missing_numbers_are_wrong() {
        for run in [
            |probe: &mut Probe| probe.compare(probe.tensor(&[f64::NAN, 1.0], [2]), &[1.0, 1.0]),
            |probe: &mut Probe| probe.compare(probe.tensor(&[f64::INFINITY, 1.0], [2]), &[1.0, 1.0]),
            |probe: &mut Probe| probe.compare(probe.tensor(&[1.0], [1]), &[1.0, 1.0]),
        ] {
            let check = one(1e-5, run);
            assert_eq!(check.verdict, Verdict::Wrong);
            assert!(check.max_error.is_nan());
        }
    }

    #[test]
    fn a_later_success_does_not_hide_an_error() {
        let check = one(1e-5, |probe| {
            probe.compare(probe.tensor(&[f64::NAN], [1]), &[1.0]);
            probe.compare(probe.tensor(&[1.0], [1]), &[1.0]);
        });
        assert_eq!(check.verdict, Verdict::Wrong);
    }

    #[test]
    fn a_panic_is_a_verdict_and_the_report_goes_on() {
        let specs = [
            Spec {
                name: "a shape",
                purpose: "tests",
                dtype: DType::F32,
                bound: 0.0,
                run: |probe| {
                    probe.compare(probe.tensor(&[1.0], [1]).matmul(probe.tensor(&[1.0, 2.0], [2])), &[1.0]);
                },
            },
            Spec {
                name: "a sum",
                purpose: "tests",
                dtype: DType::F32,
                bound: 0.0,
                run: |probe| {
                    probe.compare(probe.tensor(&[1.0, 2.0], [2]).sum(), &[3.0]);
                },
            },
            Spec { name: "a dtype", purpose: "tests", dtype: DType::Flex32, bound: 0.0, run: |_| unreachable!() },
        ];
        let report = run(&Device::flex(), &specs);
        assert!(matches!(&report.checks[0].verdict, Verdict::Panicked(message) if !message.is_empty()), "{report}");
        assert_eq!(report.checks[1].verdict, Verdict::Ok);
        assert_eq!(report.checks[2].verdict, Verdict::Unsupported);
        assert_eq!(report.failures().map(|check| check.name).collect::<Vec<_>>(), ["a shape"]);
        let text = report.to_string();
        assert!(text.contains("\na shape panicked: ") && text.contains("\nafter a panic"), "{text}");
        assert!(text.ends_with(": NOT healthy (1 checks ok, 1 failed, 1 unsupported)"), "{text}");
    }
}
