//! The test cases of choix: choices between numbered items, with the estimates that the library gives for them.
//!
//! **Origin:** `lucasmaystre/choix`, `tests/data/testcase-*.json`, MIT.
//! **Format:** one JSON object: `desc`, `n_items`, `data` and the expected estimates. `data` are pairs of winner and
//! loser, rankings with the **best first**, or choices `[winner, [losers]]`.
//! **Records:** ranked items, each named by its number; of a choice only the first is known (`top_k` 1).

use std::{collections::BTreeMap, fs, path::Path};

use serde::Deserialize;
use serde_json::Value;

use crate::{
    error::{Error, Result},
    record::{Fields, Ranked, Reading, Text, as_i64, wrong_type},
    report::{Code, Reason, Reject},
};

/// One case.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// What it is about.
    pub description: String,
    /// How many items there are.
    pub num_items: usize,
    /// The choices.
    pub choices: Vec<Choice>,
    /// Estimates by the name of their method, such as `ml_est`: one log-strength for each item.
    pub estimates: BTreeMap<String, Vec<f64>>,
}

/// One choice between items, which are numbered from 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// The items, best first. Of a choice of one out of several the others have no order.
    pub items: Vec<usize>,
    /// Whether only the first is known.
    pub top_1: bool,
}

impl Choice {
    /// A record of the choice.
    ///
    /// # Errors
    /// Those of [`Ranked::new`].
    pub fn ranked(&self, description: &str) -> Result<Ranked, Reason> {
        let name = |item: &usize| item.to_string();
        let completions = self.items.iter().map(|item| Text::Plain(name(item))).collect();
        let rank = |place: usize| if self.top_1 { 1 + u64::from(place > 0) } else { place as u64 + 1 };
        let mut ranked = Ranked::new(description, completions, (0..self.items.len()).map(rank).collect())?;
        ranked.sources = self.items.iter().map(name).collect();
        (ranked.partial, ranked.top_k) = (self.top_1, self.top_1.then_some(1));
        Ok(ranked)
    }
}

/// Reads a case.
///
/// # Errors
/// [`Error::Open`]; [`Error::Rejected`] naming the field.
///
/// # Example
/// ```
/// use accordant_data::sources::choix_cases::read_case;
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("case.json");
/// std::fs::write(&path, r#"{"desc": "Three.", "n_items": 3, "data": [[2, [0, 1]]], "ml_est": [0.0, 0.0, 0.0]}"#)?;
/// let case = read_case(&path)?;
/// assert_eq!((&case.choices[0].items[..], case.choices[0].top_1), (&[2, 0, 1][..], true));
/// assert_eq!(case.choices[0].ranked(&case.description)?.levels(), [0, 1, 1]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn read_case(path: impl AsRef<Path>) -> Result<Case> {
    let path = path.as_ref();
    let text = fs::read_to_string(path).map_err(|source| Error::Open { path: path.to_path_buf(), source })?;
    let parsed = serde_json::from_str::<Value>(&text);
    let parsed = parsed.map_err(|error| (Reason::new(Code::Json, error.to_string()), error.line()));
    parsed.and_then(|value| case(value).map_err(|reason| (reason, 1))).map_err(|(reason, line)| {
        let Reason { code, field, message, excerpt } = reason;
        let excerpt = excerpt.unwrap_or_default();
        let file = path.to_path_buf();
        Error::Rejected(Box::new(Reject { file, line, byte_offset: 0, record_index: 0, field, code, message, excerpt }))
    })
}

fn case(value: Value) -> Result<Case, Reason> {
    let mut reading = Reading::default();
    let mut fields = Fields::of(value, "", &mut reading)?;
    let description = fields.need_string("desc")?;
    let found = fields.count("n_items")?.and_then(|n| usize::try_from(n).ok());
    let Some(num_items) = found else { return Err(Reason::field(Code::MissingField, "n_items", "missing")) };
    let choices = fields.need_list_of("data", |value, path, _| choice(&value, path, num_items))?;
    let mut estimates = BTreeMap::new();
    for (name, value) in fields.into_rest().into_iter().filter(|(name, _)| name.ends_with("_est")) {
        let numbers = Vec::<f64>::deserialize(&value).ok().filter(|numbers| numbers.len() == num_items);
        estimates.insert(name.clone(), numbers.ok_or_else(|| wrong_type(&name, "a number for each item", &value))?);
    }
    Ok(Case { description, num_items, choices, estimates })
}

fn choice(value: &Value, path: &str, num_items: usize) -> Result<Choice, Reason> {
    let list = value.as_array().ok_or_else(|| wrong_type(path, "a list of items", value))?;
    let (items, top_1) = match &list[..] {
        [winner, Value::Array(losers)] => ([std::slice::from_ref(winner), losers].concat(), true),
        items => (items.to_vec(), false),
    };
    let item = |value: &Value| {
        let number = as_i64(value, path)?;
        let item = usize::try_from(number).ok().filter(|&item| item < num_items);
        item.ok_or_else(|| {
            Reason::field(Code::Range, path, format!("expected an item below {num_items}, found {number}"))
        })
    };
    Ok(Choice { items: items.iter().map(item).collect::<Result<_, _>>()?, top_1 })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_first_item_wins_in_pairs_and_rankings() {
        let value =
            json!({"desc": "d", "n_items": 3, "data": [[1, 0], [2, 0, 1]], "rc_est": [0.0, 1.0, -1.0], "note": "n"});
        let case = case(value).unwrap();
        let orders: Vec<_> = case.choices.iter().map(|choice| choice.ranked("d").unwrap().order()).collect();
        assert_eq!(orders, [vec![0, 1], vec![0, 1, 2]]);
        assert_eq!((&case.choices[1].items[..], case.choices[1].top_1), (&[2, 0, 1][..], false));
        assert_eq!(case.choices[1].ranked("d").unwrap().sources, ["2", "0", "1"]);
        assert_eq!(case.estimates, BTreeMap::from([("rc_est".to_owned(), vec![0.0, 1.0, -1.0])]));
    }

    #[test]
    fn what_is_wrong_with_a_case_is_named() {
        let told = |value: Value| case(value).unwrap_err().to_string();
        let with = |data: Value| told(json!({"desc": "d", "n_items": 2, "data": data}));
        assert_eq!(with(json!([[0, 2]])), "E_RANGE: field `data[0]`: expected an item below 2, found 2");
        assert_eq!(with(json!([[0, -1]])), "E_RANGE: field `data[0]`: expected an item below 2, found -1");
        assert!(with(json!([3])).starts_with("E_TYPE: field `data[0]`: expected a list of items"));
        assert!(told(json!({"desc": "d", "data": []})).starts_with("E_MISSING_FIELD: field `n_items`"));
        let short = json!({"desc": "d", "n_items": 2, "data": [], "ml_est": [0.0]});
        assert!(told(short).starts_with("E_TYPE: field `ml_est`: expected a number for each item"));
        assert!(matches!(read_case("nowhere.json"), Err(Error::Open { .. })));
    }
}
