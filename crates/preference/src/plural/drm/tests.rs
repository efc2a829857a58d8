use nalgebra::DMatrix;
use rand::Rng;

use super::*;
use crate::{
    Outcome,
    distributional::testing::{check_gradients, host, like, matrix, near, starts, vector},
    plural::{Hits, world::GroupWorldConfig},
    random::{Purpose, stream},
};

fn one_user(judged: Comparisons) -> UserPairs {
    let mut pairs = UserPairs::new(judged.num_items());
    pairs.push(judged).unwrap();
    pairs
}

/// Six items in three dimensions and pairs with shares and weights.
fn small() -> (Items, Comparisons) {
    let mut rng = stream(2, Purpose::World, 0);
    let rows: Vec<Vec<f64>> = (0..6).map(|_| (0..3).map(|_| rng.random_range(-1.0..1.0)).collect()).collect();
    let mut judged = Comparisons::new(6);
    for _ in 0..20 {
        let first = rng.random_range(0..6);
        let second = (first + rng.random_range(1..6)) % 6;
        judged.push_weighted(first, second, Outcome::Share(rng.random()), rng.random_range(0.5..2.0)).unwrap();
    }
    (Items::features(&rows).unwrap(), judged)
}

#[test]
fn four_differences_by_hand() {
    // Differences (3, 0), (1, 0), (2, 1), (2, −1): mean (2, 0), covariance diag(½, ½), second moments diag(4½, ½).
    let rows = [[0.0, 0.0], [3.0, 0.0], [1.0, 0.0], [2.0, 1.0], [2.0, -1.0]];
    let items = Items::features(&rows.map(|row| row.to_vec())).unwrap();
    let mut judged = Comparisons::new(5);
    for better in 1..4 {
        judged.push(better, 0, Outcome::First).unwrap();
    }
    // Said from the other side.
    judged.push(0, 4, Outcome::Second).unwrap();
    let pairs = one_user(judged.clone());
    let drm = DrmConfig::new().with_center(false).fit(&items, &pairs).unwrap();
    near(&drm.variances, &[4.5, 0.5], 1e-12);
    near(&drm.components.concat(), &[1.0, 0.0, 0.0, 1.0], 1e-12);
    near(&drm.explained(), &[0.9, 0.1], 1e-12);
    let centered = DrmConfig::new().fit(&items, &pairs).unwrap();
    near(&centered.variances, &[0.5, 0.5], 1e-12);
    assert!((centered.total_variance - 1.0).abs() < 1e-12);
    // A pair of weight 2 is two pairs, and a tie is half a pair each way.
    judged.push_weighted(3, 4, Outcome::Tie, 2.0).unwrap();
    let drm = DrmConfig::new().with_center(false).fit(&items, &one_user(judged)).unwrap();
    // Sums of squares (18, 2), and (0, 2)² twice: (18, 10) over a weight of 6.
    near(&drm.variances, &[3.0, 10.0 / 6.0], 1e-12);
}

#[test]
fn components_are_orthonormal_and_their_variances_add_up_to_the_trace() {
    let (items, judged) = small();
    for center in [true, false] {
        let drm = DrmConfig::new().with_center(center).fit(&items, &one_user(judged.clone())).unwrap();
        let c = DMatrix::from_fn(3, 3, |i, j| drm.components[i][j]);
        assert!((&c * c.transpose() - DMatrix::identity(3, 3)).abs().max() < 1e-12);
        assert!((drm.variances.iter().sum::<f64>() - drm.total_variance).abs() < 1e-12);
        assert!((drm.explained().iter().sum::<f64>() - 1.0).abs() < 1e-12);
        assert!(drm.variances.windows(2).all(|pair| pair[0] >= pair[1]));
        // The variance along a component, from the differences themselves.
        let (mut mean, mut square, mut total) = ([0.0; 3], [0.0; 3], 0.0);
        for term in terms(&judged, 0) {
            total += term.weight;
            for k in 0..3 {
                let margin = drm.head_scores()[k][term.first] - drm.head_scores()[k][term.second];
                mean[k] += term.weight * (2.0 * term.share - 1.0) * margin;
                square[k] += term.weight * margin * margin;
            }
        }
        for k in 0..3 {
            let mean = mean[k] / total;
            let expected = square[k] / total - if center { mean * mean } else { 0.0 };
            assert!((drm.variances[k] - expected).abs() < 1e-12);
            assert!(mean >= -1e-12, "turned to a mean margin >= 0: {mean}");
        }
        let first = DrmConfig::new().with_center(center).with_num_components(Some(1));
        let first = first.fit(&items, &one_user(judged.clone())).unwrap();
        assert_eq!(first.components[..], drm.components[..1]);
        assert_eq!(first.total_variance, drm.total_variance);
    }
}

#[test]
fn differences_of_one_direction_are_bradley_terry() {
    // Items on a line through the origin of three dimensions.
    let direction = [2.0 / 3.0, -1.0 / 3.0, 2.0 / 3.0];
    let rows: Vec<Vec<f64>> =
        [-1.0, 0.2, 0.9, 2.0].iter().map(|at| direction.iter().map(|x| at * x).collect()).collect();
    let items = Items::features(&rows).unwrap();
    let mut judged = Comparisons::new(4);
    for (a, b, wins) in [(3, 0, 5.0), (2, 0, 3.0), (2, 1, 2.0), (1, 3, 1.0), (0, 1, 1.0)] {
        judged.push_win(a, b, wins).unwrap();
    }
    let linear = LogisticConfig::new().with_prior(0.1).fit(&items, &judged).unwrap();
    let length = norm(&linear.coefficients);
    let expected: Vec<f64> = linear.coefficients.iter().map(|c| c / length).collect();
    for center in [true, false] {
        let config = DrmConfig::new().with_center(center).with_num_components(Some(1));
        let drm = config.fit(&items, &one_user(judged.clone())).unwrap();
        near(&drm.components[0], &expected, 1e-9);
        near(&drm.explained(), &[1.0], 1e-12);
    }
}

#[test]
fn centering_takes_away_the_direction_that_everybody_agrees_on() {
    // Everybody prefers the first feature by 3, and the second is noise of variance 1.
    let mut rng = stream(5, Purpose::World, 0);
    let mut judged = Comparisons::new(200);
    let mut rows = Vec::new();
    for pair in 0..100 {
        let noise = rng.random_range(-1.7..1.7);
        rows.extend([vec![3.0, noise], vec![0.0, 0.0]]);
        judged.push(2 * pair, 2 * pair + 1, Outcome::First).unwrap();
    }
    let items = Items::features(&rows).unwrap();
    let first = |center| {
        let drm = DrmConfig::new().with_center(center).fit(&items, &one_user(judged.clone())).unwrap();
        drm.components[0][0].abs()
    };
    assert!(first(false) > 0.99 && first(true) < 0.01, "{} and {}", first(false), first(true));
}

#[test]
fn weights_of_two_pairs_by_hand() {
    // Scores of the only component are the features: sides 1, 0, 0, −1 have mean 0 and deviation √(2/3).
    let items = Items::features(&[vec![1.0], vec![0.0], vec![-1.0], vec![5.0]]).unwrap();
    let mut judged = Comparisons::new(4);
    judged.push(0, 1, Outcome::First).unwrap();
    judged.push(1, 2, Outcome::First).unwrap();
    let drm = DrmConfig::new().with_center(false).fit(&items, &one_user(judged.clone())).unwrap();
    let HeadWeights { weights, means, deviations } = drm.weigh(&judged).unwrap();
    let deviation = (2.0f64 / 3.0).sqrt();
    near(&means, &[0.0, 0.0], 1e-15);
    near(&deviations, &[deviation; 2], 1e-15);
    // Both pairs lead by 1/deviation: odds of exp(2/deviation) for the component, against its opposite.
    let expected = accordant_ops::host::logistic(2.0 / deviation);
    near(&weights, &[expected, 1.0 - expected], 1e-12);
    let score = (2.0 * expected - 1.0) / deviation;
    near(&drm.adapt(&judged).unwrap().scores()[0], &[score, 0.0, -score, 5.0 * score], 1e-12);
    // Twice the temperature, half the log-odds.
    let warm =
        DrmConfig::new().with_center(false).with_temperature(2.0).fit(&items, &one_user(judged.clone())).unwrap();
    near(&warm.weigh(&judged).unwrap().weights[..1], &[accordant_ops::host::logistic(1.0 / deviation)], 1e-12);
    // A weight of 2 is two pairs: deviation √(4/7) over eight sides.
    let mut twice = Comparisons::new(4);
    twice.push_weighted(0, 1, Outcome::First, 2.0).unwrap();
    twice.push_weighted(1, 2, Outcome::First, 2.0).unwrap();
    near(&drm.weigh(&twice).unwrap().deviations, &[(4.0f64 / 7.0).sqrt(); 2], 1e-15);
}

#[test]
fn heads_that_tell_nothing_apart_have_deviation_1_and_no_pair_is_the_population() {
    let items = Items::features(&[vec![1.0, 0.0], vec![0.0, 0.0], vec![1.0, 3.0]]).unwrap();
    let (mut all, mut one) = (Comparisons::new(3), Comparisons::new(3));
    all.push(0, 1, Outcome::First).unwrap();
    all.push(2, 0, Outcome::First).unwrap();
    one.push(0, 1, Outcome::First).unwrap();
    let drm = DrmConfig::new().with_center(false).fit(&items, &one_user(all)).unwrap();
    // Along (0, 1), the first component, the two items of the pair are alike.
    let HeadWeights { weights, deviations, .. } = drm.weigh(&one).unwrap();
    near(&deviations, &[1.0, 0.5f64.sqrt(), 1.0, 0.5f64.sqrt()], 1e-12);
    assert!((weights[0] - weights[2]).abs() < 1e-12 && weights[1] > weights[3]);
    // Half a pair is no spread.
    let mut half = Comparisons::new(3);
    half.push_weighted(0, 1, Outcome::First, 0.5).unwrap();
    assert_eq!(drm.weigh(&half).unwrap().deviations, [1.0; 4]);
    let nobody = drm.weigh(&Comparisons::new(3)).unwrap();
    assert_eq!((nobody.weights, nobody.means), (vec![0.25; 4], vec![0.0; 4]));
    assert_eq!(drm.population().scores()[0], [0.0; 3]);
    assert_eq!(drm.adapt(&Comparisons::new(3)).unwrap(), drm.population());
    let mut still = Comparisons::new(3);
    still.push(0, 1, Outcome::First).unwrap();
    let flat = Items::features(&[vec![1.0], vec![1.0], vec![1.0]]).unwrap();
    let none = DrmConfig::new().fit(&flat, &one_user(still)).unwrap();
    assert_eq!((none.explained(), none.total_variance), (vec![1.0], 0.0));
}

#[test]
fn a_component_and_its_opposite_are_right_on_complementary_pairs() {
    let (items, judged) = small();
    let drm = DrmConfig::new().fit(&items, &one_user(judged.clone())).unwrap();
    for k in 0..3 {
        let right = |head: usize| {
            let chooser = Chooser::one(drm.head_scores()[head].clone());
            chooser.foretell(&judged).unwrap().accuracy().unwrap()
        };
        assert!((right(k) + right(k + 3) - 1.0).abs() < 1e-12);
    }
}

#[test]
fn a_trained_head_comes_first_and_speaks_for_the_population() {
    let (items, judged) = small();
    let logistic = LogisticConfig::new().with_prior(0.3);
    let config = DrmConfig::new().with_trained_head(Some(logistic.clone()));
    let drm = config.fit(&items, &one_user(judged.clone())).unwrap();
    let linear = logistic.fit(&items, &judged).unwrap();
    let scores = items.scores(&linear.coefficients).unwrap();
    assert_eq!((drm.head_scores().len(), &drm.head_scores()[0]), (7, &scores));
    let sevenths: Vec<f64> = scores.iter().map(|score| score / 7.0).collect();
    near(&drm.population().scores()[0], &sevenths, 1e-12);
    let weights = drm.weigh(&judged).unwrap().weights;
    assert!(weights[0] > weights[1] && (weights.iter().sum::<f64>() - 1.0).abs() < 1e-12);
}

#[test]
fn a_regression_on_all_heads_is_that_on_the_features() {
    // Standardizing is a linear map of scores, which a regression without a prior undoes.
    let (items, judged) = small();
    let drm = DrmConfig::new().fit(&items, &one_user(judged.clone())).unwrap();
    let logistic = LogisticConfig::new().with_prior(0.0);
    let scores = drm.regress(&judged, &logistic).unwrap().scores()[0].clone();
    let expected = items.scores(&logistic.fit(&items, &judged).unwrap().coefficients).unwrap();
    let leads = |scores: &[f64]| scores.iter().map(|score| score - scores[0]).collect::<Vec<_>>();
    near(&leads(&scores), &leads(&expected), 1e-8);
}

#[test]
fn tastes_of_groups_are_among_the_heads_and_a_few_pairs_find_them() {
    let mut total = [Hits::default(); 3];
    for seed in 0..3 {
        let world = GroupWorldConfig::new(3.0).with_num_groups(2).with_dim(2).with_users_per_group(30);
        let world = world.with_train_pairs(15).with_seed(seed).draw().unwrap();
        let drm = DrmConfig::new().fit(&world.items, &world.train).unwrap();
        let pooled = LogisticConfig::new().fit(&world.items, &world.train.pooled()).unwrap();
        let pooled = Chooser::one(world.items.scores(&pooled.coefficients).unwrap());
        for (user, test) in world.test.users().iter().enumerate() {
            let regressed = drm.regress(&world.train.users()[user], &LogisticConfig::new().with_prior(0.5)).unwrap();
            for (total, chooser) in total.iter_mut().zip([drm.user(user).unwrap(), regressed, pooled.clone()]) {
                *total = total.plus(chooser.foretell(test).unwrap());
            }
        }
    }
    let [own, regressed, pooled] = total.map(|hits| hits.accuracy().unwrap());
    println!("own {own}, regressed {regressed}, pooled {pooled}");
    assert!(own > pooled + 0.05 && regressed > own, "own {own}, regressed {regressed}, pooled {pooled}");
}

#[test]
fn permuting_users_permutes_what_is_said_of_them() {
    let world = GroupWorldConfig::new(2.0).with_users_per_group(2).with_dim(3).draw().unwrap();
    let order = [4, 0, 5, 2, 1, 3];
    let fit = |pairs: &UserPairs| DrmConfig::new().fit(&world.items, pairs).unwrap();
    let (here, there) = (fit(&world.train), fit(&world.train.select(order).unwrap()));
    for (place, &user) in order.iter().enumerate() {
        near(&there.user(place).unwrap().scores()[0], &here.user(user).unwrap().scores()[0], 1e-9);
    }
}

#[test]
fn the_tensor_face_has_the_scores_of_the_host() {
    let (items, judged) = small();
    let drm = DrmConfig::new().with_num_components(Some(2)).fit(&items, &one_user(judged.clone())).unwrap();
    let features: Vec<f64> = (0..6).flat_map(|item| items.row(item).unwrap().to_vec()).collect();
    let scores = head_scores(matrix(&features, 3), matrix(&drm.components.concat(), 3)).unwrap();
    let by_head: Vec<f64> = (0..6).flat_map(|item| drm.head_scores().into_iter().map(move |head| head[item])).collect();
    near(&host(&scores), &by_head, 1e-12);
    let HeadWeights { weights, means, deviations } = drm.weigh(&judged).unwrap();
    let mixed = weighed_scores(scores, vector(&weights), vector(&means), vector(&deviations)).unwrap();
    near(&host(&mixed), &drm.adapt(&judged).unwrap().scores()[0], 1e-12);
    let one = head_scores(matrix(&features, 3), matrix(&drm.components[0], 3)).unwrap();
    assert_eq!(one.dims(), [6, 2]);
    check_gradients(&[0.3, -0.4, 1.0, 0.2, 0.7, 1.1], |x| {
        let [features, components] = [0, 2].map(|at| x.clone().narrow(0, at, 2).reshape([1, 2]));
        let scores = head_scores(features, components).unwrap();
        let [means, weights] = [[0.1, -0.2], [0.3, 0.6]].map(|values| like(&x, &values));
        weighed_scores(scores, weights, means, x.narrow(0, 4, 2)).unwrap()
    });
}

#[test]
fn settings_shapes_and_users_are_checked() {
    let (items, judged) = small();
    let pairs = one_user(judged.clone());
    for bad in [0, 4] {
        starts(
            DrmConfig::new().with_num_components(Some(bad)).fit(&items, &pairs),
            "`num_components`: expected in 1..=dim",
        );
    }
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        starts(DrmConfig::new().with_temperature(bad).fit(&items, &pairs), "`temperature`: expected finite and > 0");
    }
    starts(DrmConfig::new().fit(&Items::table(5), &pairs), "`items`");
    starts(DrmConfig::new().fit(&items, &UserPairs::new(6)), "`pairs`: nothing to learn from");
    let head = LogisticConfig::new().with_prior(-1.0);
    starts(DrmConfig::new().with_trained_head(Some(head.clone())).fit(&items, &pairs), "`prior`");
    let DrmConfig { num_components, center, trained_head, temperature } = DrmConfig::new();
    assert_eq!((num_components, center, trained_head, temperature), (None, true, None, 1.0));
    let drm = DrmConfig::new().fit(&items, &pairs).unwrap();
    starts(drm.user(1), "`user` 1");
    assert_eq!((drm.num_users(), drm.user(0).unwrap()), (1, drm.adapt(&judged).unwrap()));
    starts(drm.adapt(&Comparisons::new(5)), "`items`");
    starts(drm.regress(&Comparisons::new(5), &LogisticConfig::new()), "`items`");
    starts(drm.regress(&judged, &head), "`prior`");
    starts(head_scores(matrix(&[0.0; 4], 2), matrix(&[0.0; 3], 3)), "`components`");
    let weighed = |sizes: [usize; 3]| {
        let [weights, means, deviations] = sizes.map(|len| vector(&vec![1.0; len]));
        weighed_scores(matrix(&[0.0; 4], 2), weights, means, deviations)
    };
    starts(weighed([1, 2, 2]), "`weights`");
    starts(weighed([2, 1, 2]), "`means`");
    starts(weighed([2, 2, 1]), "`deviations`");
}

#[test]
fn a_direction_along_which_items_are_alike_up_to_rounding_tells_nothing() {
    // All items have the same place along the mean of a table's axes, but for rounding.
    let mut pairs = UserPairs::new(5);
    for user in 0..3 {
        let mut judged = Comparisons::new(5);
        (1..5).for_each(|item| judged.push((item + user) % 5, user, Outcome::First).unwrap());
        pairs.push(judged).unwrap();
    }
    let model = DrmConfig::new().fit(&Items::table(5), &pairs).unwrap();
    let mut judged = Comparisons::new(5);
    judged.push(0, 1, Outcome::First).unwrap();
    judged.push(1, 2, Outcome::First).unwrap();
    let chooser = model.adapt(&judged).unwrap();
    assert!(chooser.scores()[0].iter().all(|score| score.abs() < 10.0), "{:?}", chooser.scores());
}

#[test]
fn components_are_turned_to_what_was_preferred_or_else_to_their_largest_entry() {
    let root = 0.5f64.sqrt();
    assert_eq!(turned(&[root, -root], &[1.0, 2.0]), [-root, root]);
    assert_eq!(turned(&[root, -root], &[2.0, 1.0]), [root, -root]);
    // A margin of nothing but rounding: by the largest entry, of equal ones the first.
    assert_eq!(turned(&[0.6, -0.8], &[8.0, 6.0]), [-0.6, 0.8]);
    assert_eq!(turned(&[-0.8, 0.6], &[6.0, 8.0 + 1e-13]), [0.8, -0.6]);
    assert_eq!(turned(&[root, -root], &[0.0, 0.0]), [root, -root], "no margin at all");
    // Small next to 1, and not next to the mean: it decides.
    assert_eq!(turned(&[0.8, -0.6], &[0.0, 1e-14]), [-0.8, 0.6]);
}

#[test]
fn users_are_those_of_the_fit() {
    let (items, judged) = small();
    let pairs =
        UserPairs::from_judges(&judged.with_judges((0..20).map(|pair| pair % 3).collect()).unwrap(), 3).unwrap();
    let drm = DrmConfig::new().fit(&items, &pairs).unwrap();
    assert_eq!(drm.num_users(), 3);
    for (user, judged) in pairs.users().iter().enumerate() {
        assert_eq!(drm.user(user).unwrap(), drm.adapt(judged).unwrap());
    }
    starts(drm.user(3), "`user`");
}

#[test]
fn deviations_are_next_to_the_size_of_scores() {
    let mut judged = Comparisons::new(2);
    judged.push(0, 1, Outcome::First).unwrap();
    // Of two scores the deviation is their distance by √2; a ten billionth of 1000 is 1e-7.
    let deviation = |apart: f64| unit(&[1000.0, 1000.0 + apart], &judged).1;
    assert_eq!(deviation(1e-7), 1.0);
    assert!((deviation(2e-7) / (2e-7 / 2f64.sqrt()) - 1.0).abs() < 1e-3);
}
