//! How far preferences are from an order.
//!
//! **Paper:** On the Method of Paired Comparisons (M. G. Kendall and B. Babington Smith, 1940); stochastic transitivity as in
//! Preference-based Online Learning with Dueling Bandits: A Survey (2018), 1807.11398.
//! **Use when:** it is open whether one score per item can explain the data at all.
//! **Checked by:** hand-worked matrices, all triples one by one, Kendall's closed form, Bradley-Terry matrices; that no score
//! gets a circle right, as a law.
//! **Deviations:** none.

use serde::{Deserialize, Serialize};

use super::PreferenceMatrix;
use crate::{Error, Result, WinMatrix, comparisons::Ties, error::check_finite, link::Logit, ranking::NewtonConfig};

/// How many sets of three items a majority prefers in a circle. Triples with an even pair are none.
///
/// `O(n³ / 64)`.
///
/// # Example
/// ```
/// use accordant_preference::general::{PreferenceMatrix, transitivity::num_cyclic_triples};
/// let circle = [vec![0.0, 0.3, -0.1], vec![-0.3, 0.0, 0.2], vec![0.1, -0.2, 0.0]];
/// assert_eq!(num_cyclic_triples(&PreferenceMatrix::from_margins(&circle)?), 1);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[doc(alias = "1807.11398")]
pub fn num_cyclic_triples(matrix: &PreferenceMatrix) -> u64 {
    let n = matrix.num_items();
    let words = n.div_ceil(64);
    // Who beats an item, and whom it beats, a bit for each item.
    let (mut wins, mut losses) = (vec![0u64; n * words], vec![0u64; n * words]);
    for (i, j) in (0..n).flat_map(|i| (0..n).map(move |j| (i, j))).filter(|&(i, j)| matrix.beats(i, j)) {
        wins[i * words + j / 64] |= 1 << (j % 64);
        losses[j * words + i / 64] |= 1 << (i % 64);
    }
    let mut circles = 0;
    for (i, j) in (0..n).flat_map(|i| (0..n).map(move |j| (i, j))).filter(|&(i, j)| matrix.beats(i, j)) {
        let (won_by_j, lost_by_i) = (&wins[j * words..][..words], &losses[i * words..][..words]);
        circles += won_by_j.iter().zip(lost_by_i).map(|(a, b)| u64::from((a & b).count_ones())).sum::<u64>();
    }
    // Each was found from each of its three pairs.
    circles / 3
}

/// Kendall's coefficient of consistence: 1 of an order, 0 of as many circles as there can be; none with an even pair or with
/// fewer than three items.
///
/// ```text
/// ζ = 1 − 24 c / (n³ − n)  for odd n,   1 − 24 c / (n³ − 4n)  for even n
/// ```
pub fn consistence(matrix: &PreferenceMatrix) -> Option<f64> {
    let n = matrix.num_items();
    let even_pair = (0..n).any(|i| (0..i).any(|j| matrix.margin(i, j) == 0.0));
    let cube = (n * n * n) as f64;
    let most = (cube - if n % 2 == 1 { 1.0 } else { 4.0 } * n as f64) / 24.0;
    (n >= 3 && !even_pair).then(|| 1.0 - num_cyclic_triples(matrix) as f64 / most)
}

/// How often stochastic transitivity is violated, by ordered triples `(i, j, k)` with `P_ij ≥ ½` and `P_jk ≥ ½`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct StochasticTransitivity {
    /// How many such triples there are.
    pub triples: u64,
    /// In how many of them `P_ik < ½`.
    pub weak_violations: u64,
    /// In how many of them `P_ik < min(P_ij, P_jk)`.
    pub moderate_violations: u64,
    /// In how many of them `P_ik < max(P_ij, P_jk)`.
    pub strong_violations: u64,
}

/// Counts violations of stochastic transitivity, `O(n³)`. What differs by less than 1e-12 is equal.
///
/// # Example
/// ```
/// use accordant_preference::general::{PreferenceMatrix, transitivity::stochastic_transitivity};
/// // 0 over 1 and 1 over 2 by 0.2, and 0 over 2 by only 0.1.
/// let rows = [vec![0.0, 0.2, 0.1], vec![-0.2, 0.0, 0.2], vec![-0.1, -0.2, 0.0]];
/// let found = stochastic_transitivity(&PreferenceMatrix::from_margins(&rows)?);
/// assert_eq!((found.triples, found.weak_violations, found.moderate_violations), (1, 0, 1));
/// # Ok::<(), accordant_preference::Error>(())
/// ```
pub fn stochastic_transitivity(matrix: &PreferenceMatrix) -> StochasticTransitivity {
    const ROUNDING: f64 = 1e-12;
    let n = matrix.num_items();
    let mut found = StochasticTransitivity::default();
    for (i, j) in (0..n).flat_map(|i| (0..n).map(move |j| (i, j))) {
        let first = matrix.margin(i, j);
        if i == j || first < 0.0 {
            continue;
        }
        for k in (0..n).filter(|&k| k != i && k != j) {
            let (second, whole) = (matrix.margin(j, k), matrix.margin(i, k) + ROUNDING);
            if second < 0.0 {
                continue;
            }
            found.triples += 1;
            found.weak_violations += u64::from(whole < 0.0);
            found.moderate_violations += u64::from(whole < first.min(second));
            found.strong_violations += u64::from(whole < first.max(second));
        }
    }
    found
}

/// What a Bradley-Terry model costs, in nats per comparison: its cross-entropy at the best scores minus the entropy of the
/// shares themselves. 0 where scores explain every share.
///
/// Ties are half a win each way.
///
/// # Errors
/// As [`NewtonConfig::fit_link`]; [`Error::Combination`] when the fit does not converge,
/// [`Error::NotFinite`] when counts differ by so much that the gap is lost.
pub fn bradley_terry_gap(wins: &WinMatrix, fit: &NewtonConfig) -> Result<f64> {
    let ranking = fit.fit_link(wins, &Logit)?;
    if !ranking.report.converged {
        return Err(Error::Combination { what: "bradley_terry_gap", reason: "the fit has not converged" });
    }
    let decided = wins.decided(Ties::Half, "bradley_terry_gap")?;
    let (mut entropy, mut total) = (0.0, 0.0);
    for (i, j) in (0..wins.num_items()).flat_map(|i| (0..wins.num_items()).map(move |j| (i, j))) {
        let (won, met) = (decided.wins(i, j), decided.wins(i, j) + decided.wins(j, i));
        if won > 0.0 {
            entropy -= won * (won / met).ln();
            total += won;
        }
    }
    let gap = (-ranking.log_likelihood - entropy) / total;
    check_finite("bradley_terry_gap", &[gap])?;
    Ok(gap)
}

/// How well leads get circles right.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CycleAccuracy {
    /// The share of pairs that lead the right way; a lead of 0 counts one half.
    pub pairs: f64,
    /// The share of circles of which all three pairs lead the right way.
    pub whole: f64,
}

/// Accuracy on circles of three, from the leads of each item over the next one that it beats.
///
/// Differences of scores add up to 0 around a circle: they get at most two of its pairs right and `whole` is exactly 0.
///
/// # Errors
/// [`Error::Empty`] without a circle.
///
/// # Example
/// ```
/// use accordant_preference::general::transitivity::cycle_accuracy;
/// let found = cycle_accuracy(&[[0.5, 0.5, 0.5], [2.0, 1.0, -3.0]])?; // the second: differences of scores
/// assert_eq!((found.whole, found.pairs), (0.5, 5.0 / 6.0));
/// # Ok::<(), accordant_preference::Error>(())
/// ```
pub fn cycle_accuracy(leads: &[[f64; 3]]) -> Result<CycleAccuracy> {
    if leads.is_empty() {
        return Err(Error::Empty { name: "leads", reason: "there is no circle" });
    }
    let right = |lead: f64| {
        if lead > 0.0 {
            1.0
        } else if lead == 0.0 {
            0.5
        } else {
            0.0
        }
    };
    let pairs: f64 = leads.iter().flatten().map(|&lead| right(lead)).sum();
    let whole = leads.iter().filter(|circle| circle.iter().all(|&lead| lead > 0.0)).count();
    Ok(CycleAccuracy { pairs: pairs / (3 * leads.len()) as f64, whole: whole as f64 / leads.len() as f64 })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        Comparisons,
        general::testing::{random, skew},
    };

    /// All sets of three, one by one.
    fn circles_by_hand(matrix: &PreferenceMatrix) -> u64 {
        let (n, mut circles) = (matrix.num_items(), 0);
        for (i, j) in (0..n).flat_map(|i| (i + 1..n).map(move |j| (i, j))) {
            for k in j + 1..n {
                let around = |a, b, c| matrix.beats(a, b) && matrix.beats(b, c) && matrix.beats(c, a);
                circles += u64::from(around(i, j, k) || around(i, k, j));
            }
        }
        circles
    }

    #[test]
    fn circles_are_counted_as_one_by_one_and_by_kendalls_formula() {
        for (index, n) in [1, 2, 3, 4, 9, 64, 65, 130].into_iter().enumerate() {
            let matrix = random(n, 60 + index as u32, 0.5);
            let circles = num_cyclic_triples(&matrix);
            assert_eq!(circles, circles_by_hand(&matrix), "{n}");
            let wins = (0..n).map(|i| (0..n).filter(|&j| matrix.beats(i, j)).count());
            let squares: usize = wins.map(|wins| wins * wins).sum();
            assert_eq!(circles as f64, (n * (n - 1) * (2 * n - 1)) as f64 / 12.0 - squares as f64 / 2.0, "{n}");
        }
        assert_eq!(num_cyclic_triples(&skew(3, &[(0, 1, 0.1), (1, 2, 0.1)])), 0, "an even pair makes no circle");
    }

    #[test]
    fn consistence_is_one_of_an_order_and_zero_of_all_circles() {
        let order = |n: usize| {
            let pairs: Vec<_> = (0..n).flat_map(|i| (i + 1..n).map(move |j| (i, j, 0.1))).collect();
            skew(n, &pairs)
        };
        assert_eq!((consistence(&order(4)), consistence(&order(5))), (Some(1.0), Some(1.0)));
        assert_eq!(consistence(&skew(3, &[(0, 1, 0.1), (1, 2, 0.1), (2, 0, 0.1)])), Some(0.0));
        // Five in a ring, each beating the next two: 5 of 5 possible circles.
        let ring: Vec<_> = (0..5).flat_map(|i| [(i, (i + 1) % 5, 0.1), (i, (i + 2) % 5, 0.1)]).collect();
        assert_eq!(consistence(&skew(5, &ring)), Some(0.0));
        // Four items can have two circles; here is one: 0 → 1 → 2 → 0, and 3 below.
        let one = [(0, 1, 0.1), (1, 2, 0.1), (2, 0, 0.1), (0, 3, 0.1), (1, 3, 0.1), (2, 3, 0.1)];
        assert_eq!(consistence(&skew(4, &one)), Some(0.5));
        assert_eq!((consistence(&skew(3, &[(0, 1, 0.1), (1, 2, 0.1)])), consistence(&order(2))), (None, None));
    }

    #[test]
    fn three_degrees_of_transitivity() {
        let of = |first: f64, second: f64, whole: f64| {
            let found = stochastic_transitivity(&skew(3, &[(0, 1, first), (1, 2, second), (0, 2, whole)]));
            (found.triples, found.weak_violations, found.moderate_violations, found.strong_violations)
        };
        assert_eq!(of(0.1, 0.2, 0.2), (1, 0, 0, 0));
        assert_eq!(of(0.1, 0.2, 0.15), (1, 0, 0, 1));
        assert_eq!(of(0.1, 0.2, 0.05), (1, 0, 1, 1));
        // A circle is three triples.
        assert_eq!(of(0.1, 0.2, -0.05), (3, 3, 3, 3));
        // Chances of Bradley-Terry scores are strongly transitive, up to rounding.
        let scores: [f64; 6] = [0.3, -1.0, 2.0, 0.1, 0.1, -0.4];
        let leads: Vec<Vec<f64>> = scores.map(|a| scores.map(|b| a - b).to_vec()).to_vec();
        let found = stochastic_transitivity(&PreferenceMatrix::from_leads(&leads).unwrap());
        assert_eq!((found.weak_violations, found.moderate_violations, found.strong_violations), (0, 0, 0));
        assert!(found.triples >= 20);
    }

    #[test]
    fn a_circle_of_votes_costs_what_its_entropy_lacks() {
        // Three votes to one around a circle: the best scores are equal and lose ln 2, the shares lose H(¾).
        let mut judged = Comparisons::new(3);
        for (a, b) in [(0, 1), (1, 2), (2, 0)] {
            judged.push_win(a, b, 3.0).unwrap();
            judged.push_win(b, a, 1.0).unwrap();
        }
        let entropy = -(0.75 * 0.75f64.ln() + 0.25 * 0.25f64.ln());
        let gap = bradley_terry_gap(&judged.wins(), &NewtonConfig::new()).unwrap();
        assert!((gap - (2f64.ln() - entropy)).abs() < 1e-9, "{gap}");
        // Odds of scores 0, ln 2 and ln 6 are explained.
        let mut judged = Comparisons::new(3);
        for (a, b, odds) in [(1, 0, 2.0), (2, 1, 3.0), (2, 0, 6.0)] {
            judged.push_win(a, b, odds).unwrap();
            judged.push_win(b, a, 1.0).unwrap();
        }
        assert!(bradley_terry_gap(&judged.wins(), &NewtonConfig::new()).unwrap().abs() < 1e-12);
        let error = bradley_terry_gap(&judged.wins(), &NewtonConfig::new().with_max_iterations(1)).unwrap_err();
        assert!(error.to_string().contains("has not converged"));
    }

    #[test]
    fn accuracy_on_circles_by_hand() {
        let found = cycle_accuracy(&[[1.0, 1.0, 0.0], [1.0, 2.0, 0.1], [-1.0, -1.0, 3.0]]).unwrap();
        assert_eq!((found.pairs, found.whole), (6.5 / 9.0, 1.0 / 3.0));
        assert!(cycle_accuracy(&[]).unwrap_err().to_string().starts_with("`leads`"));
    }

    proptest! {
        /// A law, not a measurement: whatever the scores, the three differences around a circle cannot all be positive.
        #[test]
        fn no_score_gets_a_circle_right(scores in prop::array::uniform3(-1e6f64..1e6), near in prop::array::uniform3(-2i32..3)) {
            for [a, b, c] in [scores, near.map(|x| 1.0 + f64::from(x) * f64::EPSILON), near.map(f64::from)] {
                let found = cycle_accuracy(&[[a - b, b - c, c - a]]).unwrap();
                prop_assert_eq!(found.whole, 0.0);
                prop_assert!(found.pairs <= 2.0 / 3.0);
            }
        }
    }
}
