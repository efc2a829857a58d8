//! Time and memory of a piece of work.

use std::{alloc::System, time::Instant};

use burn::tensor::{DType, Device, Distribution, Tensor};
use peakmem_alloc::{INSTRUMENTED_SYSTEM, PeakMemAlloc, PeakMemAllocTrait};

#[global_allocator]
static ALLOCATOR: &PeakMemAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Median seconds, and the peak of memory above what was there before and what came out.
pub struct Cost {
    pub seconds: f64,
    pub bytes: Option<f64>,
}

pub struct Bench {
    pub device: Device,
    pub dtype: DType,
    pub repeats: usize,
}

pub fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

impl Bench {
    pub fn on_gpu(&self) -> bool {
        self.device.memory_pool_usage().is_some()
    }

    pub fn normal<const D: usize>(&self, shape: [usize; D], std: f64) -> Tensor<D> {
        Tensor::random(shape, Distribution::Normal(0.0, std), (&self.device, self.dtype))
    }

    /// `run` gives back the bytes of its outputs. On a GPU, memory is what its pools reserve.
    pub fn measure(&self, run: impl Fn() -> usize) -> Cost {
        let (mut seconds, mut bytes) = (Vec::new(), 0.0f64);
        let reserved = || self.device.memory_pool_usage().map(|usage| usage.bytes_reserved as f64);
        for i in 0..=self.repeats {
            self.device.memory_cleanup();
            let before = reserved();
            ALLOCATOR.reset_peak_memory();
            let start = Instant::now();
            let outputs = run() as f64;
            self.device.sync().expect("the device works");
            // The first one also warms up.
            if i > 0 {
                seconds.push(start.elapsed().as_secs_f64());
                let host = || ALLOCATOR.get_peak_memory() as f64;
                let peak = reserved().zip(before).map_or_else(host, |(after, before)| after - before);
                bytes = bytes.max(peak - outputs);
            }
        }
        Cost { seconds: median(seconds), bytes: Some(bytes) }
    }

    /// Operations a second of a square product, which nothing here can exceed.
    pub fn matrix_peak(&self) -> f64 {
        let size = if self.on_gpu() { 8192 } else { 4096 };
        let matrix = self.normal([size, size], 1.0);
        let cost = self.measure(|| matrix.clone().matmul(matrix.clone()).dims()[0]);
        2.0 * (size as f64).powi(3) / cost.seconds
    }
}
