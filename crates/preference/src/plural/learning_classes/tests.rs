use accordant_laws::gradient::check_gradient;
use rand::Rng;

use super::*;
use crate::{
    Comparisons,
    distributional::testing::{near, starts},
    plural::{Items, LogisticConfig, agreement::adjusted_rand_index},
    random::{Purpose, stream},
};

/// Trials of one person with two options and a feature each; the first brings more on average.
fn trials(class: &LearningClass, count: usize, index: u32) -> Vec<Trial> {
    let mut rng = stream(3, Purpose::World, index);
    let mut history: Vec<Trial> = Vec::new();
    for _ in 0..count {
        let features: Vec<Vec<f64>> = (0..2).map(|_| vec![rng.random_range(-1.0..1.0)]).collect();
        let chance = class.next(&history, &features).unwrap()[0].exp();
        let chosen = usize::from(rng.random::<f64>() >= chance);
        let reward = rng.random_range(-1.0..1.0) + [0.5, -0.5][chosen];
        history.push(Trial { features, chosen, reward });
    }
    history
}

fn class(rate: f64, sensitivity: f64, taste: f64) -> LearningClass {
    LearningClass { rate, sensitivity, tastes: vec![taste] }
}

#[test]
fn three_trials_by_hand() {
    let class = LearningClass { rate: 0.25, sensitivity: 2.0, tastes: vec![1.0] };
    let trial = |chosen, reward| Trial { features: vec![vec![0.5], vec![0.0], vec![-1.0]], chosen, reward };
    // Q of the second: 0.25 · 4 = 1, then 1 + 0.25 (−3 − 1) = 0; of the third 0.25 · 2 = ½.
    let history = [trial(1, 4.0), trial(2, 2.0), trial(1, -3.0)];
    let after = |count: usize, values: [f64; 3]| {
        let got = class.next(&history[..count], &history[0].features).unwrap();
        let total = values.iter().map(|value| value.exp()).sum::<f64>().ln();
        near(&got, &values.map(|value| value - total), 1e-12);
    };
    after(0, [0.5, 0.0, -1.0]);
    after(1, [0.5, 2.0, -1.0]);
    after(2, [0.5, 2.0, 0.0]);
    after(3, [0.5, 0.0, 0.0]);
}

#[test]
fn derivatives_are_those_of_the_objective() {
    let people = [trials(&class(0.4, 2.0, 1.0), 12, 0), trials(&class(0.1, -1.0, 0.5), 7, 1), vec![]];
    for rate in [None, Some(0.3)] {
        let config = LearningClassesConfig::new(EmConfig::new(1)).with_prior(0.7).with_rate(rate);
        let model = Model { people: &people, options: 2, num_features: 1, config: &config };
        let (at, weights) = ([0.4, -0.8, 1.3], [0.6, 1.5, 1.0]);
        let mut gradient = vec![f64::NAN; 3];
        let value = model.evaluate(&at, &weights, &mut gradient);
        check_gradient(|x| model.evaluate(x, &weights, &mut [0.0; 3]), &at, &gradient).unwrap();
        // Trial by trial.
        let class = model.class(&at);
        assert_eq!(class.rate, rate.unwrap_or(logistic(0.4)));
        let mut expected = 0.35 * at.iter().map(|x| x * x).sum::<f64>();
        for (trials, weight) in people.iter().zip(weights) {
            for (t, trial) in trials.iter().enumerate() {
                expected -= weight * class.next(&trials[..t], &trial.features).unwrap()[trial.chosen];
            }
        }
        assert!((value - expected).abs() < 1e-10);
    }
}

#[test]
fn one_class_that_does_not_learn_is_the_multinomial_logit() {
    let people: Vec<Vec<Trial>> = (0..5).map(|index| trials(&class(0.3, 2.0, 1.5), 10, index)).collect();
    let config = LearningClassesConfig::new(EmConfig::new(1)).with_rate(Some(0.0)).with_prior(0.5);
    let fit = config.with_solver(Solver::Lbfgs { gradient: 1e-9, max_iterations: 500 }).fit(&people).unwrap();
    // Two options: a logistic regression on the differences of the features, which is Bradley-Terry.
    let rows: Vec<Vec<f64>> = people.iter().flatten().flat_map(|trial| trial.features.clone()).collect();
    let mut judged = Comparisons::new(rows.len());
    for (at, trial) in people.iter().flatten().enumerate() {
        judged.push_win(2 * at + trial.chosen, 2 * at + 1 - trial.chosen, 1.0).unwrap();
    }
    let linear = LogisticConfig::new().with_prior(0.5).fit(&Items::features(&rows).unwrap(), &judged).unwrap();
    near(&fit.classes[0].tastes, &linear.coefficients, 1e-7);
    assert!(fit.classes[0].sensitivity.abs() < 1e-7 && fit.classes[0].rate == 0.0);
    assert!((fit.report.objective() + linear.report.objective).abs() < 1e-8);
}

#[test]
fn kinds_of_learners_are_told_apart() {
    // Those who repeat what went well, and those who go by the feature alone.
    let kinds = [class(0.6, 4.0, 0.0), class(0.3, 0.0, 4.0)];
    let people: Vec<Vec<Trial>> = (0..60).map(|index| trials(&kinds[usize::from(index >= 40)], 25, index)).collect();
    let em = EmConfig::new(2).with_restarts(3).with_max_iterations(60);
    let fit = LearningClassesConfig::new(em).fit(&people).unwrap();
    let known: Vec<usize> = (0..60).map(|index| usize::from(index >= 40)).collect();
    let found: Vec<usize> = fit.responsibilities.iter().map(|chances| usize::from(chances[1] > 0.5)).collect();
    let index = adjusted_rand_index(&known, &found).unwrap();
    println!("index {index}, classes {:?}, weights {:?}", fit.classes, fit.weights);
    assert!(index > 0.9 && fit.report.largest_decrease < 1e-9, "{index}, {:?}", fit.report);
    let [learns, looks] = [&fit.classes[0], &fit.classes[1]];
    assert!((learns.rate - 0.6).abs() < 0.15 && learns.sensitivity > 2.5 && learns.tastes[0].abs() < 0.5);
    assert!(looks.sensitivity.abs() < 0.5 && looks.tastes[0] > 2.5);
    assert!((fit.weights[0] - 2.0 / 3.0).abs() < 0.05);
    // A new person of the second kind is recognized, and nobody has the weights.
    let (new, nobody) = (trials(&kinds[1], 25, 99), fit.posterior(&[]).unwrap());
    assert!(fit.posterior(&new).unwrap()[1] > 0.95);
    near(&nobody, &fit.weights, 1e-12);
    let next = fit.next(&new, &[vec![1.0], vec![-1.0]]).unwrap();
    assert!(next[0] > 0.95 && (next[0] + next[1] - 1.0).abs() < 1e-12);
    let first = fit.next(&[], &[vec![1.0], vec![-1.0]]).unwrap();
    let own = |class: &LearningClass| class.next(&[], &[vec![1.0], vec![-1.0]]).unwrap()[0].exp();
    assert!((first[0] - fit.weights[0] * own(learns) - fit.weights[1] * own(looks)).abs() < 1e-12);
}

#[test]
fn settings_and_trials_are_checked() {
    let people = [trials(&class(0.4, 2.0, 1.0), 5, 0)];
    let config = || LearningClassesConfig::new(EmConfig::new(1));
    for bad in [0.0, f64::NAN, f64::INFINITY] {
        starts(config().with_prior(bad).fit(&people), "`prior`: expected finite and > 0");
    }
    for bad in [-0.1, 1.1, f64::NAN] {
        starts(config().with_rate(Some(bad)).fit(&people), "`rate`: expected in [0, 1]");
    }
    let solver = Solver::Lbfgs { gradient: 0.0, max_iterations: 1 };
    starts(config().with_solver(solver).fit(&people), "`gradient`");
    starts(config().fit(&[vec![]]), "`people`: nothing to learn from");
    starts(LearningClassesConfig::new(EmConfig::new(2)).fit(&people), "`users`: nothing");
    let with = |change: fn(&mut Trial)| {
        let mut people = people.clone();
        change(&mut people[0][2]);
        config().fit(&people)
    };
    starts(with(|trial| trial.chosen = 2), "record 2: `chosen` 2");
    starts(with(|trial| trial.reward = f64::NAN), "record 2: `reward`");
    starts(with(|trial| trial.features[1][0] = f64::INFINITY), "record 2: `features`");
    starts(with(|trial| trial.features[1] = vec![]), "`features`: expected 1 entries");
    starts(with(|trial| trial.features.truncate(1)), "`features`: expected 2 entries");
    let one = class(0.5, 1.0, 1.0);
    starts(one.next(&[], &[]), "`features`: nothing");
    starts(one.next(&[], &[vec![]]), "`features`");
    starts(one.next(&people[0], &[vec![0.0]]), "`features`");
    let LearningClassesConfig { prior, rate, solver, .. } = config();
    assert_eq!((prior, rate), (0.1, None));
    assert_eq!(solver, Solver::Lbfgs { gradient: 1e-6, max_iterations: 200 });
}

#[test]
fn people_are_told_apart_by_what_they_choose_and_whether_they_stay() {
    let people: Vec<Vec<Trial>> = [
        vec![(0, 1.0), (0, -1.0), (0, 0.0), (0, 2.0), (2, 1.0), (2, 0.5), (2, 0.0), (1, 3.0)],
        vec![],
        vec![(1, -1.0)],
    ]
    .map(|trials| {
        trials.into_iter().map(|(chosen, reward)| Trial { features: vec![vec![]; 3], chosen, reward }).collect()
    })
    .into();
    let config = LearningClassesConfig::new(EmConfig::new(1));
    let model = Model { people: &people, options: 3, num_features: 0, config: &config };
    // Four of eight are the first option, one the second, three the third; twice they stay after no gain (−1, 0) and three
    // times after one (1, 1, ½).
    near(&model.embedding(0), &[4.0 / 8.0, 1.0 / 8.0, 3.0 / 8.0, 2.0 / 8.0, 3.0 / 8.0], 1e-15);
    assert_eq!(model.embedding(1), [0.0; 5]);
    assert_eq!(model.embedding(2), [0.0, 1.0, 0.0, 0.0, 0.0]);
    assert_eq!([0, 1, 2].map(|user| model.is_known(user)), [true, false, true]);
    assert_eq!(model.order(&vec![5.0, 7.0]), 7.0, "the more sensitive first");
}
