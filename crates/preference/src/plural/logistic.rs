//! Bradley-Terry with scores linear in features, with a normal prior around any coefficients.
//!
//! **Paper:** Rank Analysis of Incomplete Block Designs: I. The Method of Paired Comparisons (R. A. Bradley and M. E. Terry,
//! 1952).
//! **Use when:** one user, or one component, is fitted by itself: what many models of many users are made of. A table
//! shrunk to a population's scores is the baseline that shares nothing between users.
//! **Checked by:** [`crate::ranking::newton`](mod@crate::ranking::newton) on tables, derivatives, limits of the prior.
//! **Deviations:** none.

use accordant_ops::{
    check_domain,
    host::{log_sigmoid, logistic},
};
use burn::config::Config;
use nalgebra::{DMatrix, DVector};
use serde::{Deserialize, Serialize};

use super::pairs::{Items, Term, terms};
use crate::{
    Comparisons, Error, Report, Result,
    error::check_length,
    optimize::{Quadratic, Stop, newton},
};

/// The cross-entropy of a share with the logit `z`, `softplus(z) − share · z`, and its first two derivatives by `z`.
///
/// # Example
/// ```
/// use accordant_preference::plural::logistic::cross_entropy;
/// let [loss, slope, curvature] = cross_entropy(3f64.ln(), 1.0);
/// assert!((loss + 0.75f64.ln()).abs() < 1e-15); // odds of 3 : 1
/// assert!((slope + 0.25).abs() < 1e-15 && (curvature - 0.1875).abs() < 1e-15);
/// ```
pub fn cross_entropy(z: f64, share: f64) -> [f64; 3] {
    let (chance, other) = (logistic(z), logistic(-z));
    // By both logarithms: `softplus(z) − z` would lose the small loss of a large z.
    let part = |share: f64, log: f64| if share > 0.0 { share * log } else { 0.0 };
    let loss = -part(share, log_sigmoid(z)) - part(1.0 - share, log_sigmoid(-z));
    [loss, (1.0 - share) * chance - share * other, chance * other]
}

/// Configuration of a fit of coefficients.
///
/// ```text
/// minimize  Σ_n w_n [ softplus(z_n) − t_n z_n ] + ½ prior Σ (θ − θ₀)²,   z_n = (θ · e + base)_first − (θ · e + base)_second
/// ```
#[derive(Config, Debug, PartialEq)]
pub struct LogisticConfig {
    /// The precision of the normal prior on each coefficient, finite and ≥ 0; > 0 for a table. 1: ours.
    #[config(default = 1.0)]
    pub prior: f64,
    /// Converged when no derivative of the objective exceeds this much for each comparison (of weight 1), > 0. 1e-10:
    /// ours, close to rounding.
    #[config(default = 1e-10)]
    pub tolerance: f64,
    /// Newton steps at most. 100: ours; fewer than 15 are usual.
    #[config(default = 100)]
    pub max_iterations: usize,
}

impl LogisticConfig {
    /// Checks the fields for these items.
    pub(crate) fn check(&self, items: &Items) -> Result<()> {
        check_domain(self.prior.is_finite() && self.prior >= 0.0, "prior", "finite and >= 0", self.prior)?;
        check_domain(self.prior > 0.0 || !items.is_table(), "prior", "> 0 for a table", self.prior)?;
        check_domain(self.tolerance > 0.0, "tolerance", "> 0", self.tolerance)?;
        Ok(())
    }

    /// Fits the coefficients of one scorer to the pairs, with a prior around 0.
    ///
    /// # Errors
    /// As [`LogisticConfig::fit_around`].
    ///
    /// # Example
    /// ```
    /// use accordant_preference::{Comparisons, plural::{Items, LogisticConfig}};
    /// let mut judged = Comparisons::new(2);
    /// judged.push_win(0, 1, 3.0)?;
    /// judged.push_win(1, 0, 1.0)?;
    /// let items = Items::features(&[vec![2.0], vec![1.0]])?; // their difference is 1
    /// let linear = LogisticConfig::new().with_prior(0.0).fit(&items, &judged)?;
    /// assert!((linear.coefficients[0] - 3f64.ln()).abs() < 1e-9); // odds of 3 : 1
    /// # Ok::<(), accordant_preference::Error>(())
    /// ```
    pub fn fit(&self, items: &Items, judged: &Comparisons) -> Result<Linear> {
        self.fit_around(items, judged, &vec![0.0; items.dim()], &vec![0.0; items.len()])
    }

    /// Fits coefficients with a prior around `mean` `[dim]`, on top of `base` scores `[items]` that are not fitted. Without
    /// a pair the result is `mean`.
    ///
    /// # Errors
    /// A domain error naming a field; [`Error::Length`] naming `items`, `mean` or `base`; without a prior
    /// [`Error::Separable`] when some direction in the coefficients explains every pair that it tells apart, or tells
    /// apart none.
    pub fn fit_around(&self, items: &Items, judged: &Comparisons, mean: &[f64], base: &[f64]) -> Result<Linear> {
        items.check(judged.num_items())?;
        check_length("mean", items.dim(), mean.len())?;
        check_length("base", items.len(), base.len())?;
        for (name, values) in [("mean", mean), ("base", base)] {
            let bad = values.iter().copied().find(|value| !value.is_finite());
            check_domain(bad.is_none(), name, "finite numbers", bad.unwrap_or_default())?;
        }
        let terms: Vec<Term> = terms(judged, 0).collect();
        let problem = Logistic { items, terms: &terms, mean, base, prior: self.prior };
        self.fit_problem(&problem, |_| 1.0, mean.to_vec())
    }

    /// The second derivatives of what [`LogisticConfig::fit`] minimizes, `[dim, dim]`, for items and pairs that it accepted.
    pub(crate) fn hessian(&self, items: &Items, judged: &Comparisons, coefficients: &[f64]) -> DMatrix<f64> {
        let (terms, mean, base) =
            (terms(judged, 0).collect::<Vec<_>>(), vec![0.0; items.dim()], vec![0.0; items.len()]);
        let problem = Logistic { items, terms: &terms, mean: &mean, base: &base, prior: self.prior };
        problem.evaluate(coefficients, &|_| 1.0).hessian
    }

    /// Fits to the terms, each with the weight of its user on top of its own.
    pub(crate) fn fit_problem(
        &self,
        problem: &Logistic,
        user_weight: impl Fn(usize) -> f64,
        start: Vec<f64>,
    ) -> Result<Linear> {
        self.check(problem.items)?;
        let total: f64 = problem.terms.iter().map(|term| term.weight * user_weight(term.user)).sum();
        let stop = Stop { gradient: self.tolerance * total.max(1.0), max_iterations: self.max_iterations };
        let evaluate = |at: &DVector<f64>| problem.evaluate(at.as_slice(), &user_weight);
        let (at, report) = newton(evaluate, DVector::from_vec(start), stop);
        if self.prior == 0.0 && is_flat(&evaluate(&at).hessian, &problem.spread(&user_weight)) {
            return Err(Error::Separable { name: "coefficients" });
        }
        Ok(Linear { coefficients: at.as_slice().to_vec(), report })
    }
}

/// Fitted coefficients.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Linear {
    /// The coefficients, `[dim]`.
    pub coefficients: Vec<f64>,
    /// How the fit ended.
    pub report: Report,
}

/// What is minimized.
pub(crate) struct Logistic<'a> {
    pub items: &'a Items,
    pub terms: &'a [Term],
    pub mean: &'a [f64],
    /// One for each item, or none at all.
    pub base: &'a [f64],
    pub prior: f64,
}

impl Logistic<'_> {
    /// The summed loss of the terms under given coefficients, without the prior, by user.
    pub(crate) fn log_likelihoods(&self, coefficients: &[f64], num_users: usize) -> Vec<f64> {
        let scores = self.scores(coefficients);
        let mut sums = vec![0.0; num_users];
        for term in self.terms {
            sums[term.user] -= term.weight * cross_entropy(scores[term.first] - scores[term.second], term.share)[0];
        }
        sums
    }

    /// ½ prior Σ (θ − θ₀)².
    pub(crate) fn penalty(&self, coefficients: &[f64]) -> f64 {
        0.5 * self.prior * coefficients.iter().zip(self.mean).map(|(c, m)| (c - m).powi(2)).sum::<f64>()
    }

    fn scores(&self, coefficients: &[f64]) -> Vec<f64> {
        let mut scores = self.items.scores_of(coefficients);
        scores.iter_mut().zip(self.base).for_each(|(score, base)| *score += base);
        scores
    }

    pub(crate) fn evaluate(&self, at: &[f64], user_weight: &impl Fn(usize) -> f64) -> Quadratic {
        let scores = self.scores(at);
        let mut value = self.penalty(at);
        let mut gradient: Vec<f64> = at.iter().zip(self.mean).map(|(c, m)| self.prior * (c - m)).collect();
        let mut hessian = DMatrix::from_diagonal_element(at.len(), at.len(), self.prior);
        let mut by_score = vec![0.0; scores.len()];
        let mut difference = vec![0.0; at.len()];
        for term in self.terms {
            let weight = term.weight * user_weight(term.user);
            if weight == 0.0 {
                continue;
            }
            let [loss, slope, curvature] = cross_entropy(scores[term.first] - scores[term.second], term.share);
            value += weight * loss;
            by_score[term.first] += weight * slope;
            by_score[term.second] -= weight * slope;
            self.add_square(&mut hessian, &mut difference, term, weight * curvature);
        }
        hessian.fill_upper_triangle_with_lower_triangle();
        self.items.pull_back(&by_score, &mut gradient);
        Quadratic { value, gradient: DVector::from_vec(gradient), hessian }
    }

    /// Adds `weight · x xᵀ` to the lower triangle, where `x` is the difference of what scores read of the two items.
    fn add_square(&self, matrix: &mut DMatrix<f64>, difference: &mut [f64], term: &Term, weight: f64) {
        match (self.items.row(term.first), self.items.row(term.second)) {
            (Some(first), Some(second)) => {
                difference.iter_mut().zip(first.iter().zip(second)).for_each(|(d, (a, b))| *d = a - b);
                for (column, x) in difference.iter().enumerate().filter(|(_, x)| **x != 0.0) {
                    let scaled = weight * x;
                    // By columns in memory.
                    let below = &mut matrix.as_mut_slice()[column * difference.len()..][column..];
                    below.iter_mut().zip(&difference[column..]).for_each(|(cell, y)| *cell += scaled * y);
                }
            }
            _ => {
                matrix[(term.first, term.first)] += weight;
                matrix[(term.second, term.second)] += weight;
                matrix[(term.first.max(term.second), term.first.min(term.second))] -= weight;
            }
        }
    }

    /// The Hessian that even chances would have: what the pairs could tell apart at most.
    pub(crate) fn spread(&self, user_weight: &impl Fn(usize) -> f64) -> DMatrix<f64> {
        let len = self.items.dim();
        let mut matrix = DMatrix::zeros(len, len);
        let mut difference = vec![0.0; len];
        for term in self.terms {
            self.add_square(&mut matrix, &mut difference, term, 0.25 * term.weight * user_weight(term.user));
        }
        matrix.fill_upper_triangle_with_lower_triangle();
        matrix
    }
}

/// Whether there is hardly any curvature left in some direction, by what even chances would leave.
fn is_flat(hessian: &DMatrix<f64>, spread: &DMatrix<f64>) -> bool {
    let most = spread.clone().symmetric_eigenvalues().max();
    hessian.clone().symmetric_eigenvalues().min() <= 1e-7 * most
}

#[cfg(test)]
mod tests {
    use accordant_laws::gradient::check_gradient;

    use super::*;
    use crate::{
        Outcome,
        link::{Link, Logit},
        plural::Chooser,
        ranking::NewtonConfig,
    };

    fn judged() -> Comparisons {
        let mut judged = Comparisons::new(3);
        for (a, b, share, weight) in [(0, 1, 1.0, 2.0), (1, 0, 0.7, 1.0), (1, 2, 1.0, 1.5), (2, 0, 0.4, 3.0)] {
            judged.push_weighted(a, b, Outcome::Share(share), weight).unwrap();
        }
        judged.push(2, 1, Outcome::Tie).unwrap();
        judged
    }

    #[test]
    fn the_cross_entropy_is_that_of_the_link() {
        for z in [-40.0, -1.3, 0.0, 0.4, 40.0] {
            for share in [0.0, 0.3, 1.0] {
                let [loss, slope, curvature] = cross_entropy(z, share);
                let link = Logit.log_prob(Outcome::Share(share), z, 0.0);
                for (got, expected) in [(loss, -link.value), (slope, -link.d), (curvature, -link.d_d)] {
                    assert!((got - expected).abs() <= 1e-14 * expected.abs().max(1e-2), "{got} is not {expected}");
                }
            }
        }
        let [loss, slope, _] = cross_entropy(800.0, 1.0);
        assert!(loss == 0.0 && slope == 0.0, "no −0.0 · ∞");
        assert_eq!(cross_entropy(-800.0, 1.0)[..2], [800.0, -1.0]);
        // A certain chance that came true.
        assert_eq!([cross_entropy(f64::INFINITY, 1.0), cross_entropy(f64::NEG_INFINITY, 0.0)], [[0.0; 3]; 2]);
    }

    #[test]
    fn derivatives_are_those_of_the_objective_with_features_and_with_a_table() {
        let features = Items::features(&[vec![1.0, 0.5], vec![-0.3, 2.0], vec![0.0, -1.0]]).unwrap();
        for items in [Items::table(3), features] {
            let terms: Vec<Term> = terms(&judged(), 0).collect();
            let mean = [0.3, -0.2, 0.1];
            let base = [0.5, 0.0, -0.4];
            let problem =
                Logistic { items: &items, terms: &terms, mean: &mean[..items.dim()], base: &base, prior: 0.7 };
            let at = &[0.4, -1.0, 0.2][..items.dim()];
            let evaluate = |x: &[f64]| problem.evaluate(x, &|_| 1.5);
            let here = evaluate(at);
            check_gradient(|x| evaluate(x).value, at, here.gradient.as_slice()).unwrap();
            for row in 0..at.len() {
                let expected: Vec<f64> = here.hessian.row(row).iter().copied().collect();
                check_gradient(|x| evaluate(x).gradient[row], at, &expected).unwrap();
            }
        }
    }

    #[test]
    fn a_table_is_what_the_ranking_by_newton_fits() {
        let linear = LogisticConfig::new().with_prior(0.5).fit(&Items::table(3), &judged()).unwrap();
        let ranking = NewtonConfig::new().with_prior(0.5).fit(&judged()).unwrap();
        assert!(linear.report.converged);
        for (got, expected) in linear.coefficients.iter().zip(&ranking.scores) {
            assert!((got - expected).abs() < 1e-8, "{got} is not {expected}");
        }
        // One feature for each item is a table.
        let one_hot: Vec<Vec<f64>> = (0..3).map(|i| (0..3).map(|j| f64::from(u8::from(i == j))).collect()).collect();
        let features = LogisticConfig::new().with_prior(0.5).fit(&Items::features(&one_hot).unwrap(), &judged());
        for (got, expected) in features.unwrap().coefficients.iter().zip(&linear.coefficients) {
            assert!((got - expected).abs() < 1e-8, "{got} is not {expected}");
        }
    }

    #[test]
    fn the_prior_pulls_to_its_mean_and_no_data_is_the_mean() {
        let items = Items::table(3);
        let (mean, zero) = ([0.5, -0.5, 2.0], [0.0; 3]);
        let fit = |prior: f64, judged: &Comparisons| {
            let linear = LogisticConfig::new().with_prior(prior).fit_around(&items, judged, &mean, &zero);
            linear.unwrap().coefficients
        };
        assert_eq!(fit(1.0, &Comparisons::new(3)), mean);
        assert!(fit(1e9, &judged()).iter().zip(mean).all(|(got, m)| (got - m).abs() < 1e-7));
        // With a base, the mean is an offset of the same size.
        let moved = LogisticConfig::new().fit_around(&items, &judged(), &zero, &mean).unwrap();
        for ((got, m), expected) in moved.coefficients.iter().zip(mean).zip(fit(1.0, &judged())) {
            assert!((got + m - expected).abs() < 1e-8);
        }
    }

    #[test]
    fn separable_few_shot_pairs_without_a_prior_are_an_error_and_not_a_huge_number() {
        let items = Items::features(&[vec![1.0, 0.0], vec![0.0, 1.0], vec![0.5, 0.2]]).unwrap();
        let mut judged = Comparisons::new(3);
        judged.push(0, 1, Outcome::First).unwrap();
        judged.push(0, 2, Outcome::First).unwrap();
        let none = LogisticConfig::new().with_prior(0.0);
        assert!(matches!(none.fit(&items, &judged), Err(Error::Separable { name: "coefficients" })));
        let linear = LogisticConfig::new().with_prior(0.01).fit(&items, &judged).unwrap();
        assert!(linear.report.converged && linear.coefficients[0] > 1.0);
        judged.push(1, 0, Outcome::First).unwrap();
        judged.push(2, 0, Outcome::First).unwrap();
        none.fit(&items, &judged).unwrap();
    }

    #[test]
    fn no_curvature_is_a_ten_millionth_of_what_even_chances_have() {
        let diagonal = |values: [f64; 2]| DMatrix::from_diagonal(&DVector::from_column_slice(&values));
        let spread = diagonal([4.0, 0.5]);
        assert!(is_flat(&diagonal([1.0, 3.9e-7]), &spread));
        assert!(!is_flat(&diagonal([1.0, 4.1e-7]), &spread));
        // No pair tells anything apart.
        assert!(is_flat(&diagonal([0.0; 2]), &diagonal([0.0; 2])));
    }

    #[test]
    fn the_tolerance_is_for_each_comparison_by_its_weight_and_its_users() {
        // One pair of weight 2 of a user who counts tenfold: a slope of 10 at even chances, half of the 20 comparisons.
        let (items, term) = (Items::table(2), Term { user: 3, first: 0, second: 1, share: 1.0, weight: 2.0 });
        let problem = Logistic { items: &items, terms: &[term], mean: &[0.0; 2], base: &[], prior: 1.0 };
        let iterations = |tolerance: f64| {
            let weight = |user: usize| if user == 3 { 10.0 } else { f64::NAN };
            let fit = LogisticConfig::new().with_tolerance(tolerance).fit_problem(&problem, weight, vec![0.0; 2]);
            fit.unwrap().report.iterations
        };
        assert_eq!((iterations(0.501), iterations(0.499) > 0), (0, true));
        // Fewer than one comparison count as one.
        let small = LogisticConfig::new().with_tolerance(0.501).fit_problem(&problem, |_| 1e-3, vec![0.0; 2]).unwrap();
        assert_eq!(small.report.iterations, 0);
    }

    #[test]
    fn settings_and_lengths_are_checked() {
        let table = Items::table(3);
        let text = |config: LogisticConfig| config.fit(&table, &judged()).unwrap_err().to_string();
        for bad in [-1.0, f64::NAN, f64::INFINITY] {
            assert!(text(LogisticConfig::new().with_prior(bad)).starts_with("`prior`: expected finite and >= 0"));
        }
        assert!(text(LogisticConfig::new().with_prior(0.0)).starts_with("`prior`: expected > 0 for a table"));
        assert!(text(LogisticConfig::new().with_tolerance(0.0)).starts_with("`tolerance`: expected > 0"));
        let config = LogisticConfig::new();
        assert!(matches!(config.fit(&Items::table(2), &judged()), Err(Error::Length { name: "items", .. })));
        let around = |mean: &[f64], base: &[f64]| config.fit_around(&table, &judged(), mean, base).unwrap_err();
        assert!(matches!(around(&[0.0; 2], &[0.0; 3]), Error::Length { name: "mean", .. }));
        assert!(matches!(around(&[0.0; 3], &[0.0; 4]), Error::Length { name: "base", .. }));
        let bad = [0.0, f64::NAN, 0.0];
        assert!(around(&bad, &[0.0; 3]).to_string().starts_with("`mean`: expected finite numbers, got NaN"));
        assert!(around(&[0.0; 3], &bad).to_string().starts_with("`base`: expected finite numbers, got NaN"));
        assert_eq!((config.prior, config.tolerance, config.max_iterations), (1.0, 1e-10, 100));
        let short = config.with_max_iterations(1).fit(&table, &judged()).unwrap();
        assert!(!short.report.converged);
    }

    #[test]
    fn likelihoods_are_those_of_each_users_pairs() {
        let items = Items::table(3);
        let mut all: Vec<Term> = terms(&judged(), 0).collect();
        all.extend(terms(&judged(), 2).take(2));
        let problem = Logistic { items: &items, terms: &all, mean: &[0.0; 3], base: &[0.5, 0.0, -0.4], prior: 0.7 };
        let at = [0.4, -1.0, 0.2];
        let by_user = problem.log_likelihoods(&at, 4);
        let chooser = Chooser::one(vec![0.9, -1.0, -0.2]);
        let first_two = judged().select(0..2).unwrap();
        let expected = [&judged(), &first_two].map(|judged| chooser.foretell(judged).unwrap().log_likelihood);
        assert!((by_user[0] - expected[0]).abs() < 1e-12 && (by_user[2] - expected[1]).abs() < 1e-12);
        assert_eq!((by_user.len(), by_user[1], by_user[3]), (4, 0.0, 0.0));
    }

    #[test]
    fn the_spread_is_the_curvature_of_even_chances() {
        let features = Items::features(&[vec![1.0, 0.5], vec![-0.3, 2.0], vec![0.0, -1.0]]).unwrap();
        let weight = |user: usize| [0.3, 5.0][user];
        let terms: Vec<Term> = terms(&judged(), 0).take(3).chain(terms(&judged(), 1).skip(3)).collect();
        for items in [Items::table(3), features] {
            let dim = items.dim();
            let problem = Logistic { items: &items, terms: &terms, mean: &[0.0; 3][..dim], base: &[], prior: 0.0 };
            let expected = problem.evaluate(&[0.0; 3][..dim], &weight).hessian;
            assert!((problem.spread(&weight) - expected).amax() < 1e-12);
        }
    }
}
