//! What is compared, and how well it foretells rankings that it has not seen.

use accordant_preference::{
    Error, Result,
    plural::{em::EmConfig, ranking_mixture::RankingMixtureConfig},
    ranking::{PlackettLuceConfig, plackett_luce::log_prob},
    rankings::TiedPlaces,
    resample::{MeanInterval, folds, held_out, mean_interval},
};

use crate::survey::Survey;

/// The seed of folds, intervals and starts.
pub const SEED: u64 = 0;
/// Draws of respondents for an interval.
pub const DRAWS: u32 = 2000;
/// Starts of a mixture.
pub const STARTS: usize = 4;

/// A model of rankings, with a ridge of 1 on all scores.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Model {
    /// One score for each film.
    One,
    /// One for each answer to a question.
    By(&'static str),
    /// Kinds of respondents.
    Mixture(usize),
}

impl Model {
    pub fn name(self) -> String {
        match self {
            Self::One => "one score for each film".to_owned(),
            Self::By(question) => format!("scores by {question}"),
            Self::Mixture(kinds) => format!("mixture of {kinds}"),
        }
    }

    /// The log-probability of each ranking by a fit to the other parts.
    pub fn held_out(self, survey: &Survey, parts: &[usize], progress: impl Fn() + Sync) -> Result<Vec<f64>> {
        held_out(parts, |others, part| {
            let scores = self.score(survey, others, part);
            progress();
            scores
        })
    }

    fn score(self, survey: &Survey, train: &[usize], test: &[usize]) -> Result<Vec<f64>> {
        match self {
            Self::One => by_group(survey, train, test, |_| ""),
            Self::By(question) => {
                let answers = survey.answers(question)?;
                by_group(survey, train, test, |row| &answers[row])
            }
            Self::Mixture(kinds) => {
                let users: Vec<_> = train.iter().map(|&row| survey.rankings[row].clone()).collect();
                let em = EmConfig::new(kinds).with_restarts(STARTS).with_seed(SEED).with_max_iterations(2000);
                let mixture = RankingMixtureConfig::new(em).fit(&users)?;
                check(mixture.report.converged)?;
                test.iter().map(|&row| mixture.log_likelihood(&survey.rankings[row])).collect()
            }
        }
    }
}

/// A fit for each group; whose group was not there in training gets the fit of all.
fn by_group<'a>(
    survey: &Survey,
    train: &[usize],
    test: &[usize],
    group: impl Fn(usize) -> &'a str,
) -> Result<Vec<f64>> {
    let fit = |rows: &[usize]| -> Result<Vec<f64>> {
        let fit = PlackettLuceConfig::new().with_prior(1.0).fit(&survey.together(rows.iter().copied())?)?;
        check(fit.report.converged)?;
        Ok(fit.scores)
    };
    let mut known: Vec<(&str, Vec<f64>)> = Vec::new();
    let mut scored = Vec::new();
    for &row in test {
        let own = group(row);
        if !known.iter().any(|(name, _)| *name == own) {
            let alike: Vec<usize> = train.iter().copied().filter(|&row| group(row) == own).collect();
            known.push((own, fit(if alike.is_empty() { train } else { &alike })?));
        }
        let (_, scores) = known.iter().find(|(name, _)| *name == own).expect("just fitted");
        scored.push(log_prob(&survey.rankings[row].lists()[0], scores, TiedPlaces::Breslow)?);
    }
    Ok(scored)
}

fn check(converged: bool) -> Result<()> {
    match converged {
        true => Ok(()),
        false => Err(Error::Combination { what: "a fit of a part", reason: "it did not converge" }),
    }
}

/// Ten folds over respondents.
pub fn parts(survey: &Survey) -> Result<Vec<usize>> {
    folds(&(0..survey.rankings.len()).collect::<Vec<_>>(), 10, SEED)
}

/// The mean over respondents, with its interval over them.
pub fn mean(values: &[f64]) -> Result<MeanInterval> {
    mean_interval(values, &(0..values.len()).collect::<Vec<_>>(), DRAWS, 0.95, SEED)
}

/// The mean difference, respondent by respondent.
pub fn gain(values: &[f64], baseline: &[f64]) -> Result<MeanInterval> {
    mean(&values.iter().zip(baseline).map(|(value, base)| value - base).collect::<Vec<f64>>())
}
