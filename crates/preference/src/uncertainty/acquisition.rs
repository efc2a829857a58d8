//! Acquisition: which pairs to ask about next, each by itself.
//!
//! **Papers:** Bayesian Active Learning for Classification and Preference Learning (2011), 1112.5745 (BALD); Stochastic Batch
//! Acquisition: A Simple Baseline for Deep Active Learning (2021), 2106.12059 (perturbed scores); Not All Preference Pairs Are
//! Created Equal: A Recipe for Annotation-Efficient Iterative Preference Learning (2024), 2406.17312 (margins);
//! Prediction-Oriented Bayesian Active Learning (2023), 2304.08151 (EPIG).
//! **Use when:** labels cost more than scores do.
//! **Checked by:** hand-worked orders and gains, frequencies of perturbed choices.
//! **Deviations:** none.

use accordant_ops::check_domain;
use rand::Rng;
use rand_distr::Gumbel;
use serde::{Deserialize, Serialize};

use super::ensemble::{Decomposition, decompose};
use crate::{
    Error, Result,
    error::{check_index, check_length, check_record},
    random::{Purpose, stream},
};

/// What makes a pair worth asking about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Criterion {
    /// What members disagree about (BALD).
    Disagreement,
    /// The entropy of their mean chance, whether more labels would help or not.
    Entropy,
    /// The variance of the members' chances.
    Variance,
    /// How near the mean chance is to ½: the smallest margins first.
    SmallestMargin,
}

impl Criterion {
    /// How much a pair is worth: the more the better, and 0 at least.
    pub fn of(self, pair: &Decomposition) -> f64 {
        match self {
            Self::Disagreement => pair.epistemic,
            Self::Entropy => pair.total,
            Self::Variance => pair.variance,
            Self::SmallestMargin => 1.0 - (2.0 * pair.chance - 1.0).abs(),
        }
    }
}

/// How chance comes in, so that a batch is not all of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Perturbation {
    /// Not at all: the best ones, equal ones by their place.
    None,
    /// `β log s + Gumbel`: in proportion to `s^β`, β finite and > 0. Worthless pairs are never taken before others.
    Power(f64),
    /// `β s + Gumbel`: in proportion to `e^{βs}`.
    Softmax(f64),
    /// `−β log rank + Gumbel`: in proportion to `rank^−β`, whatever the sizes.
    SoftRank(f64),
}

/// The places of the `count` pairs to ask about, best first; all of them when there are no more.
///
/// `scores`: how much each pair is worth, finite and, for [`Perturbation::Power`], ≥ 0.
///
/// # Errors
/// [`Error::Record`] for a score outside of its domain, a domain error naming `beta`.
///
/// # Example
/// ```
/// use accordant_preference::uncertainty::acquisition::{Perturbation, select};
/// assert_eq!(select(&[0.2, 0.5, 0.1, 0.5], 3, Perturbation::None, 0)?, [1, 3, 0]);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[doc(alias = "PowerBALD")]
pub fn select(scores: &[f64], count: usize, perturbation: Perturbation, seed: u64) -> Result<Vec<usize>> {
    if let Perturbation::Power(beta) | Perturbation::Softmax(beta) | Perturbation::SoftRank(beta) = perturbation {
        check_domain(beta.is_finite() && beta > 0.0, "beta", "finite and > 0", beta)?;
    }
    for (row, &score) in scores.iter().enumerate() {
        check_record(score.is_finite(), row, "scores", "finite", score)?;
        if let Perturbation::Power(_) = perturbation {
            check_record(score >= 0.0, row, "scores", ">= 0", score)?;
        }
    }
    let descending = |keys: &[f64]| {
        let mut order: Vec<usize> = (0..keys.len()).collect();
        order.sort_by(|&a, &b| keys[b].total_cmp(&keys[a]));
        order
    };
    let mut rng = stream(seed, Purpose::Sample, 0);
    let gumbel = Gumbel::new(0.0, 1.0).expect("a positive scale");
    let mut noise = || -> f64 { rng.sample(gumbel) };
    let keys: Vec<f64> = match perturbation {
        Perturbation::None => scores.to_vec(),
        Perturbation::Power(beta) => scores.iter().map(|score| beta * score.ln() + noise()).collect(),
        Perturbation::Softmax(beta) => scores.iter().map(|score| beta * score + noise()).collect(),
        Perturbation::SoftRank(beta) => {
            let mut keys = vec![0.0; scores.len()];
            for (rank, place) in descending(scores).into_iter().enumerate() {
                keys[place] = -beta * ((rank + 1) as f64).ln() + noise();
            }
            keys
        }
    };
    let mut order = descending(&keys);
    order.truncate(count);
    Ok(order)
}

/// What the label of each pair would teach about the labels of `targets`, the pairs that matter in the end (EPIG), in nats: a
/// score for [`select`].
///
/// ```text
/// mean over targets * of  Σ_{y, y*} p(y, y*) log( p(y, y*) / p(y) p(y*) ),   p(y, y*) = mean_e p_e(y) p_e(y*)
/// ```
///
/// `chances` `[members][n]` and `targets` `[members][m]`: the members' chances that the first sides are preferred.
///
/// # Errors
/// As [`decompose`] for either; [`Error::Length`] naming `targets` for other members, [`Error::Empty`] without a target.
///
/// # Example
/// ```
/// use accordant_preference::uncertainty::acquisition::expected_gains;
/// // Two members who disagree about the first pair and the target, and agree about the second pair.
/// let gains = expected_gains(&[vec![1.0, 0.5], vec![0.0, 0.5]], &[vec![0.0], vec![1.0]])?;
/// assert!((gains[0] - 2f64.ln()).abs() < 1e-12 && gains[1].abs() < 1e-12);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[doc(alias = "EPIG")]
#[doc(alias = "2304.08151")]
pub fn expected_gains(chances: &[Vec<f64>], targets: &[Vec<f64>]) -> Result<Vec<f64>> {
    let pairs = decompose(chances)?;
    check_length("targets", chances.len(), targets.len())?;
    let wanted = decompose(targets)?;
    if wanted.is_empty() {
        return Err(Error::Empty { name: "targets", reason: "there is none" });
    }
    let members = chances.len() as f64;
    let gain = |at: usize, target: usize| -> f64 {
        // The chance that both first sides are preferred; the other three follow from it.
        let both = chances.iter().zip(targets).map(|(p, q)| p[at] * q[target]).sum::<f64>() / members;
        let (p, q) = (pairs[at].chance, wanted[target].chance);
        let joint = [(both, p * q), (p - both, p * (1.0 - q)), (q - both, (1.0 - p) * q)];
        let neither = (1.0 - p - q + both, (1.0 - p) * (1.0 - q));
        // Rounding may leave a little less than nothing.
        let term =
            |(joint, apart): (f64, f64)| if joint > 0.0 && apart > 0.0 { joint * (joint / apart).ln() } else { 0.0 };
        joint.into_iter().chain([neither]).map(term).sum::<f64>().max(0.0)
    };
    let mean = |at| (0..wanted.len()).map(|target| gain(at, target)).sum::<f64>() / wanted.len() as f64;
    Ok((0..pairs.len()).map(mean).collect())
}

/// Labels to start with when there is none: which side of each pair is higher on the first principal component of the items'
/// features, 1, 0 or ½.
///
/// The component's direction is that in which the sum of its loadings is positive: its sign is arbitrary, as the labels are until real ones
/// come.
///
/// # Errors
/// [`Error::Length`] for features of other lengths, [`Error::Record`] for one that is not finite, [`Error::Index`] for an
/// unknown item, [`Error::Empty`] naming `features` when no item differs from another, a domain error when squares overflow.
///
/// # Example
/// ```
/// use accordant_preference::uncertainty::acquisition::pseudo_labels;
/// let features = [vec![0.0, 1.0], vec![4.0, 1.5], vec![8.0, 2.0]];
/// assert_eq!(pseudo_labels(&features, &[(0, 1), (2, 1), (1, 1)])?, [0.0, 1.0, 0.5]);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[doc(alias = "cold start")]
pub fn pseudo_labels(features: &[Vec<f64>], pairs: &[(usize, usize)]) -> Result<Vec<f64>> {
    let width = features.first().map_or(0, Vec::len);
    for (row, item) in features.iter().enumerate() {
        check_length("features", width, item.len())?;
        for &value in item {
            check_record(value.is_finite(), row, "features", "finite", value)?;
        }
    }
    for (row, &(first, second)) in pairs.iter().enumerate() {
        check_index(row, "first", first, features.len())?;
        check_index(row, "second", second, features.len())?;
    }
    let n = features.len() as f64;
    let mean: Vec<f64> = (0..width).map(|f| features.iter().map(|item| item[f]).sum::<f64>() / n).collect();
    let mut covariance = nalgebra::DMatrix::<f64>::zeros(width, width);
    for item in features {
        let gap = nalgebra::DVector::from_iterator(width, item.iter().zip(&mean).map(|(x, m)| x - m));
        covariance.ger(1.0, &gap, &gap, 1.0);
    }
    let spread = covariance.trace();
    check_domain(spread.is_finite(), "features", "values whose squares do not overflow", spread)?;
    // Equal rows before their mean, whose rounding would make a spread of them.
    if features.windows(2).all(|two| two[0] == two[1]) || spread <= 0.0 {
        return Err(Error::Empty { name: "features", reason: "no item differs from another" });
    }
    let eigen = covariance.symmetric_eigen();
    let mut direction = eigen.eigenvectors.column(eigen.eigenvalues.imax()).into_owned();
    if direction.sum() < 0.0 {
        direction = -direction;
    }
    let place = |item: usize| features[item].iter().zip(direction.iter()).map(|(x, d)| x * d).sum::<f64>();
    Ok(pairs
        .iter()
        .map(|&(a, b)| (place(a) - place(b)).partial_cmp(&0.0))
        .map(|order| match order {
            Some(std::cmp::Ordering::Greater) => 1.0,
            Some(std::cmp::Ordering::Less) => 0.0,
            _ => 0.5,
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::distributional::testing::{near, starts};

    #[test]
    fn criteria_order_pairs_differently() {
        // Split and sure; undecided; agreed.
        let pairs = decompose(&[vec![1.0, 0.5, 0.8], vec![0.2, 0.5, 0.8]]).unwrap();
        let values = |criterion: Criterion| pairs.iter().map(|pair| criterion.of(pair)).collect::<Vec<_>>();
        let order = |criterion| select(&values(criterion), 3, Perturbation::None, 0).unwrap();
        assert_eq!(order(Criterion::Disagreement)[0], 0);
        assert_eq!(order(Criterion::Entropy), [1, 0, 2]);
        assert_eq!(order(Criterion::SmallestMargin), [1, 0, 2]);
        assert_eq!(order(Criterion::Variance), [0, 1, 2]);
        near(&values(Criterion::SmallestMargin), &[0.8, 1.0, 0.4], 1e-12);
        near(&values(Criterion::Variance), &[0.16, 0.0, 0.0], 1e-12);
        near(&values(Criterion::Entropy), &pairs.iter().map(|pair| pair.total).collect::<Vec<_>>(), 0.0);
        near(&values(Criterion::Disagreement), &pairs.iter().map(|pair| pair.epistemic).collect::<Vec<_>>(), 0.0);
    }

    #[test]
    fn a_label_is_worth_what_it_says_about_the_targets() {
        // Members 0.9 and 0.3 of the pair, 0.2 and 0.6 of the target: both (0.18 + 0.18)/2 = 0.18, with means 0.6 and 0.4;
        // so 0.42, 0.22 and 0.18 for the others, against 0.24, 0.36, 0.16 and 0.24 if they were independent.
        let (pair, target) = ([vec![0.9], vec![0.3]], [vec![0.2], vec![0.6]]);
        let by_hand =
            0.18 * (0.75f64).ln() + 0.42 * (7.0f64 / 6.0).ln() + 0.22 * (1.375f64).ln() + 0.18 * (0.75f64).ln();
        near(&expected_gains(&pair, &target).unwrap(), &[by_hand], 1e-14);
        near(&expected_gains(&target, &pair).unwrap(), &[by_hand], 1e-14);
        // The mean over two targets, of which the members agree about one.
        near(&expected_gains(&pair, &[vec![0.2, 0.5], vec![0.6, 0.5]]).unwrap(), &[by_hand / 2.0], 1e-14);
        // No more than the members disagree about the pair.
        assert!(by_hand < decompose(&pair).unwrap()[0].epistemic);
        near(&expected_gains(&[vec![1.0, 0.0]], &[vec![1.0]]).unwrap(), &[0.0, 0.0], 0.0);
        starts(expected_gains(&pair, &target[..1]), "`targets`: expected 2 entries");
        starts(expected_gains(&pair, &[vec![], vec![]]), "`targets`: nothing");
        starts(expected_gains(&pair, &[vec![1.5], vec![0.1]]), "record 0: `chances`");
        starts(expected_gains(&[], &[]), "`chances`: nothing");
    }

    #[test]
    fn perturbed_choices_have_the_frequencies_they_are_named_for() {
        let scores = [0.1, 0.4, 0.2, 0.0];
        let shares = |perturbation| {
            let mut counts = [0.0; 4];
            for seed in 0..20_000 {
                counts[select(&scores, 1, perturbation, seed).unwrap()[0]] += 1.0 / 20_000.0;
            }
            counts
        };
        // Four standard errors are at most 0.0142.
        near(&shares(Perturbation::Power(1.0)), &[1.0 / 7.0, 4.0 / 7.0, 2.0 / 7.0, 0.0], 0.0142);
        near(&shares(Perturbation::Power(2.0)), &[1.0 / 21.0, 16.0 / 21.0, 4.0 / 21.0, 0.0], 0.0142);
        let weights = scores.map(|s: f64| (5.0 * s).exp());
        let total: f64 = weights.iter().sum();
        near(&shares(Perturbation::Softmax(5.0)), &weights.map(|weight| weight / total), 0.0142);
        let ranks = [3.0, 1.0, 2.0, 4.0].map(|rank: f64| rank.recip());
        let total: f64 = ranks.iter().sum();
        near(&shares(Perturbation::SoftRank(1.0)), &ranks.map(|rank| rank / total), 0.0142);
    }

    #[test]
    fn a_selection_has_no_duplicates_and_no_more_than_there_is() {
        let scores = [0.3; 9];
        for perturbation in [Perturbation::None, Perturbation::Power(1.0), Perturbation::Softmax(2.0)] {
            let mut all = select(&scores, 20, perturbation, 4).unwrap();
            all.sort_unstable();
            assert_eq!(all, (0..9).collect::<Vec<_>>());
        }
        assert_eq!(select(&scores, 2, Perturbation::None, 0).unwrap(), [0, 1], "equal ones by their place");
        assert!(select(&[], 3, Perturbation::None, 0).unwrap().is_empty());
        starts(select(&[f64::NAN], 1, Perturbation::None, 0), "record 0: `scores`");
        starts(select(&[-1.0], 1, Perturbation::Power(1.0), 0), "record 0: `scores`: expected >= 0");
        select(&[-1.0], 1, Perturbation::Softmax(1.0), 0).unwrap();
        for beta in [0.0, f64::NAN, f64::INFINITY] {
            for perturbation in [Perturbation::Power(beta), Perturbation::Softmax(beta), Perturbation::SoftRank(beta)] {
                starts(select(&[1.0], 1, perturbation, 0), "`beta`");
            }
        }
    }

    #[test]
    fn the_first_component_labels_pairs_before_anybody_does() {
        // Most of the spread is along (1, 1); the third feature is noise.
        let features = vec![vec![-3.0, -3.0, 0.1], vec![0.0, 0.2, -0.1], vec![3.0, 2.8, 0.0]];
        assert_eq!(pseudo_labels(&features, &[(0, 1), (1, 0), (2, 0), (0, 2)]).unwrap(), [0.0, 1.0, 1.0, 0.0]);
        // Far from 0, where the level has the largest squares and the second feature the spread.
        let far = [vec![100.0, 0.0], vec![99.9, 1.0], vec![100.1, 3.0]];
        assert_eq!(pseudo_labels(&far, &[(0, 1), (2, 1), (2, 0)]).unwrap(), [0.0, 1.0, 1.0]);
        starts(pseudo_labels(&[vec![1.0], vec![1.0]], &[]), "`features`: nothing");
        starts(pseudo_labels(&[vec![], vec![]], &[]), "`features`: nothing");
        starts(pseudo_labels(&[vec![1e200], vec![-1e200]], &[]), "`features`: expected values whose squares");
        starts(pseudo_labels(&[], &[]), "`features`: nothing");
        starts(pseudo_labels(&[vec![1.0], vec![]], &[]), "`features`: expected 1 entries");
        starts(pseudo_labels(&[vec![f64::NAN]], &[]), "record 0: `features`");
        starts(pseudo_labels(&features, &[(0, 3)]), "record 0: `second`");
        starts(pseudo_labels(&features, &[(3, 0)]), "record 0: `first`");
    }

    #[test]
    fn labels_that_never_agree_tell_all_and_chances_next_to_none_nothing() {
        near(
            &expected_gains(&[vec![1.0, 0.5], vec![0.0, 0.5]], &[vec![0.0], vec![1.0]]).unwrap(),
            &[2f64.ln(), 0.0],
            1e-15,
        );
        near(&expected_gains(&[vec![1.0], vec![0.0]], &[vec![1.0], vec![0.0]]).unwrap(), &[2f64.ln()], 1e-15);
        // Both sides together have the smallest chance there is, and the product of their chances is smaller.
        let tiny = [vec![4.5e-162], vec![0.0], vec![0.0], vec![0.0]];
        assert_eq!(expected_gains(&tiny, &tiny).unwrap(), [0.0]);
    }

    #[test]
    fn the_first_component_points_to_where_loadings_add_up_to_more_than_nothing() {
        // Items along every direction, and two across it by which loadings and their sum disagree.
        for degrees in (0..360).step_by(10) {
            let angle = f64::from(degrees).to_radians();
            let (x, y) = (angle.cos(), angle.sin());
            let at = |along: f64, across: f64| vec![along * x - across * y, along * y + across * x];
            let features = [at(-9.0, 0.0), at(9.0, 0.0), at(0.0, 3.0), at(0.5, -3.0)];
            if (x + y).abs() < 1e-6 {
                continue;
            }
            let up = f64::from(u8::from(x + y > 0.0));
            let labels = pseudo_labels(&features, &[(1, 0), (0, 1), (3, 2), (2, 2)]).unwrap();
            // The component is turned from the direction by less than half a degree.
            assert_eq!(labels, [up, 1.0 - up, up, 0.5], "{degrees}°");
        }
        starts(pseudo_labels(&vec![vec![0.1]; 3], &[]), "`features`: nothing");
        starts(pseudo_labels(&[vec![1e-200], vec![-1e-200]], &[]), "`features`: nothing");
    }
}
