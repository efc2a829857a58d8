use burn::tensor::activation::log_softmax;
use burn::tensor::{DType, Device, Tensor};

use super::*;
use crate::Error;
use crate::stable::testing::*;

const ESTIMATORS: [KlEstimator; 4] = [KlEstimator::K1, KlEstimator::Abs, KlEstimator::K2, KlEstimator::K3];
const POLICY: [f64; 5] = [0.3, -1.2, 0.8, 2.0, -0.5];
const REFERENCE: [f64; 5] = [0.0, 0.4, 1.1, 0.7, -2.0];
const OLD: [f64; 5] = [-0.2, -0.9, 0.1, 2.4, 0.4];

fn token_kl(u: &[f64], options: KlOptions) -> (Vec<f64>, Vec<f64>) {
    value_and_grad(u, |u| kl_per_token(u.clone(), u.zeros_like(), &options).unwrap())
}

fn softmax(logits: &[f64]) -> Vec<f64> {
    let total: f64 = logits.iter().map(|x| x.exp()).sum();
    logits.iter().map(|x| x.exp() / total).collect()
}

/// Expected value of an estimator over the five tokens as `sampler` draws them, and its gradient with respect to π's
/// logits; the sampling probabilities are constants, as they are for a batch of samples. `corrected` is by
/// importance.
fn expectation(options: KlOptions, sampler: &[f64], corrected: bool) -> (f64, Vec<f64>) {
    let (values, grads) = value_and_grad(&POLICY, |logits| {
        let logps = log_softmax(logits, 0);
        let reference = log_softmax(tracked(&REFERENCE), 0);
        let old = log_softmax(tracked(sampler), 0).detach();
        let kl = kl_per_token(logps.clone(), reference, &options).unwrap();
        let kl = if corrected { importance_corrected(kl, logps - old.clone(), Some(20.0)).unwrap() } else { kl };
        kl * old.exp()
    });
    (values.iter().sum(), grads)
}

fn on_policy(options: KlOptions) -> (f64, Vec<f64>) {
    expectation(options, &POLICY, false)
}

/// `Σ_v p_v g_v`, and its gradient `p_j (g_j - Σ_v p_v g_v)` with `g` held fixed.
fn score(g: &[f64]) -> (f64, Vec<f64>) {
    let p = softmax(&POLICY);
    let mean: f64 = p.iter().zip(g).map(|(p, g)| p * g).sum();
    (mean, p.iter().zip(g).map(|(p, g)| p * (g - mean)).collect())
}

#[track_caller]
fn assert_near(got: &[f64], expected: &[f64]) {
    assert!(got.iter().zip(expected).all(|(g, e)| (g - e).abs() < 1e-10), "got {got:?}, expected {expected:?}");
}

#[test]
fn expectations_and_gradients_are_those_of_the_table() {
    let (p, q) = (softmax(&POLICY), softmax(&REFERENCE));
    let u: Vec<f64> = p.iter().zip(&q).map(|(p, q)| (p / q).ln()).collect();
    let map = |f: fn(f64) -> f64| score(&u.iter().map(|&u| f(u)).collect::<Vec<_>>());
    // The gradient of Σ p u is that of Σ p with u fixed: the derivative of u itself sums to 0.
    let (kl, kl_gradient) = map(|u| u);
    let forward_kl_gradient: Vec<f64> = p.iter().zip(&q).map(|(p, q)| p - q).collect();
    let estimate = |estimator| on_policy(KlOptions::new(estimator));

    let (value, gradient) = estimate(KlEstimator::K1);
    assert_near(&[value], &[kl]);
    assert_near(&gradient, &[0.0; 5]);
    let (value, gradient) = estimate(KlEstimator::Abs);
    assert_near(&[value], &[map(f64::abs).0]);
    assert_near(&gradient, &map(f64::signum).1);
    let (value, gradient) = estimate(KlEstimator::K2);
    assert_near(&[value], &[map(|u| u * u / 2.0).0]);
    assert!((value - kl).abs() > 0.01);
    assert_near(&gradient, &kl_gradient);
    let (value, gradient) = estimate(KlEstimator::K3);
    assert_near(&[value], &[kl]);
    assert_near(&gradient, &forward_kl_gradient);

    for estimator in ESTIMATORS {
        let options = KlOptions::new(estimator).with_gradient(KlGradient::K2StraightThrough);
        let (value, gradient) = on_policy(options);
        assert_near(&[value], &[estimate(estimator).0]);
        assert_near(&gradient, &kl_gradient);
    }
    for sampler in [POLICY, OLD] {
        for estimator in [KlEstimator::K1, KlEstimator::K3] {
            let (value, gradient) = expectation(KlOptions::new(estimator), &sampler, true);
            assert_near(&[value], &[kl]);
            assert_near(&gradient, &kl_gradient);
        }
    }
    let (value, gradient) = expectation(KlOptions::new(KlEstimator::K3), &OLD, false);
    assert!((value - kl).abs() > 0.01 && (gradient[0] - kl_gradient[0]).abs() > 0.01);
    let (value, gradient) = value_and_grad(&POLICY, |logits| {
        let row = |logits: Tensor<1>| log_softmax(logits.reshape([1, 5]), 1);
        kl_full::<2, 1>(row(logits), row(tracked(&REFERENCE))).unwrap()
    });
    assert_near(&value, &[kl]);
    assert_near(&gradient, &kl_gradient);
}

#[test]
fn k1_in_the_reward_descends_the_divergence() {
    // REINFORCE with the reward -k1: the gradient of -Σ p R log π with R detached. No coefficient but the KL's.
    let (_, gradient) = value_and_grad(&POLICY, |logits| {
        let logps = log_softmax(logits, 0);
        let reference = log_softmax(tracked(&REFERENCE), 0);
        let k1 = kl_per_token(logps.clone(), reference, &KlOptions::new(KlEstimator::K1)).unwrap().detach();
        k1 * logps.clone() * logps.detach().exp()
    });
    let (p, q) = (softmax(&POLICY), softmax(&REFERENCE));
    let (_, kl_gradient) = score(&p.iter().zip(&q).map(|(p, q)| (p / q).ln()).collect::<Vec<_>>());
    assert_near(&gradient, &kl_gradient);
}

#[test]
fn what_is_logged_skips_masked_tokens_and_empty_rows() {
    let kl = tracked(&[1.0, f64::NAN, 5.0, 2.0, f64::NAN, f64::INFINITY]).reshape([3, 2]);
    let mask = |rows: [[bool; 2]; 3]| Tensor::from_bool(rows, &Device::flex().autodiff());
    let means = kl_means(kl.clone(), mask([[true, false], [true, true], [false, false]])).unwrap();
    assert_eq!((means.mean("kl_token"), means.mean("kl_seq")), (Some(8.0 / 3.0), Some(4.0)));
    let means = kl_means(kl, mask([[false; 2]; 3])).unwrap();
    assert_eq!((means.mean("kl_token"), means.mean("kl_seq")), (None, None));
    assert!(matches!(kl_means(none([2, 3]), mask([[true; 2]; 3])), Err(Error::ShapeMismatch { name: "mask", .. })));
    let (_, gradient) = value_and_grad(&[0.3], |x| importance_corrected(x.clone(), x, Some(0.1)).unwrap());
    assert_close(&gradient, &[0.1f64.exp()], 1e-15); // the clamped ratio is a constant
    assert!(importance_corrected(tracked(&[0.0; 2]), tracked(&[0.0]), None).is_err());
    let error = importance_corrected(tracked(&[0.0]), tracked(&[0.0]), Some(0.0)).unwrap_err();
    assert!(matches!(error, Error::Domain { name: "log_ratio_clamp", .. }));
}

#[test]
fn half_precision_is_computed_in_f32() {
    for dtype in [DType::F16, DType::BF16] {
        let half = |x: f64| Tensor::<1>::from_data([x], (&Device::flex(), dtype));
        let kl = kl_per_token(half(-300.0), half(0.0), &KlOptions::new(KlEstimator::K2)).unwrap();
        assert_eq!((kl.dtype(), host(kl)), (DType::F32, vec![45_000.0])); // its square has no f16
    }
}

#[test]
fn total_variation_is_what_abs_descends() {
    let distance =
        |logits: &[f64]| -> f64 { softmax(logits).iter().zip(softmax(&REFERENCE)).map(|(p, q)| (p - q).abs()).sum() };
    let (_, gradient) = on_policy(KlOptions::new(KlEstimator::Abs));
    for i in 0..5 {
        let moved = |step: f64| {
            let mut logits = POLICY;
            logits[i] += step;
            distance(&logits)
        };
        assert!((gradient[i] - (moved(1e-5) - moved(-1e-5)) / 2e-5).abs() < 1e-9);
    }
}

#[test]
fn golden_values_at_a_log_ratio_of_0_3() {
    let at = |estimator| token_kl(&[0.3, -0.3, 0.0], KlOptions::new(estimator));
    assert_eq!(at(KlEstimator::K1), (vec![0.3, -0.3, 0.0], vec![1.0; 3]));
    assert_eq!(at(KlEstimator::Abs), (vec![0.3, 0.3, 0.0], vec![1.0, -1.0, 0.0]));
    let (value, gradient) = at(KlEstimator::K2);
    assert_close(&value, &[0.045, 0.045, 0.0], 1e-15);
    assert_close(&gradient, &[0.3, -0.3, 0.0], 1e-15);
    // exp(-0.3) - 0.7 and exp(0.3) - 1.3; slope 1 - exp(-u).
    let (value, gradient) = at(KlEstimator::K3);
    assert_close(&value, &[0.040_818_220_681_717_87, 0.049_858_807_576_003_1, 0.0], 1e-13);
    assert_close(&gradient, &[0.259_181_779_318_282_1, -0.349_858_807_576_003_1, 0.0], 1e-13);
    for estimator in ESTIMATORS {
        assert_gradient(&[1.5, 0.2, -0.7, -3.0], |policy| {
            kl_per_token(policy.clone(), policy.zeros_like(), &KlOptions::new(estimator)).unwrap()
        });
    }
}

#[test]
fn log_ratios_of_1e4_stay_finite() {
    for gradient in [KlGradient::Natural, KlGradient::K2StraightThrough] {
        for estimator in ESTIMATORS {
            let (value, slope) = token_kl(&[1e4, -1e4], KlOptions::new(estimator).with_gradient(gradient));
            assert!(value.iter().chain(&slope).all(|x| x.is_finite()));
        }
    }
    // exp(-20) - 1 + 20, and exp(20) - 1 - 20, both flat.
    let (value, slope) = token_kl(&[1e4, -1e4], KlOptions::new(KlEstimator::K3));
    assert_close(&value, &[19.0 + (-20f64).exp(), 20f64.exp() - 21.0], 1e-14);
    assert_eq!(slope, [0.0, 0.0]);
    let (value, _) = token_kl(&[1e4, -1e4], KlOptions::new(KlEstimator::K3).with_exponent_clamp(None));
    assert_eq!(value, [9999.0, f64::INFINITY]);
    let options = KlOptions::new(KlEstimator::K1).with_value_clamp(Some(10.0));
    assert_eq!(token_kl(&[1e4, -1e4, 3.0], options), (vec![10.0, -10.0, 3.0], vec![0.0, 0.0, 1.0]));
    let straight = options.with_gradient(KlGradient::K2StraightThrough);
    assert_eq!(token_kl(&[1e4, -1e4, 3.0], straight), (vec![10.0, -10.0, 3.0], vec![1e4, -1e4, 3.0]));
}

#[test]
fn the_reference_is_a_constant() {
    for estimator in ESTIMATORS {
        let (policy, reference) = (tracked(&[-1.0]), tracked(&[-2.0]));
        let kl = kl_per_token(policy.clone(), reference.clone(), &KlOptions::new(estimator)).unwrap();
        let grads = kl.backward();
        assert!(policy.grad(&grads).is_some() && reference.grad(&grads).is_none());
    }
}

#[test]
fn masked_inputs_keep_nan_out_of_the_gradient() {
    let (at, dropped) = ([0.5, f64::NAN], tracked(&[0.0, f64::NAN]).is_nan());
    for estimator in ESTIMATORS {
        let (_, gradient) = value_and_grad(&at, |policy| {
            let reference = tracked(&[0.0, f64::NEG_INFINITY]).mask_fill(dropped.clone(), 0.0);
            let policy = policy.mask_fill(dropped.clone(), 0.0);
            kl_per_token(policy, reference, &KlOptions::new(estimator)).unwrap()
        });
        assert!(gradient[0] > 0.0 && gradient[1] == 0.0);
    }
}

#[test]
fn clamps_and_shapes_outside_their_domain_are_errors() {
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let options = KlOptions::new(KlEstimator::K1);
        for options in [options.with_exponent_clamp(Some(bad)), options.with_value_clamp(Some(bad))] {
            let error = kl_per_token(tracked(&[0.0]), tracked(&[0.0]), &options).unwrap_err();
            assert!(matches!(error, Error::Domain { name: "exponent_clamp" | "value_clamp", .. }));
        }
    }
    let error = kl_per_token(tracked(&[0.0, 1.0]), tracked(&[0.0]), &KlOptions::new(KlEstimator::K3)).unwrap_err();
    assert_eq!(error, Error::ShapeMismatch { name: "reference", expected: vec![2], got: vec![1] });
    assert!(kl_full::<2, 1>(tracked(&[0.0; 4]).reshape([2, 2]), tracked(&[0.0; 2]).reshape([1, 2])).is_err());
    let nothing = || none([3, 0]);
    assert_eq!(host(kl_full::<2, 1>(nothing(), nothing()).unwrap()), [0.0; 3]);
    assert!(token_kl(&[], KlOptions::new(KlEstimator::K3)).0.is_empty());
}

#[test]
fn exact_divergence_of_distributions_with_holes() {
    let inf = f64::INFINITY;
    let rows = |reference: [f64; 6]| {
        value_and_grad(&[0.0, -inf, 0.5f64.ln(), 0.5f64.ln(), -inf, 0.0], move |p| {
            kl_full::<2, 1>(p.reshape([3, 2]), tracked(&reference).reshape([3, 2])).unwrap()
        })
    };
    // (1, 0) against (1/4, 3/4): log 4. (1/2, 1/2) against itself: 0. (0, 1) against (0, 1): 0, both holes at once.
    let (values, grads) = rows([0.25f64.ln(), 0.75f64.ln(), 0.5f64.ln(), 0.5f64.ln(), -inf, 0.0]);
    assert_close(&values, &[4f64.ln(), 0.0, 0.0], 1e-15);
    assert_close(&grads, &[1.0 + 4f64.ln(), 0.0, 0.5, 0.5, 0.0, 1.0], 1e-15);
    let (values, _) = rows([-inf, 0.0, 0.0, -inf, 0.0, -inf]);
    assert_eq!(values, [inf; 3]);
}
