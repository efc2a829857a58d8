//! Where the golden files are.

use std::path::PathBuf;

/// The folder that `ACCORDANT_GOLDEN` names, else the workspace's.
pub fn folder() -> PathBuf {
    match std::env::var_os("ACCORDANT_GOLDEN") {
        Some(folder) => folder.into(),
        None => concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden").into(),
    }
}
