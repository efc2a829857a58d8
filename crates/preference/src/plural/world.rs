//! Seeded users of known kinds, with the chances that they choose by.
//!
//! **Status:** library definition; the acceptance test of models of many users.
//! **Use when:** you ask whether a model finds kinds of users that are there.
//! **Checked by:** orthonormal directions, the share of pairs that the true chances foretell, shares of first places.
//! **Deviations:** none.

use accordant_ops::{check_domain, host::logistic};
use burn::config::Config;
use nalgebra::DMatrix;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use super::pairs::{Chooser, Items, Plural, UserPairs, check_user};
use crate::{
    Comparisons, Error, Outcome, Rankings, Result,
    error::check_length,
    listwise::plackett_luce::sample_ranking,
    random::{Purpose, stream},
    rankings::Unlisted,
};

/// Configuration of a world of groups, each with a direction of its own in the space of features.
///
/// ```text
/// P(a ≻ b | u) = σ(β ⟨v_group(u), e_a − e_b⟩),   e ~ N(0, I), v orthonormal
/// ```
#[derive(Config, Debug, PartialEq)]
pub struct GroupWorldConfig {
    /// How far groups see beyond noise, β, finite and ≥ 0.
    pub beta: f64,
    /// How many groups, ≥ 1 and at most `dim`. The others' defaults are those of the acceptance test.
    #[config(default = 3)]
    pub num_groups: usize,
    /// How many features items have.
    #[config(default = 8)]
    pub dim: usize,
    /// How many items there are, ≥ 2.
    #[config(default = 200)]
    pub num_items: usize,
    /// How many users there are in each group.
    #[config(default = 100)]
    pub users_per_group: usize,
    /// How many pairs each user judges for training.
    #[config(default = 20)]
    pub train_pairs: usize,
    /// How many more pairs each user judges for testing.
    #[config(default = 50)]
    pub test_pairs: usize,
    /// The seed of everything.
    #[config(default = 0)]
    pub seed: u64,
}

/// A world of groups: items, users, what they judged, and how they did.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupWorld {
    /// The items, with their features.
    pub items: Items,
    /// The group of each user.
    pub groups: Vec<usize>,
    /// Pairs to train on.
    pub train: UserPairs,
    /// Pairs to test on.
    pub test: UserPairs,
    /// The true scores of the items for each group, `[groups, items]`.
    pub scores: Vec<Vec<f64>>,
}

impl GroupWorldConfig {
    /// Draws the world.
    ///
    /// # Errors
    /// A domain error naming a field.
    ///
    /// # Example
    /// ```
    /// use accordant_preference::plural::{Plural, world::GroupWorldConfig};
    /// let world = GroupWorldConfig::new(2.0).with_users_per_group(5).draw()?;
    /// assert_eq!((world.num_users(), world.train.num_pairs()), (15, 300));
    /// # Ok::<(), accordant_preference::Error>(())
    /// ```
    pub fn draw(&self) -> Result<GroupWorld> {
        let Self { beta, num_groups, dim, num_items, users_per_group, .. } = *self;
        check_domain(beta.is_finite() && beta >= 0.0, "beta", "finite and >= 0", beta)?;
        check_domain(num_groups >= 1 && num_groups <= dim, "num_groups", "in 1..=dim", num_groups as f64)?;
        check_domain(num_items >= 2, "num_items", ">= 2", num_items as f64)?;
        check_domain(users_per_group >= 1, "users_per_group", ">= 1", users_per_group as f64)?;
        let mut rng = stream(self.seed, Purpose::World, 0);
        let mut normal = || -> f64 { StandardNormal.sample(&mut rng) };
        let directions = DMatrix::from_fn(dim, num_groups, |_, _| normal()).qr().q();
        let rows: Vec<Vec<f64>> = (0..num_items).map(|_| (0..dim).map(|_| normal()).collect()).collect();
        let items = Items::features(&rows)?;
        let scores: Vec<Vec<f64>> =
            (0..num_groups).map(|group| items.scores_of((directions.column(group) * beta).as_slice())).collect();
        let groups: Vec<usize> = (0..num_groups * users_per_group).map(|user| user / users_per_group).collect();
        let judge = |count: usize, index: u32| {
            let mut rng = stream(self.seed, Purpose::World, index);
            let mut pairs = UserPairs::new(num_items);
            for &group in &groups {
                pairs.push(judge(&scores[group], count, &mut rng)?)?;
            }
            Ok::<_, Error>(pairs)
        };
        let (train, test) = (judge(self.train_pairs, 1)?, judge(self.test_pairs, 2)?);
        Ok(GroupWorld { items, groups, train, test, scores })
    }
}

/// Pairs of different items, drawn uniformly, judged with chances by the differences of scores.
fn judge(scores: &[f64], count: usize, rng: &mut ChaCha8Rng) -> Result<Comparisons> {
    let mut judged = Comparisons::new(scores.len());
    for _ in 0..count {
        let first = rng.random_range(0..scores.len());
        let second = (first + rng.random_range(1..scores.len())) % scores.len();
        let wins = rng.random::<f64>() < logistic(scores[first] - scores[second]);
        judged.push(first, second, if wins { Outcome::First } else { Outcome::Second })?;
    }
    Ok(judged)
}

/// The truth: what no model can foretell better.
impl Plural for GroupWorld {
    fn num_users(&self) -> usize {
        self.groups.len()
    }

    fn user(&self, user: usize) -> Result<Chooser> {
        check_user(user, self.groups.len())?;
        Ok(Chooser::one(self.scores[self.groups[user]].clone()))
    }

    fn population(&self) -> Chooser {
        let k = self.scores.len();
        Chooser::new(vec![1.0 / k as f64; k], self.scores.clone()).expect("equal shares")
    }

    /// By the posterior chance of each group.
    fn adapt(&self, judged: &Comparisons) -> Result<Chooser> {
        let logs: Result<Vec<f64>> = self
            .scores
            .iter()
            .map(|scores| Ok(Chooser::one(scores.clone()).foretell(judged)?.log_likelihood))
            .collect();
        Chooser::new(accordant_ops::host::softmax(&logs?), self.scores.clone())
    }
}

/// Ratings from 1 to 5 of things by users who share a common taste and differ in one more, `[users, items]`, half of them
/// missing at random: what a survey looks like, where there is none.
///
/// ```text
/// rating = round(3.5 + common_i + own_u · feature_i + noise), clamped;  common, feature ~ N(0, 0.7²), own ~ N(0, 1),
/// noise ~ N(0, 0.8²)
/// ```
///
/// # Example
/// ```
/// use accordant_preference::plural::world::survey;
/// let ratings = survey(100, 40, 0);
/// let known = ratings.iter().flatten().flatten();
/// assert!(known.clone().count() > 1800 && known.clone().count() < 2200);
/// assert!(known.clone().all(|rating| [1.0, 2.0, 3.0, 4.0, 5.0].contains(rating)));
/// ```
pub fn survey(num_users: usize, num_items: usize, seed: u64) -> Vec<Vec<Option<f64>>> {
    let mut rng = stream(seed, Purpose::World, 0);
    let mut normal = |scale: f64| -> f64 {
        let draw: f64 = StandardNormal.sample(&mut rng);
        scale * draw
    };
    let things: Vec<[f64; 2]> = (0..num_items).map(|_| [normal(0.7), normal(0.7)]).collect();
    let mut is_known = stream(seed, Purpose::World, 1);
    let mut user = || -> Vec<Option<f64>> {
        let own = normal(1.0);
        let mut rating = |[common, feature]: &[f64; 2]| {
            let liking = 3.5 + common + own * feature + normal(0.8);
            is_known.random::<bool>().then(|| liking.round().clamp(1.0, 5.0))
        };
        things.iter().map(&mut rating).collect()
    };
    (0..num_users).map(|_| user()).collect()
}

/// Users of a few kinds who rank all items: the kind of each user, drawn with equal chances, and the list, drawn with the
/// chances of Plackett and Luce under the scores of that kind.
///
/// # Errors
/// [`Error::Empty`] without a kind, [`Error::Length`] for kinds with scores of unequal numbers of items, a domain error for
/// a score that is not finite.
///
/// # Example
/// ```
/// use accordant_preference::plural::world::rankers;
/// let (kinds, users) = rankers(&[vec![90.0, 0.0, -90.0], vec![-90.0, 0.0, 90.0]], 50, 0)?;
/// for (kind, lists) in kinds.iter().zip(&users) {
///     let best = lists.lists()[0].groups()[0][0];
///     assert_eq!(best, if *kind == 0 { 0 } else { 2 });
/// }
/// # Ok::<(), accordant_preference::Error>(())
/// ```
pub fn rankers(kinds: &[Vec<f64>], num_users: usize, seed: u64) -> Result<(Vec<usize>, Vec<Rankings>)> {
    let first = kinds.first().ok_or(Error::Empty { name: "kinds", reason: "there is none" })?;
    kinds.iter().try_for_each(|scores| check_length("scores of a kind", first.len(), scores.len()))?;
    let mut rng = stream(seed, Purpose::World, 0);
    let mut user = || {
        let kind = rng.random_range(0..kinds.len());
        let mut lists = Rankings::new(first.len());
        lists.push(&sample_ranking(&kinds[kind], 1.0, &mut rng)?, Unlisted::Absent)?;
        Ok((kind, lists))
    };
    let users: Result<Vec<(usize, Rankings)>> = (0..num_users).map(|_| user()).collect();
    Ok(users?.into_iter().unzip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rankers_rank_by_the_scores_of_their_kind() {
        let scores = [vec![0.0, 3f64.ln(), 0.0], vec![0.0, 0.0, 0.0]];
        let (kinds, users) = rankers(&scores, 4000, 1).unwrap();
        assert_eq!((kinds.len(), users.len(), users[0].num_items()), (4000, 4000, 3));
        let share = |kind: usize, first: usize| {
            let of: Vec<_> = kinds.iter().zip(&users).filter(|(own, _)| **own == kind).collect();
            of.iter().filter(|(_, lists)| lists.lists()[0].groups()[0] == [first]).count() as f64 / of.len() as f64
        };
        // 3 / 5 and 1 / 3, within four standard errors of 2000 draws.
        assert!((share(0, 1) - 0.6).abs() < 0.044 && (share(1, 1) - 1.0 / 3.0).abs() < 0.043);
        let of_first = kinds.iter().filter(|kind| **kind == 0).count();
        assert!((1875..2125).contains(&of_first), "{of_first}");
        assert_eq!(rankers(&scores, 5, 1).unwrap().1, users[..5]);
        assert_ne!(rankers(&scores, 5, 2).unwrap().1, users[..5]);
        assert!(matches!(rankers(&[], 5, 1), Err(Error::Empty { name: "kinds", .. })));
        let unequal = rankers(&[vec![0.0, 1.0], vec![0.0]], 5, 1);
        assert!(matches!(unequal, Err(Error::Length { name: "scores of a kind", expected: 2, got: 1 })));
        assert!(rankers(&[vec![0.0, f64::NAN]], 5, 1).is_err());
        assert!(rankers(&[vec![]], 5, 1).is_err());
    }

    #[test]
    fn a_survey_has_a_common_taste_and_one_more() {
        let ratings = survey(2000, 10, 3);
        assert_eq!((ratings.len(), ratings[0].len()), (2000, 10));
        // Items differ in their means, and two items' ratings hang together by users.
        let mean = |item: usize| {
            let known: Vec<f64> = ratings.iter().filter_map(|user| user[item]).collect();
            known.iter().sum::<f64>() / known.len() as f64
        };
        let means: Vec<f64> = (0..10).map(mean).collect();
        let spread = means.iter().copied().fold(f64::NEG_INFINITY, f64::max)
            - means.iter().copied().fold(f64::INFINITY, f64::min);
        assert!(spread > 0.8, "{means:?}");
        let covariance = |a: usize, b: usize| {
            let both: Vec<f64> =
                ratings.iter().filter_map(|user| Some((user[a]? - means[a]) * (user[b]? - means[b]))).collect();
            both.iter().sum::<f64>() / both.len() as f64
        };
        let all = (0..10).flat_map(|a| (0..a).map(move |b| (a, b)));
        let largest = all.map(|(a, b)| covariance(a, b).abs()).fold(0.0, f64::max);
        assert!(largest > 0.1, "{largest}");
        assert_eq!(survey(5, 10, 3), ratings[..5]);
        assert_ne!(survey(5, 10, 4), ratings[..5]);
    }

    #[test]
    fn directions_are_orthonormal_times_beta_and_users_choose_by_them() {
        let world = GroupWorldConfig::new(2.0).with_num_items(4000).draw().unwrap();
        // Scores are normal with standard deviation β, and uncorrelated between groups.
        let product =
            |a: usize, b: usize| world.scores[a].iter().zip(&world.scores[b]).map(|(a, b)| a * b).sum::<f64>() / 4000.0;
        for a in 0..3 {
            for b in 0..3 {
                assert!((product(a, b) - if a == b { 4.0 } else { 0.0 }).abs() < 0.4, "{}", product(a, b));
            }
        }
        assert_eq!((world.num_users(), world.train.num_pairs(), world.test.num_pairs()), (300, 6000, 15_000));
        assert_eq!((world.groups[99], world.groups[100], world.groups[299]), (0, 1, 2));
        let hits = (0..300)
            .map(|user| world.user(user).unwrap().foretell(&world.test.users()[user]).unwrap())
            .fold(super::super::Hits::default(), super::super::Hits::plus);
        // 82.6 % as published, of 15 000 pairs; two items per pair differ, so 4 standard errors are 1.3 points.
        assert!((hits.accuracy().unwrap() - 0.826).abs() < 0.013, "{hits:?}");
        let adapted = world.adapt(&world.train.users()[150]).unwrap();
        assert!(adapted.weights()[1] > 0.9);
        assert_eq!(world.population().weights(), [1.0 / 3.0; 3]);
        assert!(world.user(300).is_err());
    }

    #[test]
    fn a_seed_is_a_world_and_settings_are_checked() {
        let config = GroupWorldConfig::new(1.0).with_users_per_group(2);
        assert_eq!(config.draw().unwrap(), config.draw().unwrap());
        assert_ne!(config.draw().unwrap(), config.clone().with_seed(1).draw().unwrap());
        let text = |config: GroupWorldConfig| config.draw().unwrap_err().to_string();
        assert!(text(GroupWorldConfig::new(f64::NAN)).starts_with("`beta`"));
        assert!(text(GroupWorldConfig::new(-1.0)).starts_with("`beta`"));
        assert!(text(config.clone().with_num_groups(0)).starts_with("`num_groups`"));
        assert!(text(config.clone().with_num_groups(9)).starts_with("`num_groups`"));
        assert!(text(config.clone().with_num_items(1)).starts_with("`num_items`"));
        assert!(text(config.clone().with_users_per_group(0)).starts_with("`users_per_group`"));
        let GroupWorldConfig { num_groups, dim, num_items, train_pairs, test_pairs, .. } = config;
        assert_eq!((num_groups, dim, num_items, train_pairs, test_pairs), (3, 8, 200, 20, 50));
    }
}
