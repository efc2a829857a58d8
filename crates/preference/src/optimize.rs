//! Minimizers for the small, smooth problems of this crate, and their report.
//!
//! [`newton`] where the Hessian is at hand (tables of items, logistic regressions), [`lbfgs`] where it is not. Both go
//! downhill only, in `f64`, and never say that they have converged when they have not.

use std::collections::VecDeque;

use nalgebra::{DMatrix, DVector};
use serde::{Deserialize, Serialize};

/// How a fit ended.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Whether the stopping rule was met.
    pub converged: bool,
    /// Steps that were taken.
    pub iterations: usize,
    /// The value that was minimized, at the end.
    pub objective: f64,
    /// The largest absolute derivative at the end.
    pub gradient_norm: f64,
}

/// When to stop.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Stop {
    /// The largest absolute derivative at which a point counts as the minimum.
    pub gradient: f64,
    /// Steps at most.
    pub max_iterations: usize,
}

/// A value, its gradient and its Hessian.
#[derive(Debug, Clone)]
pub struct Quadratic {
    /// The value.
    pub value: f64,
    /// Its first derivatives, `[n]`.
    pub gradient: DVector<f64>,
    /// Its second derivatives, `[n, n]`, symmetric.
    pub hessian: DMatrix<f64>,
}

/// Largest absolute entry; infinite when one is NaN.
fn largest(vector: &[f64]) -> f64 {
    vector.iter().fold(0.0, |largest, x| if x.is_nan() { f64::INFINITY } else { f64::max(largest, x.abs()) })
}

/// Sufficient decrease (Armijo's rule), and how often a step is halved before giving up.
const DECREASE: f64 = 1e-4;
const HALVINGS: usize = 40;

/// The furthest of `step`, half of it, a quarter, ... from `from` at which `value` has decreased enough; none when none
/// has. At the rounding error of the value, a step that does not increase it is enough.
fn backtrack<T>(value: f64, slope: f64, mut evaluate: impl FnMut(f64) -> (f64, T)) -> Option<(f64, T)> {
    let mut step = 1.0;
    let rounding = 8.0 * f64::EPSILON * value.abs();
    for _ in 0..HALVINGS {
        let (new, found) = evaluate(step);
        if new <= value + DECREASE * step * slope + rounding {
            return Some((step, found));
        }
        step /= 2.0;
    }
    None
}

/// Newton's method with halved steps, from `at` on; returns the last point.
///
/// Where the Hessian is not positive definite, as much of the identity is added to it as makes it so.
///
/// # Example
/// ```
/// use accordant_preference::optimize::{Quadratic, Stop, newton};
/// use nalgebra::{DMatrix, DVector};
/// // cosh(x - 1): the minimum is at 1.
/// let cosh = |x: &DVector<f64>| {
///     let u = x[0] - 1.0;
///     let hessian = DMatrix::from_element(1, 1, u.cosh());
///     Quadratic { value: u.cosh(), gradient: DVector::from_element(1, u.sinh()), hessian }
/// };
/// let (x, report) = newton(cosh, DVector::zeros(1), Stop { gradient: 1e-12, max_iterations: 20 });
/// assert!(report.converged && (x[0] - 1.0).abs() < 1e-12);
/// ```
pub fn newton(
    mut f: impl FnMut(&DVector<f64>) -> Quadratic,
    mut at: DVector<f64>,
    stop: Stop,
) -> (DVector<f64>, Report) {
    let mut here = f(&at);
    for iterations in 0..=stop.max_iterations {
        let gradient_norm = largest(here.gradient.as_slice());
        let converged = gradient_norm <= stop.gradient;
        let step = match converged || iterations == stop.max_iterations {
            true => None,
            false => downhill(&here).and_then(|direction| {
                let slope = here.gradient.dot(&direction);
                backtrack(here.value, slope, |step| {
                    let point = &at + &direction * step;
                    let there = f(&point);
                    (there.value, (point, there))
                })
            }),
        };
        let Some((_, (point, there))) = step else {
            return (at, Report { converged, iterations, objective: here.value, gradient_norm });
        };
        (at, here) = (point, there);
    }
    unreachable!("the last round returns")
}

/// Newton's direction, or that of a damped Hessian where Newton's leads uphill; none when the derivatives are not finite.
fn downhill(here: &Quadratic) -> Option<DVector<f64>> {
    // Where there is no curvature at all, a step of about 1.
    let scale = largest(here.hessian.as_slice()).max(largest(here.gradient.as_slice()));
    if !scale.is_finite() {
        return None;
    }
    let mut damping = 0.0;
    for _ in 0..60 {
        let mut damped = here.hessian.clone();
        (0..damped.nrows()).for_each(|i| damped[(i, i)] += damping);
        if let Some(factor) = damped.cholesky() {
            let direction = -factor.solve(&here.gradient);
            if here.gradient.dot(&direction) < 0.0 && largest(direction.as_slice()).is_finite() {
                return Some(direction);
            }
        }
        damping = (damping * 4.0).max(1e-8 * scale);
    }
    None
}

/// The limited-memory BFGS method with ten pairs, from `at` on; returns the last point.
///
/// `f` writes the gradient into its second argument and returns the value. A point where the value is not finite is
/// stepped back from.
///
/// # Example
/// ```
/// use accordant_preference::optimize::{Stop, lbfgs};
/// // Rosenbrock's valley: the minimum is at (1, 1).
/// let valley = |x: &[f64], gradient: &mut [f64]| {
///     let (a, b) = (1.0 - x[0], x[1] - x[0] * x[0]);
///     gradient.copy_from_slice(&[-2.0 * a - 400.0 * x[0] * b, 200.0 * b]);
///     a * a + 100.0 * b * b
/// };
/// let (x, report) = lbfgs(valley, vec![-1.2, 1.0], Stop { gradient: 1e-9, max_iterations: 200 });
/// assert!(report.converged && (x[0] - 1.0).abs() < 1e-8 && (x[1] - 1.0).abs() < 1e-8);
/// ```
pub fn lbfgs(mut f: impl FnMut(&[f64], &mut [f64]) -> f64, mut at: Vec<f64>, stop: Stop) -> (Vec<f64>, Report) {
    /// How many pairs of steps and gradient differences are remembered.
    const MEMORY: usize = 10;
    let mut gradient = vec![0.0; at.len()];
    let mut value = f(&at, &mut gradient);
    let mut memory: VecDeque<Pair> = VecDeque::new();
    for iterations in 0..=stop.max_iterations {
        let gradient_norm = largest(&gradient);
        let converged = gradient_norm <= stop.gradient;
        let mut step = None;
        // Where the remembered curvature misleads, steepest descent gets a chance.
        let tries =
            if converged || iterations == stop.max_iterations { 0 } else { 1 + usize::from(!memory.is_empty()) };
        for _ in 0..tries {
            let direction = two_loops(&gradient, &memory);
            let slope = dot(&gradient, &direction);
            step = backtrack(value, slope, |step| {
                let point: Vec<f64> = at.iter().zip(&direction).map(|(x, d)| x + step * d).collect();
                let mut there = vec![0.0; point.len()];
                let value = f(&point, &mut there);
                (if value.is_nan() { f64::INFINITY } else { value }, (value, point, there))
            });
            if step.is_some() {
                break;
            }
            memory.clear();
        }
        let Some((_, (there, point, slopes))) = step else {
            return (at, Report { converged, iterations, objective: value, gradient_norm });
        };
        let s: Vec<f64> = point.iter().zip(&at).map(|(new, old)| new - old).collect();
        let y: Vec<f64> = slopes.iter().zip(&gradient).map(|(new, old)| new - old).collect();
        let curvature = dot(&s, &y);
        if curvature > 1e-14 * dot(&y, &y) {
            if memory.len() == MEMORY {
                memory.pop_front();
            }
            memory.push_back(Pair { s, y, curvature });
        }
        (value, at, gradient) = (there, point, slopes);
    }
    unreachable!("the last round returns")
}

/// A step, the difference of the gradients at its ends, and their product.
struct Pair {
    s: Vec<f64>,
    y: Vec<f64>,
    curvature: f64,
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The direction of descent from the remembered pairs.
fn two_loops(gradient: &[f64], memory: &VecDeque<Pair>) -> Vec<f64> {
    let mut direction: Vec<f64> = gradient.iter().map(|g| -g).collect();
    let mut alphas = Vec::with_capacity(memory.len());
    for Pair { s, y, curvature } in memory.iter().rev() {
        let alpha = dot(s, &direction) / curvature;
        direction.iter_mut().zip(y).for_each(|(d, y)| *d -= alpha * y);
        alphas.push(alpha);
    }
    let scale = match memory.back() {
        Some(Pair { y, curvature, .. }) => curvature / dot(y, y),
        // The first step has length 1 at most.
        None => 1.0 / dot(gradient, gradient).sqrt().max(1.0),
    };
    direction.iter_mut().for_each(|d| *d *= scale);
    for (Pair { s, y, curvature }, alpha) in memory.iter().zip(alphas.into_iter().rev()) {
        let beta = dot(y, &direction) / curvature;
        direction.iter_mut().zip(s).for_each(|(d, s)| *d += (alpha - beta) * s);
    }
    direction
}

#[cfg(test)]
mod tests {
    use super::*;

    const STOP: Stop = Stop { gradient: 1e-10, max_iterations: 100 };

    /// `x⁴ / 4 - x`, flat at 0: minimum at 1. Newton's Hessian is singular at the start.
    fn quartic(x: &DVector<f64>) -> Quadratic {
        let x = x[0];
        Quadratic {
            value: x.powi(4) / 4.0 - x,
            gradient: DVector::from_element(1, x.powi(3) - 1.0),
            hessian: DMatrix::from_element(1, 1, 3.0 * x * x),
        }
    }

    #[test]
    fn newton_survives_a_singular_and_an_indefinite_hessian() {
        let (x, report) = newton(quartic, DVector::zeros(1), STOP);
        assert!(report.converged && (x[0] - 1.0).abs() < 1e-9, "{report:?}");
        // cos: at 0.1 the curvature is negative, and the nearest minimum is at π.
        let cos = |x: &DVector<f64>| Quadratic {
            value: x[0].cos(),
            gradient: DVector::from_element(1, -x[0].sin()),
            hessian: DMatrix::from_element(1, 1, -x[0].cos()),
        };
        let (x, report) = newton(cos, DVector::from_element(1, 0.1), STOP);
        assert!(report.converged && (x[0].cos() + 1.0).abs() < 1e-12, "{report:?} at {x}");
    }

    #[test]
    fn too_few_steps_are_no_convergence() {
        let stop = Stop { max_iterations: 2, ..STOP };
        let (_, report) = newton(quartic, DVector::from_element(1, 9.0), stop);
        assert_eq!((report.converged, report.iterations), (false, 2));
        let (_, report) = lbfgs(|x, g| ((g[0] = x[0].powi(3) - 1.0), x[0].powi(4) / 4.0 - x[0]).1, vec![9.0], stop);
        assert_eq!((report.converged, report.iterations), (false, 2));
        let (_, report) = newton(quartic, DVector::from_element(1, 1.0), stop);
        assert_eq!((report.converged, report.iterations, report.gradient_norm), (true, 0, 0.0));
    }

    #[test]
    fn what_is_not_finite_ends_the_search_and_is_no_convergence() {
        let nan = |_: &DVector<f64>| Quadratic {
            value: f64::NAN,
            gradient: DVector::from_element(1, f64::NAN),
            hessian: DMatrix::from_element(1, 1, f64::NAN),
        };
        let (_, report) = newton(nan, DVector::zeros(1), STOP);
        assert!(!report.converged && report.gradient_norm.is_infinite());
        let (_, report) = lbfgs(|_, g| ((g[0] = f64::NAN), f64::NAN).1, vec![0.0], STOP);
        assert!(!report.converged);
    }

    #[test]
    fn lbfgs_finds_the_minimum_of_a_badly_scaled_quadratic() {
        let scales = [1e-2, 1.0, 1e3, 7.0];
        let f = |x: &[f64], g: &mut [f64]| {
            let terms = x.iter().zip(scales).zip(g).map(|((x, scale), g)| {
                *g = scale * (x - 3.0);
                0.5 * scale * (x - 3.0).powi(2)
            });
            terms.sum()
        };
        let (x, report) = lbfgs(f, vec![0.0; 4], STOP);
        assert!(report.converged, "{report:?}");
        assert!(x.iter().all(|x| (x - 3.0).abs() < 1e-7), "{x:?}");
    }

    #[test]
    fn a_logarithm_is_never_asked_beyond_its_domain_in_the_end() {
        // x - log x: infinite at 0 and NaN below; the first steps from 1e-3 overshoot.
        let f = |x: &[f64], g: &mut [f64]| ((g[0] = 1.0 - 1.0 / x[0]), x[0] - x[0].ln()).1;
        let (x, report) = lbfgs(f, vec![5.0], STOP);
        assert!(report.converged && (x[0] - 1.0).abs() < 1e-8, "{report:?} at {x:?}");
    }
}
