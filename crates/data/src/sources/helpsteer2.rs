//! HelpSteer2: responses rated on five attributes, preferences between the two of a prompt, and all annotators' ratings.
//!
//! **Paper:** HelpSteer2: Open-source dataset for training top-performing reward models (2024), 2406.08673, and
//! HelpSteer2-Preference (2024), 2410.01257; data card `nvidia/HelpSteer2`.
//! **Records:** the rows of `train` and `validation` are rated, those that follow one another with the same prompt in one
//! record; `disagreements` the same with the ratings of each annotator; `preference` are comparisons with
//! `a` = `response_1`.
//! **Quirks:** `preference_strength` is **negative where `response_1` is better**: it changes its sign here, and the
//! source's is kept in `meta.strength_source`. A prompt of several turns holds them all, each after a line
//! `<extra_id_1>User` or `<extra_id_1>Assistant`; the first has none. A prompt may recur later in the file.
//! **Presets:** [`HelpSteer2::weights`]: the scalar of Nemotron-4 340B Reward (2406.11704).

use serde_json::{Map, Value, json};

use super::{
    Reader, Source,
    draft::{Draft, Origin, assistant},
    has_all,
};
use crate::{
    read::{Given, RowReader},
    record::{Fields, Kind, Reading, Record, as_i64, as_list, comparison::Strength},
    report::Reason,
    row::{Place, Row},
    rules::Rules,
};

/// The attributes, each from 0 to 4. Complexity and verbosity are of style: more is not better.
pub const ATTRIBUTES: [&str; 5] = ["helpfulness", "correctness", "coherence", "complexity", "verbosity"];

/// Weights of the attributes in the scalar that was published with the reward model.
pub const WEIGHTS: [f64; 5] = [0.65, 0.8, 0.45, 0.55, -0.4];

/// HelpSteer2.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HelpSteer2 {
    /// Where one number is needed, [`WEIGHTS`] make it. Default: helpfulness is it.
    pub weights: bool,
}

/// The turns of a prompt.
///
/// # Example
/// ```
/// use accordant_data::{Role, sources::helpsteer2::turns};
/// let turns = turns("Hi\n<extra_id_1>Assistant\nHello,\nyou.\n<extra_id_1>User\nBye");
/// let said: Vec<_> = turns.iter().map(|turn| (turn.role, &turn.content[..])).collect();
/// assert_eq!(said, [(Role::User, "Hi"), (Role::Assistant, "Hello,\nyou."), (Role::User, "Bye")]);
/// ```
pub fn turns(prompt: &str) -> Vec<crate::Message> {
    use crate::{Message, Role};
    let mut turns = vec![Message::new(Role::User, "")];
    let mut first_line = true;
    for line in prompt.split('\n') {
        let role = match line.trim_end() {
            "<extra_id_1>User" => Some(Role::User),
            "<extra_id_1>Assistant" => Some(Role::Assistant),
            _ => None,
        };
        match (role, turns.last_mut()) {
            (Some(role), _) => {
                turns.push(Message::new(role, ""));
                first_line = true;
            }
            (None, Some(turn)) => {
                if !first_line {
                    turn.content.push('\n');
                }
                turn.content.push_str(line);
                first_line = false;
            }
            (None, None) => {}
        }
    }
    // A marker at the end opens the answer, and one at the beginning closes nothing.
    let ends_open = turns.len() > 1 && turns.last().is_some_and(|turn| turn.is_blank());
    if ends_open {
        turns.pop();
    }
    if turns.len() > 1 && turns.first().is_some_and(|turn| turn.is_blank()) {
        turns.remove(0);
    }
    turns
}

/// Of one prompt, the rows that were read so far.
#[derive(Debug, Default)]
struct Group {
    prompt: String,
    rows: Vec<(Origin, Draft, Map<String, Value>)>,
    rules: Rules,
}

#[derive(Debug)]
struct Grouping {
    options: HelpSteer2,
    open: Group,
    ready: Vec<Record>,
    late: Vec<(Place, Reason)>,
}

impl Grouping {
    /// Makes a record of the open group.
    fn close(&mut self) {
        let Group { prompt, rows, rules } = std::mem::take(&mut self.open);
        let Some((origin, ..)) = rows.first() else { return };
        let origin = origin.clone();
        let places: Vec<_> = rows.iter().map(|(origin, ..)| origin.place).collect();
        let mut draft = self.options.rated(&prompt);
        let (mut texts, mut ratings, mut by_annotator, mut rests) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (_, row, rest) in rows {
            texts.extend(row.first_of("completions"));
            ratings.extend(row.first_of("ratings"));
            by_annotator.extend(row.first_of("ratings_by_annotator"));
            rests.push(Value::Object(rest));
        }
        draft.set("completions", texts);
        draft.set("ratings", ratings);
        if !by_annotator.is_empty() {
            draft.set("ratings_by_annotator", by_annotator);
        }
        let meta = match rests.iter().all(|rest| rest.as_object().is_some_and(Map::is_empty)) {
            true => Map::new(),
            false => Map::from_iter([("rows".to_owned(), rests.into())]),
        };
        match draft.complete(&origin, None, meta, &mut Reading::new(rules)) {
            Ok(record) => self.ready.push(record),
            Err(reason) => self.late.extend(places.into_iter().map(|place| (place, reason.clone()))),
        }
    }
}

impl RowReader for Grouping {
    type Record = Record;

    fn row(&mut self, row: Row<'_>) -> Result<Given<Record>, Reason> {
        let origin = Origin::of(&row, "helpsteer2");
        let mut fields = row.fields;
        if fields.has("preference_strength") {
            self.close();
            let draft = preference(&mut fields)?;
            let (rest, reading) = fields.into_parts();
            return draft.complete(&origin, None, rest, reading).map(Given::Record);
        }
        let prompt = fields.need_string("prompt")?;
        let draft = self.options.one(&prompt, &mut fields)?;
        let rules = fields.rules().clone();
        let (rest, reading) = fields.into_parts();
        // By itself first, so that what is wrong with a row is told of that row and not of its group.
        draft.clone().complete(&origin, None, Map::new(), reading)?;
        if prompt != self.open.prompt {
            self.close();
        }
        self.open.prompt = prompt;
        self.open.rules = rules;
        self.open.rows.push((origin, draft, rest));
        Ok(Given::Records(Vec::new()))
    }

    fn late(&mut self, end: bool) -> (Vec<Record>, Vec<(Place, Reason)>) {
        if end {
            self.close();
        }
        (std::mem::take(&mut self.ready), std::mem::take(&mut self.late))
    }
}

impl HelpSteer2 {
    /// A rated record without responses.
    fn rated(self, prompt: &str) -> Draft {
        let scale = ATTRIBUTES.map(|name| (name.to_owned(), json!({"min": 0, "max": 4, "direction": "higher"})));
        let draft = Draft::new(Kind::Rated).with("prompt", json!(turns(prompt))).with("scale", Map::from_iter(scale));
        match self.weights {
            true => {
                let weights = ATTRIBUTES.iter().zip(WEIGHTS).map(|(&name, weight)| (name.to_owned(), json!(weight)));
                draft.with("aggregate", weights.collect::<Map<_, _>>())
            }
            false => draft.with("overall", "helpfulness"),
        }
    }

    /// A record of one response; its ratings are the means of the annotators' where the row has those.
    fn one(self, prompt: &str, row: &mut Fields<'_>) -> Result<Draft, Reason> {
        let draft = self.rated(prompt).with("completions", vec![assistant(row.need_string("response")?)]);
        let mut draft = draft.named("completions[0]", "response").named("prompt", "prompt");
        let (mut ratings, mut by_annotator) = (Map::new(), Map::new());
        for name in ATTRIBUTES {
            let rating = match row.take(name) {
                Some(Value::Array(values)) => {
                    let mut sum = 0;
                    for (i, value) in values.iter().enumerate() {
                        sum += as_i64(value, &format!("{name}[{i}]"))?.clamp(-1000, 1000);
                    }
                    let each = values.iter().map(|value| json!({"value": value}));
                    by_annotator.insert(name.to_owned(), each.collect());
                    if values.is_empty() { Value::Null } else { json!(sum as f64 / values.len() as f64) }
                }
                other => other.unwrap_or_default(),
            };
            draft = draft.named(&format!("ratings[0].{name}"), name);
            ratings.insert(name.to_owned(), rating);
        }
        draft.set("ratings", vec![ratings]);
        if !by_annotator.is_empty() {
            draft.set("ratings_by_annotator", vec![by_annotator]);
        }
        Ok(draft)
    }
}

/// A comparison, whose source's strength is negative where `response_1` is better.
fn preference(row: &mut Fields<'_>) -> Result<Draft, Reason> {
    row.rename("response1", "response_1");
    row.rename("response2", "response_2");
    let prompt = row.need_string("prompt")?;
    let draft = Draft::new(Kind::Comparison).with("prompt", json!(turns(&prompt)));
    let draft = draft.says("a", "assistant", row, "response_1")?.says("b", "assistant", row, "response_2")?;
    let value = row.need("preference_strength", "a whole number from -3 to 3")?;
    let mut draft = with_strength(draft, &value, "preference_strength")?.take("rationale", row, "preference_statement");
    let split = row.string("split")?.map(|split| if split == "val" { "validation".to_owned() } else { split });
    draft.set("split", split);
    let similar = row.get("three_most_similar_preferences").cloned();
    let Some(similar) = similar else { return Ok(draft) };
    let mut votes = Vec::new();
    for (i, vote) in as_list(similar, "three_most_similar_preferences")?.into_iter().enumerate() {
        let path = format!("three_most_similar_preferences[{i}]");
        let mut vote = Fields::of(vote, &path, row.reading())?;
        vote.rename("preference_strength", "strength");
        vote.rename("preference_statement", "statement");
        let strength = vote.need("strength", "a whole number")?;
        let strength = favoring_a(&strength, &vote.path("strength"))?;
        votes.push(json!({"strength": strength, "reason": vote.string("statement")?}));
    }
    if !votes.is_empty() {
        draft.set("votes.individual", votes);
    }
    Ok(draft)
}

/// The strength in favor of `a`, of three levels, of a source whose numbers favor the second response.
pub(super) fn favoring_a(value: &Value, path: &str) -> Result<Value, Reason> {
    let value = as_i64(value, path)?;
    crate::record::check_number(path, value as f64, -3.0, 3.0)?;
    let strength = Strength { value: value as i32, levels: 3 }.swapped();
    Ok(json!({"value": strength.value, "levels": strength.levels}))
}

/// Sets strength and outcome of a comparison by [`favoring_a`], and keeps the source's number.
pub(super) fn with_strength(draft: Draft, value: &Value, path: &str) -> Result<Draft, Reason> {
    let strength = favoring_a(value, path)?;
    let outcome = match strength["value"].as_i64() {
        Some(1..) => "a",
        Some(0) => "tie",
        _ => "b",
    };
    Ok(draft.with("strength", strength).with("outcome", outcome).with("meta.strength_source", value.clone()))
}

impl Source for HelpSteer2 {
    fn name(&self) -> &str {
        "helpsteer2"
    }

    fn about(&self) -> &str {
        "HelpSteer2: responses rated on five attributes, and preferences between two of a prompt"
    }

    fn sniff(&self, row: &Map<String, Value>) -> bool {
        has_all(row, &["prompt", "response", "helpfulness", "verbosity"])
            || has_all(row, &["prompt", "preference_strength"])
    }

    fn reader(&self) -> Reader {
        let (options, open) = (*self, Group::default());
        Reader::new(Grouping { options, open, ready: Vec::new(), late: Vec::new() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::testing::{but, load, one, reason};

    fn row(prompt: &str, response: &str, helpfulness: Value) -> Value {
        json!({"prompt": prompt, "response": response, "helpfulness": helpfulness, "correctness": 3, "coherence": 4,
            "complexity": 1, "verbosity": 2})
    }

    fn pair(strength: i64) -> Value {
        json!({"split": "val", "prompt": "q", "response_1": "one", "response_2": "two", "preference_strength": strength,
            "preference_statement": "1 is better", "preference_elaboration": "clear",
            "three_most_similar_preferences": [{"statement": "s", "elaboration": "e", "strength": strength}],
            "all_preferences_unprocessed": [{"strength": -1}]})
    }

    #[test]
    fn rows_that_follow_one_another_with_one_prompt_are_one_record() {
        let rows = [row("p", "a", json!(4)), row("p", "b", json!(1)), row("q", "c", json!(0)), row("p", "d", json!(2))];
        let (records, report) = load(&HelpSteer2::default(), &rows);
        assert_eq!((records.len(), report.used, report.records), (3, 4, 3));
        let texts: Vec<_> =
            records[0]["completions"].as_array().unwrap().iter().map(|text| &text[0]["content"]).collect();
        assert_eq!(texts, ["a", "b"]);
        assert_eq!(records[0]["ratings"][1]["helpfulness"], 1.0);
        assert_eq!((&records[0]["overall"], &records[0]["id"]), (&json!("helpfulness"), &json!("helpsteer2/rows:0")));
        assert_eq!(records[2]["id"], "helpsteer2/rows:3");
    }

    #[test]
    fn a_bad_row_is_rejected_alone() {
        let rows = [row("p", "a", json!(4)), row("p", "b", json!(5)), row("p", "", json!(1)), row("p", "c", json!(0))];
        let (records, report) = load(&HelpSteer2::default(), &rows);
        assert_eq!((records.len(), report.used, report.total_rejected()), (1, 2, 2));
        assert_eq!(report.samples[0].record_index, 1);
        let told: Vec<_> = report.samples.iter().map(|reject| &reject.message[..]).collect();
        assert_eq!(told[0], "field `helpfulness`: expected a number in [0, 4], found 5");
        assert_eq!(told[1], "field `response`: empty after trimming");
    }

    #[test]
    fn negative_strength_prefers_response_1_and_positive_response_2() {
        let record = one(&HelpSteer2::default(), pair(-2));
        assert_eq!((&record["outcome"], &record["strength"]), (&json!("a"), &json!({"value": 2, "levels": 3})));
        assert_eq!((&record["a"][0]["content"], &record["meta"]["strength_source"]), (&json!("one"), &json!(-2)));
        assert_eq!((&record["votes"]["n_a"], &record["votes"]["n_b"]), (&json!(1), &json!(0)));
        assert_eq!(record["votes"]["individual"][0]["strength"]["value"], 2);
        assert_eq!((&record["rationale"], &record["split"]), (&json!("1 is better"), &json!("validation")));
        let record = one(&HelpSteer2::default(), pair(3));
        assert_eq!((&record["outcome"], &record["strength"]["value"]), (&json!("b"), &json!(-3)));
        let record = one(&HelpSteer2::default(), pair(0));
        assert_eq!((&record["outcome"], &record["strength"]["value"]), (&json!("tie"), &json!(0)));
        assert!(reason(&HelpSteer2::default(), pair(4)).starts_with("E_RANGE: field `preference_strength`"));
        assert!(reason(&HelpSteer2::default(), pair(-4)).starts_with("E_RANGE"));
    }

    #[test]
    fn the_other_spelling_of_the_responses_is_read() {
        let other = but(&pair(1), json!({"response_1": null, "response_2": null, "response1": "x", "response2": "y"}));
        assert_eq!(one(&HelpSteer2::default(), other)["b"][0]["content"], "y");
    }

    #[test]
    fn disagreements_keep_every_annotator_and_rate_by_the_mean() {
        let record = one(&HelpSteer2::default(), row("p", "a", json!([4, 1, 1])));
        assert_eq!(record["ratings"][0]["helpfulness"], 2.0);
        let each = &record["ratings_by_annotator"][0]["helpfulness"];
        assert_eq!(each, &json!([{"value": 4.0}, {"value": 1.0}, {"value": 1.0}]));
    }

    #[test]
    fn the_published_weights_are_a_preset() {
        let record = one(&HelpSteer2 { weights: true }, row("p", "a", json!(1)));
        assert_eq!(
            record["aggregate"],
            json!({"helpfulness": 0.65, "correctness": 0.8, "coherence": 0.45,
            "complexity": 0.55, "verbosity": -0.4})
        );
        assert!(record.get("overall").is_none());
    }

    #[test]
    fn a_marker_inside_a_line_is_text_and_an_open_one_at_the_end_is_dropped() {
        let said = |prompt: &str| turns(prompt).iter().map(|turn| turn.content.clone()).collect::<Vec<_>>();
        assert_eq!(said("a <extra_id_1>User\nb"), ["a <extra_id_1>User\nb"]);
        assert_eq!(said("a\n<extra_id_1>Assistant\n"), ["a"]);
        assert_eq!(said("<extra_id_1>User\na\n\nb"), ["a\n\nb"]);
        assert_eq!(said(""), [""]);
    }
}
