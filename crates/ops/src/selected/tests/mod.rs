//! What the tests of this module share: numbers from a seed, and one run of either form with everything it gives.

mod agreement;
mod by_hand;
mod check_ids;
mod degenerate;
mod differences;
mod divergence;
mod errors;
mod frozen;
mod half;
mod infinities;
mod long;
mod plans;
mod views;

use burn::tensor::{DType, Device, Tensor, TensorData};

use super::*;
use crate::Result;

/// Standard normal numbers (Box and Muller, from SplitMix64), the same at every run.
fn noise(seed: u64, count: usize) -> Vec<f64> {
    let uniform = |i: u64| {
        let mut z = (seed << 32 | i).wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    };
    let normal =
        |i: u64| (-2.0 * (1.0 - uniform(2 * i)).ln()).sqrt() * (std::f64::consts::TAU * uniform(2 * i + 1)).cos();
    (0..count as u64).map(normal).collect()
}

/// Ids below `v`, the same at every run.
fn some_ids(n: usize, v: usize) -> Vec<i64> {
    noise(7, n).into_iter().map(|x| ((x.abs() * 1e6) as usize % v) as i64).collect()
}

fn tensor<const D: usize>(values: &[f64], shape: [usize; D], dtype: DType) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values.to_vec(), shape), (&Device::flex().autodiff(), dtype))
}

fn host<const D: usize>(tensor: &Tensor<D>) -> Vec<f64> {
    tensor.try_to_vec_as::<f64>().unwrap()
}

/// Ids on the device of [`tensor`], -100 ignored.
fn token_ids(ids: &[i64]) -> TokenIds {
    TokenIds::new(ids, Some(ids::IGNORE_ID), &Device::flex().autodiff())
}

type Linear = fn(Tensor<2>, Tensor<2>, Option<Tensor<1>>, &TokenIds, &SelectedOptions) -> Result<SelectedLogps>;

/// The names of [`Run`]s: six outputs, three gradients.
const OUTPUTS: [&str; 6] = ["logps", "lse", "entropy", "log_sum_sq_probs", "is_top1", "mean_logits"];
const GRADS: [&str; 3] = ["hidden", "weight", "bias"];

/// Everything that one forward and backward pass gives, by name; without the gradients that were not made.
#[derive(Debug, Clone, PartialEq)]
struct Run(Vec<(&'static str, Vec<f64>)>);

impl Run {
    #[track_caller]
    fn get(&self, name: &str) -> &[f64] {
        &self.0.iter().find(|(known, _)| *known == name).unwrap_or_else(|| panic!("no {name}")).1
    }

    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| *known == name)
    }

    /// Each number within `bound` of the largest of its name.
    #[track_caller]
    fn assert_near(&self, expected: &Self, bound: f64, context: &str) {
        let names = |run: &Self| run.0.iter().map(|(name, _)| *name).collect::<Vec<_>>();
        assert_eq!(names(self), names(expected), "{context}");
        for ((name, got), (_, expected)) in self.0.iter().zip(&expected.0) {
            assert_near(got, expected, bound, &format!("{context}: {name}"));
        }
    }
}

/// Each number within `bound` of the largest finite one.
#[track_caller]
fn assert_near(got: &[f64], expected: &[f64], bound: f64, context: &str) {
    assert_eq!(got.len(), expected.len(), "{context}");
    let largest = expected.iter().filter(|x| x.is_finite()).fold(0.0, |a: f64, x| a.max(x.abs()));
    for (i, (got, expected)) in got.iter().zip(expected).enumerate() {
        let right = got == expected || got.is_nan() && expected.is_nan() || (got - expected).abs() <= bound * largest;
        assert!(right, "{context}[{i}] = {got:e}, expected {expected:e} ± {:e}", bound * largest);
    }
}

/// The outputs of one call.
fn outputs(selected: &SelectedLogps) -> Run {
    let top = selected.is_top1.clone().try_to_vec_as::<bool>().unwrap().into_iter().map(f64::from).collect();
    let values = [
        host(&selected.logps),
        host(&selected.lse),
        host(&selected.entropy),
        host(&selected.log_sum_sq_probs),
        top,
        host(&selected.mean_logits),
    ];
    Run(OUTPUTS.into_iter().zip(values).collect())
}

/// A scalar of the differentiable outputs under the weights of each, as far as there are some.
fn loss(selected: &SelectedLogps, upstream: &[Option<Vec<f64>>; 4]) -> Tensor<1> {
    let outputs = [&selected.logps, &selected.lse, &selected.entropy, &selected.log_sum_sq_probs];
    let terms = outputs.into_iter().zip(upstream).filter_map(|(output, weights)| {
        let weights = tensor(weights.as_ref()?, output.dims(), output.dtype());
        Some((output.clone() * weights).sum())
    });
    terms.reduce(|a, b| a + b).expect("one output at least")
}

/// An output head and what to ask of it.
#[derive(Clone)]
struct Case {
    dims: [usize; 3],
    hidden: Vec<f64>,
    weight: Vec<f64>,
    bias: Option<Vec<f64>>,
    ids: Vec<i64>,
    options: SelectedOptions,
    dtype: DType,
    /// Which of hidden states, weight and bias want gradients.
    trained: [bool; 3],
    /// Gradients of log-probabilities, log-sum-exps, entropies and `log Σ p²`.
    upstream: [Option<Vec<f64>>; 4],
}

impl Case {
    /// Logits with a deviation of about 2, in f64, with a bias and all gradients.
    fn new(n: usize, h: usize, v: usize) -> Self {
        let wide = 2.0 / (h as f64).sqrt();
        Self {
            dims: [n, h, v],
            hidden: noise(1, n * h),
            weight: noise(2, v * h).into_iter().map(|x| x * wide).collect(),
            bias: Some(noise(3, v)),
            ids: some_ids(n, v),
            options: SelectedOptions::new(),
            dtype: DType::F64,
            trained: [true; 3],
            upstream: [4, 5, 6, 8].map(|seed| Some(noise(seed, n))),
        }
    }

    fn with_memory(mut self, memory: Memory) -> Self {
        self.options = self.options.with_memory(memory);
        self
    }

    /// The inputs as `dtype` rounds them.
    fn rounded(mut self, dtype: DType) -> Self {
        let round = |values: &[f64]| host(&tensor(values, [values.len()], dtype));
        (self.hidden, self.weight) = (round(&self.hidden), round(&self.weight));
        self.bias = self.bias.as_deref().map(round);
        self
    }

    fn inputs(&self) -> (Tensor<2>, Tensor<2>, Option<Tensor<1>>) {
        let [n, h, v] = self.dims;
        let [hidden, weight] = [(&self.hidden, n), (&self.weight, v)].map(|(x, rows)| tensor(x, [rows, h], self.dtype));
        let bias = self.bias.as_ref().map(|bias| tensor(bias, [v], self.dtype).set_require_grad(self.trained[2]));
        (hidden.set_require_grad(self.trained[0]), weight.set_require_grad(self.trained[1]), bias)
    }

    fn run(&self, form: Linear) -> Run {
        let (hidden, weight, bias) = self.inputs();
        let ids = token_ids(&self.ids);
        let selected = form(hidden.clone(), weight.clone(), bias.clone(), &ids, &self.options).unwrap();
        let mut run = outputs(&selected);
        let grads = loss(&selected, &self.upstream).backward();
        let found = [hidden.grad(&grads), weight.grad(&grads)].map(|grad| grad.map(|grad| host(&grad)));
        let bias = bias.and_then(|bias| bias.grad(&grads)).map(|grad| host(&grad));
        let named = GRADS.into_iter().zip(found.into_iter().chain([bias]));
        run.0.extend(named.filter_map(|(name, grad)| Some((name, grad?))));
        run
    }

    fn streamed(&self) -> Run {
        self.run(selected_logps)
    }

    fn naive(&self) -> Run {
        self.run(naive::selected_logps)
    }
}
