//! Real data, every set: the counts of their descriptions and of the references beside them, oddities included.
//!
//! The data are in `$ACCORDANT_SHARED/data`, by default `../shared/data` beside the workspace; without them nothing is
//! tested, aloud.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write,
    path::PathBuf,
};

use accordant_data::{
    Code, Comparison, LoadOptions, LoadReport, Pair, Record, Role, Text,
    code::Warning,
    load_source,
    record::{Kind, comparison::Outcome},
    sources::{
        Source, castles::read_strategies, choix_cases::read_case, hh_red_team::HhRedTeam, judgments::read_codings,
        oasst::OasstRm,
    },
};
use serde_json::Value;

fn shared(path: &str) -> Option<PathBuf> {
    let given = std::env::var_os("ACCORDANT_SHARED").map(PathBuf::from);
    let shared = given.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared"));
    let path = shared.join("data").join(path);
    if path.exists() {
        return Some(path);
    }
    // Past the test harness, which would swallow it.
    let advice = "set $ACCORDANT_SHARED to the folder that holds `data`";
    writeln!(std::io::stderr(), "SKIPPED: {} is not there; {advice}", path.display()).expect("standard error is open");
    None
}

/// Reads a file of a family that its first row tells.
fn read(path: &str) -> Option<(Vec<Record>, LoadReport)> {
    let (records, report) = load_source(shared(path)?, None, &LoadOptions::default()).unwrap();
    assert!(report.is_conserved(), "{report}");
    for record in &records {
        let json = serde_json::to_string(record).unwrap();
        assert_eq!(&serde_json::from_str::<Record>(&json).unwrap(), record);
    }
    Some((records, report))
}

fn reference(set: &str) -> Value {
    let path = shared(&format!("{set}/reference.json")).expect("it lies beside the data");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn pairs(records: &[Record]) -> Vec<&Pair> {
    records.iter().map(|record| if let Record::Pair(pair) = record { pair } else { panic!("a pair") }).collect()
}

fn comparisons(records: &[Record]) -> Vec<&Comparison> {
    records
        .iter()
        .map(|record| match record {
            Record::Comparison(comparison) => comparison,
            other => panic!("a comparison, found a {}", other.kind()),
        })
        .collect()
}

fn rejected(report: &LoadReport, code: Code) -> Vec<usize> {
    report.samples.iter().filter(|reject| reject.code == code).map(|reject| reject.record_index).collect()
}

fn last_content(text: &Text) -> &str {
    text.as_messages().and_then(<[_]>::last).map_or("", |message| &message.content)
}

/// The share of pairs whose longer side is chosen, in characters; equal ones count half.
fn longer_is_chosen(records: &[Record]) -> f64 {
    let longer = |pair: &&Pair| {
        let [chosen, rejected] = [&pair.chosen, &pair.rejected].map(|side| last_content(side).chars().count());
        if chosen == rejected { 0.5 } else { f64::from(u8::from(chosen > rejected)) }
    };
    pairs(records).iter().map(longer).sum::<f64>() / records.len() as f64
}

#[test]
fn hh_rlhf_keeps_what_does_not_part_too_early_and_is_not_empty() {
    let Some((train, report)) = read("hh_rlhf/harmless-base.train.jsonl.gz") else { return };
    assert_eq!((train.len(), report.lines), (1507, 1512));
    assert_eq!(rejected(&report, Code::DivergentTurns), [1254]);
    assert_eq!(rejected(&report, Code::Empty), [86, 516, 925, 1103]);
    let (test, test_report) = read("hh_rlhf/harmless-base.test.jsonl.gz").unwrap();
    assert_eq!(rejected(&test_report, Code::DivergentTurns), [176]);
    assert_eq!((test.len(), test_report.total_rejected()), (399, 1));
    let (helpful, report) = read("hh_rlhf/helpful-base.train.jsonl.gz").unwrap();
    assert_eq!((report.lines, report.count(Code::Empty), report.count(Code::Identical)), (1287, 2, 1));
    assert_eq!(helpful.len(), 1284);
    assert_eq!(read("hh_rlhf/helpful-base.test.jsonl.gz").unwrap().0.len(), 300);
    let first = pairs(&helpful)[0];
    assert_eq!(
        (&first.envelope.id[..], first.envelope.group.as_deref()),
        ("helpful-base.train:0", Some("helpful-base"))
    );
    // Never as pairs: the red team's rows are of another family.
    assert!(!HhRedTeam.sniff(&first.envelope.meta));
}

#[test]
fn dove_has_one_instruction_for_both_sides() {
    let Some((records, report)) = read("dove_helpful/conditional_pref.jsonl") else { return };
    assert_eq!((records.len(), report.total_rejected()), (263, 0));
    let pairs = pairs(&records);
    assert!(pairs.iter().all(|pair| pair.prompt_rejected.is_none()));
    let share = longer_is_chosen(&records);
    let expected = reference("dove_helpful")["chosen_longer_accuracy"].as_f64().unwrap();
    assert!((share - expected).abs() < 1e-12, "{share} {expected}");
}

#[test]
fn sharegpt_has_three_shapes() {
    let Some((records, _)) = read("sharegpt_pref/dpo_en_demo.json") else { return };
    let expected = &reference("sharegpt_pref")["files"];
    let mut turns = BTreeMap::<String, u64>::new();
    for pair in pairs(&records) {
        *turns.entry(pair.prompt.as_messages().unwrap().len().to_string()).or_default() += 1;
    }
    assert_eq!(serde_json::to_value(&turns).unwrap(), expected["dpo_en_demo.json"]["turns_per_row"]);
    let systems =
        pairs(&records).iter().filter(|pair| pair.prompt.as_messages().unwrap()[0].role == Role::System).count();
    assert_eq!((records.len(), systems), (200, 50));
    assert!((longer_is_chosen(&records) - 0.4275).abs() < 1e-12);

    let (records, _) = read("sharegpt_pref/kto_en_demo.json").unwrap();
    let labels = |label: bool| {
        records.iter().filter(|record| matches!(record, Record::Unpaired(one) if one.label == label)).count()
    };
    assert_eq!((records.len(), labels(true), labels(false)), (200, 107, 93));

    let (records, _) = read("sharegpt_pref/v1_dpo_demo.jsonl").unwrap();
    assert_eq!(records.len(), 10);
    let trained = |text: &Text| text.as_messages().unwrap().iter().map(|message| message.train).collect::<Vec<_>>();
    for pair in pairs(&records) {
        assert!(trained(&pair.prompt).iter().all(|train| *train == Some(false)));
        assert_eq!((trained(&pair.chosen), trained(&pair.rejected)), (vec![Some(true)], vec![Some(true)]));
    }
}

#[test]
fn llmfao_has_ties_and_workers() {
    let Some((records, report)) = read("llmfao/llmfao.csv") else { return };
    let all = comparisons(&records);
    let count = |outcome| all.iter().filter(|one| one.outcome == Some(outcome)).count();
    assert_eq!((all.len(), count(Outcome::Tie), report.lines), (8931, 3471, 8931));
    assert_eq!(count(Outcome::A) + count(Outcome::B), 8931 - 3471);
    let distinct =
        |name: &dyn Fn(&Comparison) -> String| all.iter().map(|one| name(one)).collect::<BTreeSet<_>>().len();
    assert_eq!(distinct(&|one| one.envelope.annotator.as_ref().unwrap().id.clone()), 124);
    assert_eq!(distinct(&|one| one.prompt.as_plain().unwrap().to_owned()), 13);
    assert_eq!(distinct(&|one| one.envelope.meta["pair"].to_string()), 2139);
    let models: BTreeSet<_> =
        all.iter().flat_map(|one| [one.a_source.clone(), one.b_source.clone()]).flatten().collect();
    let expected = &reference("llmfao")["items_sorted"];
    assert_eq!(models.len(), 59);
    assert!(models.iter().all(|model| expected.as_array().unwrap().contains(&Value::from(model.as_str()))));
}

#[test]
fn evalicas_tables_are_small() {
    let Some((records, _)) = read("evalica_small/simple.csv") else { return };
    let lines = |path: &str| std::fs::read_to_string(shared(path).unwrap()).unwrap().lines().count();
    assert_eq!(records.len() + 1, lines("evalica_small/simple.csv"));
    // `0,1,tie` and `0,2,right` open the file.
    let first: Vec<_> = comparisons(&records).iter().take(2).map(|one| one.outcome).collect();
    assert_eq!(first, [Some(Outcome::Tie), Some(Outcome::B)]);
    assert_eq!(read("evalica_small/food.csv").unwrap().0.len() + 1, lines("evalica_small/food.csv"));
    let (codings, _) = read_codings(shared("evalica_small/codings.csv").unwrap(), &LoadOptions::default()).unwrap();
    assert_eq!((codings[0].len(), codings[0][0].as_deref(), codings[0][9].as_deref()), (12, Some("1"), None));
    let (codings, _) = read_codings(shared("evalica_small/gcl.csv").unwrap(), &LoadOptions::default()).unwrap();
    assert_eq!((codings[1][0].as_deref(), codings[1][1].as_deref()), (None, Some("VBP")));
}

#[test]
fn choixs_cases_are_pairs_rankings_and_choices() {
    let Some(folder) = shared("choix_cases") else { return };
    let case = |name: &str| read_case(folder.join(format!("testcase-{name}-1.json"))).unwrap();
    for (name, len, top_1) in [("pairwise", 2, false), ("rankings", 3, false), ("top1", 3, true)] {
        let case = case(name);
        assert_eq!((case.num_items, case.choices.len()), (3, 3));
        assert_eq!(case.estimates["ml_est"], [0.0; 3]);
        for choice in &case.choices {
            assert_eq!((choice.items.len(), choice.top_1), (len, top_1));
            assert_eq!(choice.ranked(&case.description).unwrap().order()[0], 0);
        }
    }
    assert_eq!(case("pairwise").choices[2].items, [2, 0]);
}

#[test]
fn star_wars_ranks_six_films_in_mac_roman_under_two_headers() {
    let Some((records, report)) = read("star_wars_survey/StarWars.csv") else { return };
    let expected = reference("star_wars_survey");
    assert_eq!((records.len(), report.lines, report.total_rejected()), (575, 800, 0));
    assert_eq!((report.filtered["no_ranking"], report.filtered["partial_ranking"]), (224, 1));
    for (i, item) in ["I", "II", "III", "IV", "V", "VI"].into_iter().enumerate() {
        let ranks =
            records.iter().map(|record| if let Record::Ranked(one) = record { one.ranks[i] as f64 } else { f64::NAN });
        let mean = ranks.sum::<f64>() / 575.0;
        assert!((mean - expected["mean_rank"][item].as_f64().unwrap()).abs() < 1e-12, "{item}");
    }
    let groups = &records[0].envelope().annotator.as_ref().unwrap().groups;
    assert_eq!(groups.len(), 5);
    let quoted =
        records.iter().any(|one| one.envelope().annotator.as_ref().unwrap().groups["income"] == "$0 - $24,999");
    assert!(quoted, "a comma inside quotes is no end of a cell");
}

#[test]
fn cuisines_are_unrated_in_two_ways() {
    let Some((records, report)) = read("food_world_cup/food-world-cup-data.csv") else { return };
    let expected = reference("food_world_cup");
    assert_eq!((records.len(), report.lines, report.filtered["no_rating"]), (934, 1000, 66));
    let (mut sums, mut ratings) = (BTreeMap::<String, (f64, f64)>::new(), 0);
    for record in &records {
        let Record::Rated(rated) = record else { panic!("rated") };
        assert_eq!(rated.completions.len(), 40);
        for (i, country) in rated.completions.iter().enumerate() {
            if let Some(rating) = rated.rating(i, "rating") {
                ratings += 1;
                let sum = sums.entry(country.as_plain().unwrap().to_owned()).or_default();
                *sum = (sum.0 + rating, sum.1 + 1.0);
            }
        }
    }
    assert_eq!((ratings, sums.len()), (17_742, 40));
    for (country, (sum, n)) in &sums {
        let mean = expected["mean_rating"][country].as_f64().unwrap();
        assert!((sum / n - mean).abs() < 1e-12, "{country}");
    }
}

#[test]
fn castles_have_reasons_of_several_lines_and_none() {
    let Some(path) = shared("riddler_castles/castle-solutions.csv") else { return };
    let (strategies, report) = read_strategies(path, &LoadOptions::default()).unwrap();
    assert_eq!((strategies.len(), report.lines, report.total_rejected()), (1349, 1349, 0));
    let lines =
        strategies.iter().filter(|one| one.reason.as_ref().is_some_and(|reason| reason.contains(['\n', '\r']))).count();
    let silent = strategies.iter().filter(|one| one.reason.is_none()).count();
    assert_eq!((lines, silent), (127, 80));
    let distinct: BTreeSet<_> = strategies.iter().map(|one| one.soldiers.map(f64::to_bits)).collect();
    assert_eq!(distinct.len(), 1164);
    assert_eq!(strategies[285].soldiers, [3.0, 5.0, 8.0, 10.0, 13.0, 1.0, 26.0, 30.0, 2.0, 2.0]);
}

#[test]
fn trees_have_absent_keys_and_ranked_replies() {
    let Some((trees, _)) = read("oasst/en_tree.jsonl.gz") else { return };
    let expected = reference("oasst");
    let (mut roles, mut synthetic) = (BTreeMap::<&str, u64>::new(), 0);
    for record in &trees {
        let json = serde_json::to_value(record).unwrap();
        for node in json["nodes"].as_array().unwrap() {
            let role = if node["role"] == "user" { "prompter" } else { "assistant" };
            *roles.entry(role).or_default() += 1;
            synthetic += u64::from(node["synthetic"] == true);
        }
    }
    assert_eq!((trees.len(), serde_json::to_value(&roles).unwrap()), (70, expected["roles"].clone()));
    assert_eq!(expected["synthetic_messages"], synthetic);
    // The other file holds the same trees as messages with explicit nulls and labels.
    let (messages, _) = read("oasst/en_message.jsonl.gz").unwrap();
    let ids = |records: &[Record]| records.iter().map(|record| record.envelope().id.clone()).collect::<Vec<_>>();
    assert_eq!(ids(&messages), ids(&trees));

    let path = shared("oasst/en_tree.jsonl.gz").unwrap();
    let (lists, report) = OasstRm::all().load(&path, &LoadOptions::default()).unwrap();
    let mut lengths = BTreeMap::<String, u64>::new();
    let mut implied = 0;
    for record in &lists {
        let Record::Ranked(ranked) = record else { panic!("ranked") };
        let n = ranked.completions.len();
        *lengths.entry(n.to_string()).or_default() += 1;
        implied += n * (n - 1) / 2;
    }
    // The reference counts lists whose replies all have a rank; one more has three ranks and a reply without.
    assert_eq!((lists.len(), implied), (145 + 1, 504 + 3));
    *lengths.get_mut("3").unwrap() -= 1;
    assert_eq!(serde_json::to_value(&lengths).unwrap(), expected["ranked_assistant_reply_lists_by_length"]);
    let unranked = lists.iter().filter(|list| list.envelope().meta.contains_key("unranked_reply")).count();
    assert_eq!(unranked, 1);
    assert!(report.is_conserved());
    let (strict, report) = OasstRm::default().load(&path, &LoadOptions::default()).unwrap();
    assert!(strict.len() < lists.len() && report.is_conserved(), "{report}");
}

#[test]
fn personas_answer_yes_as_often_as_no() {
    let expected = |file: &str| reference("persona")["files"][file]["mean_label_confidence"].as_f64().unwrap();
    for file in ["agreeableness.jsonl.gz", "conscientiousness.jsonl.gz"] {
        let Some((records, _)) = read(&format!("persona/{file}")) else { return };
        let pairs = pairs(&records);
        let yes = pairs.iter().filter(|pair| pair.chosen.as_plain() == Some(" Yes")).count();
        let no = pairs.iter().filter(|pair| pair.chosen.as_plain() == Some(" No")).count();
        assert_eq!((yes, no), (500, 500));
        let mean = pairs.iter().filter_map(|pair| pair.p_chosen).sum::<f64>() / 1000.0;
        assert!((mean - expected(file)).abs() < 1e-12);
        assert_eq!(records[0].envelope().group.as_deref(), file.split('.').next());
    }
}

#[test]
#[cfg(feature = "npz")]
fn segments_of_a_hopper_are_preferred_or_equal() {
    let Some((records, _)) = read("pbrl_hopper/hopper-medium-expert-v2.num100_human_train.npz") else { return };
    let expected = reference("pbrl_hopper");
    let (mut outcomes, mut sum) = (BTreeMap::new(), 0.0);
    for record in &records {
        let Record::SegmentPair(pair) = record else { panic!("segments") };
        *outcomes.entry(pair.outcome.unwrap().as_str()).or_insert(0) += 1;
        assert_eq!((pair.segment_a.len(), pair.segment_b.len()), (100, 100));
        let json = serde_json::to_value(&pair.segment_a).unwrap();
        let states = json.as_array().unwrap().iter().flat_map(|step| step["state"].as_array().unwrap());
        sum += states.map(|number| number.as_f64().unwrap()).sum::<f64>();
    }
    assert_eq!(outcomes, BTreeMap::from([("a", 32), ("b", 40), ("tie", 28)]));
    assert!((sum - expected["obs_1"]["sum"].as_f64().unwrap()).abs() < 1e-6, "{sum}");
}

#[test]
fn reward_bench_sections_name_their_subsets() {
    let Some(path) = shared("reward_bench/sections.json") else { return };
    let table: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    // No rows: a table of names. A row of each subset is read as one of the family.
    let source = accordant_data::sources::by_name("reward_bench").unwrap();
    let subsets = table["sections"].as_object().unwrap().values().flat_map(|names| names.as_array().unwrap());
    let rows: Vec<_> = subsets.enumerate().map(|(id, subset)| {
        serde_json::json!({"prompt": "q", "chosen": "a", "chosen_model": "m", "rejected": "b", "rejected_model": "n", "subset": subset, "id": id})
    }).collect();
    assert_eq!(rows.len(), 23);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.jsonl");
    std::fs::write(&path, rows.iter().map(Value::to_string).collect::<Vec<_>>().join("\n")).unwrap();
    let (records, report) = source.load(&path, &LoadOptions::default()).unwrap();
    assert_eq!((records.len(), records[0].kind(), report.warned(Warning::Dup)), (23, Kind::Pair, 0));
}
