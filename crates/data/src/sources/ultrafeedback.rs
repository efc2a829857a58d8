//! UltraFeedback, raw: up to four completions of an instruction, each rated on four aspects and overall.
//!
//! **Paper:** UltraFeedback: Boosting Language Models with Scaled AI Feedback (2023), 2310.01377; data card
//! `openbmb/UltraFeedback`.
//! **Records:** rated completions: `instruction_following`, `honesty`, `truthfulness` and `helpfulness` from 1 to 5,
//! `overall` from 1 to 10. `sources` are the models; principle, rationales and critique are in `meta.completions`.
//! **Quirks:** ratings are strings and may be `N/A`, which is no rating; `["None"]` stands for no list; the first release
//! had 2,628 overall scores of 10 many of which should have been 1. What was published for them is [`FixOverall::Repair`]:
//! if the mean of the aspects is at most 2 the score becomes 1, above 4 it stays, and between it is in doubt.
//! TruthfulQA is one of its sources: exclude `truthful_qa` before testing on that benchmark.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::{
    Reader, Source,
    draft::{Draft, Drafts, Rows, assistant},
    has_all,
};
use crate::{
    record::{Fields, Kind, as_list, describe},
    report::{Code, Reason, Warning},
};

const ASPECTS: [&str; 4] = ["instruction_following", "honesty", "truthfulness", "helpfulness"];

/// What to do with overall scores of 10 that the aspects do not explain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FixOverall {
    /// Nothing.
    Off,
    /// As published: up to a mean of 2 the score becomes 1; up to 4 it is kept and counted as odd.
    #[default]
    Repair,
    /// The same, but a score in doubt is taken out, so that no pair is made of it.
    Strict,
}

/// UltraFeedback, raw.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ultrafeedback {
    /// What to do with overall scores of 10. Default: what was published.
    pub fix_overall: FixOverall,
    /// Rows whose `source` is one of these are left out, under `exclude_sources`. Default: none.
    pub exclude_sources: Vec<String>,
}

impl Ultrafeedback {
    fn draft(&self, row: &mut Fields<'_>) -> Result<Drafts, Reason> {
        let source = row.get("source").and_then(Value::as_str);
        if source.is_some_and(|source| self.exclude_sources.iter().any(|excluded| excluded == source)) {
            return Ok(Drafts::Filtered("exclude_sources"));
        }
        for name in ["correct_answers", "incorrect_answers"] {
            if row.get(name) == Some(&json!(["None"])) || row.get(name) == Some(&json!("None")) {
                row.take(name);
            }
        }
        let mut draft = Draft::new(Kind::Rated).says("prompt", "user", row, "instruction")?;
        let models = row.get("models").and_then(Value::as_array).cloned().unwrap_or_default();
        let list = as_list(row.need("completions", "a list of objects")?, "completions")?;
        let (mut texts, mut sources, mut ratings, mut rests) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (i, completion) in list.into_iter().enumerate() {
            let path = format!("completions[{i}]");
            draft = draft.named(&path, format!("{path}.response")).named(&format!("ratings[{i}]"), &path);
            let mut completion = Fields::of(completion, path, row.reading())?;
            texts.push(assistant(completion.need_string("response")?));
            // The model beside the response counts; its place in `models` is only a stand-in.
            let model = completion.string("model")?.map(Value::from).or_else(|| models.get(i).cloned());
            sources.push(model.unwrap_or_else(|| json!("")));
            ratings.push(Value::Object(self.ratings(&mut completion)?));
            let mut rest = completion.into_rest();
            rest.retain(|_, value| !value.is_null());
            rests.push(Value::Object(rest));
        }
        let scale = |most: u32| json!({"min": 1, "max": most, "direction": "higher"});
        let mut scales: Map<_, _> = ASPECTS.iter().map(|&aspect| (aspect.to_owned(), scale(5))).collect();
        scales.insert("overall".into(), scale(10));
        let draft = draft.with("completions", texts).with("ratings", ratings).with("scale", scales);
        let draft = if sources.iter().any(|source| source == "") { draft } else { draft.with("sources", sources) };
        Ok(draft.with("overall", "overall").with("meta.completions", rests).into())
    }

    fn ratings(&self, completion: &mut Fields<'_>) -> Result<Map<String, Value>, Reason> {
        let mut ratings = Map::new();
        let annotations = completion.get("annotations").and_then(Value::as_object).cloned().unwrap_or_default();
        let mut of_aspects = Vec::new();
        for aspect in ASPECTS {
            let path = format!("{}.{aspect}.Rating", completion.path("annotations"));
            let rating = number(annotations.get(aspect).and_then(|about| about.get("Rating")), &path)?;
            of_aspects.extend(rating);
            ratings.insert(aspect.to_owned(), json!(rating));
        }
        let path = completion.path("overall_score");
        let given = number(completion.take("overall_score").as_ref(), &path)?;
        let mean = of_aspects.iter().sum::<f64>() / of_aspects.len().max(1) as f64;
        let known = (!of_aspects.is_empty()).then_some(mean);
        let overall = match (self.fix_overall, given) {
            (FixOverall::Repair | FixOverall::Strict, Some(10.0)) => {
                let fixed = self.fixed(known, completion);
                if fixed != given {
                    completion.insert("overall_score", 10);
                }
                fixed
            }
            _ => given,
        };
        ratings.insert("overall".into(), json!(overall));
        Ok(ratings)
    }

    /// What an overall score of 10 becomes, by the mean of the aspects.
    fn fixed(&self, mean: Option<f64>, completion: &mut Fields<'_>) -> Option<f64> {
        match mean {
            Some(mean) if mean <= 2.0 => Some(1.0),
            Some(mean) if mean > 4.0 => Some(10.0),
            _ => {
                completion.reading().warn(Warning::Overall10);
                (self.fix_overall == FixOverall::Repair).then_some(10.0)
            }
        }
    }
}

/// A number, or a string that holds one; none for `N/A` and where there is nothing.
fn number(value: Option<&Value>, path: &str) -> Result<Option<f64>, Reason> {
    let read = match value {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) if text.trim() == "N/A" => return Ok(None),
        Some(Value::String(text)) => text.trim().parse().ok().filter(|number: &f64| number.is_finite()),
        Some(other) => other.as_f64(),
    };
    match (read, value) {
        (None, Some(value)) => {
            let message = format!("expected a number, a string that holds one, or N/A, found {}", describe(value));
            Err(Reason::field(Code::Type, path, message))
        }
        (read, _) => Ok(read),
    }
}

impl Source for Ultrafeedback {
    fn name(&self) -> &str {
        "ultrafeedback"
    }

    fn about(&self) -> &str {
        "UltraFeedback, raw: up to four completions, each rated on four aspects and overall"
    }

    fn sniff(&self, row: &Map<String, Value>) -> bool {
        has_all(row, &["instruction", "completions"])
            && row["completions"].as_array().is_some_and(|all| all.iter().all(|one| one.get("response").is_some()))
    }

    fn reader(&self) -> Reader {
        let options = self.clone();
        Reader::new(Rows::new(self.name(), move |row: &mut Fields<'_>, _: &Path| options.draft(row)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::testing::{but, load, one, reason};

    fn completion(model: &str, rating: &str, overall: Value) -> Value {
        let rated = |with: Value| {
            let mut about = json!({"Rating": rating, "Rationale": "why"});
            about.as_object_mut().unwrap().extend(with.as_object().unwrap().clone());
            about
        };
        json!({"model": model, "principle": "honesty", "custom_system_prompt": "Be honest.", "response": model,
            "critique": "fine", "overall_score": overall,
            "annotations": {"instruction_following": rated(json!({})), "honesty": {"Rating": "N/A", "Rationale": ""},
                "truthfulness": rated(json!({"Type": ["None"]})), "helpfulness": rated(json!({"Type": "None"}))}})
    }

    fn row() -> Value {
        json!({"source": "evol_instruct", "instruction": "Say.", "models": ["m1", "m2"], "correct_answers": ["None"],
            "incorrect_answers": ["wrong"], "completions": [completion("m2", "5", json!(9)), completion("m1", "2", json!("3.5"))]})
    }

    #[test]
    fn ratings_are_strings_and_not_available_is_no_rating() {
        let record = one(&Ultrafeedback::default(), row());
        let expected = json!({"instruction_following": 5.0, "honesty": null, "truthfulness": 5.0, "helpfulness": 5.0,
            "overall": 9.0});
        assert_eq!(record["ratings"][0], expected);
        assert_eq!(record["ratings"][1]["overall"], 3.5);
        // By the model beside the response, not by the place in `models`.
        assert_eq!(record["sources"], json!(["m2", "m1"]));
        assert_eq!(record["scale"]["overall"]["max"], 10.0);
        let meta = &record["meta"];
        assert!(meta.get("correct_answers").is_none());
        assert_eq!(meta["incorrect_answers"], json!(["wrong"]));
        assert_eq!(meta["completions"][0]["custom_system_prompt"], "Be honest.");
        assert_eq!(meta["completions"][1]["critique"], "fine");
    }

    #[test]
    fn a_score_of_10_is_mended_by_the_mean_of_the_aspects() {
        let with = |rating: &str, fix_overall| {
            let row = but(
                &row(),
                json!({"completions": [completion("m", rating, json!(10)), completion("n", "3", json!(4))]}),
            );
            let (records, report) = load(&Ultrafeedback { fix_overall, ..Ultrafeedback::default() }, &[row]);
            (records[0]["ratings"][0]["overall"].as_f64(), report.warned(Warning::Overall10))
        };
        assert_eq!(with("2", FixOverall::Repair), (Some(1.0), 0));
        assert_eq!(with("5", FixOverall::Repair), (Some(10.0), 0));
        assert_eq!(with("4", FixOverall::Repair), (Some(10.0), 1));
        assert_eq!(with("3", FixOverall::Strict), (None, 1));
        assert_eq!(with("1", FixOverall::Strict), (Some(1.0), 0));
        assert_eq!(with("5", FixOverall::Strict), (Some(10.0), 0));
        assert_eq!(with("1", FixOverall::Off), (Some(10.0), 0));
        assert_eq!(with("N/A", FixOverall::Strict), (None, 1));
    }

    #[test]
    fn excluded_sources_are_counted() {
        let options = Ultrafeedback { exclude_sources: vec!["truthful_qa".into()], ..Ultrafeedback::default() };
        let (records, report) = load(&options, &[row(), but(&row(), json!({"source": "truthful_qa"}))]);
        assert_eq!((records.len(), report.filtered["exclude_sources"]), (1, 1));
    }

    #[test]
    fn what_is_no_rating_is_named_with_its_path() {
        let odd =
            but(&row(), json!({"completions": [completion("m", "five", json!(1)), completion("n", "3", json!(1))]}));
        let told = reason(&Ultrafeedback::default(), odd);
        let expected = "E_TYPE: field `completions[0].annotations.instruction_following.Rating`: expected a number, a \
            string that holds one, or N/A, found string \"five\"";
        assert_eq!(told, expected);
        let high =
            but(&row(), json!({"completions": [completion("m", "6", json!(1)), completion("n", "3", json!(1))]}));
        assert!(reason(&Ultrafeedback::default(), high).starts_with("E_RANGE: field `completions[0]"));
        let mut silent = completion("m", "3", json!(1));
        silent["response"] = json!("");
        let told = reason(
            &Ultrafeedback::default(),
            but(&row(), json!({"completions": [completion("n", "3", json!(1)), silent]})),
        );
        assert_eq!(told, "E_EMPTY: field `completions[1].response`: empty after trimming");
    }
}
