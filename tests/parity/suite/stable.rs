//! The forms that survive the extremes.

use accordant_ops::stable;
use burn::tensor::{Device, Tensor};

use super::{Numbers, noise, vector};

const INF: f32 = f32::INFINITY;

pub fn add(numbers: &mut Numbers, device: &Device) {
    let any = [-1e4, -80.0, -20.0, -3.0, -0.6, -0.4, -1e-3, -1e-8, 0.0, 1e-8, 1e-3, 0.4, 0.6, 3.0, 20.0];
    let positive = [1e-8, 1e-3, 0.05, 0.2, 0.9, 3.0, 1e4];
    let above_minus_one = [-0.999, -0.5, -0.11, -0.09, -1e-3, -1e-8];
    let far = [-1e20, -1e4, 1e4, 1e20];
    let negative = [-1e4, -80.0, -3.0, -0.8, -0.6, -0.1, -1e-3, -1e-6];
    type Stable = fn(Tensor<1>) -> Tensor<1>;
    let functions: [(&str, &[f32], Stable); 18] = [
        ("stable::softplus", &any, stable::softplus),
        ("stable::softplus of large numbers", &positive, stable::softplus),
        ("stable::log_sigmoid", &any, stable::log_sigmoid),
        ("stable::logistic", &any, stable::logistic),
        ("stable::exp", &any, stable::exp),
        ("stable::log1p", &positive, stable::log1p),
        ("stable::log1p below 0", &above_minus_one, stable::log1p),
        ("stable::expm1", &any, stable::expm1),
        ("stable::expm1 of large numbers", &[33.0, 80.0], stable::expm1),
        ("stable::expm1_minus_x", &any, stable::expm1_minus_x),
        ("stable::log1mexp", &negative, stable::log1mexp),
        ("stable::log_odds", &negative, stable::log_odds),
        ("stable::huber", &any, |x| stable::huber(x, 1.0).unwrap()),
        ("stable::huber of large numbers", &far, |x| stable::huber(x, 2.0).unwrap()),
        ("stable::x_log_x", &positive, stable::x_log_x),
        ("stable::x_log_x at 0", &[0.0, 1.0], stable::x_log_x),
        ("stable::clamp_exponent", &any, |x| stable::clamp_exponent(x, Some(10.0)).unwrap()),
        ("stable::cap_exponent", &any, |x| stable::cap_exponent(x, Some(10.0)).unwrap()),
    ];
    for (name, at, f) in functions {
        numbers.add_with_gradients(name, device, &[at.to_vec()], |leaves| f(leaves[0].clone()));
    }
    let other: Vec<f32> = any.iter().rev().copied().collect();
    numbers.add_with_gradients("stable::log_add_exp", device, &[any.to_vec(), other], |leaves| {
        stable::log_add_exp(leaves[0].clone(), leaves[1].clone()).unwrap()
    });
    numbers.add_with_gradients("log_sum_exp", device, &[any.to_vec()], |x| stable::log_sum_exp(x[0].clone(), 0));
    infinities(numbers, device);
}

/// The ends of log space, and a row without any probability.
fn infinities(numbers: &mut Numbers, device: &Device) {
    let a = vector(&[-INF, -INF, 3.0, INF, -INF], device);
    let b = vector(&[-INF, 1.0, -INF, 2.0, INF], device);
    numbers.add("stable::log_add_exp of infinities", &stable::log_add_exp(a, b).unwrap());
    let (rows, columns) = (7, 101);
    let mut x = noise(71, rows * columns, -4.0, 4.0);
    x[2 * columns..3 * columns].fill(-INF);
    (x[5], x[columns]) = (-INF, 1e4);
    for dim in [0, 1] {
        numbers.add_with_gradients(&format!("log_sum_exp along {dim}"), device, &[x.clone()], |leaves| {
            stable::log_sum_exp(leaves[0].clone().reshape([rows, columns]), dim)
        });
    }
}
