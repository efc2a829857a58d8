//! Reading golden files.

use std::{io::Write, path::PathBuf};

use serde_json::Value;

/// A file of `$ACCORDANT_GOLDEN`, by default of this folder, and whether the folder was given.
pub fn open(name: &str, schema: &str) -> (Value, bool) {
    let given = std::env::var_os("ACCORDANT_GOLDEN").map(PathBuf::from);
    let is_given = given.is_some();
    let folder = given.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden"));
    let path = folder.join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let file: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert_eq!(file["schema"], schema);
    (file, is_given)
}

/// Prints a line past the test harness, which would swallow it.
pub fn say(line: &str) {
    writeln!(std::io::stderr(), "{line}").expect("standard error is open");
}

/// Not-a-number and infinities are strings.
pub fn number(value: &Value) -> f64 {
    match value {
        Value::Number(number) => number.as_f64().expect("an f64"),
        Value::String(text) => text.parse().unwrap_or_else(|_| panic!("not a number: {text}")),
        other => panic!("not a number: {other}"),
    }
}

/// The numbers of nested arrays, in order.
pub fn flat(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(values) => values.iter().flat_map(flat).collect(),
        scalar => vec![number(scalar)],
    }
}
