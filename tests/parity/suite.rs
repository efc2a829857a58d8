//! What every backend must compute alike.

use std::collections::BTreeMap;

use accordant_lm::{
    CausalLm,
    decoder::{Decoder, DecoderConfig},
};
use accordant_objectives::{
    Options,
    pairwise::{PairBatch, PairLogps, PairOutput, PairwiseObjective, dpo::DpoConfig, methods},
};
use accordant_ops::{
    SequenceLogps, TokenLogps, masked,
    selected::{SelectedOptions, TokenIds, selected_logps},
    stable,
};
use burn::{
    module::{Module, ModuleVisitor, Param},
    tensor::{Bool, Device, Gradients, Int, Tensor, TensorData},
};

/// What the suite computes, by name.
#[derive(Default)]
pub struct Numbers(pub BTreeMap<String, Vec<f64>>);

impl Numbers {
    fn add<const D: usize>(&mut self, name: impl Into<String>, tensor: &Tensor<D>) {
        assert_eq!(tensor.dtype(), tensor.device().settings().float_dtype.into(), "the dtype of the inputs");
        self.0.insert(name.into(), tensor.try_to_vec_as::<f64>().expect("float numbers"));
    }

    /// Adds `f` of the inputs and the derivatives of a weighted sum of it by each of them.
    fn add_with_gradients<const D: usize>(
        &mut self,
        name: &str,
        device: &Device,
        inputs: &[Vec<f32>],
        f: impl Fn(&[Tensor<1>]) -> Tensor<D>,
    ) {
        let leaves: Vec<_> = inputs.iter().map(|values| vector(values, device).require_grad()).collect();
        let output = f(&leaves);
        let weights = vector(&noise(99, output.shape().num_elements(), 0.5, 1.5), device);
        let grads = (output.clone().flatten::<1>(0, D - 1) * weights).sum().backward();
        self.add(name, &output);
        for (i, leaf) in leaves.iter().enumerate() {
            self.add(format!("{name}, gradient {i}"), &leaf.grad(&grads).expect("every input is used"));
        }
    }
}

/// Numbers between `low` and `high`, the same on every call.
fn noise(seed: usize, n: usize, low: f64, high: f64) -> Vec<f32> {
    let unit = |i: usize| ((i * 7919 + seed * 104_729) as f64).sin().mul_add(0.5, 0.5);
    (0..n).map(|i| (low + (high - low) * unit(i)) as f32).collect()
}

fn vector(values: &[f32], device: &Device) -> Tensor<1> {
    Tensor::from_floats(values, device)
}

fn mask<const N: usize>(device: &Device, shape: [usize; N], keep: impl Fn(usize) -> bool) -> Tensor<N, Bool> {
    let values: Vec<bool> = (0..shape.iter().product()).map(keep).collect();
    Tensor::from_bool(TensorData::new(values, shape), device)
}

/// Everything, in the dtype of the device.
pub fn suite(device: &Device) -> Numbers {
    let device = &device.clone().autodiff();
    let mut numbers = Numbers::default();
    pairwise(&mut numbers, device);
    log_probs(&mut numbers, device);
    masks(&mut numbers, device);
    stable_forms(&mut numbers, device);
    decoder(&mut numbers, device);
    numbers
}

/// Every method on 64 pairs: a tie, a pair at its reference, an empty side, weights, margins, doubtful labels. Then on
/// log-ratios near ±1e4.
fn pairwise(numbers: &mut Numbers, device: &Device) {
    let (n, counts) = (64, |seed| noise(seed, 64, 1.0, 60.0).iter().map(|x| x.floor()).collect::<Vec<_>>());
    let mut chosen_counts = counts(1);
    let (mut chosen, mut rejected) = (noise(2, n, -90.0, -1.0), noise(3, n, -90.0, -1.0));
    let near = |sums: &[f32], seed| sums.iter().zip(noise(seed, n, -6.0, 6.0)).map(|(a, b)| a + b).collect::<Vec<_>>();
    let (mut chosen_ref, mut rejected_ref) = (near(&chosen, 4), near(&rejected, 5));
    (rejected[0], rejected_ref[0]) = (chosen[0], chosen_ref[0]);
    (chosen_ref[1], rejected_ref[1]) = (chosen[1], rejected[1]);
    (chosen_counts[2], chosen[2], chosen_ref[2]) = (0.0, 0.0, 0.0);
    let far = [-1e4f32, -300.0, 0.0, 1e4];
    let far_rejected = [0.0f32, 1e4, -1e4, 300.0];
    let ones = vec![1.0; 4];

    let pairs = |chosen: &Tensor<1>, rejected: &Tensor<1>, counts: [&[f32]; 2]| {
        let side = |sums: &Tensor<1>, counts| SequenceLogps::new(sums.clone(), vector(counts, device)).unwrap();
        PairLogps::new(side(chosen, counts[0]), side(rejected, counts[1])).unwrap()
    };
    let batch = |leaves: &[Tensor<1>]| {
        let counts: [&[f32]; 2] = [&chosen_counts, &counts(6)];
        PairBatch::new(pairs(&leaves[0], &leaves[1], counts))
            .with_reference(pairs(&vector(&chosen_ref, device), &vector(&rejected_ref, device), counts))
            .and_then(|batch| batch.with_weights(vector(&noise(7, n, 0.0, 2.0), device)))
            .and_then(|batch| batch.with_margins(vector(&noise(8, n, -0.5, 0.5), device)))
            .and_then(|batch| batch.with_label_probs(vector(&noise(9, n, 0.5, 1.0), device)))
            .unwrap()
    };
    let far_batch = |leaves: &[Tensor<1>]| {
        let (counts, zeros) = ([ones.as_slice(); 2], vector(&[0.0; 4], device));
        PairBatch::new(pairs(&leaves[0], &leaves[1], counts)).with_reference(pairs(&zeros, &zeros, counts)).unwrap()
    };
    for method in methods() {
        let objective = (method.build)(&Options::new()).expect("defaults are valid");
        let forward = |batch: PairBatch| objective.forward(&batch).unwrap();
        let name = |part: &str| format!("{}, {part}", method.name);
        let inputs = [chosen.clone(), rejected.clone()];
        numbers.add_with_gradients(&name("losses"), device, &inputs, |leaves| forward(batch(leaves)).losses);
        let reduced = |output: PairOutput| output.reduce().unwrap().loss;
        numbers.add_with_gradients(&name("loss"), device, &inputs, |leaves| reduced(forward(batch(leaves))));
        let output = forward(batch(&inputs.map(|values| vector(&values, device))));
        numbers.add(name("chosen rewards"), &output.chosen_rewards);
        numbers.add(name("rejected rewards"), &output.rejected_rewards);
        let inputs = [far.to_vec(), far_rejected.to_vec()];
        numbers.add_with_gradients(&name("far losses"), device, &inputs, |leaves| forward(far_batch(leaves)).losses);
    }
}

fn log_probs(numbers: &mut Numbers, device: &Device) {
    let (rows, width, vocab) = (48, 32, 101);
    let inputs = [noise(11, rows * width, -1.0, 1.0), noise(12, vocab * width, -1.0, 1.0)];
    let ids: Vec<i64> = (0..rows as i64).map(|i| i * 17 % vocab as i64).collect();
    for temperature in [1.0, 0.7] {
        let selected = |leaves: &[Tensor<1>]| {
            let (hidden, weight) =
                (leaves[0].clone().reshape([rows, width]), leaves[1].clone().reshape([vocab, width]));
            let ids = TokenIds::new(&ids, None, device);
            let options = SelectedOptions::new().with_temperature(temperature);
            selected_logps(hidden, weight, None, &ids, &options).unwrap()
        };
        let name = format!("selected_logps at temperature {temperature}");
        numbers.add_with_gradients(&name, device, &inputs, |leaves| selected(leaves).logps);
        numbers.add(format!("{name}, lse"), &selected(&inputs.clone().map(|values| vector(&values, device))).lse);
    }
}

/// Rows of 13 that keep every third position, all or none, with NaN where nothing is kept.
fn masks(numbers: &mut Numbers, device: &Device) {
    let shape = [9, 13];
    let keep = |i: usize| [i.is_multiple_of(3), true, false][i / 13 % 3];
    let hidden = |(i, x): (usize, f32)| if keep(i) { x } else { f32::NAN };
    let inputs = [noise(21, 9 * 13, -2.0, 3.0).into_iter().enumerate().map(hidden).collect::<Vec<_>>()];
    type Masked = fn(Tensor<2>, Tensor<2, Bool>) -> accordant_ops::Result<Tensor<1>>;
    let functions: [(&str, Masked); 7] = [
        ("masked_sum", masked::masked_sum),
        ("masked_mean", masked::masked_mean),
        ("masked_var", masked::masked_var),
        ("masked_sum_all", masked::masked_sum_all),
        ("masked_mean_all", masked::masked_mean_all),
        ("masked_var_all", masked::masked_var_all),
        ("masked_whiten", |x, mask| Ok(masked::masked_whiten(x, mask, true)?.flatten(0, 1))),
    ];
    for (name, f) in functions {
        numbers.add_with_gradients(name, device, &inputs, |leaves| {
            f(leaves[0].clone().reshape(shape), mask(device, shape, keep)).unwrap()
        });
    }
}

fn stable_forms(numbers: &mut Numbers, device: &Device) {
    let any = [-1e4, -80.0, -20.0, -3.0, -0.6, -0.4, -1e-3, -1e-8, 0.0, 1e-8, 1e-3, 0.4, 0.6, 3.0, 20.0];
    let positive = [1e-8, 1e-3, 0.05, 0.2, 0.9, 3.0, 1e4];
    let negative = [-1e4, -80.0, -3.0, -0.8, -0.6, -0.1, -1e-3, -1e-6];
    type Stable = fn(Tensor<1>) -> Tensor<1>;
    let functions: [(&str, &[f32], Stable); 12] = [
        ("stable::softplus", &any, stable::softplus),
        ("stable::softplus of large numbers", &positive, stable::softplus),
        ("stable::log_sigmoid", &any, stable::log_sigmoid),
        ("stable::log1p", &positive, stable::log1p),
        ("stable::expm1", &any, stable::expm1),
        ("stable::expm1_minus_x", &any, stable::expm1_minus_x),
        ("stable::log1mexp", &negative, stable::log1mexp),
        ("stable::log_odds", &negative, stable::log_odds),
        ("stable::huber", &any, |x| stable::huber(x, 1.0).unwrap()),
        ("stable::x_log_x", &positive, stable::x_log_x),
        ("stable::clamp_exponent", &any, |x| stable::clamp_exponent(x, Some(10.0)).unwrap()),
        ("stable::cap_exponent", &any, |x| stable::cap_exponent(x, Some(10.0)).unwrap()),
    ];
    for (name, at, f) in functions {
        numbers.add_with_gradients(name, device, &[at.to_vec()], |leaves| f(leaves[0].clone()));
    }
    let other = any.iter().rev().copied().collect();
    numbers
        .add_with_gradients("log_sum_exp", device, &[any.to_vec()], |leaves| stable::log_sum_exp(leaves[0].clone(), 0));
    numbers.add_with_gradients("log_add_exp", device, &[any.to_vec(), other], |leaves| {
        stable::log_add_exp(leaves[0].clone(), leaves[1].clone()).unwrap()
    });
}

/// Hidden states of a decoder, and the gradient of DPO by each of its weights.
fn decoder(numbers: &mut Numbers, device: &Device) {
    let (rows, seq, vocab) = (8, 12, 50);
    let ids: Vec<i64> = (0..rows * seq).map(|i| (i * i * 31 % vocab) as i64).collect();
    let ids = Tensor::<2, Int>::from_data(TensorData::new(ids, [rows, seq]), device);
    // Row r has r % 4 columns of padding, on the left in every second row; the last five real tokens are scored.
    let real = |i: usize| {
        let (row, column) = (i / seq, i % seq);
        if row.is_multiple_of(2) { column >= row % 4 } else { column < seq - row % 4 }
    };
    let scored = |i: usize| real(i) && (0..5).any(|ahead| i % seq + ahead + 1 == seq || !real(i + ahead + 1));
    let scored = mask(device, [rows, seq], scored).narrow(1, 1, seq - 1);
    let init = |seed| DecoderConfig::new(vocab).with_init_std(0.2).init(seed, device).unwrap();
    let logps = |model: &Decoder| {
        let hidden = model.hidden(ids.clone(), mask(device, [rows, seq], real)).unwrap();
        let hidden = hidden.narrow(1, 0, seq - 1).reshape([rows * (seq - 1), 64]);
        let next = ids.clone().narrow(1, 1, seq - 1).reshape([rows * (seq - 1)]);
        let logps = selected_logps(hidden, model.head(), None, &TokenIds::read(&next, None), &SelectedOptions::new());
        let logps = logps.unwrap().logps;
        let tokens = TokenLogps::new(logps.reshape([rows, seq - 1]), scored.clone()).unwrap();
        PairLogps::from_stacked_tokens(&tokens).unwrap()
    };
    let model = init(7);
    let padding = mask(device, [rows, seq], |i| !real(i)).unsqueeze_dim::<3>(2).expand([rows, seq, 64]);
    let hidden = model.hidden(ids.clone(), mask(device, [rows, seq], real)).unwrap();
    numbers.add("decoder, hidden states", &hidden.mask_fill(padding, 0.0));
    let batch = PairBatch::new(logps(&model)).with_reference(logps(&init(8))).unwrap();
    let output = DpoConfig::new().init().unwrap().forward(&batch).unwrap();
    numbers.add("decoder, DPO losses", &output.losses);
    let grads = output.reduce().unwrap().loss.backward();
    model.visit(&mut Weights { numbers, grads, seen: 0 });
}

struct Weights<'a> {
    numbers: &'a mut Numbers,
    grads: Gradients,
    seen: usize,
}

impl ModuleVisitor for Weights<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let name = format!("decoder, gradient of weight {}", self.seen);
        self.seen += 1;
        self.numbers.add(name, &param.val().grad(&self.grads).expect("every weight is used"));
    }
}
