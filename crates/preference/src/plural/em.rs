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
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    Error, Result,
    error::{check_length, check_record},
    random::{Purpose, stream},
};

mod starts;

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
                    Start::Dirichlet => starts::dirichlet(model.num_users(), self.num_components, &mut rng),
                    Start::KMeans => starts::clusters(model, &known, self.num_components, &mut rng),
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

#[cfg(test)]
mod tests;
