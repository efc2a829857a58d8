//! A matrix of preferences: how often each item is preferred to each other.

use accordant_ops::host::logistic;
use serde::{Deserialize, Serialize};

use crate::{
    Comparisons, Error, Result, WinMatrix,
    comparisons::Ties,
    error::{check_index, check_length, check_record},
};

/// Chances `P_ij` that item `i` is preferred to item `j`, with `P_ij + P_ji = 1` and `P_ii = ½`.
///
/// Kept as margins `P_ij − ½`, of which each is exactly the opposite of that of the exchanged pair: who has a majority is
/// never a matter of rounding.
///
/// # Example
/// ```
/// use accordant_preference::general::PreferenceMatrix;
/// let matrix = PreferenceMatrix::from_rows(&[vec![0.5, 0.75], vec![0.25, 0.5]])?;
/// assert_eq!((matrix.chance(0, 1), matrix.margin(1, 0)), (0.75, -0.25));
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PreferenceMatrix {
    num_items: usize,
    margins: Vec<f64>,
}

/// How far `P_ij + P_ji` may be from 1.
const SUM_TOLERANCE: f64 = 1e-9;

impl PreferenceMatrix {
    /// Margins from a function of `i < j`, in [-½, ½]: the caller has checked.
    fn of(num_items: usize, mut margin: impl FnMut(usize, usize) -> f64) -> Self {
        let mut margins = vec![0.0; num_items * num_items];
        for i in 0..num_items {
            for j in i + 1..num_items {
                let margin = margin(i, j);
                margins[i * num_items + j] = margin;
                margins[j * num_items + i] = -margin;
            }
        }
        Self { num_items, margins }
    }

    /// Chances that are there already, a row for each item.
    ///
    /// # Errors
    /// [`Error::Empty`] without an item, [`Error::Length`] for a row of another length, [`Error::Record`] for what is no
    /// chance, and for chances of the two orders of a pair that do not add up to 1 within 1e-9.
    pub fn from_rows(rows: &[Vec<f64>]) -> Result<Self> {
        check_square("preferences", rows)?;
        for (i, row) in rows.iter().enumerate() {
            for (j, chance) in row.iter().enumerate() {
                check_record((0.0..=1.0).contains(chance), i, "preferences", "a chance in [0, 1]", *chance)?;
                let sum = chance + rows[j][i];
                check_record((sum - 1.0).abs() <= SUM_TOLERANCE, i, "preferences", "P[i][j] + P[j][i] = 1", sum)?;
            }
        }
        Ok(Self::of(rows.len(), |i, j| (rows[i][j] - rows[j][i]) / 2.0))
    }

    /// Chances ½ + margin.
    ///
    /// # Errors
    /// [`Error::Empty`] without an item, [`Error::Length`] for a row of another length, [`Error::Record`] for a margin outside
    /// of [-½, ½] and for margins that are not opposite within 1e-9.
    pub fn from_margins(rows: &[Vec<f64>]) -> Result<Self> {
        check_skew("margins", rows)?;
        for (i, row) in rows.iter().enumerate() {
            for margin in row {
                check_record((-0.5..=0.5).contains(margin), i, "margins", "a margin in [-0.5, 0.5]", *margin)?;
            }
        }
        Ok(Self::of(rows.len(), |i, j| rows[i][j]))
    }

    /// Chances `σ(lead)`: what a general preference model says.
    ///
    /// # Errors
    /// [`Error::Empty`] without an item, [`Error::Length`] for a row of another length, [`Error::Record`] for leads that are not
    /// finite, or not opposite within 1e-9.
    pub fn from_leads(rows: &[Vec<f64>]) -> Result<Self> {
        check_skew("leads", rows)?;
        // Of both orders: σ(x) − ½ loses its digits where σ(x) is close to 1.
        Ok(Self::of(rows.len(), |i, j| (logistic(rows[i][j]) - logistic(-rows[i][j])) / 2.0))
    }

    /// Shares of the wins, ties being half a win each way. Items that never met are even.
    ///
    /// # Errors
    /// [`Error::Empty`] without an item.
    pub fn from_wins(wins: &WinMatrix) -> Result<Self> {
        if wins.num_items() == 0 {
            return Err(Error::Empty { name: "wins", reason: "there is no item" });
        }
        let decided = wins.decided(Ties::Half, "preference_matrix")?;
        let share = |i: usize, j: usize| match decided.wins(i, j) + decided.wins(j, i) {
            0.0 => 0.0,
            met => (decided.wins(i, j) - decided.wins(j, i)) / (2.0 * met),
        };
        Ok(Self::of(wins.num_items(), share))
    }

    /// Shares of the voters who rank `i` above `j`, from rankings of all items, best first.
    ///
    /// # Errors
    /// [`Error::Empty`] without an item or a ranking, [`Error::Length`] for a ranking of other than all items,
    /// [`Error::Index`] for an item that is not in the table, [`Error::Repeated`] for one that is ranked twice.
    pub fn from_rankings(num_items: usize, rankings: &[Vec<usize>]) -> Result<Self> {
        if num_items == 0 || rankings.is_empty() {
            return Err(Error::Empty { name: "rankings", reason: "there is no item, or nobody has ranked" });
        }
        let mut judged = Comparisons::new(num_items);
        for (row, ranking) in rankings.iter().enumerate() {
            check_length("rankings", num_items, ranking.len())?;
            let mut seen = vec![false; num_items];
            for &item in ranking {
                check_index(row, "rankings", item, num_items)?;
                if std::mem::replace(&mut seen[item], true) {
                    return Err(Error::Repeated { row, item });
                }
            }
            for (place, &above) in ranking.iter().enumerate() {
                for &below in &ranking[place + 1..] {
                    judged.push_win(above, below, 1.0)?;
                }
            }
        }
        Self::from_wins(&judged.wins())
    }

    /// How many items there are, at least one.
    pub fn num_items(&self) -> usize {
        self.num_items
    }

    /// The chance that item `i` is preferred to item `j`.
    ///
    /// # Panics
    /// When either is not in the table, as indexing does.
    pub fn chance(&self, i: usize, j: usize) -> f64 {
        0.5 + self.margin(i, j)
    }

    /// That chance minus ½; exactly the opposite of the exchanged pair's.
    ///
    /// # Panics
    /// When either is not in the table, as indexing does.
    pub fn margin(&self, i: usize, j: usize) -> f64 {
        self.row(i)[j]
    }

    /// The margins of item `i` over each item.
    ///
    /// # Panics
    /// When it is not in the table, as indexing does.
    pub fn row(&self, i: usize) -> &[f64] {
        &self.margins[i * self.num_items..][..self.num_items]
    }

    /// Whether a majority prefers item `i` to item `j`.
    ///
    /// # Panics
    /// When either is not in the table, as indexing does.
    pub fn beats(&self, i: usize, j: usize) -> bool {
        self.margin(i, j) > 0.0
    }

    /// What each item gains over ½ against an opponent drawn from `chances`: `(P p)_i − ½`.
    ///
    /// # Errors
    /// [`Error::Length`] naming `chances`.
    pub fn gains(&self, chances: &[f64]) -> Result<Vec<f64>> {
        check_length("chances", self.num_items, chances.len())?;
        let gain = |i: usize| self.row(i).iter().zip(chances).map(|(margin, chance)| margin * chance).sum();
        Ok((0..self.num_items).map(gain).collect())
    }

    /// Log-odds, a row for each item.
    ///
    /// # Errors
    /// [`Error::Record`] for a pair that one side always wins: its log-odds are infinite.
    pub fn leads(&self) -> Result<Vec<Vec<f64>>> {
        let lead = |i: usize, j: usize| {
            let margin = self.margin(i, j);
            check_record(margin.abs() < 0.5, i, "preferences", "a chance in (0, 1)", 0.5 + margin)?;
            // ln((½ + m) / (½ − m))
            Ok(2.0 * (2.0 * margin).atanh())
        };
        (0..self.num_items).map(|i| (0..self.num_items).map(|j| lead(i, j)).collect()).collect()
    }

    /// All margins times a factor that leaves them in [-½, ½].
    pub(super) fn scaled(&self, factor: f64) -> Self {
        Self { num_items: self.num_items, margins: self.margins.iter().map(|margin| margin * factor).collect() }
    }

    /// The matrix of these items alone, in this order.
    ///
    /// # Errors
    /// [`Error::Empty`] without an item, [`Error::Index`] for one that is not in the table.
    pub fn select(&self, items: &[usize]) -> Result<Self> {
        if items.is_empty() {
            return Err(Error::Empty { name: "items", reason: "none is selected" });
        }
        items.iter().enumerate().try_for_each(|(at, &item)| check_index(at, "item", item, self.num_items))?;
        Ok(Self::of(items.len(), |i, j| self.margin(items[i], items[j])))
    }
}

/// Checks that there is a row for each item, of one entry for each item.
pub(super) fn check_square(name: &'static str, rows: &[Vec<f64>]) -> Result<()> {
    if rows.is_empty() {
        return Err(Error::Empty { name, reason: "there is no item" });
    }
    rows.iter().try_for_each(|row| check_length(name, rows.len(), row.len()))
}

/// Checks that a matrix is square, finite and the opposite of its transpose, up to rounding.
pub(super) fn check_skew(name: &'static str, rows: &[Vec<f64>]) -> Result<()> {
    check_square(name, rows)?;
    let largest = rows.iter().flatten().fold(1.0, |largest: f64, x| largest.max(x.abs()));
    for (i, row) in rows.iter().enumerate() {
        for (j, value) in row.iter().enumerate() {
            check_record(value.is_finite(), i, name, "a finite number", *value)?;
            let sum = value + rows[j][i];
            check_record(
                sum.abs() <= SUM_TOLERANCE * largest,
                i,
                name,
                "the opposite of the exchanged pair's",
                *value,
            )?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Outcome;

    fn rows(rows: &[&[f64]]) -> Vec<Vec<f64>> {
        rows.iter().map(|row| row.to_vec()).collect()
    }

    #[test]
    fn scaling_scales_every_margin() {
        let matrix = PreferenceMatrix::from_margins(&rows(&[&[0.0, 0.25], &[-0.25, 0.0]])).unwrap();
        let half = PreferenceMatrix::from_margins(&rows(&[&[0.0, 0.125], &[-0.125, 0.0]])).unwrap();
        assert_eq!(matrix.scaled(0.5), half);
    }

    #[test]
    fn all_ways_to_one_matrix() {
        let expected = PreferenceMatrix::from_rows(&rows(&[&[0.5, 0.75], &[0.25, 0.5]])).unwrap();
        let margins = PreferenceMatrix::from_margins(&rows(&[&[0.0, 0.25], &[-0.25, 0.0]])).unwrap();
        assert_eq!(margins, expected);
        let lead = 3f64.ln();
        let leads = PreferenceMatrix::from_leads(&rows(&[&[0.0, lead], &[-lead, 0.0]])).unwrap();
        assert!((leads.chance(0, 1) - 0.75).abs() < 1e-15);
        let back = leads.leads().unwrap();
        assert!((back[0][1] - lead).abs() < 1e-14 && back[1][0] == -back[0][1] && back[0][0] == 0.0);
        let mut judged = Comparisons::new(2);
        judged.push_win(0, 1, 2.0).unwrap();
        judged.push_weighted(0, 1, Outcome::Tie, 2.0).unwrap();
        assert_eq!(PreferenceMatrix::from_wins(&judged.wins()).unwrap(), expected);
        let rankings = [vec![0, 1], vec![0, 1], vec![1, 0], vec![0, 1]];
        assert_eq!(PreferenceMatrix::from_rankings(2, &rankings).unwrap(), expected);
    }

    #[test]
    fn items_that_never_met_are_even() {
        let mut judged = Comparisons::new(3);
        judged.push_win(0, 1, 1.0).unwrap();
        let matrix = PreferenceMatrix::from_wins(&judged.wins()).unwrap();
        assert_eq!((matrix.chance(0, 1), matrix.chance(1, 0)), (1.0, 0.0));
        assert_eq!((matrix.chance(0, 2), matrix.chance(2, 2)), (0.5, 0.5));
        assert!(matrix.beats(0, 1) && !matrix.beats(1, 0) && !matrix.beats(0, 2) && !matrix.beats(2, 0));
    }

    #[test]
    fn rounding_makes_no_majority() {
        // 0.1 + 0.9 and 0.3 + 0.7 with errors in the last digits
        let matrix = PreferenceMatrix::from_rows(&rows(&[&[0.5, 0.1 + 1e-12], &[0.9, 0.5]])).unwrap();
        assert_eq!(matrix.margin(0, 1), -matrix.margin(1, 0));
        let even = PreferenceMatrix::from_rows(&rows(&[&[0.5, 0.5 + 1e-12], &[0.5 + 1e-12, 0.5]])).unwrap();
        assert!(!even.beats(0, 1) && !even.beats(1, 0));
    }

    #[test]
    fn a_selection_and_gains_by_hand() {
        let m = rows(&[&[0.0, 0.2, -0.3], &[-0.2, 0.0, 0.1], &[0.3, -0.1, 0.0]]);
        let matrix = PreferenceMatrix::from_margins(&m).unwrap();
        let part = matrix.select(&[2, 0]).unwrap();
        assert_eq!((part.num_items(), part.margin(0, 1)), (2, 0.3));
        // 0.2·½ − 0.3·¼, −0.2·¼ + 0.1·¼, 0.3·¼ − 0.1·½
        let gains = matrix.gains(&[0.25, 0.5, 0.25]).unwrap();
        assert!(gains.iter().zip([0.025, -0.025, 0.025]).all(|(a, b)| (a - b).abs() < 1e-15), "{gains:?}");
        assert!(matches!(matrix.gains(&[1.0]), Err(Error::Length { name: "chances", expected: 3, got: 1 })));
        assert!(matches!(matrix.select(&[]), Err(Error::Empty { name: "items", .. })));
        assert!(matches!(matrix.select(&[0, 3]), Err(Error::Index { row: 1, name: "item", index: 3, len: 3 })));
    }

    #[test]
    fn what_is_no_matrix_of_preferences_is_an_error() {
        let text = |result: Result<PreferenceMatrix>| result.unwrap_err().to_string();
        assert!(text(PreferenceMatrix::from_rows(&[])).starts_with("`preferences`: nothing"));
        assert!(
            text(PreferenceMatrix::from_rows(&rows(&[&[0.5, 0.5], &[0.5]]))).starts_with("`preferences`: expected 2")
        );
        assert!(text(PreferenceMatrix::from_rows(&rows(&[&[0.5, 1.1], &[-0.1, 0.5]]))).contains("a chance in [0, 1]"));
        assert!(text(PreferenceMatrix::from_rows(&rows(&[&[0.5, f64::NAN], &[0.5, 0.5]]))).contains("a chance"));
        assert!(text(PreferenceMatrix::from_rows(&rows(&[&[0.5, 0.6], &[0.5, 0.5]]))).contains("= 1, got 1.1"));
        assert!(text(PreferenceMatrix::from_rows(&rows(&[&[0.6]]))).contains("= 1, got 1.2"));
        assert!(text(PreferenceMatrix::from_margins(&rows(&[&[0.0, 0.6], &[-0.6, 0.0]]))).contains("in [-0.5, 0.5]"));
        assert!(text(PreferenceMatrix::from_margins(&rows(&[&[0.0, 0.2], &[0.2, 0.0]]))).contains("the opposite"));
        assert!(text(PreferenceMatrix::from_leads(&rows(&[&[0.0, 1.0], &[1.0, 0.0]]))).contains("the opposite"));
        assert!(text(PreferenceMatrix::from_leads(&rows(&[&[0.0, f64::INFINITY], &[0.0, 0.0]]))).contains("finite"));
        assert!(text(PreferenceMatrix::from_wins(&WinMatrix::new(0))).starts_with("`wins`"));
        assert!(text(PreferenceMatrix::from_rankings(0, &[])).starts_with("`rankings`: nothing"));
        assert!(text(PreferenceMatrix::from_rankings(2, &[])).starts_with("`rankings`: nothing"));
        assert!(text(PreferenceMatrix::from_rankings(2, &[vec![0]])).starts_with("`rankings`: expected 2"));
        assert_eq!(text(PreferenceMatrix::from_rankings(2, &[vec![0, 1], vec![1, 1]])), "record 1: item 1 twice");
        assert!(text(PreferenceMatrix::from_rankings(2, &[vec![0, 2]])).contains("`rankings` 2 is not in 0..2"));
        let certain = PreferenceMatrix::from_rows(&rows(&[&[0.5, 1.0], &[0.0, 0.5]])).unwrap();
        assert!(certain.leads().unwrap_err().to_string().contains("a chance in (0, 1), got 1"));
    }
}
