//! Latent classes of people who learn from what their choices brought (LC-RL).
//!
//! **Paper:** A Bayesian latent class reinforcement learning framework to capture adaptive, feedback-driven travel behaviour
//! (2025), 2512.14713.
//! **Status:** the model is the paper's; starting values, priors and the fit by EM are this library's definition.
//! **Use when:** the same people choose among the same options again and again, see how it went, and kinds of people learn
//! and weigh that differently.
//! **Checked by:** hand-worked learning, no learning being the multinomial logit, derivatives, kinds of a seeded world
//! recovered, EM's monotony.
//! **Deviations:** maximum a posteriori by EM in place of variational Bayes. A context's constants are features of the options.

use accordant_ops::{
    check_domain,
    host::{self, log_sum_exp, logistic},
};
use burn::config::Config;
use serde::{Deserialize, Serialize};

use super::em::{Components, Em, EmConfig, EmReport};
use crate::{
    Error, Result,
    error::{check_index, check_length, check_record},
    optimize::Solver,
};

/// One choice of a person, and what it brought.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// What is known of each option beforehand, `[options, features]`: attributes, constants, the context's.
    pub features: Vec<Vec<f64>>,
    /// The option that was chosen.
    pub chosen: usize,
    /// What it brought, R.
    pub reward: f64,
}

/// What a class of people is like.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LearningClass {
    /// How fast they learn, α in [0, 1]: 0 not at all, 1 only the last time counts.
    pub rate: f64,
    /// How much what they learned weighs, θ.
    pub sensitivity: f64,
    /// How much each feature weighs, β.
    pub tastes: Vec<f64>,
}

impl LearningClass {
    /// Log-chances of the options of the trial after `history`.
    ///
    /// ```text
    /// log softmax_j( θ Q_j + β · z_j ),   Q_chosen ← Q_chosen + α (R − Q_chosen),   Q = 0 at first
    /// ```
    ///
    /// # Errors
    /// [`Error::Length`] naming `features`, [`Error::Index`] naming `chosen`, [`Error::Record`] for a number that is not
    /// finite, [`Error::Empty`] without an option.
    ///
    /// # Example
    /// ```
    /// use accordant_preference::plural::learning_classes::{LearningClass, Trial};
    /// let class = LearningClass { rate: 0.5, sensitivity: 3f64.ln(), tastes: vec![] };
    /// // The first option brought 2, so that Q = (1, 0) and the odds are 3 : 1.
    /// let history = [Trial { features: vec![vec![], vec![]], chosen: 0, reward: 2.0 }];
    /// let log_chances = class.next(&history, &[vec![], vec![]])?;
    /// assert!((log_chances[0] - 0.75f64.ln()).abs() < 1e-12);
    /// # Ok::<(), accordant_preference::Error>(())
    /// ```
    pub fn next(&self, history: &[Trial], features: &[Vec<f64>]) -> Result<Vec<f64>> {
        check_trials(history, features.len(), self.tastes.len())?;
        check_features(history.len(), features, self.tastes.len())?;
        let mut learned = Learned::new(features.len());
        history.iter().for_each(|trial| learned.see(trial, self.rate));
        let values = values(self, &learned.values, features);
        let total = log_sum_exp(&values);
        Ok(values.into_iter().map(|value| value - total).collect())
    }
}

fn values(class: &LearningClass, learned: &[f64], features: &[Vec<f64>]) -> Vec<f64> {
    let taste = |features: &Vec<f64>| class.tastes.iter().zip(features).map(|(b, z)| b * z).sum::<f64>();
    learned.iter().zip(features).map(|(q, features)| class.sensitivity * q + taste(features)).collect()
}

/// What was learned of each option, and its derivative by the rate.
struct Learned {
    values: Vec<f64>,
    slopes: Vec<f64>,
}

impl Learned {
    fn new(options: usize) -> Self {
        Self { values: vec![0.0; options], slopes: vec![0.0; options] }
    }

    fn see(&mut self, trial: &Trial, rate: f64) {
        let (value, slope) = (&mut self.values[trial.chosen], &mut self.slopes[trial.chosen]);
        let surprise = trial.reward - *value;
        *slope = (1.0 - rate) * *slope + surprise;
        *value += rate * surprise;
    }
}

fn check_features(row: usize, features: &[Vec<f64>], num_features: usize) -> Result<()> {
    if features.is_empty() {
        return Err(Error::Empty { name: "features", reason: "no option" });
    }
    for option in features {
        check_length("features", num_features, option.len())?;
        option.iter().try_for_each(|&z| check_record(z.is_finite(), row, "features", "a finite number", z))?;
    }
    Ok(())
}

fn check_trials(trials: &[Trial], options: usize, num_features: usize) -> Result<()> {
    for (row, trial) in trials.iter().enumerate() {
        check_length("features", options, trial.features.len())?;
        check_features(row, &trial.features, num_features)?;
        check_index(row, "chosen", trial.chosen, options)?;
        check_record(trial.reward.is_finite(), row, "reward", "a finite number", trial.reward)?;
    }
    Ok(())
}

/// Configuration of classes, fitted by EM.
///
/// ```text
/// maximize  Σ_u log Σ_c π_c Π_t P_c(chosen_ut) − ½ prior Σ_c (θ_c² + ‖β_c‖² + logit(α_c)²) + (a − 1) Σ_c log π_c
/// ```
#[derive(Config, Debug, PartialEq)]
pub struct LearningClassesConfig {
    /// How many classes, how they are found and when that ends.
    pub em: EmConfig,
    /// The precision of a normal prior on θ, on each β and on the logit of α, finite and > 0. 0.1: ours, weak next to a dozen
    /// trials.
    #[config(default = 0.1)]
    pub prior: f64,
    /// A learning rate for all classes, in [0, 1]; fitted for each without one. 0 leaves a multinomial logit.
    #[config(default = "None")]
    pub rate: Option<f64>,
    /// How a class is fitted. L-BFGS: ours.
    #[config(default = "Solver::Lbfgs { gradient: 1e-6, max_iterations: 200 }")]
    pub solver: Solver,
}

impl LearningClassesConfig {
    /// Fits classes to each person's trials in order; all have the same options and features.
    ///
    /// # Errors
    /// A domain error naming a field; of the trials [`Error::Length`], [`Error::Index`], [`Error::Record`] and
    /// [`Error::Empty`] as of [`LearningClass::next`]; what [`EmConfig::fit`] says.
    #[doc(alias = "latent class choice model")]
    #[doc(alias = "reinforcement learning")]
    pub fn fit(&self, people: &[Vec<Trial>]) -> Result<LearningClasses> {
        check_domain(self.prior.is_finite() && self.prior > 0.0, "prior", "finite and > 0", self.prior)?;
        let rate = self.rate.unwrap_or(0.5);
        check_domain((0.0..=1.0).contains(&rate), "rate", "in [0, 1]", rate)?;
        self.solver.check()?;
        let Some(first) = people.iter().flatten().next() else {
            return Err(Error::Empty { name: "people", reason: "no trial" });
        };
        let (options, num_features) = (first.features.len(), first.features.first().map_or(0, Vec::len));
        people.iter().try_for_each(|trials| check_trials(trials, options, num_features))?;
        let model = Model { people, options, num_features, config: self };
        let Em { components, weights, responsibilities, report } = self.em.fit(&model)?;
        let classes = components.iter().map(|at| model.class(at)).collect();
        Ok(LearningClasses { weights, classes, responsibilities, report })
    }
}

struct Model<'a> {
    people: &'a [Vec<Trial>],
    options: usize,
    num_features: usize,
    config: &'a LearningClassesConfig,
}

impl Model<'_> {
    /// Parameters: logit of the rate, sensitivity, tastes.
    fn class(&self, at: &[f64]) -> LearningClass {
        let rate = self.config.rate.unwrap_or_else(|| logistic(at[0]));
        LearningClass { rate, sensitivity: at[1], tastes: at[2..].to_vec() }
    }

    /// The log-likelihood of a person, and `weight` times its derivatives taken off `gradient`.
    fn person(&self, trials: &[Trial], class: &LearningClass, weight: f64, gradient: &mut [f64]) -> f64 {
        let mut learned = Learned::new(self.options);
        let mut log_likelihood = 0.0;
        let logit_slope = if self.config.rate.is_some() { 0.0 } else { class.rate * (1.0 - class.rate) };
        for trial in trials {
            let values = values(class, &learned.values, &trial.features);
            log_likelihood += values[trial.chosen] - log_sum_exp(&values);
            for (option, chance) in host::softmax(&values).into_iter().enumerate() {
                let slope = weight * (f64::from(u8::from(option == trial.chosen)) - chance);
                gradient[0] -= slope * class.sensitivity * learned.slopes[option] * logit_slope;
                gradient[1] -= slope * learned.values[option];
                gradient[2..].iter_mut().zip(&trial.features[option]).for_each(|(g, z)| *g -= slope * z);
            }
            learned.see(trial, class.rate);
        }
        log_likelihood
    }

    fn evaluate(&self, at: &[f64], weights: &[f64], gradient: &mut [f64]) -> f64 {
        gradient.iter_mut().zip(at).for_each(|(g, x)| *g = self.config.prior * x);
        let class = self.class(at);
        let mut value = -self.log_prior(&at.to_vec());
        for (trials, &weight) in self.people.iter().zip(weights).filter(|(_, weight)| **weight > 0.0) {
            value -= weight * self.person(trials, &class, weight, gradient);
        }
        value
    }
}

impl Components for Model<'_> {
    type Component = Vec<f64>;

    fn num_users(&self) -> usize {
        self.people.len()
    }

    fn is_known(&self, user: usize) -> bool {
        !self.people[user].is_empty()
    }

    /// How often each option was chosen, and how often again after a reward above 0 and not.
    fn embedding(&self, user: usize) -> Vec<f64> {
        let trials = &self.people[user];
        let mut shares = vec![0.0; self.options + 2];
        trials.iter().for_each(|trial| shares[trial.chosen] += 1.0);
        for pair in trials.windows(2).filter(|pair| pair[0].chosen == pair[1].chosen) {
            shares[self.options + usize::from(pair[0].reward > 0.0)] += 1.0;
        }
        shares.iter_mut().for_each(|share| *share /= trials.len().max(1) as f64);
        shares
    }

    fn fit(&self, weights: &[f64], from: Option<&Vec<f64>>) -> Result<Vec<f64>> {
        let start = from.cloned().unwrap_or_else(|| vec![0.0; self.num_features + 2]);
        Ok(self.config.solver.minimize(|at, gradient| self.evaluate(at, weights, gradient), start).0)
    }

    fn log_likelihoods(&self, component: &Vec<f64>) -> Vec<f64> {
        let (class, mut unused) = (self.class(component), vec![0.0; component.len()]);
        self.people.iter().map(|trials| self.person(trials, &class, 0.0, &mut unused)).collect()
    }

    fn log_prior(&self, component: &Vec<f64>) -> f64 {
        -0.5 * self.config.prior * component.iter().map(|x| x * x).sum::<f64>()
    }

    fn order(&self, component: &Vec<f64>) -> f64 {
        component[1]
    }
}

/// Fitted classes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LearningClasses {
    /// The chance that somebody is of each class, largest first.
    pub weights: Vec<f64>,
    /// What each class is like.
    pub classes: Vec<LearningClass>,
    /// The chance of each class for each person, `[people, C]`.
    pub responsibilities: Vec<Vec<f64>>,
    /// How the fit ended.
    pub report: EmReport,
}

impl LearningClasses {
    /// The chance of each class for somebody with this history: the classes' weights times their chance of all of it.
    ///
    /// # Errors
    /// As [`LearningClass::next`].
    pub fn posterior(&self, history: &[Trial]) -> Result<Vec<f64>> {
        let mut logs: Vec<f64> = self.weights.iter().map(|weight| weight.ln()).collect();
        for (log, class) in logs.iter_mut().zip(&self.classes) {
            for (at, trial) in history.iter().enumerate() {
                check_index(at, "chosen", trial.chosen, trial.features.len())?;
                *log += class.next(&history[..at], &trial.features)?[trial.chosen];
            }
        }
        Ok(host::softmax(&logs))
    }

    /// The chance of each option of the trial after `history`: the mean over the classes by [`LearningClasses::posterior`].
    ///
    /// # Errors
    /// As [`LearningClass::next`].
    pub fn next(&self, history: &[Trial], features: &[Vec<f64>]) -> Result<Vec<f64>> {
        let mut chances = vec![0.0; features.len()];
        for (weight, class) in self.posterior(history)?.iter().zip(&self.classes) {
            let own = class.next(history, features)?;
            chances.iter_mut().zip(own).for_each(|(chance, log)| *chance += weight * log.exp());
        }
        Ok(chances)
    }
}

#[cfg(test)]
mod tests {
    use accordant_laws::gradient::check_gradient;
    use rand::Rng;

    use super::*;
    use crate::{
        Comparisons,
        distributional::testing::{near, starts},
        plural::{Items, LogisticConfig, agreement::adjusted_rand_index},
        random::{Purpose, stream},
    };

    /// Trials of one person with two options and a feature each; the first brings more on average.
    fn trials(class: &LearningClass, count: usize, index: u32) -> Vec<Trial> {
        let mut rng = stream(3, Purpose::World, index);
        let mut history: Vec<Trial> = Vec::new();
        for _ in 0..count {
            let features: Vec<Vec<f64>> = (0..2).map(|_| vec![rng.random_range(-1.0..1.0)]).collect();
            let chance = class.next(&history, &features).unwrap()[0].exp();
            let chosen = usize::from(rng.random::<f64>() >= chance);
            let reward = rng.random_range(-1.0..1.0) + [0.5, -0.5][chosen];
            history.push(Trial { features, chosen, reward });
        }
        history
    }

    fn class(rate: f64, sensitivity: f64, taste: f64) -> LearningClass {
        LearningClass { rate, sensitivity, tastes: vec![taste] }
    }

    #[test]
    fn three_trials_by_hand() {
        let class = LearningClass { rate: 0.25, sensitivity: 2.0, tastes: vec![1.0] };
        let trial = |chosen, reward| Trial { features: vec![vec![0.5], vec![0.0], vec![-1.0]], chosen, reward };
        // Q of the second: 0.25 · 4 = 1, then 1 + 0.25 (−3 − 1) = 0; of the third 0.25 · 2 = ½.
        let history = [trial(1, 4.0), trial(2, 2.0), trial(1, -3.0)];
        let after = |count: usize, values: [f64; 3]| {
            let got = class.next(&history[..count], &history[0].features).unwrap();
            let total = values.iter().map(|value| value.exp()).sum::<f64>().ln();
            near(&got, &values.map(|value| value - total), 1e-12);
        };
        after(0, [0.5, 0.0, -1.0]);
        after(1, [0.5, 2.0, -1.0]);
        after(2, [0.5, 2.0, 0.0]);
        after(3, [0.5, 0.0, 0.0]);
    }

    #[test]
    fn derivatives_are_those_of_the_objective() {
        let people = [trials(&class(0.4, 2.0, 1.0), 12, 0), trials(&class(0.1, -1.0, 0.5), 7, 1), vec![]];
        for rate in [None, Some(0.3)] {
            let config = LearningClassesConfig::new(EmConfig::new(1)).with_prior(0.7).with_rate(rate);
            let model = Model { people: &people, options: 2, num_features: 1, config: &config };
            let (at, weights) = ([0.4, -0.8, 1.3], [0.6, 1.5, 1.0]);
            let mut gradient = vec![f64::NAN; 3];
            let value = model.evaluate(&at, &weights, &mut gradient);
            check_gradient(|x| model.evaluate(x, &weights, &mut [0.0; 3]), &at, &gradient).unwrap();
            // Trial by trial.
            let class = model.class(&at);
            assert_eq!(class.rate, rate.unwrap_or(logistic(0.4)));
            let mut expected = 0.35 * at.iter().map(|x| x * x).sum::<f64>();
            for (trials, weight) in people.iter().zip(weights) {
                for (t, trial) in trials.iter().enumerate() {
                    expected -= weight * class.next(&trials[..t], &trial.features).unwrap()[trial.chosen];
                }
            }
            assert!((value - expected).abs() < 1e-10);
        }
    }

    #[test]
    fn one_class_that_does_not_learn_is_the_multinomial_logit() {
        let people: Vec<Vec<Trial>> = (0..5).map(|index| trials(&class(0.3, 2.0, 1.5), 10, index)).collect();
        let config = LearningClassesConfig::new(EmConfig::new(1)).with_rate(Some(0.0)).with_prior(0.5);
        let fit = config.with_solver(Solver::Lbfgs { gradient: 1e-9, max_iterations: 500 }).fit(&people).unwrap();
        // Two options: a logistic regression on the differences of the features, which is Bradley-Terry.
        let rows: Vec<Vec<f64>> = people.iter().flatten().flat_map(|trial| trial.features.clone()).collect();
        let mut judged = Comparisons::new(rows.len());
        for (at, trial) in people.iter().flatten().enumerate() {
            judged.push_win(2 * at + trial.chosen, 2 * at + 1 - trial.chosen, 1.0).unwrap();
        }
        let linear = LogisticConfig::new().with_prior(0.5).fit(&Items::features(&rows).unwrap(), &judged).unwrap();
        near(&fit.classes[0].tastes, &linear.coefficients, 1e-7);
        assert!(fit.classes[0].sensitivity.abs() < 1e-7 && fit.classes[0].rate == 0.0);
        assert!((fit.report.objective() + linear.report.objective).abs() < 1e-8);
    }

    #[test]
    fn kinds_of_learners_are_told_apart() {
        // Those who repeat what went well, and those who go by the feature alone.
        let kinds = [class(0.6, 4.0, 0.0), class(0.3, 0.0, 4.0)];
        let people: Vec<Vec<Trial>> =
            (0..60).map(|index| trials(&kinds[usize::from(index >= 40)], 25, index)).collect();
        let em = EmConfig::new(2).with_restarts(3).with_max_iterations(60);
        let fit = LearningClassesConfig::new(em).fit(&people).unwrap();
        let known: Vec<usize> = (0..60).map(|index| usize::from(index >= 40)).collect();
        let found: Vec<usize> = fit.responsibilities.iter().map(|chances| usize::from(chances[1] > 0.5)).collect();
        let index = adjusted_rand_index(&known, &found).unwrap();
        println!("index {index}, classes {:?}, weights {:?}", fit.classes, fit.weights);
        assert!(index > 0.9 && fit.report.largest_decrease < 1e-9, "{index}, {:?}", fit.report);
        let [learns, looks] = [&fit.classes[0], &fit.classes[1]];
        assert!((learns.rate - 0.6).abs() < 0.15 && learns.sensitivity > 2.5 && learns.tastes[0].abs() < 0.5);
        assert!(looks.sensitivity.abs() < 0.5 && looks.tastes[0] > 2.5);
        assert!((fit.weights[0] - 2.0 / 3.0).abs() < 0.05);
        // A new person of the second kind is recognized, and nobody has the weights.
        let (new, nobody) = (trials(&kinds[1], 25, 99), fit.posterior(&[]).unwrap());
        assert!(fit.posterior(&new).unwrap()[1] > 0.95);
        near(&nobody, &fit.weights, 1e-12);
        let next = fit.next(&new, &[vec![1.0], vec![-1.0]]).unwrap();
        assert!(next[0] > 0.95 && (next[0] + next[1] - 1.0).abs() < 1e-12);
        let first = fit.next(&[], &[vec![1.0], vec![-1.0]]).unwrap();
        let own = |class: &LearningClass| class.next(&[], &[vec![1.0], vec![-1.0]]).unwrap()[0].exp();
        assert!((first[0] - fit.weights[0] * own(learns) - fit.weights[1] * own(looks)).abs() < 1e-12);
    }

    #[test]
    fn settings_and_trials_are_checked() {
        let people = [trials(&class(0.4, 2.0, 1.0), 5, 0)];
        let config = || LearningClassesConfig::new(EmConfig::new(1));
        for bad in [0.0, f64::NAN, f64::INFINITY] {
            starts(config().with_prior(bad).fit(&people), "`prior`: expected finite and > 0");
        }
        for bad in [-0.1, 1.1, f64::NAN] {
            starts(config().with_rate(Some(bad)).fit(&people), "`rate`: expected in [0, 1]");
        }
        let solver = Solver::Lbfgs { gradient: 0.0, max_iterations: 1 };
        starts(config().with_solver(solver).fit(&people), "`gradient`");
        starts(config().fit(&[vec![]]), "`people`: nothing to learn from");
        starts(LearningClassesConfig::new(EmConfig::new(2)).fit(&people), "`users`: nothing");
        let with = |change: fn(&mut Trial)| {
            let mut people = people.clone();
            change(&mut people[0][2]);
            config().fit(&people)
        };
        starts(with(|trial| trial.chosen = 2), "record 2: `chosen` 2");
        starts(with(|trial| trial.reward = f64::NAN), "record 2: `reward`");
        starts(with(|trial| trial.features[1][0] = f64::INFINITY), "record 2: `features`");
        starts(with(|trial| trial.features[1] = vec![]), "`features`: expected 1 entries");
        starts(with(|trial| trial.features.truncate(1)), "`features`: expected 2 entries");
        let one = class(0.5, 1.0, 1.0);
        starts(one.next(&[], &[]), "`features`: nothing");
        starts(one.next(&[], &[vec![]]), "`features`");
        starts(one.next(&people[0], &[vec![0.0]]), "`features`");
        let LearningClassesConfig { prior, rate, solver, .. } = config();
        assert_eq!((prior, rate), (0.1, None));
        assert_eq!(solver, Solver::Lbfgs { gradient: 1e-6, max_iterations: 200 });
    }
}
