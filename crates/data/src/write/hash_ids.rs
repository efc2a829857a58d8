//! Salted hashes in place of the ids of people, for data that leaves the house.
//!
//! An id becomes the first 32 hexadecimal digits of SHA-256 over the salt's length, the salt and the id. The same salt
//! gives the same hashes, so that tables hashed apart still fit together; without the salt an id can neither be read nor
//! tried out. Ids are never put into messages or reports by this module.

use std::fmt;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::record::Envelope;

/// Keys of `meta` that hold the ids of people in public data sets.
const ID_KEYS: [&str; 10] = [
    "user_id",
    "user",
    "annotator_id",
    "annotator",
    "annotators",
    "worker",
    "worker_id",
    "rater_id",
    "labeler",
    "judge_id",
];

/// Hashes ids with one salt. Its `Debug` does not show the salt.
///
/// # Example
/// ```
/// use accordant_data::{Pair, record::Annotator, write::hash_ids::IdHasher};
/// let mut pair = Pair::new("q", "yes", "no")?;
/// pair.envelope.annotator = Some(Annotator::new("alice@example.org"));
/// pair.envelope.user_id = Some("alice@example.org".into());
/// let hasher = IdHasher::new("a long secret");
/// hasher.hash_record(&mut pair.envelope);
/// let hashed = pair.envelope.annotator.unwrap().id;
/// assert_eq!(Some(&hashed), pair.envelope.user_id.as_ref());
/// assert_eq!((hashed.len(), hashed == hasher.hash("bob@example.org")), (32, false));
/// assert_eq!(format!("{hasher:?}"), "IdHasher { .. }");
/// # Ok::<(), accordant_data::report::Reason>(())
/// ```
#[derive(Clone)]
pub struct IdHasher {
    salted: Sha256,
}

impl fmt::Debug for IdHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdHasher").finish_non_exhaustive()
    }
}

impl IdHasher {
    /// With this salt, which should be long, random and kept apart from the data.
    pub fn new(salt: impl AsRef<[u8]>) -> Self {
        let salt = salt.as_ref();
        // The length in front keeps a salt and an id from being cut elsewhere: ("ab", "c") is not ("a", "bc").
        Self { salted: Sha256::new().chain_update((salt.len() as u64).to_le_bytes()).chain_update(salt) }
    }

    /// The hash of an id: 32 lower-case hexadecimal digits.
    pub fn hash(&self, id: &str) -> String {
        let digest = self.salted.clone().chain_update(id).finalize();
        digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }

    /// Hashes the ids of people in what a record shares with others: the annotator's, the user's, the source of the
    /// rationale, and those in `meta` under the names that public data sets use, at any depth.
    ///
    /// Groups and attributes stay, and so does the record's own id. Texts are not looked at.
    pub fn hash_record(&self, envelope: &mut Envelope) {
        let people = envelope.annotator.as_mut().map(|annotator| &mut annotator.id);
        for id in people.into_iter().chain(&mut envelope.user_id).chain(&mut envelope.rationale_source) {
            *id = self.hash(id);
        }
        envelope.meta.iter_mut().for_each(|(key, value)| self.hash_value(key, value));
    }

    fn hash_value(&self, key: &str, value: &mut Value) {
        let is_id = ID_KEYS.contains(&key);
        match value {
            Value::String(id) if is_id => *id = self.hash(id),
            Value::Number(id) if is_id => *value = Value::String(self.hash(&id.to_string())),
            Value::Array(list) => list.iter_mut().for_each(|value| self.hash_value(key, value)),
            Value::Object(map) => map.iter_mut().for_each(|(inner, value)| {
                // The id of an object that is a person.
                let key = if is_id && inner == "id" { key } else { inner };
                self.hash_value(key, value);
            }),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::record::Annotator;

    #[test]
    fn the_hash_is_sha_256_over_length_salt_and_id() {
        // printf '\x04\0\0\0\0\0\0\0saltid' | sha256sum
        assert_eq!(IdHasher::new("salt").hash("id"), EXPECTED);
        assert_ne!(IdHasher::new("ab").hash("c"), IdHasher::new("a").hash("bc"));
    }

    const EXPECTED: &str = "f6440e689b267ca1b6c43074d08d6212";

    #[test]
    fn d48_no_id_of_a_person_is_left_and_what_is_no_id_stays() {
        let hasher = IdHasher::new("s");
        let meta = json!({
            "worker": "w1", "annotators": ["w2", 7], "note": {"user_id": "w3", "text": "w4"},
            "user": {"id": "w5", "age": 30}, "id": "row", "judge_id": null
        });
        let mut envelope = Envelope {
            id: "row".into(),
            annotator: Some(Annotator { group: Some("g".into()), ..Annotator::new("w1") }),
            user_id: Some("w1".into()),
            rationale_source: Some("w1".into()),
            meta: meta.as_object().unwrap().clone(),
            ..Envelope::default()
        };
        hasher.hash_record(&mut envelope);
        let expected = json!({
            "worker": hasher.hash("w1"), "annotators": [hasher.hash("w2"), hasher.hash("7")],
            "note": {"user_id": hasher.hash("w3"), "text": "w4"},
            "user": {"id": hasher.hash("w5"), "age": 30}, "id": "row", "judge_id": null
        });
        assert_eq!(serde_json::Value::Object(envelope.meta), expected);
        let annotator = envelope.annotator.unwrap();
        assert_eq!((annotator.id, annotator.group), (hasher.hash("w1"), Some("g".into())));
        assert_eq!((envelope.user_id, envelope.rationale_source), (Some(hasher.hash("w1")), Some(hasher.hash("w1"))));
        assert_eq!(envelope.id, "row");
    }
}
