//! Mixture of Plackett-Luce models by expectation-maximization.
//!
//! **Paper:** The Analysis of Permutations (R. L. Plackett, 1975) and Individual Choice Behavior (R. D. Luce, 1959), mixed
//! as in Mixture Models for Analyzing Preference Data (T. B. Murphy and D. Martin, 2003).
//! **Use when:** users rank items, and there are several kinds of users.
//! **Checked by:** a published fit of six rankings, chances of all orders adding up to 1, pairs being Bradley-Terry.
//! **Deviations:** items that a ranking does not list were not offered; they say nothing.

use accordant_ops::{
    check_domain,
    host::{self, log_sum_exp},
};
use burn::config::Config;
use nalgebra::{DMatrix, DVector};
use serde::{Deserialize, Serialize};

use super::em::{Components, Em, EmConfig, EmReport};
use crate::{
    Error, Result,
    error::{check_index, check_length},
    optimize::{Quadratic, Stop, newton},
};

/// The log-probability of a ranking, best first, under scores: `Σ_i [ s_{π(i)} − log Σ_{j ≥ i} exp s_{π(j)} ]`, in nats.
///
/// A ranking of one item or none says nothing: 0.
///
/// # Errors
/// [`Error::Index`] naming `item`, [`Error::Repeated`] for an item that is ranked twice.
///
/// # Example
/// ```
/// use accordant_preference::plural::ranking_mixture::ranking_log_prob;
/// let log_prob = ranking_log_prob(&[0.3, -0.2, 1.0, 0.1], &[2, 0, 3, 1])?;
/// assert!((log_prob + 2.23072687).abs() < 1e-8);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
pub fn ranking_log_prob(scores: &[f64], ranking: &[usize]) -> Result<f64> {
    check_ranking(0, ranking, scores.len())?;
    Ok(log_prob(scores, ranking))
}

fn log_prob(scores: &[f64], ranking: &[usize]) -> f64 {
    let ranked: Vec<f64> = ranking.iter().map(|&item| scores[item]).collect();
    (0..ranked.len()).map(|stage| ranked[stage] - log_sum_exp(&ranked[stage..])).sum()
}

fn check_ranking(row: usize, ranking: &[usize], num_items: usize) -> Result<()> {
    let mut seen = vec![false; num_items];
    for &item in ranking {
        check_index(row, "item", item, num_items)?;
        if std::mem::replace(&mut seen[item], true) {
            return Err(Error::Repeated { row, item });
        }
    }
    Ok(())
}

/// Configuration of a mixture of Plackett-Luce models, fitted by EM.
///
/// ```text
/// maximize  Σ_u log Σ_k π_k Π_{rankings of u} P_k − ½ prior Σ_k ‖s_k‖² + (a − 1) Σ_k log π_k
/// ```
#[derive(Config, Debug, PartialEq)]
pub struct RankingMixtureConfig {
    /// How many components, how they are found and when that ends.
    pub em: EmConfig,
    /// The precision of a normal prior on each score of each component, finite and > 0. 1: ours.
    #[config(default = 1.0)]
    pub prior: f64,
}

impl RankingMixtureConfig {
    /// Fits the components to the rankings of each user, best first, of `num_items` items.
    ///
    /// # Errors
    /// A domain error naming `prior` or a field of EM's; [`Error::Index`] or [`Error::Repeated`] with the user for a ranking
    /// that is none; [`Error::Empty`] with less than one user who ranked at least two items per component.
    ///
    /// # Example
    /// ```
    /// use accordant_preference::plural::{em::EmConfig, ranking_mixture::RankingMixtureConfig};
    /// // Two rankings of three put the first item first.
    /// let users = vec![vec![vec![0, 1]], vec![vec![0, 1]], vec![vec![1, 0]]];
    /// let one = RankingMixtureConfig::new(EmConfig::new(1)).with_prior(1e-9).fit(2, &users)?;
    /// assert!((one.scores[0][0] - one.scores[0][1] - 2f64.ln()).abs() < 1e-6);
    /// # Ok::<(), accordant_preference::Error>(())
    /// ```
    pub fn fit(&self, num_items: usize, users: &[Vec<Vec<usize>>]) -> Result<RankingMixture> {
        check_domain(self.prior.is_finite() && self.prior > 0.0, "prior", "finite and > 0", self.prior)?;
        for (row, rankings) in users.iter().enumerate() {
            for ranking in rankings {
                check_ranking(row, ranking, num_items)?;
            }
        }
        let Em { components, weights, responsibilities, report } =
            self.em.fit(&Model { num_items, users, prior: self.prior })?;
        Ok(RankingMixture { weights, scores: components, responsibilities, report })
    }
}

struct Model<'a> {
    num_items: usize,
    users: &'a [Vec<Vec<usize>>],
    prior: f64,
}

impl Model<'_> {
    fn evaluate(&self, at: &DVector<f64>, weights: &[f64]) -> Quadratic {
        let mut value = 0.5 * self.prior * at.norm_squared();
        let mut gradient = at * self.prior;
        let mut hessian = DMatrix::from_diagonal_element(at.len(), at.len(), self.prior);
        for (rankings, &weight) in self.users.iter().zip(weights).filter(|(_, weight)| **weight > 0.0) {
            for ranking in rankings {
                let ranked: Vec<f64> = ranking.iter().map(|&item| at[item]).collect();
                value -= weight * log_prob(at.as_slice(), ranking);
                for stage in 0..ranking.len().saturating_sub(1) {
                    gradient[ranking[stage]] -= weight;
                    let chances = host::softmax(&ranked[stage..]);
                    let left = &ranking[stage..];
                    for (&a, p) in left.iter().zip(&chances) {
                        gradient[a] += weight * p;
                        hessian[(a, a)] += weight * p;
                        left.iter().zip(&chances).for_each(|(&b, q)| hessian[(a, b)] -= weight * p * q);
                    }
                }
            }
        }
        Quadratic { value, gradient, hessian }
    }
}

impl Components for Model<'_> {
    type Component = Vec<f64>;

    fn num_users(&self) -> usize {
        self.users.len()
    }

    fn is_known(&self, user: usize) -> bool {
        self.users[user].iter().any(|ranking| ranking.len() > 1)
    }

    /// The mean place of each item, from 1 (best) to −1.
    fn embedding(&self, user: usize) -> Vec<f64> {
        let (mut sums, mut counts) = (vec![0.0; self.num_items], vec![0.0; self.num_items]);
        for ranking in self.users[user].iter().filter(|ranking| ranking.len() > 1) {
            for (place, &item) in ranking.iter().enumerate() {
                sums[item] += 1.0 - 2.0 * place as f64 / (ranking.len() - 1) as f64;
                counts[item] += 1.0;
            }
        }
        sums.iter().zip(counts).map(|(sum, count)| sum / f64::max(count, 1.0)).collect()
    }

    fn fit(&self, weights: &[f64], from: Option<&Vec<f64>>) -> Result<Vec<f64>> {
        let start = from.map_or_else(|| DVector::zeros(self.num_items), |from| DVector::from_column_slice(from));
        let total: f64 = weights.iter().sum();
        let stop = Stop { gradient: 1e-10 * total.max(1.0), max_iterations: 100 };
        let (at, _) = newton(|at| self.evaluate(at, weights), start, stop);
        Ok(at.as_slice().to_vec())
    }

    fn log_likelihoods(&self, scores: &Vec<f64>) -> Vec<f64> {
        self.users.iter().map(|rankings| rankings.iter().map(|ranking| log_prob(scores, ranking)).sum()).collect()
    }

    fn log_prior(&self, scores: &Vec<f64>) -> f64 {
        -0.5 * self.prior * scores.iter().map(|score| score * score).sum::<f64>()
    }

    fn order(&self, scores: &Vec<f64>) -> f64 {
        scores.first().copied().unwrap_or_default()
    }
}

/// A fitted mixture of Plackett-Luce models.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RankingMixture {
    /// The chance that somebody is of each kind, largest first.
    pub weights: Vec<f64>,
    /// The scores of the items in each component, `[K, items]`, with sum 0.
    pub scores: Vec<Vec<f64>>,
    /// The chance of each component for each user of the training, `[users, K]`.
    pub responsibilities: Vec<Vec<f64>>,
    /// How the fit ended.
    pub report: EmReport,
}

impl RankingMixture {
    /// The log-probability of the rankings of somebody of whom nothing else is known, in nats.
    ///
    /// # Errors
    /// As [`ranking_log_prob`].
    pub fn log_likelihood(&self, rankings: &[Vec<usize>]) -> Result<f64> {
        Ok(log_sum_exp(&self.joint(rankings)?))
    }

    /// The chance of each component for somebody who gave these rankings.
    ///
    /// # Errors
    /// As [`ranking_log_prob`].
    pub fn posterior(&self, rankings: &[Vec<usize>]) -> Result<Vec<f64>> {
        Ok(host::softmax(&self.joint(rankings)?))
    }

    fn joint(&self, rankings: &[Vec<usize>]) -> Result<Vec<f64>> {
        let mut joint: Vec<f64> = self.weights.iter().map(|weight| weight.ln()).collect();
        check_length("weights", self.scores.len(), joint.len())?;
        for (log, scores) in joint.iter_mut().zip(&self.scores) {
            for ranking in rankings {
                *log += ranking_log_prob(scores, ranking)?;
            }
        }
        Ok(joint)
    }
}

#[cfg(test)]
mod tests {
    use accordant_laws::gradient::check_gradient;

    use super::*;

    fn six() -> Vec<Vec<Vec<usize>>> {
        let rankings = [vec![0, 1, 2, 3], vec![1, 0, 3, 2], vec![0, 2, 1], vec![3, 0], vec![2, 3, 1, 0], vec![1, 2]];
        rankings.into_iter().map(|ranking| vec![ranking]).collect()
    }

    fn config(k: usize) -> RankingMixtureConfig {
        RankingMixtureConfig::new(EmConfig::new(k))
    }

    #[test]
    fn six_rankings_as_published() {
        let one = config(1).with_prior(1e-9).fit(4, &six()).unwrap();
        for (got, expected) in one.scores[0].iter().zip([0.1417887, 0.2696498, -0.2708318, -0.1406067]) {
            assert!((got - expected).abs() < 1e-6, "{got} is not {expected}");
        }
        assert!((one.report.objective() + 12.47604476).abs() < 1e-6);
        let total: f64 = six().iter().map(|rankings| one.log_likelihood(rankings).unwrap()).sum();
        assert!((total - one.report.objective()).abs() < 1e-6);
    }

    #[test]
    fn the_chances_of_all_orders_add_up_to_one_and_two_items_are_bradley_and_terrys() {
        let scores = [0.3, -0.2, 1.0];
        let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
        let total: f64 = orders.iter().map(|order| ranking_log_prob(&scores, order).unwrap().exp()).sum();
        assert!((total - 1.0).abs() < 1e-14);
        let pair = ranking_log_prob(&scores, &[2, 0]).unwrap();
        assert!((pair - accordant_ops::host::log_sigmoid(0.7)).abs() < 1e-14);
        assert_eq!(ranking_log_prob(&scores, &[1]).unwrap(), 0.0);
        assert_eq!(ranking_log_prob(&scores, &[]).unwrap(), 0.0);
        assert!(matches!(ranking_log_prob(&scores, &[3, 0]), Err(Error::Index { name: "item", .. })));
        assert!(matches!(ranking_log_prob(&scores, &[0, 0]), Err(Error::Repeated { item: 0, .. })));
    }

    #[test]
    fn derivatives_are_those_of_the_objective() {
        let users = six();
        let model = Model { num_items: 4, users: &users, prior: 0.3 };
        let weights = [1.0, 0.5, 2.0, 0.0, 1.5, 1.0];
        let at = [0.3, -0.5, 1.0, 0.2];
        let evaluate = |x: &[f64]| model.evaluate(&DVector::from_column_slice(x), &weights);
        let here = evaluate(&at);
        check_gradient(|x| evaluate(x).value, &at, here.gradient.as_slice()).unwrap();
        for row in 0..4 {
            let expected: Vec<f64> = here.hessian.row(row).iter().copied().collect();
            check_gradient(|x| evaluate(x).gradient[row], &at, &expected).unwrap();
        }
        let expected: f64 =
            weights.iter().zip(&model.log_likelihoods(&at.to_vec())).map(|(weight, log)| -weight * log).sum::<f64>()
                - model.log_prior(&at.to_vec());
        assert!((here.value - expected).abs() < 1e-12);
    }

    #[test]
    fn two_opposite_kinds_are_found() {
        let users: Vec<Vec<Vec<usize>>> =
            (0..30).map(|user| vec![if user % 3 == 0 { vec![2, 1, 0] } else { vec![0, 1, 2] }; 2]).collect();
        for start in [super::super::em::Start::Dirichlet, super::super::em::Start::KMeans] {
            let em = EmConfig::new(2).with_start(start);
            let two = RankingMixtureConfig::new(em).with_prior(0.1).fit(3, &users).unwrap();
            assert!((two.weights[0] - 2.0 / 3.0).abs() < 1e-6 && two.report.largest_decrease < 1e-9);
            assert!(two.scores[0][0] > 1.0 && two.scores[1][0] < -1.0);
            assert!(two.posterior(&[vec![2, 0]]).unwrap()[1] > 0.9);
            assert!((0..30).all(|user| two.responsibilities[user][usize::from(user % 3 == 0)] > 0.999));
        }
        let model = Model { num_items: 3, users: &users, prior: 0.1 };
        assert_eq!(model.embedding(0), [-1.0, 0.0, 1.0]);
        assert_eq!((model.num_users(), model.order(&vec![0.5, 1.0])), (30, 0.5));
    }

    #[test]
    fn rankings_of_one_item_say_nothing_and_bad_ones_name_their_user() {
        let mut users = six();
        users.push(vec![vec![3], vec![]]);
        let one = config(1).fit(4, &users).unwrap();
        assert_eq!(one.report.unknown_users, [6]);
        users[2].push(vec![1, 4]);
        assert!(matches!(config(1).fit(4, &users), Err(Error::Index { row: 2, name: "item", index: 4, len: 4 })));
        users[2][1] = vec![1, 1];
        assert!(matches!(config(1).fit(4, &users), Err(Error::Repeated { row: 2, item: 1 })));
        assert!(matches!(config(7).fit(4, &six()), Err(Error::Empty { name: "users", .. })));
        assert_eq!(config(1).prior, 1.0);
        for bad in [0.0, f64::NAN, f64::INFINITY] {
            let error = config(1).with_prior(bad).fit(4, &six()).unwrap_err().to_string();
            assert!(error.starts_with("`prior`: expected finite and > 0"), "{error}");
        }
    }
}
