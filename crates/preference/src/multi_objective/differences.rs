//! Judged pairs as sparse differences of features: what the first side has minus what the second has.

use serde::{Deserialize, Serialize};

use crate::{
    Result,
    error::{check_index, check_length, check_record, check_weight},
};

/// One row of features for each judged pair, most of them 0, with what was said about the pair.
///
/// A pair and the same pair with its sides exchanged (the row times −1, the share from 1) say the same.
///
/// # Example
/// ```
/// use accordant_preference::multi_objective::Differences;
/// let mut pairs = Differences::new(1000);
/// pairs.push(&[(3, 1.0), (700, -2.0)], 1.0, 1.0)?; // the first side won
/// let mut reward = vec![0.0; 1000];
/// (reward[3], reward[700]) = (5.0, 1.0);
/// assert_eq!(pairs.leads(&reward)?, [3.0]);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Differences {
    dim: usize,
    /// Where each row ends among the entries.
    ends: Vec<usize>,
    entries: Vec<(usize, f64)>,
    shares: Vec<f64>,
    weights: Vec<f64>,
}

impl Differences {
    /// No pair yet, and `dim` features.
    pub fn new(dim: usize) -> Self {
        Self { dim, ends: Vec::new(), entries: Vec::new(), shares: Vec::new(), weights: Vec::new() }
    }

    /// Adds a pair: the features that differ, each with what the first side has more of it (of a feature that comes twice,
    /// the sum), the share of votes for the first side in [0, 1], and the pair's weight, ≥ 0.
    ///
    /// # Errors
    /// [`Index`](crate::Error::Index) naming `feature`, [`Record`](crate::Error::Record) naming `difference`, `share` or
    /// `weight`.
    pub fn push(&mut self, entries: &[(usize, f64)], share: f64, weight: f64) -> Result<()> {
        let row = self.len();
        for &(feature, difference) in entries {
            check_index(row, "feature", feature, self.dim)?;
            check_record(difference.is_finite(), row, "difference", "finite", difference)?;
        }
        check_record((0.0..=1.0).contains(&share), row, "share", "in [0, 1]", share)?;
        check_weight(row, "weight", weight)?;
        self.entries.extend(entries.iter().filter(|(_, difference)| *difference != 0.0));
        self.ends.push(self.entries.len());
        self.shares.push(share);
        self.weights.push(weight);
        Ok(())
    }

    /// Adds a pair by the features of its two sides, `[dim]` each.
    ///
    /// # Errors
    /// [`Length`](crate::Error::Length) naming `features`; as [`Differences::push`].
    pub fn push_sides(&mut self, first: &[f64], second: &[f64], share: f64, weight: f64) -> Result<()> {
        check_length("features", self.dim, first.len())?;
        check_length("features", self.dim, second.len())?;
        let entries: Vec<(usize, f64)> = first.iter().zip(second).map(|(a, b)| a - b).enumerate().collect();
        self.push(&entries, share, weight)
    }

    /// How many features there are.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// How many pairs there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is no pair.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The share of votes for the first side of each pair.
    pub fn shares(&self) -> &[f64] {
        &self.shares
    }

    /// The weight of each pair.
    pub fn weights(&self) -> &[f64] {
        &self.weights
    }

    /// The features that differ in pair `row`, which exists.
    pub(super) fn row(&self, row: usize) -> &[(usize, f64)] {
        let start = row.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.entries[start..self.ends[row]]
    }

    /// By how much a reward linear in the features puts the first side of each pair ahead, `θ · x`.
    ///
    /// # Errors
    /// [`Length`](crate::Error::Length) naming `coefficients`.
    pub fn leads(&self, coefficients: &[f64]) -> Result<Vec<f64>> {
        check_length("coefficients", self.dim, coefficients.len())?;
        let lead = |row| self.row(row).iter().map(|&(feature, difference)| difference * coefficients[feature]).sum();
        Ok((0..self.len()).map(lead).collect())
    }

    /// Of each pair, whether a lead has the sign of what was said: 1, 0, or ½ when either is in the middle.
    ///
    /// # Errors
    /// [`Length`](crate::Error::Length) naming `leads`.
    pub fn hits(&self, leads: &[f64]) -> Result<Vec<f64>> {
        check_length("leads", self.len(), leads.len())?;
        let hit = |(lead, share): (&f64, &f64)| {
            let both = lead * (share - 0.5);
            f64::from(u8::from(both > 0.0)) + 0.5 * f64::from(u8::from(both == 0.0))
        };
        Ok(leads.iter().zip(&self.shares).map(hit).collect())
    }

    /// The pairs numbered `rows`, in this order.
    ///
    /// # Errors
    /// [`Index`](crate::Error::Index) naming `row`.
    pub fn select(&self, rows: &[usize]) -> Result<Self> {
        let mut picked = Self::new(self.dim);
        for (place, &row) in rows.iter().enumerate() {
            check_index(place, "row", row, self.len())?;
            picked.push(self.row(row), self.shares[row], self.weights[row])?;
        }
        Ok(picked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs() -> Differences {
        let mut pairs = Differences::new(3);
        pairs.push(&[(0, 1.0), (2, -2.0), (0, 0.5)], 1.0, 1.0).unwrap();
        pairs.push(&[], 0.0, 2.0).unwrap();
        pairs.push_sides(&[1.0, 2.0, 3.0], &[1.0, 5.0, 3.0], 0.25, 0.5).unwrap();
        pairs
    }

    #[test]
    fn leads_are_sums_over_the_features_that_differ() {
        let pairs = pairs();
        assert_eq!((pairs.dim(), pairs.len(), pairs.is_empty()), (3, 3, false));
        // 1.5 · 2 − 2 · 4; nothing; −3 · 3
        assert_eq!(pairs.leads(&[2.0, 3.0, 4.0]).unwrap(), [-5.0, 0.0, -9.0]);
        assert_eq!(pairs.row(2), [(1, -3.0)], "what does not differ is not kept");
        assert_eq!((pairs.shares(), pairs.weights()), (&[1.0, 0.0, 0.25][..], &[1.0, 2.0, 0.5][..]));
    }

    #[test]
    fn a_hit_has_the_sign_of_the_majority_and_the_middle_counts_half() {
        let mut pairs = Differences::new(0);
        for share in [1.0, 0.6, 0.4, 0.0, 0.5, 0.9] {
            pairs.push(&[], share, 1.0).unwrap();
        }
        assert_eq!(pairs.hits(&[0.1, -0.1, -2.0, 3.0, 7.0, 0.0]).unwrap(), [1.0, 0.0, 1.0, 0.0, 0.5, 0.5]);
    }

    #[test]
    fn a_selection_keeps_rows_shares_and_weights_together() {
        let picked = pairs().select(&[2, 0, 2]).unwrap();
        assert_eq!(picked.leads(&[2.0, 3.0, 4.0]).unwrap(), [-9.0, -5.0, -9.0]);
        assert_eq!((picked.shares(), picked.weights()), (&[0.25, 1.0, 0.25][..], &[0.5, 1.0, 0.5][..]));
        assert!(pairs().select(&[]).unwrap().is_empty());
    }

    #[test]
    fn what_makes_no_sense_is_named_with_its_record() {
        let mut pairs = pairs();
        let mut text =
            |entries: &[(usize, f64)], share, weight| pairs.push(entries, share, weight).unwrap_err().to_string();
        assert_eq!(text(&[(3, 1.0)], 1.0, 1.0), "record 3: `feature` 3 is not in 0..3");
        assert!(text(&[(0, f64::NAN)], 1.0, 1.0).starts_with("record 3: `difference`: expected finite"));
        for share in [-0.1, 1.1, f64::NAN] {
            assert!(text(&[], share, 1.0).starts_with("record 3: `share`: expected in [0, 1]"));
        }
        for weight in [-0.1, 1.01e100, f64::INFINITY, f64::NAN] {
            assert!(text(&[], 1.0, weight).starts_with("record 3: `weight`: expected a weight in [0, 1e100]"));
        }
        assert_eq!(pairs.len(), 3, "what is refused is not kept");
        let text = |error: crate::Error| error.to_string();
        assert_eq!(text(pairs.leads(&[0.0]).unwrap_err()), "`coefficients`: expected 3 entries, got 1");
        assert_eq!(text(pairs.hits(&[0.0]).unwrap_err()), "`leads`: expected 3 entries, got 1");
        assert_eq!(text(pairs.select(&[0, 9]).unwrap_err()), "record 1: `row` 9 is not in 0..3");
        for (first, second) in [(&[0.0; 2][..], &[0.0; 3][..]), (&[0.0; 3], &[0.0; 2])] {
            let error = pairs.push_sides(first, second, 1.0, 1.0).unwrap_err();
            assert_eq!(text(error), "`features`: expected 3 entries, got 2");
        }
    }
}
