//! Functions of single numbers: vectors in f64 whatever is stored, so that f32 results are rounded once.

use burn::backend::{Flex, TensorMetadata, ops::FloatTensorOps, tensor::FloatTensor};
use burn::tensor::DType;

use super::elementary::{Exp, ln, log1p, polynomial};
use super::real::Real;
use super::{numbers, tensor, vectorized};
use crate::{
    backend::pointwise::{Function, Pointwise},
    stable::naive::{ERFCX, ERFCX_CENTER},
};

/// Numbers that one thread takes at least: some tens of microseconds of work.
const GRAIN: usize = 1 << 15;

/// The function of each number and, where there is room for them, its slopes.
fn fill<T: Real>(x: &[T], values: &mut [T], slopes: Option<&mut [T]>, f: impl Fn(f64) -> [f64; 2] + Copy + Sync) {
    if x.len() > GRAIN {
        let half = x.len() / 2;
        let (x, values) = (x.split_at(half), values.split_at_mut(half));
        let slopes = slopes.map(|slopes| slopes.split_at_mut(half)).unzip();
        rayon::join(|| fill(x.0, values.0, slopes.0, f), || fill(x.1, values.1, slopes.1, f));
        return;
    }
    vectorized(
        pulp::Arch::new(),
        #[inline(always)]
        || match slopes {
            Some(slopes) => {
                for ((x, value), slope) in x.iter().zip(values).zip(slopes) {
                    let [y, dy] = f(x.to_f64());
                    (*value, *slope) = (T::from_f64(y), T::from_f64(dy));
                }
            }
            None => {
                for (x, value) in x.iter().zip(values) {
                    *value = T::from_f64(f(x.to_f64())[0]);
                }
            }
        },
    );
}

/// `1 / (1 + exp(-x))`, where `tail` is `exp(-|x|)`.
#[inline(always)]
fn logistic(x: f64, tail: f64) -> f64 {
    (if x < 0.0 { tail } else { 1.0 }) / (1.0 + tail)
}

/// Value and slope of `log(1 + exp(x))`.
#[inline(always)]
fn softplus(x: f64) -> [f64; 2] {
    let tail = Exp::of(-x.abs()).exp();
    // Of NaN, the maximum is 0 and the rest NaN.
    [x.max(0.0) + log1p(tail), logistic(x, tail)]
}

/// Value and slope of `log(1 - exp(a))`.
#[inline(always)]
fn log1mexp(a: f64, max: f64) -> [f64; 2] {
    let beyond = a > max;
    let exp = Exp::of(if beyond { max } else { a });
    let (p, complement) = (exp.exp(), -exp.expm1());
    let value = if p > 0.5 { ln(complement) } else { log1p(-p) };
    [value, if beyond { 0.0 } else { -p / complement }]
}

/// Value and slope of `log Φ(z)`.
#[inline(always)]
fn log_normal_cdf(z: f64) -> [f64; 2] {
    /// √(2/π): twice the density at 0.
    const TWICE_DENSITY: f64 = 0.797_884_560_802_865_4;
    let t = z.abs() * std::f64::consts::FRAC_1_SQRT_2;
    // Half of `exp(t²) erfc(t)`: the smaller tail without its exponential.
    let other = 0.5 * polynomial(&ERFCX, 1.0 - 2.0 * ERFCX_CENTER / (t + ERFCX_CENTER)) / (1.0 + 2.0 * t);
    let exponent = -0.5 * z * z;
    let density = Exp::of(exponent).exp();
    if z > 0.0 {
        let beyond = density * other;
        [log1p(-beyond), 0.5 * TWICE_DENSITY * density / (1.0 - beyond)]
    } else {
        [ln(other) + exponent, 0.5 * TWICE_DENSITY / other]
    }
}

fn run<T: Real>(x: &FloatTensor<Flex>, function: Function, sloped: bool) -> (Vec<T>, Option<Vec<T>>) {
    let room = || vec![T::ZERO; x.shape().num_elements()];
    let (mut values, mut slopes) = (room(), sloped.then(room));
    numbers::<T, _>(x, |x| {
        let (values, slopes) = (values.as_mut_slice(), slopes.as_deref_mut());
        // Each function makes a loop of its own.
        macro_rules! fill_with {
            ($x:ident => $value_and_slope:expr) => {
                fill(
                    x,
                    values,
                    slopes,
                    #[inline(always)]
                    move |$x| $value_and_slope,
                )
            };
        }
        match function {
            Function::Softplus => fill_with!(x => softplus(x)),
            Function::LogSigmoid => fill_with!(x => {
                let [value, slope] = softplus(-x);
                [-value, slope]
            }),
            Function::Logistic => fill_with!(x => {
                let tail = Exp::of(-x.abs()).exp();
                let value = logistic(x, tail);
                [value, value * logistic(-x, tail)]
            }),
            Function::Exp => fill_with!(x => {
                let exp = Exp::of(x).exp();
                [exp, exp]
            }),
            Function::Log1p => fill_with!(x => [log1p(x), 1.0 / (1.0 + x)]),
            Function::Expm1 => fill_with!(x => [Exp::of(x).expm1(), Exp::of(x).exp()]),
            Function::Expm1MinusX => fill_with!(x => [Exp::of(x).expm1_minus(x), Exp::of(x).expm1()]),
            Function::Log1mExp { max } => fill_with!(a => log1mexp(a, max)),
            Function::LogOdds { max } => fill_with!(a => {
                let [value, slope] = log1mexp(a, max);
                [a - value, 1.0 - slope]
            }),
            Function::LogNormalCdf => fill_with!(z => log_normal_cdf(z)),
        }
    });
    (values, slopes)
}

fn clamped<T: Real>(x: &FloatTensor<Flex>, bound: f64) -> FloatTensor<Flex> {
    let [low, high] = [-bound, bound].map(T::from_f64);
    let mut values = vec![T::ZERO; x.shape().num_elements()];
    numbers::<T, _>(x, |x| {
        vectorized(
            pulp::Arch::new(),
            #[inline(always)]
            || {
                for (x, value) in x.iter().zip(&mut values) {
                    let capped = if *x > high { high } else { *x };
                    *value = if capped < low { low } else { capped };
                }
            },
        );
    });
    tensor(values, x.shape())
}

fn clamped_grad<T: Real>(x: &FloatTensor<Flex>, grad: &FloatTensor<Flex>, bound: f64) -> FloatTensor<Flex> {
    let [low, high] = [-bound, bound].map(T::from_f64);
    let mut grads = vec![T::ZERO; x.shape().num_elements()];
    numbers::<T, _>(x, |x| {
        numbers::<T, _>(grad, |grad| {
            vectorized(
                pulp::Arch::new(),
                #[inline(always)]
                || {
                    for ((x, from), to) in x.iter().zip(grad).zip(&mut grads) {
                        *to = if *x > high || *x < low { T::ZERO } else { *from };
                    }
                },
            );
        });
    });
    tensor(grads, x.shape())
}

impl Pointwise for Flex {
    fn values(x: FloatTensor<Self>, function: Function) -> FloatTensor<Self> {
        match x.dtype() {
            // To the last digit, as whoever calls it in f64 expects of it.
            DType::F64 if function == Function::Exp => Self::float_exp(x),
            DType::F64 => tensor(run::<f64>(&x, function, false).0, x.shape()),
            _ => tensor(run::<f32>(&x, function, false).0, x.shape()),
        }
    }

    fn values_and_slopes(x: FloatTensor<Self>, function: Function) -> (FloatTensor<Self>, FloatTensor<Self>) {
        fn both<T: Real>(x: &FloatTensor<Flex>, function: Function) -> (FloatTensor<Flex>, FloatTensor<Flex>) {
            let (values, slopes) = run::<T>(x, function, true);
            (tensor(values, x.shape()), tensor(slopes.expect("asked for"), x.shape()))
        }
        // One tensor is both.
        if function == Function::Exp {
            let values = Self::values(x, function);
            return (values.clone(), values);
        }
        match x.dtype() {
            DType::F64 => both::<f64>(&x, function),
            _ => both::<f32>(&x, function),
        }
    }

    fn clamped(x: FloatTensor<Self>, bound: f64) -> FloatTensor<Self> {
        match x.dtype() {
            DType::F64 => clamped::<f64>(&x, bound),
            _ => clamped::<f32>(&x, bound),
        }
    }

    fn clamped_grad(x: FloatTensor<Self>, grad: FloatTensor<Self>, bound: f64) -> FloatTensor<Self> {
        match x.dtype() {
            DType::F64 => clamped_grad::<f64>(&x, &grad, bound),
            _ => clamped_grad::<f32>(&x, &grad, bound),
        }
    }
}
