//! What models of users by a few numbers each have in common: the score of an item for a user, its derivatives, and fits.
//!
//! ```text
//! s_ui = c · e_i + score(F e_i, z_u) + q_ui
//! ```
//! with coefficients `c` that all users share (optional), a map `F` of what is known of an item to `d` numbers, a point
//! `z_u` of the user, and a private table `q_u` (optional). The point is the user's own, or a mean of `K` shared ones with
//! weights `softmax(ω_u)`.

use accordant_ops::{check_domain, host};
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{
    logistic::{LogisticConfig, cross_entropy},
    pairs::{Items, UserPairs, terms},
};
use crate::{
    Comparisons, Error, Report, Result,
    error::check_length,
    optimize::Solver,
    random::{Purpose, stream},
};

/// The score of an item's point `f` for a user's point `z`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) enum Form {
    /// `scale ⟨f, z⟩`
    Dot { scale: f64 },
    /// `−‖f − z‖`
    Distance,
    /// `−‖f − z‖²`
    SquaredDistance,
    /// `kappa cos(f, z)`, 0 of a zero.
    Angle { kappa: f64 },
}

impl Form {
    /// The score; adds `slope` times its derivatives to those by `f` and by `z`.
    fn score(self, f: &[f64], z: &[f64]) -> f64 {
        match self {
            Self::Dot { scale } => scale * dot(f, z),
            Self::Distance => -squared_distance(f, z).sqrt(),
            Self::SquaredDistance => -squared_distance(f, z),
            Self::Angle { kappa } => match (dot(f, f) * dot(z, z)).sqrt() {
                0.0 => 0.0,
                norms => kappa * dot(f, z) / norms,
            },
        }
    }

    /// Adds `slope` times the derivatives of the score to those by `f` and by `z`.
    fn pull_back(self, f: &[f64], z: &[f64], slope: f64, by_f: &mut [f64], by_z: &mut [f64]) {
        match self {
            Self::Dot { scale } => {
                let slope = slope * scale;
                for l in 0..f.len() {
                    by_f[l] += slope * z[l];
                    by_z[l] += slope * f[l];
                }
            }
            Self::Distance | Self::SquaredDistance => {
                let slope = match self {
                    Self::SquaredDistance => 2.0 * slope,
                    // Where they meet, the distance has a kink; its subgradient 0.
                    _ => match squared_distance(f, z).sqrt() {
                        0.0 => 0.0,
                        distance => slope / distance,
                    },
                };
                for l in 0..f.len() {
                    let away = slope * (f[l] - z[l]);
                    by_f[l] -= away;
                    by_z[l] += away;
                }
            }
            Self::Angle { kappa } => {
                let (ff, zz) = (dot(f, f), dot(z, z));
                let norms = (ff * zz).sqrt();
                if norms == 0.0 {
                    return;
                }
                let cosine = dot(f, z) / norms;
                let slope = slope * kappa;
                for l in 0..f.len() {
                    by_f[l] += slope * (z[l] / norms - cosine * f[l] / ff);
                    by_z[l] += slope * (f[l] / norms - cosine * z[l] / zz);
                }
            }
        }
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn squared_distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

/// What a user's point is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Users {
    /// Any point.
    Free,
    /// The weights themselves, on the simplex: as many as `dim`.
    Simplex,
    /// The mean of this many prototypes with weights on the simplex.
    Prototypes(usize),
}

/// What is fitted. Every prior is the precision of a normal one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Design {
    pub form: Form,
    pub users: Users,
    /// The dimension of points.
    pub dim: usize,
    /// The prior on `c`; none without `c`.
    pub common: Option<f64>,
    /// The prior on `F`.
    pub items: f64,
    /// The prior on the prototypes.
    pub prototypes: f64,
    /// The prior on a user's own numbers, `z_u` or `ω_u`.
    pub own: f64,
    /// The prior on `q_u`; none without `q_u`.
    pub private: Option<f64>,
    /// Whether each user's pairs count together as one.
    pub per_user: bool,
}

/// How far logits of weights may be below the largest; beyond, weights would no longer move.
const LOGIT_RANGE: f64 = 20.0;

/// Weights on the simplex of logits.
pub(crate) fn weights(logits: &[f64]) -> Vec<f64> {
    let max = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let floor: Vec<f64> = logits.iter().map(|logit| logit.max(max - LOGIT_RANGE)).collect();
    host::softmax(&floor)
}

/// Adds the derivatives by logits that derivatives by weights make.
fn pull_back_weights(logits: &[f64], weights: &[f64], by_weight: &[f64], by_logit: &mut [f64]) {
    let best = super::em::first_largest(logits);
    let mean = dot(weights, by_weight);
    for k in 0..logits.len() {
        let slope = weights[k] * (by_weight[k] - mean);
        // Logits at the floor move with the largest.
        by_logit[if logits[k] < logits[best] - LOGIT_RANGE { best } else { k }] += slope;
    }
}

/// One user's pairs, by the places of their items in a list of its own.
struct Judged {
    items: Vec<usize>,
    pairs: Vec<(usize, usize, f64, f64)>,
}

impl Judged {
    fn new(judged: &Comparisons, per_user: bool) -> Self {
        let mut items = Vec::new();
        let mut place = |item: usize| {
            items.iter().position(|&known| known == item).unwrap_or_else(|| {
                items.push(item);
                items.len() - 1
            })
        };
        let total: f64 = judged.records().iter().map(|record| record.weight).sum();
        let scale = if per_user { 1.0 / total } else { 1.0 };
        let pairs = terms(judged, 0)
            .map(|term| (place(term.first), place(term.second), term.share, scale * term.weight))
            .collect();
        Self { items, pairs }
    }
}

/// The shared parameters, unpacked.
struct Shared<'a> {
    /// `[items]`; empty without `c`.
    common: Vec<f64>,
    /// `[items, d]` by rows.
    points: Vec<f64>,
    prototypes: &'a [f64],
}

/// The design on items: where the parameters lie.
pub(crate) struct Layout<'a> {
    design: Design,
    items: &'a Items,
}

impl<'a> Layout<'a> {
    pub fn new(design: Design, items: &'a Items) -> Self {
        Self { design, items }
    }

    fn num_common(&self) -> usize {
        self.design.common.map_or(0, |_| self.items.dim())
    }

    fn num_map(&self) -> usize {
        self.design.dim * self.items.dim()
    }

    /// How many numbers all users share.
    pub fn num_shared(&self) -> usize {
        let prototypes = match self.design.users {
            Users::Prototypes(k) => k * self.design.dim,
            _ => 0,
        };
        self.num_common() + self.num_map() + prototypes
    }

    /// How many of a user's own numbers make their point.
    pub fn num_latent(&self) -> usize {
        match self.design.users {
            Users::Prototypes(k) => k,
            _ => self.design.dim,
        }
    }

    /// How many numbers are a user's own.
    pub fn num_own(&self) -> usize {
        self.num_latent() + self.design.private.map_or(0, |_| self.items.len())
    }

    fn unpack<'b>(&self, shared: &'b [f64]) -> Shared<'b> {
        let (common, rest) = shared.split_at(self.num_common());
        let (map, prototypes) = rest.split_at(self.num_map());
        let (n, d, dim) = (self.items.len(), self.design.dim, self.items.dim());
        let mut points = vec![0.0; n * d];
        for l in 0..d {
            for (item, value) in self.items.scores_of(&map[l * dim..][..dim]).into_iter().enumerate() {
                points[item * d + l] = value;
            }
        }
        let common = if common.is_empty() { Vec::new() } else { self.items.scores_of(common) };
        Shared { common, points, prototypes }
    }

    /// A user's point.
    fn point(&self, shared: &Shared, own: &[f64]) -> Vec<f64> {
        let latent = &own[..self.num_latent()];
        match self.design.users {
            Users::Free => latent.to_vec(),
            Users::Simplex => weights(latent),
            Users::Prototypes(_) => self.mean_prototype(shared, &weights(latent)),
        }
    }

    fn mean_prototype(&self, shared: &Shared, weights: &[f64]) -> Vec<f64> {
        let mut mean = vec![0.0; self.design.dim];
        for (weight, prototype) in weights.iter().zip(shared.prototypes.chunks_exact(self.design.dim)) {
            mean.iter_mut().zip(prototype).for_each(|(m, p)| *m += weight * p);
        }
        mean
    }

    fn score(&self, shared: &Shared, z: &[f64], own: &[f64], item: usize) -> f64 {
        let d = self.design.dim;
        let common = shared.common.get(item).copied().unwrap_or_default();
        let private = own.get(self.num_latent() + item).copied().unwrap_or_default();
        common + self.design.form.score(&shared.points[item * d..][..d], z) + private
    }

    /// The scores of all items for a user with these numbers of their own.
    pub fn scores(&self, shared: &[f64], own: &[f64]) -> Vec<f64> {
        let shared = self.unpack(shared);
        let z = self.point(&shared, own);
        (0..self.items.len()).map(|item| self.score(&shared, &z, own, item)).collect()
    }

    /// The scores of all items from a point.
    pub fn scores_at(&self, shared: &[f64], z: &[f64]) -> Vec<f64> {
        let shared = self.unpack(shared);
        (0..self.items.len()).map(|item| self.score(&shared, z, &[], item)).collect()
    }

    /// The points of all items, `[items, d]` by rows.
    pub fn points(&self, shared: &[f64]) -> Vec<f64> {
        self.unpack(shared).points
    }

    /// The prototypes, `[K, d]` by rows.
    pub fn prototypes<'b>(&self, shared: &'b [f64]) -> &'b [f64] {
        &shared[self.num_common() + self.num_map()..]
    }

    /// A user's loss; adds its derivatives to those by their own numbers, by `points`, `common` and prototypes.
    fn loss(&self, shared: &Shared, own: &[f64], judged: &Judged, by_own: &mut [f64], by: &mut Slopes) -> f64 {
        let z = self.point(shared, own);
        let scores: Vec<f64> = judged.items.iter().map(|&item| self.score(shared, &z, own, item)).collect();
        let mut by_score = vec![0.0; scores.len()];
        let mut loss = 0.0;
        for &(first, second, share, weight) in &judged.pairs {
            let [value, slope, _] = cross_entropy(scores[first] - scores[second], share);
            loss += weight * value;
            by_score[first] += weight * slope;
            by_score[second] -= weight * slope;
        }
        let d = self.design.dim;
        let mut by_z = vec![0.0; d];
        for (&item, &slope) in judged.items.iter().zip(&by_score) {
            let f = &shared.points[item * d..][..d];
            self.design.form.pull_back(f, &z, slope, &mut by.points[item * d..][..d], &mut by_z);
            if let Some(common) = by.common.get_mut(item) {
                *common += slope;
            }
            if self.design.private.is_some() {
                by_own[self.num_latent() + item] += slope;
            }
        }
        let latent = &own[..self.num_latent()];
        match self.design.users {
            Users::Free => by_own.iter_mut().zip(&by_z).for_each(|(own, z)| *own += z),
            Users::Simplex => pull_back_weights(latent, &z, &by_z, by_own),
            Users::Prototypes(_) => {
                let weights = weights(latent);
                let mut by_weight = vec![0.0; weights.len()];
                for (k, weight) in weights.iter().enumerate() {
                    by_weight[k] = dot(&shared.prototypes[k * d..][..d], &by_z);
                    by.prototypes[k * d..][..d].iter_mut().zip(&by_z).for_each(|(p, z)| *p += weight * z);
                }
                pull_back_weights(latent, &weights, &by_weight, by_own);
            }
        }
        loss
    }

    /// Half the squared numbers of a user's own, by their priors, with derivatives.
    fn own_penalty(&self, own: &[f64], center: &[f64], by_own: &mut [f64]) -> f64 {
        let latent = self.num_latent();
        let prior = |at: usize| if at < latent { self.design.own } else { self.design.private.unwrap_or_default() };
        let mut penalty = 0.0;
        for (at, (value, slope)) in own.iter().zip(by_own).enumerate() {
            let away = value - center.get(at).copied().unwrap_or_default();
            penalty += 0.5 * prior(at) * away * away;
            *slope += prior(at) * away;
        }
        penalty
    }

    /// Half the squared shared numbers, by their priors, with derivatives.
    fn shared_penalty(&self, shared: &[f64], gradient: &mut [f64]) -> f64 {
        let (common, map) = (self.num_common(), self.num_map());
        let mut penalty = 0.0;
        for (at, (value, slope)) in shared.iter().zip(gradient).enumerate() {
            let prior = match at {
                _ if at < common => self.design.common.unwrap_or_default(),
                _ if at < common + map => self.design.items,
                _ => self.design.prototypes,
            };
            penalty += 0.5 * prior * value * value;
            *slope += prior * value;
        }
        penalty
    }

    /// The penalized loss of everybody and its gradient; `at` holds the shared numbers and then each user's own.
    fn objective(&self, judged: &[Judged], at: &[f64], gradient: &mut [f64]) -> f64 {
        gradient.fill(0.0);
        let (shared_at, own_at) = at.split_at(self.num_shared());
        let (shared_gradient, own_gradient) = gradient.split_at_mut(self.num_shared());
        let shared = self.unpack(shared_at);
        let mut by = Slopes {
            common: vec![0.0; shared.common.len()],
            points: vec![0.0; shared.points.len()],
            prototypes: vec![0.0; shared.prototypes.len()],
        };
        let mut value = 0.0;
        let own = own_at.chunks_exact(self.num_own()).zip(own_gradient.chunks_exact_mut(self.num_own()));
        for (judged, (own, by_own)) in judged.iter().zip(own) {
            value += self.loss(&shared, own, judged, by_own, &mut by);
            value += self.own_penalty(own, &[], by_own);
        }
        self.pack(&by, shared_gradient);
        value + self.shared_penalty(shared_at, shared_gradient)
    }

    /// Adds derivatives by what the shared parameters make to those by the parameters.
    fn pack(&self, by: &Slopes, gradient: &mut [f64]) {
        let (common, rest) = gradient.split_at_mut(self.num_common());
        let (map, prototypes) = rest.split_at_mut(self.num_map());
        if !common.is_empty() {
            self.items.pull_back(&by.common, common);
        }
        let (d, dim) = (self.design.dim, self.items.dim());
        for l in 0..d {
            let by_score: Vec<f64> = by.points.iter().skip(l).step_by(d).copied().collect();
            self.items.pull_back(&by_score, &mut map[l * dim..][..dim]);
        }
        prototypes.iter_mut().zip(&by.prototypes).for_each(|(p, slope)| *p += slope);
    }
}

/// Derivatives by what the shared parameters make.
struct Slopes {
    common: Vec<f64>,
    points: Vec<f64>,
    prototypes: Vec<f64>,
}

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
        let best = runs.into_iter().reduce(|best, run| if run.1.objective < best.1.objective { run } else { best });
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
        let mut by = Slopes {
            common: vec![0.0; shared.common.len()],
            points: vec![0.0; shared.points.len()],
            prototypes: vec![0.0; shared.prototypes.len()],
        };
        let objective = |own: &[f64], gradient: &mut [f64]| {
            gradient.fill(0.0);
            let loss = layout.loss(&shared, own, &judged, gradient, &mut by);
            loss + layout.own_penalty(own, &self.center, gradient)
        };
        Ok(solver.minimize(objective, self.center.clone()))
    }
}

impl Factors {
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
        let mut by = Slopes {
            common: vec![0.0; shared.common.len()],
            points: vec![0.0; shared.points.len()],
            prototypes: vec![0.0; shared.prototypes.len()],
        };
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
    use accordant_laws::gradient::check_gradient;
    use rand::Rng;

    use super::*;
    use crate::Outcome;

    const FORMS: [Form; 4] =
        [Form::Dot { scale: 0.7 }, Form::Distance, Form::SquaredDistance, Form::Angle { kappa: 3.0 }];

    fn pairs(num_items: usize) -> UserPairs {
        let mut rng = stream(5, Purpose::World, 0);
        let mut pairs = UserPairs::new(num_items);
        for user in 0..4 {
            let mut judged = Comparisons::new(num_items);
            for _ in 0..3 * user {
                let first = rng.random_range(0..num_items);
                let second = (first + rng.random_range(1..num_items)) % num_items;
                judged.push_weighted(first, second, Outcome::Share(rng.random()), rng.random_range(0.5..2.0)).unwrap();
            }
            pairs.push(judged).unwrap();
        }
        pairs
    }

    fn design(form: Form, users: Users) -> Design {
        Design {
            form,
            users,
            dim: 2,
            common: Some(0.3),
            items: 0.2,
            prototypes: 0.4,
            own: 0.5,
            private: Some(0.6),
            per_user: false,
        }
    }

    #[test]
    fn gradients_are_derivatives_of_every_form_for_every_kind_of_user() {
        let features = [vec![1.0, 0.3, -0.5], vec![0.2, -1.0, 0.4], vec![-0.7, 0.6, 0.9], vec![0.1, 0.5, 0.8]];
        for items in [Items::table(4), Items::features(&features).unwrap()] {
            for form in FORMS {
                for users in [Users::Free, Users::Simplex, Users::Prototypes(3)] {
                    for per_user in [false, true] {
                        let mut design = Design { per_user, ..design(form, users) };
                        if per_user {
                            (design.common, design.private) = (None, None);
                        }
                        let layout = Layout::new(design, &items);
                        let judged: Vec<Judged> =
                            pairs(4).users().iter().map(|user| Judged::new(user, per_user)).collect();
                        let mut rng = stream(7, Purpose::World, 1);
                        let len = layout.num_shared() + 4 * layout.num_own();
                        let at: Vec<f64> = (0..len).map(|_| rng.random_range(-1.0..1.0)).collect();
                        let mut gradient = vec![0.0; len];
                        layout.objective(&judged, &at, &mut gradient);
                        let value = |x: &[f64]| layout.objective(&judged, x, &mut vec![0.0; len]);
                        check_gradient(value, &at, &gradient).unwrap_or_else(|e| panic!("{form:?} {users:?}: {e:?}"));
                    }
                }
            }
        }
    }

    #[test]
    fn scores_by_hand() {
        let (f, z) = ([3.0, 4.0], [0.0, 0.0]);
        assert_eq!(FORMS.map(|form| form.score(&f, &z)), [0.0, -5.0, -25.0, 0.0]);
        let z = [4.0, 3.0];
        assert_eq!(Form::Dot { scale: 0.5 }.score(&f, &z), 12.0);
        assert!((Form::Angle { kappa: 2.0 }.score(&f, &z) - 2.0 * 24.0 / 25.0).abs() < 1e-15);
        assert!((Form::Distance.score(&f, &z) + 2f64.sqrt()).abs() < 1e-15);
        // Where points meet or vanish, slopes are 0 and not NaN.
        for (form, z) in [(Form::Distance, f), (Form::Angle { kappa: 1.0 }, [0.0, 0.0])] {
            let (mut by_f, mut by_z) = ([0.0; 2], [0.0; 2]);
            form.pull_back(&f, &z, 1.0, &mut by_f, &mut by_z);
            assert_eq!((by_f, by_z), ([0.0; 2], [0.0; 2]));
        }
    }

    #[test]
    fn a_user_has_the_common_score_their_own_and_what_their_point_gives() {
        let items = Items::table(2);
        let layout = Layout::new(design(Form::Dot { scale: 2.0 }, Users::Prototypes(2)), &items);
        // c, F by rows, prototypes by rows
        let shared = [10.0, 20.0, 1.0, 2.0, 3.0, 4.0, 1.0, 0.0, 0.0, 1.0];
        assert_eq!((layout.num_shared(), layout.num_latent(), layout.num_own()), (10, 2, 4));
        assert_eq!(layout.points(&shared), [1.0, 3.0, 2.0, 4.0]);
        assert_eq!(layout.prototypes(&shared), [1.0, 0.0, 0.0, 1.0]);
        // Weights ½ and ½: the point (½, ½); then 100 and 200 of one's own.
        let scores = layout.scores(&shared, &[0.3, 0.3, 100.0, 200.0]);
        assert_eq!(scores, [10.0 + 4.0 + 100.0, 20.0 + 6.0 + 200.0]);
        assert_eq!(layout.scores_at(&shared, &[1.0, 0.0]), [12.0, 24.0]);
    }

    #[test]
    fn weights_that_are_nearly_zero_still_move() {
        let w = weights(&[0.0, -1000.0]);
        assert!((w[1] / (-20f64).exp() - 1.0).abs() < 1e-6, "{w:?}");
        let mut by_logit = [0.0; 3];
        let logits = [0.0, -1000.0, -1.0];
        pull_back_weights(&logits, &weights(&logits), &[1.0, 2.0, 3.0], &mut by_logit);
        let of = |x: &[f64]| dot(&weights(x), &[1.0, 2.0, 3.0]);
        check_gradient(of, &logits, &by_logit).unwrap();
    }

    #[test]
    fn a_fit_of_a_new_user_starts_at_the_center_and_only_goes_down() {
        let fit = Fit { solver: Solver::Lbfgs { gradient: 1e-9, max_iterations: 500 }, restarts: 2, seed: 1 };
        for users in [Users::Free, Users::Simplex, Users::Prototypes(3)] {
            for common in [None, Some(0.3)] {
                let design = Design { common, ..design(Form::Dot { scale: 1.0 }, users) };
                let factors = Factors::fit(design, &Items::table(4), &super::tests::pairs(4), fit).unwrap();
                assert!(factors.report.converged, "{users:?}: {:?}", factors.report);
                let (own, report) = factors.adapt(&Comparisons::new(4), fit.solver).unwrap();
                assert_eq!((own, report.iterations), (factors.center.clone(), 0));
                let pairs = pairs(4);
                let judged = &pairs.users()[2];
                let (own, report) = factors.adapt(judged, fit.solver).unwrap();
                assert!(report.converged);
                let loss = |own: &[f64]| {
                    -super::super::Chooser::one(factors.scores(own)).foretell(judged).unwrap().log_likelihood
                };
                assert!(loss(&own) < loss(&factors.center), "{users:?}");
            }
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
}
