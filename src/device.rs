//! Devices by name, for command lines and configuration files.

use std::panic::catch_unwind;

use burn::tensor::{Device, Tensor};

/// Every backend by its feature's name, and whether it was compiled in.
pub const BACKENDS: [(&str, bool); 8] = [
    ("flex", cfg!(feature = "flex")),
    ("ndarray", cfg!(feature = "ndarray")),
    ("wgpu", cfg!(feature = "wgpu")),
    ("vulkan", cfg!(feature = "vulkan")),
    ("metal", cfg!(feature = "metal")),
    ("webgpu", cfg!(feature = "webgpu")),
    ("cuda", cfg!(feature = "cuda")),
    ("rocm", cfg!(feature = "rocm")),
];

/// Why a device cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// No backend has this name.
    #[error("no backend is called `{name}`; there are {}", BACKENDS.map(|(name, _)| name).join(", "))]
    Unknown {
        /// What was asked for.
        name: String,
    },
    /// The backend's feature is off in this build.
    #[error("`{name}` was not compiled in; build with `--features {name}`")]
    NotCompiledIn {
        /// The backend and its feature.
        name: String,
    },
    /// The machine has no such device, or no driver for it.
    #[error("`{name}` cannot be opened: this machine has no adapter or no driver for it")]
    Unavailable {
        /// The backend.
        name: String,
    },
}

fn compiled(name: &str) -> Option<Device> {
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

/// The first device of a backend, after one number was computed on it: burn panics there on a machine that has none.
///
/// # Errors
/// [`DeviceError`] for an unknown name, a backend that was not compiled in, and a device that cannot be opened. In the
/// last case burn has printed its own reason to standard error.
///
/// # Example
/// ```
/// use accordant::device;
/// assert!(device::open("flex").is_ok());
/// assert!(device::open("abacus").unwrap_err().to_string().starts_with("no backend is called `abacus`"));
/// ```
pub fn open(name: &str) -> Result<Device, DeviceError> {
    if !BACKENDS.iter().any(|(backend, _)| *backend == name) {
        return Err(DeviceError::Unknown { name: name.into() });
    }
    let opened = catch_unwind(|| {
        let device = compiled(name)?;
        Tensor::<1>::ones([1], &device).into_data();
        Some(device)
    });
    match opened {
        Ok(Some(device)) => Ok(device),
        Ok(None) => Err(DeviceError::NotCompiledIn { name: name.into() }),
        Err(_) => Err(DeviceError::Unavailable { name: name.into() }),
    }
}
