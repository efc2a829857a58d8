//! Rankings against `golden/ranking.json`: numbers of choix and evalica, within 1e-9 of theirs.
//!
//! The folder is `$ACCORDANT_GOLDEN`, by default the workspace's `tests/golden`. Strengths are compared as the file has
//! them: logarithms with mean 0 (choix), strengths themselves (evalica), those of Newman's iterations up to a factor.

use std::{collections::BTreeMap, io::Write, path::PathBuf};

use accordant_preference::{
    Comparisons, Outcome, Rankings, Result, WinMatrix,
    link::Logit,
    ranking::{
        EloConfig, Gauge, LsrConfig, MmConfig, NewmanConfig, NewtonConfig, PageRankConfig, PlackettLuceConfig,
        RankCentralityConfig, Ranking,
        centrality::eigenvector,
        counting::{average_win_rates, counts},
        newton::log_likelihood,
    },
    rankings::Unlisted,
};
use serde_json::Value;

const TOLERANCE: f64 = 1e-9;

/// What this crate does not compute, and why.
const SKIPPED: &[(&str, &str)] = &[
    ("correlation", "a metric"),
    ("krippendorff_alpha", "a metric"),
    ("cohen_kappa", "a metric"),
    ("fleiss_kappa", "a metric"),
    ("ndcg", "a metric"),
    ("roc_auc", "a metric"),
    ("pass_at_k", "a metric"),
    ("bradley_terry_ep", "optional: choix stops expectation propagation at 1e-4"),
    ("bradley_terry_default", "shows where the peer stops by default"),
    ("newman_default", "shows where the peer stops by default"),
    ("eigen_default", "shows where the peer stops by default"),
];

/// Numbers by the name of the output; a method with several fits names it several times.
type Outputs = Vec<(&'static str, Vec<f64>)>;

struct Case<'a>(&'a Value);

impl Case<'_> {
    fn text(&self, key: &str) -> &str {
        self.0[key].as_str().unwrap_or_else(|| panic!("no `{key}` in {}", self.0))
    }

    fn param(&self, name: &str) -> Option<f64> {
        self.0["params"].get(name).map(number)
    }

    fn required(&self, name: &str) -> f64 {
        self.param(name).unwrap_or_else(|| panic!("{}: no `{name}`", self.text("id")))
    }

    fn num_items(&self) -> usize {
        self.0["inputs"]["n"].as_u64().expect("n") as usize
    }

    fn wins(&self) -> WinMatrix {
        let rows = self.0["inputs"]["wins"].as_array().expect("wins");
        let wins: Vec<Vec<f64>> = rows.iter().map(numbers).collect();
        let none = vec![vec![0.0; wins.len()]; wins.len()];
        WinMatrix::from_rows(&wins, &none).expect("a matrix")
    }

    fn rankings(&self) -> Rankings {
        let mut lists = Rankings::new(self.num_items());
        for list in self.0["inputs"]["rankings"].as_array().expect("rankings") {
            let order: Vec<usize> = numbers(list).into_iter().map(|item| item as usize).collect();
            lists.push(&order, Unlisted::Absent).expect("a list");
        }
        lists
    }

    /// Matches, those with a winner of weight `win` and tied ones of weight `tie`, times the weights of the case.
    fn weighted_matches(&self, win: f64, tie: f64) -> Comparisons {
        let inputs = &self.0["inputs"];
        let mut judged = Comparisons::new(self.num_items());
        let weights = inputs.get("weights").map(numbers);
        let items = numbers(&inputs["x"]).into_iter().zip(numbers(&inputs["y"]));
        for (row, ((x, y), winner)) in items.zip(inputs["winner"].as_array().expect("winners")).enumerate() {
            let (outcome, times) = match winner.as_str() {
                Some("x") => (Outcome::First, win),
                Some("y") => (Outcome::Second, win),
                Some("d") => (Outcome::Tie, tie),
                other => panic!("winner {other:?}"),
            };
            let weight = times * weights.as_ref().map_or(1.0, |weights| weights[row]);
            judged.push_weighted(x as usize, y as usize, outcome, weight).expect("a match");
        }
        judged
    }

    /// The same where a tie of ours is two halves, so that it weighs twice the file's `tie_weight`.
    fn matches(&self) -> Comparisons {
        self.weighted_matches(self.param("win_weight").unwrap_or(1.0), 2.0 * self.param("tie_weight").unwrap_or(0.5))
    }
}

/// Not-a-number and infinities are strings.
fn number(value: &Value) -> f64 {
    match value {
        Value::String(text) => text.parse().unwrap_or_else(|_| panic!("not a number: {text}")),
        other => other.as_f64().unwrap_or_else(|| panic!("not a number: {other}")),
    }
}

fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(values) => values.iter().flat_map(numbers).collect(),
        scalar => vec![number(scalar)],
    }
}

fn exp(ranking: &Ranking) -> Vec<f64> {
    ranking.scores.iter().map(|score| score.exp()).collect()
}

fn log_strengths(fits: impl IntoIterator<Item = Result<Ranking>>) -> Result<Outputs> {
    fits.into_iter().map(|fit| Ok(("log_strengths", fit?.scores))).collect()
}

/// Everything that ours gives for a method of the file; none for a method that is not known.
fn run(case: &Case) -> Option<Result<Outputs>> {
    let newton = NewtonConfig::new().with_tolerance(1e-13);
    let newman = NewmanConfig::new().with_tolerance(1e-13).with_max_iterations(1_000_000);
    let mm = MmConfig::new().with_tolerance(1e-13).with_max_iterations(1_000_000);
    let lsr = LsrConfig::new().with_tolerance(1e-12).with_max_iterations(10_000);
    let plackett_luce = PlackettLuceConfig::new().with_tolerance(1e-13).with_max_mm_iterations(1_000_000);
    Some(match case.text("method") {
        // Every method of maximum likelihood.
        "bradley_terry_mle" => log_strengths([
            newton.fit_link(&case.wins(), &Logit),
            mm.fit_matrix(&case.wins()),
            newman.fit_matrix(&case.wins()),
            lsr.fit_matrix(&case.wins()),
        ]),
        // The penalty is α Σ s², without a half.
        "bradley_terry_l2" => newton
            .with_prior(2.0 * case.required("alpha"))
            .fit_link(&case.wins(), &Logit)
            .map(|fit| vec![("objective", vec![fit.report.objective]), ("log_strengths", fit.scores)]),
        "bradley_terry_ilsr_alpha" => log_strengths([lsr.with_alpha(case.required("alpha")).fit_matrix(&case.wins())]),
        "rank_centrality" => {
            let config = RankCentralityConfig::new().with_alpha(case.param("alpha").unwrap_or(0.0));
            log_strengths([config.fit_matrix(&case.wins())])
        }
        "lsr" => log_strengths([LsrConfig::new().fit_once(&case.wins())]),
        "log_likelihood_pairwise" => {
            let scores = numbers(&case.0["inputs"]["log_strengths"]);
            log_likelihood(&case.wins(), &Logit, &scores, 0.0).map(|value| vec![("log_likelihood", vec![value])])
        }
        "plackett_luce_mle" => {
            let lists = case.rankings();
            let fits = [plackett_luce.fit(&lists), plackett_luce.fit_mm(&lists), lsr.fit_rankings(&lists)];
            let both = |fit: Ranking| [("log_likelihood", vec![fit.log_likelihood]), ("log_strengths", fit.scores)];
            fits.into_iter().map(|fit| fit.map(both)).collect::<Result<Vec<_>>>().map(|all| all.concat())
        }
        "plackett_luce_l2" => {
            log_strengths([plackett_luce.with_prior(2.0 * case.required("alpha")).fit(&case.rankings())])
        }
        "plackett_luce_ilsr_alpha" => {
            log_strengths([lsr.with_alpha(case.required("alpha")).fit_rankings(&case.rankings())])
        }
        "bradley_terry" => {
            let fits = [newton.fit(&case.matches()), newman.fit(&case.matches())];
            fits.into_iter().map(|fit| Ok(("scores", exp(&fit?)))).collect()
        }
        "newman" => {
            // A tie is a tie here, and no two halves. Scores up to a factor.
            let judged = case.weighted_matches(case.required("win_weight"), case.required("tie_weight"));
            let logs: Vec<f64> = numbers(&case.0["outputs"]["scores"]).iter().map(|p| p.ln()).collect();
            let level = Gauge::Mean(logs.iter().sum::<f64>() / logs.len() as f64);
            newman.with_gauge(level).fit_davidson(&judged.wins()).map(|fit| {
                let v = fit.ties.expect("a strength of ties").exp() / 2.0;
                vec![("scores", exp(&fit)), ("v", vec![v])]
            })
        }
        // The file's is the transposed matrix's.
        "eigen" => eigenvector(&case.matches().wins().reversed()).map(|scores| vec![("scores", scores)]),
        "pagerank" => {
            let config = PageRankConfig::new().with_damping(case.required("damping"));
            config.shares(&case.matches().wins()).map(|shares| vec![("scores", shares)])
        }
        "elo" => {
            assert_eq!(["win_weight", "tie_weight"].map(|name| case.required(name)), [1.0, 0.5]);
            let [k, init, scale, base] = ["k", "initial", "scale", "base"].map(|name| case.required(name));
            let config = EloConfig { k, init, scale, base };
            config.rate(&case.matches()).map(|rated| vec![("scores", rated.ratings)])
        }
        "counting" => Ok(vec![("scores", counts(&case.matches().wins()))]),
        "average_win_rate" => {
            let rates = average_win_rates(&case.matches().wins()).into_iter();
            Ok(vec![("scores", rates.map(|rate| rate.unwrap_or(f64::NAN)).collect())])
        }
        "pairwise_scores" => {
            let mut judged = Comparisons::new(2);
            judged.push(0, 1, Outcome::Tie).expect("a match");
            newton.fit(&judged).and_then(|mut ranking| {
                ranking.scores = numbers(&case.0["inputs"]["scores"]).iter().map(|p| p.ln()).collect();
                let n = ranking.scores.len();
                let chance = |cell: usize| ranking.chances(&Logit, cell / n, cell % n).map(|[win, ..]| win);
                Ok(vec![("matrix", (0..n * n).map(chance).collect::<Result<_>>()?)])
            })
        }
        _ => return None,
    })
}

fn differences(case: &Case, name: &str, got: &[f64]) -> Vec<String> {
    let id = case.text("id");
    let expected = numbers(&case.0["outputs"][name]);
    if got.len() != expected.len() {
        return vec![format!("{id}: {name}: {} numbers, expected {}", got.len(), expected.len())];
    }
    let right = |got: f64, expected: f64| match expected.is_finite() {
        true => (got - expected).abs() <= TOLERANCE * expected.abs().max(1.0),
        false => !got.is_finite(),
    };
    let pairs = got.iter().zip(&expected).enumerate().filter(|(_, (got, expected))| !right(**got, **expected));
    pairs.map(|(at, (got, expected))| format!("{id}: {name}[{at}] = {got:e}, expected {expected:e}")).collect()
}

/// Where ours is not what the file has. Not compared: how near the peer came to the optimum.
fn wrong_outputs(case: &Case, all: &Outputs) -> Vec<String> {
    let outputs = case.0["outputs"].as_object().expect("outputs");
    let ours = |output: &&String| all.iter().any(|(name, _)| name == *output) || *output == "gradient_norm";
    if let Some(missing) = outputs.keys().find(|output| !ours(output)) {
        return vec![format!("{}: ours has no `{missing}`", case.text("id"))];
    }
    let there = all.iter().filter(|(name, _)| outputs.contains_key(*name));
    there.flat_map(|(name, got)| differences(case, name, got)).collect()
}

#[test]
fn golden_rankings() {
    let given = std::env::var_os("ACCORDANT_GOLDEN").map(PathBuf::from);
    let folder = given.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden"));
    let path = folder.join("ranking.json");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let file: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert_eq!(file["schema"], "golden-ranking-1");
    let mut counts = BTreeMap::<String, usize>::new();
    let (mut wrong, mut ran) = (Vec::new(), 0);
    for case in file["cases"].as_array().expect("cases").iter().map(Case) {
        let method = case.text("method");
        let outcome = match (run(&case), SKIPPED.iter().find(|(name, _)| *name == method)) {
            (Some(outputs), None) => {
                match outputs {
                    Ok(all) => wrong.extend(wrong_outputs(&case, &all)),
                    Err(error) => wrong.push(format!("{}: {error}", case.text("id"))),
                }
                ran += 1;
                "ran".to_owned()
            }
            (None, Some((_, reason))) => format!("skipped: {reason}"),
            (None, None) => panic!("{}: `{method}` is in no list", case.text("id")),
            (Some(_), Some(_)) => panic!("`{method}` is run and skipped"),
        };
        *counts.entry(format!("{method:28} {outcome}")).or_default() += 1;
    }
    // Past the test harness, which would swallow it.
    let mut stderr = std::io::stderr();
    for (line, count) in &counts {
        writeln!(stderr, "{count:3} {line}").expect("standard error is open");
    }
    writeln!(stderr, "{ran} golden cases ran").expect("standard error is open");
    assert!(wrong.is_empty(), "{} numbers are wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(ran > 0, "no case ran");
}
