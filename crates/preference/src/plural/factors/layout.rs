//! Where the parameters of a design lie, and the penalized loss of users with its gradient.

use super::{
    Design, Users,
    form::dot,
    weights::{pull_back_weights, weights},
};
use crate::{
    Comparisons,
    plural::{
        logistic::cross_entropy,
        pairs::{Items, terms},
    },
};

/// One user's pairs, by the places of their items in a list of its own.
pub(super) struct Judged {
    items: Vec<usize>,
    pub pairs: Vec<(usize, usize, f64, f64)>,
}

impl Judged {
    pub fn new(judged: &Comparisons, per_user: bool) -> Self {
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
pub(super) struct Shared<'a> {
    /// `[items]`; empty without `c`.
    common: Vec<f64>,
    /// `[items, d]` by rows.
    points: Vec<f64>,
    prototypes: &'a [f64],
}

/// The design on items: where the parameters lie.
pub(crate) struct Layout<'a> {
    pub(super) design: Design,
    pub(super) items: &'a Items,
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

    pub(super) fn unpack<'b>(&self, shared: &'b [f64]) -> Shared<'b> {
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
    pub(super) fn loss(
        &self,
        shared: &Shared,
        own: &[f64],
        judged: &Judged,
        by_own: &mut [f64],
        by: &mut Slopes,
    ) -> f64 {
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
    pub(super) fn own_penalty(&self, own: &[f64], center: &[f64], by_own: &mut [f64]) -> f64 {
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
    pub(super) fn objective(&self, judged: &[Judged], at: &[f64], gradient: &mut [f64]) -> f64 {
        gradient.fill(0.0);
        let (shared_at, own_at) = at.split_at(self.num_shared());
        let (shared_gradient, own_gradient) = gradient.split_at_mut(self.num_shared());
        let shared = self.unpack(shared_at);
        let mut by = Slopes::zeros(&shared);
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
pub(super) struct Slopes {
    common: Vec<f64>,
    points: Vec<f64>,
    prototypes: Vec<f64>,
}

impl Slopes {
    pub fn zeros(shared: &Shared) -> Self {
        let zeros = |of: &[f64]| vec![0.0; of.len()];
        Self { common: zeros(&shared.common), points: zeros(&shared.points), prototypes: zeros(shared.prototypes) }
    }
}

#[cfg(test)]
mod tests {
    use accordant_laws::gradient::check_gradient;
    use rand::Rng;

    use super::{
        super::{
            Form,
            testing::{FORMS, design, pairs},
        },
        *,
    };
    use crate::random::{Purpose, stream};

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
    fn each_number_has_the_prior_of_its_kind() {
        let items = Items::table(2);
        let layout = Layout::new(design(Form::Distance, Users::Prototypes(2)), &items);
        // Priors of 0.3 on two common scores, 0.2 on four numbers of the map, 0.4 on four of prototypes.
        let mut slopes = vec![1.0; 10];
        let penalty = layout.shared_penalty(&[1.0, 1.0, 2.0, 2.0, 2.0, 2.0, 3.0, 3.0, 3.0, 3.0], &mut slopes);
        assert!((penalty - 0.5 * (0.3 * 2.0 + 0.2 * 16.0 + 0.4 * 36.0)).abs() < 1e-12, "{penalty}");
        let expected = [1.3, 1.3, 1.4, 1.4, 1.4, 1.4, 2.2, 2.2, 2.2, 2.2];
        assert!(slopes.iter().zip(expected).all(|(slope, expected)| (slope - expected).abs() < 1e-12), "{slopes:?}");
        // Of one's own: 0.5 on two logits, around their center, and 0.6 on a table, around 0.
        let mut slopes = vec![0.0; 4];
        let penalty = layout.own_penalty(&[2.0, 1.0, 1.0, 3.0], &[1.0, 0.0], &mut slopes);
        assert!((penalty - 0.5 * (0.5 * 2.0 + 0.6 * 10.0)).abs() < 1e-12, "{penalty}");
        assert!(slopes.iter().zip([0.5, 0.5, 0.6, 1.8]).all(|(slope, expected)| (slope - expected).abs() < 1e-12));
    }
}
