//! A fault of burn 0.22.1 that the naive forms steer clear of, kept so that a later burn can be asked whether it is
//! gone: `cargo test --features wgpu --test parity fusion -- --ignored`.
//!
//! Fusion takes a reduction together with what comes before and after it, and tuning chooses, by the clock, between
//! the fused kernels and the operations one by one. A `[n, 1]` that a transpose or a `swap_dims` has left with the
//! strides of a row is contiguous to fusion, since strides of dimensions of size 1 do not matter, and permuted all the
//! same (`permuted_innermost_axis` in burn-cubecl-fusion goes by the strides): its kernels read vectors of 2 or 4
//! elements along the `n`, while the reduction counts vectors along its last dimension, and `1 / 4` of them is none. A
//! sum or a mean is 0 then, a maximum −∞. Along the other dimension they are wrong, too. An odd `n` has no vectors and
//! is right.
//!
//! Autodiff hides it well: the backward pass of every `sum_dim` begins with a sum of size-1 rows, so that gradients
//! vanish under a loss that is right. A fused block that reads a transposed `[n, k]` also writes its `[n, 1]` with such
//! strides. What helps: columns from a `reshape` or an `unsqueeze_dim`, which have strides of their own.

use burn::tensor::Tensor;

use super::{
    backends::{COMPILED, alone},
    kernels::whole,
};

/// Sizes between two powers of 8 are tuned as one. With this many, a fused kernel is taken somewhere.
#[test]
#[ignore = "fails as long as burn has the fault"]
fn a_fused_sum_of_a_transposed_row_is_its_numbers() {
    let _alone = alone();
    let mut wrong = Vec::new();
    for backend in COMPILED {
        let Some(device) = backend.open() else { continue };
        for n in (3..17).map(|log| 1 << log) {
            let row: Tensor<2> = whole([1, n], 9, &device);
            let column = row.clone().transpose();
            // What follows is fused on its own, and finds the column as it is.
            device.sync().unwrap();
            let sums = ((column * 2.0).sum_dim(1) * 3.0).try_to_vec_as::<f32>().unwrap();
            let expected = (row * 6.0).try_to_vec_as::<f32>().unwrap();
            if sums != expected {
                wrong.push(format!("{n} on {}", backend.name));
            }
        }
    }
    assert!(wrong.is_empty(), "wrong: {}", wrong.join(", "));
}
