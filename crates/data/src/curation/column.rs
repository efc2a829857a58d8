//! Columns: where an operator finds a number, or something else, that each record has.

use std::{fmt, sync::Arc};

use serde::{Serialize, Serializer, de::DeserializeOwned};

use super::access::{HasMeta, Preference};

/// A name and a function that reads a value off a record; none where the record has none.
///
/// It goes along with the record through a pipeline, which a list beside the records would not. In reports it stands by
/// its name.
///
/// # Example
/// ```
/// use accordant_data::{Pair, curation::Column};
/// let mut pair = Pair::new("q", "good", "bad")?;
/// pair.envelope.meta.insert("ches".into(), 0.25.into());
/// assert_eq!(Column::meta("ches").number(&pair), Some(0.25));
/// assert_eq!(Column::new("length", |pair: &Pair| Some(pair.envelope.id.len() as f64)).number(&pair), Some(0.0));
/// # Ok::<(), accordant_data::report::Reason>(())
/// ```
pub struct Column<T, V = f64> {
    name: String,
    #[expect(clippy::type_complexity, reason = "an alias would say less")]
    read: Arc<dyn Fn(&T) -> Option<V> + Send + Sync>,
}

impl<T, V> Column<T, V> {
    /// What `read` gives.
    pub fn new(name: impl Into<String>, read: impl Fn(&T) -> Option<V> + Send + Sync + 'static) -> Self {
        Self { name: name.into(), read: Arc::new(read) }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The record's value.
    pub fn of(&self, record: &T) -> Option<V> {
        (self.read)(record)
    }
}

impl<T: HasMeta, V: DeserializeOwned> Column<T, V> {
    /// What stands under a key of the record's `meta`; none where it has another type.
    pub fn meta(key: &str) -> Self {
        let name = key.to_owned();
        Self::new(key, move |record: &T| record.meta().get(&name).and_then(|value| V::deserialize(value).ok()))
    }
}

impl<T> Column<T> {
    /// The record's number; none where it is not finite.
    pub fn number(&self, record: &T) -> Option<f64> {
        self.of(record).filter(|number| number.is_finite())
    }
}

impl<T: Preference> Column<T> {
    /// By how much the chosen side is better: the record's margin or else the difference of its scores.
    pub fn margin() -> Self {
        Self::new("margin", |record: &T| {
            record.margin().or_else(|| record.scores().map(|(chosen, rejected)| chosen - rejected))
        })
    }

    /// The quality score of the chosen side.
    pub fn score_chosen() -> Self {
        Self::new("score_chosen", |record: &T| record.scores().map(|scores| scores.0))
    }

    /// The quality score of the rejected side.
    pub fn score_rejected() -> Self {
        Self::new("score_rejected", |record: &T| record.scores().map(|scores| scores.1))
    }
}

impl<T, V> Clone for Column<T, V> {
    fn clone(&self) -> Self {
        Self { name: self.name.clone(), read: Arc::clone(&self.read) }
    }
}

impl<T, V> fmt::Debug for Column<T, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Column({:?})", self.name)
    }
}

impl<T, V> Serialize for Column<T, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Pair;

    #[test]
    fn what_is_missing_not_finite_or_of_another_type_is_no_number() {
        let mut pair = Pair::new("q", "good", "bad").unwrap();
        let column = Column::<Pair>::meta("score");
        assert_eq!(column.number(&pair), None);
        pair.envelope.meta.insert("score".into(), "7".into());
        assert_eq!(column.number(&pair), None);
        pair.envelope.meta.insert("score".into(), 7.into());
        assert_eq!(column.clone().number(&pair), Some(7.0));
        assert_eq!(Column::<Pair>::new("nan", |_| Some(f64::NAN)).number(&pair), None);
        pair.envelope.meta.insert("scores".into(), vec![1.0, 2.0].into());
        assert_eq!(Column::<Pair, Vec<f64>>::meta("scores").of(&pair), Some(vec![1.0, 2.0]));
    }

    #[test]
    fn a_column_stands_in_reports_by_its_name() {
        let column = Column::<Pair>::margin();
        assert_eq!((column.name(), format!("{column:?}")), ("margin", "Column(\"margin\")".to_owned()));
        assert_eq!(serde_json::to_value(&column).unwrap(), "margin");
    }
}
