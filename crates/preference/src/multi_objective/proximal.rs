//! A minimizer of a smooth function plus weighted absolute values: what the lasso and its kin need.
//!
//! **Paper:** A Fast Iterative Shrinkage-Thresholding Algorithm for Linear Inverse Problems (A. Beck and M. Teboulle, 2009),
//! with the restarts of Adaptive Restart for Accelerated Gradient Schemes (2012), 1204.3982.
//! **Use when:** some coefficients are to be exactly 0. Without absolute values [`lbfgs`](crate::optimize::lbfgs) is faster.
//! **Checked by:** solutions by hand, the conditions of the minimum, [`lbfgs`](crate::optimize::lbfgs) at weights of 0.
//! **Deviations:** the first step length comes from the curvature along the first gradient.

use crate::{
    Report, Result,
    error::check_length,
    optimize::{Stop, largest},
};

/// The minimum of `½ (x − at)² + threshold |x|`: `at` moved towards 0 by the threshold, and no further.
///
/// # Example
/// ```
/// use accordant_preference::multi_objective::proximal::shrink;
/// assert_eq!([3.0, -3.0, 0.5].map(|at| shrink(at, 1.0)), [2.0, -2.0, 0.0]);
/// ```
pub fn shrink(at: f64, threshold: f64) -> f64 {
    let left = at.abs() - threshold;
    // NaN is kept.
    if left <= 0.0 { 0.0 } else { left.copysign(at) }
}

/// Minimizes `f(x) + Σ weights_i |x_i|` from `at` on; returns the last point.
///
/// `f` is smooth and convex; it writes its gradient into its second argument and returns its value. `weights` are ≥ 0. The
/// report's `objective` is the whole sum, its `gradient_norm` the largest entry of the smallest subgradient, which is 0 at the
/// minimum alone.
///
/// # Errors
/// [`Length`](crate::Error::Length) naming `weights`.
///
/// # Example
/// ```
/// use accordant_preference::{multi_objective::proximal::fista, optimize::Stop};
/// // ½ (x − 3)² + ½ (y − ½)² + |x| + |y|: the minimum is at (2, 0).
/// let f = |x: &[f64], gradient: &mut [f64]| {
///     gradient.copy_from_slice(&[x[0] - 3.0, x[1] - 0.5]);
///     0.5 * (gradient[0].powi(2) + gradient[1].powi(2))
/// };
/// let (x, report) = fista(f, vec![0.0; 2], &[1.0; 2], Stop { gradient: 1e-12, max_iterations: 100 })?;
/// assert!(report.converged && (x[0] - 2.0).abs() < 1e-12 && x[1] == 0.0);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
pub fn fista(
    mut f: impl FnMut(&[f64], &mut [f64]) -> f64,
    mut at: Vec<f64>,
    weights: &[f64],
    stop: Stop,
) -> Result<(Vec<f64>, Report)> {
    check_length("weights", at.len(), weights.len())?;
    let mut gradient = vec![0.0; at.len()];
    let mut value = f(&at, &mut gradient);
    let mut steepness = curvature(&mut f, &at, &gradient);
    // Where the next gradient is taken: the last point, moved on by the momentum.
    let (mut ahead, mut momentum) = (at.clone(), 1.0f64);
    let mut ahead_gradient = gradient.clone();
    let mut ahead_value = value;
    for iterations in 0..=stop.max_iterations {
        let gradient_norm = largest(&subgradient(&at, &gradient, weights));
        let converged = gradient_norm <= stop.gradient;
        let objective = value + at.iter().zip(weights).map(|(x, weight)| weight * x.abs()).sum::<f64>();
        let report = Report { converged, iterations, objective, gradient_norm };
        if converged || iterations == stop.max_iterations || !gradient_norm.is_finite() {
            return Ok((at, report));
        }
        let mut there = vec![0.0; at.len()];
        let found = (0..100).find_map(|_| {
            let step = |((x, g), weight): ((&f64, &f64), &f64)| shrink(x - g / steepness, weight / steepness);
            let point: Vec<f64> = ahead.iter().zip(&ahead_gradient).zip(weights).map(step).collect();
            let reached = f(&point, &mut there);
            if reached <= bound(ahead_value, &ahead_gradient, &ahead, &point, steepness) {
                return Some((point, reached));
            }
            steepness *= 2.0;
            None
        });
        let Some((point, reached)) = found else { return Ok((at, report)) };
        // Momentum against the direction of descent is dropped.
        let against: f64 = ahead.iter().zip(&point).zip(&at).map(|((y, new), old)| (y - new) * (new - old)).sum();
        if against > 0.0 {
            momentum = 1.0;
        }
        let next = f64::midpoint(1.0, (1.0 + 4.0 * momentum * momentum).sqrt());
        let share = (momentum - 1.0) / next;
        momentum = next;
        ahead = point.iter().zip(&at).map(|(new, old)| new + share * (new - old)).collect();
        (at, value, gradient) = (point, reached, there);
        ahead_value = f(&ahead, &mut ahead_gradient);
    }
    unreachable!("the last round returns")
}

/// The largest value that there can be at `to` when no curvature is above `steepness`, and as much more as rounding takes.
fn bound(value: f64, gradient: &[f64], from: &[f64], to: &[f64], steepness: f64) -> f64 {
    let moved = || to.iter().zip(from).map(|(new, old)| new - old);
    let slope: f64 = moved().zip(gradient).map(|(d, g)| d * g).sum();
    let squares: f64 = moved().map(|d| d * d).sum();
    value + slope + 0.5 * steepness * squares + 1e-14 * value.abs()
}

/// The curvature along the gradient, at most the largest there is; 1 where there is none.
fn curvature(f: &mut impl FnMut(&[f64], &mut [f64]) -> f64, at: &[f64], gradient: &[f64]) -> f64 {
    let length = |x: &[f64]| x.iter().map(|x| x * x).sum::<f64>().sqrt();
    let scale = 1e-4 / length(gradient);
    if !scale.is_finite() {
        return 1.0;
    }
    let near: Vec<f64> = at.iter().zip(gradient).map(|(x, g)| x - scale * g).collect();
    let mut there = vec![0.0; at.len()];
    f(&near, &mut there);
    let change: Vec<f64> = there.iter().zip(gradient).map(|(new, old)| new - old).collect();
    let curvature = length(&change) / 1e-4;
    if curvature.is_finite() && curvature > 0.0 { curvature } else { 1.0 }
}

/// The smallest subgradient: what is left of the slope in the direction of descent.
fn subgradient(at: &[f64], gradient: &[f64], weights: &[f64]) -> Vec<f64> {
    let of = |((x, g), weight): ((&f64, &f64), &f64)| match *x {
        0.0 => shrink(*g, *weight),
        x => g + weight.copysign(x),
    };
    at.iter().zip(gradient).zip(weights).map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optimize::lbfgs;

    const STOP: Stop = Stop { gradient: 1e-10, max_iterations: 5000 };

    /// `½ Σ scale (x − center)²` with scales far apart, and `½ (x₀ − x₁)²`.
    fn coupled(x: &[f64], g: &mut [f64]) -> f64 {
        let (scales, centers) = ([1.0, 50.0, 1e-2], [2.0, -0.1, 4.0]);
        let mut value = 0.5 * (x[0] - x[1]).powi(2);
        for i in 0..3 {
            g[i] = scales[i] * (x[i] - centers[i]);
            value += 0.5 * scales[i] * (x[i] - centers[i]).powi(2);
        }
        g[0] += x[0] - x[1];
        g[1] -= x[0] - x[1];
        value
    }

    #[test]
    fn the_minimum_meets_its_conditions_and_is_lower_than_its_neighbors() {
        let weights = [0.3, 6.5, 0.05];
        let (x, report) = fista(coupled, vec![0.0; 3], &weights, STOP).unwrap();
        assert!(report.converged && report.gradient_norm <= 1e-10, "{report:?}");
        // With x₁ = 0: 2 x₀ = 2 − 0.3, and x₂ = 4 − 0.05 / 0.01 < 0 is 0: 0.01 · 4 < 0.05. At x₁ = 0 the slope is 5 − 0.85.
        assert!((x[0] - 0.85).abs() < 1e-9 && x[1] == 0.0 && x[2] == 0.0, "{x:?}");
        assert!(
            (report.objective - (0.5 * 0.85f64.powi(2) + 0.5 * 1.15f64.powi(2) + 0.25 + 0.08 + 0.3 * 0.85)).abs()
                < 1e-9
        );
        let light = fista(coupled, vec![9.0; 3], &[0.3, 1.0, 0.02], STOP).unwrap();
        // 51 x₁ − x₀ + 5 − 1 = 0 and 2 x₀ − x₁ = 1.7, so 101 x₁ = 1.7 − 8; x₂ = 4 − 2.
        let second = -6.3 / 101.0;
        assert!(light.1.converged && (light.0[1] - second).abs() < 1e-9, "{light:?}");
        assert!((light.0[0] - (1.7 + second) / 2.0).abs() < 1e-9 && (light.0[2] - 2.0).abs() < 1e-7);
    }

    #[test]
    fn without_weights_it_is_where_lbfgs_ends() {
        let (x, report) = fista(coupled, vec![1.0; 3], &[0.0; 3], STOP).unwrap();
        let (expected, smooth) = lbfgs(coupled, vec![1.0; 3], STOP);
        assert!(report.converged && smooth.converged);
        assert!(x.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-7), "{x:?} {expected:?}");
    }

    #[test]
    fn too_few_steps_and_what_is_not_finite_are_no_convergence() {
        let (_, report) = fista(coupled, vec![9.0; 3], &[0.1; 3], Stop { max_iterations: 2, ..STOP }).unwrap();
        assert_eq!((report.converged, report.iterations), (false, 2));
        let (_, report) = fista(|_, g| ((g[0] = f64::NAN), f64::NAN).1, vec![0.0], &[1.0], STOP).unwrap();
        assert!(!report.converged && report.iterations == 0);
        let (x, report) = fista(coupled, vec![0.0; 3], &[1e3; 3], STOP).unwrap();
        assert_eq!((x, report.iterations, report.gradient_norm), (vec![0.0; 3], 0, 0.0));
        let error = fista(coupled, vec![0.0; 3], &[1.0; 2], STOP).unwrap_err().to_string();
        assert_eq!(error, "`weights`: expected 3 entries, got 2");
    }

    #[test]
    fn acceleration_pays_where_scales_are_far_apart() {
        // Condition 1000: plain steps take some 10 000 rounds, accelerated ones some hundreds.
        let f = |x: &[f64], g: &mut [f64]| {
            g.copy_from_slice(&[1e3 * (x[0] - 1.0), x[1] - 1.0]);
            0.5 * (1e3 * (x[0] - 1.0).powi(2) + (x[1] - 1.0).powi(2))
        };
        let (x, report) = fista(f, vec![0.0; 2], &[0.0, 0.5], STOP).unwrap();
        assert!(report.converged && report.iterations < 800, "{report:?}");
        assert!((x[1] - 0.5).abs() < 1e-9, "{x:?}");
    }

    #[test]
    fn what_a_step_may_reach_by_hand() {
        // Moved by (½, −1) along (2, −1): 3 + 2, and half of 4 times 1¼.
        let bound = |value: f64| bound(value, &[2.0, -1.0], &[1.0, 1.0], &[1.5, 0.0], 4.0);
        assert!((bound(3.0) - 7.5 - 3e-14).abs() < 2e-15);
        assert!((bound(-100.0) + 95.5 - 1e-12).abs() < 5e-14);
    }

    #[test]
    fn the_curvature_along_the_gradient_by_hand() {
        let along = |scales: [f64; 2], at: [f64; 2]| {
            let mut f = |x: &[f64], g: &mut [f64]| {
                (g[0], g[1]) = (scales[0] * x[0], scales[1] * x[1]);
                0.5 * (scales[0] * x[0] * x[0] + scales[1] * x[1] * x[1])
            };
            let mut gradient = [0.0; 2];
            f(&at, &mut gradient);
            curvature(&mut f, &at, &gradient)
        };
        assert!((along([7.0, 7.0], [3.0, -2.0]) - 7.0).abs() < 1e-6);
        // The gradient is (3, 4), the curvature along it |(3, 16)| / 5.
        assert!((along([1.0, 4.0], [3.0, 1.0]) - 265f64.sqrt() / 5.0).abs() < 1e-6);
        assert_eq!(along([1.0, 4.0], [0.0, 0.0]), 1.0, "no gradient to go along");
        assert_eq!(curvature(&mut |_: &[f64], g: &mut [f64]| (g[0] = 3.0, 0.0).1, &[0.0], &[3.0]), 1.0, "a line");
        let wild = |value: f64| curvature(&mut |_: &[f64], g: &mut [f64]| (g[0] = value, 0.0).1, &[0.0], &[3.0]);
        assert_eq!([wild(f64::NAN), wild(f64::INFINITY)], [1.0, 1.0]);
    }

    #[test]
    fn momentum_grows_as_published() {
        // Down a line of slope −2, whose steps are 2 at the curvature of 1 that is taken where there is none.
        let mut seen = Vec::new();
        let line = |x: &[f64], g: &mut [f64]| {
            seen.push(x[0]);
            g[0] = -2.0;
            -2.0 * x[0]
        };
        let (end, report) = fista(line, vec![0.0], &[0.0], Stop { gradient: 1e-9, max_iterations: 3 }).unwrap();
        // t = 1, (1 + √5)/2, (1 + √(1 + 4 t²))/2; after the first step the point itself, then moved on by (t − 1)/t'.
        let first = (1.0 + 5f64.sqrt()) / 2.0;
        let second = (1.0 + (1.0 + 4.0 * first * first).sqrt()) / 2.0;
        let third = (1.0 + (1.0 + 4.0 * second * second).sqrt()) / 2.0;
        let ahead = 4.0 + 2.0 * (first - 1.0) / second;
        let last = ahead + 2.0;
        let expected = [0.0, 1e-4, 2.0, 2.0, 4.0, ahead, last, last + (last - 4.0) * (second - 1.0) / third];
        assert_eq!(seen.len(), expected.len(), "{seen:?}");
        assert!(seen.iter().zip(expected).all(|(got, expected)| (got - expected).abs() < 1e-12), "{seen:?}");
        assert!((end[0] - last).abs() < 1e-12 && !report.converged && report.iterations == 3);
    }

    #[test]
    fn a_slope_that_ends_at_a_wall_takes_doublings_and_not_many_small_ones() {
        // −x, and from 1 on half a million times the square: a curvature a million times what the start shows.
        let wall = |x: &[f64], g: &mut [f64]| {
            let beyond = (x[0] - 1.0).max(0.0);
            g[0] = 1e6 * beyond - 1.0;
            5e5 * beyond * beyond - x[0]
        };
        let (x, report) = fista(wall, vec![0.0], &[0.0], STOP).unwrap();
        assert!(report.converged && (x[0] - 1.0 - 1e-6).abs() < 1e-12, "{x:?} {report:?}");
    }
}
