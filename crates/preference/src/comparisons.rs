//! Judged pairs of the items of a table, and matrices of who beat whom.

use serde::{Deserialize, Serialize};

use crate::{
    Error, Result,
    error::{check_index, check_length, check_record, check_weight},
};

/// What was said about a pair.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Outcome {
    /// The first is better.
    First,
    /// The second is better.
    Second,
    /// Neither is. Models without a probability of ties take it by [`Ties`].
    Tie,
    /// The chance, or the share of votes, in [0, 1] for the first; 1/2 is an undecided vote and no [`Outcome::Tie`].
    Share(f64),
}

impl Outcome {
    /// The share of the first: 1, 0, ½ for a tie, or what was given.
    pub fn share(self) -> f64 {
        match self {
            Self::First => 1.0,
            Self::Second => 0.0,
            Self::Tie => 0.5,
            Self::Share(share) => share,
        }
    }

    /// The outcome with the two items exchanged.
    pub fn swapped(self) -> Self {
        match self {
            Self::First => Self::Second,
            Self::Second => Self::First,
            Self::Tie => Self::Tie,
            Self::Share(share) => Self::Share(1.0 - share),
        }
    }
}

/// What a model without ties makes of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Ties {
    /// Half a win each way.
    #[default]
    Half,
    /// They are left out.
    Drop,
    /// They are an error.
    Refuse,
}

impl Ties {
    /// How many ties of a table become half a win each way.
    pub fn halved(self, matrix: &WinMatrix) -> f64 {
        if self == Self::Half { matrix.num_ties() } else { 0.0 }
    }
}

/// One judged pair.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The first item.
    pub first: usize,
    /// The second item.
    pub second: usize,
    /// What was said.
    pub outcome: Outcome,
    /// How often it was said, or how much it counts, finite and ≥ 0.
    pub weight: f64,
}

impl Comparison {
    /// What [`Comparisons::push_weighted`] says of it, as record `row` of a table of `num_items` items.
    pub(crate) fn check(&self, row: usize, num_items: usize) -> Result<()> {
        let Self { first, second, outcome, weight } = *self;
        check_index(row, "first", first, num_items)?;
        check_index(row, "second", second, num_items)?;
        if first == second {
            return Err(Error::Repeated { row, item: first });
        }
        let share = outcome.share();
        check_record((0.0..=1.0).contains(&share), row, "share", "a share in [0, 1]", share)?;
        check_weight(row, "weight", weight)
    }
}

/// Judged pairs of items `0..num_items`, in the order in which they were judged, with whoever judged them if known.
///
/// # Example
/// ```
/// use accordant_preference::{Comparisons, Outcome};
/// let mut judged = Comparisons::new(2);
/// judged.push(0, 1, Outcome::First)?;
/// judged.push(1, 0, Outcome::Tie)?;
/// assert_eq!(judged.wins().wins(0, 1), 1.0);
/// assert_eq!(judged.wins().ties(0, 1), 1.0);
/// let error = judged.push(0, 2, Outcome::First).unwrap_err();
/// assert_eq!(error.to_string(), "record 2: `second` 2 is not in 0..2");
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Comparisons {
    num_items: usize,
    records: Vec<Comparison>,
    judges: Option<Vec<usize>>,
}

impl Comparisons {
    /// No comparison of `num_items` items yet.
    pub fn new(num_items: usize) -> Self {
        Self { num_items, records: Vec::new(), judges: None }
    }

    /// Comparisons that are there already.
    ///
    /// # Errors
    /// What [`Comparisons::push_weighted`] has to say about one of them.
    pub fn from_records(num_items: usize, records: impl IntoIterator<Item = Comparison>) -> Result<Self> {
        let records = records.into_iter();
        let mut all = Self::new(num_items);
        all.records.reserve(records.size_hint().0);
        for Comparison { first, second, outcome, weight } in records {
            all.push_weighted(first, second, outcome, weight)?;
        }
        Ok(all)
    }

    /// Comparisons that have been checked.
    pub(crate) fn from_checked(num_items: usize, records: Vec<Comparison>) -> Self {
        Self { num_items, records, judges: None }
    }

    /// Adds a comparison of weight 1.
    ///
    /// # Errors
    /// As [`Comparisons::push_weighted`].
    pub fn push(&mut self, first: usize, second: usize, outcome: Outcome) -> Result<()> {
        self.push_weighted(first, second, outcome, 1.0)
    }

    /// Adds `times` wins of one item over another.
    ///
    /// # Errors
    /// As [`Comparisons::push_weighted`].
    pub fn push_win(&mut self, winner: usize, loser: usize, times: f64) -> Result<()> {
        self.push_weighted(winner, loser, Outcome::First, times)
    }

    /// Adds a comparison.
    ///
    /// # Errors
    /// [`Error::Index`] for an item outside of the table, [`Error::Repeated`] for an item compared with itself,
    /// [`Error::Record`] for a share outside of [0, 1] or a weight outside of [0, 1e100].
    pub fn push_weighted(&mut self, first: usize, second: usize, outcome: Outcome, weight: f64) -> Result<()> {
        let record = Comparison { first, second, outcome, weight };
        record.check(self.records.len(), self.num_items)?;
        self.records.push(record);
        // Whoever judged is known of all or of none.
        self.judges = None;
        Ok(())
    }

    /// Says who judged each of the comparisons; a later comparison takes it back.
    ///
    /// # Errors
    /// [`Error::Length`] naming `judges`.
    pub fn with_judges(mut self, judges: Vec<usize>) -> Result<Self> {
        check_length("judges", self.records.len(), judges.len())?;
        self.judges = Some(judges);
        Ok(self)
    }

    /// How many items the table has.
    pub fn num_items(&self) -> usize {
        self.num_items
    }

    /// The comparisons, in order.
    pub fn records(&self) -> &[Comparison] {
        &self.records
    }

    /// Who judged each of them, where that is known.
    pub fn judges(&self) -> Option<&[usize]> {
        self.judges.as_deref()
    }

    /// How many comparisons there are.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The comparisons at these places, with their judges; a bootstrap's or a fold's.
    ///
    /// # Errors
    /// [`Error::Index`] for a place that is not there.
    pub fn select(&self, rows: impl IntoIterator<Item = usize>) -> Result<Self> {
        let mut part = Self::new(self.num_items);
        let mut judges = self.judges.as_ref().map(|_| Vec::new());
        for (at, row) in rows.into_iter().enumerate() {
            check_index(at, "row", row, self.records.len())?;
            part.records.push(self.records[row]);
            if let (Some(judges), Some(all)) = (&mut judges, &self.judges) {
                judges.push(all[row]);
            }
        }
        part.judges = judges;
        Ok(part)
    }

    /// The weighted sums of who beat whom.
    pub fn wins(&self) -> WinMatrix {
        let mut matrix = WinMatrix::new(self.num_items);
        for Comparison { first, second, outcome, weight } in &self.records {
            matrix.add(*first, *second, *outcome, *weight);
        }
        matrix
    }
}

/// Weighted counts of who beat whom and who tied with whom, `num_items × num_items`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WinMatrix {
    num_items: usize,
    wins: Vec<f64>,
    ties: Vec<f64>,
}

impl WinMatrix {
    /// Nobody has met anybody.
    pub fn new(num_items: usize) -> Self {
        let cells = num_items * num_items;
        Self { num_items, wins: vec![0.0; cells], ties: vec![0.0; cells] }
    }

    /// Counts that are there already: `wins[i][j]`, how often `i` beat `j`, and `ties[i][j]` = `ties[j][i]`, how often they
    /// tied. The diagonals are 0.
    ///
    /// # Errors
    /// [`Error::Length`] for a row of another length, [`Error::Record`] for a count outside of [0, 1e100] and for ties
    /// that are not symmetric, [`Error::Repeated`] for an item that met itself.
    pub fn from_rows(wins: &[Vec<f64>], ties: &[Vec<f64>]) -> Result<Self> {
        let num_items = wins.len();
        check_length("ties", num_items, ties.len())?;
        let mut matrix = Self::new(num_items);
        for i in 0..num_items {
            check_length("wins", num_items, wins[i].len())?;
            check_length("ties", num_items, ties[i].len())?;
        }
        for i in 0..num_items {
            for j in 0..num_items {
                let (win, tie) = (wins[i][j], ties[i][j]);
                check_weight(i, "wins", win)?;
                check_weight(i, "ties", tie)?;
                check_record(tie == ties[j][i], i, "ties", "a symmetric matrix", tie)?;
                if i == j && (win > 0.0 || tie > 0.0) {
                    return Err(Error::Repeated { row: i, item: i });
                }
                matrix.wins[i * num_items + j] = win;
                matrix.ties[i * num_items + j] = tie;
            }
        }
        Ok(matrix)
    }

    /// Both items are in the table and differ, the weight is ≥ 0: the callers have checked it.
    pub(crate) fn add(&mut self, first: usize, second: usize, outcome: Outcome, weight: f64) {
        let (ij, ji) = (first * self.num_items + second, second * self.num_items + first);
        match outcome {
            Outcome::First => self.wins[ij] += weight,
            Outcome::Second => self.wins[ji] += weight,
            Outcome::Tie => {
                self.ties[ij] += weight;
                self.ties[ji] += weight;
            }
            Outcome::Share(share) => {
                self.wins[ij] += weight * share;
                self.wins[ji] += weight * (1.0 - share);
            }
        }
    }

    /// How many items there are.
    pub fn num_items(&self) -> usize {
        self.num_items
    }

    /// How often item `i` beat item `j`.
    ///
    /// # Panics
    /// When either is not in the table, as indexing does.
    pub fn wins(&self, i: usize, j: usize) -> f64 {
        self.wins[i * self.num_items..][..self.num_items][j]
    }

    /// How often items `i` and `j` tied.
    ///
    /// # Panics
    /// When either is not in the table, as indexing does.
    pub fn ties(&self, i: usize, j: usize) -> f64 {
        self.ties[i * self.num_items..][..self.num_items][j]
    }

    /// How often item `i` beat each item.
    ///
    /// # Panics
    /// When it is not in the table, as indexing does.
    pub fn win_row(&self, i: usize) -> &[f64] {
        &self.wins[i * self.num_items..][..self.num_items]
    }

    /// How often item `i` tied with each item.
    ///
    /// # Panics
    /// When it is not in the table, as indexing does.
    pub fn tie_row(&self, i: usize) -> &[f64] {
        &self.ties[i * self.num_items..][..self.num_items]
    }

    /// The same matches with every result turned round: who lost has won.
    pub fn reversed(&self) -> Self {
        let n = self.num_items;
        let wins = (0..n).flat_map(|i| (0..n).map(move |j| self.wins(j, i))).collect();
        Self { num_items: n, wins, ties: self.ties.clone() }
    }

    /// Items that met nobody: nothing is known of them.
    pub fn unobserved(&self) -> Vec<usize> {
        let met = |i: usize, j: usize| self.wins(i, j) + self.wins(j, i) + self.ties(i, j) > 0.0;
        (0..self.num_items).filter(|&i| !(0..self.num_items).any(|j| met(i, j))).collect()
    }

    /// The matches among some of the items, renumbered in the order given.
    ///
    /// # Errors
    /// [`Error::Index`] for an item outside of the table, [`Error::Repeated`] for one that is named twice.
    pub fn among(&self, items: &[usize]) -> Result<Self> {
        let mut seen = vec![false; self.num_items];
        for (row, &item) in items.iter().enumerate() {
            check_index(row, "items", item, self.num_items)?;
            if std::mem::replace(&mut seen[item], true) {
                return Err(Error::Repeated { row, item });
            }
        }
        let of = |counts: &[f64]| {
            let cell = |i: usize, j: usize| counts[i * self.num_items + j];
            items.iter().flat_map(|&i| items.iter().map(move |&j| cell(i, j))).collect()
        };
        Ok(Self { num_items: items.len(), wins: of(&self.wins), ties: of(&self.ties) })
    }

    /// How many ties there are, each counted once.
    pub fn num_ties(&self) -> f64 {
        self.ties.iter().sum::<f64>() / 2.0
    }

    /// The wins with ties made into wins as `ties` says, for models that know no ties.
    ///
    /// # Errors
    /// [`Error::Ties`] naming `model` when there are ties and they are refused.
    pub fn decided(&self, ties: Ties, model: &'static str) -> Result<Self> {
        let none = vec![0.0; self.ties.len()];
        let wins = match ties {
            Ties::Half => self.wins.iter().zip(&self.ties).map(|(win, tie)| win + tie / 2.0).collect(),
            Ties::Drop => self.wins.clone(),
            Ties::Refuse if self.num_ties() > 0.0 => {
                return Err(Error::Ties { model, count: self.num_ties().ceil() as usize });
            }
            Ties::Refuse => self.wins.clone(),
        };
        Ok(Self { num_items: self.num_items, wins, ties: none })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_split_and_a_tie_is_counted_in_both_cells() {
        let mut judged = Comparisons::new(3);
        judged.push_weighted(0, 1, Outcome::Share(0.75), 4.0).unwrap();
        judged.push_weighted(1, 2, Outcome::Tie, 2.0).unwrap();
        judged.push(2, 0, Outcome::Second).unwrap();
        let matrix = judged.wins();
        assert_eq!((matrix.wins(0, 1), matrix.wins(1, 0)), (3.0, 1.0));
        assert_eq!((matrix.ties(1, 2), matrix.ties(2, 1), matrix.num_ties()), (2.0, 2.0, 2.0));
        assert_eq!((matrix.wins(0, 2), matrix.wins(2, 0)), (1.0, 0.0));
        let half = matrix.decided(Ties::Half, "test").unwrap();
        assert_eq!((half.wins(1, 2), half.wins(2, 1), half.num_ties()), (1.0, 1.0, 0.0));
        assert_eq!(matrix.decided(Ties::Drop, "test").unwrap().wins(1, 2), 0.0);
        let error = matrix.decided(Ties::Refuse, "test").unwrap_err();
        assert!(matches!(error, Error::Ties { model: "test", count: 2 }), "{error}");
        half.decided(Ties::Refuse, "test").unwrap();
    }

    #[test]
    fn what_makes_no_sense_is_an_error_that_names_the_record() {
        let mut judged = Comparisons::new(2);
        judged.push(0, 1, Outcome::First).unwrap();
        let text = |result: Result<()>| result.unwrap_err().to_string();
        assert_eq!(text(judged.push(2, 1, Outcome::First)), "record 1: `first` 2 is not in 0..2");
        assert_eq!(text(judged.push(1, 1, Outcome::First)), "record 1: item 1 twice");
        for share in [-0.1, 1.1, f64::NAN] {
            let error = text(judged.push(0, 1, Outcome::Share(share)));
            assert_eq!(error, format!("record 1: `share`: expected a share in [0, 1], got {share}"));
        }
        judged.clone().push_win(0, 1, 1e100).unwrap();
        for weight in [-1.0, 1.01e100, f64::NAN, f64::INFINITY] {
            assert!(text(judged.push_win(0, 1, weight)).contains("`weight`: expected a weight in [0, 1e100]"));
        }
        assert_eq!(judged.len(), 1, "nothing was added");
        assert!(matches!(judged.clone().with_judges(vec![0, 1]), Err(Error::Length { name: "judges", .. })));
    }

    #[test]
    fn a_selection_keeps_judges_and_a_swap_is_its_own_inverse() {
        let mut judged = Comparisons::new(3);
        for (a, b) in [(0, 1), (1, 2), (2, 0)] {
            judged.push(a, b, Outcome::First).unwrap();
        }
        let judged = judged.with_judges(vec![5, 6, 7]).unwrap();
        let part = judged.select([2, 2, 0]).unwrap();
        assert_eq!(part.judges(), Some(&[7, 7, 5][..]));
        assert_eq!(part.wins().wins(2, 0), 2.0);
        assert!(matches!(judged.select([3]), Err(Error::Index { name: "row", index: 3, len: 3, .. })));
        for outcome in [Outcome::First, Outcome::Second, Outcome::Tie, Outcome::Share(0.25)] {
            assert_eq!(outcome.swapped().swapped(), outcome);
            assert_eq!(outcome.swapped().share(), 1.0 - outcome.share());
        }
    }

    #[test]
    fn a_part_of_a_table_and_a_table_turned_round() {
        let mut judged = Comparisons::new(4);
        judged.push_win(0, 1, 2.0).unwrap();
        judged.push_win(2, 0, 3.0).unwrap();
        judged.push(1, 2, Outcome::Tie).unwrap();
        let matrix = judged.wins();
        assert_eq!(matrix.unobserved(), [3]);
        assert_eq!((matrix.win_row(0), matrix.tie_row(1)), (&[0.0, 2.0, 0.0, 0.0][..], &[0.0, 0.0, 1.0, 0.0][..]));
        let reversed = matrix.reversed();
        assert_eq!((reversed.wins(1, 0), reversed.wins(0, 2), reversed.wins(0, 1)), (2.0, 3.0, 0.0));
        assert_eq!(reversed.ties(2, 1), 1.0);
        assert_eq!(reversed.reversed(), matrix);
        let part = matrix.among(&[2, 0]).unwrap();
        assert_eq!((part.num_items(), part.wins(0, 1), part.wins(1, 0), part.num_ties()), (2, 3.0, 0.0, 0.0));
        assert!(matches!(matrix.among(&[4]), Err(Error::Index { name: "items", index: 4, len: 4, .. })));
        assert!(matches!(matrix.among(&[1, 1]), Err(Error::Repeated { row: 1, item: 1 })));
    }

    #[test]
    fn ties_become_halves_where_that_is_asked_for() {
        let mut judged = Comparisons::new(2);
        judged.push_weighted(0, 1, Outcome::Tie, 3.0).unwrap();
        let halved = [Ties::Half, Ties::Drop, Ties::Refuse].map(|ties| ties.halved(&judged.wins()));
        assert_eq!(halved, [3.0, 0.0, 0.0]);
    }

    #[test]
    fn records_that_are_there_already_are_taken_in_their_order() {
        let records = [(2, 0, 1.5), (0, 1, 0.0), (1, 2, 2.0)];
        let records =
            records.map(|(first, second, weight)| Comparison { first, second, outcome: Outcome::First, weight });
        let judged = Comparisons::from_records(3, records).unwrap();
        assert_eq!((judged.num_items(), judged.len(), judged.is_empty()), (3, 3, false));
        assert_eq!(judged.records(), records);
        assert!(Comparisons::new(3).is_empty());
        assert!(matches!(Comparisons::from_records(2, records), Err(Error::Index { row: 0, name: "first", .. })));
    }

    #[test]
    fn an_item_is_observed_whoever_won_and_if_nobody_did() {
        let unobserved = |outcome| {
            let mut judged = Comparisons::new(4);
            judged.push(1, 2, outcome).unwrap();
            judged.wins().unobserved()
        };
        for outcome in [Outcome::First, Outcome::Second, Outcome::Tie, Outcome::Share(0.5)] {
            assert_eq!(unobserved(outcome), [0, 3], "{outcome:?}");
        }
        // As many ties as losses are no nothing.
        let mut judged = Comparisons::new(2);
        judged.push(0, 1, Outcome::Tie).unwrap();
        judged.push(0, 1, Outcome::Second).unwrap();
        judged.push(0, 1, Outcome::First).unwrap();
        assert_eq!(judged.wins().unobserved(), [0; 0]);
    }

    #[test]
    fn every_cell_of_a_matrix_is_where_it_was() {
        let wins = vec![vec![0.0, 1.0, 2.0], vec![3.0, 0.0, 4.0], vec![5.0, 6.0, 0.0]];
        let ties = vec![vec![0.0, 7.0, 8.0], vec![7.0, 0.0, 9.0], vec![8.0, 9.0, 0.0]];
        let matrix = WinMatrix::from_rows(&wins, &ties).unwrap();
        for i in 0..3 {
            assert_eq!((matrix.win_row(i), matrix.tie_row(i)), (&wins[i][..], &ties[i][..]));
            for j in 0..3 {
                assert_eq!((matrix.wins(i, j), matrix.ties(i, j)), (wins[i][j], ties[i][j]));
            }
        }
        for bad in [-1.0, 1.01e100, f64::INFINITY] {
            let cells = vec![vec![0.0, bad], vec![bad, 0.0]];
            let zeros = vec![vec![0.0; 2]; 2];
            let error = WinMatrix::from_rows(&zeros, &cells).unwrap_err().to_string();
            assert!(error.starts_with("record 0: `ties`: expected a weight in [0, 1e100]"), "{error}");
            assert!(WinMatrix::from_rows(&cells, &zeros).is_err());
        }
    }

    #[test]
    fn matrices_are_checked() {
        let zeros = || vec![vec![0.0; 2]; 2];
        let wins = vec![vec![0.0, 2.0], vec![1.0, 0.0]];
        assert_eq!(WinMatrix::from_rows(&wins, &zeros()).unwrap().wins(0, 1), 2.0);
        assert!(matches!(WinMatrix::from_rows(&wins, &[vec![0.0]]), Err(Error::Length { name: "ties", .. })));
        let with = |i: usize, j: usize, value: f64| {
            let mut rows = zeros();
            rows[i][j] = value;
            rows
        };
        assert!(matches!(WinMatrix::from_rows(&with(1, 1, 1.0), &zeros()), Err(Error::Repeated { item: 1, .. })));
        assert!(matches!(WinMatrix::from_rows(&zeros(), &with(1, 1, 1.0)), Err(Error::Repeated { item: 1, .. })));
        assert!(matches!(WinMatrix::from_rows(&zeros(), &with(0, 1, 1.0)), Err(Error::Record { name: "ties", .. })));
        for bad in [-1.0, f64::NAN] {
            assert!(matches!(
                WinMatrix::from_rows(&with(0, 1, bad), &zeros()),
                Err(Error::Record { name: "wins", .. })
            ));
        }
    }
}
