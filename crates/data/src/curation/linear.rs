//! Small linear algebra for operators: ridge regression by Cholesky's decomposition.

use super::numbers::{check_all_finite, check_domain, check_length};
use crate::{Error, Result};

/// The coefficients `w` that minimize `Σ (y − w x)² + ridge |w|²`, of rows `x`.
///
/// # Errors
/// [`Error::NoEntry`] without a row; [`Error::Length`]; [`Error::Item`] for what is not finite; [`Error::Domain`]
/// unless `ridge` is finite and > 0, which makes the solution unique.
pub(super) fn ridge(rows: &[Vec<f64>], targets: &[f64], ridge: f64) -> Result<Vec<f64>> {
    check_domain(ridge.is_finite() && ridge > 0.0, "ridge", "finite and > 0", ridge)?;
    check_length("scores", rows.len(), targets.len())?;
    check_all_finite("scores", targets)?;
    let width = rows.first().ok_or(Error::NoEntry { name: "mixtures" })?.len();
    let mut gram = vec![vec![0.0; width]; width];
    let mut moments = vec![0.0; width];
    for (row, target) in rows.iter().zip(targets) {
        check_length("mixtures", width, row.len())?;
        check_all_finite("mixtures", row)?;
        for (i, x) in row.iter().enumerate() {
            moments[i] += x * target;
            gram[i].iter_mut().zip(row).for_each(|(cell, other)| *cell += x * other);
        }
    }
    // Squares of huge numbers are infinite, and what they divide is 0: wrong in silence.
    gram.iter().try_for_each(|row| check_all_finite("mixtures", row))?;
    gram.iter_mut().enumerate().for_each(|(i, row)| row[i] += ridge);
    let solution = solve(gram, moments);
    check_all_finite("mixtures", &solution)?;
    Ok(solution)
}

/// The solution of `A x = b` for a symmetric positive definite matrix; NaN where it is not.
fn solve(mut matrix: Vec<Vec<f64>>, mut x: Vec<f64>) -> Vec<f64> {
    let len = x.len();
    for i in 0..len {
        for j in 0..=i {
            let done: f64 = (0..j).map(|k| matrix[i][k] * matrix[j][k]).sum();
            let rest = matrix[i][j] - done;
            matrix[i][j] = if i == j { rest.sqrt() } else { rest / matrix[j][j] };
        }
    }
    for i in 0..len {
        let done: f64 = (0..i).map(|k| matrix[i][k] * x[k]).sum();
        x[i] = (x[i] - done) / matrix[i][i];
    }
    for i in (0..len).rev() {
        let done: f64 = (i + 1..len).map(|k| matrix[k][i] * x[k]).sum();
        x[i] = (x[i] - done) / matrix[i][i];
    }
    x
}

/// The inner product.
pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The squared distance.
pub(super) fn squared_distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systems_are_solved() {
        // 4x + 2y = 10, 2x + 3y = 9: x = 1.5, y = 2
        let solution = solve(vec![vec![4.0, 2.0], vec![2.0, 3.0]], vec![10.0, 9.0]);
        assert!((solution[0] - 1.5).abs() < 1e-12 && (solution[1] - 2.0).abs() < 1e-12);
    }

    #[test]
    fn ridge_shrinks_towards_0() {
        // x = 1, 2 and y = 3, 6: w = 15 / (5 + ridge)
        let fit = |penalty| ridge(&[vec![1.0], vec![2.0]], &[3.0, 6.0], penalty).unwrap()[0];
        assert!((fit(1e-12) - 3.0).abs() < 1e-9 && (fit(5.0) - 1.5).abs() < 1e-12);
        // Two equal columns share the weight.
        let both = ridge(&[vec![1.0, 1.0]], &[4.0], 2.0).unwrap();
        assert!(both.iter().all(|w| (w - 1.0).abs() < 1e-12), "4 / (2 + 2)");
        assert_eq!((dot(&[1.0, 2.0], &[3.0, 4.0]), squared_distance(&[1.0, 2.0], &[4.0, -2.0])), (11.0, 25.0));
    }

    #[test]
    fn what_cannot_be_fitted_is_an_error() {
        assert!(ridge(&[], &[], 1.0).is_err() && ridge(&[vec![1.0]], &[], 1.0).is_err());
        assert!(
            ridge(&[vec![1.0], vec![]], &[1.0, 1.0], 1.0).is_err() && ridge(&[vec![f64::NAN]], &[1.0], 1.0).is_err()
        );
        assert!(ridge(&[vec![1.0]], &[f64::NAN], 1.0).is_err() && ridge(&[vec![1.0]], &[1.0], 0.0).is_err());
        assert!(ridge(&[vec![1e300]], &[1.0], 1.0).is_err());
    }
}
