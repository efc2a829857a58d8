//! True answers and judges' confusions (Dawid and Skene).
//!
//! **Paper:** Maximum Likelihood Estimation of Observer Error-Rates Using the EM Algorithm (A. P. Dawid, A. M. Skene, 1979).
//! **Use when:** several judges answer the same question with one of a few classes, as win, tie or loss of a pair, and some
//! judges confuse some classes.
//! **Checked by:** a round by hand, the posterior that never decreases, seeded judges.
//! **Deviations:** confusions are smoothed, so that a judge of few answers is nobody of certain errors.

use accordant_ops::{
    check_domain,
    host::{self, log_sum_exp},
};
use burn::config::Config;
use serde::{Deserialize, Serialize};

use crate::{Error, Report, Result, error::check_index};

/// An answer: which question, by which judge, and which class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The question, such as a pair of items.
    pub question: usize,
    /// Who answered.
    pub judge: usize,
    /// What, from 0 on.
    pub class: usize,
}

/// Configuration of a fit by expectation-maximization.
///
/// ```text
/// P(answers to q) = Σ_k π_k Π_u C_u[k, answer of u];   posterior of C smoothed by (smoothing) counts in each cell
/// ```
#[derive(Config, Debug, PartialEq)]
pub struct DawidSkeneConfig {
    /// How many classes there are, ≥ 2.
    pub num_classes: usize,
    /// Counts added to each cell of each judge's confusions, finite and ≥ 0. 1: ours.
    #[config(default = 1.0)]
    pub smoothing: f64,
    /// Converged when a round gains less than this share of the objective, > 0. 1e-9: ours.
    #[config(default = 1e-9)]
    pub tolerance: f64,
    /// Rounds at most. 1000: ours.
    #[config(default = 1000)]
    pub max_iterations: usize,
}

impl DawidSkeneConfig {
    /// The chances of the true classes, and the confusions of the judges, from the shares of votes on.
    ///
    /// # Errors
    /// A domain error naming a field; [`Error::Empty`] without an answer; [`Error::Index`] naming `class` for one beyond.
    ///
    /// # Example
    /// ```
    /// use accordant_preference::ranking::dawid_skene::{Answer, DawidSkeneConfig};
    /// // Judges 0 and 1 agree on twenty questions; judge 2 always says the opposite.
    /// let answers: Vec<Answer> = (0..60)
    ///     .map(|at| Answer { question: at / 3, judge: at % 3, class: (at / 3 + usize::from(at % 3 == 2)) % 2 })
    ///     .collect();
    /// let fit = DawidSkeneConfig::new(2).fit(&answers)?;
    /// assert!(fit.chances[1].as_ref().unwrap()[1] > 0.99);
    /// assert!(fit.accuracies()[2].unwrap() < 0.2);
    /// # Ok::<(), accordant_preference::Error>(())
    /// ```
    pub fn fit(&self, answers: &[Answer]) -> Result<DawidSkene> {
        check_domain(self.num_classes >= 2, "num_classes", ">= 2", self.num_classes as f64)?;
        let smoothing = self.smoothing;
        check_domain(smoothing.is_finite() && smoothing >= 0.0, "smoothing", "finite and >= 0", smoothing)?;
        check_domain(self.tolerance > 0.0, "tolerance", "> 0", self.tolerance)?;
        if answers.is_empty() {
            return Err(Error::Empty { name: "answers", reason: "there is none" });
        }
        for (row, answer) in answers.iter().enumerate() {
            check_index(row, "class", answer.class, self.num_classes)?;
        }
        let k = self.num_classes;
        let count = |of: fn(&Answer) -> usize| answers.iter().map(of).max().map_or(0, |last| last + 1);
        let (num_questions, num_judges) = (count(|a| a.question), count(|a| a.judge));
        // Shares of votes; questions without an answer keep none.
        let mut chances = vec![vec![0.0; k]; num_questions];
        answers.iter().for_each(|answer| chances[answer.question][answer.class] += 1.0);
        for row in &mut chances {
            let total: f64 = row.iter().sum();
            row.iter_mut().for_each(|share| *share /= total.max(1.0));
        }
        let asked = chances.iter().filter(|row| row.iter().any(|share| *share > 0.0)).count() as f64;
        let mut fit = DawidSkene {
            chances: Vec::new(),
            prior: vec![0.0; k],
            confusions: vec![None; num_judges],
            trace: Vec::new(),
            report: Report { converged: false, iterations: 0, objective: f64::INFINITY, gradient_norm: f64::NAN },
        };
        while !fit.report.converged && fit.report.iterations < self.max_iterations {
            // M.
            for (class, share) in fit.prior.iter_mut().enumerate() {
                *share = chances.iter().map(|row| row[class]).sum::<f64>() / asked;
            }
            let mut counts = vec![None; num_judges];
            for answer in answers {
                let cells = counts[answer.judge].get_or_insert_with(|| vec![vec![smoothing; k]; k]);
                for (truth, chance) in chances[answer.question].iter().enumerate() {
                    cells[truth][answer.class] += chance;
                }
            }
            for row in counts.iter_mut().flatten().flatten() {
                let total: f64 = row.iter().sum();
                // A class that a judge has never met, without smoothing.
                row.iter_mut().for_each(|cell| *cell = if total > 0.0 { *cell / total } else { 1.0 / k as f64 });
            }
            fit.confusions = counts;
            // E.
            let mut logits = vec![fit.prior.iter().map(|share| share.ln()).collect::<Vec<f64>>(); num_questions];
            let mut seen = vec![false; num_questions];
            for answer in answers {
                seen[answer.question] = true;
                let cells = fit.confusions[answer.judge].as_ref().expect("whoever answered has confusions");
                for (truth, logit) in logits[answer.question].iter_mut().enumerate() {
                    *logit += cells[truth][answer.class].ln();
                }
            }
            let mut objective = 0.0;
            for ((row, logits), seen) in chances.iter_mut().zip(&logits).zip(&seen) {
                if *seen {
                    objective += log_sum_exp(logits);
                    *row = host::softmax(logits);
                }
            }
            if smoothing > 0.0 {
                let cells = fit.confusions.iter().flatten().flatten().flatten();
                objective += smoothing * cells.map(|cell| cell.ln()).sum::<f64>();
            }
            let gain = objective + fit.report.objective;
            debug_assert!(gain.is_nan() || gain >= -1e-9 * objective.abs(), "a round of EM lost {gain}");
            fit.trace.push(objective);
            fit.report.iterations += 1;
            fit.report.converged = gain.abs() <= self.tolerance * objective.abs();
            fit.report.gradient_norm = gain.abs();
            fit.report.objective = -objective;
        }
        let of_asked = |row: Vec<f64>| row.iter().any(|share| *share > 0.0).then_some(row);
        fit.chances = chances.into_iter().map(of_asked).collect();
        Ok(fit)
    }
}

/// Chances of true classes and confusions of judges.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DawidSkene {
    /// The chances of the classes of each question; none for one that nobody answered.
    pub chances: Vec<Option<Vec<f64>>>,
    /// How often each class is true.
    pub prior: Vec<f64>,
    /// `[truth][answer]` of each judge, with rows that add up to 1; none for a number that nobody has.
    pub confusions: Vec<Option<Vec<Vec<f64>>>>,
    /// The log-posterior of each round, up to a constant.
    pub trace: Vec<f64>,
    /// How the fit ended; `gradient_norm` is what the last round gained.
    pub report: Report,
}

impl DawidSkene {
    /// How often each judge answers with the true class.
    pub fn accuracies(&self) -> Vec<Option<f64>> {
        let of = |cells: &Vec<Vec<f64>>| {
            self.prior.iter().enumerate().map(|(truth, share)| share * cells[truth][truth]).sum::<f64>()
        };
        self.confusions.iter().map(|cells| cells.as_ref().map(of)).collect()
    }

    /// The likeliest class of each question, the first of equal ones; none for one that nobody answered.
    pub fn classes(&self) -> Vec<Option<usize>> {
        let best = |row: &Vec<f64>| {
            let best = row.iter().copied().fold(0.0, f64::max);
            row.iter().position(|chance| *chance == best)
        };
        self.chances.iter().map(|row| row.as_ref().and_then(best)).collect()
    }
}

#[cfg(test)]
mod tests {
    use rand::Rng;

    use super::*;
    use crate::random::{Purpose, stream};

    fn answer(question: usize, judge: usize, class: usize) -> Answer {
        Answer { question, judge, class }
    }

    #[test]
    fn a_class_that_never_occurs_leaves_its_confusions_even_without_smoothing() {
        let answers = [answer(0, 0, 0), answer(0, 1, 0), answer(1, 0, 1), answer(1, 1, 1)];
        let fit = DawidSkeneConfig::new(3).with_smoothing(0.0).with_max_iterations(1).fit(&answers).unwrap();
        let third = 1.0 / 3.0;
        assert_eq!(fit.confusions[0], Some(vec![vec![1.0, 0.0, 0.0], vec![0.0, 1.0, 0.0], vec![third; 3]]));
        assert_eq!(fit.prior, [0.5, 0.5, 0.0]);
    }

    #[test]
    fn it_ends_with_the_first_round_that_gains_less_than_the_tolerated_share() {
        let mut rng = stream(2, Purpose::World, 0);
        let answers: Vec<Answer> =
            (0..200).map(|at| answer(at / 5, at % 5, usize::from(rng.random_bool(0.6)) * (at / 5 % 2))).collect();
        for tolerance in [1e-2, 1e-4, 1e-6] {
            let fit = DawidSkeneConfig::new(2).with_tolerance(tolerance).fit(&answers).unwrap();
            let shares: Vec<f64> = fit.trace.windows(2).map(|pair| ((pair[1] - pair[0]) / pair[1]).abs()).collect();
            let (last, before) = shares.split_last().unwrap();
            assert!(fit.report.converged && *last <= tolerance, "{shares:?}");
            assert!(before.iter().all(|share| *share > tolerance), "{shares:?}");
        }
    }

    #[test]
    fn a_round_by_hand() {
        // Two questions: judges say 0, 0 and 1, 0. Votes: (1, 0) and (½, ½).
        let answers = [answer(0, 0, 0), answer(0, 1, 0), answer(1, 0, 1), answer(1, 1, 0)];
        let fit = DawidSkeneConfig::new(2).with_max_iterations(1).fit(&answers).unwrap();
        assert_eq!(fit.prior, [0.75, 0.25]);
        // Judge 0, truth 0: 1 + 1 answers 0 and 1 + ½ answers 1; truth 1: 1 and 1 + ½.
        assert_eq!(fit.confusions[0], Some(vec![vec![2.0 / 3.5, 1.5 / 3.5], vec![0.4, 0.6]]));
        // Judge 1, truth 0: 1 + 1 + ½ and 1; truth 1: 1 + ½ and 1.
        assert_eq!(fit.confusions[1], Some(vec![vec![2.5 / 3.5, 1.0 / 3.5], vec![0.6, 0.4]]));
        let (zero, one) = (0.75 * (1.5 / 3.5) * (2.5 / 3.5), 0.25 * 0.6 * 0.6);
        let chances = fit.chances[1].as_ref().unwrap();
        assert!((chances[0] - zero / (zero + one)).abs() < 1e-15 && (chances[1] - one / (zero + one)).abs() < 1e-15);
        let first: f64 = 0.75 * (2.0 / 3.5) * (2.5 / 3.5) + 0.25 * 0.4 * 0.6;
        let smoothing: f64 = [2.0 / 3.5, 1.5 / 3.5, 0.4, 0.6, 2.5 / 3.5, 1.0 / 3.5, 0.6, 0.4].map(f64::ln).iter().sum();
        assert!((fit.trace[0] - first.ln() - (zero + one).ln() - smoothing).abs() < 1e-12);
        assert_eq!((fit.report.converged, fit.report.iterations), (false, 1));
        assert_eq!(fit.report.objective, -fit.trace[0]);
        let accuracy = 0.75 * (2.0 / 3.5) + 0.25 * 0.6;
        assert!((fit.accuracies()[0].unwrap() - accuracy).abs() < 1e-15);
        assert_eq!(fit.classes(), [Some(0), Some(0)]);
    }

    /// 300 questions of three classes, five judges: right nine times of ten, except one who calls every 1 a 0 and one who
    /// guesses.
    fn world() -> (Vec<usize>, Vec<Answer>) {
        let mut rng = stream(1, Purpose::World, 0);
        let truth: Vec<usize> = (0..300).map(|_| rng.random_range(0..3)).collect();
        let mut answers = Vec::new();
        for (question, &truth) in truth.iter().enumerate() {
            for judge in 0..6 {
                let careful = if rng.random::<f64>() < 0.9 { truth } else { rng.random_range(0..3) };
                let class = match judge {
                    4 if careful == 1 => 0,
                    5 => rng.random_range(0..3),
                    _ => careful,
                };
                answers.push(answer(question, judge, class));
            }
        }
        (truth, answers)
    }

    #[test]
    fn confusions_of_seeded_judges_are_found_and_the_truth_too() {
        let (truth, answers) = world();
        for smoothing in [0.0, 1.0] {
            let fit = DawidSkeneConfig::new(3).with_smoothing(smoothing).fit(&answers).unwrap();
            assert!(fit.report.converged);
            fit.trace.windows(2).for_each(|pair| assert!(pair[1] >= pair[0] - 1e-9));
            let right = fit.classes().iter().zip(&truth).filter(|(found, truth)| **found == Some(**truth)).count();
            assert!(right >= 295, "{right}");
            let cells = |judge: usize| fit.confusions[judge].as_ref().unwrap();
            assert!(cells(4)[1][0] > 0.85 && cells(4)[2][2] > 0.85 && cells(0)[1][1] > 0.85);
            assert!((fit.accuracies()[5].unwrap() - 1.0 / 3.0).abs() < 0.1);
            for rows in fit.confusions.iter().flatten() {
                rows.iter().for_each(|row| assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-12));
            }
            assert!((fit.prior.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        }
    }

    #[test]
    fn judges_and_questions_in_any_order_and_with_gaps() {
        let (_, answers) = world();
        let fit = DawidSkeneConfig::new(3).fit(&answers).unwrap();
        let moved: Vec<Answer> = answers.iter().rev().map(|a| answer(2 * a.question, 10 - a.judge, a.class)).collect();
        let other = DawidSkeneConfig::new(3).fit(&moved).unwrap();
        assert_eq!((other.chances[1].clone(), other.classes()[1], other.confusions[3].clone()), (None, None, None));
        for (question, row) in fit.chances.iter().enumerate() {
            let (row, other) = (row.as_ref().unwrap(), other.chances[2 * question].as_ref().unwrap());
            row.iter().zip(other).for_each(|(a, b)| assert!((a - b).abs() < 1e-9));
        }
        assert!((fit.accuracies()[4].unwrap() - other.accuracies()[6].unwrap()).abs() < 1e-9);
    }

    #[test]
    fn what_makes_no_sense_is_an_error() {
        let one = [answer(0, 0, 1)];
        let refused = |config: DawidSkeneConfig, name: &str| {
            let error = config.fit(&one).unwrap_err().to_string();
            assert!(error.starts_with(&format!("`{name}`: expected")), "{error}");
        };
        refused(DawidSkeneConfig::new(1), "num_classes");
        for bad in [-1.0, f64::NAN, f64::INFINITY] {
            refused(DawidSkeneConfig::new(2).with_smoothing(bad), "smoothing");
        }
        for bad in [0.0, f64::NAN] {
            refused(DawidSkeneConfig::new(2).with_tolerance(bad), "tolerance");
        }
        assert!(matches!(DawidSkeneConfig::new(2).fit(&[]), Err(Error::Empty { name: "answers", .. })));
        let error = DawidSkeneConfig::new(2).fit(&[answer(0, 0, 1), answer(0, 0, 2)]).unwrap_err();
        assert!(matches!(error, Error::Index { row: 1, name: "class", index: 2, len: 2 }));
        assert!(DawidSkeneConfig::new(2).fit(&one).unwrap().report.converged);
        let DawidSkeneConfig { num_classes, smoothing, tolerance, max_iterations } = DawidSkeneConfig::new(3);
        assert_eq!((num_classes, smoothing, tolerance, max_iterations), (3, 1.0, 1e-9, 1000));
    }
}
