//! Names of items and judges, and their indices.

use std::collections::HashMap;

use crate::{Comparison, Comparisons, Error, Outcome, Result};

/// Names in the order in which they were first seen; their places are the indices that everything else uses.
///
/// # Example
/// ```
/// use accordant_preference::Names;
/// let mut names = Names::default();
/// assert_eq!((names.index("b"), names.index("a"), names.index("b")), (0, 1, 0));
/// assert_eq!((names.get("a"), names.get("c"), names.as_slice()), (Some(1), None, &["b".to_owned(), "a".to_owned()][..]));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    names: Vec<String>,
    indices: HashMap<String, usize>,
}

impl Names {
    /// The index of a name, a new one when it has not been seen.
    pub fn index(&mut self, name: &str) -> usize {
        if let Some(&index) = self.indices.get(name) {
            return index;
        }
        let index = self.names.len();
        self.names.push(name.to_owned());
        self.indices.insert(name.to_owned(), index);
        index
    }

    /// The index of a name that has been seen.
    pub fn get(&self, name: &str) -> Option<usize> {
        self.indices.get(name).copied()
    }

    /// The name of an index.
    pub fn name(&self, index: usize) -> Option<&str> {
        self.names.get(index).map(String::as_str)
    }

    /// All names, by index.
    pub fn as_slice(&self) -> &[String] {
        &self.names
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }
}

impl<S: AsRef<str>> FromIterator<S> for Names {
    fn from_iter<I: IntoIterator<Item = S>>(names: I) -> Self {
        let mut all = Self::default();
        for name in names {
            all.index(name.as_ref());
        }
        all
    }
}

/// Judged pairs of named items, perhaps by named judges; items need not be known beforehand.
///
/// # Example
/// ```
/// use accordant_preference::{NamedComparisons, Outcome, ranking::NewtonConfig};
/// let mut games = NamedComparisons::default();
/// for (white, black, outcome) in [("Ann", "Bob", Outcome::First), ("Bob", "Ann", Outcome::Tie)] {
///     games.push(white, black, outcome)?;
/// }
/// let judged = games.comparisons()?;
/// let ranking = NewtonConfig::new().fit(&judged)?; // one and a half wins to a half
/// assert!((ranking.scores[0] - 0.5 * 3f64.ln()).abs() < 1e-9);
/// assert_eq!(games.items().name(ranking.order()[0]), Some("Ann"));
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct NamedComparisons {
    items: Names,
    judges: Names,
    records: Vec<Comparison>,
    judged_by: Vec<usize>,
}

impl NamedComparisons {
    /// Adds a comparison of weight 1, by nobody in particular.
    ///
    /// # Errors
    /// As [`NamedComparisons::push_weighted`].
    pub fn push(&mut self, first: &str, second: &str, outcome: Outcome) -> Result<()> {
        self.push_weighted(first, second, outcome, 1.0, None)
    }

    /// Adds a comparison of weight 1 by a judge.
    ///
    /// # Errors
    /// As [`NamedComparisons::push_weighted`].
    pub fn push_judged(&mut self, judge: &str, first: &str, second: &str, outcome: Outcome) -> Result<()> {
        self.push_weighted(first, second, outcome, 1.0, Some(judge))
    }

    /// Adds a comparison.
    ///
    /// # Errors
    /// [`Error::Repeated`] for an item compared with itself, [`Error::Record`] for a share outside of [0, 1] or a weight
    /// that is not finite and ≥ 0, [`Error::Combination`] when a judge is named here and not before, or the other way
    /// round.
    pub fn push_weighted(
        &mut self,
        first: &str,
        second: &str,
        outcome: Outcome,
        weight: f64,
        judge: Option<&str>,
    ) -> Result<()> {
        if !self.records.is_empty() && judge.is_some() == self.judged_by.is_empty() {
            return Err(Error::Combination { what: "judges", reason: "some comparisons have one and some have none" });
        }
        let (first, second) = (self.items.index(first), self.items.index(second));
        Comparison { first, second, outcome, weight }.check(self.records.len(), self.items.len())?;
        self.records.push(Comparison { first, second, outcome, weight });
        if let Some(judge) = judge {
            let judge = self.judges.index(judge);
            self.judged_by.push(judge);
        }
        Ok(())
    }

    /// The items, by index.
    pub fn items(&self) -> &Names {
        &self.items
    }

    /// The judges, by index.
    pub fn judges(&self) -> &Names {
        &self.judges
    }

    /// The comparisons by index, with their judges if they have any.
    ///
    /// # Errors
    /// None: each comparison has been checked.
    pub fn comparisons(&self) -> Result<Comparisons> {
        self.clone().into_comparisons().map(|(_, judged)| judged)
    }

    /// The items and the comparisons, without a copy of millions of them.
    ///
    /// # Errors
    /// None: each comparison has been checked.
    pub fn into_comparisons(self) -> Result<(Names, Comparisons)> {
        let all = Comparisons::from_checked(self.items.len(), self.records);
        let judged = if self.judged_by.is_empty() { all } else { all.with_judges(self.judged_by)? };
        Ok((self.items, judged))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn judges_are_named_always_or_never() {
        let mut named = NamedComparisons::default();
        named.push_judged("u", "a", "b", Outcome::First).unwrap();
        named.push_judged("v", "b", "c", Outcome::Tie).unwrap();
        named.push_judged("u", "c", "a", Outcome::First).unwrap();
        assert!(matches!(named.push("a", "b", Outcome::First), Err(Error::Combination { what: "judges", .. })));
        let judged = named.comparisons().unwrap();
        assert_eq!((judged.num_items(), judged.len(), judged.judges()), (3, 3, Some(&[0, 1, 0][..])));
        assert_eq!((judged.records()[1].first, judged.records()[1].second), (1, 2));
        assert_eq!((named.judges().len(), named.items().name(2), named.items().name(3)), (2, Some("c"), None));
        let (items, moved) = named.clone().into_comparisons().unwrap();
        assert_eq!((&items, moved), (named.items(), judged));
        let mut unnamed = NamedComparisons::default();
        unnamed.push("a", "b", Outcome::First).unwrap();
        assert!(unnamed.push_judged("u", "a", "b", Outcome::First).is_err());
        assert_eq!(unnamed.comparisons().unwrap().judges(), None);
    }

    #[test]
    fn what_makes_no_sense_is_an_error_that_names_the_record() {
        let mut named = NamedComparisons::default();
        named.push("a", "b", Outcome::First).unwrap();
        assert!(matches!(named.push("a", "a", Outcome::First), Err(Error::Repeated { row: 1, item: 0 })));
        assert!(matches!(named.push("a", "b", Outcome::Share(1.5)), Err(Error::Record { row: 1, name: "share", .. })));
        let error = named.push_weighted("a", "b", Outcome::First, -1.0, None).unwrap_err();
        assert!(matches!(error, Error::Record { row: 1, name: "weight", .. }));
        assert_eq!(named.comparisons().unwrap().len(), 1, "nothing was added");
        assert!(Names::default().is_empty() && !["x"].iter().collect::<Names>().is_empty());
    }
}
