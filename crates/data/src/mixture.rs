//! Mixtures: several data sets in one, each with its share.
//!
//! **Source:** alignment-handbook's `dataset_mixture`. The counts are its; which rows are kept depends on the generator
//! that shuffles and is not the same. Ours are `repeat` (a weight above 1), `max_rows` and interleaving.

use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    order::{Purpose, shuffled, stream},
};

/// One data set of a mixture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Component {
    /// Its name or path.
    pub id: String,
    /// Its configuration, where it has several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<String>,
    /// Its split, such as `train_prefs`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<String>,
    /// The columns to keep; empty for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    /// The share of rows that is kept, finite and at least 0; above 1 rows are repeated. Default: 1.
    #[serde(default = "one")]
    pub weight: f64,
    /// At most this many rows, after the weight. Default: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_rows: Option<usize>,
}

const fn one() -> f64 {
    1.0
}

impl Component {
    /// All rows of a data set.
    pub fn new(id: impl Into<String>) -> Self {
        Self { id: id.into(), config: None, split: None, columns: Vec::new(), weight: 1.0, max_rows: None }
    }

    /// How many rows are taken of `rows`: `floor(rows * weight)`, at most `max_rows`.
    pub fn take(&self, rows: usize) -> usize {
        // Beyond any memory the cast saturates.
        let kept = (rows as f64 * self.weight).floor() as usize;
        self.max_rows.map_or(kept, |most| kept.min(most))
    }
}

/// In what order the components' rows come.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MixOrder {
    /// One component after the other, then shuffled.
    #[default]
    Shuffled,
    /// By turns, so that after any number of rows each component has its share as closely as whole rows allow; it ends
    /// when a component whose turn it is has no row left. One proportion above 0 for each component.
    Interleaved(Vec<f64>),
}

/// How much is held out.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum TestSize {
    /// This many rows.
    Rows(usize),
    /// This share of the rows, above 0 and below 1, rounded up.
    Share(f64),
}

/// A mixture: its components, and how they are put together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mixture {
    /// The components.
    pub datasets: Vec<Component>,
    /// The seed of all that is drawn. Default: 0.
    #[serde(default)]
    pub seed: u64,
    /// How much of the mixture's end is held out. Default: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_split_size: Option<TestSize>,
    /// In what order the rows come. Default: shuffled.
    #[serde(default)]
    pub order: MixOrder,
}

/// What a mixture took of one component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Taken {
    /// The component.
    pub id: String,
    /// Its rows.
    pub rows: usize,
    /// How many of them are taken by weight and limit, those that repeat counted each time.
    pub taken: usize,
    /// How many of these are in the mixture; fewer than `taken` only where interleaving ended before.
    pub used: usize,
}

/// A mixture's rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Mixed<T> {
    /// For training.
    pub train: Vec<T>,
    /// Held out; empty where nothing is.
    pub test: Vec<T>,
    /// What was taken of each component.
    pub report: Vec<Taken>,
}

impl Mixture {
    /// Mixes the rows of the components, given in the order of [`Self::datasets`].
    ///
    /// # Errors
    /// [`Error::Domain`] if there are not as many lists of rows as components, for a weight that is negative or no
    /// number, for proportions that are not one above 0 for each component, and for a held-out part that is not above 0
    /// and below the number of rows.
    ///
    /// # Example
    /// ```
    /// use accordant_data::mixture::{Component, Mixture};
    /// let mixture: Mixture = serde_json::from_str(
    ///     r#"{"datasets": [{"id": "a", "weight": 0.5}, {"id": "b"}], "seed": 7, "test_split_size": 0.25}"#,
    /// )?;
    /// let mixed = mixture.mix(vec![vec!["a"; 5], vec!["b"; 3]])?;
    /// // Of `a` two rows, of `b` three; a quarter of five, rounded up, is held out.
    /// assert_eq!((mixed.train.len(), mixed.test.len()), (3, 2));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn mix<T: Clone>(&self, rows: Vec<Vec<T>>) -> Result<Mixed<T>> {
        self.validate(rows.len())?;
        let counts: Vec<usize> = rows.iter().map(Vec::len).collect();
        let parts: Vec<Vec<T>> = rows
            .into_iter()
            .zip(&self.datasets)
            .enumerate()
            .map(|(i, (rows, part))| self.part(i, part, rows))
            .collect();
        let taken: Vec<usize> = parts.iter().map(Vec::len).collect();
        let (mut train, used) = match &self.order {
            MixOrder::Shuffled => {
                let mut all: Vec<T> = parts.into_iter().flatten().collect();
                all.shuffle(&mut stream(self.seed, Purpose::Mixture, 0));
                (all, taken.clone())
            }
            MixOrder::Interleaved(proportions) => interleave(parts, proportions),
        };
        let test = train.split_off(train.len() - self.held_out(train.len())?);
        let taken = self.datasets.iter().zip(counts).zip(taken).zip(used).map(|(((part, rows), taken), used)| Taken {
            id: part.id.clone(),
            rows,
            taken,
            used,
        });
        Ok(Mixed { train, test, report: taken.collect() })
    }

    /// A component's rows: in a drawn order, as often as the weight says.
    fn part<T: Clone>(&self, number: usize, part: &Component, rows: Vec<T>) -> Vec<T> {
        let amount = part.take(rows.len());
        let index = (number as u32).wrapping_add(1);
        let order = shuffled(rows.len(), self.seed, Purpose::Mixture, index);
        order.iter().cycle().take(amount).map(|&i| rows[i].clone()).collect()
    }

    fn held_out(&self, rows: usize) -> Result<usize> {
        let size = match self.test_split_size {
            None => return Ok(0),
            Some(TestSize::Rows(n)) => n as f64,
            Some(TestSize::Share(share)) => (share * rows as f64).ceil(),
        };
        match size > 0.0 && size < rows as f64 {
            true => Ok(size as usize),
            false => Err(Error::Domain {
                name: "test_split_size",
                expected: "rows above 0 and below those of the mixture, or such a share",
                got: size,
            }),
        }
    }

    fn validate(&self, lists: usize) -> Result<()> {
        let domain = |name, expected, got: f64| Err(Error::Domain { name, expected, got });
        if lists != self.datasets.len() {
            return domain("rows", "one list for each component", lists as f64);
        }
        if let Some(part) = self.datasets.iter().find(|part| !(part.weight.is_finite() && part.weight >= 0.0)) {
            return domain("weight", "a finite number of at least 0", part.weight);
        }
        if let Some(TestSize::Share(share)) = self.test_split_size
            && !(share > 0.0 && share < 1.0)
        {
            return domain("test_split_size", "a share above 0 and below 1", share);
        }
        let MixOrder::Interleaved(proportions) = &self.order else { return Ok(()) };
        if proportions.len() != self.datasets.len() {
            return domain("order", "one proportion for each component", proportions.len() as f64);
        }
        match proportions.iter().find(|share| !(share.is_finite() && **share > 0.0)) {
            Some(&share) => domain("order", "proportions that are finite and above 0", share),
            None => Ok(()),
        }
    }
}

/// Takes rows by turns: next comes the component that lags most behind its share, of equals the first.
fn interleave<T>(parts: Vec<Vec<T>>, proportions: &[f64]) -> (Vec<T>, Vec<usize>) {
    let total: f64 = proportions.iter().sum();
    let mut parts: Vec<_> = parts.into_iter().map(Vec::into_iter).collect();
    let (mut mixed, mut used) = (Vec::new(), vec![0_usize; parts.len()]);
    loop {
        let next = (mixed.len() + 1) as f64;
        let lag = |i: usize| next * proportions[i] / total - used[i] as f64;
        let Some(turn) = (0..parts.len()).rev().max_by(|&i, &j| lag(i).total_cmp(&lag(j))) else { break };
        let Some(row) = parts[turn].next() else { break };
        mixed.push(row);
        used[turn] += 1;
    }
    (mixed, used)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(sizes: &[usize]) -> Vec<Vec<(usize, usize)>> {
        sizes.iter().enumerate().map(|(i, &n)| (0..n).map(|j| (i, j)).collect()).collect()
    }

    fn mixture(weights: &[f64]) -> Mixture {
        let part = |(i, &weight): (usize, &f64)| Component { weight, ..Component::new(format!("d{i}")) };
        let datasets = weights.iter().enumerate().map(part).collect();
        Mixture { datasets, seed: 7, test_split_size: None, order: MixOrder::Shuffled }
    }

    #[test]
    fn of_each_component_the_floor_of_its_share_is_kept() {
        // Python's int(len * weight): 0.29 * 100 is 28.999999999999996.
        let cases = [(10, 0.5, 5), (7, 0.5, 3), (100, 0.29, 28), (3, 1.0, 3), (3, 0.0, 0), (3, 2.5, 7), (0, 3.0, 0)];
        for (n, weight, kept) in cases {
            assert_eq!(mixture(&[weight]).mix(rows(&[n])).unwrap().train.len(), kept, "{n} {weight}");
        }
        let limited = Component { max_rows: Some(4), ..Component::new("d") };
        assert_eq!((limited.take(9), limited.take(3)), (4, 3));
    }

    #[test]
    fn rows_are_drawn_with_the_seed_and_repeat_only_when_all_were_taken() {
        let mixed = mixture(&[0.5, 1.0]).mix(rows(&[20, 5])).unwrap();
        assert_eq!(mixed, mixture(&[0.5, 1.0]).mix(rows(&[20, 5])).unwrap());
        let other = Mixture { seed: 8, ..mixture(&[0.5, 1.0]) }.mix(rows(&[20, 5])).unwrap();
        assert_ne!(mixed.train, other.train);
        let mut unique = mixed.train.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!((unique.len(), unique == mixed.train), (15, false));
        let taken: Vec<_> = mixed.report.iter().map(|part| (&part.id[..], part.rows, part.taken, part.used)).collect();
        assert_eq!(taken, [("d0", 20, 10, 10), ("d1", 5, 5, 5)]);
        let twice = mixture(&[2.5]).mix(rows(&[4])).unwrap().train;
        let count = |j| twice.iter().filter(|row| row.1 == j).count();
        let mut counts = [0, 1, 2, 3].map(count);
        counts.sort_unstable();
        assert_eq!(counts, [2, 2, 3, 3]);
    }

    #[test]
    fn the_end_of_the_mixture_is_held_out() {
        let sizes = |size| {
            let mixed = Mixture { test_split_size: Some(size), ..mixture(&[1.0]) }.mix(rows(&[10]));
            mixed.map(|mixed| (mixed.train.len(), mixed.test.len())).map_err(|error| error.to_string())
        };
        assert_eq!(sizes(TestSize::Share(0.25)), Ok((7, 3)));
        assert_eq!(sizes(TestSize::Rows(4)), Ok((6, 4)));
        for wrong in [
            TestSize::Share(0.0),
            TestSize::Share(1.0),
            TestSize::Share(f64::NAN),
            TestSize::Share(0.95),
            TestSize::Rows(0),
            TestSize::Rows(10),
        ] {
            assert!(sizes(wrong).unwrap_err().starts_with("`test_split_size`"), "{wrong:?}");
        }
        let whole = mixture(&[1.0]).mix(rows(&[10])).unwrap().train;
        let split = Mixture { test_split_size: Some(TestSize::Rows(4)), ..mixture(&[1.0]) }.mix(rows(&[10])).unwrap();
        assert_eq!([split.train, split.test].concat(), whole);
    }

    #[test]
    fn interleaved_components_keep_their_proportions_from_the_start() {
        let mix = |proportions: &[f64], sizes: &[usize]| {
            let order = MixOrder::Interleaved(proportions.to_vec());
            Mixture { order, ..mixture(&vec![1.0; sizes.len()]) }.mix(rows(sizes)).unwrap()
        };
        let mixed = mix(&[2.0, 1.0], &[6, 2]);
        let turns: Vec<_> = mixed.train.iter().map(|row| row.0).collect();
        // Shares 2/3 and 1/3: lags before each turn (2/3, 1/3), (1/3, 2/3), (1, 0), and so on. It ends when the second
        // component, whose turn it is, has no row left.
        assert_eq!(turns, [0, 1, 0, 0, 1, 0, 0]);
        let taken: Vec<_> = mixed.report.iter().map(|part| (part.taken, part.used)).collect();
        assert_eq!(taken, [(6, 5), (2, 2)]);
        assert_eq!(mix(&[1.0, 1.0], &[2, 0]).train.len(), 1);
    }

    #[test]
    fn mixtures_that_make_no_sense_are_refused() {
        let name = |mixture: Mixture, sizes: &[usize]| match mixture.mix(rows(sizes)).unwrap_err() {
            Error::Domain { name, .. } => name,
            other => panic!("{other}"),
        };
        assert_eq!(name(mixture(&[1.0]), &[1, 1]), "rows");
        assert_eq!(name(mixture(&[-0.5]), &[1]), "weight");
        assert_eq!(name(mixture(&[f64::NAN]), &[1]), "weight");
        assert_eq!(name(mixture(&[f64::INFINITY]), &[1]), "weight");
        let order =
            |proportions: &[f64]| Mixture { order: MixOrder::Interleaved(proportions.to_vec()), ..mixture(&[1.0]) };
        assert_eq!((name(order(&[]), &[1]), name(order(&[0.0]), &[1])), ("order", "order"));
        assert!(serde_json::from_str::<Mixture>(r#"{"datasets": [{"id": "a", "fraction": 0.5}]}"#).is_err());
    }
}
