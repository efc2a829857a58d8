//! The backends that are compiled in, opened.

use std::{
    io::Write,
    panic::catch_unwind,
    sync::{Mutex, MutexGuard, PoisonError},
};

use burn::tensor::{Device, Tensor};

pub struct Backend {
    pub name: &'static str,
    open: fn() -> Device,
}

macro_rules! backends {
    ($($name:literal: $open:expr),* $(,)?) => {
        /// Every backend that is compiled in.
        #[allow(deprecated, reason = "ndarray: a second opinion on the CPU while burn ships it")]
        pub static COMPILED: &[Backend] = &[$(#[cfg(feature = $name)] Backend { name: $name, open: $open }),*];
    };
}

backends! {
    "flex": Device::flex,
    "ndarray": Device::ndarray,
    "wgpu": || Device::wgpu(Default::default()),
    "vulkan": || Device::vulkan(Default::default()),
    "metal": || Device::metal(Default::default()),
    "webgpu": || Device::webgpu(Default::default()),
    "cuda": || Device::cuda(0),
    "rocm": || Device::rocm(0),
}

impl Backend {
    pub fn is_gpu(&self) -> bool {
        !["flex", "ndarray"].contains(&self.name)
    }

    /// The device; none, said aloud, where it is not required and cannot be opened.
    pub fn open(&self) -> Option<Device> {
        let opened = catch_unwind(|| {
            let device = (self.open)();
            Tensor::<1>::ones([1], &device).into_data();
            device
        });
        let name = self.name;
        if opened.is_err() {
            assert!(!required().iter().any(|required| required == name), "`{name}` is required and cannot be opened");
            say(&format!("SKIPPED: parity on `{name}`, which cannot be opened"));
        }
        opened.ok()
    }
}

/// Prints a line past the test harness, which would swallow `eprintln`.
pub fn say(line: &str) {
    writeln!(std::io::stderr(), "{line}").expect("standard error is open");
}

/// Backends that must be there, from `$ACCORDANT_REQUIRE`.
pub fn required() -> Vec<String> {
    let names = std::env::var("ACCORDANT_REQUIRE").unwrap_or_default();
    names.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect()
}

/// Held by every test that computes, so that launches of kernels can be counted.
pub fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn every_required_backend_is_compiled_in() {
    for name in required() {
        assert!(COMPILED.iter().any(|backend| backend.name == name), "`{name}` is required and not compiled in");
    }
}
