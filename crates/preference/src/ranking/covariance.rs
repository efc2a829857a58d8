//! How sure the scores of a fit are: covariances from its curvature.
//!
//! **Paper:** for the sandwich, The Behavior of Maximum Likelihood Estimates under Nonstandard Conditions (P. J. Huber,
//! 1967); per judge as in Longitudinal Data Analysis Using Generalized Linear Models (K.-Y. Liang, S. L. Zeger, 1986).
//! **Use when:** a fit by maximum likelihood is there; [`super::bootstrap`] assumes less and takes as many fits as draws.
//! **Checked by:** published standard errors of four items; the observed coverage of 200 seeded tables; finite differences.
//! **Deviations:** none.

use accordant_ops::check_domain;
use burn::config::Config;
use nalgebra::{DMatrix, DVector};
use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, Normal};

use super::Ranking;
use crate::{
    Comparisons, Error, Outcome, Result,
    comparisons::Ties,
    error::{check_index, check_length},
    graph::check_connected,
    link::Link,
    resample::{Interval, numbered},
};

/// What is believed of the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Spread {
    /// The model is right: the inverse of the information.
    #[default]
    Fisher,
    /// Each record is one observation, independent of the others, whatever its weight.
    Records,
    /// Each record is as many observations as its weight says.
    Counts,
    /// The records of one judge go together; judges are independent.
    Judges,
}

/// Configuration of a covariance.
///
/// ```text
/// H = −Σ w ∂² log P + prior,  Fisher: H⁻¹;  otherwise H⁻¹ G H⁻¹,  G = Σ_g (Σ_{n∈g} w_n ∂ log P_n)(…)ᵀ
/// ```
#[derive(Config, Debug, PartialEq)]
pub struct CovarianceConfig {
    /// What is believed of the data.
    #[config(default = "Spread::Fisher")]
    pub spread: Spread,
    /// The prior that the scores were fitted with, finite and ≥ 0; it belongs to the curvature.
    #[config(default = 0.0)]
    pub prior: f64,
    /// What became of ties in the fit, under a link without them.
    #[config(default = "Ties::Half")]
    pub ties: Ties,
    /// Whether the sandwich over groups is multiplied by `groups / (groups − 1)`.
    #[config(default = false)]
    pub small_sample: bool,
    /// Added to the diagonal of the curvature, finite and ≥ 0. The arenas add 1e-5 for each comparison, which a proper
    /// level of the scores makes unnecessary.
    #[config(default = 0.0)]
    pub ridge: f64,
}

impl CovarianceConfig {
    /// The covariance of the scores of a ranking that was fitted to these comparisons with this link, at the level where
    /// they have sum 0.
    ///
    /// # Errors
    /// A domain error naming a field; [`Error::Length`] naming `scores` for another table; without a prior,
    /// [`Error::NotIdentifiable`] when the comparisons do not connect all items; [`Error::Ties`] when there are ties and
    /// they are refused; [`Error::Combination`] when judges are asked for and not known, or there is only one of them to
    /// correct for; [`Error::Separable`] when the curvature vanishes.
    ///
    /// # Example
    /// ```
    /// use accordant_preference::{Comparisons, link::Logit, ranking::{CovarianceConfig, NewtonConfig}};
    /// let mut judged = Comparisons::new(2);
    /// judged.push_win(0, 1, 3.0)?;
    /// judged.push_win(1, 0, 1.0)?;
    /// let ranking = NewtonConfig::new().fit(&judged)?;
    /// let covariance = CovarianceConfig::new().of(&judged, &ranking, &Logit)?;
    /// // The log-odds of 3 : 1 have variance 1/3 + 1/1.
    /// assert!((covariance.difference_error(0, 1)? - (4f64 / 3.0).sqrt()).abs() < 1e-8);
    /// # Ok::<(), accordant_preference::Error>(())
    /// ```
    pub fn of(&self, judged: &Comparisons, ranking: &Ranking, link: &dyn Link) -> Result<Covariance> {
        check_domain(self.prior.is_finite() && self.prior >= 0.0, "prior", "finite and >= 0", self.prior)?;
        check_domain(self.ridge.is_finite() && self.ridge >= 0.0, "ridge", "finite and >= 0", self.ridge)?;
        let n = judged.num_items();
        check_length("scores", n, ranking.scores.len())?;
        let wins = judged.wins();
        let decided = if link.has_ties() { wins } else { wins.decided(self.ties, link.name())? };
        if self.prior == 0.0 {
            check_connected(&decided)?;
        }
        // Without a tie their parameter is at its boundary and has no spread.
        let ties = ranking.ties.filter(|ties| link.has_ties() && ties.is_finite());
        let rho = ranking.ties.unwrap_or(0.0);
        let len = n + usize::from(ties.is_some());
        let groups = self.groups(judged)?;
        let num_groups = groups.iter().max().map_or(0, |last| last + 1);
        let mut scores = vec![DVector::<f64>::zeros(len); if self.is_grouped() { num_groups } else { 0 }];
        let mut hessian = DMatrix::zeros(len, len);
        let mut meat = DMatrix::zeros(len, len);
        for (record, &group) in judged.records().iter().zip(&groups) {
            let outcome = match record.outcome {
                Outcome::Tie if link.has_ties() => Outcome::Tie,
                Outcome::Tie if self.ties == Ties::Drop => continue,
                Outcome::Tie => Outcome::Share(0.5),
                outcome => outcome,
            };
            let (i, j, w) = (record.first, record.second, record.weight);
            let p = link.log_prob(outcome, ranking.scores[i] - ranking.scores[j], rho);
            // Where each derivative goes: the two scores, and the parameter of ties.
            let mut at = vec![(i, p.d), (j, -p.d)];
            let mut second = vec![(i, i, p.d_d), (j, j, p.d_d), (i, j, -p.d_d), (j, i, -p.d_d)];
            if ties.is_some() {
                at.push((n, p.rho));
                second.extend([
                    (i, n, p.d_rho),
                    (n, i, p.d_rho),
                    (j, n, -p.d_rho),
                    (n, j, -p.d_rho),
                    (n, n, p.rho_rho),
                ]);
            }
            second.iter().for_each(|&(a, b, curve)| hessian[(a, b)] -= w * curve);
            if self.is_grouped() {
                at.iter().for_each(|&(a, slope)| scores[group][a] += w * slope);
            } else {
                let times = if self.spread == Spread::Counts { w } else { w * w };
                for &(a, slope) in &at {
                    at.iter().for_each(|&(b, other)| meat[(a, b)] += times * slope * other);
                }
            }
        }
        scores.iter().for_each(|score| meat += score * score.transpose());
        if self.small_sample && self.spread != Spread::Fisher {
            let observed = match self.spread {
                Spread::Counts => judged.records().iter().map(|record| record.weight).sum(),
                _ => num_groups as f64,
            };
            if observed <= 1.0 {
                return Err(Error::Combination { what: "small_sample", reason: "there is one group only" });
            }
            meat *= observed / (observed - 1.0);
        }
        let curvature = Curvature { hessian, prior: self.prior, ridge: self.ridge, num_items: n };
        curvature.covariance((self.spread != Spread::Fisher).then_some(meat))
    }

    fn is_grouped(&self) -> bool {
        self.spread == Spread::Judges
    }

    fn groups(&self, judged: &Comparisons) -> Result<Vec<usize>> {
        if !self.is_grouped() {
            return Ok((0..judged.len()).collect());
        }
        let judges = judged.judges().ok_or(Error::Combination {
            what: "spread over judges",
            reason: "nobody said who judged these comparisons",
        })?;
        Ok(numbered(judges).0)
    }
}

/// Minus the second derivatives of a log-likelihood that does not see the level of the first `num_items` parameters.
pub(super) struct Curvature {
    pub hessian: DMatrix<f64>,
    pub prior: f64,
    pub ridge: f64,
    pub num_items: usize,
}

impl Curvature {
    /// The covariance of the first parameters, with sum 0; a sandwich around `meat`, if there is one.
    pub fn covariance(self, meat: Option<DMatrix<f64>>) -> Result<Covariance> {
        let n = self.num_items;
        let matrix = self.whole(meat)?.view((0, 0), (n, n)).into_owned();
        Ok(Covariance { matrix })
    }

    /// The same of all parameters; only the first ones are moved to sum 0.
    pub fn whole(self, meat: Option<DMatrix<f64>>) -> Result<DMatrix<f64>> {
        let n = self.num_items;
        let mut hessian = self.hessian;
        let scale = hessian.diagonal().amax().max(f64::MIN_POSITIVE);
        for a in 0..hessian.nrows() {
            hessian[(a, a)] += self.ridge + if a < n { self.prior } else { 0.0 };
        }
        // The level of the scores: a direction of its own, which leaves the others' inverse as it is.
        (0..n).for_each(|a| (0..n).for_each(|b| hessian[(a, b)] += scale));
        let inverse = hessian.cholesky().ok_or(Error::Separable { name: "covariance" })?.inverse();
        let mut whole = match meat {
            Some(meat) => &inverse * meat * &inverse,
            None => inverse,
        };
        // At sum 0: the mean of the scores is taken off. With the level a direction of its own, rows then have none, either.
        for column in 0..whole.ncols() {
            let mean = whole.view((0, column), (n, 1)).sum() / n as f64;
            (0..n).for_each(|a| whole[(a, column)] -= mean);
        }
        match whole.iter().all(|x| x.is_finite()) {
            true => Ok(whole),
            false => Err(Error::Separable { name: "covariance" }),
        }
    }
}

/// The covariance of scores with sum 0.
#[derive(Debug, Clone, PartialEq)]
pub struct Covariance {
    pub(super) matrix: DMatrix<f64>,
}

impl Covariance {
    /// The entries, `[items, items]`; rows add up to 0.
    pub fn matrix(&self) -> &DMatrix<f64> {
        &self.matrix
    }

    /// The standard error of each score, with sum 0. It depends on the level; that of a difference does not.
    pub fn standard_errors(&self) -> Vec<f64> {
        self.matrix.diagonal().iter().map(|variance| variance.max(0.0).sqrt()).collect()
    }

    /// The standard error of each score where the score of `item` is fixed: that of the difference to it.
    ///
    /// # Errors
    /// [`Error::Index`] for an item that is not in the table.
    pub fn standard_errors_beside(&self, item: usize) -> Result<Vec<f64>> {
        (0..self.matrix.nrows()).map(|other| self.difference_error(other, item)).collect()
    }

    /// The standard error of the difference of two scores.
    ///
    /// # Errors
    /// [`Error::Index`] for an item that is not in the table.
    pub fn difference_error(&self, first: usize, second: usize) -> Result<f64> {
        check_index(0, "first", first, self.matrix.nrows())?;
        check_index(0, "second", second, self.matrix.nrows())?;
        let at = |i, j| self.matrix[(i, j)];
        Ok((at(first, first) + at(second, second) - 2.0 * at(first, second)).max(0.0).sqrt())
    }

    /// Intervals of scores at a level, taken as normal.
    ///
    /// # Errors
    /// [`Error::Length`] naming `scores`, a domain error for a level outside of (0, 1).
    pub fn intervals(&self, scores: &[f64], level: f64) -> Result<Vec<Interval>> {
        check_length("scores", self.matrix.nrows(), scores.len())?;
        let z = normal_quantile(level)?;
        let errors = self.standard_errors();
        let ends = scores.iter().zip(errors).map(|(s, error)| Interval { low: s - z * error, high: s + z * error });
        Ok(ends.collect())
    }
}

/// How many standard deviations hold a share `level` of a normal distribution between them.
///
/// # Errors
/// A domain error for a level outside of (0, 1).
///
/// # Example
/// ```
/// use accordant_preference::ranking::covariance::normal_quantile;
/// assert!((normal_quantile(0.95)? - 1.959964).abs() < 1e-6);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
pub fn normal_quantile(level: f64) -> Result<f64> {
    check_domain(level > 0.0 && level < 1.0, "level", "in (0, 1)", level)?;
    Ok(Normal::standard().inverse_cdf(0.5 + level / 2.0))
}

/// Best and worst rank, from 1 on, that each interval allows: one behind everything that lies above it, and one before
/// everything that lies below it.
///
/// # Example
/// ```
/// use accordant_preference::{ranking::covariance::rank_intervals, resample::Interval};
/// let of = |low, high| Interval { low, high };
/// assert_eq!(rank_intervals(&[of(0.0, 1.0), of(0.5, 2.0), of(3.0, 4.0)]), [(2, 3), (2, 3), (1, 1)]);
/// ```
pub fn rank_intervals(intervals: &[Interval]) -> Vec<(usize, usize)> {
    let rank = |own: &Interval| {
        let above = intervals.iter().filter(|other| other.low > own.high).count();
        let below = intervals.iter().filter(|other| other.high < own.low).count();
        (1 + above, intervals.len() - below)
    };
    intervals.iter().map(rank).collect()
}

#[cfg(test)]
mod tests {
    use rand::Rng;
    use rand_distr::{Distribution, StandardNormal};

    use super::*;
    use crate::link::{Davidson, Logit, Probit, RaoKupper};
    use crate::random::{Purpose, stream};
    use crate::ranking::{
        NewtonConfig,
        fixtures::{close, five, four, unconnected},
    };

    fn errors(config: CovarianceConfig) -> Vec<f64> {
        let ranking = NewtonConfig::new().fit(&four()).unwrap();
        config.of(&four(), &ranking, &Logit).unwrap().standard_errors()
    }

    #[test]
    fn a_tie_is_half_a_win_each_way_under_a_link_without_ties() {
        let mut shares = Comparisons::new(5);
        for record in five().records() {
            let outcome = Outcome::Share(record.outcome.share());
            shares.push_weighted(record.first, record.second, outcome, record.weight).unwrap();
        }
        let ranking = NewtonConfig::new().fit(&five()).unwrap();
        for spread in [Spread::Fisher, Spread::Records] {
            let config = CovarianceConfig::new().with_spread(spread);
            let [ties, halves] =
                [five(), shares.clone()].map(|judged| config.of(&judged, &ranking, &Logit).unwrap().standard_errors());
            close(&ties, &halves, 1e-12);
        }
    }

    #[test]
    fn ranks_that_intervals_allow_by_hand() {
        let of = |(low, high)| Interval { low, high };
        let rank = |ends: &[(f64, f64)]| rank_intervals(&ends.iter().copied().map(of).collect::<Vec<_>>());
        assert_eq!(rank(&[(0.0, 1.0), (0.5, 2.0), (3.0, 4.0), (-1.0, -0.5)]), [(2, 3), (2, 3), (1, 1), (4, 4)]);
        // Touching intervals allow either order.
        assert_eq!(rank(&[(0.0, 1.0), (1.0, 2.0)]), [(1, 2), (1, 2)]);
    }

    #[test]
    fn standard_errors_of_four_items_as_published() {
        close(&errors(CovarianceConfig::new()), &[0.54806966, 0.48178052, 0.52040123, 0.62134262], 1e-7);
        let sandwich = errors(CovarianceConfig::new().with_spread(Spread::Records));
        close(&sandwich, &[0.54434316, 0.48465491, 0.52817332, 0.62396996], 1e-7);
        let small = errors(CovarianceConfig::new().with_spread(Spread::Records).with_small_sample(true));
        small
            .iter()
            .zip(sandwich)
            .for_each(|(small, plain)| assert!((small / plain - (22f64 / 21.0).sqrt()).abs() < 1e-12));
    }

    /// The same wins as `four`, added up.
    fn counts() -> Comparisons {
        let mut judged = Comparisons::new(4);
        let wins = four().wins();
        for (i, j) in (0..16).map(|cell| (cell / 4, cell % 4)).filter(|(i, j)| wins.wins(*i, *j) > 0.0) {
            judged.push_win(i, j, wins.wins(i, j)).unwrap();
        }
        judged
    }

    #[test]
    fn repeated_records_and_weights_are_the_same_to_fisher_and_to_counts_only() {
        let ranking = NewtonConfig::new().fit(&four()).unwrap();
        let of = |judged: &Comparisons, config: &CovarianceConfig| {
            config.of(judged, &ranking, &Logit).unwrap().standard_errors()
        };
        for spread in [Spread::Fisher, Spread::Counts] {
            let config = CovarianceConfig::new().with_spread(spread).with_small_sample(true);
            close(&of(&counts(), &config), &of(&four(), &config), 1e-12);
        }
        let config = CovarianceConfig::new().with_spread(Spread::Records);
        assert!(of(&counts(), &config)[0] > of(&four(), &config)[0] + 0.1);
    }

    #[test]
    fn judges_who_judged_once_are_records_and_copies_of_judges_say_nothing_new() {
        let ranking = NewtonConfig::new().fit(&four()).unwrap();
        let of = |judged: &Comparisons, spread| {
            let config = CovarianceConfig::new().with_spread(spread);
            config.of(judged, &ranking, &Logit).unwrap().standard_errors()
        };
        // Numbers of judges need not be without gaps.
        let once = four().with_judges((0..22).map(|at| 10 * at).collect()).unwrap();
        close(&of(&once, Spread::Judges), &of(&once, Spread::Records), 1e-12);
        let doubled = four().select((0..44).map(|at| at / 2)).unwrap();
        let doubled = doubled.with_judges((0..44).map(|at| at / 2).collect()).unwrap();
        close(&of(&doubled, Spread::Judges), &of(&four(), Spread::Records), 1e-12);
        assert!(of(&doubled, Spread::Records)[0] < 0.8 * of(&doubled, Spread::Judges)[0]);
    }

    #[test]
    fn differences_do_not_depend_on_the_level() {
        let ranking = NewtonConfig::new().fit(&four()).unwrap();
        let covariance = CovarianceConfig::new().of(&four(), &ranking, &Logit).unwrap();
        covariance.matrix().row_iter().for_each(|row| assert!(row.sum().abs() < 1e-12));
        let beside = covariance.standard_errors_beside(2).unwrap();
        assert_eq!((beside[2], beside[0]), (0.0, covariance.difference_error(0, 2).unwrap()));
        // The inverse of the information without the row and column of the item.
        let mut information = DMatrix::<f64>::zeros(4, 4);
        let wins = four().wins();
        for (i, j) in (0..16).map(|cell| (cell / 4, cell % 4)) {
            let p = accordant_ops::host::logistic(ranking.scores[i] - ranking.scores[j]);
            for (a, b, sign) in [(i, i, 1.0), (j, j, 1.0), (i, j, -1.0), (j, i, -1.0)] {
                information[(a, b)] += sign * wins.wins(i, j) * p * (1.0 - p);
            }
        }
        let reduced = information.remove_row(2).remove_column(2).try_inverse().unwrap();
        assert!((reduced[(0, 0)].sqrt() - beside[0]).abs() < 1e-10);
        for error in [covariance.difference_error(0, 4), covariance.difference_error(4, 0)] {
            assert!(matches!(error, Err(Error::Index { index: 4, len: 4, .. })));
        }
    }

    #[test]
    fn a_bayesian_of_two_items_has_the_curvature_of_the_prior_too() {
        let mut judged = Comparisons::new(2);
        judged.push_win(0, 1, 3.0).unwrap();
        let ranking = NewtonConfig::new().with_prior(0.5).fit(&judged).unwrap();
        let config = CovarianceConfig::new().with_prior(0.5);
        let covariance = config.of(&judged, &ranking, &Logit).unwrap();
        let p = accordant_ops::host::logistic(ranking.scores[0] - ranking.scores[1]);
        // Of the difference d = 2 s: information 3 p (1 − p) + 0.5 / 2.
        let expected = 1.0 / (3.0 * p * (1.0 - p) + 0.25);
        assert!((covariance.difference_error(0, 1).unwrap().powi(2) - expected).abs() < 1e-10);
        assert!(matches!(CovarianceConfig::new().of(&judged, &ranking, &Logit), Err(Error::NotIdentifiable { .. })));
        let stiff = config.with_ridge(0.5).of(&judged, &ranking, &Logit).unwrap();
        let expected = 1.0 / (3.0 * p * (1.0 - p) + 0.5);
        assert!((stiff.difference_error(0, 1).unwrap().powi(2) - expected).abs() < 1e-10);
    }

    #[test]
    fn the_parameter_of_ties_is_estimated_too() {
        // Wins 6 and 2, ties 4: closed forms of two items. Davidson: d = ln(w12 / w21), a multinomial's contrast.
        let mut judged = Comparisons::new(2);
        for (outcome, times) in [(Outcome::First, 6), (Outcome::Second, 2), (Outcome::Tie, 4)] {
            (0..times).for_each(|_| judged.push(0, 1, outcome).unwrap());
        }
        let ranking = NewtonConfig::new().fit_link(&judged.wins(), &Davidson).unwrap();
        for spread in [Spread::Fisher, Spread::Records, Spread::Counts] {
            let covariance = CovarianceConfig::new().with_spread(spread).of(&judged, &ranking, &Davidson).unwrap();
            let variance = covariance.difference_error(0, 1).unwrap().powi(2);
            assert!((variance - (1.0 / 6.0 + 1.0 / 2.0)).abs() < 1e-8, "{spread:?}: {variance}");
        }
        for link in [&RaoKupper as &dyn Link, &Probit, &Logit] {
            let ranking = NewtonConfig::new().fit_link(&five().wins(), link).unwrap();
            let covariance = CovarianceConfig::new().of(&five(), &ranking, link).unwrap();
            assert!(covariance.standard_errors().iter().all(|e| *e > 0.3), "{}", link.name());
        }
        // No tie: the parameter is at its boundary, and the scores' errors are Bradley-Terry's.
        let ranking = NewtonConfig::new().fit_link(&four().wins(), &Davidson).unwrap();
        let covariance = CovarianceConfig::new().of(&four(), &ranking, &Davidson).unwrap();
        close(&covariance.standard_errors(), &errors(CovarianceConfig::new()), 1e-9);
    }

    #[test]
    fn intervals_and_ranks() {
        let ranking = NewtonConfig::new().fit(&four()).unwrap();
        let covariance = CovarianceConfig::new().of(&four(), &ranking, &Logit).unwrap();
        let intervals = covariance.intervals(&ranking.scores, 0.95).unwrap();
        assert!((intervals[0].high - ranking.scores[0] - 1.959963985 * 0.54806966).abs() < 1e-7);
        assert!((intervals[0].high + intervals[0].low - 2.0 * ranking.scores[0]).abs() < 1e-12);
        assert!(matches!(covariance.intervals(&[0.0], 0.95), Err(Error::Length { name: "scores", .. })));
        for level in [0.0, 1.0, f64::NAN] {
            assert!(covariance.intervals(&ranking.scores, level).is_err());
        }
    }

    /// Recovery and coverage on tables with known scores: 20 items, 200 judgements of each pair.
    #[test]
    fn intervals_hold_the_truth_as_often_as_they_say() {
        let (mut held, mut errors_sum, mut worst, mut sandwich_ratio) = (0, 0.0, 0.0f64, 0.0);
        const SEEDS: u64 = 200;
        for seed in 0..SEEDS {
            let mut rng = stream(seed, Purpose::World, 28);
            let mut truth: Vec<f64> = (0..20).map(|_| StandardNormal.sample(&mut rng)).collect();
            crate::ranking::Gauge::SumZero.fix(&mut truth).unwrap();
            let mut judged = Comparisons::new(20);
            for i in 0..20 {
                for j in i + 1..20 {
                    let p = accordant_ops::host::logistic(truth[i] - truth[j]);
                    let wins = (0..200).filter(|_| rng.random::<f64>() < p).count() as f64;
                    judged.push_win(i, j, wins).unwrap();
                    judged.push_win(j, i, 200.0 - wins).unwrap();
                }
            }
            let ranking = NewtonConfig::new().fit(&judged).unwrap();
            let covariance = CovarianceConfig::new().of(&judged, &ranking, &Logit).unwrap();
            let intervals = covariance.intervals(&ranking.scores, 0.95).unwrap();
            held += intervals.iter().zip(&truth).filter(|(ends, s)| ends.low < **s && **s < ends.high).count();
            let squares: f64 = ranking.scores.iter().zip(&truth).map(|(a, b)| (a - b) * (a - b)).sum();
            let rmse = (squares / 20.0).sqrt();
            (errors_sum, worst) = (errors_sum + rmse, worst.max(rmse));
            let counts = CovarianceConfig::new().with_spread(Spread::Counts).of(&judged, &ranking, &Logit).unwrap();
            sandwich_ratio += counts.matrix().trace() / covariance.matrix().trace();
        }
        let coverage = held as f64 / (20 * SEEDS) as f64;
        assert!((0.93..=0.97).contains(&coverage), "{coverage}");
        // Measured elsewhere: mean 0.036, worst 0.056.
        assert!(worst < 0.06, "{worst}");
        assert!((errors_sum / SEEDS as f64 - 0.036).abs() < 0.003, "{}", errors_sum / SEEDS as f64);
        let ratio = sandwich_ratio / SEEDS as f64;
        assert!((ratio - 1.0).abs() < 0.03, "under the model the sandwich is Fisher's: {ratio}");
    }

    #[test]
    fn what_makes_no_sense_is_an_error() {
        let ranking = NewtonConfig::new().fit(&four()).unwrap();
        let of = |config: CovarianceConfig, judged: &Comparisons| config.of(judged, &ranking, &Logit).unwrap_err();
        for bad in [-1.0, f64::NAN, f64::INFINITY] {
            let error = of(CovarianceConfig::new().with_prior(bad), &four()).to_string();
            assert!(error.starts_with("`prior`: expected finite and >= 0"), "{error}");
            let error = of(CovarianceConfig::new().with_ridge(bad), &four()).to_string();
            assert!(error.starts_with("`ridge`: expected finite and >= 0"), "{error}");
        }
        assert!(matches!(of(CovarianceConfig::new(), &unconnected()), Error::Length { name: "scores", .. }));
        let by_judges = CovarianceConfig::new().with_spread(Spread::Judges);
        assert!(matches!(of(by_judges.clone(), &four()), Error::Combination { what: "spread over judges", .. }));
        let one = four().with_judges(vec![3; 22]).unwrap();
        let error = of(by_judges.with_small_sample(true), &one);
        assert!(matches!(error, Error::Combination { what: "small_sample", .. }));
        let five_items = NewtonConfig::new().fit(&five()).unwrap();
        let refused = CovarianceConfig::new().with_ties(Ties::Refuse).of(&five(), &five_items, &Logit);
        assert!(matches!(refused, Err(Error::Ties { .. })));
        let CovarianceConfig { spread, prior, ties, small_sample, ridge } = CovarianceConfig::new();
        assert_eq!((spread, prior, ties, small_sample, ridge), (Spread::Fisher, 0.0, Ties::Half, false, 0.0));
    }

    #[test]
    fn ties_that_are_left_out_have_no_curvature() {
        let mut with_ties = four();
        with_ties.push(0, 1, Outcome::Tie).unwrap();
        let ranking = NewtonConfig::new().fit(&four()).unwrap();
        for spread in [Spread::Fisher, Spread::Records, Spread::Judges] {
            let config = CovarianceConfig::new().with_spread(spread).with_ties(Ties::Drop);
            let of = |judged: Comparisons| {
                let judges = (0..judged.len()).collect();
                config.of(&judged.with_judges(judges).unwrap(), &ranking, &Logit).unwrap().standard_errors()
            };
            close(&of(with_ties.clone()), &of(four()), 1e-12);
            assert!(of(four())[0] > 0.5);
        }
    }
}
