use accordant_ops::host::{log_sigmoid, logistic};
use rand::Rng;
use rand_distr::{Distribution, StandardNormal};

use super::*;
use crate::{
    Outcome,
    random::{Purpose, stream},
};

/// Users who each judge one pair of two items with features 2 and −1 (wins, losses).
fn votes(counts: &[(f64, f64)]) -> (Items, UserPairs) {
    let mut pairs = UserPairs::new(2);
    for &(wins, losses) in counts {
        let mut judged = Comparisons::new(2);
        judged.push_win(0, 1, wins).unwrap();
        judged.push_win(1, 0, losses).unwrap();
        pairs.push(judged).unwrap();
    }
    (Items::features(&[vec![2.0], vec![-1.0]]).unwrap(), pairs)
}

#[test]
fn rounds_are_those_of_one_coefficient_by_hand() {
    let counts = [(5.0, 1.0), (2.0, 2.0), (0.0, 0.0), (0.0, 4.0), (3.0, 1.0)];
    let (items, pairs) = votes(&counts);
    let known: Vec<(f64, f64)> = counts.iter().copied().filter(|(wins, losses)| wins + losses > 0.0).collect();
    // The difference of features is 3; ν = 1 + 2.5, and its scale 0.7.
    let (nu, scale) = (3.5, 0.7);
    let mut mean = LogisticConfig::new().fit(&items, &pairs.pooled()).unwrap().coefficients[0];
    let mut variance = 0.7;
    let mut expected = Vec::new();
    let mut modes = Vec::new();
    for round in 0..4 {
        modes.clear();
        let (mut spread, mut value) = (0.0, -0.5 * (nu + 2.0) * f64::ln(variance) - 0.5 * nu * scale / variance);
        for &(wins, losses) in &known {
            let slope = |theta: f64| {
                (theta - mean) / variance - 3.0 * (wins * logistic(-3.0 * theta) - losses * logistic(3.0 * theta))
            };
            let (mut low, mut high) = (-20.0, 20.0);
            for _ in 0..80 {
                let middle = 0.5 * (low + high);
                if slope(middle) > 0.0 { high = middle } else { low = middle }
            }
            let information = 1.0 / variance + 9.0 * (wins + losses) * logistic(3.0 * low) * logistic(-3.0 * low);
            value += wins * log_sigmoid(3.0 * low) + losses * log_sigmoid(-3.0 * low)
                - 0.5 * (low - mean).powi(2) / variance
                - 0.5 * (information * variance).ln();
            spread += 1.0 / information;
            modes.push(low);
        }
        expected.push(value);
        if round < 3 {
            mean = modes.iter().sum::<f64>() / 4.0;
            spread += modes.iter().map(|mode| (mode - mean).powi(2)).sum::<f64>();
            variance = (spread + nu * scale) / (4.0 + nu + 2.0);
        }
    }
    let config = RandomEffectsConfig::new().with_prior_variance(0.7).with_prior_users(2.5).with_tolerance(1e-12);
    let effects = config.with_max_iterations(4).fit(&items, &pairs).unwrap();
    let close = |got: f64, expected: f64| assert!((got - expected).abs() < 1e-7, "{got} is not {expected}");
    close(effects.mean()[0], mean);
    close(effects.covariance[0][0], variance);
    assert_eq!(effects.report.trace.len(), 4);
    effects.report.trace.iter().zip(expected).for_each(|(&got, expected)| close(got, expected));
    assert!(!effects.report.converged);
    for (user, mode) in [0, 1, 3, 4].into_iter().zip(modes) {
        let scores = &effects.user(user).unwrap().scores()[0].clone();
        close(scores[0], 2.0 * mode);
        close(scores[1], -mode);
    }
    assert_eq!(effects.user(2).unwrap(), effects.population(), "nothing is known of user 2");
}

/// Users with normal tastes of ten items, in two blocks: who likes an item likes those of its block more.
fn blocks(num_users: usize, num_pairs: usize, seed: u64) -> UserPairs {
    let mut rng = stream(seed, Purpose::World, 0);
    let mut pairs = UserPairs::new(10);
    for _ in 0..num_users {
        let taste: f64 = StandardNormal.sample(&mut rng);
        let scores: Vec<f64> = (0..10).map(|item| if item < 5 { taste } else { -taste }).collect();
        let mut judged = Comparisons::new(10);
        for _ in 0..num_pairs {
            let first = rng.random_range(0..10);
            let second = (first + rng.random_range(1..10)) % 10;
            let wins = rng.random::<f64>() < logistic(scores[first] - scores[second]);
            judged.push(first, second, if wins { Outcome::First } else { Outcome::Second }).unwrap();
        }
        pairs.push(judged).unwrap();
    }
    pairs
}

#[test]
fn what_is_liked_together_is_found_and_foretells_items_that_a_user_said_nothing_of() {
    let config = RandomEffectsConfig::new().with_tolerance(1e-6);
    let effects = config.fit(&Items::table(10), &blocks(300, 100, 1)).unwrap();
    assert!(effects.report.converged);
    // The variance of a difference across blocks is 4, within a block 0.
    let difference =
        |a: usize, b: usize| effects.covariance[a][a] + effects.covariance[b][b] - 2.0 * effects.covariance[a][b];
    let mean =
        |pairs: Vec<(usize, usize)>| pairs.iter().map(|&(a, b)| difference(a, b)).sum::<f64>() / pairs.len() as f64;
    let across = mean((0..5).flat_map(|a| (5..10).map(move |b| (a, b))).collect());
    let within = mean((0..5).flat_map(|a| (0..a).map(move |b| (a, b))).collect());
    assert!((3.0..5.0).contains(&across) && within < 0.7, "{across} and {within}");
    let mut said = Comparisons::new(10);
    (0..3).for_each(|item| said.push(item, item + 5, Outcome::First).unwrap());
    let adapted = effects.adapt(&said).unwrap();
    assert!(adapted.first_wins(3, 8).unwrap() > 0.75);
    assert!((adapted.first_wins(3, 4).unwrap() - effects.population().first_wins(3, 4).unwrap()).abs() < 0.1);
}

#[test]
fn nothing_depends_on_the_order_of_users_or_on_how_a_table_is_written() {
    let (pairs, table) = (blocks(12, 15, 2), Items::table(10));
    let config = RandomEffectsConfig::new().with_max_iterations(5);
    let effects = config.fit(&table, &pairs).unwrap();
    let turned = config.fit(&table, &pairs.select((0..12).rev()).unwrap()).unwrap();
    let one_hot: Vec<Vec<f64>> = (0..10).map(|i| (0..10).map(|j| f64::from(u8::from(i == j))).collect()).collect();
    let features = config.fit(&Items::features(&one_hot).unwrap(), &pairs).unwrap();
    for user in 0..12 {
        let scores = |effects: &RandomEffects, user: usize| effects.user(user).unwrap().scores()[0].clone();
        let expected = scores(&effects, user);
        for other in [scores(&turned, 11 - user), scores(&features, user)] {
            assert!(other.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-6));
        }
        // A user's own pairs tell of a new user what they tell of the user.
        let adapted = effects.adapt(&pairs.users()[user]).unwrap();
        assert!(adapted.scores()[0].iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-6));
    }
}

#[test]
fn a_stiff_prior_leaves_one_score_for_all() {
    let (pairs, table) = (blocks(8, 20, 3), Items::table(10));
    let config = RandomEffectsConfig::new().with_prior_variance(1e-9).with_prior_users(1e6);
    let effects = config.fit(&table, &pairs).unwrap();
    let everybody = LogisticConfig::new().fit(&table, &pairs.pooled()).unwrap().coefficients;
    for user in 0..8 {
        let scores = &effects.user(user).unwrap().scores()[0].clone();
        assert!(scores.iter().zip(&everybody).all(|(a, b)| (a - b).abs() < 1e-5), "{scores:?}");
    }
}

#[test]
fn settings_and_ids_are_checked() {
    let (items, pairs) = votes(&[(1.0, 2.0)]);
    let config = RandomEffectsConfig::new();
    let text = |config: RandomEffectsConfig| config.fit(&items, &pairs).unwrap_err().to_string();
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let of = config.clone();
        assert!(text(of.clone().with_prior_variance(bad)).starts_with("`prior_variance`: expected finite and > 0"));
        assert!(text(of.with_prior_users(bad)).starts_with("`prior_users`: expected finite and > 0"));
    }
    assert!(text(config.clone().with_tolerance(0.0)).starts_with("`tolerance`: expected > 0"));
    assert!(text(config.clone().with_max_iterations(0)).starts_with("`max_iterations`: expected >= 1"));
    assert!(matches!(config.fit(&Items::table(3), &pairs), Err(Error::Length { name: "items", .. })));
    assert!(matches!(config.fit(&items, &UserPairs::new(2)), Err(Error::Empty { .. })));
    let RandomEffectsConfig { prior_variance, prior_users, tolerance, max_iterations } = config;
    assert_eq!((prior_variance, prior_users, tolerance, max_iterations), (1.0, 3.0, 1e-5, 100));
    let effects = config.fit(&items, &pairs).unwrap();
    assert_eq!(effects.num_users(), 1);
    assert!(matches!(effects.user(1), Err(Error::Unknown { name: "user", index: 1 })));
    assert!(matches!(effects.adapt(&Comparisons::new(3)), Err(Error::Length { name: "items", .. })));
    assert_eq!(effects.adapt(&Comparisons::new(2)).unwrap(), effects.population());
}

#[test]
fn users_are_those_of_the_fit() {
    let (items, pairs) = votes(&[(5.0, 1.0), (2.0, 2.0), (0.0, 0.0)]);
    let model = RandomEffectsConfig::new().fit(&items, &pairs).unwrap();
    assert_eq!(model.num_users(), 3);
    assert!(model.user(2).is_ok() && model.user(3).is_err());
}
