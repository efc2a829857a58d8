//! Inputs for a check, and the error of what came back.

use burn::tensor::{Bool, DType, Device, Gradients, Int, Tensor, TensorData};

/// A device, a float dtype, and the largest error seen there.
pub struct Probe {
    device: Device,
    tracked: Device,
    dtype: DType,
    error: f64,
    #[cfg(test)]
    damage: bool,
}

impl Probe {
    pub fn new(device: &Device, dtype: DType) -> Self {
        let (device, tracked) = (device.clone().without_autodiff(), device.clone().autodiff());
        Self {
            device,
            tracked,
            dtype,
            error: 0.0,
            #[cfg(test)]
            damage: false,
        }
    }

    /// From now on the last number of every result is taken for another.
    #[cfg(test)]
    pub fn damage_results(&mut self) {
        self.damage = true;
    }

    /// The largest error so far; NaN once there was one.
    pub fn max_error(&self) -> f64 {
        self.error
    }

    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// The device with autodiff.
    pub fn tracked(&self) -> &Device {
        &self.tracked
    }

    /// Numbers between `low` and `high` that the dtype can hold, the same on every call (SplitMix64).
    pub fn noise(&self, seed: u64, n: usize, low: f64, high: f64) -> Vec<f64> {
        let unit = |i: usize| {
            let mut z = (seed << 32 | i as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
        };
        self.round((0..n).map(|i| low + (high - low) * unit(i)).collect())
    }

    /// The nearest numbers that the dtype can hold, so that the host starts from what the device gets.
    pub fn round(&self, values: Vec<f64>) -> Vec<f64> {
        let n = values.len();
        let rounded = TensorData::new(values, [n]).convert_dtype(self.dtype).convert::<f64>();
        rounded.try_into_vec().expect("f64 data")
    }

    fn data<const D: usize>(&self, values: &[f64], shape: [usize; D]) -> TensorData {
        TensorData::new(values.to_vec(), shape).convert_dtype(self.dtype)
    }

    /// A constant, without autodiff.
    pub fn tensor<const D: usize>(&self, values: &[f64], shape: [usize; D]) -> Tensor<D> {
        Tensor::from_data(self.data(values, shape), (&self.device, self.dtype))
    }

    /// A tensor whose gradient is asked for.
    pub fn leaf<const D: usize>(&self, values: &[f64], shape: [usize; D]) -> Tensor<D> {
        Tensor::from_data(self.data(values, shape), (&self.tracked, self.dtype)).require_grad()
    }

    /// Integers in the device's own integer type.
    pub fn ids<const D: usize>(&self, values: &[usize], shape: [usize; D]) -> Tensor<D, Int> {
        let values: Vec<i64> = values.iter().map(|&id| id as i64).collect();
        Tensor::from_data(TensorData::new(values, shape), &self.device)
    }

    /// Integers in the type under test.
    pub fn ints<const D: usize>(&self, values: &[i64], shape: [usize; D]) -> Tensor<D, Int> {
        let data = TensorData::new(values.to_vec(), shape).convert_dtype(self.dtype);
        Tensor::from_data(data, (&self.device, self.dtype))
    }

    pub fn mask<const D: usize>(&self, values: &[bool], shape: [usize; D]) -> Tensor<D, Bool> {
        Tensor::from_bool(TensorData::new(values.to_vec(), shape), &self.device)
    }

    /// Gradients of the sum of `output · weights`.
    pub fn backward<const D: usize>(&self, output: Tensor<D>, weights: &[f64]) -> Gradients {
        let weights = Tensor::from_data(self.data(weights, output.dims()), (&self.tracked, output.dtype()));
        (output * weights).sum().backward()
    }

    /// Records the error of `got`, relative to each number or to the mean size of them all, whichever is larger.
    pub fn compare<const D: usize>(&mut self, got: Tensor<D>, expected: &[f64]) {
        self.record(&read(got), expected, mean_size(expected));
    }

    /// Records the error of `got`, relative to each number.
    pub fn compare_each<const D: usize>(&mut self, got: Tensor<D>, expected: &[f64]) {
        self.record(&read(got), expected, 0.0);
    }

    /// Records the error of the gradient of `leaf`, as [`Self::compare`] does.
    pub fn compare_grad<const D: usize>(&mut self, leaf: &Tensor<D>, grads: &Gradients, expected: &[f64]) {
        self.compare(leaf.grad(grads).expect("a gradient"), expected);
    }

    pub fn compare_ints<const D: usize>(&mut self, got: Tensor<D, Int>, expected: &[i64]) {
        let got = got.try_into_vec_as::<i64>().expect("integers");
        let f64s = |values: &[i64]| values.iter().map(|&i| i as f64).collect::<Vec<_>>();
        self.record(&f64s(&got), &f64s(expected), 0.0);
    }

    pub fn compare_bools<const D: usize>(&mut self, got: Tensor<D, Bool>, expected: &[bool]) {
        let got = got.try_into_vec_as::<bool>().expect("booleans");
        let f64s = |values: &[bool]| values.iter().map(|&b| f64::from(u8::from(b))).collect::<Vec<_>>();
        self.record(&f64s(&got), &f64s(expected), 0.0);
    }

    fn record(&mut self, got: &[f64], expected: &[f64], floor: f64) {
        #[cfg(test)]
        let damaged = got.split_last().map(|(last, rest)| [rest, &[1.2 * last + 0.7]].concat());
        #[cfg(test)]
        let got = damaged.as_deref().filter(|_| self.damage).unwrap_or(got);
        let error = error(got, expected, floor);
        self.error = if self.error.is_nan() || error.is_nan() { f64::NAN } else { self.error.max(error) };
    }
}

// A read that fails panics with the device's reason, which `examine` catches and reports.
fn read<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.try_into_vec_as::<f64>().expect("numbers")
}

fn mean_size(values: &[f64]) -> f64 {
    values.iter().map(|x| x.abs()).sum::<f64>() / values.len() as f64
}

/// The largest error of a number relative to itself, or to `floor` where that is larger. NaN when a number is missing
/// or not finite.
fn error(got: &[f64], expected: &[f64], floor: f64) -> f64 {
    if got.len() != expected.len() || !got.iter().chain(expected).all(|x| x.is_finite()) {
        return f64::NAN;
    }
    let errors = got.iter().zip(expected).map(|(got, expected)| match (got - expected).abs() {
        0.0 => 0.0,
        difference => difference / expected.abs().max(floor),
    });
    errors.fold(0.0, f64::max)
}
