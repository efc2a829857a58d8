//! One score for a solution from the scores of its steps.
//!
//! **Paper:** Let's Verify Step by Step (2023), 2305.20050 (product and minimum).
//! **Use when:** solutions are ranked by a process reward model.
//! **Checked by:** hand-worked values, orders between the rules, both faces.
//! **Deviations:** none.

use accordant_ops::masked::{masked_mean, masked_sum};
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::{Error, Result, error::check_record, trajectory::Steps};

/// How scores of steps become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum StepAggregation {
    /// The worst step's: a chain is as strong as its weakest link.
    #[default]
    Min,
    /// The chance that all steps are right, `exp(Σ log s)`, for scores in [0, 1].
    Product,
    /// The product's geometric mean, `exp(mean log s)`, for scores in [0, 1]: long solutions are not worse for that.
    GeometricMean,
    /// The last step's.
    Last,
    /// Their mean.
    Mean,
    /// Their sum: long solutions are better for that.
    Sum,
}

impl StepAggregation {
    /// Whether scores must be chances.
    fn takes_chances(self) -> bool {
        matches!(self, Self::Product | Self::GeometricMean)
    }

    /// The score of a solution.
    ///
    /// # Errors
    /// [`Error::Empty`] without a step, [`Error::Record`] for a NaN, or a score outside of [0, 1] where they are chances.
    ///
    /// # Example
    /// ```
    /// use accordant_preference::process::aggregate::StepAggregation;
    /// let scores = [0.5, 0.8, 1.0];
    /// assert_eq!(StepAggregation::Min.of(&scores)?, 0.5);
    /// assert!((StepAggregation::Product.of(&scores)? - 0.4).abs() < 1e-15);
    /// # Ok::<(), accordant_preference::Error>(())
    /// ```
    pub fn of(self, scores: &[f64]) -> Result<f64> {
        let Some(&last) = scores.last() else {
            return Err(Error::Empty { name: "scores", reason: "there is no step" });
        };
        for (row, &score) in scores.iter().enumerate() {
            let chance = (0.0..=1.0).contains(&score);
            check_record(chance || !self.takes_chances(), row, "score", "a chance in [0, 1]", score)?;
            check_record(!score.is_nan(), row, "score", "a number", score)?;
        }
        let mean = |f: fn(f64) -> f64| scores.iter().map(|score| f(*score)).sum::<f64>() / scores.len() as f64;
        Ok(match self {
            Self::Min => scores.iter().copied().fold(f64::INFINITY, f64::min),
            Self::Product => scores.iter().product(),
            Self::GeometricMean => mean(f64::ln).exp(),
            Self::Last => last,
            Self::Mean => mean(|score| score),
            Self::Sum => scores.iter().sum(),
        })
    }

    /// The scores of solutions from those of their steps, `[n, time]` to `[n]`, with a gradient. A solution without a step
    /// is NaN: it has no score.
    ///
    /// Chances are taken by their logarithms, whose gradient at 0 is infinite.
    ///
    /// # Errors
    /// None that a caller could cause: shapes were checked.
    pub fn forward(self, scores: &Steps) -> Result<Tensor<1>> {
        let (values, mask) = (scores.values(), scores.mask());
        let absent = mask.clone().bool_not();
        let empty = scores.lengths().equal_scalar(0.0);
        if values.dims().contains(&0) {
            let none = scores.lengths();
            return Ok(none.clone().mask_fill(none.equal_scalar(0.0), f64::NAN));
        }
        // What is masked must not meet a logarithm.
        let logs = || values.clone().mask_fill(absent.clone(), 1.0).log();
        let result = match self {
            Self::Min => values.clone().mask_fill(absent.clone(), f64::INFINITY).min_dim(1).squeeze_dim(1),
            Self::Product => masked_sum(logs(), mask)?.exp(),
            Self::GeometricMean => masked_mean(logs(), mask)?.exp(),
            Self::Last => {
                let time = values.dims()[1];
                let places = values.ones_like().detach().cumsum(1).mask_fill(absent.clone(), 0.0);
                let last = places.clone().max_dim(1).expand([values.dims()[0], time]);
                let is_last = places.equal(last).bool_and(mask);
                masked_sum(values, is_last)?
            }
            Self::Mean => masked_mean(values, mask)?,
            Self::Sum => masked_sum(values, mask)?,
        };
        Ok(result.mask_fill(empty, f64::NAN))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trajectory::testing::{check, close, mask, rows, values};

    use StepAggregation::{GeometricMean, Last, Mean, Min, Product, Sum};

    const ALL: [StepAggregation; 6] = [Min, Product, GeometricMean, Last, Mean, Sum];

    #[test]
    fn four_steps_by_hand() {
        let scores = [0.8, 0.5, 1.0, 0.9];
        let got = ALL.map(|rule| rule.of(&scores).unwrap());
        close(&got, &[0.5, 0.36, 0.36f64.powf(0.25), 0.9, 0.8, 3.2], 1e-12);
        assert_eq!([Min, Last, Mean, Sum].map(|rule| rule.of(&[-2.0, 4.0]).unwrap()), [-2.0, 4.0, 1.0, 2.0]);
        assert_eq!([Product, GeometricMean].map(|rule| rule.of(&[0.0, 0.5]).unwrap()), [0.0, 0.0]);
    }

    #[test]
    fn rules_are_ordered_and_a_sure_step_changes_neither_minimum_nor_product() {
        for scores in [vec![0.3], vec![0.9, 0.2, 0.7], vec![1.0, 1.0], vec![0.0, 0.4]] {
            let of = |rule: StepAggregation| rule.of(&scores).unwrap();
            assert!(
                of(Product) <= of(Min) && of(Min) <= of(GeometricMean) + 1e-15 && of(GeometricMean) <= of(Mean) + 1e-15
            );
            let longer: Vec<f64> = scores.iter().copied().chain([1.0]).collect();
            assert_eq!([Min, Product].map(|rule| rule.of(&longer).unwrap()), [of(Min), of(Product)]);
        }
    }

    #[test]
    fn both_faces_agree_wherever_the_mask_is() {
        let nan = f64::NAN;
        let steps = Steps::new(
            rows([[0.8, 0.5, 0.9], [nan, 0.4, nan], [0.3, nan, 0.6], [nan, nan, nan]]),
            mask([[1, 1, 1], [0, 1, 0], [1, 0, 1], [0, 0, 0]]),
        );
        let steps = steps.unwrap();
        for rule in ALL {
            let got = values(rule.forward(&steps).unwrap());
            let expected = [vec![0.8, 0.5, 0.9], vec![0.4], vec![0.3, 0.6]].map(|scores| rule.of(&scores).unwrap());
            close(&got[..3], &expected, 1e-12);
            assert!(got[3].is_nan());
            check(&[0.8, 0.5, 0.9, 0.35], |x| {
                rule.forward(&Steps::new(x.reshape([2, 2]), mask([[1, 1], [0, 1]])).unwrap()).unwrap()
            });
        }
        let none = Steps::full(Tensor::zeros([2, 0], &burn::tensor::Device::flex()));
        assert!(values(Mean.forward(&none).unwrap()).iter().all(|score| score.is_nan()));
    }

    #[test]
    fn what_is_no_score_is_an_error_by_step() {
        assert!(matches!(Min.of(&[]), Err(Error::Empty { name: "scores", .. })));
        for rule in [Product, GeometricMean] {
            for bad in [1.1, -0.1, f64::NAN] {
                assert!(
                    rule.of(&[0.5, bad]).unwrap_err().to_string().starts_with("record 1: `score`: expected a chance")
                );
            }
        }
        assert!(Mean.of(&[f64::NAN]).unwrap_err().to_string().contains("expected a number"));
        assert_eq!(StepAggregation::default(), Min);
    }
}
