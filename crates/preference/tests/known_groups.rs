//! Three kinds of users with opposite tastes, 20 pairs each: do models of many users find them? (The experiment that the
//! plural family is accepted by; five seeds, at two levels of noise.)

use accordant_preference::{
    optimize::Solver,
    plural::{
        Hits, LogisticConfig, MixtureConfig, PalConfig, Plural,
        agreement::adjusted_rand_index,
        em::EmConfig,
        pal::PalForm,
        world::{GroupWorld, GroupWorldConfig},
    },
};
use rayon::prelude::*;

/// Accuracies on the test pairs, in points.
struct Seen {
    oracle: f64,
    single: f64,
    optimum: f64,
    mixture: f64,
    mixture_index: f64,
    soft: f64,
    soft_index: f64,
    hard: f64,
    hard_index: f64,
}

fn accuracy(model: &dyn Plural, world: &GroupWorld) -> f64 {
    let hits = world.test.users().iter().enumerate().map(|(user, judged)| {
        let chooser = model.user(user).unwrap();
        chooser.foretell(judged).unwrap()
    });
    100.0 * hits.fold(Hits::default(), Hits::plus).accuracy().unwrap()
}

fn run(beta: f64, seed: u64) -> Seen {
    let config = GroupWorldConfig::new(beta).with_seed(seed);
    let world = config.draw().unwrap();
    let index = |found: &[usize]| adjusted_rand_index(&world.groups, found).unwrap();
    // One score for all: of these users, and of ten times as many pairs of each.
    let pooled = |world: &GroupWorld| {
        let linear = LogisticConfig::new().fit(&world.items, &world.train.pooled()).unwrap();
        world.items.scores(&linear.coefficients).unwrap()
    };
    let one = |scores: Vec<f64>| {
        let chooser = accordant_preference::plural::Chooser::new(vec![1.0], vec![scores]).unwrap();
        let hits = world.test.users().iter().map(|judged| chooser.foretell(judged).unwrap());
        100.0 * hits.fold(Hits::default(), Hits::plus).accuracy().unwrap()
    };
    let more = config.clone().with_train_pairs(200).draw().unwrap();
    assert_eq!(more.items, world.items);
    let mixture = MixtureConfig::new(EmConfig::new(3).with_seed(seed)).fit(&world.items, &world.train).unwrap();
    assert!(mixture.report.converged && mixture.report.largest_decrease < 1e-9, "{:?}", mixture.report);
    let pal = PalConfig::new(3)
        .with_form(PalForm::Linear)
        .with_solver(Solver::Adam { learning_rate: 0.05, steps: 500 })
        .with_seed(seed)
        .fit(&world.items, &world.train)
        .unwrap();
    let hard = pal.hard_refit(&world.train, 3).unwrap();
    Seen {
        oracle: accuracy(&world, &world),
        single: one(pooled(&world)),
        optimum: one(pooled(&more)),
        mixture: accuracy(&mixture, &world),
        mixture_index: index(&mixture.assignments()),
        soft: accuracy(&pal, &world),
        soft_index: index(&pal.assignments()),
        hard: accuracy(&hard, &world),
        hard_index: index(&hard.assignments),
    }
}

#[test]
fn plural_models_find_known_groups_and_one_score_does_not() {
    for beta in [2.0, 3.0] {
        let seeds: Vec<Seen> = (0..5u64).into_par_iter().map(|seed| run(beta, seed)).collect();
        let mean = |of: &dyn Fn(&Seen) -> f64| seeds.iter().map(of).sum::<f64>() / seeds.len() as f64;
        let worst = |of: &dyn Fn(&Seen) -> f64| seeds.iter().map(of).fold(f64::NEG_INFINITY, f64::max);
        println!("β = {beta}, 5 seeds, 300 users, 6 000 training and 15 000 test pairs each");
        println!("oracle {:.1} %, one score {:.1} %", mean(&|s| s.oracle), mean(&|s| s.single));
        for (name, gap, index) in [
            ("mixture", (|s| s.oracle - s.mixture) as fn(&Seen) -> f64, (|s| s.mixture_index) as fn(&Seen) -> f64),
            ("PAL, soft", |s| s.oracle - s.soft, |s| s.soft_index),
            ("PAL, partition", |s| s.oracle - s.hard, |s| s.hard_index),
        ] {
            let lowest = -worst(&|s| -index(s));
            println!(
                "{name:15} gap {:.2} (worst {:.2}), ARI {:.3} (worst {lowest:.3})",
                mean(&gap),
                worst(&gap),
                mean(&index)
            );
            if name == "PAL, soft" {
                assert!(mean(&gap) <= 3.5, "{name}");
            } else {
                assert!(mean(&gap) <= 1.0 && worst(&gap) <= 1.5 && lowest >= 0.9, "{name}");
            }
        }
        assert!(mean(&|s| s.oracle - s.single) >= 12.0);
        assert!(mean(&|s| (s.optimum - s.single).abs()) <= 0.5, "{}", mean(&|s| (s.optimum - s.single).abs()));
    }
}
