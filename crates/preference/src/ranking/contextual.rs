//! Bradley-Terry scores beside effects of covariates: style, length, position (contextual Bradley-Terry).
//!
//! **Paper:** as in the arenas' style control; BigCodeArena: Unveiling More Reliable Human Preferences in Code Generation via
//! Execution (2025) and others rank so.
//! **Use when:** judges favor long or well-laid-out answers, and the ranking should not.
//! **Checked by:** finite differences, values by hand, effects of a seeded world, the fit without covariates.
//! **Deviations:** penalties are of the summed log-likelihood: the arenas' ridge of the mean is this one divided by the number
//! of comparisons. The sandwich's curvature holds the ridge that was fitted with; a released one holds a small number
//! instead.

use accordant_ops::check_domain;
use burn::config::Config;
use nalgebra::{DMatrix, DVector};

use super::{
    Covariance, Gauge, Spread,
    covariance::{Curvature, normal_quantile},
};
use crate::{
    Comparison, Comparisons, Error, Outcome, Report, Result,
    comparisons::Ties,
    error::{check_length, check_record},
    graph::check_connected,
    link::{Link, Logit},
    optimize::{Quadratic, Stop, newton},
    resample::{Interval, numbered},
};

/// The covariate of two counts, such as of tokens or of headers: `(a − b) / (a + b + 1)`, in (−1, 1); positive where the first
/// has more.
///
/// # Example
/// ```
/// use accordant_preference::ranking::contextual::relative_difference;
/// assert_eq!(relative_difference(3.0, 0.0), 0.75);
/// assert_eq!(relative_difference(0.0, 0.0), 0.0);
/// ```
pub fn relative_difference(first: f64, second: f64) -> f64 {
    (first - second) / (first + second + 1.0)
}

/// Configuration of a fit with covariates.
///
/// ```text
/// P(first) = σ(s_a − s_b + ⟨f, β⟩);   minimize  −Σ weight · log P + ½ prior ‖s‖² + ½ ridge ‖β‖²
/// ```
/// A covariate belongs to a comparison and is positive where it speaks for the first item: exchanging the items changes its
/// sign.
#[derive(Config, Debug, PartialEq)]
pub struct ContextualConfig {
    /// The precision of a normal prior on each score, finite and ≥ 0.
    #[config(default = 0.0)]
    pub prior: f64,
    /// The precision of a normal prior on each coefficient, finite and ≥ 0. 1: ours.
    #[config(default = 1.0)]
    pub ridge: f64,
    /// Whether covariates are divided by their standard deviation (of the whole population), so that the ridge means the same
    /// for all.
    #[config(default = true)]
    pub standardize: bool,
    /// Whether their mean is taken off. The arenas' older numbers need it; scores then no longer say who wins between
    /// answers of equal style, unless the mean is 0.
    #[config(default = false)]
    pub center: bool,
    /// What becomes of ties.
    #[config(default = "Ties::Half")]
    pub ties: Ties,
    /// The level of the scores.
    #[config(default = "Gauge::SumZero")]
    pub gauge: Gauge,
    /// Converged when no derivative of the objective exceeds this much for each comparison (of weight 1), > 0. 1e-10: ours.
    #[config(default = 1e-10)]
    pub tolerance: f64,
    /// Steps at most. 100: ours.
    #[config(default = 100)]
    pub max_iterations: usize,
}

/// Scores with effects of covariates.
#[derive(Debug, Clone, PartialEq)]
pub struct ContextualFit {
    /// The score of each item between answers that do not differ in style.
    pub scores: Vec<f64>,
    /// The effect of each covariate, by unit or by standard deviation where they were standardized.
    pub coefficients: Vec<f64>,
    /// What was taken off each covariate, and what it was divided by then.
    pub moments: Vec<(f64, f64)>,
    /// The log-likelihood of the data, in nats.
    pub log_likelihood: f64,
    /// How the fit ended.
    pub report: Report,
    problem: Problem,
}

/// What is minimized.
#[derive(Debug, Clone, PartialEq)]
struct Problem {
    records: Vec<Comparison>,
    /// Covariates as they are fitted, row by row.
    features: Vec<Vec<f64>>,
    judges: Option<Vec<usize>>,
    num_items: usize,
    num_features: usize,
    prior: f64,
    ridge: f64,
    total: f64,
}

impl ContextualConfig {
    /// Fits scores and coefficients; `features` has a row for each comparison.
    ///
    /// # Errors
    /// A domain error naming a field; [`Error::Length`] naming `features`, or a row of theirs of another length;
    /// [`Error::Record`] for a covariate that is not finite; [`Error::Combination`] when covariates depend on each other and
    /// there is no ridge, or one never changes and is to be standardized; without a prior, [`Error::NotIdentifiable`] when
    /// the comparisons do not connect all items; [`Error::Separable`] when covariates foretell everything and there is no
    /// ridge; [`Error::Ties`] when there are ties and they are refused; [`Error::Empty`] without a comparison.
    ///
    /// # Example
    /// ```
    /// use accordant_preference::{Comparisons, Outcome, ranking::ContextualConfig};
    /// // Equal items; the longer answer, first or second in turn, wins three times of four.
    /// let mut judged = Comparisons::new(2);
    /// let mut length = Vec::new();
    /// for row in 0..400 {
    ///     let longer = if row % 2 == 0 { 1.0 } else { -1.0 };
    ///     let wins = (row / 2 % 4 != 0) == (longer > 0.0);
    ///     judged.push(0, 1, if wins { Outcome::First } else { Outcome::Second })?;
    ///     length.push(vec![longer]);
    /// }
    /// let fit = ContextualConfig::new().with_ridge(0.0).fit(&judged, &length)?;
    /// assert!((fit.coefficients[0] - 3f64.ln()).abs() < 1e-8 && fit.scores[0].abs() < 1e-8);
    /// # Ok::<(), accordant_preference::Error>(())
    /// ```
    #[doc(alias = "style control")]
    pub fn fit(&self, judged: &Comparisons, features: &[Vec<f64>]) -> Result<ContextualFit> {
        for (name, value) in [("prior", self.prior), ("ridge", self.ridge)] {
            check_domain(value.is_finite() && value >= 0.0, name, "finite and >= 0", value)?;
        }
        check_domain(self.tolerance > 0.0, "tolerance", "> 0", self.tolerance)?;
        let (problem, moments) = self.problem(judged, features)?;
        let len = problem.num_items + problem.num_features;
        let start = DVector::zeros(len);
        let rank_at = |at: &DVector<f64>| problem.curvature(at).symmetric_eigenvalues().min() / problem.total;
        let flat = if self.ridge == 0.0 { rank_at(&start) } else { 1.0 };
        if flat < 1e-10 {
            return Err(Error::Combination { what: "covariates", reason: "they depend on each other; give a ridge" });
        }
        let stop = Stop { gradient: self.tolerance * problem.total, max_iterations: self.max_iterations };
        let (at, report) = newton(|at| problem.evaluate(at), start, stop);
        // Where everything is foretold, the curvature along the way out has vanished.
        if self.ridge == 0.0 && rank_at(&at) < 1e-7 * flat {
            return Err(Error::Separable { name: "covariates" });
        }
        let log_likelihood = problem.log_likelihood(&at);
        let mut scores = at.as_slice()[..problem.num_items].to_vec();
        self.gauge.fix(&mut scores)?;
        let coefficients = at.as_slice()[problem.num_items..].to_vec();
        Ok(ContextualFit { scores, coefficients, moments, log_likelihood, report, problem })
    }

    fn problem(&self, judged: &Comparisons, features: &[Vec<f64>]) -> Result<(Problem, Vec<(f64, f64)>)> {
        check_length("features", judged.len(), features.len())?;
        let decided = judged.wins().decided(self.ties, "contextual")?;
        let num_features = features.first().map_or(0, Vec::len);
        let (mut records, mut rows, mut judges) = (Vec::new(), Vec::new(), judged.judges().map(|_| Vec::new()));
        for (row, (record, values)) in judged.records().iter().zip(features).enumerate() {
            check_length("a row of features", num_features, values.len())?;
            for &value in values {
                check_record(value.is_finite(), row, "features", "finite", value)?;
            }
            if record.outcome == Outcome::Tie && self.ties == Ties::Drop {
                continue;
            }
            records.push(Comparison { outcome: Outcome::Share(record.outcome.share()), ..*record });
            rows.push(values.clone());
            if let (Some(judges), Some(all)) = (&mut judges, judged.judges()) {
                judges.push(all[row]);
            }
        }
        let total: f64 = records.iter().map(|record| record.weight).sum();
        if total == 0.0 {
            return Err(Error::Empty { name: "comparisons", reason: "none has a weight" });
        }
        if self.prior == 0.0 {
            check_connected(&decided)?;
        }
        let count = rows.len() as f64;
        let mut moments = Vec::new();
        for feature in 0..num_features {
            let mean = rows.iter().map(|row| row[feature]).sum::<f64>() / count;
            let variance = rows.iter().map(|row| (row[feature] - mean).powi(2)).sum::<f64>() / count;
            if self.standardize && variance == 0.0 {
                return Err(Error::Combination { what: "covariates", reason: "one of them never changes" });
            }
            let (shift, scale) =
                (if self.center { mean } else { 0.0 }, if self.standardize { variance.sqrt() } else { 1.0 });
            rows.iter_mut().for_each(|row| row[feature] = (row[feature] - shift) / scale);
            moments.push((shift, scale));
        }
        let problem = Problem {
            records,
            features: rows,
            judges,
            num_items: judged.num_items(),
            num_features,
            prior: self.prior,
            ridge: self.ridge,
            total,
        };
        Ok((problem, moments))
    }
}

impl Problem {
    /// Where the margin of a comparison comes from: the parameters with their factors.
    fn terms(&self, row: usize) -> Vec<(usize, f64)> {
        let features = self.features[row].iter().enumerate().map(|(at, value)| (self.num_items + at, *value));
        [(self.records[row].first, 1.0), (self.records[row].second, -1.0)].into_iter().chain(features).collect()
    }

    fn each(&self, at: &DVector<f64>, mut see: impl FnMut(usize, &[(usize, f64)], crate::link::LogProb)) {
        for (row, record) in self.records.iter().enumerate() {
            let terms = self.terms(row);
            let margin = terms.iter().map(|&(place, factor)| factor * at[place]).sum();
            see(row, &terms, Logit.log_prob(record.outcome, margin, 0.0));
        }
    }

    fn log_likelihood(&self, at: &DVector<f64>) -> f64 {
        let mut total = 0.0;
        self.each(at, |row, _, p| total += self.records[row].weight * p.value);
        total
    }

    /// The second derivatives, with penalties and, without a prior, the level of the scores made regular.
    fn curvature(&self, at: &DVector<f64>) -> DMatrix<f64> {
        let len = self.num_items + self.num_features;
        let mut hessian = DMatrix::zeros(len, len);
        self.each(at, |row, terms, p| {
            let curve = -self.records[row].weight * p.d_d;
            for &(a, factor) in terms {
                terms.iter().for_each(|&(b, other)| hessian[(a, b)] += curve * factor * other);
            }
        });
        (0..self.num_items).for_each(|a| hessian[(a, a)] += self.prior);
        (self.num_items..len).for_each(|a| hessian[(a, a)] += self.ridge);
        if self.prior == 0.0 {
            let level = self.total / (self.num_items * self.num_items) as f64;
            for a in 0..self.num_items {
                (0..self.num_items).for_each(|b| hessian[(a, b)] += level);
            }
        }
        hessian
    }

    fn evaluate(&self, at: &DVector<f64>) -> Quadratic {
        let penalty = |place: usize| if place < self.num_items { self.prior } else { self.ridge };
        let mut gradient = DVector::from_iterator(at.len(), (0..at.len()).map(|place| penalty(place) * at[place]));
        let mut value = (0..at.len()).map(|place| 0.5 * penalty(place) * at[place] * at[place]).sum::<f64>();
        self.each(at, |row, terms, p| {
            let weight = self.records[row].weight;
            value -= weight * p.value;
            terms.iter().for_each(|&(place, factor)| gradient[place] -= weight * p.d * factor);
        });
        Quadratic { value, gradient, hessian: self.curvature(at) }
    }
}

impl ContextualFit {
    /// The chance that the first item wins, given covariates as they were given to the fit.
    ///
    /// # Errors
    /// [`Error::Index`] for an item that is not in the table, [`Error::Length`] naming `features`.
    pub fn chance(&self, first: usize, second: usize, features: &[f64]) -> Result<f64> {
        crate::error::check_index(0, "first", first, self.scores.len())?;
        crate::error::check_index(0, "second", second, self.scores.len())?;
        check_length("features", self.coefficients.len(), features.len())?;
        let style = features.iter().zip(&self.moments).zip(&self.coefficients);
        let style: f64 = style.map(|((value, (shift, scale)), beta)| beta * (value - shift) / scale).sum();
        Ok(accordant_ops::host::logistic(self.scores[first] - self.scores[second] + style))
    }

    /// The covariance of the scores at sum 0, and the standard errors of the coefficients.
    ///
    /// # Errors
    /// [`Error::Combination`] when judges are asked for and not known; [`Error::Separable`] when the curvature vanishes.
    pub fn covariance(&self, spread: Spread) -> Result<(Covariance, Vec<f64>)> {
        let problem = &self.problem;
        let n = problem.num_items;
        let at =
            DVector::from_iterator(n + problem.num_features, self.scores.iter().chain(&self.coefficients).copied());
        let groups = match spread {
            Spread::Judges => {
                let judges = problem.judges.as_ref();
                let unknown = Error::Combination { what: "spread over judges", reason: "nobody said who judged" };
                numbered(judges.ok_or(unknown)?)
            }
            _ => ((0..problem.records.len()).collect(), problem.records.len()),
        };
        let mut scores = vec![Vec::<(usize, f64)>::new(); groups.1];
        problem.each(&at, |row, terms, p| {
            let weight = problem.records[row].weight;
            let times = if spread == Spread::Counts { weight.sqrt() } else { weight };
            scores[groups.0[row]].extend(terms.iter().map(|&(place, factor)| (place, times * p.d * factor)));
        });
        let mut meat = DMatrix::zeros(at.len(), at.len());
        for group in &scores {
            // The sum of a group's scores, then its square.
            let mut sum = std::collections::BTreeMap::<usize, f64>::new();
            group.iter().for_each(|(place, slope)| *sum.entry(*place).or_default() += slope);
            for (a, slope) in &sum {
                sum.iter().for_each(|(b, other)| meat[(*a, *b)] += slope * other);
            }
        }
        let curvature = Curvature { hessian: problem.curvature(&at), prior: 0.0, ridge: 0.0, num_items: n };
        let whole = curvature.whole((spread != Spread::Fisher).then_some(meat))?;
        let errors = (n..at.len()).map(|place| whole[(place, place)].max(0.0).sqrt()).collect();
        Ok((Covariance { matrix: whole.view((0, 0), (n, n)).into_owned() }, errors))
    }

    /// Intervals of the coefficients at a level, taken as normal.
    ///
    /// # Errors
    /// As [`ContextualFit::covariance`], and a domain error for a level outside of (0, 1).
    pub fn coefficient_intervals(&self, spread: Spread, level: f64) -> Result<Vec<Interval>> {
        let z = normal_quantile(level)?;
        let (_, errors) = self.covariance(spread)?;
        let ends = self.coefficients.iter().zip(errors);
        Ok(ends.map(|(beta, error)| Interval { low: beta - z * error, high: beta + z * error }).collect())
    }
}

#[cfg(test)]
mod tests {
    use accordant_laws::gradient::check_gradient;
    use rand::Rng;

    use super::*;
    use crate::random::{Purpose, stream};
    use crate::ranking::{
        CovarianceConfig, NewtonConfig,
        fixtures::{close, five, four, unconnected},
    };

    /// 22 comparisons with two covariates each.
    fn features(len: usize) -> Vec<Vec<f64>> {
        (0..len).map(|row| vec![((row * 5) % 7) as f64 - 2.5, ((row * 3) % 5) as f64 / 4.0]).collect()
    }

    #[test]
    fn without_covariates_it_is_the_fit_by_newtons_method() {
        let none = vec![vec![]; 22];
        let fit = ContextualConfig::new().fit(&four(), &none).unwrap();
        let newton = NewtonConfig::new().fit(&four()).unwrap();
        close(&fit.scores, &newton.scores, 1e-9);
        assert!(fit.report.converged && (fit.log_likelihood - newton.log_likelihood).abs() < 1e-10);
        for spread in [Spread::Fisher, Spread::Records, Spread::Counts] {
            let (covariance, errors) = fit.covariance(spread).unwrap();
            let plain = CovarianceConfig::new().with_spread(spread).of(&four(), &newton, &Logit).unwrap();
            close(&covariance.standard_errors(), &plain.standard_errors(), 1e-9);
            assert!(errors.is_empty());
        }
        let half = ContextualConfig::new().fit(&five(), &vec![vec![]; 16]).unwrap();
        close(&half.scores, &NewtonConfig::new().fit(&five()).unwrap().scores, 1e-8);
        // A ridge without end leaves no effect.
        let stiff = ContextualConfig::new().with_ridge(1e12).fit(&four(), &features(22)).unwrap();
        close(&stiff.scores, &newton.scores, 1e-8);
    }

    #[test]
    fn relative_differences_by_hand() {
        assert_eq!(relative_difference(3.0, 1.0), 0.4);
        assert_eq!(relative_difference(1.0, 3.0), -0.4);
        assert_eq!(relative_difference(0.0, 0.0), 0.0);
    }

    /// Equal items; the side with the positive covariate wins three times of four.
    fn three_to_one(weight: f64, size: f64) -> (Comparisons, Vec<Vec<f64>>) {
        let (mut judged, mut features) = (Comparisons::new(2), Vec::new());
        for row in 0..8 {
            let sign = if row % 2 == 0 { 1.0 } else { -1.0 };
            let wins = (row / 2 % 4 != 0) == (sign > 0.0);
            let outcome = if wins { Outcome::First } else { Outcome::Second };
            judged.push_weighted(0, 1, outcome, weight).unwrap();
            features.push(vec![size * sign]);
        }
        (judged, features)
    }

    #[test]
    fn neither_the_weights_nor_the_unit_of_a_covariate_decide_whether_there_is_a_fit() {
        let config = ContextualConfig::new().with_ridge(0.0).with_standardize(false);
        for (weight, size) in [(1.0, 1.0), (1e-12, 1.0), (1e6, 1.0), (1.0, 0.01), (1e3, 20.0)] {
            let (judged, features) = three_to_one(weight, size);
            let fit = config.fit(&judged, &features).unwrap();
            assert!(fit.report.converged, "{weight} {size}: {:?}", fit.report);
            assert!((fit.coefficients[0] * size - 3f64.ln()).abs() < 1e-7, "{weight} {size}: {:?}", fit.coefficients);
        }
    }

    #[test]
    fn a_record_is_one_observation_or_as_many_as_its_weight_says() {
        let (judged, features) = three_to_one(4.0, 1.0);
        let fit = ContextualConfig::new().with_ridge(0.0).fit(&judged, &features).unwrap();
        let errors = |spread| fit.covariance(spread).unwrap().1;
        close(&errors(Spread::Counts), &errors(Spread::Fisher), 1e-7);
        close(&errors(Spread::Records), &[2.0 * errors(Spread::Fisher)[0]], 1e-7);
    }

    #[test]
    fn intervals_of_coefficients_reach_as_far_as_their_errors_say() {
        let (judged, features) = three_to_one(1.0, 1.0);
        let fit = ContextualConfig::new().with_ridge(0.0).fit(&judged, &features).unwrap();
        let (_, errors) = fit.covariance(Spread::Fisher).unwrap();
        // Eight judgements of information 3/16 each.
        close(&errors, &[1.5f64.recip().sqrt()], 1e-7);
        let interval = fit.coefficient_intervals(Spread::Fisher, 0.95).unwrap()[0];
        let reach = 1.959_963_984_540_054 * errors[0];
        close(&[interval.low, interval.high], &[fit.coefficients[0] - reach, fit.coefficients[0] + reach], 1e-9);
    }

    #[test]
    fn the_objective_has_the_derivatives_that_newton_uses() {
        for prior in [0.0, 0.7] {
            let config = ContextualConfig::new().with_prior(prior).with_ridge(0.3);
            let (problem, _) = config.problem(&five(), &features(16)).unwrap();
            let at = [0.3, -0.2, 0.5, 0.1, -0.7, 0.4, -0.9];
            let evaluate = |x: &[f64]| problem.evaluate(&DVector::from_column_slice(x));
            let here = evaluate(&at);
            check_gradient(|x| evaluate(x).value, &at, here.gradient.as_slice()).unwrap();
            let level = if prior == 0.0 { problem.total / 25.0 } else { 0.0 };
            for row in 0..7 {
                let own = |column: usize| if row.max(column) < 5 { level } else { 0.0 };
                let expected: Vec<f64> = (0..7).map(|column| here.hessian[(row, column)] - own(column)).collect();
                check_gradient(|x| evaluate(x).gradient[row], &at, &expected).unwrap();
            }
        }
    }

    /// 4000 comparisons of 8 items with a covariate that counts 1.5 and one that counts nothing; 50 judges.
    fn world() -> (Comparisons, Vec<Vec<f64>>) {
        let mut rng = stream(2, Purpose::World, 0);
        let (mut judged, mut features, mut judges) = (Comparisons::new(8), Vec::new(), Vec::new());
        for row in 0..4000 {
            let first = rng.random_range(0..8);
            let second = (first + rng.random_range(1..8)) % 8;
            let longer = rng.random_range(-1.0..1.0) + 0.2 * (first as f64 - second as f64);
            let d = (first as f64 - second as f64) / 4.0 + 1.5 * longer;
            let wins = rng.random::<f64>() < accordant_ops::host::logistic(d);
            judged.push(first, second, if wins { Outcome::First } else { Outcome::Second }).unwrap();
            features.push(vec![longer, rng.random_range(-1.0..1.0)]);
            judges.push(row % 50);
        }
        (judged.with_judges(judges).unwrap(), features)
    }

    #[test]
    fn an_effect_is_found_and_the_scores_are_rid_of_it() {
        let (judged, features) = world();
        let config = ContextualConfig::new().with_standardize(false).with_ridge(0.0);
        let fit = config.fit(&judged, &features).unwrap();
        let plain = NewtonConfig::new().fit(&judged).unwrap();
        for item in 0..8 {
            let truth = (item as f64 - 3.5) / 4.0;
            assert!((fit.scores[item] - truth).abs() < 0.3, "{item}: {}", fit.scores[item]);
        }
        assert!(plain.scores[7] - plain.scores[0] > 1.3 * (fit.scores[7] - fit.scores[0]), "length counted as quality");
        for spread in [Spread::Fisher, Spread::Records, Spread::Judges] {
            let intervals = fit.coefficient_intervals(spread, 0.999).unwrap();
            assert!(intervals[0].low < 1.5 && 1.5 < intervals[0].high && intervals[0].low > 1.0, "{intervals:?}");
            assert!(intervals[1].low < 0.0 && 0.0 < intervals[1].high);
        }
        let errors = |spread| fit.covariance(spread).unwrap().1[0];
        assert!((errors(Spread::Records) / errors(Spread::Fisher) - 1.0).abs() < 0.1);
        // Weights are 1: counts are records.
        assert!((errors(Spread::Records) / errors(Spread::Counts) - 1.0).abs() < 1e-9);
        // By standard deviations it is the same model.
        let scaled = ContextualConfig::new().with_ridge(0.0).fit(&judged, &features).unwrap();
        close(&scaled.scores, &fit.scores, 1e-7);
        assert!((scaled.coefficients[0] - fit.coefficients[0] * scaled.moments[0].1).abs() < 1e-7);
        let chance = |fit: &ContextualFit| fit.chance(3, 5, &[0.4, -0.2]).unwrap();
        assert!((chance(&scaled) - chance(&fit)).abs() < 1e-8);
        let d = fit.scores[3] - fit.scores[5] + 0.4 * fit.coefficients[0] - 0.2 * fit.coefficients[1];
        assert!((chance(&fit) - accordant_ops::host::logistic(d)).abs() < 1e-12);
    }

    #[test]
    fn a_mean_that_is_taken_off_moves_what_equal_style_means() {
        let (judged, mut features) = world();
        features.iter_mut().for_each(|row| row[0] += 2.0);
        let off = ContextualConfig::new().with_center(true).fit(&judged, &features).unwrap();
        let (shift, scale) = off.moments[0];
        assert!((shift - 2.0).abs() < 0.1 && scale > 0.5);
        let left = ContextualConfig::new().fit(&judged, &features).unwrap();
        assert_eq!(left.moments[0].0, 0.0);
        // One more than the mean counts 1.5 where the mean is off, and far less where it has to speak for the first, too.
        let chance = |fit: &ContextualFit| fit.chance(0, 1, &[3.0, 0.0]).unwrap();
        assert!(chance(&off) > chance(&left) + 0.05, "{} and {}", chance(&off), chance(&left));
        assert!(off.coefficients[0] > left.coefficients[0]);
        let beta = |place: usize, x: f64| off.coefficients[place] * (x - off.moments[place].0) / off.moments[place].1;
        let d = off.scores[0] - off.scores[1] + beta(0, 3.0) + beta(1, 0.0);
        assert!((chance(&off) - accordant_ops::host::logistic(d)).abs() < 1e-12);
    }

    #[test]
    fn covariates_that_foretell_everything_are_an_error_without_a_ridge() {
        let mut judged = Comparisons::new(2);
        let mut features = Vec::new();
        for row in 0..40 {
            let first = row % 2 == 0;
            judged.push(0, 1, if first { Outcome::First } else { Outcome::Second }).unwrap();
            features.push(vec![if first { 1.0 + row as f64 / 40.0 } else { -1.0 }]);
        }
        let config = ContextualConfig::new().with_ridge(0.0);
        assert!(matches!(config.fit(&judged, &features), Err(Error::Separable { name: "covariates" })));
        assert!(ContextualConfig::new().fit(&judged, &features).unwrap().report.converged);
        // Twice the same covariate.
        let (judged, features) = world();
        let twice: Vec<Vec<f64>> = features.iter().map(|row| vec![row[0], 2.0 * row[0]]).collect();
        assert!(matches!(config.fit(&judged, &twice), Err(Error::Combination { what: "covariates", .. })));
        let fit = ContextualConfig::new().fit(&judged, &twice).unwrap();
        assert!((fit.coefficients[0] - fit.coefficients[1]).abs() < 1e-9);
    }

    #[test]
    fn ties_are_halves_or_left_out() {
        let (with_ties, features) = (five().with_judges((0..16).collect()).unwrap(), features(16));
        let half = ContextualConfig::new().with_prior(0.5).fit(&with_ties, &features).unwrap();
        let left = ContextualConfig::new().with_prior(0.5).with_ties(Ties::Drop);
        let without = left.fit(&with_ties, &features).unwrap();
        assert!(half.scores != without.scores);
        let rows: Vec<usize> = (0..16).filter(|&row| with_ties.records()[row].outcome != Outcome::Tie).collect();
        let chosen = rows.iter().map(|&row| features[row].clone()).collect::<Vec<_>>();
        let decided = with_ties.select(rows).unwrap();
        let same = left.fit(&decided, &chosen).unwrap();
        close(&without.scores, &same.scores, 1e-12);
        let of = |fit: &ContextualFit| fit.covariance(Spread::Judges).unwrap().1;
        close(&of(&without), &of(&same), 1e-12);
    }

    #[test]
    fn what_makes_no_sense_is_an_error() {
        let of = |config: ContextualConfig| config.fit(&four(), &features(22)).unwrap_err().to_string();
        for bad in [-1.0, f64::NAN, f64::INFINITY] {
            assert!(of(ContextualConfig::new().with_prior(bad)).starts_with("`prior`"));
            assert!(of(ContextualConfig::new().with_ridge(bad)).starts_with("`ridge`"));
        }
        for bad in [0.0, f64::NAN] {
            assert!(of(ContextualConfig::new().with_tolerance(bad)).starts_with("`tolerance`"));
        }
        let fit = |features: &[Vec<f64>]| ContextualConfig::new().fit(&four(), features).unwrap_err();
        assert!(matches!(fit(&features(21)), Error::Length { name: "features", .. }));
        let mut ragged = features(22);
        ragged[3].pop();
        assert!(matches!(fit(&ragged), Error::Length { name: "a row of features", expected: 2, got: 1 }));
        ragged[3] = vec![0.0, f64::NAN];
        assert!(matches!(fit(&ragged), Error::Record { row: 3, name: "features", .. }));
        assert!(matches!(fit(&vec![vec![1.0]; 22]), Error::Combination { what: "covariates", .. }));
        let none = ContextualConfig::new().fit(&Comparisons::new(2), &[]);
        assert!(matches!(none, Err(Error::Empty { name: "comparisons", .. })));
        let apart = ContextualConfig::new().fit(&unconnected(), &[vec![1.0], vec![0.0]]);
        assert!(matches!(apart, Err(Error::NotIdentifiable { .. })));
        let refused = ContextualConfig::new().with_ties(Ties::Refuse).fit(&five(), &features(16));
        assert!(matches!(refused, Err(Error::Ties { model: "contextual", .. })));
        let fit = ContextualConfig::new().with_gauge(Gauge::Item(1, 2.0)).fit(&four(), &features(22)).unwrap();
        assert_eq!(fit.scores[1], 2.0);
        assert!(matches!(fit.covariance(Spread::Judges), Err(Error::Combination { what: "spread over judges", .. })));
        assert!(fit.coefficient_intervals(Spread::Fisher, 1.0).is_err());
        assert!(fit.chance(4, 0, &[0.0; 2]).is_err() && fit.chance(0, 4, &[0.0; 2]).is_err());
        assert!(matches!(fit.chance(0, 1, &[0.0]), Err(Error::Length { name: "features", .. })));
        let hasty = ContextualConfig::new().with_max_iterations(1).fit(&four(), &features(22)).unwrap();
        assert!(!hasty.report.converged);
        let ContextualConfig { prior, ridge, standardize, center, ties, gauge, tolerance, max_iterations } =
            ContextualConfig::new();
        assert_eq!((prior, ridge, standardize, center), (0.0, 1.0, true, false));
        assert_eq!((ties, gauge, tolerance, max_iterations), (Ties::Half, Gauge::SumZero, 1e-10, 100));
    }
}
