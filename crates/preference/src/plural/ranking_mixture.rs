//! Mixture of Plackett-Luce models by expectation-maximization.
//!
//! **Paper:** Exploring Voting Blocs Within the Irish Electorate: A Mixture Modeling Approach (I. C. Gormley and T. B. Murphy,
//! 2008), of the models of The Analysis of Permutations (R. L. Plackett, 1975).
//! **Use when:** users rank items, and there are several kinds of users.
//! **Checked by:** a published fit of six rankings, the fit of one Plackett-Luce model, real rankings (Star Wars films).
//! **Deviations:** none.

use accordant_ops::{
    check_domain,
    host::{self, log_sum_exp},
};
use burn::config::Config;
use nalgebra::DVector;
use serde::{Deserialize, Serialize};

use super::em::{Components, Em, EmConfig, EmReport};
use crate::{
    Rankings, Result,
    error::check_length,
    optimize::{Stop, newton},
    ranking::{
        choices::Choices,
        plackett_luce::{Problem, log_prob},
    },
    rankings::{RankedList, TiedPlaces},
};

/// Configuration of a mixture of Plackett-Luce models, fitted by EM.
///
/// ```text
/// maximize  Σ_u log Σ_k π_k Π_{lists of u} P_k(list)^weight − ½ prior Σ_k ‖s_k‖² + (a − 1) Σ_k log π_k
/// ```
#[derive(Config, Debug, PartialEq)]
pub struct RankingMixtureConfig {
    /// How many components, how they are found and when that ends.
    pub em: EmConfig,
    /// The precision of a normal prior on each score of each component, finite and > 0. 1: ours.
    #[config(default = 1.0)]
    pub prior: f64,
    /// What items at the same place mean. Breslow's: ours, the cheapest.
    #[config(default = "TiedPlaces::Breslow")]
    pub ties: TiedPlaces,
}

impl RankingMixtureConfig {
    /// Fits the components to the lists of each user.
    ///
    /// # Errors
    /// A domain error naming `prior` or a field of EM's; [`crate::Error::Length`] for a user with another number of items
    /// than the first; [`crate::Error::Empty`] with less than one user per component who has a list that compares;
    /// [`crate::Error::Combination`] for a place of too many items to be split.
    ///
    /// # Example
    /// ```
    /// use accordant_preference::{Rankings, rankings::Unlisted};
    /// use accordant_preference::plural::{em::EmConfig, ranking_mixture::RankingMixtureConfig};
    /// // Two users of three put item 0 first.
    /// let user = |order: [usize; 2]| {
    ///     let mut lists = Rankings::new(2);
    ///     lists.push(&order, Unlisted::Absent).map(|()| lists)
    /// };
    /// let users = [user([0, 1])?, user([0, 1])?, user([1, 0])?];
    /// let one = RankingMixtureConfig::new(EmConfig::new(1)).with_prior(1e-9).fit(&users)?;
    /// assert!((one.scores[0][0] - one.scores[0][1] - 2f64.ln()).abs() < 1e-6);
    /// # Ok::<(), accordant_preference::Error>(())
    /// ```
    pub fn fit(&self, users: &[Rankings]) -> Result<RankingMixture> {
        let Em { components, weights, responsibilities, report } = self.em.fit(&self.model(users)?)?;
        Ok(RankingMixture { weights, scores: components, responsibilities, report, ties: self.ties })
    }

    fn model<'a>(&self, users: &'a [Rankings]) -> Result<Model<'a>> {
        check_domain(self.prior.is_finite() && self.prior > 0.0, "prior", "finite and > 0", self.prior)?;
        let num_items = users.first().map_or(0, Rankings::num_items);
        users.iter().try_for_each(|lists| check_length("items of a user", num_items, lists.num_items()))?;
        let choices = Choices::of(num_items, users.iter().flat_map(Rankings::lists), self.ties)?;
        Ok(Model { num_items, users, choices, prior: self.prior })
    }
}

struct Model<'a> {
    num_items: usize,
    users: &'a [Rankings],
    /// Those of all users, one after the other.
    choices: Choices,
    prior: f64,
}

impl Model<'_> {
    /// What a component minimizes when each user counts this much.
    fn problem(&self, weights: &[f64]) -> Problem {
        let of = |(lists, &weight): (&Rankings, &f64)| -> Vec<f64> {
            lists.lists().iter().map(|list| weight * list.weight()).collect()
        };
        let weights: Vec<f64> = self.users.iter().zip(weights).flat_map(of).collect();
        Problem { totals: self.choices.totals(&weights), prior: self.prior }
    }
}

/// Whether a list says anything.
fn compares(list: &&RankedList) -> bool {
    list.weight() > 0.0 && list.groups().iter().flatten().chain(list.below()).nth(1).is_some()
}

impl Components for Model<'_> {
    type Component = Vec<f64>;

    fn num_users(&self) -> usize {
        self.users.len()
    }

    fn is_known(&self, user: usize) -> bool {
        self.users[user].lists().iter().any(|list| compares(&list))
    }

    /// The mean place of each item, from 1 (best) to −1; items at one place share its middle.
    fn embedding(&self, user: usize) -> Vec<f64> {
        let (mut sums, mut counts) = (vec![0.0; self.num_items], vec![0.0; self.num_items]);
        for list in self.users[user].lists().iter().filter(compares) {
            let places = || list.groups().iter().map(Vec::as_slice).chain([list.below()]);
            let last = (places().map(<[usize]>::len).sum::<usize>() - 1) as f64;
            let mut before = 0.0;
            for place in places() {
                let middle = before + (place.len() as f64 - 1.0) / 2.0;
                before += place.len() as f64;
                for &item in place {
                    sums[item] += 1.0 - 2.0 * middle / last;
                    counts[item] += 1.0;
                }
            }
        }
        sums.iter().zip(counts).map(|(sum, count)| sum / f64::max(count, 1.0)).collect()
    }

    fn fit(&self, weights: &[f64], from: Option<&Vec<f64>>) -> Result<Vec<f64>> {
        let start = from.map_or_else(|| DVector::zeros(self.num_items), |from| DVector::from_column_slice(from));
        let problem = self.problem(weights);
        let choices: f64 = problem.totals.sets.iter().map(|(_, times)| times).sum();
        let stop = Stop { gradient: 1e-10 * choices.max(1.0), max_iterations: 100 };
        let (at, _) = newton(|at| problem.evaluate(at), start, stop);
        Ok(at.as_slice().to_vec())
    }

    fn log_likelihoods(&self, scores: &Vec<f64>) -> Vec<f64> {
        let mut log_probs = self.choices.log_probs(scores).into_iter();
        let mut of = |lists: &Rankings| -> f64 {
            lists.lists().iter().zip(&mut log_probs).map(|(list, log_prob)| list.weight() * log_prob).sum()
        };
        self.users.iter().map(&mut of).collect()
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
    /// What items at the same place mean.
    pub ties: TiedPlaces,
}

impl RankingMixture {
    /// The log-probability of the lists of somebody of whom nothing else is known, in nats.
    ///
    /// # Errors
    /// [`crate::Error::Index`] for an item without a score; [`crate::Error::Combination`] for a place of too many items to
    /// be split.
    pub fn log_likelihood(&self, lists: &Rankings) -> Result<f64> {
        Ok(log_sum_exp(&self.joint(lists)?))
    }

    /// The chance of each component for somebody who gave these lists.
    ///
    /// # Errors
    /// As [`RankingMixture::log_likelihood`].
    pub fn posterior(&self, lists: &Rankings) -> Result<Vec<f64>> {
        Ok(host::softmax(&self.joint(lists)?))
    }

    fn joint(&self, lists: &Rankings) -> Result<Vec<f64>> {
        let mut joint: Vec<f64> = self.weights.iter().map(|weight| weight.ln()).collect();
        check_length("weights", self.scores.len(), joint.len())?;
        for (log, scores) in joint.iter_mut().zip(&self.scores) {
            for list in lists.lists() {
                *log += list.weight() * log_prob(list, scores, self.ties)?;
            }
        }
        Ok(joint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Error, ranking::PlackettLuceConfig, rankings::Unlisted};

    fn user(orders: &[&[usize]]) -> Rankings {
        let mut lists = Rankings::new(4);
        orders.iter().for_each(|order| lists.push(order, Unlisted::Absent).unwrap());
        lists
    }

    fn six() -> Vec<Rankings> {
        let orders = [&[0, 1, 2, 3][..], &[1, 0, 3, 2], &[0, 2, 1], &[3, 0], &[2, 3, 1, 0], &[1, 2]];
        orders.into_iter().map(|order| user(&[order])).collect()
    }

    fn config(k: usize) -> RankingMixtureConfig {
        RankingMixtureConfig::new(EmConfig::new(k))
    }

    #[test]
    fn six_rankings_as_published() {
        let one = config(1).with_prior(1e-9).fit(&six()).unwrap();
        for (got, expected) in one.scores[0].iter().zip([0.1417887, 0.2696498, -0.2708318, -0.1406067]) {
            assert!((got - expected).abs() < 1e-6, "{got} is not {expected}");
        }
        assert!((one.report.objective() + 12.47604461).abs() < 1e-6);
        let total: f64 = six().iter().map(|lists| one.log_likelihood(lists).unwrap()).sum();
        assert!((total - one.report.objective()).abs() < 1e-6);
    }

    #[test]
    fn one_component_is_plackett_and_luces_fit_with_ties_weights_and_the_best_few() {
        let mut lists = six();
        lists[0].push_groups(&[vec![3], vec![0, 2]], Unlisted::Below, 2.5).unwrap();
        lists[3].push(&[2], Unlisted::Below).unwrap();
        let mut all = Rankings::new(4);
        for list in lists.iter().flat_map(Rankings::lists) {
            let unlisted = if list.below().is_empty() { Unlisted::Absent } else { Unlisted::Below };
            all.push_groups(list.groups(), unlisted, list.weight()).unwrap();
        }
        for ties in [TiedPlaces::Breslow, TiedPlaces::Efron, TiedPlaces::Split] {
            let one = config(1).with_prior(0.3).with_ties(ties).fit(&lists).unwrap();
            let plain = PlackettLuceConfig::new().with_prior(0.3).with_ties(ties).fit(&all).unwrap();
            for (got, expected) in one.scores[0].iter().zip(&plain.scores) {
                assert!((got - expected).abs() < 1e-8, "{ties:?}: {got} is not {expected}");
            }
            let penalty = 0.15 * plain.scores.iter().map(|score| score * score).sum::<f64>();
            assert!((one.report.objective() - plain.log_likelihood + penalty).abs() < 1e-10);
            let total: f64 = lists.iter().map(|lists| one.log_likelihood(lists).unwrap()).sum();
            assert!((total - plain.log_likelihood).abs() < 1e-10);
        }
    }

    #[test]
    fn a_user_counts_with_all_their_lists_by_weight() {
        let mut users = six();
        users[1].push_groups(&[vec![2], vec![0]], Unlisted::Absent, 3.0).unwrap();
        let model = config(1).with_prior(0.3).model(&users).unwrap();
        let weights = [1.0, 0.5, 2.0, 0.0, 1.5, 1.0];
        let scores = vec![0.3, -0.5, 1.0, 0.2];
        let here = model.problem(&weights).evaluate(&DVector::from_column_slice(&scores));
        let logs = model.log_likelihoods(&scores);
        // Strengths of 2 over 0: e^0.7.
        let alone = config(1).model(&six()).unwrap().log_likelihoods(&scores);
        assert!((logs[1] - alone[1] - 3.0 * accordant_ops::host::log_sigmoid(0.7)).abs() < 1e-12);
        let expected: f64 =
            weights.iter().zip(&logs).map(|(weight, log)| -weight * log).sum::<f64>() - model.log_prior(&scores);
        assert!((here.value - expected).abs() < 1e-12);
    }

    #[test]
    fn two_opposite_kinds_are_found() {
        let users: Vec<Rankings> = (0..30)
            .map(|at| if at % 3 == 0 { user(&[&[2, 1, 0][..]; 2]) } else { user(&[&[0, 1, 2][..]; 2]) })
            .collect();
        for start in [super::super::em::Start::Dirichlet, super::super::em::Start::KMeans] {
            let em = EmConfig::new(2).with_start(start);
            let two = RankingMixtureConfig::new(em).with_prior(0.1).fit(&users).unwrap();
            assert!((two.weights[0] - 2.0 / 3.0).abs() < 1e-6 && two.report.largest_decrease < 1e-9);
            assert!(two.scores[0][0] > 1.0 && two.scores[1][0] < -1.0);
            assert!(two.posterior(&user(&[&[2, 0]])).unwrap()[1] > 0.9);
            assert!((0..30).all(|user| two.responsibilities[user][usize::from(user % 3 == 0)] > 0.999));
        }
        let model = config(2).model(&users).unwrap();
        assert_eq!(model.embedding(0), [-1.0, 0.0, 1.0, 0.0]);
        assert_eq!((model.num_users(), model.order(&vec![0.5, 1.0])), (30, 0.5));
    }

    #[test]
    fn items_at_one_place_share_its_middle() {
        let mut lists = Rankings::new(5);
        lists.push_groups(&[vec![3], vec![0, 2]], Unlisted::Below, 1.0).unwrap();
        lists.push_groups(&[vec![1], vec![3]], Unlisted::Absent, 0.0).unwrap(); // counts for nothing
        lists.push(&[4], Unlisted::Absent).unwrap(); // says nothing
        let users = [lists];
        // Places 0, 1.5 and 3.5 of 0 to 4.
        assert_eq!(config(1).model(&users).unwrap().embedding(0), [0.25, -0.75, 0.25, 1.0, -0.75]);
    }

    #[test]
    fn rankings_of_one_item_say_nothing_and_what_makes_no_sense_is_an_error() {
        let mut users = six();
        users.push(user(&[&[3]]));
        users.push(Rankings::new(4));
        let mut weightless = Rankings::new(4);
        weightless.push_groups(&[vec![0], vec![1]], Unlisted::Absent, 0.0).unwrap();
        users.push(weightless);
        let one = config(1).fit(&users).unwrap();
        assert_eq!(one.report.unknown_users, [6, 7, 8]);
        users.push(Rankings::new(5));
        assert!(matches!(config(1).fit(&users), Err(Error::Length { name: "items of a user", expected: 4, got: 5 })));
        assert!(matches!(config(7).fit(&six()), Err(Error::Empty { name: "users", .. })));
        assert!(matches!(config(1).fit(&[]), Err(Error::Empty { name: "users", .. })));
        let mut more = Rankings::new(5);
        more.push(&[4, 0], Unlisted::Absent).unwrap();
        assert!(matches!(one.log_likelihood(&more), Err(Error::Index { name: "item", index: 4, len: 4, .. })));
        assert_eq!((config(1).prior, config(1).ties), (1.0, TiedPlaces::Breslow));
        for bad in [0.0, f64::NAN, f64::INFINITY] {
            let error = config(1).with_prior(bad).fit(&six()).unwrap_err().to_string();
            assert!(error.starts_with("`prior`: expected finite and > 0"), "{error}");
        }
    }
}
