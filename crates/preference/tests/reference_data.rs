//! Fits of real data against the `reference.json` beside them, at the precision that each states.
//!
//! The data are in `$ACCORDANT_SHARED/data`, by default `../shared/data` beside the workspace; without them nothing is
//! tested, aloud.

#[path = "../../../examples/rankings/survey.rs"]
#[allow(dead_code)] // The example calls the rest.
mod survey;

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use accordant_preference::{
    Comparisons, NamedComparisons, Names, Outcome, Rankings,
    comparisons::Ties,
    link::{Davidson, Logit, RaoKupper},
    plural::{em::EmConfig, ranking_mixture::RankingMixtureConfig},
    ranking::{
        CovarianceConfig, EloConfig, LsrConfig, MmConfig, NewmanConfig, NewtonConfig, PageRankConfig,
        PlackettLuceConfig, RankCentralityConfig, Ranking,
        centrality::eigenvector,
        counting::{average_win_rates, counts},
    },
    rankings::Unlisted,
};
use serde_json::Value;
use survey::Survey;

/// Past the test harness, which would swallow it.
fn say(line: &str) {
    writeln!(std::io::stderr(), "{line}").expect("standard error is open");
}

/// A folder of the data, if it is there.
fn folder(name: &str) -> Option<PathBuf> {
    let given = std::env::var_os("ACCORDANT_SHARED").map(PathBuf::from);
    let shared = given.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared"));
    let folder = shared.join("data").join(name);
    if folder.is_dir() {
        return Some(folder);
    }
    say(&format!("SKIPPED: {} is not there", folder.display()));
    None
}

fn json(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).expect("a readable file")).expect("JSON")
}

/// Rows of a CSV file whose bytes need not be UTF-8.
fn rows(path: &Path) -> Vec<Vec<String>> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_path(path).expect("a CSV file");
    let text = |field: &[u8]| String::from_utf8_lossy(field).into_owned();
    reader.byte_records().map(|row| row.expect("a row").iter().map(text).collect()).collect()
}

/// Compares numbers by name; how far the worst is off.
#[track_caller]
fn check(what: &str, items: &Names, got: &[f64], expected: &Value, tolerance: f64) {
    let expected = expected.as_object().unwrap_or_else(|| panic!("{what}: no numbers by name"));
    assert_eq!(expected.len(), items.len(), "{what}");
    let mut worst: f64 = 0.0;
    for (name, expected) in expected {
        let got = got[items.get(name).unwrap_or_else(|| panic!("{what}: who is {name}?"))];
        let expected = expected.as_f64().expect("a number");
        let error = (got - expected).abs() / expected.abs().max(1.0);
        assert!(error <= tolerance, "{what}, {name}: {got} is not {expected}");
        worst = worst.max(error);
    }
    say(&format!("{what:48} {worst:9.1e} of {tolerance:.0e}"));
}

#[track_caller]
fn check_number(what: &str, got: f64, expected: &Value, tolerance: f64) {
    let expected = expected.as_f64().unwrap_or_else(|| panic!("{what}: no number"));
    assert!((got - expected).abs() <= tolerance * expected.abs().max(1.0), "{what}: {got} is not {expected}");
}

fn exp(ranking: &Ranking) -> Vec<f64> {
    ranking.scores.iter().map(|score| score.exp()).collect()
}

/// Judgements of a file with columns for the two items and `left`, `right` or `tie`.
fn judged(path: &Path, [first, second, winner]: [usize; 3]) -> NamedComparisons {
    let mut all = NamedComparisons::default();
    for row in &rows(path)[1..] {
        let outcome = match row[winner].as_str() {
            "left" => Outcome::First,
            "right" => Outcome::Second,
            "tie" => Outcome::Tie,
            other => panic!("winner {other}"),
        };
        all.push(&row[first], &row[second], outcome).expect("a judgement");
    }
    all
}

/// What evalica has said of a file, at its tight tolerances.
fn check_evalica(file: &str, items: &Names, judged: &Comparisons, evalica: &Value) {
    let table = judged.wins();
    let check = |key: &str, got: &[f64], tolerance| {
        check(&format!("{file}: {key}"), items, got, &evalica[key]["scores"], tolerance);
    };
    check("counting", &counts(&table), 0.0);
    let rates: Vec<f64> =
        average_win_rates(&table).into_iter().map(|rate| rate.expect("everybody met somebody")).collect();
    check("average_win_rate", &rates, 1e-15);
    for (key, config) in
        [("elo_default", EloConfig::new()), ("elo_k32_initial1500", EloConfig::new().with_k(32.0).with_init(1500.0))]
    {
        check(key, &config.rate(judged).expect("ratings").ratings, 1e-13);
    }
    let tight = NewmanConfig::new().with_tolerance(1e-12);
    let newman = tight.fit(judged).expect("a fit");
    check("bradley_terry_tight", &exp(&newman), 1e-11);
    check("bradley_terry_default", &exp(&newman), 1e-5);
    let davidson = tight.fit_davidson(&table).expect("a fit");
    assert!(newman.report.converged && davidson.report.converged);
    let expected = &evalica["newman_tight"];
    check_number("v", davidson.ties.expect("ties").exp() / 2.0, &expected["v"], 1e-10);
    // Strengths up to a factor, which evalica leaves as it comes out.
    let logs = |value: &Value| -> Vec<f64> {
        let value = value.as_object().expect("scores");
        items.as_slice().iter().map(|name| value[name].as_f64().expect("a number").ln()).collect()
    };
    let logs = logs(&expected["scores"]);
    let level = logs.iter().sum::<f64>() / logs.len() as f64;
    let ours: Vec<f64> = davidson.scores.iter().map(|score| (score + level).exp()).collect();
    check("newman_tight", &ours, 1e-10);
    // evalica's eigenvector is that of the transposed matrix.
    check("eigen_tight", &eigenvector(&table.reversed()).expect("an eigenvector"), 1e-10);
    check("pagerank_tight", &PageRankConfig::new().shares(&table).expect("shares"), 1e-10);
}

#[test]
fn small_tables_of_evalica() {
    let Some(folder) = folder("evalica_small") else { return };
    let reference = json(&folder.join("reference.json"));
    for name in ["simple", "food"] {
        let named = judged(&folder.join(format!("{name}.csv")), [0, 1, 2]);
        check_evalica(name, named.items(), &named.comparisons().expect("judgements"), &reference[name]);
    }
}

#[test]
fn llmfao() {
    let Some(folder) = folder("llmfao") else { return };
    let reference = json(&folder.join("reference.json"));
    let named = judged(&folder.join("llmfao.csv"), [6, 7, 5]);
    let (items, all) = (named.items(), named.comparisons().expect("judgements"));
    assert_eq!((all.len(), items.len()), (8931, 59));
    let table = all.wins();
    check_evalica("llmfao", items, &all, &reference["evalica"]);

    for (key, ties) in [("bt_ties_dropped_mle", Ties::Drop), ("bt_tie_half_win_mle", Ties::Half)] {
        let expected = &reference[key];
        let fit = NewtonConfig::new().with_ties(ties).with_tolerance(1e-13).fit(&all).expect("a fit");
        check(key, items, &fit.scores, &expected["params"], 1e-11);
        check_number(key, fit.log_likelihood, &expected["loglik"], 1e-12);
        let covariance = CovarianceConfig::new().with_ties(ties).of(&all, &fit, &Logit).expect("a covariance");
        check(
            &format!("{key}, errors"),
            items,
            &covariance.standard_errors(),
            &expected["stderr_pinv_information"],
            1e-10,
        );
        for fit in [
            MmConfig::new().with_ties(ties).with_tolerance(1e-13).fit(&all).expect("a fit"),
            NewmanConfig::new().with_ties(ties).with_tolerance(1e-13).fit(&all).expect("a fit"),
            LsrConfig::new().with_ties(ties).with_tolerance(1e-11).fit(&all).expect("a fit"),
        ] {
            check(key, items, &fit.scores, &expected["params"], 1e-10);
        }
    }
    let drop = Ties::Drop;
    let lsr = LsrConfig::new().with_ties(drop).with_tolerance(1e-11);
    let expected = &reference["choix_ilsr_pairwise_ties_dropped"]["params"];
    check("I-LSR", items, &lsr.fit(&all).expect("a fit").scores, expected, 1e-10);
    let expected = &reference["choix_ilsr_pairwise_ties_dropped_alpha0.01"]["params"];
    // choix stopped where the sum of all changes was below 1e-8.
    check("I-LSR, α 0.01", items, &lsr.with_alpha(0.01).fit(&all).expect("a fit").scores, expected, 1e-8);
    let expected = &reference["choix_opt_pairwise_ties_dropped_l2_0.1"]["params"];
    let l2 = NewtonConfig::new().with_ties(drop).with_prior(0.2).fit(&all).expect("a fit");
    check("L2 0.1", items, &l2.scores, expected, 1e-9);
    let expected = &reference["choix_rank_centrality_ties_dropped"]["params"];
    let spectral = RankCentralityConfig::new().with_ties(drop).fit(&all).expect("a fit");
    check("rank centrality", items, &spectral.scores, expected, 1e-10);

    // Davidson's reference stopped at a derivative of 1.3e-5, Rao and Kupper's at 3e-10.
    let davidson = NewtonConfig::new().fit_link(&table, &Davidson).expect("a fit");
    let expected = &reference["davidson_mle"];
    check("Davidson", items, &davidson.scores, &expected["params"], 1e-7);
    check_number("Davidson, nu", davidson.ties.expect("ties").exp(), &expected["nu"], 1e-7);
    check_number("Davidson", davidson.log_likelihood, &expected["loglik"], 1e-12);
    let rao_kupper = NewtonConfig::new().fit_link(&table, &RaoKupper).expect("a fit");
    let expected = &reference["rao_kupper_mle"];
    check("Rao and Kupper", items, &rao_kupper.scores, &expected["params"], 1e-9);
    check_number("Rao and Kupper, theta", rao_kupper.ties.expect("ties").exp() + 1.0, &expected["theta"], 1e-10);
    check_number("Rao and Kupper", rao_kupper.log_likelihood, &expected["loglik"], 1e-12);
}

#[test]
fn star_wars_survey() {
    let Some(folder) = folder("star_wars_survey") else { return };
    let reference = json(&folder.join("reference.json"));
    let items: Names = ["I", "II", "III", "IV", "V", "VI"].iter().collect();
    let survey = Survey::read(&folder.join("StarWars.csv")).expect("a survey");
    let all = survey.together(0..survey.rankings.len()).expect("rankings");
    assert_eq!(all.len(), 575);
    let expected = &reference["plackett_luce_mle"];
    let fit = PlackettLuceConfig::new().with_tolerance(1e-13).fit(&all).expect("a fit");
    check("Plackett-Luce", &items, &fit.scores, &expected["params"], 1e-12);
    check_number("Plackett-Luce", fit.log_likelihood, &expected["loglik"], 1e-12);
    let mm = PlackettLuceConfig::new().with_tolerance(1e-13).fit_mm(&all).expect("a fit");
    check("Plackett-Luce by MM", &items, &mm.scores, &expected["params"], 1e-11);
    let lsr = LsrConfig::new().with_tolerance(1e-12).fit_rankings(&all).expect("a fit");
    check("I-LSR", &items, &lsr.scores, &reference["choix_ilsr_rankings"]["params"], 1e-11);
    let l2 = PlackettLuceConfig::new().with_prior(2.0).fit(&all).expect("a fit");
    check("L2 1", &items, &l2.scores, &reference["choix_opt_rankings_l2_1.0"]["params"], 1e-8);
    let pairs = all.pairs().expect("pairs");
    let wins = pairs.wins();
    for (i, row) in reference["pairwise_wins"].as_array().expect("rows").iter().enumerate() {
        let row: Vec<f64> = row.as_array().expect("a row").iter().map(|x| x.as_f64().expect("a count")).collect();
        assert_eq!(wins.win_row(i), row);
    }
    let expected = &reference["bt_mle_on_all_implied_pairs"];
    let fit = NewtonConfig::new().with_tolerance(1e-13).fit(&pairs).expect("a fit");
    check("Bradley-Terry of the pairs", &items, &fit.scores, &expected["params"], 1e-12);
    check_number("Bradley-Terry of the pairs", fit.log_likelihood, &expected["loglik"], 1e-12);
    for (name, expected) in reference["groups"].as_object().expect("groups") {
        let (question, value) = name.split_once('=').expect("a question and its answer");
        let answers = survey.answers(question).expect("a question");
        let group = survey.together((0..575).filter(|&at| answers[at] == value)).expect("rankings");
        assert_eq!(group.len() as u64, expected["n"].as_u64().expect("a count"), "{name}");
        let fit = PlackettLuceConfig::new().fit(&group).expect("a fit");
        check(name, &items, &fit.scores, &expected["pl_params"], 1e-10);
        check_number(name, fit.log_likelihood, &expected["loglik"], 1e-12);
    }
    // Best of eight starts that end at a relative gain of 1e-9, which says nothing of further digits.
    let em = EmConfig::new(2).with_restarts(8).with_tolerance(1e-10).with_max_iterations(1000);
    let two = RankingMixtureConfig::new(em).with_prior(1e-6).fit(&survey.rankings).expect("a mixture");
    let expected = &reference["pl_mixture_2_em_best_of_8"];
    assert!(two.report.converged && two.report.largest_decrease < 1e-12);
    check_number("mixture of two", two.report.objective(), &expected["loglik"], 1e-6);
    check_number("mixture of two, weight", two.weights[0], &expected["weights"][0], 1e-3);
}

#[test]
fn food_world_cup() {
    let Some(folder) = folder("food_world_cup") else { return };
    let reference = json(&folder.join("reference.json"));
    let names = reference["items"].as_array().expect("items").iter().map(|name| name.as_str().expect("a name"));
    let items: Names = names.collect();
    let mut judged = Comparisons::new(items.len());
    for row in &rows(&folder.join("food-world-cup-data.csv"))[1..] {
        let ratings: Vec<Option<u8>> = row[3..43].iter().map(|rating| rating.parse().ok()).collect();
        for (i, first) in ratings.iter().enumerate() {
            for (j, second) in ratings.iter().enumerate().skip(i + 1) {
                let (Some(first), Some(second)) = (first, second) else { continue };
                let outcome = match first.cmp(second) {
                    std::cmp::Ordering::Greater => Outcome::First,
                    std::cmp::Ordering::Less => Outcome::Second,
                    std::cmp::Ordering::Equal => Outcome::Tie,
                };
                judged.push(i, j, outcome).expect("a pair");
            }
        }
    }
    let ties = judged.wins().num_ties();
    assert_eq!((judged.len() as f64 - ties, ties), (126_733.0, 74_888.0));
    for (key, ties) in
        [("bt_within_user_pairs_ties_dropped", Ties::Drop), ("bt_within_user_pairs_tie_half", Ties::Half)]
    {
        let fit = NewtonConfig::new().with_ties(ties).with_tolerance(1e-13).fit(&judged).expect("a fit");
        check(key, &items, &fit.scores, &reference[key]["params"], 1e-12);
        check_number(key, fit.log_likelihood, &reference[key]["loglik"], 1e-12);
    }
}

#[test]
fn cases_of_choix() {
    let Some(folder) = folder("choix_cases") else { return };
    let indices = |value: &Value| -> Vec<usize> {
        value.as_array().expect("items").iter().map(|item| item.as_u64().expect("an index") as usize).collect()
    };
    for name in ["pairwise", "rankings", "top1"] {
        let case = json(&folder.join(format!("testcase-{name}-1.json")));
        let mut lists = Rankings::new(case["n_items"].as_u64().expect("a number") as usize);
        for record in case["data"].as_array().expect("data") {
            match name {
                "top1" => {
                    let chosen = record[0].as_u64().expect("an index") as usize;
                    lists.push_choice(chosen, &indices(&record[1]), 1.0).expect("a choice");
                }
                _ => lists.push(&indices(record), Unlisted::Absent).expect("a list"),
            }
        }
        let expected = |key: &str| -> Vec<f64> {
            case[key].as_array().expect("scores").iter().map(|x| x.as_f64().expect("a number")).collect()
        };
        let check = |key: &str, fit: Ranking| {
            for (got, expected) in fit.scores.iter().zip(expected(key)) {
                assert!((got - expected).abs() < 1e-9, "{name}, {key}: {got} is not {expected}");
            }
            say(&format!("{name}: {key}"));
        };
        check("ml_est", PlackettLuceConfig::new().fit(&lists).expect("a fit"));
        check("ml_est", LsrConfig::new().fit_rankings(&lists).expect("a fit"));
        let once = LsrConfig::new().with_max_iterations(1);
        check("lsr_est", once.fit_rankings(&lists).expect("a fit"));
        if name == "pairwise" {
            check("ml_est", NewtonConfig::new().fit(&lists.pairs().expect("pairs")).expect("a fit"));
            check("rc_est", RankCentralityConfig::new().fit(&lists.pairs().expect("pairs")).expect("a fit"));
        }
    }
}
