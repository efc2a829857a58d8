//! How well models of many users foretell held-out pairs, of users that they were fitted to and of new ones.
//!
//! **Status:** library definition.
//! **Use when:** models are compared: users are folded, a new user gives a few pairs, and every interval is over users, who
//! are what pairs have in common (over pairs it would be several times too narrow).
//! **Checked by:** counts by hand, an interval of known width, a model that knows the truth.
//! **Deviations:** none.

use accordant_ops::check_domain;
use burn::config::Config;
use rand::Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{
    pairs::{Hits, Plural, UserPairs},
    split::{Split, folds},
};
use crate::{
    Comparisons, Error, Result,
    error::check_length,
    random::{Purpose, stream},
};

/// A number with the ends of an interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The estimate.
    pub value: f64,
    /// The lower end.
    pub lower: f64,
    /// The upper end.
    pub upper: f64,
}

/// An interval for a function of users by the percentile bootstrap: users are drawn with replacement, as many as there are.
///
/// `estimate` gets how often each user was drawn, `[users]`, ones for the estimate itself. `level` in (0, 1) is 0.95 and
/// `resamples` 2000 in the experiments. Replicates whose value is not finite are left out.
///
/// # Errors
/// A domain error naming `level` or `resamples`; [`Error::Empty`] without a user, or when more than a twentieth of the
/// replicates had no finite value.
///
/// # Example
/// ```
/// use accordant_preference::plural::evaluation::bootstrap_users;
/// let values = [1.0, 2.0, 3.0, 4.0, 5.0];
/// let mean = |counts: &[f64]| values.iter().zip(counts).map(|(x, n)| x * n).sum::<f64>() / 5.0;
/// let interval = bootstrap_users(5, 2000, 0.95, 0, mean)?;
/// assert_eq!(interval.value, 3.0);
/// assert!(interval.lower > 1.5 && interval.lower < 2.2 && interval.upper > 3.8 && interval.upper < 4.5);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
pub fn bootstrap_users(
    num_users: usize,
    resamples: usize,
    level: f64,
    seed: u64,
    estimate: impl Fn(&[f64]) -> f64 + Sync,
) -> Result<Interval> {
    check_domain(level > 0.0 && level < 1.0, "level", "in (0, 1)", level)?;
    check_domain(resamples >= 2, "resamples", ">= 2", resamples as f64)?;
    if num_users == 0 {
        return Err(Error::Empty { name: "users", reason: "no user" });
    }
    let mut replicates: Vec<f64> = (0..resamples as u32)
        .into_par_iter()
        .map(|resample| {
            let mut rng = stream(seed, Purpose::Bootstrap, resample);
            let mut counts = vec![0.0; num_users];
            (0..num_users).for_each(|_| counts[rng.random_range(0..num_users)] += 1.0);
            estimate(&counts)
        })
        .filter(|value| value.is_finite())
        .collect();
    if 20 * (resamples - replicates.len()) > resamples {
        return Err(Error::Empty { name: "replicates", reason: "more than a twentieth of them had no value" });
    }
    replicates.sort_unstable_by(f64::total_cmp);
    // Linear between order statistics.
    let quantile = |level: f64| {
        let at = level * (replicates.len() - 1) as f64;
        let (below, above) = (replicates[at as usize], replicates[at.ceil() as usize]);
        below + (above - below) * at.fract()
    };
    let tail = (1.0 - level) / 2.0;
    Ok(Interval { value: estimate(&vec![1.0; num_users]), lower: quantile(tail), upper: quantile(1.0 - tail) })
}

/// The share of pairs that was foretold, with a 95 % interval over users.
///
/// # Errors
/// As [`bootstrap_users`].
pub fn accuracy(hits: &[Hits], seed: u64) -> Result<Interval> {
    bootstrap_users(hits.len(), RESAMPLES, LEVEL, seed, |counts| ratio(hits, counts))
}

/// By how much one model foretells more than another of the same users, with a paired 95 % interval over users.
///
/// # Errors
/// [`Error::Length`] naming `other`; as [`bootstrap_users`].
pub fn accuracy_difference(hits: &[Hits], other: &[Hits], seed: u64) -> Result<Interval> {
    check_length("other", hits.len(), other.len())?;
    bootstrap_users(hits.len(), RESAMPLES, LEVEL, seed, |counts| ratio(hits, counts) - ratio(other, counts))
}

const RESAMPLES: usize = 2000;
const LEVEL: f64 = 0.95;

fn ratio(hits: &[Hits], counts: &[f64]) -> f64 {
    let sum = |of: fn(&Hits) -> f64| -> f64 { hits.iter().zip(counts).map(|(hits, count)| count * of(hits)).sum() };
    sum(|hits| hits.right) / sum(|hits| hits.pairs)
}

/// Configuration of a cross-validation over users.
#[derive(Config, Debug, PartialEq)]
pub struct CrossValidation {
    /// How many folds of users, ≥ 2; each fold's users are new to a model that was fitted to the others.
    #[config(default = 5)]
    pub folds: usize,
    /// How many of these folds are run; all of them by default.
    #[config(default = "usize::MAX")]
    pub max_folds: usize,
    /// With how many of their first training pairs new users are fitted.
    #[config(default = "vec![5, 10, 20]")]
    pub shots: Vec<usize>,
    /// The seed of the folds.
    #[config(default = 0)]
    pub seed: u64,
}

/// What a model foretold of each user's test pairs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Foretold {
    /// Of users whom the model was fitted to, over all folds in which they were; no pairs for those without training pairs.
    pub seen: Vec<Hits>,
    /// Of new users by the number of their pairs that the model saw, `[shots, users]`; no pairs for those who have fewer
    /// training pairs than the largest number.
    pub unseen: Vec<Vec<Hits>>,
}

impl CrossValidation {
    /// Runs a model over all folds. `fit` gets the training pairs of those who are not in the fold.
    ///
    /// # Errors
    /// What `fit` says; a domain error naming `folds`; [`Error::Empty`] for fewer users than folds.
    pub fn run(&self, split: &Split, fit: impl Fn(&UserPairs) -> Result<Box<dyn Plural>> + Sync) -> Result<Foretold> {
        let of = folds(split.train.num_users(), self.folds, self.seed)?;
        let parts: Result<Vec<Foretold>> = (0..self.folds.min(self.max_folds))
            .into_par_iter()
            .map(|fold| {
                let seen: Vec<usize> = (0..of.len()).filter(|&user| of[user] != fold).collect();
                let model = fit(&split.train.select(seen.iter().copied())?)?;
                self.foretell(split, model.as_ref(), &seen)
            })
            .collect();
        let mut all = self.none(split);
        for part in parts? {
            let add =
                |to: &mut Vec<Hits>, from: &[Hits]| to.iter_mut().zip(from).for_each(|(to, from)| *to = to.plus(*from));
            add(&mut all.seen, &part.seen);
            all.unseen.iter_mut().zip(&part.unseen).for_each(|(to, from)| add(to, from));
        }
        Ok(all)
    }

    fn none(&self, split: &Split) -> Foretold {
        let none = vec![Hits::default(); split.train.num_users()];
        Foretold { seen: none.clone(), unseen: vec![none; self.shots.len()] }
    }

    /// One fold: of `seen` users in the order of the model's, and of all others as new ones.
    fn foretell(&self, split: &Split, model: &dyn Plural, seen: &[usize]) -> Result<Foretold> {
        let mut foretold = self.none(split);
        let mut is_seen = vec![false; split.train.num_users()];
        for (at, &user) in seen.iter().enumerate() {
            is_seen[user] = true;
            if !split.train.users()[user].is_empty() {
                foretold.seen[user] = model.user(at)?.foretell(&split.test.users()[user])?;
            }
        }
        let most = self.shots.iter().copied().max().unwrap_or_default();
        for user in (0..is_seen.len()).filter(|&user| !is_seen[user]) {
            let (train, test) = (&split.train.users()[user], &split.test.users()[user]);
            if train.len() < most || test.is_empty() {
                continue;
            }
            for (hits, &shots) in foretold.unseen.iter_mut().zip(&self.shots) {
                let few: Comparisons = train.select(0..shots)?;
                hits[user] = model.adapt(&few)?.foretell(test)?;
            }
        }
        Ok(foretold)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Outcome,
        plural::{Chooser, world::GroupWorldConfig},
    };

    fn hits(right: f64, pairs: f64) -> Hits {
        Hits { right, pairs, log_likelihood: 0.0 }
    }

    #[test]
    fn intervals_have_the_width_of_a_binomial_over_users() {
        // 400 users with one pair each, half of them right: ± 1.96 · √(¼ / 400) = ± 0.049.
        let all: Vec<Hits> = (0..400).map(|user| hits(f64::from(user % 2), 1.0)).collect();
        let interval = accuracy(&all, 0).unwrap();
        assert_eq!(interval.value, 0.5);
        assert!((interval.lower - 0.451).abs() < 0.006 && (interval.upper - 0.549).abs() < 0.006, "{interval:?}");
        // 20 pairs that stand and fall together are one: the interval is as wide, not √20 times narrower.
        let clustered: Vec<Hits> = all.iter().map(|one| hits(20.0 * one.right, 20.0)).collect();
        assert_eq!(accuracy(&clustered, 0).unwrap(), interval);
        // Users without pairs change the width only as a smaller sample would.
        assert_eq!(accuracy(&[hits(1.0, 1.0), hits(0.0, 3.0)], 0).unwrap().value, 0.25);
    }

    #[test]
    fn the_ends_of_an_interval_lie_between_order_statistics() {
        // Four replicates with one of these values each: the tenth of 0, 10, 20 and 40 is three tenths of a step up.
        let values = [20.0, 0.0, 40.0, 10.0];
        let next = std::sync::Mutex::new(values.iter());
        let interval = |level: f64| {
            *next.lock().unwrap() = values.iter();
            bootstrap_users(1, 4, level, 0, |_| *next.lock().unwrap().next().unwrap_or(&7.0)).unwrap()
        };
        let ends = |level: f64| (interval(level).lower, interval(level).upper);
        assert_eq!(interval(0.8).value, 7.0, "the last call is the estimate");
        let close = |got: (f64, f64), expected: (f64, f64)| {
            assert!((got.0 - expected.0).abs() < 1e-12 && (got.1 - expected.1).abs() < 1e-12, "{got:?}");
        };
        close(ends(0.8), (3.0, 34.0));
        close(ends(0.2), (12.0, 18.0));
    }

    #[test]
    fn paired_differences_see_what_two_models_share() {
        let one: Vec<Hits> = (0..400).map(|user| hits(f64::from(user % 2), 1.0)).collect();
        // Right of the same users, and of one in ten more.
        let more: Vec<Hits> =
            (0..400).map(|user| hits(f64::from(u8::from(user % 2 == 1 || user % 20 == 0)), 1.0)).collect();
        let difference = accuracy_difference(&more, &one, 0).unwrap();
        assert!((difference.value - 0.05).abs() < 1e-12);
        // ± 1.96 · √(0.05 · 0.95 / 400) = ± 0.0214, far less than unpaired.
        assert!(
            (difference.lower - 0.0286).abs() < 0.004 && (difference.upper - 0.0714).abs() < 0.004,
            "{difference:?}"
        );
        assert!(matches!(accuracy_difference(&more, &one[1..], 0), Err(Error::Length { name: "other", .. })));
        let same = accuracy_difference(&one, &one, 0).unwrap();
        assert_eq!((same.value, same.lower, same.upper), (0.0, 0.0, 0.0));
    }

    #[test]
    fn bootstraps_check_their_settings_and_replicates() {
        let run = |users, resamples, level| bootstrap_users(users, resamples, level, 0, |counts| counts[0]);
        assert!(run(3, 2000, 1.0).unwrap_err().to_string().starts_with("`level`"));
        assert!(run(3, 2000, 0.0).unwrap_err().to_string().starts_with("`level`"));
        assert!(run(3, 2000, f64::NAN).unwrap_err().to_string().starts_with("`level`"));
        assert!(run(3, 1, 0.9).unwrap_err().to_string().starts_with("`resamples`"));
        assert!(matches!(run(0, 2000, 0.9), Err(Error::Empty { name: "users", .. })));
        // One user with pairs of three: a replicate in (2/3)³ has none.
        let sparse = [hits(1.0, 1.0), hits(0.0, 0.0), hits(0.0, 0.0)];
        assert!(matches!(accuracy(&sparse, 0), Err(Error::Empty { name: "replicates", .. })));
        // One of twenty replicates without a value is a twentieth, and two are more.
        let without = |missing: usize| {
            let calls = std::sync::atomic::AtomicUsize::new(0);
            let estimate = |_: &[f64]| match calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed) < missing {
                true => f64::NAN,
                false => 1.0,
            };
            bootstrap_users(3, 20, 0.9, 0, estimate)
        };
        assert_eq!(without(1).unwrap(), Interval { value: 1.0, lower: 1.0, upper: 1.0 });
        assert!(matches!(without(2), Err(Error::Empty { name: "replicates", .. })));
        // Percentiles of a user's own count among 1: always 1.
        let one = bootstrap_users(1, 100, 0.9, 0, |counts| 2.0 * counts[0]).unwrap();
        assert_eq!((one.value, one.lower, one.upper), (2.0, 2.0, 2.0));
    }

    /// Knows everything of whom it has seen, and of others what their pairs say.
    struct Oracle(Vec<Chooser>, Chooser);

    impl Plural for Oracle {
        fn num_users(&self) -> usize {
            self.0.len()
        }

        fn user(&self, user: usize) -> Result<Chooser> {
            Ok(self.0[user].clone())
        }

        fn population(&self) -> Chooser {
            self.1.clone()
        }

        /// Says the opposite of the truth with less than ten pairs.
        fn adapt(&self, judged: &Comparisons) -> Result<Chooser> {
            let sign = if judged.len() < 10 { -1.0 } else { 1.0 };
            Chooser::new(vec![1.0], vec![self.1.scores()[0].iter().map(|score| sign * score).collect()])
        }
    }

    #[test]
    fn every_user_is_new_once_and_known_in_the_other_folds() {
        // Everybody agrees, so that the truth is known of all.
        let world = GroupWorldConfig::new(1e3).with_num_groups(1).with_users_per_group(11).draw().unwrap();
        let mut train = world.train.clone();
        // Two more: one without training pairs, one with few.
        train.push(Comparisons::new(200)).unwrap();
        train.push(train.users()[0].select(0..7).unwrap()).unwrap();
        let mut test = world.test.clone();
        test.push(test.users()[0].clone()).unwrap();
        test.push(test.users()[1].clone()).unwrap();
        let split = Split::new(train, test).unwrap();
        let truth = world.user(0).unwrap();
        let config = CrossValidation::new().with_folds(4);
        let foretold = config
            .run(&split, |train| Ok(Box::new(Oracle(vec![truth.clone(); train.num_users()], truth.clone()))))
            .unwrap();
        for user in 0..11 {
            assert_eq!((foretold.seen[user].right, foretold.seen[user].pairs), (150.0, 150.0), "three folds of 50");
            let of = |shots: usize| (foretold.unseen[shots][user].right, foretold.unseen[shots][user].pairs);
            assert_eq!([of(0), of(1), of(2)], [(0.0, 50.0), (50.0, 50.0), (50.0, 50.0)]);
        }
        assert_eq!(foretold.seen[11], Hits::default(), "nothing to know this user by");
        assert_eq!(foretold.seen[12].pairs, 150.0);
        assert!((0..3).all(|shots| foretold.unseen[shots][12] == Hits::default()), "fewer than 20 pairs");
        let short = CrossValidation::new().with_folds(4).with_max_folds(1);
        let part = short
            .run(&split, |train| Ok(Box::new(Oracle(vec![truth.clone(); train.num_users()], truth.clone()))))
            .unwrap();
        assert!(part.seen.iter().all(|hits| hits.pairs <= 50.0));
        let new = part.unseen[0].iter().filter(|hits| hits.pairs > 0.0).count();
        assert!((2..=4).contains(&new), "{new}");
        let error = config.run(&split, |_| Err(Error::AllTies)).unwrap_err();
        assert!(matches!(error, Error::AllTies));
        let defaults = CrossValidation::new();
        assert_eq!((defaults.folds, defaults.shots, defaults.seed), (5, vec![5, 10, 20], 0));
        let mut one = Comparisons::new(2);
        one.push(0, 1, Outcome::First).unwrap();
    }
}
