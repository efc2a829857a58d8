//! The four files of HH-RLHF that are kept with the project, against counts made by other code.
//!
//! Harmless train and test are lines 1-1512 and 1513-1912 of the origin's test file, so the records that the
//! specification lists for that file stand at the same places here, up to 1911.

use std::{io::Write, path::PathBuf};

use accordant_data::{
    Code, LoadOptions, LoadReport, OnReject, Pair, Role, code::Warning, hh_rlhf::parse_transcript, read::read_jsonl,
    read_hh_rlhf,
};
use serde_json::Value;

const FILES: [&str; 4] = ["harmless-base.train", "harmless-base.test", "helpful-base.train", "helpful-base.test"];

fn folder() -> Option<PathBuf> {
    let shared = std::env::var_os("ACCORDANT_SHARED")
        .map_or_else(|| concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared").into(), PathBuf::from);
    let folder = shared.join("data/hh_rlhf");
    if folder.is_dir() {
        return Some(folder);
    }
    // Straight to the terminal: what a passing test prints is not shown.
    let _ = writeln!(
        std::io::stderr(),
        "SKIPPED: no folder `{}`; set $ACCORDANT_SHARED to the folder that holds `data`",
        folder.display()
    );
    None
}

fn load(folder: &std::path::Path, name: &str) -> (Vec<Pair>, LoadReport) {
    read_hh_rlhf(folder.join(format!("{name}.jsonl.gz")), &LoadOptions::default()).unwrap()
}

fn records(report: &LoadReport, code: Code) -> Vec<usize> {
    report.samples.iter().filter(|reject| reject.code == code).map(|reject| reject.record_index).collect()
}

#[test]
fn the_counts_of_the_specification_hold_for_the_part_that_is_here() {
    let Some(folder) = folder() else { return };
    let (train, mut report) = load(&folder, FILES[0]);
    let (test, test_report) = load(&folder, FILES[1]);
    assert_eq!(records(&report, Code::DivergentTurns), [1254]);
    assert_eq!(records(&report, Code::Empty), [86, 516, 925, 1103]);
    assert_eq!(records(&test_report, Code::DivergentTurns), [1688 - 1512]);
    report.merge(test_report);
    println!("harmless-base, 1912 rows\n{report}");
    assert_eq!((report.lines, report.blank, report.used, report.total_rejected()), (1912, 0, 1906, 6));
    assert_eq!(report.count(Code::Identical), 0);
    assert_eq!(report.warned(Warning::Alternation), 4);
    // Prompts of 1, 3, 5 and 7 turns; the whole file has 658, 579, 589 and 354, of which these are at most that many.
    let prompts = |turns| train.iter().chain(&test).filter(|pair| messages(pair).len() == turns).count();
    assert_eq!([1, 3, 5, 7].map(prompts), [549, 480, 486, 287]);
}

fn messages(pair: &Pair) -> &[accordant_data::Message] {
    pair.prompt.as_messages().unwrap()
}

#[test]
fn the_counts_of_the_reference_file_hold() {
    let Some(folder) = folder() else { return };
    let text = std::fs::read_to_string(folder.join("reference.json")).unwrap();
    let reference: Value = serde_json::from_str(&text).unwrap();
    for name in FILES {
        let path = format!("{name}.jsonl.gz");
        let expected = &reference["files"][&path];
        let number = |key: &str| expected[key].as_u64().unwrap() as usize;
        let (pairs, report) = load(&folder, name);
        println!("{name}\n{report}\n");
        assert_eq!((report.lines, report.blank), (number("rows"), 0));
        assert!(report.is_conserved());
        assert_eq!(pairs.len(), report.used);
        let rows: Vec<u64> = records(&report, Code::DivergentTurns).iter().map(|&row| row as u64).collect();
        assert_eq!(Value::from(rows), expected["different_prompt_after_split_row_numbers_0based"]);
        let empty = |field: &str| {
            let here = |reject: &&accordant_data::report::Reject| reject.field.as_deref() == Some(field);
            report.samples.iter().filter(|reject| reject.code == Code::Empty).filter(here).count()
        };
        assert_eq!(empty("chosen"), number("empty_chosen_response"));
        assert_eq!(empty("rejected"), number("empty_rejected_response"));
        assert_eq!(report.count(Code::Identical), number("identical_pairs"));
        // Nothing is rejected under any other code.
        let known = report.count(Code::DivergentTurns) + report.count(Code::Empty) + report.count(Code::Identical);
        assert_eq!(report.total_rejected(), known);

        // Over all rows, used or not: turns and characters of `chosen`.
        let path = folder.join(&path);
        let (rows, _) = read_jsonl(&path, &LoadOptions::default(), |mut row| {
            let text = row.take_text("chosen")?;
            let turns = parse_transcript(&text)?;
            Ok((turns.iter().filter(|turn| turn.role == Role::User).count(), text.chars().count()))
        })
        .unwrap();
        let mean = |sum: usize| sum as f64 / rows.len() as f64;
        let close = |got: f64, key: &str| {
            let want = expected[key].as_f64().unwrap();
            assert!((got - want).abs() < 1e-9 * want, "{name} {key}: {got}, expected {want}");
        };
        close(mean(rows.iter().map(|row| row.0).sum()), "mean_human_turns");
        close(mean(rows.iter().map(|row| row.1).sum()), "mean_chars_chosen");
    }
}

#[test]
fn every_pair_has_a_shared_prompt_and_one_answer_on_each_side() {
    let Some(folder) = folder() else { return };
    for name in FILES {
        let (pairs, report) = load(&folder, name);
        let group = name.split('.').next();
        for pair in &pairs {
            pair.validate().unwrap();
            let place = pair.envelope.provenance.as_ref().unwrap();
            assert_eq!(pair.envelope.id, format!("{name}:{}", place.record_index));
            assert_eq!(place.line, place.record_index + 1);
            assert_eq!(pair.envelope.group.as_deref(), group);
            assert_eq!(messages(pair)[0].role, Role::User);
            let one_answer = |text: &accordant_data::Text| match text.as_messages() {
                Some([answer]) => answer.role == Role::Assistant && !answer.content.trim().is_empty(),
                _ => false,
            };
            assert!(one_answer(&pair.chosen) && one_answer(&pair.rejected), "{}", pair.envelope.id);
            assert!(pair.envelope.meta.is_empty());
        }
        // One prompt ends with the assistant for every warning but those whose repeated turn lies further up.
        let open = pairs.iter().filter(|pair| messages(pair).last().unwrap().role == Role::Assistant).count();
        println!("{name}: {open} of {} prompts end with a turn of the assistant", pairs.len());
        assert!(open <= report.warned(Warning::Alternation));
    }
}

#[test]
fn broken_files_only_stops_at_nothing_here_and_strict_stops_at_the_first_reject() {
    let Some(folder) = folder() else { return };
    let path = folder.join("harmless-base.train.jsonl.gz");
    let options = LoadOptions { on_reject: OnReject::StopIfMalformed, ..LoadOptions::default() };
    assert_eq!(read_hh_rlhf(&path, &options).unwrap().1, load(&folder, FILES[0]).1);
    let options = LoadOptions { on_reject: OnReject::Stop, ..LoadOptions::default() };
    let message = read_hh_rlhf(&path, &options).unwrap_err().to_string();
    assert!(message.ends_with(".jsonl.gz:87: E_EMPTY: field `chosen`: the last answer is empty"), "{message}");
}
