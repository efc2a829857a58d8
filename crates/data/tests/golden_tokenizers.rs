//! Encodings, decodings and chat templates against what `tokenizers` and `transformers` gave
//! (`tokenizers_expected.json`; its `versions` say which). Ids and texts are compared exactly.
//!
//! Another set of the same schema is tested with `ACCORDANT_GOLDEN=folder`.
#![cfg(feature = "tokenizers")]

mod golden;

use std::path::PathBuf;

use accordant_data::{
    hf::HfTokenizer,
    template::{ChatTemplate, Conversation},
};
use serde_json::Value;

fn checkpoints() -> PathBuf {
    golden::folder().join("checkpoints")
}

fn expected() -> Value {
    let file = checkpoints().join("tokenizers_expected.json");
    let set: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(set["schema"], "golden-tokenizers-1");
    set
}

fn ids(value: &Value) -> Vec<u32> {
    serde_json::from_value(value.clone()).unwrap()
}

#[test]
fn golden_encodings_and_decodings() {
    let mut cases = 0;
    for (name, set) in expected()["tokenizers"].as_object().unwrap() {
        let tokenizer = HfTokenizer::load(checkpoints().join(format!("tokenizer_{name}"))).unwrap();
        assert_eq!(tokenizer.vocab_size() as u64, set["vocab_size"].as_u64().unwrap());
        let special = |key: &str| (set["special_tokens"][key][0].as_str(), set["special_tokens"][key][1].as_u64());
        let (bos, eos) = (tokenizer.bos().unwrap(), tokenizer.eos().unwrap());
        assert_eq!((Some(&bos.text[..]), Some(u64::from(bos.id))), special("bos"));
        assert_eq!((Some(&eos.text[..]), Some(u64::from(eos.id))), special("eos"));
        assert_eq!(Some(u64::from(tokenizer.pad_id().unwrap())), special("pad").1);
        for case in set["encode"].as_array().unwrap() {
            let text = case["text"].as_str().unwrap();
            let got = tokenizer.encode(text, true).unwrap();
            assert_eq!(got, ids(&case["ids"]), "{name}: {text:?}");
            assert_eq!(tokenizer.encode_with_offsets(text, &[]).unwrap().ids, got, "{name}: {text:?}");
            assert_eq!(tokenizer.decode(&got, false).unwrap(), case["decoded"].as_str().unwrap(), "{name}: {text:?}");
            let skipped = tokenizer.decode(&got, true).unwrap();
            assert_eq!(skipped, case["decoded_skip_special"].as_str().unwrap(), "{name}: {text:?}");
            cases += 1;
        }
    }
    println!("{cases} encodings");
    assert!(cases > 0);
}

#[test]
fn golden_renderings_and_assistant_masks() {
    let set = expected();
    let (mut texts, mut errors, mut masks) = (0, 0, 0);
    for (name, expected) in set["tokenizers"].as_object().unwrap() {
        let tokenizer = HfTokenizer::load(checkpoints().join(format!("tokenizer_{name}"))).unwrap();
        for case in expected["renderings"].as_array().unwrap() {
            let file = checkpoints().join(format!("templates/{}.jinja", case["template"].as_str().unwrap()));
            let source = std::fs::read_to_string(&file).unwrap();
            let template = ChatTemplate::new(source, case["template"].as_str().unwrap()).unwrap();
            let conversations = set["conversations"].as_array().unwrap();
            let given = conversations.iter().find(|given| given["name"] == case["conversation"]).unwrap();
            let flag = |key: &str| case[key].as_bool().unwrap_or(false);
            let conversation = Conversation {
                messages: given["messages"].as_array().unwrap().clone(),
                tools: given.get("tools").cloned(),
                add_generation_prompt: flag("add_generation_prompt"),
                continue_final_message: flag("continue_final_message"),
                ..Conversation::default()
            };
            // `transformers` takes the text of special tokens in messages for special tokens.
            let rendered = tokenizer.render(&template, &conversation, true);
            let what = format!("{name}: {} of {}", case["template"], case["conversation"]);
            if case.get("error").is_some() {
                assert!(rendered.is_err(), "{what}");
                errors += 1;
                continue;
            }
            let rendered = rendered.unwrap_or_else(|reason| panic!("{what}: {reason}"));
            assert_eq!(rendered.text, case["text"].as_str().unwrap(), "{what}");
            texts += 1;
            let Some(expected_ids) = case.get("ids") else { continue };
            let encoded = tokenizer.encode_with_offsets(&rendered.text, &rendered.literals).unwrap();
            assert_eq!(encoded.ids, ids(expected_ids), "{what}");
            let mask: Vec<u32> = encoded
                .offsets
                .iter()
                .map(|place| {
                    let learned = |span: &std::ops::Range<usize>| place.start < span.end && place.end > span.start;
                    u32::from(rendered.generation.iter().any(learned))
                })
                .collect();
            assert_eq!(mask, ids(&case["assistant_mask"]), "{what}");
            masks += 1;
        }
    }
    println!("{texts} renderings, {errors} templates that must fail, {masks} assistant masks");
    assert!(texts > 0 && errors > 0 && masks > 0);
}
