//! Exact divergences.

use super::*;

type Divergence = fn(Tensor<2>, Tensor<2>, f64, KlDirection) -> Result<Tensor<1>>;
const FORMS: [Divergence; 2] = [kl_logits, naive::kl_logits];
const DIRECTIONS: [KlDirection; 2] = [KlDirection::Reverse, KlDirection::Forward];
const NONE: f64 = f64::NEG_INFINITY;
const DTYPES: [DType; 2] = [DType::F64, DType::F32];

/// The divergence of one batch, and the gradient of its sum by the policy's logits.
fn of(form: Divergence, policy: &[f64], reference: &[f64], v: usize, direction: KlDirection, dtype: DType) -> Run {
    let n = policy.len() / v;
    let leaf = tensor(policy, [n, v], dtype).require_grad();
    let kl = form(leaf.clone(), tensor(reference, [n, v], dtype), 1.0, direction).unwrap();
    let grads = kl.clone().sum().backward();
    Run(vec![("kl", host(&kl)), ("grad", host(&leaf.grad(&grads).unwrap()))])
}

#[test]
fn three_quarters_against_one_half_by_hand() {
    // p = [3/4, 1/4], q = [1/2, 1/2], logits half as large at a temperature of 1/2.
    let (policy, reference) =
        (tensor(&[3f64.ln() / 2.0, 0.0], [1, 2], DType::F64), tensor(&[5.0, 5.0], [1, 2], DType::F64));
    let reverse = 0.75 * 1.5f64.ln() + 0.25 * 0.5f64.ln();
    let forward = 0.5 * (2.0f64 / 3.0).ln() + 0.5 * 2f64.ln();
    for form in FORMS {
        for (direction, expected) in [(KlDirection::Reverse, reverse), (KlDirection::Forward, forward)] {
            let kl = form(policy.clone(), reference.clone(), 0.5, direction).unwrap().into_scalar::<f64>();
            assert!((kl - expected).abs() < 1e-15, "{direction:?}: {kl}");
        }
    }
}

#[test]
fn the_gradient_by_hand() {
    // Reverse: p_j (log p_j / q_j - KL); forward: p_j - q_j. p and q as above.
    let (policy, reference) = ([3f64.ln(), 0.0], [0.0; 2]);
    let kl = 0.75 * 1.5f64.ln() + 0.25 * 0.5f64.ln();
    let reverse = [0.75 * (1.5f64.ln() - kl), 0.25 * (0.5f64.ln() - kl)];
    for form in FORMS {
        let grad = |direction| of(form, &policy, &reference, 2, direction, DType::F64);
        assert_near(grad(KlDirection::Reverse).get("grad"), &reverse, 1e-14, "reverse");
        assert_near(grad(KlDirection::Forward).get("grad"), &[0.25, -0.25], 1e-14, "forward");
    }
}

#[test]
fn equal_logits_have_no_divergence_and_no_gradient() {
    let v = 1500;
    let mut logits: Vec<f64> = noise(91, 3 * v).into_iter().map(|x| 5.0 * x).collect();
    logits[3] = NONE;
    logits[v] = 1e4;
    for form in FORMS {
        for direction in DIRECTIONS {
            for dtype in [DType::F64, DType::F32, DType::BF16, DType::F16] {
                let run = of(form, &logits, &logits, v, direction, dtype);
                assert_eq!(run.get("kl"), [0.0; 3], "{direction:?} {dtype:?}");
                assert!(run.get("grad").iter().all(|grad| grad.abs() < 1e-7), "{direction:?} {dtype:?}");
            }
        }
    }
}

#[test]
fn a_divergence_is_the_naive_one_and_never_negative() {
    for (n, v) in [(1, 1), (4, 15), (3, 17), (5, 1024), (3, 2500)] {
        let (policy, reference) = (noise(92, n * v), noise(93, n * v));
        // Near the policy, where rounding shows: the divergence is about 1e-6.
        let near: Vec<f64> = policy.iter().zip(&reference).map(|(p, q)| p + 1e-3 * q).collect();
        for reference in [&reference, &near] {
            for direction in DIRECTIONS {
                let expected = of(naive::kl_logits, &policy, reference, v, direction, DType::F64);
                let got = of(kl_logits, &policy, reference, v, direction, DType::F64);
                // The terms are of either sign, so that rounding is of their size and not of the divergence's.
                for (got, expected) in got.0.iter().zip(&expected.0) {
                    let near = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-14 + 1e-12 * b.abs();
                    assert!(got.1.iter().zip(&expected.1).all(near), "{n} {v} {direction:?} {got:?} {expected:?}");
                }
                assert!(got.get("kl").iter().all(|kl| *kl >= -1e-15));
                for form in FORMS {
                    let single = of(form, &policy, reference, v, direction, DType::F32);
                    for (got, expected) in single.get("kl").iter().zip(expected.get("kl")) {
                        assert!(
                            *got >= -1e-6 && (got - expected).abs() < 1e-6 * expected.abs().max(1.0),
                            "{got} {expected}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn half_precision_is_summed_in_f32() {
    let (policy, reference) = (noise(94, 2 * 900), noise(95, 2 * 900));
    for dtype in [DType::BF16, DType::F16] {
        let round = |x: &[f64]| host(&tensor(x, [x.len()], dtype));
        let (policy, reference) = (round(&policy), round(&reference));
        for direction in DIRECTIONS {
            let expected = of(naive::kl_logits, &policy, &reference, 900, direction, DType::F64);
            let got = of(kl_logits, &policy, &reference, 900, direction, dtype);
            assert_near(got.get("kl"), expected.get("kl"), 1e-6, "kl");
            let rounding = if dtype == DType::BF16 { 2f64.powi(-8) } else { 2f64.powi(-11) };
            assert_near(got.get("grad"), expected.get("grad"), rounding, "gradient");
        }
    }
}

#[test]
fn only_the_policy_gets_a_gradient() {
    let [policy, reference] = [96, 97].map(|seed| tensor(&noise(seed, 6), [2, 3], DType::F64).require_grad());
    for form in FORMS {
        for direction in DIRECTIONS {
            let grads = form(policy.clone(), reference.clone(), 1.0, direction).unwrap().sum().backward();
            assert!(policy.grad(&grads).is_some());
            assert!(reference.grad(&grads).is_none());
        }
    }
}

#[test]
fn tokens_without_probability_in_the_outer_distribution_add_nothing() {
    // Outer [1, 0] against [1/2, 1/2]: ln 2.
    let (outer, inner) = ([0.0, NONE], [0.0, 0.0]);
    for form in FORMS {
        for dtype in DTYPES {
            let reverse = of(form, &outer, &inner, 2, KlDirection::Reverse, dtype);
            let forward = of(form, &inner, &outer, 2, KlDirection::Forward, dtype);
            for run in [&reverse, &forward] {
                assert_near(run.get("kl"), &[2f64.ln()], 1e-7, "kl");
            }
            // p_j (log p_j / q_j - KL) of a certain policy; p - q.
            assert_eq!(reverse.get("grad"), [0.0; 2]);
            assert_near(forward.get("grad"), &[-0.5, 0.5], 1e-7, "gradient");
        }
    }
}

#[test]
fn a_token_that_only_the_outer_distribution_has_is_infinitely_far() {
    let (outer, inner) = ([0.0, 0.0], [0.0, NONE]);
    for form in FORMS {
        for dtype in DTYPES {
            let reverse = of(form, &outer, &inner, 2, KlDirection::Reverse, dtype);
            assert_eq!(reverse.get("kl"), [f64::INFINITY]);
            assert!(reverse.get("grad").iter().all(|grad| !grad.is_finite()));
            let forward = of(form, &inner, &outer, 2, KlDirection::Forward, dtype);
            assert_eq!(forward.get("kl"), [f64::INFINITY]);
            assert_near(forward.get("grad"), &[0.5, -0.5], 1e-6, "p - q");
        }
    }
}

#[test]
fn a_row_without_any_probability_to_average_over_is_zero() {
    let (dead, live) = ([NONE; 3], [0.3, -0.2, 0.1]);
    let beside = |row: &[f64]| [row, &[1.0, 2.0, 0.5]].concat();
    for form in FORMS {
        for dtype in DTYPES {
            for (direction, policy, reference) in [
                (KlDirection::Reverse, dead, live),
                (KlDirection::Forward, live, dead),
                (KlDirection::Reverse, dead, dead),
            ] {
                let run = of(form, &beside(&policy), &beside(&reference), 3, direction, dtype);
                assert_eq!(run.get("kl"), [0.0; 2], "{direction:?} {dtype:?}");
                assert!(run.get("grad").iter().all(|grad| grad.abs() < 1e-7), "{direction:?} {dtype:?} {run:?}");
                assert_eq!(run.get("grad")[..3], [0.0; 3]);
            }
            // The other way round, some probability meets none.
            for (direction, policy, reference) in
                [(KlDirection::Reverse, live, dead), (KlDirection::Forward, dead, live)]
            {
                let run = of(form, &beside(&policy), &beside(&reference), 3, direction, dtype);
                assert_eq!(run.get("kl"), [f64::INFINITY, 0.0], "{direction:?} {dtype:?}");
            }
        }
    }
}

#[test]
fn nan_stays_in_its_row() {
    for form in FORMS {
        for direction in DIRECTIONS {
            let policy = [f64::NAN, 0.0, 1.0, 2.0];
            let run = of(form, &policy, &[0.0; 4], 2, direction, DType::F32);
            assert!(run.get("kl")[0].is_nan() && run.get("kl")[1].is_finite());
            assert!(run.get("grad")[..2].iter().all(|grad| grad.is_nan()));
            assert!(run.get("grad")[2..].iter().all(|grad| grad.is_finite()));
            let run = of(form, &[0.0; 4], &policy, 2, direction, DType::F32);
            assert!(run.get("kl")[0].is_nan() && run.get("kl")[1].is_finite());
        }
    }
}

#[test]
fn no_rows_and_no_tokens_have_no_divergence() {
    for form in FORMS {
        for ([n, v], expected) in [([0, 3], vec![]), ([2, 0], vec![0.0; 2])] {
            let leaf = tensor(&[], [n, v], DType::F64).require_grad();
            let kl = form(leaf.clone(), tensor(&[], [n, v], DType::F64), 1.0, KlDirection::Reverse).unwrap();
            assert_eq!(host(&kl), expected);
            let grads = kl.sum().backward();
            assert_eq!(leaf.grad(&grads).unwrap().dims(), [n, v]);
        }
    }
}

#[test]
fn a_row_that_nobody_asks_for_has_no_gradient_infinite_as_it_is() {
    for dtype in DTYPES {
        for direction in DIRECTIONS {
            let policy = tensor(&[0.0, 0.0, 0.0, 1.0], [2, 2], dtype).require_grad();
            let reference = tensor(&[0.0, NONE, 0.0, 0.0], [2, 2], dtype);
            let kl = kl_logits(policy.clone(), reference, 1.0, direction).unwrap();
            let dropped = Tensor::from_data(TensorData::from([true, false]), &Device::flex().autodiff());
            let grads = kl.mask_fill(dropped, 0.0).sum().backward();
            let grad = host(&policy.grad(&grads).unwrap());
            assert_eq!(grad[..2], [0.0, 0.0], "{direction:?}");
            assert!(grad[2] < 0.0 && grad[3] > 0.0, "{direction:?}: {grad:?}");
        }
    }
}
