use accordant_laws::gradient::check_gradient;
use rand::Rng;

use super::*;
use crate::{
    Outcome,
    distributional::testing::{check_gradients, host, like, matrix, near, starts, vector},
    pairwise::{PairwiseModel, bradley_terry::BradleyTerryConfig},
    plural::LogisticConfig,
};

/// Pairs with contexts and the context's kind.
struct World {
    items: Items,
    judged: Comparisons,
    contexts: Vec<Vec<f64>>,
}

/// Two contexts with opposite linear preferences in 8 dimensions, shown by a prompt embedding of ±½ in each of 4 (standard
/// deviation 0.3); labels with chances of log-odds `scale · lead`, or of the sign of the lead.
fn two_contexts(scale: f64, pairs: usize, seed: u64) -> World {
    const DIM: usize = 8;
    let mut rng = stream(seed, Purpose::World, 0);
    let direction: Vec<f64> = (0..DIM).map(|_| StandardNormal.sample(&mut rng)).collect();
    let length = direction.iter().map(|x: &f64| x * x).sum::<f64>().sqrt();
    let mut rng = stream(seed, Purpose::World, pairs as u32);
    let mut normal = || -> f64 { StandardNormal.sample(&mut rng) };
    let rows: Vec<Vec<f64>> = (0..2 * pairs).map(|_| (0..DIM).map(|_| normal()).collect()).collect();
    let items = Items::features(&rows).unwrap();
    let scores = items.scores_of(&direction.iter().map(|x| x / length).collect::<Vec<_>>());
    let (mut judged, mut contexts) = (Comparisons::new(2 * pairs), Vec::new());
    let mut coins = stream(seed, Purpose::Order, pairs as u32);
    for pair in 0..pairs {
        let sign = if coins.random::<bool>() { 1.0 } else { -1.0 };
        let lead = sign * scale * (scores[2 * pair] - scores[2 * pair + 1]);
        let wins = coins.random::<f64>() < logistic(lead);
        judged.push(2 * pair, 2 * pair + 1, if wins { Outcome::First } else { Outcome::Second }).unwrap();
        contexts.push((0..4).map(|_| 0.5 * sign + 0.3 * normal()).collect());
    }
    World { items, judged, contexts }
}

/// How many pairs of a new sample the heads foretell by their mean scores.
fn accuracy(micro: &Micro, test: &World) -> f64 {
    let scores: Vec<Vec<f64>> = micro.heads.iter().map(|head| test.items.scores(head).unwrap()).collect();
    let right = test.judged.records().iter().zip(&test.contexts).filter(|(record, context)| {
        let weights = micro.router.weights(context).unwrap();
        let mean = Chooser::new(weights, scores.clone()).unwrap().mean_scores();
        (mean[record.first] > mean[record.second]) == (record.outcome == Outcome::First)
    });
    right.count() as f64 / test.judged.len() as f64
}

#[test]
fn a_router_tells_two_opposite_contexts_apart_and_one_head_cannot() {
    for (scale, bar) in [(1e6, 0.97), (3.0, 0.85)] {
        for seed in 0..2 {
            let (train, test) = (two_contexts(scale, 2000, seed), two_contexts(scale, 4000, seed));
            let fit = |heads| {
                let config = MicroConfig::new(heads).with_restarts(2).with_seed(seed);
                config.fit(&train.items, &train.judged, &train.contexts).unwrap()
            };
            let (one, two) = (accuracy(&fit(1), &test), accuracy(&fit(2), &test));
            println!("scale {scale}, seed {seed}: one head {one}, two {two}");
            assert!(two >= bar && one <= 0.55, "scale {scale}, seed {seed}: one head {one}, two {two}");
        }
    }
}

fn small() -> (Items, Comparisons, Vec<Vec<f64>>) {
    let items = Items::features(&[vec![1.0, 0.2], vec![0.0, 1.0], vec![-0.5, 0.4], vec![0.3, -1.0]]).unwrap();
    let mut rng = stream(4, Purpose::World, 0);
    let (mut judged, mut contexts) = (Comparisons::new(4), Vec::new());
    for pair in 0..30 {
        let first = rng.random_range(0..4);
        let second = (first + rng.random_range(1..4)) % 4;
        let weight = if pair == 7 { 0.0 } else { rng.random_range(0.5..2.0) };
        judged.push_weighted(first, second, Outcome::Share(rng.random()), weight).unwrap();
        contexts.push((0..3).map(|_| rng.random_range(-1.0..1.0)).collect());
    }
    (items, judged, contexts)
}

const TIGHT: Solver = Solver::Lbfgs { gradient: 1e-9, max_iterations: 5000 };

#[test]
fn one_head_is_bradley_terry_in_every_context() {
    let (items, judged, contexts) = small();
    let micro = MicroConfig::new(1).with_head_prior(0.4).with_solver(TIGHT).fit(&items, &judged, &contexts).unwrap();
    let linear = LogisticConfig::new().with_prior(0.4).fit(&items, &judged).unwrap();
    assert!(micro.report.converged);
    near(&micro.heads[0], &linear.coefficients, 1e-8);
    assert!((micro.report.objective - linear.report.objective).abs() < 1e-9);
    for context in &contexts {
        let chooser = micro.chooser(context).unwrap();
        assert_eq!(chooser.weights(), [1.0]);
        near(&chooser.mean_scores(), &items.scores(&linear.coefficients).unwrap(), 1e-8);
    }
}

#[test]
fn derivatives_are_those_of_the_objective_and_the_value_that_of_the_tensor_face() {
    let (items, judged, contexts) = small();
    let config = MicroConfig::new(3).with_balance(0.3).with_head_prior(0.2).with_router_prior(0.7);
    let rows = (0..30).filter(|row| *row != 7).collect();
    let terms: Vec<Term> = terms(&judged, 0).collect();
    let problem =
        Problem { items: &items, rows, terms: terms.clone(), contexts: &contexts, num_heads: 3, config: &config };
    let at: Vec<f64> = (0..3 * 2 + 3 * 4).map(|i| f64::from(i * 7 % 11) / 5.0 - 1.0).collect();
    let mut gradient = vec![f64::NAN; at.len()];
    let value = problem.evaluate(&at, &mut gradient);
    check_gradient(|x| problem.evaluate(x, &mut vec![0.0; x.len()]), &at, &gradient).unwrap();
    let prior = 0.1 * at[..6].iter().map(|x| x * x).sum::<f64>() + 0.35 * at[6..].iter().map(|x| x * x).sum::<f64>();
    let scores: Vec<Vec<f64>> = at[..6].chunks(2).map(|head| items.scores_of(head)).collect();
    let side = |pick: fn(&Term) -> usize| {
        let values: Vec<f64> =
            terms.iter().flat_map(|term| scores.iter().map(move |scores| scores[pick(term)])).collect();
        matrix(&values, 3)
    };
    let logits: Vec<f64> =
        contexts.iter().enumerate().filter(|(row, _)| *row != 7).flat_map(|(_, x)| logits(&at[6..], x)).collect();
    let heads = RoutedHeads::new(side(|term| term.first), side(|term| term.second), matrix(&logits, 3)).unwrap();
    let [targets, weights] = [|term: &Term| term.share, |term: &Term| term.weight]
        .map(|of| vector(&terms.iter().map(of).collect::<Vec<_>>()));
    let pairs = heads.scores().unwrap().with_targets(targets).unwrap().with_weights(weights.clone()).unwrap();
    let nll = MicroLossConfig::new().with_balance(0.3).init().unwrap().forward(&heads, &pairs).unwrap();
    let total = host(&(nll.losses.clone() * weights).sum())[0];
    assert!((value - prior - total).abs() < 1e-10, "{value} {prior} {total}");
    near(&host(nll.metric("router_entropy").unwrap().0), &host(&heads.entropies()), 0.0);
}

#[test]
fn a_share_and_a_weight_are_votes_one_way_and_the_other() {
    let items = Items::table(2);
    let fit = |records: &[(Outcome, f64)]| {
        let mut judged = Comparisons::new(2);
        records.iter().for_each(|&(outcome, weight)| judged.push_weighted(0, 1, outcome, weight).unwrap());
        let contexts: Vec<Vec<f64>> = records.iter().map(|_| vec![1.0]).collect();
        let micro = MicroConfig::new(2).with_solver(TIGHT).with_balance(0.0).fit(&items, &judged, &contexts).unwrap();
        (micro.report.objective, micro.chooser(&[1.0]).unwrap().first_wins(0, 1).unwrap())
    };
    let (shares, votes) = (fit(&[(Outcome::Share(0.75), 4.0)]), fit(&[(Outcome::First, 3.0), (Outcome::Second, 1.0)]));
    // The chance of a share is a cross-entropy, not a mixture of both: the same sum.
    assert!((shares.0 - votes.0).abs() < 1e-8 && (shares.1 - votes.1).abs() < 1e-5);
}

#[test]
fn a_balanced_router_is_less_certain() {
    let world = two_contexts(1e6, 300, 5);
    let entropy = |balance: f64| {
        let config = MicroConfig::new(2).with_balance(balance).with_restarts(2);
        let micro = config.fit(&world.items, &world.judged, &world.contexts).unwrap();
        let of = |context: &Vec<f64>| super::super::effective_number(&micro.router.weights(context).unwrap()).ln();
        world.contexts.iter().map(of).sum::<f64>() / 300.0
    };
    let (free, balanced, even) = (entropy(0.0), entropy(0.5), entropy(100.0));
    assert!(free < balanced && balanced < even, "{free} {balanced} {even}");
    assert!((even - 2f64.ln()).abs() < 1e-3);
}

#[test]
fn hedge_starts_from_the_router_and_a_rate_of_one_is_the_posterior() {
    let world = two_contexts(3.0, 300, 1);
    let micro = MicroConfig::new(2).with_restarts(2).fit(&world.items, &world.judged, &world.contexts).unwrap();
    let context = [0.1, 0.0, 0.05, -0.02];
    let nobody = Comparisons::new(600);
    let (nobody, routed) = (micro.adapt(&context, &nobody, 1.0).unwrap(), micro.chooser(&context).unwrap());
    near(nobody.weights(), routed.weights(), 1e-14);
    assert_eq!(nobody.scores(), routed.scores());
    let mut own = Comparisons::new(600);
    for (pair, first) in [(0, true), (3, false), (9, true)] {
        own.push(2 * pair, 2 * pair + 1, if first { Outcome::First } else { Outcome::Second }).unwrap();
    }
    let prior = micro.router.weights(&context).unwrap();
    let joint: Vec<f64> = (0..2)
        .map(|k| {
            let scores = &micro.chooser(&context).unwrap().scores()[k].clone();
            let chance = |a: usize, b: usize| logistic(scores[a] - scores[b]);
            prior[k] * chance(0, 1) * chance(7, 6) * chance(18, 19)
        })
        .collect();
    let expected: Vec<f64> = joint.iter().map(|p| p / (joint[0] + joint[1])).collect();
    near(micro.adapt(&context, &own, 1.0).unwrap().weights(), &expected, 1e-12);
    near(micro.adapt(&context, &own, 0.0).unwrap().weights(), &prior, 1e-12);
    starts(micro.adapt(&context, &own, -1.0), "`rate`");
    starts(micro.adapt(&context[..3], &own, 1.0), "`context`");
    starts(micro.adapt(&context, &Comparisons::new(3), 1.0), "`items`");
}

#[test]
fn a_router_is_regressed_to_weights() {
    // Weights that are a softmax of the context come back as the prior goes.
    let truth = Router { coefficients: vec![vec![1.0, -0.5], vec![-1.0, 0.5]], biases: vec![0.3, -0.3] };
    let mut rng = stream(2, Purpose::World, 0);
    let contexts: Vec<Vec<f64>> = (0..50).map(|_| (0..2).map(|_| rng.random_range(-1.0..1.0)).collect()).collect();
    let targets: Vec<Vec<f64>> = contexts.iter().map(|context| truth.weights(context).unwrap()).collect();
    let (router, report) = RouterConfig::new().with_prior(1e-9).fit(&contexts, &targets).unwrap();
    assert!(report.converged);
    near(&router.coefficients.concat(), &truth.coefficients.concat(), 1e-5);
    near(&router.biases, &truth.biases, 1e-5);
    // What is minimized: cross-entropies and half the prior's squares.
    let (three, report) = RouterConfig::new().with_prior(3.0).fit(&contexts, &targets).unwrap();
    let squares: f64 = three.coefficients.iter().flatten().chain(&three.biases).map(|x| x * x).sum();
    let loss = |(context, target): (&Vec<f64>, &Vec<f64>)| {
        let weights = three.weights(context).unwrap();
        -target.iter().zip(weights).map(|(target, weight)| target * weight.ln()).sum::<f64>()
    };
    let expected = 1.5 * squares + contexts.iter().zip(&targets).map(loss).sum::<f64>();
    assert!((report.objective - expected).abs() < 1e-9, "{} is not {expected}", report.objective);
    // A prior shrinks it, and the mean weight of a router of nothing but biases is that of the targets.
    let (shrunk, _) = RouterConfig::new().with_prior(100.0).fit(&contexts, &targets).unwrap();
    assert!(shrunk.coefficients[0][0].abs() < 0.5);
    let blind: Vec<Vec<f64>> = vec![vec![]; 50];
    let (biases, _) = RouterConfig::new().with_prior(1e-9).fit(&blind, &targets).unwrap();
    let mean = targets.iter().map(|target| target[0]).sum::<f64>() / 50.0;
    near(&biases.weights(&[]).unwrap()[..1], &[mean], 1e-6);
    starts(RouterConfig::new().with_prior(0.0).fit(&contexts, &targets), "`prior`: expected finite and > 0");
    starts(RouterConfig::new().with_prior(f64::NAN).fit(&contexts, &targets), "`prior`");
    starts(RouterConfig::new().fit(&[], &[]), "`contexts`");
    starts(RouterConfig::new().fit(&contexts, &targets[1..]), "`targets`");
    starts(RouterConfig::new().fit(&contexts[..2], &[vec![1.0], vec![0.5, 0.5]]), "`targets`: expected 1 entries");
    starts(RouterConfig::new().fit(&contexts[..1], &[vec![0.5, 0.4]]), "`targets`: expected a sum of 1");
    starts(RouterConfig::new().fit(&[vec![f64::NAN]], &[vec![1.0]]), "record 0: `contexts`");
    let bad = Solver::Adam { learning_rate: 0.0, steps: 1 };
    starts(RouterConfig::new().with_solver(bad).fit(&contexts, &targets), "`learning_rate`");
    assert_eq!(RouterConfig::new().prior, 1.0);
    assert_eq!(RouterConfig::new().solver, Solver::Lbfgs { gradient: 1e-8, max_iterations: 1000 });
}

#[test]
fn losses_of_a_share_by_hand() {
    // Weights ¾ and ¼, chances ¾ and ½ of the first: 11/16, of which 0.4 votes, and 5/16.
    let heads = RoutedHeads::new(matrix(&[3f64.ln(), 1.0], 2), matrix(&[0.0, 1.0], 2), matrix(&[3f64.ln(), 0.0], 2));
    let heads = heads.unwrap();
    let pairs = heads.scores().unwrap().with_targets(vector(&[0.4])).unwrap();
    let expected = -0.4 * (11.0f64 / 16.0).ln() - 0.6 * (5.0f64 / 16.0).ln();
    let entropy = 0.75 * (4.0f64 / 3.0).ln() + 0.25 * 4f64.ln();
    near(&host(&micro_losses(&heads, &pairs, 0.0).unwrap()), &[expected], 1e-12);
    near(&host(&micro_losses(&heads, &pairs, 0.7).unwrap()), &[expected - 0.7 * entropy], 1e-12);
    // One head, and no router to speak of.
    let one = RoutedHeads::new(matrix(&[0.8], 1), matrix(&[0.1], 1), matrix(&[5.0], 1)).unwrap();
    let scores = one.scores().unwrap();
    let bt = BradleyTerryConfig::new().init().unwrap().outcomes(&scores).unwrap();
    near(&host(&micro_losses(&one, &scores, 0.5).unwrap()), &host(&-bt.first), 1e-12);
}

#[test]
fn penalties_by_hand_and_their_derivatives() {
    let heads = || matrix(&[3.0, 4.0, 0.0, -1.0, 0.0, 0.0, 0.0, 2.0, 2.0], 3);
    let of = |penalty: HeadPenalty, heads: Tensor<2>| host(&penalty.of(heads).unwrap())[0];
    // Products −3, 8 and 0; lengths 5, 1 and √8.
    assert!((of(HeadPenalty::Orthogonality, heads()) - 11.0).abs() < 1e-12);
    assert!((of(HeadPenalty::Length, heads()) - (4.0 + 8f64.sqrt() - 1.0) / 3.0).abs() < 1e-12);
    // Centered (2, 5, −7)/3, (−2, 1, 1)/3 and (−4, 2, 2)/3: the last two are the same.
    let correlation = |a: [f64; 3], b: [f64; 3]| {
        let dot = |a: [f64; 3], b: [f64; 3]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
        dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
    };
    let expected = 2.0 * correlation([2.0, 5.0, -7.0], [-2.0, 1.0, 1.0]).abs() + 1.0;
    assert!((of(HeadPenalty::Correlation, heads()) - expected).abs() < 1e-12);
    assert_eq!(of(HeadPenalty::Correlation, matrix(&[1.0, 1.0, 3.0, 5.0], 2)), 0.0, "a constant head");
    for penalty in [HeadPenalty::Orthogonality, HeadPenalty::Length, HeadPenalty::Correlation] {
        check_gradients(&[0.3, 0.8, -0.5, 1.2, 0.7, -0.1], |x| penalty.of(x.reshape([2, 3])).unwrap());
        starts(penalty.of(Tensor::zeros([0, 2], &burn::tensor::Device::flex())), "`heads`: expected a number, got 0");
        starts(penalty.of(Tensor::zeros([2, 0], &burn::tensor::Device::flex())), "`heads`: expected a number, got 0");
        let none = crate::distributional::testing::gradient(&[0.0; 4], |x| penalty.of(x.reshape([2, 2])).unwrap());
        assert!(none.iter().all(|slope| slope.is_finite()), "heads of zeros: {none:?}");
    }
    // Mean weights ⅝ and ⅜.
    let weights = matrix(&[0.75, 0.25, 0.5, 0.5], 2).log();
    let expected = 0.625 * 1.25f64.ln() + 0.375 * 0.75f64.ln();
    near(&host(&usage_penalty(weights).unwrap()), &[expected], 1e-12);
    check_gradients(&[-0.3, -0.8, -0.5, -1.2], |x| usage_penalty(x.reshape([2, 2])).unwrap());
    for shape in [[0, 2], [2, 0]] {
        let none = usage_penalty(Tensor::zeros(shape, &burn::tensor::Device::flex()));
        starts(none, "`log_weights`: expected a prompt and a head, got 0");
    }
}

#[test]
fn the_released_score_changes_with_a_shift_and_ours_does_not() {
    let (first, second, logits) = ([2.0, -1.0], [0.5, 0.4], [1.0, 0.0]);
    let lead = |shift: f64| {
        let shifted = |scores: [f64; 2]| matrix(&scores.map(|score| score + shift), 2);
        let heads = RoutedHeads::new(shifted(first), shifted(second), matrix(&logits, 2)).unwrap();
        let released = released_scores(shifted(first), heads.log_weights()).unwrap()
            - released_scores(shifted(second), heads.log_weights()).unwrap();
        let outcomes = heads.outcomes(&heads.scores().unwrap()).unwrap();
        [host(&released)[0], host(&heads.scores().unwrap().differences())[0], host(&outcomes.first)[0]]
    };
    let (here, there) = (lead(0.0), lead(3.0));
    near(&here[1..], &there[1..], 1e-12);
    assert!(here[0] > 0.03 && there[0] < -0.005, "it even changes sides: {} and {}", here[0], there[0]);
    // Weights ¾ and ¼.
    let weights = matrix(&[0.75, 0.25], 2).log();
    let got = host(&released_scores(matrix(&[3f64.ln(), 0.0], 2), weights.clone()).unwrap());
    near(&got, &[0.75 * 0.75f64.ln() + 0.25 * 0.5f64.ln()], 1e-12);
    check_gradients(&[0.3, -0.4], |x| {
        released_scores(x.clone().reshape([1, 2]), like(&x, &[-0.3, -1.2]).reshape([1, 2])).unwrap()
    });
    starts(released_scores(matrix(&[0.0], 1), weights), "`log_weights`");
}

#[test]
fn settings_and_contexts_are_checked() {
    let (items, judged, contexts) = small();
    let fit = |config: MicroConfig| config.fit(&items, &judged, &contexts);
    starts(fit(MicroConfig::new(0)), "`num_heads`: expected >= 1");
    starts(fit(MicroConfig::new(2).with_restarts(0)), "`restarts`: expected >= 1");
    starts(fit(MicroConfig::new(2).with_solver(Solver::Lbfgs { gradient: 0.0, max_iterations: 1 })), "`gradient`");
    for bad in [-0.1, f64::NAN, f64::INFINITY] {
        starts(fit(MicroConfig::new(2).with_balance(bad)), "`balance`: expected finite and >= 0");
        starts(fit(MicroConfig::new(2).with_head_prior(bad)), "`head_prior`: expected finite and >= 0");
        starts(fit(MicroConfig::new(2).with_router_prior(bad)), "`router_prior`: expected finite and >= 0");
        starts(MicroLossConfig::new().with_balance(bad).init(), "`balance`: expected finite and >= 0");
    }
    let config = MicroConfig::new(2);
    starts(config.fit(&Items::table(3), &judged, &contexts), "`items`");
    starts(config.fit(&items, &judged, &contexts[1..]), "`contexts`: expected 30 entries");
    let mut other = contexts.clone();
    other[3] = vec![0.0];
    starts(config.fit(&items, &judged, &other), "`contexts`: expected 3 entries, got 1");
    other[3] = vec![0.0, f64::INFINITY, 0.0];
    starts(config.fit(&items, &judged, &other), "record 3: `contexts`");
    starts(config.fit(&items, &Comparisons::new(4), &[]), "`judged`: nothing to learn from");
    let micro = config.fit(&items, &judged, &contexts).unwrap();
    starts(micro.chooser(&[0.0]), "`context`");
    let MicroConfig { balance, head_prior, router_prior, solver, restarts, seed, .. } = MicroConfig::new(2);
    assert_eq!((balance, head_prior, router_prior, restarts, seed), (0.5, 1.0, 1.0, 5, 0));
    assert_eq!(solver, Solver::Lbfgs { gradient: 1e-5, max_iterations: 1000 });
    assert_eq!(MicroLossConfig::new().balance, 0.5);
}

#[test]
fn a_router_that_was_put_together_wrongly_is_refused() {
    let router = |coefficients: &[&[f64]], biases: &[f64]| Router {
        coefficients: coefficients.iter().map(|row| row.to_vec()).collect(),
        biases: biases.to_vec(),
    };
    starts(router(&[], &[]).weights(&[]), "`coefficients`");
    starts(router(&[&[1.0], &[2.0]], &[0.0]).weights(&[1.0]), "`biases`");
    starts(router(&[&[1.0], &[]], &[0.0, 0.0]).weights(&[1.0]), "`coefficients`");
    near(&router(&[&[3f64.ln()], &[0.0]], &[0.0, 0.0]).weights(&[1.0]).unwrap(), &[0.75, 0.25], 1e-15);
}

#[test]
fn heads_start_with_about_unit_length_and_the_best_start_is_kept() {
    let (items, judged, contexts) = small();
    let still = Solver::Adam { learning_rate: 1e-300, steps: 1 };
    // 400 coefficients with variance ½ of items with two features, and 800 of the router with variance 0.01.
    let start = MicroConfig::new(200).with_restarts(1).with_solver(still).fit(&items, &judged, &contexts).unwrap();
    let mean_square = |values: Vec<f64>| values.iter().map(|x| x * x).sum::<f64>() / values.len() as f64;
    let heads = mean_square(start.heads.concat());
    let router = mean_square([start.router.coefficients.concat(), start.router.biases.clone()].concat());
    assert!((heads / 0.5 - 1.0).abs() < 0.25 && (router / 0.01 - 1.0).abs() < 0.2, "{heads} and {router}");
    // Starts that were hardly moved are as good as chance has it; with one head and no features all of them are alike.
    let best = |restarts, seed| {
        let config = MicroConfig::new(2).with_restarts(restarts).with_solver(still).with_seed(seed);
        config.fit(&items, &judged, &contexts).unwrap()
    };
    for seed in 0..5 {
        let objectives: Vec<f64> = (1..=4).map(|restarts| best(restarts, seed).report.objective).collect();
        assert!(objectives.windows(2).all(|pair| pair[1] <= pair[0]), "{objectives:?}");
    }
    assert!((0..5).any(|seed| best(4, seed).report.objective < best(1, seed).report.objective));
    assert!((0..20).any(|seed| best(2, seed) == best(1, seed)), "a second start that is worse is not taken");
}

#[test]
fn a_pair_without_weight_takes_its_context_with_it() {
    let (items, judged, contexts) = small();
    let others: Vec<usize> = (0..30).filter(|row| *row != 7).collect();
    let fit = |judged: &Comparisons, contexts: &[Vec<f64>]| {
        MicroConfig::new(2).with_restarts(1).fit(&items, judged, contexts).unwrap()
    };
    let without: Vec<Vec<f64>> = others.iter().map(|&row| contexts[row].clone()).collect();
    assert_eq!(fit(&judged, &contexts), fit(&judged.select(others).unwrap(), &without));
}
