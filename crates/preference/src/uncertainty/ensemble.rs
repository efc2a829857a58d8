//! Ensembles: one score from several, and what their members disagree about.
//!
//! **Papers:** Reward Model Ensembles Help Mitigate Overoptimization (2023), 2310.02743; Deep Bayesian Active Learning for
//! Preference Modeling in Large Language Models (2024), 2406.10023, for the decomposition.
//! **Use when:** a policy finds what one reward model is wrong about.
//! **Checked by:** hand-worked values, bounds and zeros of the decomposition.
//! **Deviations:** none.

use accordant_ops::check_domain;
use serde::{Deserialize, Serialize};

use super::check_members;
use crate::{Error, Result, error::check_record};

/// How the scores of the members become one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Aggregation {
    /// Their mean.
    Mean,
    /// Their median; of an even number the mean of the middle two.
    Median,
    /// The lowest: worst-case optimization.
    WorstCase,
    /// `mean − λ variance`, λ finite and ≥ 0: uncertainty-weighted optimization; 0.5 to 1 are usual.
    UncertaintyWeighted(f64),
    /// `mean − λ standard deviation`, λ finite and ≥ 0: a lower confidence bound.
    LowerBound(f64),
}

/// The mean and the standard deviation of a member's scores on a reference set.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Scale {
    /// Their mean.
    pub mean: f64,
    /// Their standard deviation (of the population), > 0.
    pub spread: f64,
}

impl Scale {
    /// Of these scores.
    ///
    /// # Errors
    /// [`Error::Record`] naming `scores` for one that is not finite, a domain error when their spread overflows;
    /// [`Error::Empty`] when they do not differ.
    pub fn of(scores: &[f64]) -> Result<Self> {
        for (row, &score) in scores.iter().enumerate() {
            check_record(score.is_finite(), row, "scores", "finite", score)?;
        }
        if scores.windows(2).all(|two| two[0] == two[1]) {
            // Before the mean, whose rounding would make a spread of them.
            return Err(Error::Empty { name: "scores", reason: "they do not differ, so they have no scale" });
        }
        let n = scores.len() as f64;
        let mean = scores.iter().sum::<f64>() / n;
        let spread = (scores.iter().map(|score| (score - mean).powi(2)).sum::<f64>() / n).sqrt();
        check_domain(
            !spread.is_infinite() && !mean.is_infinite(),
            "scores",
            "a spread that does not overflow",
            spread,
        )?;
        match spread > 0.0 {
            true => Ok(Self { mean, spread }),
            false => Err(Error::Empty { name: "scores", reason: "they do not differ, so they have no scale" }),
        }
    }

    /// A score in units of it.
    pub fn standardized(&self, score: f64) -> f64 {
        (score - self.mean) / self.spread
    }
}

/// Scores `[members][n]`, each member's in units of its own spread on a reference set `[members][m]`: members agree on no
/// level and no unit, so nothing may be combined before.
///
/// # Errors
/// As [`Scale::of`]; [`Error::Length`] naming `reference`; [`Error::Empty`] or [`Error::Length`] naming `scores`.
///
/// # Example
/// ```
/// use accordant_preference::uncertainty::ensemble::standardized;
/// let (scores, reference) = ([vec![3.0], vec![10.0]], [vec![0.0, 2.0], vec![0.0, 20.0]]);
/// assert_eq!(standardized(&scores, &reference)?, [[2.0], [0.0]]);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
pub fn standardized(scores: &[Vec<f64>], reference: &[Vec<f64>]) -> Result<Vec<Vec<f64>>> {
    check_members("scores", scores)?;
    crate::error::check_length("reference", scores.len(), reference.len())?;
    let members = scores.iter().zip(reference).map(|(scores, reference)| {
        let scale = Scale::of(reference)?;
        Ok(scores.iter().map(|score| scale.standardized(*score)).collect())
    });
    members.collect()
}

impl Aggregation {
    /// One score for each response from scores `[members][n]` in a common unit.
    ///
    /// # Errors
    /// [`Error::Empty`] without a member, [`Error::Length`] for members of other lengths, [`Error::Record`] for a score that is
    /// not finite, a domain error naming `lambda`.
    ///
    /// # Example
    /// ```
    /// use accordant_preference::uncertainty::ensemble::Aggregation;
    /// let scores = [vec![1.0, 5.0], vec![3.0, 5.0]];
    /// assert_eq!(Aggregation::UncertaintyWeighted(0.5).of(&scores)?, [1.5, 5.0]); // 2 − ½ · 1
    /// assert_eq!(Aggregation::WorstCase.of(&scores)?, [1.0, 5.0]);
    /// # Ok::<(), accordant_preference::Error>(())
    /// ```
    #[doc(alias = "WCO")]
    #[doc(alias = "UWO")]
    pub fn of(&self, scores: &[Vec<f64>]) -> Result<Vec<f64>> {
        let n = check_members("scores", scores)?;
        if let Self::UncertaintyWeighted(lambda) | Self::LowerBound(lambda) = *self {
            check_domain(lambda.is_finite() && lambda >= 0.0, "lambda", "finite and >= 0", lambda)?;
        }
        let one = |at: usize| {
            let mut column: Vec<f64> = scores.iter().map(|member| member[at]).collect();
            let count = column.len();
            let mean = column.iter().sum::<f64>() / count as f64;
            let variance = column.iter().map(|score| (score - mean).powi(2)).sum::<f64>() / count as f64;
            match *self {
                Self::Mean => mean,
                Self::UncertaintyWeighted(lambda) => mean - lambda * variance,
                Self::LowerBound(lambda) => mean - lambda * variance.sqrt(),
                Self::WorstCase => column.into_iter().fold(f64::INFINITY, f64::min),
                Self::Median => {
                    column.sort_by(f64::total_cmp);
                    (column[(count - 1) / 2] + column[count / 2]) / 2.0
                }
            }
        };
        Ok((0..n).map(one).collect())
    }
}

/// What is uncertain about one judgment; entropies in nats.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Decomposition {
    /// The mean chance that the first side is preferred.
    pub chance: f64,
    /// The entropy of that chance.
    pub total: f64,
    /// The mean entropy of the members' chances: what no member claims to know.
    pub aleatoric: f64,
    /// The rest, in [0, ln 2]: what the members disagree about, and what a label would teach (BALD).
    pub epistemic: f64,
    /// The variance (of the population) of the members' chances, in [0, ¼], of no unit.
    pub variance: f64,
}

/// Splits the uncertainty of each pair, from the members' chances `[members][n]` that its first side is preferred.
///
/// ```text
/// H(p̄) = mean_e H(p_e) + epistemic,   p̄ = mean_e p_e
/// ```
///
/// # Errors
/// [`Error::Empty`] without a member, [`Error::Length`] for members of other lengths, [`Error::Record`] for a chance outside
/// of [0, 1].
///
/// # Example
/// ```
/// use accordant_preference::uncertainty::ensemble::decompose;
/// // Two members, each sure of the opposite, and two that do not know.
/// let pairs = decompose(&[vec![1.0, 0.5], vec![0.0, 0.5]])?;
/// assert_eq!((pairs[0].aleatoric, pairs[0].epistemic), (0.0, 2f64.ln()));
/// assert_eq!((pairs[1].aleatoric, pairs[1].epistemic), (2f64.ln(), 0.0));
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[doc(alias = "BALD")]
pub fn decompose(chances: &[Vec<f64>]) -> Result<Vec<Decomposition>> {
    let n = check_members("chances", chances)?;
    for member in chances {
        for (row, &chance) in member.iter().enumerate() {
            check_record((0.0..=1.0).contains(&chance), row, "chances", "in [0, 1]", chance)?;
        }
    }
    let members = chances.len() as f64;
    let one = |at: usize| {
        let chance = chances.iter().map(|member| member[at]).sum::<f64>() / members;
        let total = binary_entropy(chance);
        let aleatoric = chances.iter().map(|member| binary_entropy(member[at])).sum::<f64>() / members;
        let variance = chances.iter().map(|member| (member[at] - chance).powi(2)).sum::<f64>() / members;
        // Not negative but for rounding.
        Decomposition { chance, total, aleatoric, epistemic: (total - aleatoric).max(0.0), variance }
    };
    Ok((0..n).map(one).collect())
}

/// The entropy of a chance, in nats: 0 of 0 and 1.
///
/// # Example
/// ```
/// use accordant_preference::uncertainty::ensemble::binary_entropy;
/// assert_eq!((binary_entropy(0.5), binary_entropy(1.0)), (2f64.ln(), 0.0));
/// ```
pub fn binary_entropy(chance: f64) -> f64 {
    let term = |p: f64| if p == 0.0 { 0.0 } else { -p * p.ln() };
    term(chance) + term(1.0 - chance)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::distributional::testing::{near, starts};

    #[test]
    fn aggregations_by_hand() {
        let scores = [vec![1.0, -2.0], vec![4.0, -2.0], vec![2.0, -2.0], vec![5.0, -2.0]];
        let of = |aggregation: Aggregation| aggregation.of(&scores).unwrap();
        near(&of(Aggregation::Mean), &[3.0, -2.0], 1e-15);
        near(&of(Aggregation::Median), &[3.0, -2.0], 1e-15);
        near(&Aggregation::Median.of(&scores[..3]).unwrap(), &[2.0, -2.0], 1e-15);
        near(&of(Aggregation::WorstCase), &[1.0, -2.0], 1e-15);
        // Variance (4 + 1 + 1 + 4)/4.
        near(&of(Aggregation::UncertaintyWeighted(0.4)), &[2.0, -2.0], 1e-15);
        near(&of(Aggregation::LowerBound(2.0)), &[3.0 - 2.0 * 2.5f64.sqrt(), -2.0], 1e-15);
    }

    #[test]
    fn members_are_put_on_one_scale_by_their_reference() {
        let reference = [vec![1.0, 3.0, 5.0], vec![-10.0, 0.0, 10.0]];
        let got = standardized(&[vec![3.0, 5.0], vec![10.0, -5.0]], &reference).unwrap();
        let spread = (8.0f64 / 3.0).sqrt();
        near(&got[0], &[0.0, 2.0 / spread], 1e-14);
        near(&got[1], &[2.0 / spread, -1.0 / spread], 1e-14);
        starts(standardized(&[vec![1.0]], &[]), "`reference`");
        starts(standardized(&[vec![1.0]], &[vec![0.1; 3]]), "`scores`: nothing to learn from");
        starts(Scale::of(&[]), "`scores`: nothing to learn from");
        starts(Scale::of(&[1.0, f64::NAN]), "record 1: `scores`");
        for far in [[1e200, -1e200], [1e308, 1.1e308]] {
            starts(Scale::of(&far), "`scores`: expected a spread that does not overflow");
        }
    }

    #[test]
    fn scores_without_variance_or_a_batch_of_one_have_no_scale_and_give_no_nan() {
        for reference in [vec![0.1; 3], vec![0.3], vec![]] {
            starts(standardized(&[vec![1.0]], &[reference]), "`scores`: nothing to learn from");
        }
        // One response by itself: members still have a spread, or exactly none.
        near(&Aggregation::LowerBound(1.0).of(&[vec![0.3], vec![0.3]]).unwrap(), &[0.3], 0.0);
        near(&Aggregation::UncertaintyWeighted(1.0).of(&[vec![0.3]]).unwrap(), &[0.3], 0.0);
    }

    #[test]
    fn a_member_in_larger_units_does_not_outvote_the_others_once_standardized_or_mixed_by_chances() {
        // Two members prefer the first of two responses, and one the second, in units a thousand times as large.
        let scores = [vec![1.0, 0.0], vec![1.5, 0.5], vec![-2000.0, 1000.0]];
        let reference = [vec![0.0, 1.0, 2.0], vec![0.5, 1.5, 2.5], vec![-3000.0, 0.0, 3000.0]];
        let lead = |scores: &[Vec<f64>]| {
            let mean = Aggregation::Mean.of(scores).unwrap();
            mean[0] - mean[1]
        };
        assert!(lead(&scores) < -900.0);
        // (1 + 1 − 1) / 3 of the deviation √(2/3).
        let standardized = standardized(&scores, &reference).unwrap();
        near(&[lead(&standardized)], &[1.5f64.sqrt() / 3.0], 1e-12);
        // The chance by each member's own lead: no member has more than one vote.
        let chance = |member: &Vec<f64>| vec![accordant_ops::host::logistic(member[0] - member[1])];
        let chances: Vec<Vec<f64>> = scores.iter().map(chance).collect();
        near(&[decompose(&chances).unwrap()[0].chance], &[2.0 / (3.0 * (1.0 + (-1f64).exp()))], 1e-12);
    }

    #[test]
    fn disagreement_is_between_nothing_and_one_bit() {
        let (p, q): (f64, f64) = (0.9, 0.3);
        let pairs = decompose(&[vec![p, 0.7], vec![q, 0.7]]).unwrap();
        let expected = binary_entropy(0.6) - (binary_entropy(p) + binary_entropy(q)) / 2.0;
        near(&[pairs[0].chance, pairs[0].total, pairs[0].epistemic], &[0.6, binary_entropy(0.6), expected], 1e-14);
        near(&[pairs[1].epistemic, pairs[1].aleatoric], &[0.0, binary_entropy(0.7)], 1e-15);
        near(&[pairs[0].aleatoric], &[(binary_entropy(p) + binary_entropy(q)) / 2.0], 1e-15);
        near(&[pairs[0].variance, pairs[1].variance], &[0.09, 0.0], 1e-15);
        near(&[binary_entropy(0.25)], &[0.25 * 4f64.ln() + 0.75 * (4.0f64 / 3.0).ln()], 1e-15);
        for i in 0..=20 {
            for j in 0..=20 {
                let [p, q] = [i, j].map(|i| f64::from(i) / 20.0);
                let pair = decompose(&[vec![p], vec![q], vec![q]]).unwrap()[0];
                assert!((0.0..=std::f64::consts::LN_2 + 1e-15).contains(&pair.epistemic));
                assert_eq!(pair.epistemic > 1e-9, i != j, "{p} {q}");
            }
        }
    }

    #[test]
    fn senseless_input_is_refused_by_name() {
        starts(Aggregation::Mean.of(&[]), "`scores`: nothing");
        starts(Aggregation::Mean.of(&[vec![1.0], vec![]]), "`scores`: expected 1 entries");
        starts(Aggregation::Mean.of(&[vec![f64::NAN]]), "record 0: `scores`");
        for lambda in [-1.0, f64::NAN, f64::INFINITY] {
            starts(Aggregation::LowerBound(lambda).of(&[vec![1.0]]), "`lambda`");
            starts(Aggregation::UncertaintyWeighted(lambda).of(&[vec![1.0]]), "`lambda`");
        }
        starts(decompose(&[]), "`chances`");
        starts(decompose(&[vec![0.5, 1.1]]), "record 1: `chances`: expected in [0, 1]");
    }

    #[test]
    fn scores_whose_squares_vanish_have_no_scale() {
        starts(Scale::of(&[1e-200, -1e-200]), "`scores`: nothing");
        starts(Scale::of(&[0.1; 3]), "`scores`: nothing");
        starts(Scale::of(&[1e200, -1e200]), "`scores`: expected a spread that does not overflow");
        let scale = Scale::of(&[1.0, 5.0]).unwrap();
        assert_eq!((scale.mean, scale.spread, scale.standardized(7.0)), (3.0, 2.0, 2.0));
    }
}
