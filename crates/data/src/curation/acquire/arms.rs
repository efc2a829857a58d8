//! The posterior of the rewards of a prompt's responses.

use rand::Rng;

use crate::{
    Error, Result,
    curation::numbers::{check_all_finite, check_length},
};

/// A normal distribution of the rewards of two or more responses.
#[derive(Debug, Clone, PartialEq)]
pub struct Arms {
    means: Vec<f64>,
    covariance: Vec<Vec<f64>>,
    /// The lower triangle whose square the covariance is.
    root: Vec<Vec<f64>>,
}

impl Arms {
    /// Means and covariance, which is symmetric and positive semidefinite.
    ///
    /// # Errors
    /// [`Error::NoEntry`] for fewer than two; [`Error::Length`] and [`Error::Item`] naming `means` or `covariance`, the
    /// latter for what is not finite, not symmetric, or no covariance.
    pub fn new(means: Vec<f64>, covariance: Vec<Vec<f64>>) -> Result<Self> {
        if means.len() < 2 {
            return Err(Error::NoEntry { name: "means" });
        }
        check_all_finite("means", &means)?;
        check_length("covariance", means.len(), covariance.len())?;
        let scale = covariance.iter().flatten().fold(0.0f64, |scale, x| scale.max(x.abs()));
        for row in &covariance {
            check_length("covariance", means.len(), row.len())?;
            check_all_finite("covariance", row)?;
        }
        for (index, row) in covariance.iter().enumerate() {
            for (other, value) in row.iter().enumerate() {
                if (covariance[other][index] - value).abs() > 1e-9 * scale {
                    return Err(Error::Item { name: "covariance", index, expected: "a symmetric row", got: *value });
                }
            }
        }
        let root = root(&covariance, scale)?;
        Ok(Self { means, covariance, root })
    }

    /// Independent rewards of these deviations.
    ///
    /// # Errors
    /// Those of [`Self::new`].
    pub fn independent(means: Vec<f64>, deviations: &[f64]) -> Result<Self> {
        let row = |i: usize| {
            (0..deviations.len()).map(|j| if i == j { deviations[i] * deviations[i] } else { 0.0 }).collect()
        };
        Self::new(means, (0..deviations.len()).map(row).collect())
    }

    /// The mean rewards.
    pub fn means(&self) -> &[f64] {
        &self.means
    }

    /// The deviation of a reward.
    pub(super) fn deviation(&self, arm: usize) -> f64 {
        self.covariance[arm][arm].max(0.0).sqrt()
    }

    /// The deviation of the difference of two rewards.
    pub(super) fn difference_deviation(&self, a: usize, b: usize) -> f64 {
        (self.covariance[a][a] + self.covariance[b][b] - 2.0 * self.covariance[a][b]).max(0.0).sqrt()
    }

    /// Rewards, drawn.
    pub fn sample(&self, rng: &mut impl Rng) -> Vec<f64> {
        let noise: Vec<f64> = self.means.iter().map(|_| standard_normal(rng)).collect();
        let shift = |row: &Vec<f64>| row.iter().zip(&noise).map(|(a, b)| a * b).sum::<f64>();
        self.means.iter().zip(&self.root).map(|(mean, row)| mean + shift(row)).collect()
    }
}

/// Box's and Muller's transform.
fn standard_normal(rng: &mut impl Rng) -> f64 {
    // 1 − u is in (0, 1], where the logarithm is finite.
    let (u, v): (f64, f64) = (1.0 - rng.random::<f64>(), rng.random());
    (-2.0 * u.ln()).sqrt() * (2.0 * std::f64::consts::PI * v).cos()
}

/// Cholesky's root of a matrix that may be singular.
fn root(matrix: &[Vec<f64>], scale: f64) -> Result<Vec<Vec<f64>>> {
    let len = matrix.len();
    let mut root = vec![vec![0.0; len]; len];
    for i in 0..len {
        for j in 0..=i {
            let done: f64 = (0..j).map(|k| root[i][k] * root[j][k]).sum();
            let rest = matrix[i][j] - done;
            let slack = 1e-9 * scale;
            root[i][j] = if i != j {
                let pivot: f64 = root[j][j];
                // Along a direction without variance there is no covariance either.
                if pivot > 0.0 {
                    rest / pivot
                } else if rest.abs() <= slack.sqrt() * scale.sqrt() {
                    0.0
                } else {
                    return Err(Error::Item {
                        name: "covariance",
                        index: i,
                        expected: "positive semidefinite",
                        got: rest,
                    });
                }
            } else if rest >= -slack {
                if rest > slack { rest.sqrt() } else { 0.0 }
            } else {
                return Err(Error::Item { name: "covariance", index: i, expected: "positive semidefinite", got: rest });
            };
        }
    }
    Ok(root)
}

/// The place of the largest number; the first of equal ones.
pub(super) fn argmax(values: &[f64]) -> usize {
    (1..values.len()).fold(0, |best, place| if values[place] > values[best] { place } else { best })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::{Purpose, stream};

    #[test]
    fn draws_have_the_means_and_covariances() {
        let arms = Arms::new(vec![1.0, -1.0], vec![vec![4.0, 2.0], vec![2.0, 2.0]]).unwrap();
        assert_eq!((arms.deviation(0), arms.difference_deviation(0, 1)), (2.0, 2f64.sqrt()));
        let mut rng = stream(5, Purpose::Curation, 9);
        let draws: Vec<Vec<f64>> = (0..20_000).map(|_| arms.sample(&mut rng)).collect();
        let mean = |of: &dyn Fn(&Vec<f64>) -> f64| draws.iter().map(of).sum::<f64>() / 20_000.0;
        // Deviations of these means are 0.014, 0.01, 0.04 and 0.024.
        assert!((mean(&|r| r[0]) - 1.0).abs() < 0.08 && (mean(&|r| r[1]) + 1.0).abs() < 0.06);
        assert!((mean(&|r| (r[0] - 1.0).powi(2)) - 4.0).abs() < 0.25);
        assert!((mean(&|r| (r[0] - 1.0) * (r[1] + 1.0)) - 2.0).abs() < 0.15);
    }

    #[test]
    fn certain_and_equal_rewards_are_fine() {
        let certain = Arms::independent(vec![1.0, 2.0], &[0.0, 0.0]).unwrap();
        assert_eq!(certain.sample(&mut stream(0, Purpose::Curation, 0)), [1.0, 2.0]);
        let equal = Arms::new(vec![0.0, 0.0], vec![vec![1.0; 2]; 2]).unwrap();
        assert_eq!(equal.difference_deviation(0, 1), 0.0);
        let draw = equal.sample(&mut stream(0, Purpose::Curation, 0));
        assert_eq!(draw[0], draw[1]);
        assert_eq!(argmax(&[1.0, 3.0, 3.0]), 1);
    }

    #[test]
    fn what_is_no_covariance_is_an_error() {
        let message = |covariance: Vec<Vec<f64>>| Arms::new(vec![0.0, 0.0], covariance).unwrap_err().to_string();
        assert!(message(vec![vec![1.0, 2.0], vec![2.0, 1.0]]).contains("positive semidefinite"));
        assert!(message(vec![vec![-1.0, 0.0], vec![0.0, 1.0]]).contains("positive semidefinite"));
        assert!(message(vec![vec![0.0, 1.0], vec![1.0, 1.0]]).contains("positive semidefinite"));
        assert!(message(vec![vec![1.0, 0.5], vec![0.4, 1.0]]).contains("symmetric"));
        assert!(message(vec![vec![1.0, 0.0], vec![f64::NAN, 1.0]]).contains("covariance"));
        assert!(message(vec![vec![1.0]]).starts_with("`covariance`"));
        assert!(message(vec![vec![1.0, 0.0], vec![1.0]]).starts_with("`covariance`"));
        assert!(
            Arms::independent(vec![0.0], &[1.0]).is_err() && Arms::independent(vec![0.0, f64::NAN], &[1.0; 2]).is_err()
        );
    }
}
