//! Rows, processed ids and batches against what TRL's trainers made of them (`dataprep.json`; its `versions` say which).
//!
//! Where TRL does something else by default, the test asks for it: it learns every token of a completion whoever speaks
//! ([`TrainTurns::Everything`]), and cuts each side of a pair by itself ([`Truncation::apply_row`]). Its mismatched
//! completions turn around batches of two: the file does not say, its numbers do.
//!
//! Another set of the same schema is tested with `ACCORDANT_GOLDEN=folder`.
#![cfg(feature = "tokenizers")]

mod golden;

use accordant_data::{
    Code, Message, Text,
    encode::{Completion, EncodeOptions, Encoder, Extras, TrainTurns},
    hf::HfTokenizer,
    pack::{Attention, Flat, Packing, pack},
    rows::{PadSide, Padded, TokenRow, mismatched_rows},
    tokens::{Overflow, Truncation},
};
use serde_json::{Value, json};

const KL_BATCH: usize = 2;

struct Case<'a> {
    case: &'a Value,
    tokenizer: &'a HfTokenizer,
}

impl Case<'_> {
    fn encoder(&self, train_turns: TrainTurns) -> Encoder<'_> {
        Encoder::new(self.tokenizer, EncodeOptions { train_turns, ..EncodeOptions::default() }).unwrap()
    }

    fn config(&self, key: &str) -> Option<u64> {
        self.case["config"].get(key).and_then(Value::as_u64)
    }

    fn truncation(&self) -> Truncation {
        let overflow = match self.case["config"]["truncation_mode"].as_str() {
            Some("keep_end") => Overflow::KeepEnd,
            _ => Overflow::KeepStart,
        };
        let max_length = self.config("max_length").map_or(usize::MAX, |max| max as usize);
        Truncation { overflow, ..Truncation::keep_end(max_length) }
    }

    fn rows(&self) -> impl Iterator<Item = (&Value, &Value)> {
        let (rows, processed) = (self.case["rows"].as_array().unwrap(), self.case["processed"].as_array().unwrap());
        assert_eq!(rows.len(), processed.len(), "{}", self.case["id"]);
        rows.iter().zip(processed)
    }

    fn padded(&self, mut rows: Vec<TokenRow>) -> Padded {
        let limits = self.truncation();
        for row in &mut rows {
            limits.apply_row(row).unwrap();
        }
        let multiple_of = self.config("pad_to_multiple_of").unwrap_or(1) as usize;
        Padded::new(&rows, self.tokenizer.pad_id().unwrap(), PadSide::Right, multiple_of)
    }

    fn compare(&self, padded: &Padded, prefix: &str) {
        let batch = &self.case["batch"];
        let table = |values: Vec<i64>| json!(values.chunks(padded.seq).collect::<Vec<_>>());
        let bits = |values: &[bool]| table(values.iter().map(|value| i64::from(*value)).collect());
        let columns = [
            ("input_ids", table(padded.ids.clone())),
            ("attention_mask", bits(&padded.attended)),
            ("completion_mask", bits(&padded.scored)),
            ("labels", table(padded.labels())),
        ];
        for (name, got) in columns {
            if let Some(expected) = batch.get(format!("{prefix}{name}")) {
                assert_eq!(&got, expected, "{}: {prefix}{name}", self.case["id"]);
            }
        }
    }

    fn text(&self, value: &Value) -> Text {
        Text::from_json(value.clone()).unwrap()
    }

    /// Prompt, chosen and rejected; a prompt that is not given is what both sides begin with.
    fn pair(&self, row: &Value) -> (Text, Text, Text) {
        let (chosen, rejected) = (self.text(&row["chosen"]), self.text(&row["rejected"]));
        if let Some(prompt) = row.get("prompt") {
            return (self.text(prompt), chosen, rejected);
        }
        let (chosen, rejected) = (chosen.as_messages().unwrap(), rejected.as_messages().unwrap());
        let shared = chosen.iter().zip(rejected).take_while(|(a, b)| a == b).count();
        let text = |messages: &[Message]| Text::Messages(messages.to_vec());
        (text(&chosen[..shared]), text(&chosen[shared..]), text(&rejected[shared..]))
    }
}

fn dpo(case: &Case<'_>) {
    let encoder = case.encoder(TrainTurns::Everything);
    let (mut chosen, mut rejected) = (Vec::new(), Vec::new());
    let mut processed = case.case["processed"].as_array().unwrap().iter();
    let id = &case.case["id"];
    for row in case.case["rows"].as_array().unwrap() {
        let (prompt, yes, no) = case.pair(row);
        let sides = encoder.sides(&prompt, &[&yes, &no], &Extras::default()).unwrap();
        // TRL scores all that follows the shared prompt; a side whose own prompt is longer does not by default.
        let whole = |completion: &Completion| TokenRow::of(&sides.prompt, &completion.ids);
        let [first, second] = &sides.completions[..] else { panic!("two sides") };
        // Both leave out a record whose prompt alone fills the limit.
        if case.truncation().apply_row(&mut whole(first)).is_err_and(|reason| reason.code == Code::PromptFills) {
            continue;
        }
        let expected = processed.next().unwrap_or_else(|| panic!("{id}: more rows than were processed"));
        assert_eq!(json!(sides.prompt), expected["prompt_ids"], "{id}");
        assert_eq!(json!(first.ids), expected["chosen_ids"], "{id}");
        assert_eq!(json!(second.ids), expected["rejected_ids"], "{id}");
        chosen.push(whole(first));
        rejected.push(whole(second));
    }
    assert!(processed.next().is_none(), "{id}");
    case.compare(&case.padded([chosen, rejected].concat()), "");
}

fn reward(case: &Case<'_>) {
    let encoder = case.encoder(TrainTurns::Everything);
    let (mut chosen, mut rejected) = (Vec::new(), Vec::new());
    for (row, processed) in case.rows() {
        let (prompt, yes, no) = case.pair(row);
        let sides = encoder.sides(&prompt, &[&yes, &no], &Extras::default()).unwrap();
        let [first, second] = sides.rows().try_into().unwrap();
        assert_eq!(json!(first.ids), processed["chosen_ids"], "{}", case.case["id"]);
        assert_eq!(json!(second.ids), processed["rejected_ids"], "{}", case.case["id"]);
        chosen.push(TokenRow::of(&[], &first.ids));
        rejected.push(TokenRow::of(&[], &second.ids));
    }
    case.compare(&case.padded([chosen, rejected].concat()), "");
}

fn kto(case: &Case<'_>) {
    let encoder = case.encoder(TrainTurns::Completion);
    let mut records = Vec::new();
    for (row, processed) in case.rows() {
        let (prompt, completion) = (case.text(&row["prompt"]), case.text(&row["completion"]));
        let sides = encoder.sides(&prompt, &[&completion], &Extras::default()).unwrap();
        let completion = sides.completions[0].ids.clone();
        assert_eq!(json!(sides.prompt), processed["prompt_ids"]);
        assert_eq!(json!(completion), processed["completion_ids"]);
        assert_eq!(row["label"], processed["label"]);
        records.push((sides.prompt, completion));
    }
    let records: Vec<_> = records.iter().map(|(prompt, completion)| (&prompt[..], &completion[..])).collect();
    let mismatched: Vec<_> = records.chunks(KL_BATCH).flat_map(mismatched_rows).collect();
    for ((row, (prompt, _)), (_, processed)) in mismatched.iter().zip(&records).zip(case.rows()) {
        assert_eq!(json!(row.ids[prompt.len()..]), processed["KL_completion_ids"]);
    }
    case.compare(
        &case.padded(records.iter().map(|(prompt, completion)| TokenRow::of(prompt, completion)).collect()),
        "",
    );
    case.compare(&case.padded(mismatched), "KL_");
}

fn sft(case: &Case<'_>) {
    let assistant_only = case.case["config"]["assistant_only_loss"] == true;
    let encoder = case.encoder(if assistant_only { TrainTurns::Completion } else { TrainTurns::Everything });
    let mut rows = Vec::new();
    for row in case.case["rows"].as_array().unwrap() {
        rows.push(match row.get("messages") {
            Some(messages) => encoder.text(&case.text(messages), &Extras::default()).unwrap(),
            None => {
                let (prompt, completion) = (case.text(&row["prompt"]), case.text(&row["completion"]));
                encoder.sides(&prompt, &[&completion], &Extras::default()).unwrap().rows().remove(0)
            }
        });
    }
    let processed = case.case["processed"].as_array().unwrap();
    let compare = |rows: &[TokenRow]| {
        assert_eq!(rows.len(), processed.len());
        for (row, expected) in rows.iter().zip(processed) {
            assert_eq!(json!(row.ids), expected["input_ids"], "{}", case.case["id"]);
            assert_eq!(json!(row.labels()), expected["labels"], "{}", case.case["id"]);
        }
    };
    if case.case["config"]["packing"] != true {
        compare(&rows);
        return case.compare(&case.padded(rows), "");
    }
    let lengths: Vec<_> = rows.iter().map(|row| row.ids.len()).collect();
    let bins = pack(&lengths, case.truncation().max_length, Packing::Bfd).unwrap();
    let bins: Vec<_> = bins.iter().map(|bin| Flat::pieces(&rows, bin)).collect();
    let join = |bin: &Vec<TokenRow>| TokenRow {
        ids: bin.iter().flat_map(|row| row.ids.clone()).collect(),
        mask: bin.iter().flat_map(|row| row.mask.clone()).collect(),
    };
    compare(&bins.iter().map(join).collect::<Vec<_>>());
    let flat = Flat::new(&bins.concat(), Attention::Isolates).unwrap();
    let columns = [
        ("input_ids", json!([flat.ids])),
        ("labels", json!([flat.labels])),
        ("position_ids", json!([flat.position_ids])),
        ("cu_seq_lens_q", json!(flat.cu_seqlens)),
        ("cu_seq_lens_k", json!(flat.cu_seqlens)),
        ("max_length_q", json!(flat.max_seqlen)),
        ("max_length_k", json!(flat.max_seqlen)),
        ("seq_idx", json!([flat.sequence_ids])),
    ];
    for (name, got) in columns {
        assert_eq!(got, case.case["batch"][name], "{}: {name}", case.case["id"]);
    }
}

#[test]
fn golden_rows_and_batches_of_trl() {
    let file = golden::folder().join("dataprep.json");
    let set: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(set["schema"], "golden-dataprep-1");
    let folder = set["tokenizer"].as_str().unwrap().split(' ').next().unwrap();
    let tokenizer = HfTokenizer::load(golden::folder().join(folder)).unwrap();
    let cases = set["cases"].as_array().unwrap();
    for case in cases {
        let id = case["id"].as_str().unwrap();
        let case = Case { case, tokenizer: &tokenizer };
        match id.split('/').next().unwrap() {
            "dpo" => dpo(&case),
            "reward" => reward(&case),
            "kto" => kto(&case),
            "sft" => sft(&case),
            other => panic!("no test for the family `{other}` of `{id}`"),
        }
    }
    println!("{} data preparation cases", cases.len());
    assert!(!cases.is_empty());
}
