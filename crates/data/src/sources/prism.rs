//! PRISM: what people of many countries told models, and how they scored each reply.
//!
//! **Paper:** The PRISM Alignment Dataset (2024), 2404.16019; data card `HannahRoseKirk/prism-alignment`.
//! **Format:** JSON Lines; `conversations` with the whole history, `utterances` with one row for each scored reply, and
//! `survey` with one row for each person.
//! **Records:** of each turn the replies as ranked completions with scores, `user_id` set. The context of a turn is the
//! path of chosen replies before it. The survey is a table of users: [`read_survey`].
//! **Quirks:** turn 0 shows up to four models, later turns two samples of the chosen one. Scores, 1 to 100, tie. People
//! use the scale in their own ways: see [`Normalize`]. An empty reply is null or says `EMPTY STRING`.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use serde_json::{Map, Value, json};

use super::{
    Reader, Source,
    draft::{Draft, Origin, assistant},
    has_all,
};
use crate::{
    error::Result,
    read::{Given, LoadOptions, RowReader, read_jsonl, read_rows},
    record::{Fields, Kind, Ranked, Reading, Record, UNDISCLOSED},
    report::{Code, LoadReport, Reason, Warning},
    row::{Place, Row},
    rules::Rules,
    users::User,
};

/// What becomes of scores, which each person gives on a scale of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Normalize {
    /// Nothing.
    #[default]
    None,
    /// The mean of the user's scores is taken off, and the rest is divided by their standard deviation (over n).
    /// Records of a user whose scores are all the same are left out, and counted under [`Warning::ConstantRater`].
    ZPerUser,
    /// Scores become ranks within the turn, 1 for the highest; equal scores have equal ranks.
    RankPerInteraction,
}

/// PRISM.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Prism {
    /// What becomes of scores. Default: nothing.
    pub normalize: Normalize,
}

/// One reply.
#[derive(Debug, Clone)]
struct Reply {
    turn: u64,
    prompt: String,
    text: String,
    model: String,
    score: Option<f64>,
    is_chosen: bool,
}

/// What the replies of one conversation share.
#[derive(Debug, Clone, Default)]
struct Talk {
    id: String,
    user: Option<String>,
    replies: Vec<Reply>,
    meta: Map<String, Value>,
}

impl Talk {
    /// One draft for each turn with two scored replies or more.
    fn drafts(&self) -> Vec<Draft> {
        let turns: BTreeSet<u64> = self.replies.iter().map(|reply| reply.turn).collect();
        let (mut path, mut drafts) = (Vec::new(), Vec::new());
        for turn in turns {
            let shown: Vec<_> = self.replies.iter().filter(|reply| reply.turn == turn).collect();
            let Some(first) = shown.first() else { continue };
            path.push(json!({"role": "user", "content": first.prompt}));
            let scored: Vec<_> = shown.iter().filter(|reply| reply.score.is_some()).collect();
            if scored.len() >= 2 {
                let of = |value: &dyn Fn(&Reply) -> Value| scored.iter().map(|reply| value(reply)).collect::<Vec<_>>();
                let draft = Draft::new(Kind::Ranked)
                    .with("id", format!("{}/{turn}", self.id))
                    .with("prompt", path.clone())
                    .with("completions", of(&|reply| assistant(reply.text.clone())))
                    .with("scores", of(&|reply| json!(reply.score)))
                    .with("sources", of(&|reply| json!(reply.model)))
                    .with("user_id", self.user.clone())
                    .with("meta", self.meta.clone())
                    .with("meta.conversation_id", self.id.clone())
                    .with("meta.turn", turn);
                drafts.push(draft.named("prompt", "user_prompt").named("completions", "content"));
            }
            // Without a chosen reply there is no way on.
            let Some(chosen) = shown.iter().find(|reply| reply.is_chosen) else { break };
            path.push(json!({"role": "assistant", "content": chosen.text}));
        }
        drafts
    }
}

/// The text of a reply, which may be missing in two ways.
fn content(row: &mut Fields<'_>, name: &str) -> std::result::Result<String, Reason> {
    let path = row.path(name);
    match row.string(name)? {
        Some(text) if !text.trim().is_empty() && text.trim() != "EMPTY STRING" => Ok(text),
        _ => Err(Reason::field(Code::Empty, path, "the text is missing")),
    }
}

fn score(row: &mut Fields<'_>) -> std::result::Result<Option<f64>, Reason> {
    let (path, score) = (row.path("score"), row.f64("score")?);
    crate::record::check_number(&path, score, 1.0, 100.0)?;
    Ok(score)
}

/// The talk of a row of `conversations`.
fn conversation(row: &mut Fields<'_>) -> std::result::Result<Talk, Reason> {
    let id = row.need_string("conversation_id")?;
    let user = row.string("user_id")?;
    let mut asked: BTreeMap<u64, String> = BTreeMap::new();
    let replies = row.need_list_of("conversation_history", |entry, path, reading| {
        let mut entry = Fields::of(entry, path, reading)?;
        let turn = entry.count("turn")?.unwrap_or(0);
        let role = entry.need_string("role")?;
        let text = content(&mut entry, "content")?;
        if role == "user" {
            asked.insert(turn, text);
            return Ok(None);
        }
        let model = entry.string("model_name")?.unwrap_or_default();
        let is_chosen = entry.bool("if_chosen")?.unwrap_or(false);
        Ok(Some(Reply { turn, prompt: String::new(), text, model, score: score(&mut entry)?, is_chosen }))
    })?;
    let mut replies: Vec<_> = replies.into_iter().flatten().collect();
    for reply in &mut replies {
        reply.prompt = asked.get(&reply.turn).cloned().ok_or_else(|| {
            let message = format!("turn {} has replies and no message of the user", reply.turn);
            Reason::field(Code::MissingField, "conversation_history", message)
        })?;
    }
    Ok(Talk { id, user, replies, meta: Map::new() })
}

/// The talk of a row of `utterances`, with its one reply.
fn utterance(row: &mut Fields<'_>) -> std::result::Result<Talk, Reason> {
    let id = row.need_string("conversation_id")?;
    let user = row.string("user_id")?;
    let reply = Reply {
        turn: row.count("turn")?.unwrap_or(0),
        prompt: content(row, "user_prompt")?,
        text: content(row, "model_response")?,
        model: row.string("model_name")?.unwrap_or_default(),
        score: score(row)?,
        is_chosen: row.bool("if_chosen")?.unwrap_or(false),
    };
    Ok(Talk { id, user, replies: vec![reply], meta: Map::new() })
}

/// Utterances wait for the others of their conversation.
#[derive(Debug, Default)]
struct Talks {
    open: Talk,
    rows: Vec<Origin>,
    rules: Rules,
    ready: Vec<Record>,
    late: Vec<(Place, Reason)>,
}

impl Talks {
    fn close(&mut self) {
        let (talk, rows) = (std::mem::take(&mut self.open), std::mem::take(&mut self.rows));
        let Some(origin) = rows.first() else { return };
        let mut reading = Reading::new(self.rules.clone());
        let drafts = talk.drafts().into_iter();
        match drafts.map(|draft| draft.complete(origin, None, Map::new(), &mut reading)).collect::<Result<Vec<_>, _>>()
        {
            Ok(records) => self.ready.extend(records),
            Err(reason) => self.late.extend(rows.iter().map(|origin| (origin.place, reason.clone()))),
        }
    }
}

impl RowReader for Talks {
    type Record = Record;

    fn row(&mut self, row: Row<'_>) -> std::result::Result<Given<Record>, Reason> {
        let origin = Origin::of(&row, "prism");
        let mut fields = row.fields;
        if fields.has("model_response") || fields.has("utterance_id") {
            let talk = utterance(&mut fields)?;
            if talk.id != self.open.id {
                self.close();
                self.open = Talk { replies: Vec::new(), ..talk.clone() };
            }
            self.rules = fields.rules().clone();
            self.open.replies.extend(talk.replies);
            self.rows.push(origin);
            return Ok(Given::Records(Vec::new()));
        }
        self.close();
        let talk = conversation(&mut fields)?;
        let (rest, reading) = fields.into_parts();
        let drafts = talk.drafts().into_iter();
        let records =
            drafts.map(|draft| draft.complete(&origin, None, rest.clone(), reading)).collect::<Result<_, _>>();
        records.map(Given::Records)
    }

    fn late(&mut self, end: bool) -> (Vec<Record>, Vec<(Place, Reason)>) {
        if end {
            self.close();
        }
        (std::mem::take(&mut self.ready), std::mem::take(&mut self.late))
    }
}

/// Changes the scores of ranked records, and leaves out those without a z-score; how many records were left out.
pub fn normalize(records: &mut Vec<Record>, how: Normalize) -> usize {
    let before = records.len();
    match how {
        Normalize::None => {}
        Normalize::RankPerInteraction => ranked(records).for_each(|(_, ranked)| to_ranks(ranked)),
        Normalize::ZPerUser => {
            let mut by_user: BTreeMap<String, Vec<f64>> = BTreeMap::new();
            for (user, ranked) in ranked(records) {
                by_user.entry(user).or_default().extend(&ranked.scores);
            }
            let of_user: BTreeMap<_, _> =
                by_user.into_iter().map(|(user, scores)| (user, mean_and_sd(&scores))).collect();
            records.retain_mut(|record| {
                let Record::Ranked(ranked) = record else { return true };
                match of_user.get(&user(ranked)) {
                    Some(&(mean, sd)) if sd > 0.0 => {
                        ranked.scores.iter_mut().for_each(|score| *score = (*score - mean) / sd);
                        true
                    }
                    _ => false,
                }
            });
        }
    }
    before - records.len()
}

fn user(ranked: &Ranked) -> String {
    ranked.envelope.user_id.clone().unwrap_or_default()
}

fn ranked(records: &mut [Record]) -> impl Iterator<Item = (String, &mut Ranked)> {
    records.iter_mut().filter_map(|record| match record {
        Record::Ranked(ranked) => Some((user(ranked), ranked)),
        _ => None,
    })
}

/// Mean and standard deviation, over n; a deviation of rounding only is none.
pub(super) fn mean_and_sd(values: &[f64]) -> (f64, f64) {
    let n = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / n;
    if values.iter().all(|value| Some(value) == values.first()) {
        return (mean, 0.0);
    }
    (mean, (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / n).sqrt())
}

/// 1 for the highest score; equal scores have equal ranks, and the next rank counts all before it.
fn to_ranks(ranked: &mut Ranked) {
    let scores = std::mem::take(&mut ranked.scores);
    let higher = |score: f64| scores.iter().filter(|&&other| other > score).count() as u64;
    ranked.ranks = scores.iter().map(|&score| higher(score) + 1).collect();
}

/// Reads the survey. Who does not say, or prefers not to, is [`UNDISCLOSED`].
///
/// # Errors
/// Those of [`read_jsonl`].
///
/// # Example
/// ```
/// use accordant_data::{LoadOptions, sources::prism::read_survey};
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("survey.jsonl");
/// let row = r#"{"user_id": "user0", "age": "25-34 years old", "gender": "Prefer not to say",
///     "religion": {"self_described": "none", "simplified": "No Affiliation"}, "stated_prefs": {"safety": 80}}"#;
/// std::fs::write(&path, row.replace('\n', " "))?;
/// let (users, _) = read_survey(&path, &LoadOptions::default())?;
/// assert_eq!(users[0].attributes["age"], "25-34 years old");
/// assert_eq!(users[0].attributes["gender"], "undisclosed");
/// assert_eq!(users[0].attributes["religion"], "No Affiliation");
/// assert_eq!(users[0].stated_preferences, [("safety".to_owned(), 80.0)]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn read_survey(path: impl AsRef<Path>, options: &LoadOptions) -> Result<(Vec<User>, LoadReport)> {
    read_jsonl(path, options, |row| person(row.fields))
}

fn person(mut row: Fields<'_>) -> std::result::Result<User, Reason> {
    const CATEGORIES: [&str; 7] =
        ["age", "gender", "employment_status", "education", "marital_status", "english_proficiency", "study_locale"];
    row.rename("self_description", "profile");
    row.rename("stated_prefs", "stated_preferences");
    if let Some(mut stated) = row.object("stated_preferences")? {
        stated.retain(|_, value| !value.is_null());
        row.insert("stated_preferences", stated);
    }
    let disclosed = |text: Option<String>| match text {
        Some(text) if !text.eq_ignore_ascii_case("prefer not to say") => text,
        _ => UNDISCLOSED.to_owned(),
    };
    for name in CATEGORIES {
        let value = row.string(name)?;
        row.insert(name, disclosed(value));
    }
    for name in ["religion", "ethnicity"] {
        let whole = row.take(name).unwrap_or_default();
        let simple = whole.get("simplified").and_then(Value::as_str).map(str::to_owned);
        row.insert(name, disclosed(simple));
        if !whole.is_null() {
            row.insert(format!("{name}_details"), whole);
        }
    }
    User::from_fields(row)
}

impl Source for Prism {
    fn name(&self) -> &str {
        "prism"
    }

    fn about(&self) -> &str {
        "PRISM: replies of several models, scored by people of many countries"
    }

    fn sniff(&self, row: &Map<String, Value>) -> bool {
        has_all(row, &["conversation_id", "conversation_history"])
            || has_all(row, &["conversation_id", "model_response", "if_chosen"])
    }

    fn reader(&self) -> Reader {
        Reader::new(Talks::default())
    }

    fn load(&self, path: &Path, options: &LoadOptions) -> Result<(Vec<Record>, LoadReport)> {
        let (mut records, mut report) = read_rows(path, options, self.reader())?;
        let constant = normalize(&mut records, self.normalize);
        if constant > 0 {
            report.warnings.insert(Warning::ConstantRater, constant);
            report.records -= constant;
        }
        Ok((records, report))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::testing::{but, load, reason};

    fn reply(turn: u64, text: &str, score: u64, chosen: bool) -> Value {
        json!({"turn": turn, "role": "model", "content": text, "model_name": format!("m-{text}"), "model_provider": "p",
            "score": score, "if_chosen": chosen, "within_turn_id": 0})
    }

    fn ask(turn: u64, text: &str) -> Value {
        json!({"turn": turn, "role": "user", "content": text})
    }

    fn row() -> Value {
        json!({"conversation_id": "c0", "user_id": "user0", "conversation_type": "unguided", "conversation_history": [
            ask(0, "hi"), reply(0, "a", 10, false), reply(0, "b", 90, true), ask(1, "more"),
            reply(1, "c", 50, true), reply(1, "d", 50, false)]})
    }

    #[test]
    fn a_higher_score_is_better_and_the_context_is_the_chosen_path() {
        let (records, report) = load(&Prism::default(), &[row()]);
        assert_eq!((records.len(), report.used), (2, 1));
        assert_eq!((&records[0]["scores"], &records[0]["sources"]), (&json!([10.0, 90.0]), &json!(["m-a", "m-b"])));
        assert_eq!((&records[0]["user_id"], &records[0]["id"]), (&json!("user0"), &json!("c0/0")));
        let said: Vec<_> =
            records[1]["prompt"].as_array().unwrap().iter().map(|one| one["content"].as_str().unwrap()).collect();
        assert_eq!(said, ["hi", "b", "more"]);
        assert_eq!(
            (&records[1]["scores"], &records[1]["meta"]["conversation_type"]),
            (&json!([50.0, 50.0]), &json!("unguided"))
        );
    }

    fn utterances() -> Vec<Value> {
        let row = |turn: u64, prompt: &str, text: &str, score: u64, chosen: bool| {
            json!({"utterance_id": text, "interaction_id": turn.to_string(), "conversation_id": "c0", "user_id": "user0",
                "turn": turn, "within_turn_id": 0, "user_prompt": prompt, "model_response": text,
                "model_name": format!("m-{text}"), "model_provider": "p", "score": score, "if_chosen": chosen})
        };
        vec![
            row(0, "hi", "a", 10, false),
            row(0, "hi", "b", 90, true),
            row(1, "more", "c", 50, true),
            row(1, "more", "d", 50, false),
        ]
    }

    #[test]
    fn utterances_make_the_same_records_as_conversations() {
        let (whole, _) = load(&Prism::default(), &[row()]);
        let other = but(&utterances()[0], json!({"conversation_id": "c1"}));
        let (parts, report) = load(&Prism::default(), &[utterances(), vec![other]].concat());
        assert_eq!((parts.len(), report.used), (2, 5));
        for (whole, part) in whole.iter().zip(&parts) {
            for field in ["prompt", "completions", "scores", "sources", "user_id", "id"] {
                assert_eq!(whole[field], part[field]);
            }
        }
    }

    #[test]
    fn scores_become_ranks_of_the_turn_or_z_scores_of_the_user() {
        let (records, _) = load(&Prism { normalize: Normalize::RankPerInteraction }, &[row()]);
        assert_eq!((&records[0]["ranks"], records[0].get("scores")), (&json!([2, 1]), None));
        assert_eq!(records[1]["ranks"], json!([1, 1]));
        // 10, 90, 50, 50: mean 50, variance 3200 / 4 = 800.
        let (records, report) = load(&Prism { normalize: Normalize::ZPerUser }, &[row()]);
        let z: Vec<_> = records[0]["scores"].as_array().unwrap().iter().map(|z| z.as_f64().unwrap()).collect();
        assert!((z[0] + 40.0 / 800_f64.sqrt()).abs() < 1e-12 && (z[1] - 40.0 / 800_f64.sqrt()).abs() < 1e-12);
        assert_eq!((&records[1]["scores"], report.warned(Warning::ConstantRater)), (&json!([0.0, 0.0]), 0));
    }

    #[test]
    fn a_user_who_gives_every_reply_the_same_score_has_no_z() {
        let history = json!([ask(0, "hi"), reply(0, "a", 70, false), reply(0, "b", 70, true)]);
        let constant = but(&row(), json!({"user_id": "user1", "conversation_history": history}));
        let (records, report) = load(&Prism { normalize: Normalize::ZPerUser }, &[row(), constant]);
        assert_eq!((records.len(), report.warned(Warning::ConstantRater), report.records), (2, 1, 2));
    }

    #[test]
    fn an_empty_reply_and_a_score_off_the_scale_are_named() {
        let told = |entry: Value| {
            let history = json!([ask(0, "hi"), reply(0, "b", 70, true), entry]);
            reason(&Prism::default(), but(&row(), json!({"conversation_history": history})))
        };
        assert_eq!(
            told(reply(0, "EMPTY STRING", 3, false)),
            "E_EMPTY: field `conversation_history[2].content`: the text is missing"
        );
        assert!(told(but(&reply(0, "a", 3, false), json!({"content": null}))).starts_with("E_EMPTY"));
        assert!(told(reply(0, "a", 101, false)).starts_with("E_RANGE: field `conversation_history[2].score`"));
        assert!(told(reply(0, "a", 0, false)).starts_with("E_RANGE"));
        assert!(told(reply(5, "a", 5, false)).starts_with("E_MISSING_FIELD: field `conversation_history`: turn 5"));
    }

    #[test]
    fn without_a_chosen_reply_the_conversation_does_not_go_on() {
        let history = json!([
            ask(0, "hi"),
            reply(0, "a", 1, false),
            reply(0, "b", 2, false),
            ask(1, "more"),
            reply(1, "c", 5, true),
            reply(1, "d", 6, false)
        ]);
        assert_eq!(load(&Prism::default(), &[but(&row(), json!({"conversation_history": history}))]).0.len(), 1);
    }
}
