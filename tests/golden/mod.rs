//! Golden files: cases whose numbers were made by other people's code, and how ours are compared with them.
//!
//! `objectives.json` (schema `golden-objectives-1`) holds `cases` of a `family` and an `objective`, each with `params`,
//! `inputs`, `outputs` (values, `metrics`, and in `grads` the derivatives of the loss by its inputs) and sometimes
//! `exact`, the right value where the peer's own is not. It is read from `$ACCORDANT_GOLDEN`, by default this folder, so
//! that a larger set, or one with other numbers, runs unchanged.

pub mod json;

use std::collections::BTreeMap;

use burn::tensor::{DType, Device, Tensor, TensorData};
use serde_json::Value;

use json::{flat, number, open, say};

/// Relative and absolute: an error within either is accepted.
pub type Tolerance = (f64, f64);

/// Objectives by family.
pub type Objectives = &'static [(&'static str, &'static [&'static str])];

/// A reason to skip a case of an objective that is built, and which cases it applies to.
pub type Skip = (&'static str, fn(&Case) -> bool);

/// What a test covers. A case that it neither runs nor skips by one of these lists is an error.
pub struct Coverage {
    pub built: Objectives,
    pub not_built: Objectives,
    pub skipped: &'static [Skip],
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

    pub fn flag(&self, name: &str) -> bool {
        self.param(name).is_some_and(|value| value.as_bool().expect("a flag"))
    }

    /// An input in one row, on a device that records gradients.
    pub fn input(&self, name: &str) -> Option<Tensor<1>> {
        self.json["inputs"].get(name).map(|value| tensor(flat(value)))
    }

    /// The number of rows of an input.
    pub fn rows(&self, name: &str) -> usize {
        self.json["inputs"][name].as_array().expect("rows").len()
    }

    /// Where `got` is not what the file says at `path`, its exact value if it has one.
    pub fn differences(&self, path: &[&str], got: &[f64], tolerance: Tolerance) -> Vec<String> {
        let at = |part: &str| path.iter().try_fold(&self.json[part], |value, key| value.get(key)).map(flat);
        let (exact, peer) = (at("exact"), at("outputs").expect("named by the case"));
        let errors = differences(got, exact.as_deref(), &peer, tolerance);
        errors.into_iter().map(|error| format!("{}: {}{error}", self.id, path.join("."))).collect()
    }

    fn is_in(&self, objectives: Objectives) -> bool {
        objectives.iter().any(|(family, names)| *family == self.family && names.contains(&self.objective))
    }
}

fn tensor(values: Vec<f64>) -> Tensor<1> {
    let shape = [values.len()];
    Tensor::from_data(TensorData::new(values, shape), (&Device::flex().autodiff(), DType::F64))
}

/// Where an exact value is infinite, ours must be a number; where only the peer's is not finite, ours must be finite.
fn differences(got: &[f64], exact: Option<&[f64]>, peer: &[f64], (relative, absolute): Tolerance) -> Vec<String> {
    let expected = exact.unwrap_or(peer);
    if got.len() != expected.len() {
        return vec![format!(": {} numbers, expected {}", got.len(), expected.len())];
    }
    let right = |got: f64, expected: f64| match (expected.is_finite(), exact) {
        (true, _) => (got - expected).abs() <= absolute.max(relative * expected.abs()),
        (false, Some(_)) => !got.is_nan(),
        (false, None) => got.is_finite(),
    };
    let pairs = got.iter().zip(expected).enumerate().filter(|(_, (got, expected))| !right(**got, **expected));
    pairs.map(|(i, (got, expected))| format!("[{i}] = {got:e}, expected {expected:e}")).collect()
}

/// Runs every case that `coverage` covers, prints how many ran and how many were skipped and why, and fails on any
/// difference that `run` found.
pub fn run_all(coverage: &Coverage, run: fn(&Case) -> Vec<String>) {
    let (file, is_given) = open("objectives.json", "golden-objectives-1");
    let mut counts = BTreeMap::<_, BTreeMap<&str, usize>>::new();
    let mut wrong = Vec::new();
    for json in file["cases"].as_array().expect("cases") {
        let case = Case::new(json);
        let skip = coverage.skipped.iter().find(|(_, applies)| applies(&case));
        let outcome = match (case.is_in(coverage.built), skip) {
            (true, Some((reason, _))) => reason,
            (true, None) => {
                wrong.extend(run(&case));
                "ran"
            }
            (false, _) if case.is_in(coverage.not_built) => "not built yet",
            (false, _) => panic!("{}: {}/{} is in no list", case.id, case.family, case.objective),
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
    assert!(!differences(&[f64::NAN], Some(&[f64::INFINITY]), &[f64::NAN], tolerance).is_empty());
    assert!(!differences(&[f64::NAN], None, &[1.0], tolerance).is_empty());
}
