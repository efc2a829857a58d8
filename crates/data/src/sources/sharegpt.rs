//! Conversations in the layout of ShareGPT, as LLaMA-Factory reads them for DPO and KTO.
//!
//! **Origin:** `hiyouga/LLaMA-Factory`, `data/README.md`, its files `dpo_en_demo.json`, `kto_en_demo.json` and
//! `v1_dpo_demo.jsonl`.
//! **Format:** three shapes. DPO: `conversations` of `{from, value}` and one such answer each in `chosen` and
//! `rejected`. KTO: `messages` that end with the assistant's, and a `label` that is **true for a good answer**. Version 1:
//! `chosen_messages` and `rejected_messages`, whole conversations of `{role, content, loss_weight}`.
//! **Records:** pairs, unpaired, pairs.
//! **Quirks:** in version 1 the text of a part is called `value`, and the weight of a turn in the loss, 0 or 1, is read as
//! whether it is trained; another weight stays in the message.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::{
    Reader, Source,
    draft::{Draft, Drafts, Rows},
    has_all, has_none,
};
use crate::{
    record::{Fields, Kind, as_list},
    report::{Code, Reason},
};

/// Conversations in the layout of ShareGPT.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ShareGpt;

fn draft(row: &mut Fields<'_>) -> Result<Drafts, Reason> {
    if row.has("chosen_messages") {
        let draft = Draft::new(Kind::Pair).with("chosen", version_1(row, "chosen_messages")?);
        let draft = draft.with("rejected", version_1(row, "rejected_messages")?);
        return Ok(draft.named("chosen", "chosen_messages").named("rejected", "rejected_messages").into());
    }
    if row.has("label") {
        let mut messages = as_list(row.need("messages", "a list of messages")?, "messages")?;
        let answer = messages.pop();
        let is_answer = answer.as_ref().is_some_and(|last| matches!(speaker(last), Some("assistant" | "gpt")));
        if !is_answer {
            return Err(Reason::field(Code::NoAssistant, "messages", "the last message is not the assistant's"));
        }
        let draft = Draft::new(Kind::Unpaired).with("completion", json!([answer])).with("prompt", messages);
        let draft = draft.named("completion", "messages").named("prompt", "messages");
        return Ok(draft.need("label", row, "label")?.take("system", row, "system").into());
    }
    let draft = Draft::new(Kind::Pair).need("prompt", row, "conversations")?.take("system", row, "system");
    let mut side = |name| Ok::<_, Reason>(json!([row.need(name, "a message")?]));
    let (chosen, rejected) = (side("chosen")?, side("rejected")?);
    Ok(draft.with("chosen", chosen).with("rejected", rejected).take("tools", row, "tools").into())
}

fn speaker(message: &Value) -> Option<&str> {
    message.get("role").or_else(|| message.get("from"))?.as_str()
}

/// The messages of version 1, in the names of everybody else.
fn version_1(row: &mut Fields<'_>, name: &str) -> Result<Value, Reason> {
    let mut messages = as_list(row.need(name, "a list of messages")?, name)?;
    for message in messages.iter_mut().filter_map(Value::as_object_mut) {
        let parts = message.get_mut("content").and_then(Value::as_array_mut);
        for part in parts.into_iter().flatten().filter_map(Value::as_object_mut) {
            if part.get("type") == Some(&json!("text")) && !part.contains_key("text") && part.contains_key("value") {
                let text = part.shift_remove("value").unwrap_or_default();
                part.insert("text".into(), text);
            }
        }
        let train = match message.get("loss_weight").and_then(Value::as_f64) {
            Some(0.0) => false,
            Some(1.0) => true,
            _ => continue,
        };
        message.shift_remove("loss_weight");
        message.insert("train".into(), train.into());
    }
    Ok(messages.into())
}

impl Source for ShareGpt {
    fn name(&self) -> &str {
        "sharegpt"
    }

    fn about(&self) -> &str {
        "Conversations in the layout of ShareGPT, with two answers, a label, or as two lists of messages"
    }

    fn sniff(&self, row: &Map<String, Value>) -> bool {
        let one_answer = |name: &str| row.get(name).is_some_and(|answer| answer.is_object());
        has_all(row, &["chosen_messages", "rejected_messages"])
            || has_all(row, &["messages", "label"])
            || has_all(row, &["conversations"])
                && one_answer("chosen")
                && one_answer("rejected")
                && has_none(row, &["chosen_score"])
    }

    fn reader(&self) -> Reader {
        Reader::new(Rows::new(self.name(), |row: &mut Fields<'_>, _: &Path| draft(row)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::testing::{but, one, reason};

    #[test]
    fn the_answers_of_dpo_follow_the_conversation() {
        let row = json!({"conversations": [{"from": "system", "value": "s"}, {"from": "human", "value": "q"}],
            "chosen": {"from": "gpt", "value": "yes"}, "rejected": {"from": "gpt", "value": "no"}});
        let record = one(&ShareGpt, row);
        assert_eq!((&record["chosen"][0]["content"], &record["rejected"][0]["content"]), (&json!("yes"), &json!("no")));
        assert_eq!(record["prompt"][1], json!({"role": "user", "content": "q"}));
    }

    #[test]
    fn true_is_a_good_answer_and_false_a_bad_one() {
        let row = json!({"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}], "label": true});
        let record = one(&ShareGpt, row.clone());
        assert_eq!((&record["label"], &record["completion"][0]["content"]), (&json!(true), &json!("a")));
        assert_eq!(record["prompt"], json!([{"role": "user", "content": "q"}]));
        assert_eq!(one(&ShareGpt, but(&row, json!({"label": false})))["label"], false);
        let told = reason(&ShareGpt, but(&row, json!({"messages": [{"role": "user", "content": "q"}]})));
        assert_eq!(told, "E_NO_ASSISTANT: field `messages`: the last message is not the assistant's");
    }

    #[test]
    fn version_1_shares_its_prompt_and_its_loss_weights_are_switches() {
        let says = |text: &str, weight: f64| {
            json!([{"role": "user", "content": [{"type": "text", "value": "q"}], "loss_weight": 0.0},
                {"role": "assistant", "content": [{"type": "text", "value": text}], "loss_weight": weight}])
        };
        let record = one(&ShareGpt, json!({"chosen_messages": says("yes", 1.0), "rejected_messages": says("no", 0.5)}));
        assert_eq!(record["prompt"].as_array().unwrap().len(), 1);
        assert_eq!(record["prompt"][0]["content"][0]["text"], "q");
        assert_eq!((&record["prompt"][0]["train"], &record["chosen"][0]["train"]), (&json!(false), &json!(true)));
        assert_eq!(record["rejected"][0]["loss_weight"], 0.5);
        assert_eq!(record["chosen"][0]["content"][0]["text"], "yes");
    }
}
