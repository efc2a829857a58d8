//! What every backend must compute alike.

use std::collections::BTreeMap;

use burn::tensor::{Bool, DType, Device, Tensor, TensorData};

mod decoder;
mod groups;
mod kl;
mod logits;
mod masked;
mod pairwise;
mod reduce;
mod selected;
mod stable;

/// Dtypes that inputs are stored in, beside the device's own; their names begin the names of the numbers.
pub const NARROW: [(&str, DType); 2] = [("bf16, ", DType::BF16), ("f16, ", DType::F16)];

/// Parts of a result, by name.
type Outputs = Vec<(&'static str, Tensor<1>)>;

/// What the suite computes, by name.
#[derive(Default)]
pub struct Numbers {
    pub by_name: BTreeMap<String, Vec<f64>>,
    /// Whether the specification in burn's own operations takes the place of the custom ones.
    naive: bool,
    storage: Storage,
}

/// How inputs are stored: in the dtype of the device, or rounded to a narrower one.
#[derive(Default, Clone, Copy)]
struct Storage(Option<(&'static str, DType)>);

impl Storage {
    /// On a device of f64, numbers rounded to the narrow dtype, in f64.
    fn vector(self, values: &[f32], device: &Device) -> Tensor<1> {
        let data = TensorData::new(values.to_vec(), [values.len()]);
        let default = DType::from(device.settings().float_dtype);
        match self.0 {
            Some((_, narrow)) if default == DType::F32 => {
                Tensor::from_data(data.convert_dtype(narrow), (device, narrow))
            }
            Some((_, narrow)) => {
                Tensor::from_data(data.convert_dtype(narrow).convert_dtype(default), (device, default))
            }
            None => Tensor::from_data(data, (device, default)),
        }
    }
}

impl Numbers {
    fn add<const D: usize>(&mut self, name: impl AsRef<str>, tensor: &Tensor<D>) {
        let expected = [Some(tensor.device().settings().float_dtype.into()), self.storage.0.map(|(_, narrow)| narrow)];
        assert!(expected.contains(&Some(tensor.dtype())), "{}: {:?}", name.as_ref(), tensor.dtype());
        self.add_values(name, tensor.try_to_vec_as::<f64>().expect("float numbers"));
    }

    fn add_bools(&mut self, name: impl AsRef<str>, tensor: &Tensor<1, Bool>) {
        let bools = tensor.try_to_vec_as::<bool>().expect("booleans");
        self.add_values(name, bools.into_iter().map(|x| f64::from(u8::from(x))).collect());
    }

    fn add_values(&mut self, name: impl AsRef<str>, values: Vec<f64>) {
        let name = format!("{}{}", self.storage.0.map_or("", |(prefix, _)| prefix), name.as_ref());
        assert!(self.by_name.insert(name.clone(), values).is_none(), "{name} twice");
    }

    /// Adds `f` of the inputs and the derivatives of a weighted sum of it by each of them.
    fn add_with_gradients<const D: usize>(
        &mut self,
        name: &str,
        device: &Device,
        inputs: &[Vec<f32>],
        f: impl Fn(&[Tensor<1>]) -> Tensor<D>,
    ) {
        let leaves = self.leaves(inputs, device);
        let output = f(&leaves);
        self.add(name, &output);
        self.add_gradients(name, &leaves, vec![output.flatten(0, D - 1)]);
    }

    /// Adds every output of `f` and the derivatives of a weighted sum of all of them, by each input.
    fn add_outputs(&mut self, name: &str, device: &Device, inputs: &[Vec<f32>], f: impl Fn(&[Tensor<1>]) -> Outputs) {
        let leaves = self.leaves(inputs, device);
        let outputs = f(&leaves);
        for (part, output) in &outputs {
            self.add(format!("{name}, {part}"), output);
        }
        self.add_gradients(name, &leaves, outputs.into_iter().map(|(_, output)| output).collect());
    }

    /// Adds the derivatives of each output of `f` alone.
    fn add_gradients_apart(
        &mut self,
        name: &str,
        device: &Device,
        inputs: &[Vec<f32>],
        f: impl Fn(&[Tensor<1>]) -> Outputs,
    ) {
        for i in 0..f(&self.leaves(inputs, device)).len() {
            let leaves = self.leaves(inputs, device);
            let (part, output) = f(&leaves).remove(i);
            self.add_gradients(&format!("{name}, {part}"), &leaves, vec![output]);
        }
    }

    fn leaves(&self, inputs: &[Vec<f32>], device: &Device) -> Vec<Tensor<1>> {
        inputs.iter().map(|values| self.storage.vector(values, device).require_grad()).collect()
    }

    fn add_gradients(&mut self, name: &str, leaves: &[Tensor<1>], outputs: Vec<Tensor<1>>) {
        let weighted = outputs.into_iter().enumerate().map(|(i, output)| {
            let device = output.device();
            // Of few digits: exact in every dtype.
            let weights = noise(99 + i, output.dims()[0], 0.5, 1.5).into_iter().map(|x| (x * 64.0).round() / 64.0);
            let weights = vector(&weights.collect::<Vec<_>>(), &device);
            (output.cast(device.settings().float_dtype) * weights).sum()
        });
        let grads = weighted.reduce(|a, b| a + b).expect("an output").backward();
        for (i, leaf) in leaves.iter().enumerate() {
            let grad = leaf.grad(&grads).expect("every input is used");
            assert_eq!(grad.dtype(), leaf.dtype(), "{name}");
            self.add(format!("{name}, gradient {i}"), &grad);
        }
    }
}

/// Numbers between `low` and `high`, the same on every call (SplitMix64).
fn noise(seed: usize, n: usize, low: f64, high: f64) -> Vec<f32> {
    let unit = |i: usize| {
        let mut z = ((seed as u64) << 32 | i as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    };
    (0..n).map(|i| (low + (high - low) * unit(i)) as f32).collect()
}

fn vector(values: &[f32], device: &Device) -> Tensor<1> {
    Tensor::from_floats(values, device)
}

fn mask<const N: usize>(device: &Device, shape: [usize; N], keep: impl Fn(usize) -> bool) -> Tensor<N, Bool> {
    let values: Vec<bool> = (0..shape.iter().product()).map(keep).collect();
    Tensor::from_bool(TensorData::new(values, shape), device)
}

/// Everything, in the dtype of the device; then what sums in f32, from each narrow dtype that the device has (in f64,
/// from the numbers that it can hold).
pub fn suite(device: &Device, naive: bool) -> BTreeMap<String, Vec<f64>> {
    let mut numbers = Numbers { naive, ..Numbers::default() };
    let tracked = &device.clone().autodiff();
    pairwise::add(&mut numbers, tracked);
    stable::add(&mut numbers, tracked);
    groups::add(&mut numbers, tracked);
    kl::add(&mut numbers, tracked);
    decoder::add(&mut numbers, tracked);
    let narrow = NARROW.into_iter().filter(|(_, dtype)| has(device, *dtype)).map(|narrow| Storage(Some(narrow)));
    for storage in std::iter::once(Storage(None)).chain(narrow) {
        numbers.storage = storage;
        selected::add(&mut numbers, tracked);
        logits::add(&mut numbers, tracked);
        masked::add(&mut numbers, tracked);
        reduce::add(&mut numbers, tracked);
    }
    numbers.by_name
}

/// Whether the suite has numbers from inputs of a narrow dtype on this device.
pub fn has(device: &Device, narrow: DType) -> bool {
    DType::from(device.settings().float_dtype) == DType::F64 || device.supports_dtype(narrow)
}
