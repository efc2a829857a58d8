//! Compositional preference model (CPM): a few scores of each response, weighed by a logistic regression.
//!
//! **Paper:** Compositional preference models for aligning LMs (2023), 2310.13011.
//! **Use when:** a language model can rate responses by questions (helpful? specific? factual?), and few pairs must be enough.
//! Properties counted by hand, factors and rules are weighed alike.
//! **Checked by:** standardization by hand, invariance to a feature's unit, antisymmetry, [`super::linear_reward`] at each C.
//! **Deviations:** of equally accurate penalties the strongest is kept, as scikit-learn does.

use accordant_ops::{check_domain, host};
use burn::config::Config;
use serde::{Deserialize, Serialize};

use super::{
    differences::Differences,
    linear_reward::{LinearRewardConfig, Penalty},
};
use crate::{
    Error, Report, Result,
    error::{check_length, check_record, check_weight},
    resample::{folds, held_out},
};

/// The expected score of a rating that a language model gave by the chances of its digits: `Σ_s s p(s)`, the chances of the
/// `scores` made to add up to 1.
///
/// # Errors
/// [`Error::Length`] naming `logps`; [`Error::Empty`] naming `logps` when no score has a chance; [`Error::Record`] for a
/// score that is not finite.
///
/// # Example
/// ```
/// use accordant_preference::multi_objective::compositional::expected_score;
/// let logps = [0.3f64.ln(), 0.1f64.ln()]; // other tokens have the rest
/// assert!((expected_score(&logps, &[10.0, 2.0])? - 8.0).abs() < 1e-12);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
pub fn expected_score(logps: &[f64], scores: &[f64]) -> Result<f64> {
    check_length("logps", scores.len(), logps.len())?;
    for (row, &score) in scores.iter().enumerate() {
        check_record(score.is_finite(), row, "score", "finite", score)?;
    }
    if !host::log_sum_exp(logps).is_finite() {
        return Err(Error::Empty { name: "logps", reason: "no score has a chance" });
    }
    Ok(host::softmax(logps).iter().zip(scores).map(|(chance, score)| chance * score).sum())
}

/// The reward of a rubric: the mean of criteria's scores by their weights, or 0 where a gate fails.
///
/// The share of rules that a response satisfies is the case of scores 0 and 1 and equal weights.
///
/// # Errors
/// [`Error::Length`] naming `weights`; [`Error::Record`] for a score that is not finite or a weight that is not finite and
/// ≥ 0; [`Error::Empty`] when no criterion has a weight.
///
/// # Example
/// ```
/// use accordant_preference::multi_objective::compositional::rubric_reward;
/// assert_eq!(rubric_reward(&[1.0, 0.0, 1.0], &[1.0, 1.0, 2.0], &[true])?, 0.75);
/// assert_eq!(rubric_reward(&[1.0, 0.0, 1.0], &[1.0, 1.0, 2.0], &[true, false])?, 0.0);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
pub fn rubric_reward(scores: &[f64], weights: &[f64], gates: &[bool]) -> Result<f64> {
    check_length("weights", scores.len(), weights.len())?;
    let (mut sum, mut total) = (0.0, 0.0);
    for (row, (&score, &weight)) in scores.iter().zip(weights).enumerate() {
        check_record(score.is_finite(), row, "score", "finite", score)?;
        check_weight(row, "weight", weight)?;
        sum += weight * score;
        total += weight;
    }
    if total <= 0.0 {
        return Err(Error::Empty { name: "weights", reason: "no criterion has one" });
    }
    Ok(if gates.iter().all(|gate| *gate) { sum / total } else { 0.0 })
}

/// Configuration of a fit.
#[derive(Config, Debug, PartialEq)]
pub struct CompositionalConfig {
    /// How weights are kept small. By squares: scikit-learn's default, which the authors' code has as an option beside
    /// absolute values.
    #[config(default = "Penalty::L2")]
    pub penalty: Penalty,
    /// What the inverse strength C is chosen from, each finite and > 0, in ascending order. Twelve from 1e-5 to 1e5, evenly
    /// spaced in logarithms: the authors' code.
    #[config(default = "(0..12).map(|step| 10f64.powf(f64::from(step) * 10.0 / 11.0 - 5.0)).collect()")]
    pub inverse_strengths: Vec<f64>,
    /// In how many parts the pairs are cut to choose it, at least 2 and no more than there are pairs. 8: the authors' code.
    #[config(default = 8)]
    pub folds: usize,
    /// Decides the parts. 0: arbitrary.
    #[config(default = 0)]
    pub seed: u64,
}

impl CompositionalConfig {
    /// Fits weights to pairs of feature rows, the first of each preferred.
    ///
    /// # Errors
    /// A domain error naming a field; [`Error::Length`] naming `rejected` or `features`; [`Error::Record`] for a feature
    /// that is not finite; [`Error::Empty`] naming `folds` for too few pairs.
    ///
    /// # Example
    /// ```
    /// use accordant_preference::multi_objective::compositional::CompositionalConfig;
    /// // The first feature decides, the second is noise.
    /// let side = |i: usize, lead: f64| vec![(i % 5) as f64 + lead, (i * 7 % 4) as f64];
    /// let chosen: Vec<_> = (0..24).map(|i| side(i, 2.0)).collect();
    /// let rejected: Vec<_> = (0..24).map(|i| side(i + 3, 0.0)).collect();
    /// let model = CompositionalConfig::new().fit(&chosen, &rejected)?;
    /// assert!(model.weights[0] > 0.0 && model.score(&[5.0, 1.0])? > model.score(&[1.0, 1.0])?);
    /// # Ok::<(), accordant_preference::Error>(())
    /// ```
    pub fn fit(&self, chosen: &[Vec<f64>], rejected: &[Vec<f64>]) -> Result<CompositionalModel> {
        let Self { penalty, inverse_strengths, folds: parts, seed } = self;
        check_domain(!inverse_strengths.is_empty(), "inverse_strengths", "at least one", 0.0)?;
        for &c in inverse_strengths {
            check_domain(c.is_finite() && c > 0.0, "inverse_strengths", "finite and > 0", c)?;
        }
        let falls = inverse_strengths.windows(2).find(|two| two[0] >= two[1]);
        check_domain(falls.is_none(), "inverse_strengths", "ascending", falls.map_or(0.0, |two| two[1]))?;
        check_length("rejected", chosen.len(), rejected.len())?;
        let parts = folds(&(0..chosen.len()).collect::<Vec<_>>(), *parts, *seed)?;
        let standard = Standard::of(chosen, rejected)?;
        let mut pairs = Differences::new(standard.means.len());
        for (chosen, rejected) in chosen.iter().zip(rejected) {
            pairs.push_sides(&standard.apply(chosen)?, &standard.apply(rejected)?, 1.0, 1.0)?;
        }
        let regression = |c: f64| LinearRewardConfig::new().with_penalty(*penalty).with_strength(c.recip());
        let mut accuracies = Vec::with_capacity(inverse_strengths.len());
        for &c in inverse_strengths {
            let hits = held_out(&parts, |others, own| {
                let reward = regression(c).fit(&pairs.select(others)?)?;
                let own = pairs.select(own)?;
                own.hits(&own.leads(&reward.coefficients)?)
            })?;
            accuracies.push(hits.iter().sum::<f64>() / hits.len() as f64);
        }
        // The first of the best: the strongest penalty.
        let best = (0..accuracies.len()).rev().max_by(|&a, &b| accuracies[a].total_cmp(&accuracies[b]));
        let inverse_strength = inverse_strengths[best.expect("there is one")];
        let reward = regression(inverse_strength).fit(&pairs)?;
        let Standard { means, deviations } = standard;
        Ok(CompositionalModel {
            means,
            deviations,
            weights: reward.coefficients,
            inverse_strength,
            accuracies,
            report: reward.report,
        })
    }
}

/// Means and deviations of features over both sides of all pairs.
struct Standard {
    means: Vec<f64>,
    deviations: Vec<f64>,
}

impl Standard {
    fn of(chosen: &[Vec<f64>], rejected: &[Vec<f64>]) -> Result<Self> {
        let rows = || chosen.iter().chain(rejected);
        let dim = chosen.first().map_or(0, Vec::len);
        for (row, features) in rows().enumerate() {
            check_length("features", dim, features.len())?;
            for &value in features {
                check_record(value.is_finite(), row % chosen.len(), "feature", "finite", value)?;
            }
        }
        let count = 2.0 * chosen.len() as f64;
        let mean = |of: &dyn Fn(&Vec<f64>) -> f64| rows().map(of).sum::<f64>() / count;
        let means: Vec<f64> = (0..dim).map(|at| mean(&|row| row[at])).collect();
        let deviation = |at: usize| mean(&|row| (row[at] - means[at]).powi(2)).sqrt() + 1e-7;
        let deviations = (0..dim).map(deviation).collect();
        Ok(Self { means, deviations })
    }

    fn apply(&self, features: &[f64]) -> Result<Vec<f64>> {
        standardized(features, &self.means, &self.deviations)
    }
}

fn standardized(features: &[f64], means: &[f64], deviations: &[f64]) -> Result<Vec<f64>> {
    check_length("features", means.len(), features.len())?;
    Ok(features.iter().zip(means).zip(deviations).map(|((x, mean), deviation)| (x - mean) / deviation).collect())
}

/// A fitted model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CompositionalModel {
    /// The mean of each feature over both sides of all pairs.
    pub means: Vec<f64>,
    /// Its standard deviation, plus 1e-7 for features that do not vary.
    pub deviations: Vec<f64>,
    /// What one standard deviation of each feature is worth, in log-odds.
    pub weights: Vec<f64>,
    /// The C that was chosen.
    pub inverse_strength: f64,
    /// The share of held-out pairs that each C ranks right.
    pub accuracies: Vec<f64>,
    /// How the last fit ended.
    pub report: Report,
}

impl CompositionalModel {
    /// The reward of a response with these features, `w · (f − mean) / deviation`; only differences mean something.
    ///
    /// # Errors
    /// [`Error::Length`] naming `features`.
    pub fn score(&self, features: &[f64]) -> Result<f64> {
        let standard = standardized(features, &self.means, &self.deviations)?;
        Ok(standard.iter().zip(&self.weights).map(|(x, weight)| x * weight).sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two features that matter and one that does not, of 40 pairs with a few labels that are wrong.
    fn sides() -> [Vec<Vec<f64>>; 2] {
        let feature = |i: usize, step: usize| ((i * step + 3 * i * i) % 11) as f64;
        let row = |i: usize| vec![feature(i, 5), 10.0 * feature(i, 7), feature(i, 3)];
        let worth = |row: &[f64]| row[0] - 0.05 * row[1];
        let pairs = (0..40).map(|i| {
            let (first, second) = (row(i), row(i + 41));
            if (worth(&first) > worth(&second)) == (i % 8 != 0) { (first, second) } else { (second, first) }
        });
        let (chosen, rejected) = pairs.unzip();
        [chosen, rejected]
    }

    #[test]
    fn features_are_standardized_over_both_sides() {
        let [chosen, rejected] = [vec![vec![1.0, 5.0], vec![3.0, 5.0]], vec![vec![1.0, 5.0], vec![7.0, 5.0]]];
        let config = CompositionalConfig::new().with_folds(2).with_inverse_strengths(vec![1.0]);
        let model = config.fit(&chosen, &rejected).unwrap();
        // 1, 3, 1, 7: mean 3, squares 4 + 0 + 4 + 16 over 4.
        assert_eq!(model.means, [3.0, 5.0]);
        assert!((model.deviations[0] - (6f64.sqrt() + 1e-7)).abs() < 1e-15 && model.deviations[1] == 1e-7);
        let score = model.score(&[4.0, 5.0]).unwrap();
        assert!((score - model.weights[0] / model.deviations[0]).abs() < 1e-15);
        assert_eq!(model.weights[1], 0.0);
        // One difference of 0 and one of −4: σ(4 w / d) · 4 / d = w / C with the deviation d.
        let (w, d) = (model.weights[0], model.deviations[0]);
        assert!((w + 4.0 / d * host::logistic(4.0 * w / d)).abs() < 1e-8, "{w}");
    }

    #[test]
    fn the_unit_and_the_origin_of_a_feature_say_nothing() {
        let [chosen, rejected] = sides();
        let model = CompositionalConfig::new().fit(&chosen, &rejected).unwrap();
        let moved = |rows: &[Vec<f64>]| -> Vec<Vec<f64>> {
            rows.iter().map(|row| vec![100.0 * row[0] - 7.0, row[1] + 1.0, 0.5 * row[2]]).collect()
        };
        let other = CompositionalConfig::new().fit(&moved(&chosen), &moved(&rejected)).unwrap();
        assert_eq!(model.inverse_strength, other.inverse_strength);
        for (a, b) in model.weights.iter().zip(&other.weights) {
            assert!((a - b).abs() < 1e-4, "{a} is not {b}");
        }
        let lead = |model: &CompositionalModel, a: &[f64], b: &[f64]| model.score(a).unwrap() - model.score(b).unwrap();
        let (there, back) = (lead(&model, &chosen[0], &rejected[0]), lead(&model, &rejected[0], &chosen[0]));
        assert_eq!(there, -back);
    }

    #[test]
    fn the_strongest_of_the_most_accurate_penalties_is_kept() {
        let [chosen, rejected] = sides();
        for penalty in [Penalty::L1, Penalty::L2] {
            let model = CompositionalConfig::new().with_penalty(penalty).fit(&chosen, &rejected).unwrap();
            assert!(model.report.converged);
            let most = model.accuracies.iter().copied().fold(0.0, f64::max);
            let first = model.accuracies.iter().position(|accuracy| *accuracy == most).unwrap();
            assert_eq!(model.inverse_strength, CompositionalConfig::new().inverse_strengths[first]);
            assert!(most > 0.7, "{:?}", model.accuracies);
            assert!(model.weights[0] > 0.0 && model.weights[1] <= 0.0, "{:?}", model.weights);
        }
        // Under L1 a strength of 1e5 leaves nothing: every pair is a tie, which counts one half.
        let strong = CompositionalConfig::new().with_penalty(Penalty::L1).with_inverse_strengths(vec![1e-5]);
        let model = strong.fit(&chosen, &rejected).unwrap();
        assert_eq!((model.weights, model.accuracies), (vec![0.0; 3], vec![0.5]));
    }

    #[test]
    fn the_weights_are_those_of_the_regression_at_that_strength() {
        let [chosen, rejected] = sides();
        let model = CompositionalConfig::new().with_inverse_strengths(vec![0.25]).fit(&chosen, &rejected).unwrap();
        let mut pairs = Differences::new(3);
        for (chosen, rejected) in chosen.iter().zip(&rejected) {
            let difference = (0..3).map(|at| (at, (chosen[at] - rejected[at]) / model.deviations[at]));
            pairs.push(&difference.collect::<Vec<_>>(), 1.0, 1.0).unwrap();
        }
        let expected = LinearRewardConfig::new().with_strength(4.0).fit(&pairs).unwrap().coefficients;
        for (a, b) in model.weights.iter().zip(&expected) {
            assert!((a - b).abs() < 1e-7, "{a} is not {b}");
        }
    }

    #[test]
    fn rubrics_and_expected_scores_refuse_what_makes_no_sense() {
        assert!(matches!(rubric_reward(&[1.0], &[], &[]), Err(Error::Length { name: "weights", .. })));
        assert!(matches!(rubric_reward(&[1.0], &[0.0], &[]), Err(Error::Empty { name: "weights", .. })));
        assert!(matches!(rubric_reward(&[f64::NAN], &[1.0], &[]), Err(Error::Record { name: "score", .. })));
        for bad in [-1.0, f64::NAN, f64::INFINITY] {
            assert!(matches!(rubric_reward(&[1.0], &[bad], &[]), Err(Error::Record { name: "weight", .. })));
        }
        assert!((rubric_reward(&[0.5, 2.0], &[3.0, 1.0], &[]).unwrap() - 0.875).abs() < 1e-15);
        assert!(matches!(expected_score(&[0.0], &[]), Err(Error::Length { name: "logps", .. })));
        assert!(matches!(expected_score(&[0.0], &[f64::NAN]), Err(Error::Record { name: "score", .. })));
        for none in [f64::NEG_INFINITY, f64::NAN, f64::INFINITY] {
            assert!(matches!(expected_score(&[none], &[1.0]), Err(Error::Empty { name: "logps", .. })));
        }
        assert_eq!(expected_score(&[-900.0, f64::NEG_INFINITY], &[3.0, 1.0]).unwrap(), 3.0);
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        let [chosen, rejected] = sides();
        let text = |config: CompositionalConfig| config.fit(&chosen, &rejected).unwrap_err().to_string();
        let with = |strengths: &[f64]| CompositionalConfig::new().with_inverse_strengths(strengths.to_vec());
        assert!(text(with(&[])).starts_with("`inverse_strengths`: expected at least one"));
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(text(with(&[bad])).starts_with("`inverse_strengths`: expected finite and > 0"));
        }
        for falls in [[2.0, 1.0], [1.0, 1.0]] {
            assert!(text(with(&falls)).starts_with("`inverse_strengths`: expected ascending, got 1"));
        }
        assert!(text(CompositionalConfig::new().with_folds(1)).starts_with("`folds`"));
        let config = CompositionalConfig::new().with_folds(2);
        let text = |chosen: &[Vec<f64>], rejected: &[Vec<f64>]| config.fit(chosen, rejected).unwrap_err().to_string();
        assert_eq!(text(&chosen, &rejected[1..]), "`rejected`: expected 40 entries, got 39");
        assert!(text(&[], &[]).starts_with("`folds`"));
        let (good, short, bad) = (vec![1.0, 2.0], vec![1.0], vec![1.0, f64::NAN]);
        let two = |row: &Vec<f64>| vec![good.clone(), row.clone()];
        assert_eq!(text(&two(&good), &two(&short)), "`features`: expected 2 entries, got 1");
        assert!(text(&two(&good), &two(&bad)).starts_with("record 1: `feature`: expected finite"));
        let model = config.fit(&chosen, &rejected).unwrap();
        assert!(matches!(model.score(&[1.0]), Err(Error::Length { name: "features", .. })));
        let defaults = CompositionalConfig::new();
        assert_eq!((defaults.penalty, defaults.folds, defaults.seed), (Penalty::L2, 8, 0));
        let strengths = defaults.inverse_strengths;
        assert_eq!((strengths.len(), strengths[0]), (12, 1e-5));
        assert!(
            (strengths[11] - 1e5).abs() < 1e-6 && (strengths[1] / strengths[0] - 10f64.powf(10.0 / 11.0)).abs() < 1e-9
        );
    }

    #[test]
    fn a_row_that_is_no_number_is_named_by_its_pair_and_six_rows_have_a_sixth_of_the_mean_each() {
        let rows = |values: [f64; 3]| values.map(|x| vec![x]).to_vec();
        let [chosen, rejected] = [rows([1.0, 2.0, 6.0]), rows([0.0, 0.0, f64::NAN])];
        let config = CompositionalConfig::new().with_folds(3);
        let text = |chosen: &[Vec<f64>], rejected: &[Vec<f64>]| config.fit(chosen, rejected).unwrap_err().to_string();
        assert!(text(&chosen, &rejected).starts_with("record 2: `feature`"));
        assert!(text(&rejected, &chosen).starts_with("record 2: `feature`"));
        let standard = Standard::of(&chosen, &rows([0.0, 0.0, 3.0])).unwrap();
        // 1, 2, 6, 0, 0, 3: mean 2, squares 1 + 0 + 16 + 4 + 4 + 1.
        assert_eq!(standard.means, [2.0]);
        assert!((standard.deviations[0] - ((26.0f64 / 6.0).sqrt() + 1e-7)).abs() < 1e-15);
    }
}
