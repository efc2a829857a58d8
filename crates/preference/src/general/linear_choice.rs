//! Leximax Copeland subject to Pareto optimality: a linear social choice rule.
//!
//! **Paper:** Axioms for AI Alignment from Human Feedback (2024), 2405.14758.
//! **Use when:** several people's rankings are to become one linear reward that never contradicts what all of them agree on. A
//! fit of Bradley-Terry scores, and every other rule by a convex loss of differences, can.
//! **Checked by:** the published counterexample to Bradley-Terry, the paper's own instance, unanimity, majorities, dominance by
//! random linear voters.
//! **Deviations:** none; equal Copeland scores are taken in the order of the items.

use accordant_ops::check_domain;
use microlp::{ComparisonOp, OptimizationDirection, Problem};
use serde::{Deserialize, Serialize};

use super::{PreferenceMatrix, winners::copeland_scores};
use crate::{
    Error, Result,
    error::{check_length, check_record},
};

/// An order of items by a linear reward.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LinearOrder {
    /// All items, best first.
    pub order: Vec<usize>,
    /// A reward vector whose scores `⟨θ, x_i⟩` give that order, no entry beyond 1.
    pub weights: Vec<f64>,
}

/// By how much a normalized difference of features must score to count as > 0.
const MARGIN: f64 = 1e-9;

/// The linear order whose top has the best Copeland scores, of those that agree with all voters where all voters agree.
///
/// From the top, each place goes to the item with the best Copeland score for which a reward `θ` is left that puts the items
/// in this order, all others below, and that respects every unanimous pair:
///
/// ```text
/// maximize t   subject to   ⟨θ, (x_i − x_j) / ‖x_i − x_j‖⟩ ≥ t  for every pair i above j,   ‖θ‖_∞ ≤ 1;   possible iff t > 0
/// ```
///
/// `features` has a row for each item, `rankings` all items of each voter, best first. The voters' own rankings should be
/// linear in the features: where no reward respects all unanimous pairs there is no such order. `O(n²)` linear programs.
///
/// # Errors
/// [`Error::Empty`] without an item, a feature or a voter; [`Error::Length`] for rows of different lengths; [`Error::Record`]
/// for features that are not finite; the errors of [`PreferenceMatrix::from_rankings`]; [`Error::Combination`] for two items
/// with the same features and for unanimous pairs that no linear reward respects; [`Error::LinearProgram`].
///
/// # Example
/// ```
/// use accordant_preference::general::linear_choice::leximax_copeland;
/// // Items on a line, and voters who want more of it: two of three.
/// let features = [vec![0.0], vec![1.0], vec![2.0]];
/// let found = leximax_copeland(&features, &[vec![2, 1, 0], vec![2, 1, 0], vec![0, 1, 2]])?;
/// assert_eq!(found.order, [2, 1, 0]);
/// assert!(found.weights[0] > 0.0);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[doc(alias = "2405.14758")]
#[doc(alias = "LCPO")]
#[doc(alias = "linear social choice")]
pub fn leximax_copeland(features: &[Vec<f64>], rankings: &[Vec<usize>]) -> Result<LinearOrder> {
    let n = features.len();
    let directions = Directions::new(features)?;
    let votes = PreferenceMatrix::from_rankings(n, rankings)?;
    let scores = copeland_scores(&votes);
    let mut candidates: Vec<usize> = (0..n).collect();
    candidates.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
    let unanimous = unanimous_pairs(&votes);
    let mut weights = directions.reward(&unanimous)?.ok_or(Error::Combination {
        what: "rankings",
        reason: "no linear reward agrees with what all voters agree on",
    })?;
    let mut order: Vec<usize> = Vec::with_capacity(n);
    while !candidates.is_empty() {
        let mut found = None;
        for (at, &candidate) in candidates.iter().enumerate() {
            let mut pairs = unanimous.clone();
            let placed: Vec<usize> = order.iter().copied().chain([candidate]).collect();
            pairs.extend(placed.windows(2).map(|pair| (pair[0], pair[1])));
            pairs.extend(candidates.iter().filter(|&&other| other != candidate).map(|&other| (candidate, other)));
            if let Some(reward) = directions.reward(&pairs)? {
                found = Some((at, reward));
                break;
            }
        }
        // The last reward orders the rest in some way; only rounding can leave none.
        let (at, reward) = found.ok_or(Error::Combination {
            what: "features",
            reason: "items are so close to each other that no reward tells them apart",
        })?;
        order.push(candidates.remove(at));
        weights = reward;
    }
    Ok(LinearOrder { order, weights })
}

/// Pairs `(above, below)` that all voters rank alike.
fn unanimous_pairs(votes: &PreferenceMatrix) -> Vec<(usize, usize)> {
    let n = votes.num_items();
    let pairs = (0..n).flat_map(|i| (0..n).map(move |j| (i, j)));
    pairs.filter(|&(i, j)| votes.margin(i, j) == 0.5).collect()
}

/// Which unanimous pairs `(above, below)` an order contradicts.
///
/// # Errors
/// As [`PreferenceMatrix::from_rankings`], of `order` too.
///
/// # Example
/// ```
/// use accordant_preference::general::linear_choice::pareto_violations;
/// let rankings = [vec![0, 1, 2], vec![1, 0, 2]];
/// assert_eq!(pareto_violations(&[0, 2, 1], &rankings)?, [(1, 2)]);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
pub fn pareto_violations(order: &[usize], rankings: &[Vec<usize>]) -> Result<Vec<(usize, usize)>> {
    let votes = PreferenceMatrix::from_rankings(order.len(), rankings)?;
    let own = PreferenceMatrix::from_rankings(order.len(), &[order.to_vec()])?;
    Ok(unanimous_pairs(&votes).into_iter().filter(|&(above, below)| own.beats(below, above)).collect())
}

/// Differences of features, each of length 1.
struct Directions {
    num_features: usize,
    num_items: usize,
    unit: Vec<Vec<f64>>,
}

impl Directions {
    fn new(features: &[Vec<f64>]) -> Result<Self> {
        let num_items = features.len();
        let num_features = features.first().map_or(0, Vec::len);
        if num_features == 0 {
            return Err(Error::Empty { name: "features", reason: "there is no item, or no feature" });
        }
        for (row, item) in features.iter().enumerate() {
            check_length("features", num_features, item.len())?;
            item.iter().try_for_each(|x| check_record(x.is_finite(), row, "features", "a finite number", *x))?;
        }
        let mut unit = Vec::with_capacity(num_items * num_items);
        for (i, j) in (0..num_items).flat_map(|i| (0..num_items).map(move |j| (i, j))) {
            let difference: Vec<f64> = features[i].iter().zip(&features[j]).map(|(a, b)| a - b).collect();
            let largest = difference.iter().fold(0.0, |largest: f64, x| largest.max(x.abs()));
            check_domain(largest.is_finite(), "features", "differences that do not overflow", largest)?;
            if largest == 0.0 && i != j {
                let reason = "two items have the same, and no linear order tells them apart";
                return Err(Error::Combination { what: "features", reason });
            }
            let norm = largest * difference.iter().map(|x| (x / largest).powi(2)).sum::<f64>().sqrt();
            unit.push(difference.into_iter().map(|x| x / norm).collect());
        }
        Ok(Self { num_features, num_items, unit })
    }

    /// A reward that scores every first item above its second, if there is one.
    fn reward(&self, pairs: &[(usize, usize)]) -> Result<Option<Vec<f64>>> {
        let unit = |&(i, j): &(usize, usize)| &self.unit[i * self.num_items + j];
        let mut problem = Problem::new(OptimizationDirection::Maximize);
        let theta: Vec<_> = (0..self.num_features).map(|_| problem.add_var(0.0, (-1.0, 1.0))).collect();
        let least = problem.add_var(1.0, (f64::NEG_INFINITY, 1.0));
        for pair in pairs {
            let row = theta.iter().copied().zip(unit(pair).iter().copied()).chain([(least, -1.0)]);
            problem.add_constraint(row.collect::<Vec<_>>(), ComparisonOp::Ge, 0.0);
        }
        let failed = |source| Error::LinearProgram { what: "linear order", source };
        let solution = problem.solve().map_err(failed)?;
        let solution = solution.into_solution().expect("without a limit of time, a solver ends with a solution");
        let weights: Vec<f64> = theta.iter().map(|&theta| solution.var_value(theta)).collect();
        // What counts is what the reward does, not what the solver says: its tolerance is larger than the margin.
        let score = |pair| unit(pair).iter().zip(&weights).map(|(x, w)| x * w).sum::<f64>();
        Ok(pairs.iter().all(|pair| score(pair) > MARGIN).then_some(weights))
    }
}

#[cfg(test)]
mod tests {
    use nalgebra::{DMatrix, DVector};
    use rand::Rng;

    use super::*;
    use crate::{
        link::{Link, Logit},
        optimize::{Quadratic, Stop, newton},
        random::{Purpose, stream},
    };

    fn dot(a: &[f64], b: &[f64]) -> f64 {
        a.iter().zip(b).map(|(a, b)| a * b).sum()
    }

    /// All items in the order of a linear reward.
    fn ranked(features: &[Vec<f64>], theta: &[f64]) -> Vec<usize> {
        let mut order: Vec<usize> = (0..features.len()).collect();
        order.sort_by(|&a, &b| dot(&features[b], theta).total_cmp(&dot(&features[a], theta)));
        order
    }

    /// Bradley-Terry with scores `⟨θ, x⟩` on the voters' shares.
    fn bradley_terry(features: &[Vec<f64>], votes: &PreferenceMatrix) -> Vec<f64> {
        let (n, d) = (features.len(), features[0].len());
        let f = |theta: &DVector<f64>| {
            let mut at = Quadratic { value: 0.0, gradient: DVector::zeros(d), hessian: DMatrix::zeros(d, d) };
            for (i, j) in (0..n).flat_map(|i| (0..n).map(move |j| (i, j))).filter(|(i, j)| i != j) {
                let x = DVector::from_fn(d, |k, _| features[i][k] - features[j][k]);
                let log_prob = Logit.first(x.dot(theta), 0.0);
                at.value -= votes.chance(i, j) * log_prob.value;
                at.gradient -= &x * (votes.chance(i, j) * log_prob.d);
                at.hessian -= &x * x.transpose() * (votes.chance(i, j) * log_prob.d_d);
            }
            at
        };
        let (theta, report) = newton(f, DVector::zeros(d), Stop { gradient: 1e-11, max_iterations: 200 });
        assert!(report.converged, "{report:?}");
        theta.iter().copied().collect()
    }

    #[test]
    fn bradley_terry_contradicts_all_voters_where_leximax_copeland_does_not() {
        let features = [vec![0.1, 0.0], vec![15.5, 21.9], vec![-0.1, 0.0], vec![0.6, 1.8]];
        let voters = [[2.3, -0.3], [0.7, 0.2], [1.4, -1.3]];
        let rankings = voters.map(|voter| ranked(&features, &voter));
        let votes = PreferenceMatrix::from_rankings(4, &rankings).unwrap();
        let theta = bradley_terry(&features, &votes);
        assert!((theta[0] + 0.31567).abs() < 1e-5 && (theta[1] - 0.26034).abs() < 1e-5, "{theta:?}");
        let scores: Vec<f64> = features.iter().map(|x| dot(x, &theta)).collect();
        let published = [-0.03157, 0.80868, 0.03157, 0.27922];
        assert!(scores.iter().zip(published).all(|(a, b)| (a - b).abs() < 1e-5), "{scores:?}");
        assert_eq!(pareto_violations(&ranked(&features, &theta), &rankings).unwrap(), [(0, 2)]);
        let found = leximax_copeland(&features, &rankings).unwrap();
        assert_eq!(found.order, [1, 3, 0, 2]);
        assert_eq!(ranked(&features, &found.weights), found.order);
        assert_eq!(pareto_violations(&found.order, &rankings).unwrap(), []);
    }

    #[test]
    fn the_instance_of_the_paper_splits_a_unanimous_pair() {
        // a, b, c and copies moved by ε to the left, that of c also up by δε: voters (1, 1) with share 0.7, (−1, 0) with 0.3.
        let (epsilon, delta) = (0.05, 2.0);
        let moved = |x: [f64; 2], up: f64| vec![x[0] - epsilon, x[1] + up];
        let [a, b, c] = [[2.0, 1.0], [1.0, 1.0], [0.0, 0.0]];
        let features = [a.to_vec(), b.to_vec(), c.to_vec(), moved(a, 0.0), moved(b, 0.0), moved(c, delta * epsilon)];
        let rankings: Vec<Vec<usize>> =
            (0..10).map(|voter| ranked(&features, if voter < 7 { &[1.0, 1.0] } else { &[-1.0, 0.0] })).collect();
        let votes = PreferenceMatrix::from_rankings(6, &rankings).unwrap();
        let theta = bradley_terry(&features, &votes);
        assert!((theta[0] - 0.51274).abs() < 1e-5 && (theta[1] - 0.13042).abs() < 1e-5, "{theta:?}");
        assert!((dot(&features[5], &theta) + 0.0126).abs() < 1e-4);
        assert_eq!(pareto_violations(&ranked(&features, &theta), &rankings).unwrap(), [(5, 2)]);
        let found = leximax_copeland(&features, &rankings).unwrap();
        assert_eq!(pareto_violations(&found.order, &rankings).unwrap(), []);
        assert_eq!(found.order, rankings[0], "the majority's ranking is linear and respects the pair");
    }

    #[test]
    fn one_voter_gets_that_voters_ranking() {
        for index in 0..10 {
            let mut rng = stream(6, Purpose::World, index);
            let mut point =
                || vec![rng.random_range(-1.0..1.0), rng.random_range(-1.0..1.0), rng.random_range(-1.0..1.0)];
            let features: Vec<Vec<f64>> = (0..6).map(|_| point()).collect();
            let ranking = ranked(&features, &point());
            assert_eq!(leximax_copeland(&features, std::slice::from_ref(&ranking)).unwrap().order, ranking);
        }
    }

    #[test]
    fn orders_of_random_voters_are_linear_and_respect_unanimity() {
        let mut unanimous = 0;
        for index in 20..40 {
            let mut rng = stream(6, Purpose::World, index);
            let mut point = |low: f64| vec![rng.random_range(low..1.0), rng.random_range(low..1.0)];
            let features: Vec<Vec<f64>> = (0..6).map(|_| point(-1.0)).collect();
            let rankings: Vec<Vec<usize>> = (0..3).map(|_| ranked(&features, &point(-0.3))).collect();
            let found = leximax_copeland(&features, &rankings).unwrap();
            assert_eq!(ranked(&features, &found.weights), found.order);
            assert!(found.weights.iter().all(|weight| weight.abs() <= 1.0 + 1e-9));
            assert_eq!(pareto_violations(&found.order, &rankings).unwrap(), []);
            let votes = PreferenceMatrix::from_rankings(6, &rankings).unwrap();
            unanimous += unanimous_pairs(&votes).len();
            // Copeland's order itself, where it is some voter's.
            let scores = copeland_scores(&votes);
            if let Some(own) = rankings.iter().find(|own| own.windows(2).all(|p| scores[p[0]] > scores[p[1]])) {
                assert_eq!(&found.order, own);
            }
        }
        assert!(unanimous > 50, "{unanimous}");
    }

    #[test]
    fn an_item_between_two_others_is_never_first() {
        // 1 beats both others, and no linear reward has a maximum between two points. Of the others 0 beats 2.
        let features = [vec![0.0, 0.0], vec![1.0, 0.0], vec![2.0, 0.0]];
        let rankings = [vec![1, 0, 2], vec![0, 1, 2], vec![2, 1, 0]];
        assert_eq!(leximax_copeland(&features, &rankings).unwrap().order, [0, 1, 2]);
    }

    #[test]
    fn what_has_no_linear_order_is_an_error() {
        let text = |features: &[Vec<f64>], rankings: &[Vec<usize>]| {
            leximax_copeland(features, rankings).unwrap_err().to_string()
        };
        let line = [vec![0.0], vec![1.0], vec![2.0]];
        assert!(text(&[vec![1.0], vec![1.0]], &[vec![0, 1]]).contains("two items have the same"));
        assert!(text(&line, &[vec![1, 0, 2]]).contains("no linear reward agrees"));
        assert!(text(&[], &[]).starts_with("`features`: nothing"));
        assert!(text(&[vec![]], &[vec![0]]).starts_with("`features`: nothing"));
        assert!(text(&[vec![0.0], vec![1.0, 2.0]], &[vec![0, 1]]).starts_with("`features`: expected 1"));
        assert!(text(&[vec![0.0], vec![f64::NAN]], &[vec![0, 1]]).starts_with("record 1: `features`"));
        assert!(text(&[vec![-1e308], vec![1e308]], &[vec![0, 1]]).contains("do not overflow"));
        assert!(text(&line, &[]).starts_with("`rankings`"));
        assert!(pareto_violations(&[0, 0], &[vec![0, 1]]).is_err());
        let one = leximax_copeland(&[vec![3.0]], &[vec![0]]).unwrap();
        assert_eq!(one.order, [0]);
    }
}
