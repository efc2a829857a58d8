//! Running means that merge, for whatever is logged.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A weighted sum and the weight behind it; two of them merge by adding.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct RunningMean {
    /// Weighted sum of the values.
    pub sum: f64,
    /// Sum of the weights, or the number of items.
    pub count: f64,
}

/// Named running means, in the order of their names.
///
/// # Example
/// ```
/// use accordant_ops::Means;
/// let (mut whole, mut part) = (Means::default(), Means::default());
/// whole.add("loss", 6.0, 3.0);
/// part.add("loss", 4.0, 1.0);
/// whole.merge(&part);
/// assert_eq!(whole.mean("loss"), Some(2.5)); // (6 + 4) / (3 + 1)
/// ```
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Means(BTreeMap<String, RunningMean>);

impl Means {
    /// Adds a sum over `count` items (or of total weight `count`) to the mean called `name`.
    pub fn add(&mut self, name: &str, sum: f64, count: f64) {
        let entry = self.0.entry(name.to_owned()).or_default();
        entry.sum += sum;
        entry.count += count;
    }

    /// Adds everything in `other`.
    pub fn merge(&mut self, other: &Means) {
        for (name, part) in &other.0 {
            self.add(name, part.sum, part.count);
        }
    }

    /// The mean called `name`; none when it is unknown or nothing was counted.
    pub fn mean(&self, name: &str) -> Option<f64> {
        self.0.get(name).and_then(|entry| (entry.count > 0.0).then(|| entry.sum / entry.count))
    }

    /// All means that have counted something, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, f64)> {
        self.0.keys().filter_map(|name| Some((name.as_str(), self.mean(name)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_of_nothing_is_none_and_is_not_listed() {
        let mut means = Means::default();
        means.add("empty", 0.0, 0.0);
        assert_eq!(means.mean("empty"), None);
        assert_eq!(means.mean("unknown"), None);
        assert_eq!(means.iter().count(), 0);
    }
}
