//! Minimizers for the small, smooth problems of this crate, and their report.
//!
//! [`newton`] where the Hessian is at hand (tables of items, logistic regressions), [`lbfgs`] where it is not. Both go
//! downhill only; [`adam`] is there for fits that are stopped early on purpose. All run in `f64` and never say that they
//! have converged when they have not.

use std::collections::VecDeque;

use accordant_ops::check_domain;
use nalgebra::{DMatrix, DVector};
use serde::{Deserialize, Serialize};

use crate::Result;

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
pub(crate) fn largest(vector: &[f64]) -> f64 {
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

/// Adam on all data (β₁ = 0.9, β₂ = 0.999, ε = 1e-8) with a step that falls to 0 along a cosine; returns the last point.
///
/// It has converged only if no derivative exceeds `stop.gradient` in the end, which a schedule that is made to stop early
/// is not meant to reach. Takes `stop.max_iterations` steps; a derivative that is not finite ends it.
///
/// # Example
/// ```
/// use accordant_preference::optimize::{Stop, adam};
/// let parabola = |x: &[f64], gradient: &mut [f64]| {
///     gradient[0] = 2.0 * (x[0] - 3.0);
///     (x[0] - 3.0).powi(2)
/// };
/// let (x, report) = adam(parabola, vec![0.0], 0.05, Stop { gradient: 1e-3, max_iterations: 400 });
/// assert!(report.converged && (x[0] - 3.0).abs() < 1e-3);
/// ```
pub fn adam(
    mut f: impl FnMut(&[f64], &mut [f64]) -> f64,
    mut at: Vec<f64>,
    learning_rate: f64,
    stop: Stop,
) -> (Vec<f64>, Report) {
    const BETAS: [f64; 2] = [0.9, 0.999];
    let mut gradient = vec![0.0; at.len()];
    let mut moments = vec![[0.0; 2]; at.len()];
    let mut iterations = 0;
    loop {
        let objective = f(&at, &mut gradient);
        let gradient_norm = largest(&gradient);
        if iterations == stop.max_iterations || !gradient_norm.is_finite() {
            return (at, Report { converged: gradient_norm <= stop.gradient, iterations, objective, gradient_norm });
        }
        let done = iterations as f64 / stop.max_iterations as f64;
        iterations += 1;
        let rate = learning_rate * 0.5 * (1.0 + (std::f64::consts::PI * done).cos());
        let [bias, square_bias] = BETAS.map(|beta| 1.0 - beta.powi(iterations as i32));
        for ((x, g), [mean, square]) in at.iter_mut().zip(&gradient).zip(&mut moments) {
            *mean = BETAS[0] * *mean + (1.0 - BETAS[0]) * g;
            *square = BETAS[1] * *square + (1.0 - BETAS[1]) * g * g;
            *x -= rate * (*mean / bias) / ((*square / square_bias).sqrt() + 1e-8);
        }
    }
}

/// Which minimizer, and when it stops.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Solver {
    /// [`lbfgs`] until no derivative exceeds `gradient`, or `max_iterations` steps.
    Lbfgs {
        /// The largest absolute derivative at which a point counts as the minimum, > 0.
        gradient: f64,
        /// Steps at most.
        max_iterations: usize,
    },
    /// [`adam`] for a fixed number of steps: stopping early is part of the model's regularization.
    Adam {
        /// The first step's size, finite and > 0.
        learning_rate: f64,
        /// Steps.
        steps: usize,
    },
}

impl Solver {
    /// Checks the numbers.
    ///
    /// # Errors
    /// A domain error naming `gradient` or `learning_rate`.
    pub fn check(self) -> Result<()> {
        let (name, value) = match self {
            Self::Lbfgs { gradient, .. } => ("gradient", gradient),
            Self::Adam { learning_rate, .. } => ("learning_rate", learning_rate),
        };
        Ok(check_domain(value.is_finite() && value > 0.0, name, "finite and > 0", value)?)
    }

    /// Runs it from `at` on; `f` writes the gradient into its second argument and returns the value.
    pub fn minimize(self, f: impl FnMut(&[f64], &mut [f64]) -> f64, at: Vec<f64>) -> (Vec<f64>, Report) {
        match self {
            Self::Lbfgs { gradient, max_iterations } => lbfgs(f, at, Stop { gradient, max_iterations }),
            // A derivative this small next to the sums that these objectives are counts as none.
            Self::Adam { learning_rate, steps } => {
                adam(f, at, learning_rate, Stop { gradient: 1e-6, max_iterations: steps })
            }
        }
    }
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
    fn a_step_must_decrease_the_value_or_leave_it_within_rounding() {
        // A slope of −1: at least 1e-4 for a step of 1.
        let falls = |by: f64| backtrack(0.0, -1.0, |step| (-by * step, step));
        assert_eq!(falls(1.1e-4), Some((1.0, 1.0)));
        assert_eq!(falls(0.9e-4), None);
        let mut asked = Vec::new();
        let late = backtrack(5.0, -1.0, |step| {
            asked.push(step);
            (if step > 0.25 { 9.0 } else { 4.0 }, ())
        });
        assert_eq!((late, asked), (Some((0.25, ())), vec![1.0, 0.5, 0.25]));
        // Four units of rounding of a thousand are none, twenty are an increase; of 1e-3, too.
        for value in [1e3, 1e-3] {
            let rises = |units: f64| backtrack(value, -1e-30, |step| (value + units * f64::EPSILON * value, step));
            assert!(rises(4.0).is_some() && rises(20.0).is_none(), "{value}");
        }
    }

    #[test]
    fn a_direction_leads_downhill_or_there_is_none() {
        let one = |gradient: f64, hessian: f64| {
            let direction = downhill(&Quadratic {
                value: 0.0,
                gradient: DVector::from_element(1, gradient),
                hessian: DMatrix::from_element(1, 1, hessian),
            });
            direction.map(|direction| direction[0])
        };
        assert_eq!(one(3.0, 4.0), Some(-0.75));
        assert_eq!(one(0.0, 4.0), None, "nowhere is downhill");
        // Curvature −3 with its damping, 3e-8 4^k: the first of them that is larger than 3 has k = 14.
        let damped = one(1.0, -3.0).unwrap() * (3e-8 * 4f64.powi(14) - 3.0);
        assert!((damped + 1.0).abs() < 1e-12, "{damped}");
        // A step that overflows is none.
        let long = one(1.0, 1e-310).unwrap();
        assert!((long / -1e8 - 1.0).abs() < 1e-12, "{long}");
        assert_eq!(one(f64::INFINITY, 1.0), None);
    }

    #[test]
    fn a_remembered_curvature_that_misleads_is_forgotten() {
        // After the first step nothing along the remembered direction is finite.
        let mut calls = 0;
        let trap = |x: &[f64], g: &mut [f64]| {
            calls += 1;
            g[0] = 2.0 * (x[0] - 3.0);
            if (3..3 + HALVINGS).contains(&calls) { f64::INFINITY } else { (x[0] - 3.0).powi(2) }
        };
        let (x, report) = lbfgs(trap, vec![0.0], STOP);
        assert!(report.converged && (x[0] - 3.0).abs() < 1e-9, "{report:?} at {x:?}");
    }

    #[test]
    fn a_line_has_no_curvature_to_remember() {
        let mut calls = 0;
        let line = |x: &[f64], g: &mut [f64]| {
            calls += 1;
            g[0] = 0.5;
            0.5 * x[0]
        };
        let (x, report) = lbfgs(line, vec![0.0], Stop { gradient: 1e-9, max_iterations: 3 });
        assert_eq!((x[0], report.iterations, calls), (-1.5, 3, 4), "steepest descent throughout, at once");
    }

    #[test]
    fn a_shallow_bowl_is_as_easy_as_a_deep_one() {
        let bowl = |x: &[f64], g: &mut [f64]| {
            g.copy_from_slice(&[1e-8 * (x[0] - 3.0), 4e-8 * (x[1] + 1.0)]);
            0.5e-8 * (x[0] - 3.0).powi(2) + 2e-8 * (x[1] + 1.0).powi(2)
        };
        let (x, report) = lbfgs(bowl, vec![0.0, 0.0], Stop { gradient: 1e-15, max_iterations: 60 });
        assert!(report.converged && (x[0] - 3.0).abs() < 1e-6 && (x[1] + 1.0).abs() < 1e-6, "{report:?} at {x:?}");
    }

    #[test]
    fn directions_of_lbfgs_by_hand() {
        let close = |got: Vec<f64>, expected: [f64; 2]| {
            assert!(got.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-14), "{got:?} is not {expected:?}");
        };
        // Without a memory, downhill by 1 at most.
        let none = VecDeque::new();
        close(two_loops(&[3.0, 4.0], &none), [-0.6, -0.8]);
        close(two_loops(&[0.3, 0.4], &none), [-0.3, -0.4]);
        // α = −2; (0, −1) times γ = 2/5; β = −1/5; and (α − β) s.
        let one = VecDeque::from([Pair { s: vec![1.0, 0.0], y: vec![2.0, 1.0], curvature: 2.0 }]);
        close(two_loops(&[4.0, 3.0], &one), [-1.8, -0.4]);
        // A curvature of 1/2 along the first axis and of 4 along the second: Newton's direction.
        let both = VecDeque::from([
            Pair { s: vec![3.0, 0.0], y: vec![1.5, 0.0], curvature: 4.5 },
            Pair { s: vec![0.0, 0.5], y: vec![0.0, 2.0], curvature: 1.0 },
        ]);
        close(two_loops(&[2.0, 3.0], &both), [-4.0, -0.75]);
    }

    #[test]
    fn a_slope_as_small_as_what_adam_adds_halves_its_step() {
        let flat = |_: &[f64], g: &mut [f64]| ((g[0] = 1e-8), 0.0).1;
        let (x, _) = adam(flat, vec![0.0], 0.1, Stop { gradient: 1e-12, max_iterations: 1 });
        assert!((x[0] + 0.05).abs() < 1e-12, "{x:?}");
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

    /// Two unequal valleys: `(x² − 1)² + x / 4` beside a flat direction.
    fn valleys(x: &[f64], g: &mut [f64]) -> f64 {
        g.copy_from_slice(&[4.0 * x[0] * (x[0] * x[0] - 1.0) + 0.25, 2e-4 * x[1]]);
        (x[0] * x[0] - 1.0).powi(2) + 0.25 * x[0] + 1e-4 * x[1] * x[1]
    }

    #[test]
    fn adam_takes_steps_of_its_rate_and_says_when_it_was_stopped_early() {
        // The first step has the size of the rate, whatever the slope.
        let stop = Stop { gradient: 1e-3, max_iterations: 1 };
        let (x, report) = adam(valleys, vec![2.0, 50.0], 0.1, stop);
        assert!((x[0] - 1.9).abs() < 1e-6 && (x[1] - 49.9).abs() < 1e-6, "{x:?}");
        assert_eq!((report.converged, report.iterations), (false, 1));
        let mut gradient = [0.0; 2];
        assert_eq!(report.objective, valleys(&x, &mut gradient));
        assert_eq!(report.gradient_norm, gradient[0]);
        // The second of two is half as large: its momentum is the first slope's and its own.
        let line = |_: &[f64], g: &mut [f64]| ((g[0] = 3.0), 0.0).1;
        let (x, _) = adam(line, vec![0.0], 0.1, Stop { max_iterations: 2, ..stop });
        assert!((x[0] + 0.15).abs() < 1e-8, "{x:?}");
        let (x, report) = adam(valleys, vec![-0.5, 0.5], 0.1, Stop { max_iterations: 500, ..stop });
        assert!(report.converged && (x[0] + 1.03).abs() < 1e-2, "{report:?} at {x:?}");
        let (_, report) = adam(|_, g| ((g[0] = f64::NAN), 0.0).1, vec![0.0], 0.1, Stop { max_iterations: 9, ..stop });
        assert_eq!((report.converged, report.iterations), (false, 0));
    }

    #[test]
    fn adam_scales_its_steps_by_the_slopes_that_it_has_seen() {
        // Slopes 1 and then 3: moments 0.1, 0.39 and 0.001, 0.009999, with the biases of two steps taken off.
        let mut call = 0.0;
        let line = |_: &[f64], g: &mut [f64]| {
            call += 1.0;
            g[0] = 2.0 * call - 1.0;
            0.0
        };
        let (x, _) = adam(line, vec![0.0], 0.1, Stop { gradient: 1e-3, max_iterations: 2 });
        let second = 0.05 * (0.39 / 0.19) / ((0.009_999f64 / 0.001_999).sqrt());
        assert!((x[0] + 0.1 + second).abs() < 1e-8, "{x:?}");
    }

    #[test]
    fn a_solver_checks_its_numbers_and_runs_what_it_says() {
        let solvers = |number| {
            let (gradient, learning_rate) = (number, number);
            [Solver::Lbfgs { gradient, max_iterations: 50 }, Solver::Adam { learning_rate, steps: 50 }]
        };
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            for (solver, name) in solvers(bad).into_iter().zip(["gradient", "learning_rate"]) {
                let error = solver.check().unwrap_err().to_string();
                assert!(error.starts_with(&format!("`{name}`: expected finite and > 0")), "{error}");
            }
        }
        let [bfgs, adam] = solvers(1e-2).map(|solver| {
            solver.check().unwrap();
            solver.minimize(valleys, vec![-0.8, 0.0])
        });
        assert!(bfgs.1.converged && bfgs.1.iterations < 20, "{:?}", bfgs.1);
        assert!(!adam.1.converged && adam.1.iterations == 50, "{:?}", adam.1);
    }
}
