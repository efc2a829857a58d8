//! The published data sets, each read by its name or by what its rows look like.
//!
//! Start with [`load_source`]. Each family is one file with a [`Source`] and one line in [`all`]; a family whose rows
//! need no code is a [`field_map::FieldMap`], a table that a file can hold, too.
//!
//! | source | file | records |
//! |---|---|---|
//! | `hh_rlhf`, `hh_red_team` | [`crate::hh_rlhf`], [`hh_red_team`] | pairs; rated dialogs |
//! | `ultrafeedback`, `ultrafeedback_binarized` | [`ultrafeedback`], [`ultrafeedback_binarized`] | rated; pairs |
//! | `helpsteer2`, `helpsteer3` | [`helpsteer2`], [`helpsteer3`] | rated, comparisons; comparisons, edits, pairs |
//! | `oasst`, `oasst_rm` | [`oasst`] | trees; ranked |
//! | `shp` | [`shp`] | comparisons |
//! | `summarize_from_feedback` | [`summarize`] | comparisons, rated |
//! | `reward_bench` | [`reward_bench`] | pairs, ranked |
//! | `alpaca_eval` | [`alpaca_eval`] | comparisons |
//! | `mt_bench` | [`mt_bench`] | comparisons, rated |
//! | `arena` | [`arena`] | comparisons |
//! | `prism` | [`prism`] | ranked, and a table of users |
//! | `personal_llm` | [`personal_llm`] | rated, pairs, and simulated users |
//! | `prm800k`, `math_shepherd` | [`prm800k`], [`math_shepherd`] | stepwise |
//! | `sharegpt` | [`sharegpt`] | pairs, unpaired |
//! | `dove` | [`dove`] | joint pairs |
//! | `persona` | [`persona`] | pairs |
//! | `llmfao`, `judgments` | [`judgments`] | comparisons of named items |
//! | `star_wars_survey`, `food_world_cup` | [`surveys`] | ranked, rated |
//! | `segments` (feature `npz`) | `segments` | segment pairs |
//! | `multipref`, `compar_ia` | [`multipref`], [`compar_ia`] | comparisons |
//! | `coig_p`, `wildfeedback`, `dilemmas`, `value_prism`, `pref_eval`, `hpd` | [`field_map::built_in`] | by their tables |
//!
//! [`castles`] and [`choix_cases`] are read by functions of their own, since a file or a row of theirs is no record.

pub mod alpaca_eval;
pub mod arena;
pub mod castles;
pub mod choix_cases;
pub mod compar_ia;
pub mod dove;
pub mod draft;
pub mod field_map;
pub mod helpsteer2;
pub mod helpsteer3;
pub mod hh_red_team;
pub mod judgments;
pub mod math_shepherd;
pub mod mt_bench;
pub mod multipref;
mod numbered;
pub mod oasst;
pub mod persona;
pub mod personal_llm;
pub mod prism;
pub mod prm800k;
pub mod reward_bench;
#[cfg(feature = "npz")]
pub mod segments;
pub mod sharegpt;
pub mod shp;
pub mod summarize;
pub mod surveys;
pub mod ultrafeedback;
pub mod ultrafeedback_binarized;

use std::{collections::BTreeMap, fmt, path::Path};

use serde_json::{Map, Value};

use crate::{
    error::{Error, Result},
    read::{Given, JsonLines, LoadOptions, OnReject, RowReader, read_rows},
    record::Record,
    report::{LoadReport, Reason},
    row::{Place, Row},
};

/// A family of data sets.
pub trait Source: fmt::Debug + Send + Sync {
    /// Its name, such as `shp`.
    fn name(&self) -> &str;

    /// What it is, in one line.
    fn about(&self) -> &str;

    /// Whether a row looks like one of this family's and of no other's.
    fn sniff(&self, row: &Map<String, Value>) -> bool;

    /// What makes records of its rows. A reader holds what it has seen: each file takes a new one.
    fn reader(&self) -> Reader;

    /// Reads a file.
    ///
    /// # Errors
    /// Those of [`crate::read::read_jsonl`].
    fn load(&self, path: &Path, options: &LoadOptions) -> Result<(Vec<Record>, LoadReport)> {
        read_rows(path, options, self.reader())
    }
}

/// The reader of any source.
pub struct Reader(Box<dyn RowReader<Record = Record> + Send>);

impl Reader {
    /// Hides which one it is.
    pub fn new(reader: impl RowReader<Record = Record> + Send + 'static) -> Self {
        Self(Box::new(reader))
    }
}

impl RowReader for Reader {
    type Record = Record;

    fn row(&mut self, row: Row<'_>) -> Result<Given<Record>, Reason> {
        self.0.row(row)
    }

    fn late(&mut self, end: bool) -> (Vec<Record>, Vec<(Place, Reason)>) {
        self.0.late(end)
    }
}

/// All families, with their usual options, in the order in which [`sniff`] asks them.
pub fn all() -> Vec<Box<dyn Source>> {
    let mut all: Vec<Box<dyn Source>> = vec![
        Box::new(crate::hh_rlhf::HhRlhf::default()),
        Box::new(hh_red_team::HhRedTeam),
        Box::new(ultrafeedback::Ultrafeedback::default()),
        Box::new(ultrafeedback_binarized::UltrafeedbackBinarized::default()),
        Box::new(helpsteer2::HelpSteer2::default()),
        Box::new(helpsteer3::HelpSteer3),
        Box::new(oasst::Oasst),
        Box::new(oasst::OasstRm::default()),
        Box::new(shp::Shp::default()),
        Box::new(summarize::Summarize::default()),
        Box::new(reward_bench::RewardBench),
        Box::new(alpaca_eval::AlpacaEval),
        Box::new(mt_bench::MtBench),
        Box::new(arena::Arena::default()),
        Box::new(multipref::MultiPref),
        Box::new(compar_ia::ComparIa),
        Box::new(prism::Prism::default()),
        Box::new(personal_llm::PersonalLlm),
        Box::new(prm800k::Prm800k),
        Box::new(math_shepherd::MathShepherd),
        Box::new(sharegpt::ShareGpt),
        Box::new(dove::Dove),
        Box::new(persona::Persona),
        Box::new(judgments::Llmfao),
        Box::new(judgments::Judgments),
        Box::new(surveys::StarWars),
        Box::new(surveys::FoodWorldCup),
        #[cfg(feature = "npz")]
        Box::new(segments::Segments),
    ];
    all.extend(field_map::built_in().into_iter().map(|map| Box::new(map) as Box<dyn Source>));
    all
}

/// The families that take a row for one of theirs: one, or none for rows that are of no family.
pub fn sniff(row: &Map<String, Value>) -> Vec<Box<dyn Source>> {
    all().into_iter().filter(|source| source.sniff(row)).collect()
}

/// The family of this name.
///
/// # Errors
/// [`Error::UnknownSource`] with all names.
pub fn by_name(name: &str) -> Result<Box<dyn Source>> {
    let found = all().into_iter().find(|source| source.name() == name);
    found.ok_or_else(|| Error::UnknownSource {
        name: name.to_owned(),
        known: all().iter().map(|source| source.name().to_owned()).collect(),
    })
}

/// Reads a file of a family that is named or, without a name, told by the first row that is an object.
///
/// # Errors
/// [`Error::UnknownSource`]; [`Error::NoSource`] if no family or more than one takes the first row for its own; those of
/// [`crate::read::read_jsonl`].
///
/// # Example
/// ```
/// use accordant_data::{LoadOptions, Record, load_source};
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("agreeableness.jsonl");
/// let row = r#"{"question": "Are you kind?", "statement": "I am kind", "label_confidence": 0.9,
///     "answer_matching_behavior": " Yes", "answer_not_matching_behavior": " No"}"#.replace('\n', " ");
/// std::fs::write(&path, row)?;
/// let (records, report) = load_source(&path, None, &LoadOptions::default())?;
/// let [Record::Pair(pair)] = &records[..] else { panic!("a pair") };
/// assert_eq!(pair.chosen.as_plain(), Some(" Yes"));
/// assert_eq!(report.used, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn load_source(
    path: impl AsRef<Path>,
    name: Option<&str>,
    options: &LoadOptions,
) -> Result<(Vec<Record>, LoadReport)> {
    let path = path.as_ref();
    let source = match name {
        Some(name) => by_name(name)?,
        None => told_by_first_row(path, options)?,
    };
    source.load(path, options)
}

/// The family that takes the first readable row of a file for its own.
fn told_by_first_row(path: &Path, options: &LoadOptions) -> Result<Box<dyn Source>> {
    #[cfg(feature = "npz")]
    if crate::container::ending(path) == "npz" {
        return Ok(Box::new(segments::Segments));
    }
    // Repaired, so that a header in another encoding, which the source may know, is no obstacle.
    let options = LoadOptions { on_reject: OnReject::Skip, repair: true, max_reject_fraction: 1.0, ..options.clone() };
    let mut rows = JsonLines::open(path, &options, |row: Row<'_>| Ok(row.fields.into_rest()))?;
    let first = rows.next().transpose()?.unwrap_or_default();
    let mut found = sniff(&first);
    match (found.pop(), found.is_empty()) {
        (Some(source), true) => Ok(source),
        (last, _) => Err(Error::NoSource {
            path: path.to_path_buf(),
            fields: first.keys().cloned().collect(),
            candidates: found.iter().chain(&last).map(|source| source.name().to_owned()).collect(),
        }),
    }
}

/// Whether a row has all these fields, null or not.
pub(crate) fn has_all(row: &Map<String, Value>, names: &[&str]) -> bool {
    names.iter().all(|name| row.contains_key(*name))
}

/// Whether a row has none of these fields.
pub(crate) fn has_none(row: &Map<String, Value>, names: &[&str]) -> bool {
    !names.iter().any(|name| row.contains_key(*name))
}

/// Rows of one family that were counted for one key, such as the comparisons of one post.
pub(crate) type Counts = BTreeMap<String, usize>;

#[cfg(test)]
pub(crate) mod testing {
    //! What the tests of all families share.

    use super::*;

    /// Reads rows as a file of a family.
    pub(crate) fn load_as(source: &dyn Source, file: &str, rows: &[Value]) -> (Vec<Value>, LoadReport) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(file);
        let text: Vec<_> = rows.iter().map(Value::to_string).collect();
        std::fs::write(&path, text.join("\n")).unwrap();
        let options = LoadOptions { max_reject_fraction: 1.0, ..LoadOptions::default() };
        match source.load(&path, &options) {
            Ok((records, report)) => {
                assert!(report.is_conserved(), "{report}");
                let json = |record: &Record| serde_json::to_value(record).unwrap();
                (records.iter().map(json).collect(), report)
            }
            // All rows rejected: what is wrong with the first is told by `reason`.
            Err(error) => panic!("{error}"),
        }
    }

    /// [`load_as`] of `rows.jsonl`.
    pub(crate) fn load(source: &dyn Source, rows: &[Value]) -> (Vec<Value>, LoadReport) {
        load_as(source, "rows.jsonl", rows)
    }

    /// The one record of one row.
    pub(crate) fn one(source: &dyn Source, row: Value) -> Value {
        let (mut records, report) = load(source, &[row]);
        assert_eq!(records.len(), 1, "{report}");
        records.remove(0)
    }

    /// Why a row is rejected.
    pub(crate) fn reason(source: &dyn Source, row: Value) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.jsonl");
        std::fs::write(&path, row.to_string()).unwrap();
        let options = LoadOptions { on_reject: OnReject::Stop, ..LoadOptions::default() };
        match source.load(&path, &options) {
            Err(Error::Rejected(reject)) => format!("{}: {}", reject.code, reject.message),
            other => panic!("expected a reject, got {other:?}"),
        }
    }

    /// A row with some fields set to other values; null takes one out.
    pub(crate) fn but(row: &Value, fields: Value) -> Value {
        let mut row = row.as_object().unwrap().clone();
        for (key, value) in fields.as_object().unwrap() {
            if value.is_null() {
                row.shift_remove(key);
            } else {
                row.insert(key.clone(), value.clone());
            }
        }
        Value::Object(row)
    }

    /// The one warning of one row.
    pub(crate) fn warnings(source: &dyn Source, row: Value) -> Vec<&'static str> {
        load(source, &[row]).1.warnings.keys().map(|warning| warning.as_str()).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// One row of every shape of every family.
    fn samples() -> Vec<(&'static str, Value)> {
        let hh = "\n\nHuman: q\n\nAssistant: a";
        let talk = json!([{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]);
        vec![
            ("hh_rlhf", json!({"chosen": hh, "rejected": hh})),
            ("hh_red_team", json!({"transcript": hh, "min_harmlessness_score_transcript": 1.0, "rating": 0})),
            (
                "ultrafeedback",
                json!({"source": "s", "instruction": "q", "models": [], "completions": [{"response": "a"}]}),
            ),
            (
                "ultrafeedback_binarized",
                json!({"prompt": "q", "prompt_id": "i", "chosen": talk, "rejected": talk,
                "messages": talk, "score_chosen": 1, "score_rejected": 0}),
            ),
            (
                "helpsteer2",
                json!({"prompt": "q", "response": "a", "helpfulness": 1, "correctness": 1, "coherence": 1,
                "complexity": 1, "verbosity": 1}),
            ),
            (
                "helpsteer2",
                json!({"split": "train", "prompt": "q", "response_1": "a", "response_2": "b",
                "preference_strength": 1, "preference_statement": "s"}),
            ),
            (
                "helpsteer3",
                json!({"domain": "d", "language": "l", "context": talk, "response1": "a", "response2": "b",
                "overall_preference": 1, "individual_preference": []}),
            ),
            (
                "helpsteer3",
                json!({"domain": "d", "language": "l", "context": talk, "response": "a", "feedback": ["f"]}),
            ),
            (
                "helpsteer3",
                json!({"context": talk, "original_response": "a", "edited_response": "b", "feedback": ["f"]}),
            ),
            (
                "helpsteer3",
                json!({"context": talk, "original_response": "a", "good_edited_response": "b",
                "bad_edited_response": "c"}),
            ),
            ("oasst", json!({"message_tree_id": "t", "tree_state": "ready_for_export", "prompt": {"message_id": "t"}})),
            (
                "oasst",
                json!({"message_id": "m", "parent_id": null, "message_tree_id": "t", "text": "x", "role": "prompter"}),
            ),
            ("oasst", json!({"thread_id": "t", "thread": []})),
            (
                "shp",
                json!({"post_id": "p", "domain": "d_train", "history": "q", "human_ref_A": "a", "human_ref_B": "b",
                "labels": 1, "score_A": 2, "score_B": 1}),
            ),
            ("summarize_from_feedback", json!({"info": {}, "summaries": [], "choice": 0, "worker": "w", "batch": "b"})),
            (
                "summarize_from_feedback",
                json!({"info": {}, "summary": {}, "worker": "w", "batch": "b", "split": "test"}),
            ),
            (
                "reward_bench",
                json!({"prompt": "q", "chosen": "a", "chosen_model": "m", "rejected": "b",
                "rejected_model": "n", "subset": "s", "id": 1}),
            ),
            (
                "reward_bench",
                json!({"id": "1", "prompt": "q", "chosen": ["a"], "rejected": ["b"], "num_correct": 1,
                "num_incorrect": 1, "total_completions": 2, "models": [], "subset": "Focus"}),
            ),
            (
                "alpaca_eval",
                json!({"instruction": "q", "output_1": "a", "generator_1": "g", "output_2": "b",
                "generator_2": "h", "dataset": "d", "annotator": "j", "preference": 1.0}),
            ),
            (
                "mt_bench",
                json!({"question_id": 1, "model_a": "m", "model_b": "n", "winner": "tie", "judge": "expert_1",
                "conversation_a": talk, "conversation_b": talk, "turn": 1}),
            ),
            (
                "mt_bench",
                json!({"question_id": 1, "model_1": "m", "model_2": "n", "g1_winner": "tie", "g2_winner": "tie",
                "judge": [], "g1_judgment": "", "g2_judgment": "", "turn": 1, "tstamp": 1.0}),
            ),
            (
                "mt_bench",
                json!({"question_id": 1, "model": "m", "judge": [], "user_prompt": "u", "judgment": "j",
                "score": 1, "turn": 1, "tstamp": 1.0}),
            ),
            (
                "arena",
                json!({"question_id": "x", "model_a": "m", "model_b": "n", "winner": "tie", "judge": "arena_user_1",
                "conversation_a": talk, "conversation_b": talk, "turn": 1, "anony": true, "language": "English", "tstamp": 1.0}),
            ),
            (
                "arena",
                json!({"id": 1, "model_a": "m", "model_b": "n", "prompt": "[]", "response_a": "[]", "response_b": "[]",
                "winner_model_a": 1, "winner_model_b": 0, "winner_tie": 0}),
            ),
            (
                "arena",
                json!({"id": "1", "model_a": "m", "model_b": "n", "winner": "both_bad", "evaluation_session_id": "e",
                "conversation_a": talk, "conversation_b": talk, "conv_metadata": {}}),
            ),
            (
                "prism",
                json!({"conversation_id": "c", "user_id": "u", "opening_prompt": "q", "conversation_history": []}),
            ),
            (
                "prism",
                json!({"utterance_id": "t", "interaction_id": "i", "conversation_id": "c", "user_id": "u", "turn": 0,
                "user_prompt": "q", "model_response": "a", "score": 1, "if_chosen": true}),
            ),
            ("personal_llm", json!({"prompt": "q", "response_1": "a", "response_2": "b", "response_1_gemma": 1.0})),
            (
                "personal_llm",
                json!({"person_id": 1, "prompt_1": "q", "response_1_a": "a", "response_1_b": "b", "chosen_1": "a"}),
            ),
            ("prm800k", json!({"labeler": "l", "question": {"problem": "q"}, "label": {"steps": []}})),
            ("math_shepherd", json!({"input": "q Step 1: a \u{43a}\u{438}", "label": "q Step 1: a +", "task": "MATH"})),
            ("sharegpt", json!({"conversations": [], "chosen": {"from": "gpt"}, "rejected": {"from": "gpt"}})),
            ("sharegpt", json!({"messages": talk, "label": true})),
            ("sharegpt", json!({"chosen_messages": talk, "rejected_messages": talk})),
            ("dove", json!({"i_chosen": "q", "r_chosen": "a", "i_reject": "q", "r_reject": "b"})),
            (
                "persona",
                json!({"question": "q", "statement": "s", "label_confidence": 1.0,
                "answer_matching_behavior": " Yes", "answer_not_matching_behavior": " No"}),
            ),
            (
                "multipref",
                json!({"comparison_id": "c", "text": "q", "completion_a": "a", "completion_b": "b", "model_a": "m",
                "model_b": "n", "normal_worker_annotations": []}),
            ),
            (
                "compar_ia",
                json!({"model_a_name": "m", "model_b_name": "n", "chosen_model_name": null, "both_equal": true,
                "conversation_a": talk, "conversation_b": talk}),
            ),
            (
                "llmfao",
                json!({"id": "0", "prompt": "1", "model_x": "1", "model_y": "2", "worker": "3", "winner": "tie",
                "left": "a", "right": "b"}),
            ),
            ("judgments", json!({"left": "a", "right": "b", "winner": "tie"})),
            (
                "star_wars_survey",
                json!({"RespondentID": null, "Which of the following Star Wars films have you seen?": "x"}),
            ),
            (
                "food_world_cup",
                json!({"RespondentID": "1",
                "Please rate how much you like the traditional cuisine of Algeria:": "1"}),
            ),
            (
                "coig_p",
                json!({"conversations": [], "chosen": {"from": "gpt"}, "rejected": {"from": "gpt"},
                "chosen_score": 1, "rejected_score": 0}),
            ),
            ("wildfeedback", json!({"conversation": talk, "preferences": [], "preferred": "a", "dispreferred": "b"})),
            ("dilemmas", json!({"dilemma": "d", "action_1": "a", "action_2": "b", "values_1": [], "values_2": []})),
            ("value_prism", json!({"situation": "s", "vrd": "Value", "text": "t", "explanation": "e"})),
            ("pref_eval", json!({"preference": "p", "question": "q", "explanation": "e"})),
            ("hpd", json!({"prompt": "q", "image_path": ["1", "2"], "human_preference": [1, 0]})),
            #[cfg(feature = "npz")]
            ("segments", json!({"obs_1": [], "obs_2": [], "action_1": [], "action_2": [], "label": 0})),
        ]
    }

    #[test]
    fn every_row_is_told_as_its_familys_and_as_no_others() {
        for (name, row) in samples() {
            let found = sniff(row.as_object().unwrap());
            let names: Vec<_> = found.iter().map(|source| source.name()).collect();
            assert_eq!(names, [name], "{row}");
        }
    }

    #[test]
    fn every_family_has_a_name_of_its_own_a_line_about_it_and_a_sample() {
        let all = all();
        let names: Vec<_> = all.iter().map(|source| source.name()).collect();
        for (i, source) in all.iter().enumerate() {
            assert!(!names[..i].contains(&source.name()), "{} stands twice", source.name());
            assert!(source.about().len() > 20, "{}", source.name());
            let sampled = samples().iter().any(|(name, _)| *name == source.name());
            assert_eq!(sampled, source.name() != "oasst_rm", "{}", source.name());
            assert_eq!(by_name(source.name()).unwrap().name(), source.name());
        }
    }

    #[test]
    fn records_in_their_own_form_are_of_no_family() {
        for row in [
            json!({"prompt": "q", "chosen": "a", "rejected": "b"}),
            json!({"prompt": "q", "completion": "a", "label": true}),
            json!({}),
        ] {
            assert!(sniff(row.as_object().unwrap()).is_empty(), "{row}");
        }
    }

    #[test]
    fn a_file_that_cannot_be_told_says_what_it_has() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.jsonl");
        let told = |text: &str, name: Option<&str>| {
            std::fs::write(&path, text).unwrap();
            let error = load_source(&path, name, &LoadOptions::default()).unwrap_err().to_string();
            error.replace(&folder.path().display().to_string(), "")
        };
        let none = told(r#"{"q": 1, "r": 2}"#, None);
        assert_eq!(none, "`/rows.jsonl`: no known source has such rows; its fields are q, r: name the source");
        let two = r#"{"left": "a", "right": "b", "winner": "tie", "i_chosen": 1, "r_chosen": 1, "i_reject": 1, "r_reject": 1}"#;
        assert!(
            told(two, None).starts_with("`/rows.jsonl`: rows of dove or judgments; its fields are left, "),
            "{}",
            told(two, None)
        );
        let unknown = told("{}", Some("shpp"));
        assert!(unknown.starts_with("`shpp` is no known source; known are hh_rlhf, "), "{unknown}");
        assert!(matches!(
            load_source(folder.path().join("none"), None, &LoadOptions::default()),
            Err(Error::Open { .. })
        ));
        // The first line is broken: the second tells the family.
        std::fs::write(&path, "{\n{\"left\": \"a\", \"right\": \"b\", \"winner\": \"tie\"}").unwrap();
        let (records, report) = load_source(&path, None, &LoadOptions::default()).unwrap();
        assert_eq!((records.len(), report.total_rejected()), (1, 1));
    }
}
