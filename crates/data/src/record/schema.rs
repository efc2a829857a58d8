//! JSON Schemas of the kinds, as they are written; readers accept more (other spellings, fields left out).
//!
//! `docs/schemas` holds one for each kind. When the test fails, `ACCORDANT_WRITE=1 cargo test -p accordant-data
//! --all-features --lib schema` writes the files.

use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::{Value, json};

use super::Kind;

/// The schema of a type, under the name of its kind. Other properties are allowed.
pub(super) fn of<T: JsonSchema>(kind: Kind) -> Value {
    let generator = SchemaSettings::draft2020_12().for_serialize().into_generator();
    let mut schema = generator.into_root_schema_for::<T>();
    schema.insert("title".to_owned(), kind.as_str().into());
    schema.insert("additionalProperties".to_owned(), true.into());
    let mut schema = schema.to_value();
    add_kind(&mut schema, kind);
    shorten_descriptions(&mut schema);
    schema
}

/// Adds the tag, which the generator does not see on a struct.
fn add_kind(schema: &mut Value, kind: Kind) {
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        properties.shift_insert(0, "kind".to_owned(), json!({"const": kind.as_str()}));
    }
    match schema.get_mut("required").and_then(Value::as_array_mut) {
        Some(required) => required.insert(0, "kind".into()),
        None => schema["required"] = json!(["kind"]),
    }
}

/// Keeps of each description what stands before its first heading, which would show Rust.
fn shorten_descriptions(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            for (key, value) in map {
                match (key.as_str(), value) {
                    ("description", Value::String(text)) => text.truncate(text.find("\n\n# ").unwrap_or(text.len())),
                    (_, value) => shorten_descriptions(value),
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(shorten_descriptions),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::PathBuf};

    use super::*;
    use crate::record::{Record, arbitrary::examples, json_schema};

    fn path(kind: Kind) -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("../../docs/schemas/{kind}.json"))
    }

    #[test]
    fn the_schemas_in_the_docs_are_those_of_the_types() {
        for kind in Kind::ALL {
            let text = serde_json::to_string_pretty(&json_schema(kind)).unwrap() + "\n";
            if std::env::var_os("ACCORDANT_WRITE").is_some() {
                fs::create_dir_all(path(kind).parent().unwrap()).unwrap();
                fs::write(path(kind), &text).unwrap();
            }
            let found = fs::read_to_string(path(kind)).unwrap_or_default();
            assert!(found == text, "docs/schemas/{kind}.json is stale: run the test with ACCORDANT_WRITE=1");
        }
    }

    #[test]
    fn every_schema_names_its_kind_and_allows_other_fields() {
        for kind in Kind::ALL {
            let schema = json_schema(kind);
            assert_eq!((&schema["title"], schema.get("$id")), (&json!(kind.as_str()), None));
            assert_eq!(schema["additionalProperties"], true);
            assert_eq!(schema["properties"]["kind"]["const"], kind.as_str(), "{schema}");
        }
    }

    fn is_valid(record: &Value) -> bool {
        let kind = Kind::ALL.into_iter().find(|kind| record["kind"] == kind.as_str()).unwrap();
        jsonschema::validator_for(&json_schema(kind)).unwrap().is_valid(record)
    }

    #[test]
    fn the_schemas_accept_the_examples_and_refuse_broken_ones() {
        for example in examples() {
            let record: Record = serde_json::from_value(example).unwrap();
            let written = serde_json::to_value(&record).unwrap();
            let validator = jsonschema::validator_for(&json_schema(record.kind())).unwrap();
            let errors: Vec<_> = validator.iter_errors(&written).map(|error| error.to_string()).collect();
            assert_eq!(errors, [""; 0], "{written}");
            let other = json!({"kind": "other"});
            for (field, value) in written.as_object().unwrap() {
                let mut broken = written.clone();
                broken[field] = if field == "kind" { other["kind"].clone() } else { json!({"no": [value]}) };
                // Free maps take any object.
                let free = ["meta", "scale", "chat_template_kwargs"].contains(&&field[..]);
                assert!(free || !validator.is_valid(&broken), "{broken}");
            }
        }
        assert!(!is_valid(&json!({"kind": "pair", "prompt": "Q", "chosen": " x"})));
        assert!(!is_valid(&json!({"kind": "unpaired", "prompt": "Q", "completion": " x", "label": "true"})));
        assert!(!is_valid(&json!({"kind": "ranked", "prompt": "Q", "completions": [" x", " y"], "ranks": [1, -1]})));
        let chat = |role: &str| json!({"kind": "lm", "messages": [{"role": role, "content": "q"}]});
        assert!(is_valid(&chat("user")) && !is_valid(&chat("critic")));
        assert!(!is_valid(&json!({"kind": "lm"})));
        assert!(is_valid(&json!({"kind": "lm", "text": "q", "stars": 5})));
    }
}
