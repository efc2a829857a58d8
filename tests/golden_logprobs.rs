//! Token log-probabilities, entropies and their gradients against `golden/logprobs.json`: naive, direct and streamed in
//! tiles of every size, in f64 and f32.
//!
//! The file's own tolerances: f64 within 1e-12 (of the number where it is larger than 1); f32 within 2e-6 absolute on
//! log-probabilities of moderate logits. Logits of 10⁶ are themselves known to 0.06 in f32, and so are their
//! log-probabilities and means: hence the second term of [`Precision::bound`], for these alone.

#![cfg(feature = "flex")]

#[path = "golden/json.rs"]
mod json;

use accordant_ops::{
    TokenLogps,
    selected::{Memory, SelectedLogps, SelectedOptions, TokenIds, ids::IGNORE_ID, naive},
    selected::{selected_log_softmax, selected_logps},
};
use burn::tensor::{DType, Device, Gradients, Tensor, TensorData};
use serde_json::Value;

use json::{flat, number, open, say};

#[derive(Debug, Clone, Copy)]
struct Precision {
    dtype: DType,
    absolute: f64,
    /// Of the largest logit.
    relative: f64,
}

const PRECISIONS: [Precision; 2] = [
    Precision { dtype: DType::F64, absolute: 1e-12, relative: 0.0 },
    Precision { dtype: DType::F32, absolute: 2e-6, relative: 1.2e-7 },
];

impl Precision {
    fn bound(&self, name: &str, logits: f64, expected: f64) -> f64 {
        let has_size_of_logits = ["token_logps", "sequence_sum", "sequence_mean", "mean_logits"].contains(&name);
        self.absolute * expected.abs().max(1.0) + if has_size_of_logits { self.relative * logits } else { 0.0 }
    }
}

struct Case<'a> {
    json: &'a Value,
    precision: Precision,
    /// The largest logit.
    logits: f64,
}

impl Case<'_> {
    fn tensor<const D: usize>(&self, values: Vec<f64>, shape: [usize; D]) -> Tensor<D> {
        Tensor::from_data(TensorData::new(values, shape), (&Device::flex().autodiff(), self.precision.dtype))
    }

    fn input(&self, name: &str) -> Vec<f64> {
        flat(&self.json["inputs"][name])
    }

    /// What is wrong with `got`, where the file has something to say of it.
    fn compare(&self, form: &str, name: &str, got: &[f64]) -> Vec<String> {
        let outputs = &self.json["outputs"];
        // The exact value where the peer's is not a number.
        let exact = outputs.get(format!("{name}_exact"));
        let Some(expected) = exact.or_else(|| outputs.get(name)).map(flat) else { return Vec::new() };
        assert_eq!(got.len(), expected.len(), "{form}: {name}");
        let error = |(i, (got, expected)): (usize, (&f64, &f64))| {
            let right = (got - expected).abs() <= self.precision.bound(name, self.logits, *expected);
            (!right).then(|| format!("{} {form}: {name}[{i}] = {got:e}, expected {expected:e}", self.json["id"]))
        };
        got.iter().zip(&expected).enumerate().filter_map(error).collect()
    }

    fn values(&self, form: &str, selected: &SelectedLogps) -> Vec<String> {
        let top: Vec<f64> =
            selected.is_top1.clone().try_to_vec_as::<bool>().unwrap().into_iter().map(f64::from).collect();
        let mut wrong = self.compare(form, "is_top1", &top);
        for (name, tensor) in [
            ("token_logps", &selected.logps),
            ("entropy", &selected.entropy),
            ("log_sum_sq_probs", &selected.log_sum_sq_probs),
            ("mean_logits", &selected.mean_logits),
        ] {
            assert_eq!(tensor.dtype(), self.precision.dtype);
            wrong.extend(self.compare(form, name, &host(tensor)));
        }
        wrong
    }

    /// The gradients of the file's scalar: a weighted sum of log-probabilities and entropies.
    fn backward(&self, selected: SelectedLogps, weights: [Vec<f64>; 2]) -> Gradients {
        let rows = [weights[0].len()];
        let [logps, entropy] = weights.map(|weights| self.tensor(weights, rows));
        ((selected.logps * logps).sum() + (selected.entropy * entropy).sum()).backward()
    }
}

fn host<const D: usize>(tensor: &Tensor<D>) -> Vec<f64> {
    tensor.try_to_vec_as::<f64>().expect("float numbers")
}

fn ids(values: &[f64], ignore: Option<i64>) -> TokenIds {
    TokenIds::new(&values.iter().map(|id| *id as i64).collect::<Vec<_>>(), ignore, &Device::flex().autodiff())
}

/// `logits` at t score label t + 1.
fn logits(case: &Case) -> Vec<String> {
    let json = case.json;
    let shape = [&json["inputs"]["logits"], &json["inputs"]["logits"][0], &json["inputs"]["logits"][0][0]]
        .map(|value| value.as_array().expect("an array").len());
    let [batch, seq, vocab] = shape;
    let shifted = |values: Vec<f64>| -> Vec<f64> { values.chunks(seq).flat_map(|row| row[1..].to_vec()).collect() };
    let mask = shifted(case.input("mask"));
    // The file has zeros where the mask is 0, as at ignored ids.
    let labels = shifted(case.input("labels")).into_iter().zip(&mask);
    let labels: Vec<f64> = labels.map(|(id, kept)| if *kept == 0.0 { IGNORE_ID as f64 } else { id }).collect();
    let ids = ids(&labels, Some(IGNORE_ID));
    let temperature = number(&json["params"]["temperature"]);
    // Where the peer's entropy is not a number, its gradients are those of the log-probabilities alone.
    let has_entropy = flat(&json["outputs"]["entropy"]).iter().all(|entropy| entropy.is_finite());
    let weighted =
        |name: &str| case.input(name).iter().zip(&mask).map(|(weight, kept)| weight * kept).collect::<Vec<_>>();
    let mut wrong = Vec::new();
    for (form, run) in [
        ("naive", naive::selected_log_softmax as fn(_, &_, _) -> accordant_ops::Result<SelectedLogps>),
        ("direct", selected_log_softmax),
    ] {
        let leaf = case.tensor(case.input("logits"), shape).require_grad();
        let predicting = leaf.clone().narrow(1, 0, seq - 1).reshape([batch * (seq - 1), vocab]);
        let selected = run(predicting, &ids, temperature).unwrap();
        wrong.extend(case.values(form, &selected));
        let kept = TensorData::new(mask.iter().map(|kept| *kept == 1.0).collect::<Vec<_>>(), [batch, seq - 1]);
        let tokens = selected.logps.clone().reshape([batch, seq - 1]);
        let kept = Tensor::from_data(kept, &Device::flex().autodiff());
        let sequence = TokenLogps::new(tokens, kept).unwrap().sequence();
        wrong.extend(case.compare(form, "sequence_sum", &host(&sequence.sum)));
        wrong.extend(case.compare(form, "sequence_mean", &host(&sequence.mean)));
        wrong.extend(case.compare(form, "token_count", &host(&sequence.count)));
        let entropy = if has_entropy { weighted("grad_entropy") } else { vec![0.0; mask.len()] };
        let grads = case.backward(selected, [weighted("grad_token_logps"), entropy]);
        wrong.extend(case.compare(form, "grad_logits", &host(&leaf.grad(&grads).unwrap())));
    }
    wrong
}

fn linear(case: &Case) -> Vec<String> {
    let json = case.json;
    let dims = |name: &str| {
        let rows = json["inputs"][name].as_array().expect("rows");
        [rows.len(), rows[0].as_array().expect("columns").len()]
    };
    let ([n, h], [vocab, _]) = (dims("hidden"), dims("weight"));
    let ids = ids(&case.input("labels"), Some(IGNORE_ID));
    let bias = json["inputs"].get("bias").filter(|bias| !bias.is_null()).map(flat);
    let mut options = SelectedOptions::new().with_temperature(number(&json["params"]["temperature"]));
    options.softcap = json["params"].get("logit_softcap").filter(|cap| !cap.is_null()).map(number);

    let whole = Memory::Budget(8 * n * vocab);
    let tiles = (1..=n).flat_map(|rows| (1..=vocab).map(move |columns| Memory::Tiles { rows, columns }));
    let forms = [("naive", Memory::Auto), ("kept", whole), ("streamed", Memory::Auto)];
    let forms = forms.into_iter().chain(tiles.map(|tiles| ("streamed in tiles", tiles)));
    let mut wrong = Vec::new();
    for (form, memory) in forms {
        let run = if form == "naive" { naive::selected_logps } else { selected_logps };
        let hidden = case.tensor(case.input("hidden"), [n, h]).require_grad();
        let weight = case.tensor(case.input("weight"), [vocab, h]).require_grad();
        let bias = bias.clone().map(|bias| case.tensor(bias, [vocab]).require_grad());
        let selected = run(hidden.clone(), weight.clone(), bias.clone(), &ids, &options.with_memory(memory)).unwrap();
        let form = format!("{form} {memory:?}");
        wrong.extend(case.values(&form, &selected));
        let grads = case.backward(selected, [case.input("grad_token_logps"), case.input("grad_entropy")]);
        wrong.extend(case.compare(&form, "grad_hidden", &host(&hidden.grad(&grads).unwrap())));
        wrong.extend(case.compare(&form, "grad_weight", &host(&weight.grad(&grads).unwrap())));
        if let Some(bias) = bias {
            wrong.extend(case.compare(&form, "grad_bias", &host(&bias.grad(&grads).unwrap())));
        }
    }
    wrong
}

#[test]
fn golden_log_probabilities_are_met() {
    let (file, is_given) = open("logprobs.json", "golden-logprobs-1");
    let mut wrong = Vec::new();
    let mut ran = [0, 0];
    for json in file["cases"].as_array().expect("cases") {
        let largest =
            |values: Vec<f64>| values.into_iter().filter(|x| x.is_finite()).fold(0.0, |a: f64, x| a.max(x.abs()));
        for precision in PRECISIONS {
            // Numbers that were made in f32 say nothing of f64.
            if json["dtype"] == "float32" && precision.dtype == DType::F64 {
                continue;
            }
            let from_logits = json["kind"] == "logits";
            let bound = if from_logits {
                largest(flat(&json["inputs"]["logits"]))
            } else {
                largest(flat(&json["outputs"]["token_logps"]))
            };
            let case = Case { json, precision, logits: bound };
            wrong.extend(if from_logits { logits(&case) } else { linear(&case) });
        }
        ran[usize::from(json["kind"] == "linear")] += 1;
    }
    say(&format!("logprobs: {} cases from logits, {} from hidden states", ran[0], ran[1]));
    assert!(wrong.is_empty(), "{} numbers are wrong:\n{}", wrong.len(), wrong[..wrong.len().min(40)].join("\n"));
    assert!(if is_given { ran[0] + ran[1] > 0 } else { ran == [10, 7] }, "{ran:?}");
}
