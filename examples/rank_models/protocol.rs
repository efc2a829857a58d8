//! Judgements of models' answers by a crowd, and how well a ranking foretells those that it has not seen.

use std::{collections::HashSet, path::Path};

use accordant_preference::{
    Comparisons, Error, NamedComparisons, Names, Outcome, Result,
    ranking::{AnnotatorConfig, CrowdBtConfig, NewtonConfig, TieModel},
    resample::{MeanInterval, folds, held_out, mean_interval},
};

/// The seed of the splits and of the intervals.
pub const SEED: u64 = 0;
/// Draws of annotators for an interval.
pub const DRAWS: u32 = 2000;

/// Judgements with what is known of them.
pub struct Judgements {
    pub items: Names,
    /// Judged pairs with their annotators.
    pub all: Comparisons,
    /// The pair of answers of each judgement; several annotators judge it.
    pub pairs: Vec<usize>,
    /// The prompt of each judgement.
    pub prompts: Vec<usize>,
}

impl Judgements {
    /// Rows of `id, prompt, model_x, model_y, worker, winner, left, right`, with a header.
    pub fn read(path: &Path) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let mut named = NamedComparisons::default();
        let (mut pairs, mut prompts) = (Names::default(), Names::default());
        let (mut pair_of, mut prompt_of) = (Vec::new(), Vec::new());
        for row in csv::Reader::from_path(path)?.records() {
            let row = row?;
            let field = |at: usize| row.get(at).ok_or_else(|| format!("{}: a row is too short", path.display()));
            let outcome = match field(5)? {
                "left" => Outcome::First,
                "right" => Outcome::Second,
                "tie" => Outcome::Tie,
                other => return Err(format!("{}: winner `{other}`", path.display()).into()),
            };
            named.push_judged(field(4)?, field(6)?, field(7)?, outcome)?;
            pair_of.push(pairs.index(field(0)?));
            prompt_of.push(prompts.index(field(1)?));
        }
        Ok(Self { items: named.items().clone(), all: named.comparisons()?, pairs: pair_of, prompts: prompt_of })
    }

    /// The model of [`Model::of_ties`] that the bar of annotators' effects is about.
    pub const EFFECTS: &str = "  + ties, discrimination";

    /// Whoever judged each.
    pub fn annotators(&self) -> &[usize] {
        self.all.judges().unwrap_or(&[])
    }

    /// How many annotators there are.
    pub fn num_annotators(&self) -> usize {
        self.annotators().iter().collect::<HashSet<_>>().len()
    }

    /// The judgements at these places.
    pub fn select(&self, rows: &[usize]) -> Result<Self> {
        let of = |values: &[usize]| rows.iter().map(|&row| values[row]).collect();
        Ok(Self {
            items: self.items.clone(),
            all: self.all.select(rows.iter().copied())?,
            pairs: of(&self.pairs),
            prompts: of(&self.prompts),
        })
    }

    /// Whether all name a winner.
    pub fn is_decided(&self) -> bool {
        self.all.records().iter().all(|record| record.outcome != Outcome::Tie)
    }

    /// Those that name a winner.
    pub fn decided(&self) -> Result<Self> {
        let records = self.all.records();
        let rows: Vec<usize> = (0..records.len()).filter(|&row| records[row].outcome != Outcome::Tie).collect();
        self.select(&rows)
    }

    /// The mean of values of the judgements, with its interval over annotators.
    pub fn over_annotators(&self, values: &[f64]) -> Result<MeanInterval> {
        mean_interval(values, self.annotators(), DRAWS, 0.95, SEED)
    }

    /// The mean of the differences of values of the same judgements.
    pub fn difference(&self, values: &[f64], baseline: &[f64]) -> Result<MeanInterval> {
        let differences: Vec<f64> = values.iter().zip(baseline).map(|(a, b)| a - b).collect();
        self.over_annotators(&differences)
    }
}

/// What is held out together.
#[derive(Clone, Copy, PartialEq)]
pub enum Split {
    Judgements,
    Pairs,
    Annotators,
}

impl Split {
    pub const ALL: [Self; 3] = [Self::Judgements, Self::Pairs, Self::Annotators];

    /// What is held out, in words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Judgements => "judgements",
            Self::Pairs => "pairs of answers",
            Self::Annotators => "new annotators",
        }
    }

    /// The part of each judgement.
    pub fn parts(self, data: &Judgements, count: usize) -> Result<Vec<usize>> {
        match self {
            Self::Judgements => folds(&(0..data.all.len()).collect::<Vec<_>>(), count, SEED),
            Self::Pairs => folds(&data.pairs, count, SEED),
            Self::Annotators => folds(data.annotators(), count, SEED),
        }
    }
}

/// What is compared.
pub enum Model {
    /// How often left, right and ties come.
    Frequencies,
    /// Scores with ties and effects.
    Ties(AnnotatorConfig),
    /// Bradley-Terry scores of decided judgements.
    BradleyTerry,
    /// The same with reliabilities of annotators.
    CrowdBt,
}

impl Model {
    /// Models of all judgements, by name. Penalties are fixed beforehand.
    pub fn of_ties() -> Vec<(&'static str, Self)> {
        let davidson = AnnotatorConfig::new();
        let rao_kupper = AnnotatorConfig::new().with_ties(TieModel::RaoKupper);
        let offset = rao_kupper.clone().with_tie_offset(Some(1.0));
        let both = |config: AnnotatorConfig| config.with_tie_offset(Some(1.0)).with_discrimination(Some(1.0));
        let prompts = davidson.clone().with_prompt_scores(Some(5.0)).with_prompt_ties(Some(1.0));
        vec![
            ("class frequencies", Self::Frequencies),
            ("Davidson", Self::Ties(davidson.clone())),
            ("Rao-Kupper", Self::Ties(rao_kupper.clone())),
            ("  + annotators' ties", Self::Ties(offset)),
            (Judgements::EFFECTS, Self::Ties(both(rao_kupper))),
            ("Davidson + ties, discr., position", Self::Ties(both(davidson).with_position(Some(1.0)))),
            ("Davidson + prompt x model", Self::Ties(prompts)),
        ]
    }

    /// Models of decided judgements, by name.
    pub fn of_decided() -> [(&'static str, Self); 2] {
        [("Bradley-Terry", Self::BradleyTerry), ("Crowd-BT", Self::CrowdBt)]
    }

    /// The log-probability of each judgement by a fit to the other parts; annotators and prompts that are not there are
    /// nobody in particular.
    pub fn held_out(&self, data: &Judgements, parts: &[usize], progress: impl Fn() + Sync) -> Result<Vec<f64>> {
        held_out(parts, |others, part| {
            let (train, test) = (data.select(others)?, data.select(part)?);
            let scores = self.score(&train, &test);
            progress();
            scores
        })
    }

    fn score(&self, train: &Judgements, test: &Judgements) -> Result<Vec<f64>> {
        let records = test.all.records().iter().zip(test.annotators()).zip(&test.prompts);
        match self {
            Self::Frequencies => {
                let share = |outcome: Outcome| {
                    let same = train.all.records().iter().filter(|record| record.outcome == outcome).count();
                    (same as f64 / train.all.len() as f64).ln()
                };
                Ok(records.map(|((record, _), _)| share(record.outcome)).collect())
            }
            Self::Ties(config) => {
                let fit = config.fit(&train.all, Some(&train.prompts))?;
                check(fit.report.converged)?;
                let of = |((record, &judge), &prompt): ((&accordant_preference::Comparison, &usize), &usize)| {
                    let judge = Some(judge).filter(|&judge| fit.knows_judge(judge));
                    let prompt = Some(prompt).filter(|&prompt| fit.knows_prompt(prompt));
                    fit.log_prob(record.first, record.second, record.outcome, judge, prompt)
                };
                records.map(of).collect()
            }
            Self::BradleyTerry => {
                let fit = NewtonConfig::new().with_prior(0.1).fit(&train.all)?;
                check(fit.report.converged)?;
                let link = &accordant_preference::link::Logit;
                let of = |record: &accordant_preference::Comparison| {
                    let [first, _, second] = fit.chances(link, record.first, record.second)?;
                    Ok(if record.outcome == Outcome::First { first } else { second }.ln())
                };
                records.map(|((record, _), _)| of(record)).collect()
            }
            Self::CrowdBt => {
                let fit = CrowdBtConfig::new().fit(&train.all)?;
                check(fit.report.converged)?;
                let of = |record: &accordant_preference::Comparison, judge: usize| {
                    let known = fit.reliabilities.get(judge).is_some_and(|reliability| reliability.is_some());
                    let (winner, loser) = match record.outcome {
                        Outcome::First => (record.first, record.second),
                        _ => (record.second, record.first),
                    };
                    fit.log_prob(winner, loser, Some(judge).filter(|_| known))
                };
                records.map(|((record, &judge), _)| of(record, judge)).collect()
            }
        }
    }
}

fn check(converged: bool) -> Result<()> {
    match converged {
        true => Ok(()),
        false => Err(Error::Combination { what: "a fit of a part", reason: "it did not converge" }),
    }
}
