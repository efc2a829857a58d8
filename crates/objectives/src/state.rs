//! Numbers that a method carries from batch to batch.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Running numbers of a method, by name: a mean of rewards, an estimated share of right labels. They belong to the
/// caller, who saves them with the model; a method only says how they change, before a batch is trained on.
///
/// # Example
/// ```
/// use accordant_objectives::State;
/// let mut state = State::default();
/// assert_eq!(state.get("mean"), None);
/// state.set("mean", 0.5);
/// let saved = serde_json::to_string(&state)?;
/// assert_eq!(serde_json::from_str::<State>(&saved)?, state);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct State(BTreeMap<String, f64>);

impl State {
    /// A number, if there is one of this name.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.0.get(name).copied()
    }

    /// Sets a number.
    pub fn set(&mut self, name: &str, value: f64) {
        self.0.insert(name.to_owned(), value);
    }
}
