//! Fits of a design to everybody, to a new user, and to several who share a point.

use accordant_ops::check_domain;
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{
    Design, Form, Users,
    form::dot,
    layout::{Judged, Layout, Slopes},
    weights::weights,
};
use crate::{
    Comparisons, Error, Report, Result,
    error::check_length,
    optimize::Solver,
    plural::{
        logistic::LogisticConfig,
        pairs::{Items, UserPairs, terms},
    },
    random::{Purpose, stream},
};

/// A fit from several starts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Fit {
    pub solver: Solver,
    pub restarts: usize,
    pub seed: u64,
}

/// A fitted design.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Factors {
    pub design: Design,
    pub items: Items,
    /// What all users share.
    pub shared: Vec<f64>,
    /// What is each user's own.
    pub own: Vec<Vec<f64>>,
    /// What a user has of whom nothing is known; new users are shrunk to it.
    pub center: Vec<f64>,
    pub report: Report,
}

impl Factors {
    /// Fits everything at once, and keeps the best of several starts.
    pub fn fit(design: Design, items: &Items, pairs: &UserPairs, fit: Fit) -> Result<Self> {
        items.check(pairs.num_items())?;
        pairs.check_not_empty()?;
        fit.solver.check()?;
        check_domain(fit.restarts >= 1, "restarts", ">= 1", fit.restarts as f64)?;
        let layout = Layout::new(design, items);
        let judged: Vec<Judged> = pairs.users().iter().map(|user| Judged::new(user, design.per_user)).collect();
        // One score for everybody: what a common score and a basis start from.
        let prior = design.common.unwrap_or(1.0).max(1e-3);
        let one = LogisticConfig::new().with_prior(prior).fit(items, &pairs.pooled())?.coefficients;
        let runs: Vec<(Vec<f64>, Report)> = (0..fit.restarts as u32)
            .into_par_iter()
            .map(|start| {
                let at = layout.start(&one, judged.len(), fit.seed, start);
                fit.solver.minimize(|at, gradient| layout.objective(&judged, at, gradient), at)
            })
            .collect();
        // The first of the best, and any number rather than none.
        let worse = |best: &Report, run: &Report| best.objective.is_nan() || run.objective < best.objective;
        let best = runs.into_iter().reduce(|best, run| if worse(&best.1, &run.1) { run } else { best });
        let (at, report) = best.expect("there is a start");
        if !report.objective.is_finite() {
            return Err(Error::Combination {
                what: "solver",
                reason: "the fit left the finite numbers: smaller steps",
            });
        }
        let (shared, own) = at.split_at(layout.num_shared());
        let own: Vec<Vec<f64>> = own.chunks_exact(layout.num_own()).map(<[f64]>::to_vec).collect();
        let center = layout.center(&own, pairs);
        Ok(Self { design, items: items.clone(), shared: shared.to_vec(), own, center, report })
    }

    pub fn layout(&self) -> Layout<'_> {
        Layout::new(self.design, &self.items)
    }

    /// The scores of all items for a user with these numbers of their own.
    pub fn scores(&self, own: &[f64]) -> Vec<f64> {
        self.layout().scores(&self.shared, own)
    }

    /// The numbers of a new user's own: what users share stays, and nobody's pairs say nothing.
    pub fn adapt(&self, judged: &Comparisons, solver: Solver) -> Result<(Vec<f64>, Report)> {
        check_length("items", self.items.len(), judged.num_items())?;
        solver.check()?;
        let layout = self.layout();
        let judged = Judged::new(judged, self.design.per_user);
        if judged.pairs.is_empty() {
            let report = Report { converged: true, iterations: 0, objective: 0.0, gradient_norm: 0.0 };
            return Ok((self.center.clone(), report));
        }
        let shared = layout.unpack(&self.shared);
        let mut by = Slopes::zeros(&shared);
        let objective = |own: &[f64], gradient: &mut [f64]| {
            gradient.fill(0.0);
            let loss = layout.loss(&shared, own, &judged, gradient, &mut by);
            loss + layout.own_penalty(own, &self.center, gradient)
        };
        Ok(solver.minimize(objective, self.center.clone()))
    }

    /// The best point that several users share, with everything else as it is, and how it was found.
    pub fn shared_point(
        &self,
        judged: &[&Comparisons],
        from: &[f64],
        prior: f64,
        solver: Solver,
    ) -> (Vec<f64>, Report) {
        // Each of them has the point as their own, once.
        let design = Design { users: Users::Free, private: None, ..self.design };
        let layout = Layout::new(design, &self.items);
        let shared = layout.unpack(&self.shared);
        let judged: Vec<Judged> = judged.iter().map(|user| Judged::new(user, design.per_user)).collect();
        let mut by = Slopes::zeros(&shared);
        let objective = |z: &[f64], gradient: &mut [f64]| {
            let mut value = 0.0;
            for (x, slope) in z.iter().zip(gradient.iter_mut()) {
                value += 0.5 * prior * x * x;
                *slope = prior * x;
            }
            value + judged.iter().map(|user| layout.loss(&shared, z, user, gradient, &mut by)).sum::<f64>()
        };
        solver.minimize(objective, from.to_vec())
    }
}

/// How large the numbers are that break the symmetry of a start.
const START_SPREAD: f64 = 0.1;

impl Layout<'_> {
    /// Where a fit starts: the common score at everybody's, maps with features of the same dimension at the identity,
    /// bases at everybody's score, prototypes of length 1, and everything else near 0.
    fn start(&self, one: &[f64], num_users: usize, seed: u64, start: u32) -> Vec<f64> {
        let mut rng = stream(seed, Purpose::Start, start);
        let mut normal =
            |scale: f64| -> f64 { scale * <StandardNormal as Distribution<f64>>::sample(&StandardNormal, &mut rng) };
        let Design { users, dim: d, form, .. } = self.design;
        let dim = self.items.dim();
        let mut at = Vec::with_capacity(self.num_shared() + num_users * self.num_own());
        if self.design.common.is_some() {
            at.extend_from_slice(one);
        }
        for l in 0..d {
            for (j, score) in one.iter().enumerate() {
                at.push(match users {
                    Users::Simplex => {
                        let scale = if let Form::Dot { scale } = form { scale } else { 1.0 };
                        score / scale + normal(START_SPREAD / scale)
                    }
                    _ if d == dim && !self.items.is_table() => f64::from(u8::from(l == j)),
                    _ => normal(START_SPREAD),
                });
            }
        }
        if let Users::Prototypes(k) = users {
            for _ in 0..k {
                let mut prototype: Vec<f64> = (0..d).map(|_| normal(1.0)).collect();
                let norm = dot(&prototype, &prototype).sqrt();
                prototype.iter_mut().for_each(|p| *p /= norm);
                at.append(&mut prototype);
            }
        }
        for _ in 0..num_users {
            let scale = if users == Users::Free { START_SPREAD } else { 1.0 };
            (0..self.num_latent()).for_each(|_| at.push(normal(scale)));
            at.resize(at.len() + self.num_own() - self.num_latent(), 0.0);
        }
        at
    }

    /// What somebody has of whom nothing is known: the mean point, or the logits of the mean weights. With a common score
    /// that is no deviation at all.
    fn center(&self, own: &[Vec<f64>], pairs: &UserPairs) -> Vec<f64> {
        let known: Vec<&Vec<f64>> = own
            .iter()
            .zip(pairs.users())
            .filter(|(_, judged)| terms(judged, 0).next().is_some())
            .map(|(own, _)| own)
            .collect();
        let latent = self.num_latent();
        let mean = |of: &dyn Fn(&[f64]) -> Vec<f64>| -> Vec<f64> {
            let mut sum = vec![0.0; latent];
            for own in &known {
                sum.iter_mut().zip(of(&own[..latent])).for_each(|(s, x)| *s += x / known.len() as f64);
            }
            sum
        };
        let mut center = match self.design.users {
            Users::Free if self.design.common.is_some() => vec![0.0; latent],
            Users::Free => mean(&|own| own.to_vec()),
            Users::Simplex | Users::Prototypes(_) => mean(&|own| weights(own)).iter().map(|w| w.ln()).collect(),
        };
        center.resize(self.num_own(), 0.0);
        center
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::testing::{FORMS, design, pairs},
        *,
    };
    use crate::plural::Chooser;

    #[test]
    fn a_fit_of_a_new_user_starts_at_the_center_and_only_goes_down() {
        let fit = Fit { solver: Solver::Lbfgs { gradient: 1e-9, max_iterations: 500 }, restarts: 2, seed: 1 };
        for users in [Users::Free, Users::Simplex, Users::Prototypes(3)] {
            for common in [None, Some(0.3)] {
                let design = Design { common, ..design(Form::Dot { scale: 1.0 }, users) };
                let factors = Factors::fit(design, &Items::table(4), &pairs(4), fit).unwrap();
                assert!(factors.report.converged, "{users:?}: {:?}", factors.report);
                let (own, report) = factors.adapt(&Comparisons::new(4), fit.solver).unwrap();
                assert_eq!((own, report.iterations), (factors.center.clone(), 0));
                let pairs = pairs(4);
                let judged = &pairs.users()[2];
                let (own, report) = factors.adapt(judged, fit.solver).unwrap();
                assert!(report.converged);
                let loss = |own: &[f64]| -Chooser::one(factors.scores(own)).foretell(judged).unwrap().log_likelihood;
                assert!(loss(&own) < loss(&factors.center), "{users:?}");
            }
        }
    }

    #[test]
    fn starts_lie_where_they_are_said_to() {
        let one = [3.0, -2.0, 1.0];
        let bare = |form, users| Design { common: None, private: None, ..design(form, users) };
        let start = |design: Design, items: &Items, one: &[f64], users: usize| {
            Layout::new(design, items).start(one, users, 4, 0)
        };
        let within = |got: &[f64], expected: &[f64], spread: f64| {
            let away: Vec<f64> = got.iter().zip(expected).map(|(got, expected)| (got - expected).abs()).collect();
            assert!(away.iter().all(|&away| away > 0.0 && away < 6.0 * spread), "{got:?} is not near {expected:?}");
        };
        // Two bases at everybody's score, in units of the product's scale.
        let table = Items::table(3);
        let bases = start(bare(Form::Dot { scale: 100.0 }, Users::Simplex), &table, &one, 1);
        within(&bases[..6], &one.map(|score| score / 100.0).repeat(2), 0.1 / 100.0);
        let bases = start(bare(Form::Distance, Users::Simplex), &table, &one, 1);
        within(&bases[..6], &one.repeat(2), 0.1);
        // A map of features to as many numbers is the identity, of a table or to fewer near 0.
        let features = |dim: usize| Items::features(&[vec![1.0; dim], vec![0.5; dim]]).unwrap();
        let free = bare(Form::Dot { scale: 1.0 }, Users::Free);
        assert_eq!(start(free, &features(2), &one[..2], 0), [1.0, 0.0, 0.0, 1.0]);
        within(&start(free, &features(3), &one, 0), &[0.0; 6], 0.1);
        within(&start(free, &Items::table(2), &one[..2], 0), &[0.0; 4], 0.1);
        // The common score first; prototypes of length 1 behind the map.
        let full = design(Form::Distance, Users::Prototypes(3));
        let at = start(full, &table, &one, 2);
        assert_eq!(at.len(), 3 + 6 + 6 + 2 * (3 + 3));
        assert_eq!(at[..3], one);
        within(&at[3..9], &[0.0; 6], 0.1);
        for prototype in at[9..15].chunks(2) {
            assert!((dot(prototype, prototype) - 1.0).abs() < 1e-12, "{prototype:?}");
        }
        for own in at[15..].chunks(6) {
            within(&own[..3], &[0.0; 3], 1.0);
            assert_eq!(own[3..], [0.0; 3], "nobody has scores of their own yet");
        }
        // Points of one's own are small, logits are not: 2000 numbers have a standard deviation within a tenth of theirs.
        for (users, expected) in [(Users::Free, 0.1), (Users::Simplex, 1.0), (Users::Prototypes(2), 1.0)] {
            let at = start(bare(Form::Distance, users), &table, &one, 1000);
            let own = &at[at.len() - 2000..];
            let deviation = (own.iter().map(|x| x * x).sum::<f64>() / 2000.0).sqrt();
            assert!((deviation / expected - 1.0).abs() < 0.1, "{users:?}: {deviation}");
        }
    }

    #[test]
    fn what_does_not_fit_together_is_an_error() {
        let solver = Solver::Lbfgs { gradient: 1e-6, max_iterations: 20 };
        let good = Fit { solver, restarts: 1, seed: 0 };
        let run = |items: Items, pairs: &UserPairs, fit: Fit| {
            Factors::fit(design(FORMS[0], Users::Free), &items, pairs, fit).unwrap_err().to_string()
        };
        assert!(run(Items::table(3), &pairs(4), good).starts_with("`items`: expected 3 entries, got 4"));
        assert!(run(Items::table(4), &UserPairs::new(4), good).contains("no pair of weight > 0"));
        let none = Fit { restarts: 0, ..good };
        assert!(run(Items::table(4), &pairs(4), none).starts_with("`restarts`: expected >= 1"));
        let bad = Fit { solver: Solver::Adam { learning_rate: f64::NAN, steps: 3 }, ..good };
        assert!(run(Items::table(4), &pairs(4), bad).starts_with("`learning_rate`"));
        let far = Fit { solver: Solver::Adam { learning_rate: 1e200, steps: 3 }, ..good };
        assert!(run(Items::table(4), &pairs(4), far).starts_with("solver: the fit left the finite numbers"));
    }

    #[test]
    fn the_point_that_users_share_minimizes_their_loss_and_half_its_squares() {
        let solver = Solver::Lbfgs { gradient: 1e-9, max_iterations: 500 };
        let pairs = pairs(4);
        let report = Report { converged: true, iterations: 0, objective: 0.0, gradient_norm: 0.0 };
        // Common scores, two numbers of each item, two prototypes.
        let shared = vec![0.5, -0.3, 0.2, 0.1, 1.0, -0.5, 0.3, 0.8, -0.7, 1.2, 0.4, -0.9, 1.0, 0.0, 0.0, 1.0];
        let design = design(Form::Dot { scale: 1.0 }, Users::Prototypes(2));
        let factors = Factors { design, items: Items::table(4), shared, own: vec![], center: vec![], report };
        let users: Vec<&Comparisons> = pairs.users()[2..].iter().collect();
        let (point, report) = factors.shared_point(&users, &[0.0, 0.0], 0.7, solver);
        let value = |point: &[f64]| {
            let chooser = Chooser::one(factors.layout().scores_at(&factors.shared, point));
            let loss: f64 = users.iter().map(|user| -chooser.foretell(user).unwrap().log_likelihood).sum();
            loss + 0.35 * dot(point, point)
        };
        assert!(report.converged && (report.objective - value(&point)).abs() < 1e-9, "{report:?}");
        assert!(dot(&point, &point) > 0.01, "{point:?}");
        for step in [[1e-3, 0.0], [-1e-3, 0.0], [0.0, 1e-3], [0.0, -1e-3]] {
            assert!(value(&[point[0] + step[0], point[1] + step[1]]) > report.objective);
        }
    }

    #[test]
    fn the_best_start_is_kept() {
        let pairs = pairs(4);
        let objective = |restarts: usize, seed: u64| {
            // Hardly a step, so that starts are as good as chance has it.
            let solver = Solver::Adam { learning_rate: 1e-300, steps: 1 };
            let design = design(Form::Distance, Users::Prototypes(2));
            Factors::fit(design, &Items::table(4), &pairs, Fit { solver, restarts, seed }).unwrap().report.objective
        };
        let mut falls = 0;
        for seed in 0..20 {
            let objectives: Vec<f64> = (1..=3).map(|restarts| objective(restarts, seed)).collect();
            assert!(objectives.windows(2).all(|pair| pair[1] <= pair[0]), "{objectives:?}");
            falls += usize::from(objectives[1] < objectives[0]);
        }
        assert!(falls > 0 && falls < 20, "sometimes the first is the best, and sometimes it is not: {falls}");
    }

    #[test]
    fn nobody_is_the_mean_of_those_of_whom_something_is_known() {
        let items = Items::table(4);
        // User 0 judged nothing, and has numbers all the same.
        let own = [[9.0, 9.0], [1.0, -2.0], [3.0, 0.0], [5.0, 8.0]].map(|own| own.to_vec());
        let center = |users, common| {
            let design = Design { common, private: None, ..design(Form::Dot { scale: 1.0 }, users) };
            Layout::new(design, &items).center(&own, &pairs(4))
        };
        assert_eq!(center(Users::Free, Some(0.3)), [0.0, 0.0], "no deviation from a common score");
        let near = |got: Vec<f64>, expected: [f64; 2]| {
            assert!(got.iter().zip(expected).all(|(got, expected)| (got - expected).abs() < 1e-12), "{got:?}");
        };
        near(center(Users::Free, None), [3.0, 2.0]);
        // Weights by odds of e³, e³ and e⁻³ : 1.
        let first = [3.0, 3.0, -3.0].map(accordant_ops::host::logistic).iter().sum::<f64>() / 3.0;
        near(center(Users::Simplex, None), [first.ln(), (1.0 - first).ln()]);
        near(center(Users::Prototypes(2), Some(0.3)), [first.ln(), (1.0 - first).ln()]);
    }
}
