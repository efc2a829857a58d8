//! Expectation-maximization (EM) over users of a few kinds, whatever a kind is.
//!
//! **Paper:** Maximum Likelihood from Incomplete Data via the EM Algorithm (A. P. Dempster, N. M. Laird and D. B. Rubin,
//! 1977); hard assignments as in MaxMin-RLHF: Towards Equitable Alignment of Large Language Models with Diverse Human
//! Preferences (2024), 2402.08925.
//! **Use when:** you write a mixture of your own: implement [`Components`].
//! **Checked by:** a published trace ([`super::mixture`]), monotony, symmetric starts, empty components.
//! **Deviations:** none.

use accordant_ops::{
    check_domain,
    host::{self, log_sum_exp},
};
use burn::config::Config;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Exp1};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    Error, Result,
    error::{check_length, check_record},
    random::{Purpose, stream},
};

/// What a mixture is made of: how one component is fitted to weighted users, and what it says of each.
pub trait Components: Sync {
    /// One component.
    type Component: Clone + Send + Sync;

    /// How many users there are.
    fn num_users(&self) -> usize;

    /// Whether anything is known of a user; one of whom nothing is counts for nothing.
    fn is_known(&self, user: usize) -> bool;

    /// A few numbers that tell users of different kinds apart, for [`Start::KMeans`].
    fn embedding(&self, user: usize) -> Vec<f64>;

    /// The component that maximizes `Σ_u weights[u] · log-likelihood(u) + log-prior`, from another one on if there is one.
    ///
    /// # Errors
    /// What a fit may say.
    fn fit(&self, weights: &[f64], from: Option<&Self::Component>) -> Result<Self::Component>;

    /// The log-likelihood of each user under a component.
    fn log_likelihoods(&self, component: &Self::Component) -> Vec<f64>;

    /// The log-prior of a component, up to a constant; it is maximized together with the likelihood.
    fn log_prior(&self, component: &Self::Component) -> f64;

    /// What orders components of equal weight, so that two fits can be compared.
    fn order(&self, component: &Self::Component) -> f64;
}

/// How users are assigned to components.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Assignment {
    /// By the chance that each component is theirs: EM.
    #[default]
    Soft,
    /// To the component under which their data are likeliest, whatever the components' weights; of equal ones the first.
    /// The published algorithm of MaxMin-RLHF; it maximizes another value, which no chance of other components enters.
    Hard,
}

/// Where EM starts. Equal chances of all components would be a saddle that it never leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Start {
    /// From chances that are drawn uniformly from the simplex for each user.
    #[default]
    Dirichlet,
    /// From clusters of the users' [`Components::embedding`] by k-means++, with chance 0.9 for their own.
    KMeans,
}

/// Configuration of EM.
#[derive(Config, Debug, PartialEq)]
pub struct EmConfig {
    /// How many components, ≥ 1.
    pub num_components: usize,
    /// How users are assigned. Soft: maximum likelihood.
    #[config(default = "Assignment::Soft")]
    pub assignment: Assignment,
    /// Where it starts.
    #[config(default = "Start::Dirichlet")]
    pub start: Start,
    /// From how many starts, ≥ 1; the best is kept. 5: ours.
    #[config(default = 5)]
    pub restarts: usize,
    /// The parameter of a Dirichlet prior on the components' weights, finite and ≥ 1. 1: none. Beyond 1 it keeps a
    /// component from running empty.
    #[config(default = 1.0)]
    pub dirichlet: f64,
    /// Converged when the value changes by less than this much, relative to itself, > 0. 1e-8: ours.
    #[config(default = 1e-8)]
    pub tolerance: f64,
    /// Rounds at most, for each start. 200: ours.
    #[config(default = 200)]
    pub max_iterations: usize,
    /// The seed of the starts.
    #[config(default = 0)]
    pub seed: u64,
}

/// A fitted mixture of components.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Em<C> {
    /// The components, the one with the largest weight first.
    pub components: Vec<C>,
    /// Their weights, which add up to 1.
    pub weights: Vec<f64>,
    /// The chance of each component for each user, `[users, K]`; the weights for users of whom nothing is known.
    pub responsibilities: Vec<Vec<f64>>,
    /// How the fit ended.
    pub report: EmReport,
}

/// How EM ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EmReport {
    /// Whether the stopping rule was met, in the start that was kept.
    pub converged: bool,
    /// The value after each round of that start: the penalized log-likelihood in nats, of hard assignments that of the
    /// assigned components.
    pub trace: Vec<f64>,
    /// The largest decrease of the value in one round, relative to itself: rounding, or an inexact fit of a component.
    pub largest_decrease: f64,
    /// How often an empty component started again from the user whom the others explain worst.
    pub reseeds: usize,
    /// The value that each start ended with, in order; −∞ where a component stayed empty.
    pub starts: Vec<f64>,
    /// Users of whom nothing is known: no pair of weight > 0.
    pub unknown_users: Vec<usize>,
}

impl EmReport {
    /// The value in the end.
    pub fn objective(&self) -> f64 {
        self.trace.last().copied().unwrap_or(f64::NEG_INFINITY)
    }
}

/// Component weights below this share of the users are none.
const EMPTY: f64 = 1e-6;

/// How often a component may run empty before it is an error.
const MAX_RESEEDS: usize = 5;

impl EmConfig {
    /// Checks the fields.
    fn check(&self) -> Result<()> {
        let at_least_1 = |name, value: usize| check_domain(value >= 1, name, ">= 1", value as f64);
        at_least_1("num_components", self.num_components)?;
        at_least_1("restarts", self.restarts)?;
        let Self { dirichlet, tolerance, .. } = *self;
        check_domain(dirichlet.is_finite() && dirichlet >= 1.0, "dirichlet", "finite and >= 1", dirichlet)?;
        check_domain(tolerance > 0.0, "tolerance", "> 0", tolerance)?;
        Ok(())
    }

    /// Runs EM from all starts and keeps the best.
    ///
    /// # Errors
    /// A domain error naming a field; [`Error::Empty`] when there are fewer users with data than components;
    /// [`Error::Combination`] when a component stayed empty from every start; what a fit of a component says.
    pub fn fit<M: Components>(&self, model: &M) -> Result<Em<M::Component>> {
        self.check()?;
        let known = self.known(model)?;
        let runs: Vec<Result<Em<M::Component>>> = (0..self.restarts as u32)
            .into_par_iter()
            .map(|start| {
                let mut rng = stream(self.seed, Purpose::Start, start);
                let first = match self.start {
                    Start::Dirichlet => dirichlet(model.num_users(), self.num_components, &mut rng),
                    Start::KMeans => clusters(model, &known, self.num_components, &mut rng),
                };
                self.run(model, &known, first)
            })
            .collect();
        let starts: Vec<f64> =
            runs.iter().map(|run| run.as_ref().map_or(f64::NEG_INFINITY, |em| em.report.objective())).collect();
        let mut best: Option<Result<Em<M::Component>>> = None;
        for run in runs {
            let is_better = match (&best, &run) {
                (None, _) | (Some(Err(_)), Ok(_)) => true,
                (Some(Ok(best)), Ok(run)) => run.report.objective() > best.report.objective(),
                _ => false,
            };
            if is_better {
                best = Some(run);
            }
        }
        let mut em = best.expect("there is a start")?;
        em.report.starts = starts;
        Ok(em)
    }

    /// Runs EM once, from the given chance of each component for each user, `[users, K]`.
    ///
    /// # Errors
    /// As [`EmConfig::fit`]; [`Error::Length`] or [`Error::Record`] for chances that are none, and
    /// [`Error::Combination`] when they are the same for all users, which is a saddle: all components stay alike.
    pub fn fit_from<M: Components>(&self, model: &M, first: Vec<Vec<f64>>) -> Result<Em<M::Component>> {
        self.check()?;
        let known = self.known(model)?;
        check_length("responsibilities", model.num_users(), first.len())?;
        for (row, chances) in first.iter().enumerate() {
            check_length("responsibilities", self.num_components, chances.len())?;
            for &chance in chances {
                check_record(chance >= 0.0, row, "responsibilities", ">= 0", chance)?;
            }
            let total: f64 = chances.iter().sum();
            check_record((total - 1.0).abs() <= 1e-6, row, "responsibilities", "a sum of 1", total)?;
        }
        let of = |user: usize| &first[user];
        let alike = |user: &usize| of(*user).iter().zip(of(known[0])).all(|(a, b)| (a - b).abs() < 1e-12);
        if self.num_components > 1 && known.iter().all(alike) {
            return Err(Error::Combination {
                what: "responsibilities",
                reason: "the same for all users: all components would stay alike for ever",
            });
        }
        let mut em = self.run(model, &known, first)?;
        em.report.starts = vec![em.report.objective()];
        Ok(em)
    }

    fn known<M: Components>(&self, model: &M) -> Result<Vec<usize>> {
        let known: Vec<usize> = (0..model.num_users()).filter(|&user| model.is_known(user)).collect();
        if known.len() < self.num_components {
            return Err(Error::Empty { name: "users", reason: "fewer users with data than components" });
        }
        Ok(known)
    }

    fn run<M: Components>(&self, model: &M, known: &[usize], mut chances: Vec<Vec<f64>>) -> Result<Em<M::Component>> {
        let (num_users, k) = (model.num_users(), self.num_components);
        let mut components: Vec<Option<M::Component>> = vec![None; k];
        let mut report = EmReport {
            converged: false,
            trace: Vec::new(),
            largest_decrease: 0.0,
            reseeds: 0,
            starts: Vec::new(),
            unknown_users: (0..num_users).filter(|&user| !model.is_known(user)).collect(),
        };
        let mut weights;
        let mut fresh = false;
        loop {
            weights = self.weights(known, &chances);
            for (index, component) in components.iter_mut().enumerate() {
                let mut shares = vec![0.0; num_users];
                known.iter().for_each(|&user| shares[user] = chances[user][index]);
                *component = Some(model.fit(&shares, component.as_ref())?);
            }
            let fitted = || components.iter().map(|component| component.as_ref().expect("just fitted"));
            let logs: Vec<Vec<f64>> = fitted().map(|component| model.log_likelihoods(component)).collect();
            let log_weights: Vec<f64> = weights.iter().map(|weight: &f64| weight.ln()).collect();
            let mut objective: f64 = fitted().map(|component| model.log_prior(component)).sum();
            if self.dirichlet > 1.0 {
                objective += (self.dirichlet - 1.0) * log_weights.iter().sum::<f64>();
            }
            let mut evidence = vec![f64::INFINITY; num_users];
            for &user in known {
                let of_user: Vec<f64> = logs.iter().map(|of| of[user]).collect();
                evidence[user] = match self.assignment {
                    Assignment::Soft => {
                        let joint = add(&of_user, &log_weights);
                        chances[user] = host::softmax(&joint);
                        log_sum_exp(&joint)
                    }
                    Assignment::Hard => {
                        let best = first_largest(&of_user);
                        chances[user] = (0..k).map(|index| f64::from(u8::from(index == best))).collect();
                        of_user[best]
                    }
                };
                objective += evidence[user];
            }
            if let (Some(before), false) = (report.trace.last(), fresh) {
                let change = (objective - before) / objective.abs().max(f64::MIN_POSITIVE);
                report.largest_decrease = report.largest_decrease.max(-change);
                report.converged = change.abs() < self.tolerance;
            }
            report.trace.push(objective);
            if report.converged || report.trace.len() >= self.max_iterations.max(1) {
                break;
            }
            fresh = self.reseed(known, &evidence, &mut chances, &mut components, &mut report.reseeds)?;
        }
        for user in report.unknown_users.iter().copied() {
            chances[user] = weights.clone();
        }
        let components: Vec<M::Component> = components.into_iter().map(|one| one.expect("fitted")).collect();
        let mut order: Vec<usize> = (0..k).collect();
        let first: Vec<f64> = components.iter().map(|component| model.order(component)).collect();
        order.sort_by(|&a, &b| weights[b].total_cmp(&weights[a]).then(first[b].total_cmp(&first[a])));
        let sorted = |values: &[f64]| order.iter().map(|&index| values[index]).collect::<Vec<f64>>();
        Ok(Em {
            components: order.iter().map(|&index| components[index].clone()).collect(),
            weights: sorted(&weights),
            responsibilities: chances.iter().map(|chances| sorted(chances)).collect(),
            report,
        })
    }

    /// `(Σ_u γ_uk + a − 1) / (U + K (a − 1))`.
    fn weights(&self, known: &[usize], chances: &[Vec<f64>]) -> Vec<f64> {
        let extra = self.dirichlet - 1.0;
        let total = known.len() as f64 + self.num_components as f64 * extra;
        let mass = |index: usize| known.iter().map(|&user| chances[user][index]).sum::<f64>();
        (0..self.num_components).map(|index| (mass(index) + extra) / total).collect()
    }

    /// Gives empty components the users whom nobody explains well; whether there was one.
    fn reseed<C>(
        &self,
        known: &[usize],
        evidence: &[f64],
        chances: &mut [Vec<f64>],
        components: &mut [Option<C>],
        reseeds: &mut usize,
    ) -> Result<bool> {
        let mut worst: Vec<usize> = known.to_vec();
        worst.sort_by(|&a, &b| evidence[a].total_cmp(&evidence[b]));
        let mut worst = worst.into_iter();
        let before = *reseeds;
        for index in 0..components.len() {
            let mass: f64 = known.iter().map(|&user| chances[user][index]).sum();
            if self.dirichlet > 1.0 || mass >= EMPTY * known.len() as f64 {
                continue;
            }
            *reseeds += 1;
            if *reseeds > MAX_RESEEDS {
                return Err(Error::Combination {
                    what: "num_components",
                    reason: "a component stays empty: ask for fewer, or give the weights a Dirichlet prior beyond 1",
                });
            }
            let user = worst.next().expect("there are as many users as components");
            chances[user] = (0..components.len()).map(|other| f64::from(u8::from(other == index))).collect();
            components[index] = None;
        }
        Ok(*reseeds > before)
    }
}

fn add(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a + b).collect()
}

/// The index of the largest number, the first of equal ones.
pub(crate) fn first_largest(values: &[f64]) -> usize {
    (0..values.len()).fold(0, |best, index| if values[index] > values[best] { index } else { best })
}

/// Uniform on the simplex, for each user.
fn dirichlet(num_users: usize, k: usize, rng: &mut ChaCha8Rng) -> Vec<Vec<f64>> {
    let mut row = || {
        let draws: Vec<f64> = (0..k).map(|_| Exp1.sample(rng)).collect();
        let total: f64 = draws.iter().sum();
        draws.into_iter().map(|draw: f64| draw / total).collect()
    };
    (0..num_users).map(|_| row()).collect()
}

/// Chance 0.9 for the own cluster of k-means++ with ten rounds of Lloyd's.
fn clusters<M: Components>(model: &M, known: &[usize], k: usize, rng: &mut ChaCha8Rng) -> Vec<Vec<f64>> {
    let points: Vec<Vec<f64>> = (0..model.num_users()).map(|user| model.embedding(user)).collect();
    let distance = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
    let mut centers = vec![points[known[rng.random_range(0..known.len())]].clone()];
    while centers.len() < k {
        let nearest =
            |user: &usize| centers.iter().map(|center| distance(&points[*user], center)).fold(f64::INFINITY, f64::min);
        let distances: Vec<f64> = known.iter().map(nearest).collect();
        let mut left = rng.random::<f64>() * distances.iter().sum::<f64>();
        let drawn = distances.iter().position(|distance| {
            left -= distance;
            left < 0.0
        });
        // Fewer different users than components: any will do, the fits tell them apart.
        centers.push(points[known[drawn.unwrap_or_else(|| rng.random_range(0..known.len()))]].clone());
    }
    let own = |centers: &[Vec<f64>], user: usize| {
        let negated: Vec<f64> = centers.iter().map(|center| -distance(&points[user], center)).collect();
        first_largest(&negated)
    };
    for _ in 0..10 {
        let assigned: Vec<usize> = known.iter().map(|&user| own(&centers, user)).collect();
        for (index, center) in centers.iter_mut().enumerate() {
            let members: Vec<usize> =
                known.iter().zip(&assigned).filter(|(_, own)| **own == index).map(|(user, _)| *user).collect();
            if !members.is_empty() {
                for (axis, value) in center.iter_mut().enumerate() {
                    *value = members.iter().map(|&user| points[user][axis]).sum::<f64>() / members.len() as f64;
                }
            }
        }
    }
    let rest = if k > 1 { 0.1 / (k - 1) as f64 } else { 0.0 };
    let chances = |user: usize| {
        let own = own(&centers, user);
        (0..k).map(|index| if index == own { 1.0 - rest * (k - 1) as f64 } else { rest }).collect()
    };
    (0..points.len()).map(chances).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each user tosses a coin of one of a few kinds: heads and tosses.
    struct Coins(Vec<(f64, f64)>);

    impl Components for Coins {
        type Component = f64;

        fn num_users(&self) -> usize {
            self.0.len()
        }

        fn is_known(&self, user: usize) -> bool {
            self.0[user].1 > 0.0
        }

        fn embedding(&self, user: usize) -> Vec<f64> {
            vec![self.0[user].0 / self.0[user].1.max(1.0)]
        }

        fn fit(&self, weights: &[f64], _: Option<&f64>) -> Result<f64> {
            let sum =
                |part: fn(&(f64, f64)) -> f64| -> f64 { self.0.iter().zip(weights).map(|(u, w)| w * part(u)).sum() };
            // One head and one tail beforehand: a Beta(2, 2) prior.
            Ok((sum(|user| user.0) + 1.0) / (sum(|user| user.1) + 2.0))
        }

        fn log_likelihoods(&self, p: &f64) -> Vec<f64> {
            self.0.iter().map(|(heads, tosses)| heads * p.ln() + (tosses - heads) * (1.0 - p).ln()).collect()
        }

        fn log_prior(&self, p: &f64) -> f64 {
            p.ln() + (1.0 - p).ln()
        }

        fn order(&self, p: &f64) -> f64 {
            *p
        }
    }

    fn coins() -> Coins {
        Coins(vec![(9.0, 10.0), (8.0, 10.0), (9.0, 10.0), (1.0, 10.0), (0.0, 0.0), (2.0, 10.0)])
    }

    #[test]
    fn two_kinds_of_coins_are_found_from_every_start() {
        for start in [Start::Dirichlet, Start::KMeans] {
            for assignment in [Assignment::Soft, Assignment::Hard] {
                let em = EmConfig::new(2).with_start(start).with_assignment(assignment).fit(&coins()).unwrap();
                assert!(em.report.converged && em.report.largest_decrease < 1e-12, "{:?}", em.report);
                assert!((em.components[0] - 27.0 / 32.0).abs() < 2e-3, "{:?}", em.components);
                assert!((em.components[1] - 4.0 / 22.0).abs() < 2e-3);
                assert!((em.weights[0] - 0.6).abs() < 1e-3 && (em.weights.iter().sum::<f64>() - 1.0).abs() < 1e-12);
                assert!([0, 1, 2].iter().all(|&user| em.responsibilities[user][0] > 0.99));
                assert!([3, 5].iter().all(|&user| em.responsibilities[user][1] > 0.99));
                // Nothing is known of user 4.
                assert_eq!(em.responsibilities[4], em.weights);
                assert_eq!(em.report.unknown_users, [4]);
                assert_eq!(em.report.starts.len(), 5);
                let best = em.report.starts.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                assert_eq!(best, em.report.objective());
            }
        }
    }

    #[test]
    fn the_value_is_the_penalized_likelihood_of_soft_and_the_assigned_one_of_hard_components() {
        let coins = coins();
        let config = EmConfig::new(2).with_dirichlet(2.0);
        let em = config.fit(&coins).unwrap();
        let logs: Vec<Vec<f64>> = em.components.iter().map(|p| coins.log_likelihoods(p)).collect();
        let prior: f64 = em.components.iter().map(|p| coins.log_prior(p)).sum();
        let user = |user: usize| (em.weights[0] * logs[0][user].exp() + em.weights[1] * logs[1][user].exp()).ln();
        let expected = [0, 1, 2, 3, 5].map(user).iter().sum::<f64>() + prior + em.weights[0].ln() + em.weights[1].ln();
        assert!((em.report.objective() - expected).abs() < 1e-9, "{} is not {expected}", em.report.objective());
        // (3 + 1) / (5 + 2) of the users, nearly.
        assert!((em.weights[0] - 4.0 / 7.0).abs() < 1e-3);
        let hard = EmConfig::new(2).with_assignment(Assignment::Hard).fit(&coins).unwrap();
        let logs: Vec<Vec<f64>> = hard.components.iter().map(|p| coins.log_likelihoods(p)).collect();
        let prior: f64 = hard.components.iter().map(|p| coins.log_prior(p)).sum();
        let expected = prior + logs[0][0] + logs[0][1] + logs[0][2] + logs[1][3] + logs[1][5];
        assert!((hard.report.objective() - expected).abs() < 1e-12);
        assert_eq!(hard.responsibilities[3], [0.0, 1.0]);
    }

    #[test]
    fn one_component_is_a_fit_to_everybody() {
        let em = EmConfig::new(1).fit(&coins()).unwrap();
        assert_eq!(em.components, [30.0 / 52.0]);
        assert_eq!((em.weights[0], em.report.converged, em.report.trace.len()), (1.0, true, 2));
    }

    #[test]
    fn equal_responsibilities_never_split_and_are_refused() {
        for row in [vec![0.5, 0.5], vec![0.3, 0.7]] {
            let error = EmConfig::new(2).fit_from(&coins(), vec![row; 6]).unwrap_err();
            assert!(error.to_string().contains("all components would stay alike"), "{error}");
        }
        EmConfig::new(1).fit_from(&coins(), vec![vec![1.0]; 6]).unwrap();
        let mut one = vec![vec![0.5, 0.5]; 6];
        one[0] = vec![0.6, 0.4];
        EmConfig::new(2).fit_from(&coins(), one.clone()).unwrap();
        // A difference in a user of whom nothing is known is none.
        one.swap(0, 4);
        assert!(EmConfig::new(2).fit_from(&coins(), one).is_err());
    }

    #[test]
    fn responsibilities_are_checked() {
        let text = |first: Vec<Vec<f64>>| EmConfig::new(2).fit_from(&coins(), first).unwrap_err().to_string();
        let rows = |row: Vec<f64>| [vec![vec![0.6, 0.4]; 5], vec![row]].concat();
        assert!(text(vec![vec![0.6, 0.4]; 5]).starts_with("`responsibilities`: expected 6 entries"));
        assert!(text(rows(vec![1.0])).starts_with("`responsibilities`: expected 2 entries, got 1"));
        assert!(text(rows(vec![1.5, -0.5])).starts_with("record 5: `responsibilities`: expected >= 0, got -0.5"));
        assert!(text(rows(vec![0.5, 0.4])).starts_with("record 5: `responsibilities`: expected a sum of 1, got 0.9"));
    }

    #[test]
    fn an_empty_component_starts_again_from_the_worst_explained_user() {
        // The third component starts in the middle, where nobody is; user 2 is the one whom the others explain worst.
        let coins = Coins(vec![(10.0, 10.0), (10.0, 10.0), (8.0, 10.0), (1.0, 10.0), (1.0, 10.0)]);
        let first = [vec![vec![0.8, 0.1, 0.1]; 3], vec![vec![0.1, 0.8, 0.1]; 2]].concat();
        let em = EmConfig::new(3).with_assignment(Assignment::Hard).fit_from(&coins, first).unwrap();
        assert_eq!((em.report.reseeds, em.report.converged), (1, true));
        assert!((em.components[2] - 9.0 / 12.0).abs() < 1e-12, "user 2 by themselves: {:?}", em.components);
        assert_eq!(em.responsibilities[2], [0.0, 0.0, 1.0]);
        assert!((em.components[0] - 21.0 / 22.0).abs() < 1e-12 && (em.components[1] - 3.0 / 22.0).abs() < 1e-12);
        // Users who are all alike leave a second component nothing, and a prior on the weights lets it be.
        let alike = Coins(vec![(5.0, 10.0); 4]);
        let config = EmConfig::new(2).with_assignment(Assignment::Hard);
        let first = vec![vec![0.5, 0.5], vec![0.5 + 1e-9, 0.5 - 1e-9], vec![0.5, 0.5], vec![0.5, 0.5]];
        let error = config.fit_from(&alike, first.clone()).unwrap_err();
        assert!(matches!(error, Error::Combination { what: "num_components", .. }), "{error}");
        let em = config.with_dirichlet(1.5).fit_from(&alike, first).unwrap();
        assert_eq!(em.report.reseeds, 0);
        assert!((em.weights[1] - 0.5 / 5.0).abs() < 1e-12);
    }

    #[test]
    fn components_are_sorted_by_weight_and_then_by_their_first_number() {
        let coins = Coins(vec![(9.0, 10.0), (1.0, 10.0)]);
        for (own, other) in [(0.9, 0.1), (0.1, 0.9)] {
            let first = vec![vec![own, other], vec![other, own]];
            let em = EmConfig::new(2).with_assignment(Assignment::Hard).fit_from(&coins, first).unwrap();
            assert!((em.components[0] - 10.0 / 12.0).abs() < 1e-12, "{:?}", em.components);
            assert_eq!(em.responsibilities, [[1.0, 0.0], [0.0, 1.0]]);
        }
    }

    #[test]
    fn settings_out_of_their_domains_are_refused_by_name() {
        let text = |config: EmConfig| config.fit(&coins()).unwrap_err().to_string();
        assert!(text(EmConfig::new(0)).starts_with("`num_components`: expected >= 1"));
        assert!(text(EmConfig::new(2).with_restarts(0)).starts_with("`restarts`: expected >= 1"));
        for bad in [0.9, f64::NAN, f64::INFINITY] {
            assert!(text(EmConfig::new(2).with_dirichlet(bad)).starts_with("`dirichlet`: expected finite and >= 1"));
        }
        for bad in [0.0, f64::NAN] {
            assert!(text(EmConfig::new(2).with_tolerance(bad)).starts_with("`tolerance`: expected > 0"));
        }
        assert!(text(EmConfig::new(6)).contains("fewer users with data than components"));
        let config = EmConfig::new(3);
        assert_eq!((config.assignment, config.start), (Assignment::Soft, Start::Dirichlet));
        assert_eq!((config.restarts, config.dirichlet, config.tolerance), (5, 1.0, 1e-8));
        assert_eq!((config.max_iterations, config.seed), (200, 0));
        let short = EmConfig::new(2).with_max_iterations(1).fit(&coins()).unwrap();
        assert!(!short.report.converged && short.report.trace.len() == 1);
    }

    #[test]
    fn a_seed_gives_the_same_mixture_whatever_runs_beside_it() {
        let fit = |seed| EmConfig::new(2).with_seed(seed).fit(&coins()).unwrap();
        assert_eq!(fit(3), fit(3));
        assert_ne!(fit(3).report.starts, fit(4).report.starts);
    }
}
