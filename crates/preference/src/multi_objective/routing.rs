//! Routing of pairs to people or to a judge (hybrid preferences), by what a person's label is expected to bring.
//!
//! **Paper:** Hybrid Preferences: Learning to Route Instances for Human vs. AI Feedback (2024), 2410.19133.
//! **Use when:** people's labels are dear and a judge's cheap: reward models were trained on several mixtures, and their quality
//! is to be foretold for the next.
//! **Checked by:** exact recovery of linear and quadratic truths, gains by hand.
//! **Deviations:** a ridge instead of plain least squares; mixtures are few and tags are many.

use accordant_ops::check_domain;
use burn::config::Config;
use nalgebra::{DMatrix, DVector};
use serde::{Deserialize, Serialize};

use crate::{
    Error, Result,
    error::{check_index, check_length, check_record},
};

/// How quality depends on how many pairs of each tag people label.
#[derive(Config, Debug, Copy, PartialEq, Eq)]
pub enum Shape {
    /// `intercept + Σ a_t n_t`.
    Linear,
    /// `intercept + Σ (a_t n_t + b_t n_t²)`: more of a tag may bring less and less.
    Quadratic,
}

/// Configuration of a fit.
#[derive(Config, Debug, PartialEq)]
pub struct RoutingConfig {
    /// The shape. Quadratic: the paper's better one.
    #[config(default = "Shape::Quadratic")]
    pub shape: Shape,
    /// The ridge on all coefficients but the intercept, finite and ≥ 0. 1e-6: ours, next to nothing.
    #[config(default = 1e-6)]
    pub ridge: f64,
}

impl RoutingConfig {
    /// Fits the quality of reward models to the counts of tags `[mixtures, tags]` among the pairs that people labeled. Scale
    /// counts to about 1 if they are in the thousands.
    ///
    /// # Errors
    /// A domain error naming `ridge`; [`Error::Empty`] without a mixture; [`Error::Length`] naming `counts` or `qualities`;
    /// [`Error::Record`] for a number that is not finite; [`Error::Combination`] when mixtures are too few for no ridge.
    ///
    /// # Example
    /// ```
    /// use accordant_preference::multi_objective::routing::{RoutingConfig, Shape};
    /// let counts: Vec<Vec<f64>> = (0..9).map(|i| vec![f64::from(i % 3), f64::from(i / 3)]).collect();
    /// let qualities: Vec<f64> = counts.iter().map(|n| 0.5 + 0.1 * n[0] - 0.02 * n[1]).collect();
    /// let routing = RoutingConfig::new().with_shape(Shape::Linear).with_ridge(0.0).fit(&counts, &qualities)?;
    /// assert!((routing.quality(&[4.0, 1.0])? - 0.88).abs() < 1e-9);
    /// // A pair with both tags brings 0.08, one with the second tag alone costs 0.02.
    /// assert!((routing.gain(&[0.0, 0.0], &[0, 1])? - 0.08).abs() < 1e-9);
    /// assert_eq!(routing.best(&[vec![1], vec![0], vec![0, 1]], 2)?, [1, 2]);
    /// # Ok::<(), accordant_preference::Error>(())
    /// ```
    pub fn fit(&self, counts: &[Vec<f64>], qualities: &[f64]) -> Result<Routing> {
        check_domain(self.ridge.is_finite() && self.ridge >= 0.0, "ridge", "finite and >= 0", self.ridge)?;
        check_length("qualities", counts.len(), qualities.len())?;
        let Some(first) = counts.first() else {
            return Err(Error::Empty { name: "counts", reason: "there is no mixture" });
        };
        let tags = first.len();
        for (row, (counts, &quality)) in counts.iter().zip(qualities).enumerate() {
            check_length("counts", tags, counts.len())?;
            for &count in counts {
                check_record(count.is_finite() && count >= 0.0, row, "count", "finite and >= 0", count)?;
            }
            check_record(quality.is_finite(), row, "quality", "finite", quality)?;
        }
        let width = 1 + tags * if self.shape == Shape::Quadratic { 2 } else { 1 };
        let design = DMatrix::from_fn(counts.len(), width, |row, column| match column.checked_sub(1) {
            None => 1.0,
            Some(at) if at < tags => counts[row][at],
            Some(at) => counts[row][at - tags].powi(2),
        });
        let mut square = design.tr_mul(&design);
        let largest = square.diagonal().max();
        (1..width).for_each(|i| square[(i, i)] += self.ridge);
        let regular = |pivot: f64| pivot > if self.ridge > 0.0 { f64::EPSILON * largest } else { 1e-12 * largest };
        let factor = square.cholesky().filter(|factor| regular(factor.l_dirty().diagonal().min().powi(2)));
        let Some(factor) = factor else {
            return Err(Error::Combination {
                what: "counts",
                reason: "too few different mixtures for this ridge; give a larger one",
            });
        };
        let solved = factor.solve(&design.tr_mul(&DVector::from_column_slice(qualities)));
        let mut squares = vec![0.0; tags];
        if self.shape == Shape::Quadratic {
            squares.copy_from_slice(&solved.as_slice()[1 + tags..]);
        }
        Ok(Routing { intercept: solved[0], slopes: solved.as_slice()[1..=tags].to_vec(), squares })
    }
}

/// Fitted quality.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Routing {
    /// The quality when people label nothing.
    pub intercept: f64,
    /// a of each tag.
    pub slopes: Vec<f64>,
    /// b of each tag; zeros where the shape is linear.
    pub squares: Vec<f64>,
}

impl Routing {
    /// The expected quality when people label this many pairs of each tag: what candidate mixtures are compared by.
    ///
    /// # Errors
    /// [`Error::Length`] naming `counts`.
    pub fn quality(&self, counts: &[f64]) -> Result<f64> {
        check_length("counts", self.slopes.len(), counts.len())?;
        let terms = counts.iter().zip(&self.slopes).zip(&self.squares).map(|((n, a), b)| a * n + b * n * n);
        Ok(self.intercept + terms.sum::<f64>())
    }

    /// What one more pair with these tags brings to a mixture with these counts: the quality with it, less that without.
    ///
    /// # Errors
    /// [`Error::Length`] naming `counts`; [`Error::Index`] naming `tag`.
    pub fn gain(&self, counts: &[f64], tags: &[usize]) -> Result<f64> {
        let mut after = counts.to_vec();
        for (row, &tag) in tags.iter().enumerate() {
            check_index(row, "tag", tag, after.len())?;
            after[tag] += 1.0;
        }
        Ok(self.quality(&after)? - self.quality(counts)?)
    }

    /// The `budget` pairs with the largest gains over labeling nothing, best first; of equal ones the earlier.
    ///
    /// # Errors
    /// [`Error::Index`] naming `tag`.
    pub fn best(&self, tags: &[Vec<usize>], budget: usize) -> Result<Vec<usize>> {
        let none = vec![0.0; self.slopes.len()];
        let gains = tags.iter().map(|tags| self.gain(&none, tags)).collect::<Result<Vec<f64>>>()?;
        let mut order: Vec<usize> = (0..tags.len()).collect();
        order.sort_by(|&a, &b| gains[b].total_cmp(&gains[a]));
        order.truncate(budget);
        Ok(order)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts() -> Vec<Vec<f64>> {
        (0..16).map(|i| vec![f64::from(i % 4), f64::from(i / 4)]).collect()
    }

    #[test]
    fn a_quadratic_truth_is_recovered_and_its_gains_shrink() {
        let truth = |n: &[f64]| 0.5 + 0.3 * n[0] - 0.05 * n[0] * n[0] - 0.1 * n[1] + 0.02 * n[1] * n[1];
        let counts = counts();
        let qualities: Vec<f64> = counts.iter().map(|n| truth(n)).collect();
        let routing = RoutingConfig::new().with_ridge(0.0).fit(&counts, &qualities).unwrap();
        for (got, expected) in
            [routing.intercept, routing.slopes[0], routing.slopes[1], routing.squares[0], routing.squares[1]]
                .into_iter()
                .zip([0.5, 0.3, -0.1, -0.05, 0.02])
        {
            assert!((got - expected).abs() < 1e-9, "{got} is not {expected}");
        }
        // 0.3 − 0.05, and at 2 of them 0.3 − 0.05 (9 − 4).
        assert!((routing.gain(&[0.0, 3.0], &[0]).unwrap() - 0.25).abs() < 1e-9);
        assert!((routing.gain(&[2.0, 0.0], &[0]).unwrap() - 0.05).abs() < 1e-9);
        assert!((routing.gain(&[1.0, 1.0], &[0, 1]).unwrap() - (truth(&[2.0, 2.0]) - truth(&[1.0, 1.0]))).abs() < 1e-9);
        // A tag twice is two more.
        assert!((routing.gain(&[0.0, 0.0], &[0, 0]).unwrap() - 0.4).abs() < 1e-9);
        let tags = [vec![1], vec![0], vec![], vec![0], vec![0, 1]];
        assert_eq!(routing.best(&tags, 4).unwrap(), [1, 3, 4, 2]);
        assert_eq!(routing.best(&tags, 9).unwrap(), [1, 3, 4, 2, 0]);
    }

    #[test]
    fn a_ridge_shrinks_all_but_the_intercept() {
        // Two mixtures, n = 0 and 2, qualities 1 and 3: centered, (1 + 1 + ridge) a = 2.
        let config = RoutingConfig::new().with_shape(Shape::Linear).with_ridge(2.0);
        let routing = config.fit(&[vec![0.0], vec![2.0]], &[1.0, 3.0]).unwrap();
        assert!((routing.slopes[0] - 0.5).abs() < 1e-12 && (routing.intercept - 1.5).abs() < 1e-12);
        assert_eq!(routing.squares, [0.0]);
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        let text = |config: RoutingConfig, counts: &[Vec<f64>], qualities: &[f64]| {
            config.fit(counts, qualities).unwrap_err().to_string()
        };
        let config = RoutingConfig::new();
        for bad in [-1.0, f64::NAN, f64::INFINITY] {
            assert!(text(config.clone().with_ridge(bad), &[], &[]).starts_with("`ridge`: expected finite and >= 0"));
        }
        assert!(text(config.clone(), &[], &[]).starts_with("`counts`: nothing to learn from"));
        assert!(text(config.clone(), &[vec![1.0]], &[]).starts_with("`qualities`: expected 1 entries"));
        assert!(text(config.clone(), &[vec![1.0], vec![]], &[1.0; 2]).starts_with("`counts`: expected 1 entries"));
        for bad in [-1.0, f64::NAN, f64::INFINITY] {
            assert!(
                text(config.clone(), &[vec![bad]], &[1.0]).starts_with("record 0: `count`: expected finite and >= 0")
            );
        }
        assert!(text(config.clone(), &[vec![1.0]], &[f64::NAN]).starts_with("record 0: `quality`"));
        let plain = config.clone().with_ridge(0.0);
        assert!(text(plain, &[vec![1.0], vec![2.0]], &[1.0, 2.0]).starts_with("counts: too few different mixtures"));
        let routing = config.clone().fit(&counts(), &[1.0; 16]).unwrap();
        assert!(matches!(routing.quality(&[1.0]), Err(Error::Length { name: "counts", .. })));
        assert!(matches!(routing.gain(&[1.0, 1.0], &[2]), Err(Error::Index { name: "tag", index: 2, .. })));
        assert!(matches!(routing.best(&[vec![2]], 1), Err(Error::Index { name: "tag", .. })));
        assert_eq!((config.shape, config.ridge), (Shape::Quadratic, 1e-6));
    }

    #[test]
    fn few_mixtures_of_many_instances_need_no_more_than_the_default_ridge() {
        let counts = [vec![40.0, 90.0, 10.0], vec![70.0, 20.0, 55.0], vec![30.0, 60.0, 80.0]];
        let routing = RoutingConfig::new().fit(&counts, &[0.6, 0.7, 0.65]).unwrap();
        for (counts, quality) in counts.iter().zip([0.6, 0.7, 0.65]) {
            assert!((routing.quality(counts).unwrap() - quality).abs() < 1e-2);
        }
        let error = RoutingConfig::new().with_ridge(0.0).fit(&counts, &[0.6, 0.7, 0.65]).unwrap_err();
        assert!(error.to_string().contains("give a larger one"), "{error}");
    }

    #[test]
    fn mixtures_that_hardly_differ_are_refused_and_a_ridge_allows_more() {
        // None and a little: what the second leaves of the first is a²/2, next to a largest square of 2.
        let fit = |a: f64, ridge: f64| {
            let config = RoutingConfig::new().with_shape(Shape::Linear).with_ridge(ridge);
            config.fit(&[vec![0.0], vec![a]], &[1.0, 1.0]).is_ok()
        };
        // 1e-12 of that without a ridge: a²/2 is 0.72, 1.8 and 2.2 times 1e-12.
        assert_eq!([1.2e-6, 1.9e-6, 2.1e-6].map(|a| fit(a, 0.0)), [false, false, true]);
        // Rounding with one: 2 · 2.2e-16, of a²/2 + ridge.
        assert_eq!([1e-16, 2e-16, 4e-16].map(|ridge| fit(2e-16f64.sqrt(), ridge)), [false, false, true]);
    }
}
