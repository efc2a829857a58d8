use accordant_laws::gradient::check_gradient;
use accordant_ops::host::logistic;
use burn::tensor::{DType, Device, TensorData};
use nalgebra::DMatrix;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use super::*;
use crate::{
    Error, Outcome,
    plural::{Hits, LogisticConfig},
    random::{Purpose, stream},
};

const KINDS: [PalScore; 5] =
    [PalScore::Distance, PalScore::SquaredDistance, PalScore::NormalizedDistance, PalScore::Cosine, PalScore::Linear];
const FORMS: [PalForm; 4] = [
    PalForm::Linear,
    PalForm::Distance { dim: 2 },
    PalForm::SquaredDistance { dim: 2 },
    PalForm::Angle { dim: 2, kappa: 3.0 },
];

fn tensor<const D: usize>(values: &[f64], shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values.to_vec(), shape), (device, DType::F64))
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.try_to_vec_as::<f64>().unwrap()
}

fn close(got: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(got.len(), expected.len());
    for (got, expected) in got.iter().zip(expected) {
        assert!((got - expected).abs() < tolerance, "{got} is not {expected}");
    }
}

fn normals(count: usize, scale: f64, rng: &mut ChaCha8Rng) -> Vec<f64> {
    let draws = StandardNormal.sample_iter(rng).take(count);
    draws.map(|x: f64| scale * x).collect()
}

/// Users of two kinds who like what is near the ideal of their kind: P = σ(scale · difference of squared distances).
struct World {
    items: Items,
    train: UserPairs,
    test: UserPairs,
    /// As many users again, with ten pairs and with pairs to test on.
    few: UserPairs,
    rest: UserPairs,
}

fn two_kinds(scale: f64, seed: u64) -> World {
    let mut rng = stream(seed, Purpose::World, 0);
    let rows: Vec<Vec<f64>> = (0..300).map(|_| normals(8, (1.0f64 / 8.0).sqrt(), &mut rng)).collect();
    let ideals: Vec<Vec<f64>> = (0..2)
        .map(|_| {
            let ideal = normals(8, 1.0, &mut rng);
            let norm = ideal.iter().map(|x| x * x).sum::<f64>().sqrt();
            ideal.into_iter().map(|x| x / norm).collect()
        })
        .collect();
    let away = |item: usize, kind: usize| -> f64 {
        rows[item].iter().zip(&ideals[kind]).map(|(x, z)| (x - z) * (x - z)).sum()
    };
    let mut users = |num_pairs: usize| {
        let mut pairs = UserPairs::new(300);
        for user in 0..60 {
            let mut judged = Comparisons::new(300);
            for _ in 0..num_pairs {
                let first = rng.random_range(0..300);
                let second = (first + rng.random_range(1..300)) % 300;
                let lead = scale * (away(second, user % 2) - away(first, user % 2));
                let wins = rng.random::<f64>() < logistic(lead);
                judged.push(first, second, if wins { Outcome::First } else { Outcome::Second }).unwrap();
            }
            pairs.push(judged).unwrap();
        }
        pairs
    };
    let (train, test, few, rest) = (users(40), users(40), users(10), users(40));
    World { items: Items::features(&rows).unwrap(), train, test, few, rest }
}

fn accuracy(choosers: impl Iterator<Item = Chooser>, test: &UserPairs) -> f64 {
    let hits = choosers.zip(test.users()).map(|(chooser, judged)| chooser.foretell(judged).unwrap());
    hits.fold(Hits::default(), Hits::plus).accuracy().unwrap()
}

#[test]
fn two_prototypes_explain_users_of_two_kinds_and_new_ones_with_ten_pairs() {
    let (mut two, mut one, mut new) = (0.0, 0.0, 0.0);
    for seed in 0..4 {
        let world = two_kinds(20.0, seed);
        let fit = |k: usize| {
            let config = PalConfig::new(k).with_form(PalForm::SquaredDistance { dim: 8 }).with_seed(seed);
            let config = config.with_items_prior(0.1).with_prototypes_prior(0.1).with_restarts(1);
            let config = config.with_solver(Solver::Lbfgs { gradient: 1e-3, max_iterations: 1000 });
            config.fit(&world.items, &world.train).unwrap()
        };
        let pal = fit(2);
        assert!((0..60).all(|user| pal.assignments()[user] == pal.assignments()[user % 2]), "seed {seed}");
        assert_ne!(pal.assignments()[0], pal.assignments()[1]);
        let seen = accuracy((0..60).map(|user| pal.user(user).unwrap()), &world.test);
        let single = fit(1);
        let same = accuracy((0..60).map(|user| single.user(user).unwrap()), &world.test);
        let unseen = accuracy(world.few.users().iter().map(|judged| pal.adapt(judged).unwrap()), &world.rest);
        println!("seed {seed}: K=2 {seen:.3}, K=1 {same:.3}, new users with 10 pairs {unseen:.3}");
        two += seen / 4.0;
        one += same / 4.0;
        new += unseen / 4.0;
    }
    assert!(two >= 0.95 && two - one >= 0.10 && new >= 0.92, "{two}, {one}, {new}");
}

/// Six users of five items with features, four of one taste and two of another.
fn small() -> (Items, UserPairs) {
    let rows = [[1.0, 0.2, 0.1], [0.4, 1.0, -0.3], [-0.5, 0.4, 0.9], [0.3, -1.0, 0.2], [-1.0, 0.1, -0.6]];
    let items = Items::features(&rows.map(Vec::from)).unwrap();
    let tastes = [[2.0, 0.0, 0.0], [0.0, 2.0, 1.0]].map(|taste| items.scores_of(&taste));
    let mut pairs = UserPairs::new(5);
    let mut rng = stream(4, Purpose::World, 0);
    for user in 0..6 {
        let scores = &tastes[usize::from(user >= 4)];
        let mut judged = Comparisons::new(5);
        for first in 0..5 {
            for second in first + 1..5 {
                let share = Outcome::Share(logistic(scores[first] - scores[second]));
                judged.push_weighted(first, second, share, rng.random_range(2.0..4.0)).unwrap();
            }
        }
        pairs.push(judged).unwrap();
    }
    (items, pairs)
}

fn config(form: PalForm) -> PalConfig {
    PalConfig::new(2).with_form(form).with_solver(Solver::Lbfgs { gradient: 1e-8, max_iterations: 3000 })
}

#[test]
fn the_tensor_face_has_the_scores_of_the_host() {
    let (items, pairs) = small();
    let device = Device::flex();
    for form in FORMS {
        let pal = config(form).fit(&items, &pairs).unwrap();
        // Those of the others may end where the score has a kink.
        let smooth = matches!(form, PalForm::Linear | PalForm::SquaredDistance { .. });
        assert!(pal.report.converged || !smooth, "{form:?}: {:?}", pal.report);
        let points = tensor(&pal.factors.layout().points(&pal.factors.shared), [5, 2], &device);
        let prototypes = tensor(&[pal.prototype(0), pal.prototype(1)].concat(), [2, 2], &device);
        let (kind, scale) = match form {
            PalForm::Linear => (PalScore::Linear, 1.0),
            PalForm::Distance { .. } => (PalScore::Distance, 1.0),
            PalForm::SquaredDistance { .. } => (PalScore::SquaredDistance, 1.0),
            PalForm::Angle { kappa, .. } => (PalScore::Cosine, kappa),
        };
        for user in 0..6 {
            let weights = tensor(&pal.weights(user).unwrap().repeat(5), [5, 2], &device);
            let users = user_points(weights, prototypes.clone()).unwrap();
            let scores = values(pal_scores(points.clone(), users, kind).unwrap() * scale);
            close(&scores, &pal.user(user).unwrap().scores()[0], 1e-10);
        }
        for k in 0..2 {
            let users = prototypes.clone().narrow(0, k, 1).repeat_dim(0, 5);
            let scores = values(pal_scores(points.clone(), users, kind).unwrap() * scale);
            close(&scores, &pal.prototype_scores(k).unwrap(), 1e-10);
        }
    }
}

#[test]
fn the_kinds_of_users_are_found_in_every_form() {
    let (items, pairs) = small();
    for form in FORMS {
        let pal = config(form).fit(&items, &pairs).unwrap();
        let kinds = pal.assignments();
        assert!(kinds[..4].iter().all(|kind| *kind == kinds[0]) && kinds[4..] == [1 - kinds[0]; 2], "{form:?}");
        // A new user of either kind is told by their pairs, and one of none is the mean of those who were there.
        // Who likes 3 more than 4 is of the first taste.
        for (user, is_first) in [(0, true), (5, false)] {
            let few = pairs.users()[user].select(0..4).unwrap();
            assert_eq!(pal.adapt(&few).unwrap().first_wins(3, 4).unwrap() > 0.5, is_first, "{form:?}");
            let loss = |chooser: Chooser| -chooser.foretell(&few).unwrap().log_likelihood;
            assert!(loss(pal.adapt(&few).unwrap()) <= loss(pal.population()), "{form:?}");
        }
        let none = Comparisons::new(5);
        assert_eq!(pal.adapt(&none).unwrap(), pal.population());
        close(&pal.adapted_weights(&none).unwrap(), &pal.mean_weights(), 1e-15);
        let mean = |k: usize| (0..6).map(|user| pal.weights(user).unwrap()[k] / 6.0).sum::<f64>();
        close(&pal.mean_weights(), &[mean(0), mean(1)], 1e-12);
        for user in 0..6 {
            let expected = super::super::effective_number(&pal.weights(user).unwrap());
            assert_eq!(pal.effective_prototypes(user).unwrap(), expected);
            assert!((1.0..2.0).contains(&expected));
        }
    }
}

#[test]
fn one_prototype_is_one_score_for_all() {
    let (items, pairs) = small();
    let one = |form: PalForm| PalConfig { num_prototypes: 1, ..config(form) };
    let linear = one(PalForm::Linear).with_prototypes_prior(0.4).fit(&items, &pairs).unwrap();
    let single = LogisticConfig::new().with_prior(0.4).fit(&items, &pairs.pooled()).unwrap();
    close(&linear.prototype_scores(0).unwrap(), &items.scores_of(&single.coefficients), 1e-7);
    for form in FORMS {
        let pal = one(form).fit(&items, &pairs).unwrap();
        for user in 0..6 {
            assert_eq!(pal.user(user).unwrap(), pal.population(), "{form:?}");
            assert_eq!(pal.weights(user).unwrap(), [1.0]);
        }
        close(&pal.population().scores()[0], &pal.prototype_scores(0).unwrap(), 1e-12);
    }
}

#[test]
fn a_popularity_is_added_to_the_scores_of_everybody() {
    let (_, pairs) = small();
    let table = Items::table(5);
    // So stiff that no points are left: what remains is the popularity, which is Bradley-Terry.
    let stiff = config(PalForm::SquaredDistance { dim: 2 }).with_items_prior(1e9).with_prototypes_prior(1e9);
    let pal = stiff.with_common_prior(Some(0.7)).fit(&table, &pairs).unwrap();
    let single = LogisticConfig::new().with_prior(0.7).fit(&table, &pairs.pooled()).unwrap();
    for user in 0..6 {
        close(&pal.user(user).unwrap().scores()[0], &single.coefficients, 1e-5);
    }
}

#[test]
fn rotations_change_no_score_and_translations_only_angles_and_products() {
    let device = Device::flex();
    let mut rng = stream(9, Purpose::World, 0);
    let (f, z) = (normals(12, 1.0, &mut rng), normals(12, 1.0, &mut rng));
    let rotation = DMatrix::from_vec(3, 3, normals(9, 1.0, &mut rng)).qr().q();
    let rotation = tensor(rotation.as_slice(), [3, 3], &device);
    let (f, z) = (tensor(&f, [4, 3], &device), tensor(&z, [4, 3], &device));
    let scores = |f: Tensor<2>, z: Tensor<2>, kind| values(pal_scores(f, z, kind).unwrap());
    for kind in KINDS {
        let here = scores(f.clone(), z.clone(), kind);
        let turned = scores(f.clone().matmul(rotation.clone()), z.clone().matmul(rotation.clone()), kind);
        close(&turned, &here, 1e-12);
        let moved = scores(f.clone() + 1.5, z.clone() + 1.5, kind);
        let most = moved.iter().zip(&here).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        let keeps = matches!(kind, PalScore::Distance | PalScore::SquaredDistance);
        assert_eq!(most < 1e-12, keeps, "{kind:?}: {most}");
    }
}

#[test]
fn a_user_who_is_as_far_from_both_items_is_undecided() {
    let device = Device::flex();
    // (1, 2) and (4, 3) are √5 away from (3, 1)... and so is (5, 2).
    let items = tensor(&[1.0, 2.0, 5.0, 2.0], [2, 2], &device);
    let points = tensor(&[3.0, 1.0, 3.0, 1.0], [2, 2], &device);
    for kind in [PalScore::Distance, PalScore::SquaredDistance] {
        let scores = values(pal_scores(items.clone(), points.clone(), kind).unwrap());
        assert_eq!(scores[0], scores[1]);
    }
}

#[test]
fn scores_by_hand() {
    let device = Device::flex();
    let score = |f: [f64; 2], z: [f64; 2], kind| {
        values(pal_scores(tensor(&f, [1, 2], &device), tensor(&z, [1, 2], &device), kind).unwrap())[0]
    };
    let (f, z) = ([3.0, 4.0], [8.0, 6.0]);
    assert!((score(f, z, PalScore::Distance) + 29f64.sqrt()).abs() < 1e-14);
    assert_eq!(score(f, z, PalScore::SquaredDistance), -29.0);
    assert_eq!(score(f, z, PalScore::Linear), 48.0);
    assert!((score(f, z, PalScore::Cosine) - 0.96).abs() < 1e-15);
    // (0.6, 0.8) and (0.8, 0.6)
    assert!((score(f, z, PalScore::NormalizedDistance) + 0.08f64.sqrt()).abs() < 1e-14);
    let zero = [0.0, 0.0];
    assert_eq!(score(zero, z, PalScore::Cosine), 0.0);
    assert_eq!(score(zero, z, PalScore::NormalizedDistance), -1.0, "from a zero to a unit vector");
    assert_eq!(score(f, f, PalScore::Distance), 0.0);
    // ½ of (2, 0) and ½ of (0, 4)
    let prototypes = [2.0, 0.0, 0.0, 4.0];
    let weights = tensor(&[0.5, 0.5, 1.0, 0.0], [2, 2], &device);
    let points = user_points(weights.clone(), tensor(&prototypes, [2, 2], &device)).unwrap();
    assert_eq!(values(points), [1.0, 2.0, 2.0, 0.0]);
    // Another prompt in the second row: its prototypes are three times as far out.
    let by_prompt = [&prototypes[..], &[6.0, 0.0, 0.0, 12.0]].concat();
    assert_eq!(values(prompt_points(weights, tensor(&by_prompt, [2, 2, 2], &device)).unwrap()), [1.0, 2.0, 6.0, 0.0]);
    let points = tensor(&[3.0, 4.0, 0.3, 0.4, 0.0, 0.0], [3, 2], &device);
    close(&values(norm_excess(points, 2.0).unwrap()), &[3.0, 0.0, 0.0], 1e-15);
}

#[test]
fn gradients_of_every_score_are_derivatives_down_to_items_weights_and_prototypes() {
    let device = Device::flex().autodiff();
    let at: Vec<f64> = (0..14).map(|i| f64::from(i * 5 % 13) / 6.0 - 0.9).collect();
    for kind in KINDS {
        let run = |x: &[f64]| {
            let items = tensor(&x[..4], [2, 2], &device).require_grad();
            let weights = tensor(&x[4..10], [2, 3], &device).require_grad();
            let prototypes = tensor(&[&x[10..], &[0.3, -0.8]].concat(), [3, 2], &device).require_grad();
            let points = user_points(weights.clone(), prototypes.clone()).unwrap();
            let bound = norm_excess(points.clone(), 0.5).unwrap().sum();
            let scores = pal_scores(items.clone(), points, kind).unwrap();
            // Not symmetric in the rows.
            let rows = tensor(&[1.0, -0.6], [2], &device);
            ((scores * rows).sum() + bound, [items, weights, prototypes])
        };
        let (loss, inputs) = run(&at);
        let gradients = loss.backward();
        let gradient = inputs.map(|x| values(x.grad(&gradients).unwrap())).concat();
        check_gradient(|x| values(run(x).0)[0], &at, &gradient[..14]).unwrap_or_else(|e| panic!("{kind:?}: {e:?}"));
    }
    let at: Vec<f64> = (0..12).map(|i| f64::from(i * 5 % 13) / 6.0 - 0.9).collect();
    let run = |x: &[f64]| {
        let weights = tensor(&x[..4], [2, 2], &device).require_grad();
        let prototypes = tensor(&x[4..], [2, 2, 2], &device).require_grad();
        (prompt_points(weights.clone(), prototypes.clone()).unwrap().square().sum(), weights, prototypes)
    };
    let (loss, weights, prototypes) = run(&at);
    let gradients = loss.backward();
    let gradient = [values(weights.grad(&gradients).unwrap()), values(prototypes.grad(&gradients).unwrap())].concat();
    check_gradient(|x| values(run(x).0)[0], &at, &gradient).unwrap();
}

#[test]
fn slopes_are_0_and_not_nan_where_points_meet_or_vanish() {
    let device = Device::flex().autodiff();
    for kind in [PalScore::Distance, PalScore::NormalizedDistance, PalScore::Cosine] {
        for (f, z) in [([1.0, 2.0], [1.0, 2.0]), ([0.0, 0.0], [0.0, 0.0])] {
            let items = tensor(&f, [1, 2], &device).require_grad();
            let points = tensor(&z, [1, 2], &device).require_grad();
            let gradients = pal_scores(items.clone(), points.clone(), kind).unwrap().sum().backward();
            for side in [items, points] {
                close(&values(side.grad(&gradients).unwrap()), &[0.0; 2], 1e-12);
            }
        }
    }
}

#[test]
fn losses_by_hand() {
    let device = Device::flex();
    let scores = |x: &[f64]| tensor(x, [x.len()], &device);
    let pairs = PairScores::new(scores(&[2.0, 0.25, -1.0, 0.25]), scores(&[0.5, 0.0, 0.0, 0.0])).unwrap();
    let pairs = pairs.with_targets(scores(&[1.0, 1.0, 1.0, 0.25])).unwrap();
    let losses = |config: PalLossConfig| values(config.init().unwrap().forward(&pairs).unwrap().losses);
    let hinge = PalLossConfig::new().with_kind(PalLossKind::Hinge);
    // Leads 1.5, ¼, −1, ¼: the last is ¼ · ¾ + ¾ · 1¼.
    close(&losses(hinge.clone()), &[0.0, 0.75, 2.0, 1.125], 1e-15);
    close(&losses(hinge.with_scale(2.0)), &[0.0, 0.5, 3.0, 0.25 * 0.5 + 0.75 * 1.5], 1e-15);
    let softplus = |z: f64| z.exp().ln_1p();
    let expected = |scale: f64| {
        [softplus(-1.5 * scale), softplus(-0.25 * scale), softplus(scale), softplus(0.25 * scale) - 0.0625 * scale]
    };
    close(&losses(PalLossConfig::new()), &expected(1.0), 1e-14);
    close(&losses(PalLossConfig::new().with_scale(3.0)), &expected(3.0), 1e-14);
    assert_eq!(PalLossConfig::new().kind, PalLossKind::Logistic);
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let error = PalLossConfig::new().with_scale(bad).init().unwrap_err().to_string();
        assert!(error.starts_with("`scale`: expected finite and > 0"));
    }
}

#[test]
fn shapes_are_checked_before_anything_is_broadcast() {
    let device = Device::flex();
    let ones = |shape: [usize; 2]| tensor(&vec![1.0; shape[0] * shape[1]], shape, &device);
    let text = |result: Result<Tensor<2>>| result.unwrap_err().to_string();
    assert!(text(user_points(ones([2, 3]), ones([2, 4]))).starts_with("`prototypes`"));
    for shape in [[1, 3, 4], [2, 1, 4]] {
        let prototypes = tensor(&vec![1.0; shape.iter().product()], shape, &device);
        assert!(text(prompt_points(ones([2, 3]), prototypes)).starts_with("`prototypes`"));
    }
    for shape in [[1, 2], [2, 1]] {
        let error = pal_scores(ones([2, 2]), ones(shape), PalScore::Linear).unwrap_err().to_string();
        assert!(error.starts_with("`points`"), "{error}");
    }
    let single = Tensor::<2>::from_data(TensorData::new(vec![1f32; 4], [2, 2]), (&device, DType::F32));
    assert!(pal_scores(ones([2, 2]), single, PalScore::Linear).unwrap_err().to_string().starts_with("`points`"));
    for bad in [-1.0, f64::NAN, f64::INFINITY] {
        let error = norm_excess(ones([1, 2]), bad).unwrap_err().to_string();
        assert!(error.starts_with("`bound`: expected finite and >= 0"));
    }
    close(&values(norm_excess(ones([1, 2]), 0.0).unwrap()), &[2f64.sqrt()], 1e-15);
}

#[test]
fn pure_kinds_are_refitted_each_by_itself() {
    let (items, pairs) = small();
    for form in FORMS {
        let pal = config(form).fit(&items, &pairs).unwrap();
        let kinds = pal.assignments();
        let start = pal.hard_refit(&pairs, 0).unwrap();
        assert_eq!((&start.assignments, start.converged), (&kinds, true));
        for k in 0..2 {
            close(&start.scores[k], &pal.prototype_scores(k).unwrap(), 1e-12);
        }
        let hard = pal.hard_refit(&pairs, 3).unwrap();
        assert_eq!(hard.assignments, kinds, "{form:?}");
        assert!(hard.converged || form == FORMS[1], "{form:?}");
        close(&[hard.shares[kinds[0]], hard.shares[kinds[5]]], &[4.0 / 6.0, 2.0 / 6.0], 1e-12);
        assert_eq!((hard.num_users(), hard.population().weights()), (6, &hard.shares[..]));
        // What it assigns is what explains a user best, and a refit explains its users better than the start did.
        let loss = |scores: &[f64], users: std::ops::Range<usize>| -> f64 {
            let chooser = Chooser::one(scores.to_vec());
            users.map(|user| -chooser.foretell(&pairs.users()[user]).unwrap().log_likelihood).sum()
        };
        for (users, k) in [(0..4, kinds[0]), (4..6, kinds[5])] {
            assert!(loss(&hard.scores[k], users.clone()) < loss(&hard.scores[1 - k], users.clone()));
            assert!(loss(&hard.scores[k], users.clone()) < loss(&start.scores[k], users) + 1.0, "{form:?}");
        }
        for user in 0..6 {
            let adapted = hard.adapt(&pairs.users()[user]).unwrap();
            assert_eq!(adapted, hard.user(user).unwrap());
        }
        assert_eq!(hard.adapt(&Comparisons::new(5)).unwrap(), hard.population());
        assert!(matches!(hard.user(6), Err(Error::Unknown { name: "user", index: 6 })));
        assert!(matches!(hard.adapt(&Comparisons::new(4)), Err(Error::Length { name: "items", .. })));
        let fewer = pairs.select(0..5).unwrap();
        assert!(matches!(pal.hard_refit(&fewer, 1), Err(Error::Length { name: "users", .. })));
        assert!(matches!(pal.hard_refit(&UserPairs::new(4), 1), Err(Error::Length { name: "items", .. })));
    }
    // In the linear form each prototype is Bradley-Terry of its users.
    let pal = config(PalForm::Linear).with_prototypes_prior(0.5).fit(&items, &pairs).unwrap();
    let hard = pal.hard_refit(&pairs, 1).unwrap();
    let mine = pairs.select(0..4).unwrap().pooled();
    let single = LogisticConfig::new().with_prior(0.5).fit(&items, &mine).unwrap();
    close(&hard.scores[pal.assignments()[0]], &items.scores_of(&single.coefficients), 1e-7);
}

#[test]
fn settings_and_ids_are_checked() {
    let (items, pairs) = small();
    let text = |config: PalConfig| config.fit(&items, &pairs).unwrap_err().to_string();
    assert!(text(PalConfig::new(0)).starts_with("`num_prototypes`: expected >= 1"));
    let new = || PalConfig::new(2);
    for bad in [-1.0, f64::NAN, f64::INFINITY] {
        assert!(text(new().with_items_prior(bad)).starts_with("`items_prior`: expected finite and >= 0"));
        assert!(text(new().with_prototypes_prior(bad)).starts_with("`prototypes_prior`: expected finite and >= 0"));
        assert!(text(new().with_logits_prior(bad)).starts_with("`logits_prior`: expected finite and >= 0"));
    }
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(text(new().with_common_prior(Some(bad))).starts_with("`common_prior`: expected finite and > 0"));
        let angle = new().with_form(PalForm::Angle { dim: 2, kappa: bad });
        assert!(text(angle).starts_with("`kappa`: expected finite and > 0"));
    }
    for form in
        [PalForm::Distance { dim: 0 }, PalForm::SquaredDistance { dim: 0 }, PalForm::Angle { dim: 0, kappa: 1.0 }]
    {
        assert!(text(new().with_form(form)).starts_with("`dim`: expected >= 1"));
    }
    assert!(text(new().with_restarts(0)).starts_with("`restarts`: expected >= 1"));
    let bad = Solver::Adam { learning_rate: 0.0, steps: 5 };
    assert!(text(new().with_solver(bad)).starts_with("`learning_rate`"));
    assert!(matches!(new().fit(&Items::table(4), &pairs), Err(Error::Length { name: "items", .. })));
    assert!(matches!(new().fit(&items, &UserPairs::new(5)), Err(Error::Empty { .. })));
    let quick = new().with_solver(Solver::Lbfgs { gradient: 1e-9, max_iterations: 2 });
    let pal = quick.fit(&items, &pairs).unwrap();
    assert!(!pal.report.converged, "two steps are not enough, and it says so");
    assert!(matches!(pal.user(6), Err(Error::Unknown { name: "user", index: 6 })));
    assert!(pal.weights(6).is_err() && pal.effective_prototypes(6).is_err() && pal.num_users() == 6);
    assert!(matches!(pal.prototype_scores(2), Err(Error::Index { name: "prototype", .. })));
    assert!(matches!(pal.adapt(&Comparisons::new(4)), Err(Error::Length { name: "items", .. })));
    let PalConfig { form, common_prior, items_prior, prototypes_prior, logits_prior, solver, restarts, seed, .. } =
        new();
    assert_eq!((form, common_prior), (PalForm::SquaredDistance { dim: 2 }, None));
    assert_eq!((items_prior, prototypes_prior, logits_prior, restarts, seed), (1.0, 1.0, 0.05, 3, 0));
    assert_eq!(solver, Solver::Lbfgs { gradient: 1e-5, max_iterations: 1000 });
}

#[test]
fn the_nearest_prototype_is_that_of_the_likeliest_votes() {
    // Leads of 2 and 0 on the first pair, of −1 and 0 on the second.
    let scores = [vec![2.0, 0.0, 1.0], vec![0.0, 0.0, 0.0]];
    let nearest_of = |records: &[(usize, usize, f64, f64)]| {
        let mut judged = Comparisons::new(3);
        for &(first, second, share, weight) in records {
            judged.push_weighted(first, second, Outcome::Share(share), weight).unwrap();
        }
        nearest(&scores, &judged)
    };
    // −log-chances 0.127 and 2.127 of a lead of 2, ln 2 = 0.693 of none: equal at a share of 0.717.
    assert_eq!([nearest_of(&[(0, 1, 0.75, 1.0)]), nearest_of(&[(0, 1, 0.7, 1.0)])], [0, 1]);
    // 0.313 and 1.313 of a lead of 1; a pair counts by its weight.
    assert_eq!(nearest_of(&[(0, 1, 1.0, 1.0), (1, 2, 1.0, 0.8)]), 0);
    assert_eq!(nearest_of(&[(0, 1, 1.0, 1.0), (1, 2, 1.0, 1.0)]), 1);
    assert_eq!(nearest_of(&[]), 0, "of equal ones the first");
}

#[test]
fn one_prototype_that_did_not_converge_is_reported() {
    let (items, pairs) = small();
    for form in FORMS {
        let short = config(form).with_solver(Solver::Lbfgs { gradient: 1e-12, max_iterations: 1 });
        let pal = short.fit(&items, &pairs).unwrap();
        assert!(!pal.report.converged && pal.hard_refit(&pairs, 0).unwrap().converged, "nothing was refitted");
        assert!(form == PalForm::Linear || !pal.hard_refit(&pairs, 1).unwrap().converged, "{form:?}");
    }
}
