//! PersonalLLM: eight responses to each prompt, scored by ten reward models of which simulated persons are mixtures.
//!
//! **Paper:** PersonalLLM: Tailoring LLMs to Individual Preferences (2024), 2409.20296; data card
//! `namkoong-lab/PersonalLLM`.
//! **Format:** `prompt`, `response_1` to `response_8`, `response_i_model`, and a column `response_i_<reward model>` for
//! each reward model. Interactions: `person_id`, and numbered `prompt_j`, `response_j_a`, `response_j_b`, `chosen_j`.
//! **Records:** rated completions whose attributes are the reward models; of interactions a pair each.
//! Given a person's weights, [`Standards::ranked`] orders the completions of a rated record.

use std::{collections::BTreeMap, path::Path};

use rand_distr::{Distribution, Gamma};
use serde_json::{Map, Value, json};

use super::{
    Reader, Source,
    draft::{Draft, Drafts, Rows, assistant, user},
    has_all,
};
use crate::{
    error::{Error, Result},
    order::{Purpose, stream},
    record::{Fields, Kind, Ranked, Rated, describe},
    report::{Code, Reason},
};

/// PersonalLLM.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PersonalLlm;

fn drafts(row: &mut Fields<'_>) -> std::result::Result<Drafts, Reason> {
    if row.has("person_id") { interactions(row) } else { rated(row).map(Drafts::One) }
}

fn rated(row: &mut Fields<'_>) -> std::result::Result<Draft, Reason> {
    let mut draft = Draft::new(Kind::Rated).says("prompt", "user", row, "prompt")?;
    let (mut texts, mut ratings, mut sources) = (Vec::new(), Vec::new(), Vec::new());
    for i in 1.. {
        let name = format!("response_{i}");
        if !row.has(&name) {
            break;
        }
        draft = draft.named(&format!("completions[{}]", i - 1), &name);
        texts.push(assistant(row.need_string(&name)?));
        let prefix = format!("{name}_");
        let columns: Vec<_> = row.names().filter(|column| column.starts_with(&prefix)).map(str::to_owned).collect();
        let (mut by_model, mut source) = (Map::new(), None);
        for column in columns {
            let attribute = column[prefix.len()..].to_owned();
            if attribute == "model" {
                source = row.string(&column)?;
                continue;
            }
            draft = draft.named(&format!("ratings[{}].{attribute}", i - 1), &column);
            by_model.insert(attribute, row.take(&column).unwrap_or_default());
        }
        ratings.push(Value::Object(by_model));
        sources.extend(source);
    }
    let sources = (sources.len() == texts.len()).then_some(sources);
    Ok(draft.with("completions", texts).with("ratings", ratings).with("sources", sources))
}

fn interactions(row: &mut Fields<'_>) -> std::result::Result<Drafts, Reason> {
    let person = match row.need("person_id", "a string or a whole number")? {
        Value::String(id) => id,
        other => other.to_string(),
    };
    let mut drafts = Vec::new();
    for j in 1.. {
        let [prompt, a, b, chosen] =
            [format!("prompt_{j}"), format!("response_{j}_a"), format!("response_{j}_b"), format!("chosen_{j}")];
        if !row.has(&prompt) {
            break;
        }
        let text = user(row.need_string(&prompt)?);
        let a_wins = match row.need_string(&chosen)?.as_str() {
            "a" => true,
            "b" => false,
            other => {
                let message = format!("expected a or b, found {}", describe(&other.into()));
                return Err(Reason::field(Code::LabelValue, chosen, message));
            }
        };
        let (won, lost) = if a_wins { (a, b) } else { (b, a) };
        let draft = Draft::new(Kind::Pair).with("prompt", text).named("prompt", prompt);
        let draft = draft.says("chosen", "assistant", row, &won)?.says("rejected", "assistant", row, &lost)?;
        drafts.push(draft.with("user_id", person.clone()));
    }
    match drafts.is_empty() {
        true => Err(Reason::field(Code::MissingField, "prompt_1", "missing")),
        false => Ok(Drafts::Many(drafts)),
    }
}

/// Weights of simulated persons over reward models: `n` draws of a Dirichlet distribution with `k` equal parameters.
///
/// A small `alpha` makes persons of one reward model each, a large one makes all persons alike. Each row sums to 1.
///
/// # Errors
/// [`Error::Domain`] if `alpha` is not finite and above 0, or `k` is 0.
///
/// # Example
/// ```
/// use accordant_data::sources::personal_llm::personas;
/// let weights = personas(3, 10, 0.05, 7)?;
/// assert!(weights.iter().all(|person| person.len() == 10 && (person.iter().sum::<f64>() - 1.0).abs() < 1e-12));
/// assert_eq!(weights, personas(3, 10, 0.05, 7)?);
/// # Ok::<(), accordant_data::Error>(())
/// ```
pub fn personas(n: usize, k: usize, alpha: f64, seed: u64) -> Result<Vec<Vec<f64>>> {
    let wrong = |name, expected, got| Error::Domain { name, expected, got };
    if k == 0 {
        return Err(wrong("k", "at least 1", 0.0));
    }
    if !(alpha.is_finite() && alpha > 0.0) {
        return Err(wrong("alpha", "finite and > 0", alpha));
    }
    // A gamma variable of shape alpha is one of shape alpha + 1 times u^(1/alpha); in logarithms a small alpha does not
    // make all of them 0.
    let gamma = Gamma::new(alpha + 1.0, 1.0).map_err(|_| wrong("alpha", "finite and > 0", alpha))?;
    let mut rng = stream(seed, Purpose::Personas, 0);
    let mut person = || {
        let logs: Vec<f64> = (0..k)
            .map(|_| {
                let uniform: f64 = rand::Rng::sample(&mut rng, rand_distr::OpenClosed01);
                gamma.sample(&mut rng).ln() + uniform.ln() / alpha
            })
            .collect();
        let most = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let weights: Vec<f64> = logs.iter().map(|log| (log - most).exp()).collect();
        let total: f64 = weights.iter().sum();
        weights.into_iter().map(|weight| weight / total).collect()
    };
    Ok((0..n).map(|_| person()).collect())
}

/// Mean and standard deviation of each reward model over a data set, by which rewards are put on one scale.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Standards(pub BTreeMap<String, (f64, f64)>);

impl Standards {
    /// Those of the ratings of records (over n). A model that gives everything the same score is left out.
    pub fn of<'a>(records: impl IntoIterator<Item = &'a Rated>) -> Self {
        let mut by_model: BTreeMap<String, Vec<f64>> = BTreeMap::new();
        for (model, rating) in records.into_iter().flat_map(|rated| &rated.ratings).flatten() {
            by_model.entry(model.clone()).or_default().extend(rating);
        }
        let of = |values: Vec<f64>| super::prism::mean_and_sd(&values);
        Self(by_model.into_iter().map(|(model, values)| (model, of(values))).filter(|(_, (_, sd))| *sd > 0.0).collect())
    }

    /// A person's reward for a completion: the sum over reward models, in the order of their names, of weight times
    /// standardized reward. None where a reward is missing.
    ///
    /// # Errors
    /// [`Error::Domain`] if there is not one weight for each model.
    pub fn reward(&self, rated: &Rated, completion: usize, weights: &[f64]) -> Result<Option<f64>> {
        if weights.len() != self.0.len() {
            let expected = "one weight for each reward model";
            return Err(Error::Domain { name: "weights", expected, got: weights.len() as f64 });
        }
        let terms = self
            .0
            .iter()
            .zip(weights)
            .map(|((model, (mean, sd)), weight)| Some(weight * (rated.rating(completion, model)? - mean) / sd));
        Ok(terms.sum())
    }

    /// The completions in the order of a person's rewards. None where a reward is missing.
    ///
    /// # Errors
    /// [`Error::Domain`] if there is not one weight for each model.
    pub fn ranked(&self, rated: &Rated, weights: &[f64]) -> Result<Option<Ranked>> {
        let rewards = (0..rated.completions.len()).map(|i| self.reward(rated, i, weights));
        let Some(scores) = rewards.collect::<Result<Option<Vec<_>>>>()? else { return Ok(None) };
        let ranked = Ranked::scored(rated.prompt.clone(), rated.completions.clone(), scores);
        let envelope = rated.envelope.clone();
        Ok(ranked.ok().map(|ranked| Ranked { sources: rated.sources.clone(), envelope, ..ranked }))
    }
}

impl Source for PersonalLlm {
    fn name(&self) -> &str {
        "personal_llm"
    }

    fn about(&self) -> &str {
        "PersonalLLM: eight responses to each prompt, scored by ten reward models"
    }

    fn sniff(&self, row: &Map<String, Value>) -> bool {
        let scored = |name: &String| name.starts_with("response_1_");
        has_all(row, &["prompt", "response_1", "response_2"]) && row.keys().any(scored)
            || has_all(row, &["person_id", "prompt_1", "chosen_1"])
    }

    fn reader(&self) -> Reader {
        Reader::new(Rows::new(self.name(), |row: &mut Fields<'_>, _: &Path| drafts(row)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::testing::{but, load, one, reason};

    fn row() -> Value {
        json!({"prompt": "q", "subset": "s", "response_1": "x", "response_2": "y", "response_1_model": "m",
            "response_2_model": "n", "response_1_gemma": 1.0, "response_2_gemma": 3.0, "response_1_llama": 8.0,
            "response_2_llama": 4.0})
    }

    #[test]
    fn reward_models_are_attributes() {
        let record = one(&PersonalLlm, row());
        assert_eq!(record["ratings"], json!([{"gemma": 1.0, "llama": 8.0}, {"gemma": 3.0, "llama": 4.0}]));
        assert_eq!((&record["sources"], &record["meta"]), (&json!(["m", "n"]), &json!({"subset": "s"})));
        let told = reason(&PersonalLlm, but(&row(), json!({"response_2_llama": "high"})));
        assert!(told.starts_with("E_TYPE: field `response_2_llama`"), "{told}");
        let unnamed = one(&PersonalLlm, but(&row(), json!({"response_2_model": null})));
        assert_eq!(unnamed.get("sources"), None);
    }

    #[test]
    fn a_person_rewards_by_standardized_scores() {
        let rated: Rated = serde_json::from_value(one(&PersonalLlm, row())).unwrap();
        let standards = Standards::of([&rated]);
        // gemma: mean 2, sd 1; llama: mean 6, sd 2. Both completions lie one deviation from the mean.
        assert_eq!(standards.0, BTreeMap::from([("gemma".into(), (2.0, 1.0)), ("llama".into(), (6.0, 2.0))]));
        assert_eq!(standards.reward(&rated, 0, &[0.75, 0.25]).unwrap(), Some(-0.75 + 0.25));
        let ranked = standards.ranked(&rated, &[0.75, 0.25]).unwrap().unwrap();
        assert_eq!((&ranked.scores[..], ranked.sources.len()), (&[-0.5, 0.5][..], 2));
        assert_eq!(standards.ranked(&rated, &[0.25, 0.75]).unwrap().unwrap().scores, [0.5, -0.5]);
        let error = standards.reward(&rated, 0, &[1.0]).unwrap_err().to_string();
        assert_eq!(error, "`weights`: expected one weight for each reward model, got 1");
        let mut missing = rated;
        missing.ratings[1].insert("gemma".into(), None);
        assert_eq!(standards.ranked(&missing, &[0.5, 0.5]).unwrap(), None);
    }

    #[test]
    fn of_interactions_the_chosen_letter_wins() {
        let row = json!({"person_id": 3, "person_weight": [0.5, 0.5], "prompt_1": "q", "response_1_a": "x", "response_1_b": "y",
            "chosen_1": "b", "prompt_2": "r", "response_2_a": "v", "response_2_b": "w", "chosen_2": "a", "test_prompt": "t"});
        let (records, report) = load(&PersonalLlm, &[row.clone()]);
        assert_eq!((records.len(), report.used), (2, 1));
        let sides = |i: usize| (&records[i]["chosen"][0]["content"], &records[i]["rejected"][0]["content"]);
        assert_eq!((sides(0), sides(1)), ((&json!("y"), &json!("x")), (&json!("v"), &json!("w"))));
        assert_eq!((&records[0]["user_id"], &records[1]["meta"]["test_prompt"]), (&json!("3"), &json!("t")));
        assert!(
            reason(&PersonalLlm, but(&row, json!({"chosen_1": "c"}))).starts_with("E_LABEL_VALUE: field `chosen_1`")
        );
        assert!(reason(&PersonalLlm, json!({"person_id": 3})).starts_with("E_MISSING_FIELD: field `prompt_1`"));
    }

    #[test]
    fn personas_have_the_moments_of_a_dirichlet_distribution() {
        // Mean 1/k; variance (k - 1) / (k² (k alpha + 1)): for k = 4 and alpha = 0.5 it is 3/48. The standard errors of
        // 20,000 draws are below 0.0018 and, from the fourth moment, below 0.0008: bounds of 5 of them.
        let draws = personas(20_000, 4, 0.5, 11).unwrap();
        let first: Vec<f64> = draws.iter().map(|person| person[0]).collect();
        let (mean, sd) = super::super::prism::mean_and_sd(&first);
        assert!((mean - 0.25).abs() < 0.009 && (sd * sd - 0.0625).abs() < 0.004, "{mean} {sd}");
        // Nearly one reward model each, and no division by 0 on the way.
        let sparse = personas(200, 10, 1e-4, 1).unwrap();
        assert!(sparse.iter().flatten().all(|weight| weight.is_finite()));
        let most = |person: &Vec<f64>| person.iter().copied().fold(0.0, f64::max);
        assert!(sparse.iter().filter(|person| most(person) > 0.99).count() > 190);
    }

    #[test]
    fn wrong_parameters_of_personas_are_named() {
        for (k, alpha, name) in
            [(0, 1.0, "`k`"), (2, 0.0, "`alpha`"), (2, f64::NAN, "`alpha`"), (2, f64::INFINITY, "`alpha`")]
        {
            assert!(personas(1, k, alpha, 0).unwrap_err().to_string().starts_with(name));
        }
    }
}
