//! Scores from judges who differ: in how often they call a tie, how sharply they tell items apart, which side they favor; and
//! from prompts that suit some items more than others.
//!
//! **Status:** library definition: Davidson's and Rao and Kupper's models of ties with penalized effects.
//! **Use when:** judges are known and judge often. Effects of a judge help where the same judge is asked again, and say
//! nothing of a new one.
//! **Checked by:** finite differences; no effect is the fit by Newton's method; effects of seeded judges are found.
//! **Deviations:** none.

use accordant_ops::check_domain;
use burn::config::Config;
use serde::{Deserialize, Serialize};

use crate::{
    Comparison, Comparisons, Error, Outcome, Report, Result,
    error::{check_index, check_length},
    link::{Davidson, Link, RaoKupper},
    optimize::{Stop, lbfgs},
};

/// A model of ties.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum TieModel {
    /// [`Davidson`]'s.
    #[default]
    Davidson,
    /// [`RaoKupper`]'s.
    RaoKupper,
}

impl TieModel {
    /// The chances of the outcomes.
    pub fn link(self) -> &'static dyn Link {
        match self {
            Self::Davidson => &Davidson,
            Self::RaoKupper => &RaoKupper,
        }
    }
}

/// Configuration of a fit with effects of judges and prompts; an effect without a penalty is left out.
///
/// ```text
/// d   = exp(γ_u) (s_a − s_b + φ_pa − φ_pb) + δ_u,      rho = ρ + τ_u + ψ_p
/// minimize  −Σ weight · log P(outcome; d, rho) + ½ prior ‖s‖² + Σ_effects ½ penalty ‖effect‖²
/// ```
#[derive(Config, Debug, PartialEq)]
pub struct AnnotatorConfig {
    /// The model of ties.
    #[config(default = "TieModel::Davidson")]
    pub ties: TieModel,
    /// The precision of a normal prior on each score, finite and > 0. 0.1: ours.
    #[config(default = 0.1)]
    pub prior: f64,
    /// The penalty of `τ`, each judge's shift of the parameter of ties, finite and > 0.
    #[config(default = "None")]
    pub tie_offset: Option<f64>,
    /// The penalty of `γ`, the logarithm of how sharply each judge tells items apart, finite and > 0.
    #[config(default = "None")]
    pub discrimination: Option<f64>,
    /// The penalty of `δ`, how much each judge favors the first of the two items, finite and > 0.
    #[config(default = "None")]
    pub position: Option<f64>,
    /// The penalty of `φ`, how much better than elsewhere an item is on each prompt, finite and > 0.
    #[config(default = "None")]
    pub prompt_scores: Option<f64>,
    /// The penalty of `ψ`, each prompt's shift of the parameter of ties, finite and > 0.
    #[config(default = "None")]
    pub prompt_ties: Option<f64>,
    /// Converged when no derivative of the objective exceeds this much for each comparison (of weight 1), > 0. 1e-7: ours.
    #[config(default = 1e-7)]
    pub tolerance: f64,
    /// Steps at most. 2000: ours.
    #[config(default = 2000)]
    pub max_iterations: usize,
}

/// Where the parameters of each kind begin.
#[derive(Debug, Clone, Copy)]
struct Layout {
    num_items: usize,
    /// The parameter of ties; none when no comparison is a tie.
    ties: Option<usize>,
    tie_offset: Option<usize>,
    discrimination: Option<usize>,
    position: Option<usize>,
    prompt_scores: Option<usize>,
    prompt_ties: Option<usize>,
    len: usize,
}

impl AnnotatorConfig {
    /// Fits scores and effects. Judges are those of the comparisons; `prompts` says which prompt each comparison was about.
    ///
    /// # Errors
    /// A domain error naming a field; [`Error::Combination`] when an effect of judges is asked for and judges are not
    /// known, or one of prompts without prompts; [`Error::Length`] naming `prompts`; [`Error::Empty`] without a comparison;
    /// [`Error::AllTies`] when there is nothing else.
    ///
    /// # Example
    /// ```
    /// use accordant_preference::{Comparisons, Outcome, ranking::AnnotatorConfig};
    /// let mut judged = Comparisons::new(2);
    /// for _ in 0..20 {
    ///     judged.push(0, 1, Outcome::Tie)?; // judge 0 never decides
    ///     judged.push(0, 1, Outcome::First)?; // judge 1 always does
    /// }
    /// let judged = judged.with_judges((0..40).map(|row| row % 2).collect())?;
    /// let fit = AnnotatorConfig::new().with_tie_offset(Some(1.0)).fit(&judged, None)?;
    /// assert!(fit.report.converged && fit.tie_offsets[0] > 1.0 && fit.tie_offsets[1] < -1.0);
    /// # Ok::<(), accordant_preference::Error>(())
    /// ```
    pub fn fit(&self, judged: &Comparisons, prompts: Option<&[usize]>) -> Result<AnnotatorFit> {
        let problem = Problem::new(self, judged, prompts)?;
        let stop = Stop { gradient: self.tolerance * problem.total, max_iterations: self.max_iterations };
        let (at, report) = lbfgs(|at, gradient| problem.evaluate(at, gradient), vec![0.0; problem.layout.len], stop);
        let Layout { num_items, ties, tie_offset, discrimination, position, prompt_scores, prompt_ties, .. } =
            problem.layout;
        let of =
            |start: Option<usize>, len: usize| start.map_or_else(Vec::new, |start| at[start..start + len].to_vec());
        let [judges, prompts] = [problem.num_judges, problem.num_prompts];
        let prompt_scores = of(prompt_scores, prompts * num_items);
        Ok(AnnotatorFit {
            model: self.ties,
            scores: at[..num_items].to_vec(),
            ties: ties.map_or(f64::NEG_INFINITY, |ties| at[ties]),
            tie_offsets: of(tie_offset, judges),
            log_discriminations: of(discrimination, judges),
            positions: of(position, judges),
            prompt_scores: prompt_scores.chunks(num_items.max(1)).map(<[f64]>::to_vec).collect(),
            prompt_ties: of(prompt_ties, prompts),
            judged: problem.judged,
            prompted: problem.prompted,
            report,
        })
    }

    fn of_judges(&self) -> bool {
        self.tie_offset.is_some() || self.discrimination.is_some() || self.position.is_some()
    }

    fn of_prompts(&self) -> bool {
        self.prompt_scores.is_some() || self.prompt_ties.is_some()
    }

    fn check(&self) -> Result<()> {
        let penalties = [
            ("prior", Some(self.prior)),
            ("tie_offset", self.tie_offset),
            ("discrimination", self.discrimination),
            ("position", self.position),
            ("prompt_scores", self.prompt_scores),
            ("prompt_ties", self.prompt_ties),
        ];
        for (name, penalty) in penalties {
            let penalty = penalty.unwrap_or(1.0);
            check_domain(penalty.is_finite() && penalty > 0.0, name, "finite and > 0", penalty)?;
        }
        Ok(check_domain(self.tolerance > 0.0, "tolerance", "> 0", self.tolerance)?)
    }
}

/// What is minimized.
struct Problem<'a> {
    config: &'a AnnotatorConfig,
    records: &'a [Comparison],
    judges: Option<&'a [usize]>,
    prompts: Option<&'a [usize]>,
    num_judges: usize,
    num_prompts: usize,
    /// Who has judged at all, and what has been asked.
    judged: Vec<bool>,
    prompted: Vec<bool>,
    layout: Layout,
    total: f64,
}

/// Where each index occurs with a weight.
fn occurring(indices: Option<&[usize]>, records: &[Comparison]) -> Vec<bool> {
    let indices = indices.unwrap_or(&[]);
    let mut occurs = vec![false; indices.iter().max().map_or(0, |last| last + 1)];
    indices.iter().zip(records).for_each(|(&index, record)| occurs[index] |= record.weight > 0.0);
    occurs
}

impl<'a> Problem<'a> {
    fn new(config: &'a AnnotatorConfig, judged: &'a Comparisons, prompts: Option<&'a [usize]>) -> Result<Self> {
        config.check()?;
        let records = judged.records();
        let judges = judged.judges().filter(|_| config.of_judges());
        if config.of_judges() && judges.is_none() {
            return Err(Error::Combination { what: "effects of judges", reason: "nobody said who judged" });
        }
        if let Some(prompts) = prompts {
            check_length("prompts", records.len(), prompts.len())?;
        }
        let prompts = prompts.filter(|_| config.of_prompts());
        if config.of_prompts() && prompts.is_none() {
            return Err(Error::Combination { what: "effects of prompts", reason: "nobody said what was asked" });
        }
        let weight_of = |tie: bool| -> f64 {
            records.iter().filter(|r| (r.outcome == Outcome::Tie) == tie).map(|r| r.weight).sum()
        };
        let (tied, decided) = (weight_of(true), weight_of(false));
        if tied + decided == 0.0 {
            return Err(Error::Empty { name: "comparisons", reason: "none has a weight" });
        }
        if decided == 0.0 {
            return Err(Error::AllTies);
        }
        let (judged_by, prompted) = (occurring(judges, records), occurring(prompts, records));
        let (num_items, num_judges, num_prompts) = (judged.num_items(), judged_by.len(), prompted.len());
        let mut len = num_items;
        let mut place = |wanted: bool, size: usize| {
            let start = len;
            len += if wanted { size } else { 0 };
            wanted.then_some(start)
        };
        // Without a tie their parameter is at its boundary, and so is everybody's.
        let layout = Layout {
            num_items,
            ties: place(tied > 0.0, 1),
            tie_offset: place(config.tie_offset.is_some() && tied > 0.0, num_judges),
            discrimination: place(config.discrimination.is_some(), num_judges),
            position: place(config.position.is_some(), num_judges),
            prompt_scores: place(config.prompt_scores.is_some(), num_prompts * num_items),
            prompt_ties: place(config.prompt_ties.is_some() && tied > 0.0, num_prompts),
            len: 0,
        };
        Ok(Self {
            config,
            records,
            judges,
            prompts,
            num_judges,
            num_prompts,
            judged: judged_by,
            prompted,
            layout: Layout { len, ..layout },
            total: tied + decided,
        })
    }

    fn evaluate(&self, at: &[f64], gradient: &mut [f64]) -> f64 {
        gradient.fill(0.0);
        let link = self.config.ties.link();
        let Layout { num_items, ties, tie_offset, discrimination, position, prompt_scores, prompt_ties, .. } =
            self.layout;
        let mut value = 0.0;
        for (row, record) in self.records.iter().enumerate() {
            let (judge, prompt) = (self.judges.map(|judges| judges[row]), self.prompts.map(|prompts| prompts[row]));
            let place = |start: Option<usize>, index: Option<usize>| Some(start? + index?);
            let offset = place(tie_offset, judge);
            let sharpness = place(discrimination, judge);
            let side = place(position, judge);
            let first_on = place(prompt_scores, prompt.map(|p| p * num_items + record.first));
            let second_on = place(prompt_scores, prompt.map(|p| p * num_items + record.second));
            let prompt_tie = place(prompt_ties, prompt);
            let of = |place: Option<usize>| place.map_or(0.0, |place| at[place]);

            let apart = at[record.first] - at[record.second] + of(first_on) - of(second_on);
            let scale = of(sharpness).exp();
            let rho = ties.map_or(f64::NEG_INFINITY, |ties| at[ties] + of(offset) + of(prompt_tie));
            let p = link.log_prob(record.outcome, scale * apart + of(side), rho);

            let w = record.weight;
            value -= w * p.value;
            let mut add = |place: Option<usize>, slope: f64| {
                if let Some(place) = place {
                    gradient[place] -= w * slope;
                }
            };
            add(Some(record.first), p.d * scale);
            add(Some(record.second), -p.d * scale);
            add(first_on, p.d * scale);
            add(second_on, -p.d * scale);
            add(sharpness, p.d * scale * apart);
            add(side, p.d);
            add(ties, p.rho);
            add(offset, p.rho);
            add(prompt_tie, p.rho);
        }
        let (judges, prompts) = (self.num_judges, self.num_prompts);
        let penalties = [
            (Some(0), num_items, Some(self.config.prior)),
            (tie_offset, judges, self.config.tie_offset),
            (discrimination, judges, self.config.discrimination),
            (position, judges, self.config.position),
            (prompt_scores, prompts * num_items, self.config.prompt_scores),
            (prompt_ties, prompts, self.config.prompt_ties),
        ];
        for (start, len, penalty) in penalties {
            let (Some(start), Some(penalty)) = (start, penalty) else { continue };
            for place in start..start + len {
                value += 0.5 * penalty * at[place] * at[place];
                gradient[place] += penalty * at[place];
            }
        }
        value
    }
}

/// Scores with effects of judges and prompts; lists of effects that were left out are empty.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AnnotatorFit {
    /// The model of ties.
    pub model: TieModel,
    /// The score of each item, of mean 0 up to rounding.
    pub scores: Vec<f64>,
    /// The parameter of ties: `ln ν` or `ln(κ − 1)`; −∞ without a tie in the data.
    pub ties: f64,
    /// Each judge's shift of it.
    pub tie_offsets: Vec<f64>,
    /// The logarithm of how sharply each judge tells items apart.
    pub log_discriminations: Vec<f64>,
    /// How much each judge favors the first item.
    pub positions: Vec<f64>,
    /// How much better than elsewhere each item is on each prompt.
    pub prompt_scores: Vec<Vec<f64>>,
    /// Each prompt's shift of the parameter of ties.
    pub prompt_ties: Vec<f64>,
    judged: Vec<bool>,
    prompted: Vec<bool>,
    /// How the fit ended.
    pub report: Report,
}

impl AnnotatorFit {
    /// Whether a judge was there in the fit; always when it has no effect of judges.
    pub fn knows_judge(&self, judge: usize) -> bool {
        self.judged.is_empty() || self.judged.get(judge) == Some(&true)
    }

    /// Whether a prompt was there in the fit; always when it has no effect of prompts.
    pub fn knows_prompt(&self, prompt: usize) -> bool {
        self.prompted.is_empty() || self.prompted.get(prompt) == Some(&true)
    }

    /// The log-probability of an outcome, by a judge and on a prompt, or, where these are none, with effects of 0.
    ///
    /// # Errors
    /// [`Error::Index`] for an item that is not in the table; [`Error::Unknown`] for a judge or a prompt that was not
    /// there in the fit.
    pub fn log_prob(
        &self,
        first: usize,
        second: usize,
        outcome: Outcome,
        judge: Option<usize>,
        prompt: Option<usize>,
    ) -> Result<f64> {
        check_index(0, "first", first, self.scores.len())?;
        check_index(0, "second", second, self.scores.len())?;
        if let Some(index) = judge.filter(|&judge| !self.knows_judge(judge)) {
            return Err(Error::Unknown { name: "judge", index });
        }
        if let Some(index) = prompt.filter(|&prompt| !self.knows_prompt(prompt)) {
            return Err(Error::Unknown { name: "prompt", index });
        }
        let of = |effects: &[f64], index: Option<usize>| index.and_then(|i| effects.get(i)).copied().unwrap_or(0.0);
        let on = |item: usize| {
            let scores = prompt.and_then(|prompt| self.prompt_scores.get(prompt));
            self.scores[item] + scores.map_or(0.0, |scores| scores[item])
        };
        let d = of(&self.log_discriminations, judge).exp() * (on(first) - on(second)) + of(&self.positions, judge);
        let rho = self.ties + of(&self.tie_offsets, judge) + of(&self.prompt_ties, prompt);
        Ok(self.model.link().log_prob(outcome, d, rho).value)
    }
}

#[cfg(test)]
mod tests {
    use accordant_laws::gradient::check_gradient;
    use rand::Rng;

    use super::*;
    use crate::random::{Purpose, stream};
    use crate::ranking::{
        NewtonConfig,
        fixtures::{close, five, four},
    };

    fn all_effects() -> AnnotatorConfig {
        AnnotatorConfig::new()
            .with_tie_offset(Some(1.5))
            .with_discrimination(Some(0.7))
            .with_position(Some(1.2))
            .with_prompt_scores(Some(5.0))
            .with_prompt_ties(Some(2.0))
    }

    fn judged() -> (Comparisons, Vec<usize>) {
        let judged = five().with_judges((0..16).map(|row| row % 3).collect()).unwrap();
        (judged, (0..16).map(|row| row / 3 % 2).collect())
    }

    #[test]
    fn the_objective_has_the_derivatives_that_it_says() {
        let (judged, prompts) = judged();
        for ties in [TieModel::Davidson, TieModel::RaoKupper] {
            let config = all_effects().with_ties(ties);
            let problem = Problem::new(&config, &judged, Some(&prompts)).unwrap();
            assert_eq!(problem.layout.len, 5 + 1 + 3 + 3 + 3 + 10 + 2);
            let at: Vec<f64> = (0..problem.layout.len).map(|i| ((i * 7 + 3) % 11) as f64 / 6.0 - 0.8).collect();
            let mut gradient = vec![0.0; at.len()];
            problem.evaluate(&at, &mut gradient);
            check_gradient(|x| problem.evaluate(x, &mut vec![0.0; x.len()]), &at, &gradient).unwrap();
        }
    }

    #[test]
    fn chances_of_the_fit_add_up_to_its_objective() {
        let (judged, _) = judged();
        let prompts: Vec<usize> = (0..16).map(|row| row % 7).collect();
        for ties in [TieModel::Davidson, TieModel::RaoKupper] {
            let config = all_effects().with_ties(ties);
            let fit = config.fit(&judged, Some(&prompts)).unwrap();
            assert_eq!((fit.prompt_scores.len(), fit.prompt_scores[6].len(), fit.prompt_ties.len()), (7, 5, 7));
            let mut value = 0.0;
            for (row, record) in judged.records().iter().enumerate() {
                let (judge, prompt) = (Some(judged.judges().unwrap()[row]), Some(prompts[row]));
                value -= fit.log_prob(record.first, record.second, record.outcome, judge, prompt).unwrap();
            }
            let half = |penalty: f64, effects: &[f64]| 0.5 * penalty * effects.iter().map(|x| x * x).sum::<f64>();
            value += half(0.1, &fit.scores) + half(1.5, &fit.tie_offsets) + half(0.7, &fit.log_discriminations);
            value += half(1.2, &fit.positions) + half(5.0, &fit.prompt_scores.concat()) + half(2.0, &fit.prompt_ties);
            assert!((value - fit.report.objective).abs() < 1e-10, "{value} is not {:?}", fit.report);
        }
    }

    #[test]
    fn a_judge_whose_judgements_weigh_nothing_was_not_there() {
        let mut judged = five();
        judged.push_weighted(0, 1, Outcome::First, 0.0).unwrap();
        let judged = judged.with_judges((0..17).map(|row| if row == 16 { 2 } else { row % 2 }).collect()).unwrap();
        let fit = all_effects().fit(&judged, Some(&[0; 17])).unwrap();
        assert_eq!([0, 1, 2, 3].map(|judge| fit.knows_judge(judge)), [true, true, false, false]);
    }

    #[test]
    fn without_an_effect_it_is_the_fit_by_newtons_method() {
        for model in [TieModel::Davidson, TieModel::RaoKupper] {
            let newton = NewtonConfig::new().with_prior(0.1).fit_link(&five().wins(), model.link()).unwrap();
            let config = AnnotatorConfig::new().with_ties(model).with_tolerance(1e-10);
            let fit = config.fit(&five(), None).unwrap();
            assert!(fit.report.converged);
            close(&fit.scores, &newton.scores, 1e-7);
            assert!((fit.ties - newton.ties.unwrap()).abs() < 1e-7);
            let records = five().records().to_vec();
            let total: f64 =
                records.iter().map(|r| fit.log_prob(r.first, r.second, r.outcome, None, None).unwrap()).sum();
            assert!((total - newton.log_likelihood).abs() < 1e-7);
            assert!((fit.report.objective - newton.report.objective).abs() < 1e-9);
            // Strong penalties leave nothing of the effects either.
            let (judged, prompts) = judged();
            let stiff = AnnotatorConfig {
                tie_offset: Some(1e9),
                discrimination: Some(1e9),
                position: Some(1e9),
                prompt_scores: Some(1e9),
                prompt_ties: Some(1e9),
                ..config
            };
            close(&stiff.fit(&judged, Some(&prompts)).unwrap().scores, &newton.scores, 1e-5);
        }
    }

    /// 40 judges of 300 judgements each, of 12 items, with effects by their number.
    fn world() -> (Comparisons, Vec<f64>) {
        let mut rng = stream(5, Purpose::World, 0);
        let scores: Vec<f64> = (0..12).map(|item| item as f64 / 4.0 - 1.375).collect();
        let (mut judged, mut judges) = (Comparisons::new(12), Vec::new());
        for judge in 0..40 {
            let (offset, sharp, side) = (effect(judge, 2), effect(judge, 3), effect(judge, 1));
            for _ in 0..300 {
                let first = rng.random_range(0..12);
                let second = (first + rng.random_range(1..12)) % 12;
                let d = sharp.exp() * (scores[first] - scores[second]) + side;
                let mut draw = rng.random::<f64>();
                let outcome = [Outcome::First, Outcome::Tie].into_iter().find(|outcome| {
                    draw -= Davidson.log_prob(*outcome, d, 0.3 + offset).value.exp();
                    draw < 0.0
                });
                judged.push(first, second, outcome.unwrap_or(Outcome::Second)).unwrap();
                judges.push(judge);
            }
        }
        (judged.with_judges(judges).unwrap(), scores)
    }

    fn effect(judge: usize, step: usize) -> f64 {
        ((judge * step) % 5) as f64 / 2.0 - 1.0
    }

    #[test]
    fn effects_of_seeded_judges_are_found() {
        let (judged, scores) = world();
        let config =
            AnnotatorConfig::new().with_tie_offset(Some(1.0)).with_discrimination(Some(1.0)).with_position(Some(1.0));
        let fit = config.fit(&judged, None).unwrap();
        assert!(fit.report.converged, "{:?}", fit.report);
        // The level of sharpness goes with that of the scores: compare up to a straight line.
        let correlation = |a: &[f64], b: &[f64]| {
            let n = a.len() as f64;
            let (ma, mb) = (a.iter().sum::<f64>() / n, b.iter().sum::<f64>() / n);
            let product = |x: &[f64], mx: f64, y: &[f64], my: f64| -> f64 {
                x.iter().zip(y).map(|(x, y)| (x - mx) * (y - my)).sum()
            };
            product(a, ma, b, mb) / (product(a, ma, a, ma) * product(b, mb, b, mb)).sqrt()
        };
        let truth = |step: usize| -> Vec<f64> { (0..40).map(|judge| effect(judge, step)).collect() };
        assert!(correlation(&fit.scores, &scores) > 0.99);
        for (found, step) in [(&fit.tie_offsets, 2), (&fit.log_discriminations, 3), (&fit.positions, 1)] {
            let r = correlation(found, &truth(step));
            assert!(r > 0.9, "{step}: {r}");
        }
        let plain = AnnotatorConfig::new().fit(&judged, None).unwrap();
        let gain = plain.report.objective - fit.report.objective;
        assert!(gain > 500.0, "{gain}");
    }

    #[test]
    fn prompts_that_suit_an_item_are_found() {
        let mut judged = Comparisons::new(2);
        let mut prompts = Vec::new();
        for row in 0..200 {
            // On prompt 0 the first wins three of four times, on prompt 1 the second does; every fifth is a tie on 1.
            let outcome = match (row % 2, row / 2 % 5) {
                (1, 4) => Outcome::Tie,
                (prompt, turn) if (turn == 0) == (prompt == 0) => Outcome::Second,
                _ => Outcome::First,
            };
            judged.push(0, 1, outcome).unwrap();
            prompts.push(row % 2);
        }
        let config = AnnotatorConfig::new().with_prompt_scores(Some(1.0)).with_prompt_ties(Some(1.0));
        let fit = config.fit(&judged, Some(&prompts)).unwrap();
        assert!(fit.prompt_scores[0][0] > 0.3 && fit.prompt_scores[1][0] < -0.3, "{:?}", fit.prompt_scores);
        assert!(fit.prompt_ties[1] > fit.prompt_ties[0] + 0.5);
        let first = |prompt| fit.log_prob(0, 1, Outcome::First, None, prompt).unwrap();
        assert!(first(Some(0)) > first(None) && first(None) > first(Some(1)));
    }

    #[test]
    fn who_was_not_there_is_an_error_and_nobody_in_particular_is_not() {
        let (judged, prompts) = judged();
        let fit = all_effects().fit(&judged, Some(&prompts)).unwrap();
        let of = |judge, prompt| fit.log_prob(0, 1, Outcome::Tie, judge, prompt);
        assert!(of(None, None).is_ok() && of(Some(2), Some(1)).is_ok());
        assert_ne!(of(Some(0), None).unwrap(), of(Some(1), None).unwrap());
        assert!(matches!(of(Some(3), None), Err(Error::Unknown { name: "judge", index: 3 })));
        assert!(matches!(of(None, Some(2)), Err(Error::Unknown { name: "prompt", index: 2 })));
        assert!(fit.knows_judge(2) && !fit.knows_judge(3) && fit.knows_prompt(1) && !fit.knows_prompt(2));
        assert!(matches!(fit.log_prob(5, 0, Outcome::Tie, None, None), Err(Error::Index { name: "first", .. })));
        assert!(matches!(fit.log_prob(0, 5, Outcome::Tie, None, None), Err(Error::Index { name: "second", .. })));
        // A number in between that nobody has.
        let gaps = five().with_judges((0..16).map(|row| row % 2 * 2).collect()).unwrap();
        let fit = AnnotatorConfig::new().with_position(Some(1.0)).fit(&gaps, None).unwrap();
        assert!(fit.knows_judge(0) && !fit.knows_judge(1) && fit.knows_judge(2));
        assert!(fit.knows_prompt(77), "there are no effects of prompts");
        assert!(AnnotatorConfig::new().fit(&gaps, None).unwrap().knows_judge(77));
    }

    #[test]
    fn without_a_tie_there_is_no_parameter_of_ties() {
        let judged = four().with_judges((0..22).map(|row| row % 3).collect()).unwrap();
        let config = AnnotatorConfig::new().with_tie_offset(Some(1.0)).with_tolerance(1e-10);
        let fit = config.fit(&judged, None).unwrap();
        assert!(fit.report.converged && fit.tie_offsets.is_empty());
        assert_eq!(fit.ties, f64::NEG_INFINITY);
        close(&fit.scores, &NewtonConfig::new().with_prior(0.1).fit(&four()).unwrap().scores, 1e-7);
        assert_eq!(fit.log_prob(0, 1, Outcome::Tie, Some(0), None).unwrap(), f64::NEG_INFINITY);
    }

    #[test]
    fn what_makes_no_sense_is_an_error() {
        let (judged, prompts) = judged();
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let configs = [
                (AnnotatorConfig::new().with_prior(bad), "prior"),
                (AnnotatorConfig::new().with_tie_offset(Some(bad)), "tie_offset"),
                (AnnotatorConfig::new().with_discrimination(Some(bad)), "discrimination"),
                (AnnotatorConfig::new().with_position(Some(bad)), "position"),
                (AnnotatorConfig::new().with_prompt_scores(Some(bad)), "prompt_scores"),
                (AnnotatorConfig::new().with_prompt_ties(Some(bad)), "prompt_ties"),
            ];
            for (config, name) in configs {
                let error = config.fit(&judged, Some(&prompts)).unwrap_err().to_string();
                assert!(error.starts_with(&format!("`{name}`: expected finite and > 0")), "{error}");
            }
        }
        for tolerance in [0.0, f64::NAN] {
            assert!(AnnotatorConfig::new().with_tolerance(tolerance).fit(&judged, None).is_err());
        }
        let effects = [
            AnnotatorConfig::new().with_tie_offset(Some(1.0)),
            AnnotatorConfig::new().with_discrimination(Some(1.0)),
            AnnotatorConfig::new().with_position(Some(1.0)),
        ];
        for config in effects {
            assert!(matches!(config.fit(&five(), None), Err(Error::Combination { what: "effects of judges", .. })));
        }
        let effects =
            [AnnotatorConfig::new().with_prompt_scores(Some(1.0)), AnnotatorConfig::new().with_prompt_ties(Some(1.0))];
        for config in effects {
            assert!(matches!(config.fit(&five(), None), Err(Error::Combination { what: "effects of prompts", .. })));
            assert!(matches!(config.fit(&five(), Some(&[0])), Err(Error::Length { name: "prompts", .. })));
        }
        let mut ties = Comparisons::new(2);
        assert!(matches!(AnnotatorConfig::new().fit(&ties, None), Err(Error::Empty { .. })));
        ties.push(0, 1, Outcome::Tie).unwrap();
        assert!(matches!(AnnotatorConfig::new().fit(&ties, None), Err(Error::AllTies)));
        let hasty = AnnotatorConfig::new().with_max_iterations(1).fit(&five(), None).unwrap();
        assert!(!hasty.report.converged);
        let AnnotatorConfig { ties, prior, tie_offset, discrimination, position, prompt_scores, prompt_ties, .. } =
            AnnotatorConfig::new();
        assert_eq!((ties, prior), (TieModel::Davidson, 0.1));
        assert_eq!([tie_offset, discrimination, position, prompt_scores, prompt_ties], [None; 5]);
        assert_eq!((AnnotatorConfig::new().tolerance, AnnotatorConfig::new().max_iterations), (1e-7, 2000));
    }
}
