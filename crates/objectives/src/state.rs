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

    /// The numbers called `scope/name`, as `name`: what one part of a method made of methods carries.
    pub(crate) fn scoped(&self, scope: &str) -> Self {
        let inner = |name: &str| name.strip_prefix(scope).and_then(|rest| rest.strip_prefix('/')).map(str::to_owned);
        Self(self.0.iter().filter_map(|(name, value)| Some((inner(name)?, *value))).collect())
    }

    /// Sets every number of `part` as `scope/name`.
    pub(crate) fn set_scoped(&mut self, scope: &str, part: Self) {
        self.0.extend(part.0.into_iter().map(|(name, value)| (format!("{scope}/{name}"), value)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_carry_numbers_of_one_name_apart() {
        let mut state = State::default();
        for (scope, value) in [("dpo", 1.0), ("dpo-2", 2.0)] {
            let mut part = State::default();
            part.set("mean", value);
            state.set_scoped(scope, part);
        }
        assert_eq!((state.get("dpo/mean"), state.get("dpo-2/mean")), (Some(1.0), Some(2.0)));
        assert_eq!(state.scoped("dpo").get("mean"), Some(1.0));
        assert_eq!(state.scoped("dpo-2").get("mean"), Some(2.0));
        assert_eq!(state.scoped("ipo"), State::default());
    }
}
