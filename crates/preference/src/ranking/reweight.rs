//! Weights before a fit: pairs that count alike, and several sources of comparisons together.
//!
//! **Use when:** some pairs were shown far more often than others and are no more important; or votes, games and automatic
//! judges are to share one set of scores.
//! **Checked by:** values by hand.

use accordant_ops::check_domain;

use crate::{
    Comparison, Comparisons, Error, Result, WinMatrix,
    error::{check_length, check_record},
};

/// Comparisons with weights divided by those of their pair in total, times a constant that keeps the total: every observed pair
/// counts alike (inverse propensity).
///
/// # Errors
/// [`Error::Empty`] when no comparison has a weight.
///
/// # Example
/// ```
/// use accordant_preference::{Comparisons, ranking::reweight::equal_pairs};
/// let mut judged = Comparisons::new(3);
/// judged.push_win(0, 1, 6.0)?;
/// judged.push_win(1, 0, 2.0)?;
/// judged.push_win(1, 2, 2.0)?;
/// let wins = equal_pairs(&judged)?.wins(); // 10 in all, 5 for each pair
/// assert_eq!((wins.wins(0, 1), wins.wins(1, 0), wins.wins(1, 2)), (3.75, 1.25, 5.0));
/// # Ok::<(), accordant_preference::Error>(())
/// ```
pub fn equal_pairs(judged: &Comparisons) -> Result<Comparisons> {
    let n = judged.num_items();
    let cell = |record: &Comparison| record.first.min(record.second) * n + record.first.max(record.second);
    let mut totals = std::collections::HashMap::<usize, f64>::new();
    judged.records().iter().for_each(|record| *totals.entry(cell(record)).or_default() += record.weight);
    let pairs = totals.values().filter(|total| **total > 0.0).count();
    if pairs == 0 {
        return Err(Error::Empty { name: "comparisons", reason: "none has a weight" });
    }
    let total: f64 = judged.records().iter().map(|record| record.weight).sum();
    let records = judged.records().iter().map(|record| {
        let weight =
            if record.weight > 0.0 { record.weight / totals[&cell(record)] * total / pairs as f64 } else { 0.0 };
        Comparison { weight, ..*record }
    });
    let all = Comparisons::from_records(n, records)?;
    match judged.judges() {
        Some(judges) => all.with_judges(judges.to_vec()),
        None => Ok(all),
    }
}

/// The table of several sources, each divided by its own total and multiplied by its importance: a fit minimizes
/// `Σ_k importance_k · NLL_k / total_k`.
///
/// # Errors
/// [`Error::Empty`] without a source, or for one without a comparison; [`Error::Length`] naming `sources` for tables of
/// unequal size; a domain error unless every importance is finite and > 0.
///
/// # Example
/// ```
/// use accordant_preference::{Comparisons, ranking::reweight::composite};
/// let mut votes = Comparisons::new(2);
/// votes.push_win(0, 1, 30.0)?;
/// votes.push_win(1, 0, 10.0)?;
/// let mut games = Comparisons::new(2);
/// games.push_win(1, 0, 2.0)?;
/// let table = composite(&[(&votes.wins(), 1.0), (&games.wins(), 0.5)])?;
/// assert_eq!((table.wins(0, 1), table.wins(1, 0)), (0.75, 0.75)); // 30/40, 10/40 + 0.5
/// # Ok::<(), accordant_preference::Error>(())
/// ```
pub fn composite(sources: &[(&WinMatrix, f64)]) -> Result<WinMatrix> {
    let Some((first, _)) = sources.first() else {
        return Err(Error::Empty { name: "sources", reason: "there is none" });
    };
    let n = first.num_items();
    let (mut wins, mut ties) = (vec![vec![0.0; n]; n], vec![vec![0.0; n]; n]);
    for (row, &(source, importance)) in sources.iter().enumerate() {
        check_length("sources", n, source.num_items())?;
        check_domain(importance.is_finite() && importance > 0.0, "importance", "finite and > 0", importance)?;
        let total = (0..n).flat_map(|i| source.win_row(i)).sum::<f64>() + source.num_ties();
        check_record(total > 0.0, row, "sources", "a table with comparisons", total)?;
        for i in 0..n {
            let add = |sums: &mut Vec<f64>, counts: &[f64]| {
                sums.iter_mut().zip(counts).for_each(|(sum, count)| *sum += importance / total * count);
            };
            add(&mut wins[i], source.win_row(i));
            add(&mut ties[i], source.tie_row(i));
        }
    }
    WinMatrix::from_rows(&wins, &ties)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Outcome;
    use crate::ranking::{
        NewtonConfig,
        fixtures::{close, five, four},
    };

    #[test]
    fn pairs_count_alike_whatever_the_order_of_their_items_and_keep_their_judges() {
        let mut judged = Comparisons::new(3);
        judged.push(0, 1, Outcome::First).unwrap();
        judged.push(1, 0, Outcome::Tie).unwrap();
        judged.push(0, 2, Outcome::Share(0.25)).unwrap();
        judged.push_win(0, 1, 0.0).unwrap();
        let judged = judged.with_judges(vec![4, 5, 6, 7]).unwrap();
        let equal = equal_pairs(&judged).unwrap();
        let weights: Vec<f64> = equal.records().iter().map(|record| record.weight).collect();
        assert_eq!(weights, [0.75, 0.75, 1.5, 0.0]);
        assert_eq!(equal.judges(), judged.judges());
        assert_eq!(equal.records()[1].outcome, Outcome::Tie);
        assert!(matches!(equal_pairs(&Comparisons::new(2)), Err(Error::Empty { .. })));
        let mut twice = Comparisons::new(2);
        twice.push_win(0, 1, 0.0).unwrap();
        assert!(matches!(equal_pairs(&twice), Err(Error::Empty { .. })));
    }

    #[test]
    fn every_pair_of_a_table_has_a_total_of_its_own() {
        let mut judged = Comparisons::new(4);
        for (at, (first, second)) in [(0, 1), (0, 2), (3, 0), (1, 2), (3, 1), (2, 3)].into_iter().enumerate() {
            judged.push_win(first, second, at as f64).unwrap();
        }
        // The first pair has no weight, and the five others share 15.
        let weights: Vec<f64> = equal_pairs(&judged).unwrap().records().iter().map(|record| record.weight).collect();
        assert_eq!(weights, [0.0, 3.0, 3.0, 3.0, 3.0, 3.0]);
    }

    #[test]
    fn one_source_is_itself_and_ties_are_counted_once() {
        let one = composite(&[(&four().wins(), 1.0)]).unwrap();
        let fit = |table: &WinMatrix| NewtonConfig::new().fit_link(table, &crate::link::Logit).unwrap().scores;
        close(&fit(&one), &fit(&four().wins()), 1e-8);
        let ties = composite(&[(&five().wins(), 2.0)]).unwrap();
        assert!((ties.num_ties() - 2.0 * 9.0 / 16.0).abs() < 1e-12);
        assert!((ties.wins(3, 0) - 2.0 / 16.0).abs() < 1e-12);
    }

    #[test]
    fn what_makes_no_sense_is_an_error() {
        let (four, five) = (four().wins(), five().wins());
        assert!(matches!(composite(&[]), Err(Error::Empty { name: "sources", .. })));
        assert!(matches!(composite(&[(&four, 1.0), (&five, 1.0)]), Err(Error::Length { name: "sources", .. })));
        let empty = WinMatrix::new(4);
        assert!(matches!(
            composite(&[(&four, 1.0), (&empty, 1.0)]),
            Err(Error::Record { row: 1, name: "sources", .. })
        ));
        for importance in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(composite(&[(&four, importance)]).unwrap_err().to_string().starts_with("`importance`"));
        }
    }
}
