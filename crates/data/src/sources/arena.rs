//! Chatbot Arena: battles of two models whose names people did not see.
//!
//! **Paper:** Chatbot Arena (2024), 2403.04132; data cards `lmsys/chatbot_arena_conversations` (33k), the competition
//! `lmsys-chatbot-arena` (55k), `lmarena-ai/arena-human-preference-100k` and `-140k`.
//! **Records:** comparisons with `a` = `model_a`; the annotator is the judge. A battle is about whole conversations: the
//! prompt is what the user asked first, and each side all that follows.
//! **Quirks:** the 55k release has strings that hold JSON lists, whose elements may be null, and three columns of which
//! one is 1; `tie (bothbad)`, `bothbad` and `both_bad` are one outcome. Counts of `conv_metadata` are the style.
//! **Presets:** [`Arena::for_ratings`], the cleaning of FastChat's `clean_battle_data.py`. Its lists of words and banned
//! users change with the site and are the user's to give.

use std::{collections::HashMap, path::Path};

use serde_json::{Map, Value, json};

use super::{
    Reader, Source,
    draft::{Draft, Drafts, Rows},
    has_all,
};
use crate::{
    record::{Fields, Kind, as_list, as_text, describe},
    report::{Code, Reason},
    text::{Role, Text},
};

/// A model that has another name before a time.
#[derive(Debug, Clone, PartialEq)]
pub struct Rename {
    /// The name in the file.
    pub from: String,
    /// The name it gets.
    pub to: String,
    /// Only battles before this time, in seconds since 1970; none: all.
    pub before: Option<f64>,
}

/// Chatbot Arena. Each rule that leaves rows out counts them under the name that stands with it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Arena {
    /// `not_anonymous`: battles whose models were shown.
    pub anonymous_only: bool,
    /// `none_msg`: battles with a message that is null or empty. Otherwise they are rejects.
    pub drop_empty: bool,
    /// `missing_model` and `one_sided`: battles whose models have no name, both or one of them. Otherwise its source is left open.
    pub drop_unnamed: bool,
    /// `identity_leak`: battles of which a reply holds one of these, in any case of letters.
    pub identity_words: Vec<String>,
    /// `api_error`: battles of which a reply holds one of these.
    pub error_texts: Vec<String>,
    /// `unfinished`: battles of which a reply ends with one of these.
    pub unfinished_ends: Vec<String>,
    /// `banned_user`: battles of these judges.
    pub banned_users: Vec<String>,
    /// `votes_per_day`: battles of a judge beyond this many on one day (UTC).
    pub max_votes_per_day: Option<usize>,
    /// `language`: battles in another language than these. Empty: all are kept.
    pub languages: Vec<String>,
    /// `excluded_model`: battles of these models.
    pub excluded_models: Vec<String>,
    /// `short`: battles in which neither side has this many tokens. 768 is the arena's category of long ones.
    pub min_tokens: Option<u64>,
    /// Models that change their names, tried in order.
    pub renames: Vec<Rename>,
}

impl Arena {
    /// What the arena leaves out before it rates models: known models, unnamed ones, and empty messages.
    pub fn for_ratings() -> Self {
        Self { anonymous_only: true, drop_empty: true, drop_unnamed: true, ..Self::default() }
    }

    fn drafts(&self, row: &mut Fields<'_>, votes: &mut Votes) -> Result<Drafts, Reason> {
        let timestamp = row.f64("tstamp")?;
        let (a, b) = (self.model(row, "model_a", timestamp)?, self.model(row, "model_b", timestamp)?);
        if self.drop_unnamed && (a.is_none() || b.is_none()) {
            let both = a.is_none() && b.is_none();
            return Ok(Drafts::Filtered(if both { "missing_model" } else { "one_sided" }));
        }
        if self.drop_empty && has_empty_message(row) {
            return Ok(Drafts::Filtered("none_msg"));
        }
        if let Some(name) = self.filter(row, [a.as_deref(), b.as_deref()], timestamp, votes) {
            return Ok(Drafts::Filtered(name));
        }
        let outcome = winner(row)?;
        let turn = row.count("turn")?;
        let draft = sides(row)?.with("outcome", outcome).with("a_source", a).with("b_source", b).with("turn", turn);
        let draft =
            draft.take("anonymous", row, "anony").take("language", row, "language").with("timestamp", timestamp);
        if let Some(text) = text_left_out(self, &draft) {
            return Ok(Drafts::Filtered(text));
        }
        let draft = draft.with("style", style(row)).take("annotator.id", row, "judge");
        row.rename("question_id", "id");
        Ok(draft.take("id", row, "id").into())
    }

    /// A model's name after renaming; none if it has none.
    fn model(&self, row: &mut Fields<'_>, name: &str, timestamp: Option<f64>) -> Result<Option<String>, Reason> {
        let model = row.string(name)?.filter(|model| !model.trim().is_empty());
        let in_time = |rename: &Rename| rename.before.is_none_or(|before| timestamp.is_some_and(|time| time < before));
        let rename = self.renames.iter().find(|rename| Some(&rename.from) == model.as_ref() && in_time(rename));
        Ok(rename.map(|rename| rename.to.clone()).or(model))
    }

    /// The first rule that leaves a row out, of those that need no text.
    fn filter(
        &self,
        row: &mut Fields<'_>,
        models: [Option<&str>; 2],
        timestamp: Option<f64>,
        votes: &mut Votes,
    ) -> Option<&'static str> {
        let judge = row.get("judge").map(|judge| judge.as_str().map_or_else(|| judge.to_string(), str::to_owned));
        let is_one_of =
            |names: &[String], name: Option<&str>| name.is_some_and(|name| names.iter().any(|one| one == name));
        if self.anonymous_only && row.get("anony") == Some(&json!(false)) {
            return Some("not_anonymous");
        }
        if is_one_of(&self.banned_users, judge.as_deref()) {
            return Some("banned_user");
        }
        let language = row.get("language").and_then(Value::as_str);
        if !self.languages.is_empty() && !is_one_of(&self.languages, language) {
            return Some("language");
        }
        if models.into_iter().any(|model| is_one_of(&self.excluded_models, model)) {
            return Some("excluded_model");
        }
        let metadata = row.get("conv_metadata");
        let tokens = |name: &str| metadata.and_then(|data| data.get(name)?.as_u64()).unwrap_or(0);
        let sums = ["a", "b"].map(|side| tokens(&format!("sum_assistant_{side}_tokens")));
        if self.min_tokens.is_some_and(|least| sums.iter().all(|&sum| sum < least)) {
            return Some("short");
        }
        let (most, judge, time) = (self.max_votes_per_day?, judge?, timestamp?);
        let count = votes.entry((judge, (time / 86_400.0).floor() as i64)).or_default();
        *count += 1;
        (*count > most).then_some("votes_per_day")
    }
}

/// Votes of a judge on a day.
type Votes = HashMap<(String, i64), usize>;

/// Who won, by `winner` or by the three columns of which one is 1.
pub(super) fn winner(row: &mut Fields<'_>) -> Result<&'static str, Reason> {
    const COLUMNS: [(&str, &str); 3] = [("winner_model_a", "a"), ("winner_model_b", "b"), ("winner_tie", "tie")];
    if row.has("winner") {
        let word = row.need_string("winner")?;
        return Ok(match word.as_str() {
            "model_a" => "a",
            "model_b" => "b",
            "tie" => "tie",
            "tie (bothbad)" | "bothbad" | "both_bad" => "both_bad",
            other => {
                let message = format!("expected model_a, model_b, tie or both_bad, found {}", describe(&other.into()));
                return Err(Reason::field(Code::LabelValue, "winner", message));
            }
        });
    }
    let mut won = Vec::new();
    for (name, outcome) in COLUMNS {
        match row.i64(name)? {
            Some(1) => won.push(outcome),
            Some(0) | None => {}
            Some(other) => {
                return Err(Reason::field(Code::LabelValue, name, format!("expected 0 or 1, found {other}")));
            }
        }
    }
    match won[..] {
        [outcome] => Ok(outcome),
        _ => {
            let message = format!("expected one of winner_model_a, winner_model_b and winner_tie, found {}", won.len());
            Err(Reason::field(Code::LabelValue, "winner", message))
        }
    }
}

/// Whether a message of either side is null or empty.
fn has_empty_message(row: &Fields<'_>) -> bool {
    let is_empty = |content: &Value| content.is_null() || content.as_str().is_some_and(|text| text.trim().is_empty());
    let talk = |name: &str| row.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    let said = |name: &str| {
        let list = row.get(name).and_then(Value::as_str);
        list.and_then(|list| serde_json::from_str::<Vec<Value>>(list).ok()).unwrap_or_default()
    };
    let spoken = ["conversation_a", "conversation_b"].into_iter().flat_map(talk);
    spoken.into_iter().any(|message| message.get("content").is_none_or(is_empty))
        || ["prompt", "response_a", "response_b"].into_iter().flat_map(said).any(|text| is_empty(&text))
}

/// The prompt and both sides, of conversations or of strings that hold lists.
fn sides(row: &mut Fields<'_>) -> Result<Draft, Reason> {
    if row.has("conversation_a") {
        return turns_of(row, None);
    }
    let mut list = |name: &str| {
        let text = row.need_string(name)?;
        let list = serde_json::from_str::<Vec<Option<String>>>(&text);
        let message = |error| format!("expected a JSON list of strings, found {error}");
        list.map_err(|error| Reason::field(Code::Type, name, message(error)).with_excerpt(&text))
    };
    let (prompts, a, b) = (list("prompt")?, list("response_a")?, list("response_b")?);
    let talk = |name: &str, replies: Vec<Option<String>>| {
        if replies.len() != prompts.len() || replies.is_empty() {
            let message = format!("expected as many turns as in `prompt`, {}, found {}", prompts.len(), replies.len());
            return Err(Reason::field(Code::LenMismatch, name, message));
        }
        let mut talk = Vec::new();
        for (i, (prompt, reply)) in prompts.iter().zip(replies).enumerate() {
            if i > 0 {
                talk.push(json!({"role": "user", "content": prompt.clone().unwrap_or_default()}));
            }
            talk.push(json!({"role": "assistant", "content": reply.unwrap_or_default()}));
        }
        Ok(talk)
    };
    let first = prompts.first().cloned().flatten().unwrap_or_default();
    let draft = Draft::new(Kind::Comparison).with("prompt", json!([{"role": "user", "content": first}]));
    let draft = draft.with("a", talk("response_a", a)?).with("b", talk("response_b", b)?);
    Ok(draft.named("a", "response_a").named("b", "response_b"))
}

/// The prompt and both sides of two conversations: what both ask first, and all that follows. Of turn 1 only the first
/// answer; of turn 2 the criteria say so.
pub(super) fn turns_of(row: &mut Fields<'_>, turn: Option<u64>) -> Result<Draft, Reason> {
    let mut talk = |name: &str| -> Result<_, Reason> {
        let list = as_list(row.need(name, "a list of messages")?, name)?;
        let Text::Messages(mut talk) = as_text(list.into(), name)? else { return Ok((Vec::new(), Vec::new())) };
        let at = talk.iter().position(|message| message.role == Role::Assistant);
        let Some(at) = at else { return Err(Reason::field(Code::NoAssistant, name, "the assistant says nothing")) };
        let answers = talk.split_off(at);
        Ok((talk, answers))
    };
    let ((prompt, mut a), (other, mut b)) = (talk("conversation_a")?, talk("conversation_b")?);
    if prompt != other {
        let message = "its first question is not that of `conversation_a`";
        return Err(Reason::field(Code::PromptMismatch, "conversation_b", message));
    }
    if turn == Some(1) {
        a.truncate(1);
        b.truncate(1);
    }
    let draft = Draft::new(Kind::Comparison).with("prompt", json!(prompt)).with("a", json!(a)).with("b", json!(b));
    let draft = draft.with("turn", turn).with("criteria", (turn == Some(2)).then_some("turn2"));
    Ok(draft.named("prompt", "conversation_a").named("a", "conversation_a").named("b", "conversation_b"))
}

/// The rule by which a text leaves a battle out.
fn text_left_out(arena: &Arena, draft: &Draft) -> Option<&'static str> {
    let talks = ["a", "b"].into_iter().filter_map(|side| draft.get(side)?.as_array()).flatten();
    let replies: Vec<String> = talks
        .filter(|message| message.get("role") == Some(&json!("assistant")))
        .filter_map(|message| as_text(json!([message]), "").ok())
        .flat_map(|text| text.as_messages().map(|said| said.iter().map(|one| one.content.as_str()).collect()))
        .collect();
    let any = |texts: &[String], fits: &dyn Fn(&str, &str) -> bool| {
        replies.iter().any(|reply| texts.iter().any(|text| fits(reply, text)))
    };
    let holds = |reply: &str, text: &str| reply.contains(text);
    if !arena.identity_words.is_empty() {
        let words: Vec<_> = arena.identity_words.iter().map(|word| word.to_lowercase()).collect();
        if replies.iter().map(|reply| reply.to_lowercase()).any(|reply| words.iter().any(|word| reply.contains(word))) {
            return Some("identity_leak");
        }
    }
    if any(&arena.error_texts, &holds) {
        return Some("api_error");
    }
    any(&arena.unfinished_ends, &|reply, end| reply.trim_end().ends_with(end)).then_some("unfinished")
}

/// Counts of what makes a reply look good, of both sides: tokens, headers, list items and bold parts.
fn style(row: &Fields<'_>) -> Map<String, Value> {
    let Some(Value::Object(counts)) = row.get("conv_metadata") else { return Map::new() };
    fn sum(value: &Value) -> Option<u64> {
        match value {
            Value::Object(parts) => parts.values().map(sum).try_fold(0_u64, |total, part| total.checked_add(part?)),
            other => other.as_u64(),
        }
    }
    let side = |side: &str| {
        let of = |name: String| counts.get(&name).and_then(sum);
        let all = [
            ("tokens", of(format!("sum_assistant_{side}_tokens"))),
            ("headers", of(format!("header_count_{side}"))),
            ("lists", of(format!("list_count_{side}"))),
            ("bold", of(format!("bold_count_{side}"))),
        ];
        all.into_iter().filter_map(|(name, count)| Some((name.to_owned(), json!(count?)))).collect::<Map<_, _>>()
    };
    let both = ["a", "b"].map(|name| (name.to_owned(), side(name)));
    both.into_iter().filter(|(_, counts)| !counts.is_empty()).map(|(name, counts)| (name, counts.into())).collect()
}

impl Source for Arena {
    fn name(&self) -> &str {
        "arena"
    }

    fn about(&self) -> &str {
        "Chatbot Arena: battles of two models whose names people did not see"
    }

    fn sniff(&self, row: &Map<String, Value>) -> bool {
        let talks = has_all(row, &["model_a", "model_b", "winner", "conversation_a", "conversation_b"]);
        talks && ["tstamp", "language", "anony", "evaluation_session_id"].iter().any(|name| row.contains_key(*name))
            || has_all(row, &["model_a", "model_b", "response_a", "response_b", "winner_model_a", "winner_tie"])
    }

    fn reader(&self) -> Reader {
        let (options, mut votes) = (self.clone(), Votes::new());
        Reader::new(Rows::new(self.name(), move |row: &mut Fields<'_>, _: &Path| options.drafts(row, &mut votes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::testing::{but, load, one, reason};

    fn talk(reply: &str) -> Value {
        json!([{"role": "user", "content": "q"}, {"role": "assistant", "content": reply}])
    }

    fn row() -> Value {
        json!({"question_id": "x1", "model_a": "m", "model_b": "n", "winner": "model_a", "judge": "arena_user_1",
            "conversation_a": talk("yes"), "conversation_b": talk("no"), "turn": 1, "anony": true,
            "language": "English", "tstamp": 86400.0, "toxic_chat_tag": {}})
    }

    fn list(fields: Value) -> Value {
        let row = json!({"id": 30192, "model_a": "m", "model_b": "n", "prompt": "[\"q\",\"r\"]",
            "response_a": "[\"a1\",\"a2\"]", "response_b": "[\"b1\",\"b2\"]", "winner_model_a": 1, "winner_model_b": 0,
            "winner_tie": 0});
        but(&row, fields)
    }

    #[test]
    fn winners_of_all_releases_are_sides_ties_or_both_bad() {
        let outcome = |winner: &str| one(&Arena::default(), but(&row(), json!({"winner": winner})))["outcome"].clone();
        assert_eq!([outcome("model_a"), outcome("model_b"), outcome("tie")], ["a", "b", "tie"]);
        for word in ["tie (bothbad)", "bothbad", "both_bad"] {
            assert_eq!(outcome(word), "both_bad");
        }
        assert!(
            reason(&Arena::default(), but(&row(), json!({"winner": "m"}))).starts_with("E_LABEL_VALUE: field `winner`")
        );
        let columns = |a, b, tie| {
            one(&Arena::default(), list(json!({"winner_model_a": a, "winner_model_b": b, "winner_tie": tie})))
        };
        assert_eq!(columns(1, 0, 0)["outcome"], "a");
        assert_eq!(columns(0, 1, 0)["outcome"], "b");
        assert_eq!(columns(0, 0, 1)["outcome"], "tie");
        let none = reason(&Arena::default(), list(json!({"winner_model_a": 0})));
        assert!(none.starts_with("E_LABEL_VALUE") && none.ends_with("found 0"), "{none}");
        assert!(reason(&Arena::default(), list(json!({"winner_tie": 1}))).ends_with("found 2"));
        assert!(
            reason(&Arena::default(), list(json!({"winner_tie": 2}))).starts_with("E_LABEL_VALUE: field `winner_tie`")
        );
    }

    #[test]
    fn a_battle_of_33k_keeps_who_when_and_in_what_language() {
        let record = one(&Arena::default(), row());
        assert_eq!((&record["a_source"], &record["b_source"], &record["id"]), (&json!("m"), &json!("n"), &json!("x1")));
        assert_eq!(
            (&record["anonymous"], &record["language"], &record["timestamp"]),
            (&json!(true), &json!("English"), &json!(86400.0))
        );
        assert_eq!((&record["annotator"]["id"], &record["turn"]), (&json!("arena_user_1"), &json!(1)));
        let told =
            reason(&Arena::default(), but(&row(), json!({"conversation_b": [{"role": "user", "content": "q"}]})));
        assert!(told.starts_with("E_NO_ASSISTANT: field `conversation_b`"), "{told}");
        let other = json!([{"role": "user", "content": "r"}, {"role": "assistant", "content": "no"}]);
        let told = reason(&Arena::default(), but(&row(), json!({"conversation_b": other})));
        assert!(told.starts_with("E_PROMPT_MISMATCH: field `conversation_b`"), "{told}");
    }

    #[test]
    fn strings_of_55k_hold_one_element_a_turn() {
        let record = one(&Arena::default(), list(json!({})));
        let said: Vec<_> =
            record["b"].as_array().unwrap().iter().map(|message| message["content"].as_str().unwrap()).collect();
        assert_eq!((said, &record["prompt"][0]["content"]), (vec!["b1", "r", "b2"], &json!("q")));
        assert_eq!(record["id"], "30192");
        let null = list(json!({"response_a": "[null,\"a2\"]"}));
        let (records, report) = load(&Arena::for_ratings(), &[null.clone(), list(json!({}))]);
        assert_eq!((records.len(), report.filtered["none_msg"]), (1, 1));
        let told = reason(&Arena::default(), list(json!({"response_a": "[\"a1\"]"})));
        assert_eq!(told, "E_LEN_MISMATCH: field `response_a`: expected as many turns as in `prompt`, 2, found 1");
        assert!(reason(&Arena::default(), list(json!({"response_a": "a1"}))).starts_with("E_TYPE: field `response_a`"));
    }

    #[test]
    fn the_style_sums_what_the_metadata_counts() {
        let metadata = json!({"sum_assistant_a_tokens": 10, "header_count_a": {"h1": 1, "h2": 2}, "list_count_a":
            {"ordered": 3, "unordered": 4}, "bold_count_a": {"**": 5, "__": 1}, "sum_assistant_b_tokens": 20, "header_count_b": 7});
        let record = one(&Arena::default(), but(&row(), json!({"conv_metadata": metadata})));
        assert_eq!(record["style"]["a"], json!({"tokens": 10, "headers": 3, "lists": 7, "bold": 6}));
        assert_eq!(record["style"]["b"], json!({"tokens": 20, "headers": 7}));
    }

    #[test]
    fn every_cleaning_rule_counts_under_its_name() {
        let left_out = |arena: Arena, fields: Value| {
            let report = load(&arena, &[row(), but(&row(), fields)]).1;
            (report.used, report.filtered.keys().copied().next())
        };
        let words = |word: &str| vec![word.to_owned()];
        let ratings = Arena::for_ratings();
        assert_eq!(left_out(ratings.clone(), json!({"anony": false})), (1, Some("not_anonymous")));
        assert_eq!(left_out(ratings.clone(), json!({"model_b": ""})), (1, Some("one_sided")));
        assert_eq!(left_out(ratings.clone(), json!({"model_a": null})), (1, Some("one_sided")));
        assert_eq!(left_out(ratings.clone(), json!({"model_a": null, "model_b": " "})), (1, Some("missing_model")));
        assert_eq!(left_out(ratings, json!({"conversation_a": talk(" ")})), (1, Some("none_msg")));
        let identity = Arena { identity_words: words("OpenAI"), ..Arena::default() };
        assert_eq!(left_out(identity, json!({"conversation_b": talk("By openai.")})), (1, Some("identity_leak")));
        let error = Arena { error_texts: words("API ERROR"), ..Arena::default() };
        assert_eq!(left_out(error, json!({"conversation_b": talk("API ERROR 5")})), (1, Some("api_error")));
        let end = Arena { unfinished_ends: words("..."), ..Arena::default() };
        assert_eq!(left_out(end.clone(), json!({"conversation_a": talk("so... ")})), (1, Some("unfinished")));
        assert_eq!(left_out(end, json!({"conversation_a": talk("so... yes")})), (2, None));
        let banned = Arena { banned_users: words("u"), ..Arena::default() };
        assert_eq!(left_out(banned, json!({"judge": "u"})), (1, Some("banned_user")));
        let english = Arena { languages: words("English"), ..Arena::default() };
        assert_eq!(left_out(english, json!({"language": "German"})), (1, Some("language")));
        let excluded = Arena { excluded_models: words("old"), ..Arena::default() };
        assert_eq!(left_out(excluded, json!({"model_b": "old"})), (1, Some("excluded_model")));
        let one = Arena { max_votes_per_day: Some(1), ..Arena::default() };
        assert_eq!(left_out(one.clone(), json!({"tstamp": 172_799.0})), (1, Some("votes_per_day")));
        assert_eq!(left_out(one.clone(), json!({"tstamp": 172_800.0})), (2, None));
        assert_eq!(left_out(one, json!({"judge": "other"})), (2, None));
    }

    #[test]
    fn long_battles_have_one_side_of_768_tokens() {
        let with = |a: u64, b: u64| {
            but(&row(), json!({"conv_metadata": {"sum_assistant_a_tokens": a, "sum_assistant_b_tokens": b}}))
        };
        let long = Arena { min_tokens: Some(768), ..Arena::default() };
        let (records, report) = load(&long, &[with(768, 1), with(1, 768), with(767, 767)]);
        assert_eq!((records.len(), report.filtered["short"]), (2, 1));
    }

    #[test]
    fn a_model_is_renamed_before_a_time() {
        let rename = Rename { from: "m".into(), to: "m-0314".into(), before: Some(86_400.5) };
        let arena = Arena { renames: vec![rename], ..Arena::default() };
        let name = |tstamp: f64| one(&arena, but(&row(), json!({"tstamp": tstamp})))["a_source"].clone();
        assert_eq!((name(86_400.0), name(86_400.5)), (json!("m-0314"), json!("m")));
    }
}
