//! How much memory the logits may take, and what comes of it.

use burn::tensor::{DType, Device};
use serde::{Deserialize, Serialize};

use crate::backend;

/// How much of the logits exists at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Memory {
    /// [`Memory::Budget`] of 16 MiB on a CPU, 256 MiB on a GPU. Ours. On a CPU of two cores 4 to 32 MiB took the
    /// same time within the noise, 2 MiB a sixth more, 1 MiB almost half; the GPU's is a guess, to fill a large one.
    #[default]
    Auto,
    /// As many bytes of logits as this at a time, at least one logit. A budget that holds all of them (4 bytes each, 8
    /// for f64 input; six times that on `ndarray`, which cannot work in place) keeps them for the backward pass, which
    /// then computes no logit twice.
    Budget(usize),
    /// Tiles of so many rows and columns, each at least 1 (0 counts as 1), always recomputed: for tests and tuning.
    Tiles {
        /// Rows of hidden states.
        rows: usize,
        /// Columns of the vocabulary.
        columns: usize,
    },
}

/// What [`super::selected_logps`] is going to do, and the memory it takes beyond its inputs and outputs (the gradients
/// of the inputs are outputs).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Whether the device runs the custom operations; if not, the naive form runs.
    pub is_streamed: bool,
    /// Rows of a tile of logits.
    pub rows: usize,
    /// Columns of a tile of logits.
    pub columns: usize,
    /// Whether the logits are kept from the forward to the backward pass.
    pub keeps_logits: bool,
    /// Expected peak of the forward pass, in bytes.
    pub forward_bytes: usize,
    /// Expected peak of the backward pass, in bytes.
    pub backward_bytes: usize,
    /// What the naive form takes: three buffers `[n, v]`.
    pub naive_bytes: usize,
}

/// Rows of a tile at most: more of them make no matrix product faster.
const MAX_ROWS: usize = 4096;

/// Columns of a tile at least, while the budget allows: a narrower one spends its time in reading hidden states.
const MIN_COLUMNS: usize = 1024;

impl Plan {
    /// The plan for hidden states `[n, h]` (rows that count) of `dtype` and a vocabulary of `v` on `device`.
    ///
    /// # Example
    /// ```
    /// use accordant_ops::selected::{Memory, Plan};
    /// use burn::tensor::{DType, Device};
    /// let plan = Plan::new(2048, 512, 32_000, DType::F32, Memory::Auto, &Device::flex());
    /// assert_eq!((plan.rows, plan.columns), (2048, 2048)); // 16 MiB of f32
    /// assert!(plan.backward_bytes * 20 < plan.naive_bytes);
    /// let roomy = Memory::Budget(4 * 2048 * 32_000);
    /// assert!(Plan::new(2048, 512, 32_000, DType::F32, roomy, &Device::flex()).keeps_logits);
    /// ```
    pub fn new(n: usize, h: usize, v: usize, dtype: DType, memory: Memory, device: &Device) -> Self {
        let wide = backend::wide(dtype);
        let size = wide.size();
        let is_streamed = backend::is_extended(device);
        let budget = match memory {
            Memory::Auto if backend::is_gpu(device) => 256 << 20,
            Memory::Auto => 16 << 20,
            Memory::Budget(bytes) => bytes,
            Memory::Tiles { .. } => 0,
        };
        let bytes = |rows: usize, columns: usize| rows.saturating_mul(columns).saturating_mul(size);
        let all = bytes(n, v);
        let buffers = backend::tile_buffers(device);
        let keeps_logits = all.saturating_mul(buffers) <= budget;
        let (rows, columns) = match memory {
            Memory::Tiles { rows, columns } => (rows.clamp(1, n.max(1)), columns.clamp(1, v.max(1))),
            _ => tile(n.max(1), v.max(1), (budget / size / buffers).max(1)),
        };
        let logits = if keeps_logits { all } else { bytes(rows, columns) }.saturating_mul(buffers);
        // A narrow dtype has its hidden states and a tile of the head copied, and their gradients summed, in f32.
        let copies = if wide == dtype { 0 } else { bytes(n.saturating_add(columns), h) };
        let states = bytes(2 * (backend::STATE + backend::streamed::OUTPUT), n);
        // The products of a tile: gradients of its hidden states and of its part of the head.
        let products = bytes(rows.saturating_add(columns), h);
        let forward_bytes = logits.saturating_add(copies).saturating_add(states);
        let backward_bytes = forward_bytes.saturating_add(copies).saturating_add(products);
        let naive_bytes = all.saturating_mul(3);
        if is_streamed {
            Self { is_streamed, rows, columns, keeps_logits, forward_bytes, backward_bytes, naive_bytes }
        } else {
            let (forward_bytes, backward_bytes) = (all.saturating_mul(2), naive_bytes);
            Self { is_streamed, rows: n, columns: v, keeps_logits: true, forward_bytes, backward_bytes, naive_bytes }
        }
    }
}

/// Rows and columns of at most `logits` logits.
fn tile(n: usize, v: usize, logits: usize) -> (usize, usize) {
    let rows = n.min(MAX_ROWS).min((logits / MIN_COLUMNS.min(v)).max(1));
    (rows, v.min((logits / rows).max(1)))
}

/// How many of the custom GPU kernels this process has launched: 0 without the feature of a GPU runtime. For tests, and
/// for whoever doubts that they are taken.
pub fn gpu_launches() -> u64 {
    #[cfg(feature = "_cube")]
    return backend::cube::launches();
    #[cfg(not(feature = "_cube"))]
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tile_stays_within_its_budget_and_the_matrix() {
        for n in [1, 7, 300, 5000, 70_000] {
            for v in [1, 50, 1000, 32_000, 262_144] {
                for logits in [1, 100, 5000, 1 << 20, 1 << 26] {
                    let (rows, columns) = tile(n, v, logits);
                    assert!(rows >= 1 && columns >= 1 && rows <= n && columns <= v);
                    assert!(rows * columns <= logits, "{n} {v} {logits}: {rows} {columns}");
                }
            }
        }
    }
}
