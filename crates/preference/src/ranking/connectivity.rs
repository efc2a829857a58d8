//! What to do when comparisons do not connect all items: virtual ties, or each component by itself.
//!
//! A prior on the scores, the third way, is a setting of the fits. Either is chosen by name; nothing is done in silence.
//!
//! **Use when:** a fit says [`Error::NotIdentifiable`].
//! **Checked by:** closed forms of two items; tables that are connected.

use accordant_ops::check_domain;

use super::{Gauge, Ranking, strengths::Dense};
use crate::{Error, Result, WinMatrix, comparisons::Ties, error::check_index, graph::components, link::Link};

/// Fits Bradley-Terry scores with `times` virtual ties, half a win each way, between any two items that met, and between each
/// item and a virtual player that everybody met.
///
/// The log-likelihood is that of the data without virtual ties; the report is that of the fit with them.
///
/// # Errors
/// A domain error unless `times` is finite and > 0; whatever `fit` says.
///
/// # Example
/// ```
/// use accordant_preference::{Comparisons, ranking::{NewmanConfig, connectivity::with_virtual_ties}};
/// let mut judged = Comparisons::new(2);
/// judged.push_win(0, 1, 3.0)?; // 1 has never won
/// let ranking = with_virtual_ties(&judged.wins(), 1.0, |table| NewmanConfig::new().fit_matrix(table))?;
/// assert!(ranking.scores[0] > 0.5 && ranking.scores[0] < 2.0);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
pub fn with_virtual_ties(
    matrix: &WinMatrix,
    times: f64,
    fit: impl FnOnce(&WinMatrix) -> Result<Ranking>,
) -> Result<Ranking> {
    check_domain(times.is_finite() && times > 0.0, "times", "finite and > 0", times)?;
    let n = matrix.num_items();
    let decided = matrix.decided(Ties::Half, "virtual ties")?;
    let mut extended = WinMatrix::new(n + 1);
    for i in 0..n {
        extended.add(i, n, crate::Outcome::Share(0.5), times);
        for j in 0..i {
            let (won, lost) = (decided.wins(i, j), decided.wins(j, i));
            if won + lost > 0.0 {
                let total = won + lost + times;
                extended.add(i, j, crate::Outcome::Share((won + times / 2.0) / total), total);
            }
        }
    }
    let mut ranking = fit(&extended)?;
    ranking.scores.truncate(n);
    Gauge::SumZero.fix(&mut ranking.scores)?;
    let strengths: Vec<f64> = ranking.scores.iter().map(|score| score.exp()).collect();
    let table = Dense::new(&decided, Ties::Half, "virtual ties", false)?;
    ranking.log_likelihood = table.log_likelihood(&strengths);
    ranking.unobserved = table.unobserved;
    ranking.halved_ties = matrix.num_ties();
    Ok(ranking)
}

/// Fits of the components of a table, one by one.
#[derive(Debug, Clone, PartialEq)]
pub struct ComponentRankings {
    components: Vec<Vec<usize>>,
    rankings: Vec<Option<Ranking>>,
    /// The component of each item, and its place there.
    places: Vec<(usize, usize)>,
}

/// Fits each strongly connected component by itself.
///
/// # Errors
/// Whatever `fit` says of a component.
///
/// # Example
/// ```
/// use accordant_preference::{Comparisons, link::Logit, ranking::{NewtonConfig, connectivity::per_component}};
/// let mut judged = Comparisons::new(4);
/// for (winner, loser, times) in [(0, 1, 3.0), (1, 0, 1.0), (2, 3, 1.0), (3, 2, 1.0)] {
///     judged.push_win(winner, loser, times)?;
/// }
/// let fits = per_component(&judged.wins(), |table| NewtonConfig::new().fit_link(table, &Logit))?;
/// assert!((fits.chances(&Logit, 0, 1)?.unwrap()[0] - 0.75).abs() < 1e-9);
/// assert_eq!(fits.chances(&Logit, 0, 2)?, None);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
pub fn per_component(
    matrix: &WinMatrix,
    mut fit: impl FnMut(&WinMatrix) -> Result<Ranking>,
) -> Result<ComponentRankings> {
    let components = components(matrix);
    let mut places = vec![(0, 0); matrix.num_items()];
    let mut rankings = Vec::new();
    for (at, component) in components.iter().enumerate() {
        component.iter().enumerate().for_each(|(place, &item)| places[item] = (at, place));
        rankings.push(if component.len() > 1 { Some(fit(&matrix.among(component)?)?) } else { None });
    }
    Ok(ComponentRankings { components, rankings, places })
}

impl ComponentRankings {
    /// The items of each component, weakest component first.
    pub fn components(&self) -> &[Vec<usize>] {
        &self.components
    }

    /// The ranking of each component, in the order of its items; none for an item alone.
    pub fn rankings(&self) -> &[Option<Ranking>] {
        &self.rankings
    }

    /// The chances that the first of two items wins, that they tie, and that the second wins; none for items of two
    /// components.
    ///
    /// # Errors
    /// [`Error::Index`] for an item that is not in the table, [`Error::Repeated`] for an item and itself.
    pub fn chances(&self, link: &dyn Link, first: usize, second: usize) -> Result<Option<[f64; 3]>> {
        check_index(0, "first", first, self.places.len())?;
        check_index(0, "second", second, self.places.len())?;
        if first == second {
            return Err(Error::Repeated { row: 0, item: first });
        }
        let [(component, first), (other, second)] = [self.places[first], self.places[second]];
        match &self.rankings[component] {
            Some(ranking) if component == other => ranking.chances(link, first, second).map(Some),
            _ => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Comparisons;
    use crate::link::Logit;
    use crate::ranking::{
        CovarianceConfig, MmConfig, NewmanConfig, NewtonConfig,
        fixtures::{FOUR_SCORES, close, five, four, unconnected},
    };

    fn newman(table: &WinMatrix) -> Result<Ranking> {
        NewmanConfig::new().with_tolerance(1e-13).fit_matrix(table)
    }

    #[test]
    fn virtual_ties_by_hand() {
        // 3 : 0 and one virtual tie, and one of each with the virtual player, of score 0 by symmetry: with p = σ(2 s) and
        // q = σ(s), 3.5 − 4 p + 0.5 − q = 0.
        let mut judged = Comparisons::new(2);
        judged.push_win(0, 1, 3.0).unwrap();
        let fit = with_virtual_ties(&judged.wins(), 1.0, newman).unwrap();
        let s = fit.scores[0];
        let logistic = accordant_ops::host::logistic;
        assert!((3.5 - 4.0 * logistic(2.0 * s) + 0.5 - logistic(s)).abs() < 1e-10);
        assert!((fit.log_likelihood - 3.0 * accordant_ops::host::log_sigmoid(2.0 * s)).abs() < 1e-12);
        assert_eq!((fit.scores.len(), fit.scores[0] + fit.scores[1]), (2, 0.0));
    }

    #[test]
    fn items_that_were_never_compared_get_no_virtual_tie() {
        let mut judged = Comparisons::new(3);
        judged.push_win(0, 1, 3.0).unwrap();
        with_virtual_ties(&judged.wins(), 2.0, |table| {
            assert_eq!((table.wins(0, 1), table.wins(1, 0)), (4.0, 1.0));
            assert_eq!((table.wins(0, 2), table.wins(2, 0), table.wins(1, 2), table.wins(2, 1)), (0.0, 0.0, 0.0, 0.0));
            (0..3).for_each(|item| assert_eq!((table.wins(item, 3), table.wins(3, item)), (1.0, 1.0)));
            newman(table)
        })
        .unwrap();
    }

    #[test]
    fn few_virtual_ties_change_little_and_any_number_of_them_connects() {
        let fit = with_virtual_ties(&four().wins(), 1e-9, newman).unwrap();
        close(&fit.scores, &FOUR_SCORES, 1e-7);
        let fit = with_virtual_ties(&unconnected().wins(), 0.5, newman).unwrap();
        assert!(fit.report.converged && fit.scores[1] > fit.scores[2] && fit.scores[2] > fit.scores[0]);
        assert_eq!(fit.unobserved, [2]);
        let of_ties = with_virtual_ties(&five().wins(), 0.5, |table| MmConfig::new().fit_matrix(table)).unwrap();
        assert_eq!(of_ties.halved_ties, 9.0);
        for times in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(with_virtual_ties(&four().wins(), times, newman).unwrap_err().to_string().starts_with("`times`"));
        }
    }

    #[test]
    fn components_are_fitted_one_by_one_and_say_nothing_of_each_other() {
        // 2 and 3 beat each other and never 0 or 1; 4 is alone.
        let mut judged = Comparisons::new(5);
        for (winner, loser, times) in [(1, 0, 3.0), (0, 1, 1.0), (3, 2, 1.0), (2, 3, 4.0), (0, 2, 5.0)] {
            judged.push_win(winner, loser, times).unwrap();
        }
        let fits = per_component(&judged.wins(), newman).unwrap();
        assert_eq!(fits.components().len(), 3);
        assert_eq!(fits.rankings().iter().flatten().count(), 2);
        let of = |a, b| fits.chances(&Logit, a, b).unwrap().map(|[win, ..]| win);
        assert!((of(1, 0).unwrap() - 0.75).abs() < 1e-9 && (of(3, 2).unwrap() - 0.2).abs() < 1e-9);
        assert_eq!((of(0, 2), of(4, 0)), (None, None));
        assert!(matches!(fits.chances(&Logit, 1, 1), Err(Error::Repeated { item: 1, .. })));
        assert!(matches!(fits.chances(&Logit, 5, 1), Err(Error::Index { name: "first", .. })));
        assert!(matches!(fits.chances(&Logit, 1, 5), Err(Error::Index { name: "second", .. })));
        let whole = per_component(&four().wins(), newman).unwrap();
        close(&whole.rankings()[0].as_ref().unwrap().scores, &FOUR_SCORES, 1e-8);
    }

    #[test]
    fn offsets_between_components_come_from_the_prior_alone() {
        // Two camps that never met: each has score 0 on the whole, and the difference the prior's variance.
        let mut judged = Comparisons::new(4);
        for (winner, loser) in [(0, 1), (1, 0), (2, 3), (3, 2)] {
            judged.push_win(winner, loser, 1e6).unwrap();
        }
        let prior = 0.5;
        let ranking = NewtonConfig::new().with_prior(prior).fit(&judged).unwrap();
        close(&ranking.scores, &[0.0; 4], 1e-9);
        let covariance = CovarianceConfig::new().with_prior(prior).of(&judged, &ranking, &Logit).unwrap();
        // The mean of a camp of two has half the variance of a score; two camps.
        assert!((covariance.difference_error(0, 2).unwrap().powi(2) - 1.0 / prior).abs() < 1e-4);
        assert!(covariance.difference_error(0, 1).unwrap() < 0.01);
    }
}
