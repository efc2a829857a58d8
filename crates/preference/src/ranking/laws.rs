//! What every fit of a table of items must do: one row for each.

use accordant_laws::fits::{
    self,
    Claim::{self, Centered, Reversed, Scaled, Unordered, Weighted},
    Judged, Outcomes, Ranked, Table,
};
use burn::tensor::{DType, Device, Int, Tensor, TensorData};

use super::{
    AnnotatorConfig, ContextualConfig, CovarianceConfig, CrowdBtConfig, EloConfig, LsrConfig, MmConfig, NewmanConfig,
    NewtonConfig, PageRankConfig, PlackettLuceConfig, RankCentralityConfig, TieModel,
    centrality::eigenvector,
    counting,
    glicko::{Glicko2Config, GlickoConfig, GlickoRating},
    newton::log_likelihood,
    weng_lin::{Skill, WengLinConfig},
};
use crate::{
    Comparisons, Outcome, Rankings,
    link::{Davidson, Link, Logit, Probit, RaoKupper},
    optimize::{Stop, lbfgs},
    pairwise::{PairScores, PairwiseLoss, bradley_terry::BradleyTerryConfig},
    rankings::Unlisted,
};

/// The crate's form of what the laws draw.
pub(crate) fn judged(num_items: usize, records: &[Judged]) -> Comparisons {
    let mut all = Comparisons::new(num_items);
    for &Judged { first, second, share, tied, weight } in records {
        let outcome = match share {
            _ if tied => Outcome::Tie,
            1.0 => Outcome::First,
            0.0 => Outcome::Second,
            share => Outcome::Share(share),
        };
        all.push_weighted(first, second, outcome, weight).unwrap();
    }
    all
}

fn of(table: &Table<Judged>) -> Comparisons {
    judged(table.num_items, &table.records)
}

fn lists(table: &Table<Ranked>) -> Rankings {
    let mut all = Rankings::new(table.num_items);
    for (order, weight) in &table.records {
        let groups: Vec<Vec<usize>> = order.iter().map(|item| vec![*item]).collect();
        all.push_groups(&groups, Unlisted::Absent, *weight).unwrap();
    }
    all
}

/// Everybody judged by one judge.
fn one_judge(table: &Table<Judged>) -> Comparisons {
    of(table).with_judges(vec![0; table.records.len()]).unwrap()
}

fn link(link: &dyn Link) -> impl Fn(&Table<Judged>) -> Vec<f64> {
    move |table| NewtonConfig::new().fit_link(&of(table).wins(), link).unwrap().scores
}

/// The scores that minimize the loss on tensors, by its own gradients.
fn by_gradients(table: &Table<Judged>) -> Vec<f64> {
    let judged = of(table);
    let device = Device::flex().autodiff();
    let column = |of: &dyn Fn(&crate::Comparison) -> f64| {
        let values: Vec<f64> = judged.records().iter().map(of).collect();
        Tensor::<1>::from_data(TensorData::new(values, [judged.len()]), (&device, DType::F64))
    };
    let items = |of: &dyn Fn(&crate::Comparison) -> usize| {
        let values: Vec<i64> = judged.records().iter().map(|record| of(record) as i64).collect();
        Tensor::<1, Int>::from_ints(values.as_slice(), &device)
    };
    let (first, second) = (items(&|record| record.first), items(&|record| record.second));
    let (targets, weights) = (column(&|record| record.outcome.share()), column(&|record| record.weight));
    let model = BradleyTerryConfig::new().init().unwrap();
    let f = |at: &[f64], gradient: &mut [f64]| {
        let data = TensorData::new(at.to_vec(), [at.len()]);
        let scores = Tensor::<1>::from_data(data, (&device, DType::F64)).require_grad();
        let pairs =
            PairScores::new(scores.clone().select(0, first.clone()), scores.clone().select(0, second.clone())).unwrap();
        let pairs = pairs.with_targets(targets.clone()).unwrap().with_weights(weights.clone()).unwrap();
        let nll = model.forward(&pairs).unwrap();
        let loss = (nll.losses * nll.weights).sum();
        let gradients = loss.backward();
        gradient.copy_from_slice(&scores.grad(&gradients).unwrap().try_to_vec_as::<f64>().unwrap());
        loss.try_to_vec_as::<f64>().unwrap()[0]
    };
    let (scores, report) = lbfgs(f, vec![0.0; table.num_items], Stop { gradient: 1e-9, max_iterations: 500 });
    assert!(report.converged, "{report:?}");
    scores
}

const ALL: &[Claim] = &[Unordered, Weighted, Scaled, Reversed, Centered];
const WITH_PRIOR: &[Claim] = &[Unordered, Weighted, Reversed, Centered];

type Fit<'a, R> = (&'a str, &'a [Claim], &'a dyn Fn(&Table<R>) -> Vec<f64>);

#[test]
fn every_fit_of_judged_pairs_obeys_the_laws() {
    let (davidson, rao_kupper) = (link(&Davidson), link(&RaoKupper));
    let tight = || NewmanConfig::new().with_tolerance(1e-12);
    let errors = |table: &Table<Judged>| {
        let judged = of(table);
        let ranking = NewtonConfig::new().fit(&judged).unwrap();
        let covariance = CovarianceConfig::new().of(&judged, &ranking, &Logit).unwrap();
        covariance.standard_errors()
    };
    let annotators = |model: TieModel| {
        let config = AnnotatorConfig::new().with_ties(model).with_tolerance(1e-10);
        move |table: &Table<Judged>| config.fit(&of(table), None).unwrap().scores
    };
    let (annotators_davidson, annotators_rao_kupper) =
        (annotators(TieModel::Davidson), annotators(TieModel::RaoKupper));
    let fits: &[Fit<Judged>] = &[
        ("newton", ALL, &link(&Logit)),
        ("newton with a prior", WITH_PRIOR, &|t| NewtonConfig::new().with_prior(0.7).fit(&of(t)).unwrap().scores),
        ("thurstone", ALL, &link(&Probit)),
        ("davidson", ALL, &davidson),
        ("rao_kupper", ALL, &rao_kupper),
        ("newman", ALL, &|t| tight().fit(&of(t)).unwrap().scores),
        ("newman, davidson", ALL, &|t| tight().fit_davidson(&of(t).wins()).unwrap().scores),
        ("mm", ALL, &|t| MmConfig::new().with_tolerance(1e-12).fit(&of(t)).unwrap().scores),
        ("lsr", ALL, &|t| LsrConfig::new().with_tolerance(1e-12).fit(&of(t)).unwrap().scores),
        ("lsr, once", &[Unordered, Weighted, Scaled, Centered], &|t| {
            LsrConfig::new().fit_once(&of(t).wins()).unwrap().scores
        }),
        ("lsr with a prior", &[Unordered, Weighted, Centered], &|t| {
            LsrConfig::new().with_alpha(0.1).with_tolerance(1e-12).fit(&of(t)).unwrap().scores
        }),
        ("rank_centrality", &[Unordered, Weighted, Scaled, Centered], &|t| {
            RankCentralityConfig::new().fit(&of(t)).unwrap().scores
        }),
        ("page_rank", &[Unordered, Weighted, Scaled], &|t| PageRankConfig::new().shares(&of(t).wins()).unwrap()),
        ("eigenvector", &[Unordered, Weighted, Scaled], &|t| eigenvector(&of(t).wins()).unwrap()),
        ("counts", &[Unordered, Weighted], &|t| counting::counts(&of(t).wins())),
        ("average_win_rates", &[Unordered, Weighted, Scaled], &|t| {
            counting::average_win_rates(&of(t).wins()).into_iter().map(Option::unwrap).collect()
        }),
        // Less what half of all others are worth.
        ("borda", ALL, &|t| {
            counting::borda(&of(t).wins()).iter().map(|x| x - 0.5 * (t.num_items - 1) as f64).collect()
        }),
        ("copeland", ALL, &|t| {
            counting::copeland(&of(t).wins()).iter().map(|x| x - 0.5 * (t.num_items - 1) as f64).collect()
        }),
        ("elo", &[Reversed, Centered], &|t| EloConfig::new().with_init(0.0).rate(&of(t)).unwrap().ratings),
        ("glicko", &[Unordered, Weighted, Reversed], &|t| {
            let new = vec![GlickoRating::NEW; t.num_items];
            let after = GlickoConfig::new().update(&new, &of(t)).unwrap();
            after.iter().map(|player| player.rating - GlickoRating::NEW.rating).collect()
        }),
        ("glicko 2", &[Unordered, Weighted, Reversed], &|t| {
            let new = vec![GlickoRating::NEW; t.num_items];
            let after = Glicko2Config::new().update(&new, &of(t)).unwrap();
            after.iter().map(|player| player.rating - GlickoRating::NEW.rating).collect()
        }),
        ("annotators, davidson", WITH_PRIOR, &annotators_davidson),
        ("annotators, rao_kupper", WITH_PRIOR, &annotators_rao_kupper),
        ("contextual", ALL, &|t| ContextualConfig::new().fit(&of(t), &vec![vec![]; t.records.len()]).unwrap().scores),
        ("crowd_bt", WITH_PRIOR, &|t| CrowdBtConfig::new().with_tolerance(1e-14).fit(&one_judge(t)).unwrap().scores),
        ("standard errors", &[Unordered, Weighted], &errors),
    ];
    for (name, claims, fit) in fits {
        if let Err(broken) = fits::pair_fit(Outcomes::All, claims, 1e-6, fit) {
            panic!("{name} {broken}");
        }
    }
    // Where a claim is not made it does not hold.
    for (name, claims, fit) in fits {
        for claim in ALL.iter().filter(|claim| !claims.contains(claim)) {
            fits::pair_fit(Outcomes::All, &[*claim], 1e-6, fit).expect_err(&format!("{name} {claim:?}"));
        }
    }
}

#[test]
fn every_fit_of_lists_obeys_the_laws() {
    let fits: &[Fit<Ranked>] = &[
        ("plackett_luce", &[Unordered, Weighted, Scaled, Centered], &|t| {
            PlackettLuceConfig::new().fit(&lists(t)).unwrap().scores
        }),
        ("plackett_luce with a prior", &[Unordered, Weighted, Centered], &|t| {
            PlackettLuceConfig::new().with_prior(0.5).fit(&lists(t)).unwrap().scores
        }),
        ("plackett_luce, mm", &[Unordered, Weighted, Scaled, Centered], &|t| {
            PlackettLuceConfig::new().with_tolerance(1e-12).fit_mm(&lists(t)).unwrap().scores
        }),
        ("lsr", &[Unordered, Weighted, Scaled, Centered], &|t| {
            LsrConfig::new().with_tolerance(1e-12).fit_rankings(&lists(t)).unwrap().scores
        }),
        ("weng_lin", &[Reversed], &|t| {
            let skills = WengLinConfig::new().rate(&lists(t)).unwrap();
            skills.iter().map(|skill| skill.mean - Skill::NEW.mean).collect()
        }),
    ];
    for (name, claims, fit) in fits {
        if let Err(broken) = fits::list_fit(claims, 1e-6, fit) {
            panic!("{name} {broken}");
        }
        for claim in ALL.iter().filter(|claim| !claims.contains(claim)) {
            fits::list_fit(&[*claim], 1e-6, fit).expect_err(&format!("{name} {claim:?}"));
        }
    }
}

#[test]
fn maximum_likelihood_is_the_same_by_every_method() {
    let newton = link(&Logit);
    let methods: &[fits::Named<Judged>] = &[
        ("newton", &newton),
        ("newman", &|t| NewmanConfig::new().with_tolerance(1e-12).fit(&of(t)).unwrap().scores),
        ("mm", &|t| MmConfig::new().with_tolerance(1e-12).fit(&of(t)).unwrap().scores),
        ("lsr", &|t| LsrConfig::new().with_tolerance(1e-12).fit(&of(t)).unwrap().scores),
        ("gradients of the loss on tensors", &by_gradients),
        ("contextual", &|t| ContextualConfig::new().fit(&of(t), &vec![vec![]; t.records.len()]).unwrap().scores),
    ];
    fits::same_fits(Outcomes::All, 1e-7, methods).unwrap();
    let davidson = link(&Davidson);
    let by_newman =
        |t: &Table<Judged>| NewmanConfig::new().with_tolerance(1e-12).fit_davidson(&of(t).wins()).unwrap().scores;
    fits::same_fits(Outcomes::All, 1e-7, &[("newton", &davidson), ("newman", &by_newman)]).unwrap();
}

#[test]
fn lists_of_two_items_are_bradley_terry() {
    let config = PlackettLuceConfig::new().with_tolerance(1e-12);
    let newton = link(&Logit);
    fits::pairs_as_lists(1e-7, &newton, |t| config.fit(&lists(t)).unwrap().scores).unwrap();
    fits::pairs_as_lists(1e-7, &newton, |t| config.fit_mm(&lists(t)).unwrap().scores).unwrap();
    let lsr = LsrConfig::new().with_tolerance(1e-12);
    fits::pairs_as_lists(1e-7, &newton, |t| lsr.fit_rankings(&lists(t)).unwrap().scores).unwrap();
}

#[test]
fn nothing_nearby_is_likelier_than_maximum_likelihood() {
    for link in [&Logit as &dyn Link, &Probit, &Davidson, &RaoKupper] {
        // The parameter of ties stands behind the scores.
        let fit = |table: &Table<Judged>| {
            let ranking = NewtonConfig::new().fit_link(&of(table).wins(), link).unwrap();
            [ranking.scores, ranking.ties.into_iter().collect()].concat()
        };
        let value = |table: &Table<Judged>, at: &[f64]| {
            let (scores, ties) = at.split_at(table.num_items);
            let wins = of(table).wins();
            let wins = if link.has_ties() { wins } else { wins.decided(Default::default(), "test").unwrap() };
            log_likelihood(&wins, link, scores, ties.first().copied().unwrap_or(0.0)).unwrap()
        };
        fits::best_fit(Outcomes::All, 1e-9, fit, value).unwrap();
    }
}
