//! Nothing that a user can supply panics: every fit on the host, on hostile tables and features, either fails with an error
//! or gives finite numbers.

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
};

use accordant_preference::{
    Comparisons, Outcome, Rankings, Result, WinMatrix,
    distributional::risk::{Atoms, Gaussian, Risk},
    general::{
        PreferenceMatrix, embedding::embed_from_matrix, hodge::hodge, kemeny::kemeny, kl_nash::KlNashConfig,
        linear_choice::leximax_copeland, lottery::maximal_lottery, most_even_lottery::most_even_lottery,
        ranked_pairs::ranked_pairs, schulze::schulze, self_play::SelfPlayConfig, transitivity::bradley_terry_gap,
        winners::borda_scores,
    },
    link::{Davidson, Link, Logit, Probit, RaoKupper},
    measurement::{
        discounting::{Discount, fit_discount},
        exchange::LogUtility,
    },
    multi_objective::{
        Differences, DomainRewardConfig, LinearRewardConfig, attribute_regression::RidgeHeadConfig,
        compositional::CompositionalConfig, constraints::tilt_to, routing::RoutingConfig, verbosity::VerbosityConfig,
    },
    optimize::Solver,
    plural::{
        DrmConfig, Items, LogisticConfig, LoreConfig, MicroConfig, MixtureConfig, PalConfig, Plural,
        RandomEffectsConfig, RewardFeaturesConfig, UserPairs,
        em::EmConfig,
        hedge::reweighted,
        ideal_point::IdealPointConfig,
        learning_classes::{LearningClassesConfig, Trial},
        pal::PalForm,
        private::PrivateTablesConfig,
        ranking_mixture::RankingMixtureConfig,
        welfare::Welfare,
    },
    ranking::{
        AnnotatorConfig, BootstrapConfig, ContextualConfig, CovarianceConfig, CrowdBtConfig, EloConfig, LsrConfig,
        MmConfig, NewmanConfig, NewtonConfig, PageRankConfig, PlackettLuceConfig, RankCentralityConfig, Spread,
        centrality::eigenvector,
        glicko::{Glicko2Config, GlickoConfig, GlickoRating},
        reweight::equal_pairs,
        weng_lin::WengLinConfig,
    },
    rankings::Unlisted,
    robust::label_correctness::ReliabilityFitConfig,
    trajectory::{
        linear::{FeaturePairs, LinearPreferencesConfig},
        response_times::{Estimator, ResponseTimesConfig, TimedChoices},
    },
    uncertainty::{
        active_edges::ActiveEdgesConfig,
        bal_pm::BalPmConfig,
        ensemble::{Scale, standardized},
        laplace::Laplace,
    },
};

/// What went wrong, of everything that was tried, and which fits gave numbers at least once.
#[derive(Default)]
struct Faults {
    faults: Vec<String>,
    gives: BTreeMap<String, bool>,
}

impl Faults {
    /// Runs one fit; its numbers are to be finite.
    fn check(&mut self, name: &str, table: &str, fit: impl FnOnce() -> Result<Vec<f64>>) {
        let gives = self.gives.entry(name.to_owned()).or_default();
        match catch_unwind(AssertUnwindSafe(fit)) {
            Err(_) => self.faults.push(format!("{name} panics on {table}")),
            Ok(Err(error)) if error.to_string().is_empty() => {
                self.faults.push(format!("{name} says nothing on {table}"))
            }
            Ok(Err(_)) => {}
            Ok(Ok(numbers)) => match numbers.iter().find(|number| !number.is_finite()) {
                Some(bad) => self.faults.push(format!("{name} gives {bad} on {table}")),
                None => *gives = true,
            },
        }
    }

    /// # Panics
    /// When there is a fault, or a fit that nothing was good enough for: it was not tried at all.
    #[track_caller]
    fn none(mut self) {
        let never = self.gives.iter().filter(|(_, gives)| !**gives);
        self.faults.extend(never.map(|(name, _)| format!("{name} fails on everything")));
        assert!(self.faults.is_empty(), "{}", self.faults.join("\n"));
    }
}

/// Tables of comparisons that nobody would want to meet.
fn tables() -> Vec<(String, Comparisons)> {
    let (x, y, d) = (Outcome::First, Outcome::Second, Outcome::Tie);
    type Games<'a> = &'a [(usize, usize, Outcome)];
    let shapes: [(&str, usize, Games<'_>); 8] = [
        ("no record", 3, &[]),
        ("no item", 0, &[]),
        ("one game of two", 2, &[(0, 1, x)]),
        ("ties alone", 3, &[(0, 1, d), (1, 2, d), (2, 0, d)]),
        ("a circle", 3, &[(0, 1, x), (1, 2, x), (2, 0, x)]),
        ("a ladder", 4, &[(0, 1, x), (1, 2, x), (2, 3, x)]),
        ("two islands", 4, &[(0, 1, x), (0, 1, y), (2, 3, x), (2, 3, y)]),
        ("two-way games", 3, &[(0, 1, x), (0, 1, y), (1, 2, x), (1, 2, y), (2, 0, d)]),
    ];
    type Weight = fn(usize) -> f64;
    let weights: [(&str, Weight); 6] = [
        ("1", |_| 1.0),
        ("0", |_| 0.0),
        ("1e-300", |_| 1e-300),
        ("1e100", |_| 1e100),
        ("1e308", |_| 1e308),
        ("1e-100 and 1e100", |row| if row % 2 == 0 { 1e-100 } else { 1e100 }),
    ];
    let mut tables = Vec::new();
    for (shape, num_items, records) in shapes {
        for (weight, of) in weights {
            let mut judged = Comparisons::new(num_items);
            let mut accepted = true;
            for (row, &(first, second, outcome)) in records.iter().enumerate() {
                // Whether such a weight is refused is the table's business.
                accepted &= judged.push_weighted(first, second, outcome, of(row)).is_ok();
            }
            if accepted {
                let judges = (0..records.len()).map(|row| row % 2).collect();
                tables.push((format!("{shape}, weights {weight}"), judged.with_judges(judges).expect("as many")));
            }
        }
    }
    tables
}

fn links() -> [&'static dyn Link; 4] {
    [&Logit, &Probit, &Davidson, &RaoKupper]
}

#[test]
fn every_fit_of_a_table_ends_with_an_error_or_with_finite_numbers() {
    let mut faults = Faults::default();
    for (table, judged) in &tables() {
        let matrix: WinMatrix = judged.wins();
        for prior in [0.0, 1.0] {
            let newton = NewtonConfig::new().with_prior(prior);
            faults.check("Newton", table, || Ok(newton.fit(judged)?.scores));
            for link in links() {
                let name = format!("Newton with {} and prior {prior}", link.name());
                faults.check(&name, table, || {
                    let ranking = newton.fit_link(&matrix, link)?;
                    Ok([ranking.scores, vec![ranking.log_likelihood]].concat())
                });
                for spread in [Spread::Fisher, Spread::Records, Spread::Counts, Spread::Judges] {
                    faults.check(&format!("the covariance ({spread:?}) of {name}"), table, || {
                        let ranking = newton.fit_link(&matrix, link)?;
                        let config = CovarianceConfig::new().with_spread(spread).with_prior(prior);
                        Ok(config.of(judged, &ranking, link)?.standard_errors())
                    });
                }
            }
            let contextual = ContextualConfig::new().with_prior(prior);
            for feature in [0.0, 1.0, 1e-200, 1e150, 1e308] {
                let features: Vec<_> =
                    (0..judged.len()).map(|row| vec![feature * row as f64, 1.0 - (row * row) as f64]).collect();
                let (name, table) = (format!("contextual scores, prior {prior}"), format!("{table}, {feature:e}"));
                faults.check(&name, &table, || {
                    let fit = contextual.fit(judged, &features)?;
                    Ok([fit.scores, fit.coefficients].concat())
                });
            }
        }
        faults.check("MM", table, || Ok(MmConfig::new().fit(judged)?.scores));
        faults.check("Newman", table, || Ok(NewmanConfig::new().fit(judged)?.scores));
        faults.check("Newman's ties", table, || Ok(NewmanConfig::new().fit_davidson(&matrix)?.scores));
        faults.check("LSR", table, || Ok(LsrConfig::new().fit_once(&matrix)?.scores));
        faults.check("I-LSR", table, || Ok(LsrConfig::new().fit(judged)?.scores));
        faults.check("rank centrality", table, || Ok(RankCentralityConfig::new().fit(judged)?.scores));
        faults.check("PageRank", table, || PageRankConfig::new().shares(&matrix));
        faults.check("the eigenvector", table, || eigenvector(&matrix));
        faults.check("Elo", table, || Ok(EloConfig::new().rate(judged)?.ratings));
        let players = vec![GlickoRating::NEW; judged.num_items()];
        let numbers = |after: Vec<GlickoRating>| {
            after.iter().flat_map(|player| [player.rating, player.deviation, player.volatility]).collect()
        };
        faults.check("Glicko", table, || Ok(numbers(GlickoConfig::new().update(&players, judged)?)));
        faults.check("Glicko-2", table, || Ok(numbers(Glicko2Config::new().update(&players, judged)?)));
        faults.check("Crowd-BT", table, || {
            let fit = CrowdBtConfig::new().fit(judged)?;
            Ok([fit.scores.clone(), vec![fit.mean_reliability()]].concat())
        });
        faults.check("effects of annotators", table, || Ok(AnnotatorConfig::new().fit(judged, None)?.scores));
        faults.check("label correctness", table, || {
            let (ranking, labels) = ReliabilityFitConfig::new().fit_table(judged, &NewtonConfig::new())?;
            Ok([ranking.scores, labels.chances].concat())
        });
        faults.check("equal pairs", table, || Ok(equal_pairs(judged)?.records().iter().map(|r| r.weight).collect()));
        faults.check("the gap to Bradley-Terry", table, || Ok(vec![bradley_terry_gap(&matrix, &NewtonConfig::new())?]));
        faults.check("the bootstrap", table, || {
            let config = BootstrapConfig::new().with_replicates(5);
            Ok(config
                .run(judged, |sample| NewtonConfig::new().with_prior(1.0).fit_link(sample, &Davidson), |_| {})?
                .standard_errors())
        });
        social_choice(&mut faults, table, || PreferenceMatrix::from_wins(&matrix));
    }
    faults.none();
}

fn social_choice(faults: &mut Faults, table: &str, matrix: impl Fn() -> Result<PreferenceMatrix>) {
    let floats = |order: Vec<usize>| order.into_iter().map(|item| item as f64).collect();
    faults.check("the lottery", table, || Ok(maximal_lottery(&matrix()?)?.chances));
    faults.check("the most even lottery", table, || Ok(most_even_lottery(&matrix()?)?.chances));
    faults.check("Borda", table, || Ok(borda_scores(&matrix()?)));
    faults.check("Kemeny", table, || Ok(floats(kemeny(&matrix()?)?)));
    faults.check("ranked pairs", table, || Ok(floats(ranked_pairs(&matrix()?))));
    faults.check("Schulze", table, || Ok(floats(schulze(&matrix()?))));
    faults.check("self-play", table, || Ok(SelfPlayConfig::new(0.2).fit(&matrix()?)?.chances));
    faults.check("the regularized lottery", table, || {
        let matrix = matrix()?;
        let reference = vec![1.0 / matrix.num_items() as f64; matrix.num_items()];
        Ok(KlNashConfig::new(0.1).with_max_iterations(50).fit(&matrix, &reference)?.chances)
    });
    faults.check("Hodge", table, || Ok(hodge(&matrix()?.leads()?, None)?.scores));
    faults.check("the embedding", table, || Ok(embed_from_matrix(&matrix()?.leads()?, None)?.embeddings.concat()));
}

#[test]
fn leads_of_any_size_are_embedded_or_refused() {
    let mut faults = Faults::default();
    for size in [0.0, 1e-300, 1.0, 1e150, 1e308] {
        let leads = [vec![0.0, size, -size], vec![-size, 0.0, size], vec![size, -size, 0.0]];
        let table = format!("leads of {size:e}");
        faults.check("the embedding", &table, || Ok(embed_from_matrix(&leads, None)?.embeddings.concat()));
        faults.check("Hodge", &table, || Ok(hodge(&leads, None)?.scores));
        social_choice(&mut faults, &table, || PreferenceMatrix::from_leads(&leads));
        let features = [vec![size, 0.0], vec![1.0, -size], vec![-size, size]];
        faults.check("leximax Copeland", &table, || {
            Ok(leximax_copeland(&features, &[vec![0, 1, 2], vec![2, 1, 0], vec![1, 0, 2]])?.weights)
        });
    }
    faults.none();
}

#[test]
fn every_fit_of_ranked_lists_ends_with_an_error_or_with_finite_numbers() {
    let mut faults = Faults::default();
    for weight in [0.0, 1e-300, 1.0, 1e100, 1e308] {
        let shapes: [(&str, usize, &[&[usize]]); 5] = [
            ("no list", 3, &[]),
            ("lists of one", 3, &[&[0], &[1], &[2]]),
            ("always the same order", 3, &[&[0, 1, 2], &[0, 1, 2]]),
            ("a circle", 3, &[&[0, 1, 2], &[1, 2, 0], &[2, 0, 1]]),
            ("islands", 4, &[&[0, 1], &[1, 0], &[2, 3], &[3, 2]]),
        ];
        for (shape, num_items, lists) in shapes {
            for unlisted in [Unlisted::Absent, Unlisted::Below] {
                let mut rankings = Rankings::new(num_items);
                let mut push = |list: &&[usize]| {
                    let groups: Vec<_> = list.iter().map(|&item| vec![item]).collect();
                    rankings.push_groups(&groups, unlisted, weight).is_ok()
                };
                if !lists.iter().all(&mut push) {
                    continue;
                }
                let table = format!("{shape}, weights {weight:e}, {unlisted:?}");
                for prior in [0.0, 1.0] {
                    let config = PlackettLuceConfig::new().with_prior(prior);
                    faults.check("Plackett-Luce", &table, || Ok(config.fit(&rankings)?.scores));
                    faults.check("Plackett-Luce by MM", &table, || Ok(config.fit_mm(&rankings)?.scores));
                }
                faults.check("I-LSR of lists", &table, || Ok(LsrConfig::new().fit_rankings(&rankings)?.scores));
                faults.check("Weng-Lin", &table, || {
                    let skills = WengLinConfig::new().rate(&rankings)?;
                    Ok(skills.iter().flat_map(|skill| [skill.mean, skill.deviation]).collect())
                });
            }
            let user = |list: &&[usize]| {
                let mut own = Rankings::new(num_items);
                own.push(list, Unlisted::Absent).expect("a list");
                own
            };
            let users: Vec<_> = lists.iter().map(user).collect();
            let em = EmConfig::new(2).with_restarts(2).with_max_iterations(20);
            faults.check("a mixture of rankings", shape, || {
                Ok(RankingMixtureConfig::new(em).fit(&users)?.scores.concat())
            });
        }
    }
    faults.none();
}

#[test]
fn every_fit_of_users_ends_with_an_error_or_with_finite_numbers() {
    let mut faults = Faults::default();
    for (table, judged) in &tables() {
        let users = || UserPairs::from_judges(judged, 2);
        for size in [0.0, 1e-200, 1.0, 1e60, 1e150, 1e308] {
            let n = judged.num_items();
            let rows: Vec<_> = (0..n).map(|i| vec![size, if i % 2 == 0 { size } else { -size }, i as f64]).collect();
            let table = format!("{table}, features of {size:e}");
            let items = || if size == 0.0 { Ok(Items::table(n)) } else { Items::features(&rows) };
            let foretold = |model: &dyn Plural| {
                let chooser = model.population();
                let adapted = model.adapt(judged)?;
                let numbers = [chooser.scores().concat(), adapted.scores().concat()].concat();
                let chances = (1..n).map(|item| chooser.first_wins(0, item)).collect::<Result<Vec<_>>>()?;
                Ok([numbers, chances].concat())
            };
            faults.check("a logistic fit", &table, || Ok(LogisticConfig::new().fit(&items()?, judged)?.coefficients));
            let differences = rows.iter().map(|row| row[0]).collect::<Vec<_>>();
            let places = |picked: Vec<usize>| picked.into_iter().map(|item| item as f64).collect::<Vec<f64>>();
            faults.check("BAL-PM", &table, || {
                Ok(places(BalPmConfig::new().with_beta(1.0).select(&rows, &rows[..n.min(1)], &vec![0.1; n])?))
            });
            faults.check("active edges", &table, || {
                let edges = ActiveEdgesConfig::new().next_edges(&differences, &[], 0, 0)?;
                Ok(places(edges.into_iter().flat_map(|(a, b)| [a, b]).collect()))
            });
            faults.check("Laplace", &table, || {
                let model = Laplace::fit(&LogisticConfig::new(), &items()?, judged)?;
                let lead = vec![1.0; model.linear.coefficients.len()];
                Ok(vec![model.score(&lead)?, model.variance(&lead)?, model.chance(&lead)?])
            });
            let em = EmConfig::new(2).with_restarts(1).with_max_iterations(5);
            faults.check("a mixture", &table, || foretold(&MixtureConfig::new(em).fit(&items()?, &users()?)?));
            let solver = Solver::Lbfgs { gradient: 1e-5, max_iterations: 20 };
            for form in [PalForm::Linear, PalForm::SquaredDistance { dim: 2 }, PalForm::Distance { dim: 2 }] {
                let pal = PalConfig::new(2).with_form(form).with_solver(solver).with_restarts(1);
                let name = format!("PAL, {form:?}");
                faults.check(&name, &table, || foretold(&pal.fit(&items()?, &users()?)?));
            }
            let lore = LoreConfig::new(2).with_solver(solver);
            faults.check("LoRe", &table, || foretold(&lore.fit(&items()?, &users()?)?));
            let features = RewardFeaturesConfig::new(2).with_solver(solver);
            faults.check("reward features", &table, || {
                let model = features.fit(&items()?, &users()?)?;
                let by_newton = model.adapt_by_newton(judged)?.coefficients;
                model.most_telling_pair(judged, &[(0, 1)])?;
                Ok([foretold(&model)?, by_newton].concat())
            });
            let effects = RandomEffectsConfig::new().with_max_iterations(5);
            faults.check("random effects", &table, || foretold(&effects.fit(&items()?, &users()?)?));
            faults.check("decomposed rewards", &table, || {
                let model = DrmConfig::new().fit(&items()?, &users()?)?;
                Ok([foretold(&model)?, model.weigh(judged)?.weights].concat())
            });
            faults.check("MiCRo", &table, || {
                let contexts: Vec<_> = (0..judged.len()).map(|row| vec![size, row as f64]).collect();
                let config = MicroConfig::new(2).with_solver(solver).with_restarts(1);
                let fit = config.fit(&items()?, judged, &contexts)?;
                let weights = fit.router.weights(&[size, 0.0])?;
                Ok([fit.heads.concat(), weights, fit.adapt(&[0.0, 1.0], judged, 1.0)?.weights().to_vec()].concat())
            });
            let points = IdealPointConfig::new(2).with_solver(solver).with_restarts(1);
            faults.check("ideal points", &table, || foretold(&points.fit(&items()?, &users()?)?));
        }
        faults.check("private tables", table, || {
            let tables = PrivateTablesConfig::new().fit(&users()?)?;
            Ok([tables.common, tables.users.concat()].concat())
        });
    }
    faults.none();
}

#[test]
fn every_fit_of_features_ends_with_an_error_or_with_finite_numbers() {
    let mut faults = Faults::default();
    for size in [0.0, 1e-300, 1e-150, 1.0, 1e60, 1e150, 1e308] {
        for weight in [0.0, 1e-300, 1.0, 1e100, 1e308] {
            let table = format!("features of {size:e}, weights {weight:e}");
            let mut pairs = FeaturePairs::new(2);
            let sides = [([size, 1.0], [-size, 0.0]), ([0.0, size], [size, -size]), ([size, size], [size, size])];
            let pushed: Result<()> =
                sides.iter().try_for_each(|(first, second)| pairs.push(first, second, Outcome::First, weight));
            if pushed.is_err() {
                continue;
            }
            for prior in [1e-300, 1.0] {
                faults.check("linear preferences", &table, || {
                    let fit = LinearPreferencesConfig::new().with_prior(prior).fit(&pairs)?;
                    let lead = fit.pessimistic_lead(&[1.0, 0.0], &[0.0, 1.0], 1.0)?;
                    Ok([fit.coefficients().to_vec(), vec![lead]].concat())
                });
            }
        }
        for time in [1e-300, 1.0, 1e150, 1e308] {
            let table = format!("features of {size:e}, times of {time:e}");
            let mut choices = TimedChoices::new(2);
            let rows = [([size, 0.0], true), ([0.0, size], false), ([1.0, -size], true), ([size, 1.0], false)];
            if rows.iter().any(|(row, first)| choices.push(row, *first, time).is_err()) {
                continue;
            }
            for estimator in [Estimator::Moments, Estimator::Ratios, Estimator::Likelihood] {
                faults.check(&format!("response times, {estimator:?}"), &table, || {
                    let fit = ResponseTimesConfig::new().with_estimator(estimator).fit(&choices)?;
                    Ok([fit.coefficients, vec![fit.barrier]].concat())
                });
            }
        }
        let values = [1.0, 1.0 - size.min(0.5), size];
        for kind in [Discount::Exponential, Discount::Hyperbolic] {
            faults.check(&format!("a discount, {kind:?}"), &format!("values of {size:e}"), || {
                Ok(vec![fit_discount(kind, &[0.0, 1.0, size], &values)?.rate])
            });
        }
        faults.check("an exchange", &format!("amounts of {size:e}"), || {
            let fit = LogUtility::fit(&[1.0, 2.0, size], &[0.0, size, 1.0])?;
            Ok(vec![fit.slope, fit.intercept, fit.r_squared])
        });
    }
    faults.none();
}

#[test]
fn every_risk_of_any_distribution_is_finite_or_refused() {
    let mut faults = Faults::default();
    for size in [0.0, 1e-300, 1.0, 1e150, 1e308] {
        for weights in
            [[1.0, 1.0, 1.0], [0.0, 1.0, 0.0], [1e-300, 1e-300, 1e-300], [1e100, 1e100, 1e-300], [1e308, 1e308, 1e-300]]
        {
            for parameter in [1e-300, 1e-9, 0.5, 1.0, 1e150] {
                for risk in [
                    Risk::Mean,
                    Risk::MeanStd(parameter),
                    Risk::ValueAtRisk(parameter),
                    Risk::Cvar(parameter),
                    Risk::Entropic(parameter),
                    Risk::Entropic(-parameter),
                    Risk::SoftMin(parameter),
                    Risk::Wang(parameter),
                    Risk::Wang(-parameter),
                    Risk::ProportionalHazard(parameter),
                    Risk::Prospect(parameter),
                    Risk::Expectile(parameter),
                    Risk::WorstCase,
                ] {
                    let table = format!("values of {size:e}, weights {weights:?}");
                    let kind = format!("{risk:?}");
                    let kind = kind.split('(').next().unwrap_or(&kind);
                    let table = format!("{table}, {risk:?}");
                    faults.check(kind, &table, || Ok(vec![Atoms::new(&[-size, 0.5, size], &weights)?.risk(&risk)?]));
                    let unbounded = matches!(risk, Risk::WorstCase | Risk::ValueAtRisk(1.0));
                    faults.check(&format!("{kind} of a Gaussian"), &table, || {
                        let measure = Gaussian { mean: size, spread: size }.risk(&risk)?;
                        Ok(if unbounded { Vec::new() } else { vec![measure] })
                    });
                }
            }
        }
    }
    faults.none();
}

#[test]
fn every_reward_of_features_ends_with_an_error_or_with_finite_numbers() {
    let mut faults = Faults::default();
    for size in [0.0, 1e-300, 1.0, 1e60, 1e150, 1e308] {
        let table = format!("features of {size:e}");
        let rows = vec![vec![size, 1.0], vec![-size, 0.0], vec![1.0, size], vec![0.0, -size]];
        for weight in [0.0, 1e-300, 1.0, 1e100] {
            let mut pairs = Differences::new(2);
            let sides = || rows.iter().zip(rows.iter().rev());
            if sides().any(|(first, second)| pairs.push_sides(first, second, 1.0, weight).is_err()) {
                continue;
            }
            let table = format!("{table}, weights {weight:e}");
            faults.check("a linear reward", &table, || Ok(LinearRewardConfig::new().fit(&pairs)?.coefficients));
            faults.check("rewards of domains", &table, || {
                let fit = DomainRewardConfig::new().fit(&pairs, &[0, 1, 0, 1], 2)?;
                Ok([fit.coefficients(0)?, fit.coefficients(1)?].concat())
            });
        }
        faults.check("a compositional reward", &table, || {
            let model = CompositionalConfig::new()
                .with_folds(2)
                .fit(&rows, &[rows[1].clone(), rows[2].clone(), rows[3].clone(), rows[0].clone()])?;
            Ok(vec![model.score(&[1.0, 0.5])?])
        });
        faults.check("heads of attributes", &table, || {
            let ratings: Vec<_> =
                rows.iter().map(|row| vec![Some(row[0]), (row[1] != 0.0).then_some(row[1])]).collect();
            RidgeHeadConfig::new().fit(&rows, &ratings)?.predict(&[1.0, 0.5])
        });
        faults.check("penalties of verbosity", &table, || VerbosityConfig::new(0).fit(&rows)?.adjust(&[1.0, size]));
        faults.check("a tilt", &table, || Ok(tilt_to(&rows, &[0.3, size / 8.0])?.multipliers));
        faults.check("routing", &table, || {
            RoutingConfig::new().fit(&rows, &[size, 0.0, 1.0, -size])?.quality(&[1.0, 2.0]).map(|quality| vec![quality])
        });
        faults.check("welfare", &table, || {
            let shares = [0.5, 0.5];
            let kinds = [Welfare::Utilitarian, Welfare::Egalitarian, Welfare::Nash, Welfare::SoftMin(0.1)];
            kinds.iter().map(|kind| kind.of(&[size, 1.0], &shares)).collect()
        });
        faults.check("heads, weighed again", &table, || reweighted(&[0.5, 0.5], &[size, 0.0], 1.0));
        faults.check("an ensemble", &table, || {
            let members = standardized(&rows, &rows)?;
            Ok([members.concat(), vec![Scale::of(&[size, -size])?.spread]].concat())
        });
        faults.check("learning classes", &table, || {
            let trial = |chosen, reward| Trial { features: vec![vec![size], vec![-size]], chosen, reward };
            let people = [vec![trial(0, size), trial(1, -size)], vec![trial(1, 1.0), trial(1, size)]];
            let em = EmConfig::new(2).with_restarts(1).with_max_iterations(5);
            let fit = LearningClassesConfig::new(em).fit(&people)?;
            Ok(fit.classes.iter().flat_map(|class| [class.rate, class.sensitivity, class.tastes[0]]).collect())
        });
    }
    faults.none();
}
