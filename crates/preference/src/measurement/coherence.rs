//! Coherence of preferences and of the utilities fitted to them.
//!
//! **Paper:** Utility Engineering: Analyzing and Controlling Emergent Value Systems in AIs (2025), 2502.08640.
//! **Use when:** a utility was fitted to someone's preferences, and it is open whether it means anything.
//! **Checked by:** hand-worked matrices, sampling of triples, exact linear relations.
//! **Deviations:** chances of circles are means over all triples; the paper's code samples a thousand.

use serde::{Deserialize, Serialize};

use crate::{
    Error, Result,
    error::{check_index, check_length, check_record},
    general::PreferenceMatrix,
};

/// How decided preferences are: the mean of `|2 P − 1|` over all pairs, in [0, 1]; 0 of an only item.
///
/// # Example
/// ```
/// use accordant_preference::{general::PreferenceMatrix, measurement::coherence::decisiveness};
/// let matrix = PreferenceMatrix::from_rows(&[vec![0.5, 0.75], vec![0.25, 0.5]])?;
/// assert_eq!(decisiveness(&matrix), 0.5);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[doc(alias = "completeness")]
#[doc(alias = "2502.08640")]
pub fn decisiveness(matrix: &PreferenceMatrix) -> f64 {
    let n = matrix.num_items();
    let total: f64 = (0..n).flat_map(|i| matrix.row(i)).map(|margin| 2.0 * margin.abs()).sum();
    total / (n * (n - 1)).max(1) as f64
}

/// The chance that three votes on a random triple go in a circle; none with fewer than three items. ¼ where all is even.
///
/// ```text
/// mean over triples of  P_ab P_bc P_ca + P_ba P_cb P_ac
/// ```
///
/// `O(n³)`; [`num_cyclic_triples`](crate::general::transitivity::num_cyclic_triples) counts circles of majorities.
///
/// # Example
/// ```
/// use accordant_preference::{general::PreferenceMatrix, measurement::coherence::cycle_chance};
/// let even = PreferenceMatrix::from_rows(&vec![vec![0.5; 3]; 3])?;
/// assert_eq!(cycle_chance(&even), Some(0.25));
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[doc(alias = "transitivity")]
pub fn cycle_chance(matrix: &PreferenceMatrix) -> Option<f64> {
    let n = matrix.num_items();
    let (mut total, mut triples) = (0.0, 0usize);
    for (a, b) in (0..n).flat_map(|a| (a + 1..n).map(move |b| (a, b))) {
        for c in b + 1..n {
            let around = matrix.chance(a, b) * matrix.chance(b, c) * matrix.chance(c, a);
            total += around + matrix.chance(b, a) * matrix.chance(c, b) * matrix.chance(a, c);
            triples += 1;
        }
    }
    (triples > 0).then(|| total / triples as f64)
}

/// How well one list of numbers agrees with another.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Agreement {
    /// Pearson's correlation, in [-1, 1].
    pub correlation: f64,
    /// The mean absolute difference once both have mean 0 and standard deviation 1.
    pub mean_abs_error: f64,
    /// The share of pairs that differ in both lists and have the same order in both; none without such a pair.
    pub order: Option<f64>,
}

/// How well two lists agree, up to their level and scale.
///
/// Of the utilities of lotteries and the expected utilities of their outcomes ([`expected_utilities`]): whether utility is
/// expected utility. Of states' utilities and those of what follows from them: whether means are valued for their ends. Of the
/// utilities of two people over the same options: the correlation is the cosine of the standardized lists.
///
/// # Errors
/// [`Error::Length`] naming `second`, [`Error::Record`] for a number that is not finite, [`Error::Empty`] for a list without
/// two different numbers.
///
/// # Example
/// ```
/// use accordant_preference::measurement::coherence::agreement;
/// let found = agreement(&[1.0, 2.0, 3.0], &[10.0, 30.0, 50.0])?;
/// assert!((found.correlation - 1.0).abs() < 1e-15 && found.order == Some(1.0));
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[doc(alias = "expected utility property")]
#[doc(alias = "instrumental value")]
#[doc(alias = "cosine similarity")]
pub fn agreement(first: &[f64], second: &[f64]) -> Result<Agreement> {
    check_length("second", first.len(), second.len())?;
    let (a, b) = (standardized("first", first)?, standardized("second", second)?);
    let n = a.len() as f64;
    let correlation: f64 = a.iter().zip(&b).map(|(a, b)| a * b).sum::<f64>() / n;
    let mean_abs_error = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).sum::<f64>() / n;
    let (mut same, mut ordered) = (0u64, 0u64);
    for (i, j) in (0..a.len()).flat_map(|i| (0..i).map(move |j| (i, j))) {
        let product = (first[i] - first[j]) * (second[i] - second[j]);
        ordered += u64::from(product != 0.0);
        same += u64::from(product > 0.0);
    }
    let order = (ordered > 0).then(|| same as f64 / ordered as f64);
    Ok(Agreement { correlation: correlation.clamp(-1.0, 1.0), mean_abs_error, order })
}

/// The numbers with mean 0 and (population) standard deviation 1.
fn standardized(name: &'static str, values: &[f64]) -> Result<Vec<f64>> {
    values.iter().enumerate().try_for_each(|(row, x)| check_record(x.is_finite(), row, name, "a finite number", *x))?;
    if values.windows(2).all(|pair| pair[0] == pair[1]) {
        return Err(Error::Empty { name, reason: "no two of its numbers differ" });
    }
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let spread = (values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n).sqrt();
    Ok(values.iter().map(|x| (x - mean) / spread).collect())
}

/// The expected utility of each lottery, `Σ_o p_o U(o)`.
///
/// # Errors
/// [`Error::Length`] for a lottery over other than all outcomes, [`Error::Record`] for a chance that is none or chances that do
/// not add up to 1 within 1e-6.
///
/// # Example
/// ```
/// use accordant_preference::measurement::coherence::expected_utilities;
/// let expected = expected_utilities(&[vec![0.5, 0.5], vec![0.0, 1.0]], &[2.0, 4.0])?;
/// assert_eq!(expected, [3.0, 4.0]);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
pub fn expected_utilities(lotteries: &[Vec<f64>], utilities: &[f64]) -> Result<Vec<f64>> {
    let expected = |(row, lottery): (usize, &Vec<f64>)| {
        check_length("lotteries", utilities.len(), lottery.len())?;
        for chance in lottery {
            check_record((0.0..=1.0).contains(chance), row, "lotteries", "a chance in [0, 1]", *chance)?;
        }
        let total: f64 = lottery.iter().sum();
        check_record((total - 1.0).abs() <= 1e-6, row, "lotteries", "chances that add up to 1", total)?;
        Ok(lottery.iter().zip(utilities).map(|(chance, utility)| chance * utility).sum())
    };
    lotteries.iter().enumerate().map(expected).collect()
}

/// How often the best of the options was chosen: the share of choices `(options, chosen)` in which no option has a higher
/// utility than what was chosen.
///
/// # Errors
/// [`Error::Empty`] without a choice, [`Error::Index`] for an option without a utility, [`Error::Combination`] when what was
/// chosen was no option.
///
/// # Example
/// ```
/// use accordant_preference::measurement::coherence::utility_maximization;
/// let utilities = [0.1, 0.5, -1.0];
/// let choices = [(vec![0, 1], 1), (vec![0, 2], 2)];
/// assert_eq!(utility_maximization(&utilities, &choices)?, 0.5);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
pub fn utility_maximization(utilities: &[f64], choices: &[(Vec<usize>, usize)]) -> Result<f64> {
    if choices.is_empty() {
        return Err(Error::Empty { name: "choices", reason: "there is none" });
    }
    let mut best = 0;
    for (row, (options, chosen)) in choices.iter().enumerate() {
        options.iter().try_for_each(|&option| check_index(row, "options", option, utilities.len()))?;
        if !options.contains(chosen) {
            return Err(Error::Combination { what: "choices", reason: "what was chosen was no option" });
        }
        best += usize::from(options.iter().all(|&option| utilities[option] <= utilities[*chosen]));
    }
    Ok(best as f64 / choices.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::general::testing::{random, skew};

    #[test]
    fn certain_and_even_preferences() {
        let circle = skew(3, &[(0, 1, 0.5), (1, 2, 0.5), (2, 0, 0.5)]);
        assert_eq!((decisiveness(&circle), cycle_chance(&circle)), (1.0, Some(1.0)));
        let order = skew(3, &[(0, 1, 0.5), (1, 2, 0.5), (0, 2, 0.5)]);
        assert_eq!((decisiveness(&order), cycle_chance(&order)), (1.0, Some(0.0)));
        assert_eq!((decisiveness(&skew(2, &[])), cycle_chance(&skew(2, &[]))), (0.0, None));
        assert_eq!(decisiveness(&skew(1, &[])), 0.0);
        // 0.7, 0.6 and 0.9 around: 0.378 and 0.3 · 0.4 · 0.1.
        let mixed = skew(3, &[(0, 1, 0.2), (1, 2, 0.1), (2, 0, 0.4)]);
        assert!((cycle_chance(&mixed).unwrap() - 0.39).abs() < 1e-12);
        assert!((decisiveness(&mixed) - (0.4 + 0.2 + 0.8) / 3.0).abs() < 1e-12);
    }

    #[test]
    fn the_chance_of_a_circle_is_a_mean_over_triples() {
        let matrix = random(7, 90, 0.5);
        let mut chances = Vec::new();
        for (a, b, c) in (0..7).flat_map(|a| (0..7).flat_map(move |b| (0..7).map(move |c| (a, b, c)))) {
            if a != b && b != c && a != c {
                chances.push(cycle_chance(&matrix.select(&[a, b, c]).unwrap()).unwrap());
            }
        }
        let mean = chances.iter().sum::<f64>() / chances.len() as f64;
        assert!((cycle_chance(&matrix).unwrap() - mean).abs() < 1e-12);
    }

    #[test]
    fn agreement_by_hand() {
        // Standardized: (−1, −1, 1, 1) and (−1, 1, 1, −1); distances 0, 2, 0, 2.
        let found = agreement(&[0.0, 0.0, 2.0, 2.0], &[5.0, 7.0, 7.0, 5.0]).unwrap();
        assert!(found.correlation.abs() < 1e-15 && (found.mean_abs_error - 1.0).abs() < 1e-15);
        // Pairs that differ in both: (0, 2) alike, (1, 3) not.
        assert_eq!(found.order, Some(0.5));
        let opposite = agreement(&[1.0, 2.0, 4.0], &[-2.0, -4.0, -8.0]).unwrap();
        assert!((opposite.correlation + 1.0).abs() < 1e-15 && opposite.order == Some(0.0));
        let apart = agreement(&[0.0, 1.0, 1.0], &[1.0, 1.0, 0.0]).unwrap();
        assert_eq!(apart.order, Some(0.0));
        assert_eq!(agreement(&[0.0, 0.0, 1.0, 1.0], &[0.0, 1.0, 0.0, 1.0]).unwrap().order, Some(0.5));
    }

    #[test]
    fn a_utility_that_is_expected_utility_agrees_with_itself() {
        let lotteries = [vec![0.2, 0.8, 0.0], vec![0.5, 0.0, 0.5], vec![0.1, 0.1, 0.8], vec![1.0, 0.0, 0.0]];
        let expected = expected_utilities(&lotteries, &[1.0, -2.0, 5.0]).unwrap();
        assert!((expected[2] - 3.9).abs() < 1e-12);
        let found = agreement(&expected.iter().map(|u| 3.0 * u + 7.0).collect::<Vec<_>>(), &expected).unwrap();
        assert!((found.correlation - 1.0).abs() < 1e-12 && found.mean_abs_error < 1e-12 && found.order == Some(1.0));
    }

    #[test]
    fn choices_of_equals_are_the_best() {
        let utilities = [1.0, 1.0, 0.0];
        let choices = [(vec![0, 1, 2], 1), (vec![2], 2), (vec![0, 2], 2), (vec![0, 1], 0)];
        assert_eq!(utility_maximization(&utilities, &choices).unwrap(), 0.75);
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let text = |first: &[f64], second: &[f64]| agreement(first, second).unwrap_err().to_string();
        assert!(text(&[1.0, 2.0], &[1.0]).starts_with("`second`: expected 2"));
        assert!(text(&[1.0, 1.0], &[1.0, 2.0]).starts_with("`first`: nothing"));
        assert!(text(&[1.0, 2.0], &[1.0, 1.0]).starts_with("`second`: nothing"));
        assert!(text(&[], &[]).starts_with("`first`: nothing"));
        assert!(text(&[1.0, f64::NAN], &[1.0, 2.0]).starts_with("record 1: `first`"));
        let text = |lottery: Vec<f64>| expected_utilities(&[lottery], &[1.0, 2.0]).unwrap_err().to_string();
        assert!(text(vec![1.0]).starts_with("`lotteries`: expected 2"));
        assert!(text(vec![1.5, -0.5]).contains("a chance in [0, 1]"));
        assert!(text(vec![0.5, 0.4]).contains("add up to 1, got 0.9"));
        let text = |choices: &[(Vec<usize>, usize)]| utility_maximization(&[1.0], choices).unwrap_err().to_string();
        assert!(text(&[]).starts_with("`choices`"));
        assert!(text(&[(vec![0, 1], 0)]).contains("`options` 1 is not in 0..1"));
        assert!(text(&[(vec![], 0)]).contains("no option"));
    }
}
