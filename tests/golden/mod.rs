//! Golden files: cases whose numbers were made by other people's code, and how ours are compared with them.
//!
//! `objectives.json` (schema `golden-objectives-1`) holds `cases` of a `family` and an `objective`, each with `params`,
//! `inputs`, `outputs` (values, `metrics`, and in `grads` the derivatives of the loss by its inputs) and sometimes
//! `exact`, the right value where the peer's own is not. It is read from `$ACCORDANT_GOLDEN`, by default this folder, so
//! that a larger set, or one with other numbers, runs unchanged.

pub mod json;

use std::collections::BTreeMap;

use burn::tensor::{Bool, DType, Device, Tensor, TensorData};
use serde_json::Value;

use json::{flat, number, open, say};

/// Relative and absolute: an error within either is accepted.
pub type Tolerance = (f64, f64);

pub const VALUES: Tolerance = (1e-10, 1e-12);
/// Some went through f32 in the peer.
const METRICS: Tolerance = (1e-6, 1e-12);

/// Objectives by family.
pub type Objectives = &'static [(&'static str, &'static [&'static str])];

/// What a test covers. A case whose objective is in neither list is an error.
pub struct Coverage {
    pub built: Objectives,
    pub not_built: Objectives,
}

/// What became of a case.
pub enum Outcome {
    Ran(Numbers),
    /// The peer's numbers are infinite, and ours is an error.
    Refused,
}

/// What ours gives for a case, under the file's names.
pub struct Numbers {
    pub outputs: BTreeMap<&'static str, Vec<f64>>,
    pub grads: BTreeMap<&'static str, Vec<f64>>,
    pub metrics: BTreeMap<&'static str, f64>,
    /// Of outputs and of gradients.
    pub tolerances: [Tolerance; 2],
}

impl Numbers {
    /// A loss and its gradients by `leaves`; one that it does not depend on has gradient 0.
    pub fn new(loss: &Tensor<1>, leaves: &[(&'static str, Tensor<1>)]) -> Self {
        let grads = loss.backward();
        let grad = |leaf: &Tensor<1>| leaf.grad(&grads).map_or_else(|| vec![0.0; leaf.dims()[0]], |grad| column(&grad));
        Self {
            outputs: [("loss", column(loss))].into(),
            grads: leaves.iter().map(|(name, leaf)| (*name, grad(leaf))).collect(),
            metrics: BTreeMap::new(),
            tolerances: [VALUES; 2],
        }
    }

    pub fn insert(&mut self, name: &'static str, values: &Tensor<1>) {
        self.outputs.insert(name, column(values));
    }

    /// Every number of the file that is not met.
    fn differences(&self, case: &Case) -> Vec<String> {
        let known = |part: &str, name: &str, got: Option<Vec<f64>>| {
            got.unwrap_or_else(|| panic!("{}: ours has no `{name}` among its {part}", case.id))
        };
        let [values, grads] = self.tolerances;
        let mut wrong = Vec::new();
        let mut compare = |path: &[&str], got: &[f64], tolerance| {
            wrong.extend(case.differences(path, got, tolerance));
            case.tell(path, got);
        };
        for name in case.names("outputs") {
            match name {
                "grads" => {
                    for input in case.names(name) {
                        compare(&[name, input], &known(name, input, self.grads.get(input).cloned()), grads);
                    }
                }
                "metrics" => {
                    for metric in case.names(name) {
                        let got = self.metrics.get(metric).map(|number| vec![*number]);
                        compare(&[name, metric], &known(name, metric, got), METRICS);
                    }
                }
                _ => compare(&[name], &known("outputs", name, self.outputs.get(name).cloned()), values),
            }
        }
        wrong
    }
}

pub struct Case<'a> {
    pub id: &'a str,
    pub family: &'a str,
    pub objective: &'a str,
    json: &'a Value,
}

impl<'a> Case<'a> {
    fn new(json: &'a Value) -> Self {
        let text = |key: &str| json[key].as_str().unwrap_or_else(|| panic!("no `{key}` in {json}"));
        Self { id: text("id"), family: text("family"), objective: text("objective"), json }
    }

    /// The names in `part` of the case, or in a group of its `outputs`.
    pub fn names(&self, part: &str) -> Vec<&'a str> {
        let object = self.json.get(part).unwrap_or(&self.json["outputs"][part]);
        object.as_object().unwrap_or_else(|| panic!("{}: no `{part}`", self.id)).keys().map(String::as_str).collect()
    }

    /// A parameter; none where it is absent or null.
    pub fn param(&self, name: &str) -> Option<&'a Value> {
        self.json["params"].get(name).filter(|value| !value.is_null())
    }

    pub fn number(&self, name: &str) -> Option<f64> {
        self.param(name).map(number)
    }

    /// What the peer says at a path of its outputs, `grads.x` for instance.
    pub fn output(&self, path: &str) -> Option<Vec<f64>> {
        path.split('.').try_fold(&self.json["outputs"], |value, key| value.get(key)).map(flat)
    }

    /// A list.
    pub fn numbers(&self, name: &str) -> Option<Vec<f64>> {
        self.param(name).map(flat)
    }

    pub fn required(&self, name: &str) -> f64 {
        self.number(name).unwrap_or_else(|| panic!("{}: no parameter `{name}`", self.id))
    }

    pub fn flag(&self, name: &str) -> bool {
        self.param(name).is_some_and(|value| value.as_bool().expect("a flag"))
    }

    /// An input in one row, on a device that records gradients.
    pub fn input(&self, name: &str) -> Option<Tensor<1>> {
        self.json["inputs"].get(name).map(|value| tensor(flat(value)))
    }

    /// [`Case::input`], which is there.
    pub fn tensor(&self, name: &str) -> Tensor<1> {
        self.input(name).unwrap_or_else(|| panic!("{}: no input `{name}`", self.id))
    }

    /// The same, to be differentiated by.
    pub fn leaf(&self, name: &'static str) -> (&'static str, Tensor<1>) {
        (name, self.tensor(name).require_grad())
    }

    /// `values` in the rows of an input.
    pub fn in_rows(&self, name: &str, values: &Tensor<1>) -> Tensor<2> {
        let rows = self.json["inputs"][name].as_array().unwrap_or_else(|| panic!("{}: no rows `{name}`", self.id));
        values.clone().reshape([rows.len() as i64, -1])
    }

    /// Where an input of zeros and ones is 1, in its rows.
    pub fn mask(&self, name: &str) -> Tensor<2, Bool> {
        self.in_rows(name, &self.tensor(name)).not_equal_scalar(0.0)
    }

    /// Fails on a parameter that is not in `known`: nobody would read it.
    pub fn knows_only(&self, known: &[&str]) {
        let unknown: Vec<_> = self.names("params").into_iter().filter(|name| !known.contains(name)).collect();
        assert!(unknown.is_empty(), "{}: no mapping for the parameters {unknown:?}", self.id);
    }

    /// Where `got` is not what the file says at `path`, its exact value if it has one.
    pub fn differences(&self, path: &[&str], got: &[f64], tolerance: Tolerance) -> Vec<String> {
        let at = |part: &str| path.iter().try_fold(&self.json[part], |value, key| value.get(key)).map(flat);
        let (exact, peer) = (at("exact"), at("outputs").expect("named by the case"));
        let errors = differences(got, exact.as_deref(), &peer, tolerance);
        errors.into_iter().map(|error| format!("{}: {}{error}", self.id, path.join("."))).collect()
    }

    /// Prints, for `--nocapture`, what ours is where the peer's number is not finite.
    fn tell(&self, path: &[&str], got: &[f64]) {
        let at = |part: &str| path.iter().try_fold(&self.json[part], |value, key| value.get(key)).map(flat);
        let (exact, peer) = (at("exact"), at("outputs").expect("named by the case"));
        for (i, (got, peer)) in got.iter().zip(&peer).enumerate().filter(|(_, (_, peer))| !peer.is_finite()) {
            let exact = exact.as_ref().map_or_else(String::new, |exact| format!(", exactly {:.6e}", exact[i]));
            println!("not finite: {:44} {}[{i}]: {peer}, ours {got:.6e}{exact}", self.id, path.join("."));
        }
    }

    fn is_in(&self, objectives: Objectives) -> bool {
        objectives.iter().any(|(family, names)| *family == self.family && names.contains(&self.objective))
    }
}

fn tensor(values: Vec<f64>) -> Tensor<1> {
    let shape = [values.len()];
    Tensor::from_data(TensorData::new(values, shape), (&Device::flex().autodiff(), DType::F64))
}

/// The numbers of a vector.
pub fn column(tensor: &Tensor<1>) -> Vec<f64> {
    tensor.try_to_vec_as::<f64>().expect("an f64 tensor")
}

/// Where the peer's number is not finite, nor the exact one if there is one, ours must be finite.
fn differences(got: &[f64], exact: Option<&[f64]>, peer: &[f64], (relative, absolute): Tolerance) -> Vec<String> {
    let expected = exact.unwrap_or(peer);
    if got.len() != expected.len() {
        return vec![format!(": {} numbers, expected {}", got.len(), expected.len())];
    }
    let right = |got: f64, expected: f64| match expected.is_finite() {
        true => (got - expected).abs() <= absolute.max(relative * expected.abs()),
        false => got.is_finite(),
    };
    let pairs = got.iter().zip(expected).enumerate().filter(|(_, (got, expected))| !right(**got, **expected));
    pairs.map(|(i, (got, expected))| format!("[{i}] = {got:e}, expected {expected:e}")).collect()
}

/// Runs every case that `coverage` covers, prints how many ran, and fails on any number that is not met.
pub fn run_all(coverage: &Coverage, run: fn(&Case) -> Outcome) {
    let (file, is_given) = open("objectives.json", "golden-objectives-1");
    let mut counts = BTreeMap::<_, BTreeMap<&str, usize>>::new();
    let mut wrong = Vec::new();
    for json in file["cases"].as_array().expect("cases") {
        let case = Case::new(json);
        let outcome = match case.is_in(coverage.built) {
            true => match run(&case) {
                Outcome::Ran(numbers) => {
                    wrong.extend(numbers.differences(&case));
                    "ran"
                }
                Outcome::Refused => {
                    let loss = number(&json["outputs"]["loss"]);
                    assert!(!loss.is_finite(), "{}: refused, where the peer has {loss}", case.id);
                    "refused, as the peer is infinite"
                }
            },
            false if case.is_in(coverage.not_built) => "not built yet",
            false => panic!("{}: {}/{} is in no list", case.id, case.family, case.objective),
        };
        *counts.entry((case.family, case.objective)).or_default().entry(outcome).or_default() += 1;
    }
    for ((family, objective), outcomes) in &counts {
        let outcomes: Vec<_> = outcomes.iter().map(|(outcome, count)| format!("{count} {outcome}")).collect();
        say(&format!("{:36} {}", format!("{family}/{objective}"), outcomes.join("; ")));
    }
    assert!(wrong.is_empty(), "{} numbers are wrong:\n{}", wrong.len(), wrong.join("\n"));
    // This folder has cases of every objective; another may lack some, not all.
    let ran = |key: (&str, &str)| counts.get(&key).is_some_and(|outcomes| outcomes.contains_key("ran"));
    let mut built = coverage.built.iter().flat_map(|(family, names)| names.iter().map(|name| (*family, *name)));
    assert!(if is_given { built.any(ran) } else { built.all(ran) }, "an objective has no case: {counts:?}");
}

#[test]
fn a_wrong_number_is_found() {
    let tolerance = (1e-10, 1e-12);
    assert!(differences(&[2.0, 1e-13], None, &[2.0 + 1e-10, 0.0], tolerance).is_empty());
    assert_eq!(differences(&[0.0, 2.0], None, &[0.0, 2.1], tolerance), ["[1] = 2e0, expected 2.1e0"]);
    assert_eq!(differences(&[1.0], None, &[1.0, 1.0], tolerance), [": 1 numbers, expected 2"]);
    // The peer overflowed: any finite number will do, unless the exact one is known.
    assert!(differences(&[1.0], None, &[f64::NAN], tolerance).is_empty());
    assert!(!differences(&[f64::INFINITY], None, &[f64::INFINITY], tolerance).is_empty());
    assert!(!differences(&[1.0], Some(&[2.0]), &[f64::NAN], tolerance).is_empty());
    assert!(differences(&[1.0], Some(&[f64::INFINITY]), &[f64::NAN], tolerance).is_empty());
    assert!(!differences(&[f64::INFINITY], Some(&[f64::INFINITY]), &[f64::NAN], tolerance).is_empty());
    assert!(!differences(&[f64::NAN], Some(&[f64::INFINITY]), &[f64::NAN], tolerance).is_empty());
    assert!(!differences(&[f64::NAN], None, &[1.0], tolerance).is_empty());
}
