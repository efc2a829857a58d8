//! Linear utilities from choices and their response times.
//!
//! **Paper:** A General Framework for Estimating Preferences Using Response Time Data (2025), 2507.20403.
//! **Status:** the moment equation `E[C − T v / B] = 0` is the paper's; the choice of estimators is ours.
//! **Use when:** utilities are linear in known features and response times were recorded. The moments need no iteration
//! and stay finite where all choices agree.
//! **Checked by:** closed forms, agreement of the estimators, the seeded comparison with choices alone, coverage of the
//! intervals.
//! **Deviations:** none.

use std::collections::HashMap;

use accordant_ops::check_domain;
use burn::config::Config;
use nalgebra::{DMatrix, DVector};
use serde::{Deserialize, Serialize};

use super::drift_diffusion::{log_chance, log_first_passage};
use crate::{
    Error, Report, Result,
    error::{check_finite, check_length, check_record},
    optimize::{Stop, lbfgs},
};

/// Checks that every response took longer than what is no decision.
///
/// # Errors
/// [`Error::Record`] naming `time`; a domain error naming `non_decision_time`, finite and ≥ 0.
///
/// # Example
/// ```
/// use accordant_preference::trajectory::response_times::check_times;
/// let error = check_times(&[0.9, 0.2], 0.2).unwrap_err();
/// assert_eq!(error.to_string(), "record 1: `time`: expected finite and longer than the non-decision time, got 0.2");
/// ```
pub fn check_times(times: &[f64], non_decision_time: f64) -> Result<()> {
    let rest = non_decision_time;
    check_domain(rest.is_finite() && rest >= 0.0, "non_decision_time", "finite and >= 0", rest)?;
    for (row, &time) in times.iter().enumerate() {
        let domain = "finite and longer than the non-decision time";
        check_record(time.is_finite() && time > rest, row, "time", domain, time)?;
    }
    Ok(())
}

/// Choices between two sides with differences of features `x`, and their times.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct TimedChoices {
    dim: usize,
    differences: Vec<Vec<f64>>,
    /// 1 for the first, −1 for the second.
    choices: Vec<f64>,
    times: Vec<f64>,
}

impl TimedChoices {
    /// No choice yet; features have `dim` numbers.
    pub fn new(dim: usize) -> Self {
        Self { dim, ..Self::default() }
    }

    /// Adds a choice: the features of the first side less those of the second, whether the first was chosen, and the time
    /// that it took, > 0.
    ///
    /// # Errors
    /// [`Error::Length`] naming `difference`, [`Error::Record`] for a number that is not finite or a time ≤ 0.
    pub fn push(&mut self, difference: &[f64], first: bool, time: f64) -> Result<()> {
        check_length("difference", self.dim, difference.len())?;
        let row = self.times.len();
        for &x in difference {
            check_record(x.is_finite(), row, "difference", "finite numbers", x)?;
        }
        check_record(time.is_finite() && time > 0.0, row, "time", "finite and > 0", time)?;
        self.differences.push(difference.to_vec());
        self.choices.push(if first { 1.0 } else { -1.0 });
        self.times.push(time);
        Ok(())
    }

    /// How many choices there are.
    pub fn len(&self) -> usize {
        self.times.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.times.is_empty()
    }
}

/// What the coefficients are estimated by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Estimator {
    /// `Σ_n x_n (C_n − T_n ⟨θ, x_n⟩ / B) = 0`, linear. At known barriers this is the maximum of the full likelihood, too.
    #[default]
    Moments,
    /// Least squares of the ratios `B C̄_q / T̄_q` of repeated queries on their `x_q`, each weighted by its repetitions. For
    /// many repetitions of few queries, and for whoever wants the ratios. A query with its sides exchanged is the same.
    Ratios,
    /// The full likelihood with the barriers estimated, too: [`ResponseTimesConfig::barrier`] is where the search starts.
    Likelihood,
}

/// Configuration of a fit of `v = ⟨θ, x⟩`.
#[derive(Config, Debug, PartialEq)]
pub struct ResponseTimesConfig {
    /// What the coefficients are estimated by. Moments: linear and consistent.
    #[config(default = "Estimator::Moments")]
    pub estimator: Estimator,
    /// Where the barriers are, B, finite and > 0. 1: the unit of utilities; moments only know `θ / B`.
    #[config(default = 1.0)]
    pub barrier: f64,
    /// What of each time is no decision, finite and ≥ 0; taken off first. 0: it was.
    #[config(default = 0.0)]
    pub non_decision_time: f64,
    /// Times beyond these quantiles, 0 ≤ low < high ≤ 1, become the quantiles. (0, 1): none does.
    #[config(default = "(0.0, 1.0)")]
    pub winsorize: (f64, f64),
}

/// A fit of linear utilities.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResponseTimes {
    /// θ̂.
    pub coefficients: Vec<f64>,
    /// B, given or estimated.
    pub barrier: f64,
    /// Standard errors of the coefficients by the sandwich of the moment equations, at the barrier above. For
    /// [`Estimator::Likelihood`] they leave out that the barrier was estimated.
    pub standard_errors: Vec<f64>,
    /// The largest absolute entry of `Σ_n x_n (C_n − T_n ⟨θ̂, x_n⟩ / B) / n`: 0 up to rounding unless by ratios.
    pub moment_residual: f64,
    /// `Σ_n log P(C_n)` of the choices alone, in nats.
    pub choice_log_likelihood: f64,
    /// How many times were moved to a quantile.
    pub winsorized: usize,
    /// How the search for the barrier ended; one step of none otherwise.
    pub report: Report,
}

impl ResponseTimesConfig {
    /// Fits the coefficients.
    ///
    /// # Errors
    /// A domain error naming a field; [`Error::Record`] for a time that is not longer than the non-decision time;
    /// [`Error::Empty`] without a choice or a feature; [`Error::Combination`] when the features do not span all
    /// directions.
    ///
    /// # Example
    /// ```
    /// use accordant_preference::trajectory::response_times::{ResponseTimesConfig, TimedChoices};
    /// let mut choices = TimedChoices::new(1);
    /// for time in [0.2, 0.3] {
    ///     choices.push(&[1.0], true, time)?; // all agree, and quickly
    /// }
    /// let fitted = ResponseTimesConfig::new().fit(&choices)?;
    /// assert!((fitted.coefficients[0] - 4.0).abs() < 1e-12); // 2 choices in 0.5
    /// # Ok::<(), accordant_preference::Error>(())
    /// ```
    #[doc(alias = "2507.20403")]
    pub fn fit(&self, choices: &TimedChoices) -> Result<ResponseTimes> {
        let Self { barrier, non_decision_time, winsorize: (low, high), .. } = *self;
        check_domain(barrier.is_finite() && barrier > 0.0, "barrier", "finite and > 0", barrier)?;
        check_domain((0.0..=1.0).contains(&low), "winsorize", "quantiles in [0, 1]", low)?;
        check_domain(high > low && high <= 1.0, "winsorize", "a high quantile above the low one", high)?;
        check_times(&choices.times, non_decision_time)?;
        if choices.is_empty() || choices.dim == 0 {
            return Err(Error::Empty { name: "choices", reason: "there is none, or no feature" });
        }
        let mut times: Vec<f64> = choices.times.iter().map(|time| time - non_decision_time).collect();
        let winsorized = winsorize(&mut times, low, high);
        let rows = Rows { choices, times: &times };
        let (ratio, barrier, report) = match self.estimator {
            Estimator::Moments => (rows.moments()?, barrier, Report { converged: true, ..NO_SEARCH }),
            Estimator::Ratios => (rows.ratios()?, barrier, Report { converged: true, ..NO_SEARCH }),
            Estimator::Likelihood => {
                let ratio = rows.moments()?;
                let (barrier, report) = rows.barrier(&ratio, barrier);
                // At any barrier the best coefficients are the moments'.
                (ratio, barrier, report)
            }
        };
        let (residual, errors) = rows.sandwich(&ratio)?;
        let chance = |(x, choice): (&Vec<f64>, &f64)| {
            let drift = barrier * dot(x, ratio.as_slice());
            log_chance(barrier, drift, *choice > 0.0)
        };
        check_finite("coefficients", &(&ratio * barrier))?;
        Ok(ResponseTimes {
            coefficients: ratio.iter().map(|t| barrier * t).collect(),
            barrier,
            standard_errors: errors.into_iter().map(|e| barrier * e).collect(),
            moment_residual: residual,
            choice_log_likelihood: choices.differences.iter().zip(&choices.choices).map(chance).sum(),
            winsorized,
            report,
        })
    }
}

const NO_SEARCH: Report = Report { converged: false, iterations: 0, objective: 0.0, gradient_norm: 0.0 };

/// Moves times beyond the quantiles (the inverse of the empirical distribution) to them; returns how many.
fn winsorize(times: &mut [f64], low: f64, high: f64) -> usize {
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    let quantile = |level: f64| sorted[((level * sorted.len() as f64).ceil() as usize).clamp(1, sorted.len()) - 1];
    let (least, most) = (quantile(low), quantile(high));
    let moved = times.iter().filter(|time| **time < least || **time > most).count();
    times.iter_mut().for_each(|time| *time = time.clamp(least, most));
    moved
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The choices with times of decisions alone. Everything here is in units of `θ / B`.
struct Rows<'a> {
    choices: &'a TimedChoices,
    times: &'a [f64],
}

impl Rows<'_> {
    fn iter(&self) -> impl Iterator<Item = (DVector<f64>, f64, f64)> {
        let rows = self.choices.differences.iter().zip(&self.choices.choices).zip(self.times);
        rows.map(|((x, choice), time)| (DVector::from_column_slice(x), *choice, *time))
    }

    /// Solves `(Σ weight x xᵀ) θ = Σ weight value x`.
    fn least_squares(&self, rows: impl Iterator<Item = (DVector<f64>, f64, f64)>) -> Result<DVector<f64>> {
        let dim = self.choices.dim;
        let (mut matrix, mut vector) = (DMatrix::zeros(dim, dim), DVector::zeros(dim));
        for (x, weight, weighted_value) in rows {
            matrix.ger(weight, &x, &x, 1.0);
            vector.axpy(weighted_value, &x, 1.0);
        }
        Ok(inverse(&matrix)? * vector)
    }

    fn moments(&self) -> Result<DVector<f64>> {
        self.least_squares(self.iter().map(|(x, choice, time)| (x, time, choice)))
    }

    fn ratios(&self) -> Result<DVector<f64>> {
        let mut queries: HashMap<Vec<u64>, (DVector<f64>, [f64; 3])> = HashMap::new();
        let mut order = Vec::new();
        for (x, choice, time) in self.iter() {
            // A pair is one query whichever side is called the first; by value, so that 0 and −0 are one.
            let side = x.iter().find(|x| **x != 0.0).map_or(1.0, |x| x.signum());
            let (x, choice) = (x * side, choice * side);
            let key: Vec<u64> = x.iter().map(|x| (x + 0.0).to_bits()).collect();
            let (_, sums) = queries.entry(key.clone()).or_insert_with(|| {
                order.push(key);
                (x, [0.0; 3])
            });
            [1.0, choice, time].iter().zip(sums).for_each(|(new, sum)| *sum += new);
        }
        // In the order of their first occurrence, so that sums are the same in every run.
        let rows = order.iter().map(|key| {
            let (x, [count, choices, times]) = &queries[key];
            (x.clone(), *count, count * choices / times)
        });
        self.least_squares(rows)
    }

    /// The largest mean moment and the standard errors.
    fn sandwich(&self, ratio: &DVector<f64>) -> Result<(f64, Vec<f64>)> {
        let dim = self.choices.dim;
        let (mut bread, mut meat) = (DMatrix::zeros(dim, dim), DMatrix::zeros(dim, dim));
        let mut moments = DVector::zeros(dim);
        for (x, choice, time) in self.iter() {
            let moment = choice - time * x.dot(ratio);
            bread.ger(time, &x, &x, 1.0);
            meat.ger(moment * moment, &x, &x, 1.0);
            moments.axpy(moment, &x, 1.0);
        }
        let bread = inverse(&bread)?;
        let covariance = &bread * meat * &bread;
        let errors = covariance.diagonal().iter().map(|variance| variance.max(0.0).sqrt()).collect();
        Ok((moments.amax() / self.times.len() as f64, errors))
    }

    /// The barrier that maximizes the likelihood along the moments' coefficients, from `start` on.
    ///
    /// With `v = B ⟨g, x⟩`, log L = B² Σ [C ⟨g, x⟩ − ½ T ⟨g, x⟩²] + Σ [log f₀(T / 4B²) − log 4B²].
    fn barrier(&self, ratio: &DVector<f64>, start: f64) -> (f64, Report) {
        let gain: f64 = self
            .iter()
            .map(|(x, choice, time)| {
                let v = x.dot(ratio);
                choice * v - 0.5 * time * v * v
            })
            .sum();
        // By ln B.
        let objective = |at: &[f64], gradient: &mut [f64]| {
            let square = (2.0 * at[0]).exp();
            let (mut value, mut slope) = (-square * gain, -2.0 * square * gain);
            for time in self.times {
                let u = time / (4.0 * square);
                let [log, derivative] = log_first_passage(u);
                value -= log - (4.0 * square).ln();
                slope += 2.0 * u * derivative + 2.0;
            }
            gradient[0] = slope;
            value
        };
        let stop = Stop { gradient: 1e-8 * self.times.len() as f64, max_iterations: 200 };
        let (at, report) = lbfgs(objective, vec![start.ln()], stop);
        (at[0].exp(), report)
    }
}

fn inverse(matrix: &DMatrix<f64>) -> Result<DMatrix<f64>> {
    let bad = Error::Combination { what: "the features", reason: "they do not span all directions" };
    let scale = matrix.diagonal().amax();
    let least = matrix.clone().symmetric_eigenvalues().min();
    if least.is_nan() || least <= 1e-12 * scale {
        return Err(bad);
    }
    matrix.clone().cholesky().map(|factor| factor.inverse()).ok_or(bad)
}

#[cfg(test)]
mod tests {
    use accordant_laws::gradient::check_gradient;
    use rand_distr::{Distribution, StandardNormal};

    use super::*;
    use crate::{
        Outcome,
        random::{Purpose, stream},
        trajectory::{
            drift_diffusion::DriftDiffusion,
            linear::{FeaturePairs, LinearPreferencesConfig},
            testing::close,
        },
    };

    fn world(theta: &[f64], n: usize, barrier: f64, seed: u64) -> TimedChoices {
        let mut rng = stream(seed, Purpose::World, 0);
        let model = DriftDiffusion::new(barrier).unwrap();
        let mut choices = TimedChoices::new(theta.len());
        for _ in 0..n {
            let x: Vec<f64> = StandardNormal.sample_iter(&mut rng).take(theta.len()).collect();
            let (first, time) = model.sample(dot(&x, theta), &mut rng);
            choices.push(&x, first, time).unwrap();
        }
        choices
    }

    fn by_choices(choices: &TimedChoices, barrier: f64) -> Vec<f64> {
        let mut pairs = FeaturePairs::new(choices.dim);
        for (x, choice) in choices.differences.iter().zip(&choices.choices) {
            let outcome = if *choice > 0.0 { Outcome::First } else { Outcome::Second };
            pairs.push(x, &vec![0.0; x.len()], outcome, 1.0).unwrap();
        }
        let fitted = LinearPreferencesConfig::new().with_prior(1e-6).fit(&pairs).unwrap();
        fitted.coefficients().iter().map(|beta| beta / (2.0 * barrier)).collect()
    }

    #[test]
    fn times_add_to_what_choices_tell() {
        // The recipe: B = 1, four features, 500 trials, 20 seeds.
        for size in [1.0, 1.5, 2.5] {
            let theta = [0.5, -0.5, 0.5, 0.5].map(|t| t * size);
            let mut squares = [0.0; 2];
            for seed in 0..20 {
                let choices = world(&theta, 500, 1.0, seed);
                let fitted = ResponseTimesConfig::new().fit(&choices).unwrap();
                let by_choices = by_choices(&choices, 1.0);
                for (sum, got) in squares.iter_mut().zip([&fitted.coefficients, &by_choices]) {
                    *sum += got.iter().zip(theta).map(|(a, b)| (a - b).powi(2)).sum::<f64>() / 20.0;
                }
            }
            let [moments, alone] = squares.map(f64::sqrt);
            println!("|θ| = {size}: RMSE {moments:.3} by moments, {alone:.3} by choices alone");
            assert!(moments < alone, "|θ| = {size}: {moments} and {alone}");
        }
    }

    #[test]
    fn two_features_by_hand() {
        let mut choices = TimedChoices::new(2);
        for (x, first, time) in [([1.0, 0.0], true, 0.5), ([1.0, 0.0], false, 1.5), ([0.0, 2.0], true, 0.25)] {
            choices.push(&x, first, time).unwrap();
        }
        choices.push(&[0.0, 2.0], true, 0.75).unwrap();
        // First: (1 − 1) / 2 = 0. Second: 2 · 2 / (4 · 1) = 1, times B.
        let moments = ResponseTimesConfig::new().with_barrier(3.0).fit(&choices).unwrap();
        close(&moments.coefficients, &[0.0, 3.0], 1e-12);
        // Moments ±1 and ½, −½ (times 2): √2 / 2 and √(2 · 4 · ¼) / 4, times B.
        close(&moments.standard_errors, &[3.0 * 0.5f64.sqrt(), 3.0 * 2f64.sqrt() / 4.0], 1e-12);
        close(&[moments.moment_residual], &[0.0], 1e-15);
        // Drifts 0 and 2 · 3 = 6 between barriers of 3.
        close(&[moments.choice_log_likelihood], &[2.0 * 0.5f64.ln() - 2.0 * (-36f64).exp().ln_1p()], 1e-12);
        assert_eq!((moments.winsorized, moments.barrier, moments.report.converged), (0, 3.0, true));
        // Ratios of the two queries: 0 / 1 and 1 / ½, so that ⟨θ, x⟩ = 2 B.
        let ratios = ResponseTimesConfig::new().with_estimator(Estimator::Ratios).fit(&choices).unwrap();
        close(&ratios.coefficients, &[0.0, 1.0], 1e-12);
    }

    #[test]
    fn ratios_weigh_queries_by_their_repetitions() {
        let mut choices = TimedChoices::new(1);
        // Ratio 2 three times over at x = 1; ratio 1 once at x = 2: (3 · 2 + 2 · 1) / (3 + 4).
        (0..3).for_each(|_| choices.push(&[1.0], true, 0.5).unwrap());
        choices.push(&[2.0], true, 1.0).unwrap();
        let fitted = ResponseTimesConfig::new().with_estimator(Estimator::Ratios).fit(&choices).unwrap();
        close(&fitted.coefficients, &[8.0 / 7.0], 1e-12);
        // x (C − T v): 3 (1 − 4/7) + 2 (1 − 16/7), over 4.
        close(&[fitted.moment_residual], &[(9.0 / 7.0 - 18.0 / 7.0f64).abs() / 4.0], 1e-12);
        // 0 and −0 are one query.
        let mut signed = TimedChoices::new(2);
        for (x, first) in [([0.0, 1.0], true), ([-0.0, 1.0], false), ([1.0, 0.0], true)] {
            signed.push(&x, first, 1.0).unwrap();
        }
        let fitted = ResponseTimesConfig::new().with_estimator(Estimator::Ratios).fit(&signed).unwrap();
        close(&fitted.coefficients, &[1.0, 0.0], 1e-12);
    }

    #[test]
    fn a_query_shown_the_other_way_round_is_the_same_query() {
        let mut choices = TimedChoices::new(2);
        // Once the one and once the other, in half a second and in one and a half: undecided. Apart, ratios of 2 and −2/3.
        choices.push(&[0.0, 1.0], true, 0.5).unwrap();
        choices.push(&[-0.0, -1.0], true, 1.5).unwrap();
        choices.push(&[-2.0, 0.0], false, 0.5).unwrap();
        let fitted = ResponseTimesConfig::new().with_estimator(Estimator::Ratios).fit(&choices).unwrap();
        close(&fitted.coefficients, &[1.0, 0.0], 1e-12);
    }

    #[test]
    fn where_all_choices_agree_the_strength_is_still_known() {
        let mut rng = stream(2, Purpose::World, 0);
        let model = DriftDiffusion::new(1.0).unwrap();
        let mut choices = TimedChoices::new(1);
        for _ in 0..200 {
            let (first, time) = model.sample(8.0, &mut rng);
            choices.push(&[1.0], first, time).unwrap();
        }
        assert!(choices.choices.iter().all(|choice| *choice > 0.0));
        let fitted = ResponseTimesConfig::new().fit(&choices).unwrap();
        assert!((fitted.coefficients[0] / 8.0 - 1.0).abs() < 0.15, "{:?}", fitted.coefficients);
    }

    #[test]
    fn the_likelihood_finds_the_barrier_and_at_a_known_one_it_is_the_moments() {
        let theta = [1.0, -0.7];
        let choices = world(&theta, 4000, 1.4, 3);
        let fit =
            |start| ResponseTimesConfig::new().with_estimator(Estimator::Likelihood).with_barrier(start).fit(&choices);
        let fitted = fit(1.0).unwrap();
        assert!(fitted.report.converged && (fitted.barrier / 1.4 - 1.0).abs() < 0.02, "{fitted:?}");
        close(&fitted.coefficients, &theta, 0.08);
        close(&[fit(3.0).unwrap().barrier], &[fitted.barrier], 1e-5);
        // The log-density is flat in θ at the moments' estimate, whatever the barrier.
        let moments = ResponseTimesConfig::new().with_barrier(0.8).fit(&choices).unwrap();
        let model = DriftDiffusion::new(0.8).unwrap();
        let log_likelihood = |theta: &[f64]| {
            let rows = choices.differences.iter().zip(&choices.choices).zip(&choices.times);
            rows.map(|((x, c), t)| model.log_density(dot(x, theta), *c > 0.0, *t)).sum::<f64>() / 4000.0
        };
        check_gradient(log_likelihood, &moments.coefficients, &[0.0; 2]).unwrap();
        // And the barrier's objective is minus its maximum.
        let at = DriftDiffusion::new(fitted.barrier).unwrap();
        let rows = choices.differences.iter().zip(&choices.choices).zip(&choices.times);
        let total: f64 = rows.map(|((x, c), t)| at.log_density(dot(x, &fitted.coefficients), *c > 0.0, *t)).sum();
        assert!((total + fitted.report.objective).abs() < 1e-6 * total.abs());
    }

    #[test]
    fn intervals_cover_the_truth_as_often_as_they_say() {
        // 800 coefficients: 95 % of them within ±1.96, give or take 3 standard errors of 0.8 %.
        let theta = [0.8, -0.4, 0.0, 1.2];
        let mut covered = 0;
        for seed in 0..200 {
            let fitted = ResponseTimesConfig::new().fit(&world(&theta, 300, 1.0, seed)).unwrap();
            let inside = |((got, error), truth): ((&f64, &f64), &f64)| (got - truth).abs() < 1.96 * error;
            covered +=
                fitted.coefficients.iter().zip(&fitted.standard_errors).zip(&theta).filter(|r| inside(*r)).count();
        }
        let share = f64::from(covered as u32) / 800.0;
        assert!((share - 0.95).abs() < 0.025, "{share}");
    }

    #[test]
    fn outliers_are_moved_to_quantiles_and_counted() {
        let mut times = [5.0, 1.0, 100.0, 2.0, 3.0, 4.0, 6.0, 7.0, 8.0, 0.01];
        assert_eq!(winsorize(&mut times, 0.2, 0.9), 2);
        assert_eq!(times, [5.0, 1.0, 8.0, 2.0, 3.0, 4.0, 6.0, 7.0, 8.0, 1.0]);
        let mut times = [5.0, 1.0, 100.0];
        assert_eq!((winsorize(&mut times, 0.0, 1.0), times), (0, [5.0, 1.0, 100.0]));
        let mut choices = TimedChoices::new(1);
        [0.6, 0.6, 0.6, 1000.1].into_iter().for_each(|time| choices.push(&[1.0], true, time).unwrap());
        let config = ResponseTimesConfig::new().with_non_decision_time(0.1).with_winsorize((0.0, 0.75));
        let fitted = config.fit(&choices).unwrap();
        close(&fitted.coefficients, &[2.0], 1e-12);
        assert_eq!(fitted.winsorized, 1);
    }

    #[test]
    fn a_response_within_the_non_decision_time_is_an_error_and_no_negative_time() {
        let mut choices = TimedChoices::new(1);
        choices.push(&[1.0], true, 0.5).unwrap();
        choices.push(&[1.0], true, 0.3).unwrap();
        for rest in [0.3, 0.4] {
            let error = ResponseTimesConfig::new().with_non_decision_time(rest).fit(&choices).unwrap_err();
            assert!(error.to_string().starts_with("record 1: `time`"), "{error}");
        }
        ResponseTimesConfig::new().with_non_decision_time(0.29).fit(&choices).unwrap();
        for time in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(choices.push(&[1.0], true, time).unwrap_err().to_string().starts_with("record 2: `time`"));
            assert!(check_times(&[time], 0.0).is_err());
        }
        assert_eq!(choices.len(), 2);
    }

    #[test]
    fn fields_and_records_are_checked() {
        let mut choices = TimedChoices::new(2);
        assert!(choices.is_empty());
        let text = |config: ResponseTimesConfig, choices: &TimedChoices| config.fit(choices).unwrap_err().to_string();
        let new = ResponseTimesConfig::new;
        assert!(text(new(), &choices).starts_with("`choices`: nothing to learn from"));
        assert!(choices.push(&[1.0], true, 1.0).unwrap_err().to_string().starts_with("`difference`"));
        assert!(
            choices.push(&[1.0, f64::NAN], true, 1.0).unwrap_err().to_string().starts_with("record 0: `difference`")
        );
        choices.push(&[1.0, 2.0], true, 1.0).unwrap();
        choices.push(&[2.0, 4.0], false, 1.0).unwrap();
        assert!(text(new(), &choices).contains("do not span all directions"));
        assert!(text(new().with_estimator(Estimator::Ratios), &choices).contains("do not span"));
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(text(new().with_barrier(bad), &choices).starts_with("`barrier`"));
        }
        for bad in [-1.0, f64::NAN, f64::INFINITY] {
            assert!(text(new().with_non_decision_time(bad), &choices).starts_with("`non_decision_time`"));
        }
        for bad in [(-0.1, 1.0), (0.5, 0.5), (0.0, 1.1), (f64::NAN, 1.0), (0.0, f64::NAN)] {
            assert!(text(new().with_winsorize(bad), &choices).starts_with("`winsorize`"));
        }
        let defaults = new();
        assert_eq!((defaults.estimator, defaults.barrier), (Estimator::Moments, 1.0));
        assert_eq!((defaults.non_decision_time, defaults.winsorize), (0.0, (0.0, 1.0)));
    }
}
